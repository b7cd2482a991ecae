//! Rewards in block 0: the quarter under way, the list, and numbers for everybody who holds coin.

use super::{clock::Clock, exclusion, holder::Holder};
use crate::modules::{Config, host::Fault, ledger::Blank, slot::Slot};
use alloy::primitives::U256;
use mileverse_primitives::{address::REWARDS, quarter::Quarter};

/// The module's first storage, on top of what the staking module's made of it.
pub(crate) fn storage(
    config: &Config,
    staking: &[(Slot, U256)],
) -> Result<Vec<(Slot, U256)>, Fault> {
    let mut ledger = Blank::holding(staking.iter().copied().filter(is_here));
    // After the year 9999 no quarter ends.
    let open = Quarter::containing(config.started_ms).map_or(0, Quarter::number);
    let clock = Clock {
        open,
        closed: 0,
        paying: open,
        cursor: 1,
    };
    clock.save(&mut ledger)?;
    for allocation in &config.allocations {
        let mut holder = Holder::load(&mut ledger, allocation.address)?;
        holder.enrol(&mut ledger, allocation.address)?;
        holder.save(&mut ledger, allocation.address)?;
    }
    for account in &config.rewards.excluded {
        exclusion::exclude(&mut ledger, *account, 0)?;
    }
    Ok(ledger.into_words())
}

fn is_here((slot, _): &(Slot, U256)) -> bool {
    slot.module() == REWARDS
}
