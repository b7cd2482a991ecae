// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

interface ValveErrors {
    /// @notice The guardian has stopped this direction; the governor opens it again.
    error DirectionStopped(bool receiving);
    /// @notice The guardian has stopped this token; the governor lets it go on.
    error TokenStopped(address token);
    /// @notice More than this hour or this day still has room for.
    error LimitReached(address token, uint256 amount, uint256 left);
    /// @notice The amount is no whole number of the unit in which this token crosses.
    error AmountInexact(uint256 amount, uint256 unit);
    /// @notice More units than one transfer may carry.
    error AmountTooLarge(uint256 units);
    /// @notice A large transfer that waits; deliver or release it from this time on.
    error TransferHeld(uint64 sequence, uint64 until);
    /// @notice No transfer with these bytes waits.
    error NotHeld(uint64 sequence);
    /// @notice The transfer's delay is over; it can only be released.
    error HoldOver(uint64 sequence, uint64 until);
    /// @notice A delay may last seven days.
    error HoldTooLong(uint32 holdSeconds);
    /// @notice The token is registered already, or is the bridge itself.
    error TokenRefused(address token);
    /// @notice The token says no decimals, or fewer than it should cross with, or 30 more.
    error DecimalsRefused(address token, uint8 decimals);
    /// @notice Who has which right is part of the authority's code.
    error AuthorityFixed();
    /// @notice A page holds at most 256 entries.
    error PageTooLong(uint256 limit);
}

interface AuthorityErrors {
    /// @notice A role, the bridge or the rewards of nobody.
    error AccountZero();
    /// @notice The governor's delay is one hour to thirty days.
    error DelayOutOfRange(uint32 delaySeconds);
    /// @notice Only the guardian may act without the delay.
    error DelayTooShort(uint64 role, uint32 delaySeconds);
    /// @notice Which role may call which function is settled at deployment.
    error RightsFixed();
}
