//! Discovery over a simulated network, with peers that follow a script.

use super::{Chain, Committee, EPOCH_BLOCKS, name};
use crate::{
    block::PublicKey,
    engine::{
        floor::{
            Floor, Opening,
            discovery::{self, Circle},
            epoch,
            search::Search,
            wire::{self, Message},
        },
        peers::Peers,
    },
};
use commonware_p2p::{
    Receiver as _, Recipients, Sender as _,
    simulated::{self, Link, Network, Oracle},
};
use commonware_runtime::{
    Clock as _, IoBuf, Quota, Runner as _, Spawner as _, Supervisor as _, deterministic,
};
use commonware_utils::{NZU32, NZUsize, Probability, TestRng, probability};
use std::{
    future::Future,
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

type Context = deterministic::Context;

const CHANNEL: u64 = 10;
pub(super) const NEWCOMER: u64 = 99;

/// What somebody does when asked.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Script {
    Honest,
    /// Is at an epoch before all rotations.
    Old,
    /// Tells of a block that nobody certified.
    ForgesBlock,
    /// Opens epochs with another committee.
    ForgesOpenings,
    /// Never opens an epoch.
    Withholds,
    /// Answers what cannot be read.
    Babbles,
    /// Answers truly, after a hundred lies that nobody asked for.
    Floods,
}

pub(super) struct Net {
    pub(super) oracle: Oracle<PublicKey, Context>,
    success: Probability,
    context: Context,
}

impl Net {
    pub(super) fn new(context: &Context, success: Probability) -> Self {
        let (network, oracle) = Network::new(
            context.child("network"),
            simulated::Config {
                max_size: crate::engine::largest_message(
                    mileverse_primitives::limits::BlockLimits::of(30_000_000),
                ),
                max_peers_per_set: NZUsize!(64),
                disconnect_on_block: true,
                tracked_peer_sets: NZUsize!(6),
            },
        );
        network.start();
        Self {
            oracle,
            success,
            context: context.child("net"),
        }
    }

    pub(super) async fn channel(
        &self,
        peer: &PublicKey,
    ) -> (
        simulated::Sender<PublicKey, Context>,
        simulated::Receiver<PublicKey>,
    ) {
        self.oracle
            .control(peer.clone())
            .register(CHANNEL, Quota::per_second(NZU32!(64)))
            .await
            .unwrap()
    }

    /// Somebody who answers so many milliseconds after the question.
    pub(super) async fn peer(&self, seed: u64, chain: &Chain, script: Script, delay: u64) {
        let (me, newcomer) = (name(seed), name(NEWCOMER));
        let link = Link {
            latency: Duration::from_millis(delay / 2),
            jitter: Duration::from_millis(delay / 20),
            success_rate: self.success,
        };
        for (from, to) in [(&me, &newcomer), (&newcomer, &me)] {
            self.oracle
                .add_link(from.clone(), to.clone(), link.clone())
                .await
                .unwrap();
        }
        let (mut sender, mut receiver) = self.channel(&me).await;
        let chain = chain.clone();
        self.context.child("peer").spawn(move |_| async move {
            let mut rng = TestRng::new(seed);
            let forger = Committee::deal(&mut rng, 0..4);
            while let Ok((asker, message)) = receiver.recv().await {
                let to = || Recipients::One(asker.clone());
                if script == Script::Babbles {
                    let _ = sender.send(to(), IoBuf::from(vec![2u8; 300]), false);
                    continue;
                }
                let other = |at| Chain::new([(0, chain.0[&0].clone()), (at, forger.clone())]);
                let answer = match Message::read(message).unwrap() {
                    Message::AskLatest { after } => {
                        if script == Script::Floods {
                            let lie = wire::answer_opening(&other(2).opening(2));
                            for _ in 0..100 {
                                let _ = sender.send(to(), lie.clone(), false);
                            }
                        }
                        let mut latest = match script {
                            Script::Old => chain.latest(1, 4, after),
                            _ => chain.latest(9, 4 + seed, after),
                        };
                        if script == Script::ForgesBlock {
                            let payload = latest.floor.proposal.payload;
                            latest.floor = forger.certify(9, 900, payload);
                        }
                        wire::answer_latest(&latest)
                    }
                    Message::AskOpening { .. } if script == Script::Withholds => continue,
                    Message::AskOpening { epoch } if script == Script::ForgesOpenings => {
                        let forged = Chain::new([(0, forger.clone())]).opening(epoch);
                        wire::answer_opening(&forged)
                    }
                    Message::AskOpening { epoch } => wire::answer_opening(&chain.opening(epoch)),
                    other => panic!("not a question: {other:?}"),
                };
                let _ = sender.send(to(), answer, false);
            }
        });
    }

    /// Searches as a newcomer to whom `named` were named.
    async fn search(&self, context: &mut Context, chain: &Chain, named: &[u64]) -> Floor {
        let me = name(NEWCOMER);
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 9000));
        let guests = named.iter().map(|seed| (name(*seed), address.into()));
        // Known to others as one who was let in.
        let guests = guests.chain([(me.clone(), address.into())]);
        let peers = Peers::new(self.oracle.socket_manager(), guests);
        let first = chain.genesis();
        let circle = Circle {
            named: &peers.named(),
            peers,
            blocker: self.oracle.control(me.clone()),
            first: &first,
        };
        let search = Search::new(chain.schemes(), first.clone(), 0, EPOCH_BLOCKS);
        let (mut sender, mut receiver) = self.channel(&me).await;
        discovery::run(context, circle, search, &mut sender, &mut receiver)
            .await
            .unwrap()
    }

    pub(super) async fn blocked(&self) -> Vec<PublicKey> {
        let blocked = self.oracle.blocked().await.unwrap();
        assert!(blocked.iter().all(|(by, _)| *by == name(NEWCOMER)));
        let mut blocked: Vec<_> = blocked.into_iter().map(|(_, who)| who).collect();
        blocked.sort();
        blocked
    }
}

pub(super) fn run<F: Future<Output = ()>>(test: impl Fn(Context) -> F) {
    for seed in 0..3 {
        let config = deterministic::Config::default()
            .with_seed(seed)
            .with_timeout(Some(Duration::from_secs(600)));
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            deterministic::Runner::new(config).start(&test);
        }));
        if let Err(panic) = outcome {
            eprintln!("failed with seed {seed}");
            std::panic::resume_unwind(panic);
        }
    }
}

fn names(seeds: &[u64]) -> Vec<PublicKey> {
    let mut names: Vec<_> = seeds.iter().map(|seed| name(*seed)).collect();
    names.sort();
    names
}

pub(super) fn seven(rng: &mut TestRng, at: &[u64]) -> Chain {
    let epochs = [0].iter().chain(at);
    Chain::new(epochs.map(|epoch| (*epoch, Committee::deal(rng, 0..7))))
}

#[test]
fn liars_are_blocked_and_others_are_not() {
    run(|mut context| async move {
        let chain = seven(&mut TestRng::new(1), &[2, 5]);
        let net = Net::new(&context, probability!(1.0));
        // Those who lie are the first to answer.
        let scripts = [
            Script::ForgesBlock,
            Script::ForgesOpenings,
            Script::Babbles,
            Script::Old,
            Script::Withholds,
            Script::Floods,
            Script::Honest,
        ];
        for (seed, script) in (0..).zip(scripts) {
            net.peer(seed, &chain, script, 20 + 40 * seed).await;
        }
        let floor = net.search(&mut context, &chain, &[]).await;
        assert_eq!(epoch(&floor.finalization), 9);
        let keys: Vec<_> = floor.keys.iter().filter_map(Opening::epoch).collect();
        assert_eq!(keys, [2, 5]);
        assert_eq!(floor.info, chain.info(9));
        // Who withholds cannot be told from who is slow; who floods is not listened to.
        assert_eq!(net.blocked().await, names(&[0, 1, 2]));
    });
}

#[test]
fn over_lossy_lines_nobody_is_blocked() {
    run(|mut context| async move {
        let chain = seven(&mut TestRng::new(2), &[2, 5]);
        let net = Net::new(&context, probability!(0.5));
        for seed in 0..7 {
            net.peer(seed, &chain, Script::Honest, 100).await;
        }
        let floor = net.search(&mut context, &chain, &[]).await;
        assert_eq!(epoch(&floor.finalization), 9);
        assert_eq!(net.blocked().await, []);
    });
}

#[test]
fn when_the_first_committee_is_gone_the_newest_is_asked() {
    run(|mut context| async move {
        let mut rng = TestRng::new(3);
        let chain = Chain::new([
            (0, Committee::deal(&mut rng, 0..4)),
            (4, Committee::deal(&mut rng, 10..14)),
        ]);
        let net = Net::new(&context, probability!(1.0));
        // One of them, and one who is no delegate, were named; the others are met through them.
        for seed in 10..14 {
            net.peer(seed, &chain, Script::Honest, 50).await;
        }
        net.peer(50, &chain, Script::Honest, 50).await;
        let floor = net.search(&mut context, &chain, &[10, 50]).await;
        assert_eq!(floor.info, chain.info(9));
        assert_eq!(floor.keys.len(), 1);
        assert_eq!(net.blocked().await, []);
    });
}

#[test]
fn it_waits_for_enough() {
    run(|mut context| async move {
        let chain = seven(&mut TestRng::new(4), &[2]);
        let net = Net::new(&context, probability!(1.0));
        for seed in 0..2 {
            net.peer(seed, &chain, Script::Honest, 50).await;
        }
        let waited = Duration::from_secs(30);
        let late = context.child("late").spawn({
            let (chain, oracle) = (chain.clone(), net.oracle.clone());
            move |context| async move {
                context.sleep(waited).await;
                let net = Net {
                    oracle,
                    success: probability!(1.0),
                    context,
                };
                net.peer(2, &chain, Script::Honest, 50).await;
                // Whoever answers lives below this task.
                std::future::pending::<()>().await;
            }
        });
        let began = context.current();
        let floor = net.search(&mut context, &chain, &[]).await;
        assert_eq!(floor.info, chain.info(9));
        assert!(context.current().duration_since(began).unwrap() >= waited);
        late.abort();
    });
}
