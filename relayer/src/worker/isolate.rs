//! Finding out which packets of a batch are refused, with few simulations.
//!
//! Both bridges revert a whole batch for one bad packet. Halving it finds `k` bad ones among `n`
//! in about `k · log2 n` simulations. At most [`MAX_SIMULATIONS`] are made; what was not reached
//! simply waits for the next tick.

use crate::{chain::Inbox, transaction::about_gas};
use mileverse_primitives::{Address, Bytes};
use mileverse_wallet::rpc::RpcError;
use std::ops::Range;

/// Most simulations for one batch.
const MAX_SIMULATIONS: usize = 128;

/// A batch taken apart.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Isolated {
    /// Runs of packets that go through together.
    pub(super) good: Vec<Range<usize>>,
    /// Packets that are refused even alone, and why.
    pub(super) bad: Vec<(usize, String)>,
}

/// Takes a batch apart.
pub(super) async fn isolate<T: Sync>(
    ledger: &impl Inbox,
    from: Address,
    items: &[T],
    encode: &(impl Fn(&[T]) -> Bytes + Sync),
) -> Result<Isolated, RpcError> {
    let mut isolated = Isolated::default();
    let mut open: Vec<_> = std::iter::once(0..items.len()).collect();
    for _ in 0..MAX_SIMULATIONS {
        let Some(range) = open.pop() else { break };
        let Some(part) = items.get(range.clone()).filter(|part| !part.is_empty()) else {
            continue;
        };
        let reason = match ledger.simulate(from, encode(part)).await {
            Ok(()) => {
                isolated.good.push(range);
                continue;
            }
            Err(RpcError::Reverted { reason, .. }) => reason,
            Err(RpcError::Refused { message, .. }) if about_gas(&message) => message,
            Err(error) => return Err(error),
        };
        if part.len() == 1 {
            isolated.bad.push((range.start, reason));
        } else {
            let middle = range.start.midpoint(range.end);
            // The earlier half is looked at first.
            open.push(middle..range.end);
            open.push(range.start..middle);
        }
    }
    Ok(isolated)
}
