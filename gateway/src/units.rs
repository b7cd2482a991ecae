//! Amounts and how they are written.
//!
//! Points are counted in millionths (micro-points): 1 MVP = 1,000,000. A rate is a whole number of
//! micro-points per mile, so that miles times rate is exact and nothing is ever rounded.

use mileverse_gateway_api::amount::AmountError;
use std::fmt;
use thiserror::Error;

pub use mileverse_gateway_api::amount::{MICRO_PER_POINT, MicroPoints, Payer};

/// The database's integers are signed; no amount may exceed them.
pub const MAX_AMOUNT: u64 = i64::MAX.cast_unsigned();

/// Micro-points per mile: an exact rate.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Rate(pub u64);

impl Rate {
    /// Points for this many miles; `None` if more than can be counted.
    pub fn points(self, whole_miles: u64) -> Option<MicroPoints> {
        let amount = self.0.checked_mul(whole_miles)?;
        (amount <= MAX_AMOUNT).then_some(MicroPoints(amount))
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        MicroPoints(self.0).fmt(formatter)
    }
}

/// What a programme takes for a conversion.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct FeeRule {
    /// Hundredths of a per cent of the points; below [`BASIS_POINTS`].
    pub basis_points: u32,
    /// Who pays it.
    pub payer: Payer,
}

/// One whole, in basis points.
pub const BASIS_POINTS: u32 = 10_000;

impl FeeRule {
    /// The fee for so many points, rounded down to a micro-point; `None` if the sum is more than
    /// can be counted.
    pub fn fee(self, points: MicroPoints) -> Option<Fee> {
        let exact = u128::from(points.0).checked_mul(u128::from(self.basis_points))?;
        let whole = exact.checked_div(u128::from(BASIS_POINTS))?;
        let fee = Fee {
            points: MicroPoints(u64::try_from(whole).ok()?),
            payer: self.payer,
        };
        (fee.owed(points)?.0 <= MAX_AMOUNT && fee.received(points)?.0 > 0).then_some(fee)
    }
}

/// The fee of one conversion.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Fee {
    /// How much.
    pub points: MicroPoints,
    /// Who pays it.
    pub payer: Payer,
}

impl Fee {
    /// Of points that miles come to, those that the member receives.
    pub fn received(self, points: MicroPoints) -> Option<MicroPoints> {
        match self.payer {
            Payer::Member => points.0.checked_sub(self.points.0).map(MicroPoints),
            Payer::Partner => Some(points),
        }
    }

    /// What the partner owes for points that miles come to: those received, and the fee.
    pub fn owed(self, points: MicroPoints) -> Option<MicroPoints> {
        match self.payer {
            Payer::Member => Some(points),
            Payer::Partner => points.0.checked_add(self.points.0).map(MicroPoints),
        }
    }
}

/// Why a rate is not one.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
pub enum RateError {
    /// Not a decimal with at most as many decimals as a micro-point has.
    #[error("{0}, so that miles could not be converted exactly")]
    Amount(#[from] AmountError),
    /// Zero, or too large to count with.
    #[error("it is zero or too large")]
    Range,
}

/// Reads points per mile, such as `12` or `0.5`.
pub fn parse_rate(text: &str) -> Result<Rate, RateError> {
    let micro = match text.parse() {
        Ok(MicroPoints(micro)) => micro,
        Err(AmountError::Range) => return Err(RateError::Range),
        Err(error) => return Err(error.into()),
    };
    match (1..=MAX_AMOUNT).contains(&micro) {
        true => Ok(Rate(micro)),
        false => Err(RateError::Range),
    }
}

/// Reads points above zero, such as `100000` or `0.5`.
pub fn parse_points(text: &str) -> Option<MicroPoints> {
    parse_rate(text).ok().map(|Rate(micro)| MicroPoints(micro))
}

/// Why a string is not an amount of miles.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum MilesError {
    /// Not a number at all.
    Malformed,
    /// Below zero.
    Negative,
    /// A fraction.
    Fractional,
    /// Nothing.
    Zero,
    /// More than can be counted.
    TooLarge,
}

/// Reads whole miles written as a plain decimal string: digits only, no leading zeros.
pub fn parse_miles(text: &str) -> Result<u64, MilesError> {
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let (negative, number) = text
        .strip_prefix('-')
        .map_or((false, text), |rest| (true, rest));
    if let Some((whole, fraction)) = number.split_once('.') {
        return Err(if digits(whole) && digits(fraction) {
            if negative {
                MilesError::Negative
            } else {
                MilesError::Fractional
            }
        } else {
            MilesError::Malformed
        });
    }
    if !digits(number) {
        return Err(MilesError::Malformed);
    }
    if number.bytes().all(|byte| byte == b'0') {
        return Err(MilesError::Zero);
    }
    if negative {
        return Err(MilesError::Negative);
    }
    if number.starts_with('0') {
        return Err(MilesError::Malformed);
    }
    number
        .parse()
        .ok()
        .filter(|miles| *miles <= MAX_AMOUNT)
        .ok_or(MilesError::TooLarge)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn miles_are_read_strictly() {
        assert_eq!(parse_miles("10000"), Ok(10_000));
        assert_eq!(parse_miles("9223372036854775807"), Ok(MAX_AMOUNT));
        for (text, error) in [
            ("0", MilesError::Zero),
            ("000", MilesError::Zero),
            ("-0", MilesError::Zero),
            ("-5", MilesError::Negative),
            ("-5.5", MilesError::Negative),
            ("1.5", MilesError::Fractional),
            ("1.0", MilesError::Fractional),
            ("1.", MilesError::Malformed),
            (".5", MilesError::Malformed),
            ("", MilesError::Malformed),
            ("+1", MilesError::Malformed),
            ("007", MilesError::Malformed),
            ("1e3", MilesError::Malformed),
            ("1,000", MilesError::Malformed),
            (" 1", MilesError::Malformed),
            ("１", MilesError::Malformed),
            ("9223372036854775808", MilesError::TooLarge),
            ("99999999999999999999999", MilesError::TooLarge),
        ] {
            assert_eq!(parse_miles(text), Err(error), "{text}");
        }
    }

    #[test]
    fn rates_are_exact_or_refused() {
        assert_eq!(parse_rate("12"), Ok(Rate(12_000_000)));
        assert_eq!(parse_rate("0.5"), Ok(Rate(500_000)));
        assert_eq!(parse_rate("0.000001"), Ok(Rate(1)));
        assert_eq!(
            parse_rate("0.0000001"),
            Err(RateError::Amount(AmountError::Decimals))
        );
        assert_eq!(parse_rate("0"), Err(RateError::Range));
        assert_eq!(parse_rate("99999999999999999999"), Err(RateError::Range));
        for bad in ["", "1.", ".5", "-1", "1/3", "1e2", "1.2.3"] {
            assert_eq!(
                parse_rate(bad),
                Err(RateError::Amount(AmountError::Form)),
                "{bad}"
            );
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(micro in 1u64..=MAX_AMOUNT) {
            prop_assert_eq!(parse_rate(&Rate(micro).to_string()), Ok(Rate(micro)));
        }

        #[test]
        fn points_divide_back_to_miles(rate in 1u64..1_000_000_000, miles in 1u64..1_000_000_000) {
            let points = Rate(rate).points(miles).unwrap();
            prop_assert_eq!(points.0 / rate, miles);
            prop_assert_eq!(points.0 % rate, 0);
        }

        #[test]
        fn miles_never_panic(text in ".{0,40}") {
            let _ = parse_miles(&text);
            let _ = parse_rate(&text);
        }
    }

    #[test]
    fn fees_are_rounded_down_and_nothing_is_lost() {
        let rule = |basis_points, payer| FeeRule {
            basis_points,
            payer,
        };
        let points = MicroPoints(333);
        let member = rule(30, Payer::Member).fee(MicroPoints(1_000_000));
        assert_eq!(member.map(|fee| fee.points.0), Some(3_000));
        for payer in [Payer::Member, Payer::Partner] {
            for basis_points in [0, 1, 30, 9_999] {
                let fee = rule(basis_points, payer).fee(points);
                let sums = fee.and_then(|fee| {
                    let (received, owed) = (fee.received(points)?, fee.owed(points)?);
                    Some(owed.0 == received.0 + fee.points.0 && received.0 > 0)
                });
                assert_eq!(sums, Some(true), "{basis_points} {payer:?}");
            }
        }
        assert_eq!(
            rule(9_999, Payer::Partner).fee(MicroPoints(MAX_AMOUNT)),
            None
        );
    }
}
