//! The native chains of the test world. Every block is final.

use super::{
    Bridge, ETHEREUM, Trouble, World, chain_id,
    ledger::{Accounts, BRIDGE, Ledgers, Waiting},
    storage_proof,
};
use alloy::sol_types::SolCall as _;
use mileverse_primitives::{
    Address, B256, Bytes,
    abi::{IBridge, IPeers},
    address::PEERS,
    exchange::ROUTER,
    outbox,
    packet::{GroupKey, Packet, Rotation},
    rpc::{Certificate, OutboxPacket, OutboxProof},
};
use mileverse_relayer::chain::{
    End, Inclusion, KeyInForce, Leaf, NativeChain, Side, Verifier, native::delivery,
};
use mileverse_wallet::rpc::{Chain, RpcError};
use rand::Rng as _;

#[derive(Clone, Debug, Default)]
pub struct NativeWorld {
    /// Its exchange with Ethereum.
    pub bridge: Bridge,
    /// Its exchange with its peer.
    pub peers: Bridge,
    /// Whatever was sent, to wherever, as far as it was noted.
    pub outbox: Vec<Packet>,
    /// How many packets of each exchange stand in the outbox.
    noted: [usize; 2],
    pub accounts: Accounts,
    pub pool: Vec<Waiting>,
    pub height: u64,
    pub epoch: u64,
    /// Number of the key that signs.
    pub key: u64,
    /// The last block of each epoch that ended with a new key: height, and packets by then.
    pub ends: Vec<(u64, usize)>,
    /// Newest Ethereum block the chain agreed on.
    pub checkpoint: u64,
    /// Packets delivered by each transaction.
    pub batches: Vec<usize>,
}

impl NativeWorld {
    pub fn new(trouble: Trouble) -> Self {
        Self {
            bridge: Bridge::new(trouble),
            peers: Bridge::new(trouble),
            ..Self::default()
        }
    }

    /// Its exchange with the chain over there.
    pub const fn exchange(&self, there: End) -> &Bridge {
        match there {
            End::Ethereum => &self.bridge,
            End::Native | End::Peer => &self.peers,
        }
    }

    pub const fn exchange_mut(&mut self, there: End) -> &mut Bridge {
        match there {
            End::Ethereum => &mut self.bridge,
            End::Native | End::Peer => &mut self.peers,
        }
    }

    /// Puts what was sent since the last look into the outbox.
    pub fn note(&mut self) {
        for (bridge, noted) in [&self.bridge, &self.peers].into_iter().zip(&mut self.noted) {
            self.outbox.extend_from_slice(&bridge.sent[*noted..]);
            *noted = bridge.sent.len();
        }
    }

    pub fn leaves(&self, size: usize) -> Vec<B256> {
        (0u64..)
            .zip(&self.outbox[..size])
            .map(|(index, packet)| outbox::leaf(index, packet.commitment()))
            .collect()
    }
}

/// An epoch ends, and another key signs the next.
pub fn rotate(world: &mut World, end: End) {
    let native = world.native_at_mut(end);
    native.note();
    let rotation = Rotation {
        id: native.bridge.id(chain_id(end), ETHEREUM),
        key_version: native.key + 1,
        first_epoch: native.epoch + 1,
        key: Box::new(GroupKey::repeat_byte(1)),
    };
    native.bridge.commit(Packet::Rotation(rotation));
    native.note();
    native.ends.push((native.height, native.outbox.len()));
    native.height += 1;
    native.epoch += 1;
    native.key += 1;
}

/// A packet that somebody might have sent from this chain to one that no route here goes to.
pub fn elsewhere(from: u64) -> Packet {
    let mut other = Bridge::default();
    other.transfer(from, 77, 1);
    other.sent.remove(0)
}

/// What the key of a number signs with on a chain.
fn signature(end: End, key: u64) -> Bytes {
    format!("signed by {key} of {}", end.word())
        .into_bytes()
        .into()
}

/// What a certificate says that comes with a delivery.
pub struct Certified<'a> {
    pub epoch: u64,
    pub size: u64,
    pub tree: B256,
    pub signature: &'a Bytes,
}

impl Certified<'_> {
    /// Whether it is one of this chain's, under the key that the destination believes.
    pub fn check(&self, world: &World, source: End, believing: &Bridge) -> Result<(), String> {
        let native = world.native_at(source);
        let size = self.size as usize;
        if *self.signature != signature(source, believing.key)
            || self.epoch < believing.first_epoch
            || size == 0
            || size > native.outbox.len()
            || self.tree != outbox::tree(&native.leaves(size))
        {
            return Err("certificate".into());
        }
        Ok(())
    }

    /// Whether it proves a leaf; a packet of the chain's announces no key of the epoch that proves it.
    pub fn prove(&self, packet: &Packet, index: u64, path: &[B256]) -> Result<(), String> {
        if !outbox::verify(self.tree, self.size, index, packet.commitment(), path) {
            return Err("path".into());
        }
        match packet {
            Packet::Rotation(rotation) if rotation.first_epoch <= self.epoch => {
                Err("a key older than its announcement".into())
            }
            _ => Ok(()),
        }
    }
}

/// Checks and settles a delivery; nothing changes if it is refused.
fn deliver(world: &World, here: End, input: &Bytes) -> Result<(Bridge, usize), String> {
    match world.opposite(here) {
        End::Ethereum => deliver_from_ethereum(world, input),
        there => deliver_from_peer(world, here, there, input),
    }
}

fn deliver_from_ethereum(world: &World, input: &Bytes) -> Result<(Bridge, usize), String> {
    let call = IBridge::deliverCall::abi_decode(input).map_err(|error| error.to_string())?;
    let block = call.ethereumBlock;
    if block == 0 || block > world.native.checkpoint {
        return Err("unknown checkpoint".into());
    }
    if call.items.is_empty() || call.items.len() > 256 {
        return Err("batch size".into());
    }
    if call.accountProof != [Bytes::from(block.to_be_bytes().to_vec())] {
        return Err("account proof".into());
    }
    let state = world.ethereum.at(block).ok_or("no such block")?;
    let mut bridge = world.native.bridge.clone();
    for item in &call.items {
        let packet = Packet::decode(&item.packet).map_err(|error| error.to_string())?;
        let sequence = packet.id().sequence;
        let stored = state.bridge.outbound.get(&sequence).copied();
        let commitment = packet.commitment();
        if stored != Some(commitment)
            || item.storageProof != [storage_proof(block, sequence, commitment)]
        {
            return Err("storage proof".into());
        }
        world.poison(End::Native, &packet)?;
        bridge.settle(&packet, world.now_s())?;
    }
    Ok((bridge, call.items.len()))
}

fn deliver_from_peer(
    world: &World,
    here: End,
    there: End,
    input: &Bytes,
) -> Result<(Bridge, usize), String> {
    let call = IPeers::deliverCall::abi_decode(input).map_err(|error| error.to_string())?;
    if call.peer != chain_id(there) {
        return Err("no such peer".into());
    }
    if call.items.is_empty() || call.items.len() > 256 || input.len() > 128 * 1024 {
        return Err("batch size".into());
    }
    let mut bridge = world.native_at(here).peers.clone();
    let certified = Certified {
        epoch: call.header.epoch,
        size: call.header.outboxSize,
        tree: call.header.outboxTree,
        signature: &call.header.signature,
    };
    certified.check(world, there, &bridge)?;
    for item in &call.items {
        let packet = Packet::decode(&item.packet).map_err(|error| error.to_string())?;
        certified.prove(&packet, item.index, &item.path)?;
        assert_eq!(packet.id().source, call.peer, "a leaf of another chain");
        if let Packet::Rotation(rotation) = &packet {
            // An old one is no news.
            bridge.believe(rotation);
            continue;
        }
        if packet.id().destination != chain_id(here) {
            return Err("the packet does not go to this chain".into());
        }
        world.poison(here, &packet)?;
        bridge.settle(&packet, world.now_s())?;
    }
    Ok((bridge, call.items.len()))
}

/// Whom a delivery must call. The bridge opens what is swapped for nobody but the router.
fn wanted(world: &World, here: End, input: &Bytes) -> Address {
    // Read from the bytes, not as the relayer does: a transfer with an action, acknowledged or not.
    let is_swap = |item: &IBridge::StorageItem| matches!(item.packet.get(1), Some(0x04 | 0x84));
    if world.opposite(here) != End::Ethereum {
        PEERS
    } else if IBridge::deliverCall::abi_decode(input)
        .is_ok_and(|call| call.items.iter().any(is_swap))
    {
        ROUTER
    } else {
        BRIDGE
    }
}

/// What a node says of a delivery that pays nothing and is of no use.
pub fn is_of_use(world: &World, here: End, input: &Bytes) -> Result<(), String> {
    let there = world.opposite(here);
    let packets: Vec<_> = match there {
        End::Ethereum => IBridge::deliverCall::abi_decode(input)
            .map(|call| call.items.into_iter().map(|item| item.packet).collect()),
        _ => IPeers::deliverCall::abi_decode(input)
            .map(|call| call.items.into_iter().map(|item| item.packet).collect()),
    }
    .map_err(|error| error.to_string())?;
    let bridge = world.bridge(here);
    let admits = packets.iter().any(|bytes| match Packet::decode(bytes) {
        Ok(Packet::Rotation(rotation)) => rotation.key_version > bridge.key,
        Ok(packet) => !bridge.receipts.contains_key(&packet.id().sequence),
        Err(_) => false,
    });
    match admits {
        true => Ok(()),
        false => Err("a delivery that admits no packet must pay a gas price".into()),
    }
}

pub fn try_deliver(world: &World, here: End, input: &Bytes) -> Result<usize, String> {
    deliver(world, here, input).map(|(_, items)| items)
}

/// A block: some waiting transactions, in any order that nonces allow.
pub fn block(world: &mut World, here: End) {
    world.native_at_mut(here).height += 1;
    if world.roll(100) {
        return;
    }
    let mut pool = std::mem::take(&mut world.native_at_mut(here).pool);
    let vanish = world.trouble.vanish;
    pool.retain(|_| !world.dice.random_ratio(vanish.min(1000), 1000));
    while let Some(at) = pool.iter().position(|waiting| {
        let nonces = &world.native_at(here).accounts.nonces;
        waiting.nonce == nonces.get(&waiting.sender).copied().unwrap_or(0)
    }) {
        let waiting = pool.remove(at);
        let id = Some(chain_id(here));
        assert_eq!(waiting.chain_id, id, "signed for another chain");
        if is_of_use(world, here, &waiting.input).is_err() {
            continue;
        }
        let wanted = wanted(world, here, &waiting.input);
        assert_eq!(waiting.to, Some(wanted), "the wrong contract is called");
        let outcome = deliver(world, here, &waiting.input);
        let success = outcome.is_ok();
        if let Ok((bridge, items)) = outcome {
            *world.bridge_mut(here) = bridge;
            world.native_at_mut(here).batches.push(items);
        }
        let native = world.native_at_mut(here);
        let accounts = &mut native.accounts;
        *accounts.nonces.entry(waiting.sender).or_default() += 1;
        accounts.included.insert(
            waiting.hash,
            Inclusion {
                block: native.height,
                success,
                gas_used: 21_000,
                cost_wei: 0,
            },
        );
    }
    world.native_at_mut(here).pool = pool;
}

pub struct FakeNative(pub Ledgers);

impl Side for FakeNative {
    type Ledger = Ledgers;

    fn ledger(&self) -> &Ledgers {
        &self.0
    }
}

impl FakeNative {
    /// Asks the chain something.
    async fn ask<T>(
        &self,
        work: impl FnOnce(&mut World, End) -> Result<T, RpcError>,
    ) -> Result<T, RpcError> {
        let here = self.0.here;
        let question = |world: &mut World| work(world, here);
        self.0.shared.call(Chain::Native, question).await
    }
}

impl Verifier for FakeNative {
    async fn finalized(&self) -> Result<u64, RpcError> {
        self.ask(|world, here| Ok(world.native_at(here).height))
            .await
    }

    async fn key(&self) -> Result<KeyInForce, RpcError> {
        self.ask(|world, here| {
            let bridge = &world.native_at(here).peers;
            Ok(KeyInForce {
                version: bridge.key,
                first_epoch: bridge.first_epoch,
            })
        })
        .await
    }

    fn overhears(&self) -> bool {
        true
    }

    fn delivery(&self, certificate: &Certificate, leaves: Vec<Leaf>) -> Bytes {
        let there = self.0.shared.lock().opposite(self.0.here);
        delivery(chain_id(there), certificate, leaves)
    }
}

impl NativeChain for FakeNative {
    async fn packets(&self, from: u64, limit: u64) -> Result<Vec<OutboxPacket>, RpcError> {
        self.ask(|world, here| {
            let sent: Vec<_> = world
                .native_at(here)
                .outbox
                .iter()
                .skip(from as usize)
                .take(limit as usize)
                .cloned()
                .collect();
            let mut shown: Vec<_> = sent.iter().map(|packet| world.show(packet)).collect();
            let mut masks = std::mem::take(&mut world.masks);
            for (index, packet) in (from..).zip(&mut shown) {
                if let Some(mask) = masks.remove(&index) {
                    *packet = mask;
                }
                let hide = world.trouble.elsewhere;
                if world.roll(hide) {
                    *packet = elsewhere(chain_id(here));
                }
            }
            let native = world.native_at(here);
            let newest = native.height;
            let ends = &native.ends;
            let height = |index: u64| {
                let at = ends.iter().find(|(_, size)| *size as u64 == index + 1);
                at.map_or(newest, |(height, _)| *height)
            };
            let mut page: Vec<_> = (from..)
                .zip(&shown)
                .map(|(index, packet)| OutboxPacket {
                    index,
                    sequence: packet.id().sequence,
                    commitment: packet.commitment(),
                    packet: packet.encode(),
                    height: height(index),
                })
                .collect();
            // A sloppy node leaves one out.
            let sloppy = world.trouble.bad_logs;
            if world.roll(sloppy) && !page.is_empty() {
                let at = world.dice.random_range(0..page.len());
                page.remove(at);
            }
            Ok(page)
        })
        .await
    }

    async fn certificate(&self, height: Option<u64>) -> Result<Certificate, RpcError> {
        self.ask(|world, here| {
            let native = world.native_at(here);
            let mut found = (native.height, native.epoch, native.key, native.outbox.len());
            for ((end, size), number) in native.ends.iter().zip(0..) {
                if Some(*end) == height {
                    found = (*end, number, number, *size);
                }
            }
            let (height, epoch, key, size) = found;
            let tree = outbox::tree(&native.leaves(size));
            Ok(Certificate {
                height,
                digest: B256::ZERO,
                epoch,
                view: height,
                parent_view: height.saturating_sub(1),
                rest_hash: B256::repeat_byte(5),
                outbox_size: size as u64,
                outbox_tree: tree,
                outbox_root: outbox::root(size as u64, tree),
                signature: signature(here, key),
            })
        })
        .await
    }

    async fn next_sequence(&self, peer: Option<u64>) -> Result<u64, RpcError> {
        self.ask(|world, here| {
            let there = peer.map_or(ETHEREUM, |_| chain_id(world.opposite(here)));
            assert!(peer.is_none_or(|peer| peer == there), "no such peer");
            let outbox = &world.native_at(here).outbox;
            let to = |packet: &&Packet| packet.id().destination == there;
            Ok(outbox.iter().filter(to).count() as u64 + 1)
        })
        .await
    }

    async fn key_version(&self) -> Result<u64, RpcError> {
        self.ask(|world, here| Ok(world.native_at(here).key)).await
    }

    async fn outbox_size(&self) -> Result<u64, RpcError> {
        self.ask(|world, here| Ok(world.native_at(here).outbox.len() as u64))
            .await
    }

    async fn paths(&self, indices: &[u64], size: u64) -> Result<Vec<OutboxProof>, RpcError> {
        self.ask(|world, here| {
            let native = world.native_at(here);
            let leaves = native.leaves(size as usize);
            let path = |index: &u64| OutboxProof {
                index: *index,
                size,
                commitment: native.outbox[*index as usize].commitment(),
                path: outbox::path_over(&leaves, *index as usize).unwrap(),
            };
            Ok(indices.iter().map(path).collect())
        })
        .await
    }

    async fn latest_checkpoint(&self) -> Result<u64, RpcError> {
        self.0
            .shared
            .call(Chain::Native, |world| {
                Ok(world.native_at(self.0.here).checkpoint)
            })
            .await
    }
}
