//! The message that a finalization certificate signs, as commonware's simplex builds it.
//!
//! ```txt
//! varint(len(namespace) + 9) ‖ namespace ‖ "_FINALIZE"
//!   ‖ varint(epoch) ‖ varint(view) ‖ varint(parent view) ‖ digest (32 bytes)
//! ```
//!
//! Varints are LEB128. The namespace binds the native chain's id, so that a certificate of one
//! chain means nothing to another. Signatures are BLS12-381, in G1 under a key in G2, hashed to
//! the curve with [`DST`] (RFC 9380).

use alloy::primitives::B256;

/// Domain separation tag of the signature.
pub const DST: &str = "BLS_SIG_BLS12381G1_XMD:SHA-256_SSWU_RO_POP_";
/// Bytes of an uncompressed G1 point (EIP-2537).
pub const G1_LENGTH: usize = 128;
/// Bytes of an uncompressed G2 point (EIP-2537).
pub const G2_LENGTH: usize = 256;
const SUFFIX: &[u8] = b"_FINALIZE";

/// `"mileverse/" ‖ chain id`, 18 bytes.
pub fn namespace(chain_id: u64) -> Vec<u8> {
    let mut out = b"mileverse/".to_vec();
    out.extend_from_slice(&chain_id.to_be_bytes());
    out
}

/// The bytes that the committee signs to finalize `digest`.
pub fn message(chain_id: u64, epoch: u64, view: u64, parent_view: u64, digest: B256) -> Vec<u8> {
    let namespace = namespace(chain_id);
    let mut out = Vec::with_capacity(96);
    varint(&mut out, (namespace.len() + SUFFIX.len()) as u64);
    out.extend_from_slice(&namespace);
    out.extend_from_slice(SUFFIX);
    varint(&mut out, epoch);
    varint(&mut out, view);
    varint(&mut out, parent_view);
    out.extend_from_slice(digest.as_slice());
    out
}

fn varint(out: &mut Vec<u8>, mut value: u64) {
    loop {
        let [low, ..] = value.to_le_bytes();
        value >>= 7;
        if value == 0 {
            out.push(low & 0x7f);
            return;
        }
        out.push(low | 0x80);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn varints_are_leb128() {
        for (value, bytes) in [
            (0, vec![0]),
            (127, vec![127]),
            (128, vec![0x80, 1]),
            (300, vec![0xac, 2]),
            (
                u64::MAX,
                vec![255, 255, 255, 255, 255, 255, 255, 255, 255, 1],
            ),
        ] {
            let mut out = Vec::new();
            varint(&mut out, value);
            assert_eq!(out, bytes);
        }
    }

    #[test]
    fn message_layout() {
        let message = message(7, 0, 300, 1, B256::repeat_byte(9));
        assert_eq!(message[0], 27);
        assert_eq!(&message[1..11], b"mileverse/");
        assert_eq!(&message[11..19], &7u64.to_be_bytes());
        assert_eq!(&message[19..28], b"_FINALIZE");
        assert_eq!(&message[28..32], &[0, 0xac, 2, 1]);
        assert_eq!(&message[32..], &[9; 32]);
    }
}
