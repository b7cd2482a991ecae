//! Calls that build on each other, and of which nothing is kept: `eth_simulateV1`.

use super::{
    contracts::{COUNTER, SUICIDE, catcher, code, deploy, deployment, forward, forwarder},
    support::{Chain, MemoryState, Send},
};
use alloy::{
    primitives::{Address, B256, Bytes, TxKind, U256, address},
    rpc::types::{
        BlockOverrides,
        state::{AccountOverride, StateOverride},
    },
};
use futures::executor::block_on;
use mileverse_execution::{
    CallRequest, Cause, Overridden, Simulated, SimulatedCall, SimulationRules, Unfit,
};
use mileverse_primitives::address::POINTS;
use proptest::prelude::*;

const TRANSFERS: Address = address!("eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee");
const GAS: u64 = 50_000_000;

/// Spoils a call, given its sender's nonce and the base fee.
type Change = fn(&mut SimulatedCall, u64, u64);

/// A simulation on top of a chain.
struct Simulation<'c> {
    chain: &'c Chain,
    state: Overridden<MemoryState>,
    rules: SimulationRules,
    height: u64,
    gas: u64,
}

impl<'c> Simulation<'c> {
    /// Over a store that is often waited for.
    fn new(chain: &'c Chain, rules: SimulationRules) -> Self {
        let state = Overridden::new(chain.state.with_pending(1), StateOverride::default());
        Self {
            chain,
            state: block_on(state).unwrap(),
            rules,
            height: chain.input(None).height,
            gas: GAS,
        }
    }

    fn try_block(&mut self, calls: &[SimulatedCall]) -> Result<Vec<Simulated>, Unfit> {
        let mut input = self.chain.input(None);
        input.height = self.height;
        self.height += 1;
        let done = self.chain.executor.simulate(
            &mut self.state,
            &input,
            &self.rules,
            calls,
            &mut self.gas,
        );
        block_on(done).unwrap()
    }

    fn block(&mut self, calls: &[SimulatedCall]) -> Vec<Simulated> {
        self.try_block(calls).unwrap()
    }

    fn assume(&mut self, address: Address, account: AccountOverride) {
        let overrides = StateOverride::from_iter([(address, account)]);
        block_on(self.state.assume(overrides)).unwrap();
    }
}

fn call(from: Address, to: Address, value: u64, data: impl Into<Bytes>) -> SimulatedCall {
    SimulatedCall {
        request: CallRequest {
            from,
            to: Some(to),
            value: U256::from(value),
            data: data.into(),
            ..CallRequest::default()
        },
        nonce: None,
    }
}

fn output(simulated: &Simulated) -> U256 {
    match &simulated.outcome {
        mileverse_execution::CallOutcome::Success { output, .. } => U256::from_be_slice(output),
        other => panic!("{other:?}"),
    }
}

#[test]
fn each_call_and_each_block_builds_on_the_one_before() {
    let mut chain = Chain::new();
    let counter = deploy(&mut chain, &code(COUNTER));
    let me = chain.user(1);
    let nonce = chain.account(me).nonce;
    let mut simulation = Simulation::new(&chain, SimulationRules::default());
    let first = simulation.block(&[call(me, counter, 0, []), call(me, counter, 0, [])]);
    assert_eq!(
        first.iter().map(output).collect::<Vec<_>>(),
        [1, 2].map(U256::from)
    );
    assert_eq!(
        first.iter().map(|one| one.nonce).collect::<Vec<_>>(),
        [nonce, nonce + 1]
    );
    let second = simulation.block(&[call(me, counter, 0, [])]);
    assert_eq!(
        (output(&second[0]), second[0].nonce),
        (U256::from(3), nonce + 2)
    );

    // What is assumed between two blocks stands over what the first of them did: one slot, then all.
    let slot = |word: u8| [(B256::ZERO, B256::with_last_byte(word))];
    simulation.assume(
        counter,
        AccountOverride::default().with_state_diff(slot(40)),
    );
    assert_eq!(
        output(&simulation.block(&[call(me, counter, 0, [])])[0]),
        U256::from(41)
    );
    let other = [(B256::with_last_byte(1), B256::with_last_byte(1))];
    simulation.assume(counter, AccountOverride::default().with_state(other));
    assert_eq!(
        output(&simulation.block(&[call(me, counter, 0, [])])[0]),
        U256::ONE
    );

    let used: u64 = first.iter().chain(&second).map(|one| one.gas_used).sum();
    assert!(
        simulation.gas < GAS - used,
        "what is used is taken from what there is"
    );
    assert_eq!(
        chain.slot(counter, U256::ZERO),
        U256::ZERO,
        "nothing is kept"
    );
    assert_eq!(chain.account(me).nonce, nonce);
}

#[test]
fn transfers_of_coin_are_told_where_they_happened() {
    let mut chain = Chain::new();
    let counter = deploy(&mut chain, &code(COUNTER));
    let passer = deploy(&mut chain, &forwarder());
    let catcher = deploy(&mut chain, &catcher());
    let me = chain.user(1);
    chain.fund(me, U256::from(1_000));
    let last = deploy(&mut chain, &code(SUICIDE));
    chain.fund(last, U256::from(7));
    let rules = SimulationRules {
        transfers: true,
        ..SimulationRules::default()
    };
    let mut simulation = Simulation::new(&chain, rules);
    let told = simulation.block(&[
        call(me, passer, 5, forward(counter, &[])),
        // The counter reverts with calldata, after the coin was passed on.
        call(me, catcher, 6, forward(counter, &[1])),
        call(me, counter, 9, [1]),
        call(me, last, 0, B256::left_padding_from(me.as_slice()).to_vec()),
        SimulatedCall {
            request: CallRequest {
                from: me,
                value: U256::from(3),
                data: deployment(&[0]),
                ..CallRequest::default()
            },
            nonce: None,
        },
    ]);
    let pairs = |one: &Simulated| -> Vec<_> {
        let logs = one.logs.iter();
        logs.map(|one| {
            assert_eq!(one.is_transfer, one.log.address == TRANSFERS);
            let topics = one.log.topics();
            let party = |at: usize| topics.get(at).map(|word| Address::from_word(*word));
            let value = U256::from_be_slice(&one.log.data.data);
            (one.log.address, party(1), party(2), value)
        })
        .collect()
    };
    let coin = |from: Address, to: Address, value: u64| {
        (TRANSFERS, Some(from), Some(to), U256::from(value))
    };
    // The counter's own event comes after the coin that came with the call.
    let passed = pairs(&told[0]);
    assert_eq!(passed[..2], [coin(me, passer, 5), coin(passer, counter, 5)]);
    assert_eq!((passed.len(), passed[2].0), (3, counter));
    assert_eq!(pairs(&told[1]), [coin(me, catcher, 6)]);
    assert!(!told[2].outcome.is_success() && told[2].logs.is_empty());
    assert_eq!(pairs(&told[3]), [coin(last, me, 7)]);
    let created = me.create(told[4].nonce);
    assert_eq!(pairs(&told[4]), [coin(me, created, 3)]);
}

#[test]
fn what_cannot_stand_in_a_block_is_told_by_its_kind() {
    let base = 1_000;
    let users = Chain::some_users(5);
    let mut genesis = super::support::genesis(users[0].address());
    genesis.fees.base_price = base;
    let mut chain = Chain::with(genesis, users);
    let (me, nobody) = (chain.user(1), Address::repeat_byte(0x99));
    chain.fund(me, U256::from(10u64.pow(18)));
    chain.send(Send::data(1, nobody, vec![]).gas_price(base.into()));
    let nonce = chain.account(me).nonce;
    let strict = SimulationRules {
        validation: true,
        ..SimulationRules::default()
    };
    let cause = |rules: &SimulationRules, calls: &[SimulatedCall]| {
        let mut simulation = Simulation::new(&chain, rules.clone());
        simulation.try_block(calls).err().map(|unfit| unfit.cause)
    };
    let plain = call(me, nobody, 0, []);
    let with = |change: Change| {
        let mut one = plain.clone();
        one.request.gas_price = base.into();
        one.request.gas = Some(100_000);
        change(&mut one, nonce, base);
        vec![one]
    };
    assert_eq!(cause(&strict, &with(|_, _, _| ())), None);
    let cases: [(&str, Cause, Change); 6] = [
        ("used", Cause::NonceTooLow, |one, nonce, _| {
            one.nonce = nonce.checked_sub(1)
        }),
        ("ahead", Cause::NonceTooHigh, |one, nonce, _| {
            one.nonce = Some(nonce + 1)
        }),
        ("cheap", Cause::FeeTooLow, |one, _, base| {
            one.request.gas_price = u128::from(base) - 1
        }),
        ("short", Cause::IntrinsicGas, |one, _, _| {
            one.request.gas = Some(20_000)
        }),
        ("poor", Cause::Funds, |one, _, _| {
            one.request.value = U256::MAX >> 8
        }),
        ("large", Cause::BlockGas, |one, _, _| {
            one.request.gas = Some(u64::MAX)
        }),
    ];
    for (name, expected, change) in cases {
        assert_eq!(cause(&strict, &with(change)), Some(expected), "{name}");
    }
    // Nonces and prices are nobody's business without validation; coin is.
    let loose = SimulationRules::default();
    for (name, expected, change) in cases {
        let is_free = matches!(
            expected,
            Cause::NonceTooLow | Cause::NonceTooHigh | Cause::FeeTooLow
        );
        let expected = Some(expected).filter(|_| !is_free);
        assert_eq!(cause(&loose, &with(change)), expected, "{name}");
    }
    // A contract may be the sender, and BASEFEE is what the rules say.
    let contract = Address::repeat_byte(0x55);
    let rich = AccountOverride::default()
        .with_code(code(COUNTER))
        .with_balance(U256::from(5));
    let mut simulation = Simulation::new(&chain, loose.clone());
    simulation.assume(contract, rich);
    assert!(
        simulation.block(&[call(contract, nobody, 5, [])])[0]
            .outcome
            .is_success()
    );
    let tell = AccountOverride::default().with_code(Bytes::from_static(&[
        0x48, 0x60, 0, 0x52, 0x60, 0x20, 0x60, 0, 0xf3,
    ]));
    let assumed = SimulationRules {
        block: BlockOverrides::default().with_base_fee(U256::from(77)),
        ..loose.clone()
    };
    for (rules, fee) in [(&loose, 0), (&strict, base), (&assumed, 77)] {
        let mut simulation = Simulation::new(&chain, rules.clone());
        simulation.assume(nobody, tell.clone());
        let mut call = call(me, nobody, 0, []);
        call.request.gas = Some(100_000);
        call.request.gas_price = base.into();
        assert_eq!(output(&simulation.block(&[call])[0]), U256::from(fee));
    }
    // The gas of all calls together has an end.
    let mut simulation = Simulation::new(&chain, loose);
    simulation.gas = 50_000;
    let unfit = simulation.try_block(&[plain.clone(), plain.clone(), plain]);
    assert_eq!(unfit.err().map(|unfit| unfit.cause), Some(Cause::Limit));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// A validated simulation says what the chain then does: the same outcomes, gas and events.
    #[test]
    fn a_simulation_is_what_comes_true(kinds in prop::collection::vec((0u8..6, 1usize..3, any::<u8>()), 1..12)) {
        let mut chain = Chain::new();
        let counter = deploy(&mut chain, &code(COUNTER));
        let passer = deploy(&mut chain, &forwarder());
        let catcher = deploy(&mut chain, &catcher());
        for user in [1, 2] {
            let user = chain.user(user);
            chain.fund(user, U256::from(400));
        }
        let points = [0x70, 0xa0, 0x82, 0x31].into_iter().chain([0; 32]).collect::<Vec<u8>>();
        let sends: Vec<Send> = kinds.iter().map(|(kind, user, byte)| {
            let sent = match kind {
                0 => Send::data(*user, counter, vec![]),
                1 => Send::data(*user, counter, vec![*byte]),
                2 => Send::data(*user, passer, forward(counter, &[])).value(U256::from(*byte)),
                3 => Send::data(*user, catcher, forward(counter, &[*byte])).value(U256::from(*byte)),
                4 => Send::create(*user, deployment(&[*byte])),
                _ => Send::data(*user, POINTS, points.clone()),
            };
            sent.gas(400_000)
        }).collect();
        let calls: Vec<SimulatedCall> = sends.iter().map(|send| SimulatedCall {
            request: CallRequest {
                from: chain.user(send.user),
                to: match send.to { TxKind::Call(to) => Some(to), TxKind::Create => None },
                value: send.value,
                data: send.data.clone(),
                gas: Some(send.gas),
                ..CallRequest::default()
            },
            nonce: None,
        }).collect();
        let rules = SimulationRules { validation: true, ..SimulationRules::default() };
        let simulated = Simulation::new(&chain, rules).try_block(&calls);
        // A call that its sender has too little coin for stands in no block.
        let Ok(simulated) = simulated else {
            prop_assert_eq!(simulated.err().map(|unfit| unfit.cause), Some(Cause::Funds));
            return Ok(());
        };
        let output = chain.block(&sends);
        let sent = super::support::outcomes(&output);
        prop_assert_eq!(sent.len(), simulated.len());
        for (real, said) in sent.iter().zip(&simulated) {
            prop_assert_eq!(real.success, said.outcome.is_success());
            prop_assert_eq!((real.nonce, real.gas_used), (said.nonce, said.gas_used));
            let logs: Vec<_> = said.logs.iter().map(|log| log.log.clone()).collect();
            prop_assert_eq!(&real.logs, &logs);
        }
    }
}
