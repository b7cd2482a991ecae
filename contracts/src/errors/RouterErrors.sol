// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

/// @notice Why the router refuses a whole call. What a single swap fails of is in `SwapRefused`.
interface RouterErrors {
    /// @notice A swap must never fail for too little gas; send the call again with more.
    error GasTooLittle(uint256 left, uint256 needed);
    /// @notice A swap was asked for from within a call of the pool. It would fail for no reason of its own.
    error PoolBusy();
    /// @notice Only the router itself calls this.
    error OnlyRouter(address caller);
}
