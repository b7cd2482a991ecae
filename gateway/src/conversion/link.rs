//! Members that are linked once: the partner's token stands for login and password from then on.
//!
//! A link is good as long as the partner accepts its token. When it does not, the member is asked
//! to link again (`relink`), and keeps its id.

use super::ask::{Member, Refused};
use super::machine::Machine;
use super::programme::Programme;
use crate::ids;
use crate::store::idempotency::{self, Answered, Key, Stored};
use crate::store::members::{self, MemberRow};
use crate::vault::{Vault, VaultError};
use mileverse_adapters::{AskError, MemberId, Miles, Session};
use secrecy::{ExposeSecret, SecretString};

/// A member to link.
#[derive(Debug)]
pub struct Link<'a> {
    /// The request.
    pub key: &'a Key,
    /// Whose miles.
    pub programme: &'a str,
    /// By login and password.
    pub member: &'a Member,
    /// What it agreed to.
    pub consent: &'a str,
}

/// Between the partner's id of a member and its token, in what is sealed. No id holds it.
const SEPARATOR: char = '\n';

impl Machine {
    /// Links a member and stores the answer that `answer` makes of it.
    pub async fn link(
        &self,
        link: &Link<'_>,
        answer: impl FnOnce(MemberRow) -> Result<Stored, sqlx::Error>,
    ) -> Result<Stored, Refused> {
        let programme = self.asked_programme(link.programme)?;
        let partner = &link.key.partner;
        let session = self.session(programme, partner, link.member).await?;
        let digest = self
            .vault
            .name(&[partner, &programme.name, session.member.as_str()]);
        let now = self.store.now();
        let mut row = MemberRow {
            id: ids::member(),
            partner: partner.clone(),
            programme: programme.name.clone(),
            digest: Some(digest),
            sealed: None,
            consent: link.consent.to_owned(),
            consented_at: now,
            status: "linked".to_owned(),
            created_at: now,
            updated_at: now,
        };
        let mut write = self.store.write().await?;
        (row.id, row.created_at) = members::link(&mut write, &row).await?;
        // Sealed for the id it has, which may be that of an earlier link.
        let token = session.token.expose_secret();
        let text = SecretString::from(format!("{}{SEPARATOR}{token}", session.member));
        let sealed = self.vault.seal(&row.id, text.expose_secret().as_bytes());
        row.sealed = Some(sealed.map_err(|error| broken(&error))?);
        members::renew(&mut write, &row).await?;
        let id = row.id.clone();
        let stored = answer(row)?;
        let answered = Answered {
            key: link.key,
            made: Some(&id),
            answer: &stored,
        };
        idempotency::answered(&mut write, &[answered]).await?;
        write.commit().await?;
        Ok(stored)
    }

    /// A session in a member's name.
    pub(super) async fn session(
        &self,
        programme: &Programme,
        partner: &str,
        member: &Member,
    ) -> Result<Session, Refused> {
        match member {
            Member::Login { login, password } => {
                Ok(programme.adapter.authenticate(login, password).await?)
            }
            Member::Linked { id } => {
                let row = match ids::plausible(id, "mem") {
                    true => self.store.member(partner, id).await?,
                    false => None,
                };
                let row = row.filter(|row| row.programme == programme.name);
                self.open(&row.ok_or(Refused::MemberUnknown)?)
            }
        }
    }

    /// What the member of a session has. A link that the partner does not accept any more is noted.
    pub(super) async fn balance(
        &self,
        programme: &Programme,
        member: &Member,
        session: &Session,
    ) -> Result<Miles, Refused> {
        match (programme.adapter.balance(session).await, member) {
            (Err(AskError::MemberRefused), Member::Linked { id }) => {
                self.store.unlink(id, self.store.now()).await?;
                Err(Refused::Relink)
            }
            (balance, _) => Ok(balance?),
        }
    }

    /// What a linked member has.
    pub async fn linked_balance(&self, row: &MemberRow) -> Result<Miles, Refused> {
        let programme = self.asked_programme(&row.programme)?;
        let session = self.open(row)?;
        let member = Member::Linked { id: row.id.clone() };
        self.balance(programme, &member, &session).await
    }

    fn open(&self, row: &MemberRow) -> Result<Session, Refused> {
        let sealed = match (row.status.as_str(), &row.sealed) {
            ("linked", Some(sealed)) => sealed,
            ("left", _) => return Err(Refused::MemberUnknown),
            _ => return Err(Refused::Relink),
        };
        let text = self.vault.open(&row.id, sealed);
        let text = text.map_err(|error| broken(&error))?;
        let text = String::from_utf8(text).map_err(|_| broken(&VaultError::Broken))?;
        let (member, token) = text
            .split_once(SEPARATOR)
            .ok_or_else(|| broken(&VaultError::Broken))?;
        Ok(Session {
            member: MemberId::new(member).map_err(|_| broken(&VaultError::Broken))?,
            token: SecretString::from(token.to_owned()),
        })
    }
}

/// The partner's id of a member that has not left, if its data opens.
pub(crate) fn member_of(vault: &Vault, row: &MemberRow) -> Option<MemberId> {
    let text = vault.open(&row.id, row.sealed.as_ref()?).ok()?;
    let text = String::from_utf8(text).ok()?;
    let (member, _) = text.split_once(SEPARATOR)?;
    MemberId::new(member).ok()
}

fn broken(error: &VaultError) -> Refused {
    Refused::Store(sqlx::Error::Decode(
        format!("a member's data: {error}").into(),
    ))
}
