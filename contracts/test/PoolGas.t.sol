// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {ExchangeErrors} from "../src/errors/ExchangeErrors.sol";
import {Native} from "../src/exchange/Native.sol";
import {Observations} from "../src/exchange/Observations.sol";
import {ExchangeWorld} from "./kit/ExchangeWorld.sol";

/// @notice Notes prices with nothing around it.
contract Notebook {
    using Observations for Observations.Queue;

    Observations.Queue private _queue;

    function note(uint256 price) external returns (uint256) {
        uint256 left = gasleft();
        _queue.note(price, price);
        return left - gasleft();
    }
}

/// @dev What a call of the pool needs of gas is the same in a second with a price noted as in one without.
contract PoolGasTest is ExchangeWorld {
    function setUp() public override {
        super.setUp();
        open(100_000_000 * POINT, 1_000_000 * COIN_ONE);
        fund(BOB, 1e24, 1e33);
        // In use, with entries that no window reaches any more.
        for (uint256 i = 0; i < 200; ++i) {
            vm.warp(block.timestamp + 13 hours);
            buyCoins(BOB, 1_000 * POINT);
        }
    }

    function test_notingTakesLessThanWhatIsKeptForIt() public {
        Notebook book = new Notebook();
        uint256 most;
        for (uint256 i = 0; i < 40; ++i) {
            // Some close together, then a pause after which all of them are to be deleted.
            vm.warp(block.timestamp + (i % 20 == 19 ? 101 days : 1));
            vm.cool(address(book));
            uint256 taken = book.note(1e30 + i * 1e29);
            most = taken > most ? taken : most;
        }
        vm.assertTrue(most < POOL.NOTE_GAS(), "kept for noting a price");
        vm.assertTrue(most * 5 > POOL.NOTE_GAS() * 4, "and not far too much");
    }

    function test_aCallNeedsTheSameGasInEverySecond() public {
        vm.startPrank(BOB);
        bytes[6] memory calls = [
            abi.encodeCall(POOL.exactIn, (Native.POINTS, 1_000 * POINT, 0, BOB, EVER)),
            abi.encodeCall(POOL.exactOut, (Native.POINTS, COIN_ONE, EVER, BOB, EVER)),
            abi.encodeCall(POOL.payExactPoints, (SHOP, 10 * POINT, COIN_ONE, "bill", EVER)),
            abi.encodeCall(POOL.provide, (1_000 * POINT, 1_000 * COIN_ONE, 0, BOB, EVER)),
            abi.encodeCall(POOL.withdraw, (1e6, 0, 0, BOB, EVER)),
            // The permit is none; BOB's allowance is there.
            abi.encodeCall(POOL.exactOutWithPermit, (Native.POINTS, COIN_ONE, EVER, BOB, EVER, 27, 0, 0))
        ];
        POOL.provide(1_000 * POINT, 1_000 * COIN_ONE, 0, BOB, EVER);
        vm.warp(block.timestamp + 1);
        for (uint256 i = 0; i < calls.length; ++i) {
            uint256 value = i == 2 ? COIN_ONE : 0;
            uint256 first = leastGas(Native.POOL, calls[i], value);
            uint256 snapshot = vm.snapshotState();
            POOL.exactIn(Native.POINTS, 1_000 * POINT, 0, BOB, EVER);
            uint256 later = leastGas(Native.POOL, calls[i], value);
            // An estimate in either second suffices in the other, with what a wallet adds for less than that.
            vm.assertTrue(first <= later + later / 100, "tried after a trade, sent before one");
            vm.assertTrue(later <= first + first / 100, "tried before a trade, sent after one");
            vm.assertTrue(tryWith(Native.POOL, calls[i], value, later), "enough");
            assert(vm.revertToState(snapshot));
        }
        vm.stopPrank();
    }

    function test_tooLittleGasIsRefusedByName() public {
        vm.startPrank(BOB);
        POOL.exactIn(Native.POINTS, 1_000 * POINT, 0, BOB, EVER);
        bytes memory call = abi.encodeCall(POOL.exactIn, (Native.POINTS, 1_000 * POINT, 0, BOB, EVER));
        vm.cool(Native.POOL);
        (bool done, bytes memory why) = Native.POOL.call{gas: 150_000}(call);
        vm.assertTrue(!done && bytes4(why) == ExchangeErrors.GasTooLittle.selector, "by name");
        vm.stopPrank();
    }
}
