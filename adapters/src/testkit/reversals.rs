//! Reversals: after, before and instead of a debit.

use super::steps::{Scene, expect};
use super::{Bench, LATE, Outcome, Part};
use crate::{Debit, Known, Refusal, Reversal};

async fn reverse(scene: &Scene<'_>) -> Reversal {
    scene.bench.adapter().reverse(&scene.reference).await
}

async fn acknowledged(scene: &Scene<'_>) -> Outcome {
    expect("reversal", &reverse(scene).await, &Reversal::Acknowledged)
}

async fn applied(scene: &Scene<'_>, miles: u64) -> Outcome {
    match scene.debit(miles).await {
        Debit::Applied { .. } => Ok(()),
        other => Err(format!("the debit came to {other:?}")),
    }
}

pub async fn reversal(bench: &dyn Bench) -> Outcome {
    let scene = Scene::of(bench, Part::Honest).await?;
    applied(&scene, 5).await?;
    for _ in 0..2 {
        acknowledged(&scene).await?;
        scene.taken(0).await?;
    }
    expect("inquiry", &scene.found().await?, &Known::Reversed)?;
    let again = scene.debit(5).await;
    expect(
        "the debit again",
        &again,
        &Debit::Refused(Refusal::Reversed),
    )?;
    scene.taken(0).await
}

pub async fn tombstone(bench: &dyn Bench) -> Outcome {
    let scene = Scene::of(bench, Part::Honest).await?;
    acknowledged(&scene).await?;
    let late = scene.debit(5).await;
    expect("the late debit", &late, &Debit::Refused(Refusal::Reversed))?;
    scene.taken(0).await
}

pub async fn late_success(bench: &dyn Bench) -> Outcome {
    let scene = Scene::of(bench, Part::Late).await?;
    scene.unknown_debit(3).await?;
    acknowledged(&scene).await?;
    bench.advance_clock(LATE).await?;
    scene.taken(0).await?;
    match scene.found().await? {
        Known::Reversed | Known::Refused(Refusal::Reversed) => scene.taken(0).await,
        other => Err(format!("the inquiry came to {other:?}")),
    }
}

pub async fn deaf(bench: &dyn Bench) -> Outcome {
    let scene = Scene::of(bench, Part::Deaf).await?;
    applied(&scene, 5).await?;
    for _ in 0..5 {
        match reverse(&scene).await {
            Reversal::Acknowledged => return scene.taken(0).await,
            Reversal::Unknown(_) => {}
            Reversal::Refused(why) => return Err(format!("the reversal was refused: {why}")),
        }
    }
    Err("the reversal was never acknowledged".to_owned())
}

pub async fn refused(bench: &dyn Bench) -> Outcome {
    let scene = Scene::of(bench, Part::Final).await?;
    applied(&scene, 5).await?;
    match reverse(&scene).await {
        Reversal::Refused(_) => scene.taken(5).await,
        other => Err(format!("the reversal came to {other:?}")),
    }
}

pub async fn nothing_to_reverse(bench: &dyn Bench) -> Outcome {
    let scene = Scene::of(bench, Part::Refuse).await?;
    let refused = Debit::Refused(Refusal::InsufficientMiles);
    expect("the debit", &scene.debit(1).await, &refused)?;
    acknowledged(&scene).await?;
    scene.taken(0).await
}
