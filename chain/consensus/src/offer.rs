//! Which header of Ethereum a leader offers in its block, and when it had better offer none.
//!
//! The others vote for a header only if their own endpoints know it. When too many endpoints fail,
//! a block that carries a header finds no votes and its leader loses its turn. So a leader that
//! sees that its last offer did not come to anything leaves the header out: of its next turn, then
//! of three, seven, … up to [`MOST_LEFT_OUT`] turns in a row, with one try between. The bridge waits
//! for Ethereum then; the chain does not.
//!
//! ```txt
//! turn      1      2    3      4    5    6    7      8 …
//! offers    yes    no   yes    no   no   no   yes    no …
//! comes to  nothing     nothing               nothing
//! ```
//!
//! What is remembered is only this node's own; a restart forgets it and costs one turn.

use mileverse_primitives::checkpoint::Checkpoint;

/// Most turns without an offer between two tries.
pub const MOST_LEFT_OUT: u32 = 63;

/// What became of this leader's offers.
#[derive(Clone, Debug, Default)]
pub struct Offers {
    /// The last one, until the chain has it.
    pending: Option<u64>,
    /// Turns to leave out yet.
    left_out: u32,
    /// Tries in a row that came to nothing.
    failed: u32,
}

impl Offers {
    /// What to offer in a turn whose parent state knows Ethereum up to block `known`: `newest`, if
    /// it is newer and the time for a try.
    pub fn choose(&mut self, newest: Option<Checkpoint>, known: u64) -> Option<Checkpoint> {
        if let Some(offered) = self.pending.take() {
            if offered <= known {
                self.failed = 0;
            } else {
                self.failed = self.failed.saturating_add(1);
                self.left_out = 1u32
                    .checked_shl(self.failed)
                    .map_or(MOST_LEFT_OUT, |turns| turns.saturating_sub(1))
                    .min(MOST_LEFT_OUT);
                tracing::warn!(
                    ethereum = offered,
                    failed = self.failed,
                    turns = self.left_out,
                    "the block with this header of Ethereum found no votes; leaving headers out of the next turns. If this stays, Ethereum endpoints of this node or of many delegates are down, and the bridge waits for them"
                );
            }
        }
        let newest = newest.filter(|newest| newest.number > known)?;
        if let Some(rest) = self.left_out.checked_sub(1) {
            self.left_out = rest;
            return None;
        }
        self.pending = Some(newest.number);
        Some(newest)
    }

    /// The chain itself refuses what was chosen last; nothing is offered in this turn.
    pub fn withdraw(&mut self) {
        self.pending = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mileverse_primitives::B256;
    use proptest::prelude::*;

    fn header(number: u64) -> Checkpoint {
        Checkpoint {
            number,
            hash: B256::ZERO,
            state_root: B256::ZERO,
            timestamp: number,
        }
    }

    #[test]
    fn what_fails_is_tried_less_and_less_often() {
        let mut offers = Offers::default();
        let tries: Vec<u64> = (0..200)
            .filter(|turn| offers.choose(Some(header(turn + 1)), 0).is_some())
            .collect();
        assert_eq!(tries, [0, 2, 6, 14, 30, 62, 126, 190]);
    }

    #[test]
    fn what_the_chain_has_taken_is_offered_on() {
        let mut offers = Offers::default();
        assert!(offers.choose(Some(header(5)), 0).is_some());
        assert!(
            offers.choose(Some(header(6)), 0).is_none(),
            "5 came to nothing"
        );
        assert!(offers.choose(Some(header(7)), 0).is_some());
        for known in 7u64..50 {
            let newer = header(known.saturating_add(1));
            assert_eq!(offers.choose(Some(newer), known), Some(newer));
        }
    }

    #[test]
    fn nothing_to_offer_costs_no_turn() {
        let mut offers = Offers::default();
        assert!(offers.choose(Some(header(5)), 0).is_some());
        assert!(offers.choose(None, 0).is_none());
        assert!(offers.choose(Some(header(0)), 0).is_none());
        assert!(
            offers.choose(Some(header(6)), 0).is_none(),
            "the one left out"
        );
        assert!(offers.choose(Some(header(6)), 0).is_some());
        offers.withdraw();
        assert!(
            offers.choose(Some(header(7)), 0).is_some(),
            "the chain's own refusal is no failure"
        );
    }

    proptest! {
        #[test]
        fn an_offer_is_always_newer_and_tries_never_end(
            turns in proptest::collection::vec((0u64..20, 0u64..20), 1..200),
        ) {
            let mut offers = Offers::default();
            let mut without = 0;
            for (newest, known) in turns {
                let chosen = offers.choose(Some(header(newest)), known);
                if let Some(chosen) = chosen {
                    prop_assert!(chosen.number > known);
                    without = 0;
                } else if newest > known {
                    without += 1;
                    prop_assert!(without <= MOST_LEFT_OUT);
                }
            }
        }
    }
}
