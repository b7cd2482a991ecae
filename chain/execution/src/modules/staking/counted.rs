//! Whose the stake is: what other modules count as an account's own.
//!
//! Free stake, votes and what unbonds, as the account's words say, belong to the account. Of votes
//! for a slashed candidate counts what the slash left, from the slash on. What an account owes for
//! votes that left a slashed candidate counts until it is collected, since until then it is staked.
//! Rewards count once they are claimed. So all accounts together have what is staked and unbonding,
//! less the odd units that slashes rounded away and that nobody has brought home yet.
//!
//! Cost: two words for who never staked; otherwise at most 4 for each of 30 votes, and one for each
//! of 32 unbondings.

use super::{
    account::{delegation_place, keep, place, unbonding_place},
    candidate::{Slash, get},
    totals::{self, Sum},
    word::{broken, plus, split, unpack},
};
use crate::modules::{host::Fault, ledger::Ledger};
use alloy::primitives::{Address, U256};

/// Stake of an account, with the slashes proven in blocks below `height`.
pub(crate) fn stake(
    ledger: &mut impl Ledger,
    address: Address,
    height: u64,
) -> Result<u128, Fault> {
    let mut sum = staked(ledger, address, height)?;
    let [_, unbondings, ..] = *ledger.load(place(address).field(1))?.as_limbs();
    for index in 0..unbondings {
        let (_, _, amount) = unpack(ledger.load(unbonding_place(address, index))?);
        sum = plus(sum, amount)?;
    }
    Ok(sum)
}

/// The same without what unbonds: free stake and votes.
pub(crate) fn staked(
    ledger: &mut impl Ledger,
    address: Address,
    height: u64,
) -> Result<u128, Fault> {
    let (mut sum, _) = split(ledger.load(place(address))?);
    let [delegations, ..] = *ledger.load(place(address).field(1))?.as_limbs();
    for index in 0..delegations {
        let place = delegation_place(address, index);
        let (id, _, active) = unpack(ledger.load(place)?);
        let (joining, _) = split(ledger.load(place.field(1))?);
        let votes = plus(active, joining)?;
        let slash: Slash = get(ledger, id)?;
        let is_slashed = slash.share_bp > 0 && slash.height < height;
        let left = if is_slashed {
            keep(votes, slash.share_bp)?
        } else {
            votes
        };
        sum = plus(sum, left)?;
    }
    Ok(sum)
}

/// Stake of all accounts.
pub(crate) fn all(ledger: &mut impl Ledger) -> Result<U256, Fault> {
    let staked = totals::get(ledger, Sum::Staked)?;
    staked
        .checked_add(totals::get(ledger, Sum::Unbonding)?)
        .ok_or_else(broken)
}
