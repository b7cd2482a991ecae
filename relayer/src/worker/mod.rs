//! The workers, one for each kind of proof, and the loop that keeps each going.
//!
//! A worker does its work in *ticks*: look at both chains and at the database, do what can be
//! done now, and return. Nothing that matters lives between two ticks outside the database and
//! the chains, so a tick may be cut off anywhere and the next one carries on. An endpoint that is
//! down makes ticks fail; the loop waits, longer each time, and goes on.

mod delivery;
pub mod from_ethereum;
pub mod from_outbox;
mod isolate;

pub use delivery::{Delivery, Orders};
pub(crate) use delivery::{FIRST_RETRY_MS, LONGEST_RETRY_MS};
pub use from_ethereum::FromEthereum;
pub use from_outbox::FromOutbox;

use crate::{
    Error,
    clock::{Clock, back_off_ms},
    store::{Lane, RouteStore},
};
use mileverse_wallet::rpc::Chain;
use std::{future::Future, time::Duration};

/// Longest wait after failures.
const LONGEST_WAIT_MS: u64 = 30_000;
/// Between two notes that all is well.
const NOTE_OK_MS: u64 = 5_000;

/// One lane's work.
pub trait Worker {
    /// Which one.
    fn lane(&self) -> Lane;
    /// What endpoints of this kind of chain said cannot be right; better ask others first.
    fn doubt(&self, chain: Chain);
    /// Does what can be done now; `true` if there may be more to do at once.
    fn tick(&mut self) -> impl Future<Output = Result<bool, Error>> + Send;
}

/// One direction's work.
pub trait Carries: Worker {
    /// What it shares with the other direction's.
    fn delivery(&mut self) -> &mut Delivery;
}

/// Ticks for ever; returns only what waiting cannot cure.
pub async fn run(
    worker: &mut impl Worker,
    store: &RouteStore,
    clock: &Clock,
    poll: Duration,
) -> Error {
    let lane = worker.lane();
    let poll_ms = u64::try_from(poll.as_millis()).unwrap_or(u64::MAX);
    let mut failures = 0u32;
    let mut noted_ok_ms = 0u64;
    loop {
        let wait_ms = match worker.tick().await {
            Ok(more) => {
                if failures > 0 {
                    tracing::info!(route = store.name(), %lane, "going on");
                }
                let now = clock.now_ms();
                if failures > 0 || now.saturating_sub(noted_ok_ms) >= NOTE_OK_MS {
                    if let Err(error) = store.note_ok(lane, now).await {
                        return error;
                    }
                    noted_ok_ms = now;
                }
                failures = 0;
                if more { 0 } else { poll_ms }
            }
            Err(error) if error.passes() => {
                tracing::warn!(route = store.name(), %lane, %error, "trying again");
                if let Some(chain) = error.doubtful() {
                    worker.doubt(chain);
                }
                let noted = store
                    .note_error(lane, clock.now_ms(), &error.to_string())
                    .await;
                if let Err(error) = noted {
                    return error;
                }
                let wait = back_off_ms(failures, poll_ms, LONGEST_WAIT_MS, clock.now_ms());
                failures = failures.saturating_add(1);
                wait
            }
            Err(error) => return error,
        };
        tokio::time::sleep(Duration::from_millis(wait_ms)).await;
    }
}
