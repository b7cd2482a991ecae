//! Broadcasting: the same bytes while the outcome is unknown, a higher offer after long waiting.

use super::{
    Sender,
    nonce::{Attempt, Step, decide, raise},
};
use crate::{
    Error,
    chain::Ledger,
    store::{Payload, SignedRow},
};
use mileverse_primitives::B256;
use mileverse_wallet::rpc::RpcError;
use std::time::Duration;

impl Sender {
    /// Gives stored bytes to the network. The attempt is noted first: if the answer is lost, the
    /// bytes may be out.
    pub(super) async fn broadcast(
        &self,
        ledger: &impl Ledger,
        hash: B256,
        payload: Payload,
    ) -> Result<(), Error> {
        let now = self.clock.now_ms().max(1);
        self.store.note_broadcast(hash, now).await?;
        ledger.broadcast(payload.raw).await?;
        Ok(())
    }

    async fn broadcast_again(&self, ledger: &impl Ledger, hash: B256) -> Result<(), Error> {
        let payload = self.store.payload(hash).await?;
        self.broadcast(ledger, hash, payload).await
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
                    tracing::debug!(lane = %self.lane, hash = %newest.hash, "broadcast again");
                    match self.broadcast_again(ledger, newest.hash).await {
                        Err(Error::Rpc(
                            RpcError::Refused {
                                message: reason, ..
                            }
                            | RpcError::Reverted { reason, .. },
                        )) if newest.fees.most() == 0 => self.give_up(newest, &reason).await?,
                        done => done?,
                    }
                }
                Step::Replace => self.replace(ledger, newest).await?,
            }
        }
        Ok(())
    }

    /// Forgets a transaction that pays nothing and that the node will not have: another relayer has
    /// delivered its packets before, and a delivery without use is in no block, ever. Its nonce is free
    /// again. If the node was wrong and the bytes get into a block after all, delivering twice does
    /// nothing.
    async fn give_up(&self, row: &SignedRow, reason: &str) -> Result<(), Error> {
        tracing::info!(
            lane = %self.lane, hash = %row.hash, nonce = row.nonce, reason,
            "the node will not have this transaction; its packets are looked at again"
        );
        self.metrics.transaction(&self.way, "given_up");
        self.store.forget_transaction(row.hash).await
    }

    /// The same call under the same nonce for more money, or the old bytes once more if that
    /// would cost more than is allowed.
    async fn replace(&self, ledger: &impl Ledger, old: &SignedRow) -> Result<(), Error> {
        let fees = ledger.fees().await?;
        let Some(fees) = raise(old.fees, fees, self.limits.max_fee) else {
            return self.broadcast_again(ledger, old.hash).await;
        };
        let input = self.store.payload(old.hash).await?.input;
        let (row, payload) = self
            .sign(
                ledger,
                old.nonce,
                old.gas_limit,
                fees,
                input,
                old.packets.clone(),
            )
            .await?;
        self.store.store_signed(self.lane, &row, &payload).await?;
        self.metrics.transaction(&self.way, "replaced");
        tracing::warn!(
            lane = %self.lane, old = %old.hash, hash = %row.hash, nonce = row.nonce,
            "a transaction waits long; offering more for it"
        );
        self.broadcast(ledger, row.hash, payload).await
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
