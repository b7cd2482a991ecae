//! What wallets that the gateway keeps may do.

use super::ConfigError;
use super::read::wrong;
use crate::custody::Rules as Custody;
use crate::units::{MAX_AMOUNT, MicroPoints};
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CustodyFile {
    daily_member_points: Option<String>,
    daily_partner_points: Option<String>,
}

impl CustodyFile {
    pub(super) fn check(self) -> Result<Custody, ConfigError> {
        let points = |what: &str, given: Option<String>| {
            let Some(text) = given else {
                return Ok(None);
            };
            let points: Result<MicroPoints, _> = text.parse();
            match points {
                Ok(points) if points.0 > 0 && points.0 <= MAX_AMOUNT => Ok(Some(points)),
                _ => Err(wrong(
                    format!("custody.{what}"),
                    "must be MVP above zero, as a decimal in quotes",
                )),
            }
        };
        Ok(Custody {
            daily_member: points("daily_member_points", self.daily_member_points)?,
            daily_partner: points("daily_partner_points", self.daily_partner_points)?,
            ..Custody::default()
        })
    }
}
