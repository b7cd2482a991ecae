//! Claiming what pays this account, and refunding what nobody claimed.

use super::{Answer, CLOCKS_DIFFER, Error, Options, Sides, facts, holds, parse_word};
use crate::{
    client::{Bounds, By, Client, Half, Sent, TimelockError, Trade, brings, search},
    clock::utc,
    command::screen,
    rpc::Chain,
    secrets::{self, Kept},
    timelock::State,
    units::Amount,
};
use alloy::primitives::{Address, B256};
use clap::Args;
use serde_json::json;
use std::path::PathBuf;

#[derive(Args, Debug)]
pub(super) struct Claim {
    /// The swap's id, or its lock.
    #[arg(value_parser = parse_word, value_name = "ID OR LOCK")]
    swap: B256,
    /// Chain of the swap that is claimed, if it could be on both.
    #[arg(long)]
    chain: Option<Chain>,
    /// File with the secret, if it is not beside the keystore: as the wallet writes it, or 64 hex digits.
    #[arg(long, value_name = "FILE")]
    secret_file: Option<PathBuf>,
    /// Shows the secret even though the swap on Ethereum could still be taken back by its chain. Who opened it may
    /// then have both halves.
    #[arg(long)]
    before_final: bool,
}

#[derive(Args, Debug)]
pub(super) struct Refund {
    /// The swap's id, or its lock: then what this account opened.
    #[arg(value_parser = parse_word, value_name = "ID OR LOCK")]
    swap: B256,
    /// Chain of the swap, if it could be on both.
    #[arg(long)]
    chain: Option<Chain>,
}

pub(super) async fn claim(
    options: &Options,
    contract: Option<Address>,
    arguments: Claim,
) -> Result<Answer, Error> {
    let signer = options.key.signer()?;
    let account = signer.address();
    let asks = options.consent()?.is_some();
    let sides = Sides::connect(options, contract, Some(signer)).await?;
    let named = sides.named(arguments.swap).await?;
    let lock = named.map_or(arguments.swap, |half| half.terms.lock);
    if let Some(half) = &named {
        check(half, account)?;
    }
    let kept = match &arguments.secret_file {
        Some(file) => Some(secrets::read(file, lock)?),
        None => secrets::find(&options.key.keystore, lock)?,
    };
    let meant = Meant {
        id: named.map(|half| half.id),
        chain: arguments.chain,
        account,
        kept,
    };
    let bounds = Bounds {
        // The lock of one's own secret is no older than that.
        since: kept
            .and_then(|kept| kept.made)
            .map(|made| made.saturating_sub(CLOCKS_DIFFER)),
        blocks: None,
    };
    let enough = |trade: &Trade| meant.is_enough(trade);
    let mut trade = search(&sides.all(), By::Lock(lock), bounds, enough).await?;
    if let Some(named) = named
        && !trade.halves.iter().any(|half| half.id == named.id)
    {
        trade.halves.push(named);
    }
    let half = meant.choose(&trade, lock)?;
    let client = sides.on(options, half.chain)?;
    let shown = trade.secret;
    let secret = shown
        .or(kept.map(|kept| kept.secret().expose()))
        .ok_or(TimelockError::SecretUnknown(lock))?;
    if shown.is_none() && !arguments.before_final {
        let (id, chain, block) = (half.id, half.chain, half.block);
        let is_final = client.timelock_finality(&half).await?;
        is_final.map_err(|known| TimelockError::NotFinal {
            id,
            chain,
            block,
            known,
        })?;
    }
    if asks {
        let mut lines = lines("claim", &half);
        lines.push((
            "secret",
            match shown {
                Some(_) => "everybody knows it already".to_owned(),
                None => "this shows it to everybody".to_owned(),
            },
        ));
        eprintln!("{}", screen::table(lines));
    }
    let sent = match shown {
        Some(_) => client.timelock_claim(&half.terms, secret).await?,
        None => client.timelock_show(&half.terms, secret).await?,
    };
    ended(client, "claimed", half, &sent).await
}

/// Refuses a swap that was named and cannot be claimed, without a long search.
fn check(half: &Half, account: Address) -> Result<(), TimelockError> {
    let Half {
        id, chain, state, ..
    } = *half;
    let claimer = half.terms.claimer;
    if claimer != account {
        return Err(TimelockError::NotYours {
            id,
            claimer,
            account,
        });
    }
    if state != State::Open {
        return Err(TimelockError::NotOpen { id, chain, state });
    }
    Ok(())
}

/// What is to be claimed.
struct Meant {
    id: Option<B256>,
    chain: Option<Chain>,
    account: Address,
    kept: Option<Kept>,
}

impl Meant {
    fn fits(&self, half: &Half) -> bool {
        half.terms.claimer == self.account
            && half.state == State::Open
            && self.id.is_none_or(|id| id == half.id)
            && self.chain.is_none_or(|chain| chain == half.chain)
    }

    /// What was agreed, as it was kept with the secret. Once the secret is out there is nothing left to save.
    fn wanted(&self, trade: &Trade) -> Option<(Option<Chain>, Amount)> {
        self.kept
            .filter(|_| trade.secret.is_none())
            .and_then(|kept| kept.wanted)
            .map(|wanted| (Some(wanted.chain()), wanted.amount()))
    }

    fn found<'a>(&self, trade: &'a Trade) -> Vec<&'a Half> {
        let wanted = self.wanted(trade);
        let halves = trade.halves.iter().filter(|half| self.fits(half));
        halves
            .filter(|half| wanted.is_none() || brings(half, wanted).is_ok())
            .collect()
    }

    /// Something to claim, and the secret, or all blocks since this account opened its own half, in which it would
    /// have been shown.
    fn is_enough(&self, trade: &Trade) -> bool {
        let has_secret = self.kept.is_some() || trade.secret.is_some();
        let own = |half: &Half| half.terms.opener == self.account;
        !self.found(trade).is_empty() && (has_secret || trade.halves.iter().any(own))
    }

    fn choose(&self, trade: &Trade, lock: B256) -> Result<Half, TimelockError> {
        if let [one] = self.found(trade).as_slice() {
            return Ok(**one);
        }
        let found = self.found(trade);
        if !found.is_empty() {
            return Err(TimelockError::Several(
                found.iter().map(|half| half.id).collect(),
            ));
        }
        if trade.halves.is_empty() {
            return Err(TimelockError::Unknown(self.id.unwrap_or(lock)));
        }
        let less = trade
            .halves
            .iter()
            .find(|half| self.fits(half))
            .and_then(|half| brings(half, self.wanted(trade)).err());
        Err(less.unwrap_or(TimelockError::Nothing {
            lock,
            account: self.account,
            what: "claim",
        }))
    }
}

pub(super) async fn refund(
    options: &Options,
    contract: Option<Address>,
    arguments: Refund,
) -> Result<Answer, Error> {
    let signer = options.key.signer()?;
    let account = signer.address();
    let asks = options.consent()?.is_some();
    let sides = Sides::connect(options, contract, Some(signer)).await?;
    let half = match sides.named(arguments.swap).await? {
        Some(half) => half,
        None => opened_by(options, &sides, &arguments, account).await?,
    };
    let client = sides.on(options, half.chain)?;
    if asks {
        eprintln!("{}", screen::table(lines("refund", &half)));
    }
    let sent = client.timelock_refund(&half.terms).await?;
    ended(client, "refunded", half, &sent).await
}

/// What an account opened under a lock, and is still open.
async fn opened_by(
    options: &Options,
    sides: &Sides,
    arguments: &Refund,
    account: Address,
) -> Result<Half, Error> {
    let lock = arguments.swap;
    let clients = sides.among(options, arguments.chain)?;
    let own = |half: &&Half| half.terms.opener == account && half.state == State::Open;
    let enough = |trade: &Trade| trade.halves.iter().any(|half| own(&half));
    let trade = search(&clients, By::Lock(lock), Bounds::default(), enough).await?;
    let found: Vec<_> = trade.halves.iter().filter(own).collect();
    let what = "refund";
    Err(match found.as_slice() {
        [one] => return Ok(**one),
        [] if trade.halves.is_empty() => TimelockError::Unknown(lock),
        [] => TimelockError::Nothing {
            lock,
            account,
            what,
        },
        several => TimelockError::Several(several.iter().map(|half| half.id).collect()),
    }
    .into())
}

fn lines(what: &'static str, half: &Half) -> Vec<(&'static str, String)> {
    let pays = if what == "claim" {
        half.terms.claimer
    } else {
        half.terms.opener
    };
    vec![
        (what, format!("{} on {}", holds(half), half.chain)),
        ("pays", pays.to_string()),
        ("opened by", half.terms.opener.to_string()),
        ("claimed until (UTC)", utc(half.terms.deadline)),
        ("swap", half.id.to_string()),
    ]
}

async fn ended(
    client: &Client,
    what: &'static str,
    half: Half,
    sent: &Sent,
) -> Result<Answer, Error> {
    let state = client.timelock_state(half.id).await?;
    let half = Half { state, ..half };
    let json = json!({ "swap": facts(&half), "transaction": sent });
    let paid = if what == "claimed" {
        half.terms.claimer
    } else {
        half.terms.opener
    };
    Ok(Answer::facts(
        vec![
            (what, format!("{} on {}", holds(&half), half.chain)),
            ("paid", paid.to_string()),
            ("swap", half.id.to_string()),
            ("transaction", sent.hash.to_string()),
            ("block", sent.block.to_string()),
        ],
        json,
    ))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::{
        command::timelock::next::half,
        secrets::{Secret, Wanted},
        units::Token,
    };
    use alloy::primitives::U256;

    const LOCK: B256 = B256::repeat_byte(9);

    fn trade(halves: Vec<Half>, secret: Option<B256>) -> Trade {
        Trade { halves, secret }
    }

    fn meant(kept: Option<Kept>) -> Meant {
        Meant {
            id: None,
            chain: None,
            account: Address::repeat_byte(1),
            kept,
        }
    }

    fn kept(units: u64) -> Option<Kept> {
        let amount = Amount::from_units(Token::Mvp, U256::from(units));
        let wanted = Wanted::new(Chain::Ethereum, amount);
        Some(Kept::new(Secret::random().unwrap(), 0, Some(wanted)))
    }

    #[test]
    fn a_secret_is_shown_only_for_what_was_agreed() {
        // Of 5 units, for account 1.
        let good = half(1, Chain::Ethereum, 2, 1, 1_000);
        assert_eq!(
            meant(kept(5)).choose(&trade(vec![good], None), LOCK),
            Ok(good)
        );
        let little = meant(kept(6));
        assert!(!little.is_enough(&trade(vec![good], None)));
        assert!(matches!(
            little.choose(&trade(vec![good], None), LOCK),
            Err(TimelockError::Less { .. })
        ));
        let elsewhere = half(2, Chain::Native, 2, 1, 1_000);
        assert!(
            meant(kept(5))
                .choose(&trade(vec![elsewhere], None), LOCK)
                .is_err()
        );
        // Dust beside what is meant changes nothing.
        let mut dust = half(3, Chain::Ethereum, 3, 1, 1_000);
        dust.amount = Some(Amount::from_units(Token::Mvp, U256::from(1)));
        assert_eq!(
            meant(kept(5)).choose(&trade(vec![dust, good], None), LOCK),
            Ok(good)
        );
        // Once everybody knows the secret, all of it is worth claiming.
        let known = trade(vec![dust], Some(B256::ZERO));
        assert_eq!(meant(kept(5)).choose(&known, LOCK), Ok(dust));
    }

    #[test]
    fn whoever_answered_looks_back_to_the_own_half() {
        let first = half(1, Chain::Native, 2, 1, 2_000);
        let own = half(2, Chain::Ethereum, 1, 2, 1_000);
        let me = meant(None);
        assert!(!me.is_enough(&trade(vec![first], None)));
        assert!(me.is_enough(&trade(vec![first, own], None)));
        assert!(me.is_enough(&trade(vec![first], Some(B256::ZERO))));
        assert!(!me.is_enough(&trade(vec![own], Some(B256::ZERO))));
        assert_eq!(me.choose(&trade(vec![own, first], None), LOCK), Ok(first));
    }

    #[test]
    fn what_cannot_be_claimed_is_explained() {
        let me = meant(None);
        let choose = |halves| me.choose(&trade(halves, None), LOCK).unwrap_err();
        assert_eq!(choose(vec![]), TimelockError::Unknown(LOCK));
        let one = half(1, Chain::Native, 2, 1, 2_000);
        let two = half(2, Chain::Native, 2, 1, 2_000);
        assert_eq!(
            choose(vec![one, two]),
            TimelockError::Several(vec![one.id, two.id])
        );
        let ended = Half {
            state: State::Claimed,
            ..one
        };
        assert!(matches!(choose(vec![ended]), TimelockError::Nothing { .. }));
        let there = Meant {
            chain: Some(Chain::Ethereum),
            ..me
        };
        assert!(there.choose(&trade(vec![one], None), LOCK).is_err());
    }
}
