//! Keeps a net busy: issues of points, handed to the validators in turn.

use crate::{error::Error, net::Rpc};
use alloy::{
    consensus::{SignableTransaction as _, TxEip1559, TxEnvelope},
    eips::eip2718::Encodable2718 as _,
    primitives::TxKind,
    signers::{SignerSync as _, local::PrivateKeySigner},
    sol_types::SolCall as _,
};
use mileverse_primitives::{Address, Bytes, U256, abi::IPoints, address::POINTS, keccak256};
use std::time::Duration;
use tokio::time::sleep;

const GAS_LIMIT: u64 = 300_000;
const RECEIVER: Address = Address::repeat_byte(0x77);
/// After a refusal: the validators are behind.
const BREATH: Duration = Duration::from_millis(100);

/// The issue with this nonce, signed.
fn issue(issuer: &PrivateKeySigner, chain_id: u64, nonce: u64) -> Result<Bytes, Error> {
    let call = IPoints::issueCall {
        to: RECEIVER,
        amount: U256::from(1000),
        conversionId: keccak256(nonce.to_be_bytes()),
    };
    let transaction = TxEip1559 {
        chain_id,
        nonce,
        gas_limit: GAS_LIMIT,
        to: TxKind::Call(POINTS),
        input: call.abi_encode().into(),
        ..Default::default()
    };
    let signature = issuer
        .sign_hash_sync(&transaction.signature_hash())
        .map_err(|error| Error::Setup(error.to_string()))?;
    let envelope: TxEnvelope = transaction.into_signed(signature).into();
    Ok(envelope.encoded_2718().into())
}

/// Hands in one issue after the other, `every` so often, until dropped or something is wrong.
pub async fn keep_busy(
    validators: &[Rpc],
    issuer: &PrivateKeySigner,
    chain_id: u64,
    every: Duration,
) -> Result<(), Error> {
    let mut nonce = 0u64;
    for rpc in validators.iter().cycle() {
        let raw = issue(issuer, chain_id, nonce)?;
        match rpc.submit(&raw).await {
            Ok(()) => {
                nonce = nonce.saturating_add(1);
                sleep(every).await;
            }
            Err(Error::Rpc { reason, .. }) if reason.contains("nonce too high") => {
                sleep(BREATH).await;
            }
            // Gossip was faster than this client.
            Err(Error::Rpc { reason, .. })
                if reason.contains("already known") || reason.contains("nonce too low") =>
            {
                nonce = nonce.saturating_add(1);
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
