//! What the partner's hub sends: a burn has changed.
//!
//! ```json
//! { "eventId": "…", "eventTime": "…", "eventType": "LoyaltyBurnStateChangeEvent",
//!   "event": { "loyaltyBurn": { "id": "our reference", "status": "completed" } } }
//! ```
//!
//! Anybody can send such a thing. It says only *which* debit to ask the partner about now; what
//! became of it is what the inquiry says. At most [`MAX_NOTICE_BYTES`].

use crate::{Reference, Unknown};
use serde::Deserialize;

/// Largest notification, in bytes.
pub const MAX_NOTICE_BYTES: usize = 16 * 1024;
/// What the types of all events of burns begin with: created, changed, in another state.
const BURN_EVENTS: &str = "LoyaltyBurn";

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Notice {
    event_type: String,
    event: Event,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Event {
    loyalty_burn: Option<Burn>,
}

#[derive(Deserialize)]
struct Burn {
    id: String,
}

/// Which debit a notification is about; none if it is about something else, or a burn that cannot be
/// ours.
pub fn reference(body: &[u8]) -> Result<Option<Reference>, Unknown> {
    let wrong = |why: &str| Unknown(format!("a notification {why}"));
    if body.len() > MAX_NOTICE_BYTES {
        return Err(wrong("that is too long"));
    }
    let notice: Notice = serde_json::from_slice(body).map_err(|_| wrong("that makes no sense"))?;
    if !notice.event_type.starts_with(BURN_EVENTS) {
        return Ok(None);
    }
    let burn = notice.event.loyalty_burn;
    let burn = burn.ok_or_else(|| wrong("of a burn without the burn"))?;
    Ok(Reference::new(burn.id).ok())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_notice_only_names_a_debit() {
        let body = |kind: &str, id: &str| {
            format!(
                r#"{{"eventId":"1","eventType":"{kind}","event":{{"loyaltyBurn":{{"id":"{id}","status":"completed"}}}}}}"#
            )
        };
        let good = body("LoyaltyBurnStateChangeEvent", "conv_1");
        let ours = Some(Reference::new("conv_1").unwrap());
        assert_eq!(reference(good.as_bytes()).unwrap(), ours);
        let long = vec![b' '; MAX_NOTICE_BYTES + 1];
        for other in [
            body("LoyaltyEarnCreateEvent", "conv_1"),
            body("LoyaltyBurnStateChangeEvent", "../x"),
        ] {
            assert_eq!(reference(other.as_bytes()).unwrap(), None, "{other}");
        }
        for bad in [
            "{}",
            "",
            "[]",
            r#"{"eventType":"LoyaltyBurnCreateEvent","event":{}}"#,
        ] {
            assert!(reference(bad.as_bytes()).is_err(), "{bad}");
        }
        assert!(reference(&long).is_err());
    }
}
