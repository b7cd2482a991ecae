//! Holds each client to its share: connections, and units of work a second.
//!
//! Every call of a batch is counted by itself. Who has used up its share is refused with a code of
//! its own (-32005, as EIP-1474 has it), and nothing is done for it.

use crate::{limits::Limits, methods};
use futures::future::Either;
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use jsonrpsee::{
    core::middleware::{Batch, BatchEntry, BatchEntryErr, Notification},
    server::{MethodResponse, middleware::rpc::RpcServiceT},
    types::{ErrorObjectOwned, Request, error::METHOD_NOT_FOUND_CODE},
};
use std::{
    collections::HashMap,
    future::{Future, ready},
    net::IpAddr,
    num::NonZeroU32,
    sync::{Arc, Mutex, PoisonError},
};

/// Code of a refusal for asking too much (EIP-1474).
const LIMIT_EXCEEDED: i32 = -32_005;
/// Clients known from which on those at rest are forgotten.
const MANY: usize = 4096;

/// The shares of all clients; clones share them.
#[derive(Clone)]
pub struct Shares {
    limits: Limits,
    work: Arc<DefaultKeyedRateLimiter<IpAddr>>,
    connections: Arc<Mutex<HashMap<IpAddr, u32>>>,
}

impl Shares {
    /// Everybody's full share.
    pub fn new(limits: Limits) -> Self {
        let quota = Quota::per_second(limits.per_second).allow_burst(limits.burst);
        Self {
            limits,
            work: Arc::new(RateLimiter::keyed(quota)),
            connections: Arc::default(),
        }
    }

    /// Lets a client in, unless it has too many connections already. It leaves when all clones of
    /// the answer are gone.
    pub fn enter(&self, address: IpAddr) -> Option<Client> {
        let Some(who) = self.limits.client(address) else {
            return Some(Client {
                inner: Arc::new(Inner {
                    address,
                    limited: None,
                }),
            });
        };
        let mut connections = lock(&self.connections);
        let open = connections.entry(who).or_default();
        if *open >= self.limits.connections.get() {
            return None;
        }
        *open = open.saturating_add(1);
        drop(connections);
        if self.work.len() > MANY {
            self.work.retain_recent();
        }
        Some(Client {
            inner: Arc::new(Inner {
                address: who,
                limited: Some(self.clone()),
            }),
        })
    }
}

fn lock(
    connections: &Mutex<HashMap<IpAddr, u32>>,
) -> std::sync::MutexGuard<'_, HashMap<IpAddr, u32>> {
    connections.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Marks requests that came over a WebSocket, where a client can be told things later.
#[derive(Clone, Copy)]
pub struct Socket;

/// A connection's client.
#[derive(Clone)]
pub struct Client {
    inner: Arc<Inner>,
}

struct Inner {
    address: IpAddr,
    limited: Option<Shares>,
}

impl Client {
    /// Whom it counts as.
    pub fn address(&self) -> IpAddr {
        self.inner.address
    }

    /// Takes what a call costs out of its share.
    fn pay(&self, method: &str) -> Result<(), ErrorObjectOwned> {
        let Some(shares) = &self.inner.limited else {
            return Ok(());
        };
        let cost = NonZeroU32::new(methods::cost(method)).unwrap_or(NonZeroU32::MIN);
        // A cost above the whole burst could never be paid.
        let cost = cost.min(shares.limits.burst);
        match shares.work.check_key_n(&self.inner.address, cost) {
            Ok(Ok(())) => Ok(()),
            _ => Err(ErrorObjectOwned::owned(
                LIMIT_EXCEEDED,
                "limit exceeded: too many requests from this address; wait a second, then send fewer",
                None::<()>,
            )),
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        let Some(shares) = &self.limited else { return };
        let mut connections = lock(&shares.connections);
        if let Some(open) = connections.get_mut(&self.address) {
            *open = open.saturating_sub(1);
            if *open == 0 {
                connections.remove(&self.address);
            }
        }
    }
}

/// Stands before the methods of one connection.
#[derive(Clone)]
pub struct Guard<S> {
    service: S,
    client: Client,
}

impl<S> Guard<S> {
    /// Puts a guard before `service`.
    pub const fn new(service: S, client: Client) -> Self {
        Self { service, client }
    }

    fn admit(&self, request: &Request<'_>) -> Result<(), ErrorObjectOwned> {
        let method = request.method_name();
        let later = matches!(method, "eth_subscribe" | "eth_unsubscribe");
        if later && request.extensions().get::<Socket>().is_none() {
            // geth's words.
            return Err(ErrorObjectOwned::owned(
                METHOD_NOT_FOUND_CODE,
                "notifications not supported",
                None::<()>,
            ));
        }
        self.client.pay(method)
    }
}

impl<S> RpcServiceT for Guard<S>
where
    S: RpcServiceT<MethodResponse = MethodResponse>,
{
    type MethodResponse = MethodResponse;
    type NotificationResponse = S::NotificationResponse;
    type BatchResponse = S::BatchResponse;

    fn call<'a>(
        &self,
        request: Request<'a>,
    ) -> impl Future<Output = Self::MethodResponse> + Send + 'a {
        match self.admit(&request) {
            Ok(()) => Either::Left(self.service.call(request)),
            Err(error) => Either::Right(ready(MethodResponse::error(request.id, error))),
        }
    }

    fn batch<'a>(
        &self,
        requests: Batch<'a>,
    ) -> impl Future<Output = Self::BatchResponse> + Send + 'a {
        let checked = requests
            .into_iter()
            .map(|entry| match entry {
                Ok(BatchEntry::Call(request)) => match self.admit(&request) {
                    Ok(()) => Ok(BatchEntry::Call(request)),
                    Err(error) => Err(BatchEntryErr::new(request.id, error)),
                },
                other => other,
            })
            .collect();
        self.service.batch(Batch::from(checked))
    }

    fn notification<'a>(
        &self,
        notification: Notification<'a>,
    ) -> impl Future<Output = Self::NotificationResponse> + Send + 'a {
        self.service.notification(notification)
    }
}
