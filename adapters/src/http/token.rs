//! The gateway's own OAuth 2.0 token (client credentials, RFC 6749 section 4.4).
//!
//! One token is kept in memory and fetched anew shortly before it ends, or when the partner says
//! that it no longer knows it. Callers that need one at the same time wait for one fetch.

use super::answer;
use crate::{AskError, Unknown};
use reqwest::{Client, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use std::time::{Duration, Instant};
use tokio::sync::Mutex;
use url::Url;

/// A token is not used in its last seconds, so that it does not end on its way.
const MARGIN: Duration = Duration::from_secs(10);
/// No token is kept longer than this, whatever the partner promises.
const MAX_LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);

#[derive(Deserialize)]
struct TokenAnswer {
    access_token: String,
    token_type: String,
    expires_in: u64,
}

/// Fetches and keeps the token.
#[derive(Debug)]
pub struct Tokens {
    endpoint: Url,
    client_id: String,
    client_secret: SecretString,
    current: Mutex<Option<Current>>,
}

#[derive(Clone, Debug)]
struct Current {
    token: SecretString,
    until: Instant,
}

impl Tokens {
    /// None yet.
    pub fn new(endpoint: Url, client_id: String, client_secret: SecretString) -> Self {
        Self {
            endpoint,
            client_id,
            client_secret,
            current: Mutex::new(None),
        }
    }

    /// A token that is good now. `stale` is one the partner has just refused.
    pub async fn get(
        &self,
        client: &Client,
        stale: Option<&SecretString>,
    ) -> Result<SecretString, AskError> {
        let mut current = self.current.lock().await;
        if let Some(kept) = current.as_ref() {
            let refused =
                stale.is_some_and(|stale| stale.expose_secret() == kept.token.expose_secret());
            if !refused && Instant::now() < kept.until {
                return Ok(kept.token.clone());
            }
        }
        let fetched = self.fetch(client).await?;
        let token = fetched.token.clone();
        *current = Some(fetched);
        Ok(token)
    }

    async fn fetch(&self, client: &Client) -> Result<Current, AskError> {
        let request = client
            .post(self.endpoint.clone())
            .basic_auth(&self.client_id, Some(self.client_secret.expose_secret()))
            .form(&[("grant_type", "client_credentials")]);
        let asked = Instant::now();
        let answer = answer::send(request).await.map_err(AskError::Unavailable)?;
        match answer.status {
            StatusCode::OK => {}
            StatusCode::BAD_REQUEST | StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                return Err(AskError::GatewayRefused);
            }
            _ => return Err(AskError::Unavailable(answer.unknown())),
        }
        let answer: TokenAnswer = answer.json().map_err(AskError::Unavailable)?;
        if !answer.token_type.eq_ignore_ascii_case("bearer") || answer.access_token.is_empty() {
            let why = "the token endpoint answered something other than a bearer token";
            return Err(AskError::Unavailable(Unknown(why.to_owned())));
        }
        let lifetime = Duration::from_secs(answer.expires_in).min(MAX_LIFETIME);
        let until = asked
            .checked_add(lifetime.saturating_sub(MARGIN))
            .unwrap_or(asked);
        Ok(Current {
            token: answer.access_token.into(),
            until,
        })
    }
}
