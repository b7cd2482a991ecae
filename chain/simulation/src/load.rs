//! What the simulated net has to confirm: issues of points, one after the other, each once.

use crate::error::Failure;
use alloy::{
    consensus::{SignableTransaction as _, TxEip1559, TxEnvelope},
    eips::eip2718::Encodable2718 as _,
    primitives::TxKind,
    signers::{SignerSync as _, local::PrivateKeySigner},
    sol_types::SolCall as _,
};
use mileverse_consensus::mempool::{Mempool, Sender};
use mileverse_execution::Transaction;
use mileverse_primitives::{Address, U256, abi::IPoints, address::POINTS, keccak256};
use std::sync::{Arc, Mutex, PoisonError};

const GAS_LIMIT: u64 = 1_000_000;
const RECEIVER: Address = Address::repeat_byte(0x77);

/// A signed transaction that pays no fee.
pub fn sign(
    signer: &PrivateKeySigner,
    chain_id: u64,
    to: Address,
    nonce: u64,
    value: U256,
    input: Vec<u8>,
) -> Result<Transaction, Failure> {
    let setup = |error: String| Failure::Setup(error);
    let transaction = TxEip1559 {
        chain_id,
        nonce,
        gas_limit: GAS_LIMIT,
        to: TxKind::Call(to),
        value,
        input: input.into(),
        ..Default::default()
    };
    let signature = signer
        .sign_hash_sync(&transaction.signature_hash())
        .map_err(|error| setup(error.to_string()))?;
    let envelope: TxEnvelope = transaction.into_signed(signature).into();
    Transaction::decode(&envelope.encoded_2718(), chain_id)
        .map_err(|error| setup(error.to_string()))
}

/// The issuer and what it has signed so far; clones share it.
#[derive(Clone)]
pub struct Load {
    chain_id: u64,
    issuer: PrivateKeySigner,
    signed: Arc<Mutex<Vec<Transaction>>>,
}

impl Load {
    /// An issuer for this chain.
    pub fn new(chain_id: u64) -> Result<Self, Failure> {
        let issuer = PrivateKeySigner::from_bytes(&keccak256("simulated issuer"))
            .map_err(|error| Failure::Setup(error.to_string()))?;
        Ok(Self {
            chain_id,
            issuer,
            signed: Arc::default(),
        })
    }

    /// The issuer's account.
    pub const fn issuer(&self) -> Address {
        self.issuer.address()
    }

    /// The issue with this nonce; each is signed once.
    pub fn issue(&self, nonce: u64) -> Result<Transaction, Failure> {
        let setup = |error: String| Failure::Setup(error);
        let mut signed = self.signed.lock().unwrap_or_else(PoisonError::into_inner);
        while (signed.len() as u64) <= nonce {
            let nonce = signed.len() as u64;
            let call = IPoints::issueCall {
                to: RECEIVER,
                amount: U256::from(1000),
                conversionId: keccak256(nonce.to_be_bytes()),
            };
            let input = call.abi_encode();
            signed.push(sign(
                &self.issuer,
                self.chain_id,
                POINTS,
                nonce,
                U256::ZERO,
                input,
            )?);
        }
        usize::try_from(nonce)
            .ok()
            .and_then(|at| signed.get(at))
            .cloned()
            .ok_or_else(|| setup("an issue is missing".into()))
    }

    /// Lets `count` issues from `next` on wait in a pool; those that wait already stay.
    pub fn fill(&self, pool: &Mempool, next: u64, count: u64) -> Result<(), Failure> {
        let sender = Sender {
            nonce: next,
            balance: U256::ZERO,
            ..Sender::default()
        };
        for nonce in next..next.saturating_add(count) {
            // A refusal means that it waits already.
            let _ = pool.add(self.issue(nonce)?, sender.clone());
        }
        Ok(())
    }
}
