//! Calendar quarters in Asia/Seoul.
//!
//! A quarter ends at 24:00 in Seoul on its last day. Seoul has been at UTC+9 without summer time
//! since October 1988, so the offset is fixed here and no time zone database is asked: all nodes
//! agree for ever. If Korea ever changes its clocks, the chain's quarters stay at UTC+9.
//!
//! Block time is Unix time, which has no leap seconds: a leap second at the quarter's end belongs
//! to whichever side the validators' clocks put it, and the block's time alone decides.

use jiff::{
    Timestamp,
    civil::Date,
    tz::{self, TimeZone},
};
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};
use thiserror::Error;

/// Seoul's hours ahead of UTC.
const SEOUL: i8 = 9;
/// Quarters of a year.
const QUARTERS: u64 = 4;
/// Months of a quarter.
const MONTHS: u64 = 3;

/// A quarter of a year, named by `4 x year + (0 to 3)`; written `2026Q4`.
#[derive(
    Clone, Copy, Debug, Default, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize,
)]
#[serde(transparent)]
pub struct Quarter(u64);

/// A text that names no quarter.
#[derive(Clone, Debug, Error, Eq, PartialEq)]
#[error("'{0}' is no quarter; write it like 2026Q4")]
pub struct QuarterError(String);

fn seoul() -> TimeZone {
    TimeZone::fixed(tz::offset(SEOUL))
}

impl Quarter {
    /// The quarter with this number.
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// `4 x year + (0 to 3)`.
    pub const fn number(self) -> u64 {
        self.0
    }

    /// The calendar year.
    pub const fn year(self) -> u64 {
        self.0 / QUARTERS
    }

    /// 1 to 4.
    pub const fn of_year(self) -> u64 {
        self.0 % QUARTERS + 1
    }

    /// The quarter after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }

    /// The quarter of a moment, milliseconds since 1970; `None` after the year 9999.
    pub fn containing(ms: u64) -> Option<Self> {
        let moment = Timestamp::from_millisecond(i64::try_from(ms).ok()?).ok()?;
        let there = moment.to_zoned(seoul());
        let year = u64::try_from(there.year()).ok()?;
        let month = u64::try_from(there.month()).ok()?;
        let part = month.checked_sub(1)?.checked_div(MONTHS)?;
        year.checked_mul(QUARTERS)?.checked_add(part).map(Self)
    }

    /// Its first moment, milliseconds since 1970; `None` outside of the years 1970 to 9999.
    pub fn begins_ms(self) -> Option<u64> {
        let year = i16::try_from(self.year()).ok()?;
        let month = self.of_year().checked_sub(1)?.checked_mul(MONTHS)?;
        let month = i8::try_from(month.checked_add(1)?).ok()?;
        let day = Date::new(year, month, 1).ok()?;
        let moment = day.to_zoned(seoul()).ok()?.timestamp();
        u64::try_from(moment.as_millisecond()).ok()
    }

    /// The first moment after it: 24:00 in Seoul on its last day.
    pub fn ends_ms(self) -> Option<u64> {
        self.next().begins_ms()
    }
}

impl fmt::Display for Quarter {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:04}Q{}", self.year(), self.of_year())
    }
}

impl FromStr for Quarter {
    type Err = QuarterError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parse = || {
            let (year, part) = text.split_once(['Q', 'q'])?;
            let year: u64 = year.parse().ok().filter(|year| *year <= 9_999)?;
            let part: u64 = part.parse().ok()?;
            let part = part.checked_sub(1).filter(|part| *part < QUARTERS)?;
            year.checked_mul(QUARTERS)?.checked_add(part).map(Self)
        };
        parse().ok_or_else(|| QuarterError(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn quarters_end_at_midnight_in_seoul() {
        for (text, ends) in [
            // 24:00 in Seoul is 15:00 UTC.
            ("2026Q1", "2026-03-31T15:00:00Z"),
            ("2026Q2", "2026-06-30T15:00:00Z"),
            ("2026Q3", "2026-09-30T15:00:00Z"),
            ("2026Q4", "2026-12-31T15:00:00Z"),
            ("2028Q1", "2028-03-31T15:00:00Z"),
            ("2100Q1", "2100-03-31T15:00:00Z"),
            // Where a leap second was put at 23:59:60 UTC, hours later.
            ("2016Q4", "2016-12-31T15:00:00Z"),
        ] {
            let quarter: Quarter = text.parse().unwrap();
            let ends: Timestamp = ends.parse().unwrap();
            let ends = u64::try_from(ends.as_millisecond()).unwrap();
            assert_eq!(quarter.ends_ms(), Some(ends), "{text}");
            assert_eq!(quarter.to_string(), text);
            assert_eq!(Quarter::containing(ends - 1), Some(quarter));
            assert_eq!(Quarter::containing(ends), Some(quarter.next()));
        }
    }

    #[test]
    fn nonsense_is_no_quarter() {
        for text in ["", "2026", "2026Q0", "2026Q5", "Q1", "10000Q1", "2026Q1 "] {
            assert!(text.parse::<Quarter>().is_err(), "{text}");
        }
        assert_eq!(Quarter::containing(u64::MAX), None);
        assert_eq!(Quarter::new(u64::MAX).begins_ms(), None);
    }

    proptest! {
        #[test]
        fn every_moment_is_in_one_quarter(ms in 0u64..250_000_000_000_000) {
            let quarter = Quarter::containing(ms).unwrap();
            // The very first begins before 1970 in UTC.
            if let Some(begins) = quarter.begins_ms() {
                prop_assert!(begins <= ms);
            }
            prop_assert!(ms < quarter.ends_ms().unwrap());
        }
    }
}
