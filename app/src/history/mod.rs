//! The history of an account on a chain: whole, newest first, page by page, however long the chain is.
//!
//! ```txt
//! shelf    who has entries in which block, of all final blocks from `first_block` to below `next_block`
//! walk     the events of up to RANGE blocks -> accounts and blocks, and how far it went, in one
//! page     the newest blocks, which no shelf has yet, are searched; of those on the shelf exactly the
//!          blocks in which the account has entries are asked for
//! ```
//!
//! The chain tells the entries themselves: the shelf only says where to look. So it is small, follows from
//! the chain alone, and an entry reads the same whether it was found by search or by the shelf. What is to
//! be in a block and is not told there is an error, never left out.
//!
//! Limits: [`walk`] has those of reading, [`page`] those of an answer.

pub(crate) mod page;
#[cfg(test)]
mod tests;
pub(crate) mod walk;

use mileverse_primitives::Address;
pub use mileverse_wallet::client::Touched;
use mileverse_wallet::{
    client::{Client, ClientError, Entry},
    rpc::{Chain, RpcError},
};
use std::{fmt, str::FromStr};
use thiserror::Error;

/// Blocks of the native chain that are left to search. All of them are final; but of several nodes behind one
/// address one may lag, and it answers for blocks that it lacks as if nothing were in them.
const LAG: u64 = 64;

/// The blocks of a chain that are on the shelf.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Known {
    /// The first: what was before, the node could not tell, or there was nothing.
    pub first_block: u64,
    /// The first that is not on the shelf yet.
    pub next_block: u64,
}

/// Where a page begins: below this event.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Below {
    /// Its block.
    pub(crate) block: u64,
    /// Its place in the block. 0 is before the block's first event.
    pub(crate) index: u64,
}

impl Below {
    /// Below the newest block that there can be.
    pub(crate) const TOP: Self = Self {
        block: u64::MAX,
        index: 0,
    };

    /// The block above all that may still be on the page.
    pub(crate) const fn end(self) -> u64 {
        if self.index == 0 {
            self.block
        } else {
            self.block.saturating_add(1)
        }
    }

    pub(crate) const fn has(self, entry: &Entry) -> bool {
        entry.block < self.block || (entry.block == self.block && entry.index < self.index)
    }
}

impl fmt::Display for Below {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.block, self.index)
    }
}

/// A cursor that no answer had.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[error("a cursor is the nextCursor of an earlier answer")]
pub(crate) struct CursorError;

impl FromStr for Below {
    type Err = CursorError;

    fn from_str(text: &str) -> Result<Self, CursorError> {
        let number = |text: &str| {
            let is_plain = text.bytes().all(|byte| byte.is_ascii_digit());
            is_plain.then(|| text.parse().ok()).flatten()
        };
        let (block, index) = text.split_once('.').ok_or(CursorError)?;
        match (number(block), number(index)) {
            (Some(block), Some(index)) => Ok(Self { block, index }),
            _ => Err(CursorError),
        }
    }
}

/// What a chain tells.
pub(crate) trait Book: Sync {
    /// Which chain.
    fn chain(&self) -> Chain;
    /// The newest block.
    fn newest(&self) -> impl Future<Output = Result<u64, ClientError>> + Send;
    /// The newest block that may go on the shelf: nothing in it will change, and the node surely has it.
    fn settled(&self) -> impl Future<Output = Result<u64, ClientError>> + Send;
    /// The first block that it can tell of.
    fn begins(&self) -> impl Future<Output = Result<u64, ClientError>> + Send;
    /// Who has entries in which of these blocks, in their order.
    fn touched(
        &self,
        from: u64,
        to: u64,
    ) -> impl Future<Output = Result<Vec<Touched>, ClientError>> + Send;
    /// All entries of an account in these blocks, newest first.
    fn entries(
        &self,
        account: Address,
        from: u64,
        to: u64,
    ) -> impl Future<Output = Result<Vec<Entry>, ClientError>> + Send;
    /// An answer that cannot be right.
    fn nonsense(&self, what: &str) -> RpcError;
}

impl Book for Client {
    fn chain(&self) -> Chain {
        Self::chain(self)
    }

    async fn newest(&self) -> Result<u64, ClientError> {
        Ok(self.head().await?.number)
    }

    async fn settled(&self) -> Result<u64, ClientError> {
        let newest = self.finalized().await?;
        Ok(match Self::chain(self) {
            Chain::Native => newest.saturating_sub(LAG),
            Chain::Ethereum => newest,
        })
    }

    async fn begins(&self) -> Result<u64, ClientError> {
        self.history_begins().await
    }

    async fn touched(&self, from: u64, to: u64) -> Result<Vec<Touched>, ClientError> {
        Self::touched(self, from, to).await
    }

    async fn entries(
        &self,
        account: Address,
        from: u64,
        to: u64,
    ) -> Result<Vec<Entry>, ClientError> {
        self.between(account, from, to).await
    }

    fn nonsense(&self, what: &str) -> RpcError {
        self.endpoint().nonsense(what)
    }
}
