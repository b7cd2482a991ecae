//! Sessions of the JavaScript libraries, each a script of its own in `tests/clients`.

use super::node::Node;
use alloy::primitives::hex;
use std::{path::Path, process::Command};

/// Runs a script against a node; it fails by itself if anything is not as it should be.
fn session(node: &Node, script: &str) {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients");
    assert!(
        directory.join("node_modules").exists(),
        "run `npm ci` in tests/clients first"
    );
    let output = Command::new("node")
        .arg(directory.join(script))
        .args([&node.url, &hex::encode_prefixed(node.issuer.to_bytes())])
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{script}:\n{}\n{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn ethers_deploys_calls_subscribes_estimates_replaces_and_fails() {
    session(&Node::start().await, "ethers.mjs");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_is_as_the_openrpc_schemas_say() {
    session(&Node::start().await, "openrpc.mjs");
}

#[tokio::test(flavor = "multi_thread")]
async fn viem_deploys_calls_subscribes_estimates_replaces_and_fails() {
    session(&Node::start().await, "viem.mjs");
}
