// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.30;

import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";

/// @title What a pool remembers of its prices
/// @notice A queue with one entry for each second in which the reserves changed.
///
/// **What counts.** In each second one price counts. It follows the pool's price, but by no more than 1 % of
/// what it was at the last change for each second that passes:
///
///     counted(k) = min(price, from + k * step)    price at or above `from`     k = 1, 2, … seconds after
///                  max(price, from - k * step)    price below                  step = from / 100, at least 1
///
/// So a spike that nobody had the time to answer counts for next to nothing, however high, and a price that
/// lasts is followed within seconds or minutes. What the pool did within a second leaves only its end.
///
/// **Sums.** Each entry has the sum of all counted prices before it. Between two entries the sum is an
/// arithmetic series, so a window that begins anywhere is answered exactly, by a binary search: 24 steps at
/// most, since 100 days have fewer than 2^24 seconds.
///
///     queue     [first] ── [first + 1] ── … ── [next - 1]      times strictly ascend
///     entry     word 0   time (40, low) ‖ sum of counted prices (216)   seconds; price times seconds
///               word 1   counted price                                  as in `Curve.price`
///               word 2   sum of thinness                                thinness times seconds
///
/// Entries that no window of 100 days reaches any more are deleted, up to two with each that is added, so
/// the queue holds no more than the seconds of 100 days.
library Observations {
    /// @notice The longest window, in seconds.
    uint256 internal constant MAX_WINDOW = 100 days;
    /// @notice Most entries deleted when one is added.
    uint256 private constant MAX_DROPPED = 2;

    /// @notice By what part of itself the counted price moves in a second at most.
    uint256 private constant STEP_PARTS = 100;

    /// @notice The sums up to a second.
    struct Observation {
        uint40 time;
        uint216 prices;
        uint256 counted;
        uint256 thinness;
    }

    /// @notice Oldest entries first.
    struct Queue {
        uint64 first;
        uint64 next;
        mapping(uint64 index => Observation) entries;
    }

    /// @dev Notes that until now, since the newest entry, the price was `price` each second. To be called
    /// before the reserves change; the first time, with the first price. In a second that has an entry nothing is
    /// to be noted.
    function note(Queue storage queue, uint256 price, uint256 thinness) internal {
        uint64 next = queue.next;
        Observation memory entry = Observation(SafeCast.toUint40(block.timestamp), 0, price, 0);
        if (next != queue.first) {
            Observation memory newest = queue.entries[next - 1];
            uint256 passed = block.timestamp - newest.time;
            if (passed == 0) {
                return;
            }
            uint256 sum;
            (entry.counted, sum) = _follow(newest.counted, price, passed);
            entry.prices = SafeCast.toUint216(newest.prices + sum);
            entry.thinness = newest.thinness + thinness * passed;
        }
        queue.entries[next] = entry;
        queue.next = next + 1;
        _drop(queue, next);
    }

    /// @dev How many seconds back the sums are known. Zero without entries.
    function watched(Queue storage queue) internal view returns (uint256) {
        return queue.next == queue.first ? 0 : block.timestamp - queue.entries[queue.first].time;
    }

    /// @dev Sums of the last `window` seconds, which must be 1 to `watched`; `price` and `thinness` are
    /// those of this moment.
    function sums(Queue storage queue, uint256 window, uint256 price, uint256 thinness)
        internal
        view
        returns (uint256 prices, uint256 thinnesses)
    {
        Observation memory newest = queue.entries[queue.next - 1];
        uint256 start = block.timestamp - window;
        (, uint256 sum) = _follow(newest.counted, price, block.timestamp - newest.time);
        if (start >= newest.time) {
            (, uint256 sum0) = _follow(newest.counted, price, start - newest.time);
            return (sum - sum0, thinness * window);
        }
        (uint256 prices0, uint256 thinness0) = _at(queue, start);
        prices = newest.prices + sum - prices0;
        thinnesses = newest.thinness + thinness * (block.timestamp - newest.time) - thinness0;
    }

    /// @dev The sums at a second from the oldest entry to before the newest.
    function _at(Queue storage queue, uint256 time) private view returns (uint256, uint256) {
        // The entry sought is in [low, high): time of low <= time < time of high.
        uint64 low = queue.first;
        uint64 high = queue.next - 1;
        while (high - low > 1) {
            uint64 middle = low + (high - low) / 2;
            if (queue.entries[middle].time <= time) {
                low = middle;
            } else {
                high = middle;
            }
        }
        Observation memory before = queue.entries[low];
        uint256 passed = time - before.time;
        if (passed == 0) {
            return (before.prices, before.thinness);
        }
        // What counted at the later entry is as good as the price that led there: the series is the same.
        Observation memory later = queue.entries[high];
        (, uint256 sum) = _follow(before.counted, later.counted, passed);
        // Thinness grew evenly: the division leaves no rest.
        uint256 length = later.time - before.time;
        return (before.prices + sum, before.thinness + (later.thinness - before.thinness) / length * passed);
    }

    /// @dev What counts `passed` seconds after `from` counted, while the price is `to`, and the sum of what
    /// counted in these seconds. Prices are below 2^180 and seconds below 2^36: nothing overflows.
    function _follow(uint256 from, uint256 to, uint256 passed)
        private
        pure
        returns (uint256 counted, uint256 sum)
    {
        uint256 step = from / STEP_PARTS;
        if (step == 0) {
            step = 1;
        }
        bool isRising = to > from;
        // Seconds in which a whole step is made, and all that they moved together.
        uint256 steps = (isRising ? to - from : from - to) / step;
        if (steps > passed) {
            steps = passed;
        }
        uint256 moved = step * (steps * (steps + 1) / 2);
        sum = from * steps + to * (passed - steps);
        sum = isRising ? sum + moved : sum - moved;
        counted = steps < passed ? to : isRising ? from + step * steps : from - step * steps;
    }

    /// @dev Deletes from the front what is not needed to know the sums of 100 days ago.
    function _drop(Queue storage queue, uint64 newest) private {
        uint64 first = queue.first;
        uint64 end = first;
        while (
            end - first < MAX_DROPPED && end < newest
                && queue.entries[end + 1].time + MAX_WINDOW <= block.timestamp
        ) {
            delete queue.entries[end];
            ++end;
        }
        if (end != first) {
            queue.first = end;
        }
    }
}
