//! Webhook messages, as Standard Webhooks specifies
//! (<https://github.com/standard-webhooks/standard-webhooks>).
//!
//! ```txt
//! webhook-id:         evt_…                     the same at every attempt
//! webhook-timestamp:  seconds since 1970        of the attempt
//! webhook-signature:  v1,<base64> [v1,<base64>] HMAC-SHA256 of "id.timestamp.body"; two while a
//!                                               secret is being replaced
//! {"type": "conversion.completed", "timestamp": "…", "data": {…}}
//! ```
//!
//! A message may arrive more than once and in any order: the receiver keeps the ids that it has
//! seen. Limits: a body of [`MAX_BODY_BYTES`], 8 signatures.

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::fmt;
use thiserror::Error;

/// What a secret begins with, so that one that leaks is recognised.
pub const PREFIX: &str = "whsec_";
/// A message is good for so many seconds, before and after.
pub const TOLERANCE_SECONDS: i64 = 300;
/// Largest body.
pub const MAX_BODY_BYTES: usize = 64 * 1024;
const MAX_SIGNATURES: usize = 8;
/// Standard Webhooks: 24 to 64 bytes.
const KEY_BYTES: std::ops::RangeInclusive<usize> = 24..=64;

/// The secret of an endpoint. Never printed.
#[derive(Clone)]
pub struct Secret(hmac::Key);

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Secret(…)")
    }
}

/// What is signed.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    /// `webhook-id`
    pub id: &'a str,
    /// `webhook-timestamp`
    pub seconds: i64,
    /// The body.
    pub body: &'a [u8],
}

impl Message<'_> {
    fn signed(&self) -> Vec<u8> {
        let mut text = format!("{}.{}.", self.id, self.seconds).into_bytes();
        text.extend_from_slice(self.body);
        text
    }
}

impl Secret {
    /// The secret of these bytes.
    pub fn new(bytes: &[u8]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, bytes))
    }

    /// Reads `whsec_…`, as `GET /v1/webhooks/{id}/secret` shows it.
    pub fn parse(shown: &str) -> Result<Self, MessageError> {
        shown
            .trim()
            .strip_prefix(PREFIX)
            .and_then(|encoded| STANDARD.decode(encoded).ok())
            .filter(|bytes| KEY_BYTES.contains(&bytes.len()))
            .map(|bytes| Self::new(&bytes))
            .ok_or(MessageError::Secret)
    }

    /// The signature of a message.
    pub fn sign(&self, message: &Message<'_>) -> String {
        format!(
            "v1,{}",
            STANDARD.encode(hmac::sign(&self.0, &message.signed()))
        )
    }
}

/// Why a message is not believed.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
pub enum MessageError {
    /// The secret itself.
    #[error("a webhook's secret is whsec_ and 24 to 64 bytes in base64")]
    Secret,
    /// A header is missing or cannot be read.
    #[error("the message has no readable {0} header")]
    Header(&'static str),
    /// Too old or too new.
    #[error("the message is not of these five minutes; it is being replayed, or a clock is wrong")]
    Time,
    /// No signature of it is by one of the secrets.
    #[error("no signature of the message is by the endpoint's secret")]
    Signature,
    /// The body.
    #[error("the message is not an event")]
    Body,
}

/// Something that happened, as it is told.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Told {
    /// `webhook-id`: the same whenever it is told again.
    #[serde(skip)]
    pub id: String,
    /// What: `conversion.completed` and so on.
    #[serde(rename = "type")]
    pub kind: String,
    /// RFC 3339: when it happened.
    pub timestamp: String,
    /// About what.
    pub data: Value,
}

/// Reads a message that was received, if one of the endpoint's secrets signed it. `now` is in
/// seconds since 1970; the body must be the bytes as they came.
pub fn verify(
    secrets: &[Secret],
    headers: &HeaderMap,
    body: &[u8],
    now: i64,
) -> Result<Told, MessageError> {
    let header = |name: &'static str| {
        let value = headers.get(name).and_then(|value| value.to_str().ok());
        value.ok_or(MessageError::Header(name))
    };
    if body.len() > MAX_BODY_BYTES {
        return Err(MessageError::Body);
    }
    let id = header("webhook-id")?;
    let seconds: i64 = header("webhook-timestamp")?
        .parse()
        .map_err(|_| MessageError::Header("webhook-timestamp"))?;
    let signatures = header("webhook-signature")?;
    if now.abs_diff(seconds) > TOLERANCE_SECONDS.unsigned_abs() {
        return Err(MessageError::Time);
    }
    let signed = Message { id, seconds, body }.signed();
    let right = signatures
        .split(' ')
        .take(MAX_SIGNATURES)
        .filter_map(|signature| STANDARD.decode(signature.strip_prefix("v1,")?).ok())
        .any(|tag| {
            let is = |secret: &Secret| hmac::verify(&secret.0, &signed, &tag).is_ok();
            secrets.iter().any(is)
        });
    if !right {
        return Err(MessageError::Signature);
    }
    let told: Told = serde_json::from_slice(body).map_err(|_| MessageError::Body)?;
    Ok(Told {
        id: id.to_owned(),
        ..told
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const NOW: i64 = 1_614_265_330;

    fn headers(id: &str, seconds: &str, signature: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("webhook-id", id),
            ("webhook-timestamp", seconds),
            ("webhook-signature", signature),
        ] {
            headers.insert(name, value.parse().unwrap());
        }
        headers
    }

    /// By hand: HMAC-SHA256 over `id.timestamp.body`.
    #[test]
    fn the_signature_is_what_the_standard_says() {
        let bytes = [7u8; 32];
        let shown = format!("{PREFIX}{}", STANDARD.encode(bytes));
        let secret = Secret::parse(&shown).unwrap();
        let body = br#"{"type":"a.b","timestamp":"2026-11-21T00:00:00Z","data":{}}"#;
        let message = Message {
            id: "evt_1",
            seconds: NOW,
            body,
        };
        let key = hmac::Key::new(hmac::HMAC_SHA256, &bytes);
        let text = [format!("evt_1.{NOW}.").as_bytes(), body].concat();
        let by_hand = format!("v1,{}", STANDARD.encode(hmac::sign(&key, &text)));
        assert_eq!(secret.sign(&message), by_hand);
        assert!(!format!("{secret:?}").contains(&shown));
    }

    #[test]
    fn what_is_changed_old_or_somebody_elses_is_refused() {
        let (secret, other) = (Secret::new(&[1; 32]), Secret::new(&[2; 32]));
        let body = br#"{"type":"a.b","timestamp":"2026-11-21T00:00:00Z","data":{"x":1}}"#;
        let sign = |secret: &Secret, body: &[u8]| {
            secret.sign(&Message {
                id: "evt_1",
                seconds: NOW,
                body,
            })
        };
        let at = NOW.to_string();
        let good = headers("evt_1", &at, &sign(&secret, body));
        let told = verify(std::slice::from_ref(&secret), &good, body, NOW).unwrap();
        assert_eq!((told.id.as_str(), told.kind.as_str()), ("evt_1", "a.b"));
        // While a secret is being replaced there are two of each.
        let both = format!("{} {}", sign(&other, body), sign(&secret, body));
        let secrets = [secret.clone()];
        assert!(verify(&secrets, &headers("evt_1", &at, &both), body, NOW + 300).is_ok());
        assert!(verify(&[other.clone(), secret.clone()], &good, body, NOW - 300).is_ok());
        for (headers, body, now, error) in [
            (good.clone(), &body[1..], NOW, MessageError::Signature),
            (good.clone(), &body[..], NOW + 301, MessageError::Time),
            (good.clone(), &body[..], NOW - 301, MessageError::Time),
            (
                headers("evt_2", &at, &sign(&secret, body)),
                &body[..],
                NOW,
                MessageError::Signature,
            ),
            (
                headers("evt_1", &at, &sign(&other, body)),
                &body[..],
                NOW,
                MessageError::Signature,
            ),
            (
                headers("evt_1", &at, &sign(&secret, body).replace("v1,", "v2,")),
                &body[..],
                NOW,
                MessageError::Signature,
            ),
            (
                headers("evt_1", "soon", &sign(&secret, body)),
                &body[..],
                NOW,
                MessageError::Header("webhook-timestamp"),
            ),
            (
                headers("evt_1", &at, &sign(&secret, b"[]")),
                &b"[]"[..],
                NOW,
                MessageError::Body,
            ),
            (
                HeaderMap::new(),
                &body[..],
                NOW,
                MessageError::Header("webhook-id"),
            ),
        ] {
            assert_eq!(verify(&secrets, &headers, body, now), Err(error));
        }
        for wrong in ["", "whsec_", "whsec_AAAA", "secret", "whsec_%%%"] {
            assert_eq!(Secret::parse(wrong).err(), Some(MessageError::Secret));
        }
    }
}
