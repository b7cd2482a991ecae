//! Ethereum as the native chain sees it: a bridge contract's storage, its state trie, proofs.

use super::support::{CHAIN_ID, ETHEREUM_BRIDGE, ETHEREUM_COIN, ETHEREUM_ID, START_SECONDS};
use alloy::{
    consensus::TrieAccount,
    primitives::{Address, B256, Bytes, U256, keccak256},
    rlp::encode,
};
use alloy_trie::{HashBuilder, Nibbles, proof::ProofRetainer};
use mileverse_execution::SentPacket;
use mileverse_primitives::{
    abi::IBridge,
    address::POINTS,
    checkpoint::Checkpoint,
    packet::{
        ACKNOWLEDGED, Acknowledgement, Action, Expiry, Packet, PacketId, REFUNDED, Token, Transfer,
    },
};
use std::collections::BTreeMap;

/// Another contract that stores commitments at the same places.
pub const OTHER_EMITTER: Address = Address::repeat_byte(0xe7);

pub fn points_token() -> Token {
    Token {
        home: CHAIN_ID,
        contract: POINTS,
    }
}

pub fn coin_token() -> Token {
    Token {
        home: ETHEREUM_ID,
        contract: ETHEREUM_COIN,
    }
}

/// `sent`, `received`, `refunded` of one token on Ethereum.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sums {
    pub sent: u64,
    pub received: u64,
    pub refunded: u64,
}

#[derive(Debug)]
pub struct Ethereum {
    pub outbound: BTreeMap<u64, B256>,
    pub packets: BTreeMap<u64, Packet>,
    pub receipts: BTreeMap<u64, u8>,
    pub number: u64,
    pub now: u64,
    pub points: Sums,
    pub coin: Sums,
    /// Whether every second sender wants an acknowledgement.
    pub asks: bool,
}

impl Ethereum {
    pub fn new() -> Self {
        Self {
            outbound: BTreeMap::new(),
            packets: BTreeMap::new(),
            receipts: BTreeMap::new(),
            number: 100,
            now: START_SECONDS,
            points: Sums::default(),
            coin: Sums::default(),
            asks: false,
        }
    }

    pub fn sums(&mut self, token: Token) -> &mut Sums {
        if token == points_token() {
            &mut self.points
        } else {
            &mut self.coin
        }
    }

    pub fn commit(&mut self, make: impl FnOnce(PacketId) -> Packet) -> u64 {
        let sequence = self.outbound.keys().next_back().map_or(1, |last| last + 1);
        let packet = make(PacketId {
            source: ETHEREUM_ID,
            destination: CHAIN_ID,
            sequence,
        });
        self.outbound.insert(sequence, packet.commitment());
        self.packets.insert(sequence, packet);
        sequence
    }

    pub fn send(&mut self, token: Token, receiver: Address, amount: u64, deadline: u64) -> u64 {
        self.send_with(token, receiver, amount, deadline, None)
    }

    pub fn send_with(
        &mut self,
        token: Token,
        receiver: Address,
        amount: u64,
        deadline: u64,
        action: Option<Action>,
    ) -> u64 {
        self.sums(token).sent += amount;
        let asks = self.asks;
        self.commit(|id| {
            Packet::Transfer(Transfer {
                id,
                deadline,
                token,
                sender: Address::repeat_byte(0x5e),
                receiver,
                amount: U256::from(amount),
                action,
                acknowledge: asks && id.sequence.is_multiple_of(2),
            })
        })
    }

    /// Settles a packet of the native chain, by the protocol's rules.
    pub fn receive(&mut self, sent: &SentPacket) {
        let packet = Packet::decode(&sent.packet).unwrap();
        assert_eq!(packet.id().sequence, sent.sequence);
        if self.receipts.contains_key(&sent.sequence) {
            return;
        }
        match packet {
            Packet::Transfer(transfer) if self.now <= transfer.deadline => {
                self.receipts.insert(sent.sequence, 1);
                self.sums(transfer.token).received += transfer.amount.to::<u64>();
                if transfer.acknowledge {
                    self.commit(|id| {
                        Packet::Acknowledgement(Acknowledgement {
                            id,
                            received: transfer,
                        })
                    });
                }
            }
            Packet::Transfer(expired) => {
                self.receipts.insert(sent.sequence, 2);
                self.commit(|id| Packet::Expiry(Expiry { id, expired }));
            }
            Packet::Expiry(Expiry { expired, .. }) => {
                self.receipts.insert(sent.sequence, 1);
                let stored = self.outbound.get_mut(&expired.id.sequence).unwrap();
                assert_eq!(*stored, Packet::Transfer(expired.clone()).commitment());
                *stored = REFUNDED;
                self.sums(expired.token).refunded += expired.amount.to::<u64>();
            }
            Packet::Acknowledgement(Acknowledgement { received, .. }) => {
                self.receipts.insert(sent.sequence, 1);
                let stored = self.outbound.get_mut(&received.id.sequence).unwrap();
                assert_eq!(*stored, Packet::Transfer(received).commitment());
                *stored = ACKNOWLEDGED;
            }
            Packet::Rotation(_) => {
                self.receipts.insert(sent.sequence, 1);
            }
        }
    }

    /// A finalized block of now.
    pub fn snapshot(&mut self) -> Snapshot {
        self.number += 1;
        Snapshot {
            number: self.number,
            timestamp: self.now,
            outbound: self.outbound.clone(),
            packets: self.packets.clone(),
        }
    }
}

/// Ethereum's state after one block.
#[derive(Clone, Debug)]
pub struct Snapshot {
    pub number: u64,
    pub timestamp: u64,
    pub outbound: BTreeMap<u64, B256>,
    pub packets: BTreeMap<u64, Packet>,
}

impl Snapshot {
    fn storage(&self) -> BTreeMap<B256, Vec<u8>> {
        let mut storage: BTreeMap<B256, Vec<u8>> = self
            .outbound
            .iter()
            .map(|(sequence, word)| {
                (
                    hashed_slot(*sequence, 0),
                    encode(U256::from_be_bytes(word.0)),
                )
            })
            .collect();
        // Plain variables and another mapping.
        for slot in 1u64..20 {
            storage.insert(
                keccak256(B256::from(U256::from(slot))),
                encode(U256::from(slot)),
            );
            storage.insert(hashed_slot(slot, 3), encode(U256::from(slot)));
        }
        storage
    }

    fn accounts(&self) -> BTreeMap<B256, Vec<u8>> {
        let storage_root = trie(&self.storage(), B256::ZERO).0;
        let account = |nonce, storage_root| {
            encode(TrieAccount {
                nonce,
                storage_root,
                ..TrieAccount::default()
            })
        };
        let mut accounts: BTreeMap<B256, Vec<u8>> = (1u8..60)
            .map(|n| {
                let address = Address::repeat_byte(n);
                (
                    keccak256(address),
                    account(u64::from(n), TrieAccount::default().storage_root),
                )
            })
            .collect();
        accounts.insert(keccak256(ETHEREUM_BRIDGE), account(1, storage_root));
        accounts.insert(keccak256(OTHER_EMITTER), account(2, storage_root));
        accounts
    }

    pub fn checkpoint(&self) -> Checkpoint {
        Checkpoint {
            number: self.number,
            hash: keccak256(self.number.to_be_bytes()),
            state_root: trie(&self.accounts(), B256::ZERO).0,
            timestamp: self.timestamp,
        }
    }

    pub fn account_proof(&self, address: Address) -> Vec<Bytes> {
        trie(&self.accounts(), keccak256(address)).1
    }

    pub fn storage_proof(&self, sequence: u64) -> Vec<Bytes> {
        self.proof_of_slot(sequence, 0)
    }

    /// Proof of `mapping[sequence]` where the mapping stands at `slot`.
    pub fn proof_of_slot(&self, sequence: u64, slot: u64) -> Vec<Bytes> {
        trie(&self.storage(), hashed_slot(sequence, slot)).1
    }

    pub fn item(&self, sequence: u64) -> IBridge::StorageItem {
        IBridge::StorageItem {
            packet: self.packets[&sequence].encode(),
            storageProof: self.storage_proof(sequence),
        }
    }

    pub fn deliver(&self, sequences: &[u64]) -> IBridge::deliverCall {
        IBridge::deliverCall {
            ethereumBlock: self.number,
            accountProof: self.account_proof(ETHEREUM_BRIDGE),
            items: sequences
                .iter()
                .map(|sequence| self.item(*sequence))
                .collect(),
        }
    }
}

fn hashed_slot(key: u64, slot: u64) -> B256 {
    let mut place = U256::from(key).to_be_bytes::<32>().to_vec();
    place.extend(U256::from(slot).to_be_bytes::<32>());
    keccak256(keccak256(place))
}

/// Root of a trie of hashed keys, and the nodes on the way to one of them.
fn trie(leaves: &BTreeMap<B256, Vec<u8>>, target: B256) -> (B256, Vec<Bytes>) {
    let target = Nibbles::unpack(target);
    let mut builder = HashBuilder::default().with_proof_retainer(ProofRetainer::new(vec![target]));
    for (key, value) in leaves {
        builder.add_leaf(Nibbles::unpack(key), value);
    }
    let root = builder.root();
    let nodes = builder
        .take_proof_nodes()
        .matching_nodes_sorted(&target)
        .into_iter()
        .map(|(_, node)| node)
        .collect();
    (root, nodes)
}
