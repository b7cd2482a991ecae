// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {INativeBridge, Native} from "../src/exchange/Native.sol";
import {SwapRouter} from "../src/exchange/SwapRouter.sol";
import {ExchangeWorld} from "./kit/ExchangeWorld.sol";
import {FlatBridge} from "./kit/NativeBridge.sol";

/// @dev What calls of the exchange cost in gas, and what moving its averages by 1 % costs in money, as
/// measured on the real code; against exchange.json, which `tools/gas` rewrites.
///
/// Gas is the execution alone, with cold storage, in a pool that has been in use, with models of the modules. The cost of
/// moving an average is told in parts of a million of the pool's points side, at the fair price, which is 100 points for a coin.
contract ExchangeFiguresTest is ExchangeWorld {
    string private constant FILE = "exchange.json";
    uint256 private constant SIDE = 100_000_000 * POINT;
    uint256 private constant COINS_IN = 1_000_000 * COIN_ONE;
    uint256 private constant MILLION = 1_000_000;
    uint256 private constant FINE = 1_000_000;

    string[14] private names = [
        "gas_exact_in_first_of_a_second",
        "gas_exact_in",
        "gas_pay_exact_points",
        "gas_provide",
        "gas_withdraw",
        "gas_average_30min",
        "gas_average_90days",
        "parts_per_million_to_hold_30min_higher_by_1_percent",
        "parts_per_million_to_hold_90days_higher_by_1_percent",
        "parts_per_billion_that_a_second_moves_30min_at_most",
        "seconds_a_tenfold_price_must_stand_to_move_30min_by_1_percent",
        "seconds_a_tenfold_price_must_stand_to_move_90days_by_1_percent",
        "gas_router_swap",
        "gas_router_swap_and_send"
    ];

    function setUp() public override {
        super.setUp();
        open(SIDE, COINS_IN);
        fund(BOB, 1e24, 1e33);
    }

    function test_figuresAreAsCommitted() public {
        uint256[14] memory found;
        uint256 snapshot = vm.snapshotState();
        _gas(found);
        assert(vm.revertToState(snapshot));
        uint256 push = _push();
        (found[7], found[8]) = (push * 30 minutes / FINE, push * 90 days / FINE);
        assert(vm.revertToState(snapshot));
        found[9] = _second();
        assert(vm.revertToState(snapshot));
        found[10] = _stand(30 minutes);
        assert(vm.revertToState(snapshot));
        found[11] = _stand(90 days);
        assert(vm.revertToState(snapshot));
        (found[12], found[13]) = _router();
        string memory json = "{";
        for (uint256 i = 0; i < found.length; ++i) {
            json = string.concat(json, i == 0 ? "\n" : ",\n", "  \"", names[i], "\": ", vm.toString(found[i]));
        }
        json = string.concat(json, "\n}\n");
        if (vm.envOr("MILEVERSE_GAS", false)) {
            vm.writeFile(FILE, json);
        }
        vm.assertEq(json, vm.readFile(FILE), "exchange.json is what this run finds; tools/gas rewrites it");
    }

    function _gas(uint256[14] memory found) private {
        // A pool with 2,000 entries of 100 days, old ones to be deleted, everybody's slots in use.
        for (uint256 i = 0; i < 2_000; ++i) {
            vm.warp(block.timestamp + 1 hours + 13 minutes);
            buyCoins(BOB, 1_000 * POINT);
            sellCoins(BOB, 10 * COIN_ONE);
        }
        vm.warp(block.timestamp + 1);
        vm.startPrank(BOB);
        vm.cool(Native.POOL);
        POOL.exactIn(Native.POINTS, 1_000 * POINT, 0, BOB, EVER);
        found[0] = vm.lastCallGas().gasTotalUsed;
        vm.cool(Native.POOL);
        POOL.exactIn(Native.POINTS, 1_000 * POINT, 0, BOB, EVER);
        found[1] = vm.lastCallGas().gasTotalUsed;
        vm.cool(Native.POOL);
        POOL.payExactPoints{value: COIN_ONE}(SHOP, 10 * POINT, COIN_ONE, "bill", EVER);
        found[2] = vm.lastCallGas().gasTotalUsed;
        vm.cool(Native.POOL);
        POOL.provide(1_000 * POINT, 1_000 * COIN_ONE, 0, BOB, EVER);
        found[3] = vm.lastCallGas().gasTotalUsed;
        vm.cool(Native.POOL);
        POOL.withdraw(1e9, 0, 0, BOB, EVER);
        found[4] = vm.lastCallGas().gasTotalUsed;
        vm.warp(block.timestamp + 1);
        vm.cool(Native.POOL);
        POOL.average(30 minutes);
        found[5] = vm.lastCallGas().gasTotalUsed;
        vm.cool(Native.POOL);
        POOL.average(90 days);
        found[6] = vm.lastCallGas().gasTotalUsed;
        vm.stopPrank();
    }

    /// @dev The router's gas and the pool's, without the bridge module's: the dearer of the two ways, as the
    /// first change of a second.
    function _router() private returns (uint256 swap, uint256 swapAndSend) {
        vm.etch(Native.ROUTER, address(new SwapRouter()).code);
        POINTS.make(Native.ROUTER, 1_000 * POINT);
        vm.deal(Native.ROUTER, COIN_ONE);
        vm.prank(BOB);
        POINTS.approve(Native.ROUTER, EVER);
        SwapRouter router = SwapRouter(Native.ROUTER);
        INativeBridge.StorageItem[] memory none = new INativeBridge.StorageItem[](0);
        for (uint256 i = 0; i < 2; ++i) {
            (address token, uint256 amount) =
                i == 0 ? (Native.COIN, COIN_ONE) : (Native.POINTS, 1_000 * POINT);
            vm.etch(Native.BRIDGE, address(new FlatBridge(token, amount, BOB)).code);
            _later();
            router.deliver(1, new bytes[](0), none);
            uint256 used = vm.lastCallGas().gasTotalUsed;
            swap = used > swap ? used : swap;
            _later();
            vm.prank(BOB);
            router.swapAndSend{value: i == 0 ? amount : 0}(token, amount, 1, uint64(NOW * 2), BOB, 1);
            used = vm.lastCallGas().gasTotalUsed;
            swapAndSend = used > swapAndSend ? used : swapAndSend;
        }
    }

    function _later() private {
        vm.warp(block.timestamp + 1);
        vm.cool(Native.POOL);
        vm.cool(Native.ROUTER);
    }

    /// @dev The highest price that the pool can have, for a second.
    function _second() private returns (uint256) {
        vm.warp(NOW + 30 minutes);
        uint256 fair = POOL.spot();
        buyCoins(BOB, 1e23);
        vm.warp(NOW + 30 minutes + 1);
        (uint256 price,) = POOL.average(30 minutes);
        return (price - fair) * 1e9 / fair;
    }

    /// @dev How long nobody may answer a tenfold price until the average is 1 % higher.
    function _stand(uint256 window) private returns (uint256) {
        vm.warp(NOW + window);
        uint256 fair = POOL.spot();
        buyCoins(BOB, SIDE * 21_690 / 10_000); // sqrt(10) - 1, and the fee
        vm.assertTrue(POOL.spot() >= 10 * fair && POOL.spot() * 10 <= 101 * fair, "tenfold");
        (uint256 low, uint256 high) = (0, window);
        while (high - low > 1) {
            uint256 middle = (low + high) / 2;
            vm.warp(NOW + window + middle);
            (uint256 price,) = POOL.average(window);
            if (price * 100 >= fair * 101) high = middle;
            else low = middle;
        }
        return high;
    }

    /// @dev What one second at a price 1 % higher costs when somebody takes it back at once, times FINE. To
    /// hold it there against everybody is to pay that in every second.
    function _push() private returns (uint256) {
        (uint256 coinsBefore, uint256 pointsBefore) = (BOB.balance, POINTS.balanceOf(BOB));
        uint256 fair = POOL.spot();
        buyCoins(BOB, SIDE * 5_003 / 1_000_000); // (sqrt(1.01) - 1), and the fee
        vm.warp(NOW + 1);
        (uint256 moved,) = POOL.average(1);
        vm.assertEq(moved, fair + fair / 100, "higher by 1 %");
        return _parts(pointsBefore - POINTS.balanceOf(BOB), BOB.balance - coinsBefore);
    }

    /// @dev What was lost at the fair price of 100 points, in parts of a million of the points side.
    function _parts(uint256 pointsSpent, uint256 coinsGot) private pure returns (uint256) {
        uint256 value = coinsGot * 100 * POINT / COIN_ONE;
        return pointsSpent > value ? (pointsSpent - value) * MILLION * FINE / SIDE : 0;
    }
}
