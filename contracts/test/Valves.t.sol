// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {BridgeErrors} from "../src/errors/BridgeErrors.sol";
import {ValveErrors} from "../src/errors/ValveErrors.sol";
import {IBridge} from "../src/interfaces/IBridge.sol";
import {ILightClient} from "../src/interfaces/ILightClient.sol";
import {IValves} from "../src/interfaces/IValves.sol";
import {Rate} from "../src/libraries/Rate.sol";
import {World} from "./kit/World.sol";

/// @dev Limits, pauses, and large transfers that wait.
contract ValvesTest is World {
    uint64 private constant FAR = uint64(NOW + 20 days);
    uint256 private constant LATER = NOW + DELAY;
    /// @dev The first seconds of the hour and the day after the tests' clock.
    uint256 private constant NEXT_HOUR = (LATER / 3_600 + 1) * 3_600;
    uint256 private constant NEXT_DAY = (LATER / 86_400 + 1) * 86_400;

    function setUp() public override {
        super.setUp();
        govern(abi.encodeCall(bridge.setLimits, (address(points), _limits())));
        vm.assertEq(block.timestamp, LATER, "the tests' clock");
    }

    function test_limitsAreAsTheyWereSet() public {
        IValves.Limits memory found = bridge.limits(address(points));
        vm.assertEq(abi.encode(found), abi.encode(_limits()), "limits");
        vm.assertEq(
            abi.encode(bridge.room(address(points))), abi.encode(IValves.Room(100, 250, 1_000, 2_500)), "room"
        );
        vm.assertEq(
            abi.encode(bridge.limits(address(coin))), abi.encode(unlimited()), "another token has its own"
        );
        vm.assertEq(bridge.room(address(coin)).sendInDay, Rate.NONE, "no limit");
    }

    function test_whatLeavesIsLimitedByTheHourAndTheDay() public {
        _give(1_000);
        _send(60);
        _sendRefused(41, 40);
        _send(40);
        _sendRefused(1, 0);
        vm.warp(NEXT_HOUR - 1);
        _sendRefused(1, 0);
        vm.warp(NEXT_HOUR);
        _send(100);
        vm.warp(NEXT_HOUR + 3_600);
        // Of the day's 250, 50 are left; the hour has room for more.
        _sendRefused(51, 50);
        _send(50);
        vm.warp(NEXT_DAY - 1);
        _sendRefused(1, 0);
        vm.warp(NEXT_DAY);
        _send(100);
        vm.assertEq(bridge.totals(address(points)).sent, 350, "what was refused counts nowhere");
    }

    /// @dev Above a limit: never stuck, never in the way, never lost.
    function test_whatComesAboveALimitIsRefundedAtItsSource() public {
        sendPointsHere(ALICE, 400, FAR);
        sendPointsHere(ALICE, 601, FAR);
        sendPointsHere(BOB, 400, FAR);
        bridge.deliver(certified(), itemsFrom(0));
        vm.assertEq(bridge.receipt(1), 1, "fits");
        vm.assertEq(bridge.receipt(2), 2, "does not");
        vm.assertEq(bridge.receipt(3), 1, "fits beside it");
        bytes memory home = abi.encodePacked(uint8(1), uint8(2), ETHEREUM, NATIVE, uint64(1), native[1]);
        vm.assertEq(bridge.outbound(1), keccak256(home), "the news goes home");
        vm.assertEq(bridge.room(address(points)).receiveInHour, 200, "what is refused uses nothing");
        vm.warp(NEXT_DAY);
        bridge.deliver(certified(), itemsFrom(0));
        vm.assertEq(bridge.receipt(2), 2, "for ever");
        vm.assertEq(points.balanceOf(ALICE), 400, "and nothing of it arrived");
        assertSolvent();
    }

    function test_aRefundUsesNoLimit() public {
        _give(100);
        (, bytes memory packet) = sendAway(ALICE, address(points), 100, FAR);
        _fill();
        deliver(expireThere(packet));
        vm.assertEq(points.balanceOf(ALICE), 100, "back");
        vm.assertEq(bridge.room(address(points)).sendInHour, 0, "what was sent stays counted");
    }

    /// @dev Against a plain model, over hours and days.
    function testFuzz_limitsAgainstAModel(uint256 seed) public {
        _give(900);
        uint256 hour = block.timestamp / 3_600;
        (uint256 inHour, uint256 inDay) = (0, 0);
        for (uint256 i = 0; i < 24; ++i) {
            seed = uint256(keccak256(abi.encode(seed)));
            vm.warp(block.timestamp + seed % 5_000);
            uint256 amount = 1 + (seed >> 32) % 60;
            uint256 now_ = block.timestamp / 3_600;
            if (now_ != hour) inHour = 0;
            if (now_ / 24 != hour / 24) inDay = 0;
            hour = now_;
            bool fits = inHour + amount <= 100 && inDay + amount <= 250;
            vm.prank(ALICE);
            (bool good,) = address(bridge)
                .call(
                    abi.encodeCall(bridge.send, (address(points), BOB, amount, uint64(block.timestamp + 60)))
                );
            bool has = amount <= 900 - bridge.totals(address(points)).sent + (good ? amount : 0);
            vm.assertEq(good, fits && has, "as the model says");
            if (good) (inHour, inDay) = (inHour + amount, inDay + amount);
            vm.assertEq(bridge.room(address(points)).sendInHour, 100 - inHour, "room in the hour");
            vm.assertEq(bridge.room(address(points)).sendInDay, 250 - inDay, "room in the day");
        }
    }

    function testFuzz_rateNeverOverflows(uint256 rule, uint256 used, uint128 amount, uint40 time) public {
        vm.assume(amount != 0);
        (bool fits, uint256 next) = Rate.take(rule, used, amount, time);
        (uint256 hour, uint256 day) = Rate.left(rule, used, time);
        vm.assertEq(fits, _within(amount, hour) && _within(amount, day), "fits what is left");
        (uint256 hourAfter, uint256 dayAfter) = Rate.left(rule, next, time);
        if (fits) {
            vm.assertEq(hourAfter, hour == Rate.NONE ? hour : hour - amount, "less in the hour");
            vm.assertEq(dayAfter, day == Rate.NONE ? day : day - amount, "less in the day");
        }
    }

    function test_aLargeTransferWaitsAndIsReleasedByAnybody() public {
        uint64 index = sendPointsHere(ALICE, 500, FAR);
        bytes32 commitment = keccak256(native[index]);
        uint64 until = uint64(block.timestamp + 6 hours);
        ILightClient.HeaderProof memory header = certified();
        IBridge.OutboxItem[] memory items = one(index);
        vm.expectEmit(true, true, true, true, address(bridge));
        emit IValves.PacketHeld(1, commitment, until);
        bridge.deliver(header, items);
        vm.assertEq(bridge.receipt(1), 0, "no outcome yet");
        vm.assertEq(points.totalSupply(), 0, "nothing is made");
        _assertHeld(1, commitment, until);
        assertSolvent();

        vm.warp(until - 1);
        bytes memory waits = abi.encodeWithSelector(ValveErrors.TransferHeld.selector, 1, until);
        vm.expectRevert(waits);
        bridge.release(native[index]);
        vm.expectRevert(waits);
        bridge.deliver(header, items);

        vm.warp(until);
        vm.prank(address(0xca401));
        bridge.release(native[index]);
        vm.assertEq(bridge.receipt(1), 1, "received");
        vm.assertEq(points.balanceOf(ALICE), 500, "its amount");
        _assertHeld(1, 0, 0);
        vm.expectRevert(abi.encodeWithSelector(ValveErrors.NotHeld.selector, 1));
        bridge.release(native[index]);
        bridge.deliver(header, items);
        vm.assertEq(points.balanceOf(ALICE), 500, "once");
        assertSolvent();
    }

    /// @dev To a relayer that knows of no delay, it is a packet that is refused for a while.
    function test_deliveringALargeTransferAgainReleasesIt() public {
        // Its deadline is over by then: it was proven in time.
        uint64 index = sendPointsHere(ALICE, 500, uint64(block.timestamp + 60));
        deliver(index);
        vm.warp(block.timestamp + 6 hours);
        deliver(index);
        vm.assertEq(bridge.receipt(1), 1, "received");
        vm.assertEq(points.balanceOf(ALICE), 500, "its amount");
    }

    function test_aGuardianStopsALargeTransferAndItIsRefunded() public {
        uint64 index = sendPointsHere(ALICE, 500, FAR);
        deliver(index);
        _unauthorized(address(0xbad), abi.encodeCall(bridge.stop, (native[index])));
        bytes memory other = flipped(native[index], 133);
        vm.expectRevert(abi.encodeWithSelector(ValveErrors.NotHeld.selector, 1));
        vm.prank(GUARDIAN);
        bridge.stop(other);
        vm.expectEmit(true, true, true, true, address(bridge));
        emit IBridge.PacketExpired(1, keccak256(native[index]));
        vm.prank(GUARDIAN);
        bridge.stop(native[index]);
        vm.assertEq(bridge.receipt(1), 2, "rejected");
        bytes memory home = abi.encodePacked(uint8(1), uint8(2), ETHEREUM, NATIVE, uint64(1), native[index]);
        vm.assertEq(bridge.outbound(1), keccak256(home), "the news goes home");
        _assertHeld(1, 0, 0);
        vm.warp(block.timestamp + 6 hours);
        deliver(index);
        vm.assertEq(bridge.receipt(1), 2, "for ever");
        vm.assertEq(points.totalSupply(), 0, "nothing is made");
    }

    function test_aGuardianIsTooLateWhenTheDelayIsOver() public {
        uint64 index = sendPointsHere(ALICE, 500, FAR);
        deliver(index);
        uint64 until = uint64(block.timestamp + 6 hours);
        vm.warp(until);
        vm.expectRevert(abi.encodeWithSelector(ValveErrors.HoldOver.selector, 1, until));
        vm.prank(GUARDIAN);
        bridge.stop(native[index]);
        // What is released is not stopped either.
        bridge.release(native[index]);
        vm.expectRevert(abi.encodeWithSelector(ValveErrors.NotHeld.selector, 1));
        vm.prank(GUARDIAN);
        bridge.stop(native[index]);
    }

    function test_thoseThatWaitAreListed() public {
        govern(abi.encodeCall(bridge.setLimits, (address(points), _holding())));
        for (uint256 i = 0; i < 5; ++i) {
            sendPointsHere(ALICE, 1, FAR);
        }
        bridge.deliver(certified(), itemsFrom(0));
        _assertList(0, 256, 5, [1, 2, 3, 4, 5], 5);
        _assertList(3, 256, 5, [4, 5, 0, 0, 0], 2);
        _assertList(1, 2, 5, [2, 3, 0, 0, 0], 2);
        _assertList(9, 2, 5, [0, 0, 0, 0, 0], 0);
        vm.prank(GUARDIAN);
        bridge.stop(native[1]);
        _assertList(0, 256, 4, [1, 5, 3, 4, 0], 4);
        vm.warp(block.timestamp + 6 hours);
        bridge.release(native[4]);
        bridge.release(native[3]);
        _assertList(0, 256, 2, [1, 3, 0, 0, 0], 2);
        bridge.release(native[0]);
        bridge.release(native[2]);
        _assertList(0, 256, 0, [0, 0, 0, 0, 0], 0);
        vm.expectRevert(abi.encodeWithSelector(ValveErrors.PageTooLong.selector, 257));
        bridge.heldSequences(0, 257);
    }

    function test_aReleaseNeverTakesMoreThanIsLocked() public {
        IValves.Limits memory large = unlimited();
        (large.largeFrom, large.holdSeconds) = (10, 1 hours);
        govern(abi.encodeCall(bridge.setLimits, (address(coin), large)));
        sendAway(ALICE, address(coin), 15, FAR);
        uint64 first = sendCoinHere(BOB, 10, FAR);
        uint64 second = sendCoinHere(BOB, 10, FAR);
        deliver(first);
        deliver(second);
        vm.warp(block.timestamp + 1 hours);
        bridge.release(native[first]);
        bridge.release(native[second]);
        vm.assertEq(bridge.receipt(1), 1, "what is locked");
        vm.assertEq(bridge.receipt(2), 2, "no more: it goes home");
        assertSolvent();
    }

    function test_pausingSendingStopsWhatLeavesAndNothingElse() public {
        _give(10);
        vm.expectEmit(true, true, true, true, address(bridge));
        emit IValves.DirectionPaused(IValves.Direction.Send);
        vm.prank(GUARDIAN);
        bridge.pauseDirection(IValves.Direction.Send);
        vm.assertTrue(bridge.directionPaused(IValves.Direction.Send), "paused");
        vm.assertFalse(bridge.directionPaused(IValves.Direction.Receive), "not the other");
        _refusedFrom(
            ALICE,
            abi.encodeCall(bridge.send, (address(points), BOB, 1, FAR)),
            abi.encodeWithSelector(ValveErrors.DirectionStopped.selector, false)
        );
        deliver(sendPointsHere(ALICE, 1, FAR));
        vm.assertEq(points.balanceOf(ALICE), 11, "what comes, comes");
        _unauthorized(GUARDIAN, abi.encodeCall(bridge.resumeDirection, (IValves.Direction.Send)));
        govern(abi.encodeCall(bridge.resumeDirection, (IValves.Direction.Send)));
        _send(1);
    }

    function test_pausingReceivingStopsWhatComesAndLosesNothing() public {
        _give(10);
        uint64 soon = uint64(block.timestamp + 60);
        uint64 index = sendPointsHere(BOB, 7, FAR);
        uint64 late = sendPointsHere(BOB, 9, soon);
        IBridge.OutboxItem[] memory items = itemsFrom(index);
        ILightClient.HeaderProof memory header = certified();
        uint64 waiting = sendPointsHere(BOB, 500, FAR);
        deliver(waiting);
        vm.prank(GUARDIAN);
        bridge.pauseDirection(IValves.Direction.Receive);
        bytes memory reason = abi.encodeWithSelector(ValveErrors.DirectionStopped.selector, true);
        vm.expectRevert(reason);
        bridge.deliver(header, items);
        _send(1);
        // A guardian goes on stopping single transfers.
        vm.prank(GUARDIAN);
        bridge.stop(native[waiting]);
        govern(abi.encodeCall(bridge.resumeDirection, (IValves.Direction.Receive)));
        bridge.deliver(header, items);
        vm.assertEq(points.balanceOf(BOB), 7, "the one in time is received");
        vm.assertEq(bridge.receipt(late + 1), 2, "the late one expires");
        assertSolvent();
    }

    function test_pausingATokenStopsThatTokenBothWays() public {
        _give(10);
        (, bytes memory packet) = sendAway(ALICE, address(points), 4, FAR);
        uint64 waiting = sendPointsHere(ALICE, 500, FAR);
        deliver(waiting);
        uint64 soon = uint64(block.timestamp + 60);
        vm.prank(GUARDIAN);
        bridge.pauseToken(address(points));
        vm.assertTrue(bridge.tokenPaused(address(points)), "paused");
        bytes memory reason = abi.encodeWithSelector(ValveErrors.TokenStopped.selector, address(points));
        _refusedFrom(ALICE, abi.encodeCall(bridge.send, (address(points), BOB, 1, FAR)), reason);
        _deliverRefused(sendPointsHere(BOB, 7, soon), reason);
        _deliverRefused(expireThere(packet), reason);
        vm.warp(block.timestamp + 6 hours);
        vm.expectRevert(reason);
        bridge.release(native[waiting]);
        // Another token is not concerned, and what is late by now ends as always.
        sendAway(ALICE, address(coin), 5, FAR);
        deliver(sendCoinHere(BOB, 5, FAR));
        vm.assertEq(coin.balanceOf(BOB), 5, "coin");
        deliver(waiting + 1);
        vm.assertEq(bridge.receipt(waiting + 2), 2, "expired");

        _unauthorized(GUARDIAN, abi.encodeCall(bridge.resumeToken, (address(points))));
        govern(abi.encodeCall(bridge.resumeToken, (address(points))));
        bridge.release(native[waiting]);
        deliver(waiting + 2);
        vm.assertEq(points.balanceOf(ALICE), 510, "all of it, the refund too");
        // Its limits are as they were.
        vm.assertEq(
            abi.encode(bridge.limits(address(points))), abi.encode(_limits()), "limits survive a pause"
        );
        assertSolvent();
    }

    function test_newLimitsLeaveAPause() public {
        vm.prank(GUARDIAN);
        bridge.pauseToken(address(points));
        IValves.Limits memory more = _limits();
        more.sendPerHour = 110;
        govern(abi.encodeCall(bridge.setLimits, (address(points), more)));
        vm.assertTrue(bridge.tokenPaused(address(points)), "still paused");
        vm.assertEq(bridge.room(address(points)).sendInHour, 110, "the new limit");
    }

    function test_unknownTokensHaveNoValves() public {
        bytes memory unknown = abi.encodeWithSelector(BridgeErrors.TokenUnknown.selector, address(1));
        vm.expectRevert(unknown);
        vm.prank(GUARDIAN);
        bridge.pauseToken(address(1));
        vm.expectRevert(unknown);
        bridge.limits(address(1));
        vm.expectRevert(unknown);
        bridge.room(address(1));
        vm.expectRevert(unknown);
        bridge.tokenPaused(address(1));
    }

    function test_aDelayIsAtMostSevenDays() public {
        IValves.Limits memory long = _limits();
        long.holdSeconds = 7 days + 1;
        bytes memory call = abi.encodeCall(bridge.setLimits, (address(points), long));
        vm.prank(GOVERNOR);
        authority.schedule(address(bridge), call, 0);
        vm.warp(block.timestamp + DELAY);
        vm.expectRevert(abi.encodeWithSelector(ValveErrors.HoldTooLong.selector, 7 days + 1));
        vm.prank(GOVERNOR);
        authority.execute(address(bridge), call);
    }

    function _limits() private pure returns (IValves.Limits memory) {
        return IValves.Limits({
            sendPerHour: 100,
            sendPerDay: 250,
            receivePerHour: 1_000,
            receivePerDay: 2_500,
            largeFrom: 500,
            holdSeconds: 6 hours
        });
    }

    function _holding() private pure returns (IValves.Limits memory limits) {
        limits = _limits();
        limits.largeFrom = 1;
    }

    /// @dev Points for Alice that came the day before.
    function _give(uint256 amount) private {
        uint256 time = block.timestamp;
        vm.warp(time - 1 days);
        while (amount != 0) {
            uint256 part = amount < 499 ? amount : 499;
            deliver(sendPointsHere(ALICE, part, FAR));
            amount -= part;
        }
        vm.warp(time);
    }

    function _fill() private {
        uint256 left = bridge.room(address(points)).receiveInHour;
        while (left != 0) {
            uint256 part = left < 499 ? left : 499;
            deliver(sendPointsHere(BOB, part, FAR));
            left -= part;
        }
    }

    function _send(uint256 amount) private {
        vm.prank(ALICE);
        bridge.send(address(points), BOB, amount, uint64(block.timestamp + 60));
    }

    function _sendRefused(uint256 amount, uint256 left) private {
        _refusedFrom(
            ALICE,
            abi.encodeCall(bridge.send, (address(points), BOB, amount, uint64(block.timestamp + 60))),
            abi.encodeWithSelector(ValveErrors.LimitReached.selector, address(points), amount, left)
        );
    }

    function _refusedFrom(address account, bytes memory call, bytes memory reason) private {
        vm.prank(account);
        (bool good, bytes memory answer) = address(bridge).call(call);
        vm.assertFalse(good, "refused");
        vm.assertEq(answer, reason, "for this reason");
    }

    function _unauthorized(address account, bytes memory call) private {
        _refusedFrom(account, call, abi.encodeWithSignature("AccessManagedUnauthorized(address)", account));
    }

    function _deliverRefused(uint64 index, bytes memory reason) private {
        ILightClient.HeaderProof memory header = certified();
        IBridge.OutboxItem[] memory items = one(index);
        vm.expectRevert(reason);
        bridge.deliver(header, items);
    }

    function _assertHeld(uint64 sequence, bytes32 commitment, uint64 until) private {
        (bytes32 found, uint64 time) = bridge.held(sequence);
        vm.assertEq(found, commitment, "its commitment");
        vm.assertEq(time, until, "until when");
    }

    function _assertList(uint256 from, uint256 limit, uint256 count, uint8[5] memory expected, uint256 length)
        private
    {
        (uint256 total, uint64[] memory page) = bridge.heldSequences(from, limit);
        vm.assertEq(total, count, "how many wait");
        vm.assertEq(page.length, length, "the page's length");
        for (uint256 i = 0; i < length; ++i) {
            vm.assertEq(page[i], expected[i], "a sequence");
        }
    }

    function _within(uint256 amount, uint256 room) private pure returns (bool) {
        return room == Rate.NONE || amount <= room;
    }
}
