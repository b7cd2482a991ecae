// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IBridge} from "../src/interfaces/IBridge.sol";
import {ILightClient} from "../src/interfaces/ILightClient.sol";
import {IValves} from "../src/interfaces/IValves.sol";
import {Outbox} from "../src/libraries/Outbox.sol";
import {Packet} from "../src/libraries/Packet.sol";
import {Signer} from "./kit/Signer.sol";
import {World} from "./kit/World.sol";

/// @dev What the common calls cost, against the aims and against gas.json, which `tools/gas` rewrites.
///
/// `certificate` is the execution of the check alone. The others are whole transactions of a chain that
/// has been in use for a while: 21,000, calldata, execution; or the floor of EIP-7623 if that is more.
/// The outbox holds 2^20 packets, so each path has 20 hashes; receivers hold the token already; the
/// books, the receipts' word and the sequence are not at their first use.
contract GasTest is World {
    uint64 private constant SOON = uint64(NOW + 1 days);
    string private constant FILE = "gas.json";

    /// @dev The outbox: a perfect tree of 2^20 leaves, of which 64 in a row are real.
    uint64 private constant OUTBOX = 1 << 20;
    uint64 private constant FIRST = 64 * 12_345;
    uint256 private constant REAL_HEIGHT = 6;
    uint256 private constant HEIGHT = 20;

    string[10] private names = [
        "certificate",
        "receive_one",
        "receive_batch50_each",
        "send",
        "refund_batch50_each",
        "send_swap",
        "refund_swap_batch50_each",
        "send_acknowledged",
        "receive_acknowledged_batch50_each",
        "acknowledge_batch50_each"
    ];
    /// @dev Packets from here that expired there: transfers, and transfers that were to be swapped.
    bytes[50] private expired;
    bytes[50] private unswapped;
    /// @dev Transfers from here that were received there, and whose senders asked.
    bytes[50] private asked;

    uint256[10] private aims =
        [uint256(120_000), 230_000, 50_000, 90_000, 50_000, 90_000, 50_000, 90_000, 80_000, 50_000];

    function setUp() public override {
        super.setUp();
        // Limits that count, and that a large transfer would meet.
        for (uint256 i = 0; i < 2; ++i) {
            govern(
                abi.encodeCall(
                    bridge.setLimits,
                    (
                        i == 0 ? address(coin) : address(points),
                        IValves.Limits(1e24, 1e25, 1e24, 1e25, 1e23, 6 hours)
                    )
                )
            );
        }
        // Fifty people who hold coins and points; each sends a transfer away that expires there.
        for (uint256 i = 0; i < 50; ++i) {
            address sender = _person(i);
            vm.prank(ALICE);
            assert(coin.transfer(sender, 10 ether));
            vm.prank(sender);
            coin.approve(address(bridge), type(uint256).max);
        }
        deliver(sendPointsHere(ALICE, 1e12, SOON));
        for (uint256 i = 0; i < 50; ++i) {
            deliver(sendPointsHere(_person(i), 1_000, SOON));
        }
        sendAway(ALICE, address(points), 1, SOON);
        (, bytes memory packet) = sendAway(ALICE, address(coin), 1_000, SOON);
        deliver(expireThere(packet));
        sendAway(ALICE, address(coin), 1_000, SOON);
        for (uint256 i = 0; i < 50; ++i) {
            (, expired[i]) = sendAway(_person(i), address(coin), 1 ether, SOON);
            (, unswapped[i]) = sendAwayToSwap(_person(i), address(coin), 1 ether, SOON, 90e6);
            asking = true;
            (, asked[i]) = sendAway(_person(i), address(coin), 1 ether, SOON);
            asking = false;
        }
        // The next sequence from there is far on, in a word of receipts that is in use.
        deliver(sendPointsHere(ALICE, 1, SOON));
    }

    function test_gasIsWithinTheAimsAndAsCommitted() public {
        uint256[10] memory found;
        uint256 snapshot = vm.snapshotState();
        found[0] = _certificate();
        assert(vm.revertToState(snapshot));
        found[1] = _receive(1);
        assert(vm.revertToState(snapshot));
        found[2] = (_receive(50) + 49) / 50;
        assert(vm.revertToState(snapshot));
        address[2] memory tokens = [address(coin), address(points)];
        for (uint256 i = 0; i < 2; ++i) {
            found[3] = _max(found[3], _send(tokens[i]));
            assert(vm.revertToState(snapshot));
            found[5] = _max(found[5], _sendSwap(tokens[i]));
            assert(vm.revertToState(snapshot));
            found[7] = _max(found[7], _sendAcknowledged(tokens[i]));
            assert(vm.revertToState(snapshot));
        }
        found[4] = (_news(2, expired) + 49) / 50;
        assert(vm.revertToState(snapshot));
        found[6] = (_news(2, unswapped) + 49) / 50;
        assert(vm.revertToState(snapshot));
        asking = true;
        found[8] = (_receive(50) + 49) / 50;
        assert(vm.revertToState(snapshot));
        found[9] = (_news(5, asked) + 49) / 50;
        string memory json = "{";
        for (uint256 i = 0; i < 10; ++i) {
            vm.assertLe(found[i], aims[i], string.concat(names[i], " ", vm.toString(found[i])));
            json = string.concat(json, i == 0 ? "\n" : ",\n", "  \"", names[i], "\": ", vm.toString(found[i]));
        }
        json = string.concat(json, "\n}\n");
        if (vm.envOr("MILEVERSE_GAS", false)) {
            vm.writeFile(FILE, json);
        }
        vm.assertEq(json, vm.readFile(FILE), "gas.json is what this run finds; tools/gas rewrites it");
    }

    /// @dev EIP-170 allows 24,576 bytes; the bridge keeps room for what is to come.
    function test_theBridgeHasRoom() public {
        vm.assertLe(address(bridge).code.length, 24_576 - 1_500, "bytes of the bridge's code");
    }

    function _certificate() private returns (uint256) {
        (ILightClient.HeaderProof memory header,) = _outbox(_transfers(1));
        client.verify(header);
        return vm.lastCallGas().gasTotalUsed;
    }

    function _receive(uint256 count) private returns (uint256) {
        return _delivery(_transfers(count));
    }

    /// @dev Expiries, or acknowledgements.
    function _news(uint8 kind, bytes[50] storage sent) private returns (uint256) {
        bytes[] memory packets = new bytes[](50);
        for (uint256 i = 0; i < 50; ++i) {
            packets[i] = abi.encodePacked(uint8(1), kind, NATIVE, ETHEREUM, nativeSequence, sent[i]);
            ++nativeSequence;
        }
        return _delivery(packets);
    }

    function _send(address token) private returns (uint256) {
        return _fromAlice(abi.encodeCall(bridge.send, (token, BOB, 123_456_789, SOON)));
    }

    function _sendSwap(address token) private returns (uint256) {
        return _fromAlice(abi.encodeCall(bridge.sendSwap, (token, BOB, 123_456_789, SOON, 123_456)));
    }

    function _sendAcknowledged(address token) private returns (uint256) {
        return _fromAlice(abi.encodeCall(bridge.sendAcknowledged, (token, BOB, 123_456_789, SOON)));
    }

    function _fromAlice(bytes memory call) private returns (uint256) {
        vm.prank(ALICE);
        (bool good,) = address(bridge).call(call);
        uint256 execution = vm.lastCallGas().gasTotalUsed;
        vm.assertTrue(good, "sent");
        return transactionGas(call, execution);
    }

    function _delivery(bytes[] memory packets) private returns (uint256) {
        (ILightClient.HeaderProof memory header, IBridge.OutboxItem[] memory items) = _outbox(packets);
        bytes memory call = abi.encodeCall(bridge.deliver, (header, items));
        (bool good,) = address(bridge).call(call);
        uint256 execution = vm.lastCallGas().gasTotalUsed;
        vm.assertTrue(good, "delivered");
        return transactionGas(call, execution);
    }

    function _transfers(uint256 count) private returns (bytes[] memory packets) {
        packets = new bytes[](count);
        for (uint256 i = 0; i < count; ++i) {
            packets[i] = Packet.encode(transferHere(NATIVE, POINTS_HOME, _person(i), 1_234_567, SOON));
            ++nativeSequence;
        }
    }

    /// @dev A certificate over an outbox of 2^20 packets that holds these, and their paths.
    function _outbox(bytes[] memory packets)
        private
        view
        returns (ILightClient.HeaderProof memory header, IBridge.OutboxItem[] memory items)
    {
        // Levels of the real part, from the leaves up.
        bytes32[][] memory levels = new bytes32[][](REAL_HEIGHT + 1);
        levels[0] = new bytes32[](1 << REAL_HEIGHT);
        for (uint64 i = 0; i < levels[0].length; ++i) {
            levels[0][i] =
                Outbox.leaf(FIRST + i, i < packets.length ? keccak256(packets[i]) : keccak256(abi.encode(i)));
        }
        for (uint256 level = 1; level <= REAL_HEIGHT; ++level) {
            levels[level] = new bytes32[](levels[level - 1].length / 2);
            for (uint256 i = 0; i < levels[level].length; ++i) {
                levels[level][i] = Outbox.node(levels[level - 1][2 * i], levels[level - 1][2 * i + 1]);
            }
        }
        items = new IBridge.OutboxItem[](packets.length);
        for (uint64 i = 0; i < packets.length; ++i) {
            bytes32[] memory path = new bytes32[](HEIGHT);
            for (uint256 level = 0; level < HEIGHT; ++level) {
                path[level] =
                    level < REAL_HEIGHT ? levels[level][(i >> level) ^ 1] : keccak256(abi.encode(level));
            }
            items[i] = IBridge.OutboxItem(packets[i], FIRST + i, path);
        }
        bytes32 root = levels[REAL_HEIGHT][0];
        for (uint256 level = REAL_HEIGHT; level < HEIGHT; ++level) {
            bytes32 sibling = keccak256(abi.encode(level));
            root = FIRST >> level & 1 == 1 ? Outbox.node(sibling, root) : Outbox.node(root, sibling);
        }
        header = ILightClient.HeaderProof({
            epoch: 1_234,
            view_: 321,
            parentView: 320,
            restHash: keccak256("rest"),
            outboxSize: OUTBOX,
            outboxTree: root,
            signature: ""
        });
        header = Signer.certify(SECRET, NATIVE, header);
    }

    function _max(uint256 left, uint256 right) private pure returns (uint256) {
        return left > right ? left : right;
    }

    function _person(uint256 number) private pure returns (address) {
        return address(uint160(uint256(keccak256(abi.encode("person", number)))));
    }
}
