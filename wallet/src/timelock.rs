//! Hashed-timelock swaps as a chain tells of them: what the wallet and the relayer both ask.
//!
//! ```txt
//! opener's chain   SwapOpened(id, lock, terms)        the claimer opens the other half under the same lock,
//! claimer's chain  SwapOpened(id, lock, terms)        with an earlier deadline
//! claimer's chain  SwapClaimed(id, lock, secret)      shows the secret to everybody
//! opener's chain   SwapClaimed(id, lock, secret)      or SwapRefunded(id, lock), after the deadline
//! ```
//!
//! An event is believed only if it fits itself: the id is its terms' name on this chain, the lock is the
//! secret's hash. Whether a swap is open is asked of the contract ([`state`]), never concluded from events.
//! `contracts/src/swaps/HashedTimelock.sol` is the contract, `docs/protocol.md` ("Swaps without the bridge")
//! the specification.
//!
//! Limits: [`MAX_EVENTS`] events for one search.

use crate::rpc::{Endpoint, RpcError};
use alloy::{
    eips::BlockNumberOrTag,
    primitives::{Address, B256, U256, keccak256},
    providers::Provider,
    rpc::types::{Filter, Log},
    sol_types::{SolEvent, SolValue},
};
use mileverse_primitives::exchange::HashedTimelock::{self, SwapClaimed, SwapOpened, SwapRefunded};
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use std::fmt;

/// Most events that one search may answer.
pub const MAX_EVENTS: usize = 10_000;
/// How far ahead a deadline may lie, seconds: as the contract has it.
pub const MAX_LIFETIME: u64 = 30 * 24 * 3_600;

/// What two people agreed on, one half of it.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Terms {
    /// The token's contract, or its face, on this chain.
    pub token: Address,
    /// How much, in its smallest unit.
    pub amount: U256,
    /// Who opened it and is refunded.
    pub opener: Address,
    /// Who is paid for the secret.
    pub claimer: Address,
    /// SHA-256 of the 32 bytes of the secret.
    pub lock: B256,
    /// Last second at which it may be claimed, since 1970.
    pub deadline: u64,
}

impl Terms {
    /// As the contract takes them.
    pub const fn abi(&self) -> HashedTimelock::Terms {
        HashedTimelock::Terms {
            token: self.token,
            amount: self.amount,
            opener: self.opener,
            claimer: self.claimer,
            lock: self.lock,
            deadline: self.deadline,
        }
    }

    /// The swap's name: `keccak256(abi.encode(chain id, contract, terms))`.
    pub fn id(&self, chain_id: u64, contract: Address) -> B256 {
        keccak256((U256::from(chain_id), contract, self.abi()).abi_encode())
    }
}

impl From<HashedTimelock::Terms> for Terms {
    fn from(terms: HashedTimelock::Terms) -> Self {
        Self {
            token: terms.token,
            amount: terms.amount,
            opener: terms.opener,
            claimer: terms.claimer,
            lock: terms.lock,
            deadline: terms.deadline,
        }
    }
}

/// What became of a swap.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Never opened.
    None,
    /// Its tokens wait for the secret, or for the deadline to pass.
    Open,
    /// The claimer was paid.
    Claimed,
    /// The opener was paid back.
    Refunded,
}

impl State {
    /// The state that the contract has for this number; `None` if it has none.
    pub const fn from_word(word: u8) -> Option<Self> {
        match word {
            0 => Some(Self::None),
            1 => Some(Self::Open),
            2 => Some(Self::Claimed),
            3 => Some(Self::Refunded),
            _ => None,
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "unknown",
            Self::Open => "open",
            Self::Claimed => "claimed",
            Self::Refunded => "refunded",
        })
    }
}

/// Something that happened to a swap.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Happened {
    /// Its tokens were taken in.
    Opened(Terms),
    /// It was claimed with this secret.
    Claimed {
        /// The 32 bytes.
        secret: B256,
    },
    /// It was refunded.
    Refunded,
}

/// An event of the contract.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Event {
    /// The swap's name.
    pub id: B256,
    /// Its lock.
    pub lock: B256,
    /// What happened.
    pub happened: Happened,
    /// The block that tells it.
    pub block: u64,
    /// The transaction.
    pub transaction: B256,
}

/// The lock of a secret.
pub fn lock_of(secret: B256) -> B256 {
    B256::from(<[u8; 32]>::from(Sha256::digest(secret)))
}

/// What happened in these blocks, both included, in order. With `lock`, only to swaps under it.
pub async fn events(
    endpoint: &Endpoint,
    chain_id: u64,
    contract: Address,
    blocks: (u64, u64),
    lock: Option<B256>,
) -> Result<Vec<Event>, RpcError> {
    let filter = filter(contract, blocks);
    let filter = match lock {
        Some(lock) => filter.topic2(lock),
        None => filter,
    };
    search(endpoint, chain_id, contract, blocks, &filter).await
}

/// What happened in these blocks, both included, in order, to one swap.
pub async fn events_of(
    endpoint: &Endpoint,
    chain_id: u64,
    contract: Address,
    blocks: (u64, u64),
    id: B256,
) -> Result<Vec<Event>, RpcError> {
    let filter = filter(contract, blocks).topic1(id);
    search(endpoint, chain_id, contract, blocks, &filter).await
}

fn filter(contract: Address, blocks: (u64, u64)) -> Filter {
    Filter::new()
        .address(contract)
        .event_signature(vec![
            SwapOpened::SIGNATURE_HASH,
            SwapClaimed::SIGNATURE_HASH,
            SwapRefunded::SIGNATURE_HASH,
        ])
        .from_block(BlockNumberOrTag::Number(blocks.0))
        .to_block(BlockNumberOrTag::Number(blocks.1))
}

async fn search(
    endpoint: &Endpoint,
    chain_id: u64,
    contract: Address,
    blocks: (u64, u64),
    filter: &Filter,
) -> Result<Vec<Event>, RpcError> {
    let logs = endpoint
        .provider()
        .get_logs(filter)
        .await
        .map_err(|fault| endpoint.fault(fault))?;
    if logs.len() > MAX_EVENTS {
        return Err(endpoint.nonsense("too many events of swaps; search fewer blocks at once"));
    }
    logs.iter()
        .map(|log| {
            read(chain_id, contract, blocks, log)
                .ok_or_else(|| endpoint.nonsense("an event of a swap that does not fit itself"))
        })
        .collect()
}

fn read(chain_id: u64, contract: Address, blocks: (u64, u64), log: &Log) -> Option<Event> {
    let block = log
        .block_number
        .filter(|block| (blocks.0..=blocks.1).contains(block))?;
    if log.address() != contract {
        return None;
    }
    let (id, lock, happened) = match *log.topic0()? {
        SwapOpened::SIGNATURE_HASH => {
            let event = SwapOpened::decode_log(&log.inner).ok()?.data;
            let terms = Terms::from(event.terms);
            let fits = terms.lock == event.lock && terms.id(chain_id, contract) == event.id;
            (
                event.id,
                event.lock,
                fits.then_some(Happened::Opened(terms))?,
            )
        }
        SwapClaimed::SIGNATURE_HASH => {
            let event = SwapClaimed::decode_log(&log.inner).ok()?.data;
            let secret = event.secret;
            let fits = lock_of(secret) == event.lock;
            (
                event.id,
                event.lock,
                fits.then_some(Happened::Claimed { secret })?,
            )
        }
        SwapRefunded::SIGNATURE_HASH => {
            let event = SwapRefunded::decode_log(&log.inner).ok()?.data;
            (event.id, event.lock, Happened::Refunded)
        }
        _ => return None,
    };
    Some(Event {
        id,
        lock,
        happened,
        block,
        transaction: log.transaction_hash?,
    })
}

/// What became of a swap, as of a block.
pub async fn state(
    endpoint: &Endpoint,
    contract: Address,
    id: B256,
    at: BlockNumberOrTag,
) -> Result<State, RpcError> {
    let call = HashedTimelock::statesCall { id };
    let word = endpoint.view_at(contract, &call, at).await?;
    State::from_word(word).ok_or_else(|| endpoint.nonsense(&format!("state {word} of a swap")))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use alloy::primitives::b256;

    fn terms() -> Terms {
        Terms {
            token: Address::repeat_byte(1),
            amount: U256::from(5),
            opener: Address::repeat_byte(2),
            claimer: Address::repeat_byte(3),
            lock: lock_of(B256::repeat_byte(4)),
            deadline: 1_800_000_000,
        }
    }

    fn log(event: &impl SolEvent, block: u64) -> Log {
        Log {
            inner: alloy::primitives::Log {
                address: Address::repeat_byte(9),
                data: event.encode_log_data(),
            },
            block_number: Some(block),
            transaction_hash: Some(B256::repeat_byte(8)),
            ..Log::default()
        }
    }

    #[test]
    fn a_lock_is_sha256_of_the_32_bytes() {
        // FIPS 180-4 over 32 zero bytes.
        assert_eq!(
            lock_of(B256::ZERO),
            b256!("66687aadf862bd776c8fc18b8e9f8e20089714856ee233b3902a591d0d5f2925")
        );
    }

    #[test]
    fn what_does_not_fit_itself_is_not_believed() {
        let contract = Address::repeat_byte(9);
        let good = terms();
        let id = good.id(7, contract);
        let opened = |id, lock, terms: Terms| SwapOpened {
            id,
            lock,
            terms: terms.abi(),
        };
        let read = |log: &Log| read(7, contract, (10, 20), log);
        let event = read(&log(&opened(id, good.lock, good), 10)).unwrap();
        assert_eq!(event.happened, Happened::Opened(good));
        assert_eq!((event.id, event.lock, event.block), (id, good.lock, 10));
        let more = Terms {
            amount: U256::from(6),
            ..good
        };
        assert_eq!(read(&log(&opened(id, good.lock, more), 10)), None);
        assert_eq!(read(&log(&opened(id, B256::ZERO, good), 10)), None);
        assert_eq!(read(&log(&opened(id, good.lock, good), 21)), None);
        let elsewhere = opened(good.id(8, contract), good.lock, good);
        assert_eq!(read(&log(&elsewhere, 10)), None);
        let claimed = |secret| SwapClaimed {
            id,
            lock: good.lock,
            secret,
        };
        let secret = B256::repeat_byte(4);
        assert_eq!(
            read(&log(&claimed(secret), 20)).unwrap().happened,
            Happened::Claimed { secret }
        );
        assert_eq!(read(&log(&claimed(B256::ZERO), 20)), None);
        let mut stranger = log(&claimed(secret), 20);
        stranger.inner.address = Address::ZERO;
        assert_eq!(read(&stranger), None);
    }
}
