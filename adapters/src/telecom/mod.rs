//! The telecom: TM Forum TMF658 (Loyalty Management), over OAuth 2.0 or an API key.
//!
//! ```txt
//! POST  oauth/member-token           grant_type=password (RFC 6749, 4.3)  -> the member's token
//! GET   loyaltyProgramMember         + X-Member-Token, offset, limit      -> [ member ]
//! GET   loyaltyAccount?loyaltyProgramMember.id=…                          -> [ account ]
//! GET   loyaltyAccount/{id}          + X-Member-Token                     -> account, loyaltyBalance
//! POST  loyaltyBurn                  + X-Member-Token, id = our reference -> 201 burn, 409 a repeat
//! GET   loyaltyBurn/{id}                                                  -> burn, 404 burnNotFound
//! PATCH loyaltyBurn/{id}             { status: cancelled } (RFC 7396)     -> burn
//! POST  hub                          { callback, query }                  -> 201, 409 if it is known
//!
//! The hub then posts to the callback, or to /listener/{event type} below it, what [`notice`] draws.
//!
//! account: { id, loyaltyProgramMember: { id }, loyaltyBalance: [ { quantity: { amount, units } } ] }
//! burn:    { id, href, account: { id }, loyaltyProgramMember: { id }, quantity: { amount, units },
//!            status: completed | rejected | cancelled,
//!            statusReason: insufficientBalance | accountBlocked | cancelled }
//! error:   { code, reason, status }                                       (TMF630)
//! ```
//!
//! Lists come in pages: `X-Total-Count` says how many there are, 206 that this is a part. The
//! standard leaves the member's login and the cancelling of a burn to the partners: the rows above
//! are what this adapter expects, a PATCH of a burn that has not come yet included, which must
//! leave it cancelled for ever. A 409 is the partner's "I have this id already": the burn is read
//! and counts only if member, account and quantity are ours.
//!
//! A member has one account in our units; with more of them nobody could say which to burn.

mod config;
pub mod notice;
mod wire;

pub use config::TelecomConfig;
pub(crate) use config::read;

use crate::adapter::{Adapter, Capabilities, MemberId, Notice, Reference, Session};
use crate::http::{Answer, Caller};
use crate::reading;
use crate::{AskError, Debit, Inquiry, Known, Miles, Refusal, Reversal, SetupError, Unknown};
use async_trait::async_trait;
use config::HubConfig;
use reqwest::{Method, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use serde::de::DeserializeOwned;
use serde_json::json;
use sha2::{Digest, Sha256};
use std::time::Duration;
use url::Url;
use wire::{Account, Burn, ErrorAnswer, Member, TokenAnswer};

const PARTNER: &str = "telecom";
const MEMBER_TOKEN: &str = "x-member-token";
/// Items asked for in one page.
const PAGE: usize = 20;
/// Most items read of one list.
const MAX_ITEMS: usize = 200;

/// The telecom adapter.
#[derive(Debug)]
pub struct Telecom {
    caller: Caller,
    units: String,
    product: String,
    capabilities: Capabilities,
    hub: Option<HubConfig>,
}

impl Telecom {
    /// Sets the adapter up; nothing is sent yet.
    pub fn new(config: TelecomConfig) -> Result<Self, SetupError> {
        Ok(Self {
            caller: Caller::new(config.base_url, config.timeout, config.credentials)?,
            units: config.units,
            product: config.product,
            capabilities: Capabilities {
                part_conversion: true,
                inquiry: true,
                reversal: true,
                visibility_window: config.visibility_window,
                timeout: config.timeout,
            },
            hub: config.hub,
        })
    }

    /// Asks the partner to tell a URL of ours whenever a burn changes. Asking again is no harm.
    pub async fn subscribe(&self, callback: &Url) -> Result<(), AskError> {
        let body =
            json!({ "callback": callback, "query": "eventType=LoyaltyBurnStateChangeEvent" });
        let answer = self
            .caller
            .call("hub", |client, url| client.post(url).json(&body))
            .await?;
        match answer.status {
            StatusCode::CREATED | StatusCode::CONFLICT => Ok(()),
            _ => Err(unavailable(&answer)),
        }
    }

    /// A call in a member's name, or in the gateway's own.
    async fn ask(&self, path: &str, token: Option<&SecretString>) -> Result<Answer, AskError> {
        self.caller
            .call(path, |client, url| {
                let request = client.get(url);
                match token {
                    Some(token) => request.header(MEMBER_TOKEN, token.expose_secret()),
                    None => request,
                }
            })
            .await
    }

    /// Every item of a list, page by page.
    async fn list<T: DeserializeOwned>(
        &self,
        path: &str,
        query: &str,
        token: &SecretString,
    ) -> Result<Vec<T>, AskError> {
        let nonsense = |why: &str| AskError::Unavailable(Unknown(why.to_owned()));
        let mut items: Vec<T> = Vec::new();
        loop {
            let page = format!("{path}?{query}offset={}&limit={PAGE}", items.len());
            let answer = self.ask(&page, Some(token)).await?;
            match answer.status {
                StatusCode::OK | StatusCode::PARTIAL_CONTENT => {}
                StatusCode::FORBIDDEN => return Err(AskError::MemberRefused),
                _ => return Err(unavailable(&answer)),
            }
            let total: usize = answer
                .header("x-total-count")
                .and_then(|total| total.parse().ok())
                .filter(|total| *total <= MAX_ITEMS)
                .ok_or_else(|| nonsense("a list without an X-Total-Count that can be used"))?;
            let page: Vec<T> = answer.json().map_err(AskError::Unavailable)?;
            let empty = page.is_empty();
            items.extend(page);
            if items.len() == total {
                return Ok(items);
            }
            if empty || items.len() > total {
                return Err(nonsense(
                    "a list with other items than its X-Total-Count says",
                ));
            }
        }
    }

    /// The one account of a member that has our units.
    async fn account(&self, member: &MemberId, token: &SecretString) -> Result<MemberId, AskError> {
        let query = format!("loyaltyProgramMember.id={member}&");
        let accounts: Vec<Account> = self.list("loyaltyAccount", &query, token).await?;
        let mut ours = accounts.into_iter().filter(|account| {
            account.loyalty_program_member.id == member.as_str()
                && account.balance(&self.units).is_some()
        });
        let nonsense = |why: &str| AskError::Unavailable(Unknown(why.to_owned()));
        match (ours.next(), ours.next()) {
            (Some(account), None) => {
                MemberId::new(account.id).map_err(|_| nonsense("an account id that is none"))
            }
            (None, _) => Err(nonsense("the member has no account in our units")),
            (Some(_), Some(_)) => Err(nonsense("the member has several accounts in our units")),
        }
    }

    /// Reads a burn; `Err` if anything about it is not understood.
    fn known(&self, answer: &Answer, reference: &Reference) -> Result<Known, Unknown> {
        let burn: Burn = answer.json()?;
        if burn.id != reference.as_str() {
            return Err(Unknown("the answer is about another burn".to_owned()));
        }
        match (burn.status.as_str(), burn.status_reason.as_deref()) {
            ("completed", _) => {
                let member = burn
                    .loyalty_program_member
                    .and_then(|member| MemberId::new(member.id).ok());
                let miles = burn
                    .quantity
                    .filter(|quantity| quantity.units == self.units);
                let href = burn
                    .href
                    .filter(|href| !href.is_empty() && href.len() <= 128);
                match (member, miles, href) {
                    (Some(member), Some(quantity), Some(partner_reference)) => Ok(Known::Applied {
                        partner_reference,
                        member,
                        miles: Miles::new(quantity.amount),
                    }),
                    _ => Err(Unknown(
                        "a completed burn without member, href or our units".to_owned(),
                    )),
                }
            }
            ("rejected", Some("insufficientBalance")) => {
                Ok(Known::Refused(Refusal::InsufficientMiles))
            }
            ("rejected", Some("accountBlocked")) => Ok(Known::Refused(Refusal::AccountBlocked)),
            ("rejected", Some("cancelled")) => Ok(Known::Refused(Refusal::Reversed)),
            ("rejected", _) => Err(Unknown(
                "a burn rejected for a reason nobody has heard of".to_owned(),
            )),
            ("cancelled", _) => Ok(Known::Reversed),
            _ => Err(Unknown("a burn status nobody has heard of".to_owned())),
        }
    }

    /// Reads a burn by its id.
    async fn burn(&self, reference: &Reference) -> Result<Option<Known>, Unknown> {
        let path = format!("loyaltyBurn/{reference}");
        let answer = self.ask(&path, None).await;
        let answer = answer.map_err(|error| Unknown(error.to_string()))?;
        match answer.status {
            StatusCode::OK => self.known(&answer, reference).map(Some),
            // A bare 404 may come from anything on the way; only the partner's own word counts.
            StatusCode::NOT_FOUND if error_code(&answer) == "burnNotFound" => Ok(None),
            _ => Err(answer.unknown()),
        }
    }
}

/// What a refused request says; empty if it says nothing readable.
fn error_code(answer: &Answer) -> String {
    answer
        .json::<ErrorAnswer>()
        .map(|body| body.code)
        .unwrap_or_default()
}

fn unavailable(answer: &Answer) -> AskError {
    AskError::Unavailable(answer.unknown())
}

/// The account and the member's own token, as a session's token holds them.
fn split(session: &Session) -> Option<(&str, SecretString)> {
    let (account, token) = session.token.expose_secret().split_once('\n')?;
    Some((account, SecretString::from(token)))
}

#[async_trait]
impl Adapter for Telecom {
    fn capabilities(&self) -> Capabilities {
        self.capabilities.clone()
    }

    async fn reachable(&self) -> Result<(), AskError> {
        // A burn that cannot be: what counts is that the partner answers.
        let answer = self.ask("loyaltyBurn/reachable", None).await?;
        match answer.status {
            StatusCode::OK | StatusCode::NOT_FOUND => Ok(()),
            _ => Err(unavailable(&answer)),
        }
    }

    async fn authenticate(&self, login: &str, secret: &SecretString) -> Result<Session, AskError> {
        let form = [
            ("grant_type", "password"),
            ("username", login),
            ("password", secret.expose_secret()),
        ];
        let answer = self
            .caller
            .call("oauth/member-token", |client, url| {
                client.post(url).form(&form)
            })
            .await?;
        let token = match answer.status {
            StatusCode::OK => {
                answer
                    .json::<TokenAnswer>()
                    .map_err(AskError::Unavailable)?
                    .access_token
            }
            StatusCode::BAD_REQUEST if error_code(&answer) == "invalid_grant" => {
                return Err(AskError::MemberRefused);
            }
            StatusCode::FORBIDDEN if error_code(&answer) == "accountBlocked" => {
                return Err(AskError::MemberBlocked);
            }
            _ => return Err(unavailable(&answer)),
        };
        let token = SecretString::from(token);
        let members: Vec<Member> = self.list("loyaltyProgramMember", "", &token).await?;
        let nonsense = |why: &str| AskError::Unavailable(Unknown(why.to_owned()));
        let member = match members.as_slice() {
            [member] => {
                MemberId::new(&member.id).map_err(|_| nonsense("a member id that is none"))?
            }
            _ => return Err(nonsense("the token is not of exactly one member")),
        };
        let account = self.account(&member, &token).await?;
        let token = SecretString::from(format!("{account}\n{}", token.expose_secret()));
        Ok(Session { member, token })
    }

    async fn balance(&self, session: &Session) -> Result<Miles, AskError> {
        let (account, token) = split(session).ok_or(AskError::MemberRefused)?;
        let answer = self
            .ask(&format!("loyaltyAccount/{account}"), Some(&token))
            .await?;
        match answer.status {
            StatusCode::OK => {
                let body: Account = answer.json().map_err(AskError::Unavailable)?;
                let ours =
                    body.id == account && body.loyalty_program_member.id == session.member.as_str();
                body.balance(&self.units)
                    .filter(|_| ours)
                    .map(Miles::new)
                    .ok_or_else(|| {
                        AskError::Unavailable(Unknown(
                            "the balance is another member's or in other units".to_owned(),
                        ))
                    })
            }
            StatusCode::FORBIDDEN => Err(AskError::MemberRefused),
            _ => Err(unavailable(&answer)),
        }
    }

    async fn debit(&self, session: &Session, reference: &Reference, miles: Miles) -> Debit {
        let Some((account, token)) = split(session) else {
            return Debit::Unknown(Unknown(
                "nothing was sent: the session is not a telecom's".to_owned(),
            ));
        };
        let body = json!({
            "id": reference.as_str(),
            "description": "conversion into points",
            "account": { "id": account },
            "loyaltyProgramMember": { "id": session.member.as_str() },
            "loyaltyProgramProduct": { "id": self.product },
            "paymentMethod": { "name": "points" },
            "quantity": { "amount": miles.get(), "units": self.units },
        });
        let answer = self
            .caller
            .call("loyaltyBurn", |client, url| {
                client
                    .post(url)
                    .header(MEMBER_TOKEN, token.expose_secret())
                    .json(&body)
            })
            .await;
        let answer = match answer {
            Ok(answer) => answer,
            Err(error) => return Debit::Unknown(Unknown(error.to_string())),
        };
        let read = match answer.status {
            StatusCode::CREATED => self.known(&answer, reference),
            StatusCode::CONFLICT => self.burn(reference).await.and_then(|burn| {
                burn.ok_or_else(|| Unknown("a repeat of a burn that is not found".to_owned()))
            }),
            _ => Err(answer.unknown()),
        };
        reading::debit(PARTNER, session, reference, miles, read)
    }

    async fn inquire(&self, reference: &Reference) -> Inquiry {
        reading::inquiry(PARTNER, reference, self.burn(reference).await)
    }

    async fn reverse(&self, reference: &Reference) -> Reversal {
        let path = format!("loyaltyBurn/{reference}");
        let body = json!({ "status": "cancelled" });
        let answer = self
            .caller
            .call(&path, |client, url| {
                client
                    .request(Method::PATCH, url)
                    .header("content-type", "application/merge-patch+json")
                    .json(&body)
            })
            .await;
        let answer = match answer {
            Ok(answer) => answer,
            Err(error) => return Reversal::Unknown(Unknown(error.to_string())),
        };
        let read = match answer.status {
            StatusCode::OK => self.known(&answer, reference),
            StatusCode::UNPROCESSABLE_ENTITY if error_code(&answer) == "notReversible" => {
                return Reversal::Refused(
                    "the telecom says this burn cannot be cancelled".to_owned(),
                );
            }
            _ => Err(answer.unknown()),
        };
        reading::reversal(PARTNER, reference, read)
    }

    async fn listen(&self, programme: &str) -> Result<Option<Duration>, AskError> {
        let Some(hub) = &self.hub else {
            return Ok(None);
        };
        let wrong = |_| {
            let why = format!("hub_callback cannot have a path for {programme:?} below it");
            AskError::Unavailable(Unknown(why))
        };
        let mut callback = hub.gateway.clone();
        callback
            .path_segments_mut()
            .map_err(wrong)?
            .pop_if_empty()
            .extend(["v1", "listeners", programme, hub.secret.expose_secret()]);
        self.subscribe(&callback).await?;
        Ok(Some(hub.renew))
    }

    fn notice(&self, secret: &str, body: &[u8]) -> Notice {
        // Digests are compared, so that time tells nothing of the secret.
        let knows = self.hub.as_ref().is_some_and(|hub| {
            Sha256::digest(secret) == Sha256::digest(hub.secret.expose_secret())
        });
        if !knows {
            return Notice::Refused;
        }
        match notice::reference(body) {
            Ok(Some(reference)) => Notice::About(reference),
            Ok(None) => Notice::Other,
            Err(why) => {
                tracing::warn!(%why, "the telecom's hub sent something");
                Notice::Malformed
            }
        }
    }
}
