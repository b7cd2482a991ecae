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
//! that is not understood is [`Unknown`], and logged as an error so that somebody looks. `Retry-After` and
//! rate-limit headers are obeyed as [`crate::http`] says.

mod wire;

pub use crate::SetupError;

use crate::adapter::{Adapter, Capabilities, MemberId, Reference, Session};
use crate::http::{Answer, Caller, Credentials};
use crate::reading;
use crate::{AskError, Debit, Inquiry, Known, Miles, Refusal, Reversal, Unknown};
use async_trait::async_trait;
use reqwest::StatusCode;
use secrecy::{ExposeSecret, SecretString};
use std::time::Duration;
use url::Url;
use wire::{BalanceAnswer, DebitAnswer, DebitRequest, ErrorAnswer, LoginAnswer, LoginRequest};

const PARTNER: &str = "airline";
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

/// The airline adapter.
#[derive(Debug)]
pub struct Airline {
    caller: Caller,
    capabilities: Capabilities,
}

impl Airline {
    /// Sets the adapter up; nothing is sent yet.
    pub fn new(config: AirlineConfig) -> Result<Self, SetupError> {
        let credentials = Credentials::OAuth {
            path: "oauth/token".to_owned(),
            client_id: config.client_id,
            client_secret: config.client_secret,
        };
        Ok(Self {
            caller: Caller::new(config.base_url, config.timeout, credentials)?,
            capabilities: Capabilities {
                part_conversion: true,
                inquiry: true,
                reversal: true,
                visibility_window: config.visibility_window,
                timeout: config.timeout,
            },
        })
    }
}

/// What a refused request says; empty if it says nothing readable.
fn error_code(answer: &Answer) -> String {
    answer
        .json::<ErrorAnswer>()
        .map(|body| body.error)
        .unwrap_or_default()
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
        // A kept token proves nothing about now, so ask for a debit that cannot exist.
        let answer = self
            .caller
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
            .caller
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
            .caller
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
            .caller
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
        reading::debit(PARTNER, session, reference, miles, read)
    }

    async fn inquire(&self, reference: &Reference) -> Inquiry {
        let path = format!("v1/debits/{reference}");
        let answer = match self.caller.call(&path, |client, url| client.get(url)).await {
            Ok(answer) => answer,
            Err(error) => return Inquiry::Unknown(Unknown(error.to_string())),
        };
        let read = match answer.status {
            StatusCode::OK => known(&answer, reference).map(Some),
            // A bare 404 may come from anything on the way; only the airline's own word counts.
            StatusCode::NOT_FOUND if error_code(&answer) == "debit_not_found" => Ok(None),
            _ => Err(answer.unknown()),
        };
        reading::inquiry(PARTNER, reference, read)
    }

    async fn reverse(&self, reference: &Reference) -> Reversal {
        let path = format!("v1/debits/{reference}/reversal");
        let answer = match self
            .caller
            .call(&path, |client, url| client.post(url))
            .await
        {
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
        reading::reversal(PARTNER, reference, read)
    }
}
