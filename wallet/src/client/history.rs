//! What an account did and what happened to it on a chain, from the chain's own events: transfers of
//! points and of the coin's ERC-20 (on the native chain its face), swaps, payments, provisions, quarterly
//! rewards. A swap across chains has the bridge on its other side; points that went to another native
//! chain, or came from there, have a packet there ([`Beyond`]). A peer's points are a token of their own
//! and not among these.
//!
//! Read backwards from the newest block, [`HISTORY_RANGE`] blocks a question, until there are enough
//! entries, the first block is reached, or the node does not keep older ones; [`History::oldest`]
//! says how far it went. Coin that somebody sent as plain value leaves no event and is
//! not found; this wallet sends it by its ERC-20 face, which leaves one.

use super::{Client, ClientError, PacketName};
use crate::{
    review::Places,
    rpc::{Chain, RpcError},
    units::{Amount, Token},
};
use alloy::{
    primitives::{Address, B256, address},
    providers::Provider,
    rpc::types::{Filter, Log},
    sol_types::SolEvent,
};
use mileverse_bindings::QuarterlyRewards;
use mileverse_primitives::{
    abi::{ICoin, IPeers, IRewards},
    address::{BRIDGE, PEERS, POINTS, peer_of_points},
    exchange::{POOL, Pool, ROUTER, SwapRouter},
    packet::{Packet, PacketId},
    quarter::Quarter,
};
use serde::{Serialize, Serializer};
use std::collections::{BTreeMap, BTreeSet, btree_map};

/// Blocks of one question.
pub const HISTORY_RANGE: u64 = 10_000;
/// Most entries of one answer.
pub const MAX_ENTRIES: usize = 1_000;
/// Most questions for one answer.
const MAX_QUESTIONS: u64 = 200;
/// Holds the shares of a pool that nobody owns.
const LOCK: Address = address!("000000000000000000000000000000000000dead");

/// What happened.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Kind {
    /// Came in.
    Received,
    /// Went out.
    Sent,
    /// Made for the account: points issued, or what came over the bridge or from a peer.
    Made,
    /// Burned, or sent over the bridge or to a peer.
    Left,
    /// Traded in the pool.
    Swapped,
    /// Provided to the pool.
    Provided,
    /// Taken back from the pool.
    Withdrawn,
    /// Paid for holding coin at a quarter's end: by the native chain itself, or on Ethereum on claim.
    Rewarded,
}

/// One event of an account.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Entry {
    /// What happened.
    pub kind: Kind,
    /// What went out, if anything.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub out: Vec<Amount>,
    /// What came in, if anything.
    #[serde(rename = "in", skip_serializing_if = "Vec::is_empty")]
    pub r#in: Vec<Amount>,
    /// The other side.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub with: Option<Address>,
    /// The quarter of a reward; as text, `2026Q4`.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "named")]
    pub quarter: Option<Quarter>,
    /// What went to another native chain, or came from there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub beyond: Option<Beyond>,
    /// The block.
    pub block: u64,
    /// Its time, seconds since 1970.
    pub time: u64,
    /// Place of the event in its block.
    pub index: u64,
    /// The transaction.
    pub transaction: B256,
}

#[allow(clippy::ref_option, reason = "serde's signature")]
fn named<S: Serializer>(quarter: &Option<Quarter>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&quarter.unwrap_or_default())
}

/// The other native chain, and the packet that carried points there or brought them from there.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Beyond {
    /// The chain.
    pub chain: u64,
    /// The packet; as text, `7001:7002:3`. Of a refund the one that expired.
    #[serde(serialize_with = "as_text")]
    pub packet: PacketName,
    /// Who receives there what went there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub receiver: Option<Address>,
}

fn as_text<S: Serializer>(packet: &PacketName, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(packet)
}

/// An account that has entries in a block.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Touched {
    /// The block.
    pub block: u64,
    /// The account.
    pub account: Address,
}

/// Entries, newest first.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct History {
    /// What was found.
    pub entries: Vec<Entry>,
    /// The oldest block that was looked at.
    pub oldest: u64,
    /// The newest.
    pub newest: u64,
}

impl Client {
    /// The newest entries of an account, at most `limit` and [`MAX_ENTRIES`].
    pub async fn history(&self, account: Address, limit: usize) -> Result<History, ClientError> {
        self.history_before(account, limit, None, MAX_QUESTIONS)
            .await
    }

    /// The same among the blocks below `before`, with at most so many questions of the node.
    pub async fn history_before(
        &self,
        account: Address,
        limit: usize,
        before: Option<u64>,
        questions: u64,
    ) -> Result<History, ClientError> {
        let newest = self.head().await?.number;
        let newest = before.map_or(newest, |before| newest.min(before.saturating_sub(1)));
        let limit = limit.min(MAX_ENTRIES);
        let mut entries = Vec::new();
        let mut oldest = newest.saturating_add(1);
        for question in 0..questions.min(MAX_QUESTIONS) {
            let Some(to) = oldest.checked_sub(1) else {
                break;
            };
            let from = to.saturating_sub(HISTORY_RANGE.saturating_sub(1));
            match self.between(account, from, to).await {
                Ok(found) => entries.extend(found),
                // A node that followed from a recent state has no older blocks. The first question
                // must be answered.
                Err(_) if question > 0 => break,
                Err(error) => return Err(error),
            }
            oldest = from;
            if entries.len() >= limit {
                break;
            }
        }
        entries.truncate(limit);
        Ok(History {
            entries,
            oldest,
            newest,
        })
    }

    /// All entries of an account in these blocks, newest first.
    pub async fn between(
        &self,
        account: Address,
        from: u64,
        to: u64,
    ) -> Result<Vec<Entry>, ClientError> {
        let all = self.events(from, to);
        let word = account.into_word();
        let mut logs = BTreeMap::new();
        for filter in [all.clone().topic1(word), all.topic2(word)] {
            place(self.logs(&filter).await?, &mut logs);
        }
        let mut times = BTreeMap::new();
        for ((block, _), log) in &logs {
            if !times.contains_key(block) {
                let time = match log.block_timestamp {
                    Some(time) => time,
                    None => self.time(*block).await?,
                };
                times.insert(*block, time);
            }
        }
        let mut entries = self.tell(account, &logs);
        for entry in &mut entries {
            entry.time = times.get(&entry.block).copied().unwrap_or_default();
        }
        self.look_beyond(account, &mut entries).await?;
        Ok(entries)
    }

    /// Names the packets of what went to other native chains or came from there.
    async fn look_beyond(
        &self,
        account: Address,
        entries: &mut [Entry],
    ) -> Result<(), ClientError> {
        if self.chain() != Chain::Native {
            return Ok(());
        }
        let mut logs: BTreeMap<B256, Vec<Log>> = BTreeMap::new();
        for entry in entries {
            let Some(peer) = entry.with.and_then(peer_of_points) else {
                continue;
            };
            if let btree_map::Entry::Vacant(place) = logs.entry(entry.transaction) {
                let receipt = self
                    .endpoint
                    .provider()
                    .get_transaction_receipt(entry.transaction)
                    .await
                    .map_err(|fault| self.endpoint.fault(fault))?
                    .ok_or_else(|| self.endpoint.nonsense("a log of no transaction"))?;
                place.insert(receipt.inner.into_logs());
            }
            let logs = logs.get(&entry.transaction).map_or(&[][..], Vec::as_slice);
            entry.beyond = if entry.out.is_empty() {
                brought(logs, entry.index, peer, self.chain_id)
            } else {
                carried(logs, entry.index, peer, account)
            };
            // Without a packet it is a transfer like others, if an odd one.
            if entry.beyond.is_some() {
                entry.with = None;
                entry.kind = if entry.out.is_empty() {
                    Kind::Made
                } else {
                    Kind::Left
                };
            }
        }
        Ok(())
    }

    /// Who has entries in which of these blocks: each account and block once, in the blocks' order.
    pub async fn touched(&self, from: u64, to: u64) -> Result<Vec<Touched>, ClientError> {
        let mut logs = BTreeMap::new();
        place(self.logs(&self.events(from, to)).await?, &mut logs);
        // What an account would find if it asked for itself.
        let mut own: BTreeMap<Address, BTreeMap<(u64, u64), Log>> = BTreeMap::new();
        for (at, log) in logs {
            for topic in log.topics().iter().skip(1).take(2) {
                let account = Address::from_word(*topic);
                if account.into_word() == *topic {
                    own.entry(account).or_default().insert(at, log.clone());
                }
            }
        }
        let mut touched = BTreeSet::new();
        for (account, logs) in own {
            for entry in self.tell(account, &logs) {
                let block = entry.block;
                touched.insert(Touched { block, account });
            }
        }
        Ok(touched.into_iter().collect())
    }

    /// The first block of which this node can tell everything that histories are made of: 0 for all there ever
    /// was. The native chain's nodes have all blocks, or all since they joined; on Ethereum nothing was before
    /// the tokens' contracts.
    pub async fn history_begins(&self) -> Result<u64, ClientError> {
        let head = self.head().await?.number;
        if self.chain() == Chain::Native && (head == 0 || self.has(1).await?) {
            return Ok(0);
        }
        let (mut before, mut since) = (0, head);
        while since.saturating_sub(before) > 1 {
            let middle = before.midpoint(since);
            let is_since = match self.chain() {
                Chain::Native => self.has(middle).await?,
                Chain::Ethereum => match self.has_tokens(middle).await {
                    Ok(is_there) => is_there,
                    // A node without old states: then it is looked for from the very first block on.
                    Err(ClientError::Rpc(RpcError::Refused { .. })) => return Ok(0),
                    Err(error) => return Err(error),
                },
            };
            if is_since {
                since = middle;
            } else {
                before = middle;
            }
        }
        Ok(since)
    }

    /// Whether the node keeps this block.
    async fn has(&self, block: u64) -> Result<bool, ClientError> {
        match self.time(block).await {
            Ok(_) => Ok(true),
            Err(ClientError::Rpc(RpcError::Refused { .. })) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Whether any of the contracts was there at a block's end.
    async fn has_tokens(&self, block: u64) -> Result<bool, ClientError> {
        for contract in [Some(self.points), Some(self.coin), self.rewards] {
            let Some(contract) = contract else {
                continue;
            };
            let code = self.endpoint.provider().get_code_at(contract).number(block);
            let code = code.await.map_err(|fault| self.endpoint.fault(fault))?;
            if !code.is_empty() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The events of which histories are made.
    fn events(&self, from: u64, to: u64) -> Filter {
        let mut places = vec![self.points, self.coin];
        if self.chain() == Chain::Native {
            places.extend([POOL, ROUTER]);
        }
        places.extend(self.rewards);
        let kinds = vec![
            ICoin::Transfer::SIGNATURE_HASH,
            Pool::Swapped::SIGNATURE_HASH,
            Pool::Provided::SIGNATURE_HASH,
            Pool::Withdrawn::SIGNATURE_HASH,
            SwapRouter::SwappedAndSent::SIGNATURE_HASH,
            IRewards::RewardPaid::SIGNATURE_HASH,
            QuarterlyRewards::Claimed::SIGNATURE_HASH,
        ];
        Filter::new()
            .address(places)
            .event_signature(kinds)
            .from_block(from)
            .to_block(to)
    }

    async fn logs(&self, filter: &Filter) -> Result<Vec<Log>, ClientError> {
        let found = self.endpoint.provider().get_logs(filter).await;
        Ok(found.map_err(|fault| self.endpoint.fault(fault))?)
    }

    /// What an account's events say, newest first, without their times.
    fn tell(&self, account: Address, logs: &BTreeMap<(u64, u64), Log>) -> Vec<Entry> {
        // What a swap, a provision or a reward moved is told by its own event.
        let told: BTreeSet<(B256, Address)> = logs
            .values()
            .filter(|log| log.topic0() != Some(&ICoin::Transfer::SIGNATURE_HASH))
            .filter_map(|log| Some((log.transaction_hash?, self.teller(log.address())?)))
            .collect();
        let entries = logs.iter().rev().filter_map(|((block, index), log)| {
            let transaction = log.transaction_hash?;
            let is_told = |other| {
                self.teller(other)
                    .is_some_and(|teller| told.contains(&(transaction, teller)))
            };
            let mut quarter = None;
            let (kind, out, r#in, with) = if Some(log.address()) == self.rewards {
                let (amount, of) = read_reward(self.chain(), account, log)?;
                quarter = Some(of);
                (Kind::Rewarded, Vec::new(), vec![amount], self.rewards)
            } else {
                read(&self.places(), account, log, is_told)?
            };
            Some(Entry {
                kind,
                out,
                r#in,
                with,
                quarter,
                beyond: None,
                block: *block,
                time: 0,
                index: *index,
                transaction,
            })
        });
        entries.collect()
    }

    /// Whose events tell what somebody else's transfers moved: the rewards, or the exchange, which is one.
    fn teller(&self, address: Address) -> Option<Address> {
        match address {
            POOL | ROUTER => Some(POOL),
            other => self.rewards.filter(|rewards| *rewards == other),
        }
    }

    /// When a block was made, seconds since 1970.
    pub async fn time(&self, block: u64) -> Result<u64, ClientError> {
        let block = self
            .endpoint
            .provider()
            .get_block_by_number(block.into())
            .await
            .map_err(|fault| self.endpoint.fault(fault))?
            .ok_or_else(|| self.endpoint.nonsense("a log of a block that is not there"))?;
        Ok(block.header.timestamp)
    }
}

/// By their place in the chain.
fn place(found: Vec<Log>, logs: &mut BTreeMap<(u64, u64), Log>) {
    for log in found {
        if let (Some(block), Some(index)) = (log.block_number, log.log_index) {
            logs.insert((block, index), log);
        }
    }
}

/// The packet that a chain's own points left in for a peer: the module tells of it right after it took them.
fn carried(logs: &[Log], taken: u64, peer: u64, account: Address) -> Option<Beyond> {
    let event = logs
        .iter()
        .filter(|log| log.log_index.is_some_and(|index| index > taken))
        .filter(|log| log.address() == PEERS)
        .find_map(|log| IPeers::PacketSent::decode_log(&log.inner).ok())?;
    let packet = Packet::decode(&event.packet).ok()?;
    let Packet::Transfer(transfer) = &packet else {
        return None;
    };
    let fits = event.peer == peer && transfer.sender == account && transfer.id.destination == peer;
    fits.then_some(Beyond {
        chain: peer,
        packet: PacketName::Peers(transfer.id),
        receiver: Some(transfer.receiver),
    })
}

/// The packet that brought them back: the module tells of it right before it gives them.
fn brought(logs: &[Log], given: u64, peer: u64, own: u64) -> Option<Beyond> {
    let log = logs
        .iter()
        .filter(|log| log.log_index.is_some_and(|index| index < given))
        .rfind(|log| log.address() == PEERS)?;
    let (of, source, destination, sequence) =
        if let Ok(event) = IPeers::PacketReceived::decode_log(&log.inner) {
            (event.peer, peer, own, event.sequence)
        } else {
            let event = IPeers::PacketRefunded::decode_log(&log.inner).ok()?;
            (event.peer, own, peer, event.sequence)
        };
    (of == peer).then_some(Beyond {
        chain: peer,
        packet: PacketName::Peers(PacketId {
            source,
            destination,
            sequence,
        }),
        receiver: None,
    })
}

type Read = (Kind, Vec<Amount>, Vec<Amount>, Option<Address>);

/// One event as `account` sees it; nothing if it is not one of these, or told by another.
fn read(
    places: &Places,
    account: Address,
    log: &Log,
    is_told: impl Fn(Address) -> bool,
) -> Option<Read> {
    let token = match log.address() {
        token if token == places.points => Token::Mvp,
        token if token == places.coin => Token::Mvc,
        POOL => return read_pool(account, log),
        ROUTER => return read_router(account, log),
        _ => return None,
    };
    let event = ICoin::Transfer::decode_log(&log.inner).ok()?;
    let amount = vec![Amount::from_units(token, event.value)];
    let (is_out, other) = if event.from == account {
        (true, event.to)
    } else {
        (false, event.from)
    };
    if is_told(other) {
        return None;
    }
    let kind = match (is_out, other.is_zero() || other == places.bridge) {
        (true, true) => Kind::Left,
        (true, false) => Kind::Sent,
        (false, true) => Kind::Made,
        (false, false) => Kind::Received,
    };
    let (out, r#in) = if is_out {
        (amount, Vec::new())
    } else {
        (Vec::new(), amount)
    };
    let with = Some(other).filter(|other| !other.is_zero());
    Some((kind, out, r#in, with))
}

fn read_pool(account: Address, log: &Log) -> Option<Read> {
    let pair = |points, coins| {
        vec![
            Amount::from_units(Token::Mvp, points),
            Amount::from_units(Token::Mvc, coins),
        ]
    };
    if let Ok(event) = Pool::Swapped::decode_log(&log.inner) {
        let (give, get) = if event.tokenIn == POINTS {
            (Token::Mvp, Token::Mvc)
        } else {
            (Token::Mvc, Token::Mvp)
        };
        let out = vec![Amount::from_units(give, event.amountIn)];
        let r#in = vec![Amount::from_units(get, event.amountOut)];
        return Some(match (event.sender == account, event.receiver == account) {
            (true, true) => (Kind::Swapped, out, r#in, None),
            // Came over the bridge.
            (false, true) if event.sender == ROUTER => {
                (Kind::Swapped, Vec::new(), r#in, Some(BRIDGE))
            }
            // Paid to somebody else, or paid by somebody else.
            (true, false) => (Kind::Swapped, out, Vec::new(), Some(event.receiver)),
            _ => (Kind::Received, Vec::new(), r#in, Some(event.sender)),
        });
    }
    if let Ok(event) = Pool::Provided::decode_log(&log.inner) {
        let out = pair(event.amount0, event.amount1);
        let is_own = event.sender == account;
        return is_own.then_some((Kind::Provided, out, Vec::new(), None));
    }
    if let Ok(event) = Pool::Withdrawn::decode_log(&log.inner) {
        let r#in = pair(event.amount0, event.amount1);
        let is_own = event.receiver == account && account != LOCK;
        return is_own.then_some((Kind::Withdrawn, Vec::new(), r#in, None));
    }
    None
}

/// What was paid to `account`, for which quarter.
fn read_reward(chain: Chain, account: Address, log: &Log) -> Option<(Amount, Quarter)> {
    let (whose, quarter, amount) = match chain {
        Chain::Native => {
            let event = IRewards::RewardPaid::decode_log(&log.inner).ok()?;
            (event.account, event.quarter, event.amount)
        }
        Chain::Ethereum => {
            let event = QuarterlyRewards::Claimed::decode_log(&log.inner).ok()?;
            (event.account, event.quarter, event.amount)
        }
    };
    let amount = Amount::from_units(Token::Mvc, amount);
    (whose == account).then_some((amount, Quarter::new(quarter)))
}

/// What left over the bridge, swapped first. What came is told by the pool.
fn read_router(account: Address, log: &Log) -> Option<Read> {
    let event = SwapRouter::SwappedAndSent::decode_log(&log.inner).ok()?;
    let give = if event.tokenIn == POINTS {
        Token::Mvp
    } else {
        Token::Mvc
    };
    let out = vec![Amount::from_units(give, event.amountIn)];
    (event.sender == account).then_some((Kind::Swapped, out, Vec::new(), Some(BRIDGE)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use alloy::primitives::U256;
    use mileverse_primitives::packet;

    const OWN: u64 = 7_001;
    const PEER: u64 = 7_002;
    const ANN: Address = Address::repeat_byte(0xa1);
    const BOB: Address = Address::repeat_byte(0xb0);

    fn log(index: u64, event: &impl SolEvent) -> Log {
        Log {
            inner: alloy::primitives::Log {
                address: PEERS,
                data: event.encode_log_data(),
            },
            log_index: Some(index),
            ..Log::default()
        }
    }

    fn sent(sequence: u64, sender: Address) -> IPeers::PacketSent {
        let packet = Packet::Transfer(packet::Transfer {
            id: PacketId {
                source: OWN,
                destination: PEER,
                sequence,
            },
            deadline: 9,
            token: packet::Token {
                home: OWN,
                contract: POINTS,
            },
            sender,
            receiver: BOB,
            amount: U256::from(5),
            action: None,
            acknowledge: false,
        });
        IPeers::PacketSent {
            peer: PEER,
            sequence,
            commitment: packet.commitment(),
            packet: packet.encode(),
        }
    }

    #[test]
    fn what_left_is_named_by_the_packet_told_next() {
        // Two transfers of one transaction: each is taken, then told.
        let logs = [log(3, &sent(8, ANN)), log(6, &sent(9, ANN))];
        let named = |taken| {
            let beyond = carried(&logs, taken, PEER, ANN)?;
            assert_eq!((beyond.chain, beyond.receiver), (PEER, Some(BOB)));
            Some(beyond.packet.to_string())
        };
        assert_eq!(named(2).unwrap(), "7001:7002:8");
        assert_eq!(named(5).unwrap(), "7001:7002:9");
        assert_eq!(named(6), None);
        // Somebody else's, or to another chain.
        assert_eq!(carried(&logs, 2, PEER, BOB), None);
        assert_eq!(carried(&logs, 2, PEER + 1, ANN), None);
    }

    #[test]
    fn what_came_is_named_by_the_packet_told_before() {
        let (peer, commitment) = (PEER, B256::ZERO);
        let logs = [
            log(
                1,
                &IPeers::PacketReceived {
                    peer,
                    sequence: 4,
                    commitment,
                },
            ),
            log(
                5,
                &IPeers::PacketReceived {
                    peer,
                    sequence: 6,
                    commitment,
                },
            ),
            log(
                6,
                &IPeers::PacketRefunded {
                    peer,
                    sequence: 2,
                    commitment,
                },
            ),
        ];
        let named = |given| Some(brought(&logs, given, PEER, OWN)?.packet.to_string());
        assert_eq!(named(0), None);
        assert_eq!(named(2).unwrap(), "7002:7001:4");
        // An expiry came, and refunds what had gone.
        assert_eq!(named(7).unwrap(), "7001:7002:2");
        assert_eq!(brought(&logs, 2, PEER + 1, OWN), None);
    }
}
