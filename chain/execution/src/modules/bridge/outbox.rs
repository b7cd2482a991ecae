//! The outbox in the module's storage: its size and the peaks of its frontier.
//!
//! Peak `k` covers a perfect subtree of `2^k` leaves and counts only while bit `k` of the size is
//! set; what stands at other heights is left over and overwritten later.
//!
//! How many peaks there are changes with every leaf. So that the gas of a call does not depend on
//! what others sent in between, appending costs [`FRONTIER_GAS`] once and [`LEAF_GAS`] per leaf.

use super::{BRIDGE, OUTBOX_PEAKS, OUTBOX_SIZE};
use crate::{
    error::BlockError,
    modules::host::{Fault, Host, to_u64},
    session::Session,
    state::{ReadError, StateReader},
};
use alloy::primitives::{B256, U256};
use mileverse_primitives::outbox::Frontier;

/// Reading the frontier and writing it back.
const FRONTIER_GAS: u64 = 50_000;
/// Each leaf's hashes.
const LEAF_GAS: u64 = 500;

/// Heights of the peaks of a tree of `size` leaves, largest first.
pub(super) fn heights(size: u64) -> impl Iterator<Item = u64> {
    (0..u64::from(u64::BITS))
        .rev()
        .filter(move |height| size >> height & 1 == 1)
}

/// Appends packets to the outbox.
pub(super) fn append(host: &mut Host<'_>, commitments: &[B256]) -> Result<(), Fault> {
    let leaves = LEAF_GAS.saturating_mul(commitments.len() as u64);
    host.charge(FRONTIER_GAS.saturating_add(leaves))?;
    let size = to_u64(host.load_prepaid(OUTBOX_SIZE)?)?;
    let mut peaks = Vec::new();
    for height in heights(size) {
        peaks.push(host.load_prepaid(OUTBOX_PEAKS.entry(height))?.into());
    }
    let mut frontier = Frontier::restore(size, peaks).ok_or_else(Fault::overflow)?;
    for commitment in commitments {
        frontier.append(*commitment).ok_or_else(Fault::overflow)?;
    }
    host.store_prepaid(OUTBOX_SIZE, U256::from(frontier.size()))?;
    for (height, peak) in heights(frontier.size()).zip(frontier.peaks()) {
        host.store_prepaid(OUTBOX_PEAKS.entry(height), (*peak).into())?;
    }
    Ok(())
}

/// Leaves so far.
pub(crate) async fn size<R: StateReader>(session: &mut Session<'_, R>) -> Result<u64, BlockError> {
    let word = session.load(BRIDGE, OUTBOX_SIZE.key()).await?;
    Ok(word
        .try_into()
        .map_err(|_| ReadError("the outbox size is not a number".into()))?)
}

/// The frontier as it stands.
pub(crate) async fn frontier<R: StateReader>(
    session: &mut Session<'_, R>,
) -> Result<Frontier, BlockError> {
    let size = size(session).await?;
    let mut peaks = Vec::new();
    for height in heights(size) {
        let peak = session
            .load(BRIDGE, OUTBOX_PEAKS.entry(height).key())
            .await?;
        peaks.push(peak.into());
    }
    Ok(Frontier::restore(size, peaks)
        .ok_or_else(|| ReadError("the outbox frontier does not fit its size".into()))?)
}
