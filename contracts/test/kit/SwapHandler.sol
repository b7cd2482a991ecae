// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IBridge} from "../../src/interfaces/IBridge.sol";
import {NativeSide} from "./NativeSide.sol";
import {World} from "./World.sol";

/// @notice Random swaps across the chains, both ways, while prices, clocks, gas, relayers and thieves do as
/// they like. Both ends of Ethereum's bridge, the pool and the router are the real code; the native chain's
/// modules are models.
contract SwapHandler is World {
    struct Crossing {
        bool isCoin; // what left
        uint256 amount;
        uint256 least;
        uint64 sequence;
        address sender;
        address receiver; // nobody else's: what it has is what this packet brought
        bytes packet;
    }

    struct Leaving {
        bool isCoin; // what crosses
        uint256 amount;
        uint64 native; // its sequence there
    }

    NativeSide private native_;
    Crossing[] private crossings;
    Leaving[] private leavings;
    /// @dev How many expiries of the native side were brought home.
    uint256 private carried;
    address private constant THIEF = address(0x7417ef);
    uint256 private constant START = 1e9 ether;
    uint256 private constant POINTS_START = 1e30;

    /// @notice How many ended how, so that a test can see that all ends happen.
    uint256 public swapped;
    uint256 public refused;

    function setUp() public override {
        super.setUp();
        native_ = new NativeSide();
        // The native side holds as many points as exist here, and makes the coin that is locked here.
        deliver(sendPointsHere(ALICE, POINTS_START, uint64(NOW)));
        nativeSequence = 1;
        vm.prank(ALICE);
        uint64 sequence = bridge.send(address(coin), ALICE, START, uint64(NOW + 1));
        bytes memory packet = abi.encodePacked(
            abi.encodePacked(uint8(1), uint8(1), ETHEREUM, NATIVE, sequence, uint64(NOW + 1), ETHEREUM),
            abi.encodePacked(address(coin), ALICE, ALICE, START)
        );
        vm.assertEq(bridge.outbound(sequence), keccak256(packet), "the packet that was sent");
        native_.begin(packet, 1e13);
        nativeSequence = 2;
    }

    /// @notice Somebody sends, and asks for 95 to 105 % of what the pool would give now.
    function sendSwap(uint256 amount, uint256 least, uint64 lifetime, bool isCoin) external {
        amount = isCoin ? bound(amount, 1e12, 1e24) : bound(amount, 1e3, 1e11);
        least = native_.quote(isCoin, amount) * bound(least, 950, 1_050) / 1_000;
        if (least == 0) least = 1;
        address token = isCoin ? address(coin) : address(points);
        uint64 deadline = uint64(block.timestamp + bound(lifetime, 1, 3 hours));
        uint64 next = bridge.nextSequence();
        address receiver = address(uint160(uint256(keccak256(abi.encode("receiver", next)))));
        vm.prank(ALICE);
        uint64 sequence = bridge.sendSwap(token, receiver, amount, deadline, least);
        bytes memory packet = abi.encodePacked(
            abi.encodePacked(uint8(1), uint8(4), ETHEREUM, NATIVE, sequence, deadline),
            abi.encodePacked(isCoin ? ETHEREUM : NATIVE, isCoin ? address(coin) : POINTS_HOME),
            abi.encodePacked(ALICE, receiver, amount, uint8(1), least)
        );
        vm.assertEq(bridge.outbound(sequence), keccak256(packet), "the packet that was sent");
        native_.announce(packet);
        crossings.push(Crossing(isCoin, amount, least, sequence, ALICE, receiver, packet));
    }

    /// @notice A relayer delivers one, with as much gas as it likes. The price of this moment decides.
    function relayOne(uint256 pick, uint256 gas_) external {
        if (crossings.length == 0) return;
        Crossing storage one_ = crossings[pick % crossings.length];
        uint8 before = native_.bridge().receipt(one_.sequence);
        uint256 out = native_.quote(one_.isCoin, one_.amount);
        bytes[] memory packets = new bytes[](1);
        packets[0] = one_.packet;
        bool done = native_.relay(packets, gas_ % 3 == 0 ? bound(gas_, 30_000, 1_500_000) : 8_000_000);
        uint8 outcome = native_.bridge().receipt(one_.sequence);
        if (!done || before != 0) {
            vm.assertEq(outcome, before, "nothing happened");
        } else if (block.timestamp <= _deadline(one_.packet)) {
            vm.assertEq(outcome, out >= one_.least ? 1 : 2, "the price decides, and nobody else");
            if (outcome == 1) {
                vm.assertEq(native_.has(!one_.isCoin, one_.receiver), out, "what the pool gave");
                ++swapped;
            } else {
                ++refused;
            }
        } else {
            vm.assertEq(outcome, 2, "late");
        }
    }

    /// @notice A relayer delivers a run of them at once: each moves the price for the next.
    function relayMany(uint256 from, uint256 count, uint256 gas_) external {
        if (crossings.length == 0) return;
        from %= crossings.length;
        count = bound(count, 1, crossings.length - from);
        if (count > 5) count = 5;
        bytes[] memory packets = new bytes[](count);
        for (uint256 i = 0; i < count; ++i) {
            packets[i] = crossings[from + i].packet;
        }
        native_.relay(packets, gas_ % 3 == 0 ? bound(gas_, 30_000, 4_000_000) : 20_000_000);
    }

    function movePrice(bool buys, uint256 part) external {
        native_.trade(buys, bound(part, 1, 500));
    }

    /// @notice A thief moves the price, delivers, and moves it back: still one outcome, and at least the least.
    function sandwich(uint256 pick, bool buys) external {
        native_.trade(buys, 1_000);
        this.relayOne(pick, 1);
        native_.trade(!buys, 500);
    }

    function passTime(uint256 by) external {
        vm.warp(block.timestamp + bound(by, 1, 40 minutes));
    }

    /// @notice A relayer brings what expired on the native chain home, where it is refunded.
    function bringHome() external {
        bytes[] memory expired = native_.bridge().expired();
        if (carried == expired.length) return;
        uint64 from = uint64(native.length);
        for (uint256 i = 0; carried < expired.length && i < 8; ++carried) {
            expireThere(expired[carried]);
            ++i;
        }
        ++height;
        bridge.deliver(certified(), itemsFrom(from));
    }

    /// @notice ALICE swaps on the native chain, and what comes of it crosses.
    function swapAndSend(bool isCoin, uint256 part, uint64 lifetime) external {
        uint64 deadline = uint64(block.timestamp + bound(lifetime, 1, 3 hours));
        (uint64 sequence, uint256 out) = native_.swapAndSend(isCoin, bound(part, 1, 300), deadline);
        if (sequence == 0) return;
        leavings.push(Leaving(!isCoin, out, nativeSequence));
        if (isCoin) sendPointsHere(BOB, out, deadline);
        else sendCoinHere(BOB, out, deadline);
    }

    /// @notice A relayer brings one of those to Ethereum, late perhaps; then it is refunded over there.
    function arrive(uint256 pick) external {
        if (leavings.length == 0) return;
        Leaving storage one_ = leavings[pick % leavings.length];
        uint64 sequence = uint64(pick % leavings.length) + 1;
        for (uint64 i = 0; i < native.length; ++i) {
            if (uint64(bytes8(cutFront(cut(native[i], 26), 18))) == one_.native) deliver(i);
        }
        if (bridge.receipt(one_.native) == 2 && !native_.bridge().refunded(sequence)) {
            native_.refund(sequence);
        }
    }

    function attack(uint256 how, uint256 pick) external {
        if (crossings.length == 0) return;
        Crossing storage one_ = crossings[pick % crossings.length];
        native_.attack(how, one_.packet, THIEF);
        native_.deliverPast(one_.packet, one_.sequence);
    }

    /// @notice Reverts unless each ended at most once and nothing is anywhere where it should not be.
    function check() external {
        native_.check();
        assertSolvent();
        vm.assertEq(native_.has(true, THIEF) + native_.has(false, THIEF), 0, "the thief has nothing there");
        vm.assertEq(coin.balanceOf(THIEF) + points.balanceOf(THIEF), 0, "nor here");
        (uint256 coinsAway, uint256 pointsAway) = (0, 0);
        for (uint256 i = 0; i < crossings.length; ++i) {
            Crossing storage one_ = crossings[i];
            uint8 outcome = native_.bridge().receipt(one_.sequence);
            bool isRefunded = bridge.outbound(one_.sequence) == bytes32(uint256(1));
            uint256 got = native_.has(!one_.isCoin, one_.receiver);
            vm.assertFalse(outcome == 1 && isRefunded, "never received and refunded");
            vm.assertTrue(!isRefunded || outcome == 2, "no refund without an expiry");
            vm.assertEq(outcome == 1, got != 0, "received is swapped");
            vm.assertTrue(got == 0 || got >= one_.least, "never less than the least");
            vm.assertEq(native_.has(one_.isCoin, one_.receiver), 0, "and never unswapped");
            if (outcome != 1 && !isRefunded) {
                if (one_.isCoin) coinsAway += one_.amount;
                else pointsAway += one_.amount;
            }
        }
        for (uint256 i = 0; i < leavings.length; ++i) {
            Leaving storage one_ = leavings[i];
            bool isBack = native_.bridge().refunded(uint64(i + 1));
            bool isReceived = bridge.receipt(one_.native) == 1;
            vm.assertFalse(isBack && isReceived, "never received and refunded, this way too");
            if (!isBack && !isReceived) {
                if (one_.isCoin) coinsAway += one_.amount;
                else pointsAway += one_.amount;
            }
        }
        vm.assertEq(
            bridge.locked(address(coin)), native_.made() + coinsAway, "coin: locked == made + in flight"
        );
        vm.assertEq(
            native_.locked(),
            bridge.minted(address(points)) + pointsAway,
            "points: locked == made + in flight"
        );
    }

    /// @notice Late, all of it: afterwards each has ended, and nothing is in flight.
    function settleEverything() external {
        vm.warp(block.timestamp + 4 hours);
        for (uint256 i = 0; i < crossings.length; ++i) {
            this.relayOne(i, 1);
        }
        for (uint256 i = 0; i < crossings.length / 8 + 1; ++i) {
            this.bringHome();
        }
        for (uint256 i = 0; i < leavings.length; ++i) {
            this.arrive(i);
        }
        for (uint256 i = 0; i < crossings.length; ++i) {
            bool isReceived = native_.bridge().receipt(crossings[i].sequence) == 1;
            bool isRefunded = bridge.outbound(crossings[i].sequence) == bytes32(uint256(1));
            vm.assertTrue(isReceived != isRefunded, "received xor refunded");
        }
        vm.assertEq(bridge.locked(address(coin)), native_.made(), "no coin is in flight");
        vm.assertEq(native_.locked(), bridge.minted(address(points)), "no point is in flight");
    }

    function _deadline(bytes memory packet) private pure returns (uint64) {
        return uint64(bytes8(cutFront(cut(packet, 34), 26)));
    }
}
