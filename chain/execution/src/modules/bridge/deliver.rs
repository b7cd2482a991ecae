//! Packets in: proven against an Ethereum checkpoint, or by a peer's certificate (`peers::deliver`),
//! then settled once, by the same rules.
//!
//! For each packet, in the protocol's order: if it has a receipt, nothing happens; a transfer in
//! time is received, or waits first if it is large; a late one, and one that cannot take effect,
//! expires, and an expiry packet goes home; an expiry releases the refund of the packet inside. A
//! transfer whose sender asked sends an acknowledgement home as it is received; at home it shuts the
//! refund out. A transfer with an action is not received but opened, by the router alone. One packet that breaks a
//! rule, or meets a pause, refuses the whole delivery.

use super::{
    EXPIRED, HELD, MAX_ITEMS, OPENED, RECEIVED, checkpoint,
    link::{Link, Told},
    opened, outbox, outcome, proof, send, set_outcome,
    token::{Kind, Sum, Token},
    valves::{self, Admission},
};
use crate::modules::{
    host::{Fault, HASH_WORD_GAS, Host},
    is_nobody,
    rewards::share,
};
use alloy::primitives::{B256, U256};
use mileverse_primitives::{
    abi::{IBridge, IValves::Direction},
    address::REWARDS,
    exchange::ROUTER,
    packet::{ACKNOWLEDGED, Acknowledgement, Action, Expiry, Packet, REFUNDED, Transfer},
    rewards::QuarterAccount,
};

/// Reading and checking one packet, beside its proof.
const ITEM_GAS: u64 = 1_000;
/// The most that one transfer may bring: no sum of such amounts leaves 256 bits.
const MAX_AMOUNT: U256 = U256::from_limbs([u64::MAX, u64::MAX, 0, 0]);

pub(super) fn deliver(host: &mut Host<'_>, call: &IBridge::deliverCall) -> Result<(), Fault> {
    check_count(call.items.len())?;
    valves::require_open(host, Link::Ethereum, Direction::Receive)?;
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
        let (packet, commitment) = read(host, &item.packet)?;
        let id = packet.id();
        if id.source != host.config().ethereum.chain_id || id.destination != host.config().chain_id
        {
            return Err(Fault::revert(
                "the packet does not go from Ethereum to this chain",
            ));
        }
        proof::commitment(
            host,
            storage_root,
            id.sequence,
            commitment,
            &item.storageProof,
        )?;
        sent.extend(settle(host, Link::Ethereum, packet, commitment)?);
    }
    go_home(host, &sent)
}

/// Refuses a delivery of nothing, or of too much.
pub(crate) fn check_count(items: usize) -> Result<(), Fault> {
    if items == 0 || items > MAX_ITEMS {
        return Err(Fault::revert(format!(
            "a delivery holds 1 to {MAX_ITEMS} packets"
        )));
    }
    Ok(())
}

/// Reads a packet; answers its commitment, too.
pub(crate) fn read(host: &mut Host<'_>, bytes: &[u8]) -> Result<(Packet, B256), Fault> {
    host.charge(ITEM_GAS)?;
    host.charge_words(HASH_WORD_GAS, bytes.len())?;
    let packet = Packet::decode(bytes).map_err(|error| Fault::revert(error.to_string()))?;
    // Decoding is one to one, so this is the hash of the bytes given.
    let commitment = packet.commitment();
    Ok((packet, commitment))
}

/// Appends the news of a delivery to the outbox.
pub(crate) fn go_home(host: &mut Host<'_>, news: &[B256]) -> Result<(), Fault> {
    if news.is_empty() {
        return Ok(());
    }
    outbox::append(host, news)
}

/// Gives a proven packet that came over `link` its outcome, if it has none. Answers the news that
/// goes home, if any does: an expiry, or an acknowledgement.
pub(crate) fn settle(
    host: &mut Host<'_>,
    link: Link,
    packet: Packet,
    commitment: B256,
) -> Result<Option<B256>, Fault> {
    let settled = outcome(host, link, packet.id().sequence)?;
    if matches!(settled, RECEIVED | EXPIRED | OPENED) {
        return Ok(None);
    }
    match packet {
        Packet::Transfer(transfer) if settled == HELD => end_hold(host, link, transfer, commitment),
        Packet::Transfer(transfer) => admit(host, link, transfer, commitment),
        Packet::Expiry(expiry) => refund(host, link, &expiry, commitment).map(|()| None),
        Packet::Acknowledgement(news) => acknowledge(host, link, &news, commitment).map(|()| None),
        Packet::Rotation(_) => Err(Fault::revert(
            "Ethereum has no group key to rotate; such a packet only goes there",
        )),
    }
}

/// Anybody: a large transfer whose delay is over takes effect.
pub(crate) fn release(host: &mut Host<'_>, link: Link, packet: &[u8]) -> Result<(), Fault> {
    valves::require_open(host, link, Direction::Receive)?;
    let (transfer, commitment) = read_held(host, packet)?;
    match end_hold(host, link, transfer, commitment)? {
        Some(home) => outbox::append(host, &[home]),
        None => Ok(()),
    }
}

/// The guardian: a large transfer that waits never takes effect.
pub(crate) fn stop(host: &mut Host<'_>, link: Link, packet: &[u8]) -> Result<(), Fault> {
    let (transfer, commitment) = read_held(host, packet)?;
    let until = held_until(host, link, transfer.id.sequence, commitment)?;
    if host.now() >= until {
        return Err(Fault::revert(
            "the transfer's delay is over; it can only be released",
        ));
    }
    valves::unhold(host, link, transfer.id.sequence)?;
    let home = expire(host, link, transfer, commitment)?;
    outbox::append(host, &[home])
}

/// A transfer without an outcome, proven. Answers the news that goes home, if any does.
fn admit(
    host: &mut Host<'_>,
    link: Link,
    transfer: Transfer,
    commitment: B256,
) -> Result<Option<B256>, Fault> {
    let token = link.token_of_packet(host, transfer.token);
    let Some(token) = token.filter(|_| host.now() <= transfer.deadline) else {
        return expire(host, link, transfer, commitment).map(Some);
    };
    if !can_receive(host, token, &transfer)? {
        return expire(host, link, transfer, commitment).map(Some);
    }
    valves::require_unpaused(host, token)?;
    match valves::admit_in(host, token, transfer.amount)? {
        Admission::Now => take_effect(host, token, transfer, commitment, false),
        Admission::After(seconds) => {
            valves::hold(host, link, transfer.id.sequence, commitment, seconds).map(|()| None)
        }
        Admission::Never => expire(host, link, transfer, commitment).map(Some),
    }
}

/// A transfer that waited: proven in time, so its deadline no longer counts.
fn end_hold(
    host: &mut Host<'_>,
    link: Link,
    transfer: Transfer,
    commitment: B256,
) -> Result<Option<B256>, Fault> {
    let until = held_until(host, link, transfer.id.sequence, commitment)?;
    if host.now() < until {
        return Err(Fault::revert(format!(
            "this large transfer waits until block time {until}; deliver or release it then"
        )));
    }
    let token = link
        .token_of_packet(host, transfer.token)
        .ok_or_else(not_held)?;
    valves::require_unpaused(host, token)?;
    valves::unhold(host, link, transfer.id.sequence)?;
    if can_receive(host, token, &transfer)? {
        take_effect(host, token, transfer, commitment, true)
    } else {
        expire(host, link, transfer, commitment).map(Some)
    }
}

/// Whether a transfer can take effect, now or ever. What cannot goes home at once. The rewards
/// module takes coin, which is then in its pool, and the shares of its quarters. The router could never give on what it receives.
fn can_receive(host: &mut Host<'_>, token: Token, transfer: &Transfer) -> Result<bool, Fault> {
    let has_action = transfer.action.is_some();
    if let Some(account) = QuarterAccount::of(transfer.receiver) {
        return Ok(token.kind == Kind::Coin
            && !has_action
            && transfer.amount <= MAX_AMOUNT
            && share::is_due(host, transfer.sender, account)?);
    }
    let has_exchange = host.config().has_exchange;
    let is_pool = transfer.receiver == REWARDS && token.kind == Kind::Coin && !has_action;
    if (is_nobody(transfer.receiver) && !is_pool)
        || (has_exchange && transfer.receiver == ROUTER)
        || (has_action && (!has_exchange || token.link != Link::Ethereum))
        || transfer.amount > MAX_AMOUNT
    {
        return Ok(false);
    }
    token.can_give(host, transfer.amount)
}

/// Reads a packet that somebody says is held; whether it is, its commitment shows.
fn read_held(host: &mut Host<'_>, packet: &[u8]) -> Result<(Transfer, B256), Fault> {
    let (packet, commitment) = read(host, packet)?;
    match packet {
        Packet::Transfer(transfer) => Ok((transfer, commitment)),
        _ => Err(not_held()),
    }
}

/// When this very packet, which waits, may be released.
fn held_until(
    host: &mut Host<'_>,
    link: Link,
    sequence: u64,
    commitment: B256,
) -> Result<u64, Fault> {
    let (held, until) = valves::held(host, link, sequence)?;
    if outcome(host, link, sequence)? == HELD && held == commitment {
        Ok(until)
    } else {
        Err(not_held())
    }
}

fn not_held() -> Fault {
    Fault::revert("no transfer with these bytes waits here")
}

/// A transfer that can: its tokens are the receiver's, or the router's to do with them what it says.
/// Answers the acknowledgement that goes home, if one does.
fn take_effect(
    host: &mut Host<'_>,
    token: Token,
    transfer: Transfer,
    commitment: B256,
    was_held: bool,
) -> Result<Option<B256>, Fault> {
    match transfer.action {
        None => {
            receive(host, token, &transfer, commitment)?;
            tell_home(host, token.link, transfer)
        }
        Some(Action::Swap { least }) => {
            opened::open(host, token, &transfer, least, was_held).map(|()| None)
        }
    }
}

/// Tells a sender who asked that the transfer was received; answers the commitment of that packet.
pub(super) fn tell_home(
    host: &mut Host<'_>,
    link: Link,
    received: Transfer,
) -> Result<Option<B256>, Fault> {
    if !received.acknowledge {
        return Ok(None);
    }
    let id = send::next_id(host, link)?;
    let news = Packet::Acknowledgement(Acknowledgement { id, received });
    send::commit(host, link, &news).map(Some)
}

fn receive(
    host: &mut Host<'_>,
    token: Token,
    transfer: &Transfer,
    commitment: B256,
) -> Result<(), Fault> {
    let (link, sequence) = (token.link, transfer.id.sequence);
    set_outcome(host, link, sequence, RECEIVED)?;
    link.tell(host, Told::Received, sequence, commitment)?;
    if let Some(account) = QuarterAccount::of(transfer.receiver) {
        token.give(host, REWARDS, transfer.amount, Sum::Received)?;
        return share::came(host, account, transfer.amount);
    }
    token.give(host, transfer.receiver, transfer.amount, Sum::Received)
}

/// Refuses a transfer for ever; answers the commitment of the expiry that goes home.
pub(super) fn expire(
    host: &mut Host<'_>,
    link: Link,
    transfer: Transfer,
    commitment: B256,
) -> Result<B256, Fault> {
    let sequence = transfer.id.sequence;
    set_outcome(host, link, sequence, EXPIRED)?;
    link.tell(host, Told::Expired, sequence, commitment)?;
    let id = send::next_id(host, link)?;
    send::commit(
        host,
        link,
        &Packet::Expiry(Expiry {
            id,
            expired: transfer,
        }),
    )
}

/// Returns the tokens of a packet from here that expired over there, once.
fn refund(host: &mut Host<'_>, link: Link, expiry: &Expiry, commitment: B256) -> Result<(), Fault> {
    let Expiry { id, expired } = expiry;
    let token = link
        .token_of_packet(host, expired.token)
        .ok_or_else(not_outstanding)?;
    valves::require_unpaused(host, token)?;
    let inner = end(host, link, expired, REFUNDED)?;
    set_outcome(host, link, id.sequence, RECEIVED)?;
    link.tell(host, Told::Received, id.sequence, commitment)?;
    link.tell(host, Told::Refunded, expired.id.sequence, inner)?;
    token.give(host, expired.sender, expired.amount, Sum::Refunded)
}

/// A packet from here was received over there, and its sender wanted to know. No token moves, so a
/// token's pause does not matter.
fn acknowledge(
    host: &mut Host<'_>,
    link: Link,
    news: &Acknowledgement,
    commitment: B256,
) -> Result<(), Fault> {
    let Acknowledgement { id, received } = news;
    let inner = end(host, link, received, ACKNOWLEDGED)?;
    set_outcome(host, link, id.sequence, RECEIVED)?;
    link.tell(host, Told::Received, id.sequence, commitment)?;
    link.tell(host, Told::Acknowledged, received.id.sequence, inner)
}

/// What became of a packet from here, of which there was no news yet: its commitment makes room for a
/// mark, so that there can be no other. Should the other side ever report both ends, the second is
/// refused for ever. Answers the commitment.
fn end(host: &mut Host<'_>, link: Link, sent: &Transfer, mark: B256) -> Result<B256, Fault> {
    let inner = Packet::Transfer(sent.clone()).commitment();
    let slot = link.outbound(sent.id.sequence);
    if host.load(slot)? != U256::from_be_bytes(inner.0) {
        return Err(not_outstanding());
    }
    host.store(slot, mark.into())?;
    Ok(inner)
}

fn not_outstanding() -> Fault {
    Fault::revert(
        "the packet that expired or was received was never sent from here, or is refunded or acknowledged already",
    )
}
