//! Every part of a packet's proof from Ethereum, forged one at a time: each is refused, and the
//! same delivery without the forgery is accepted.

use super::{
    bridge::{check_books, receipt},
    ethereum::{Ethereum, OTHER_EMITTER, Snapshot, coin_token, points_token},
    support::{Chain, ETHEREUM_BRIDGE, Send},
};
use alloy::{
    primitives::{B256, Bytes, U256},
    rlp::Decodable,
    sol_types::SolCall,
};
use alloy_trie::nodes::TrieNode;
use mileverse_primitives::{
    abi::IBridge,
    address::BRIDGE,
    checkpoint::Checkpoint,
    packet::{ACKNOWLEDGED, Packet, REFUNDED},
};
use proptest::prelude::*;

const HOUR: u64 = 3600;

/// One lie in a packet.
type Change = fn(&mut Packet);

struct Scene {
    chain: Chain,
    ethereum: Ethereum,
    snapshot: Snapshot,
    sequence: u64,
}

/// A chain that knows a checkpoint under which several packets wait.
fn scene() -> Scene {
    let mut chain = Chain::new();
    let mut ethereum = Ethereum::new();
    for user in [1, 2, 3, 4] {
        ethereum.send(
            coin_token(),
            chain.user(user),
            100 + user as u64,
            chain.now + HOUR,
        );
    }
    let snapshot = ethereum.snapshot();
    chain.block_with(&[], Some(snapshot.checkpoint()));
    Scene {
        chain,
        ethereum,
        snapshot,
        sequence: 2,
    }
}

impl Scene {
    fn good(&self) -> IBridge::deliverCall {
        self.snapshot.deliver(&[self.sequence])
    }

    fn refused(&mut self, what: &str, forge: impl FnOnce(&mut IBridge::deliverCall)) {
        let mut call = self.good();
        forge(&mut call);
        assert_ne!(call, self.good(), "{what}: nothing was forged");
        let reason = self.chain.refuse(Send::call(4, BRIDGE, &call));
        assert_ne!(reason, "out of gas", "{what}");
        assert_eq!(receipt(&self.chain, self.sequence), 0, "{what}");
    }

    fn accepted(mut self) {
        let call = self.good();
        self.chain.send(Send::call(4, BRIDGE, &call));
        assert_eq!(receipt(&self.chain, self.sequence), 1);
        check_books(&self.chain);
    }
}

fn packet(call: &mut IBridge::deliverCall, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = call.items[0].packet.to_vec();
    change(&mut bytes);
    call.items[0].packet = bytes.into();
}

#[test]
fn another_emitter() {
    let mut scene = scene();
    let proof = scene.snapshot.account_proof(OTHER_EMITTER);
    scene.refused("other contract", |call| call.accountProof = proof);
    scene.accepted();
}

#[test]
fn another_slot_or_sequence() {
    let mut scene = scene();
    let other = scene.snapshot.storage_proof(3);
    scene.refused("proof of another sequence", |call| {
        call.items[0].storageProof = other;
    });
    let other = scene.snapshot.item(3).packet;
    scene.refused("another packet under this proof", |call| {
        call.items[0].packet = other
    });
    let mapping = scene.snapshot.proof_of_slot(2, 3);
    scene.refused("another mapping", |call| {
        call.items[0].storageProof = mapping
    });
    scene.refused("sequence in the packet", |call| {
        packet(call, |bytes| bytes[25] = 9)
    });
    scene.refused("sequence zero", |call| packet(call, |bytes| bytes[25] = 0));
    scene.accepted();
}

#[test]
fn another_value() {
    let mut scene = scene();
    scene.refused("more", |call| packet(call, |bytes| bytes[133] += 1));
    scene.refused("another receiver", |call| {
        packet(call, |bytes| bytes[101] ^= 1)
    });
    scene.refused("a later deadline", |call| {
        packet(call, |bytes| bytes[33] ^= 1)
    });
    scene.refused("another token", |call| packet(call, |bytes| bytes[61] ^= 1));
    scene.refused("amount zero", |call| {
        packet(call, |bytes| bytes[102..].fill(0))
    });
    scene.refused("a byte more", |call| packet(call, |bytes| bytes.push(0)));
    scene.refused("a byte less", |call| {
        packet(call, |bytes| {
            bytes.pop();
        });
    });
    scene.refused("another version", |call| packet(call, |bytes| bytes[0] = 2));
    scene.refused("another kind", |call| packet(call, |bytes| bytes[1] = 3));
    scene.refused("no packet", |call| packet(call, Vec::clear));
    scene.accepted();
}

#[test]
fn truncated_and_over_long_proofs() {
    let mut scene = scene();
    let length = scene.good().accountProof.len();
    assert!(length >= 2);
    for keep in 0..length {
        scene.refused("account proof cut at its end", |call| {
            call.accountProof.truncate(keep)
        });
    }
    scene.refused("account proof cut at its start", |call| {
        call.accountProof.remove(0);
    });
    scene.refused("account proof with its last node twice", |call| {
        let last = call.accountProof.last().cloned().unwrap();
        call.accountProof.push(last);
    });
    scene.refused("account proof with an empty node before", |call| {
        call.accountProof.insert(0, Bytes::from_static(&[0x80]));
    });
    scene.refused("account proof with an empty node after", |call| {
        call.accountProof.push(Bytes::from_static(&[0x80]));
    });
    scene.refused("account proof with an empty string after", |call| {
        call.accountProof.push(Bytes::new());
    });
    let length = scene.good().items[0].storageProof.len();
    for keep in 0..length {
        scene.refused("storage proof cut at its end", |call| {
            call.items[0].storageProof.truncate(keep);
        });
    }
    scene.refused("storage proof cut at its start", |call| {
        call.items[0].storageProof.remove(0);
    });
    for extra in [vec![], vec![0x80], vec![0xc0], vec![0; 33]] {
        let node = Bytes::from(extra);
        scene.refused("storage proof with a node after", |call| {
            call.items[0].storageProof.push(node.clone());
        });
        scene.refused("storage proof with a node before", |call| {
            call.items[0].storageProof.insert(0, node);
        });
    }
    scene.refused("storage proof twice", |call| {
        let again = call.items[0].storageProof.clone();
        call.items[0].storageProof.extend(again);
    });
    scene.refused("the empty trie's proof", |call| {
        call.items[0].storageProof = vec![Bytes::from_static(&[0x80])];
    });
    scene.refused("65 nodes", |call| {
        let node = call.items[0].storageProof[0].clone();
        call.items[0].storageProof = vec![node; 65];
    });
    scene.refused("a node too long", |call| {
        call.items[0].storageProof[0] = vec![0; 545].into();
    });
    scene.refused("a byte after a node", |call| {
        let mut node = call.items[0].storageProof[0].to_vec();
        node.push(0);
        call.items[0].storageProof[0] = node.into();
    });
    scene.accepted();
}

#[test]
fn another_state_root_or_no_checkpoint() {
    let mut scene = scene();
    scene.refused("unknown checkpoint", |call| call.ethereumBlock += 1);
    scene.refused("block zero", |call| call.ethereumBlock = 0);
    scene.refused("the same place in the ring", |call| {
        call.ethereumBlock += 8192
    });
    // A later block, whose state differs.
    scene
        .ethereum
        .send(coin_token(), scene.chain.user(1), 1, scene.chain.now + HOUR);
    let later = scene.ethereum.snapshot();
    scene.chain.block_with(&[], Some(later.checkpoint()));
    let number = later.number;
    scene.refused("another block's state root", |call| {
        call.ethereumBlock = number
    });
    let account = later.account_proof(ETHEREUM_BRIDGE);
    scene.refused("another block's account", |call| {
        call.ethereumBlock = number;
        call.accountProof = account.clone();
    });
    scene.refused("another block's account under this root", |call| {
        call.accountProof = account;
    });
    // The whole of the later block proves it too.
    scene.snapshot = later;
    scene.accepted();
}

#[test]
fn nothing_proves_anything_under_an_invented_root() {
    // An attacker's own trie, under a checkpoint that only the attacker believes.
    let mut scene = scene();
    let mut invented = scene.ethereum.snapshot();
    invented.number = scene.snapshot.number;
    for (sequence, packet) in &mut invented.packets {
        if let Packet::Transfer(transfer) = packet {
            transfer.amount = U256::from(1_000_000);
        }
        invented.outbound.insert(*sequence, packet.commitment());
    }
    let forged = invented.deliver(&[2]);
    scene.refused("invented trie", |call| *call = forged);
    scene.accepted();
}

#[test]
fn other_chain_ids() {
    // Ethereum really committed to these, so the proofs are good; the packets are not for here.
    let changes: [(&str, Change); 2] = [
        ("from elsewhere", |packet| {
            if let Packet::Transfer(transfer) = packet {
                transfer.id.source += 1;
            }
        }),
        ("to elsewhere", |packet| {
            if let Packet::Transfer(transfer) = packet {
                transfer.id.destination += 1;
            }
        }),
    ];
    for (what, change) in changes {
        let Scene {
            mut chain,
            mut ethereum,
            ..
        } = scene();
        let mut packet = ethereum.packets[&2].clone();
        change(&mut packet);
        ethereum.outbound.insert(2, packet.commitment());
        ethereum.packets.insert(2, packet);
        let snapshot = ethereum.snapshot();
        chain.block_with(&[], Some(snapshot.checkpoint()));
        chain.refuse(Send::call(4, BRIDGE, &snapshot.deliver(&[2])));
        assert_eq!(receipt(&chain, 2), 0, "{what}");
        // Its neighbours are not touched by it.
        chain.send(Send::call(4, BRIDGE, &snapshot.deliver(&[1, 3])));
    }
}

#[test]
fn zero_and_marks_are_no_commitments() {
    let Scene {
        mut chain,
        mut ethereum,
        ..
    } = scene();
    // Refunded or acknowledged on Ethereum: the slot holds a mark, and a delivery must prove the
    // commitment.
    for mark in [REFUNDED, ACKNOWLEDGED] {
        ethereum.outbound.insert(2, mark);
        let snapshot = ethereum.snapshot();
        chain.block_with(&[], Some(snapshot.checkpoint()));
        let call = Send::call(4, BRIDGE, &snapshot.deliver(&[2]));
        assert!(chain.refuse(call).contains("storage proof"));
    }
    // Never sent: nothing in the slot, a proof of absence.
    ethereum.outbound.remove(&2);
    let snapshot = ethereum.snapshot();
    chain.block_with(&[], Some(snapshot.checkpoint()));
    let call = Send::call(4, BRIDGE, &snapshot.deliver(&[2]));
    assert!(chain.refuse(call).contains("storage proof"));
    // A checkpoint with a zero state root never gets in.
    let zero = Checkpoint {
        state_root: B256::ZERO,
        ..ethereum.snapshot().checkpoint()
    };
    let input = chain.input(Some(zero));
    let result = futures::executor::block_on(chain.executor.execute(&chain.state, input, &[]));
    assert!(result.is_err_and(|error| error.is_permanent()));
}

#[test]
fn an_expiry_of_what_was_never_sent() {
    use mileverse_primitives::packet::{Expiry, PacketId};
    let Scene {
        mut chain,
        mut ethereum,
        ..
    } = scene();
    chain.issue(1, 100);
    let call = super::bridge::send(
        mileverse_primitives::address::POINTS,
        chain.user(2),
        10,
        chain.now + HOUR,
    );
    let output = chain.block(&[Send::call(1, BRIDGE, &call)]);
    let Ok(Packet::Transfer(sent)) = Packet::decode(&output.packets[0].packet) else {
        panic!()
    };
    let mut forge = |change: &dyn Fn(&mut mileverse_primitives::packet::Transfer)| {
        let mut expired = sent.clone();
        change(&mut expired);
        let sequence = ethereum.outbound.len() as u64 + 1;
        let packet = Packet::Expiry(Expiry {
            id: PacketId {
                source: sent.id.destination,
                destination: sent.id.source,
                sequence,
            },
            expired,
        });
        ethereum.outbound.insert(sequence, packet.commitment());
        ethereum.packets.insert(sequence, packet);
        let snapshot = ethereum.snapshot();
        chain.block_with(&[], Some(snapshot.checkpoint()));
        chain.refuse(Send::call(4, BRIDGE, &snapshot.deliver(&[sequence])))
    };
    assert!(forge(&|packet| packet.amount += U256::ONE).contains("never sent"));
    assert!(forge(&|packet| packet.id.sequence = 2).contains("never sent"));
    assert!(forge(&|packet| packet.sender = BRIDGE).contains("never sent"));
    assert!(forge(&|packet| packet.token = coin_token()).contains("never sent"));
    assert_eq!(sent.token, points_token());
    check_books(&chain);
}

#[test]
fn calldata_whose_parts_overlap_is_refused() {
    // 100 items that all point to one list of 100 nodes that all point to one node: 30 kB that
    // would decode to 100 MB.
    const COUNT: u64 = 100;
    let word = |number: u64| U256::from(number).to_be_bytes::<32>();
    let list = |items: u64| -> Vec<u8> {
        std::iter::once(word(COUNT))
            .chain((0..COUNT).map(|_| word(items)))
            .flatten()
            .collect()
    };
    let mut data = IBridge::deliverCall::SELECTOR.to_vec();
    for head in [7, 3 * 32, 4 * 32, 0] {
        data.extend(word(head)); // block, no account proof, items
    }
    data.extend(list(COUNT * 32));
    // The one item: an empty packet, a list of nodes.
    for head in [2 * 32, 3 * 32, 0] {
        data.extend(word(head));
    }
    data.extend(list(COUNT * 32));
    data.extend(word(10_016));
    data.extend(vec![7; 10_016]);
    let mut scene = scene();
    let reason = scene.chain.refuse(Send::data(4, BRIDGE, data));
    assert!(reason.contains("not a call"), "{reason}");
}

#[test]
fn the_storage_root_must_be_in_the_proven_account() {
    let mut scene = scene();
    // The last node replaced by one that says another storage root.
    scene.refused("an account with another storage root", |call| {
        let node = call.accountProof.last().unwrap();
        let TrieNode::Leaf(leaf) = TrieNode::decode(&mut &node[..]).unwrap() else {
            panic!()
        };
        let mut bytes = node.to_vec();
        let at = bytes.len() - 40;
        bytes[at] ^= 1;
        assert!(leaf.value.len() > 60);
        *call.accountProof.last_mut().unwrap() = bytes.into();
    });
    scene.accepted();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Any one bit of the calldata changed: refused, or (in ABI padding) not a call at all.
    #[test]
    fn any_flipped_bit_is_refused(at in any::<prop::sample::Index>(), bit in 0u8..8) {
        let mut scene = scene();
        let mut data = scene.good().abi_encode();
        let at = at.index(data.len());
        data[at] ^= 1 << bit;
        let output = scene.chain.block(&[Send::data(4, BRIDGE, data)]);
        prop_assert!(!output.receipts[0].success);
        prop_assert_eq!(scene.chain.changed(&output), 1);
    }
}
