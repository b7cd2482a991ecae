//! A partner's statement: what it booked on one UTC day, one line for each booking.
//!
//! ```csv
//! reference,partner_reference,kind,member,miles,at
//! conv_0190b2e8d6f07c3a8f3e5d1c2b4a6978,SKY-77,debit,SKY-1001,100,2026-11-20T10:00:00Z
//! conv_0190b2e8d6f07c3a8f3e5d1c2b4a6978,SKY-78,reversal,SKY-1001,100,2026-11-20T10:03:07Z
//! ```
//!
//! | column | what it is |
//! |---|---|
//! | `reference` | our reference, which the debit carried: 1 to 64 letters, digits, `-`, `_`, `.` |
//! | `partner_reference` | the partner's own, up to 128 characters; may be empty |
//! | `kind` | `debit`: the member has fewer miles. `reversal`: they are back |
//! | `member` | the partner's id of the member |
//! | `miles` | whole miles, above zero |
//! | `at` | RFC 3339: when it was booked; of the day that the statement is for |
//!
//! RFC 4180, UTF-8, with this header; columns in any order, further ones are ignored. A day on
//! which nothing was booked has a statement with the header alone. Nothing of a file with a line
//! that is wrong is taken.

use crate::clock::day;
use crate::units::parse_miles;
use jiff::Timestamp;
use mileverse_adapters::{MemberId, Reference};
use serde::Deserialize;
use thiserror::Error;

/// Largest statement, in bytes.
pub const MAX_BYTES: usize = 8 * 1024 * 1024;
/// Most lines of one.
pub const MAX_LINES: usize = 100_000;
/// Longest reference of a partner's, in characters.
const MAX_PARTNER_REFERENCE: usize = 128;

/// What a line books.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "lowercase")]
pub enum Booking {
    /// Miles were taken.
    Debit,
    /// Miles are back.
    Reversal,
}

impl Booking {
    /// As written.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Debit => "debit",
            Self::Reversal => "reversal",
        }
    }
}

/// One line.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Line {
    /// Our reference.
    pub reference: String,
    /// The partner's.
    pub partner_reference: String,
    /// What it books.
    pub booking: Booking,
    /// Whose miles.
    pub member: String,
    /// How many.
    pub miles: u64,
    /// When, in milliseconds since 1970.
    pub at: i64,
}

/// Why a file is no statement.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum StatementError {
    /// Too large.
    #[error("it has more than {MAX_BYTES} bytes")]
    Size,
    /// Too long.
    #[error("it has more than {MAX_LINES} lines")]
    Lines,
    /// Not CSV with these columns.
    #[error(
        "it is not CSV with the columns reference, partner_reference, kind, member, miles, at: {0}"
    )]
    Form(String),
    /// One line.
    #[error("line {line}: {why}")]
    Line {
        /// Counted from 1, the header included.
        line: u64,
        /// What is wrong.
        why: String,
    },
}

#[derive(Deserialize)]
struct Raw {
    reference: String,
    partner_reference: String,
    kind: Booking,
    member: String,
    miles: String,
    at: String,
}

/// Reads a statement of one day, counted from 1970.
pub fn parse(bytes: &[u8], of: i64) -> Result<Vec<Line>, StatementError> {
    if bytes.len() > MAX_BYTES {
        return Err(StatementError::Size);
    }
    let mut reader = csv::ReaderBuilder::new()
        .trim(csv::Trim::All)
        .from_reader(bytes);
    let header = reader.headers().map_err(form)?.clone();
    let mut lines = Vec::new();
    let mut record = csv::StringRecord::new();
    while reader.read_record(&mut record).map_err(form)? {
        if lines.len() >= MAX_LINES {
            return Err(StatementError::Lines);
        }
        let line = record.position().map_or(0, csv::Position::line);
        let wrong = |why: String| StatementError::Line { line, why };
        let raw: Raw = record.deserialize(Some(&header)).map_err(form)?;
        lines.push(check(raw, of).map_err(wrong)?);
    }
    // Without a single line the header has not been looked at.
    if lines.is_empty() {
        for column in [
            "reference",
            "partner_reference",
            "kind",
            "member",
            "miles",
            "at",
        ] {
            if !header.iter().any(|found| found == column) {
                return Err(StatementError::Form(format!("there is no column {column}")));
            }
        }
    }
    Ok(lines)
}

fn form(error: csv::Error) -> StatementError {
    let line = error.position().map(csv::Position::line);
    let why = match error.kind() {
        csv::ErrorKind::Deserialize { err, .. } => err.to_string(),
        _ => error.to_string(),
    };
    match line {
        Some(line) => StatementError::Line { line, why },
        None => StatementError::Form(why),
    }
}

fn check(raw: Raw, of: i64) -> Result<Line, String> {
    let reference = Reference::new(raw.reference).map_err(|why| format!("reference: {why}"))?;
    let member = MemberId::new(raw.member).map_err(|why| format!("member: {why}"))?;
    let miles = parse_miles(&raw.miles)
        .map_err(|_| "miles: it is not a whole number above zero".to_owned())?;
    if raw.partner_reference.chars().count() > MAX_PARTNER_REFERENCE {
        return Err(format!(
            "partner_reference: it has more than {MAX_PARTNER_REFERENCE} characters"
        ));
    }
    if raw.partner_reference.contains(char::is_control) {
        return Err("partner_reference: it has a control character".to_owned());
    }
    let at: Timestamp = raw
        .at
        .parse()
        .map_err(|_| "at: it is not a moment such as 2026-11-20T10:00:00Z".to_owned())?;
    let at = at.as_millisecond();
    if day(at) != of {
        return Err("at: it is not of the statement's day, UTC".to_owned());
    }
    Ok(Line {
        reference: reference.to_string(),
        partner_reference: raw.partner_reference,
        booking: raw.kind,
        member: member.to_string(),
        miles,
        at,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    const HEADER: &str = "reference,partner_reference,kind,member,miles,at\n";
    const DAY: i64 = 20_777;

    fn at(second: i64) -> String {
        Timestamp::from_second(DAY * 86_400 + second)
            .unwrap()
            .to_string()
    }

    #[test]
    fn columns_may_be_in_any_order_and_more() {
        let noon = at(43_200);
        let text = format!(
            "at,miles,note,member,kind,partner_reference,reference\n{noon},100,\"a, b\",SKY-1,debit,,conv_1\n"
        );
        let lines = parse(text.as_bytes(), DAY).unwrap();
        assert_eq!(lines.len(), 1);
        let line = lines.first().unwrap();
        assert_eq!((line.miles, line.booking), (100, Booking::Debit));
        assert_eq!(line.reference, "conv_1");
        assert!(parse(HEADER.as_bytes(), DAY).unwrap().is_empty());
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line() {
        let noon = at(43_200);
        let (before, after) = (at(-1), at(86_400));
        for (line, why) in [
            (format!("conv_1,,debit,SKY-1,0,{noon}"), "miles"),
            (format!("conv_1,,debit,SKY-1,-5,{noon}"), "miles"),
            (format!("conv_1,,debit,SKY-1,1.5,{noon}"), "miles"),
            (format!("conv 1,,debit,SKY-1,1,{noon}"), "reference"),
            (format!("conv_1,,debit,,1,{noon}"), "member"),
            (format!("conv_1,,took,SKY-1,1,{noon}"), "took"),
            (format!("conv_1,,debit,SKY-1,1,{before}"), "day"),
            (format!("conv_1,,debit,SKY-1,1,{after}"), "day"),
            ("conv_1,,debit,SKY-1,1,yesterday".to_owned(), "at: "),
            ("conv_1,,debit".to_owned(), "fields"),
        ] {
            let text = format!("{HEADER}conv_0,,debit,SKY-1,7,{noon}\n{line}\n");
            let error = parse(text.as_bytes(), DAY).unwrap_err();
            assert!(
                matches!(error, StatementError::Line { line: 3, .. }),
                "{error:?}"
            );
            assert!(error.to_string().contains(why), "{error}");
        }
        assert!(matches!(
            parse(b"reference,kind\n", DAY),
            Err(StatementError::Form(_))
        ));
        let many = format!("conv_1,,debit,SKY-1,1,{noon}\n").repeat(MAX_LINES + 1);
        let many = format!("{HEADER}{many}");
        assert_eq!(parse(many.as_bytes(), DAY), Err(StatementError::Lines));
    }

    proptest! {
        #[test]
        fn nothing_makes_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            let mut text = HEADER.as_bytes().to_vec();
            text.extend(bytes);
            let _ = parse(&text, DAY);
        }
    }
}
