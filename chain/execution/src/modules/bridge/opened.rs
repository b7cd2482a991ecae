//! Packets that are open: their tokens are with the router, which swaps them and settles each packet
//! before its transaction ends.
//!
//! ```txt
//! slot
//! 17   uint64                        how many are open; zero outside of a transaction
//!
//! kept to the end of the transaction only (EIP-1153), at places of its own
//! 0    uint64                        places used
//! 1    mapping(address => Till)      by token here:
//!                                      +0  what the router had before the first was opened
//!                                      +1  amounts that are open
//! 2    mapping(uint64 => Entry)      by place, from 0; all zero once settled:
//!                                      +0  sequence (64 bits) | deadline (64) << 64 | coin (1) << 128
//!                                          | counted by the limits before, since it was held (1) << 192
//!                                          | its sender wants an acknowledgement (1) << 193
//!                                      +1  sender
//!                                      +2  receiver
//!                                      +3  amount
//!                                      +4  least
//! 3    mapping(uint64 => uint64)     by inbound sequence: place + 1
//! ```
//!
//! The router is the one contract at [`ROUTER`] that the genesis file placed; nothing that a packet
//! says is called. It settles a packet as done, and then has exactly as much of the token as before
//! it was opened; or as not done, and then the amount is taken back from it and the packet expires.
//! A transaction that leaves one open is in no block ([`left_open`]).

use super::{
    BRIDGE, OPENED, RECEIVED, deliver,
    link::{Link, Told},
    outbox, set_outcome,
    token::{Kind, Sum, Token},
    valves,
};
use crate::modules::{
    host::{Fault, HASH_WORD_GAS, Host, to_u64},
    slot::Slot,
};
use alloy::primitives::{Address, U256};
use mileverse_primitives::{
    abi::IBridge,
    exchange::ROUTER,
    packet::{ACTION_LENGTH, Action, Packet, PacketId, Transfer},
};
use revm::state::EvmState;

const COUNT: Slot = Slot::at(BRIDGE, 17);

const PLACES: Slot = Slot::at(BRIDGE, 0);
const TILLS: Slot = Slot::at(BRIDGE, 1);
const ENTRIES: Slot = Slot::at(BRIDGE, 2);
const PLACE_OF: Slot = Slot::at(BRIDGE, 3);

/// Whether a transaction that came to this state leaves a packet open.
pub(crate) fn left_open(state: &EvmState) -> bool {
    state
        .get(&BRIDGE)
        .and_then(|account| account.storage.get(&COUNT.key()))
        .is_some_and(|count| !count.present_value().is_zero())
}

/// What opening a packet touches for certain.
pub(super) const fn count_slot() -> Slot {
    COUNT
}

/// Gives a transfer's tokens to the router, which must be the caller. One that `was_held` was counted by
/// the limits of another time.
pub(super) fn open(
    host: &mut Host<'_>,
    token: Token,
    transfer: &Transfer,
    least: U256,
    was_held: bool,
) -> Result<(), Fault> {
    let sequence = transfer.id.sequence;
    if host.caller() != ROUTER {
        return Err(Fault::typed(&IBridge::RouterNeeded { sequence }));
    }
    let count = host.load_u64(COUNT)?;
    if count == 0 {
        begin(host)?;
    }
    let place = to_u64(host.load_transient(PLACES)?)?;
    let next = place.checked_add(1).ok_or_else(Fault::overflow)?;
    host.store_transient(PLACES, U256::from(next))?;
    host.store_transient(PLACE_OF.entry(sequence), U256::from(next))?;
    let is_coin = u64::from(token.kind == Kind::Coin);
    let entry = ENTRIES.entry(place);
    let words = [
        U256::from_limbs([
            sequence,
            transfer.deadline,
            is_coin,
            u64::from(was_held) | u64::from(transfer.acknowledge) << 1,
        ]),
        transfer.sender.into_word().into(),
        transfer.receiver.into_word().into(),
        transfer.amount,
        least,
    ];
    for (field, word) in (0u64..).zip(words) {
        host.store_transient(entry.field(field), word)?;
    }
    let open = TILLS.entry(token.address()).field(1);
    let sum = host
        .load_transient(open)?
        .checked_add(transfer.amount)
        .ok_or_else(Fault::overflow)?;
    host.store_transient(open, sum)?;
    let more = count.checked_add(1).ok_or_else(Fault::overflow)?;
    host.store(COUNT, U256::from(more))?;
    set_outcome(host, token.link, sequence, OPENED)?;
    token.give(host, ROUTER, transfer.amount, Sum::Received)
}

/// Nothing is open: what was kept of packets before counts no more.
fn begin(host: &mut Host<'_>) -> Result<(), Fault> {
    host.store_transient(PLACES, U256::ZERO)?;
    for token in [Token::POINTS, Token::COIN] {
        let before = token.balance(host, ROUTER)?;
        let till = TILLS.entry(token.address());
        host.store_transient(till, before)?;
        host.store_transient(till.field(1), U256::ZERO)?;
    }
    Ok(())
}

/// The router: a packet that is open is received, or expires and goes home.
pub(super) fn settle(host: &mut Host<'_>, call: &IBridge::settleCall) -> Result<(), Fault> {
    if host.caller() != ROUTER {
        return Err(Fault::revert("only the router settles packets"));
    }
    let place_of = PLACE_OF.entry(call.sequence);
    let place = to_u64(host.load_transient(place_of)?)?.checked_sub(1);
    let found = match place {
        Some(place) => read(host, place)?,
        None => None,
    };
    let (Some(place), Some((token, transfer, was_held))) = (place, found) else {
        return Err(Fault::revert("no packet with this sequence is open"));
    };
    host.store_transient(place_of, U256::ZERO)?;
    host.store_transient(ENTRIES.entry(place), U256::ZERO)?;
    let fewer = host
        .load_u64(COUNT)?
        .checked_sub(1)
        .ok_or_else(Fault::overflow)?;
    host.store(COUNT, U256::from(fewer))?;
    let till = TILLS.entry(token.address());
    let open = host
        .load_transient(till.field(1))?
        .checked_sub(transfer.amount)
        .ok_or_else(Fault::overflow)?;
    host.store_transient(till.field(1), open)?;

    host.charge_words(HASH_WORD_GAS, ACTION_LENGTH)?;
    let amount = transfer.amount;
    let packet = Packet::Transfer(transfer.clone());
    let commitment = packet.commitment();
    if call.done {
        let expected = host
            .load_transient(till)?
            .checked_add(open)
            .ok_or_else(Fault::overflow)?;
        if token.balance(host, ROUTER)? != expected {
            return Err(Fault::revert(
                "the router must have given this packet's tokens on, and nothing else",
            ));
        }
        set_outcome(host, Link::Ethereum, call.sequence, RECEIVED)?;
        Link::Ethereum.tell(host, Told::Received, call.sequence, commitment)?;
        return match deliver::tell_home(host, Link::Ethereum, transfer)? {
            Some(home) => outbox::append(host, &[home]),
            None => Ok(()),
        };
    }
    token.take_back(host, ROUTER, amount)?;
    if !was_held {
        valves::put_back(host, token, amount)?;
    }
    let home = deliver::expire(host, Link::Ethereum, transfer, commitment)?;
    outbox::append(host, &[home])
}

/// All that are open, in the order in which they were opened.
pub(super) fn list(host: &mut Host<'_>) -> Result<Vec<IBridge::Opened>, Fault> {
    let mut all = Vec::new();
    if host.load_u64(COUNT)? == 0 {
        return Ok(all);
    }
    let places = to_u64(host.load_transient(PLACES)?)?;
    for place in 0..places {
        let Some((token, transfer, _)) = read(host, place)? else {
            continue;
        };
        let Some(Action::Swap { least }) = transfer.action else {
            continue;
        };
        all.push(IBridge::Opened {
            sequence: transfer.id.sequence,
            token: token.address(),
            amount: transfer.amount,
            receiver: transfer.receiver,
            least,
        });
    }
    Ok(all)
}

/// The packet at a place, and whether it was held before; `None` once it is settled.
fn read(host: &mut Host<'_>, place: u64) -> Result<Option<(Token, Transfer, bool)>, Fault> {
    let entry = ENTRIES.entry(place);
    let [sequence, deadline, is_coin, marks] = host.load_transient(entry)?.into_limbs();
    if sequence == 0 {
        return Ok(None);
    }
    let token = if is_coin == 1 {
        Token::COIN
    } else {
        Token::POINTS
    };
    let config = host.config();
    let transfer = Transfer {
        id: PacketId {
            source: config.ethereum.chain_id,
            destination: config.chain_id,
            sequence,
        },
        deadline,
        token: token.at_home(host),
        sender: Address::from_word(host.load_transient(entry.field(1))?.into()),
        receiver: Address::from_word(host.load_transient(entry.field(2))?.into()),
        amount: host.load_transient(entry.field(3))?,
        action: Some(Action::Swap {
            least: host.load_transient(entry.field(4))?,
        }),
        acknowledge: marks & 2 != 0,
    };
    Ok(Some((token, transfer, marks & 1 != 0)))
}
