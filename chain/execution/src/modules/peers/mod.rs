//! Peers: other native chains, and packets to and from them. `IPeers` at `0x4d56…0008`;
//! `docs/protocol.md` has the rules.
//!
//! ```txt
//! slot
//! 0   mapping(uint64 => Peer)      by chain id:
//!                                    +0 to +13  as the bridge's slots 0 to 13 (of these 4 to 8 are
//!                                               unused): sequences, receipts, sums, valves
//!                                    +14        registered (1 bit) | frozen (1 bit) << 1
//!                                               | number of the key (64) << 64 | its first epoch << 128
//!                                    +15 to +22 the group key: 256 bytes
//! 1   uint64                       how many peers
//! 2   mapping(uint64 => uint64)    their chain ids, by place
//! ```
//!
//! Peer and chain exchange two tokens: this chain's points, which go there and come home, and the
//! peer's, which are an ERC-20 here (`face`). They are never one: each chain's points are its own
//! economy's. Points that went to a peer are in the account of that peer's points, so what a peer could
//! ever take is what went there, and neither Ethereum's books nor another peer's know of it.
//!
//! Packets, outcomes, limits, delays and pauses are the bridge's, by the same code (`bridge::link`).
//! What differs is the proof: a certificate of the peer's committee over a block's digest, and a path
//! in its outbox (`client`). The guardian and the governor are the bridge's, too; what the governor
//! does here is announced there. Nobody but the peer's own committee can replace its key.
//!
//! A chain that never had a peer has neither this module's account nor a word here.
//!
//! | file | idea |
//! |---|---|
//! | `registry` | who is a peer, and its key in force |
//! | `client` | what its committee certified |
//! | `deliver` | packets in, rotations, the freeze |
//! | `face` | a peer's points as an ERC-20 |
//!
//! Limits: 64 peers, 256 packets in one delivery, 128 KiB of calldata.

mod client;
mod deliver;
pub(crate) mod face;
mod registry;

use super::{
    bridge::{
        self, deliver as settling,
        governance::{require_guardian, take_turn},
        send, valves,
    },
    decode,
    host::{Fault, Host},
    points,
};
use alloy::{
    primitives::{Address, U256},
    sol_types::SolCall,
};
use mileverse_primitives::{
    abi::{
        IBridge,
        IPeers::{self, IPeersCalls as Call},
    },
    address::{PEERS, peer_points},
};

/// Longest calldata: as long as a transaction.
pub(crate) const MAX_INPUT: usize = 128 * 1024;

pub(crate) use registry::genesis_storage;

/// What a send touches.
pub(crate) fn expected_slots(caller: Address, data: &[u8]) -> Vec<(Address, U256)> {
    let peer = match data.first_chunk() {
        Some(&IPeers::sendCall::SELECTOR) => {
            IPeers::sendCall::abi_decode(data).map(|call| call.peer)
        }
        Some(&IPeers::sendAcknowledgedCall::SELECTOR) => {
            IPeers::sendAcknowledgedCall::abi_decode(data).map(|call| call.peer)
        }
        _ => return Vec::new(),
    };
    let Ok(peer) = peer else {
        return Vec::new();
    };
    [caller, peer_points(peer)].map(points::balance_slot).into()
}

/// Whether a call is the governor's, and so announced at the bridge.
pub(crate) fn is_governed(data: &[u8]) -> bool {
    matches!(
        decode::<Call>(data),
        Ok(Call::register(_)
            | Call::resumeDirection(_)
            | Call::resumeToken(_)
            | Call::setLimits(_))
    )
}

pub(crate) fn call(host: &mut Host<'_>, data: &[u8]) -> Result<Vec<u8>, Fault> {
    host.not_payable()?;
    let call = decode::<Call>(data)?;
    if let Some(answer) = view(host, &call)? {
        return Ok(answer);
    }
    host.may_change()?;
    match &call {
        Call::send(call) => {
            let sequence = send(host, call, false)?;
            return Ok(IPeers::sendCall::abi_encode_returns(&sequence));
        }
        Call::sendAcknowledged(call) => {
            let sequence = send(host, &plain(call), true)?;
            return Ok(IPeers::sendAcknowledgedCall::abi_encode_returns(&sequence));
        }
        _ => {}
    }
    act(host, &call, data)?;
    Ok(Vec::new())
}

/// What the views answer; `None` for a call that changes something.
fn view(host: &mut Host<'_>, call: &Call) -> Result<Option<Vec<u8>>, Fault> {
    Ok(Some(match call {
        Call::chainId(_) => IPeers::chainIdCall::abi_encode_returns(&host.config().chain_id),
        Call::peers(_) => IPeers::peersCall::abi_encode_returns(&registry::all(host)?),
        Call::peerPoints(call) => {
            registry::link(host, call.peer)?;
            IPeers::peerPointsCall::abi_encode_returns(&peer_points(call.peer))
        }
        Call::keyInForce(call) => {
            let key = registry::key_in_force(host, call.peer)?;
            IPeers::keyInForceCall::abi_encode_returns(&IPeers::keyInForceReturn {
                keyVersion: key.version,
                firstEpoch: key.first_epoch,
                groupKey: key.point.into(),
            })
        }
        Call::frozen(call) => {
            let frozen = registry::standing(host, call.peer)?.is_frozen;
            IPeers::frozenCall::abi_encode_returns(&frozen)
        }
        Call::nextSequence(call) => {
            let link = registry::link(host, call.peer)?;
            IPeers::nextSequenceCall::abi_encode_returns(&bridge::next_sequence(host, link)?)
        }
        Call::outbound(call) => {
            let link = registry::link(host, call.peer)?;
            let commitment = bridge::outbound(host, link, call.sequence)?;
            IPeers::outboundCall::abi_encode_returns(&commitment)
        }
        Call::receipt(call) => {
            let link = registry::link(host, call.peer)?;
            let receipt = bridge::receipt(host, link, call.sequence)?;
            IPeers::receiptCall::abi_encode_returns(&receipt)
        }
        Call::totals(call) => {
            let token = registry::link(host, call.peer)?.token(call.token)?;
            let IBridge::Totals {
                sent,
                received,
                refunded,
            } = token.totals(host)?;
            IPeers::totalsCall::abi_encode_returns(&IPeers::Totals {
                sent,
                received,
                refunded,
            })
        }
        Call::backing(call) => {
            let token = registry::link(host, call.peer)?.token(call.token)?;
            IPeers::backingCall::abi_encode_returns(&token.backing(host)?)
        }
        Call::solvent(call) => {
            let token = registry::link(host, call.peer)?.token(call.token)?;
            IPeers::solventCall::abi_encode_returns(&token.is_solvent(host)?)
        }
        Call::directionPaused(call) => {
            let link = registry::link(host, call.peer)?;
            let paused = valves::is_direction_paused(host, link, call.direction)?;
            IPeers::directionPausedCall::abi_encode_returns(&paused)
        }
        Call::tokenPaused(call) => {
            let token = registry::link(host, call.peer)?.token(call.token)?;
            let paused = valves::is_token_paused(host, token)?;
            IPeers::tokenPausedCall::abi_encode_returns(&paused)
        }
        Call::limits(call) => {
            let token = registry::link(host, call.peer)?.token(call.token)?;
            IPeers::limitsCall::abi_encode_returns(&valves::limits(host, token)?)
        }
        Call::room(call) => {
            let token = registry::link(host, call.peer)?.token(call.token)?;
            IPeers::roomCall::abi_encode_returns(&valves::room(host, token)?)
        }
        Call::held(call) => {
            let link = registry::link(host, call.peer)?;
            let (commitment, until) = valves::held(host, link, call.sequence)?;
            IPeers::heldCall::abi_encode_returns(&IPeers::heldReturn { commitment, until })
        }
        Call::heldSequences(call) => {
            let link = registry::link(host, call.peer)?;
            let (count, sequences) = valves::held_sequences(host, link, call.from, call.limit)?;
            IPeers::heldSequencesCall::abi_encode_returns(&IPeers::heldSequencesReturn {
                count,
                sequences,
            })
        }
        _ => return Ok(None),
    }))
}

/// A packet to a peer. One that is frozen could never receive it, nor send it back.
fn send(host: &mut Host<'_>, call: &IPeers::sendCall, acknowledge: bool) -> Result<u64, Fault> {
    let link = registry::trusted_link(host, call.peer)?;
    let call = IBridge::sendForCall {
        token: call.token,
        receiver: call.receiver,
        amount: call.amount,
        deadline: call.deadline,
        sender: host.caller(),
    };
    send::send(host, link, &call, acknowledge)
}

/// The same call without the wish to know.
const fn plain(call: &IPeers::sendAcknowledgedCall) -> IPeers::sendCall {
    IPeers::sendCall {
        peer: call.peer,
        token: call.token,
        receiver: call.receiver,
        amount: call.amount,
        deadline: call.deadline,
    }
}

fn act(host: &mut Host<'_>, call: &Call, data: &[u8]) -> Result<(), Fault> {
    match call {
        Call::deliver(call) => deliver::deliver(host, call),
        Call::release(call) => {
            let link = registry::trusted_link(host, call.peer)?;
            settling::release(host, link, &call.packet)
        }
        Call::freeze(call) => deliver::freeze(host, call),
        Call::pauseDirection(call) => {
            require_guardian(host)?;
            let (peer, direction) = (call.peer, call.direction);
            let link = registry::link(host, peer)?;
            valves::set_direction_paused(host, link, direction, true)?;
            host.log(PEERS, &IPeers::DirectionPaused { peer, direction })
        }
        Call::pauseToken(call) => {
            require_guardian(host)?;
            let (peer, token) = (call.peer, call.token);
            let paused = registry::link(host, peer)?.token(token)?;
            valves::set_token_paused(host, paused, true)?;
            host.log(PEERS, &IPeers::TokenPaused { peer, token })
        }
        Call::stop(call) => {
            require_guardian(host)?;
            let link = registry::link(host, call.peer)?;
            settling::stop(host, link, &call.packet)
        }
        Call::register(call) => {
            take_turn(host, data)?;
            registry::register(host, call)
        }
        Call::resumeDirection(call) => {
            take_turn(host, data)?;
            let (peer, direction) = (call.peer, call.direction);
            let link = registry::link(host, peer)?;
            valves::set_direction_paused(host, link, direction, false)?;
            host.log(PEERS, &IPeers::DirectionResumed { peer, direction })
        }
        Call::resumeToken(call) => {
            take_turn(host, data)?;
            let (peer, token) = (call.peer, call.token);
            let resumed = registry::link(host, peer)?.token(token)?;
            valves::set_token_paused(host, resumed, false)?;
            host.log(PEERS, &IPeers::TokenResumed { peer, token })
        }
        Call::setLimits(call) => {
            take_turn(host, data)?;
            let IPeers::setLimitsCall {
                peer,
                token,
                limits,
            } = call.clone();
            let limited = registry::link(host, peer)?.token(token)?;
            valves::set_limits(host, limited, &limits)?;
            host.log(
                PEERS,
                &IPeers::LimitsSet {
                    peer,
                    token,
                    limits,
                },
            )
        }
        _ => Err(Fault::revert("this function only answers")),
    }
}
