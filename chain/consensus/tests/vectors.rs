//! The test vector that Ethereum's light client is proven with, made by the chain's own code.
//!
//! `MILEVERSE_WRITE_VECTORS=1 cargo test --release -p mileverse-consensus --test vectors` writes
//! `fixtures/vectors/certificate.json` anew; otherwise the committed file must be what comes out.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use commonware_codec::{Copying, DecodeExt as _, Encode as _};
use commonware_consensus::{
    simplex::{
        scheme::Namespace,
        types::{Finalization, Finalize, Proposal, Subject},
    },
    types::{Epoch, Round, View},
};
use commonware_cryptography::{
    Signer as _,
    bls12381::{
        dkg::feldman_desmedt,
        primitives::{
            sharing::Mode,
            variant::{MinSig, Variant},
        },
    },
    certificate::{Namespace as _, Subject as _},
    ed25519,
};
use commonware_parallel::Sequential;
use commonware_utils::{N3f1, TestRng, TryCollect as _, non_empty, ordered::Set};
use mileverse_consensus::{application::Scheme, block, bls};
use mileverse_primitives::{
    B256, certificate, header, keccak256,
    outbox::{self, Frontier},
};
use serde_json::{Value, json};
use std::path::Path;

const CHAIN_ID: u64 = 77_771;
const EPOCH: u64 = 3;
const VIEW: u64 = 70_000;
const PARENT_VIEW: u64 = 69_998;
const PACKETS: u64 = 11;
const PROVEN: usize = 6;

/// A certificate over a block with an outbox of eleven packets, and the path of one of them.
fn vector() -> Value {
    let mut rng = TestRng::new(1);
    let mut identities: Vec<_> = (0..4).map(ed25519::PrivateKey::from_seed).collect();
    identities.sort_by_key(|key| key.public_key());
    let members: Set<_> = identities
        .iter()
        .map(|key| key.public_key())
        .try_collect()
        .unwrap();
    let (output, shares) =
        feldman_desmedt::deal::<MinSig, _, N3f1>(&mut rng, Mode::NonZeroCounter, members.clone())
            .unwrap();
    let namespace = certificate::namespace(CHAIN_ID);
    let schemes: Vec<Scheme> = identities
        .iter()
        .map(|identity| {
            Scheme::signer(
                &namespace,
                members.clone(),
                output.public().clone(),
                shares.get_value(&identity.public_key()).unwrap().clone(),
            )
            .unwrap()
        })
        .collect();

    let commitments: Vec<B256> = (0..PACKETS).map(|n| keccak256(n.to_be_bytes())).collect();
    let mut frontier = Frontier::default();
    for commitment in &commitments {
        frontier.append(*commitment).unwrap();
    }
    let leaves: Vec<B256> = (0..)
        .zip(&commitments)
        .map(|(index, commitment)| outbox::leaf(index, *commitment))
        .collect();
    let rest_hash = keccak256("the rest of a header");
    let digest = header::digest(frontier.root(), rest_hash);
    let proposal = Proposal::new(
        Round::new(Epoch::new(EPOCH), View::new(VIEW)),
        View::new(PARENT_VIEW),
        block::digest(digest),
    );

    // The message that we and the contract build is the one that commonware signs.
    let names = Namespace::derive(&namespace);
    let subject = Subject::Finalize {
        proposal: &proposal,
    };
    let signed = commonware_utils::union_unique(subject.namespace(&names), &subject.message());
    let message = certificate::message(CHAIN_ID, EPOCH, VIEW, PARENT_VIEW, digest);
    assert_eq!(signed, message);

    let votes: Vec<_> = schemes
        .iter()
        .take(3)
        .map(|scheme| Finalize::sign(scheme, proposal.clone()).unwrap())
        .collect();
    let finalization = Finalization::from_finalizes(&schemes[0], non_empty![@&votes], &Sequential)
        .expect("three of four");
    assert!(finalization.verify(&mut rng, &schemes[3], &Sequential));

    let signature = finalization.certificate.get().unwrap();
    json!({
        "about": "Three of four validators finalize a block whose outbox holds eleven packets.",
        "chainId": CHAIN_ID,
        "groupKey": bls::public_key(output.public().public()).unwrap(),
        "groupKeyCompressed": alloy::hex::encode_prefixed(output.public().public().encode()),
        "epoch": EPOCH,
        "view": VIEW,
        "parentView": PARENT_VIEW,
        "restHash": rest_hash,
        "outboxSize": frontier.size(),
        "outboxTree": frontier.tree(),
        "outboxRoot": frontier.root(),
        "digest": digest,
        "message": alloy::hex::encode_prefixed(message),
        "signature": bls::signature(signature).unwrap(),
        "signatureCompressed": alloy::hex::encode_prefixed(signature.encode()),
        "leaf": {
            "index": PROVEN,
            "commitment": commitments[PROVEN],
            "path": outbox::path_over(&leaves, PROVEN).unwrap(),
        },
    })
}

#[test]
fn the_committed_vector_is_what_the_chain_makes() {
    let made = serde_json::to_string_pretty(&vector()).unwrap() + "\n";
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/vectors/certificate.json");
    if std::env::var_os("MILEVERSE_WRITE_VECTORS").is_some() {
        std::fs::write(&path, &made).unwrap();
    }
    assert_eq!(
        std::fs::read_to_string(&path).unwrap(),
        made,
        "write the vectors anew"
    );
}

#[test]
fn every_part_of_a_certificate_counts() {
    let vector = vector();
    let text = |name: &str| vector[name].as_str().unwrap().to_owned();
    let bytes = |name: &str| alloy::hex::decode(text(name)).unwrap();
    let key = <MinSig as Variant>::Public::decode(Copying(&bytes("groupKeyCompressed"))).unwrap();
    let digest: B256 = text("digest").parse().unwrap();
    let verify = |chain_id, epoch, view, parent_view, digest, signature: &[u8]| {
        let scheme = Scheme::certificate_verifier(&certificate::namespace(chain_id), key);
        let proposal = Proposal::new(
            Round::new(Epoch::new(epoch), View::new(view)),
            View::new(parent_view),
            block::digest(digest),
        );
        <MinSig as Variant>::Signature::decode(Copying(signature)).is_ok_and(|point| {
            let finalization: Finalization<Scheme, block::Digest> = Finalization {
                proposal,
                certificate:
                    commonware_cryptography::bls12381::certificate::threshold::Certificate::new(
                        point,
                    ),
            };
            finalization.verify(&mut TestRng::new(2), &scheme, &Sequential)
        })
    };
    let good = bytes("signatureCompressed");
    assert!(verify(CHAIN_ID, EPOCH, VIEW, PARENT_VIEW, digest, &good));
    assert!(
        !verify(CHAIN_ID + 1, EPOCH, VIEW, PARENT_VIEW, digest, &good),
        "other chain id"
    );
    assert!(
        !verify(CHAIN_ID, EPOCH + 1, VIEW, PARENT_VIEW, digest, &good),
        "other epoch"
    );
    assert!(
        !verify(CHAIN_ID, EPOCH, VIEW + 1, PARENT_VIEW, digest, &good),
        "other view"
    );
    assert!(
        !verify(CHAIN_ID, EPOCH, VIEW, PARENT_VIEW + 1, digest, &good),
        "other parent"
    );
    assert!(
        !verify(CHAIN_ID, EPOCH, VIEW, PARENT_VIEW, keccak256("x"), &good),
        "other digest"
    );
    let mut bent = good.clone();
    bent[47] ^= 1;
    assert!(
        !verify(CHAIN_ID, EPOCH, VIEW, PARENT_VIEW, digest, &bent),
        "other signature"
    );
    let mut identity = vec![0; 48];
    identity[0] = 0xc0;
    assert!(
        !verify(CHAIN_ID, EPOCH, VIEW, PARENT_VIEW, digest, &identity),
        "identity point"
    );
    assert!(
        !verify(CHAIN_ID, EPOCH, VIEW, PARENT_VIEW, digest, &good[..47]),
        "truncated"
    );
    let longer = [good.as_slice(), &[0]].concat();
    assert!(
        !verify(CHAIN_ID, EPOCH, VIEW, PARENT_VIEW, digest, &longer),
        "over-long"
    );
}
