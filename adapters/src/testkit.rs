//! Scenarios that every adapter is put through, whatever its protocol.
//!
//! Whoever writes an adapter describes a partner to test against in a [`Bench`] (a sandbox with
//! members that behave in known ways) and calls [`run`]. Each scenario uses references of its own,
//! so all can run against one partner, again and again.

use crate::{
    Adapter, AskError, Debit, Inquiry, Known, Miles, Reference, Refusal, Reversal, Session,
};
use async_trait::async_trait;
use secrecy::SecretString;
use std::fmt::Write as _;
use std::time::Duration;
use thiserror::Error;
use tokio::time::{self, Instant};

/// How long a scenario waits for a debit to become visible to an inquiry.
const VISIBLE_WITHIN: Duration = Duration::from_secs(30);
const LOOK: Duration = Duration::from_millis(50);

/// Somebody who can log in.
#[derive(Clone, Debug)]
pub struct Login {
    /// Login.
    pub login: String,
    /// Password.
    pub secret: SecretString,
}

/// A partner to test against.
#[async_trait]
pub trait Bench: Send + Sync {
    /// The adapter, set up for that partner.
    fn adapter(&self) -> &dyn Adapter;

    /// A member in good standing with at least 100 miles.
    fn member(&self) -> Login;

    /// Members for whom a debit is applied and its answer never makes sense: silence, a 500,
    /// nonsense, an unknown status. At least 100 miles each.
    fn applied_without_answer(&self) -> Vec<Login>;

    /// Members whose debit never arrives although it was sent.
    fn never_applied(&self) -> Vec<Login>;

    /// Members whose debit is refused, and why.
    fn refused(&self) -> Vec<(Login, Refusal)>;

    /// What the partner's operator sees on a member's account.
    async fn balance_seen_by_operator(&self, member: &str) -> Result<Miles, String>;

    /// A new reference each time.
    fn reference(&self) -> Reference;
}

/// A scenario that did not go as it must.
#[derive(Debug, Error)]
#[error("{scenario}: {what}")]
pub struct Failure {
    /// Which.
    pub scenario: &'static str,
    /// What happened instead.
    pub what: String,
}

type Outcome = Result<(), String>;

/// Runs every scenario, and gives all that failed.
pub async fn run(bench: &dyn Bench) -> Result<(), Vec<Failure>> {
    let mut failures = Vec::new();
    let mut note = |scenario, outcome: Outcome| {
        if let Err(what) = outcome {
            failures.push(Failure { scenario, what });
        }
    };
    note(
        "a member proves who they are, others do not",
        authentication(bench).await,
    );
    note("a debit takes the miles once", debit_once(bench).await);
    note(
        "more than the balance is refused",
        above_balance(bench).await,
    );
    note("refusals are told apart", refusals(bench).await);
    note(
        "an unheard answer is unknown until asked for",
        unheard(bench).await,
    );
    note(
        "a debit that never arrived is not found",
        never_arrived(bench).await,
    );
    note(
        "a reversal gives the miles back once",
        reversal(bench).await,
    );
    note(
        "a reversal before its debit refuses the debit",
        tombstone(bench).await,
    );
    if failures.is_empty() {
        Ok(())
    } else {
        Err(failures)
    }
}

/// All failures as text.
pub fn describe(failures: &[Failure]) -> String {
    failures.iter().fold(String::new(), |mut text, failure| {
        let _ = writeln!(text, "- {failure}");
        text
    })
}

fn expect<T: std::fmt::Debug + PartialEq>(what: &str, got: &T, wanted: &T) -> Outcome {
    if got == wanted {
        Ok(())
    } else {
        Err(format!("{what}: got {got:?}, wanted {wanted:?}"))
    }
}

async fn session(bench: &dyn Bench, login: &Login) -> Result<Session, String> {
    let session = bench
        .adapter()
        .authenticate(&login.login, &login.secret)
        .await;
    session.map_err(|error| format!("{} cannot log in: {error}", login.login))
}

async fn seen(bench: &dyn Bench, session: &Session) -> Result<u64, String> {
    bench
        .balance_seen_by_operator(session.member.as_str())
        .await
        .map(Miles::get)
}

fn less(before: u64, miles: u64) -> Result<u64, String> {
    before
        .checked_sub(miles)
        .ok_or_else(|| format!("the member has only {before} miles"))
}

async fn authentication(bench: &dyn Bench) -> Outcome {
    let member = bench.member();
    let session = session(bench, &member).await?;
    let balance = bench
        .adapter()
        .balance(&session)
        .await
        .map_err(|error| error.to_string())?;
    expect("balance", &balance.get(), &seen(bench, &session).await?)?;
    let refused = Err(AskError::MemberRefused);
    let wrong = SecretString::from("certainly-not-the-password");
    let outcome = bench
        .adapter()
        .authenticate(&member.login, &wrong)
        .await
        .map(|_| ());
    expect("a wrong password", &outcome, &refused)?;
    let outcome = bench
        .adapter()
        .authenticate("nobody@nowhere.example", &wrong)
        .await
        .map(|_| ());
    expect("a stranger", &outcome, &refused)
}

async fn debit_once(bench: &dyn Bench) -> Outcome {
    let (adapter, reference) = (bench.adapter(), bench.reference());
    let session = session(bench, &bench.member()).await?;
    let before = seen(bench, &session).await?;
    let miles = Miles::new(7);
    let first = adapter.debit(&session, &reference, miles).await;
    let Debit::Applied { partner_reference } = &first else {
        return Err(format!("the debit came to {first:?}"));
    };
    expect(
        "the same again",
        &adapter.debit(&session, &reference, miles).await,
        &first,
    )?;
    let other = adapter.debit(&session, &reference, Miles::new(8)).await;
    if !matches!(other, Debit::Unknown(_)) {
        return Err(format!(
            "another debit under the same reference came to {other:?}"
        ));
    }
    expect(
        "balance after",
        &seen(bench, &session).await?,
        &less(before, 7)?,
    )?;
    let known = Known::Applied {
        partner_reference: partner_reference.clone(),
        member: session.member.clone(),
        miles,
    };
    let capabilities = adapter.capabilities();
    if capabilities.inquiry {
        expect("inquiry", &found(bench, &reference).await?, &known)?;
    }
    Ok(())
}

/// Inquires until the partner shows the debit; "not found" is not believed at once.
async fn found(bench: &dyn Bench, reference: &Reference) -> Result<Known, String> {
    let until = Instant::now() + VISIBLE_WITHIN;
    loop {
        match bench.adapter().inquire(reference).await {
            Inquiry::Found(known) => return Ok(known),
            Inquiry::NotFound | Inquiry::Unknown(_) if Instant::now() < until => {
                time::sleep(LOOK).await;
            }
            other => return Err(format!("the inquiry came to {other:?}")),
        }
    }
}

async fn above_balance(bench: &dyn Bench) -> Outcome {
    let reference = bench.reference();
    let session = session(bench, &bench.member()).await?;
    let before = seen(bench, &session).await?;
    let too_many = Miles::new(before.saturating_add(1));
    let outcome = bench.adapter().debit(&session, &reference, too_many).await;
    expect(
        "the debit",
        &outcome,
        &Debit::Refused(Refusal::InsufficientMiles),
    )?;
    expect("balance after", &seen(bench, &session).await?, &before)
}

async fn refusals(bench: &dyn Bench) -> Outcome {
    for (login, refusal) in bench.refused() {
        let reference = bench.reference();
        let session = session(bench, &login).await?;
        let before = seen(bench, &session).await?;
        let outcome = bench
            .adapter()
            .debit(&session, &reference, Miles::new(1))
            .await;
        expect(&login.login, &outcome, &Debit::Refused(refusal))?;
        expect("balance after", &seen(bench, &session).await?, &before)?;
    }
    Ok(())
}

async fn unheard(bench: &dyn Bench) -> Outcome {
    for login in bench.applied_without_answer() {
        let reference = bench.reference();
        let session = session(bench, &login).await?;
        let before = seen(bench, &session).await?;
        let miles = Miles::new(3);
        let outcome = bench.adapter().debit(&session, &reference, miles).await;
        if !matches!(outcome, Debit::Unknown(_)) {
            return Err(format!("the debit of {} came to {outcome:?}", login.login));
        }
        expect(
            "balance after",
            &seen(bench, &session).await?,
            &less(before, 3)?,
        )?;
        match found(bench, &reference).await? {
            Known::Applied {
                member,
                miles: taken,
                ..
            } if member == session.member && taken == miles => {}
            other => return Err(format!("the inquiry for {} came to {other:?}", login.login)),
        }
    }
    Ok(())
}

async fn never_arrived(bench: &dyn Bench) -> Outcome {
    for login in bench.never_applied() {
        let reference = bench.reference();
        let session = session(bench, &login).await?;
        let before = seen(bench, &session).await?;
        let outcome = bench
            .adapter()
            .debit(&session, &reference, Miles::new(3))
            .await;
        if !matches!(outcome, Debit::Unknown(_)) {
            return Err(format!("the debit of {} came to {outcome:?}", login.login));
        }
        expect(
            "inquiry",
            &bench.adapter().inquire(&reference).await,
            &Inquiry::NotFound,
        )?;
        expect("balance after", &seen(bench, &session).await?, &before)?;
    }
    Ok(())
}

async fn reversal(bench: &dyn Bench) -> Outcome {
    let (adapter, reference) = (bench.adapter(), bench.reference());
    let session = session(bench, &bench.member()).await?;
    let before = seen(bench, &session).await?;
    let outcome = adapter.debit(&session, &reference, Miles::new(5)).await;
    if !matches!(outcome, Debit::Applied { .. }) {
        return Err(format!("the debit came to {outcome:?}"));
    }
    for _ in 0..2 {
        expect(
            "reversal",
            &adapter.reverse(&reference).await,
            &Reversal::Acknowledged,
        )?;
        expect("balance after", &seen(bench, &session).await?, &before)?;
    }
    expect(
        "inquiry",
        &found(bench, &reference).await?,
        &Known::Reversed,
    )?;
    let late = adapter.debit(&session, &reference, Miles::new(5)).await;
    expect("the debit again", &late, &Debit::Refused(Refusal::Reversed))
}

async fn tombstone(bench: &dyn Bench) -> Outcome {
    let (adapter, reference) = (bench.adapter(), bench.reference());
    let session = session(bench, &bench.member()).await?;
    let before = seen(bench, &session).await?;
    expect(
        "reversal",
        &adapter.reverse(&reference).await,
        &Reversal::Acknowledged,
    )?;
    let late = adapter.debit(&session, &reference, Miles::new(5)).await;
    expect("the late debit", &late, &Debit::Refused(Refusal::Reversed))?;
    expect("balance after", &seen(bench, &session).await?, &before)
}
