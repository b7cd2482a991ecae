//! Endorsements, what a last block may carry, and the adoption of shares: rules without a network.

use crate::{CHAIN_ID, EPOCH, MOST};
use commonware_codec::{Decode as _, DecodeExt as _, Encode as _};
use commonware_consensus::types::Epoch;
use commonware_cryptography::{
    Signer as _,
    bls12381::{
        dkg::feldman_desmedt,
        primitives::{group::Share, sharing::Mode, variant::MinSig},
    },
    certificate::Provider as _,
    ed25519,
};
use commonware_glue::dkg::{
    Registrar, SecretStore as _,
    types::{EpochInfo, EpochOutcome, Payload, SchemeInfo},
};
use commonware_runtime::{Runner as _, deterministic};
use commonware_utils::{
    N3f1, NZU32, TestRng, TryCollect as _,
    ordered::{Map, Set},
    sequence::Unit,
};
use mileverse_consensus::{
    block::PublicKey,
    engine::{memory::MemorySecrets, schemes::Schemes},
    rotation::{
        self, Endorsement, Output, Refused,
        adopt::Adopting,
        handover::{self, Misplaced},
        pool::{Handover, Pool},
        proof,
        wire::Testimony,
    },
};
use std::sync::{Arc, Mutex};

/// A trusted deal stands for a ceremony.
struct Deal {
    signers: Vec<ed25519::PrivateKey>,
    players: Set<PublicKey>,
    output: Output,
    shares: Map<PublicKey, Share>,
}

fn deal(seed: u64, players: u64) -> Deal {
    let mut signers: Vec<_> = (0..players).map(ed25519::PrivateKey::from_seed).collect();
    signers.sort_by_key(|signer| signer.public_key());
    let set: Set<PublicKey> = signers
        .iter()
        .map(|signer| signer.public_key())
        .try_collect()
        .unwrap();
    let (output, shares) = feldman_desmedt::deal::<MinSig, _, N3f1>(
        &mut TestRng::new(seed),
        Mode::NonZeroCounter,
        set.clone(),
    )
    .unwrap();
    Deal {
        signers,
        players: set,
        output,
        shares,
    }
}

fn endorsements(deal: &Deal, epoch: u64, count: usize) -> Vec<Endorsement> {
    deal.signers[..count]
        .iter()
        .map(|signer| proof::endorse(signer, CHAIN_ID, epoch, proof::hash(&deal.output)))
        .collect()
}

type Info = EpochInfo<MinSig, PublicKey>;

fn artifact(deal: &Deal, outcome: EpochOutcome) -> Info {
    EpochInfo {
        outcome,
        epoch: Epoch::new(EPOCH + 1),
        output: deal.output.clone(),
        players: deal.players.clone(),
        next_players: deal.players.clone(),
        directory: Unit,
    }
}

fn judge(derived: &Info, carried: &Info, endorsements: &[Endorsement]) -> Result<(), Misplaced> {
    handover::check(
        CHAIN_ID,
        Some(&Payload::EpochInfo(derived.clone())),
        Some(&Payload::EpochInfo(carried.clone())),
        endorsements,
    )
}

#[test]
fn a_last_block_hands_over_with_a_quorum_only() {
    let old = deal(1, 4);
    let new = deal(2, 4);
    let derived = artifact(&old, EpochOutcome::Success);
    let offer = |count| Handover {
        epoch: EPOCH,
        output: new.output.clone(),
        endorsements: endorsements(&new, EPOCH, count),
    };

    // As derived, with nothing endorsed.
    assert_eq!(judge(&derived, &derived, &[]), Ok(()));
    assert_eq!(
        judge(&derived, &derived, &endorsements(&new, EPOCH, 3)),
        Err(Misplaced::Endorsements)
    );

    // Three and four of four endorse; two do not suffice.
    for count in [3, 4] {
        let (carried, endorsed) = handover::apply(derived.clone(), Some(offer(count)));
        assert_eq!(carried.output, new.output);
        assert_eq!(judge(&derived, &carried, &endorsed), Ok(()));
        assert_ne!(judge(&derived, &carried, &[]), Ok(()));
    }
    let (carried, endorsed) = handover::apply(derived.clone(), Some(offer(2)));
    assert_eq!(
        judge(&derived, &carried, &endorsed),
        Err(Refused::TooFew { have: 2, need: 3 }.into())
    );

    // After a failed resharing that keeps the same committee it hands over too.
    let failed = artifact(&old, EpochOutcome::Failure);
    let (carried, endorsed) = handover::apply(failed.clone(), Some(offer(3)));
    assert_eq!(carried.outcome, EpochOutcome::Success);
    assert_eq!(judge(&failed, &carried, &endorsed), Ok(()));

    // Nothing but the output may differ.
    let (mut carried, endorsed) = handover::apply(derived.clone(), Some(offer(3)));
    carried.players = deal(3, 7).players;
    assert_eq!(
        judge(&derived, &carried, &endorsed),
        Err(Misplaced::Artifact)
    );
    assert_eq!(
        handover::check(
            CHAIN_ID,
            Some(&Payload::EpochInfo(derived.clone())),
            None,
            &[]
        ),
        Err(Misplaced::Artifact)
    );

    // A leader does not offer a key of another epoch or other players, nor the same key.
    let late = Handover {
        epoch: EPOCH - 1,
        ..offer(3)
    };
    let others = Handover {
        output: deal(3, 7).output,
        ..offer(3)
    };
    let same = Handover {
        output: old.output.clone(),
        ..offer(3)
    };
    for useless in [late, others, same] {
        let (carried, endorsed) = handover::apply(derived.clone(), Some(useless));
        assert_eq!(carried, derived);
        assert!(endorsed.is_empty());
    }
}

#[test]
fn endorsements_that_lie_admit_no_key() {
    let new = deal(2, 4);
    let check = |endorsements: &[Endorsement]| {
        proof::check(CHAIN_ID, EPOCH, &new.output, &new.players, endorsements)
    };
    let good = endorsements(&new, EPOCH, 3);
    assert_eq!(check(&good), Ok(()));

    // Of another epoch, chain or output.
    assert_eq!(
        check(&endorsements(&new, EPOCH + 1, 3)),
        Err(Refused::Forged)
    );
    assert_eq!(
        proof::check(CHAIN_ID + 1, EPOCH, &new.output, &new.players, &good),
        Err(Refused::Forged)
    );
    let other = deal(4, 4);
    assert_eq!(
        proof::check(CHAIN_ID, EPOCH, &other.output, &new.players, &good),
        Err(Refused::Forged)
    );

    // Twice the same player, and out of order.
    let mut twice = good.clone();
    twice[1] = twice[0].clone();
    assert_eq!(check(&twice), Err(Refused::Order));
    let mut turned = good.clone();
    turned.swap(0, 2);
    assert_eq!(check(&turned), Err(Refused::Order));

    // Somebody else's, and one player's under another's name.
    let stranger = ed25519::PrivateKey::from_seed(999);
    let mut foreign = good.clone();
    foreign.push(proof::endorse(
        &stranger,
        CHAIN_ID,
        EPOCH,
        proof::hash(&new.output),
    ));
    foreign.sort_by(|a, b| a.player.cmp(&b.player));
    assert_eq!(check(&foreign), Err(Refused::Stranger));
    let mut forged = good.clone();
    forged[1].signature = forged[0].signature.clone();
    assert_eq!(check(&forged), Err(Refused::Forged));

    // A key for other players.
    assert_eq!(
        proof::check(CHAIN_ID, EPOCH, &new.output, &deal(3, 7).players, &good),
        Err(Refused::Players)
    );
    assert_eq!(check(&[]), Err(Refused::TooFew { have: 0, need: 3 }));
}

#[test]
fn a_pool_keeps_one_word_of_each_player() {
    let new = deal(2, 4);
    let other = deal(3, 4);
    let mut pool = Pool::new(CHAIN_ID, EPOCH, new.players.clone());
    let say = |deal: &Deal, epoch, player: usize| Testimony {
        epoch,
        endorsement: endorsements(deal, epoch, 4)[player].clone(),
        output: deal.output.clone(),
    };

    assert_eq!(pool.add(say(&new, EPOCH + 1, 0)), Ok(false));
    assert_eq!(pool.add(say(&new, EPOCH, 0)), Ok(true));
    assert_eq!(pool.add(say(&new, EPOCH, 0)), Ok(false));
    // A second word, for another key, is not heard.
    assert_eq!(pool.add(say(&other, EPOCH, 0)), Ok(false));
    assert_eq!(pool.add(say(&other, EPOCH, 3)), Ok(true));
    assert_eq!(pool.count(), 1);
    assert_eq!(pool.add(say(&new, EPOCH, 1)), Ok(true));
    assert_eq!(pool.handover(), None);
    let mut forged = say(&new, EPOCH, 2);
    forged.output = other.output.clone();
    assert_eq!(pool.add(forged), Err(Refused::Forged));
    assert_eq!(
        pool.add(Testimony {
            endorsement: proof::endorse(
                &ed25519::PrivateKey::from_seed(999),
                CHAIN_ID,
                EPOCH,
                proof::hash(&new.output)
            ),
            ..say(&new, EPOCH, 2)
        }),
        Err(Refused::Stranger)
    );
    assert_eq!(pool.add(say(&new, EPOCH, 2)), Ok(true));
    let handover = pool.handover().unwrap();
    assert_eq!(handover.output, new.output);
    assert_eq!(handover.endorsements, endorsements(&new, EPOCH, 3));
}

#[test]
fn testimonies_are_decoded_exactly() {
    let new = deal(2, 7);
    let testimony = Testimony {
        epoch: EPOCH,
        endorsement: endorsements(&new, EPOCH, 1)[0].clone(),
        output: new.output,
    };
    let bytes = testimony.encode();
    assert!(bytes.len() <= rotation::max_payload_size(NZU32!(7)));
    assert_eq!(
        Testimony::decode_cfg(bytes.clone(), &MOST).unwrap(),
        testimony
    );
    assert!(Testimony::decode_cfg(bytes.clone(), &NZU32!(4)).is_err());
    for short in 0..bytes.len() {
        assert!(Testimony::decode_cfg(bytes.slice(..short), &MOST).is_err());
    }
    let longer = [bytes.as_ref(), &[0]].concat();
    assert!(Testimony::decode_cfg(bytes::Bytes::from(longer), &MOST).is_err());
    let endorsement = testimony.endorsement.encode();
    assert_eq!(endorsement.len(), 96);
    assert_eq!(
        Endorsement::decode(endorsement).unwrap(),
        testimony.endorsement
    );
}

#[derive(Clone, Default)]
struct Registered(Arc<Mutex<Vec<SchemeInfo<MinSig, PublicKey>>>>);

impl Registrar for Registered {
    type Variant = MinSig;
    type PublicKey = PublicKey;

    async fn register(&self, _: Epoch, info: SchemeInfo<MinSig, PublicKey>) {
        self.0.lock().unwrap().push(info);
    }
}

#[test]
fn a_share_is_adopted_with_its_own_key_only() {
    deterministic::Runner::default().start(|_| async move {
        let old = deal(1, 4);
        let new = deal(2, 4);
        let me = new.signers[2].public_key();
        let share = new.shares.get_value(&me).unwrap().clone();
        let next = Epoch::new(EPOCH + 1);
        let member = |deal: &Deal| {
            SchemeInfo::new(
                &me,
                deal.players.clone(),
                deal.output.public().clone(),
                None,
            )
        };
        let signer = SchemeInfo::new(
            &me,
            new.players.clone(),
            new.output.public().clone(),
            Some(share.clone()),
        );
        let mut rotations = MemorySecrets::default();
        rotations.put_share(Epoch::new(EPOCH), share.clone()).await;
        let mut chain = MemorySecrets::default();
        let registered = Registered::default();
        let registrar = Adopting::new(registered.clone(), chain.clone(), rotations.clone());
        let last = || registered.0.lock().unwrap().last().unwrap().clone();

        // The rotation came to nothing: the old key goes on, and this node has no share of it.
        registrar.register(next, member(&old)).await;
        assert_eq!(last(), member(&old));
        assert_eq!(chain.get_share(next).await, None);
        // A share of the ceremony of another epoch is not looked for.
        registrar.register(next.next(), member(&new)).await;
        assert_eq!(last(), member(&new));

        // The handover is final; delivered again after a crash, it ends the same way.
        for _ in 0..2 {
            registrar.register(next, member(&new)).await;
            assert_eq!(last(), signer);
            assert_eq!(chain.get_share(next).await, Some(share.clone()));
            assert_eq!(rotations.get_share(Epoch::new(EPOCH)).await, None);
        }

        // Others pass through.
        let stranger = SchemeInfo::Verifier {
            participants: new.players.clone(),
            sharing: new.output.public().clone(),
        };
        registrar.register(next, stranger.clone()).await;
        assert_eq!(last(), stranger);
    });
}

#[test]
fn a_certificate_of_an_epoch_whose_key_is_unknown_is_set_aside() {
    deterministic::Runner::default().start(|_| async move {
        let old = deal(1, 4);
        let new = deal(2, 4);
        let info = |deal: &Deal| SchemeInfo::Verifier {
            participants: deal.players.clone(),
            sharing: deal.output.public().clone(),
        };
        let fresh = || Schemes::new(b"namespace", *old.output.public().public());
        let known = |schemes: &Schemes, epoch| schemes.scoped(Epoch::new(epoch)).is_some();

        // From the beginning on: an epoch at a time, as they are registered.
        let schemes = fresh();
        assert!(known(&schemes, 0));
        for epoch in 1..=9 {
            assert!(!known(&schemes, epoch));
            let deal = if epoch < 5 { &old } else { &new };
            schemes.register(Epoch::new(epoch), info(deal)).await;
            assert!((0..=epoch).all(|before| known(&schemes, before)));
        }

        // After a restart: the history is told from the state.
        let schemes = fresh();
        schemes.register(Epoch::new(41), info(&new)).await;
        assert!(known(&schemes, 41));
        assert!(!known(&schemes, 40) && !known(&schemes, 42));
        schemes.learn([(20, *new.output.public().public())], 41);
        assert!((0..=41).all(|epoch| known(&schemes, epoch)));
        assert!(!known(&schemes, 42));
        schemes.register(Epoch::new(42), info(&new)).await;
        assert!(known(&schemes, 42) && !known(&schemes, 43));
    });
}
