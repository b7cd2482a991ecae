//! Calls straight to the points module come to the same as through the EVM's interpreter: receipts,
//! gas, changes and refusals, whatever the call, its gas and its sender.

use super::support::{Chain, GAS_LIMIT, ISSUER, Send};
use alloy::{
    consensus::{SignableTransaction, TxEip2930, TxEnvelope, TxLegacy},
    eips::eip2718::Encodable2718,
    primitives::{Address, B256, Bytes, TxKind, U256},
    signers::SignerSync,
    sol_types::SolCall,
};
use futures::executor::block_on;
use mileverse_execution::Transaction;
use mileverse_primitives::{
    abi::IPoints::{self, Issue, Move},
    address::{BRIDGE, POINTS},
    points::Lane,
};
use proptest::prelude::*;

#[derive(Clone, Debug)]
struct Step {
    user: usize,
    to: usize,
    amount: u64,
    what: u8,
    id: u8,
    gas: u64,
    price: u128,
    nonce: u64,
    form: u8,
}

fn steps() -> impl Strategy<Value = Step> {
    let gas = prop_oneof![
        4 => Just(400_000u64),
        3 => 20_000u64..90_000,
        1 => 400_000u64..GAS_LIMIT,
    ];
    (
        (0usize..5, 0usize..7, 0u64..700),
        (0u8..18, 0u8..6, gas),
        (
            prop_oneof![9 => Just(0u128), 1 => Just(1u128)],
            prop_oneof![12 => Just(0u64), 1 => Just(1u64)],
            0u8..6,
        ),
    )
        .prop_map(
            |((user, to, amount), (what, id, gas), (price, nonce, form))| Step {
                user,
                to,
                amount,
                what,
                id,
                gas,
                price,
                nonce,
                form,
            },
        )
}

fn data(chain: &Chain, step: &Step) -> Vec<u8> {
    let to = match step.to {
        5 => Address::ZERO,
        6 => BRIDGE,
        user => chain.user(user),
    };
    let amount = U256::from(step.amount);
    let id = B256::repeat_byte(step.id);
    let from = chain.user((step.user + 1) % 5);
    match step.what {
        0..=3 => IPoints::transferCall { to, amount }.abi_encode(),
        4 => IPoints::transferWithMemoCall {
            to,
            amount,
            memo: id,
        }
        .abi_encode(),
        5 => IPoints::approveCall {
            spender: to,
            amount,
        }
        .abi_encode(),
        6 => IPoints::transferFromCall { from, to, amount }.abi_encode(),
        7 => IPoints::issueCall {
            to,
            amount,
            conversionId: id,
        }
        .abi_encode(),
        8 => IPoints::burnCall { amount }.abi_encode(),
        9 => IPoints::transferBatchCall {
            moves: vec![
                Move {
                    to,
                    amount,
                    memo: id
                };
                usize::from(step.id)
            ],
        }
        .abi_encode(),
        10 => IPoints::issueBatchCall {
            issues: (0..=step.id)
                .map(|id| Issue {
                    to,
                    amount,
                    conversionId: B256::repeat_byte(id),
                })
                .collect(),
        }
        .abi_encode(),
        11 => IPoints::stopIssuingCall {}.abi_encode(),
        12 => IPoints::resumeIssuingCall {}.abi_encode(),
        13 => IPoints::cancelAuthorization_0Call {
            authorizer: to,
            nonce: id,
            v: 27,
            r: id,
            s: id,
        }
        .abi_encode(),
        14 => IPoints::balanceOfCall { account: to }.abi_encode(),
        15 => vec![step.id; usize::from(step.id) * 7],
        16 => Vec::new(),
        _ => IPoints::nameCall {}.abi_encode(),
    }
}

/// The step as a transaction of one of four kinds.
fn transaction(chain: &Chain, step: &Step, nonce: u64) -> Transaction {
    let data: Bytes = data(chain, step).into();
    let send = Send::data(step.user, POINTS, data.clone())
        .gas(step.gas)
        .gas_price(step.price);
    let key = &chain.users[step.user];
    let chain_id = super::support::CHAIN_ID;
    let envelope: TxEnvelope = match step.form {
        0 => {
            let one = TxLegacy {
                chain_id: Some(chain_id),
                nonce,
                gas_price: step.price,
                gas_limit: step.gas,
                to: TxKind::Call(POINTS),
                value: U256::ZERO,
                input: data,
            };
            let signature = key.sign_hash_sync(&one.signature_hash()).unwrap();
            one.into_signed(signature).into()
        }
        1 => {
            let one = TxEip2930 {
                chain_id,
                nonce,
                gas_price: step.price,
                gas_limit: step.gas,
                to: TxKind::Call(POINTS),
                value: U256::ZERO,
                access_list: Default::default(),
                input: data,
            };
            let signature = key.sign_hash_sync(&one.signature_hash()).unwrap();
            one.into_signed(signature).into()
        }
        2 => return chain.sign_with(&send.value(U256::ONE), nonce),
        _ => return chain.sign_with(&send, nonce),
    };
    Transaction::decode(&envelope.encoded_2718(), chain_id).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn both_ways_come_to_the_same(
        blocks in proptest::collection::vec(proptest::collection::vec(steps(), 1..12), 1..5),
        lane in any::<bool>(),
        pending in 0u32..2,
    ) {
        let mut chain = Chain::with_points(|rules| {
            if lane {
                rules.lane = Lane { share_bp: 8_000, price: 1, least: 2 };
            }
            rules.fee.basis_points = 100;
            rules.fee.cap = U256::from(5);
        });
        chain.thorough = false;
        for user in 1..4 {
            chain.issue(user, 1_000_000);
        }
        for user in 0..3 {
            chain.fund(chain.user(user), U256::from(50_000_000));
        }
        chain.state.pending = pending;
        let slow = chain.executor.interpreted();
        for block in blocks {
            let mut nonces = chain.nonces.clone();
            let candidates: Vec<_> = block
                .iter()
                .map(|step| {
                    let nonce = nonces[step.user] + step.nonce;
                    nonces[step.user] += 1;
                    transaction(&chain, step, nonce)
                })
                .collect();
            let input = chain.input(None);
            let built = |executor: &mileverse_execution::Executor| {
                block_on(executor.build(&chain.state, input.clone(), candidates.clone())).unwrap()
            };
            let (fast, slow) = (built(&chain.executor), built(&slow));
            prop_assert_eq!(&fast, &slow);
            let (taken, output, _) = fast;
            for one in taken {
                let user = chain.users.iter().position(|key| key.address() == one.sender());
                chain.nonces[user.unwrap()] = one.nonce() + 1;
            }
            chain.state.apply(&output.changes);
            chain.height += 1;
            chain.now += 1;
            chain.view = input.turn.view;
        }
    }
}

#[test]
fn every_amount_of_gas_comes_to_the_same() {
    let mut chain = Chain::charging();
    chain.issue(1, 1_000_000);
    let slow = chain.executor.interpreted();
    let call = IPoints::transferWithMemoCall {
        to: chain.user(2),
        amount: U256::from(500),
        memo: B256::repeat_byte(1),
    };
    let input = chain.input(None);
    let nonce = chain.nonces[1];
    for gas in (21_000..90_000).step_by(211) {
        let send = Send::call(1, POINTS, &call).gas(gas);
        let transaction = chain.sign_with(&send, nonce);
        let run = |executor: &mileverse_execution::Executor| {
            let one = std::slice::from_ref(&transaction);
            block_on(executor.execute(&chain.state, input.clone(), one))
        };
        assert_eq!(run(&chain.executor), run(&slow), "gas {gas}");
    }
    assert_eq!(chain.user(ISSUER), chain.genesis.issuers[0].address);
}
