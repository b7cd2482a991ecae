//! The bridge: packets out, packets in, and what the chain believes of Ethereum. `IBridge` at
//! `0x4d56…0003`; `docs/protocol.md` is the specification.
//!
//! ```txt
//! slot
//! 0   mapping(uint64 => bytes32)      outbound: commitment by sequence; 0 never sent, 1 refunded
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
mod deliver;
pub(crate) mod governance;
mod opened;
pub(crate) mod outbox;
mod proof;
mod rate;
mod send;
mod token;
mod valves;

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
use mileverse_primitives::{
    abi::{
        IBridge::{self, IBridgeCalls as Call},
        IValves,
    },
    address::{BRIDGE, COIN, POINTS},
};
use token::Token;

/// Longest calldata: as long as a transaction.
pub(crate) const MAX_INPUT: usize = 128 * 1024;
/// Most packets in one delivery.
pub(crate) const MAX_ITEMS: usize = 256;

const OUTBOUND: Slot = Slot::at(BRIDGE, 0);
const RECEIPTS: Slot = Slot::at(BRIDGE, 1);
const TOTALS: Slot = Slot::at(BRIDGE, 2);
const NEXT_SEQUENCE: Slot = Slot::at(BRIDGE, 3);
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
    let mut words = vec![
        (NEXT_SEQUENCE, U256::ONE),
        (token::received_slot(COIN), config.coins),
    ];
    for (token, limits) in [(POINTS, config.bridge.points), (COIN, config.bridge.coin)] {
        words.extend(valves::words(token, &limits.into()));
    }
    words.extend(governance::genesis_storage(config));
    words
}

/// What every send and most deliveries touch.
pub(crate) fn expected_slots(caller: Address) -> Vec<(Address, U256)> {
    let mut slots = vec![
        NEXT_SEQUENCE,
        OUTBOX_SIZE,
        LATEST_CHECKPOINT,
        valves::pauses(),
        opened::count_slot(),
    ];
    for token in [POINTS, COIN] {
        let totals = TOTALS.entry(token);
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
    if !matches!(call, Call::send(_) | Call::sendFor(_)) {
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
            let sequence = send::send(host, &call)?;
            IBridge::sendCall::abi_encode_returns(&sequence)
        }
        Call::sendFor(call) => {
            host.may_change()?;
            let sequence = send::send(host, &call)?;
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
            IBridge::nextSequenceCall::abi_encode_returns(&host.load_u64(NEXT_SEQUENCE)?)
        }
        Call::outbound(call) => {
            let word = host.load(OUTBOUND.entry(call.sequence))?;
            IBridge::outboundCall::abi_encode_returns(&B256::from(word))
        }
        Call::receipt(call) => {
            let outcome = outcome(host, call.sequence)?;
            let receipt = match outcome {
                HELD | OPENED => 0,
                known => known,
            };
            IBridge::receiptCall::abi_encode_returns(&receipt)
        }
        Call::totals(call) => {
            let totals = Token::here(call.token)?.totals(host)?;
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
            let amount = Token::here(call.token)?.backing(host)?;
            IBridge::backingCall::abi_encode_returns(&amount)
        }
        Call::solvent(call) => {
            let solvent = Token::here(call.token)?.is_solvent(host)?;
            IBridge::solventCall::abi_encode_returns(&solvent)
        }
    })
}

/// The outcome of an inbound packet.
fn outcome(host: &mut Host<'_>, sequence: u64) -> Result<u8, Fault> {
    host.load(RECEIPTS.entry(sequence))?
        .try_into()
        .map_err(|_| Fault::overflow())
}

/// Received and expired are for ever: whoever calls this has seen neither.
fn set_outcome(host: &mut Host<'_>, sequence: u64, outcome: u8) -> Result<(), Fault> {
    host.store(RECEIPTS.entry(sequence), U256::from(outcome))
}
