// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {Handler} from "./kit/Handler.sol";
import {Test} from "./kit/Test.sol";

/// @dev Whatever people, relayers, guardians, governors and clocks do: the books balance, and every packet ends once.
contract BridgeInvariantTest is Test {
    struct FuzzSelector {
        address addr;
        bytes4[] selectors;
    }

    Handler private handler;

    function setUp() public {
        handler = new Handler();
        handler.setUp();
    }

    /// @dev Forge asks whom to call: nobody but the handler.
    function targetContracts() public view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(handler);
    }

    /// @dev Forge asks which calls to make.
    function targetSelectors() public view returns (FuzzSelector[] memory targets) {
        bytes4[] memory selectors = new bytes4[](17);
        selectors[0] = handler.sendCoin.selector;
        selectors[1] = handler.sendPoints.selector;
        selectors[2] = handler.nativeSendPoints.selector;
        selectors[3] = handler.nativeSendCoin.selector;
        selectors[4] = handler.nativeDeliver.selector;
        selectors[5] = handler.deliverSome.selector;
        selectors[6] = handler.nativeRefund.selector;
        selectors[7] = handler.passTime.selector;
        selectors[8] = handler.rotate.selector;
        selectors[9] = handler.attack.selector;
        selectors[10] = handler.attackByContradiction.selector;
        selectors[11] = handler.guard.selector;
        selectors[12] = handler.reopen.selector;
        selectors[13] = handler.releaseSome.selector;
        selectors[14] = handler.sendOther.selector;
        selectors[15] = handler.nativeSendOther.selector;
        selectors[16] = handler.sendSwap.selector;
        targets = new FuzzSelector[](1);
        targets[0] = FuzzSelector(address(handler), selectors);
    }

    function invariant_theBooksBalance() public {
        handler.check();
    }

    function afterInvariant() public {
        handler.settleEverything();
        handler.check();
    }
}
