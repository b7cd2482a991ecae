// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IERC20Errors} from "@openzeppelin/contracts/interfaces/draft-IERC6093.sol";
import {BridgeErrors} from "../src/errors/BridgeErrors.sol";
import {LightClientErrors} from "../src/errors/LightClientErrors.sol";
import {IBridge} from "../src/interfaces/IBridge.sol";
import {ILightClient} from "../src/interfaces/ILightClient.sol";
import {Packet} from "../src/libraries/Packet.sol";
import {Signer} from "./kit/Signer.sol";
import {Vm} from "./kit/Vm.sol";
import {World} from "./kit/World.sol";

/// @dev What a transfer goes through, on the paths where nobody cheats.
contract BridgeTest is World {
    function test_beginsEmpty() public {
        vm.assertEq(bridge.chainId(), ETHEREUM, "this side");
        vm.assertEq(bridge.peerChainId(), NATIVE, "other side");
        vm.assertEq(bridge.nextSequence(), 1, "sequences start at 1");
        vm.assertEq(bridge.outbound(1), bytes32(0), "nothing sent");
        vm.assertEq(bridge.receipt(1), 0, "nothing received");
        vm.assertEq(address(bridge.coin()), address(coin), "coin");
        vm.assertEq(points.bridge(), address(bridge), "the points' bridge");
        _assertTotals(address(coin), 0, 0, 0);
        _assertTotals(address(points), 0, 0, 0);
        assertSolvent();
    }

    /// @dev The native chain proves this slot: keccak256(sequence as uint256 ‖ 0).
    function test_outboundIsTheMappingAtSlotZero() public {
        (uint64 sequence,) = sendAway(ALICE, address(coin), 5, uint64(NOW + 1));
        bytes32 slot = keccak256(abi.encode(uint256(sequence), uint256(0)));
        vm.assertEq(vm.load(address(bridge), slot), bridge.outbound(sequence), "slot");
        vm.assertNotEq(vm.load(address(bridge), slot), bytes32(0), "not empty");
    }

    function test_sendLocksCoinsAndTellsRelayers() public {
        vm.recordLogs();
        (uint64 sequence, bytes memory packet) = sendAway(ALICE, address(coin), 250 ether, uint64(NOW + 60));
        vm.assertEq(sequence, 1, "first");
        vm.assertEq(bridge.nextSequence(), 2, "next");
        vm.assertEq(coin.balanceOf(address(bridge)), 250 ether, "held");
        _assertTotals(address(coin), 250 ether, 0, 0);
        assertSolvent();
        Vm.Log[] memory logs = vm.getRecordedLogs();
        Vm.Log memory log = logs[logs.length - 1];
        vm.assertEq(log.emitter, address(bridge), "by the bridge");
        vm.assertEq(log.topics[0], IBridge.PacketSent.selector, "event");
        vm.assertEq(log.topics[1], bytes32(uint256(sequence)), "its sequence");
        vm.assertEq(log.topics[2], keccak256(packet), "its commitment");
        vm.assertEq(abi.decode(log.data, (bytes)), packet, "its bytes");
    }

    function test_pointsArriveAndGoHome() public {
        uint64 index = sendPointsHere(ALICE, 4_000e6, uint64(NOW + 60));
        vm.expectEmit(true, true, true, true, address(bridge));
        emit IBridge.PacketReceived(1, keccak256(native[index]));
        deliver(index);
        vm.assertEq(bridge.receipt(1), 1, "received");
        vm.assertEq(points.balanceOf(ALICE), 4_000e6, "minted");
        // No allowance is needed to burn one's own.
        sendAway(ALICE, address(points), 1_500e6, uint64(NOW + 60));
        vm.assertEq(points.balanceOf(ALICE), 2_500e6, "burned");
        vm.assertEq(bridge.minted(address(points)), 2_500e6, "minted by the books");
        _assertTotals(address(points), 1_500e6, 4_000e6, 0);
        assertSolvent();
    }

    function test_coinsGoAndComeHome() public {
        sendAway(ALICE, address(coin), 250 ether, uint64(NOW + 60));
        deliver(sendCoinHere(BOB, 100 ether, uint64(NOW + 60)));
        vm.assertEq(coin.balanceOf(BOB), 100 ether, "released");
        vm.assertEq(bridge.locked(address(coin)), 150 ether, "locked by the books");
        _assertTotals(address(coin), 250 ether, 100 ether, 0);
        assertSolvent();
    }

    function test_aDeadlineIsTheLastGoodSecond() public {
        uint64 inTime = sendPointsHere(ALICE, 1, uint64(NOW));
        uint64 late = sendPointsHere(ALICE, 1, uint64(NOW - 1));
        deliver(inTime);
        deliver(late);
        vm.assertEq(bridge.receipt(1), 1, "received at the deadline");
        vm.assertEq(bridge.receipt(2), 2, "expired a second after it");
    }

    function test_aLateTransferExpiresAndSaysSoAtHome() public {
        uint64 index = sendPointsHere(ALICE, 7, uint64(NOW - 1));
        ILightClient.HeaderProof memory header = certified();
        IBridge.OutboxItem[] memory items = one(index);
        bytes memory home = abi.encodePacked(uint8(1), uint8(2), ETHEREUM, NATIVE, uint64(1), native[index]);
        vm.expectEmit(true, true, true, true, address(bridge));
        emit IBridge.PacketExpired(1, keccak256(native[index]));
        vm.expectEmit(true, true, true, true, address(bridge));
        emit IBridge.PacketSent(1, keccak256(home), home);
        bridge.deliver(header, items);
        vm.assertEq(bridge.outbound(1), keccak256(home), "the expiry is provable");
        vm.assertEq(bridge.nextSequence(), 2, "and has a sequence");
        vm.assertEq(points.totalSupply(), 0, "nothing minted");
        _assertTotals(address(points), 0, 0, 0);
        // For ever: an earlier clock changes nothing.
        vm.warp(NOW - 100);
        bridge.deliver(header, items);
        vm.assertEq(bridge.receipt(1), 2, "still expired");
        vm.assertEq(points.totalSupply(), 0, "still nothing minted");
    }

    /// @dev Any token, known or not, can expire: what left must be able to come back.
    function test_aLateTransferOfAnUnknownTokenExpiresToo() public {
        uint64 index = append(_packetOf(NATIVE, address(0xdead), uint64(NOW - 1)));
        ++nativeSequence;
        deliver(index);
        vm.assertEq(bridge.receipt(1), 2, "expired");
    }

    function test_refundOfCoins() public {
        (uint64 sequence, bytes memory packet) = sendAway(ALICE, address(coin), 30 ether, uint64(NOW + 1));
        uint256 before = coin.balanceOf(ALICE);
        uint64 index = expireThere(packet);
        ILightClient.HeaderProof memory header = certified();
        IBridge.OutboxItem[] memory items = one(index);
        vm.expectEmit(true, true, true, true, address(bridge));
        emit IBridge.PacketReceived(1, keccak256(native[index]));
        vm.expectEmit(true, true, true, true, address(bridge));
        emit IBridge.PacketRefunded(sequence, keccak256(packet));
        bridge.deliver(header, items);
        vm.assertEq(coin.balanceOf(ALICE), before + 30 ether, "back with the sender");
        vm.assertEq(bridge.outbound(sequence), bytes32(uint256(1)), "marked refunded");
        vm.assertEq(bridge.receipt(1), 1, "the expiry is received");
        _assertTotals(address(coin), 30 ether, 0, 30 ether);
        assertSolvent();
        bridge.deliver(header, items);
        vm.assertEq(coin.balanceOf(ALICE), before + 30 ether, "once");
    }

    function test_refundOfPoints() public {
        deliver(sendPointsHere(ALICE, 100, uint64(NOW)));
        (uint64 sequence, bytes memory packet) = sendAway(ALICE, address(points), 60, uint64(NOW + 1));
        vm.assertEq(points.totalSupply(), 40, "burned");
        deliver(expireThere(packet));
        vm.assertEq(points.balanceOf(ALICE), 100, "minted again for the sender");
        vm.assertEq(bridge.outbound(sequence), bytes32(uint256(1)), "marked refunded");
        _assertTotals(address(points), 60, 100, 60);
        assertSolvent();
    }

    /// @dev A second expiry for one packet, under another sequence, releases nothing.
    function test_onePacketIsRefundedOnce() public {
        (uint64 sequence, bytes memory packet) = sendAway(ALICE, address(coin), 30 ether, uint64(NOW + 1));
        sendAway(ALICE, address(coin), 30 ether, uint64(NOW + 1));
        deliver(expireThere(packet));
        _refused(expireThere(packet), abi.encodeWithSelector(BridgeErrors.NotOutstanding.selector, sequence));
    }

    function test_whatWasNeverSentIsNotRefunded() public {
        (, bytes memory packet) = sendAway(ALICE, address(coin), 30 ether, uint64(NOW + 1));
        // More than was sent, and a sequence that does not exist.
        bytes memory more = flipped(packet, 120);
        _refused(expireThere(more), abi.encodeWithSelector(BridgeErrors.NotOutstanding.selector, 1));
        bytes memory other = flipped(packet, 24);
        _refused(expireThere(other), abi.encodeWithSelector(BridgeErrors.NotOutstanding.selector, 257));
    }

    /// @dev An expiry that was sent home is not a transfer; nothing refunds it.
    function test_anExpirySentHomeIsNotRefundable() public {
        deliver(sendPointsHere(ALICE, 7, uint64(NOW - 1)));
        bytes memory home = abi.encodePacked(uint8(1), uint8(2), ETHEREUM, NATIVE, uint64(1), native[0]);
        vm.assertEq(bridge.outbound(1), keccak256(home), "stored");
        uint64 index = expireThere(home);
        ILightClient.HeaderProof memory header = certified();
        IBridge.OutboxItem[] memory items = one(index);
        vm.expectRevert();
        bridge.deliver(header, items);
    }

    function test_batchesSettleInOrderAndPassOverTheSettled() public {
        uint64 first = sendPointsHere(ALICE, 1, uint64(NOW));
        sendPointsHere(BOB, 2, uint64(NOW));
        sendPointsHere(ALICE, 4, uint64(NOW - 1));
        deliver(1);
        bridge.deliver(certified(), itemsFrom(first));
        vm.assertEq(points.balanceOf(ALICE), 1, "first");
        vm.assertEq(points.balanceOf(BOB), 2, "second, once");
        vm.assertEq(bridge.receipt(3), 2, "third expired");
    }

    function test_theSamePacketTwiceInOneBatchSettlesOnce() public {
        uint64 index = sendPointsHere(ALICE, 5, uint64(NOW));
        IBridge.OutboxItem[] memory items = new IBridge.OutboxItem[](2);
        items[0] = item(index);
        items[1] = item(index);
        bridge.deliver(certified(), items);
        vm.assertEq(points.balanceOf(ALICE), 5, "once");
    }

    function test_replayIsANoOp() public {
        uint64 index = sendPointsHere(ALICE, 5, uint64(NOW));
        deliver(index);
        vm.recordLogs();
        vm.prank(address(0xdead));
        bridge.deliver(certified(), one(index));
        vm.assertEq(vm.getRecordedLogs().length, 0, "no event");
        vm.assertEq(points.balanceOf(ALICE), 5, "once");
        _assertTotals(address(points), 0, 5, 0);
        // Under a later block, whose outbox grew, and long after the deadline.
        sendPointsHere(BOB, 1, uint64(NOW));
        ++height;
        vm.warp(NOW + 10 days);
        deliver(index);
        vm.assertEq(points.balanceOf(ALICE), 5, "still once");
        vm.assertEq(bridge.receipt(1), 1, "still received");
    }

    function test_aBatchHoldsOneTo128Packets() public {
        sendPointsHere(ALICE, 1, uint64(NOW));
        ILightClient.HeaderProof memory header = certified();
        vm.expectRevert(abi.encodeWithSelector(BridgeErrors.BatchSize.selector, 0));
        bridge.deliver(header, new IBridge.OutboxItem[](0));
        vm.expectRevert(abi.encodeWithSelector(BridgeErrors.BatchSize.selector, 129));
        bridge.deliver(header, new IBridge.OutboxItem[](129));
        IBridge.OutboxItem[] memory items = new IBridge.OutboxItem[](128);
        for (uint256 i = 0; i < 128; ++i) {
            items[i] = item(0);
        }
        bridge.deliver(header, items);
        vm.assertEq(points.totalSupply(), 1, "128 are allowed");
    }

    function test_oneBadPacketRevertsItsWholeBatch() public {
        sendPointsHere(ALICE, 5, uint64(NOW));
        sendPointsHere(ALICE, 6, uint64(NOW));
        IBridge.OutboxItem[] memory items = itemsFrom(0);
        items[1].index = 0;
        ILightClient.HeaderProof memory header = certified();
        vm.expectRevert(abi.encodeWithSelector(BridgeErrors.PathInvalid.selector, 0));
        bridge.deliver(header, items);
        vm.assertEq(bridge.receipt(1), 0, "nothing settled");
    }

    function test_moreThanIsLockedIsNotReleased() public {
        sendAway(ALICE, address(coin), 10, uint64(NOW + 1));
        // Somebody gave coins unasked: they are not locked, so nobody's packet may draw on them.
        vm.prank(ALICE);
        assert(coin.transfer(address(bridge), 100));
        vm.assertTrue(bridge.solvent(address(coin)), "a gift does not make it insolvent");
        deliver(sendCoinHere(BOB, 11, uint64(NOW)));
        vm.assertEq(bridge.receipt(1), 2, "sent home");
        vm.assertEq(coin.balanceOf(BOB), 0, "nothing is released");
        deliver(sendCoinHere(BOB, 10, uint64(NOW)));
        vm.assertEq(coin.balanceOf(BOB), 10, "what is locked is");
    }

    /// @dev A native chain that makes coin from nothing drains what is locked, and not one unit more.
    function test_aRefundIsNotPaidFromNothing() public {
        (, bytes memory packet) = sendAway(ALICE, address(coin), 10, uint64(NOW + 1));
        deliver(sendCoinHere(BOB, 4, uint64(NOW)));
        vm.prank(ALICE);
        assert(coin.transfer(address(bridge), 100));
        _refused(
            expireThere(packet),
            abi.encodeWithSelector(BridgeErrors.LockedTooLittle.selector, address(coin), 10, 6)
        );
        vm.assertTrue(bridge.solvent(address(coin)), "the books still hold");
    }

    /// @dev What can never take effect goes home at once, and what stands beside it is not held up.
    function test_whatCannotBeReceivedGoesHomeAtOnce() public {
        uint64 soon = uint64(NOW + 60);
        sendPointsHere(ALICE, 1, soon);
        sendPointsHere(address(0), 2, soon);
        sendPointsHere(ALICE, uint256(type(uint128).max) + 1, soon);
        sendPointsHere(ALICE, type(uint256).max, soon);
        append(_packetOf(ETHEREUM, POINTS_HOME, soon));
        ++nativeSequence;
        sendPointsHere(BOB, 4, soon);
        bridge.deliver(certified(), itemsFrom(0));
        uint8[6] memory outcomes = [1, 2, 2, 2, 2, 1];
        for (uint64 i = 0; i < 6; ++i) {
            vm.assertEq(bridge.receipt(i + 1), outcomes[i], "its outcome");
        }
        for (uint64 i = 1; i < 5; ++i) {
            bytes memory home = abi.encodePacked(uint8(1), uint8(2), ETHEREUM, NATIVE, i, native[i]);
            vm.assertEq(bridge.outbound(i), keccak256(home), "the news home");
        }
        vm.assertEq(points.balanceOf(ALICE) + points.balanceOf(BOB), 5, "the good ones arrived");
        _assertTotals(address(points), 0, 5, 0);
        assertSolvent();
    }

    function test_sendRefusals() public {
        address c = address(coin);
        uint64 soon = uint64(NOW + 1);
        vm.expectRevert(BridgeErrors.ReceiverZero.selector);
        bridge.send(c, address(0), 1, soon);
        vm.expectRevert(BridgeErrors.AmountZero.selector);
        bridge.send(c, BOB, 0, soon);
        vm.expectRevert(abi.encodeWithSelector(BridgeErrors.TokenUnknown.selector, address(client)));
        bridge.send(address(client), BOB, 1, soon);
        vm.deal(address(this), 1);
        vm.expectRevert(abi.encodeWithSelector(BridgeErrors.ValueRefused.selector, 1));
        bridge.send{value: 1}(c, BOB, 1, soon);
        _deadlineRefused(0);
        _deadlineRefused(uint64(NOW - 1));
        _deadlineRefused(uint64(NOW));
        _deadlineRefused(uint64(NOW + 30 days + 1));
        _deadlineRefused(type(uint64).max);
        sendAway(ALICE, c, 1, uint64(NOW + 1));
        sendAway(ALICE, c, 1, uint64(NOW + 30 days));
        vm.assertEq(bridge.nextSequence(), 3, "only the good ones count");
    }

    function test_sendNeedsTheTokens() public {
        vm.prank(BOB);
        vm.expectRevert();
        bridge.send(address(coin), BOB, 1, uint64(NOW + 1));
        vm.prank(BOB);
        vm.expectRevert(abi.encodeWithSelector(IERC20Errors.ERC20InsufficientBalance.selector, BOB, 0, 1));
        bridge.send(address(points), BOB, 1, uint64(NOW + 1));
    }

    function test_etherIsRefused() public {
        vm.deal(address(this), 1);
        (bool good,) = address(bridge).call{value: 1}("");
        vm.assertFalse(good, "no ether");
    }

    function test_aContradictionStopsTheBridgeForEver() public {
        uint64 index = sendPointsHere(ALICE, 5, uint64(NOW));
        ILightClient.HeaderProof memory header = certified();
        IBridge.OutboxItem[] memory items = one(index);
        ILightClient.HeaderProof memory other = unsigned();
        other.restHash = keccak256("other");
        other = Signer.certify(SECRET, NATIVE, other);
        vm.expectEmit(true, true, true, false, address(bridge));
        emit IBridge.Frozen(header.epoch, header.view_, 0, 0);
        vm.prank(address(0xbad));
        bridge.freeze(header, other);
        vm.assertTrue(bridge.frozen(), "stopped");
        vm.expectRevert(BridgeErrors.BridgeStopped.selector);
        bridge.deliver(header, items);
        vm.expectRevert(BridgeErrors.BridgeStopped.selector);
        bridge.freeze(header, other);
        // Nothing could ever come back, so nothing leaves.
        vm.prank(ALICE);
        vm.expectRevert(BridgeErrors.BridgeStopped.selector);
        bridge.send(address(coin), BOB, 1, uint64(NOW + 1));
    }

    function test_noContradictionStopsNothing() public {
        sendPointsHere(ALICE, 5, uint64(NOW));
        ILightClient.HeaderProof memory header = certified();
        vm.expectRevert(LightClientErrors.NotMisbehaviour.selector);
        bridge.freeze(header, header);
        ILightClient.HeaderProof memory other = unsigned();
        other.restHash = keccak256("other");
        other = Signer.certify(SECRET + 1, NATIVE, other);
        vm.expectRevert(LightClientErrors.CertificateInvalid.selector);
        bridge.freeze(header, other);
        vm.assertFalse(bridge.frozen(), "not stopped");
    }

    function test_viewsKnowOnlyTheirTokens() public {
        bytes memory unknown = abi.encodeWithSelector(BridgeErrors.TokenUnknown.selector, address(1));
        vm.expectRevert(unknown);
        bridge.totals(address(1));
        vm.expectRevert(unknown);
        bridge.solvent(address(1));
        vm.expectRevert(abi.encodeWithSelector(BridgeErrors.TokenUnknown.selector, address(points)));
        bridge.locked(address(points));
        vm.expectRevert(abi.encodeWithSelector(BridgeErrors.TokenUnknown.selector, address(coin)));
        bridge.minted(address(coin));
    }

    function _packetOf(uint64 home, address token, uint64 deadline) private view returns (bytes memory) {
        return Packet.encode(transferHere(home, token, ALICE, 1, deadline));
    }

    function _deadlineRefused(uint64 deadline) private {
        vm.expectRevert(
            abi.encodeWithSelector(BridgeErrors.DeadlineOutOfRange.selector, deadline, NOW + 1, NOW + 30 days)
        );
        bridge.send(address(coin), BOB, 1, deadline);
    }

    function _refused(uint64 index, bytes memory reason) private {
        ILightClient.HeaderProof memory header = certified();
        IBridge.OutboxItem[] memory items = one(index);
        vm.expectRevert(reason);
        bridge.deliver(header, items);
    }

    function _assertTotals(address token, uint256 sent, uint256 received, uint256 refunded) private {
        IBridge.Totals memory sums = bridge.totals(token);
        vm.assertEq(sums.sent, sent, "total sent");
        vm.assertEq(sums.received, received, "total received");
        vm.assertEq(sums.refunded, refunded, "total refunded");
    }
}
