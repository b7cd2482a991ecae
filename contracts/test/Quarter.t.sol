// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {Quarter} from "../src/libraries/Quarter.sol";
import {Test} from "./kit/Test.sol";

/// @dev The same moments as in chain/primitives/src/quarter.rs, and a calendar that counts days one by one.
contract QuarterTest is Test {
    uint256 private constant HOUR = 3_600;

    function test_quartersEndAtMidnightInSeoul() public {
        _ends(8_104, 1_774_969_200); // 2026-03-31T15:00:00Z
        _ends(8_105, 1_782_831_600); // 2026-06-30T15:00:00Z
        _ends(8_106, 1_790_780_400); // 2026-09-30T15:00:00Z
        _ends(8_107, 1_798_729_200); // 2026-12-31T15:00:00Z
        _ends(8_112, 1_838_127_600); // 2028-03-31T15:00:00Z, a leap year
        _ends(8_400, 4_110_188_400); // 2100-03-31T15:00:00Z, none
        _ends(8_067, 1_483_196_400); // 2016-12-31T15:00:00Z, hours before a leap second
    }

    function test_nothingEndedBefore1970() public {
        vm.assertEq(Quarter.ends(0), 0, "the year 0");
        vm.assertEq(Quarter.ends(7_879), 0, "the last of 1969");
        _ends(7_880, 90 * 24 * HOUR - 9 * HOUR);
        vm.assertEq(Quarter.containing(0), 7_880, "the first moment");
    }

    /// @dev Eight hundred years, month by month, by the rule that everybody knows.
    function test_everyQuarterOfEightCenturies() public {
        uint256 time = 0;
        for (uint256 year = 1970; year < 2770; ++year) {
            bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
            uint8[4] memory quarters = [leap ? 91 : 90, 91, 92, 92];
            for (uint256 i = 0; i < 4; ++i) {
                time += uint256(quarters[i]) * 24 * HOUR;
                _ends(4 * year + i, time - 9 * HOUR);
            }
        }
    }

    function testFuzz_everyMomentIsInOneQuarter(uint64 time) public {
        uint256 quarter = Quarter.containing(time);
        vm.assertTrue(time < Quarter.ends(quarter), "before its end");
        vm.assertLe(Quarter.ends(quarter - 1), time, "at or after the end of the one before");
    }

    function _ends(uint256 quarter, uint256 end) private {
        vm.assertEq(Quarter.ends(quarter), end, "end");
        vm.assertEq(Quarter.containing(end - 1), quarter, "its last second");
        vm.assertEq(Quarter.containing(end), quarter + 1, "the first of the next");
    }
}
