//! One run: a day's report, and the cases that follow from it.
//!
//! The runs of days are jobs like any other: the scheduler only puts in what is missing, and the
//! table has one slot for each day, so a timer that fires twice or not at all changes nothing. A run
//! that is interrupted is done again from the beginning; it stores its report at the end, all or
//! nothing.

use super::compare::compare;
use super::{Difference, Kind};
use crate::clock::{day, rfc3339};
use crate::conversion::Machine;
use crate::conversion::state::State;
use crate::issuer::chain::ChainError;
use crate::journal::Books;
use crate::store::reconciliations::{Minted, Report, Window};
use crate::units::MicroPoints;
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use std::time::Duration;
use utoipa::ToSchema;

/// Differences of one run that are kept.
const MAX_DIFFERENCES: usize = 10_000;
/// Days that are caught up with at once, after the gateway was away.
const MAX_DAYS: i64 = 31;
const DAY_MS: i64 = 24 * 60 * 60 * 1000;

/// When and how strictly is reconciled.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Rules {
    /// How long after a day's end its run is due: by then the partners' statements are there.
    pub after: Duration,
    /// How far apart in time both sides may be.
    pub cut_off: Duration,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            after: Duration::from_secs(4 * 3600),
            cut_off: Duration::from_secs(3600),
        }
    }
}

impl Rules {
    fn cut_off_ms(self) -> i64 {
        i64::try_from(self.cut_off.as_millis()).unwrap_or(DAY_MS)
    }

    /// What a run for a day judges, as of now.
    fn window(self, day: i64, now: i64) -> Window {
        let begin = day.saturating_mul(DAY_MS);
        let cut = |at: i64| at.saturating_sub(self.cut_off_ms());
        Window {
            day,
            from: cut(begin),
            to: cut(begin.saturating_add(DAY_MS).min(now)),
        }
    }
}

/// What a run looked at. Amounts are decimal strings.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize, ToSchema)]
#[schema(as = ReconciliationTotals)]
pub struct Totals {
    /// RFC 3339: postings of the journal from then …
    pub from: String,
    /// … up to then were judged.
    pub to: String,
    /// By programme.
    pub programmes: Vec<ProgrammeTotals>,
    /// Null if the chain could not be read.
    #[schema(required)]
    pub chain: Option<ChainTotals>,
}

/// One programme.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize, ToSchema)]
#[schema(as = ReconciliationProgramme)]
pub struct ProgrammeTotals {
    /// Which.
    pub programme: String,
    /// The day's statement; null if there is none.
    #[schema(required)]
    pub statement: Option<String>,
    /// References that were set beside each other.
    pub references: u64,
    /// Miles that the statements have as taken and not given back under these references.
    pub miles_at_partner: String,
    /// Miles that the journal has so.
    pub miles_here: String,
    /// Differences.
    pub differences: u64,
}

/// The chain.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize, ToSchema)]
#[schema(as = ReconciliationChain)]
pub struct ChainTotals {
    /// Its events were read up to this block.
    pub block: u64,
    /// Micro-points that the chain ever issued.
    pub issued_micro: String,
    /// Micro-points that the journal has as issued.
    pub journal_micro: String,
    /// Micro-points that the chain issued and that are being recorded now.
    pub unrecorded_micro: String,
    /// Issues that were looked for.
    pub issues: u64,
    /// Differences.
    pub differences: u64,
}

fn many(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

impl Machine {
    /// Puts in the runs of days that are over and have none. How many.
    pub async fn schedule_reconciliations(&self, now: i64) -> Result<u64, sqlx::Error> {
        let Some(first) = self.store.next_reconciliation_day().await? else {
            return Ok(0);
        };
        let after = i64::try_from(self.reconciliation.after.as_millis()).unwrap_or(DAY_MS);
        let mut new = 0u64;
        let last = first.saturating_add(MAX_DAYS).min(day(now));
        for day in first..last {
            let due = day.saturating_add(1).saturating_mul(DAY_MS);
            let due = due.saturating_add(after);
            if self.store.schedule_reconciliation(day, due, now).await? {
                new = new.saturating_add(1);
            }
        }
        Ok(new)
    }

    /// Does a run that waits.
    pub async fn reconcile(&self, id: &str) -> Result<(), sqlx::Error> {
        let Some(found) = self.store.reconciliation(id).await? else {
            return Ok(());
        };
        let now = self.store.now();
        // Before anything is read: who hands something in after this gets another run.
        if !self.store.begin_reconciliation(id, now).await? {
            return Ok(());
        }
        let window = self.reconciliation.window(found.day, now);
        let mut differences = Vec::new();
        let mut judged = HashSet::new();
        let mut totals = Totals {
            from: rfc3339(window.from),
            to: rfc3339(window.to),
            ..Totals::default()
        };
        for programme in self.programmes_to_judge(window).await? {
            let found = self
                .judge_programme(&programme, window, now, &mut judged, &mut differences)
                .await?;
            totals.programmes.push(found);
        }
        totals.chain = self
            .judge_chain(window, now, &mut judged, &mut differences)
            .await?;
        let report = Report {
            finished_at: self.store.now(),
            agrees: differences.is_empty(),
            differences: i64::try_from(differences.len()).unwrap_or(i64::MAX),
            totals: serde_json::to_string(&totals)
                .map_err(|error| sqlx::Error::Encode(Box::new(error)))?,
        };
        let still: HashSet<_> = differences
            .iter()
            .map(|found| (found.kind, found.subject.as_str()))
            .collect();
        let mut settled = Vec::new();
        for (case, kind, subject) in self.store.open_differences().await? {
            let seen = judged.contains(&(side(kind), subject.clone()));
            if seen && !still.contains(&(kind, subject.as_str())) {
                settled.push(case);
            }
        }
        let kept = differences.get(..MAX_DIFFERENCES).unwrap_or(&differences);
        if self.store.store_report(id, &report, kept, &settled).await? {
            tracing::info!(
                id,
                day = found.day,
                differences = report.differences,
                "reconciled"
            );
            if !report.agrees {
                tracing::error!(
                    id,
                    day = found.day,
                    differences = report.differences,
                    "partner, journal and chain differ; see the open cases"
                );
            }
        }
        Ok(())
    }

    async fn programmes_to_judge(&self, window: Window) -> Result<Vec<String>, sqlx::Error> {
        let mut programmes: Vec<String> = self.programmes.keys().cloned().collect();
        programmes.extend(self.store.programmes_moved(window).await?);
        programmes.sort_unstable();
        programmes.dedup();
        Ok(programmes)
    }

    async fn judge_programme(
        &self,
        programme: &str,
        window: Window,
        now: i64,
        judged: &mut HashSet<(Side, String)>,
        differences: &mut Vec<Difference>,
    ) -> Result<ProgrammeTotals, sqlx::Error> {
        let before = differences.len();
        let statement = self.store.statement_of(programme, window.day).await?;
        let pairs = self.store.pairs(programme, window).await?;
        let name = format!("{programme}:{}", date(window.day));
        let (mut theirs, mut ours) = (0i128, 0i128);
        for pair in &pairs {
            theirs = theirs.saturating_add(pair.theirs.as_ref().map_or(0, |t| t.net.into()));
            ours = ours.saturating_add(pair.journal.into());
            // Without the day's statement it is not known what the partner booked.
            if statement.is_none() && pair.theirs.is_none() {
                continue;
            }
            judged.insert((Side::Partner, pair.reference.clone()));
            differences.extend(compare(
                programme,
                pair,
                now,
                self.reconciliation.cut_off_ms(),
            ));
        }
        if statement.is_none() && pairs.iter().any(|pair| pair.journal != 0) {
            differences.push(Difference {
                kind: Kind::StatementMissing,
                programme: Some(programme.to_owned()),
                subject: name,
                facts: "miles moved, and the partner has not sent a statement".to_owned(),
            });
        } else {
            judged.insert((Side::Statement, name));
        }
        Ok(ProgrammeTotals {
            programme: programme.to_owned(),
            statement: statement.map(|statement| statement.id),
            references: many(pairs.len()),
            miles_at_partner: theirs.to_string(),
            miles_here: ours.to_string(),
            differences: many(differences.len().saturating_sub(before)),
        })
    }

    async fn judge_chain(
        &self,
        window: Window,
        now: i64,
        judged: &mut HashSet<(Side, String)>,
        differences: &mut Vec<Difference>,
    ) -> Result<Option<ChainTotals>, sqlx::Error> {
        use super::chain::ReadError;
        let before = differences.len();
        let unread = |error: ChainError| Difference {
            kind: Kind::ChainUnread,
            programme: None,
            subject: date(window.day),
            facts: error.to_string(),
        };
        let block = match self.read_chain_issues().await {
            Ok(block) => block,
            Err(ReadError::Store(error)) => return Err(error),
            Err(ReadError::Chain(error)) => {
                differences.push(unread(error));
                return Ok(None);
            }
        };
        let (books, chain) = self.books_and_chain().await?;
        let chain = match chain {
            Ok(chain) => chain,
            Err(error) => {
                differences.push(unread(error));
                return Ok(None);
            }
        };
        judged.insert((Side::Total, date(window.day)));
        judged.insert((Side::Total, "all".to_owned()));
        let minted = self.store.minted(window).await?;
        for one in &minted {
            judged.insert((Side::Chain, one.id.clone()));
            differences.extend(judge_mint(one, now, self.reconciliation.cut_off_ms()));
        }
        for issue in self.store.foreign_issues().await? {
            differences.push(Difference {
                kind: Kind::MintedWithoutRow,
                programme: None,
                facts: format!(
                    "the chain issued {} micro-points in block {} by {}, which is not ours",
                    issue.micro_points, issue.block, issue.transaction_hash
                ),
                subject: issue.name,
            });
        }
        if !chain.agrees(&books) {
            differences.push(Difference {
                kind: Kind::SupplyDiffers,
                programme: None,
                subject: "all".to_owned(),
                facts: format!(
                    "the chain issued {} micro-points, the journal has {} and {} are being recorded",
                    chain.issued, books.micro_points_issued, chain.unrecorded
                ),
            });
        }
        if let Some(facts) = wrong_within(&books) {
            differences.push(Difference {
                kind: Kind::JournalDiffers,
                programme: None,
                subject: "all".to_owned(),
                facts,
            });
        }
        Ok(Some(ChainTotals {
            block,
            issued_micro: chain.issued.to_string(),
            journal_micro: books.micro_points_issued.to_string(),
            unrecorded_micro: chain.unrecorded.to_string(),
            issues: many(minted.len()),
            differences: many(differences.len().saturating_sub(before)),
        }))
    }
}

/// What a run must have looked at to say that a difference is gone.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
enum Side {
    Partner,
    Statement,
    Chain,
    Total,
    /// Nothing shows that it is gone: operators close it.
    Never,
}

const fn side(kind: Kind) -> Side {
    match kind {
        Kind::MissingAtPartner
        | Kind::MissingHere
        | Kind::AmountDiffers
        | Kind::MemberDiffers
        | Kind::TakenTwice
        | Kind::ReversalMissing
        | Kind::Late => Side::Partner,
        Kind::StatementMissing => Side::Statement,
        Kind::RowWithoutMint | Kind::MintNotRecorded | Kind::MintAmountDiffers => Side::Chain,
        Kind::SupplyDiffers | Kind::JournalDiffers | Kind::ChainUnread => Side::Total,
        Kind::MintedWithoutRow => Side::Never,
    }
}

/// A day as people write it.
pub fn date(day: i64) -> String {
    let begin = day.saturating_mul(DAY_MS);
    rfc3339(begin).chars().take(10).collect()
}

fn judge_mint(one: &Minted, now: i64, cut_off_ms: i64) -> Option<Difference> {
    let agreed = one.micro_points.to_string();
    let (kind, facts) = match (&one.issued, one.posted) {
        (None, false) => return None,
        (None, true) => (
            Kind::RowWithoutMint,
            format!("the journal has {agreed} micro-points issued, the chain nothing"),
        ),
        (Some(issued), _) if *issued != agreed => (
            Kind::MintAmountDiffers,
            format!("the chain issued {issued} micro-points, {agreed} were agreed"),
        ),
        (Some(_), true) => return None,
        (Some(issued), false) => {
            // It may be recorded at this moment.
            let busy = matches!(one.state, State::Issuing | State::Debited);
            if busy && now.saturating_sub(one.updated_at) <= cut_off_ms {
                return None;
            }
            let facts = format!(
                "the chain issued {issued} micro-points, the conversion is {}",
                one.state
            );
            (Kind::MintNotRecorded, facts)
        }
    };
    Some(Difference {
        kind,
        programme: Some(one.programme.clone()),
        subject: one.id.clone(),
        facts,
    })
}

/// What of the journal does not hold in itself.
fn wrong_within(books: &Books) -> Option<String> {
    if !books.balanced {
        return Some("debits and credits of a currency do not balance".to_owned());
    }
    if !books.floats_agree {
        return Some("a float is not what the journal says of it".to_owned());
    }
    let odd = books
        .programmes
        .iter()
        .find(|programme| programme.micro_points_issued != programme.micro_points_by_rate)?;
    Some(format!(
        "{}: {} MVP were issued, by the agreed rates it is {}",
        odd.programme,
        MicroPoints(odd.micro_points_issued),
        MicroPoints(odd.micro_points_by_rate)
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_of_days_lie_end_to_end() {
        let rules = Rules::default();
        let late = i64::MAX;
        for day in [0, 1, 20_777] {
            let (one, next) = (rules.window(day, late), rules.window(day + 1, late));
            assert_eq!(one.to, next.from);
            assert_eq!(one.to - one.from, DAY_MS);
        }
        // Of a day that is not over, what is older than the cut-off.
        let now = 20_777 * DAY_MS + 7_200_000;
        assert_eq!(rules.window(20_777, now).to, now - 3_600_000);
    }

    #[test]
    fn days_read_as_people_write_them() {
        assert_eq!(date(0), "1970-01-01");
        assert_eq!(date(20_777), "2026-11-20");
    }
}
