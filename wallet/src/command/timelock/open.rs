//! Opening the first half: a new secret, kept before anything is signed.

use super::{Answer, Error, MINUTE, Options, Sides, Traded, parse_address, parse_word};
use crate::{
    client::{Opened, Opening, other_token},
    clock::utc,
    command::screen,
    rpc::Chain,
    secrets::{self, Kept, Secret, Wanted},
    units::{Amount, Token},
};
use alloy::primitives::{Address, B256};
use clap::Args;
use serde_json::json;

/// How long the first half may be claimed if nothing is said, minutes.
const FIRST_MINUTES: u64 = 240;

#[derive(Args, Debug)]
pub(super) struct Open {
    /// Chain on which it is locked.
    #[arg(long)]
    pub(super) chain: Chain,
    /// What is locked.
    #[arg(long)]
    pub(super) token: Traded,
    /// How much, as a decimal number.
    #[arg(long, allow_hyphen_values = true)]
    pub(super) amount: String,
    /// Who is paid for the secret; with --lock whoever opened the first half, if left out.
    #[arg(long, value_parser = parse_address, required_unless_present = "lock", value_name = "ADDRESS")]
    pub(super) to: Option<Address>,
    /// Minutes for which it may be claimed, at most 30 days. If left out, 4 hours; with --lock an hour, or what
    /// the margin leaves.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=43_200))]
    pub(super) minutes: Option<u64>,
    /// Answers the swap that somebody opened for this account under this lock.
    #[arg(long, value_parser = parse_word)]
    pub(super) lock: Option<B256>,
    /// How much the other half brings, at least. What brings less is neither answered nor claimed.
    #[arg(long, allow_hyphen_values = true, value_name = "AMOUNT")]
    pub(super) for_amount: Option<String>,
    /// What the other half brings; the other token if left out.
    #[arg(long, requires = "for_amount", value_name = "TOKEN")]
    pub(super) for_token: Option<Traded>,
    /// Chain of the other half; the other chain if left out.
    #[arg(long, value_name = "CHAIN")]
    pub(super) for_chain: Option<Chain>,
    /// With --lock: the swap that is answered, if there are several under the lock.
    #[arg(long, requires = "lock", value_parser = parse_word, value_name = "ID")]
    pub(super) first: Option<B256>,
    /// With --lock: minutes that the first half may be claimed longer than this one, at least.
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=43_200), value_name = "MINUTES")]
    pub(super) margin_minutes: u64,
}

impl Open {
    pub(super) fn amount(&self) -> Result<Amount, Error> {
        Ok(Amount::parse_positive(self.token.into(), &self.amount)?)
    }

    /// Where the other half is, or shall be.
    pub(super) fn there(&self) -> Chain {
        self.for_chain.unwrap_or(self.chain.other())
    }

    /// What the other half brings, if that was said.
    pub(super) fn wanted(&self) -> Result<Option<Amount>, Error> {
        let token = self
            .for_token
            .map_or_else(|| other_token(self.token.into()), Token::from);
        let amount = self.for_amount.as_deref();
        let amount = amount.map(|text| Amount::parse_positive(token, text));
        Ok(amount.transpose()?)
    }
}

/// The first half.
pub(super) async fn run(
    options: &Options,
    contract: Option<Address>,
    open: Open,
) -> Result<Answer, Error> {
    let (amount, wanted) = (open.amount()?, open.wanted()?);
    let Some(claimer) = open.to else {
        return Err(Error::Meaning("name with --to who is paid for the secret"));
    };
    let signer = options.key.signer()?;
    let account = signer.address();
    let asks = options.consent()?.is_some();
    let sides = Sides::connect(options, contract, Some(signer)).await?;
    let client = sides.on(options, open.chain)?;
    let minutes = open.minutes.unwrap_or(FIRST_MINUTES);
    let deadline = sides
        .now()
        .await?
        .saturating_add(minutes.saturating_mul(MINUTE));
    let secret = Secret::random()?;
    let opening = Opening {
        amount,
        claimer,
        lock: secret.lock(),
        deadline,
    };
    let fee = client.timelock_check(account, &opening).await?;
    let command = reply(&open, contract, account, &opening, wanted);
    if asks {
        eprintln!("{}", screen::table(lines(&open, &opening, fee, wanted)));
    }
    // Before anything is signed: whoever opens it and loses the secret cannot trade, only wait.
    let there = wanted.map(|wanted| Wanted::new(open.there(), wanted));
    let file = secrets::store(
        &options.key.keystore,
        &Kept::new(secret, sides.earliest().await?, there),
    )?;
    let opened = client.timelock_open(&opening).await?;
    let mut facts = opened_facts(&open, &opening, &opened);
    facts.extend([
        (
            "secret",
            format!(
                "in {}; keep it to yourself. Losing it costs only waiting for the refund",
                file.display()
            ),
        ),
        ("the other person runs", command.clone()),
        (
            "then you run",
            format!("mileverse wallet timelock claim {}", opening.lock),
        ),
    ]);
    let mut json = opened_json(&open, &opening, &opened);
    if let Some(object) = json.as_object_mut() {
        object.insert("secretFile".to_owned(), json!(file));
        object.insert("command".to_owned(), json!(command));
    }
    Ok(Answer::facts(facts, json))
}

/// What is about to be opened.
fn lines(
    open: &Open,
    opening: &Opening,
    fee: Amount,
    wanted: Option<Amount>,
) -> Vec<(&'static str, String)> {
    let mut lines = own_lines(open, opening, fee);
    if let Some(wanted) = wanted {
        lines.push(("in exchange for", format!("{wanted} on {}", open.there())));
    }
    lines
}

/// What is locked, for whom, and what it costs.
pub(super) fn own_lines(
    open: &Open,
    opening: &Opening,
    fee: Amount,
) -> Vec<(&'static str, String)> {
    let mut lines = vec![
        ("lock", format!("{} on {}", opening.amount, open.chain)),
        ("for", opening.claimer.to_string()),
        ("until (UTC)", utc(opening.deadline)),
    ];
    if !fee.is_zero() {
        lines.push(("fee beside, not refunded", fee.to_string()));
    }
    lines
}

/// What was opened.
pub(super) fn opened_facts(
    open: &Open,
    opening: &Opening,
    opened: &Opened,
) -> Vec<(&'static str, String)> {
    vec![
        ("swap", opened.id.to_string()),
        ("lock", opening.lock.to_string()),
        ("locked", format!("{} on {}", opening.amount, open.chain)),
        ("fee", opened.fee.to_string()),
        ("for", opening.claimer.to_string()),
        ("until (UTC)", utc(opening.deadline)),
        ("transaction", opened.transaction.hash.to_string()),
    ]
}

/// The same for machines. The secret is not in it.
pub(super) fn opened_json(open: &Open, opening: &Opening, opened: &Opened) -> serde_json::Value {
    json!({
        "id": opened.id,
        "lock": opening.lock,
        "chain": open.chain,
        "amount": opening.amount,
        "fee": opened.fee,
        "claimer": opening.claimer,
        "opener": opened.terms.opener,
        "deadline": opening.deadline,
        "transaction": opened.transaction,
    })
}

/// What the other person runs, word for word; AMOUNT where nobody said how much.
fn reply(
    open: &Open,
    contract: Option<Address>,
    account: Address,
    opening: &Opening,
    wanted: Option<Amount>,
) -> String {
    let there = open.there();
    let (token, amount) = wanted.map_or_else(
        || (other_token(opening.amount.token()), "AMOUNT".to_owned()),
        |wanted| (wanted.token(), wanted.decimal()),
    );
    let word = |token: Token| token.symbol().to_lowercase();
    let mut command = format!(
        "mileverse wallet timelock open --chain {} --token {} --amount {amount} --to {account} --lock {} --for-token {} --for-amount {}",
        there.word(),
        word(token),
        opening.lock,
        word(opening.amount.token()),
        opening.amount.decimal(),
    );
    if there == open.chain {
        command.push_str(&format!(" --for-chain {}", open.chain.word()));
    }
    if let Some(contract) = contract {
        command.push_str(&format!(" --ethereum-contract {contract}"));
    }
    command
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::command::Command;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        open: Open,
    }

    #[derive(Parser)]
    struct Wallet {
        #[command(flatten)]
        _command: Command,
    }

    fn open(line: &str) -> Open {
        let words = std::iter::once("open").chain(line.split(' '));
        Line::try_parse_from(words).unwrap().open
    }

    #[test]
    fn the_other_persons_command_can_be_run() {
        let (alice, bob) = (Address::repeat_byte(1), Address::repeat_byte(2));
        let to = format!("--chain native --token mvp --amount 10.50 --to {bob}");
        let opening = |open: &Open| Opening {
            amount: open.amount().unwrap(),
            claimer: bob,
            lock: B256::repeat_byte(7),
            deadline: 9,
        };
        let reply = |line: &str, contract| {
            let open = open(line);
            let wanted = open.wanted().unwrap();
            reply(&open, contract, alice, &opening(&open), wanted)
        };
        let lock = B256::repeat_byte(7);
        let text = reply(&format!("{to} --for-amount 5"), None);
        assert_eq!(
            text,
            format!(
                "mileverse wallet timelock open --chain ethereum --token mvc --amount 5 --to {alice} --lock {lock} --for-token mvp --for-amount 10.5"
            )
        );
        let parsed = Wallet::try_parse_from(text.split(' ').skip(1));
        assert!(parsed.is_ok(), "{:?}", parsed.err());
        let text = reply(&format!("{to} --for-chain native"), Some(bob));
        assert!(
            text.contains("--chain native --token mvc --amount AMOUNT"),
            "{text}"
        );
        let end = format!("--for-chain native --ethereum-contract {bob}");
        assert!(text.ends_with(&end), "{text}");
    }
}
