//! Step 4: the member sends 250 MVC from Ethereum to the native chain, and 100 of them back; and what
//! holding the rest on Ethereum will bring at the quarter's end.

use super::{
    super::{error::Error, report::Facts, system::System},
    cross::{balance, cross, whole},
};
use mileverse_bindings::QuarterlyRewards;
use mileverse_primitives::quarter::Quarter;
use mileverse_wallet::{
    rpc::Chain,
    units::{Amount, Token},
};
use serde_json::{Value, json};

const OUT: u64 = 250;
const HOME: u64 = 100;

/// Plays the step.
pub async fn play(system: &System) -> Result<Facts, Error> {
    let mut facts = Facts::default();
    let out = cross(system, Chain::Ethereum, whole(Token::Mvc, OUT)?).await?;
    facts.add("toNative", out);
    let home = cross(system, Chain::Native, whole(Token::Mvc, HOME)?).await?;
    facts.add("home", home);
    let chains = &system.chains;
    facts.add("native", balance(&chains.native, system, Token::Mvc).await?);
    facts.add(
        "ethereum",
        balance(&chains.ethereum, system, Token::Mvc).await?,
    );
    facts.add("reward", reward(system).await?);
    Ok(facts)
}

/// What the member's coin on Ethereum would earn if the quarter ended now; the gateway claims it then.
async fn reward(system: &System) -> Result<Value, Error> {
    let endpoint = system.chains.ethereum.endpoint();
    let contract = system.contracts.rewards;
    let account = system.keys.member.address();
    let failed = |error| Error::refused("asking for the quarter's reward", error);
    let standing = QuarterlyRewards::standingCall {};
    let standing = endpoint.view(contract, &standing).await.map_err(failed)?;
    let preview = QuarterlyRewards::previewCall { account };
    let preview = endpoint.view(contract, &preview).await.map_err(failed)?;
    let amount = Amount::from_units(Token::Mvc, preview.amount);
    Ok(json!({
        "quarter": Quarter::new(standing.quarter).to_string(),
        "amount": amount.decimal(),
        "token": Token::Mvc.to_string(),
    }))
}
