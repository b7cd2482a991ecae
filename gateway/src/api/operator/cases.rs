//! `/v1/operator/cases`, `/v1/operator/actions`

use super::{May, Shared, nothing, page, who};
use crate::api::input::{Body, PathOf, QueryOf};
use crate::clock::rfc3339;
use crate::ids;
use crate::keys::Credentials;
use crate::operator::act::{ActError, Details, MAX_TEXT, Proposal};
use crate::operator::entry::Line;
use crate::operator::{Decision, Verb};
use crate::problem::{self, Problem, ProblemBody};
use crate::store::cases::{Action as ActionRow, Case as Row, Page};
use axum::Json;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// Something that waits for operators, or did.
#[derive(Serialize, ToSchema)]
pub struct Case {
    #[schema(examples("case_0190b2e8d6f07c3a8f3e5d1c2b4a6978"))]
    id: String,
    /// `attention`, `reversal_unacknowledged`, or a difference that a reconciliation found.
    #[schema(examples("attention"))]
    kind: String,
    #[schema(required)]
    programme: Option<String>,
    /// What it is about: a conversion, a partner's reference, a name on the chain, a day.
    subject: String,
    /// What was seen.
    facts: String,
    /// `open` or `closed`
    state: &'static str,
    /// RFC 3339
    opened_at: String,
    /// RFC 3339
    #[schema(required)]
    closed_at: Option<String>,
    /// The action that ended it, or `agrees`.
    #[schema(required)]
    resolution: Option<String>,
    /// The two operators, or `gateway`.
    #[schema(required)]
    closed_by: Option<String>,
    /// What was proposed about it, oldest first; left out of lists.
    #[serde(skip_serializing_if = "Option::is_none")]
    actions: Option<Vec<Action>>,
}

/// What an operator proposed about a case.
#[derive(Serialize, ToSchema)]
pub struct Action {
    #[schema(examples("act_0190b2e8d6f07c3a8f3e5d1c2b4a6978"))]
    id: String,
    case_id: String,
    /// `resolve_failed`, `resolve_succeeded`, `repeat`, `counter_entry` or `close`
    action: &'static str,
    evidence: String,
    #[schema(required)]
    partner_reference: Option<String>,
    /// What a counter-entry posts.
    entries: Vec<Line>,
    /// `proposed`, `approved`, `rejected` or `withdrawn`
    state: String,
    proposed_by: String,
    /// RFC 3339
    proposed_at: String,
    #[schema(required)]
    decided_by: Option<String>,
    /// RFC 3339
    #[schema(required)]
    decided_at: Option<String>,
    #[schema(required)]
    note: Option<String>,
}

/// A page, newest first.
#[derive(Serialize, ToSchema)]
pub struct CasePage {
    items: Vec<Case>,
    /// Send it as `cursor` for the next page; null on the last.
    #[schema(required)]
    next_cursor: Option<String>,
}

/// Which cases.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct CaseQuery {
    /// `open` or `closed`; both if not given.
    state: Option<String>,
    /// Of this kind.
    kind: Option<String>,
    /// About this.
    subject: Option<String>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
    /// 1 to 100; 20 if not given.
    limit: Option<u32>,
}

/// What is to be done about a case, and why.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ProposalRequest {
    /// `resolve_failed`, `resolve_succeeded`, `repeat`, `counter_entry` or `close`
    #[schema(examples("resolve_failed"))]
    action: String,
    /// Why, and where it can be seen: 1 to 2,000 characters, for the one who decides and for the
    /// auditor.
    #[schema(
        max_length = 2000,
        examples("Sky's desk, ticket 4711: the debit was never booked.")
    )]
    evidence: String,
    /// `resolve_succeeded` of a debit that the journal does not have: the partner's reference.
    partner_reference: Option<String>,
    /// `counter_entry`: what is posted.
    #[serde(default)]
    entries: Vec<Line>,
}

/// What whoever decides says.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DecisionRequest {
    /// Up to 2,000 characters.
    #[schema(max_length = 2000)]
    note: Option<String>,
}

fn case(row: Row, actions: Option<Vec<ActionRow>>) -> Case {
    Case {
        id: row.id,
        kind: row.kind,
        programme: row.programme,
        subject: row.subject,
        facts: row.facts,
        state: if row.open { "open" } else { "closed" },
        opened_at: rfc3339(row.opened_at),
        closed_at: row.closed_at.map(rfc3339),
        resolution: row.resolution,
        closed_by: row.closed_by,
        actions: actions.map(|actions| actions.into_iter().map(action).collect()),
    }
}

fn action(row: ActionRow) -> Action {
    let details: Details = serde_json::from_str(&row.details).unwrap_or_default();
    Action {
        id: row.id,
        case_id: row.case_id,
        action: row.verb.name(),
        evidence: row.evidence,
        partner_reference: details.partner_reference,
        entries: details.entries,
        state: row.state,
        proposed_by: row.proposed_by,
        proposed_at: rfc3339(row.proposed_at),
        decided_by: row.decided_by,
        decided_at: row.decided_at.map(rfc3339),
        note: row.note,
    }
}

impl From<ActError> for Problem {
    fn from(error: ActError) -> Self {
        match error {
            ActError::Unknown => nothing("case or action"),
            ActError::Conflict(why) => {
                Self::new(problem::CaseMoved, format!("It cannot be done now: {why}."))
            }
            ActError::Unfit(why) => {
                Self::new(problem::ActionUnfit, format!("It cannot be done: {why}."))
            }
            error @ (ActError::SameEyes | ActError::NotYours(_)) => {
                Self::new(problem::FourEyes, format!("It cannot be done: {error}."))
            }
            ActError::Chain(error) => {
                tracing::warn!(%error, "the chain cannot be asked for an operator");
                Self::new(
                    problem::NotReady,
                    "The chain cannot be asked, and what it says decides; try again later.",
                )
                .header(header::RETRY_AFTER, HeaderValue::from_static("15"))
            }
            ActError::Step(error) => Self::internal(&error),
            ActError::Store(error) => Self::internal(&error),
        }
    }
}

/// List cases
#[utoipa::path(
    get,
    path = "/v1/operator/cases",
    tag = "operator",
    security(("operator_key" = [])),
    params(CaseQuery),
    responses(
        (status = 200, description = "Cases, newest first", body = CasePage),
        (status = 400, description = "Malformed query", body = ProblemBody, content_type = "application/problem+json"),
        (status = 401, description = "No operator's key", body = ProblemBody, content_type = "application/problem+json"),
        (status = 403, description = "The role does not allow it", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub async fn list(
    State(app): Shared,
    credentials: Credentials,
    QueryOf(query): QueryOf<CaseQuery>,
) -> Result<Json<CasePage>, Problem> {
    who(&app, &credentials, May::Read).await?;
    let size = page::size(query.limit, query.cursor.as_deref(), "case")?;
    let open = match query.state.as_deref() {
        None => None,
        Some("open") => Some(true),
        Some("closed") => Some(false),
        Some(_) => {
            let detail = "The state must be open or closed.";
            return Err(Problem::new(problem::Malformed, detail));
        }
    };
    let wanted = Page {
        before: query.cursor.as_deref(),
        open,
        kind: query.kind.as_deref(),
        subject: query.subject.as_deref(),
        limit: page::rows(size),
    };
    let mut rows = app.machine.store.cases(&wanted).await?;
    let next_cursor = page::next(&mut rows, size, |row| &row.id);
    Ok(Json(CasePage {
        items: rows.into_iter().map(|row| case(row, None)).collect(),
        next_cursor,
    }))
}

/// Look a case up
///
/// With all that was proposed about it.
#[utoipa::path(
    get,
    path = "/v1/operator/cases/{id}",
    tag = "operator",
    security(("operator_key" = [])),
    params(("id" = String, Path, description = "`case_…`")),
    responses(
        (status = 200, description = "The case", body = Case),
        (status = 401, description = "No operator's key", body = ProblemBody, content_type = "application/problem+json"),
        (status = 403, description = "The role does not allow it", body = ProblemBody, content_type = "application/problem+json"),
        (status = 404, description = "No such case", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub async fn look_up(
    State(app): Shared,
    credentials: Credentials,
    PathOf(id): PathOf<String>,
) -> Result<Json<Case>, Problem> {
    who(&app, &credentials, May::Read).await?;
    let store = &app.machine.store;
    let row = match ids::plausible(&id, "case") {
        true => store.case(&id).await?,
        false => None,
    };
    let row = row.ok_or_else(|| nothing("case"))?;
    let actions = store.actions_of(&id).await?;
    Ok(Json(case(row, Some(actions))))
}

/// Propose an action
///
/// It is carried out once another operator, an approver, has approved it. A case has one open
/// proposal.
#[utoipa::path(
    post,
    path = "/v1/operator/cases/{id}/actions",
    tag = "operator",
    security(("operator_key" = [])),
    params(("id" = String, Path, description = "`case_…`")),
    request_body = ProposalRequest,
    responses(
        (status = 201, description = "Proposed; nothing has moved", body = Action),
        (status = 400, description = "Malformed", body = ProblemBody, content_type = "application/problem+json"),
        (status = 401, description = "No operator's key", body = ProblemBody, content_type = "application/problem+json"),
        (status = 403, description = "The role does not allow it", body = ProblemBody, content_type = "application/problem+json"),
        (status = 404, description = "No such case", body = ProblemBody, content_type = "application/problem+json"),
        (status = 409, description = "The case is closed, or has an open proposal", body = ProblemBody, content_type = "application/problem+json"),
        (status = 422, description = "It cannot be done to this case", body = ProblemBody, content_type = "application/problem+json"),
        (status = 503, description = "The chain, which decides, cannot be asked", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub async fn propose(
    State(app): Shared,
    credentials: Credentials,
    PathOf(id): PathOf<String>,
    Body(request): Body<ProposalRequest>,
) -> Result<(StatusCode, Json<Action>), Problem> {
    let operator = who(&app, &credentials, May::Propose).await?;
    let verb = Verb::parse(&request.action).ok_or_else(|| {
        let all: Vec<_> = Verb::ALL.iter().map(|verb| verb.name()).collect();
        let detail = format!("The action must be one of {}.", all.join(", "));
        Problem::new(problem::Invalid, detail)
    })?;
    if !ids::plausible(&id, "case") {
        return Err(nothing("case"));
    }
    let proposal = Proposal {
        verb,
        evidence: request.evidence,
        details: Details {
            partner_reference: request.partner_reference,
            entries: request.entries,
        },
    };
    let proposed = app.machine.propose(&id, &proposal, &operator.name).await?;
    Ok((StatusCode::CREATED, Json(action(proposed))))
}

/// Decide about an action
///
/// `approve` carries it out, by somebody else than who proposed it; `reject` does not; `withdraw`
/// is for who proposed it.
#[utoipa::path(
    post,
    path = "/v1/operator/actions/{id}/{decision}",
    tag = "operator",
    security(("operator_key" = [])),
    params(
        ("id" = String, Path, description = "`act_…`"),
        ("decision" = String, Path, description = "`approve`, `reject` or `withdraw`"),
    ),
    request_body = DecisionRequest,
    responses(
        (status = 200, description = "Decided", body = Action),
        (status = 400, description = "Malformed", body = ProblemBody, content_type = "application/problem+json"),
        (status = 401, description = "No operator's key", body = ProblemBody, content_type = "application/problem+json"),
        (status = 403, description = "The role does not allow it, or it would be two eyes", body = ProblemBody, content_type = "application/problem+json"),
        (status = 404, description = "No such action", body = ProblemBody, content_type = "application/problem+json"),
        (status = 409, description = "It was decided, or the world has moved", body = ProblemBody, content_type = "application/problem+json"),
        (status = 422, description = "It cannot be done any more", body = ProblemBody, content_type = "application/problem+json"),
        (status = 503, description = "The chain, which decides, cannot be asked", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub async fn decide(
    State(app): Shared,
    credentials: Credentials,
    PathOf((id, decision)): PathOf<(String, String)>,
    Body(request): Body<DecisionRequest>,
) -> Result<Json<Action>, Problem> {
    let (decision, may) = match decision.as_str() {
        "approve" => (Decision::Approved, May::Decide),
        "reject" => (Decision::Rejected, May::Decide),
        "withdraw" => (Decision::Withdrawn, May::Propose),
        _ => return Err(nothing("decision; approve, reject or withdraw")),
    };
    let operator = who(&app, &credentials, may).await?;
    if !ids::plausible(&id, "act") {
        return Err(nothing("action"));
    }
    let note = request.note.as_deref();
    if note.is_some_and(|note| note.chars().count() > MAX_TEXT) {
        let detail = format!("The note has at most {MAX_TEXT} characters.");
        return Err(Problem::new(problem::Invalid, detail));
    }
    // In a task of its own: a caller who hangs up does not stop it half way.
    let machine = std::sync::Arc::clone(&app.machine);
    let note = request.note.clone();
    let decided = tokio::spawn(async move {
        machine
            .decide(&id, decision, &operator.name, note.as_deref())
            .await
    });
    let decided = decided.await.map_err(|error| Problem::internal(&error))?;
    Ok(Json(action(decided?)))
}
