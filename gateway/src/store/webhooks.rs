//! Events, the endpoints that are told of them, and the deliveries from one to the other.

use super::Store;
use super::rows::{self, OverRows, given, over_tuples};
use super::traces;
use crate::store::Connection;
use crate::webhook::Event;
use serde::Serialize;
use sqlx::Row;
use sqlx::any::AnyRow;
use std::collections::BTreeSet;

/// Most endpoints of one partner.
pub const MAX_ENDPOINTS: i64 = 10;

/// Where a partner is told.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Endpoint {
    /// `whk_…`
    pub id: String,
    /// Whose.
    pub partner: String,
    /// Where to.
    pub url: String,
    /// Kinds of events, separated by spaces; empty for all.
    pub kinds: String,
    /// The partner's own words.
    pub description: String,
    /// `enabled`, `disabled` or `deleted`.
    pub status: String,
    /// Why it is disabled.
    pub disabled_because: Option<String>,
    /// The first failure since the last success.
    pub failing_since: Option<i64>,
    /// Which secret signs.
    pub secret_version: i64,
    /// Until then the version before signs too.
    pub previous_secret_until: i64,
    /// When it was made.
    pub created_at: i64,
    /// When its partner last changed it.
    pub updated_at: i64,
}

impl Endpoint {
    /// Whether it is told of this kind of events.
    pub fn wants(&self, kind: &str) -> bool {
        self.kinds.is_empty() || self.kinds.split(' ').any(|wanted| wanted == kind)
    }

    /// The versions of the secret that sign now, the newest first.
    pub fn secret_versions(&self, now: i64) -> Vec<i64> {
        let before = self.secret_version.saturating_sub(1);
        let mut versions = vec![self.secret_version];
        if before > 0 && now < self.previous_secret_until {
            versions.push(before);
        }
        versions
    }
}

/// One event on its way to one endpoint.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// Where to.
    pub endpoint_id: String,
    /// What.
    pub event_id: String,
    /// `pending`, `delivered` or `failed`.
    pub state: String,
    /// Attempts so far.
    pub attempts: i64,
    /// HTTP status of the last.
    pub status: Option<i64>,
    /// Why the last failed.
    pub error: Option<String>,
    /// When the last was.
    pub attempted_at: Option<i64>,
    /// When it was queued.
    pub created_at: i64,
}

/// What an attempt came to.
#[derive(Clone, Debug)]
pub struct Attempt<'a> {
    /// `pending` if it is tried again.
    pub state: &'a str,
    /// HTTP status.
    pub status: Option<i64>,
    /// Why it failed.
    pub error: Option<&'a str>,
    /// When it was.
    pub at: i64,
}

/// Which deliveries to list.
#[derive(Clone, Copy, Debug)]
pub struct DeliveryPage<'a> {
    /// In this state only.
    pub state: Option<&'a str>,
    /// Of events before this one.
    pub before: Option<&'a str>,
    /// How many.
    pub limit: u32,
}

fn event(row: &AnyRow) -> Result<Event, sqlx::Error> {
    Ok(Event {
        id: row.try_get("id")?,
        partner: row.try_get("partner")?,
        kind: row.try_get("kind")?,
        subject: row.try_get("subject")?,
        body: row.try_get("body")?,
        at: row.try_get("at")?,
    })
}

fn endpoint(row: &AnyRow) -> Result<Endpoint, sqlx::Error> {
    Ok(Endpoint {
        id: row.try_get("id")?,
        partner: row.try_get("partner")?,
        url: row.try_get("url")?,
        kinds: row.try_get("kinds")?,
        description: row.try_get("description")?,
        status: row.try_get("status")?,
        disabled_because: row.try_get("disabled_because")?,
        failing_since: row.try_get("failing_since")?,
        secret_version: row.try_get("secret_version")?,
        previous_secret_until: row.try_get("previous_secret_until")?,
        created_at: row.try_get("created_at")?,
        updated_at: row.try_get("updated_at")?,
    })
}

fn delivery(row: &AnyRow) -> Result<Delivery, sqlx::Error> {
    Ok(Delivery {
        endpoint_id: row.try_get("endpoint_id")?,
        event_id: row.try_get("event_id")?,
        state: row.try_get("state")?,
        attempts: row.try_get("attempts")?,
        status: row.try_get("status")?,
        error: row.try_get("error")?,
        attempted_at: row.try_get("attempted_at")?,
        created_at: row.try_get("created_at")?,
    })
}

/// An event that is new.
#[derive(Clone, Debug)]
pub struct NewEvent {
    /// The event.
    pub event: Event,
    /// The trace that it belongs to, if it is traced.
    pub trace: Option<String>,
}

#[derive(Serialize)]
struct EventRow<'a> {
    id: &'a str,
    partner: &'a str,
    kind: &'a str,
    subject: &'a str,
    body: &'a str,
}

macro_rules! events {
    ($rows:literal) => {
        concat!(
            "INSERT INTO events (id, partner, kind, subject, body, at)
             SELECT value ->> 'id', value ->> 'partner', value ->> 'kind', value ->> 'subject', value ->> 'body', $2
             FROM ",
            $rows
        )
    };
}
const EVENTS: OverRows = OverRows {
    sqlite: events!("json_each($1)"),
    postgres: events!("jsonb_array_elements($1::jsonb)"),
};
macro_rules! listening {
    ($rows:expr) => {
        concat!(
            "SELECT * FROM webhook_endpoints WHERE status = 'enabled' AND partner IN (SELECT value ->> 0 FROM ",
            $rows,
            ") ORDER BY id"
        )
    };
}
const LISTENING_SQLITE: &str = listening!("json_each($1)");
/// With the endpoints that may want to be told: one message to the server.
const EVENTS_AND_LISTENING_POSTGRES: &str = concat!(
    "WITH new AS (",
    events!("jsonb_array_elements($1::jsonb)"),
    ") ",
    listening!(given!("array", "$3"))
);

/// Stores events of this moment. Gives the endpoints of their partners that are told of what happens.
pub async fn insert_events_and_listen(
    connection: &mut Connection,
    new: &[NewEvent],
    now: i64,
) -> Result<Vec<Endpoint>, sqlx::Error> {
    let partners = new.iter().map(|one| [one.event.partner.as_str()]);
    let partners = partners.collect::<BTreeSet<_>>();
    let partners = rows::json(&partners.into_iter().collect::<Vec<_>>())?;
    let found = if connection.is_postgres() {
        remember_traces(connection, new).await?;
        sqlx::query(EVENTS_AND_LISTENING_POSTGRES)
            .bind(events_json(new)?)
            .bind(now)
            .bind(partners)
            .fetch_all(connection)
            .await?
    } else {
        insert_events(connection, new, now).await?;
        sqlx::query(LISTENING_SQLITE)
            .bind(partners)
            .fetch_all(connection)
            .await?
    };
    found.iter().map(endpoint).collect()
}

/// Stores events of this moment.
pub async fn insert_events(
    connection: &mut Connection,
    new: &[NewEvent],
    now: i64,
) -> Result<(), sqlx::Error> {
    remember_traces(connection, new).await?;
    let statement = sqlx::query(connection.over(EVENTS))
        .bind(events_json(new)?)
        .bind(now);
    connection.tell(statement).await
}

fn events_json(new: &[NewEvent]) -> Result<String, sqlx::Error> {
    let rows: Vec<_> = new
        .iter()
        .map(|NewEvent { event, .. }| EventRow {
            id: &event.id,
            partner: &event.partner,
            kind: &event.kind,
            subject: &event.subject,
            body: &event.body,
        })
        .collect();
    rows::json(&rows)
}

async fn remember_traces(connection: &mut Connection, new: &[NewEvent]) -> Result<(), sqlx::Error> {
    let traced = new
        .iter()
        .map(|one| (one.event.id.as_str(), one.trace.as_deref()));
    traces::remember(connection, &traced.collect::<Vec<_>>()).await
}

const DELIVERIES: OverRows = over_tuples!(
    "INSERT INTO webhook_deliveries (endpoint_id, event_id, state, created_at)
     SELECT value ->> 0, value ->> 1, 'pending', $2 FROM",
    "WHERE true
     ON CONFLICT (endpoint_id, event_id) DO UPDATE SET state = 'pending', attempts = 0"
);

/// Makes deliveries, `(endpoint, event)`, or begins them anew.
pub async fn put_deliveries(
    connection: &mut Connection,
    deliveries: &[(&str, &str)],
    now: i64,
) -> Result<(), sqlx::Error> {
    let statement = sqlx::query(connection.over(DELIVERIES))
        .bind(rows::json(deliveries)?)
        .bind(now);
    connection.tell(statement).await
}

/// Notes an attempt, unless somebody else noted one meanwhile. Whether it did.
pub async fn note_attempt(
    connection: &mut Connection,
    of: &Delivery,
    attempt: &Attempt<'_>,
) -> Result<bool, sqlx::Error> {
    let done = sqlx::query(
        "UPDATE webhook_deliveries
         SET state = $4, attempts = attempts + 1, status = $5, error = $6, attempted_at = $7
         WHERE endpoint_id = $1 AND event_id = $2 AND state = 'pending' AND attempts = $3",
    )
    .bind(&of.endpoint_id)
    .bind(&of.event_id)
    .bind(of.attempts)
    .bind(attempt.state)
    .bind(attempt.status)
    .bind(attempt.error)
    .bind(attempt.at)
    .execute(connection)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Notes that an endpoint answers, or since when it does not.
pub async fn note_health(
    connection: &mut Connection,
    endpoint: &str,
    failing_since: Option<i64>,
) -> Result<(), sqlx::Error> {
    let statement = match failing_since {
        Some(_) => {
            "UPDATE webhook_endpoints SET failing_since = $2 WHERE id = $1 AND failing_since IS NULL"
        }
        None => {
            "UPDATE webhook_endpoints SET failing_since = $2
             WHERE id = $1 AND failing_since IS NOT NULL"
        }
    };
    sqlx::query(statement)
        .bind(endpoint)
        .bind(failing_since)
        .execute(connection)
        .await?;
    Ok(())
}

/// Disables an endpoint. Whether it was enabled.
pub async fn disable(
    connection: &mut Connection,
    endpoint: &str,
    because: &str,
) -> Result<bool, sqlx::Error> {
    let done = sqlx::query(
        "UPDATE webhook_endpoints SET status = 'disabled', disabled_because = $2
         WHERE id = $1 AND status = 'enabled'",
    )
    .bind(endpoint)
    .bind(because)
    .execute(connection)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Stores an endpoint, if its partner has not too many. Whether it did.
pub async fn insert_endpoint(
    connection: &mut Connection,
    endpoint: &Endpoint,
) -> Result<bool, sqlx::Error> {
    let done = sqlx::query(
        "INSERT INTO webhook_endpoints (id, partner, url, kinds, description, status, created_at, updated_at)
         SELECT $1, $2, $3, $4, $5, 'enabled', $6, $6
         WHERE (SELECT COUNT(*) FROM webhook_endpoints WHERE partner = $2 AND status <> 'deleted') < $7",
    )
    .bind(&endpoint.id)
    .bind(&endpoint.partner)
    .bind(&endpoint.url)
    .bind(&endpoint.kinds)
    .bind(&endpoint.description)
    .bind(endpoint.created_at)
    .bind(MAX_ENDPOINTS)
    .execute(connection)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Changes what a partner may change of an endpoint.
pub async fn update_endpoint(
    connection: &mut Connection,
    endpoint: &Endpoint,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "UPDATE webhook_endpoints
         SET url = $2, kinds = $3, description = $4, status = $5, disabled_because = $6,
             failing_since = $7, updated_at = $8
         WHERE id = $1 AND status <> 'deleted'",
    )
    .bind(&endpoint.id)
    .bind(&endpoint.url)
    .bind(&endpoint.kinds)
    .bind(&endpoint.description)
    .bind(&endpoint.status)
    .bind(&endpoint.disabled_because)
    .bind(endpoint.failing_since)
    .bind(endpoint.updated_at)
    .execute(connection)
    .await?;
    Ok(())
}

/// Counts an endpoint's secret up, from the version it had. Whether it did.
pub async fn rotate_secret(
    connection: &mut Connection,
    endpoint: &Endpoint,
    previous_until: i64,
) -> Result<bool, sqlx::Error> {
    let done = sqlx::query(
        "UPDATE webhook_endpoints
         SET secret_version = secret_version + 1, previous_secret_until = $3, updated_at = $4
         WHERE id = $1 AND secret_version = $2",
    )
    .bind(&endpoint.id)
    .bind(endpoint.secret_version)
    .bind(previous_until)
    .bind(endpoint.updated_at)
    .execute(connection)
    .await?;
    Ok(done.rows_affected() == 1)
}

impl Store {
    /// One endpoint of a partner's, unless it was deleted.
    pub async fn endpoint(&self, partner: &str, id: &str) -> Result<Option<Endpoint>, sqlx::Error> {
        let row = sqlx::query(
            "SELECT * FROM webhook_endpoints WHERE id = $1 AND partner = $2 AND status <> 'deleted'",
        )
        .bind(id)
        .bind(partner)
        .fetch_optional(self.read())
        .await?;
        row.map(|row| endpoint(&row)).transpose()
    }

    /// All endpoints of a partner, but the deleted.
    pub async fn endpoints(&self, partner: &str) -> Result<Vec<Endpoint>, sqlx::Error> {
        let rows = sqlx::query(
            "SELECT * FROM webhook_endpoints WHERE partner = $1 AND status <> 'deleted' ORDER BY id",
        )
        .bind(partner)
        .fetch_all(self.read())
        .await?;
        rows.iter().map(endpoint).collect()
    }

    /// A delivery, its event and its endpoint.
    pub async fn delivery(
        &self,
        event_id: &str,
        endpoint_id: &str,
    ) -> Result<Option<(Delivery, Event, Endpoint)>, sqlx::Error> {
        let one = |statement: &'static str, id: String| async move {
            sqlx::query(statement)
                .bind(id)
                .fetch_optional(self.read())
                .await
        };
        let found = sqlx::query(
            "SELECT * FROM webhook_deliveries WHERE event_id = $1 AND endpoint_id = $2",
        )
        .bind(event_id)
        .bind(endpoint_id)
        .fetch_optional(self.read())
        .await?;
        let events = one("SELECT * FROM events WHERE id = $1", event_id.to_owned()).await?;
        let endpoints = one(
            "SELECT * FROM webhook_endpoints WHERE id = $1",
            endpoint_id.to_owned(),
        )
        .await?;
        match (found, events, endpoints) {
            (Some(found), Some(about), Some(to)) => {
                Ok(Some((delivery(&found)?, event(&about)?, endpoint(&to)?)))
            }
            _ => Ok(None),
        }
    }

    /// A page of an endpoint's deliveries, newest event first.
    pub async fn deliveries(
        &self,
        endpoint: &str,
        page: DeliveryPage<'_>,
    ) -> Result<Vec<Delivery>, sqlx::Error> {
        let rows = sqlx::query(
            "SELECT * FROM webhook_deliveries
             WHERE endpoint_id = $1 AND ($2 IS NULL OR state = $2) AND ($3 IS NULL OR event_id < $3)
             ORDER BY event_id DESC LIMIT $4",
        )
        .bind(endpoint)
        .bind(page.state)
        .bind(page.before)
        .bind(i64::from(page.limit))
        .fetch_all(self.read())
        .await?;
        rows.iter().map(delivery).collect()
    }

    /// One event of a partner's.
    pub async fn event(&self, partner: &str, id: &str) -> Result<Option<Event>, sqlx::Error> {
        let row = sqlx::query("SELECT * FROM events WHERE id = $1 AND partner = $2")
            .bind(id)
            .bind(partner)
            .fetch_optional(self.read())
            .await?;
        row.map(|row| event(&row)).transpose()
    }

    /// A page of a partner's events, newest first, older than `before`.
    pub async fn events(
        &self,
        partner: &str,
        before: Option<&str>,
        limit: u32,
    ) -> Result<Vec<Event>, sqlx::Error> {
        let rows = sqlx::query(
            "SELECT * FROM events WHERE partner = $1 AND ($2 IS NULL OR id < $2)
             ORDER BY id DESC LIMIT $3",
        )
        .bind(partner)
        .bind(before)
        .bind(i64::from(limit))
        .fetch_all(self.read())
        .await?;
        rows.iter().map(event).collect()
    }

    /// Events of a partner's from a moment on that an endpoint asks for and has not taken yet, oldest first.
    pub async fn missed(
        &self,
        endpoint: &Endpoint,
        since: i64,
        limit: u32,
    ) -> Result<Vec<Event>, sqlx::Error> {
        let rows = sqlx::query(
            "SELECT * FROM events e WHERE e.partner = $1 AND e.at >= $2 AND NOT EXISTS (
                 SELECT 1 FROM webhook_deliveries d WHERE d.event_id = e.id AND d.endpoint_id = $3
                     AND d.state IN ('delivered', 'pending'))
                 AND ($5 = '' OR ' ' || $5 || ' ' LIKE '% ' || e.kind || ' %')
                 AND e.kind <> 'webhook.test'
             ORDER BY e.id LIMIT $4",
        )
        .bind(&endpoint.partner)
        .bind(since)
        .bind(&endpoint.id)
        .bind(i64::from(limit))
        .bind(&endpoint.kinds)
        .fetch_all(self.read())
        .await?;
        rows.iter().map(event).collect()
    }
}
