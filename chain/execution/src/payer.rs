//! Who pays for the gas of a transaction outside of the lane.
//!
//! | in this order | pays | if |
//! |---|---|---|
//! | the sender's stake | the base fee, by its free gas | the gas limit fits in what is left of its quota, and in the block's room for free gas |
//! | the operator of the contract that is called | its share of the base fee, out of its deposit | the deposit and its limits have room for the gas limit |
//! | the sender | all of it | |
//!
//! Each pays for the whole transaction or not at all: so a transaction has one price, and gas used
//! times price is what its sender paid, to the unit. The tip is always the sender's. A sender must
//! offer at least what it is to pay of the base fee; who offers less than the base fee never pays it,
//! and its transaction is in no block unless somebody else pays.
//!
//! What a transaction may cost its operator is taken from the deposit before it runs, and the rest put
//! back after. So a transaction that withdraws the deposit finds what is left of it, and nothing is
//! ever short. A refused transaction leaves everything as it was.

use crate::{
    modules::{
        Config,
        fees::{
            charge::{self, Offer, Purse},
            quota::{self, Quota},
        },
        host::Fault,
        ledger::{Ledger, Scratch},
    },
    price,
    refusal::Refusal,
    transaction::Transaction,
};
use alloy::{
    consensus::{Transaction as _, TxEnvelope},
    primitives::{Address, Log, U256},
    sol_types::SolEvent as _,
};
use alloy_evm::FromRecoveredTx as _;
use mileverse_primitives::{abi::IFees, address::FEES};
use revm::context::TxEnv;

/// What a transaction offers, and for what.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ask {
    pub(crate) sender: Address,
    pub(crate) to: Option<Address>,
    pub(crate) gas_limit: u64,
    /// Most that the sender pays for one gas.
    pub(crate) cap: u128,
    /// Most of it above the base fee.
    pub(crate) tip: u128,
}

impl Ask {
    pub(crate) fn of(transaction: &Transaction) -> Self {
        Self {
            sender: transaction.sender(),
            to: transaction.envelope().to(),
            gas_limit: transaction.gas_limit(),
            cap: transaction.max_fee_per_gas(),
            tip: transaction.max_priority_fee_per_gas(),
        }
    }

    /// What is paid above the base fee, whoever pays that.
    fn tip_paid(&self, base: u64) -> u128 {
        self.tip.min(self.cap.saturating_sub(base.into()))
    }
}

/// Where in the chain a transaction runs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    pub(crate) height: u64,
    /// Block time in seconds.
    pub(crate) now: u64,
}

/// Who could pay for a transaction beside its sender.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Helpers {
    pub(crate) quota: Quota,
    pub(crate) offer: Option<Offer>,
}

impl Helpers {
    /// Nobody.
    pub(crate) const NONE: Self = Self {
        quota: Quota { gas: 0, used: 0 },
        offer: None,
    };

    pub(crate) fn load(
        ledger: &mut impl Ledger,
        config: &Config,
        at: Moment,
        ask: &Ask,
    ) -> Result<Self, Fault> {
        let quota = Quota::load(ledger, config, ask.sender, at.height)?;
        let offer = match ask.to {
            Some(to) => Offer::load(ledger, config, to, ask.sender, at.now)?,
            None => None,
        };
        Ok(Self { quota, offer })
    }
}

/// Who pays.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Payer {
    Sender,
    /// Nobody: it is free gas of the sender's stake.
    Stake,
    /// An operator pays a part.
    Operator(Purse),
}

/// Who pays what for each gas of a transaction.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bill {
    pub(crate) payer: Payer,
    /// What the sender pays of the base fee.
    pub(crate) base: u64,
    /// What an operator pays of it.
    pub(crate) covered: u64,
    /// What the sender pays in all.
    pub(crate) price: u128,
    tip: u128,
    gas_limit: u64,
    /// Whether somebody else might have paid and does not.
    let_down: bool,
}

impl Bill {
    /// The sender pays up to the base fee and its tip: a transaction in the lane, a delivery, or one
    /// that nobody helps.
    pub(crate) fn alone(config: &Config, ask: &Ask) -> Self {
        let cap = u64::try_from(ask.cap).unwrap_or(u64::MAX);
        let base = config.fees.base_price.min(cap);
        let tip = ask.tip_paid(config.fees.base_price);
        Self {
            payer: Payer::Sender,
            base,
            covered: 0,
            price: u128::from(base).saturating_add(tip),
            tip,
            gas_limit: ask.gas_limit,
            let_down: false,
        }
    }

    /// Who pays, or why nobody does; a block has `free_room` gas left that may be free.
    pub(crate) fn draw(
        config: &Config,
        ask: &Ask,
        helpers: &Helpers,
        free_room: u64,
    ) -> Result<Self, Refusal> {
        let base = config.fees.base_price;
        let alone = Self::alone(config, ask);
        let paid_by = |payer, own: u64, covered| Self {
            payer,
            base: own,
            covered,
            price: u128::from(own).saturating_add(alone.tip),
            ..alone
        };
        let fits_quota = ask.gas_limit <= helpers.quota.left();
        if fits_quota && ask.gas_limit <= free_room {
            return Ok(paid_by(Payer::Stake, 0, 0));
        }
        if let Some(offer) = helpers.offer {
            let own = base.saturating_sub(offer.price);
            if offer.reserve(ask.gas_limit) <= offer.most() && ask.cap >= own.into() {
                return Ok(paid_by(Payer::Operator(offer.purse), own, offer.price));
            }
        }
        let let_down = helpers.offer.is_some() && !fits_quota;
        if ask.cap >= base.into() {
            return Ok(Self { let_down, ..alone });
        }
        let mut refusal = price::underpriced(config, ask.cap);
        if let Some(offer) = helpers.offer {
            refusal.reason.push_str(&format!(
                "; the contract's operator pays {} of it for each gas, and at most {} for this transaction now",
                offer.price,
                offer.most()
            ));
        }
        // The next block has room again.
        refusal.permanent = !fits_quota;
        Err(refusal)
    }

    /// The transaction as the EVM is to charge for it.
    pub(crate) fn envelope(&self, transaction: &Transaction) -> TxEnv {
        let mut envelope = TxEnv::from_recovered_tx(transaction.envelope(), transaction.sender());
        self.reprice(&mut envelope);
        envelope
    }

    /// Lets the EVM see what the sender pays. Where it pays alone, it must have what it offers, as
    /// everywhere; where somebody else pays, what it pays.
    pub(crate) const fn reprice(&self, envelope: &mut TxEnv) {
        if matches!(self.payer, Payer::Sender) {
            return;
        }
        envelope.gas_price = self.price;
        if envelope.gas_priority_fee.is_some() {
            envelope.gas_priority_fee = Some(self.tip);
        }
    }

    /// Who has no coin and counted on an operator that does not pay sends it again when it does. Kept,
    /// it would cost nothing to fill pools.
    pub(crate) fn refused(&self, refusal: Refusal) -> Refusal {
        Refusal {
            permanent: refusal.permanent || (refusal.is_poor() && self.let_down),
            ..refusal
        }
    }

    /// What the sender pays above the base fee for one gas.
    pub(crate) const fn tip(&self) -> u128 {
        self.tip
    }

    /// What is taken from a deposit before.
    fn reserved(&self) -> u128 {
        times(self.gas_limit, self.covered)
    }

    /// Takes from a deposit what the transaction may cost.
    pub(crate) fn reserve<L: Ledger>(&self, ledger: &mut Scratch<'_, L>) -> Result<(), Fault> {
        match self.payer {
            Payer::Operator(purse) => charge::reserve(ledger, purse, self.reserved()),
            Payer::Sender | Payer::Stake => Ok(()),
        }
    }

    /// Undoes [`reserve`](Self::reserve).
    pub(crate) fn release<L: Ledger>(&self, ledger: &mut Scratch<'_, L>) -> Result<(), Fault> {
        match self.payer {
            Payer::Operator(purse) => charge::put_back(ledger, purse, self.reserved()),
            Payer::Sender | Payer::Stake => Ok(()),
        }
    }

    /// After the transaction: what its sender paid of the base fee, which the EVM took, and what its
    /// operator pays go to `beneficiary`; the rest goes back into the deposit, free gas is noted.
    pub(crate) fn settle<L: Ledger>(
        &self,
        ledger: &mut Scratch<'_, L>,
        config: &Config,
        at: Moment,
        sender: Address,
        gas_used: u64,
        beneficiary: Address,
    ) -> Result<(), Fault> {
        let covered = times(gas_used, self.covered);
        match self.payer {
            Payer::Sender => {}
            Payer::Stake => quota::take(ledger, config, sender, at.height, gas_used)?,
            Payer::Operator(purse) => {
                // Nothing uses more than its limit.
                let rest = self.reserved().checked_sub(covered).ok_or_else(overdrawn)?;
                charge::put_back(ledger, purse, rest)?;
                charge::spend(ledger, purse, sender, at.now, covered)?;
            }
        }
        let paid = U256::from(times(gas_used, self.base))
            .checked_add(U256::from(covered))
            .ok_or_else(overdrawn)?;
        if paid.is_zero() {
            return Ok(());
        }
        let there = ledger.balance(beneficiary)?;
        let sum = there.checked_add(paid).ok_or_else(overdrawn)?;
        ledger.set_balance(beneficiary, sum)
    }

    /// What is paid for so much gas, by all together.
    pub(crate) fn fee(&self, gas_used: u64) -> Option<u128> {
        self.price
            .checked_add(self.covered.into())?
            .checked_mul(gas_used.into())
    }

    /// The event that says who else paid.
    pub(crate) fn event(&self, sender: Address, gas_used: u64) -> Option<Log> {
        let data = match self.payer {
            Payer::Sender => return None,
            Payer::Stake => IFees::FreeGasUsed {
                user: sender,
                gas: gas_used,
            }
            .encode_log_data(),
            Payer::Operator(Purse { callee, operator }) => IFees::Sponsored {
                callee,
                operator,
                user: sender,
                amount: U256::from(times(gas_used, self.covered)),
                gas: gas_used,
            }
            .encode_log_data(),
        };
        Some(Log {
            address: FEES,
            data,
        })
    }
}

/// What the sender of a final transaction paid for one gas, tip included: the price that it offered,
/// less what the last event of its receipt says that others paid. Only the chain writes that event.
pub fn sender_price(envelope: &TxEnvelope, base: u64, logs: &[Log]) -> u128 {
    let price = envelope.effective_gas_price(Some(base));
    let last = logs.last().filter(|log| log.address == FEES);
    let covered = last.map_or(0, |log| {
        if let Ok(paid) = IFees::Sponsored::decode_log_data(&log.data) {
            // One gas at least was used, all at one price.
            let one = paid.amount.checked_div(U256::from(paid.gas));
            one.unwrap_or_default().saturating_to()
        } else if IFees::FreeGasUsed::decode_log_data(&log.data).is_ok() {
            base
        } else {
            0
        }
    });
    if covered == 0 {
        return price;
    }
    // The tip is what was offered above the base fee, whoever paid that.
    let tip = price.saturating_sub(base.into());
    tip.saturating_add(base.saturating_sub(covered).into())
}

/// A product of two 64-bit numbers.
const fn times(gas: u64, price: u64) -> u128 {
    (gas as u128).saturating_mul(price as u128)
}

fn overdrawn() -> Fault {
    Fault::Fatal("a transaction cost more coin than was set aside for it".into())
}
