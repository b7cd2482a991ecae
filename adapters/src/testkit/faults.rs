//! Answers that are missing, false, late or nonsense.

use super::steps::{Scene, expect};
use super::{Bench, LATE, Outcome, Part};
use crate::{Debit, Inquiry, Known, Refusal};

pub async fn unheard(bench: &dyn Bench) -> Outcome {
    for part in [Part::Timeout, Part::Failure, Part::Nonsense, Part::Status] {
        let scene = Scene::of(bench, part).await?;
        scene.unknown_debit(3).await?;
        scene.taken(3).await?;
        scene.found_applied(3).await?;
        scene.taken(3).await?;
    }
    Ok(())
}

pub async fn unheard_refusal(bench: &dyn Bench) -> Outcome {
    let scene = Scene::of(bench, Part::TimeoutRefused).await?;
    scene.unknown_debit(3).await?;
    let refused = Known::Refused(Refusal::InsufficientMiles);
    expect("inquiry", &scene.found().await?, &refused)?;
    scene.taken(0).await
}

pub async fn never_arrived(bench: &dyn Bench) -> Outcome {
    let scene = Scene::of(bench, Part::Lost).await?;
    scene.unknown_debit(3).await?;
    expect("inquiry", &scene.inquire().await, &Inquiry::NotFound)?;
    scene.taken(0).await
}

pub async fn maintenance(bench: &dyn Bench) -> Outcome {
    let scene = Scene::of(bench, Part::Maintenance).await?;
    scene.unknown_debit(3).await?;
    let first = scene.inquire().await;
    if !matches!(first, Inquiry::Unknown(_)) {
        return Err(format!("an inquiry during maintenance came to {first:?}"));
    }
    for _ in 0..10 {
        match scene.inquire().await {
            Inquiry::Unknown(_) => {}
            Inquiry::NotFound => return scene.taken(0).await,
            other @ Inquiry::Found(_) => return Err(format!("the inquiry came to {other:?}")),
        }
    }
    Err("maintenance never ended".to_owned())
}

pub async fn unseen(bench: &dyn Bench) -> Outcome {
    let scene = Scene::of(bench, Part::Unseen).await?;
    scene.unknown_debit(3).await?;
    expect(
        "the first inquiry",
        &scene.inquire().await,
        &Inquiry::NotFound,
    )?;
    scene.found_applied(3).await?;
    scene.taken(3).await
}

pub async fn duplicate(bench: &dyn Bench) -> Outcome {
    let scene = Scene::of(bench, Part::Duplicate).await?;
    // Whether the adapter looks by itself or leaves it unknown: never refused, and found after.
    let outcome = scene.debit(3).await;
    if matches!(outcome, Debit::Refused(_)) {
        return Err(format!("the debit came to {outcome:?}"));
    }
    scene.found_applied(3).await?;
    scene.taken(3).await
}

pub async fn slow(bench: &dyn Bench) -> Outcome {
    let scene = Scene::of(bench, Part::Slow).await?;
    let outcome = scene.debit(3).await;
    if !matches!(outcome, Debit::Applied { .. }) {
        return Err(format!("the debit came to {outcome:?}"));
    }
    scene.taken(3).await
}

pub async fn late(bench: &dyn Bench) -> Outcome {
    let scene = Scene::of(bench, Part::Late).await?;
    scene.unknown_debit(3).await?;
    expect("inquiry before", &scene.inquire().await, &Inquiry::NotFound)?;
    scene.taken(0).await?;
    bench.advance_clock(LATE).await?;
    scene.found_applied(3).await?;
    scene.taken(3).await
}
