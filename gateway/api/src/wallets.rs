//! `/v1/members/{id}/wallet` and `/v1/withdrawals`: wallets that the gateway keeps for linked members,
//! and points that are moved out of them.
//!
//! ```txt
//! sending ──┬──> completed
//!           └──> failed
//! ```

use crate::amount::{MicroPoints, decimal};
use serde::{Deserialize, Serialize};
use std::fmt;
#[cfg(feature = "openapi")]
use utoipa::{IntoParams, ToSchema};

/// What a conversion names as its receiver to bring the points into the member's wallet here.
pub const CUSTODIAL: &str = "custodial";
/// What a withdrawal names as its points to move all that can be moved.
pub const ALL_POINTS: &str = "all";

/// Where a withdrawal can stand.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum WithdrawalState {
    /// Signed; it may be with the chain.
    Sending,
    /// The points are the receiver's.
    Completed,
    /// The points never left, and by this withdrawal never will.
    Failed,
}

impl WithdrawalState {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Sending, Self::Completed, Self::Failed];

    /// As stored and as shown.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sending => "sending",
            Self::Completed => "completed",
            Self::Failed => "failed",
        }
    }

    /// The state of this name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }

    /// Whether this is the end.
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Completed | Self::Failed)
    }
}

impl fmt::Display for WithdrawalState {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// A member's wallet, as the chain has it now.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct Wallet {
    /// Whose.
    #[cfg_attr(
        feature = "openapi",
        schema(examples("mem_0190b2e8d6f07c3a8f3e5d1c2b4a6978"))
    )]
    pub member_id: String,
    /// On the native chain. Its key is with the gateway alone, and is never shown.
    #[cfg_attr(
        feature = "openapi",
        schema(examples("0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"))
    )]
    pub address: String,
    /// MVP in it.
    #[cfg_attr(feature = "openapi", schema(value_type = String, examples("120000")))]
    pub points: MicroPoints,
    /// The same in millionths, as on the chain.
    #[serde(with = "decimal")]
    #[cfg_attr(feature = "openapi", schema(value_type = String, examples("120000000000")))]
    pub points_micro: u64,
    /// MVP that an ordinary address would receive if all were moved …
    #[cfg_attr(feature = "openapi", schema(value_type = String, examples("119700")))]
    pub movable: MicroPoints,
    /// … and the fee for that.
    #[cfg_attr(feature = "openapi", schema(value_type = String, examples("300")))]
    pub movable_fee: MicroPoints,
    /// The withdrawal that is under way; there is one at a time.
    #[cfg_attr(feature = "openapi", schema(required))]
    pub withdrawal: Option<String>,
    /// RFC 3339.
    pub created_at: String,
}

/// What a withdrawal would be of, and where to.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(IntoParams))]
#[cfg_attr(feature = "openapi", into_params(parameter_in = Query))]
#[serde(deny_unknown_fields)]
pub struct TermsQuery {
    /// An address on the native chain.
    pub receiver: String,
    /// MVP, at most six decimals, or `all`.
    pub points: String,
}

/// What a withdrawal costs. Nothing is held by it.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct WithdrawalTerms {
    /// Who would receive.
    pub receiver: String,
    /// MVP that the receiver gets.
    #[cfg_attr(feature = "openapi", schema(value_type = String, examples("1000")))]
    pub points: MicroPoints,
    /// The same in millionths.
    #[serde(with = "decimal")]
    #[cfg_attr(feature = "openapi", schema(value_type = String, examples("1000000000")))]
    pub points_micro: u64,
    /// MVP that the chain takes on top: 0.3 % of the points, at most 300.
    #[cfg_attr(feature = "openapi", schema(value_type = String, examples("3")))]
    pub fee: MicroPoints,
    /// MVP that leave the wallet.
    #[cfg_attr(feature = "openapi", schema(value_type = String, examples("1003")))]
    pub total: MicroPoints,
    /// MVP in the wallet now.
    #[cfg_attr(feature = "openapi", schema(value_type = String, examples("120000")))]
    pub balance: MicroPoints,
}

/// Points to move out of a member's wallet, because the member says so.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
#[serde(deny_unknown_fields)]
pub struct WithdrawalRequest {
    /// An address on the native chain.
    #[cfg_attr(
        feature = "openapi",
        schema(examples("0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"))
    )]
    pub receiver: String,
    /// MVP that the receiver gets, at most six decimals; `all` for all that can be moved.
    #[cfg_attr(feature = "openapi", schema(examples("1000")))]
    pub points: String,
    /// MVP: refused if the chain's fee is more than this. The fee that the member was shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, examples("3")))]
    pub maximum_fee: Option<MicroPoints>,
}

/// Why a withdrawal failed.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct WithdrawalReason {
    /// `chain_refused`: the chain ran it and refused it. `nonce_taken`: another transaction of the
    /// wallet came first.
    pub code: String,
    /// For people.
    pub message: String,
}

/// One withdrawal.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct Withdrawal {
    /// Name of the withdrawal.
    #[cfg_attr(
        feature = "openapi",
        schema(examples("wdr_0190b2e8d6f07c3a8f3e5d1c2b4a6978"))
    )]
    pub id: String,
    /// `sending`, `completed` or `failed`.
    pub state: String,
    /// Whether the state is the last.
    #[serde(rename = "final")]
    pub is_final: bool,
    /// Whose points.
    pub member_id: String,
    /// The wallet that they leave.
    pub wallet: String,
    /// Who gets them, on the native chain.
    pub receiver: String,
    /// MVP that the receiver gets.
    #[cfg_attr(feature = "openapi", schema(value_type = String, examples("1000")))]
    pub points: MicroPoints,
    /// The same in millionths.
    #[serde(with = "decimal")]
    #[cfg_attr(feature = "openapi", schema(value_type = String, examples("1000000000")))]
    pub points_micro: u64,
    /// MVP that the wallet pays on top: as it was stated, and once final as the chain took it.
    #[cfg_attr(feature = "openapi", schema(value_type = String, examples("3")))]
    pub fee: MicroPoints,
    /// Its transaction, from the beginning on.
    pub transaction_hash: String,
    /// The block that decided.
    #[cfg_attr(feature = "openapi", schema(required))]
    pub block_number: Option<u64>,
    /// Why it failed.
    #[cfg_attr(feature = "openapi", schema(required))]
    pub reason: Option<WithdrawalReason>,
    /// RFC 3339.
    pub created_at: String,
    /// RFC 3339; when the state last changed.
    pub updated_at: String,
}

impl Withdrawal {
    /// The state; `None` if it is newer than this crate.
    pub fn state(&self) -> Option<WithdrawalState> {
        WithdrawalState::parse(&self.state)
    }
}

/// A page, newest first.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct WithdrawalPage {
    /// The withdrawals.
    pub items: Vec<Withdrawal>,
    /// Send it as `cursor` for the next page; null on the last.
    #[cfg_attr(feature = "openapi", schema(required))]
    pub next_cursor: Option<String>,
}

/// Which withdrawals, and which page of them.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(IntoParams))]
#[cfg_attr(feature = "openapi", into_params(parameter_in = Query))]
#[serde(deny_unknown_fields)]
pub struct WithdrawalQuery {
    /// Only this member's: `mem_…`
    pub member_id: Option<String>,
    /// Only in this state.
    pub state: Option<String>,
    /// `next_cursor` of the page before; send the same filters with it.
    pub cursor: Option<String>,
    /// 1 to 100; 20 if not given.
    pub limit: Option<u32>,
}
