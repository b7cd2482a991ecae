//! The relayer's process: its memory over time, and stopping and going on.
//!
//! Found and read through `/proc`; where that does not exist the figures are left out, and there can
//! be no backlog.

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde::Serialize;
use std::{fs, path::Path, time::Duration};
use tokio::time::{MissedTickBehavior, interval};

/// Between two looks.
const LOOK: Duration = Duration::from_secs(1);

/// A relayer at work.
#[derive(Clone, Copy, Debug)]
pub struct Relayer {
    id: i32,
}

/// Its memory (resident set), in mebibytes.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Memory {
    /// At the first look.
    pub first_mib: u64,
    /// The most.
    pub most_mib: u64,
    /// At the last look.
    pub last_mib: u64,
    /// Every tenth second.
    pub every_ten_seconds_mib: Vec<u64>,
}

impl Relayer {
    /// The one whose configuration is this file.
    pub fn find(config: &Path) -> Option<Self> {
        let config = config.to_str()?;
        let processes = fs::read_dir("/proc").ok()?;
        processes.flatten().find_map(|process| {
            let id: i32 = process.file_name().to_str()?.parse().ok()?;
            let line = fs::read(process.path().join("cmdline")).ok()?;
            let mut words = line.split(|byte| *byte == 0);
            words.any(|word| word == b"relayer").then_some(())?;
            words.any(|word| word == config.as_bytes()).then_some(())?;
            Some(Self { id })
        })
    }

    /// Stops it where it is (SIGSTOP).
    pub fn pause(self) -> nix::Result<()> {
        kill(Pid::from_raw(self.id), Signal::SIGSTOP)
    }

    /// Lets it go on.
    pub fn resume(self) -> nix::Result<()> {
        kill(Pid::from_raw(self.id), Signal::SIGCONT)
    }

    fn resident_mib(self) -> Option<u64> {
        let text = fs::read_to_string(format!("/proc/{}/status", self.id)).ok()?;
        let line = text.lines().find(|line| line.starts_with("VmRSS:"))?;
        let kib: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
        Some(kib / 1024)
    }

    /// Looks until `work` is done; its outcome, and what was seen.
    pub async fn watched<T>(self, work: impl Future<Output = T>) -> (T, Memory) {
        let mut memory = Memory::default();
        let mut pace = interval(LOOK);
        pace.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let mut looks = 0usize;
        tokio::pin!(work);
        loop {
            tokio::select! {
                outcome = &mut work => return (outcome, memory),
                _ = pace.tick() => {
                    let Some(mib) = self.resident_mib() else { continue };
                    if looks == 0 {
                        memory.first_mib = mib;
                    }
                    if looks.is_multiple_of(10) {
                        memory.every_ten_seconds_mib.push(mib);
                    }
                    looks = looks.saturating_add(1);
                    memory.most_mib = memory.most_mib.max(mib);
                    memory.last_mib = mib;
                }
            }
        }
    }
}
