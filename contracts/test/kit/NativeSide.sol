// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {RouterErrors} from "../../src/errors/RouterErrors.sol";
import {INativeBridge, Native} from "../../src/exchange/Native.sol";
import {BridgeModel} from "./NativeBridge.sol";
import {RouterWorld} from "./RouterWorld.sol";

/// @notice The native chain beside the real Ethereum bridge: its own pool and router as they are, its modules as
/// models. All its coin came over the bridge.
contract NativeSide is RouterWorld {
    uint256 public constant TRADER_POINTS = 1e13;

    constructor() {
        setUp();
    }

    /// @notice ALICE, to whom coin came, opens the pool with half of it; the rest moves the price.
    function begin(bytes memory packet, uint256 points) external {
        BRIDGE.announce(packet);
        deliver(packet);
        uint256 coins = ALICE.balance / 2;
        POINTS.make(ALICE, points + TRADER_POINTS);
        vm.prank(ALICE);
        POINTS.approve(Native.POOL, EVER);
        vm.prank(ALICE);
        POINTS.approve(Native.ROUTER, EVER);
        vm.prank(ALICE);
        POOL.provide{value: coins}(points, coins, 0, ALICE, EVER);
    }

    function announce(bytes memory packet) external {
        BRIDGE.announce(packet);
    }

    /// @notice Somebody delivers these with so much gas. Short of it, or not: answers whether it was done.
    function relay(bytes[] memory packets, uint256 gas_) external returns (bool done) {
        bytes memory why;
        (done, why) = Native.ROUTER.call{gas: gas_}(delivery(packets));
        if (!done && gas_ > 2_000_000) {
            vm.assertEq(
                bytes32(bytes4(why)), bytes32(RouterErrors.GasTooLittle.selector), "only for want of gas"
            );
        }
    }

    /// @notice ALICE trades, and the price moves.
    function trade(bool buys, uint256 part) external {
        uint256 owned = buys ? POINTS.balanceOf(ALICE) : ALICE.balance;
        uint256 amount = owned * part / 10_000;
        address token = buys ? Native.POINTS : Native.COIN;
        try POOL.quoteExactIn(token, amount) returns (uint256, uint256) {}
        catch {
            return;
        }
        vm.prank(ALICE);
        POOL.exactIn{value: buys ? 0 : amount}(token, amount, 0, ALICE, EVER);
    }

    /// @notice ALICE swaps, and what comes of it goes to Ethereum; no sequence if nothing would come of it.
    function swapAndSend(bool isCoin, uint256 part, uint64 deadline)
        external
        returns (uint64 sequence, uint256 out)
    {
        address token = isCoin ? Native.COIN : Native.POINTS;
        uint256 amount = balance(token, ALICE) * part / 10_000;
        try POOL.quoteExactIn(token, amount) returns (uint256 expected, uint256) {
            uint256 before = balance(token, ALICE);
            vm.prank(ALICE);
            (out, sequence) = ROUTER.swapAndSend{value: isCoin ? amount : 0}(
                token, amount, expected, uint64(block.timestamp), BOB, deadline
            );
            vm.assertEq(out, expected, "as quoted");
            vm.assertEq(before - balance(token, ALICE), amount, "exactly what was given");
        } catch {}
    }

    /// @notice What the pool would give for a packet's tokens now; zero if nothing.
    function quote(bool isCoin, uint256 amount) public view returns (uint256 out) {
        try POOL.quoteExactIn(isCoin ? Native.COIN : Native.POINTS, amount) returns (uint256 out_, uint256) {
            out = out_;
        } catch {}
    }

    /// @notice A thief tries what only the router may, and to bring in what was never sent.
    function attack(uint256 how, bytes memory packet, address thief) external {
        INativeBridge.Opened memory loot = INativeBridge.Opened(1, Native.COIN, 1, thief, 0);
        bytes[5] memory calls = [
            abi.encodeCall(BRIDGE.settle, (uint64(how), how % 2 == 0)),
            abi.encodeCall(ROUTER.swapOpened, (loot)),
            delivery(one(flipped(packet, how % packet.length))),
            abi.encodeCall(ROUTER.release, (packet)),
            abi.encodeCall(ROUTER.swapAndSend, (Native.POINTS, 1e6, 1, SOON, thief, type(uint64).max))
        ];
        how %= 5;
        address target = how == 0 ? Native.BRIDGE : Native.ROUTER;
        vm.prank(thief);
        (bool good,) = target.call(calls[how]);
        vm.assertFalse(good, "a thief gets nowhere");
    }

    /// @notice A thief delivers past the router: a swap is decided only by the pool.
    function deliverPast(bytes memory packet, uint64 sequence) external {
        uint8 before = BRIDGE.receipt(sequence);
        (bool good,) = Native.BRIDGE
            .call(abi.encodeCall(BRIDGE.deliver, (CHECKPOINT, new bytes[](2), items(one(packet)))));
        uint8 outcome = BRIDGE.receipt(sequence);
        vm.assertTrue(outcome == before || (good && before == 0 && outcome == 2), "late, or as it was");
    }

    function refund(uint64 sequence) external {
        BRIDGE.refund(sequence);
    }

    function bridge() external pure returns (BridgeModel) {
        return BRIDGE;
    }

    /// @notice What an account has of a token, points or coin.
    function has(bool isCoin, address account) external view returns (uint256) {
        return balance(isCoin ? Native.COIN : Native.POINTS, account);
    }

    /// @notice Coin that the bridge has made here.
    function made() external view returns (uint256) {
        return SUPPLY - Native.BRIDGE.balance;
    }

    /// @notice Points that the bridge holds here.
    function locked() external view returns (uint256) {
        return POINTS.balanceOf(Native.BRIDGE);
    }

    /// @notice Reverts unless the router is empty and the pool's books are right.
    function check() external {
        assertRouterEmpty(0, 0);
        assertBooks(0, 0);
    }
}
