// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {Outbox} from "../../src/libraries/Outbox.sol";

/// @notice The outbox as RFC 9162 defines it: by recursion over all leaves. Slow and plain, so that
/// it can judge the verifier.
library Tree {
    /// @notice Leaf hashes of commitments.
    function leaves(bytes32[] memory commitments) internal pure returns (bytes32[] memory out) {
        out = new bytes32[](commitments.length);
        for (uint64 i = 0; i < commitments.length; ++i) {
            out[i] = Outbox.leaf(i, commitments[i]);
        }
    }

    /// @notice MTH over `hashes[from..to]`.
    function hash(bytes32[] memory hashes, uint256 from, uint256 to) internal pure returns (bytes32) {
        if (to - from == 1) {
            return hashes[from];
        }
        uint256 middle = from + _split(to - from);
        return keccak256(bytes.concat(bytes1(0x01), hash(hashes, from, middle), hash(hashes, middle, to)));
    }

    /// @notice The path of leaf `index`, from the leaf up.
    function path(bytes32[] memory hashes, uint256 index) internal pure returns (bytes32[] memory out) {
        bytes32[] memory down = new bytes32[](64);
        uint256 length = 0;
        uint256 from = 0;
        uint256 to = hashes.length;
        while (to - from > 1) {
            uint256 middle = from + _split(to - from);
            if (index < middle) {
                down[length++] = hash(hashes, middle, to);
                to = middle;
            } else {
                down[length++] = hash(hashes, from, middle);
                from = middle;
            }
        }
        out = new bytes32[](length);
        for (uint256 i = 0; i < length; ++i) {
            out[i] = down[length - 1 - i];
        }
    }

    /// @dev Largest power of two below `length`.
    function _split(uint256 length) private pure returns (uint256 k) {
        k = 1;
        while (k * 2 < length) {
            k *= 2;
        }
    }
}
