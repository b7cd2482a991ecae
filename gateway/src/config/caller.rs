//! Who may call.

use super::ConfigError;
use super::read::{plain_name, wrong};
use crate::keys::{ApiKey, Scope};
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ApiKeyFile {
    pub(super) name: String,
    sha256: String,
    scopes: Vec<Scope>,
}

impl ApiKeyFile {
    pub(super) fn check(self) -> Result<ApiKey, ConfigError> {
        let what = |field: &str| format!("{field} of API key {:?}", self.name);
        if !plain_name(&self.name) {
            return Err(wrong(
                what("the name"),
                "must be 1 to 64 letters, digits, '-' or '_'",
            ));
        }
        let digest = unhex(&self.sha256)
            .ok_or_else(|| wrong(what("sha256"), "must be the 64 hex digits of a SHA-256"))?;
        if self.scopes.is_empty() {
            return Err(wrong(what("scopes"), "is empty; name at least one"));
        }
        Ok(ApiKey {
            name: self.name.into(),
            digest,
            scopes: self.scopes,
        })
    }
}

fn unhex(text: &str) -> Option<[u8; 32]> {
    let mut digest = [0u8; 32];
    if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    for (at, byte) in digest.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(2 * at..2 * at + 2)?, 16).ok()?;
    }
    Some(digest)
}
