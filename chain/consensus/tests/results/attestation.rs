//! Attestations among nodes: honest, silent, lying, flooding.

use crate::support::{CHAIN_ID, Context, EPOCH_BLOCKS, INTERVAL, Net, seeds, truth, word};
use commonware_codec::Encode as _;
use commonware_cryptography::Signer as _;
use commonware_p2p::{Recipients, Sender as _};
use commonware_runtime::Supervisor as _;
use commonware_utils::NZU64;
use mileverse_consensus::{
    attestation::{Actor, Config, MAX_IN_BLOCK, Metrics, Offer, Pool, Rules, wire},
    evidence::{Evidence, Kind, Store},
    signature::{attestations_are_signed, sign_attestation},
};
use mileverse_primitives::{B256, vote::Attestation};
use std::collections::BTreeSet;

const CHANNEL: u64 = 7;

fn rules() -> Rules {
    Rules {
        chain_id: CHAIN_ID,
        epoch_blocks: NZU64!(EPOCH_BLOCKS),
        interval: NZU64!(INTERVAL),
    }
}

fn attest(net: &Net, node: usize, height: u64, digest: B256) -> Attestation {
    let key = &net.keys[node];
    sign_attestation(key, CHAIN_ID, height / EPOCH_BLOCKS, height, digest)
}

struct Node {
    pool: Pool,
    store: Store,
}

impl Node {
    fn alone(net: &Net, node: usize) -> Self {
        let store = net.store(node);
        let context = net.context.child("node").with_attribute("number", node);
        let pool = Pool::new(
            rules(),
            net.committees.clone(),
            store.clone(),
            Metrics::new(&context.child("attestation")),
            Some(net.keys[node].clone()),
        );
        Self { pool, store }
    }

    async fn start(net: &Net, node: usize) -> Self {
        let made = Self::alone(net, node);
        let config = Config {
            pool: made.pool.clone(),
            blocker: net.control(node),
        };
        let context = net.context.child("actor").with_attribute("number", node);
        Actor::new(context, config).start(net.channel(node, CHANNEL).await);
        made
    }

    fn finalize(&self, heights: std::ops::RangeInclusive<u64>) {
        for height in heights {
            self.pool.on_final(height, truth(height), &[]);
        }
    }

    fn candidates(&self, height: u64) -> Vec<Attestation> {
        self.pool.candidates(height, &BTreeSet::new())
    }
}

async fn start(net: &Net, nodes: std::ops::Range<usize>) -> Vec<Node> {
    let mut started = Vec::new();
    for node in nodes {
        started.push(Node::start(net, node).await);
    }
    started
}

fn places(attestations: &[Attestation]) -> Vec<(u64, B256)> {
    attestations
        .iter()
        .map(|one| (one.height, one.delegate))
        .collect()
}

#[test]
fn every_leader_can_include_every_honest_word() {
    seeds(|context: Context| async move {
        let net = Net::new(context, 4, 0, 0.0).await;
        let nodes = start(&net, 0..4).await;
        for node in &nodes {
            node.finalize(1..=17);
        }
        let expected: Vec<_> = [8, 16]
            .into_iter()
            .flat_map(|height| net.keys.iter().map(move |key| (height, word(key))))
            .collect();
        net.until("all words everywhere", || {
            nodes.iter().all(|node| node.candidates(18).len() == 8)
        })
        .await;
        for node in &nodes {
            let candidates = node.candidates(18);
            assert_eq!(places(&candidates), expected, "by height and delegate");
            assert!(attestations_are_signed(CHAIN_ID, &candidates));
            let taken: BTreeSet<_> = expected[..3].iter().copied().collect();
            assert_eq!(places(&node.pool.candidates(18, &taken)), expected[3..]);
            assert_eq!(node.candidates(16).len(), 4, "not of the block itself");
        }
        // A block takes three of them; the rest wait for the next one, and are said again.
        let block: Vec<_> = nodes[0].candidates(18)[..3].to_vec();
        for node in &nodes {
            node.pool.on_final(18, truth(18), &block);
            assert_eq!(places(&node.candidates(19)), expected[3..]);
            node.finalize(19..=24);
        }
        net.quiet().await;
        for node in &nodes {
            assert_eq!(
                node.candidates(25).len(),
                5 + 4,
                "what was included is not back"
            );
            node.finalize(25..=49);
            assert!(places(&node.candidates(50)).iter().all(|(at, _)| *at >= 18));
            assert!(node.store.open_entries().is_empty());
        }
        assert!(net.blocked().await.is_empty());
    });
}

#[test]
fn words_get_through_a_lossy_network_and_to_those_who_are_behind() {
    seeds(|context: Context| async move {
        let net = Net::new(context, 4, 0, 0.25).await;
        let nodes = start(&net, 0..4).await;
        // Node 3 is slow: it hears of results that it has not got yet.
        for height in 1..=32 {
            for node in &nodes[..3] {
                node.finalize(height..=height);
            }
            if height % INTERVAL == 0 {
                net.quiet().await;
            }
        }
        assert!(nodes[3].candidates(33).is_empty());
        nodes[3].finalize(1..=32);
        net.until("the slow one knows what the others said", || {
            nodes[3].candidates(33).len() >= 9
        })
        .await;
        net.until("the first result has three words at least", || {
            nodes[..3].iter().all(|node| {
                let first = node.candidates(33);
                first.iter().filter(|one| one.height == INTERVAL).count() >= 3
            })
        })
        .await;
    });
}

#[test]
fn a_silent_delegate_holds_up_nobody() {
    seeds(|context: Context| async move {
        let net = Net::new(context, 4, 0, 0.0).await;
        let nodes = start(&net, 0..3).await;
        for node in &nodes {
            node.finalize(1..=8);
        }
        net.until("three words", || {
            nodes.iter().all(|node| node.candidates(9).len() == 3)
        })
        .await;
        assert!(
            nodes
                .iter()
                .all(|node| node.store.open_entries().is_empty())
        );
    });
}

#[test]
fn a_restart_signs_the_same_bytes() {
    seeds(|context: Context| async move {
        let net = Net::new(context, 4, 0, 0.0).await;
        let peer = Node::start(&net, 1).await;
        peer.finalize(1..=8);
        let (one, other) = (Node::start(&net, 0).await, Node::alone(&net, 0));
        one.finalize(1..=8);
        net.until("its word is out", || peer.candidates(9).len() == 2)
            .await;
        let said = attest(&net, 0, 8, truth(8));
        assert!(peer.candidates(9).contains(&said));
        other.finalize(1..=8);
        assert_eq!(other.pool.offer(said), Offer::Pooled);
        assert_eq!(peer.pool.offer(said), Offer::Known);
    });
}

#[test]
fn a_false_word_becomes_evidence_at_every_honest_node() {
    seeds(|context: Context| async move {
        let net = Net::new(context, 4, 0, 0.0).await;
        let nodes = start(&net, 0..3).await;
        let (mut liar, _hears) = net.channel(3, CHANNEL).await;
        // Two are ready to judge, one executes the block later.
        nodes[0].finalize(1..=8);
        nodes[1].finalize(1..=8);
        let lie = attest(&net, 3, 8, B256::repeat_byte(0xbd));
        let list = vec![wire::Wire(lie), wire::Wire(attest(&net, 3, 8, truth(8)))];
        liar.send(Recipients::All, list.encode(), false);
        net.quiet().await;
        assert!(nodes[2].store.open_entries().is_empty());
        nodes[2].finalize(1..=8);
        net.until("evidence everywhere", || {
            nodes
                .iter()
                .all(|node| !node.store.open_entries().is_empty())
        })
        .await;
        net.quiet().await;
        for node in &nodes {
            let found = node.store.open_entries();
            assert_eq!(found, vec![Evidence::FalseAttestation(lie)]);
            assert!(found[0].holds(CHAIN_ID));
            assert!(!node.candidates(9).contains(&lie));
            // Its true word counts beside the false one.
            assert_eq!(node.candidates(9).len(), 4);
            node.store.recorded(lie.delegate, Kind::FalseAttestation);
            assert!(node.store.open_entries().is_empty());
        }
        // Saying it again, or another lie for that height, changes nothing.
        let another = vec![wire::Wire(attest(&net, 3, 8, B256::repeat_byte(0xbe)))];
        liar.send(Recipients::All, another.encode(), false);
        net.quiet().await;
        assert!(
            nodes
                .iter()
                .all(|node| node.store.open_entries().is_empty())
        );
        assert!(net.blocked().await.is_empty());
    });
}

#[test]
fn what_no_honest_node_sends_is_counted_and_blocked() {
    seeds(|context: Context| async move {
        let net = Net::new(context, 4, 1, 0.0).await;
        let node = Node::start(&net, 0).await;
        node.finalize(1..=8);
        let honest = attest(&net, 1, 8, truth(8));
        let mut forged = attest(&net, 2, 8, truth(8));
        forged.signature[0] ^= 1;
        let mut odd = attest(&net, 3, 9, truth(9));
        let messages = |list: Vec<Attestation>| {
            let list: Vec<_> = list.into_iter().map(wire::Wire).collect();
            list.encode()
        };
        odd.epoch = 1;
        for (sender, message) in [
            (1, messages(vec![forged])),
            (2, messages(vec![forged])),
            (3, messages(vec![odd])),
            (4, messages(vec![attest(&net, 4, 8, truth(8))])),
        ] {
            let (mut channel, _hears) = net.channel(sender, CHANNEL).await;
            let name = net.keys[sender].public_key();
            let victim = net.keys[0].public_key();
            for _ in 0..3 {
                channel.send(Recipients::One(victim.clone()), message.clone(), false);
                net.quiet().await;
            }
            let blocked = |all: &[(_, _)]| all.iter().any(|(_, whom)| *whom == name);
            assert!(!blocked(&net.blocked().await), "patience with {sender}");
            channel.send(Recipients::One(victim.clone()), message.clone(), false);
            net.quiet().await;
            assert!(blocked(&net.blocked().await), "no end with {sender}");
        }
        assert_eq!(places(&node.candidates(9)), vec![(8, word(&net.keys[0]))]);
        assert_eq!(
            node.pool.offer(honest),
            Offer::Pooled,
            "the name is not hurt"
        );
        assert!(node.store.open_entries().is_empty());
    });
}

#[test]
fn floods_fill_nothing() {
    seeds(|context: Context| async move {
        let net = Net::new(context, 4, 0, 0.0).await;
        let node = Node::alone(&net, 0);
        node.finalize(1..=100);
        // Every height there is, two lies and the truth for each, signed well.
        let mut outcomes = std::collections::BTreeMap::<_, usize>::new();
        for height in (0..400).step_by(4) {
            for digest in [B256::repeat_byte(1), B256::repeat_byte(2), truth(height)] {
                let offer = node.pool.offer(attest(&net, 1, height, digest));
                *outcomes.entry(format!("{offer:?}")).or_default() += 1;
            }
        }
        let count = |offer: Offer| outcomes.get(&format!("{offer:?}")).copied().unwrap_or(0);
        // Block 101 takes heights from 69: 72, 80, 88, 96; up to 132 may wait, and epoch 3
        // (from 96) has no known committee.
        assert_eq!(count(Offer::Pooled), 3, "{outcomes:?}");
        assert_eq!(count(Offer::False), 3, "{outcomes:?}");
        assert_eq!(count(Offer::Waiting), 0, "{outcomes:?}");
        assert_eq!(count(Offer::Malformed), 50 * 3 + 3, "{outcomes:?}");
        assert!(count(Offer::UnknownEpoch) > 0, "{outcomes:?}");
        assert_eq!(node.candidates(101).len(), 3);
        let members: Vec<B256> = net.keys.iter().map(word).collect();
        net.committees.enter(3, &members).unwrap();
        net.committees.enter(4, &members).unwrap();
        let waiting = (104..400)
            .step_by(8)
            .flat_map(|height| (0..10).map(move |salt| (height, B256::repeat_byte(salt))))
            .filter(|(height, digest)| {
                node.pool.offer(attest(&net, 1, *height, *digest)) == Offer::Waiting
            })
            .count();
        assert_eq!(waiting, 2 * 4, "two for each of 104, 112, 120, 128");
        assert_eq!(node.store.open_entries().len(), 1);
    });
}

#[test]
fn a_block_takes_no_more_than_its_limit() {
    seeds(|context: Context| async move {
        let net = Net::new(context, 99, 0, 0.0).await;
        let node = Node::alone(&net, 0);
        node.finalize(1..=33);
        for height in [8, 16, 24, 32] {
            for delegate in 0..99 {
                node.pool
                    .offer(attest(&net, delegate, height, truth(height)));
            }
        }
        let first = node.candidates(34);
        assert_eq!(first.len(), MAX_IN_BLOCK);
        assert!(first.is_sorted_by_key(|one| (one.height, one.delegate)));
        assert!(attestations_are_signed(CHAIN_ID, &first));
        node.pool.on_final(34, truth(34), &first);
        let next = node.candidates(35);
        assert_eq!(next.len(), MAX_IN_BLOCK);
        assert!(next.iter().all(|one| !first.contains(one)));
        // Two epochs on, epoch 0's results count no more, however wide the window is.
        assert!(
            node.candidates(2 * EPOCH_BLOCKS)
                .iter()
                .all(|one| one.epoch >= 1)
        );
    });
}
