//! Who takes part in coming ceremonies, and where they are reached: read from final state.
//!
//! The last block of epoch E writes who is elected for E+3. glue asks for epoch X when it makes the
//! last block of X-2, so the answer has then been final for an epoch. It is the same on every node,
//! and later blocks do not change it. A node whose own state is not there yet waits and does not
//! answer: its vote for that block waits too.

use crate::watch;
use crate::{
    application::Tip,
    block::{Directory, PublicKey},
    committee,
    state::{BatchReader, Databases},
};
use commonware_consensus::types::Epoch;
use commonware_glue::{dkg::ParticipantsProvider, stateful::db::DatabaseSet as _};
use commonware_runtime::Spawner;
use commonware_storage::Context as StorageContext;
use commonware_utils::ordered::Set;
pub use mileverse_execution::Elected;
use mileverse_execution::{Executor, ReadError, Rotations, StateReader};
use mileverse_primitives::B256;
use std::{future::Future, net::SocketAddr};

/// What final state says of elections. Every node must get the same answer, whenever it asks.
pub trait Elections: Clone + Send + Sync + 'static {
    /// Who was elected for `epoch`, ascending; empty if this state does not know yet.
    fn elected(
        &self,
        state: &impl StateReader,
        epoch: u64,
    ) -> impl Future<Output = Result<Vec<Elected>, ReadError>> + Send;

    /// Where `key` is reached; `None` if this state does not know it yet.
    fn address(
        &self,
        state: &impl StateReader,
        key: B256,
    ) -> impl Future<Output = Result<Option<SocketAddr>, ReadError>> + Send;

    /// What this state says of the group key.
    fn rotations(
        &self,
        state: &impl StateReader,
    ) -> impl Future<Output = Result<Rotations, ReadError>> + Send;
}

/// The chain's own elections: what the staking module wrote.
impl Elections for Executor {
    async fn elected(
        &self,
        state: &impl StateReader,
        epoch: u64,
    ) -> Result<Vec<Elected>, ReadError> {
        Self::elected(self, state, epoch).await
    }

    async fn address(
        &self,
        state: &impl StateReader,
        key: B256,
    ) -> Result<Option<SocketAddr>, ReadError> {
        Self::directory(self, state, key).await
    }

    async fn rotations(&self, state: &impl StateReader) -> Result<Rotations, ReadError> {
        Self::rotations(self, state).await
    }
}

/// Answers glue from final state.
pub struct Participants<E: StorageContext + Spawner, L> {
    elections: L,
    databases: watch::Receiver<Option<Databases<E>>>,
    tip: watch::Receiver<Tip>,
}

impl<E: StorageContext + Spawner, L: Elections> Participants<E, L> {
    /// Reads from `databases` once they are open; looks again whenever `tip` moves.
    pub const fn new(
        elections: L,
        databases: watch::Receiver<Option<Databases<E>>>,
        tip: watch::Receiver<Tip>,
    ) -> Self {
        Self {
            elections,
            databases,
            tip,
        }
    }

    /// Asks final state until it knows.
    async fn ask<T, F>(
        &mut self,
        what: &str,
        question: impl Fn(L, crate::state::Batch<E>) -> F,
    ) -> T
    where
        F: Future<Output = Result<Option<T>, ReadError>>,
    {
        let Ok(Some(databases)) = self.databases.wait_for(Option::is_some).await else {
            // The engine ended before its state was open.
            return std::future::pending().await;
        };
        loop {
            // What the tip is does not matter, only whether it moves after this.
            drop(self.tip.borrow_and_update());
            let batch = databases.new_batches().await;
            match question(self.elections.clone(), batch).await {
                Ok(Some(answer)) => return answer,
                Ok(None) => tracing::debug!(what, "final state does not know yet"),
                // A batch is good for one state; a block may have become final meanwhile.
                Err(error) => tracing::debug!(what, %error, "the state moved under a question"),
            }
            if self.tip.changed().await.is_err() {
                return std::future::pending().await;
            }
        }
    }
}

impl<E, L> ParticipantsProvider for Participants<E, L>
where
    E: StorageContext + Spawner,
    L: Elections,
{
    type PublicKey = PublicKey;
    type Directory = Directory;

    async fn participants(&mut self, epoch: Epoch) -> Set<PublicKey> {
        let epoch = epoch.get();
        self.ask("who is elected", |elections, batch| async move {
            let state = BatchReader::<E> {
                batch: &batch,
                overlay: None,
            };
            let elected = elections.elected(&state, epoch).await?;
            let keys = elected
                .iter()
                .map(|elected| committee::key(elected.consensus_key))
                .collect::<Result<Vec<_>, _>>();
            Ok(match keys {
                Ok(keys) if !keys.is_empty() => Some(Set::from_iter_dedup(keys)),
                Ok(_) => None,
                Err(error) => {
                    tracing::error!(epoch, %error, "the chain elected what is no key");
                    None
                }
            })
        })
        .await
    }

    async fn directory(&mut self, _epoch: Epoch, peers: Set<PublicKey>) -> Directory {
        let asked = &peers;
        self.ask("where peers are reached", |elections, batch| async move {
            let state = BatchReader::<E> {
                batch: &batch,
                overlay: None,
            };
            let mut found = Vec::with_capacity(asked.len());
            for key in asked.iter() {
                match elections.address(&state, B256::from_slice(key)).await? {
                    Some(address) => found.push((key.clone(), address.into())),
                    None => {
                        tracing::error!(%key, "the chain knows no address of a participant");
                        return Ok(None);
                    }
                }
            }
            Ok(Some(Directory::from_iter(found)))
        })
        .await
    }
}
