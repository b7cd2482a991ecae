//! Ties a process's life to its parent's.
//!
//! `mileverse up` holds the write end of each child's stdin. When `up` dies, however it dies, the
//! kernel closes that pipe; the child reads the end of its input and stops as on SIGTERM.

use nix::sys::signal::{Signal, raise};
use std::{
    io::{Read, stdin},
    process::exit,
    thread::{sleep, spawn},
    time::Duration,
};

/// How long a clean stop may take before the process ends itself.
const CLEAN_STOP: Duration = Duration::from_secs(20);

/// Starts the thread that reads stdin to its end and then stops the process.
pub fn exit_at_end() {
    spawn(|| {
        let mut buffer = [0; 1024];
        let mut input = stdin().lock();
        while matches!(input.read(&mut buffer), Ok(read) if read > 0) {}
        tracing::info!("stdin ended: stopping");
        // Servers stop cleanly on SIGTERM; anything else dies of it at once.
        if raise(Signal::SIGTERM).is_ok() {
            sleep(CLEAN_STOP);
        }
        exit(1);
    });
}
