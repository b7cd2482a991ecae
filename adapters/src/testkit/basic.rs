//! Who is who, balances, a debit once, refusals.

use super::steps::{Scene, expect};
use super::{Bench, Outcome, Part};
use crate::{AskError, Debit, Known, Miles, Refusal};
use secrecy::SecretString;

pub async fn reachable(bench: &dyn Bench) -> Outcome {
    let reachable = bench.adapter().reachable().await;
    reachable.map_err(|error| error.to_string())
}

pub async fn authentication(bench: &dyn Bench) -> Outcome {
    let scene = Scene::of(bench, Part::Honest).await?;
    let adapter = bench.adapter();
    let balance = adapter.balance(&scene.session).await;
    let balance = balance.map_err(|error| error.to_string())?;
    expect("balance", &balance.get(), &scene.before)?;
    let refused = Err(AskError::MemberRefused);
    let wrong = SecretString::from("not-the-password");
    for login in [
        bench.login(Part::Honest).login,
        "nobody@nowhere.example".to_owned(),
    ] {
        let outcome = adapter.authenticate(&login, &wrong).await.map(|_| ());
        expect(
            &format!("{login} with a wrong password"),
            &outcome,
            &refused,
        )?;
    }
    // Another member's secret, of the right form for this partner.
    let other = bench.login(Part::Blocked).secret;
    let login = bench.login(Part::Honest).login;
    let outcome = adapter.authenticate(&login, &other).await.map(|_| ());
    expect("another member's password", &outcome, &refused)
}

pub async fn debit_once(bench: &dyn Bench) -> Outcome {
    let scene = Scene::of(bench, Part::Honest).await?;
    let first = scene.debit(7).await;
    let Debit::Applied { partner_reference } = &first else {
        return Err(format!("the debit came to {first:?}"));
    };
    expect("the same again", &scene.debit(7).await, &first)?;
    scene
        .unknown_debit(8)
        .await
        .map_err(|why| format!("other miles under the same reference: {why}"))?;
    scene.taken(7).await?;
    let known = Known::Applied {
        partner_reference: partner_reference.clone(),
        member: scene.session.member.clone(),
        miles: Miles::new(7),
    };
    if bench.adapter().capabilities().inquiry {
        expect("inquiry", &scene.found().await?, &known)?;
    }
    Ok(())
}

pub async fn above_balance(bench: &dyn Bench) -> Outcome {
    let scene = Scene::of(bench, Part::Honest).await?;
    let outcome = scene.debit(scene.before.saturating_add(1)).await;
    let refused = Debit::Refused(Refusal::InsufficientMiles);
    expect("the debit", &outcome, &refused)?;
    scene.taken(0).await
}

pub async fn refusals(bench: &dyn Bench) -> Outcome {
    for (part, refusal) in [
        (Part::Blocked, Refusal::AccountBlocked),
        (Part::Refuse, Refusal::InsufficientMiles),
    ] {
        let scene = Scene::of(bench, part).await?;
        expect(part.name(), &scene.debit(1).await, &Debit::Refused(refusal))?;
        expect("inquiry", &scene.found().await?, &Known::Refused(refusal))?;
        scene.taken(0).await?;
    }
    Ok(())
}
