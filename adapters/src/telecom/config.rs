//! The telecom's configuration file.
//!
//! ```toml
//! base_url = "https://telecom.example/tmf-api/loyaltyManagement/v1"
//! client_id = "mileverse-gateway"        # OAuth 2.0 client credentials …
//! client_secret_file = "telecom.secret"
//! # api_key_file = "telecom.key"         # … or a key instead, in the header api_key_header
//! # api_key_header = "x-api-key"         # optional
//! units = "miles"                        # optional: of quantities
//! product = "points-exchange"            # optional: loyaltyProgramProduct of a burn
//! timeout_milliseconds = 5000            # optional: one call
//! visibility_milliseconds = 30000        # optional: how long "not found" proves nothing
//! ```

use crate::http::Credentials;
use crate::settings::{SettingsError, SettingsFile};
use reqwest::header::HeaderName;
use serde::Deserialize;
use std::path::PathBuf;
use std::time::Duration;
use url::Url;

/// Everything the telecom adapter runs on.
#[derive(Clone, Debug)]
pub struct TelecomConfig {
    pub(super) base_url: Url,
    pub(super) credentials: Credentials,
    pub(super) units: String,
    pub(super) product: String,
    pub(super) timeout: Duration,
    pub(super) visibility_window: Duration,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TelecomFile {
    base_url: Url,
    client_id: Option<String>,
    client_secret_file: Option<PathBuf>,
    api_key_file: Option<PathBuf>,
    api_key_header: Option<String>,
    units: Option<String>,
    product: Option<String>,
    timeout_milliseconds: Option<u64>,
    visibility_milliseconds: Option<u64>,
}

/// Reads the file.
pub fn read(file: &SettingsFile) -> Result<TelecomConfig, SettingsError> {
    let telecom: TelecomFile = file.parse()?;
    let credentials = match (
        telecom.client_id,
        telecom.client_secret_file,
        telecom.api_key_file,
    ) {
        (Some(client_id), Some(secret), None) => Credentials::OAuth {
            path: "oauth/token".to_owned(),
            client_id,
            client_secret: file.secret(&secret)?,
        },
        (None, None, Some(key)) => {
            let header = telecom.api_key_header.as_deref().unwrap_or("x-api-key");
            let header: HeaderName = header
                .parse()
                .map_err(|_| file.wrong("api_key_header", "is not a header's name"))?;
            Credentials::ApiKey {
                header,
                key: file.secret(&key)?,
            }
        }
        _ => {
            let why = "must be given with client_secret_file, or api_key_file instead of both";
            return Err(file.wrong("client_id", why));
        }
    };
    let name = |field: &str, name: String| {
        if name.is_empty() || name.len() > 64 {
            return Err(file.wrong(field, "must be 1 to 64 bytes"));
        }
        Ok(name)
    };
    Ok(TelecomConfig {
        base_url: file.http_url("base_url", telecom.base_url)?,
        credentials,
        units: name("units", telecom.units.unwrap_or_else(|| "miles".to_owned()))?,
        product: name(
            "product",
            telecom
                .product
                .unwrap_or_else(|| "points-exchange".to_owned()),
        )?,
        timeout: file.milliseconds(
            "timeout_milliseconds",
            telecom.timeout_milliseconds,
            Duration::from_secs(5),
        )?,
        visibility_window: file.milliseconds(
            "visibility_milliseconds",
            telecom.visibility_milliseconds,
            Duration::from_secs(30),
        )?,
    })
}
