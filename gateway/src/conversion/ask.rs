//! What a caller may ask for: a quote, and a conversion to begin from it. Everything that can be
//! refused without the partner is refused before the partner is asked, and everything the partner
//! can refuse by a question is asked before any row is written.

use super::machine::{CONVERSION, Lease, Machine, Step};
use super::programme::Programme;
use super::state::State;
use crate::clock::day;
use crate::custody::CustodyError;
use crate::float::{self, Held};
use crate::ids;
use crate::store::Connection;
use crate::store::conversions::{self, Conversion, Page};
use crate::store::idempotency::{self, Key, Stored};
use crate::store::jobs::{self, Kind as JobKind};
use crate::store::partners::{Funding, use_day};
use crate::store::quotes::{self, Quote};
use crate::store::{to_sql, wallets};
use crate::units::{MicroPoints, MilesError, parse_miles};
use alloy::primitives::Address;
use mileverse_adapters::{AskError, Miles, Session};
use mileverse_gateway_api::wallets::CUSTODIAL;
use mileverse_primitives::address;
use mileverse_trace::{Spec, span};
use secrecy::{ExposeSecret, SecretString};
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
        let mut transaction = self.store.write().await?;
        quotes::insert(&mut transaction, &quote).await?;
        idempotency::made(&mut transaction, key, &quote.id).await?;
        idempotency::answered(&mut transaction, key, &stored).await?;
        transaction.commit().await?;
        Ok(stored)
    }

    /// Begins a conversion and leaves it moving. Gives its id; what becomes of it is in its row.
    pub async fn begin(
        self: &Arc<Self>,
        asked: &Begin<'_>,
        member: &Member,
    ) -> Result<String, Refused> {
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
        let mut transaction = self.store.write().await?;
        // First, so that of two requests for one quote the second waits here and then is told.
        if !quotes::claim(&mut transaction, &quote.id, &conversion.id, now).await? {
            // Who used it may share this commit: after it, that is seen.
            transaction.commit().await?;
            self.usable_quote(key, quote_id).await?;
            return Err(Refused::QuoteExpired);
        }
        if let Some(member_id) = wallet_of
            && !wallets::use_open(&mut transaction, member_id).await?
        {
            return Err(Refused::MemberUnknown);
        }
        if let Some(reference) = asked.reference {
            let partner = &key.partner;
            let taken = conversions::by_reference(&mut transaction, partner, reference).await?;
            if let Some(taken) = taken {
                return Err(Refused::ReferenceUsed(taken));
            }
        }
        match conversions::insert(&mut transaction, &conversion, &self.run).await {
            // Another replica used this reference, just now.
            Err(sqlx::Error::Database(error)) if error.is_unique_violation() => {
                drop(transaction);
                let reference = asked.reference.unwrap_or_default();
                self.free_reference(&key.partner, reference).await?;
                return Err(Refused::Store(sqlx::Error::Database(error)));
            }
            inserted => inserted?,
        }
        self.take_limits(&mut transaction, programme, &conversion)
            .await?;
        idempotency::made(&mut transaction, key, &conversion.id).await?;
        let conversion = self.intend(&mut transaction, conversion).await?;
        transaction.commit().await?;
        self.moved(&conversion.id, State::Created, conversion.state);
        let id = conversion.id.clone();
        let machine = Arc::clone(self);
        let spec = || Spec::inside("conversion.carry_out").with(CONVERSION, id.clone());
        let work = async move { machine.carry_out(&lease, &conversion, &session).await };
        tokio::spawn(span(spec, work));
        Ok(id)
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

    /// Takes what a conversion takes of the day's limits and of the float, the float last: its row
    /// is the one that most conversions want.
    async fn take_limits(
        &self,
        connection: &mut Connection,
        programme: &Programme,
        conversion: &Conversion,
    ) -> Result<(), Refused> {
        let now = conversion.created_at;
        let miles = to_sql(conversion.miles)?;
        for (name, limit) in programme.daily(&conversion.partner, &conversion.member_id) {
            let most = i64::try_from(limit).unwrap_or(i64::MAX);
            if !use_day(connection, day(now), &name, miles, most).await? {
                return Err(Refused::DailyLimit(limit));
            }
        }
        let partner = &conversion.partner;
        let needed = conversion.held;
        if needed.0 == 0 {
            return Ok(());
        }
        match float::hold(connection, conversion, now).await? {
            Held::Short(available) => return Err(Refused::FloatShort { available, needed }),
            Held::Low if self.seller.is_some() => {
                jobs::add(connection, JobKind::TopUp, partner, now, now).await?;
            }
            Held::Low | Held::Enough => {}
        }
        Ok(())
    }

    async fn carry_out(&self, lease: &Lease, conversion: &Conversion, session: &Session) {
        let moved = match self.debit(conversion, session).await {
            Ok(step) => step == Step::Moved,
            Err(error) => {
                tracing::error!(id = conversion.id, %error, "the debit was interrupted; it is resumed from its row");
                false
            }
        };
        self.drive(lease, moved).await;
    }

    async fn usable_quote(&self, key: &Key, id: &str) -> Result<Quote, Refused> {
        if !ids::plausible(id, "quote") {
            return Err(Refused::QuoteUnknown);
        }
        let quote = self
            .store
            .quote(&key.partner, id)
            .await?
            .ok_or(Refused::QuoteUnknown)?;
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
