//! `mileverse gateway operators`: who runs the gateway. It works on the database itself, so that
//! the first admin can be made; whoever can do that can read the configuration.

use super::remote::hex_digest;
use super::{Error, administer, output};
use crate::clock::rfc3339;
use crate::config::plain_name;
use crate::keys::random_key;
use crate::operator::{KEY_PREFIX, Role};
use crate::store::operators::Operator;
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use std::path::PathBuf;

/// Who appears in the audit log for what was done here.
const ACTOR: &str = "command line";

/// Where, and how it is shown.
#[derive(Args, Clone, Debug)]
pub struct Local {
    /// The TOML configuration.
    #[arg(long)]
    config: PathBuf,
    /// JSON instead of a table.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Subcommand)]
pub enum Operators {
    /// Add an operator. The key is shown once and kept nowhere.
    Add {
        #[command(flatten)]
        local: Local,
        /// 1 to 64 letters, digits, '-' or '_'.
        #[arg(long)]
        name: String,
        /// viewer: reads. operator: proposes. approver: approves. admin: manages operators.
        #[arg(long)]
        role: String,
    },
    /// Show all operators.
    List {
        #[command(flatten)]
        local: Local,
    },
    /// Let an operator do nothing from now on.
    Suspend {
        #[command(flatten)]
        local: Local,
        #[arg(long)]
        name: String,
    },
    /// Let a suspended operator work again.
    Resume {
        #[command(flatten)]
        local: Local,
        #[arg(long)]
        name: String,
    },
    /// Give an operator another key; the one before ends at once.
    NewKey {
        #[command(flatten)]
        local: Local,
        #[arg(long)]
        name: String,
    },
    /// Show the newest rows of the audit log, or verify all of it.
    Audit {
        #[command(flatten)]
        local: Local,
        /// Compute every hash anew, and fail if one does not hold.
        #[arg(long)]
        verify: bool,
        /// How many rows.
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=10_000))]
        limit: u32,
    },
}

fn wrong(sentence: impl Into<String>) -> Error {
    Error::Argument(sentence.into())
}

fn shown(operator: &Operator) -> Value {
    json!({
        "name": operator.name,
        "role": operator.role.name(),
        "active": operator.active,
        "created_at": rfc3339(operator.created_at),
        "last_used_at": operator.last_used_at.map(rfc3339),
    })
}

fn unknown(name: &str) -> Error {
    wrong(format!(
        "there is no operator {name:?}; 'operators list' shows all"
    ))
}

/// Runs the verb.
pub async fn run(verb: Operators) -> Result<(), Error> {
    match verb {
        Operators::Add { local, name, role } => {
            let role = Role::parse(&role)
                .ok_or_else(|| wrong("--role must be viewer, operator, approver or admin"))?;
            if !plain_name(&name) {
                return Err(wrong("--name must be 1 to 64 letters, digits, '-' or '_'"));
            }
            let key = random_key(KEY_PREFIX);
            let (_, store) = administer::open(&local.config).await?;
            let digest = hex_digest(&key);
            let new = store
                .add_operator(&name, role, &digest, ACTOR, store.now())
                .await?;
            store.close().await;
            if !new {
                return Err(wrong(format!("there is an operator {name:?} already")));
            }
            let made = json!({ "name": name, "role": role.name(), "key": key });
            output::facts(local.json, &made)
        }
        Operators::List { local } => {
            let (_, store) = administer::open(&local.config).await?;
            let operators: Vec<_> = store.operators().await?.iter().map(shown).collect();
            store.close().await;
            let columns = ["name", "role", "active", "created_at", "last_used_at"];
            output::rows(local.json, &operators, &columns)
        }
        Operators::Suspend { local, name } => active(&local, &name, false).await,
        Operators::Resume { local, name } => active(&local, &name, true).await,
        Operators::NewKey { local, name } => {
            let key = random_key(KEY_PREFIX);
            let (_, store) = administer::open(&local.config).await?;
            let there = store
                .replace_operator_key(&name, &hex_digest(&key), ACTOR, store.now())
                .await?;
            store.close().await;
            if !there {
                return Err(unknown(&name));
            }
            output::facts(local.json, &json!({ "name": name, "key": key }))
        }
        Operators::Audit {
            local,
            verify,
            limit,
        } => audit(&local, verify, limit).await,
    }
}

async fn active(local: &Local, name: &str, active: bool) -> Result<(), Error> {
    let (_, store) = administer::open(&local.config).await?;
    let there = store
        .set_operator_active(name, active, ACTOR, store.now())
        .await?;
    let operator = store.operator(name).await?;
    store.close().await;
    let operator = operator.filter(|_| there).ok_or_else(|| unknown(name))?;
    output::facts(local.json, &shown(&operator))
}

async fn audit(local: &Local, verify: bool, limit: u32) -> Result<(), Error> {
    let (_, store) = administer::open(&local.config).await?;
    if verify {
        let found = store.verify_audit_log().await?;
        store.close().await;
        let proof = json!({
            "rows": found.rows,
            "hash": found.hash,
            "broken_at": found.broken_at,
        });
        output::facts(local.json, &proof)?;
        return match found.broken_at {
            None => Ok(()),
            Some(row) => Err(wrong(format!(
                "the audit log does not hold at row {row}: it was changed past the gateway"
            ))),
        };
    }
    let rows = store.audit_log(None, limit).await?;
    store.close().await;
    let rows: Vec<_> = rows
        .iter()
        .map(|row| {
            json!({
                "seq": row.seq,
                "at": rfc3339(row.at),
                "actor": row.actor,
                "verb": row.verb,
                "subject": row.subject,
                "detail": row.detail,
                "hash": row.hash,
            })
        })
        .collect();
    let columns = ["seq", "at", "actor", "verb", "subject", "detail"];
    output::rows(local.json, &rows, &columns)
}
