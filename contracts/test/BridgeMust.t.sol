// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {Bridge} from "../src/bridge/Bridge.sol";
import {BridgeErrors} from "../src/errors/BridgeErrors.sol";
import {LightClientErrors} from "../src/errors/LightClientErrors.sol";
import {PacketErrors} from "../src/errors/PacketErrors.sol";
import {IBridge} from "../src/interfaces/IBridge.sol";
import {ILightClient} from "../src/interfaces/ILightClient.sol";
import {IValves} from "../src/interfaces/IValves.sol";
import {Packet} from "../src/libraries/Packet.sol";
import {FalseToken, FeeToken, LyingToken, Noisy, ReentrantToken} from "./kit/OddTokens.sol";
import {Signer} from "./kit/Signer.sol";
import {World} from "./kit/World.sol";

/// @dev What broke other bridges, tried here: each row of the design's table that concerns this
/// side, by its name. The rows on certificates and precompiles (Nomad, Wormhole) go on in
/// LightClient.t.sol and Bls.t.sol, the roles (Ronin) in Authority.t.sol, odd tokens that are
/// registered in Registration.t.sol. That no single Ethereum endpoint is believed (KelpDAO) is the
/// native chain's to show: chain/node/tests/simulation.
contract BridgeMustTest is World {
    uint64 private constant SOON = uint64(NOW + 60);

    function test_Nomad_zeroRootProvesNothing() public {
        sendPointsHere(ALICE, 5, SOON);
        IBridge.OutboxItem[] memory items = one(0);
        ILightClient.HeaderProof memory header = unsigned();
        header.outboxTree = 0;
        header = Signer.certify(SECRET, NATIVE, header);
        vm.expectRevert(LightClientErrors.OutboxTreeZero.selector);
        bridge.deliver(header, items);

        header = unsigned();
        (header.outboxSize, header.outboxTree) = (0, 0);
        header = Signer.certify(SECRET, NATIVE, header);
        vm.expectRevert(LightClientErrors.OutboxEmpty.selector);
        bridge.deliver(header, items);

        header = certified();
        header.signature = new bytes(128);
        vm.expectRevert(LightClientErrors.SignatureIdentity.selector);
        bridge.deliver(header, items);

        (header.restHash, header.signature) = (0, new bytes(0));
        vm.expectRevert(LightClientErrors.RestHashZero.selector);
        bridge.deliver(header, items);
        _nothingHappened();
    }

    function test_Wormhole_theVerifierIsPartOfTheCode() public {
        // The bridge makes its client itself, of the code it was built with; nobody hands it one.
        vm.assertEq(
            address(bridge.lightClient()).code.length,
            address(bridgeFor(coin).lightClient()).code.length,
            "code"
        );
        // Whoever else makes clients with the factory makes no difference.
        bytes memory foreign = Signer.key(SECRET + 1);
        vm.prank(address(0xbad));
        bridge.clients().create(foreign, NATIVE, 9, 0);
        vm.assertEq(address(bridge.lightClient()), address(client), "the client");
    }

    function test_Bnb_leafIndexOutOfRange() public {
        _fill(7);
        IBridge.OutboxItem memory good = item(6);
        uint64[4] memory indexes = [uint64(7), 8, 1 << 32, type(uint64).max];
        for (uint256 i = 0; i < indexes.length; ++i) {
            _pathRefused(good.packet, indexes[i], good.path);
        }
        _nothingHappened();
    }

    function test_Bnb_otherLeafIndex() public {
        _fill(7);
        IBridge.OutboxItem memory good = item(3);
        for (uint64 i = 0; i < 7; ++i) {
            if (i != 3) _pathRefused(good.packet, i, good.path);
        }
        _nothingHappened();
    }

    /// @dev A signed size other than the one the tree has: lengths no longer agree.
    function test_Hyperbridge_otherSize() public {
        _fill(7);
        IBridge.OutboxItem[] memory items = one(6);
        for (uint64 size = 1; size < 20; ++size) {
            ILightClient.HeaderProof memory header = unsigned();
            // Sizes 7 and 13 give leaf 6 a path of other lengths or shapes but for 7 itself.
            if (size == 7) continue;
            header.outboxSize = size;
            header = Signer.certify(SECRET, NATIVE, header);
            (bool good,) = address(bridge).call(abi.encodeCall(bridge.deliver, (header, items)));
            vm.assertFalse(good, "another size is another tree");
        }
        _nothingHappened();
    }

    function test_Hyperbridge_onePathLength() public {
        _fill(7);
        for (uint64 i = 0; i < 7; ++i) {
            IBridge.OutboxItem memory good = item(i);
            bytes32[] memory shorter = new bytes32[](good.path.length - 1);
            bytes32[] memory longer = new bytes32[](good.path.length + 1);
            for (uint256 k = 0; k < good.path.length; ++k) {
                if (k < shorter.length) shorter[k] = good.path[k];
                longer[k] = good.path[k];
            }
            _pathRefused(good.packet, i, shorter);
            _pathRefused(good.packet, i, longer);
            _pathRefused(good.packet, i, new bytes32[](0));
        }
        _nothingHappened();
    }

    function test_Hyperbridge_changedPathOrPacket() public {
        _fill(7);
        IBridge.OutboxItem memory good = item(2);
        for (uint256 k = 0; k < good.path.length; ++k) {
            good.path[k] ^= bytes32(uint256(1));
            _pathRefused(good.packet, 2, good.path);
            good.path[k] ^= bytes32(uint256(1));
        }
        for (uint256 k = 0; k < good.packet.length; ++k) {
            _pathRefused(flipped(good.packet, k), 2, good.path);
        }
        _pathRefused(cut(good.packet, 133), 2, good.path);
        _pathRefused(bytes.concat(good.packet, hex"00"), 2, good.path);
        _nothingHappened();
    }

    /// @dev Truncated and over-long packets, even when the chain really held them.
    function test_Hyperbridge_everyByteOfAPacketIsConsumed() public {
        bytes memory good = Packet.encode(transferHere(NATIVE, POINTS_HOME, ALICE, 5, SOON));
        _refused(cut(good, 133), abi.encodeWithSelector(PacketErrors.PacketLength.selector, 134, 133));
        _refused(
            bytes.concat(good, hex"00"), abi.encodeWithSelector(PacketErrors.PacketLength.selector, 134, 135)
        );
        _refused("", abi.encodeWithSelector(PacketErrors.PacketLength.selector, 134, 0));
        bytes memory version = bytes.concat(good);
        version[0] = 0x02;
        _refused(version, abi.encodeWithSelector(PacketErrors.PacketVersion.selector, 2));
        bytes memory kind = bytes.concat(good);
        kind[1] = 0x04;
        _refused(kind, abi.encodeWithSelector(PacketErrors.PacketKind.selector, 4));
        _nothingHappened();
    }

    /// @dev A packet only ever moves one of two tokens. It names no code to run.
    function test_Poly_aPacketCallsNothing() public {
        address[4] memory targets = [address(client), address(bridge), address(coin), address(points)];
        for (uint256 i = 0; i < targets.length; ++i) {
            _tokenRefused(NATIVE, targets[i]);
            if (targets[i] != address(coin)) _tokenRefused(ETHEREUM, targets[i]);
        }
        // A receiver is credited, never called.
        Noisy noisy = new Noisy();
        uint64 index = sendPointsHere(address(noisy), 5, SOON);
        deliver(index);
        vm.assertEq(noisy.calls(), 0, "not called");
        vm.assertEq(points.balanceOf(address(noisy)), 5, "credited");
    }

    /// @dev The key is code and the stop mark is the client's own: the bridge cannot reach either.
    function test_Poly_theKeyStoreIsCallableByNoRouter() public {
        bytes memory key = client.groupKey();
        deliver(sendPointsHere(address(client), 5, SOON));
        vm.assertEq(client.groupKey(), key, "same key");
        vm.assertEq(address(bridge.lightClient()), address(client), "same client");
        vm.assertFalse(bridge.frozen(), "not stopped");
    }

    function test_Ronin_noAccountHasRights() public {
        string[18] memory words = [
            "owner()",
            "admin()",
            "transferOwnership(address)",
            "renounceOwnership()",
            "initialize()",
            "initialize(address)",
            "upgradeTo(address)",
            "upgradeToAndCall(address,bytes)",
            "pause()",
            "unpause()",
            "withdraw(address,uint256)",
            "rescue(address)",
            "sweep(address)",
            "setLightClient(address)",
            "setGroupKey(bytes)",
            "setBridge(address)",
            "mint(address,uint256)",
            "grantRole(bytes32,address)"
        ];
        address[4] memory targets = [address(bridge), address(client), address(coin), address(points)];
        for (uint256 t = 0; t < targets.length; ++t) {
            for (uint256 w = 0; w < words.length; ++w) {
                // The deployer itself, with arguments enough for any of them.
                (bool good,) = targets[t].call(
                    abi.encodePacked(bytes4(keccak256(bytes(words[w]))), abi.encode(address(this), 1, 64, 0))
                );
                vm.assertFalse(good, words[w]);
            }
        }
    }

    /// @dev One delegate, or an earlier quorum under another key, is not the group.
    function test_Ronin_oneSignerIsNotTheGroup() public {
        sendPointsHere(ALICE, 5, SOON);
        IBridge.OutboxItem[] memory items = one(0);
        ILightClient.HeaderProof memory header = Signer.certify(SECRET + 1, NATIVE, unsigned());
        vm.expectRevert(LightClientErrors.CertificateInvalid.selector);
        bridge.deliver(header, items);
        _nothingHappened();
    }

    /// @dev A certificate of another chain of the same software, and by the same delegates.
    function test_Qubit_certificateOfAnotherChain() public {
        sendPointsHere(ALICE, 5, SOON);
        IBridge.OutboxItem[] memory items = one(0);
        ILightClient.HeaderProof memory header = Signer.certify(SECRET, NATIVE + 1, unsigned());
        vm.expectRevert(LightClientErrors.CertificateInvalid.selector);
        bridge.deliver(header, items);
        _nothingHappened();
    }

    function test_Qubit_otherEmitter() public {
        Packet.Transfer memory t = transferHere(NATIVE, POINTS_HOME, ALICE, 5, SOON);
        t.source = NATIVE + 1;
        _refused(Packet.encode(t), abi.encodeWithSelector(BridgeErrors.SourceChain.selector, NATIVE + 1));
        // This chain's own packet, shown back to it.
        (, bytes memory own) = sendAway(ALICE, address(coin), 5, SOON);
        _refused(own, abi.encodeWithSelector(BridgeErrors.SourceChain.selector, ETHEREUM));
    }

    function test_Qubit_otherDestination() public {
        Packet.Transfer memory t = transferHere(NATIVE, POINTS_HOME, ALICE, 5, SOON);
        t.destination = ETHEREUM + 1;
        _refused(
            Packet.encode(t), abi.encodeWithSelector(BridgeErrors.DestinationChain.selector, ETHEREUM + 1)
        );
        _nothingHappened();
    }

    /// @dev The right address on the wrong chain, or the wrong address on the right one.
    function test_Qubit_tokenIsChainAndContract() public {
        _tokenRefused(ETHEREUM, POINTS_HOME);
        _tokenRefused(NATIVE, address(coin));
        _tokenRefused(NATIVE, address(0));
        _tokenRefused(NATIVE, address(points));
        _tokenRefused(NATIVE + 1, POINTS_HOME);
    }

    function test_OddTokens_withoutCode() public {
        bytes memory key = Signer.key(SECRET);
        IValves.Limits memory none = unlimited();
        vm.expectRevert(abi.encodeWithSelector(BridgeErrors.TokenWithoutCode.selector, address(0xdead)));
        new Bridge(key, NATIVE, IERC20(address(0xdead)), 0, address(authority), none, none);
        vm.expectRevert(abi.encodeWithSelector(BridgeErrors.TokenWithoutCode.selector, address(0)));
        new Bridge(key, NATIVE, IERC20(address(0)), 0, address(authority), none, none);
    }

    function test_OddTokens_feeOnTransfer() public {
        Bridge odd = bridgeFor(new FeeToken(address(this)));
        odd.coin().approve(address(odd), 10);
        address token = address(odd.coin());
        vm.expectRevert(abi.encodeWithSelector(BridgeErrors.AmountMoved.selector, 10, 9));
        odd.send(token, BOB, 10, SOON);
    }

    function test_OddTokens_falseInsteadOfRevert() public {
        FalseToken token = new FalseToken(address(this));
        Bridge odd = bridgeFor(token);
        vm.expectRevert(abi.encodeWithSelector(SafeERC20.SafeERC20FailedOperation.selector, address(token)));
        odd.send(address(token), BOB, 10, SOON);
    }

    function test_OddTokens_trueWithoutMoving() public {
        LyingToken token = new LyingToken(address(this));
        Bridge odd = bridgeFor(token);
        vm.expectRevert(abi.encodeWithSelector(BridgeErrors.AmountMoved.selector, 10, 0));
        odd.send(address(token), BOB, 10, SOON);
    }

    function test_OddTokens_callingBack() public {
        ReentrantToken token = new ReentrantToken(address(this));
        Bridge odd = bridgeFor(token);
        token.approve(address(odd), 100);
        bytes[3] memory again = [
            abi.encodeCall(odd.send, (address(token), BOB, 1, SOON)),
            abi.encodeCall(odd.sendSwap, (address(token), BOB, 1, SOON, 1)),
            abi.encodeCall(odd.deliver, (unsigned(), new IBridge.OutboxItem[](1)))
        ];
        for (uint256 i = 0; i < again.length; ++i) {
            token.arm(odd, again[i]);
            odd.send(address(token), BOB, 10, SOON);
            vm.assertFalse(token.good(), "not again");
            vm.assertEq(
                token.answer(),
                abi.encodeWithSelector(ReentrancyGuardTransient.ReentrancyGuardReentrantCall.selector),
                "and that is why"
            );
        }
        vm.assertEq(odd.nextSequence(), 4, "one packet each");
        vm.assertEq(odd.locked(address(token)), 30, "one amount each");
    }

    /// @dev The amount that crosses is the amount that is made: no decimals are converted.
    function testFuzz_OddTokens_exactAmounts(uint256 amount) public {
        amount = bound(amount, 1, type(uint128).max);
        deliver(sendPointsHere(ALICE, amount, SOON));
        vm.assertEq(points.balanceOf(ALICE), amount, "exact");
        assertSolvent();
    }

    /// @dev Nothing delegates, nothing destroys itself: the code that runs is the code deployed.
    function test_Upgrade_nothingCanBeReplaced() public {
        address[4] memory targets = [address(bridge), address(client), address(coin), address(points)];
        for (uint256 t = 0; t < targets.length; ++t) {
            bytes memory code = targets[t].code;
            for (uint256 i = 0; i < code.length; ++i) {
                uint8 op = uint8(code[i]);
                if (op >= 0x60 && op <= 0x7f) {
                    i += op - 0x5f; // what a PUSH carries is no instruction
                    continue;
                }
                vm.assertTrue(op != 0xf2 && op != 0xf4 && op != 0xff, "callcode, delegatecall, selfdestruct");
                if (op == 0xfe) break; // data follows
            }
        }
    }

    function _fill(uint64 count) private {
        for (uint64 i = 0; i < count; ++i) {
            sendPointsHere(ALICE, i + 1, SOON);
        }
    }

    function _pathRefused(bytes memory packet, uint64 index, bytes32[] memory path) private {
        IBridge.OutboxItem[] memory items = new IBridge.OutboxItem[](1);
        items[0] = IBridge.OutboxItem(packet, index, path);
        ILightClient.HeaderProof memory header = certified();
        vm.expectRevert(abi.encodeWithSelector(BridgeErrors.PathInvalid.selector, index));
        bridge.deliver(header, items);
    }

    /// @dev A packet that the native chain really holds, refused all the same.
    function _refused(bytes memory packet, bytes memory reason) private {
        IBridge.OutboxItem[] memory items = one(append(packet));
        ILightClient.HeaderProof memory header = certified();
        vm.expectRevert(reason);
        bridge.deliver(header, items);
    }

    function _tokenRefused(uint64 home, address token) private {
        uint64 sequence = nativeSequence;
        uint64 index = append(Packet.encode(transferHere(home, token, ALICE, 5, SOON)));
        ++nativeSequence;
        deliver(index);
        vm.assertEq(bridge.receipt(sequence), 2, "sent home");
        vm.assertEq(coin.balanceOf(address(bridge)), 0, "no coin was here");
        vm.assertEq(points.totalSupply(), 0, "and none is made");
    }

    function _nothingHappened() private {
        for (uint64 i = 1; i < 20; ++i) {
            vm.assertEq(bridge.receipt(i), 0, "no receipt");
        }
        vm.assertEq(points.totalSupply(), 0, "no points");
        assertSolvent();
    }
}
