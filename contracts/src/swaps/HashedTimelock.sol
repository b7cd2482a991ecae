// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {IERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Permit.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {SwapErrors} from "../errors/SwapErrors.sol";

/// @title Hashed-timelock swaps: two people trade across two chains without the bridge
///
///     1  Alice chooses a secret and opens a swap for Bob on her chain, locked by sha256(secret).
///     2  Bob sees it and opens one for Alice on his chain, under the same lock and with a deadline
///        that is EARLIER by enough time for him to do step 4.
///     3  Alice claims Bob's; that shows the secret to everybody.
///     4  Bob claims Alice's with it. Did Alice never show it? Then both are refunded.
///
///     id = keccak256(abi.encode(chain id, this contract, terms))
///     slot 0   states    id => 0 none, 1 open, 2 claimed, 3 refunded
///
/// @notice The same contract stands on both chains. Anybody may carry out a claim or a refund; the
/// tokens go to whom the terms name. No account has a right that another has not.
contract HashedTimelock is ReentrancyGuardTransient {
    using SafeERC20 for IERC20;

    /// @notice What two people agreed on, one side of it.
    struct Terms {
        IERC20 token;
        uint256 amount;
        address opener;
        address claimer;
        bytes32 lock; // sha256 of the 32 bytes of the secret
        uint64 deadline; // last second at which it may be claimed
    }

    /// @notice What became of a swap.
    enum State {
        None,
        Open,
        Claimed,
        Refunded
    }

    /// @notice Tokens wait for a secret.
    event SwapOpened(bytes32 indexed id, bytes32 indexed lock, Terms terms);
    /// @notice The secret was shown and the claimer paid.
    event SwapClaimed(bytes32 indexed id, bytes32 indexed lock, bytes32 secret);
    /// @notice The deadline passed and the opener was paid back.
    event SwapRefunded(bytes32 indexed id, bytes32 indexed lock);

    /// @notice How far ahead a deadline may lie, in seconds.
    uint64 public constant MAX_LIFETIME_SECONDS = 30 days;

    /// @notice State of a swap by its id.
    mapping(bytes32 id => State) public states;

    /// @notice Locks the caller's tokens for `claimer`. Needs an allowance for this contract.
    function open(IERC20 token, uint256 amount, address claimer, bytes32 lock, uint64 deadline)
        external
        nonReentrant
        returns (bytes32 id)
    {
        return _open(token, amount, claimer, lock, deadline);
    }

    /// @notice The same with an EIP-2612 permit for exactly `amount` in the place of the allowance.
    /// @dev Whoever saw the permit may have used it already; then the allowance is there, and otherwise the
    /// transfer fails.
    function openWithPermit(
        IERC20 token,
        uint256 amount,
        address claimer,
        bytes32 lock,
        uint64 deadline,
        uint256 permitDeadline,
        uint8 v,
        bytes32 r,
        bytes32 s
    ) external nonReentrant returns (bytes32 id) {
        try IERC20Permit(address(token)).permit(msg.sender, address(this), amount, permitDeadline, v, r, s) {}
            catch {}
        return _open(token, amount, claimer, lock, deadline);
    }

    /// @notice Pays the claimer, up to the deadline, for the secret. Anybody may call it.
    function claim(Terms calldata terms, bytes32 secret) external nonReentrant {
        bytes32 id = _settle(terms, State.Claimed);
        if (block.timestamp > terms.deadline) {
            revert SwapErrors.DeadlineOver(terms.deadline);
        }
        if (sha256(abi.encode(secret)) != terms.lock) {
            revert SwapErrors.SecretWrong(id);
        }
        emit SwapClaimed(id, terms.lock, secret);
        terms.token.safeTransfer(terms.claimer, terms.amount);
    }

    /// @notice Pays the opener back after the deadline. Anybody may call it.
    function refund(Terms calldata terms) external nonReentrant {
        bytes32 id = _settle(terms, State.Refunded);
        if (block.timestamp <= terms.deadline) {
            revert SwapErrors.DeadlineNotOver(terms.deadline);
        }
        emit SwapRefunded(id, terms.lock);
        terms.token.safeTransfer(terms.opener, terms.amount);
    }

    /// @notice Name of the swap with these terms.
    function idOf(Terms memory terms) public view returns (bytes32) {
        return keccak256(abi.encode(block.chainid, address(this), terms));
    }

    /// @dev Books change before tokens move; exactly the amount must come in.
    function _open(IERC20 token, uint256 amount, address claimer, bytes32 lock, uint64 deadline)
        private
        returns (bytes32 id)
    {
        if (address(token).code.length == 0) {
            revert SwapErrors.TokenWithoutCode(address(token));
        }
        if (claimer == address(0)) {
            revert SwapErrors.AccountZero();
        }
        if (amount == 0) {
            revert SwapErrors.AmountZero();
        }
        uint256 latest = block.timestamp + MAX_LIFETIME_SECONDS;
        if (deadline <= block.timestamp || deadline > latest) {
            revert SwapErrors.DeadlineOutOfRange(
                deadline, SafeCast.toUint64(block.timestamp + 1), SafeCast.toUint64(latest)
            );
        }
        Terms memory terms = Terms(token, amount, msg.sender, claimer, lock, deadline);
        id = idOf(terms);
        if (states[id] != State.None) {
            revert SwapErrors.SwapExists(id);
        }
        states[id] = State.Open;
        emit SwapOpened(id, lock, terms);
        uint256 before = token.balanceOf(address(this));
        token.safeTransferFrom(msg.sender, address(this), amount);
        uint256 moved = token.balanceOf(address(this)) - before;
        if (moved != amount) {
            revert SwapErrors.AmountMoved(amount, moved);
        }
    }

    /// @dev Once: an open swap ends.
    function _settle(Terms calldata terms, State end) private returns (bytes32 id) {
        id = idOf(terms);
        if (states[id] != State.Open) {
            revert SwapErrors.SwapNotOpen(id);
        }
        states[id] = end;
    }
}
