//! Rotation to a new group key: who asks for one, since when it is due, and every key there was.
//! `IRotation` at `0x4d56…0005`; `docs/protocol.md`, "Rotation", explains it.
//!
//! ```txt
//! slot
//! 0    uint64 | uint64 << 64 | uint64 << 128   round of requests, first epoch to try in (0: none), new keys so far
//! 1    mapping(uint64 => uint64)               last round, plus one, in which a delegate asked; by candidate number
//! 2    mapping(uint64 => Key)                  new keys, by number from 1: +0 first epoch, +1 .. +8 the key (256 bytes)
//! ```
//!
//! The owners of more than two thirds of a committee's delegates must ask, in any of its epochs; a
//! request stands until the key has changed, for as long as its delegate sits in the committee.
//! From the epoch after on, every epoch's players generate a key, until one takes over in an
//! epoch's last block. The key of block 0 is number 0 and stands in the genesis file.
//!
//! Limits: [`MAX_INPUT`] bytes of calldata; a committee has at most 99 delegates, and a request
//! reads each of them.

use super::{
    Config,
    bridge::announce::NewKey,
    decode,
    host::{Fault, Host},
    ledger::Ledger,
    slot::Slot,
    staking,
};
use crate::{
    executor::BlockInput,
    state::{ReadError, StateReader, storage},
};
use alloy::{
    primitives::{Address, Bytes, U256},
    sol_types::SolCall,
};
use mileverse_primitives::{
    abi::IRotation::{self, IRotationCalls as Call},
    address::ROTATION,
    packet::GroupKey,
};
use thiserror::Error;

/// Longest calldata.
pub(crate) const MAX_INPUT: usize = 64;

const STATE: Slot = Slot::at(ROTATION, 0);
const ASKED: Slot = Slot::at(ROTATION, 1);
const KEYS: Slot = Slot::at(ROTATION, 2);
/// Words of a group key.
const KEY_WORDS: usize = 8;
const WORD: usize = 32;

/// Why a call is refused, or a block is invalid.
#[derive(Clone, Copy, Debug, Error, Eq, PartialEq)]
pub(crate) enum Refusal {
    #[error("{0} owns no delegate of this epoch's committee; only their owners ask for a new key")]
    NoDelegate(Address),
    #[error("this delegate has asked already")]
    AskedAlready,
    #[error("this delegate has not asked")]
    NotAsked,
    #[error("the rotation is due since epoch {0}; it cannot be taken back")]
    Due(u64),
    #[error("no new key has the number {0}")]
    NoSuchKey(u64),
    #[error("a block changes the group key, but not at its epoch's end")]
    NotLast,
    #[error("a block changes the group key, but no rotation is due")]
    NotDue,
    #[error("a new group key signs from another epoch than the next")]
    WrongEpoch,
}

impl From<Refusal> for Fault {
    fn from(refusal: Refusal) -> Self {
        Self::revert(refusal.to_string())
    }
}

/// The first word.
#[derive(Clone, Copy, Debug)]
struct State {
    round: u64,
    /// First epoch to try in; 0 if none is asked for.
    since: u64,
    keys: u64,
}

impl State {
    const fn decode(word: U256) -> Self {
        let [round, since, keys, _] = *word.as_limbs();
        Self { round, since, keys }
    }

    const fn encode(self) -> U256 {
        U256::from_limbs([self.round, self.since, self.keys, 0])
    }
}

/// What the state says of rotations.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Rotations {
    /// The epoch from which on every epoch tries to make a new key.
    pub since: Option<u64>,
    /// All keys after the genesis key, oldest first.
    pub keys: Vec<NewKey>,
}

fn now(host: &Host<'_>) -> u64 {
    host.height() / host.config().epoch_blocks.max(1)
}

/// How many of an epoch's delegates ask, and how many there are.
fn count(ledger: &mut impl Ledger, state: State, delegates: &[u64]) -> Result<(u32, u32), Fault> {
    let mark = U256::from(state.round.saturating_add(1));
    let mut asked = 0u32;
    for delegate in delegates {
        if ledger.load(ASKED.entry(*delegate))? == mark {
            asked = asked.saturating_add(1);
        }
    }
    let size = u32::try_from(delegates.len()).map_err(|_| Fault::overflow())?;
    Ok((asked, size))
}

/// The least number that is more than two thirds of a committee.
const fn needed(size: u32) -> u32 {
    size.saturating_mul(2) / 3 + 1
}

/// The caller's delegate, and all of them.
fn delegate(host: &mut Host<'_>) -> Result<(u64, Vec<u64>), Fault> {
    let caller = host.caller();
    let epoch = now(host);
    let delegates = staking::delegates::of_epoch(host, epoch)?;
    staking::delegates::number(host, caller)?
        .filter(|number| delegates.contains(number))
        .map(|number| (number, delegates))
        .ok_or_else(|| Refusal::NoDelegate(caller).into())
}

pub(crate) fn call(host: &mut Host<'_>, data: &[u8]) -> Result<Vec<u8>, Fault> {
    let call = decode::<Call>(data)?;
    host.not_payable()?;
    Ok(match call {
        Call::request(_) => {
            host.may_change()?;
            request(host)?;
            Vec::new()
        }
        Call::withdraw(_) => {
            host.may_change()?;
            withdraw(host)?;
            Vec::new()
        }
        Call::rotation(_) => {
            let state = State::decode(host.load(STATE)?);
            let epoch = now(host);
            let delegates = staking::delegates::of_epoch(host, epoch)?;
            let (asked, size) = count(host, state, &delegates)?;
            IRotation::rotationCall::abi_encode_returns(&IRotation::rotationReturn {
                since: state.since,
                asked,
                needed: needed(size),
            })
        }
        Call::keyCount(_) => {
            let state = State::decode(host.load(STATE)?);
            IRotation::keyCountCall::abi_encode_returns(&state.keys)
        }
        Call::key(call) => {
            let state = State::decode(host.load(STATE)?);
            if call.number == 0 || call.number > state.keys {
                return Err(Refusal::NoSuchKey(call.number).into());
            }
            let place = KEYS.entry(call.number);
            let first_epoch = host.load(place)?.saturating_to();
            let mut words = [U256::ZERO; KEY_WORDS];
            for (index, word) in (1..).zip(&mut words) {
                *word = host.load(place.field(index))?;
            }
            IRotation::keyCall::abi_encode_returns(&IRotation::keyReturn {
                firstEpoch: first_epoch,
                groupKey: Bytes::copy_from_slice(join(&words).as_slice()),
            })
        }
    })
}

fn request(host: &mut Host<'_>) -> Result<(), Fault> {
    let mut state = State::decode(host.load(STATE)?);
    let (delegate, delegates) = delegate(host)?;
    let place = ASKED.entry(delegate);
    let mark = U256::from(state.round.saturating_add(1));
    if host.load(place)? == mark {
        return Err(Refusal::AskedAlready.into());
    }
    host.store(place, mark)?;
    let (asked, size) = count(host, state, &delegates)?;
    if state.since == 0 && asked >= needed(size) {
        state.since = now(host).saturating_add(1);
        host.store(STATE, state.encode())?;
    }
    let owner = host.caller();
    host.log(
        ROTATION,
        &IRotation::RotationRequested {
            owner,
            asked,
            since: state.since,
        },
    )
}

fn withdraw(host: &mut Host<'_>) -> Result<(), Fault> {
    let state = State::decode(host.load(STATE)?);
    if state.since != 0 {
        return Err(Refusal::Due(state.since).into());
    }
    let owner = host.caller();
    let number = staking::delegates::number(host, owner)?.ok_or(Refusal::NotAsked)?;
    let place = ASKED.entry(number);
    if host.load(place)? != U256::from(state.round.saturating_add(1)) {
        return Err(Refusal::NotAsked.into());
    }
    host.store(place, U256::ZERO)?;
    host.log(ROTATION, &IRotation::RotationWithdrawn { owner })
}

/// A block's end: takes a new key down, if it is due.
pub(crate) fn end(
    ledger: &mut impl Ledger,
    config: &Config,
    block: &BlockInput,
) -> Result<(), Fault> {
    let Some(new) = &block.new_key else {
        return Ok(());
    };
    let epoch = block.height / config.epoch_blocks.max(1);
    let next = block.next_epoch.as_ref().ok_or(Refusal::NotLast)?;
    if new.first_epoch != next.epoch || epoch.checked_add(1) != Some(new.first_epoch) {
        return Err(Refusal::WrongEpoch.into());
    }
    let state = State::decode(ledger.load(STATE)?);
    if state.since == 0 || state.since > epoch {
        return Err(Refusal::NotDue.into());
    }
    let number = state.keys.checked_add(1).ok_or_else(Fault::overflow)?;
    let place = KEYS.entry(number);
    ledger.store(place, U256::from(new.first_epoch))?;
    for (index, word) in (1..).zip(new.key.as_slice().chunks_exact(WORD)) {
        ledger.store(place.field(index), U256::from_be_slice(word))?;
    }
    let after = State {
        round: state.round.checked_add(1).ok_or_else(Fault::overflow)?,
        since: 0,
        keys: number,
    };
    ledger.store(STATE, after.encode())
}

/// What the node asks of committed state.
pub(crate) async fn read(state: &impl StateReader) -> Result<Rotations, ReadError> {
    let first = State::decode(storage(state, ROTATION, STATE.key()).await?);
    let mut keys = Vec::new();
    for number in 1..=first.keys {
        let place = KEYS.entry(number);
        let first_epoch = storage(state, ROTATION, place.key()).await?.saturating_to();
        let mut words = [U256::ZERO; KEY_WORDS];
        for (index, word) in (1..).zip(&mut words) {
            *word = storage(state, ROTATION, place.field(index).key()).await?;
        }
        keys.push(NewKey {
            first_epoch,
            key: join(&words),
        });
    }
    Ok(Rotations {
        since: (first.since != 0).then_some(first.since),
        keys,
    })
}

fn join(words: &[U256; KEY_WORDS]) -> GroupKey {
    let mut key = GroupKey::ZERO;
    for (chunk, word) in key.as_mut_slice().chunks_exact_mut(WORD).zip(words) {
        chunk.copy_from_slice(&word.to_be_bytes::<WORD>());
    }
    key
}
