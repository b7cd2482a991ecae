// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

/// @title What Ethereum knows of the native chain
/// @notice Says whether a block of the native chain is final. Writes nothing but its own end.
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

    /// @notice Two certificates contradicted each other; nothing is believed any more.
    event Frozen(uint64 indexed epoch, uint64 indexed view_, bytes32 first, bytes32 second);

    /// @notice Returns when the block is final; reverts with the reason otherwise.
    function verify(HeaderProof calldata header) external view;

    /// @notice Stops the client for ever on two valid certificates for one view with different digests.
    function freeze(HeaderProof calldata first, HeaderProof calldata second) external;

    /// @notice Whether the client has been stopped.
    function frozen() external view returns (bool);

    /// @notice Chain whose blocks this client checks.
    function nativeChainId() external view returns (uint64);

    /// @notice The key of all delegates together: 256 bytes, G2, uncompressed.
    function groupKey() external view returns (bytes memory);
}
