// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {AccessManaged} from "@openzeppelin/contracts/access/manager/AccessManaged.sol";
import {IERC20Metadata} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Metadata.sol";
import {BridgeErrors} from "../errors/BridgeErrors.sol";
import {ValveErrors} from "../errors/ValveErrors.sol";
import {IValves} from "../interfaces/IValves.sol";
import {Rate} from "../libraries/Rate.sol";
import {Books} from "./Books.sol";

/// @title Limits, pauses, and large transfers that wait
///
///     tokens   token => +0 sending     rule of `Rate` | known (1 bit) << 192 | paused (1) << 193
///                                      | scale (8) << 200: one unit is 10^scale of its smallest
///                       +1 sent        used of `Rate`
///                       +2 receiving   rule of `Rate` | hold seconds (32) << 192
///                       +3 received    used of `Rate`
///                       +4 large from
///     held     sequence => commitment; when it may be released (64 bits) | its place in the list << 64
///     list     sequences that wait
///
/// @notice Nothing here moves a token. A transfer that comes in above a limit is refunded at its source:
/// a limit may not leave a packet without an end, nor let it hold up those beside it. What is paused
/// waits as it is, because a pause ends; past its deadline it expires as always. Refunds count towards
/// no limit: they only undo what did.
abstract contract Valves is Books, AccessManaged, IValves {
    struct Token {
        uint256 sending;
        uint256 sent;
        uint256 receiving;
        uint256 received;
        uint256 largeFrom;
    }

    struct Hold {
        bytes32 commitment;
        uint64 until;
        uint64 place; // in the list of those that wait
    }

    /// @notice The longest delay of a large transfer.
    uint32 public constant MAX_HOLD_SECONDS = 7 days;

    /// @notice The longest page of a list.
    uint256 public constant MAX_PAGE = 256;

    /// @notice The most units that one transfer may carry. No sum of such amounts leaves 256 bits.
    uint256 public constant MAX_AMOUNT = type(uint128).max;

    uint256 private constant OWN = 192;
    uint256 private constant KNOWN = 1 << 192;
    uint256 private constant PAUSED = 1 << 193;
    uint256 private constant RULE = KNOWN - 1;
    uint256 private constant SCALE = 200;
    /// @dev 2^128 - 1 units of 10^30 still fit 256 bits.
    uint8 private constant MAX_SCALE = 30;

    mapping(address token => Token) private _tokens;
    mapping(uint64 sequence => Hold) private _held;
    uint64[] private _heldSequences;

    /// @inheritdoc IValves
    function pauseDirection(Direction direction) external restricted {
        _setPaused(direction, true);
        emit DirectionPaused(direction);
    }

    /// @inheritdoc IValves
    function resumeDirection(Direction direction) external restricted {
        _setPaused(direction, false);
        emit DirectionResumed(direction);
    }

    /// @inheritdoc IValves
    function pauseToken(address token) external restricted {
        _known(token).sending |= PAUSED;
        emit TokenPaused(token);
    }

    /// @inheritdoc IValves
    function resumeToken(address token) external restricted {
        _known(token).sending &= ~PAUSED;
        emit TokenResumed(token);
    }

    /// @inheritdoc IValves
    function setLimits(address token, Limits calldata limits_) external restricted {
        _known(token);
        _setLimits(token, limits_);
    }

    /// @inheritdoc IValves
    function register(address token, uint8 decimals, Limits calldata limits_) external restricted {
        if (token.code.length == 0) {
            revert BridgeErrors.TokenWithoutCode(token);
        }
        if (_isKnown(token) || token == address(this)) {
            revert ValveErrors.TokenRefused(token);
        }
        uint8 own = _decimalsOf(token, decimals);
        if (own < decimals || own - decimals > MAX_SCALE) {
            revert ValveErrors.DecimalsRefused(token, decimals);
        }
        _enlist(token, own - decimals, limits_);
        emit TokenRegistered(token, decimals);
    }

    /// @notice The authority is for ever.
    function setAuthority(address) public pure override {
        revert ValveErrors.AuthorityFixed();
    }

    /// @inheritdoc IValves
    function directionPaused(Direction direction) external view returns (bool) {
        return direction == Direction.Send ? _sendPaused : _receivePaused;
    }

    /// @inheritdoc IValves
    function tokenPaused(address token) external view returns (bool) {
        return _known(token).sending & PAUSED != 0;
    }

    /// @inheritdoc IValves
    function limits(address token) external view returns (Limits memory) {
        Token storage one = _known(token);
        (uint256 sending, uint256 receiving) = (one.sending, one.receiving);
        // Each is a part of its word.
        // forge-lint: disable-start(unsafe-typecast)
        return Limits({
            sendPerHour: uint96(sending),
            sendPerDay: uint96(sending >> 96),
            receivePerHour: uint96(receiving),
            receivePerDay: uint96(receiving >> 96),
            largeFrom: uint96(one.largeFrom),
            holdSeconds: uint32(receiving >> OWN)
        });
        // forge-lint: disable-end(unsafe-typecast)
    }

    /// @inheritdoc IValves
    function room(address token) external view returns (Room memory out) {
        Token storage one = _known(token);
        (out.sendInHour, out.sendInDay) = Rate.left(one.sending, one.sent, block.timestamp);
        (out.receiveInHour, out.receiveInDay) = Rate.left(one.receiving, one.received, block.timestamp);
    }

    /// @inheritdoc IValves
    function unit(address token) public view returns (uint256) {
        return _unit(_known(token).sending);
    }

    /// @inheritdoc IValves
    function held(uint64 sequence) external view returns (bytes32 commitment, uint64 until) {
        Hold storage hold = _held[sequence];
        return (hold.commitment, hold.until);
    }

    /// @inheritdoc IValves
    function heldSequences(uint256 from, uint256 limit)
        external
        view
        returns (uint256 count, uint64[] memory sequences)
    {
        if (limit > MAX_PAGE) {
            revert ValveErrors.PageTooLong(limit);
        }
        count = _heldSequences.length;
        uint256 rest = from < count ? count - from : 0;
        sequences = new uint64[](rest < limit ? rest : limit);
        for (uint256 i = 0; i < sequences.length; ++i) {
            sequences[i] = _heldSequences[from + i];
        }
    }

    /// @dev Makes a token one of this bridge's.
    function _enlist(address token, uint8 scale, Limits memory limits_) internal {
        _tokens[token].sending = KNOWN | uint256(scale) << SCALE;
        _setLimits(token, limits_);
    }

    function _isKnown(address token) internal view returns (bool) {
        return _tokens[token].sending & KNOWN != 0;
    }

    /// @dev Refuses a token that may not move now; answers its unit.
    function _requireUnpaused(address token) internal view returns (uint256) {
        uint256 rule = _tokens[token].sending;
        if (rule & PAUSED != 0) {
            revert ValveErrors.TokenStopped(token);
        }
        return _unit(rule);
    }

    /// @dev Counts what leaves, or refuses it; answers the amount in units.
    function _admitOut(address token, uint256 smallest) internal returns (uint256 amount) {
        Token storage one = _tokens[token];
        uint256 rule = one.sending;
        if (rule & KNOWN == 0) {
            revert BridgeErrors.TokenUnknown(token);
        }
        if (rule & PAUSED != 0) {
            revert ValveErrors.TokenStopped(token);
        }
        amount = smallest;
        if (rule >> SCALE != 0) {
            uint256 unit_ = _unit(rule);
            amount = smallest / unit_;
            if (amount * unit_ != smallest) {
                revert ValveErrors.AmountInexact(smallest, unit_);
            }
        }
        if (amount > MAX_AMOUNT) {
            revert ValveErrors.AmountTooLarge(amount);
        }
        uint256 used = one.sent;
        (bool fits, uint256 next) = Rate.take(rule, used, amount, block.timestamp);
        if (!fits) {
            (uint256 hour, uint256 day) = Rate.left(rule, used, block.timestamp);
            revert ValveErrors.LimitReached(token, amount, hour < day ? hour : day);
        }
        one.sent = next;
    }

    /// @dev Counts what comes in, if the limits have room for it; and for how long it must wait.
    function _admitIn(address token, uint256 amount) internal returns (bool fits, uint256 holdSeconds) {
        Token storage one = _tokens[token];
        uint256 rule = one.receiving;
        uint256 next;
        (fits, next) = Rate.take(rule, one.received, amount, block.timestamp);
        if (fits) {
            one.received = next;
            holdSeconds = amount < one.largeFrom ? 0 : rule >> OWN;
        }
    }

    /// @dev Keeps a transfer that was proven in time until its delay is over.
    function _hold(uint64 sequence, bytes32 commitment, uint256 holdSeconds) internal {
        // At most seven days after now; and there is a sequence for each that waits.
        // forge-lint: disable-next-line(unsafe-typecast)
        uint64 until = uint64(block.timestamp + holdSeconds);
        _setOutcome(sequence, HELD);
        _held[sequence] = Hold(commitment, until, uint64(_heldSequences.length));
        _heldSequences.push(sequence);
        emit PacketHeld(sequence, commitment, until);
    }

    /// @dev When this very packet, which waits, may be released.
    function _heldUntil(uint64 sequence, bytes32 commitment) internal view returns (uint64) {
        Hold storage hold = _held[sequence];
        if (_outcome(sequence) != HELD || hold.commitment != commitment) {
            revert ValveErrors.NotHeld(sequence);
        }
        return hold.until;
    }

    /// @dev It waits no longer; the caller gives it an outcome.
    function _unhold(uint64 sequence) internal {
        uint64 place = _held[sequence].place;
        uint64 last = _heldSequences[_heldSequences.length - 1];
        _heldSequences[place] = last;
        _held[last].place = place;
        _heldSequences.pop();
        delete _held[sequence];
    }

    function _setPaused(Direction direction, bool paused) private {
        if (direction == Direction.Send) {
            _sendPaused = paused;
        } else {
            _receivePaused = paused;
        }
    }

    /// @dev Leaves what is known of the token beside its limits.
    function _setLimits(address token, Limits memory limits_) private {
        if (limits_.holdSeconds > MAX_HOLD_SECONDS) {
            revert ValveErrors.HoldTooLong(limits_.holdSeconds);
        }
        Token storage one = _tokens[token];
        one.sending = one.sending & ~RULE | limits_.sendPerHour | uint256(limits_.sendPerDay) << 96;
        one.receiving = limits_.receivePerHour | uint256(limits_.receivePerDay) << 96
            | uint256(limits_.holdSeconds) << OWN;
        // No limit, no delay.
        one.largeFrom = limits_.largeFrom == Rate.NONE ? type(uint256).max : limits_.largeFrom;
        emit LimitsSet(token, limits_);
    }

    function _unit(uint256 rule) private pure returns (uint256) {
        return 10 ** (rule >> SCALE);
    }

    /// @dev What the token says; it must say something.
    function _decimalsOf(address token, uint8 wanted) private view returns (uint8) {
        try IERC20Metadata(token).decimals() returns (uint8 own) {
            return own;
        } catch {
            revert ValveErrors.DecimalsRefused(token, wanted);
        }
    }

    function _known(address token) private view returns (Token storage one) {
        one = _tokens[token];
        if (one.sending & KNOWN == 0) {
            revert BridgeErrors.TokenUnknown(token);
        }
    }
}
