//! A new group key, from the delegates' wish to Ethereum: the system that `up` starts, the public
//! commands, and the real contracts.
//!
//! The owners of all delegates ask; the committee makes a key; the chain hands over to it at an
//! epoch's end and tells Ethereum by a packet under the old key; the relayer carries it. After that
//! the contract has another light client, and a packet under the new key arrives. That the old key
//! counts no more is tried in `contracts/test/Rotation.t.sol`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use alloy::{
    primitives::{Address, U256},
    providers::{DynProvider, Provider as _, ProviderBuilder},
};
use mileverse_bindings::Bridge;
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
struct System {
    child: Child,
    directory: TempDir,
    settings: Value,
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
    fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut child = mileverse()
            .args(["--exit-with-stdin", "up", "--json", "--data-dir"])
            .arg(directory.path())
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
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn native(&self) -> String {
        format!("http://127.0.0.1:{}", self.settings["ports"]["rpc"][0])
    }

    fn ethereum(&self) -> String {
        format!("http://127.0.0.1:{}", self.settings["ports"]["ethereum"])
    }

    /// A verb with the account of `name`; its answer.
    fn run(&self, name: &str, arguments: &[&str]) -> Value {
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

    fn contracts(&self) -> Value {
        let text = fs::read_to_string(self.path("ethereum/deployment.json")).unwrap();
        serde_json::from_str(&text).unwrap()
    }
}

fn mileverse() -> Command {
    Command::new(Path::new(env!("CARGO_BIN_EXE_mileverse")))
}

/// Looks again and again until `look` finds something.
async fn wait<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let since = Instant::now();
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(since.elapsed() < PATIENCE, "{what} did not come");
        tokio::time::sleep(PACE).await;
    }
}

#[tokio::test]
async fn ethereum_follows_the_chain_to_a_new_group_key() {
    let system = System::start();
    let ethereum: DynProvider = ProviderBuilder::new()
        .connect_http(system.ethereum().parse().unwrap())
        .erased();
    let contracts = system.contracts();
    let address = |name: &str| {
        contracts[name]
            .as_str()
            .unwrap()
            .parse::<Address>()
            .unwrap()
    };
    let bridge = Bridge::new(address("bridge"), ethereum.clone());
    let old = bridge.lightClient().call().await.unwrap();
    let before = bridge.keyInForce().call().await.unwrap();

    for delegate in 0..4 {
        system.run(&format!("delegate-{delegate}"), &["delegate", "rotate"]);
    }
    // Something to confirm keeps the chain at its full pace, and shows that it goes on meanwhile.
    let receiver = Address::repeat_byte(0x42).to_string();
    let pay = || {
        system.run(
            "member",
            &[
                "wallet", "send", "--token", "mvp", "--to", &receiver, "--amount", "0.01", "--yes",
            ],
        )
    };
    let after = wait("the new key on Ethereum", async || {
        pay();
        let now = bridge.keyInForce().call().await.unwrap();
        (now.keyVersion > before.keyVersion).then_some(now)
    })
    .await;
    assert_eq!(after.keyVersion, before.keyVersion + 1);
    assert!(after.firstEpoch > before.firstEpoch);
    assert_ne!(bridge.lightClient().call().await.unwrap(), old);
    let standing = system.run("member", &["delegate", "rotation"]);
    assert_eq!(
        standing["keys"].to_string().replace('"', ""),
        "1",
        "{standing}"
    );

    // What is sent from the first epoch of the new key on is proven under it.
    let points = mileverse_bindings::WrappedPoints::new(address("points"), ethereum.clone());
    let member = system.run("member", &["wallet", "address"]);
    let member: Address = member["address"].as_str().unwrap().parse().unwrap();
    let held = points.balanceOf(member).call().await.unwrap();
    system.run(
        "member",
        &[
            "wallet",
            "bridge",
            "send",
            "--token",
            "mvp",
            "--direction",
            "to-ethereum",
            "--amount",
            "1",
            "--yes",
            "--ethereum-rpc",
            &system.ethereum(),
        ],
    );
    wait("a packet under the new key", async || {
        let now = points.balanceOf(member).call().await.unwrap();
        (now == held + U256::from(1_000_000)).then_some(())
    })
    .await;
}
