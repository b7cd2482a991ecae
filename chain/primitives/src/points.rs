//! The genesis file's rules of the points token: who may stop issuing, what a transfer costs, and
//! the lane in which gas is paid with points. `docs/points.md` and `docs/fees.md` say what each
//! rule does.
//!
//! Amounts are micro-points (6 decimals), shares basis points (10,000 are the whole). The default
//! charges nothing; [`PointsRules::paid_to`] has the numbers of the product.

use crate::{
    address,
    genesis::{BASIS_POINTS, GenesisError},
};
use alloy::primitives::{Address, U256};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Micro-points of one point.
pub const MICRO: u64 = 1_000_000;
/// Highest share that a transfer may cost.
pub const MAX_FEE_BP: u16 = 1_000;
/// Most exempt accounts.
pub const MAX_EXEMPT: usize = 1_024;

/// The rules of the points token.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PointsRules {
    /// Who may stop issuing and let it go on; the zero address is nobody.
    pub guardian: Address,
    /// What a transfer costs.
    pub fee: TransferFee,
    /// Transactions that pay with points for their gas.
    pub lane: Lane,
}

/// What a transfer costs, on top of its amount.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TransferFee {
    /// Share of the amount.
    pub basis_points: u16,
    /// Never more than this, in micro-points.
    pub cap: U256,
    /// Who receives it, and what the lane charges.
    pub receiver: Address,
    /// Accounts whose transfers are free, for settlement.
    pub exempt: Vec<Exempt>,
}

/// An account whose transfers are free.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Exempt {
    /// The account.
    pub address: Address,
    /// Which of its transfers.
    pub class: ExemptClass,
}

/// Which transfers of an exempt account are free.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum ExemptClass {
    /// Those it pays.
    Sender,
    /// Those it is paid.
    Receiver,
    /// All.
    Both,
}

impl ExemptClass {
    /// Whether what the account pays is free.
    pub const fn sends(self) -> bool {
        matches!(self, Self::Sender | Self::Both)
    }

    /// Whether what the account is paid is free.
    pub const fn receives(self) -> bool {
        matches!(self, Self::Receiver | Self::Both)
    }
}

/// Transactions to the points module with a gas price of zero, which pay with points.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Lane {
    /// Share of a block's gas that they may have.
    pub share_bp: u16,
    /// Micro-points for each gas of a call that moves no amount, and of one that fails.
    pub price: u64,
    /// Least micro-points for each transfer that succeeds; its fee counts towards it.
    pub least: u64,
}

impl Default for Lane {
    fn default() -> Self {
        Self {
            share_bp: BASIS_POINTS,
            price: 0,
            least: 0,
        }
    }
}

impl PointsRules {
    /// The product's rules: 0.3 %, at most 300 points; in the lane, one micro-point per gas, and
    /// for a transfer at least what one point's transfer costs.
    pub fn paid_to(receiver: Address) -> Self {
        Self {
            guardian: Address::ZERO,
            fee: TransferFee {
                basis_points: 30,
                cap: U256::from(300 * MICRO),
                receiver,
                exempt: Vec::new(),
            },
            lane: Lane {
                share_bp: 9_000,
                price: 1,
                least: 3_000,
            },
        }
    }

    /// The rules that a genesis file must keep.
    pub(crate) fn check(&self) -> Result<(), GenesisError> {
        if address::is_native_code(self.guardian) {
            return Err(GenesisError::PointsAccount("guardian"));
        }
        let fee = &self.fee;
        if fee.basis_points > MAX_FEE_BP {
            return Err(GenesisError::Range(
                "points.fee.basisPoints (at most 1,000)",
            ));
        }
        if address::is_native_code(fee.receiver) {
            return Err(GenesisError::PointsAccount("fee.receiver"));
        }
        let charges = fee.basis_points > 0 || self.lane.price > 0 || self.lane.least > 0;
        if charges && fee.receiver.is_zero() {
            return Err(GenesisError::ZeroAddress("points.fee.receiver"));
        }
        if fee.exempt.len() > MAX_EXEMPT {
            return Err(GenesisError::Range("points.fee.exempt (at most 1,024)"));
        }
        let mut seen = BTreeSet::new();
        for exempt in &fee.exempt {
            if exempt.address.is_zero() || !seen.insert(exempt.address) {
                return Err(GenesisError::ExemptTwice(exempt.address));
            }
        }
        if !(1..=BASIS_POINTS).contains(&self.lane.share_bp) {
            return Err(GenesisError::Range("points.lane.shareBp (1 to 10,000)"));
        }
        if self.lane.price > MICRO || self.lane.least > MICRO {
            return Err(GenesisError::Range(
                "points.lane.price or least (at most one point)",
            ));
        }
        Ok(())
    }
}

impl TransferFee {
    /// The fee of moving `amount` between accounts that are not exempt: the share, rounded down,
    /// and never more than the cap. So nobody pays more than the share, however an amount is
    /// split.
    pub fn of(&self, amount: U256) -> U256 {
        amount
            .checked_mul(U256::from(self.basis_points))
            // An amount so large has a fee beyond any cap.
            .map_or(self.cap, |product| {
                (product / U256::from(BASIS_POINTS)).min(self.cap)
            })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    const RECEIVER: Address = Address::repeat_byte(9);

    fn fee(amount: u128) -> U256 {
        PointsRules::paid_to(RECEIVER).fee.of(U256::from(amount))
    }

    #[test]
    fn the_fee_at_its_edges() {
        for (amount, expected) in [
            (0u128, 0u64),
            (1, 0),
            (333, 0),
            (334, 1),
            (666, 1),
            (667, 2),
            (1_000_000, 3_000),
            (99_999_999_999, 299_999_999),
            (100_000_000_000, 300_000_000),
            (100_000_000_001, 300_000_000),
            (u128::MAX, 300_000_000),
        ] {
            assert_eq!(fee(amount), U256::from(expected), "{amount}");
        }
        let rules = PointsRules::paid_to(RECEIVER);
        assert_eq!(rules.fee.of(U256::MAX), rules.fee.cap);
        assert_eq!(PointsRules::default().fee.of(U256::MAX), U256::ZERO);
    }

    proptest! {
        #[test]
        fn never_more_than_the_share_or_the_cap(amount in any::<u128>()) {
            let paid = fee(amount);
            prop_assert!(paid <= U256::from(300 * MICRO));
            prop_assert!(paid * U256::from(10_000) <= U256::from(amount) * U256::from(30));
            // The next micro-point would be too much, or the cap is reached.
            let next = (paid + U256::ONE) * U256::from(10_000);
            prop_assert!(next > U256::from(amount) * U256::from(30) || paid == U256::from(300 * MICRO));
        }

        #[test]
        fn splitting_is_never_dearer_below_the_cap(one in 0u64..50_000_000_000, two in 0u64..50_000_000_000) {
            let whole = fee(u128::from(one) + u128::from(two));
            prop_assert!(fee(one.into()) + fee(two.into()) <= whole);
        }
    }

    #[test]
    fn rules_are_read_as_people_write_them() {
        let text = r#"{
            "guardian": "0x0000000000000000000000000000000000000000",
            "fee": {
                "basisPoints": 30,
                "cap": "300000000",
                "receiver": "0x0909090909090909090909090909090909090909",
                "exempt": []
            },
            "lane": { "shareBp": 9000, "price": 1, "least": 3000 }
        }"#;
        let rules: PointsRules = serde_json::from_str(text).unwrap();
        assert_eq!(rules, PointsRules::paid_to(RECEIVER));
        let written = serde_json::to_string(&rules).unwrap();
        assert_eq!(
            serde_json::from_str::<PointsRules>(&written).unwrap(),
            rules
        );
    }

    #[test]
    fn bad_rules_are_refused_by_name() {
        type Breaker = (&'static str, fn(&mut PointsRules));
        let breakers: [Breaker; 8] = [
            ("guardian", |r| r.guardian = address::BRIDGE),
            ("basisPoints", |r| r.fee.basis_points = 1_001),
            ("fee.receiver", |r| r.fee.receiver = address::STAKING),
            ("points.fee.receiver", |r| r.fee.receiver = Address::ZERO),
            ("exempt", |r| {
                let exempt = Exempt {
                    address: RECEIVER,
                    class: ExemptClass::Both,
                };
                r.fee.exempt = vec![exempt, exempt];
            }),
            ("shareBp", |r| r.lane.share_bp = 0),
            ("shareBp", |r| r.lane.share_bp = 10_001),
            ("lane.price", |r| r.lane.price = MICRO + 1),
        ];
        assert_eq!(PointsRules::default().check(), Ok(()));
        assert_eq!(PointsRules::paid_to(RECEIVER).check(), Ok(()));
        for (word, break_it) in breakers {
            let mut bad = PointsRules::paid_to(RECEIVER);
            break_it(&mut bad);
            let error = bad.check().unwrap_err().to_string();
            assert!(error.contains(word), "{error} lacks {word:?}");
        }
    }
}
