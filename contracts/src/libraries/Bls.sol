// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {BlsErrors} from "../errors/BlsErrors.sol";

/// @title BLS12-381 signatures in G1, keys in G2, with the precompiles of EIP-2537
///
///     field element   64 bytes: 16 zero bytes, then 48 bytes big-endian
///     G1 point       128 bytes: x ‖ y              identity: all zero
///     G2 point       256 bytes: x.c0 ‖ x.c1 ‖ y.c0 ‖ y.c1
///
/// @notice Precompile addresses are constants, and each answer's success and length are checked:
/// where a precompile is absent a call succeeds and returns nothing.
library Bls {
    address internal constant SHA256 = 0x0000000000000000000000000000000000000002;
    address internal constant G1_ADD = 0x000000000000000000000000000000000000000b;
    address internal constant PAIRING = 0x000000000000000000000000000000000000000F;
    address internal constant MAP_FP_TO_G1 = 0x0000000000000000000000000000000000000010;

    uint256 internal constant G1_LENGTH = 128;
    uint256 internal constant G2_LENGTH = 256;

    /// @dev Place of the key in the pairs.
    uint256 internal constant KEY_AT = 0x200;

    /// @dev Selector of `BlsErrors.PrecompileFailed(address)`, left-aligned.
    bytes32 private constant PRECOMPILE_FAILED =
        0xeb8d043a00000000000000000000000000000000000000000000000000000000;

    /// @dev The field's modulus p in two words: P_HIGH * 2^256 + P_LOW. P_HIGH has 125 bits.
    uint256 private constant P_HIGH = 0x1a0111ea397fe69a4b1ba7b6434bacd7;
    uint256 private constant P_LOW = 0x64774b84f38512bf6730d2a0f6b0f6241eabfffeb153ffffb9feffffffffaaab;

    uint256 private constant P_HIGH_1 = 0x1a0111ea397fe69a4b1ba7b6434bacd8;

    /// @dev The suite of the chain's consensus, signatures in G1, in two words:
    /// "BLS_SIG_BLS12381G1_XMD:SHA-256_SSWU_RO_POP_".
    bytes32 private constant DST_0 = "BLS_SIG_BLS12381G1_XMD:SHA-256_S";
    bytes32 private constant DST_1 = "SWU_RO_POP_";
    uint256 private constant DST_LENGTH = 43;

    /// @dev Minus the generator of G2, x.c0 ‖ x.c1 ‖ y.c0 ‖ y.c1, each in two words.
    bytes32 private constant NEG_G2_0 = 0x00000000000000000000000000000000024aa2b2f08f0a91260805272dc51051;
    bytes32 private constant NEG_G2_1 = 0xc6e47ad4fa403b02b4510b647ae3d1770bac0326a805bbefd48056c8c121bdb8;
    bytes32 private constant NEG_G2_2 = 0x0000000000000000000000000000000013e02b6052719f607dacd3a088274f65;
    bytes32 private constant NEG_G2_3 = 0x596bd0d09920b61ab5da61bbdc7f5049334cf11213945d57e5ac7d055d042b7e;
    bytes32 private constant NEG_G2_4 = 0x000000000000000000000000000000000d1b3cc2c7027888be51d9ef691d77bc;
    bytes32 private constant NEG_G2_5 = 0xb679afda66c73f17f9ee3837a55024f78c71363275a75d75d86bab79f74782aa;
    bytes32 private constant NEG_G2_6 = 0x0000000000000000000000000000000013fa4d4a0ad8b1ce186ed5061789213d;
    bytes32 private constant NEG_G2_7 = 0x993923066dddaf1040bc3ff59f825c78df74f2d75467e25e0f55f8a00fa030ed;

    /// @notice Whether these 128 bytes are G1's identity.
    function isIdentity(bytes calldata point) internal pure returns (bool zero) {
        assembly ("memory-safe") {
            let word := point.offset
            zero := iszero(
                or(
                    or(calldataload(word), calldataload(add(word, 32))),
                    or(calldataload(add(word, 64)), calldataload(add(word, 96)))
                )
            )
        }
    }

    /// @notice Room for one verification, beyond the free pointer and not kept: 768 bytes of pairs, then 64 zero bytes that stand before the
    /// message, then the message; what is written beyond it is lost.
    /// @return pairs Where the key's 256 bytes go at KEY_AT.
    /// @return message Where the message goes.
    function room() internal pure returns (uint256 pairs, uint256 message) {
        assembly ("memory-safe") {
            pairs := mload(0x40)
            mstore(add(pairs, 0x300), 0)
            mstore(add(pairs, 0x320), 0)
            message := add(pairs, 0x340)
        }
    }

    /// @notice Whether `signature`, of 128 bytes, is the key's over the message, hashed to the curve in
    /// the suite of the chain. `pairs` is from `room`, where key and message have been written.
    /// @dev e(signature, -G2) * e(H(message), key) == 1. The pairing precompile refuses points off
    /// the curve or outside the subgroup. Identity points pair with anything: the caller refuses them.
    function verify(uint256 pairs, uint256 messageLength, bytes calldata signature)
        internal
        view
        returns (bool)
    {
        assembly ("memory-safe") {
            calldatacopy(pairs, signature.offset, 128)
            mstore(add(pairs, 0x080), NEG_G2_0)
            mstore(add(pairs, 0x0a0), NEG_G2_1)
            mstore(add(pairs, 0x0c0), NEG_G2_2)
            mstore(add(pairs, 0x0e0), NEG_G2_3)
            mstore(add(pairs, 0x100), NEG_G2_4)
            mstore(add(pairs, 0x120), NEG_G2_5)
            mstore(add(pairs, 0x140), NEG_G2_6)
            mstore(add(pairs, 0x160), NEG_G2_7)
        }
        unchecked {
            // Places in memory: nothing can overflow.
            _hashToG1(pairs + 0x300, messageLength, DST_0, DST_1, DST_LENGTH, pairs + 0x180);
        }
        return _pairing(pairs);
    }

    /// @notice Whether `key` is a point of G2's subgroup; reverts when it is not even on the curve.
    function inSubgroup(bytes32[8] memory key) internal view returns (bool) {
        // The identity of G1 pairs to one with every point of the subgroup.
        bytes32[24] memory zeros;
        uint256 pairs;
        assembly ("memory-safe") {
            pairs := zeros
            mcopy(add(pairs, 0x080), key, 256)
            mcopy(add(pairs, 0x200), key, 256)
        }
        return _pairing(pairs);
    }

    /// @notice RFC 9380, section 3: hash_to_curve for G1, SHA-256, simplified SWU, random oracle.
    /// `dst` has 32 to 63 bytes.
    function hashToG1(bytes memory message, bytes memory dst) internal view returns (bytes memory point) {
        if (dst.length < 32 || dst.length > 63) {
            revert BlsErrors.DomainLength(dst.length);
        }
        point = new bytes(G1_LENGTH);
        bytes memory padded = bytes.concat(bytes32(0), bytes32(0), message);
        // The first 32 of 32 to 63 bytes; the rest is read below.
        // forge-lint: disable-next-line(unsafe-typecast)
        (bytes32 first, bytes32 second) = (bytes32(dst), bytes32(0));
        uint256 from;
        uint256 to;
        assembly ("memory-safe") {
            // Beyond the end of `dst` only what its own length leaves out.
            second := shl(mul(8, sub(64, mload(dst))), shr(mul(8, sub(64, mload(dst))), mload(add(dst, 64))))
            from := add(padded, 32)
            to := add(point, 32)
        }
        _hashToG1(from, message.length, first, second, dst.length, to);
    }

    /// @dev Writes the point's 128 bytes at `to`. At `from` stand 64 zero bytes and the message; all of
    /// it, and 448 bytes beyond, are used:
    ///
    ///     from          what is hashed: 64 zeros ‖ message ‖ 0x0080 ‖ 0x00 ‖ dst ‖ length of dst,
    ///                   then four times: word ‖ counter ‖ dst ‖ length of dst
    ///     work          two points, side by side, as the addition wants them; where a point will
    ///                   stand, the field element that is mapped to it stands before
    ///
    /// Reduction modulo p: P_HIGH + 1 as divisor gives a quotient that is never too large and at most
    /// about 100 too small, so less than 101 p is left. Of that the second quotient is at most one too
    /// small: (r + 1) / P_HIGH - r / (P_HIGH + 1) < 2^-117 for the high word r of what is left.
    function _hashToG1(
        uint256 from,
        uint256 length,
        bytes32 dstFirst,
        bytes32 dstSecond,
        uint256 dstLength,
        uint256 to
    ) private view {
        assembly ("memory-safe") {
            // Each answer must be there and have its length. Arguments are evaluated from right to
            // left, so the call comes before the look at what it returned.
            function fail(precompile) {
                mstore(0x00, PRECOMPILE_FAILED)
                mstore(0x04, precompile)
                revert(0x00, 0x24)
            }
            // Blocks `counter` and the next of expand_message_xmd (RFC 9380, section 5.3.1), which are
            // 64 bytes, reduced modulo p, mapped to a `point`. The first block's word is at `place`.
            // Answers the second block, which the next one is chained to.
            function map(place, size, first, counter, point) -> low {
                mstore8(add(place, 32), counter)
                if iszero(and(eq(returndatasize(), 32), staticcall(gas(), SHA256, place, size, 0x00, 32))) {
                    fail(SHA256)
                }
                let h := mload(0x00)
                mstore(place, xor(first, h))
                mstore8(add(place, 32), add(counter, 1))
                if iszero(and(eq(returndatasize(), 32), staticcall(gas(), SHA256, place, size, 0x00, 32))) {
                    fail(SHA256)
                }
                low := mload(0x00)
                // h * 2^256 + l - quotient * p, modulo 2^512, twice. The high word of
                // quotient * P_LOW is found from its remainder modulo 2^256 - 1.
                let quotient := div(h, P_HIGH_1)
                let product := mul(quotient, P_LOW)
                let all := mulmod(quotient, P_LOW, not(0))
                h := sub(h, add(sub(all, add(product, lt(all, product))), mul(quotient, P_HIGH)))
                h := sub(h, lt(low, product))
                let l := sub(low, product)
                quotient := div(h, P_HIGH_1)
                product := mul(quotient, P_LOW)
                all := mulmod(quotient, P_LOW, not(0))
                h := sub(h, add(sub(all, add(product, lt(all, product))), mul(quotient, P_HIGH)))
                h := sub(h, lt(l, product))
                l := sub(l, product)
                if iszero(or(lt(h, P_HIGH), and(eq(h, P_HIGH), lt(l, P_LOW)))) {
                    h := sub(sub(h, P_HIGH), lt(l, P_LOW))
                    l := sub(l, P_LOW)
                }
                mstore(point, h)
                mstore(add(point, 32), l)
                if iszero(
                    and(eq(returndatasize(), 128), staticcall(gas(), MAP_FP_TO_G1, point, 64, point, 128))
                ) {
                    fail(MAP_FP_TO_G1)
                }
            }

            let end := add(add(from, 64), length)
            mstore(end, shl(232, 0x008000))
            mstore(add(end, 3), dstFirst)
            mstore(add(end, 35), dstSecond)
            mstore8(add(add(end, 3), dstLength), dstLength)
            if iszero(
                and(
                    eq(returndatasize(), 32),
                    staticcall(gas(), SHA256, from, add(add(length, 68), dstLength), 0x00, 32)
                )
            ) {
                fail(SHA256)
            }
            let first := mload(0x00)

            mstore(from, first)
            mstore(add(from, 33), dstFirst)
            mstore(add(from, 65), dstSecond)
            mstore8(add(add(from, 33), dstLength), dstLength)
            let size := add(dstLength, 34)
            let work := add(from, 160)
            let last := map(from, size, first, 1, work)
            mstore(from, xor(first, last))
            last := map(from, size, first, 3, add(work, 128))
            if iszero(and(eq(returndatasize(), 128), staticcall(gas(), G1_ADD, work, 256, to, 128))) {
                fail(G1_ADD)
            }
        }
    }

    /// @dev Two pairs, 768 bytes.
    function _pairing(uint256 pairs) private view returns (bool) {
        bool good;
        uint256 answer;
        assembly ("memory-safe") {
            good := staticcall(gas(), PAIRING, pairs, 768, 0x00, 32)
            good := and(good, eq(returndatasize(), 32))
            answer := mload(0x00)
        }
        if (!good) {
            revert BlsErrors.PrecompileFailed(PAIRING);
        }
        return answer == 1;
    }
}
