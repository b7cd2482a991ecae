// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

/// @title How much of a token may cross in an hour and in a day
///
///     rule    per hour (96 bits) | per day (96) << 96 | the caller's own (64) << 192
///     used    in the hour (96)   | in the day (96) << 96 | the hour's number (64) << 192
///
/// @notice Windows are fixed: hour `time / 3600` and day `time / 86400` of block time, as UTC has them.
/// So in any sixty minutes at most twice the hourly limit crosses, and never more than two days' limits
/// in any day. A limit of `NONE` is none. Amounts are whole units; nothing is rounded. What is used
/// saturates at `NONE`, which only an unlimited token can reach.
library Rate {
    /// @notice No limit.
    uint256 internal constant NONE = type(uint96).max;

    /// @notice Whether `amount` still fits both windows, and what is used if it is let through.
    function take(uint256 rule, uint256 used, uint256 amount, uint256 time)
        internal
        pure
        returns (bool fits, uint256 next)
    {
        unchecked {
            // `amount` is at most 2^128 - 1 and what is used has 96 bits: no sum leaves 256 bits.
            (uint256 inHour, uint256 inDay) = _usedBy(used, time);
            inHour += amount;
            inDay += amount;
            fits = _fits(inHour, rule & NONE) && _fits(inDay, (rule >> 96) & NONE);
            next = _capped(inHour) | _capped(inDay) << 96 | (time / 1 hours) << 192;
        }
    }

    /// @notice What still fits each window; `NONE` where there is no limit.
    function left(uint256 rule, uint256 used, uint256 time)
        internal
        pure
        returns (uint256 hour, uint256 day)
    {
        (uint256 inHour, uint256 inDay) = _usedBy(used, time);
        return (_left(inHour, rule & NONE), _left(inDay, (rule >> 96) & NONE));
    }

    /// @dev What `used` says of the windows that `time` is in.
    function _usedBy(uint256 used, uint256 time) private pure returns (uint256 inHour, uint256 inDay) {
        unchecked {
            uint256 hour = time / 1 hours;
            uint256 last = used >> 192;
            if (last == hour) {
                inHour = used & NONE;
            }
            if (last / 24 == hour / 24) {
                inDay = (used >> 96) & NONE;
            }
        }
    }

    function _fits(uint256 sum, uint256 limit) private pure returns (bool) {
        return limit == NONE || sum <= limit;
    }

    function _capped(uint256 sum) private pure returns (uint256) {
        return sum < NONE ? sum : NONE;
    }

    function _left(uint256 sum, uint256 limit) private pure returns (uint256) {
        if (limit == NONE) {
            return NONE;
        }
        return sum < limit ? limit - sum : 0;
    }
}
