//! Swaps across chains, with the pool and the router that a genesis file places: what comes is swapped
//! and received, or goes home whole; what leaves is swapped and sent in one transaction.
//!
//! | file | |
//! |---|---|
//! | `arrive` | what comes over the bridge |
//! | `limits` | limits, and large swaps that wait |
//! | `router` | what the router may do, and at whose cost |
//! | `leave` | what goes over the bridge |
//! | `random` | seeded histories of all of it |

mod arrive;
mod leave;
mod limits;
mod random;
mod router;

use crate::{
    bridge::check_books,
    ethereum::{Ethereum, Snapshot},
    exchange::{PROVIDER, open_with, points},
    support::{Chain, Send},
};
use alloy::{
    primitives::{Address, U256, keccak256},
    sol_types::{Revert, SolError, SolEvent},
};
use mileverse_execution::{Account, BlockOutput, CallOutcome, SentPacket, state};
use mileverse_primitives::{
    abi::IBridge,
    address::{BRIDGE, POINTS},
    exchange::{POOL, Pool, ROUTER},
    packet::{Action, Expiry, Packet, REFUNDED, Token},
};

const HOUR: u64 = 3_600;
const COIN_UNIT: u64 = 1_000_000_000_000_000_000;
const RELAYER: usize = 4;
const SOMEBODY: Address = Address::repeat_byte(0x66);
/// Who sends on Ethereum.
const SENDER: Address = Address::repeat_byte(0x5e);

/// An open pool, and 1,000,000 points on Ethereum, so that points can come.
fn world() -> (Chain, Ethereum) {
    world_with(|_| ())
}

fn world_with(
    change: impl FnOnce(&mut mileverse_primitives::genesis::Genesis),
) -> (Chain, Ethereum) {
    let mut chain = open_with(change);
    let call = IBridge::sendCall {
        token: POINTS,
        receiver: SENDER,
        amount: points(1_000_000),
        deadline: chain.now + HOUR,
    };
    let output = chain.block(&[Send::call(PROVIDER, BRIDGE, &call)]);
    let mut ethereum = Ethereum::new();
    ethereum.receive(&output.packets[0]);
    (chain, ethereum)
}

fn swap(
    ethereum: &mut Ethereum,
    token: Token,
    amount: u64,
    receiver: Address,
    deadline: u64,
    least: U256,
) -> u64 {
    ethereum.send_with(
        token,
        receiver,
        amount,
        deadline,
        Some(Action::Swap { least }),
    )
}

fn through_router(snapshot: &Snapshot, sequences: &[u64]) -> Send {
    Send::call(RELAYER, ROUTER, &snapshot.deliver(sequences)).gas(25_000_000)
}

fn route(chain: &mut Chain, snapshot: &Snapshot, sequences: &[u64]) -> BlockOutput {
    let call = through_router(snapshot, sequences);
    let known = chain.view(BRIDGE, IBridge::latestCheckpointCall {});
    let fresh = (known < snapshot.number).then(|| snapshot.checkpoint());
    let output = chain.block_with(&[call], fresh);
    assert!(output.receipts[0].success);
    check(chain);
    output
}

/// The books agree, and the router has nothing.
fn check(chain: &Chain) {
    check_books(chain);
    assert_eq!(chain.points(ROUTER), U256::ZERO);
    assert_eq!(chain.account(ROUTER).balance, U256::ZERO);
    assert!(chain.view(BRIDGE, IBridge::openedCall {}).is_empty());
    let reserves = chain.view(POOL, Pool::reservesCall {});
    assert_eq!(reserves.reserve0, chain.points(POOL));
    assert_eq!(reserves.reserve1, chain.account(POOL).balance);
}

fn quote(chain: &Chain, token: Address, amount: U256) -> U256 {
    let call = Pool::quoteExactInCall {
        tokenIn: token,
        amountIn: amount,
    };
    chain.view(POOL, call).amountOut
}

fn find<E: SolEvent>(output: &BlockOutput, emitter: Address) -> Vec<E> {
    let logs = output.receipts.iter().flat_map(|receipt| &receipt.logs);
    logs.filter(|log| log.address == emitter)
        .filter_map(|log| E::decode_log_data(&log.data).ok())
        .collect()
}

/// The typed refusal of a call.
fn typed<E: SolError>(chain: &Chain, send: &Send) -> E {
    match chain.try_call(send) {
        CallOutcome::Revert { output, .. } => E::abi_decode(&output).unwrap(),
        other => panic!("{other:?}"),
    }
}

fn sentence(chain: &Chain, send: &Send) -> String {
    typed::<Revert>(chain, send).reason
}

/// What went home: the whole packet, and its refund is the sender's on Ethereum.
fn went_home(ethereum: &mut Ethereum, snapshot: &Snapshot, sent: &SentPacket, sequence: u64) {
    let Ok(Packet::Expiry(Expiry { expired, .. })) = Packet::decode(&sent.packet) else {
        panic!()
    };
    assert_eq!(sent.packet.len(), 193);
    assert_eq!(Packet::Transfer(expired), snapshot.packets[&sequence]);
    ethereum.receive(sent);
    assert_eq!(ethereum.outbound[&sequence], REFUNDED);
}

/// Puts code at an address, as if somebody had deployed it.
fn place(chain: &mut Chain, address: Address, code: Vec<u8>) {
    let account = Account {
        nonce: 1,
        code_hash: keccak256(&code),
        ..Account::default()
    };
    let values = &mut chain.state.values;
    values.insert(state::code_key(account.code_hash), code);
    values.insert(state::account_key(address), account.encode());
}

/// Code that makes these calls, one after another, and stores at slot n whether the n-th succeeded.
fn calls(calls: &[(Address, Vec<u8>)]) -> Vec<u8> {
    let head_length = 45 * calls.len() + 1;
    let mut head = Vec::new();
    let mut data = Vec::new();
    for (at, (to, input)) in calls.iter().enumerate() {
        let offset = u16::try_from(head_length + data.len())
            .unwrap()
            .to_be_bytes();
        let length = u16::try_from(input.len()).unwrap().to_be_bytes();
        // CODECOPY(0, offset, length)
        head.extend([0x61, length[0], length[1], 0x61, offset[0], offset[1]]);
        head.extend([0x60, 0x00, 0x39]);
        // CALL(gas, to, 0, 0, length, 0, 0)
        head.extend([0x5f, 0x5f, 0x61, length[0], length[1], 0x5f, 0x5f, 0x73]);
        head.extend(to.as_slice());
        head.extend([0x62, 0x02, 0x00, 0x00, 0xf1]);
        // SSTORE(at, success)
        head.extend([0x60, u8::try_from(at).unwrap(), 0x55]);
        data.extend(input);
    }
    assert_eq!(head.len() + 1, head_length);
    head.push(0x00);
    [head, data].concat()
}
