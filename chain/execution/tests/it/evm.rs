//! Plain Ethereum: value, contracts, logs, reverts, fees, what a transaction may look like.

use super::{
    contracts::{COUNTER, FACTORY, SUICIDE, code, deploy, deployment},
    support::{BENEFICIARY, CHAIN_ID, Chain, GAS_LIMIT, Send},
};
use alloy::{
    consensus::{SignableTransaction, Signed, TxEip2930, TxEip7702, TxEnvelope, TxLegacy},
    eips::{eip2718::Encodable2718, eip7702::Authorization},
    primitives::{Address, B256, Bytes, Signature, TxKind, U256, b256},
    signers::SignerSync,
};
use futures::executor::block_on;
use mileverse_execution::{
    BlockError, CallOutcome, CallRequest, EstimateOutcome, MAX_TRANSACTION_LENGTH, Transaction,
    TransactionError, code as read_code,
};
use proptest::prelude::*;

const ETHER: U256 = U256::from_limbs([1_000_000_000_000_000_000, 0, 0, 0]);

#[test]
fn value_moves_and_a_tip_goes_to_the_beneficiary() {
    let mut chain = Chain::new();
    let (from, to) = (chain.user(1), Address::repeat_byte(0x77));
    chain.fund(from, ETHER);
    let mut send = Send::data(1, to, Bytes::new())
        .value(U256::from(5))
        .gas(21_000);
    send.gas_price = 7;
    let output = chain.block(&[send]);
    assert_eq!(output.gas_used, 21_000);
    assert_eq!(output.receipts[0].effective_gas_price, 7);
    let fee = U256::from(21_000 * 7);
    assert_eq!(chain.account(BENEFICIARY).balance, fee);
    assert_eq!(chain.account(to).balance, U256::from(5));
    assert_eq!(chain.account(from).balance, ETHER - U256::from(5) - fee);
    assert_eq!(chain.account(from).nonce, 1);
}

#[test]
fn a_free_transaction_needs_no_coins() {
    let mut chain = Chain::new();
    let output = chain.block(&[Send::data(1, Address::repeat_byte(0x77), Bytes::new())]);
    assert!(output.receipts[0].success);
    // Nothing was left behind but the nonce: empty accounts are not stored.
    assert_eq!(chain.changed(&output), 1);
}

#[test]
fn a_contract_counts_logs_and_reverts() {
    let mut chain = Chain::new();
    let counter = deploy(&mut chain, &code(COUNTER));
    assert_eq!(chain.account(counter).nonce, 1);
    let hash = chain.account(counter).code_hash;
    assert_eq!(
        block_on(read_code(&chain.state, hash)).unwrap(),
        code(COUNTER)
    );
    // Two in one block see each other.
    let output = chain.block(&[
        Send::data(1, counter, Bytes::new()),
        Send::data(2, counter, Bytes::new()),
    ]);
    assert_eq!(chain.slot(counter, U256::ZERO), U256::from(2));
    assert_eq!(
        output.receipts[1].cumulative_gas_used,
        output.receipts[0].gas_used + output.receipts[1].gas_used
    );
    let log = &output.receipts[1].logs[0];
    assert_eq!(log.address, counter);
    assert_eq!(log.topics(), [B256::from(U256::from(42))]);
    assert_eq!(U256::from_be_slice(&log.data.data), U256::from(2));
    let output = chain.block(&[Send::data(1, counter, vec![1])]);
    assert!(!output.receipts[0].success);
    assert_eq!(chain.slot(counter, U256::ZERO), U256::from(2));
}

#[test]
fn a_contract_creates_a_contract() {
    let mut chain = Chain::new();
    let factory = deploy(&mut chain, &code(FACTORY));
    let made = factory.create(1);
    chain.send(Send::data(1, factory, deployment(&code(COUNTER))));
    assert_eq!(chain.account(factory).nonce, 2);
    chain.send(Send::data(2, made, Bytes::new()));
    assert_eq!(chain.slot(made, U256::ZERO), U256::ONE);
}

#[test]
fn a_contract_that_destroys_itself_at_once_is_never_stored() {
    let mut chain = Chain::new();
    chain.fund(chain.user(1), ETHER);
    // Its creation code runs SELFDESTRUCT to the caller's choice of address 0x77…
    let mut init = vec![0x73];
    init.extend_from_slice(Address::repeat_byte(0x77).as_slice());
    init.push(0xff);
    let output = chain.block(&[Send::create(1, init).value(U256::from(9))]);
    assert!(output.receipts[0].success);
    assert_eq!(
        chain.account(Address::repeat_byte(0x77)).balance,
        U256::from(9)
    );
    // Sender and heir, and the five words that number both as holders; no account, no code of the dead.
    assert_eq!(chain.changed(&output), 2 + 5);
    // An older contract only gives its coins away.
    let old = deploy(&mut chain, &code(SUICIDE));
    let heir = Address::repeat_byte(0x78);
    chain.send(Send::data(1, old, heir.into_word().to_vec()).value(U256::from(4)));
    assert_eq!(chain.account(heir).balance, U256::from(4));
    assert_eq!(chain.account(old).nonce, 1);
}

#[test]
fn calls_keep_nothing_and_estimates_suffice() {
    let mut chain = Chain::new();
    let counter = deploy(&mut chain, &code(COUNTER));
    let request = CallRequest {
        from: counter, // a contract may be the sender of a mere call
        to: Some(counter),
        ..CallRequest::default()
    };
    let input = chain.input(None);
    let call =
        |request: CallRequest| block_on(chain.executor.call(&chain.state, input.clone(), request));
    let Ok(CallOutcome::Success { output, logs, .. }) = call(request.clone()) else {
        panic!()
    };
    assert_eq!(U256::from_be_slice(&output), U256::ONE);
    assert_eq!(logs.len(), 1);
    assert_eq!(chain.slot(counter, U256::ZERO), U256::ZERO);
    let estimate = |request: CallRequest| {
        block_on(
            chain
                .executor
                .estimate_gas(&chain.state, input.clone(), request),
        )
    };
    let Ok(EstimateOutcome::Gas(gas)) = estimate(request.clone()) else {
        panic!()
    };
    let with = |gas: u64| {
        call(CallRequest {
            gas: Some(gas),
            ..request.clone()
        })
        .is_ok_and(|outcome| outcome.is_success())
    };
    assert!(with(gas));
    assert!(!with(gas * 100 / 103));
    let failing = CallRequest {
        data: Bytes::from_static(&[1]),
        ..request.clone()
    };
    assert!(matches!(
        estimate(failing),
        Ok(EstimateOutcome::Failed(CallOutcome::Revert { .. }))
    ));
    let poor = CallRequest {
        value: U256::ONE,
        ..request
    };
    assert!(matches!(call(poor), Err(BlockError::Invalid(_))));
    // A plain transfer needs exactly what it needs.
    let plain = CallRequest {
        to: Some(Address::repeat_byte(0x77)),
        ..CallRequest::default()
    };
    assert_eq!(estimate(plain).unwrap(), EstimateOutcome::Gas(21_000));
}

#[test]
fn the_block_is_seen_as_documented() {
    let mut chain = Chain::new();
    // Returns TIMESTAMP, NUMBER, PREVRANDAO, BLOCKHASH(parent), BLOCKHASH(parent - 1), COINBASE.
    let reader = deploy(
        &mut chain,
        &code(
            "426000524360205244604052600143034060605260024303406080524160a0526000\
             60c05260c06000f3",
        ),
    );
    let CallOutcome::Success { output, .. } = chain.try_call(&Send::data(1, reader, vec![])) else {
        panic!()
    };
    let words: Vec<B256> = output.chunks(32).map(B256::from_slice).collect();
    assert_eq!(words[0], B256::from(U256::from(chain.now)));
    assert_eq!(words[1], B256::from(U256::from(chain.height + 1)));
    assert_eq!(words[2], chain.parent);
    assert_eq!(words[3], chain.parent);
    assert_eq!(words[4], B256::ZERO);
    assert_eq!(words[5], BENEFICIARY.into_word());
}

fn legacy(chain_id: Option<u64>) -> TxLegacy {
    TxLegacy {
        chain_id,
        gas_limit: 100_000,
        to: TxKind::Call(Address::repeat_byte(0x77)),
        ..TxLegacy::default()
    }
}

fn signed<T: SignableTransaction<Signature>>(chain: &Chain, transaction: T) -> Signed<T>
where
    TxEnvelope: From<Signed<T>>,
{
    let signature = chain.users[1]
        .sign_hash_sync(&transaction.signature_hash())
        .unwrap();
    transaction.into_signed(signature)
}

fn raw<T>(signed: Signed<T>) -> Vec<u8>
where
    TxEnvelope: From<Signed<T>>,
{
    TxEnvelope::from(signed).encoded_2718()
}

#[test]
fn every_supported_type_is_taken_and_its_receipt_typed() {
    let mut chain = Chain::new();
    let authorization = Authorization {
        chain_id: U256::from(CHAIN_ID),
        address: Address::repeat_byte(0x55),
        nonce: 0,
    };
    let authority = &chain.users[3];
    let authorization = authorization.clone().into_signed(
        authority
            .sign_hash_sync(&authorization.signature_hash())
            .unwrap(),
    );
    let all = [
        raw(signed(&chain, legacy(Some(CHAIN_ID)))),
        raw(signed(
            &chain,
            TxEip2930 {
                chain_id: CHAIN_ID,
                nonce: 1,
                gas_limit: 100_000,
                to: TxKind::Call(Address::repeat_byte(0x77)),
                ..TxEip2930::default()
            },
        )),
        raw(signed(
            &chain,
            TxEip7702 {
                chain_id: CHAIN_ID,
                nonce: 2,
                gas_limit: 100_000,
                to: Address::repeat_byte(0x77),
                authorization_list: vec![authorization],
                ..TxEip7702::default()
            },
        )),
    ]
    .map(|raw| Transaction::decode(&raw, CHAIN_ID).unwrap());
    let input = chain.input(None);
    let output = block_on(chain.executor.execute(&chain.state, input.clone(), &all)).unwrap();
    chain.state.apply(&output.changes);
    let types: Vec<u8> = output.receipts.iter().map(|r| r.tx_type).collect();
    assert_eq!(types, [0, 1, 4]);
    assert!(output.receipts.iter().all(|receipt| receipt.success));
    // The delegation is the authority's code now.
    let hash = chain.account(chain.user(3)).code_hash;
    let stored = block_on(read_code(&chain.state, hash)).unwrap();
    assert_eq!(stored[..3], [0xef, 0x01, 0x00]);
    assert_eq!(stored[3..], Address::repeat_byte(0x55)[..]);
}

#[test]
fn empty_roots_are_ethereums() {
    let mut chain = Chain::new();
    let output = chain.block(&[]);
    let empty = b256!("56e81f171bcc55a6ff8345e692c0f86e5b48e01b996cadc001622fb5e363b421");
    assert_eq!(output.transactions_root, empty);
    assert_eq!(output.receipts_root, empty);
    assert_eq!(chain.changed(&output), 0);
    assert_eq!(output.outbox_root, chain.executor.genesis_outbox_root());
    assert_eq!(output.outbox_size, 0);
}

#[test]
fn strange_transactions_are_refused() {
    let chain = Chain::new();
    let decode = |raw: &[u8]| Transaction::decode(raw, CHAIN_ID).unwrap_err();
    let good = raw(signed(&chain, legacy(Some(CHAIN_ID))));
    assert!(Transaction::decode(&good, CHAIN_ID).is_ok());
    assert_eq!(
        decode(&raw(signed(&chain, legacy(None)))),
        TransactionError::NoChainId(CHAIN_ID)
    );
    assert_eq!(
        decode(&raw(signed(&chain, legacy(Some(1))))),
        TransactionError::ChainId {
            expected: CHAIN_ID,
            actual: 1
        }
    );
    assert_eq!(decode(&[3, 0xc0]), TransactionError::Type(3));
    assert_eq!(decode(&[5, 0xc0]), TransactionError::Type(5));
    assert_eq!(decode(&[0, 0xc0]), TransactionError::Type(0));
    assert!(matches!(decode(&[]), TransactionError::Malformed(_)));
    let long = vec![0xf8; MAX_TRANSACTION_LENGTH + 1];
    assert_eq!(decode(&long), TransactionError::TooLong(long.len()));
    let mut trailing = good.clone();
    trailing.push(0);
    assert!(matches!(decode(&trailing), TransactionError::Malformed(_)));
    // The malleable twin: the other s, the other parity.
    let (transaction, signature, _) = signed(&chain, legacy(Some(CHAIN_ID))).into_parts();
    let order = U256::from_be_bytes(
        b256!("fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141").0,
    );
    let twin = Signature::new(signature.r(), order - signature.s(), !signature.v());
    assert_eq!(
        decode(&raw(transaction.into_signed(twin))),
        TransactionError::Signature
    );
}

#[test]
fn a_block_with_any_invalid_transaction_is_invalid_for_ever() {
    let chain = Chain::new();
    let plain = Send::data(1, Address::repeat_byte(0x77), Bytes::new());
    let bad = [
        ("nonce", chain.sign_with(&plain, 1)),
        ("gas", chain.sign_with(&plain.clone().gas(20_999), 0)),
        (
            "gas limit",
            chain.sign_with(&plain.clone().gas(GAS_LIMIT + 1), 0),
        ),
        ("coins", chain.sign_with(&plain.clone().value(U256::ONE), 0)),
    ];
    for (what, transaction) in bad {
        let input = chain.input(None);
        let result = block_on(
            chain
                .executor
                .execute(&chain.state, input.clone(), &[transaction]),
        );
        assert!(result.is_err_and(|error| error.is_permanent()), "{what}");
    }
    // The same transaction twice.
    let one = chain.sign_with(&plain, 0);
    let twice = [one.clone(), one];
    let result = block_on(
        chain
            .executor
            .execute(&chain.state, chain.input(None), &twice),
    );
    assert!(matches!(result, Err(BlockError::Invalid(_))));
}

proptest! {
    #[test]
    fn noise_is_no_transaction(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(Transaction::decode(&bytes, CHAIN_ID).is_err());
    }
}
