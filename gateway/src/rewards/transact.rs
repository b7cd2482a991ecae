//! The gateway's transactions on Ethereum.
//!
//! ```txt
//! settle   what became of those that were signed; those without a receipt are broadcast again
//! submit   signs a call, stores it, broadcasts it
//! ```
//!
//! One is on its way at a time. `settle` says up to which nonce it has looked, and `submit` signs only
//! if nobody has signed since: so no two replicas sign for the same thing at once.
//!
//! A nonce counts as gone only if a finalized block says so *before* the receipt was looked for and
//! not found.

use super::slot::Slot;
use super::views::Block;
use super::{RewardError, Rewards};
use crate::clock::now_ms;
use crate::issuer::chain::ChainError;
use crate::store::Store;
use crate::store::rewards::{self, Outcome, Signed};
use alloy::consensus::{SignableTransaction, Transaction, TxEip1559, TxEnvelope};
use alloy::eips::BlockNumberOrTag;
use alloy::eips::eip2718::{Decodable2718, Encodable2718};
use alloy::network::TxSignerSync;
use alloy::primitives::{Address, Bytes, TxKind, U256};
use mileverse_primitives::quarter::Quarter;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// No transaction may use more gas: a block of Ethereum takes none that does (EIP-7825).
const MAX_GAS: u64 = 16_777_216;
/// For whoever includes it, if the node does not say what is usual.
const TIP: u64 = 1_000_000_000;
/// Nodes take a replacement that pays a tenth more; this is an eighth.
const RAISE: u64 = 8;

/// Where the sender's transactions stand.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Line {
    /// The highest nonce that was stored when this was found out.
    last: Option<u64>,
}

/// What it costs.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Price {
    max_fee: u64,
    tip: u64,
}

/// What is called, for what.
#[derive(Clone, Debug)]
pub(super) struct Call {
    pub(super) quarter: Quarter,
    pub(super) slot: Slot,
    pub(super) contract: Address,
    pub(super) input: Vec<u8>,
}

impl Rewards {
    fn name(&self) -> String {
        self.sender().to_string()
    }

    /// Finds out what became of what was signed. `None` while something is on its way.
    pub(super) async fn settle(&self, store: &Store) -> Result<Option<Line>, RewardError> {
        let (last, pending) = store.pending_rewards(&self.name()).await?;
        if pending.is_empty() {
            return Ok(Some(Line { last }));
        }
        let finalized = self.block(BlockNumberOrTag::Finalized).await?;
        let gone = self.nonce(BlockNumberOrTag::Finalized).await?;
        let mut settled = Vec::new();
        let mut used = BTreeSet::new();
        let mut waiting = BTreeMap::new();
        for transaction in pending {
            match self.receipt(&transaction.hash).await? {
                Some(receipt) => {
                    used.insert(transaction.nonce);
                    // Before that it may still be taken back.
                    if receipt.block_number <= finalized.number {
                        let outcome = match receipt.status == U256::from(1) {
                            true => Outcome::Final,
                            false => Outcome::Reverted,
                        };
                        tracing::info!(quarter = %transaction.quarter, slot = transaction.slot.name(),
                            hash = transaction.hash, ?outcome, "a transaction for rewards is final");
                        settled.push((transaction.hash, outcome));
                    }
                }
                None if transaction.nonce < gone => {
                    used.insert(transaction.nonce);
                    settled.push((transaction.hash, Outcome::Dead));
                }
                // Of attempts the last one, which pays most.
                None => {
                    waiting.insert(transaction.nonce, transaction);
                }
            }
        }
        store.settle_rewards(&settled).await?;
        waiting.retain(|nonce, _| !used.contains(nonce));
        if waiting.is_empty() {
            return Ok(Some(Line { last }));
        }
        for transaction in waiting.into_values() {
            self.push(store, transaction).await?;
        }
        Ok(None)
    }

    /// Broadcasts the same bytes again, or the same call dearer.
    async fn push(&self, store: &Store, transaction: Signed) -> Result<(), RewardError> {
        let age = now_ms().saturating_sub(transaction.created_at);
        if u128::try_from(age).is_ok_and(|age| age < self.rules.replace.as_millis()) {
            self.broadcast(&transaction).await;
            return Ok(());
        }
        let envelope = TxEnvelope::decode_2718(&mut transaction.raw.as_slice())
            .map_err(|error| RewardError::Row(format!("{}: {error}", transaction.hash)))?;
        let (was_fee, was_tip) = (
            envelope.max_fee_per_gas(),
            envelope.max_priority_fee_per_gas().unwrap_or_default(),
        );
        let raised = |was: u128| {
            was.saturating_add(was / u128::from(RAISE))
                .saturating_add(1)
        };
        let price = self.price().await?;
        let (fee, tip) = (
            u128::from(price.max_fee).max(raised(was_fee)),
            u128::from(price.tip).max(raised(was_tip)),
        );
        if fee > u128::from(self.rules.max_fee) || tip > fee {
            self.broadcast(&transaction).await;
            return Ok(());
        }
        let mut dearer = TxEip1559 {
            chain_id: self.chain_id,
            nonce: transaction.nonce,
            gas_limit: envelope.gas_limit(),
            max_fee_per_gas: fee,
            max_priority_fee_per_gas: tip,
            to: TxKind::Call(envelope.to().unwrap_or_default()),
            value: U256::ZERO,
            access_list: Default::default(),
            input: envelope.input().clone(),
        };
        let attempt = transaction.attempt.saturating_add(1);
        let (quarter, slot) = (transaction.quarter, transaction.slot);
        let signed = self.sign(&mut dearer, quarter, slot, attempt)?;
        let mut write = store.write().await?;
        let stored = rewards::insert(&mut write, &signed).await?;
        write.commit().await?;
        if stored {
            self.broadcast(&signed).await;
        }
        Ok(())
    }

    /// Signs a call, stores it and broadcasts it. The hash; or why there is none now.
    pub(super) async fn submit(
        &self,
        store: &Store,
        line: Line,
        call: Call,
    ) -> Result<Result<String, String>, RewardError> {
        let price = self.price().await?;
        if price.max_fee > self.rules.max_fee {
            return Ok(Err(format!(
                "gas costs {} wei, more than rewards.max_fee_gwei allows",
                price.max_fee
            )));
        }
        let request = json!({
            "from": self.sender(),
            "to": call.contract,
            "data": Bytes::copy_from_slice(&call.input),
        });
        let gas: U256 = match self.node.ask("eth_estimateGas", json!([request])).await {
            Ok(gas) => gas,
            // The contract says why: somebody was faster, the bridge is paused, a key without ether.
            Err(ChainError::Refused { message, .. }) => {
                return Ok(Err(format!("it would fail: {message}")));
            }
            Err(error) => return Err(error.into()),
        };
        let gas: u64 = from_word("eth_estimateGas", gas)?;
        let chain_nonce = self.nonce(BlockNumberOrTag::Latest).await?;
        let after = line.last.map_or(0, |last| last.saturating_add(1));
        let mut transaction = TxEip1559 {
            chain_id: self.chain_id,
            nonce: chain_nonce.max(after),
            gas_limit: gas.saturating_add(gas / 4).min(MAX_GAS),
            max_fee_per_gas: price.max_fee.into(),
            max_priority_fee_per_gas: price.tip.into(),
            to: TxKind::Call(call.contract),
            value: U256::ZERO,
            access_list: Default::default(),
            input: call.input.into(),
        };
        let signed = self.sign(&mut transaction, call.quarter, call.slot, 0)?;
        let mut write = store.write().await?;
        // Whoever signed meanwhile may have done just this.
        let is_next = rewards::last_nonce(&mut write, &signed.sender).await? == line.last;
        let stored = is_next && rewards::insert(&mut write, &signed).await?;
        write.commit().await?;
        if !stored {
            return Ok(Err("another replica signed just now".to_owned()));
        }
        tracing::info!(quarter = %signed.quarter, slot = signed.slot.name(), hash = signed.hash,
            "a transaction for rewards is signed");
        self.broadcast(&signed).await;
        Ok(Ok(signed.hash))
    }

    fn sign(
        &self,
        transaction: &mut TxEip1559,
        quarter: Quarter,
        slot: Slot,
        attempt: u64,
    ) -> Result<Signed, RewardError> {
        let signature = self.signer.sign_transaction_sync(transaction)?;
        let nonce = transaction.nonce;
        let envelope = TxEnvelope::Eip1559(transaction.clone().into_signed(signature));
        Ok(Signed {
            sender: self.name(),
            nonce,
            attempt,
            quarter,
            slot,
            hash: envelope.tx_hash().to_string(),
            raw: envelope.encoded_2718(),
            created_at: now_ms(),
        })
    }

    /// An error proves nothing: it may have gone out. The next look finds out.
    async fn broadcast(&self, transaction: &Signed) {
        let raw = Bytes::copy_from_slice(&transaction.raw);
        let sent: Result<Value, _> = self.node.ask("eth_sendRawTransaction", json!([raw])).await;
        if let Err(error) = sent {
            tracing::debug!(hash = transaction.hash, %error, "a broadcast was not answered well");
        }
    }

    /// What gas costs: twice the base fee, so that it may rise for some blocks, and a tip, but no more
    /// than the configuration allows as long as that is enough for the next block.
    async fn price(&self) -> Result<Price, RewardError> {
        let head: Block = self.block(BlockNumberOrTag::Latest).await?;
        let base = from_word(
            "eth_getBlockByNumber",
            head.base_fee_per_gas.unwrap_or_default(),
        )?;
        let asked = self.node.ask("eth_maxPriorityFeePerGas", json!([])).await;
        let tip = match asked {
            Ok(tip) => from_word("eth_maxPriorityFeePerGas", tip)?,
            Err(ChainError::Refused { .. }) => TIP,
            Err(error) => return Err(error.into()),
        };
        let least = base.saturating_add(tip);
        let wanted = least.saturating_add(base);
        Ok(Price {
            max_fee: wanted.min(self.rules.max_fee).max(least),
            tip,
        })
    }
}

fn from_word(method: &'static str, word: U256) -> Result<u64, ChainError> {
    word.try_into().map_err(|_| ChainError::Nonsense(method))
}
