//! What the QMDB sync engine fetches from, and what gives the actor a database to serve.

use super::{Operation, Request, Response};
use crate::state::{Databases, StateDb};
use commonware_cryptography::sha256;
use commonware_glue::stateful::db::AttachableResolver;
use commonware_runtime::Spawner;
use commonware_storage::{
    Context as StorageContext, mmr,
    qmdb::sync::{Feedback, Source, source},
};
use commonware_utils::channel::{mpsc, oneshot};
use thiserror::Error;

/// Candidates for an answer, each with the way to say whether its proof holds.
pub(super) type Reply = mpsc::Sender<(Response, oneshot::Sender<bool>)>;

/// What the actor is told.
pub(super) enum Order<E: StorageContext + Spawner> {
    /// Serve from this database.
    Serve(Databases<E>),
    /// Fetch until the reply's receiver is content or gone.
    Fetch { request: Request, reply: Reply },
}

/// The actor has ended.
#[derive(Debug, Error)]
#[error("state sync has stopped; restart the node")]
pub struct Gone;

/// The way to the actor; clones share it.
pub struct Mailbox<E: StorageContext + Spawner> {
    orders: mpsc::Sender<Order<E>>,
}

impl<E: StorageContext + Spawner> Clone for Mailbox<E> {
    fn clone(&self) -> Self {
        Self {
            orders: self.orders.clone(),
        }
    }
}

impl<E: StorageContext + Spawner> Mailbox<E> {
    pub(super) const fn new(orders: mpsc::Sender<Order<E>>) -> Self {
        Self { orders }
    }
}

impl<E: StorageContext + Spawner> Source for Mailbox<E> {
    type Family = mmr::Family;
    type Digest = sha256::Digest;
    type Op = Operation;
    type Error = Gone;

    async fn serve(&self, request: Request) -> source::Result<Self> {
        let (reply, mut candidates) = mpsc::channel(1);
        self.orders
            .send(Order::Fetch { request, reply })
            .await
            .map_err(|_| Gone)?;
        let (response, verdict) = candidates.recv().await.ok_or(Gone)?;
        Ok((response, Some(Feedback::new(verdict, candidates))))
    }
}

impl<E: StorageContext + Spawner> AttachableResolver<StateDb<E>> for Mailbox<E> {
    async fn attach_database(&self, database: Databases<E>) {
        // An actor that has ended serves nobody; the node ends with it.
        let _ = self.orders.send(Order::Serve(database)).await;
    }
}
