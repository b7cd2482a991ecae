//! The payment of a top-up on Ethereum, believed only once it is in a finalized block.
//!
//! A payment is one transaction that succeeded, sends exactly the amount asked for, and sends it
//! straight to the operator's address. Payments through a contract are not seen.

use crate::issuer::chain::{Chain, ChainError};
use alloy::primitives::{Address, B256, U256};
use serde::Deserialize;
use serde_json::json;

const WEI_PER_GWEI: u64 = 1_000_000_000;

/// Where payments are looked for.
#[derive(Clone, Debug)]
pub struct Ethereum {
    /// The node.
    pub node: Chain,
    /// The network that it must be of.
    pub chain_id: u64,
    /// The operator's address.
    pub pay_to: Address,
}

/// What a transaction is to a top-up.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Payment {
    /// It pays it, for good. When its block was made, in milliseconds.
    Final {
        /// Of the block.
        at: i64,
    },
    /// It is not in a finalized block, or not known here yet.
    Pending,
    /// It is something else.
    Wrong(&'static str),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Transaction {
    to: Option<Address>,
    value: U256,
    block_number: Option<U256>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Receipt {
    status: U256,
    block_number: U256,
}

#[derive(Deserialize)]
struct Block {
    number: U256,
    timestamp: U256,
}

impl Ethereum {
    /// What a transaction is to a top-up of so many gwei.
    pub async fn payment(&self, hash: B256, gwei: u64) -> Result<Payment, ChainError> {
        const BLOCK: &str = "eth_getBlockByNumber";
        let id: Option<U256> = self.node.find("eth_chainId", json!([])).await?;
        if id != Some(U256::from(self.chain_id)) {
            return Err(ChainError::Nonsense("eth_chainId"));
        }
        let found = self
            .node
            .find("eth_getTransactionByHash", json!([hash]))
            .await?;
        let Some(transaction) = found else {
            return Ok(Payment::Pending);
        };
        let transaction: Transaction = transaction;
        if transaction.to != Some(self.pay_to) {
            return Ok(Payment::Wrong("it does not go to the address to pay to"));
        }
        let wei = U256::from(gwei).saturating_mul(U256::from(WEI_PER_GWEI));
        if transaction.value != wei {
            return Ok(Payment::Wrong("it sends another amount"));
        }
        let finalized: Option<Block> = self.node.find(BLOCK, json!(["finalized", false])).await?;
        let receipt = self
            .node
            .find("eth_getTransactionReceipt", json!([hash]))
            .await?;
        let (Some(finalized), Some(receipt)) = (finalized, receipt) else {
            return Ok(Payment::Pending);
        };
        let receipt: Receipt = receipt;
        if transaction.block_number != Some(receipt.block_number)
            || receipt.block_number > finalized.number
        {
            return Ok(Payment::Pending);
        }
        if receipt.status != U256::from(1) {
            return Ok(Payment::Wrong("it failed"));
        }
        let block: Option<Block> = self
            .node
            .find(BLOCK, json!([receipt.block_number, false]))
            .await?;
        let block = block.ok_or(ChainError::Nonsense(BLOCK))?;
        let at = i64::try_from(block.timestamp)
            .ok()
            .and_then(|seconds| seconds.checked_mul(1000))
            .ok_or(ChainError::Nonsense(BLOCK))?;
        Ok(Payment::Final { at })
    }
}
