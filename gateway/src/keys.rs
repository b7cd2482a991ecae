//! Who calls, and what they may do.
//!
//! A key is `Authorization: Bearer <at least 32 random characters>`. Only its SHA-256 is kept; as
//! keys are random, a plain digest cannot be turned back. Keys come from the configuration, or
//! from the database, where `mileverse gateway keys` makes, rotates and ends them. An access token
//! (`POST /v1/oauth/token`) stands for a key for an hour.
//!
//! A key of the database is looked up at most once a second, so a change of it, or of its partner,
//! is in force everywhere within a second. Limits of requests are counted by each replica.

use crate::clock::now_ms;
use crate::problem::{self, Problem};
use crate::secrets::Secrets;
use crate::store::Store;
use crate::store::partners::{Funding, Partner};
use aws_lc_rs::hmac;
use axum::extract::{ConnectInfo, FromRequestParts};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, header};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use ipnet::IpNet;
use mileverse_gateway_api::signature::Presented;
use rand::RngCore;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Longest key that is looked at, in bytes.
const MAX_KEY_BYTES: usize = 256;
/// How long a key that was looked up is believed.
const BELIEVED: Duration = Duration::from_secs(1);
/// Keys that are remembered at most; then all are looked up anew.
const MAX_REMEMBERED: usize = 10_000;
/// The last use of a key is noted to this precision.
const USE_PRECISION_MS: i64 = 60_000;
/// Requests a second of partners that the database says nothing about.
const DEFAULT_REQUESTS_PER_SECOND: u32 = 1_000;

/// One thing a key may allow.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
pub enum Scope {
    /// Quotes and conversions can be made.
    #[serde(rename = "conversions:write")]
    ConversionsWrite,
    /// The caller's conversions can be read.
    #[serde(rename = "conversions:read")]
    ConversionsRead,
    /// Points can be moved out of wallets that the gateway keeps for the caller's members.
    #[serde(rename = "wallets:write")]
    WalletsWrite,
    /// The books can be read.
    #[serde(rename = "books:read")]
    BooksRead,
    /// The caller's float and its top-ups can be read.
    #[serde(rename = "float:read")]
    FloatRead,
    /// The caller's float can be topped up.
    #[serde(rename = "float:write")]
    FloatWrite,
    /// The caller's webhooks and events can be read.
    #[serde(rename = "webhooks:read")]
    WebhooksRead,
    /// The caller's webhooks can be changed, and their secrets seen.
    #[serde(rename = "webhooks:write")]
    WebhooksWrite,
    /// The key's own signing keys can be seen and changed.
    #[serde(rename = "keys:write")]
    KeysWrite,
    /// The clock can be moved, in a sandbox.
    #[serde(rename = "sandbox:write")]
    SandboxWrite,
}

impl Scope {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::ConversionsWrite,
        Self::ConversionsRead,
        Self::WalletsWrite,
        Self::BooksRead,
        Self::FloatRead,
        Self::FloatWrite,
        Self::WebhooksRead,
        Self::WebhooksWrite,
        Self::KeysWrite,
        Self::SandboxWrite,
    ];

    /// As written in the configuration.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ConversionsWrite => "conversions:write",
            Self::ConversionsRead => "conversions:read",
            Self::WalletsWrite => "wallets:write",
            Self::BooksRead => "books:read",
            Self::FloatRead => "float:read",
            Self::FloatWrite => "float:write",
            Self::WebhooksRead => "webhooks:read",
            Self::WebhooksWrite => "webhooks:write",
            Self::KeysWrite => "keys:write",
            Self::SandboxWrite => "sandbox:write",
        }
    }

    /// The scope of this name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scope| scope.name() == name)
    }
}

/// Scopes as they are stored: separated by spaces.
pub fn parse_scopes(text: &str) -> Option<Vec<Scope>> {
    text.split_whitespace().map(Scope::parse).collect()
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

/// What a request says about who sends it.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// All headers.
    pub headers: HeaderMap,
    /// Where it comes from.
    pub address: Option<IpAddr>,
    /// How it is signed; whose key that is has not been looked up.
    pub signature: Option<Presented>,
}

impl Credentials {
    /// The key or token that is sent.
    pub fn bearer(&self) -> Option<&str> {
        self.headers
            .get(header::AUTHORIZATION)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.split_once(' '))
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
            .map(|(_, token)| token.trim())
            .filter(|token| (1..=MAX_KEY_BYTES).contains(&token.len()))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Credentials {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>();
        Ok(Self {
            headers: parts.headers.clone(),
            address: peer.map(|ConnectInfo(peer)| peer.ip().to_canonical()),
            signature: parts.extensions.get::<Presented>().cloned(),
        })
    }
}

/// A caller with a valid key.
#[derive(Clone, Debug)]
pub struct Caller {
    /// The partner's name.
    pub partner: Arc<str>,
    /// How the partner pays.
    pub funding: Funding,
    /// The key's id; none for configured keys.
    pub key_id: Option<String>,
    /// Whether every request with the key must be signed.
    pub signed_only: bool,
    /// What fingerprints are made with: nothing that the database holds.
    secret: Secret,
}

#[derive(Clone, Debug)]
enum Secret {
    /// A configured key is its own secret.
    Token(Arc<str>),
    /// Keys of the database come and go, and so do tokens: the gateway's own secret.
    Gateway(Arc<hmac::Key>),
}

impl Caller {
    /// A fingerprint of a request, made with a secret that the database does not hold, so that
    /// nobody can try passwords against the stored fingerprint.
    pub fn fingerprint(&self, operation: &str, parts: &[&str]) -> String {
        let mut text = Vec::new();
        let token = match &self.secret {
            Secret::Token(token) => Some(&**token),
            Secret::Gateway(_) => None,
        };
        for part in token.iter().chain([&operation]).chain(parts) {
            let length = u64::try_from(part.len()).unwrap_or(u64::MAX);
            text.extend_from_slice(&length.to_be_bytes());
            text.extend_from_slice(part.as_bytes());
        }
        match &self.secret {
            Secret::Token(_) => hex(&Sha256::digest(&text)),
            Secret::Gateway(key) => hex(hmac::sign(key, &text).as_ref()),
        }
    }
}

/// What a key was found to allow.
#[derive(Debug)]
struct Grant {
    partner: Partner,
    networks: Vec<IpNet>,
    scopes: Vec<Scope>,
    /// The key's id; none for configured keys.
    key_id: Option<String>,
    signed_only: bool,
    ends_at: i64,
    limiter: Arc<DefaultDirectRateLimiter>,
}

#[derive(Debug)]
struct Remembered {
    since: Instant,
    grant: Arc<Grant>,
}

type Limiters = HashMap<String, (u32, Arc<DefaultDirectRateLimiter>)>;

/// All keys.
#[derive(Debug)]
pub struct Keys {
    configured: HashMap<[u8; 32], ApiKey>,
    fingerprints: Arc<hmac::Key>,
    remembered: Mutex<HashMap<[u8; 32], Remembered>>,
    limiters: Mutex<Limiters>,
}

/// A new key that nobody can guess.
pub fn random_key(prefix: &str) -> String {
    let mut random = [0u8; 32];
    rand::rng().fill_bytes(&mut random);
    format!("{prefix}{}", URL_SAFE_NO_PAD.encode(random))
}

/// The digest that a key or a token is known by.
pub fn digest(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}

fn unauthorized() -> Problem {
    Problem::new(
        problem::Unauthorized,
        "Send a valid API key as \"Authorization: Bearer <key>\".",
    )
    .header(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))
}

impl Keys {
    /// Takes the configured keys; the others are in the database.
    pub fn new(keys: Vec<ApiKey>, secrets: &Secrets) -> Self {
        Self {
            configured: keys.into_iter().map(|key| (key.digest, key)).collect(),
            fingerprints: Arc::new(secrets.derive("idempotency fingerprints")),
            remembered: Mutex::default(),
            limiters: Mutex::default(),
        }
    }

    /// Who calls, if the key is known, allows it, and is not used too often.
    pub async fn authorize(
        &self,
        store: &Store,
        credentials: &Credentials,
        scope: Scope,
    ) -> Result<Caller, Problem> {
        let token = credentials.bearer().ok_or_else(unauthorized)?;
        // Looked up by digest: how long it takes tells nothing about the key.
        let digest = digest(token);
        let grant = self.grant(store, digest).await?.ok_or_else(unauthorized)?;
        if !grant.partner.active {
            return Err(Problem::new(
                problem::Forbidden,
                "This partner is suspended; ask the gateway's operator.",
            ));
        }
        let from = credentials.address;
        let inside = |from: IpAddr| grant.networks.iter().any(|network| network.contains(&from));
        if !grant.networks.is_empty() && !from.is_some_and(inside) {
            return Err(Problem::new(
                problem::Forbidden,
                "This key may not be used from this address; call from an allowed network, or ask the gateway's operator to allow this one.",
            ));
        }
        if !grant.scopes.contains(&scope) {
            let scope = scope.name();
            return Err(Problem::new(
                problem::Forbidden,
                format!("This API key lacks the scope {scope}; use one that has it."),
            ));
        }
        if grant.limiter.check().is_err() {
            let limit = grant.partner.requests_per_second;
            return Err(Problem::new(
                problem::RateLimited,
                format!(
                    "This key may send {limit} requests a second; send this one again in a moment."
                ),
            )
            .header(header::RETRY_AFTER, HeaderValue::from_static("1")));
        }
        Ok(Caller {
            partner: grant.partner.name.as_str().into(),
            funding: grant.partner.funding,
            key_id: grant.key_id.clone(),
            signed_only: grant.signed_only,
            secret: match grant.key_id {
                None => Secret::Token(token.into()),
                Some(_) => Secret::Gateway(Arc::clone(&self.fingerprints)),
            },
        })
    }

    async fn grant(
        &self,
        store: &Store,
        digest: [u8; 32],
    ) -> Result<Option<Arc<Grant>>, sqlx::Error> {
        let now = now_ms();
        {
            let remembered = self
                .remembered
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            let known = remembered
                .get(&digest)
                .filter(|known| known.since.elapsed() < BELIEVED && known.grant.ends_at > now);
            if let Some(known) = known {
                return Ok(Some(Arc::clone(&known.grant)));
            }
        }
        let found = self.look_up(store, digest, now).await?.map(Arc::new);
        let mut remembered = self
            .remembered
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        match &found {
            Some(grant) => {
                if remembered.len() >= MAX_REMEMBERED {
                    remembered.clear();
                }
                let since = Instant::now();
                let grant = Arc::clone(grant);
                remembered.insert(digest, Remembered { since, grant });
            }
            None => {
                remembered.remove(&digest);
            }
        }
        Ok(found)
    }

    async fn look_up(
        &self,
        store: &Store,
        digest: [u8; 32],
        now: i64,
    ) -> Result<Option<Grant>, sqlx::Error> {
        let hex_digest = hex(&digest);
        let (name, scopes, key_id, signed_only, ends_at) = match self.configured.get(&digest) {
            Some(key) => (
                key.name.to_string(),
                key.scopes.clone(),
                None,
                false,
                i64::MAX,
            ),
            None => {
                let Some(row) = store.key_by_digest(&hex_digest, now).await? else {
                    return Ok(None);
                };
                if row
                    .last_used_at
                    .is_none_or(|at| now.saturating_sub(at) > USE_PRECISION_MS)
                {
                    store.touch_key(&row.id, now).await?;
                }
                let scopes = parse_scopes(&row.scopes).unwrap_or_default();
                let ends_at = row.expires_at.unwrap_or(i64::MAX);
                (row.partner, scopes, Some(row.id), row.signed_only, ends_at)
            }
        };
        let partner = store.partner(&name).await?.unwrap_or_else(|| Partner {
            name,
            funding: Funding::Postpaid,
            active: true,
            networks: String::new(),
            requests_per_second: DEFAULT_REQUESTS_PER_SECOND,
        });
        // A network that cannot be read allows nobody, and so never everybody.
        let networks = parse_networks(&partner.networks)
            .map_err(|network| sqlx::Error::Decode(format!("not a network: {network}").into()))?;
        let limiter = self.limiter(
            key_id.clone().unwrap_or(hex_digest),
            partner.requests_per_second,
        );
        Ok(Some(Grant {
            partner,
            networks,
            scopes,
            key_id,
            signed_only,
            ends_at,
            limiter,
        }))
    }

    fn limiter(&self, key: String, per_second: u32) -> Arc<DefaultDirectRateLimiter> {
        let mut limiters = self.limiters.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((limit, limiter)) = limiters.get(&key)
            && *limit == per_second
        {
            return Arc::clone(limiter);
        }
        if limiters.len() >= MAX_REMEMBERED {
            limiters.clear();
        }
        let quota = Quota::per_second(NonZeroU32::new(per_second).unwrap_or(NonZeroU32::MIN));
        let limiter = Arc::new(RateLimiter::direct(quota));
        limiters.insert(key, (per_second, Arc::clone(&limiter)));
        limiter
    }
}

/// Reads networks separated by commas; gives the first that is not one.
pub fn parse_networks(text: &str) -> Result<Vec<IpNet>, String> {
    text.split(',')
        .map(str::trim)
        .filter(|network| !network.is_empty())
        .map(|network| {
            network
                .parse()
                .or_else(|_| network.parse::<IpAddr>().map(IpNet::from))
                .map_err(|_| network.to_owned())
        })
        .collect()
}

/// Lower-case hex.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn networks_are_read_or_refused() {
        let networks = parse_networks("10.0.0.0/8, 2001:db8::/32,192.0.2.7").unwrap();
        assert_eq!(networks.len(), 3);
        assert!(networks[2].contains(&"192.0.2.7".parse::<IpAddr>().unwrap()));
        assert!(!networks[2].contains(&"192.0.2.8".parse::<IpAddr>().unwrap()));
        assert!(parse_networks("").unwrap().is_empty());
        assert_eq!(parse_networks("10.0.0.0/8,nowhere").unwrap_err(), "nowhere");
    }

    #[test]
    fn scopes_have_names_of_their_own() {
        for scope in Scope::ALL {
            assert_eq!(Scope::parse(scope.name()), Some(scope));
        }
        assert_eq!(parse_scopes("conversions:read everything"), None);
    }
}
