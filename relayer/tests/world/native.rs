//! The native chain of the test world. Every block is final.

use super::{
    Bridge, ETHEREUM, NATIVE, World,
    ledger::{Accounts, BRIDGE, Ledgers, Waiting},
    storage_proof,
};
use alloy::sol_types::SolCall as _;
use mileverse_primitives::{
    B256, Bytes,
    abi::IBridge,
    exchange::ROUTER,
    outbox,
    packet::{GroupKey, Packet, Rotation},
    rpc::{Certificate, OutboxPacket, OutboxProof},
};
use mileverse_relayer::chain::{Inclusion, NativeChain, Side};
use mileverse_wallet::rpc::{Chain, RpcError};
use rand::Rng as _;

#[derive(Clone, Debug, Default)]
pub struct NativeWorld {
    pub bridge: Bridge,
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
    pub fn leaves(&self, size: usize) -> Vec<B256> {
        (0u64..)
            .zip(&self.bridge.sent[..size])
            .map(|(index, packet)| outbox::leaf(index, packet.commitment()))
            .collect()
    }
}

/// An epoch ends, and another key signs the next.
pub fn rotate(world: &mut World) {
    let native = &mut world.native;
    let rotation = Rotation {
        id: native.bridge.id(NATIVE, ETHEREUM),
        key_version: native.key + 1,
        first_epoch: native.epoch + 1,
        key: Box::new(GroupKey::repeat_byte(1)),
    };
    native.bridge.commit(Packet::Rotation(rotation));
    native.ends.push((native.height, native.bridge.sent.len()));
    native.height += 1;
    native.epoch += 1;
    native.key += 1;
}

/// What the key of a number signs with.
pub fn signature(key: u64) -> Bytes {
    format!("signed by {key}").into_bytes().into()
}

/// Checks and settles a delivery; nothing changes if it is refused.
fn deliver(world: &World, input: &Bytes) -> Result<(Bridge, usize), String> {
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
        world.poison(Chain::Native, &packet)?;
        bridge.settle(&packet, world.now_s())?;
    }
    Ok((bridge, call.items.len()))
}

/// The bridge opens what is swapped for nobody but the router.
fn check_target(waiting: &Waiting) -> Result<(), String> {
    let call =
        IBridge::deliverCall::abi_decode(&waiting.input).map_err(|error| error.to_string())?;
    let is_swap = |item: &IBridge::StorageItem| item.packet.get(1) == Some(&4);
    let wanted = if call.items.iter().any(is_swap) {
        ROUTER
    } else {
        BRIDGE
    };
    assert_eq!(waiting.to, Some(wanted), "the wrong contract is called");
    Ok(())
}

/// What a node says of a delivery that pays nothing and is of no use.
pub fn is_of_use(world: &World, input: &Bytes) -> Result<(), String> {
    let call = IBridge::deliverCall::abi_decode(input).map_err(|error| error.to_string())?;
    let bridge = &world.native.bridge;
    let admits = call.items.iter().any(|item| {
        Packet::decode(&item.packet)
            .is_ok_and(|packet| !bridge.receipts.contains_key(&packet.id().sequence))
    });
    match admits {
        true => Ok(()),
        false => Err("a delivery that admits no packet must pay a gas price".into()),
    }
}

pub fn try_deliver(world: &mut World, input: &Bytes) -> Result<usize, String> {
    deliver(world, input).map(|(_, items)| items)
}

/// A block: some waiting transactions, in any order that nonces allow.
pub fn block(world: &mut World, _now_s: u64) {
    world.native.height += 1;
    if world.roll(100) {
        return;
    }
    let mut pool = std::mem::take(&mut world.native.pool);
    let vanish = world.trouble.vanish;
    pool.retain(|_| !world.dice.random_ratio(vanish.min(1000), 1000));
    while let Some(at) = pool.iter().position(|waiting| {
        let nonces = &world.native.accounts.nonces;
        waiting.nonce == nonces.get(&waiting.sender).copied().unwrap_or(0)
    }) {
        let waiting = pool.remove(at);
        assert_eq!(waiting.chain_id, Some(NATIVE), "signed for another chain");
        if is_of_use(world, &waiting.input).is_err() {
            continue;
        }
        let outcome =
            deliver(world, &waiting.input).and_then(|done| check_target(&waiting).map(|()| done));
        let success = outcome.is_ok();
        if let Ok((bridge, items)) = outcome {
            world.native.bridge = bridge;
            world.native.batches.push(items);
        }
        let accounts = &mut world.native.accounts;
        *accounts.nonces.entry(waiting.sender).or_default() += 1;
        accounts.included.insert(
            waiting.hash,
            Inclusion {
                block: world.native.height,
                success,
                gas_used: 21_000,
                cost_wei: 0,
            },
        );
    }
    world.native.pool = pool;
}

pub struct FakeNative(pub Ledgers);

impl Side for FakeNative {
    type Ledger = Ledgers;

    fn ledger(&self) -> &Ledgers {
        &self.0
    }
}

impl NativeChain for FakeNative {
    async fn packets(&self, from: u64, limit: u64) -> Result<Vec<OutboxPacket>, RpcError> {
        self.0
            .shared
            .call(Chain::Native, |world| {
                let sent: Vec<_> = world
                    .native
                    .bridge
                    .sent
                    .iter()
                    .skip(from as usize)
                    .take(limit as usize)
                    .cloned()
                    .collect();
                let shown: Vec<_> = sent.iter().map(|packet| world.show(packet)).collect();
                let newest = world.native.height;
                let ends = &world.native.ends;
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
        self.0
            .shared
            .call(Chain::Native, |world| {
                let native = &world.native;
                let mut found = (
                    native.height,
                    native.epoch,
                    native.key,
                    native.bridge.sent.len(),
                );
                for ((end, size), number) in native.ends.iter().zip(0..) {
                    if Some(*end) == height {
                        found = (*end, number, number, *size);
                    }
                }
                let (height, epoch, key, size) = found;
                let tree = outbox::tree(&world.native.leaves(size));
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
                    signature: signature(key),
                })
            })
            .await
    }

    async fn outbox_size(&self) -> Result<u64, RpcError> {
        self.0
            .shared
            .call(Chain::Native, |world| {
                Ok(world.native.bridge.sent.len() as u64)
            })
            .await
    }

    async fn paths(&self, indices: &[u64], size: u64) -> Result<Vec<OutboxProof>, RpcError> {
        self.0
            .shared
            .call(Chain::Native, |world| {
                let leaves = world.native.leaves(size as usize);
                let path = |index: &u64| OutboxProof {
                    index: *index,
                    size,
                    commitment: world.native.bridge.sent[*index as usize].commitment(),
                    path: outbox::path(&leaves, *index as usize).unwrap(),
                };
                Ok(indices.iter().map(path).collect())
            })
            .await
    }

    async fn latest_checkpoint(&self) -> Result<u64, RpcError> {
        self.0
            .shared
            .call(Chain::Native, |world| Ok(world.native.checkpoint))
            .await
    }
}

/// Packets that a peer of the native chain may deliver to Ethereum.
pub fn is_for_ethereum(packet: &Packet) -> bool {
    packet.id().destination == ETHEREUM
}
