//! A native chain over its JSON-RPC.

use super::{Account, Door, KeyInForce, Leaf, NativeChain, Pool, Side, Verifier, remote::many};
use alloy::sol_types::SolCall;
use mileverse_primitives::{
    Address, Bytes,
    abi::{IBridge, IPeers},
    address, keccak256,
    outbox::root,
    rpc::{self, Certificate, MAX_PACKETS, OutboxPacket, OutboxProof},
};
use mileverse_wallet::rpc::{Chain, Endpoint, RpcError};

/// A native chain.
#[derive(Clone, Debug)]
pub struct Native {
    account: Account,
}

impl Native {
    /// Prepares; nothing is sent yet. Packets come in from the peer with this chain id, or from
    /// Ethereum.
    pub fn new(urls: &[String], quorum: usize, peer: Option<u64>) -> Result<Self, RpcError> {
        let pool = Pool::new(Chain::Native, urls, quorum)?;
        let door = peer.map_or(Door::Bridge(address::BRIDGE), Door::Peers);
        Ok(Self {
            account: Account::new(pool, door),
        })
    }

    /// The chains with which it exchanges packets beside Ethereum.
    pub async fn peers(&self) -> Result<Vec<u64>, RpcError> {
        self.account
            .endpoint()
            .view(address::PEERS, &IPeers::peersCall {})
            .await
    }

    /// The group key of its peer that it believes.
    pub async fn group_key(&self) -> Result<Bytes, RpcError> {
        let peer = self.peer()?;
        let call = IPeers::keyInForceCall { peer };
        let key = self.account.endpoint().view(address::PEERS, &call).await?;
        Ok(key.groupKey)
    }

    /// The peer whose packets come in here; refuses on the way to Ethereum, where no one asks for it.
    fn peer(&self) -> Result<u64, RpcError> {
        match self.account.door() {
            Door::Peers(peer) => Ok(peer),
            Door::Bridge(_) => Err(self
                .account
                .endpoint()
                .nonsense("a bridge where a peer was expected")),
        }
    }

    /// A number of a module that only grows, which as many endpoints have reached as must agree.
    async fn reached<C>(&self, module: Address, call: C) -> Result<u64, RpcError>
    where
        C: SolCall<Return = u64> + Sync,
    {
        let call = &call;
        let ask = |endpoint: Endpoint| async move { endpoint.view(module, call).await };
        self.account.pool().reached(ask).await
    }

    /// What the chain says of itself.
    pub async fn facts(&self) -> Result<rpc::Chain, RpcError> {
        self.account.endpoint().facts().await
    }
}

impl Side for Native {
    type Ledger = Account;

    fn ledger(&self) -> &Account {
        &self.account
    }
}

impl Verifier for Native {
    async fn finalized(&self) -> Result<u64, RpcError> {
        super::Ledger::height(&self.account).await
    }

    async fn key(&self) -> Result<KeyInForce, RpcError> {
        let peer = self.peer()?;
        let call = IPeers::keyInForceCall { peer };
        let key = self.account.endpoint().view(address::PEERS, &call).await?;
        Ok(KeyInForce {
            version: key.keyVersion,
            first_epoch: key.firstEpoch,
        })
    }

    fn overhears(&self) -> bool {
        true
    }

    fn delivery(&self, certificate: &Certificate, leaves: Vec<Leaf>) -> Bytes {
        // Whoever asks for a delivery has asked for the key first, which only a peer has.
        delivery(self.peer().unwrap_or_default(), certificate, leaves)
    }
}

impl NativeChain for Native {
    async fn next_sequence(&self, peer: Option<u64>) -> Result<u64, RpcError> {
        match peer {
            Some(peer) => {
                let call = IPeers::nextSequenceCall { peer };
                self.reached(address::PEERS, call).await
            }
            None => {
                self.reached(address::BRIDGE, IBridge::nextSequenceCall {})
                    .await
            }
        }
    }

    async fn key_version(&self) -> Result<u64, RpcError> {
        self.reached(address::BRIDGE, IBridge::keyVersionCall {})
            .await
    }

    async fn outbox_size(&self) -> Result<u64, RpcError> {
        self.reached(address::BRIDGE, IBridge::outboxSizeCall {})
            .await
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
        // The signature is the destination's to check; these two hashes only tell a mixed-up answer.
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

/// The peers module's call that delivers these leaves of the peer with this chain id.
pub fn delivery(peer: u64, certificate: &Certificate, leaves: Vec<Leaf>) -> Bytes {
    IPeers::deliverCall {
        peer,
        header: IPeers::HeaderProof {
            epoch: certificate.epoch,
            view_: certificate.view,
            parentView: certificate.parent_view,
            restHash: certificate.rest_hash,
            outboxSize: certificate.outbox_size,
            outboxTree: certificate.outbox_tree,
            signature: certificate.signature.clone(),
        },
        items: leaves
            .into_iter()
            .map(|leaf| IPeers::OutboxItem {
                packet: leaf.packet,
                index: leaf.index,
                path: leaf.path,
            })
            .collect(),
    }
    .abi_encode()
    .into()
}
