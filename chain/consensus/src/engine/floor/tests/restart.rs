//! A search that is interrupted, and one that is repeated.

use super::{
    Chain, EPOCH_BLOCKS, name,
    network::{NEWCOMER, Net, Script, run, seven},
};
use crate::watch;
use crate::{
    application::Tip,
    engine::{
        floor::{Config, Found, Start, epoch, find},
        peers::Peers,
        schemes::Schemes,
    },
    sync::{Phase, Progress},
};
use commonware_runtime::{Clock as _, Supervisor as _, deterministic};
use commonware_utils::{TestRng, ordered::Set, probability};
use futures::future::{Either, select};
use std::{
    future::Future,
    pin::{Pin, pin},
    time::Duration,
};

type Context = deterministic::Context;

/// One start of the newcomer, up to where marshal would start.
async fn begin(
    context: Context,
    net: &Net,
    chain: &Chain,
    schemes: &Schemes,
    start: Start,
    progress: &Progress,
) -> Found<Context> {
    let me = name(NEWCOMER);
    let address = std::net::SocketAddr::from((std::net::Ipv4Addr::LOCALHOST, 9000));
    let header = chain.block(1).header;
    let (_tip, tips) = watch::channel(Tip {
        digest: header.digest(),
        header,
    });
    let config = Config {
        start,
        prefix: "newcomer",
        peers: Peers::new(net.oracle.socket_manager(), [(me.clone(), address.into())]),
        blocker: net.oracle.control(me.clone()),
        schemes,
        first: chain.genesis(),
        named: Set::default(),
        epoch_blocks: EPOCH_BLOCKS,
        tip: tips,
        progress,
    };
    find(context, config, net.channel(&me).await).await.unwrap()
}

/// Whether a search is not at its end after some rounds.
async fn goes_on<T>(context: &Context, search: Pin<&mut impl Future<Output = T>>) -> bool {
    let rounds = pin!(context.sleep(Duration::from_secs(5)));
    matches!(select(search, rounds).await, Either::Right(_))
}

#[test]
fn a_search_that_is_cut_off_begins_again() {
    run(|context| async move {
        let chain = seven(&mut TestRng::new(1), &[2, 5]);
        let net = Net::new(&context, probability!(1.0));
        // Two of the three that it takes: the keys are proven, and the floor is not certain.
        for seed in 0..2 {
            net.peer(seed, &chain, Script::Honest, 50).await;
        }
        let progress = Progress::default();
        let schemes = chain.schemes();
        let searching = begin(
            context.child("first"),
            &net,
            &chain,
            &schemes,
            Start::Sync,
            &progress,
        );
        assert!(goes_on(&context, pin!(searching)).await);
        assert_eq!(progress.now().phase, Phase::Discovering);
        // Nothing is learnt before the end.
        assert_eq!(schemes.changes(0), Some(vec![]));
        assert_eq!(schemes.changes(2), None);

        net.peer(2, &chain, Script::Honest, 50).await;
        let found = begin(
            context.child("second"),
            &net,
            &chain,
            &schemes,
            Start::Sync,
            &progress,
        )
        .await;
        assert_eq!(found.plan.floor().map(epoch), Some(9));
        assert_eq!(progress.now().phase, Phase::Syncing);
        assert_eq!(schemes.changes(9), Some(vec![2, 5]));
        found.handle.abort();
    });
}

#[test]
fn a_floor_and_its_keys_are_there_after_a_restart() {
    run(|context| async move {
        let chain = seven(&mut TestRng::new(2), &[2, 5]);
        let progress = Progress::default();
        let before = {
            let net = Net::new(&context.child("early"), probability!(1.0));
            for seed in 0..3 {
                net.peer(seed, &chain, Script::Honest, 50).await;
            }
            let schemes = chain.schemes();
            let found = begin(
                context.child("first"),
                &net,
                &chain,
                &schemes,
                Start::Sync,
                &progress,
            )
            .await;
            found.handle.abort();
            found.plan.floor().cloned().unwrap()
        };
        assert_eq!(epoch(&before), 9);

        // Later its peers are others, and those who are behind cannot take it back. It was not told
        // to sync, and goes on with it nevertheless.
        let net = Net::new(&context.child("late"), probability!(1.0));
        for seed in 0..3 {
            net.peer(seed, &chain, Script::Old, 20).await;
        }
        let schemes = chain.schemes();
        let searching = begin(
            context.child("second"),
            &net,
            &chain,
            &schemes,
            Start::Replay,
            &progress,
        );
        let mut searching = pin!(searching);
        assert!(goes_on(&context, searching.as_mut()).await);
        // The keys are known from the disk.
        assert_eq!(schemes.changes(5), Some(vec![2, 5]));
        for seed in 3..6 {
            net.peer(seed, &chain, Script::Honest, 50).await;
        }
        let found = searching.await;
        let after = found.plan.floor().unwrap();
        assert!(after.proposal.round >= before.proposal.round);
        assert_eq!(net.blocked().await, []);
        found.handle.abort();
    });
}
