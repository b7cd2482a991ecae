//! The network: made with the commands that its operators would use, and a proxy before every endpoint
//! that the relayer asks.

use super::process::{Process, mileverse, told};
use alloy::{
    eips::BlockNumberOrTag,
    primitives::{Address, B256, U256, Uint, aliases::U96, b256, hex, uint},
    providers::{Provider as _, ProviderBuilder},
    signers::local::PrivateKeySigner,
};
use mileverse_bindings::{
    Authority, Bridge, IValves, MileVerseCoin,
    deploy::{Deployment, Tranches, Valves, deploy},
};
use mileverse_fixtures::{
    faults::{FaultProxy, Faults},
    ports,
};
use mileverse_primitives::{abi::ICoin, address, genesis::Genesis, quarter::Quarter};
use mileverse_wallet::{
    keystore,
    rpc::{Chain, Endpoint},
};
use serde_json::{Value, json};
use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};
use tempfile::TempDir;

pub const NATIVE: u64 = 77_773;
pub const ETHEREUM: u64 = 31_337;
const VALIDATORS: usize = 4;
/// Endpoints of each chain that the relayer knows.
pub const ENDPOINTS: usize = 3;
/// Anvil's finality is two of its epochs behind, so that many blocks less one can be taken back.
const SLOTS: u64 = 2;
/// Key of anvil's first development account. Public knowledge, worth nothing elsewhere.
const DEPLOYER: B256 = b256!("ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80");
/// Anvil begins so many seconds ago, and catches up before the validators start.
const PAST: u64 = 3_700;
/// MVC that each member has at first on either chain, in its smallest unit: 1,000.
pub const COINS_EACH: U256 = uint!(1_000_000_000_000_000_000_000_U256);
pub const PASSWORD: &str = "a test's password";
/// Between two looks; nothing depends on it.
pub const PACE: Duration = Duration::from_millis(100);

/// How the network is to be.
pub struct Plan {
    pub seed: u64,
    /// What the lines of the validators to Ethereum do.
    pub validator_lines: Faults,
    /// The valves on Ethereum.
    pub valves: Valves,
    /// Further sections of the genesis description: the valves on the native chain, what points cost.
    pub native_rules: String,
    /// Who has MVC on the native chain from its block 0, and on Ethereum.
    pub members: Vec<Address>,
    /// An ERC-20 of the first member's is registered on Ethereum besides.
    pub foreign: bool,
    /// A quarter ends with the native chain's first block, and pots come from Ethereum.
    pub quarter: Option<QuarterEnd>,
}

/// A quarter that ends, and coin that is on its way from Ethereum just then.
pub struct QuarterEnd {
    pub quarter: Quarter,
    pub sender: PrivateKeySigner,
    pub amount: U256,
}

impl QuarterEnd {
    /// The first second after it.
    fn ends(&self) -> u64 {
        self.quarter.ends_ms().unwrap() / 1_000
    }
}

/// Everything that runs.
pub struct Net {
    pub validators: Vec<Process>,
    pub relayer: Process,
    /// Before each endpoint of the relayer, by chain.
    pub proxies: [Vec<FaultProxy>; 2],
    /// Honest endpoints for the test itself.
    pub native: Endpoint,
    pub ethereum: Endpoint,
    pub contracts: Deployment,
    /// The registered ERC-20, if the plan has one.
    pub foreign: Option<Address>,
    /// Where the test's own endpoints are, by chain.
    pub urls: [String; 2],
    /// Where the relayer shows itself.
    pub shown: String,
    pub issuer: PrivateKeySigner,
    pub config: PathBuf,
    _lines: Vec<FaultProxy>,
    // After all that asks it.
    _anvil: Process,
    _directory: TempDir,
}

impl Net {
    /// Starts everything but the relayer.
    pub async fn start(plan: &Plan) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path();
        let ports = ports::free(2 * VALIDATORS + 1).unwrap();
        let (consensus, rest) = ports.split_at(VALIDATORS);
        let (rpc, anvil_port) = rest.split_at(VALIDATORS);

        let passphrase = root.join("passphrase");
        secret(&passphrase, "a test's passphrase");
        told(
            mileverse()
                .args(["node", "deal", "--scrypt-log-n", "10", "--validators"])
                .arg(VALIDATORS.to_string())
                .arg("--out")
                .arg(root)
                .arg("--passphrase-file")
                .arg(&passphrase),
        );
        let issuer = PrivateKeySigner::from_bytes(&B256::repeat_byte(0x71)).unwrap();
        let deployer = deployer();
        let zero = Deployment {
            light_client: Address::ZERO,
            coin: Address::repeat_byte(1),
            bridge: Address::repeat_byte(2),
            points: Address::repeat_byte(3),
            authority: Address::ZERO,
            team_lockup: Address::ZERO,
            advisor_lockup: Address::ZERO,
            reserve: Address::ZERO,
            rewards: Address::ZERO,
            hashed_timelock: Address::repeat_byte(4),
        };
        let draft = genesis(root, plan, consensus, issuer.address(), &zero);

        let begins = plan.quarter.as_ref().map_or_else(now_s, QuarterEnd::ends);
        let mut anvil = anvil(root, anvil_port[0], begins - PAST);
        anvil.start();
        let url = format!("http://127.0.0.1:{}", anvil_port[0]);
        let ethereum = Endpoint::new(Chain::Ethereum, &url).unwrap();
        wait("anvil", async || {
            anvil.runs();
            ethereum.provider().get_block_number().await.ok()
        })
        .await;
        let contracts = contracts(root, &url, &deployer, draft.coins().unwrap(), plan).await;
        let foreign = match plan.foreign {
            true => Some(foreign(&ethereum, &url, &deployer, &contracts, plan.members[0]).await),
            false => None,
        };
        if let Some(end) = &plan.quarter {
            send_before(end, &url, &contracts).await;
        }
        genesis(root, plan, consensus, issuer.address(), &contracts);
        let behind = now_s().saturating_sub(time(&ethereum).await);
        anvil_says(&ethereum, "evm_increaseTime", json!([behind])).await;
        // The first block of the new time: a test may ask what it brought before an interval is over.
        anvil_says(&ethereum, "evm_mine", json!([])).await;
        // Until here a block for each transaction; from here on one a second.
        anvil_says(&ethereum, "evm_setIntervalMining", json!([1])).await;

        let mut lines = Vec::new();
        let mut validators = Vec::new();
        for number in 0..VALIDATORS {
            // One of four may have an endpoint that lies: that is what the committee endures.
            let line = match number {
                0 => plan.validator_lines.lying(plan.validator_lines.lie),
                _ => plan.validator_lines.lying(0),
            };
            let seed = plan.seed.wrapping_mul(100).wrapping_add(number as u64);
            let line = FaultProxy::start(&url, seed, line).await.unwrap();
            let home = root.join(format!("validator-{number}"));
            let config = format!(
                "genesis = '../genesis.json'\ndata_dir = 'data'\nkeys = 'keys.json'\n\
                 passphrase_file = '../passphrase'\nlisten = '127.0.0.1:{}'\n\
                 rpc = '127.0.0.1:{}'\nethereum_rpc = '{}'\n",
                consensus[number],
                rpc[number],
                line.url()
            );
            fs::write(home.join("node.toml"), config).unwrap();
            let name = format!("validator-{number}");
            let path = home.join("node.toml").into_os_string();
            let arguments = ["node".into(), "run".into(), "--config".into(), path];
            validators.push(Process::new(&name, root, true, arguments));
            lines.push(line);
        }
        for validator in &mut validators {
            validator.start();
        }
        let ethereum_url = url;
        let url = |port: u16| format!("http://127.0.0.1:{port}");
        // The last one is not killed, so that the test can always look.
        let native = Endpoint::new(Chain::Native, &url(rpc[VALIDATORS - 1])).unwrap();
        let mut proxies = [Vec::new(), Vec::new()];
        for (number, rpc) in rpc[..ENDPOINTS].iter().enumerate() {
            let seed = plan.seed.wrapping_mul(100).wrapping_add(10 + number as u64);
            for (chain, upstream) in [(0, url(*rpc)), (1, url(anvil_port[0]))] {
                let seed = seed.wrapping_add(chain as u64 * 10);
                let proxy = FaultProxy::start(&upstream, seed, Faults::default()).await;
                proxies[chain].push(proxy.unwrap());
            }
        }
        let config = root.join("relayer.toml");
        let relayer = relayer(root, &config, &proxies, &contracts);
        for name in ["first", "second", "swaps"] {
            let key = keystore_of(root, name);
            anvil_says(
                &ethereum,
                "anvil_setBalance",
                json!([key, "0x56bc75e2d63100000"]),
            )
            .await;
        }
        for member in &plan.members {
            let member = json!([member, "0x56bc75e2d63100000"]);
            anvil_says(&ethereum, "anvil_setBalance", member).await;
        }
        Self {
            validators,
            relayer,
            proxies,
            native,
            ethereum,
            contracts,
            foreign,
            urls: [url(rpc[VALIDATORS - 1]), ethereum_url],
            shown: String::new(),
            issuer,
            config,
            _lines: lines,
            _anvil: anvil,
            _directory: directory,
        }
    }

    /// Both chains, each with the test's own endpoint and its bridge.
    pub fn side(&self, chain: Chain) -> (&Endpoint, Address) {
        match chain {
            Chain::Native => (&self.native, address::BRIDGE),
            Chain::Ethereum => (&self.ethereum, self.contracts.bridge),
        }
    }

    /// A token's contract on a chain, named by the token's home.
    pub const fn token(&self, chain: Chain, home: Chain) -> Address {
        match (chain, home) {
            (Chain::Native, Chain::Native) => address::POINTS,
            (Chain::Native, Chain::Ethereum) => address::COIN,
            (Chain::Ethereum, Chain::Native) => self.contracts.points,
            (Chain::Ethereum, Chain::Ethereum) => self.contracts.coin,
        }
    }

    /// What an account has on a chain of the token with this home.
    pub async fn held(&self, chain: Chain, home: Chain, account: Address) -> U256 {
        let call = ICoin::balanceOfCall { account };
        let token = self.token(chain, home);
        self.side(chain).0.view(token, &call).await.unwrap()
    }

    /// Starts the relayer.
    pub fn start_relayer(&mut self) {
        let ready: Value = serde_json::from_str(&self.relayer.start()).unwrap();
        self.shown = format!("http://{}", ready["listen"].as_str().unwrap());
    }

    /// Asks anvil for something that no real node offers.
    pub async fn anvil(&self, method: &'static str, parameters: Value) -> Value {
        anvil_says(&self.ethereum, method, parameters).await
    }

    /// What a verb of the relayer answers on its configuration.
    pub fn relayer_told(&self, arguments: &[&str]) -> Value {
        let output = told(
            mileverse()
                .arg("relayer")
                .args(arguments)
                .arg("--json")
                .arg("--config")
                .arg(&self.config),
        );
        serde_json::from_slice(&output).unwrap()
    }
}

async fn anvil_says(ethereum: &Endpoint, method: &'static str, parameters: Value) -> Value {
    ethereum
        .method::<_, Value>(method, parameters)
        .await
        .unwrap()
}

async fn time(ethereum: &Endpoint) -> u64 {
    let block = ethereum
        .provider()
        .get_block_by_number(BlockNumberOrTag::Latest)
        .await;
    block.unwrap().unwrap().header.timestamp
}

/// Makes an ERC-20 that belongs to `owner`, and has the governor register it, with 6 decimals.
async fn foreign(
    ethereum: &Endpoint,
    url: &str,
    governor: &PrivateKeySigner,
    contracts: &Deployment,
    owner: Address,
) -> Address {
    let provider = ProviderBuilder::new()
        .wallet(governor.clone())
        .connect_http(url.parse().unwrap());
    let all = MileVerseCoin::Share {
        account: owner,
        amount: U256::from(3_000_000_000u64) * U256::from(10u64).pow(U256::from(18)),
    };
    let token = *MileVerseCoin::deploy(&provider, vec![all])
        .await
        .unwrap()
        .address();
    let none = U96::MAX;
    let limits = IValves::Limits {
        sendPerHour: none,
        sendPerDay: none,
        receivePerHour: none,
        receivePerDay: none,
        largeFrom: none,
        holdSeconds: 0,
    };
    let bridge = Bridge::new(contracts.bridge, &provider);
    let call = bridge.register(token, 6, limits).calldata().clone();
    let authority = Authority::new(contracts.authority, &provider);
    let scheduled = authority
        .schedule(contracts.bridge, call.clone(), Uint::ZERO)
        .send()
        .await
        .unwrap();
    assert!(scheduled.get_receipt().await.unwrap().status());
    anvil_says(ethereum, "evm_increaseTime", json!([3_601])).await;
    let done = authority
        .execute(contracts.bridge, call)
        .send()
        .await
        .unwrap();
    assert!(done.get_receipt().await.unwrap().status());
    token
}

/// Sends the coin that is on its way when the quarter ends. Its hour is over before the native chain
/// begins, so it comes home.
async fn send_before(end: &QuarterEnd, url: &str, contracts: &Deployment) {
    let provider = ProviderBuilder::new()
        .wallet(end.sender.clone())
        .connect_http(url.parse().unwrap());
    let balance = json!([end.sender.address(), "0x56bc75e2d63100000"]);
    let () = provider
        .raw_request("anvil_setBalance".into(), balance)
        .await
        .unwrap();
    let coin = MileVerseCoin::new(contracts.coin, &provider);
    let allowed = coin.approve(contracts.bridge, end.amount).send().await;
    assert!(allowed.unwrap().get_receipt().await.unwrap().status());
    let receiver = Address::repeat_byte(0x77);
    let bridge = Bridge::new(contracts.bridge, &provider);
    let sent = bridge
        .send(contracts.coin, receiver, end.amount, end.ends())
        .send()
        .await
        .unwrap();
    assert!(sent.get_receipt().await.unwrap().status());
}

fn anvil(root: &Path, port: u16, timestamp: u64) -> Process {
    let packages = Path::new(env!("CARGO_MANIFEST_DIR")).join("contracts/node_modules/@foundry-rs");
    let program = fs::read_dir(&packages)
        .expect("contracts/node_modules is missing; run `npm ci --prefix contracts`")
        .map(|folder| folder.unwrap().path())
        .find(|folder| {
            folder
                .file_name()
                .unwrap()
                .to_string_lossy()
                .starts_with("anvil-")
        })
        .expect("anvil is not among the packages, or not for this platform")
        .join("bin/anvil");
    let mut arguments = vec![
        "guard".to_owned(),
        "--".to_owned(),
        program.display().to_string(),
    ];
    for (flag, value) in [
        ("--host", "127.0.0.1".to_owned()),
        ("--port", port.to_string()),
        ("--chain-id", ETHEREUM.to_string()),
        ("--hardfork", "prague".to_owned()),
        ("--slots-in-an-epoch", SLOTS.to_string()),
        // So that a governor's delay can pass without the chain running ahead of the clock.
        ("--timestamp", timestamp.to_string()),
    ] {
        arguments.push(flag.to_owned());
        arguments.push(value);
    }
    Process::new("anvil", root, false, arguments)
}

async fn contracts(
    root: &Path,
    url: &str,
    deployer: &PrivateKeySigner,
    genesis_coins: U256,
    plan: &Plan,
) -> Deployment {
    let dealing = fs::read_to_string(root.join("dealing.json")).unwrap();
    let dealing: Value = serde_json::from_str(&dealing).unwrap();
    let group_key = hex::decode(dealing["groupKey"].as_str().unwrap()).unwrap();
    let provider = ProviderBuilder::new()
        .wallet(deployer.clone())
        .connect_http(url.parse().unwrap());
    let owner = deployer.address();
    let tranches = Tranches {
        sale: owner,
        team: owner,
        partner: owner,
        advisor: owner,
        marketing: owner,
        lockup_start: now_s(),
    };
    let contracts = deploy(
        &provider,
        &group_key,
        NATIVE,
        &tranches,
        genesis_coins,
        &plan.valves,
    )
    .await
    .unwrap();
    let coin = MileVerseCoin::new(contracts.coin, &provider);
    for member in &plan.members {
        let sent = coin.transfer(*member, COINS_EACH).send().await.unwrap();
        assert!(sent.get_receipt().await.unwrap().status());
    }
    contracts
}

/// Writes the genesis file.
fn genesis(
    root: &Path,
    plan: &Plan,
    ports: &[u16],
    issuer: Address,
    contracts: &Deployment,
) -> Genesis {
    let mut spec = plan.quarter.as_ref().map_or_else(String::new, |end| {
        format!("timestamp_ms = {}\n", (end.ends() - 1) * 1_000)
    });
    spec += &format!(
        "chain_id = {NATIVE}\nepoch_blocks = 64\ndealing = 'dealing.json'\n\
         block_time_ms = 100\nidle_block_time_ms = 300\n[ethereum]\nchain_id = {ETHEREUM}\n\
         bridge = '{}'\ncoin = '{}'\npoints = '{}'\nhashed_timelock = '{}'\n\
         [[issuers]]\naddress = '{issuer}'\ndaily_quota = '1000000'\n{}",
        contracts.bridge,
        contracts.coin,
        contracts.points,
        contracts.hashed_timelock,
        plan.native_rules
    );
    for (number, port) in (10..).zip(ports) {
        spec += &format!(
            "[[members]]\nowner = '{}'\naddress = '127.0.0.1:{port}'\nstake = '20000'\n\
             commission_bp = 500\n",
            Address::repeat_byte(number)
        );
    }
    for member in &plan.members {
        spec += &format!("[[allocations]]\naddress = '{member}'\namount = '1000'\n");
    }
    // Whoever is killed here shall come back, not go to jail.
    spec += &format!("[staking]\nseats = {VALIDATORS}\nrecordFloorBp = 0\n");
    if plan.quarter.is_some() && !contracts.rewards.is_zero() {
        spec += &format!("[rewards]\nsource = '{}'\n", contracts.rewards);
    }
    fs::write(root.join("network.toml"), spec).unwrap();
    let path = root.join("genesis.json");
    let _ = fs::remove_file(&path);
    told(
        mileverse()
            .args(["genesis", "new", "--json", "--spec"])
            .arg(root.join("network.toml"))
            .arg("--out")
            .arg(&path),
    );
    Genesis::parse(&fs::read_to_string(path).unwrap()).unwrap()
}

/// Makes an encrypted key file, once; whose it is.
pub fn keystore_of(root: &Path, name: &str) -> Address {
    let path = root.join(name);
    let key = match path.exists() {
        true => keystore::open(&path, PASSWORD).unwrap(),
        false => {
            let key = PrivateKeySigner::random();
            keystore::store(&path, PASSWORD, &key).unwrap();
            key
        }
    };
    key.address()
}

fn relayer(
    root: &Path,
    config: &Path,
    proxies: &[Vec<FaultProxy>; 2],
    contracts: &Deployment,
) -> Process {
    secret(&root.join("password"), PASSWORD);
    let key = |name: &str| {
        keystore_of(root, name);
        format!("{{ keystore = '{name}', password_file = 'password' }}")
    };
    let keys = ["first", "second"].map(key).join(", ");
    let swaps = key("swaps");
    let urls = |chain: usize| {
        let urls: Vec<_> = proxies[chain]
            .iter()
            .map(|proxy| format!("'{}'", proxy.url()))
            .collect();
        urls.join(", ")
    };
    let text = format!(
        "database = 'relayer.sqlite'\npoll_interval_ms = 100\nlisten = '127.0.0.1:0'\n\
         [route.main.native]\nrpc = [{}]\nquorum = 2\nkeys = [{keys}]\n\
         [route.main.ethereum]\nrpc = [{}]\nquorum = 2\nbridge = '{}'\nkeys = [{keys}]\n\
         replace_after_s = 20\n\
         [route.main.swaps]\nethereum = '{}'\nnative_keys = [{swaps}]\nethereum_keys = [{swaps}]\n",
        urls(0),
        urls(1),
        contracts.bridge,
        contracts.hashed_timelock
    );
    fs::write(config, text).unwrap();
    let arguments = [
        "relayer".into(),
        "run".into(),
        "--config".into(),
        config.into(),
    ];
    Process::new::<std::ffi::OsString>("relayer", root, true, arguments)
}

/// Writes a file that only its owner may read.
pub fn secret(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

/// Anvil's first account, which deploys the contracts.
pub fn deployer() -> PrivateKeySigner {
    PrivateKeySigner::from_bytes(&DEPLOYER).unwrap()
}

/// Seconds since 1970, by this machine.
pub fn now_s() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs()
}

/// Looks again and again until `look` finds something.
pub async fn wait<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let since = Instant::now();
    loop {
        if let Some(found) = look().await {
            return found;
        }
        let patience = Duration::from_secs(300);
        assert!(since.elapsed() < patience, "{what} did not come");
        tokio::time::sleep(PACE).await;
    }
}
