//! From the index to Ethereum's JSON shapes.

use alloy::primitives::logs_bloom;
use alloy::{
    consensus::{
        EMPTY_OMMER_ROOT_HASH, Header as EthereumHeader, Receipt, ReceiptEnvelope,
        ReceiptWithBloom, Transaction as _, transaction::Recovered,
    },
    rpc::types::{
        Block as RpcBlock, BlockTransactions, Header as RpcHeader, Log,
        Transaction as RpcTransaction, TransactionReceipt,
    },
};
use commonware_codec::EncodeSize as _;
use mileverse_consensus::{
    block::Block,
    index::{IndexError, Results},
};
use mileverse_execution::{Transaction, TransactionOutcome};
use mileverse_primitives::{Address, B256, U256, keccak256};

/// A block whose header and results are at hand.
pub struct Found {
    /// The block.
    pub block: Block,
    /// Its digest.
    pub digest: B256,
    /// What it did.
    pub results: Results,
}

/// Seconds since 1970, as the EVM has them.
pub const fn seconds(block: &Block) -> u64 {
    block.timestamp_ms() / 1000
}

/// A block with its transactions' hashes, or with all of them.
pub fn block(found: &Found, full: bool, chain_id: u64) -> Result<RpcBlock, IndexError> {
    let header = &found.block.header;
    let inner = EthereumHeader {
        parent_hash: header.parent,
        ommers_hash: EMPTY_OMMER_ROOT_HASH,
        beneficiary: Address::from_word(keccak256(header.turn.leader)),
        state_root: header.state.root,
        transactions_root: header.transactions_root,
        receipts_root: header.receipts_root,
        logs_bloom: header.logs_bloom,
        number: header.height,
        gas_limit: header.gas_limit,
        gas_used: header.gas_used,
        timestamp: seconds(&found.block),
        mix_hash: header.parent,
        base_fee_per_gas: Some(0),
        ..Default::default()
    };
    let transactions = if full {
        BlockTransactions::Full(
            (0..found.results.receipts.len())
                .map(|position| transaction(found, position, chain_id))
                .collect::<Result<_, _>>()?,
        )
    } else {
        BlockTransactions::Hashes(
            found
                .results
                .receipts
                .iter()
                .map(|outcome| outcome.hash)
                .collect(),
        )
    };
    Ok(RpcBlock {
        header: RpcHeader {
            hash: found.digest,
            inner,
            total_difficulty: None,
            size: Some(U256::from(found.block.encode_size())),
        },
        uncles: Vec::new(),
        transactions,
        withdrawals: None,
    })
}

/// One of a block's transactions.
pub fn transaction(
    found: &Found,
    position: usize,
    chain_id: u64,
) -> Result<RpcTransaction, IndexError> {
    let raw = found
        .block
        .transactions
        .get(position)
        .ok_or(IndexError::Damaged("transactions"))?;
    let decoded =
        Transaction::decode(raw, chain_id).map_err(|_| IndexError::Damaged("transactions"))?;
    Ok(RpcTransaction {
        block_hash: Some(found.digest),
        block_number: Some(found.block.header.height),
        transaction_index: u64::try_from(position).ok(),
        block_timestamp: Some(seconds(&found.block)),
        ..pending(&decoded)
    })
}

/// A transaction that waits.
pub fn pending(transaction: &Transaction) -> RpcTransaction {
    let envelope = transaction.envelope().clone();
    RpcTransaction {
        effective_gas_price: Some(envelope.effective_gas_price(Some(0))),
        inner: Recovered::new_unchecked(envelope, transaction.sender()),
        block_hash: None,
        block_number: None,
        transaction_index: None,
        block_timestamp: None,
    }
}

/// Number of logs in a block before a transaction.
fn logs_before(results: &Results, position: usize) -> u64 {
    results
        .receipts
        .iter()
        .take(position)
        .map(|outcome| outcome.logs.len() as u64)
        .sum()
}

/// A transaction's logs with their places.
pub fn logs(found: &Found, position: usize) -> Vec<Log> {
    let Some(outcome) = found.results.receipts.get(position) else {
        return Vec::new();
    };
    (logs_before(&found.results, position)..)
        .zip(&outcome.logs)
        .map(|(index, log)| Log {
            inner: log.clone(),
            block_hash: Some(found.digest),
            block_number: Some(found.block.header.height),
            block_timestamp: Some(seconds(&found.block)),
            transaction_hash: Some(outcome.hash),
            transaction_index: u64::try_from(position).ok(),
            log_index: Some(index),
            removed: false,
        })
        .collect()
}

/// A transaction's receipt.
pub fn receipt(found: &Found, position: usize) -> Result<TransactionReceipt, IndexError> {
    let outcome: &TransactionOutcome = found
        .results
        .receipts
        .get(position)
        .ok_or(IndexError::Damaged("results"))?;
    let with_bloom = ReceiptWithBloom {
        receipt: Receipt {
            status: outcome.success.into(),
            cumulative_gas_used: outcome.cumulative_gas_used,
            logs: logs(found, position),
        },
        logs_bloom: logs_bloom(&outcome.logs),
    };
    let inner = match outcome.tx_type {
        0 => ReceiptEnvelope::Legacy(with_bloom),
        1 => ReceiptEnvelope::Eip2930(with_bloom),
        2 => ReceiptEnvelope::Eip1559(with_bloom),
        4 => ReceiptEnvelope::Eip7702(with_bloom),
        _ => return Err(IndexError::Damaged("results")),
    };
    Ok(TransactionReceipt {
        inner,
        transaction_hash: outcome.hash,
        transaction_index: u64::try_from(position).ok(),
        block_hash: Some(found.digest),
        block_number: Some(found.block.header.height),
        gas_used: outcome.gas_used,
        effective_gas_price: outcome.effective_gas_price,
        blob_gas_used: None,
        blob_gas_price: None,
        from: outcome.sender,
        to: outcome.to,
        contract_address: outcome.contract_address,
    })
}
