//! Small contracts, assembled by hand.

use super::support::{Chain, Send};
use alloy::primitives::{Address, Bytes, U256, hex};

/// Without calldata: adds one to slot 0, logs it under topic 42, returns it. With calldata: reverts.
pub const COUNTER: &str = "36601d57600054600101806000556000526\
                           02a60206000a160206000f35b60006000fd";
/// Creates a contract from its calldata and returns its address.
pub const FACTORY: &str = "36600060003736600060 00f060005260206000f3";
/// Destroys itself in favour of the address in its calldata.
pub const SUICIDE: &str = "600035ff";

// The forwarders take the target's address in the first word and its calldata after it.
const HEAD: &str = "6020360380602060003760006000826000";
const TAIL: &str = "3d600060003e";

/// Passes calldata on by CALL, with the value, and returns or reverts as the target does.
pub fn forwarder() -> Vec<u8> {
    bubbling("346000355af1")
}

/// The same by DELEGATECALL.
pub fn delegator() -> Vec<u8> {
    bubbling("6000355af4")
}

/// The same by CALLCODE.
pub fn call_coder() -> Vec<u8> {
    bubbling("346000355af2")
}

/// The same by STATICCALL.
pub fn static_caller() -> Vec<u8> {
    bubbling("6000355afa")
}

/// Passes calldata on by CALL, then reverts whatever happened.
pub fn reverter() -> Vec<u8> {
    code(&format!("{HEAD}346000355af160006000fd"))
}

/// Passes calldata on by CALL, and returns whether that succeeded.
pub fn catcher() -> Vec<u8> {
    code(&format!("{HEAD}346000355af160005260206000f3"))
}

fn bubbling(call: &str) -> Vec<u8> {
    let before = code(&format!("{HEAD}{call}{TAIL}"));
    // JUMPI over "3d6000fd" to the JUMPDEST.
    let target = before.len() + 3 + 4;
    let mut out = before;
    out.extend([0x60, u8::try_from(target).unwrap(), 0x57]);
    out.extend(code("3d6000fd5b3d6000f3"));
    out
}

/// Calls `target` again and again: calldata is one length (a word) and so many bytes after another.
/// Reverts as the first call that fails.
pub fn batcher(target: Address) -> Vec<u8> {
    code(&format!(
        "6000 5b 80361460 3e57 8035 8082602001600037 \
         60006000826000600073{}5af1 1560 4057 0160200160 0256 \
         5b00 5b3d600060003e3d6000fd",
        hex::encode(target)
    ))
}

/// Calldata of a batcher.
pub fn batch(calls: &[Vec<u8>]) -> Bytes {
    let mut out = Vec::new();
    for call in calls {
        out.extend(U256::from(call.len()).to_be_bytes::<32>());
        out.extend(call);
    }
    out.into()
}

pub fn code(text: &str) -> Vec<u8> {
    hex::decode(text.replace(' ', "")).unwrap()
}

/// Code that deploys `runtime`.
pub fn deployment(runtime: &[u8]) -> Bytes {
    let length = u8::try_from(runtime.len()).unwrap();
    let mut out = vec![
        0x60, length, 0x80, 0x60, 0x0b, 0x60, 0x00, 0x39, 0x60, 0x00, 0xf3,
    ];
    out.extend_from_slice(runtime);
    out.into()
}

pub fn deploy(chain: &mut Chain, runtime: &[u8]) -> Address {
    let output = chain.block(&[Send::create(1, deployment(runtime))]);
    assert!(output.receipts[0].success);
    output.receipts[0].contract_address.unwrap()
}

/// Calldata for a forwarder.
pub fn forward(target: Address, data: &[u8]) -> Bytes {
    let mut out = target.into_word().to_vec();
    out.extend_from_slice(data);
    out.into()
}
