//! A new group key on its way to Ethereum: the packet, its place in the outbox, its number, and
//! the keys that no block may announce.

use super::{
    bridge::{check_books, outbound, receipt, send},
    ethereum::Ethereum,
    support::{CHAIN_ID, Chain, ETHEREUM_ID, ISSUER, Send, genesis},
};
use alloy::primitives::{Address, B256, U256, hex};
use futures::executor::block_on;
use mileverse_execution::{BlockError, NewKey};
use mileverse_primitives::{
    abi::IBridge,
    address::{BRIDGE, POINTS},
    outbox::{self, Frontier},
    packet::{GroupKey, Packet, PacketId, Rotation},
};

/// A good key, as EIP-2537 has it.
const KEY: [u8; 256] = hex!(
    "00000000000000000000000000000000172432bb1b5ea68b1d39976123198ed7d25e208593c89d346093152bf4440765d822c26b27b7dffe02e34d725a5d6072"
    "00000000000000000000000000000000195feb2ba5d2c99373b36261e96d24aeb4e4608a9629fa2d2f2c9ddfb1843b28cf5575e1a406e895db60c0973625ee12"
    "00000000000000000000000000000000147426433d08bd94daa0917d3b05e5daf5f44f3bdece3255c577cd7e4071dc7becca0b647d979e959bcee96c27fa8efb"
    "000000000000000000000000000000000b9c23ab88008a94e6e87185de63382f23f8dd151ef775ec9b9c6ef4ac37f0528147e84d9182d4de4dd7a182f0039b05"
);
/// On the curve (x = 2), outside the subgroup.
const OUTSIDE: [u8; 256] = hex!(
    "0000000000000000000000000000000000000000000000000000000000000000"
    "0000000000000000000000000000000000000000000000000000000000000002"
    "0000000000000000000000000000000000000000000000000000000000000000"
    "0000000000000000000000000000000000000000000000000000000000000000"
    "0000000000000000000000000000000018c6b864ae17dc9da64203ffefb966306425a7bc6aeb7c75247438372716284a4173830420cd476ba1a365b95bfcec38"
    "00000000000000000000000000000000172e93db764a8400a7d5071b6b6f5de0da2f0f4a063119abca014006b7c40a2cfe291a1924e65db0d6d0fcfbf3bf3d5c"
);

fn new_key(first_epoch: u64) -> NewKey {
    NewKey {
        first_epoch,
        key: GroupKey::new(KEY),
    }
}

/// A chain that can end an epoch: its delegate has a stake.
fn lasting() -> Chain {
    let users = Chain::some_users(5);
    let mut genesis = genesis(users[ISSUER].address());
    for member in &mut genesis.committee.members {
        member.stake = U256::from(1_000_000);
    }
    Chain::with(genesis, users)
}

fn rotation(sequence: u64, key_version: u64, first_epoch: u64) -> Packet {
    Packet::Rotation(Rotation {
        id: PacketId {
            source: CHAIN_ID,
            destination: ETHEREUM_ID,
            sequence,
        },
        key_version,
        first_epoch,
        key: Box::new(GroupKey::new(KEY)),
    })
}

#[test]
fn a_new_key_is_the_blocks_last_packet() {
    let mut chain = lasting();
    chain.issue(1, 1000);
    let mut frontier = Frontier::default();
    for (count, version) in [(2u64, 1u64), (0, 2), (3, 3)] {
        let first_epoch = chain.run_to_rotation();
        let call = send(POINTS, Address::repeat_byte(0x42), 1, chain.now + 3600);
        chain.new_key = Some(new_key(first_epoch));
        let sends = vec![Send::call(1, BRIDGE, &call); usize::try_from(count).unwrap()];
        // Building and executing agree, says `block`.
        let output = chain.block(&sends);
        assert_eq!(output.packets.len() as u64, count + 1);
        for sent in &output.packets {
            assert_eq!(sent.index, frontier.size());
            assert_eq!(sent.sequence, frontier.size() + 1);
            assert_eq!(outbound(&chain, sent.sequence), sent.commitment);
            frontier.append(sent.commitment).unwrap();
        }
        let last = output.packets.last().unwrap();
        let packet = rotation(last.sequence, version, first_epoch);
        assert_eq!(last.packet, packet.encode());
        assert_eq!(last.commitment, packet.commitment());
        assert_eq!(output.outbox_root, frontier.root());
        assert_eq!(
            output.outbox_root,
            outbox::root(output.outbox_size, output.outbox_tree)
        );
        assert_eq!(chain.view(BRIDGE, IBridge::keyVersionCall {}), version);
        assert_eq!(
            chain.view(BRIDGE, IBridge::nextSequenceCall {}),
            last.sequence + 1
        );
        assert_eq!(output.receipts.len() as u64, count, "no receipt of its own");
    }
    // The next ordinary packet stands behind it.
    let call = send(POINTS, Address::repeat_byte(0x42), 1, chain.now + 3600);
    let output = chain.block(&[Send::call(1, BRIDGE, &call)]);
    assert_eq!(output.packets[0].index, frontier.size());
    frontier.append(output.packets[0].commitment).unwrap();
    assert_eq!(output.outbox_root, frontier.root());
    assert_eq!(chain.view(BRIDGE, IBridge::keyVersionCall {}), 3);
    check_books(&chain);
}

#[test]
fn keys_that_ethereum_would_refuse_are_never_announced() {
    let mut chain = lasting();
    let first_epoch = chain.run_to_rotation();
    let mut off_curve = KEY;
    off_curve[255] ^= 1;
    let mut no_field_element = KEY;
    no_field_element[0] = 1;
    for key in [[0; 256], off_curve, no_field_element, OUTSIDE] {
        let mut input = chain.input(None);
        input.new_key = Some(NewKey {
            first_epoch,
            key: GroupKey::new(key),
        });
        let refused = block_on(chain.executor.execute(&chain.state, input, &[])).unwrap_err();
        assert!(matches!(refused, BlockError::Invalid(_)), "{refused}");
        assert!(
            refused.to_string().contains("identity or not a point"),
            "{refused}"
        );
    }
}

#[test]
fn ethereum_has_no_key_to_rotate() {
    let mut chain = Chain::new();
    let mut ethereum = Ethereum::new();
    let sequence = ethereum.commit(|id| {
        Packet::Rotation(Rotation {
            id,
            key_version: 1,
            first_epoch: 1,
            key: Box::new(GroupKey::new(KEY)),
        })
    });
    let snapshot = ethereum.snapshot();
    chain.block_with(&[], Some(snapshot.checkpoint()));
    let reason = chain.refuse(Send::call(4, BRIDGE, &snapshot.deliver(&[sequence])));
    assert!(reason.contains("no group key"), "{reason}");
    assert_eq!(receipt(&chain, sequence), 0);
    assert_eq!(chain.view(BRIDGE, IBridge::keyVersionCall {}), 0);
}

#[test]
fn nobody_announces_a_key_by_a_call() {
    let mut chain = Chain::new();
    let calls = [
        "announceKey(bytes)",
        "announceKey(bytes,uint64)",
        "rotate(bytes)",
    ];
    for name in calls {
        let mut data = alloy::primitives::keccak256(name)[..4].to_vec();
        data.extend_from_slice(&KEY);
        chain.refuse(Send::data(1, BRIDGE, data));
    }
    assert_eq!(chain.view(BRIDGE, IBridge::keyVersionCall {}), 0);
    assert_eq!(outbound(&chain, 1), B256::ZERO);
}
