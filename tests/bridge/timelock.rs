//! Trades without the bridge: two people by the wallet's commands, then many at once while the relayer's lines
//! fail, an endpoint of each chain lies and the relayer is killed. What is shown in time is claimed for both,
//! everything else is refunded, and each balance is exact.

use super::{
    net::{Net, PASSWORD, Plan, secret, wait},
    process::mileverse,
};
use alloy::{
    primitives::{Address, B256, U256, keccak256, uint},
    signers::local::PrivateKeySigner,
    sol_types::SolCall as _,
};
use mileverse_bindings::deploy::Valves;
use mileverse_fixtures::faults::Faults;
use mileverse_primitives::{abi::IPoints, address::POINTS};
use mileverse_wallet::{
    client::{Client, Opened, Opening},
    keystore,
    rpc::Chain,
    timelock::{State, lock_of},
    units::{Amount, Token},
};
use serde_json::Value;
use std::{path::PathBuf, process::Stdio};

/// Who receives what points cost.
const FEES: Address = Address::repeat_byte(0xfe);
const SEED: u64 = 5;
/// One request in so many of the relayer's fails on the way.
const BAD_LINE: u32 = 20;
/// In a thousand requests, those that the lying endpoint of each chain answers with a lie.
const LIES: u32 = 100;
/// Points that Alice begins with: 1,000.
const POINTS_AT_FIRST: U256 = uint!(1_000_000_000_U256);
/// Trades at once.
const TRADES: u64 = 9;
const HOUR: u64 = 3_600;

/// One of the two people.
struct Person {
    key: PrivateKeySigner,
    keystore: PathBuf,
    password: PathBuf,
    native: Client,
    ethereum: Client,
}

impl Person {
    async fn new(net: &Net, name: &str, key: &PrivateKeySigner) -> Self {
        let home = net.config.with_file_name(name);
        std::fs::create_dir_all(&home).unwrap();
        let (keystore, password) = (home.join("key.json"), home.join("password"));
        keystore::store(&keystore, PASSWORD, key).unwrap();
        secret(&password, PASSWORD);
        let [native, ethereum] = &net.urls;
        let (native, facts) = Client::native(native, Some(key.clone())).await.unwrap();
        let ethereum = Client::ethereum(ethereum, &facts, Some(key.clone())).await;
        Self {
            key: key.clone(),
            keystore,
            password,
            native,
            ethereum: ethereum.unwrap(),
        }
    }

    fn address(&self) -> Address {
        self.key.address()
    }

    fn on(&self, chain: Chain) -> &Client {
        match chain {
            Chain::Native => &self.native,
            Chain::Ethereum => &self.ethereum,
        }
    }

    /// What `mileverse wallet timelock …` answers, or the sentence with which it refuses.
    fn says(&self, net: &Net, words: &str) -> Result<Value, String> {
        let output = mileverse()
            .args(["wallet", "--json", "--yes", "--keystore"])
            .arg(&self.keystore)
            .arg("--password-file")
            .arg(&self.password)
            .args(["--native-rpc", &net.urls[0]])
            .args(["--ethereum-rpc", &net.urls[1]])
            .arg("timelock")
            .args(words.split(' '))
            .stdin(Stdio::null())
            .output()
            .unwrap();
        if output.status.success() {
            return Ok(serde_json::from_slice(&output.stdout).unwrap());
        }
        Err(String::from_utf8_lossy(&output.stderr).into_owned())
    }

    /// The same, as soon as what it waits for is final.
    async fn insists(&self, net: &Net, words: &str) -> Value {
        wait(words, async || match self.says(net, words) {
            Ok(value) => Some(value),
            Err(said) => {
                assert!(said.contains("not final"), "{words}: {said}");
                None
            }
        })
        .await
    }

    /// Points here and coin on Ethereum.
    async fn holds(&self, net: &Net) -> [U256; 2] {
        let account = self.address();
        [
            net.held(Chain::Native, Chain::Native, account).await,
            net.held(Chain::Ethereum, Chain::Ethereum, account).await,
        ]
    }
}

fn plan(members: Vec<Address>) -> Plan {
    Plan {
        seed: SEED,
        validator_lines: Faults::default(),
        valves: Valves::standard(Address::repeat_byte(0x91), Address::repeat_byte(0x92)),
        native_rules: format!(
            "[points]\nguardian = '{}'\nfee = {{ basisPoints = 30, cap = '300000000', receiver = '{FEES}', \
             exempt = [] }}\nlane = {{ shareBp = 9000, price = 1, least = 3000 }}\n",
            Address::ZERO
        ),
        members,
        foreign: false,
        quarter: None,
    }
}

/// 0.3 %, rounded down; no trade here reaches the cap.
fn fee(points: u64) -> U256 {
    U256::from(points * 3 / 1_000)
}

/// What both should have: points here, coin on Ethereum.
struct Books {
    alice: [U256; 2],
    bob: [U256; 2],
}

impl Books {
    async fn agree(&self, net: &Net, alice: &Person, bob: &Person) -> bool {
        alice.holds(net).await == self.alice && bob.holds(net).await == self.bob
    }
}

/// The tail of a command as the wallet tells it.
fn tail(command: &str) -> &str {
    command
        .strip_prefix("mileverse wallet timelock ")
        .expect("a command of these swaps")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_shown_in_time_is_paid_to_both_and_all_else_is_refunded() {
    let keys = [1u8, 2].map(|byte| PrivateKeySigner::from_bytes(&B256::repeat_byte(byte)).unwrap());
    let mut net = Net::start(&plan(keys.iter().map(PrivateKeySigner::address).collect())).await;
    net.start_relayer();
    let [alice, bob] = &keys;
    let alice = Person::new(&net, "alice", alice).await;
    let bob = Person::new(&net, "bob", bob).await;
    let issuer = Client::native(&net.urls[0], Some(net.issuer.clone())).await;
    let issue = IPoints::issueCall {
        to: alice.address(),
        amount: POINTS_AT_FIRST,
        conversionId: B256::repeat_byte(9),
    };
    let (issuer, _) = issuer.unwrap();
    issuer
        .execute(POINTS, U256::ZERO, issue.abi_encode().into())
        .await
        .unwrap();
    let mut books = Books {
        alice: alice.holds(&net).await,
        bob: bob.holds(&net).await,
    };
    assert_eq!(books.alice[0], POINTS_AT_FIRST);

    by_the_commands(&mut net, &alice, &bob, &mut books).await;
    many_at_once(&mut net, &alice, &bob, &mut books).await;
}

/// Alice's points against Bob's coin, first hers, then his; each answers with the command that the other's
/// wallet tells.
async fn by_the_commands(net: &mut Net, alice: &Person, bob: &Person, books: &mut Books) {
    let (points, coin) = (
        U256::from(10_000_000u64),
        uint!(5_000_000_000_000_000_000_U256),
    );
    let paid = fee(10_000_000);

    // Hers first. The relayer is dead while the secret is shown, and Bob does nothing but answer.
    let open = format!(
        "open --chain native --token mvp --amount 10 --to {} --for-amount 5",
        bob.address()
    );
    let opened = alice.says(net, &open).unwrap();
    assert!(opened.get("secret").is_none(), "{opened}");
    let lock = opened["lock"].as_str().unwrap().to_owned();
    let less = tail(opened["command"].as_str().unwrap()).replace(" 10", " 11");
    let said = bob.says(net, &less).unwrap_err();
    assert!(said.contains("was agreed"), "{said}");
    bob.says(net, tail(opened["command"].as_str().unwrap()))
        .unwrap();
    net.relayer.kill();
    let claim = format!("claim {lock}");
    alice.insists(net, &claim).await;
    net.start_relayer();
    books.alice[0] -= points + paid;
    books.alice[1] += coin;
    books.bob[0] += points;
    books.bob[1] -= coin;
    wait("the relayer to pay Bob", async || {
        books.agree(net, alice, bob).await.then_some(())
    })
    .await;
    let status = alice.says(net, &format!("status {lock}")).unwrap();
    let states: Vec<_> = status["halves"]
        .as_array()
        .unwrap()
        .iter()
        .map(|half| half["state"].as_str().unwrap())
        .collect();
    assert_eq!(states, ["claimed", "claimed"], "{status}");
    // Nothing is left, and the secret is known: nobody may open anything under it.
    let said = bob
        .says(net, tail(opened["command"].as_str().unwrap()))
        .unwrap_err();
    assert!(said.contains("shown already"), "{said}");

    // His first, on Ethereum: answered once it is final there.
    let open = format!(
        "open --chain ethereum --token mvc --amount 5 --to {} --for-amount 10",
        alice.address()
    );
    let opened = bob.says(net, &open).unwrap();
    let lock = opened["lock"].as_str().unwrap();
    alice
        .insists(net, tail(opened["command"].as_str().unwrap()))
        .await;
    bob.says(net, &format!("claim {lock}")).unwrap();
    books.alice[0] -= points + paid;
    books.alice[1] += coin;
    books.bob[0] += points;
    books.bob[1] -= coin;
    wait("the relayer to pay Alice", async || {
        books.agree(net, alice, bob).await.then_some(())
    })
    .await;
}

/// How a trade goes.
#[derive(Clone, Copy, Debug)]
enum Way {
    /// Both open, the first shows the secret, and the relayer does the rest.
    Shown,
    /// Nobody answers.
    Unanswered,
    /// Both open, and the secret is never shown.
    Silent,
}

/// A half that was opened, and what must become of it.
struct Half {
    chain: Chain,
    opened: Opened,
    end: State,
}

async fn many_at_once(net: &mut Net, alice: &Person, bob: &Person, books: &mut Books) {
    for (chain, lines) in net.proxies.iter().enumerate() {
        for (number, line) in lines.iter().enumerate() {
            let faults = Faults::bad_line(BAD_LINE);
            let lies = if number == chain { LIES } else { 0 };
            line.set(faults.lying(lies));
        }
    }
    let mut halves = Vec::new();
    for number in 0..TRADES {
        let way = [Way::Shown, Way::Unanswered, Way::Silent][(number % 3) as usize];
        let first = if number % 2 == 0 {
            Chain::Native
        } else {
            Chain::Ethereum
        };
        let trade = trade(alice, bob, books, number, way, first).await;
        halves.extend(trade);
        if number == TRADES / 2 {
            net.relayer.kill();
            net.start_relayer();
        }
    }
    for half in &halves {
        let what = format!("{:?} {} to be {}", half.chain, half.opened.id, half.end);
        let client = alice.on(half.chain);
        wait(&what, async || {
            let state = client.timelock_state(half.opened.id).await.unwrap();
            assert!(state == State::Open || state == half.end, "{what}: {state}");
            (state == half.end).then_some(())
        })
        .await;
    }
    assert!(
        books.agree(net, alice, bob).await,
        "{:?} and {:?}, {:?} and {:?}",
        alice.holds(net).await,
        bob.holds(net).await,
        books.alice,
        books.bob
    );
    for (home, contract) in [
        (
            Chain::Native,
            alice.on(Chain::Native).timelock_contract().unwrap(),
        ),
        (
            Chain::Ethereum,
            alice.on(Chain::Ethereum).timelock_contract().unwrap(),
        ),
    ] {
        assert_eq!(net.held(home, home, contract).await, U256::ZERO);
    }
}

/// Opens the halves of a trade and shows its secret, if it is to be shown; writes down what must come of it.
async fn trade(
    alice: &Person,
    bob: &Person,
    books: &mut Books,
    number: u64,
    way: Way,
    first: Chain,
) -> Vec<Half> {
    let secret = keccak256(number.to_be_bytes());
    let (points, coin) = (1_000_000 + number, 1_000_000_000 + number);
    let lock = lock_of(secret);
    let opening = |chain, deadline| match chain {
        Chain::Native => Opening {
            amount: Amount::from_units(Token::Mvp, U256::from(points)),
            claimer: bob.address(),
            lock,
            deadline,
        },
        Chain::Ethereum => Opening {
            amount: Amount::from_units(Token::Mvc, U256::from(coin)),
            claimer: alice.address(),
            lock,
            deadline,
        },
    };
    let of = |chain| match chain {
        Chain::Native => alice,
        Chain::Ethereum => bob,
    };
    let now = of(first).on(first).timelock_now().await.unwrap();
    let (long, short, end) = match way {
        Way::Shown => (now + 4 * HOUR, now + 2 * HOUR, State::Claimed),
        // Soon over, but not before both are open: Ethereum makes a block a second.
        Way::Unanswered | Way::Silent => (now + 45, now + 35, State::Refunded),
    };
    let half = |chain, opened| Half { chain, opened, end };
    let opened = of(first)
        .on(first)
        .timelock_open(&opening(first, long))
        .await;
    let mut halves = vec![half(first, opened.unwrap())];
    let second = first.other();
    if !matches!(way, Way::Unanswered) {
        let opened = of(second)
            .on(second)
            .timelock_open(&opening(second, short))
            .await;
        halves.push(half(second, opened.unwrap()));
    }
    if matches!(way, Way::Shown) {
        // Whoever opened the first half is paid by the second, and shows the secret.
        let terms = &halves[1].opened.terms;
        of(first)
            .on(second)
            .timelock_show(terms, secret)
            .await
            .unwrap();
        books.alice[0] -= U256::from(points);
        books.bob[0] += U256::from(points);
        books.alice[1] += U256::from(coin);
        books.bob[1] -= U256::from(coin);
    }
    if halves.iter().any(|half| half.chain == Chain::Native) {
        books.alice[0] -= fee(points);
    }
    halves
}
