//! A new group key, from the delegates' wish to Ethereum: the system that `up` starts, the public
//! commands, and the real contracts.
//!
//! The owners of all delegates ask; the committee makes a key; the chain hands over to it at an
//! epoch's end and tells Ethereum by a packet under the old key; the relayer carries it. After that
//! the contract has another light client, and a packet under the new key arrives. That the old key
//! counts no more is tried in `contracts/test/Rotation.t.sol`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use alloy::{
    primitives::{Address, U256},
    providers::{DynProvider, Provider as _, ProviderBuilder},
};
use mileverse_bindings::Bridge;
use serde_json::Value;
use system::{System, wait};

mod system;

#[tokio::test]
async fn ethereum_follows_the_chain_to_a_new_group_key() {
    let system = System::start();
    let ethereum: DynProvider = ProviderBuilder::new()
        .connect_http(system.ethereum().parse().unwrap())
        .erased();
    let contracts = system.contracts();
    let address = |name: &str| {
        contracts[name]
            .as_str()
            .unwrap()
            .parse::<Address>()
            .unwrap()
    };
    let bridge = Bridge::new(address("bridge"), ethereum.clone());
    let old = bridge.lightClient().call().await.unwrap();
    let before = bridge.keyInForce().call().await.unwrap();

    for delegate in 0..4 {
        system.run(&format!("delegate-{delegate}"), &["delegate", "rotate"]);
    }
    // Something to confirm keeps the chain at its full pace, and shows that it goes on meanwhile.
    let receiver = Address::repeat_byte(0x42).to_string();
    let pay = || {
        system.run(
            "member",
            &[
                "wallet", "send", "--token", "mvp", "--to", &receiver, "--amount", "0.01", "--yes",
            ],
        )
    };
    let after = wait("the new key on Ethereum", async || {
        pay();
        let now = bridge.keyInForce().call().await.unwrap();
        (now.keyVersion > before.keyVersion).then_some(now)
    })
    .await;
    assert_eq!(after.keyVersion, before.keyVersion + 1);
    assert!(after.firstEpoch > before.firstEpoch);
    assert_ne!(bridge.lightClient().call().await.unwrap(), old);
    let standing = system.run("member", &["delegate", "rotation"]);
    assert_eq!(
        standing["keys"].to_string().replace('"', ""),
        "1",
        "{standing}"
    );

    // What is sent from the first epoch of the new key on is proven under it.
    let points = mileverse_bindings::WrappedPoints::new(address("points"), ethereum.clone());
    let member = system.run("member", &["wallet", "address"]);
    let member: Address = member["address"].as_str().unwrap().parse().unwrap();
    let held = points.balanceOf(member).call().await.unwrap();
    system.run(
        "member",
        &[
            "wallet",
            "bridge",
            "send",
            "--token",
            "mvp",
            "--direction",
            "to-ethereum",
            "--amount",
            "1",
            "--yes",
            "--ethereum-rpc",
            &system.ethereum(),
        ],
    );
    wait("a packet under the new key", async || {
        let now = points.balanceOf(member).call().await.unwrap();
        (now == held + U256::from(1_000_000)).then_some(())
    })
    .await;

    // The announcement has no event; who lists transfers by their events gets past it all the same.
    let native = ProviderBuilder::new().connect_http(system.native().parse().unwrap());
    let height = native.get_block_number().await.unwrap();
    let list = format!("{}/app/api/v1/accounts/{member}/packets", system.gateway());
    wait("the list of transfers", async || {
        let list: Value = reqwest::get(&list).await.unwrap().json().await.unwrap();
        (list["nativeIndexed"].as_u64() > Some(height)).then_some(())
    })
    .await;
}
