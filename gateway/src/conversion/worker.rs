//! The worker: finds conversions that are due and moves them.
//!
//! Due work lives in the table; a wake-up only saves time. After a restart everything that was
//! left unfinished is due at once.

use super::machine::Machine;
use crate::clock::now_ms;
use std::sync::Arc;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time;

/// Conversions moved at once.
const PARALLEL: usize = 16;
/// Conversions looked at in one round.
const BATCH: u32 = 1024;

/// Runs until told to stop; what is being moved then is left to finish its step.
pub async fn run(machine: Arc<Machine>, mut stop: watch::Receiver<bool>) {
    let slots = Arc::new(Semaphore::new(PARALLEL));
    let mut moving = JoinSet::new();
    while !*stop.borrow() {
        match machine.store.due(now_ms(), BATCH).await {
            Ok(due) => {
                for id in due {
                    let Ok(slot) = Arc::clone(&slots).try_acquire_owned() else {
                        break;
                    };
                    let Some(lease) = machine.lease(&id) else {
                        continue;
                    };
                    let machine = Arc::clone(&machine);
                    moving.spawn(async move {
                        machine.drive(&lease).await;
                        drop(slot);
                        drop(lease);
                    });
                }
            }
            Err(error) => tracing::error!(%error, "due conversions cannot be read"),
        }
        tokio::select! {
            // A free slot may be wanted at once.
            Some(_) = moving.join_next() => {}
            () = time::sleep(machine.idle()) => {}
            _ = stop.wait_for(|stop| *stop) => {}
        }
    }
    while moving.join_next().await.is_some() {}
}
