//! Counter-entries: corrections of the journal that two operators agree on.
//!
//! ```json
//! [{ "debit": "airline:miles_taken", "credit": "airline:suspense",
//!    "currency": "MILES:airline", "amount": "100" }]
//! ```
//!
//! Each line is balanced in itself. Both accounts must exist in that currency, except accounts
//! whose name ends in `:suspense`, which hold what is not explained yet. Amounts are whole miles,
//! micro-points or gwei. A correction of a partner's float moves the float too.

use crate::journal::{Entry, pair};
use crate::store::Connection;
use serde::{Deserialize, Serialize};
use sqlx::Row;
use utoipa::ToSchema;

/// Most lines of one correction.
pub const MAX_LINES: usize = 20;
const MAX_NAME: usize = 160;

/// One line of a correction.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = CounterEntry)]
pub struct Line {
    /// The account that is debited.
    #[schema(examples("airline:miles_taken"))]
    pub debit: String,
    /// The account that is credited.
    #[schema(examples("airline:suspense"))]
    pub credit: String,
    /// `MILES:{programme}`, `MVP` or `GWEI`.
    #[schema(examples("MILES:airline"))]
    pub currency: String,
    /// Whole miles, micro-points or gwei; above zero.
    #[schema(examples("100"))]
    pub amount: String,
}

fn plain(name: &str) -> bool {
    (1..=MAX_NAME).contains(&name.len())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b':'))
}

/// The entries of a correction, or what is wrong with it.
pub fn entries(lines: &[Line]) -> Result<Vec<Entry>, String> {
    if !(1..=MAX_LINES).contains(&lines.len()) {
        return Err(format!("a counter-entry has 1 to {MAX_LINES} lines"));
    }
    let mut entries = Vec::new();
    for line in lines {
        let known = line.currency == crate::journal::POINTS
            || line.currency == crate::float::GWEI
            || line.currency.starts_with("MILES:");
        if !known || !plain(&line.currency) {
            return Err(format!(
                "the currency {:?} is not MVP, GWEI or MILES:<programme>",
                line.currency
            ));
        }
        if !plain(&line.debit) || !plain(&line.credit) || line.debit == line.credit {
            return Err("debit and credit must be two accounts".to_owned());
        }
        let amount = line
            .amount
            .parse::<i64>()
            .ok()
            .filter(|amount| *amount > 0 && line.amount.bytes().all(|b| b.is_ascii_digit()))
            .ok_or_else(|| {
                format!(
                    "the amount {:?} is not a whole number above zero",
                    line.amount
                )
            })?;
        let both = pair(&line.debit, &line.credit, &line.currency, amount)
            .map_err(|error| error.to_string())?;
        entries.extend(both);
    }
    Ok(entries)
}

/// Checks that the accounts are there. What is wrong, if anything.
pub async fn unknown_account(
    connection: &mut Connection,
    entries: &[Entry],
) -> Result<Option<String>, sqlx::Error> {
    for entry in entries {
        let currency: Option<String> =
            sqlx::query_scalar("SELECT currency FROM accounts WHERE id = $1")
                .bind(&entry.account)
                .fetch_optional(&mut *connection)
                .await?;
        match currency {
            Some(currency) if currency == entry.currency => {}
            Some(currency) => {
                return Ok(Some(format!(
                    "the account {} is in {currency}",
                    entry.account
                )));
            }
            None if entry.account.ends_with(":suspense") => {}
            None => return Ok(Some(format!("there is no account {}", entry.account))),
        }
    }
    Ok(None)
}

/// Moves the floats that a correction is about, so that they stay what the journal says.
pub async fn move_floats(
    connection: &mut Connection,
    entries: &[Entry],
) -> Result<(), sqlx::Error> {
    let partners = sqlx::query("SELECT partner FROM floats ORDER BY partner")
        .fetch_all(&mut *connection)
        .await?;
    for row in partners {
        let partner: String = row.try_get("partner")?;
        for (name, change) in [
            (
                "float",
                "UPDATE floats SET available = available - $2 WHERE partner = $1",
            ),
            (
                "float_held",
                "UPDATE floats SET held = held - $2 WHERE partner = $1",
            ),
        ] {
            let account = format!("{partner}:{name}");
            let sum = entries
                .iter()
                .filter(|entry| entry.account == account)
                .try_fold(0i64, |sum, entry| sum.checked_add(entry.amount))
                .ok_or_else(|| sqlx::Error::Encode("out of range".into()))?;
            if sum != 0 {
                sqlx::query(change)
                    .bind(&partner)
                    .bind(sum)
                    .execute(&mut *connection)
                    .await?;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn line(debit: &str, credit: &str, currency: &str, amount: &str) -> Line {
        Line {
            debit: debit.to_owned(),
            credit: credit.to_owned(),
            currency: currency.to_owned(),
            amount: amount.to_owned(),
        }
    }

    #[test]
    fn a_line_is_two_entries_that_balance() {
        let found = entries(&[line("a:x", "a:suspense", "MILES:a", "7")]).unwrap();
        let amounts: Vec<_> = found.iter().map(|entry| entry.amount).collect();
        assert_eq!(amounts, [7, -7]);
    }

    #[test]
    fn what_is_no_correction_is_refused() {
        for bad in [
            line("a", "a", "MVP", "1"),
            line("a", "b", "KRW", "1"),
            line("a", "b", "MVP", "0"),
            line("a", "b", "MVP", "-1"),
            line("a", "b", "MVP", "+1"),
            line("a", "b", "MVP", "1.5"),
            line("a", "b", "MVP", "9223372036854775808"),
            line("a b", "b", "MVP", "1"),
            line("", "b", "MVP", "1"),
        ] {
            assert!(entries(std::slice::from_ref(&bad)).is_err(), "{bad:?}");
        }
        assert!(entries(&[]).is_err());
        assert!(entries(&vec![line("a", "b", "MVP", "1"); MAX_LINES + 1]).is_err());
    }
}
