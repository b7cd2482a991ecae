//! How the quarterly rewards are seen to.

use super::ConfigError;
use super::read::{http_url, read_secret, read_text, within, wrong};
use crate::conversion::ask::parse_receiver;
use crate::rewards::{MAX_CUSTODIAL, Rules as RewardRules};
use secrecy::SecretString;
use serde::Deserialize;
use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::time::Duration;
use url::Url;

/// How the quarterly rewards are seen to.
#[derive(Clone, Debug)]
pub struct RewardsConfig {
    /// JSON-RPC endpoint of Ethereum.
    pub ethereum_rpc_url: Url,
    /// The network that it must be of.
    pub ethereum_chain_id: u64,
    /// V3 keystore of the account that pays for gas there.
    pub keystore: PathBuf,
    /// Its password.
    pub password: SecretString,
    /// Whom to claim for, and when a quarter is late.
    pub rules: RewardRules,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RewardsFile {
    ethereum_rpc_url: Url,
    ethereum_chain_id: u64,
    keystore: PathBuf,
    password_file: PathBuf,
    #[serde(default)]
    custodial: Vec<String>,
    custodial_file: Option<PathBuf>,
    max_fee_gwei: Option<u32>,
    close_late_minutes: Option<u32>,
    open_late_hours: Option<u32>,
    forward_late_hours: Option<u32>,
    claim_late_hours: Option<u32>,
    pay_late_hours: Option<u32>,
}

impl RewardsFile {
    pub(super) fn check(self, folder: &Path) -> Result<RewardsConfig, ConfigError> {
        const MOST_HOURS: u32 = 24 * 60;
        let mut listed = self.custodial;
        if let Some(file) = &self.custodial_file {
            let text = read_text("the list of custodial holders", &folder.join(file))?;
            let lines = text.lines().map(str::trim);
            listed.extend(lines.filter(|line| !line.is_empty()).map(str::to_owned));
        }
        let mut custodial = Vec::new();
        let mut known = HashSet::new();
        for text in listed {
            let holder = parse_receiver(&text)
                .map_err(|error| wrong("rewards.custodial", format!("has {text:?}: {error}")))?;
            if known.insert(holder) {
                custodial.push(holder);
            }
        }
        if custodial.len() > MAX_CUSTODIAL {
            let why = format!("has more than {MAX_CUSTODIAL} holders");
            return Err(wrong("rewards.custodial", why));
        }
        let default = RewardRules::default();
        let late = |what: &str, given: Option<u32>, unit: u64, default: Duration, most: u32| {
            let what = format!("rewards.{what}");
            match given {
                None => Ok(default),
                some => within(&what, some, most, most)
                    .map(|many| Duration::from_secs(u64::from(many).saturating_mul(unit))),
            }
        };
        let hours = |what, given, default| late(what, given, 3_600, default, MOST_HOURS);
        let gwei = within("rewards.max_fee_gwei", self.max_fee_gwei, 200, 1_000_000)?;
        Ok(RewardsConfig {
            ethereum_rpc_url: http_url(
                "rewards.ethereum_rpc_url".to_owned(),
                self.ethereum_rpc_url,
            )?,
            ethereum_chain_id: self.ethereum_chain_id,
            keystore: folder.join(self.keystore),
            password: read_secret(
                "the password file for rewards",
                &folder.join(self.password_file),
            )?,
            rules: RewardRules {
                custodial,
                max_fee: u64::from(gwei).saturating_mul(1_000_000_000),
                close: late(
                    "close_late_minutes",
                    self.close_late_minutes,
                    60,
                    default.close,
                    60 * 24,
                )?,
                open: hours("open_late_hours", self.open_late_hours, default.open)?,
                forward: hours(
                    "forward_late_hours",
                    self.forward_late_hours,
                    default.forward,
                )?,
                claim: hours("claim_late_hours", self.claim_late_hours, default.claim)?,
                pay: hours("pay_late_hours", self.pay_late_hours, default.pay)?,
                ..default
            },
        })
    }
}
