// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {BridgeErrors} from "../src/errors/BridgeErrors.sol";
import {ValveErrors} from "../src/errors/ValveErrors.sol";
import {IBridge} from "../src/interfaces/IBridge.sol";
import {ILightClient} from "../src/interfaces/ILightClient.sol";
import {IValves} from "../src/interfaces/IValves.sol";
import {Packet} from "../src/libraries/Packet.sol";
import {BlockingToken, FalseToken, FeeToken, LyingToken, Noisy, SilentToken} from "./kit/OddTokens.sol";
import {World} from "./kit/World.sol";

/// @dev Further ERC-20s, let in by the governor, and what odd ones are refused for.
contract RegistrationTest is World {
    uint64 private constant FAR = uint64(NOW + 20 days);
    /// @dev 18 decimals at home, 6 across.
    uint256 private constant UNIT = 1e12;
    BlockingToken private token;

    function setUp() public override {
        super.setUp();
        token = new BlockingToken(ALICE);
        vm.prank(ALICE);
        token.approve(address(bridge), type(uint256).max);
        _register(address(token), 6);
    }

    function test_onlyRegisteredTokensCross() public {
        BlockingToken stranger = new BlockingToken(ALICE);
        vm.prank(ALICE);
        stranger.approve(address(bridge), 1e18);
        bytes memory unknown = abi.encodeWithSelector(BridgeErrors.TokenUnknown.selector, address(stranger));
        vm.expectRevert(unknown);
        vm.prank(ALICE);
        bridge.send(address(stranger), BOB, 1e18, FAR);
        vm.expectRevert(unknown);
        bridge.unit(address(stranger));
        uint64 index = _sendHere(address(stranger), BOB, 1);
        deliver(index);
        vm.assertEq(bridge.receipt(index + 1), 2, "what comes of it goes home");
    }

    function test_eighteenDecimalsCrossAsSix() public {
        vm.assertEq(bridge.unit(address(token)), UNIT, "unit");
        vm.assertEq(bridge.unit(address(coin)), 1, "the coin's own");
        _send(5 * UNIT, 5);
        vm.assertEq(token.balanceOf(address(bridge)), 5 * UNIT, "held");
        vm.assertEq(bridge.locked(address(token)), 5, "in units");
        uint64 index = _sendHere(address(token), BOB, 3);
        deliver(index);
        vm.assertEq(token.balanceOf(BOB), 3 * UNIT, "released");
        vm.assertEq(bridge.locked(address(token)), 2, "in units");
        deliver(_sendHere(address(token), BOB, 3));
        vm.assertEq(bridge.receipt(index + 2), 2, "not more than is locked");
        vm.assertTrue(bridge.solvent(address(token)), "solvent");
    }

    function test_aRefundReturnsTheSameAmount() public {
        uint64 sequence = _send(7 * UNIT, 7);
        uint256 before = token.balanceOf(ALICE);
        deliver(expireThere(_packet(sequence, 7)));
        vm.assertEq(token.balanceOf(ALICE), before + 7 * UNIT, "all of it");
        vm.assertEq(bridge.locked(address(token)), 0, "nothing is left");
        IBridge.Totals memory sums = bridge.totals(address(token));
        vm.assertEq(sums.sent, 7, "sent");
        vm.assertEq(sums.refunded, 7, "refunded");
    }

    function testFuzz_amountsCrossExactlyOrNotAtAll(uint256 amount) public {
        amount = bound(amount, 1, 1e30);
        vm.prank(ALICE);
        (bool good, bytes memory why) =
            address(bridge).call(abi.encodeCall(bridge.send, (address(token), BOB, amount, FAR)));
        vm.assertEq(good, amount % UNIT == 0, "whole units only");
        if (good) {
            vm.assertEq(bridge.locked(address(token)) * UNIT, amount, "exact");
        } else {
            vm.assertEq(
                why,
                abi.encodeWithSelector(ValveErrors.AmountInexact.selector, amount, UNIT),
                "refused with the unit"
            );
        }
        vm.assertEq(token.balanceOf(address(bridge)), good ? amount : 0, "no dust is kept");
    }

    function test_moreThanATransferCarriesIsRefused() public {
        vm.expectRevert(
            abi.encodeWithSelector(ValveErrors.AmountTooLarge.selector, uint256(type(uint128).max) + 1)
        );
        vm.prank(ALICE);
        bridge.send(address(token), BOB, (uint256(type(uint128).max) + 1) * UNIT, FAR);
    }

    /// @dev A token that refuses its receiver: rejected and refunded, and in nobody's way.
    function test_OddTokens_blockedReceiver() public {
        _send(9 * UNIT, 9);
        token.set(BOB, true);
        uint64 first = _sendHere(address(token), BOB, 2);
        _sendHere(address(token), ALICE, 3);
        bridge.deliver(certified(), itemsFrom(first));
        vm.assertEq(bridge.receipt(first + 1), 2, "rejected");
        vm.assertEq(bridge.receipt(first + 2), 1, "the one beside it");
        vm.assertEq(bridge.locked(address(token)), 6, "only that left");
        bytes memory home = abi.encodePacked(uint8(1), uint8(2), ETHEREUM, NATIVE, uint64(2), native[first]);
        vm.assertEq(bridge.outbound(2), keccak256(home), "the news goes home");
        vm.assertTrue(bridge.solvent(address(token)), "solvent");
    }

    /// @dev A refund has no other place to go: it waits until the token lets it.
    function test_OddTokens_blockedSender() public {
        uint64 sequence = _send(9 * UNIT, 9);
        token.set(ALICE, true);
        uint64 index = expireThere(_packet(sequence, 9));
        ILightClient.HeaderProof memory header = certified();
        IBridge.OutboxItem[] memory items = one(index);
        vm.expectRevert(abi.encodeWithSelector(SafeERC20.SafeERC20FailedOperation.selector, address(token)));
        bridge.deliver(header, items);
        token.set(ALICE, false);
        bridge.deliver(header, items);
        vm.assertEq(bridge.outbound(sequence), bytes32(uint256(1)), "refunded");
    }

    /// @dev The attack on a token that may fail: too little gas for it, enough for the news home.
    function testFuzz_OddTokens_gasCannotFeignARefusal(uint256 gas_) public {
        _send(9 * UNIT, 9);
        uint64 index = _sendHere(address(token), BOB, 2);
        bytes memory call = abi.encodeCall(bridge.deliver, (certified(), one(index)));
        (bool good,) = address(bridge).call{gas: bound(gas_, 120_000, 400_000)}(call);
        vm.assertEq(bridge.receipt(index + 1), good ? 1 : 0, "received or nothing at all");
    }

    function test_OddTokens_silentTokensWork() public {
        SilentToken silent = new SilentToken(ALICE);
        _register(address(silent), 6);
        vm.prank(ALICE);
        silent.approve(address(bridge), 10);
        vm.prank(ALICE);
        bridge.send(address(silent), BOB, 10, FAR);
        deliver(_sendHere(address(silent), BOB, 4));
        vm.assertEq(silent.balanceOf(BOB), 4, "released");
        vm.assertTrue(bridge.solvent(address(silent)), "solvent");
    }

    function test_OddTokens_whatMovesAnotherAmountIsRefused() public {
        address[3] memory odd =
            [address(new FeeToken(ALICE)), address(new FalseToken(ALICE)), address(new LyingToken(ALICE))];
        for (uint256 i = 0; i < odd.length; ++i) {
            _register(odd[i], 18);
            vm.prank(ALICE);
            IERC20(odd[i]).approve(address(bridge), 100);
            vm.prank(ALICE);
            (bool good,) = address(bridge).call(abi.encodeCall(bridge.send, (odd[i], BOB, 100, FAR)));
            vm.assertFalse(good, "refused");
            vm.assertEq(bridge.locked(odd[i]), 0, "nothing is locked");
        }
    }

    function test_whatCannotBeRegistered() public {
        _refused(address(0xdead), 18, abi.encodeWithSelector(BridgeErrors.TokenWithoutCode.selector, 0xdead));
        address[4] memory known = [address(token), address(coin), address(points), address(bridge)];
        for (uint256 i = 0; i < known.length; ++i) {
            _refused(known[i], 6, abi.encodeWithSelector(ValveErrors.TokenRefused.selector, known[i]));
        }
        address more = address(new BlockingToken(ALICE));
        _refused(more, 19, abi.encodeWithSelector(ValveErrors.DecimalsRefused.selector, more, 19));
        address mute = address(client);
        _refused(mute, 6, abi.encodeWithSelector(ValveErrors.DecimalsRefused.selector, mute, 6));
    }

    function test_itsLimitsAreInUnits() public {
        IValves.Limits memory limits = unlimited();
        limits.sendPerHour = 10;
        govern(abi.encodeCall(bridge.setLimits, (address(token), limits)));
        vm.assertEq(bridge.unit(address(token)), UNIT, "limits leave the unit");
        _send(10 * UNIT, 10);
        vm.expectRevert(abi.encodeWithSelector(ValveErrors.LimitReached.selector, address(token), 1, 0));
        vm.prank(ALICE);
        bridge.send(address(token), BOB, UNIT, FAR);
    }

    function _register(address token_, uint8 decimals) private {
        govern(abi.encodeCall(bridge.register, (token_, decimals, unlimited())));
    }

    function _refused(address token_, uint8 decimals, bytes memory reason) private {
        bytes memory call = abi.encodeCall(bridge.register, (token_, decimals, unlimited()));
        vm.prank(GOVERNOR);
        authority.schedule(address(bridge), call, 0);
        vm.warp(block.timestamp + DELAY);
        vm.prank(GOVERNOR);
        (bool good, bytes memory why) = address(bridge).call(call);
        vm.assertFalse(good, "refused");
        vm.assertEq(why, reason, "for this reason");
    }

    function _send(uint256 amount, uint256 units) private returns (uint64 sequence) {
        vm.prank(ALICE);
        sequence = bridge.send(address(token), BOB, amount, FAR);
        vm.assertEq(bridge.outbound(sequence), keccak256(_packet(sequence, units)), "the packet has units");
    }

    function _packet(uint64 sequence, uint256 units) private view returns (bytes memory) {
        return Packet.encode(
            Packet.Transfer({
                source: ETHEREUM,
                destination: NATIVE,
                sequence: sequence,
                deadline: FAR,
                home: ETHEREUM,
                token: address(token),
                sender: ALICE,
                receiver: BOB,
                amount: units,
                acknowledge: false
            })
        );
    }

    function _sendHere(address token_, address receiver, uint256 units) private returns (uint64 index) {
        return sendTokenHere(token_, receiver, units, FAR);
    }
}
