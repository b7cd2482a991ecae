//! Broadcasting: the same bytes while the outcome is unknown, a higher offer after long waiting.

use super::{
    Sender,
    nonce::{Attempt, Step, decide, raise},
};
use crate::{Error, chain::Ledger, store::SignedRow};
use std::time::Duration;

impl Sender {
    /// Gives stored bytes to the network. The attempt is noted first: if the answer is lost, the
    /// bytes may be out.
    pub(super) async fn broadcast(
        &self,
        ledger: &impl Ledger,
        row: &SignedRow,
    ) -> Result<(), Error> {
        let now = self.clock.now_ms().max(1);
        self.store.note_broadcast(row.hash, now).await?;
        ledger.broadcast(row.raw.clone()).await?;
        Ok(())
    }

    /// Sees to every open nonce, lowest first.
    pub(super) async fn push(
        &self,
        ledger: &impl Ledger,
        next: u64,
        open: &[SignedRow],
    ) -> Result<(), Error> {
        for group in open.chunk_by(|a, b| a.nonce == b.nonce) {
            let attempts: Vec<_> = group
                .iter()
                .map(|row| Attempt {
                    created_ms: row.created_ms,
                    broadcast_ms: row.broadcast_ms,
                    fees: row.fees,
                })
                .collect();
            let Some(newest) = group.last() else { continue };
            let step = decide(
                &attempts,
                newest.nonce == next,
                self.clock.now_ms(),
                millis(self.limits.rebroadcast),
                millis(self.limits.replace),
            );
            match step {
                Step::Wait => {}
                Step::Broadcast => {
                    tracing::debug!(direction = %self.direction, hash = %newest.hash, "broadcast again");
                    self.broadcast(ledger, newest).await?;
                }
                Step::Replace => self.replace(ledger, newest).await?,
            }
        }
        Ok(())
    }

    /// The same call under the same nonce for more money, or the old bytes once more if that
    /// would cost more than is allowed.
    async fn replace(&self, ledger: &impl Ledger, old: &SignedRow) -> Result<(), Error> {
        let fees = ledger.fees().await?;
        let Some(fees) = raise(old.fees, fees, self.limits.max_fee) else {
            return self.broadcast(ledger, old).await;
        };
        let row = self
            .sign(
                ledger,
                old.nonce,
                old.gas_limit,
                fees,
                old.input.clone(),
                old.packets.clone(),
            )
            .await?;
        self.store.store_signed(self.direction, &row).await?;
        self.metrics.transaction(&self.way, "replaced");
        tracing::warn!(
            direction = %self.direction, old = %old.hash, hash = %row.hash, nonce = row.nonce,
            "a transaction waits long; offering more for it"
        );
        self.broadcast(ledger, &row).await
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
