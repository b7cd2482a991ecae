//! Every error the API gives: RFC 9457 problem details.
//!
//! ```json
//! { "type": "urn:mileverse:problem:amount-above-balance", "title": "…", "status": 422,
//!   "detail": "one sentence that says what to do", … }
//! ```
//!
//! The type is stable and names the kind of problem; the detail is for people. Some problems carry
//! more members, such as `conversion_id`.

use axum::Json;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

/// Media type of a problem.
pub const MEDIA_TYPE: &str = "application/problem+json";

/// A kind of problem.
#[derive(Debug, Eq, PartialEq)]
pub struct Kind {
    /// Last part of the type URN.
    pub name: &'static str,
    /// HTTP status.
    pub status: StatusCode,
    /// What this kind is called.
    pub title: &'static str,
}

macro_rules! kinds {
    ($($constant:ident = $status:ident, $name:literal, $title:literal;)*) => {
        $(
            #[doc = $title]
            pub const $constant: Kind =
                Kind { name: $name, status: StatusCode::$status, title: $title };
        )*
        /// All of them.
        pub const KINDS: &[Kind] = &[$($constant),*];
    };
}

kinds! {
    MALFORMED = BAD_REQUEST, "malformed-request", "The request is not well formed";
    KEY_MISSING = BAD_REQUEST, "idempotency-key-missing", "An Idempotency-Key is required";
    KEY_INVALID = BAD_REQUEST, "idempotency-key-invalid", "The Idempotency-Key is not usable";
    UNAUTHORIZED = UNAUTHORIZED, "api-key-required", "A valid API key is required";
    SIGNATURE_REQUIRED = UNAUTHORIZED, "signature-required", "The request must be signed";
    SIGNATURE_INVALID = UNAUTHORIZED, "signature-invalid", "The request's signature is not accepted";
    SIGNATURE_REPLAYED = UNAUTHORIZED, "signature-replayed", "The signature's nonce was used before";
    SIGNING_KEY_TAKEN = CONFLICT, "signing-key-taken", "The signing key cannot be changed like this";
    FORBIDDEN = FORBIDDEN, "scope-missing", "The API key does not allow this";
    MEMBER_REFUSED = FORBIDDEN, "member-not-authenticated", "The partner does not accept the member";
    RELINK = FORBIDDEN, "member-relink", "The member must be linked again";
    NOT_FOUND = NOT_FOUND, "not-found", "There is nothing here";
    METHOD_NOT_ALLOWED = METHOD_NOT_ALLOWED, "method-not-allowed", "This method is not offered here";
    TIMEOUT = REQUEST_TIMEOUT, "request-timeout", "The request took too long";
    KEY_RUNNING = CONFLICT, "request-in-progress", "The same request is still running";
    QUOTE_USED = CONFLICT, "quote-used", "The quote was used before";
    QUOTE_EXPIRED = CONFLICT, "quote-expired", "The quote has expired";
    REFERENCE_USED = CONFLICT, "reference-used", "The reference was used before";
    NOT_CANCELLABLE = CONFLICT, "not-cancellable", "The conversion cannot be cancelled";
    NOT_DISPUTABLE = CONFLICT, "not-disputable", "The conversion cannot be disputed";
    TOO_LARGE = PAYLOAD_TOO_LARGE, "request-too-large", "The request is too large";
    MEDIA_TYPE_UNSUPPORTED = UNSUPPORTED_MEDIA_TYPE, "media-type-unsupported", "The body must be JSON";
    INVALID = UNPROCESSABLE_ENTITY, "invalid-request", "The request does not fit what is asked for";
    KEY_REUSED = UNPROCESSABLE_ENTITY, "idempotency-key-reused", "The Idempotency-Key belongs to another request";
    PROGRAMME_UNKNOWN = UNPROCESSABLE_ENTITY, "programme-unknown", "There is no such programme";
    AMOUNT_MALFORMED = UNPROCESSABLE_ENTITY, "amount-malformed", "The amount is not a number of miles";
    AMOUNT_ZERO = UNPROCESSABLE_ENTITY, "amount-zero", "The amount is zero";
    AMOUNT_NEGATIVE = UNPROCESSABLE_ENTITY, "amount-negative", "The amount is negative";
    AMOUNT_FRACTIONAL = UNPROCESSABLE_ENTITY, "amount-fractional", "Miles have no fractions";
    AMOUNT_BELOW_MINIMUM = UNPROCESSABLE_ENTITY, "amount-below-minimum", "The amount is below the programme's minimum";
    AMOUNT_ABOVE_MAXIMUM = UNPROCESSABLE_ENTITY, "amount-above-maximum", "The amount is above the programme's maximum";
    AMOUNT_ABOVE_BALANCE = UNPROCESSABLE_ENTITY, "amount-above-balance", "The member has fewer miles";
    RECEIVER_INVALID = UNPROCESSABLE_ENTITY, "receiver-invalid", "The receiver is not an address that can hold points";
    QUOTE_UNKNOWN = UNPROCESSABLE_ENTITY, "quote-unknown", "There is no such quote";
    MEMBER_UNKNOWN = UNPROCESSABLE_ENTITY, "member-unknown", "There is no such member";
    MEMBER_MISMATCH = UNPROCESSABLE_ENTITY, "member-mismatch", "The quote is for another member";
    CONVERSION_REFUSED = UNPROCESSABLE_ENTITY, "conversion-refused", "The partner refused the conversion";
    CONVERSION_REVERSED = UNPROCESSABLE_ENTITY, "conversion-reversed", "The conversion was reversed";
    RATE_LIMITED = TOO_MANY_REQUESTS, "rate-limited", "Too many requests";
    DAILY_LIMIT = UNPROCESSABLE_ENTITY, "daily-limit", "The day's limit is used up";
    FLOAT_SHORT = CONFLICT, "float-short", "The float does not hold enough points";
    NOT_PREPAID = CONFLICT, "not-prepaid", "This partner has no float";
    PRICE_UNKNOWN = SERVICE_UNAVAILABLE, "price-unknown", "There is no price at the moment";
    TOP_UPS_OFF = SERVICE_UNAVAILABLE, "top-ups-off", "Floats cannot be topped up here";
    PAYMENT_PENDING = CONFLICT, "payment-pending", "The payment is not final yet";
    PAYMENT_WRONG = UNPROCESSABLE_ENTITY, "payment-wrong", "This transaction does not pay this top-up";
    TOO_MANY_WEBHOOKS = CONFLICT, "too-many-webhooks", "There are too many webhooks";
    WEBHOOK_DISABLED = CONFLICT, "webhook-disabled", "The webhook is disabled";
    ROLE_MISSING = FORBIDDEN, "role-missing", "The operator's role does not allow this";
    FOUR_EYES = FORBIDDEN, "four-eyes", "It takes another operator";
    CASE_MOVED = CONFLICT, "case-moved", "The case is not where it was";
    OPERATOR_EXISTS = CONFLICT, "operator-exists", "There is an operator of this name";
    ACTION_UNFIT = UNPROCESSABLE_ENTITY, "action-unfit", "It cannot be done to this case";
    STATEMENT_INVALID = UNPROCESSABLE_ENTITY, "statement-invalid", "The file is not a partner's statement";
    INTERNAL = INTERNAL_SERVER_ERROR, "internal", "The gateway failed";
    NOT_READY = SERVICE_UNAVAILABLE, "not-ready", "The gateway is not ready";
    BUSY = SERVICE_UNAVAILABLE, "busy", "The gateway is busy";
    PARTNER_UNAVAILABLE = SERVICE_UNAVAILABLE, "partner-unavailable", "The partner cannot be asked";
}

/// One problem.
#[derive(Debug)]
pub struct Problem {
    /// What kind.
    pub kind: Kind,
    detail: String,
    /// Boxed: how large a map is depends on what else the build turns on in serde_json.
    more: Box<Map<String, Value>>,
    headers: Vec<(HeaderName, HeaderValue)>,
}

/// Problem details as they travel (RFC 9457).
#[derive(Serialize, ToSchema)]
#[schema(as = Problem)]
pub struct ProblemBody {
    /// URN of the kind of problem; stable.
    #[serde(rename = "type")]
    #[schema(examples("urn:mileverse:problem:amount-above-balance"))]
    pub kind: String,
    /// What this kind is called.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What happened and what to do.
    pub detail: String,
    /// Whatever else this kind carries.
    #[serde(flatten)]
    #[schema(value_type = Object)]
    pub more: Map<String, Value>,
}

impl Problem {
    /// A problem with a sentence that says what to do.
    pub fn new(kind: Kind, detail: impl Into<String>) -> Self {
        Self {
            kind,
            detail: detail.into(),
            more: Box::default(),
            headers: Vec::new(),
        }
    }

    /// Adds a member.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.more.insert(name.to_owned(), value.into());
        self
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    /// Something of ours broke. What exactly goes to the log, not to the caller.
    pub fn internal(error: &(dyn std::error::Error + 'static)) -> Self {
        tracing::error!(%error, "a request failed inside the gateway");
        Self::new(
            INTERNAL,
            "The gateway failed; send the same request with the same Idempotency-Key again.",
        )
    }

    /// The body as it travels.
    pub fn body(&self) -> ProblemBody {
        ProblemBody {
            kind: format!("urn:mileverse:problem:{}", self.kind.name),
            title: self.kind.title.to_owned(),
            status: self.kind.status.as_u16(),
            detail: self.detail.clone(),
            more: *self.more.clone(),
        }
    }
}

impl From<sqlx::Error> for Problem {
    fn from(error: sqlx::Error) -> Self {
        Self::internal(&error)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = (self.kind.status, Json(self.body())).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
        headers.extend(self.headers);
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_have_names_of_their_own() {
        for (at, kind) in KINDS.iter().enumerate() {
            assert!(
                KINDS
                    .iter()
                    .skip(at + 1)
                    .all(|other| other.name != kind.name),
                "{kind:?}"
            );
            assert!(
                kind.status.is_client_error() || kind.status.is_server_error(),
                "{kind:?}"
            );
        }
    }
}
