//! What an account holds, proven to somebody who trusts the committee's key and no node.

use super::{
    asking::{issued, result},
    node::{CHAIN_ID, Node},
};
use alloy::primitives::{Address, U256};
use mileverse_consensus::proof::{self, Doubt};
use mileverse_execution::{points_slot, state::Place};
use mileverse_node::dealer;
use mileverse_primitives::{
    packet::GroupKey,
    rpc::{Chain, StateProof},
};
use serde_json::{Value, json};
use std::process::Command;

/// Whom [`issued`] gives points.
const HOLDER: Address = Address::repeat_byte(0x11);

fn prove(arguments: &[&str]) -> (bool, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_mileverse"))
        .args(["node", "prove"])
        .args(arguments)
        .output()
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    let said = (text(output.stdout), text(output.stderr));
    (output.status.success(), said.0, said.1)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_account_holds_is_proven_down_from_the_group_key() {
    let node = Node::start().await;
    issued(&node, "proof").await;
    let chain: Chain =
        serde_json::from_value(result(&node, "mileverse_chain", json!([])).await).unwrap();
    let group_key = GroupKey::try_from(chain.group_key.as_ref()).unwrap();

    let (points, slot) = points_slot(HOLDER);
    let place = Place::Slot(points, slot);
    let answer = result(&node, "mileverse_stateProof", json!([points, slot])).await;
    let answer: StateProof = serde_json::from_value(answer).unwrap();
    let header = proof::check(&answer, CHAIN_ID, &group_key, place.key()).unwrap();
    assert_eq!(header.height, answer.height);
    assert_eq!(U256::from_be_slice(&answer.value), U256::from(5));

    // Nothing of it can be changed.
    let doubt = |answer: &StateProof| proof::check(answer, CHAIN_ID, &group_key, place.key());
    let with = |change: fn(&mut StateProof)| {
        let mut changed = answer.clone();
        change(&mut changed);
        doubt(&changed)
    };
    let more = |answer: &mut StateProof| answer.value = U256::from(6).to_be_bytes_vec().into();
    assert_eq!(with(more), Err(Doubt::Proof));
    assert_eq!(with(|answer| answer.height += 1), Err(Doubt::OtherBlock));
    assert_eq!(
        with(|answer| answer.key = !answer.key),
        Err(Doubt::OtherKey)
    );
    assert_eq!(
        with(|answer| answer.certificate.view += 1),
        Err(Doubt::Signature)
    );
    let cut = |answer: &mut StateProof| answer.header = answer.header.slice(1..);
    assert_eq!(with(cut), Err(Doubt::Header));
    assert_eq!(
        proof::check(&answer, CHAIN_ID + 1, &group_key, place.key()),
        Err(Doubt::Signature)
    );

    // Nothing stands there, and nobody can prove it.
    let nobody = Address::repeat_byte(0x99);
    assert_eq!(
        result(&node, "mileverse_stateProof", json!([nobody])).await,
        Value::Null
    );

    let genesis = node.genesis();
    let genesis = genesis.to_str().unwrap();
    let asked = ["--genesis", genesis, "--rpc", &node.url];
    let holder = HOLDER.to_string();
    let (good, out, err) = prove(&[&asked[..], &["--json", &holder]].concat());
    assert!(good, "{err}");
    let out: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(out["points"]["value"], json!(U256::from(5)));
    assert_eq!(out["coin"], Value::Null);
    assert!(out["points"]["block"]["height"].as_u64().unwrap() > 0);

    let (points, slot) = (points.to_string(), slot.to_string());
    let (good, out, err) = prove(&[&asked[..], &["--json", "--slot", &slot, &points]].concat());
    assert!(good, "{err}");
    let out: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(out["word"]["value"], json!(U256::from(5)));

    let issuer = node.issuer.address().to_string();
    let (good, out, err) = prove(&[&asked[..], &[&issuer]].concat());
    assert!(good, "{err}");
    assert!(out.contains("MVC") && out.contains("s ago"), "{out}");
    assert!(out.contains("cannot be proven"), "{out}");

    // Another network's key signed nothing of it.
    let other = dealer::deal(1).unwrap().group_key.to_string();
    let (good, _, err) = prove(&[&asked[..], &["--group-key", &other, &holder]].concat());
    assert!(
        !good && err.contains("not signed by the group key"),
        "{err}"
    );
}
