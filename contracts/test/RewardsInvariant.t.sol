// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {RewardsHandler} from "./kit/RewardsHandler.sol";
import {Test} from "./kit/Test.sol";

/// @dev No history of transfers around a quarter's end makes one coin count twice or not at all, and nobody
/// is paid twice, or more than its share.
contract RewardsInvariantTest is Test {
    /// @dev What forge asks a test for.
    struct FuzzSelector {
        address addr;
        bytes4[] selectors;
    }

    RewardsHandler private handler;

    function setUp() public {
        handler = new RewardsHandler();
        handler.setUp();
    }

    function targetContracts() external view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(handler);
    }

    function targetSelectors() external view returns (FuzzSelector[] memory targets) {
        targets = new FuzzSelector[](1);
        // What is named twice happens twice as often.
        bytes4[] memory selectors = new bytes4[](15);
        selectors[0] = RewardsHandler.transfer.selector;
        selectors[1] = RewardsHandler.wait_.selector;
        selectors[2] = RewardsHandler.open.selector;
        selectors[3] = RewardsHandler.claim.selector;
        selectors[4] = RewardsHandler.claimBatch.selector;
        selectors[5] = RewardsHandler.claimQuarters.selector;
        selectors[6] = RewardsHandler.forward.selector;
        selectors[7] = RewardsHandler.depart.selector;
        selectors[8] = RewardsHandler.settle.selector;
        selectors[9] = RewardsHandler.comeHome.selector;
        selectors[10] = RewardsHandler.fund.selector;
        selectors[11] = RewardsHandler.govern_.selector;
        selectors[12] = RewardsHandler.transfer.selector;
        selectors[13] = RewardsHandler.wait_.selector;
        selectors[14] = RewardsHandler.open.selector;
        targets[0] = FuzzSelector(address(handler), selectors);
    }

    function invariant_everyCoinCountsOnce() public {
        handler.check();
    }
}
