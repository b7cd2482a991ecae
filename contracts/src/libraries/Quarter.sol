// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

/// @title Calendar quarters in Asia/Seoul, named by 4 x year + (0 to 3)
/// @notice A quarter ends at 24:00 in Seoul on its last day: 15:00 UTC of 31 March, 30 June, 30 September
/// and 31 December. Seoul has been at UTC+9 without summer time since October 1988, so the offset is fixed.
/// The native chain counts the same way (`chain/primitives/src/quarter.rs`).
/// @dev Gregorian calendar by whole days in eras of 400 years, whose years begin on 1 March so that the leap
/// day is the last; Howard Hinnant, "chrono-compatible low-level date algorithms". Nothing below can
/// overflow or go below zero for a moment in 64 bits, nor for a quarter of a year below 2^32.
library Quarter {
    uint256 private constant DAY = 86_400;
    /// @dev Seoul is so many seconds ahead of UTC.
    uint256 private constant SEOUL = 9 * 3_600;
    uint256 private constant ERA_YEARS = 400;
    uint256 private constant ERA_DAYS = 146_097;
    /// @dev Days from 1 March of year 0 to 1 January 1970.
    uint256 private constant TO_1970 = 719_468;
    /// @dev The first quarter of 1970.
    uint256 private constant BEGIN = 4 * 1_970;

    /// @notice The quarter of a moment, in seconds since 1970; below 2^64.
    function containing(uint256 time) internal pure returns (uint256) {
        unchecked {
            uint256 day = (time + SEOUL) / DAY + TO_1970;
            uint256 era = day / ERA_DAYS;
            day -= era * ERA_DAYS;
            // Less the leap days before it: each four years, but not each hundred, but in the era's last.
            uint256 year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
            day -= 365 * year + year / 4 - year / 100;
            // Months from March on: five of them have 153 days.
            uint256 month = (5 * day + 2) / 153;
            // 0 to 11, from January on; the last two belong to the next calendar year.
            return 4 * (year + era * ERA_YEARS) + (month + 2) / 3;
        }
    }

    /// @notice First second after a quarter, since 1970; 0 for quarters that were over by then. The quarter is
    /// one of the years below 2^32.
    function ends(uint256 quarter) internal pure returns (uint256) {
        if (quarter < BEGIN) {
            return 0;
        }
        unchecked {
            ++quarter;
            // Months from March on: January counts to the year before.
            uint256 month = (3 * (quarter % 4) + 10) % 12;
            uint256 year = quarter / 4 - (month == 10 ? 1 : 0);
            uint256 era = year / ERA_YEARS;
            year -= era * ERA_YEARS;
            uint256 day = 365 * year + year / 4 - year / 100 + (153 * month + 2) / 5;
            return (era * ERA_DAYS + day - TO_1970) * DAY - SEOUL;
        }
    }
}
