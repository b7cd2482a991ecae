//! Each rule by itself, at its edges.

use super::{
    BASE, NOTICE, PENNILESS, PER_COIN, ask, fee_rules, net, net_with, quota, sponsor, terms,
};
use crate::{
    contracts::{COUNTER, code, deployment, forward, forwarder},
    staking::support::EPOCH_BLOCKS,
    support::{BENEFICIARY, CHAIN_ID, Chain, Send},
};
use alloy::{
    consensus::{SignableTransaction as _, TxEip1559, TxEnvelope},
    eips::eip2718::Encodable2718 as _,
    primitives::{Address, Bytes, TxKind, U256},
    signers::SignerSync as _,
    sol_types::{SolCall as _, SolEvent as _},
};
use alloy_rpc_types_trace::geth::GethDebugTracingOptions;
use futures::executor::block_on;
use mileverse_execution::{
    BlockError, CallOutcome, CallRequest, EstimateOutcome, PaidBy, Source, Transaction,
};
use mileverse_primitives::{
    abi::{IFees, IStaking},
    address::{FEES, POINTS, STAKING},
    contracts::Contract,
    fees::FeeRules,
    staking::coins,
};

/// Who creates and operates contracts here.
const MAKER: usize = 5;
const MOST: u128 = u128::MAX;
/// Gas of a call to the counter, and its limit.
const LIMIT: u64 = 60_000;

fn priced(send: Send) -> Send {
    send.gas_price(BASE.into())
}

fn deploy(chain: &mut Chain, runtime: &[u8]) -> Address {
    let create = priced(Send::create(MAKER, deployment(runtime))).gas(2_000_000);
    let output = chain.block(&[create]);
    assert!(output.receipts[0].success);
    output.receipts[0].contract_address.unwrap()
}

fn claim(chain: &mut Chain, callee: Address) {
    let maker = chain.user(MAKER);
    let nonce = (0..).find(|nonce| maker.create(*nonce) == callee).unwrap();
    chain.send(ask(MAKER, &IFees::claimCall { callee, nonce }));
}

fn deposit(chain: &mut Chain, callee: Address, amount: u128) {
    let call = ask(MAKER, &IFees::depositCall { callee });
    chain.send(call.value(U256::from(amount)));
}

fn set(chain: &mut Chain, callee: Address, terms: IFees::Terms) {
    chain.send(ask(MAKER, &IFees::setTermsCall { callee, terms }));
}

/// Nobody created what a genesis file places, so the file names who pays for it.
#[test]
fn a_placed_contract_has_the_operator_that_the_genesis_file_names() {
    let (pays, idle) = (Address::repeat_byte(0x91), Address::repeat_byte(0x92));
    let place = |address, operator| Contract {
        address,
        code: code(COUNTER).into(),
        storage: Default::default(),
        operator,
    };
    let mut chain = net_with(fee_rules(), |genesis, users| {
        genesis.contracts = vec![place(pays, Some(users[MAKER])), place(idle, None)];
    });
    let operator_of = |chain: &Chain, callee| {
        let found = chain.view(FEES, IFees::operatorOfCall { callee });
        (found.operator, found.claimed)
    };
    assert_eq!(operator_of(&chain, pays), (chain.user(MAKER), true));
    assert_eq!(operator_of(&chain, idle), (Address::ZERO, false));
    deposit(&mut chain, pays, 10u128.pow(18));
    set(&mut chain, pays, terms(10_000, MOST, MOST, MOST));
    let output = chain.block(&[count(PENNILESS, pays, 0)]);
    assert!(output.receipts[0].success);
    nowhere(&chain, &count(PENNILESS, idle, 0), "underpriced", true);
    // It hands over like any other.
    let named = IFees::setOperatorCall {
        callee: pays,
        operator: chain.user(6),
    };
    chain.send(ask(MAKER, &named));
    assert_eq!(operator_of(&chain, pays), (chain.user(6), true));
}

/// A counter whose maker pays a share of everything, without a limit.
fn sponsored(chain: &mut Chain, share_bp: u16) -> Address {
    let counter = deploy(chain, &code(COUNTER));
    claim(chain, counter);
    deposit(chain, counter, 10u128.pow(18));
    set(chain, counter, terms(share_bp, MOST, MOST, MOST));
    counter
}

fn count(user: usize, counter: Address, price: u64) -> Send {
    Send::data(user, counter, Bytes::new())
        .gas(LIMIT)
        .gas_price(price.into())
}

fn admitted(chain: &Chain, transaction: &Transaction) -> Result<mileverse_execution::Fare, String> {
    let next = || chain.input(None);
    block_on(chain.executor.admit(&chain.state, next, transaction)).unwrap()
}

/// Neither a pool nor a block takes it; whether a leader lets go of it for good.
fn nowhere(chain: &Chain, send: &Send, words: &str, for_good: bool) {
    let transaction = chain.sign_with(send, chain.nonces[send.user]);
    let one = std::slice::from_ref(&transaction);
    let input = chain.input(None);
    let block = block_on(chain.executor.execute(&chain.state, input.clone(), one));
    let told = block.unwrap_err().to_string();
    assert!(told.contains(words), "{told}");
    let (taken, built, dead) =
        block_on(chain.executor.build(&chain.state, input, one.to_vec())).unwrap();
    assert!(taken.is_empty());
    assert_eq!(built.changes, chain.idle(), "it leaves nothing behind");
    assert_eq!(!dead.is_empty(), for_good, "{told}");
}

fn balance(chain: &Chain, address: Address) -> U256 {
    chain.account(address).balance
}

fn refused(chain: &mut Chain, send: Send) -> String {
    let said = match chain.try_call(&send) {
        CallOutcome::Revert { output, .. } => {
            alloy::sol_types::decode_revert_reason(&output).unwrap()
        }
        other => panic!("{other:?}"),
    };
    assert!(!chain.block(&[send]).receipts[0].success);
    said
}

#[test]
fn who_created_a_contract_claims_it_once_and_hands_it_over() {
    let mut chain = net(fee_rules());
    let counter = deploy(&mut chain, &code(COUNTER));
    let nonce = chain.nonces[MAKER] - 1;
    let callee = counter;
    let operator_of = |chain: &Chain| chain.view(FEES, IFees::operatorOfCall { callee });
    assert_eq!(operator_of(&chain).operator, Address::ZERO);
    // Another, and another nonce.
    let said = refused(&mut chain, ask(6, &IFees::claimCall { callee, nonce }));
    assert!(said.contains("did not create"), "{said}");
    let wrong = IFees::claimCall {
        callee,
        nonce: nonce + 1,
    };
    assert!(refused(&mut chain, ask(MAKER, &wrong)).contains("did not create"));
    // Nobody but the contract itself or its operator names one.
    let named = IFees::setOperatorCall {
        callee,
        operator: chain.user(6),
    };
    assert!(refused(&mut chain, ask(MAKER, &named)).contains("can claim it"));
    claim(&mut chain, counter);
    let found = operator_of(&chain);
    assert_eq!((found.operator, found.claimed), (chain.user(MAKER), true));
    chain.send(ask(MAKER, &named));
    assert_eq!(operator_of(&chain).operator, chain.user(6));
    // Handed over is handed over.
    let said = refused(&mut chain, ask(MAKER, &IFees::claimCall { callee, nonce }));
    assert!(said.contains("claimed already"), "{said}");
    assert!(refused(&mut chain, ask(MAKER, &named)).contains("only the operator"));
    let nobody = IFees::setOperatorCall {
        callee,
        operator: POINTS,
    };
    assert!(refused(&mut chain, ask(6, &nobody)).contains("cannot be operators"));
}

#[test]
fn a_contract_says_itself_who_operates_it_until_it_is_claimed() {
    let mut chain = net(fee_rules());
    let callee = deploy(&mut chain, &forwarder());
    let nonce = chain.nonces[MAKER] - 1;
    // Anybody may call a forwarder, so anybody may let it name an operator: that takes nobody's coin.
    let name = |operator: Address| {
        let call = IFees::setOperatorCall { callee, operator }.abi_encode();
        Send::data(7, callee, forward(FEES, &call))
            .gas(300_000)
            .gas_price(BASE.into())
    };
    chain.send(name(chain.user(7)));
    deposit(&mut chain, callee, 500);
    let found = chain.view(FEES, IFees::operatorOfCall { callee });
    assert_eq!((found.operator, found.claimed), (chain.user(7), false));
    let greedy = IFees::announceWithdrawalCall {
        callee,
        amount: U256::from(1),
    };
    assert!(refused(&mut chain, ask(7, &greedy)).contains("holds 0"));
    // Its creator has the last word.
    chain.send(ask(MAKER, &IFees::claimCall { callee, nonce }));
    let again = name(chain.user(7));
    let said = refused(&mut chain, again);
    assert!(said.contains("only the operator"), "{said}");
    assert_eq!(sponsor(&chain, callee, MAKER).deposit, U256::from(500));
}

#[test]
fn an_operator_pays_all_and_a_user_needs_nothing() {
    let mut chain = net(fee_rules());
    let counter = sponsored(&mut chain, 10_000);
    let before = [FEES, BENEFICIARY].map(|one| balance(&chain, one));
    assert_eq!(chain.account(chain.user(PENNILESS)), Default::default());
    // Whether its wallet offers a price or none.
    for price in [0, BASE, 5 * BASE] {
        let send = count(PENNILESS, counter, price.min(BASE));
        let transaction = chain.sign_with(&send, chain.nonces[PENNILESS]);
        let fare = admitted(&chain, &transaction).unwrap();
        assert_eq!(fare.needs_help, price == 0);
        assert_eq!(fare.help.len(), 1);
        assert_eq!(fare.help[0].coin, U256::ZERO);
        assert_eq!(fare.help[0].takes, U256::from(LIMIT * BASE));
        assert_eq!(fare.help[0].draws[0].source, Source::Deposit(counter));
        chain.block(&[send]);
    }
    let output = chain.block(&[count(PENNILESS, counter, 0)]);
    let [receipt] = &output.receipts[..] else {
        panic!("one")
    };
    assert!(receipt.success);
    assert_eq!(receipt.effective_gas_price, 0, "the sender paid nothing");
    let event = IFees::Sponsored::decode_log_data(&receipt.logs[1].data).unwrap();
    assert_eq!(receipt.logs[1].address, FEES);
    assert_eq!(event.user, chain.user(PENNILESS));
    assert_eq!(event.operator, chain.user(MAKER));
    assert_eq!(event.gas, receipt.gas_used);
    assert_eq!(event.amount, U256::from(receipt.gas_used * BASE));
    assert_eq!(chain.slot(counter, U256::ZERO), U256::from(4));
    let after = [FEES, BENEFICIARY].map(|one| balance(&chain, one));
    assert_eq!(before[0] - after[0], after[1] - before[1]);
    let deposit = sponsor(&chain, counter, MAKER).deposit;
    assert_eq!(deposit, after[0]);
    assert_eq!(chain.view(FEES, IFees::totalDepositsCall {}), after[0]);
    assert!(chain.view(FEES, IFees::solventCall {}));
}

#[test]
fn what_fails_is_paid_for_and_what_is_refused_is_not() {
    let mut chain = net(fee_rules());
    let counter = sponsored(&mut chain, 10_000);
    let before = balance(&chain, FEES);
    // With calldata the counter reverts.
    let fails = Send::data(PENNILESS, counter, vec![1]).gas(LIMIT);
    let output = chain.block(&[fails]);
    assert!(!output.receipts[0].success);
    assert_eq!(output.receipts[0].logs.len(), 1);
    let paid = U256::from(output.receipts[0].gas_used * BASE);
    assert_eq!(before - balance(&chain, FEES), paid);
    // Value that is not there: refused, and the deposit is as it was.
    let send = count(PENNILESS, counter, 0).value(U256::from(1));
    nowhere(&chain, &send, "insufficient funds", false);
}

#[test]
fn a_share_is_rounded_down_and_the_rest_and_the_tip_are_the_senders() {
    let mut chain = net(fee_rules());
    // A third, more or less: 333 of 1,000.
    let counter = sponsored(&mut chain, 3_339);
    let user = chain.user(6);
    let had = [user, FEES, BENEFICIARY].map(|one| balance(&chain, one));
    // As wallets do it: twice the base fee as the cap, and a tip.
    let transaction = TxEip1559 {
        chain_id: CHAIN_ID,
        nonce: 0,
        gas_limit: LIMIT,
        max_fee_per_gas: 2 * u128::from(BASE),
        max_priority_fee_per_gas: 7,
        to: TxKind::Call(counter),
        ..TxEip1559::default()
    };
    let signature = chain.users[6].sign_hash_sync(&transaction.signature_hash());
    let envelope = TxEnvelope::from(transaction.into_signed(signature.unwrap()));
    let transaction = Transaction::decode(&envelope.encoded_2718(), CHAIN_ID).unwrap();
    let fare = admitted(&chain, &transaction).unwrap();
    assert_eq!(fare.help[0].coin, U256::from(LIMIT * (667 + 7)));
    let input = chain.input(None);
    let output = block_on(chain.executor.execute(&chain.state, input, &[transaction])).unwrap();
    chain.state.apply(&output.changes);
    let receipt = &output.receipts[0];
    assert_eq!(receipt.effective_gas_price, 667 + 7);
    let has = [user, FEES, BENEFICIARY].map(|one| balance(&chain, one));
    let gas = U256::from(receipt.gas_used);
    assert_eq!(had[0] - has[0], gas * U256::from(667 + 7));
    assert_eq!(had[1] - has[1], gas * U256::from(333));
    assert_eq!(has[2] - had[2], gas * U256::from(BASE + 7));
}

#[test]
fn contracts_see_what_the_sender_pays() {
    let mut chain = net(fee_rules());
    // GASPRICE PUSH0 SSTORE
    let teller = deploy(&mut chain, &[0x3a, 0x5f, 0x55]);
    claim(&mut chain, teller);
    deposit(&mut chain, teller, 10u128.pow(15));
    set(&mut chain, teller, terms(2_500, MOST, MOST, MOST));
    chain.send(count(6, teller, BASE));
    assert_eq!(chain.slot(teller, U256::ZERO), U256::from(750));
}

#[test]
fn limits_hold_for_a_transaction_a_user_and_a_day() {
    let mut chain = net(fee_rules());
    let counter = deploy(&mut chain, &code(COUNTER));
    claim(&mut chain, counter);
    let whole = u128::from(LIMIT * BASE);
    deposit(&mut chain, counter, 100 * whole);
    let limits = [
        ("a transaction", terms(10_000, whole - 1, MOST, MOST)),
        ("a user", terms(10_000, MOST, whole - 1, MOST)),
        ("a day", terms(10_000, MOST, MOST, whole - 1)),
        ("no share", terms(0, MOST, MOST, MOST)),
    ];
    for (what, limit) in limits {
        set(&mut chain, counter, limit);
        chain.now += NOTICE;
        let send = count(PENNILESS, counter, 0);
        nowhere(&chain, &send, "underpriced", true);
        let transaction = chain.sign_with(&send, 0);
        assert!(admitted(&chain, &transaction).is_err(), "{what}");
        // Who has coin pays all of it, at the price it offered.
        let output = chain.block(&[count(6, counter, BASE)]);
        assert_eq!(output.receipts[0].effective_gas_price, u128::from(BASE));
        assert_eq!(output.receipts[0].logs.len(), 1, "{what}");
        // Who has none and offered a price counted on the operator.
        nowhere(&chain, &count(PENNILESS, counter, BASE), "insufficient", {
            what != "no share"
        });
    }
    // One and a half transactions of a user in a day.
    set(
        &mut chain,
        counter,
        terms(10_000, whole, whole + whole / 2, MOST),
    );
    chain.now += NOTICE;
    let output = chain.block(&[count(PENNILESS, counter, 0)]);
    let used = output.receipts[0].gas_used;
    let left = chain.view(
        FEES,
        IFees::offerCall {
            callee: counter,
            user: chain.user(PENNILESS),
        },
    );
    let rest = U256::from(whole + whole / 2) - U256::from(used * BASE);
    assert_eq!(
        (left.price, left.most),
        (U256::from(BASE), rest.min(U256::from(whole)))
    );
    chain.block(&[count(PENNILESS, counter, 0)]);
    nowhere(&chain, &count(PENNILESS, counter, 0), "underpriced", true);
    // Another user has its own, and so has another day.
    let other = chain.block(&[count(6, counter, 0)]);
    assert_eq!(other.receipts[0].effective_gas_price, 0);
    let spent = sponsor(&chain, counter, MAKER).spentToday;
    assert_eq!(
        spent,
        U256::from((2 * used + other.receipts[0].gas_used) * BASE)
    );
    chain.now = (chain.now / 86_400 + 1) * 86_400;
    assert_eq!(sponsor(&chain, counter, MAKER).spentToday, U256::ZERO);
    assert!(chain.block(&[count(PENNILESS, counter, 0)]).receipts[0].success);
}

#[test]
fn a_deposit_that_is_short_pays_nothing_and_is_never_overdrawn() {
    let mut chain = net(fee_rules());
    let counter = deploy(&mut chain, &code(COUNTER));
    claim(&mut chain, counter);
    let whole = u128::from(LIMIT * BASE);
    deposit(&mut chain, counter, whole - 1);
    set(&mut chain, counter, terms(10_000, MOST, MOST, MOST));
    nowhere(&chain, &count(PENNILESS, counter, 0), "underpriced", true);
    deposit(&mut chain, counter, 1);
    // Two in one block: the first leaves too little for the second.
    chain.thorough = false;
    let both = [count(PENNILESS, counter, 0), count(6, counter, BASE)];
    let output = chain.block(&both);
    assert_eq!(output.receipts[0].effective_gas_price, 0);
    assert_eq!(output.receipts[1].effective_gas_price, u128::from(BASE));
    let deposit = sponsor(&chain, counter, MAKER).deposit;
    let used = u128::from(output.receipts[0].gas_used * BASE);
    assert_eq!(deposit, U256::from(whole - used));
}

#[test]
fn what_pays_less_holds_after_the_notice_and_what_pays_more_at_once() {
    let mut chain = net(fee_rules());
    let counter = sponsored(&mut chain, 5_000);
    let price =
        |chain: &mut Chain| chain.block(&[count(6, counter, BASE)]).receipts[0].effective_gas_price;
    assert_eq!(price(&mut chain), 500);
    set(&mut chain, counter, terms(4_000, MOST, MOST, MOST));
    let since = chain.now - 1 + NOTICE;
    let found = sponsor(&chain, counter, MAKER);
    assert_eq!((found.terms.shareBp, found.next.shareBp), (5_000, 4_000));
    assert_eq!(found.nextSince, since);
    chain.now = since - 1;
    assert_eq!(price(&mut chain), 500);
    assert_eq!(chain.now, since);
    assert_eq!(price(&mut chain), 600);
    assert_eq!(sponsor(&chain, counter, MAKER).nextSince, 0);
    // More at once, and it takes back what was to come.
    set(&mut chain, counter, terms(0, 0, 0, 0));
    set(&mut chain, counter, terms(10_000, MOST, MOST, MOST));
    assert_eq!(price(&mut chain), 0);
    chain.now += NOTICE;
    assert_eq!(price(&mut chain), 0);
    let callee = counter;
    let terms = terms(10_001, 0, 0, 0);
    let said = refused(
        &mut chain,
        ask(MAKER, &IFees::setTermsCall { callee, terms }),
    );
    assert!(said.contains("10,000"), "{said}");
}

#[test]
fn a_withdrawal_waits_for_the_notice_and_pays_users_until_then() {
    let mut chain = net(fee_rules());
    let counter = sponsored(&mut chain, 10_000);
    let callee = counter;
    let all = sponsor(&chain, counter, MAKER).deposit;
    let announce = |amount| ask(MAKER, &IFees::announceWithdrawalCall { callee, amount });
    let withdraw = || ask(MAKER, &IFees::withdrawCall { callee });
    assert!(refused(&mut chain, withdraw()).contains("no withdrawal"));
    assert!(refused(&mut chain, announce(all + U256::from(1))).contains("holds"));
    // A stranger has no deposit.
    let strange = IFees::announceWithdrawalCall {
        callee,
        amount: U256::from(1),
    };
    assert!(refused(&mut chain, ask(6, &strange)).contains("holds 0"));
    chain.send(announce(all));
    let ready = chain.now - 1 + NOTICE;
    assert_eq!(sponsor(&chain, counter, MAKER).leavingReady, ready);
    chain.now = ready - 1;
    assert!(refused(&mut chain, withdraw()).contains("is ready at"));
    // Users are paid for until the very end.
    let output = chain.block(&[count(PENNILESS, counter, 0)]);
    let left = all - U256::from(output.receipts[0].gas_used * BASE);
    let had = balance(&chain, chain.user(MAKER));
    let output = chain.block(&[withdraw()]);
    assert!(output.receipts[0].success);
    let fee = U256::from(output.receipts[0].gas_used * BASE);
    assert_eq!(balance(&chain, chain.user(MAKER)) + fee - had, left);
    assert_eq!(balance(&chain, FEES), U256::ZERO);
    assert!(refused(&mut chain, withdraw()).contains("no withdrawal"));
    // Taken back.
    deposit(&mut chain, counter, 5);
    chain.send(announce(U256::from(5)));
    chain.send(announce(U256::ZERO));
    chain.now += NOTICE;
    assert!(refused(&mut chain, withdraw()).contains("no withdrawal"));
    let nothing = ask(MAKER, &IFees::depositCall { callee });
    assert!(refused(&mut chain, nothing).contains("send MVC"));
    let module = ask(MAKER, &IFees::depositCall { callee: POINTS }).value(U256::from(1));
    assert!(refused(&mut chain, module).contains("system module"));
}

/// The deposit is withdrawn by the very transaction that it pays for.
#[test]
fn a_transaction_cannot_withdraw_what_pays_for_it() {
    let mut chain = net(fee_rules());
    let callee = deploy(&mut chain, &forwarder());
    let through = |data: Vec<u8>| {
        Send::data(6, callee, forward(FEES, &data))
            .gas(300_000)
            .gas_price(BASE.into())
    };
    // The forwarder is its own operator.
    let operator = callee;
    chain.send(through(
        IFees::setOperatorCall { callee, operator }.abi_encode(),
    ));
    let terms = terms(10_000, MOST, MOST, MOST);
    chain.send(through(IFees::setTermsCall { callee, terms }.abi_encode()));
    let whole = 10u128.pow(12);
    let deposit = through(IFees::depositCall { callee }.abi_encode()).value(U256::from(whole));
    chain.send(deposit);
    let announce = IFees::announceWithdrawalCall {
        callee,
        amount: U256::from(whole - 5 * 300_000 * u128::from(BASE)),
    };
    let output = chain.block(&[through(announce.abi_encode())]);
    assert_eq!(output.receipts[0].effective_gas_price, 0);
    chain.now += NOTICE;
    let purse = |chain: &Chain| chain.view(FEES, IFees::sponsorCall { callee, operator });
    let before = purse(&chain);
    let output = chain.block(&[through(IFees::withdrawCall { callee }.abi_encode())]);
    let receipt = &output.receipts[0];
    assert!(receipt.success);
    assert_eq!(receipt.effective_gas_price, 0);
    let paid = U256::from(receipt.gas_used * BASE);
    assert_eq!(
        purse(&chain).deposit,
        before.deposit - before.leaving - paid
    );
    assert_eq!(balance(&chain, callee), before.leaving);
    // Now everything: the transaction's own gas is out of reach while it runs.
    let rest = purse(&chain).deposit;
    chain.send(through(
        IFees::announceWithdrawalCall {
            callee,
            amount: rest - U256::from(300_000 * BASE),
        }
        .abi_encode(),
    ));
    chain.now += NOTICE;
    let before = purse(&chain);
    let had = balance(&chain, callee);
    let output = chain.block(&[through(IFees::withdrawCall { callee }.abi_encode())]);
    let got = balance(&chain, callee) - had;
    let reserved = U256::from(300_000 * BASE);
    assert_eq!(got, before.leaving.min(before.deposit - reserved));
    let paid = U256::from(output.receipts[0].gas_used * BASE);
    assert_eq!(purse(&chain).deposit, before.deposit - got - paid);
    assert_eq!(balance(&chain, FEES), purse(&chain).deposit);
}

fn stake(chain: &mut Chain, user: usize, whole: u64) {
    let call = Send::call(user, STAKING, &IStaking::stakeCall {}).value(coins(whole));
    chain.send(priced(call).gas(1_000_000));
}

#[test]
fn stake_has_gas_free_once_in_a_window() {
    let mut chain = net(fee_rules());
    let counter = deploy(&mut chain, &code(COUNTER));
    let user = 6;
    assert_eq!(quota(&chain, user).gas, 0);
    stake(&mut chain, user, 13);
    let found = quota(&chain, user);
    assert_eq!((found.gas, found.used), (13 * PER_COIN, 0));
    assert_eq!(found.refillsAt, 2 * EPOCH_BLOCKS);
    let had = balance(&chain, chain.user(user));
    // Two of 60,000 fit, by their limits; what is used counts.
    let output = chain.block(&[count(user, counter, 0)]);
    let used = output.receipts[0].gas_used;
    assert_eq!(output.receipts[0].effective_gas_price, 0);
    let event = IFees::FreeGasUsed::decode_log_data(&output.receipts[0].logs[1].data).unwrap();
    assert_eq!((event.user, event.gas), (chain.user(user), used));
    assert_eq!(quota(&chain, user).left, 13 * PER_COIN - used);
    // The tip is paid all the same.
    let output = chain.block(&[count(user, counter, BASE + 3)]);
    assert_eq!(output.receipts[0].effective_gas_price, 3);
    let tip = U256::from(3 * output.receipts[0].gas_used);
    assert_eq!(had - balance(&chain, chain.user(user)), tip);
    let used = used + output.receipts[0].gas_used;
    // What is left is not enough for all of it: it pays for all of it, or is nowhere.
    let left = 13 * PER_COIN - used;
    let big = count(user, counter, BASE).gas(left + 1);
    nowhere(&chain, &big.clone().gas_price(0), "underpriced", true);
    let output = chain.block(&[big]);
    assert_eq!(output.receipts[0].effective_gas_price, u128::from(BASE));
    assert_eq!(quota(&chain, user).used, used);
    // To the last unit.
    let exact = count(user, counter, 0).gas(left);
    assert_eq!(chain.block(&[exact]).receipts[0].effective_gas_price, 0);
    // A new window begins with a block.
    while chain.height + 1 < 2 * EPOCH_BLOCKS {
        assert!(quota(&chain, user).used > 0);
        chain.block(&[]);
    }
    let found = quota(&chain, user);
    assert_eq!((found.used, found.refillsAt), (0, 4 * EPOCH_BLOCKS));
    // Who has stake and nothing else.
    assert_eq!(quota(&chain, PENNILESS).gas, 0);
}

#[test]
fn stake_that_leaves_has_nothing_free_and_what_is_left_never_falls_below_zero() {
    let mut chain = net(fee_rules());
    let counter = deploy(&mut chain, &code(COUNTER));
    let user = 6;
    stake(&mut chain, user, 12);
    chain.block(&[count(user, counter, 0)]);
    let unstake = IStaking::unstakeCall { amount: coins(11) };
    chain.send(priced(Send::call(user, STAKING, &unstake)).gas(1_000_000));
    let found = quota(&chain, user);
    assert_eq!(found.gas, PER_COIN);
    assert!(found.used > found.gas);
    assert_eq!(found.left, 0);
    nowhere(&chain, &count(user, counter, 0), "underpriced", true);
    // Votes count as stake does.
    let voter = 7;
    stake(&mut chain, voter, 5);
    let vote = crate::staking::support::vote_for(&chain, 0, 1_000_000_000_000_000_000);
    chain.send(priced(Send::call(voter, STAKING, &vote)).gas(1_000_000));
    assert_eq!(quota(&chain, voter).gas, 5 * PER_COIN);
}

#[test]
fn a_block_has_room_for_so_much_free_gas_and_then_for_those_who_pay() {
    let rules = FeeRules {
        // 25 in 10,000 of 30,000,000.
        free_gas_bp: 25,
        ..fee_rules()
    };
    let mut chain = net(rules);
    let counter = deploy(&mut chain, &code(COUNTER));
    for user in 6..=8 {
        stake(&mut chain, user, 100);
    }
    chain.thorough = false;
    let one = |user, price| count(user, counter, price);
    let sends = [one(6, 0), one(7, 0), one(8, 0)];
    let output = chain.block(&sends[..1]);
    let gas = output.receipts[0].gas_used;
    assert!(75_000 - gas < LIMIT, "a second one does not fit");
    // Who offers nothing waits, and is not let go.
    let candidates: Vec<_> = sends[1..]
        .iter()
        .map(|send| chain.sign_with(send, chain.nonces[send.user]))
        .collect();
    let input = chain.input(None);
    let built = block_on(
        chain
            .executor
            .build(&chain.state, input, candidates.clone()),
    );
    let (taken, _, dead) = built.unwrap();
    assert_eq!(taken, candidates[..1]);
    assert!(dead.is_empty());
    // Who offers a price pays it.
    let output = chain.block(&[one(7, BASE), one(8, BASE)]);
    let prices = [0, 1].map(|at| output.receipts[at].effective_gas_price);
    assert_eq!(prices, [0, u128::from(BASE)]);
    // More than a block ever has is for the sender.
    let large = one(6, 0).gas(75_001);
    nowhere(&chain, &large, "underpriced", false);
}

#[test]
fn free_gas_comes_before_the_operators_share() {
    let mut chain = net(fee_rules());
    let counter = sponsored(&mut chain, 10_000);
    stake(&mut chain, 6, 6);
    let before = balance(&chain, FEES);
    chain.block(&[count(6, counter, 0)]);
    assert_eq!(balance(&chain, FEES), before);
    assert!(quota(&chain, 6).left < LIMIT);
    chain.block(&[count(6, counter, 0)]);
    assert!(balance(&chain, FEES) < before);
}

#[test]
fn estimates_calls_and_quotes_know_who_pays() {
    let mut chain = net(fee_rules());
    let counter = sponsored(&mut chain, 10_000);
    let whole = u128::from(200_000 * BASE);
    set(&mut chain, counter, terms(10_000, whole, whole, MOST));
    chain.now += NOTICE;
    let request = CallRequest {
        from: chain.user(PENNILESS),
        to: Some(counter),
        gas_price: BASE.into(),
        ..CallRequest::default()
    };
    let input = || chain.input(None);
    let (executor, state) = (&chain.executor, &chain.state);
    let afford =
        |request: &CallRequest| block_on(executor.affordable(state, &input(), request)).unwrap();
    assert_eq!(afford(&request), Some(200_000));
    let priceless = CallRequest {
        gas_price: 0,
        ..request.clone()
    };
    assert_eq!(afford(&priceless), None);
    let bound = CallRequest {
        gas: Some(200_000),
        ..request.clone()
    };
    let estimate = block_on(executor.estimate_gas(state, input(), bound.clone())).unwrap();
    let EstimateOutcome::Gas(gas) = estimate else {
        panic!("{estimate:?}")
    };
    assert!(gas < 60_000, "{gas}");
    let called = block_on(executor.call(state, input(), bound.clone())).unwrap();
    assert!(called.is_success());
    let more = CallRequest {
        gas: Some(200_001),
        ..bound
    };
    let called = block_on(executor.call(state, input(), more));
    assert!(matches!(called, Err(BlockError::Invalid(_))), "{called:?}");
    let quote = |gas| block_on(executor.quote(state, input(), &request, gas)).unwrap();
    let (small, large) = (quote(200_000), quote(200_001));
    assert_eq!(small.payer, Some(PaidBy::Operator));
    assert_eq!((small.sender_price, small.operator_price), (0, BASE));
    assert_eq!(small.sponsorship.unwrap().most, whole);
    assert_eq!(large.payer, Some(PaidBy::Sender));
    assert_eq!(large.sender_price, u128::from(BASE));
    let nobody = CallRequest {
        to: Some(Address::repeat_byte(9)),
        gas_price: 1,
        ..request.clone()
    };
    let quote = block_on(executor.quote(state, input(), &nobody, 21_000)).unwrap();
    assert_eq!(quote.payer, None);
}

#[test]
fn a_sponsored_transaction_is_traced_as_it_ran() {
    let mut chain = net(fee_rules());
    let counter = sponsored(&mut chain, 10_000);
    let transactions = [
        chain.sign_with(&count(PENNILESS, counter, 0), 0),
        chain.sign_with(&count(PENNILESS, counter, 0), 1),
    ];
    let traces = block_on(chain.executor.trace_block(
        &chain.state,
        chain.input(None),
        chain.parent,
        &transactions,
        0..2,
        &GethDebugTracingOptions::default(),
    ))
    .unwrap();
    assert_eq!(traces.len(), 2);
}

/// Where gas costs nothing, there is nothing to pay for others.
#[test]
fn a_chain_without_a_price_asks_nobody() {
    let mut chain = net(FeeRules {
        base_price: 0,
        ..fee_rules()
    });
    let counter = deploy(&mut chain, &code(COUNTER));
    let output = chain.block(&[count(PENNILESS, counter, 0)]);
    assert_eq!(output.receipts[0].logs.len(), 1);
    assert_eq!(quota(&chain, PENNILESS).gas, 0);
}
