// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IERC20Errors} from "@openzeppelin/contracts/interfaces/draft-IERC6093.sol";
import {BridgeErrors} from "../src/errors/BridgeErrors.sol";
import {PacketErrors} from "../src/errors/PacketErrors.sol";
import {ValveErrors} from "../src/errors/ValveErrors.sol";
import {IBridge} from "../src/interfaces/IBridge.sol";
import {ILightClient} from "../src/interfaces/ILightClient.sol";
import {IValves} from "../src/interfaces/IValves.sol";
import {Packet} from "../src/libraries/Packet.sol";
import {BlockingToken} from "./kit/OddTokens.sol";
import {Signer} from "./kit/Signer.sol";
import {Vm} from "./kit/Vm.sol";
import {World} from "./kit/World.sol";

/// @dev Transfers that are to be swapped where they arrive, at the end where they leave and come back.
contract BridgeSwapTest is World {
    uint64 private constant SOON = uint64(NOW + 60);
    uint256 private constant LEAST = 24_750e6;

    function test_sendSwapLocksAndTellsRelayers() public {
        vm.recordLogs();
        (uint64 sequence, bytes memory packet) = sendAwayToSwap(ALICE, address(coin), 250 ether, SOON, LEAST);
        vm.assertEq(packet.length, 167, "a transfer with an action");
        vm.assertEq(sequence, 1, "first");
        vm.assertEq(coin.balanceOf(address(bridge)), 250 ether, "held");
        vm.assertEq(bridge.totals(address(coin)).sent, 250 ether, "counted as sent");
        assertSolvent();
        Vm.Log[] memory logs = vm.getRecordedLogs();
        Vm.Log memory log = logs[logs.length - 1];
        vm.assertEq(log.topics[0], IBridge.PacketSent.selector, "event");
        vm.assertEq(abi.decode(log.data, (bytes)), packet, "its bytes");
        // The next transfer has the next sequence.
        (sequence,) = sendAway(ALICE, address(coin), 1, SOON);
        vm.assertEq(sequence, 2, "one row of sequences");
    }

    function test_pointsLeaveToBeSwapped() public {
        deliver(sendPointsHere(ALICE, 100e6, SOON));
        sendAwayToSwap(ALICE, address(points), 60e6, SOON, 1);
        vm.assertEq(points.totalSupply(), 40e6, "burned");
        vm.assertEq(bridge.minted(address(points)), 40e6, "by the books");
        assertSolvent();
    }

    /// @dev What `send` refuses is refused here, and two things more.
    function test_refusals() public {
        address c = address(coin);
        vm.expectRevert(BridgeErrors.LeastZero.selector);
        bridge.sendSwap(c, BOB, 1, SOON, 0);
        vm.expectRevert(BridgeErrors.ReceiverZero.selector);
        bridge.sendSwap(c, address(0), 1, SOON, 1);
        vm.expectRevert(BridgeErrors.AmountZero.selector);
        bridge.sendSwap(c, BOB, 0, SOON, 1);
        uint64[3] memory deadlines = [uint64(0), uint64(NOW), uint64(NOW + 30 days + 1)];
        for (uint256 i = 0; i < 3; ++i) {
            vm.expectRevert(
                abi.encodeWithSelector(
                    BridgeErrors.DeadlineOutOfRange.selector,
                    deadlines[i],
                    uint64(NOW + 1),
                    uint64(NOW + 30 days)
                )
            );
            bridge.sendSwap(c, BOB, 1, deadlines[i], 1);
        }
        vm.prank(BOB);
        vm.expectRevert(
            abi.encodeWithSelector(IERC20Errors.ERC20InsufficientAllowance.selector, address(bridge), 0, 1)
        );
        bridge.sendSwap(c, BOB, 1, SOON, 1);
        vm.prank(BOB);
        vm.expectRevert(abi.encodeWithSelector(IERC20Errors.ERC20InsufficientBalance.selector, BOB, 0, 1));
        bridge.sendSwap(address(points), BOB, 1, SOON, 1);
        vm.deal(address(this), 1);
        (bool good,) = address(bridge).call{value: 1}(abi.encodeCall(bridge.sendSwap, (c, BOB, 1, SOON, 1)));
        vm.assertFalse(good, "no ether");
        vm.assertEq(bridge.nextSequence(), 1, "nothing left");
    }

    /// @dev The chain's own pool knows two tokens; of another one nothing could come but a refund.
    function test_onlyThePoolsTokensAreSwapped() public {
        BlockingToken other = new BlockingToken(ALICE);
        govern(abi.encodeCall(bridge.register, (address(other), 18, unlimited())));
        address[3] memory tokens = [address(other), address(client), address(0)];
        for (uint256 i = 0; i < 3; ++i) {
            vm.expectRevert(abi.encodeWithSelector(BridgeErrors.NotSwappable.selector, tokens[i]));
            vm.prank(ALICE);
            bridge.sendSwap(tokens[i], BOB, 1e18, uint64(block.timestamp + 60), 1);
        }
    }

    function test_valvesHoldForSwapsToo() public {
        govern(
            abi.encodeCall(
                bridge.setLimits,
                (
                    address(coin),
                    IValves.Limits(100, 100, type(uint96).max, type(uint96).max, type(uint96).max, 0)
                )
            )
        );
        uint64 soon = uint64(block.timestamp + 60);
        sendAwayToSwap(ALICE, address(coin), 60, soon, 1);
        vm.expectRevert(abi.encodeWithSelector(ValveErrors.LimitReached.selector, address(coin), 41, 40));
        vm.prank(ALICE);
        bridge.sendSwap(address(coin), BOB, 41, soon, 1);
        vm.prank(GUARDIAN);
        bridge.pauseToken(address(coin));
        vm.expectRevert(abi.encodeWithSelector(ValveErrors.TokenStopped.selector, address(coin)));
        vm.prank(ALICE);
        bridge.sendSwap(address(coin), BOB, 1, soon, 1);
        vm.prank(GUARDIAN);
        bridge.pauseDirection(IValves.Direction.Send);
        vm.expectRevert(abi.encodeWithSelector(ValveErrors.DirectionStopped.selector, false));
        vm.prank(ALICE);
        bridge.sendSwap(address(coin), BOB, 1, soon, 1);
    }

    function test_aStoppedBridgeLocksNothing() public {
        ILightClient.HeaderProof[2] memory two;
        for (uint256 i = 0; i < 2; ++i) {
            two[i] = unsigned();
            (two[i].outboxSize, two[i].outboxTree) = (1, keccak256(abi.encode(i)));
            two[i] = Signer.certify(secret, NATIVE, two[i]);
        }
        bridge.freeze(two[0], two[1]);
        vm.expectRevert(BridgeErrors.BridgeStopped.selector);
        vm.prank(ALICE);
        bridge.sendSwap(address(coin), BOB, 1, SOON, 1);
    }

    /// @dev Too late, or the price had moved: it comes back to its sender whole, and once.
    function test_whatWasNotSwappedIsRefunded() public {
        deliver(sendPointsHere(ALICE, 100e6, SOON));
        address[2] memory tokens = [address(coin), address(points)];
        for (uint256 i = 0; i < 2; ++i) {
            IBridge.Totals memory before = bridge.totals(tokens[i]);
            uint256 had = i == 0 ? coin.balanceOf(ALICE) : points.balanceOf(ALICE);
            (uint64 sequence, bytes memory packet) = sendAwayToSwap(ALICE, tokens[i], 60e6, SOON, LEAST);
            uint64 index = expireThere(packet);
            vm.assertEq(native[index].length, 193, "an expiry with an action");
            ILightClient.HeaderProof memory header = certified();
            IBridge.OutboxItem[] memory items = one(index);
            vm.expectEmit(true, true, true, true, address(bridge));
            emit IBridge.PacketReceived(nativeSequence - 1, keccak256(native[index]));
            vm.expectEmit(true, true, true, true, address(bridge));
            emit IBridge.PacketRefunded(sequence, keccak256(packet));
            bridge.deliver(header, items);
            uint256 has = i == 0 ? coin.balanceOf(ALICE) : points.balanceOf(ALICE);
            vm.assertEq(has, had, "back with its sender");
            vm.assertEq(bridge.outbound(sequence), bytes32(uint256(1)), "marked refunded");
            vm.assertEq(bridge.totals(tokens[i]).refunded, before.refunded + 60e6, "counted");
            assertSolvent();
            // The same news again, and other news of the same packet.
            bridge.deliver(header, items);
            _refused(
                expireThere(packet), abi.encodeWithSelector(BridgeErrors.NotOutstanding.selector, sequence)
            );
            has = i == 0 ? coin.balanceOf(ALICE) : points.balanceOf(ALICE);
            vm.assertEq(has, had, "once");
        }
    }

    /// @dev Each byte of what was sent counts, its action as well.
    function testFuzz_anotherPacketThanTheOneSentIsNotRefunded(uint256 place) public {
        (, bytes memory packet) = sendAwayToSwap(ALICE, address(coin), 30 ether, SOON, LEAST);
        (, bytes memory plain) = sendAway(ALICE, address(coin), 30 ether, SOON);
        uint256 had = coin.balanceOf(ALICE);
        _refused(expireThere(flipped(packet, place % 167)), "");
        // A transfer dressed as a swap, and a swap as a transfer.
        _refused(expireThere(bytes.concat(plain, uint8ToBytes(1), bytes32(LEAST))), "");
        _refused(expireThere(cut(packet, 134)), "");
        bytes memory dressed = bytes.concat(plain, uint8ToBytes(1), bytes32(LEAST));
        dressed[1] = 0x04;
        _refused(expireThere(dressed), abi.encodeWithSelector(BridgeErrors.NotOutstanding.selector, 2));
        bytes memory undressed = cut(packet, 134);
        undressed[1] = 0x01;
        _refused(expireThere(undressed), abi.encodeWithSelector(BridgeErrors.NotOutstanding.selector, 1));
        vm.assertEq(coin.balanceOf(ALICE), had, "nothing came back");
        assertSolvent();
    }

    /// @dev Nothing is swapped here: a transfer with an action is no packet that this side takes.
    function test_aSwapThatComesInIsRefused() public {
        Packet.Transfer memory t = transferHere(NATIVE, POINTS_HOME, BOB, 5e6, SOON);
        uint64 index = append(Packet.encodeSwap(t, 1));
        ++nativeSequence;
        _refused(index, abi.encodeWithSelector(PacketErrors.PacketKind.selector, 4));
        vm.assertEq(points.totalSupply(), 0, "nothing made");
        vm.expectRevert(abi.encodeWithSelector(PacketErrors.PacketKind.selector, 4));
        bridge.release(native[index]);
    }

    function uint8ToBytes(uint8 value) private pure returns (bytes memory) {
        return abi.encodePacked(value);
    }

    /// @dev Without a reason: any.
    function _refused(uint64 index, bytes memory reason) private {
        ILightClient.HeaderProof memory header = certified();
        IBridge.OutboxItem[] memory items = one(index);
        if (reason.length == 0) vm.expectRevert();
        else vm.expectRevert(reason);
        bridge.deliver(header, items);
    }
}
