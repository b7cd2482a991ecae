//! Many at once.

use super::steps::Scene;
use super::{Bench, Outcome, Part};
use crate::{Debit, Refusal};
use futures::future::join_all;

/// How many at once.
const CROWD: usize = 40;

pub async fn many(bench: &dyn Bench) -> Outcome {
    let first = Scene::of(bench, Part::Slow).await?;
    let debits = (0..CROWD).map(|_| async {
        let reference = bench.reference();
        let miles = crate::Miles::new(1);
        bench
            .adapter()
            .debit(&first.session, &reference, miles)
            .await
    });
    let mut names = Vec::new();
    for outcome in join_all(debits).await {
        match outcome {
            Debit::Applied { partner_reference } => names.push(partner_reference),
            other => return Err(format!("one of {CROWD} debits came to {other:?}")),
        }
    }
    names.sort_unstable();
    names.dedup();
    if names.len() != CROWD {
        return Err(format!("{CROWD} debits have only {} names", names.len()));
    }
    first.taken(u64::try_from(CROWD).unwrap_or(u64::MAX)).await
}

pub async fn one_reference(bench: &dyn Bench) -> Outcome {
    let scene = Scene::of(bench, Part::Honest).await?;
    let outcomes = join_all((0..CROWD).map(|_| scene.debit(9))).await;
    // Some may be told that it is being worked on; none may be refused.
    if let Some(other) = outcomes
        .iter()
        .find(|outcome| matches!(outcome, Debit::Refused(_)))
    {
        return Err(format!("one of {CROWD} repeats came to {other:?}"));
    }
    scene.found_applied(9).await?;
    scene.taken(9).await
}

pub async fn last_mile(bench: &dyn Bench) -> Outcome {
    let scene = Scene::of(bench, Part::Honest).await?;
    let all = crate::Miles::new(scene.before);
    let (one, other) = (bench.reference(), bench.reference());
    let outcomes: [Debit; 2] = tokio::join!(
        bench.adapter().debit(&scene.session, &one, all),
        bench.adapter().debit(&scene.session, &other, all),
    )
    .into();
    let won = outcomes
        .iter()
        .filter(|outcome| matches!(outcome, Debit::Applied { .. }))
        .count();
    let refused = Debit::Refused(Refusal::InsufficientMiles);
    let lost = outcomes
        .iter()
        .filter(|outcome| **outcome == refused)
        .count();
    if (won, lost) != (1, 1) {
        return Err(format!("the race came to {outcomes:?}"));
    }
    scene.taken(scene.before).await?;
    // The winner is reversed, so that the member has miles for the next scenario.
    for reference in [one, other] {
        bench.adapter().reverse(&reference).await;
    }
    scene.taken(0).await
}
