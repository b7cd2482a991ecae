//! A chain in memory: executes blocks, checks that building and executing agree, commits.

use alloy::{
    consensus::{
        Receipt, ReceiptEnvelope, SignableTransaction, TxEip1559, TxEnvelope,
        proofs::calculate_receipt_root,
    },
    eips::eip2718::Encodable2718,
    primitives::{Address, B256, Bytes, Log, TxKind, U256, keccak256, logs_bloom},
    signers::{SignerSync, local::PrivateKeySigner},
    sol_types::{Revert, SolCall, SolError},
};
use commonware_cryptography::{Signer as _, ed25519};
use futures::executor::block_on;
use mileverse_execution::{
    Account, BlockInput, BlockOutput, CallOutcome, CallRequest, Changes, Executor, Key, NewKey,
    NextEpoch, ReadError, StateReader, Transaction, TransactionOutcome, Value, state,
};
use mileverse_primitives::{
    abi::IPoints,
    address::{BRIDGE, POINTS, ROTATION, SYSTEM},
    bridge::BridgeRules,
    checkpoint::Checkpoint,
    fees::FeeRules,
    genesis::{Committee, EthereumSide, Genesis, Issuer, Member},
    header::Turn,
    points::{Lane, PointsRules},
    rewards::RewardRules,
    schedule::Schedule,
    staking::StakingRules,
};
use std::{
    collections::BTreeMap,
    future::poll_fn,
    sync::atomic::{AtomicU64, Ordering},
    task::Poll,
};

pub const CHAIN_ID: u64 = 8217;
pub const ETHEREUM_ID: u64 = 31337;
pub const ETHEREUM_BRIDGE: Address = Address::repeat_byte(0xb1);
pub const ETHEREUM_COIN: Address = Address::repeat_byte(0xc1);
pub const ETHEREUM_POINTS: Address = Address::repeat_byte(0xd1);
pub const BENEFICIARY: Address = Address::repeat_byte(0xfe);
pub const GAS_LIMIT: u64 = 30_000_000;
/// 2026-01-01 00:00:00 UTC.
pub const START_SECONDS: u64 = 1_767_225_600;
pub const DAILY_QUOTA: u64 = 1_000_000_000;

/// The account that may issue points; the others may not.
pub const ISSUER: usize = 0;
/// Who may stop issuing on a chain with fees.
pub const GUARDIAN: usize = 4;
/// Who receives the fees there.
pub const TREASURY: Address = Address::repeat_byte(0x77);

/// State in memory whose reads stay pending a few times before they answer.
#[derive(Debug, Default)]
pub struct MemoryState {
    pub values: BTreeMap<Key, Value>,
    pub pending: u32,
    pub reads: AtomicU64,
}

impl StateReader for MemoryState {
    async fn get(&self, key: Key) -> Result<Option<Value>, ReadError> {
        self.reads.fetch_add(1, Ordering::Relaxed);
        let mut left = self.pending;
        poll_fn(|context| {
            if left == 0 {
                return Poll::Ready(());
            }
            left -= 1;
            context.waker().wake_by_ref();
            Poll::Pending
        })
        .await;
        Ok(self.values.get(&key).cloned())
    }
}

impl MemoryState {
    pub fn apply(&mut self, changes: &Changes) {
        for (key, value) in changes {
            match value {
                Some(value) => {
                    assert!(value.len() <= state::MAX_VALUE_LENGTH);
                    self.values.insert(*key, value.clone());
                }
                None => assert!(
                    self.values.remove(key).is_some(),
                    "deleted something that was not there"
                ),
            }
        }
    }

    pub fn with_pending(&self, pending: u32) -> Self {
        Self {
            values: self.values.clone(),
            pending,
            reads: AtomicU64::new(0),
        }
    }
}

/// As alloy computes it.
fn receipts_root(outcomes: &[TransactionOutcome]) -> B256 {
    let envelopes: Vec<ReceiptEnvelope> = outcomes
        .iter()
        .map(|outcome| {
            let receipt = Receipt {
                status: outcome.success.into(),
                cumulative_gas_used: outcome.cumulative_gas_used,
                logs: outcome.logs.clone(),
            }
            .with_bloom();
            match outcome.tx_type {
                1 => ReceiptEnvelope::Eip2930(receipt),
                2 => ReceiptEnvelope::Eip1559(receipt),
                4 => ReceiptEnvelope::Eip7702(receipt),
                _ => ReceiptEnvelope::Legacy(receipt),
            }
        })
        .collect();
    calculate_receipt_root(&envelopes)
}

pub fn genesis(issuer: Address) -> Genesis {
    Genesis {
        chain_id: CHAIN_ID,
        timestamp_ms: START_SECONDS * 1000,
        gas_limit: GAS_LIMIT,
        block_time_ms: 200,
        idle_block_time_ms: 1000,
        epoch_blocks: 64,
        committee: Committee {
            members: vec![Member {
                consensus_key: consensus_key(&ed25519::PrivateKey::from_seed(1)),
                owner: Address::repeat_byte(0xa0),
                address: ([127, 0, 0, 1], 9000).into(),
                stake: U256::ZERO,
                commission_bp: 0,
            }],
            output: Bytes::from_static(&[1]),
        },
        points: PointsRules::default(),
        fees: FeeRules::default(),
        issuers: vec![Issuer {
            address: issuer,
            daily_quota: U256::from(DAILY_QUOTA),
        }],
        ethereum: EthereumSide {
            chain_id: ETHEREUM_ID,
            bridge: ETHEREUM_BRIDGE,
            coin: ETHEREUM_COIN,
            points: ETHEREUM_POINTS,
            hashed_timelock: None,
        },
        bridge: BridgeRules::default(),
        // No coin at all from the start: these tests count what the bridge brings.
        staking: StakingRules {
            least_own_stake: U256::ZERO,
            ..StakingRules::default()
        },
        contracts: Vec::new(),
        peers: Vec::new(),
        rewards: RewardRules::default(),
        allocations: vec![],
    }
}

pub fn consensus_key(key: &ed25519::PrivateKey) -> B256 {
    B256::from_slice(&key.public_key())
}

/// One transaction to be sent.
#[derive(Clone, Debug)]
pub struct Send {
    pub user: usize,
    pub to: TxKind,
    pub value: U256,
    pub data: Bytes,
    pub gas: u64,
    pub gas_price: u128,
}

impl Send {
    pub fn call(user: usize, to: Address, call: &impl SolCall) -> Self {
        Self::data(user, to, call.abi_encode())
    }

    pub fn data(user: usize, to: Address, data: impl Into<Bytes>) -> Self {
        Self {
            user,
            to: TxKind::Call(to),
            value: U256::ZERO,
            data: data.into(),
            gas: 5_000_000,
            gas_price: 0,
        }
    }

    pub fn create(user: usize, code: impl Into<Bytes>) -> Self {
        Self {
            to: TxKind::Create,
            ..Self::data(user, Address::ZERO, code)
        }
    }

    pub fn value(mut self, value: U256) -> Self {
        self.value = value;
        self
    }

    pub fn gas(mut self, gas: u64) -> Self {
        self.gas = gas;
        self
    }

    pub fn gas_price(mut self, gas_price: u128) -> Self {
        self.gas_price = gas_price;
        self
    }
}

pub struct Chain {
    pub genesis: Genesis,
    pub genesis_hash: B256,
    pub executor: Executor,
    /// View of the last block.
    pub view: u64,
    /// Views that the next block skips.
    pub skip: u64,
    /// Who signs the current epoch.
    pub committee: Vec<B256>,
    /// Who receives the tips.
    pub beneficiary: Address,
    /// Whether each block is also built, and tried without its transactions.
    pub thorough: bool,
    /// What the last block would have changed without transactions.
    pub idle: Changes,
    pub state: MemoryState,
    pub height: u64,
    pub now: u64,
    pub parent: B256,
    pub users: Vec<PrivateKeySigner>,
    pub nonces: Vec<u64>,
    /// What the next block announces.
    pub new_key: Option<NewKey>,
}

impl Chain {
    pub fn new() -> Self {
        let users = Self::some_users(5);
        let genesis = genesis(users[ISSUER].address());
        Self::with(genesis, users)
    }

    /// A chain with the product's fees for transfers, paid to [`TREASURY`], free gas, and a guardian.
    pub fn charging() -> Self {
        Self::with_points(|_| ())
    }

    /// The same with other rules.
    pub fn with_points(change: impl FnOnce(&mut PointsRules)) -> Self {
        let users = Self::some_users(5);
        let mut genesis = genesis(users[ISSUER].address());
        genesis.points = PointsRules {
            guardian: users[GUARDIAN].address(),
            lane: Lane::default(),
            ..PointsRules::paid_to(TREASURY)
        };
        change(&mut genesis.points);
        Self::with(genesis, users)
    }

    pub fn some_users(count: u8) -> Vec<PrivateKeySigner> {
        (1..=count)
            .map(|n| PrivateKeySigner::from_bytes(&B256::repeat_byte(n)).unwrap())
            .collect()
    }

    pub fn with(genesis: Genesis, users: Vec<PrivateKeySigner>) -> Self {
        let executor = Executor::new(&genesis);
        let committee = genesis.committee.keys();
        let mut state = MemoryState {
            pending: 1,
            ..MemoryState::default()
        };
        state.apply(&executor.genesis_changes());
        Self {
            genesis_hash: genesis.hash().unwrap(),
            genesis,
            executor,
            view: 0,
            skip: 0,
            committee,
            beneficiary: BENEFICIARY,
            thorough: true,
            idle: Changes::new(),
            state,
            height: 0,
            now: START_SECONDS,
            parent: B256::repeat_byte(0xaa),
            nonces: vec![0; users.len()],
            new_key: None,
            users,
        }
    }

    pub fn user(&self, user: usize) -> Address {
        self.users[user].address()
    }

    /// Gives coins out of nowhere; the books of the coin do not count them.
    pub fn fund(&mut self, address: Address, amount: U256) {
        let mut account = self.account(address);
        account.balance += amount;
        self.state
            .values
            .insert(state::account_key(address), account.encode());
    }

    pub fn account(&self, address: Address) -> Account {
        block_on(state::account(&self.state, address))
            .unwrap()
            .unwrap_or_default()
    }

    pub fn slot(&self, address: Address, slot: U256) -> U256 {
        block_on(state::storage(&self.state, address, slot)).unwrap()
    }

    pub fn sign_with(&self, send: &Send, nonce: u64) -> Transaction {
        let transaction = TxEip1559 {
            chain_id: self.genesis.chain_id,
            nonce,
            gas_limit: send.gas,
            max_fee_per_gas: send.gas_price,
            max_priority_fee_per_gas: send.gas_price,
            to: send.to,
            value: send.value,
            access_list: Default::default(),
            input: send.data.clone(),
        };
        let signature = self.users[send.user]
            .sign_hash_sync(&transaction.signature_hash())
            .unwrap();
        let envelope = TxEnvelope::from(transaction.into_signed(signature));
        let decoded = Transaction::decode(&envelope.encoded_2718(), self.genesis.chain_id).unwrap();
        assert_eq!(decoded.sender(), self.user(send.user));
        decoded
    }

    pub fn sign(&mut self, send: &Send) -> Transaction {
        let nonce = self.nonces[send.user];
        self.nonces[send.user] += 1;
        self.sign_with(send, nonce)
    }

    pub fn epoch(&self) -> u64 {
        (self.height + 1) / self.genesis.epoch_blocks
    }

    /// Where the next block stands: in the turn after the views that it skips.
    pub fn turn(&self) -> Turn {
        let is_first = (self.height + 1).is_multiple_of(self.genesis.epoch_blocks);
        let parent_view = if is_first { 0 } else { self.view };
        let view = parent_view + 1 + self.skip;
        let schedule = Schedule::new(self.genesis_hash, self.epoch(), &self.committee).unwrap();
        Turn {
            epoch: self.epoch(),
            view,
            parent_view,
            leader: schedule.leader(view),
        }
    }

    /// In an epoch's last block: those elected for it sign the next one.
    fn next_epoch(&self) -> Option<NextEpoch> {
        let is_last = (self.height + 2).is_multiple_of(self.genesis.epoch_blocks);
        is_last.then(|| {
            let elected = block_on(self.executor.elected(&self.state, self.epoch())).unwrap();
            NextEpoch {
                epoch: self.epoch() + 1,
                succeeded: true,
                committee: elected.iter().map(|one| one.consensus_key).collect(),
            }
        })
    }

    pub fn input(&self, checkpoint: Option<Checkpoint>) -> BlockInput {
        BlockInput {
            turn: self.turn(),
            attestations: vec![],
            next_epoch: self.next_epoch(),
            height: self.height + 1,
            timestamp_ms: self.now * 1000 + 999,
            gas_limit: GAS_LIMIT,
            parent: self.parent,
            beneficiary: self.beneficiary,
            checkpoint,
            new_key: self.new_key,
        }
    }

    /// Executes one block and commits it. Building it, and executing it over a state that answers
    /// at once, must come to the same.
    pub fn block_with(&mut self, sends: &[Send], checkpoint: Option<Checkpoint>) -> BlockOutput {
        let input = self.input(checkpoint);
        self.new_key = None;
        self.block_of(sends, input)
    }

    /// Executes one block with this input and commits it.
    pub fn block_of(&mut self, sends: &[Send], input: BlockInput) -> BlockOutput {
        let mut transactions = self.own(&input);
        transactions.extend(sends.iter().map(|send| self.sign(send)));
        let output = block_on(
            self.executor
                .execute(&self.state, input.clone(), &transactions),
        )
        .unwrap();
        let logs = output.receipts.iter().flat_map(|receipt| &receipt.logs);
        assert_eq!(output.logs_bloom, logs_bloom(logs));
        assert_eq!(output.receipts_root, receipts_root(&output.receipts));
        if self.thorough {
            self.try_otherwise(&transactions, &input, &output);
        }
        let before = output
            .changes
            .keys()
            .filter(|key| output.before.contains_key(*key));
        for key in before {
            assert_eq!(output.before[key], self.state.values.get(key).cloned());
        }
        // Only code may change without a word of what was there.
        let silent = output
            .changes
            .iter()
            .filter(|(key, _)| !output.before.contains_key(*key));
        for (key, value) in silent {
            assert_eq!(*key, state::code_key(keccak256(value.as_ref().unwrap())));
        }
        assert!(
            output
                .before
                .keys()
                .all(|key| output.changes.contains_key(key))
        );
        self.state.apply(&output.changes);
        self.height += 1;
        self.now += 1;
        self.parent = keccak256(self.parent);
        self.view = input.turn.view;
        self.skip = 0;
        if let Some(next) = input.next_epoch {
            self.committee = next.committee;
        }
        output
    }

    /// The system transaction with which a block with this input begins, if its own work has events.
    pub fn own(&self, input: &BlockInput) -> Vec<Transaction> {
        let built = self.executor.build(&self.state, input.clone(), vec![]);
        block_on(built).unwrap().0
    }

    /// What a block with this input does if nobody sends anything.
    pub fn alone(&self, input: BlockInput) -> BlockOutput {
        let built = self.executor.build(&self.state, input, vec![]);
        block_on(built).unwrap().1
    }

    /// Building must come to the same as executing, and the EVM's interpreter to the same as the
    /// short way.
    fn try_otherwise(
        &mut self,
        transactions: &[Transaction],
        input: &BlockInput,
        output: &BlockOutput,
    ) {
        let (taken, built, dead) = block_on(self.executor.build(
            &self.state.with_pending(0),
            input.clone(),
            sent(transactions),
        ))
        .unwrap();
        assert_eq!(taken, transactions);
        assert_eq!(built, *output);
        assert!(dead.is_empty());
        let interpreted = self.executor.interpreted();
        let slow = block_on(interpreted.execute(&self.state, input.clone(), transactions));
        assert_eq!(
            slow.unwrap(),
            *output,
            "the interpreter comes to something else"
        );
        self.idle = self.alone(input.clone()).changes;
    }

    /// Goes on to the block before an epoch's last.
    pub fn run_to_epochs_end(&mut self) {
        while !(self.height + 2).is_multiple_of(self.genesis.epoch_blocks) {
            self.block(&[]);
        }
    }

    /// Goes on to the block before an epoch's last, with a new group key due as if it had been asked
    /// for in epoch 0, and says from which epoch on it may sign.
    pub fn run_to_rotation(&mut self) -> u64 {
        while self.epoch() < 1 {
            self.block(&[]);
        }
        self.run_to_epochs_end();
        let word = block_on(state::storage(&self.state, ROTATION, U256::ZERO)).unwrap();
        let [round, _, keys, _] = word.into_limbs();
        let due = state::encode_word(U256::from_limbs([round, 1, keys, 0])).unwrap();
        self.state
            .values
            .insert(state::storage_key(ROTATION, U256::ZERO), due);
        self.epoch() + 1
    }

    pub fn block(&mut self, sends: &[Send]) -> BlockOutput {
        self.block_with(sends, None)
    }

    /// One transaction in a block of its own, which must succeed.
    pub fn send(&mut self, send: Send) -> Vec<Log> {
        let [outcome] = outcomes(&self.block(&[send])).try_into().unwrap();
        assert!(outcome.success);
        outcome.logs
    }

    /// One transaction which must fail, and then leaves nothing but the sender's nonce.
    pub fn refuse(&mut self, send: Send) -> String {
        let reason = match self.try_call(&send) {
            CallOutcome::Success { .. } => panic!("this should be refused"),
            CallOutcome::Revert { output, .. } => Revert::abi_decode(&output).unwrap().reason,
            CallOutcome::Halt { reason, .. } => reason,
        };
        let sender = state::account_key(self.user(send.user));
        let idle = self.idle();
        let output = self.block(&[send]);
        let [outcome] = outcomes(&output).try_into().unwrap();
        assert!(!outcome.success);
        assert!(outcome.logs.is_empty());
        assert!(output.packets.is_empty());
        let mut expected: Vec<_> = idle.keys().chain([&sender]).collect();
        expected.sort();
        assert_eq!(output.changes.keys().collect::<Vec<_>>(), expected);
        for (key, value) in &idle {
            assert_eq!(output.changes[key], *value);
        }
        reason
    }

    /// How many places the last block changed because of its transactions.
    pub fn changed(&self, output: &BlockOutput) -> usize {
        let idle = |key: &Key, value: &Option<Value>| self.idle.get(key) == Some(value);
        let all = output.changes.iter();
        all.filter(|(key, value)| !idle(key, value)).count()
    }

    /// What the next block changes if it holds nothing.
    pub fn idle(&self) -> Changes {
        self.alone(self.input(None)).changes
    }

    pub fn try_call(&self, send: &Send) -> CallOutcome {
        let request = CallRequest {
            from: self.user(send.user),
            to: send.to.to().copied(),
            value: send.value,
            gas: Some(send.gas),
            data: send.data.clone(),
            ..CallRequest::default()
        };
        block_on(self.executor.call(&self.state, self.input(None), request)).unwrap()
    }

    pub fn view<C: SolCall>(&self, to: Address, call: C) -> C::Return {
        match self.try_call(&Send::call(1, to, &call)) {
            CallOutcome::Success { output, logs, .. } => {
                assert!(logs.is_empty());
                C::abi_decode_returns_validate(&output).unwrap()
            }
            other => panic!("{other:?}"),
        }
    }

    pub fn points(&self, account: Address) -> U256 {
        self.view(POINTS, IPoints::balanceOfCall { account })
    }

    /// Points of all users, the treasury and the bridge.
    pub fn all_points(&self) -> U256 {
        let users = self.users.iter().map(PrivateKeySigner::address);
        users
            .chain([TREASURY, BRIDGE])
            .map(|holder| self.points(holder))
            .sum()
    }

    /// Issues points to a user under a fresh conversion id.
    pub fn issue(&mut self, user: usize, amount: u64) {
        let call = IPoints::issueCall {
            to: self.user(user),
            amount: U256::from(amount),
            conversionId: keccak256(self.height.to_be_bytes()),
        };
        self.send(Send::call(ISSUER, POINTS, &call));
    }
}

/// Those of a block's transactions that were sent.
pub fn sent(transactions: &[Transaction]) -> Vec<Transaction> {
    let sent = transactions.iter().filter(|one| !one.is_system());
    sent.cloned().collect()
}

/// What became of them.
pub fn outcomes(output: &BlockOutput) -> Vec<TransactionOutcome> {
    let sent = output.receipts.iter().filter(|one| one.sender != SYSTEM);
    sent.cloned().collect()
}
