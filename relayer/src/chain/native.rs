//! The native chain over its JSON-RPC.

use super::{Account, NativeChain, Pool, account::many};
use mileverse_primitives::{
    abi::IBridge,
    address, keccak256,
    outbox::root,
    rpc::{self, Certificate, MAX_PACKETS, OutboxPacket, OutboxProof},
};
use mileverse_wallet::rpc::{Chain, Endpoint, RpcError};

/// The native chain.
#[derive(Clone, Debug)]
pub struct Native {
    account: Account,
}

impl Native {
    /// Prepares; nothing is sent yet.
    pub fn new(urls: &[String], quorum: usize) -> Result<Self, RpcError> {
        let pool = Pool::new(Chain::Native, urls, quorum)?;
        Ok(Self {
            account: Account::new(pool, address::BRIDGE),
        })
    }

    /// What the chain says of itself.
    pub async fn facts(&self) -> Result<rpc::Chain, RpcError> {
        self.account.endpoint().facts().await
    }
}

impl NativeChain for Native {
    type Ledger = Account;

    fn ledger(&self) -> &Account {
        &self.account
    }

    async fn outbox_size(&self) -> Result<u64, RpcError> {
        let ask = |endpoint: Endpoint| async move {
            endpoint
                .view(address::BRIDGE, &IBridge::outboxSizeCall {})
                .await
        };
        self.account.pool().reached(ask).await
    }

    async fn packets(&self, from: u64, limit: u64) -> Result<Vec<OutboxPacket>, RpcError> {
        let limit = limit.min(MAX_PACKETS);
        let page: Vec<OutboxPacket> = self
            .account
            .endpoint()
            .method("mileverse_packets", (from, limit))
            .await?;
        if u64::try_from(page.len()).unwrap_or(u64::MAX) > limit {
            return Err(self
                .account
                .endpoint()
                .nonsense("more packets than asked for"));
        }
        Ok(page)
    }

    async fn certificate(&self, height: Option<u64>) -> Result<Certificate, RpcError> {
        let certificate: Certificate = self
            .account
            .endpoint()
            .method("mileverse_certificate", (height,))
            .await?;
        if height.is_some_and(|height| certificate.height < height) {
            return Err(self
                .account
                .endpoint()
                .nonsense("a certificate of an earlier block"));
        }
        // The signature is Ethereum's to check; these two hashes only tell a mixed-up answer.
        let outbox_root = root(certificate.outbox_size, certificate.outbox_tree);
        let digest = keccak256([outbox_root, certificate.rest_hash].concat());
        if outbox_root != certificate.outbox_root || digest != certificate.digest {
            return Err(self
                .account
                .endpoint()
                .nonsense("a certificate whose hashes do not fit together"));
        }
        Ok(certificate)
    }

    async fn paths(&self, indices: &[u64], size: u64) -> Result<Vec<OutboxProof>, RpcError> {
        let questions = indices.iter().map(|index| (*index, size));
        many(self.account.endpoint(), "mileverse_outboxProof", questions).await
    }

    async fn latest_checkpoint(&self) -> Result<u64, RpcError> {
        self.account
            .endpoint()
            .view(address::BRIDGE, &IBridge::latestCheckpointCall {})
            .await
    }
}
