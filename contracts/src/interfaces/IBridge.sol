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
    /// @notice An inbound transfer came too late, or could not take effect; it never will.
    event PacketExpired(uint64 indexed sequence, bytes32 indexed commitment);
    /// @notice An outbound transfer's tokens went back to their sender.
    event PacketRefunded(uint64 indexed sequence, bytes32 indexed commitment);
    /// @notice An outbound transfer took effect on the other side, and can never be refunded.
    event PacketAcknowledged(uint64 indexed sequence, bytes32 indexed commitment);

    /// @notice From here on only the new key's certificates count.
    event KeyRotated(uint64 indexed keyVersion, uint64 firstEpoch, ILightClient client);
    /// @notice Two certificates contradicted each other; nothing is believed any more.
    event Frozen(uint64 indexed epoch, uint64 indexed view_, bytes32 first, bytes32 second);

    /// @notice Locks tokens here for `receiver` on the other side.
    /// @param deadline Last second, in the other side's block time, at which they may be received.
    function send(address token, address receiver, uint256 amount, uint64 deadline)
        external
        payable
        returns (uint64 sequence);

    /// @notice As `send`, and once the transfer has taken effect over there, this side comes to know:
    /// `outbound(sequence)` is then 2, and `PacketAcknowledged` tells.
    function sendAcknowledged(address token, address receiver, uint256 amount, uint64 deadline)
        external
        returns (uint64 sequence);

    /// @notice Locks MVC or MVP here; over there they are swapped at the chain's own pool, and `receiver` gets
    /// what the pool gives. If that were less than `least`, or the deadline is over, nothing is swapped and
    /// the tokens are refunded here.
    /// @param least What must arrive at least: MVP (6 decimals) for MVC, MVC (18 decimals) for MVP.
    function sendSwap(address token, address receiver, uint256 amount, uint64 deadline, uint256 least)
        external
        returns (uint64 sequence);

    /// @notice As `sendSwap`, with an acknowledgement as of `sendAcknowledged` once it was swapped.
    function sendSwapAcknowledged(
        address token,
        address receiver,
        uint256 amount,
        uint64 deadline,
        uint256 least
    ) external returns (uint64 sequence);

    /// @notice Settles packets that a final block of the native chain holds. Anybody may call it.
    function deliver(ILightClient.HeaderProof calldata header, OutboxItem[] calldata items) external;

    /// @notice Stops the bridge for ever on two valid certificates for one view with different digests,
    /// under the key in force. Anybody may call it.
    function freeze(ILightClient.HeaderProof calldata first, ILightClient.HeaderProof calldata second)
        external;

    /// @notice Whether the bridge has been stopped.
    function frozen() external view returns (bool);
    /// @notice The client of the key in force: says which blocks of the native chain are final.
    function lightClient() external view returns (ILightClient);
    /// @notice Which key is in force: its number, and the first epoch that it signs.
    function keyInForce() external view returns (uint64 keyVersion, uint64 firstEpoch);

    /// @notice This side.
    function chainId() external view returns (uint64);
    /// @notice The other side.
    function peerChainId() external view returns (uint64);
    /// @notice What the next packet sent from here gets; starts at 1.
    function nextSequence() external view returns (uint64);
    /// @notice Commitment of a packet sent from here; 0 = never sent, 1 = refunded, 2 = acknowledged.
    function outbound(uint64 sequence) external view returns (bytes32);
    /// @notice Outcome of an inbound packet: 0 none, 1 received, 2 expired.
    function receipt(uint64 sequence) external view returns (uint8);
    /// @notice Totals of a token of this bridge.
    function totals(address token) external view returns (Totals memory);
}
