//! Figures: percentiles and rounding.

use serde::Serialize;

/// Percentiles of times in milliseconds.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Percentiles {
    /// Half of the measurements are at most this.
    pub p50: f64,
    /// 99 of 100 are at most this.
    pub p99: f64,
    /// How many there were.
    pub samples: usize,
}

impl Percentiles {
    /// Over measurements in milliseconds.
    pub fn over(mut samples: Vec<f64>) -> Self {
        samples.sort_by(f64::total_cmp);
        // The nearest rank: the smallest value that so many of a hundred do not exceed.
        let rank = |percent: usize| {
            let at = (samples.len().saturating_mul(percent)).div_ceil(100);
            samples
                .get(at.saturating_sub(1))
                .copied()
                .unwrap_or_default()
        };
        Self {
            p50: tenth(rank(50)),
            p99: tenth(rank(99)),
            samples: samples.len(),
        }
    }
}

/// Rounded to a tenth.
pub fn tenth(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}

/// Counts and times of a measurement are far below 2^53, where this is exact.
#[allow(clippy::cast_precision_loss, reason = "no count here comes near 2^53")]
pub const fn float(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::Percentiles;

    #[test]
    fn percentiles_are_values_that_were_measured() {
        let samples: Vec<f64> = (1..=200u32).rev().map(f64::from).collect();
        let found = Percentiles::over(samples);
        assert!((found.p50 - 100.0).abs() < 1e-9 && (found.p99 - 198.0).abs() < 1e-9);
        let one = Percentiles::over(vec![7.0]);
        assert!((one.p50 - 7.0).abs() < 1e-9 && (one.p99 - 7.0).abs() < 1e-9);
        assert_eq!(Percentiles::over(Vec::new()).samples, 0);
    }
}
