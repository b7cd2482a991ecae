//! Subscriptions over WebSocket: new heads, logs, waiting transactions, and the sync.
//!
//! Heads and logs are read from the index block by block, so a slow subscriber is told everything,
//! late, and takes no memory. Waiting transactions are told as they arrive; a subscriber that is
//! too slow for them loses the oldest.

use super::logs;
use crate::{arguments::Arguments, context::Context, convert, failure, find, register::Answer};
use alloy::rpc::types::Filter;
use jsonrpsee::{
    PendingSubscriptionSink, RpcModule, SubscriptionSink,
    core::RegisterMethodError,
    types::{ErrorObjectOwned, Params, error::METHOD_NOT_FOUND_CODE},
};
use serde::Serialize;
use std::sync::Arc;
use tokio::sync::broadcast::error::RecvError;

pub(super) fn register(module: &mut RpcModule<Context>) -> Result<(), RegisterMethodError> {
    module.register_subscription(
        "eth_subscribe",
        "eth_subscription",
        "eth_unsubscribe",
        |params, pending, context, _| async move { subscribe(params, pending, context).await },
    )?;
    Ok(())
}

/// What is subscribed to.
enum Topic {
    Heads,
    Logs(Box<Filter>),
    Transactions { full: bool },
    Syncing,
}

impl Topic {
    fn read(params: &Params<'_>) -> Answer<Self> {
        let mut arguments = Arguments::of(params)?;
        let name: String = arguments.next()?;
        Ok(match name.as_str() {
            "newHeads" => Self::Heads,
            "logs" => {
                let filter: Filter = arguments.optional()?.unwrap_or_default();
                logs::check(&filter)?;
                Self::Logs(Box::new(filter))
            }
            "newPendingTransactions" => Self::Transactions {
                full: arguments.optional()?.unwrap_or_default(),
            },
            "syncing" => Self::Syncing,
            other => {
                return Err(ErrorObjectOwned::owned(
                    METHOD_NOT_FOUND_CODE,
                    format!("no {other:?} subscription in eth namespace"),
                    None::<()>,
                ));
            }
        })
    }
}

async fn subscribe(
    params: Params<'static>,
    pending: PendingSubscriptionSink,
    context: Arc<Context>,
) {
    let topic = match Topic::read(&params) {
        Ok(topic) => topic,
        Err(error) => return pending.reject(error).await,
    };
    let Ok(sink) = pending.accept().await else {
        return;
    };
    match topic {
        Topic::Transactions { full } => transactions(&sink, &context, full).await,
        Topic::Syncing => {
            // A node that answers here has its state; there is nothing more to tell.
            tell(&sink, &false).await;
            sink.closed().await;
        }
        blocks => each_block(&sink, &context, &blocks).await,
    }
}

/// Sends one message; whether the subscriber is still there.
async fn tell(sink: &SubscriptionSink, message: &impl Serialize) -> bool {
    match serde_json::value::to_raw_value(message) {
        Ok(message) => sink.send(message).await.is_ok(),
        Err(error) => {
            tracing::error!(%error, "a subscription's message cannot be written");
            false
        }
    }
}

async fn each_block(sink: &SubscriptionSink, context: &Arc<Context>, topic: &Topic) {
    let mut tips = context.reads.tip.clone();
    let mut told = tips.borrow_and_update().header.height;
    loop {
        tokio::select! {
            () = sink.closed() => return,
            changed = tips.changed() => if changed.is_err() { return },
        }
        let tip = tips.borrow_and_update().header.height;
        for height in told.saturating_add(1)..=tip {
            let messages = match messages(context, topic, height).await {
                Ok(messages) => messages,
                Err(error) => {
                    tracing::warn!(height, %error, "a subscription ends");
                    return;
                }
            };
            for message in messages {
                if !tell(sink, &message).await {
                    return;
                }
            }
        }
        told = tip;
    }
}

/// What a block means to a subscriber.
async fn messages(
    context: &Arc<Context>,
    topic: &Topic,
    height: u64,
) -> Answer<Vec<serde_json::Value>> {
    let context = Arc::clone(context);
    let filter = match topic {
        Topic::Logs(filter) => Some(filter.clone()),
        _ => None,
    };
    let read = move || -> Answer<Vec<serde_json::Value>> {
        let value = |error| failure::internal(&error);
        match filter {
            Some(filter) => logs::within(&context, &filter, height..=height)?
                .iter()
                .map(|log| serde_json::to_value(log).map_err(value))
                .collect(),
            None => find::at(&context, height)?
                .map(|found| convert::header(&found.block, found.digest, context.base_fee()))
                .iter()
                .map(|head| serde_json::to_value(head).map_err(value))
                .collect(),
        }
    };
    tokio::task::spawn_blocking(read)
        .await
        .map_err(|error| failure::internal(&error))?
}

async fn transactions(sink: &SubscriptionSink, context: &Context, full: bool) {
    let mut arrivals = context.admission.mempool.listen();
    loop {
        let arrived = tokio::select! {
            () = sink.closed() => return,
            arrived = arrivals.recv() => arrived,
        };
        let alive = match arrived {
            Ok(transaction) if full => {
                tell(sink, &convert::pending(&transaction, context.base_fee())).await
            }
            Ok(transaction) => tell(sink, &transaction.hash()).await,
            Err(RecvError::Lagged(_)) => true,
            Err(RecvError::Closed) => false,
        };
        if !alive {
            return;
        }
    }
}
