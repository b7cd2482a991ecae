//! The relayer's own clock. It only decides when to try again, never what is true.

use std::{
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

/// Milliseconds since 1970.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> u64 + Send + Sync>);

impl Clock {
    /// This machine's clock.
    pub fn system() -> Self {
        Self::from_fn(|| {
            let elapsed = SystemTime::now().duration_since(UNIX_EPOCH);
            elapsed.map_or(0, |elapsed| {
                u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX)
            })
        })
    }

    /// Any other clock.
    pub fn from_fn(now: impl Fn() -> u64 + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    /// Now.
    pub fn now_ms(&self) -> u64 {
        (self.0)()
    }
}

/// How long to wait before attempt number `attempts + 1`: doubles from `first` up to `longest`,
/// then shortened by up to a half, so that many waiters do not come back together. `seed` says by
/// how much; a time or a number of the waiter will do.
pub fn back_off_ms(attempts: u32, first: u64, longest: u64, seed: u64) -> u64 {
    let factor = 1u64.checked_shl(attempts).unwrap_or(u64::MAX);
    let full = first.saturating_mul(factor).min(longest).max(1);
    let half = full.div_ceil(2);
    // Spread the seed's bits (Knuth's multiplicative hash), then take the upper half.
    let spread = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
    half.saturating_add(spread % full.saturating_sub(half).saturating_add(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn back_off_grows_to_its_limit_and_never_ends_at_zero(attempts in 0u32..200, first in 1u64..10_000, more in 0u64..1_000_000, seed in any::<u64>()) {
            let longest = first + more;
            let wait = back_off_ms(attempts, first, longest, seed);
            prop_assert!(wait >= 1 && wait <= longest);
            if attempts >= 64 {
                prop_assert!(wait >= longest / 2);
            }
        }
    }
}
