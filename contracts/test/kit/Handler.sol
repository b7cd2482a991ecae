// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {ValveErrors} from "../../src/errors/ValveErrors.sol";
import {IBridge} from "../../src/interfaces/IBridge.sol";
import {ILightClient} from "../../src/interfaces/ILightClient.sol";
import {IValves} from "../../src/interfaces/IValves.sol";
import {Outbox} from "../../src/libraries/Outbox.sol";
import {Packet} from "../../src/libraries/Packet.sol";
import {BlockingToken} from "./OddTokens.sol";
import {Signer} from "./Signer.sol";
import {World} from "./World.sol";

/// @notice Random people, relayers, clocks, new group keys, limits, pauses, guardians and attackers on
/// both sides. The native side is a model that keeps the protocol; the Ethereum side is the real thing.
contract Handler is World {
    struct Sent {
        address token; // as it is known on Ethereum
        uint256 amount; // in units
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

    /// @notice The native side's books: points it holds, and what it made of each other token.
    uint256 public nativeLocked;
    mapping(address token => uint256) public nativeMinted;

    /// @dev Registered: 18 decimals at home, 6 across.
    BlockingToken private other;
    uint256 private constant UNIT = 1e12;
    /// @dev The registered token pays it nothing.
    address private constant BLOCKED = address(0xb10c);

    /// @notice What the delegates signed with before.
    uint256[] private oldSecrets;

    /// @dev A packet that the native chain never sent: what every attack tries to bring in.
    uint256 private constant LOOT = 1e15;
    address private constant THIEF = address(0x7417ef);
    bytes32 private constant ACKNOWLEDGED = bytes32(uint256(2));

    function setUp() public override {
        super.setUp();
        govern(abi.encodeCall(bridge.setLimits, (address(coin), _limits(1_000 ether))));
        govern(abi.encodeCall(bridge.setLimits, (address(points), _limits(1e12))));
        other = new BlockingToken(ALICE);
        other.set(BLOCKED, true);
        govern(abi.encodeCall(bridge.register, (address(other), 6, _limits(1e9))));
    }

    function sendOther(uint256 who, uint256 amount, uint64 lifetime) external {
        address sender = _person(who);
        uint256 balance = other.balanceOf(sender) / UNIT;
        if (balance == 0) return;
        amount = bound(amount, 1, balance < 1e9 ? balance : 1e9);
        vm.prank(sender);
        other.approve(address(bridge), type(uint256).max);
        // An amount that is finer than the unit leaves nothing behind.
        vm.prank(sender);
        (bool good,) = address(bridge)
            .call(abi.encodeCall(bridge.send, (address(other), BOB, amount * UNIT - 1, _deadline(lifetime))));
        vm.assertFalse(good, "exact or refused");
        _sendAway(sender, address(other), amount * UNIT, lifetime, 0);
    }

    function nativeSendOther(uint256 who, uint256 amount, uint64 lifetime) external {
        _nativeSendHome(address(other), who, amount, lifetime);
    }

    function sendCoin(uint256 who, uint256 amount, uint64 lifetime) external {
        address sender = _person(who);
        uint256 balance = coin.balanceOf(sender);
        if (balance == 0) return;
        vm.prank(sender);
        coin.approve(address(bridge), type(uint256).max);
        amount = bound(amount, 1, balance < 1_000 ether ? balance : 1_000 ether);
        _sendAway(sender, address(coin), amount, lifetime, 0);
    }

    /// @notice Coin or points, to be swapped over there. The native side's model says at random whether the
    /// price was good enough.
    function sendSwap(uint256 who, uint256 amount, uint64 lifetime, uint256 least) external {
        address sender = _person(who);
        bool isCoin = least % 2 == 0;
        uint256 balance = isCoin ? coin.balanceOf(sender) : points.balanceOf(sender);
        if (balance == 0) return;
        uint256 most = isCoin ? 1_000 ether : 1e12;
        vm.prank(sender);
        coin.approve(address(bridge), type(uint256).max);
        _sendAway(
            sender,
            isCoin ? address(coin) : address(points),
            bound(amount, 1, balance < most ? balance : most),
            lifetime,
            bound(least, 1, type(uint256).max)
        );
    }

    function sendPoints(uint256 who, uint256 amount, uint64 lifetime) external {
        address sender = _person(who);
        uint256 balance = points.balanceOf(sender);
        if (balance == 0) return;
        _sendAway(sender, address(points), bound(amount, 1, balance), lifetime, 0);
    }

    function nativeSendPoints(uint256 who, uint256 amount, uint64 lifetime) external {
        amount = bound(amount, 1, 1e12);
        uint64 deadline = _deadline(lifetime);
        nativeLocked += amount;
        asking = lifetime % 2 == 0;
        _record(address(points), amount, deadline, sendPointsHere(_receiver(who), amount, deadline));
    }

    function nativeSendCoin(uint256 who, uint256 amount, uint64 lifetime) external {
        _nativeSendHome(address(coin), who, amount, lifetime);
    }

    /// @notice An epoch ends, and the delegates have another key from the next on. The last certificate
    /// of the old one carries the news, sometimes with packets that were waiting.
    function rotate(uint256 seed) external {
        uint64 version = uint64(oldSecrets.length + 1);
        uint256 next = uint256(keccak256(abi.encode("key", version, seed))) >> 8;
        uint64 index = rotateThere(version, epoch + 1, Signer.key(next));
        uint64 from = seed % 2 == 0 || index == 0 ? index : index - 1;
        ++height;
        ILightClient.HeaderProof memory header = certified();
        (bool good, bytes memory why) =
            address(bridge).call(abi.encodeCall(bridge.deliver, (header, itemsFrom(from))));
        if (!good) {
            // A pause, or a transfer beside it that waits, holds it up; a relayer tries until it ends.
            _assertValve(why);
            _resume();
            bridge.deliver(header, itemsFrom(index));
        }
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
        how %= 7;
        if (how == 6) {
            _attackWithBoth(pick);
            return;
        }
        if (how == 5) {
            // Signed for by everybody, and yet no packet of this way.
            uint64 place = append(
                Packet.encodeSwap(transferHere(NATIVE, POINTS_HOME, THIEF, LOOT, type(uint64).max), pick)
            );
            ++nativeSequence;
            header = certified();
            items[0] = item(place);
            (bool taken,) = address(bridge).call(abi.encodeCall(bridge.deliver, (header, items)));
            vm.assertFalse(taken, "nothing is swapped here");
            native.pop();
            --nativeSequence;
            return;
        }
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
        // A swap at too bad a price goes home in time.
        bool isRefused = sent.packet.length == 167 && pick % 3 == 0;
        if (block.timestamp <= sent.deadline && !isRefused) {
            sent.received = true;
            if (sent.token == address(points)) nativeLocked -= sent.amount;
            else nativeMinted[sent.token] += sent.amount;
            if (_asks(sent.packet)) acknowledgeThere(sent.packet);
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
        ILightClient.HeaderProof memory header = certified();
        (bool good, bytes memory why) = address(bridge).call(abi.encodeCall(bridge.deliver, (header, items)));
        if (!good) _assertValve(why);
    }

    /// @notice A relayer brings the news of what expired on Ethereum back to the native chain.
    function nativeRefund(uint256 pick) external {
        if (here.length == 0) return;
        Sent storage sent = here[pick % here.length];
        if (sent.refunded || bridge.receipt(sent.sequence) != 2) return;
        sent.refunded = true;
        if (sent.token == address(points)) nativeLocked -= sent.amount;
        else nativeMinted[sent.token] += sent.amount;
    }

    /// @notice The guardian stops something, or one transfer that waits.
    function guard(uint256 how) external {
        how %= 9;
        (uint256 count, uint64[] memory waiting) = bridge.heldSequences(0, 256);
        vm.startPrank(GUARDIAN);
        if (how < 2) bridge.pauseDirection(IValves.Direction(how));
        else if (how < 5) bridge.pauseToken(_token(how));
        else if (count != 0) _stop(waiting[how % count]);
        vm.stopPrank();
    }

    /// @notice The governor opens everything, or sets new limits; the delay passes first.
    function reopen(uint256 how) external {
        if (how % 3 == 0) {
            uint256 base = [uint256(1_000 ether), 1e12, 1e9][(how >> 16) % 3];
            IValves.Limits memory next = _limits(uint96(base << (how >> 8) % 4));
            govern(abi.encodeCall(bridge.setLimits, (_token(how >> 16), next)));
        } else {
            _resume();
        }
    }

    /// @notice Anybody releases a transfer that waits; too early is too early.
    function releaseSome(uint256 pick) external {
        (uint256 count, uint64[] memory waiting) = bridge.heldSequences(0, 256);
        if (count == 0) return;
        uint64 sequence = waiting[pick % count];
        (, uint64 until) = bridge.held(sequence);
        (bool good, bytes memory why) =
            address(bridge).call(abi.encodeCall(bridge.release, (_packetOf(sequence))));
        if (block.timestamp < until) vm.assertFalse(good, "not before its time");
        if (!good) _assertValve(why);
    }

    function passTime(uint256 by) external {
        vm.warp(block.timestamp + bound(by, 1, 2 hours));
    }

    /// @notice What left one side and neither arrived nor returned.
    function inFlight(address token) public view returns (uint256 sum) {
        for (uint256 i = 0; i < away.length; ++i) {
            Sent storage sent = away[i];
            bool settled = sent.received || _isRefunded(sent.sequence);
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
        vm.assertTrue(bridge.solvent(address(other)), "the registered token is solvent");
        vm.assertEq(other.balanceOf(BLOCKED), 0, "nothing was forced on whom the token refuses");
        for (uint256 i = 0; i < 3; i += 2) {
            address token = _token(i);
            vm.assertEq(
                bridge.locked(token), nativeMinted[token] + inFlight(token), "locked == minted + in flight"
            );
        }
        vm.assertEq(
            nativeLocked,
            bridge.minted(address(points)) + inFlight(address(points)),
            "points: locked == minted + in flight"
        );
        for (uint256 i = 0; i < away.length; ++i) {
            bool refunded = _isRefunded(away[i].sequence);
            vm.assertFalse(away[i].received && refunded, "never received and refunded");
            bool acknowledged = bridge.outbound(away[i].sequence) == ACKNOWLEDGED;
            vm.assertTrue(
                !acknowledged || away[i].received && _asks(away[i].packet),
                "only what was received, to who asked"
            );
            vm.assertTrue(!refunded || away[i].expired, "no refund without an expiry");
        }
        for (uint256 i = 0; i < here.length; ++i) {
            vm.assertFalse(
                here[i].refunded && bridge.receipt(here[i].sequence) != 2, "no refund without an expiry"
            );
            bool due = _asks(here[i].packet) && bridge.receipt(here[i].sequence) == 1;
            vm.assertEq(
                _acknowledgements(here[i].packet), due ? 1 : 0, "one for each that asked and was received"
            );
        }
    }

    /// @notice Everything still open is carried over, late: afterwards nothing may be in flight.
    function settleEverything() external {
        _resume();
        for (uint256 i = 0; i < away.length; ++i) {
            this.nativeDeliver(i);
        }
        for (uint256 i = 0; i < native.length; ++i) {
            this.deliverSome(i, 1);
        }
        vm.warp(block.timestamp + 1 hours);
        for (uint256 i = 0; i < native.length; ++i) {
            this.deliverSome(i, 1);
        }
        for (uint256 i = 0; i < here.length; ++i) {
            this.nativeRefund(i);
        }
        (uint256 waiting,) = bridge.heldSequences(0, 0);
        vm.assertEq(waiting, 0, "nothing waits");
        for (uint256 i = 0; i < away.length; ++i) {
            bool due = _asks(away[i].packet) && away[i].received;
            vm.assertEq(bridge.outbound(away[i].sequence) == ACKNOWLEDGED, due, "who asked knows");
        }
        vm.assertEq(inFlight(address(coin)), 0, "no coin is lost on the way");
        vm.assertEq(inFlight(address(other)), 0, "nor a registered token");
        vm.assertEq(inFlight(address(points)), 0, "no point is lost on the way");
    }

    /// @dev The native chain's own delegates sign for the other end of what has one already, or for an
    /// acknowledgement that nobody asked for.
    function _attackWithBoth(uint256 pick) private {
        if (away.length == 0) return;
        Sent storage sent = away[pick % away.length];
        bytes32 mark = bridge.outbound(sent.sequence);
        bool isOpen = mark == keccak256(sent.packet);
        if (isOpen && _asks(sent.packet)) return;
        uint64 place = isOpen || pick % 2 == 0 ? acknowledgeThere(sent.packet) : expireThere(sent.packet);
        (bool good,) = address(bridge).call(abi.encodeCall(bridge.deliver, (certified(), one(place))));
        vm.assertFalse(good, "one end for each packet");
        vm.assertEq(bridge.outbound(sent.sequence), mark, "the first stands");
        native.pop();
        --nativeSequence;
    }

    function _asks(bytes memory packet) private pure returns (bool) {
        return packet[1] & 0x80 != 0;
    }

    function _isRefunded(uint64 sequence) private view returns (bool) {
        return bridge.outbound(sequence) == bytes32(uint256(1));
    }

    /// @dev How many acknowledgements of a packet left for the native chain.
    function _acknowledgements(bytes memory packet) private view returns (uint256 count) {
        uint64 next = bridge.nextSequence();
        for (uint64 i = 1; i < next; ++i) {
            if (bridge.outbound(i) == keccak256(acknowledgementHere(i, packet))) ++count;
        }
    }

    function _token(uint256 how) private view returns (address) {
        return [address(coin), address(points), address(other)][how % 3];
    }

    function _limits(uint96 base) private pure returns (IValves.Limits memory) {
        return IValves.Limits({
            sendPerHour: base * 2,
            sendPerDay: base * 10,
            receivePerHour: base * 2,
            receivePerDay: base * 10,
            largeFrom: base / 2,
            holdSeconds: 30 minutes
        });
    }

    /// @dev A transfer from the native chain, by its sequence.
    function _packetOf(uint64 sequence) private view returns (bytes memory) {
        for (uint256 i = 0; i < here.length; ++i) {
            if (here[i].sequence == sequence) return here[i].packet;
        }
        revert("only transfers wait");
    }

    function _stop(uint64 sequence) private {
        (, uint64 until) = bridge.held(sequence);
        (bool good,) = address(bridge).call(abi.encodeCall(bridge.stop, (_packetOf(sequence))));
        vm.assertEq(good, block.timestamp < until, "a guardian may stop it until its time has come");
    }

    function _resume() private {
        for (uint256 i = 0; i < 3; ++i) {
            if (i < 2 && bridge.directionPaused(IValves.Direction(i))) {
                govern(abi.encodeCall(bridge.resumeDirection, (IValves.Direction(i))));
            }
            if (bridge.tokenPaused(_token(i))) govern(abi.encodeCall(bridge.resumeToken, (_token(i))));
        }
    }

    /// @dev Only a valve may refuse what is in order.
    function _assertValve(bytes memory why) private {
        bytes4 reason = bytes4(why);
        vm.assertTrue(
            reason == ValveErrors.DirectionStopped.selector || reason == ValveErrors.TokenStopped.selector
                || reason == ValveErrors.TransferHeld.selector || reason == ValveErrors.LimitReached.selector,
            "refused by a valve"
        );
    }

    function _person(uint256 who) private pure returns (address) {
        return [ALICE, BOB, address(0xca401)][who % 3];
    }

    /// @dev Now and then one that nobody can be.
    function _receiver(uint256 who) private pure returns (address) {
        if (who % 16 < 2) return who % 16 == 0 ? address(0) : BLOCKED;
        return _person(who);
    }

    /// @dev With a `least`, to be swapped.
    function _sendAway(address sender, address token, uint256 amount, uint64 lifetime, uint256 least)
        private
    {
        uint64 deadline = _deadline(lifetime);
        IValves.Room memory room = bridge.room(token);
        uint256 left = room.sendInHour < room.sendInDay ? room.sendInHour : room.sendInDay;
        bool stopped = bridge.tokenPaused(token) || bridge.directionPaused(IValves.Direction.Send);
        uint256 units = amount / bridge.unit(token);
        if (units > left || stopped) {
            vm.prank(sender);
            (bool good, bytes memory why) = address(bridge)
                .call(
                    least == 0
                        ? abi.encodeCall(bridge.send, (token, BOB, amount, deadline))
                        : abi.encodeCall(bridge.sendSwapAcknowledged, (token, BOB, amount, deadline, least))
                );
            vm.assertFalse(good, "a valve is shut");
            _assertValve(why);
            return;
        }
        asking = lifetime % 2 == 0;
        (uint64 sequence, bytes memory packet) = least == 0
            ? sendAway(sender, token, amount, deadline)
            : sendAwayToSwap(sender, token, amount, deadline, least);
        away.push(Sent(token, units, deadline, sender, sequence, packet, false, false, false));
    }

    function _nativeSendHome(address token, uint256 who, uint256 units, uint64 lifetime) private {
        if (nativeMinted[token] == 0) return;
        units = bound(units, 1, nativeMinted[token]);
        uint64 deadline = _deadline(lifetime);
        nativeMinted[token] -= units;
        asking = lifetime % 2 == 0;
        _record(token, units, deadline, sendTokenHere(token, _receiver(who), units, deadline));
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
