// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

/// @notice Why a swap is refused.
interface SwapErrors {
    /// @notice The token has no code on this chain.
    error TokenWithoutCode(address token);
    /// @notice Nobody could claim it, or nobody would be refunded.
    error AccountZero();
    /// @notice The amount is zero.
    error AmountZero();
    /// @notice The deadline is not after this block, or more than 30 days after it.
    error DeadlineOutOfRange(uint64 deadline, uint64 earliest, uint64 latest);
    /// @notice These very terms were opened before; choose another secret.
    error SwapExists(bytes32 id);
    /// @notice No open swap has these terms: never opened, claimed, or refunded.
    error SwapNotOpen(bytes32 id);
    /// @notice The secret does not hash to the lock.
    error SecretWrong(bytes32 id);
    /// @notice The deadline is over; only the refund is left.
    error DeadlineOver(uint64 deadline);
    /// @notice The deadline is not over; it may still be claimed.
    error DeadlineNotOver(uint64 deadline);
    /// @notice The token moved another amount than it was told to.
    error AmountMoved(uint256 expected, uint256 actual);
}
