//! The genesis file's rules of gas that is paid with coin, and of who may have it paid by others.
//! `docs/fees.md` says what each rule does.
//!
//! The default charges nothing and limits nothing: a net for development and tests.

use crate::{
    abi::{IBridge, IValves},
    address::{BRIDGE, POINTS},
    exchange::ROUTER,
    genesis::{BASIS_POINTS, GenesisError},
};
use alloy::{primitives::Address, sol_types::SolCall as _};
use serde::{Deserialize, Serialize};

/// Highest base price: 10^15 of the coin's smallest unit for one gas.
const MAX_BASE_PRICE: u64 = 1_000_000_000_000_000;

/// Calls whose senders need no coin.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Carried {
    /// Any of the points module's: its gas is paid with points.
    Points,
    /// Points sent over the bridge: the same.
    Send,
    /// A delivery over the bridge, or the release of one that waited, at the bridge itself or through
    /// the router: free if it admits a packet.
    Delivery,
}

impl Carried {
    /// Which of them a call is, if any.
    pub fn of(to: Address, input: &[u8]) -> Option<Self> {
        match to {
            POINTS => Some(Self::Points),
            // The router has the same two functions.
            BRIDGE | ROUTER => match input.split_first_chunk()? {
                (&IBridge::deliverCall::SELECTOR | &IValves::releaseCall::SELECTOR, _) => {
                    Some(Self::Delivery)
                }
                _ if to == ROUTER => None,
                (&IBridge::sendCall::SELECTOR, rest) => {
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
}

impl Default for FeeRules {
    fn default() -> Self {
        Self {
            base_price: 0,
            contract_bp: BASIS_POINTS,
        }
    }
}

impl FeeRules {
    /// The product's rules: a tenth of a block.
    pub const fn product() -> Self {
        Self {
            base_price: 0,
            contract_bp: 1_000,
        }
    }

    /// The rules that a genesis file must keep.
    pub(crate) const fn check(&self) -> Result<(), GenesisError> {
        if self.base_price > MAX_BASE_PRICE {
            return Err(GenesisError::Range("fees.basePrice (at most 10^15)"));
        }
        if self.contract_bp == 0 || self.contract_bp > BASIS_POINTS {
            return Err(GenesisError::Range("fees.contractBp (1 to 10,000)"));
        }
        Ok(())
    }

    /// Gas of a block of `gas` that is outside of the points lane, rounded down.
    pub fn contract_gas(&self, gas: u64) -> u64 {
        share(gas, self.contract_bp)
    }
}

/// A part of a block's gas, rounded down.
pub fn share(gas: u64, basis_points: u16) -> u64 {
    let part = u128::from(gas) * u128::from(basis_points) / u128::from(BASIS_POINTS);
    // A share is never more than the whole.
    u64::try_from(part).unwrap_or(gas)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_that_cannot_be_are_refused() {
        assert_eq!(FeeRules::product().check(), Ok(()));
        assert_eq!(FeeRules::default().check(), Ok(()));
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
        ] {
            assert!(bad.check().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn shares_are_rounded_down_and_never_more_than_the_whole() {
        assert_eq!(share(999, 1_000), 99);
        assert_eq!(share(u64::MAX, BASIS_POINTS), u64::MAX);
        assert_eq!(FeeRules::default().contract_gas(7), 7);
    }
}
