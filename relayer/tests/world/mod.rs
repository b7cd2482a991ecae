//! A small world for the relayer to work in: a native chain, and at the other end of the route either
//! Ethereum or another native chain, its peer. With everything that can go wrong:
//! lost questions, lost answers, missing and doubled logs, transactions that wait, vanish or come
//! late, blocks that are taken back, and crashes. All by one seeded dice.
//!
//! The chains keep the protocol's rules (receipts once, for ever; expiry packets; refunds), check
//! what a real chain would check of a delivery, and count every effect.

pub mod ethereum;
pub mod ledger;
pub mod native;
pub mod run;

use ethereum::EthereumWorld;
use ledger::Ledgers;
use mileverse_primitives::{
    Address, B256, Bytes, U256,
    packet::{
        ACKNOWLEDGED, Acknowledgement, Action, Expiry, Packet, PacketId, REFUNDED, Rotation, Token,
        Transfer,
    },
};
use mileverse_relayer::{chain::End, store::Direction};
use mileverse_wallet::rpc::{Chain, RpcError};
use native::NativeWorld;
use rand::{Rng, SeedableRng, rngs::StdRng};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard},
};
use tokio::sync::Notify;

pub const NATIVE: u64 = 77_771;
pub const PEER: u64 = 77_772;
pub const ETHEREUM: u64 = 31_337;

/// The chain id of an end.
pub const fn chain_id(end: End) -> u64 {
    match end {
        End::Native => NATIVE,
        End::Peer => PEER,
        End::Ethereum => ETHEREUM,
    }
}

/// How often each kind of trouble comes, in a thousand.
#[derive(Clone, Copy, Debug, Default)]
pub struct Trouble {
    pub lost_question: u32,
    pub lost_answer: u32,
    pub crash: u32,
    pub bad_logs: u32,
    /// A leaf of an outbox is shown as one that goes elsewhere.
    pub elsewhere: u32,
    pub vanish: u32,
    pub take_back: u32,
    /// An endpoint tells another number than is true: a nonce, or how many packets there are.
    pub wrong_number: u32,
    /// Every seventh transfer is large, and waits for its delay.
    pub delays: bool,
    /// Every third sender wants an acknowledgement.
    pub asks: bool,
}

/// How long a large transfer waits, in seconds.
pub const DELAY: u64 = 40;

/// What a chain keeps of its exchange with another.
#[derive(Clone, Debug, Default)]
pub struct Bridge {
    pub outbound: BTreeMap<u64, B256>,
    pub sent: Vec<Packet>,
    pub receipts: BTreeMap<u64, u8>,
    /// Effects on balances, by inbound sequence.
    pub effects: BTreeMap<u64, u32>,
    /// Whether every seventh transfer waits.
    pub delays: bool,
    /// Whether every third sender wants an acknowledgement.
    pub asks: bool,
    /// Large transfers that wait, and from when on they may be released, in seconds.
    pub held: BTreeMap<u64, u64>,
    /// Which key of the other side is believed.
    pub key: u64,
    pub first_epoch: u64,
}

impl Bridge {
    pub fn new(trouble: Trouble) -> Self {
        Self {
            delays: trouble.delays,
            asks: trouble.asks,
            ..Self::default()
        }
    }

    fn id(&self, source: u64, destination: u64) -> PacketId {
        PacketId {
            source,
            destination,
            sequence: self.sent.len() as u64 + 1,
        }
    }

    pub fn commit(&mut self, packet: Packet) {
        self.outbound
            .insert(packet.id().sequence, packet.commitment());
        self.sent.push(packet);
    }

    pub fn transfer(&mut self, source: u64, destination: u64, deadline: u64) {
        self.transfer_with(source, destination, deadline, None);
    }

    /// A transfer to the native chain that is swapped there.
    fn swap(&mut self, deadline: u64, least: u64) {
        let least = U256::from(least);
        self.transfer_with(ETHEREUM, NATIVE, deadline, Some(Action::Swap { least }));
    }

    fn transfer_with(
        &mut self,
        source: u64,
        destination: u64,
        deadline: u64,
        action: Option<Action>,
    ) {
        let id = self.id(source, destination);
        self.commit(Packet::Transfer(Transfer {
            id,
            deadline,
            token: Token {
                home: source,
                contract: Address::repeat_byte(1),
            },
            sender: Address::repeat_byte(2),
            receiver: Address::repeat_byte(3),
            amount: U256::from(id.sequence),
            action,
            // Every third sender wants to know.
            acknowledge: self.asks && id.sequence.is_multiple_of(3),
        }));
    }

    /// What a swap gives now.
    fn price(now_s: u64) -> U256 {
        U256::from(now_s / 7 % 10)
    }

    /// Whether a transfer that is in time takes effect.
    fn takes_effect(transfer: &Transfer, now_s: u64) -> bool {
        match transfer.action {
            Some(Action::Swap { least }) => least <= Self::price(now_s),
            None => true,
        }
    }

    fn is_large(&self, transfer: &Transfer) -> bool {
        self.delays && transfer.amount % U256::from(7) == U256::ZERO
    }

    /// The outcome of a proven packet, in the protocol's order.
    pub fn settle(&mut self, packet: &Packet, now_s: u64) -> Result<(), String> {
        let id = packet.id();
        if self.receipts.contains_key(&id.sequence) {
            return Ok(());
        }
        match packet {
            Packet::Transfer(transfer) => {
                let waited = match self.held.get(&id.sequence) {
                    Some(until) if now_s < *until => return Err("TransferHeld".into()),
                    Some(_) => self.held.remove(&id.sequence).is_some(),
                    None => false,
                };
                let in_time = waited || now_s <= transfer.deadline;
                if in_time && !waited && self.is_large(transfer) {
                    self.held.insert(id.sequence, now_s + DELAY);
                } else if in_time && Self::takes_effect(transfer, now_s) {
                    self.receipts.insert(id.sequence, 1);
                    *self.effects.entry(id.sequence).or_default() += 1;
                    if transfer.acknowledge {
                        let id = self.id(id.destination, id.source);
                        self.commit(Packet::Acknowledgement(Acknowledgement {
                            id,
                            received: transfer.clone(),
                        }));
                    }
                } else {
                    self.receipts.insert(id.sequence, 2);
                    let id = self.id(id.destination, id.source);
                    self.commit(Packet::Expiry(Expiry {
                        id,
                        expired: transfer.clone(),
                    }));
                }
            }
            Packet::Expiry(Expiry {
                expired: inside, ..
            })
            | Packet::Acknowledgement(Acknowledgement {
                received: inside, ..
            }) => {
                let home = Packet::Transfer(inside.clone());
                let slot = self
                    .outbound
                    .get_mut(&home.id().sequence)
                    .ok_or("news of nothing")?;
                if *slot != home.commitment() {
                    return Err("news twice".into());
                }
                *slot = match packet {
                    Packet::Expiry(_) => REFUNDED,
                    _ => ACKNOWLEDGED,
                };
                self.receipts.insert(id.sequence, 1);
                *self.effects.entry(id.sequence).or_default() += 1;
            }
            Packet::Rotation(rotation) => {
                if !self.believe(rotation) {
                    return Err("an old rotation".into());
                }
                self.receipts.insert(id.sequence, 1);
                *self.effects.entry(id.sequence).or_default() += 1;
            }
        }
        Ok(())
    }

    /// Believes the key that is announced, if it is newer.
    pub fn believe(&mut self, rotation: &Rotation) -> bool {
        let newer = rotation.key_version > self.key;
        if newer {
            (self.key, self.first_epoch) = (rotation.key_version, rotation.first_epoch);
        }
        newer
    }
}

/// Everything.
pub struct World {
    pub dice: StdRng,
    pub trouble: Trouble,
    pub now_ms: u64,
    /// The other end of the route; the third chain stands still.
    pub far: End,
    pub native: NativeWorld,
    pub peer: NativeWorld,
    pub ethereum: EthereumWorld,
    /// Inbound packets that a chain refuses for now.
    pub poisoned: BTreeSet<(End, u64)>,
    pub crashed: bool,
    /// Answers that show another packet than was sent, still to come.
    pub lies: u32,
    /// What the next answer shows in the place of leaves of an outbox, by index.
    pub masks: BTreeMap<u64, Packet>,
}

impl World {
    pub fn roll(&mut self, in_a_thousand: u32) -> bool {
        self.dice.random_ratio(in_a_thousand.min(1000), 1000)
    }

    /// What an endpoint tells of a number: sometimes another one.
    pub fn tell(&mut self, number: u64) -> u64 {
        let wrong = self.trouble.wrong_number;
        if !self.roll(wrong) {
            return number;
        }
        let off = self.dice.random_range(1..6);
        if self.roll(500) {
            number + off
        } else {
            number.saturating_sub(off)
        }
    }

    /// What an endpoint shows of a packet: sometimes one that nobody sent.
    pub fn show(&mut self, packet: &Packet) -> Packet {
        match packet {
            Packet::Transfer(transfer) if self.lies > 0 => {
                self.lies -= 1;
                let mut other = transfer.clone();
                other.amount += U256::from(1);
                Packet::Transfer(other)
            }
            honest => honest.clone(),
        }
    }

    pub const fn now_s(&self) -> u64 {
        self.now_ms / 1000
    }

    /// The chain that exchanges packets with this one.
    pub const fn opposite(&self, here: End) -> End {
        match here {
            End::Native => self.far,
            End::Peer | End::Ethereum => End::Native,
        }
    }

    /// One of the native chains.
    pub const fn native_at(&self, end: End) -> &NativeWorld {
        match end {
            End::Native => &self.native,
            End::Peer => &self.peer,
            End::Ethereum => panic!("Ethereum is no native chain"),
        }
    }

    pub const fn native_at_mut(&mut self, end: End) -> &mut NativeWorld {
        match end {
            End::Native => &mut self.native,
            End::Peer => &mut self.peer,
            End::Ethereum => panic!("Ethereum is no native chain"),
        }
    }

    /// An end's side of the route, as of its newest block.
    pub fn bridge(&self, here: End) -> &Bridge {
        match here {
            End::Ethereum => &self.ethereum.head().bridge,
            here => self.native_at(here).exchange(self.opposite(here)),
        }
    }

    pub fn bridge_mut(&mut self, here: End) -> &mut Bridge {
        let there = self.opposite(here);
        match here {
            End::Ethereum => &mut self.ethereum.head_mut().bridge,
            here => self.native_at_mut(here).exchange_mut(there),
        }
    }

    /// The same as of what can never change.
    pub fn final_bridge(&self, here: End) -> &Bridge {
        match here {
            End::Ethereum => &self.ethereum.final_state().bridge,
            here => self.bridge(here),
        }
    }

    /// The two ways of the route, each with the ends that it goes from and to.
    pub fn ways(&self) -> [(Direction, End, End); 2] {
        Direction::of_route(self.far).map(|way| {
            let to = way.destination();
            (way, self.opposite(to), to)
        })
    }

    /// How many keys a chain announced that its peer overhears: they are packets of the way, but not
    /// numbered on it.
    pub fn overheard(&self, from: End, to: End) -> u64 {
        match (from, to) {
            (End::Ethereum, _) | (_, End::Ethereum) => 0,
            (from, _) => self.native_at(from).key,
        }
    }

    pub fn poison(&self, end: End, packet: &Packet) -> Result<(), String> {
        if self.poisoned.contains(&(end, packet.id().sequence)) {
            return Err("the receiver refuses".into());
        }
        Ok(())
    }

    /// Time passes and blocks come.
    pub fn step(&mut self, least_ms: u64, most_ms: u64) {
        self.now_ms += self.dice.random_range(least_ms..=most_ms);
        native::block(self, End::Native);
        if self.far == End::Peer {
            // Neither waits for the other.
            if self.roll(700) {
                native::block(self, End::Peer);
            }
            return;
        }
        if self.roll(700) {
            ethereum::block(self);
        }
        let trouble = self.trouble;
        if self.roll(trouble.take_back) {
            ethereum::take_back(self);
        }
        if self.roll(500) {
            let newest = self.ethereum.finalized();
            let known = self.native.checkpoint;
            self.native.checkpoint = self.dice.random_range(known..=newest.max(known));
        }
    }

    /// A guardian stops one of the large transfers that wait, on either side.
    pub fn guard(&mut self) {
        let now_s = self.now_s();
        let here = if self.roll(500) {
            End::Native
        } else {
            self.far
        };
        let held = &self.bridge(here).held;
        let waits = held.iter().find(|(_, until)| now_s < **until);
        let Some(sequence) = waits.map(|(sequence, _)| *sequence) else {
            return;
        };
        let sent = &self.bridge(self.opposite(here)).sent;
        let Some(Packet::Transfer(expired)) = sent.get(sequence as usize - 1).cloned() else {
            return;
        };
        let bridge = self.bridge_mut(here);
        bridge.held.remove(&sequence);
        bridge.receipts.insert(sequence, 2);
        let id = bridge.id(expired.id.destination, expired.id.source);
        bridge.commit(Packet::Expiry(Expiry { id, expired }));
    }

    /// Somebody sends a packet over the route.
    pub fn send(&mut self, from: End) {
        let ahead = if self.roll(300) {
            self.dice.random_range(1..20)
        } else {
            self.dice.random_range(600..6_000)
        };
        let deadline = self.now_s() + ahead;
        // Every third from Ethereum is swapped where it arrives.
        if from == End::Ethereum && self.roll(333) {
            let least = self.dice.random_range(0..10);
            self.ethereum.head_mut().bridge.swap(deadline, least);
            return;
        }
        let (source, destination) = (chain_id(from), chain_id(self.opposite(from)));
        self.bridge_mut(from)
            .transfer(source, destination, deadline);
    }

    /// Somebody sends a packet from a native chain to where the route does not go.
    pub fn send_elsewhere(&mut self, from: End) {
        let there = match self.opposite(from) {
            End::Ethereum => End::Peer,
            End::Native | End::Peer => End::Ethereum,
        };
        let deadline = self.now_s() + 1_000;
        self.native_at_mut(from).exchange_mut(there).transfer(
            chain_id(from),
            chain_id(there),
            deadline,
        );
    }
}

/// The world as the relayer's chains share it.
#[derive(Clone)]
pub struct Shared {
    world: Arc<Mutex<World>>,
    pub crash: Arc<Notify>,
}

impl Shared {
    pub fn new(seed: u64, trouble: Trouble, far: End) -> Self {
        let native = NativeWorld::new(trouble);
        let world = World {
            dice: StdRng::seed_from_u64(seed),
            trouble,
            now_ms: 1_000_000_000,
            far,
            peer: native.clone(),
            native,
            ethereum: EthereumWorld::new(trouble),
            poisoned: BTreeSet::new(),
            crashed: false,
            lies: 0,
            masks: BTreeMap::new(),
        };
        Self {
            world: Arc::new(Mutex::new(world)),
            crash: Arc::new(Notify::new()),
        }
    }

    pub fn lock(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap()
    }

    /// One call of a node: may be lost on the way there, on the way back, or be the last.
    pub async fn call<T>(
        &self,
        chain: Chain,
        work: impl FnOnce(&mut World) -> Result<T, RpcError>,
    ) -> Result<T, RpcError> {
        let lost = |what: &str| RpcError::Unreachable {
            chain,
            url: "world".into(),
            reason: what.into(),
        };
        let outcome = {
            let mut world = self.lock();
            world.native.note();
            world.peer.note();
            let trouble = world.trouble;
            if world.roll(trouble.lost_question) {
                return Err(lost("the question was lost"));
            }
            let crash_before = world.roll(trouble.crash);
            let outcome = if crash_before {
                None
            } else {
                Some(work(&mut world))
            };
            let crash_after = world.roll(trouble.crash);
            if crash_before || crash_after {
                world.crashed = true;
                None
            } else if world.roll(trouble.lost_answer) {
                Some(Err(lost("the answer was lost")))
            } else {
                outcome
            }
        };
        match outcome {
            Some(outcome) => outcome,
            None => {
                self.crash.notify_one();
                std::future::pending().await
            }
        }
    }

    pub fn native(&self) -> native::FakeNative {
        native::FakeNative(Ledgers::new(self.clone(), End::Native))
    }

    pub fn peer(&self) -> native::FakeNative {
        native::FakeNative(Ledgers::new(self.clone(), End::Peer))
    }

    pub fn ethereum(&self) -> ethereum::FakeEthereum {
        ethereum::FakeEthereum(Ledgers::new(self.clone(), End::Ethereum))
    }
}

pub fn reverted(chain: Chain, reason: String) -> RpcError {
    RpcError::Reverted { chain, reason }
}

/// What a storage proof is in this world.
pub fn storage_proof(block: u64, sequence: u64, commitment: B256) -> Bytes {
    let mut bytes = block.to_be_bytes().to_vec();
    bytes.extend_from_slice(&sequence.to_be_bytes());
    bytes.extend_from_slice(commitment.as_slice());
    bytes.into()
}
