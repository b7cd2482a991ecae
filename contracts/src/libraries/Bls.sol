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
    address internal constant MODEXP = 0x0000000000000000000000000000000000000005;
    address internal constant G1_ADD = 0x000000000000000000000000000000000000000b;
    address internal constant PAIRING = 0x000000000000000000000000000000000000000F;
    address internal constant MAP_FP_TO_G1 = 0x0000000000000000000000000000000000000010;

    uint256 internal constant G1_LENGTH = 128;
    uint256 internal constant G2_LENGTH = 256;

    /// @dev Selector of `BlsErrors.PrecompileFailed(address)`, left-aligned.
    bytes32 private constant PRECOMPILE_FAILED =
        0xeb8d043a00000000000000000000000000000000000000000000000000000000;

    /// @dev The field's modulus, 48 bytes, in two words: the first 32 bytes and the last 16.
    bytes32 private constant P_HIGH = 0x1a0111ea397fe69a4b1ba7b6434bacd764774b84f38512bf6730d2a0f6b0f624;
    bytes32 private constant P_LOW = 0x1eabfffeb153ffffb9feffffffffaaab00000000000000000000000000000000;

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

    /// @notice Whether `signature`, of 128 bytes, is `key`'s over `message`, hashed to the curve
    /// under `dst`.
    /// @dev e(signature, -G2) * e(H(message), key) == 1. The pairing precompile refuses points off
    /// the curve or outside the subgroup. Identity points pair with anything: the caller refuses them.
    function verify(bytes32[8] memory key, bytes memory message, bytes memory dst, bytes calldata signature)
        internal
        view
        returns (bool)
    {
        uint256 pairs;
        assembly ("memory-safe") {
            pairs := mload(0x40)
            mstore(0x40, add(pairs, 768))
            calldatacopy(pairs, signature.offset, 128)
            mstore(add(pairs, 0x080), NEG_G2_0)
            mstore(add(pairs, 0x0a0), NEG_G2_1)
            mstore(add(pairs, 0x0c0), NEG_G2_2)
            mstore(add(pairs, 0x0e0), NEG_G2_3)
            mstore(add(pairs, 0x100), NEG_G2_4)
            mstore(add(pairs, 0x120), NEG_G2_5)
            mstore(add(pairs, 0x140), NEG_G2_6)
            mstore(add(pairs, 0x160), NEG_G2_7)
            mcopy(add(pairs, 0x200), key, 256)
        }
        _hashToG1(message, dst, pairs + 0x180);
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
    function hashToG1(bytes memory message, bytes memory dst) internal view returns (bytes memory point) {
        point = new bytes(G1_LENGTH);
        uint256 to;
        assembly ("memory-safe") {
            to := add(point, 32)
        }
        _hashToG1(message, dst, to);
    }

    /// @dev Writes the point's 128 bytes at `to`. Works in memory beyond the free pointer:
    ///
    ///     free          what is hashed: 64 zeros ‖ message ‖ 0x0080 ‖ 0x00 ‖ dst ‖ length of dst,
    ///                   then four times: word ‖ counter ‖ dst ‖ length of dst
    ///     work  + 0     modexp: lengths 64, 1, 48; base, exponent 1, modulus; 209 bytes
    ///           + 224   a field element: 16 zero bytes, then the 48 that modexp answers
    ///           + 288   two points, side by side, as the addition wants them
    function _hashToG1(bytes memory message, bytes memory dst, uint256 to) private view {
        if (dst.length > 255) {
            revert BlsErrors.DomainTooLong(dst.length);
        }
        assembly ("memory-safe") {
            // Exactly `outSize` bytes, or the end. Arguments are evaluated from right to left.
            function ask(precompile, from, inSize, out, outSize) {
                if iszero(
                    and(
                        eq(returndatasize(), outSize),
                        staticcall(gas(), precompile, from, inSize, out, outSize)
                    )
                ) {
                    mstore(0x00, PRECOMPILE_FAILED)
                    mstore(0x04, precompile)
                    revert(0x00, 0x24)
                }
            }
            // Blocks `counter` and the next of expand_message_xmd (RFC 9380, section 5.3.1), which are
            // 64 bytes, reduced modulo p, mapped to a `point`. The first block's word is at `free`.
            function map(free, size, first, work, counter, point) {
                mstore8(add(free, 32), counter)
                ask(SHA256, free, size, add(work, 96), 32)
                mstore(free, xor(first, mload(add(work, 96))))
                mstore8(add(free, 32), add(counter, 1))
                ask(SHA256, free, size, add(work, 128), 32)
                ask(MODEXP, work, 209, add(work, 240), 48)
                ask(MAP_FP_TO_G1, add(work, 224), 64, point, 128)
            }

            let free := mload(0x40)
            let work := add(free, 320)
            let length := mload(message)
            let size := mload(dst)
            mstore(free, 0)
            mstore(add(free, 32), 0)
            mcopy(add(free, 64), add(message, 32), length)
            let suffix := add(add(free, 64), length)
            mstore(suffix, shl(232, 0x008000))
            suffix := add(suffix, 3)
            mcopy(suffix, add(dst, 32), size)
            mstore8(add(suffix, size), size)
            size := add(size, 1)
            ask(SHA256, free, add(sub(suffix, free), size), 0x00, 32)
            let first := mload(0x00)

            mcopy(add(free, 33), suffix, size)
            size := add(size, 33)
            mstore(work, 64)
            mstore(add(work, 32), 1)
            mstore(add(work, 64), 48)
            mstore8(add(work, 160), 1)
            mstore(add(work, 161), P_HIGH)
            mstore(add(work, 193), P_LOW)
            mstore(add(work, 224), 0)
            mstore(free, first)
            map(free, size, first, work, 1, add(work, 288))
            mstore(free, xor(first, mload(add(work, 128))))
            map(free, size, first, work, 3, add(work, 416))
            ask(G1_ADD, add(work, 288), 256, to, 128)
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
