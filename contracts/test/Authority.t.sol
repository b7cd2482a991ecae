// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IAccessManager} from "@openzeppelin/contracts/access/manager/IAccessManager.sol";
import {Authority} from "../src/access/Authority.sol";
import {AuthorityErrors, ValveErrors} from "../src/errors/ValveErrors.sol";
import {IValves} from "../src/interfaces/IValves.sol";
import {BlockingToken} from "./kit/OddTokens.sol";
import {World} from "./kit/World.sol";

/// @dev Who may turn the valves, when, and that nobody can do more.
contract AuthorityTest is World {
    uint64 private constant FAR = uint64(NOW + 20 days);
    address private constant NEXT = address(0x4e87);
    BlockingToken private other;

    function setUp() public override {
        super.setUp();
        other = new BlockingToken(ALICE);
    }

    function test_theDeployerHasNoRole() public {
        for (uint64 role = 0; role < 3; ++role) {
            (bool is_,) = authority.hasRole(role, address(this));
            vm.assertFalse(is_, "the deployer");
            (is_,) = authority.hasRole(role, address(authority));
            vm.assertFalse(is_, "the authority itself");
        }
        bytes[] memory calls = _all();
        for (uint256 i = 0; i < calls.length; ++i) {
            _unauthorized(address(this), calls[i]);
            _unauthorized(address(0xbad), calls[i]);
        }
    }

    function test_theGuardianOnlyStops() public {
        bytes[] memory calls = _all();
        for (uint256 i = 0; i < calls.length; ++i) {
            (bool immediate, uint32 delay) = authority.canCall(GUARDIAN, address(bridge), bytes4(calls[i]));
            vm.assertEq(immediate, i < 3, "at once");
            vm.assertEq(delay, 0, "and what is not at once is not at all");
            if (i >= 3) _unauthorized(GUARDIAN, calls[i]);
        }
    }

    function test_theGovernorWaits() public {
        bytes[] memory calls = _all();
        for (uint256 i = 0; i < calls.length; ++i) {
            (bool immediate, uint32 delay) = authority.canCall(GOVERNOR, address(bridge), bytes4(calls[i]));
            vm.assertFalse(immediate, "never at once");
            vm.assertEq(delay, i < 3 ? 0 : DELAY, "after the delay");
        }
        bytes memory call = calls[3];
        bytes32 id = authority.hashOperation(GOVERNOR, address(bridge), call);
        _refused(
            GOVERNOR, call, abi.encodeWithSelector(IAccessManager.AccessManagerNotScheduled.selector, id)
        );
        vm.prank(GOVERNOR);
        authority.schedule(address(bridge), call, 0);
        vm.warp(NOW + DELAY - 1);
        _refused(GOVERNOR, call, abi.encodeWithSelector(IAccessManager.AccessManagerNotReady.selector, id));
        // A week later it is forgotten.
        vm.warp(NOW + DELAY + 1 weeks);
        _refused(GOVERNOR, call, abi.encodeWithSelector(IAccessManager.AccessManagerExpired.selector, id));
        vm.warp(NOW + DELAY);
        (bool good,) = _from(GOVERNOR, call);
        vm.assertTrue(good, "then");
        _refused(
            GOVERNOR, call, abi.encodeWithSelector(IAccessManager.AccessManagerNotScheduled.selector, id)
        );
    }

    function test_theGuardianCancelsWhatTheGovernorAnnounced() public {
        bytes memory call = _all()[3];
        vm.prank(GOVERNOR);
        authority.schedule(address(bridge), call, 0);
        vm.prank(GUARDIAN);
        authority.cancel(GOVERNOR, address(bridge), call);
        vm.warp(NOW + DELAY);
        (bool good,) = _from(GOVERNOR, call);
        vm.assertFalse(good, "cancelled");
    }

    /// @dev A guardian who stops for ever is replaced, and cannot cancel that.
    function test_theGovernorReplacesTheGuardian() public {
        bytes memory out = abi.encodeCall(authority.revokeRole, (1, GUARDIAN));
        bytes memory in_ = abi.encodeCall(authority.grantRole, (1, NEXT, 0));
        _admin(out, false);
        vm.prank(GOVERNOR);
        authority.schedule(address(authority), out, 0);
        vm.prank(GOVERNOR);
        authority.schedule(address(authority), in_, 0);
        vm.prank(GUARDIAN);
        vm.expectRevert();
        authority.cancel(GOVERNOR, address(authority), out);
        vm.warp(NOW + DELAY);
        _admin(out, true);
        _admin(in_, true);
        bytes memory stop = _all()[0];
        _unauthorized(GUARDIAN, stop);
        (bool good,) = _from(NEXT, stop);
        vm.assertTrue(good, "the new one stops");
    }

    function test_Ronin_nobodyGetsAroundTheDelay() public {
        bytes4[] memory selectors = new bytes4[](1);
        selectors[0] = IValves.setLimits.selector;
        bytes[4] memory calls = [
            abi.encodeCall(authority.grantRole, (2, NEXT, DELAY - 1)),
            abi.encodeCall(authority.grantRole, (0, NEXT, 0)),
            abi.encodeCall(authority.setTargetFunctionRole, (address(bridge), selectors, 1)),
            abi.encodeCall(authority.updateAuthority, (address(bridge), address(coin)))
        ];
        bytes[4] memory reasons = [
            abi.encodeWithSelector(AuthorityErrors.DelayTooShort.selector, 2, DELAY - 1),
            abi.encodeWithSelector(AuthorityErrors.DelayTooShort.selector, 0, 0),
            abi.encodeWithSelector(AuthorityErrors.RightsFixed.selector),
            abi.encodeWithSelector(ValveErrors.AuthorityFixed.selector)
        ];
        for (uint256 i = 0; i < 4; ++i) {
            vm.prank(GOVERNOR);
            authority.schedule(address(authority), calls[i], 0);
        }
        vm.warp(NOW + DELAY);
        for (uint256 i = 0; i < 4; ++i) {
            vm.prank(GOVERNOR);
            (bool good, bytes memory why) = address(authority).call(calls[i]);
            vm.assertFalse(good, "refused even after the delay");
            vm.assertEq(why, reasons[i], "for this reason");
        }
        vm.assertEq(bridge.authority(), address(authority), "the same authority");
    }

    /// @dev Everything that roles can do, done: no balance, no supply and no book changes.
    function test_Ronin_noRoleMovesOrMakesAToken() public {
        sendAway(ALICE, address(coin), 50, FAR);
        deliver(sendPointsHere(ALICE, 70, FAR));
        bytes32 before = _money();
        bytes[] memory calls = _all();
        for (uint256 i = 0; i < calls.length; ++i) {
            if (i < 2) _from(GUARDIAN, calls[i]);
            if (i > 2) govern(calls[i]);
        }
        vm.assertEq(_money(), before, "not one unit");
    }

    function test_itIsMadeWhole() public {
        vm.expectRevert(AuthorityErrors.AccountZero.selector);
        new Authority(address(0), rewardsOf(), GOVERNOR, GUARDIAN, DELAY);
        vm.expectRevert(AuthorityErrors.AccountZero.selector);
        new Authority(address(bridge), address(0), GOVERNOR, GUARDIAN, DELAY);
        vm.expectRevert(AuthorityErrors.AccountZero.selector);
        new Authority(address(bridge), rewardsOf(), address(0), GUARDIAN, DELAY);
        vm.expectRevert(AuthorityErrors.AccountZero.selector);
        new Authority(address(bridge), rewardsOf(), GOVERNOR, address(0), DELAY);
        vm.expectRevert(abi.encodeWithSelector(AuthorityErrors.DelayOutOfRange.selector, 3_599));
        new Authority(address(bridge), rewardsOf(), GOVERNOR, GUARDIAN, 3_599);
        vm.expectRevert(abi.encodeWithSelector(AuthorityErrors.DelayOutOfRange.selector, 30 days + 1));
        new Authority(address(bridge), rewardsOf(), GOVERNOR, GUARDIAN, 30 days + 1);
    }

    /// @dev Every restricted function: the guardian's three, then the governor's.
    function _all() private view returns (bytes[] memory calls) {
        calls = new bytes[](7);
        calls[0] = abi.encodeCall(bridge.pauseDirection, (IValves.Direction.Send));
        calls[1] = abi.encodeCall(bridge.pauseToken, (address(coin)));
        calls[2] = abi.encodeCall(bridge.stop, (new bytes(134)));
        calls[3] = abi.encodeCall(bridge.resumeDirection, (IValves.Direction.Send));
        calls[4] = abi.encodeCall(bridge.resumeToken, (address(coin)));
        calls[5] = abi.encodeCall(bridge.setLimits, (address(coin), unlimited()));
        calls[6] = abi.encodeCall(bridge.register, (address(other), 6, unlimited()));
    }

    function _money() private view returns (bytes32) {
        address[4] memory who = [ALICE, GOVERNOR, GUARDIAN, address(bridge)];
        bytes memory all = abi.encode(coin.totalSupply(), points.totalSupply());
        for (uint256 i = 0; i < who.length; ++i) {
            all = abi.encode(all, coin.balanceOf(who[i]), points.balanceOf(who[i]));
        }
        return keccak256(
            abi.encode(
                all, bridge.totals(address(coin)), bridge.totals(address(points)), bridge.nextSequence()
            )
        );
    }

    function _from(address account, bytes memory call) private returns (bool good, bytes memory why) {
        vm.prank(account);
        return address(bridge).call(call);
    }

    function _admin(bytes memory call, bool expected) private {
        vm.prank(GOVERNOR);
        (bool good,) = address(authority).call(call);
        vm.assertEq(good, expected, "an admin's call");
    }

    function _refused(address account, bytes memory call, bytes memory reason) private {
        (bool good, bytes memory why) = _from(account, call);
        vm.assertFalse(good, "refused");
        vm.assertEq(why, reason, "for this reason");
    }

    function _unauthorized(address account, bytes memory call) private {
        _refused(account, call, abi.encodeWithSignature("AccessManagedUnauthorized(address)", account));
    }
}
