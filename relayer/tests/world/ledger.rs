//! What both chains share: accounts, waiting transactions, simulation.

use super::{Shared, World, ethereum, native, reverted};
use alloy::{
    consensus::{Transaction as _, TxEnvelope, transaction::SignerRecoverable as _},
    eips::eip2718::Decodable2718 as _,
};
use mileverse_primitives::{Address, B256, Bytes, exchange::ROUTER};
use mileverse_relayer::chain::{At, Inclusion, Ledger, brings_swap};
use mileverse_wallet::{
    rpc::{Chain, RpcError},
    transaction::Fees,
};
use std::collections::BTreeMap;

pub const MAX_GAS: u64 = 15_000_000;
/// The bridge on both chains.
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
    pub chain: Chain,
}

impl Ledgers {
    pub const fn new(shared: Shared, chain: Chain) -> Self {
        Self { shared, chain }
    }

    fn try_call(&self, world: &mut World, input: &Bytes) -> Result<usize, RpcError> {
        match self.chain {
            Chain::Native => native::try_deliver(world, input),
            Chain::Ethereum => ethereum::try_deliver(world, input),
        }
        .map_err(|reason| reverted(self.chain, reason))
    }
}

impl Ledger for Ledgers {
    fn chain(&self) -> Chain {
        self.chain
    }

    async fn chain_id(&self) -> Result<u64, RpcError> {
        Ok(match self.chain {
            Chain::Native => super::NATIVE,
            Chain::Ethereum => super::ETHEREUM,
        })
    }

    fn bridge(&self) -> Address {
        BRIDGE
    }

    async fn target(&self, input: &Bytes) -> Result<Address, RpcError> {
        let through_router = self.chain == Chain::Native && brings_swap(input);
        Ok(if through_router { ROUTER } else { BRIDGE })
    }

    async fn height(&self) -> Result<u64, RpcError> {
        self.shared
            .call(self.chain, |world| {
                Ok(match self.chain {
                    Chain::Native => world.native.height,
                    Chain::Ethereum => world.ethereum.height(),
                })
            })
            .await
    }

    async fn nonce(&self, account: Address, at: At) -> Result<u64, RpcError> {
        self.shared
            .call(self.chain, |world| {
                let accounts = match (self.chain, at) {
                    (Chain::Native, _) => &world.native.accounts,
                    (Chain::Ethereum, At::Latest) => &world.ethereum.head().accounts,
                    (Chain::Ethereum, At::Finalized) => &world.ethereum.final_state().accounts,
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

    async fn simulate(&self, _from: Address, input: Bytes) -> Result<(), RpcError> {
        self.shared
            .call(self.chain, |world| self.try_call(world, &input).map(|_| ()))
            .await
    }

    async fn estimate(&self, _from: Address, input: Bytes) -> Result<u64, RpcError> {
        self.shared
            .call(self.chain, |world| {
                let items = self.try_call(world, &input)?;
                Ok(150_000 + 70_000 * items as u64)
            })
            .await
    }

    async fn fees(&self) -> Result<Fees, RpcError> {
        self.shared
            .call(self.chain, |world| {
                Ok(match self.chain {
                    Chain::Native => Fees::Legacy { price: 0 },
                    Chain::Ethereum => Fees::Dynamic {
                        max: world.ethereum.price,
                        tip: 1,
                    },
                })
            })
            .await
    }

    async fn broadcast(&self, raw: Bytes) -> Result<(), RpcError> {
        let new = Waiting::decode(&raw);
        self.shared
            .call(self.chain, |world| {
                if self.chain == Chain::Native {
                    native::is_of_use(world, &new.input).map_err(|message| RpcError::Refused {
                        chain: self.chain,
                        message,
                    })?;
                }
                let (accounts, pool) = match self.chain {
                    Chain::Native => (&world.native.accounts, &mut world.native.pool),
                    Chain::Ethereum => {
                        let next = world.ethereum.head().accounts.clone();
                        return admit(
                            &mut world.ethereum.pool,
                            next.nonces.get(&new.sender).copied().unwrap_or(0),
                            new,
                        )
                        .map_err(|message| RpcError::Refused {
                            chain: self.chain,
                            message,
                        });
                    }
                };
                let next = accounts.nonces.get(&new.sender).copied().unwrap_or(0);
                admit(pool, next, new).map_err(|message| RpcError::Refused {
                    chain: self.chain,
                    message,
                })
            })
            .await
    }

    async fn inclusion(&self, hash: B256) -> Result<Option<Inclusion>, RpcError> {
        self.shared
            .call(self.chain, |world| {
                let accounts = match self.chain {
                    Chain::Native => &world.native.accounts,
                    Chain::Ethereum => &world.ethereum.head().accounts,
                };
                Ok(accounts.included.get(&hash).copied())
            })
            .await
    }

    async fn receipt(&self, sequence: u64, at: At) -> Result<u8, RpcError> {
        Ok(self.receipts(&[sequence], at).await?[0])
    }

    async fn held(&self, sequence: u64) -> Result<Option<u64>, RpcError> {
        self.shared
            .call(self.chain, |world| {
                let bridge = match self.chain {
                    Chain::Native => &world.native.bridge,
                    Chain::Ethereum => &world.ethereum.head().bridge,
                };
                Ok(bridge.held.get(&sequence).copied())
            })
            .await
    }

    async fn receipts(&self, sequences: &[u64], at: At) -> Result<Vec<u8>, RpcError> {
        self.shared
            .call(self.chain, |world| {
                let bridge = match (self.chain, at) {
                    (Chain::Native, _) => &world.native.bridge,
                    (Chain::Ethereum, At::Latest) => &world.ethereum.head().bridge,
                    (Chain::Ethereum, At::Finalized) => &world.ethereum.final_state().bridge,
                };
                let outcome = |sequence| bridge.receipts.get(sequence).copied().unwrap_or(0);
                Ok(sequences.iter().map(outcome).collect())
            })
            .await
    }
}
