//! Answers of the native chain's own JSON-RPC namespace, `mileverse_`. See `docs/protocol.md`.

use crate::genesis::EthereumSide;
use alloy::primitives::{Address, B256, Bytes, U256};
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;

/// Most packets that one `mileverse_packets` call returns.
pub const MAX_PACKETS: u64 = 256;

/// `mileverse_chain`: what never changes.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Chain {
    /// EIP-155 chain id.
    pub chain_id: u64,
    /// keccak256 of the genesis block's header.
    pub genesis_hash: B256,
    /// Namespace of the certificates.
    pub namespace: Bytes,
    /// The group key of block 0, G2 uncompressed (EIP-2537, 256 bytes); `mileverse_groupKeys` has
    /// those that took over.
    pub group_key: Bytes,
    /// The other side of the bridge.
    pub ethereum: EthereumSide,
}

/// `mileverse_status`: where this node is.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// Newest final block.
    pub height: u64,
    /// Its digest.
    pub digest: B256,
    /// Its time, milliseconds since 1970.
    pub timestamp_ms: u64,
    /// Other nodes that are connected to this one, as of a second ago at most.
    pub peers: u64,
    /// Number of the newest Ethereum block the chain agreed on; 0 if none.
    pub ethereum_checkpoint: u64,
    /// This node's consensus key (ed25519).
    pub validator: B256,
    /// First block that this node can show; none before it has executed one.
    #[serde(default)]
    pub first_height: Option<u64>,
    /// How far it is with its state.
    #[serde(default)]
    pub sync: SyncStatus,
}

/// What a node is doing about its state.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum SyncPhase {
    /// It asks its peers for a final block to start from.
    Discovering,
    /// It fetches the state of a final block.
    Syncing,
    /// It has a state and executes final blocks.
    #[default]
    Following,
}

/// How far a node is with fetching a state; all zero if it never had to.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SyncStatus {
    /// What it is doing.
    pub phase: SyncPhase,
    /// Height whose state is fetched, once known.
    pub target_height: Option<u64>,
    /// Operations of the state's log that were fetched and proven.
    pub operations: u64,
    /// Operations that the target needs, as far as known.
    pub of: u64,
}

/// `mileverse_epoch`: who signs now, and who will.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Epoch {
    /// Its number.
    pub epoch: u64,
    /// Its first block; in epoch 0 that is the genesis block.
    pub first_height: u64,
    /// Its last block, which decides who signs the next epoch.
    pub last_height: u64,
    /// The delegates, in the order of their turns: the first leads view 0, 99, 198 ... of a
    /// committee of 99.
    pub committee: Vec<B256>,
    /// Whether the ceremony that made this committee succeeded. If not, the committee before
    /// stayed.
    pub ceremony_succeeded: bool,
    /// Whose shares, at the end of that ceremony, had to be published because they did not answer.
    pub revealed: Vec<B256>,
    /// Who receives shares in this epoch and signs the next one, if its ceremony succeeds.
    pub players: Vec<B256>,
    /// Who receives shares in the next epoch.
    pub next_players: Vec<B256>,
    /// The making of a new group key in this epoch, as this node sees it.
    pub rotation: Rotation,
}

/// How far the making of a new group key is.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Rotation {
    /// First epoch that tries it, if it is due.
    pub since: Option<u64>,
    /// `idle`, `watching` (this node is no player), `dealing`, `endorsed` or `failed`.
    pub phase: String,
    /// Players who hold their share of the new key.
    pub endorsements: u64,
    /// How many must, before the epoch's last block, for the key to take over.
    pub needed: u64,
}

/// `mileverse_groupKeys`: one group key that took over.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct GroupKey {
    /// Its number; the key of block 0 is number 0.
    pub number: u64,
    /// First epoch that it signs.
    pub first_epoch: u64,
    /// The key, G2 uncompressed (EIP-2537, 256 bytes).
    pub key: Bytes,
}

/// `mileverse_visit`: a new node asks to be let in.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Visit {
    /// Its ed25519 public key.
    pub public_key: B256,
    /// Where it connects from.
    pub address: SocketAddr,
    /// Seconds since 1970, by its clock.
    pub seconds: u64,
    /// Its signature over both; see `vote`.
    pub signature: Bytes,
}

/// Answer to `mileverse_visit`.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Welcome {
    /// It may connect at once.
    Now,
    /// It may connect when the next epoch begins.
    NextEpoch,
}

/// `mileverse_certificate`: a final block, opened as far as Ethereum needs.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Certificate {
    /// Block height.
    pub height: u64,
    /// Block digest: `keccak256(outbox_root ‖ rest_hash)`.
    pub digest: B256,
    /// Consensus epoch.
    pub epoch: u64,
    /// Consensus view.
    pub view: u64,
    /// View of the parent block.
    pub parent_view: u64,
    /// keccak256 of the header without its outbox root.
    pub rest_hash: B256,
    /// Leaves in the outbox tree.
    pub outbox_size: u64,
    /// `MTH(outbox_size)`.
    pub outbox_tree: B256,
    /// Root over both, as it stands in the header.
    pub outbox_root: B256,
    /// Threshold signature, G1 uncompressed (EIP-2537, 128 bytes).
    pub signature: Bytes,
}

/// `mileverse_stateProof`: what stands at a place of the newest state, from the committee's signature down.
/// The answer is null if nothing stands there, which cannot be proven.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StateProof {
    /// The block after which it stands.
    pub height: u64,
    /// Its header: outbox root ‖ rest, as [`Header::decode`](crate::header::Header::decode) reads it.
    pub header: Bytes,
    /// Its certificate.
    pub certificate: Certificate,
    /// Where it stands: keccak256 of the place.
    pub key: B256,
    /// What stands there.
    pub value: Bytes,
    /// The proof against the header's state root.
    pub proof: Bytes,
}

/// `mileverse_packets`: one leaf of the outbox.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OutboxPacket {
    /// Leaf index, from 0.
    pub index: u64,
    /// Sequence on its route, from 1.
    pub sequence: u64,
    /// keccak256 of the packet.
    pub commitment: B256,
    /// The packet's bytes.
    pub packet: Bytes,
    /// Block that sent it.
    pub height: u64,
}

/// `mileverse_outboxProof`: the path of one leaf.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OutboxProof {
    /// Leaf index.
    pub index: u64,
    /// Size of the tree that the path is for.
    pub size: u64,
    /// The leaf's commitment.
    pub commitment: B256,
    /// Hashes from the leaf up.
    pub path: Vec<B256>,
}

/// Who pays for a transaction's gas.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum GasPayer {
    /// Its sender, with coin.
    Sender,
    /// Nobody but for the tip: it is free gas of the sender's stake.
    Stake,
    /// The operator of the contract that it calls, its share.
    Operator,
    /// Nobody: it offers too little.
    Nobody,
}

/// `mileverse_gasQuote`: who would pay for a transaction, as of the newest block.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct GasQuote {
    /// Who.
    pub payer: GasPayer,
    /// The base fee, in the coin's smallest unit.
    pub base_price: U256,
    /// What the sender pays for one gas, tip included.
    pub sender_price: U256,
    /// What the operator pays for one gas.
    pub operator_price: U256,
    /// Gas that the sender's stake has free in the window under way.
    pub free_gas: u64,
    /// What is left of it.
    pub free_gas_left: u64,
    /// What the contract's operator offers, whether it pays for this transaction or not.
    pub sponsorship: Option<GasSponsorship>,
}

/// What an operator offers a user.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct GasSponsorship {
    /// Who.
    pub operator: Address,
    /// What it pays for one gas.
    pub price: U256,
    /// Most that it pays for one transaction of this user now.
    pub most: U256,
}

/// `mileverse_evidence`: proof that a delegate broke the rules, which the chain has not recorded
/// yet. Anybody may send `calldata` to `to`.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Evidence {
    /// `doubleProposal` or `falseAttestation`.
    pub kind: String,
    /// The delegate's consensus key (ed25519).
    pub offender: B256,
    /// Epoch of the offence.
    pub epoch: u64,
    /// View that has two headers, of a double proposal.
    pub view: Option<u64>,
    /// Height whose result it got wrong, of a false attestation.
    pub height: Option<u64>,
    /// The staking module.
    pub to: Address,
    /// The call that submits it.
    pub calldata: Bytes,
}
