//! A follower on real TCP. Four validator processes run for some epochs; then a node that nobody
//! knows visits them, fetches the state, and answers with the chain's own numbers without having
//! replayed it. It is killed, and goes on from what it has.
//!
//! A quarter is paid while the follower fetches the state in the middle of it and the validator is killed.
//!
//! And the other way round: a validator alone is killed at random moments under load, while a follower
//! that nobody disturbs executes every block. `MILEVERSE_KILLS=100` for a long run; `MILEVERSE_SEED`
//! chooses the moments.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use alloy::{
    consensus::Transaction as _,
    eips::BlockId,
    network::{EthereumWallet, TransactionBuilder as _, TransactionResponse as _},
    primitives::{Address, B256, U256},
    providers::{DynProvider, Provider as _, ProviderBuilder},
    rpc::types::{Filter, TransactionRequest},
    signers::local::PrivateKeySigner,
    sol_types::{SolCall, SolEvent as _},
    transports::TransportResult,
};
use mileverse_fixtures::ports::free_addresses;
use mileverse_primitives::{
    abi::IRewards,
    address::{REWARDS, SYSTEM},
    quarter::Quarter,
    rpc::{Epoch, Status, SyncPhase},
};
use rand::{Rng as _, SeedableRng as _, rngs::StdRng};
use std::{
    fs,
    io::{BufRead as _, BufReader},
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

const CHAIN_ID: u64 = 77_773;
const VALIDATORS: usize = 4;
const EPOCH_BLOCKS: u64 = 16;
/// A free port.
const ANY: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
/// Between two looks; nothing depends on it.
const PACE: Duration = Duration::from_millis(50);

/// Transactions of one payer that wait for a block; a pool takes a few hundred.
const IN_FLIGHT: u64 = 200;

/// A node's process; killed when dropped.
struct Node {
    config: PathBuf,
    child: Child,
    url: String,
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            let log = fs::read_to_string(log(&self.config)).unwrap_or_default();
            let lines: Vec<_> = log.lines().collect();
            let last = lines.len().saturating_sub(20);
            eprintln!(
                "--- {}\n{}",
                self.config.display(),
                lines[last..].join("\n")
            );
        }
    }
}

fn log(config: &Path) -> PathBuf {
    config.with_extension("log")
}

impl Node {
    /// Starts `node run` or `node follow` and waits until it says that it is ready.
    fn start(verb: &str, config: PathBuf) -> Self {
        let log = fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(log(&config))
            .unwrap();
        let mut command = mileverse();
        command
            .args(["--exit-with-stdin", "node", verb, "--config"])
            .arg(&config);
        if verb == "follow" {
            command.args(["--scrypt-log-n", "10"]);
        }
        // The pipe on its standard input makes sure that it ends with this test, however that ends.
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let mut node = Self {
            config,
            child,
            url: String::new(),
        };
        let ready: serde_json::Value = serde_json::from_str(&line).expect("the ready line");
        node.url = ready["url"].as_str().unwrap().to_owned();
        node
    }

    /// SIGKILL.
    fn kill(&self) {
        let pid = i32::try_from(self.child.id()).unwrap();
        nix::sys::signal::kill(
            nix::unistd::Pid::from_raw(pid),
            nix::sys::signal::Signal::SIGKILL,
        )
        .unwrap();
    }

    /// SIGKILL, and the same node again.
    fn restart(self, verb: &str) -> Self {
        let config = self.config.clone();
        drop(self);
        Self::start(verb, config)
    }

    fn provider(&self) -> DynProvider {
        ProviderBuilder::new()
            .connect_http(self.url.parse().unwrap())
            .erased()
    }

    async fn status(&self) -> Status {
        let provider = self.provider();
        provider
            .client()
            .request("mileverse_status", ())
            .await
            .unwrap()
    }

    async fn reaches(&self, height: u64) {
        let provider = self.provider();
        while provider.get_block_number().await.unwrap() < height {
            tokio::time::sleep(PACE).await;
        }
    }
}

fn mileverse() -> Command {
    Command::new(env!("CARGO_BIN_EXE_mileverse"))
}

/// Runs a command that must succeed.
fn done(command: &mut Command) {
    let output = command.stdin(Stdio::null()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {said}");
}

/// The configuration of a node that answers JSON-RPC at `rpc`.
fn configure(home: &Path, listen: SocketAddr, rpc: SocketAddr, introduce: &[String]) -> PathBuf {
    fs::create_dir_all(home).unwrap();
    let config = home.join("node.toml");
    fs::write(
        &config,
        format!(
            "genesis = '../genesis.json'\ndata_dir = 'data'\nkeys = 'keys.json'\n\
             passphrase_file = '../passphrase'\nlisten = '{listen}'\nrpc = '{rpc}'\n\
             ethereum_rpc = 'http://127.0.0.1:1'\nintroduce = {introduce:?}\n"
        ),
    )
    .unwrap();
    config
}

fn spec(listen: &[SocketAddr], facts: &str) -> String {
    let mut spec = format!(
        "{facts}chain_id = {CHAIN_ID}\nepoch_blocks = {EPOCH_BLOCKS}\ndealing = 'dealing.json'\n\
         block_time_ms = 50\nidle_block_time_ms = 100\n[ethereum]\nchain_id = 1\n"
    );
    for (name, byte) in [("bridge", 1), ("coin", 2), ("points", 3)] {
        spec += &format!("{name} = '{}'\n", Address::repeat_byte(byte));
    }
    for (number, address) in (10..).zip(listen) {
        spec += &format!(
            "[[members]]\nowner = '{}'\naddress = '{address}'\nstake = '20000'\ncommission_bp = 500\n",
            Address::repeat_byte(number)
        );
    }
    spec
}

/// Coin that an account has from the start.
fn allocation(to: Address, amount: &str) -> String {
    format!("[[allocations]]\naddress = '{to}'\namount = '{amount}'\n")
}

/// A network of so many validators in `root`. Nobody runs yet. Answers their configurations.
fn found(root: &Path, listen: &[SocketAddr], rpc: &[SocketAddr], spec: &str) -> Vec<PathBuf> {
    let passphrase = root.join("passphrase");
    mileverse_node::secrets::Passphrase::random_file(&passphrase).unwrap();
    done(
        mileverse()
            .args(["node", "deal", "--scrypt-log-n", "10", "--validators"])
            .arg(listen.len().to_string())
            .arg("--out")
            .arg(root)
            .arg("--passphrase-file")
            .arg(&passphrase),
    );
    let network = root.join("network.toml");
    fs::write(&network, spec).unwrap();
    done(
        mileverse()
            .args(["genesis", "new", "--spec"])
            .arg(network)
            .arg("--out")
            .arg(root.join("genesis.json")),
    );
    listen
        .iter()
        .enumerate()
        .map(|(number, address)| {
            let home = root.join(format!("validator-{number}"));
            configure(&home, *address, rpc[number], &[])
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_fetches_the_state_and_follows() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path();
    let (listen, rpc) = (free_addresses(VALIDATORS + 1).unwrap(), [ANY; VALIDATORS]);
    let member = PrivateKeySigner::random();
    let coins = U256::from(12_345u64) * U256::from(10u64).pow(U256::from(17u64));
    let description = spec(&listen[..VALIDATORS], "") + &allocation(member.address(), "1234.5");
    let validators: Vec<Node> = found(root, &listen[..VALIDATORS], &rpc, &description)
        .into_iter()
        .map(|config| Node::start("run", config))
        .collect();
    validators[0].reaches(3 * EPOCH_BLOCKS).await;

    // Nobody knows it, it has no keys, and its configuration names nothing but where to knock.
    let hosts: Vec<String> = validators.iter().map(|node| node.url.clone()).collect();
    let config = configure(&root.join("follower"), listen[VALIDATORS], ANY, &hosts);
    let follower = Node::start("follow", config);
    assert!(root.join("follower/keys.json").exists());

    let provider = follower.provider();
    assert_eq!(provider.get_balance(member.address()).await.unwrap(), coins);
    let status = follower.status().await;
    let first = status.first_height.unwrap();
    assert!(
        first > 2 * EPOCH_BLOCKS,
        "it replayed from height {first} on"
    );
    assert_eq!(status.sync.phase, SyncPhase::Following);
    assert!(status.sync.operations > 0, "{:?}", status.sync);
    let refusal = provider.get_block_by_number(1.into()).await.unwrap_err();
    assert!(
        refusal.to_string().contains("synced the state"),
        "{refusal}"
    );

    // It follows into the next epoch, over the same blocks as everybody.
    let height = status.height + EPOCH_BLOCKS + 2;
    follower.reaches(height).await;
    validators[0].reaches(height).await;
    for height in [first, height] {
        let here = provider.get_block_by_number(height.into()).await.unwrap();
        let there = validators[0]
            .provider()
            .get_block_by_number(height.into())
            .await
            .unwrap();
        assert_eq!(here.unwrap().header.hash, there.unwrap().header.hash);
    }
    let epoch: Epoch = provider
        .client()
        .request("mileverse_epoch", ())
        .await
        .unwrap();
    assert_eq!(epoch.committee.len(), VALIDATORS);

    // What is sent to it reaches the delegates.
    let somebody = Address::repeat_byte(0x77);
    let paying = ProviderBuilder::new()
        .wallet(EthereumWallet::from(member.clone()))
        .connect_http(follower.url.parse().unwrap());
    let payment = TransactionRequest::default()
        .with_to(somebody)
        .with_value(coins / U256::from(2))
        .with_gas_price(0)
        .with_gas_limit(100_000);
    let sent = paying.send_transaction(payment).await.unwrap();
    let receipt = sent.get_receipt().await.unwrap();
    assert!(receipt.status());
    let paid = provider.get_balance(somebody).await.unwrap();
    assert!(paid > U256::ZERO && paid <= coins / U256::from(2), "{paid}");

    // Killed, it goes on from what it has: it syncs once.
    let follower = follower.restart("follow");
    let again = follower.status().await;
    assert_eq!(again.first_height, Some(first));
    follower.reaches(receipt.block_number.unwrap() + 2).await;
    assert_eq!(
        follower.provider().get_balance(somebody).await.unwrap(),
        paid
    );
}

/// Sends coin, one transfer after another, until the node is gone; answers what was seen final.
async fn pay(node: &Node, from: &PrivateKeySigner, to: Address) -> Vec<(B256, B256)> {
    let provider = ProviderBuilder::new()
        .wallet(EthereumWallet::from(from.clone()))
        .connect_http(node.url.parse().unwrap());
    let look = node.provider();
    let mut seen = Vec::new();
    let mut waiting = Vec::new();
    loop {
        if room(&look, from.address()).await.is_err() {
            return seen;
        }
        let payment = TransactionRequest::default()
            .with_to(to)
            .with_value(U256::from(1))
            .with_gas_price(0)
            .with_gas_limit(100_000);
        match provider.send_transaction(payment).await {
            Ok(sent) => waiting.push(*sent.tx_hash()),
            // An endpoint that is gone, and nothing else: the nonce is asked for each time.
            Err(error) if error.is_transport_error() => return seen,
            Err(error) => panic!("{error}"),
        }
        if waiting.len() < 16 {
            continue;
        }
        for hash in std::mem::take(&mut waiting) {
            match provider.get_transaction_receipt(hash).await {
                Ok(Some(receipt)) => seen.push((hash, receipt.block_hash.unwrap())),
                Ok(None) => waiting.push(hash),
                Err(_) => return seen,
            }
        }
    }
}

/// Waits until so few transactions of an account are in the pool, those of before a kill included,
/// that more may come: one that sends faster than blocks are made would be refused.
async fn room(provider: &DynProvider, account: Address) -> TransportResult<()> {
    loop {
        let taken = provider.get_transaction_count(account).pending().await?;
        let done = provider.get_transaction_count(account).latest().await?;
        if taken < done + IN_FLIGHT {
            return Ok(());
        }
        tokio::time::sleep(PACE).await;
    }
}

/// Waits until an account holds more than so much.
async fn more_than(node: &Node, account: Address, paid: usize) {
    let provider = node.provider();
    while provider.get_balance(account).await.unwrap() <= U256::from(paid) {
        tokio::time::sleep(PACE).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_validator_that_is_killed_loses_nothing_that_was_final() {
    let kills: u64 = setting("MILEVERSE_KILLS").unwrap_or(5);
    let seed: u64 = setting("MILEVERSE_SEED").unwrap_or(7);
    eprintln!("to replay: MILEVERSE_KILLS={kills} MILEVERSE_SEED={seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path();
    // Its endpoint stays where the follower was told that it is.
    let (listen, rpc) = (free_addresses(2).unwrap(), free_addresses(1).unwrap());
    let (member, somebody) = (PrivateKeySigner::random(), Address::repeat_byte(0x77));
    let description = spec(&listen[..1], "") + &allocation(member.address(), "1234.5");
    let config = found(root, &listen[..1], &rpc, &description).remove(0);
    let mut validator = Node::start("run", config);
    validator.reaches(3 * EPOCH_BLOCKS).await;
    let hosts = [validator.url.clone()];
    let follower = Node::start(
        "follow",
        configure(&root.join("follower"), listen[1], ANY, &hosts),
    );
    let first = follower.status().await.first_height.unwrap();

    let mut paid = 0;
    for round in 0..kills {
        let moment = Duration::from_millis(random.random_range(0..1_000));
        let (seen, height) = {
            let paying = pay(&validator, &member, somebody);
            let killing = async {
                // Every other time in the midst of payments, however slow this machine is.
                if round % 2 == 0 {
                    more_than(&validator, somebody, paid).await;
                }
                tokio::time::sleep(moment).await;
                let height = validator.status().await.height;
                validator.kill();
                height
            };
            tokio::join!(paying, killing)
        };
        validator = validator.restart("run");
        let provider = validator.provider();
        assert!(validator.status().await.height >= height);
        for (hash, block) in &seen {
            let receipt = provider.get_transaction_receipt(*hash).await.unwrap();
            assert_eq!(receipt.unwrap().block_hash, Some(*block), "{hash}");
        }
        let now = provider.get_balance(somebody).await.unwrap();
        assert!(now >= U256::from(paid + seen.len()), "{now}");
        paid = now.to();
    }
    assert!(paid > 0, "nothing was paid");

    // Whoever was never disturbed executed the same blocks, on a state of its own.
    let height = validator.status().await.height + 2;
    validator.reaches(height).await;
    follower.reaches(height).await;
    let (here, there) = (validator.provider(), follower.provider());
    for height in first..=height {
        let mine = here.get_block_by_number(height.into()).await.unwrap();
        let other = there.get_block_by_number(height.into()).await.unwrap();
        let (mine, other) = (mine.unwrap().header, other.unwrap().header);
        assert_eq!(
            (mine.hash, mine.state_root),
            (other.hash, other.state_root),
            "height {height}"
        );
    }
    for account in [member.address(), somebody] {
        let at = BlockId::from(height);
        let mine = here.get_balance(account).block_id(at).await.unwrap();
        let other = there.get_balance(account).block_id(at).await.unwrap();
        assert_eq!(mine, other, "{account}");
    }
}

/// A view of the rewards module, after the newest block.
async fn rewards<C: SolCall>(node: &Node, call: &C) -> C::Return {
    let request = TransactionRequest::default()
        .with_to(REWARDS)
        .with_input(call.abi_encode());
    let output = node.provider().call(request).await.unwrap();
    C::abi_decode_returns(&output).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quarter_is_paid_once_through_kills_and_a_sync_in_the_middle() {
    const HOLDERS: u64 = 300;
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path();
    // Its endpoint stays where the follower was told that it is.
    let (listen, rpc) = (free_addresses(2).unwrap(), free_addresses(1).unwrap());
    let unit = U256::from(10u64).pow(U256::from(18u64));
    // The chain begins a second before the quarter under way: its first block closes the one before.
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let open = Quarter::containing(u64::try_from(now.as_millis()).unwrap()).unwrap();
    let begin = open.begins_ms().unwrap() - 1_000;
    let holder = |number: u64| Address::from_word(U256::from(1_000_000 + number).into());
    let mut description = spec(&listen[..1], &format!("timestamp_ms = {begin}\n"));
    description += &(1..=HOLDERS)
        .map(|number| allocation(holder(number), &number.to_string()))
        .collect::<String>();
    description +=
        "[rewards]\npool = '1000'\npot = '1000'\nleastPayment = '0'\nholdersPerBlock = 1\n";
    let config = found(root, &listen[..1], &rpc, &description).remove(0);

    let mut validator = Node::start("run", config);
    validator.reaches(2 * EPOCH_BLOCKS).await;
    validator = validator.restart("run");
    validator.reaches(3 * EPOCH_BLOCKS).await;
    let hosts = [validator.url.clone()];
    let config = configure(&root.join("follower"), listen[1], ANY, &hosts);
    let mut follower = Node::start("follow", config);
    let status = follower.status().await;
    assert!(status.sync.operations > 0, "{:?}", status.sync);
    let standing = rewards(&follower, &IRewards::standingCall {}).await;
    assert!(
        0 < standing.visited && standing.visited < standing.holders,
        "the state was not fetched in the middle of paying: {standing:?}"
    );
    validator = validator.restart("run");
    follower = follower.restart("follow");
    validator = validator.restart("run");
    validator.reaches(standing.holders + 2 * EPOCH_BLOCKS).await;
    follower.reaches(standing.holders + 2 * EPOCH_BLOCKS).await;

    let quarter = open.number() - 1;
    for node in [&validator, &follower] {
        let report = rewards(node, &IRewards::reportCall { quarter }).await;
        assert_ne!(report.paidHeight, 0, "{report:?}");
        assert_eq!(report.pot, U256::from(1_000) * unit);
        let mut sum = U256::ZERO;
        for number in 1..=HOLDERS {
            let account = holder(number);
            let held = U256::from(number) * unit;
            let amount = rewards(node, &IRewards::earnedCall { account, quarter }).await;
            assert_eq!(
                amount,
                report.pot * held / report.eligible,
                "holder {number}"
            );
            let balance = node.provider().get_balance(account).await.unwrap();
            assert_eq!(balance, held + amount, "holder {number}");
            sum += amount;
        }
        told(node, quarter, &report).await;
        assert!(
            sum <= report.paid && report.paid <= report.pot,
            "{report:?}"
        );
    }
}

/// Whoever reads events finds the quarter's: each payment once, in transactions that explorers can show.
async fn told(node: &Node, quarter: u64, report: &IRewards::Report) {
    let provider = node.provider();
    // A node that fetched the state knows the blocks from then on.
    let first = node.status().await.first_height.unwrap().max(1);
    let filter = Filter::new()
        .address(REWARDS)
        .event_signature(IRewards::RewardPaid::SIGNATURE_HASH)
        .from_block(first)
        .to_block(report.paidHeight);
    let logs = provider.get_logs(&filter).await.unwrap();
    let paid: Vec<_> = logs
        .iter()
        .map(|log| log.log_decode::<IRewards::RewardPaid>().unwrap().inner.data)
        .collect();
    assert!(paid.iter().all(|one| one.quarter == quarter));
    let whole = first <= report.closedHeight;
    if whole {
        let sum = paid.iter().map(|one| one.amount).sum::<U256>();
        assert_eq!(sum, report.paid);
        assert_eq!(paid.len() as u64, report.credited);
    }
    assert!(!paid.is_empty());
    for log in [&logs[0], logs.last().unwrap()] {
        let hash = log.transaction_hash.unwrap();
        let shown = provider.get_transaction_by_hash(hash).await.unwrap();
        let shown = shown.unwrap();
        assert_eq!(shown.from(), SYSTEM);
        assert_eq!(shown.to(), Some(REWARDS));
        let receipt = provider
            .get_transaction_receipt(hash)
            .await
            .unwrap()
            .unwrap();
        assert!(receipt.status() && receipt.logs().contains(log));
        let height = log.block_number.unwrap();
        let block = provider.get_block_by_number(height.into()).full().await;
        let block = block.unwrap().unwrap();
        assert_eq!(block.transactions.hashes().next(), Some(hash));
        let count = provider.get_block_transaction_count_by_number(height.into());
        assert_eq!(count.await.unwrap(), Some(block.transactions.len() as u64));
        let all = provider.get_block_receipts(height.into()).await.unwrap();
        assert_eq!(all.unwrap()[0], receipt);
    }
}

fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| {
        text.parse()
            .unwrap_or_else(|_| panic!("{name} is not a number"))
    })
}
