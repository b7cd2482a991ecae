//! Puts on the shelf who has entries in which block, as the blocks become final.
//!
//! A step reads some blocks from where the shelf ends and puts them there with how far it went, in one, if
//! the shelf still ends there. So no block is skipped or read twice, whoever stops where; of several servers
//! over one shelf the one that comes first goes on, and the others step back for a while.
//!
//! Limits: [`RANGE`](crate::index) blocks of one question, fewer where an endpoint refuses so many, down to
//! one; [`MOST_ROWS`] rows of one write, but always whole blocks.

use super::{Book, Known};
use crate::index::{Shelf, StepError};
use mileverse_wallet::client::Touched;

/// Most rows of one write: others wait for the database meanwhile.
pub(super) const MOST_ROWS: usize = 2_000;

/// Reads up to `range` blocks; answers whether there are more.
pub(crate) async fn step(
    book: &impl Book,
    shelf: &dyn Shelf,
    range: u64,
) -> Result<bool, StepError> {
    let chain = book.chain();
    let Some(mut known) = shelf.known(chain).await? else {
        let first_block = book.begins().await?;
        let first = Known {
            first_block,
            next_block: first_block,
        };
        shelf.put_touched(chain, None, first, &[]).await?;
        return Ok(true);
    };
    let settled = book.settled().await?;
    if known.next_block > settled {
        return Ok(false);
    }
    let last = settled.min(known.next_block.saturating_add(range.saturating_sub(1)));
    let touched = book.touched(known.next_block, last).await?;
    let mut rest = touched.as_slice();
    while known.next_block <= last {
        let (part, end) = whole_blocks(rest, last);
        let next = Known {
            next_block: end,
            ..known
        };
        if !shelf.put_touched(chain, Some(known), next, part).await? {
            return Err(StepError::Taken);
        }
        rest = rest.get(part.len()..).unwrap_or_default();
        known = next;
    }
    Ok(last < settled)
}

/// The first rows, at most so many but whole blocks, and the block below which they are.
pub(super) fn whole_blocks(rows: &[Touched], last: u64) -> (&[Touched], u64) {
    let all = (rows, last.saturating_add(1));
    let (Some(first), Some(over)) = (rows.first(), rows.get(MOST_ROWS)) else {
        return all;
    };
    // The block that does not fit waits for the next write, unless it fills this one.
    let end = if over.block == first.block {
        over.block.saturating_add(1)
    } else {
        over.block
    };
    let count = rows.partition_point(|row| row.block < end);
    rows.get(..count).map_or(all, |part| (part, end))
}
