//! The card issuer: ISO 8583:1987 over TCP.
//!
//! ```txt
//! authenticate  0100  2 card, 3 = 38…, 52 PIN block         -> 39, 102 member, 48 token
//! balance       0100  3 = 31…, 48 token, 102 member         -> 39, 54 balance
//! debit         0200  3 = 00…, 4 miles, 48 reference and token, 102 member
//!                                                           -> 39, 4, 102, 48 reference, partner's
//! inquire       0100  3 = 92…, 48 reference                 -> 39, 4, 102, 48 and status
//! reverse       0420  4 none, 48 reference, 90 original     -> 39, 48 reference
//!               0421  the same again, until 0430 is heard
//! reachable     0100  an inquiry for a debit that cannot be
//! ```
//!
//! Every request also has 7, 11, 32, 37, 41, 42 and 49. Field 48 has tags, as
//! [`additional`](mileverse_iso8583::additional) says. Our reference is what names a debit: the
//! adapter keeps nothing, so a reversal's field 90 has the original's type, zeros for its STAN and
//! time, and the institution; and it has no amount, since all of the debit is reversed. The RRN
//! follows from the reference and is the same in every message about one debit.
//!
//! A debit counts as done only if the answer repeats reference, member and miles. A response code
//! that is in no list, an answer without our reference, or none at all is [`Unknown`]. Codes, field
//! table, MAC and the rest come from the file drawn in [`config`].

pub mod config;
mod flight;
mod link;

pub use config::CardConfig;

use crate::adapter::{Adapter, Capabilities, MemberId, Reference, Session};
use crate::reading;
use crate::{AskError, Debit, Inquiry, Known, Miles, Reversal, Unknown};
use async_trait::async_trait;
use config::{Code, Terms};
use link::{Link, LinkError};
use mileverse_iso8583::additional::{self, Additional};
use mileverse_iso8583::{Message, Mti, PinKey, Value, number};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};

const PARTNER: &str = "card";
/// Longest token and partner reference, in bytes.
const MAX_VALUE_BYTES: usize = 128;
/// Most miles an amount field holds.
const MAX_MILES: u64 = 999_999_999_999;

/// The card adapter.
#[derive(Debug)]
pub struct Card {
    link: Link,
    terms: Terms,
    pin_key: PinKey,
    capabilities: Capabilities,
}

impl Card {
    /// Sets the adapter up; it connects with the first call.
    pub fn new(config: CardConfig) -> Self {
        Self {
            capabilities: Capabilities {
                part_conversion: true,
                inquiry: true,
                reversal: true,
                visibility_window: config.visibility_window,
                timeout: config.timeout,
            },
            link: Link::new(config.link),
            terms: config.terms,
            pin_key: config.pin_key,
        }
    }

    /// A request with what every request has.
    fn request(&self, mti: Mti, processing: &str) -> Message {
        Message::new(mti)
            .with(number::PROCESSING, processing)
            .with(number::INSTITUTION, &self.terms.institution)
            .with(number::TERMINAL, &self.terms.terminal)
            .with(number::ACCEPTOR, &self.terms.acceptor)
            .with(number::UNIT, &self.terms.unit)
    }

    /// A request about a debit.
    fn about(
        &self,
        mti: Mti,
        processing: &str,
        reference: &Reference,
        data: Additional,
    ) -> Message {
        let data = data.with(additional::REFERENCE, reference.as_str());
        self.request(mti, processing)
            .with(number::RETRIEVAL, retrieval(reference))
            .with(number::ADDITIONAL, data.write())
    }

    fn code(&self, answer: &Message) -> Option<Code> {
        let code = answer.text(number::RESPONSE)?;
        self.terms.codes.get(code).copied()
    }

    async fn ask(&self, message: Message) -> Result<Message, AskError> {
        self.link
            .ask(message, 0)
            .await
            .map_err(|error| match error {
                LinkError::Refused(_) => AskError::GatewayRefused,
                other => unavailable(other.to_string()),
            })
    }

    /// What an answer to a read-only question that is not "done" means.
    fn not_done(&self, answer: &Message) -> AskError {
        match self.code(answer) {
            Some(Code::MemberRefused) => AskError::MemberRefused,
            Some(Code::AccountBlocked) => AskError::MemberBlocked,
            Some(Code::GatewayRefused) => AskError::GatewayRefused,
            _ => AskError::Unavailable(strange(answer)),
        }
    }

    /// What a debit's answer says; `Err` if it is not understood.
    fn debited(&self, answer: &Message, reference: &Reference) -> Result<Known, Unknown> {
        let data = ours(answer, reference)?;
        match self.code(answer) {
            Some(Code::Done) => applied(answer, &data),
            code => code
                .and_then(Code::refusal)
                .map(Known::Refused)
                .ok_or_else(|| strange(answer)),
        }
    }

    fn known(&self, answer: &Message, data: &Additional) -> Result<Known, Unknown> {
        match data.get(additional::STATUS) {
            Some("A") => applied(answer, data),
            Some("V") => Ok(Known::Reversed),
            Some("D") => {
                let code = data
                    .get(additional::DECLINED)
                    .and_then(|code| self.terms.codes.get(code));
                code.and_then(|code| code.refusal())
                    .map(Known::Refused)
                    .ok_or_else(|| {
                        let why = "a debit declined for a reason nobody has heard of";
                        Unknown(why.to_owned())
                    })
            }
            _ => Err(Unknown("a debit status nobody has heard of".to_owned())),
        }
    }
}

fn unavailable(why: String) -> AskError {
    AskError::Unavailable(Unknown(why))
}

fn strange(answer: &Message) -> Unknown {
    let code = answer.text(number::RESPONSE).unwrap_or("none");
    Unknown(format!("response code {code} where it does not belong"))
}

/// The RRN of everything about a debit: twelve of thirty-two characters, from the reference.
fn retrieval(reference: &Reference) -> String {
    const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
    let digest = Sha256::digest(reference.as_str().as_bytes());
    let letters = digest
        .iter()
        .take(12)
        .filter_map(|byte| ALPHABET.get(usize::from(byte % 32)));
    letters.map(|letter| char::from(*letter)).collect()
}

/// The additional data of an answer about our reference.
fn ours(answer: &Message, reference: &Reference) -> Result<Additional, Unknown> {
    let data = answer.text(number::ADDITIONAL).and_then(Additional::parse);
    match data {
        Some(data) if data.get(additional::REFERENCE) == Some(reference.as_str()) => Ok(data),
        _ => Err(Unknown("the answer does not name our reference".to_owned())),
    }
}

/// A debit that was applied, with all that belongs to it.
fn applied(answer: &Message, data: &Additional) -> Result<Known, Unknown> {
    let name = data.get(additional::PARTNER_REFERENCE);
    let name = name.filter(|name| (1..=MAX_VALUE_BYTES).contains(&name.len()));
    let member = answer
        .text(number::ACCOUNT)
        .and_then(|member| MemberId::new(member).ok());
    let miles = answer
        .text(number::AMOUNT)
        .and_then(|miles| miles.parse().ok());
    match (name, member, miles) {
        (Some(name), Some(member), Some(miles)) => Ok(Known::Applied {
            partner_reference: name.to_owned(),
            member,
            miles: Miles::new(miles),
        }),
        _ => Err(Unknown(
            "an applied debit without member, miles or reference".to_owned(),
        )),
    }
}

/// The available balance in a unit: parts of account type, amount type, unit, sign, twelve digits.
fn available(balances: &str, unit: &str) -> Option<Miles> {
    if balances.is_empty() || !balances.len().is_multiple_of(20) {
        return None;
    }
    let mut parts = (0..balances.len())
        .step_by(20)
        .filter_map(|at| balances.get(at..at.checked_add(20)?));
    let digits = parts.find_map(|part| {
        let (kind, rest) = (part.get(2..4)?, part.get(4..)?);
        let amount = rest.strip_prefix(unit)?.strip_prefix('C')?;
        (kind == "02").then_some(amount)
    })?;
    let plain = digits.bytes().all(|byte| byte.is_ascii_digit());
    plain.then(|| digits.parse().ok().map(Miles::new)).flatten()
}

#[async_trait]
impl Adapter for Card {
    fn capabilities(&self) -> Capabilities {
        self.capabilities.clone()
    }

    async fn reachable(&self) -> Result<(), AskError> {
        let reference =
            Reference::new("reachable").map_err(|error| unavailable(error.to_string()))?;
        match self.inquire(&reference).await {
            Inquiry::Unknown(why) => Err(AskError::Unavailable(why)),
            Inquiry::Found(_) | Inquiry::NotFound => Ok(()),
        }
    }

    async fn authenticate(&self, login: &str, secret: &SecretString) -> Result<Session, AskError> {
        // What is no card or no PIN would only be refused.
        let block = self
            .pin_key
            .seal(login, secret.expose_secret())
            .map_err(|_| AskError::MemberRefused)?;
        let mut request = self
            .request(Mti::AUTHORIZATION, &self.terms.processing.authenticate)
            .with(number::CARD, login);
        request.insert(number::PIN, Value::Bytes(block.to_vec()));
        let answer = self.ask(request).await?;
        if self.code(&answer) != Some(Code::Done) {
            return Err(self.not_done(&answer));
        }
        let data = answer.text(number::ADDITIONAL).and_then(Additional::parse);
        let token = data.as_ref().and_then(|data| data.get(additional::TOKEN));
        let token = token.filter(|token| (1..=MAX_VALUE_BYTES).contains(&token.len()));
        let member = answer
            .text(number::ACCOUNT)
            .and_then(|member| MemberId::new(member).ok());
        match (member, token) {
            (Some(member), Some(token)) => Ok(Session {
                member,
                token: SecretString::from(token),
            }),
            _ => Err(unavailable(
                "the issuer named no member or no token".to_owned(),
            )),
        }
    }

    async fn balance(&self, session: &Session) -> Result<Miles, AskError> {
        let data = Additional::new().with(additional::TOKEN, session.token.expose_secret());
        let request = self
            .request(Mti::AUTHORIZATION, &self.terms.processing.balance)
            .with(number::ADDITIONAL, data.write())
            .with(number::ACCOUNT, session.member.as_str());
        let answer = self.ask(request).await?;
        if self.code(&answer) != Some(Code::Done) {
            return Err(self.not_done(&answer));
        }
        if answer.text(number::ACCOUNT) != Some(session.member.as_str()) {
            return Err(unavailable("the balance is another member's".to_owned()));
        }
        answer
            .text(number::BALANCES)
            .and_then(|balances| available(balances, &self.terms.unit))
            .ok_or_else(|| {
                unavailable("the answer has no available balance in our unit".to_owned())
            })
    }

    async fn debit(&self, session: &Session, reference: &Reference, miles: Miles) -> Debit {
        if miles.get() > MAX_MILES || session.member.as_str().len() > 28 {
            let why = "nothing was sent: the miles or the member do not fit into their field";
            return Debit::Unknown(Unknown(why.to_owned()));
        }
        let data = Additional::new().with(additional::TOKEN, session.token.expose_secret());
        let request = self
            .about(
                self.terms.debit,
                &self.terms.processing.debit,
                reference,
                data,
            )
            .with(number::AMOUNT, format!("{:012}", miles.get()))
            .with(number::ACCOUNT, session.member.as_str());
        let answer = match self.link.ask(request, 0).await {
            Ok(answer) => answer,
            Err(error) => return Debit::Unknown(Unknown(error.to_string())),
        };
        let read = self.debited(&answer, reference);
        reading::debit(PARTNER, session, reference, miles, read)
    }

    async fn inquire(&self, reference: &Reference) -> Inquiry {
        let request = self.about(
            Mti::AUTHORIZATION,
            &self.terms.processing.inquire,
            reference,
            Additional::new(),
        );
        let answer = match self.link.ask(request, 0).await {
            Ok(answer) => answer,
            Err(error) => return Inquiry::Unknown(Unknown(error.to_string())),
        };
        let read = ours(&answer, reference).and_then(|data| match self.code(&answer) {
            Some(Code::NotFound) => Ok(None),
            Some(Code::Done) => self.known(&answer, &data).map(Some),
            _ => Err(strange(&answer)),
        });
        reading::inquiry(PARTNER, reference, read)
    }

    async fn reverse(&self, reference: &Reference) -> Reversal {
        let original = format!(
            "{}{:06}{:010}{:0>11}{:011}",
            self.terms.debit, 0, 0, self.terms.institution, 0
        );
        let request = self
            .about(
                self.terms.reversal,
                &self.terms.processing.debit,
                reference,
                Additional::new(),
            )
            .with(number::ORIGINAL, original);
        let answer = match self.link.ask(request, self.terms.repeats).await {
            Ok(answer) => answer,
            Err(error) => return Reversal::Unknown(Unknown(error.to_string())),
        };
        let read = ours(&answer, reference).and_then(|_| match self.code(&answer) {
            Some(Code::Done) => Ok(Reversal::Acknowledged),
            Some(Code::NotReversible) => {
                let why = "the card issuer says this debit cannot be reversed";
                Ok(Reversal::Refused(why.to_owned()))
            }
            _ => Err(strange(&answer)),
        });
        read.unwrap_or_else(|why| {
            reading::alert(PARTNER, "reverse", reference, &why);
            Reversal::Unknown(why)
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn balances_are_read_from_their_parts() {
        let part = |kind: &str, unit: &str, sign: &str| format!("00{kind}{unit}{sign}000000012345");
        assert_eq!(
            available(&part("02", "999", "C"), "999"),
            Some(Miles::new(12_345))
        );
        let two = part("01", "999", "C") + &part("02", "999", "C");
        assert_eq!(available(&two, "999"), Some(Miles::new(12_345)));
        for bad in [
            String::new(),
            part("01", "999", "C"),
            part("02", "410", "C"),
            part("02", "999", "D"),
            part("02", "999", "C") + "x",
        ] {
            assert_eq!(available(&bad, "999"), None, "{bad}");
        }
        assert_eq!(available("0002999C+00000012345", "999"), None);
    }

    #[test]
    fn the_rrn_follows_from_the_reference() {
        let rrn = |name| retrieval(&Reference::new(name).unwrap());
        assert_eq!(rrn("conv_1"), rrn("conv_1"));
        assert_ne!(rrn("conv_1"), rrn("conv_2"));
        assert!(
            rrn("conv_1").len() == 12
                && rrn("conv_1")
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric())
        );
    }
}
