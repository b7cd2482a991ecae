//! Where a figure was measured, and how much of a processor a process took.
//!
//! Read from `/proc`; where that does not exist the figures are left out.

use serde::Serialize;
use std::{fs, num::NonZeroUsize, thread::available_parallelism};

/// `/proc/PID/stat` counts in this many ticks a second on every Linux.
const TICKS_PER_SECOND: f64 = 100.0;

/// The machine and the program.
#[derive(Clone, Debug, Serialize)]
pub struct Machine {
    /// The processor's name.
    pub cpu: String,
    /// Processors that this program may use.
    pub cores: usize,
    /// Memory, mebibytes.
    pub memory_mib: Option<u64>,
    /// The commit that the program was built from.
    pub commit: &'static str,
}

impl Machine {
    /// This one.
    pub fn this() -> Self {
        let field = |file: &str, name: &str| -> Option<String> {
            let text = fs::read_to_string(file).ok()?;
            let line = text.lines().find(|line| line.starts_with(name))?;
            Some(line.split_once(':')?.1.trim().to_owned())
        };
        let memory_kib = field("/proc/meminfo", "MemTotal")
            .and_then(|text| text.split(' ').next()?.parse::<u64>().ok());
        Self {
            cpu: field("/proc/cpuinfo", "model name")
                .unwrap_or_else(|| std::env::consts::ARCH.to_owned()),
            cores: available_parallelism().map_or(1, NonZeroUsize::get),
            memory_mib: memory_kib.map(|kib| kib / 1024),
            commit: env!("MILEVERSE_COMMIT"),
        }
    }

    /// In a few words.
    pub fn words(&self) -> String {
        let memory = self
            .memory_mib
            .map(|mib| format!(", {mib} MiB"))
            .unwrap_or_default();
        format!("{}, {} cores{memory}", self.cpu, self.cores)
    }
}

/// Seconds of processor time that a process has taken so far; `None` is this process.
pub fn cpu_seconds(process: Option<u32>) -> Option<f64> {
    let path = process.map_or_else(
        || "/proc/self/stat".to_owned(),
        |id| format!("/proc/{id}/stat"),
    );
    let text = fs::read_to_string(path).ok()?;
    // The second field is the program's name in brackets and may hold anything; after it come the
    // state and, as fields 14 and 15, the ticks in user mode and in the kernel.
    let (_, fields) = text.rsplit_once(')')?;
    let mut fields = fields.split_ascii_whitespace().skip(11);
    let user: f64 = fields.next()?.parse().ok()?;
    let kernel: f64 = fields.next()?.parse().ok()?;
    Some((user + kernel) / TICKS_PER_SECOND)
}

/// Memory that a process has now, mebibytes.
pub fn rss_mib(process: u32) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = text.lines().find(|line| line.starts_with("VmRSS:"))?;
    let kib: u64 = line.split_ascii_whitespace().nth(1)?.parse().ok()?;
    Some(kib / 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_takes_processor_time() {
        let Some(before) = cpu_seconds(None) else {
            return;
        };
        let mut hash = 0u64;
        while cpu_seconds(None).is_some_and(|now| now < before + 0.05) {
            hash = hash.rotate_left(7) ^ 0x9e37_79b9;
        }
        assert!(
            cpu_seconds(None).is_some_and(|now| now >= before + 0.05),
            "{hash}"
        );
    }
}
