//! The bridge: packets out, packets in, and what the chain believes of Ethereum. `IBridge` at
//! `0x4d56…0003`; `docs/protocol.md` is the specification.
//!
//! ```txt
//! slot
//! 0   mapping(uint64 => bytes32)      outbound: commitment by sequence; 0 never sent, 1 refunded,
//!                                     2 acknowledged
//! 1   mapping(uint64 => uint8)        outcomes by inbound sequence: 0 none, 1 received, 2 expired,
//!                                     3 held, 4 open (to everybody else, none yet)
//! 2   mapping(address => Totals)      sent, received, refunded (three words), by token here
//! 3   uint64                          next sequence
//! 4   uint64                          outbox size
//! 5   mapping(uint64 => bytes32)      outbox peaks, by height (peak k covers 2^k leaves)
//! 6   uint64                          number of the newest Ethereum checkpoint
//! 7   mapping(uint64 => Checkpoint)   checkpoints, by number modulo 8192:
//!                                       +0  number (64 bits) | timestamp (64 bits) << 64
//!                                       +1  state root
//!                                       +2  block hash
//! 8   uint64                          number of the newest group key announced; 0 at genesis
//! 9   ...                             limits, pauses and held transfers: `valves`
//! 14  ...                             who may turn them: `governance`
//! 17  uint64                          packets with an action that the router has not settled: `opened`
//! ```
//!
//! Other native chains are the peers module's; each has the same words 0 to 13 in a struct of its own,
//! and the same code (`link`). The outbox is one for all.
//!
//! Tokens are named here by their addresses on this chain: the points module and the coin module.
//! Points that leave are held in this module's points balance; coins that leave are destroyed.
//!
//! A transfer from Ethereum that cannot take effect expires at once and is refunded: one to the zero
//! address, to the router or to a system module (but the rewards module takes coin, and its source's shares for the accounts of its quarters), of a token that is not the bridge's, of more than is held, above
//! a limit, or with an action where no exchange is. One with an action that can take effect does so
//! through the router only; brought by anybody else, its delivery reverts with `RouterNeeded`.
//!
//! Limits: [`MAX_ITEMS`] packets per delivery, [`MAX_INPUT`] bytes of calldata, proofs as
//! `proof` says.

pub(crate) mod announce;
pub(crate) mod checkpoint;
pub(crate) mod deliver;
pub(crate) mod governance;
pub(crate) mod link;
mod opened;
pub(crate) mod outbox;
mod proof;
mod rate;
pub(crate) mod send;
pub(crate) mod token;
pub(crate) mod valves;

pub(crate) use opened::left_open;

use super::{
    Config, decode,
    host::{Fault, Host},
    slot::Slot,
};
use alloy::{
    primitives::{Address, B256, U256},
    sol_types::{SolCall, SolInterface},
};
use link::Link;
use mileverse_primitives::{
    abi::{
        IBridge::{self, IBridgeCalls as Call},
        IValves,
    },
    address::BRIDGE,
};
use token::Token;

/// Longest calldata: as long as a transaction.
pub(crate) const MAX_INPUT: usize = 128 * 1024;
/// Most packets in one delivery.
pub(crate) const MAX_ITEMS: usize = 256;

/// Places in the struct of a link.
const OUTBOUND: u64 = 0;
const RECEIPTS: u64 = 1;
const TOTALS: u64 = 2;
const NEXT_SEQUENCE: u64 = 3;

const OUTBOX_SIZE: Slot = Slot::at(BRIDGE, 4);
const OUTBOX_PEAKS: Slot = Slot::at(BRIDGE, 5);
const LATEST_CHECKPOINT: Slot = Slot::at(BRIDGE, 6);
const CHECKPOINTS: Slot = Slot::at(BRIDGE, 7);
const KEY_VERSION: Slot = Slot::at(BRIDGE, 8);

/// An inbound packet took effect.
const RECEIVED: u8 = 1;
/// An inbound transfer came too late and never will take effect.
const EXPIRED: u8 = 2;
/// A large transfer was proven in time and waits.
const HELD: u8 = 3;
/// A transfer's tokens are with the router, which has to settle it in this transaction.
const OPENED: u8 = 4;

/// The coin of the genesis was locked on Ethereum at deployment; it counts as received.
pub(crate) fn genesis_storage(config: &Config) -> Vec<(Slot, U256)> {
    let mut words = vec![(token::received_slot(Token::COIN), config.coins)];
    words.extend(begin(
        Link::Ethereum,
        [config.bridge.points.into(), config.bridge.coin.into()],
    ));
    words.extend(governance::genesis_storage(config));
    words
}

/// A link's words before its first packet, with the limits of its tokens.
pub(crate) fn begin(link: Link, limits: [IValves::Limits; 2]) -> Vec<(Slot, U256)> {
    let mut words = vec![(link.slot(NEXT_SEQUENCE), U256::ONE)];
    for (token, limits) in link.tokens().into_iter().zip(limits) {
        words.extend(valves::words(token, &limits));
    }
    words
}

/// What every send and most deliveries touch.
pub(crate) fn expected_slots(caller: Address) -> Vec<(Address, U256)> {
    let mut slots = vec![
        Link::Ethereum.slot(NEXT_SEQUENCE),
        OUTBOX_SIZE,
        LATEST_CHECKPOINT,
        valves::pauses(Link::Ethereum),
        opened::count_slot(),
    ];
    for token in Link::Ethereum.tokens() {
        let totals = Link::Ethereum.slot(TOTALS).entry(token.address());
        slots.extend([totals, totals.field(1), totals.field(2)]);
        slots.extend(valves::slots(token));
    }
    let mut places: Vec<_> = slots
        .into_iter()
        .map(|slot| (slot.module(), slot.key()))
        .collect();
    for holder in [caller, BRIDGE] {
        places.push(super::points::balance_slot(holder));
    }
    places
}

pub(crate) fn call(host: &mut Host<'_>, data: &[u8]) -> Result<Vec<u8>, Fault> {
    if let Some(selector) = data.first_chunk()
        && IValves::IValvesCalls::valid_selector(*selector)
    {
        return governance::call(host, data);
    }
    let call = decode::<Call>(data)?;
    if !matches!(
        call,
        Call::send(_) | Call::sendAcknowledged(_) | Call::sendFor(_)
    ) {
        host.not_payable()?;
    }
    Ok(match call {
        Call::send(call) => {
            host.may_change()?;
            let call = IBridge::sendForCall {
                token: call.token,
                receiver: call.receiver,
                amount: call.amount,
                deadline: call.deadline,
                sender: host.caller(),
            };
            let sequence = send::send(host, Link::Ethereum, &call, false)?;
            IBridge::sendCall::abi_encode_returns(&sequence)
        }
        Call::sendAcknowledged(call) => {
            host.may_change()?;
            let call = IBridge::sendForCall {
                token: call.token,
                receiver: call.receiver,
                amount: call.amount,
                deadline: call.deadline,
                sender: host.caller(),
            };
            let sequence = send::send(host, Link::Ethereum, &call, true)?;
            IBridge::sendAcknowledgedCall::abi_encode_returns(&sequence)
        }
        Call::sendFor(call) => {
            host.may_change()?;
            let sequence = send::send(host, Link::Ethereum, &call, false)?;
            IBridge::sendForCall::abi_encode_returns(&sequence)
        }
        Call::settle(call) => {
            host.may_change()?;
            opened::settle(host, &call)?;
            Vec::new()
        }
        Call::opened(_) => IBridge::openedCall::abi_encode_returns(&opened::list(host)?),
        Call::deliver(call) => {
            host.may_change()?;
            deliver::deliver(host, &call)?;
            Vec::new()
        }
        Call::chainId(_) => IBridge::chainIdCall::abi_encode_returns(&host.config().chain_id),
        Call::peerChainId(_) => {
            IBridge::peerChainIdCall::abi_encode_returns(&host.config().ethereum.chain_id)
        }
        Call::nextSequence(_) => {
            IBridge::nextSequenceCall::abi_encode_returns(&next_sequence(host, Link::Ethereum)?)
        }
        Call::outbound(call) => {
            let commitment = outbound(host, Link::Ethereum, call.sequence)?;
            IBridge::outboundCall::abi_encode_returns(&commitment)
        }
        Call::receipt(call) => {
            let receipt = receipt(host, Link::Ethereum, call.sequence)?;
            IBridge::receiptCall::abi_encode_returns(&receipt)
        }
        Call::totals(call) => {
            let totals = Link::Ethereum.token(call.token)?.totals(host)?;
            IBridge::totalsCall::abi_encode_returns(&totals)
        }
        Call::latestCheckpoint(_) => {
            IBridge::latestCheckpointCall::abi_encode_returns(&host.load_u64(LATEST_CHECKPOINT)?)
        }
        Call::checkpoint(call) => {
            let found = checkpoint::find(host, call.number)?;
            IBridge::checkpointCall::abi_encode_returns(&IBridge::checkpointReturn {
                stateRoot: found.map_or(B256::ZERO, |found| found.state_root),
                timestamp: found.map_or(0, |found| found.timestamp),
            })
        }
        Call::outboxSize(_) => {
            IBridge::outboxSizeCall::abi_encode_returns(&host.load_u64(OUTBOX_SIZE)?)
        }
        Call::keyVersion(_) => {
            IBridge::keyVersionCall::abi_encode_returns(&host.load_u64(KEY_VERSION)?)
        }
        Call::backing(call) => {
            let amount = Link::Ethereum.token(call.token)?.backing(host)?;
            IBridge::backingCall::abi_encode_returns(&amount)
        }
        Call::solvent(call) => {
            let solvent = Link::Ethereum.token(call.token)?.is_solvent(host)?;
            IBridge::solventCall::abi_encode_returns(&solvent)
        }
    })
}

/// What the next packet sent over a link gets.
pub(crate) fn next_sequence(host: &mut Host<'_>, link: Link) -> Result<u64, Fault> {
    host.load_u64(link.slot(NEXT_SEQUENCE))
}

/// The commitment of a packet that was sent over a link; 0 if none was, 1 once it is refunded, 2 once it
/// is acknowledged.
pub(crate) fn outbound(host: &mut Host<'_>, link: Link, sequence: u64) -> Result<B256, Fault> {
    Ok(host.load(link.outbound(sequence))?.into())
}

/// The receipt of an inbound packet, as everybody may see it.
pub(crate) fn receipt(host: &mut Host<'_>, link: Link, sequence: u64) -> Result<u8, Fault> {
    Ok(match outcome(host, link, sequence)? {
        HELD | OPENED => 0,
        known => known,
    })
}

/// The outcome of an inbound packet.
fn outcome(host: &mut Host<'_>, link: Link, sequence: u64) -> Result<u8, Fault> {
    host.load(link.slot(RECEIPTS).entry(sequence))?
        .try_into()
        .map_err(|_| Fault::overflow())
}

/// Received and expired are for ever: whoever calls this has seen neither.
fn set_outcome(host: &mut Host<'_>, link: Link, sequence: u64, outcome: u8) -> Result<(), Fault> {
    host.store(link.slot(RECEIPTS).entry(sequence), U256::from(outcome))
}
