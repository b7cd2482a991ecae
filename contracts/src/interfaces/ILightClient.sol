// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

/// @title What Ethereum knows of the native chain
/// @notice Says whether a block of the native chain is final, under one group key. Writes nothing.
interface ILightClient {
    /// @notice A final block, opened as far as its outbox.
    /// @dev digest = keccak256(outbox root ‖ restHash), outbox root = keccak256(0x02 ‖ n ‖ MTH(n)).
    struct HeaderProof {
        uint64 epoch;
        uint64 view_;
        uint64 parentView;
        bytes32 restHash; // keccak256 of the rest of the header
        uint64 outboxSize; // n: packets the chain had sent by then
        bytes32 outboxTree; // MTH(n)
        bytes signature; // 128 bytes: G1, uncompressed, as EIP-2537 has it
    }

    /// @notice Returns when the block is final; reverts with the reason otherwise.
    function verify(HeaderProof calldata header) external view;

    /// @notice The two digests when both certificates are valid, for one view, and differ; reverts
    /// otherwise.
    function contradiction(HeaderProof calldata first, HeaderProof calldata second)
        external
        view
        returns (bytes32 firstDigest, bytes32 secondDigest);

    /// @notice Number of the key, from 0; each rotation has a higher one.
    function keyVersion() external view returns (uint64);

    /// @notice First epoch that the key signs; certificates of earlier ones are refused.
    function firstEpoch() external view returns (uint64);

    /// @notice Chain whose blocks this client checks.
    function nativeChainId() external view returns (uint64);

    /// @notice The key of all delegates together: 256 bytes, G2, uncompressed.
    function groupKey() external view returns (bytes memory);
}
