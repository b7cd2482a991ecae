//! Walks and pages over a made-up chain in trouble, beside a naive list of everything that happened.
#![allow(clippy::unwrap_used)]

use super::{
    Below, Book, Known, Touched,
    page::{PageError, page},
    walk,
};
use crate::index::{Cursor, Filed, Listed, Shelf, ShelfError, StepError};
use futures::{executor::block_on, future};
use mileverse_primitives::{Address, B256};
use mileverse_wallet::{
    client::{ClientError, Entry, Kind},
    rpc::{Chain, RpcError},
};
use proptest::{prelude::*, sample::Index as At};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
    task::Poll,
};

const CHAIN: Chain = Chain::Native;
/// Final, but not to be put on the shelf yet.
const LAG: u64 = 3;

fn account(number: u8) -> Address {
    Address::repeat_byte(number + 1)
}

fn happened(block: u64, index: u64) -> Entry {
    Entry {
        kind: Kind::Sent,
        out: Vec::new(),
        r#in: Vec::new(),
        with: None,
        quarter: None,
        beyond: None,
        block,
        time: block * 2,
        index,
        transaction: B256::with_last_byte(1),
    }
}

/// Lets whatever else runs go on.
async fn give_way() {
    let mut gave = false;
    future::poll_fn(|context| {
        if gave {
            return Poll::Ready(());
        }
        gave = true;
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// What goes wrong next, in turn; nothing once all of it did.
#[derive(Debug, Default)]
struct Troubles(Mutex<Vec<u8>>);

impl Troubles {
    fn next(&self) -> u8 {
        self.0.lock().unwrap().pop().unwrap_or(u8::MAX)
    }
}

/// A chain, and a node of it.
#[derive(Debug, Default)]
struct World {
    /// Who has an entry: by block, then place.
    events: BTreeMap<u64, Vec<u8>>,
    tip: AtomicU64,
    begins: u64,
    troubles: Troubles,
    /// The node answers as if nothing were in this block.
    hides: Option<u64>,
}

impl World {
    /// Everything that happened to somebody up to a block, newest first.
    fn naive(&self, who: u8, tip: u64) -> Vec<Entry> {
        let mut entries = Vec::new();
        for (block, events) in self.events.range(self.begins..=tip) {
            for (index, whose) in (0..).zip(events) {
                if *whose == who {
                    entries.push(happened(*block, index));
                }
            }
        }
        entries.reverse();
        entries
    }

    fn tip(&self) -> u64 {
        self.tip.load(Ordering::Relaxed)
    }

    fn trouble(&self) -> Result<(), ClientError> {
        Err(match self.troubles.next() {
            0 => RpcError::Unreachable {
                chain: CHAIN,
                url: String::new(),
                reason: String::new(),
            },
            1 => RpcError::Refused {
                chain: CHAIN,
                message: "too many".to_owned(),
            },
            // The chain goes on meanwhile.
            2 => {
                self.tip.fetch_add(1, Ordering::Relaxed);
                return Ok(());
            }
            _ => return Ok(()),
        }
        .into())
    }
}

impl Book for World {
    fn chain(&self) -> Chain {
        CHAIN
    }

    async fn newest(&self) -> Result<u64, ClientError> {
        Ok(self.tip())
    }

    async fn settled(&self) -> Result<u64, ClientError> {
        self.trouble()?;
        Ok(self.tip().saturating_sub(LAG))
    }

    async fn begins(&self) -> Result<u64, ClientError> {
        self.trouble()?;
        Ok(self.begins)
    }

    async fn touched(&self, from: u64, to: u64) -> Result<Vec<Touched>, ClientError> {
        assert!(
            from >= self.begins && to + LAG <= self.tip(),
            "{from}..={to}"
        );
        give_way().await;
        self.trouble()?;
        let mut touched = BTreeSet::new();
        for (block, events) in self.events.range(from..=to) {
            for who in events {
                touched.insert(Touched {
                    block: *block,
                    account: account(*who),
                });
            }
        }
        Ok(touched.into_iter().collect())
    }

    async fn entries(&self, whose: Address, from: u64, to: u64) -> Result<Vec<Entry>, ClientError> {
        if from < self.begins {
            return Err(RpcError::Refused {
                chain: CHAIN,
                message: "pruned".to_owned(),
            }
            .into());
        }
        let mut entries = Vec::new();
        for (block, events) in self.events.range(from..=to) {
            for (index, who) in (0..).zip(events) {
                if account(*who) == whose && self.hides != Some(*block) {
                    entries.push(happened(*block, index));
                }
            }
        }
        entries.reverse();
        Ok(entries)
    }

    fn nonsense(&self, what: &str) -> RpcError {
        RpcError::Nonsense {
            chain: CHAIN,
            what: what.to_owned(),
        }
    }
}

/// A shelf in memory, which may be away before or after it did what it was asked for.
#[derive(Debug, Default)]
struct Memory {
    kept: Mutex<(Option<Known>, BTreeSet<Touched>)>,
    troubles: Troubles,
}

fn away() -> ShelfError {
    ShelfError("away".into())
}

impl Shelf for Memory {
    fn cursor(&self, _: Chain) -> Filed<'_, Option<Cursor>> {
        Box::pin(future::ready(Ok(None)))
    }

    fn put<'a>(
        &'a self,
        _: Chain,
        _: Option<Cursor>,
        _: Cursor,
        _: &'a [Listed],
    ) -> Filed<'a, bool> {
        Box::pin(future::ready(Ok(false)))
    }

    fn sent_by(&self, _: Chain, _: Address, _: u64, _: usize) -> Filed<'_, Vec<Listed>> {
        Box::pin(future::ready(Ok(Vec::new())))
    }

    fn newest(&self, _: Chain) -> Filed<'_, Option<u64>> {
        Box::pin(future::ready(Ok(None)))
    }

    fn known(&self, _: Chain) -> Filed<'_, Option<Known>> {
        Box::pin(future::ready(Ok(self.kept.lock().unwrap().0)))
    }

    fn put_touched<'a>(
        &'a self,
        _: Chain,
        from: Option<Known>,
        to: Known,
        touched: &'a [Touched],
    ) -> Filed<'a, bool> {
        Box::pin(async move {
            let trouble = self.troubles.next();
            if trouble == 0 {
                return Err(away());
            }
            let mut kept = self.kept.lock().unwrap();
            if kept.0 != from {
                return Ok(false);
            }
            kept.0 = Some(to);
            kept.1.extend(touched);
            drop(kept);
            if trouble == 1 {
                return Err(away());
            }
            Ok(true)
        })
    }

    fn blocks(&self, _: Chain, whose: Address, below: u64, limit: usize) -> Filed<'_, Vec<u64>> {
        let kept = self.kept.lock().unwrap();
        let found = kept.1.iter().rev();
        let found = found.filter(|row| row.account == whose && row.block < below);
        let blocks = found.map(|row| row.block).take(limit).collect();
        Box::pin(future::ready(Ok(blocks)))
    }
}

fn world() -> impl Strategy<Value = World> {
    let event = (
        prop_oneof![1u64..60, 1u64..400_000],
        prop::collection::vec(0u8..3, 1..12),
    );
    let events = prop::collection::btree_map(event.0, event.1, 0..60);
    let begins = prop_oneof![3 => Just(0u64), 1 => 1u64..50];
    let troubles = prop::collection::vec(0u8..6, 0..40);
    (events, begins, troubles, 60u64..500_000).prop_map(|(events, begins, troubles, tip)| World {
        events,
        tip: AtomicU64::new(tip),
        begins,
        troubles: Troubles(Mutex::new(troubles)),
        hides: None,
    })
}

/// All pages of somebody, from the newest on.
fn read_all(
    world: &World,
    shelf: Option<&Memory>,
    who: u8,
    limit: usize,
) -> Result<Vec<Entry>, PageError> {
    let mut below = Below::TOP;
    let mut all = Vec::new();
    loop {
        let shelf = shelf.map(|shelf| shelf as &dyn Shelf);
        let found = block_on(page(world, shelf, account(who), below, limit))?;
        assert!(found.entries.len() <= limit);
        all.extend(found.entries);
        let Some(next) = found.next else {
            return Ok(all);
        };
        assert!(next < below, "each page is below the one before");
        assert_eq!(next.to_string().parse(), Ok(next));
        below = next;
        // What happens meanwhile is above all that is still to come.
        world.tip.fetch_add(1, Ordering::Relaxed);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    /// Two servers fill one shelf, from a node and into a database that fail, and are stopped anywhere: nothing
    /// is skipped. And whatever is on the shelf already, every page tells each entry once.
    #[test]
    fn nothing_is_skipped_and_nothing_is_told_twice(
        world in world(),
        shelf in prop::collection::vec(0u8..5, 0..30),
        ranges in prop::collection::vec(prop_oneof![1u64..40, 1u64..200_000], 1..8),
        stops in 0usize..40,
        limit in 1usize..30,
        who in 0u8..3,
    ) {
        let shelf = Memory {
            kept: Mutex::default(),
            troubles: Troubles(Mutex::new(shelf)),
        };
        for round in 0..stops {
            let range = |shift: usize| ranges[(round + shift) % ranges.len()];
            let both = future::join(
                walk::step(&world, &shelf, range(0)),
                walk::step(&world, &shelf, range(1)),
            );
            for done in [block_on(both)].into_iter().flat_map(|(one, other)| [one, other]) {
                match done {
                    Ok(_) | Err(StepError::Chain(_) | StepError::Shelf(_) | StepError::Taken) => {}
                    Err(error) => prop_assert!(false, "{error}"),
                }
            }
            // All that is known is whole at any time.
            let kept = shelf.kept.lock().unwrap();
            if let Some(known) = kept.0 {
                prop_assert!(known.first_block == world.begins && known.next_block + LAG <= world.tip() + 1);
                let mut naive = BTreeSet::new();
                for (block, events) in world.events.range(world.begins..known.next_block) {
                    naive.extend(events.iter().map(|who| Touched { block: *block, account: account(*who) }));
                }
                prop_assert_eq!(&kept.1, &naive);
            }
        }
        let is_known = shelf.kept.lock().unwrap().0.is_some();
        let tip = world.tip();
        let told = read_all(&world, Some(&shelf), who, limit);
        if is_known {
            prop_assert_eq!(told.unwrap(), world.naive(who, tip));
        } else if world.begins == 0 {
            // Without a shelf the search goes on to the first block, page by page.
            prop_assert_eq!(told.unwrap(), world.naive(who, tip));
            let tip = world.tip();
            prop_assert_eq!(read_all(&world, None, who, limit).unwrap(), world.naive(who, tip));
        }
    }

    /// A node that does not tell what is known to be there makes no shorter history.
    #[test]
    fn what_is_hidden_is_an_error(mut world in world(), who in 0u8..3, at in any::<At>()) {
        *world.troubles.0.lock().unwrap() = Vec::new();
        let shelf = Memory::default();
        while block_on(walk::step(&world, &shelf, 100_000)).unwrap() {}
        let blocks = block_on(shelf.blocks(CHAIN, account(who), u64::MAX, 1_000)).unwrap();
        prop_assume!(!blocks.is_empty());
        world.hides = Some(blocks[at.index(blocks.len())]);
        let told = read_all(&world, Some(&shelf), who, 200);
        prop_assert!(matches!(told, Err(PageError::Chain(_))), "{told:?}");
    }

    /// However many rows blocks have, none is cut, none is lost, and only one that is too large alone makes a
    /// write larger than it should be.
    #[test]
    fn writes_are_of_whole_blocks(counts in prop::collection::vec(0usize..3_000, 1..12)) {
        let mut rows = Vec::new();
        for (block, count) in (10u64..).zip(&counts) {
            for number in 0..*count {
                let account = Address::left_padding_from(&number.to_be_bytes());
                rows.push(Touched { block, account });
            }
        }
        let last = 10 + counts.len() as u64;
        let (mut from, mut rest, mut written) = (10, rows.as_slice(), Vec::new());
        while from <= last {
            let (part, end) = walk::whole_blocks(rest, last);
            prop_assert!(end > from && end <= last + 1);
            prop_assert!(part.iter().all(|row| (from..end).contains(&row.block)));
            let is_one = part.first().map(|row| row.block) == part.last().map(|row| row.block);
            prop_assert!(part.len() <= walk::MOST_ROWS || is_one);
            written.extend_from_slice(part);
            rest = &rest[part.len()..];
            from = end;
        }
        prop_assert_eq!(written, rows);
    }
}

#[test]
fn a_cursor_is_two_numbers() {
    assert_eq!("7.3".parse(), Ok(Below { block: 7, index: 3 }));
    for bad in [
        "",
        "7",
        "7.",
        ".3",
        "+7.3",
        "7.-3",
        "7.3.1",
        "a.b",
        "99999999999999999999.0",
    ] {
        assert!(bad.parse::<Below>().is_err(), "{bad}");
    }
}
