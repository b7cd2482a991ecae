// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {TokenErrors} from "../src/errors/TokenErrors.sol";
import {Quarter} from "../src/libraries/Quarter.sol";
import {MileVerseCoin} from "../src/tokens/MileVerseCoin.sol";
import {Test} from "./kit/Test.sol";

/// @dev What MVC remembers of balances at the quarters' closes.
contract CheckpointsTest is Test {
    uint256 private constant SUPPLY = 3_000_000_000 ether;
    uint256 private constant NOW = 1_800_000_000;
    uint256 private constant FIRST = 8_108;
    address private constant ALICE = address(0xa11ce);
    address private constant BOB = address(0xb0b);

    MileVerseCoin private coin;

    function setUp() public {
        vm.warp(NOW);
        MileVerseCoin.Share[] memory shares = new MileVerseCoin.Share[](1);
        shares[0] = MileVerseCoin.Share(ALICE, SUPPLY);
        coin = new MileVerseCoin(shares);
    }

    function test_whatWasHeldWhenAQuarterClosedStays() public {
        _send(ALICE, BOB, 10);
        _closeOf(FIRST);
        _expect(FIRST, ALICE, SUPPLY - 10);
        _expect(FIRST, BOB, 10);
        // The first second after the end counts to the next quarter, and so do all others.
        _send(BOB, ALICE, 3);
        _send(ALICE, BOB, 7);
        _expect(FIRST, ALICE, SUPPLY - 10);
        _expect(FIRST, BOB, 10);
        _closeOf(FIRST + 1);
        _expect(FIRST + 1, BOB, 14);
        _send(BOB, ALICE, 14);
        _closeOf(FIRST + 5);
        _expect(FIRST, BOB, 10);
        _expect(FIRST + 1, BOB, 14);
        for (uint256 quarter = FIRST + 2; quarter <= FIRST + 5; ++quarter) {
            _expect(quarter, BOB, 0);
            _expect(quarter, ALICE, SUPPLY);
        }
        // Long after it was emptied, it moves again: the chain of checkpoints has no gap.
        _send(ALICE, BOB, 1);
        _expect(FIRST, BOB, 10);
        _expect(FIRST + 1, BOB, 14);
        _expect(FIRST + 5, BOB, 0);
    }

    function test_theLastSecondCountsToItsQuarter() public {
        vm.warp(Quarter.ends(FIRST) - 1);
        _send(ALICE, BOB, 10);
        vm.warp(block.timestamp + 1);
        _send(ALICE, BOB, 20);
        _expect(FIRST, BOB, 10);
        _expect(FIRST, ALICE, SUPPLY - 10);
    }

    function test_aQuarterThatIsNotOverIsRefused() public {
        vm.warp(Quarter.ends(FIRST) - 1);
        vm.expectRevert(abi.encodeWithSelector(TokenErrors.QuarterNotOver.selector, FIRST, FIRST));
        coin.balanceAtClose(ALICE, FIRST);
        vm.expectRevert(abi.encodeWithSelector(TokenErrors.QuarterNotOver.selector, type(uint256).max, FIRST));
        coin.balanceAtClose(ALICE, type(uint256).max);
        vm.warp(block.timestamp + 1);
        _expect(FIRST, ALICE, SUPPLY);
    }

    function test_beforeTheCoinNobodyHeldAny() public {
        _closeOf(FIRST + 3);
        _send(ALICE, BOB, 5);
        _expect(FIRST - 1, ALICE, 0);
        _expect(FIRST - 1, BOB, 0);
        _expect(0, ALICE, 0);
        _expect(7_880, ALICE, 0);
    }

    function test_aChangeWritesOnceAQuarter() public {
        _send(ALICE, BOB, 10);
        vm.assertEq(_writes(ALICE, BOB, 1), 2, "two balances");
        _closeOf(FIRST);
        vm.assertEq(_writes(ALICE, BOB, 1), 4, "and what both had");
        vm.assertEq(_writes(BOB, ALICE, 1), 2, "once");
        vm.assertEq(_writes(ALICE, address(0xca401), 1), 2, "who never held any had nothing");
        _closeOf(FIRST + 1);
        vm.assertEq(_writes(ALICE, ALICE, 5), 0, "to oneself");
        vm.assertEq(_writes(ALICE, BOB, 0), 0, "nothing");
    }

    function test_whatIsNotThereCannotBeSent() public {
        _refused(BOB, ALICE, 1);
        _refused(BOB, BOB, 1);
        _send(ALICE, BOB, 5);
        _refused(BOB, ALICE, 6);
        _refused(BOB, BOB, 6);
        _refused(BOB, address(0), 1);
        _refused(ALICE, BOB, type(uint256).max);
        _send(BOB, ALICE, 5);
        vm.assertEq(coin.balanceOf(BOB), 0, "all");
        vm.assertEq(coin.balanceOf(ALICE), SUPPLY, "back");
        vm.assertEq(coin.balanceOf(address(0)), 0, "nobody");
    }

    /// @dev Any history: what is remembered is a full copy that was taken at each close.
    function testFuzz_anyHistoryIsRemembered(uint256[40] calldata moves) public {
        address[4] memory people = [ALICE, BOB, address(0xca401), address(0xda7e)];
        uint256 first = FIRST;
        uint256 closed = first;
        uint256[4][] memory copies = new uint256[4][](64);
        for (uint256 i = 0; i < moves.length; ++i) {
            uint256 word = moves[i];
            // A third of the moves come after a quarter's end or several, some right at it.
            uint256 over = word % 3 == 0 ? 1 + (word >> 8) % 3 / 2 : 0;
            for (uint256 j = 0; j < over && closed - first < 63; ++j) {
                vm.warp(Quarter.ends(closed) + ((word >> 16) % 2) * ((word >> 24) % 1_000));
                for (uint256 k = 0; k < 4; ++k) {
                    copies[closed - first][k] = coin.balanceOf(people[k]);
                }
                ++closed;
            }
            address from = people[(word >> 64) % 4];
            address to = people[(word >> 72) % 4];
            uint256 has = coin.balanceOf(from);
            uint256 before = coin.balanceOf(to);
            uint256 amount = bound(word >> 80, 0, has);
            _send(from, to, amount);
            vm.assertEq(coin.balanceOf(to), from == to ? has : before + amount, "received");
            vm.assertEq(coin.balanceOf(from), from == to ? has : has - amount, "sent");
        }
        for (uint256 quarter = first; quarter < closed; ++quarter) {
            for (uint256 k = 0; k < 4; ++k) {
                _expect(quarter, people[k], copies[quarter - first][k]);
            }
        }
    }

    function _closeOf(uint256 quarter) private {
        vm.warp(Quarter.ends(quarter));
    }

    function _send(address from, address to, uint256 amount) private {
        vm.prank(from);
        assert(coin.transfer(to, amount));
    }

    function _refused(address from, address to, uint256 amount) private {
        vm.prank(from);
        (bool good,) = address(coin).call(abi.encodeCall(coin.transfer, (to, amount)));
        vm.assertFalse(good, "refused");
    }

    function _expect(uint256 quarter, address account, uint256 amount) private {
        vm.assertEq(coin.balanceAtClose(account, quarter), amount, "held at the close");
    }

    function _writes(address from, address to, uint256 amount) private returns (uint256) {
        vm.record();
        _send(from, to, amount);
        (, bytes32[] memory writes) = vm.accesses(address(coin));
        return writes.length;
    }
}
