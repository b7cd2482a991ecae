//! The packets of both chains by who sent them, taken from final blocks as these come, so that a list
//! of an account's transfers needs no search and misses none.
//!
//! ```txt
//! cursor   the first block that was not looked at, and the number that the next packet must have
//! step     `PacketSent` of the bridge in up to RANGE final blocks -> packets and cursor, in one
//! ```
//!
//! A chain numbers its packets without gaps. So what has no event, the native chain's announcement of a
//! new key, is noticed with the packet after it and taken from the outbox; and of what an endpoint left
//! out, the blocks since the newest known packet are read again. Blocks that are final do not change, so
//! nothing is ever taken back.
//!
//! Where it is kept is the embedder's business ([`Shelf`]): the gateway keeps it in its database. Several
//! servers may fill one shelf; a step counts only where the cursor is still where the step began. Beside the
//! packets stands [who has a history in which block](crate::history), read in a walk of its own.
//!
//! Limits: [`RANGE`] blocks for one question, fewer where an endpoint refuses so many.

pub use crate::history::{Known, Touched};
use crate::{history::walk, problem::Problem, state::App};
use mileverse_primitives::{Address, B256, Bytes, packet::Packet};
use mileverse_wallet::client::{Client, ClientError, PacketReference, Posted, Seen};
pub use mileverse_wallet::rpc::Chain;
use mileverse_wallet::rpc::RpcError;
use std::{error::Error, fmt::Debug, pin::Pin, sync::Arc, time::Duration};
use thiserror::Error;
use tokio::time::sleep;

/// Most blocks of one question.
const RANGE: u64 = 10_000;
/// Fewest where packets are looked for, before it is left to a later time.
const LEAST_RANGE: u64 = 100;
/// Between two questions: the node is there for others as well.
const BREATH: Duration = Duration::from_millis(100);
/// Between two looks at a chain of which everything is known.
const PACE: Duration = Duration::from_secs(2);
/// After something went wrong.
const PATIENCE: Duration = Duration::from_secs(15);
/// A packet lives 30 days at most: none of those that count was sent longer before the native chain
/// began.
const LIFETIME_SECONDS: u64 = mileverse_primitives::packet::MAX_LIFETIME_SECONDS;

/// How far a chain was read.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Cursor {
    /// The first block that was not.
    pub next_block: u64,
    /// The number of the next packet.
    pub next_sequence: u64,
}

/// A packet on the shelf.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Listed {
    /// Its number.
    pub sequence: u64,
    /// Who sent it: of a transfer. None of what the bridges tell each other.
    pub sender: Option<Address>,
    /// The block that holds it.
    pub block: u64,
    /// The block's time, seconds since 1970.
    pub time: u64,
    /// The transaction.
    pub transaction: B256,
    /// Its canonical bytes.
    pub packet: Bytes,
}

/// What a shelf answers, later.
pub type Filed<'a, T> = Pin<Box<dyn Future<Output = Result<T, ShelfError>> + Send + 'a>>;

/// The shelf is away.
#[derive(Debug, Error)]
#[error("the index cannot be used: {0}")]
pub struct ShelfError(#[source] pub Box<dyn Error + Send + Sync>);

/// Where the index is kept. Everything that returned is durable.
pub trait Shelf: Debug + Send + Sync {
    /// How far a chain was read; nothing if it never was.
    fn cursor(&self, chain: Chain) -> Filed<'_, Option<Cursor>>;

    /// Keeps packets and moves the cursor, in one. False, and nothing is done, if the cursor is not
    /// `from` any more. A packet that is there already stays as it is.
    fn put<'a>(
        &'a self,
        chain: Chain,
        from: Option<Cursor>,
        to: Cursor,
        packets: &'a [Listed],
    ) -> Filed<'a, bool>;

    /// The newest packets that an account sent from a chain in blocks below one, newest first.
    fn sent_by(
        &self,
        chain: Chain,
        account: Address,
        below: u64,
        limit: usize,
    ) -> Filed<'_, Vec<Listed>>;

    /// The block of the newest packet of a chain.
    fn newest(&self, chain: Chain) -> Filed<'_, Option<u64>>;

    /// Of which blocks of a chain it is known who has entries in them; nothing if none was read.
    fn known(&self, chain: Chain) -> Filed<'_, Option<Known>>;

    /// Keeps who has entries in which block and moves the end of what is known, in one. False, and nothing
    /// is done, if that is not `from` any more.
    fn put_touched<'a>(
        &'a self,
        chain: Chain,
        from: Option<Known>,
        to: Known,
        touched: &'a [Touched],
    ) -> Filed<'a, bool>;

    /// The newest blocks below one in which an account has entries, newest first.
    fn blocks(
        &self,
        chain: Chain,
        account: Address,
        below: u64,
        limit: usize,
    ) -> Filed<'_, Vec<u64>>;
}

impl Listed {
    fn new(posted: &Posted) -> Self {
        Self {
            sequence: posted.packet.sequence,
            sender: match &posted.content {
                Packet::Transfer(transfer) => Some(transfer.sender),
                Packet::Expiry(_) | Packet::Rotation(_) | Packet::Acknowledgement(_) => None,
            },
            block: posted.at.block,
            time: posted.at.time,
            transaction: posted.at.transaction,
            packet: posted.content.encode(),
        }
    }

    /// As a chain would tell it. Nothing if the bytes are no packet.
    pub(crate) fn posted(self, chain: Chain) -> Option<Posted> {
        Some(Posted {
            packet: PacketReference {
                chain,
                sequence: self.sequence,
            },
            content: Packet::decode(&self.packet).ok()?,
            at: Seen {
                chain,
                transaction: self.transaction,
                block: self.block,
                time: self.time,
            },
        })
    }
}

/// What the blocks from the cursor to `last` say.
#[derive(Debug, Eq, PartialEq)]
enum Read {
    /// These are new, and the cursor goes there.
    On(Cursor, Vec<Listed>),
    /// This packet is not there, but one after it is.
    Gap(u64),
}

fn read(cursor: Cursor, last: u64, posted: &[Posted]) -> Read {
    let mut next = cursor.next_sequence;
    let mut listed = Vec::new();
    for posted in posted {
        let sequence = posted.packet.sequence;
        // Known from before the cursor went back.
        if sequence < next {
            continue;
        }
        if sequence > next {
            return Read::Gap(next);
        }
        listed.push(Listed::new(posted));
        next = next.saturating_add(1);
    }
    let cursor = Cursor {
        next_block: last.saturating_add(1),
        next_sequence: next,
    };
    Read::On(cursor, listed)
}

/// Fills the shelf, for as long as it is polled.
#[derive(Debug)]
pub struct Index {
    app: Arc<App>,
    shelf: Arc<dyn Shelf>,
}

/// Why a step was not taken.
#[derive(Debug, Error)]
pub(crate) enum StepError {
    #[error("{0}")]
    Chain(#[from] ClientError),
    #[error("{0}")]
    Connect(String),
    #[error(transparent)]
    Shelf(#[from] ShelfError),
    #[error("the endpoint left out packet number {0}; the blocks are read again")]
    Gap(u64),
    #[error("another server goes on with it")]
    Taken,
}

impl From<Problem> for StepError {
    fn from(problem: Problem) -> Self {
        Self::Connect(problem.sentence().to_owned())
    }
}

/// What is read from a chain, some blocks at a time.
trait Reading {
    /// What it is for.
    const WHAT: &'static str;
    /// Fewest blocks of one question, before it is left to a later time.
    const LEAST: u64;

    /// Reads up to `range` blocks; answers whether there are more.
    fn step(
        &self,
        chain: Chain,
        range: u64,
    ) -> impl Future<Output = Result<bool, StepError>> + Send;
}

struct Packets<'a>(&'a Index);

impl Reading for Packets<'_> {
    const WHAT: &'static str = "packets";
    const LEAST: u64 = LEAST_RANGE;

    async fn step(&self, chain: Chain, range: u64) -> Result<bool, StepError> {
        self.0.step(chain, range).await
    }
}

struct Histories<'a>(&'a Index);

impl Reading for Histories<'_> {
    const WHAT: &'static str = "histories";
    // A block may be full of events, and nobody can ask for less than one.
    const LEAST: u64 = 1;

    async fn step(&self, chain: Chain, range: u64) -> Result<bool, StepError> {
        let Index { app, shelf } = self.0;
        walk::step(app.on(chain).await?, shelf.as_ref(), range).await
    }
}

/// Reads one chain as it grows; does not end.
async fn follow<R: Reading>(reading: R, chain: Chain) {
    let mut range = RANGE;
    let mut is_told = false;
    loop {
        let pause = match reading.step(chain, range).await {
            Ok(is_more) => {
                is_told = false;
                // By and by: whoever refuses twice as many takes some more.
                range = RANGE.min(range.saturating_add(range / 4).saturating_add(1));
                if is_more { BREATH } else { PACE }
            }
            // Some endpoints refuse so many blocks, or so many events.
            Err(StepError::Chain(error)) if range > R::LEAST => {
                range = R::LEAST.max(range / 4);
                match error {
                    ClientError::Rpc(RpcError::Refused { .. }) => BREATH,
                    _ => PACE,
                }
            }
            Err(StepError::Taken) => PATIENCE,
            Err(error) => {
                if !is_told {
                    tracing::warn!(%chain, what = R::WHAT, %error, "the index waits");
                    is_told = true;
                }
                PATIENCE
            }
        };
        sleep(pause).await;
    }
}

impl Index {
    pub(crate) fn new(app: Arc<App>, shelf: Arc<dyn Shelf>) -> Self {
        Self { app, shelf }
    }

    /// Reads both chains as they grow; does not end. A chain that is away is asked again.
    pub async fn run(self) {
        let histories = |chain| follow(Histories(&self), chain);
        if self.app.ethereum().is_none() {
            histories(Chain::Native).await;
            return;
        }
        let packets = |chain| follow(Packets(&self), chain);
        let both = [Chain::Native, Chain::Ethereum];
        futures::future::join(
            futures::future::join_all(both.map(packets)),
            futures::future::join_all(both.map(histories)),
        )
        .await;
    }

    /// Reads some blocks for their packets; answers whether there are more.
    async fn step(&self, chain: Chain, range: u64) -> Result<bool, StepError> {
        let client = self.app.on(chain).await?;
        let Some(cursor) = self.shelf.cursor(chain).await? else {
            let first = Cursor {
                next_block: self.first_block(client).await?,
                next_sequence: 1,
            };
            self.shelf.put(chain, None, first, &[]).await?;
            return Ok(true);
        };
        let newest = client.finalized().await?;
        if cursor.next_block > newest {
            return Ok(false);
        }
        let last = newest.min(cursor.next_block.saturating_add(range.saturating_sub(1)));
        let mut posted = client.posted_between(cursor.next_block, last).await?;
        loop {
            match read(cursor, last, &posted) {
                Read::On(next, listed) => {
                    self.shelf.put(chain, Some(cursor), next, &listed).await?;
                    return Ok(last < newest);
                }
                Read::Gap(sequence) => {
                    if let Some(rotation) = self.rotation(chain, sequence).await? {
                        let place = posted.partition_point(|one| one.packet.sequence < sequence);
                        posted.insert(place, rotation);
                        continue;
                    }
                    let back = Cursor {
                        next_block: self.shelf.newest(chain).await?.unwrap_or_default(),
                        ..cursor
                    };
                    self.shelf.put(chain, Some(cursor), back, &[]).await?;
                    return Err(StepError::Gap(sequence));
                }
            }
        }
    }

    /// A packet that has no event, if this is one: only the native chain sends such.
    async fn rotation(&self, chain: Chain, sequence: u64) -> Result<Option<Posted>, StepError> {
        if chain != Chain::Native {
            return Ok(None);
        }
        let reference = PacketReference { chain, sequence };
        let found = self.app.chains().await?.posted(reference).await?;
        Ok(matches!(found.content, Packet::Rotation(_)).then_some(found))
    }

    /// Where there can be no packet before: Ethereum is much older than its bridge. Should it be wrong,
    /// the first packet that is found is not number 1, and reading begins at block 0.
    async fn first_block(&self, client: &Client) -> Result<u64, StepError> {
        if client.chain() == Chain::Native {
            return Ok(0);
        }
        // A node that does not keep its first blocks does not know.
        let began = self.app.client().await?.time(1).await.unwrap_or_default();
        let time = began.saturating_sub(LIFETIME_SECONDS);
        Ok(client.block_before(time).await?)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use mileverse_primitives::{
        U256,
        packet::{PacketId, Token, Transfer},
    };

    fn posted(sequence: u64, block: u64) -> Posted {
        let transfer = Transfer {
            id: PacketId {
                source: 1,
                destination: 2,
                sequence,
            },
            deadline: 9,
            token: Token {
                home: 1,
                contract: Address::repeat_byte(3),
            },
            sender: Address::repeat_byte(4),
            receiver: Address::repeat_byte(5),
            amount: U256::from(6),
            action: None,
            acknowledge: false,
        };
        let chain = Chain::Ethereum;
        Posted {
            packet: PacketReference { chain, sequence },
            content: Packet::Transfer(transfer),
            at: Seen {
                chain,
                transaction: B256::repeat_byte(7),
                block,
                time: 8,
            },
        }
    }

    const fn cursor(next_block: u64, next_sequence: u64) -> Cursor {
        Cursor {
            next_block,
            next_sequence,
        }
    }

    #[test]
    fn packets_follow_one_another() {
        let all = [posted(3, 10), posted(4, 10), posted(5, 12)];
        let Read::On(next, listed) = read(cursor(10, 3), 19, &all) else {
            unreachable!("there is no gap")
        };
        assert_eq!(next, cursor(20, 6));
        let numbers: Vec<_> = listed.iter().map(|one| one.sequence).collect();
        assert_eq!(numbers, [3, 4, 5]);
        // And each comes back as it was.
        for (one, posted) in listed.into_iter().zip(all) {
            assert_eq!(one.posted(Chain::Ethereum), Some(posted));
        }
        assert_eq!(
            read(cursor(10, 3), 19, &[]),
            Read::On(cursor(20, 3), vec![])
        );
    }

    #[test]
    fn what_is_left_out_is_noticed_with_the_next() {
        assert_eq!(read(cursor(10, 3), 19, &[posted(4, 10)]), Read::Gap(3));
        let hidden = [posted(3, 10), posted(5, 12)];
        assert_eq!(read(cursor(10, 3), 19, &hidden), Read::Gap(4));
    }

    #[test]
    fn what_is_known_is_passed_over_when_blocks_are_read_again() {
        let again = [posted(1, 4), posted(2, 5), posted(3, 10)];
        let Read::On(next, listed) = read(cursor(4, 3), 19, &again) else {
            unreachable!("there is no gap")
        };
        assert_eq!((next, listed.len()), (cursor(20, 4), 1));
    }
}
