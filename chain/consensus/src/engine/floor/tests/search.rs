//! The search without a network: honest peers, peers that lag, and peers that lie.

use super::{Chain, Committee, EPOCH_BLOCKS, name};
use crate::{
    block::{Block, Digest, Payload, PublicKey},
    engine::floor::{
        Floor, Opening, epoch,
        opening::Wrong,
        search::{Lie, Search, Torn},
        wire::{Latest, MAX_KEYS},
    },
    system::System,
};
use commonware_consensus::types::Epoch;
use commonware_utils::TestRng;
use mileverse_primitives::B256;
use std::sync::Arc;

type Say = Arc<dyn Fn(u64) -> Option<Latest>>;
type Open = Arc<dyn Fn(u64) -> Option<Opening>>;

/// Somebody who answers.
#[derive(Clone)]
struct Peer {
    name: PublicKey,
    /// Given the newest key that is known.
    latest: Say,
    opening: Open,
}

impl Peer {
    fn honest(seed: u64, chain: &Chain, epoch: u64, view: u64) -> Self {
        let (told, opened) = (chain.clone(), chain.clone());
        Self {
            name: name(seed),
            latest: Arc::new(move |after| Some(told.latest(epoch, view, after))),
            opening: Arc::new(move |epoch| Some(opened.opening(epoch))),
        }
    }

    fn telling(self, latest: Latest) -> Self {
        Self {
            latest: Arc::new(move |_| Some(latest.clone())),
            ..self
        }
    }

    fn opening(self, opening: impl Fn(u64) -> Option<Opening> + 'static) -> Self {
        Self {
            opening: Arc::new(opening),
            ..self
        }
    }
}

#[derive(Debug)]
struct Outcome {
    floor: Option<Floor>,
    lies: Vec<(PublicKey, Lie)>,
    torn: Option<Torn>,
}

impl Outcome {
    fn place(&self) -> (u64, u64) {
        let floor = self.floor.as_ref().expect("a floor is found");
        assert_eq!(floor.info.epoch.get(), epoch(&floor.finalization));
        let view = floor.finalization.proposal.round.view().get();
        (epoch(&floor.finalization), view)
    }

    fn keys(&self) -> Vec<u64> {
        let floor = self.floor.as_ref().expect("a floor is found");
        floor.keys.iter().filter_map(Opening::epoch).collect()
    }
}

fn begin(chain: &Chain) -> Search {
    Search::new(chain.schemes(), chain.genesis(), 0, EPOCH_BLOCKS)
}

/// Some rounds of questions to these peers, in this order.
fn ask(search: &mut Search, peers: &[Peer]) -> Outcome {
    let mut rng = TestRng::new(7);
    let mut outcome = Outcome {
        floor: None,
        lies: Vec::new(),
        torn: None,
    };
    for _ in 0..4 {
        for peer in peers {
            let known = search.known();
            if let Some(latest) = (peer.latest)(known) {
                let lies = search.told(&mut rng, peer.name.clone(), known, latest);
                outcome.lies.extend(lies);
            }
            outcome.floor = search.found();
            if outcome.floor.is_some() {
                return outcome;
            }
        }
        loop {
            let mut progress = false;
            for (epoch, asked) in search.wanted() {
                for peer in peers.iter().filter(|peer| asked.contains(&peer.name)) {
                    let Some(opening) = (peer.opening)(epoch) else {
                        continue;
                    };
                    progress = true;
                    match search.opened(&mut rng, &peer.name, opening) {
                        Ok(lies) => outcome.lies.extend(lies),
                        Err(torn) => {
                            outcome.torn = Some(torn);
                            return outcome;
                        }
                    }
                }
            }
            outcome.floor = search.found();
            if !progress || outcome.floor.is_some() {
                break;
            }
        }
        if outcome.floor.is_some() {
            break;
        }
    }
    outcome
}

#[test]
fn the_highest_of_enough_answers_is_the_floor() {
    let chain = Chain::rotating(&mut TestRng::new(1), &[]);
    let peers = [
        Peer::honest(0, &chain, 0, 9),
        Peer::honest(1, &chain, 3, 5),
        Peer::honest(2, &chain, 3, 8),
    ];
    // One of four may be anybody.
    let alone = ask(&mut begin(&chain), &peers[..1]);
    assert!(alone.floor.is_none() && alone.lies.is_empty());
    let two = ask(&mut begin(&chain), &peers[..2]);
    assert_eq!(two.place(), (3, 5));
    assert!(two.keys().is_empty());
    // Whoever it is that proves a later block.
    let stranger = Peer::honest(77, &chain, 3, 12);
    let with = [stranger, peers[1].clone(), peers[2].clone()];
    assert_eq!(ask(&mut begin(&chain), &with).place(), (3, 12));
}

#[test]
fn keys_are_learnt_one_after_the_other() {
    for (at, floor) in [
        (&[2][..], (6, 3)),
        (&[2, 5], (9, 3)),
        // In the very epoch that a new key opened.
        (&[2, 5], (5, 1)),
        (&[1], (1, 1)),
    ] {
        let chain = Chain::rotating(&mut TestRng::new(2), at);
        let peers = [2, 3].map(|seed| Peer::honest(seed, &chain, floor.0, floor.1));
        let outcome = ask(&mut begin(&chain), &peers);
        assert_eq!(outcome.place(), floor);
        assert_eq!(outcome.keys(), at);
        assert!(outcome.lies.is_empty());
    }
}

#[test]
fn the_first_committee_is_not_needed() {
    let mut rng = TestRng::new(3);
    let chain = Chain::new([
        (0, Committee::deal(&mut rng, 0..4)),
        (4, Committee::deal(&mut rng, 10..17)),
    ]);
    let peer = |seed| Peer::honest(seed, &chain, 8, 3);
    // Strangers to the first committee are believed as members of one that is proven.
    let mut search = begin(&chain);
    let two = ask(&mut search, &[peer(10), peer(12), peer(50), peer(51)]);
    assert!(two.floor.is_none(), "two of seven may lie");
    let committee = search.committee().unwrap();
    assert_eq!(committee.epoch, Epoch::new(8));
    assert_eq!(committee.output.players(), &chain.committee(8).members);
    let three = ask(&mut search, &[peer(16)]);
    assert_eq!(three.place(), (8, 3));
    assert_eq!(three.keys(), [4]);
}

#[test]
fn who_lags_is_neither_blocked_nor_followed() {
    let chain = Chain::rotating(&mut TestRng::new(4), &[3]);
    let outcome = ask(
        &mut begin(&chain),
        &[Peer::honest(0, &chain, 1, 2), Peer::honest(1, &chain, 6, 2)],
    );
    assert_eq!(outcome.place(), (6, 2));
    assert!(outcome.lies.is_empty());
    // Below a floor that the node had before, nothing counts.
    let mut search = Search::new(chain.schemes(), chain.genesis(), 5, EPOCH_BLOCKS);
    let old = [0, 1, 2].map(|seed| Peer::honest(seed, &chain, 4, 2));
    let outcome = ask(&mut search, &old);
    assert!(outcome.floor.is_none() && outcome.lies.is_empty());
    let new = [0, 1].map(|seed| Peer::honest(seed, &chain, 5, 2));
    assert_eq!(ask(&mut search, &new).place(), (5, 2));
}

/// A liar who speaks first, or between honest peers, is found out, and the floor is theirs.
fn found_out(chain: &Chain, liar: &Peer, lie: Option<Lie>, orders: &[usize]) {
    let honest = [1, 2].map(|seed| Peer::honest(seed, chain, 9, 4));
    for order in orders {
        let mut search = begin(chain);
        let mut lies = Vec::new();
        for peer in &honest[..*order] {
            lies.extend(ask(&mut search, std::slice::from_ref(peer)).lies);
        }
        let told = ask(&mut search, std::slice::from_ref(liar));
        assert!(told.floor.is_none(), "{told:?}");
        lies.extend(told.lies);
        let last = ask(&mut search, &honest[*order..]);
        lies.extend(last.lies.clone());
        assert_eq!(last.place(), (9, 4));
        assert_eq!(last.keys(), [2, 5]);
        assert_eq!(
            lies,
            Vec::from_iter(lie.map(|lie| (liar.name.clone(), lie)))
        );
    }
}

const FIRST: &[usize] = &[0];
const ANY: &[usize] = &[0, 1];

#[test]
fn false_certificates_and_false_lists_are_found_out() {
    let mut rng = TestRng::new(5);
    let chain = Chain::rotating(&mut rng, &[2, 5]);
    let liar = Peer::honest(0, &chain, 9, 50);
    let forger = Committee::deal(&mut rng, 0..4);

    let mut forged = chain.latest(9, 50, 0);
    forged.floor = forger.certify(9, 50, Digest::from([1; 32]));
    found_out(&chain, &liar.clone().telling(forged), Some(Lie::Floor), ANY);

    let mut omits = chain.latest(9, 50, 0);
    omits.keys = vec![2];
    found_out(
        &chain,
        &liar.clone().telling(omits),
        Some(Lie::Floor),
        FIRST,
    );

    let mut invents = chain.latest(9, 50, 0);
    invents.keys = vec![2, 3, 5];
    found_out(
        &chain,
        &liar.clone().telling(invents.clone()),
        Some(Lie::Change),
        ANY,
    );
    // Silence proves nothing, and gains nothing.
    let truth = chain.clone();
    let silent = liar
        .telling(invents)
        .opening(move |epoch| (epoch != 3).then(|| truth.opening(epoch)));
    found_out(&chain, &silent, None, ANY);
}

#[test]
fn false_openings_are_found_out() {
    let mut rng = TestRng::new(6);
    let chain = Chain::rotating(&mut rng, &[2, 5]);
    let forger = Committee::deal(&mut rng, 0..4);
    let other = Chain::new([(0, chain.0[&0].clone()), (2, forger.clone())]);
    let bent = |bend: fn(&mut Block)| {
        let mut block = chain.block(2);
        bend(&mut block);
        chain.certified(2, &block)
    };
    let swap = |block: &Block| {
        let genuine = chain.opening(2);
        let mut payload = chain.committee(0).certify(1, 22, Digest::from([0; 32]));
        payload.proposal.payload = crate::block::digest(chain.block(2).header.digest());
        assert!(genuine.info().is_some());
        Opening::of(payload, block).unwrap()
    };
    let forged = Chain::new([(0, forger.clone()), (2, forger)]).certified(2, &other.block(2));
    for (opening, wrong) in [
        (swap(&other.block(2)), Wrong::Block),
        (swap(&chain.block(2)), Wrong::Certificate),
        (forged, Wrong::Certificate),
        (
            bent(|block| block.header.system_root = B256::ZERO),
            Wrong::Section,
        ),
        (bent(|block| block.header.height += 1), Wrong::Place),
        (bent(|block| block.header.turn.epoch += 1), Wrong::Place),
        (
            bent(|block| {
                let Some(Payload::EpochInfo(info)) = &mut block.system.payload else {
                    return;
                };
                info.epoch = Epoch::new(3);
                block.header.system_root = System::root(&block.system);
            }),
            Wrong::Epoch,
        ),
    ] {
        let liar = Peer::honest(0, &chain, 9, 50).opening(move |_| Some(opening.clone()));
        found_out(&chain, &liar, Some(Lie::Opening(wrong)), FIRST);
    }
}

#[test]
fn a_retired_key_certifies_nothing_any_more() {
    let chain = Chain::rotating(&mut TestRng::new(8), &[2, 5]);
    // A quorum that held the genesis key goes on with it, as if nobody had rotated.
    let undead = Chain::new([(0, chain.0[&0].clone())]);
    let liar = Peer::honest(0, &undead, 30, 1);
    found_out(&chain, &liar, Some(Lie::Floor), ANY);
}

#[test]
fn two_handovers_from_one_key_end_the_search() {
    let mut rng = TestRng::new(9);
    let chain = Chain::rotating(&mut rng, &[4]);
    for at in [2, 6] {
        let other = Chain::new([
            (0, chain.0[&0].clone()),
            (at, Committee::deal(&mut rng, 0..4)),
        ]);
        let [one, two] = [Peer::honest(0, &chain, 9, 2), Peer::honest(1, &other, 9, 3)];
        for peers in [[&one, &two], [&two, &one]] {
            let outcome = ask(&mut begin(&chain), &peers.map(Clone::clone));
            assert!(outcome.floor.is_none());
            assert!(outcome.torn.is_some(), "{at}: {:?}", outcome.lies);
        }
    }
}

#[test]
fn a_later_handover_from_a_retired_key_is_a_lie() {
    let mut rng = TestRng::new(9);
    let chain = Chain::rotating(&mut rng, &[4]);
    for at in [2, 4, 6] {
        let other = Chain::new([
            (0, chain.0[&0].clone()),
            (at, Committee::deal(&mut rng, 0..4)),
        ]);
        let mut search = begin(&chain);
        // What is known already need not be named again.
        assert!(
            ask(&mut search, &[Peer::honest(0, &chain, 9, 2)])
                .lies
                .is_empty()
        );
        let outcome = ask(&mut search, &[Peer::honest(1, &other, 9, 3)]);
        assert!(outcome.torn.is_none() && outcome.floor.is_none());
        assert_eq!(outcome.lies.len(), 1, "{at}");
    }
}

#[test]
fn a_history_longer_than_one_answer_is_learnt() {
    let mut rng = TestRng::new(10);
    let count = u64::try_from(MAX_KEYS).unwrap() + 3;
    let chain = Chain::new((0..=count).map(|n| (2 * n, Committee::deal(&mut rng, [n]))));
    // The first committee has one member, which is enough to be believed, if it still answers.
    let outcome = ask(
        &mut begin(&chain),
        &[Peer::honest(0, &chain, 2 * count + 1, 1)],
    );
    assert_eq!(outcome.place(), (2 * count + 1, 1));
    assert_eq!(outcome.keys().len() as u64, count);
    assert!(outcome.lies.is_empty());
}

#[test]
fn what_nobody_was_asked_for_changes_nothing() {
    let chain = Chain::rotating(&mut TestRng::new(11), &[2]);
    let mut search = begin(&chain);
    let mut rng = TestRng::new(0);
    let opened = search.opened(&mut rng, &name(0), chain.opening(2)).unwrap();
    assert!(opened.is_empty());
    assert_eq!(search.known(), 0);
    assert!(search.wanted().is_empty());
}
