//! Who pays for calls to a contract.

use super::{FEES, OPERATORS, refusal::Refusal};
use crate::modules::{
    Config,
    host::{Fault, Host},
    is_nobody,
    ledger::Ledger,
    slot::Slot,
};
use alloy::primitives::{Address, B256, U256};
use mileverse_primitives::abi::IFees;

/// The bit above the operator's address.
const CLAIMED: U256 = U256::from_limbs([0, 0, 1 << 32, 0]);

/// A contract's operator.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Operator {
    /// Zero if there is none.
    pub(super) address: Address,
    /// Whether the contract's own word counts no more.
    pub(super) claimed: bool,
}

impl Operator {
    pub(super) fn load(ledger: &mut impl Ledger, callee: Address) -> Result<Self, Fault> {
        let word = ledger.load(OPERATORS.entry(callee))?;
        Ok(Self {
            address: Address::from_word(B256::from(word)),
            claimed: !(word & CLAIMED).is_zero(),
        })
    }

    fn word(self) -> U256 {
        let address = U256::from_be_bytes(self.address.into_word().0);
        let flag = if self.claimed { CLAIMED } else { U256::ZERO };
        address | flag
    }

    fn save(self, host: &mut Host<'_>, callee: Address) -> Result<(), Fault> {
        host.store(OPERATORS.entry(callee), self.word())?;
        let operator = self.address;
        host.log(FEES, &IFees::OperatorSet { callee, operator })
    }
}

/// Those that the genesis file names. Nobody created what it places, and nobody else can claim it.
pub(crate) fn genesis_storage(config: &Config) -> Vec<(Slot, U256)> {
    let named = config.contracts.iter().filter_map(|contract| {
        let operator = Operator {
            address: contract.operator?,
            claimed: true,
        };
        Some((OPERATORS.entry(contract.address), operator.word()))
    });
    named.collect()
}

/// Makes the caller the operator of the contract that it created.
pub(super) fn claim(host: &mut Host<'_>, callee: Address, nonce: u64) -> Result<(), Fault> {
    let caller = host.caller();
    if caller.create(nonce) != callee {
        return Err(Refusal::NotItsCreator { callee, nonce }.into());
    }
    if Operator::load(host, callee)?.claimed {
        return Err(Refusal::Claimed(callee).into());
    }
    let operator = Operator {
        address: caller,
        claimed: true,
    };
    operator.save(host, callee)
}

/// Names another operator.
pub(super) fn hand_over(host: &mut Host<'_>, callee: Address, next: Address) -> Result<(), Fault> {
    if is_nobody(next) {
        return Err(Refusal::Nobody.into());
    }
    let caller = host.caller();
    let now = Operator::load(host, callee)?;
    let is_operator = !now.address.is_zero() && caller == now.address;
    let is_own_word = caller == callee && !now.claimed;
    if !is_operator && !is_own_word {
        return Err(if now.claimed {
            Refusal::NotItsOperator(callee).into()
        } else {
            Refusal::NotItsWord(callee).into()
        });
    }
    let operator = Operator {
        address: next,
        ..now
    };
    operator.save(host, callee)
}
