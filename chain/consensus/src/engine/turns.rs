//! Whose turn it is: the fixed order of an epoch, as an elector of simplex.
//!
//! The order is `mileverse_primitives::schedule`'s: it follows from the genesis hash, the epoch and
//! the committee, so everybody can compute it and nobody in the committee can change it.

use crate::block::{PublicKey, keys};
use commonware_consensus::{
    simplex::elector::{Config, Elector, Scheduled, Terms},
    types::{Participant, Round},
};
use commonware_cryptography::certificate::Scheme;
use commonware_utils::ordered::Set;
use mileverse_primitives::{B256, schedule::Schedule};
use std::sync::{Arc, OnceLock};

/// The order of turns of the chain that a genesis begins.
#[derive(Clone, Copy, Debug)]
pub struct TurnOrder {
    genesis: B256,
}

impl TurnOrder {
    /// `genesis` is the genesis file's hash.
    pub const fn new(genesis: B256) -> Self {
        Self { genesis }
    }
}

impl<S: Scheme<PublicKey = PublicKey>> Config<S> for TurnOrder {
    type Elector = Turns;

    fn build(self, participants: &Set<PublicKey>) -> Turns {
        Turns {
            genesis: self.genesis,
            members: keys(participants.iter()).into(),
            known: Arc::default(),
        }
    }
}

/// The order of turns within one epoch's committee.
#[derive(Clone, Debug)]
pub struct Turns {
    genesis: B256,
    members: Arc<[B256]>,
    /// The order of the one epoch that an engine runs, computed once.
    known: Arc<OnceLock<(u64, Option<Schedule>)>>,
}

impl Turns {
    fn schedule(&self, epoch: u64) -> Option<Schedule> {
        Schedule::new(self.genesis, epoch, &self.members).ok()
    }

    fn position(&self, epoch: u64, view: u64) -> usize {
        let (known, schedule) = self.known.get_or_init(|| (epoch, self.schedule(epoch)));
        let schedule = if *known == epoch {
            schedule.clone()
        } else {
            self.schedule(epoch)
        };
        schedule.map_or(0, |schedule| schedule.position(view))
    }
}

impl<S: Scheme<PublicKey = PublicKey>> Elector<S> for Turns {
    type Mode = Scheduled;

    fn terms(&self) -> Terms {
        Terms::rotating()
    }

    fn elect(&self, round: Round, (): ()) -> Participant {
        Participant::from_usize(self.position(round.epoch().get(), round.view().get()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::application;
    use commonware_consensus::types::{Epoch, View};
    use commonware_cryptography::{Signer as _, ed25519};

    #[test]
    fn turns_are_those_of_the_public_schedule() {
        let genesis = B256::repeat_byte(7);
        let members = Set::from_iter_dedup(
            (0..31).map(|seed| ed25519::PrivateKey::from_seed(seed).public_key()),
        );
        let words = keys(members.iter());
        let elector = Config::<application::Scheme>::build(TurnOrder::new(genesis), &members);
        for epoch in [0, 5, 6] {
            let schedule = Schedule::new(genesis, epoch, &words);
            for view in 1..100 {
                let elected = Elector::<application::Scheme>::elect(
                    &elector,
                    Round::new(Epoch::new(epoch), View::new(view)),
                    (),
                );
                let leader = words.get(usize::from(elected));
                assert_eq!(
                    leader.copied(),
                    schedule.as_ref().ok().map(|schedule| schedule.leader(view))
                );
            }
        }
    }
}
