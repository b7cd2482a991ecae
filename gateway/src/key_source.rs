//! Where a master key comes from: a file, the environment, or a command that asks a key management
//! service and prints what it decrypted. What it encrypts are keys (see [`crate::vault`]), so it
//! never meets the data itself.
//!
//! ```toml
//! master_key = { file = "master.key" }
//! master_key = { environment = "GATEWAY_MASTER_KEY" }
//! master_key = { command = ["kms-decrypt", "--key", "gateway", "master.key.enc"] }
//! ```
//!
//! It is asked for once, at the start. A command gets no input, is run without a shell, may take
//! [`PATIENCE`], and must end with status 0; what it says on standard error is not kept, because
//! nobody knows what it says.

use secrecy::SecretString;
use serde::Deserialize;
use std::env;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

/// How long a command may take.
pub const PATIENCE: Duration = Duration::from_secs(30);
const LOOK: Duration = Duration::from_millis(10);
/// Longest key, in bytes.
const MAX_KEY: u64 = 4096;

/// Where a key comes from.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "snake_case")]
pub enum KeySource {
    /// A file, relative to the configuration.
    File(PathBuf),
    /// A variable of the environment.
    Environment(String),
    /// A program and its arguments; it prints the key.
    Command(Vec<String>),
}

impl KeySource {
    /// Reads the key, without white space at its end. What is wrong is said to follow the field's
    /// name.
    pub fn read(&self, folder: &Path) -> Result<SecretString, String> {
        let key = match self {
            Self::File(path) => {
                let path = folder.join(path);
                fs::read_to_string(&path).map_err(|error| {
                    format!(
                        "names the file {}, which cannot be read: {error}",
                        path.display()
                    )
                })?
            }
            Self::Environment(name) => env::var(name).map_err(|_| {
                format!("names the variable {name}, which the environment does not have as text")
            })?,
            Self::Command(line) => run(line, folder)?,
        };
        Ok(SecretString::from(key.trim_end().to_owned()))
    }
}

fn run(line: &[String], folder: &Path) -> Result<String, String> {
    let Some((program, arguments)) = line.split_first() else {
        return Err("names no program".to_owned());
    };
    let failed = |why: String| format!("names the command {program}, which {why}");
    let mut child = Command::new(program)
        .args(arguments)
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| failed(format!("cannot be run: {error}")))?;
    // Read beside the waiting: a command that prints a lot would wait for a reader.
    let (sender, output) = mpsc::channel();
    if let Some(stdout) = child.stdout.take() {
        thread::spawn(move || {
            let mut text = String::new();
            let most = MAX_KEY.saturating_add(1);
            let read = stdout.take(most).read_to_string(&mut text).map(|_| text);
            // Nobody listens any more if it took too long.
            let _ = sender.send(read);
        });
    }
    let too_long = || format!("did not end within {} s", PATIENCE.as_secs());
    let until = Instant::now() + PATIENCE;
    let status = loop {
        match child.try_wait() {
            Ok(Some(status)) => break status,
            Ok(None) if Instant::now() < until => thread::sleep(LOOK),
            _ => {
                let _ = child.kill();
                let _ = child.wait();
                return Err(failed(too_long()));
            }
        }
    };
    if !status.success() {
        return Err(failed(format!("failed ({status})")));
    }
    // What it started may outlive it and keep its output open.
    let left = until.saturating_duration_since(Instant::now());
    let text = output
        .recv_timeout(left)
        .map_err(|_| failed(too_long()))?
        .ok();
    text.filter(|text| u64::try_from(text.len()).is_ok_and(|length| length <= MAX_KEY))
        .ok_or_else(|| failed(format!("did not print a key of at most {MAX_KEY} bytes")))
}
