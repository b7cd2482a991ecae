//! What an account has.

use super::{Answer, Error, Options};
use crate::{rpc::Chain, units::Token};
use alloy::primitives::Address;
use serde_json::json;

pub(super) async fn show(options: &Options, account: Option<Address>) -> Result<Answer, Error> {
    let account = match account {
        Some(account) => account,
        None => options.key()?.address(),
    };
    let chains = options.chains(None).await?;
    let mut rows = Vec::new();
    let mut list = Vec::new();
    for (chain, token) in [
        (Chain::Native, Token::Mvp),
        (Chain::Native, Token::Mvc),
        (Chain::Ethereum, Token::Mvp),
        (Chain::Ethereum, Token::Mvc),
        (Chain::Ethereum, Token::Eth),
    ] {
        let amount = chains.on(chain).balance(account, token).await?;
        rows.push(vec![
            chain.word().to_owned(),
            token.to_string(),
            amount.decimal(),
        ]);
        list.push(json!({ "chain": chain, "balance": amount }));
    }
    let json = json!({ "account": account, "balances": list });
    Ok(Answer::table(vec!["chain", "token", "balance"], rows, json))
}
