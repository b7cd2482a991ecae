// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {PacketErrors} from "../src/errors/PacketErrors.sol";
import {Packet} from "../src/libraries/Packet.sol";
import {Test} from "./kit/Test.sol";

contract PacketTest is Test {
    /// @dev Byte for byte as drawn in docs/protocol.md, each field another pattern.
    bytes private constant TRANSFER = hex"0101" hex"0101010101010101" hex"0202020202020202"
        hex"0000000000000003" hex"0404040404040404" hex"0505050505050505"
        hex"0606060606060606060606060606060606060606" hex"0707070707070707070707070707070707070707"
        hex"0808080808080808080808080808080808080808"
        hex"0909090909090909090909090909090909090909090909090909090909090909";

    bytes private constant EXPIRY =
        bytes.concat(hex"0102" hex"0202020202020202" hex"0101010101010101" hex"0000000000000009", TRANSFER);

    function test_readsATransferAsDrawn() public {
        Packet.Transfer memory t = this.transfer(TRANSFER);
        vm.assertEq(t.source, 0x0101010101010101, "source");
        vm.assertEq(t.destination, 0x0202020202020202, "destination");
        vm.assertEq(t.sequence, 3, "sequence");
        vm.assertEq(t.deadline, 0x0404040404040404, "deadline");
        vm.assertEq(t.home, 0x0505050505050505, "home");
        vm.assertEq(t.token, address(0x0606060606060606060606060606060606060606), "token");
        vm.assertEq(t.sender, address(0x0707070707070707070707070707070707070707), "sender");
        vm.assertEq(t.receiver, address(0x0808080808080808080808080808080808080808), "receiver");
        vm.assertEq(t.amount, 0x0909090909090909090909090909090909090909090909090909090909090909, "amount");
        vm.assertEq(Packet.encode(t), TRANSFER, "writes the same bytes");
    }

    function test_readsAnExpiryAsDrawn() public {
        (Packet.Transfer memory t, bytes memory inner) = this.expired(EXPIRY);
        vm.assertEq(inner, TRANSFER, "the packet inside");
        vm.assertEq(Packet.encode(t), TRANSFER, "the same, read");
        vm.assertEq(this.encodeExpiry(0x0202020202020202, 0x0101010101010101, 9, TRANSFER), EXPIRY, "writes");
    }

    function testFuzz_oneEncoding(Packet.Transfer memory t) public {
        t.sequence = t.sequence == 0 ? 1 : t.sequence;
        t.amount = t.amount == 0 ? 1 : t.amount;
        vm.assume(t.source != t.destination);
        bytes memory packet = Packet.encode(t);
        vm.assertEq(packet.length, 134, "length of a transfer");
        vm.assertEq(Packet.encode(this.transfer(packet)), packet, "reads back");
        bytes memory expiry = this.encodeExpiry(t.destination, t.source, 1, packet);
        vm.assertEq(expiry.length, 160, "length of an expiry");
        (Packet.Transfer memory back,) = this.expired(expiry);
        vm.assertEq(Packet.encode(back), packet, "reads back inside an expiry");
    }

    function testFuzz_everyOtherLengthIsRefused(uint16 length) public {
        uint256 size = uint256(length) % 300;
        if (size != 134) {
            vm.expectRevert();
            this.transfer(_resized(TRANSFER, size));
        }
        if (size != 160) {
            vm.expectRevert();
            this.expired(_resized(EXPIRY, size));
        }
    }

    function test_truncatedAndOverLongAreNamed() public {
        vm.expectRevert(abi.encodeWithSelector(PacketErrors.PacketLength.selector, 134, 133));
        this.transfer(cut(TRANSFER, 133));
        vm.expectRevert(abi.encodeWithSelector(PacketErrors.PacketLength.selector, 134, 135));
        this.transfer(bytes.concat(TRANSFER, hex"00"));
        vm.expectRevert(abi.encodeWithSelector(PacketErrors.PacketLength.selector, 160, 159));
        this.expired(cut(EXPIRY, 159));
        vm.expectRevert(abi.encodeWithSelector(PacketErrors.PacketLength.selector, 160, 161));
        this.expired(bytes.concat(EXPIRY, hex"00"));
        vm.expectRevert(abi.encodeWithSelector(PacketErrors.PacketLength.selector, 134, 0));
        this.transfer("");
    }

    function test_unknownVersionsAreRefused() public {
        for (uint256 version = 0; version < 256; ++version) {
            if (version == 1) continue;
            bytes memory packet = TRANSFER;
            packet[0] = bytes1(uint8(version));
            vm.expectRevert(abi.encodeWithSelector(PacketErrors.PacketVersion.selector, version));
            this.transfer(packet);
        }
    }

    function test_unknownKindsAreRefused() public {
        for (uint256 kind = 0; kind < 256; ++kind) {
            if (kind >= 1 && kind <= 3) continue;
            bytes memory packet = TRANSFER;
            packet[1] = bytes1(uint8(kind));
            vm.expectRevert(abi.encodeWithSelector(PacketErrors.PacketKind.selector, kind));
            this.transfer(packet);
        }
    }

    function test_oneKindIsNotReadAsTheOther() public {
        vm.expectRevert(abi.encodeWithSelector(PacketErrors.PacketKind.selector, 1));
        this.expired(TRANSFER);
        vm.expectRevert(abi.encodeWithSelector(PacketErrors.PacketKind.selector, 2));
        this.transfer(EXPIRY);
    }

    /// @dev The vector that the chain's own code reads too.
    function test_readsTheTransferOfTheVector() public {
        string memory json = vm.readFile("../fixtures/vectors/transfer.json");
        bytes memory packet = vm.parseJsonBytes(json, ".packet");
        vm.assertEq(keccak256(packet), vm.parseJsonBytes32(json, ".commitment"), "commitment");
        Packet.Transfer memory t = this.transfer(packet);
        vm.assertEq(t.source, vm.parseJsonUint(json, ".source"), "source");
        vm.assertEq(t.destination, vm.parseJsonUint(json, ".destination"), "destination");
        vm.assertEq(t.sequence, vm.parseJsonUint(json, ".sequence"), "sequence");
        vm.assertEq(t.deadline, vm.parseJsonUint(json, ".deadline"), "deadline");
        vm.assertEq(t.home, vm.parseJsonUint(json, ".home"), "home");
        vm.assertEq(abi.encodePacked(t.token), vm.parseJsonBytes(json, ".token"), "token");
        vm.assertEq(abi.encodePacked(t.sender), vm.parseJsonBytes(json, ".sender"), "sender");
        vm.assertEq(abi.encodePacked(t.receiver), vm.parseJsonBytes(json, ".receiver"), "receiver");
        vm.assertEq(t.amount, vm.parseJsonUint(json, ".amount"), "amount");
        vm.assertEq(Packet.encode(t), packet, "writes the same bytes");
        bytes memory expiry = vm.parseJsonBytes(json, ".expiry");
        uint64 sequence = uint64(vm.parseJsonUint(json, ".expirySequence"));
        vm.assertEq(this.encodeExpiry(t.destination, t.source, sequence, packet), expiry, "its expiry");
        vm.assertEq(keccak256(expiry), vm.parseJsonBytes32(json, ".expiryCommitment"), "its commitment");
    }

    /// @dev Made by the chain's own code: see fixtures/vectors.
    function test_readsTheChainsOwnRotation() public {
        string memory json = vm.readFile("../fixtures/vectors/rotation.json");
        bytes memory packet = vm.parseJsonBytes(json, ".packet");
        vm.assertEq(keccak256(packet), vm.parseJsonBytes32(json, ".commitment"), "commitment");
        (Packet.Header memory start, uint64 version, uint64 firstEpoch, bytes memory key) =
            this.rotation(packet);
        vm.assertEq(start.kind, Packet.ROTATION, "kind");
        vm.assertEq(start.source, vm.parseJsonUint(json, ".source"), "source");
        vm.assertEq(start.destination, vm.parseJsonUint(json, ".destination"), "destination");
        vm.assertEq(start.sequence, vm.parseJsonUint(json, ".sequence"), "sequence");
        vm.assertEq(version, vm.parseJsonUint(json, ".keyVersion"), "number of the key");
        vm.assertEq(firstEpoch, vm.parseJsonUint(json, ".firstEpoch"), "first epoch");
        vm.assertEq(key, vm.parseJsonBytes(json, ".key"), "key");
        for (uint256 length = 0; length < packet.length; ++length) {
            vm.expectRevert();
            this.rotation(cut(packet, length));
        }
        vm.expectRevert(abi.encodeWithSelector(PacketErrors.PacketLength.selector, 298, 299));
        this.rotation(bytes.concat(packet, hex"00"));
        vm.expectRevert(abi.encodeWithSelector(PacketErrors.PacketKind.selector, 3));
        this.transfer(packet);
        vm.expectRevert(abi.encodeWithSelector(PacketErrors.PacketKind.selector, 3));
        this.expired(packet);
        vm.expectRevert(abi.encodeWithSelector(PacketErrors.PacketKind.selector, 1));
        this.rotation(TRANSFER);
    }

    function test_sequenceZeroIsRefused() public {
        bytes memory packet = TRANSFER;
        packet[25] = 0;
        vm.expectRevert(PacketErrors.PacketSequenceZero.selector);
        this.transfer(packet);
        packet = EXPIRY;
        packet[25] = 0;
        vm.expectRevert(PacketErrors.PacketSequenceZero.selector);
        this.expired(packet);
    }

    function test_amountZeroIsRefused() public {
        bytes memory packet = bytes.concat(cut(TRANSFER, 102), bytes32(0));
        vm.expectRevert(PacketErrors.PacketAmountZero.selector);
        this.transfer(packet);
        packet = bytes.concat(cut(EXPIRY, 128), bytes32(0));
        vm.expectRevert(PacketErrors.PacketAmountZero.selector);
        this.expired(packet);
    }

    function test_aPacketToItsOwnChainIsRefused() public {
        bytes memory packet = TRANSFER;
        for (uint256 i = 0; i < 8; ++i) {
            packet[10 + i] = 0x01;
        }
        vm.expectRevert(abi.encodeWithSelector(PacketErrors.PacketToItself.selector, 0x0101010101010101));
        this.transfer(packet);
    }

    function test_anExpiryMustTurnItsPacketAround() public {
        // Source of the expiry is not the destination of what it holds.
        vm.expectRevert(PacketErrors.PacketExpiredForm.selector);
        this.expired(flipped(EXPIRY, 9));
        // Destination of the expiry is not the source of what it holds.
        vm.expectRevert(PacketErrors.PacketExpiredForm.selector);
        this.expired(flipped(EXPIRY, 17));
    }

    function test_anExpiryHoldsNoExpiry() public {
        bytes memory inner = TRANSFER;
        inner[1] = 0x02;
        vm.expectRevert();
        this.expired(bytes.concat(cut(EXPIRY, 26), inner));
    }

    function testFuzz_aChangedBitIsAnotherPacketOrNone(uint256 place) public {
        place %= 134;
        bytes memory changed = flipped(TRANSFER, place);
        try this.transfer(changed) returns (Packet.Transfer memory t) {
            vm.assertEq(Packet.encode(t), changed, "read as what it is");
            vm.assertNotEq(keccak256(changed), keccak256(TRANSFER), "and it is another");
        } catch (bytes memory reason) {
            vm.assertTrue(reason.length >= 4, "refused with a reason");
        }
    }

    function transfer(bytes calldata packet) external pure returns (Packet.Transfer memory) {
        return Packet.transfer(packet, Packet.header(packet));
    }

    function expired(bytes calldata packet) external pure returns (Packet.Transfer memory, bytes memory) {
        (Packet.Transfer memory t, bytes calldata inner) = Packet.expired(packet, Packet.header(packet));
        return (t, inner);
    }

    function rotation(bytes calldata packet)
        external
        pure
        returns (Packet.Header memory start, uint64 version, uint64 firstEpoch, bytes memory key)
    {
        start = Packet.header(packet);
        (version, firstEpoch, key) = Packet.rotation(packet, start);
    }

    function encodeExpiry(uint64 source, uint64 destination, uint64 sequence, bytes calldata inner)
        external
        pure
        returns (bytes memory)
    {
        return Packet.encodeExpiry(source, destination, sequence, inner);
    }

    function _resized(bytes memory value, uint256 length) private pure returns (bytes memory) {
        return
            length <= value.length
                ? cut(value, length)
                : bytes.concat(value, new bytes(length - value.length));
    }
}
