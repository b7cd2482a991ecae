// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

/// @notice An average as one would explain it: walk through the seconds, move what counts by at most 1 % of
/// what counted at the last change, add up. `prices[i]` held from the end of second `times[i]` on.
library Naive {
    function average(uint256[] memory times, uint256[] memory prices, uint256 window)
        internal
        view
        returns (uint256)
    {
        uint256 start = block.timestamp - window;
        uint256 counted = prices[0];
        // The first second's last price may differ from the first price, from which counting starts.
        uint256 sum = 0;
        for (uint256 i = 0; i < times.length; ++i) {
            uint256 end = i + 1 < times.length ? times[i + 1] : block.timestamp;
            if (end == times[i]) continue;
            uint256 step = counted / 100 == 0 ? 1 : counted / 100;
            for (uint256 second = times[i] + 1; second <= end; ++second) {
                if (counted == prices[i]) {
                    // Nothing moves any more; the rest at once.
                    uint256 from = second - 1 > start ? second - 1 : start;
                    if (end > from) sum += counted * (end - from);
                    break;
                }
                if (counted < prices[i]) counted = prices[i] - counted < step ? prices[i] : counted + step;
                else counted = counted - prices[i] < step ? prices[i] : counted - step;
                if (second > start) sum += counted;
            }
        }
        return sum / window;
    }
}
