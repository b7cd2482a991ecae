// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

/// @title Variable-length integers, LEB128
/// @notice Seven bits a byte, lowest first; the top bit says that another byte follows. 1 to 10 bytes.
library Varint {
    /// @notice The most bytes one integer takes.
    uint256 internal constant MAX_LENGTH = 10;

    /// @notice Writes the one shortest encoding of `value` at `pointer`; returns where it ends.
    /// @dev `value` has 64 bits. The caller owns MAX_LENGTH bytes of memory there.
    function write(uint256 pointer, uint256 value) internal pure returns (uint256 end) {
        assembly ("memory-safe") {
            end := pointer
            for {} gt(value, 0x7f) {} {
                mstore8(end, or(value, 0x80))
                value := shr(7, value)
                end := add(end, 1)
            }
            mstore8(end, value)
            end := add(end, 1)
        }
    }
}
