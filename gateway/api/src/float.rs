//! `/v1/float`, `/v1/price`, `/v1/top-ups`: prepaid points. Prices and payments are in wei, as
//! decimal strings.

use crate::amount::MicroPoints;
use serde::{Deserialize, Serialize};
#[cfg(feature = "openapi")]
use utoipa::{IntoParams, ToSchema};

/// Prepaid points of the caller.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct Float {
    /// `prepaid`: conversions draw on this float. `postpaid`: they do not.
    pub funding: String,
    /// MVP that can be converted.
    #[cfg_attr(feature = "openapi", schema(value_type = String, examples("250000")))]
    pub available: MicroPoints,
    /// MVP set aside for conversions that are on their way.
    #[cfg_attr(feature = "openapi", schema(value_type = String, examples("1200")))]
    pub held: MicroPoints,
    /// Below this a top-up is begun by itself; `0` if never.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub threshold: MicroPoints,
    /// Of so many MVP.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub automatic_top_up: MicroPoints,
}

/// What a point costs now. Null where there is no price.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct PriceView {
    /// `recorded`: prices of points are recorded. `pool`: MVP for one MVC comes from the native chain's
    /// pool, and wei for one MVC is recorded.
    pub source: String,
    /// Wei for one MVP: the newest price, or the pool's mean of 30 minutes.
    #[cfg_attr(feature = "openapi", schema(required, examples("250000000000")))]
    pub market: Option<String>,
    /// Why there is no market price.
    #[cfg_attr(feature = "openapi", schema(required))]
    pub market_refused: Option<String>,
    /// Wei for one MVP: the average of three months, rounded up to a whole wei.
    #[cfg_attr(feature = "openapi", schema(required, examples("245000000000")))]
    pub average: Option<String>,
    /// Why there is no average.
    #[cfg_attr(feature = "openapi", schema(required))]
    pub average_refused: Option<String>,
    /// RFC 3339: where the average's window begins.
    #[cfg_attr(feature = "openapi", schema(required))]
    pub average_since: Option<String>,
}

/// How many points to buy.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
#[serde(deny_unknown_fields)]
pub struct TopUpRequest {
    /// MVP, at most six decimals.
    #[cfg_attr(feature = "openapi", schema(examples("100000")))]
    pub points: String,
    /// `market` or `average`
    #[cfg_attr(feature = "openapi", schema(examples("average")))]
    pub basis: String,
}

/// The transaction that paid.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
#[serde(deny_unknown_fields)]
pub struct PaymentRequest {
    /// On Ethereum, `0x` and 64 hex digits.
    pub transaction_hash: String,
}

/// One top-up: pay exactly `wei` to `pay_to`, in one transaction, before it expires.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct TopUp {
    /// Name of the top-up.
    #[cfg_attr(
        feature = "openapi",
        schema(examples("top_0190b2e8d6f07c3a8f3e5d1c2b4a6978"))
    )]
    pub id: String,
    /// `awaiting_payment`: pay, then send the transaction's hash. `paid`: the points are in the
    /// float. `expired`: do not pay; make a new one.
    pub state: String,
    /// MVP.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub points: MicroPoints,
    /// `market` or `average`
    pub basis: String,
    /// Wei for one MVP.
    pub wei_per_point: String,
    /// What to pay, exactly: the amount tells which top-up is paid.
    pub wei: String,
    /// Where to.
    pub pay_to: String,
    /// Begun because the float fell below its threshold.
    pub automatic: bool,
    /// The transaction that paid.
    #[cfg_attr(feature = "openapi", schema(required))]
    pub transaction_hash: Option<String>,
    /// RFC 3339; the payment must be in a block by then.
    pub expires_at: String,
    /// RFC 3339
    pub created_at: String,
}

/// A page, newest first.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct TopUpPage {
    /// The top-ups.
    pub items: Vec<TopUp>,
    /// Send it as `cursor` for the next page; null on the last.
    #[cfg_attr(feature = "openapi", schema(required))]
    pub next_cursor: Option<String>,
}

/// Which page.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(IntoParams))]
#[cfg_attr(feature = "openapi", into_params(parameter_in = Query))]
#[serde(deny_unknown_fields)]
pub struct TopUpQuery {
    /// `next_cursor` of the page before.
    pub cursor: Option<String>,
    /// 1 to 100; 20 if not given.
    pub limit: Option<u32>,
}
