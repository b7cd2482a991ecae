//! Why a transaction is not taken, in geth's words.

use super::{Capacity, Sender};
use alloy::consensus::Transaction as _;
use mileverse_execution::Transaction;
use mileverse_primitives::{Address, U256, limits::BlockLimits};
use thiserror::Error;

/// Longest code that creates a contract (EIP-3860).
const MAX_INITCODE: usize = 49_152;

/// Why a transaction is not taken.
#[derive(Clone, Copy, Debug, Error, Eq, PartialEq)]
pub enum Refusal {
    /// The very same transaction waits already.
    #[error("already known")]
    Known,
    /// Its nonce was used.
    #[error("nonce too low: next nonce {next}, tx nonce {actual}")]
    NonceTooLow {
        /// The sender's next nonce.
        next: u64,
        /// The transaction's.
        actual: u64,
    },
    /// Too many nonces are missing before it.
    #[error("nonce too high: next nonce {next}, tx nonce {actual}, at most {most} wait")]
    NonceTooHigh {
        /// The sender's next nonce.
        next: u64,
        /// The transaction's.
        actual: u64,
        /// How many of one sender wait at most.
        most: u64,
    },
    /// Same nonce, fee not high enough.
    #[error("replacement transaction underpriced")]
    Replacement,
    /// The pool is full and everything in it pays more.
    #[error("transaction underpriced: gas tip cap {tip}, minimum needed {least}")]
    Underpriced {
        /// What it pays.
        tip: u128,
        /// What it would have to pay.
        least: u128,
    },
    /// Value and fee, with those of the sender's other waiting transactions, exceed the balance.
    #[error(
        "insufficient funds for gas * price + value: balance {balance}, queued cost {queued}, tx cost {cost}"
    )]
    InsufficientFunds {
        /// What the sender has.
        balance: U256,
        /// What its other waiting transactions may cost.
        queued: U256,
        /// What this one may cost.
        cost: U256,
    },
    /// What it may cost in points, with the sender's other waiting transactions, exceeds what it has.
    #[error(
        "insufficient points for gas: balance {held} micro-points, queued cost {queued}, tx cost {cost}; get more points, set lower gas limits, or wait until others are final"
    )]
    InsufficientPoints {
        /// What the sender has.
        held: U256,
        /// What its other waiting transactions may cost.
        queued: U256,
        /// What this one may cost.
        cost: U256,
    },
    /// It offers less than the base fee, and who would pay for it has promised that to others.
    #[error(
        "transaction underpriced: what would pay for it pays for others that wait; offer the base fee, or send it again when they are final"
    )]
    NobodyPays,
    /// Value and fee are more than any balance.
    #[error("insufficient funds for gas * price + value: the cost overflows 256 bits")]
    CostOverflow,
    /// More gas than a block has.
    #[error("exceeds block gas limit")]
    GasLimit,
    /// Less gas than it costs to be looked at.
    #[error("intrinsic gas too low: gas {gas}, minimum needed {least}")]
    IntrinsicGas {
        /// Its limit.
        gas: u64,
        /// What it needs.
        least: u64,
    },
    /// Tip above fee cap.
    #[error(
        "max priority fee per gas higher than max fee per gas: maxPriorityFeePerGas: {tip}, maxFeePerGas: {cap}"
    )]
    TipAboveCap {
        /// Its tip.
        tip: u128,
        /// Its cap.
        cap: u128,
    },
    /// The code that creates a contract is too long.
    #[error("max initcode size exceeded: code size {0}, limit {MAX_INITCODE}")]
    InitCode(usize),
    /// EIP-7702 needs at least one authorization.
    #[error("EIP-7702 transaction with empty auth list (sender {0})")]
    NoAuthorizations(Address),
    /// The last nonce there is can never be used.
    #[error("nonce has max value")]
    NonceMax,
    /// The pool is full.
    #[error("txpool is full")]
    Full,
}

/// What a transaction may cost at most: value, and all its gas at the highest price.
pub(super) fn cost(transaction: &Transaction) -> Option<U256> {
    U256::from(transaction.gas_limit())
        .checked_mul(U256::from(transaction.max_fee_per_gas()))?
        .checked_add(transaction.envelope().value())
}

/// What can be said of a transaction without looking at those that wait.
pub(super) fn check(
    transaction: &Transaction,
    sender: &Sender,
    limits: BlockLimits,
    capacity: Capacity,
) -> Result<(), Refusal> {
    let envelope = transaction.envelope();
    if transaction.gas_limit() > limits.gas() {
        return Err(Refusal::GasLimit);
    }
    let (tip, cap) = (
        transaction.max_priority_fee_per_gas(),
        transaction.max_fee_per_gas(),
    );
    if tip > cap {
        return Err(Refusal::TipAboveCap { tip, cap });
    }
    if envelope.is_create() && envelope.input().len() > MAX_INITCODE {
        return Err(Refusal::InitCode(envelope.input().len()));
    }
    if envelope.authorization_list().is_some_and(<[_]>::is_empty) {
        return Err(Refusal::NoAuthorizations(transaction.sender()));
    }
    let (next, actual) = (sender.nonce, transaction.nonce());
    if actual == u64::MAX {
        return Err(Refusal::NonceMax);
    }
    if actual < next {
        return Err(Refusal::NonceTooLow { next, actual });
    }
    let most = capacity.per_sender as u64;
    if actual - next >= most {
        return Err(Refusal::NonceTooHigh { next, actual, most });
    }
    let (gas, least) = (transaction.gas_limit(), transaction.least_gas());
    if gas < least {
        return Err(Refusal::IntrinsicGas { gas, least });
    }
    Ok(())
}
