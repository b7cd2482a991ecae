//! One page of an account's history.
//!
//! Limits: [`MOST_QUESTIONS`] searches of [`HISTORY_RANGE`] blocks above the shelf's end; below it as many
//! blocks as the page has entries, [`AT_ONCE`] at a time.

use super::{Below, Book};
use crate::index::{Shelf, ShelfError};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use mileverse_primitives::Address;
use mileverse_wallet::{
    client::{ClientError, Entry, HISTORY_RANGE},
    rpc::RpcError,
};
use thiserror::Error;

/// Searches of one page. The next page goes on from there.
const MOST_QUESTIONS: u64 = 20;
/// Blocks that are asked about at once.
const AT_ONCE: usize = 4;

/// Entries, newest first.
#[derive(Debug, Eq, PartialEq)]
pub(crate) struct Page {
    pub(crate) entries: Vec<Entry>,
    /// Where the next page begins; none after the last.
    pub(crate) next: Option<Below>,
}

/// Why there is no page.
#[derive(Debug, Error)]
pub(crate) enum PageError {
    #[error(transparent)]
    Chain(#[from] ClientError),
    #[error(transparent)]
    Shelf(#[from] ShelfError),
}

/// The newest entries of an account below a place, at most `limit`. Without a shelf, as far as it could be
/// searched.
pub(crate) async fn page(
    book: &impl Book,
    shelf: Option<&dyn Shelf>,
    account: Address,
    below: Below,
    limit: usize,
) -> Result<Page, PageError> {
    let chain = book.chain();
    let known = match shelf {
        Some(shelf) => shelf.known(chain).await?.zip(Some(shelf)),
        None => None,
    };
    let floor = known.map_or(0, |(known, _)| known.next_block);
    let mut found = Found {
        below,
        limit,
        entries: Vec::new(),
    };
    let mut end = below.end().min(book.newest().await?.saturating_add(1));
    let mut questions = 0u64;
    while end > floor && !found.is_full() {
        if questions >= MOST_QUESTIONS {
            let rest = Below {
                block: end,
                index: 0,
            };
            return Ok(found.page(Some(rest)));
        }
        let from = floor.max(end.saturating_sub(HISTORY_RANGE));
        match book.entries(account, from, end.saturating_sub(1)).await {
            Ok(entries) => found.extend(entries),
            // A node that followed from a recent state has no older blocks.
            Err(ClientError::Rpc(RpcError::Refused { .. })) if known.is_none() && questions > 0 => {
                return Ok(found.page(None));
            }
            Err(error) => return Err(error.into()),
        }
        end = from;
        questions = questions.saturating_add(1);
    }
    let Some((_, shelf)) = known else {
        return Ok(found.page(None));
    };
    while !found.is_full() {
        let blocks = shelf.blocks(chain, account, end, found.missing()).await?;
        let Some(last) = blocks.last() else {
            return Ok(found.page(None));
        };
        end = *last;
        let told: Vec<_> = stream::iter(blocks)
            .map(|block| async move {
                let entries = book.entries(account, block, block).await?;
                if entries.is_empty() {
                    // The next question may meet another node.
                    return Err(book.nonsense("a block without what happened in it").into());
                }
                Ok::<_, ClientError>(entries)
            })
            .buffered(AT_ONCE)
            .try_collect()
            .await?;
        found.extend(told.into_iter().flatten());
    }
    Ok(found.page(None))
}

/// What is on the page so far, and one entry more to know whether there is a next one.
struct Found {
    below: Below,
    limit: usize,
    entries: Vec<Entry>,
}

impl Found {
    const fn is_full(&self) -> bool {
        self.entries.len() > self.limit
    }

    const fn missing(&self) -> usize {
        self.limit
            .saturating_add(1)
            .saturating_sub(self.entries.len())
    }

    fn extend(&mut self, entries: impl IntoIterator<Item = Entry>) {
        let below = self.below;
        let entries = entries.into_iter().filter(|entry| below.has(entry));
        self.entries.extend(entries);
    }

    /// The page; `rest` is where the next one begins if this one is not full.
    fn page(mut self, rest: Option<Below>) -> Page {
        let is_full = self.is_full();
        self.entries.truncate(self.limit);
        let last = self.entries.last().map(|last| Below {
            block: last.block,
            index: last.index,
        });
        Page {
            next: if is_full { last } else { rest },
            entries: self.entries,
        }
    }
}
