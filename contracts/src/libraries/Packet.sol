// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {PacketErrors} from "../errors/PacketErrors.sol";

/// @title Packets: what crosses between two chains, and their one canonical encoding
///
///     offset  size
///     0       1     version = 1
///     1       1     kind: 1 = transfer, 2 = expiry, 3 = rotation, 4 = transfer with an action,
///                   5 = acknowledgement; 0x80 beside 1 or 4: the sender wants an acknowledgement
///     2       8     source chain id
///     10      8     destination chain id
///     18      8     sequence, from 1
///     26      ...   body
///
///     transfer (134 bytes in all)          expiry, acknowledgement (160 or 193 bytes in all)
///     26      8     deadline, seconds      26   134 or 167   the packet that expired or was received:
///     34      8     token's home chain id                    a transfer, or one with an action
///     42      20    token at home
///     62      20    sender
///     82      20    receiver
///     102     32    amount
///
///     transfer with an action (167 bytes in all; from Ethereum to the native chain only)
///     26      108   as a transfer
///     134     1     action: 1 = swap
///     135     32    swap: the least that must arrive, in the other token's smallest unit
///
///     rotation (298 bytes in all)
///     26      8     number of the new key
///     34      8     first epoch that it signs
///     42      256   the new group key: G2, uncompressed
///
/// @notice Integers are big-endian. A decoder consumes every byte or refuses. What comes in is a transfer,
/// an expiry, an acknowledgement or a rotation; only what reports a packet from here may hold a transfer with
/// an action. Nothing but a transfer can want an acknowledgement, so none is ever acknowledged itself.
library Packet {
    uint8 internal constant VERSION = 1;
    uint8 internal constant TRANSFER = 1;
    uint8 internal constant EXPIRY = 2;
    uint8 internal constant ROTATION = 3;
    uint8 internal constant TRANSFER_WITH_ACTION = 4;
    uint8 internal constant ACKNOWLEDGEMENT = 5;
    /// @dev Beside a transfer's kind: its sender wants an acknowledgement.
    uint8 internal constant ACKNOWLEDGE = 0x80;
    uint8 internal constant SWAP = 1;
    uint256 internal constant TRANSFER_LENGTH = 134;
    uint256 internal constant EXPIRY_LENGTH = 160;
    uint256 internal constant ROTATION_LENGTH = 298;
    uint256 internal constant ACTION_LENGTH = 167;
    uint256 internal constant ACTION_EXPIRY_LENGTH = 193;
    uint256 private constant HEADER_LENGTH = 26;

    /// @notice What every packet begins with.
    struct Header {
        uint8 kind;
        bool acknowledge;
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
        bool acknowledge;
    }

    /// @notice Reads the header of a packet that comes in, and checks that its length is its kind's.
    function header(bytes calldata packet) internal pure returns (Header memory out) {
        out = _header(packet);
        uint256 length;
        if (out.kind == TRANSFER) {
            length = TRANSFER_LENGTH;
        } else if (out.kind == EXPIRY || out.kind == ACKNOWLEDGEMENT) {
            length = packet.length == ACTION_EXPIRY_LENGTH ? ACTION_EXPIRY_LENGTH : EXPIRY_LENGTH;
        } else if (out.kind == ROTATION) {
            length = ROTATION_LENGTH;
        } else {
            revert PacketErrors.PacketKind(uint8(packet[1]));
        }
        if (packet.length != length) {
            revert PacketErrors.PacketLength(length, packet.length);
        }
    }

    /// @notice Reads a transfer's body. `start` is what `header` read from the same bytes.
    function transfer(bytes calldata packet, Header memory start) internal pure returns (Transfer memory) {
        if (start.kind != TRANSFER) {
            revert PacketErrors.PacketKind(start.kind);
        }
        return _body(packet, start);
    }

    /// @notice The transfer inside an expiry or an acknowledgement, with an action or without, and its own
    /// bytes.
    function inside(bytes calldata packet, Header memory start)
        internal
        pure
        returns (Transfer memory out, bytes calldata inner)
    {
        if (start.kind != EXPIRY && start.kind != ACKNOWLEDGEMENT) {
            revert PacketErrors.PacketKind(start.kind);
        }
        inner = packet[HEADER_LENGTH:];
        Header memory innerStart = _header(inner);
        // What is inside has one of two lengths already.
        uint8 kind = inner.length == TRANSFER_LENGTH ? TRANSFER : TRANSFER_WITH_ACTION;
        if (
            innerStart.kind != kind || innerStart.source != start.destination
                || innerStart.destination != start.source
        ) {
            revert PacketErrors.PacketInsideForm();
        }
        if (start.kind == ACKNOWLEDGEMENT && !innerStart.acknowledge) {
            revert PacketErrors.PacketNotAsked();
        }
        if (kind == TRANSFER_WITH_ACTION) {
            uint8 action = uint8(inner[TRANSFER_LENGTH]);
            if (action != SWAP) {
                revert PacketErrors.PacketAction(action);
            }
        }
        out = _body(inner, innerStart);
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
    function encode(Transfer memory value) internal pure returns (bytes memory out) {
        return _write(value, TRANSFER, TRANSFER_LENGTH);
    }

    /// @notice The canonical bytes of a transfer whose tokens are to be swapped where they arrive, for at
    /// least `least` of the other token.
    function encodeSwap(Transfer memory value, uint256 least) internal pure returns (bytes memory out) {
        out = _write(value, TRANSFER_WITH_ACTION, ACTION_LENGTH);
        assembly ("memory-safe") {
            mstore8(add(out, 166), SWAP)
            mstore(add(out, 167), least)
        }
    }

    /// @notice The canonical bytes of the news, an expiry or an acknowledgement, of the packet `inner`.
    function encodeNews(uint8 kind, uint64 source, uint64 destination, uint64 sequence, bytes calldata inner)
        internal
        pure
        returns (bytes memory)
    {
        return abi.encodePacked(VERSION, kind, source, destination, sequence, inner);
    }

    /// @dev What every packet begins with; says nothing of its length yet.
    function _header(bytes calldata packet) private pure returns (Header memory out) {
        if (packet.length < HEADER_LENGTH) {
            revert PacketErrors.PacketLength(TRANSFER_LENGTH, packet.length);
        }
        uint8 version = uint8(packet[0]);
        if (version != VERSION) {
            revert PacketErrors.PacketVersion(version);
        }
        uint8 kind = uint8(packet[1]);
        if (kind & ACKNOWLEDGE != 0) {
            out.acknowledge = true;
            out.kind = kind ^ ACKNOWLEDGE;
            if (out.kind != TRANSFER && out.kind != TRANSFER_WITH_ACTION) {
                revert PacketErrors.PacketKind(kind);
            }
        } else {
            out.kind = kind;
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

    /// @dev The body of a transfer, in a packet at least as long as one.
    function _body(bytes calldata packet, Header memory start) private pure returns (Transfer memory out) {
        out.source = start.source;
        out.destination = start.destination;
        out.sequence = start.sequence;
        out.deadline = _uint64(packet, 26);
        out.home = _uint64(packet, 34);
        out.token = address(bytes20(_word(packet, 42)));
        out.sender = address(bytes20(_word(packet, 62)));
        out.receiver = address(bytes20(_word(packet, 82)));
        out.amount = uint256(_word(packet, 102));
        out.acknowledge = start.acknowledge;
        if (out.amount == 0) {
            revert PacketErrors.PacketAmountZero();
        }
    }

    /// @dev Header and body, in new memory of `length` bytes, at least a transfer's. Fields are written from left to
    /// right, each over the zeros that the one before it left behind.
    function _write(Transfer memory value, uint8 kind, uint256 length)
        private
        pure
        returns (bytes memory out)
    {
        uint256 head = uint256(VERSION) << 248 | uint256(kind) << 240 | uint256(value.source) << 176
            | uint256(value.destination) << 112 | uint256(value.sequence) << 48;
        (uint256 deadline, uint256 home) = (value.deadline, value.home);
        (address token, address sender, address receiver) = (value.token, value.sender, value.receiver);
        uint256 amount = value.amount;
        if (value.acknowledge) {
            head |= uint256(ACKNOWLEDGE) << 240;
        }
        out = new bytes(length);
        assembly ("memory-safe") {
            let start := add(out, 32)
            mstore(start, head)
            mstore(add(start, 26), or(shl(192, deadline), shl(128, home)))
            mstore(add(start, 42), shl(96, token))
            mstore(add(start, 62), shl(96, sender))
            mstore(add(start, 82), shl(96, receiver))
            mstore(add(start, 102), amount)
        }
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
