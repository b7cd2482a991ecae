//! `/v1/operator`: for the people who run the gateway, with keys of their own.
//!
//! Nothing here needs an Idempotency-Key: a case has one open proposal, a decision is made once, a
//! day has one reconciliation that waits, a file is a statement once. Saying the same again changes
//! nothing.

pub mod cases;
pub mod people;
pub mod reconciliations;

use super::{App, Shared, page};
use crate::clock::now_ms;
use crate::keys::{Credentials, digest, hex};
use crate::operator::Role;
use crate::problem::{self, Problem};
use crate::store::operators::Operator;
use axum::http::{HeaderValue, header};

/// What an operator wants to do.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum May {
    /// Look.
    Read,
    /// Hand in statements, ask for reconciliations, propose.
    Propose,
    /// Approve or reject.
    Decide,
    /// Add and suspend operators.
    Manage,
}

impl May {
    const fn allows(self, role: Role) -> bool {
        matches!(
            (self, role),
            (Self::Read, _)
                | (Self::Propose, Role::Operator)
                | (Self::Decide, Role::Approver)
                | (Self::Manage, Role::Admin)
        )
    }

    const fn needs(self) -> &'static str {
        match self {
            Self::Read => "any role",
            Self::Propose => "the role operator",
            Self::Decide => "the role approver",
            Self::Manage => "the role admin",
        }
    }
}

/// Who calls, if they are an operator who may do this.
async fn who(app: &App, credentials: &Credentials, may: May) -> Result<Operator, Problem> {
    let unknown = || {
        Problem::new(
            problem::Unauthorized,
            "Send an operator's key as \"Authorization: Bearer <key>\".",
        )
        .header(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))
    };
    let token = credentials.bearer().ok_or_else(unknown)?;
    let digest = hex(&digest(token));
    let found = app
        .machine
        .store
        .operator_by_digest(&digest, now_ms())
        .await?;
    let operator = found.ok_or_else(unknown)?;
    if !operator.active {
        return Err(Problem::new(
            problem::RoleMissing,
            "This operator is suspended; ask an admin.",
        ));
    }
    if !may.allows(operator.role) {
        let detail = format!(
            "This takes {}, and {} is {}.",
            may.needs(),
            operator.name,
            operator.role.name()
        );
        return Err(Problem::new(problem::RoleMissing, detail));
    }
    Ok(operator)
}

fn nothing(what: &str) -> Problem {
    Problem::new(problem::NotFound, format!("There is no such {what}."))
}

/// How many rows a list without a cursor has.
fn limit(asked: Option<u32>) -> Result<u32, Problem> {
    page::size(asked, None, "")
}
