//! Native chains that know each other: each has a group key, an outbox of which it can show paths,
//! and certificates for its blocks.

use crate::support::{Chain, ISSUER, Send, genesis};
use alloy::{
    primitives::{Address, B256, Bytes, U256, keccak256},
    sol_types::SolCall,
};
use commonware_cryptography::bls12381::primitives::{
    group::Private,
    ops,
    variant::{MinSig, Variant},
};
use commonware_utils::TestRng;
use mileverse_execution::{BlockOutput, SentPacket, bls};
use mileverse_primitives::{
    abi::{ICoin, IPeers, IValves},
    address::{PEERS, POINTS, peer_points},
    bridge::{BridgeRules, Limits},
    certificate, header, outbox,
    packet::{GroupKey, Packet, PacketId, Rotation},
    peers::Peer,
};

pub const HOUR: u64 = 3_600;
pub const GUARDIAN: usize = 3;
pub const GOVERNOR: usize = 4;
/// Who relays.
pub const RELAYER: usize = 2;
/// Chain ids of two chains that are peers, and of one that is neither's.
pub const A: u64 = 8217;
pub const B: u64 = 8218;
pub const STRANGER: u64 = 8219;

/// A group that signs: its key, and from which epoch on.
#[derive(Clone, Debug)]
pub struct Group {
    pub private: Private,
    pub key: GroupKey,
}

impl Group {
    pub fn new(seed: u64) -> Self {
        let (private, public) = ops::keypair::<_, MinSig>(&mut TestRng::new(seed));
        Self {
            private,
            key: bls::group_key(&public).unwrap(),
        }
    }

    pub fn sign(&self, chain_id: u64, at: Turn, digest: B256) -> Bytes {
        let message = certificate::message(chain_id, at.epoch, at.view, at.parent_view, digest);
        bls::signature(&ops::sign::<MinSig>(
            &self.private,
            MinSig::MESSAGE,
            &message,
        ))
        .unwrap()
    }
}

/// Where in consensus a certificate stands.
#[derive(Clone, Copy, Debug)]
pub struct Turn {
    pub epoch: u64,
    pub view: u64,
    pub parent_view: u64,
}

/// A chain, its group, and all that it sent.
pub struct Side {
    pub chain: Chain,
    pub id: u64,
    pub group: Group,
    pub epoch: u64,
    pub key_version: u64,
    pub outbox: Vec<SentPacket>,
    pub view: u64,
    /// Whether the outbox holds what the chain itself did not send.
    pub is_forged: bool,
    /// Whether its senders want acknowledgements.
    pub asks: bool,
    /// The old group's last certificate of each rotation, the announcement's leaf and the new number.
    pub handovers: Vec<(IPeers::HeaderProof, u64, u64)>,
}

pub fn peer(chain_id: u64, group: &Group, limits: Limits) -> Peer {
    Peer {
        chain_id,
        group_key: group.key,
        key_version: 0,
        first_epoch: 0,
        points: limits,
        peer_points: limits,
    }
}

impl Side {
    /// A chain with a guardian and a governor, and these peers from the start.
    pub fn new(id: u64, group: Group, peers: Vec<Peer>) -> Self {
        let users = Chain::some_users(5);
        let mut genesis = genesis(users[ISSUER].address());
        genesis.chain_id = id;
        genesis.peers = peers;
        // So that there is somebody to elect when an epoch ends.
        for member in &mut genesis.committee.members {
            member.stake = U256::from(1_000_000);
        }
        genesis.bridge = BridgeRules {
            guardian: users[GUARDIAN].address(),
            governor: users[GOVERNOR].address(),
            delay_seconds: 7_200,
            ..BridgeRules::default()
        };
        Self {
            chain: Chain::with(genesis, users),
            id,
            group,
            epoch: 3,
            key_version: 0,
            outbox: Vec::new(),
            view: 10,
            is_forged: false,
            asks: false,
            handovers: Vec::new(),
        }
    }

    /// Two chains that are peers from their first block on, whose users have a thousand points each.
    pub fn two() -> (Self, Self) {
        Self::limited(Limits::default())
    }

    /// The same, with limits on both.
    pub fn limited(limits: Limits) -> (Self, Self) {
        let (a, b) = (Group::new(1), Group::new(2));
        let mut one = Self::new(A, a.clone(), vec![peer(B, &b, limits)]);
        let mut two = Self::new(B, b, vec![peer(A, &a, limits)]);
        for side in [&mut one, &mut two] {
            for user in 0..5 {
                side.chain.issue(user, 1_000);
            }
        }
        (one, two)
    }

    /// Executes one block.
    pub fn block(&mut self, sends: &[Send]) -> BlockOutput {
        let output = self.chain.block(sends);
        // What was announced or forged beside the chain stands between: leaves are counted here.
        for sent in &output.packets {
            let index = self.outbox.len() as u64;
            self.outbox.push(SentPacket {
                index,
                ..sent.clone()
            });
        }
        if !self.is_forged {
            assert_eq!(output.outbox_size, self.outbox.len() as u64);
            assert_eq!(output.outbox_tree, outbox::tree(&self.leaves()));
        }
        output
    }

    /// A call that must succeed.
    pub fn call(&mut self, user: usize, call: &impl SolCall) -> BlockOutput {
        let output = self.block(&[Send::call(user, PEERS, call).gas(20_000_000)]);
        assert!(
            output.receipts[0].success,
            "{:?}",
            self.chain.try_call(&Send::call(user, PEERS, call))
        );
        output
    }

    /// A call that must fail, and why it does.
    pub fn refuse(&mut self, user: usize, call: &impl SolCall) -> String {
        self.chain
            .refuse(Send::call(user, PEERS, call).gas(20_000_000))
    }

    /// The governor announces a call, waits, and makes it.
    pub fn govern(&mut self, call: &impl SolCall) {
        let data: Bytes = call.abi_encode().into();
        let schedule = IValves::scheduleCall { data };
        let bridge = mileverse_primitives::address::BRIDGE;
        self.block(&[Send::call(GOVERNOR, bridge, &schedule)]);
        self.chain.now += 7_200;
        self.call(GOVERNOR, call);
    }

    pub fn view<C: SolCall>(&self, call: C) -> C::Return {
        self.chain.view(PEERS, call)
    }

    /// Sends `amount` of a token to a peer, from a user to a user with the same keys.
    pub fn send(
        &mut self,
        user: usize,
        peer: u64,
        token: Address,
        amount: u64,
        lifetime: u64,
    ) -> SentPacket {
        let call = IPeers::sendCall {
            peer,
            token,
            receiver: self.chain.user(user),
            amount: U256::from(amount),
            deadline: self.chain.now + lifetime,
        };
        let output = if self.asks {
            let IPeers::sendCall {
                peer,
                token,
                receiver,
                amount,
                deadline,
            } = call;
            let call = IPeers::sendAcknowledgedCall {
                peer,
                token,
                receiver,
                amount,
                deadline,
            };
            self.call(user, &call)
        } else {
            self.call(user, &call)
        };
        let [sent] = output.packets.try_into().unwrap();
        sent
    }

    /// Sends own points in a block that says more than that.
    pub fn send_beside(&mut self, user: usize, peer: u64, amount: u64) {
        let call = IPeers::sendCall {
            peer,
            token: POINTS,
            receiver: self.chain.user(user),
            amount: U256::from(amount),
            deadline: self.chain.now + HOUR,
        };
        assert_eq!(self.call(user, &call).packets.len(), 2);
    }

    /// Points of a peer's that an account has here.
    pub fn foreign(&self, peer: u64, account: Address) -> U256 {
        self.chain
            .view(peer_points(peer), ICoin::balanceOfCall { account })
    }

    fn leaves(&self) -> Vec<B256> {
        let sent = self.outbox.iter();
        sent.map(|sent| outbox::leaf(sent.index, sent.commitment))
            .collect()
    }

    /// A block of now, certified by `group`.
    pub fn header_by(&mut self, group: &Group, namespace: u64) -> IPeers::HeaderProof {
        self.view += 1;
        let turn = Turn {
            epoch: self.epoch,
            view: self.view,
            parent_view: self.view - 1,
        };
        let tree = outbox::tree(&self.leaves());
        let size = self.outbox.len() as u64;
        let rest = keccak256(self.view.to_be_bytes());
        let digest = header::digest(outbox::root(size, tree), rest);
        IPeers::HeaderProof {
            epoch: turn.epoch,
            view_: turn.view,
            parentView: turn.parent_view,
            restHash: rest,
            outboxSize: size,
            outboxTree: tree,
            signature: group.sign(namespace, turn, digest),
        }
    }

    /// A block of now, as its own group certifies it.
    pub fn header(&mut self) -> IPeers::HeaderProof {
        let group = self.group.clone();
        self.header_by(&group, self.id)
    }

    pub fn item(&self, index: u64) -> IPeers::OutboxItem {
        self.item_of(index, self.outbox.len())
    }

    /// The same in the tree of the first `size` leaves.
    pub fn item_of(&self, index: u64, size: usize) -> IPeers::OutboxItem {
        let at = usize::try_from(index).unwrap();
        IPeers::OutboxItem {
            packet: self.outbox[at].packet.clone(),
            index,
            path: outbox::path_over(&self.leaves()[..size], at).unwrap(),
        }
    }

    /// Hands over to a new group: announced in the epoch's last block, in force in the next.
    pub fn hand_over(&mut self, next: Group) {
        let index = self.announce(&next);
        let last = self.header();
        self.handovers.push((last, index, self.key_version));
        self.group = next;
        self.epoch += 1;
    }

    /// What brings another chain, which knows the key with this number, the next one.
    pub fn next_key(&self, known: u64) -> Option<IPeers::deliverCall> {
        let (header, index, _) = self
            .handovers
            .iter()
            .find(|(.., number)| *number == known + 1)?;
        Some(IPeers::deliverCall {
            peer: self.id,
            header: header.clone(),
            items: vec![self.item_of(*index, usize::try_from(header.outboxSize).unwrap())],
        })
    }

    /// The delivery of these leaves.
    pub fn delivery(&mut self, indices: &[u64]) -> IPeers::deliverCall {
        IPeers::deliverCall {
            peer: self.id,
            header: self.header(),
            items: indices.iter().map(|index| self.item(*index)).collect(),
        }
    }

    /// Leaves that a chain can settle: those that go there, and rotations.
    pub fn leaves_for(&self, destination: u64) -> Vec<u64> {
        let for_it = |sent: &&SentPacket| {
            let packet = Packet::decode(&sent.packet).unwrap();
            packet.id().destination == destination || matches!(packet, Packet::Rotation(_))
        };
        self.outbox
            .iter()
            .filter(for_it)
            .map(|sent| sent.index)
            .collect()
    }

    /// The chain's own announcement of a new key, as the block that hands over makes it; the
    /// certificate of that block is the last of the old group's.
    pub fn announce(&mut self, next: &Group) -> u64 {
        self.key_version += 1;
        let index = self.outbox.len() as u64;
        self.is_forged = true;
        let packet = Packet::Rotation(Rotation {
            id: PacketId {
                source: self.id,
                destination: crate::support::ETHEREUM_ID,
                sequence: 1_000 + self.key_version,
            },
            key_version: self.key_version,
            first_epoch: self.epoch + 1,
            key: Box::new(next.key),
        });
        self.outbox.push(SentPacket {
            index,
            sequence: packet.id().sequence,
            commitment: packet.commitment(),
            packet: packet.encode(),
        });
        index
    }

    /// Both tokens of this end agree with what is there.
    pub fn check_books(&self, peer: u64) {
        let held = self.chain.points(peer_points(peer));
        let supply = self
            .chain
            .view(peer_points(peer), ICoin::totalSupplyCall {});
        for (token, real) in [(POINTS, held), (peer_points(peer), supply)] {
            assert!(self.view(IPeers::solventCall { peer, token }));
            assert_eq!(self.view(IPeers::backingCall { peer, token }), real);
        }
        assert_eq!(self.chain.account(PEERS).balance, U256::ZERO);
        crate::bridge::check_books(&self.chain);
    }

    pub fn totals(&self, peer: u64, token: Address) -> [u64; 3] {
        let totals = self.view(IPeers::totalsCall { peer, token });
        [totals.sent, totals.received, totals.refunded].map(|sum| sum.to())
    }
}
