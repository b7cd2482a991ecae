//! What a transfer costs: a share of the amount, rounded down, never above a cap, paid by the
//! payer on top of the amount.
//!
//! Free are transfers from or to an account that the genesis file exempts, and from or to the
//! receiver of the fees. The bridge's moves, issues and burns do not come by here at all. The rules
//! are the genesis file's, so they are read from memory.

use alloy::primitives::{Address, U256, map::HashMap};
use mileverse_primitives::points::{ExemptClass, PointsRules};

/// The rules of the points token, ready for use.
#[derive(Clone, Debug)]
pub(crate) struct Rules {
    pub(crate) given: PointsRules,
    exempt: HashMap<Address, ExemptClass>,
}

impl Rules {
    pub(crate) fn new(given: &PointsRules) -> Self {
        let mut exempt: HashMap<Address, ExemptClass> = given
            .fee
            .exempt
            .iter()
            .map(|exempt| (exempt.address, exempt.class))
            .collect();
        exempt.insert(given.fee.receiver, ExemptClass::Both);
        Self {
            given: given.clone(),
            exempt,
        }
    }

    /// Who receives fees.
    pub(crate) const fn receiver(&self) -> Address {
        self.given.fee.receiver
    }

    /// Whether what `account` pays is free.
    pub(crate) fn sends_free(&self, account: Address) -> bool {
        self.exempt.get(&account).is_some_and(|class| class.sends())
    }

    /// What moving `amount` costs, on top of it.
    pub(crate) fn fee(&self, from: Address, to: Address, amount: U256) -> U256 {
        let receives_free = || self.exempt.get(&to).is_some_and(|class| class.receives());
        if self.sends_free(from) || receives_free() {
            U256::ZERO
        } else {
            self.given.fee.of(amount)
        }
    }
}
