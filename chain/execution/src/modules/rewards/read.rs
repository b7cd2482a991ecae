//! What the node asks of committed state.

use super::{CLOCK, OWED, clock::Clock, pool::Owed, record};
use crate::{
    modules::{Config, staking::word::split},
    state::{ReadError, StateReader, account, storage},
};
use alloy::primitives::U256;
use mileverse_primitives::{address::REWARDS, quarter::Quarter};

/// Where the quarterly rewards stand.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct RewardsStanding {
    /// The quarter under way ends then, milliseconds since 1970; `None` after the year 9999.
    pub ends_ms: Option<u64>,
    /// Quarters that are closed and not paid to everybody.
    pub unpaid: u64,
    /// Holders of the oldest of them.
    pub holders: u64,
    /// How many of those were visited.
    pub visited: u64,
    /// Whether the pool has the whole pot of the quarter under way.
    pub funded: bool,
}

pub(crate) async fn standing(
    config: &Config,
    state: &impl StateReader,
) -> Result<RewardsStanding, ReadError> {
    let clock = Clock::decode(storage(state, REWARDS, CLOCK.key()).await?);
    let (reserved, carried) = split(storage(state, REWARDS, OWED.key()).await?);
    let owed = Owed { reserved, carried };
    let balance = account(state, REWARDS).await?.unwrap_or_default().balance;
    let whole = config.rewards.pot.saturating_add(owed.all());
    let holders = if clock.is_paying() {
        let word = storage(state, REWARDS, record::place(clock.paying).key()).await?;
        let [_, _, _, holders] = *word.as_limbs();
        holders
    } else {
        0
    };
    Ok(RewardsStanding {
        ends_ms: Quarter::new(clock.open).ends_ms(),
        unpaid: clock.open.saturating_sub(clock.paying),
        holders,
        visited: clock.cursor.saturating_sub(1),
        funded: balance >= whole,
    })
}

impl Owed {
    fn all(self) -> U256 {
        U256::from(self.reserved).saturating_add(U256::from(self.carried))
    }
}
