// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

/// @notice Why a token refuses.
interface TokenErrors {
    /// @notice Only the bridge makes and destroys wrapped points.
    error OnlyBridge(address caller);
    /// @notice A bridge address of zero.
    error BridgeZero();
    /// @notice A share of the supply for nobody.
    error AllocationAccountZero(uint256 index);
    /// @notice The shares do not add up to the fixed supply.
    error AllocationSum(uint256 expected, uint256 actual);
    /// @notice An allocation holds 1 to 64 shares.
    error AllocationSize(uint256 actual);
    /// @notice What accounts held at a quarter's close is known once it is over.
    error QuarterNotOver(uint256 quarter, uint256 current);
}
