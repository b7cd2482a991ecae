//! Results: which digests are final, who attested them, and who attested another.
//!
//! The digests of attested heights (multiples of the interval) are kept in a ring that spans the
//! last two epochs. A block learns the digest of the height below it as its parent.

use super::{
    Context, RESULTS,
    committee::{self, Committee},
    word::broken,
};
use crate::modules::{host::Fault, ledger::Ledger, slot::Slot};
use alloy::primitives::{B256, U256};
use mileverse_primitives::vote::Attestation;

/// Most attestations in a block.
pub(super) const MAX_ATTESTATIONS: usize = 128;
/// Heights that a block takes attestations for, in intervals.
const WINDOW_INTERVALS: u64 = 4;

fn place(context: &Context<'_>, height: u64) -> Slot {
    let interval = context.rules.attestation_interval.max(1);
    let ring = (context.epoch_blocks.saturating_mul(2) / interval).saturating_add(2);
    RESULTS.entry((height / interval) % ring)
}

fn is_attested(context: &Context<'_>, height: u64) -> bool {
    height > 0 && height.is_multiple_of(context.rules.attestation_interval)
}

/// Keeps the digest of a final block, if its height is attested.
pub(super) fn learn(
    ledger: &mut impl Ledger,
    context: &Context<'_>,
    height: u64,
    digest: B256,
) -> Result<(), Fault> {
    if !is_attested(context, height) {
        return Ok(());
    }
    let place = place(context, height);
    ledger.store(place, digest.into())?;
    ledger.store(place.field(1), U256::from(height))?;
    ledger.store(place.field(2), U256::ZERO)
}

/// The final digest of an attested height, if it is kept.
pub(super) fn digest(
    ledger: &mut impl Ledger,
    context: &Context<'_>,
    height: u64,
) -> Result<Option<B256>, Fault> {
    if !is_attested(context, height) {
        return Ok(None);
    }
    let place = place(context, height);
    let stored = ledger.load(place.field(1))?;
    Ok(if stored == U256::from(height) {
        Some(ledger.load(place)?.into())
    } else {
        None
    })
}

/// Counts a block's attestations. Signatures were checked before.
pub(super) fn count(
    ledger: &mut impl Ledger,
    context: &Context<'_>,
    height: u64,
    current: Committee,
    attestations: &[Attestation],
) -> Result<(), Fault> {
    if attestations.len() > MAX_ATTESTATIONS {
        return Err(Fault::revert(format!(
            "a block holds at most {MAX_ATTESTATIONS} attestations"
        )));
    }
    if !attestations.is_sorted_by_key(|one| (one.height, one.delegate)) {
        return Err(Fault::revert(
            "the attestations are not in the order of height and delegate",
        ));
    }
    for attestation in attestations {
        count_one(ledger, context, height, current, attestation)?;
    }
    Ok(())
}

fn count_one(
    ledger: &mut impl Ledger,
    context: &Context<'_>,
    height: u64,
    current: Committee,
    attestation: &Attestation,
) -> Result<(), Fault> {
    let refuse = |reason: &str| {
        Fault::revert(format!(
            "the attestation of height {} by {} {reason}",
            attestation.height, attestation.delegate
        ))
    };
    let window = context
        .rules
        .attestation_interval
        .saturating_mul(WINDOW_INTERVALS);
    let epoch = context.epoch_of(attestation.height);
    if attestation.height >= height
        || attestation.height < height.saturating_sub(window)
        || epoch.saturating_add(1) < current.epoch
    {
        return Err(refuse("is out of the window"));
    }
    if attestation.epoch != epoch {
        return Err(refuse("names another epoch than the height's"));
    }
    let Some(digest) = digest(ledger, context, attestation.height)? else {
        return Err(refuse("is of a height that is not attested"));
    };
    if attestation.digest != digest {
        return Err(refuse("is of another digest than the final one"));
    }
    let members = committee::get(ledger, epoch)?.ok_or_else(broken)?;
    let Some(position) = members.position(ledger, attestation.delegate)? else {
        return Err(refuse("is by nobody of that epoch's committee"));
    };
    let seen_place = place(context, attestation.height).field(2);
    let seen = ledger.load(seen_place)?;
    let bit = usize::try_from(position).map_err(|_| broken())?;
    if seen.bit(bit) {
        return Err(refuse("was counted before"));
    }
    ledger.store(seen_place, seen | (U256::ONE << bit))?;
    // It counts in the epoch in which it comes; who has left that committee has no record there.
    let here = if epoch == current.epoch {
        Some(position)
    } else {
        current.position(ledger, attestation.delegate)?
    };
    if let Some(position) = here {
        let mut record = current.record(ledger, position)?;
        record.valid = record.valid.saturating_add(1);
        current.set_record(ledger, position, record)?;
    }
    Ok(())
}
