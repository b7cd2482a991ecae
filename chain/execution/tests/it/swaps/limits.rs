//! Limits of the bridge, and large swaps, which wait.

use super::{
    COIN_UNIT, HOUR, RELAYER, SOMEBODY, check, quote, route, sentence, swap, typed, went_home,
    world_with,
};
use crate::{
    bridge::{deliver, receipt},
    ethereum::coin_token,
    support::{Chain, Send},
    valves::{GUARDIAN, room},
};
use alloy::{
    primitives::aliases::U96,
    primitives::{Address, U256},
};
use mileverse_primitives::{
    abi::{IBridge, IValves},
    address::{BRIDGE, COIN},
    bridge::{BridgeRules, Limits},
    exchange::ROUTER,
    staking::coins,
};

fn with_limits(genesis: &mut mileverse_primitives::genesis::Genesis, guardian: Address) {
    let coin = Limits {
        receive_per_hour: U96::from(8 * COIN_UNIT),
        large_from: U96::from(5 * COIN_UNIT),
        hold_seconds: 7_200,
        ..Limits::default()
    };
    genesis.bridge = BridgeRules {
        guardian,
        coin,
        ..BridgeRules::default()
    };
}

#[test]
fn limits_count_swaps_and_large_ones_wait_for_the_router() {
    let guardian = Chain::some_users(5)[GUARDIAN].address();
    let (mut chain, mut ethereum) = world_with(|genesis| with_limits(genesis, guardian));
    let deadline = chain.now + 600;
    let mut ask = |amount: u64, least| {
        let amount = amount * COIN_UNIT;
        swap(
            &mut ethereum,
            coin_token(),
            amount,
            SOMEBODY,
            deadline,
            least,
        )
    };
    let [small, refused] = [ask(1, U256::ONE), ask(1, U256::MAX)];
    let [large, over] = [ask(6, U256::ONE), ask(3, U256::ONE)];
    let snapshot = ethereum.snapshot();
    let full = room(&chain, COIN)[2];
    // Whoever brings a large one has it held, and one above the limit sent home.
    deliver(&mut chain, &snapshot, &[large, over]);
    assert_eq!([large, over].map(|one| receipt(&chain, one)), [0, 2]);
    let output = route(&mut chain, &snapshot, &[small, refused]);
    assert_eq!([small, refused].map(|one| receipt(&chain, one)), [1, 2]);
    assert_eq!(output.packets.len(), 1);
    // What the pool refused uses no room.
    assert_eq!(full - room(&chain, COIN)[2], coins(7));

    let packet = snapshot.packets[&large].encode();
    let release = IValves::releaseCall { packet };
    let by_router = Send::call(RELAYER, ROUTER, &release);
    let said = sentence(&chain, &by_router);
    assert!(said.contains("waits until"), "{said}");
    // Its deadline is over by then; it was proven in time.
    chain.now += 7_200;
    let error: IBridge::RouterNeeded = typed(&chain, &Send::call(RELAYER, BRIDGE, &release));
    assert_eq!(error.sequence, large);
    let again = Send::call(RELAYER, BRIDGE, &snapshot.deliver(&[large]));
    let error: IBridge::RouterNeeded = typed(&chain, &again);
    assert_eq!(error.sequence, large);
    let before = chain.points(SOMEBODY);
    let expected = quote(&chain, COIN, coins(6));
    chain.send(by_router);
    assert_eq!(receipt(&chain, large), 1);
    assert_eq!(chain.points(SOMEBODY) - before, expected);
    check(&chain);
}

#[test]
fn a_held_swap_may_be_stopped_or_released_at_a_price_that_moved() {
    let guardian = Chain::some_users(5)[GUARDIAN].address();
    let (mut chain, mut ethereum) = world_with(|genesis| with_limits(genesis, guardian));
    let deadline = chain.now + 600;
    let stopped = swap(
        &mut ethereum,
        coin_token(),
        5 * COIN_UNIT,
        SOMEBODY,
        deadline,
        U256::ONE,
    );
    let snapshot = ethereum.snapshot();
    route(&mut chain, &snapshot, &[stopped]);
    let packet = snapshot.packets[&stopped].encode();
    let output = chain.block(&[Send::call(GUARDIAN, BRIDGE, &IValves::stopCall { packet })]);
    assert_eq!(receipt(&chain, stopped), 2);
    went_home(&mut ethereum, &snapshot, &output.packets[0], stopped);

    chain.now += HOUR;
    let deadline = chain.now + 600;
    let moved = swap(
        &mut ethereum,
        coin_token(),
        5 * COIN_UNIT,
        SOMEBODY,
        deadline,
        U256::MAX,
    );
    let snapshot = ethereum.snapshot();
    route(&mut chain, &snapshot, &[moved]);
    chain.now += 7_200;
    let packet = snapshot.packets[&moved].encode();
    let release = IValves::releaseCall { packet };
    let output = chain.block(&[Send::call(RELAYER, ROUTER, &release)]);
    assert!(output.receipts[0].success);
    assert_eq!(receipt(&chain, moved), 2);
    went_home(&mut ethereum, &snapshot, &output.packets[0], moved);
    check(&chain);
}
