//! A partner with a plain JSON API, by configuration alone.
//!
//! [`config`] draws the file: for each call its method, path, headers and body with holes, where in
//! the answer things stand, and which answers mean what. No code, no loops, no expressions: what
//! cannot be said so needs an adapter of its own. A file that is wrong is refused at load, with the
//! field's name.
//!
//! What keeps it safe whatever the file says:
//!
//! - an answer that fits no rule is unknown;
//! - a debit counts as applied only if the answer repeats reference, member and miles;
//! - a reversal counts only if the answer names our reference;
//! - an answer that names another reference is unknown, whatever rule it fits.

mod answers;
pub mod config;
mod text;

pub use config::TemplateConfig;
pub(crate) use config::read;

use crate::adapter::{Adapter, Capabilities, MemberId, Reference, Session};
use crate::http::{Answer, Caller};
use crate::reading;
use crate::{AskError, Debit, Inquiry, Known, Miles, Refusal, Reversal, SetupError, Unknown};
use answers::Meaning;
use async_trait::async_trait;
use config::Call;
use reqwest::header::{HeaderMap, HeaderValue};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use text::{Hole, Values};

const PARTNER: &str = "template";
/// Longest token and partner reference, in bytes.
const MAX_TOKEN_BYTES: usize = 4096;
const MAX_REFERENCE_BYTES: usize = 128;

/// The adapter that a file describes.
#[derive(Debug)]
pub struct Template {
    caller: Caller,
    capabilities: Capabilities,
    authenticate: Call,
    balance: Call,
    debit: Call,
    inquire: Option<Call>,
    reverse: Option<Call>,
}

/// An answer, and what a rule says it means.
struct Heard {
    answer: Answer,
    body: Value,
    meaning: Option<Meaning>,
}

impl Heard {
    /// As something unknown: no rule fits, or what it says does not hold.
    fn unknown(&self) -> Unknown {
        match self.meaning {
            None => Unknown(format!(
                "no rule fits an answer with status {}",
                self.answer.status
            )),
            Some(meaning) => Unknown(format!(
                "the answer means {meaning:?} but lacks what that needs"
            )),
        }
    }

    fn at(&self, call: &Call, name: &str, most: usize) -> Option<String> {
        answers::text(&self.body, call.read.get(name)?, most)
    }

    /// Whether the answer names our reference; `Err` if it names another.
    fn ours(&self, call: &Call, reference: &Reference) -> Result<bool, Unknown> {
        match self.at(call, "reference", MAX_REFERENCE_BYTES) {
            Some(named) if named == reference.as_str() => Ok(true),
            Some(_) => Err(Unknown("the answer is about another reference".to_owned())),
            None => Ok(false),
        }
    }

    fn known(&self, call: &Call, reference: &Reference) -> Result<Option<Known>, Unknown> {
        let ours = self.ours(call, reference)?;
        match self.meaning {
            Some(Meaning::Applied) if ours => {
                let member = self
                    .at(call, "member", 64)
                    .and_then(|member| MemberId::new(member).ok());
                let miles = call
                    .read
                    .get("miles")
                    .and_then(|place| answers::miles(&self.body, place));
                match (
                    self.at(call, "partner_reference", MAX_REFERENCE_BYTES),
                    member,
                    miles,
                ) {
                    (Some(partner_reference), Some(member), Some(miles)) => {
                        Ok(Some(Known::Applied {
                            partner_reference,
                            member,
                            miles: Miles::new(miles),
                        }))
                    }
                    _ => Err(self.unknown()),
                }
            }
            Some(Meaning::InsufficientMiles) => {
                Ok(Some(Known::Refused(Refusal::InsufficientMiles)))
            }
            Some(Meaning::AccountBlocked) => Ok(Some(Known::Refused(Refusal::AccountBlocked))),
            Some(Meaning::Reversed) => Ok(Some(Known::Reversed)),
            Some(Meaning::NotFound) => Ok(None),
            _ => Err(self.unknown()),
        }
    }

    fn not_done(&self) -> AskError {
        match self.meaning {
            Some(Meaning::MemberRefused) => AskError::MemberRefused,
            Some(Meaning::MemberBlocked) => AskError::MemberBlocked,
            Some(Meaning::GatewayRefused) => AskError::GatewayRefused,
            _ => AskError::Unavailable(self.unknown()),
        }
    }
}

impl Template {
    /// Sets the adapter up; nothing is sent yet.
    pub fn new(config: TemplateConfig) -> Result<Self, SetupError> {
        Ok(Self {
            caller: Caller::new(config.base_url, config.timeout, config.credentials)?,
            capabilities: Capabilities {
                part_conversion: config.part_conversion,
                inquiry: config.inquire.is_some(),
                reversal: config.reverse.is_some(),
                visibility_window: config.visibility_window,
                timeout: config.timeout,
            },
            authenticate: config.authenticate,
            balance: config.balance,
            debit: config.debit,
            inquire: config.inquire,
            reverse: config.reverse,
        })
    }

    async fn make(&self, call: &Call, values: &Values<'_>) -> Result<Heard, AskError> {
        let mut headers = HeaderMap::new();
        for (name, value) in &call.headers {
            let mut value = HeaderValue::from_str(&value.fill(values)).map_err(|_| {
                AskError::Unavailable(Unknown(format!(
                    "nothing was sent: header {name} cannot carry its value"
                )))
            })?;
            value.set_sensitive(true);
            headers.insert(name.clone(), value);
        }
        let body = call.body.as_ref().map(|body| body.fill(values));
        let answer = self
            .caller
            .call(&call.path.fill(values), |client, url| {
                let request = client
                    .request(call.method.clone(), url)
                    .headers(headers.clone());
                match &body {
                    Some(body) => request.json(body),
                    None => request,
                }
            })
            .await?;
        // A body that is no JSON has nothing at any place; a rule by status alone may still fit.
        let body: Value = answer.json().unwrap_or(Value::Null);
        let meaning = call.rules.meaning(&answer, &body);
        Ok(Heard {
            answer,
            body,
            meaning,
        })
    }
}

#[async_trait]
impl Adapter for Template {
    fn capabilities(&self) -> Capabilities {
        self.capabilities.clone()
    }

    async fn reachable(&self) -> Result<(), AskError> {
        let Some(call) = &self.inquire else {
            // Nothing can be asked without a member; that anything answers is what can be known.
            return self
                .caller
                .call("", |client, url| client.get(url))
                .await
                .map(|_| ());
        };
        let heard = self
            .make(call, &Values::default().with(Hole::Reference, "reachable"))
            .await?;
        match heard.meaning {
            Some(_) => Ok(()),
            None => Err(AskError::Unavailable(heard.unknown())),
        }
    }

    async fn authenticate(&self, login: &str, secret: &SecretString) -> Result<Session, AskError> {
        let call = &self.authenticate;
        let values = Values::default()
            .with(Hole::Login, login)
            .with(Hole::Password, secret.expose_secret());
        let heard = self.make(call, &values).await?;
        if heard.meaning != Some(Meaning::Accepted) {
            return Err(heard.not_done());
        }
        let member = heard
            .at(call, "member", 64)
            .and_then(|member| MemberId::new(member).ok());
        match (member, heard.at(call, "token", MAX_TOKEN_BYTES)) {
            (Some(member), Some(token)) => Ok(Session {
                member,
                token: SecretString::from(token),
            }),
            _ => Err(AskError::Unavailable(heard.unknown())),
        }
    }

    async fn balance(&self, session: &Session) -> Result<Miles, AskError> {
        let call = &self.balance;
        let values = Values::default()
            .with(Hole::Member, session.member.as_str())
            .with(Hole::Token, session.token.expose_secret());
        let heard = self.make(call, &values).await?;
        if heard.meaning != Some(Meaning::Balance) {
            return Err(heard.not_done());
        }
        let named = call
            .read
            .get("member")
            .map(|place| answers::text(&heard.body, place, 64));
        if named.is_some_and(|named| named.as_deref() != Some(session.member.as_str())) {
            return Err(AskError::Unavailable(Unknown(
                "the balance is another member's".to_owned(),
            )));
        }
        let miles = call
            .read
            .get("miles")
            .and_then(|place| answers::miles(&heard.body, place));
        miles
            .map(Miles::new)
            .ok_or_else(|| AskError::Unavailable(heard.unknown()))
    }

    async fn debit(&self, session: &Session, reference: &Reference, miles: Miles) -> Debit {
        let call = &self.debit;
        let amount = miles.to_string();
        let values = Values::default()
            .with(Hole::Member, session.member.as_str())
            .with(Hole::Token, session.token.expose_secret())
            .with(Hole::Reference, reference.as_str())
            .with(Hole::Miles, &amount);
        let heard = match self.make(call, &values).await {
            Ok(heard) => heard,
            Err(error) => return Debit::Unknown(Unknown(error.to_string())),
        };
        let read = heard.known(call, reference);
        let read = read.and_then(|known| known.ok_or_else(|| heard.unknown()));
        reading::debit(PARTNER, session, reference, miles, read)
    }

    async fn inquire(&self, reference: &Reference) -> Inquiry {
        let Some(call) = &self.inquire else {
            return Inquiry::Unknown(Unknown("this partner cannot be asked".to_owned()));
        };
        let values = Values::default().with(Hole::Reference, reference.as_str());
        let heard = match self.make(call, &values).await {
            Ok(heard) => heard,
            Err(error) => return Inquiry::Unknown(Unknown(error.to_string())),
        };
        reading::inquiry(PARTNER, reference, heard.known(call, reference))
    }

    async fn reverse(&self, reference: &Reference) -> Reversal {
        let Some(call) = &self.reverse else {
            return Reversal::Refused("this partner cannot reverse".to_owned());
        };
        let values = Values::default().with(Hole::Reference, reference.as_str());
        let heard = match self.make(call, &values).await {
            Ok(heard) => heard,
            Err(error) => return Reversal::Unknown(Unknown(error.to_string())),
        };
        match (heard.meaning, heard.ours(call, reference)) {
            (Some(Meaning::Acknowledged), Ok(true)) => Reversal::Acknowledged,
            (Some(Meaning::NotReversible), Ok(_)) => {
                Reversal::Refused("the partner says this debit cannot be reversed".to_owned())
            }
            (_, ours) => {
                let why = ours.err().unwrap_or_else(|| heard.unknown());
                reading::alert(PARTNER, "reverse", reference, &why);
                Reversal::Unknown(why)
            }
        }
    }
}
