//! The contract of hashed-timelock swaps on one chain: a ledger whose calls go there.

use super::decide::Moment;
use crate::chain::{At, Ledger, Pool, Remote, dynamic_fees, finalized, many, tag};
use alloy::{eips::BlockNumberOrTag, providers::Provider as _, sol_types::SolCall as _};
use mileverse_primitives::{Address, B256, Bytes, U256, exchange::HashedTimelock};
use mileverse_wallet::{
    rpc::{Chain, Endpoint, RpcError, request},
    timelock::{self, Event, State},
    transaction::Fees,
};
use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

/// A chain's newest block.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Head {
    /// Its number.
    pub number: u64,
    /// Its hash.
    pub hash: B256,
    /// Where the chain's time stands.
    pub moment: Moment,
}

/// A chain with hashed-timelock swaps. Tests put a simulated one behind it.
pub trait SwapLedger: Ledger {
    /// The newest block.
    fn head(&self) -> impl Future<Output = Result<Head, RpcError>> + Send;
    /// Number of the newest block that can never change. On the native chain this is the newest.
    fn finalized(&self) -> impl Future<Output = Result<u64, RpcError>> + Send;
    /// What happened in these blocks, both included, in order.
    fn events(
        &self,
        from: u64,
        to: u64,
    ) -> impl Future<Output = Result<Vec<Event>, RpcError>> + Send;
    /// What became of these swaps, in their order. [`State::Open`] at [`At::Finalized`] also where
    /// endpoints do not agree: it is the answer on which nothing is done for ever.
    fn states(
        &self,
        ids: &[B256],
        at: At,
    ) -> impl Future<Output = Result<Vec<State>, RpcError>> + Send;
}

/// The contract over a chain's endpoints. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Timelock {
    pool: Pool,
    chain_id: u64,
    contract: Address,
    /// Whether its deployment is known to be final.
    deployed: Arc<AtomicBool>,
}

impl Timelock {
    /// At this address of the chain with this id.
    pub fn new(pool: Pool, chain_id: u64, contract: Address) -> Self {
        Self {
            pool,
            chain_id,
            contract,
            deployed: Arc::default(),
        }
    }

    /// Whether the contract's code is there, as of a block.
    pub async fn is_there(&self, at: At) -> Result<bool, RpcError> {
        self.has_code(self.pool.endpoint(), at).await
    }

    async fn has_code(&self, endpoint: &Endpoint, at: At) -> Result<bool, RpcError> {
        let code = endpoint.provider().get_code_at(self.contract);
        let code = code.block_id(tag(at, endpoint.chain()).into()).await;
        Ok(!code.map_err(|fault| endpoint.fault(fault))?.is_empty())
    }
}

impl Remote for Timelock {
    fn pool(&self) -> &Pool {
        &self.pool
    }

    async fn destination(&self, _: &Bytes) -> Result<Address, RpcError> {
        Ok(self.contract)
    }

    async fn price(&self) -> Result<Fees, RpcError> {
        let endpoint = self.pool.endpoint();
        match endpoint.chain() {
            Chain::Native => {
                let price = endpoint.provider().get_gas_price().await;
                let price = price.map_err(|fault| endpoint.fault(fault))?;
                Ok(Fees::Legacy { price })
            }
            Chain::Ethereum => dynamic_fees(endpoint).await,
        }
    }
}

impl SwapLedger for Timelock {
    async fn head(&self) -> Result<Head, RpcError> {
        let newest = |endpoint: Endpoint| async move {
            endpoint
                .provider()
                .get_block_by_number(BlockNumberOrTag::Latest)
                .await
                .map_err(|fault| endpoint.fault(fault))?
                .map(|block| block.header)
                .ok_or_else(|| endpoint.nonsense("no newest block"))
        };
        let head = newest(self.pool.endpoint().clone()).await?;
        // One endpoint alone must not bring a deadline about.
        let time = self
            .pool
            .reached(|endpoint| {
                let asked = newest(endpoint);
                async move { asked.await.map(|head| head.timestamp) }
            })
            .await?;
        Ok(Head {
            number: head.number,
            hash: head.hash,
            moment: Moment::after(self.pool.chain(), time),
        })
    }

    async fn finalized(&self) -> Result<u64, RpcError> {
        finalized(&self.pool).await
    }

    async fn events(&self, from: u64, to: u64) -> Result<Vec<Event>, RpcError> {
        let endpoint = self.pool.endpoint();
        timelock::events(endpoint, self.chain_id, self.contract, (from, to), None).await
    }

    async fn states(&self, ids: &[B256], at: At) -> Result<Vec<State>, RpcError> {
        let ask = |endpoint: Endpoint| async move {
            if at == At::Finalized && !self.deployed.load(Ordering::Relaxed) {
                if !self.has_code(&endpoint, at).await? {
                    // The contract's deployment is not final yet, so nothing was opened, finally.
                    return Ok(vec![State::None; ids.len()]);
                }
                self.deployed.store(true, Ordering::Relaxed);
            }
            let block = tag(at, endpoint.chain());
            let questions = ids.iter().map(|id| {
                let call = HashedTimelock::statesCall { id: *id };
                let input = call.abi_encode().into();
                (
                    request(Address::ZERO, self.contract, U256::ZERO, input),
                    block,
                )
            });
            let answers: Vec<Bytes> = many(&endpoint, "eth_call", questions).await?;
            let states = answers.iter().map(|answer| {
                let state = HashedTimelock::statesCall::abi_decode_returns(answer).ok();
                state
                    .and_then(State::from_word)
                    .ok_or_else(|| endpoint.nonsense(&format!("state {answer} of a swap")))
            });
            states.collect()
        };
        match at {
            At::Latest => ask(self.pool.endpoint().clone()).await,
            At::Finalized => self.pool.agreed_each(ids.len(), State::Open, ask).await,
        }
    }
}
