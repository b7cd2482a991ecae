//! Paying a shop points or coin, out of either.

use super::{Answer, Error, Options, parse_address, screen};
use crate::{
    client::{Client, Payment, parse_memo},
    units::{Amount, Token},
};
use alloy::primitives::{Address, B256};
use clap::{ArgGroup, Args, ValueEnum};
use serde_json::json;

/// Seconds of a minute.
const MINUTE: u64 = 60;

#[derive(Args, Debug)]
#[command(group = ArgGroup::new("what").required(true).args(["points", "coin"]))]
pub(super) struct Arguments {
    /// Who is paid.
    #[arg(long, value_parser = parse_address)]
    to: Address,
    /// How many points the shop receives, as a decimal number.
    #[arg(long, allow_hyphen_values = true)]
    points: Option<String>,
    /// How much coin the shop receives, as a decimal number.
    #[arg(long, allow_hyphen_values = true)]
    coin: Option<String>,
    /// What it is paid with. What the shop does not want is swapped in the same transaction.
    #[arg(long, default_value = "mvp")]
    with: Means,
    /// By which the shop knows a payment of points: at most 32 bytes of text, or 0x and 64 hex digits.
    #[arg(long, default_value = "", value_parser = |text: &str| parse_memo(text), hide_default_value = true)]
    memo: B256,
    /// If it is swapped: how much dearer than quoted it may be, in parts of 10,000; otherwise nothing happens.
    #[arg(long, default_value_t = 50, value_name = "BP")]
    slippage_bp: u16,
    /// If it is swapped: minutes for which it may happen.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u64).range(1..=60))]
    minutes: u64,
}

/// What a payment is made with.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Means {
    /// Points.
    Mvp,
    /// The coin.
    Mvc,
}

pub(super) async fn run(options: &Options, arguments: Arguments) -> Result<Answer, Error> {
    let amount = match (&arguments.points, &arguments.coin) {
        (Some(points), _) => Amount::parse_positive(Token::Mvp, points)?,
        (None, coin) => Amount::parse_positive(Token::Mvc, coin.as_deref().unwrap_or_default())?,
    };
    let payment = Payment {
        shop: arguments.to,
        amount,
        memo: arguments.memo,
        with: match arguments.with {
            Means::Mvp => Token::Mvp,
            Means::Mvc => Token::Mvc,
        },
    };
    let signer = options.key.signer()?;
    let account = signer.address();
    let (client, _) = Client::native(options.native.url()?, Some(signer)).await?;
    let lifetime = arguments.minutes.saturating_mul(MINUTE);
    let consent = options.consent()?;
    if consent.is_some() {
        let plan = client.plan_payment(account, &payment, arguments.slippage_bp, lifetime);
        let plan = plan.await?;
        let mut lines = vec![
            ("pay", payment.amount.to_string()),
            ("to", payment.shop.to_string()),
            ("give at most", plan.most.to_string()),
        ];
        if let Some(quote) = &plan.quote {
            lines.push(("rate", format!("{} for 1 MVC", quote.rate)));
        }
        eprintln!("{}", screen::table(lines));
    }
    let paid = client
        .with_consent(consent)
        .pay(&payment, arguments.slippage_bp, lifetime)
        .await?;
    let json = json!({ "to": payment.shop, "memo": payment.memo, "paid": paid });
    Ok(Answer::facts(
        vec![
            ("paid", paid.amount.to_string()),
            ("to", payment.shop.to_string()),
            ("gave", paid.gave.to_string()),
            ("transaction", paid.transaction.hash.to_string()),
            ("block", paid.transaction.block.to_string()),
        ],
        json,
    ))
}
