// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IBridge} from "../../src/interfaces/IBridge.sol";
import {ILightClient} from "../../src/interfaces/ILightClient.sol";
import {Outbox} from "../../src/libraries/Outbox.sol";
import {Packet} from "../../src/libraries/Packet.sol";
import {Signer} from "./Signer.sol";
import {World} from "./World.sol";

/// @notice Random people, relayers, clocks, new group keys and attackers on both sides. The native side is a model that keeps
/// the protocol; the Ethereum side is the real thing.
contract Handler is World {
    struct Sent {
        address token; // as it is known on Ethereum
        uint256 amount;
        uint64 deadline;
        address sender; // on Ethereum; zero for what the native side sent
        uint64 sequence;
        bytes packet;
        bool received; // by the other side
        bool expired; // at the other side
        bool refunded; // at its own
    }

    Sent[] private away; // transfers from Ethereum
    Sent[] private here; // transfers from the native chain

    /// @notice The native side's books: points it holds, coins it made.
    uint256 public nativeLocked;
    uint256 public nativeMinted;

    /// @notice What the delegates signed with before.
    uint256[] private oldSecrets;

    /// @dev A packet that the native chain never sent: what every attack tries to bring in.
    uint256 private constant LOOT = 1e15;
    address private constant THIEF = address(0x7417ef);

    function sendCoin(uint256 who, uint256 amount, uint64 lifetime) external {
        address sender = _person(who);
        uint256 balance = coin.balanceOf(sender);
        if (balance == 0) return;
        vm.prank(sender);
        coin.approve(address(bridge), type(uint256).max);
        _sendAway(
            sender, address(coin), bound(amount, 1, balance < 1_000 ether ? balance : 1_000 ether), lifetime
        );
    }

    function sendPoints(uint256 who, uint256 amount, uint64 lifetime) external {
        address sender = _person(who);
        uint256 balance = points.balanceOf(sender);
        if (balance == 0) return;
        _sendAway(sender, address(points), bound(amount, 1, balance), lifetime);
    }

    function nativeSendPoints(uint256 who, uint256 amount, uint64 lifetime) external {
        amount = bound(amount, 1, 1e12);
        uint64 deadline = _deadline(lifetime);
        nativeLocked += amount;
        _record(address(points), amount, deadline, sendPointsHere(_receiver(who), amount, deadline));
    }

    function nativeSendCoin(uint256 who, uint256 amount, uint64 lifetime) external {
        if (nativeMinted == 0) return;
        amount = bound(amount, 1, nativeMinted);
        uint64 deadline = _deadline(lifetime);
        nativeMinted -= amount;
        _record(address(coin), amount, deadline, sendCoinHere(_receiver(who), amount, deadline));
    }

    /// @notice An epoch ends, and the delegates have another key from the next on. The last certificate
    /// of the old one carries the news, sometimes with packets that were waiting.
    function rotate(uint256 seed) external {
        uint64 version = uint64(oldSecrets.length + 1);
        uint256 next = uint256(keccak256(abi.encode("key", version, seed))) >> 8;
        uint64 index = rotateThere(version, epoch + 1, Signer.key(next));
        uint64 from = seed % 2 == 0 || index == 0 ? index : index - 1;
        ++height;
        bridge.deliver(certified(), itemsFrom(from));
        oldSecrets.push(secret);
        (secret, epoch) = (next, epoch + 1);
        (uint64 inForce,) = bridge.keyInForce();
        vm.assertEq(inForce, version, "the new key is in force");
    }

    /// @notice Somebody tries to bring in a packet that the native chain never sent.
    function attack(uint256 how, uint256 pick) external {
        bytes memory loot = Packet.encode(transferHere(NATIVE, POINTS_HOME, THIEF, LOOT, type(uint64).max));
        ILightClient.HeaderProof memory header = unsigned();
        IBridge.OutboxItem[] memory items = new IBridge.OutboxItem[](1);
        items[0] = IBridge.OutboxItem(loot, header.outboxSize, new bytes32[](0));
        uint256 signer = secret + 1;
        how %= 5;
        if (how == 0 && oldSecrets.length != 0) {
            signer = oldSecrets[pick % oldSecrets.length]; // a quorum of former delegates
        } else if (how == 1 && native.length != 0) {
            header = certified(); // a good certificate, and a leaf that is not there
            items[0] = item(uint64(pick % native.length));
            items[0].packet = loot;
        } else if (how == 2 && native.length != 0) {
            header = certified(); // a good path of another index
            items[0] = item(uint64(pick % native.length));
            items[0].index = header.outboxSize + uint64(pick % 7);
        } else if (how == 3) {
            items[0].packet = abi.encodePacked(
                uint8(1),
                uint8(3),
                NATIVE,
                ETHEREUM,
                nativeSequence,
                type(uint64).max,
                epoch + 9,
                Signer.key(signer)
            ); // a key of the attacker's own
        }
        if (header.signature.length == 0) {
            (header.outboxSize, header.outboxTree) = (1, Outbox.leaf(0, keccak256(items[0].packet)));
            (items[0].index, items[0].path) = (0, new bytes32[](0));
            header = Signer.certify(signer, NATIVE, header);
        }
        vm.prank(THIEF);
        (bool good,) = address(bridge).call(abi.encodeCall(bridge.deliver, (header, items)));
        vm.assertFalse(good, "nothing forged comes in");
    }

    /// @notice Former delegates contradict themselves; that stops nothing.
    function attackByContradiction(uint256 pick) external {
        if (oldSecrets.length == 0) return;
        uint256 signer = oldSecrets[pick % oldSecrets.length];
        ILightClient.HeaderProof[2] memory two;
        for (uint256 i = 0; i < 2; ++i) {
            two[i] = unsigned();
            (two[i].outboxSize, two[i].outboxTree) = (1, keccak256(abi.encode(i)));
            two[i] = Signer.certify(signer, NATIVE, two[i]);
        }
        vm.prank(THIEF);
        (bool good,) = address(bridge).call(abi.encodeCall(bridge.freeze, (two[0], two[1])));
        vm.assertFalse(good || bridge.frozen(), "not stopped");
    }

    /// @notice A relayer shows a packet from Ethereum to the native chain, perhaps once more.
    function nativeDeliver(uint256 pick) external {
        if (away.length == 0) return;
        Sent storage sent = away[pick % away.length];
        if (sent.received || sent.expired) return;
        if (block.timestamp <= sent.deadline) {
            sent.received = true;
            if (sent.token == address(coin)) nativeMinted += sent.amount;
            else nativeLocked -= sent.amount;
        } else {
            sent.expired = true;
            expireThere(sent.packet);
        }
    }

    /// @notice A relayer shows some run of the outbox to Ethereum, settled or not, in one batch.
    function deliverSome(uint256 from, uint256 count) external {
        if (native.length == 0) return;
        from = from % native.length;
        count = bound(count, 1, native.length - from);
        if (count > 6) count = 6;
        IBridge.OutboxItem[] memory items = new IBridge.OutboxItem[](count);
        for (uint64 i = 0; i < count; ++i) {
            // forge-lint: disable-next-line(unsafe-typecast)
            items[i] = item(uint64(from) + i); // a test's outbox is small
        }
        ++height;
        bridge.deliver(certified(), items);
    }

    /// @notice A relayer brings the news of what expired on Ethereum back to the native chain.
    function nativeRefund(uint256 pick) external {
        if (here.length == 0) return;
        Sent storage sent = here[pick % here.length];
        if (sent.refunded || bridge.receipt(sent.sequence) != 2) return;
        sent.refunded = true;
        if (sent.token == address(coin)) nativeMinted += sent.amount;
        else nativeLocked -= sent.amount;
    }

    function passTime(uint256 by) external {
        vm.warp(block.timestamp + bound(by, 1, 2 hours));
    }

    /// @notice What left one side and neither arrived nor returned.
    function inFlight(address token) public view returns (uint256 sum) {
        for (uint256 i = 0; i < away.length; ++i) {
            Sent storage sent = away[i];
            bool settled = sent.received || bridge.outbound(sent.sequence) == bytes32(uint256(1));
            if (sent.token == token && !settled) sum += sent.amount;
        }
        for (uint256 i = 0; i < here.length; ++i) {
            Sent storage sent = here[i];
            bool settled = sent.refunded || bridge.receipt(sent.sequence) == 1;
            if (sent.token == token && !settled) sum += sent.amount;
        }
    }

    /// @notice Reverts unless the books of both sides agree and no packet had two outcomes.
    function check() external {
        assertSolvent();
        vm.assertEq(points.balanceOf(THIEF) + coin.balanceOf(THIEF), 0, "the thief has nothing");
        vm.assertEq(bridge.lightClient().groupKey(), Signer.key(secret), "the chain's own key is in force");
        vm.assertEq(
            bridge.locked(address(coin)),
            nativeMinted + inFlight(address(coin)),
            "coin: locked == minted + in flight"
        );
        vm.assertEq(
            nativeLocked,
            bridge.minted(address(points)) + inFlight(address(points)),
            "points: locked == minted + in flight"
        );
        for (uint256 i = 0; i < away.length; ++i) {
            bool refunded = bridge.outbound(away[i].sequence) == bytes32(uint256(1));
            vm.assertFalse(away[i].received && refunded, "never received and refunded");
            vm.assertTrue(!refunded || away[i].expired, "no refund without an expiry");
        }
        for (uint256 i = 0; i < here.length; ++i) {
            vm.assertFalse(
                here[i].refunded && bridge.receipt(here[i].sequence) != 2, "no refund without an expiry"
            );
        }
    }

    /// @notice Everything still open is carried over, late: afterwards nothing may be in flight.
    function settleEverything() external {
        for (uint256 i = 0; i < away.length; ++i) {
            this.nativeDeliver(i);
        }
        for (uint256 i = 0; i < native.length; ++i) {
            this.deliverSome(i, 1);
        }
        for (uint256 i = 0; i < here.length; ++i) {
            this.nativeRefund(i);
        }
        vm.assertEq(inFlight(address(coin)), 0, "no coin is lost on the way");
        vm.assertEq(inFlight(address(points)), 0, "no point is lost on the way");
    }

    function _person(uint256 who) private pure returns (address) {
        return [ALICE, BOB, address(0xca401)][who % 3];
    }

    /// @dev Now and then one that nobody can be.
    function _receiver(uint256 who) private pure returns (address) {
        return who % 16 == 0 ? address(0) : _person(who);
    }

    function _sendAway(address sender, address token, uint256 amount, uint64 lifetime) private {
        uint64 deadline = _deadline(lifetime);
        (uint64 sequence, bytes memory packet) = sendAway(sender, token, amount, deadline);
        away.push(Sent(token, amount, deadline, sender, sequence, packet, false, false, false));
    }

    function _record(address token, uint256 amount, uint64 deadline, uint64 index) private {
        here.push(
            Sent(token, amount, deadline, address(0), nativeSequence - 1, native[index], false, false, false)
        );
    }

    function _deadline(uint64 lifetime) private view returns (uint64) {
        return uint64(block.timestamp + bound(lifetime, 1, 3 hours));
    }
}
