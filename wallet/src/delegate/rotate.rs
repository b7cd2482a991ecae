//! A new group key: asking for one, taking that back, and how it stands. `docs/protocol.md`,
//! "Rotation of the group key", explains it.

use super::{Answer, Error, Staking, done};
use alloy::{primitives::U256, sol_types::SolCall as _};
use clap::Args;
use mileverse_primitives::{abi::IRotation, address::ROTATION};
use serde_json::json;

#[derive(Args, Debug)]
pub(super) struct Rotate {
    /// Takes the request back; possible while too few delegates ask.
    #[arg(long)]
    withdraw: bool,
}

pub(super) async fn rotate(staking: &Staking, arguments: &Rotate) -> Result<Answer, Error> {
    let (input, done_what) = if arguments.withdraw {
        (IRotation::withdrawCall {}.abi_encode(), "withdrawn")
    } else {
        (IRotation::requestCall {}.abi_encode(), "requested")
    };
    let owner = staking.account()?;
    let receipt = staking
        .client()
        .execute(ROTATION, U256::ZERO, input.into())
        .await?;
    let facts = vec![(done_what, owner.to_string())];
    Ok(done(facts, json!({ done_what: owner }), &receipt))
}

pub(super) async fn rotation(staking: &Staking) -> Result<Answer, Error> {
    let endpoint = staking.client().endpoint();
    let standing = endpoint.view(ROTATION, &IRotation::rotationCall {}).await?;
    let keys = endpoint.view(ROTATION, &IRotation::keyCountCall {}).await?;
    let since = match standing.since {
        0 => "not due".to_owned(),
        epoch => format!("epoch {epoch}"),
    };
    let facts = vec![
        ("delegates who ask", standing.asked.to_string()),
        ("needed", standing.needed.to_string()),
        ("due since", since),
        ("new keys so far", keys.to_string()),
    ];
    let json = json!({
        "asked": standing.asked,
        "needed": standing.needed,
        "since": (standing.since != 0).then_some(standing.since),
        "keys": keys,
    });
    Ok(Answer::facts(facts, json))
}
