//! Amounts: decimal text and integer units, exactly, both ways. The one place that does it.
//!
//! ```txt
//! token  decimals  smallest unit    "1.5" is
//! MVP    6         micro-MVP        1,500,000
//! MVC    18        atto-MVC         1,500,000,000,000,000,000
//! ETH    18        wei              1,500,000,000,000,000,000
//! ```
//!
//! The text is digits, at most one point, digits on both sides of it. No sign, no exponent, no
//! white space, no grouping. More decimals than the token has are refused, never rounded, even
//! when they are zeros: whoever writes them is thinking of another token. At most
//! [`MAX_TEXT_LENGTH`] characters are read.

use alloy::primitives::U256;
use serde::{Deserialize, Serialize};
use std::fmt;
use thiserror::Error;

/// Longest amount that is read: 78 digits of a 256-bit number, a point, room for leading zeros.
pub const MAX_TEXT_LENGTH: usize = 100;

/// What can be held and sent.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Token {
    /// The point people spend.
    Mvp,
    /// The coin people hold.
    Mvc,
    /// Ether, which pays for gas on Ethereum.
    Eth,
}

impl Token {
    /// Digits after the point.
    pub const fn decimals(self) -> u8 {
        match self {
            Self::Mvp => 6,
            Self::Mvc | Self::Eth => 18,
        }
    }

    /// The name people know it by.
    pub const fn symbol(self) -> &'static str {
        match self {
            Self::Mvp => "MVP",
            Self::Mvc => "MVC",
            Self::Eth => "ETH",
        }
    }

    /// Units in one whole token.
    fn whole(self) -> U256 {
        U256::from(10u64).pow(U256::from(self.decimals()))
    }
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.symbol())
    }
}

/// Why a text is not an amount.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum AmountError {
    /// Nothing there.
    #[error("the amount is missing; give a decimal number such as 12.5")]
    Empty,
    /// Longer than any amount.
    #[error(
        "the amount has more than {MAX_TEXT_LENGTH} characters; give a decimal number such as 12.5"
    )]
    TooLong,
    /// A minus sign.
    #[error("the amount {0} is negative; give an amount above zero")]
    Negative(String),
    /// Something else than digits and one point.
    #[error("{0:?} is not an amount; give a decimal number such as 12.5")]
    Malformed(String),
    /// Would have to be rounded.
    #[error("{text} has {given} decimals, and {token} has {} at most", token.decimals())]
    Decimals {
        /// What was written.
        text: String,
        /// How many it has.
        given: usize,
        /// The token.
        token: Token,
    },
    /// More than 256 bits.
    #[error("the amount {0} is larger than any balance can be")]
    TooLarge(String),
    /// Zero where something must move.
    #[error("the amount is zero; give an amount above zero")]
    Zero,
}

/// So much of one token, in its smallest unit.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Amount {
    token: Token,
    units: U256,
}

impl Amount {
    /// So many of the token's smallest unit.
    pub const fn from_units(token: Token, units: U256) -> Self {
        Self { token, units }
    }

    /// So many whole tokens; `None` above 256 bits.
    pub fn whole(token: Token, count: u64) -> Option<Self> {
        let units = U256::from(count).checked_mul(token.whole())?;
        Some(Self { token, units })
    }

    /// Reads a decimal text, exactly or not at all. Zero is an amount; see [`Self::parse_positive`].
    pub fn parse(token: Token, text: &str) -> Result<Self, AmountError> {
        if text.is_empty() {
            return Err(AmountError::Empty);
        }
        if text.len() > MAX_TEXT_LENGTH {
            return Err(AmountError::TooLong);
        }
        let malformed = || AmountError::Malformed(text.to_owned());
        if let Some(rest) = text.strip_prefix('-') {
            let number = !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_digit() || b == b'.');
            return Err(if number {
                AmountError::Negative(text.to_owned())
            } else {
                malformed()
            });
        }
        let (whole, fraction) = match text.split_once('.') {
            Some((whole, fraction)) if !fraction.is_empty() => (whole, fraction),
            Some(_) => return Err(malformed()),
            None => (text, ""),
        };
        let digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
        if whole.is_empty() || !digits(whole) || !digits(fraction) {
            return Err(malformed());
        }
        let decimals = usize::from(token.decimals());
        if fraction.len() > decimals {
            return Err(AmountError::Decimals {
                text: text.to_owned(),
                given: fraction.len(),
                token,
            });
        }
        // The digits without the point, filled up with zeros to the smallest unit.
        let mut units = U256::ZERO;
        let ten = U256::from(10u64);
        let filler = std::iter::repeat_n(b'0', decimals.saturating_sub(fraction.len()));
        for digit in whole.bytes().chain(fraction.bytes()).chain(filler) {
            units = units
                .checked_mul(ten)
                .and_then(|units| units.checked_add(U256::from(digit.saturating_sub(b'0'))))
                .ok_or_else(|| AmountError::TooLarge(text.to_owned()))?;
        }
        Ok(Self { token, units })
    }

    /// Reads a decimal text that must be above zero.
    pub fn parse_positive(token: Token, text: &str) -> Result<Self, AmountError> {
        let amount = Self::parse(token, text)?;
        if amount.is_zero() {
            return Err(AmountError::Zero);
        }
        Ok(amount)
    }

    /// The token.
    pub const fn token(self) -> Token {
        self.token
    }

    /// How many of its smallest unit.
    pub const fn units(self) -> U256 {
        self.units
    }

    /// Nothing at all.
    pub fn is_zero(self) -> bool {
        self.units.is_zero()
    }

    /// The sum; `None` for two tokens or above 256 bits.
    pub fn checked_add(self, other: Self) -> Option<Self> {
        if self.token != other.token {
            return None;
        }
        let units = self.units.checked_add(other.units)?;
        Some(Self { units, ..self })
    }

    /// What is left; `None` for two tokens or below zero.
    pub fn checked_sub(self, other: Self) -> Option<Self> {
        if self.token != other.token {
            return None;
        }
        let units = self.units.checked_sub(other.units)?;
        Some(Self { units, ..self })
    }

    /// The decimal text without the token's name: the shortest that reads back as this amount.
    pub fn decimal(self) -> String {
        let (whole, fraction) = self.units.div_rem(self.token.whole());
        if fraction.is_zero() {
            return whole.to_string();
        }
        let width = usize::from(self.token.decimals());
        let fraction = format!("{:0>width$}", fraction.to_string());
        format!("{whole}.{}", fraction.trim_end_matches('0'))
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.decimal(), self.token)
    }
}

/// JSON carries both faces, so that nobody has to know the decimals.
impl Serialize for Amount {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeStruct;
        let mut out = serializer.serialize_struct("Amount", 3)?;
        out.serialize_field("token", self.token.symbol())?;
        out.serialize_field("amount", &self.decimal())?;
        out.serialize_field("units", &self.units.to_string())?;
        out.end()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    fn tokens() -> impl Strategy<Value = Token> {
        prop_oneof![Just(Token::Mvp), Just(Token::Mvc), Just(Token::Eth)]
    }

    proptest! {
        #[test]
        fn text_and_units_are_one_to_one(token in tokens(), limbs in any::<[u64; 4]>()) {
            let amount = Amount::from_units(token, U256::from_limbs(limbs));
            prop_assert_eq!(Amount::parse(token, &amount.decimal()), Ok(amount));
        }

        #[test]
        fn small_amounts_agree_with_plain_arithmetic(whole in 0u64..1_000_000_000, micro in 0u64..1_000_000) {
            let text = format!("{whole}.{micro:06}");
            let amount = Amount::parse(Token::Mvp, &text).unwrap();
            prop_assert_eq!(amount.units(), U256::from(whole * 1_000_000 + micro));
        }

        #[test]
        fn too_many_decimals_are_refused_even_zeros(token in tokens(), extra in 1usize..20) {
            let text = format!("1.{}", "0".repeat(usize::from(token.decimals()) + extra));
            let refused = matches!(Amount::parse(token, &text), Err(AmountError::Decimals { .. }));
            prop_assert!(refused);
        }

        #[test]
        fn noise_never_panics_and_only_plain_numbers_are_read(token in tokens(), text in ".{0,40}") {
            if Amount::parse(token, &text).is_ok() {
                prop_assert!(text.bytes().all(|b| b.is_ascii_digit() || b == b'.'));
            }
        }

        #[test]
        fn sums_come_back(token in tokens(), a in any::<u128>(), b in any::<u128>()) {
            let (a, b) = (Amount::from_units(token, U256::from(a)), Amount::from_units(token, U256::from(b)));
            let sum = a.checked_add(b).unwrap();
            prop_assert_eq!(sum.checked_sub(b), Some(a));
        }
    }

    #[test]
    fn each_bad_text_has_its_own_sentence() {
        let refused = |text: &str| Amount::parse_positive(Token::Mvp, text).unwrap_err();
        assert_eq!(refused(""), AmountError::Empty);
        assert_eq!(refused("0"), AmountError::Zero);
        assert_eq!(refused("0.000000"), AmountError::Zero);
        assert_eq!(refused("-1"), AmountError::Negative("-1".into()));
        assert_eq!(refused(&"1".repeat(101)), AmountError::TooLong);
        assert_eq!(
            refused(&"9".repeat(90)),
            AmountError::TooLarge("9".repeat(90))
        );
        assert_eq!(
            refused("1.0000001").to_string(),
            "1.0000001 has 7 decimals, and MVP has 6 at most"
        );
        for text in [
            ".", "1.", ".5", "1.2.3", "+1", "1e3", " 1", "1 ", "1,000", "0x10", "--1", "-", "１",
            "NaN",
        ] {
            assert_eq!(refused(text), AmountError::Malformed(text.into()), "{text}");
        }
    }

    #[test]
    fn two_tokens_never_add() {
        let points = Amount::whole(Token::Mvp, 1).unwrap();
        let coins = Amount::whole(Token::Mvc, 1).unwrap();
        assert_eq!(points.checked_add(coins), None);
        assert_eq!(coins.checked_sub(points), None);
        assert_eq!(points.to_string(), "1 MVP");
        assert_eq!(
            Amount::from_units(Token::Mvc, U256::from(1)).decimal(),
            "0.000000000000000001"
        );
    }
}
