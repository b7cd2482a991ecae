//! What the node asks of committed state.

use super::{
    CLOCK, OWED,
    clock::Clock,
    pool::Owed,
    record::{self, Record},
};
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
    /// Whether the pool has the whole pot of the quarter under way; with a source on Ethereum, whether
    /// no quarter waits for its share.
    pub funded: bool,
    /// Whether the oldest unpaid quarter waits for its share from Ethereum.
    pub awaits_share: bool,
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
    let mut holders = 0;
    let mut awaits_share = false;
    if clock.is_paying() {
        let place = record::place(clock.paying);
        let word = storage(state, REWARDS, place.key()).await?;
        [_, _, _, holders] = *word.as_limbs();
        let (_, eligible) = split(storage(state, REWARDS, place.field(1).key()).await?);
        let (_, locked) = split(storage(state, REWARDS, place.field(4).key()).await?);
        let record = Record {
            eligible,
            locked,
            ..Record::default()
        };
        awaits_share = record.awaits_share(&config.rewards);
    }
    let funded = if config.rewards.source.is_some() {
        !awaits_share
    } else {
        balance >= whole
    };
    Ok(RewardsStanding {
        ends_ms: Quarter::new(clock.open).ends_ms(),
        unpaid: clock.open.saturating_sub(clock.paying),
        holders,
        visited: clock.cursor.saturating_sub(1),
        funded,
        awaits_share,
    })
}

impl Owed {
    fn all(self) -> U256 {
        U256::from(self.reserved).saturating_add(U256::from(self.carried))
    }
}
