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
//! hub_callback = "https://gateway.example"   # optional: where the partner's hub reaches the gateway
//! hub_secret_file = "hub.secret"         # with it: 32 to 128 letters, digits, '-' or '_'
//! hub_renew_minutes = 60                 # optional: how often the hub is asked again
//! ```

use crate::http::Credentials;
use crate::settings::{SettingsError, SettingsFile};
use reqwest::header::HeaderName;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use std::ops::RangeInclusive;
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
    pub(super) hub: Option<HubConfig>,
}

/// How the partner's hub tells the gateway of burns.
#[derive(Clone, Debug)]
pub(super) struct HubConfig {
    /// Where the hub reaches the gateway.
    pub(super) gateway: Url,
    /// Part of the callback's path: who knows it may tell.
    pub(super) secret: SecretString,
    /// How often the hub is asked again.
    pub(super) renew: Duration,
}

/// Longest and shortest secret of a callback.
const SECRET_BYTES: RangeInclusive<usize> = 32..=128;
const RENEW_MINUTES: u64 = 60;

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
    hub_callback: Option<Url>,
    hub_secret_file: Option<PathBuf>,
    hub_renew_minutes: Option<u64>,
}

fn hub(file: &SettingsFile, telecom: &TelecomFile) -> Result<Option<HubConfig>, SettingsError> {
    let (gateway, secret) = match (&telecom.hub_callback, &telecom.hub_secret_file) {
        (Some(gateway), Some(secret)) => (gateway, secret),
        (None, None) => return Ok(None),
        _ => return Err(file.wrong("hub_callback", "must be given with hub_secret_file")),
    };
    let secret = file.secret(secret)?;
    let text = secret.expose_secret();
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    if !SECRET_BYTES.contains(&text.len()) || !text.bytes().all(plain) {
        let why =
            "must hold 32 to 128 letters, digits, '-' or '_', such as openssl rand -hex 32 makes";
        return Err(file.wrong("hub_secret_file", why));
    }
    let minutes = telecom.hub_renew_minutes.unwrap_or(RENEW_MINUTES);
    let renew = minutes.saturating_mul(60_000);
    Ok(Some(HubConfig {
        gateway: file.http_url("hub_callback", gateway.clone())?,
        secret,
        renew: file.milliseconds("hub_renew_minutes", Some(renew), Duration::ZERO)?,
    }))
}

/// Reads the file.
pub fn read(file: &SettingsFile) -> Result<TelecomConfig, SettingsError> {
    let telecom: TelecomFile = file.parse()?;
    let hub = hub(file, &telecom)?;
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
        hub,
    })
}
