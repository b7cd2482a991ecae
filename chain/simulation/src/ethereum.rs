//! Ethereum as simulated validators see it: one block every twelve seconds, endpoints that tell the
//! truth, lie, or are silent.

use crate::scenario::Endpoints;
use mileverse_consensus::ethereum::{EthereumView, Verdict};
use mileverse_primitives::{B256, checkpoint::Checkpoint, keccak256};
use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

/// The newest finalized block of the simulated Ethereum; clones share it.
#[derive(Clone, Debug, Default)]
pub struct Clock {
    newest: Arc<AtomicU64>,
    eager: bool,
}

impl Clock {
    /// Ethereum finalizes a block whenever an endpoint is asked for the newest.
    pub fn eager() -> Self {
        Self {
            eager: true,
            ..Self::default()
        }
    }

    /// Ethereum finalizes one more block.
    pub fn advance(&self) {
        self.newest.fetch_add(1, Ordering::Relaxed);
    }

    fn now(&self) -> u64 {
        self.newest.load(Ordering::Relaxed)
    }
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Nature {
    Honest,
    Liar,
    Dead,
}

/// One validator's endpoint.
#[derive(Clone, Debug)]
pub struct Endpoint {
    nature: Nature,
    clock: Clock,
}

impl Endpoint {
    /// The endpoint of a validator.
    pub const fn of(validator: usize, endpoints: Endpoints, clock: Clock) -> Self {
        let nature = if validator < endpoints.liars {
            Nature::Liar
        } else if validator < endpoints.liars.saturating_add(endpoints.dead) {
            Nature::Dead
        } else {
            Nature::Honest
        };
        Self { nature, clock }
    }
}

/// The header that Ethereum really has at a height.
pub fn truth(number: u64) -> Checkpoint {
    Checkpoint {
        number,
        hash: keccak256(number.to_be_bytes()),
        state_root: keccak256([number.to_be_bytes(), [7; 8]].concat()),
        timestamp: number,
    }
}

impl EthereumView for Endpoint {
    fn newest(&self) -> Option<Checkpoint> {
        if self.clock.eager {
            self.clock.advance();
        }
        let number = self.clock.now();
        let real = (number > 0).then(|| truth(number))?;
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
        let number = self.clock.now();
        match self.nature {
            Nature::Honest if checkpoint.number > number => Verdict::Unknown,
            Nature::Honest if checkpoint == truth(checkpoint.number) => Verdict::Confirmed,
            Nature::Honest => Verdict::Denied,
            Nature::Liar => Verdict::Confirmed,
            Nature::Dead => Verdict::Unknown,
        }
    }
}
