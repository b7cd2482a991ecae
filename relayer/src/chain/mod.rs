//! The chains as the workers need them, behind traits.
//!
//! ```txt
//! Ledger          what a sender of transactions needs: nonces, gas, broadcast
//!  │                 over a Pool of endpoints (Remote)
//! Inbox           a ledger that takes packets in: simulation, receipts
//!  │                 Account, at one Door of the chain
//!  ├ NativeChain    a source: outbox, certificates, paths          native::Native
//!  ├ Verifier       a destination that believes certificates       ethereum::Ethereum, native::Native
//!  └ EthereumChain  a source: finalized blocks, logs, proofs       ethereum::Ethereum
//! ```
//!
//! A native chain is a source for every route, and a destination either of Ethereum's packets, which it
//! checks against checkpoints, or of a peer's, which it checks by certificates as Ethereum does.
//!
//! An answer that cannot be right is an error here, so that the workers reason about facts only.
//! Tests put a simulated world behind the same traits.

mod account;
mod door;
pub mod ethereum;
pub mod native;
mod pool;
mod remote;

pub use account::Account;
pub use door::{Door, ROTATIONS};
pub use mileverse_wallet::client::outbound_slot as slot;
pub use pool::{EndpointHealth, MAX_ENDPOINTS, Pool};
pub use remote::Remote;
pub(crate) use remote::{dynamic_fees, finalized, many, tag};

use alloy::sol_types::SolCall as _;
use mileverse_primitives::{
    Address, B256, Bytes, U256,
    abi::IBridge,
    packet::Packet,
    rpc::{Certificate, OutboxPacket, OutboxProof},
};
use mileverse_wallet::{
    rpc::{Chain, RpcError},
    transaction::Fees,
};
use std::future::Future;

/// One end of a route, as its configuration calls it.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum End {
    /// The native chain.
    Native,
    /// Another native chain, its peer.
    Peer,
    /// Ethereum.
    Ethereum,
}

impl End {
    /// In one word.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::Peer => "peer",
            Self::Ethereum => "ethereum",
        }
    }

    /// What kind of chain it is.
    pub const fn kind(self) -> Chain {
        match self {
            Self::Native | Self::Peer => Chain::Native,
            Self::Ethereum => Chain::Ethereum,
        }
    }
}

/// At which block something is read.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum At {
    /// The newest.
    Latest,
    /// The newest that can never change. On the native chain this is the newest.
    Finalized,
}

/// Where a transaction ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Inclusion {
    /// The block.
    pub block: u64,
    /// Whether it took effect.
    pub success: bool,
    /// Gas that it used.
    pub gas_used: u64,
    /// What that cost, in wei.
    pub cost_wei: u128,
}

/// A packet that Ethereum's bridge announced.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SentLog {
    /// Its sequence.
    pub sequence: u64,
    /// Its hash, which the bytes below have been checked against.
    pub commitment: B256,
    /// The packet.
    pub packet: Bytes,
    /// The block of the log.
    pub block: u64,
}

/// Proofs of the bridge's account and of some of its slots, at one block (EIP-1186).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Proof {
    /// Nodes from the state root to the account.
    pub account: Vec<Bytes>,
    /// For each slot asked for: its value, and the nodes from the storage root to it.
    pub slots: Vec<(U256, Vec<Bytes>)>,
}

/// A packet of an outbox, and the path from it to the root of a certificate.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Leaf {
    /// The packet.
    pub packet: Bytes,
    /// Its index in the outbox.
    pub index: u64,
    /// The path.
    pub path: Vec<B256>,
}

/// Which group key of a native chain another chain believes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct KeyInForce {
    /// Its number, from 0.
    pub version: u64,
    /// First epoch that it signs.
    pub first_epoch: u64,
}

/// What every chain offers to who sends transactions.
pub trait Ledger: Send + Sync {
    /// What kind of chain.
    fn chain(&self) -> Chain;
    /// EIP-155 id.
    fn chain_id(&self) -> impl Future<Output = Result<u64, RpcError>> + Send;
    /// Whom a call goes to: the bridge, or on the native chain the router with a delivery that
    /// [`brings_swap`]s; or the contract of hashed-timelock swaps.
    fn target(&self, input: &Bytes) -> impl Future<Output = Result<Address, RpcError>> + Send;
    /// Number of the newest block.
    fn height(&self) -> impl Future<Output = Result<u64, RpcError>> + Send;
    /// Transactions that an account has had in blocks.
    fn nonce(&self, account: Address, at: At)
    -> impl Future<Output = Result<u64, RpcError>> + Send;
    /// Gas that a call would use; an error if it would be refused.
    fn estimate(
        &self,
        from: Address,
        input: Bytes,
    ) -> impl Future<Output = Result<u64, RpcError>> + Send;
    /// What gas costs now.
    fn fees(&self) -> impl Future<Output = Result<Fees, RpcError>> + Send;
    /// Gives a signed transaction to the network. Having it already is a success.
    fn broadcast(&self, raw: Bytes) -> impl Future<Output = Result<(), RpcError>> + Send;
    /// The block of a transaction, if it is in one.
    fn inclusion(
        &self,
        hash: B256,
    ) -> impl Future<Output = Result<Option<Inclusion>, RpcError>> + Send;
    /// Something that this chain's endpoints said cannot be right, or was refused: better ask another
    /// one first.
    fn doubt(&self) {}
}

/// A chain that takes packets in.
pub trait Inbox: Ledger {
    /// The bridge.
    fn bridge(&self) -> Address;
    /// Tries a delivery without a transaction; an error if it would be refused.
    fn simulate(
        &self,
        from: Address,
        input: Bytes,
    ) -> impl Future<Output = Result<(), RpcError>> + Send;
    /// The bridge's receipt of an inbound packet: 0 none, 1 received, 2 expired.
    fn receipt(&self, sequence: u64, at: At) -> impl Future<Output = Result<u8, RpcError>> + Send;
    /// The same of many packets, in their order.
    fn receipts(
        &self,
        sequences: &[u64],
        at: At,
    ) -> impl Future<Output = Result<Vec<u8>, RpcError>> + Send;
    /// From when on an inbound packet that waits for its delay may be released, in seconds since
    /// 1970; `None` if it does not wait.
    fn held(&self, sequence: u64) -> impl Future<Output = Result<Option<u64>, RpcError>> + Send;
}

/// A chain at one end of a route.
pub trait Side: Send + Sync {
    /// Where it takes packets in.
    type Ledger: Inbox;
    /// The same.
    fn ledger(&self) -> &Self::Ledger;
}

/// A native chain as a source of packets, and as a destination of Ethereum's.
pub trait NativeChain: Side {
    /// What the next packet to this peer gets; without one, the next packet to Ethereum.
    fn next_sequence(
        &self,
        peer: Option<u64>,
    ) -> impl Future<Output = Result<u64, RpcError>> + Send;
    /// Number of the newest group key that the chain announced; 0 is the first one.
    fn key_version(&self) -> impl Future<Output = Result<u64, RpcError>> + Send;
    /// How many leaves the outbox has.
    fn outbox_size(&self) -> impl Future<Output = Result<u64, RpcError>> + Send;
    /// Leaves of the outbox from an index on, in order.
    fn packets(
        &self,
        from: u64,
        limit: u64,
    ) -> impl Future<Output = Result<Vec<OutboxPacket>, RpcError>> + Send;
    /// The newest certificate, or the first one that covers a height.
    fn certificate(
        &self,
        height: Option<u64>,
    ) -> impl Future<Output = Result<Certificate, RpcError>> + Send;
    /// The paths of these leaves in the tree of a size, in their order.
    fn paths(
        &self,
        indices: &[u64],
        size: u64,
    ) -> impl Future<Output = Result<Vec<OutboxProof>, RpcError>> + Send;
    /// Number of the newest Ethereum block that the chain agreed on; 0 if none.
    fn latest_checkpoint(&self) -> impl Future<Output = Result<u64, RpcError>> + Send;
}

/// A destination that believes a native chain's certificates: Ethereum, or a peer of that chain.
pub trait Verifier: Side {
    /// Number of the newest block that can never change.
    fn finalized(&self) -> impl Future<Output = Result<u64, RpcError>> + Send;
    /// The key that certificates are checked with, as of the newest block.
    fn key(&self) -> impl Future<Output = Result<KeyInForce, RpcError>> + Send;
    /// Whether it takes rotations that the source addressed to another chain, as peers do.
    fn overhears(&self) -> bool;
    /// The call that delivers these leaves, all under one certificate.
    fn delivery(&self, certificate: &Certificate, leaves: Vec<Leaf>) -> Bytes;
}

/// Ethereum as a source of packets.
pub trait EthereumChain: Verifier {
    /// What the next packet gets, as of the newest finalized block.
    fn next_sequence(&self) -> impl Future<Output = Result<u64, RpcError>> + Send;
    /// Packets announced in these blocks, both included, in order.
    fn sent(
        &self,
        from: u64,
        to: u64,
    ) -> impl Future<Output = Result<Vec<SentLog>, RpcError>> + Send;
    /// Proofs of the commitments of these sequences at a block.
    fn proof(
        &self,
        block: u64,
        sequences: &[u64],
    ) -> impl Future<Output = Result<Proof, RpcError>> + Send;
}

/// Whether a delivery to the native chain holds a transfer that is swapped where it arrives.
pub fn brings_swap(input: &[u8]) -> bool {
    let Ok(call) = IBridge::deliverCall::abi_decode(input) else {
        return false;
    };
    let mut items = call.items.iter();
    items.any(|item| {
        matches!(Packet::decode(&item.packet), Ok(Packet::Transfer(transfer)) if transfer.action.is_some())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy::sol_types::SolValue;
    use mileverse_primitives::keccak256;

    #[test]
    fn slots_are_soliditys() {
        for sequence in [0, 1, 77, u64::MAX] {
            assert_eq!(slot(sequence), keccak256((sequence, 0u64).abi_encode()));
        }
    }
}
