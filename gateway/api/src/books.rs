//! `/v1/books`: the journal, and whether the chain agrees with it.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
#[cfg(feature = "openapi")]
use utoipa::ToSchema;

/// One programme in the journal.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct Programme {
    /// Its name.
    pub programme: String,
    /// Miles taken at the partner and not given back.
    pub miles_taken: String,
    /// Of those, miles that points were issued for.
    pub miles_converted: String,
    /// MVP issued for them.
    pub points_issued: String,
    /// The same in millionths.
    pub points_issued_micro: String,
    /// Whether points issued equal miles converted times the agreed rates.
    pub rate_holds: bool,
}

/// The journal's figures.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct Journal {
    /// MVP issued.
    pub points_issued: String,
    /// The same in millionths.
    pub points_issued_micro: String,
    /// Whether debits equal credits in every currency.
    pub balanced: bool,
}

/// The chain's figures.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct ChainFigures {
    /// MVP ever issued.
    pub points_issued: String,
    /// The same in millionths.
    pub points_issued_micro: String,
    /// MVP there are, in millionths.
    pub total_supply_micro: String,
    /// Of those issued, in millionths, what the journal does not have yet because the
    /// conversions are being recorded now.
    pub unrecorded_micro: String,
}

/// The books.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct Books {
    /// By programme.
    pub programmes: Vec<Programme>,
    /// All of them.
    pub journal: Journal,
    /// Conversions by state.
    pub conversions: BTreeMap<String, u64>,
    /// Null if the chain cannot be asked.
    #[cfg_attr(feature = "openapi", schema(required))]
    pub chain: Option<ChainFigures>,
    /// The journal balances, the rates hold, and the chain issued what the journal says.
    pub agrees: bool,
}
