//! Elections that follow a plan instead of votes: who sits in which epoch is known beforehand.

use mileverse_execution::{Executor, ReadError, Rotations, StateReader};
use mileverse_node::consensus::participants::{Elected, Elections};
use mileverse_primitives::B256;
use std::{net::SocketAddr, sync::Arc};

/// A committee that moves on by `stride` members of the whole net at every epoch.
#[derive(Clone)]
pub struct Rota {
    /// All nodes, ascending.
    pub nodes: Arc<[Elected]>,
    /// Seats of a committee.
    pub seats: usize,
    /// How many members are replaced at each epoch.
    pub stride: usize,
    /// Answers all else.
    pub executor: Executor,
}

impl Rota {
    /// Who is elected for `epoch`. Nobody can be before epoch 2, so the first nodes sit until then.
    pub fn seated(&self, epoch: u64) -> Vec<Elected> {
        let turns = usize::try_from(epoch.saturating_sub(1)).unwrap();
        let first = turns * self.stride;
        let mut seated: Vec<Elected> = (0..self.seats)
            .map(|seat| self.nodes[(first + seat) % self.nodes.len()])
            .collect();
        seated.sort_by_key(|elected| elected.consensus_key);
        seated
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
