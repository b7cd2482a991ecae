//! Swapping points and coin.

use super::{Answer, Error, Options, screen};
use crate::{
    client::{Client, Quote, Wish},
    units::{Amount, Token},
};
use clap::{ArgGroup, Args, ValueEnum};
use serde_json::json;

/// Seconds of a minute.
const MINUTE: u64 = 60;

#[derive(Args, Debug)]
#[command(group = ArgGroup::new("what").required(true).args(["give", "receive"]))]
pub(super) struct Arguments {
    /// Give exactly the amount of this token.
    #[arg(long)]
    give: Option<Side>,
    /// Receive exactly the amount of this token.
    #[arg(long)]
    receive: Option<Side>,
    /// How much, as a decimal number.
    #[arg(long, allow_hyphen_values = true)]
    amount: String,
    /// How much worse than quoted it may be, in parts of 10,000; otherwise nothing happens.
    #[arg(long, default_value_t = 50, value_name = "BP")]
    slippage_bp: u16,
    /// Minutes for which it may happen, at the quote's limit.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u64).range(1..=60))]
    minutes: u64,
    /// Only say what it would be.
    #[arg(long)]
    quote: bool,
}

/// What the pool holds.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Side {
    /// Points.
    Mvp,
    /// The coin.
    Mvc,
}

impl From<Side> for Token {
    fn from(side: Side) -> Self {
        match side {
            Side::Mvp => Self::Mvp,
            Side::Mvc => Self::Mvc,
        }
    }
}

impl Arguments {
    fn wish(&self) -> Result<Wish, Error> {
        Ok(match (self.give, self.receive) {
            (Some(side), _) => Wish::Give(Amount::parse_positive(side.into(), &self.amount)?),
            (None, side) => {
                let token = side.map_or(Token::Mvp, Token::from);
                Wish::Receive(Amount::parse_positive(token, &self.amount)?)
            }
        })
    }
}

pub(super) async fn run(options: &Options, arguments: Arguments) -> Result<Answer, Error> {
    let wish = arguments.wish()?;
    let signer = if arguments.quote {
        None
    } else {
        Some(options.key.signer()?)
    };
    let (client, _) = Client::native(options.native.url()?, signer).await?;
    let quote = client.quote(wish, arguments.slippage_bp).await?;
    if arguments.quote {
        return Ok(Answer::facts(lines(&quote), json!(quote)));
    }
    let consent = options.consent()?;
    if consent.is_some() {
        eprintln!("{}", screen::table(lines(&quote)));
    }
    let client = client.with_consent(consent);
    let swapped = client
        .swap(&quote, arguments.minutes.saturating_mul(MINUTE))
        .await?;
    let json = json!({ "quote": quote, "swapped": swapped });
    Ok(Answer::facts(
        vec![
            ("gave", swapped.gave.to_string()),
            ("received", swapped.received.to_string()),
            ("transaction", swapped.transaction.hash.to_string()),
            ("block", swapped.transaction.block.to_string()),
        ],
        json,
    ))
}

fn lines(quote: &Quote) -> Vec<(&'static str, String)> {
    vec![
        ("give", quote.give.to_string()),
        ("receive", quote.receive.to_string()),
        if quote.is_receive_fixed {
            ("give at most", quote.most.to_string())
        } else {
            ("receive at least", quote.least.to_string())
        },
        ("fee, in the above", quote.fee.to_string()),
        ("rate", format!("{} for 1 MVC", quote.rate)),
        ("price before", format!("{} for 1 MVC", quote.price)),
    ]
}
