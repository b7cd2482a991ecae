//! What goes over the bridge: swapped first, refunded to its sender.

use super::{HOUR, SOMEBODY, check, quote, route, world};
use crate::{
    bridge::outbound,
    ethereum::{coin_token, points_token},
    exchange::{TRADER, open, points},
    support::Send,
};
use alloy::primitives::{Address, U256};
use mileverse_primitives::{
    abi::{IBridge, ICoin},
    address::{BRIDGE, COIN, POINTS, REWARDS, STAKING},
    exchange::{ROUTER, SwapRouter},
    packet::{Packet, REFUNDED},
    staking::coins,
};

#[test]
fn what_leaves_is_swapped_first_and_refunded_to_its_sender() {
    let (mut chain, mut ethereum) = world();
    let trader = chain.user(TRADER);
    let deadline = chain.now + HOUR;
    let allow = ICoin::approveCall {
        spender: ROUTER,
        amount: points(1_000),
    };
    chain.send(Send::call(TRADER, POINTS, &allow));
    for (token, amount, named) in [
        (POINTS, points(1_000), coin_token()),
        (COIN, coins(7), points_token()),
    ] {
        let expected = quote(&chain, token, amount);
        let mut call = SwapRouter::swapAndSendCall {
            tokenIn: token,
            amountIn: amount,
            leastOut: expected + U256::ONE,
            swapDeadline: chain.now + 60,
            receiver: SOMEBODY,
            packetDeadline: deadline,
        };
        let value = if token == COIN { amount } else { U256::ZERO };
        let send =
            |call: &SwapRouter::swapAndSendCall| Send::call(TRADER, ROUTER, call).value(value);
        let greedy = chain.try_call(&send(&call));
        assert!(!greedy.is_success());
        call.leastOut = expected;
        let before = (chain.points(trader), chain.account(trader).balance);
        let output = chain.block(&[send(&call)]);
        assert!(output.receipts[0].success);
        check(&chain);
        let spent = if token == COIN {
            before.1 - chain.account(trader).balance
        } else {
            // No fee of the points' beside.
            before.0 - chain.points(trader)
        };
        assert_eq!(spent, amount);
        let Ok(Packet::Transfer(sent)) = Packet::decode(&output.packets[0].packet) else {
            panic!()
        };
        assert_eq!((sent.sender, sent.receiver), (trader, SOMEBODY));
        assert_eq!((sent.token, sent.amount), (named, expected));
        assert_eq!((sent.deadline, sent.action), (deadline, None));
        // It expires on Ethereum: the trader has it, not the router.
        let before = (chain.points(trader), chain.account(trader).balance);
        ethereum.now = deadline + 1;
        let sequence = output.packets[0].sequence;
        ethereum.receipts.remove(&sequence);
        ethereum.receive(&output.packets[0]);
        let news = *ethereum.packets.last_key_value().unwrap().0;
        let snapshot = ethereum.snapshot();
        route(&mut chain, &snapshot, &[news]);
        assert_eq!(outbound(&chain, sequence), REFUNDED);
        let after = (chain.points(trader), chain.account(trader).balance);
        let back = if token == COIN {
            after.0 - before.0
        } else {
            after.1 - before.1
        };
        assert_eq!(back, expected);
    }
}

#[test]
fn nobody_is_named_as_sender_who_could_not_be_refunded() {
    let mut chain = open();
    let call = |sender| IBridge::sendForCall {
        token: POINTS,
        receiver: SOMEBODY,
        amount: U256::from(5),
        deadline: chain.now + HOUR,
        sender,
    };
    let nobodies = [
        Address::ZERO,
        POINTS,
        COIN,
        BRIDGE,
        STAKING,
        REWARDS,
        ROUTER,
    ];
    let calls = nobodies.map(call);
    let good = call(SOMEBODY);
    for bad in calls {
        let said = chain.refuse(Send::call(TRADER, BRIDGE, &bad));
        assert!(said.contains("who is refunded"), "{said}");
    }
    let output = chain.block(&[Send::call(TRADER, BRIDGE, &good)]);
    let Ok(Packet::Transfer(sent)) = Packet::decode(&output.packets[0].packet) else {
        panic!()
    };
    assert_eq!(sent.sender, SOMEBODY);
    check(&chain);
}
