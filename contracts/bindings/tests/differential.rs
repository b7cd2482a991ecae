//! The light client against blst, another implementation of everything it does: the message, the
//! hash to the curve, the points' encoding, the pairing. Random certificates, whole and mutated; the
//! two must say the same of each. A failure names the seed and the round; the same seed replays it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::cast_possible_truncation
)]

mod kit;

use alloy::primitives::{B256, Bytes, keccak256};
use blst::{BLST_ERROR, min_sig};
use kit::Anvil;
use mileverse_bindings::{LightClient, light_client::ILightClient::HeaderProof};

const DST: &[u8] = b"BLS_SIG_BLS12381G1_XMD:SHA-256_SSWU_RO_POP_";
const SEED: &str = "light client and blst";
const KEYS: u64 = 2;
const ROUNDS: u64 = 300;
/// The field's modulus, big-endian.
const MODULUS: &str = "1a0111ea397fe69a4b1ba7b6434bacd764774b84f38512bf6730d2a0f6b0f6241eabfffeb153ffffb9feffffffffaaab";

/// Random numbers from a seed: hashes of what is asked for.
struct Dice(B256);

impl Dice {
    fn roll(&mut self) -> B256 {
        self.0 = keccak256(self.0);
        self.0
    }

    /// A number of a random length, so that every varint length comes up.
    fn number(&mut self) -> u64 {
        let bytes = self.roll();
        let value = u64::from_be_bytes(bytes[..8].try_into().unwrap());
        value >> (bytes[8] % 64)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.number_wide() % end
    }

    fn number_wide(&mut self) -> u64 {
        u64::from_be_bytes(self.roll()[..8].try_into().unwrap())
    }
}

/// What the delegates sign, from docs/protocol.md.
fn message(chain: u64, header: &HeaderProof) -> Vec<u8> {
    let mut out = vec![27];
    out.extend_from_slice(b"mileverse/");
    out.extend_from_slice(&chain.to_be_bytes());
    out.extend_from_slice(b"_FINALIZE");
    for mut value in [header.epoch, header.view_, header.parentView] {
        while value > 0x7f {
            out.push((value & 0x7f) as u8 | 0x80);
            value >>= 7;
        }
        out.push(value as u8);
    }
    let mut root = vec![2];
    root.extend_from_slice(&header.outboxSize.to_be_bytes());
    root.extend_from_slice(header.outboxTree.as_slice());
    let digest = keccak256([keccak256(root), header.restHash].concat());
    out.extend_from_slice(digest.as_slice());
    out
}

/// 48-byte field elements with 16 zero bytes before each, as EIP-2537 has them.
fn padded(elements: &[&[u8]]) -> Vec<u8> {
    let mut out = Vec::new();
    for element in elements {
        out.extend_from_slice(&[0; 16]);
        out.extend_from_slice(element);
    }
    out
}

/// blst writes the second coefficient first.
fn key_bytes(key: &min_sig::PublicKey) -> Vec<u8> {
    let raw = key.serialize();
    padded(&[&raw[48..96], &raw[..48], &raw[144..], &raw[96..144]])
}

fn signature_bytes(signature: &min_sig::Signature) -> Vec<u8> {
    let raw = signature.serialize();
    padded(&[&raw[..48], &raw[48..]])
}

/// What blst says of these bytes: a point of the group in its one encoding, and the key's signature.
fn blst_accepts(key: &min_sig::PublicKey, message: &[u8], signature: &[u8]) -> bool {
    let modulus = alloy::primitives::hex::decode(MODULUS).unwrap();
    let [x_pad, x, y_pad, y] = [0..16, 16..64, 64..80, 80..128].map(|range| &signature[range]);
    let canonical = [x_pad, y_pad].concat().iter().all(|byte| *byte == 0)
        && x < modulus.as_slice()
        && y < modulus.as_slice();
    if !canonical {
        return false;
    }
    // Below the modulus the three bits that are flags here are zero.
    let Ok(signature) = min_sig::Signature::deserialize(&[x, y].concat()) else {
        return false;
    };
    signature.verify(true, message, DST, &[], key, true) == BLST_ERROR::BLST_SUCCESS
}

/// The bytes of minus a point: y replaced by p - y.
fn negated(signature: &[u8]) -> Vec<u8> {
    let modulus = alloy::primitives::hex::decode(MODULUS).unwrap();
    let mut out = signature.to_vec();
    let mut borrow = 0i16;
    for at in (0..48).rev() {
        let difference = i16::from(modulus[at]) - i16::from(signature[80 + at]) - borrow;
        borrow = i16::from(difference < 0);
        out[80 + at] = difference.rem_euclid(256) as u8;
    }
    out
}

/// Adds p, losing a carry out of 48 bytes.
fn add_modulus(number: &mut [u8]) {
    let modulus = alloy::primitives::hex::decode(MODULUS).unwrap();
    let mut carry = 0;
    for (byte, more) in number.iter_mut().zip(modulus).rev() {
        let sum = u16::from(*byte) + u16::from(more) + carry;
        *byte = sum as u8;
        carry = sum >> 8;
    }
}

/// One change, or none.
fn mutate(dice: &mut Dice, header: &mut HeaderProof, other: &min_sig::SecretKey, chain: u64) {
    let mut signature = header.signature.to_vec();
    match dice.below(14) {
        0 => header.epoch ^= 1 << dice.below(64),
        1 => header.view_ ^= 1 << dice.below(64),
        2 => header.parentView ^= 1 << dice.below(64),
        3 => header.restHash = dice.roll(),
        4 => header.outboxSize = header.outboxSize.wrapping_add(1).max(1),
        5 => header.outboxTree = dice.roll(),
        6 => signature = signature_bytes(&other.sign(&message(chain, header), DST, &[])),
        7 => signature = signature_bytes(&other.sign(&message(chain ^ 1, header), DST, &[])),
        8 => signature = negated(&signature),
        9 => signature[dice.below(128) as usize] ^= 1 << dice.below(8),
        // Something before the number, where only zeros may stand.
        10 => signature[dice.below(16) as usize] = 1,
        // The same number in a second encoding: x + p still fits 48 bytes, or all but.
        11 => add_modulus(&mut signature[16..64]),
        _ => {}
    }
    header.signature = Bytes::from(signature);
}

#[tokio::test]
async fn the_light_client_and_blst_agree() {
    let anvil = Anvil::start();
    let provider = anvil.provider();
    let mut dice = Dice(keccak256(SEED));
    let (mut accepted, mut refused) = (0, 0);
    for _ in 0..KEYS {
        let secret = min_sig::SecretKey::key_gen(dice.roll().as_slice(), &[]).unwrap();
        let other = min_sig::SecretKey::key_gen(dice.roll().as_slice(), &[]).unwrap();
        let key = secret.sk_to_pk();
        // Anything but zero and anvil's own id.
        let chain = dice.number().max(1_000_000);
        let client = LightClient::deploy(&provider, key_bytes(&key).into(), chain, 0, 0)
            .await
            .unwrap();
        for round in 0..ROUNDS {
            let mut header = HeaderProof {
                epoch: dice.number(),
                view_: dice.number(),
                parentView: dice.number(),
                restHash: dice.roll(),
                outboxSize: dice.number().max(1),
                outboxTree: dice.roll(),
                signature: Bytes::new(),
            };
            let signed = secret.sign(&message(chain, &header), DST, &[]);
            header.signature = signature_bytes(&signed).into();
            mutate(&mut dice, &mut header, &other, chain);
            let wanted = blst_accepts(&key, &message(chain, &header), &header.signature);
            let call = client.verify(header.clone()).from(anvil.account());
            let answer = call.call().await;
            assert_eq!(
                answer.is_ok(),
                wanted,
                "seed {SEED:?}, chain {chain}, round {round}: {answer:?} of {header:?}"
            );
            match answer {
                Ok(_) => accepted += 1,
                // A node that did not answer proves nothing.
                Err(error) => {
                    assert!(error.as_revert_data().is_some(), "{error}");
                    refused += 1;
                }
            }
        }
    }
    // Both kinds came up, or the test proves nothing.
    assert!(accepted > 10 && refused > 100, "{accepted} and {refused}");
}
