// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IBridge} from "../interfaces/IBridge.sol";
import {ILightClient} from "../interfaces/ILightClient.sol";

/// @title What the bridge remembers of packets
///
///     slot 0   outbound      sequence => commitment; the native chain proves this slot
///     slot 1   receipts      inbound sequence / 128 => 128 outcomes of two bits, lowest first:
///                            0 none, 1 received, 2 expired, 3 held (none yet, to everybody else)
///     slot 2   totals        token => sent, received, refunded
///     slot 3   nextSequence (64 bits) | light client (160) << 64 | frozen (8) << 224
///              | sending paused (8) << 232 | receiving paused (8) << 240
///
/// @dev The bridge inherits this before anything else that has storage, so that these slots stay.
abstract contract Books is IBridge {
    /// @dev The mark that replaces a stored commitment once its packet is refunded.
    bytes32 internal constant REFUNDED = bytes32(uint256(1));
    /// @dev The same once it is acknowledged: it can never be refunded.
    bytes32 internal constant ACKNOWLEDGED = bytes32(uint256(2));
    uint256 internal constant RECEIVED = 1;
    uint256 internal constant EXPIRED = 2;
    uint256 internal constant HELD = 3;

    /// @inheritdoc IBridge
    mapping(uint64 sequence => bytes32) public outbound;

    /// @dev Packed, because neighbours in one batch then share the cost of their slot.
    mapping(uint64 word => uint256) private _receipts;

    mapping(address token => Totals) internal _totals;

    /// @inheritdoc IBridge
    uint64 public nextSequence = 1;

    /// @inheritdoc IBridge
    ILightClient public lightClient;

    /// @inheritdoc IBridge
    bool public frozen;

    bool internal _sendPaused;
    bool internal _receivePaused;

    /// @inheritdoc IBridge
    function receipt(uint64 sequence) external view returns (uint8) {
        uint256 outcome = _outcome(sequence);
        // Two bits.
        // forge-lint: disable-next-line(unsafe-typecast)
        return outcome == HELD ? 0 : uint8(outcome);
    }

    function _outcome(uint64 sequence) internal view returns (uint256) {
        return _receipts[sequence >> 7] >> _shift(sequence) & 3;
    }

    /// @dev Received and expired are for ever: whoever calls this has seen neither.
    function _setOutcome(uint64 sequence, uint256 outcome) internal {
        uint256 shift = _shift(sequence);
        uint256 word = _receipts[sequence >> 7];
        _receipts[sequence >> 7] = word & ~(uint256(3) << shift) | outcome << shift;
    }

    /// @dev Stores a packet from here under its sequence, which is `nextSequence`, and tells relayers its
    /// bytes.
    function _commit(uint64 sequence, bytes memory packet) internal {
        nextSequence = sequence + 1;
        bytes32 commitment = keccak256(packet);
        outbound[sequence] = commitment;
        emit PacketSent(sequence, commitment, packet);
    }

    /// @dev Where an outcome's two bits are in its word.
    function _shift(uint64 sequence) private pure returns (uint256) {
        return (sequence & 127) << 1;
    }
}
