//! A validator as a process of its own; it is stopped when its handle is dropped, and by itself
//! when this program dies.

use super::{clock::Clock, files::Seat};
use crate::{
    error::Error,
    machine::{cpu_seconds, rss_mib},
};
use serde::Deserialize;
use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader},
    process::{Child, ChildStdin, Command},
    time::timeout,
};

/// How long a validator may take until it serves.
const START: Duration = Duration::from_secs(60);
/// Longest ready line.
const MAX_READY_BYTES: u64 = 4096;
/// What is shown of a log.
const LAST_LINES: usize = 12;

/// The line that a node prints when it serves.
#[derive(Deserialize)]
struct Ready {
    url: String,
    metrics: String,
}

/// A running validator.
pub struct Process {
    number: usize,
    child: Child,
    /// Its end stops the child.
    stdin: Option<ChildStdin>,
    log: PathBuf,
    data: PathBuf,
    metrics: String,
}

impl Process {
    /// Starts a validator, with a clock of its own if one is given, and returns it with the URL of
    /// its JSON-RPC.
    pub async fn start(
        number: usize,
        seat: &Seat,
        clock: Option<&Clock>,
    ) -> Result<(Self, String), Error> {
        let program = std::env::current_exe().map_err(|source| Error::System {
            what: "the path of this program",
            source,
        })?;
        let log = seat.log();
        let failed = |source| Error::File {
            path: log.clone(),
            source,
        };
        let mut child = Command::new(program)
            .args(["--exit-with-stdin", "node", "run", "--config"])
            .arg(seat.config())
            .current_dir(&seat.directory)
            .envs(clock.into_iter().flat_map(Clock::environment))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(File::create(&log).map_err(failed)?)
            .kill_on_drop(true)
            .spawn()
            .map_err(|source| Error::System {
                what: "a validator's process",
                source,
            })?;
        let stdin = child.stdin.take();
        let stdout = child.stdout.take();
        let mut process = Self {
            number,
            child,
            stdin,
            log,
            data: seat.data(),
            metrics: String::new(),
        };
        let ready = async {
            let mut line = String::new();
            let stdout = stdout?.take(MAX_READY_BYTES);
            BufReader::new(stdout).read_line(&mut line).await.ok()?;
            serde_json::from_str::<Ready>(&line).ok()
        };
        match timeout(START, ready).await {
            Ok(Some(ready)) => {
                process.metrics = format!("{}/metrics", ready.metrics);
                Ok((process, ready.url))
            }
            Ok(None) => Err(process.complaint("it ended before it served")),
            Err(_) => Err(process.complaint("it does not serve after a minute")),
        }
    }

    /// An error that quotes the end of its log.
    pub fn complaint(&self, reason: &str) -> Error {
        Error::Validator {
            validator: self.number,
            reason: reason.to_owned(),
            log: last_lines(&self.log),
        }
    }

    /// Processor time it has taken so far, seconds.
    pub fn cpu_seconds(&self) -> Option<f64> {
        cpu_seconds(Some(self.child.id()?))
    }

    /// Where it tells what it measures of itself.
    pub fn metrics(&self) -> &str {
        &self.metrics
    }

    /// Memory that it has now, mebibytes.
    pub fn rss_mib(&self) -> Option<u64> {
        rss_mib(self.child.id()?)
    }

    /// What it keeps on disk now, bytes.
    pub fn stored_bytes(&self) -> u64 {
        size(&self.data)
    }

    /// An error if it is not running any more.
    pub fn check(&mut self) -> Result<(), Error> {
        match self.child.try_wait() {
            Ok(None) => Ok(()),
            _ => Err(self.complaint("it ended")),
        }
    }

    /// Waits until it has ended, which the end of its standard input brings about.
    pub async fn stop(mut self) {
        self.stdin = None;
        if timeout(Duration::from_secs(20), self.child.wait())
            .await
            .is_err()
        {
            let _ = self.child.kill().await;
        }
    }
}

/// Bytes that a directory takes on disk: files with holes count for what they hold.
fn size(directory: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt as _;
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries
        .map(|entry| match entry.metadata() {
            Ok(found) if found.is_dir() => size(&entry.path()),
            Ok(found) => found.blocks().saturating_mul(512),
            // Deleted meanwhile.
            Err(_) => 0,
        })
        .fold(0, u64::saturating_add)
}

fn last_lines(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    let from = lines.len().saturating_sub(LAST_LINES);
    lines.get(from..).unwrap_or_default().join("\n")
}
