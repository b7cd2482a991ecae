//! Transfers and swaps both ways while everything goes wrong and the price moves: each received or
//! refunded exactly once, each balance exact.
//!
//! ```txt
//! lines       every endpoint of the relayer fails one request in twenty, in every way there is
//! lies        one endpoint of three of each chain lies, another one every few seconds; and the endpoint
//!             of one validator of four
//! outages     all endpoints of one chain at once
//! blocks      of Ethereum are taken back before they are final, with all that was in them
//! processes   the relayer and validators are killed (SIGKILL) and started again
//! ```
//!
//! All by one seed. A run of forty transfers and thirty swaps is a test; for more:
//!
//! ```sh
//! MILEVERSE_STORM_TRANSFERS=0 MILEVERSE_STORM_SWAPS=1000 MILEVERSE_STORM_SEED=7 \
//!     cargo test --release --test bridge storm -- --nocapture
//! ```

use super::{
    ledger::{self, Told},
    load::{Load, Outcomes, audit, relayer_is_done, settled},
    net::{ENDPOINTS, Net, Plan},
};
use alloy::{
    primitives::{Address, B256},
    signers::local::PrivateKeySigner,
};
use mileverse_bindings::deploy::Valves;
use mileverse_fixtures::faults::Faults;
use rand::{Rng as _, SeedableRng as _, rngs::StdRng};
use serde_json::json;
use std::{
    collections::BTreeMap,
    env,
    time::{Duration, Instant},
};

const MEMBERS: u8 = 4;
/// Who receives what points cost.
const FEES: Address = Address::repeat_byte(0xfe);
/// One request in so many fails on the way.
const BAD_LINE: u32 = 20;
/// In a thousand requests, those that the lying endpoint answers with a lie.
const LIES: u32 = 250;

/// Says how to see a failure again.
struct Replay {
    seed: u64,
    size: Size,
}

/// How many of each are sent, at least.
#[derive(Clone, Copy, Debug)]
struct Size {
    transfers: usize,
    swaps: usize,
}

impl Drop for Replay {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!(
                "to see it again: MILEVERSE_STORM_TRANSFERS={} MILEVERSE_STORM_SWAPS={} \
                 MILEVERSE_STORM_SEED={} cargo test --release --test bridge storm -- --nocapture",
                self.size.transfers, self.size.swaps, self.seed
            );
        }
    }
}

fn asked<T: std::str::FromStr>(name: &str, otherwise: T) -> T {
    env::var(name)
        .ok()
        .map(|text| text.parse().ok().expect(name))
        .unwrap_or(otherwise)
}

/// What was done to the system.
#[derive(Debug, Default)]
struct Blows {
    relayer_killed: u32,
    validators_killed: u32,
    blocks_taken_back: u64,
    outages: u32,
    liars_changed: u32,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_transfer_and_each_swap_has_one_end_in_any_storm() {
    let size = Size {
        transfers: asked("MILEVERSE_STORM_TRANSFERS", 40usize),
        swaps: asked("MILEVERSE_STORM_SWAPS", 30usize),
    };
    let seed = asked("MILEVERSE_STORM_SEED", 1u64);
    let _replay = Replay { seed, size };
    let mut dice = StdRng::seed_from_u64(seed);
    let keys: Vec<_> = (1..=MEMBERS)
        .map(|number| PrivateKeySigner::from_bytes(&B256::repeat_byte(number)).unwrap())
        .collect();
    let plan = Plan {
        seed,
        validator_lines: Faults::bad_line(BAD_LINE).lying(50),
        valves: Valves::standard(Address::repeat_byte(0x91), Address::repeat_byte(0x92)),
        native_rules: format!(
            "[points]\nguardian = '{}'\nfee = {{ basisPoints = 30, cap = '300000000', receiver = '{FEES}', \
             exempt = [] }}\nlane = {{ shareBp = 9000, price = 1, least = 3000 }}\n",
            Address::ZERO
        ),
        members: keys.iter().map(PrivateKeySigner::address).collect(),
        foreign: false,
        quarter: None,
    };
    let mut net = Net::start(&plan).await;
    net.start_relayer();
    let mut processes = std::mem::take(&mut net.validators);
    let mut relayer = std::mem::replace(
        &mut net.relayer,
        super::process::Process::new::<&str>("none", std::path::Path::new("."), true, []),
    );
    let mut load = Load::prepare(&net, &keys).await;
    load.open_pool().await;
    load.asks = true;
    let started = Instant::now();
    let mut blows = Blows::default();
    lies(&net, &mut dice, &mut blows);
    while load.sent < size.transfers || load.swaps < size.swaps {
        send(&mut load, size, &mut dice).await;
        strike(&net, &mut processes, &mut relayer, &mut dice, &mut blows).await;
        load.insist().await;
    }
    // The storm is over; lines stay bad. What is not done yet is done now.
    for line in net.proxies.iter().flatten() {
        line.set(Faults::bad_line(BAD_LINE));
    }
    load.all_sent().await;
    for validator in &mut processes {
        if !validator.runs() {
            validator.start();
        }
    }
    assert!(relayer.runs());
    settled(&net).await;
    let taken = started.elapsed();
    let outcomes = audit(&net).await;
    let told = ledger::audit(&load, &outcomes).await;
    relayer_is_done(&net).await;
    report(&load, &blows, &outcomes, &told, taken);
    // Who asked was told; most of it was taken, whatever the weather.
    assert!(outcomes.acknowledged > 0 || size.transfers < 20);
    let refused: usize = told.transfers_refused.values().sum();
    assert!(refused * 4 <= load.sent, "{:?}", told.transfers_refused);
    assert!(told.received * 4 >= load.swaps, "{told:?}");
}

/// Some of each, and sometimes a trade that moves the price.
async fn send(load: &mut Load<'_>, size: Size, dice: &mut StdRng) {
    for _ in 0..dice.random_range(1..10) {
        let left = [
            size.transfers.saturating_sub(load.sent),
            size.swaps.saturating_sub(load.swaps),
        ];
        let all = left[0] + left[1];
        if all == 0 {
            return;
        }
        match dice.random_range(0..all) < left[0] {
            true => load.send(dice).await,
            false => load.swap(dice).await,
        }
    }
    if size.swaps > 0 && dice.random_bool(0.5) {
        load.trade(dice).await;
    }
}

/// One blow, or none.
async fn strike(
    net: &Net,
    validators: &mut [super::process::Process],
    relayer: &mut super::process::Process,
    dice: &mut StdRng,
    blows: &mut Blows,
) {
    let pause = Duration::from_millis(dice.random_range(50..900));
    match dice.random_range(0..8) {
        0 => {
            relayer.kill();
            tokio::time::sleep(pause).await;
            relayer.start();
            blows.relayer_killed += 1;
        }
        1 => {
            // One at a time: three of four go on. The last one is the test's own window.
            let last = validators.len() - 1;
            let victim = &mut validators[dice.random_range(0..last)];
            victim.kill();
            tokio::time::sleep(pause).await;
            victim.start();
            blows.validators_killed += 1;
        }
        2 | 3 => {
            let depth: u64 = dice.random_range(1..4);
            net.anvil("anvil_reorg", json!([depth, []])).await;
            blows.blocks_taken_back += depth;
        }
        4 => {
            let chain = dice.random_range(0..2);
            for line in &net.proxies[chain] {
                line.set(Faults::down());
            }
            tokio::time::sleep(pause * 2).await;
            blows.outages += 1;
            lies(net, dice, blows);
        }
        5 => lies(net, dice, blows),
        _ => tokio::time::sleep(pause).await,
    }
}

/// Another endpoint of each chain is the one that lies.
fn lies(net: &Net, dice: &mut StdRng, blows: &mut Blows) {
    for lines in &net.proxies {
        let liar = dice.random_range(0..ENDPOINTS);
        for (number, line) in lines.iter().enumerate() {
            let lies = if number == liar { LIES } else { 0 };
            line.set(Faults::bad_line(BAD_LINE).lying(lies));
        }
    }
    blows.liars_changed += 1;
}

fn report(load: &Load<'_>, blows: &Blows, outcomes: &Outcomes, told: &Told, taken: Duration) {
    let mut dealt = BTreeMap::<String, u64>::new();
    for line in load.net.proxies.iter().flatten() {
        for (fault, count) in line.dealt() {
            *dealt.entry(fault).or_default() += count;
        }
    }
    println!(
        "{} transfers, {} swaps and {} trades in {:.1} s; {blows:?}",
        load.sent,
        load.swaps,
        told.trades,
        taken.as_secs_f64()
    );
    for (kind, transfers) in &outcomes.received {
        println!("  packets received {kind:?}: {}", transfers.len());
    }
    println!("  packets refunded: {}", outcomes.refunded.len());
    println!("  packets acknowledged: {}", outcomes.acknowledged);
    println!(
        "  transfers refused where they were sent: {:?}",
        told.transfers_refused
    );
    println!("  swaps: {told:?}");
    println!("  faults: {dealt:?}");
}
