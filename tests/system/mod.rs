//! The system that `up` starts, with the public commands and the real contracts, for tests to use.

#![allow(dead_code, reason = "each test uses its part")]

use serde_json::Value;
use std::{
    fs,
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};
use tempfile::TempDir;

/// Between two looks; nothing depends on it.
const PACE: Duration = Duration::from_millis(100);
/// For everything that has to come: five epochs of an idle chain.
const PATIENCE: Duration = Duration::from_secs(400);

/// The system; it is stopped in order when dropped.
pub struct System {
    child: Child,
    directory: TempDir,
    settings: Value,
    /// What `up` told of its journey.
    pub report: Value,
}

/// A process that stands still.
pub struct Pause(String);

impl Pause {
    fn new(process: String) -> Self {
        let pause = Self(process);
        assert!(pause.signal("-STOP"));
        pause
    }

    fn signal(&self, signal: &str) -> bool {
        let status = Command::new("kill").args([signal, &self.0]).status();
        status.is_ok_and(|status| status.success())
    }
}

impl Drop for Pause {
    fn drop(&mut self) {
        self.signal("-CONT");
    }
}

impl Drop for System {
    fn drop(&mut self) {
        if std::thread::panicking() {
            for name in ["validator-0", "relayer"] {
                let log = self.directory.path().join(format!("logs/{name}.log"));
                let log = fs::read_to_string(log).unwrap_or_default();
                let lines: Vec<_> = log.lines().collect();
                let last = lines.len().saturating_sub(15);
                eprintln!("--- {name}\n{}", lines[last..].join("\n"));
            }
        }
        // The end of its standard input ends `up`, and that ends all its children.
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

impl System {
    /// Starts everything and waits until the journey of a mile has come true.
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// The same with more arguments of `up`.
    pub fn start_with(more: &[&str]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut child = mileverse()
            .args(["--exit-with-stdin", "up", "--json", "--data-dir"])
            .arg(directory.path())
            .args(more)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(fs::File::create(directory.path().join("up.log")).unwrap())
            .spawn()
            .unwrap();
        let mut report = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut report)
            .unwrap();
        let told = fs::read_to_string(directory.path().join("up.log")).unwrap();
        let report: Value = serde_json::from_str(&report)
            .unwrap_or_else(|error| panic!("no report ({error}): {told}"));
        assert_eq!(report["ok"], true, "{report}");
        let settings = fs::read_to_string(directory.path().join("settings.json")).unwrap();
        Self {
            child,
            directory,
            settings: serde_json::from_str(&settings).unwrap(),
            report,
        }
    }

    /// Keeps this system's relayer from doing anything, as if it were dead, until the answer is dropped.
    pub fn without_relayer(&self) -> Pause {
        let home = fs::canonicalize(self.path("relayer")).unwrap();
        let process = fs::read_dir("/proc")
            .unwrap()
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .filter(|name| name.bytes().all(|byte| byte.is_ascii_digit()))
            .find(|id| fs::read_link(format!("/proc/{id}/cwd")).is_ok_and(|cwd| cwd == home))
            .expect("the relayer runs");
        Pause::new(process)
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub fn native(&self) -> String {
        format!("http://127.0.0.1:{}", self.settings["ports"]["rpc"][0])
    }

    pub fn ethereum(&self) -> String {
        format!("http://127.0.0.1:{}", self.settings["ports"]["ethereum"])
    }

    pub fn gateway(&self) -> String {
        format!("http://127.0.0.1:{}", self.settings["ports"]["gateway"])
    }

    /// A verb with the account of `name`; its answer.
    pub fn run(&self, name: &str, arguments: &[&str]) -> Value {
        let output = mileverse()
            .args(arguments)
            .args(["--json", "--native-rpc", &self.native(), "--keystore"])
            .arg(self.path(&format!("keys/{name}.json")))
            .arg("--password-file")
            .arg(self.path("keys/password"))
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{arguments:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        serde_json::from_slice(&output.stdout).unwrap()
    }

    pub fn contracts(&self) -> Value {
        let text = fs::read_to_string(self.path("ethereum/deployment.json")).unwrap();
        serde_json::from_str(&text).unwrap()
    }
}

pub fn mileverse() -> Command {
    Command::new(Path::new(env!("CARGO_BIN_EXE_mileverse")))
}

/// Looks again and again until `look` finds something.
pub async fn wait<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let since = Instant::now();
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(since.elapsed() < PATIENCE, "{what} did not come");
        tokio::time::sleep(PACE).await;
    }
}
