//! Deploys everything on a real Ethereum node (anvil, as `contracts/package-lock.json` pins it) and
//! checks a certificate there that another implementation signed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod kit;

use alloy::{
    primitives::{Address, B256, Bytes, U256, hex, keccak256},
    providers::Provider,
    sol_types::SolCall,
};
use kit::Anvil;
use mileverse_bindings::{
    Authority, Bridge, LightClient, Lockup, MileVerseCoin, QuarterlyRewards, Reserve,
    WrappedPoints,
    deploy::{DeployError, Deployment, Tranches, Valves, deploy},
    light_client::ILightClient,
};

const NATIVE: u64 = 46_226;
const GOVERNOR: Address = Address::repeat_byte(0x60);
const GUARDIAN: Address = Address::repeat_byte(0x6a);
const KEY: [u8; 256] = hex!(
    "00000000000000000000000000000000172432bb1b5ea68b1d39976123198ed7d25e208593c89d346093152bf4440765d822c26b27b7dffe02e34d725a5d6072"
    "00000000000000000000000000000000195feb2ba5d2c99373b36261e96d24aeb4e4608a9629fa2d2f2c9ddfb1843b28cf5575e1a406e895db60c0973625ee12"
    "00000000000000000000000000000000147426433d08bd94daa0917d3b05e5daf5f44f3bdece3255c577cd7e4071dc7becca0b647d979e959bcee96c27fa8efb"
    "000000000000000000000000000000000b9c23ab88008a94e6e87185de63382f23f8dd151ef775ec9b9c6ef4ac37f0528147e84d9182d4de4dd7a182f0039b05"
);
const SIGNATURE: [u8; 128] = hex!(
    "0000000000000000000000000000000001bbe8917ad1382497987e0292a6bcb9bbb505a66ac379cf1e832b045ebafce91c09507946fca39553a386e632157da0"
    "000000000000000000000000000000001562a3f6a8f99cffef304d1626d0b31017113e20c9fc2a6f0eb9c8dd5ebb1a0eb269fbd0f051146be4385df014b463f5"
);

fn tranches(sale: Address) -> Tranches {
    let account = |n| Address::with_last_byte(n);
    Tranches {
        sale,
        team: account(2),
        partner: account(3),
        advisor: account(4),
        marketing: account(5),
        lockup_start: 1_900_000_000,
    }
}

fn valves() -> Valves {
    Valves::standard(GOVERNOR, GUARDIAN)
}

fn header() -> ILightClient::HeaderProof {
    ILightClient::HeaderProof {
        epoch: 3,
        view_: 16_384,
        parentView: 127,
        restHash: keccak256("rest of the header"),
        outboxSize: 300,
        outboxTree: keccak256("tree"),
        signature: Bytes::copy_from_slice(&SIGNATURE),
    }
}

#[tokio::test]
async fn a_deployment_is_whole() {
    let anvil = Anvil::start();
    let provider = anvil.provider();
    let all = deploy(
        &provider,
        &KEY,
        NATIVE,
        &tranches(anvil.account()),
        U256::ZERO,
        &valves(),
    )
    .await
    .unwrap();

    let bridge = Bridge::new(all.bridge, &provider);
    assert_eq!(bridge.chainId().call().await.unwrap(), 31_337);
    assert_eq!(bridge.peerChainId().call().await.unwrap(), NATIVE);
    assert_eq!(bridge.lightClient().call().await.unwrap(), all.light_client);
    assert_eq!(bridge.coin().call().await.unwrap(), all.coin);
    assert_eq!(bridge.points().call().await.unwrap(), all.points);
    let key = bridge.keyInForce().call().await.unwrap();
    assert_eq!((key.keyVersion, key.firstEpoch), (0, 0));
    assert_eq!(bridge.genesisCoins().call().await.unwrap(), U256::ZERO);
    assert_eq!(bridge.nextSequence().call().await.unwrap(), 1);
    let points = WrappedPoints::new(all.points, &provider);
    assert_eq!(points.bridge().call().await.unwrap(), all.bridge);

    check_valves(&provider, &all).await;
    check_tranches(&provider, &all, anvil.account()).await;
    check_rewards(&provider, &all, anvil.account()).await;
    check_certificate(&provider, &all).await;
    check_send(&provider, &all, anvil.account()).await;
}

async fn check_valves(provider: impl Provider, all: &Deployment) {
    let bridge = Bridge::new(all.bridge, &provider);
    assert_eq!(bridge.authority().call().await.unwrap(), all.authority);
    let limits = bridge.limits(all.coin).call().await.unwrap();
    assert_eq!(limits, valves().coin);
    let limits = bridge.limits(all.points).call().await.unwrap();
    assert_eq!(limits, valves().points);
    let authority = Authority::new(all.authority, &provider);
    // The delay stands between the governor and everything; the deployer has no role at all.
    let delay = valves().delay_seconds;
    for (role, account, is_member, seconds) in [
        (0, GOVERNOR, true, delay),
        (2, GOVERNOR, true, delay),
        (1, GUARDIAN, true, 0),
        (0, GUARDIAN, false, 0),
        (0, all.authority, false, 0),
    ] {
        let found = authority.hasRole(role, account).call().await.unwrap();
        assert_eq!((found.isMember, found.executionDelay), (is_member, seconds));
    }
    for selector in [
        Bridge::pauseDirectionCall::SELECTOR,
        Bridge::pauseTokenCall::SELECTOR,
        Bridge::stopCall::SELECTOR,
    ] {
        let can = authority.canCall(GUARDIAN, all.bridge, selector.into());
        assert!(can.call().await.unwrap().immediate);
    }
}

async fn check_rewards(provider: impl Provider, all: &Deployment, sale: Address) {
    let reserve = Reserve::new(all.reserve, &provider);
    assert_eq!(reserve.coin().call().await.unwrap(), all.coin);
    assert_eq!(reserve.rewards().call().await.unwrap(), all.rewards);
    let rewards = QuarterlyRewards::new(all.rewards, &provider);
    assert_eq!(rewards.coin().call().await.unwrap(), all.coin);
    assert_eq!(rewards.reserve().call().await.unwrap(), all.reserve);
    assert_eq!(rewards.bridge().call().await.unwrap(), all.bridge);
    assert_eq!(rewards.authority().call().await.unwrap(), all.authority);
    let mut list = rewards.excluded().call().await.unwrap();
    list.sort_unstable();
    let account = |n| Address::with_last_byte(n);
    let mut expected = vec![
        all.team_lockup,
        all.advisor_lockup,
        all.hashed_timelock,
        sale,
        account(3),
        account(5),
    ];
    expected.sort_unstable();
    assert_eq!(
        list, expected,
        "lock-ups, swaps and treasuries earn nothing"
    );
    let standing = rewards.standing().call().await.unwrap();
    assert_eq!(standing.next, standing.quarter);
    assert!(standing.funded);
    // The governor's role reaches the list, behind the delay.
    let authority = Authority::new(all.authority, &provider);
    let selector = QuarterlyRewards::excludeCall::SELECTOR;
    let can = authority.canCall(GOVERNOR, all.rewards, selector.into());
    let can = can.call().await.unwrap();
    assert_eq!((can.immediate, can.delay), (false, valves().delay_seconds));
}

async fn check_tranches(provider: impl Provider, all: &Deployment, sale: Address) {
    let coin = MileVerseCoin::new(all.coin, &provider);
    let whole = U256::from(10).pow(U256::from(18));
    let account = |n| Address::with_last_byte(n);
    let expected = [
        (sale, 900_000_000u64),
        (all.team_lockup, 450_000_000),
        (account(3), 300_000_000),
        (all.advisor_lockup, 90_000_000),
        (account(5), 300_000_000),
        (all.reserve, 960_000_000),
    ];
    for (owner, coins) in expected {
        assert_eq!(
            coin.balanceOf(owner).call().await.unwrap(),
            U256::from(coins) * whole
        );
    }
    assert_eq!(
        coin.totalSupply().call().await.unwrap(),
        U256::from(3_000_000_000u64) * whole
    );
    for (lockup, owner) in [
        (all.team_lockup, account(2)),
        (all.advisor_lockup, account(4)),
    ] {
        let lockup = Lockup::new(lockup, &provider);
        assert_eq!(lockup.owner().call().await.unwrap(), owner);
        assert_eq!(
            lockup.start().call().await.unwrap(),
            U256::from(1_900_000_000)
        );
    }
}

async fn check_certificate(provider: impl Provider, all: &Deployment) {
    let client = LightClient::new(all.light_client, &provider);
    client.verify(header()).call().await.unwrap();
    let mut forged = header();
    forged.view_ = 16_385;
    let refused = client.verify(forged).call().await.unwrap_err();
    assert!(
        refused
            .as_decoded_error::<LightClient::CertificateInvalid>()
            .is_some(),
        "{refused}"
    );
}

async fn check_send(provider: impl Provider, all: &Deployment, sender: Address) {
    let amount = U256::from(250);
    let coin = MileVerseCoin::new(all.coin, &provider);
    let approved = coin.approve(all.bridge, amount).send().await.unwrap();
    assert!(approved.get_receipt().await.unwrap().status());
    let now = provider
        .get_block(Default::default())
        .await
        .unwrap()
        .unwrap()
        .header
        .timestamp;
    let bridge = Bridge::new(all.bridge, &provider);
    let receiver = Address::with_last_byte(9);
    let sent = bridge
        .send(all.coin, receiver, amount, now + 3_600)
        .send()
        .await
        .unwrap();
    let receipt = sent.get_receipt().await.unwrap();
    let event = receipt.decoded_log::<Bridge::PacketSent>().unwrap();
    assert_eq!(event.sequence, 1);
    assert_eq!(event.commitment, keccak256(&event.packet));
    assert_eq!(
        event.packet[62..82],
        sender[..],
        "the sender is in the packet"
    );
    // Where the native chain looks for it: keccak256(sequence as uint256 ‖ 0).
    let slot = keccak256([U256::from(1).to_be_bytes::<32>(), [0; 32]].concat());
    let stored = provider
        .get_storage_at(all.bridge, slot.into())
        .await
        .unwrap();
    assert_eq!(B256::from(stored), event.commitment);
    assert!(bridge.solvent(all.coin).call().await.unwrap());
    assert_eq!(bridge.locked(all.coin).call().await.unwrap(), amount);
}

#[tokio::test]
async fn the_genesis_coin_is_locked_at_deployment() {
    let anvil = Anvil::start();
    let provider = anvil.provider();
    let owners = tranches(Address::with_last_byte(1));
    let amount = U256::from(10).pow(U256::from(18)) * U256::from(5_000_000);
    let all = deploy(&provider, &KEY, NATIVE, &owners, amount, &valves())
        .await
        .unwrap();
    let bridge = Bridge::new(all.bridge, &provider);
    assert_eq!(bridge.genesisCoins().call().await.unwrap(), amount);
    assert_eq!(bridge.locked(all.coin).call().await.unwrap(), amount);
    assert!(bridge.solvent(all.coin).call().await.unwrap());
    let totals = bridge.totals(all.coin).call().await.unwrap();
    assert_eq!((totals.sent, totals.received), (amount, U256::ZERO));
    let coin = MileVerseCoin::new(all.coin, &provider);
    let balance = async |account| coin.balanceOf(account).call().await.unwrap();
    assert_eq!(balance(all.bridge).await, amount);
    assert_eq!(balance(anvil.account()).await, U256::ZERO, "not kept");
    let whole = U256::from(10).pow(U256::from(18));
    let sale = whole * U256::from(900_000_000);
    assert_eq!(balance(owners.sale).await, sale - amount);
    let reserved = whole * U256::from(960_000_000);
    assert_eq!(balance(all.reserve).await, reserved);

    // More than the tranche it comes from stops before anything is sent.
    let before = provider
        .get_transaction_count(anvil.account())
        .await
        .unwrap();
    let much = deploy(
        &provider,
        &KEY,
        NATIVE,
        &owners,
        sale + U256::ONE,
        &valves(),
    )
    .await
    .unwrap_err();
    assert!(matches!(much, DeployError::GenesisCoins(_)), "{much}");
    assert_eq!(
        provider
            .get_transaction_count(anvil.account())
            .await
            .unwrap(),
        before
    );
}

#[tokio::test]
async fn wrong_input_stops_before_anything_is_sent() {
    let anvil = Anvil::start();
    let provider = anvil.provider();
    let good = tranches(anvil.account());

    let short = deploy(&provider, &KEY[..255], NATIVE, &good, U256::ZERO, &valves())
        .await
        .unwrap_err();
    assert!(matches!(short, DeployError::KeyLength(255)), "{short}");
    let nobody = Tranches {
        marketing: Address::ZERO,
        ..good
    };
    let zero = deploy(&provider, &KEY, NATIVE, &nobody, U256::ZERO, &valves())
        .await
        .unwrap_err();
    assert!(
        matches!(zero, DeployError::ZeroAccount("marketing tranche of MVC")),
        "{zero}"
    );
    assert_eq!(
        provider
            .get_transaction_count(anvil.account())
            .await
            .unwrap(),
        0
    );

    let hasty = Valves {
        delay_seconds: 3_599,
        ..valves()
    };
    let short = deploy(&provider, &KEY, NATIVE, &good, U256::ZERO, &hasty)
        .await
        .unwrap_err();
    assert!(matches!(short, DeployError::Delay(3_599)), "{short}");

    // The identity is a well-formed key to Rust; the contract itself refuses it.
    let identity = deploy(&provider, &[0; 256], NATIVE, &good, U256::ZERO, &valves())
        .await
        .unwrap_err();
    assert!(
        matches!(
            identity,
            DeployError::Contract {
                contract: "Bridge",
                ..
            }
        ),
        "{identity}"
    );
}
