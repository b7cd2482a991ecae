// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {Authority} from "../../src/access/Authority.sol";
import {QuarterlyRewards} from "../../src/rewards/QuarterlyRewards.sol";
import {Reserve} from "../../src/rewards/Reserve.sol";
import {MileVerseCoin} from "../../src/tokens/MileVerseCoin.sol";
import {World} from "./World.sol";

/// @notice A world whose reserved tranche funds quarterly rewards, deployed in the order that works.
abstract contract RewardsWorld is World {
    uint256 internal constant SUPPLY = 3_000_000_000 ether;
    uint256 internal constant POT = 4_500_000 ether;
    uint256 internal constant RESERVED = 960_000_000 ether;
    /// @dev Never earns.
    address internal constant TREASURY = address(0x72ea);
    uint256 internal constant TREASURED = 540_000_000 ether;
    /// @dev 2027Q1 holds NOW.
    uint64 internal constant FIRST = 8_108;
    uint256 internal constant FIRST_ENDS = 1_806_505_200;

    Reserve internal reserve;
    QuarterlyRewards internal rewards;
    /// @dev Where the rewards will be.
    address private next;

    function setUp() public virtual override {
        vm.chainId(ETHEREUM);
        vm.warp(NOW);
        uint256 nonce = vm.getNonce(address(this));
        // Reserve, coin, authority, bridge, rewards.
        next = vm.computeCreateAddress(address(this), nonce + 4);
        reserve = new Reserve(MileVerseCoin(vm.computeCreateAddress(address(this), nonce + 1)), rewardsOf());
        MileVerseCoin.Share[] memory shares = new MileVerseCoin.Share[](3);
        shares[0] = MileVerseCoin.Share(address(reserve), RESERVED);
        shares[1] = MileVerseCoin.Share(TREASURY, TREASURED);
        shares[2] = MileVerseCoin.Share(ALICE, SUPPLY - RESERVED - TREASURED);
        coin = new MileVerseCoin(shares);
        bridge = bridgeFor(coin);
        client = bridge.lightClient();
        points = bridge.points();
        authority = Authority(bridge.authority());
        rewards = new QuarterlyRewards(coin, reserve, bridge, address(authority), _treasury());
        vm.assertEq(address(rewards), next, "where it was expected");
        vm.prank(ALICE);
        coin.approve(address(bridge), type(uint256).max);
    }

    function rewardsOf() internal view override returns (address) {
        return next;
    }

    /// @dev The governor announces a change of the list, waits, and makes it.
    function governList(bytes memory call) internal {
        announceList(call);
        vm.warp(block.timestamp + DELAY);
        enactList(call);
    }

    function announceList(bytes memory call) internal {
        vm.prank(GOVERNOR);
        authority.schedule(address(rewards), call, 0);
    }

    function enactList(bytes memory call) internal {
        vm.prank(GOVERNOR);
        authority.execute(address(rewards), call);
    }

    function give(address from, address to, uint256 amount) internal {
        vm.prank(from);
        assert(coin.transfer(to, amount));
    }

    function _treasury() internal pure returns (address[] memory list) {
        list = new address[](1);
        list[0] = TREASURY;
    }
}
