//! The lane: transactions with a gas price of zero that pay with points. Those are calls of the points
//! module, and the bridge's `send` of points.
//!
//! | what became of it | what its sender owes |
//! |---|---|
//! | it failed | `price` micro-points for each gas that it used |
//! | it succeeded and moved no amount (approve, permit, cancel, …), or sent points over the bridge | the same |
//! | it succeeded and moved an amount | `least` for each transfer, less the fees that went to the receiver of fees |
//!
//! So whoever holds only points needs no coin, a transfer of a point or more costs its fee and
//! nothing else, and nothing is free for whoever wants to fill blocks. Owed is computed from the
//! receipt alone, is taken after the transaction, and is one more `Transfer` at the end of its
//! logs, also where it failed. Issuers, the guardian and exempt payers owe nothing.
//!
//! A block takes such a transaction only while the lane's share of the block's gas has room for its
//! gas limit, and only from an account that holds its gas limit times `price` before it. A transfer
//! that leaves less than is owed pays what is left: owing never undoes a transfer. Proposer,
//! verifier and mempool ask the same functions ([`Lane::fits`], [`Lane::covers`]).

use crate::{
    modules::{Config, points},
    refusal::{Cause, Refusal},
    transaction::Transaction,
};
use alloy::{
    consensus::Transaction as _,
    primitives::{Address, B256, Log, LogData, U256},
    sol_types::SolEvent,
};
use mileverse_primitives::{
    abi::IPoints,
    address::POINTS,
    fees::{Carried, share},
    points::{Lane as Terms, MICRO},
};

/// A transaction in the lane.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lane {
    carried: Carried,
    sender: Address,
    /// Where its points stand.
    purse: (Address, U256),
    gas_limit: u64,
    terms: Terms,
    receiver: Address,
    /// Whether its sender owes nothing.
    free: bool,
}

impl Lane {
    /// The lane's view of a transaction; `None` if it is not in the lane.
    pub(crate) fn of(config: &Config, transaction: &Transaction) -> Option<Self> {
        if transaction.max_fee_per_gas() > 0 {
            return None;
        }
        let envelope = transaction.envelope();
        let carried = Carried::of(envelope.to()?, envelope.input())
            .filter(|carried| *carried != Carried::Delivery)?;
        let sender = transaction.sender();
        let rules = &config.points;
        Some(Self {
            carried,
            sender,
            purse: points::balance_slot(sender),
            gas_limit: transaction.gas_limit(),
            terms: rules.given.lane,
            receiver: rules.receiver(),
            free: rules.sends_free(sender)
                || sender == rules.given.guardian
                || config.issuers.iter().any(|issuer| issuer.address == sender),
        })
    }

    /// Where the sender's points stand.
    pub(crate) const fn purse(&self) -> (Address, U256) {
        self.purse
    }

    /// Where the receiver's points stand.
    pub(crate) fn till(&self) -> (Address, U256) {
        points::balance_slot(self.receiver)
    }

    /// Whether a block of `block_gas`, whose lane has used `lane_gas`, has room for the transaction.
    pub(crate) fn fits(&self, block_gas: u64, lane_gas: u64) -> Result<(), Refusal> {
        let share = share(block_gas, self.terms.share_bp);
        let left = share.saturating_sub(lane_gas);
        if self.gas_limit <= left {
            return Ok(());
        }
        Err(Refusal {
            reason: format!(
                "its gas limit is {}, the block has {left} left for transactions that pay with points; \
                 send it with a lower gas limit, or with a gas price",
                self.gas_limit
            ),
            permanent: self.gas_limit > share,
            cause: Cause::Other,
        })
    }

    /// Whether an account that holds `held` points can pay for it.
    pub(crate) fn covers(&self, held: U256) -> Result<(), Refusal> {
        let reserve = self.reserve();
        if held >= reserve {
            return Ok(());
        }
        Err(Refusal {
            reason: format!(
                "the account holds {} points and this transaction may cost {}; \
                 get more points, set a lower gas limit, or pay a gas price in MVC",
                decimal(held),
                decimal(reserve)
            ),
            // Who gets more points sends it again. Kept, it would cost nothing to fill pools with
            // transactions of points that have moved on.
            permanent: true,
            cause: Cause::Other,
        })
    }

    /// What the sender must hold before.
    pub(crate) fn reserve(&self) -> U256 {
        if self.free {
            U256::ZERO
        } else {
            U256::from(self.gas_limit).saturating_mul(U256::from(self.terms.price))
        }
    }

    /// What the sender owes after.
    pub(crate) fn owed(&self, success: bool, gas_used: u64, logs: &[Log]) -> U256 {
        if self.free || (self.terms.price == 0 && self.terms.least == 0) {
            return U256::ZERO;
        }
        let for_gas = || U256::from(gas_used).saturating_mul(U256::from(self.terms.price));
        // The bridge takes no share of what it moves, so only the gas is left to pay for.
        if !success || self.carried == Carried::Send {
            return for_gas();
        }
        let told = Told::of(logs, self.receiver);
        if told.moved {
            U256::from(self.terms.least)
                .saturating_mul(U256::from(told.entries.max(1)))
                .saturating_sub(told.fees)
        } else {
            for_gas()
        }
    }

    /// The event of taking what is owed.
    pub(crate) fn event(&self, amount: U256) -> Log {
        let event = IPoints::Transfer {
            from: self.sender,
            to: self.receiver,
            value: amount,
        };
        Log {
            address: POINTS,
            data: event.encode_log_data(),
        }
    }
}

/// What a transaction's events say about points that moved.
#[derive(Debug, Default)]
struct Told {
    /// Whether some moved between accounts.
    moved: bool,
    /// Entries of a batch.
    entries: u64,
    /// What went to the receiver of fees.
    fees: U256,
}

impl Told {
    fn of(logs: &[Log], receiver: Address) -> Self {
        let mut told = Self::default();
        for log in logs.iter().filter(|log| log.address == POINTS) {
            if log.data.topics().first() == Some(&IPoints::EntryDone::SIGNATURE_HASH) {
                told.entries = told.entries.saturating_add(1);
            } else if let Some((from, to, value)) = transfer_of(&log.data)
                && !from.is_zero()
                && !to.is_zero()
                && !value.is_zero()
            {
                told.moved = true;
                if to == receiver.into_word() {
                    told.fees = told.fees.saturating_add(value);
                }
            }
        }
        told
    }
}

fn transfer_of(data: &LogData) -> Option<(B256, B256, U256)> {
    match data.topics() {
        [signature, from, to] if *signature == IPoints::Transfer::SIGNATURE_HASH => {
            U256::try_from_be_slice(&data.data).map(|value| (*from, *to, value))
        }
        _ => None,
    }
}

/// Micro-points as points.
fn decimal(micro: U256) -> String {
    let (whole, rest) = micro.div_rem(U256::from(MICRO));
    format!("{whole}.{:06}", rest.saturating_to::<u64>())
}
