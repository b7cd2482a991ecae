//! The history on disk: it survives restarts, and nothing is believed because it is there.

use super::{Chain, Committee, EPOCH_BLOCKS};
use crate::engine::{floor::history::History, schemes::Schemes};
use commonware_runtime::{Runner as _, Supervisor as _, deterministic};
use commonware_utils::TestRng;

type Context = deterministic::Context;

async fn open(context: &Context, start: &'static str, schemes: &Schemes) -> History<Context> {
    let mut rng = TestRng::new(0);
    History::open(
        context.child(start),
        &mut rng,
        "test",
        schemes,
        EPOCH_BLOCKS,
    )
    .await
    .unwrap()
}

#[test]
fn keys_are_known_again_after_a_restart() {
    deterministic::Runner::default().start(|context| async move {
        let chain = Chain::rotating(&mut TestRng::new(1), &[2, 300]);
        let openings = [2, 300].map(|epoch| chain.opening(epoch));
        let history = open(&context, "first", &chain.schemes()).await;
        assert!(history.epochs().is_empty());
        drop(history.keep(openings.clone()).await.unwrap());

        let schemes = chain.schemes();
        let history = open(&context, "second", &schemes).await;
        assert_eq!(history.epochs(), [2, 300]);
        assert_eq!(history.get(2), Some(&openings[0]));
        assert_eq!(schemes.changes(300), Some(vec![2, 300]));
        assert_eq!(schemes.changes(299), Some(vec![2]));
        assert_eq!(schemes.changes(301), None, "there may be later ones");
        for (epoch, verifier) in schemes.verifiers() {
            assert_eq!(*verifier.identity(), chain.committee(epoch).key());
        }
    });
}

#[test]
fn what_proves_nothing_is_dropped_with_all_that_follows() {
    deterministic::Runner::default().start(|context| async move {
        let mut rng = TestRng::new(2);
        let chain = Chain::rotating(&mut rng, &[2, 5, 9]);
        let mut other = chain.clone();
        other.0.insert(2, Committee::deal(&mut rng, 0..4));
        // The opening of 5 is certified under another key than that of 2.
        let openings = [chain.opening(2), other.opening(5), chain.opening(9)];
        let history = open(&context, "first", &chain.schemes()).await;
        drop(history.keep(openings).await.unwrap());

        let schemes = chain.schemes();
        let history = open(&context, "second", &schemes).await;
        assert_eq!(history.epochs(), [2]);
        assert_eq!(schemes.changes(2), Some(vec![2]));
        drop(history);
        let history = open(&context, "third", &chain.schemes()).await;
        assert_eq!(history.epochs(), [2], "for good");
    });
}
