//! `/v1/statement`: what conversions and the float came to in some days.

use crate::amount::{MicroPoints, decimal};
use serde::{Deserialize, Serialize};
#[cfg(feature = "openapi")]
use utoipa::{IntoParams, ToSchema};

/// Which days.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(IntoParams))]
#[cfg_attr(feature = "openapi", into_params(parameter_in = Query))]
#[serde(deny_unknown_fields)]
pub struct StatementQuery {
    /// First day, UTC.
    #[cfg_attr(feature = "openapi", param(example = "2026-11-01"))]
    pub from: String,
    /// Last day, UTC, included; at most 366 days.
    #[cfg_attr(feature = "openapi", param(example = "2026-11-30"))]
    pub to: String,
}

/// Several conversions added up.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct Sum {
    /// How many.
    pub conversions: u64,
    /// Whole miles.
    #[serde(with = "decimal")]
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub miles: u64,
    /// MVP that members received.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub points: MicroPoints,
    /// MVP of fees.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub fees: MicroPoints,
}

/// One programme.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct ProgrammeStatement {
    /// Its name.
    pub programme: String,
    /// Conversions whose points were issued in this time.
    pub issued: Sum,
    /// Disputed conversions whose miles went back in this time.
    pub returned: Sum,
}

/// A float, in MVP.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct FloatStatement {
    /// Before the first day.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub opening: MicroPoints,
    /// Bought.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub topped_up: MicroPoints,
    /// By conversions, fees included.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub used: MicroPoints,
    /// After the last day.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub closing: MicroPoints,
}

/// A statement. What it is made of is in `GET /v1/conversions` and `GET /v1/top-ups`.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct Statement {
    /// First day.
    pub from: String,
    /// Last day.
    pub to: String,
    /// By programme.
    pub programmes: Vec<ProgrammeStatement>,
    /// All zero without a float.
    pub float: FloatStatement,
}
