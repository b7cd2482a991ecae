//! Moments as the database has them. What is in the books goes by [`crate::store::Store::now`].

use jiff::Timestamp;

/// Milliseconds since 1970, by the machine's own clock: see [`crate::store::clock`] for what goes by it.
pub fn now_ms() -> i64 {
    Timestamp::now().as_millisecond()
}

/// The UTC day of a moment, counted from 1970.
pub const fn day(at_ms: i64) -> i64 {
    at_ms.div_euclid(24 * 60 * 60 * 1000)
}

/// RFC 3339 with milliseconds, for people and APIs.
pub fn rfc3339(at_ms: i64) -> String {
    Timestamp::from_millisecond(at_ms).map_or_else(|_| at_ms.to_string(), |at| format!("{at:.3}"))
}
