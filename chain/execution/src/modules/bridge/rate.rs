//! How much of a token may cross in an hour and in a day. The words and the sums are those of
//! `contracts/src/libraries/Rate.sol`.
//!
//! ```txt
//! rule    per hour (96 bits) | per day (96) << 96 | the caller's own (64) << 192
//! used    in the hour (96)   | in the day (96) << 96 | the hour's number (64) << 192
//! ```
//!
//! Windows are fixed: hour `time / 3600`, day `time / 86400` of block time. A limit of [`NONE`] is
//! none. Amounts are whole units; nothing is rounded. What is used saturates at [`NONE`], which only
//! an unlimited token can reach.

use alloy::primitives::U256;

/// No limit.
pub(super) const NONE: U256 = U256::from_limbs([u64::MAX, u32::MAX as u64, 0, 0]);

const SECONDS_PER_HOUR: u64 = 3_600;
const HOURS_PER_DAY: u64 = 24;

/// What is used if `amount` is let through; `None` if it does not fit both windows.
pub(super) fn take(rule: U256, used: U256, amount: U256, time: u64) -> Option<U256> {
    let (in_hour, in_day) = used_by(used, time);
    let hour = in_hour.checked_add(amount)?;
    let day = in_day.checked_add(amount)?;
    let fits = |sum: U256, limit: U256| limit == NONE || sum <= limit;
    (fits(hour, rule & NONE) && fits(day, (rule >> 96) & NONE)).then(|| {
        let number = U256::from(time / SECONDS_PER_HOUR);
        hour.min(NONE) | day.min(NONE) << 96 | number << 192
    })
}

/// What is used if `amount`, which was let through at this very time, was not after all. Where the
/// sums could not be told exactly, they stay.
pub(super) fn put_back(used: U256, amount: U256) -> U256 {
    let (in_hour, in_day): (U256, U256) = (used & NONE, (used >> 96) & NONE);
    if in_hour == NONE || in_day == NONE {
        return used;
    }
    let number: U256 = (used >> 192) << 192;
    in_hour.saturating_sub(amount) | in_day.saturating_sub(amount) << 96 | number
}

/// What still fits the hour and the day; [`NONE`] where there is no limit.
pub(super) fn left(rule: U256, used: U256, time: u64) -> (U256, U256) {
    let (in_hour, in_day) = used_by(used, time);
    let left = |sum: U256, limit: U256| {
        if limit == NONE {
            NONE
        } else {
            limit.saturating_sub(sum)
        }
    };
    (
        left(in_hour, rule & NONE),
        left(in_day, (rule >> 96) & NONE),
    )
}

/// What `used` says of the windows that `time` is in.
fn used_by(used: U256, time: u64) -> (U256, U256) {
    let hour = time / SECONDS_PER_HOUR;
    let [.., last] = *used.as_limbs();
    let in_window = |is_same: bool, sum: U256| if is_same { sum & NONE } else { U256::ZERO };
    (
        in_window(last == hour, used),
        in_window(last / HOURS_PER_DAY == hour / HOURS_PER_DAY, used >> 96),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Against a plain account of every hour and day.
        #[test]
        fn limits_are_kept(
            per_hour in 1u64..200,
            per_day in 1u64..500,
            steps in proptest::collection::vec((0u64..9_000, 1u64..120), 1..40),
        ) {
            let rule = U256::from(per_hour) | U256::from(per_day) << 96;
            let mut used = U256::ZERO;
            let mut time = 1_767_225_600;
            let mut let_through: Vec<(u64, u64)> = Vec::new();
            for (pause, amount) in steps {
                time += pause;
                let sum = |window: u64| -> u64 {
                    let same = |at: &&(u64, u64)| at.0 / window == time / window;
                    let_through.iter().filter(same).map(|at| at.1).sum()
                };
                let (hour, day) = (sum(3_600), sum(86_400));
                prop_assert_eq!(
                    left(rule, used, time),
                    (U256::from(per_hour - hour), U256::from(per_day - day))
                );
                let next = take(rule, used, U256::from(amount), time);
                prop_assert_eq!(
                    next.is_some(),
                    hour + amount <= per_hour && day + amount <= per_day
                );
                if let Some(next) = next {
                    prop_assert_eq!(
                        left(rule, put_back(next, U256::from(amount)), time),
                        left(rule, used, time)
                    );
                    used = next;
                    let_through.push((time, amount));
                }
            }
        }

        /// No words, amounts or times overflow, and without limits everything fits.
        #[test]
        fn any_words_are_read(words in any::<[[u64; 4]; 3]>(), time in any::<u64>()) {
            let [rule, used, amount] = words.map(U256::from_limbs);
            let _ = (take(rule, used, amount, time), left(rule, used, time));
            let amount = amount >> 128;
            prop_assert!(take(U256::MAX, used, amount, time).is_some());
        }
    }
}
