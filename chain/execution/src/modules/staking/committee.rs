//! Who was elected, who signs, in which order, and how each of them did. The last [`KEPT`] epochs
//! are kept, each in the place of the one [`KEPT`] epochs before.

use super::{
    COMMITTEES, Context, DIRECTORY, ELECTED,
    candidate::{self, Endpoint, Word as _},
    word::{broken, halves, limbs, split},
};
use crate::modules::{host::Fault, ledger::Ledger, slot::Slot};
use alloy::primitives::{B256, U256};
use mileverse_primitives::schedule::Schedule;

/// Epochs whose elections, committees and records are kept.
pub(super) const KEPT: u64 = 256;
/// Turns in one word of the order.
const TURNS_PER_WORD: usize = 32;

/// A seat that an election filled.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seat {
    pub(super) id: u64,
    pub(super) key: B256,
    pub(super) endpoint: Endpoint,
}

fn elected_place(epoch: u64) -> Slot {
    ELECTED.entry(epoch % KEPT)
}

fn elected_seat(epoch: u64, index: u64) -> Slot {
    elected_place(epoch).field(1).entry(index)
}

/// Writes who was elected for `epoch`, ascending by key, and the directory of their addresses.
pub(super) fn set_elected(
    ledger: &mut impl Ledger,
    epoch: u64,
    seats: &[Seat],
) -> Result<(), Fault> {
    let count = seats.len() as u64;
    ledger.store(elected_place(epoch), limbs([epoch, count, 0, 0]))?;
    for (index, seat) in (0..).zip(seats) {
        let place = elected_seat(epoch, index);
        ledger.store(place, seat.key.into())?;
        ledger.store(place.field(1), U256::from(seat.id))?;
        ledger.store(place.field(2), seat.endpoint.encode())?;
        ledger.store(DIRECTORY.entry(seat.key), seat.endpoint.encode())?;
    }
    Ok(())
}

/// Who was elected for `epoch`, ascending by key; `None` if that is not kept or not known.
pub(super) fn elected(ledger: &mut impl Ledger, epoch: u64) -> Result<Option<Vec<Seat>>, Fault> {
    let [stored, count, ..] = *ledger.load(elected_place(epoch))?.as_limbs();
    if stored != epoch || count == 0 {
        return Ok(None);
    }
    let mut seats = Vec::new();
    for index in 0..count {
        let place = elected_seat(epoch, index);
        seats.push(Seat {
            key: ledger.load(place)?.into(),
            id: ledger
                .load(place.field(1))?
                .try_into()
                .map_err(|_| broken())?,
            endpoint: Endpoint::decode(ledger.load(place.field(2))?),
        });
    }
    Ok(Some(seats))
}

/// Where `directory` keeps the address of a key.
pub(super) fn directory_place(key: B256) -> Slot {
    DIRECTORY.entry(key)
}

/// An epoch's committee.
#[derive(Clone, Copy, Debug)]
pub(super) struct Committee {
    pub(super) epoch: u64,
    pub(super) size: u64,
    /// Whether its ceremony succeeded; if not, it is the one before.
    pub(super) succeeded: bool,
    /// Results that each of its delegates is to attest.
    pub(super) results_due: u64,
}

/// How a delegate did in one epoch.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Record {
    pub(super) turns_due: u64,
    pub(super) turns_kept: u64,
    pub(super) valid: u64,
    pub(super) invalid: u64,
}

fn place(epoch: u64) -> Slot {
    COMMITTEES.entry(epoch % KEPT)
}

fn order_place(epoch: u64, word: usize) -> Slot {
    place(epoch).field(1).entry(word as u64)
}

fn member_place(epoch: u64, position: u64) -> Slot {
    place(epoch).field(2).entry(position)
}

/// Writes the committee of an epoch, with empty records. `keys` are ascending; each has an id.
pub(super) fn set(
    ledger: &mut impl Ledger,
    context: &Context<'_>,
    epoch: u64,
    succeeded: bool,
    members: &[(B256, u64)],
) -> Result<(), Fault> {
    let keys: Vec<B256> = members.iter().map(|(key, _)| *key).collect();
    let schedule = Schedule::new(context.genesis_hash, epoch, &keys).map_err(|_| broken())?;
    let size = keys.len() as u64;
    ledger.store(
        place(epoch),
        limbs([epoch, size, succeeded.into(), context.results_due(epoch)]),
    )?;
    let order: Vec<u8> = (0..size)
        .map(|turn| u8::try_from(schedule.position(turn)).map_err(|_| broken()))
        .collect::<Result<_, _>>()?;
    for (index, turns) in order.chunks(TURNS_PER_WORD).enumerate() {
        let mut word = [0; TURNS_PER_WORD];
        for (byte, turn) in word.iter_mut().zip(turns) {
            *byte = *turn;
        }
        ledger.store(order_place(epoch, index), U256::from_be_bytes(word))?;
    }
    for (position, (key, id)) in (0..).zip(members) {
        let place = member_place(epoch, position);
        ledger.store(place, (*key).into())?;
        ledger.store(place.field(1), U256::from(*id))?;
        for field in 2..5 {
            ledger.store(place.field(field), U256::ZERO)?;
        }
    }
    Ok(())
}

/// An epoch's committee; `None` if that is not kept or not known.
pub(super) fn get(ledger: &mut impl Ledger, epoch: u64) -> Result<Option<Committee>, Fault> {
    let [stored, size, succeeded, results_due] = *ledger.load(place(epoch))?.as_limbs();
    Ok((stored == epoch && size > 0).then_some(Committee {
        epoch,
        size,
        succeeded: succeeded == 1,
        results_due,
    }))
}

impl Committee {
    /// Position, in the ascending committee, of who leads `view`.
    pub(super) fn leader(self, ledger: &mut impl Ledger, view: u64) -> Result<u64, Fault> {
        let turn = view.checked_rem(self.size).ok_or_else(broken)?;
        let turn = usize::try_from(turn).map_err(|_| broken())?;
        let word = ledger
            .load(order_place(self.epoch, turn / TURNS_PER_WORD))?
            .to_be_bytes::<TURNS_PER_WORD>();
        word.get(turn % TURNS_PER_WORD)
            .map(|position| u64::from(*position))
            .ok_or_else(broken)
    }

    pub(super) fn key(self, ledger: &mut impl Ledger, position: u64) -> Result<B256, Fault> {
        Ok(ledger.load(member_place(self.epoch, position))?.into())
    }

    pub(super) fn id(self, ledger: &mut impl Ledger, position: u64) -> Result<u64, Fault> {
        ledger
            .load(member_place(self.epoch, position).field(1))?
            .try_into()
            .map_err(|_| broken())
    }

    /// Position of a key, by bisection.
    pub(super) fn position(
        self,
        ledger: &mut impl Ledger,
        key: B256,
    ) -> Result<Option<u64>, Fault> {
        let (mut low, mut high) = (0, self.size);
        while low < high {
            let middle = low.midpoint(high);
            let found = self.key(ledger, middle)?;
            match found.cmp(&key) {
                std::cmp::Ordering::Equal => return Ok(Some(middle)),
                std::cmp::Ordering::Less => low = middle.saturating_add(1),
                std::cmp::Ordering::Greater => high = middle,
            }
        }
        Ok(None)
    }

    pub(super) fn record(self, ledger: &mut impl Ledger, position: u64) -> Result<Record, Fault> {
        let [turns_due, turns_kept, valid, invalid] = *ledger
            .load(member_place(self.epoch, position).field(2))?
            .as_limbs();
        Ok(Record {
            turns_due,
            turns_kept,
            valid,
            invalid,
        })
    }

    pub(super) fn set_record(
        self,
        ledger: &mut impl Ledger,
        position: u64,
        record: Record,
    ) -> Result<(), Fault> {
        ledger.store(
            member_place(self.epoch, position).field(2),
            limbs([
                record.turns_due,
                record.turns_kept,
                record.valid,
                record.invalid,
            ]),
        )
    }

    /// What the epoch's end made of a record: votes and reward, and the score.
    pub(super) fn result(
        self,
        ledger: &mut impl Ledger,
        position: u64,
    ) -> Result<(u128, u128, U256), Fault> {
        let place = member_place(self.epoch, position);
        let (votes, reward) = split(ledger.load(place.field(3))?);
        Ok((votes, reward, ledger.load(place.field(4))?))
    }

    pub(super) fn set_result(
        self,
        ledger: &mut impl Ledger,
        position: u64,
        votes: u128,
        reward: u128,
        score: U256,
    ) -> Result<(), Fault> {
        let place = member_place(self.epoch, position);
        ledger.store(place.field(3), halves(votes, reward))?;
        ledger.store(place.field(4), score)
    }
}

/// A seat for a candidate as it stands now.
pub(super) fn seat(ledger: &mut impl Ledger, id: u64) -> Result<Seat, Fault> {
    let candidate::Key(key) = candidate::get(ledger, id)?;
    Ok(Seat {
        id,
        key,
        endpoint: candidate::get(ledger, id)?,
    })
}
