//! What can be converted, and which partner is asked for it.

use super::ConfigError;
use super::read::{http_url, milliseconds, plain_name, read_secret, wrong};
use crate::units::{BASIS_POINTS, FeeRule, MAX_AMOUNT, Payer, Rate, RateError, parse_rate};
use mileverse_adapters::airline::AirlineConfig;
use mileverse_adapters::{Adapter, PartnerConfig, PartnerKind};
use serde::Deserialize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use url::Url;

const DISPUTE_DAYS: u32 = 14;
const MAX_DISPUTE_DAYS: u32 = 366;

/// One programme whose miles can be converted.
#[derive(Clone, Debug)]
pub struct ProgrammeConfig {
    /// Its name in the API.
    pub name: String,
    /// Points per mile.
    pub rate: Rate,
    /// Fewest miles in one conversion.
    pub minimum_miles: u64,
    /// Most miles in one conversion.
    pub maximum_miles: u64,
    /// Most miles of one member in a UTC day.
    pub daily_member_miles: Option<u64>,
    /// Most miles of one caller in a UTC day.
    pub daily_caller_miles: Option<u64>,
    /// What is taken for a conversion.
    pub fee: FeeRule,
    /// For so long after it was made a completed conversion can be disputed.
    pub dispute_window: Duration,
    /// How its partner is spoken to.
    pub adapter: AdapterConfig,
}

/// The adapters there are.
#[derive(Clone, Debug)]
pub enum AdapterConfig {
    /// JSON over OAuth 2.0.
    Airline(AirlineConfig),
    /// One that was made elsewhere: for measurements, and for who embeds the gateway.
    Own(Arc<dyn Adapter>),
    /// Whatever the partner's own file says.
    Partner(PartnerConfig),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ProgrammeFile {
    pub(super) name: String,
    adapter: String,
    base_url: Option<Url>,
    client_id: Option<String>,
    client_secret_file: Option<PathBuf>,
    partner_file: Option<PathBuf>,
    points_per_mile: String,
    minimum_miles: u64,
    maximum_miles: u64,
    daily_member_miles: Option<u64>,
    daily_caller_miles: Option<u64>,
    fee_basis_points: Option<u32>,
    fee_payer: Option<String>,
    dispute_days: Option<u32>,
    timeout_milliseconds: Option<u64>,
    visibility_milliseconds: Option<u64>,
}

impl ProgrammeFile {
    pub(super) fn check(self, folder: &Path) -> Result<ProgrammeConfig, ConfigError> {
        let what = |field: &str| format!("{field} of programme {:?}", self.name);
        if !plain_name(&self.name) {
            return Err(wrong(
                what("the name"),
                "must be 1 to 64 letters, digits, '-' or '_'",
            ));
        }
        let rate = parse_rate(&self.points_per_mile).map_err(|error: RateError| {
            wrong(what("points_per_mile"), format!("cannot be used: {error}"))
        })?;
        if self.minimum_miles == 0 || self.minimum_miles > self.maximum_miles {
            return Err(wrong(
                what("minimum_miles"),
                "must be at least 1 and not above maximum_miles",
            ));
        }
        if self.maximum_miles > MAX_AMOUNT || rate.points(self.maximum_miles).is_none() {
            return Err(wrong(
                what("maximum_miles"),
                "is more than can be counted at this rate; lower it",
            ));
        }
        let fee = FeeRule {
            basis_points: self.fee_basis_points.unwrap_or(0),
            payer: match self.fee_payer.as_deref() {
                None => Payer::Member,
                Some(name) => Payer::parse(name)
                    .ok_or_else(|| wrong(what("fee_payer"), "must be \"member\" or \"partner\""))?,
            },
        };
        if fee.basis_points >= BASIS_POINTS {
            return Err(wrong(
                what("fee_basis_points"),
                format!("must be below {BASIS_POINTS}"),
            ));
        }
        let dispute_days = self.dispute_days.unwrap_or(DISPUTE_DAYS);
        if dispute_days > MAX_DISPUTE_DAYS {
            let why = format!("must be at most {MAX_DISPUTE_DAYS}");
            return Err(wrong(what("dispute_days"), why));
        }
        let adapter = self.adapter(folder)?;
        Ok(ProgrammeConfig {
            rate,
            minimum_miles: self.minimum_miles,
            maximum_miles: self.maximum_miles,
            daily_member_miles: self.daily_member_miles,
            daily_caller_miles: self.daily_caller_miles,
            fee,
            dispute_window: Duration::from_secs(u64::from(dispute_days).saturating_mul(86_400)),
            adapter,
            name: self.name,
        })
    }
}

impl ProgrammeFile {
    /// The adapter: the airline's settings stand here, the others' in a file of the partner's own.
    fn adapter(&self, folder: &Path) -> Result<AdapterConfig, ConfigError> {
        let what = |field: &str| format!("{field} of programme {:?}", self.name);
        let missing = |field: &str| wrong(what(field), "is missing");
        if self.adapter == "airline" {
            if self.partner_file.is_some() {
                return Err(wrong(
                    what("partner_file"),
                    "does not go with adapter \"airline\"; remove it",
                ));
            }
            let base_url = self.base_url.clone().ok_or_else(|| missing("base_url"))?;
            let client_id = self.client_id.clone().ok_or_else(|| missing("client_id"))?;
            let secret_file = self.client_secret_file.as_ref();
            let secret_file = secret_file.ok_or_else(|| missing("client_secret_file"))?;
            return Ok(AdapterConfig::Airline(AirlineConfig {
                base_url: http_url(what("base_url"), base_url)?,
                client_id,
                client_secret: read_secret("the client secret file", &folder.join(secret_file))?,
                timeout: milliseconds(
                    &what("timeout_milliseconds"),
                    self.timeout_milliseconds,
                    Duration::from_secs(5),
                )?,
                visibility_window: milliseconds(
                    &what("visibility_milliseconds"),
                    self.visibility_milliseconds,
                    Duration::from_secs(30),
                )?,
            }));
        }
        let kind = PartnerKind::named(&self.adapter).ok_or_else(|| {
            let why = format!(
                "is {:?}, which there is not; use \"airline\", \"card\", \"telecom\" or \"template\"",
                self.adapter
            );
            wrong(what("adapter"), why)
        })?;
        for (field, given) in [
            ("base_url", self.base_url.is_some()),
            ("client_id", self.client_id.is_some()),
            ("client_secret_file", self.client_secret_file.is_some()),
            ("timeout_milliseconds", self.timeout_milliseconds.is_some()),
            (
                "visibility_milliseconds",
                self.visibility_milliseconds.is_some(),
            ),
        ] {
            if given {
                return Err(wrong(what(field), "belongs into the partner_file"));
            }
        }
        let file = self
            .partner_file
            .as_ref()
            .ok_or_else(|| missing("partner_file"))?;
        let config = PartnerConfig::read(kind, &folder.join(file))?;
        Ok(AdapterConfig::Partner(config))
    }
}
