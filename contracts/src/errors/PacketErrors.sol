// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

/// @notice Bytes that are not a packet of the one canonical form.
interface PacketErrors {
    /// @notice Shorter or longer than its kind requires.
    error PacketLength(uint256 expected, uint256 actual);
    /// @notice A version this side does not speak.
    error PacketVersion(uint8 version);
    /// @notice A kind this side does not know.
    error PacketKind(uint8 kind);
    /// @notice Sequences start at 1.
    error PacketSequenceZero();
    /// @notice A transfer of nothing.
    error PacketAmountZero();
    /// @notice Source and destination are one chain.
    error PacketToItself(uint64 chainId);
    /// @notice An action that no receiver knows: there is only the swap.
    error PacketAction(uint8 action);
    /// @notice What an expiry or an acknowledgement holds is not a transfer sent to the chain it comes from.
    error PacketInsideForm();
    /// @notice An acknowledgement of a transfer whose sender wanted none.
    error PacketNotAsked();
}
