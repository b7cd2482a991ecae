//! The quarter under way, what is being paid, the pool and the rules.

use super::{Error, Listing, Rewards, mvc};
use mileverse_primitives::{abi::IRewards, quarter::Quarter};
use serde_json::json;

pub(super) async fn show(rewards: &Rewards) -> Result<Listing, Error> {
    let standing = rewards.view(&IRewards::standingCall {}).await?;
    let pool = rewards.view(&IRewards::poolCall {}).await?;
    let rules = rewards.view(&IRewards::rulesCall {}).await?;
    let solvent = rewards.view(&IRewards::solventCall {}).await?;
    let excluded = rewards.view(&IRewards::excludedCall {}).await?;
    let quarter = Quarter::new(standing.quarter);
    let paying = (standing.paying < standing.quarter).then(|| Quarter::new(standing.paying));
    let source = (!rules.source.is_zero()).then_some(rules.source);
    let paid = paying.map_or_else(
        || "all closed quarters are paid".to_owned(),
        |paying| {
            format!(
                "{paying}: {} of {} holders",
                standing.visited, standing.holders
            )
        },
    );
    let mut facts = vec![
        ("quarter", quarter.to_string()),
        ("ends at (ms)", standing.endsAtMs.to_string()),
        ("being paid", paid),
        ("pot of this quarter", mvc(standing.nextPot).to_string()),
        ("whole pot", mvc(rules.pot).to_string()),
        ("pool has the whole pot", standing.funded.to_string()),
        ("pool", mvc(pool.available).to_string()),
        ("reserved", mvc(pool.reserved).to_string()),
        ("carried", mvc(pool.carried).to_string()),
        (
            "source on Ethereum",
            source.map_or_else(|| "none".to_owned(), |source| source.to_string()),
        ),
        ("waits for its share", standing.awaitsShare.to_string()),
        ("covers what it owes", solvent.to_string()),
        ("least payment", mvc(rules.leastPayment).to_string()),
        ("holders per block", rules.holdersPerBlock.to_string()),
    ];
    facts.extend(
        excluded
            .iter()
            .map(|account| ("excluded", account.to_string())),
    );
    let json = json!({
        "quarter": quarter.to_string(),
        "endsAtMs": standing.endsAtMs,
        "paying": paying.map(|paying| json!({
            "quarter": paying.to_string(),
            "visited": standing.visited,
            "holders": standing.holders,
        })),
        "nextPot": mvc(standing.nextPot),
        "funded": standing.funded,
        "pool": {
            "balance": mvc(pool.balance),
            "reserved": mvc(pool.reserved),
            "carried": mvc(pool.carried),
            "available": mvc(pool.available),
        },
        "solvent": solvent,
        "source": source,
        "awaitsShare": standing.awaitsShare,
        "rules": {
            "pot": mvc(rules.pot),
            "leastPayment": mvc(rules.leastPayment),
            "holdersPerBlock": rules.holdersPerBlock,
        },
        "excluded": excluded,
    });
    Ok(Listing::facts(facts, json))
}
