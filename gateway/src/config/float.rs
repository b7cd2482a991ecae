//! How points are sold.

use super::ConfigError;
use super::read::{http_url, within, wrong};
use crate::conversion::ask::parse_receiver;
use crate::float::price::PriceRules;
use alloy::primitives::Address;
use serde::Deserialize;
use std::time::Duration;
use url::Url;

/// How points are sold to prepaid partners.
#[derive(Clone, Debug)]
pub struct FloatConfig {
    /// JSON-RPC endpoint of Ethereum.
    pub ethereum_rpc_url: Url,
    /// The network that it must be of.
    pub ethereum_chain_id: u64,
    /// Who is paid.
    pub pay_to: Address,
    /// How long a top-up waits for its payment.
    pub payment: Duration,
    /// A node of the native chain, if its pool says what an MVC is worth in points; without it all is recorded.
    pub pool: Option<Url>,
    /// What prices may be based on.
    pub rules: PriceRules,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FloatFile {
    ethereum_rpc_url: Url,
    ethereum_chain_id: u64,
    pay_to: String,
    payment_hours: Option<u32>,
    price_maximum_age_minutes: Option<u32>,
    average_minimum_days: Option<u32>,
    price: Option<String>,
}

impl FloatFile {
    pub(super) fn check(self, native: &Url) -> Result<FloatConfig, ConfigError> {
        let pool = match self.price.as_deref() {
            None | Some("recorded") => None,
            Some("pool") => Some(native.clone()),
            Some(_) => return Err(wrong("float.price", "must be \"recorded\" or \"pool\"")),
        };
        let pay_to = parse_receiver(&self.pay_to)
            .map_err(|error| wrong("float.pay_to", format!("cannot be paid: {error}")))?;
        let hours = within("float.payment_hours", self.payment_hours, 24, 24 * 30)?;
        let age = within(
            "float.price_maximum_age_minutes",
            self.price_maximum_age_minutes,
            60,
            60 * 24 * 7,
        )?;
        let minimum_days = within(
            "float.average_minimum_days",
            self.average_minimum_days,
            90,
            92,
        )?;
        Ok(FloatConfig {
            ethereum_rpc_url: http_url("float.ethereum_rpc_url".to_owned(), self.ethereum_rpc_url)?,
            ethereum_chain_id: self.ethereum_chain_id,
            pay_to,
            payment: Duration::from_secs(u64::from(hours).saturating_mul(3600)),
            pool,
            rules: PriceRules {
                maximum_age_ms: i64::from(age).saturating_mul(60_000),
                minimum_days,
            },
        })
    }
}
