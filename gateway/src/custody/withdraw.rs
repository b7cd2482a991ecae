//! Moving points out of a wallet.
//!
//! What is read of the chain is read before anything is stored: first the wallet's next nonce, then
//! what it holds. If the nonce that follows from the stored withdrawals is the chain's, nothing that the
//! balance does not know of was signed, and so the balance covers what is signed now.
//!
//! ```txt
//! a receipt says that the points were moved        -> completed
//! a receipt says that the chain refused            -> failed; the gas is paid
//! the nonce went to another transaction, and that
//!   is so for longer than nodes may be apart       -> failed: the wallet's key is used elsewhere
//! otherwise                                        -> broadcast the same bytes, look again
//! ```

use super::wallet::micro;
use super::{CustodyError, GAS_LIMIT, stored_address};
use crate::clock::day;
use crate::conversion::ask::{Refused, parse_receiver};
use crate::conversion::{Machine, StepError};
use crate::ids;
use crate::issuer::chain::Receipt;
use crate::issuer::conversion_name;
use crate::issuer::signer::sign_call;
use crate::journal::{self, GATEWAY, POINTS, Posting, pair};
use crate::store::Connection;
use crate::store::conversions::Conversion;
use crate::store::idempotency::{self, Key};
use crate::store::jobs::{self, Kind as JobKind};
use crate::store::to_sql;
use crate::store::wallets::{self, WalletRow, free_day, use_day};
use crate::store::withdrawals::{self, End, Withdrawal};
use crate::units::{MAX_AMOUNT, MicroPoints};
use crate::webhook::{self, Kind as EventKind, News};
use alloy::primitives::{Address, U256};
use alloy::sol_types::SolCall;
use mileverse_gateway_api::wallets::{ALL_POINTS, WithdrawalState as State};
use mileverse_primitives::abi::IPoints;
use serde_json::json;
use tokio::time::{self, Instant};

/// Times that the chain is read anew because a withdrawal was stored meanwhile.
const READS: u32 = 3;

/// How much is to be moved.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Amount {
    /// So many micro-points.
    Points(MicroPoints),
    /// All that can be.
    All,
}

impl Amount {
    /// Reads it as a caller writes it.
    pub fn parse(text: &str) -> Result<Self, CustodyError> {
        if text == ALL_POINTS {
            return Ok(Self::All);
        }
        let points: MicroPoints = text
            .parse()
            .map_err(|error| CustodyError::Amount(format!("{error}")))?;
        match points.0 {
            0 => Err(CustodyError::Amount("it is zero".to_owned())),
            MAX_AMOUNT.. => Err(CustodyError::Amount("it is too large".to_owned())),
            _ => Ok(Self::Points(points)),
        }
    }
}

/// What a withdrawal costs, as of one block.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Terms {
    /// Who receives.
    pub receiver: Address,
    /// What the receiver gets.
    pub points: MicroPoints,
    /// What the chain takes on top.
    pub fee: MicroPoints,
    /// What the wallet holds.
    pub balance: MicroPoints,
}

/// What a caller asks for.
#[derive(Debug)]
pub struct Asked<'a> {
    /// The request.
    pub key: &'a Key,
    /// Whose points: `mem_…`
    pub member_id: &'a str,
    /// Who gets them.
    pub receiver: &'a str,
    /// How many.
    pub amount: Amount,
    /// The fee that was agreed to, at most.
    pub maximum_fee: Option<MicroPoints>,
}

impl Machine {
    /// What it would cost to move points out of a wallet.
    pub async fn withdrawal_terms(
        &self,
        wallet: &WalletRow,
        receiver: &str,
        amount: Amount,
    ) -> Result<Terms, CustodyError> {
        let from = stored_address(&wallet.address)?;
        let to = parse_receiver(receiver).map_err(|refused| match refused {
            Refused::Receiver(why) => CustodyError::Receiver(why),
            _ => CustodyError::Receiver("it is not an address"),
        })?;
        if to == from {
            return Err(CustodyError::Receiver("it is the wallet itself"));
        }
        let block = self.chain.height().await?;
        let held = self.chain.points_of(from, block).await?;
        let (movable, most_fee) = self.most(from, to, held, block).await?;
        let balance = micro(held);
        let short = || CustodyError::Short {
            movable: micro(movable),
            balance,
        };
        let (points, fee) = match amount {
            Amount::All => (movable, most_fee),
            Amount::Points(points) => {
                let points = U256::from(points.0);
                if points > movable {
                    return Err(short());
                }
                let fee = self.chain.transfer_fee(from, to, points, block).await?;
                (points, fee)
            }
        };
        if points.is_zero() {
            return Err(short());
        }
        Ok(Terms {
            receiver: to,
            points: micro(points),
            fee: micro(fee),
            balance,
        })
    }

    /// Begins a withdrawal: stores it signed. Gives its id; [`withdrawn`](Self::withdrawn) sends it.
    pub async fn withdraw(&self, asked: &Asked<'_>) -> Result<String, CustodyError> {
        let wallet = self.wallet(&asked.key.partner, asked.member_id).await?;
        if let Some(open) = self.store.open_withdrawal(&wallet.address).await? {
            return Err(CustodyError::Open(open));
        }
        for _ in 0..READS {
            let from = stored_address(&wallet.address)?;
            let chain_nonce = self.chain.next_nonce(from).await?;
            let terms = self
                .withdrawal_terms(&wallet, asked.receiver, asked.amount)
                .await?;
            if asked.maximum_fee.is_some_and(|most| terms.fee > most) {
                return Err(CustodyError::Fee(terms.fee));
            }
            let begun = self.store_withdrawal(asked, &wallet, &terms, chain_nonce);
            if let Some(id) = begun.await? {
                return Ok(id);
            }
        }
        Err(CustodyError::Behind)
    }

    /// Signs a withdrawal and stores it with its bytes and nonce. `None` if the chain was read before
    /// another one of this wallet was sent.
    async fn store_withdrawal(
        &self,
        asked: &Asked<'_>,
        wallet: &WalletRow,
        terms: &Terms,
        chain_nonce: u64,
    ) -> Result<Option<String>, CustodyError> {
        let signer = self.key_of(wallet)?;
        let now = self.store.now();
        let mut write = self.store.write().await?;
        // First, so that of two for one wallet the second waits here and then is told.
        if !wallets::use_open(&mut write, &wallet.member_id).await? {
            return Err(CustodyError::NoWallet);
        }
        if let Some(open) = withdrawals::open_of(&mut *write, &wallet.address).await? {
            // Who stored it may share this commit: after it, that is seen.
            write.commit().await?;
            return Err(CustodyError::Open(open));
        }
        if withdrawals::next_nonce(&mut write, &wallet.address).await? > chain_nonce {
            return Ok(None);
        }
        let points = terms.points.0;
        for (name, most) in self.limits(&wallet.partner, &wallet.member_id) {
            if !use_day(&mut write, day(now), &name, points, most.0).await? {
                return Err(CustodyError::Daily(most));
            }
        }
        let id = ids::withdrawal();
        let call = IPoints::transferWithMemoCall {
            to: terms.receiver,
            amount: U256::from(points),
            memo: conversion_name(&id),
        };
        let signed = sign_call(
            &signer,
            self.chain_id,
            chain_nonce,
            GAS_LIMIT,
            call.abi_encode(),
        );
        let signed =
            signed.map_err(|error| super::wallet::broken(&wallet.member_id, &error.to_string()))?;
        drop(signer);
        let withdrawal = Withdrawal {
            id,
            partner: wallet.partner.clone(),
            member_id: wallet.member_id.clone(),
            wallet: wallet.address.clone(),
            receiver: terms.receiver.to_string(),
            points: terms.points,
            fee: terms.fee,
            nonce: chain_nonce,
            hash: signed.hash.to_string(),
            raw: signed.raw,
            state: State::Sending,
            paid: None,
            block: None,
            reason_code: None,
            reason: None,
            created_at: now,
            updated_at: now,
        };
        withdrawals::insert(&mut write, &withdrawal, &self.run).await?;
        idempotency::made(&mut write, &[(asked.key, &withdrawal.id)]).await?;
        write.commit().await?;
        tracing::info!(id = withdrawal.id, hash = withdrawal.hash, "withdrawal");
        Ok(Some(withdrawal.id))
    }

    /// What a member's withdrawals count against, by name.
    fn limits(&self, partner: &str, member_id: &str) -> Vec<(String, MicroPoints)> {
        let rules = self.custody.unwrap_or_default();
        let member = rules.daily_member;
        let member = member.map(|most| (format!("member:{member_id}"), most));
        let all = rules.daily_partner;
        let all = all.map(|most| (format!("partner:{partner}"), most));
        member.into_iter().chain(all).collect()
    }

    /// Sends a withdrawal until it is settled, or until the deadline; gives what it is then. If it is
    /// not settled by then, the worker goes on.
    pub async fn withdrawn(
        &self,
        id: &str,
        deadline: Instant,
    ) -> Result<Option<Withdrawal>, sqlx::Error> {
        loop {
            let why = match self.send_withdrawal(id).await {
                Ok(true) => break,
                Ok(false) => None,
                Err(error) => {
                    tracing::warn!(id, %error, "a withdrawal's step failed; it is tried again");
                    Some(error.to_string())
                }
            };
            let next = Instant::now() + self.retry.first;
            if next >= deadline {
                let due = self.next_due(0);
                let back = self.store.put_job_back(
                    JobKind::Withdrawal,
                    id,
                    &self.run,
                    due,
                    why.as_deref(),
                );
                back.await?;
                break;
            }
            time::sleep_until(next).await;
        }
        self.store.withdrawal(id).await
    }

    /// One step of a withdrawal. Whether it is settled.
    pub async fn send_withdrawal(&self, id: &str) -> Result<bool, StepError> {
        let row = match self.store.withdrawal(id).await? {
            Some(row) if row.state == State::Sending => row,
            _ => {
                let mut write = self.store.write().await?;
                jobs::done(&mut write, JobKind::Withdrawal, id).await?;
                write.commit().await?;
                return Ok(true);
            }
        };
        if let Some(receipt) = self.chain.receipt(&row.hash).await? {
            return self.judge(&row, &receipt).await;
        }
        let wallet = stored_address(&row.wallet)?;
        if self.chain.next_nonce(wallet).await? > row.nonce {
            // It may have become final since its receipt was looked for, or the node that was asked for
            // one knows less than the other. Only what stays so is believed.
            if let Some(receipt) = self.chain.receipt(&row.hash).await? {
                return self.judge(&row, &receipt).await;
            }
            let doubt = self.custody.unwrap_or_default().doubt.as_millis();
            let age = self.store.now().saturating_sub(row.created_at);
            if u128::try_from(age).is_ok_and(|age| age >= doubt) {
                let end = End {
                    to: State::Failed,
                    paid: MicroPoints(0),
                    block: None,
                    reason: Some((
                        "nonce_taken",
                        "another transaction of the wallet came first; is its key used elsewhere?",
                    )),
                };
                return self.end(&row, &end).await;
            }
        }
        let (receipt, _) = self.send_and_look(&row.hash, &row.raw).await?;
        match receipt {
            Some(receipt) => self.judge(&row, &receipt).await,
            None => Ok(false),
        }
    }

    async fn judge(&self, row: &Withdrawal, receipt: &Receipt) -> Result<bool, StepError> {
        let (from, to) = (stored_address(&row.wallet)?, stored_address(&row.receiver)?);
        let paid = micro(receipt.taken_from(from));
        if !receipt.succeeded {
            let end = End {
                to: State::Failed,
                paid,
                block: Some(receipt.block),
                reason: Some(("chain_refused", "the chain refused to move the points")),
            };
            return self.end(row, &end).await;
        }
        // What the receiver of fees is paid comes on top, if that is the receiver.
        if receipt.moved(from, to) < U256::from(row.points.0) {
            tracing::error!(
                id = row.id,
                hash = row.hash,
                "the chain says that it went well and moved less; looking again"
            );
            return Ok(false);
        }
        let end = End {
            to: State::Completed,
            paid,
            block: Some(receipt.block),
            reason: None,
        };
        self.end(row, &end).await
    }

    /// Settles a withdrawal with all that belongs to it, in one commit.
    async fn end(&self, row: &Withdrawal, end: &End<'_>) -> Result<bool, StepError> {
        let now = self.store.now();
        let mut write = self.store.write().await?;
        if !withdrawals::settle(&mut write, &row.id, end, now).await? {
            // Who settled it may share this commit: after it, that is seen.
            write.commit().await?;
            return Ok(true);
        }
        let completed = end.to == State::Completed;
        let sent = if completed { row.points.0 } else { 0 };
        let account = |name: &str| format!("{}:{name}", row.partner);
        let custody = account("points_in_custody");
        let mut entries = Vec::new();
        for (to, amount) in [
            ("points_withdrawn", sent),
            ("transfer_fees", end.paid.0.saturating_sub(sent)),
        ] {
            if amount > 0 {
                entries.extend(pair(&custody, &account(to), POINTS, to_sql(amount)?)?);
            }
        }
        if !entries.is_empty() {
            let posting = Posting {
                subject: &row.id,
                kind: "withdrawn",
                by: GATEWAY,
                note: None,
                entries,
            };
            journal::write(&mut write, &[posting], now).await?;
        }
        if !completed {
            for (name, _) in self.limits(&row.partner, &row.member_id) {
                free_day(&mut write, day(row.created_at), &name, row.points.0).await?;
            }
        }
        tell(&mut write, row, end, now).await?;
        write.commit().await?;
        match end.reason {
            None => tracing::info!(id = row.id, to = %end.to, "withdrawal"),
            Some((code, _)) => tracing::error!(id = row.id, to = %end.to, code, "withdrawal"),
        }
        Ok(true)
    }
}

/// Tells the partner that a withdrawal is settled, in the transaction that settles it.
async fn tell(
    connection: &mut Connection,
    row: &Withdrawal,
    end: &End<'_>,
    now: i64,
) -> Result<(), sqlx::Error> {
    let kind = match end.to {
        State::Completed => EventKind::WithdrawalCompleted,
        State::Failed => EventKind::WithdrawalFailed,
        State::Sending => return Ok(()),
    };
    let data = json!({
        "id": row.id,
        "state": end.to.name(),
        "final": end.to.is_final(),
        "member_id": row.member_id,
        "points": row.points.to_string(),
        "points_micro": row.points.0.to_string(),
        "transaction_hash": row.hash,
        "reason": end.reason.map(|(code, message)| json!({ "code": code, "message": message })),
    });
    let news = News::here(&row.partner, kind, &row.id, data);
    webhook::announce(connection, vec![news], now).await
}

/// Points that are issued into wallets that the gateway keeps are entrusted to it: the postings of those
/// conversions whose receiver is one.
pub(crate) async fn entrusted<'a>(
    connection: &mut Connection,
    issued: &[&'a Conversion],
) -> Result<Vec<Posting<'a>>, sqlx::Error> {
    let receivers: Vec<_> = issued.iter().map(|one| one.receiver.as_str()).collect();
    let keepers = wallets::keepers(connection, &receivers).await?;
    let mut postings = Vec::with_capacity(keepers.len());
    for conversion in issued {
        let Some(partner) = keepers.get(&conversion.receiver) else {
            continue;
        };
        let entries = pair(
            &format!("{partner}:points_entrusted"),
            &format!("{partner}:points_in_custody"),
            POINTS,
            to_sql(conversion.received()?.0)?,
        )?;
        postings.push(Posting {
            subject: &conversion.id,
            kind: "entrusted",
            by: GATEWAY,
            note: None,
            entries: entries.to_vec(),
        });
    }
    Ok(postings)
}
