// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

/// @notice Why the curve arithmetic stopped.
interface BlsErrors {
    /// @notice A precompile refused its input, is absent, or answered with the wrong length.
    error PrecompileFailed(address precompile);
    /// @notice A domain separation tag has 32 to 63 bytes here.
    error DomainLength(uint256 actual);
}
