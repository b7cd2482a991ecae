//! What one transaction costs in each stage of execution, in microseconds of one core.
//!
//! ```txt
//! cargo bench -p mileverse-execution --bench stages [-- TRANSACTIONS [ROUNDS]]
//! ```
//!
//! Blocks of 10,000 transactions by as many senders, over a state in memory that answers at once;
//! the best of five rounds. `recover` is decoding and finding the sender, which a node does once
//! per transaction and in parallel; the others are the whole of `Executor::execute`: running,
//! fees, receipts, roots and the list of changes.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use alloy::{
    consensus::{SignableTransaction, TxEip1559, TxEnvelope},
    eips::eip2718::Encodable2718,
    primitives::{Address, B256, Bytes, TxKind, U256, keccak256, map::HashMap},
    signers::{SignerSync, local::PrivateKeySigner},
    sol,
    sol_types::{SolCall, SolValue},
};
use futures::executor::block_on;
use mileverse_execution::{
    BlockInput, BlockOutput, Executor, Key, ReadError, StateReader, Transaction, Value,
};
use mileverse_primitives::{
    abi::{ICoin, IPoints},
    address::POINTS,
    bridge::BridgeRules,
    fees::FeeRules,
    genesis::{Committee, EthereumSide, Genesis, Issuer, Member},
    header::Turn,
    points::{MICRO, PointsRules},
    rewards::RewardRules,
    schedule::Schedule,
    staking::{Allocation, StakingRules, coins},
};
use std::{
    hint::black_box,
    io::{self, Write as _},
    sync::OnceLock,
    time::{Duration, Instant},
};

const CHAIN_ID: u64 = 8217;
const GAS_LIMIT: u64 = 1_000_000_000;
const NOW_MS: u64 = 1_767_225_600_000;
/// Entries of a batch.
const BATCH: usize = 1_000;
/// Creates the ERC-20 that Ethereum has, compiled.
const ERC20: &str = include_str!("../../../contracts/bindings/artifacts/MileVerseCoin.json");

sol! {
    struct Share { address account; uint256 amount; }
}

/// State in memory that answers at once.
#[derive(Debug, Default)]
struct Memory(HashMap<Key, Value>);

impl StateReader for Memory {
    async fn get(&self, key: Key) -> Result<Option<Value>, ReadError> {
        Ok(self.0.get(&key).cloned())
    }
}

struct World {
    genesis: Genesis,
    executor: Executor,
    state: Memory,
    height: u64,
    issuer: PrivateKeySigner,
    users: Vec<PrivateKeySigner>,
    issuer_nonce: u64,
}

impl World {
    fn new(users: usize) -> Self {
        let key = |number: usize| {
            PrivateKeySigner::from_bytes(&keccak256(U256::from(number).to_be_bytes::<32>()))
                .unwrap()
        };
        let issuer = key(0);
        let users: Vec<_> = (1..=users).map(key).collect();
        let allocations = users.iter().map(|user| Allocation {
            address: user.address(),
            amount: coins(1),
        });
        let genesis = Genesis {
            chain_id: CHAIN_ID,
            timestamp_ms: NOW_MS,
            gas_limit: GAS_LIMIT,
            block_time_ms: 200,
            idle_block_time_ms: 1_000,
            epoch_blocks: 1_000,
            committee: Committee {
                members: vec![Member {
                    consensus_key: B256::repeat_byte(1),
                    owner: Address::repeat_byte(0xa0),
                    address: ([127, 0, 0, 1], 9_000).into(),
                    stake: coins(10_000),
                    commission_bp: 0,
                }],
                output: Bytes::from_static(&[1]),
            },
            points: PointsRules::paid_to(Address::repeat_byte(0x77)),
            fees: FeeRules::default(),
            bridge: BridgeRules::default(),
            issuers: vec![Issuer {
                address: issuer.address(),
                daily_quota: U256::MAX,
            }],
            ethereum: EthereumSide {
                chain_id: 1,
                bridge: Address::repeat_byte(1),
                coin: Address::repeat_byte(2),
                points: Address::repeat_byte(3),
                hashed_timelock: None,
            },
            staking: StakingRules::default(),
            contracts: Vec::new(),
            peers: Vec::new(),
            rewards: RewardRules::default(),
            allocations: allocations.collect(),
        };
        let executor = Executor::new(&genesis);
        let mut state = Memory::default();
        for (key, value) in executor.genesis_changes() {
            state.0.insert(key, value.unwrap());
        }
        Self {
            genesis,
            executor,
            state,
            height: 0,
            issuer,
            users,
            issuer_nonce: 0,
        }
    }

    fn input(&self) -> BlockInput {
        let hash = self.genesis.hash().unwrap();
        let schedule = Schedule::new(hash, 0, &self.genesis.committee.keys()).unwrap();
        let view = self.height + 1;
        BlockInput {
            height: self.height + 1,
            timestamp_ms: NOW_MS + self.height * 200,
            gas_limit: GAS_LIMIT,
            parent: B256::repeat_byte(9),
            beneficiary: Address::repeat_byte(0xfe),
            checkpoint: None,
            turn: Turn {
                epoch: 0,
                view,
                parent_view: view - 1,
                leader: schedule.leader(view),
            },
            attestations: Vec::new(),
            next_epoch: None,
            new_key: None,
        }
    }

    fn execute(&self, transactions: &[Transaction]) -> BlockOutput {
        block_on(
            self.executor
                .execute(&self.state, self.input(), transactions),
        )
        .unwrap()
    }

    /// Executes and keeps a block whose transactions must all succeed.
    fn keep(&mut self, transactions: &[Transaction]) -> BlockOutput {
        let output = self.execute(transactions);
        assert!(output.receipts.iter().all(|receipt| receipt.success));
        for (key, value) in &output.changes {
            match value {
                Some(value) => self.state.0.insert(*key, value.clone()),
                None => self.state.0.remove(key),
            };
        }
        self.height += 1;
        output
    }

    fn by_issuer(&mut self, to: TxKind, data: Vec<u8>, gas: u64) -> Transaction {
        let raw = sign(&self.issuer, self.issuer_nonce, to, U256::ZERO, data, gas);
        self.issuer_nonce += 1;
        Transaction::decode(&raw, CHAIN_ID).unwrap()
    }

    /// Gives every user, and the issuer, points.
    fn issue(&mut self) {
        let mut holders: Vec<_> = self.users.iter().map(PrivateKeySigner::address).collect();
        holders.push(self.issuer.address());
        for (number, part) in holders.chunks(BATCH).enumerate() {
            let issues = part
                .iter()
                .enumerate()
                .map(|(index, holder)| IPoints::Issue {
                    to: *holder,
                    amount: U256::from(1_000_000 * MICRO),
                    conversionId: keccak256((number * BATCH + index).to_be_bytes()),
                });
            let call = IPoints::issueBatchCall {
                issues: issues.collect(),
            };
            let transaction =
                self.by_issuer(TxKind::Call(POINTS), call.abi_encode(), GAS_LIMIT / 2);
            self.keep(&[transaction]);
        }
    }

    /// Deploys an ERC-20 and gives every user some.
    fn erc20(&mut self) -> Address {
        let artifact: serde_json::Value = serde_json::from_str(ERC20).unwrap();
        let code = artifact["bytecode"]
            .as_str()
            .or(artifact["bytecode"]["object"].as_str());
        let mut code = alloy::primitives::hex::decode(code.unwrap()).unwrap();
        let shares = vec![Share {
            account: self.issuer.address(),
            amount: coins(3_000_000_000),
        }];
        code.extend((shares,).abi_encode_params());
        let transaction = self.by_issuer(TxKind::Create, code, 30_000_000);
        let token = self.keep(&[transaction]).receipts[0]
            .contract_address
            .unwrap();
        let users: Vec<_> = self.users.iter().map(PrivateKeySigner::address).collect();
        for part in users.chunks(BATCH) {
            let gifts: Vec<_> = part
                .iter()
                .map(|user| {
                    let data = coin_transfer(*user);
                    self.by_issuer(TxKind::Call(token), data, 100_000)
                })
                .collect();
            self.keep(&gifts);
        }
        token
    }

    /// One transaction by each user.
    fn each(&self, make: impl Fn(usize) -> (TxKind, U256, Vec<u8>)) -> Vec<Vec<u8>> {
        let users = self.users.iter().enumerate();
        users
            .map(|(index, user)| {
                let (to, value, data) = make(index);
                sign(user, 0, to, value, data, 100_000)
            })
            .collect()
    }
}

fn coin_transfer(to: Address) -> Vec<u8> {
    ICoin::transferCall {
        to,
        amount: U256::from(1_000_000),
    }
    .abi_encode()
}

fn sign(
    signer: &PrivateKeySigner,
    nonce: u64,
    to: TxKind,
    value: U256,
    data: Vec<u8>,
    gas_limit: u64,
) -> Vec<u8> {
    let transaction = TxEip1559 {
        chain_id: CHAIN_ID,
        nonce,
        gas_limit,
        max_fee_per_gas: 0,
        max_priority_fee_per_gas: 0,
        to,
        value,
        access_list: Default::default(),
        input: data.into(),
    };
    let signature = signer
        .sign_hash_sync(&transaction.signature_hash())
        .unwrap();
    TxEnvelope::from(transaction.into_signed(signature)).encoded_2718()
}

fn decode(raw: &[Vec<u8>]) -> Vec<Transaction> {
    raw.iter()
        .map(|raw| Transaction::decode(raw, CHAIN_ID).unwrap())
        .collect()
}

/// Time that this thread had a core, where the system tells (Linux); else the time that passed.
fn spent() -> Duration {
    static BEGIN: OnceLock<Instant> = OnceLock::new();
    let begin = BEGIN.get_or_init(Instant::now);
    std::fs::read_to_string("/proc/thread-self/schedstat")
        .ok()
        .and_then(|text| text.split_whitespace().next()?.parse().ok())
        .map_or_else(|| begin.elapsed(), Duration::from_nanos)
}

/// The best of some rounds.
fn best<T>(rounds: usize, mut work: impl FnMut() -> T) -> Duration {
    (0..rounds)
        .map(|_| {
            let start = spent();
            black_box(work());
            spent().saturating_sub(start)
        })
        .min()
        .unwrap_or_default()
}

fn tell(stage: &str, operations: usize, time: Duration, gas: u64) {
    let each = time.as_secs_f64() * 1e6 / operations as f64;
    let gas = gas / operations as u64;
    let mut out = io::stdout().lock();
    writeln!(out, "{stage:<28} {each:>8.2} us each   {gas:>7} gas each").unwrap();
}

fn main() {
    let numbers: Vec<usize> = std::env::args()
        .filter_map(|text| text.parse().ok())
        .collect();
    let users = numbers.first().copied().unwrap_or(10_000).max(1);
    let rounds = numbers.get(1).copied().unwrap_or(5).max(1);
    let mut world = World::new(users);
    world.issue();
    let receiver = |index: usize| Address::from_word(keccak256((index + users).to_be_bytes()));

    let points = world.each(|index| {
        let call = IPoints::transferCall {
            to: receiver(index),
            amount: U256::from(5 * MICRO),
        };
        (TxKind::Call(POINTS), U256::ZERO, call.abi_encode())
    });
    tell("recover", users, best(rounds, || decode(&points)), 0);
    let coin = world.each(|index| (TxKind::Call(receiver(index)), U256::ONE, Vec::new()));
    for (stage, raw) in [("points transfer", points), ("coin transfer", coin)] {
        let transactions = decode(&raw);
        if stage == "points transfer" {
            let fast = world.executor.clone();
            world.executor = fast.interpreted();
            let time = best(rounds, || world.execute(&transactions));
            tell("points transfer, interpreted", users, time, 0);
            world.executor = fast;
        }
        let output = world.execute(&transactions);
        assert!(output.receipts.iter().all(|receipt| receipt.success));
        let time = best(rounds, || world.execute(&transactions));
        tell(stage, users, time, output.gas_used);
    }

    let entries = users.div_ceil(BATCH) * BATCH;
    let batches: Vec<_> = (0..users.div_ceil(BATCH))
        .map(|number| {
            let moves = (0..BATCH).map(|index| IPoints::Move {
                to: receiver(number * BATCH + index),
                amount: U256::from(5 * MICRO),
                memo: B256::repeat_byte(7),
            });
            let call = IPoints::transferBatchCall {
                moves: moves.collect(),
            };
            world.by_issuer(TxKind::Call(POINTS), call.abi_encode(), 60_000_000)
        })
        .collect();
    let output = world.execute(&batches);
    let time = best(rounds, || world.execute(&batches));
    tell("points transfer in a batch", entries, time, output.gas_used);
    world.issuer_nonce -= batches.len() as u64;

    let token = world.erc20();
    let erc20 = world.each(|index| {
        let data = coin_transfer(receiver(index));
        (TxKind::Call(token), U256::ZERO, data)
    });
    let transactions = decode(&erc20);
    let output = world.execute(&transactions);
    assert!(output.receipts.iter().all(|receipt| receipt.success));
    let time = best(rounds, || world.execute(&transactions));
    tell("ERC-20 transfer by bytecode", users, time, output.gas_used);
}
