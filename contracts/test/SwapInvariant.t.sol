// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {SwapHandler} from "./kit/SwapHandler.sol";
import {Test} from "./kit/Test.sol";

/// @dev At every path of the price: received xor refunded, nothing stays in the router, and the books of both
/// sides agree.
contract SwapInvariantTest is Test {
    struct FuzzSelector {
        address addr;
        bytes4[] selectors;
    }

    SwapHandler private handler;

    function setUp() public {
        handler = new SwapHandler();
        handler.setUp();
    }

    function targetContracts() public view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(handler);
    }

    function targetSelectors() public view returns (FuzzSelector[] memory targets) {
        bytes4[] memory selectors = new bytes4[](10);
        selectors[0] = handler.sendSwap.selector;
        selectors[1] = handler.relayOne.selector;
        selectors[2] = handler.relayMany.selector;
        selectors[3] = handler.movePrice.selector;
        selectors[4] = handler.sandwich.selector;
        selectors[5] = handler.passTime.selector;
        selectors[6] = handler.bringHome.selector;
        selectors[7] = handler.swapAndSend.selector;
        selectors[8] = handler.arrive.selector;
        selectors[9] = handler.attack.selector;
        targets = new FuzzSelector[](1);
        targets[0] = FuzzSelector(address(handler), selectors);
    }

    function invariant_receivedXorRefundedAndTheBooksBalance() public {
        handler.check();
    }

    function afterInvariant() public {
        handler.settleEverything();
        handler.check();
    }

    /// @dev One path on which both ends happen, so that the invariant is not true of nothing.
    function test_bothEndsHappen() public {
        for (uint256 i = 0; i < 24; ++i) {
            uint256 seed = uint256(keccak256(abi.encode("path", i)));
            handler.sendSwap(seed, seed >> 64, 3 hours, i % 2 == 0);
            handler.movePrice(i % 3 == 0, seed >> 128);
            handler.relayOne(i, 1);
        }
        vm.assertTrue(handler.swapped() > 3, "some arrive swapped");
        vm.assertTrue(handler.refused() > 3, "some go home");
        handler.settleEverything();
        handler.check();
    }
}
