//! Packets in: proven against an Ethereum checkpoint, then settled once.
//!
//! For each packet, in the protocol's order: if it has a receipt, nothing happens; a transfer in
//! time is received; a late one expires, and an expiry packet goes home; an expiry releases the
//! refund of the packet inside. One packet that breaks a rule refuses the whole delivery.

use super::{
    EXPIRED, MAX_ITEMS, OUTBOUND, RECEIPTS, RECEIVED, checkpoint, outbox, proof, receipt, send,
    token::{Sum, Token},
};
use crate::modules::{
    host::{Fault, HASH_WORD_GAS, Host},
    is_nobody,
};
use alloy::primitives::{B256, U256};
use mileverse_primitives::{
    abi::IBridge,
    address::BRIDGE,
    packet::{Expiry, Packet, REFUNDED, Transfer},
};

/// Reading and checking one packet, beside its proof.
const ITEM_GAS: u64 = 1_000;

pub(super) fn deliver(host: &mut Host<'_>, call: &IBridge::deliverCall) -> Result<(), Fault> {
    if call.items.is_empty() || call.items.len() > MAX_ITEMS {
        return Err(Fault::revert(format!(
            "a delivery holds 1 to {MAX_ITEMS} packets"
        )));
    }
    let checkpoint = checkpoint::find(host, call.ethereumBlock)?
        .ok_or_else(|| Fault::revert("the chain has no checkpoint of this Ethereum block"))?;
    let storage_root = proof::storage_root(
        host,
        checkpoint.state_root,
        host.config().ethereum.bridge,
        &call.accountProof,
    )?;
    let mut sent = Vec::new();
    for item in &call.items {
        host.charge(ITEM_GAS)?;
        host.charge_words(HASH_WORD_GAS, item.packet.len())?;
        let packet =
            Packet::decode(&item.packet).map_err(|error| Fault::revert(error.to_string()))?;
        let id = packet.id();
        if id.source != host.config().ethereum.chain_id || id.destination != host.config().chain_id
        {
            return Err(Fault::revert(
                "the packet does not go from Ethereum to this chain",
            ));
        }
        // Decoding is one to one, so this is the hash of the bytes given.
        let commitment = packet.commitment();
        proof::commitment(
            host,
            storage_root,
            id.sequence,
            commitment,
            &item.storageProof,
        )?;
        if receipt(host, id.sequence)? != 0 {
            continue;
        }
        match packet {
            Packet::Transfer(transfer) => {
                if host.now() <= transfer.deadline && !is_nobody(transfer.receiver) {
                    receive(host, &transfer, commitment)?;
                } else {
                    sent.push(expire(host, transfer, commitment)?);
                }
            }
            Packet::Expiry(expiry) => refund(host, expiry, commitment)?,
            Packet::Rotation(_) => {
                return Err(Fault::revert(
                    "Ethereum has no group key to rotate; such a packet only goes there",
                ));
            }
        }
    }
    if !sent.is_empty() {
        outbox::append(host, &sent)?;
    }
    Ok(())
}

fn receive(host: &mut Host<'_>, transfer: &Transfer, commitment: B256) -> Result<(), Fault> {
    let token = Token::of_packet(host, transfer.token)?;
    record(host, transfer.id.sequence, RECEIVED)?;
    host.log(
        BRIDGE,
        &IBridge::PacketReceived {
            sequence: transfer.id.sequence,
            commitment,
        },
    )?;
    token.give(host, transfer.receiver, transfer.amount, Sum::Received)
}

/// Refuses a transfer for ever; answers the commitment of the expiry that goes home.
fn expire(host: &mut Host<'_>, transfer: Transfer, commitment: B256) -> Result<B256, Fault> {
    record(host, transfer.id.sequence, EXPIRED)?;
    host.log(
        BRIDGE,
        &IBridge::PacketExpired {
            sequence: transfer.id.sequence,
            commitment,
        },
    )?;
    let id = send::next_id(host)?;
    send::commit(
        host,
        &Packet::Expiry(Expiry {
            id,
            expired: transfer,
        }),
    )
}

/// Returns the tokens of a packet from here that expired over there, once.
fn refund(host: &mut Host<'_>, expiry: Expiry, commitment: B256) -> Result<(), Fault> {
    let Expiry { id, expired } = expiry;
    let token = Token::of_packet(host, expired.token)?;
    let inner = Packet::Transfer(expired.clone()).commitment();
    let slot = OUTBOUND.entry(expired.id.sequence);
    if host.load(slot)? != U256::from_be_bytes(inner.0) {
        return Err(Fault::revert(
            "the expired packet was never sent from here, or is refunded already",
        ));
    }
    host.store(slot, REFUNDED.into())?;
    record(host, id.sequence, RECEIVED)?;
    host.log(
        BRIDGE,
        &IBridge::PacketReceived {
            sequence: id.sequence,
            commitment,
        },
    )?;
    host.log(
        BRIDGE,
        &IBridge::PacketRefunded {
            sequence: expired.id.sequence,
            commitment: inner,
        },
    )?;
    token.give(host, expired.sender, expired.amount, Sum::Refunded)
}

fn record(host: &mut Host<'_>, sequence: u64, outcome: u8) -> Result<(), Fault> {
    host.store(RECEIPTS.entry(sequence), U256::from(outcome))
}
