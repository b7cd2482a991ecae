//! The tokens that cross, two over each link, and their books.
//!
//! ```txt
//! at home (points):                backing = sent − received − refunded = points held for the link
//! away (coin, a peer's points):    backing = received + refunded − sent = supply of the token
//! ```

use super::{TOTALS, link::Link};
use crate::modules::{
    coin,
    host::{Fault, Host},
    peers, points,
    slot::Slot,
};
use alloy::primitives::{Address, U256};
use mileverse_primitives::{
    abi::IBridge,
    address::{BRIDGE, POINTS},
    packet,
};

/// A token, and the link over which it goes. Each link has books of its own.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Token {
    pub(super) link: Link,
    pub(super) kind: Kind,
}

/// Which of a link's tokens.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Kind {
    /// MVP: at home here.
    Points,
    /// MVC: at home on Ethereum.
    Coin,
    /// A peer's MVP: at home there.
    PeerPoints,
}

/// Where the sum of what was received of a token here stands.
pub(super) fn received_slot(token: Token) -> Slot {
    token.sums().field(Sum::Received.field())
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
    /// How packets name it.
    pub(super) const fn at_home(self, host: &Host<'_>) -> packet::Token {
        let config = host.config();
        match self.kind {
            Kind::Points => packet::Token {
                home: config.chain_id,
                contract: POINTS,
            },
            Kind::Coin => packet::Token {
                home: config.ethereum.chain_id,
                contract: config.ethereum.coin,
            },
            Kind::PeerPoints => packet::Token {
                home: self.link.far_chain(host),
                contract: POINTS,
            },
        }
    }

    fn sums(self) -> Slot {
        self.link.slot(TOTALS).entry(self.address())
    }

    pub(crate) fn totals(self, host: &mut Host<'_>) -> Result<IBridge::Totals, Fault> {
        let slot = self.sums();
        Ok(IBridge::Totals {
            sent: host.load(slot.field(Sum::Sent.field()))?,
            received: host.load(slot.field(Sum::Received.field()))?,
            refunded: host.load(slot.field(Sum::Refunded.field()))?,
        })
    }

    /// Adds to one of the sums; they only grow.
    pub(super) fn count(self, host: &mut Host<'_>, sum: Sum, amount: U256) -> Result<(), Fault> {
        host.add(self.sums().field(sum.field()), amount)
    }

    /// What the books say is held here (at home) or exists here (away).
    pub(crate) fn backing(self, host: &mut Host<'_>) -> Result<U256, Fault> {
        let totals = self.totals(host)?;
        let amount = match self.kind {
            Kind::Points => totals
                .sent
                .checked_sub(totals.received)
                .and_then(|rest| rest.checked_sub(totals.refunded)),
            Kind::Coin | Kind::PeerPoints => totals
                .received
                .checked_add(totals.refunded)
                .and_then(|sum| sum.checked_sub(totals.sent)),
        };
        amount.ok_or_else(Fault::overflow)
    }

    /// Whether the books agree with what is really there.
    pub(crate) fn is_solvent(self, host: &mut Host<'_>) -> Result<bool, Fault> {
        let real = match self.kind {
            Kind::Points => points::ledger::balance(host, self.link.holder())?,
            Kind::Coin => coin::ledger::supply(host)?,
            Kind::PeerPoints => peers::face::supply(host, self.address())?,
        };
        Ok(self.backing(host)? == real)
    }

    /// Takes tokens from the caller: held if at home, destroyed if away.
    pub(super) fn take(self, host: &mut Host<'_>, amount: U256) -> Result<(), Fault> {
        let caller = host.caller();
        match self.kind {
            Kind::Points => {
                host.not_payable()?;
                points::ledger::transfer(host, caller, self.link.holder(), amount)
            }
            Kind::PeerPoints => {
                host.not_payable()?;
                peers::face::burn(host, self.address(), caller, amount)
            }
            Kind::Coin => {
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
        match self.kind {
            Kind::Points => points::ledger::balance(host, account),
            Kind::Coin => host.balance(account),
            Kind::PeerPoints => peers::face::balance(host, self.address(), account),
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
            received_slot(self),
            amount,
            "more would be taken back than was received",
        )?;
        match self.kind {
            Kind::Points => points::ledger::transfer(host, from, self.link.holder(), amount),
            Kind::Coin => coin::ledger::burn(host, from, from, amount),
            Kind::PeerPoints => peers::face::burn(host, self.address(), from, amount),
        }
    }

    /// Whether the books have as much to give: a token at home leaves only from what is held.
    pub(super) fn can_give(self, host: &mut Host<'_>, amount: U256) -> Result<bool, Fault> {
        Ok(self.kind != Kind::Points || amount <= self.backing(host)?)
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
        match self.kind {
            Kind::Points => points::ledger::transfer(host, self.link.holder(), to, amount),
            Kind::Coin => coin::ledger::mint(host, to, amount),
            Kind::PeerPoints => peers::face::mint(host, self.address(), to, amount),
        }
    }
}
