// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {ILightClient} from "./ILightClient.sol";

/// @title The Ethereum end of the bridge
/// @notice docs/protocol.md is the specification; the native module shares all but `deliver`.
interface IBridge {
    /// @notice Totals of one token on this side. They only grow.
    struct Totals {
        uint256 sent;
        uint256 received;
        uint256 refunded;
    }

    /// @notice One packet and its place in the native chain's outbox.
    struct OutboxItem {
        bytes packet;
        uint64 index;
        bytes32[] path;
    }

    /// @notice A packet left this side.
    event PacketSent(uint64 indexed sequence, bytes32 indexed commitment, bytes packet);
    /// @notice An inbound packet took effect.
    event PacketReceived(uint64 indexed sequence, bytes32 indexed commitment);
    /// @notice An inbound transfer came too late and never will take effect.
    event PacketExpired(uint64 indexed sequence, bytes32 indexed commitment);
    /// @notice An outbound transfer's tokens went back to their sender.
    event PacketRefunded(uint64 indexed sequence, bytes32 indexed commitment);

    /// @notice Locks tokens here for `receiver` on the other side.
    /// @param deadline Last second, in the other side's block time, at which they may be received.
    function send(address token, address receiver, uint256 amount, uint64 deadline)
        external
        payable
        returns (uint64 sequence);

    /// @notice Settles packets that a final block of the native chain holds. Anybody may call it.
    function deliver(ILightClient.HeaderProof calldata header, OutboxItem[] calldata items) external;

    /// @notice This side.
    function chainId() external view returns (uint64);
    /// @notice The other side.
    function peerChainId() external view returns (uint64);
    /// @notice What the next packet sent from here gets; starts at 1.
    function nextSequence() external view returns (uint64);
    /// @notice Commitment of a packet sent from here; 0 = never sent, 1 = refunded.
    function outbound(uint64 sequence) external view returns (bytes32);
    /// @notice Outcome of an inbound packet: 0 none, 1 received, 2 expired.
    function receipt(uint64 sequence) external view returns (uint8);
    /// @notice Totals of a token of this bridge.
    function totals(address token) external view returns (Totals memory);
}
