// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {OracleErrors} from "../src/errors/ExchangeErrors.sol";
import {Native} from "../src/exchange/Native.sol";
import {ExchangeWorld} from "./kit/ExchangeWorld.sol";
import {Naive} from "./kit/Naive.sol";

/// @dev Averages by the pool's queue against averages by adding up, and every reason to refuse a price.
contract OracleTest is ExchangeWorld {
    uint256 private constant POINTS_IN = 100_000_000 * POINT;
    uint256 private constant COINS_IN = 1_000_000 * COIN_ONE;
    uint256 private constant PRICE_BITS = 96;

    /// @dev A change of the reserves: from this second on they were these.
    struct Change {
        uint256 time;
        uint256 reserve0;
        uint256 reserve1;
    }

    Change[] private changes;

    function test_oneLongPrice() public {
        open(POINTS_IN, COINS_IN);
        vm.warp(NOW + 100 days);
        (uint256 price, uint256 depth) = POOL.average(100 days);
        vm.assertEq(price, POOL.spot(), "nothing happened");
        vm.assertTrue(depth >= POINTS_IN && depth <= POINTS_IN + POINTS_IN / 1e20 + 1, "all the time so deep");
        vm.assertEq(ORACLE.coinPrice(90 days), 100 * POINT - 1, "100 points for a coin, rounded down");
    }

    /// @dev Half an hour at 100, then a trade that raises the price by 0.9 %: the mean, to the second.
    function test_twoPricesAreWeighedBySeconds() public {
        open(POINTS_IN, COINS_IN);
        fund(BOB, 1e15, 0);
        uint256 one = POOL.spot();
        vm.warp(NOW + 1_800);
        buyCoins(BOB, 450_000 * POINT);
        uint256 two = POOL.spot();
        (uint256 price,) = POOL.average(1_800);
        vm.assertEq(price, one, "a trade of this second counts from the next one on");
        vm.warp(NOW + 1_801);
        (price,) = POOL.average(1_800);
        vm.assertEq(price, (one * 1_799 + two) / 1_800, "one second of it");
        vm.warp(NOW + 3_600);
        (price,) = POOL.average(3_600);
        vm.assertEq(price, (one + two) / 2, "half and half");
        (price,) = POOL.average(1_800);
        vm.assertEq(price, two, "only the new one");
    }

    /// @dev A hundredfold price for a second counts as 1 % more; one that stays is followed.
    function test_aSpikeHardlyCounts() public {
        open(POINTS_IN, COINS_IN);
        fund(BOB, 1e18, 0);
        uint256 one = POOL.spot();
        vm.warp(NOW + 1_800);
        uint256 coins = buyCoins(BOB, 9 * POINTS_IN);
        uint256 high = POOL.spot();
        vm.assertTrue(high > 99 * one, "a hundredfold");
        vm.warp(NOW + 1_801);
        uint256 snapshot = vm.snapshotState();
        sellCoins(BOB, coins);
        (uint256 price,) = POOL.average(1_800);
        vm.assertEq(price, (one * 1_800 + one / 100) / 1_800, "1 % of a second");
        assert(vm.revertToState(snapshot));
        vm.warp(NOW + 1_800 + 2);
        (price,) = POOL.average(1);
        vm.assertEq(price, one + one / 100 * 2, "two steps");
        vm.warp(NOW + 1_800 + 9_910);
        (price,) = POOL.average(1);
        vm.assertEq(price, high, "there");
        // And down again, from the high price: a step is 1 % of that.
        sellCoins(BOB, coins);
        uint256 low = POOL.spot();
        vm.warp(block.timestamp + 1);
        (price,) = POOL.average(1);
        vm.assertEq(price, high - high / 100, "down by a step");
        vm.warp(block.timestamp + 99);
        (price,) = POOL.average(1);
        vm.assertEq(price, low, "and down to what it is");
    }

    function test_tooYoung() public {
        vm.expectRevert(abi.encodeWithSelector(OracleErrors.PriceTooYoung.selector, 1_800, 0));
        ORACLE.coinPrice(1_800);
        open(POINTS_IN, COINS_IN);
        vm.warp(NOW + 1_799);
        vm.expectRevert(abi.encodeWithSelector(OracleErrors.PriceTooYoung.selector, 1_800, 1_799));
        ORACLE.coinPrice(60);
        vm.warp(NOW + 1_800);
        ORACLE.coinPrice(60);
        vm.expectRevert(abi.encodeWithSelector(OracleErrors.PriceTooYoung.selector, 90 days, 1_800));
        ORACLE.coinPrice(90 days);
        uint256[3] memory bad = [uint256(0), 100 days + 1, EVER];
        for (uint256 i = 0; i < 3; ++i) {
            vm.expectRevert(abi.encodeWithSelector(OracleErrors.WindowOutOfRange.selector, bad[i]));
            ORACLE.coinPrice(bad[i]);
        }
    }

    /// @dev Thin for the window's first part and very deep for its last second is still thin.
    function test_tooThinAndAMomentOfPlentyDoesNotHelp() public {
        open(1_000_000 * POINT, 10_000 * COIN_ONE);
        fund(BOB, 1e18, 1e28);
        vm.warp(NOW + 1_799);
        vm.prank(BOB);
        POOL.provide(100_000_000_000 * POINT, 1_000_000_000 * COIN_ONE, 0, BOB, EVER);
        vm.warp(NOW + 1_800);
        (, uint256 depth) = POOL.average(1_800);
        vm.assertLe(depth, 1_001_000 * POINT, "the harmonic mean");
        vm.expectRevert(
            abi.encodeWithSelector(OracleErrors.PriceTooThin.selector, depth, ORACLE.LEAST_DEPTH())
        );
        ORACLE.coinPrice(1_800);
        vm.warp(NOW + 3_600);
        ORACLE.coinPrice(1_800);
    }

    /// @dev The same second's price does not move the average; it only has it refused.
    function test_tooFar() public {
        open(POINTS_IN, COINS_IN);
        fund(BOB, 1e15, 0);
        vm.warp(NOW + 1_800);
        buyCoins(BOB, 2_400_000 * POINT);
        ORACLE.coinPrice(1_800);
        buyCoins(BOB, 200_000 * POINT);
        uint256 spot = POOL.spot() * COIN_ONE >> PRICE_BITS;
        vm.expectRevert(abi.encodeWithSelector(OracleErrors.PriceTooFar.selector, spot, 100 * POINT - 1));
        ORACLE.coinPrice(1_800);
        // The new price lasts: in time it is the average.
        vm.warp(NOW + 3_700);
        vm.assertEq(ORACLE.coinPrice(1_800), spot, "the market has moved");
    }

    /// @dev Years of trades: no entry that a window of 100 days reaches is ever lost, older ones go.
    function test_theQueueKeepsAHundredDays() public {
        open(POINTS_IN, COINS_IN);
        fund(BOB, 1e16, 0);
        _note();
        for (uint256 i = 0; i < 60; ++i) {
            vm.warp(block.timestamp + 3 days);
            buyCoins(BOB, 1_000_000 * POINT);
            _note();
            uint256 watched = POOL.watched();
            vm.assertTrue(watched >= (i < 33 ? (i + 1) * 3 days : 100 days), "far enough back");
            vm.assertLe(watched, 103 days, "and no further than needed");
        }
        vm.warp(block.timestamp + 3);
        _compare(100 days);
        _compare(90 days);
        // A burst fills the queue faster than it empties; two old ones go with each new one.
        vm.warp(block.timestamp + 101 days);
        for (uint256 i = 0; i < 24; ++i) {
            vm.warp(block.timestamp + 1);
            buyCoins(BOB, POINT);
            _note();
        }
        vm.assertLe(POOL.watched(), 102 days, "caught up");
        _compare(100 days);
    }

    /// @dev Random trades, several in a second or none for days, and any window.
    function testFuzz_averageIsTheNaiveOne(uint256[20] calldata moves, uint256[6] calldata windows) public {
        open(POINTS_IN, COINS_IN);
        fund(BOB, 1e16, 1e26);
        _note();
        for (uint256 i = 0; i < moves.length; ++i) {
            uint256 move = moves[i];
            uint256[4] memory pauses = [uint256(0), 1, 600, 9 days];
            vm.warp(block.timestamp + bound(move >> 8, 0, pauses[move % 4]));
            if (move & 4 == 0) buyCoins(BOB, bound(move >> 64, 1e6, 1e13));
            else sellCoins(BOB, bound(move >> 64, 1e12, 1e23));
            _note();
        }
        vm.warp(block.timestamp + windows[0] % 2 days);
        uint256 most = POOL.watched() < 100 days ? POOL.watched() : 100 days;
        for (uint256 i = 0; i < windows.length && most > 0; ++i) {
            _compare(bound(windows[i], 1, most));
        }
        if (most > 0) _compare(most);
    }

    function _note() private {
        (uint256 reserve0, uint256 reserve1) = POOL.reserves();
        changes.push(Change(block.timestamp, reserve0, reserve1));
    }

    /// @dev By adding up what held when.
    function _compare(uint256 window) private {
        uint256 start = block.timestamp - window;
        uint256[] memory times = new uint256[](changes.length);
        uint256[] memory prices = new uint256[](changes.length);
        uint256 thinnesses = 0;
        for (uint256 i = 0; i < changes.length; ++i) {
            times[i] = changes[i].time;
            prices[i] = (changes[i].reserve0 << PRICE_BITS) / changes[i].reserve1;
            uint256 end = i + 1 < changes.length ? changes[i + 1].time : block.timestamp;
            uint256 from = changes[i].time < start ? start : changes[i].time;
            if (end <= from) continue;
            thinnesses += (uint256(1) << 128) / changes[i].reserve0 * (end - from);
        }
        (uint256 price, uint256 depth) = POOL.average(window);
        vm.assertEq(price, Naive.average(times, prices, window), "the average");
        vm.assertEq(depth, (window << 128) / thinnesses, "the depth");
    }
}
