// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {RewardsWorld} from "./kit/RewardsWorld.sol";

/// @dev What holding coin and claiming costs, against the aims and against rewards.json, which `tools/gas`
/// rewrites. Whole transactions, as in Gas.t.sol. Accounts hold coin already and moved in the quarter before;
/// who claims claimed before, and the payment is its first change in the quarter. The list has ten accounts.
contract RewardsGasTest is RewardsWorld {
    string private constant FILE = "rewards.json";

    string[6] private names =
        ["transfer", "transfer_first_of_quarter", "claim", "claim_batch50_each", "open", "forward"];
    uint256[6] private aims = [uint256(36_000), 84_000, 100_000, 65_000, 300_000, 200_000];

    function setUp() public override {
        super.setUp();
        for (uint160 i = 1; i < 10; ++i) {
            give(ALICE, address(i << 32), 1_000 ether);
            governList(abi.encodeCall(rewards.exclude, (address(i << 32))));
        }
        for (uint256 i = 0; i < 51; ++i) {
            give(ALICE, _person(i), 100 ether);
        }
        sendAway(ALICE, address(coin), 1_000_000 ether, uint64(block.timestamp + 1 days));
        vm.warp(FIRST_ENDS);
        rewards.open(FIRST);
        rewards.forward(FIRST);
        for (uint256 i = 0; i < 51; ++i) {
            rewards.claim(_person(i), FIRST);
        }
        give(ALICE, _person(0), 1 ether);
    }

    function test_gasIsWithinTheAimsAndAsCommitted() public {
        uint256[6] memory found;
        uint256 snapshot = vm.snapshotState();
        bytes memory move = abi.encodeCall(coin.transfer, (_person(0), 1 ether));
        found[0] = _cost(address(coin), move);
        assert(vm.revertToState(snapshot));
        vm.warp(FIRST_ENDS + 100 days);
        found[1] = _cost(address(coin), move);
        assert(vm.revertToState(snapshot));
        vm.warp(FIRST_ENDS + 100 days);
        found[4] = _cost(address(rewards), abi.encodeCall(rewards.open, (FIRST + 1)));
        found[2] = _cost(address(rewards), abi.encodeCall(rewards.claim, (_person(50), FIRST + 1)));
        address[] memory people = new address[](50);
        for (uint256 i = 0; i < 50; ++i) {
            people[i] = _person(i);
        }
        found[3] =
            (_cost(address(rewards), abi.encodeCall(rewards.claimBatch, (people, FIRST + 1))) + 49) / 50;
        found[5] = _cost(address(rewards), abi.encodeCall(rewards.forward, (FIRST + 1)));
        string memory json = "{";
        for (uint256 i = 0; i < 6; ++i) {
            vm.assertLe(found[i], aims[i], string.concat(names[i], " ", vm.toString(found[i])));
            json = string.concat(json, i == 0 ? "\n" : ",\n", "  \"", names[i], "\": ", vm.toString(found[i]));
        }
        json = string.concat(json, "\n}\n");
        if (vm.envOr("MILEVERSE_GAS", false)) {
            vm.writeFile(FILE, json);
        }
        vm.assertEq(json, vm.readFile(FILE), "rewards.json is what this run finds; tools/gas rewrites it");
    }

    function _cost(address target, bytes memory call) private returns (uint256) {
        address[4] memory contracts = [address(coin), address(rewards), address(reserve), address(bridge)];
        for (uint256 i = 0; i < 4; ++i) {
            vm.cool(contracts[i]);
        }
        vm.prank(ALICE);
        (bool good,) = target.call(call);
        uint256 execution = vm.lastCallGas().gasTotalUsed;
        vm.assertTrue(good, "done");
        return transactionGas(call, execution);
    }

    function _person(uint256 number) private pure returns (address) {
        return address(uint160(uint256(keccak256(abi.encode("person", number)))));
    }
}
