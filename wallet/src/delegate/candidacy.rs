//! Being a candidate.

use super::{Answer, Error, Named, Staking, coins, done, parse_candidate, percent};
use alloy::primitives::{Address, B256, Bytes, U256};
use clap::Args;
use mileverse_primitives::{abi::IStaking, registration::Registration};
use serde_json::json;
use std::{
    fs::File,
    io::Read as _,
    net::SocketAddr,
    path::{Path, PathBuf},
};

/// Longest registration file.
const MAX_FILE_LENGTH: u64 = 16 * 1024;

#[derive(Args, Debug)]
pub(super) struct Register {
    /// registration.json, as `mileverse node init` wrote it.
    #[arg(long, value_name = "FILE")]
    registration: PathBuf,
    /// Your own stake, MVC with decimals; it is voted for yourself.
    #[arg(long, allow_hyphen_values = true)]
    stake: String,
    /// Your share of your voters' rewards, in basis points (500 is 5 %).
    #[arg(long)]
    commission_bp: u16,
    /// What voters know you by.
    #[arg(long)]
    name: String,
    /// Where voters read about you.
    #[arg(long, default_value = "")]
    website: String,
    /// Where other validators reach your node, if not as the registration says.
    #[arg(long, value_name = "IP:PORT")]
    address: Option<SocketAddr>,
}

#[derive(Args, Debug)]
pub(super) struct Update {
    /// registration.json of a new node: takes its key and its address.
    #[arg(long, value_name = "FILE")]
    registration: Option<PathBuf>,
    /// Where other validators reach your node, from the next election on.
    #[arg(long, value_name = "IP:PORT")]
    address: Option<SocketAddr>,
    /// Your share of your voters' rewards, in basis points.
    #[arg(long)]
    commission_bp: Option<u16>,
    /// What voters know you by.
    #[arg(long)]
    name: Option<String>,
    /// Where voters read about you.
    #[arg(long)]
    website: Option<String>,
}

#[derive(Args, Debug)]
pub(super) struct Retire {
    /// Owner's account or consensus key; your own if left out.
    #[arg(long, value_parser = parse_candidate)]
    candidate: Option<Named>,
}

pub(super) async fn register(staking: &Staking, arguments: Register) -> Result<Answer, Error> {
    let stake = coins(&arguments.stake)?;
    let registration = read(staking, &arguments.registration)?;
    let address = arguments.address.unwrap_or(registration.address);
    let call = IStaking::registerCall {
        consensusKey: registration.consensus_key,
        possession: registration.possession,
        networkAddress: address.to_string(),
        commissionBp: arguments.commission_bp,
        profile: IStaking::Profile {
            name: arguments.name,
            website: arguments.website,
        },
    };
    let receipt = staking.call(&call, stake.units()).await?;
    let json = json!({
        "registered": registration.owner,
        "consensusKey": registration.consensus_key,
        "address": address,
        "commissionBp": arguments.commission_bp,
        "stake": stake,
    });
    let facts = vec![
        ("registered", registration.owner.to_string()),
        ("consensus key", registration.consensus_key.to_string()),
        ("address", address.to_string()),
        ("commission", percent(arguments.commission_bp)),
        ("own stake", stake.to_string()),
    ];
    Ok(done(facts, json, &receipt))
}

pub(super) async fn update(staking: &Staking, arguments: Update) -> Result<Answer, Error> {
    let owner = staking.account()?;
    let now = candidate(staking, owner).await?;
    let registration = match &arguments.registration {
        Some(path) => Some(read(staking, path)?),
        None => None,
    };
    let (consensus_key, possession): (B256, Bytes) = match &registration {
        Some(new) => (new.consensus_key, new.possession.clone()),
        None => (now.consensusKey, Bytes::new()),
    };
    let network_address = match (arguments.address, &registration) {
        (Some(address), _) => address.to_string(),
        (None, Some(new)) => new.address.to_string(),
        (None, None) => now.networkAddress,
    };
    let call = IStaking::updateCall {
        consensusKey: consensus_key,
        possession,
        networkAddress: network_address.clone(),
        commissionBp: arguments.commission_bp.unwrap_or(now.commissionBp),
        profile: IStaking::Profile {
            name: arguments.name.unwrap_or(now.profile.name),
            website: arguments.website.unwrap_or(now.profile.website),
        },
    };
    let receipt = staking.call(&call, U256::ZERO).await?;
    let json = json!({
        "updated": owner,
        "consensusKey": consensus_key,
        "address": network_address,
        "commissionBp": call.commissionBp,
    });
    let facts = vec![
        ("updated", owner.to_string()),
        ("consensus key", consensus_key.to_string()),
        ("address", network_address),
        ("commission", percent(call.commissionBp)),
    ];
    Ok(done(facts, json, &receipt))
}

pub(super) async fn retire(staking: &Staking, arguments: Retire) -> Result<Answer, Error> {
    let candidate = match arguments.candidate {
        Some(named) => staking.owner(named).await?,
        None => staking.account()?,
    };
    let call = IStaking::retireCall { candidate };
    let receipt = staking.call(&call, U256::ZERO).await?;
    let facts = vec![("retired", candidate.to_string())];
    Ok(done(facts, json!({ "retired": candidate }), &receipt))
}

pub(super) async fn unjail(staking: &Staking) -> Result<Answer, Error> {
    let owner = staking.account()?;
    let receipt = staking.call(&IStaking::unjailCall {}, U256::ZERO).await?;
    let facts = vec![("unjailed", owner.to_string())];
    Ok(done(facts, json!({ "unjailed": owner }), &receipt))
}

/// A candidate that is one.
async fn candidate(staking: &Staking, owner: Address) -> Result<IStaking::Candidate, Error> {
    staking
        .candidate(owner)
        .await?
        .ok_or(Error::NotCandidate(owner))
}

/// A registration for this chain and this owner.
fn read(staking: &Staking, path: &Path) -> Result<Registration, Error> {
    let refuse = |reason: String| Error::File {
        path: path.to_owned(),
        what: "registration file",
        reason,
    };
    let text = limited(path).map_err(|error| refuse(error.to_string()))?;
    let registration: Registration =
        serde_json::from_str(&text).map_err(|error| refuse(error.to_string()))?;
    let (chain, account) = (staking.client().chain_id(), staking.account()?);
    if registration.chain_id != chain {
        return Err(Error::OtherChain {
            path: path.to_owned(),
            found: registration.chain_id,
            expected: chain,
        });
    }
    if registration.owner != account {
        return Err(Error::OtherOwner {
            path: path.to_owned(),
            found: registration.owner,
            expected: account,
        });
    }
    Ok(registration)
}

/// Reads a small file.
pub(super) fn limited(path: &Path) -> std::io::Result<String> {
    let mut text = String::new();
    File::open(path)?
        .take(MAX_FILE_LENGTH.saturating_add(1))
        .read_to_string(&mut text)?;
    if text.len() as u64 > MAX_FILE_LENGTH {
        return Err(std::io::ErrorKind::FileTooLarge.into());
    }
    Ok(text)
}
