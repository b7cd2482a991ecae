//! The nonce state machine, without any I/O.
//!
//! ```txt
//!                 sign                      nonce used at the newest block
//!    (nothing) ---------> open ------------------------------------------> used
//!                          ^  \ broadcast, again and again                  | \
//!                          |   \ after long: same nonce, higher fees        |  \ used at the finalized block
//!                          +------------------------------------------------+   v
//!                               a reorganisation gives the nonce back        forgotten
//! ```

use mileverse_wallet::transaction::Fees;

/// An open transaction as far as the decision needs it. All have the same nonce.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Attempt {
    /// When it was signed.
    pub created_ms: u64,
    /// When it was last broadcast; 0 = not yet.
    pub broadcast_ms: u64,
    /// What it offers.
    pub fees: Fees,
}

/// What to do about an open nonce.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Step {
    /// Nothing yet.
    Wait,
    /// Broadcast the newest attempt again.
    Broadcast,
    /// Sign the same call again with higher fees.
    Replace,
}

/// Decides about the attempts of one open nonce, newest last. `lowest` says that the chain
/// waits for this nonce, so that only its price can hold it up.
pub fn decide(
    attempts: &[Attempt],
    lowest: bool,
    now_ms: u64,
    rebroadcast_ms: u64,
    replace_ms: u64,
) -> Step {
    let Some(newest) = attempts.last() else {
        return Step::Wait;
    };
    let since = |then: u64| now_ms.saturating_sub(then);
    if newest.broadcast_ms == 0 {
        return Step::Broadcast;
    }
    let priced = newest.fees.most() > 0;
    if lowest && priced && since(newest.created_ms) >= replace_ms {
        return Step::Replace;
    }
    // A clock that was set back must not silence the broadcasts.
    if since(newest.broadcast_ms) >= rebroadcast_ms || newest.broadcast_ms > now_ms {
        return Step::Broadcast;
    }
    Step::Wait
}

/// The first nonce from `next` on that is none of these, which ascend.
pub fn unbroken(next: u64, nonces: impl Iterator<Item = u64>) -> u64 {
    nonces.fold(next, |first, nonce| {
        if nonce == first {
            first.saturating_add(1)
        } else {
            first
        }
    })
}

/// Fees for a replacement: what gas costs now, but at least an eighth above the old offer, which
/// is what nodes ask for. `None` if that is above `most`.
pub fn raise(old: Fees, now: Fees, most: u128) -> Option<Fees> {
    let eighth = |fee: u128| fee.saturating_add(fee / 8).saturating_add(1);
    let raised = match (old, now) {
        (
            Fees::Dynamic { max, tip },
            Fees::Dynamic {
                max: now_max,
                tip: now_tip,
            },
        ) => {
            let tip = eighth(tip).max(now_tip);
            Fees::Dynamic {
                max: eighth(max).max(now_max).max(tip),
                tip,
            }
        }
        (Fees::Legacy { price }, Fees::Legacy { price: now }) if price > 0 => Fees::Legacy {
            price: eighth(price).max(now),
        },
        _ => return None,
    };
    (raised.most() <= most).then_some(raised)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const REBROADCAST: u64 = 1_000;
    const REPLACE: u64 = 10_000;

    fn attempt(created_ms: u64, broadcast_ms: u64) -> Attempt {
        Attempt {
            created_ms,
            broadcast_ms,
            fees: Fees::Dynamic { max: 10, tip: 1 },
        }
    }

    fn at(attempts: &[Attempt], lowest: bool, now: u64) -> Step {
        decide(attempts, lowest, now, REBROADCAST, REPLACE)
    }

    #[test]
    fn stored_but_never_broadcast_goes_out_first() {
        assert_eq!(at(&[attempt(100, 0)], true, 100_000), Step::Broadcast);
        assert_eq!(
            at(&[attempt(100, 200), attempt(300, 0)], false, 300),
            Step::Broadcast
        );
    }

    #[test]
    fn it_waits_then_repeats_then_offers_more() {
        let sent = [attempt(100, 100)];
        assert_eq!(at(&sent, true, 1_099), Step::Wait);
        assert_eq!(at(&sent, true, 1_100), Step::Broadcast);
        assert_eq!(at(&sent, true, 10_100), Step::Replace);
        assert_eq!(
            at(&sent, false, 10_100),
            Step::Broadcast,
            "an earlier nonce holds it up"
        );
        let free = [Attempt {
            fees: Fees::Legacy { price: 0 },
            ..sent[0]
        }];
        assert_eq!(
            at(&free, true, 10_100),
            Step::Broadcast,
            "zero has no higher price"
        );
        assert_eq!(at(&[], true, 0), Step::Wait);
    }

    #[test]
    fn a_gap_in_the_nonces_is_found() {
        for (next, nonces, expected) in [
            (5, vec![], 5),
            (5, vec![5, 5, 6, 8], 7),
            (5, vec![3, 4, 6], 5),
            (5, vec![4, 5, 6], 7),
        ] {
            assert_eq!(unbroken(next, nonces.into_iter()), expected);
        }
    }

    #[test]
    fn a_clock_set_back_silences_nothing() {
        assert_eq!(at(&[attempt(50_000, 50_000)], true, 100), Step::Broadcast);
    }

    #[test]
    fn one_price_is_raised_like_two_unless_it_is_zero() {
        let legacy = |price| Fees::Legacy { price };
        assert_eq!(raise(legacy(80), legacy(10), 100), Some(legacy(91)));
        assert_eq!(raise(legacy(80), legacy(95), 100), Some(legacy(95)));
        assert_eq!(raise(legacy(80), legacy(95), 94), None);
        assert_eq!(raise(legacy(0), legacy(95), 100), None);
        let paid = [Attempt {
            fees: legacy(80),
            ..attempt(100, 100)
        }];
        assert_eq!(at(&paid, true, 10_100), Step::Replace);
    }

    proptest! {
        #[test]
        fn a_raise_is_always_enough_and_never_above_the_limit(max in 1u128..1 << 100, tip in 0u128..1 << 90, now_max in 1u128..1 << 100, now_tip in 0u128..1 << 90, most in 1u128..1 << 101) {
            let tip = tip.min(max);
            let old = Fees::Dynamic { max, tip };
            if let Some(Fees::Dynamic { max: new_max, tip: new_tip }) = raise(old, Fees::Dynamic { max: now_max, tip: now_tip.min(now_max) }, most) {
                prop_assert!(new_max * 10 >= max * 11 && new_tip * 10 >= tip * 11);
                prop_assert!(new_tip <= new_max && new_max <= most && new_max >= now_max);
            } else {
                prop_assert!(max + max / 8 + 1 > most || now_max > most || tip + tip / 8 + 1 > most);
            }
        }
    }
}
