//! The state, its blocks, and what must be true of it afterwards.

use crate::{
    error::Error,
    rewards::{Command, holder, holding, share},
};
use alloy::{
    consensus::{SignableTransaction as _, TxEip1559, TxEnvelope},
    eips::eip2718::Encodable2718 as _,
    primitives::{Address, B256, Bytes, TxKind, U256, keccak256},
    signers::{SignerSync as _, local::PrivateKeySigner},
    sol_types::SolCall,
};
use commonware_glue::stateful::db::{DatabaseSet as _, ManagedDb, Shared, Unmerkleized as _};
use commonware_runtime::{Supervisor as _, tokio::Context};
use mileverse_consensus::{
    pages,
    state::{self, BatchReader, Databases, StateDb},
};
use mileverse_execution::{
    BlockInput, CallOutcome, CallRequest, Changes, Executor, Transaction, account, holder_keys,
};
use mileverse_primitives::{
    abi::IRewards,
    address::REWARDS,
    bridge::BridgeRules,
    fees::FeeRules,
    genesis::{Committee, EthereumSide, Genesis, Member},
    header::Turn,
    points::PointsRules,
    quarter::Quarter,
    rewards::RewardRules,
    schedule::Schedule,
    staking::{Allocation, StakingRules, coins},
};
use std::time::Instant;

const CHAIN_ID: u64 = 8217;
const GAS_LIMIT: u64 = 1_000_000_000;
/// 2026-03-01, a month before its quarter ends.
const START_MS: u64 = 1_772_323_200_000;
/// Who sends the transfers.
const SENDERS: usize = 500;
/// Changes of one batch while the state is made.
const BATCH: usize = 50_000;
/// Gas of a plain transfer.
const GAS: u64 = 21_000;
/// What was found at the end.
#[derive(Clone, Copy, Debug)]
pub struct Checked {
    /// Accounts with a number at the last close.
    pub holders: u64,
    /// Whether every sum of every quarter is right.
    pub conserved: bool,
    /// Of the last pot, to holders.
    pub paid: U256,
    /// Of the last pot, back to the pool.
    pub remainder: U256,
}

/// A chain of one validator, as far as execution and state go.
pub struct World {
    genesis: Genesis,
    genesis_hash: B256,
    executor: Executor,
    databases: Databases<Context>,
    senders: Vec<PrivateKeySigner>,
    nonces: Vec<u64>,
    transfers: u64,
    next_sender: usize,
    height: u64,
    now_ms: u64,
    holders: u64,
    quarters: u64,
}

fn fault(what: impl std::fmt::Display) -> Error {
    Error::Setup(what.to_string())
}

fn senders() -> Result<Vec<PrivateKeySigner>, Error> {
    (0..SENDERS)
        .map(|number| {
            let secret = keccak256(format!("bench rewards {number}"));
            PrivateKeySigner::from_bytes(&secret).map_err(fault)
        })
        .collect()
}

fn genesis(command: &Command, senders: &[PrivateKeySigner]) -> Genesis {
    let holders = (0..command.holders).map(|number| Allocation {
        address: holder(number),
        amount: holding(number, command.holders),
    });
    let senders = senders.iter().map(|sender| Allocation {
        address: sender.address(),
        amount: coins(1_000),
    });
    Genesis {
        chain_id: CHAIN_ID,
        timestamp_ms: START_MS,
        gas_limit: GAS_LIMIT,
        block_time_ms: 200,
        idle_block_time_ms: 1_000,
        epoch_blocks: 100_000,
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
        issuers: Vec::new(),
        points: PointsRules::default(),
        fees: FeeRules::default(),
        ethereum: EthereumSide {
            chain_id: 1,
            bridge: Address::repeat_byte(1),
            coin: Address::repeat_byte(2),
            points: Address::repeat_byte(3),
            hashed_timelock: None,
        },
        bridge: BridgeRules::default(),
        staking: StakingRules::default(),
        rewards: RewardRules {
            pool: coins(4_500_000 * command.executor.quarters),
            holders_per_block: u32::try_from(command.per_block).unwrap_or(u32::MAX),
            ..RewardRules::default()
        },
        contracts: Vec::new(),
        peers: Vec::new(),
        allocations: senders.chain(holders).collect(),
    }
}

async fn open(context: Context, command: &Command) -> Result<Databases<Context>, Error> {
    let config = state::config("bench", pages::cache(command.cache_mib));
    let db = <StateDb<Context> as ManagedDb<Context>>::init(context, config, None)
        .await
        .map_err(|_| fault("the state database does not open"))?;
    Ok(Shared::new("state", db))
}

impl World {
    /// Makes the state of block 0.
    pub async fn new(context: &Context, command: &Command) -> Result<Self, Error> {
        let senders = senders()?;
        let genesis = genesis(command, &senders);
        // More coin than there is would have no outcome.
        genesis.coins().map_err(fault)?;
        let executor = Executor::new(&genesis);
        let genesis_hash = genesis.hash().map_err(fault)?;
        let databases = open(context.child("db"), command).await?;
        let mut world = Self {
            genesis,
            genesis_hash,
            executor,
            databases,
            nonces: vec![0; senders.len()],
            senders,
            transfers: command.executor.transfers,
            next_sender: 0,
            height: 0,
            now_ms: START_MS,
            holders: command.holders,
            quarters: command.executor.quarters,
        };
        // Holder by holder, in the order of their numbers, as a chain that lives has them.
        let mut all = world.executor.genesis_changes();
        let mut part = Changes::new();
        let mut numbered = 0;
        while let Some(keys) = holder_keys(&all, numbered + 1) {
            numbered += 1;
            part.extend(keys.into_iter().filter_map(|key| all.remove_entry(&key)));
            if part.len() >= BATCH {
                world.keep(&std::mem::take(&mut part)).await?;
            }
        }
        if numbered < command.holders {
            return Err(fault(format!("genesis numbers only {numbered} holders")));
        }
        part.append(&mut all);
        world.keep(&part).await?;
        Ok(world)
    }

    async fn keep(&mut self, changes: &Changes) -> Result<(), Error> {
        let batch = self.databases.new_batches().await;
        let sealed = state::write::<Context>(batch, changes)
            .merkleize()
            .await
            .map_err(fault)?;
        self.databases.apply(sealed).await;
        self.databases.finalize().await.durable().await;
        Ok(())
    }

    /// From the next block on the quarter is over.
    pub fn end_quarter(&mut self) {
        let quarter = Quarter::containing(self.now_ms);
        self.now_ms = quarter.and_then(Quarter::ends_ms).unwrap_or(self.now_ms);
    }

    fn input(&self) -> Result<BlockInput, Error> {
        let keys = self.genesis.committee.keys();
        let schedule = Schedule::new(self.genesis_hash, 0, &keys).map_err(fault)?;
        let height = self.height + 1;
        Ok(BlockInput {
            height,
            timestamp_ms: self.now_ms,
            gas_limit: GAS_LIMIT,
            parent: keccak256(self.height.to_be_bytes()),
            beneficiary: mileverse_primitives::address::STAKING,
            checkpoint: None,
            turn: Turn {
                epoch: 0,
                view: height,
                parent_view: self.height,
                leader: schedule.leader(height),
            },
            attestations: Vec::new(),
            next_epoch: None,
            new_key: None,
        })
    }

    /// The next block's transfers: senders in turn, each to the next.
    fn transactions(&mut self) -> Result<Vec<Transaction>, Error> {
        (0..self.transfers)
            .map(|_| {
                let from = self.next_sender;
                self.next_sender = (from + 1) % self.senders.len();
                self.transfer(from, self.next_sender)
            })
            .collect()
    }

    fn transfer(&mut self, from: usize, to: usize) -> Result<Transaction, Error> {
        let (Some(sender), Some(receiver), Some(nonce)) = (
            self.senders.get(from),
            self.senders.get(to),
            self.nonces.get_mut(from),
        ) else {
            return Err(fault("there is no such sender"));
        };
        let transaction = TxEip1559 {
            chain_id: CHAIN_ID,
            nonce: *nonce,
            gas_limit: GAS,
            max_fee_per_gas: 0,
            max_priority_fee_per_gas: 0,
            to: TxKind::Call(receiver.address()),
            value: U256::ONE,
            access_list: Default::default(),
            input: Bytes::new(),
        };
        *nonce += 1;
        let signature = sender
            .sign_hash_sync(&transaction.signature_hash())
            .map_err(fault)?;
        let envelope = TxEnvelope::from(transaction.into_signed(signature));
        Transaction::decode(&envelope.encoded_2718(), CHAIN_ID).map_err(fault)
    }

    /// Executes a block, seals its state and makes it durable; answers the milliseconds it took.
    pub async fn block(&mut self) -> Result<f64, Error> {
        let transactions = self.transactions()?;
        let input = self.input()?;
        let start = Instant::now();
        let batch = self.databases.new_batches().await;
        let reader = BatchReader::<Context> {
            batch: &batch,
            overlay: None,
        };
        let (taken, output, _) = self
            .executor
            .build(&reader, input, transactions)
            .await
            .map_err(fault)?;
        self.keep(&output.changes).await?;
        let time = start.elapsed();
        let sent = taken.iter().filter(|one| !one.is_system()).count() as u64;
        if sent < self.transfers || output.receipts.iter().any(|receipt| !receipt.success) {
            return Err(fault("a transfer failed"));
        }
        self.height += 1;
        self.now_ms += self.genesis.block_time_ms;
        Ok(time.as_secs_f64() * 1_000.0)
    }

    async fn view<C: SolCall>(&self, call: &C) -> Result<C::Return, Error> {
        let batch = self.databases.new_batches().await;
        let reader = BatchReader::<Context> {
            batch: &batch,
            overlay: None,
        };
        let request = CallRequest {
            to: Some(REWARDS),
            data: call.abi_encode().into(),
            ..CallRequest::default()
        };
        let outcome = self.executor.call(&reader, self.input()?, request).await;
        match outcome.map_err(fault)? {
            CallOutcome::Success { output, .. } => C::abi_decode_returns(&output).map_err(fault),
            other => Err(fault(format!("the rewards module answers {other:?}"))),
        }
    }

    /// Where the paying stands.
    pub async fn standing(&self) -> Result<IRewards::Standing, Error> {
        self.view(&IRewards::standingCall {}).await
    }

    /// Closes the state and opens it again, as a node's start does; answers the milliseconds that takes.
    pub async fn open_again(self, context: &Context, command: &Command) -> Result<f64, Error> {
        drop(self.databases);
        let start = Instant::now();
        open(context.child("again"), command).await?;
        Ok(start.elapsed().as_secs_f64() * 1_000.0)
    }

    /// Holds the reports, the module's coin and every holder's coin against what they should be.
    /// Senders give as much as they receive, but for the turn that the last block broke off.
    pub async fn check(&self) -> Result<Checked, Error> {
        let all = self.genesis.coins().map_err(fault)?;
        let mut with_holders = all - self.genesis.rewards.pool;
        let mut conserved = true;
        let mut reports = Vec::new();
        let first = Quarter::containing(START_MS).unwrap_or_default().number();
        for quarter in (first..).take(usize::try_from(self.quarters).unwrap_or(usize::MAX)) {
            let report = self.view(&IRewards::reportCall { quarter }).await?;
            conserved &= report.paid + report.carried + report.remainder == report.pot
                && report.pot == self.genesis.rewards.pot
                && report.eligible == with_holders
                // What is carried would be paid later, which is not followed here.
                && (report.carried.is_zero() || self.quarters == 1);
            with_holders += report.paid;
            reports.push(report);
        }
        let batch = self.databases.new_batches().await;
        let reader = BatchReader::<Context> {
            batch: &batch,
            overlay: None,
        };
        let mut there = U256::ZERO;
        for number in 0..self.holders {
            let found = account(&reader, holder(number)).await.map_err(fault)?;
            let found = found.unwrap_or_default().balance;
            let mut had = holding(number, self.holders);
            for report in &reports {
                let least = self.genesis.rewards.least_payment;
                had += share(had, report.pot, report.eligible, least);
            }
            conserved &= found == had;
            there += found;
        }
        for address in self
            .senders
            .iter()
            .map(PrivateKeySigner::address)
            .chain(mileverse_primitives::address::ALL)
            .chain([Address::repeat_byte(0xa0)])
        {
            let found = account(&reader, address).await.map_err(fault)?;
            there += found.unwrap_or_default().balance;
        }
        conserved &= there == all;
        let report = reports.pop().ok_or_else(|| fault("no quarter has ended"))?;
        Ok(Checked {
            holders: report.holders,
            conserved,
            paid: report.paid,
            remainder: report.remainder,
        })
    }
}
