// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IBridge} from "../src/interfaces/IBridge.sol";
import {ILightClient} from "../src/interfaces/ILightClient.sol";
import {World} from "./kit/World.sol";

/// @dev What the common calls cost, execution only: README.md says how .gas-snapshot is made of these
/// tests. A transaction adds 21,000 and its calldata.
contract GasTest is World {
    uint64 private constant SOON = uint64(NOW + 60);

    function setUp() public override {
        super.setUp();
        // An outbox of some size, as after a day, and a receiver who holds points already.
        for (uint256 i = 0; i < 70; ++i) {
            sendPointsHere(BOB, i + 1, SOON);
        }
        deliver(sendPointsHere(ALICE, 1_000, SOON));
        sendAway(ALICE, address(coin), 1_000, SOON);
    }

    function test_certificate() public {
        vm.pauseGasMetering();
        ILightClient.HeaderProof memory header = certified();
        vm.resumeGasMetering();
        client.verify(header);
        vm.pauseGasMetering();
        vm.assertLe(vm.lastCallGas().gasTotalUsed, 124_000, "the bound on a certificate");
        vm.resumeGasMetering();
    }

    function test_deliverOne() public {
        vm.pauseGasMetering();
        ILightClient.HeaderProof memory header = certified();
        IBridge.OutboxItem[] memory items = one(0);
        vm.resumeGasMetering();
        bridge.deliver(header, items);
    }

    function test_deliverFifty() public {
        vm.pauseGasMetering();
        ILightClient.HeaderProof memory header = certified();
        IBridge.OutboxItem[] memory items = new IBridge.OutboxItem[](50);
        for (uint64 i = 0; i < 50; ++i) {
            items[i] = item(i);
        }
        vm.resumeGasMetering();
        bridge.deliver(header, items);
    }

    function test_sendCoin() public {
        vm.prank(ALICE);
        bridge.send(address(coin), BOB, 10, SOON);
    }

    function test_sendPoints() public {
        vm.prank(ALICE);
        bridge.send(address(points), BOB, 10, SOON);
    }
}
