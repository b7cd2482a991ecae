//! How partners are told what happened.

use super::ConfigError;
use super::read::{milliseconds, seconds, within, wrong};
use crate::webhook::deliver::Rules;
use serde::Deserialize;
use std::time::Duration;

const MAX_WEBHOOK_TIMEOUT: Duration = Duration::from_secs(60);
const MAX_PAUSES: usize = 32;

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WebhooksFile {
    timeout_milliseconds: Option<u64>,
    pauses_seconds: Option<Vec<u64>>,
    disable_after_hours: Option<u32>,
    #[serde(default)]
    allow_private_targets: bool,
}

impl WebhooksFile {
    pub(super) fn check(self) -> Result<Rules, ConfigError> {
        let default = Rules::default();
        let what = "webhooks.timeout_milliseconds";
        let timeout = milliseconds(what, self.timeout_milliseconds, default.timeout)?;
        // A claim on a job must outlast the attempt.
        if timeout > MAX_WEBHOOK_TIMEOUT {
            return Err(wrong(what, "must be at most 60000"));
        }
        let pauses = match self.pauses_seconds {
            None => default.pauses,
            Some(pauses) if pauses.len() <= MAX_PAUSES => pauses
                .into_iter()
                .map(|pause| seconds("webhooks.pauses_seconds", Some(pause), 0))
                .collect::<Result<_, _>>()?,
            Some(_) => {
                let why = format!("must be at most {MAX_PAUSES} pauses");
                return Err(wrong("webhooks.pauses_seconds", why));
            }
        };
        let what = "webhooks.disable_after_hours";
        let hours = within(what, self.disable_after_hours, 120, 24 * 90)?;
        Ok(Rules {
            timeout,
            pauses,
            patience: Duration::from_secs(u64::from(hours).saturating_mul(3600)),
            private: self.allow_private_targets,
        })
    }
}
