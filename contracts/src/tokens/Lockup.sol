// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {VestingWallet} from "@openzeppelin/contracts/finance/VestingWallet.sol";

/// @title A tranche under lock-up: 2 % of it each month
/// @notice Nothing before the start; then 2 % at the end of each 30 days, all of it after 50 of them.
/// Rounds down, so that never more is free than the share says; the last step frees the rest.
contract Lockup is VestingWallet {
    /// @notice Length of a step, in seconds.
    uint64 public constant STEP_SECONDS = 30 days;

    /// @notice Steps until everything is free: 50 of 2 % each.
    uint64 public constant STEPS = 50;

    /// @param beneficiary Who may take what is free.
    /// @param start_ Beginning of the first month, seconds since 1970.
    constructor(address beneficiary, uint64 start_)
        VestingWallet(beneficiary, start_, STEP_SECONDS * STEPS)
    {}

    /// @dev Whole steps only, where the parent counts seconds.
    function _vestingSchedule(uint256 total, uint64 timestamp) internal view override returns (uint256) {
        if (timestamp < start()) {
            return 0;
        }
        uint256 steps = (timestamp - start()) / STEP_SECONDS;
        return steps >= STEPS ? total : total * steps / STEPS;
    }
}
