//! When the partner wants to be called again.
//!
//! | header | read as |
//! |---|---|
//! | `Retry-After` (RFC 9110, 10.2.3), with 429 or 503 | seconds or a date |
//! | `RateLimit-Remaining: 0` with `RateLimit-Reset` (draft-ietf-httpapi-ratelimit-headers-03) | seconds |
//!
//! A pause is believed up to [`MAX_PAUSE`], so that nonsense does not stop a programme for days.

use reqwest::StatusCode;
use reqwest::header::{HeaderMap, RETRY_AFTER};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};
use tokio::time::Instant;

/// Longest pause that is believed.
pub const MAX_PAUSE: Duration = Duration::from_secs(60 * 60);

/// The pause an answer asks for.
pub fn asked(status: StatusCode, headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = |name: &str| headers.get(name)?.to_str().ok().map(str::trim);
    let seconds = |name: &str| text(name)?.parse().ok().map(Duration::from_secs);
    let busy = matches!(
        status,
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE
    );
    let pause = if busy && headers.contains_key(RETRY_AFTER) {
        seconds(RETRY_AFTER.as_str()).or_else(|| {
            let date = httpdate::parse_http_date(text(RETRY_AFTER.as_str())?).ok()?;
            Some(date.duration_since(now).unwrap_or_default())
        })
    } else if text("ratelimit-remaining") == Some("0") {
        seconds("ratelimit-reset")
    } else {
        None
    };
    pause.map(|pause| pause.min(MAX_PAUSE))
}

/// Keeps calls back while a pause lasts.
#[derive(Debug, Default)]
pub struct Gate(Mutex<Option<Instant>>);

impl Gate {
    /// Closes it for a while. It never opens earlier than was asked before.
    pub fn close(&self, pause: Duration) {
        let mut until = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let next = Instant::now().checked_add(pause);
        *until = (*until).max(next);
    }

    /// Until when it is closed, if it is.
    pub fn closed_until(&self) -> Option<Instant> {
        let until = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        until.filter(|until| *until > Instant::now())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_partners_ask_for() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_770);
        for (status, headers, wanted) in [
            (429, vec![("retry-after", "7")], Some(7)),
            (503, vec![("retry-after", "7")], Some(7)),
            (
                429,
                vec![("retry-after", "Sun, 06 Nov 1994 08:49:37 GMT")],
                Some(7),
            ),
            (
                429,
                vec![("retry-after", "Sat, 05 Nov 1994 08:49:37 GMT")],
                Some(0),
            ),
            (429, vec![("retry-after", "99999999")], Some(3600)),
            (429, vec![("retry-after", "soon")], None),
            (429, vec![("retry-after", "-1")], None),
            (429, vec![], None),
            (200, vec![("retry-after", "7")], None),
            (
                200,
                vec![("ratelimit-remaining", "0"), ("ratelimit-reset", "5")],
                Some(5),
            ),
            (
                200,
                vec![("ratelimit-remaining", "1"), ("ratelimit-reset", "5")],
                None,
            ),
        ] {
            let mut map = HeaderMap::new();
            for (name, value) in &headers {
                map.insert(*name, value.parse().unwrap());
            }
            let asked = asked(StatusCode::from_u16(status).unwrap(), &map, now);
            assert_eq!(
                asked,
                wanted.map(Duration::from_secs),
                "{status} {headers:?}"
            );
        }
    }

    #[test]
    fn a_gate_never_opens_early() {
        let gate = Gate::default();
        assert!(gate.closed_until().is_none());
        gate.close(Duration::from_secs(60));
        let until = gate.closed_until();
        gate.close(Duration::from_secs(1));
        assert!(until.is_some() && gate.closed_until() == until);
    }
}
