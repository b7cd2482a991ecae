//! `mileverse gateway cases`: what waits for operators, and what they do about it, at a running
//! gateway, with the operator's own key.

use super::remote::{Body, Remote};
use super::{Error, output};
use clap::Subcommand;
use reqwest::Method;
use serde_json::{Map, Value, json};

#[derive(Debug, Subcommand)]
pub enum Cases {
    /// Show cases, newest first.
    List {
        #[command(flatten)]
        remote: Remote,
        /// Closed ones too.
        #[arg(long)]
        all: bool,
        /// Only of this kind, such as attention or missing_at_partner.
        #[arg(long)]
        kind: Option<String>,
    },
    /// Show one case, with all that was proposed about it.
    Show {
        #[command(flatten)]
        remote: Remote,
        #[arg(long)]
        id: String,
    },
    /// Propose an action; another operator has to approve it.
    Propose {
        #[command(flatten)]
        remote: Remote,
        /// The case.
        #[arg(long)]
        id: String,
        /// resolve_failed, resolve_succeeded, repeat, counter_entry or close.
        #[arg(long)]
        action: String,
        /// Why, and where it can be seen.
        #[arg(long)]
        evidence: String,
        /// resolve_succeeded of a debit that the journal does not have: the partner's reference.
        #[arg(long)]
        partner_reference: Option<String>,
        /// counter_entry: debit,credit,currency,amount, such as
        /// airline:miles_taken,airline:suspense,MILES:airline,100; repeat for more.
        #[arg(long = "entry")]
        entries: Vec<String>,
    },
    /// Approve a proposal of somebody else: it is carried out.
    Approve(Decide),
    /// Reject a proposal of somebody else.
    Reject(Decide),
    /// Take a proposal of your own back.
    Withdraw(Decide),
}

#[derive(clap::Args, Debug)]
pub struct Decide {
    #[command(flatten)]
    remote: Remote,
    /// The action, act_….
    #[arg(long)]
    id: String,
    /// What there is to say about it.
    #[arg(long)]
    note: Option<String>,
}

const CASE: [&str; 6] = ["id", "kind", "subject", "facts", "opened_at", "resolution"];
const ACTION: [&str; 6] = [
    "id",
    "action",
    "evidence",
    "state",
    "proposed_by",
    "decided_by",
];

fn items(page: &Value, name: &str) -> Vec<Value> {
    page.get(name)
        .and_then(Value::as_array)
        .cloned()
        .unwrap_or_default()
}

/// Text in a query or a path. All of it, so that nothing can mean something else.
fn escaped(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

fn entry(text: &str) -> Result<Value, Error> {
    let parts: Vec<_> = text.split(',').map(str::trim).collect();
    let [debit, credit, currency, amount] = parts.as_slice() else {
        return Err(Error::Argument(format!(
            "--entry {text} is not debit,credit,currency,amount"
        )));
    };
    Ok(json!({ "debit": debit, "credit": credit, "currency": currency, "amount": amount }))
}

/// Runs the verb.
pub async fn run(verb: Cases) -> Result<(), Error> {
    match verb {
        Cases::List { remote, all, kind } => {
            let mut path = "/v1/operator/cases?limit=100".to_owned();
            if !all {
                path.push_str("&state=open");
            }
            if let Some(kind) = kind {
                path.push_str("&kind=");
                path.push_str(&escaped(&kind));
            }
            let page = remote.get(&path).await?;
            output::rows(remote.json, &items(&page, "items"), &CASE)
        }
        Cases::Show { remote, id } => {
            let path = format!("/v1/operator/cases/{}", escaped(&id));
            let case = remote.get(&path).await?;
            output::facts(remote.json, &case)?;
            match remote.json {
                true => Ok(()),
                false => output::rows(false, &items(&case, "actions"), &ACTION),
            }
        }
        Cases::Propose {
            remote,
            id,
            action,
            evidence,
            partner_reference,
            entries,
        } => {
            let mut body = Map::new();
            body.insert("action".to_owned(), action.into());
            body.insert("evidence".to_owned(), evidence.into());
            if let Some(reference) = partner_reference {
                body.insert("partner_reference".to_owned(), reference.into());
            }
            if !entries.is_empty() {
                let entries: Result<Vec<_>, _> = entries.iter().map(|text| entry(text)).collect();
                body.insert("entries".to_owned(), entries?.into());
            }
            let path = format!("/v1/operator/cases/{}/actions", escaped(&id));
            let body = Body::Json(body.into());
            let proposed = remote.ask(Method::POST, &path, body).await?;
            output::facts(remote.json, &proposed)
        }
        Cases::Approve(decide) => decided(decide, "approve").await,
        Cases::Reject(decide) => decided(decide, "reject").await,
        Cases::Withdraw(decide) => decided(decide, "withdraw").await,
    }
}

async fn decided(decide: Decide, decision: &str) -> Result<(), Error> {
    let Decide { remote, id, note } = decide;
    let path = format!("/v1/operator/actions/{}/{decision}", escaped(&id));
    let body = Body::Json(json!({ "note": note }));
    let action = remote.ask(Method::POST, &path, body).await?;
    output::facts(remote.json, &action)
}
