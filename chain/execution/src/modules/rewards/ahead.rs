//! Reads ahead what a block's payments look at.
//!
//! [`pay`] looks at one holder after the other, and each look depends on the one before. The chain's own
//! work is run again whenever a word is missing, so over a state that must be waited for it would be run
//! for each holder once. Here all holders of the block are read together, in a few strides:
//!
//! ```txt
//! numbers  ->  accounts, holders, what they earned  ->  what they carry, what was written down last
//!          ->  what was written down before that, until nothing was
//! ```
//!
//! Nothing depends on this but time: what is not read here, such as the stakes of those who voted, is read
//! where it is needed.

use super::{
    holder::{self, Part},
    pay,
};
use crate::{
    error::BlockError,
    modules::slot::Slot,
    session::Session,
    state::{Place, StateReader},
};
use alloy::primitives::Address;
use mileverse_primitives::rewards::RewardRules;

/// Most strides: a holder has at most one word for each close that is not paid to everybody.
const STRIDES: usize = 64;

fn slot(slot: Slot) -> Place {
    Place::Slot(slot.module(), slot.key())
}

/// Reads what the visits of the next block need.
pub(super) async fn fetch<R: StateReader>(
    session: &mut Session<'_, R>,
    rules: &RewardRules,
) -> Result<(), BlockError> {
    let visits = session.work(|ledger| pay::due(ledger, rules)).await?;
    if visits.is_empty() {
        return Ok(());
    }
    let numbers: Vec<Slot> = visits
        .iter()
        .map(|visit| holder::number_place(visit.number))
        .collect();
    session.fetch(numbers.iter().copied().map(slot)).await?;
    let holders: Vec<(Address, [Slot; 2])> = numbers
        .into_iter()
        .zip(visits)
        .map(|(number, visit)| {
            let address = holder::named(session.known(number));
            (address, holder::places(address, visit.quarter))
        })
        .collect();
    let places = holders.iter().flat_map(|(address, [holder, earned])| {
        [Place::Account(*address), slot(*holder), slot(*earned)]
    });
    session.fetch(places).await?;
    let mut wanted = Vec::new();
    let mut trail: Vec<(Address, Part, Slot)> = Vec::new();
    for (address, [holder, _]) in holders {
        let (carried, written) = holder::further(address, session.known(holder));
        wanted.extend(carried.map(slot));
        let written = written.into_iter().flatten();
        trail.extend(written.map(|(part, place)| (address, part, place)));
    }
    for _ in 0..STRIDES {
        wanted.extend(trail.iter().map(|(_, _, place)| slot(*place)));
        if wanted.is_empty() {
            break;
        }
        session.fetch(std::mem::take(&mut wanted)).await?;
        trail = trail
            .into_iter()
            .filter_map(|(address, part, place)| {
                let before = holder::written_before(address, part, session.known(place))?;
                Some((address, part, before))
            })
            .collect();
    }
    Ok(())
}
