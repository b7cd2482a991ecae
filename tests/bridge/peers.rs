//! Two native chains that are peers, each with validators of its own, and no Ethereum anywhere: points go
//! there and come home, others expire and are refunded, a chain changes its group key, relayers are
//! killed in the middle and work two at a time, and a member delivers a packet by hand. At the end the
//! books of both chains agree to the last unit.

use super::{
    net::{PASSWORD, keystore_of, secret, wait},
    process::{Process, mileverse, told},
};
use alloy::{
    primitives::{Address, B256, U256},
    signers::local::PrivateKeySigner,
};
use mileverse_fixtures::ports;
use mileverse_primitives::{
    abi::{ICoin, IPeers, IPoints},
    address::{PEERS, POINTS, peer_points},
    packet::{ACKNOWLEDGED, PacketId, REFUNDED},
};
use mileverse_wallet::{
    client::{Client, ClientError, PeerSend, Points},
    keystore,
    units::{Amount, Token},
};
use serde_json::{Value, json};
use std::{
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
};

/// The two chains, and how many validate each: a committee as small as one that endures a fault, and a
/// sub-chain of one.
const NEAR: u64 = 77_801;
const FAR: u64 = 77_802;
const SIZES: [(u64, usize); 2] = [(NEAR, 4), (FAR, 1)];
/// Points that each member begins with, in micro-MVP: 1,000.
const POINTS_EACH: u64 = 1_000_000_000;
/// Packets that the relayer finds when it starts; it carries [`BATCH`] at a time.
const BACKLOG: u64 = 12;
const BATCH: usize = 2;

/// One native chain.
struct Chain {
    id: u64,
    other: u64,
    url: String,
    validators: Vec<Process>,
    /// Its member.
    member: Client,
    /// What the member paid for gas so far, in micro-MVP.
    fees: U256,
    /// Whether the member wants acknowledgements.
    asks: bool,
}

impl Chain {
    /// Sends points to the other chain's member, to be received until `deadline`.
    async fn send(&mut self, points: Points, amount: u64, to: Address, deadline: u64) -> PacketId {
        let amount = Amount::from_units(Token::Mvp, U256::from(amount));
        let sent = self
            .member
            .peer_send(PeerSend {
                peer: self.other,
                points,
                receiver: to,
                amount,
                deadline,
                acknowledge: self.asks,
            })
            .await
            .unwrap();
        self.fees += sent.fee.units();
        sent.id
    }

    /// The same with so little time that it is over once this returns, however slow the machine is.
    async fn send_late(&mut self, amount: u64, other: &Self, to: Address) -> PacketId {
        let amount = Amount::from_units(Token::Mvp, U256::from(amount));
        let (sent, deadline) = wait("a block before the deadline", async || {
            let deadline = self.time().await.max(other.time().await) + 5;
            let sent = self
                .member
                .peer_send(PeerSend {
                    peer: self.other,
                    points: Points::Own,
                    receiver: to,
                    amount,
                    deadline,
                    acknowledge: self.asks,
                })
                .await;
            match sent {
                Ok(sent) => Some((sent, deadline)),
                // The deadline was over before the block.
                Err(ClientError::Rpc(_)) => None,
                Err(error) => panic!("{error}"),
            }
        })
        .await;
        self.fees += sent.fee.units();
        wait("the end of the deadline", async || {
            (other.time().await > deadline).then_some(())
        })
        .await;
        sent.id
    }

    async fn time(&self) -> u64 {
        self.member.head().await.unwrap().timestamp
    }

    async fn view<C: alloy::sol_types::SolCall>(&self, to: Address, call: &C) -> C::Return {
        self.member.endpoint().view(to, call).await.unwrap()
    }

    async fn receipt(&self, id: PacketId) -> u8 {
        let call = IPeers::receiptCall {
            peer: id.source,
            sequence: id.sequence,
        };
        self.view(PEERS, &call).await
    }

    /// What it stores of a packet that its member sent.
    async fn outbound(&self, id: PacketId) -> B256 {
        let call = IPeers::outboundCall {
            peer: id.destination,
            sequence: id.sequence,
        };
        self.view(PEERS, &call).await
    }

    async fn is_refunded(&self, id: PacketId) -> bool {
        self.outbound(id).await == REFUNDED
    }

    async fn has(&self, token: Address, account: Address) -> U256 {
        self.view(token, &ICoin::balanceOfCall { account }).await
    }

    /// The number of the key that it believes of the other chain.
    async fn believes(&self) -> u64 {
        let call = IPeers::keyInForceCall { peer: self.other };
        self.view(PEERS, &call).await.keyVersion
    }
}

/// Deals the keys of both chains, writes their genesis files, each naming the other, and starts them.
async fn start(root: &Path, issuer: &PrivateKeySigner) -> [Chain; 2] {
    let passphrase = root.join("passphrase");
    secret(&passphrase, "a test's passphrase");
    secret(&root.join("password"), PASSWORD);
    let home = |id: u64| root.join(id.to_string());
    for (id, size) in SIZES {
        fs::create_dir(home(id)).unwrap();
        told(
            mileverse()
                .args(["node", "deal", "--scrypt-log-n", "10", "--validators"])
                .arg(size.to_string())
                .arg("--out")
                .arg(home(id))
                .arg("--passphrase-file")
                .arg(&passphrase),
        );
    }
    let mut chains = Vec::new();
    for (id, size) in SIZES {
        let other = SIZES[usize::from(id == NEAR)].0;
        chains.push(chain(root, &home(id), (id, other), size, issuer).await);
    }
    let [near, far] = <[Chain; 2]>::try_from(chains).ok().unwrap();
    [near, far]
}

async fn chain(
    root: &Path,
    home: &Path,
    (id, other): (u64, u64),
    size: usize,
    issuer: &PrivateKeySigner,
) -> Chain {
    let ports = ports::free(2 * size).unwrap();
    let (consensus, rpc) = ports.split_at(size);
    let dealing = root.join(other.to_string()).join("dealing.json");
    let dealing: Value = serde_json::from_str(&fs::read_to_string(dealing).unwrap()).unwrap();
    let key = dealing["groupKey"].as_str().unwrap();
    let place = |digit: u8| Address::repeat_byte(digit);
    let mut spec = format!(
        "chain_id = {id}\nepoch_blocks = 32\ndealing = 'dealing.json'\n\
         block_time_ms = 100\nidle_block_time_ms = 300\n\
         [ethereum]\nchain_id = 31337\nbridge = '{}'\ncoin = '{}'\npoints = '{}'\n\
         [[issuers]]\naddress = '{}'\ndaily_quota = '1000000'\n\
         [staking]\nseats = {size}\nrecordFloorBp = 0\n\
         [[peers]]\nchainId = {other}\ngroupKey = '{key}'\n",
        place(1),
        place(2),
        place(3),
        issuer.address()
    );
    for (number, port) in consensus.iter().enumerate() {
        spec += &format!(
            "[[members]]\nowner = '{}'\naddress = '127.0.0.1:{port}'\nstake = '20000'\n\
             commission_bp = 500\n",
            keystore_of(root, &format!("owner-{id}-{number}"))
        );
    }
    fs::write(home.join("network.toml"), spec).unwrap();
    told(
        mileverse()
            .args(["genesis", "new", "--json", "--spec"])
            .arg(home.join("network.toml"))
            .arg("--out")
            .arg(home.join("genesis.json")),
    );
    let mut validators = Vec::new();
    for number in 0..size {
        let path = home.join(format!("validator-{number}")).join("node.toml");
        // Nobody listens at Ethereum's endpoint; the chain does not need it.
        let config = format!(
            "genesis = '../genesis.json'\ndata_dir = 'data'\nkeys = 'keys.json'\n\
             passphrase_file = '../../passphrase'\nlisten = '127.0.0.1:{}'\n\
             rpc = '127.0.0.1:{}'\nethereum_rpc = 'http://127.0.0.1:9'\n",
            consensus[number], rpc[number]
        );
        fs::write(&path, config).unwrap();
        let name = format!("validator-{id}-{number}");
        let arguments: [OsString; 4] =
            ["node".into(), "run".into(), "--config".into(), path.into()];
        validators.push(Process::new(&name, root, true, arguments));
    }
    for validator in &mut validators {
        validator.start();
    }
    let url = format!("http://127.0.0.1:{}", rpc[0]);
    let member = keystore_of(root, &format!("member-{id}"));
    let key = keystore::open(&root.join(format!("member-{id}")), PASSWORD).unwrap();
    let (client, _) = Client::native(&url, Some(key)).await.unwrap();
    wait("the first block", async || {
        (client.head().await.ok()?.number > 0).then_some(())
    })
    .await;
    let issue = IPoints::issueCall {
        to: member,
        amount: U256::from(POINTS_EACH),
        conversionId: B256::repeat_byte(1),
    };
    let issues = client.with_signer(Some(issuer.clone()));
    let issue = alloy::sol_types::SolCall::abi_encode(&issue);
    issues
        .execute(POINTS, U256::ZERO, issue.into())
        .await
        .unwrap();
    Chain {
        id,
        other,
        url,
        validators,
        member: client,
        fees: U256::ZERO,
        asks: false,
    }
}

/// A relayer between the chains, with a database and a key of its own; not started yet.
struct Relayer {
    process: Process,
    config: PathBuf,
    shown: String,
}

impl Relayer {
    fn new(root: &Path, name: &str, near: &Chain, far: &Chain) -> Self {
        keystore_of(root, name);
        let end = |end: &str, chain: &Chain| {
            format!(
                "[route.branch.{end}]\nchain_id = {}\nrpc = '{}'\nbatch = {BATCH}\nin_flight = 1\n\
                 keys = [{{ keystore = '{name}', password_file = 'password' }}]\n",
                chain.id, chain.url
            )
        };
        let text = format!(
            "database = '{name}.sqlite'\npoll_interval_ms = 100\nlisten = '127.0.0.1:0'\n{}{}",
            end("native", near),
            end("peer", far)
        );
        let config = root.join(format!("{name}.toml"));
        fs::write(&config, text).unwrap();
        let arguments: [OsString; 4] = [
            "relayer".into(),
            "run".into(),
            "--config".into(),
            config.clone().into(),
        ];
        Self {
            process: Process::new(name, root, true, arguments),
            config,
            shown: String::new(),
        }
    }

    fn start(&mut self) {
        let ready: Value = serde_json::from_str(&self.process.start()).unwrap();
        self.shown = format!("http://{}", ready["listen"].as_str().unwrap());
    }

    /// What a verb answers.
    fn told(&self, arguments: &[&str]) -> Value {
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

/// What a verb of the wallet answers, signed by the member of a chain.
fn wallet(root: &Path, at: &Chain, arguments: &[&str]) -> Value {
    let output = told(
        mileverse()
            .arg("wallet")
            .args(arguments)
            .args(["--json", "--yes", "--native-rpc", &at.url, "--keystore"])
            .arg(root.join(format!("member-{}", at.id)))
            .arg("--password-file")
            .arg(root.join("password")),
    );
    serde_json::from_slice(&output).unwrap()
}

/// The entries of a member's history that a packet carried, newest first.
fn history_of(root: &Path, at: &Chain, packet: &str) -> Vec<Value> {
    let past = wallet(root, at, &["history", "--limit", "1000"]);
    let entries = past["history"]["entries"].as_array().unwrap();
    // Nothing is told as a transfer to the account that holds what is away.
    let holder = json!(peer_points(at.other));
    assert!(entries.iter().all(|one| one["with"] != holder), "{past}");
    let is_it = |entry: &&Value| entry["beyond"]["packet"] == packet;
    entries.iter().filter(is_it).cloned().collect()
}

/// What the sender's history says of a packet that was received, and of one that was refunded.
fn told_in_the_history(root: &Path, near: &Chain, sent: &Value, late: PacketId, to: Address) {
    let found = history_of(root, near, sent["packet"].as_str().unwrap());
    let [left] = &found[..] else {
        panic!("{found:?}");
    };
    assert_eq!(left["kind"], "left", "{left}");
    assert_eq!(left["out"], json!([sent["sent"]]), "{left}");
    assert_eq!(left["transaction"], sent["transaction"]["hash"], "{left}");
    assert_eq!(left["beyond"]["chain"], FAR, "{left}");
    assert_eq!(left["beyond"]["receiver"], json!(to), "{left}");
    assert_eq!(left["with"], Value::Null, "{left}");
    let found = history_of(root, near, &name(late));
    let [back, gone] = &found[..] else {
        panic!("{found:?}");
    };
    assert_eq!(
        (&gone["kind"], &back["kind"]),
        (&json!("left"), &json!("made"))
    );
    assert_eq!(gone["out"], back["in"], "{back}");
    assert_eq!(back["beyond"]["receiver"], Value::Null, "{back}");
}

fn name(id: PacketId) -> String {
    format!("{}:{}:{}", id.source, id.destination, id.sequence)
}

/// The books of one chain's points: what the members have, what is held, what is away.
async fn audit(home: &Chain, away: &Chain, gone: U256) {
    let (held_by, token) = (peer_points(away.id), peer_points(home.id));
    assert_eq!(home.has(POINTS, held_by).await, gone, "held at home");
    let supply = away.view(token, &ICoin::totalSupplyCall {}).await;
    assert_eq!(supply, gone, "made away");
    for (chain, peer, token) in [(home, away.id, POINTS), (away, home.id, token)] {
        assert!(
            chain
                .view(PEERS, &IPeers::solventCall { peer, token })
                .await,
            "chain {}",
            chain.id
        );
    }
    let (at_home, there) = (
        home.view(
            PEERS,
            &IPeers::totalsCall {
                peer: away.id,
                token: POINTS,
            },
        )
        .await,
        away.view(
            PEERS,
            &IPeers::totalsCall {
                peer: home.id,
                token,
            },
        )
        .await,
    );
    // Nothing is in flight any more.
    assert_eq!(at_home.sent - at_home.refunded, there.received);
    assert_eq!(there.sent - there.refunded, at_home.received);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn points_go_to_another_native_chain_and_come_home() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path();
    let issuer = PrivateKeySigner::from_bytes(&B256::repeat_byte(0x71)).unwrap();
    let [mut near, mut far] = start(root, &issuer).await;
    let (alice, bob) = (
        near.member.account().unwrap(),
        far.member.account().unwrap(),
    );
    let mut first = Relayer::new(root, "first", &near, &far);
    let mut second = Relayer::new(root, "second", &near, &far);
    let checked = first.told(&["check"]);
    assert_eq!(checked["good"], true, "{checked}");

    // One is sent as people do, and one has very little time.
    let sent = wallet(
        root,
        &near,
        &[
            "bridge",
            "send",
            "--token",
            "mvp",
            "--amount",
            "100",
            "--to-chain",
            &FAR.to_string(),
            "--to",
            &bob.to_string(),
            "--peer-rpc",
            &far.url,
            "--acknowledge",
        ],
    );
    assert_eq!(sent["packet"], format!("{NEAR}:{FAR}:1"), "{sent}");
    near.fees += sent["fee"]["units"]
        .as_str()
        .unwrap_or_else(|| panic!("{sent}"))
        .parse::<U256>()
        .unwrap();
    // Found by its transaction, whichever of the two chains is called the peer.
    let hash = sent["transaction"]["hash"].as_str().unwrap();
    for (here, there) in [(&near, &far), (&far, &near)] {
        let asked = ["bridge", "status", hash, "--peer-rpc", &there.url];
        let status = wallet(root, here, &asked);
        let id = json!({ "source": NEAR, "destination": FAR, "sequence": 1 });
        assert_eq!(status["packet"], id, "{status}");
        assert_eq!(status["receiver"], json!(bob), "{status}");
    }
    let late = near.send_late(7_000_000, &far, bob).await;
    let hour = near.time().await.max(far.time().await) + 3_600;
    let mut backlog = Vec::new();
    for amount in 1..=BACKLOG {
        near.asks = amount.is_multiple_of(3);
        backlog.push(near.send(Points::Own, amount, bob, hour).await);
    }
    near.asks = false;

    // The relayer dies with some of them delivered and others not, and goes on where it was.
    first.start();
    let middle = backlog[usize::try_from(BACKLOG).unwrap() / 3];
    wait("a third of the backlog", async || {
        (far.receipt(middle).await == 1).then_some(())
    })
    .await;
    first.process.kill();
    first.start();
    for id in &backlog {
        wait("the backlog", async || {
            (far.receipt(*id).await == 1).then_some(())
        })
        .await;
    }
    // Who asked is told, and nobody else.
    for (id, amount) in backlog.iter().zip(1u64..) {
        if amount.is_multiple_of(3) {
            wait("an acknowledgement", async || {
                (near.outbound(*id).await == ACKNOWLEDGED).then_some(())
            })
            .await;
        } else {
            assert_ne!(near.outbound(*id).await, ACKNOWLEDGED, "{amount}");
        }
    }
    let first_sent = format!("{NEAR}:{FAR}:1");
    wait("the first packet's acknowledgement", async || {
        let status = wallet(
            root,
            &near,
            &["bridge", "status", &first_sent, "--peer-rpc", &far.url],
        );
        (status["state"] == "acknowledged").then_some(())
    })
    .await;
    let why = first.told(&["why", &first_sent]);
    let paragraph = why["paragraph"].as_str().unwrap();
    assert!(paragraph.contains("can never be refunded"), "{why}");
    wait("the refund", async || {
        near.is_refunded(late).await.then_some(())
    })
    .await;
    assert_eq!(far.receipt(late).await, 2);
    told_in_the_history(root, &near, &sent, late, bob);
    let why = first.told(&["why", &name(late)]);
    assert!(
        why["paragraph"]
            .as_str()
            .unwrap()
            .contains("back with the sender"),
        "{why}"
    );

    // A new key of the first chain. Its peer follows by the packet that is addressed to Ethereum.
    assert_eq!(far.believes().await, 0);
    for number in 0..SIZES[0].1 {
        told(
            mileverse()
                .args(["delegate", "rotate", "--json", "--native-rpc", &near.url])
                .arg("--keystore")
                .arg(root.join(format!("owner-{NEAR}-{number}")))
                .arg("--password-file")
                .arg(root.join("password")),
        );
    }
    second.start();
    wait("the new key", async || {
        // Something to confirm keeps the chain at its full pace.
        near.send(Points::Own, 1, bob, hour).await;
        (far.believes().await == 1).then_some(())
    })
    .await;

    // Both at work, both ways, both chains' points: what came goes home, and what never left goes out.
    let mut back = Vec::new();
    for round in 0..4 {
        back.push(far.send(Points::Theirs, 10_000_000, alice, hour).await);
        back.push(far.send(Points::Own, 5_000_000 + round, alice, hour).await);
        near.send(Points::Own, 1_000_000, bob, hour).await;
        if round == 1 {
            second.process.kill();
            second.start();
        }
    }
    let sent = near
        .view(PEERS, &IPeers::nextSequenceCall { peer: FAR })
        .await;
    for sequence in 1..sent {
        let id = PacketId {
            source: NEAR,
            destination: FAR,
            sequence,
        };
        wait("everything there", async || {
            (far.receipt(id).await != 0).then_some(())
        })
        .await;
    }
    let home = back[0];
    for id in back {
        wait("everything back", async || {
            (near.receipt(id).await == 1).then_some(())
        })
        .await;
    }
    let found = history_of(root, &near, &name(home));
    let [came] = &found[..] else {
        panic!("{found:?}");
    };
    assert_eq!(
        (&came["kind"], &came["beyond"]["chain"]),
        (&json!("made"), &json!(FAR))
    );
    assert_eq!(came["in"][0]["units"], "10000000", "{came}");
    let routes: Value = wait("the relayer's own look", async || {
        let routes = reqwest::get(format!("{}/api/routes", first.shown)).await;
        let routes: Value = routes.unwrap().json().await.unwrap();
        let tokens = routes[0]["tokens"].as_array()?;
        (tokens.len() == 2 && tokens.iter().all(|token| token["imbalance"] == "0"))
            .then_some(routes)
    })
    .await;
    assert_eq!(routes[0]["tokens"][1]["token"], format!("MVP.{FAR}"));

    // Without any relayer: one packet is refunded by the verb of the relayer, another is delivered by the
    // member's own hand.
    first.process.kill();
    second.process.kill();
    let late = near.send_late(3_000_000, &far, bob).await;
    near.asks = true;
    let good = near.send(Points::Own, 2_000_000, bob, hour).await;
    near.asks = false;
    let refunded = first.told(&["refund", &name(late)]);
    assert_eq!(refunded["outcome"], "refunded", "{refunded}");
    assert!(near.is_refunded(late).await);
    let delivered = wallet(
        root,
        &far,
        &["bridge", "deliver", &name(good), "--peer-rpc", &near.url],
    );
    assert_eq!(delivered["state"], "received", "{delivered}");
    let told = wallet(
        root,
        &near,
        &["bridge", "deliver", &name(good), "--peer-rpc", &far.url],
    );
    assert_eq!(told["kind"], "acknowledge", "{told}");
    assert_eq!(told["state"], "acknowledged", "{told}");
    let status = first.told(&["status"]);
    assert_eq!(
        status["routes"][0]["directions"][0]["direction"], "to_peer",
        "{status}"
    );

    // The books, to the last unit.
    let small = sent - 1 - 2 - BACKLOG - 4;
    let there = 100_000_000 + (1..=BACKLOG).sum::<u64>() + small + 4 * 1_000_000 + 2_000_000;
    let home = 4 * 10_000_000;
    let gone = U256::from(there - home);
    assert_eq!(far.has(peer_points(NEAR), bob).await, gone);
    audit(&near, &far, gone).await;
    let others = U256::from(4 * 5_000_000 + 6);
    assert_eq!(near.has(peer_points(FAR), alice).await, others);
    audit(&far, &near, others).await;
    let begun = U256::from(POINTS_EACH);
    assert_eq!(near.has(POINTS, alice).await, begun - gone - near.fees);
    assert_eq!(far.has(POINTS, bob).await, begun - others - far.fees);
    let balance = wallet(root, &near, &["balance"]);
    let shown = balance["balances"].as_array().unwrap();
    let theirs = shown.iter().find(|one| one["pointsOf"] == json!(FAR));
    assert_eq!(
        theirs.unwrap()["balance"]["units"],
        others.to_string(),
        "{balance}"
    );
    for validator in near.validators.iter_mut().chain(&mut far.validators) {
        assert!(validator.runs());
    }
}
