//! `mileverse relayer run`: every route at work, each for itself.
//!
//! A route that is sick (an endpoint down, two ends that do not know each other) is tried again and
//! stops no other, and its swaps stop none of its directions. Only what no waiting cures for any of them, the database above all, ends the
//! process.

use crate::{
    Error,
    clock::{Clock, back_off_ms},
    config::Config,
    http::{self, Board},
    metrics::Metrics,
    route::{Route, SWAP_ENDS},
    store::{Lane, Network, RouteStore, Store},
    watch, worker,
};
use std::{io::Write as _, time::Duration};
use tokio::{
    signal::unix::{SignalKind, signal},
    task::JoinSet,
};

/// Longest wait for the ends of a route to be reached and to fit together.
const LONGEST_WAIT_MS: u64 = 30_000;

pub(super) async fn run(config: &Config) -> Result<(), Error> {
    let mut terminate = signal(SignalKind::terminate()).map_err(Error::Start)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(Error::Start)?;
    let routes: Vec<Route> = config
        .routes
        .iter()
        .map(|(name, route)| Route::open(name, route))
        .collect::<Result<_, _>>()?;
    let store = Store::open(&config.database).await?;
    let shown = Store::look(&config.database).await?;
    let metrics = Metrics::default();
    let board = Board::new(config, shown.clone(), metrics.clone());
    let mut tasks = JoinSet::new();
    let mut listening = None;
    if let Some(address) = config.listen {
        let listener = http::bind(address).await?;
        listening = listener.local_addr().ok();
        let board = board.clone();
        tasks.spawn(async move { http::serve(listener, board).await });
    }
    tracing::info!(
        routes = routes.len(), database = %config.database, ?listening, "relayer starts"
    );
    for route in routes {
        let watched = route.clone();
        let board = board.clone();
        tasks.spawn(Box::pin(watch::watch(watched, board.clone())));
        let poll = Duration::from_millis(config.poll_interval_ms);
        tasks.spawn(Box::pin(keep(route, store.clone(), board, poll)));
    }
    let listen = listening.map_or_else(|| "null".to_owned(), |address| format!("\"{address}\""));
    writeln!(std::io::stdout(), "{{\"ready\":true,\"listen\":{listen}}}").map_err(Error::Output)?;

    let ended = tokio::select! {
        Some(task) = tasks.join_next() => match task {
            Ok(error) => Err(error),
            Err(failure) => Err(Error::Start(std::io::Error::other(failure))),
        },
        _ = terminate.recv() => Ok(()),
        _ = interrupt.recv() => Ok(()),
    };
    // Whatever was cut off stands in the database or on a chain.
    tasks.shutdown().await;
    store.close().await;
    shown.close().await;
    tracing::info!("relayer stops");
    ended
}

/// Keeps one route going for ever; returns only what ends the process.
async fn keep(route: Route, store: Store, board: Board, poll: Duration) -> Error {
    let clock = Clock::system();
    loop {
        let network = identify(&route, &board, &clock).await;
        let rows = match store.bind(&route.name, &network).await {
            Ok(rows) => rows,
            Err(error @ Error::OtherNetwork(_)) => {
                tracing::error!(route = route.name, %error, "this route stands still");
                board.trouble(&route.name, Some(error.to_string()));
                tokio::time::sleep(Duration::from_millis(LONGEST_WAIT_MS)).await;
                continue;
            }
            Err(error) => return error,
        };
        board.trouble(&route.name, None);
        let [mut there, mut back] = route.workers(&network, &rows, &clock, board.metrics());
        let error = tokio::select! {
            error = worker::run(&mut there, &rows, &clock, poll) => error,
            error = worker::run(&mut back, &rows, &clock, poll) => error,
            error = Box::pin(swaps(&route, &network, &rows, &board, poll)) => error,
        };
        if ends(&error) {
            return error;
        }
        tracing::error!(route = route.name, %error, "this route starts over");
        board.trouble(&route.name, Some(error.to_string()));
        tokio::time::sleep(Duration::from_millis(LONGEST_WAIT_MS)).await;
    }
}

/// Whether this ends the process.
const fn ends(error: &Error) -> bool {
    matches!(
        error,
        Error::Store(_) | Error::Damaged(_) | Error::Output(_) | Error::Start(_)
    )
}

/// Keeps the swaps of both ends going for ever, if they are completed. Returns only what ends the process:
/// whatever else is wrong with them is noted as their own trouble.
async fn swaps(
    route: &Route,
    network: &Network,
    rows: &RouteStore,
    board: &Board,
    poll: Duration,
) -> Error {
    let clock = Clock::system();
    loop {
        let error = match route.swaps(network, rows, &clock, board.metrics()).await {
            Ok(None) => return std::future::pending().await,
            Ok(Some([mut native, mut ethereum])) => tokio::select! {
                error = worker::run(&mut native, rows, &clock, poll) => error,
                error = worker::run(&mut ethereum, rows, &clock, poll) => error,
            },
            Err(error) => error,
        };
        if ends(&error) {
            return error;
        }
        tracing::error!(route = route.name, %error, "this route's swaps stand still");
        for lane in SWAP_ENDS.map(Lane::Swaps) {
            let reason = error.to_string();
            if let Err(error) = rows.note_error(lane, clock.now_ms(), &reason).await {
                return error;
            }
        }
        tokio::time::sleep(Duration::from_millis(LONGEST_WAIT_MS)).await;
    }
}

/// Waits until both ends of a route answer and belong together.
async fn identify(route: &Route, board: &Board, clock: &Clock) -> Network {
    let mut failures = 0;
    loop {
        let error = match route.network().await {
            Ok(network) => return network,
            Err(error) => error,
        };
        tracing::warn!(route = route.name, %error, "waiting for both chains");
        board.trouble(&route.name, Some(error.to_string()));
        let wait = back_off_ms(failures, 500, LONGEST_WAIT_MS, clock.now_ms());
        failures = failures.saturating_add(1);
        tokio::time::sleep(Duration::from_millis(wait)).await;
    }
}
