//! Step 3: the member sends 4,000 MVP to Ethereum; wrapped MVP appears there; 1,500 come back.

use super::{
    super::{error::Error, report::Facts, system::System},
    cross::{balance, cross, whole},
};
use mileverse_wallet::{rpc::Chain, units::Token};

const OUT: u64 = 4_000;
const HOME: u64 = 1_500;

/// Plays the step.
pub async fn play(system: &System) -> Result<Facts, Error> {
    let mut facts = Facts::default();
    let out = cross(system, Chain::Native, whole(Token::Mvp, OUT)?).await?;
    facts.add("toEthereum", out);
    let home = cross(system, Chain::Ethereum, whole(Token::Mvp, HOME)?).await?;
    facts.add("home", home);
    let chains = &system.chains;
    facts.add("native", balance(&chains.native, system, Token::Mvp).await?);
    facts.add(
        "ethereum",
        balance(&chains.ethereum, system, Token::Mvp).await?,
    );
    Ok(facts)
}
