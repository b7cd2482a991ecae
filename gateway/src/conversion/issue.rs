//! The chain's side of a conversion.
//!
//! The signed transaction and its nonce are stored in the transaction that moves the row to
//! `issuing`, before anybody sees them. From then on, in this order:
//!
//! ```txt
//! a stored transaction has a receipt, status 1    -> completed, if the chain issued as agreed
//! the chain shows the conversion as issued        -> completed
//! all stored transactions have status 0           -> reversing: nothing was and can be issued
//! the nonce went to another transaction           -> sign again with a new nonce
//! otherwise                                       -> broadcast the same bytes, look again
//! ```
//!
//! The chain issues once per conversion name, so even a second signature cannot issue twice.

use super::machine::{Machine, Move, Step, StepError};
use super::state::State;
use crate::clock::now_ms;
use crate::issuer::chain::Receipt;
use crate::issuer::conversion_name;
use crate::journal::{GATEWAY, Kind};
use crate::store::conversions::{self, Change, Conversion};
use crate::store::issues::{self, IssueTransaction, Outcome};
use alloy::primitives::{Address, U256};
use std::time::Duration;
use tokio::time::{self, Instant};

/// Signatures for one conversion, at most. More means that the issuer's key is used elsewhere.
const MAX_SIGNATURES: usize = 5;
/// How long a step stays with a transaction that the node has just taken, and how often it looks.
const WATCH: Duration = Duration::from_secs(3);
const LOOK: Duration = Duration::from_millis(100);

impl Machine {
    fn receiver(conversion: &Conversion) -> Result<Address, StepError> {
        conversion.receiver.parse().map_err(|_| StepError::Row {
            id: conversion.id.clone(),
            why: format!("receiver {:?} is not an address", conversion.receiver),
        })
    }

    /// Signs the issue and takes its nonce.
    pub(super) async fn sign(&self, conversion: &Conversion) -> Result<Step, StepError> {
        // Read before the nonce is taken: a stored nonce is never below the chain's. Once this run
        // has stored one, the database's next is right, unless the key is used elsewhere; that is
        // found out when the nonce turns out to be gone.
        let issuer = self.issuer(&conversion.id)?.address();
        let chain_nonce = match self.knows_nonce(issuer) {
            true => 0,
            false => self.chain.next_nonce(issuer).await?,
        };
        let receiver = Self::receiver(conversion)?;
        let now = now_ms();
        let mut transaction = self.store.write().await?;
        let signed = self
            .store_signature(&mut transaction, conversion, receiver, chain_nonce, now)
            .await?;
        let (from, to) = (conversion.state, State::Issuing);
        let change = Change::default();
        if !conversions::transition(&mut transaction, &conversion.id, from, to, &change, now)
            .await?
        {
            return Ok(Step::Moved);
        }
        transaction.commit().await?;
        self.learn_nonce(issuer);
        self.moved(&conversion.id, from, to);
        // It is new: there is nothing to look for on the chain before it is sent.
        let conversion = Conversion {
            state: to,
            ..conversion.clone()
        };
        self.broadcast(&conversion, &signed).await
    }

    /// The partner took the miles: posts that, signs the issue and takes its nonce, in one commit,
    /// and broadcasts.
    pub(super) async fn debited_and_signed(
        &self,
        conversion: &Conversion,
        partner_reference: String,
    ) -> Result<Step, StepError> {
        let issuer = self.issuer(&conversion.id)?.address();
        // The chain has to be asked for the nonce first; what the partner said must not wait.
        if !self.knows_nonce(issuer) {
            return self.debited(conversion, partner_reference).await;
        }
        let receiver = Self::receiver(conversion)?;
        let now = now_ms();
        let change = Change {
            partner_reference: Some(partner_reference.clone()),
            ..Change::default()
        };
        let step = Move {
            conversion,
            to: State::Debited,
            change: &change,
            posting: Some(Kind::Taken),
            settled: &[],
            by: GATEWAY,
        };
        let mut write = self.store.write().await?;
        if !self.advance_in(&mut write, &step, now).await? {
            write.commit().await?;
            return Ok(Step::Moved);
        }
        let debited = Conversion {
            state: State::Debited,
            partner_reference: Some(partner_reference),
            ..conversion.clone()
        };
        let signed = self
            .store_signature(&mut write, &debited, receiver, 0, now)
            .await?;
        let (id, from, to) = (&conversion.id, State::Debited, State::Issuing);
        if !conversions::transition(&mut write, id, from, to, &Change::default(), now).await? {
            return Ok(Step::Moved);
        }
        write.commit().await?;
        self.moved(id, conversion.state, from);
        self.moved(id, from, to);
        let issuing = Conversion {
            state: to,
            ..debited
        };
        self.broadcast(&issuing, &signed).await
    }

    async fn store_signature(
        &self,
        connection: &mut sqlx::AnyConnection,
        conversion: &Conversion,
        receiver: Address,
        chain_nonce: u64,
        now: i64,
    ) -> Result<IssueTransaction, StepError> {
        let key = self.issuer(&conversion.id)?;
        let issuer = key.address().to_string();
        let nonce = issues::take_nonce(connection, &issuer, chain_nonce).await?;
        let name = conversion_name(&conversion.id);
        let signed = key.sign(
            self.chain_id,
            nonce,
            receiver,
            conversion.received()?.0,
            name,
        )?;
        let stored = IssueTransaction {
            issuer,
            nonce,
            hash: signed.hash.to_string(),
            raw: signed.raw,
            outcome: Outcome::Pending,
        };
        issues::insert(connection, &conversion.id, &stored, now).await?;
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
        let mut reverted = Vec::new();
        for transaction in &transactions {
            match self.chain.receipt(&transaction.hash).await? {
                Some(receipt) if receipt.succeeded => {
                    return self.confirm(conversion, Some((transaction, receipt))).await;
                }
                Some(_) => reverted.push((transaction.hash.as_str(), Outcome::Reverted)),
                None => {}
            }
        }
        let issued = self.chain.issued(conversion_name(&conversion.id)).await?;
        if !issued.is_zero() {
            return self.confirm(conversion, None).await;
        }
        let unsettled = transactions.iter().filter(|transaction| {
            transaction.outcome != Outcome::Dead
                && !reverted.iter().any(|(hash, _)| *hash == transaction.hash)
        });
        if unsettled.count() == 0 && !reverted.is_empty() {
            let reason = "the chain refused to issue the points".to_owned();
            let change = Change {
                reason: Some(("issue_refused", reason)),
                ..Change::default()
            };
            return self
                .advance(conversion, State::Reversing, change, None, &reverted)
                .await;
        }
        if last.outcome != Outcome::Pending || self.nonce_is_gone(last).await? {
            return self.sign_again(conversion, &transactions).await;
        }
        self.broadcast(conversion, last).await
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
    ) -> Result<Step, StepError> {
        if transactions.len() >= MAX_SIGNATURES {
            let reason =
                "its nonces keep going to other transactions; is the issuer's key used elsewhere?"
                    .to_owned();
            let change = Change {
                reason: Some(("nonce_taken", reason)),
                ..Change::default()
            };
            return self
                .advance(conversion, State::Attention, change, None, &[])
                .await;
        }
        tracing::error!(
            id = conversion.id,
            "the issue's nonce went to another transaction; signing again"
        );
        let issuer = self.issuer(&conversion.id)?;
        let chain_nonce = self.chain.next_nonce(issuer.address()).await?;
        let receiver = Self::receiver(conversion)?;
        let now = now_ms();
        let mut write = self.store.write().await?;
        for transaction in transactions {
            if transaction.outcome == Outcome::Pending {
                issues::settle(&mut write, &transaction.hash, Outcome::Dead).await?;
            }
        }
        self.store_signature(&mut write, conversion, receiver, chain_nonce, now)
            .await?;
        write.commit().await.map_err(StepError::from)?;
        Ok(Step::Moved)
    }

    /// Broadcasts the stored bytes and watches for a while.
    async fn broadcast(
        &self,
        conversion: &Conversion,
        transaction: &IssueTransaction,
    ) -> Result<Step, StepError> {
        let sent = self.chain.broadcast(&transaction.raw).await;
        let mut until = Instant::now();
        match sent {
            Ok(()) => until += WATCH,
            // Whatever the node says, the transaction may be out: only the chain itself decides.
            Err(error) => {
                tracing::warn!(id = conversion.id, %error, "the broadcast has no clear answer");
            }
        }
        loop {
            if let Some(receipt) = self.chain.receipt(&transaction.hash).await? {
                if receipt.succeeded {
                    return self.confirm(conversion, Some((transaction, receipt))).await;
                }
                return Ok(Step::Moved);
            }
            if Instant::now() >= until {
                return Ok(Step::Wait { absent_reads: 0 });
            }
            time::sleep(LOOK).await;
        }
    }

    /// Completes a conversion if the chain issued what was agreed.
    async fn confirm(
        &self,
        conversion: &Conversion,
        by: Option<(&IssueTransaction, Receipt)>,
    ) -> Result<Step, StepError> {
        let issued = self.chain.issued(conversion_name(&conversion.id)).await?;
        if issued.is_zero() {
            tracing::error!(
                id = conversion.id,
                "the chain shows the issue's receipt but nothing issued; looking again"
            );
            return Ok(Step::Wait { absent_reads: 0 });
        }
        let agreed = conversion.received()?.0;
        if issued != U256::from(agreed) {
            let reason =
                format!("the chain shows {issued} micro-points issued, {agreed} were agreed");
            let change = Change {
                reason: Some(("issue_mismatch", reason)),
                ..Change::default()
            };
            return self
                .advance(conversion, State::Attention, change, None, &[])
                .await;
        }
        let change = Change {
            issue_hash: by.map(|(transaction, _)| transaction.hash.clone()),
            issue_block: by.map(|(_, receipt)| receipt.block),
            ..Change::default()
        };
        let settled: Vec<_> = by
            .iter()
            .map(|(transaction, _)| (transaction.hash.as_str(), Outcome::Mined))
            .collect();
        self.advance(
            conversion,
            State::Completed,
            change,
            Some(Kind::Issued),
            &settled,
        )
        .await
    }
}
