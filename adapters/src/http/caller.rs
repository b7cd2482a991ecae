//! One call to a partner over HTTP.
//!
//! ```txt
//! 401 with an OAuth token    nothing was done: a new token, and once more
//! 429 or 503 with a pause    if the pause fits the call's time: wait, and once more
//! a pause that does not fit  later calls are refused at once, and nothing is sent
//! ```
//!
//! A second try is the same request under the same reference, so that it can happen only once. All
//! tries of one call share twice the time of one.

use super::answer::{self, Answer};
use super::pause::Gate;
use super::token::Tokens;
use crate::{AskError, SetupError, Unknown};
use reqwest::header::{HeaderName, HeaderValue};
use reqwest::{Client, RequestBuilder, StatusCode, redirect};
use secrecy::{ExposeSecret, SecretString};
use std::time::Duration;
use tokio::time::{self, Instant};
use url::Url;

/// Who the gateway is to the partner.
#[derive(Clone, Debug)]
pub enum Credentials {
    /// OAuth 2.0 client credentials.
    OAuth {
        /// The token endpoint, under the base URL.
        path: String,
        /// Client id.
        client_id: String,
        /// Client secret.
        client_secret: SecretString,
    },
    /// A key in a header.
    ApiKey {
        /// Which header.
        header: HeaderName,
        /// The key.
        key: SecretString,
    },
    /// None that this knows of; the requests may carry their own.
    Own,
}

#[derive(Debug)]
enum Pass {
    Token(Tokens),
    Key(HeaderName, HeaderValue),
    Own,
}

/// Makes calls.
#[derive(Debug)]
pub struct Caller {
    base_url: Url,
    client: Client,
    timeout: Duration,
    pass: Pass,
    gate: Gate,
}

impl Caller {
    /// Sets it up; nothing is sent yet.
    pub fn new(
        mut base_url: Url,
        timeout: Duration,
        credentials: Credentials,
    ) -> Result<Self, SetupError> {
        if !matches!(base_url.scheme(), "http" | "https") || base_url.cannot_be_a_base() {
            return Err(SetupError::BaseUrl(base_url));
        }
        if !base_url.path().ends_with('/') {
            let path = format!("{}/", base_url.path());
            base_url.set_path(&path);
        }
        // A redirect could carry secrets elsewhere, and a debit must not be repeated by a library.
        let client = Client::builder()
            .timeout(timeout)
            .connect_timeout(timeout)
            .redirect(redirect::Policy::none())
            .build()?;
        let pass = match credentials {
            Credentials::OAuth {
                path,
                client_id,
                client_secret,
            } => {
                let endpoint = base_url
                    .join(&path)
                    .map_err(|_| SetupError::BaseUrl(base_url.clone()))?;
                Pass::Token(Tokens::new(endpoint, client_id, client_secret))
            }
            Credentials::ApiKey { header, key } => {
                let mut value = HeaderValue::from_str(key.expose_secret())
                    .map_err(|_| SetupError::Key(header.to_string()))?;
                value.set_sensitive(true);
                Pass::Key(header, value)
            }
            Credentials::Own => Pass::Own,
        };
        Ok(Self {
            base_url,
            client,
            timeout,
            pass,
            gate: Gate::default(),
        })
    }

    /// Makes a call to a path under the base URL.
    pub async fn call(
        &self,
        path: &str,
        build: impl Fn(&Client, Url) -> RequestBuilder + Send + Sync,
    ) -> Result<Answer, AskError> {
        let url = self
            .base_url
            .join(path)
            .map_err(|_| unavailable("the path is not one"))?;
        let limit = self.timeout.saturating_mul(2);
        let until = Instant::now().checked_add(limit);
        let work = async {
            let mut refused: Option<SecretString> = None;
            let mut paused = false;
            loop {
                self.wait(until).await?;
                let mut request = build(&self.client, url.clone());
                let token = match &self.pass {
                    Pass::Token(tokens) => Some(tokens.get(&self.client, refused.as_ref()).await?),
                    Pass::Key(header, value) => {
                        request = request.header(header.clone(), value.clone());
                        None
                    }
                    Pass::Own => None,
                };
                if let Some(token) = &token {
                    request = request.bearer_auth(token.expose_secret());
                }
                let answer = answer::send(request).await.map_err(AskError::Unavailable)?;
                if let Some(pause) = answer.pause {
                    self.gate.close(pause);
                }
                let busy = matches!(
                    answer.status,
                    StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE
                );
                if busy && answer.pause.is_some() && !paused && self.opens_before(until) {
                    paused = true;
                    continue;
                }
                // Who brings credentials of their own knows what a 401 means.
                let own = matches!(self.pass, Pass::Own);
                if answer.status == StatusCode::UNAUTHORIZED && !own {
                    if refused.is_some() || token.is_none() {
                        return Err(AskError::GatewayRefused);
                    }
                    refused = token;
                    continue;
                }
                return Ok(answer);
            }
        };
        time::timeout(limit, work)
            .await
            .unwrap_or_else(|_| Err(unavailable("no answer in time")))
    }

    fn opens_before(&self, until: Option<Instant>) -> bool {
        self.gate
            .closed_until()
            .is_none_or(|opens| Some(opens) < until)
    }

    /// Waits for the end of a pause, unless that is too late for this call.
    async fn wait(&self, until: Option<Instant>) -> Result<(), AskError> {
        if let Some(opens) = self.gate.closed_until() {
            if !self.opens_before(until) {
                let seconds = opens.saturating_duration_since(Instant::now()).as_secs();
                let why = format!("the partner asked for a pause of {seconds} more seconds");
                return Err(AskError::Unavailable(Unknown(why)));
            }
            time::sleep_until(opens).await;
        }
        Ok(())
    }
}

fn unavailable(why: &str) -> AskError {
    AskError::Unavailable(Unknown(why.to_owned()))
}
