//! The artifacts load, and say what `docs/protocol.md` says.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use alloy::{
    json_abi::JsonAbi,
    primitives::{Selector, keccak256},
    sol,
    sol_types::{SolCall, SolEvent},
};
use mileverse_bindings::{
    Authority, Bridge, HashedTimelock, LightClient, Lockup, MileVerseCoin, WrappedPoints,
};

/// The interface as the protocol's page has it, written down a second time on purpose.
mod protocol {
    #![allow(missing_docs)]
    use super::sol;

    sol! {
        event PacketSent(uint64 indexed sequence, bytes32 indexed commitment, bytes packet);
        event PacketReceived(uint64 indexed sequence, bytes32 indexed commitment);
        event PacketExpired(uint64 indexed sequence, bytes32 indexed commitment);
        event PacketRefunded(uint64 indexed sequence, bytes32 indexed commitment);
        event PacketAcknowledged(uint64 indexed sequence, bytes32 indexed commitment);

        struct Totals { uint256 sent; uint256 received; uint256 refunded; }
        struct HeaderProof {
            uint64 epoch;
            uint64 view_;
            uint64 parentView;
            bytes32 restHash;
            uint64 outboxSize;
            bytes32 outboxTree;
            bytes signature;
        }
        struct OutboxItem { bytes packet; uint64 index; bytes32[] path; }

        function send(address token, address receiver, uint256 amount, uint64 deadline) external payable returns (uint64 sequence);
        function sendAcknowledged(address token, address receiver, uint256 amount, uint64 deadline) external returns (uint64 sequence);
        function chainId() external view returns (uint64);
        function peerChainId() external view returns (uint64);
        function nextSequence() external view returns (uint64);
        function outbound(uint64 sequence) external view returns (bytes32);
        function receipt(uint64 sequence) external view returns (uint8);
        function totals(address token) external view returns (Totals memory);
        function deliver(HeaderProof calldata header, OutboxItem[] calldata items) external;
    }
}

#[test]
fn the_bridge_speaks_the_protocol() {
    let pairs: [(&str, Selector, Selector); 9] = [
        (
            "send",
            Bridge::sendCall::SELECTOR.into(),
            protocol::sendCall::SELECTOR.into(),
        ),
        (
            "sendAcknowledged",
            Bridge::sendAcknowledgedCall::SELECTOR.into(),
            protocol::sendAcknowledgedCall::SELECTOR.into(),
        ),
        (
            "chainId",
            Bridge::chainIdCall::SELECTOR.into(),
            protocol::chainIdCall::SELECTOR.into(),
        ),
        (
            "peerChainId",
            Bridge::peerChainIdCall::SELECTOR.into(),
            protocol::peerChainIdCall::SELECTOR.into(),
        ),
        (
            "nextSequence",
            Bridge::nextSequenceCall::SELECTOR.into(),
            protocol::nextSequenceCall::SELECTOR.into(),
        ),
        (
            "outbound",
            Bridge::outboundCall::SELECTOR.into(),
            protocol::outboundCall::SELECTOR.into(),
        ),
        (
            "receipt",
            Bridge::receiptCall::SELECTOR.into(),
            protocol::receiptCall::SELECTOR.into(),
        ),
        (
            "totals",
            Bridge::totalsCall::SELECTOR.into(),
            protocol::totalsCall::SELECTOR.into(),
        ),
        (
            "deliver",
            Bridge::deliverCall::SELECTOR.into(),
            protocol::deliverCall::SELECTOR.into(),
        ),
    ];
    for (name, ours, theirs) in pairs {
        assert_eq!(ours, theirs, "{name}");
    }
    assert_eq!(
        Bridge::PacketSent::SIGNATURE_HASH,
        protocol::PacketSent::SIGNATURE_HASH
    );
    assert_eq!(
        Bridge::PacketReceived::SIGNATURE_HASH,
        protocol::PacketReceived::SIGNATURE_HASH
    );
    assert_eq!(
        Bridge::PacketExpired::SIGNATURE_HASH,
        protocol::PacketExpired::SIGNATURE_HASH
    );
    assert_eq!(
        Bridge::PacketRefunded::SIGNATURE_HASH,
        protocol::PacketRefunded::SIGNATURE_HASH
    );
    assert_eq!(
        Bridge::PacketAcknowledged::SIGNATURE_HASH,
        protocol::PacketAcknowledged::SIGNATURE_HASH
    );
}

#[test]
fn returns_and_mutability_are_the_protocols() {
    let abi = abi_of(include_str!("../artifacts/Bridge.json"));
    let one = |name: &str| abi.functions.get(name).unwrap().first().unwrap().clone();
    let views = [
        ("chainId", "uint64"),
        ("peerChainId", "uint64"),
        ("nextSequence", "uint64"),
        ("outbound", "bytes32"),
        ("receipt", "uint8"),
    ];
    for (name, kind) in views {
        let function = one(name);
        assert_eq!(function.outputs.first().unwrap().ty, kind, "{name}");
        assert_eq!(
            function.state_mutability,
            alloy::json_abi::StateMutability::View,
            "{name}"
        );
    }
    assert_eq!(one("send").outputs.first().unwrap().ty, "uint64");
    assert_eq!(
        one("send").state_mutability,
        alloy::json_abi::StateMutability::Payable
    );
    assert_eq!(one("deliver").outputs.len(), 0);
    for name in [
        "PacketSent",
        "PacketReceived",
        "PacketExpired",
        "PacketRefunded",
        "PacketAcknowledged",
    ] {
        let inputs = &abi.events.get(name).unwrap().first().unwrap().inputs;
        assert_eq!(
            inputs[..2].iter().filter(|input| input.indexed).count(),
            2,
            "{name}"
        );
        assert!(inputs[2..].iter().all(|input| !input.indexed), "{name}");
    }
}

#[test]
fn the_wrapper_and_the_coin_are_tokens() {
    for text in [
        include_str!("../artifacts/MileVerseCoin.json"),
        include_str!("../artifacts/WrappedPoints.json"),
    ] {
        let abi = abi_of(text);
        for signature in [
            "totalSupply()",
            "balanceOf(address)",
            "transfer(address,uint256)",
            "allowance(address,address)",
            "approve(address,uint256)",
            "transferFrom(address,address,uint256)",
            "permit(address,address,uint256,uint256,uint8,bytes32,bytes32)",
        ] {
            let wanted: [u8; 4] = keccak256(signature)[..4].try_into().unwrap();
            assert!(
                abi.functions()
                    .any(|function| function.selector() == wanted),
                "{signature}"
            );
        }
    }
}

#[test]
fn every_contract_has_code_that_fits() {
    for (name, code) in [
        ("Authority", &Authority::BYTECODE),
        ("Bridge", &Bridge::BYTECODE),
        ("HashedTimelock", &HashedTimelock::BYTECODE),
        ("LightClient", &LightClient::BYTECODE),
        ("Lockup", &Lockup::BYTECODE),
        ("MileVerseCoin", &MileVerseCoin::BYTECODE),
        ("WrappedPoints", &WrappedPoints::BYTECODE),
    ] {
        assert!(code.len() > 1_000, "{name} is {} bytes", code.len());
        // EIP-3860's limit on what may be deployed.
        assert!(code.len() <= 49_152, "{name} is {} bytes", code.len());
    }
}

fn abi_of(artifact: &str) -> JsonAbi {
    let value: serde_json::Value = serde_json::from_str(artifact).unwrap();
    let object = value.as_object().unwrap();
    assert_eq!(
        object.keys().collect::<Vec<_>>(),
        ["abi", "bytecode"],
        "nothing else is committed"
    );
    serde_json::from_value(value["abi"].clone()).unwrap()
}
