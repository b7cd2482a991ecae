//! A quarter's end on both chains, from the close to the last payment: real validators, the real
//! relayer, anvil with the real contracts, and the verbs that anybody would use.
//!
//! ```txt
//! before the close   members hold coin on both chains; one transfer leaves Ethereum and is on its way
//! the close          Ethereum's clock passes the end; the native chain's first block is after it
//! after it           rewards open, rewards forward; the relayer carries the share; rewards claim
//! ```
//!
//! Every amount is worked out here once more, from who held what at the close.

use super::{
    net::{Net, Plan, QuarterEnd, keystore_of, wait},
    process::{mileverse, told},
};
use alloy::{
    primitives::{Address, B256, U256, aliases::U96},
    providers::Provider as _,
    signers::local::PrivateKeySigner,
};
use mileverse_bindings::{MileVerseCoin, QuarterlyRewards, deploy::Valves};
use mileverse_fixtures::faults::Faults;
use mileverse_primitives::{abi::IRewards, address::REWARDS, quarter::Quarter};
use mileverse_wallet::rpc::Chain;
use serde_json::{Value, json};
use std::time::{SystemTime, UNIX_EPOCH};

/// Owners of the net's validators, and what each has at stake.
const OWNERS: [u8; 4] = [10, 11, 12, 13];
const STAKE: u64 = 20_000;
/// What each member has, on either chain.
const EACH: u64 = 1_000;
/// Of it on its way at the close.
const ON_ITS_WAY: u64 = 300;

fn mvc(whole: u64) -> U256 {
    U256::from(whole) * U256::from(10).pow(U256::from(18))
}

fn units(amount: &Value) -> U256 {
    let text = amount["units"].as_str();
    text.unwrap_or_else(|| panic!("no units in {amount}"))
        .parse()
        .unwrap()
}

/// Runs a verb of `mileverse rewards` with the payer's key.
fn rewards(net: &Net, arguments: &[&str]) -> Value {
    verb(net, "rewards", arguments)
}

/// The rewards in an account's history on a chain: what was paid, for which quarter. Nothing else tells the
/// same coin.
fn history(net: &Net, chain: &str, account: &str) -> Vec<(String, U256)> {
    let asked = ["history", "--chain", chain, "--account", account];
    let told = verb(net, "wallet", &asked);
    let entries = told["history"]["entries"].as_array().unwrap().clone();
    let paid = entries.iter().filter(|entry| entry["kind"] == "rewarded");
    let paid: Vec<_> = paid
        .map(|entry| {
            let same = entries
                .iter()
                .filter(|other| other["transaction"] == entry["transaction"]);
            assert_eq!(same.count(), 1, "{told}");
            let quarter = entry["quarter"].as_str().unwrap();
            (quarter.to_owned(), units(&entry["in"][0]))
        })
        .collect();
    paid
}

fn verb(net: &Net, command: &str, arguments: &[&str]) -> Value {
    let root = net.config.parent().unwrap();
    let [native, ethereum] = &net.urls;
    let output = told(
        mileverse()
            .arg(command)
            .args(arguments)
            .args(["--json", "--native-rpc", native, "--ethereum-rpc", ethereum])
            .arg("--keystore")
            .arg(root.join("payer"))
            .arg("--password-file")
            .arg(root.join("password")),
    );
    serde_json::from_slice(&output).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_coin_earns_the_same_on_both_chains_and_once() {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let current = Quarter::containing(u64::try_from(now.as_millis()).unwrap()).unwrap();
    let quarter = Quarter::new(current.number() - 1);
    let keys = [1, 2].map(|byte| PrivateKeySigner::from_bytes(&B256::repeat_byte(byte)).unwrap());
    let members = keys.clone().map(|key| key.address());
    let mut valves = Valves::standard(Address::repeat_byte(0x91), Address::repeat_byte(0x92));
    // Nearly the whole pot crosses, since nearly all that earns is on the native chain.
    valves.coin.largeFrom = U96::MAX;
    let plan = Plan {
        seed: 1,
        validator_lines: Faults::default(),
        valves,
        native_rules: format!(
            "[bridge]\nguardian = '{}'\ngovernor = '{}'\ncoin = {{ largeFrom = '3000000000' }}\n",
            Address::repeat_byte(0x92),
            Address::repeat_byte(0x91)
        ),
        members: members.to_vec(),
        foreign: false,
        quarter: Some(QuarterEnd {
            quarter,
            sender: keys[0].clone(),
            amount: mvc(ON_ITS_WAY),
        }),
    };
    let mut net = Net::start(&plan).await;
    net.start_relayer();
    let payer = keystore_of(net.config.parent().unwrap(), "payer");
    net.anvil("anvil_setBalance", json!([payer, "0x56bc75e2d63100000"]))
        .await;
    let number = quarter.number();
    let name = quarter.to_string();

    // What everybody held at the close.
    let genesis = mvc(OWNERS.len() as u64 * STAKE + members.len() as u64 * EACH);
    let locked = genesis + mvc(ON_ITS_WAY);
    let there = [mvc(EACH - ON_ITS_WAY), mvc(EACH)];
    let pot = mvc(4_500_000);
    let eligible = there[0] + there[1] + locked;
    let share = pot * locked / eligible;
    let pot_here = share * genesis / locked;

    let opened = rewards(&net, &["open"]);
    assert_eq!(opened[0]["quarter"], json!(name), "{opened}");
    assert_eq!(units(&opened[0]["eligible"]), eligible);
    assert_eq!(units(&opened[0]["share"]), share);
    let forwarded = rewards(&net, &["forward"]);
    assert_eq!(forwarded[0]["quarter"], json!(name), "{forwarded}");
    assert_eq!(units(&forwarded[0]["share"]), share);
    // A timer that goes off again finds nothing to do.
    assert_eq!(rewards(&net, &["open"]), json!([]));
    assert_eq!(rewards(&net, &["forward"]), json!([]));

    let call = IRewards::standingCall {};
    wait("the share, and the payment of everybody", async || {
        let standing = net.native.view(REWARDS, &call).await.unwrap();
        (standing.paying > number).then_some(())
    })
    .await;
    let native = rewards(&net, &["report", "--quarter", &name]);
    let native = &native[0];
    assert_eq!(units(&native["share"]), share, "{native}");
    assert_eq!(units(&native["locked"]), locked);
    assert_eq!(units(&native["eligible"]), genesis);
    assert_eq!(units(&native["pot"]), pot_here);

    // Here, to the unit: stake is its owner's.
    let mut paid_here = U256::ZERO;
    let owners = OWNERS.map(Address::repeat_byte);
    let holders = members.iter().map(|member| (*member, EACH));
    for (account, held) in holders.chain(owners.iter().map(|owner| (*owner, STAKE))) {
        let call = IRewards::earnedCall {
            account,
            quarter: number,
        };
        let earned = net.native.view(REWARDS, &call).await.unwrap();
        assert_eq!(earned, pot_here * mvc(held) / genesis, "{account}");
        paid_here += earned;
    }
    assert_eq!(
        units(&native["paid"]) + units(&native["carried"]),
        paid_here,
        "{native}"
    );
    let balance = net.native.provider().get_balance(members[1]).await.unwrap();
    assert_eq!(balance, mvc(EACH) + pot_here * mvc(EACH) / genesis);
    // The part of what was on its way is nobody's, to the unit.
    let pool = net
        .native
        .view(REWARDS, &IRewards::poolCall {})
        .await
        .unwrap();
    assert_eq!(
        pool.available,
        share - paid_here - pool.carried - pool.reserved
    );
    assert!(pool.available >= share * mvc(ON_ITS_WAY) / locked);

    // There, to the unit, and once.
    let provider = net.ethereum.provider();
    let coin = MileVerseCoin::new(net.contracts.coin, provider);
    let mut paid_there = U256::ZERO;
    for (member, held) in members.iter().zip(there) {
        let before = coin.balanceOf(*member).call().await.unwrap();
        let account = member.to_string();
        let claimed = rewards(&net, &["claim", "--all", "--account", &account]);
        let earned = pot * held / eligible;
        assert_eq!(units(&claimed[0]["amount"]), earned, "{claimed}");
        assert_eq!(claimed[0]["quarter"], json!(name));
        let again = rewards(&net, &["claim", "--all", "--account", &account]);
        assert_eq!(again, json!([]));
        // Its history shows what either chain paid, as what it is.
        let paid = |amount| vec![(name.clone(), amount)];
        assert_eq!(history(&net, "ethereum", &account), paid(earned));
        let here = pot_here * mvc(EACH) / genesis;
        assert_eq!(history(&net, "native", &account), paid(here));
        let after = coin.balanceOf(*member).call().await.unwrap();
        assert!(after >= before + earned);
        paid_there += earned;
    }
    let ethereum = rewards(&net, &["report", "--chain", "ethereum", "--quarter", &name]);
    let ethereum = &ethereum[0];
    assert_eq!(units(&ethereum["paid"]), paid_there, "{ethereum}");
    assert_eq!(ethereum["claims"], json!(2));
    assert_eq!(units(&ethereum["unclaimed"]), pot - share - paid_there);

    // The same wherever it lives, to within three units, one for each division.
    let [here, same] = [pot_here * mvc(EACH) / genesis, pot * mvc(EACH) / eligible];
    assert!(
        here <= same && same - here <= U256::from(3),
        "{here}, {same}"
    );

    // What was on its way comes home, whole.
    let expected = there[0] + mvc(ON_ITS_WAY) + pot * there[0] / eligible;
    wait("the transfer that was on its way", async || {
        let balance = coin.balanceOf(members[0]).call().await.unwrap();
        (balance == expected).then_some(())
    })
    .await;
    for chain in [Chain::Native, Chain::Ethereum] {
        let (endpoint, _) = net.side(chain);
        let solvent = match chain {
            Chain::Native => endpoint.view(REWARDS, &IRewards::solventCall {}).await,
            Chain::Ethereum => {
                let call = QuarterlyRewards::solventCall {};
                endpoint.view(net.contracts.rewards, &call).await
            }
        };
        assert!(solvent.unwrap());
    }
}
