//! What to do about a swap, without any I/O. The contract decides the same again.
//!
//! ```txt
//!   the next block's time at the earliest ≤ deadline, the secret is known   claim
//!   the newest block's time > deadline                                      refund
//!   otherwise                                                               wait
//! ```

use crate::{clock::back_off_ms, store::SwapRow};
use mileverse_primitives::B256;
use mileverse_wallet::{rpc::Chain, timelock::Terms};

/// First and longest wait after a refusal, milliseconds: as of packets.
const FIRST_RETRY_MS: u64 = crate::worker::FIRST_RETRY_MS;
const LONGEST_RETRY_MS: u64 = crate::worker::LONGEST_RETRY_MS;

/// Where a chain's own time stands, seconds since 1970.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Moment {
    /// Time of the newest block.
    pub newest_s: u64,
    /// Least time of the next one: what is sent now cannot be in a block before it.
    pub next_s: u64,
}

impl Moment {
    /// After a block of this time. Ethereum's blocks are a second apart at least, the native chain's may
    /// share one.
    pub const fn after(chain: Chain, newest_s: u64) -> Self {
        Self {
            newest_s,
            next_s: match chain {
                Chain::Ethereum => newest_s.saturating_add(1),
                Chain::Native => newest_s,
            },
        }
    }
}

/// What to do.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Step {
    /// Nothing yet.
    Wait,
    /// Pay the claimer with this secret.
    Claim(B256),
    /// Pay the opener back.
    Refund,
}

/// What to do about an open swap. `secret` is its lock's, if it is known.
pub fn decide(terms: &Terms, secret: Option<B256>, moment: Moment) -> Step {
    if moment.newest_s > terms.deadline {
        return Step::Refund;
    }
    match secret {
        Some(secret) if moment.next_s <= terms.deadline => Step::Claim(secret),
        _ => Step::Wait,
    }
}

/// Which of those that are due go first: claims, whose deadline is near, before refunds, which may wait.
/// If there is room for more than one, a refund has a place, so that claims do not keep refunds out for
/// ever. Both come in order.
pub fn pick(claims: Vec<SwapRow>, refunds: Vec<SwapRow>, places: usize) -> Vec<SwapRow> {
    let kept = usize::from(places > 1 && !refunds.is_empty());
    let mut picked = claims;
    picked.truncate(places.saturating_sub(kept));
    let left = places.saturating_sub(picked.len());
    picked.extend(refunds.into_iter().take(left));
    picked
}

/// How long a swap that was refused is left alone, milliseconds. Where it still can be claimed, at most
/// half of the time that is left for that.
pub fn retry_ms(attempts: u32, terms: &Terms, moment: Option<Moment>, seed: u64) -> u64 {
    let wait = back_off_ms(attempts, FIRST_RETRY_MS, LONGEST_RETRY_MS, seed);
    let left = moment.and_then(|moment| terms.deadline.checked_sub(moment.newest_s));
    left.map_or(wait, |seconds| {
        wait.min(seconds.saturating_mul(500))
            .max(FIRST_RETRY_MS / 2)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use mileverse_primitives::{Address, U256};
    use proptest::prelude::*;

    fn terms(deadline: u64) -> Terms {
        Terms {
            token: Address::ZERO,
            amount: U256::from(1),
            opener: Address::ZERO,
            claimer: Address::ZERO,
            lock: B256::ZERO,
            deadline,
        }
    }

    fn row(number: u64) -> SwapRow {
        SwapRow {
            number,
            id: B256::ZERO,
            terms: terms(number),
            block: 0,
            attempts: 0,
            found_ms: 0,
            secret: None,
        }
    }

    const SECRET: B256 = B256::repeat_byte(7);

    #[test]
    fn the_last_second_belongs_to_the_claimer_where_a_block_can_have_it() {
        let at = |chain, newest, secret| decide(&terms(100), secret, Moment::after(chain, newest));
        for (chain, newest, with, without) in [
            (Chain::Native, 99, Step::Claim(SECRET), Step::Wait),
            (Chain::Native, 100, Step::Claim(SECRET), Step::Wait),
            (Chain::Native, 101, Step::Refund, Step::Refund),
            (Chain::Ethereum, 99, Step::Claim(SECRET), Step::Wait),
            // The next block is past the deadline, and this one is not.
            (Chain::Ethereum, 100, Step::Wait, Step::Wait),
            (Chain::Ethereum, 101, Step::Refund, Step::Refund),
        ] {
            assert_eq!(at(chain, newest, Some(SECRET)), with, "{chain} {newest}");
            assert_eq!(at(chain, newest, None), without, "{chain} {newest}");
        }
    }

    proptest! {
        /// As the contract has it: a claim needs the secret and a block no later than the deadline, a
        /// refund one that is later. Whatever is decided can be so in the next block, or in this one.
        #[test]
        fn only_what_the_contract_takes_is_tried(
            deadline in prop_oneof![Just(0), Just(u64::MAX), 1_000u64..1_010],
            newest in prop_oneof![Just(0), Just(u64::MAX), 995u64..1_015],
            known: bool,
            ethereum: bool,
        ) {
            let chain = if ethereum { Chain::Ethereum } else { Chain::Native };
            let moment = Moment::after(chain, newest);
            let secret = known.then_some(SECRET);
            match decide(&terms(deadline), secret, moment) {
                Step::Claim(secret) => {
                    prop_assert!(known && secret == SECRET);
                    prop_assert!(moment.next_s <= deadline);
                }
                Step::Refund => prop_assert!(newest > deadline),
                Step::Wait => {
                    prop_assert!(newest <= deadline, "a refund is never put off");
                    prop_assert!(!known || moment.next_s > deadline, "nor a claim");
                }
            }
        }

        /// Time only goes from waiting or claiming to refunding, and never back.
        #[test]
        fn once_refundable_always_refundable(deadline in 0u64..50, from in 0u64..50, more in 0u64..50, known: bool) {
            let secret = known.then_some(SECRET);
            let at = |second| decide(&terms(deadline), secret, Moment::after(Chain::Ethereum, second));
            if at(from) == Step::Refund {
                prop_assert_eq!(at(from + more), Step::Refund);
            }
            prop_assert_eq!(at(from) == Step::Refund, from > deadline);
        }

        #[test]
        fn claims_go_first_and_refunds_are_not_kept_out(claims in 0usize..20, refunds in 0usize..20, places in 0usize..20) {
            let rows = |count: usize, first: u64| (first..).take(count).map(row).collect::<Vec<_>>();
            let picked = pick(rows(claims, 0), rows(refunds, 1_000), places);
            prop_assert_eq!(picked.len(), places.min(claims + refunds));
            let refunded = picked.iter().filter(|row| row.number >= 1_000).count();
            prop_assert_eq!(refunded > 0, refunds > 0 && (places > 1 || places > claims));
            prop_assert!(refunded <= 1 || picked.len() - refunded == claims);
            prop_assert!(picked.is_sorted_by_key(|row| row.number), "in order");
        }

        #[test]
        fn a_claim_is_tried_again_before_its_deadline(attempts in 0u32..100, left in 0u64..10_000, seed: u64) {
            let moment = Moment::after(Chain::Native, 5);
            let wait = retry_ms(attempts, &terms(5 + left), Some(moment), seed);
            prop_assert!((FIRST_RETRY_MS / 2..=LONGEST_RETRY_MS).contains(&wait));
            prop_assert!(left < 2 || wait < left * 1_000);
        }
    }
}
