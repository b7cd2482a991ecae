//! The two tokens that cross, and their books.
//!
//! ```txt
//! at home (points):  backing = sent − received − refunded = points held by the bridge
//! away (coin):       backing = received + refunded − sent = supply of the coin
//! ```

use super::TOTALS;
use crate::modules::{
    coin,
    host::{Fault, Host},
    points,
    slot::Slot,
};
use alloy::primitives::{Address, U256};
use mileverse_primitives::{
    abi::IBridge,
    address::{BRIDGE, COIN, POINTS},
    packet,
};

/// A token of this bridge.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Token {
    /// MVP: at home here.
    Points,
    /// MVC: at home on Ethereum.
    Coin,
}

/// Where the sum of what was received of a token here stands.
pub(super) fn received_slot(token: Address) -> Slot {
    TOTALS.entry(token).field(Sum::Received.field())
}

/// Which of a token's sums.
#[derive(Clone, Copy, Debug)]
pub(super) enum Sum {
    Sent,
    Received,
    Refunded,
}

impl Sum {
    const fn field(self) -> u64 {
        match self {
            Self::Sent => 0,
            Self::Received => 1,
            Self::Refunded => 2,
        }
    }
}

impl Token {
    /// The token with this address on this chain.
    pub(super) fn here(address: Address) -> Result<Self, Fault> {
        match address {
            POINTS => Ok(Self::Points),
            COIN => Ok(Self::Coin),
            _ => Err(Fault::revert(
                "this token is not registered with the bridge",
            )),
        }
    }

    /// The token that a packet names, if it is one of this bridge's.
    pub(super) fn of_packet(host: &Host<'_>, named: packet::Token) -> Option<Self> {
        [Self::Points, Self::Coin]
            .into_iter()
            .find(|token| token.at_home(host) == named)
    }

    /// How packets name it.
    pub(super) const fn at_home(self, host: &Host<'_>) -> packet::Token {
        let config = host.config();
        match self {
            Self::Points => packet::Token {
                home: config.chain_id,
                contract: POINTS,
            },
            Self::Coin => packet::Token {
                home: config.ethereum.chain_id,
                contract: config.ethereum.coin,
            },
        }
    }

    /// Its address on this chain.
    pub(super) const fn address(self) -> Address {
        match self {
            Self::Points => POINTS,
            Self::Coin => COIN,
        }
    }

    pub(super) fn totals(self, host: &mut Host<'_>) -> Result<IBridge::Totals, Fault> {
        let slot = TOTALS.entry(self.address());
        Ok(IBridge::Totals {
            sent: host.load(slot.field(Sum::Sent.field()))?,
            received: host.load(slot.field(Sum::Received.field()))?,
            refunded: host.load(slot.field(Sum::Refunded.field()))?,
        })
    }

    /// Adds to one of the sums; they only grow.
    pub(super) fn count(self, host: &mut Host<'_>, sum: Sum, amount: U256) -> Result<(), Fault> {
        host.add(TOTALS.entry(self.address()).field(sum.field()), amount)
    }

    /// What the books say is held here (at home) or exists here (away).
    pub(super) fn backing(self, host: &mut Host<'_>) -> Result<U256, Fault> {
        let totals = self.totals(host)?;
        let amount = match self {
            Self::Points => totals
                .sent
                .checked_sub(totals.received)
                .and_then(|rest| rest.checked_sub(totals.refunded)),
            Self::Coin => totals
                .received
                .checked_add(totals.refunded)
                .and_then(|sum| sum.checked_sub(totals.sent)),
        };
        amount.ok_or_else(Fault::overflow)
    }

    /// Whether the books agree with what is really there.
    pub(super) fn is_solvent(self, host: &mut Host<'_>) -> Result<bool, Fault> {
        let real = match self {
            Self::Points => points::ledger::balance(host, BRIDGE)?,
            Self::Coin => coin::ledger::supply(host)?,
        };
        Ok(self.backing(host)? == real)
    }

    /// Takes tokens from the caller: held if at home, destroyed if away.
    pub(super) fn take(self, host: &mut Host<'_>, amount: U256) -> Result<(), Fault> {
        let caller = host.caller();
        match self {
            Self::Points => {
                host.not_payable()?;
                points::ledger::transfer(host, caller, BRIDGE, amount)
            }
            Self::Coin => {
                if host.value() != amount {
                    return Err(Fault::revert(
                        "sending MVC needs exactly the amount as the call's value",
                    ));
                }
                // The value stands in this module's account by now.
                coin::ledger::burn(host, BRIDGE, caller, amount)
            }
        }
    }

    /// What an account has.
    pub(super) fn balance(self, host: &mut Host<'_>, account: Address) -> Result<U256, Fault> {
        match self {
            Self::Points => points::ledger::balance(host, account),
            Self::Coin => host.balance(account),
        }
    }

    /// Takes back what was given and counted as received in the same transaction.
    pub(super) fn take_back(
        self,
        host: &mut Host<'_>,
        from: Address,
        amount: U256,
    ) -> Result<(), Fault> {
        host.subtract(
            received_slot(self.address()),
            amount,
            "more would be taken back than was received",
        )?;
        match self {
            Self::Points => points::ledger::transfer(host, from, BRIDGE, amount),
            Self::Coin => coin::ledger::burn(host, from, from, amount),
        }
    }

    /// Whether the books have as much to give: a token at home leaves only from what is held.
    pub(super) fn can_give(self, host: &mut Host<'_>, amount: U256) -> Result<bool, Fault> {
        Ok(self == Self::Coin || amount <= self.backing(host)?)
    }

    /// Gives tokens: from what is held if at home, made if away.
    pub(super) fn give(
        self,
        host: &mut Host<'_>,
        to: Address,
        amount: U256,
        sum: Sum,
    ) -> Result<(), Fault> {
        if !self.can_give(host, amount)? {
            return Err(Fault::revert("the bridge holds fewer points than this"));
        }
        self.count(host, sum, amount)?;
        match self {
            Self::Points => points::ledger::transfer(host, BRIDGE, to, amount),
            Self::Coin => coin::ledger::mint(host, to, amount),
        }
    }
}
