//! From the index to Ethereum's JSON shapes.

use crate::find::Found;
use alloy::{
    consensus::{
        EMPTY_OMMER_ROOT_HASH, Header as EthereumHeader, Receipt, ReceiptEnvelope,
        ReceiptWithBloom, Transaction as _, TxEnvelope, TxType, transaction::Recovered,
    },
    eips::eip2718::Decodable2718 as _,
    primitives::logs_bloom,
    rpc::types::{
        Block as RpcBlock, BlockTransactions, Header as RpcHeader, Log,
        Transaction as RpcTransaction, TransactionReceipt,
    },
};
use commonware_codec::EncodeSize as _;
use mileverse_consensus::{block::Block, index::IndexError};
use mileverse_execution::{Transaction, sender_price};
use mileverse_primitives::{Address, B256, Bytes, U256, address::STAKING, keccak256};

/// Seconds since 1970, as the EVM has them.
pub const fn seconds(block: &Block) -> u64 {
    block.timestamp_ms() / 1000
}

/// A block's header as Ethereum has it; `base` is the base fee of the chain.
pub fn header(block: &Block, digest: B256, base: u64) -> RpcHeader {
    let own = &block.header;
    let inner = EthereumHeader {
        parent_hash: own.parent,
        ommers_hash: EMPTY_OMMER_ROOT_HASH,
        // Who receives the fees, as COINBASE says.
        beneficiary: STAKING,
        state_root: own.state.root,
        transactions_root: own.transactions_root,
        receipts_root: own.receipts_root,
        logs_bloom: own.logs_bloom,
        number: own.height,
        gas_limit: own.gas_limit,
        gas_used: own.gas_used,
        timestamp: seconds(block),
        // What PREVRANDAO says.
        mix_hash: own.parent,
        base_fee_per_gas: Some(base),
        ..Default::default()
    };
    RpcHeader {
        hash: digest,
        inner,
        total_difficulty: None,
        size: Some(U256::from(block.encode_size())),
    }
}

/// A block with its transactions' hashes, or with all of them.
pub fn block(found: &Found, full: bool, base: u64) -> Result<RpcBlock, IndexError> {
    let transactions = if full {
        let all =
            (0..found.block.transactions.len()).map(|position| transaction(found, position, base));
        BlockTransactions::Full(all.collect::<Result<_, _>>()?)
    } else {
        BlockTransactions::Hashes(found.block.transactions.iter().map(keccak256).collect())
    };
    Ok(RpcBlock {
        header: header(&found.block, found.digest, base),
        uncles: Vec::new(),
        transactions,
        withdrawals: None,
    })
}

/// One of a block's transactions as it was signed.
pub fn raw(found: &Found, position: usize) -> Option<Bytes> {
    let raw = found.block.transactions.get(position)?;
    Some(raw.clone().into())
}

fn envelope(found: &Found, position: usize) -> Result<(TxEnvelope, Address), IndexError> {
    let damaged = || IndexError::Damaged("transactions");
    let raw = found.block.transactions.get(position).ok_or_else(damaged)?;
    let envelope = TxEnvelope::decode_2718_exact(raw).map_err(|_| damaged())?;
    let outcome = found.results.receipts.get(position).ok_or_else(damaged)?;
    Ok((envelope, outcome.sender))
}

/// One of a block's transactions.
pub fn transaction(
    found: &Found,
    position: usize,
    base: u64,
) -> Result<RpcTransaction, IndexError> {
    let (envelope, sender) = envelope(found, position)?;
    let price = price(found, position, &envelope, base);
    Ok(RpcTransaction {
        effective_gas_price: Some(price),
        block_hash: Some(found.digest),
        block_number: Some(found.block.header.height),
        transaction_index: u64::try_from(position).ok(),
        block_timestamp: Some(seconds(&found.block)),
        ..unplaced(envelope, sender, base)
    })
}

/// What its sender paid for one gas.
fn price(found: &Found, position: usize, envelope: &TxEnvelope, base: u64) -> u128 {
    let outcome = found.results.receipts.get(position);
    sender_price(envelope, base, outcome.map_or(&[], |outcome| &outcome.logs))
}

/// A transaction that waits, at the price that it would pay.
pub fn pending(transaction: &Transaction, base: u64) -> RpcTransaction {
    unplaced(transaction.envelope().clone(), transaction.sender(), base)
}

/// A transaction without a place in a block.
pub fn unplaced(envelope: TxEnvelope, sender: Address, base: u64) -> RpcTransaction {
    RpcTransaction {
        effective_gas_price: Some(envelope.effective_gas_price(Some(base))),
        inner: Recovered::new_unchecked(envelope, sender),
        block_hash: None,
        block_number: None,
        transaction_index: None,
        block_timestamp: None,
    }
}

/// A transaction's logs with their places; `first` is the number of logs of the block before it.
pub fn logs(found: &Found, position: usize, first: u64) -> Vec<Log> {
    let (Some(outcome), Some(raw)) = (
        found.results.receipts.get(position),
        found.block.transactions.get(position),
    ) else {
        return Vec::new();
    };
    if outcome.logs.is_empty() {
        return Vec::new();
    }
    let hash = keccak256(raw);
    (first..)
        .zip(&outcome.logs)
        .map(|(index, log)| Log {
            inner: log.clone(),
            block_hash: Some(found.digest),
            block_number: Some(found.block.header.height),
            block_timestamp: Some(seconds(&found.block)),
            transaction_hash: Some(hash),
            transaction_index: u64::try_from(position).ok(),
            log_index: Some(index),
            removed: false,
        })
        .collect()
}

/// A transaction's receipt.
pub fn receipt(
    found: &Found,
    position: usize,
    base: u64,
) -> Result<TransactionReceipt, IndexError> {
    let (gas, logs) = (
        found.results.gas_before(position),
        found.results.logs_before(position),
    );
    receipt_after(found, position, base, gas, logs)
}

/// All receipts of a block.
pub fn receipts(found: &Found, base: u64) -> Result<Vec<TransactionReceipt>, IndexError> {
    let (mut gas, mut logs) = (0u64, 0u64);
    let outcomes = found.results.receipts.iter().enumerate();
    outcomes
        .map(|(position, outcome)| {
            let receipt = receipt_after(found, position, base, gas, logs);
            gas = gas.saturating_add(outcome.gas_used);
            logs = logs.saturating_add(outcome.logs.len() as u64);
            receipt
        })
        .collect()
}

/// A receipt by the type of its transaction; there are no blobs.
pub fn typed<L>(kind: TxType, receipt: ReceiptWithBloom<Receipt<L>>) -> Option<ReceiptEnvelope<L>> {
    Some(match kind {
        TxType::Legacy => ReceiptEnvelope::Legacy(receipt),
        TxType::Eip2930 => ReceiptEnvelope::Eip2930(receipt),
        TxType::Eip1559 => ReceiptEnvelope::Eip1559(receipt),
        TxType::Eip7702 => ReceiptEnvelope::Eip7702(receipt),
        TxType::Eip4844 => return None,
    })
}

/// A receipt, given the gas and the logs of the block before its transaction.
fn receipt_after(
    found: &Found,
    position: usize,
    base: u64,
    gas: u64,
    first_log: u64,
) -> Result<TransactionReceipt, IndexError> {
    let damaged = || IndexError::Damaged("results");
    let outcome = found.results.receipts.get(position).ok_or_else(damaged)?;
    let (envelope, sender) = envelope(found, position)?;
    let with_bloom = ReceiptWithBloom {
        receipt: Receipt {
            status: outcome.success.into(),
            cumulative_gas_used: gas.saturating_add(outcome.gas_used),
            logs: logs(found, position, first_log),
        },
        logs_bloom: logs_bloom(&outcome.logs),
    };
    let inner = typed(envelope.tx_type(), with_bloom).ok_or_else(damaged)?;
    let created = outcome.success && envelope.is_create();
    Ok(TransactionReceipt {
        inner,
        transaction_hash: *envelope.tx_hash(),
        transaction_index: u64::try_from(position).ok(),
        block_hash: Some(found.digest),
        block_number: Some(found.block.header.height),
        gas_used: outcome.gas_used,
        effective_gas_price: price(found, position, &envelope, base),
        blob_gas_used: None,
        blob_gas_price: None,
        from: sender,
        to: envelope.to(),
        contract_address: created.then(|| sender.create(envelope.nonce())),
    })
}
