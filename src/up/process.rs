//! Children: started, awaited, stopped, killed, and missed when they end by themselves.
//!
//! ```txt
//! stdin    a pipe that `up` holds and never writes: its end stops the child (see `crate::stdin`)
//! stdout   first line = ready, `{"ready":true,…}`; the rest goes to the log
//! stderr   the log, logs/NAME.log
//! ```
//!
//! Children have process groups of their own, so that Ctrl-C in a terminal reaches only `up`, which
//! then stops them in order.

use super::{error::Error, files};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde::Deserialize;
use std::{
    ffi::OsString,
    fs::{File, OpenOptions},
    io::Write,
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, BufReader},
    process::{Child, ChildStdout, Command},
    sync::{mpsc, watch},
    time::timeout,
};

/// How long a child may take to stop after SIGTERM before it is killed.
const CLEAN_STOP: Duration = Duration::from_secs(20);
/// Longest ready line.
const MAX_READY_BYTES: u64 = 4096;

/// What to start.
#[derive(Clone, Debug)]
pub struct Recipe {
    /// What it is called, in logs and sentences.
    pub name: String,
    /// The program.
    pub program: PathBuf,
    /// Its arguments.
    pub arguments: Vec<OsString>,
    /// Where it runs.
    pub directory: PathBuf,
    /// Where its output goes.
    pub log: PathBuf,
}

/// The line that a server prints when it is ready.
#[derive(Debug, Deserialize)]
struct Ready {
    ready: bool,
}

/// A running child.
#[derive(Debug)]
pub struct Process {
    name: String,
    log: PathBuf,
    signals: mpsc::Sender<Signal>,
    ended: watch::Receiver<Option<ExitStatus>>,
    expected: Arc<AtomicBool>,
    stdout: Option<ChildStdout>,
}

/// Hears which child ended by itself.
#[derive(Clone, Debug)]
pub struct Watcher {
    sender: watch::Sender<Option<Death>>,
}

/// A child that ended by itself.
#[derive(Clone, Debug)]
struct Death {
    name: String,
    status: Option<ExitStatus>,
    log: PathBuf,
}

impl Watcher {
    /// Nothing has died yet.
    pub fn new() -> Self {
        Self {
            sender: watch::Sender::new(None),
        }
    }

    /// Waits until some child ends by itself; returns why `up` cannot go on.
    pub async fn death(&self) -> Error {
        let mut receiver = self.sender.subscribe();
        loop {
            if let Some(death) = receiver.borrow_and_update().clone() {
                return Error::Died {
                    last: files::end_of_log(&death.log),
                    name: death.name,
                    status: death.status,
                    log: death.log,
                };
            }
            // The sender lives as long as `self`.
            let _ = receiver.changed().await;
        }
    }
}

impl Process {
    /// Starts a child.
    pub fn start(recipe: &Recipe, watcher: &Watcher) -> Result<Self, Error> {
        let failed = |source| Error::Spawn {
            name: recipe.name.clone(),
            source,
        };
        let log = open_log(&recipe.log).map_err(failed)?;
        let mut child = Command::new(&recipe.program)
            .args(&recipe.arguments)
            .current_dir(&recipe.directory)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log)
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(failed)?;
        let stdout = child.stdout.take();
        let (signals, inbox) = mpsc::channel(4);
        let (sender, ended) = watch::channel(None);
        let expected = Arc::new(AtomicBool::new(false));
        let process = Self {
            name: recipe.name.clone(),
            log: recipe.log.clone(),
            signals,
            ended,
            expected: expected.clone(),
            stdout,
        };
        let death = Death {
            name: recipe.name.clone(),
            status: None,
            log: recipe.log.clone(),
        };
        let watcher = watcher.clone();
        tokio::spawn(async move {
            let status = attend(child, inbox).await;
            if !expected.load(Ordering::SeqCst) {
                let death = Death { status, ..death };
                watcher.sender.send_if_modified(|first| {
                    let news = first.is_none();
                    first.get_or_insert(death);
                    news
                });
            }
            // An unknown status still means that it is gone.
            sender.send_replace(Some(status.unwrap_or_default()));
        });
        Ok(process)
    }

    /// Waits for the ready line; what follows goes to the log.
    pub async fn ready(&mut self, limit: Duration) -> Result<(), Error> {
        let Some(stdout) = self.stdout.take() else {
            return Ok(());
        };
        let mut reader = BufReader::new(stdout);
        let mut ended = self.ended.clone();
        let line = tokio::select! {
            line = timeout(limit, ready_line(&mut reader)) => line.ok().flatten(),
            _ = ended.wait_for(Option::is_some) => None,
        };
        if line.is_none() {
            // Its exit, if it ended, is the better story.
            let gone = timeout(Duration::from_millis(500), ended.wait_for(Option::is_some)).await;
            return Err(match gone {
                Ok(Ok(status)) => Error::Died {
                    name: self.name.clone(),
                    status: *status,
                    log: self.log.clone(),
                    last: files::end_of_log(&self.log),
                },
                _ => Error::NotReady {
                    name: self.name.clone(),
                    limit,
                    log: self.log.clone(),
                },
            });
        }
        drain(reader, &self.log);
        Ok(())
    }

    /// For a child without a ready line: all its output goes to the log.
    pub fn detach_output(&mut self) {
        if let Some(stdout) = self.stdout.take() {
            drain(stdout, &self.log);
        }
    }

    /// Asks it to end, waits, and kills it if it does not. True if it ended in time.
    pub async fn stop(&mut self) -> bool {
        self.expected.store(true, Ordering::SeqCst);
        // A send fails only when the child is gone already.
        let _ = self.signals.send(Signal::SIGTERM).await;
        if timeout(CLEAN_STOP, self.gone()).await.is_ok() {
            return true;
        }
        self.kill().await;
        false
    }

    /// Kills it with SIGKILL and waits until it is gone.
    pub async fn kill(&mut self) {
        self.expected.store(true, Ordering::SeqCst);
        let _ = self.signals.send(Signal::SIGKILL).await;
        self.gone().await;
    }

    async fn gone(&mut self) {
        // The channel closes only with the task that attends the child: gone as well.
        let _ = self.ended.wait_for(Option::is_some).await;
    }
}

/// Owns the child: passes signals on and reaps it, so that no signal hits a reused process id.
async fn attend(mut child: Child, mut inbox: mpsc::Receiver<Signal>) -> Option<ExitStatus> {
    // Held open for the child's life: its end tells the child to stop.
    let _stdin = child.stdin.take();
    let id = child.id().and_then(|id| i32::try_from(id).ok());
    loop {
        tokio::select! {
            status = child.wait() => return status.ok(),
            signal = inbox.recv() => match (signal, id) {
                (Some(signal), Some(id)) => {
                    // Fails only if it is gone, which `wait` will say.
                    let _ = kill(Pid::from_raw(id), signal);
                }
                _ => return child.wait().await.ok(),
            },
        }
    }
}

fn open_log(path: &Path) -> std::io::Result<File> {
    OpenOptions::new().create(true).append(true).open(path)
}

async fn ready_line<R: AsyncRead + Unpin>(reader: &mut BufReader<R>) -> Option<()> {
    let mut line = String::new();
    let read = reader.take(MAX_READY_BYTES).read_line(&mut line).await;
    read.ok()?;
    let ready: Ready = serde_json::from_str(line.trim()).ok()?;
    ready.ready.then_some(())
}

/// Appends everything that still comes to the log, until the end.
fn drain<R: AsyncRead + Send + Unpin + 'static>(mut reader: R, log: &Path) {
    let log = open_log(log);
    tokio::spawn(async move {
        let mut buffer = vec![0; 8192];
        while let Ok(read) = reader.read(&mut buffer).await {
            let Some(bytes) = buffer.get(..read).filter(|bytes| !bytes.is_empty()) else {
                return;
            };
            if let Ok(mut log) = log.as_ref() {
                // A full disk must not stop the child: keep emptying its pipe.
                let _ = log.write_all(bytes);
            }
        }
    });
}
