// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {BlsErrors} from "../src/errors/BlsErrors.sol";
import {BridgeErrors} from "../src/errors/BridgeErrors.sol";
import {LightClientErrors} from "../src/errors/LightClientErrors.sol";
import {PacketErrors} from "../src/errors/PacketErrors.sol";
import {IBridge} from "../src/interfaces/IBridge.sol";
import {ILightClient} from "../src/interfaces/ILightClient.sol";
import {Bls} from "../src/libraries/Bls.sol";
import {Signer} from "./kit/Signer.sol";
import {World} from "./kit/World.sol";

/// @dev A new group key: how it comes into force, and everything that must not put one there.
contract RotationTest is World {
    uint256 private constant NEXT = SECRET + 1;
    uint64 private constant SOON = uint64(NOW + 60);

    function test_aRotationPutsTheNewKeyInForce() public {
        uint64 index = rotateThere(1, 2, Signer.key(NEXT));
        ILightClient.HeaderProof memory header = certified();
        IBridge.OutboxItem[] memory items = one(index);
        vm.expectEmit(true, true, true, true, address(bridge));
        emit IBridge.PacketReceived(1, keccak256(native[index]));
        vm.expectEmit(true, true, true, false, address(bridge));
        emit IBridge.KeyRotated(1, 2, client);
        vm.prank(address(0xbad)); // anybody may carry it
        bridge.deliver(header, items);

        ILightClient now_ = bridge.lightClient();
        vm.assertEq(now_.groupKey(), Signer.key(NEXT), "the new key");
        vm.assertEq(now_.nativeChainId(), NATIVE, "of the same chain");
        (uint64 version, uint64 firstEpoch) = bridge.keyInForce();
        vm.assertEq(version, 1, "number one");
        vm.assertEq(firstEpoch, 2, "from epoch two");
        vm.assertEq(bridge.receipt(1), 1, "received");
        _newChain(NEXT, 2);
        deliver(sendPointsHere(ALICE, 5, SOON));
        vm.assertEq(points.balanceOf(ALICE), 5, "and the bridge goes on");
    }

    /// @dev Whatever the old key signs afterwards, of its own epochs or of later ones.
    function test_theOldKeyStopsCountingAtOnce() public {
        uint64 waiting = sendPointsHere(ALICE, 5, SOON);
        deliver(rotateThere(1, 2, Signer.key(NEXT)));
        IBridge.OutboxItem[] memory items = one(waiting);
        ILightClient.HeaderProof memory header = certified();
        vm.expectRevert(abi.encodeWithSelector(LightClientErrors.EpochBeforeKey.selector, 1, 2));
        bridge.deliver(header, items);
        epoch = 2;
        header = certified();
        vm.expectRevert(LightClientErrors.CertificateInvalid.selector);
        bridge.deliver(header, items);
        vm.assertEq(points.totalSupply(), 0, "nothing");
        // What the old key proved, any certificate of the new one proves as well.
        _newChain(NEXT, 2);
        deliver(waiting);
        vm.assertEq(points.balanceOf(ALICE), 5, "delivered under the new key");
    }

    /// @dev The certificate was checked when the call began: what it proves is settled to the end.
    function test_aRotationInsideABatch() public {
        sendPointsHere(ALICE, 5, SOON);
        rotateThere(1, 2, Signer.key(NEXT));
        sendPointsHere(ALICE, 7, SOON);
        bridge.deliver(certified(), itemsFrom(0));
        vm.assertEq(points.balanceOf(ALICE), 12, "both");
        (uint64 version,) = bridge.keyInForce();
        vm.assertEq(version, 1, "and the rotation between them");
    }

    function test_keysFollowOneAnother() public {
        for (uint64 i = 1; i < 4; ++i) {
            deliver(rotateThere(i, epoch + 5, Signer.key(SECRET + i)));
            _newChain(SECRET + i, epoch + 5);
        }
        (uint64 version, uint64 firstEpoch) = bridge.keyInForce();
        vm.assertEq(version, 3, "the third");
        vm.assertEq(firstEpoch, 16, "its epoch");
        deliver(sendPointsHere(ALICE, 5, SOON));
    }

    /// @dev The group may return to a key it had; the number grows all the same.
    function test_anOldRotationIsNotReplayed() public {
        uint64 first = rotateThere(1, 2, Signer.key(NEXT));
        deliver(first);
        _newChain(NEXT, 2);
        deliver(rotateThere(2, 3, Signer.key(SECRET)));
        _newChain(SECRET, 3);
        ILightClient inForce = bridge.lightClient();
        // The packet itself again, under a good certificate: it has its receipt.
        deliver(first);
        vm.assertEq(address(bridge.lightClient()), address(inForce), "nothing happens");
        // Its content under a new sequence, with the number it had, or the one in force.
        _refused(
            rotateThere(1, 9, Signer.key(NEXT)),
            abi.encodeWithSelector(BridgeErrors.RotationStale.selector, 1, 2)
        );
        _refused(
            rotateThere(2, 9, Signer.key(NEXT)),
            abi.encodeWithSelector(BridgeErrors.RotationStale.selector, 2, 2)
        );
        _refused(
            rotateThere(0, 9, Signer.key(NEXT)),
            abi.encodeWithSelector(BridgeErrors.RotationStale.selector, 0, 2)
        );
        // A number that never came is passed over for good.
        deliver(rotateThere(7, 9, Signer.key(NEXT)));
        _newChain(NEXT, 9);
        _refused(
            rotateThere(3, 11, Signer.key(SECRET)),
            abi.encodeWithSelector(BridgeErrors.RotationStale.selector, 3, 7)
        );
    }

    /// @dev A key cannot have signed the block that announces it.
    function test_aKeyBeginsAfterItsAnnouncement() public {
        _refused(
            rotateThere(1, 1, Signer.key(NEXT)),
            abi.encodeWithSelector(BridgeErrors.RotationTooEarly.selector, 1, 1)
        );
        _refused(
            rotateThere(1, 0, Signer.key(NEXT)),
            abi.encodeWithSelector(BridgeErrors.RotationTooEarly.selector, 0, 1)
        );
    }

    function test_badKeysAreRefused() public {
        bytes memory key = Signer.key(NEXT);
        bytes memory broken = abi.encodeWithSelector(BlsErrors.PrecompileFailed.selector, Bls.PAIRING);
        _refused(
            rotateThere(1, 2, new bytes(256)), abi.encodeWithSelector(LightClientErrors.KeyIdentity.selector)
        );
        _refused(rotateThere(1, 2, flipped(key, 255)), broken); // off the curve
        _refused(rotateThere(1, 2, flipped(key, 0)), broken); // no field element
        // On the curve (x = 2), outside the subgroup.
        bytes memory outside = abi.encodePacked(
            uint256(0),
            uint256(2),
            uint256(0),
            uint256(0),
            bytes16(0),
            hex"18c6b864ae17dc9da64203ffefb966306425a7bc6aeb7c75247438372716284a4173830420cd476ba1a365b95bfcec38",
            bytes16(0),
            hex"172e93db764a8400a7d5071b6b6f5de0da2f0f4a063119abca014006b7c40a2cfe291a1924e65db0d6d0fcfbf3bf3d5c"
        );
        _refused(rotateThere(1, 2, outside), broken);
        vm.assertEq(address(bridge.lightClient()), address(client), "the first key is still in force");
        (uint64 version,) = bridge.keyInForce();
        vm.assertEq(version, 0, "number 0");
    }

    function test_everyByteOfARotationIsConsumed() public {
        bytes memory good = abi.encodePacked(
            uint8(1), uint8(3), NATIVE, ETHEREUM, uint64(1), uint64(1), uint64(2), Signer.key(NEXT)
        );
        vm.assertEq(good.length, 298, "a rotation's length");
        _refused(append(cut(good, 297)), abi.encodeWithSelector(PacketErrors.PacketLength.selector, 298, 297));
        _refused(
            append(bytes.concat(good, hex"00")),
            abi.encodeWithSelector(PacketErrors.PacketLength.selector, 298, 299)
        );
        // As an expiry's inside, where only a transfer may stand.
        _refused(
            append(abi.encodePacked(uint8(1), uint8(2), NATIVE, ETHEREUM, uint64(1), good)),
            abi.encodeWithSelector(PacketErrors.PacketLength.selector, 160, 324)
        );
    }

    /// @dev DESIGN, bridge table: "the key store is callable by no router".
    function test_Poly_onlyACertifiedPacketRotates() public {
        bytes memory key = Signer.key(NEXT);
        uint64 index = rotateThere(1, 2, key);
        IBridge.OutboxItem[] memory items = one(index);
        // Signed by the new key itself, by nobody, or for another chain.
        ILightClient.HeaderProof memory header = Signer.certify(NEXT, NATIVE, unsigned());
        vm.expectRevert(LightClientErrors.CertificateInvalid.selector);
        bridge.deliver(header, items);
        header = Signer.certify(SECRET, NATIVE + 1, unsigned());
        vm.expectRevert(LightClientErrors.CertificateInvalid.selector);
        bridge.deliver(header, items);
        // A rotation that the outbox does not hold.
        items[0].packet = flipped(items[0].packet, 41);
        header = certified();
        vm.expectRevert(abi.encodeWithSelector(BridgeErrors.PathInvalid.selector, index));
        bridge.deliver(header, items);
        // A rotation of another chain's key, or one meant for another chain.
        bytes memory foreign =
            abi.encodePacked(uint8(1), uint8(3), NATIVE, ETHEREUM + 1, uint64(1), uint64(1), uint64(2), key);
        _refused(
            append(foreign), abi.encodeWithSelector(BridgeErrors.DestinationChain.selector, ETHEREUM + 1)
        );
        foreign =
            abi.encodePacked(uint8(1), uint8(3), NATIVE + 1, ETHEREUM, uint64(1), uint64(1), uint64(2), key);
        _refused(append(foreign), abi.encodeWithSelector(BridgeErrors.SourceChain.selector, NATIVE + 1));
        vm.assertEq(address(bridge.lightClient()), address(client), "the first key is still in force");
    }

    /// @dev Of the bridge's storage a rotation writes its receipt and the pointer, nothing else.
    function test_aRotationWritesTwoSlots() public {
        ILightClient.HeaderProof memory header;
        uint64 index = rotateThere(1, 2, Signer.key(NEXT));
        header = certified();
        IBridge.OutboxItem[] memory items = one(index);
        uint64 next = bridge.nextSequence();
        vm.record();
        bridge.deliver(header, items);
        (, bytes32[] memory writes) = vm.accesses(address(bridge));
        bytes32 receipts = keccak256(abi.encode(uint256(0), uint256(1)));
        for (uint256 i = 0; i < writes.length; ++i) {
            vm.assertTrue(writes[i] == receipts || writes[i] == bytes32(uint256(3)), "these two");
        }
        vm.assertEq(bridge.nextSequence(), next, "its neighbour in the slot stays");
        vm.assertFalse(bridge.frozen(), "and the other one");
    }

    /// @dev An old quorum that contradicts itself stops nothing; the quorum in force does.
    function test_freezingIsPerKey() public {
        ILightClient.HeaderProof memory a;
        ILightClient.HeaderProof memory b;
        deliver(rotateThere(1, 2, Signer.key(NEXT)));
        (a, b) = _contradiction(SECRET);
        vm.expectRevert(abi.encodeWithSelector(LightClientErrors.EpochBeforeKey.selector, 1, 2));
        bridge.freeze(a, b);
        epoch = 2;
        (a, b) = _contradiction(SECRET);
        vm.expectRevert(LightClientErrors.CertificateInvalid.selector);
        bridge.freeze(a, b);
        (a, b) = _contradiction(NEXT);
        bridge.freeze(a, b);
        vm.assertTrue(bridge.frozen(), "stopped");
    }

    /// @dev A stopped bridge does not come back by a rotation.
    function test_aRotationThawsNothing() public {
        (ILightClient.HeaderProof memory a, ILightClient.HeaderProof memory b) = _contradiction(SECRET);
        bridge.freeze(a, b);
        _refused(
            rotateThere(1, 2, Signer.key(NEXT)), abi.encodeWithSelector(BridgeErrors.BridgeStopped.selector)
        );
    }

    function _newChain(uint256 secret_, uint64 epoch_) private {
        (secret, epoch) = (secret_, epoch_);
        ++height;
    }

    function _contradiction(uint256 by)
        private
        view
        returns (ILightClient.HeaderProof memory a, ILightClient.HeaderProof memory b)
    {
        a = unsigned();
        (a.outboxSize, a.outboxTree) = (1, keccak256("tree"));
        b = unsigned();
        (b.outboxSize, b.outboxTree) = (1, keccak256("tree"));
        b.restHash = keccak256("another");
        a = Signer.certify(by, NATIVE, a);
        b = Signer.certify(by, NATIVE, b);
    }

    function _refused(uint64 index, bytes memory reason) private {
        ILightClient.HeaderProof memory header = certified();
        IBridge.OutboxItem[] memory items = one(index);
        vm.expectRevert(reason);
        bridge.deliver(header, items);
    }
}
