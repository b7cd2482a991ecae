//! Delivering a packet by hand, when nobody else does: the call that a relayer would make, with its
//! proof, ready to be signed by anybody.
//!
//! | the packet | what is prepared |
//! |---|---|
//! | on its way | its delivery at the destination, which receives it, or expires it after its deadline |
//! | expired | the delivery of the news at the source, which refunds it |
//! | received, and its sender wants to know | the delivery of the acknowledgement at the source |
//! | received otherwise, acknowledged, refunded | nothing: [`ClientError::Settled`] |

use super::{
    Chains, Client, ClientError, Fare, PacketName, PacketReference, PacketState, Posted, Sent,
    Stage, Step, Trace, send::sent,
};
use crate::rpc::Chain;
use alloy::{
    eips::BlockId,
    primitives::{B256, U256, keccak256},
    providers::Provider,
    sol_types::SolCall,
};
use mileverse_bindings::{Bridge, IBridge as EthereumBridge, ILightClient};
use mileverse_primitives::{
    abi::IBridge,
    exchange::ROUTER,
    outbox,
    packet::{ACKNOWLEDGED, Packet},
    rpc::{Certificate, OutboxProof},
};

/// What has to be delivered so that a transfer goes on.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// The packet that is delivered: the transfer, or the news of it.
    pub packet: PacketReference,
    /// Where the transaction goes.
    pub chain: Chain,
    /// The transaction: `deliver`, `refund` or `acknowledge`.
    pub step: Step,
}

impl Chains {
    /// The transaction that brings a transfer one stage further.
    pub async fn plan_delivery(&self, reference: PacketReference) -> Result<Delivery, ClientError> {
        let posted = self.posted(reference).await?;
        let trace = self.trace_to_the_end(posted).await?;
        match trace.stage {
            Stage::Received => {
                let settled = |state| ClientError::Settled(PacketName::Bridge(reference), state);
                let source = self.on(reference.chain);
                if !trace.posted.content.asks() {
                    Err(settled(PacketState::Received))
                } else if source.outbound(reference.sequence).await? == ACKNOWLEDGED {
                    Err(settled(PacketState::Acknowledged))
                } else {
                    self.bring_home(&trace, "acknowledge").await
                }
            }
            Stage::Refunded => Err(ClientError::Settled(
                PacketName::Bridge(reference),
                PacketState::Refunded,
            )),
            Stage::Expired => self.bring_home(&trace, "refund").await,
            Stage::Locked | Stage::Final | Stage::Proven | Stage::Held => {
                self.deliver(&trace.posted, "deliver").await
            }
        }
    }

    /// The delivery of what the destination reports of a packet.
    async fn bring_home(&self, trace: &Trace, kind: &'static str) -> Result<Delivery, ClientError> {
        let nonsense = || {
            let endpoint = &self.on(trace.posted.packet.chain.other()).endpoint;
            endpoint.nonsense("a packet at its end without the news of it")
        };
        let outcome = trace.outcome.ok_or_else(nonsense)?;
        let posted = self
            .on(outcome.chain)
            .posted_by(outcome.transaction)
            .await?;
        let id = trace.posted.content.id();
        let news = posted
            .into_iter()
            .find(|posted| {
                posted
                    .content
                    .inside()
                    .is_some_and(|inside| inside.id == id)
            })
            .ok_or_else(nonsense)?;
        self.deliver(&news, kind).await
    }

    async fn deliver(&self, posted: &Posted, kind: &'static str) -> Result<Delivery, ClientError> {
        let chain = posted.packet.chain.other();
        let input = match chain {
            Chain::Ethereum => self.to_ethereum(posted).await?,
            Chain::Native => self.to_native(posted).await?,
        };
        Ok(Delivery {
            packet: posted.packet,
            chain,
            step: Step {
                kind,
                // What is swapped where it arrives, the router alone may open.
                to: match &posted.content {
                    Packet::Transfer(transfer) if transfer.action.is_some() => ROUTER,
                    _ => self.on(chain).bridge,
                },
                value: U256::ZERO,
                input: input.into(),
            },
        })
    }

    /// Proven by the newest certificate and a path in the outbox.
    async fn to_ethereum(&self, posted: &Posted) -> Result<Vec<u8>, ClientError> {
        let native = &self.native;
        let leaf = native.outbox_leaf(posted.packet.sequence).await?;
        let newest: (Option<u64>,) = (None,);
        let certificate: Certificate = native
            .endpoint
            .method("mileverse_certificate", newest)
            .await?;
        let (size, tree) = (certificate.outbox_size, certificate.outbox_tree);
        if size <= leaf.index {
            return Err(not_proven(Chain::Native, leaf.height, certificate.height));
        }
        let proof: OutboxProof = native
            .endpoint
            .method("mileverse_outboxProof", (leaf.index, size))
            .await?;
        let commitment = posted.content.commitment();
        if !outbox::verify(tree, size, leaf.index, commitment, &proof.path) {
            let what = "a path that does not lead to the root of its certificate";
            return Err(native.endpoint.nonsense(what).into());
        }
        Ok(Bridge::deliverCall {
            header: ILightClient::HeaderProof {
                epoch: certificate.epoch,
                view_: certificate.view,
                parentView: certificate.parent_view,
                restHash: certificate.rest_hash,
                outboxSize: size,
                outboxTree: tree,
                signature: certificate.signature,
            },
            items: vec![EthereumBridge::OutboxItem {
                packet: leaf.packet,
                index: leaf.index,
                path: proof.path,
            }],
        }
        .abi_encode())
    }

    /// Proven by the storage of Ethereum's bridge at the newest checkpoint.
    async fn to_native(&self, posted: &Posted) -> Result<Vec<u8>, ClientError> {
        let ethereum = &self.ethereum;
        let call = IBridge::latestCheckpointCall {};
        let view = self.native.endpoint.view(self.native.bridge, &call);
        let checkpoint = view.await?;
        if checkpoint < posted.at.block {
            return Err(not_proven(Chain::Ethereum, posted.at.block, checkpoint));
        }
        let slot = outbound_slot(posted.packet.sequence);
        let proof = ethereum
            .endpoint
            .provider()
            .get_proof(ethereum.bridge, vec![slot])
            .block_id(BlockId::number(checkpoint))
            .await
            .map_err(|fault| ethereum.endpoint.fault(fault))?;
        let commitment = posted.content.commitment();
        let entry = proof
            .storage_proof
            .into_iter()
            .find(|entry| entry.value == U256::from_be_bytes(commitment.0))
            .ok_or_else(|| {
                ethereum
                    .endpoint
                    .nonsense("no proof of a packet that was sent")
            })?;
        Ok(IBridge::deliverCall {
            ethereumBlock: checkpoint,
            accountProof: proof.account_proof,
            items: vec![IBridge::StorageItem {
                packet: posted.content.encode(),
                storageProof: entry.proof,
            }],
        }
        .abi_encode())
    }
}

impl Client {
    /// Signs and sends what [`Chains::plan_delivery`] prepared, and waits for its block.
    pub async fn deliver_by_hand(&self, step: Step) -> Result<Sent, ClientError> {
        let receipt = self.execute(step.to, step.value, step.input).await?;
        Ok(sent(&receipt))
    }

    /// Refuses what would stop at the first step: too little for gas and for what goes along.
    pub async fn check_cost(
        &self,
        account: alloy::primitives::Address,
        step: &Step,
        gas_limit: u64,
    ) -> Result<Fare, ClientError> {
        let fees = self.fees(step.to, &step.input).await?;
        self.check_gas(account, step.to, step.value, gas_limit, fees)
            .await
    }
}

const fn not_proven(chain: Chain, block: u64, known: u64) -> ClientError {
    ClientError::NotProven {
        chain,
        block,
        known,
    }
}

/// Where Ethereum's bridge keeps a packet's commitment: `outbound` is its mapping at slot 0.
pub fn outbound_slot(sequence: u64) -> B256 {
    keccak256([B256::from(U256::from(sequence)), B256::ZERO].concat())
}
