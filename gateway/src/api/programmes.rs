//! `GET /v1/programmes`: what can be converted, on what terms.

use super::Shared;
use crate::conversion::Programme as Row;
use crate::keys::{Credentials, Scope};
use crate::problem::{Problem, ProblemBody};
use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

/// What is taken for a conversion.
#[derive(Serialize, ToSchema)]
pub struct FeeTerms {
    /// Hundredths of a per cent of the points, rounded down.
    #[schema(examples(30))]
    basis_points: u32,
    /// `member`: kept back of the points. `partner`: owed on top of them.
    payer: &'static str,
}

/// One programme.
#[derive(Serialize, ToSchema)]
pub struct ProgrammeTerms {
    #[schema(examples("airline"))]
    name: String,
    /// Points per mile, exact.
    #[schema(examples("12"))]
    rate: String,
    /// Fewest and most miles of one conversion.
    minimum_miles: String,
    maximum_miles: String,
    /// Most miles of one member in a UTC day; null if there is no limit.
    #[schema(required)]
    daily_member_miles: Option<String>,
    /// Most miles of yours in a UTC day; null if there is no limit.
    #[schema(required)]
    daily_caller_miles: Option<String>,
    fee: FeeTerms,
    /// For so many seconds after it was made a completed conversion can be disputed.
    dispute_seconds: u64,
    /// Whether part of a balance can be converted.
    part_conversion: bool,
    /// Whether miles can be given back: cancelling and disputing need it.
    reversal: bool,
}

/// All programmes, by name.
#[derive(Serialize, ToSchema)]
pub struct ProgrammeList {
    items: Vec<ProgrammeTerms>,
}

fn view(programme: &Row) -> ProgrammeTerms {
    let capabilities = programme.adapter.capabilities();
    ProgrammeTerms {
        name: programme.name.clone(),
        rate: programme.rate.to_string(),
        minimum_miles: programme.minimum_miles.to_string(),
        maximum_miles: programme.maximum_miles.to_string(),
        daily_member_miles: programme.daily_member_miles.map(|miles| miles.to_string()),
        daily_caller_miles: programme.daily_caller_miles.map(|miles| miles.to_string()),
        fee: FeeTerms {
            basis_points: programme.fee.basis_points,
            payer: programme.fee.payer.name(),
        },
        dispute_seconds: programme.dispute_window.as_secs(),
        part_conversion: capabilities.part_conversion,
        reversal: capabilities.reversal,
    }
}

/// See what can be converted
#[utoipa::path(
    get,
    path = "/v1/programmes",
    tag = "conversions",
    security(("api_key" = ["conversions:read"])),
    responses(
        (status = 200, description = "All programmes and their terms", body = ProgrammeList),
        (status = 401, description = "No valid API key", body = ProblemBody, content_type = "application/problem+json"),
        (status = 403, description = "Scope missing", body = ProblemBody, content_type = "application/problem+json"),
        (status = 429, description = "Too many requests", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub async fn list(
    State(app): Shared,
    credentials: Credentials,
) -> Result<Json<ProgrammeList>, Problem> {
    app.authorize(&credentials, Scope::ConversionsRead).await?;
    let mut items: Vec<_> = app.machine.programmes.values().map(view).collect();
    items.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(Json(ProgrammeList { items }))
}
