//! Large transfers, both ways and of both tokens: points are released by the relayer when their delay is
//! over, coin is stopped by the guardian of the destination and refunded. And an ERC-20 that Ethereum
//! registered: the native chain rejects it, and the relayer carries the refund home. The relayer's
//! metrics say of each token that nothing is missing.

use super::{
    load::{Account, Kind, Load, audit, confirmed, packets, relayer_is_done, settled},
    net::{Net, Plan, now_s, wait},
};
use alloy::{
    primitives::{Address, B256, U256, aliases::U96},
    providers::Provider as _,
    signers::local::PrivateKeySigner,
    sol_types::{SolCall as _, SolEvent as _},
};
use mileverse_bindings::deploy::Valves;
use mileverse_fixtures::faults::Faults;
use mileverse_primitives::{
    abi::{IBridge, ICoin, IValves},
    packet::Packet,
};
use mileverse_wallet::rpc::{Chain, Endpoint};
use serde_json::json;

/// What is small, and what is held.
const SMALL: u64 = 10;
const LARGE: u64 = 5_000;
const LARGE_FROM: u64 = 1_000;
/// Of points: is over soon. Of coin: never, as far as this test goes.
const POINTS_DELAY: u32 = 4;
const COIN_DELAY: u32 = 24 * 3_600;

fn plan(member: Address, governor: Address, guardian: Address) -> Plan {
    let mut valves = Valves::standard(governor, guardian);
    valves.delay_seconds = 3_600;
    for (limits, delay) in [
        (&mut valves.points, POINTS_DELAY),
        (&mut valves.coin, COIN_DELAY),
    ] {
        limits.largeFrom = U96::from(LARGE_FROM);
        limits.holdSeconds = delay;
    }
    let section = |delay: u32| format!("{{ largeFrom = '{LARGE_FROM}', holdSeconds = {delay} }}");
    Plan {
        seed: 1,
        validator_lines: Faults::default(),
        valves,
        native_rules: format!(
            "[bridge]\nguardian = '{guardian}'\ngovernor = '{governor}'\npoints = {}\ncoin = {}\n",
            section(POINTS_DELAY),
            section(COIN_DELAY)
        ),
        members: vec![member],
        foreign: true,
        quarter: None,
    }
}

/// The sequence of the packet that a transaction sent.
async fn sequence(endpoint: &Endpoint, hash: B256) -> u64 {
    confirmed(endpoint, hash).await;
    let receipt = endpoint.provider().get_transaction_receipt(hash).await;
    let receipt = receipt.unwrap().unwrap();
    let mut sent = receipt
        .logs()
        .iter()
        .filter_map(|log| IBridge::PacketSent::decode_log(&log.inner).ok());
    sent.next().unwrap().sequence
}

async fn receipt(net: &Net, to: Chain, sequence: u64) -> u8 {
    let (endpoint, bridge) = net.side(to);
    let call = IBridge::receiptCall { sequence };
    endpoint.view(bridge, &call).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_transfers_are_released_or_stopped_and_refunded() {
    let key = |byte| PrivateKeySigner::from_bytes(&B256::repeat_byte(byte)).unwrap();
    let (member, guardian) = (key(1), key(0x92));
    let governor = key(0x91);
    // Anvil's own account is governor on Ethereum, where it registers a token.
    let anvil = super::net::deployer();
    let mut plan = plan(member.address(), governor.address(), guardian.address());
    plan.valves.governor = anvil.address();
    let mut net = Net::start(&plan).await;
    net.start_relayer();
    let ether = json!([guardian.address(), "0x56bc75e2d63100000"]);
    net.anvil("anvil_setBalance", ether).await;
    let mut load = Load::prepare(&net, std::slice::from_ref(&member)).await;
    let (native, ethereum) = (Chain::Native, Chain::Ethereum);
    let day = 24 * 3_600;

    // Points to the member's own account on Ethereum, large: held, released.
    let points_out = Kind {
        from: native,
        home: native,
    };
    let hash = load.transfer(points_out, 0, U256::from(LARGE), day).await;
    let released = sequence(&net.native, hash).await;
    // A small one after it is not held up.
    load.feeds = false;
    let hash = load.transfer(points_out, 0, U256::from(SMALL), day).await;
    let small = sequence(&net.native, hash).await;
    wait("the small transfer", async || {
        (receipt(&net, ethereum, small).await == 1).then_some(())
    })
    .await;
    wait("the large transfer's release", async || {
        (receipt(&net, ethereum, released).await == 1).then_some(())
    })
    .await;

    // Points back, large: held on the native chain, released.
    let points_back = Kind {
        from: ethereum,
        home: native,
    };
    let hash = load.transfer(points_back, 0, U256::from(LARGE), day).await;
    let returned = sequence(&net.ethereum, hash).await;

    // Coin both ways, large: held, stopped by the guardian there.
    for from in [native, ethereum] {
        let kind = Kind {
            from,
            home: ethereum,
        };
        let hash = load.transfer(kind, 0, U256::from(LARGE), day).await;
        let sequence = sequence(net.side(from).0, hash).await;
        let (there, bridge) = net.side(from.other());
        let until = wait("the packet to be held", async || {
            let held = IValves::heldCall { sequence };
            let held = there.view(bridge, &held).await.unwrap();
            (!held.commitment.is_zero()).then_some(held.until)
        })
        .await;
        assert!(until > now_s());
        // The relayer knows what it waits for.
        let name = format!("{}:{sequence}", from.word());
        wait("the relayer to say that it is held", async || {
            let told = net.relayer_told(&["why", &name]).to_string();
            told.contains("it is held until").then_some(())
        })
        .await;
        let all = packets(&net, from).await;
        let packet = all
            .iter()
            .find(|packet| packet.id().sequence == sequence)
            .map(Packet::encode)
            .unwrap();
        let stop = IValves::stopCall { packet };
        let mut guard = Account::new(from.other(), guardian.clone());
        let hash = guard
            .submit(there, bridge, U256::ZERO, stop.abi_encode())
            .await;
        confirmed(there, hash).await;
        assert_eq!(receipt(&net, from.other(), sequence).await, 2);
    }

    // A token that the native chain does not know comes back.
    let token = net.foreign.unwrap();
    let approve = ICoin::approveCall {
        spender: net.contracts.bridge,
        amount: U256::MAX,
    };
    load.call(ethereum, 0, token, U256::ZERO, approve.abi_encode())
        .await;
    let call = IBridge::sendCall {
        token,
        receiver: member.address(),
        amount: U256::from(10u64).pow(U256::from(18)),
        deadline: now_s() + day,
    };
    let bridge = net.contracts.bridge;
    let hash = load
        .call(ethereum, 0, bridge, U256::ZERO, call.abi_encode())
        .await;
    let rejected = sequence(&net.ethereum, hash).await;

    settled(&net).await;
    let outcomes = audit(&net).await;
    relayer_is_done(&net).await;
    let stopped: Vec<_> = outcomes.refunded.iter().map(|one| one.amount).collect();
    assert_eq!(
        stopped.len(),
        3,
        "two were stopped and one was rejected: {stopped:?}"
    );
    assert_eq!(receipt(&net, native, returned).await, 1);
    assert_eq!(receipt(&net, native, rejected).await, 2);

    // The books of every token, as the relayer shows them.
    let names = ["MVP".to_owned(), "MVC".to_owned(), token.to_string()];
    wait("the metrics of every token", async || {
        let text = reqwest::get(format!("{}/metrics", net.shown)).await;
        let text = text.unwrap().text().await.unwrap();
        let lines: Vec<_> = names
            .iter()
            .map(|name| {
                format!("mileverse_relayer_imbalance{{route=\"main\",token=\"{name}\"}} 0.0")
            })
            .collect();
        lines.iter().all(|line| text.contains(line)).then_some(())
    })
    .await;
}
