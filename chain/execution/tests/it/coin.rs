//! The coin's ERC-20 face.

use super::{
    contracts::{deploy, forward, forwarder, static_caller},
    support::{Chain, Send},
};
use alloy::{
    primitives::{Address, U256},
    sol_types::{SolCall, SolEvent},
};
use mileverse_primitives::{
    abi::ICoin,
    address::{ALL, COIN},
};

#[test]
fn a_transfer_moves_the_native_balance() {
    let mut chain = Chain::new();
    let (a, b) = (chain.user(1), chain.user(2));
    chain.fund(a, U256::from(100));
    let transfer = |to, amount: u64| ICoin::transferCall {
        to,
        amount: U256::from(amount),
    };
    let logs = chain.send(Send::call(1, COIN, &transfer(b, 30)));
    assert_eq!(logs[0].address, COIN);
    assert_eq!(
        ICoin::Transfer::decode_log_data(&logs[0].data).unwrap(),
        ICoin::Transfer {
            from: a,
            to: b,
            value: U256::from(30)
        }
    );
    assert_eq!(chain.account(a).balance, U256::from(70));
    assert_eq!(chain.account(b).balance, U256::from(30));
    assert_eq!(
        chain.view(COIN, ICoin::balanceOfCall { account: b }),
        U256::from(30)
    );
    chain.send(Send::call(1, COIN, &transfer(a, 70)));
    assert_eq!(chain.account(a).balance, U256::from(70));
    assert!(
        chain
            .refuse(Send::call(1, COIN, &transfer(b, 71)))
            .contains("balance")
    );
    for nobody in ALL.into_iter().chain([Address::ZERO]) {
        let reason = chain.refuse(Send::call(1, COIN, &transfer(nobody, 1)));
        assert!(reason.contains("receiver"));
    }
    let paid = Send::call(1, COIN, &transfer(b, 1)).value(U256::ONE);
    assert!(chain.refuse(paid).contains("takes no MVC"));
    assert_eq!(chain.view(COIN, ICoin::decimalsCall {}), 18);
    assert_eq!(chain.view(COIN, ICoin::symbolCall {}), "MVC");
    // Coins that the bridge did not make are no supply.
    assert_eq!(chain.view(COIN, ICoin::totalSupplyCall {}), U256::ZERO);
}

#[test]
fn approvals_and_contracts() {
    let mut chain = Chain::new();
    let (a, b) = (chain.user(1), chain.user(2));
    chain.fund(a, U256::from(100));
    let wallet = deploy(&mut chain, &forwarder());
    let approve = ICoin::approveCall {
        spender: wallet,
        amount: U256::from(8),
    };
    chain.send(Send::call(1, COIN, &approve));
    let from = |amount: u64| {
        let call = ICoin::transferFromCall {
            from: a,
            to: b,
            amount: U256::from(amount),
        };
        forward(COIN, &call.abi_encode())
    };
    chain.send(Send::data(3, wallet, from(5)));
    assert_eq!(chain.account(b).balance, U256::from(5));
    let allowance = ICoin::allowanceCall {
        owner: a,
        spender: wallet,
    };
    assert_eq!(chain.view(COIN, allowance), U256::from(3));
    assert!(
        chain
            .refuse(Send::data(3, wallet, from(4)))
            .contains("approval")
    );
    let statically = deploy(&mut chain, &static_caller());
    let data = ICoin::transferCall {
        to: b,
        amount: U256::ZERO,
    };
    let reason = chain.refuse(Send::data(1, statically, forward(COIN, &data.abi_encode())));
    assert!(reason.contains("static"));
}
