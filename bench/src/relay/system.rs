//! The whole system as `mileverse up` starts it, as one child process in a directory of its own.

use super::memory::Relayer;
use crate::error::Error;
use alloy::signers::local::PrivateKeySigner;
use mileverse_primitives::Address;
use mileverse_wallet::{
    keystore,
    rpc::{Chain, Endpoint},
};
use serde::{Deserialize, de::DeserializeOwned};
use std::{fs, path::Path, process::Stdio, time::Duration};
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader},
    process::{Child, ChildStdin, Command},
    time::timeout,
};

/// How long the journey may take.
const START: Duration = Duration::from_secs(900);
/// Longest answer of `up`.
const MAX_ANSWER: u64 = 1024 * 1024;

/// The line that `up` prints when the journey is over.
#[derive(Deserialize)]
struct Journey {
    ok: bool,
    urls: Urls,
}

#[derive(Deserialize)]
struct Urls {
    native: Vec<String>,
    ethereum: String,
}

/// Where the contracts are.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Contracts {
    bridge: Address,
    coin: Address,
}

/// The running system.
pub struct System {
    /// The native chain.
    pub native: Endpoint,
    /// Ethereum.
    pub ethereum: Endpoint,
    /// The bridge contract.
    pub bridge: Address,
    /// MVC on Ethereum.
    pub coin: Address,
    /// A member with tokens on both chains.
    pub member: PrivateKeySigner,
    /// The relayer's process, if this machine shows processes.
    pub relayer: Option<Relayer>,
    child: Child,
    /// Its end stops everything.
    stdin: Option<ChildStdin>,
    _directory: TempDir,
}

impl System {
    /// Starts it, and waits until its journey is over.
    pub async fn start() -> Result<Self, Error> {
        let system = |what| move |source| Error::System { what, source };
        let directory = tempfile::tempdir().map_err(system("a temporary directory"))?;
        let data = directory.path().join("data");
        let program = std::env::current_exe().map_err(system("the path of this program"))?;
        let log = directory.path().join("up.log");
        let said = fs::File::create(&log).map_err(|source| Error::File {
            path: log.clone(),
            source,
        })?;
        let mut child = Command::new(program)
            .args(["--exit-with-stdin", "up", "--json", "--data-dir"])
            .arg(&data)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(said)
            .kill_on_drop(true)
            .spawn()
            .map_err(system("the process of mileverse up"))?;
        let stdin = child.stdin.take();
        let stdout = child.stdout.take();
        let answer = async {
            let mut lines = BufReader::new(stdout?.take(MAX_ANSWER)).lines();
            while let Ok(Some(line)) = lines.next_line().await {
                if let Ok(journey) = serde_json::from_str::<Journey>(&line) {
                    return Some(journey);
                }
            }
            None
        };
        let journey = timeout(START, answer).await.ok().flatten();
        let Some(journey) = journey.filter(|journey| journey.ok) else {
            let text = fs::read_to_string(&log).unwrap_or_default();
            return Err(Error::Setup(format!(
                "mileverse up did not come through its journey:\n{text}"
            )));
        };
        let contracts: Contracts = read(&data.join("ethereum/deployment.json"))?;
        let password = keystore::password(Some(&data.join("keys/password"))).map_err(setup)?;
        let member = keystore::open(&data.join("keys/member.json"), &password).map_err(setup)?;
        let native = journey.urls.native.first().map_or("", String::as_str);
        Ok(Self {
            native: Endpoint::new(Chain::Native, native).map_err(setup)?,
            ethereum: Endpoint::new(Chain::Ethereum, &journey.urls.ethereum).map_err(setup)?,
            bridge: contracts.bridge,
            coin: contracts.coin,
            member,
            relayer: Relayer::find(&data.join("relayer/relayer.toml")),
            child,
            stdin,
            _directory: directory,
        })
    }

    /// Stops every process of it.
    pub async fn stop(mut self) {
        self.stdin = None;
        if timeout(Duration::from_secs(60), self.child.wait())
            .await
            .is_err()
        {
            let _ = self.child.kill().await;
        }
    }
}

/// Anything that goes wrong on the way.
pub fn setup(error: impl std::fmt::Display) -> Error {
    Error::Setup(error.to_string())
}

fn read<T: DeserializeOwned>(path: &Path) -> Result<T, Error> {
    let text = fs::read_to_string(path).map_err(|source| Error::File {
        path: path.to_owned(),
        source,
    })?;
    serde_json::from_str(&text).map_err(setup)
}
