//! What is stored of a candidate, word by word, and the list of those that an election looks at.

use super::{
    CANDIDATES, COUNTS, KEYS, LISTED, OWNERS,
    refusal::Refusal,
    word::{broken, halves, limbs, pack, split, unpack},
};
use crate::modules::{host::Fault, ledger::Ledger, slot::Slot};
use alloy::primitives::{Address, B256, U256};
use mileverse_primitives::staking::StakingRules;
use std::net::{Ipv6Addr, SocketAddr};

const LISTED_FLAG: u8 = 1;
const JAILED_FLAG: u8 = 2;
const TOMBSTONED_FLAG: u8 = 4;

/// One word of a candidate.
pub(super) trait Word: Sized {
    /// Which one.
    const FIELD: u64;
    fn decode(word: U256) -> Self;
    fn encode(&self) -> U256;
}

/// Where a candidate stands.
pub(super) fn place(id: u64) -> Slot {
    CANDIDATES.entry(id)
}

pub(super) fn get<W: Word>(ledger: &mut impl Ledger, id: u64) -> Result<W, Fault> {
    Ok(W::decode(ledger.load(place(id).field(W::FIELD))?))
}

pub(super) fn put<W: Word>(ledger: &mut impl Ledger, id: u64, word: &W) -> Result<(), Fault> {
    ledger.store(place(id).field(W::FIELD), word.encode())
}

/// Who it is and how it stands.
#[derive(Clone, Copy, Debug)]
pub(super) struct Standing {
    pub(super) owner: Address,
    pub(super) commission_bp: u16,
    pub(super) listed: bool,
    pub(super) jailed: bool,
    pub(super) tombstoned: bool,
}

impl Word for Standing {
    const FIELD: u64 = 0;

    fn decode(word: U256) -> Self {
        let bytes = word.to_be_bytes::<32>();
        let (flags, commission) = (bytes[9], [bytes[10], bytes[11]]);
        Self {
            owner: Address::from_slice(&bytes[12..]),
            commission_bp: u16::from_be_bytes(commission),
            listed: flags & LISTED_FLAG != 0,
            jailed: flags & JAILED_FLAG != 0,
            tombstoned: flags & TOMBSTONED_FLAG != 0,
        }
    }

    fn encode(&self) -> U256 {
        let flag = |set: bool, flag: u8| if set { flag } else { 0 };
        let flags = flag(self.listed, LISTED_FLAG)
            | flag(self.jailed, JAILED_FLAG)
            | flag(self.tombstoned, TOMBSTONED_FLAG);
        let [high, low] = self.commission_bp.to_be_bytes();
        let mut bytes = [0; 32];
        bytes[9..12].copy_from_slice(&[flags, high, low]);
        bytes[12..].copy_from_slice(self.owner.as_slice());
        U256::from_be_bytes(bytes)
    }
}

/// Its consensus key.
pub(super) struct Key(pub(super) B256);

impl Word for Key {
    const FIELD: u64 = 1;

    fn decode(word: U256) -> Self {
        Self(word.into())
    }

    fn encode(&self) -> U256 {
        self.0.into()
    }
}

/// Its network address: `ip (16 bytes) ‖ port (2) ‖ zeros ‖ 4 or 6`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Endpoint(pub(super) Option<SocketAddr>);

impl Endpoint {
    /// As `ip:port`; empty if there is none.
    pub(super) fn text(self) -> String {
        self.0
            .map(|address| address.to_string())
            .unwrap_or_default()
    }
}

impl Word for Endpoint {
    const FIELD: u64 = 2;

    fn decode(word: U256) -> Self {
        let bytes = word.to_be_bytes::<32>();
        let mut ip = [0; 16];
        ip.copy_from_slice(&bytes[..16]);
        let ip = Ipv6Addr::from(ip);
        let port = u16::from_be_bytes([bytes[16], bytes[17]]);
        Self(match bytes[31] {
            4 => ip.to_ipv4_mapped().map(|ip| SocketAddr::from((ip, port))),
            6 => Some(SocketAddr::from((ip, port))),
            _ => None,
        })
    }

    fn encode(&self) -> U256 {
        let mut bytes = [0; 32];
        let (ip, version) = match self.0 {
            None => return U256::ZERO,
            Some(SocketAddr::V4(address)) => (address.ip().to_ipv6_mapped(), 4),
            Some(SocketAddr::V6(address)) => (*address.ip(), 6),
        };
        bytes[..16].copy_from_slice(&ip.octets());
        bytes[16..18].copy_from_slice(&self.0.map_or(0, |address| address.port()).to_be_bytes());
        bytes[31] = version;
        U256::from_be_bytes(bytes)
    }
}

/// Votes for it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Votes {
    pub(super) total: u128,
    /// Its owner's among them.
    pub(super) own: u128,
}

impl Word for Votes {
    const FIELD: u64 = 3;

    fn decode(word: U256) -> Self {
        let (total, own) = split(word);
        Self { total, own }
    }

    fn encode(&self) -> U256 {
        halves(self.total, self.own)
    }
}

/// Votes that came in `epoch`: they earn from the next one on.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Joining {
    pub(super) epoch: u64,
    pub(super) amount: u128,
}

impl Word for Joining {
    const FIELD: u64 = 4;

    fn decode(word: U256) -> Self {
        let (epoch, _, amount) = unpack(word);
        Self { epoch, amount }
    }

    fn encode(&self) -> U256 {
        pack(self.epoch, 0, self.amount)
    }
}

/// All that one unit of votes ever earned, times 2^96.
pub(super) struct Ratio(pub(super) U256);

impl Word for Ratio {
    const FIELD: u64 = 5;

    fn decode(word: U256) -> Self {
        Self(word)
    }

    fn encode(&self) -> U256 {
        self.0
    }
}

/// What rounding left of rewards, times 2^96.
pub(super) struct Carry(pub(super) U256);

impl Word for Carry {
    const FIELD: u64 = 6;

    fn decode(word: U256) -> Self {
        Self(word)
    }

    fn encode(&self) -> U256 {
        self.0
    }
}

/// Epochs that matter to it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Times {
    pub(super) registered: u64,
    /// First epoch in which it may leave the jail.
    pub(super) jailed_until: u64,
    /// First epoch in which its commission may rise.
    pub(super) may_rise: u64,
    /// Its place in the list, from 1; 0 if it is not listed.
    pub(super) place: u64,
}

impl Word for Times {
    const FIELD: u64 = 7;

    fn decode(word: U256) -> Self {
        let [registered, jailed_until, may_rise, place] = *word.as_limbs();
        Self {
            registered,
            jailed_until,
            may_rise,
            place,
        }
    }

    fn encode(&self) -> U256 {
        limbs([
            self.registered,
            self.jailed_until,
            self.may_rise,
            self.place,
        ])
    }
}

/// How it was slashed, once and for ever.
#[derive(Clone, Copy, Debug)]
pub(super) struct Slash {
    /// Epoch of the double proposal.
    pub(super) infraction: u64,
    /// Epoch in which it was proven.
    pub(super) proven: u64,
    /// Share that it costs; 0 if it was never slashed.
    pub(super) share_bp: u64,
    /// Height of the block in which it was proven.
    pub(super) height: u64,
}

impl Word for Slash {
    const FIELD: u64 = 8;

    fn decode(word: U256) -> Self {
        let [infraction, proven, share_bp, height] = *word.as_limbs();
        Self {
            infraction,
            proven,
            share_bp,
            height,
        }
    }

    fn encode(&self) -> U256 {
        limbs([self.infraction, self.proven, self.share_bp, self.height])
    }
}

/// Votes that a slashed candidate still had and that their voters have not taken home.
#[derive(Clone, Copy, Debug)]
pub(super) struct Remains {
    /// As they were voted.
    pub(super) nominal: u128,
    /// What is left of them.
    pub(super) held: u128,
}

impl Word for Remains {
    const FIELD: u64 = 9;

    fn decode(word: U256) -> Self {
        let (nominal, held) = split(word);
        Self { nominal, held }
    }

    fn encode(&self) -> U256 {
        halves(self.nominal, self.held)
    }
}

/// Who proved the double proposal.
pub(super) struct Reporter(pub(super) Address);

impl Word for Reporter {
    const FIELD: u64 = 10;

    fn decode(word: U256) -> Self {
        Self(Address::from_word(word.into()))
    }

    fn encode(&self) -> U256 {
        self.0.into_word().into()
    }
}

/// Number of a candidate by its owner.
pub(super) fn by_owner(ledger: &mut impl Ledger, owner: Address) -> Result<Option<u64>, Fault> {
    number(ledger.load(OWNERS.entry(owner))?)
}

/// Number of a candidate that must be there.
pub(super) fn find(ledger: &mut impl Ledger, owner: Address) -> Result<u64, Fault> {
    by_owner(ledger, owner)?.ok_or_else(|| Refusal::NoCandidate(owner).into())
}

/// Number of the candidate that has or had a key.
pub(super) fn by_key(ledger: &mut impl Ledger, key: B256) -> Result<Option<u64>, Fault> {
    number(ledger.load(KEYS.entry(key))?)
}

fn number(word: U256) -> Result<Option<u64>, Fault> {
    let number: u64 = word.try_into().map_err(|_| broken())?;
    Ok((number != 0).then_some(number))
}

/// How many candidates there ever were, and how many are listed.
pub(super) fn counts(ledger: &mut impl Ledger) -> Result<(u64, u64), Fault> {
    let [ever, listed, ..] = *ledger.load(COUNTS)?.as_limbs();
    Ok((ever, listed))
}

fn set_counts(ledger: &mut impl Ledger, ever: u64, listed: u64) -> Result<(), Fault> {
    ledger.store(COUNTS, limbs([ever, listed, 0, 0]))
}

/// A number for a new candidate; numbers grow with age and never come back.
pub(super) fn number_new(ledger: &mut impl Ledger, owner: Address) -> Result<u64, Fault> {
    let (ever, listed) = counts(ledger)?;
    let id = ever.checked_add(1).ok_or_else(broken)?;
    set_counts(ledger, id, listed)?;
    ledger.store(OWNERS.entry(owner), U256::from(id))?;
    Ok(id)
}

/// Numbers of all that are listed, in no order that matters.
pub(super) fn listed(ledger: &mut impl Ledger) -> Result<Vec<u64>, Fault> {
    let (_, count) = counts(ledger)?;
    (0..count)
        .map(|index| number(ledger.load(LISTED.entry(index))?)?.ok_or_else(broken))
        .collect()
}

/// Puts a candidate at the end of the list.
pub(super) fn list(
    ledger: &mut impl Ledger,
    rules: &StakingRules,
    id: u64,
    standing: &mut Standing,
    times: &mut Times,
) -> Result<(), Fault> {
    let (ever, count) = counts(ledger)?;
    if count >= u64::from(rules.max_candidates) {
        return Err(Refusal::ListFull(count).into());
    }
    let place = count.checked_add(1).ok_or_else(broken)?;
    ledger.store(LISTED.entry(count), U256::from(id))?;
    set_counts(ledger, ever, place)?;
    standing.listed = true;
    times.place = place;
    Ok(())
}

/// Takes a candidate off the list; the last one takes its place.
pub(super) fn unlist(ledger: &mut impl Ledger, id: u64) -> Result<(), Fault> {
    let mut standing: Standing = get(ledger, id)?;
    let mut times: Times = get(ledger, id)?;
    if !standing.listed {
        return Ok(());
    }
    let (ever, count) = counts(ledger)?;
    let last = count.checked_sub(1).ok_or_else(broken)?;
    let index = times.place.checked_sub(1).ok_or_else(broken)?;
    let moved = number(ledger.load(LISTED.entry(last))?)?.ok_or_else(broken)?;
    if moved != id {
        let mut moved_times: Times = get(ledger, moved)?;
        moved_times.place = times.place;
        put(ledger, moved, &moved_times)?;
        ledger.store(LISTED.entry(index), U256::from(moved))?;
    }
    ledger.store(LISTED.entry(last), U256::ZERO)?;
    set_counts(ledger, ever, last)?;
    standing.listed = false;
    times.place = 0;
    put(ledger, id, &standing)?;
    put(ledger, id, &times)
}
