//! A block as validators exchange it.
//!
//! ```txt
//! block = varint(length of header) ‖ header ‖ proposer's signature (64)
//!       ‖ varint(transactions) ‖ each: varint(length) ‖ EIP-2718 bytes
//!       ‖ system section (see `system`)
//! ```
//!
//! Its digest is the header's, which commits to the transactions and to the system section by
//! their roots. Bytes whose roots are not the header's are no block at all, so whoever asks for a
//! block by its digest gets that block or none. The proposer's signature stands outside the digest
//! and is checked before the first vote.
//!
//! Limits: the transactions' follow from the genesis file's gas limit ([`BlockLimits`]), the system
//! section's from the largest committee.

use crate::{
    rotation::{Endorsement, application::RotatingBlock},
    system::{self, System},
};
use alloy::consensus::proofs::ordered_trie_root_encoded;
use bytes::{Buf as _, BufMut, Bytes};
use commonware_codec::{
    Buf, Copying, DecodeExt as _, EncodeSize, Error as CodecError, RangeCfg, Read, ReadExt as _,
    Write, varint::UInt,
};
use commonware_consensus::{
    Block as ConsensusBlock, BoundedBlock, CertifiableBlock, Heightable,
    simplex::types::Context,
    types::{Epoch, Height, Round, View},
};
use commonware_cryptography::{
    Digestible,
    bls12381::{dkg::feldman_desmedt, primitives::variant::MinSig},
    ed25519, sha256,
};
use commonware_glue::dkg::{ReshareBlock, network::Addresses, types};
use mileverse_execution::{BlockInput, NextEpoch};
use mileverse_primitives::{
    B256,
    address::STAKING,
    checkpoint::Checkpoint,
    header::{self, Header, Turn},
    limits::{BlockLimits, MAX_TRANSACTION_LENGTH},
    vote::SIGNATURE_LENGTH,
};

/// Consensus identity of a validator.
pub type PublicKey = ed25519::PublicKey;
/// commonware's 32-byte digest type; for blocks it holds the keccak256 digest of the header.
pub type Digest = sha256::Digest;
/// Where in consensus a block stands.
pub type BlockContext = Context<Digest, PublicKey>;
/// Where an epoch's participants are reached.
pub type Directory = Addresses<PublicKey>;
/// A ceremony's public outcome.
pub type Output = feldman_desmedt::Output<MinSig, PublicKey>;
/// What a ceremony puts into a block.
pub type Payload = types::Payload<MinSig, PublicKey, Directory>;
/// Who takes part in an epoch.
pub type EpochInfo = types::EpochInfo<MinSig, PublicKey, Directory>;

/// Header, transactions, and what consensus adds.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Block {
    /// The header.
    pub header: Header,
    /// The leader's signature over the digest; zeros in block 0.
    pub signature: [u8; SIGNATURE_LENGTH],
    /// Signed transactions (EIP-2718 bytes), in order of execution.
    pub transactions: Vec<Bytes>,
    /// What consensus adds.
    pub system: System,
    /// The leader, decoded once from the header's bytes.
    leader: PublicKey,
}

impl Block {
    /// Puts a block together; `leader` must be the key whose bytes stand in the header's turn, and
    /// the header's roots those of `transactions` and `system`.
    pub const fn new(
        header: Header,
        signature: [u8; SIGNATURE_LENGTH],
        transactions: Vec<Bytes>,
        system: System,
        leader: PublicKey,
    ) -> Self {
        Self {
            header,
            signature,
            transactions,
            system,
            leader,
        }
    }

    /// The turn that a consensus context describes.
    pub fn turn(context: &BlockContext) -> Turn {
        Turn {
            epoch: context.round.epoch().get(),
            view: context.round.view().get(),
            parent_view: context.parent.0.get(),
            leader: B256::from_slice(&context.leader),
        }
    }

    /// Milliseconds since 1970.
    pub const fn timestamp_ms(&self) -> u64 {
        self.header.timestamp_ms
    }

    /// Who takes part in the epoch that this block opens, if it opens one: an epoch's last block
    /// opens the next, the genesis block opens epoch 0.
    pub const fn opens(&self) -> Option<&EpochInfo> {
        match &self.system.payload {
            Some(Payload::EpochInfo(info)) => Some(info),
            _ => None,
        }
    }

    /// What it is executed with.
    pub fn input(&self) -> BlockInput {
        let header = &self.header;
        input(
            &self.system,
            header.height,
            header.timestamp_ms,
            header.gas_limit,
            header.parent,
            header.checkpoint,
            header.turn,
        )
    }

    /// Reads a block that this node wrote itself: nothing but its shape is checked.
    ///
    /// # Errors
    ///
    /// When the bytes are not a block.
    pub fn read_own(bytes: &[u8]) -> Result<Self, CodecError> {
        let mut rest = Copying(bytes);
        let block = Self::read_shape(&mut rest, BlockLimits::MOST)?;
        if rest.has_remaining() {
            return Err(CodecError::ExtraData(rest.remaining()));
        }
        Ok(block)
    }

    fn read_shape(buf: &mut impl Buf, limits: BlockLimits) -> Result<Self, CodecError> {
        let header = Vec::<u8>::read_cfg(buf, &(RangeCfg::new(0..=header::MAX_LENGTH), ()))?;
        let header = Header::decode(&header).map_err(|_| CodecError::Invalid("Block", "header"))?;
        let signature = <[u8; SIGNATURE_LENGTH]>::read(buf)?;
        let transactions = Vec::<Bytes>::read_cfg(
            buf,
            &(
                RangeCfg::new(0..=limits.body_transactions()),
                RangeCfg::new(1..=MAX_TRANSACTION_LENGTH),
            ),
        )?;
        if transactions.iter().map(Bytes::len).sum::<usize>() > limits.body_bytes() {
            return Err(CodecError::Invalid("Block", "too many bytes"));
        }
        let system = System::read(buf)?;
        let leader = PublicKey::decode(Copying(header.turn.leader.as_slice()))?;
        Ok(Self {
            header,
            signature,
            transactions,
            system,
            leader,
        })
    }
}

/// What a block is executed with.
pub fn input(
    system: &System,
    height: u64,
    timestamp_ms: u64,
    gas_limit: u64,
    parent: B256,
    checkpoint: Option<Checkpoint>,
    turn: Turn,
) -> BlockInput {
    BlockInput {
        height,
        timestamp_ms,
        gas_limit,
        parent,
        // All delegates share what an epoch collects.
        beneficiary: STAKING,
        checkpoint,
        turn,
        attestations: system.attestations.clone(),
        next_epoch: match &system.payload {
            Some(Payload::EpochInfo(info)) => Some(next_epoch(info)),
            _ => None,
        },
        new_key: system.new_key(),
    }
}

/// Who signs the next epoch, in the words of execution.
pub fn next_epoch(info: &EpochInfo) -> NextEpoch {
    NextEpoch {
        epoch: info.epoch.get(),
        succeeded: info.outcome == types::EpochOutcome::Success,
        committee: keys(info.output.players().iter()),
    }
}

/// Keys as words, in their order.
pub fn keys<'a>(keys: impl IntoIterator<Item = &'a PublicKey>) -> Vec<B256> {
    keys.into_iter().map(|key| B256::from_slice(key)).collect()
}

/// A word as commonware's digest.
pub fn digest(word: B256) -> Digest {
    Digest::from(word.0)
}

/// commonware's digest as a word.
pub fn word(digest: &Digest) -> B256 {
    B256::from_slice(digest)
}

impl Write for Block {
    fn write(&self, buf: &mut impl BufMut) {
        self.header.encode().as_slice().write(buf);
        self.signature.write(buf);
        self.transactions.write(buf);
        self.system.write(buf);
    }
}

impl EncodeSize for Block {
    fn encode_size(&self) -> usize {
        let header = self.header.encoded_length();
        UInt(header as u64).encode_size()
            + header
            + SIGNATURE_LENGTH
            + self.transactions.encode_size()
            + self.system.encode_size()
    }
}

impl Read for Block {
    type Cfg = BlockLimits;

    fn read_cfg(buf: &mut impl Buf, limits: &BlockLimits) -> Result<Self, CodecError> {
        let block = Self::read_shape(buf, *limits)?;
        if block.header.system_root != block.system.root() {
            return Err(CodecError::Invalid("Block", "system section"));
        }
        if block.header.transactions_root != ordered_trie_root_encoded(&block.transactions) {
            return Err(CodecError::Invalid("Block", "transactions"));
        }
        Ok(block)
    }
}

impl Digestible for Block {
    type Digest = Digest;

    fn digest(&self) -> Digest {
        digest(self.header.digest())
    }
}

impl Heightable for Block {
    fn height(&self) -> Height {
        Height::new(self.header.height)
    }
}

impl ConsensusBlock for Block {
    fn parent(&self) -> Digest {
        digest(self.header.parent)
    }
}

impl CertifiableBlock for Block {
    type Context = BlockContext;

    fn context(&self) -> BlockContext {
        let turn = self.header.turn;
        Context {
            round: Round::new(Epoch::new(turn.epoch), View::new(turn.view)),
            leader: self.leader.clone(),
            parent: (View::new(turn.parent_view), digest(self.header.parent)),
        }
    }
}

impl ReshareBlock for Block {
    type Variant = MinSig;
    type PublicKey = PublicKey;
    type Directory = Directory;

    fn payload(&self) -> Option<Payload> {
        self.system.payload.clone()
    }
}

impl BoundedBlock for Block {
    fn max_encode_size(limits: &BlockLimits) -> usize {
        // Each length prefix is a varint of at most ten bytes.
        10 + header::MAX_LENGTH
            + SIGNATURE_LENGTH
            + 10
            + limits.body_transactions() * 10
            + limits.body_bytes()
            + system::max_bytes()
    }
}

impl RotatingBlock for Block {
    fn endorsements(&self) -> &[Endorsement] {
        &self.system.endorsements
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::signature;
    use commonware_codec::{Decode as _, Encode as _};
    use commonware_cryptography::Signer as _;
    use mileverse_primitives::header::StateCommitment;

    const CHAIN_ID: u64 = 77_771;
    const LIMITS: BlockLimits = BlockLimits::of(30_000_000);

    fn block(transactions: Vec<Bytes>) -> Block {
        let key = ed25519::PrivateKey::from_seed(1);
        let leader = key.public_key();
        let system = System::default();
        let header = Header {
            outbox_root: B256::repeat_byte(1),
            parent: B256::repeat_byte(2),
            height: 3,
            timestamp_ms: 4,
            gas_limit: 5,
            gas_used: 6,
            transactions_root: ordered_trie_root_encoded(&transactions),
            receipts_root: B256::repeat_byte(7),
            system_root: system.root(),
            logs_bloom: Default::default(),
            state: StateCommitment {
                root: B256::repeat_byte(8),
                operations_root: B256::repeat_byte(8),
                start: 9,
                end: 10,
            },
            turn: Turn {
                epoch: 0,
                view: 3,
                parent_view: 2,
                leader: B256::from_slice(&leader),
            },
            checkpoint: None,
        };
        let signature = signature::sign_proposal(&key, CHAIN_ID, header.digest());
        Block::new(header, signature, transactions, system, leader)
    }

    #[test]
    fn a_block_round_trips_within_its_limit() {
        let block = block(vec![Bytes::from_static(b"one"), Bytes::from_static(b"two")]);
        let bytes = block.encode();
        assert_eq!(bytes.len(), block.encode_size());
        assert!(bytes.len() <= Block::max_encode_size(&LIMITS));
        assert_eq!(
            Block::decode_cfg(Copying(bytes.as_ref()), &LIMITS).unwrap(),
            block
        );
        assert_eq!(Block::read_own(&bytes).unwrap(), block);
        assert!(Block::read_own(&[bytes.as_ref(), &[0]].concat()).is_err());
    }

    /// Whoever serves a block by its digest can change nothing of it but the signature.
    #[test]
    fn a_digest_has_one_content() {
        let block = block(vec![Bytes::from_static(b"one"), Bytes::from_static(b"two")]);
        let bytes = block.encode().to_vec();
        for at in 0..bytes.len() {
            let mut bent = bytes.clone();
            bent[at] ^= 1;
            let Ok(other) = Block::decode_cfg(Copying(bent.as_slice()), &LIMITS) else {
                continue;
            };
            let same = other.header == block.header;
            assert!(other.digest() != block.digest() || same, "byte {at}");
            if same {
                assert_eq!(other.transactions, block.transactions, "byte {at}");
                assert_eq!(other.system, block.system, "byte {at}");
                assert_ne!(other.signature, block.signature, "byte {at}");
                assert!(!signature::proposal_is_signed(
                    CHAIN_ID,
                    &other.header,
                    &other.signature
                ));
            }
        }
    }

    #[test]
    fn a_signature_is_of_one_chain() {
        let block = block(Vec::new());
        let good =
            |chain_id| signature::proposal_is_signed(chain_id, &block.header, &block.signature);
        assert!(good(CHAIN_ID));
        assert!(!good(CHAIN_ID + 1));
    }
}
