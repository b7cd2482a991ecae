//! Swaps across chains, from the command to both balances: the system that `up` starts, the public
//! commands, the real contracts, the real relayer.
//!
//! MVC on Ethereum becomes MVP on the native chain; where the price has moved in between it is back on
//! Ethereum, whole; MVP on the native chain becomes MVC on Ethereum. With the relayer dead the person delivers, and
//! fetches the refund, by hand; gas costs coin there.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use alloy::{
    primitives::{Address, U256},
    sol_types::SolCall as _,
};
use mileverse_primitives::{
    abi::ICoin,
    address::POINTS,
    exchange::{POOL, Pool, ROUTER},
};
use mileverse_wallet::{
    client::{Chains, PacketReference, PacketState, Wish},
    keystore,
    rpc::Chain,
    units::{Amount, Token},
};
use serde_json::Value;
use std::{fs, time::Duration};
use system::{System, mileverse, wait};

mod system;

const PATIENCE: Duration = Duration::from_secs(300);

fn amount(token: Token, decimal: &str) -> Amount {
    Amount::parse_positive(token, decimal).unwrap()
}

/// Both chains with the member's key.
async fn connect(system: &System) -> Chains {
    let password = fs::read_to_string(system.path("keys/password")).unwrap();
    let key = keystore::open(&system.path("keys/member.json"), password.trim_end()).unwrap();
    Chains::connect(&system.native(), &system.ethereum(), Some(key))
        .await
        .unwrap()
}

/// The member provides 50 MVC and 5,000 MVP to the empty pool.
async fn fill_pool(chains: &Chains, member: Address) {
    let (points, coins) = (amount(Token::Mvp, "5000"), amount(Token::Mvc, "50"));
    let allow = ICoin::approveCall {
        spender: POOL,
        amount: points.units(),
    };
    let provide = Pool::provideCall {
        most0: points.units(),
        most1: coins.units(),
        leastShares: U256::ONE,
        receiver: member,
        deadline: U256::MAX,
    };
    for (to, value, input) in [
        (POINTS, U256::ZERO, allow.abi_encode()),
        (POOL, coins.units(), provide.abi_encode()),
    ] {
        chains
            .native
            .execute(to, value, input.into())
            .await
            .unwrap();
    }
}

/// What the member has: MVP and MVC, here and on Ethereum.
async fn held(chains: &Chains, member: Address) -> [U256; 4] {
    let mut all = [U256::ZERO; 4];
    let places = [
        (Chain::Native, Token::Mvp),
        (Chain::Native, Token::Mvc),
        (Chain::Ethereum, Token::Mvp),
        (Chain::Ethereum, Token::Mvc),
    ];
    for (slot, (chain, token)) in all.iter_mut().zip(places) {
        *slot = chains
            .on(chain)
            .balance(member, token)
            .await
            .unwrap()
            .units();
    }
    all
}

async fn check_books(chains: &Chains) {
    for token in [Token::Mvp, Token::Mvc] {
        for chain in [Chain::Native, Chain::Ethereum] {
            assert!(chains.on(chain).solvent(token).await.unwrap(), "{token}");
        }
        let left = chains.native.balance(ROUTER, token).await.unwrap();
        assert!(left.is_zero(), "the router has {left}");
    }
}

fn units(answer: &Value) -> U256 {
    let text = answer["units"].as_str().map(str::to_owned);
    text.unwrap_or_else(|| panic!("no units in {answer}"))
        .parse()
        .unwrap()
}

#[tokio::test]
async fn one_action_swaps_from_chain_to_chain() {
    let system = System::start();
    let chains = connect(&system).await;
    let member = chains.native.account().unwrap();
    fill_pool(&chains, member).await;
    let swap = |arguments: &[&str]| {
        let mut all = vec!["wallet", "swap"];
        all.extend(arguments);
        let ethereum = system.ethereum();
        all.extend(["--yes", "--ethereum-rpc", &ethereum]);
        system.run("member", &all)
    };

    // MVC on Ethereum to MVP on the chain.
    let before = held(&chains, member).await;
    let answer = swap(&[
        "--from", "ethereum", "--to", "native", "--give", "mvc", "--amount", "0.5",
    ]);
    assert_eq!(answer["end"]["state"], "received", "{answer}");
    assert_eq!(answer["end"]["kind"], "swap", "{answer}");
    let received = units(&answer["end"]["swap"]["received"]);
    assert!(received >= units(&answer["quote"]["least"]));
    let after = held(&chains, member).await;
    assert_eq!(after[0], before[0] + received);
    assert_eq!(after[3], before[3] - amount(Token::Mvc, "0.5").units());
    assert_eq!((after[1], after[2]), (before[1], before[2]));
    check_books(&chains).await;

    // The price moves while the packet is on its way: it is refunded, whole.
    let give = amount(Token::Mvc, "0.5");
    let quote = chains.quote_across(give, 0).await.unwrap();
    let push = chains
        .native
        .quote(Wish::Give(amount(Token::Mvc, "5")), 100)
        .await
        .unwrap();
    chains.native.swap(&push, 120).await.unwrap();
    let before = held(&chains, member).await;
    let deadline = chains.deadline(60).await.unwrap();
    let sent = chains
        .swap_across(Chain::Ethereum, member, &quote, deadline, 120)
        .await
        .unwrap();
    let packet = PacketReference {
        chain: Chain::Ethereum,
        sequence: sent.id.sequence,
    };
    let end = chains.follow(packet, PATIENCE, |_| ()).await.unwrap();
    assert_eq!(end.state, PacketState::Refunded);
    let refused = end.swap.unwrap().refused.unwrap();
    assert!(refused.contains("the price had moved"), "{refused}");
    assert_eq!(held(&chains, member).await, before);
    check_books(&chains).await;
    let status = system.run(
        "member",
        &[
            "wallet",
            "bridge",
            "status",
            &packet.to_string(),
            "--ethereum-rpc",
            &system.ethereum(),
        ],
    );
    assert_eq!(status["state"], "refunded", "{status}");

    // MVP on the chain to MVC on Ethereum.
    let answer = swap(&["--to", "ethereum", "--give", "mvp", "--amount", "100"]);
    assert_eq!(answer["end"]["state"], "received", "{answer}");
    let carried = units(&answer["end"]["amount"]);
    assert!(carried >= units(&answer["quote"]["least"]));
    let after = held(&chains, member).await;
    assert_eq!(after[3], before[3] + carried);
    // What is given pays no fee of the points' beside; and a permit, in the one transaction, no gas.
    assert_eq!(before[0] - after[0], amount(Token::Mvp, "100").units());
    check_books(&chains).await;

    // All three are in the account's history.
    let history = system.run("member", &["wallet", "history", "--limit", "50"]);
    let swapped = |what: &str| {
        let entries = history["history"]["entries"].as_array().unwrap().iter();
        entries
            .filter(|entry| entry["kind"] == "swapped" && entry[what].is_array())
            .count()
    };
    assert!(swapped("in") >= 1 && swapped("out") >= 2, "{history}");
}

/// The gateway that `up` configured waits for the quarter's end, when the member will be paid.
fn rewards_are_seen_to(system: &System, told: &Value) {
    let amount = told["amount"].as_str().unwrap();
    let amount = Amount::parse_positive(Token::Mvc, amount).unwrap();
    assert!(!amount.is_zero(), "{told}");
    let quarter = told["quarter"].as_str().unwrap();
    let output = mileverse()
        .args(["gateway", "jobs", "list", "--config"])
        .arg(system.path("gateway/gateway.toml"))
        .output()
        .unwrap();
    let listed = String::from_utf8(output.stdout).unwrap();
    for slot in ["close", "open", "forward", "claim", "pay", "tell"] {
        let name = format!("{quarter}:{slot}");
        assert!(listed.contains(&name), "no {name} in {listed}");
    }
}

/// `up` of a network where gas costs coin, with somebody who had none (`gas` of its journey); then nobody but
/// the person brings a swap to its end.
#[tokio::test]
async fn without_a_relayer_people_bring_their_swaps_home_themselves() {
    let system = System::start_with(&["--base-price", "1000000000"]);
    let steps = system.report["steps"].as_array().unwrap();
    let step = |name: &str| steps.iter().find(|step| step["name"] == name).unwrap();
    assert_eq!(step("gas")["ok"], true, "{}", step("gas"));
    rewards_are_seen_to(&system, &step("coin")["facts"]["reward"]);
    let chains = connect(&system).await;
    let member = chains.native.account().unwrap();
    let ethereum = system.ethereum();
    let deliver = |packet: PacketReference| {
        let packet = packet.to_string();
        let arguments = ["wallet", "bridge", "deliver", &packet, "--yes"];
        let more = ["--ethereum-rpc", &ethereum];
        system.run("member", &[&arguments[..], &more[..]].concat())
    };
    // Until the other chain can check it.
    let ready = async |packet| {
        wait("a delivery", async || {
            chains.plan_delivery(packet).await.ok()
        })
        .await
    };
    let pause = system.without_relayer();

    // Pushed by hand: swapped and received on the native chain.
    let before = held(&chains, member).await;
    let sent = system.run(
        "member",
        &[
            "wallet",
            "swap",
            "--from",
            "ethereum",
            "--give",
            "mvc",
            "--amount",
            "0.5",
            "--no-wait",
            "--yes",
            "--ethereum-rpc",
            &ethereum,
        ],
    );
    let packet: PacketReference = sent["packet"].as_str().unwrap().parse().unwrap();
    assert_eq!(
        ready(packet).await.step.to,
        ROUTER,
        "the router alone opens a swap"
    );
    let done = deliver(packet);
    assert_eq!(
        (&done["kind"], &done["state"]),
        (&"deliver".into(), &"received".into()),
        "{done}"
    );
    let swap = chains.packet_status(packet).await.unwrap().swap.unwrap();
    let received = swap.received.unwrap().units();
    assert!(received >= units(&sent["quote"]["least"]));
    let after = held(&chains, member).await;
    // It cost no coin on the native chain, and brought exactly what it says.
    assert_eq!((after[0], after[1]), (before[0] + received, before[1]));
    assert_eq!(after[3], before[3] - amount(Token::Mvc, "0.5").units());
    let again = chains.plan_delivery(packet).await.unwrap_err();
    assert!(again.to_string().contains("nothing to deliver"), "{again}");

    // Too late: expired there, refunded here, both by hand.
    let before = held(&chains, member).await;
    let quote = chains
        .quote_across(amount(Token::Mvc, "0.5"), 500)
        .await
        .unwrap();
    let deadline = chains.native.second_in(15).await.unwrap();
    let sent = chains.swap_across(Chain::Ethereum, member, &quote, deadline, 120);
    let packet = PacketReference {
        chain: Chain::Ethereum,
        sequence: sent.await.unwrap().id.sequence,
    };
    wait("the deadline", async || {
        (chains.native.second_in(0).await.unwrap() > deadline).then_some(())
    })
    .await;
    ready(packet).await;
    let expired = deliver(packet);
    assert_eq!(expired["state"], "expired", "{expired}");
    assert_eq!(ready(packet).await.step.kind, "refund");
    let refunded = deliver(packet);
    assert_eq!(refunded["state"], "refunded", "{refunded}");
    assert_eq!(held(&chains, member).await, before);
    check_books(&chains).await;
    drop(pause);
}
