//! A programme whose miles can be converted.

use super::watched::Watched;
use crate::config::{AdapterConfig, ProgrammeConfig};
use crate::units::{FeeRule, Rate};
use mileverse_adapters::airline::Airline;
use mileverse_adapters::{Adapter, SetupError};
use std::sync::Arc;
use std::time::Duration;

/// One programme, ready to use.
#[derive(Clone, Debug)]
pub struct Programme {
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
    /// Its partner.
    pub adapter: Arc<dyn Adapter>,
}

impl Programme {
    /// Sets a programme up from its configuration.
    pub fn new(config: ProgrammeConfig) -> Result<Self, SetupError> {
        let adapter: Arc<dyn Adapter> = match config.adapter {
            AdapterConfig::Airline(airline) => Arc::new(Airline::new(airline)?),
            AdapterConfig::Own(adapter) => adapter,
            AdapterConfig::Partner(partner) => partner.build()?,
        };
        let adapter = Arc::new(Watched {
            adapter,
            programme: config.name.clone(),
        });
        Ok(Self {
            name: config.name,
            rate: config.rate,
            minimum_miles: config.minimum_miles,
            maximum_miles: config.maximum_miles,
            daily_member_miles: config.daily_member_miles,
            daily_caller_miles: config.daily_caller_miles,
            fee: config.fee,
            dispute_window: config.dispute_window,
            adapter,
        })
    }

    /// The day's limits that a conversion counts towards: the name of the count, and the limit.
    pub fn daily(&self, caller: &str, member: &str) -> Vec<(String, u64)> {
        let name = &self.name;
        let member = self
            .daily_member_miles
            .map(|limit| (format!("member:{name}:{member}"), limit));
        let caller = self
            .daily_caller_miles
            .map(|limit| (format!("caller:{name}:{caller}"), limit));
        member.into_iter().chain(caller).collect()
    }
}
