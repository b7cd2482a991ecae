// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {Vm} from "./Vm.sol";

/// @notice What every test stands on.
abstract contract Test {
    Vm internal constant vm = Vm(address(uint160(uint256(keccak256("hevm cheat code")))));

    /// @dev Forge asks a contract for this before it looks for tests in it.
    bool public constant IS_TEST = true;

    /// @dev A value in [low, high] made of any `value`.
    function bound(uint256 value, uint256 low, uint256 high) internal pure returns (uint256) {
        uint256 range = high - low;
        return range == type(uint256).max ? value : low + value % (range + 1);
    }

    /// @dev The bytes with one bit of byte `index` turned.
    function flipped(bytes memory value, uint256 index) internal pure returns (bytes memory out) {
        out = bytes.concat(value);
        out[index] ^= 0x01;
    }

    /// @dev What a transaction with this calldata pays (EIP-2028, EIP-7623).
    function transactionGas(bytes memory call, uint256 execution) internal pure returns (uint256) {
        uint256 tokens;
        for (uint256 i = 0; i < call.length; ++i) {
            tokens += call[i] == 0 ? 1 : 4;
        }
        uint256 usual = 4 * tokens + execution;
        uint256 floor = 10 * tokens;
        return 21_000 + (usual > floor ? usual : floor);
    }

    /// @dev All but the first `length` bytes.
    function cutFront(bytes memory value, uint256 length) internal pure returns (bytes memory out) {
        out = new bytes(value.length - length);
        for (uint256 i = 0; i < out.length; ++i) {
            out[i] = value[length + i];
        }
    }

    /// @dev The first `length` bytes.
    function cut(bytes memory value, uint256 length) internal pure returns (bytes memory out) {
        out = new bytes(length);
        for (uint256 i = 0; i < length; ++i) {
            out[i] = value[i];
        }
    }
}
