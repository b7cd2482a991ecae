// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

/// @title The native chain's outbox: a Merkle tree after RFC 9162, with keccak256
///
///     leaf(i, commitment) = keccak256(0x00 ‖ i as u64 ‖ commitment)
///     node(left, right)   = keccak256(0x01 ‖ left ‖ right)
///     root(n)             = keccak256(0x02 ‖ n as u64 ‖ MTH(n))
///
/// @notice A leaf is bound to its index, and a path for a given index and size has one length:
/// one fact has one proof.
library Outbox {
    /// @notice Hash of leaf `index`.
    function leaf(uint64 index, bytes32 commitment) internal pure returns (bytes32 hash) {
        // 41 bytes of scratch space: the tag, eight bytes of index, then the commitment over the rest.
        assembly ("memory-safe") {
            mstore(0x00, shl(184, index))
            mstore(0x09, commitment)
            hash := keccak256(0x00, 41)
        }
    }

    /// @notice The root that stands in a header. `size` has 64 bits.
    function root(uint256 size, bytes32 tree) internal pure returns (bytes32 hash) {
        assembly ("memory-safe") {
            mstore(0x00, or(shl(248, 0x02), shl(184, size)))
            mstore(0x09, tree)
            hash := keccak256(0x00, 41)
        }
    }

    /// @notice Digest of the block whose header holds this root.
    function digest(bytes32 root_, bytes32 restHash) internal pure returns (bytes32 hash) {
        assembly ("memory-safe") {
            mstore(0x00, root_)
            mstore(0x20, restHash)
            hash := keccak256(0x00, 64)
        }
    }

    /// @notice Whether `commitment` is leaf `index` of the tree of `size` leaves that hashes to `tree`.
    /// @dev RFC 9162, section 2.1.3.2. At most 64 steps: `last` loses a bit with each.
    function verify(bytes32 tree, uint64 size, uint64 index, bytes32 commitment, bytes32[] calldata path)
        internal
        pure
        returns (bool)
    {
        if (index >= size) {
            return false;
        }
        // Whole words, so that no step need cut them to 64 bits.
        uint256 position = index;
        uint256 last = uint256(size) - 1;
        bytes32 hash = leaf(index, commitment);
        for (uint256 i = 0; i < path.length; ++i) {
            if (last == 0) {
                return false;
            }
            bytes32 sibling;
            assembly ("memory-safe") {
                sibling := calldataload(add(path.offset, shl(5, i))) // the loop keeps `i` within
            }
            if (position & 1 == 1 || position == last) {
                hash = node(sibling, hash);
                // A right edge without a sibling at this height: climb to where it has one.
                while (position & 1 == 0 && position != 0) {
                    position >>= 1;
                    last >>= 1;
                }
            } else {
                hash = node(hash, sibling);
            }
            position >>= 1;
            last >>= 1;
        }
        return last == 0 && hash == tree;
    }

    /// @notice Hash of an inner node.
    function node(bytes32 left, bytes32 right) internal pure returns (bytes32 hash) {
        // Beyond the free pointer, and not kept: 65 bytes do not fit the scratch space.
        assembly ("memory-safe") {
            let free := mload(0x40)
            mstore8(free, 0x01)
            mstore(add(free, 1), left)
            mstore(add(free, 33), right)
            hash := keccak256(free, 65)
        }
    }
}
