//! What is to be done next with a trade, and by whom: one sentence, of what its chains say now.

use crate::{
    client::{Half, MARGIN_SECONDS, Trade, may_claim, may_refund, may_show},
    clock::utc,
    timelock::State,
};

/// The most urgent thing, of the halves with the latest deadline first.
pub(super) fn step(trade: &Trade, now: u64) -> String {
    let open: Vec<&Half> = trade
        .halves
        .iter()
        .filter(|half| half.state == State::Open)
        .collect();
    let claims = |half: &&&Half| may_claim(half.chain, half.id, half.terms.deadline, now).is_ok();
    let is_over = |half: &&&Half| may_refund(half.id, half.terms.deadline, now).is_ok();
    if open.is_empty() {
        return "nothing: each half was paid out".to_owned();
    }
    if trade.secret.is_some()
        && let Some(half) = open.iter().rfind(claims)
    {
        return format!(
            "{} claims on {} until {} UTC, with the secret that was shown: mileverse wallet timelock claim {}",
            half.terms.claimer,
            half.chain,
            utc(half.terms.deadline),
            half.id
        );
    }
    if let Some(half) = open.iter().find(is_over) {
        return format!(
            "anybody refunds {} on {}: mileverse wallet timelock refund {}",
            half.terms.opener, half.chain, half.id
        );
    }
    let wait = |half: &Half| {
        format!(
            "wait until {} UTC, then anybody refunds {} on {}: mileverse wallet timelock refund {}",
            utc(half.terms.deadline),
            half.terms.opener,
            half.chain,
            half.id
        )
    };
    match (open.as_slice(), trade.halves.as_slice()) {
        // Alone, and nothing was there beside it: it waits for its answer.
        ([first], [_]) if first.terms.deadline > now.saturating_add(MARGIN_SECONDS) => format!(
            "{} opens the other half, with a deadline an hour before {} UTC: mileverse wallet timelock open --lock {}",
            first.terms.claimer,
            utc(first.terms.deadline),
            first.terms.lock
        ),
        // The one that ends first is claimed first.
        ([.., second], [_, _, ..])
            if open.len() > 1 && may_show(second.id, second.terms.deadline, now).is_ok() =>
        {
            format!(
                "{} claims on {} and shows the secret, five minutes before {} UTC at the latest: mileverse wallet timelock claim {}",
                second.terms.claimer,
                second.chain,
                utc(second.terms.deadline),
                second.id
            )
        }
        ([.., second], _) => wait(second),
        ([], _) => String::new(),
    }
}

/// A half of 5 micro-points with names of one byte, for tests.
#[cfg(test)]
pub(super) fn half(
    id: u8,
    chain: crate::rpc::Chain,
    opener: u8,
    claimer: u8,
    deadline: u64,
) -> Half {
    use crate::{
        timelock::Terms,
        units::{Amount, Token},
    };
    use alloy::primitives::{Address, B256, U256};
    Half {
        chain,
        id: B256::repeat_byte(id),
        terms: Terms {
            token: Address::repeat_byte(0xaa),
            amount: U256::from(5),
            opener: Address::repeat_byte(opener),
            claimer: Address::repeat_byte(claimer),
            lock: B256::repeat_byte(9),
            deadline,
        },
        amount: Some(Amount::from_units(Token::Mvp, U256::from(5))),
        state: State::Open,
        block: 1,
        transaction: B256::ZERO,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rpc::Chain;
    use alloy::primitives::{Address, B256};

    fn said(halves: &[Half], is_shown: bool, now: u64) -> String {
        let trade = Trade {
            halves: halves.to_vec(),
            secret: is_shown.then_some(B256::ZERO),
        };
        step(&trade, now)
    }

    fn ended(half: Half, state: State) -> Half {
        Half { state, ..half }
    }

    #[test]
    fn a_trade_goes_its_way_step_by_step() {
        let first = half(1, Chain::Native, 0xa1, 0xb0, 20_000);
        let second = half(2, Chain::Ethereum, 0xb0, 0xa1, 10_000);
        let (alice, bob) = (Address::repeat_byte(0xa1), Address::repeat_byte(0xb0));
        let text = said(&[first], false, 1_000);
        assert!(
            text.starts_with(&format!("{bob} opens the other half")),
            "{text}"
        );
        let text = said(&[first, second], false, 1_000);
        assert!(
            text.starts_with(&format!("{alice} claims on Ethereum and shows")),
            "{text}"
        );
        assert!(text.ends_with(&second.id.to_string()), "{text}");
        let claimed = ended(second, State::Claimed);
        let text = said(&[first, claimed], true, 9_999);
        assert!(
            text.starts_with(&format!("{bob} claims on the native chain until")),
            "{text}"
        );
        let both = [ended(first, State::Claimed), claimed];
        assert!(said(&both, true, 9_999).starts_with("nothing"));
    }

    #[test]
    fn a_trade_that_stops_is_refunded() {
        let first = half(1, Chain::Native, 0xa1, 0xb0, 20_000);
        let second = half(2, Chain::Ethereum, 0xb0, 0xa1, 10_000);
        let (alice, bob) = (Address::repeat_byte(0xa1), Address::repeat_byte(0xb0));
        // Too late to answer.
        let text = said(&[first], false, 16_400);
        assert!(text.starts_with("wait until"), "{text}");
        // Too late to show.
        let text = said(&[first, second], false, 9_701);
        assert!(
            text.starts_with("wait until") && text.ends_with(&second.id.to_string()),
            "{text}"
        );
        let text = said(&[first, second], false, 10_001);
        assert!(
            text.starts_with(&format!("anybody refunds {bob} on Ethereum")),
            "{text}"
        );
        let refunded = ended(second, State::Refunded);
        let text = said(&[first, refunded], false, 10_002);
        assert!(
            text.starts_with("wait until") && text.ends_with(&first.id.to_string()),
            "{text}"
        );
        // Whoever waited too long with a known secret is left with nothing, and that is said, too.
        let claimed = ended(second, State::Claimed);
        let text = said(&[first, claimed], true, 20_001);
        assert!(
            text.starts_with(&format!("anybody refunds {alice}")),
            "{text}"
        );
    }
}
