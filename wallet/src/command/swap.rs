//! Swapping points and coin: on the native chain, or across both chains in one action.

use super::{Answer, Error, Options, parse_address, screen};
use crate::{
    client::{Client, ClientError, PacketReference, PacketStatus, Quote, Wish},
    rpc::Chain,
    units::{Amount, Token},
};
use alloy::primitives::Address;
use clap::{ArgGroup, Args, ValueEnum};
use serde_json::json;
use std::time::Duration;

/// Seconds of a minute.
const MINUTE: u64 = 60;
/// How long after a packet's deadline its refund is waited for, seconds.
const REFUND: u64 = 3_600;

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
    /// Chain on which it is given.
    #[arg(long, default_value = "native")]
    from: Chain,
    /// Chain on which it is received. If that is another one, it is swapped and carried in one action.
    #[arg(long, default_value = "native")]
    to: Chain,
    /// Who receives it on the other chain; the own account if left out.
    #[arg(long, value_parser = parse_address, value_name = "ADDRESS")]
    receiver: Option<Address>,
    /// Minutes in which it must arrive on the other chain; afterwards it is refunded. At most 30 days.
    #[arg(long, default_value_t = 60, value_name = "MINUTES")]
    deadline: u64,
    /// Do not wait until it is received or refunded on the other chain.
    #[arg(long)]
    no_wait: bool,
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
    if arguments.from != arguments.to {
        return across(options, &arguments, wish).await;
    }
    if arguments.from == Chain::Ethereum {
        return Err(ClientError::NoPool.into());
    }
    if arguments.receiver.is_some() {
        return Err(Error::Meaning(
            "--receiver is for swaps to the other chain; swap to yourself, then send",
        ));
    }
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

/// From one chain to the other.
async fn across(options: &Options, arguments: &Arguments, wish: Wish) -> Result<Answer, Error> {
    let Wish::Give(give) = wish else {
        return Err(Error::Meaning(
            "across chains it is fixed what is given, and the least that arrives; use --give",
        ));
    };
    let (from, to) = (arguments.from, arguments.to);
    if arguments.quote {
        let (client, _) = Client::native(options.native.url()?, None).await?;
        let quote = client.quote(wish, arguments.slippage_bp).await?;
        return Ok(Answer::facts(lines(&quote), json!(quote)));
    }
    let signer = options.key.signer()?;
    let receiver = arguments.receiver.unwrap_or(signer.address());
    let asks = options.consent()?.is_some();
    let chains = options.chains(Some(signer)).await?;
    let quote = chains.quote_across(give, arguments.slippage_bp).await?;
    if asks {
        let mut shown = lines(&quote);
        shown.push(("from", from.to_string()));
        shown.push(("to", format!("{receiver} on {to}")));
        shown.push(("arrives or is refunded after", minutes(arguments.deadline)));
        eprintln!("{}", screen::table(shown));
    }
    let deadline = chains.deadline(arguments.deadline).await?;
    let lifetime = arguments.minutes.saturating_mul(MINUTE);
    let sent = chains
        .swap_across(from, receiver, &quote, deadline, lifetime)
        .await?;
    let packet = PacketReference {
        chain: from,
        sequence: sent.id.sequence,
    };
    let mut json = json!({
        "quote": quote,
        "packet": packet.to_string(),
        "receiver": receiver,
        "deadline": deadline,
        "fee": sent.fee,
        "commitment": sent.commitment,
        "transaction": sent.sent,
    });
    let mut facts = vec![
        ("packet", packet.to_string()),
        ("gave", format!("{give} on {from}")),
        ("at least", format!("{} on {to}", quote.least)),
        ("to", receiver.to_string()),
        ("transaction", sent.sent.hash.to_string()),
    ];
    if arguments.no_wait {
        facts.push(("deadline", format!("in {}", minutes(arguments.deadline))));
        facts.push(("next", format!("mileverse wallet bridge status {packet}")));
        return Ok(Answer::facts(facts, json));
    }
    let patience = arguments.deadline.saturating_mul(MINUTE);
    let patience = Duration::from_secs(patience.saturating_add(REFUND));
    let end = chains
        .follow(packet, patience, |status| progress(options, status))
        .await?;
    facts.push(("state", end.state.to_string()));
    if let Some(swap) = &end.swap {
        if let Some(received) = swap.received {
            facts.push(("received", received.to_string()));
        }
        if let Some(refused) = &swap.refused {
            facts.push(("because", refused.clone()));
        }
    } else if let Some(amount) = end.amount {
        facts.push(("amount", amount.to_string()));
    }
    if let Some(object) = json.as_object_mut() {
        object.insert("end".to_owned(), json!(end));
    }
    Ok(Answer::facts(facts, json))
}

/// Tells a change of a packet to whoever watches.
fn progress(options: &Options, status: &PacketStatus) {
    if options.json {
        return;
    }
    let waits = status
        .waits_for
        .as_ref()
        .map_or_else(String::new, |what| format!("; it waits for {what}"));
    eprintln!("{} is {}{waits}", status.packet, status.state);
}

fn minutes(count: u64) -> String {
    if count == 1 {
        "1 minute".to_owned()
    } else {
        format!("{count} minutes")
    }
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
