// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {INativeBridge, Native} from "../../src/exchange/Native.sol";
import {SwapRouter} from "../../src/exchange/SwapRouter.sol";
import {Packet} from "../../src/libraries/Packet.sol";
import {ExchangeWorld} from "./ExchangeWorld.sol";
import {BridgeModel, ExactCoin} from "./NativeBridge.sol";

/// @notice The exchange, the router, and a modelled bridge module.
abstract contract RouterWorld is ExchangeWorld {
    uint64 internal constant NATIVE = 46_226;
    uint64 internal constant ETHEREUM = 31_337;
    address internal constant RELAYER = address(0x4e1a);
    address internal constant ETHEREUM_COIN = address(0xc0117);
    uint64 internal constant SOON = uint64(NOW + 1 hours);
    uint64 internal constant CHECKPOINT = 7;
    uint256 internal constant SUPPLY = 1e30;

    BridgeModel internal constant BRIDGE = BridgeModel(Native.BRIDGE);
    SwapRouter internal constant ROUTER = SwapRouter(Native.ROUTER);

    uint64 internal nextSequence = 1;

    function setUp() public virtual override {
        super.setUp();
        vm.etch(Native.BRIDGE, address(new BridgeModel()).code);
        vm.etch(Native.ROUTER, address(new SwapRouter()).code);
        vm.etch(Native.COIN, address(new ExactCoin()).code);
        // Points that left for Ethereum before, and the coin that is still there.
        POINTS.make(Native.BRIDGE, SUPPLY);
        vm.deal(Native.BRIDGE, SUPPLY);
    }

    /// @dev ALICE sends coin or points from Ethereum, to be swapped for BOB; a checkpoint proves it.
    function swapHere(address token, address receiver, uint256 amount, uint256 least, uint64 deadline)
        internal
        returns (bytes memory packet)
    {
        packet = Packet.encodeSwap(_transferHere(token, receiver, amount, deadline), least);
        BRIDGE.announce(packet);
    }

    function plainHere(address token, address receiver, uint256 amount, uint64 deadline)
        internal
        returns (bytes memory packet)
    {
        packet = Packet.encode(_transferHere(token, receiver, amount, deadline));
        BRIDGE.announce(packet);
    }

    function items(bytes[] memory packets) internal pure returns (INativeBridge.StorageItem[] memory out) {
        out = new INativeBridge.StorageItem[](packets.length);
        for (uint256 i = 0; i < packets.length; ++i) {
            out[i] = INativeBridge.StorageItem(packets[i], new bytes[](3));
        }
    }

    function one(bytes memory packet) internal pure returns (bytes[] memory packets) {
        packets = new bytes[](1);
        packets[0] = packet;
    }

    /// @dev The call that delivers these.
    function delivery(bytes[] memory packets) internal pure returns (bytes memory) {
        return abi.encodeCall(ROUTER.deliver, (CHECKPOINT, new bytes[](2), items(packets)));
    }

    function deliver(bytes memory packet) internal {
        deliverAll(one(packet));
    }

    function deliverAll(bytes[] memory packets) internal {
        vm.prank(RELAYER);
        ROUTER.deliver(CHECKPOINT, new bytes[](2), items(packets));
    }

    function otherOf(address token) internal pure returns (address) {
        return token == Native.COIN ? Native.POINTS : Native.COIN;
    }

    function balance(address token, address account) internal view returns (uint256) {
        return token == Native.COIN ? account.balance : POINTS.balanceOf(account);
    }

    /// @dev Beside what was given to it.
    function assertRouterEmpty(uint256 givenPoints, uint256 givenCoins) internal {
        vm.assertEq(POINTS.balanceOf(Native.ROUTER), givenPoints, "no points stay in the router");
        vm.assertEq(Native.ROUTER.balance, givenCoins, "no coins stay in the router");
        vm.assertEq(POINTS.allowance(Native.ROUTER, Native.POOL), 0, "nor an allowance");
        vm.assertEq(BRIDGE.opened().length, 0, "nothing is open");
    }

    function _transferHere(address token, address receiver, uint256 amount, uint64 deadline)
        private
        returns (Packet.Transfer memory)
    {
        bool isCoin = token == Native.COIN;
        return Packet.Transfer({
            source: ETHEREUM,
            destination: NATIVE,
            sequence: nextSequence++,
            deadline: deadline,
            home: isCoin ? ETHEREUM : NATIVE,
            token: isCoin ? ETHEREUM_COIN : Native.POINTS,
            sender: ALICE,
            receiver: receiver,
            amount: amount,
            acknowledge: false
        });
    }
}
