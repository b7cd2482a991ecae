//! Limits, pauses, and large transfers that wait. Nothing here moves a token. Each link has its own.
//!
//! ```txt
//! slot, in the link's struct
//! 9    mapping(address => Token)    by token here:
//!                                     +0  sending: rule of `rate` | paused (1 bit) << 192
//!                                     +1  sent: used of `rate`
//!                                     +2  receiving: rule of `rate` | hold seconds (32) << 192
//!                                     +3  received: used of `rate`
//!                                     +4  large from; 2^96 - 1 is never
//! 10   mapping(uint64 => Hold)      by inbound sequence:
//!                                     +0  commitment
//!                                     +1  until (64 bits) | place in the list (64) << 64
//! 11   uint64                       how many wait
//! 12   mapping(uint64 => uint64)    their sequences, by place
//! 13   uint256                      bit 0: sending is paused, bit 1: receiving is paused
//! ```
//!
//! A transfer that comes in above a limit is refunded at its source, so that a limit leaves no packet
//! without an end and holds up none beside it. What is paused waits as it is, because a pause ends;
//! past its deadline it expires as always. Refunds count towards no limit.
//!
//! Limits: [`MAX_PAGE`] sequences in one answer.

use super::{HELD, Token, link::Link, rate, set_outcome};
use crate::modules::{
    host::{Fault, Host, to_u64},
    slot::Slot,
};
use alloy::primitives::{B256, U256, aliases::U96};
use mileverse_primitives::{
    abi::IValves::{self, Direction},
    bridge::MAX_HOLD_SECONDS,
};

/// Longest page of sequences.
const MAX_PAGE: u64 = 256;

const TOKENS: u64 = 9;
const HOLDS: u64 = 10;
const HELD_COUNT: u64 = 11;
const HELD_LIST: u64 = 12;
const PAUSES: u64 = 13;

const SENDING: u64 = 0;
const SENT: u64 = 1;
const RECEIVING: u64 = 2;
const RECEIVED: u64 = 3;
const LARGE_FROM: u64 = 4;

/// What of a rule's word is the rule itself.
const RULE_BITS: usize = 192;
const PAUSED: U256 = U256::from_limbs([0, 0, 0, 1]);

/// What becomes of a transfer that could be received.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Admission {
    /// It takes effect.
    Now,
    /// It waits so many seconds.
    After(u64),
    /// It is above a limit.
    Never,
}

fn place_of(token: Token) -> Slot {
    token.link.slot(TOKENS).entry(token.address())
}

/// A token's words of these limits, where nothing is used yet.
pub(crate) fn words(token: Token, limits: &IValves::Limits) -> [(Slot, U256); 3] {
    let place = place_of(token);
    let rule = |hour: U96, day: U96| U256::from(hour) | U256::from(day) << 96;
    let hold = U256::from(limits.holdSeconds) << RULE_BITS;
    [
        (
            place.field(SENDING),
            rule(limits.sendPerHour, limits.sendPerDay),
        ),
        (
            place.field(RECEIVING),
            rule(limits.receivePerHour, limits.receivePerDay) | hold,
        ),
        (place.field(LARGE_FROM), U256::from(limits.largeFrom)),
    ]
}

/// What every transfer of a token touches.
pub(super) fn slots(token: Token) -> impl Iterator<Item = Slot> {
    let place = place_of(token);
    (SENDING..=LARGE_FROM).map(move |field| place.field(field))
}

/// The word of pauses.
pub(super) fn pauses(link: Link) -> Slot {
    link.slot(PAUSES)
}

/// Counts what leaves, or refuses it.
pub(super) fn admit_out(host: &mut Host<'_>, token: Token, amount: U256) -> Result<(), Fault> {
    require_open(host, token.link, Direction::Send)?;
    let place = place_of(token);
    let rule = host.load(place.field(SENDING))?;
    require_not_paused(rule)?;
    let used = host.load(place.field(SENT))?;
    let Some(next) = rate::take(rule, used, amount, host.now()) else {
        let (hour, day) = rate::left(rule, used, host.now());
        return Err(Fault::revert(format!(
            "this is above what may still leave: {} units in this hour, {} in this UTC day; send less, or later",
            hour, day
        )));
    };
    host.store(place.field(SENT), next)
}

/// Counts what comes in, if the limits have room for it.
pub(super) fn admit_in(
    host: &mut Host<'_>,
    token: Token,
    amount: U256,
) -> Result<Admission, Fault> {
    let place = place_of(token);
    let rule = host.load(place.field(RECEIVING))?;
    let used = host.load(place.field(RECEIVED))?;
    let Some(next) = rate::take(rule, used, amount, host.now()) else {
        return Ok(Admission::Never);
    };
    host.store(place.field(RECEIVED), next)?;
    let large_from = host.load(place.field(LARGE_FROM))?;
    let hold = to_u64(rule >> RULE_BITS)?;
    Ok(
        if hold == 0 || large_from == rate::NONE || amount < large_from {
            Admission::Now
        } else {
            Admission::After(hold)
        },
    )
}

/// What came in and was counted in this very transaction did not take effect: it uses no room.
pub(super) fn put_back(host: &mut Host<'_>, token: Token, amount: U256) -> Result<(), Fault> {
    let slot = place_of(token).field(RECEIVED);
    let used = host.load(slot)?;
    host.store(slot, rate::put_back(used, amount))
}

/// Refuses while nothing may come in, or nothing may leave.
pub(crate) fn require_open(
    host: &mut Host<'_>,
    link: Link,
    direction: Direction,
) -> Result<(), Fault> {
    if !is_direction_paused(host, link, direction)? {
        return Ok(());
    }
    Err(Fault::revert(match direction {
        Direction::Receive => "the guardian has paused receiving; deliver when it goes on",
        _ => "the guardian has paused sending; send when it goes on",
    }))
}

/// Refuses a token that may not move now.
pub(super) fn require_unpaused(host: &mut Host<'_>, token: Token) -> Result<(), Fault> {
    let rule = host.load(place_of(token).field(SENDING))?;
    require_not_paused(rule)
}

fn require_not_paused(rule: U256) -> Result<(), Fault> {
    if (rule & PAUSED).is_zero() {
        Ok(())
    } else {
        Err(Fault::revert(
            "the guardian has paused this token; try again when it goes on",
        ))
    }
}

pub(crate) fn is_direction_paused(
    host: &mut Host<'_>,
    link: Link,
    direction: Direction,
) -> Result<bool, Fault> {
    let word = host.load(pauses(link))?;
    Ok(!(word & bit(direction)).is_zero())
}

pub(crate) fn set_direction_paused(
    host: &mut Host<'_>,
    link: Link,
    direction: Direction,
    paused: bool,
) -> Result<(), Fault> {
    let word = host.load(pauses(link))?;
    host.store(pauses(link), with(word, bit(direction), paused))
}

pub(crate) fn is_token_paused(host: &mut Host<'_>, token: Token) -> Result<bool, Fault> {
    let rule = host.load(place_of(token).field(SENDING))?;
    Ok(!(rule & PAUSED).is_zero())
}

pub(crate) fn set_token_paused(
    host: &mut Host<'_>,
    token: Token,
    paused: bool,
) -> Result<(), Fault> {
    let slot = place_of(token).field(SENDING);
    let rule = host.load(slot)?;
    host.store(slot, with(rule, PAUSED, paused))
}

fn bit(direction: Direction) -> U256 {
    U256::from(match direction {
        Direction::Receive => 2,
        _ => 1,
    })
}

fn with(word: U256, bits: U256, set: bool) -> U256 {
    if set { word | bits } else { word & !bits }
}

pub(crate) fn limits(host: &mut Host<'_>, token: Token) -> Result<IValves::Limits, Fault> {
    let place = place_of(token);
    let sending = host.load(place.field(SENDING))?;
    let receiving = host.load(place.field(RECEIVING))?;
    let large_from = host.load(place.field(LARGE_FROM))?;
    let low = |word: U256| U96::saturating_from(word & rate::NONE);
    Ok(IValves::Limits {
        sendPerHour: low(sending),
        sendPerDay: low(sending >> 96),
        receivePerHour: low(receiving),
        receivePerDay: low(receiving >> 96),
        largeFrom: low(large_from),
        holdSeconds: u32::try_from(to_u64(receiving >> RULE_BITS)?)
            .map_err(|_| Fault::overflow())?,
    })
}

/// New limits; a pause and what is used stay.
pub(crate) fn set_limits(
    host: &mut Host<'_>,
    token: Token,
    limits: &IValves::Limits,
) -> Result<(), Fault> {
    if limits.holdSeconds > MAX_HOLD_SECONDS {
        return Err(Fault::revert(
            "a large transfer waits at most 604,800 seconds",
        ));
    }
    let paused = is_token_paused(host, token)?;
    for (slot, word) in words(token, limits) {
        host.store(slot, word)?;
    }
    if paused {
        set_token_paused(host, token, true)?;
    }
    Ok(())
}

/// What is left of a token's limits now.
pub(crate) fn room(host: &mut Host<'_>, token: Token) -> Result<IValves::Room, Fault> {
    let place = place_of(token);
    let mut left = |rule, used| {
        let (rule, used) = (host.load(place.field(rule))?, host.load(place.field(used))?);
        Ok::<_, Fault>(rate::left(rule, used, host.now()))
    };
    let (send_in_hour, send_in_day) = left(SENDING, SENT)?;
    let (receive_in_hour, receive_in_day) = left(RECEIVING, RECEIVED)?;
    Ok(IValves::Room {
        sendInHour: send_in_hour,
        sendInDay: send_in_day,
        receiveInHour: receive_in_hour,
        receiveInDay: receive_in_day,
    })
}

/// Keeps a transfer that was proven in time until its delay is over.
pub(super) fn hold(
    host: &mut Host<'_>,
    link: Link,
    sequence: u64,
    commitment: B256,
    seconds: u64,
) -> Result<(), Fault> {
    let until = host.now().saturating_add(seconds);
    let count = link.slot(HELD_COUNT);
    let place = host.load_u64(count)?;
    let next = place.checked_add(1).ok_or_else(Fault::overflow)?;
    set_outcome(host, link, sequence, HELD)?;
    let slot = link.slot(HOLDS).entry(sequence);
    host.store(slot, commitment.into())?;
    host.store(slot.field(1), pack(until, place))?;
    host.store(link.slot(HELD_LIST).entry(place), U256::from(sequence))?;
    host.store(count, U256::from(next))?;
    link.tell_held(host, sequence, commitment, until)
}

/// A transfer that waits: its commitment, and when it may be released; zeros if none does.
pub(crate) fn held(host: &mut Host<'_>, link: Link, sequence: u64) -> Result<(B256, u64), Fault> {
    let slot = link.slot(HOLDS).entry(sequence);
    let commitment = host.load(slot)?.into();
    let (until, _) = unpack(host.load(slot.field(1))?);
    Ok((commitment, until))
}

/// It waits no longer; the caller gives it an outcome.
pub(super) fn unhold(host: &mut Host<'_>, link: Link, sequence: u64) -> Result<(), Fault> {
    let (holds, list, count) = (
        link.slot(HOLDS),
        link.slot(HELD_LIST),
        link.slot(HELD_COUNT),
    );
    let slot = holds.entry(sequence);
    let (_, place) = unpack(host.load(slot.field(1))?);
    let last_place = host
        .load_u64(count)?
        .checked_sub(1)
        .ok_or_else(Fault::overflow)?;
    // The last of the list takes its place.
    let last = host.load_u64(list.entry(last_place))?;
    let last_slot = holds.entry(last).field(1);
    let (last_until, _) = unpack(host.load(last_slot)?);
    host.store(last_slot, pack(last_until, place))?;
    host.store(list.entry(place), U256::from(last))?;
    host.store(list.entry(last_place), U256::ZERO)?;
    host.store(count, U256::from(last_place))?;
    host.store(slot, U256::ZERO)?;
    host.store(slot.field(1), U256::ZERO)
}

/// How many wait, and the sequences of some.
pub(crate) fn held_sequences(
    host: &mut Host<'_>,
    link: Link,
    from: U256,
    limit: U256,
) -> Result<(U256, Vec<u64>), Fault> {
    if limit > U256::from(MAX_PAGE) {
        return Err(Fault::revert(format!(
            "one page has at most {MAX_PAGE} sequences"
        )));
    }
    let count = host.load_u64(link.slot(HELD_COUNT))?;
    let from: u64 = from.saturating_to();
    let end = from.saturating_add(limit.saturating_to()).min(count);
    let page = (from..end)
        .map(|place| host.load_u64(link.slot(HELD_LIST).entry(place)))
        .collect::<Result<_, _>>()?;
    Ok((U256::from(count), page))
}

const fn pack(until: u64, place: u64) -> U256 {
    U256::from_limbs([until, place, 0, 0])
}

const fn unpack(word: U256) -> (u64, u64) {
    let [until, place, ..] = *word.as_limbs();
    (until, place)
}
