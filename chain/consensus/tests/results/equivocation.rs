//! The watch among nodes: honest leaders, one that shows two blocks, floods.

use crate::support::{CHAIN_ID, Context, Net, header, seeds, word};
use commonware_codec::Encode as _;
use commonware_cryptography::Signer as _;
use commonware_p2p::{Recipients, Sender as _};
use commonware_runtime::Supervisor as _;
use mileverse_consensus::{
    equivocation::{AHEAD, Actor, Config, Hearing, Metrics, Watch},
    evidence::{Evidence, Kind, Store},
    proposal::SignedHeader,
};
use mileverse_primitives::{B256, header::Turn};

const CHANNEL: u64 = 8;
const EPOCH: u64 = 1;

struct Node {
    watch: Watch,
    store: Store,
}

async fn start(net: &Net, node: usize) -> Node {
    let store = net.store(node);
    let context = net.context.child("watch").with_attribute("number", node);
    let watch = Watch::new(Config {
        chain_id: CHAIN_ID,
        committees: net.committees.clone(),
        evidence: store.clone(),
        metrics: Metrics::new(&context),
        start: Turn {
            epoch: EPOCH,
            view: 1,
            parent_view: 0,
            leader: B256::ZERO,
        },
    });
    let actor = Actor::new(context.child("actor"), watch.clone(), net.control(node));
    actor.start(net.channel(node, CHANNEL).await);
    Node { watch, store }
}

/// The scheduled leader's header for a view.
fn proposal(net: &Net, view: u64, salt: u8) -> SignedHeader {
    let leader = net.committees.get(EPOCH).unwrap().leader(view);
    let key = net.keys.iter().find(|key| word(key) == leader).unwrap();
    SignedHeader::sign(CHAIN_ID, header(leader, EPOCH, view, salt), key)
}

#[test]
fn honest_leaders_leave_no_evidence() {
    seeds(|context: Context| async move {
        let net = Net::new(context, 4, 0, 0.1).await;
        let mut nodes = Vec::new();
        for node in 0..4 {
            nodes.push(start(&net, node).await);
        }
        for view in 1..=50 {
            let one = proposal(&net, view, 1);
            for (at, node) in nodes.iter().enumerate() {
                // Some are slow, and learn of it as final only.
                if !(view + at as u64).is_multiple_of(3) {
                    node.watch.on_proposal(&one);
                }
                node.watch.on_final(&one);
            }
        }
        net.quiet().await;
        for node in &nodes {
            assert!(node.store.open_entries().is_empty());
            assert_eq!(node.watch.metrics().remembered.get(), 50);
        }
        assert!(net.blocked().await.is_empty());
    });
}

#[test]
fn two_headers_shown_to_different_peers_are_proof_everywhere() {
    seeds(|context: Context| async move {
        let net = Net::new(context, 5, 0, 0.0).await;
        let view = 7;
        let leader = net.committees.get(EPOCH).unwrap().leader(view);
        let honest: Vec<usize> = (0..5).filter(|n| word(&net.keys[*n]) != leader).collect();
        let mut nodes = Vec::new();
        for node in &honest {
            nodes.push(start(&net, *node).await);
        }
        let (one, other) = (proposal(&net, view, 1), proposal(&net, view, 2));
        // One half votes for each; the last node sees none of them.
        nodes[0].watch.on_proposal(&one);
        nodes[1].watch.on_proposal(&one);
        nodes[2].watch.on_proposal(&other);
        net.until("proof everywhere", || {
            nodes
                .iter()
                .all(|node| node.store.has(leader, Kind::DoubleProposal))
        })
        .await;
        for node in &nodes {
            let found = node.store.open_entries();
            assert_eq!(found.len(), 1);
            assert!(found[0].holds(CHAIN_ID));
            assert_eq!(found[0].offender(), leader);
            let Evidence::DoubleProposal { first, second } = &found[0] else {
                panic!("{found:?}");
            };
            assert!([&one, &other].contains(&&**first));
            assert!([&one, &other].contains(&&**second));
        }
        assert!(net.blocked().await.is_empty(), "bearers are not to blame");
    });
}

#[test]
fn who_voted_for_the_loser_has_proof_when_the_winner_is_final() {
    seeds(|context: Context| async move {
        let net = Net::new(context, 4, 0, 0.0).await;
        let node = start(&net, 0).await;
        let bystander = start(&net, 1).await;
        assert_eq!(
            node.watch.on_proposal(&proposal(&net, 3, 1)),
            Hearing::First
        );
        assert_eq!(node.watch.on_final(&proposal(&net, 3, 2)), Hearing::Proven);
        assert_eq!(node.watch.on_final(&proposal(&net, 3, 2)), Hearing::Known);
        let leader = proposal(&net, 3, 1).header.turn.leader;
        net.until("the bystander is told", || {
            bystander.store.has(leader, Kind::DoubleProposal)
        })
        .await;
    });
}

#[test]
fn invented_views_fill_nothing_and_cost_the_inventor_its_connection() {
    seeds(|context: Context| async move {
        let net = Net::new(context, 4, 1, 0.0).await;
        let node = start(&net, 0).await;
        node.watch.on_final(&proposal(&net, 20, 1));
        let victim = net.keys[0].public_key();
        // A member that signs headers for every view there is, its own turns and others'.
        let liar = 1;
        let (mut channel, _hears) = net.channel(liar, CHANNEL).await;
        let leader = word(&net.keys[liar]);
        for view in
            (21..20_000).filter(|view| net.committees.get(EPOCH).unwrap().leader(*view) == leader)
        {
            let list = vec![proposal(&net, view, 1)];
            channel.send(Recipients::One(victim.clone()), list.encode(), false);
            if view % 500 == 0 {
                net.quiet().await;
            }
        }
        net.quiet().await;
        let remembered = node.watch.metrics().remembered.get();
        assert!(
            remembered >= 20,
            "its own turns ahead are heard: {remembered}"
        );
        assert!(
            remembered <= i64::try_from(AHEAD).unwrap() / 4 + 3,
            "{remembered}"
        );
        assert!(net.blocked().await.is_empty(), "early is no crime");
        let foreign =
            (21..).find(|view| net.committees.get(EPOCH).unwrap().leader(*view) != leader);
        let foreign = header(leader, EPOCH, foreign.unwrap(), 1);
        let stolen = SignedHeader::sign(CHAIN_ID, foreign, &net.keys[liar]);
        assert_eq!(node.watch.hear(&stolen), Hearing::Stranger);
        let mut forged = proposal(&net, 25, 1);
        forged.signature[5] ^= 1;
        for (sender, bytes) in [(liar, vec![stolen].encode()), (4, vec![forged].encode())] {
            let mut channel = net.channel(sender, CHANNEL).await.0;
            for _ in 0..4 {
                channel.send(Recipients::One(victim.clone()), bytes.clone(), false);
                net.quiet().await;
            }
            let name = net.keys[sender].public_key();
            assert!(net.blocked().await.iter().any(|(_, whom)| *whom == name));
        }
        assert!(node.store.open_entries().is_empty());
    });
}
