// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {TokenErrors} from "../src/errors/TokenErrors.sol";
import {Lockup} from "../src/tokens/Lockup.sol";
import {MileVerseCoin} from "../src/tokens/MileVerseCoin.sol";
import {WrappedPoints} from "../src/tokens/WrappedPoints.sol";
import {Test} from "./kit/Test.sol";

contract TokensTest is Test {
    uint256 private constant SUPPLY = 3_000_000_000 ether;
    uint64 private constant START = 1_800_000_000;
    uint256 private constant OWNER_SECRET = 0xa11ce;

    function test_coinIsMintedOnceToItsSixTranches() public {
        MileVerseCoin coin = new MileVerseCoin(_tranches());
        vm.assertEq(coin.name(), "MileVerse Coin", "name");
        vm.assertEq(coin.symbol(), "MVC", "symbol");
        vm.assertEq(coin.decimals(), 18, "decimals");
        vm.assertEq(coin.totalSupply(), SUPPLY, "supply");
        vm.assertEq(coin.SUPPLY(), SUPPLY, "declared supply");
        vm.assertEq(coin.balanceOf(address(1)), 900_000_000 ether, "sale");
        vm.assertEq(coin.balanceOf(address(2)), 450_000_000 ether, "team");
        vm.assertEq(coin.balanceOf(address(3)), 300_000_000 ether, "partner");
        vm.assertEq(coin.balanceOf(address(4)), 90_000_000 ether, "advisor");
        vm.assertEq(coin.balanceOf(address(5)), 300_000_000 ether, "marketing");
        vm.assertEq(coin.balanceOf(address(6)), 960_000_000 ether, "reserved");
    }

    function test_oneAccountMayOwnSeveralTranches() public {
        MileVerseCoin.Share[] memory shares = _tranches();
        shares[5].account = address(1);
        vm.assertEq(new MileVerseCoin(shares).balanceOf(address(1)), 1_860_000_000 ether, "both");
    }

    function test_aSumOffByOneIsRefused() public {
        MileVerseCoin.Share[] memory shares = _tranches();
        shares[0].amount -= 1;
        vm.expectRevert(abi.encodeWithSelector(TokenErrors.AllocationSum.selector, SUPPLY, SUPPLY - 1));
        new MileVerseCoin(shares);
        shares[0].amount += 2;
        vm.expectRevert(abi.encodeWithSelector(TokenErrors.AllocationSum.selector, SUPPLY, SUPPLY + 1));
        new MileVerseCoin(shares);
    }

    function test_aSumThatOverflowsIsRefused() public {
        MileVerseCoin.Share[] memory shares = new MileVerseCoin.Share[](2);
        shares[0] = MileVerseCoin.Share(address(1), type(uint256).max);
        shares[1] = MileVerseCoin.Share(address(2), SUPPLY + 1);
        vm.expectRevert();
        new MileVerseCoin(shares);
    }

    function test_aShareForNobodyIsRefused() public {
        MileVerseCoin.Share[] memory shares = _tranches();
        shares[3].account = address(0);
        vm.expectRevert(abi.encodeWithSelector(TokenErrors.AllocationAccountZero.selector, 3));
        new MileVerseCoin(shares);
    }

    function test_anAllocationHasOneToSixtyFourShares() public {
        vm.expectRevert(abi.encodeWithSelector(TokenErrors.AllocationSize.selector, 0));
        new MileVerseCoin(new MileVerseCoin.Share[](0));
        vm.expectRevert(abi.encodeWithSelector(TokenErrors.AllocationSize.selector, 65));
        new MileVerseCoin(new MileVerseCoin.Share[](65));
    }

    function test_permitGivesAnAllowanceOnce() public {
        vm.warp(START);
        MileVerseCoin coin = new MileVerseCoin(_tranches());
        address owner = vm.addr(OWNER_SECRET);
        bytes32 digest = keccak256(
            abi.encodePacked(
                hex"1901",
                coin.DOMAIN_SEPARATOR(),
                keccak256(
                    abi.encode(
                        keccak256(
                            "Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)"
                        ),
                        owner,
                        address(7),
                        5 ether,
                        0,
                        START
                    )
                )
            )
        );
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(OWNER_SECRET, digest);
        coin.permit(owner, address(7), 5 ether, START, v, r, s);
        vm.assertEq(coin.allowance(owner, address(7)), 5 ether, "allowance");
        vm.expectRevert();
        coin.permit(owner, address(7), 5 ether, START, v, r, s);
    }

    function test_onlyTheBridgeMakesAndDestroysPoints() public {
        WrappedPoints points = new WrappedPoints(address(this));
        vm.assertEq(points.name(), "MileVerse Points", "name");
        vm.assertEq(points.symbol(), "MVP", "symbol");
        vm.assertEq(points.decimals(), 6, "decimals");
        points.mint(address(1), 10);
        points.burn(address(1), 4);
        vm.assertEq(points.balanceOf(address(1)), 6, "balance");
        vm.assertEq(points.totalSupply(), 6, "supply");
        vm.prank(address(1));
        vm.expectRevert(abi.encodeWithSelector(TokenErrors.OnlyBridge.selector, address(1)));
        points.mint(address(1), 1);
        vm.prank(address(1));
        vm.expectRevert(abi.encodeWithSelector(TokenErrors.OnlyBridge.selector, address(1)));
        points.burn(address(1), 1);
    }

    function test_pointsNeedABridge() public {
        vm.expectRevert(TokenErrors.BridgeZero.selector);
        new WrappedPoints(address(0));
    }

    function test_lockupFreesTwoPercentEachMonth() public {
        (MileVerseCoin coin, Lockup lockup) = _locked();
        uint256 tranche = 90_000_000 ether;
        vm.warp(START - 1);
        vm.assertEq(lockup.releasable(address(coin)), 0, "before the start");
        vm.warp(START + 30 days - 1);
        vm.assertEq(lockup.releasable(address(coin)), 0, "a second before the first month's end");
        vm.warp(START + 30 days);
        vm.assertEq(lockup.releasable(address(coin)), tranche * 2 / 100, "first month");
        lockup.release(address(coin));
        vm.assertEq(coin.balanceOf(address(9)), tranche * 2 / 100, "released");
        vm.assertEq(lockup.releasable(address(coin)), 0, "once");
        vm.warp(START + 49 * 30 days);
        vm.assertEq(
            lockup.vestedAmount(address(coin), uint64(START + 49 * 30 days)), tranche * 98 / 100, "49"
        );
        vm.warp(START + 50 * 30 days);
        lockup.release(address(coin));
        vm.assertEq(coin.balanceOf(address(9)), tranche, "everything after fifty months");
    }

    function testFuzz_lockupOnlyGrowsAndNeverRunsAhead(uint64 early, uint64 late) public {
        (MileVerseCoin coin, Lockup lockup) = _locked();
        early = uint64(bound(early, START - 100 days, START + 2000 days));
        late = uint64(bound(late, early, START + 2000 days));
        uint256 before = lockup.vestedAmount(address(coin), early);
        uint256 later = lockup.vestedAmount(address(coin), late);
        vm.assertLe(before, later, "grows");
        uint256 elapsed = late > START ? late - START : 0;
        uint256 line = 90_000_000 ether * elapsed / 1500 days;
        vm.assertTrue(later <= line || later == 90_000_000 ether, "never ahead of the straight line");
    }

    function _locked() private returns (MileVerseCoin coin, Lockup lockup) {
        lockup = new Lockup(address(9), START);
        MileVerseCoin.Share[] memory shares = _tranches();
        shares[3].account = address(lockup);
        coin = new MileVerseCoin(shares);
    }

    function _tranches() private pure returns (MileVerseCoin.Share[] memory shares) {
        shares = new MileVerseCoin.Share[](6);
        uint256[6] memory percents = [uint256(30), 15, 10, 3, 10, 32];
        for (uint160 i = 0; i < 6; ++i) {
            shares[i] = MileVerseCoin.Share(address(i + 1), SUPPLY * percents[i] / 100);
        }
    }
}
