// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {AccessManager} from "@openzeppelin/contracts/access/manager/AccessManager.sol";
import {AuthorityErrors} from "../errors/ValveErrors.sol";
import {IQuarterlyRewards} from "../interfaces/IQuarterlyRewards.sol";
import {IValves} from "../interfaces/IValves.sol";

/// @title Who may turn the bridge's valves, and who earns quarterly rewards
///
/// | role | may | when |
/// |---|---|---|
/// | guardian (1) | pause a direction or a token, stop a transfer that waits, cancel what the governor scheduled | at once |
/// | governor (2) | open again, set limits, register tokens; exclude from the quarterly rewards and readmit | after the delay |
/// | admin (0), at first the governor | grant and revoke roles | after the delay |
///
/// @notice None of them can move, make or take a token: the bridge has no function for it. What each
/// role may call is fixed here; nobody can be given a role other than the guardian's with less than
/// the delay. The deployer has no right at any moment.
contract Authority is AccessManager {
    /// @notice Can stop, and nothing else.
    uint64 public constant GUARDIAN_ROLE = 1;
    /// @notice Acts behind the delay.
    uint64 public constant GOVERNOR_ROLE = 2;

    /// @notice Seconds between announcing and doing, for everybody but the guardian.
    uint32 public immutable delaySeconds;

    /// @dev Set when the constructor is done.
    bool private _settled;

    /// @param bridge Whose valves these are; it may be deployed later.
    /// @param rewards Whose list it is; deployed later.
    /// @param governor First governor, and first admin.
    /// @param guardian First guardian.
    /// @param delay Seconds: one hour to thirty days.
    constructor(address bridge, address rewards, address governor, address guardian, uint32 delay)
        AccessManager(address(this))
    {
        if (bridge == address(0) || rewards == address(0) || governor == address(0) || guardian == address(0))
        {
            revert AuthorityErrors.AccountZero();
        }
        if (delay < 1 hours || delay > 30 days) {
            revert AuthorityErrors.DelayOutOfRange(delay);
        }
        delaySeconds = delay;
        _setTargetFunctionRole(bridge, IValves.pauseDirection.selector, GUARDIAN_ROLE);
        _setTargetFunctionRole(bridge, IValves.pauseToken.selector, GUARDIAN_ROLE);
        _setTargetFunctionRole(bridge, IValves.stop.selector, GUARDIAN_ROLE);
        _setTargetFunctionRole(bridge, IValves.resumeDirection.selector, GOVERNOR_ROLE);
        _setTargetFunctionRole(bridge, IValves.resumeToken.selector, GOVERNOR_ROLE);
        _setTargetFunctionRole(bridge, IValves.setLimits.selector, GOVERNOR_ROLE);
        _setTargetFunctionRole(bridge, IValves.register.selector, GOVERNOR_ROLE);
        _setTargetFunctionRole(rewards, IQuarterlyRewards.exclude.selector, GOVERNOR_ROLE);
        _setTargetFunctionRole(rewards, IQuarterlyRewards.readmit.selector, GOVERNOR_ROLE);
        _setRoleGuardian(GOVERNOR_ROLE, GUARDIAN_ROLE);
        _grantRole(GUARDIAN_ROLE, guardian, 0, 0);
        _grantRole(GOVERNOR_ROLE, governor, 0, delay);
        _grantRole(ADMIN_ROLE, governor, 0, delay);
        _revokeRole(ADMIN_ROLE, address(this));
        _settled = true;
    }

    /// @dev The delay is a floor for all who can do more than stop.
    function _grantRole(uint64 role, address account, uint32 grantDelay, uint32 executionDelay)
        internal
        override
        returns (bool)
    {
        if (role != GUARDIAN_ROLE && executionDelay < delaySeconds) {
            revert AuthorityErrors.DelayTooShort(role, executionDelay);
        }
        return super._grantRole(role, account, grantDelay, executionDelay);
    }

    /// @dev Settled by the constructor.
    function _setTargetFunctionRole(address target, bytes4 selector, uint64 role) internal override {
        if (_settled) {
            revert AuthorityErrors.RightsFixed();
        }
        super._setTargetFunctionRole(target, selector, role);
    }
}
