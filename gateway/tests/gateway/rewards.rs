//! Quarterly rewards: a real Ethereum node with the real contracts, a native chain that says what a
//! test tells it, and the gateway between them.
//!
//! `REWARDS_SEED` replays the deaths of one run.

use crate::kit::Anvil;
use crate::support::gate::Kill;
use crate::support::proxy::Proxy;
use crate::support::{Databases, Gateway, PATIENCE, RECEIVER, World};
use alloy::primitives::{Address, U256, hex};
use alloy::providers::{DynProvider, Provider as _};
use alloy::signers::local::PrivateKeySigner;
use mileverse_bindings::deploy::{Deployment, Tranches, Valves, deploy};
use mileverse_bindings::{MileVerseCoin, QuarterlyRewards};
use mileverse_gateway::clock::now_ms;
use mileverse_gateway::config::RewardsConfig;
use mileverse_gateway::rewards::Rules;
use mileverse_gateway::rewards::slot::Slot;
use mileverse_gateway::store::Store;
use mileverse_gateway::store::cases::Page;
use mileverse_primitives::quarter::Quarter;
use rand::{Rng as _, SeedableRng as _, rngs::StdRng};
use reqwest::StatusCode;
use secrecy::SecretString;
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::{self, Instant};

crate::on_both! {
    a_quarter_is_opened_forwarded_and_claimed_once,
    a_gateway_that_dies_again_and_again_pays_once,
    a_transaction_that_is_too_cheap_is_replaced,
    members_hear_what_they_earned_once,
    a_late_quarter_is_a_case_until_it_came,
}

/// The first group key of a chain that nobody runs.
const KEY: [u8; 256] = hex!(
    "00000000000000000000000000000000172432bb1b5ea68b1d39976123198ed7d25e208593c89d346093152bf4440765d822c26b27b7dffe02e34d725a5d6072"
    "00000000000000000000000000000000195feb2ba5d2c99373b36261e96d24aeb4e4608a9629fa2d2f2c9ddfb1843b28cf5575e1a406e895db60c0973625ee12"
    "00000000000000000000000000000000147426433d08bd94daa0917d3b05e5daf5f44f3bdece3255c577cd7e4071dc7becca0b647d979e959bcee96c27fa8efb"
    "000000000000000000000000000000000b9c23ab88008a94e6e87185de63382f23f8dd151ef775ec9b9c6ef4ac37f0528147e84d9182d4de4dd7a182f0039b05"
);
const CHAIN_ID: u64 = 31_337;
const PACE: Duration = Duration::from_millis(20);
/// More than one transaction takes.
const HOLDERS: usize = 103;

fn mvc(whole: u64) -> U256 {
    U256::from(whole) * U256::from(10).pow(U256::from(18))
}

/// The quarter that is over by the clock.
fn last_quarter() -> Quarter {
    let current = Quarter::containing(u64::try_from(now_ms()).unwrap()).unwrap();
    Quarter::new(current.number() - 1)
}

/// Writes the keystore of the account that pays for gas; answers the configuration.
fn configure(world: &mut World, ethereum: &str, rules: Rules) -> Address {
    let key = [9u8; 32];
    PrivateKeySigner::encrypt_keystore(
        world.directory.path(),
        &mut rand_keystore::thread_rng(),
        key,
        "secret",
        Some("rewards.json"),
    )
    .unwrap();
    world.settings.rewards = Some(RewardsConfig {
        ethereum_rpc_url: ethereum.parse().unwrap(),
        ethereum_chain_id: CHAIN_ID,
        keystore: world.directory.path().join("rewards.json"),
        password: SecretString::from("secret"),
        rules,
    });
    PrivateKeySigner::from_slice(&key).unwrap().address()
}

/// Both chains after the end of a quarter that nobody has looked at.
struct Quarterly {
    world: World,
    quarter: Quarter,
    provider: DynProvider,
    all: Deployment,
    holders: Vec<Address>,
    locked: U256,
    _proxy: Proxy,
    _anvil: Anvil,
}

impl Quarterly {
    /// Custodial holder `n` has `n + 1` thousand MVC; the last one has none.
    fn held(&self, at: usize) -> U256 {
        match at + 1 == self.holders.len() {
            true => U256::ZERO,
            false => mvc(1_000 * (at as u64 + 1)),
        }
    }

    async fn start(on: &Databases, rules: Rules) -> Self {
        let quarter = last_quarter();
        let begins = quarter.next().begins_ms().unwrap() / 1_000;
        let anvil = Anvil::with(&[
            "--timestamp",
            &(begins - 3_600).to_string(),
            "--slots-in-an-epoch",
            "1",
        ]);
        let provider = anvil.provider().erased();
        let owner = anvil.account();
        let tranches = Tranches {
            sale: owner,
            team: owner,
            partner: owner,
            advisor: owner,
            marketing: owner,
            lockup_start: 1_700_000_000,
        };
        let valves = Valves::standard(Address::repeat_byte(1), Address::repeat_byte(2));
        let locked = mvc(7_000_000);
        let all = deploy(&provider, &KEY, 46_226, &tranches, locked, &valves)
            .await
            .unwrap();
        let holders = (1..=HOLDERS)
            .map(|number| Address::from_word(U256::from(1_000_000 + number).into()))
            .collect();
        let mut world = World::new(on).await;
        let proxy = Proxy::start(anvil.url().to_owned(), std::sync::Arc::clone(&world.gate)).await;
        let mut quarterly = Self {
            quarter,
            provider,
            all,
            holders,
            locked,
            world: {
                let rules = Rules {
                    custodial: (1..=HOLDERS)
                        .map(|number| Address::from_word(U256::from(1_000_000 + number).into()))
                        .collect(),
                    ..rules
                };
                let sender = configure(&mut world, &proxy.url, rules);
                let () = anvil_says(&anvil, json!([sender, "0x56bc75e2d63100000"])).await;
                world
            },
            _proxy: proxy,
            _anvil: anvil,
        };
        let coin = MileVerseCoin::new(all.coin, &quarterly.provider);
        let mut pending = Vec::new();
        for (at, holder) in quarterly.holders.iter().enumerate() {
            let amount = quarterly.held(at);
            if !amount.is_zero() {
                pending.push(coin.transfer(*holder, amount).send().await.unwrap());
            }
        }
        for sent in pending {
            assert!(sent.get_receipt().await.unwrap().status());
        }
        let now = U256::from(now_ms() / 1_000);
        quarterly
            .says("evm_setNextBlockTimestamp", json!([now]))
            .await;
        quarterly.says("evm_mine", json!([])).await;
        let native = crate::support::chain::NativeRewards {
            quarter: quarter.next().number(),
            paying: quarter.number(),
            source: all.rewards,
            ..Default::default()
        };
        quarterly.world.chain.ledger.lock().unwrap().rewards = Some(native);
        quarterly.world.settings.retry.longest = PACE;
        quarterly
    }

    async fn says(&self, method: &'static str, parameters: Value) -> Value {
        self.provider
            .raw_request(method.into(), parameters)
            .await
            .unwrap()
    }

    fn contract(&self) -> QuarterlyRewards::QuarterlyRewardsInstance<&DynProvider> {
        QuarterlyRewards::new(self.all.rewards, &self.provider)
    }

    /// Time goes by: Ethereum makes a block, and a share that was sent arrives and is paid.
    async fn goes_on(&self) {
        self.says("evm_mine", json!([])).await;
        let number = self.quarter.number();
        let Ok(report) = self.contract().report(number).call().await else {
            return;
        };
        if report.sequence > 0 {
            let mut ledger = self.world.chain.ledger.lock().unwrap();
            let native = ledger.rewards.as_mut().unwrap();
            native.locked.insert(number, report.locked);
            native.paying = number + 1;
        }
    }

    /// Whether every slot of the quarter is done.
    async fn is_done(&self, store: &Store) -> bool {
        let slots = store.reward_slots(100).await.unwrap();
        let done = slots
            .iter()
            .filter(|row| row.quarter == self.quarter && row.done_at.is_some());
        done.count() == Slot::ALL.len()
    }

    async fn finish(&self, store: &Store) {
        let until = Instant::now() + PATIENCE;
        while !self.is_done(store).await {
            assert!(
                Instant::now() < until,
                "{:?}",
                store.waiting_jobs(20).await.unwrap()
            );
            self.goes_on().await;
            time::sleep(PACE).await;
        }
    }

    /// Everybody has what the contract's own rule says, to the unit, and the rows say so, too.
    async fn check(&self, store: &Store) {
        let number = self.quarter.number();
        let report = self.contract().report(number).call().await.unwrap();
        let sum = (0..HOLDERS).fold(U256::ZERO, |sum, at| sum + self.held(at));
        assert_eq!(report.pot, mvc(4_500_000));
        assert_eq!(report.eligible, sum + self.locked);
        assert_eq!(report.sequence, 1, "the share was sent once");
        let coin = MileVerseCoin::new(self.all.coin, &self.provider);
        let mut paid = U256::ZERO;
        for (at, holder) in self.holders.iter().enumerate() {
            let earned = report.pot * self.held(at) / report.eligible;
            let balance = coin.balanceOf(*holder).call().await.unwrap();
            assert_eq!(balance, self.held(at) + earned, "holder {at}");
            paid += earned;
        }
        assert_eq!(report.paid, paid);
        let claimed = store.claimed_rewards(self.quarter).await.unwrap();
        assert_eq!(claimed.len(), HOLDERS);
        let open = Page {
            open: Some(true),
            limit: 10,
            ..Page::default()
        };
        assert_eq!(store.cases(&open).await.unwrap(), []);
    }
}

/// How many transactions were ever signed; none of them failed. The outcome of the last ones is found
/// out by the next look, which nobody takes when all is done.
async fn signed(store: &Store) -> i64 {
    let transactions = store.reward_transactions().await.unwrap();
    let failed = transactions.iter().find(|(name, _)| name == "reverted");
    assert_eq!(failed, None, "{transactions:?}");
    transactions.iter().map(|(_, many)| many).sum()
}

async fn anvil_says(anvil: &Anvil, parameters: Value) {
    let () = anvil
        .provider()
        .raw_request("anvil_setBalance".into(), parameters)
        .await
        .unwrap();
}

async fn a_quarter_is_opened_forwarded_and_claimed_once(on: &Databases) {
    let quarterly = Quarterly::start(on, Rules::default()).await;
    let world = &quarterly.world;
    let gateway = world.gateway().await;
    let store = world.store().await;
    // Two replicas of one database, where there can be two.
    let other = match store.is_shared() {
        true => Some(world.gateway().await),
        false => None,
    };
    quarterly.finish(&store).await;
    quarterly.check(&store).await;
    assert_eq!(signed(&store).await, 4, "opened, forwarded, claimed in two");

    // The scheduler fires again and again: nothing is left to be put in, or to be done.
    let machine = gateway.machine();
    for _ in 0..3 {
        assert_eq!(machine.schedule_rewards(now_ms()).await.unwrap(), 0);
    }
    for slot in Slot::ALL {
        let job = slot.job(quarterly.quarter);
        assert_eq!(machine.reward(&job).await.unwrap(), None);
    }
    assert_eq!(signed(&store).await, 4);
    quarterly.check(&store).await;
    store.close().await;
    for gateway in [Some(gateway), other].into_iter().flatten() {
        gateway.stop().await;
    }
}

async fn a_gateway_that_dies_again_and_again_pays_once(on: &Databases) {
    const DEATHS: u32 = 24;
    let seed = std::env::var("REWARDS_SEED").map_or_else(
        |_| rand::rng().random_range(0..1_000_000),
        |text| text.parse().unwrap(),
    );
    eprintln!("to replay: REWARDS_SEED={seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let quarterly = Quarterly::start(on, Rules::default()).await;
    let world = &quarterly.world;
    let store = world.store().await;
    for _ in 0..DEATHS {
        let at = random.random_range(1..40);
        let kill = match random.random_bool(0.5) {
            true => Kill::Before(at),
            false => Kill::After(at),
        };
        let gateway = world.gateway().await;
        world.gate.arm(kill);
        loop {
            tokio::select! {
                () = world.gate.tripped() => break,
                () = time::sleep(PACE) => quarterly.goes_on().await,
            }
            if quarterly.is_done(&store).await {
                break;
            }
        }
        gateway.kill().await;
        world.gate.disarm();
    }
    let gateway = world.gateway().await;
    quarterly.finish(&store).await;
    quarterly.check(&store).await;
    assert_eq!(signed(&store).await, 4, "each once; seed {seed}");
    store.close().await;
    gateway.stop().await;
}

async fn a_transaction_that_is_too_cheap_is_replaced(on: &Databases) {
    let rules = Rules {
        replace: Duration::ZERO,
        ..Rules::default()
    };
    let quarterly = Quarterly::start(on, rules).await;
    let world = &quarterly.world;
    let store = world.store().await;
    quarterly.says("evm_setAutomine", json!([false])).await;
    let gateway = world.gateway().await;
    let until = Instant::now() + PATIENCE;
    // Nobody makes blocks: the call waits, and is signed again, dearer.
    loop {
        if signed(&store).await >= 3 {
            break;
        }
        assert!(Instant::now() < until, "it was not replaced");
        time::sleep(PACE).await;
    }
    quarterly.says("evm_setAutomine", json!([true])).await;
    quarterly.finish(&store).await;
    quarterly.check(&store).await;
    assert!(signed(&store).await >= 6);
    store.close().await;
    gateway.stop().await;
}

async fn link(
    world: &World,
    gateway: &Gateway,
    key: &str,
    (login, password): (&str, &str),
) -> String {
    let body = json!({
        "programme": "airline",
        "member": { "login": login, "password": password },
        "consent": "terms-1",
    });
    let answer = world.post(gateway, "/v1/members", key, &body);
    let view: Value = answer.send().await.unwrap().json().await.unwrap();
    view["id"]
        .as_str()
        .unwrap_or_else(|| panic!("{view}"))
        .to_owned()
}

/// Converts miles of a member to an address.
async fn convert(world: &World, gateway: &Gateway, login: (&str, &str), receiver: &str) {
    let mut body = world.quoted(gateway, login.0, login.1, "10").await;
    body["receiver"] = json!(receiver);
    let key = uuid::Uuid::now_v7().to_string();
    let made = world.post(gateway, "/v1/conversions", &key, &body);
    assert_eq!(made.send().await.unwrap().status(), StatusCode::CREATED);
}

/// A world whose native chain pays out of its own pool; nobody answers for Ethereum.
async fn alone(on: &Databases, rules: Rules) -> (World, Quarter) {
    let mut world = World::new(on).await;
    configure(&mut world, "http://127.0.0.1:1", rules);
    let quarter = last_quarter();
    world.chain.ledger.lock().unwrap().rewards = Some(crate::support::chain::NativeRewards {
        quarter: quarter.number(),
        paying: quarter.number(),
        ..Default::default()
    });
    (world, quarter)
}

async fn members_hear_what_they_earned_once(on: &Databases) {
    const MINJI: (&str, &str) = ("minji@sky.example", "blue-heron-41");
    const DANIEL: (&str, &str) = ("daniel@sky.example", "quiet-pine-07");
    let (world, quarter) = alone(on, Rules::default()).await;
    let gateway = world.gateway().await;
    let store = world.store().await;
    let minji = link(&world, &gateway, "minji", MINJI).await;
    let daniel = link(&world, &gateway, "daniel", DANIEL).await;
    let other = Address::repeat_byte(0x42);
    convert(&world, &gateway, MINJI, RECEIVER).await;
    convert(&world, &gateway, MINJI, RECEIVER).await;
    convert(&world, &gateway, MINJI, &other.to_string()).await;
    convert(
        &world,
        &gateway,
        DANIEL,
        &Address::repeat_byte(0x43).to_string(),
    )
    .await;
    // One has left: nobody hears of it any more.
    let url = format!("{}/v1/members/{daniel}", gateway.url);
    let request = world.client.delete(url).bearer_auth(crate::support::KEY);
    let left = request
        .header("idempotency-key", "left")
        .send()
        .await
        .unwrap();
    assert!(left.status().is_success(), "{}", left.status());
    {
        let mut ledger = world.chain.ledger.lock().unwrap();
        let native = ledger.rewards.as_mut().unwrap();
        let number = quarter.number();
        let earned = [
            (RECEIVER.parse().unwrap(), U256::MAX / U256::from(4)),
            (other, U256::from(7)),
            (Address::repeat_byte(0x43), U256::from(1_000)),
        ];
        for (account, wei) in earned {
            native.earned.insert((account, number), wei);
        }
        native.quarter = number + 1;
        native.paying = number + 1;
    }
    let until = Instant::now() + PATIENCE;
    let done = async || {
        let row = store.reward_slot(quarter, Slot::Tell).await.unwrap();
        row.is_some_and(|row| row.done_at.is_some())
    };
    while !done().await {
        assert!(Instant::now() < until, "{:?}", store.waiting_jobs(20).await);
        time::sleep(PACE).await;
    }
    let told = async || {
        let events = world.get(&gateway, "/v1/events?limit=100").await;
        let events = events["items"]
            .as_array()
            .unwrap_or_else(|| panic!("{events}"))
            .clone();
        events
            .into_iter()
            .filter(|event| event["type"] == "reward.paid")
            .collect::<Vec<_>>()
    };
    let events = told().await;
    assert_eq!(events.len(), 1, "{events:?}");
    let body = &events[0]["body"];
    let data = &body["data"];
    assert_eq!(data["quarter"], json!(quarter.to_string()), "{body}");
    assert_eq!(data["member_id"], json!(minji));
    let most = U256::MAX / U256::from(4);
    assert_eq!(
        data["native_wei"],
        json!((most + U256::from(7)).to_string())
    );
    assert_eq!(data["ethereum_wei"], "0");
    let accounts = data["accounts"].as_array().unwrap();
    assert_eq!(accounts.len(), 2);
    let of = |address: &str| {
        accounts
            .iter()
            .find(|account| account["address"] == address)
            .unwrap_or_else(|| panic!("no {address} in {body}"))
    };
    assert_eq!(of(RECEIVER)["native_wei"], json!(most.to_string()));
    assert_eq!(of(&other.to_string())["native_wei"], "7");
    for slot in Slot::ALL {
        let job = slot.job(quarter);
        assert_eq!(gateway.machine().reward(&job).await.unwrap(), None);
    }
    assert_eq!(told().await.len(), 1);
    store.close().await;
    gateway.stop().await;
}

async fn a_late_quarter_is_a_case_until_it_came(on: &Databases) {
    let rules = Rules {
        close: Duration::ZERO,
        ..Rules::default()
    };
    let (world, quarter) = alone(on, rules).await;
    let gateway = world.gateway().await;
    let store = world.store().await;
    let subject = Slot::Close.job(quarter);
    let page = Page {
        kind: Some("reward_late"),
        subject: Some(&subject),
        limit: 10,
        ..Page::default()
    };
    let until = Instant::now() + PATIENCE;
    let case = async |open: bool| {
        let cases = store.cases(&page).await.unwrap();
        assert!(cases.len() < 2, "{cases:?}");
        cases.into_iter().find(|case| case.open == open)
    };
    while case(true).await.is_none() {
        assert!(Instant::now() < until, "nobody heard that it is late");
        time::sleep(PACE).await;
    }
    let figures = async || {
        let url = format!("{}/metrics", gateway.url);
        let answer = world.client.get(url).bearer_auth(crate::support::KEY);
        answer.send().await.unwrap().text().await.unwrap()
    };
    let text = figures().await;
    assert!(
        text.contains("gateway_rewards_late{slot=\"close\"} 1"),
        "{text}"
    );
    {
        let mut ledger = world.chain.ledger.lock().unwrap();
        let native = ledger.rewards.as_mut().unwrap();
        native.quarter = quarter.number() + 1;
        native.paying = quarter.number() + 1;
    }
    let closed = loop {
        if let Some(case) = case(false).await {
            break case;
        }
        assert!(Instant::now() < until, "the case stays open");
        time::sleep(PACE).await;
    };
    assert_eq!(closed.closed_by.as_deref(), Some("gateway"));
    assert_eq!(closed.resolution.as_deref(), Some("done"));
    let text = figures().await;
    assert!(
        text.contains("gateway_rewards_late{slot=\"close\"} 0"),
        "{text}"
    );
    store.close().await;
    gateway.stop().await;
}
