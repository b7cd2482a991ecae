//! The native chain of the test world. Every block is final.

use super::{
    Bridge, ETHEREUM, NATIVE, World,
    ledger::{Accounts, Ledgers, Waiting},
    storage_proof,
};
use alloy::sol_types::SolCall as _;
use mileverse_primitives::{
    B256, Bytes,
    abi::IBridge,
    outbox,
    packet::Packet,
    rpc::{Certificate, OutboxPacket, OutboxProof},
};
use mileverse_relayer::chain::{Inclusion, NativeChain};
use mileverse_wallet::rpc::{Chain, RpcError};
use rand::Rng as _;

#[derive(Clone, Debug, Default)]
pub struct NativeWorld {
    pub bridge: Bridge,
    pub accounts: Accounts,
    pub pool: Vec<Waiting>,
    pub height: u64,
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
        let outcome = deliver(world, &waiting.input);
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
            },
        );
    }
    world.native.pool = pool;
}

pub struct FakeNative(pub Ledgers);

impl NativeChain for FakeNative {
    type Ledger = Ledgers;

    fn ledger(&self) -> &Ledgers {
        &self.0
    }

    async fn packets(&self, from: u64, limit: u64) -> Result<Vec<OutboxPacket>, RpcError> {
        self.0
            .shared
            .call(Chain::Native, |world| {
                let all = (0u64..).zip(&world.native.bridge.sent);
                let height = world.native.height;
                let mut page: Vec<_> = all
                    .skip(from as usize)
                    .take(limit as usize)
                    .map(|(index, packet)| OutboxPacket {
                        index,
                        sequence: packet.id().sequence,
                        commitment: packet.commitment(),
                        packet: packet.encode(),
                        height,
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

    async fn certificate(&self) -> Result<Certificate, RpcError> {
        self.0
            .shared
            .call(Chain::Native, |world| {
                let size = world.native.bridge.sent.len();
                let tree = outbox::tree(&world.native.leaves(size));
                Ok(Certificate {
                    height: world.native.height,
                    digest: B256::ZERO,
                    epoch: 0,
                    view: world.native.height,
                    parent_view: world.native.height.saturating_sub(1),
                    rest_hash: B256::repeat_byte(5),
                    outbox_size: size as u64,
                    outbox_tree: tree,
                    outbox_root: outbox::root(size as u64, tree),
                    signature: Bytes::from_static(b"signed"),
                })
            })
            .await
    }

    async fn path(&self, index: u64, size: u64) -> Result<OutboxProof, RpcError> {
        self.0
            .shared
            .call(Chain::Native, |world| {
                let leaves = world.native.leaves(size as usize);
                Ok(OutboxProof {
                    index,
                    size,
                    commitment: world.native.bridge.sent[index as usize].commitment(),
                    path: outbox::path(&leaves, index as usize).unwrap(),
                })
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
