//! Whole miles of one programme. Miles have no fractions and are never negative.

use std::fmt;

/// A number of whole miles.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub struct Miles(u64);

impl Miles {
    /// None at all.
    pub const ZERO: Self = Self(0);

    /// Wraps a count of whole miles.
    pub const fn new(whole_miles: u64) -> Self {
        Self(whole_miles)
    }

    /// The count.
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl fmt::Display for Miles {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}
