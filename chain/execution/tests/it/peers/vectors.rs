//! The test vector of a packet between two native chains, made by the chain's own code.
//!
//! `MILEVERSE_WRITE_VECTORS=1 cargo test --release -p mileverse-execution --test it peers::vectors`
//! writes `fixtures/vectors/peer.json` anew; otherwise the committed file must be what comes out.

use super::world::{A, B, HOUR, RELAYER, Side};
use alloy::{primitives::hex, sol_types::SolCall};
use mileverse_primitives::{
    abi::IPeers,
    address::{POINTS, peer_points},
    certificate, header, outbox,
};
use serde_json::json;
use std::path::Path;

#[test]
fn the_committed_vector_is_what_a_peer_takes() {
    let (mut a, mut b) = Side::two();
    for amount in [10, 20, 30] {
        a.send(1, B, POINTS, amount, HOUR);
    }
    let call = a.delivery(&[1]);
    let IPeers::deliverCall { header, items, .. } = &call;
    let digest = header::digest(
        outbox::root(header.outboxSize, header.outboxTree),
        header.restHash,
    );
    let made = json!({
        "about": "The second of three transfers of points from one native chain to another, as its delivery brings it.",
        "chainId": A,
        "groupKey": a.group.key,
        "destination": B,
        "token": peer_points(A),
        "epoch": header.epoch,
        "view": header.view_,
        "parentView": header.parentView,
        "restHash": header.restHash,
        "outboxSize": header.outboxSize,
        "outboxTree": header.outboxTree,
        "digest": digest,
        "message": hex::encode_prefixed(certificate::message(A, header.epoch, header.view_, header.parentView, digest)),
        "signature": header.signature,
        "packet": items[0].packet,
        "commitment": a.outbox[1].commitment,
        "index": items[0].index,
        "path": items[0].path,
        "calldata": hex::encode_prefixed(call.abi_encode()),
    });
    b.call(RELAYER, &call);
    assert_eq!(b.foreign(A, b.chain.user(1)).to::<u64>(), 20);
    let made = serde_json::to_string_pretty(&made).unwrap() + "\n";
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/vectors/peer.json");
    if std::env::var_os("MILEVERSE_WRITE_VECTORS").is_some() {
        std::fs::write(&path, &made).unwrap();
    }
    assert_eq!(
        std::fs::read_to_string(&path).unwrap(),
        made,
        "write the vectors anew"
    );
}
