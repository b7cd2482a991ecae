//! Ethereum of the test world: blocks are final after a while, and may be taken back before.

use super::{
    Bridge, ETHEREUM, Shared, Trouble, World,
    ledger::{Accounts, Ledgers, Waiting},
    native::Certified,
    storage_proof,
};
use alloy::sol_types::SolCall as _;
use mileverse_bindings::Bridge as Contract;
use mileverse_primitives::{B256, Bytes, U256, packet::Packet, rpc::Certificate};
use mileverse_relayer::chain::{
    End, EthereumChain, Inclusion, KeyInForce, Leaf, Proof, SentLog, Side, Verifier,
    ethereum::delivery,
};
use mileverse_wallet::rpc::{Chain, RpcError};
use rand::Rng as _;

/// Blocks until one is final.
const FINAL_AFTER: usize = 4;

/// The state after a block.
#[derive(Clone, Debug, Default)]
pub struct State {
    pub bridge: Bridge,
    pub accounts: Accounts,
    /// The block of each packet sent, by sequence less one.
    pub sent_at: Vec<u64>,
}

#[derive(Clone, Debug)]
pub struct EthereumWorld {
    /// By block number. The newest takes what members send until the next block comes.
    states: Vec<State>,
    pub pool: Vec<Waiting>,
    pub price: u128,
    pub batches: Vec<usize>,
}

impl EthereumWorld {
    pub fn new(trouble: Trouble) -> Self {
        let first = State {
            bridge: Bridge::new(trouble),
            ..State::default()
        };
        Self {
            states: vec![first; FINAL_AFTER + 1],
            pool: Vec::new(),
            price: 100,
            batches: Vec::new(),
        }
    }

    pub fn head(&self) -> &State {
        self.states.last().unwrap()
    }

    pub fn head_mut(&mut self) -> &mut State {
        self.states.last_mut().unwrap()
    }

    pub fn height(&self) -> u64 {
        (self.states.len() - 1) as u64
    }

    pub fn finalized(&self) -> u64 {
        (self.states.len() - 1 - FINAL_AFTER) as u64
    }

    pub fn final_state(&self) -> &State {
        &self.states[self.finalized() as usize]
    }

    pub fn at(&self, block: u64) -> Option<&State> {
        self.states.get(block as usize)
    }
}

fn deliver(world: &World, state: &State, input: &Bytes) -> Result<(Bridge, usize), String> {
    let call = Contract::deliverCall::abi_decode(input).map_err(|error| error.to_string())?;
    let certified = Certified {
        epoch: call.header.epoch,
        size: call.header.outboxSize,
        tree: call.header.outboxTree,
        signature: &call.header.signature,
    };
    certified.check(world, End::Native, &state.bridge)?;
    if call.items.is_empty() || call.items.len() > 128 {
        return Err("batch size".into());
    }
    let mut bridge = state.bridge.clone();
    for item in &call.items {
        let packet = Packet::decode(&item.packet).map_err(|error| error.to_string())?;
        certified.prove(&packet, item.index, &item.path)?;
        assert_eq!(
            packet.id().destination,
            ETHEREUM,
            "a leaf for another chain"
        );
        world.poison(End::Ethereum, &packet)?;
        bridge.settle(&packet, world.now_s())?;
    }
    Ok((bridge, call.items.len()))
}

pub fn try_deliver(world: &mut World, input: &Bytes) -> Result<usize, String> {
    deliver(world, world.ethereum.head(), input).map(|(_, items)| items)
}

/// Ends the newest block (everything sent so far is in it) and puts waiting transactions in a
/// new one.
pub fn block(world: &mut World) {
    let number = world.ethereum.states.len() as u64;
    let mut state = world.ethereum.head().clone();
    world.ethereum.price = world.dice.random_range(50..400);
    let price = world.ethereum.price;
    let mut pool = std::mem::take(&mut world.ethereum.pool);
    let vanish = world.trouble.vanish;
    pool.retain(|_| !world.dice.random_ratio(vanish.min(1000), 1000));
    while let Some(at) = pool.iter().position(|waiting| {
        let next = state.accounts.nonces.get(&waiting.sender);
        waiting.nonce == next.copied().unwrap_or(0) && waiting.max_fee >= price
    }) {
        let waiting = pool.remove(at);
        assert_eq!(waiting.chain_id, Some(ETHEREUM), "signed for another chain");
        let outcome = deliver(world, &state, &waiting.input);
        let success = outcome.is_ok();
        if let Ok((bridge, items)) = outcome {
            state.bridge = bridge;
            world.ethereum.batches.push(items);
        }
        *state.accounts.nonces.entry(waiting.sender).or_default() += 1;
        state.accounts.included.insert(
            waiting.hash,
            Inclusion {
                block: number,
                success,
                gas_used: 21_000,
                cost_wei: 21_000 * price,
            },
        );
    }
    world.ethereum.pool = pool;
    world.ethereum.states.push(state);
}

/// Takes back some blocks that are not final, and with them what they did. The transactions in
/// them are lost to the pool; only who has the bytes can bring them back.
pub fn take_back(world: &mut World) {
    let newest = world.ethereum.states.len() - 1;
    let kept = world
        .dice
        .random_range(world.ethereum.finalized() as usize..=newest);
    let lost = newest - kept;
    world.ethereum.states.truncate(kept + 1);
    // As many empty blocks come instead, so that what is final stays final.
    for _ in 0..lost {
        let state = world.ethereum.head().clone();
        world.ethereum.states.push(state);
    }
}

/// Notes the block of what was sent since the last look.
fn note_blocks(states: &mut [State]) {
    let mut known: Vec<u64> = Vec::new();
    for (number, state) in (0u64..).zip(states) {
        known.truncate(state.bridge.sent.len());
        while known.len() < state.bridge.sent.len() {
            known.push(number);
        }
        state.sent_at.clone_from(&known);
    }
}

pub struct FakeEthereum(pub Ledgers);

impl FakeEthereum {
    fn shared(&self) -> &Shared {
        &self.0.shared
    }
}

impl Side for FakeEthereum {
    type Ledger = Ledgers;

    fn ledger(&self) -> &Ledgers {
        &self.0
    }
}

impl Verifier for FakeEthereum {
    async fn finalized(&self) -> Result<u64, RpcError> {
        self.shared()
            .call(Chain::Ethereum, |world| Ok(world.ethereum.finalized()))
            .await
    }

    async fn key(&self) -> Result<KeyInForce, RpcError> {
        self.shared()
            .call(Chain::Ethereum, |world| {
                let bridge = &world.ethereum.head().bridge;
                Ok(KeyInForce {
                    version: bridge.key,
                    first_epoch: bridge.first_epoch,
                })
            })
            .await
    }

    fn overhears(&self) -> bool {
        false
    }

    fn delivery(&self, certificate: &Certificate, leaves: Vec<Leaf>) -> Bytes {
        delivery(certificate, leaves)
    }
}

impl EthereumChain for FakeEthereum {
    async fn next_sequence(&self) -> Result<u64, RpcError> {
        self.shared()
            .call(Chain::Ethereum, |world| {
                Ok(world.ethereum.final_state().bridge.sent.len() as u64 + 1)
            })
            .await
    }

    async fn sent(&self, from: u64, to: u64) -> Result<Vec<SentLog>, RpcError> {
        self.shared()
            .call(Chain::Ethereum, |world| {
                note_blocks(&mut world.ethereum.states);
                let state = world.ethereum.head().clone();
                let mut logs: Vec<_> = state
                    .bridge
                    .sent
                    .iter()
                    .zip(&state.sent_at)
                    .filter(|(_, block)| (from..=to).contains(block))
                    .map(|(packet, block)| (world.show(packet), block))
                    .map(|(packet, block)| SentLog {
                        sequence: packet.id().sequence,
                        commitment: packet.commitment(),
                        packet: packet.encode(),
                        block: *block,
                    })
                    .collect();
                // A sloppy node leaves logs out, doubles them, or mixes them up.
                let sloppy = world.trouble.bad_logs;
                if world.roll(sloppy) && !logs.is_empty() {
                    let at = world.dice.random_range(0..logs.len());
                    match world.dice.random_range(0..3) {
                        0 => drop(logs.remove(at)),
                        1 => logs.insert(0, logs[at].clone()),
                        _ => logs.swap(0, at),
                    }
                }
                Ok(logs)
            })
            .await
    }

    async fn proof(&self, block: u64, sequences: &[u64]) -> Result<Proof, RpcError> {
        self.shared()
            .call(Chain::Ethereum, |world| {
                let state = world.ethereum.at(block).unwrap();
                let slots = sequences
                    .iter()
                    .map(|sequence| {
                        let value = state.bridge.outbound.get(sequence).copied();
                        let value = value.unwrap_or(B256::ZERO);
                        let proof = vec![storage_proof(block, *sequence, value)];
                        (U256::from_be_bytes(value.0), proof)
                    })
                    .collect();
                Ok(Proof {
                    account: vec![block.to_be_bytes().to_vec().into()],
                    slots,
                })
            })
            .await
    }
}
