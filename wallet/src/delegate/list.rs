//! Lists: candidates, turns, records; and the module's rules and totals.

use super::{
    Answer, Error, PAGE, Staking, mvc, percent,
    show::{describe, state},
};
use clap::Args;
use mileverse_primitives::abi::IStaking;
use serde_json::{Value, json};

#[derive(Args, Debug)]
pub(super) struct Page {
    /// How many ranks to leave out.
    #[arg(long, default_value_t = 0)]
    offset: u32,
    /// How many to list, 1 to 100.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=i64::from(PAGE)))]
    limit: u32,
}

#[derive(Args, Debug)]
pub(super) struct OfEpoch {
    /// Which epoch; the current one if left out.
    #[arg(long)]
    epoch: Option<u64>,
}

pub(super) async fn candidates(staking: &Staking, page: Page) -> Result<Answer, Error> {
    let Page { offset, limit } = page;
    let count = staking.view(&IStaking::candidateCountCall {}).await?;
    let found = staking
        .view(&IStaking::candidatesCall { offset, limit })
        .await?;
    let rows = (offset..)
        .zip(&found)
        .map(|(place, candidate)| {
            vec![
                place.saturating_add(1).to_string(),
                candidate.owner.to_string(),
                candidate.profile.name.clone(),
                state(candidate).to_owned(),
                mvc(candidate.votes).decimal(),
                mvc(candidate.ownStake).decimal(),
                percent(candidate.commissionBp),
            ]
        })
        .collect();
    let list: Vec<_> = found.iter().map(describe).collect();
    let json = json!({ "count": count, "offset": offset, "candidates": list });
    let header = vec![
        "rank",
        "owner",
        "name",
        "state",
        "votes",
        "own stake",
        "commission",
    ];
    Ok(Answer::table(header, rows, json))
}

pub(super) async fn schedule(staking: &Staking, of: OfEpoch) -> Result<Answer, Error> {
    let epoch = chosen(staking, of).await?;
    let committee = staking.view(&IStaking::committeeCall { epoch }).await?;
    let turns = staking
        .all(|offset| IStaking::turnsCall {
            epoch,
            offset,
            limit: PAGE,
        })
        .await?;
    let rows = turns
        .iter()
        .map(|turn| {
            vec![
                turn.turn.to_string(),
                turn.candidate.to_string(),
                turn.consensusKey.to_string(),
            ]
        })
        .collect();
    let list: Vec<_> = turns
        .iter()
        .map(|turn| {
            json!({
                "turn": turn.turn,
                "candidate": turn.candidate,
                "consensusKey": turn.consensusKey,
            })
        })
        .collect();
    let json = json!({
        "epoch": epoch,
        "size": committee.size,
        "ceremonySucceeded": committee.succeeded,
        "turns": list,
    });
    Ok(Answer::table(
        vec!["turn", "candidate", "consensus key"],
        rows,
        json,
    ))
}

pub(super) async fn records(staking: &Staking, of: OfEpoch) -> Result<Answer, Error> {
    let epoch = chosen(staking, of).await?;
    let records = staking
        .all(|offset| IStaking::recordsCall {
            epoch,
            offset,
            limit: PAGE,
        })
        .await?;
    let rows = records
        .iter()
        .map(|record| {
            vec![
                record.candidate.to_string(),
                format!("{} / {}", record.turnsKept, record.turnsDue),
                format!("{} / {}", record.validResults, record.resultsDue),
                record.invalidResults.to_string(),
                mvc(record.votes).decimal(),
                record.score.to_string(),
                mvc(record.reward).decimal(),
            ]
        })
        .collect();
    let list: Vec<_> = records
        .iter()
        .map(|record| {
            json!({
                "candidate": record.candidate,
                "consensusKey": record.consensusKey,
                "turnsDue": record.turnsDue,
                "turnsKept": record.turnsKept,
                "resultsDue": record.resultsDue,
                "validResults": record.validResults,
                "invalidResults": record.invalidResults,
                "votes": mvc(record.votes),
                "score": record.score.to_string(),
                "reward": mvc(record.reward),
            })
        })
        .collect();
    let header = vec![
        "candidate",
        "turns kept",
        "results",
        "invalid",
        "votes",
        "score",
        "reward",
    ];
    let json = json!({ "epoch": epoch, "records": list });
    Ok(Answer::table(header, rows, json))
}

async fn chosen(staking: &Staking, of: OfEpoch) -> Result<u64, Error> {
    match of.epoch {
        Some(epoch) => Ok(epoch),
        None => Ok(staking.view(&IStaking::currentEpochCall {}).await?.epoch),
    }
}

pub(super) async fn rules(staking: &Staking) -> Result<Answer, Error> {
    let rules = staking.view(&IStaking::rulesCall {}).await?;
    let facts = vec![
        ("blocks an epoch", rules.epochBlocks.to_string()),
        ("seats", rules.seats.to_string()),
        ("least seats", rules.leastSeats.to_string()),
        ("most candidates", rules.maxCandidates.to_string()),
        ("least own stake", mvc(rules.leastOwnStake).to_string()),
        ("unbonding, epochs", rules.unbondingEpochs.to_string()),
        ("jail, epochs", rules.jailEpochs.to_string()),
        ("record floor", percent(rules.recordFloorBp)),
        ("double proposal costs", percent(rules.doubleSignSlashBp)),
        ("reporter gets", percent(rules.reporterShareBp)),
        ("highest commission", percent(rules.maxCommissionBp)),
        (
            "commission may rise",
            format!(
                "{} every {} epochs",
                percent(rules.commissionRiseBp),
                rules.commissionRiseEpochs
            ),
        ),
        ("reward an epoch", mvc(rules.rewardPerEpoch).to_string()),
        (
            "attestation every",
            format!("{} blocks", rules.attestationInterval),
        ),
        ("weight of stake", weight(&rules.stake)),
        ("weight of turns", weight(&rules.turns)),
        ("weight of results", weight(&rules.results)),
        ("weight of invalid results", weight(&rules.invalid)),
    ];
    let json = json!({
        "epochBlocks": rules.epochBlocks,
        "seats": rules.seats,
        "leastSeats": rules.leastSeats,
        "maxCandidates": rules.maxCandidates,
        "leastOwnStake": mvc(rules.leastOwnStake),
        "unbondingEpochs": rules.unbondingEpochs,
        "jailEpochs": rules.jailEpochs,
        "recordFloorBp": rules.recordFloorBp,
        "doubleSignSlashBp": rules.doubleSignSlashBp,
        "reporterShareBp": rules.reporterShareBp,
        "maxCommissionBp": rules.maxCommissionBp,
        "commissionRiseBp": rules.commissionRiseBp,
        "commissionRiseEpochs": rules.commissionRiseEpochs,
        "rewardPerEpoch": mvc(rules.rewardPerEpoch),
        "attestationInterval": rules.attestationInterval,
        "weights": {
            "stake": parts(&rules.stake),
            "turns": parts(&rules.turns),
            "results": parts(&rules.results),
            "invalid": parts(&rules.invalid),
        },
    });
    Ok(Answer::facts(facts, json))
}

fn weight(weight: &IStaking::Weight) -> String {
    format!(
        "w {}, g {}, alpha {}",
        percent(weight.weightBp),
        percent(weight.growthBp),
        percent(weight.alphaBp)
    )
}

fn parts(weight: &IStaking::Weight) -> Value {
    json!({
        "weightBp": weight.weightBp,
        "growthBp": weight.growthBp,
        "alphaBp": weight.alphaBp,
    })
}

pub(super) async fn totals(staking: &Staking) -> Result<Answer, Error> {
    let totals = staking.view(&IStaking::totalsCall {}).await?;
    let solvent = staking.view(&IStaking::solventCall {}).await?;
    let facts = vec![
        ("staked", mvc(totals.staked).to_string()),
        ("unbonding", mvc(totals.unbonding).to_string()),
        ("unpaid rewards", mvc(totals.unpaidRewards).to_string()),
        ("reward pool", mvc(totals.pool).to_string()),
        ("fees of this epoch", mvc(totals.fees).to_string()),
        ("balance", mvc(totals.balance).to_string()),
        ("covers what it owes", solvent.to_string()),
    ];
    let json = json!({
        "staked": mvc(totals.staked),
        "unbonding": mvc(totals.unbonding),
        "unpaidRewards": mvc(totals.unpaidRewards),
        "pool": mvc(totals.pool),
        "fees": mvc(totals.fees),
        "balance": mvc(totals.balance),
        "solvent": solvent,
    });
    Ok(Answer::facts(facts, json))
}
