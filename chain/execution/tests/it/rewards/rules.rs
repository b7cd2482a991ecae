//! The rules, one by one.

use crate::{
    bridge::{check_books, deliver},
    ethereum::{Ethereum, coin_token},
    staking::support::{back, net_genesis, rules as staking_rules, run_to},
    support::{BENEFICIARY, Chain, Send},
    valves::announce_as,
};
use alloy::{
    primitives::{Address, B256, U256, keccak256},
    sol_types::SolEvent,
};
use mileverse_primitives::{
    abi::{IRewards, IStaking, IValves},
    address::{BRIDGE, COIN, REWARDS, STAKING},
    bridge::BridgeRules,
    quarter::Quarter,
    rewards::RewardRules,
};

const GOVERNOR: usize = 11;
const DELAY: u64 = 3_600;
const POT: u64 = 1_000_000;

fn terms() -> RewardRules {
    RewardRules {
        pot: U256::from(POT),
        least_payment: U256::ZERO,
        holders_per_block: 100,
        pool: U256::from(10 * POT),
        excluded: vec![],
    }
}

/// Twelve users with a million each, of which four staked a thousand more.
fn chain(rewards: RewardRules) -> Chain {
    let mut genesis = net_genesis(staking_rules());
    let users = Chain::some_users(12);
    genesis.rewards = rewards;
    genesis.bridge = BridgeRules {
        governor: users[GOVERNOR].address(),
        delay_seconds: u32::try_from(DELAY).unwrap(),
        ..BridgeRules::default()
    };
    genesis.check().unwrap();
    let mut chain = Chain::with(genesis, users);
    chain.beneficiary = STAKING;
    chain
}

fn ends(quarter: Quarter) -> u64 {
    quarter.ends_ms().unwrap() / 1000
}

fn standing(chain: &Chain) -> IRewards::Standing {
    chain.view(REWARDS, IRewards::standingCall {})
}

fn open(chain: &Chain) -> Quarter {
    Quarter::new(standing(chain).quarter)
}

fn report(chain: &Chain, quarter: Quarter) -> IRewards::Report {
    let quarter = quarter.number();
    chain.view(REWARDS, IRewards::reportCall { quarter })
}

fn earned(chain: &Chain, account: Address, quarter: Quarter) -> u64 {
    let quarter = quarter.number();
    chain
        .view(REWARDS, IRewards::earnedCall { account, quarter })
        .to()
}

fn holder(chain: &Chain, account: Address) -> IRewards::Holder {
    chain.view(REWARDS, IRewards::holderCall { account })
}

fn preview(chain: &Chain, account: Address) -> u64 {
    let preview = chain.view(REWARDS, IRewards::previewCall { account });
    preview.amount.to()
}

fn balance(chain: &Chain, account: Address) -> u64 {
    chain.account(account).balance.to()
}

fn pool(chain: &Chain) -> IRewards::Pool {
    chain.view(REWARDS, IRewards::poolCall {})
}

/// Ends the quarter under way with an empty block; answers it.
fn close(chain: &mut Chain) -> Quarter {
    let quarter = open(chain);
    chain.now = ends(quarter);
    chain.block(&[]);
    quarter
}

#[test]
fn the_first_block_at_midnight_in_seoul_closes() {
    let mut chain = chain(terms());
    let quarter: Quarter = "2026Q1".parse().unwrap();
    assert_eq!(open(&chain), quarter);
    assert_eq!(standing(&chain).endsAtMs, quarter.ends_ms().unwrap());
    // 2026-03-31 15:00 UTC. The block's time is a millisecond short of the next second.
    chain.now = 1_774_969_200 - 2;
    let reason = chain.refuse(Send::call(
        1,
        REWARDS,
        &IRewards::reportCall {
            quarter: quarter.number(),
        },
    ));
    assert!(reason.contains("2026Q1 is not closed"), "{reason}");
    chain.block(&[]);
    assert_eq!(open(&chain), quarter);
    let mut input = chain.input(None);
    input.timestamp_ms = 1_774_969_200_000;
    // It counts what was there before its first transaction.
    let send = Send::data(1, chain.user(2), vec![]).value(U256::from(1_000_000));
    chain.block_of(&[send], input);
    assert_eq!(open(&chain), quarter.next());
    let report = report(&chain, quarter);
    assert_eq!(report.closedAtMs, 1_774_969_200_000);
    assert_eq!(report.closedHeight, report.paidHeight);
    assert_eq!(report.eligible, U256::from(12 * 1_000_000 + 4 * 1_000));
    assert_eq!(report.holders, 12);
    assert_eq!(report.credited, 12);
    // floor(1,000,000 x 1,001,000 / 12,004,000) and floor(… x 1,000,000 / …)
    assert_eq!(earned(&chain, chain.user(0), quarter), 83_388);
    assert_eq!(earned(&chain, chain.user(1), quarter), 83_388);
    assert_eq!(earned(&chain, chain.user(4), quarter), 83_305);
    let paid = 4 * 83_388 + 8 * 83_305;
    assert_eq!(report.paid, U256::from(paid));
    assert_eq!(report.remainder, U256::from(POT - paid));
    assert_eq!(pool(&chain).available, U256::from(10 * POT - paid));
    assert_eq!(balance(&chain, chain.user(1)), 83_388);
    assert_eq!(balance(&chain, chain.user(2)), 2_000_000 + 83_388);
}

#[test]
fn a_chain_that_slept_closes_every_quarter_once() {
    let mut chain = chain(RewardRules {
        holders_per_block: 5,
        ..terms()
    });
    let first = open(&chain);
    let last = first.next().next();
    chain.now = ends(last) + 17;
    chain.block(&[]);
    assert_eq!(open(&chain), last.next());
    let reports = [first, first.next(), last].map(|quarter| report(&chain, quarter));
    for one in &reports {
        assert_eq!(one.closedHeight, 1);
        assert_eq!(one.pot, U256::from(POT));
        assert_eq!(one.eligible, reports[0].eligible);
    }
    assert_eq!(standing(&chain).visited, 5);
    // 36 visits, 5 a block; what was paid for one quarter does not count for the next.
    for _ in 0..7 {
        assert!(standing(&chain).paying <= last.number());
        chain.block(&[]);
    }
    assert_eq!(standing(&chain).paying, last.next().number());
    for quarter in [first, first.next(), last] {
        assert_eq!(earned(&chain, chain.user(7), quarter), 83_305);
    }
    assert_eq!(balance(&chain, chain.user(7)), 1_000_000 + 3 * 83_305);
    assert_eq!(report(&chain, last).paidHeight, 8);
}

#[test]
fn a_close_while_the_last_is_paid_counts_both_exactly() {
    let mut chain = chain(RewardRules {
        holders_per_block: 1,
        ..terms()
    });
    let first = close(&mut chain);
    // One of twelve is paid. Everybody else's coin moves on to user 0's neighbour.
    let sends: Vec<_> = (5..9)
        .map(|user| Send::data(user, chain.user(1), vec![]).value(U256::from(400_000)))
        .collect();
    chain.block(&sends);
    let second = close(&mut chain);
    assert!(report(&chain, first).paidHeight == 0);
    let sends: Vec<_> = (5..9)
        .map(|user| Send::data(user, chain.user(2), vec![]).value(U256::from(600_000)))
        .collect();
    chain.block(&sends);
    for user in 5..9 {
        let rest = balance(&chain, chain.user(user));
        assert!(rest < 100_000, "{rest}");
    }
    while standing(&chain).paying < standing(&chain).quarter {
        chain.block(&[]);
    }
    for user in 5..9 {
        let user = chain.user(user);
        assert_eq!(earned(&chain, user, first), 83_305);
        // What it had at the second close, before it was paid for the first.
        let eligible: u64 = report(&chain, second).eligible.to();
        assert_eq!(earned(&chain, user, second), POT * 600_000 / eligible);
    }
    // Nothing that was written down is left.
    for (close, user) in [first, second]
        .into_iter()
        .flat_map(|quarter| (0..12).map(move |user| (quarter, user)))
    {
        let height = report(&chain, close).closedHeight;
        let place = mapping(chain.user(user).into_word(), U256::from(4));
        for field in [2, 3] {
            let word = mapping(U256::from(height).into(), place + U256::from(field));
            assert_eq!(chain.slot(REWARDS, word), U256::ZERO);
        }
    }
}

fn mapping(key: B256, slot: U256) -> U256 {
    let mut bytes = key.to_vec();
    bytes.extend(slot.to_be_bytes::<32>());
    keccak256(bytes).into()
}

/// A node that fetched the state while holders were paid, or was killed and came back, has nothing
/// but the state.
#[test]
fn who_has_only_the_state_goes_on_paying() {
    let begin = || {
        chain(RewardRules {
            holders_per_block: 1,
            ..terms()
        })
    };
    let mut old = begin();
    close(&mut old);
    old.block(&[]);
    assert_eq!(standing(&old).visited, 2);
    let mut new = begin();
    new.state.values = old.state.values.clone();
    (new.height, new.now, new.parent, new.view) = (old.height, old.now, old.parent, old.view);
    new.nonces.clone_from(&old.nonces);
    for user in 0..12 {
        let send = Send::data(user, old.user(11 - user), vec![]).value(U256::from(1_000));
        let sends = [send];
        assert_eq!(old.block(&sends), new.block(&sends));
    }
    assert_eq!(standing(&new).paying, standing(&new).quarter);
    assert_eq!(old.state.values, new.state.values);
}

#[test]
fn who_moves_nothing_writes_nothing() {
    let mut chain = chain(RewardRules {
        holders_per_block: 1,
        ..terms()
    });
    // Blocks without a close change nothing of this module.
    let idle = chain.block(&[]);
    close(&mut chain);
    let send = Send::data(9, chain.user(10), vec![]).value(U256::ONE);
    let moved = chain.block(std::slice::from_ref(&send));
    // Sender and receiver, and for each its record and what it had.
    assert_eq!(chain.changed(&moved), 2 + 4);
    let again = chain.block(&[send]);
    assert_eq!(chain.changed(&again), 2);
    assert!(idle.changes.len() < 10);
}

#[test]
fn staked_voted_and_unbonding_coin_is_its_owners() {
    let mut chain = chain(terms());
    back(&mut chain, 6, 0, 300_000);
    crate::staking::support::stake(&mut chain, 6, 200_000);
    chain.send(Send::call(
        6,
        STAKING,
        &IStaking::unstakeCall {
            amount: U256::from(50_000),
        },
    ));
    let one = holder(&chain, chain.user(6));
    assert_eq!(one.stake, U256::from(500_000));
    assert_eq!(one.holding, U256::from(1_000_000));
    assert_eq!(preview(&chain, chain.user(6)), 83_305);
    let quarter = close(&mut chain);
    assert_eq!(earned(&chain, chain.user(6), quarter), 83_305);
    let unclaimed = chain.view(STAKING, IStaking::totalsCall {}).pool;
    assert!(!unclaimed.is_zero());
    assert_eq!(report(&chain, quarter).eligible, U256::from(12_004_000));
}

#[test]
fn a_close_at_an_epochs_end_is_the_same() {
    let mut chain = chain(terms());
    run_to(&mut chain, 1);
    chain.run_to_epochs_end();
    let quarter = open(&chain);
    chain.now = ends(quarter);
    assert!(chain.input(None).next_epoch.is_some());
    let expected = preview(&chain, chain.user(3));
    chain.block(&[]);
    assert_eq!(earned(&chain, chain.user(3), quarter), expected);
    crate::staking::support::check(&chain);
}

#[test]
fn dust_is_carried_until_it_has_grown() {
    let mut chain = chain(RewardRules {
        least_payment: U256::from(100_000),
        ..terms()
    });
    let first = close(&mut chain);
    let one = report(&chain, first);
    assert_eq!((one.credited, one.waiting), (0, 12));
    assert_eq!(one.paid, U256::ZERO);
    assert_eq!(balance(&chain, chain.user(8)), 1_000_000);
    assert_eq!(holder(&chain, chain.user(8)).carried, U256::from(83_305));
    assert_eq!(pool(&chain).carried, one.carried);
    // It left the pot: the pool has no more of it to give.
    assert_eq!(pool(&chain).available, U256::from(10 * POT) - one.carried);
    let second = close(&mut chain);
    let two = report(&chain, second);
    assert_eq!((two.credited, two.waiting), (12, 0));
    assert_eq!(two.released, one.carried);
    assert_eq!(balance(&chain, chain.user(8)), 1_000_000 + 2 * 83_305);
    assert_eq!(holder(&chain, chain.user(8)).carried, U256::ZERO);
    assert_eq!(pool(&chain).carried, U256::ZERO);
}

#[test]
fn an_empty_pool_is_announced_a_quarter_ahead() {
    let mut chain = chain(RewardRules {
        pool: U256::from(2 * POT + POT / 2),
        ..terms()
    });
    assert!(standing(&chain).funded);
    let first = close(&mut chain);
    assert!(report(&chain, first).nextFunded);
    let second = close(&mut chain);
    // The whole pot, but the next is short by half, less what rounding left.
    assert_eq!(report(&chain, second).pot, U256::from(POT));
    assert!(!report(&chain, second).nextFunded);
    assert!(!standing(&chain).funded);
    let left = pool(&chain).available;
    assert_eq!(standing(&chain).nextPot, left);
    let third = close(&mut chain);
    assert_eq!(report(&chain, third).pot, left);
    let fourth = close(&mut chain);
    let rest: u64 = report(&chain, fourth).pot.to();
    assert!(rest < 12);
    // Anybody may fill it up.
    let logs =
        chain.send(Send::call(2, REWARDS, &IRewards::fundCall {}).value(U256::from(900_000)));
    let event = IRewards::Funded::decode_log(&logs[0]).unwrap();
    assert_eq!(event.from, chain.user(2));
    assert_eq!(pool(&chain).available, U256::from(900_000 + rest));
    let reason = chain.refuse(Send::call(2, REWARDS, &IRewards::fundCall {}));
    assert!(reason.contains("send MVC along"), "{reason}");
    let reason = chain.refuse(Send::call(2, REWARDS, &IRewards::poolCall {}).value(U256::ONE));
    assert!(reason.contains("takes no MVC"), "{reason}");
}

#[test]
fn the_bridge_fills_the_pool() {
    let mut chain = chain(terms());
    let mut ethereum = Ethereum::new();
    ethereum.now = chain.now;
    let sequence = ethereum.send(coin_token(), REWARDS, 4_500, chain.now + 1_000);
    let snapshot = ethereum.snapshot();
    deliver(&mut chain, &snapshot, &[sequence]);
    assert_eq!(pool(&chain).available, U256::from(10 * POT + 4_500));
    check_books(&chain);
    assert_eq!(holder(&chain, REWARDS).number, 0);
    assert!(!holder(&chain, REWARDS).earns);
}

fn govern(chain: &mut Chain, call: &impl alloy::sol_types::SolCall) {
    announce_as(chain, GOVERNOR, call);
    chain.now += DELAY;
    chain.send(Send::call(GOVERNOR, REWARDS, call));
}

#[test]
fn the_list_changes_for_the_future_only() {
    let exchange = Chain::some_users(12)[9].address();
    let mut chain = chain(RewardRules {
        excluded: vec![exchange],
        holders_per_block: 1,
        ..terms()
    });
    assert_eq!(
        chain.view(REWARDS, IRewards::excludedCall {}),
        vec![exchange]
    );
    assert_eq!(preview(&chain, exchange), 0);
    let eligible = 11_004_000;
    let readmit = IRewards::readmitCall { account: exchange };
    let reason = chain.refuse(Send::call(GOVERNOR, REWARDS, &readmit));
    assert!(reason.contains("announce this call first"), "{reason}");
    let schedule = IValves::scheduleCall {
        data: alloy::sol_types::SolCall::abi_encode(&readmit).into(),
    };
    let reason = chain.refuse(Send::call(1, BRIDGE, &schedule));
    assert!(reason.contains("only the bridge's governor"), "{reason}");

    let first = close(&mut chain);
    assert_eq!(report(&chain, first).eligible, U256::from(eligible));
    // Changed before it is its turn: it earns nothing all the same.
    govern(&mut chain, &readmit);
    let account = chain.user(8);
    govern(&mut chain, &IRewards::excludeCall { account });
    for (call, reason) in [
        (
            IRewards::excludeCall { account: exchange },
            "was readmitted, and a quarter is still being paid",
        ),
        (IRewards::excludeCall { account }, "is excluded already"),
        (IRewards::excludeCall { account: COIN }, "which never earn"),
    ] {
        announce_as(&mut chain, GOVERNOR, &call);
        chain.now += DELAY;
        let said = chain.refuse(Send::call(GOVERNOR, REWARDS, &call));
        assert!(said.contains(reason), "{said}");
    }
    while standing(&chain).paying < standing(&chain).quarter {
        chain.block(&[]);
    }
    assert_eq!(earned(&chain, exchange, first), 0);
    assert_eq!(earned(&chain, account, first), POT * 1_000_000 / eligible);
    let second = close(&mut chain);
    while standing(&chain).paying < standing(&chain).quarter {
        chain.block(&[]);
    }
    assert!(earned(&chain, exchange, second) > 0);
    assert_eq!(earned(&chain, account, second), 0);
    govern(&mut chain, &IRewards::excludeCall { account: exchange });
    assert!(!holder(&chain, exchange).earns);
}

#[test]
fn new_holders_are_numbered_once_and_earn_from_their_first_close() {
    let mut chain = chain(terms());
    let newcomer = Address::repeat_byte(0x99);
    chain.send(Send::data(1, newcomer, vec![]).value(U256::from(5_000)));
    let number = holder(&chain, newcomer).number;
    assert_eq!(number, 13);
    let quarter = close(&mut chain);
    assert_eq!(earned(&chain, newcomer, quarter), POT * 5_000 / 12_004_000);
    // Fees make a holder, too.
    chain.beneficiary = BENEFICIARY;
    chain.send(
        Send::data(1, newcomer, vec![])
            .value(U256::ONE)
            .gas(21_000)
            .gas_price(1),
    );
    assert_eq!(holder(&chain, BENEFICIARY).number, 14);
    assert_eq!(holder(&chain, newcomer).number, 13);
    assert_eq!(holder(&chain, Address::ZERO).number, 0);
}
