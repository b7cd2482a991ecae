// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {Native} from "../src/exchange/Native.sol";
import {ExchangeWorld} from "./kit/ExchangeWorld.sol";
import {Naive} from "./kit/Naive.sol";

/// @notice Random people trade, provide, withdraw, pay, give, wait.
contract PoolHandler is ExchangeWorld {
    address[3] private people = [ALICE, BOB, address(0xca401)];
    /// @dev Each change of the reserves: from which second on the price was what.
    uint256[] private times;
    uint256[] private prices;
    uint256 public givenPoints;
    uint256 public givenCoins;
    /// @dev sqrt would round: the product of the reserves, and the shares, after the last action.
    uint256 private product;
    uint256 private supply;
    uint256 private seen;

    constructor() {
        setUp();
        for (uint256 i = 0; i < 3; ++i) {
            fund(people[i], 1e12, 1e22);
        }
        vm.prank(ALICE);
        POOL.provide(1e10, 1e20, 0, ALICE, EVER);
        _after();
    }

    function trade(uint256 who, uint256 amount, uint256 how) external {
        address person = people[who % 3];
        bool buys = how % 2 == 0;
        uint256 has = buys ? POINTS.balanceOf(person) : person.balance;
        amount = bound(amount, 0, how % 16 < 2 ? has : has / 64);
        address tokenIn = buys ? Native.POINTS : Native.COIN;
        vm.startPrank(person);
        if (how % 4 < 2) {
            try POOL.quoteExactIn(tokenIn, amount) returns (uint256 out, uint256) {
                vm.assertEq(POOL.exactIn(tokenIn, amount, out, person, EVER), out, "as quoted");
            } catch {}
        } else {
            (uint256 reserve0, uint256 reserve1) = POOL.reserves();
            uint256 out = bound(amount, 1, (buys ? reserve1 : reserve0) / 4 + 1);
            try POOL.quoteExactOut(tokenIn, out) returns (uint256 cost, uint256) {
                if (cost <= has && out > 0) POOL.exactOut(tokenIn, out, cost, person, EVER);
            } catch {}
        }
        vm.stopPrank();
        _after();
    }

    function pay(uint256 who, uint256 amount) external {
        address person = people[who % 3];
        (uint256 reserve0,) = POOL.reserves();
        amount = bound(amount, 1, reserve0 / 8 + 1);
        (uint256 cost,) = amount < reserve0 ? POOL.quoteExactOut(Native.COIN, amount) : (EVER, 0);
        if (cost > person.balance) return;
        vm.prank(person);
        POOL.payExactPoints{value: cost}(people[(who % 3 + 1) % 3], amount, cost, bytes32(amount), EVER);
        _after();
    }

    function provide(uint256 who, uint256 amount0, uint256 amount1) external {
        address person = people[who % 3];
        amount0 = bound(amount0, 0, POINTS.balanceOf(person) / 4);
        amount1 = bound(amount1, 0, person.balance / 4);
        vm.startPrank(person);
        try POOL.quoteProvide(amount0, amount1) returns (uint256, uint256, uint256 shares) {
            POOL.provide(amount0, amount1, shares, person, EVER);
        } catch {}
        vm.stopPrank();
        _after();
    }

    function withdraw(uint256 who, uint256 shares) external {
        address person = people[who % 3];
        shares = bound(shares, 0, POOL.balanceOf(person));
        vm.startPrank(person);
        try POOL.quoteWithdraw(shares) returns (uint256 amount0, uint256 amount1) {
            POOL.withdraw(shares, amount0, amount1, person, EVER);
        } catch {}
        vm.stopPrank();
        _after();
    }

    function give(uint256 who, uint256 amount) external {
        address person = people[who % 3];
        uint256 points = bound(amount, 0, POINTS.balanceOf(person) / 8);
        uint256 coins = bound(amount >> 128, 0, person.balance / 8);
        vm.startPrank(person);
        POINTS.transfer(Native.POOL, points);
        COIN.transfer(Native.POOL, coins);
        vm.stopPrank();
        (givenPoints, givenCoins) = (givenPoints + points, givenCoins + coins);
        _after();
    }

    function wait_(uint256 by, uint256 long) external {
        vm.warp(block.timestamp + bound(by, 1, long % 4 == 0 ? 20 days : 20));
    }

    /// @notice Reverts unless the books, the shares and a window's average are right.
    function check(uint256 window) external {
        assertBooks(givenPoints, givenCoins);
        uint256 points = POINTS.balanceOf(Native.POOL);
        uint256 coins = Native.POOL.balance;
        uint256 shares = POOL.balanceOf(POOL.LOCK());
        for (uint256 i = 0; i < 3; ++i) {
            points += POINTS.balanceOf(people[i]);
            coins += people[i].balance;
            shares += POOL.balanceOf(people[i]);
        }
        vm.assertEq(points, 3e12, "no point made or lost");
        vm.assertEq(coins, 3e22, "no coin made or lost");
        vm.assertEq(shares, POOL.totalSupply(), "all shares are somebody's");
        uint256 watched = POOL.watched();
        if (watched == 0) return;
        window = bound(window, 1, watched < 100 days ? watched : 100 days);
        (uint256 price,) = POOL.average(window);
        vm.assertEq(price, _naive(window), "the average is the naive one");
    }

    /// @dev Second by second for as long as the counted price moves.
    function _naive(uint256 window) private view returns (uint256) {
        return Naive.average(times, prices, window);
    }

    /// @dev Value per share, sqrt(product) / supply, compared as a fraction of whole numbers: products stay
    /// below 2^43 * 2^76, shares below 2^60, so nothing overflows.
    function _after() private {
        (uint256 reserve0, uint256 reserve1) = POOL.reserves();
        (uint256 nextProduct, uint256 nextSupply) = (reserve0 * reserve1, POOL.totalSupply());
        if (supply != 0) {
            vm.assertLe(
                product * nextSupply * nextSupply,
                nextProduct * supply * supply,
                "a share is never worth less"
            );
        }
        (product, supply) = (nextProduct, nextSupply);
        // Only what changes the reserves is seen by the pool.
        if (nextProduct == seen) return;
        seen = nextProduct;
        times.push(block.timestamp);
        prices.push((reserve0 << 96) / reserve1);
    }
}

/// @dev Whatever people do, providers lose nothing to anybody's arithmetic and the average is exact.
contract PoolInvariantTest is ExchangeWorld {
    /// @dev What forge asks a test for.
    struct FuzzSelector {
        address addr;
        bytes4[] selectors;
    }

    PoolHandler private handler;

    function setUp() public override {
        handler = new PoolHandler();
    }

    function targetContracts() external view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(handler);
    }

    function targetSelectors() external view returns (FuzzSelector[] memory targets) {
        targets = new FuzzSelector[](1);
        bytes4[] memory selectors = new bytes4[](6);
        selectors[0] = PoolHandler.trade.selector;
        selectors[1] = PoolHandler.pay.selector;
        selectors[2] = PoolHandler.provide.selector;
        selectors[3] = PoolHandler.withdraw.selector;
        selectors[4] = PoolHandler.give.selector;
        selectors[5] = PoolHandler.wait_.selector;
        targets[0] = FuzzSelector(address(handler), selectors);
    }

    function invariant_nothingIsLostAndTheAverageIsExact() public {
        (uint256 reserve0, uint256 reserve1) = POOL.reserves();
        handler.check(uint256(keccak256(abi.encode(reserve0, reserve1, block.timestamp))));
    }
}
