//! When a half of a trade may be opened, claimed or refunded: pure functions of terms and clocks, and the
//! sentences that say no.
//!
//! ```txt
//!   now                          second's deadline            first's deadline
//!    |--- the secret is shown ------|-5 min|                         |
//!    |                              |<---- margin (1 hour) --------->|
//! ```
//!
//! The secret is shown to everybody by the claim of the second half. At that moment the first half can still
//! be claimed for at least the margin and the five minutes: whoever opened the second half has that long to
//! be paid. And whoever shows the secret has five minutes for the block that pays for it.

use super::Half;
use crate::{
    clock::utc,
    rpc::Chain,
    timelock::State,
    units::{Amount, Token},
};
use alloy::primitives::{Address, B256};
use thiserror::Error;

/// Least time between the deadlines of the two halves if nothing else is said, seconds.
pub const MARGIN_SECONDS: u64 = 3_600;
/// Least time before its deadline at which a half is claimed with a secret that nobody has seen, seconds.
pub const SHOW_SECONDS: u64 = 300;
/// How long a second half may be claimed if nothing is said and the margin allows it, seconds.
const ANSWER_SECONDS: u64 = 3_600;
/// Below this a second half is not worth opening: the other person may not dare to show the secret.
const LEAST_ANSWER_SECONDS: u64 = 600;

/// Why something is not done with a swap. Nothing was signed.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum TimelockError {
    /// Nobody says where the contract is.
    #[error(
        "this network names no contract for hashed-timelock swaps on {0}; give it with --ethereum-contract"
    )]
    NoContract(Chain),
    /// Neither an id nor a lock of anything.
    #[error(
        "no swap is known by the id or the lock {0}; check it, and that the endpoint of its chain is given"
    )]
    Unknown(B256),
    /// Somebody else would be paid.
    #[error(
        "swap {id} pays {claimer}, not {account}; use the key of {claimer}, or ask the other person to open one that pays {account}"
    )]
    NotYours {
        /// The swap.
        id: B256,
        /// Whom it pays.
        claimer: Address,
        /// Who looks at it.
        account: Address,
    },
    /// It came to its end, or never began.
    #[error(
        "swap {id} on {chain} is {state}, not open; `mileverse wallet timelock status {id}` says what is left to do"
    )]
    NotOpen {
        /// The swap.
        id: B256,
        /// Where.
        chain: Chain,
        /// What became of it.
        state: State,
    },
    /// Its opening could still be taken back.
    #[error(
        "the block {block} that opened swap {id} is not final on {chain} yet (now {known}), so it could be taken back; try again in some minutes"
    )]
    NotFinal {
        /// The swap.
        id: B256,
        /// Where.
        chain: Chain,
        /// The block that opened it.
        block: u64,
        /// The newest final one.
        known: u64,
    },
    /// The second half could be claimed when there is too little time left for the first.
    #[error(
        "the first swap may be claimed until {} UTC, so this one must end at {} UTC at the latest, {} minutes earlier; choose fewer --minutes, or ask the other person for a later deadline",
        utc(*first), utc(first.saturating_sub(*margin)), margin / 60
    )]
    Margin {
        /// The first half's deadline, seconds since 1970.
        first: u64,
        /// How much earlier the second must end, seconds.
        margin: u64,
    },
    /// Whoever opens another half under this lock gives it away.
    #[error(
        "the secret of lock {0} was shown already, so whatever is opened under it is given away; claim what pays you with `mileverse wallet timelock claim`, and trade under another lock"
    )]
    Shown(B256),
    /// The account has opened its half.
    #[error(
        "this account opened swap {id} on {chain} under this lock already; both would be paid for one secret"
    )]
    Answered {
        /// That swap.
        id: B256,
        /// Where.
        chain: Chain,
    },
    /// It brings something unknown.
    #[error(
        "swap {id} brings token {token}, which is neither MVP nor MVC there; do not trade with it"
    )]
    ForeignToken {
        /// The swap.
        id: B256,
        /// Its token.
        token: Address,
    },
    /// It brings less than was agreed, or something else.
    #[error(
        "the other half brings {brings} on {chain}, and {wanted} was agreed; do not go on with it"
    )]
    Less {
        /// What it brings.
        brings: Amount,
        /// Where.
        chain: Chain,
        /// What was agreed.
        wanted: Amount,
    },
    /// More than one fits.
    #[error("more than one swap fits: {}; name the one that is meant by its id", words(.0))]
    Several(Vec<B256>),
    /// Nothing to claim or to refund under this lock.
    #[error(
        "nothing is open under {lock} that {account} could {what}; `mileverse wallet timelock status {lock}` says what there is"
    )]
    Nothing {
        /// The lock.
        lock: B256,
        /// For whom.
        account: Address,
        /// `claim` or `refund`.
        what: &'static str,
    },
    /// Not the secret of this lock.
    #[error("this secret does not open the lock {0}; look for the file of that lock")]
    SecretWrong(B256),
    /// Nobody has shown it.
    #[error(
        "the secret of lock {0} is not known yet; it is seen once the other person claims, or give it with --secret-file"
    )]
    SecretUnknown(B256),
    /// Too late to claim, or nearly.
    #[error(
        "swap {id} may be claimed until {} UTC, which is over or so near that a block may come too late; what is left is the refund of its opener", utc(*deadline)
    )]
    Late {
        /// The swap.
        id: B256,
        /// Its deadline, seconds since 1970.
        deadline: u64,
    },
    /// Too late to show a secret.
    #[error(
        "swap {id} may be claimed until {} UTC, less than {} minutes from now; a claim shows the secret to everybody and might come too late to be paid, so keep the secret and wait for your own refund",
        utc(*deadline), SHOW_SECONDS / 60
    )]
    TooNear {
        /// The swap.
        id: B256,
        /// Its deadline, seconds since 1970.
        deadline: u64,
    },
    /// It may still be claimed.
    #[error("swap {id} may be claimed until {} UTC; it is refunded after that", utc(*deadline))]
    NotOver {
        /// The swap.
        id: B256,
        /// Its deadline, seconds since 1970.
        deadline: u64,
    },
}

fn words(ids: &[B256]) -> String {
    let ids: Vec<_> = ids.iter().map(B256::to_string).collect();
    ids.join(", ")
}

/// Whether `account` may open a second half with this deadline (seconds since 1970) under the lock of `first`:
/// that pays the account, is open, can no more be taken back, and may be claimed for at least `margin` seconds
/// longer than the second half.
pub fn may_answer(
    first: &Half,
    is_final: Result<(), u64>,
    account: Address,
    deadline: u64,
    margin: u64,
) -> Result<(), TimelockError> {
    let (id, chain) = (first.id, first.chain);
    if first.terms.claimer != account {
        return Err(TimelockError::NotYours {
            id,
            claimer: first.terms.claimer,
            account,
        });
    }
    if first.state != State::Open {
        let state = first.state;
        return Err(TimelockError::NotOpen { id, chain, state });
    }
    if first.amount.is_none() {
        let token = first.terms.token;
        return Err(TimelockError::ForeignToken { id, token });
    }
    is_final.map_err(|known| TimelockError::NotFinal {
        id,
        chain,
        block: first.block,
        known,
    })?;
    // An overflow is no margin either.
    let is_early = deadline
        .checked_add(margin)
        .is_some_and(|end| end <= first.terms.deadline);
    if !is_early {
        return Err(TimelockError::Margin {
            first: first.terms.deadline,
            margin,
        });
    }
    Ok(())
}

/// The deadline (seconds since 1970) of a second half: so many minutes from `now`, or, if nothing is said, an
/// hour or what the margin leaves of it.
pub fn deadline_of_answer(
    first: u64,
    minutes: Option<u64>,
    margin: u64,
    now: u64,
) -> Result<u64, TimelockError> {
    if let Some(minutes) = minutes {
        return Ok(now.saturating_add(minutes.saturating_mul(60)));
    }
    let latest = first.saturating_sub(margin);
    if latest < now.saturating_add(LEAST_ANSWER_SECONDS) {
        return Err(TimelockError::Margin { first, margin });
    }
    Ok(latest.min(now.saturating_add(ANSWER_SECONDS)))
}

/// Whether a half may be claimed with a secret that nobody has seen: at `now` at least [`SHOW_SECONDS`] are left.
pub fn may_show(id: B256, deadline: u64, now: u64) -> Result<(), TimelockError> {
    if now > last_to_show(deadline) || deadline < SHOW_SECONDS {
        return Err(TimelockError::TooNear { id, deadline });
    }
    Ok(())
}

/// The last second of [`may_show`].
pub(super) const fn last_to_show(deadline: u64) -> u64 {
    deadline.saturating_sub(SHOW_SECONDS)
}

/// Whether a half may be claimed with a secret that everybody knows: the next block may still be in time. To
/// wait would be worse than to try, so no more than that is asked.
pub fn may_claim(chain: Chain, id: B256, deadline: u64, now: u64) -> Result<(), TimelockError> {
    let left = deadline.checked_sub(now);
    if left.is_none_or(|left| left < block_seconds(chain)) {
        return Err(TimelockError::Late { id, deadline });
    }
    Ok(())
}

/// Seconds until the next block, at most.
pub(super) const fn block_seconds(chain: Chain) -> u64 {
    match chain {
        Chain::Native => 1,
        Chain::Ethereum => 12,
    }
}

/// Whether a half may be refunded: its deadline is over by the chain's own clock.
pub const fn may_refund(id: B256, deadline: u64, now: u64) -> Result<(), TimelockError> {
    if now > deadline {
        Ok(())
    } else {
        Err(TimelockError::NotOver { id, deadline })
    }
}

/// Whether a half brings at least what was agreed, on the chain that was agreed.
pub fn brings(half: &Half, wanted: Option<(Option<Chain>, Amount)>) -> Result<(), TimelockError> {
    let Some(brings) = half.amount else {
        return Err(TimelockError::ForeignToken {
            id: half.id,
            token: half.terms.token,
        });
    };
    let Some((chain, wanted)) = wanted else {
        return Ok(());
    };
    let is_there = chain.is_none_or(|chain| chain == half.chain);
    if !is_there || brings.token() != wanted.token() || brings.units() < wanted.units() {
        return Err(TimelockError::Less {
            brings,
            chain: half.chain,
            wanted,
        });
    }
    Ok(())
}

/// The token that is traded for another.
pub const fn other_token(token: Token) -> Token {
    match token {
        Token::Mvp => Token::Mvc,
        Token::Mvc | Token::Eth => Token::Mvp,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::timelock::Terms;
    use alloy::primitives::U256;
    use proptest::prelude::*;

    const ME: Address = Address::repeat_byte(3);

    fn half(deadline: u64) -> Half {
        Half {
            chain: Chain::Ethereum,
            id: B256::repeat_byte(7),
            terms: Terms {
                token: Address::repeat_byte(1),
                amount: U256::from(5),
                opener: Address::repeat_byte(2),
                claimer: ME,
                lock: B256::repeat_byte(4),
                deadline,
            },
            amount: Some(Amount::from_units(Token::Mvc, U256::from(5))),
            state: State::Open,
            block: 10,
            transaction: B256::ZERO,
        }
    }

    fn answer(first: &Half, deadline: u64) -> Result<(), TimelockError> {
        may_answer(first, Ok(()), ME, deadline, MARGIN_SECONDS)
    }

    #[test]
    fn a_second_half_ends_earlier_by_the_margin_to_the_second() {
        let first = half(100_000);
        assert_eq!(answer(&first, 96_400), Ok(()));
        let error = answer(&first, 96_401).unwrap_err();
        assert!(matches!(error, TimelockError::Margin { .. }), "{error}");
        assert!(error.to_string().contains("60 minutes earlier"), "{error}");
        assert!(answer(&half(u64::MAX), u64::MAX - 3_599).is_err());
        assert!(answer(&half(3_599), 0).is_err());
    }

    #[test]
    fn only_what_pays_me_is_open_and_stays_is_answered() {
        let good = half(100_000);
        let mut other = good;
        other.terms.claimer = Address::ZERO;
        assert!(matches!(
            answer(&other, 5),
            Err(TimelockError::NotYours { .. })
        ));
        for state in [State::None, State::Claimed, State::Refunded] {
            let ended = Half { state, ..good };
            assert!(matches!(
                answer(&ended, 5),
                Err(TimelockError::NotOpen { .. })
            ));
        }
        let foreign = Half {
            amount: None,
            ..good
        };
        assert!(matches!(
            answer(&foreign, 5),
            Err(TimelockError::ForeignToken { .. })
        ));
        let error = may_answer(&good, Err(9), ME, 5, MARGIN_SECONDS).unwrap_err();
        assert!(
            error.to_string().contains("is not final on Ethereum yet"),
            "{error}"
        );
    }

    #[test]
    fn what_a_half_brings_is_compared_with_what_was_agreed() {
        let half = half(9);
        let mvc = |units| Amount::from_units(Token::Mvc, U256::from(units));
        let mvp = Amount::from_units(Token::Mvp, U256::from(5));
        assert_eq!(brings(&half, None), Ok(()));
        assert_eq!(brings(&half, Some((None, mvc(5)))), Ok(()));
        assert_eq!(brings(&half, Some((Some(Chain::Ethereum), mvc(4)))), Ok(()));
        assert!(brings(&half, Some((None, mvc(6)))).is_err());
        assert!(brings(&half, Some((None, mvp))).is_err());
        assert!(brings(&half, Some((Some(Chain::Native), mvc(5)))).is_err());
    }

    #[test]
    fn the_borders_are_exact() {
        let id = B256::ZERO;
        assert!(may_show(id, 1_000, 700).is_ok());
        assert!(may_show(id, 1_000, 701).is_err());
        assert!(may_show(id, 299, 0).is_err());
        assert!(may_claim(Chain::Ethereum, id, 1_000, 988).is_ok());
        assert!(may_claim(Chain::Ethereum, id, 1_000, 989).is_err());
        assert!(may_claim(Chain::Native, id, 1_000, 999).is_ok());
        assert!(may_claim(Chain::Native, id, 1_000, 1_000).is_err());
        assert!(may_claim(Chain::Native, id, 1_000, 1_001).is_err());
        assert!(may_refund(id, 1_000, 1_000).is_err());
        assert!(may_refund(id, 1_000, 1_001).is_ok());
    }

    #[test]
    fn without_minutes_an_answer_takes_an_hour_or_what_is_left() {
        let choose = |first, now| deadline_of_answer(first, None, 3_600, now);
        assert_eq!(choose(100_000, 1_000), Ok(4_600));
        assert_eq!(choose(8_000, 1_000), Ok(4_400));
        assert_eq!(choose(5_200, 1_000), Ok(1_600));
        assert!(choose(5_199, 1_000).is_err());
        assert!(choose(0, 1_000).is_err());
        assert_eq!(deadline_of_answer(5, Some(2), 3_600, 1_000), Ok(1_120));
    }

    fn seconds() -> impl Strategy<Value = u64> {
        prop_oneof![0u64..20_000, (u64::MAX - 20_000)..=u64::MAX, any::<u64>(),]
    }

    proptest! {
        /// Whoever follows the rules is paid: when the secret is shown, at any moment at which the rules let
        /// it be shown, the first half may be claimed for the margin and five minutes, and is not refunded.
        #[test]
        fn a_secret_that_is_shown_is_worth_both_halves(
            first in seconds(), second in seconds(), margin in 0u64..20_000, now in seconds()
        ) {
            let id = B256::ZERO;
            if may_answer(&half(first), Ok(()), ME, second, margin).is_ok()
                && may_show(id, second, now).is_ok()
            {
                prop_assert!(first - now >= margin + SHOW_SECONDS);
                for chain in [Chain::Native, Chain::Ethereum] {
                    prop_assert!(may_claim(chain, id, second, now).is_ok());
                    // Up to the last second at which the second half can be claimed, and the margin beyond.
                    let late = second + margin.saturating_sub(block_seconds(chain));
                    prop_assert!(
                        may_claim(chain, id, first, late).is_ok() || margin < block_seconds(chain)
                    );
                }
                prop_assert!(may_refund(id, first, second + margin).is_err());
            }
        }

        /// Nothing is claimed and refunded at the same second.
        #[test]
        fn claims_and_refunds_exclude_each_other(deadline in seconds(), now in seconds()) {
            let id = B256::ZERO;
            for chain in [Chain::Native, Chain::Ethereum] {
                let claims = may_claim(chain, id, deadline, now).is_ok();
                prop_assert!(!(claims && may_refund(id, deadline, now).is_ok()));
                prop_assert!(claims || may_show(id, deadline, now).is_err());
            }
        }

        /// What is chosen keeps the margin, or nothing is chosen.
        #[test]
        fn a_chosen_deadline_may_be_used(
            first in seconds(), margin in 0u64..20_000, now in 0u64..20_000
        ) {
            if let Ok(deadline) = deadline_of_answer(first, None, margin, now) {
                prop_assert!(may_answer(&half(first), Ok(()), ME, deadline, margin).is_ok());
                prop_assert!(deadline >= now + LEAST_ANSWER_SECONDS);
                prop_assert!(may_show(B256::ZERO, deadline, now).is_ok());
            }
        }
    }
}
