//! Hands the traffic in: some connections for each validator, many transactions in one request.
//!
//! Without a rate, what is under way is bounded by [`UNDER_WAY`] and [`BYTES_UNDER_WAY`], so that the net
//! is always busy and its pools never overflow. With a rate the load is open: it does not wait for the net.

use super::{Lists, Signed, watch::Ledger};
use crate::{
    error::Error,
    net::{Net, Rpc},
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::{
    sync::Mutex,
    task::{JoinHandle, JoinSet},
    time::{sleep, sleep_until},
};

/// Transactions that are not final yet, over all validators.
const UNDER_WAY: usize = 12_000;
/// Bytes of transactions that are not final yet: about what two blocks hold at most.
const BYTES_UNDER_WAY: usize = 12_000_000;
/// Transactions in one request, and their bytes.
const REQUEST: usize = 50;
const REQUEST_BYTES: usize = 100_000;
/// Connections to one validator.
const CONNECTIONS: usize = 2;
/// After the net had enough.
const PACE: Duration = Duration::from_millis(5);

/// Starts the clients; the number of refused transactions comes back when they end.
pub fn start(
    net: &Net,
    lists: Lists,
    rate: u64,
    window: Duration,
    ledger: Ledger,
) -> JoinHandle<Result<u64, Error>> {
    let clients = net.clients.clone();
    let validators = clients.len() as u64;
    tokio::spawn(async move {
        let refused = Arc::new(AtomicU64::new(0));
        let mut running = JoinSet::new();
        for (client, list) in clients.into_iter().zip(lists) {
            let queue = Arc::new(Mutex::new(list.into_iter()));
            // An open load is handed in one by one, in order, by one connection.
            let connections = if rate == 0 { CONNECTIONS } else { 1 };
            for _ in 0..connections {
                running.spawn(hand_in(
                    client.clone(),
                    Arc::clone(&queue),
                    ledger.clone(),
                    Arc::clone(&refused),
                    (rate > 0).then(|| Duration::from_secs(validators).div_f64(rate.max(1) as f64)),
                    Instant::now() + window,
                ));
            }
        }
        while let Some(ended) = running.join_next().await {
            ended.map_err(|error| Error::Setup(error.to_string()))??;
        }
        Ok(refused.load(Ordering::Relaxed))
    })
}

async fn hand_in(
    client: Rpc,
    queue: Arc<Mutex<std::vec::IntoIter<Signed>>>,
    ledger: Ledger,
    refused: Arc<AtomicU64>,
    every: Option<Duration>,
    end: Instant,
) -> Result<(), Error> {
    let mut due = Instant::now();
    while Instant::now() < end && !ledger.closed() {
        if every.is_none() && ledger.has(UNDER_WAY, BYTES_UNDER_WAY) {
            sleep(PACE).await;
            continue;
        }
        let most = if every.is_some() { 1 } else { REQUEST };
        // Held over the request: two requests of one sender must not overtake each other.
        let mut queue = queue.lock().await;
        let mut bytes = 0usize;
        let mut some: Vec<Signed> = Vec::new();
        while some.len() < most && bytes < REQUEST_BYTES {
            let Some(next) = queue.next() else { break };
            bytes = bytes.saturating_add(next.raw.len());
            some.push(next);
        }
        if some.is_empty() {
            return Ok(());
        }
        if let Some(every) = every {
            due += every;
            sleep_until(due.into()).await;
        }
        ledger.hand_in(&some);
        let taken = client
            .submit_many(some.iter().map(|signed| &signed.raw))
            .await?;
        drop(queue);
        for (signed, taken) in some.iter().zip(taken) {
            if let Err(reason) = taken {
                ledger.forget(signed.hash);
                if refused.fetch_add(1, Ordering::Relaxed) == 0 {
                    ledger.first_refusal(reason);
                }
            }
        }
    }
    Ok(())
}
