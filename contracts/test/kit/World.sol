// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {Authority} from "../../src/access/Authority.sol";
import {Bridge} from "../../src/bridge/Bridge.sol";
import {IBridge} from "../../src/interfaces/IBridge.sol";
import {ILightClient} from "../../src/interfaces/ILightClient.sol";
import {IValves} from "../../src/interfaces/IValves.sol";
import {Packet} from "../../src/libraries/Packet.sol";
import {MileVerseCoin} from "../../src/tokens/MileVerseCoin.sol";
import {WrappedPoints} from "../../src/tokens/WrappedPoints.sol";
import {Signer} from "./Signer.sol";
import {Test} from "./Test.sol";
import {Tree} from "./Tree.sol";

/// @notice Both sides of the bridge: the real contracts, and a native chain reduced to its outbox
/// and its delegates' secret.
abstract contract World is Test {
    uint64 internal constant NATIVE = 46_226;
    uint64 internal constant ETHEREUM = 31_337;
    uint256 internal constant SECRET = 0x6d696c6576657273655f64656c656761746573;
    address internal constant POINTS_HOME = 0x4d56000000000000000000000000000000000001;
    address internal constant ALICE = address(0xa11ce);
    address internal constant BOB = address(0xb0b);
    address internal constant GOVERNOR = address(0x907);
    address internal constant GUARDIAN = address(0x9a4d);
    uint32 internal constant DELAY = 1 hours;
    uint256 internal constant NOW = 1_800_000_000;

    MileVerseCoin internal coin;
    ILightClient internal client;
    Bridge internal bridge;
    Authority internal authority;
    WrappedPoints internal points;

    /// @dev Every packet the native chain ever sent, and how many of them went to this chain.
    bytes[] internal native;
    uint64 internal nativeSequence = 1;
    uint64 internal height = 1;
    uint64 internal epoch = 1;
    /// @dev Whether the senders of both sides want acknowledgements.
    bool internal asking;
    /// @dev What the delegates sign with now.
    uint256 internal secret = SECRET;

    function setUp() public virtual {
        vm.chainId(ETHEREUM);
        vm.warp(NOW);
        MileVerseCoin.Share[] memory shares = new MileVerseCoin.Share[](1);
        shares[0] = MileVerseCoin.Share(ALICE, 3_000_000_000 ether);
        coin = new MileVerseCoin(shares);
        bridge = bridgeFor(coin);
        client = bridge.lightClient();
        points = bridge.points();
        authority = Authority(bridge.authority());
        vm.prank(ALICE);
        coin.approve(address(bridge), type(uint256).max);
    }

    /// @dev A bridge to the native chain for any coin.
    function bridgeFor(IERC20 coin_) internal returns (Bridge) {
        address next = vm.computeCreateAddress(address(this), vm.getNonce(address(this)) + 1);
        Authority authority_ = authorityOf(next);
        return new Bridge(Signer.key(SECRET), NATIVE, coin_, 0, address(authority_), unlimited(), unlimited());
    }

    /// @dev The authority over a bridge that may not be there yet.
    function authorityOf(address bridge_) internal returns (Authority) {
        return new Authority(bridge_, rewardsOf(), GOVERNOR, GUARDIAN, DELAY);
    }

    /// @dev The quarterly rewards that the authority governs; nobody's where there are none.
    function rewardsOf() internal virtual returns (address) {
        return address(0x4d6);
    }

    function unlimited() internal pure returns (IValves.Limits memory limits) {
        uint96 none = type(uint96).max;
        (limits.sendPerHour, limits.sendPerDay) = (none, none);
        (limits.receivePerHour, limits.receivePerDay) = (none, none);
        limits.largeFrom = none;
    }

    /// @dev The governor announces a call of the bridge, waits, and makes it.
    function govern(bytes memory call) internal {
        vm.prank(GOVERNOR);
        authority.schedule(address(bridge), call, 0);
        vm.warp(block.timestamp + DELAY);
        vm.prank(GOVERNOR);
        authority.execute(address(bridge), call);
    }

    /// @dev A transfer from the native chain, as its bridge would make it.
    function transferHere(uint64 home, address token, address receiver, uint256 amount, uint64 deadline)
        internal
        view
        returns (Packet.Transfer memory)
    {
        return Packet.Transfer({
            source: NATIVE,
            destination: ETHEREUM,
            sequence: nativeSequence,
            deadline: deadline,
            home: home,
            token: token,
            sender: BOB,
            receiver: receiver,
            amount: amount,
            acknowledge: asking
        });
    }

    /// @dev Appends any bytes to the native outbox; returns their index.
    function append(bytes memory packet) internal returns (uint64) {
        native.push(packet);
        return uint64(native.length - 1);
    }

    /// @dev The native chain sends points to `receiver` here.
    function sendPointsHere(address receiver, uint256 amount, uint64 deadline)
        internal
        returns (uint64 index)
    {
        index = append(Packet.encode(transferHere(NATIVE, POINTS_HOME, receiver, amount, deadline)));
        ++nativeSequence;
    }

    /// @dev The native chain sends coins home to `receiver`.
    function sendCoinHere(address receiver, uint256 amount, uint64 deadline) internal returns (uint64 index) {
        return sendTokenHere(address(coin), receiver, amount, deadline);
    }

    /// @dev The native chain sends a token home to `receiver`, in units.
    function sendTokenHere(address token, address receiver, uint256 units, uint64 deadline)
        internal
        returns (uint64 index)
    {
        index = append(Packet.encode(transferHere(ETHEREUM, token, receiver, units, deadline)));
        ++nativeSequence;
    }

    /// @dev The native chain reports that a packet from here expired there.
    function expireThere(bytes memory packet) internal returns (uint64 index) {
        return _report(2, packet);
    }

    /// @dev The native chain reports that a packet from here was received there.
    function acknowledgeThere(bytes memory packet) internal returns (uint64 index) {
        return _report(5, packet);
    }

    function _report(uint8 kind, bytes memory packet) private returns (uint64 index) {
        index = append(abi.encodePacked(uint8(1), kind, NATIVE, ETHEREUM, nativeSequence, packet));
        ++nativeSequence;
    }

    /// @dev What goes home when a packet from there was received here.
    function acknowledgementHere(uint64 sequence, bytes memory packet) internal pure returns (bytes memory) {
        return abi.encodePacked(uint8(1), uint8(5), ETHEREUM, NATIVE, sequence, packet);
    }

    /// @dev The native chain announces a key, which signs from `firstEpoch` on.
    function rotateThere(uint64 version, uint64 firstEpoch, bytes memory key)
        internal
        returns (uint64 index)
    {
        index = append(
            abi.encodePacked(uint8(1), uint8(3), NATIVE, ETHEREUM, nativeSequence, version, firstEpoch, key)
        );
        ++nativeSequence;
    }

    function leaves() internal view returns (bytes32[] memory) {
        bytes32[] memory commitments = new bytes32[](native.length);
        for (uint256 i = 0; i < native.length; ++i) {
            commitments[i] = keccak256(native[i]);
        }
        return Tree.leaves(commitments);
    }

    /// @dev A header over the whole outbox, not signed yet.
    function unsigned() internal view returns (ILightClient.HeaderProof memory header) {
        header.epoch = epoch;
        header.view_ = height + 1;
        header.parentView = height;
        header.restHash = keccak256(abi.encode("rest", height));
        header.outboxSize = uint64(native.length);
        if (native.length != 0) {
            header.outboxTree = Tree.hash(leaves(), 0, native.length);
        }
    }

    /// @dev A final block over the whole outbox.
    function certified() internal view returns (ILightClient.HeaderProof memory) {
        return Signer.certify(secret, NATIVE, unsigned());
    }

    /// @dev The proof of one packet of the outbox.
    function item(uint64 index) internal view returns (IBridge.OutboxItem memory) {
        return IBridge.OutboxItem(native[index], index, Tree.path(leaves(), index));
    }

    /// @dev The proofs of packets `from` up to the end.
    function itemsFrom(uint64 from) internal view returns (IBridge.OutboxItem[] memory items) {
        bytes32[] memory hashes = leaves();
        items = new IBridge.OutboxItem[](native.length - from);
        for (uint64 i = 0; i < items.length; ++i) {
            items[i] = IBridge.OutboxItem(native[from + i], from + i, Tree.path(hashes, from + i));
        }
    }

    function one(uint64 index) internal view returns (IBridge.OutboxItem[] memory items) {
        items = new IBridge.OutboxItem[](1);
        items[0] = item(index);
    }

    function deliver(uint64 index) internal {
        bridge.deliver(certified(), one(index));
    }

    /// @dev `account` sends a token away; returns the packet's bytes.
    function sendAway(address account, address token, uint256 amount, uint64 deadline)
        internal
        returns (uint64 sequence, bytes memory packet)
    {
        vm.prank(account);
        sequence = asking
            ? bridge.sendAcknowledged(token, BOB, amount, deadline)
            : bridge.send(token, BOB, amount, deadline);
        packet = Packet.encode(_left(account, token, sequence, amount, deadline));
        vm.assertEq(bridge.outbound(sequence), keccak256(packet), "what was sent is what is stored");
    }

    /// @dev The same, to be swapped over there for at least `least`.
    function sendAwayToSwap(address account, address token, uint256 amount, uint64 deadline, uint256 least)
        internal
        returns (uint64 sequence, bytes memory packet)
    {
        vm.prank(account);
        sequence = asking
            ? bridge.sendSwapAcknowledged(token, BOB, amount, deadline, least)
            : bridge.sendSwap(token, BOB, amount, deadline, least);
        packet = Packet.encodeSwap(_left(account, token, sequence, amount, deadline), least);
        vm.assertEq(bridge.outbound(sequence), keccak256(packet), "what was sent is what is stored");
    }

    /// @dev What leaves when `account` sends a token to BOB.
    function _left(address account, address token, uint64 sequence, uint256 amount, uint64 deadline)
        private
        view
        returns (Packet.Transfer memory)
    {
        bool isPoints = token == address(points);
        return Packet.Transfer({
            source: ETHEREUM,
            destination: NATIVE,
            sequence: sequence,
            deadline: deadline,
            home: isPoints ? NATIVE : ETHEREUM,
            token: isPoints ? POINTS_HOME : token,
            sender: account,
            receiver: BOB,
            amount: amount / bridge.unit(token),
            acknowledge: asking
        });
    }

    function assertSolvent() internal {
        vm.assertTrue(bridge.solvent(address(coin)), "coin is solvent");
        vm.assertTrue(bridge.solvent(address(points)), "points are solvent");
        vm.assertEq(
            bridge.locked(address(coin)), coin.balanceOf(address(bridge)), "all that is held is locked"
        );
    }
}
