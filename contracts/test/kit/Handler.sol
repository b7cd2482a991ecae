// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IBridge} from "../../src/interfaces/IBridge.sol";
import {World} from "./World.sol";

/// @notice Random people, relayers and clocks on both sides. The native side is a model that keeps
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

    function sendCoin(uint256 amount, uint64 lifetime) external {
        _sendAway(address(coin), bound(amount, 1, 1_000 ether), lifetime);
    }

    function sendPoints(uint256 amount, uint64 lifetime) external {
        uint256 balance = points.balanceOf(ALICE);
        if (balance == 0) return;
        _sendAway(address(points), bound(amount, 1, balance), lifetime);
    }

    function nativeSendPoints(uint256 amount, uint64 lifetime) external {
        amount = bound(amount, 1, 1e12);
        uint64 deadline = _deadline(lifetime);
        nativeLocked += amount;
        _record(address(points), amount, deadline, sendPointsHere(ALICE, amount, deadline));
    }

    function nativeSendCoin(uint256 amount, uint64 lifetime) external {
        if (nativeMinted == 0) return;
        amount = bound(amount, 1, nativeMinted);
        uint64 deadline = _deadline(lifetime);
        nativeMinted -= amount;
        _record(address(coin), amount, deadline, sendCoinHere(ALICE, amount, deadline));
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

    function _sendAway(address token, uint256 amount, uint64 lifetime) private {
        uint64 deadline = _deadline(lifetime);
        (uint64 sequence, bytes memory packet) = sendAway(ALICE, token, amount, deadline);
        away.push(Sent(token, amount, deadline, ALICE, sequence, packet, false, false, false));
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
