//! The genesis file's rules of the bridge: who may stop it, who may open it again, and how much may
//! cross. `docs/bridge.md` says what each rule does.
//!
//! Amounts are in the token's smallest unit, times in seconds. The defaults name nobody and limit
//! nothing: such a net can neither be stopped nor limited later.

use crate::{abi::IValves, address, genesis::GenesisError};
use alloy::primitives::{Address, aliases::U96};
use serde::{Deserialize, Serialize};
use std::ops::RangeInclusive;

/// The governor's delay, seconds: one hour to thirty days.
pub const DELAY_SECONDS: RangeInclusive<u32> = 3_600..=30 * 24 * 3_600;
/// Longest delay of a large transfer, seconds: seven days.
pub const MAX_HOLD_SECONDS: u32 = 7 * 24 * 3_600;

/// The rules of the bridge.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct BridgeRules {
    /// Stops, at once; can do nothing else. Zero is nobody.
    pub guardian: Address,
    /// Opens again and sets limits, after the delay. Zero is nobody.
    pub governor: Address,
    /// Seconds between the governor's announcing and doing.
    pub delay_seconds: u32,
    /// MVP's limits.
    pub points: Limits,
    /// MVC's limits.
    pub coin: Limits,
}

/// What one token may do. A limit of 2^96 - 1 is none.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct Limits {
    /// Sent in one hour of block time.
    pub send_per_hour: U96,
    /// Sent in one UTC day of block time.
    pub send_per_day: U96,
    /// Received in one hour.
    pub receive_per_hour: U96,
    /// Received in one day.
    pub receive_per_day: U96,
    /// Transfers here of as much or more wait first.
    pub large_from: U96,
    /// So long.
    pub hold_seconds: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            send_per_hour: U96::MAX,
            send_per_day: U96::MAX,
            receive_per_hour: U96::MAX,
            receive_per_day: U96::MAX,
            large_from: U96::MAX,
            hold_seconds: 0,
        }
    }
}

impl Default for BridgeRules {
    fn default() -> Self {
        Self {
            guardian: Address::ZERO,
            governor: Address::ZERO,
            delay_seconds: 2 * 24 * 3_600,
            points: Limits::default(),
            coin: Limits::default(),
        }
    }
}

impl From<Limits> for IValves::Limits {
    fn from(limits: Limits) -> Self {
        Self {
            sendPerHour: limits.send_per_hour,
            sendPerDay: limits.send_per_day,
            receivePerHour: limits.receive_per_hour,
            receivePerDay: limits.receive_per_day,
            largeFrom: limits.large_from,
            holdSeconds: limits.hold_seconds,
        }
    }
}

impl BridgeRules {
    /// The rules that a file must keep.
    pub(crate) fn check(&self) -> Result<(), GenesisError> {
        if !DELAY_SECONDS.contains(&self.delay_seconds) {
            return Err(GenesisError::Range(
                "bridge.delaySeconds (3,600 to 2,592,000)",
            ));
        }
        for limits in [self.points, self.coin] {
            if limits.hold_seconds > MAX_HOLD_SECONDS {
                return Err(GenesisError::Range(
                    "bridge holdSeconds (at most 604,800 for each token)",
                ));
            }
        }
        for role in [self.guardian, self.governor] {
            if address::is_native_code(role) {
                return Err(GenesisError::BridgeRole(role));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn rules_out_of_range_are_refused() {
        let rules = BridgeRules::default();
        assert_eq!(rules.check(), Ok(()));
        for delay_seconds in [0, 3_599, 2_592_001] {
            let rules = BridgeRules {
                delay_seconds,
                ..rules
            };
            assert!(matches!(rules.check(), Err(GenesisError::Range(_))));
        }
        let coin = Limits {
            hold_seconds: MAX_HOLD_SECONDS + 1,
            ..Limits::default()
        };
        assert!(BridgeRules { coin, ..rules }.check().is_err());
        let guardian = address::BRIDGE;
        assert_eq!(
            BridgeRules { guardian, ..rules }.check(),
            Err(GenesisError::BridgeRole(guardian))
        );
    }

    #[test]
    fn rules_are_read_by_their_names() {
        let text = r#"{"guardian":"0x00000000000000000000000000000000000000aa",
            "points":{"sendPerHour":"1000","holdSeconds":60}}"#;
        let rules: BridgeRules = serde_json::from_str(text).unwrap();
        assert_eq!(rules.guardian, Address::with_last_byte(0xaa));
        assert_eq!(rules.points.send_per_hour, U96::from(1000));
        assert_eq!(rules.points.hold_seconds, 60);
        assert_eq!(rules.coin, Limits::default());
        let written = serde_json::to_string(&rules).unwrap();
        assert_eq!(
            serde_json::from_str::<BridgeRules>(&written).unwrap(),
            rules
        );
        assert!(serde_json::from_str::<BridgeRules>(r#"{"owner":1}"#).is_err());
    }
}
