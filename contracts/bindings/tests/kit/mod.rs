//! An Ethereum node for one test, stopped when the test ends. The gateway's tests use it, too.

#![allow(dead_code, reason = "each test uses its part")]

use std::{
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use alloy::{
    primitives::Address,
    providers::{Provider, ProviderBuilder},
    signers::local::PrivateKeySigner,
};

/// The first of anvil's well-known development accounts.
const SECRET: &str = "ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80";

/// A running anvil.
pub struct Anvil {
    child: Child,
    url: String,
    signer: PrivateKeySigner,
}

impl Anvil {
    /// Starts anvil on a free port and waits until it listens.
    pub fn start() -> Self {
        Self::with(&[])
    }

    /// Starts it with further arguments.
    pub fn with(arguments: &[&str]) -> Self {
        let mut child = Command::new(binary())
            .args(["--port", "0"])
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("anvil starts");
        let stdout = child.stdout.take().expect("anvil has a stdout");
        let mut lines = BufReader::new(stdout).lines();
        let url = lines
            .find_map(|line| {
                Some(format!(
                    "http://{}",
                    line.ok()?.strip_prefix("Listening on ")?
                ))
            })
            .expect("anvil says where it listens");
        // Anvil goes on writing; somebody must go on reading.
        std::thread::spawn(move || lines.for_each(drop));
        Self {
            child,
            url,
            signer: SECRET.parse().expect("a secret key"),
        }
    }

    /// A provider that signs with the account.
    pub fn provider(&self) -> impl Provider + Clone + use<> {
        ProviderBuilder::new()
            .wallet(self.signer.clone())
            .connect_http(self.url.parse().expect("a URL"))
    }

    /// Where it answers.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The account that signs and pays.
    pub fn account(&self) -> Address {
        self.signer.address()
    }
}

impl Drop for Anvil {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The platform's own binary: npm's launcher would outlive its parent's kill.
fn binary() -> PathBuf {
    let machine = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    let system = match std::env::consts::OS {
        "macos" => "darwin",
        other => other,
    };
    let binary = format!("node_modules/@foundry-rs/anvil-{system}-{machine}/bin/anvil");
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .flat_map(|folder| [folder.join(&binary), folder.join("contracts").join(&binary)])
        .find(|path| path.exists())
        .expect("anvil is not installed; run `npm ci` in contracts/ first")
}
