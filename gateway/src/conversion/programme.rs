//! A programme whose miles can be converted.

use crate::config::{AdapterConfig, ProgrammeConfig};
use crate::units::Rate;
use mileverse_adapters::airline::Airline;
use mileverse_adapters::{Adapter, SetupError};
use std::sync::Arc;

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
    /// Its partner.
    pub adapter: Arc<dyn Adapter>,
}

impl Programme {
    /// Sets a programme up from its configuration.
    pub fn new(config: ProgrammeConfig) -> Result<Self, SetupError> {
        let adapter: Arc<dyn Adapter> = match config.adapter {
            AdapterConfig::Airline(airline) => Arc::new(Airline::new(airline)?),
            AdapterConfig::Partner(partner) => partner.build()?,
        };
        Ok(Self {
            name: config.name,
            rate: config.rate,
            minimum_miles: config.minimum_miles,
            maximum_miles: config.maximum_miles,
            adapter,
        })
    }
}
