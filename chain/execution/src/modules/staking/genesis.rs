//! Staking in block 0: the committee's members are candidates that own-stake, and are elected for
//! the first epochs. Made by the same logic that serves everybody later, on an empty ledger.

use super::{
    Context,
    candidate::{self, Joining},
    committee,
    register::{Offer, enlist},
    totals::{self, Sum},
    word::amount,
};
use crate::modules::{Config, host::Fault, ledger::Blank, slot::Slot};
use alloy::primitives::U256;
use mileverse_primitives::staking::ELECTION_LAG;

/// The module's first storage.
pub(crate) fn storage(config: &Config) -> Result<Vec<(Slot, U256)>, Fault> {
    let context = Context::new(config, 0);
    let mut ledger = Blank::default();
    let mut members = Vec::new();
    let mut seats = Vec::new();
    totals::add(&mut ledger, Sum::Pool, amount(config.staking.reward_pool)?)?;
    for (number, member) in (1u32..).zip(&config.members) {
        let name = format!("Genesis delegate {number}");
        let offer = Offer {
            key: member.consensus_key,
            address: member.address,
            commission_bp: member.commission_bp,
            name: &name,
            website: "",
        };
        enlist(
            &mut ledger,
            &context,
            member.owner,
            &offer,
            amount(member.stake)?,
        )?;
        let id = candidate::find(&mut ledger, member.owner)?;
        // These votes were there before the first epoch, so they earn in it.
        begin_at_once(&mut ledger, id, member.owner)?;
        members.push((member.consensus_key, id));
        seats.push(committee::seat(&mut ledger, id)?);
    }
    for epoch in 0..ELECTION_LAG {
        committee::set_elected(&mut ledger, epoch, &seats)?;
    }
    committee::set(&mut ledger, &context, 0, true, &members)?;
    Ok(ledger.into_words())
}

fn begin_at_once(
    ledger: &mut Blank,
    id: u64,
    owner: alloy::primitives::Address,
) -> Result<(), Fault> {
    candidate::put(ledger, id, &Joining::default())?;
    let mut account = super::account::Account::load(ledger, owner)?;
    for delegation in &mut account.delegations {
        super::rewards::forget(ledger, id, delegation.joined)?;
        delegation.active = delegation.amount()?;
        delegation.joining = 0;
    }
    account.save(ledger)
}
