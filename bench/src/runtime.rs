//! Where a bench runs: an async runtime until it is done, or Ctrl-C ends it in order.

use crate::error::Error;
use std::future::Future;

/// Runs to the end, on as many threads as there are cores.
pub fn run<T>(work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    on(tokio::runtime::Builder::new_multi_thread(), work)
}

/// The same on one thread.
pub fn run_alone<T>(work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    on(tokio::runtime::Builder::new_current_thread(), work)
}

fn on<T>(
    mut builder: tokio::runtime::Builder,
    work: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    let runtime = builder
        .enable_all()
        .build()
        .map_err(|source| Error::System {
            what: "the bench's runtime",
            source,
        })?;
    runtime.block_on(async {
        tokio::select! {
            done = work => done,
            _ = tokio::signal::ctrl_c() => Err(Error::Interrupted),
        }
    })
}
