//! Confirming: what became of transactions whose nonce is used.

use super::{Sender, Settled};
use crate::{
    Error,
    chain::{At, Ledger},
    store::{Outcome, SignedRow},
};

impl Sender {
    /// Notes outcomes of `used`, all below the account's `next` nonce, that are not known yet, and
    /// forgets what can never change any more.
    ///
    /// A nonce that is used without any of our receipts belongs to a foreign transaction, or the
    /// node is behind with its receipts. Both are the same to us: the packets' own receipts on
    /// the chain say whether they must be sent again.
    pub(super) async fn confirm(
        &self,
        ledger: &impl Ledger,
        used: &[SignedRow],
        next: u64,
    ) -> Result<Vec<Settled>, Error> {
        let mut settled = Vec::new();
        for group in used.chunk_by(|a, b| a.nonce == b.nonce) {
            if group.iter().all(|row| row.outcome.is_some()) {
                continue;
            }
            let mut found = None;
            for row in group {
                if let Some(inclusion) = ledger.inclusion(row.hash).await? {
                    found = Some((row.hash, inclusion));
                    break;
                }
            }
            for row in group {
                let outcome = match found {
                    Some((hash, inclusion)) if hash == row.hash => {
                        if inclusion.success {
                            Outcome::Included
                        } else {
                            Outcome::Reverted
                        }
                    }
                    _ => Outcome::Gone,
                };
                self.store.note_outcome(row.hash, outcome).await?;
                self.metrics.transaction(&self.way, outcome.word());
                if outcome != Outcome::Gone
                    && let Some((_, inclusion)) = found
                {
                    self.metrics
                        .spent(&self.way, inclusion.gas_used, inclusion.cost_wei);
                }
                if outcome != Outcome::Gone || found.is_none() {
                    tracing::info!(
                        lane = %self.lane, hash = %row.hash, nonce = row.nonce, ?outcome,
                        block = found.map(|(_, inclusion)| inclusion.block), "transaction settled"
                    );
                    settled.push(Settled {
                        hash: row.hash,
                        outcome,
                        packets: row.packets.clone(),
                    });
                }
            }
        }
        if !used.is_empty() {
            // The chain went on since it was asked for `next`: what is above was not looked at.
            let forever = ledger.nonce(self.account(), At::Finalized).await?.min(next);
            if used.iter().any(|row| row.nonce < forever) {
                self.store
                    .forget_signed(self.lane, self.account(), forever)
                    .await?;
            }
        }
        Ok(settled)
    }
}
