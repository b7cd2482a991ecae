//! Several senders of one lane as one: what they are doing, and which of them can take more.

use super::{Sender, Settled};
use crate::{Error, chain::Ledger};
use std::collections::HashSet;

/// What the senders of a lane are doing.
#[derive(Debug, Default)]
pub(crate) struct Desk {
    /// Senders that can take a transaction, by their place; who can take several stands there as
    /// often.
    pub(crate) idle: Vec<usize>,
    /// What is under way: packets, or swaps.
    pub(crate) reserved: HashSet<u64>,
    /// Transactions whose outcome is known since this look.
    pub(crate) settled: Vec<Settled>,
    /// What is wrong, if no sender is well.
    pub(crate) trouble: Option<Error>,
}

/// Sees to what was sent. A sender that is in trouble does not stop the others.
pub(crate) async fn drive(senders: &[Sender], ledger: &impl Ledger) -> Result<Desk, Error> {
    let mut desk = Desk::default();
    let mut trouble = None;
    let mut well = 0usize;
    let mut free = Vec::with_capacity(senders.len());
    for (place, sender) in senders.iter().enumerate() {
        let driven = match sender.drive(ledger).await {
            Ok(driven) => driven,
            Err(error) if error.passes() => {
                tracing::warn!(account = %sender.account(), %error, "a sender is in trouble");
                desk.reserved.extend(sender.unsettled().await?);
                trouble = Some(error);
                continue;
            }
            Err(error) => return Err(error),
        };
        well = well.saturating_add(1);
        desk.reserved.extend(driven.reserved);
        free.push((place, driven.free));
        desk.settled.extend(driven.settled);
    }
    // One for each before a second for any.
    while free.iter().any(|(_, free)| *free > 0) {
        for (place, free) in &mut free {
            if let Some(fewer) = free.checked_sub(1) {
                *free = fewer;
                desk.idle.push(*place);
            }
        }
    }
    desk.trouble = trouble.filter(|_| well == 0);
    Ok(desk)
}
