//! The chain's side of a conversion.
//!
//! The signed transaction and its nonce are stored in the transaction that moves the row to
//! `issuing`, before anybody sees them ([`super::together`]). From then on, in this order:
//!
//! ```txt
//! a stored transaction's receipt has our Issued   -> completed, if it issued as agreed
//! the chain shows the conversion as issued        -> completed
//! every stored transaction was refused by the
//!   chain, alone or as an entry of a batch        -> reversing: nothing was and can be issued
//! the nonce went to another transaction, or the
//!   batch failed as a whole                       -> sign again, alone, with a new nonce
//! otherwise                                       -> broadcast the same bytes, look again
//! ```
//!
//! A batch that fails as a whole says nothing about any of its entries, so each is tried alone. The
//! chain issues once per conversion name, so even a second signature cannot issue twice.

use super::flight::{self, Flight};
use super::machine::{Machine, Step, StepError};
use super::moves::Move;
use super::state::State;
use crate::issuer::chain::{Entry, Receipt};
use crate::issuer::conversion_name;
use crate::issuer::signer::Issuer;
use crate::journal::Kind;
use crate::store::Connection;
use crate::store::conversions::{Change, Conversion};
use crate::store::issues::{self, IssueTransaction, Outcome};
use alloy::primitives::{Address, B256, U256};
use mileverse_primitives::abi::IPoints::Issue;
use mileverse_trace::Timer;
use std::time::Duration;
use tokio::time::{self, Instant};

/// Signatures for one conversion, at most. More means that the issuer's key is used elsewhere.
const MAX_SIGNATURES: usize = 5;
/// How long a step stays with a transaction that the node has just taken, and how often it looks.
const WATCH: Duration = Duration::from_secs(3);
const LOOK: Duration = Duration::from_millis(100);

/// What is to be signed.
#[derive(Debug)]
pub(super) struct Signed<'a> {
    /// By whom.
    pub key: &'a Issuer,
    /// Not before this nonce.
    pub chain_nonce: u64,
    /// Conversions, and what is issued for each.
    pub issues: &'a [(&'a str, Issue)],
}

/// What a receipt decides for one conversion.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Verdict {
    /// So many micro-points were issued.
    Issued(U256),
    /// The chain looked at this issue and refused it.
    Refused,
    /// A batch failed as a whole: its entries were not looked at.
    Void,
    /// It says nothing clear; the chain's own state decides.
    Unclear,
}

impl Verdict {
    /// What a transaction's receipt decides for a name.
    pub(crate) fn of(transaction: &IssueTransaction, receipt: &Receipt, name: B256) -> Self {
        match (receipt.succeeded, receipt.entry(name)) {
            (false, _) if transaction.batch => Self::Void,
            (false, _) | (true, Some(Entry::LeftOut)) => Self::Refused,
            (true, Some(Entry::Issued(amount))) => Self::Issued(amount),
            (true, Some(Entry::IssuedBefore) | None) => Self::Unclear,
        }
    }
}

/// What became of a transaction with this receipt.
pub(crate) const fn end_of(receipt: &Receipt) -> Outcome {
    match receipt.succeeded {
        true => Outcome::Mined,
        false => Outcome::Reverted,
    }
}

impl Machine {
    /// What is to be issued for a conversion.
    pub(super) fn agreed(conversion: &Conversion) -> Result<Issue, StepError> {
        let to: Address = conversion.receiver.parse().map_err(|_| StepError::Row {
            id: conversion.id.clone(),
            why: format!("receiver {:?} is not an address", conversion.receiver),
        })?;
        Ok(Issue {
            to,
            amount: U256::from(conversion.received()?.0),
            conversionId: conversion_name(&conversion.id),
        })
    }

    /// The nonce before which none of a key's may be taken. Asked of the chain before the nonce is
    /// taken: a stored nonce is never below the chain's. Once this run has stored one, the
    /// database's next is right, unless the key is used elsewhere; that is found out when the nonce
    /// turns out to be gone.
    pub(super) async fn nonce_to_begin_with(&self, issuer: Address) -> Result<u64, StepError> {
        match self.knows_nonce(issuer) {
            true => Ok(0),
            false => Ok(self.chain.next_nonce(issuer).await?),
        }
    }

    /// Takes a nonce, signs, and stores both, in a transaction.
    pub(super) async fn store_signature(
        &self,
        connection: &mut Connection,
        what: &Signed<'_>,
        now: i64,
    ) -> Result<IssueTransaction, StepError> {
        let issuer = what.key.address().to_string();
        let nonce = issues::take_nonce(connection, &issuer, what.chain_nonce).await?;
        let calls: Vec<_> = what.issues.iter().map(|(_, issue)| issue.clone()).collect();
        let signed = what.key.sign(self.chain_id, nonce, &calls)?;
        let entries: Vec<_> = what
            .issues
            .iter()
            .map(|(id, issue)| issues::Entry {
                id: (*id).to_owned(),
                name: issue.conversionId.to_string(),
            })
            .collect();
        let stored = IssueTransaction {
            issuer,
            nonce,
            hash: signed.hash.to_string(),
            raw: signed.raw,
            outcome: Outcome::Pending,
            batch: entries.len() > 1,
        };
        issues::insert(connection, &stored, &entries, now).await?;
        Ok(stored)
    }

    pub(super) async fn issue(&self, conversion: &Conversion) -> Result<Step, StepError> {
        let transactions = self.store.issue_transactions(&conversion.id).await?;
        let Some(last) = transactions.last() else {
            let why = "it is issuing but has no signed transaction".to_owned();
            return Err(StepError::Row {
                id: conversion.id.clone(),
                why,
            });
        };
        let name = conversion_name(&conversion.id);
        let (mut refused, mut void, mut unclear) = (Vec::new(), Vec::new(), Vec::new());
        for transaction in &transactions {
            let began = Timer::start(&self.tracer);
            let Some(receipt) = self.chain.receipt(&transaction.hash).await? else {
                continue;
            };
            began.span_to(began.lap(), || {
                flight::confirmed(transaction, Some(&receipt))
            });
            let end = (transaction.hash.clone(), end_of(&receipt));
            match Verdict::of(transaction, &receipt, name) {
                Verdict::Issued(amount) => {
                    let by = Some((transaction, receipt.block));
                    return self.confirm(conversion, by, vec![end], amount).await;
                }
                Verdict::Refused => refused.push(end),
                Verdict::Void => void.push(end),
                Verdict::Unclear => unclear.push(end),
            }
        }
        let issued = self.chain.issued(name).await?;
        if !issued.is_zero() {
            return self.confirm(conversion, None, unclear, issued).await;
        }
        let undecided = |transaction: &&IssueTransaction| {
            let mut known = refused.iter().chain(&void);
            transaction.outcome != Outcome::Dead
                && !known.any(|(hash, _)| *hash == transaction.hash)
        };
        let open = transactions.iter().filter(undecided).count();
        if open == 0 && !refused.is_empty() {
            let reason = "the chain refused to issue the points".to_owned();
            let change = Change {
                reason: Some(("issue_refused", reason)),
                ..Change::default()
            };
            refused.extend(void);
            let step = Move::of(conversion, State::Reversing, change, None);
            return self
                .advance(Move {
                    settled: refused,
                    ..step
                })
                .await;
        }
        let failed =
            last.outcome == Outcome::Dead || void.iter().any(|(hash, _)| *hash == last.hash);
        if failed || self.nonce_is_gone(last).await? {
            return self.sign_again(conversion, &transactions, &void).await;
        }
        let (receipt, flight) = self.broadcast(last).await?;
        flight.tell(last, receipt.as_ref());
        self.seen(conversion, last, receipt.as_ref()).await
    }

    /// Whether a transaction's nonce went to another one, so that no block can ever have it.
    pub(crate) async fn nonce_is_gone(
        &self,
        transaction: &IssueTransaction,
    ) -> Result<bool, StepError> {
        let issuer: Address = transaction.issuer.parse().unwrap_or_default();
        if self.chain.next_nonce(issuer).await? <= transaction.nonce {
            return Ok(false);
        }
        // It may have become final since its receipt was looked for.
        Ok(self.chain.receipt(&transaction.hash).await?.is_none())
    }

    async fn sign_again(
        &self,
        conversion: &Conversion,
        transactions: &[IssueTransaction],
        void: &[(String, Outcome)],
    ) -> Result<Step, StepError> {
        if transactions.len() >= MAX_SIGNATURES {
            let reason =
                "its issues keep coming to nothing; is the issuer's key used elsewhere?".to_owned();
            let change = Change {
                reason: Some(("nonce_taken", reason)),
                ..Change::default()
            };
            return self
                .advance(Move::of(conversion, State::Attention, change, None))
                .await;
        }
        tracing::error!(
            id = conversion.id,
            "the issue's nonce went to another transaction, or its batch failed; signing again"
        );
        let key = self.issuer(&conversion.id)?;
        let signed = Signed {
            key,
            chain_nonce: self.chain.next_nonce(key.address()).await?,
            issues: &[(conversion.id.as_str(), Self::agreed(conversion)?)],
        };
        let now = self.store.now();
        let mut write = self.store.write().await?;
        for (hash, outcome) in void {
            issues::settle(&mut write, hash, *outcome).await?;
        }
        for transaction in transactions {
            let ended = void.iter().any(|(hash, _)| *hash == transaction.hash);
            if transaction.outcome == Outcome::Pending && !ended {
                issues::settle(&mut write, &transaction.hash, Outcome::Dead).await?;
            }
        }
        self.store_signature(&mut write, &signed, now).await?;
        write.commit().await.map_err(StepError::from)?;
        Ok(Step::Moved)
    }

    /// Broadcasts the stored bytes and watches for a while. Gives the receipt, if there is one by
    /// then.
    pub(super) async fn broadcast(
        &self,
        transaction: &IssueTransaction,
    ) -> Result<(Option<Receipt>, Flight), StepError> {
        self.send_and_look(&transaction.hash, &transaction.raw)
            .await
    }

    /// The same for any signed transaction.
    pub(crate) async fn send_and_look(
        &self,
        hash: &str,
        raw: &[u8],
    ) -> Result<(Option<Receipt>, Flight), StepError> {
        let mut flight = Flight::begin(&self.tracer);
        let sent = self.chain.broadcast(raw).await;
        flight.sent();
        let mut until = Instant::now();
        match sent {
            Ok(()) => until += WATCH,
            // Whatever the node says, the transaction may be out: only the chain itself decides.
            Err(error) => {
                tracing::warn!(hash, %error, "the broadcast has no clear answer");
            }
        }
        loop {
            let receipt = self.chain.receipt(hash).await?;
            if receipt.is_some() || Instant::now() >= until {
                flight.looked();
                return Ok((receipt, flight));
            }
            time::sleep(LOOK).await;
        }
    }

    /// Goes on with what was seen of a transaction right after it was broadcast.
    pub(super) async fn seen(
        &self,
        conversion: &Conversion,
        transaction: &IssueTransaction,
        receipt: Option<&Receipt>,
    ) -> Result<Step, StepError> {
        let Some(receipt) = receipt else {
            return Ok(Step::Wait { absent_reads: 0 });
        };
        let name = conversion_name(&conversion.id);
        let end = (transaction.hash.clone(), end_of(receipt));
        match Verdict::of(transaction, receipt, name) {
            Verdict::Issued(amount) => {
                let by = Some((transaction, receipt.block));
                self.confirm(conversion, by, vec![end], amount).await
            }
            // All of its transactions have to be looked at.
            Verdict::Refused | Verdict::Void => Ok(Step::Moved),
            Verdict::Unclear => {
                let issued = self.chain.issued(name).await?;
                if issued.is_zero() {
                    tracing::error!(
                        id = conversion.id,
                        "the chain shows the issue's receipt but nothing issued; looking again"
                    );
                    return Ok(Step::Wait { absent_reads: 0 });
                }
                self.confirm(conversion, None, vec![end], issued).await
            }
        }
    }

    /// Completes a conversion if the chain issued what was agreed, and notes what became of transactions.
    async fn confirm(
        &self,
        conversion: &Conversion,
        by: Option<(&IssueTransaction, u64)>,
        settled: Vec<(String, Outcome)>,
        issued: U256,
    ) -> Result<Step, StepError> {
        let agreed = conversion.received()?.0;
        if issued != U256::from(agreed) {
            let reason =
                format!("the chain shows {issued} micro-points issued, {agreed} were agreed");
            let change = Change {
                reason: Some(("issue_mismatch", reason)),
                ..Change::default()
            };
            return self
                .advance(Move::of(conversion, State::Attention, change, None))
                .await;
        }
        let change = Change {
            issue_hash: by.map(|(transaction, _)| transaction.hash.clone()),
            issue_block: by.map(|(_, block)| block),
            ..Change::default()
        };
        let step = Move::of(conversion, State::Completed, change, Some(Kind::Issued));
        self.advance(Move { settled, ..step }).await
    }
}
