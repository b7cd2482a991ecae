//! `/v1/programmes`: what can be converted, on what terms.

use crate::amount::{MicroPoints, Payer, decimal};
use serde::{Deserialize, Serialize};
#[cfg(feature = "openapi")]
use utoipa::ToSchema;

/// What is taken for a conversion.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct FeeTerms {
    /// Hundredths of a per cent of the points, rounded down.
    #[cfg_attr(feature = "openapi", schema(examples(30)))]
    pub basis_points: u32,
    /// `member`: kept back of the points. `partner`: owed on top of them.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub payer: Payer,
}

/// One programme.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct ProgrammeTerms {
    /// Its name.
    #[cfg_attr(feature = "openapi", schema(examples("airline")))]
    pub name: String,
    /// Points per mile, exact.
    #[cfg_attr(feature = "openapi", schema(value_type = String, examples("12")))]
    pub rate: MicroPoints,
    /// Fewest miles of one conversion.
    #[serde(with = "decimal")]
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub minimum_miles: u64,
    /// Most miles of one conversion.
    #[serde(with = "decimal")]
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub maximum_miles: u64,
    /// Most miles of one member in a UTC day; null if there is no limit.
    #[serde(with = "decimal::option")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, required))]
    pub daily_member_miles: Option<u64>,
    /// Most miles of yours in a UTC day; null if there is no limit.
    #[serde(with = "decimal::option")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, required))]
    pub daily_caller_miles: Option<u64>,
    /// The fee.
    pub fee: FeeTerms,
    /// For so many seconds after it was made a completed conversion can be disputed.
    pub dispute_seconds: u64,
    /// Whether part of a balance can be converted.
    pub part_conversion: bool,
    /// Whether miles can be given back: cancelling and disputing need it.
    pub reversal: bool,
}

/// All programmes, by name.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct ProgrammeList {
    /// The programmes.
    pub items: Vec<ProgrammeTerms>,
}
