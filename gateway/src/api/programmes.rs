//! `GET /v1/programmes`: what can be converted, on what terms.

use super::Shared;
use crate::conversion::Programme as Row;
use crate::keys::{Credentials, Scope};
use crate::problem::{Problem, ProblemBody};
use crate::units::MicroPoints;
use axum::Json;
use axum::extract::State;
use mileverse_gateway_api::programmes::{FeeTerms, ProgrammeList, ProgrammeTerms};

fn view(programme: &Row) -> ProgrammeTerms {
    let capabilities = programme.adapter.capabilities();
    ProgrammeTerms {
        name: programme.name.clone(),
        rate: MicroPoints(programme.rate.0),
        minimum_miles: programme.minimum_miles,
        maximum_miles: programme.maximum_miles,
        daily_member_miles: programme.daily_member_miles,
        daily_caller_miles: programme.daily_caller_miles,
        fee: FeeTerms {
            basis_points: programme.fee.basis_points,
            payer: programme.fee.payer,
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
