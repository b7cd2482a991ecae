// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IERC20Errors} from "@openzeppelin/contracts/interfaces/draft-IERC6093.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {Errors} from "@openzeppelin/contracts/utils/Errors.sol";
import {ExchangeErrors} from "../src/errors/ExchangeErrors.sol";
import {RouterErrors} from "../src/errors/RouterErrors.sol";
import {INativeBridge, Native} from "../src/exchange/Native.sol";
import {SwapRouter} from "../src/exchange/SwapRouter.sol";
import {ChargingPoints} from "./kit/ExchangeWorld.sol";
import {BridgeModel, CallingCoin, HostileReceiver} from "./kit/NativeBridge.sol";
import {RouterWorld} from "./kit/RouterWorld.sol";

/// @dev Swaps across the chains at the native end: what comes arrives swapped or goes home, what leaves is
/// swapped and sent or nothing happens, and the router keeps nothing.
contract SwapRouterTest is RouterWorld {
    uint256 private constant SIDE = 100_000_000 * POINT;
    uint256 private constant COINS_IN = 1_000_000 * COIN_ONE;
    bytes4 private constant AGAIN = ReentrancyGuardTransient.ReentrancyGuardReentrantCall.selector;

    function setUp() public override {
        super.setUp();
        open(SIDE, COINS_IN);
    }

    function test_coinArrivesAsPoints() public {
        uint256 amount = 250 * COIN_ONE;
        (uint256 out,) = POOL.quoteExactIn(Native.COIN, amount);
        bytes memory packet = swapHere(Native.COIN, BOB, amount, out, SOON);
        vm.expectEmit(true, true, true, true, Native.ROUTER);
        emit SwapRouter.Swapped(1, BOB, amount, out);
        deliver(packet);
        vm.assertEq(POINTS.balanceOf(BOB), out, "what the pool gives");
        vm.assertEq(BOB.balance, 0, "and no coin");
        vm.assertEq(BRIDGE.receipt(1), 1, "received");
        assertRouterEmpty(0, 0);
        assertBooks(0, 0);
        // Again: nothing.
        deliver(packet);
        vm.assertEq(POINTS.balanceOf(BOB), out, "once");
    }

    function test_pointsArriveAsCoin() public {
        uint256 amount = 25_000 * POINT;
        (uint256 out,) = POOL.quoteExactIn(Native.POINTS, amount);
        deliver(swapHere(Native.POINTS, BOB, amount, 1, SOON));
        vm.assertEq(BOB.balance, out, "what the pool gives");
        vm.assertEq(POINTS.balanceOf(BOB), 0, "and no points");
        vm.assertEq(BRIDGE.receipt(1), 1, "received");
        assertRouterEmpty(0, 0);
        assertBooks(0, 0);
    }

    /// @dev One unit less than is wanted, and all of it goes home.
    function test_aPriceThatMovedTooFarSendsItHome() public {
        address[2] memory tokens = [Native.COIN, Native.POINTS];
        for (uint64 i = 0; i < 2; ++i) {
            uint256 amount = i == 0 ? 250 * COIN_ONE : 25_000 * POINT;
            (uint256 out,) = POOL.quoteExactIn(tokens[i], amount);
            bytes memory packet = swapHere(tokens[i], BOB, amount, out + 1, SOON);
            vm.expectEmit(true, true, true, true, Native.ROUTER);
            emit SwapRouter.SwapRefused(i + 1, ExchangeErrors.TooLittleOut.selector);
            deliver(packet);
            vm.assertEq(BRIDGE.receipt(i + 1), 2, "expired");
            vm.assertEq(BRIDGE.expired()[i], packet, "the whole packet goes home");
            vm.assertEq(balance(otherOf(tokens[i]), BOB), 0, "nothing arrived");
            vm.assertEq(BRIDGE.received(tokens[i]), 0, "and nothing is counted");
            assertRouterEmpty(0, 0);
        }
        vm.assertEq(POINTS.balanceOf(Native.BRIDGE), SUPPLY, "all points are back");
        vm.assertEq(Native.BRIDGE.balance, SUPPLY, "all coins are back");
    }

    function test_lateAndBlockedAreExpiredByAnybody() public {
        bytes memory late = swapHere(Native.COIN, BOB, 1e18, 1, SOON);
        bytes memory blocked = swapHere(Native.COIN, Native.POINTS, 1e18, 1, SOON + 1);
        bytes memory router = swapHere(Native.COIN, Native.ROUTER, 1e18, 1, SOON + 1);
        vm.warp(SOON + 1);
        INativeBridge(Native.BRIDGE).deliver(CHECKPOINT, new bytes[](2), items(one(late)));
        INativeBridge(Native.BRIDGE).deliver(CHECKPOINT, new bytes[](2), items(one(blocked)));
        deliver(router);
        for (uint64 i = 1; i <= 3; ++i) {
            vm.assertEq(BRIDGE.receipt(i), 2, "expired");
        }
        assertRouterEmpty(0, 0);
    }

    /// @dev Even if the module let it through: what the router got, nobody could take out.
    function test_aReceiverThatCannotHaveItSendsItHome() public {
        bytes memory packet = swapHere(Native.COIN, Native.POOL, 1e18, 1, SOON);
        vm.expectEmit(true, true, true, true, Native.ROUTER);
        emit SwapRouter.SwapRefused(1, ExchangeErrors.ReceiverInvalid.selector);
        deliver(packet);
        vm.assertEq(BRIDGE.receipt(1), 2, "expired");
        vm.expectRevert(abi.encodeWithSelector(ExchangeErrors.ReceiverInvalid.selector, Native.ROUTER));
        vm.prank(Native.ROUTER);
        ROUTER.swapOpened(INativeBridge.Opened(9, Native.COIN, 1e18, Native.ROUTER, 1));
        assertRouterEmpty(0, 0);
    }

    /// @dev Plain transfers, swaps of both kinds, good ones and bad ones, one that is settled already.
    function test_aBatchSettlesEachForItself() public {
        bytes[] memory packets = new bytes[](7);
        packets[0] = plainHere(Native.COIN, BOB, 5, SOON);
        packets[1] = swapHere(Native.COIN, BOB, 10 * COIN_ONE, 1, SOON);
        packets[2] = swapHere(Native.COIN, BOB, 20 * COIN_ONE, type(uint256).max, SOON);
        packets[3] = swapHere(Native.POINTS, SHOP, 1_000 * POINT, 1, SOON);
        packets[4] = swapHere(Native.POINTS, SHOP, 2_000 * POINT, type(uint256).max, SOON);
        packets[5] = swapHere(Native.COIN, SHOP, 30 * COIN_ONE, 1, uint64(NOW - 1));
        packets[6] = packets[1];
        deliverAll(packets);
        uint8[6] memory outcomes = [1, 1, 2, 1, 2, 2];
        for (uint64 i = 0; i < 6; ++i) {
            vm.assertEq(BRIDGE.receipt(i + 1), outcomes[i], "each its own outcome");
        }
        vm.assertEq(BOB.balance, 5, "the plain one as it is");
        vm.assertTrue(POINTS.balanceOf(BOB) > 990 * POINT, "the first swap");
        vm.assertTrue(SHOP.balance > 9 * COIN_ONE, "the other way");
        vm.assertEq(BRIDGE.expired().length, 3, "three go home");
        assertRouterEmpty(0, 0);
        assertBooks(0, 0);
    }

    /// @dev Delivered past the router, a swap that could take effect reverts, and stays as it is.
    function test_onlyTheRouterOpensASwap() public {
        bytes memory packet = swapHere(Native.COIN, BOB, 1e18, 1, SOON);
        vm.expectRevert(abi.encodeWithSelector(BridgeModel.RouterNeeded.selector, 1));
        INativeBridge(Native.BRIDGE).deliver(CHECKPOINT, new bytes[](2), items(one(packet)));
        vm.assertEq(BRIDGE.receipt(1), 0, "no outcome");
        deliver(packet);
        vm.assertEq(BRIDGE.receipt(1), 1, "received");
    }

    function test_whatTheBridgeRefusesIsRefusedAsItSays() public {
        bytes memory unproven = swapHere(Native.COIN, BOB, 1e18, 1, SOON);
        unproven[133] ^= 0x01;
        vm.expectRevert(bytes("not proven"));
        deliver(unproven);
        vm.expectRevert(bytes("no packets"));
        deliverAll(new bytes[](0));
        vm.expectRevert(bytes("not held"));
        ROUTER.release(unproven);
    }

    function test_aLargeSwapWaitsAndIsReleased() public {
        BRIDGE.setLargeFrom(100 * COIN_ONE);
        bytes memory packet = swapHere(Native.COIN, BOB, 100 * COIN_ONE, 1, SOON);
        deliver(packet);
        vm.assertEq(BRIDGE.receipt(1), 0, "waits");
        vm.expectRevert(bytes("held"));
        ROUTER.release(packet);
        vm.warp(NOW + 6 hours); // its deadline no longer counts
        vm.expectRevert(abi.encodeWithSelector(BridgeModel.RouterNeeded.selector, 1));
        INativeBridge(Native.BRIDGE).release(packet);
        vm.prank(RELAYER);
        ROUTER.release(packet);
        vm.assertEq(BRIDGE.receipt(1), 1, "received");
        vm.assertTrue(POINTS.balanceOf(BOB) > 9_900 * POINT, "swapped");
        assertRouterEmpty(0, 0);
    }

    /// @dev At every amount of gas: nothing at all, or the outcome that plenty of it has.
    function testFuzz_tooLittleGasFeignsNothing(uint256 gas_, bool isGood, bool isCoin) public {
        address token = isCoin ? Native.COIN : Native.POINTS;
        uint256 amount = isCoin ? 3 * COIN_ONE : 300 * POINT;
        (uint256 out,) = POOL.quoteExactIn(token, amount);
        bytes memory packet = swapHere(token, BOB, amount, isGood ? out : out + 1, SOON);
        gas_ = bound(gas_, 30_000, 1_400_000);
        bytes memory call = delivery(one(packet));
        (bool done, bytes memory why) = Native.ROUTER.call{gas: gas_}(call);
        if (done) {
            vm.assertEq(BRIDGE.receipt(1), isGood ? 1 : 2, "its one outcome");
        } else {
            bool isNamed = bytes4(why) == RouterErrors.GasTooLittle.selector;
            vm.assertTrue(isNamed || gas_ < 700_000, "only before the router has control is it not named");
            vm.assertEq(BRIDGE.receipt(1), 0, "no outcome");
            vm.assertEq(balance(token, Native.BRIDGE), SUPPLY, "and nothing moved");
        }
        assertRouterEmpty(0, 0);
    }

    /// @dev However much the deliverer gives, each swap has the same.
    function test_eachSwapHasTheSameGas() public {
        HostileReceiver hostile = _hostile();
        bytes memory call = delivery(one(swapHere(Native.POINTS, address(hostile), POINT, 1, SOON)));
        uint256 same;
        uint256 count;
        for (uint256 gas_ = 300_000; gas_ < 6_000_000; gas_ += 97_531) {
            uint256 snapshot = vm.snapshotState();
            (bool done,) = Native.ROUTER.call{gas: gas_}(call);
            uint256 found = hostile.gas();
            assert(vm.revertToState(snapshot));
            if (!done) {
                vm.assertTrue(count == 0, "once enough, always enough");
                continue;
            }
            ++count;
            same = count == 1 ? found : same;
            vm.assertEq(found, same, "what the receiver was left with");
        }
        vm.assertTrue(count > 40 && same > 300_000 && same < ROUTER.SWAP_GAS(), "and enough");
    }

    /// @dev Gas of a whole batch may be short in the middle of it: then none of it happened.
    function test_aBatchShortOfGasIsUndoneWhole() public {
        bytes[] memory packets = new bytes[](6);
        for (uint256 i = 0; i < 6; ++i) {
            packets[i] = swapHere(Native.COIN, BOB, COIN_ONE, 1, SOON);
        }
        bytes memory call = delivery(packets);
        bool wasRefused;
        for (uint256 gas_ = 1_000_000; gas_ < 4_000_000; gas_ += 100_000) {
            uint256 snapshot = vm.snapshotState();
            (bool done, bytes memory why) = Native.ROUTER.call{gas: gas_}(call);
            if (!done) {
                // Named, unless the bridge itself ran out of it.
                bool isNamed = bytes4(why) == RouterErrors.GasTooLittle.selector;
                vm.assertTrue(isNamed || bytes4(why) == Errors.FailedCall.selector, "for want of gas");
                wasRefused = wasRefused || isNamed;
            }
            for (uint64 i = 1; i <= 6; ++i) {
                vm.assertEq(BRIDGE.receipt(i), done ? 1 : 0, "all or none");
            }
            assert(vm.revertToState(snapshot));
        }
        vm.assertTrue(wasRefused, "some were short");
    }

    function test_onlyTheRouterItselfSwapsWhatIsOpen() public {
        vm.expectRevert(abi.encodeWithSelector(RouterErrors.OnlyRouter.selector, address(this)));
        ROUTER.swapOpened(INativeBridge.Opened(1, Native.COIN, 1, address(this), 0));
        vm.expectRevert(bytes("only the router"));
        BRIDGE.settle(1, true);
    }

    /// @dev What is given to it changes nothing for anybody, and nobody gets it.
    function test_giftsStayAndDisturbNothing() public {
        fund(ALICE, 10 * POINT, 10 * COIN_ONE);
        vm.prank(ALICE);
        POINTS.transfer(Native.ROUTER, 7);
        vm.prank(ALICE);
        COIN.transfer(Native.ROUTER, 9);
        vm.prank(ALICE);
        (bool good,) = Native.ROUTER.call{value: 1}("");
        vm.assertFalse(good, "no plain coin");
        deliver(swapHere(Native.COIN, BOB, COIN_ONE, 1, SOON));
        deliver(swapHere(Native.POINTS, BOB, POINT, 1, SOON));
        deliver(swapHere(Native.POINTS, BOB, POINT, type(uint256).max, SOON));
        vm.assertEq(BRIDGE.receipt(1), 1, "received");
        vm.assertEq(BRIDGE.receipt(2), 1, "received");
        vm.assertEq(BRIDGE.receipt(3), 2, "expired");
        vm.prank(ALICE);
        ROUTER.swapAndSend{value: COIN_ONE}(Native.COIN, COIN_ONE, 1, SOON, BOB, SOON);
        assertRouterEmpty(7, 9);
    }

    /// @dev On a network whose genesis file exempts neither pool nor router from the points' own fee, all goes
    /// home, also where a gift would pay that fee.
    function test_withoutTheExemptionNothingIsSwapped() public {
        vm.etch(Native.POINTS, address(new ChargingPoints()).code);
        POINTS.make(Native.ROUTER, 1_000 * POINT);
        deliver(swapHere(Native.POINTS, BOB, 100 * POINT, 1, SOON));
        deliver(swapHere(Native.COIN, BOB, COIN_ONE, 1, SOON));
        vm.assertEq(BRIDGE.receipt(1), 2, "points expire");
        vm.assertEq(BRIDGE.receipt(2), 2, "coin expires");
        assertRouterEmpty(1_000 * POINT, 0);
        assertBooks(0, 0);
        fund(ALICE, 0, COIN_ONE);
        (uint256 out,) = POOL.quoteExactIn(Native.COIN, COIN_ONE);
        vm.expectRevert(
            abi.encodeWithSelector(
                ExchangeErrors.AmountMoved.selector, Native.POINTS, out, out + out * 30 / 10_000
            )
        );
        vm.prank(ALICE);
        ROUTER.swapAndSend{value: COIN_ONE}(Native.COIN, COIN_ONE, 1, SOON, BOB, SOON);
        vm.assertEq(ALICE.balance, COIN_ONE, "nothing happened");
    }

    /// @dev A module that does not let the outcome be told: all of the swap is undone, and it goes home.
    function test_aSwapWhoseReceiptFailsIsUndone() public {
        uint256 before = POINTS.balanceOf(Native.POOL);
        vm.mockCallRevert(
            Native.BRIDGE,
            abi.encodeCall(BRIDGE.settle, (1, true)),
            abi.encodeWithSignature("Error(string)", "no")
        );
        bytes memory packet = swapHere(Native.COIN, BOB, COIN_ONE, 1, SOON);
        vm.expectEmit(true, true, true, true, Native.ROUTER);
        emit SwapRouter.SwapRefused(1, bytes4(keccak256("Error(string)")));
        deliver(packet);
        vm.clearMockedCalls();
        vm.assertEq(BRIDGE.receipt(1), 2, "expired");
        vm.assertEq(POINTS.balanceOf(BOB), 0, "nothing arrived");
        vm.assertEq(POINTS.balanceOf(Native.POOL), before, "nothing was traded");
        assertRouterEmpty(0, 0);
        assertBooks(0, 0);
    }

    // Receivers that run code. The chain's modules call nobody; these tests are of a chain that did.

    function test_hostile_nobodyEntersTwice() public {
        HostileReceiver hostile = _hostile();
        bytes memory first = swapHere(Native.POINTS, address(hostile), 100 * POINT, 1, SOON);
        bytes memory second = swapHere(Native.POINTS, BOB, 100 * POINT, 1, SOON);
        INativeBridge.Opened memory mine = INativeBridge.Opened(1, Native.POINTS, 1, BOB, 0);
        bytes[4] memory again = [
            delivery(one(second)),
            abi.encodeCall(ROUTER.release, (second)),
            abi.encodeCall(ROUTER.swapAndSend, (Native.COIN, 0, 0, SOON, BOB, SOON)),
            abi.encodeCall(ROUTER.swapAndSendWithPermit, (0, 0, SOON, BOB, SOON, 27, bytes32(0), bytes32(0)))
        ];
        uint256 snapshot = vm.snapshotState();
        for (uint256 i = 0; i < 4; ++i) {
            hostile.arm(Native.ROUTER, again[i], false, false);
            deliver(first);
            vm.assertFalse(hostile.good(), "not again");
            vm.assertEq(hostile.answer(), abi.encodeWithSelector(AGAIN), "and that is why");
            vm.assertEq(BRIDGE.receipt(1), 1, "the first is received");
            vm.assertEq(BRIDGE.receipt(2), 0, "the second waits");
            assert(vm.revertToState(snapshot));
        }
        hostile.arm(Native.ROUTER, abi.encodeCall(ROUTER.swapOpened, (mine)), false, false);
        deliver(first);
        vm.assertFalse(hostile.good(), "nor from within");
        hostile.arm(Native.BRIDGE, abi.encodeCall(BRIDGE.settle, (1, false)), false, false);
        assert(vm.revertToState(snapshot));
        hostile.arm(Native.BRIDGE, abi.encodeCall(BRIDGE.settle, (1, false)), false, false);
        deliver(first);
        vm.assertFalse(hostile.good(), "nor past the router");
        vm.assertEq(BRIDGE.receipt(1), 1, "received");
        assertRouterEmpty(0, 0);
    }

    /// @dev Refusing, or burning all gas: refunded at home, and those beside it are not disturbed.
    function test_hostile_aReceiverThatRefusesHarmsItself() public {
        HostileReceiver hostile = _hostile();
        for (uint256 i = 0; i < 2; ++i) {
            hostile.arm(address(0), "", true, i == 1);
            uint64 from = nextSequence;
            bytes[] memory packets = new bytes[](3);
            packets[0] = swapHere(Native.POINTS, BOB, 100 * POINT, 1, SOON);
            packets[1] = swapHere(Native.POINTS, address(hostile), 100 * POINT, 1, SOON);
            packets[2] = swapHere(Native.POINTS, BOB, 100 * POINT, 1, SOON);
            deliverAll(packets);
            vm.assertEq(BRIDGE.receipt(from), 1, "before");
            vm.assertEq(BRIDGE.receipt(from + 1), 2, "refused");
            vm.assertEq(BRIDGE.receipt(from + 2), 1, "behind");
            vm.assertEq(address(hostile).balance, 0, "it has nothing");
            assertRouterEmpty(0, 0);
            assertBooks(0, 0);
        }
    }

    /// @dev It gives the router something in the middle of its own swap: the module sees more than there was,
    /// and only this packet goes home.
    function test_hostile_aGiftInTheMiddleWedgesNothing() public {
        HostileReceiver hostile = _hostile();
        POINTS.make(address(hostile), 5);
        hostile.arm(Native.POINTS, abi.encodeCall(POINTS.transfer, (Native.ROUTER, 5)), false, false);
        bytes[] memory packets = new bytes[](2);
        packets[0] = swapHere(Native.POINTS, address(hostile), 100 * POINT, 1, SOON);
        packets[1] = swapHere(Native.POINTS, BOB, 100 * POINT, 1, SOON);
        deliverAll(packets);
        vm.assertEq(BRIDGE.receipt(1), 2, "its own goes home");
        vm.assertEq(BRIDGE.receipt(2), 1, "the other arrives");
        assertRouterEmpty(0, 0); // the gift is undone, too
    }

    /// @dev From within a call of the pool every swap would fail: nobody's outcome is decided there.
    function test_hostile_aBusyPoolDecidesNothing() public {
        HostileReceiver hostile = _hostile();
        bytes memory victim = swapHere(Native.POINTS, BOB, 100 * POINT, 1, SOON);
        fund(address(hostile), 100 * POINT, 0);
        hostile.arm(Native.ROUTER, delivery(one(victim)), false, false);
        vm.prank(address(hostile));
        POOL.exactIn(Native.POINTS, 100 * POINT, 1, address(hostile), EVER);
        vm.assertFalse(hostile.good(), "refused");
        vm.assertEq(
            hostile.answer(), abi.encodeWithSelector(RouterErrors.PoolBusy.selector), "for that reason"
        );
        vm.assertEq(BRIDGE.receipt(1), 0, "no outcome");
        deliver(victim);
        vm.assertEq(BRIDGE.receipt(1), 1, "received later");
        assertRouterEmpty(0, 0);
    }

    // To Ethereum.

    function test_coinIsSwappedAndLeavesAsPoints() public {
        fund(ALICE, 0, 250 * COIN_ONE);
        (uint256 expected,) = POOL.quoteExactIn(Native.COIN, 250 * COIN_ONE);
        vm.expectEmit(true, true, true, true, Native.ROUTER);
        emit SwapRouter.SwappedAndSent(1, ALICE, Native.COIN, 250 * COIN_ONE, expected);
        vm.prank(ALICE);
        (uint256 out, uint64 sequence) = ROUTER.swapAndSend{value: 250 * COIN_ONE}(
            Native.COIN, 250 * COIN_ONE, expected, uint64(NOW), BOB, SOON
        );
        vm.assertEq(out, expected, "what the pool gives");
        _assertSent(sequence, Native.POINTS, expected);
        vm.assertEq(ALICE.balance, 0, "all of it was given");
        assertRouterEmpty(0, 0);
        assertBooks(0, 0);
    }

    function test_pointsAreSwappedAndLeaveAsCoin() public {
        fund(ALICE, 25_000 * POINT, 0);
        (uint256 expected,) = POOL.quoteExactIn(Native.POINTS, 25_000 * POINT);
        vm.prank(ALICE);
        POINTS.approve(Native.ROUTER, 25_000 * POINT);
        vm.prank(ALICE);
        (uint256 out, uint64 sequence) =
            ROUTER.swapAndSend(Native.POINTS, 25_000 * POINT, expected, uint64(NOW), BOB, SOON);
        vm.assertEq(out, expected, "what the pool gives");
        _assertSent(sequence, Native.COIN, expected);
        vm.assertEq(POINTS.balanceOf(ALICE), 0, "no fee of the points on the way");
        assertRouterEmpty(0, 0);
        assertBooks(0, 0);
    }

    /// @dev The packet does not use up what the pool needs in a second in which it notes a price.
    function test_aCallNeedsTheSameGasInEverySecond() public {
        fund(ALICE, 0, 10 * COIN_ONE);
        bytes memory call = _swapAndSend(Native.COIN, COIN_ONE, 1, SOON, BOB, SOON);
        vm.startPrank(ALICE);
        POOL.exactIn{value: COIN_ONE}(Native.COIN, COIN_ONE, 0, ALICE, SOON);
        vm.warp(block.timestamp + 1);
        uint256 first = leastGas(Native.ROUTER, call, COIN_ONE);
        POOL.exactIn{value: COIN_ONE}(Native.COIN, COIN_ONE, 0, ALICE, SOON);
        uint256 later = leastGas(Native.ROUTER, call, COIN_ONE);
        vm.assertTrue(first <= later + later / 50, "tried after a trade, sent before one");
        vm.assertTrue(later <= first + first / 50, "tried before a trade, sent after one");
        // Neither is what merely the trade keeps: with that the packet would find too little.
        (bool done, bytes memory why) = Native.ROUTER.call{gas: later - POOL.NOTE_GAS() / 2, value: COIN_ONE}(call);
        vm.assertFalse(done, "too little");
        vm.assertEq(bytes4(why), ExchangeErrors.GasTooLittle.selector, "by name");
        vm.stopPrank();
    }

    function test_pointsWithAPermit() public {
        uint256 key = 0xa11ce5;
        address owner = vm.addr(key);
        POINTS.make(owner, 100 * POINT);
        (uint8 v, bytes32 r, bytes32 s) = _permit(key, owner, 60 * POINT, SOON);
        vm.prank(owner);
        (uint256 out,) = ROUTER.swapAndSendWithPermit(60 * POINT, 1, SOON, BOB, SOON, v, r, s);
        vm.assertTrue(out > 0, "swapped");
        vm.assertEq(POINTS.balanceOf(owner), 40 * POINT, "as many as signed");
        // Whoever sees the next one uses it first; it works all the same.
        (v, r, s) = _permit(key, owner, 40 * POINT, SOON);
        POINTS.permit(owner, Native.ROUTER, 40 * POINT, SOON, v, r, s);
        vm.prank(owner);
        ROUTER.swapAndSendWithPermit(40 * POINT, 1, SOON, BOB, SOON, v, r, s);
        vm.assertEq(POINTS.balanceOf(owner), 0, "all of it");
        // Somebody else's permit is nobody's.
        (v, r, s) = _permit(key, owner, POINT, SOON);
        vm.expectRevert(
            abi.encodeWithSelector(IERC20Errors.ERC20InsufficientAllowance.selector, Native.ROUTER, 0, POINT)
        );
        vm.prank(BOB);
        ROUTER.swapAndSendWithPermit(POINT, 1, SOON, BOB, SOON, v, r, s);
        assertRouterEmpty(0, 0);
    }

    /// @dev Whatever refuses, the pool or the bridge: the caller has what he had.
    function test_allOrNothing() public {
        fund(ALICE, 100 * POINT, 10 * COIN_ONE);
        (uint256 out,) = POOL.quoteExactIn(Native.COIN, COIN_ONE);
        bytes[9] memory calls = [
            _swapAndSend(Native.COIN, COIN_ONE, out + 1, SOON, BOB, SOON),
            _swapAndSend(Native.COIN, COIN_ONE, 1, uint64(NOW - 1), BOB, SOON),
            _swapAndSend(Native.COIN, COIN_ONE, 1, SOON, address(0), SOON),
            _swapAndSend(Native.COIN, COIN_ONE, 1, SOON, BOB, uint64(NOW)),
            _swapAndSend(Native.COIN, COIN_ONE + 1, 1, SOON, BOB, SOON), // other value
            _swapAndSend(Native.COIN, COIN_ONE - 1, 1, SOON, BOB, SOON),
            _swapAndSend(Native.POINTS, POINT, 1, SOON, BOB, SOON), // value with points
            _swapAndSend(Native.POOL, COIN_ONE, 1, SOON, BOB, SOON),
            _swapAndSend(address(0), COIN_ONE, 1, SOON, BOB, SOON)
        ];
        for (uint256 i = 0; i < 9; ++i) {
            vm.prank(ALICE);
            (bool done,) = Native.ROUTER.call{value: COIN_ONE}(calls[i]);
            vm.assertFalse(done, "refused");
        }
        // Without a value, without an allowance, of nothing, and while the bridge lets nothing out.
        vm.prank(ALICE);
        (bool good,) = Native.ROUTER.call(_swapAndSend(Native.COIN, 0, 0, SOON, BOB, SOON));
        vm.assertFalse(good, "nothing");
        vm.prank(ALICE);
        (good,) = Native.ROUTER.call(_swapAndSend(Native.POINTS, POINT, 1, SOON, BOB, SOON));
        vm.assertFalse(good, "no allowance");
        vm.prank(ALICE);
        POINTS.approve(Native.ROUTER, 100 * POINT);
        BRIDGE.setShut(true);
        vm.expectRevert(bytes("the limit of this hour is reached"));
        vm.prank(ALICE);
        ROUTER.swapAndSend(Native.POINTS, POINT, 1, SOON, BOB, SOON);
        vm.assertEq(POINTS.balanceOf(ALICE), 100 * POINT, "all points");
        vm.assertEq(ALICE.balance, 10 * COIN_ONE, "all coins");
        vm.assertEq(BRIDGE.sentCount(), 0, "nothing left");
        assertRouterEmpty(0, 0);
        assertBooks(0, 0);
    }

    /// @dev Nobody can swap with another's allowance or permit.
    function test_onlyTheCallersOwn() public {
        fund(ALICE, 100 * POINT, 0);
        vm.prank(ALICE);
        POINTS.approve(Native.ROUTER, type(uint256).max);
        vm.prank(BOB);
        vm.expectRevert(
            abi.encodeWithSelector(IERC20Errors.ERC20InsufficientAllowance.selector, Native.ROUTER, 0, POINT)
        );
        ROUTER.swapAndSend(Native.POINTS, POINT, 1, SOON, BOB, SOON);
    }

    /// @dev It has no other entrance, and no word of storage.
    function test_nothingElseIsThere() public {
        vm.record();
        deliver(swapHere(Native.COIN, BOB, COIN_ONE, 1, SOON));
        deliver(swapHere(Native.POINTS, BOB, POINT, type(uint256).max, SOON));
        fund(ALICE, 0, COIN_ONE);
        vm.prank(ALICE);
        ROUTER.swapAndSend{value: COIN_ONE}(Native.COIN, COIN_ONE, 1, SOON, BOB, SOON);
        (bytes32[] memory reads, bytes32[] memory writes) = vm.accesses(Native.ROUTER);
        vm.assertEq(reads.length + writes.length, 0, "no storage");
        string[8] memory words = [
            "owner()",
            "sweep(address)",
            "withdraw(address,uint256)",
            "call(address,bytes)",
            "multicall(bytes[])",
            "settle(uint64,bool)",
            "send(address,address,uint256,uint64)",
            "exactIn(address,uint256,uint256,address,uint256)"
        ];
        for (uint256 i = 0; i < words.length; ++i) {
            (bool good,) = Native.ROUTER
                .call(
                    abi.encodePacked(
                        bytes4(keccak256(bytes(words[i]))), abi.encode(address(this), 1, 64, 0, 1)
                    )
                );
            vm.assertFalse(good, words[i]);
        }
    }

    function _swapAndSend(
        address token,
        uint256 amount,
        uint256 least,
        uint64 deadline,
        address receiver,
        uint64 packetDeadline
    ) private pure returns (bytes memory) {
        return abi.encodeCall(ROUTER.swapAndSend, (token, amount, least, deadline, receiver, packetDeadline));
    }

    function _hostile() private returns (HostileReceiver) {
        vm.etch(Native.COIN, address(new CallingCoin()).code);
        return new HostileReceiver();
    }

    function _assertSent(uint64 sequence, address token, uint256 amount) private {
        BridgeModel.Sent memory sent = BRIDGE.sent(sequence);
        vm.assertEq(sent.token, token, "the other token");
        vm.assertEq(sent.amount, amount, "all of it");
        vm.assertEq(sent.receiver, BOB, "to whom it was meant");
        vm.assertEq(sent.sender, ALICE, "the caller has the refund");
        vm.assertEq(sent.deadline, SOON, "until when");
    }

    function _permit(uint256 key, address owner, uint256 amount, uint256 deadline)
        private
        returns (uint8 v, bytes32 r, bytes32 s)
    {
        bytes32 words = keccak256(
            abi.encode(
                keccak256(
                    "Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)"
                ),
                owner,
                Native.ROUTER,
                amount,
                POINTS.nonces(owner),
                deadline
            )
        );
        return vm.sign(key, keccak256(abi.encodePacked(hex"1901", POINTS.DOMAIN_SEPARATOR(), words)));
    }
}
