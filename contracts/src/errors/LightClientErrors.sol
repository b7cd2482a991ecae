// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

/// @notice Why a certificate or a key is refused.
interface LightClientErrors {
    /// @notice A group key is 256 bytes.
    error KeyLength(uint256 actual);
    /// @notice The identity is nobody's key.
    error KeyIdentity();
    /// @notice The key is not a point of the group.
    error KeyInvalid();
    /// @notice A native chain id of zero, or this chain's own.
    error ChainIdInvalid(uint64 chainId);
    /// @notice The key signs no epoch as early as this.
    error EpochBeforeKey(uint64 epoch, uint64 firstEpoch);
    /// @notice A signature is 128 bytes.
    error SignatureLength(uint256 actual);
    /// @notice The identity is nobody's signature.
    error SignatureIdentity();
    /// @notice Epochs, views and sizes have 64 bits.
    error NumberTooWide();
    /// @notice A header's rest hash is never zero.
    error RestHashZero();
    /// @notice An outbox without packets proves nothing.
    error OutboxEmpty();
    /// @notice A tree with leaves never hashes to zero.
    error OutboxTreeZero();
    /// @notice Well formed, but not signed by the group.
    error CertificateInvalid();
    /// @notice The two certificates do not contradict each other.
    error NotMisbehaviour();
}
