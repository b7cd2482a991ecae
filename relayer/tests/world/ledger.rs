//! What all chains share: accounts, waiting transactions, simulation.

use super::{Shared, World, ethereum, native, reverted};
use alloy::{
    consensus::{Transaction as _, TxEnvelope, transaction::SignerRecoverable as _},
    eips::eip2718::Decodable2718 as _,
};
use mileverse_primitives::{Address, B256, Bytes, address::PEERS, exchange::ROUTER};
use mileverse_relayer::chain::{At, End, Inbox, Inclusion, Ledger, ROTATIONS, brings_swap};
use mileverse_wallet::{
    rpc::{Chain, RpcError},
    transaction::Fees,
};
use std::collections::BTreeMap;

pub const MAX_GAS: u64 = 15_000_000;
/// The bridge between a native chain and Ethereum, on both.
pub const BRIDGE: Address = Address::repeat_byte(9);

/// Accounts and what they did in blocks.
#[derive(Clone, Debug, Default)]
pub struct Accounts {
    pub nonces: BTreeMap<Address, u64>,
    pub included: BTreeMap<B256, Inclusion>,
}

/// A transaction that waits for a block.
#[derive(Clone, Debug)]
pub struct Waiting {
    pub hash: B256,
    pub sender: Address,
    pub nonce: u64,
    pub max_fee: u128,
    pub chain_id: Option<u64>,
    pub to: Option<Address>,
    pub input: Bytes,
}

impl Waiting {
    pub fn decode(raw: &Bytes) -> Self {
        let envelope = TxEnvelope::decode_2718(&mut raw.as_ref()).unwrap();
        Self {
            hash: *envelope.tx_hash(),
            sender: envelope.recover_signer().unwrap(),
            nonce: envelope.nonce(),
            max_fee: envelope.max_fee_per_gas(),
            chain_id: envelope.chain_id(),
            to: envelope.to(),
            input: envelope.input().clone(),
        }
    }
}

/// Takes a transaction into a pool as nodes do.
pub fn admit(pool: &mut Vec<Waiting>, next: u64, new: Waiting) -> Result<(), String> {
    if pool.iter().any(|waiting| waiting.hash == new.hash) {
        return Ok(());
    }
    if new.nonce < next {
        // The relayer's chains take this for a success, see `is_known`.
        return Ok(());
    }
    let same = pool
        .iter()
        .position(|waiting| waiting.sender == new.sender && waiting.nonce == new.nonce);
    if let Some(at) = same {
        if new.max_fee < pool[at].max_fee + pool[at].max_fee / 10 {
            return Err("replacement transaction underpriced".into());
        }
        pool.remove(at);
    }
    pool.push(new);
    Ok(())
}

/// One chain's common part.
#[derive(Clone)]
pub struct Ledgers {
    pub shared: Shared,
    pub here: End,
}

impl Ledgers {
    pub const fn new(shared: Shared, here: End) -> Self {
        Self { shared, here }
    }

    fn try_call(&self, world: &mut World, input: &Bytes) -> Result<usize, RpcError> {
        match self.here {
            End::Ethereum => ethereum::try_deliver(world, input),
            here => native::try_deliver(world, here, input),
        }
        .map_err(|reason| reverted(self.chain(), reason))
    }

    async fn ask<T>(
        &self,
        work: impl FnOnce(&mut World, End) -> Result<T, RpcError>,
    ) -> Result<T, RpcError> {
        let question = |world: &mut World| work(world, self.here);
        self.shared.call(self.here.kind(), question).await
    }
}

impl Ledger for Ledgers {
    fn chain(&self) -> Chain {
        self.here.kind()
    }

    async fn chain_id(&self) -> Result<u64, RpcError> {
        Ok(super::chain_id(self.here))
    }

    async fn target(&self, input: &Bytes) -> Result<Address, RpcError> {
        Ok(match self.here {
            End::Ethereum => BRIDGE,
            _ if brings_swap(input) => ROUTER,
            _ => self.bridge(),
        })
    }

    async fn height(&self) -> Result<u64, RpcError> {
        self.ask(|world, here| {
            Ok(match here {
                End::Ethereum => world.ethereum.height(),
                here => world.native_at(here).height,
            })
        })
        .await
    }

    async fn nonce(&self, account: Address, at: At) -> Result<u64, RpcError> {
        self.ask(|world, here| {
            let accounts = match (here, at) {
                (End::Ethereum, At::Latest) => &world.ethereum.head().accounts,
                (End::Ethereum, At::Finalized) => &world.ethereum.final_state().accounts,
                (here, _) => &world.native_at(here).accounts,
            };
            let nonce = accounts.nonces.get(&account).copied().unwrap_or(0);
            // What is for ever is asked of several endpoints.
            Ok(match at {
                At::Latest => world.tell(nonce),
                At::Finalized => nonce,
            })
        })
        .await
    }

    async fn estimate(&self, _from: Address, input: Bytes) -> Result<u64, RpcError> {
        self.ask(|world, _| {
            let items = self.try_call(world, &input)? as u64;
            Ok(if world.far == End::Peer {
                // No storage of another chain is proven.
                115_000 + 30_000 * items
            } else {
                150_000 + 70_000 * items
            })
        })
        .await
    }

    async fn fees(&self) -> Result<Fees, RpcError> {
        self.ask(|world, here| {
            Ok(match here {
                End::Ethereum => Fees::Dynamic {
                    max: world.ethereum.price,
                    tip: 1,
                },
                End::Native | End::Peer => Fees::Legacy { price: 0 },
            })
        })
        .await
    }

    async fn broadcast(&self, raw: Bytes) -> Result<(), RpcError> {
        let new = Waiting::decode(&raw);
        self.ask(|world, here| {
            let refused = |message| RpcError::Refused {
                chain: here.kind(),
                message,
            };
            let (accounts, pool) = match here {
                End::Ethereum => {
                    let accounts = world.ethereum.head().accounts.clone();
                    (accounts, &mut world.ethereum.pool)
                }
                here => {
                    native::is_of_use(world, here, &new.input).map_err(refused)?;
                    let native = world.native_at_mut(here);
                    (native.accounts.clone(), &mut native.pool)
                }
            };
            let next = accounts.nonces.get(&new.sender).copied().unwrap_or(0);
            admit(pool, next, new).map_err(refused)
        })
        .await
    }

    async fn inclusion(&self, hash: B256) -> Result<Option<Inclusion>, RpcError> {
        self.ask(|world, here| {
            let accounts = match here {
                End::Ethereum => &world.ethereum.head().accounts,
                here => &world.native_at(here).accounts,
            };
            Ok(accounts.included.get(&hash).copied())
        })
        .await
    }
}

impl Inbox for Ledgers {
    fn bridge(&self) -> Address {
        let there = self.shared.lock().opposite(self.here);
        match (self.here, there) {
            (End::Ethereum, _) | (_, End::Ethereum) => BRIDGE,
            _ => PEERS,
        }
    }

    async fn simulate(&self, _from: Address, input: Bytes) -> Result<(), RpcError> {
        self.ask(|world, _| self.try_call(world, &input).map(|_| ()))
            .await
    }

    async fn receipt(&self, sequence: u64, at: At) -> Result<u8, RpcError> {
        Ok(self.receipts(&[sequence], at).await?[0])
    }

    async fn held(&self, sequence: u64) -> Result<Option<u64>, RpcError> {
        self.ask(|world, here| Ok(world.bridge(here).held.get(&sequence).copied()))
            .await
    }

    async fn receipts(&self, sequences: &[u64], at: At) -> Result<Vec<u8>, RpcError> {
        self.ask(|world, here| {
            let bridge = match at {
                At::Latest => world.bridge(here),
                At::Finalized => world.final_bridge(here),
            };
            let outcome = |sequence: &u64| match sequence.checked_sub(ROTATIONS) {
                Some(version) => u8::from(bridge.key >= version),
                None => bridge.receipts.get(sequence).copied().unwrap_or(0),
            };
            Ok(sequences.iter().map(outcome).collect())
        })
        .await
    }
}
