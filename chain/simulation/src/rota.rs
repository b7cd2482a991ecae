//! Elections that follow a plan instead of votes, so that it is known beforehand who sits when.

use mileverse_consensus::engine::participants::{Elected, Elections};
use mileverse_execution::{Executor, ReadError, Rotations, StateReader};
use mileverse_primitives::B256;
use std::{net::SocketAddr, sync::Arc};

/// A committee that moves on by `stride` nodes at every epoch.
#[derive(Clone)]
pub struct Rota {
    /// All nodes; the first sit first.
    pub nodes: Arc<[Elected]>,
    /// Seats of a committee.
    pub seats: usize,
    /// How many members are replaced at each epoch.
    pub stride: usize,
    /// Answers all else.
    pub executor: Executor,
}

impl Rota {
    /// Who is elected for `epoch`, ascending. An election is known two epochs ahead, so the first
    /// committee sits in epochs 0 and 1.
    pub fn seated(&self, epoch: u64) -> Vec<Elected> {
        let turns = usize::try_from(epoch.saturating_sub(1)).unwrap_or(usize::MAX);
        let first = turns.saturating_mul(self.stride);
        let circle = self
            .nodes
            .iter()
            .cycle()
            .skip(first % self.nodes.len().max(1));
        let mut seated: Vec<Elected> = circle.take(self.seats).copied().collect();
        seated.sort_by_key(|elected| elected.consensus_key);
        seated
    }

    /// Their keys.
    pub fn keys(&self, epoch: u64) -> Vec<B256> {
        self.seated(epoch)
            .iter()
            .map(|elected| elected.consensus_key)
            .collect()
    }
}

impl Elections for Rota {
    async fn elected(
        &self,
        _state: &impl StateReader,
        epoch: u64,
    ) -> Result<Vec<Elected>, ReadError> {
        Ok(self.seated(epoch))
    }

    async fn address(
        &self,
        _state: &impl StateReader,
        key: B256,
    ) -> Result<Option<SocketAddr>, ReadError> {
        let found = self.nodes.iter().find(|node| node.consensus_key == key);
        Ok(found.map(|node| node.address))
    }

    async fn rotations(&self, state: &impl StateReader) -> Result<Rotations, ReadError> {
        self.executor.rotations(state).await
    }
}
