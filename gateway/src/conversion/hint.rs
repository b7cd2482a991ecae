//! Partners that tell of changes: asking them to, and what follows from what they tell.
//!
//! A hint makes a debit's inquiry due now. It is no answer: the inquiry is what decides, by the same
//! rules as if nobody had said anything. Inquiries and reversals that lead nowhere are counted, and too
//! many of them end the asking; so hints bring forward no more than half of them.

use super::machine::Machine;
use crate::store::jobs::Kind;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time;

/// After the partner could not be asked to tell.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(300);

impl Machine {
    /// Something has changed about a debit, or so somebody says. Whether it is asked about now.
    pub async fn hint(&self, programme: &str, reference: &str) -> Result<bool, sqlx::Error> {
        // Our name for a debit is its conversion's own.
        let most = self.retry.inquiries.min(self.retry.reversals) / 2;
        let asked = self
            .store
            .hint_job(
                Kind::Conversion,
                reference,
                programme,
                most,
                self.store.now(),
            )
            .await?;
        tracing::debug!(
            programme,
            reference,
            asked,
            "a partner says that something has changed"
        );
        Ok(asked)
    }
}

/// Asks every partner that can to tell of changes, and asks again before it may have forgotten, until
/// told to stop.
pub async fn keep_listening(machine: Arc<Machine>, stop: watch::Receiver<bool>) {
    let mut all = JoinSet::new();
    for programme in machine.programmes.values() {
        let (programme, stop) = (programme.clone(), stop.clone());
        all.spawn(async move {
            let mut failures = 0u32;
            loop {
                let pause = match programme.adapter.listen(&programme.name).await {
                    Ok(None) => return,
                    Ok(Some(renew)) => {
                        failures = 0;
                        renew
                    }
                    Err(error) => {
                        tracing::warn!(programme = programme.name, %error,
                            "a partner cannot be asked to tell of changes; it is asked about each debit all the same");
                        failures = failures.saturating_add(1);
                        let factor = 1u32.checked_shl(failures.min(16)).unwrap_or(u32::MAX);
                        FIRST_PAUSE.saturating_mul(factor).min(LONGEST_PAUSE)
                    }
                };
                let mut stop = stop.clone();
                if time::timeout(pause, stop.wait_for(|stop| *stop)).await.is_ok() {
                    return;
                }
            }
        });
    }
    while all.join_next().await.is_some() {}
}
