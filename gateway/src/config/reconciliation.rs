//! When and how strictly partner, journal and chain are set beside each other.

use super::ConfigError;
use super::read::within;
use crate::reconcile::run::Rules as Reconciliation;
use serde::Deserialize;
use std::time::Duration;

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ReconciliationFile {
    after_minutes: Option<u32>,
    cut_off_minutes: Option<u32>,
}

impl ReconciliationFile {
    pub(super) fn check(self) -> Result<Reconciliation, ConfigError> {
        let (after, cut_off) = (
            within(
                "reconciliation.after_minutes",
                self.after_minutes,
                240,
                60 * 24,
            )?,
            within(
                "reconciliation.cut_off_minutes",
                self.cut_off_minutes,
                60,
                60 * 12,
            )?,
        );
        let minutes = |many: u32| Duration::from_secs(u64::from(many).saturating_mul(60));
        Ok(Reconciliation {
            after: minutes(after),
            cut_off: minutes(cut_off),
        })
    }
}
