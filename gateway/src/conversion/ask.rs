//! What a caller may ask for: a quote, and a conversion to begin from it. Everything that can be
//! refused without the partner is refused before the partner is asked, and everything the partner
//! can refuse by a question is asked before any row is written.

use super::machine::{CONVERSION, Lease, Machine};
use super::programme::Programme;
use super::state::State;
use super::waiter::{Answer, Waiter};
use crate::clock::day;
use crate::custody::CustodyError;
use crate::desk::{BrokenOff, Failure};
use crate::float::{self, Held};
use crate::ids;
use crate::journal;
use crate::store::Connection;
use crate::store::conversions::{self, Conversion, New, Page};
use crate::store::idempotency::{self, Answered, Key, Stored};
use crate::store::jobs::{self, Kind as JobKind};
use crate::store::partners::{Funding, use_day};
use crate::store::quotes::{self, Quote};
use crate::store::write::Commit;
use crate::store::{to_sql, wallets};
use crate::units::{MicroPoints, MilesError, parse_miles};
use alloy::primitives::Address;
use mileverse_adapters::{AskError, Miles, Session};
use mileverse_gateway_api::wallets::CUSTODIAL;
use mileverse_primitives::address;
use mileverse_trace::{Spec, here, span};
use secrecy::{ExposeSecret, SecretString};
use std::future::ready;
use std::sync::Arc;
use std::time::Duration;
use thiserror::Error;

/// A member as the caller names them. Forgotten when the request ends.
#[derive(Debug)]
pub enum Member {
    /// As the partner knows them.
    Login {
        /// Login at the partner.
        login: String,
        /// Password at the partner.
        password: SecretString,
    },
    /// Linked before.
    Linked {
        /// `mem_…`
        id: String,
    },
}

impl Member {
    /// What tells one from another, for fingerprints.
    pub fn parts(&self) -> Vec<&str> {
        match self {
            Self::Login { login, password } => vec![login, password.expose_secret()],
            Self::Linked { id } => vec![id],
        }
    }
}

/// What is to be quoted, and for whom.
#[derive(Debug)]
pub struct Asked<'a> {
    /// The request.
    pub key: &'a Key,
    /// How its partner pays.
    pub funding: Funding,
    /// Whose miles.
    pub programme: &'a str,
    /// Which member's.
    pub member: &'a Member,
    /// How many.
    pub miles: &'a str,
}

/// What is to be converted, for whom, and where to.
#[derive(Debug)]
pub struct Begin<'a> {
    /// The request.
    pub key: &'a Key,
    /// How its partner pays.
    pub funding: Funding,
    /// The agreed terms.
    pub quote_id: &'a str,
    /// Who gets the points: an address, or [`CUSTODIAL`].
    pub receiver: &'a str,
    /// What the caller calls it.
    pub reference: Option<&'a str>,
    /// Its answer once it is settled; none as long as there is none to be kept.
    pub answer: fn(Conversion) -> Result<Option<Stored>, sqlx::Error>,
}

/// A quote that is made, with the answer to whom it was made for.
#[derive(Debug)]
pub struct MadeQuote {
    quote: Quote,
    key: Key,
    answer: Stored,
}

/// A conversion that begins.
#[derive(Debug)]
pub struct Beginning {
    conversion: Conversion,
    key: Key,
    /// Whose wallet of the gateway's receives the points, if one does.
    wallet_of: Option<String>,
    /// The trace that it belongs to, if it is traced.
    trace: Option<String>,
}

/// Why a request is refused. Nothing has moved.
#[derive(Debug, Error)]
pub enum Refused {
    /// No such programme.
    #[error("there is no programme {0:?}")]
    Programme(String),
    /// Not an amount of miles.
    #[error("{0:?} is not an amount of miles")]
    Miles(MilesError),
    /// Too few.
    #[error("the programme converts at least {0} miles at once")]
    BelowMinimum(u64),
    /// Too many.
    #[error("the programme converts at most {0} miles at once")]
    AboveMaximum(u64),
    /// More than the member has.
    #[error("the member has {0} miles")]
    AboveBalance(Miles),
    /// The partner converts only whole balances.
    #[error("the partner converts only the whole balance of {0} miles")]
    WholeOnly(Miles),
    /// The partner did not confirm the member, or cannot be asked.
    #[error(transparent)]
    Partner(#[from] AskError),
    /// No such quote of this caller.
    #[error("there is no such quote")]
    QuoteUnknown,
    /// Too late.
    #[error("the quote has expired")]
    QuoteExpired,
    /// Used by this conversion.
    #[error("the quote was used by {0}")]
    QuoteUsed(String),
    /// The caller's reference names this conversion already.
    #[error("the reference was used by {0}")]
    ReferenceUsed(String),
    /// No such member of this caller in this programme.
    #[error("there is no such member")]
    MemberUnknown,
    /// The partner does not accept the link any more.
    #[error("the member must be linked again")]
    Relink,
    /// Somebody else's quote.
    #[error("the quote is for another member")]
    MemberMismatch,
    /// The float is short.
    #[error("the float holds {available} MVP and this takes {needed}")]
    FloatShort {
        /// What there is.
        available: MicroPoints,
        /// What it takes.
        needed: MicroPoints,
    },
    /// The day's limit.
    #[error("at most {0} miles a day")]
    DailyLimit(u64),
    /// Not an address that can hold points.
    #[error("{0}")]
    Receiver(&'static str),
    /// The wallet that the gateway keeps cannot receive.
    #[error(transparent)]
    Custody(#[from] CustodyError),
    /// The database.
    #[error(transparent)]
    Store(#[from] sqlx::Error),
}

impl From<BrokenOff> for Refused {
    fn from(error: BrokenOff) -> Self {
        Self::Store(error.into())
    }
}

impl Failure for Refused {
    fn is_of_one(&self) -> bool {
        match self {
            Self::Store(error) => error.is_of_one(),
            _ => true,
        }
    }
}

/// Reads a receiver: 20 bytes in hex, with a right checksum if it has one, neither zero nor one
/// of the chain's own modules.
pub fn parse_receiver(text: &str) -> Result<Address, Refused> {
    let digits = text
        .strip_prefix("0x")
        .filter(|digits| digits.len() == 40 && digits.bytes().all(|b| b.is_ascii_hexdigit()))
        .ok_or(Refused::Receiver("it must be \"0x\" and 40 hex digits"))?;
    let upper = digits.bytes().any(|byte| byte.is_ascii_uppercase());
    let lower = digits.bytes().any(|byte| byte.is_ascii_lowercase());
    let receiver: Address = if upper && lower {
        Address::parse_checksummed(text, None).map_err(|_| {
            Refused::Receiver("its checksum (EIP-55) is wrong: a digit was mistyped")
        })?
    } else {
        text.parse()
            .map_err(|_| Refused::Receiver("it must be \"0x\" and 40 hex digits"))?
    };
    if receiver.is_zero() {
        return Err(Refused::Receiver(
            "it is the zero address, which nobody owns",
        ));
    }
    if address::is_native_code(receiver) {
        return Err(Refused::Receiver("it is one of the chain's own modules"));
    }
    Ok(receiver)
}

impl Beginning {
    /// The quote that it uses, and itself.
    fn claim(&self) -> (&str, &str) {
        (&self.conversion.quote_id, &self.conversion.id)
    }

    /// Its partner, and what that calls it.
    fn reference(&self) -> Option<(&str, &str)> {
        let reference = self.conversion.reference.as_deref()?;
        Some((&self.conversion.partner, reference))
    }
}

impl Machine {
    pub(super) fn asked_programme(&self, name: &str) -> Result<&Programme, Refused> {
        self.programmes
            .get(name)
            .ok_or_else(|| Refused::Programme(name.to_owned()))
    }

    /// Authenticates a member and checks that the balance allows this.
    async fn check_member(
        &self,
        programme: &Programme,
        partner: &str,
        member: &Member,
        miles: u64,
    ) -> Result<(Session, Miles), Refused> {
        let session = self.session(programme, partner, member).await?;
        let balance = self.balance(programme, member, &session).await?;
        if balance.get() < miles {
            return Err(Refused::AboveBalance(balance));
        }
        if !programme.adapter.capabilities().part_conversion && balance.get() != miles {
            return Err(Refused::WholeOnly(balance));
        }
        Ok((session, balance))
    }

    /// Makes a quote and stores it together with the answer that `answer` makes of it.
    pub async fn quote(
        &self,
        asked: &Asked<'_>,
        lifetime: Duration,
        answer: impl FnOnce(&Quote, Miles) -> Result<Stored, sqlx::Error>,
    ) -> Result<Stored, Refused> {
        let key = asked.key;
        let programme = self.asked_programme(asked.programme)?;
        let miles = parse_miles(asked.miles).map_err(|error| match error {
            MilesError::TooLarge => Refused::AboveMaximum(programme.maximum_miles),
            other => Refused::Miles(other),
        })?;
        if miles < programme.minimum_miles {
            return Err(Refused::BelowMinimum(programme.minimum_miles));
        }
        if miles > programme.maximum_miles {
            return Err(Refused::AboveMaximum(programme.maximum_miles));
        }
        let points = programme
            .rate
            .points(miles)
            .ok_or(Refused::AboveMaximum(programme.maximum_miles))?;
        let fee = programme
            .fee
            .fee(points)
            .ok_or(Refused::AboveMaximum(programme.maximum_miles))?;
        let owed = fee
            .owed(points)
            .ok_or(Refused::AboveMaximum(programme.maximum_miles))?;
        self.check_float(&key.partner, asked.funding, owed).await?;
        let (session, balance) = self
            .check_member(programme, &key.partner, asked.member, miles)
            .await?;
        let now = self.store.now();
        let lifetime = i64::try_from(lifetime.as_millis()).unwrap_or(i64::MAX);
        let quote = Quote {
            id: ids::quote(),
            partner: key.partner.clone(),
            programme: programme.name.clone(),
            member_id: session.member.to_string(),
            miles,
            rate: programme.rate,
            points,
            fee,
            created_at: now,
            expires_at: now.saturating_add(lifetime),
            used_by: None,
        };
        let stored = answer(&quote, balance)?;
        let made = MadeQuote {
            quote: quote.clone(),
            key: key.clone(),
            answer: stored.clone(),
        };
        let pass = || ready(Ok(()));
        self.quotes
            .join(made, pass, |(), all| self.store_quotes(all))
            .await?;
        self.offered.remember(quote, now);
        Ok(stored)
    }

    async fn store_quotes(
        &self,
        all: Vec<Arc<MadeQuote>>,
    ) -> Result<(Vec<()>, Commit<sqlx::Error>), sqlx::Error> {
        let quotes: Vec<_> = all.iter().map(|made| &made.quote).collect();
        let answers: Vec<_> = all
            .iter()
            .map(|made| Answered {
                key: &made.key,
                made: Some(&made.quote.id),
                answer: &made.answer,
            })
            .collect();
        let mut write = self.store.write().await?;
        quotes::insert(&mut write, &quotes).await?;
        idempotency::answered(&mut write, &answers).await?;
        Ok((vec![(); all.len()], write.last()))
    }

    /// Begins a conversion and leaves it moving. Gives somebody who waits for its end.
    pub async fn begin(
        self: &Arc<Self>,
        asked: &Begin<'_>,
        member: &Member,
    ) -> Result<Waiter, Refused> {
        let Begin {
            key,
            funding,
            quote_id,
            ..
        } = *asked;
        let (receiver, wallet_of) = self.receiver(&key.partner, asked.receiver, member).await?;
        if let Some(reference) = asked.reference {
            self.free_reference(&key.partner, reference).await?;
        }
        let quote = self.usable_quote(key, quote_id).await?;
        let programme = self.asked_programme(&quote.programme)?;
        let owed = quote
            .fee
            .owed(quote.points)
            .ok_or(Refused::AboveMaximum(programme.maximum_miles))?;
        self.check_float(&key.partner, funding, owed).await?;
        let (session, _) = self
            .check_member(programme, &key.partner, member, quote.miles)
            .await?;
        if session.member.as_str() != quote.member_id {
            return Err(Refused::MemberMismatch);
        }
        let now = self.store.now();
        let id = ids::conversion();
        let conversion = Conversion {
            // Our name for the debit is the conversion's own: one conversion, one debit.
            debit_reference: id.clone(),
            id,
            partner: key.partner.clone(),
            quote_id: quote.id.clone(),
            programme: quote.programme,
            member_id: quote.member_id,
            receiver: receiver.to_string(),
            miles: quote.miles,
            rate: quote.rate,
            points: quote.points,
            fee: quote.fee,
            reference: asked.reference.map(ToOwned::to_owned),
            held: match funding {
                Funding::Prepaid => owed,
                Funding::Postpaid => MicroPoints(0),
            },
            state: State::Created,
            debit_sent_at: None,
            partner_reference: None,
            absent_reads: 0,
            issue_hash: None,
            issue_block: None,
            reason_code: None,
            reason: None,
            attempts: 0,
            created_at: now,
            updated_at: now,
        };
        // Taken before the row can be seen, so that the worker does not think it abandoned.
        let lease = self.lease(&conversion.id).ok_or(Refused::QuoteUnknown)?;
        let id = conversion.id.clone();
        let answer = Answer {
            key: key.clone(),
            make: asked.answer,
        };
        let mut waiter = self.wait_for(&id, answer);
        waiter.is_new = true;
        let beginning = Beginning {
            conversion,
            key: key.clone(),
            wallet_of: wallet_of.map(ToOwned::to_owned),
            trace: here(),
        };
        let pass = || ready(Ok(()));
        let begun = self
            .beginnings
            .join(beginning, pass, |(), all| self.begin_all(all))
            .await;
        let conversion = match begun {
            Ok(conversion) => conversion,
            Err(refused) => {
                return Err(match refused {
                    // Somebody used it, or somebody's reference is the same: who, is committed by now.
                    Refused::QuoteExpired => {
                        self.usable_quote(key, quote_id).await?;
                        refused
                    }
                    Refused::Store(sqlx::Error::Database(error)) if error.is_unique_violation() => {
                        if let Some(reference) = asked.reference {
                            self.free_reference(&key.partner, reference).await?;
                        }
                        Refused::Store(sqlx::Error::Database(error))
                    }
                    refused => refused,
                });
            }
        };
        self.moved(&id, State::Created, conversion.state);
        let machine = Arc::clone(self);
        let spec = || Spec::inside("conversion.carry_out").with(CONVERSION, id.clone());
        let work = async move { machine.carry_out(&lease, &conversion, &session).await };
        tokio::spawn(span(spec, work));
        Ok(waiter)
    }

    /// Stores conversions that begin, with the intent of their debits: one commit, and then the calls. Gives
    /// them as they are then. Of several, any refusal refuses all.
    async fn begin_all(
        &self,
        all: Vec<Arc<Beginning>>,
    ) -> Result<(Vec<Conversion>, Commit<Refused>), Refused> {
        let now = self.store.now();
        let mut write = self.store.write().await?;
        // First, so that of two requests for one quote the second waits here and then is told.
        let mut claims: Vec<_> = all.iter().map(|one| one.claim()).collect();
        claims.sort_unstable();
        if !quotes::claim(&mut write, &claims, now).await? {
            if all.len() == 1 {
                // Who used it may share this commit: after it, that is seen.
                write.commit().await?;
            }
            return Err(Refused::QuoteExpired);
        }
        let mut wallets: Vec<_> = all
            .iter()
            .filter_map(|one| one.wallet_of.as_ref())
            .collect();
        wallets.sort_unstable();
        for member_id in wallets {
            if !wallets::use_open(&mut write, member_id).await? {
                return Err(Refused::MemberUnknown);
            }
        }
        let references: Vec<_> = all.iter().filter_map(|one| one.reference()).collect();
        if !references.is_empty()
            && let Some(taken) = conversions::by_references(&mut write, &references).await?
        {
            return Err(Refused::ReferenceUsed(taken));
        }
        let debiting = |one: &Arc<Beginning>| Conversion {
            state: State::Debiting,
            debit_sent_at: Some(now),
            updated_at: now,
            ..one.conversion.clone()
        };
        let begun: Vec<_> = all.iter().map(debiting).collect();
        let new: Vec<_> = all
            .iter()
            .zip(&begun)
            .map(|(one, conversion)| New {
                conversion,
                trace: one.trace.as_deref(),
            })
            .collect();
        conversions::insert(&mut write, &new, &self.run, now).await?;
        self.take_limits(&mut write, &all, now).await?;
        let made: Vec<_> = all
            .iter()
            .map(|one| (&one.key, one.conversion.id.as_str()))
            .collect();
        idempotency::made(&mut write, &made).await?;
        Ok((begun, write.last()))
    }

    /// Where the points of a conversion go, and whose wallet of the gateway's that is, if it is one.
    async fn receiver<'a>(
        &self,
        partner: &str,
        named: &str,
        member: &'a Member,
    ) -> Result<(Address, Option<&'a str>), Refused> {
        if named != CUSTODIAL {
            let receiver = parse_receiver(named)?;
            // Whoever closes a wallet looks for what names it by its member.
            if self.is_wallet(receiver).await? {
                return Err(Refused::Receiver(
                    "it is a wallet that this gateway keeps; say \"custodial\"",
                ));
            }
            return Ok((receiver, None));
        }
        let Member::Linked { id } = member else {
            return Err(CustodyError::NotLinked.into());
        };
        if !ids::plausible(id, "mem") {
            return Err(Refused::MemberUnknown);
        }
        let wallet = self.make_wallet(partner, id).await?;
        Ok((parse_receiver(&wallet.address)?, Some(id)))
    }

    async fn free_reference(&self, partner: &str, reference: &str) -> Result<(), Refused> {
        let page = Page {
            reference: Some(reference),
            limit: 1,
            ..Page::default()
        };
        match self.store.conversions_of(partner, &page).await?.pop() {
            Some(taken) => Err(Refused::ReferenceUsed(taken.id)),
            None => Ok(()),
        }
    }

    /// Says that a float is short before anything moves; [`take_limits`](Self::take_limits) makes
    /// sure.
    async fn check_float(
        &self,
        partner: &str,
        funding: Funding,
        needed: MicroPoints,
    ) -> Result<(), Refused> {
        if funding == Funding::Postpaid {
            return Ok(());
        }
        let float = self.store.float(partner).await?;
        let available = float.map_or(MicroPoints(0), |float| float.available);
        if available < needed {
            return Err(Refused::FloatShort { available, needed });
        }
        Ok(())
    }

    /// Takes what conversions take of the day's limits and of floats: each by name, the floats last, for
    /// theirs are the rows that most conversions want.
    async fn take_limits(
        &self,
        connection: &mut Connection,
        all: &[Arc<Beginning>],
        now: i64,
    ) -> Result<(), Refused> {
        let mut days = Vec::new();
        let mut holds = Vec::new();
        for one in all {
            let conversion = &one.conversion;
            let programme = self.asked_programme(&conversion.programme)?;
            let miles = to_sql(conversion.miles)?;
            for (name, limit) in programme.daily(&conversion.partner, &conversion.member_id) {
                days.push((day(conversion.created_at), name, miles, limit));
            }
            if conversion.held.0 > 0 {
                holds.push(conversion);
            }
        }
        days.sort();
        for (day, name, miles, limit) in days {
            let most = i64::try_from(limit).unwrap_or(i64::MAX);
            if !use_day(connection, day, &name, miles, most).await? {
                return Err(Refused::DailyLimit(limit));
            }
        }
        holds.sort_by_key(|conversion| &conversion.partner);
        let mut postings = Vec::with_capacity(holds.len());
        for conversion in holds {
            let (partner, needed) = (&conversion.partner, conversion.held);
            match float::hold(connection, conversion).await? {
                Held::Short(available) => return Err(Refused::FloatShort { available, needed }),
                Held::Low if self.seller.is_some() => {
                    jobs::add(connection, JobKind::TopUp, partner, now, now).await?;
                }
                Held::Low | Held::Enough => {}
            }
            postings.push(float::held(conversion)?);
        }
        journal::write(connection, &postings, now).await?;
        Ok(())
    }

    async fn carry_out(&self, lease: &Lease, conversion: &Conversion, session: &Session) {
        let begun = match self.debit(conversion, session).await {
            Ok(step) => Some(step),
            Err(error) => {
                tracing::error!(id = conversion.id, %error, "the debit was interrupted; it is resumed from its row");
                None
            }
        };
        self.drive(lease, begun).await;
    }

    async fn usable_quote(&self, key: &Key, id: &str) -> Result<Quote, Refused> {
        if !ids::plausible(id, "quote") {
            return Err(Refused::QuoteUnknown);
        }
        let quote = match self.offered.take(&key.partner, id) {
            Some(quote) => quote,
            None => {
                let stored = self.store.quote(&key.partner, id).await?;
                stored.ok_or(Refused::QuoteUnknown)?
            }
        };
        if let Some(conversion) = quote.used_by {
            return Err(Refused::QuoteUsed(conversion));
        }
        if quote.expires_at <= self.store.now() {
            return Err(Refused::QuoteExpired);
        }
        Ok(quote)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn receivers_are_addresses_that_can_hold_points() {
        let good = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed";
        for text in [
            good.to_owned(),
            good.to_lowercase(),
            format!("0x{}", good[2..].to_uppercase()),
        ] {
            assert!(
                parse_receiver(&text).is_ok_and(|address| address.to_string() == good),
                "{text}"
            );
        }
        for bad in [
            "",
            "0x",
            "5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
            "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAeD",
            "0x5aaeb6053f3e94c9b9a09f33669435e7ef1beae",
            "0x5aaeb6053f3e94c9b9a09f33669435e7ef1beaedd",
            "0xg aeb6053f3e94c9b9a09f33669435e7ef1beae",
            "0x0000000000000000000000000000000000000000",
            "0x4d56000000000000000000000000000000000001",
            "0X5aaeb6053f3e94c9b9a09f33669435e7ef1beaed",
        ] {
            assert!(
                matches!(parse_receiver(bad), Err(Refused::Receiver(_))),
                "{bad}"
            );
        }
    }
}
