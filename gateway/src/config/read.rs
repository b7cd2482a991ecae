//! What every part of the file is read with: numbers with limits, addresses, secrets in files of their
//! own, and the one sentence for what is wrong.

use super::ConfigError;
use secrecy::SecretString;
use std::fs;
use std::io::Read;
use std::path::Path;
use std::time::Duration;
use url::Url;

/// Largest configuration or secret file, in bytes.
pub(super) const MAX_FILE_BYTES: u64 = 1024 * 1024;
const MAX_NAME_BYTES: usize = 64;

/// No configured wait is longer than a day.
const MAX_SECONDS: u64 = 24 * 60 * 60;

pub(super) fn within(
    what: &str,
    given: Option<u32>,
    default: u32,
    most: u32,
) -> Result<u32, ConfigError> {
    let given = given.unwrap_or(default);
    if !(1..=most).contains(&given) {
        return Err(wrong(what, format!("must be between 1 and {most}")));
    }
    Ok(given)
}

pub(super) fn wrong(what: impl Into<String>, why: impl Into<String>) -> ConfigError {
    ConfigError::Value {
        what: what.into(),
        why: why.into(),
    }
}

pub(super) fn milliseconds(
    what: &str,
    given: Option<u64>,
    default: Duration,
) -> Result<Duration, ConfigError> {
    let Some(given) = given else {
        return Ok(default);
    };
    if !(1..=MAX_SECONDS * 1000).contains(&given) {
        return Err(wrong(what, "must be between 1 millisecond and one day"));
    }
    Ok(Duration::from_millis(given))
}

pub(super) fn seconds(
    what: &str,
    given: Option<u64>,
    default: u64,
) -> Result<Duration, ConfigError> {
    let given = given.unwrap_or(default);
    if !(1..=MAX_SECONDS).contains(&given) {
        return Err(wrong(what, "must be between 1 second and one day"));
    }
    Ok(Duration::from_secs(given))
}

pub(super) fn count(what: &str, given: Option<u32>, default: u32) -> Result<u32, ConfigError> {
    let given = given.unwrap_or(default);
    if given == 0 {
        return Err(wrong(what, "must be at least 1"));
    }
    Ok(given)
}

pub(super) fn http_url(what: String, url: Url) -> Result<Url, ConfigError> {
    if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
        return Err(wrong(what, "must be an http or https URL"));
    }
    Ok(url)
}

pub(super) fn read_text(what: &'static str, path: &Path) -> Result<String, ConfigError> {
    let unreadable = |source| ConfigError::Read {
        what,
        path: path.to_owned(),
        source,
    };
    let file = fs::File::open(path).map_err(unreadable)?;
    let mut text = String::new();
    file.take(MAX_FILE_BYTES + 1)
        .read_to_string(&mut text)
        .map_err(unreadable)?;
    if u64::try_from(text.len()).is_ok_and(|length| length > MAX_FILE_BYTES) {
        return Err(ConfigError::Size {
            what,
            path: path.to_owned(),
        });
    }
    Ok(text)
}

/// A secret file: its text without the newline editors add.
pub(super) fn read_secret(what: &'static str, path: &Path) -> Result<SecretString, ConfigError> {
    let text = read_text(what, path)?;
    Ok(SecretString::from(
        text.trim_end_matches(['\r', '\n']).to_owned(),
    ))
}

pub(super) fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Names are parts of account names and of rows: short and plain.
pub(crate) fn plain_name(name: &str) -> bool {
    (1..=MAX_NAME_BYTES).contains(&name.len())
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
}
