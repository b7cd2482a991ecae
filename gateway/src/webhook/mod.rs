//! Telling partners what happened, as Standard Webhooks specifies
//! (<https://github.com/standard-webhooks/standard-webhooks>).
//!
//! ```txt
//! the transaction of the change:  event row, one delivery row and one job for each endpoint
//! the worker:                     POST, signed; 2xx ends it, anything else is tried again
//! ```
//!
//! So nothing that happened is ever untold, and nothing that did not happen is told. An event may
//! arrive more than once, and in any order: `webhook-id` names it.
//!
//! How a message looks and is signed is in [`mileverse_gateway_api::message`].
//!
//! Limits: 10 endpoints a partner, a URL of 2,048 bytes, 4 attempts at once to one endpoint by one
//! replica. An answer's body is not read, redirects are not followed.
//!
//! ```txt
//! sign      secrets and signatures
//! target    where may be sent to: no private networks
//! deliver   one attempt, and what follows from it
//! ```

pub mod deliver;
pub mod sign;
pub mod target;

use crate::clock::rfc3339;
use crate::ids;
use crate::store::Connection;
use crate::store::jobs::{self, Kind as JobKind};
use crate::store::webhooks;
use serde_json::{Value, json};

macro_rules! kinds {
    ($($variant:ident = $name:literal, $meaning:literal;)*) => {
        /// What can happen.
        #[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
        pub enum Kind {
            $(#[doc = $meaning] $variant,)*
        }

        impl Kind {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// As stored and as sent.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }
        }
    };
}

kinds! {
    ConversionCompleted = "conversion.completed", "The points exist.";
    ConversionRefused = "conversion.refused", "No miles were taken.";
    ConversionReversed = "conversion.reversed", "The miles are back.";
    ConversionAttention = "conversion.attention", "An operator must look.";
    ConversionReturned = "conversion.returned", "Disputed: the miles are back, the points are a claim on the partner.";
    ConversionDisputeRefused = "conversion.dispute_refused", "The partner's system refuses to give the miles back; the conversion stands.";
    TopUpRequested = "top_up.requested", "The float is low: a top-up waits for its payment.";
    TopUpPaid = "top_up.paid", "The points are in the float.";
    WithdrawalCompleted = "withdrawal.completed", "Points left a wallet that the gateway keeps.";
    WithdrawalFailed = "withdrawal.failed", "A withdrawal came to nothing: the points are still in the wallet.";
    RewardPaid = "reward.paid", "A linked member earned MVC for a quarter, and it is paid.";
    WebhookDisabled = "webhook.disabled", "An endpoint failed for too long.";
    WebhookTest = "webhook.test", "Somebody tries an endpoint.";
}

impl Kind {
    /// The kind of this name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.name() == name)
    }
}

/// Something that happened.
#[derive(Clone, Debug)]
pub struct Event {
    /// `evt_…`
    pub id: String,
    /// Whom it concerns.
    pub partner: String,
    /// What.
    pub kind: String,
    /// About which.
    pub subject: String,
    /// What is sent.
    pub body: String,
    /// When.
    pub at: i64,
}

/// Says that something happened, in the transaction in which it does, to all endpoints that ask for
/// it.
pub async fn announce(
    connection: &mut Connection,
    partner: &str,
    kind: Kind,
    subject: &str,
    data: Value,
    now: i64,
) -> Result<(), sqlx::Error> {
    let event = record(connection, partner, kind, subject, data, now).await?;
    for endpoint in webhooks::listening(connection, partner).await? {
        if endpoint.wants(kind.name()) {
            queue(connection, &event, &endpoint.id, now).await?;
        }
    }
    Ok(())
}

/// Records that something happened, and tells nobody. Gives the event's id.
pub async fn record(
    connection: &mut Connection,
    partner: &str,
    kind: Kind,
    subject: &str,
    data: Value,
    now: i64,
) -> Result<String, sqlx::Error> {
    let event = Event {
        id: ids::event(),
        partner: partner.to_owned(),
        kind: kind.name().to_owned(),
        subject: subject.to_owned(),
        body: json!({ "type": kind.name(), "timestamp": rfc3339(now), "data": data }).to_string(),
        at: now,
    };
    webhooks::insert_event(connection, &event).await?;
    Ok(event.id)
}

/// Queues one event for one endpoint, from the beginning if it was sent before.
pub async fn queue(
    connection: &mut Connection,
    event: &str,
    endpoint: &str,
    now: i64,
) -> Result<(), sqlx::Error> {
    webhooks::put_delivery(connection, endpoint, event, now).await?;
    let name = job_name(event, endpoint);
    jobs::done(connection, JobKind::Webhook, &name).await?;
    jobs::add(connection, JobKind::Webhook, &name, now, now).await
}

fn job_name(event: &str, endpoint: &str) -> String {
    format!("{event}:{endpoint}")
}
