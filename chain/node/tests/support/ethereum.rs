//! Ethereum as each validator's endpoint shows it: the truth, a lie, or nothing.

use mileverse_node::ethereum::{EthereumView, Verdict};
use mileverse_primitives::{B256, checkpoint::Checkpoint, keccak256};
use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

/// How many validators' Ethereum endpoints lie or are dead; the others are honest.
#[derive(Clone, Copy, Debug)]
pub struct Endpoints {
    /// Offer and confirm headers that do not exist.
    pub liars: usize,
    /// Never answer.
    pub dead: usize,
}

impl Endpoints {
    /// All good.
    pub const HONEST: Self = Self { liars: 0, dead: 0 };

    /// The endpoint of validator `number`.
    pub const fn of(self, number: usize) -> Nature {
        if number < self.liars {
            Nature::Liar
        } else if number < self.liars + self.dead {
            Nature::Dead
        } else {
            Nature::Honest
        }
    }
}

/// What an endpoint is like.
#[derive(Clone, Copy, Eq, PartialEq)]
pub enum Nature {
    /// Tells the truth.
    Honest,
    /// Offers and confirms what is not.
    Liar,
    /// Never answers.
    Dead,
}

/// One validator's endpoint. Ethereum makes a block whenever anybody looks.
#[derive(Clone)]
pub struct Ethereum {
    /// What it is like.
    pub nature: Nature,
    /// Ethereum's blocks so far.
    pub blocks: Arc<AtomicU64>,
}

/// The one true header of a number.
pub fn truth(number: u64) -> Checkpoint {
    Checkpoint {
        number,
        hash: keccak256(number.to_be_bytes()),
        state_root: keccak256([number.to_be_bytes(), [7; 8]].concat()),
        timestamp: number,
    }
}

impl EthereumView for Ethereum {
    fn newest(&self) -> Option<Checkpoint> {
        let real = truth(
            self.blocks
                .fetch_add(1, Ordering::Relaxed)
                .saturating_add(1),
        );
        match self.nature {
            Nature::Honest => Some(real),
            Nature::Liar => Some(Checkpoint {
                state_root: B256::repeat_byte(0xbd),
                ..real
            }),
            Nature::Dead => None,
        }
    }

    async fn check(&self, checkpoint: Checkpoint) -> Verdict {
        match self.nature {
            Nature::Honest if checkpoint == truth(checkpoint.number) => Verdict::Confirmed,
            Nature::Honest => Verdict::Denied,
            Nature::Liar => Verdict::Confirmed,
            Nature::Dead => Verdict::Unknown,
        }
    }
}
