//! Answers peers' questions from this node's own state.

use super::{MAX_OPERATIONS, MAX_SERVED, MAX_SERVED_IN_ALL, Request, wire};
use crate::{block::PublicKey, state::Databases};
use bytes::Bytes;
use commonware_runtime::Spawner;
use commonware_storage::{Context as StorageContext, qmdb::sync::Source as _};
use commonware_utils::futures::Pool;
use std::{collections::BTreeMap, num::NonZeroU64};

/// What goes back to a peer.
pub(super) struct Served {
    pub(super) peer: PublicKey,
    pub(super) message: Bytes,
}

/// The server.
pub(super) struct Server<E: StorageContext + Spawner> {
    database: Option<Databases<E>>,
    open: BTreeMap<PublicKey, usize>,
    reads: Pool<'static, Served>,
}

impl<E: StorageContext + Spawner> Server<E> {
    pub(super) fn new() -> Self {
        Self {
            database: None,
            open: BTreeMap::new(),
            reads: Pool::default(),
        }
    }

    /// Serves from this database from now on.
    pub(super) fn attach(&mut self, database: Databases<E>) {
        self.database = Some(database);
    }

    /// Takes a question; what cannot be answered is refused at once.
    pub(super) fn take(&mut self, peer: &PublicKey, id: u64, request: Request) -> Option<Bytes> {
        let of_this_peer = self.open.get(peer).copied().unwrap_or_default();
        let database = self.database.as_ref().filter(|_| {
            request.max_ops() <= MAX_OPERATIONS
                && of_this_peer < MAX_SERVED
                && self.reads.len() < MAX_SERVED_IN_ALL
        });
        let Some(database) = database.cloned() else {
            return Some(wire::refusal(id));
        };
        self.open
            .insert(peer.clone(), of_this_peer.saturating_add(1));
        let peer = peer.clone();
        self.reads.push(async move {
            let message = read(&database, id, request).await;
            Served { peer, message }
        });
        None
    }

    /// The next message to send; pending while there is none.
    pub(super) async fn next(&mut self) -> Served {
        let served = self.reads.next_completed().await;
        if let Some(open) = self.open.get_mut(&served.peer) {
            *open = open.saturating_sub(1);
            if *open == 0 {
                self.open.remove(&served.peer);
            }
        }
        served
    }
}

/// Reads and proves, fewer operations than asked for if all of them are too many bytes.
async fn read<E: StorageContext + Spawner>(
    database: &Databases<E>,
    id: u64,
    mut request: Request,
) -> Bytes {
    loop {
        let response = match database.serve(request).await {
            Ok((response, _)) => response,
            Err(error) => {
                // A target that this node does not have yet, or no longer: others may.
                tracing::debug!(%error, %request, "state that cannot be served");
                return wire::refusal(id);
            }
        };
        if let Some(message) = wire::answer(id, &response) {
            return message;
        }
        request = match request {
            Request::Operations {
                size,
                start,
                max_ops,
            } if max_ops > NonZeroU64::MIN => Request::Operations {
                size,
                start,
                max_ops: NonZeroU64::new(max_ops.get() / 2).unwrap_or(NonZeroU64::MIN),
            },
            _ => return wire::refusal(id),
        };
    }
}
