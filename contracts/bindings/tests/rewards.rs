//! A quarter on a real Ethereum node: time passes, anybody opens it, claims for a holder, and forwards the
//! native chain's share. The numbers are worked out here once more.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod kit;

use alloy::{
    primitives::{Address, U256, hex},
    providers::Provider,
};
use kit::Anvil;
use mileverse_bindings::{
    Bridge, MileVerseCoin, QuarterlyRewards, Reserve,
    deploy::{Tranches, Valves, deploy},
};

const KEY: [u8; 256] = hex!(
    "00000000000000000000000000000000172432bb1b5ea68b1d39976123198ed7d25e208593c89d346093152bf4440765d822c26b27b7dffe02e34d725a5d6072"
    "00000000000000000000000000000000195feb2ba5d2c99373b36261e96d24aeb4e4608a9629fa2d2f2c9ddfb1843b28cf5575e1a406e895db60c0973625ee12"
    "00000000000000000000000000000000147426433d08bd94daa0917d3b05e5daf5f44f3bdece3255c577cd7e4071dc7becca0b647d979e959bcee96c27fa8efb"
    "000000000000000000000000000000000b9c23ab88008a94e6e87185de63382f23f8dd151ef775ec9b9c6ef4ac37f0528147e84d9182d4de4dd7a182f0039b05"
);

fn mvc(whole: u64) -> U256 {
    U256::from(whole) * U256::from(10).pow(U256::from(18))
}

#[tokio::test]
async fn a_quarter_is_opened_claimed_and_forwarded() {
    let anvil = Anvil::start();
    let provider = anvil.provider();
    let treasury = anvil.account();
    let tranches = Tranches {
        sale: treasury,
        team: treasury,
        partner: treasury,
        advisor: treasury,
        marketing: treasury,
        lockup_start: 1_700_000_000,
    };
    let valves = Valves::standard(Address::repeat_byte(1), Address::repeat_byte(2));
    let locked = mvc(7_000_000);
    let all = deploy(&provider, &KEY, 46_226, &tranches, locked, &valves)
        .await
        .unwrap();
    let coin = MileVerseCoin::new(all.coin, &provider);
    let rewards = QuarterlyRewards::new(all.rewards, &provider);
    let bridge = Bridge::new(all.bridge, &provider);
    let holder = Address::repeat_byte(0xa1);
    let later = Address::repeat_byte(0xa2);
    let move_ = async |to, amount| {
        let pending = coin.transfer(to, amount).send().await.unwrap();
        assert!(pending.get_receipt().await.unwrap().status());
    };
    move_(holder, mvc(3_000_000)).await;

    let standing = rewards.standing().call().await.unwrap();
    let quarter = standing.quarter;
    let early = rewards.open(quarter).call().await;
    assert!(early.is_err(), "not over");
    // The first block of the next quarter, whoever makes it.
    let _: serde_json::Value = provider
        .raw_request(
            "evm_setNextBlockTimestamp".into(),
            [U256::from(standing.endsAt)],
        )
        .await
        .unwrap();
    move_(later, mvc(5_000_000)).await;
    let held = async |account| {
        coin.balanceAtClose(account, U256::from(quarter))
            .call()
            .await
    };
    assert_eq!(held(holder).await.unwrap(), mvc(3_000_000));
    assert_eq!(held(later).await.unwrap(), U256::ZERO);

    let opened = rewards.open(quarter).send().await.unwrap();
    assert!(opened.get_receipt().await.unwrap().status());
    let report = rewards.report(quarter).call().await.unwrap();
    let (pot, eligible) = (mvc(4_500_000), mvc(10_000_000));
    assert_eq!((report.pot, report.eligible), (pot, eligible));
    assert_eq!(report.locked, locked);
    assert_eq!(report.share, pot * locked / eligible);
    let reserve = Reserve::new(all.reserve, &provider);
    assert_eq!(reserve.nextQuarter().call().await.unwrap(), quarter + 1);

    let claim = rewards.claim(holder, quarter).send().await.unwrap();
    assert!(claim.get_receipt().await.unwrap().status());
    let earned = pot * mvc(3_000_000) / eligible;
    let balance = coin.balanceOf(holder).call().await.unwrap();
    assert_eq!(balance, mvc(3_000_000) + earned);
    assert!(rewards.claim(holder, quarter).call().await.is_err(), "once");
    assert!(rewards.claim(later, quarter).call().await.is_err());

    let forward = rewards.forward(quarter).send().await.unwrap();
    assert!(forward.get_receipt().await.unwrap().status());
    let report = rewards.report(quarter).call().await.unwrap();
    assert_eq!(report.sequence, 1);
    assert_eq!(report.unclaimed, U256::ZERO, "both shares are whole here");
    let totals = bridge.totals(all.coin).call().await.unwrap();
    assert_eq!(totals.sent, locked + report.share);
    assert!(rewards.forward(quarter).call().await.is_err(), "once");
    assert!(rewards.solvent().call().await.unwrap());
    let left = coin.balanceOf(all.rewards).call().await.unwrap();
    assert_eq!(left, U256::ZERO);
}
