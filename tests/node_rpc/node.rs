//! A real validator process, alone in its committee. Its Ethereum endpoint is dead, so it agrees on no
//! checkpoint and goes on all the same.

use alloy::{
    network::{EthereumWallet, TransactionBuilder as _},
    primitives::{Address, U256, hex, keccak256},
    providers::{DynProvider, Provider as _, ProviderBuilder, WsConnect},
    rpc::types::TransactionRequest,
    signers::local::PrivateKeySigner,
    sol_types::SolCall as _,
};
use mileverse_node::{
    dealer,
    secrets::{Cost, Passphrase},
};
use mileverse_primitives::{
    abi::IPoints,
    address::POINTS,
    bridge::BridgeRules,
    exchange,
    fees::FeeRules,
    genesis::{EthereumSide, Genesis, Issuer, Seat},
    points::PointsRules,
    quarter::Quarter,
    rewards::RewardRules,
    staking::{Allocation, StakingRules, coins},
};
use std::{
    fs,
    io::{BufRead as _, BufReader},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{SystemTime, UNIX_EPOCH},
};
use tempfile::TempDir;

/// EIP-155 chain id.
pub const CHAIN_ID: u64 = 77_771;
const GAS: u64 = 1_000_000;
/// Returns the number 42 to whoever calls: its creation code, then `PUSH1 42, MSTORE, RETURN`.
pub const ANSWER: [u8; 22] = hex!("600a600c600039600a6000f3602a60005260206000f3");

/// A running validator; stopped when dropped.
pub struct Node {
    child: Child,
    pub url: String,
    pub issuer: PrivateKeySigner,
    directory: TempDir,
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Node {
    pub async fn start() -> Self {
        Self::with("").await
    }

    /// A node with more in its configuration.
    pub async fn with(more: &str) -> Self {
        let node = Self::of(1, FeeRules::default(), more);
        node.reaches(1).await;
        node
    }

    /// A node of a chain where gas costs something.
    pub async fn charging(fees: FeeRules) -> Self {
        let node = Self::of(1, fees, "");
        node.reaches(1).await;
        node
    }

    /// One of four validators, the others of which do not run: its chain stands at block 0.
    pub fn at_genesis() -> Self {
        Self::of(4, FeeRules::default(), "")
    }

    fn of(validators: u8, fees: FeeRules, more: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let dealing = dealer::deal(validators.into()).unwrap();
        let issuer = PrivateKeySigner::random();
        let mut contracts = exchange::contracts();
        exchange::operate(&mut contracts, issuer.address());
        let genesis = Genesis {
            chain_id: CHAIN_ID,
            timestamp_ms: before_the_quarter(),
            gas_limit: 30_000_000,
            block_time_ms: 50,
            idle_block_time_ms: 200,
            epoch_blocks: 16,
            committee: dealing.committee((1..=validators).map(|number| Seat {
                owner: Address::repeat_byte(number),
                address: SocketAddr::from(([127, 0, 0, 1], number.into())),
                stake: coins(10_000),
                commission_bp: 500,
            })),
            points: PointsRules::default(),
            fees,
            bridge: BridgeRules::default(),
            issuers: vec![Issuer {
                address: issuer.address(),
                daily_quota: U256::from(1_000_000),
            }],
            ethereum: EthereumSide {
                chain_id: 1,
                bridge: Address::repeat_byte(1),
                coin: Address::repeat_byte(2),
                points: Address::repeat_byte(3),
                hashed_timelock: None,
            },
            staking: StakingRules {
                seats: validators.into(),
                ..StakingRules::default()
            },
            contracts,
            peers: Vec::new(),
            rewards: RewardRules::default(),
            // Enough to pay for gas that costs something.
            allocations: vec![Allocation {
                address: issuer.address(),
                amount: coins(10),
            }],
        };
        let path = |name: &str| directory.path().join(name);
        let passphrase = Passphrase::random_file(&path("passphrase")).unwrap();
        dealing.keys[0]
            .write(&path("keys.json"), &passphrase, Cost::LIGHT)
            .unwrap();
        fs::write(
            path("genesis.json"),
            serde_json::to_string(&genesis).unwrap(),
        )
        .unwrap();
        configure(directory.path(), more);
        let (child, url) = launch(&path("node.toml"));
        Self {
            child,
            url,
            issuer,
            directory,
        }
    }

    /// Other things at the end of its configuration, from the next start on.
    pub fn configure(&self, more: &str) {
        configure(self.directory.path(), more);
    }

    /// Its network's genesis file.
    pub fn genesis(&self) -> PathBuf {
        self.directory.path().join("genesis.json")
    }

    /// SIGKILL, and the same validator again.
    pub async fn restart(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        (self.child, self.url) = launch(&self.directory.path().join("node.toml"));
        self.reaches(1).await;
    }

    pub fn provider(&self) -> DynProvider {
        ProviderBuilder::new()
            .wallet(EthereumWallet::from(self.issuer.clone()))
            .connect_http(self.url.parse().unwrap())
            .erased()
    }

    /// The same over WebSocket, with subscriptions.
    pub async fn socket(&self) -> DynProvider {
        let url = self.url.replacen("http", "ws", 1);
        ProviderBuilder::new()
            .wallet(EthereumWallet::from(self.issuer.clone()))
            .connect_ws(WsConnect::new(url))
            .await
            .unwrap()
            .erased()
    }

    /// Waits until a block of at least this height is final.
    pub async fn reaches(&self, height: u64) {
        let provider = self.provider();
        while provider.get_block_number().await.unwrap() < height {
            tokio::task::yield_now().await;
        }
    }

    pub fn cast(&self, arguments: &[&str]) -> String {
        cast_alone(&[arguments, &["--rpc-url", &self.url]].concat())
    }
}

/// `cast`, for what needs no chain.
pub fn cast_alone(arguments: &[&str]) -> String {
    let output = Command::new(cast()).args(arguments).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "cast {arguments:?}: {said}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// A second before the quarter under way: block 1 closes the one before, and begins with a system
/// transaction; no later block does.
fn before_the_quarter() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let quarter = Quarter::containing(u64::try_from(now.as_millis()).unwrap());
    quarter.and_then(Quarter::begins_ms).unwrap() - 1_000
}

fn configure(directory: &Path, more: &str) {
    let base = "genesis = 'genesis.json'\ndata_dir = 'data'\nkeys = 'keys.json'\n\
                passphrase_file = 'passphrase'\nlisten = '127.0.0.1:0'\nrpc = '127.0.0.1:0'\n\
                ethereum_rpc = 'http://127.0.0.1:1'\n";
    fs::write(directory.join("node.toml"), [base, more].concat()).unwrap();
}

fn launch(config: &Path) -> (Child, String) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_mileverse"))
        .args(["node", "run", "--config"])
        .arg(config)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    let ready: serde_json::Value = serde_json::from_str(&line).expect("the ready line");
    (child, ready["url"].as_str().unwrap().to_owned())
}

/// The platform's own `cast`, as npm installed it.
fn cast() -> PathBuf {
    let packages = Path::new(env!("CARGO_MANIFEST_DIR")).join("contracts/node_modules/@foundry-rs");
    fs::read_dir(&packages)
        .unwrap_or_else(|_| panic!("run `npm ci` in contracts/ first"))
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            path.file_name()
                .unwrap()
                .to_string_lossy()
                .starts_with("cast-")
        })
        .map(|path| path.join("bin/cast"))
        .find(|path| path.exists())
        .expect("cast for this platform")
}

/// Issues points, for nothing.
pub fn issue(to: Address, amount: u64, name: &str) -> TransactionRequest {
    let call = IPoints::issueCall {
        to,
        amount: U256::from(amount),
        conversionId: keccak256(name),
    };
    free(
        TransactionRequest::default()
            .with_to(POINTS)
            .with_input(call.abi_encode()),
    )
}

/// A transaction for nothing, with gas enough.
pub fn free(request: TransactionRequest) -> TransactionRequest {
    request.with_gas_price(0).with_gas_limit(GAS)
}

/// Points of an account.
pub async fn balance(provider: &DynProvider, of: Address) -> U256 {
    let call = IPoints::balanceOfCall { account: of };
    let request = TransactionRequest::default()
        .with_to(POINTS)
        .with_input(call.abi_encode());
    let output = provider.call(request).await.unwrap();
    IPoints::balanceOfCall::abi_decode_returns(&output).unwrap()
}
