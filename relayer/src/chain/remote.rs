//! What every chain offers, over the JSON-RPC of a [`Pool`] of endpoints: whoever says where its calls go
//! and what gas costs there is a [`Ledger`].

use super::{At, Inclusion, Ledger, Pool};
use alloy::{
    eips::BlockNumberOrTag,
    primitives::{Address, B256, Bytes, U256},
    providers::Provider,
    rpc::{
        client::BatchRequest,
        json_rpc::{RpcRecv, RpcSend},
    },
};
use mileverse_wallet::{
    client::is_known,
    rpc::{Chain, Endpoint, RpcError, request},
    transaction::Fees,
};
use std::future::Future;

/// Most calls in one request; nodes take a thousand and more.
const MANY: usize = 128;

/// A part of a chain that is called over JSON-RPC.
pub trait Remote: Send + Sync {
    /// The chain's endpoints.
    fn pool(&self) -> &Pool;
    /// Whom a call goes to.
    fn destination(&self, input: &Bytes) -> impl Future<Output = Result<Address, RpcError>> + Send;
    /// What gas costs now for such a call.
    fn price(&self) -> impl Future<Output = Result<Fees, RpcError>> + Send;
}

/// What gas costs on Ethereum now, by its fee history.
pub(crate) async fn dynamic_fees(endpoint: &Endpoint) -> Result<Fees, RpcError> {
    let estimate = endpoint.provider().estimate_eip1559_fees().await;
    let estimate = estimate.map_err(|fault| endpoint.fault(fault))?;
    Ok(Fees::Dynamic {
        max: estimate.max_fee_per_gas,
        tip: estimate.max_priority_fee_per_gas,
    })
}

/// Number of the newest block that can never change, which as many endpoints have reached as must agree.
/// On the native chain it is the newest.
pub(crate) async fn finalized(pool: &Pool) -> Result<u64, RpcError> {
    let ask = |endpoint: Endpoint| async move {
        if endpoint.chain() == Chain::Native {
            let height = endpoint.provider().get_block_number().await;
            return height.map_err(|fault| endpoint.fault(fault));
        }
        let block = endpoint
            .provider()
            .get_block_by_number(BlockNumberOrTag::Finalized)
            .await
            .map_err(|fault| endpoint.fault(fault))?;
        // A chain younger than its first finalized epoch has none.
        Ok(block.map_or(0, |block| block.header.number))
    };
    pool.reached(ask).await
}

/// Which block a node means by this.
pub(crate) const fn tag(at: At, chain: Chain) -> BlockNumberOrTag {
    match (at, chain) {
        (At::Finalized, Chain::Ethereum) => BlockNumberOrTag::Finalized,
        _ => BlockNumberOrTag::Latest,
    }
}

/// Asks the same of many things, in few requests. The answers have the order of the questions.
pub(crate) async fn many<P: RpcSend, R: RpcRecv>(
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

impl Pool {
    /// What an account has, in the smallest unit of the chain's own coin.
    pub async fn balance(&self, account: Address) -> Result<U256, RpcError> {
        let endpoint = self.endpoint();
        let balance = endpoint.provider().get_balance(account).await;
        balance.map_err(|fault| endpoint.fault(fault))
    }
}

impl<T: Remote> Ledger for T {
    fn chain(&self) -> Chain {
        self.pool().chain()
    }

    async fn chain_id(&self) -> Result<u64, RpcError> {
        let endpoint = self.pool().endpoint();
        let id = endpoint.provider().get_chain_id().await;
        id.map_err(|fault| endpoint.fault(fault))
    }

    async fn target(&self, input: &Bytes) -> Result<Address, RpcError> {
        self.destination(input).await
    }

    async fn height(&self) -> Result<u64, RpcError> {
        let endpoint = self.pool().endpoint();
        let height = endpoint.provider().get_block_number().await;
        height.map_err(|fault| endpoint.fault(fault))
    }

    async fn nonce(&self, account: Address, at: At) -> Result<u64, RpcError> {
        let ask = |endpoint: Endpoint| async move {
            let call = endpoint.provider().get_transaction_count(account);
            let call = call.block_id(tag(at, endpoint.chain()).into());
            call.await.map_err(|fault| endpoint.fault(fault))
        };
        match at {
            At::Latest => ask(self.pool().endpoint().clone()).await,
            At::Finalized => self.pool().reached(ask).await,
        }
    }

    async fn estimate(&self, from: Address, input: Bytes) -> Result<u64, RpcError> {
        let to = self.destination(&input).await?;
        let endpoint = self.pool().endpoint();
        endpoint
            .provider()
            .estimate_gas(request(from, to, U256::ZERO, input))
            .latest()
            .await
            .map_err(|fault| endpoint.fault(fault))
    }

    async fn fees(&self) -> Result<Fees, RpcError> {
        self.price().await
    }

    async fn broadcast(&self, raw: Bytes) -> Result<(), RpcError> {
        let endpoint = self.pool().endpoint();
        match endpoint.provider().send_raw_transaction(&raw).await {
            Ok(_) => Ok(()),
            Err(fault) => match endpoint.fault(fault) {
                RpcError::Refused { message, .. } if is_known(&message) => Ok(()),
                other => Err(other),
            },
        }
    }

    async fn inclusion(&self, hash: B256) -> Result<Option<Inclusion>, RpcError> {
        let endpoint = self.pool().endpoint();
        let receipt = endpoint.provider().get_transaction_receipt(hash).await;
        let receipt = receipt.map_err(|fault| endpoint.fault(fault))?;
        Ok(receipt.and_then(|receipt| {
            Some(Inclusion {
                block: receipt.block_number?,
                success: receipt.status(),
                gas_used: receipt.gas_used,
                cost_wei: u128::from(receipt.gas_used).saturating_mul(receipt.effective_gas_price),
            })
        }))
    }

    fn doubt(&self) {
        self.pool().doubt();
    }
}
