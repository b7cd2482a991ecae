//! Proof that a delegate broke the rules, as anybody may submit it to the staking module.
//!
//! | kind | what proves it | found by |
//! |---|---|---|
//! | double proposal | two headers of one epoch and view, different, both signed by one leader | `equivocation` |
//! | false attestation | an attestation whose digest is not the final one of its height | `attestation` |
//!
//! The first stands on its own. The second is proof only to who knows the final block, as every
//! node and the staking module do. [`Store`] keeps what this node found; JSON-RPC
//! (`mileverse_evidence`) shows it with the calldata that submits it.

mod store;

pub use store::{MAX_ENTRIES, Store, StoreError};

use crate::{proposal::SignedHeader, signature::attestations_are_signed};
use alloy::sol_types::SolCall as _;
use mileverse_primitives::{B256, Bytes, abi::IStaking, vote::Attestation};
use serde::{Deserialize, Serialize};

/// What a delegate did.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Kind {
    /// Two headers for one view.
    DoubleProposal,
    /// Its word for a result that is not the final one.
    FalseAttestation,
}

impl Kind {
    /// Its name in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::DoubleProposal => "doubleProposal",
            Self::FalseAttestation => "falseAttestation",
        }
    }
}

/// The proof.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Evidence {
    /// Two headers for one view.
    DoubleProposal {
        /// One of them.
        first: Box<SignedHeader>,
        /// The other.
        second: Box<SignedHeader>,
    },
    /// Its word for a result that is not the final one.
    FalseAttestation(Attestation),
}

impl Evidence {
    /// Two signed headers as evidence.
    pub fn double(first: SignedHeader, second: SignedHeader) -> Self {
        Self::DoubleProposal {
            first: Box::new(first),
            second: Box::new(second),
        }
    }

    /// What it proves.
    pub const fn kind(&self) -> Kind {
        match self {
            Self::DoubleProposal { .. } => Kind::DoubleProposal,
            Self::FalseAttestation(_) => Kind::FalseAttestation,
        }
    }

    /// Against whom: ed25519 public key.
    pub const fn offender(&self) -> B256 {
        match self {
            Self::DoubleProposal { first, .. } => first.header.turn.leader,
            Self::FalseAttestation(attestation) => attestation.delegate,
        }
    }

    /// The epoch of the offence.
    pub const fn epoch(&self) -> u64 {
        match self {
            Self::DoubleProposal { first, .. } => first.header.turn.epoch,
            Self::FalseAttestation(attestation) => attestation.epoch,
        }
    }

    /// Whether it is what it claims to be, as far as that shows without the chain: signatures, and
    /// for a double proposal everything.
    pub fn holds(&self, chain_id: u64) -> bool {
        match self {
            Self::DoubleProposal { first, second } => {
                let (one, other) = (&first.header.turn, &second.header.turn);
                one.epoch == other.epoch
                    && one.view == other.view
                    && one.leader == other.leader
                    && first.header.digest() != second.header.digest()
                    && first.verify(chain_id)
                    && second.verify(chain_id)
            }
            Self::FalseAttestation(attestation) => {
                attestations_are_signed(chain_id, std::slice::from_ref(attestation))
            }
        }
    }

    /// The call of the staking module that submits it.
    pub fn calldata(&self) -> Bytes {
        match self {
            Self::DoubleProposal { first, second } => IStaking::submitDoubleProposalCall {
                headerA: first.header.encode().into(),
                signatureA: Bytes::copy_from_slice(&first.signature),
                headerB: second.header.encode().into(),
                signatureB: Bytes::copy_from_slice(&second.signature),
            }
            .abi_encode()
            .into(),
            Self::FalseAttestation(attestation) => IStaking::submitFalseAttestationCall {
                epoch: attestation.epoch,
                height: attestation.height,
                digest: attestation.digest,
                delegate: attestation.delegate,
                signature: Bytes::copy_from_slice(&attestation.signature),
            }
            .abi_encode()
            .into(),
        }
    }
}
