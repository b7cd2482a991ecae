//! The part that all chains share, over JSON-RPC.

use super::{At, Door, Inclusion, Ledger, Pool, ROTATIONS, brings_swap};
use alloy::{
    eips::BlockNumberOrTag,
    primitives::{Address, B256, Bytes, U256},
    providers::Provider,
    rpc::{
        client::BatchRequest,
        json_rpc::{RpcRecv, RpcSend},
    },
};
use mileverse_primitives::{
    exchange::ROUTER,
    packet::{ACKNOWLEDGED, REFUNDED},
};
use mileverse_wallet::{
    client::is_known,
    rpc::{Chain, Endpoint, RpcError, request},
    transaction::Fees,
};
use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

/// Most calls in one request; nodes take a thousand and more.
const MANY: usize = 128;

/// One chain's endpoints, and where that chain takes packets in.
#[derive(Clone, Debug)]
pub struct Account {
    pool: Pool,
    door: Door,
    /// Whether the chain is known to have the router. It is there from block 0 on, or never.
    has_router: Arc<AtomicBool>,
}

impl Account {
    /// Of these endpoints.
    pub fn new(pool: Pool, door: Door) -> Self {
        Self {
            pool,
            door,
            has_router: Arc::default(),
        }
    }

    async fn has_router(&self) -> Result<bool, RpcError> {
        if self.has_router.load(Ordering::Relaxed) {
            return Ok(true);
        }
        let endpoint = self.endpoint();
        let code = endpoint.provider().get_code_at(ROUTER).await;
        let has = !code.map_err(|fault| endpoint.fault(fault))?.is_empty();
        self.has_router.store(has, Ordering::Relaxed);
        Ok(has)
    }

    /// Where the chain takes packets in.
    pub const fn door(&self) -> Door {
        self.door
    }

    /// The endpoints.
    pub const fn pool(&self) -> &Pool {
        &self.pool
    }

    /// The endpoints as one.
    pub const fn endpoint(&self) -> &Endpoint {
        self.pool.endpoint()
    }

    /// Whether a packet that was sent from here is refunded or acknowledged.
    pub async fn is_ended(&self, sequence: u64) -> Result<bool, RpcError> {
        let stored = self.door.outbound(self.endpoint(), sequence).await?;
        Ok([REFUNDED, ACKNOWLEDGED].contains(&stored))
    }

    /// What an account has, in wei.
    pub async fn balance(&self, account: Address) -> Result<U256, RpcError> {
        let endpoint = self.endpoint();
        let balance = endpoint.provider().get_balance(account).await;
        balance.map_err(|fault| endpoint.fault(fault))
    }
}

/// Asks the same of many things, in few requests. The answers have the order of the questions.
pub(super) async fn many<P: RpcSend, R: RpcRecv>(
    endpoint: &Endpoint,
    method: &'static str,
    questions: impl IntoIterator<Item = P>,
) -> Result<Vec<R>, RpcError> {
    let questions: Vec<_> = questions.into_iter().collect();
    let mut answers = Vec::with_capacity(questions.len());
    for part in questions.chunks(MANY) {
        let mut batch = BatchRequest::new(endpoint.provider().client());
        let mut waiting = Vec::with_capacity(part.len());
        for question in part {
            let answer = batch
                .add_call(method, question)
                .map_err(|fault| endpoint.fault(fault))?;
            waiting.push(answer);
        }
        batch.send().await.map_err(|fault| endpoint.fault(fault))?;
        for answer in waiting {
            answers.push(answer.await.map_err(|fault| endpoint.fault(fault))?);
        }
    }
    Ok(answers)
}

impl Ledger for Account {
    fn chain(&self) -> Chain {
        self.pool.chain()
    }

    async fn chain_id(&self) -> Result<u64, RpcError> {
        self.endpoint()
            .provider()
            .get_chain_id()
            .await
            .map_err(|fault| self.endpoint().fault(fault))
    }

    fn bridge(&self) -> Address {
        self.door.address()
    }

    async fn target(&self, input: &Bytes) -> Result<Address, RpcError> {
        // Where there is no router the bridge itself sends swaps home.
        let through_router =
            self.chain() == Chain::Native && brings_swap(input) && self.has_router().await?;
        Ok(if through_router {
            ROUTER
        } else {
            self.bridge()
        })
    }

    async fn height(&self) -> Result<u64, RpcError> {
        let endpoint = self.endpoint();
        let height = endpoint.provider().get_block_number().await;
        height.map_err(|fault| endpoint.fault(fault))
    }

    async fn nonce(&self, account: Address, at: At) -> Result<u64, RpcError> {
        let ask = |endpoint: Endpoint| async move {
            let call = endpoint.provider().get_transaction_count(account);
            let call = match (at, endpoint.chain()) {
                (At::Finalized, Chain::Ethereum) => call.finalized(),
                _ => call.latest(),
            };
            call.await.map_err(|fault| endpoint.fault(fault))
        };
        match at {
            At::Latest => ask(self.endpoint().clone()).await,
            At::Finalized => self.pool.reached(ask).await,
        }
    }

    async fn simulate(&self, from: Address, input: Bytes) -> Result<(), RpcError> {
        let to = self.target(&input).await?;
        self.endpoint()
            .provider()
            .call(request(from, to, U256::ZERO, input))
            .latest()
            .await
            .map(|_| ())
            .map_err(|fault| self.endpoint().fault(fault))
    }

    async fn estimate(&self, from: Address, input: Bytes) -> Result<u64, RpcError> {
        let to = self.target(&input).await?;
        self.endpoint()
            .provider()
            .estimate_gas(request(from, to, U256::ZERO, input))
            .latest()
            .await
            .map_err(|fault| self.endpoint().fault(fault))
    }

    async fn fees(&self) -> Result<Fees, RpcError> {
        match self.chain() {
            Chain::Native => Ok(Fees::Legacy { price: 0 }),
            Chain::Ethereum => {
                let estimate = self
                    .endpoint()
                    .provider()
                    .estimate_eip1559_fees()
                    .await
                    .map_err(|fault| self.endpoint().fault(fault))?;
                Ok(Fees::Dynamic {
                    max: estimate.max_fee_per_gas,
                    tip: estimate.max_priority_fee_per_gas,
                })
            }
        }
    }

    async fn broadcast(&self, raw: Bytes) -> Result<(), RpcError> {
        match self.endpoint().provider().send_raw_transaction(&raw).await {
            Ok(_) => Ok(()),
            Err(fault) => match self.endpoint().fault(fault) {
                RpcError::Refused { message, .. } if is_known(&message) => Ok(()),
                other => Err(other),
            },
        }
    }

    async fn inclusion(&self, hash: B256) -> Result<Option<Inclusion>, RpcError> {
        let receipt = self
            .endpoint()
            .provider()
            .get_transaction_receipt(hash)
            .await
            .map_err(|fault| self.endpoint().fault(fault))?;
        Ok(receipt.and_then(|receipt| {
            Some(Inclusion {
                block: receipt.block_number?,
                success: receipt.status(),
                gas_used: receipt.gas_used,
                cost_wei: u128::from(receipt.gas_used).saturating_mul(receipt.effective_gas_price),
            })
        }))
    }

    async fn receipt(&self, sequence: u64, at: At) -> Result<u8, RpcError> {
        let found = self.receipts(&[sequence], at).await?;
        Ok(found.first().copied().unwrap_or(0))
    }

    async fn receipts(&self, sequences: &[u64], at: At) -> Result<Vec<u8>, RpcError> {
        let door = self.door;
        let ask = |endpoint: Endpoint| async move {
            let block = match (at, endpoint.chain()) {
                (At::Finalized, Chain::Ethereum) => BlockNumberOrTag::Finalized,
                _ => BlockNumberOrTag::Latest,
            };
            let questions = sequences.iter().map(|sequence| {
                let (to, input) = (door.address(), door.receipt(*sequence));
                (request(Address::ZERO, to, U256::ZERO, input), block)
            });
            let answers: Vec<Bytes> = many(&endpoint, "eth_call", questions).await?;
            answers
                .iter()
                .zip(sequences)
                .map(|(answer, sequence)| {
                    door.read_receipt(*sequence, answer)
                        .ok_or_else(|| endpoint.nonsense(&format!("receipt {answer}")))
                })
                .collect()
        };
        match at {
            At::Latest => ask(self.endpoint().clone()).await,
            // Who does not see one yet answers 0, and so it is not final yet.
            At::Finalized => self.pool.agreed_each(sequences.len(), 0, ask).await,
        }
    }

    async fn held(&self, sequence: u64) -> Result<Option<u64>, RpcError> {
        if sequence >= ROTATIONS {
            return Ok(None);
        }
        self.door.held(self.endpoint(), sequence).await
    }

    fn doubt(&self) {
        self.pool.doubt();
    }
}
