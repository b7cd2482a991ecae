//! `/v1/sandbox/clock`: only in a sandbox.

use serde::{Deserialize, Serialize};
#[cfg(feature = "openapi")]
use utoipa::ToSchema;

/// How far to move the clock.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
#[serde(deny_unknown_fields)]
pub struct AdvanceRequest {
    /// 1 to 31622400: a year.
    #[cfg_attr(
        feature = "openapi",
        schema(minimum = 1, maximum = 31_622_400, examples(86_400))
    )]
    pub advance_seconds: u64,
}

/// The sandbox's clock.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct Clock {
    /// RFC 3339.
    pub now: String,
    /// How far it is ahead, in seconds.
    pub ahead_seconds: u64,
}
