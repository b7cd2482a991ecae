//! Every error the API gives: RFC 9457 problem details.
//!
//! ```json
//! { "type": "urn:mileverse:problem:amount-above-balance", "title": "…", "status": 422,
//!   "detail": "one sentence that says what to do", … }
//! ```
//!
//! The type is stable and names the kind of problem; the detail is for people. Some problems carry
//! more members, such as `conversion_id`.

use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
#[cfg(feature = "openapi")]
use utoipa::ToSchema;

/// Media type of a problem.
pub const MEDIA_TYPE: &str = "application/problem+json";
/// What the type of each of them begins with.
pub const PREFIX: &str = "urn:mileverse:problem:";

macro_rules! kinds {
    ($($variant:ident = $status:ident, $name:literal, $title:literal;)*) => {
        /// A kind of problem.
        #[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
        #[non_exhaustive]
        pub enum Kind {
            $(#[doc = $title] $variant,)*
        }

        impl Kind {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// Last part of the type URN.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }

            /// HTTP status.
            pub const fn status(self) -> StatusCode {
                match self {
                    $(Self::$variant => StatusCode::$status,)*
                }
            }

            /// What this kind is called.
            pub const fn title(self) -> &'static str {
                match self {
                    $(Self::$variant => $title,)*
                }
            }
        }
    };
}

kinds! {
    Malformed = BAD_REQUEST, "malformed-request", "The request is not well formed";
    KeyMissing = BAD_REQUEST, "idempotency-key-missing", "An Idempotency-Key is required";
    KeyInvalid = BAD_REQUEST, "idempotency-key-invalid", "The Idempotency-Key is not usable";
    Unauthorized = UNAUTHORIZED, "api-key-required", "A valid API key is required";
    SignatureRequired = UNAUTHORIZED, "signature-required", "The request must be signed";
    SignatureInvalid = UNAUTHORIZED, "signature-invalid", "The request's signature is not accepted";
    SignatureReplayed = UNAUTHORIZED, "signature-replayed", "The signature's nonce was used before";
    SigningKeyTaken = CONFLICT, "signing-key-taken", "The signing key cannot be changed like this";
    Forbidden = FORBIDDEN, "scope-missing", "The API key does not allow this";
    MemberRefused = FORBIDDEN, "member-not-authenticated", "The partner does not accept the member";
    Relink = FORBIDDEN, "member-relink", "The member must be linked again";
    NotFound = NOT_FOUND, "not-found", "There is nothing here";
    MethodNotAllowed = METHOD_NOT_ALLOWED, "method-not-allowed", "This method is not offered here";
    Timeout = REQUEST_TIMEOUT, "request-timeout", "The request took too long";
    KeyRunning = CONFLICT, "request-in-progress", "The same request is still running";
    QuoteUsed = CONFLICT, "quote-used", "The quote was used before";
    QuoteExpired = CONFLICT, "quote-expired", "The quote has expired";
    ReferenceUsed = CONFLICT, "reference-used", "The reference was used before";
    NotCancellable = CONFLICT, "not-cancellable", "The conversion cannot be cancelled";
    NotDisputable = CONFLICT, "not-disputable", "The conversion cannot be disputed";
    TooLarge = PAYLOAD_TOO_LARGE, "request-too-large", "The request is too large";
    MediaTypeUnsupported = UNSUPPORTED_MEDIA_TYPE, "media-type-unsupported", "The body must be JSON";
    Invalid = UNPROCESSABLE_ENTITY, "invalid-request", "The request does not fit what is asked for";
    KeyReused = UNPROCESSABLE_ENTITY, "idempotency-key-reused", "The Idempotency-Key belongs to another request";
    ProgrammeUnknown = UNPROCESSABLE_ENTITY, "programme-unknown", "There is no such programme";
    AmountMalformed = UNPROCESSABLE_ENTITY, "amount-malformed", "The amount is not a number of miles";
    AmountZero = UNPROCESSABLE_ENTITY, "amount-zero", "The amount is zero";
    AmountNegative = UNPROCESSABLE_ENTITY, "amount-negative", "The amount is negative";
    AmountFractional = UNPROCESSABLE_ENTITY, "amount-fractional", "Miles have no fractions";
    AmountBelowMinimum = UNPROCESSABLE_ENTITY, "amount-below-minimum", "The amount is below the programme's minimum";
    AmountAboveMaximum = UNPROCESSABLE_ENTITY, "amount-above-maximum", "The amount is above the programme's maximum";
    AmountAboveBalance = UNPROCESSABLE_ENTITY, "amount-above-balance", "The member has fewer miles";
    ReceiverInvalid = UNPROCESSABLE_ENTITY, "receiver-invalid", "The receiver is not an address that can hold points";
    QuoteUnknown = UNPROCESSABLE_ENTITY, "quote-unknown", "There is no such quote";
    MemberUnknown = UNPROCESSABLE_ENTITY, "member-unknown", "There is no such member";
    MemberMismatch = UNPROCESSABLE_ENTITY, "member-mismatch", "The quote is for another member";
    ConversionRefused = UNPROCESSABLE_ENTITY, "conversion-refused", "The partner refused the conversion";
    ConversionReversed = UNPROCESSABLE_ENTITY, "conversion-reversed", "The conversion was reversed";
    RateLimited = TOO_MANY_REQUESTS, "rate-limited", "Too many requests";
    DailyLimit = UNPROCESSABLE_ENTITY, "daily-limit", "The day's limit is used up";
    FloatShort = CONFLICT, "float-short", "The float does not hold enough points";
    NotPrepaid = CONFLICT, "not-prepaid", "This partner has no float";
    PriceUnknown = SERVICE_UNAVAILABLE, "price-unknown", "There is no price at the moment";
    TopUpsOff = SERVICE_UNAVAILABLE, "top-ups-off", "Floats cannot be topped up here";
    PaymentPending = CONFLICT, "payment-pending", "The payment is not final yet";
    PaymentWrong = UNPROCESSABLE_ENTITY, "payment-wrong", "This transaction does not pay this top-up";
    CustodyOff = UNPROCESSABLE_ENTITY, "custody-off", "The gateway keeps no wallets";
    WalletNotEmpty = CONFLICT, "wallet-not-empty", "The member's wallet is not empty";
    WalletShort = UNPROCESSABLE_ENTITY, "wallet-short", "The wallet does not hold enough points";
    WithdrawalOpen = CONFLICT, "withdrawal-open", "A withdrawal of this wallet is under way";
    WithdrawalFee = CONFLICT, "withdrawal-fee", "The fee is more than was agreed to";
    WithdrawalFailed = UNPROCESSABLE_ENTITY, "withdrawal-failed", "The withdrawal failed";
    WithdrawalAmount = UNPROCESSABLE_ENTITY, "withdrawal-amount", "The amount cannot be withdrawn";
    ChainUnavailable = SERVICE_UNAVAILABLE, "chain-unavailable", "The chain cannot be asked";
    TooManyWebhooks = CONFLICT, "too-many-webhooks", "There are too many webhooks";
    WebhookDisabled = CONFLICT, "webhook-disabled", "The webhook is disabled";
    RoleMissing = FORBIDDEN, "role-missing", "The operator's role does not allow this";
    FourEyes = FORBIDDEN, "four-eyes", "It takes another operator";
    CaseMoved = CONFLICT, "case-moved", "The case is not where it was";
    OperatorExists = CONFLICT, "operator-exists", "There is an operator of this name";
    ActionUnfit = UNPROCESSABLE_ENTITY, "action-unfit", "It cannot be done to this case";
    StatementInvalid = UNPROCESSABLE_ENTITY, "statement-invalid", "The file is not a partner's statement";
    Internal = INTERNAL_SERVER_ERROR, "internal", "The gateway failed";
    NotReady = SERVICE_UNAVAILABLE, "not-ready", "The gateway is not ready";
    Busy = SERVICE_UNAVAILABLE, "busy", "The gateway is busy";
    PartnerUnavailable = SERVICE_UNAVAILABLE, "partner-unavailable", "The partner cannot be asked";
}

impl Kind {
    /// The type of its problems.
    pub fn urn(self) -> String {
        format!("{PREFIX}{}", self.name())
    }

    /// The kind of this type.
    pub fn of_urn(urn: &str) -> Option<Self> {
        let name = urn.strip_prefix(PREFIX)?;
        Self::ALL.iter().copied().find(|kind| kind.name() == name)
    }
}

/// Problem details as they travel (RFC 9457).
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
#[cfg_attr(feature = "openapi", schema(as = Problem))]
pub struct ProblemBody {
    /// URN of the kind of problem; stable.
    #[serde(rename = "type")]
    #[cfg_attr(
        feature = "openapi",
        schema(examples("urn:mileverse:problem:amount-above-balance"))
    )]
    pub kind: String,
    /// What this kind is called.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What happened and what to do.
    pub detail: String,
    /// Whatever else this kind carries.
    #[serde(flatten)]
    #[cfg_attr(feature = "openapi", schema(value_type = Object))]
    pub more: Map<String, Value>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_have_names_of_their_own_and_are_found_by_them() {
        for kind in Kind::ALL {
            assert_eq!(Kind::of_urn(&kind.urn()), Some(*kind));
            let status = kind.status();
            assert!(
                status.is_client_error() || status.is_server_error(),
                "{kind:?}"
            );
        }
        assert_eq!(Kind::of_urn("urn:mileverse:problem:none"), None);
        assert_eq!(Kind::of_urn("about:blank"), None);
    }
}
