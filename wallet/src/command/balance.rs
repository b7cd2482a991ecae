//! What an account has.

use super::{Answer, Error, Options};
use crate::{client::Client, rpc::Chain, units::Token};
use alloy::primitives::Address;
use serde_json::json;

pub(super) async fn show(options: &Options, account: Option<Address>) -> Result<Answer, Error> {
    let account = options.key.account(account)?;
    let (native, facts) = Client::native(options.native.url()?, None).await?;
    let ethereum = match options.ethereum.url() {
        Ok(url) => Some(Client::ethereum(url, &facts, None).await?),
        Err(_) => None,
    };
    let mut rows = Vec::new();
    let mut list = Vec::new();
    for (chain, token) in [
        (Chain::Native, Token::Mvp),
        (Chain::Native, Token::Mvc),
        (Chain::Ethereum, Token::Mvp),
        (Chain::Ethereum, Token::Mvc),
        (Chain::Ethereum, Token::Eth),
    ] {
        let client = match chain {
            Chain::Native => Some(&native),
            Chain::Ethereum => ethereum.as_ref(),
        };
        let Some(client) = client else {
            continue;
        };
        let amount = client.balance(account, token).await?;
        rows.push(vec![
            chain.word().to_owned(),
            token.to_string(),
            amount.decimal(),
        ]);
        list.push(json!({ "chain": chain, "balance": amount }));
    }
    // Points of other native chains, where they are away from home.
    for peer in native.peers().await? {
        let amount = native.peer_balance(account, peer).await?;
        let (chain, token) = (Chain::Native.word().to_owned(), format!("MVP.{peer}"));
        rows.push(vec![chain, token, amount.decimal()]);
        list.push(json!({ "chain": Chain::Native, "pointsOf": peer, "balance": amount }));
    }
    let json = json!({ "account": account, "balances": list });
    Ok(Answer::table(vec!["chain", "token", "balance"], rows, json))
}
