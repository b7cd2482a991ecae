//! The genesis file's rules of gas that is paid with coin, and of who may have it paid by others.
//! `docs/fees.md` says what each rule does.
//!
//! The default charges nothing and limits nothing: a net for development and tests.

use crate::{
    abi::{IBridge, IPeers, IValves},
    address::{BRIDGE, PEERS, POINTS},
    exchange::ROUTER,
    genesis::{BASIS_POINTS, GenesisError},
};
use alloy::{primitives::Address, sol_types::SolCall as _};
use serde::{Deserialize, Serialize};

/// Highest base price: 10^15 of the coin's smallest unit for one gas.
const MAX_BASE_PRICE: u64 = 1_000_000_000_000_000;
/// An operator's notice, if the genesis file says nothing else: an hour.
const NOTICE_SECONDS: u64 = 3_600;
/// Longest notice: four weeks.
const MAX_NOTICE_SECONDS: u64 = 28 * 86_400;
/// Most free gas for a coin.
const MAX_GAS_PER_COIN: u64 = 1_000_000_000;
/// The smallest units of one coin.
const UNITS_PER_COIN: u128 = 1_000_000_000_000_000_000;

/// Calls whose senders need no coin.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Carried {
    /// Any of the points module's: its gas is paid with points.
    Points,
    /// Points sent over the bridge or to a peer, a peer's own that go home among them: the same.
    Send,
    /// A delivery over the bridge or from a peer, or the release of one that waited, at the bridge
    /// itself or through the router: free if it admits a packet.
    Delivery,
}

impl Carried {
    /// Which of them a call is, if any.
    pub fn of(to: Address, input: &[u8]) -> Option<Self> {
        match to {
            POINTS => Some(Self::Points),
            PEERS => match *input.first_chunk()? {
                IPeers::deliverCall::SELECTOR | IPeers::releaseCall::SELECTOR => {
                    Some(Self::Delivery)
                }
                IPeers::sendCall::SELECTOR | IPeers::sendAcknowledgedCall::SELECTOR => {
                    Some(Self::Send)
                }
                _ => None,
            },
            // The router has the same two functions.
            BRIDGE | ROUTER => match input.split_first_chunk()? {
                (&IBridge::deliverCall::SELECTOR | &IValves::releaseCall::SELECTOR, _) => {
                    Some(Self::Delivery)
                }
                _ if to == ROUTER => None,
                (&IBridge::sendCall::SELECTOR | &IBridge::sendAcknowledgedCall::SELECTOR, rest) => {
                    let (token, _) = rest.split_first_chunk::<32>()?;
                    (*token == POINTS.into_word().0).then_some(Self::Send)
                }
                _ => None,
            },
            _ => None,
        }
    }
}

/// What gas costs outside of the points lane.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct FeeRules {
    /// Least price of one gas, in the coin's smallest unit: the base fee of every block.
    pub base_price: u64,
    /// Share of a block's gas for all that is outside of the points lane: contracts, whose gas takes
    /// a machine far longer than the modules' does.
    pub contract_bp: u16,
    /// Seconds from announcing until an operator may take back its deposit, or pays less.
    #[serde(skip_serializing_if = "is_notice")]
    pub notice_seconds: u64,
    /// Gas that each whole coin of stake has free in a window; 0 for none.
    #[serde(skip_serializing_if = "is_zero")]
    pub free_gas_per_coin: u64,
    /// Epochs of a window, at most those that stake takes to be free: so no coin counts twice.
    #[serde(skip_serializing_if = "is_one")]
    pub free_gas_epochs: u64,
    /// Share of the contracts' gas of a block that may be free of charge.
    #[serde(skip_serializing_if = "is_whole")]
    pub free_gas_bp: u16,
}

impl Default for FeeRules {
    fn default() -> Self {
        Self {
            base_price: 0,
            contract_bp: BASIS_POINTS,
            notice_seconds: NOTICE_SECONDS,
            free_gas_per_coin: 0,
            free_gas_epochs: 1,
            free_gas_bp: BASIS_POINTS,
        }
    }
}

impl FeeRules {
    /// The product's rules: a tenth of a block for contracts; a day of epochs' gas free for stake, in a
    /// quarter of that tenth.
    pub const fn product() -> Self {
        Self {
            base_price: 0,
            contract_bp: 1_000,
            notice_seconds: NOTICE_SECONDS,
            free_gas_per_coin: 100,
            free_gas_epochs: 288,
            free_gas_bp: 2_500,
        }
    }

    /// The rules that a genesis file must keep.
    pub(crate) const fn check(&self, unbonding_epochs: u64) -> Result<(), GenesisError> {
        if self.base_price > MAX_BASE_PRICE {
            return Err(GenesisError::Range("fees.basePrice (at most 10^15)"));
        }
        if self.contract_bp == 0 || self.contract_bp > BASIS_POINTS {
            return Err(GenesisError::Range("fees.contractBp (1 to 10,000)"));
        }
        if self.notice_seconds == 0 || self.notice_seconds > MAX_NOTICE_SECONDS {
            return Err(GenesisError::Range("fees.noticeSeconds (1 to 2,419,200)"));
        }
        if self.free_gas_per_coin > MAX_GAS_PER_COIN {
            return Err(GenesisError::Range("fees.freeGasPerCoin (at most 10^9)"));
        }
        // A coin that has left an account must not count for another in the same window.
        if self.free_gas_epochs == 0 || self.free_gas_epochs > unbonding_epochs {
            return Err(GenesisError::Range(
                "fees.freeGasEpochs (1 to staking.unbondingEpochs)",
            ));
        }
        if self.free_gas_bp > BASIS_POINTS {
            return Err(GenesisError::Range("fees.freeGasBp (at most 10,000)"));
        }
        Ok(())
    }

    /// Gas of a block of `gas` that is outside of the points lane, rounded down.
    pub fn contract_gas(&self, gas: u64) -> u64 {
        share(gas, self.contract_bp)
    }

    /// Gas of a block of `gas` that may be free, rounded down.
    pub fn free_gas(&self, gas: u64) -> u64 {
        share(self.contract_gas(gas), self.free_gas_bp)
    }

    /// Whether stake has any gas free.
    pub const fn has_free_gas(&self) -> bool {
        self.base_price > 0 && self.free_gas_per_coin > 0 && self.free_gas_bp > 0
    }

    /// Gas that a stake, in the coin's smallest unit, has free in a window: for whole coins only.
    pub fn quota(&self, stake: u128) -> u64 {
        let coins = u64::try_from(stake / UNITS_PER_COIN).unwrap_or(u64::MAX);
        coins.saturating_mul(self.free_gas_per_coin)
    }

    /// What an operator with this share pays of the base price, rounded down.
    pub fn covered(&self, share_bp: u16) -> u64 {
        share(self.base_price, share_bp)
    }
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde hands references")]
const fn is_notice(seconds: &u64) -> bool {
    *seconds == NOTICE_SECONDS
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde hands references")]
const fn is_zero(number: &u64) -> bool {
    *number == 0
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde hands references")]
const fn is_one(number: &u64) -> bool {
    *number == 1
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde hands references")]
const fn is_whole(share: &u16) -> bool {
    *share == BASIS_POINTS
}

/// A part of a block's gas or of a price, rounded down.
pub fn share(gas: u64, basis_points: u16) -> u64 {
    let part = u128::from(gas) * u128::from(basis_points) / u128::from(BASIS_POINTS);
    // A share is never more than the whole.
    u64::try_from(part).unwrap_or(gas)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn rules_that_cannot_be_are_refused() {
        assert_eq!(FeeRules::product().check(288), Ok(()));
        assert_eq!(FeeRules::default().check(4), Ok(()));
        for bad in [
            FeeRules {
                base_price: MAX_BASE_PRICE + 1,
                ..FeeRules::product()
            },
            FeeRules {
                contract_bp: 0,
                ..FeeRules::product()
            },
            FeeRules {
                contract_bp: BASIS_POINTS + 1,
                ..FeeRules::product()
            },
            FeeRules {
                notice_seconds: 0,
                ..FeeRules::product()
            },
            FeeRules {
                notice_seconds: MAX_NOTICE_SECONDS + 1,
                ..FeeRules::product()
            },
            FeeRules {
                free_gas_per_coin: MAX_GAS_PER_COIN + 1,
                ..FeeRules::product()
            },
            FeeRules {
                free_gas_epochs: 0,
                ..FeeRules::product()
            },
            FeeRules {
                free_gas_epochs: 289,
                ..FeeRules::product()
            },
            FeeRules {
                free_gas_bp: BASIS_POINTS + 1,
                ..FeeRules::product()
            },
        ] {
            assert!(bad.check(288).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_file_without_the_new_rules_is_as_it_was() {
        let old = r#"{"basePrice":7,"contractBp":1000}"#;
        let rules: FeeRules = serde_json::from_str(old).unwrap();
        assert_eq!(rules.notice_seconds, NOTICE_SECONDS);
        assert_eq!(serde_json::to_string(&rules).unwrap(), old);
    }

    #[test]
    fn quotas_count_whole_coins_and_never_overflow() {
        let rules = FeeRules::product();
        assert_eq!(rules.quota(UNITS_PER_COIN - 1), 0);
        assert_eq!(rules.quota(2 * UNITS_PER_COIN + 5), 200);
        assert_eq!(rules.quota(u128::MAX), u64::MAX);
        let priced = FeeRules {
            base_price: 999,
            ..rules
        };
        assert_eq!(priced.covered(5_000), 499);
        assert_eq!(priced.covered(BASIS_POINTS), 999);
        assert_eq!(priced.free_gas(1_000_000), 25_000);
    }

    #[test]
    fn shares_are_rounded_down_and_never_more_than_the_whole() {
        assert_eq!(share(999, 1_000), 99);
        assert_eq!(share(u64::MAX, BASIS_POINTS), u64::MAX);
        assert_eq!(FeeRules::default().contract_gas(7), 7);
    }
}
