//! Step 4: the member sends 250 MVC from Ethereum to the native chain, and 100 of them back.

use super::{
    super::{error::Error, report::Facts, system::System},
    cross::{balance, cross, whole},
};
use mileverse_wallet::{rpc::Chain, units::Token};

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
    Ok(facts)
}
