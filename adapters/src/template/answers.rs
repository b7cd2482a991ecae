//! What answers mean: rules by status and by what stands in the body.
//!
//! Rules are tried in their order; the first whose status and conditions are the answer's decides.
//! An answer that no rule fits is unknown. Places in a body are JSON pointers (RFC 6901).

use crate::http::Answer;
use crate::settings::{SettingsError, SettingsFile};
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;

/// Most rules of one call, and most conditions of one rule.
const MAX_RULES: usize = 32;
const MAX_CONDITIONS: usize = 8;
const MAX_POINTER_BYTES: usize = 128;

/// What an answer can mean.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "snake_case")]
pub enum Meaning {
    /// The member is who they say.
    Accepted,
    /// They are not.
    MemberRefused,
    /// They are, and may not.
    MemberBlocked,
    /// The gateway may not.
    GatewayRefused,
    /// The balance is in the answer.
    Balance,
    /// The debit happened.
    Applied,
    /// It did not: too few miles.
    InsufficientMiles,
    /// It did not: the account is blocked.
    AccountBlocked,
    /// It was reversed, or reversed before it came.
    Reversed,
    /// There is no such debit.
    NotFound,
    /// The reversal is done.
    Acknowledged,
    /// It will not be done.
    NotReversible,
}

/// A rule as the file has it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RuleFile {
    status: u16,
    #[serde(default)]
    when: BTreeMap<String, toml::Value>,
    means: Meaning,
}

#[derive(Clone, Debug)]
struct Rule {
    status: u16,
    when: Vec<(String, Value)>,
    means: Meaning,
}

/// The rules of one call.
#[derive(Clone, Debug)]
pub struct Rules(Vec<Rule>);

/// What a call's rules must and may mean.
pub struct Duties {
    /// Each at least once, and only with a status of success.
    pub success: &'static [Meaning],
    /// Also possible.
    pub others: &'static [Meaning],
    /// Only with a condition: such an answer could come from anything on the way.
    pub conditioned: &'static [Meaning],
}

impl Rules {
    /// Checks the rules of a call.
    pub fn check(
        file: &SettingsFile,
        call: &str,
        rules: Vec<RuleFile>,
        duties: &Duties,
    ) -> Result<Self, SettingsError> {
        let field = format!("{call}.answers");
        if rules.is_empty() || rules.len() > MAX_RULES {
            return Err(file.wrong(field, format!("must have 1 to {MAX_RULES} rules")));
        }
        let mut checked = Vec::new();
        for (at, rule) in rules.into_iter().enumerate() {
            let field = format!("{call}.answers[{at}]");
            let means = rule.means;
            let success = duties.success.contains(&means);
            let known =
                success || duties.others.contains(&means) || duties.conditioned.contains(&means);
            if !known {
                return Err(file.wrong(format!("{field}.means"), "does not belong to this call"));
            }
            if !(100..=599).contains(&rule.status) {
                return Err(file.wrong(format!("{field}.status"), "must be between 100 and 599"));
            }
            if success && !(200..=299).contains(&rule.status) {
                return Err(file.wrong(
                    format!("{field}.status"),
                    "must be 200 to 299 for what happened",
                ));
            }
            if duties.conditioned.contains(&means) && rule.when.is_empty() {
                let why = "is needed here: a bare status may come from anything on the way";
                return Err(file.wrong(format!("{field}.when"), why));
            }
            if rule.when.len() > MAX_CONDITIONS {
                return Err(file.wrong(
                    format!("{field}.when"),
                    format!("has more than {MAX_CONDITIONS} conditions"),
                ));
            }
            let mut when = Vec::new();
            for (place, wanted) in rule.when {
                let place = pointer(file, &format!("{field}.when"), place)?;
                let wanted = match wanted {
                    toml::Value::String(text) => Value::from(text),
                    toml::Value::Integer(number) => Value::from(number),
                    toml::Value::Boolean(truth) => Value::from(truth),
                    _ => {
                        return Err(file.wrong(
                            format!("{field}.when"),
                            "must compare with a string, a whole number or true and false",
                        ));
                    }
                };
                when.push((place, wanted));
            }
            checked.push(Rule {
                status: rule.status,
                when,
                means,
            });
        }
        for needed in duties.success {
            if !checked.iter().any(|rule| rule.means == *needed) {
                return Err(file.wrong(
                    field,
                    format!("has no rule for {needed:?}; without it nothing can succeed"),
                ));
            }
        }
        Ok(Self(checked))
    }

    /// What an answer means, if a rule fits it.
    pub fn meaning(&self, answer: &Answer, body: &Value) -> Option<Meaning> {
        let status = answer.status.as_u16();
        let fits = |rule: &&Rule| {
            rule.status == status
                && rule
                    .when
                    .iter()
                    .all(|(place, wanted)| body.pointer(place) == Some(wanted))
        };
        self.0.iter().find(fits).map(|rule| rule.means)
    }
}

/// Checks a JSON pointer.
pub fn pointer(file: &SettingsFile, field: &str, place: String) -> Result<String, SettingsError> {
    let sound = place.starts_with('/') && place.len() <= MAX_POINTER_BYTES;
    let escapes = place
        .split('~')
        .skip(1)
        .all(|rest| rest.starts_with(['0', '1']));
    if sound && escapes {
        Ok(place)
    } else {
        Err(file.wrong(
            field,
            format!("has {place:?}, which is no JSON pointer; write one such as /account/id"),
        ))
    }
}

/// A string at a place, not empty and not longer than this.
pub fn text(body: &Value, place: &str, most: usize) -> Option<String> {
    let text = match body.pointer(place)? {
        Value::String(text) => text.clone(),
        Value::Number(number) if number.is_u64() => number.to_string(),
        _ => return None,
    };
    (1..=most).contains(&text.len()).then_some(text)
}

/// Whole miles at a place: a number, or a string of digits.
pub fn miles(body: &Value, place: &str) -> Option<u64> {
    match body.pointer(place)? {
        Value::Number(number) => number.as_u64(),
        Value::String(text)
            if text.len() <= 18 && text.bytes().all(|byte| byte.is_ascii_digit()) =>
        {
            text.parse().ok()
        }
        _ => None,
    }
}
