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

    /// @dev A transfer of kind 4 with its action.
    bytes private constant WITH_SWAP = hex"0104" hex"0101010101010101" hex"0202020202020202"
        hex"0000000000000003" hex"0404040404040404" hex"0505050505050505"
        hex"0606060606060606060606060606060606060606" hex"0707070707070707070707070707070707070707"
        hex"0808080808080808080808080808080808080808"
        hex"0909090909090909090909090909090909090909090909090909090909090909" hex"01"
        hex"0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a";
    uint256 private constant LEAST = 0x0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a;

    bytes private constant SWAP_EXPIRY =
        bytes.concat(hex"0102" hex"0202020202020202" hex"0101010101010101" hex"0000000000000009", WITH_SWAP);

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

    function test_writesATransferWithAnActionAsDrawn() public {
        Packet.Transfer memory t = this.transfer(TRANSFER);
        vm.assertEq(WITH_SWAP.length, 167, "length");
        vm.assertEq(Packet.encodeSwap(t, LEAST), WITH_SWAP, "writes");
        (Packet.Transfer memory back, bytes memory inner) = this.expired(SWAP_EXPIRY);
        vm.assertEq(inner, WITH_SWAP, "the packet inside its expiry");
        vm.assertEq(Packet.encode(back), TRANSFER, "its transfer");
        vm.assertEq(
            this.encodeExpiry(0x0202020202020202, 0x0101010101010101, 9, WITH_SWAP), SWAP_EXPIRY, "its expiry"
        );
    }

    /// @dev It never comes in: only an expiry of what left from here may hold one.
    function test_aTransferWithAnActionIsNoPacketThatComesIn() public {
        vm.expectRevert(abi.encodeWithSelector(PacketErrors.PacketKind.selector, 4));
        this.header(WITH_SWAP);
        vm.expectRevert(abi.encodeWithSelector(PacketErrors.PacketKind.selector, 4));
        this.transfer(WITH_SWAP);
        bytes memory relabelled = WITH_SWAP;
        relabelled[1] = 0x01;
        vm.expectRevert(abi.encodeWithSelector(PacketErrors.PacketLength.selector, 134, 167));
        this.transfer(relabelled);
    }

    function test_anotherActionIsRefused() public {
        for (uint256 action = 0; action < 256; ++action) {
            bytes memory expiry = SWAP_EXPIRY;
            expiry[160] = bytes1(uint8(action));
            if (action != 1) {
                vm.expectRevert(abi.encodeWithSelector(PacketErrors.PacketAction.selector, action));
            }
            this.expired(expiry);
        }
    }

    function test_anExpirysLengthIsItsPacketsKinds() public {
        // A transfer's kind over an action's length, and the other way.
        bytes memory long = SWAP_EXPIRY;
        long[27] = 0x01;
        vm.expectRevert(PacketErrors.PacketInsideForm.selector);
        this.expired(long);
        bytes memory short = EXPIRY;
        short[27] = 0x04;
        vm.expectRevert(PacketErrors.PacketInsideForm.selector);
        this.expired(short);
        for (uint256 length = 0; length < 200; ++length) {
            if (length == 160 || length == 193) continue;
            vm.expectRevert();
            this.expired(_resized(SWAP_EXPIRY, length));
        }
        for (uint256 kind = 0; kind < 256; ++kind) {
            if (kind == 4 || kind == 0x84) continue;
            long = SWAP_EXPIRY;
            long[27] = bytes1(uint8(kind));
            if (kind < 0x80 || kind == 0x81) vm.expectRevert(PacketErrors.PacketInsideForm.selector);
            else vm.expectRevert(abi.encodeWithSelector(PacketErrors.PacketKind.selector, kind));
            this.expired(long);
        }
    }

    /// @dev Of both kinds of transfers, as drawn, and only of those whose senders asked.
    function test_readsAnAcknowledgementAsDrawn() public {
        bytes[2] memory sent = [TRANSFER, WITH_SWAP];
        for (uint256 i = 0; i < 2; ++i) {
            bytes memory front = hex"010502020202020202020101010101010101000000000000000a";
            vm.expectRevert(PacketErrors.PacketNotAsked.selector);
            this.expired(bytes.concat(front, sent[i]));
            bytes memory asked = sent[i];
            asked[1] |= 0x80;
            bytes memory news = bytes.concat(front, asked);
            (Packet.Transfer memory t, bytes memory inner) = this.expired(news);
            vm.assertEq(inner, asked, "the packet inside");
            vm.assertTrue(t.acknowledge, "who asked");
            vm.assertEq(
                this.encodeNews(5, 0x0202020202020202, 0x0101010101010101, 10, asked), news, "writes the same"
            );
            // It may as well expire; and neither is asked about itself.
            news[1] = 0x02;
            this.expired(news);
            for (uint256 kind = 2; kind < 6; ++kind) {
                if (kind == 4) continue;
                news[1] = bytes1(uint8(0x80 | kind));
                vm.expectRevert(abi.encodeWithSelector(PacketErrors.PacketKind.selector, 0x80 | kind));
                this.header(news);
            }
        }
    }

    /// @dev Made by the chain's own code: see fixtures/vectors.
    function test_readsTheAcknowledgementOfTheVector() public {
        string memory json = vm.readFile("../fixtures/vectors/acknowledgement.json");
        bytes memory packet = vm.parseJsonBytes(json, ".packet");
        bytes memory news = vm.parseJsonBytes(json, ".acknowledgement");
        vm.assertEq(keccak256(packet), vm.parseJsonBytes32(json, ".commitment"), "commitment");
        vm.assertEq(keccak256(news), vm.parseJsonBytes32(json, ".acknowledgementCommitment"), "its news'");
        Packet.Transfer memory t = this.transfer(packet);
        vm.assertTrue(t.acknowledge, "asks");
        vm.assertEq(t.amount, vm.parseJsonUint(json, ".amount"), "amount");
        vm.assertEq(Packet.encode(t), packet, "writes the same bytes");
        (, bytes memory inner) = this.expired(news);
        vm.assertEq(inner, packet, "the packet inside");
        uint64 sequence = uint64(vm.parseJsonUint(json, ".acknowledgementSequence"));
        vm.assertEq(this.encodeNews(5, t.destination, t.source, sequence, packet), news, "writes the news");
    }

    function testFuzz_oneEncodingOfASwap(Packet.Transfer memory t, uint256 least) public {
        t.sequence = t.sequence == 0 ? 1 : t.sequence;
        t.amount = t.amount == 0 ? 1 : t.amount;
        vm.assume(t.source != t.destination);
        bytes memory packet = Packet.encodeSwap(t, least);
        vm.assertEq(
            packet,
            abi.encodePacked(
                uint8(1), uint8(t.acknowledge ? 0x84 : 4), cutFront(Packet.encode(t), 2), uint8(1), least
            ),
            "a transfer of another kind, and its action"
        );
        (Packet.Transfer memory back, bytes memory inner) =
            this.expired(this.encodeExpiry(t.destination, t.source, 1, packet));
        vm.assertEq(inner, packet, "reads back inside an expiry");
        vm.assertEq(Packet.encode(back), Packet.encode(t), "and so does its transfer");
    }

    function testFuzz_aChangedBitOfAnExpiryIsAnotherPacketOrNone(uint256 place, bool swaps) public {
        bytes memory expiry = swaps ? SWAP_EXPIRY : EXPIRY;
        bytes memory changed = flipped(expiry, place % expiry.length);
        try this.expired(changed) returns (Packet.Transfer memory t, bytes memory inner) {
            vm.assertEq(inner, cutFront(changed, 26), "all of what is inside");
            vm.assertEq(cutFront(Packet.encode(t), 2), cutFront(cut(inner, 134), 2), "read as what it is");
            vm.assertNotEq(keccak256(changed), keccak256(expiry), "and it is another");
        } catch (bytes memory reason) {
            vm.assertTrue(reason.length >= 4, "refused with a reason");
        }
    }

    /// @dev Whatever bytes come in: refused with a reason, or read as exactly themselves.
    function testFuzz_anyBytes(bytes memory packet, uint256 shape) public {
        // Now and then of a good length, with a good beginning.
        if (shape % 4 != 0) {
            packet = _resized(packet, [uint256(134), 160, 193, 298][(shape >> 8) % 4]);
            (packet[0], packet[1]) = (0x01, bytes1(_kind(shape >> 16)));
            if (packet.length < 200 && packet.length > 134 && shape % 4 == 3) {
                (packet[26], packet[27]) = (0x01, bytes1(_kind(shape >> 24)));
                for (uint256 i = 0; i < 8; ++i) {
                    (packet[28 + i], packet[36 + i]) = (packet[10 + i], packet[2 + i]);
                }
            }
        }
        try this.transfer(packet) returns (Packet.Transfer memory t) {
            vm.assertEq(Packet.encode(t), packet, "a transfer, and itself");
        } catch (bytes memory reason) {
            vm.assertTrue(reason.length >= 4, "refused with a reason");
        }
        try this.expired(packet) returns (Packet.Transfer memory t, bytes memory inner) {
            vm.assertEq(inner, cutFront(packet, 26), "all of what is inside");
            if (inner.length == 134) vm.assertEq(Packet.encode(t), inner, "a transfer inside");
            else vm.assertEq(Packet.encodeSwap(t, _lastWord(inner)), inner, "a swap inside");
        } catch (bytes memory reason) {
            vm.assertTrue(reason.length >= 4, "refused with a reason");
        }
    }

    /// @dev Made by the chain's own code: see fixtures/vectors.
    function test_readsTheSwapOfTheVector() public {
        string memory json = vm.readFile("../fixtures/vectors/swap.json");
        bytes memory packet = vm.parseJsonBytes(json, ".packet");
        bytes memory expiry = vm.parseJsonBytes(json, ".expiry");
        vm.assertEq(keccak256(packet), vm.parseJsonBytes32(json, ".commitment"), "commitment");
        vm.assertEq(keccak256(expiry), vm.parseJsonBytes32(json, ".expiryCommitment"), "its expiry's");
        (Packet.Transfer memory t, bytes memory inner) = this.expired(expiry);
        vm.assertEq(inner, packet, "the packet inside its expiry");
        vm.assertEq(t.source, vm.parseJsonUint(json, ".source"), "source");
        vm.assertEq(t.destination, vm.parseJsonUint(json, ".destination"), "destination");
        vm.assertEq(t.sequence, vm.parseJsonUint(json, ".sequence"), "sequence");
        vm.assertEq(t.deadline, vm.parseJsonUint(json, ".deadline"), "deadline");
        vm.assertEq(t.home, vm.parseJsonUint(json, ".home"), "home");
        vm.assertEq(t.token, address(bytes20(vm.parseJsonBytes(json, ".token"))), "token");
        vm.assertEq(t.sender, address(bytes20(vm.parseJsonBytes(json, ".sender"))), "sender");
        vm.assertEq(t.receiver, address(bytes20(vm.parseJsonBytes(json, ".receiver"))), "receiver");
        vm.assertEq(t.amount, vm.parseJsonUint(json, ".amount"), "amount");
        vm.assertEq(Packet.encodeSwap(t, vm.parseJsonUint(json, ".least")), packet, "writes the same bytes");
        uint64 sequence = uint64(vm.parseJsonUint(json, ".expirySequence"));
        vm.assertEq(this.encodeExpiry(t.destination, t.source, sequence, packet), expiry, "and its expiry");
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
            if (kind >= 1 && kind <= 3 || kind == 5 || kind == 0x81) continue;
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
        vm.expectRevert(PacketErrors.PacketInsideForm.selector);
        this.expired(flipped(EXPIRY, 9));
        // Destination of the expiry is not the source of what it holds.
        vm.expectRevert(PacketErrors.PacketInsideForm.selector);
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

    function header(bytes calldata packet) external pure returns (Packet.Header memory) {
        return Packet.header(packet);
    }

    function transfer(bytes calldata packet) external pure returns (Packet.Transfer memory) {
        return Packet.transfer(packet, Packet.header(packet));
    }

    function expired(bytes calldata packet) external pure returns (Packet.Transfer memory, bytes memory) {
        (Packet.Transfer memory t, bytes calldata inner) = Packet.inside(packet, Packet.header(packet));
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
        return Packet.encodeNews(Packet.EXPIRY, source, destination, sequence, inner);
    }

    function encodeNews(uint8 kind, uint64 source, uint64 destination, uint64 sequence, bytes calldata inner)
        external
        pure
        returns (bytes memory)
    {
        return Packet.encodeNews(kind, source, destination, sequence, inner);
    }

    /// @dev One of the kinds, now and then one that asks.
    function _kind(uint256 shape) private pure returns (uint8) {
        return uint8(1 + shape % 5 | (shape >> 4 & 1) << 7);
    }

    function _lastWord(bytes memory value) private pure returns (uint256) {
        return uint256(bytes32(cutFront(value, value.length - 32)));
    }

    function _resized(bytes memory value, uint256 length) private pure returns (bytes memory) {
        return
            length <= value.length
                ? cut(value, length)
                : bytes.concat(value, new bytes(length - value.length));
    }
}
