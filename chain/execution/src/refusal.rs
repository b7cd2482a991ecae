//! Why a block cannot take a transaction.

use crate::words;
use revm::context::result::InvalidTransaction;

/// Why a transaction cannot be in this block.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) reason: String,
    /// Whether no later block can take it either.
    pub(crate) permanent: bool,
    pub(crate) cause: Cause,
}

/// The kind of reason, where Ethereum has a name for it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Cause {
    /// Its nonce was used.
    NonceTooLow,
    /// Nonces before it were not.
    NonceTooHigh,
    /// It offers less than the base fee for one gas.
    FeeTooLow,
    /// Its gas limit does not cover its bytes.
    IntrinsicGas,
    /// Its sender lacks the coin for it.
    Funds,
    /// Its gas limit is more than the block has.
    BlockGas,
    /// Its sender is a contract (EIP-3607).
    SenderIsContract,
    /// The code that creates is too long (EIP-3860).
    InitCode,
    /// It would go beyond a limit of whoever runs it.
    Limit,
    /// Another.
    Other,
}

impl From<&InvalidTransaction> for Cause {
    fn from(error: &InvalidTransaction) -> Self {
        match error {
            InvalidTransaction::NonceTooLow { .. } => Self::NonceTooLow,
            InvalidTransaction::NonceTooHigh { .. } => Self::NonceTooHigh,
            InvalidTransaction::GasPriceLessThanBasefee => Self::FeeTooLow,
            InvalidTransaction::CallGasCostMoreThanGasLimit { .. }
            | InvalidTransaction::GasFloorMoreThanGasLimit { .. } => Self::IntrinsicGas,
            InvalidTransaction::LackOfFundForMaxFee { .. } => Self::Funds,
            InvalidTransaction::CallerGasLimitMoreThanBlock => Self::BlockGas,
            InvalidTransaction::RejectCallerWithCode => Self::SenderIsContract,
            InvalidTransaction::CreateInitCodeSizeLimit => Self::InitCode,
            _ => Self::Other,
        }
    }
}

impl Refusal {
    /// For this block only.
    pub(crate) const fn for_now(reason: String) -> Self {
        Self {
            reason,
            permanent: false,
            cause: Cause::Other,
        }
    }

    /// For every later block, too.
    pub(crate) const fn for_good(reason: String) -> Self {
        Self {
            reason,
            permanent: true,
            cause: Cause::Other,
        }
    }

    /// Whether its sender lacks the coin for it.
    pub(crate) fn is_poor(&self) -> bool {
        self.cause == Cause::Funds
    }
}

impl From<InvalidTransaction> for Refusal {
    fn from(error: InvalidTransaction) -> Self {
        let cause = Cause::from(&error);
        // A used nonce was used by a block that is not final yet: the pool lets go of the transaction,
        // and of nothing behind it, when that block is.
        let permanent = !matches!(
            cause,
            Cause::Funds | Cause::NonceTooHigh | Cause::NonceTooLow
        );
        Self {
            reason: words::invalid(&error),
            permanent,
            cause,
        }
    }
}
