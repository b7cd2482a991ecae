//! What members hear: event `reward.paid`, to the partner that linked them, once for each quarter.
//!
//! ```json
//! {
//!   "quarter": "2026Q4", "member_id": "mem_…",
//!   "native_wei": "1250000000000000000", "ethereum_wei": "0",
//!   "accounts": [{ "address": "0x…", "native_wei": "…", "ethereum_wei": "…", "ethereum_claimed": true }]
//! }
//! ```
//!
//! The accounts are those that the member's conversions went to, at most [`MAX_ACCOUNTS`]. Native
//! amounts are paid, or carried while they are below the least payment. What was earned on Ethereum
//! and is not claimed stays there until anybody claims it. Who earned nothing hears nothing, and who
//! has left neither.
//!
//! It is told when the native chain has paid everybody, the quarter is open on Ethereum, and the
//! custodial holders are paid there.

use super::slot::Slot;
use super::step::{PATIENCE, Step};
use super::{RewardError, Rewards, views};
use crate::conversion::Machine;
use crate::conversion::link::member_of;
use crate::store::members::MemberRow;
use crate::store::rewards::{self, SlotRow, Whose};
use crate::webhook::{self, Kind, News};
use alloy::eips::BlockNumberOrTag;
use alloy::primitives::{Address, U256};
use mileverse_primitives::quarter::Quarter;
use serde_json::{Value, json};
use tokio::time::Instant;

/// Accounts of one member, at most.
const MAX_ACCOUNTS: u32 = 16;
/// Members read at once.
const PAGE: u32 = 50;

impl Machine {
    pub(super) async fn tell_step(
        &self,
        rewards: &Rewards,
        row: &SlotRow,
        source: Option<Address>,
    ) -> Result<Step, RewardError> {
        for slot in [Slot::Open, Slot::Forward, Slot::Claim, Slot::Pay] {
            let other = self.store.reward_slot(row.quarter, slot).await?;
            if other.is_none_or(|other| other.done_at.is_none()) {
                return Ok(Step::Wait(format!("{} is not done", slot.name())));
            }
        }
        if source.is_some() {
            rewards.check_network().await?;
        }
        let until = Instant::now() + PATIENCE;
        let mut reached = row.reached.clone();
        loop {
            let members = self.store.members_after(&reached, PAGE).await?;
            if members.is_empty() {
                return Ok(Step::Done);
            }
            for member in members {
                if Instant::now() >= until {
                    return Ok(Step::wait("more members are to be told"));
                }
                let data = self
                    .reward_of(rewards, &member, row.quarter, source)
                    .await?;
                self.tell_member(&member, row.quarter, data).await?;
                reached = member.id;
            }
        }
    }

    /// What a member earned; nothing if that is nothing.
    async fn reward_of(
        &self,
        rewards: &Rewards,
        member: &MemberRow,
        quarter: Quarter,
        source: Option<Address>,
    ) -> Result<Option<Value>, RewardError> {
        let Some(name) = member_of(&self.vault, member) else {
            tracing::warn!(
                id = member.id,
                "a member's data cannot be opened; it hears nothing"
            );
            return Ok(None);
        };
        let whose = Whose {
            partner: &member.partner,
            programme: &member.programme,
            member: name.as_str(),
        };
        let mut sums = [U256::ZERO; 2];
        let mut accounts = Vec::new();
        for receiver in self.store.receivers_of(whose, MAX_ACCOUNTS).await? {
            let address: Address = receiver
                .parse()
                .map_err(|_| RewardError::Row(format!("receiver {receiver:?} is no address")))?;
            let native = views::native_earned(&self.chain, address, quarter).await?;
            let (there, is_claimed) = match source {
                Some(contract) => {
                    let at = BlockNumberOrTag::Finalized;
                    let earned = rewards
                        .ethereum_earned(contract, address, quarter, at)
                        .await?;
                    (earned.wei, earned.is_claimed)
                }
                None => (U256::ZERO, false),
            };
            for (sum, amount) in sums.iter_mut().zip([native, there]) {
                *sum = sum.saturating_add(amount);
            }
            accounts.push(json!({
                "address": receiver,
                "native_wei": native.to_string(),
                "ethereum_wei": there.to_string(),
                "ethereum_claimed": is_claimed,
            }));
        }
        let [native, there] = sums;
        if native.is_zero() && there.is_zero() {
            return Ok(None);
        }
        Ok(Some(json!({
            "quarter": quarter.to_string(),
            "member_id": member.id,
            "native_wei": native.to_string(),
            "ethereum_wei": there.to_string(),
            "accounts": accounts,
        })))
    }

    /// Tells a member, unless it was told or has left, and notes that it was looked at.
    async fn tell_member(
        &self,
        member: &MemberRow,
        quarter: Quarter,
        data: Option<Value>,
    ) -> Result<(), sqlx::Error> {
        let now = self.store.now();
        let mut write = self.store.write().await?;
        rewards::reach(&mut write, quarter, &member.id).await?;
        if let Some(data) = data
            && rewards::tell(&mut write, quarter, &member.id, now).await?
        {
            let news = News::here(&member.partner, Kind::RewardPaid, &member.id, data);
            webhook::announce(&mut write, vec![news], now).await?;
        }
        write.commit().await
    }
}
