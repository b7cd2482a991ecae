//! API keys: who calls, and what they may do.
//!
//! A key is `Authorization: Bearer <at least 32 random characters>`. The configuration holds only
//! its SHA-256; as keys are random, a plain digest cannot be turned back.

use crate::problem::{self, Problem};
use axum::http::{HeaderMap, HeaderValue, header};
use serde::Deserialize;
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::sync::Arc;

/// Longest key that is looked at, in bytes.
const MAX_KEY_BYTES: usize = 256;

/// One thing a key may allow.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq)]
pub enum Scope {
    /// Quotes and conversions can be made.
    #[serde(rename = "conversions:write")]
    ConversionsWrite,
    /// The caller's conversions can be read.
    #[serde(rename = "conversions:read")]
    ConversionsRead,
    /// The books can be read.
    #[serde(rename = "books:read")]
    BooksRead,
}

impl Scope {
    /// As written in the configuration.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ConversionsWrite => "conversions:write",
            Self::ConversionsRead => "conversions:read",
            Self::BooksRead => "books:read",
        }
    }
}

/// A key as configured.
#[derive(Clone, Debug)]
pub struct ApiKey {
    /// The partner it belongs to: what its rows carry.
    pub name: Arc<str>,
    /// SHA-256 of the key.
    pub digest: [u8; 32],
    /// What it allows.
    pub scopes: Vec<Scope>,
}

/// A caller with a valid key.
#[derive(Clone, Debug)]
pub struct Caller {
    /// The partner's name.
    pub partner: Arc<str>,
    /// Keyed fingerprints need a secret that the database does not hold: the key itself.
    token: Arc<str>,
}

impl Caller {
    /// A fingerprint of a request, made with the caller's API key as the secret, so that nobody
    /// can try passwords against the stored fingerprint.
    pub fn fingerprint(&self, operation: &str, parts: &[&str]) -> String {
        let mut hasher = Sha256::new();
        for part in [&*self.token, operation].iter().chain(parts) {
            hasher.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
            hasher.update(part.as_bytes());
        }
        hex(&hasher.finalize())
    }
}

/// All keys.
#[derive(Clone, Debug, Default)]
pub struct Keys(HashMap<[u8; 32], ApiKey>);

impl Keys {
    /// Takes the configured keys.
    pub fn new(keys: Vec<ApiKey>) -> Self {
        Self(keys.into_iter().map(|key| (key.digest, key)).collect())
    }

    /// Who calls, if the key is known and allows it.
    pub fn authorize(&self, headers: &HeaderMap, scope: Scope) -> Result<Caller, Problem> {
        let token = headers
            .get(header::AUTHORIZATION)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.split_once(' '))
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
            .map(|(_, token)| token.trim())
            .filter(|token| (1..=MAX_KEY_BYTES).contains(&token.len()));
        // Looked up by digest: how long it takes tells nothing about the key.
        let key = token.and_then(|token| {
            let digest: [u8; 32] = Sha256::digest(token.as_bytes()).into();
            self.0.get(&digest).map(|key| (token, key))
        });
        let Some((token, key)) = key else {
            return Err(Problem::new(
                problem::UNAUTHORIZED,
                "Send a valid API key as \"Authorization: Bearer <key>\".",
            )
            .header(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer")));
        };
        if !key.scopes.contains(&scope) {
            let scope = scope.name();
            return Err(Problem::new(
                problem::FORBIDDEN,
                format!("This API key lacks the scope {scope}; use one that has it."),
            ));
        }
        Ok(Caller {
            partner: Arc::clone(&key.name),
            token: token.into(),
        })
    }
}

/// Lower-case hex.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
