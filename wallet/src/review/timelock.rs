//! Calls of hashed-timelock swaps, in words: what is locked for whom, and whom a claim or a refund pays.
//!
//! A secret is not repeated: whoever looks over a shoulder would have it before the block.

use super::{Review, canonical, second};
use crate::{
    timelock::{Terms, lock_of},
    units::Amount,
};
use alloy::primitives::{Address, B256, U256};
use mileverse_primitives::exchange::HashedTimelock::{self, HashedTimelockCalls};

type Lines = Vec<(&'static str, String)>;

impl Review<'_> {
    pub(super) fn timelock(&self) -> Option<Lines> {
        match canonical::<HashedTimelockCalls>(&self.transaction.input).ok()? {
            HashedTimelockCalls::open(call) => Some(self.opens(&call, "")),
            HashedTimelockCalls::openWithPermit(call) => {
                let how = match call.permitDeadline {
                    U256::MAX => ", with a permit to take exactly that, good for ever".to_owned(),
                    until => format!(
                        ", with a permit to take exactly that, good until {}",
                        second(until)
                    ),
                };
                let call = HashedTimelock::openCall {
                    token: call.token,
                    amount: call.amount,
                    claimer: call.claimer,
                    lock: call.lock,
                    deadline: call.deadline,
                };
                Some(self.opens(&call, &how))
            }
            HashedTimelockCalls::claim(call) => {
                let terms = Terms::from(call.terms);
                let mut lines = vec![
                    (
                        "action",
                        format!(
                            "claim {} with a secret, which everybody sees then",
                            self.locked(terms.token, terms.amount)
                        ),
                    ),
                    ("pays", self.whom(terms.claimer)),
                    ("opened by", self.whom(terms.opener)),
                    ("lock", terms.lock.to_string()),
                    ("claimed until", second(U256::from(terms.deadline))),
                ];
                if lock_of(call.secret) != terms.lock {
                    lines.push((
                        "warning",
                        "the secret does not open this lock; the claim will be refused".to_owned(),
                    ));
                }
                Some(lines)
            }
            HashedTimelockCalls::refund(call) => {
                let terms = Terms::from(call.terms);
                Some(vec![
                    (
                        "action",
                        format!(
                            "refund {} of a swap whose time is over",
                            self.locked(terms.token, terms.amount)
                        ),
                    ),
                    ("pays", self.whom(terms.opener)),
                    ("was for", self.whom(terms.claimer)),
                    ("lock", terms.lock.to_string()),
                    ("over after", second(U256::from(terms.deadline))),
                ])
            }
            _ => None,
        }
    }

    fn opens(&self, call: &HashedTimelock::openCall, how: &str) -> Lines {
        let locked = self.locked(call.token, call.amount);
        vec![
            ("action", format!("lock {locked} for a secret{how}")),
            ("pays", self.whom(call.claimer)),
            ("lock", B256::to_string(&call.lock)),
            ("claimed until", second(U256::from(call.deadline))),
            (
                "refunded",
                format!("to {} after that", self.whom(self.account)),
            ),
        ]
    }

    /// How much of what.
    fn locked(&self, token: Address, units: U256) -> String {
        match self.token_of(token) {
            Some(token) => Amount::from_units(token, units).to_string(),
            None => format!("{units} units of {token}, a token that this wallet does not know"),
        }
    }

    fn whom(&self, address: Address) -> String {
        if address == self.account {
            format!("{address}, this account")
        } else {
            address.to_string()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        review::Places,
        rpc::Chain,
        transaction::{Fees, Unsigned},
    };
    use alloy::sol_types::SolCall as _;

    const ME: Address = Address::repeat_byte(1);
    const BOB: Address = Address::repeat_byte(2);
    const POINTS: Address = Address::repeat_byte(3);
    const COIN: Address = Address::repeat_byte(4);
    const SWAPS: Address = Address::repeat_byte(5);
    const SECRET: B256 = B256::repeat_byte(6);

    fn shown(timelock: Option<Address>, input: Vec<u8>) -> String {
        let transaction = Unsigned {
            chain_id: 1,
            nonce: 0,
            gas_limit: 100_000,
            fees: Fees::Legacy { price: 0 },
            to: SWAPS,
            value: U256::ZERO,
            input: input.into(),
        };
        let places = Places {
            chain: Chain::Ethereum,
            points: POINTS,
            coin: COIN,
            bridge: Address::repeat_byte(9),
            timelock,
        };
        let review = Review {
            places,
            account: ME,
            transaction: &transaction,
        };
        let lines = review.lines();
        let text = lines.iter().map(|(name, value)| format!("{name}: {value}"));
        text.collect::<Vec<_>>().join("\n")
    }

    fn check(input: Vec<u8>, lines: &[&str]) -> String {
        let text = shown(Some(SWAPS), input);
        for line in lines {
            assert!(
                text.lines().any(|shown| shown == *line),
                "{line} in\n{text}"
            );
        }
        text
    }

    fn terms(token: Address) -> HashedTimelock::Terms {
        HashedTimelock::Terms {
            token,
            amount: U256::from(2_500_000),
            opener: BOB,
            claimer: ME,
            lock: lock_of(SECRET),
            deadline: 99,
        }
    }

    #[test]
    fn openings_say_for_whom_and_until_when() {
        let lock = lock_of(SECRET);
        let open = HashedTimelock::openCall {
            token: POINTS,
            amount: U256::from(2_500_000),
            claimer: BOB,
            lock,
            deadline: 99,
        };
        let input = open.abi_encode();
        let pays = format!("pays: {BOB}");
        let refunded = format!("refunded: to {ME}, this account after that");
        let locked = format!("lock: {lock}");
        let expected = [
            "action: lock 2.5 MVP for a secret",
            &pays,
            &locked,
            "claimed until: second 99 since 1970",
            &refunded,
        ];
        check(input.clone(), &expected);
        let with_permit = HashedTimelock::openWithPermitCall {
            token: POINTS,
            amount: open.amount,
            claimer: BOB,
            lock,
            deadline: 99,
            permitDeadline: U256::from(7),
            v: 27,
            r: B256::ZERO,
            s: B256::ZERO,
        };
        let action = "action: lock 2.5 MVP for a secret, with a permit to take exactly that, good until second 7 since 1970";
        check(with_permit.abi_encode(), &[action, &pays, &refunded]);
        // Where the contract is not known, nothing is guessed.
        assert!(shown(None, input.clone()).contains("cannot read"));
        let mut odd = input;
        odd.push(0);
        assert!(shown(Some(SWAPS), odd).contains("cannot read"));
    }

    #[test]
    fn claims_and_refunds_say_whom_they_pay_and_keep_the_secret() {
        let claim = HashedTimelock::claimCall {
            terms: terms(COIN),
            secret: SECRET,
        };
        let (pays, opened) = (
            format!("pays: {ME}, this account"),
            format!("opened by: {BOB}"),
        );
        let text = check(
            claim.abi_encode(),
            &[
                "action: claim 0.0000000000025 MVC with a secret, which everybody sees then",
                &pays,
                &opened,
                "claimed until: second 99 since 1970",
            ],
        );
        assert!(!text.contains(&SECRET.to_string()), "{text}");
        assert!(!text.contains("warning"), "{text}");
        let wrong = HashedTimelock::claimCall {
            secret: B256::ZERO,
            ..claim
        };
        let text = shown(Some(SWAPS), wrong.abi_encode());
        assert!(text.contains("does not open this lock"), "{text}");
        let refund = HashedTimelock::refundCall { terms: terms(BOB) };
        let pays = format!("pays: {BOB}");
        let text = check(
            refund.abi_encode(),
            &[&pays, "over after: second 99 since 1970"],
        );
        assert!(
            text.contains("refund 2500000 units of") && text.contains("does not know"),
            "{text}"
        );
        // A view is nothing to sign.
        let view = HashedTimelock::statesCall { id: B256::ZERO };
        assert!(shown(Some(SWAPS), view.abi_encode()).contains("cannot read"));
    }
}
