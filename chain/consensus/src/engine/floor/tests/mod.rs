//! Chains that exist only as far as a search looks at them: certificates and opening blocks.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod history;
mod network;
mod restart;
mod search;
mod wire;

use super::{Finalization, Opening, opening::last_height, wire::Latest};
use crate::{
    application::Scheme,
    block::{self, Block, Digest, Directory, EpochInfo, Output, Payload, PublicKey},
    engine::schemes::{GroupKey, Schemes},
    system::System,
};
use commonware_consensus::{
    simplex::types::{Finalize, Proposal},
    types::{Epoch, Round, View},
};
use commonware_cryptography::{
    Signer as _,
    bls12381::{dkg::feldman_desmedt, primitives::sharing::Mode},
    ed25519,
};
use commonware_glue::dkg::types::EpochOutcome;
use commonware_parallel::Sequential;
use commonware_utils::{N3f1, NZU64, TestRng, non_empty, ordered::Set};
use mileverse_primitives::{
    B256, certificate,
    header::{Header, StateCommitment, Turn},
    keccak256,
};
use std::{
    collections::BTreeMap,
    net::{Ipv4Addr, SocketAddr},
    num::NonZeroU64,
    sync::Arc,
};

const CHAIN_ID: u64 = 77_771;
const EPOCH_BLOCKS: NonZeroU64 = NZU64!(16);

/// Holders of shares of one group key.
struct Committee {
    members: Set<PublicKey>,
    output: Output,
    signers: Vec<Scheme>,
}

impl Committee {
    /// Members from seeds, with a key of their own.
    fn deal(rng: &mut TestRng, seeds: impl IntoIterator<Item = u64>) -> Arc<Self> {
        let members = Set::from_iter_dedup(
            seeds
                .into_iter()
                .map(|seed| ed25519::PrivateKey::from_seed(seed).public_key()),
        );
        let (output, shares): (Output, _) =
            feldman_desmedt::deal::<_, _, N3f1>(rng, Mode::NonZeroCounter, members.clone())
                .unwrap();
        let namespace = certificate::namespace(CHAIN_ID);
        let signers = members
            .iter()
            .map(|member| {
                let share = shares.get_value(member).unwrap().clone();
                let sharing = output.public().clone();
                Scheme::signer(&namespace, members.clone(), sharing, share).unwrap()
            })
            .collect();
        Arc::new(Self {
            members,
            output,
            signers,
        })
    }

    fn key(&self) -> GroupKey {
        *self.output.public().public()
    }

    fn certify(&self, epoch: u64, view: u64, payload: Digest) -> Finalization {
        let round = Round::new(Epoch::new(epoch), View::new(view));
        let proposal = Proposal::new(round, View::new(view - 1), payload);
        let votes: Vec<_> = self
            .signers
            .iter()
            .map(|signer| Finalize::sign(signer, proposal.clone()).unwrap())
            .collect();
        Finalization::from_finalizes(&self.signers[0], non_empty![@&votes], &Sequential).unwrap()
    }
}

/// A chain: who signs, from which epoch on. Every entry after the first is a rotation.
#[derive(Clone)]
struct Chain(BTreeMap<u64, Arc<Committee>>);

impl Chain {
    fn new(committees: impl IntoIterator<Item = (u64, Arc<Committee>)>) -> Self {
        Self(committees.into_iter().collect())
    }

    /// Four members that rotate their key at these epochs.
    fn rotating(rng: &mut TestRng, at: &[u64]) -> Self {
        let epochs = [0].iter().chain(at);
        Self::new(epochs.map(|epoch| (*epoch, Committee::deal(rng, 0..4))))
    }

    fn committee(&self, epoch: u64) -> &Committee {
        self.0.range(..=epoch).next_back().unwrap().1
    }

    fn genesis(&self) -> EpochInfo {
        self.info(0)
    }

    fn schemes(&self) -> Schemes {
        Schemes::new(&certificate::namespace(CHAIN_ID), self.committee(0).key())
    }

    fn info(&self, epoch: u64) -> EpochInfo {
        let committee = self.committee(epoch);
        let addresses = committee.members.iter().map(|member| {
            let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 9000));
            (member.clone(), address.into())
        });
        EpochInfo {
            outcome: EpochOutcome::Success,
            epoch: Epoch::new(epoch),
            output: committee.output.clone(),
            players: committee.members.clone(),
            next_players: committee.members.clone(),
            directory: Directory::from_iter(addresses),
        }
    }

    /// The block that opens an epoch.
    fn block(&self, epoch: u64) -> Block {
        let system = System {
            payload: Some(Payload::EpochInfo(self.info(epoch))),
            ..System::default()
        };
        let leader = ed25519::PrivateKey::from_seed(0).public_key();
        let header = Header {
            outbox_root: B256::repeat_byte(1),
            parent: B256::repeat_byte(2),
            height: last_height(epoch, EPOCH_BLOCKS).unwrap(),
            timestamp_ms: 4,
            gas_limit: 5,
            gas_used: 6,
            transactions_root: B256::repeat_byte(3),
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
                epoch: epoch - 1,
                view: 20,
                parent_view: 19,
                leader: B256::from_slice(&leader),
            },
            checkpoint: None,
        };
        Block::new(header, [0; 64], Vec::new(), system, leader)
    }

    /// `block` as an opening, certified by the committee of the epoch before.
    fn certified(&self, epoch: u64, block: &Block) -> Opening {
        let payload = block::digest(block.header.digest());
        // Later than the header's view: it was proposed again.
        let finalization = self.committee(epoch - 1).certify(epoch - 1, 22, payload);
        Opening::of(finalization, block).unwrap()
    }

    fn opening(&self, epoch: u64) -> Opening {
        self.certified(epoch, &self.block(epoch))
    }

    /// The newest final block of somebody who is at this view.
    fn latest(&self, epoch: u64, view: u64, after: u64) -> Latest {
        let payload = block::digest(keccak256(
            [epoch.to_be_bytes(), view.to_be_bytes()].concat(),
        ));
        let keys = self.0.keys().copied();
        let keys = keys.filter(|first| (after + 1..=epoch).contains(first));
        Latest {
            floor: self.committee(epoch).certify(epoch, view, payload),
            keys: keys.take(super::wire::MAX_KEYS).collect(),
        }
    }
}

fn name(seed: u64) -> PublicKey {
    ed25519::PrivateKey::from_seed(seed).public_key()
}
