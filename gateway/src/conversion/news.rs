//! What a partner is told about its conversions: that one is settled.
//!
//! No member and no receiver is in it: whoever may know looks the conversion up.

use super::moves::Move;
use super::state::State;
use crate::store::Connection;
use crate::store::conversions::{Change, Conversion};
use crate::webhook::{self, Kind, News};
use serde_json::{Value, json};

const fn kind(from: State, to: State) -> Option<Kind> {
    match to {
        State::Completed if matches!(from, State::Disputed) => Some(Kind::ConversionDisputeRefused),
        State::Returned => Some(Kind::ConversionReturned),
        State::Completed => Some(Kind::ConversionCompleted),
        State::Refused => Some(Kind::ConversionRefused),
        State::Reversed => Some(Kind::ConversionReversed),
        State::Attention => Some(Kind::ConversionAttention),
        State::Created
        | State::Debiting
        | State::DebitUnknown
        | State::Debited
        | State::Issuing
        | State::Disputed
        | State::Reversing => None,
    }
}

/// Tells of those moves that settle their conversions, in the transaction that makes them.
pub async fn tell(
    connection: &mut Connection,
    moved: &[&Move],
    now: i64,
) -> Result<(), sqlx::Error> {
    let mut news = Vec::new();
    for step in moved {
        let (conversion, to) = (&step.conversion, step.to);
        if let Some(kind) = kind(conversion.state, to) {
            news.push(News {
                partner: &conversion.partner,
                kind,
                subject: &conversion.id,
                data: data(conversion, to, &step.change)?,
                trace: step.trace.clone(),
            });
        }
    }
    webhook::announce(connection, news, now).await
}

fn data(conversion: &Conversion, to: State, change: &Change) -> Result<Value, sqlx::Error> {
    let reason = match &change.reason {
        Some((code, message)) => Some((*code, message.as_str())),
        None => conversion
            .reason_code
            .as_deref()
            .zip(conversion.reason.as_deref()),
    };
    let hash = change
        .issue_hash
        .as_ref()
        .or(conversion.issue_hash.as_ref());
    Ok(json!({
        "id": conversion.id,
        "state": to.name(),
        "final": to.is_final(),
        "quote_id": conversion.quote_id,
        "programme": conversion.programme,
        "miles": conversion.miles.to_string(),
        "reference": conversion.reference,
        "points": conversion.received()?.to_string(),
        "points_micro": conversion.received()?.0.to_string(),
        "transaction_hash": hash,
        "reason": reason.map(|(code, message)| json!({ "code": code, "message": message })),
    }))
}
