//! Hashed-timelock swaps with the real modules: what is taken in is paid out, to the unit; points pay their
//! fee once; nobody sends points past it.

use super::{
    exchange::{PROVIDER, TRADER, chain_with, points},
    support::{Chain, Send, TREASURY},
};
use alloy::{
    primitives::{Address, B256, U256, b256},
    sol_types::{SolError as _, SolEvent as _},
};
use mileverse_execution::CallOutcome;
use mileverse_primitives::{
    abi::{ICoin, IPoints},
    address::{COIN, POINTS},
    exchange::{
        HASHED_TIMELOCK,
        HashedTimelock::{
            AmountMoved, SwapClaimed, SwapOpened, Terms, claimCall, openCall, refundCall,
            statesCall,
        },
    },
    points::TransferFee,
    staking::coins,
};
use proptest::prelude::*;

const SECRET: B256 = B256::ZERO;
/// SHA-256 of it.
const LOCK: B256 = b256!("66687aadf862bd776c8fc18b8e9f8e20089714856ee233b3902a591d0d5f2925");
const HOUR: u64 = 3_600;

/// The provider opens a swap for the trader, and everybody may call it.
fn open(chain: &mut Chain, token: Address, amount: U256) -> Terms {
    let approve = ICoin::approveCall {
        spender: HASHED_TIMELOCK,
        amount,
    };
    chain.send(Send::call(PROVIDER, token, &approve));
    let terms = Terms {
        token,
        amount,
        opener: chain.user(PROVIDER),
        claimer: chain.user(TRADER),
        lock: LOCK,
        deadline: chain.now + HOUR,
    };
    let call = openCall {
        token,
        amount,
        claimer: terms.claimer,
        lock: LOCK,
        deadline: terms.deadline,
    };
    let logs = chain.send(Send::call(PROVIDER, HASHED_TIMELOCK, &call));
    let event = logs
        .iter()
        .find_map(|log| SwapOpened::decode_log(log).ok())
        .unwrap();
    assert_eq!(event.terms, terms);
    assert_eq!(state(chain, event.id), 1);
    terms
}

fn state(chain: &Chain, id: B256) -> u8 {
    chain.view(HASHED_TIMELOCK, statesCall { id })
}

/// What an account has of a token.
fn held(chain: &Chain, token: Address, account: Address) -> U256 {
    chain.view(token, ICoin::balanceOfCall { account })
}

fn claim(terms: &Terms) -> claimCall {
    claimCall {
        terms: terms.clone(),
        secret: SECRET,
    }
}

fn refund(terms: &Terms) -> refundCall {
    refundCall {
        terms: terms.clone(),
    }
}

#[test]
fn points_pay_their_fee_once_and_coin_none() {
    let mut chain = chain_with(|_| ());
    let (opener, claimer) = (chain.user(PROVIDER), chain.user(TRADER));
    for (token, amount, fee) in [
        (POINTS, points(1_000), points(3)),
        (COIN, coins(7), U256::ZERO),
    ] {
        let before = [opener, claimer, TREASURY].map(|one| held(&chain, token, one));
        let terms = open(&mut chain, token, amount);
        // A third person carries it out and has nothing of it.
        let logs = chain.send(Send::call(3, HASHED_TIMELOCK, &claim(&terms)));
        let shown = logs
            .iter()
            .find_map(|log| SwapClaimed::decode_log(log).ok())
            .unwrap();
        assert_eq!(shown.secret, SECRET);
        assert_eq!(state(&chain, shown.id), 2);
        let after = [opener, claimer, TREASURY].map(|one| held(&chain, token, one));
        assert_eq!(after[0] + amount + fee, before[0]);
        assert_eq!(after[1], before[1] + amount);
        assert_eq!(after[2], before[2] + fee);
        assert_eq!(held(&chain, token, HASHED_TIMELOCK), U256::ZERO);
    }
}

/// Where a genesis file forgot the exemption, opening is all that is left: nothing could be paid out. So it
/// is looked for here, and placed by the same function as the contract.
#[test]
fn without_its_exemption_nothing_could_be_paid_out() {
    let mut chain = chain_with(|genesis| {
        let exempt = &mut genesis.points.fee.exempt;
        exempt.retain(|one| one.address != HASHED_TIMELOCK);
    });
    let terms = open(&mut chain, POINTS, points(10));
    let CallOutcome::Revert { .. } =
        chain.try_call(&Send::call(TRADER, HASHED_TIMELOCK, &claim(&terms)))
    else {
        panic!("it had no points for the fee");
    };
}

/// If taking points in were free as well, two people could send each other points past the fee.
#[test]
fn a_swap_is_no_way_around_the_fee() {
    let mut chain = chain_with(|_| ());
    let treasury = chain.points(TREASURY);
    let amount = points(20_000);
    let terms = open(&mut chain, POINTS, amount);
    chain.send(Send::call(PROVIDER, HASHED_TIMELOCK, &claim(&terms)));
    let fee = TransferFee {
        basis_points: 30,
        cap: points(300),
        receiver: TREASURY,
        exempt: Vec::new(),
    };
    assert_eq!(chain.points(TREASURY), treasury + fee.of(amount));
    let call = IPoints::transferCall {
        to: chain.user(TRADER),
        amount,
    };
    chain.send(Send::call(PROVIDER, POINTS, &call));
    let twice = fee.of(amount) * U256::from(2);
    assert_eq!(chain.points(TREASURY), treasury + twice, "the same");
}

/// Its own fee would make a swap of a token short; then nothing is opened.
#[test]
fn less_than_agreed_is_not_taken() {
    let chain = chain_with(|_| ());
    let call = openCall {
        token: POINTS,
        amount: points(1),
        claimer: chain.user(TRADER),
        lock: LOCK,
        deadline: chain.now + HOUR,
    };
    // Nothing is allowed.
    let CallOutcome::Revert { output, .. } =
        chain.try_call(&Send::call(PROVIDER, HASHED_TIMELOCK, &call))
    else {
        panic!("it was not allowed to take them");
    };
    assert!(AmountMoved::abi_decode(&output).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, max_shrink_iters: 100, ..ProptestConfig::default() })]

    /// One end, at the right time, for both tokens; the books agree after it.
    #[test]
    fn one_end_only(is_coin: bool, amount in 1u64..1_000_000_000, late in 0u64..3, refunds_first: bool) {
        let mut chain = chain_with(|_| ());
        let (token, amount) = (if is_coin { COIN } else { POINTS }, U256::from(amount));
        let terms = open(&mut chain, token, amount);
        let (opener, claimer) = (terms.opener, terms.claimer);
        let before = [opener, claimer].map(|one| held(&chain, token, one));
        // Around the last second at which it may be claimed.
        chain.now = terms.deadline - 2 + late;
        let mut end = None;
        for attempt in 0..5 {
            let refunds = refunds_first == (attempt % 2 == 0);
            let due = end.is_none() && refunds == (chain.now > terms.deadline);
            let send = if refunds {
                Send::call(3, HASHED_TIMELOCK, &refund(&terms))
            } else {
                Send::call(3, HASHED_TIMELOCK, &claim(&terms))
            };
            let output = chain.block(&[send]);
            prop_assert_eq!(super::support::outcomes(&output)[0].success, due);
            if due {
                end = Some(refunds);
            }
        }
        let is_over = end == Some(true);
        prop_assert!(end.is_some());
        let after = [opener, claimer].map(|one| held(&chain, token, one));
        let (back, paid) = if is_over { (amount, U256::ZERO) } else { (U256::ZERO, amount) };
        prop_assert_eq!(after, [before[0] + back, before[1] + paid]);
        prop_assert_eq!(held(&chain, token, HASHED_TIMELOCK), U256::ZERO);
    }
}
