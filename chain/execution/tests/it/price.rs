//! Gas that is paid with coin: the least price, who receives it, and what is carried for nothing.

use super::{
    bridge::{receipt, send},
    ethereum::{Ethereum, points_token},
    support::{BENEFICIARY, Chain, ISSUER, Send, TREASURY},
};
use alloy::{
    consensus::{SignableTransaction as _, TxEip1559, TxEnvelope, TxLegacy},
    eips::eip2718::Encodable2718 as _,
    primitives::{Address, TxKind, U256},
    signers::SignerSync as _,
    sol_types::SolCall as _,
};
use futures::executor::block_on;
use mileverse_execution::Transaction;
use mileverse_primitives::{
    abi::{IBridge, ICoin, IPoints, IStaking, IValves},
    address::{BRIDGE, COIN, POINTS, STAKING},
    points::{MICRO, PointsRules},
};

/// Base fee.
const BASE: u64 = 1_000;
const NOBODY: Address = Address::repeat_byte(0x99);
/// BASEFEE PUSH0 SSTORE, as the code that creates.
const STORES_BASE_FEE: [u8; 3] = [0x48, 0x5f, 0x55];

fn chain() -> Chain {
    let users = Chain::some_users(5);
    let mut genesis = super::support::genesis(users[ISSUER].address());
    genesis.points = PointsRules::paid_to(TREASURY);
    genesis.fees.base_price = BASE;
    Chain::with(genesis, users)
}

fn refusal(chain: &Chain, transaction: &Transaction) -> Option<String> {
    block_on(
        chain
            .executor
            .admit(&chain.state, || chain.input(None), transaction),
    )
    .unwrap()
    .err()
}

/// What the pool says is what blocks do: a proposer leaves it out, a block that has it is none.
fn nowhere(chain: &Chain, transaction: &Transaction, words: &str) {
    let said = refusal(chain, transaction).unwrap();
    assert!(said.contains(words), "{said}");
    let one = std::slice::from_ref(transaction);
    let input = chain.input(None);
    let block = block_on(chain.executor.execute(&chain.state, input.clone(), one));
    let told = block.unwrap_err();
    assert!(
        told.is_permanent() && told.to_string().contains(words),
        "{told}"
    );
    let (taken, _, dead) =
        block_on(chain.executor.build(&chain.state, input, one.to_vec())).unwrap();
    assert!(taken.is_empty());
    assert_eq!(dead, [transaction.hash()]);
}

fn dynamic(chain: &Chain, user: usize, nonce: u64, cap: u64, tip: u64) -> Transaction {
    let transaction = TxEip1559 {
        chain_id: super::support::CHAIN_ID,
        nonce,
        gas_limit: 50_000,
        max_fee_per_gas: cap.into(),
        max_priority_fee_per_gas: tip.into(),
        to: TxKind::Call(NOBODY),
        ..Default::default()
    };
    let signature = chain.users[user].sign_hash_sync(&transaction.signature_hash());
    let envelope = TxEnvelope::from(transaction.into_signed(signature.unwrap()));
    Transaction::decode(&envelope.encoded_2718(), super::support::CHAIN_ID).unwrap()
}

/// Every way to ask for work without paying for it, each refused.
#[test]
fn nothing_outside_of_the_lane_is_free() {
    let mut chain = chain();
    let coin = U256::from(10u64).pow(U256::from(18));
    chain.fund(chain.user(1), coin);
    chain.issue(1, 500 * MICRO);
    let underpriced = "transaction underpriced: gas fee cap 0, minimum needed 1000";
    let deadline = chain.now + 3_600;
    let ways = [
        ("a contract call", NOBODY, vec![1]),
        ("a transfer of coin", NOBODY, vec![]),
        (
            "coin over the bridge",
            BRIDGE,
            send(COIN, NOBODY, 5, deadline).abi_encode(),
        ),
        (
            "a bridge view",
            BRIDGE,
            IBridge::chainIdCall {}.abi_encode(),
        ),
        (
            "the bridge\'s valves",
            BRIDGE,
            IValves::limitsCall { token: POINTS }.abi_encode(),
        ),
        ("no call of the bridge\'s", BRIDGE, vec![1, 2]),
        ("a short send", BRIDGE, IBridge::sendCall::SELECTOR.to_vec()),
        (
            "the coin\'s face",
            COIN,
            ICoin::totalSupplyCall {}.abi_encode(),
        ),
        ("staking", STAKING, IStaking::claimCall {}.abi_encode()),
    ];
    for (what, to, data) in ways {
        let transaction = chain.sign_with(&Send::data(1, to, data).gas(400_000), 0);
        assert!(refusal(&chain, &transaction).is_some(), "{what}");
        nowhere(&chain, &transaction, underpriced);
    }
    nowhere(
        &chain,
        &chain.sign_with(&Send::create(1, STORES_BASE_FEE), 0),
        underpriced,
    );
    nowhere(
        &chain,
        &dynamic(&chain, 1, 0, BASE - 1, BASE - 1),
        "gas fee cap 999",
    );
    // Deliveries of nothing: one that is none, an empty one, and one that proves nothing.
    let useless = "admits no packet";
    let empty = IBridge::deliverCall {
        ethereumBlock: 1,
        accountProof: vec![],
        items: vec![],
    };
    for data in [
        IBridge::deliverCall::SELECTOR.to_vec(),
        empty.abi_encode(),
        IValves::releaseCall {
            packet: vec![1].into(),
        }
        .abi_encode(),
    ] {
        nowhere(
            &chain,
            &chain.sign_with(&Send::data(3, BRIDGE, data).gas(400_000), 0),
            useless,
        );
    }
    // In the lane points pay, and whoever has none is refused.
    let data = send(POINTS, NOBODY, 5, deadline).abi_encode();
    nowhere(
        &chain,
        &chain.sign_with(&Send::data(3, BRIDGE, data).gas(400_000), 0),
        "get more points",
    );
    let data = IPoints::transferCall {
        to: NOBODY,
        amount: U256::ONE,
    }
    .abi_encode();
    nowhere(
        &chain,
        &chain.sign_with(&Send::data(3, POINTS, data).gas(400_000), 0),
        "get more points",
    );
}

#[test]
fn base_fee_and_tip_are_paid_as_wallets_expect_and_nothing_is_burned() {
    let mut chain = chain();
    let funds = U256::from(10u64.pow(12));
    chain.fund(chain.user(1), funds);
    for (nonce, (cap, tip, pays)) in (0u64..).zip([
        (BASE, 0, BASE),
        (BASE, 50, BASE),
        (2 * BASE, 0, BASE),
        (2 * BASE, 50, BASE + 50),
        (BASE + 20, 50, BASE + 20),
    ]) {
        let before = [chain.user(1), BENEFICIARY].map(|one| chain.account(one).balance);
        let transaction = dynamic(&chain, 1, nonce, cap, tip);
        assert_eq!(refusal(&chain, &transaction), None);
        let input = chain.input(None);
        let output = block_on(chain.executor.execute(&chain.state, input, &[transaction])).unwrap();
        chain.state.apply(&output.changes);
        chain.height += 1;
        chain.view += 1;
        let paid = U256::from(pays * output.receipts[0].gas_used);
        assert_eq!(output.receipts[0].effective_gas_price, u128::from(pays));
        let after = [chain.user(1), BENEFICIARY].map(|one| chain.account(one).balance);
        assert_eq!(before[0] - after[0], paid);
        assert_eq!(after[1] - before[1], paid);
    }
    // A legacy price is all of it, and the cap must be there before, as everywhere.
    let legacy = TxLegacy {
        chain_id: Some(super::support::CHAIN_ID),
        nonce: 5,
        gas_price: u128::from(BASE) + 7,
        gas_limit: 50_000,
        to: TxKind::Call(NOBODY),
        ..TxLegacy::default()
    };
    let signature = chain.users[1]
        .sign_hash_sync(&legacy.signature_hash())
        .unwrap();
    let legacy = TxEnvelope::from(legacy.into_signed(signature));
    let legacy = Transaction::decode(&legacy.encoded_2718(), super::support::CHAIN_ID).unwrap();
    let input = chain.input(None);
    let output = block_on(chain.executor.execute(&chain.state, input, &[legacy])).unwrap();
    assert_eq!(output.receipts[0].effective_gas_price, u128::from(BASE) + 7);
    let poor = dynamic(&chain, 2, 0, BASE, 0);
    let input = chain.input(None);
    let block = block_on(chain.executor.execute(&chain.state, input, &[poor]));
    assert!(block.is_err_and(|error| error.is_permanent()));
}

#[test]
fn contracts_see_the_base_fee() {
    let mut chain = chain();
    chain.fund(chain.user(1), U256::from(10u64.pow(12)));
    let create = Send::create(1, STORES_BASE_FEE)
        .gas_price(BASE.into())
        .gas(200_000);
    let output = chain.block(&[create]);
    let made = output.receipts[0].contract_address.unwrap();
    assert!(output.receipts[0].success);
    assert_eq!(chain.slot(made, U256::ZERO), U256::from(BASE));
}

/// Who holds only points, and who holds nothing but a key and relays, go on.
#[test]
fn points_pay_in_the_lane_and_a_relayer_needs_no_coin() {
    let mut chain = chain();
    chain.issue(1, 500 * MICRO);
    let holder = chain.user(1);
    let call = IPoints::transferCall {
        to: chain.user(2),
        amount: U256::from(MICRO),
    };
    let over = send(POINTS, NOBODY, 100, chain.now + 3_600);
    let output = chain.block(&[
        Send::call(1, POINTS, &call).gas(200_000),
        Send::call(1, BRIDGE, &over).gas(400_000),
    ]);
    assert!(output.receipts.iter().all(|receipt| receipt.success));
    assert!(chain.account(holder).balance.is_zero());

    // Fifty points come back from Ethereum.
    let mut ethereum = Ethereum::new();
    ethereum.receive(&output.packets[0]);
    let deadline = chain.now + 3_600;
    let sequence = ethereum.send(points_token(), holder, 50, deadline);
    let snapshot = ethereum.snapshot();
    let relayer = 4;
    assert_eq!(chain.account(chain.user(relayer)), Default::default());
    let deliver = Send::call(relayer, BRIDGE, &snapshot.deliver(&[sequence])).gas(2_000_000);
    let before = chain.points(holder);
    let output = chain.block_with(std::slice::from_ref(&deliver), Some(snapshot.checkpoint()));
    assert!(output.receipts[0].success);
    assert_eq!(output.receipts[0].effective_gas_price, 0);
    assert_eq!(receipt(&chain, sequence), 1);
    assert_eq!(chain.points(holder) - before, U256::from(50));
    // The same again admits nothing: only who pays for it may.
    let again = chain.sign_with(&deliver, 1);
    nowhere(&chain, &again, "admits no packet");
    chain.fund(chain.user(relayer), U256::from(10u64.pow(12)));
    let paid = chain.block(&[deliver.gas_price(BASE.into())]);
    assert!(paid.receipts[0].success);
}

/// A leader does not run deliveries without end for nothing.
#[test]
fn vain_deliveries_of_a_block_are_few() {
    let mut chain = chain();
    chain.thorough = false;
    let data = IBridge::deliverCall::SELECTOR.to_vec();
    let mut candidates: Vec<_> = (0..12u64)
        .map(|n| chain.sign_with(&Send::data(3, BRIDGE, data.clone()).gas(100_000 + n), 0))
        .collect();
    chain.issue(1, 500 * MICRO);
    let call = IPoints::transferCall {
        to: NOBODY,
        amount: U256::from(MICRO),
    };
    let honest = chain.sign_with(&Send::call(1, POINTS, &call).gas(200_000), 0);
    candidates.push(honest.clone());
    let input = chain.input(None);
    let (taken, _, dead) = block_on(chain.executor.build(&chain.state, input, candidates)).unwrap();
    assert_eq!(taken, [honest]);
    assert_eq!(dead.len(), 8, "the others are tried in the next one");
}
