//! `mileverse guard -- program args…`, hidden: runs a program that does not watch its stdin.
//!
//! `up` starts anvil through it, so that anvil saves its state and ends when `up` is killed. SIGTERM
//! and SIGINT to the guard stop the program with SIGTERM; the guard ends with the program's code.

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use std::{ffi::OsString, process::Stdio, time::Duration};
use thiserror::Error;
use tokio::{
    process::{Child, Command as Program},
    signal::unix::{SignalKind, signal},
    time::timeout,
};

/// How long the program may take to end after SIGTERM before it is killed.
const CLEAN_STOP: Duration = Duration::from_secs(30);

/// What to run.
#[derive(Debug, clap::Args)]
pub struct Command {
    /// The program and its arguments.
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    program: Vec<OsString>,
}

/// Why the guard failed.
#[derive(Debug, Error)]
pub enum Error {
    /// No program given; clap refuses it first.
    #[error("give a program to run")]
    NoProgram,
    /// It did not start, or could not be watched.
    #[error("{program} could not be run: {source}")]
    Run {
        /// What was to run.
        program: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// It ended with another code than 0.
    #[error("{program} ended with {status}")]
    Ended {
        /// What ran.
        program: String,
        /// How it ended.
        status: std::process::ExitStatus,
    },
}

/// Runs the program to its end.
pub fn run(command: Command) -> Result<(), Error> {
    let mut words = command.program.into_iter();
    let program = words.next().ok_or(Error::NoProgram)?;
    let name = program.to_string_lossy().into_owned();
    let failed = |source| Error::Run {
        program: name.clone(),
        source,
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(failed)?;
    let status = runtime.block_on(async {
        let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
        let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
        let mut child = Program::new(&program)
            .args(words)
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .map_err(failed)?;
        tokio::select! {
            status = child.wait() => return status.map_err(failed),
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        stop(&mut child).await.map_err(failed)
    })?;
    if status.success() {
        Ok(())
    } else {
        Err(Error::Ended {
            program: name,
            status,
        })
    }
}

async fn stop(child: &mut Child) -> std::io::Result<std::process::ExitStatus> {
    if let Some(id) = child.id().and_then(|id| i32::try_from(id).ok()) {
        kill(Pid::from_raw(id), Signal::SIGTERM)?;
    }
    match timeout(CLEAN_STOP, child.wait()).await {
        Ok(status) => status,
        Err(_) => {
            child.start_kill()?;
            child.wait().await
        }
    }
}
