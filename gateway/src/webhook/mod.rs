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
use crate::store::webhooks::{self, Endpoint, NewEvent};
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

/// Something that happened, to be told.
#[derive(Clone, Debug)]
pub struct News<'a> {
    /// Whom it concerns.
    pub partner: &'a str,
    /// What.
    pub kind: Kind,
    /// About which.
    pub subject: &'a str,
    /// What is known of it.
    pub data: Value,
    /// The trace that it belongs to, if it is traced.
    pub trace: Option<String>,
}

impl<'a> News<'a> {
    /// Something that happens in the trace that runs.
    pub fn here(partner: &'a str, kind: Kind, subject: &'a str, data: Value) -> Self {
        Self {
            partner,
            kind,
            subject,
            data,
            trace: mileverse_trace::here(),
        }
    }

    fn event(self, now: i64) -> NewEvent {
        let kind = self.kind.name();
        NewEvent {
            event: Event {
                id: ids::event(),
                partner: self.partner.to_owned(),
                kind: kind.to_owned(),
                subject: self.subject.to_owned(),
                body: json!({ "type": kind, "timestamp": rfc3339(now), "data": self.data })
                    .to_string(),
                at: now,
            },
            trace: self.trace,
        }
    }
}

/// Says that things happened, in the transaction in which they do, to all endpoints that ask for them.
pub async fn announce(
    connection: &mut Connection,
    news: Vec<News<'_>>,
    now: i64,
) -> Result<(), sqlx::Error> {
    if news.is_empty() {
        return Ok(());
    }
    let new: Vec<_> = news.into_iter().map(|one| one.event(now)).collect();
    let endpoints = webhooks::insert_events_and_listen(connection, &new, now).await?;
    let mut deliveries = Vec::new();
    for NewEvent { event, .. } in &new {
        let listens = |one: &&Endpoint| one.partner == event.partner && one.wants(&event.kind);
        let listening = endpoints.iter().filter(listens);
        deliveries.extend(listening.map(|endpoint| (endpoint.id.as_str(), event.id.as_str())));
    }
    if deliveries.is_empty() {
        return Ok(());
    }
    webhooks::put_deliveries(connection, &deliveries, now).await?;
    let names = deliveries
        .iter()
        .map(|(endpoint, event)| job_name(event, endpoint));
    let names: Vec<_> = names.collect();
    jobs::add_all(connection, JobKind::Webhook, &names, now, now).await
}

/// Records that something happened, and tells nobody. Gives the event's id.
pub async fn record(
    connection: &mut Connection,
    news: News<'_>,
    now: i64,
) -> Result<String, sqlx::Error> {
    let new = news.event(now);
    webhooks::insert_events(connection, std::slice::from_ref(&new), now).await?;
    Ok(new.event.id)
}

/// Queues one event for one endpoint, from the beginning if it was sent before.
pub async fn queue(
    connection: &mut Connection,
    event: &str,
    endpoint: &str,
    now: i64,
) -> Result<(), sqlx::Error> {
    webhooks::put_deliveries(connection, &[(endpoint, event)], now).await?;
    let name = job_name(event, endpoint);
    jobs::done(connection, JobKind::Webhook, &name).await?;
    jobs::add(connection, JobKind::Webhook, &name, now, now).await
}

fn job_name(event: &str, endpoint: &str) -> String {
    format!("{event}:{endpoint}")
}
