//! Ethereum over its JSON-RPC.

use super::{
    Account, Door, EthereumChain, KeyInForce, Leaf, Pool, Proof, SentLog, Side, Verifier, slot,
};
use alloy::{
    eips::{BlockId, BlockNumberOrTag},
    providers::Provider,
    rpc::types::Filter,
    sol_types::{SolCall as _, SolEvent},
};
use mileverse_bindings::{Bridge, IBridge as EthereumBridge, ILightClient};
use mileverse_primitives::{Address, Bytes, abi::IBridge, keccak256, rpc::Certificate};
use mileverse_wallet::rpc::{Chain, Endpoint, RpcError};

/// Most logs that one search may answer.
const MAX_LOGS: usize = 100_000;

/// Ethereum.
#[derive(Clone, Debug)]
pub struct Ethereum {
    account: Account,
}

impl Ethereum {
    /// Prepares; nothing is sent yet.
    pub fn new(urls: &[String], quorum: usize, bridge: Address) -> Result<Self, RpcError> {
        let pool = Pool::new(Chain::Ethereum, urls, quorum)?;
        Ok(Self {
            account: Account::new(pool, Door::Bridge(bridge)),
        })
    }

    /// The chain that the bridge contract thinks is on the other side.
    pub async fn peer_chain_id(&self, bridge: Address) -> Result<u64, RpcError> {
        self.account
            .endpoint()
            .view(bridge, &IBridge::peerChainIdCall {})
            .await
    }
}

impl Side for Ethereum {
    type Ledger = Account;

    fn ledger(&self) -> &Account {
        &self.account
    }
}

impl Verifier for Ethereum {
    async fn finalized(&self) -> Result<u64, RpcError> {
        super::finalized(self.account.pool()).await
    }

    async fn key(&self) -> Result<KeyInForce, RpcError> {
        let endpoint = self.account.endpoint();
        let bridge = super::Inbox::bridge(&self.account);
        let key = endpoint.view(bridge, &Bridge::keyInForceCall {}).await?;
        Ok(KeyInForce {
            version: key.keyVersion,
            first_epoch: key.firstEpoch,
        })
    }

    fn overhears(&self) -> bool {
        false
    }

    fn delivery(&self, certificate: &Certificate, leaves: Vec<Leaf>) -> Bytes {
        delivery(certificate, leaves)
    }
}

impl EthereumChain for Ethereum {
    async fn next_sequence(&self) -> Result<u64, RpcError> {
        let bridge = super::Inbox::bridge(&self.account);
        let ask = |endpoint: Endpoint| async move {
            let code = endpoint
                .provider()
                .get_code_at(bridge)
                .finalized()
                .await
                .map_err(|fault| endpoint.fault(fault))?;
            if code.is_empty() {
                // The bridge's deployment is not final yet, so nothing was sent, finally.
                return Ok(1);
            }
            let next = endpoint
                .view_finalized(bridge, &IBridge::nextSequenceCall {})
                .await?;
            if next == 0 {
                return Err(endpoint.nonsense("next sequence 0"));
            }
            Ok(next)
        };
        self.account.pool().reached(ask).await
    }

    async fn sent(&self, from: u64, to: u64) -> Result<Vec<SentLog>, RpcError> {
        let endpoint = self.account.endpoint();
        let bridge = super::Inbox::bridge(&self.account);
        let filter = Filter::new()
            .address(bridge)
            .event_signature(IBridge::PacketSent::SIGNATURE_HASH)
            .from_block(BlockNumberOrTag::Number(from))
            .to_block(BlockNumberOrTag::Number(to));
        let logs = endpoint
            .provider()
            .get_logs(&filter)
            .await
            .map_err(|fault| endpoint.fault(fault))?;
        if logs.len() > MAX_LOGS {
            return Err(endpoint.nonsense("too many logs; lower ethereum.log_range"));
        }
        let mut found = Vec::with_capacity(logs.len());
        for log in logs {
            let event = IBridge::PacketSent::decode_log(&log.inner)
                .map_err(|error| endpoint.nonsense(&error.to_string()))?;
            let block = log
                .block_number
                .filter(|block| (from..=to).contains(block))
                .ok_or_else(|| endpoint.nonsense("a log from another block"))?;
            if log.address() != bridge || keccak256(&event.packet) != event.commitment {
                return Err(endpoint.nonsense("a packet that does not fit its commitment"));
            }
            found.push(SentLog {
                sequence: event.sequence,
                commitment: event.commitment,
                packet: event.data.packet,
                block,
            });
        }
        found.sort_by_key(|log| log.sequence);
        Ok(found)
    }

    async fn proof(&self, block: u64, sequences: &[u64]) -> Result<Proof, RpcError> {
        let endpoint = self.account.endpoint();
        let bridge = super::Inbox::bridge(&self.account);
        let slots: Vec<_> = sequences.iter().map(|sequence| slot(*sequence)).collect();
        let answer = endpoint
            .provider()
            .get_proof(bridge, slots.clone())
            .block_id(BlockId::number(block))
            .await
            .map_err(|fault| endpoint.fault(fault))?;
        let fits = answer.address == bridge
            && answer.storage_proof.len() == slots.len()
            && answer
                .storage_proof
                .iter()
                .zip(&slots)
                .all(|(proof, slot)| proof.key.as_b256() == *slot);
        if !fits {
            return Err(endpoint.nonsense("proofs of other slots"));
        }
        Ok(Proof {
            account: answer.account_proof,
            slots: answer
                .storage_proof
                .into_iter()
                .map(|slot| (slot.value, slot.proof))
                .collect(),
        })
    }
}

/// The bridge's call that delivers these leaves.
pub fn delivery(certificate: &Certificate, leaves: Vec<Leaf>) -> Bytes {
    Bridge::deliverCall {
        header: ILightClient::HeaderProof {
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
            .map(|leaf| EthereumBridge::OutboxItem {
                packet: leaf.packet,
                index: leaf.index,
                path: leaf.path,
            })
            .collect(),
    }
    .abi_encode()
    .into()
}
