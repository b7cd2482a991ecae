//! The part that both chains share, over JSON-RPC.

use super::{At, Inclusion, Ledger};
use alloy::{
    primitives::{Address, B256, Bytes, U256},
    providers::Provider,
};
use mileverse_primitives::abi::IBridge;
use mileverse_wallet::{
    client::is_known,
    rpc::{Chain, Endpoint, RpcError, request},
    transaction::Fees,
};

/// One chain's endpoint and the bridge on that chain.
#[derive(Clone, Debug)]
pub struct Account {
    endpoint: Endpoint,
    bridge: Address,
}

impl Account {
    /// Prepares; nothing is sent yet.
    pub fn new(chain: Chain, url: &str, bridge: Address) -> Result<Self, RpcError> {
        Ok(Self {
            endpoint: Endpoint::new(chain, url)?,
            bridge,
        })
    }

    /// The endpoint.
    pub const fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }
}

impl Ledger for Account {
    fn chain(&self) -> Chain {
        self.endpoint.chain()
    }

    async fn chain_id(&self) -> Result<u64, RpcError> {
        self.endpoint
            .provider()
            .get_chain_id()
            .await
            .map_err(|fault| self.endpoint.fault(fault))
    }

    fn bridge(&self) -> Address {
        self.bridge
    }

    async fn nonce(&self, account: Address, at: At) -> Result<u64, RpcError> {
        let call = self.endpoint.provider().get_transaction_count(account);
        let call = match (at, self.chain()) {
            (At::Finalized, Chain::Ethereum) => call.finalized(),
            _ => call.latest(),
        };
        call.await.map_err(|fault| self.endpoint.fault(fault))
    }

    async fn simulate(&self, from: Address, input: Bytes) -> Result<(), RpcError> {
        self.endpoint
            .provider()
            .call(request(from, self.bridge, U256::ZERO, input))
            .latest()
            .await
            .map(|_| ())
            .map_err(|fault| self.endpoint.fault(fault))
    }

    async fn estimate(&self, from: Address, input: Bytes) -> Result<u64, RpcError> {
        self.endpoint
            .provider()
            .estimate_gas(request(from, self.bridge, U256::ZERO, input))
            .latest()
            .await
            .map_err(|fault| self.endpoint.fault(fault))
    }

    async fn fees(&self) -> Result<Fees, RpcError> {
        match self.chain() {
            Chain::Native => Ok(Fees::Legacy { price: 0 }),
            Chain::Ethereum => {
                let estimate = self
                    .endpoint
                    .provider()
                    .estimate_eip1559_fees()
                    .await
                    .map_err(|fault| self.endpoint.fault(fault))?;
                Ok(Fees::Dynamic {
                    max: estimate.max_fee_per_gas,
                    tip: estimate.max_priority_fee_per_gas,
                })
            }
        }
    }

    async fn broadcast(&self, raw: Bytes) -> Result<(), RpcError> {
        match self.endpoint.provider().send_raw_transaction(&raw).await {
            Ok(_) => Ok(()),
            Err(fault) => match self.endpoint.fault(fault) {
                RpcError::Refused { message, .. } if is_known(&message) => Ok(()),
                other => Err(other),
            },
        }
    }

    async fn inclusion(&self, hash: B256) -> Result<Option<Inclusion>, RpcError> {
        let receipt = self
            .endpoint
            .provider()
            .get_transaction_receipt(hash)
            .await
            .map_err(|fault| self.endpoint.fault(fault))?;
        Ok(receipt.and_then(|receipt| {
            Some(Inclusion {
                block: receipt.block_number?,
                success: receipt.status(),
            })
        }))
    }

    async fn receipt(&self, sequence: u64, at: At) -> Result<u8, RpcError> {
        let call = IBridge::receiptCall { sequence };
        let outcome = match (at, self.chain()) {
            (At::Finalized, Chain::Ethereum) => {
                self.endpoint.view_finalized(self.bridge, &call).await?
            }
            _ => self.endpoint.view(self.bridge, &call).await?,
        };
        if outcome > 2 {
            return Err(self.endpoint.nonsense(&format!("receipt {outcome}")));
        }
        Ok(outcome)
    }
}
