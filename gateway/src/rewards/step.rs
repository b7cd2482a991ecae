//! One step of one slot: looks whether it is done, and does what is missing.

use super::slot::Slot;
use super::transact::Call;
use super::{LOOK_BACK, RewardError, Rewards, views};
use crate::conversion::Machine;
use crate::journal::GATEWAY;
use crate::operator::CaseKind;
use crate::store::cases::{self, Opening};
use crate::store::rewards::{self, SlotRow};

use alloy::eips::BlockNumberOrTag;
use alloy::primitives::Address;
use alloy::sol_types::SolCall;
use mileverse_bindings::QuarterlyRewards;
use mileverse_primitives::quarter::Quarter;
use std::time::Duration;
use tokio::time::Instant;

/// Holders of one claim. The contract takes 256; so many fit into one transaction with room to spare.
pub const BATCH: usize = 100;
/// A step that looks at many accounts goes on in another one after so long: a claim on the job must
/// outlast it.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);
/// Quarters that one wake-up puts in.
const MAX_QUARTERS: u64 = 64;

const NOT_CLOSED: &str = "the native chain has not closed it";

/// What a step came to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Step {
    /// The slot is done.
    Done,
    /// Nothing to do now; why.
    Wait(String),
}

impl Step {
    pub(super) fn wait(why: impl Into<String>) -> Self {
        Self::Wait(why.into())
    }
}

/// A moment as the database has it; none is further away than that reaches.
fn millis(at: Duration) -> i64 {
    i64::try_from(at.as_millis()).unwrap_or(i64::MAX)
}

impl Machine {
    /// Puts in the slots of the quarter under way and of each before it that has none. How many
    /// quarters.
    pub async fn schedule_rewards(&self, now: i64) -> Result<u64, RewardError> {
        let Some(rewards) = &self.rewards else {
            return Ok(0);
        };
        let now_unsigned = u64::try_from(now).unwrap_or(0);
        let Some(current) = Quarter::containing(now_unsigned) else {
            return Ok(0);
        };
        let first = match self.store.last_reward_quarter().await? {
            Some(last) => last.next(),
            // What ended before this gateway was there, as far as the chain still pays it.
            None => {
                let oldest = current.number().saturating_sub(LOOK_BACK);
                let paying = views::standing(&self.chain).await?.paying;
                Quarter::new(paying.clamp(oldest, current.number()))
            }
        };
        let mut new = 0u64;
        let last = first.number().saturating_add(MAX_QUARTERS);
        for number in first.number()..=current.number().min(last) {
            let quarter = Quarter::new(number);
            let Some(ends) = quarter.ends_ms().and_then(|ends| i64::try_from(ends).ok()) else {
                break;
            };
            let late: Vec<_> = Slot::ALL
                .iter()
                .map(|slot| {
                    let patience = millis(slot.patience(&rewards.rules));
                    (*slot, ends.saturating_add(patience))
                })
                .collect();
            if self
                .store
                .schedule_rewards(quarter, ends, &late, now)
                .await?
            {
                new = new.saturating_add(1);
            }
        }
        Ok(new)
    }

    /// Does a job of a quarter's rewards. If it is to be put back: why.
    pub async fn reward(&self, name: &str) -> Result<Option<String>, RewardError> {
        let unknown = || RewardError::Row(format!("there is no slot {name}"));
        let (quarter, slot) = Slot::of_job(name).ok_or_else(unknown)?;
        let row = self.store.reward_slot(quarter, slot).await?;
        let row = row.ok_or_else(unknown)?;
        if row.done_at.is_some() {
            self.finish_reward(&row).await?;
            return Ok(None);
        }
        let step = match &self.rewards {
            Some(rewards) => self.reward_step(rewards, &row).await,
            None => Ok(Step::wait("rewards are not configured any more")),
        };
        match step {
            Ok(Step::Done) => {
                self.finish_reward(&row).await?;
                Ok(None)
            }
            Ok(Step::Wait(why)) => {
                self.alarm_reward(&row).await?;
                Ok(Some(why))
            }
            Err(error) => {
                self.alarm_reward(&row).await?;
                Err(error)
            }
        }
    }

    async fn finish_reward(&self, row: &SlotRow) -> Result<(), sqlx::Error> {
        let now = self.store.now();
        let mut write = self.store.write().await?;
        let new = rewards::finish(&mut write, row.quarter, row.slot, now).await?;
        if new {
            let (kind, subject) = (CaseKind::RewardLate.name(), row.slot.job(row.quarter));
            cases::close_about(&mut write, kind, &subject, "done", GATEWAY, now).await?;
        }
        write.commit().await?;
        if new {
            tracing::info!(quarter = %row.quarter, slot = row.slot.name(), "a quarter's rewards");
        }
        Ok(())
    }

    /// Operators hear of a slot that is late, once.
    async fn alarm_reward(&self, row: &SlotRow) -> Result<(), sqlx::Error> {
        let now = self.store.now();
        if row.alarmed || now < row.late_at {
            return Ok(());
        }
        let mut write = self.store.write().await?;
        let new = rewards::alarm(&mut write, row.quarter, row.slot).await?;
        if new {
            let facts = format!("{} is over, but {}", row.quarter, row.slot.lateness());
            let opening = Opening {
                kind: CaseKind::RewardLate.name(),
                programme: None,
                subject: &row.slot.job(row.quarter),
                facts: &facts,
            };
            cases::open(&mut write, &opening, GATEWAY, now).await?;
            tracing::error!(quarter = %row.quarter, slot = row.slot.name(), "{facts}");
        }
        write.commit().await
    }

    async fn reward_step(&self, rewards: &Rewards, row: &SlotRow) -> Result<Step, RewardError> {
        let quarter = row.quarter;
        let number = quarter.number();
        let standing = views::standing(&self.chain).await?;
        let when = |done: bool, otherwise: &str| match done {
            true => Ok(Step::Done),
            false => Ok(Step::wait(otherwise)),
        };
        let closed = standing.quarter > number;
        match row.slot {
            Slot::Close => when(closed, NOT_CLOSED),
            Slot::Pay => when(standing.paying > number, "the native chain is paying"),
            Slot::Tell => {
                let source = views::source(&self.chain).await?;
                self.tell_step(rewards, row, source).await
            }
            Slot::Open => match self.contract(rewards).await? {
                Some(contract) => self.open_step(rewards, contract, quarter).await,
                None => Ok(Step::Done),
            },
            Slot::Forward => match self.contract(rewards).await? {
                Some(_) if !closed => Ok(Step::wait(NOT_CLOSED)),
                Some(contract) => self.forward_step(rewards, contract, quarter).await,
                None => Ok(Step::Done),
            },
            Slot::Claim => match self.contract(rewards).await? {
                Some(contract) => self.claim_step(rewards, contract, quarter).await,
                None => Ok(Step::Done),
            },
        }
    }

    /// The contract on Ethereum, once its node is known to be of the right network. Without one the
    /// native chain pays out of its own pool, and nobody earns on Ethereum.
    async fn contract(&self, rewards: &Rewards) -> Result<Option<Address>, RewardError> {
        let source = views::source(&self.chain).await?;
        if source.is_some() {
            rewards.check_network().await?;
        }
        Ok(source)
    }

    async fn open_step(
        &self,
        rewards: &Rewards,
        contract: Address,
        quarter: Quarter,
    ) -> Result<Step, RewardError> {
        let number = quarter.number();
        if rewards.is_open(contract, quarter).await? {
            return Ok(Step::Done);
        }
        let Some(line) = rewards.settle(&self.store).await? else {
            return Ok(Step::wait("a transaction is on its way"));
        };
        let at = BlockNumberOrTag::Latest;
        let standing = rewards.ethereum_standing(contract, at).await?;
        if standing.next > number {
            return Ok(Step::wait("it is open, but not in a finalized block"));
        }
        if standing.next < number {
            return Ok(Step::wait("an earlier quarter is not open"));
        }
        if standing.quarter <= number {
            return Ok(Step::wait("Ethereum has no block after its end"));
        }
        let call = Call {
            quarter,
            slot: Slot::Open,
            contract,
            input: QuarterlyRewards::openCall { quarter: number }.abi_encode(),
        };
        Ok(sent(rewards.submit(&self.store, line, call).await?))
    }

    async fn forward_step(
        &self,
        rewards: &Rewards,
        contract: Address,
        quarter: Quarter,
    ) -> Result<Step, RewardError> {
        if !rewards.is_open(contract, quarter).await? {
            return Ok(Step::wait("it is not open on Ethereum"));
        }
        let native = views::native_report(&self.chain, quarter).await?;
        if !native.locked.is_zero() {
            return Ok(Step::Done);
        }
        let at = BlockNumberOrTag::Latest;
        let Some(line) = rewards.settle(&self.store).await? else {
            return Ok(Step::wait("a transaction is on its way"));
        };
        let report = rewards.ethereum_report(contract, quarter, at).await?;
        if report.share.is_zero() {
            return Ok(Step::Done);
        }
        if report.sequence > 0 && !report.refunded {
            return Ok(Step::wait("the share is on its way over the bridge"));
        }
        let input = QuarterlyRewards::forwardCall {
            quarter: quarter.number(),
        };
        let call = Call {
            quarter,
            slot: Slot::Forward,
            contract,
            input: input.abi_encode(),
        };
        Ok(sent(rewards.submit(&self.store, line, call).await?))
    }

    async fn claim_step(
        &self,
        rewards: &Rewards,
        contract: Address,
        quarter: Quarter,
    ) -> Result<Step, RewardError> {
        let done = self.store.claimed_rewards(quarter).await?;
        let left: Vec<_> = rewards
            .rules
            .custodial
            .iter()
            .filter(|holder| !done.contains(&holder.to_string()))
            .collect();
        if left.is_empty() {
            return Ok(Step::Done);
        }
        if !rewards.is_open(contract, quarter).await? {
            return Ok(Step::wait("it is not open on Ethereum"));
        }
        let line = rewards.settle(&self.store).await?;
        let until = Instant::now() + PATIENCE;
        let (mut paid, mut batch) = (Vec::new(), Vec::new());
        let mut seen = 0usize;
        for holder in &left {
            if batch.len() == BATCH || Instant::now() >= until {
                break;
            }
            seen = seen.saturating_add(1);
            let earned = async |at| {
                rewards
                    .ethereum_earned(contract, **holder, quarter, at)
                    .await
            };
            // Open in a finalized block, so what was earned does not change any more.
            let before = earned(BlockNumberOrTag::Finalized).await?;
            if before.is_claimed || before.wei.is_zero() {
                paid.push((holder.to_string(), before.wei.to_string()));
            } else if !earned(BlockNumberOrTag::Latest).await?.is_claimed {
                batch.push(**holder);
            }
        }
        self.store
            .store_reward_claims(quarter, &paid, self.store.now())
            .await?;
        if batch.is_empty() {
            return Ok(match paid.len() == left.len() {
                true => Step::Done,
                false => Step::wait(format!(
                    "{} of {} holders are paid in a finalized block",
                    done.len().saturating_add(paid.len()),
                    rewards.rules.custodial.len()
                )),
            });
        }
        let Some(line) = line else {
            return Ok(Step::wait("a transaction is on its way"));
        };
        let input = QuarterlyRewards::claimBatchCall {
            accounts: batch,
            quarter: quarter.number(),
        };
        let call = Call {
            quarter,
            slot: Slot::Claim,
            contract,
            input: input.abi_encode(),
        };
        Ok(sent(rewards.submit(&self.store, line, call).await?))
    }
}

impl Rewards {
    /// Whether a quarter is open in a finalized block.
    async fn is_open(&self, contract: Address, quarter: Quarter) -> Result<bool, RewardError> {
        let at = BlockNumberOrTag::Finalized;
        let standing = self.ethereum_standing(contract, at).await?;
        Ok(standing.next > quarter.number())
    }
}

fn sent(submitted: Result<String, String>) -> Step {
    match submitted {
        Ok(hash) => Step::Wait(format!("{hash} is on its way")),
        Err(why) => Step::Wait(why),
    }
}
