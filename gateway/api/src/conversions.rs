//! `/v1/quotes` and `/v1/conversions`.
//!
//! ```txt
//! created ──> debiting ──┬──────────────────> debited ──> issuing ──> completed
//!    │            │      └─> debit_unknown ──>   │           │
//!    └──> refused <───────────┘    │    │        │           │
//!                                  └────│────────│───────────┴─> reversing ──> reversed
//!                                       └────────┴───> attention <───┘
//! completed ──> disputed ──> returned                 disputed in time
//! ```

use crate::amount::{MicroPoints, Payer, decimal};
use crate::members::MemberInput;
use serde::{Deserialize, Serialize};
use std::fmt;
#[cfg(feature = "openapi")]
use utoipa::{IntoParams, ToSchema};

/// Where a conversion stands.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum State {
    /// Agreed; nothing was sent.
    Created,
    /// The debit may have been sent.
    Debiting,
    /// Nobody knows whether the debit happened.
    DebitUnknown,
    /// The miles are gone.
    Debited,
    /// A signed issue is stored.
    Issuing,
    /// The points exist.
    Completed,
    /// The miles were never taken.
    Refused,
    /// The miles go back.
    Reversing,
    /// The miles are back.
    Reversed,
    /// The partner disputes it: the miles go back.
    Disputed,
    /// The miles are back; the points are a claim on the partner.
    Returned,
    /// An operator must look.
    Attention,
}

impl State {
    /// All of them.
    pub const ALL: [Self; 12] = [
        Self::Created,
        Self::Debiting,
        Self::DebitUnknown,
        Self::Debited,
        Self::Issuing,
        Self::Completed,
        Self::Refused,
        Self::Reversing,
        Self::Reversed,
        Self::Disputed,
        Self::Returned,
        Self::Attention,
    ];

    /// As stored and as shown.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Debiting => "debiting",
            Self::DebitUnknown => "debit_unknown",
            Self::Debited => "debited",
            Self::Issuing => "issuing",
            Self::Completed => "completed",
            Self::Refused => "refused",
            Self::Reversing => "reversing",
            Self::Reversed => "reversed",
            Self::Disputed => "disputed",
            Self::Returned => "returned",
            Self::Attention => "attention",
        }
    }

    /// The state of this name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }

    /// Whether this is the end. Only a dispute, in time, leads on from `completed`.
    pub const fn is_final(self) -> bool {
        matches!(
            self,
            Self::Completed | Self::Refused | Self::Reversed | Self::Returned
        )
    }

    /// Whether nothing more happens by itself.
    pub const fn is_settled(self) -> bool {
        self.is_final() || matches!(self, Self::Attention)
    }
}

impl fmt::Display for State {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// What to quote.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
#[serde(deny_unknown_fields)]
pub struct QuoteRequest {
    /// Whose miles.
    #[cfg_attr(feature = "openapi", schema(examples("airline")))]
    pub programme: String,
    /// The member.
    pub member: MemberInput,
    /// Whole miles, as a decimal string.
    #[cfg_attr(feature = "openapi", schema(examples("10000")))]
    pub miles: String,
}

/// What a conversion would come to. Holds until it expires or is used, once.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct Quote {
    /// Name of the quote.
    #[cfg_attr(
        feature = "openapi",
        schema(examples("quote_0190b2e8d6f07c3a8f3e5d1c2b4a6978"))
    )]
    pub id: String,
    /// Whose miles.
    pub programme: String,
    /// The partner's id of the member.
    #[cfg_attr(feature = "openapi", schema(examples("SKY-1001")))]
    pub member_id: String,
    /// Whole miles.
    #[serde(with = "decimal")]
    #[cfg_attr(feature = "openapi", schema(value_type = String, examples("10000")))]
    pub miles: u64,
    /// Points per mile, exact.
    #[cfg_attr(feature = "openapi", schema(value_type = String, examples("12")))]
    pub rate: MicroPoints,
    /// MVP that the member receives: miles times rate, less the fee if the member pays it.
    #[cfg_attr(feature = "openapi", schema(value_type = String, examples("120000")))]
    pub points: MicroPoints,
    /// MVP in millionths, as on the chain.
    #[serde(with = "decimal")]
    #[cfg_attr(feature = "openapi", schema(value_type = String, examples("120000000000")))]
    pub points_micro: u64,
    /// The fee.
    pub fee: FeeView,
    /// What the member has now.
    #[serde(with = "decimal")]
    #[cfg_attr(feature = "openapi", schema(value_type = String, examples("12345")))]
    pub balance: u64,
    /// RFC 3339.
    pub expires_at: String,
}

/// What to convert.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
#[serde(deny_unknown_fields)]
pub struct ConversionRequest {
    /// A quote that is neither used nor expired.
    pub quote_id: String,
    /// The member that the quote is for.
    pub member: MemberInput,
    /// The member's own address on the native chain; or `custodial`: the wallet that the gateway keeps
    /// for a linked member, which is made if there is none.
    #[cfg_attr(
        feature = "openapi",
        schema(examples("0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"))
    )]
    pub receiver: String,
    /// What you call it: 1 to 64 printable ASCII characters without spaces, unlike all your other
    /// conversions'. It can be looked up by it.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(max_length = 64, examples("order-4711")))]
    pub reference: Option<String>,
}

/// The fee of a conversion.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct FeeView {
    /// MVP.
    #[cfg_attr(feature = "openapi", schema(value_type = String, examples("360")))]
    pub points: MicroPoints,
    /// `member`: it was kept back of the points. `partner`: it is owed on top of them.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub payer: Payer,
}

/// Why a conversion is disputed.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
#[serde(deny_unknown_fields)]
pub struct DisputeRequest {
    /// For the books: 1 to 200 characters.
    #[cfg_attr(
        feature = "openapi",
        schema(max_length = 200, examples("the member's account was taken over"))
    )]
    pub why: String,
}

/// The debit at the partner.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct DebitView {
    /// Our name for it, which the partner knows too.
    pub reference: String,
    /// The partner's name for it.
    #[cfg_attr(feature = "openapi", schema(required))]
    pub partner_reference: Option<String>,
}

/// The issue on the chain.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct IssueView {
    /// The conversion's name on the chain, 32 bytes.
    pub conversion_name: String,
    /// The transaction that issued.
    #[cfg_attr(feature = "openapi", schema(required))]
    pub transaction_hash: Option<String>,
    /// Its block.
    #[cfg_attr(feature = "openapi", schema(required))]
    pub block_number: Option<u64>,
}

/// Why a conversion did not complete.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct ReasonView {
    /// Stable.
    pub code: String,
    /// For people.
    pub message: String,
}

/// One conversion.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct Conversion {
    /// Name of the conversion.
    #[cfg_attr(
        feature = "openapi",
        schema(examples("conv_0190b2e8d6f07c3a8f3e5d1c2b4a6978"))
    )]
    pub id: String,
    /// `created`, `debiting`, `debit_unknown`, `debited`, `issuing`, `completed`, `refused`,
    /// `reversing`, `reversed`, `disputed`, `returned` or `attention`.
    pub state: String,
    /// Whether the state is the last.
    #[serde(rename = "final")]
    pub is_final: bool,
    /// The quote that it used.
    pub quote_id: String,
    /// Whose miles.
    pub programme: String,
    /// The partner's id of the member.
    pub member_id: String,
    /// Who has the points, on the native chain.
    pub receiver: String,
    /// Whole miles.
    #[serde(with = "decimal")]
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub miles: u64,
    /// Points per mile, exact.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub rate: MicroPoints,
    /// MVP that the member receives.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub points: MicroPoints,
    /// MVP in millionths, as on the chain.
    #[serde(with = "decimal")]
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub points_micro: u64,
    /// The fee.
    pub fee: FeeView,
    /// What you call it.
    #[cfg_attr(feature = "openapi", schema(required))]
    pub reference: Option<String>,
    /// At the partner.
    pub debit: DebitView,
    /// On the chain.
    pub issue: IssueView,
    /// Why it did not complete.
    #[cfg_attr(feature = "openapi", schema(required))]
    pub reason: Option<ReasonView>,
    /// RFC 3339.
    pub created_at: String,
    /// RFC 3339; when the state last changed.
    pub updated_at: String,
}

impl Conversion {
    /// The state; `None` if it is newer than this crate.
    pub fn state(&self) -> Option<State> {
        State::parse(&self.state)
    }
}

/// A page, newest first.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct ConversionPage {
    /// The conversions.
    pub items: Vec<Conversion>,
    /// Send it as `cursor` for the next page; null on the last.
    #[cfg_attr(feature = "openapi", schema(required))]
    pub next_cursor: Option<String>,
}

/// Which conversions, and which page of them.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(IntoParams))]
#[cfg_attr(feature = "openapi", into_params(parameter_in = Query))]
#[serde(deny_unknown_fields)]
pub struct PageQuery {
    /// Only in this state.
    pub state: Option<String>,
    /// Only of this programme.
    pub programme: Option<String>,
    /// Only of this member, by the partner's id.
    pub member_id: Option<String>,
    /// Only the one that you call so.
    pub reference: Option<String>,
    /// Only the one whose debit the partner calls so.
    pub partner_reference: Option<String>,
    /// RFC 3339: only those made then or later.
    pub created_from: Option<String>,
    /// RFC 3339: only those made before.
    pub created_to: Option<String>,
    /// `next_cursor` of the page before; send the same filters with it.
    pub cursor: Option<String>,
    /// 1 to 100; 20 if not given.
    pub limit: Option<u32>,
}
