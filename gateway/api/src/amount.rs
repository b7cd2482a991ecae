//! Amounts and how they are written.
//!
//! Points are counted in millionths (micro-points): 1 MVP = 1,000,000.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::str::FromStr;
use thiserror::Error;

/// Micro-points in one MVP.
pub const MICRO_PER_POINT: u64 = 1_000_000;
const DECIMALS: usize = 6;

/// Points in millionths. Written as MVP: a decimal without needless zeros, `120000` or `0.5`.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub struct MicroPoints(pub u64);

impl fmt::Display for MicroPoints {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, fraction) = (self.0 / MICRO_PER_POINT, self.0 % MICRO_PER_POINT);
        if fraction == 0 {
            return write!(formatter, "{whole}");
        }
        let digits = format!("{fraction:06}");
        write!(formatter, "{whole}.{}", digits.trim_end_matches('0'))
    }
}

/// Why a string is not an amount of points.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
pub enum AmountError {
    /// Not a plain decimal.
    #[error("it is not a decimal number such as \"12\" or \"0.5\"")]
    Form,
    /// More decimals than a micro-point has.
    #[error("it has more than {DECIMALS} decimals")]
    Decimals,
    /// More than can be counted.
    #[error("it is too large")]
    Range,
}

impl FromStr for MicroPoints {
    type Err = AmountError;

    fn from_str(text: &str) -> Result<Self, AmountError> {
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        let dot_without_digits = text.contains('.') && fraction.is_empty();
        if whole.is_empty() || dot_without_digits || !digits(whole) || !digits(fraction) {
            return Err(AmountError::Form);
        }
        if fraction.len() > DECIMALS {
            return Err(AmountError::Decimals);
        }
        let whole: u64 = whole.parse().map_err(|_| AmountError::Range)?;
        let fraction: u64 = format!("{fraction:0<DECIMALS$}")
            .parse()
            .map_err(|_| AmountError::Form)?;
        whole
            .checked_mul(MICRO_PER_POINT)
            .and_then(|micro| micro.checked_add(fraction))
            .map(Self)
            .ok_or(AmountError::Range)
    }
}

impl Serialize for MicroPoints {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for MicroPoints {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        decimal::deserialize(deserializer)
    }
}

/// Who pays a fee.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Payer {
    /// The member: it is kept back of the points.
    #[default]
    Member,
    /// The partner: it is owed on top of the points.
    Partner,
}

impl Payer {
    /// As stored and as shown.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Member => "member",
            Self::Partner => "partner",
        }
    }

    /// The payer of this name.
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Member, Self::Partner]
            .into_iter()
            .find(|payer| payer.name() == name)
    }
}

/// Numbers as decimal strings.
pub mod decimal {
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};
    use std::borrow::Cow;
    use std::fmt::Display;
    use std::str::FromStr;

    /// Writes it.
    pub fn serialize<T: Display, S: Serializer>(
        value: &T,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_str(value)
    }

    /// Reads it.
    pub fn deserialize<'de, T, D>(deserializer: D) -> Result<T, D::Error>
    where
        T: FromStr<Err: Display>,
        D: Deserializer<'de>,
    {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(D::Error::custom)
    }

    /// Numbers that may be missing.
    pub mod option {
        use super::{Deserialize, Deserializer, Display, Error, FromStr, Serializer};

        /// Writes it.
        pub fn serialize<T: Display, S: Serializer>(
            value: &Option<T>,
            serializer: S,
        ) -> Result<S::Ok, S::Error> {
            match value {
                Some(value) => serializer.collect_str(value),
                None => serializer.serialize_none(),
            }
        }

        /// Reads it.
        pub fn deserialize<'de, T, D>(deserializer: D) -> Result<Option<T>, D::Error>
        where
            T: FromStr<Err: Display>,
            D: Deserializer<'de>,
        {
            Option::<String>::deserialize(deserializer)?
                .map(|text| text.parse().map_err(D::Error::custom))
                .transpose()
        }
    }
}

/// Secrets, written out only where they travel.
pub mod secret {
    use secrecy::{ExposeSecret, SecretString};
    use serde::{Serialize, Serializer};

    /// Writes it out.
    pub fn serialize<S: Serializer>(
        value: &SecretString,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        value.expose_secret().serialize(serializer)
    }

    /// Secrets that may be missing.
    pub mod option {
        use super::{ExposeSecret, SecretString, Serialize, Serializer};

        /// Writes it out.
        pub fn serialize<S: Serializer>(
            value: &Option<SecretString>,
            serializer: S,
        ) -> Result<S::Ok, S::Error> {
            let value = value.as_ref().map(ExposeSecret::expose_secret);
            value.serialize(serializer)
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn points_read_back_as_they_are_written(micro in any::<u64>()) {
            let points = MicroPoints(micro);
            prop_assert_eq!(points.to_string().parse(), Ok(points));
            let text = serde_json::to_string(&points).unwrap();
            prop_assert_eq!(serde_json::from_str::<MicroPoints>(&text).unwrap(), points);
        }
    }

    #[test]
    fn what_is_no_amount_is_refused() {
        for (text, error) in [
            ("", AmountError::Form),
            ("1.", AmountError::Form),
            (".5", AmountError::Form),
            ("-1", AmountError::Form),
            ("+1", AmountError::Form),
            ("1e3", AmountError::Form),
            ("0.0000001", AmountError::Decimals),
            ("18446744073710", AmountError::Range),
        ] {
            assert_eq!(text.parse::<MicroPoints>(), Err(error), "{text}");
        }
    }
}
