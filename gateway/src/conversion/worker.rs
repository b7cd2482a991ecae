//! The worker: claims jobs that are due and does them.
//!
//! Due work lives in the table; a wake-up only saves time. After a restart everything that was
//! left unfinished is due at once. Another task says that this run is alive; were it silent, the
//! other replicas would take its work over.

use super::machine::Machine;
use crate::clock::now_ms;
use crate::store::jobs::{Job, Kind, Lane};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time;
use tokio_cron_scheduler::{Job as Cron, JobScheduler, JobSchedulerError};

/// Jobs of one lane done at once.
const PARALLEL: usize = 32;
/// A run says that it is alive so many times before it could be taken for dead.
const BEATS: u32 = 4;

/// Does the jobs of a lane until told to stop; what is being done then is left to finish its step.
pub async fn run(machine: Arc<Machine>, lane: Lane, mut stop: watch::Receiver<bool>) {
    let slots = Arc::new(Semaphore::new(PARALLEL));
    let mut working = JoinSet::new();
    while !*stop.borrow() {
        let free = u32::try_from(slots.available_permits()).unwrap_or(u32::MAX);
        if free > 0 {
            match machine
                .store
                .claim_jobs(machine.claimant(), lane, free)
                .await
            {
                Ok(jobs) => {
                    for job in jobs {
                        let slot = Arc::clone(&slots).try_acquire_owned();
                        let machine = Arc::clone(&machine);
                        working.spawn(async move {
                            work(&machine, job).await;
                            drop(slot);
                        });
                    }
                }
                Err(error) => tracing::error!(%error, "due jobs cannot be claimed"),
            }
        }
        tokio::select! {
            // A free slot may be wanted at once.
            Some(_) = working.join_next() => {}
            () = time::sleep(machine.idle()) => {}
            _ = stop.wait_for(|stop| *stop) => {}
        }
    }
    while working.join_next().await.is_some() {}
}

async fn work(machine: &Arc<Machine>, job: Job) {
    match job.kind {
        Kind::Conversion => {
            match machine.lease(&job.name) {
                Some(lease) => machine.resume(&lease).await,
                // A task of this very run moves it, or is about to end without seeing this job.
                None => put_back(machine, &job, "a task of this gateway has it").await,
            }
        }
        Kind::TopUp => {
            let begun = match &machine.seller {
                Some(seller) => seller.begin_automatic(&machine.store, &job.name).await,
                None => return,
            };
            if let Err(error) = begun {
                tracing::warn!(partner = job.name, %error, "a top-up cannot be begun; it is tried again");
                put_back(machine, &job, &error.to_string()).await;
            }
        }
        Kind::Reconciliation => {
            if let Err(error) = machine.reconcile(&job.name).await {
                tracing::warn!(id = job.name, %error, "a reconciliation failed; it is done again");
                put_back(machine, &job, &error.to_string()).await;
            }
        }
        Kind::Reward => match machine.reward(&job.name).await {
            Ok(None) => {}
            Ok(Some(why)) => put_back(machine, &job, &why).await,
            Err(error) => {
                tracing::warn!(name = job.name, %error, "a quarter's rewards wait; it is tried again");
                put_back(machine, &job, &error.to_string()).await;
            }
        },
        Kind::Withdrawal => match machine.send_withdrawal(&job.name).await {
            Ok(true) => {}
            Ok(false) => put_back(machine, &job, "no block has it yet").await,
            Err(error) => {
                tracing::warn!(id = job.name, %error, "a withdrawal's step failed; it is tried again");
                put_back(machine, &job, &error.to_string()).await;
            }
        },
        Kind::Webhook => {
            let (store, run) = (&machine.store, &machine.run);
            match machine.sender.work(store, &machine.tracer, run, &job).await {
                Ok(Some(delivered)) => machine.metrics.attempted(delivered),
                Ok(None) => {}
                Err(error) => {
                    tracing::warn!(name = job.name, %error, "a webhook's attempt cannot be noted; it is made again");
                    put_back(machine, &job, &error.to_string()).await;
                }
            }
        }
    }
}

async fn put_back(machine: &Machine, job: &Job, error: &str) {
    let due = machine.next_due(job.attempts);
    let back = machine
        .store
        .put_job_back(job.kind, &job.name, &machine.run, due, Some(error));
    if let Err(error) = back.await {
        tracing::error!(name = job.name, %error, "a job cannot be put back; its claim ends by itself");
    }
}

/// When is looked whether a day or a quarter is to be put in: at the begin of each minute.
const SCHEDULE: &str = "0 * * * * *";
/// If the scheduler does not wake it, it looks all the same.
const BACKSTOP: Duration = Duration::from_secs(150);

/// Puts in what is due by the calendar, until told to stop. The scheduler only wakes it: that it wakes
/// late, twice or not at all changes nothing, since each day and each slot of a quarter has one row.
pub async fn calendar(machine: Arc<Machine>, mut stop: watch::Receiver<bool>) {
    let wake = Arc::new(Notify::new());
    let mut scheduler = match scheduler(&wake, SCHEDULE).await {
        Ok(scheduler) => Some(scheduler),
        Err(error) => {
            tracing::warn!(%error, "there is no scheduler; the calendar is looked at all the same");
            None
        }
    };
    while !*stop.borrow() {
        put_in(&machine).await;
        tokio::select! {
            () = wake.notified() => {}
            () = time::sleep(BACKSTOP) => {}
            _ = stop.wait_for(|stop| *stop) => {}
        }
    }
    if let Some(scheduler) = &mut scheduler
        && let Err(error) = scheduler.shutdown().await
    {
        tracing::debug!(%error, "the scheduler did not end in order");
    }
}

async fn scheduler(wake: &Arc<Notify>, schedule: &str) -> Result<JobScheduler, JobSchedulerError> {
    let scheduler = JobScheduler::new().await?;
    let wake = Arc::clone(wake);
    scheduler
        .add(Cron::new(schedule, move |_, _| wake.notify_one())?)
        .await?;
    scheduler.start().await?;
    Ok(scheduler)
}

/// Puts in what is due by the calendar now.
pub async fn put_in(machine: &Machine) {
    if let Err(error) = machine.schedule_reconciliations(machine.store.now()).await {
        tracing::error!(%error, "the reconciliation of a day cannot be put in");
    }
    if let Err(error) = machine.schedule_rewards(machine.store.now()).await {
        tracing::error!(%error, "the rewards of a quarter cannot be put in");
    }
    if let Err(error) = machine.store.forget_traces(now_ms()).await {
        tracing::warn!(%error, "old traces cannot be forgotten");
    }
}

/// Says that this run is alive, until told to stop, forgets who is long dead, and sees whether another
/// replica has moved the sandbox's clock.
pub async fn beat(machine: Arc<Machine>, mut stop: watch::Receiver<bool>) {
    let every = machine.replica_timeout / BEATS;
    while !*stop.borrow() {
        if let Err(error) = machine.store.beat(&machine.run, now_ms()).await {
            tracing::error!(%error, "this replica cannot say that it is alive");
        }
        if let Err(error) = machine.store.read_clock().await {
            tracing::error!(%error, "the sandbox's clock cannot be read");
        }
        tokio::select! {
            () = time::sleep(every) => {}
            _ = stop.wait_for(|stop| *stop) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[tokio::test]
    async fn the_scheduler_wakes_again_and_again() {
        let wake = Arc::new(Notify::new());
        let mut every_second = scheduler(&wake, "* * * * * *").await.unwrap();
        for _ in 0..2 {
            wake.notified().await;
        }
        every_second.shutdown().await.unwrap();
        // What is really used is understood, too.
        let mut scheduler = scheduler(&wake, SCHEDULE).await.unwrap();
        scheduler.shutdown().await.unwrap();
    }
}
