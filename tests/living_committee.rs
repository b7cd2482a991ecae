//! Seven validators and a newcomer, each a process of its own, over TCP and public commands only.
//!
//! Two of the seven are killed in the middle of an epoch; the chain goes on; both return and lead
//! blocks again. The newcomer is made by `node init`, catches up, is registered and voted for by
//! `delegate`, takes the seat of another, and leads blocks. Evidence that its node holds against a
//! delegate costs that one its seat. No Ethereum: its endpoint is dead, so
//! the chain agrees on no checkpoint and goes on all the same.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use alloy::primitives::{Address, B256, U256, hex};
use mileverse_consensus::{
    evidence::{Evidence, Store},
    proposal::SignedHeader,
};
use mileverse_fixtures::ports;
use mileverse_node::secrets::{Passphrase, ValidatorKeys};
use mileverse_primitives::{
    abi::IStaking,
    address::STAKING,
    header::{Header, StateCommitment, Turn},
    rpc::{Certificate, Status},
};
use mileverse_wallet::{
    keystore,
    rpc::{Chain, Endpoint},
};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet, btree_map::Entry},
    fs,
    io::{BufRead as _, BufReader},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};
use tempfile::TempDir;

const CHAIN_ID: u64 = 77_772;
const VALIDATORS: usize = 7;
const EPOCH_BLOCKS: u64 = 32;
const PASSWORD: &str = "a test's password";
/// Between two looks; nothing depends on it.
const PACE: Duration = Duration::from_millis(50);

/// A node's process; killed when dropped.
struct Node {
    config: PathBuf,
    log: PathBuf,
    running: Option<Running>,
}

struct Running {
    child: Child,
    chain: Endpoint,
    metrics: String,
}

impl Drop for Node {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            let log = fs::read_to_string(&self.log).unwrap_or_default();
            let lines: Vec<_> = log.lines().collect();
            let last = lines.len().saturating_sub(15);
            eprintln!("--- {}\n{}", self.log.display(), lines[last..].join("\n"));
        }
    }
}

impl Node {
    fn new(directory: &Path) -> Self {
        Self {
            config: directory.join("node.toml"),
            log: directory.join("log"),
            running: None,
        }
    }

    fn start(&mut self) {
        let log = fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(&self.log)
            .unwrap();
        // The pipe on its standard input makes sure that it ends with this test, however that ends.
        let mut child = mileverse()
            .args(["--exit-with-stdin", "node", "run", "--config"])
            .arg(&self.config)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let ready: Value = serde_json::from_str(&line).unwrap_or_else(|_| {
            panic!("{line:?}: {}", fs::read_to_string(&self.log).unwrap());
        });
        self.running = Some(Running {
            child,
            chain: Endpoint::new(Chain::Native, ready["url"].as_str().unwrap()).unwrap(),
            metrics: ready["metrics"].as_str().unwrap().to_owned(),
        });
    }

    /// SIGKILL.
    fn kill(&mut self) {
        if let Some(mut running) = self.running.take() {
            let _ = running.child.kill();
            let _ = running.child.wait();
        }
    }

    /// SIGTERM; it must end in order.
    fn stop(&mut self) {
        let mut running = self.running.take().unwrap();
        let pid = i32::try_from(running.child.id()).unwrap();
        kill(Pid::from_raw(pid), Signal::SIGTERM).unwrap();
        assert!(running.child.wait().unwrap().success());
    }

    fn chain(&mut self) -> &Endpoint {
        let running = self.running.as_mut().unwrap();
        if let Some(status) = running.child.try_wait().unwrap() {
            panic!("{} ended by itself: {status}", self.config.display());
        }
        &running.chain
    }

    fn url(&mut self) -> String {
        self.chain().url().to_owned()
    }

    async fn status(&mut self) -> Status {
        self.chain().method("mileverse_status", ()).await.unwrap()
    }

    async fn height(&mut self) -> u64 {
        self.status().await.height
    }

    async fn reaches(&mut self, height: u64) {
        while self.height().await < height {
            tokio::time::sleep(PACE).await;
        }
    }

    async fn scrape(&mut self) -> String {
        let url = format!("{}/metrics", self.running.as_ref().unwrap().metrics);
        reqwest::get(url).await.unwrap().text().await.unwrap()
    }

    async fn is_ready(&mut self) -> bool {
        let url = format!("{}/ready", self.running.as_ref().unwrap().metrics);
        reqwest::get(url).await.unwrap().status().is_success()
    }
}

/// Who leads which final block, as one node's public answers tell.
#[derive(Default)]
struct Leaders {
    turns: BTreeMap<u64, Vec<B256>>,
}

impl Leaders {
    /// Looks at final blocks from `height` on until each of `keys` has led one.
    async fn all_lead(&mut self, node: &mut Node, mut height: u64, keys: &[B256]) {
        let mut missing: BTreeSet<B256> = keys.iter().copied().collect();
        while !missing.is_empty() {
            node.reaches(height).await;
            let found = node
                .chain()
                .method::<_, Certificate>("mileverse_certificate", (height,))
                .await;
            // A certificate may come a little later than its block.
            let Ok(certificate) = found else {
                tokio::time::sleep(PACE).await;
                continue;
            };
            let epoch = certificate.epoch;
            if let Entry::Vacant(unknown) = self.turns.entry(epoch) {
                let page = IStaking::turnsCall {
                    epoch,
                    offset: 0,
                    limit: 100,
                };
                let turns = node.chain().view(STAKING, &page).await.unwrap();
                unknown.insert(turns.iter().map(|turn| turn.consensusKey).collect());
            }
            let turns = &self.turns[&epoch];
            let turn = usize::try_from(certificate.view).unwrap() % turns.len();
            missing.remove(&turns[turn]);
            height = certificate.height + 1;
        }
    }
}

fn mileverse() -> Command {
    Command::new(env!("CARGO_BIN_EXE_mileverse"))
}

/// Runs a command that must succeed; its answer.
fn told(command: &mut Command) -> Value {
    let output = command.stdin(Stdio::null()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {said}");
    serde_json::from_slice(&output.stdout).unwrap_or(Value::Null)
}

struct Net {
    directory: TempDir,
    passphrase: PathBuf,
    validators: Vec<Node>,
    keys: Vec<B256>,
    newcomer: Node,
    newcomer_key: B256,
}

impl Net {
    /// Makes a network's files with the commands that its operators would use.
    fn new(owner: Address, voter: Address) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path();
        let passphrase = root.join("passphrase");
        Passphrase::random_file(&passphrase).unwrap();
        let addresses = ports::free_addresses(VALIDATORS + 1).unwrap();

        told(
            mileverse()
                .args(["node", "deal", "--scrypt-log-n", "10", "--validators"])
                .arg(VALIDATORS.to_string())
                .arg("--out")
                .arg(root)
                .arg("--passphrase-file")
                .arg(&passphrase),
        );
        fs::write(root.join("network.toml"), spec(&addresses, owner, voter)).unwrap();
        told(
            mileverse()
                .args(["genesis", "new", "--json", "--spec"])
                .arg(root.join("network.toml"))
                .arg("--out")
                .arg(root.join("genesis.json")),
        );
        let newcomer = told(
            mileverse()
                .args(["node", "init", "--json", "--scrypt-log-n", "10"])
                .args(["--ethereum-rpc", "http://127.0.0.1:1"])
                .args(["--rpc", "127.0.0.1:0", "--metrics", "127.0.0.1:0"])
                .args(["--owner", &owner.to_string()])
                .args(["--address", &addresses[VALIDATORS].to_string()])
                .arg("--genesis")
                .arg(root.join("genesis.json"))
                .arg("--out")
                .arg(root.join("newcomer"))
                .arg("--passphrase-file")
                .arg(&passphrase),
        );
        let newcomer_key: B256 = newcomer["registration"]["consensusKey"]
            .as_str()
            .unwrap()
            .parse()
            .unwrap();

        let dealing: Value =
            serde_json::from_str(&fs::read_to_string(root.join("dealing.json")).unwrap()).unwrap();
        let keys = dealing["consensusKeys"]
            .as_array()
            .unwrap()
            .iter()
            .map(|key| key.as_str().unwrap().parse().unwrap())
            .collect();
        let validators = addresses[..VALIDATORS]
            .iter()
            .enumerate()
            .map(|(number, address)| {
                let home = root.join(format!("validator-{number}"));
                // The newcomer is no candidate yet: its name lets it in.
                let config = format!(
                    "genesis = '../genesis.json'\ndata_dir = 'data'\nkeys = 'keys.json'\n\
                     passphrase_file = '../passphrase'\nlisten = '{address}'\n\
                     rpc = '127.0.0.1:0'\nmetrics = '127.0.0.1:0'\n\
                     ethereum_rpc = 'http://127.0.0.1:1'\n\
                     [[peers]]\npublic_key = '{newcomer_key}'\naddress = '{}'\n",
                    addresses[VALIDATORS]
                );
                fs::write(home.join("node.toml"), config).unwrap();
                Node::new(&home)
            })
            .collect();
        Self {
            newcomer: Node::new(&root.join("newcomer")),
            directory,
            passphrase,
            validators,
            keys,
            newcomer_key,
        }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// A `delegate` command of an account whose keystore is `name`.
    fn delegate(&mut self, name: &str, arguments: &[&str]) -> Value {
        let url = self.newcomer.url();
        told(
            mileverse()
                .args(["delegate", "--json", "--native-rpc", &url])
                .arg("--keystore")
                .arg(self.file(name))
                .arg("--password-file")
                .arg(self.file("password"))
                .args(arguments),
        )
    }
}

fn spec(addresses: &[SocketAddr], owner: Address, voter: Address) -> String {
    let mut spec = format!(
        "chain_id = {CHAIN_ID}\nepoch_blocks = {EPOCH_BLOCKS}\ndealing = 'dealing.json'\n\
         block_time_ms = 100\nidle_block_time_ms = 100\n[ethereum]\nchain_id = 1\n"
    );
    for (name, byte) in [("bridge", 1), ("coin", 2), ("points", 3)] {
        spec += &format!("{name} = '{}'\n", Address::repeat_byte(byte));
    }
    for (number, address) in (10..).zip(&addresses[..VALIDATORS]) {
        spec += &format!(
            "[[members]]\nowner = '{}'\naddress = '{address}'\nstake = '20000'\ncommission_bp = 500\n",
            Address::repeat_byte(number)
        );
    }
    for (account, amount) in [(owner, "15000"), (voter, "50000.5")] {
        spec += &format!("[[allocations]]\naddress = '{account}'\namount = '{amount}'\n");
    }
    // Whoever is killed here shall come back, not go to jail; seats are few, so the newcomer has to
    // win one.
    spec + &format!(
        "[staking]\nseats = {VALIDATORS}\nrecordFloorBp = 0\nrewardPool = '1000'\nrewardPerEpoch = '1'\n"
    )
}

/// A node finds that a delegate signed two headers for one view, `delegate report` brings it to the
/// chain, and the delegate is out for good.
async fn a_double_proposal_costs_the_seat(net: &mut Net) {
    let passphrase = Passphrase::read(&net.passphrase).unwrap();
    let (keys, _) = ValidatorKeys::read(&net.file("validator-3/keys.json"), &passphrase).unwrap();
    let offender = B256::from_slice(&keys.public_key());
    let epoch = net.newcomer.status().await.height / EPOCH_BLOCKS;
    let header = |gas_used| {
        let header = Header {
            outbox_root: B256::ZERO,
            parent: B256::repeat_byte(1),
            height: epoch * EPOCH_BLOCKS + 1,
            timestamp_ms: 1,
            gas_limit: 30_000_000,
            gas_used,
            transactions_root: B256::ZERO,
            receipts_root: B256::ZERO,
            system_root: B256::ZERO,
            logs_bloom: Default::default(),
            state: StateCommitment {
                root: B256::ZERO,
                operations_root: B256::ZERO,
                start: 0,
                end: 1,
            },
            turn: Turn {
                epoch,
                view: 5,
                parent_view: 4,
                leader: offender,
            },
            checkpoint: None,
        };
        SignedHeader::sign(CHAIN_ID, header, &keys.identity)
    };
    // What the node found while it ran is in this file when it starts again.
    net.newcomer.stop();
    let store = Store::open(&net.file("newcomer/data/evidence.json"), CHAIN_ID).unwrap();
    assert!(store.add(Evidence::double(header(1), header(2))));
    drop(store);
    net.newcomer.start();

    let reported = net.delegate("voter.json", &["report"]);
    assert_eq!(
        reported["reported"][0]["offender"],
        offender.to_string().as_str()
    );
    let again = net.delegate("voter.json", &["report"]);
    assert_eq!(again["reported"], serde_json::json!([]));
    let candidates = net.delegate("voter.json", &["list"]);
    let candidates = candidates["candidates"].as_array().unwrap();
    assert!(
        candidates
            .iter()
            .all(|candidate| candidate["consensusKey"] != offender.to_string().as_str()),
        "{candidates:?}"
    );

    // The committee of the epoch after the next election is another one.
    let mut known = epoch;
    loop {
        let page = IStaking::turnsCall {
            epoch: known,
            offset: 0,
            limit: 100,
        };
        if let Ok(turns) = net.newcomer.chain().view(STAKING, &page).await {
            if turns.iter().all(|turn| turn.consensusKey != offender) {
                return;
            }
            known += 1;
        }
        tokio::time::sleep(PACE).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_committee_survives_crashes_and_takes_in_a_newcomer() {
    let keys = tempfile::tempdir().unwrap();
    let account = |name: &str| {
        keystore::create(&keys.path().join(name), PASSWORD)
            .unwrap()
            .address()
    };
    let (owner, voter) = (account("owner.json"), account("voter.json"));
    let mut net = Net::new(owner, voter);
    for name in ["owner.json", "voter.json"] {
        fs::copy(keys.path().join(name), net.file(name)).unwrap();
    }
    fs::write(net.file("password"), PASSWORD).unwrap();
    let sealed = fs::read_to_string(net.file("newcomer/keys.json")).unwrap();
    assert!(sealed.contains("mileverse/keys") && net.passphrase.exists());

    // Seven make blocks; two are killed in the middle of the epoch; five go on.
    for node in &mut net.validators {
        node.start();
    }
    net.validators[0].reaches(8).await;
    let (kept, killed) = net.validators.split_at_mut(5);
    for node in &mut *killed {
        node.kill();
    }
    let height = kept[0].height().await;
    kept[0].reaches(height + 12).await;

    // Both return, catch up, and lead blocks again.
    for node in &mut *killed {
        node.start();
    }
    let height = kept[0].height().await;
    for node in &mut *killed {
        node.reaches(height).await;
    }
    let mut leaders = Leaders::default();
    let returned = net.keys[5..].to_vec();
    leaders
        .all_lead(&mut net.validators[0], height + 1, &returned)
        .await;

    // The newcomer catches up before anybody elected it.
    net.newcomer.start();
    let height = net.validators[0].height().await;
    net.newcomer.reaches(height).await;
    while !net.newcomer.is_ready().await {
        tokio::time::sleep(PACE).await;
    }
    let text = net.newcomer.scrape().await;
    assert!(text.contains("mileverse_in_committee 0\n"), "{text}");
    let status = net.newcomer.status().await;
    assert_eq!(status.validator, net.newcomer_key);
    assert!(status.peers > 0);

    // Its owner registers it, and somebody votes for it.
    let registration = net.file("newcomer/registration.json");
    let registered = net.delegate(
        "owner.json",
        &[
            "register",
            "--registration",
            registration.to_str().unwrap(),
            "--stake",
            "10000",
            "--commission-bp",
            "500",
            "--name",
            "The newcomer",
        ],
    );
    assert_eq!(
        registered["consensusKey"],
        net.newcomer_key.to_string().as_str()
    );
    net.delegate("voter.json", &["stake", "--amount", "50000.5"]);
    let candidate = net.newcomer_key.to_string();
    net.delegate(
        "voter.json",
        &["vote", "--candidate", &candidate, "--amount", "40000"],
    );
    let list = net.delegate("voter.json", &["list"]);
    assert_eq!(list["count"], VALIDATORS + 1);
    assert_eq!(list["candidates"][0]["consensusKey"], candidate.as_str());
    let shown = net.delegate("voter.json", &["show"]);
    assert_eq!(shown["free"]["amount"], "10000.5");
    assert_eq!(shown["voted"]["amount"], "40000");

    // Elected, dealt a share by the chain's own ceremony, it leads blocks that others hold final.
    let height = net.validators[0].height().await;
    let newcomer_key = net.newcomer_key;
    leaders
        .all_lead(&mut net.validators[0], height + 1, &[newcomer_key])
        .await;
    let text = net.newcomer.scrape().await;
    for line in [
        "mileverse_in_committee 1",
        "mileverse_not_signing 0",
        "mileverse_ready 1",
    ] {
        assert!(text.lines().any(|found| found == line), "{line}\n{text}");
    }
    let secrets = fs::read_to_string(net.file("newcomer/data/secrets.json")).unwrap();
    assert!(secrets.contains("mileverse/secrets"));

    // What it earned is shared out at the end of that epoch.
    let height = net.validators[0].height().await;
    let next_epoch = (height / EPOCH_BLOCKS + 1) * EPOCH_BLOCKS;
    net.validators[0].reaches(next_epoch).await;

    a_double_proposal_costs_the_seat(&mut net).await;

    // All eight hold the same chain.
    let mut heights = Vec::new();
    let mut nodes: Vec<&mut Node> = net
        .validators
        .iter_mut()
        .chain([&mut net.newcomer])
        .collect();
    for node in &mut nodes {
        heights.push(node.height().await);
    }
    let common = heights.into_iter().min().unwrap();
    let mut blocks = BTreeSet::new();
    for node in &mut nodes {
        let number = format!("0x{common:x}");
        let block: Value = node
            .chain()
            .method("eth_getBlockByNumber", (number, false))
            .await
            .unwrap();
        let hash = block["hash"].as_str().unwrap();
        assert_eq!(hex::decode(hash).unwrap().len(), 32);
        blocks.insert(hash.to_owned());
        let solvent = node
            .chain()
            .view(STAKING, &IStaking::solventCall {})
            .await
            .unwrap();
        assert!(solvent);
    }
    assert_eq!(blocks.len(), 1, "{blocks:?}");
    let paid = nodes[0]
        .chain()
        .view(STAKING, &IStaking::pendingRewardsCall { voter })
        .await
        .unwrap();
    assert!(paid > U256::ZERO, "a voter of a delegate earns");
    for node in nodes {
        node.stop();
    }
}
