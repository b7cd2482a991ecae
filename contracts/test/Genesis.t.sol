// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IERC20Errors} from "@openzeppelin/contracts/interfaces/draft-IERC6093.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {Bridge} from "../src/bridge/Bridge.sol";
import {BridgeErrors} from "../src/errors/BridgeErrors.sol";
import {IBridge} from "../src/interfaces/IBridge.sol";
import {FeeToken} from "./kit/OddTokens.sol";
import {Signer} from "./kit/Signer.sol";
import {World} from "./kit/World.sol";

/// @dev The coin that the native chain begins with: locked here before anything else happens.
contract GenesisTest is World {
    uint256 private constant COINS = 1_234_567 ether;
    uint64 private constant SOON = uint64(NOW + 60);

    function test_theGenesisCoinIsLockedFromTheStart() public {
        bytes memory key = Signer.key(SECRET);
        Bridge next = Bridge(vm.computeCreateAddress(ALICE, vm.getNonce(ALICE)));
        vm.prank(ALICE);
        coin.approve(address(next), COINS);
        vm.prank(ALICE);
        vm.assertEq(address(_bridge(key, coin)), address(next), "where it was expected");

        vm.assertEq(next.genesisCoins(), COINS, "says so");
        vm.assertEq(coin.balanceOf(address(next)), COINS, "held");
        vm.assertEq(next.locked(address(coin)), COINS, "locked by the books");
        vm.assertTrue(next.solvent(address(coin)), "solvent");
        IBridge.Totals memory sums = next.totals(address(coin));
        vm.assertEq(sums.sent, COINS, "as if it had been sent");
        vm.assertEq(sums.received + sums.refunded, 0, "and nothing came back");
        vm.assertEq(coin.allowance(ALICE, address(next)), 0, "no allowance is left");
        vm.assertEq(next.nextSequence(), 1, "and no packet was");

        // It can come home, all of it and no more.
        bridge = next;
        deliver(sendCoinHere(BOB, COINS - 1, SOON));
        deliver(sendCoinHere(BOB, 1, SOON));
        vm.assertEq(coin.balanceOf(BOB), COINS, "all of it");
        vm.assertEq(next.locked(address(coin)), 0, "nothing is left");
        deliver(sendCoinHere(BOB, 1, SOON));
        vm.assertEq(next.receipt(3), 2, "one more goes back where it came from");
        vm.assertEq(coin.balanceOf(BOB), COINS, "no more");
    }

    function test_withoutTheCoinThereIsNoBridge() public {
        bytes memory key = Signer.key(SECRET);
        address next = vm.computeCreateAddress(ALICE, vm.getNonce(ALICE));
        vm.prank(ALICE);
        coin.approve(next, COINS - 1);
        vm.prank(ALICE);
        vm.expectRevert(
            abi.encodeWithSelector(IERC20Errors.ERC20InsufficientAllowance.selector, next, COINS - 1, COINS)
        );
        _bridge(key, coin);
    }

    /// @dev Exactly as much is locked as is minted over there, or nothing is.
    function test_aCoinThatKeepsAFeeIsRefused() public {
        bytes memory key = Signer.key(SECRET);
        IERC20 odd = new FeeToken(address(this));
        odd.approve(vm.computeCreateAddress(address(this), vm.getNonce(address(this))), COINS);
        vm.expectRevert(abi.encodeWithSelector(BridgeErrors.AmountMoved.selector, COINS, COINS - 1));
        _bridge(key, odd);
    }

    function _bridge(bytes memory key, IERC20 coin_) private returns (Bridge) {
        return new Bridge(key, NATIVE, coin_, COINS, address(authority), unlimited(), unlimited());
    }

    function test_aNetworkMayBeginWithNothing() public {
        vm.assertEq(bridge.genesisCoins(), 0, "nothing");
        vm.assertEq(bridge.locked(address(coin)), 0, "locked");
        assertSolvent();
    }
}
