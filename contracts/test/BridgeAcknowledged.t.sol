// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {BridgeErrors} from "../src/errors/BridgeErrors.sol";
import {PacketErrors} from "../src/errors/PacketErrors.sol";
import {ValveErrors} from "../src/errors/ValveErrors.sol";
import {IBridge} from "../src/interfaces/IBridge.sol";
import {ILightClient} from "../src/interfaces/ILightClient.sol";
import {IValves} from "../src/interfaces/IValves.sol";
import {Packet} from "../src/libraries/Packet.sol";
import {BlockingToken} from "./kit/OddTokens.sol";
import {Vm} from "./kit/Vm.sol";
import {World} from "./kit/World.sol";

/// @dev Transfers whose senders want to know at home that they were received.
contract BridgeAcknowledgedTest is World {
    uint64 private constant SOON = uint64(NOW + 1 days);
    bytes32 private constant REFUNDED = bytes32(uint256(1));
    bytes32 private constant ACKNOWLEDGED = bytes32(uint256(2));

    function setUp() public override {
        super.setUp();
        asking = true;
    }

    function test_aTransferFromHereIsAcknowledgedOnce() public {
        bytes[2] memory packets;
        (, packets[0]) = sendAway(ALICE, address(coin), 5 ether, SOON);
        (, packets[1]) = sendAwayToSwap(ALICE, address(coin), 6 ether, SOON, 1);
        vm.assertEq(uint8(packets[0][1]), 0x81, "a transfer that asks");
        vm.assertEq(uint8(packets[1][1]), 0x84, "a swap that asks");
        for (uint64 i = 0; i < 2; ++i) {
            uint64 news = acknowledgeThere(packets[i]);
            vm.expectEmit(true, true, true, true, address(bridge));
            emit IBridge.PacketReceived(i + 1, keccak256(native[news]));
            vm.expectEmit(true, true, true, true, address(bridge));
            emit IBridge.PacketAcknowledged(i + 1, keccak256(packets[i]));
            deliver(news);
            vm.assertEq(bridge.outbound(i + 1), ACKNOWLEDGED, "known here");
            vm.assertEq(bridge.receipt(i + 1), 1, "the news is received");
            // Once more is nothing.
            vm.recordLogs();
            deliver(news);
            vm.assertEq(vm.getRecordedLogs().length, 0, "delivered twice");
        }
        vm.assertEq(bridge.totals(address(coin)).refunded, 0, "no token moved");
        vm.assertEq(coin.balanceOf(address(bridge)), 11 ether, "all is still held");
        vm.assertEq(bridge.nextSequence(), 3, "news is not answered");
        assertSolvent();
    }

    /// @dev What the native chain would never sign, and a captured one may: the second end of a packet.
    function test_onePacketHasOneEnd() public {
        for (uint256 i = 0; i < 4; ++i) {
            bool acknowledgedFirst = i % 2 == 0;
            (uint64 sequence, bytes memory packet) = sendAway(ALICE, address(coin), 5 ether, SOON);
            uint256 before = coin.balanceOf(ALICE);
            deliver(acknowledgedFirst ? acknowledgeThere(packet) : expireThere(packet));
            uint256 paid = coin.balanceOf(ALICE) - before;
            vm.assertEq(paid, acknowledgedFirst ? 0 : 5 ether, "refunded, or not");
            uint64 second = i < 2 ? expireThere(packet) : acknowledgeThere(packet);
            ILightClient.HeaderProof memory header = certified();
            IBridge.OutboxItem[] memory items = one(second);
            vm.expectRevert(abi.encodeWithSelector(BridgeErrors.NotOutstanding.selector, sequence));
            bridge.deliver(header, items);
            vm.assertEq(
                bridge.outbound(sequence), acknowledgedFirst ? ACKNOWLEDGED : REFUNDED, "the first stands"
            );
            vm.assertEq(coin.balanceOf(ALICE) - before, paid, "and nobody is paid twice");
            assertSolvent();
        }
    }

    function test_whatNeverLeftIsNotAcknowledged() public {
        (uint64 sequence, bytes memory packet) = sendAway(ALICE, address(coin), 5 ether, SOON);
        // Another amount, another sequence, another chain, and what nobody asked about.
        bytes[4] memory forged = [bytes(packet), packet, packet, packet];
        for (uint256 i = 0; i < 4; ++i) {
            forged[i] = bytes.concat(packet);
        }
        forged[0][133] ^= 0x01;
        forged[1][25] = 0x07;
        forged[2][9] ^= 0x01;
        forged[3][1] = 0x01;
        bytes4[4] memory reasons = [
            BridgeErrors.NotOutstanding.selector,
            BridgeErrors.NotOutstanding.selector,
            PacketErrors.PacketInsideForm.selector,
            PacketErrors.PacketNotAsked.selector
        ];
        for (uint256 i = 0; i < 4; ++i) {
            uint64 news = acknowledgeThere(forged[i]);
            (bool good, bytes memory why) =
                address(bridge).call(abi.encodeCall(bridge.deliver, (certified(), one(news))));
            vm.assertFalse(good, "refused");
            vm.assertEq(bytes32(bytes4(why)), bytes32(reasons[i]), "with its reason");
            native.pop();
            --nativeSequence;
        }
        vm.assertEq(bridge.outbound(sequence), keccak256(packet), "still open");
    }

    function test_whoeverAskedIsToldWhatWasReceivedHere() public {
        uint64 index = sendPointsHere(ALICE, 100e6, SOON);
        vm.recordLogs();
        deliver(index);
        Vm.Log[] memory logs = vm.getRecordedLogs();
        bytes memory news = acknowledgementHere(1, native[index]);
        vm.assertEq(bridge.outbound(1), keccak256(news), "the news goes home");
        Vm.Log memory log = logs[logs.length - 1];
        vm.assertEq(log.topics[0], IBridge.PacketSent.selector, "relayers are told");
        vm.assertEq(abi.decode(log.data, (bytes)), news, "its bytes");
        vm.assertEq(points.balanceOf(ALICE), 100e6, "received");
        deliver(index);
        vm.assertEq(bridge.nextSequence(), 2, "told once");
    }

    function test_whatIsLateOrRejectedIsNotAcknowledged() public {
        BlockingToken other = new BlockingToken(ALICE);
        govern(abi.encodeCall(bridge.register, (address(other), 6, unlimited())));
        vm.prank(ALICE);
        other.approve(address(bridge), type(uint256).max);
        asking = false;
        sendAway(ALICE, address(other), 1e12 * 1e6, SOON);
        asking = true;
        other.set(BOB, true);
        uint64 next = bridge.nextSequence();
        // Late, to nobody, and refused by the token itself.
        uint64[3] memory places = [
            sendPointsHere(ALICE, 1, uint64(block.timestamp - 1)),
            sendPointsHere(address(0), 1, SOON),
            sendTokenHere(address(other), BOB, 1e6, SOON)
        ];
        for (uint64 i = 0; i < 3; ++i) {
            deliver(places[i]);
            vm.assertEq(bridge.receipt(i + 1), 2, "expired");
            bytes memory news =
                abi.encodePacked(uint8(1), uint8(2), ETHEREUM, NATIVE, next + i, native[places[i]]);
            vm.assertEq(bridge.outbound(next + i), keccak256(news), "its expiry goes home");
        }
        vm.assertEq(bridge.nextSequence(), next + 3, "and nothing else");
    }

    function test_whatWasHeldIsAcknowledgedWhenItIsReleased() public {
        IValves.Limits memory limits = unlimited();
        (limits.largeFrom, limits.holdSeconds) = (100e6, 1 hours);
        govern(abi.encodeCall(bridge.setLimits, (address(points), limits)));
        uint64 released = sendPointsHere(ALICE, 100e6, SOON);
        uint64 stopped = sendPointsHere(ALICE, 200e6, SOON);
        deliver(released);
        deliver(stopped);
        vm.assertEq(bridge.nextSequence(), 1, "not while it waits");
        vm.prank(GUARDIAN);
        bridge.stop(native[stopped]);
        vm.warp(block.timestamp + 1 hours);
        bridge.release(native[released]);
        vm.assertEq(
            bridge.outbound(1),
            keccak256(abi.encodePacked(uint8(1), uint8(2), ETHEREUM, NATIVE, uint64(1), native[stopped])),
            "stopped is expired"
        );
        vm.assertEq(
            bridge.outbound(2), keccak256(acknowledgementHere(2, native[released])), "released is told"
        );
    }

    /// @dev No token moves, so a token's pause does not hold it up; the direction's does.
    function test_pauses() public {
        (, bytes memory packet) = sendAway(ALICE, address(coin), 5 ether, SOON);
        uint64 news = acknowledgeThere(packet);
        vm.startPrank(GUARDIAN);
        bridge.pauseToken(address(coin));
        bridge.pauseDirection(IValves.Direction.Receive);
        vm.stopPrank();
        ILightClient.HeaderProof memory header = certified();
        IBridge.OutboxItem[] memory items = one(news);
        vm.expectRevert(abi.encodeWithSelector(ValveErrors.DirectionStopped.selector, true));
        bridge.deliver(header, items);
        govern(abi.encodeCall(bridge.resumeDirection, (IValves.Direction.Receive)));
        bridge.deliver(header, items);
        vm.assertEq(bridge.outbound(1), ACKNOWLEDGED, "known");
    }

    /// @dev What `send` and `sendSwap` refuse is refused here.
    function test_refusals() public {
        address c = address(coin);
        vm.expectRevert(BridgeErrors.ReceiverZero.selector);
        bridge.sendAcknowledged(c, address(0), 1, SOON);
        vm.expectRevert(BridgeErrors.AmountZero.selector);
        bridge.sendAcknowledged(c, BOB, 0, SOON);
        vm.expectRevert(BridgeErrors.LeastZero.selector);
        bridge.sendSwapAcknowledged(c, BOB, 1, SOON, 0);
        vm.expectRevert(abi.encodeWithSelector(BridgeErrors.NotSwappable.selector, BOB));
        bridge.sendSwapAcknowledged(BOB, BOB, 1, SOON, 1);
        vm.deal(address(this), 1);
        (bool good,) =
            address(bridge).call{value: 1}(abi.encodeCall(bridge.sendAcknowledged, (c, BOB, 1, SOON)));
        vm.assertFalse(good, "no ether");
        vm.assertEq(bridge.nextSequence(), 1, "nothing left");
    }
}
