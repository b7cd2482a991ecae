//! `mileverse gateway reconcile`: partner, journal and chain set beside each other, at a running
//! gateway, with the operator's own key.

use super::remote::{Body, Remote};
use super::{Error, output};
use clap::Subcommand;
use reqwest::Method;
use serde_json::{Value, json};
use std::path::PathBuf;
use std::time::Duration;
use tokio::time::{self, Instant};

/// How long a report is waited for, and how often is looked.
const PATIENCE: Duration = Duration::from_secs(600);
const LOOK: Duration = Duration::from_millis(250);

#[derive(Debug, Subcommand)]
pub enum Reconcile {
    /// Reconcile a day now and show the report.
    Run {
        #[command(flatten)]
        remote: Remote,
        /// UTC, such as 2026-11-20; today at the latest.
        #[arg(long)]
        day: String,
        /// Do not wait for the report.
        #[arg(long)]
        no_wait: bool,
    },
    /// Show the newest reconciliations.
    List {
        #[command(flatten)]
        remote: Remote,
    },
    /// Show a report.
    Show {
        #[command(flatten)]
        remote: Remote,
        #[arg(long)]
        id: String,
    },
    /// Hand in a partner's statement of a day; the day is reconciled and the report shown.
    Statement {
        #[command(flatten)]
        remote: Remote,
        #[arg(long)]
        programme: String,
        /// UTC, such as 2026-11-20.
        #[arg(long)]
        day: String,
        /// The CSV file.
        #[arg(long)]
        file: PathBuf,
    },
    /// Show the newest statements.
    Statements {
        #[command(flatten)]
        remote: Remote,
    },
}

/// Runs the verb.
pub async fn run(verb: Reconcile) -> Result<(), Error> {
    match verb {
        Reconcile::Run {
            remote,
            day,
            no_wait,
        } => {
            let body = Body::Json(json!({ "day": day }));
            let path = "/v1/operator/reconciliations";
            let asked = remote.ask(Method::POST, path, body).await?;
            if no_wait {
                return output::facts(remote.json, &asked);
            }
            report(&remote, &output::field(&asked, "id")).await
        }
        Reconcile::List { remote } => {
            let all = remote.get("/v1/operator/reconciliations").await?;
            let columns = ["id", "day", "daily", "state", "agrees", "difference_count"];
            output::rows(remote.json, &list(&all), &columns)
        }
        Reconcile::Show { remote, id } => report(&remote, &id).await,
        Reconcile::Statement {
            remote,
            programme,
            day,
            file,
        } => {
            let bytes = std::fs::read(&file).map_err(|error| {
                Error::Argument(format!(
                    "the statement {} cannot be read: {error}",
                    file.display()
                ))
            })?;
            let path = format!("/v1/operator/statements/{programme}/{day}");
            let stored = remote.ask(Method::PUT, &path, Body::Csv(bytes)).await?;
            report(&remote, &output::field(&stored, "reconciliation_id")).await
        }
        Reconcile::Statements { remote } => {
            let all = remote.get("/v1/operator/statements").await?;
            let columns = ["id", "programme", "day", "lines", "current", "received_at"];
            output::rows(remote.json, &list(&all), &columns)
        }
    }
}

fn list(value: &Value) -> Vec<Value> {
    value.as_array().cloned().unwrap_or_default()
}

/// Waits for a report and shows it. Differences are an answer, not a failure.
async fn report(remote: &Remote, id: &str) -> Result<(), Error> {
    let path = format!("/v1/operator/reconciliations/{id}");
    let until = Instant::now() + PATIENCE;
    let report = loop {
        let report = remote.get(&path).await?;
        if output::field(&report, "state") == "done" || Instant::now() >= until {
            break report;
        }
        time::sleep(LOOK).await;
    };
    output::facts(remote.json, &report)?;
    if remote.json {
        return Ok(());
    }
    let totals = report.get("totals").unwrap_or(&Value::Null);
    let programmes = totals.get("programmes").map(list).unwrap_or_default();
    let columns = [
        "programme",
        "statement",
        "references",
        "miles_at_partner",
        "miles_here",
        "differences",
    ];
    output::rows(false, &programmes, &columns)?;
    if let Some(chain) = totals.get("chain").filter(|chain| chain.is_object()) {
        output::facts(false, chain)?;
    }
    let differences = report.get("differences").map(list).unwrap_or_default();
    if differences.is_empty() {
        return Ok(());
    }
    let columns = ["kind", "programme", "subject", "facts"];
    output::rows(false, &differences, &columns)
}
