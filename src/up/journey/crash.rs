//! Step 6: one validator is killed with SIGKILL while transfers flow, and started again. The others
//! go on making blocks and the transfers go on; the one that died catches up to the same blocks and
//! the same balances.

use super::{
    super::{
        error::Error,
        fleet::Fleet,
        report::Facts,
        system::{System, height, validator_name},
        wait::Look,
    },
    cross::{asked, whole},
    require,
};
use alloy::{
    eips::BlockNumberOrTag,
    primitives::{Address, B256, U256},
    providers::Provider,
};
use mileverse_primitives::{abi::IPoints, address::POINTS};
use mileverse_wallet::{
    rpc::Endpoint,
    units::{Amount, Token},
};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Blocks that the others must make without it.
const BLOCKS: u64 = 20;
/// Transfers that must be confirmed without it.
const TRANSFERS: u64 = 5;
/// Longest list of points after the newest block at which validators are compared.
const NEAR: u64 = 3;

/// Transfers that flow until told to stop.
#[derive(Debug, Default)]
struct Flow {
    stop: AtomicBool,
    confirmed: AtomicU64,
}

/// Plays the step.
pub async fn play(system: &System, fleet: &mut Fleet) -> Result<Facts, Error> {
    let last = system.validators.len().saturating_sub(1);
    let (Some(victim), Some(witness)) = (system.validators.get(last), system.validators.first())
    else {
        return Err(Error::Broken("there is no validator".into()));
    };
    let others = system.validators.get(..last).unwrap_or_default();
    let shop = system.keys.shop.address();
    let before = points_of(witness, shop).await?;

    let flow = Flow::default();
    let one = whole(Token::Mvp, 1)?;
    let story = async {
        let outcome = crash_and_return(system, fleet, &flow, last, others, victim).await;
        flow.stop.store(true, Ordering::SeqCst);
        outcome
    };
    let (moved, story) = tokio::join!(transfers(system, shop, one, &flow), story);
    let mut facts = story?;
    moved?;

    let count = flow.confirmed.load(Ordering::SeqCst);
    let wanted = before.checked_add(whole(Token::Mvp, count)?.units());
    let seen = system
        .patience
        .until(
            "the restarted validator to have the same balance",
            async || {
                let mine = points_of(victim, shop).await?;
                Ok(if Some(mine) == wanted {
                    Look::Now(mine)
                } else {
                    Look::Not(format!("{mine}"))
                })
            },
        )
        .await?;
    require(points_of(witness, shop).await? == seen, || {
        "two validators disagree about a balance".into()
    })?;
    facts.add("transfersConfirmed", count);
    facts.add("shop", Amount::from_units(Token::Mvp, seen));
    Ok(facts)
}

async fn transfers(system: &System, shop: Address, one: Amount, flow: &Flow) -> Result<(), Error> {
    while !flow.stop.load(Ordering::SeqCst) {
        system
            .chains
            .native
            .transfer(shop, one)
            .await
            .map_err(asked("a transfer while a validator is down"))?;
        flow.confirmed.fetch_add(1, Ordering::SeqCst);
    }
    Ok(())
}

async fn crash_and_return(
    system: &System,
    fleet: &mut Fleet,
    flow: &Flow,
    index: usize,
    others: &[Endpoint],
    victim: &Endpoint,
) -> Result<Facts, Error> {
    let name = validator_name(index);
    confirmed_beyond(system, flow, 0, 1).await?;

    let mut starts = Vec::new();
    for other in others {
        starts.push(height(other).await?);
    }
    let killed_at = starts.iter().copied().max().unwrap_or_default();
    let confirmed = flow.confirmed.load(Ordering::SeqCst);
    fleet.kill(&name).await?;
    for (other, start) in others.iter().zip(starts) {
        let wanted = start.saturating_add(BLOCKS);
        system
            .patience
            .until("blocks without the killed validator", async || {
                let now = height(other).await?;
                Ok(Look::when(now >= wanted, || {
                    format!("height {now} of {wanted}")
                }))
            })
            .await?;
    }
    confirmed_beyond(system, flow, confirmed, TRANSFERS).await?;

    let returned_at = system
        .validators
        .first()
        .map(height)
        .ok_or_else(|| Error::Broken("there is no validator".into()))?
        .await?;
    fleet.restart(&name).await?;
    let caught_up = system
        .patience
        .until("the restarted validator to catch up", async || {
            let mut newest = 0;
            for other in others {
                newest = newest.max(height(other).await?);
            }
            let mine = height(victim).await?;
            Ok(
                if mine.saturating_add(NEAR) >= newest && mine > returned_at {
                    Look::Now(mine)
                } else {
                    Look::Not(format!("height {mine} of {newest}"))
                },
            )
        })
        .await?;
    let hash = block_hash(system, victim, caught_up).await?;
    for other in others {
        let theirs = block_hash(system, other, caught_up).await?;
        require(theirs == hash, || {
            format!(
                "block {caught_up} is {hash} for {name} and {theirs} for {}",
                other.url()
            )
        })?;
    }

    let mut facts = Facts::default();
    facts.add("killed", name);
    facts.add("killedAtHeight", killed_at);
    facts.add("restartedAtHeight", returned_at);
    facts.add("caughtUpAtHeight", caught_up);
    facts.add("blockHash", hash);
    Ok(facts)
}

async fn confirmed_beyond(
    system: &System,
    flow: &Flow,
    start: u64,
    more: u64,
) -> Result<(), Error> {
    let wanted = start.saturating_add(more);
    system
        .patience
        .until("transfers to be confirmed", async || {
            let now = flow.confirmed.load(Ordering::SeqCst);
            Ok(Look::when(now >= wanted, || format!("{now} of {wanted}")))
        })
        .await
}

/// A validator's hash of one block, which it may be about to receive.
async fn block_hash(system: &System, validator: &Endpoint, number: u64) -> Result<B256, Error> {
    system
        .patience
        .until("a validator to have a block", async || {
            let block = validator
                .provider()
                .get_block_by_number(BlockNumberOrTag::Number(number))
                .await
                .map_err(|error| Error::refused("asking for a block", error))?;
            Ok(block.map_or_else(
                || Look::Not(format!("{} does not have block {number}", validator.url())),
                |block| Look::Now(block.header.hash),
            ))
        })
        .await
}

async fn points_of(validator: &Endpoint, account: Address) -> Result<U256, Error> {
    validator
        .view(POINTS, &IPoints::balanceOfCall { account })
        .await
        .map_err(|error| Error::refused("asking for points", error))
}
