// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {PacketErrors} from "../errors/PacketErrors.sol";

/// @title Packets: what crosses between two chains, and their one canonical encoding
///
///     offset  size
///     0       1     version = 1
///     1       1     kind: 1 = transfer, 2 = expiry, 3 = rotation
///     2       8     source chain id
///     10      8     destination chain id
///     18      8     sequence, from 1
///     26      ...   body
///
///     transfer (134 bytes in all)          expiry (160 bytes in all)
///     26      8     deadline, seconds      26   134   the transfer packet that expired
///     34      8     token's home chain id
///     42      20    token at home
///     62      20    sender
///     82      20    receiver
///     102     32    amount
///
///     rotation (298 bytes in all)
///     26      8     number of the new key
///     34      8     first epoch that it signs
///     42      256   the new group key: G2, uncompressed
///
/// @notice Integers are big-endian. A decoder consumes every byte or refuses.
library Packet {
    uint8 internal constant VERSION = 1;
    uint8 internal constant TRANSFER = 1;
    uint8 internal constant EXPIRY = 2;
    uint8 internal constant ROTATION = 3;
    uint256 internal constant TRANSFER_LENGTH = 134;
    uint256 internal constant EXPIRY_LENGTH = 160;
    uint256 internal constant ROTATION_LENGTH = 298;
    uint256 private constant HEADER_LENGTH = 26;

    /// @notice What every packet begins with.
    struct Header {
        uint8 kind;
        uint64 source;
        uint64 destination;
        uint64 sequence;
    }

    /// @notice Tokens on their way.
    struct Transfer {
        uint64 source;
        uint64 destination;
        uint64 sequence;
        uint64 deadline;
        uint64 home;
        address token;
        address sender;
        address receiver;
        uint256 amount;
    }

    /// @notice Reads a packet's header and checks that its length is its kind's.
    function header(bytes calldata packet) internal pure returns (Header memory out) {
        if (packet.length < HEADER_LENGTH) {
            revert PacketErrors.PacketLength(TRANSFER_LENGTH, packet.length);
        }
        uint8 version = uint8(packet[0]);
        if (version != VERSION) {
            revert PacketErrors.PacketVersion(version);
        }
        out.kind = uint8(packet[1]);
        uint256 length = _length(out.kind);
        if (packet.length != length) {
            revert PacketErrors.PacketLength(length, packet.length);
        }
        out.source = _uint64(packet, 2);
        out.destination = _uint64(packet, 10);
        out.sequence = _uint64(packet, 18);
        if (out.sequence == 0) {
            revert PacketErrors.PacketSequenceZero();
        }
        if (out.source == out.destination) {
            revert PacketErrors.PacketToItself(out.source);
        }
    }

    /// @notice Reads a transfer's body. `start` is what `header` read from the same bytes.
    function transfer(bytes calldata packet, Header memory start)
        internal
        pure
        returns (Transfer memory out)
    {
        if (start.kind != TRANSFER) {
            revert PacketErrors.PacketKind(start.kind);
        }
        out.source = start.source;
        out.destination = start.destination;
        out.sequence = start.sequence;
        out.deadline = _uint64(packet, 26);
        out.home = _uint64(packet, 34);
        out.token = address(bytes20(_word(packet, 42)));
        out.sender = address(bytes20(_word(packet, 62)));
        out.receiver = address(bytes20(_word(packet, 82)));
        out.amount = uint256(_word(packet, 102));
        if (out.amount == 0) {
            revert PacketErrors.PacketAmountZero();
        }
    }

    /// @notice The transfer inside an expiry, and its own bytes.
    function expired(bytes calldata packet, Header memory start)
        internal
        pure
        returns (Transfer memory out, bytes calldata inner)
    {
        if (start.kind != EXPIRY) {
            revert PacketErrors.PacketKind(start.kind);
        }
        inner = packet[HEADER_LENGTH:];
        Header memory innerStart = header(inner);
        if (
            innerStart.kind != TRANSFER || innerStart.source != start.destination
                || innerStart.destination != start.source
        ) {
            revert PacketErrors.PacketExpiredForm();
        }
        out = transfer(inner, innerStart);
    }

    /// @notice Reads a rotation's body.
    function rotation(bytes calldata packet, Header memory start)
        internal
        pure
        returns (uint64 version, uint64 firstEpoch, bytes calldata key)
    {
        if (start.kind != ROTATION) {
            revert PacketErrors.PacketKind(start.kind);
        }
        version = _uint64(packet, 26);
        firstEpoch = _uint64(packet, 34);
        key = packet[42:];
    }

    /// @notice The canonical bytes of a transfer.
    function encode(Transfer memory value) internal pure returns (bytes memory) {
        return bytes.concat(
            abi.encodePacked(
                VERSION, TRANSFER, value.source, value.destination, value.sequence, value.deadline, value.home
            ),
            abi.encodePacked(value.token, value.sender, value.receiver, value.amount)
        );
    }

    /// @notice The canonical bytes of the expiry of the transfer packet `inner`.
    function encodeExpiry(uint64 source, uint64 destination, uint64 sequence, bytes calldata inner)
        internal
        pure
        returns (bytes memory)
    {
        return abi.encodePacked(VERSION, EXPIRY, source, destination, sequence, inner);
    }

    function _length(uint8 kind) private pure returns (uint256) {
        if (kind == TRANSFER) {
            return TRANSFER_LENGTH;
        }
        if (kind == EXPIRY) {
            return EXPIRY_LENGTH;
        }
        if (kind == ROTATION) {
            return ROTATION_LENGTH;
        }
        revert PacketErrors.PacketKind(kind);
    }

    function _uint64(bytes calldata packet, uint256 offset) private pure returns (uint64) {
        return uint64(bytes8(_word(packet, offset)));
    }

    /// @dev The word at an offset. `header` has checked the length before; what lies beyond the packet's
    /// end is cut off by the caller's type.
    function _word(bytes calldata packet, uint256 offset) private pure returns (bytes32 word) {
        assembly ("memory-safe") {
            word := calldataload(add(packet.offset, offset))
        }
    }
}
