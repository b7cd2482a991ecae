//! Sending to somebody on the same chain.

use super::{Answer, Error, Options, TokenName, parse_address};
use crate::{
    client::Client,
    rpc::Chain,
    units::{Amount, Token},
};
use alloy::primitives::Address;
use clap::Args;
use serde_json::json;

#[derive(Args, Debug)]
pub(super) struct Arguments {
    /// What to send.
    #[arg(long)]
    token: TokenName,
    /// Who receives it.
    #[arg(long, value_parser = parse_address)]
    to: Address,
    /// How much, as a decimal number.
    #[arg(long, allow_hyphen_values = true)]
    amount: String,
    /// On which chain; ether is on Ethereum, the rest on the native chain if nothing is said.
    #[arg(long)]
    chain: Option<Chain>,
}

pub(super) async fn send(options: &Options, arguments: Arguments) -> Result<Answer, Error> {
    let token = Token::from(arguments.token);
    let amount = Amount::parse_positive(token, &arguments.amount)?;
    let chain = match (arguments.chain, token) {
        (Some(chain), _) => chain,
        (None, Token::Eth) => Chain::Ethereum,
        (None, _) => Chain::Native,
    };
    let signer = options.key.signer()?;
    let (native, facts) = Client::native(options.native.url()?, Some(signer.clone())).await?;
    let client = match chain {
        Chain::Native => native,
        Chain::Ethereum => Client::ethereum(options.ethereum.url()?, &facts, Some(signer)).await?,
    };
    let client = client.with_consent(options.consent()?);
    let sent = client.transfer(arguments.to, amount).await?;
    let json = json!({ "sent": amount, "chain": chain, "to": arguments.to, "transaction": sent });
    Ok(Answer::facts(
        vec![
            ("sent", amount.to_string()),
            ("chain", chain.word().to_owned()),
            ("to", arguments.to.to_string()),
            ("transaction", sent.hash.to_string()),
            ("block", sent.block.to_string()),
        ],
        json,
    ))
}
