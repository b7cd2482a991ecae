//! Error codes and words, as geth and the execution-apis specification have them.

use jsonrpsee::types::{ErrorObjectOwned, error::INTERNAL_ERROR_CODE, error::INVALID_PARAMS_CODE};
use mileverse_consensus::{index::IndexError, mempool::Refusal};
use mileverse_execution::BlockError;
use mileverse_primitives::Bytes;
use serde::Serialize;

/// Code of a call that reverted (geth).
const REVERTED: i32 = 3;
/// Code of history that was pruned (EIP-4444 in geth).
const PRUNED: i32 = 4444;
/// Code of a method that this chain cannot offer (EIP-1474).
const UNSUPPORTED: i32 = -32_004;
/// Code of everything that the server refuses (geth).
const SERVER: i32 = -32_000;

/// A parameter that cannot be meant.
pub fn invalid(message: impl Into<String>) -> ErrorObjectOwned {
    ErrorObjectOwned::owned(INVALID_PARAMS_CODE, message.into(), None::<()>)
}

/// Something well-formed that this node refuses.
pub fn refused(message: impl Into<String>) -> ErrorObjectOwned {
    ErrorObjectOwned::owned(SERVER, message.into(), None::<()>)
}

/// Something that this chain does not have.
pub fn unsupported(message: impl Into<String>) -> ErrorObjectOwned {
    ErrorObjectOwned::owned(UNSUPPORTED, message.into(), None::<()>)
}

/// An error with a code of its own.
pub fn named(code: i32, message: impl Into<String>) -> ErrorObjectOwned {
    ErrorObjectOwned::owned(code, message.into(), None::<()>)
}

/// An error with a code of its own and something to go with it.
pub fn coded(code: i32, message: impl Into<String>, data: impl Serialize) -> ErrorObjectOwned {
    ErrorObjectOwned::owned(code, message.into(), Some(data))
}

/// A call that reverted, with its data.
pub fn reverted(output: Bytes) -> ErrorObjectOwned {
    let reason = alloy::sol_types::decode_revert_reason(&output).unwrap_or_default();
    let message = match reason.strip_prefix("revert: ").unwrap_or(&reason) {
        "" => "execution reverted".to_owned(),
        reason => format!("execution reverted: {reason}"),
    };
    ErrorObjectOwned::owned(REVERTED, message, Some(output))
}

/// A fault of this node; details go to its log.
pub fn internal(error: &dyn std::fmt::Display) -> ErrorObjectOwned {
    tracing::error!(%error, "a JSON-RPC request failed");
    ErrorObjectOwned::owned(
        INTERNAL_ERROR_CODE,
        "this node could not answer; its log says why",
        None::<()>,
    )
}

/// A fault of the index.
pub fn index(error: IndexError) -> ErrorObjectOwned {
    match error {
        // geth's code for history that a node does not have.
        IndexError::Before { .. } => ErrorObjectOwned::owned(PRUNED, error.to_string(), None::<()>),
        IndexError::Pruned { .. } | IndexError::Packets(_) => refused(error.to_string()),
        other => internal(&other),
    }
}

/// A transaction that the pool refused.
pub fn pool(refusal: Refusal) -> ErrorObjectOwned {
    refused(refusal.to_string())
}

/// An execution that could not be done.
pub fn execution(error: BlockError) -> ErrorObjectOwned {
    match error {
        BlockError::Invalid(reason) => refused(reason),
        other => internal(&other),
    }
}
