// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

/// @notice Why the bridge refuses.
interface BridgeErrors {
    /// @notice The token has no code on this chain.
    error TokenWithoutCode(address token);
    /// @notice Not a token of this bridge, or not in the role asked about.
    error TokenUnknown(address token);
    /// @notice Ether does not cross this bridge.
    error ValueRefused(uint256 value);
    /// @notice The receiver is zero.
    error ReceiverZero();
    /// @notice The amount is zero.
    error AmountZero();
    /// @notice Not one of the two tokens of the native chain's own pool.
    error NotSwappable(address token);
    /// @notice A swap names the least that must arrive.
    error LeastZero();
    /// @notice The deadline is not after this block, or more than 30 days after it.
    error DeadlineOutOfRange(uint64 deadline, uint64 earliest, uint64 latest);
    /// @notice The token moved another amount than it was told to.
    error AmountMoved(uint256 expected, uint256 actual);
    /// @notice Misbehaviour was proven: nothing comes in any more, and what would be locked now could
    /// never come home.
    error BridgeStopped();
    /// @notice A batch holds 1 to 128 packets.
    error BatchSize(uint256 actual);
    /// @notice The packet comes from another chain than the peer.
    error SourceChain(uint64 actual);
    /// @notice The packet goes to another chain than this one.
    error DestinationChain(uint64 actual);
    /// @notice The path does not lead from the packet to the outbox.
    error PathInvalid(uint64 index);
    /// @notice A refund of more than is locked: the native chain has made coin from nothing.
    error LockedTooLittle(address token, uint256 amount, uint256 locked);
    /// @notice The packet that expired or was received over there was never sent from here, or is refunded or
    /// acknowledged already.
    error NotOutstanding(uint64 sequence);
    /// @notice The rotation is older than the key in force, or is it.
    error RotationStale(uint64 keyVersion, uint64 inForce);
    /// @notice The new key would already have signed the block that announces it.
    error RotationTooEarly(uint64 firstEpoch, uint64 announcedIn);
}
