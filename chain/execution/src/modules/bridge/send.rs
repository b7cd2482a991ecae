//! Packets out: tokens locked here, a commitment stored, a leaf in the outbox.

use super::{
    NEXT_SEQUENCE,
    link::Link,
    outbox,
    token::{Kind, Sum},
    valves,
};
use crate::modules::{
    host::{Fault, Host},
    is_nobody,
    rewards::share,
};
use alloy::primitives::{B256, U256};
use mileverse_primitives::{
    abi::IBridge,
    exchange::ROUTER,
    packet::{MAX_LIFETIME_SECONDS, Packet, PacketId, Transfer},
};

/// Sends the caller's tokens in the name of `call.sender`, who has them if they are refunded. With
/// `acknowledge` this chain comes to know once they were received.
pub(crate) fn send(
    host: &mut Host<'_>,
    link: Link,
    call: &IBridge::sendForCall,
    acknowledge: bool,
) -> Result<u64, Fault> {
    let token = link.token(call.token)?;
    if is_nobody(call.sender) || call.sender == ROUTER {
        return Err(Fault::revert(
            "the sender is who is refunded; the zero address, a system module or the router cannot be",
        ));
    }
    if call.receiver.is_zero() {
        return Err(Fault::revert("the receiver is the zero address"));
    }
    if call.amount.is_zero() {
        return Err(Fault::revert("the amount is zero"));
    }
    let now = host.now();
    if call.deadline <= now || call.deadline > now.saturating_add(MAX_LIFETIME_SECONDS) {
        return Err(Fault::revert(
            "the deadline must lie after this block's time and at most 30 days after it",
        ));
    }
    if token.kind == Kind::Coin {
        share::may_leave(host)?;
    }
    valves::admit_out(host, token, call.amount)?;
    token.take(host, call.amount)?;
    token.count(host, Sum::Sent, call.amount)?;
    let transfer = Transfer {
        id: next_id(host, link)?,
        deadline: call.deadline,
        token: token.at_home(host),
        sender: call.sender,
        receiver: call.receiver,
        amount: call.amount,
        action: None,
        acknowledge,
    };
    let sequence = transfer.id.sequence;
    let commitment = commit(host, link, &Packet::Transfer(transfer))?;
    outbox::append(host, &[commitment])?;
    Ok(sequence)
}

/// The name of the next packet from here.
pub(super) fn next_id(host: &mut Host<'_>, link: Link) -> Result<PacketId, Fault> {
    Ok(PacketId {
        source: host.config().chain_id,
        destination: link.far_chain(host),
        sequence: host.load_u64(link.slot(NEXT_SEQUENCE))?,
    })
}

/// Stores a packet that has the next name, and tells relayers its bytes. Whoever calls this also
/// appends the commitments to the outbox, in the same order.
pub(super) fn commit(host: &mut Host<'_>, link: Link, packet: &Packet) -> Result<B256, Fault> {
    let sequence = packet.id().sequence;
    let next = sequence.checked_add(1).ok_or_else(Fault::overflow)?;
    let commitment = packet.commitment();
    host.store(link.slot(NEXT_SEQUENCE), U256::from(next))?;
    host.store(link.outbound(sequence), commitment.into())?;
    link.tell_sent(host, sequence, commitment, packet.encode())?;
    Ok(commitment)
}
