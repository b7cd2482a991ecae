//! The airline: JSON over HTTP, OAuth 2.0 client credentials for the gateway, a member token for
//! what is done in a member's name.
//!
//! ```txt
//! POST /oauth/token                       gateway id and secret  -> gateway token
//! POST /v1/members/login                  login and password     -> member id, member token
//! GET  /v1/members/{id}/balance           + X-Member-Token       -> miles
//! POST /v1/debits                         + X-Member-Token       -> the debit
//! GET  /v1/debits/{reference}                                    -> the debit, or 404 debit_not_found
//! POST /v1/debits/{reference}/reversal                           -> the debit, reversed
//!
//! debit:  { reference, status: applied | refused | reversed, member_id, miles,
//!           partner_reference, reason: insufficient_miles | account_blocked | reversed }
//! error:  { error: "code" }
//! ```
//!
//! Every call carries the gateway token. A 401 `invalid_token` means that the airline did nothing;
//! the token is fetched anew and the call made once more, under the same reference. Anything else
//! that is not understood is [`Unknown`], and logged as an error so that somebody looks.

mod http;
mod token;
mod wire;

use crate::adapter::{Adapter, Capabilities, MemberId, Reference, Session};
use crate::{AskError, Debit, Inquiry, Known, Miles, Refusal, Reversal, Unknown};
use async_trait::async_trait;
use http::Answer;
use reqwest::{Client, RequestBuilder, StatusCode, redirect};
use secrecy::{ExposeSecret, SecretString};
use std::time::Duration;
use thiserror::Error;
use token::Tokens;
use tokio::time;
use url::Url;
use wire::{BalanceAnswer, DebitAnswer, DebitRequest, ErrorAnswer, LoginAnswer, LoginRequest};

const MEMBER_TOKEN: &str = "x-member-token";

/// Where the airline is and who the gateway is to it.
#[derive(Clone, Debug)]
pub struct AirlineConfig {
    /// Base URL, `http` or `https`; paths are appended.
    pub base_url: Url,
    /// OAuth 2.0 client id.
    pub client_id: String,
    /// OAuth 2.0 client secret.
    pub client_secret: SecretString,
    /// How long one call may take, reading the answer included.
    pub timeout: Duration,
    /// How long after a debit was sent a "not found" proves nothing.
    pub visibility_window: Duration,
}

/// Why an airline cannot be set up.
#[derive(Debug, Error)]
pub enum SetupError {
    /// The URL cannot carry paths.
    #[error(
        "the airline's base URL {0} is not an http or https URL; write one such as https://airline.example"
    )]
    BaseUrl(Url),
    /// The HTTP client did not start.
    #[error("the HTTP client cannot be set up: {0}")]
    Client(#[from] reqwest::Error),
}

/// The airline adapter.
#[derive(Debug)]
pub struct Airline {
    base_url: Url,
    client: Client,
    tokens: Tokens,
    capabilities: Capabilities,
}

impl Airline {
    /// Sets the adapter up; nothing is sent yet.
    pub fn new(config: AirlineConfig) -> Result<Self, SetupError> {
        let mut base_url = config.base_url;
        if !matches!(base_url.scheme(), "http" | "https") || base_url.cannot_be_a_base() {
            return Err(SetupError::BaseUrl(base_url));
        }
        if !base_url.path().ends_with('/') {
            let path = format!("{}/", base_url.path());
            base_url.set_path(&path);
        }
        // A redirect could carry secrets elsewhere, and a debit must not be repeated by a library.
        let client = Client::builder()
            .timeout(config.timeout)
            .connect_timeout(config.timeout)
            .redirect(redirect::Policy::none())
            .build()?;
        let endpoint = base_url
            .join("oauth/token")
            .map_err(|_| SetupError::BaseUrl(base_url.clone()))?;
        Ok(Self {
            tokens: Tokens::new(endpoint, config.client_id, config.client_secret),
            base_url,
            client,
            capabilities: Capabilities {
                part_conversion: true,
                inquiry: true,
                reversal: true,
                visibility_window: config.visibility_window,
                timeout: config.timeout,
            },
        })
    }

    /// Makes a call with the gateway token, and once more with a new one if it was refused.
    async fn call(
        &self,
        path: &str,
        build: impl Fn(&Client, Url) -> RequestBuilder + Send + Sync,
    ) -> Result<Answer, AskError> {
        let unavailable = |why: &str| AskError::Unavailable(Unknown(why.to_owned()));
        let url = self
            .base_url
            .join(path)
            .map_err(|_| unavailable("the path is not one"))?;
        let work = async {
            let mut refused: Option<SecretString> = None;
            loop {
                let token = self.tokens.get(&self.client, refused.as_ref()).await?;
                let request = build(&self.client, url.clone()).bearer_auth(token.expose_secret());
                let answer = http::send(request).await.map_err(AskError::Unavailable)?;
                if answer.status == StatusCode::UNAUTHORIZED {
                    if refused.is_some() {
                        return Err(AskError::GatewayRefused);
                    }
                    refused = Some(token);
                    continue;
                }
                return Ok(answer);
            }
        };
        // Tokens and a second try share the time one call has twice over, never more.
        let limit = self.capabilities.timeout.saturating_mul(2);
        time::timeout(limit, work)
            .await
            .unwrap_or_else(|_| Err(unavailable("no answer in time")))
    }
}

/// What a refused request says; empty if it says nothing readable.
fn error_code(answer: &Answer) -> String {
    answer
        .json::<ErrorAnswer>()
        .map(|body| body.error)
        .unwrap_or_default()
}

/// Logs what must not pass unseen, and keeps it unknown.
fn alert(call: &str, reference: &str, why: &Unknown) {
    tracing::error!(call, reference, %why, "the airline answered something unknown; it stays unknown");
}

fn unavailable(answer: &Answer) -> AskError {
    AskError::Unavailable(answer.unknown())
}

/// Reads a debit; `Err` if anything about it is not understood.
fn known(answer: &Answer, reference: &Reference) -> Result<Known, Unknown> {
    let debit: DebitAnswer = answer.json()?;
    if debit.reference != reference.as_str() {
        return Err(Unknown("the answer is about another reference".to_owned()));
    }
    match debit.status.as_str() {
        "applied" => {
            let member = debit
                .member_id
                .and_then(|member| MemberId::new(member).ok());
            match (member, debit.miles, debit.partner_reference) {
                (Some(member), Some(miles), Some(partner_reference))
                    if !partner_reference.is_empty() && partner_reference.len() <= 128 =>
                {
                    Ok(Known::Applied {
                        partner_reference,
                        member,
                        miles: Miles::new(miles),
                    })
                }
                _ => Err(Unknown(
                    "an applied debit without member, miles or reference".to_owned(),
                )),
            }
        }
        "refused" => match debit.reason.as_deref() {
            Some("insufficient_miles") => Ok(Known::Refused(Refusal::InsufficientMiles)),
            Some("account_blocked") => Ok(Known::Refused(Refusal::AccountBlocked)),
            Some("reversed") => Ok(Known::Refused(Refusal::Reversed)),
            _ => Err(Unknown(
                "a refusal for a reason nobody has heard of".to_owned(),
            )),
        },
        "reversed" => Ok(Known::Reversed),
        _ => Err(Unknown("a debit status nobody has heard of".to_owned())),
    }
}

#[async_trait]
impl Adapter for Airline {
    fn capabilities(&self) -> Capabilities {
        self.capabilities.clone()
    }

    async fn reachable(&self) -> Result<(), AskError> {
        self.tokens.get(&self.client, None).await.map(|_| ())?;
        // A kept token proves nothing about now, so ask for a debit that cannot exist.
        let answer = self
            .call("v1/debits/reachable", |client, url| client.get(url))
            .await?;
        match answer.status {
            StatusCode::OK | StatusCode::NOT_FOUND => Ok(()),
            _ => Err(unavailable(&answer)),
        }
    }

    async fn authenticate(&self, login: &str, secret: &SecretString) -> Result<Session, AskError> {
        let body = LoginRequest {
            login,
            password: secret.expose_secret(),
        };
        let answer = self
            .call("v1/members/login", |client, url| {
                client.post(url).json(&body)
            })
            .await?;
        match answer.status {
            StatusCode::OK => {
                let body: LoginAnswer = answer.json().map_err(AskError::Unavailable)?;
                let member = MemberId::new(body.member_id)
                    .map_err(|error| AskError::Unavailable(Unknown(error.to_string())))?;
                Ok(Session {
                    member,
                    token: body.member_token.into(),
                })
            }
            StatusCode::FORBIDDEN => match error_code(&answer).as_str() {
                "member_credentials" => Err(AskError::MemberRefused),
                "account_blocked" => Err(AskError::MemberBlocked),
                _ => Err(unavailable(&answer)),
            },
            _ => Err(unavailable(&answer)),
        }
    }

    async fn balance(&self, session: &Session) -> Result<Miles, AskError> {
        let path = format!("v1/members/{}/balance", session.member);
        let answer = self
            .call(&path, |client, url| {
                client
                    .get(url)
                    .header(MEMBER_TOKEN, session.token.expose_secret())
            })
            .await?;
        match answer.status {
            StatusCode::OK => {
                let body: BalanceAnswer = answer.json().map_err(AskError::Unavailable)?;
                if body.member_id != session.member.as_str() {
                    let why = "the balance is another member's".to_owned();
                    return Err(AskError::Unavailable(Unknown(why)));
                }
                Ok(Miles::new(body.miles))
            }
            StatusCode::FORBIDDEN if error_code(&answer) == "member_credentials" => {
                Err(AskError::MemberRefused)
            }
            _ => Err(unavailable(&answer)),
        }
    }

    async fn debit(&self, session: &Session, reference: &Reference, miles: Miles) -> Debit {
        let body = DebitRequest {
            reference: reference.as_str(),
            member_id: session.member.as_str(),
            miles: miles.get(),
        };
        let answer = self
            .call("v1/debits", |client, url| {
                client
                    .post(url)
                    .header(MEMBER_TOKEN, session.token.expose_secret())
                    .json(&body)
            })
            .await;
        let answer = match answer {
            Ok(answer) => answer,
            Err(error) => return Debit::Unknown(Unknown(error.to_string())),
        };
        let read = match answer.status {
            StatusCode::OK | StatusCode::CREATED => known(&answer, reference),
            _ => Err(answer.unknown()),
        };
        match read {
            Ok(Known::Applied {
                partner_reference,
                member,
                miles: taken,
            }) if member == session.member && taken == miles => {
                Debit::Applied { partner_reference }
            }
            Ok(Known::Refused(refusal)) => Debit::Refused(refusal),
            Ok(Known::Reversed) => Debit::Refused(Refusal::Reversed),
            Ok(Known::Applied { .. }) => {
                let why = Unknown("the airline took other miles than asked for".to_owned());
                alert("debit", reference.as_str(), &why);
                Debit::Unknown(why)
            }
            Err(why) => {
                alert("debit", reference.as_str(), &why);
                Debit::Unknown(why)
            }
        }
    }

    async fn inquire(&self, reference: &Reference) -> Inquiry {
        let path = format!("v1/debits/{reference}");
        let answer = match self.call(&path, |client, url| client.get(url)).await {
            Ok(answer) => answer,
            Err(error) => return Inquiry::Unknown(Unknown(error.to_string())),
        };
        let read = match answer.status {
            StatusCode::OK => known(&answer, reference),
            // A bare 404 may come from anything on the way; only the airline's own word counts.
            StatusCode::NOT_FOUND if error_code(&answer) == "debit_not_found" => {
                return Inquiry::NotFound;
            }
            _ => Err(answer.unknown()),
        };
        match read {
            Ok(known) => Inquiry::Found(known),
            Err(why) => {
                alert("inquire", reference.as_str(), &why);
                Inquiry::Unknown(why)
            }
        }
    }

    async fn reverse(&self, reference: &Reference) -> Reversal {
        let path = format!("v1/debits/{reference}/reversal");
        let answer = match self.call(&path, |client, url| client.post(url)).await {
            Ok(answer) => answer,
            Err(error) => return Reversal::Unknown(Unknown(error.to_string())),
        };
        let read = match answer.status {
            StatusCode::OK | StatusCode::CREATED => known(&answer, reference),
            StatusCode::UNPROCESSABLE_ENTITY if error_code(&answer) == "not_reversible" => {
                return Reversal::Refused(
                    "the airline says this debit cannot be reversed".to_owned(),
                );
            }
            _ => Err(answer.unknown()),
        };
        match read {
            // A refused debit took nothing, so there is nothing left to give back.
            Ok(Known::Reversed | Known::Refused(_)) => Reversal::Acknowledged,
            Ok(Known::Applied { .. }) => {
                let why = Unknown("the airline still shows the debit as applied".to_owned());
                alert("reverse", reference.as_str(), &why);
                Reversal::Unknown(why)
            }
            Err(why) => {
                alert("reverse", reference.as_str(), &why);
                Reversal::Unknown(why)
            }
        }
    }
}
