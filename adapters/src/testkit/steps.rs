//! What scenarios are made of.

use super::{Bench, Outcome, Part};
use crate::{Debit, Inquiry, Known, Miles, Reference, Session};
use std::time::Duration;
use tokio::time::{self, Instant};

/// How long a scenario waits for a debit to become visible to an inquiry.
const VISIBLE_WITHIN: Duration = Duration::from_secs(30);
const LOOK: Duration = Duration::from_millis(50);

pub fn expect<T: std::fmt::Debug + PartialEq>(what: &str, got: &T, wanted: &T) -> Outcome {
    if got == wanted {
        Ok(())
    } else {
        Err(format!("{what}: got {got:?}, wanted {wanted:?}"))
    }
}

/// A member's session, a new reference, and the balance the operator sees now.
pub struct Scene<'a> {
    pub bench: &'a dyn Bench,
    pub part: Part,
    pub session: Session,
    pub reference: Reference,
    pub before: u64,
}

impl<'a> Scene<'a> {
    pub async fn of(bench: &'a dyn Bench, part: Part) -> Result<Self, String> {
        let login = bench.login(part);
        let session = bench
            .adapter()
            .authenticate(&login.login, &login.secret)
            .await
            .map_err(|error| format!("{part:?} cannot log in: {error}"))?;
        let before = bench
            .balance_seen_by_operator(session.member.as_str())
            .await?
            .get();
        Ok(Self {
            bench,
            part,
            session,
            reference: bench.reference(),
            before,
        })
    }

    pub async fn debit(&self, miles: u64) -> Debit {
        let adapter = self.bench.adapter();
        adapter
            .debit(&self.session, &self.reference, Miles::new(miles))
            .await
    }

    /// A debit that must come to nothing known.
    pub async fn unknown_debit(&self, miles: u64) -> Outcome {
        match self.debit(miles).await {
            Debit::Unknown(_) => Ok(()),
            other => Err(format!("the debit of {:?} came to {other:?}", self.part)),
        }
    }

    pub async fn inquire(&self) -> Inquiry {
        self.bench.adapter().inquire(&self.reference).await
    }

    /// The operator sees so many miles fewer than before.
    pub async fn taken(&self, miles: u64) -> Outcome {
        let member = self.session.member.as_str();
        let now = self.bench.balance_seen_by_operator(member).await?.get();
        let wanted = self
            .before
            .checked_sub(miles)
            .ok_or_else(|| format!("{member} had only {} miles", self.before))?;
        let what = format!("the balance of {member} that the operator sees");
        expect(&what, &now, &wanted)
    }

    /// Inquires until the partner shows the debit; "not found" is not believed at once.
    pub async fn found(&self) -> Result<Known, String> {
        let until = Instant::now().checked_add(VISIBLE_WITHIN);
        loop {
            match self.inquire().await {
                Inquiry::Found(known) => return Ok(known),
                Inquiry::NotFound | Inquiry::Unknown(_) if Some(Instant::now()) < until => {
                    time::sleep(LOOK).await;
                }
                other => return Err(format!("the inquiry came to {other:?}")),
            }
        }
    }

    /// The inquiry shows a debit of so many miles of this member.
    pub async fn found_applied(&self, wanted: u64) -> Outcome {
        match self.found().await? {
            Known::Applied { member, miles, .. }
                if member == self.session.member && miles.get() == wanted =>
            {
                Ok(())
            }
            other => Err(format!("the inquiry for {:?} came to {other:?}", self.part)),
        }
    }
}
