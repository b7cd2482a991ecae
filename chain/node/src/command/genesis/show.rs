//! A genesis file as a table.

use super::{
    Checked,
    answer::{self, mvc, mvp},
};
use crate::error::Error;
use mileverse_consensus::{bls, committee::CommitteeError};
use mileverse_primitives::{U256, address, keccak256};
use serde_json::json;

pub(super) fn show(checked: &Checked, as_json: bool) -> Result<(), Error> {
    let Checked {
        genesis,
        hash,
        first,
    } = checked;
    let group_key = bls::public_key(first.output.public().public())
        .map_err(|error| CommitteeError::Output(error.to_string()))?;
    let coins = genesis.coins().unwrap_or_default();
    let staking = &genesis.staking;
    let mut facts = vec![
        ("hash", hash.to_string()),
        ("chain id", genesis.chain_id.to_string()),
        ("begins", format!("{} ms since 1970", genesis.timestamp_ms)),
        (
            "block time",
            format!(
                "{} ms, idle {} ms",
                genesis.block_time_ms, genesis.idle_block_time_ms
            ),
        ),
        ("gas limit", genesis.gas_limit.to_string()),
        ("blocks an epoch", genesis.epoch_blocks.to_string()),
        ("price of a gas", mvc(U256::from(genesis.fees.base_price))),
        (
            "free gas for each MVC of stake",
            format!(
                "{} in {} epochs",
                genesis.fees.free_gas_per_coin, genesis.fees.free_gas_epochs
            ),
        ),
        ("coin from the start", mvc(coins)),
        ("reward pool", mvc(staking.reward_pool)),
        ("reward an epoch", mvc(staking.reward_per_epoch)),
        ("seats", staking.seats.to_string()),
        ("least own stake", mvc(staking.least_own_stake)),
        ("unbonding, epochs", staking.unbonding_epochs.to_string()),
    ];
    for member in &genesis.committee.members {
        facts.push((
            "member",
            format!(
                "{} at {}, owner {}, stake {}, commission {} bp",
                member.consensus_key,
                member.address,
                member.owner,
                mvc(member.stake),
                member.commission_bp
            ),
        ));
    }
    for allocation in &genesis.allocations {
        facts.push((
            "allocation",
            format!("{} to {}", mvc(allocation.amount), allocation.address),
        ));
    }
    for contract in &genesis.contracts {
        facts.push((
            "contract",
            format!(
                "{}, {} bytes, code hash {}",
                contract.address,
                contract.code.len(),
                keccak256(&contract.code)
            ),
        ));
    }
    for issuer in &genesis.issuers {
        facts.push((
            "issuer",
            format!("{}, {} a day", issuer.address, mvp(issuer.daily_quota)),
        ));
    }
    let ethereum = &genesis.ethereum;
    facts.extend([
        ("Ethereum, chain id", ethereum.chain_id.to_string()),
        ("Ethereum, bridge", ethereum.bridge.to_string()),
        ("Ethereum, MVC", ethereum.coin.to_string()),
        ("Ethereum, MVP", ethereum.points.to_string()),
    ]);
    for peer in &genesis.peers {
        facts.push((
            "peer",
            format!(
                "chain {}, its points at {}, key number {} from epoch {} on",
                peer.chain_id,
                address::peer_points(peer.chain_id),
                peer.key_version,
                peer.first_epoch
            ),
        ));
    }
    let json = json!({
        "hash": hash,
        "groupKey": group_key,
        "coins": coins.to_string(),
        "genesis": genesis,
    });
    answer::print(facts, as_json.then_some(&json))
}
