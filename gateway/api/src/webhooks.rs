//! `/v1/webhooks` and `/v1/events`: being told what happened. What is sent is in
//! [`crate::message`].

use crate::amount::secret;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use serde_json::Value;
#[cfg(feature = "openapi")]
use utoipa::{IntoParams, ToSchema};

/// An endpoint to be told of events.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
#[serde(deny_unknown_fields)]
pub struct WebhookRequest {
    /// HTTPS, on the public internet.
    #[cfg_attr(
        feature = "openapi",
        schema(examples("https://shop.example/mileverse"))
    )]
    pub url: String,
    /// Kinds of events; all if not given.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(examples(json!(["conversion.completed"]))))]
    pub event_types: Vec<String>,
    /// Your own words, at most 200 characters.
    #[serde(default)]
    pub description: String,
}

/// What changes; a field that is not given stays as it is.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
#[serde(deny_unknown_fields)]
#[derive(Default)]
pub struct WebhookChange {
    /// Where to.
    pub url: Option<String>,
    /// Kinds of events; empty: all.
    pub event_types: Option<Vec<String>>,
    /// Your own words.
    pub description: Option<String>,
    /// `true` after it was disabled; what it missed comes with a replay.
    pub enabled: Option<bool>,
}

/// One endpoint.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct Webhook {
    /// Name of the endpoint.
    #[cfg_attr(
        feature = "openapi",
        schema(examples("whk_0190b2e8d6f07c3a8f3e5d1c2b4a6978"))
    )]
    pub id: String,
    /// Where to.
    pub url: String,
    /// Empty: all.
    pub event_types: Vec<String>,
    /// Your own words.
    pub description: String,
    /// `enabled` or `disabled`.
    pub status: String,
    /// Why it is disabled.
    #[cfg_attr(feature = "openapi", schema(required))]
    pub disabled_because: Option<String>,
    /// RFC 3339: the first failure since the last success.
    #[cfg_attr(feature = "openapi", schema(required))]
    pub failing_since: Option<String>,
    /// RFC 3339.
    pub created_at: String,
    /// RFC 3339.
    pub updated_at: String,
}

/// All endpoints of the caller.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct WebhookList {
    /// The endpoints.
    pub items: Vec<Webhook>,
}

/// What verifies a message.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct WebhookSecret {
    /// `whsec_` and 32 bytes in base64: the key of HMAC-SHA256.
    #[serde(serialize_with = "secret::serialize")]
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub secret: SecretString,
    /// The one before, as long as messages are signed with both.
    #[serde(serialize_with = "secret::option::serialize")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, required))]
    pub previous: Option<SecretString>,
    /// RFC 3339.
    #[cfg_attr(feature = "openapi", schema(required))]
    pub previous_until: Option<String>,
}

/// How a secret is replaced.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
#[serde(deny_unknown_fields)]
pub struct RotateRequest {
    /// The secret to replace. If it is not the newest, it was replaced already, and nothing changes.
    #[serde(serialize_with = "secret::serialize")]
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub secret: SecretString,
    /// Hours in which messages are signed with both; 24 if not given, at most 720.
    pub overlap_hours: Option<u32>,
}

/// From when on to send again.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
#[serde(deny_unknown_fields)]
pub struct ReplayRequest {
    /// RFC 3339. Events since then that the endpoint has not taken are queued, 500 at a time.
    #[cfg_attr(feature = "openapi", schema(examples("2026-11-21T00:00:00Z")))]
    pub since: String,
}

/// What a replay queued.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct Replay {
    /// How many.
    pub queued: u32,
    /// Whether there are more: replay again.
    pub more: bool,
}

/// One event to one endpoint.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct Delivery {
    /// Which event.
    pub event_id: String,
    /// To which endpoint.
    pub webhook_id: String,
    /// `pending`, `delivered` or `failed`.
    pub state: String,
    /// How often it was tried.
    pub attempts: u32,
    /// HTTP status of the last attempt.
    #[cfg_attr(feature = "openapi", schema(required))]
    pub status: Option<u16>,
    /// Why the last attempt failed.
    #[cfg_attr(feature = "openapi", schema(required))]
    pub error: Option<String>,
    /// RFC 3339.
    #[cfg_attr(feature = "openapi", schema(required))]
    pub attempted_at: Option<String>,
    /// RFC 3339.
    pub created_at: String,
}

/// A page, newest event first.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct DeliveryList {
    /// The deliveries.
    pub items: Vec<Delivery>,
    /// Send it as `cursor` for the next page; null on the last.
    #[cfg_attr(feature = "openapi", schema(required))]
    pub next_cursor: Option<String>,
}

/// Something that happened.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct Event {
    /// Name of the event.
    #[cfg_attr(
        feature = "openapi",
        schema(examples("evt_0190b2e8d6f07c3a8f3e5d1c2b4a6978"))
    )]
    pub id: String,
    /// What.
    #[serde(rename = "type")]
    #[cfg_attr(feature = "openapi", schema(examples("conversion.completed")))]
    pub kind: String,
    /// What it is about.
    pub subject: String,
    /// What is sent to endpoints.
    #[cfg_attr(feature = "openapi", schema(value_type = Object))]
    pub body: Value,
    /// RFC 3339.
    pub created_at: String,
}

/// A page, newest first.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct EventList {
    /// The events.
    pub items: Vec<Event>,
    /// Send it as `cursor` for the next page; null on the last.
    #[cfg_attr(feature = "openapi", schema(required))]
    pub next_cursor: Option<String>,
}

/// Which endpoint an event is sent to again.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
#[serde(deny_unknown_fields)]
pub struct ResendRequest {
    /// The endpoint.
    pub webhook_id: String,
}

/// Which page.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(IntoParams))]
#[cfg_attr(feature = "openapi", into_params(parameter_in = Query))]
#[serde(deny_unknown_fields)]
pub struct DeliveryQuery {
    /// `pending`, `delivered` or `failed`.
    pub state: Option<String>,
    /// `next_cursor` of the page before.
    pub cursor: Option<String>,
    /// 1 to 100; 20 if not given.
    pub limit: Option<u32>,
}

/// Which page.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(IntoParams))]
#[cfg_attr(feature = "openapi", into_params(parameter_in = Query))]
#[serde(deny_unknown_fields)]
pub struct EventQuery {
    /// `next_cursor` of the page before.
    pub cursor: Option<String>,
    /// 1 to 100; 20 if not given.
    pub limit: Option<u32>,
}
