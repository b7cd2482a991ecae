//! Halves of trades, found in the events of the contracts.
//!
//! Backwards from the newest block, [`LOG_RANGE`] blocks a question, on all chains in turn, until there is
//! enough. Whether a half is open is asked of its contract.
//!
//! Anybody may open anything under any lock. So nobody may take the first swap that is found under a
//! lock for the one that is meant: who searches says what is enough, and goes on until then.
//!
//! Limits: [`ETHEREUM_BLOCKS`] blocks back on Ethereum, which is a swap's longest life; [`MAX_QUESTIONS`]
//! questions on each chain. A native node that has no older blocks ends the search there.

use crate::{
    client::{Chains, Client, ClientError},
    rpc::Chain,
    timelock::{Event, Happened, State, Terms, events, events_of},
    units::{Amount, Token},
};
use alloy::primitives::{Address, B256};

/// Blocks of one question.
const LOG_RANGE: u64 = 10_000;
/// Most questions for one search on one chain.
const MAX_QUESTIONS: u64 = 2_000;
/// 30 days of Ethereum's blocks, 12 seconds each.
const ETHEREUM_BLOCKS: u64 = 216_000;

/// One half of a trade, as its chain has it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Half {
    /// Where.
    pub chain: Chain,
    /// Its name.
    pub id: B256,
    /// What was agreed.
    pub terms: Terms,
    /// What is locked; none if that is neither points nor coin.
    pub amount: Option<Amount>,
    /// What became of it, as of the newest block.
    pub state: State,
    /// The block that opened it.
    pub block: u64,
    /// The transaction that opened it.
    pub transaction: B256,
}

/// What was found of a trade.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Trade {
    /// Its halves, and whatever else somebody opened under its lock; on each chain the newest first.
    pub halves: Vec<Half>,
    /// The secret, if a claim has shown it to everybody.
    pub secret: Option<B256>,
}

/// By what swaps are searched.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum By {
    /// The lock.
    Lock(B256),
    /// Their name.
    Id(B256),
    /// Who opened it, or is paid.
    Account(Address),
}

impl By {
    fn concerns(self, terms: &Terms) -> bool {
        match self {
            Self::Account(account) => terms.opener == account || terms.claimer == account,
            Self::Lock(_) | Self::Id(_) => true,
        }
    }
}

/// Until when a search goes back.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Bounds {
    /// Not before this second since 1970.
    pub(crate) since: Option<u64>,
    /// So many blocks at most.
    pub(crate) blocks: Option<u64>,
}

/// Ranges of blocks, the newest first.
#[derive(Clone, Copy, Debug)]
struct Ranges {
    next: Option<u64>,
    oldest: u64,
    left: u64,
}

impl Iterator for Ranges {
    type Item = (u64, u64);

    fn next(&mut self) -> Option<(u64, u64)> {
        let to = self.next.filter(|to| *to >= self.oldest)?;
        self.left = self.left.checked_sub(1)?;
        let from = to
            .saturating_sub(LOG_RANGE.saturating_sub(1))
            .max(self.oldest);
        self.next = from.checked_sub(1);
        Some((from, to))
    }
}

/// A search on one chain.
struct Scan<'a> {
    client: &'a Client,
    ranges: Ranges,
    is_first: bool,
}

impl<'a> Scan<'a> {
    async fn new(client: &'a Client, bounds: Bounds) -> Result<Self, ClientError> {
        let newest = client.head().await?;
        let head = newest.number;
        let blocks = match (bounds.blocks, client.chain()) {
            (Some(blocks), _) => blocks,
            (None, Chain::Native) => u64::MAX,
            (None, Chain::Ethereum) => ETHEREUM_BLOCKS,
        };
        let mut oldest = head.saturating_sub(blocks.saturating_sub(1));
        // A chain whose clock is behind is searched as if nothing were known: its blocks cannot be placed.
        if let Some(since) = bounds.since
            && newest.timestamp > since
        {
            oldest = oldest.max(client.block_before(since).await?);
        }
        Ok(Self {
            client,
            ranges: Ranges {
                next: Some(head),
                oldest,
                left: MAX_QUESTIONS,
            },
            is_first: true,
        })
    }

    /// The next events, the newest first; none at the end.
    async fn step(&mut self, by: By) -> Result<Option<Vec<Event>>, ClientError> {
        let Some(blocks) = self.ranges.next() else {
            return Ok(None);
        };
        let client = self.client;
        let (endpoint, id) = (client.endpoint(), client.chain_id());
        let contract = client.timelock_contract()?;
        let found = match by {
            By::Lock(lock) => events(endpoint, id, contract, blocks, Some(lock)).await,
            By::Id(name) => events_of(endpoint, id, contract, blocks, name).await,
            By::Account(_) => events(endpoint, id, contract, blocks, None).await,
        };
        let is_first = std::mem::replace(&mut self.is_first, false);
        match found {
            Ok(mut found) => {
                found.reverse();
                Ok(Some(found))
            }
            // A node that followed from a recent state has no older blocks. The first question must be
            // answered.
            Err(_) if !is_first && client.chain() == Chain::Native => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

/// Searches on all of these chains in turn until there is enough, or nothing older.
pub(crate) async fn search(
    clients: &[&Client],
    by: By,
    bounds: Bounds,
    enough: impl Fn(&Trade) -> bool,
) -> Result<Trade, ClientError> {
    let mut scans = Vec::new();
    for client in clients {
        scans.push(Scan::new(client, bounds).await?);
    }
    let mut trade = Trade::default();
    while !scans.is_empty() {
        let mut going_on = Vec::new();
        for mut scan in scans {
            let Some(events) = scan.step(by).await? else {
                continue;
            };
            for event in events {
                scan.client.note(&mut trade, by, &event).await?;
            }
            if enough(&trade) {
                return Ok(trade);
            }
            going_on.push(scan);
        }
        scans = going_on;
    }
    Ok(trade)
}

impl Client {
    async fn note(&self, trade: &mut Trade, by: By, event: &Event) -> Result<(), ClientError> {
        match event.happened {
            Happened::Opened(terms) if by.concerns(&terms) => trade.halves.push(Half {
                chain: self.chain(),
                id: event.id,
                terms,
                amount: self.timelock_amount(&terms),
                state: self.timelock_state(event.id).await?,
                block: event.block,
                transaction: event.transaction,
            }),
            // Of another lock than the one that is meant it would be another trade's.
            Happened::Claimed { secret } if !matches!(by, By::Account(_)) => {
                trade.secret = Some(secret);
            }
            Happened::Opened(_) | Happened::Claimed { .. } | Happened::Refunded => {}
        }
        Ok(())
    }

    /// What is locked, if it is points or coin.
    fn timelock_amount(&self, terms: &Terms) -> Option<Amount> {
        let token = [Token::Mvp, Token::Mvc]
            .into_iter()
            .find(|token| self.token_address(*token).is_ok_and(|at| at == terms.token))?;
        Some(Amount::from_units(token, terms.amount))
    }

    /// What was opened here under a lock: the newest swaps of it, and the secret if it was shown since. It stops
    /// where something is found, so that older swaps under the same lock may be missing.
    pub async fn timelock_find(&self, lock: B256) -> Result<Trade, ClientError> {
        let found = |trade: &Trade| !trade.halves.is_empty();
        search(&[self], By::Lock(lock), Bounds::default(), found).await
    }

    /// A swap by its name; none if it was not opened here.
    pub async fn timelock_half(&self, id: B256) -> Result<Option<Half>, ClientError> {
        if self.timelock_state(id).await? == State::None {
            return Ok(None);
        }
        let found = |trade: &Trade| !trade.halves.is_empty();
        let trade = search(&[self], By::Id(id), Bounds::default(), found).await?;
        Ok(trade.halves.into_iter().next())
    }
}

impl Chains {
    /// What was opened on both chains under a lock, as [`Client::timelock_find`] has it. A chain without the
    /// contract is left out.
    pub async fn timelock_find(&self, lock: B256) -> Result<Trade, ClientError> {
        let mut trade = Trade::default();
        for client in [&self.native, &self.ethereum] {
            if client.timelock_contract().is_err() {
                continue;
            }
            let found = client.timelock_find(lock).await?;
            trade.halves.extend(found.halves);
            trade.secret = trade.secret.or(found.secret);
        }
        Ok(trade)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::{client::Patience, rpc::Endpoint, timelock::lock_of};
    use alloy::{
        primitives::{Bytes, U256},
        providers::{Provider as _, ProviderBuilder, mock::Asserter},
        rpc::types::{Block, Log},
        sol_types::SolEvent,
    };
    use mileverse_primitives::exchange::HashedTimelock::{SwapClaimed, SwapOpened};

    const SWAPS: Address = Address::repeat_byte(5);
    const COIN: Address = Address::repeat_byte(6);
    const ALICE: Address = Address::repeat_byte(1);
    const BOB: Address = Address::repeat_byte(2);
    const SECRET: B256 = B256::repeat_byte(8);

    /// A client whose node answers what it is told to, in this order.
    fn client(chain: Chain, answers: &Asserter) -> Client {
        let provider = ProviderBuilder::new()
            .disable_recommended_fillers()
            .connect_mocked_client(answers.clone())
            .erased();
        Client {
            endpoint: Endpoint::over(chain, "http://mock".to_owned(), provider),
            chain_id: 7,
            bridge: Address::ZERO,
            points: Address::ZERO,
            coin: COIN,
            rewards: None,
            timelock: Some(SWAPS),
            signer: None,
            patience: Patience::NATIVE,
            consent: None,
            sending: Default::default(),
        }
    }

    fn head(answers: &Asserter, number: u64) {
        let mut block: Block = Block::default();
        block.header.number = number;
        answers.push_success(&block);
    }

    fn terms(opener: Address, claimer: Address, amount: u64) -> Terms {
        Terms {
            token: COIN,
            amount: U256::from(amount),
            opener,
            claimer,
            lock: lock_of(SECRET),
            deadline: 9,
        }
    }

    fn log(event: &impl SolEvent, block: u64) -> Log {
        Log {
            inner: alloy::primitives::Log {
                address: SWAPS,
                data: event.encode_log_data(),
            },
            block_number: Some(block),
            transaction_hash: Some(B256::ZERO),
            ..Log::default()
        }
    }

    fn opened(terms: &Terms, block: u64) -> Log {
        let event = SwapOpened {
            id: terms.id(7, SWAPS),
            lock: terms.lock,
            terms: terms.abi(),
        };
        log(&event, block)
    }

    fn claimed(terms: &Terms, block: u64) -> Log {
        let event = SwapClaimed {
            id: terms.id(7, SWAPS),
            lock: terms.lock,
            secret: SECRET,
        };
        log(&event, block)
    }

    fn state(answers: &Asserter, state: u8) {
        answers.push_success(&Bytes::from(U256::from(state).to_be_bytes_vec()));
    }

    #[tokio::test]
    async fn dust_under_the_same_lock_hides_nothing() {
        let answers = Asserter::new();
        let client = client(Chain::Ethereum, &answers);
        let (good, dust) = (terms(ALICE, BOB, 500), terms(COIN, BOB, 1));
        head(&answers, 15_000);
        answers.push_success(&vec![opened(&dust, 14_000)]);
        state(&answers, 1);
        answers.push_success(&vec![opened(&good, 700)]);
        state(&answers, 1);
        let enough = |trade: &Trade| trade.halves.iter().any(|half| half.terms == good);
        let by = By::Lock(good.lock);
        let trade = search(&[&client], by, Bounds::default(), enough)
            .await
            .unwrap();
        let found: Vec<_> = trade.halves.iter().map(|half| half.terms).collect();
        assert_eq!(found, [dust, good]);
        assert_eq!(trade.halves[1].amount.unwrap().units(), good.amount);
        assert_eq!((trade.halves[1].block, trade.secret), (700, None));
        assert!(answers.read_q().is_empty());
    }

    #[tokio::test]
    async fn what_is_found_ends_the_search_and_a_claim_shows_the_secret() {
        let answers = Asserter::new();
        let client = client(Chain::Native, &answers);
        let terms = terms(BOB, ALICE, 5);
        head(&answers, 15_000);
        answers.push_success(&vec![opened(&terms, 6_000), claimed(&terms, 6_001)]);
        state(&answers, 2);
        let trade = client.timelock_find(terms.lock).await.unwrap();
        assert_eq!(trade.secret, Some(SECRET));
        assert_eq!(trade.halves[0].state, State::Claimed);
        assert!(answers.read_q().is_empty());
    }

    #[tokio::test]
    async fn only_swaps_of_the_account_are_listed() {
        let answers = Asserter::new();
        let client = client(Chain::Ethereum, &answers);
        let others = terms(BOB, COIN, 5);
        let own = terms(BOB, ALICE, 5);
        head(&answers, 50_000);
        let logs = vec![
            opened(&others, 49_991),
            claimed(&others, 49_992),
            opened(&own, 49_999),
        ];
        answers.push_success(&logs);
        state(&answers, 3);
        let bounds = Bounds {
            blocks: Some(10),
            ..Bounds::default()
        };
        let trade = search(&[&client], By::Account(ALICE), bounds, |_| false)
            .await
            .unwrap();
        assert_eq!(trade.halves.len(), 1);
        assert_eq!(trade.halves[0].state, State::Refunded);
        assert_eq!(trade.secret, None);
        assert!(answers.read_q().is_empty());
    }

    #[tokio::test]
    async fn a_node_without_older_blocks_ends_the_search_and_a_deaf_one_fails() {
        for (first, is_good) in [(true, true), (false, false)] {
            let answers = Asserter::new();
            let client = client(Chain::Native, &answers);
            head(&answers, 15_000);
            if first {
                answers.push_success(&Vec::<Log>::new());
            }
            answers.push_failure_msg("no such block here");
            let trade = client.timelock_find(B256::ZERO).await;
            assert_eq!(trade.is_ok(), is_good);
        }
    }

    fn ranges(head: u64, oldest: u64, left: u64) -> Vec<(u64, u64)> {
        Ranges {
            next: Some(head),
            oldest,
            left,
        }
        .collect()
    }

    #[test]
    fn ranges_go_back_without_gaps() {
        assert_eq!(ranges(5, 0, 9), [(0, 5)]);
        assert_eq!(ranges(0, 0, 9), [(0, 0)]);
        assert_eq!(ranges(9_999, 0, 9), [(0, 9_999)]);
        assert_eq!(ranges(10_000, 0, 9), [(1, 10_000), (0, 0)]);
        assert_eq!(
            ranges(25_000, 3_000, 9),
            [(15_001, 25_000), (5_001, 15_000), (3_000, 5_000)]
        );
        assert_eq!(ranges(25_000, 0, 1), [(15_001, 25_000)]);
        assert_eq!(ranges(2, 3, 9), []);
        let to_the_end = ranges(u64::MAX, 0, 3);
        assert_eq!(to_the_end.len(), 3);
        assert_eq!(to_the_end[0].1, u64::MAX);
    }
}
