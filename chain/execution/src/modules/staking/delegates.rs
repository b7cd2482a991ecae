//! Who the delegates are, for other modules.

use super::{candidate, committee, refusal::Refusal};
use crate::modules::{host::Fault, ledger::Ledger};
use alloy::primitives::Address;

/// The delegates of an epoch, as numbers of candidates, in the committee's order.
pub(crate) fn of_epoch(ledger: &mut impl Ledger, epoch: u64) -> Result<Vec<u64>, Fault> {
    let committee = committee::get(ledger, epoch)?.ok_or(Refusal::UnknownEpoch(epoch))?;
    (0..committee.size)
        .map(|position| committee.id(ledger, position))
        .collect()
}

/// The candidate that an owner has.
pub(crate) fn number(ledger: &mut impl Ledger, owner: Address) -> Result<Option<u64>, Fault> {
    candidate::by_owner(ledger, owner)
}
