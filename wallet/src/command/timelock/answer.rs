//! Opening the second half: only for a first one that pays this account, stays, brings what was agreed, and may be
//! claimed long enough afterwards.

use super::{
    Answer, CLOCKS_DIFFER, Error, MINUTE, Options, Sides, facts, holds,
    open::{Open, opened_facts, opened_json, own_lines},
};
use crate::{
    client::{
        Bounds, By, Client, Half, Opening, TimelockError, Trade, brings, deadline_of_answer,
        may_answer, search,
    },
    clock::utc,
    command::screen,
    rpc::Chain,
    timelock::State,
    units::Amount,
};
use alloy::primitives::{Address, B256};
use serde_json::json;

pub(super) async fn run(
    options: &Options,
    contract: Option<Address>,
    open: Open,
) -> Result<Answer, Error> {
    let (amount, wanted) = (open.amount()?, open.wanted()?);
    let lock = open.lock.unwrap_or_default();
    let signer = options.key.signer()?;
    let account = signer.address();
    let asks = options.consent()?.is_some();
    let sides = Sides::connect(options, contract, Some(signer)).await?;
    let client = sides.on(options, open.chain)?;
    // A swap of this account that is still on its way would not be seen below.
    client.timelock_quiet().await?;
    let first = find(options, &sides, &open, account, lock, wanted).await?;
    let there = sides.on(options, first.chain)?;
    check_alone(&sides, there, &first, account, lock).await?;

    let margin = open.margin_minutes.saturating_mul(MINUTE);
    let now = sides.now().await?;
    let deadline = deadline_of_answer(first.terms.deadline, open.minutes, margin, now)?;
    let is_final = there.timelock_finality(&first).await?;
    may_answer(&first, is_final, account, deadline, margin)?;
    let opening = Opening {
        amount,
        claimer: open.to.unwrap_or(first.terms.opener),
        lock,
        deadline,
    };
    let fee = client.timelock_check(account, &opening).await?;
    if asks {
        let mut lines = vec![
            (
                "you are paid",
                format!("{} on {}", holds(&first), first.chain),
            ),
            ("by", first.terms.opener.to_string()),
            (
                "which may be claimed until (UTC)",
                utc(first.terms.deadline),
            ),
        ];
        lines.extend(own_lines(&open, &opening, fee));
        eprintln!("{}", screen::table(lines));
    }
    let opened = client.timelock_open(&opening).await?;
    let mut shown = opened_facts(&open, &opening, &opened);
    shown.extend([
        (
            "answers",
            format!(
                "{}, {} on {} until {} UTC",
                first.id,
                holds(&first),
                first.chain,
                utc(first.terms.deadline)
            ),
        ),
        (
            "once it is claimed you run",
            format!("mileverse wallet timelock claim {lock}"),
        ),
    ]);
    let mut json = opened_json(&open, &opening, &opened);
    if let Some(object) = json.as_object_mut() {
        object.insert("first".to_owned(), facts(&first));
        let command = format!("mileverse wallet timelock claim {lock}");
        object.insert("command".to_owned(), json!(command));
    }
    Ok(Answer::facts(shown, json))
}

/// The swap that is answered.
async fn find(
    options: &Options,
    sides: &Sides,
    open: &Open,
    account: Address,
    lock: B256,
    wanted: Option<Amount>,
) -> Result<Half, Error> {
    let chain = if sides.ethereum.is_none() && open.for_chain.is_none() {
        // Without Ethereum the other half can only be here.
        Chain::Native
    } else {
        open.there()
    };
    let clients = [sides.on(options, chain)?];
    let wanted = wanted.map(|amount| (None, amount));
    let is_meant = |half: &&Half| {
        half.terms.claimer == account
            && half.state == State::Open
            && open.first.is_none_or(|id| id == half.id)
            && brings(half, wanted).is_ok()
    };
    let enough = |trade: &Trade| trade.halves.iter().any(|half| is_meant(&half));
    let trade = search(&clients, By::Lock(lock), Bounds::default(), enough).await?;
    if trade.secret.is_some() {
        return Err(TimelockError::Shown(lock).into());
    }
    let meant: Vec<_> = trade.halves.iter().filter(is_meant).collect();
    match meant.as_slice() {
        [one] => Ok(**one),
        [] => Err(why_none(&trade, open.first, account, lock, wanted).into()),
        several => Err(TimelockError::Several(several.iter().map(|half| half.id).collect()).into()),
    }
}

/// Why none of the swaps under a lock may be answered.
fn why_none(
    trade: &Trade,
    id: Option<B256>,
    account: Address,
    lock: B256,
    wanted: Option<(Option<Chain>, Amount)>,
) -> TimelockError {
    let mut halves: Vec<_> = trade
        .halves
        .iter()
        .filter(|half| id.is_none_or(|id| id == half.id))
        .collect();
    // What is about one that pays the account says more.
    halves.sort_by_key(|half| half.terms.claimer != account);
    let Some(half) = halves.first() else {
        return TimelockError::Unknown(id.unwrap_or(lock));
    };
    // Whatever is wrong with it beside its time.
    may_answer(half, Ok(()), account, 0, 0)
        .and_then(|()| brings(half, wanted))
        .err()
        .unwrap_or(TimelockError::Unknown(lock))
}

/// Nobody has seen the secret on either chain, and this account has not answered yet. Whatever there is was
/// opened after the first half.
async fn check_alone(
    sides: &Sides,
    there: &Client,
    first: &Half,
    account: Address,
    lock: B256,
) -> Result<(), Error> {
    let opened = there.time(first.block).await?;
    let since = Some(opened.saturating_sub(CLOCKS_DIFFER));
    let bounds = Bounds {
        since,
        blocks: None,
    };
    let trade = search(&sides.all(), By::Lock(lock), bounds, |_| false).await?;
    if trade.secret.is_some() {
        return Err(TimelockError::Shown(lock).into());
    }
    let own = trade
        .halves
        .iter()
        .find(|half| half.terms.opener == account && half.state == State::Open);
    match own {
        Some(Half { id, chain, .. }) => Err(TimelockError::Answered {
            id: *id,
            chain: *chain,
        }
        .into()),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{command::timelock::next::half, units::Token};
    use alloy::primitives::U256;

    #[test]
    fn what_cannot_be_answered_is_explained() {
        let me = Address::repeat_byte(2);
        let lock = B256::repeat_byte(9);
        let why = |halves: Vec<Half>, id, wanted| {
            let trade = Trade {
                halves,
                secret: None,
            };
            why_none(&trade, id, me, lock, wanted)
        };
        let open = half(1, Chain::Ethereum, 1, 2, 1_000);
        let strange = half(2, Chain::Ethereum, 1, 3, 1_000);
        let ended = Half {
            state: State::Refunded,
            ..open
        };
        assert_eq!(why(vec![], None, None), TimelockError::Unknown(lock));
        assert!(matches!(
            why(vec![strange], None, None),
            TimelockError::NotYours { .. }
        ));
        assert!(matches!(
            why(vec![strange, ended], None, None),
            TimelockError::NotOpen { .. }
        ));
        let other = Some(B256::repeat_byte(5));
        assert!(matches!(
            why(vec![open], other, None),
            TimelockError::Unknown(_)
        ));
        let more = Amount::from_units(Token::Mvp, U256::MAX);
        assert!(matches!(
            why(vec![open], None, Some((None, more))),
            TimelockError::Less { .. }
        ));
    }
}
