//! The rules, one by one.

use crate::{
    bridge::{check_books, deliver, receipt},
    ethereum::{Ethereum, coin_token, points_token},
    staking::support::{back, net_genesis, rules as staking_rules, run_to},
    support::{BENEFICIARY, Chain, Send},
    valves::announce_as,
};
use alloy::{
    primitives::{Address, B256, U256, keccak256},
    sol_types::SolEvent,
};
use mileverse_primitives::{
    abi::{IBridge, IRewards, IStaking, IValves},
    address::{BRIDGE, COIN, REWARDS, STAKING},
    bridge::BridgeRules,
    packet::{Packet, Transfer},
    quarter::Quarter,
    rewards::{QuarterAccount, RewardRules},
};

const GOVERNOR: usize = 11;
const DELAY: u64 = 3_600;
const POT: u64 = 1_000_000;

pub fn terms() -> RewardRules {
    RewardRules {
        pot: U256::from(POT),
        least_payment: U256::ZERO,
        holders_per_block: 100,
        pool: U256::from(10 * POT),
        excluded: vec![],
        source: None,
    }
}

/// Twelve users with a million each, of which four staked a thousand more.
pub fn chain(rewards: RewardRules) -> Chain {
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

pub fn ends(quarter: Quarter) -> u64 {
    quarter.ends_ms().unwrap() / 1000
}

fn standing(chain: &Chain) -> IRewards::Standing {
    chain.view(REWARDS, IRewards::standingCall {})
}

pub fn open(chain: &Chain) -> Quarter {
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

const SOURCE: Address = Address::repeat_byte(0x50);

/// Pots come from Ethereum; the pool is empty.
fn from_ethereum() -> RewardRules {
    RewardRules {
        pool: U256::ZERO,
        source: Some(SOURCE),
        ..terms()
    }
}

/// The address that a share of a quarter goes to.
fn account_of(quarter: Quarter, locked: u128) -> Address {
    let mut bytes = REWARDS.into_array();
    bytes[2..14].copy_from_slice(&locked.to_be_bytes()[4..]);
    bytes[14..18].copy_from_slice(&u32::try_from(quarter.number()).unwrap().to_be_bytes());
    assert_eq!(
        QuarterAccount::of(bytes.into()).unwrap(),
        QuarterAccount { quarter, locked }
    );
    bytes.into()
}

/// Commits a transfer of coin on Ethereum; answers its sequence.
fn from(ethereum: &mut Ethereum, sender: Address, receiver: Address, amount: u64) -> u64 {
    let deadline = ethereum.now + 1_000;
    ethereum.commit(|id| {
        Packet::Transfer(Transfer {
            id,
            deadline,
            token: coin_token(),
            sender,
            receiver,
            amount: U256::from(amount),
            action: None,
            acknowledge: false,
        })
    })
}

/// Delivers transfers; answers their outcomes.
fn outcomes(chain: &mut Chain, ethereum: &mut Ethereum, sequences: &[u64]) -> Vec<u8> {
    ethereum.now = chain.now;
    let snapshot = ethereum.snapshot();
    deliver(chain, &snapshot, sequences);
    check_books(chain);
    sequences.iter().map(|one| receipt(chain, *one)).collect()
}

fn supply(chain: &Chain) -> u64 {
    chain
        .view(COIN, mileverse_primitives::abi::ICoin::totalSupplyCall {})
        .to()
}

#[test]
fn a_share_from_ethereum_is_the_pot() {
    let mut chain = chain(from_ethereum());
    let mut ethereum = Ethereum::new();
    let locked = supply(&chain) + 500_000;
    let quarter = close(&mut chain);
    for _ in 0..3 {
        chain.block(&[]);
    }
    // Nobody is paid before it comes, and that shows.
    assert!(standing(&chain).awaitsShare && !standing(&chain).funded);
    assert_eq!(standing(&chain).paying, quarter.number());
    let before = report(&chain, quarter);
    assert_eq!((before.pot, before.paidHeight), (U256::ZERO, 0));
    assert!(before.nextFunded);
    let eligible: u64 = before.eligible.to();
    ethereum.now = chain.now;
    let user = chain.user(6);
    let had = balance(&chain, user);

    let account = account_of(quarter, locked.into());
    let share = from(&mut ethereum, SOURCE, account, 900_000);
    let balance_before = balance(&chain, REWARDS);
    assert_eq!(outcomes(&mut chain, &mut ethereum, &[share]), [1]);
    let pot = u64::try_from(900_000 * u128::from(eligible) / u128::from(locked)).unwrap();
    let funded = report(&chain, quarter);
    assert_eq!(funded.pot, U256::from(pot));
    assert_eq!(funded.share, U256::from(900_000));
    assert_eq!(funded.locked, U256::from(locked));
    assert_eq!(balance(&chain, REWARDS), balance_before + 900_000);
    assert_eq!(pool(&chain).reserved, U256::from(pot));
    assert!(standing(&chain).funded && !standing(&chain).awaitsShare);
    assert_eq!(balance(&chain, account), 0, "it is the module's");

    chain.block(&[]);
    let report = report(&chain, quarter);
    assert!(report.paidHeight > 0 && report.paid <= report.pot);
    let earned = earned(&chain, user, quarter);
    assert_eq!(
        earned,
        u64::try_from(u128::from(pot) * u128::from(had) / u128::from(eligible)).unwrap()
    );
    assert_eq!(balance(&chain, user), had + earned);
    // What falls to coin that does not earn here, or was on its way, is nobody's.
    let rest = U256::from(900_000) - report.paid;
    assert_eq!(pool(&chain).available, rest);
    // The next is foreseen at this rate.
    let now = 900_000 * u128::from(balance(&chain, user)) / u128::from(locked);
    assert!(preview(&chain, user).abs_diff(u64::try_from(now).unwrap()) <= 2);
}

#[test]
fn a_share_comes_once_from_the_source_and_for_a_closed_quarter() {
    let mut chain = chain(from_ethereum());
    let mut ethereum = Ethereum::new();
    ethereum.now = chain.now;
    let locked = u128::from(supply(&chain));
    let open = open(&chain);
    let early = from(&mut ethereum, SOURCE, account_of(open, locked), 1_000);
    assert_eq!(
        outcomes(&mut chain, &mut ethereum, &[early]),
        [2],
        "not closed"
    );
    let quarter = close(&mut chain);
    ethereum.now = chain.now;
    let account = account_of(quarter, locked);
    let thief = from(&mut ethereum, Address::repeat_byte(0x66), account, 1_000);
    let empty = from(&mut ethereum, SOURCE, account_of(quarter, 0), 1_000);
    let other = from(
        &mut ethereum,
        SOURCE,
        account_of(quarter.next(), locked),
        1_000,
    );
    let good = from(&mut ethereum, SOURCE, account, 1_000);
    let again = from(
        &mut ethereum,
        SOURCE,
        account_of(quarter, locked + 1),
        1_000,
    );
    let points = ethereum.send(points_token(), account, 1_000, chain.now + 1_000);
    let all = [thief, empty, other, good, again, points];
    assert_eq!(
        outcomes(&mut chain, &mut ethereum, &all),
        [2, 2, 2, 1, 2, 2]
    );
    assert_eq!(report(&chain, quarter).share, U256::from(1_000));
    assert_eq!(report(&chain, quarter).locked, U256::from(locked));
    // The source may fill the pool, too, as anybody.
    let gift = from(&mut ethereum, SOURCE, REWARDS, 7);
    assert_eq!(outcomes(&mut chain, &mut ethereum, &[gift]), [1]);
}

#[test]
fn without_a_source_no_quarter_has_an_account() {
    let mut chain = chain(terms());
    let mut ethereum = Ethereum::new();
    let quarter = close(&mut chain);
    ethereum.now = chain.now;
    let share = from(&mut ethereum, SOURCE, account_of(quarter, 1_000_000), 1_000);
    assert_eq!(
        outcomes(&mut chain, &mut ethereum, &[share]),
        [2],
        "refunded"
    );
    chain.block(&[]);
    assert!(report(&chain, quarter).paidHeight > 0, "paid by the pool");
}

#[test]
fn shares_may_come_in_any_order_and_are_paid_in_order() {
    let mut chain = chain(RewardRules {
        holders_per_block: 1,
        ..from_ethereum()
    });
    let mut ethereum = Ethereum::new();
    // Two quarters closed by one block, then a third.
    let first = open(&chain);
    let second = first.next();
    chain.now = ends(second);
    chain.block(&[]);
    let third = close(&mut chain);
    let user = chain.user(6);
    chain.send(Send::data(6, chain.user(7), vec![]).value(U256::from(300_000)));
    let locked = u128::from(supply(&chain));
    ethereum.now = chain.now;
    let mut sends =
        |quarter, amount| from(&mut ethereum, SOURCE, account_of(quarter, locked), amount);
    let sequences = [
        sends(third, 3_000_000),
        sends(second, 2_000_000),
        sends(first, 1_000_000),
    ];
    assert_eq!(outcomes(&mut chain, &mut ethereum, &sequences[..2]), [1, 1]);
    chain.block(&[]);
    assert_eq!(standing(&chain).paying, first.number(), "held up");
    assert!(standing(&chain).awaitsShare);
    assert_eq!(earned(&chain, user, second), 0);
    assert_eq!(outcomes(&mut chain, &mut ethereum, &sequences[2..]), [1]);
    let mut blocks = 0;
    while standing(&chain).paying <= third.number() {
        chain.block(&[]);
        blocks += 1;
        assert!(blocks < 200);
    }
    let per = |quarter| earned(&chain, user, quarter);
    // What it had at each close, whatever it did since.
    let pot = |quarter| report(&chain, quarter).pot.to::<u128>();
    let eligible = |quarter| report(&chain, quarter).eligible.to::<u128>();
    for quarter in [first, second] {
        let expected = pot(quarter) * 1_000_000 / eligible(quarter);
        assert_eq!(u128::from(per(quarter)), expected, "{quarter}");
    }
    assert!(per(third) > per(second) && per(second) > per(first));
    assert_eq!(pool(&chain).reserved, U256::ZERO);
}

#[test]
fn no_coin_leaves_in_the_first_minute_of_a_quarter() {
    for (rules, is_quiet) in [(from_ethereum(), true), (terms(), false)] {
        let mut chain = chain(rules);
        let mut ethereum = Ethereum::new();
        ethereum.now = chain.now;
        // Coin that the bridge made.
        let fill = from(&mut ethereum, SOURCE, chain.user(6), 1_000);
        assert_eq!(outcomes(&mut chain, &mut ethereum, &[fill]), [1]);
        let quarter = open(&chain);
        let leave = |chain: &Chain| {
            let call = IBridge::sendCall {
                token: COIN,
                receiver: Address::repeat_byte(0x42),
                amount: U256::from(10),
                deadline: chain.now + 1_000,
            };
            Send::call(6, BRIDGE, &call).value(U256::from(10))
        };
        chain.now = ends(quarter) - 2;
        chain.send(leave(&chain));
        chain.now = ends(quarter) + 30;
        if is_quiet {
            let reason = chain.refuse(leave(&chain));
            assert!(reason.contains("for a minute no MVC leaves"), "{reason}");
        } else {
            chain.send(leave(&chain));
        }
        chain.now = ends(quarter) + 60;
        chain.send(leave(&chain));
        check_books(&chain);
    }
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

/// 23:59:60 has no number of its own in Unix time: clocks count a second twice, or stretch it. Whatever
/// they do, the first block at or after the end closes, and nothing else does.
#[test]
fn a_leap_second_at_the_end_closes_once() {
    let quarter: Quarter = "2026Q1".parse().unwrap();
    let ends = quarter.ends_ms().unwrap();
    // Stretched; counted twice, so that a block seems to be of the same second as its parent; left out.
    for times in [
        &[ends - 1_000, ends - 500, ends - 1, ends, ends + 1][..],
        &[ends - 1, ends, ends + 1, ends + 999][..],
        &[ends - 1_001, ends + 1_000, ends + 1_001][..],
    ] {
        let mut chain = chain(terms());
        let mut closed = Vec::new();
        for time in times {
            let before = open(&chain);
            let mut input = chain.input(None);
            input.timestamp_ms = *time;
            chain.block_of(&[], input);
            if open(&chain) != before {
                closed.push((before, *time));
            }
        }
        let first = times.iter().find(|time| **time >= ends).unwrap();
        assert_eq!(closed, [(quarter, *first)], "{times:?}");
        assert_eq!(report(&chain, quarter).closedAtMs, *first);
        assert_eq!(earned(&chain, chain.user(4), quarter), 83_305);
        assert_eq!(balance(&chain, chain.user(4)), 1_000_000 + 83_305, "once");
    }
}

/// What rounding leaves is the next quarter's, to the unit, and nothing else is.
#[test]
fn what_rounding_leaves_is_in_the_next_pot() {
    let mut chain = chain(RewardRules {
        pool: U256::from(POT),
        ..terms()
    });
    let first = close(&mut chain);
    let one = report(&chain, first);
    assert_eq!(one.pot, U256::from(POT));
    assert!(!one.nextFunded, "said a quarter ahead");
    assert!(one.remainder > U256::ZERO, "{one:?}");
    assert_eq!(one.paid + one.remainder, one.pot);
    let second = close(&mut chain);
    let two = report(&chain, second);
    assert_eq!(two.pot, one.remainder);
    assert_eq!(two.paid + two.remainder, two.pot);
    assert_eq!(pool(&chain).available, two.remainder);
}

/// Coin that is on its way at a close, whichever way, is in what the bridge has locked on Ethereum and
/// in nobody's holding: nobody earns for it, nobody else gets its part, and its part stays in the pool
/// to the unit, in no later pot. Once it has arrived it earns like any other.
#[test]
fn coin_on_its_way_at_a_close_earns_nothing_and_loses_nothing() {
    let mut chain = chain(from_ethereum());
    let mut ethereum = Ethereum::new();
    ethereum.now = chain.now;
    let fill = from(&mut ethereum, SOURCE, chain.user(6), 400_000);
    assert_eq!(outcomes(&mut chain, &mut ethereum, &[fill]), [1]);
    let quarter = open(&chain);
    // Out: gone from here before the close, and still locked there.
    let out = 300_000;
    let call = IBridge::sendCall {
        token: COIN,
        receiver: Address::repeat_byte(0x42),
        amount: U256::from(out),
        deadline: ends(quarter) + 100_000,
    };
    chain.now = ends(quarter) - 2;
    chain.send(Send::call(6, BRIDGE, &call).value(U256::from(out)));
    // In: locked there before the close, and here after it.
    let newcomer = Address::repeat_byte(0x77);
    ethereum.now = chain.now;
    let inward = from(&mut ethereum, Address::repeat_byte(0x66), newcomer, 700_000);
    let locked = supply(&chain) + out + 700_000;
    let held: Vec<u64> = (0..12)
        .map(|user| balance(&chain, chain.user(user)))
        .collect();
    assert_eq!(close(&mut chain), quarter);
    chain.now += 61;
    assert_eq!(outcomes(&mut chain, &mut ethereum, &[inward]), [1]);

    let give = |chain: &mut Chain, ethereum: &mut Ethereum, quarter, share: u64, locked: u64| {
        ethereum.now = chain.now;
        let account = account_of(quarter, locked.into());
        let sequence = from(ethereum, SOURCE, account, share);
        assert_eq!(outcomes(chain, ethereum, &[sequence]), [1]);
        chain.block(&[]);
        report(chain, quarter)
    };
    let share = 5_000_000;
    let one = give(&mut chain, &mut ethereum, quarter, share, locked);
    assert!(one.paidHeight > 0);
    // By hand, from what everybody had and what was locked: who staked has a thousand more.
    let mut sum = 0;
    for (user, held) in held.iter().enumerate() {
        let staked = if user < 4 { 1_000 } else { 0 };
        let there = u128::from(share) * u128::from(held + staked) / u128::from(locked);
        let here = earned(&chain, chain.user(user), quarter);
        let there = u64::try_from(there).unwrap();
        assert!(
            here <= there && there - here <= 2,
            "user {user}: {here}, {there}"
        );
        sum += here;
    }
    assert_eq!(earned(&chain, newcomer, quarter), 0);
    assert_eq!(one.paid, U256::from(sum));
    let left = pool(&chain).available;
    assert_eq!(left, U256::from(share) - one.paid, "all of it is there");
    let theirs = u128::from(share) * u128::from(out + 700_000) / u128::from(locked);
    assert!(
        left >= U256::from(theirs),
        "what was on its way is nobody's"
    );

    // What was left is in no later pot, and what has arrived earns.
    let arrived = balance(&chain, newcomer);
    let next = close(&mut chain);
    chain.now += 61;
    let locked = supply(&chain) + out;
    let two = give(&mut chain, &mut ethereum, next, share, locked);
    let pot = U256::from(share) * two.eligible / U256::from(locked);
    assert_eq!(two.pot, pot, "the share, and nothing else");
    let expected = u128::from(share) * u128::from(arrived) / u128::from(locked);
    let got = earned(&chain, newcomer, next);
    assert!(
        u64::try_from(expected).unwrap().abs_diff(got) <= 2,
        "{got}, {expected}"
    );
    let after = left + U256::from(share) - two.paid;
    assert_eq!(pool(&chain).available, after);
    check_books(&chain);
}
