//! What a node calls: execute a block, build one, try a call.
//!
//! Rules of a block, beside Ethereum's own (Osaka, a base fee that never moves, no blobs, no
//! withdrawals):
//!
//! - its Ethereum checkpoint, if any, is stored before the first transaction, and its turn and its
//!   attestations are counted; a quarter that is over is closed, and some holders are paid for the
//!   quarters that are (`rewards`); if that left events, the block begins with a system transaction
//!   that holds them, and else with none;
//! - an epoch's last block pays, judges and elects after its last transaction, and may take a new
//!   group key down, if one is due, and announce it to Ethereum;
//! - a transaction's gas limit must fit in what the block has left;
//! - PREVRANDAO is the parent's digest; BLOCKHASH knows the parent and answers zero for others;
//! - there are no system contracts of Ethereum's (EIP-2935, 4788, 7002, 7251);
//! - TIMESTAMP is the block's time in whole seconds;
//! - the whole price of gas goes to the beneficiary, the base fee included (`price`), whoever pays it
//!   (`payer`); of the gas outside of the lane `freeGasBp` may be free;
//! - no block makes coin but by the bridge;
//! - a transaction to the points module with a price of zero pays with points, and so does the
//!   bridge's `send` of points (`lane`);
//! - all others have `contractBp` of the block's gas.

use crate::{
    call::{CallOutcome, CallRequest, EstimateOutcome},
    error::BlockError,
    lane::Lane,
    modules::{
        self, Config,
        bridge::{
            announce::{NewKey, announce_key},
            checkpoint, outbox,
        },
        coin, fees,
        rewards::{self, read::RewardsStanding},
        rotation::{self, Rotations},
        staking,
    },
    outcome::{SentPacket, TransactionOutcome, receipts_root, sent_packets, transactions_root},
    payer::{Ask, Bill, Helpers, Moment, Payer},
    price::{self, Terms},
    refusal::Refusal,
    session::{Executed, SPEC, Session},
    state::{self, Changes, ReadError, StateReader},
    transaction::Transaction,
};
use alloy::{
    consensus::{Transaction as _, Typed2718},
    primitives::{Address, B256, Bloom, Log, U256},
};
use mileverse_primitives::{
    address::STAKING,
    checkpoint::Checkpoint,
    genesis::Genesis,
    header::Turn,
    limits::LEAST_GAS,
    outbox::{Frontier, root},
    vote::Attestation,
};
use revm::{
    context::TxEnv,
    precompile::{PrecompileSpecId, Precompiles},
    primitives::hardfork::SpecId,
};

mod quote;
mod simulate;
mod trace;
pub use quote::{Draw, Fare, Help, PaidBy, Quote, Source, Sponsorship};
pub use simulate::{Simulated, SimulatedCall, SimulatedLog, SimulationRules, Unfit};
use std::{net::SocketAddr, sync::Arc};

/// Transactions for which the state is read together.
const AHEAD: usize = 512;
/// What a nested call may hold back when it sends value (EIP-150); geth's estimate adds it.
const CALL_STIPEND: u64 = 2_300;

/// What a block is executed with.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct BlockInput {
    /// Its height.
    pub height: u64,
    /// Its time, milliseconds since 1970.
    pub timestamp_ms: u64,
    /// Gas it may use.
    pub gas_limit: u64,
    /// Digest of the block before.
    pub parent: B256,
    /// Who receives the tips.
    pub beneficiary: Address,
    /// The Ethereum header that its leader vouches for.
    pub checkpoint: Option<Checkpoint>,
    /// Where in consensus the block stands.
    pub turn: Turn,
    /// The delegates' word for earlier results, checked for signatures by the node before.
    pub attestations: Vec<Attestation>,
    /// In an epoch's last block: who signs the next epoch, as its ceremony decided.
    pub next_epoch: Option<NextEpoch>,
    /// In an epoch's last block, when a ceremony made another group key: what takes over.
    pub new_key: Option<NewKey>,
}

/// Who signs an epoch.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct NextEpoch {
    /// Its number.
    pub epoch: u64,
    /// Whether the ceremony succeeded; if not, the committee before stays.
    pub succeeded: bool,
    /// Ascending ed25519 keys.
    pub committee: Vec<B256>,
}

/// Who was elected.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Elected {
    /// ed25519 public key.
    pub consensus_key: B256,
    /// Where its node is reached.
    pub address: SocketAddr,
}

/// What a block does.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct BlockOutput {
    /// What to commit to the state.
    pub changes: Changes,
    /// What stood in those places before, without code.
    pub before: Changes,
    /// Gas used by all transactions.
    pub gas_used: u64,
    /// Root of the ordered trie of transactions.
    pub transactions_root: B256,
    /// Root of the ordered trie of receipts.
    pub receipts_root: B256,
    /// Union of the receipts' blooms.
    pub logs_bloom: Bloom,
    /// Root of the outbox after the block, as it stands in the header.
    pub outbox_root: B256,
    /// Leaves of the outbox tree after the block.
    pub outbox_size: u64,
    /// `MTH` of the outbox tree after the block.
    pub outbox_tree: B256,
    /// What became of each transaction, in order.
    pub receipts: Vec<TransactionOutcome>,
    /// What the block added to the outbox, in order.
    pub packets: Vec<SentPacket>,
}

/// The chain's state transition. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Executor {
    config: Arc<Config>,
}

impl Executor {
    /// The transition of the chain that `genesis` begins.
    pub fn new(genesis: &Genesis) -> Self {
        Self {
            config: Arc::new(Config::new(genesis)),
        }
    }

    /// The same transition, with every transaction run by the EVM's interpreter. Slower; for
    /// comparing.
    #[must_use]
    pub fn interpreted(&self) -> Self {
        let mut config = Config::clone(&self.config);
        config.interpreted = true;
        Self {
            config: Arc::new(config),
        }
    }

    /// The same transition under the rules of another fork of Ethereum; for comparing with Ethereum's
    /// own tests.
    #[must_use]
    pub fn under(&self, spec: SpecId) -> Self {
        let mut config = Config::clone(&self.config);
        config.spec = spec;
        Self {
            config: Arc::new(config),
        }
    }

    /// The state of block 0: the modules' accounts and what they start with.
    pub fn genesis_changes(&self) -> Changes {
        modules::genesis_changes(&self.config)
    }

    /// Ethereum's precompiles that contracts can call, by the names of EIP-7910.
    pub fn precompiles() -> Vec<(&'static str, Address)> {
        let known = Precompiles::new(PrecompileSpecId::from_spec_id(SPEC));
        let named = |address: &Address| known.get(address).map(|one| (one.id().name(), *address));
        known.addresses().filter_map(named).collect()
    }

    /// The outbox root of block 0: an empty outbox.
    pub fn genesis_outbox_root(&self) -> B256 {
        root(0, B256::ZERO)
    }

    /// Number of the newest Ethereum checkpoint that the chain agreed on; 0 if there is none.
    pub async fn latest_checkpoint(&self, state: &impl StateReader) -> Result<u64, ReadError> {
        checkpoint::newest(state).await
    }

    /// Who was elected for an epoch, ascending by key. Known from the last block of the third epoch
    /// before on, for 256 epochs; nobody if this state does not know. For the first three epochs it is
    /// the genesis committee.
    ///
    /// # Errors
    ///
    /// When the state cannot be read.
    pub async fn elected(
        &self,
        state: &impl StateReader,
        epoch: u64,
    ) -> Result<Vec<Elected>, ReadError> {
        staking::read::elected(&self.config, state, epoch).await
    }

    /// Where the node of an elected candidate is reached, as of the last epoch's end.
    ///
    /// # Errors
    ///
    /// When the state cannot be read.
    pub async fn directory(
        &self,
        state: &impl StateReader,
        key: B256,
    ) -> Result<Option<SocketAddr>, ReadError> {
        staking::read::directory(&self.config, state, key).await
    }

    /// Who signs an epoch, ascending. Known from the last block of the epoch before on.
    ///
    /// # Errors
    ///
    /// When the state cannot be read, or does not know that epoch yet or any more.
    pub async fn committee(
        &self,
        state: &impl StateReader,
        epoch: u64,
    ) -> Result<Vec<B256>, ReadError> {
        staking::read::committee(&self.config, state, epoch).await
    }

    /// What the state says of the group key: since when a new one is due, and all that took over.
    ///
    /// # Errors
    ///
    /// When the state cannot be read.
    pub async fn rotations(&self, state: &impl StateReader) -> Result<Rotations, ReadError> {
        rotation::read(state).await
    }

    /// Where the quarterly rewards stand.
    ///
    /// # Errors
    ///
    /// When the state cannot be read.
    pub async fn rewards(&self, state: &impl StateReader) -> Result<RewardsStanding, ReadError> {
        rewards::read::standing(&self.config, state).await
    }

    /// Coin that operators of contracts have deposited for gas, in its smallest unit.
    ///
    /// # Errors
    ///
    /// When the state cannot be read.
    pub async fn gas_deposits(&self, state: &impl StateReader) -> Result<U256, ReadError> {
        fees::charge::deposits(state).await
    }

    /// Whether the candidate that has or had `key` is out for good, for a double proposal.
    ///
    /// # Errors
    ///
    /// When the state cannot be read.
    pub async fn tombstoned(&self, state: &impl StateReader, key: B256) -> Result<bool, ReadError> {
        staking::read::tombstoned(state, key).await
    }

    /// Whether the chain has recorded a false result of `key` at `height`.
    ///
    /// # Errors
    ///
    /// When the state cannot be read.
    pub async fn reported(
        &self,
        state: &impl StateReader,
        key: B256,
        height: u64,
    ) -> Result<bool, ReadError> {
        staking::read::reported(state, key, height).await
    }

    /// Executes a block as it stands. Any transaction or checkpoint that breaks a rule makes the
    /// whole block [`BlockError::Invalid`], for ever.
    pub async fn execute<R: StateReader>(
        &self,
        state: &R,
        block: BlockInput,
        transactions: &[Transaction],
    ) -> Result<BlockOutput, BlockError> {
        let mut work = Work::open(self, state, block).await?;
        for some in work.sent(transactions)?.chunks(AHEAD) {
            work.session.fetch_for(some).await?;
            for transaction in some {
                if let Err(refusal) = work.include(transaction).await? {
                    return Err(BlockError::Invalid(format!(
                        "transaction {}: {}",
                        transaction.hash(),
                        refusal.reason
                    )));
                }
            }
        }
        work.close(transactions).await
    }

    /// Builds a block from candidates, in their order, leaving out what is invalid or does not
    /// fit. Answers the transactions taken, the block's output, and the hashes of candidates that
    /// no later block can take either.
    pub async fn build<R: StateReader>(
        &self,
        state: &R,
        block: BlockInput,
        candidates: Vec<Transaction>,
    ) -> Result<(Vec<Transaction>, BlockOutput, Vec<B256>), BlockError> {
        let mut work = Work::open(self, state, block).await?;
        let mut taken = Vec::from_iter(work.system.clone());
        let mut dead = Vec::new();
        for some in candidates.chunks(AHEAD) {
            if work.gas_left() < LEAST_GAS {
                break;
            }
            work.session.fetch_for(some).await?;
            for candidate in some {
                if work.gas_left() < LEAST_GAS {
                    break;
                }
                match work.include(candidate).await? {
                    Ok(()) => taken.push(candidate.clone()),
                    Err(refusal) if refusal.permanent => dead.push(candidate.hash()),
                    Err(_) => {}
                }
            }
        }
        let output = work.close(&taken).await?;
        Ok((taken, output, dead))
    }

    /// What a transaction may cost in points, who else may pay for it with coin, or why no block on top
    /// of `state` takes it, as far as its gas is concerned: a sentence for its sender. The rules are those that blocks are built and
    /// checked by. For the mempool.
    ///
    /// # Errors
    ///
    /// When the state cannot be read. `block` is what a block on top of `state` is executed with.
    pub async fn admit<R: StateReader>(
        &self,
        state: &R,
        block: impl FnOnce() -> BlockInput,
        transaction: &Transaction,
    ) -> Result<Result<Fare, String>, BlockError> {
        let block_gas = self.config.gas_limit;
        let Some(lane) = Lane::of(&self.config, transaction) else {
            // More than the whole block has words of geth's.
            let fits = if transaction.gas_limit() > block_gas {
                Ok(())
            } else {
                outside_fits(&self.config, transaction, block_gas, 0)
            };
            let found = match fits.map(|()| price::terms(&self.config, transaction)) {
                Ok(Terms::Delivery) => self
                    .try_delivery(state, block(), transaction)
                    .await?
                    .map(|()| Fare::default()),
                Ok(Terms::Coin) => self.fare(state, block, transaction).await?,
                Err(refusal) => Err(refusal),
            };
            return Ok(found.map_err(|refusal| refusal.reason));
        };
        let (module, slot) = lane.purse();
        let held = state::storage(state, module, slot).await?;
        let checked = lane.fits(block_gas, 0).and_then(|()| lane.covers(held));
        Ok(checked
            .map(|()| Fare {
                held,
                cost: lane.reserve(),
                ..Fare::default()
            })
            .map_err(|refusal| refusal.reason))
    }

    /// Whether a delivery that pays no gas price is of use on top of `state`.
    async fn try_delivery<R: StateReader>(
        &self,
        state: &R,
        block: BlockInput,
        transaction: &Transaction,
    ) -> Result<Result<(), Refusal>, BlockError> {
        let mut session = Session::open(self.config.clone(), state, &block).await?;
        // It may wait for others of its sender.
        session.for_calls();
        let bill = Bill::alone(&self.config, &Ask::of(transaction));
        session.set_base_fee(bill.base);
        let envelope = bill.envelope(transaction);
        Ok(match session.transact(&envelope).await? {
            Ok(done) => price::is_of_use(done.success, done.gas_used, &done.logs),
            Err(refusal) => Err(refusal),
        })
    }

    /// Tries a call on top of `state`, as if in `block`, and keeps nothing.
    pub async fn call<R: StateReader>(
        &self,
        state: &R,
        block: BlockInput,
        request: CallRequest,
    ) -> Result<CallOutcome, BlockError> {
        let mut session = self.open_call(state, &block, &request).await?;
        let gas = request.gas.unwrap_or(block.gas_limit).min(block.gas_limit);
        self.try_call(&mut session, &request, gas).await
    }

    /// A gas limit with which the call succeeds, by bisection.
    pub async fn estimate_gas<R: StateReader>(
        &self,
        state: &R,
        block: BlockInput,
        request: CallRequest,
    ) -> Result<EstimateOutcome, BlockError> {
        let mut session = self.open_call(state, &block, &request).await?;
        let mut high = request.gas.unwrap_or(block.gas_limit).min(block.gas_limit);
        let used = match self.try_call(&mut session, &request, high).await? {
            CallOutcome::Success { gas_used, .. } => gas_used,
            failed => return Ok(EstimateOutcome::Failed(failed)),
        };
        if used == LEAST_GAS {
            // Nothing but the transaction itself: a plain transfer needs no margin.
            return Ok(EstimateOutcome::Gas(used));
        }
        let mut low = used.saturating_sub(1);
        // Most calls need no more than this; a call keeps 1/64 of its gas back (EIP-150).
        let guess = used
            .saturating_add(CALL_STIPEND)
            .saturating_add(used / 63)
            .min(high);
        let mut next = Some(guess);
        while high.saturating_sub(low) > 1 && (high - low) > high / 66 {
            let middle = next.take().unwrap_or(low + (high - low) / 2);
            if middle <= low || middle >= high {
                continue;
            }
            let succeeds = match self.try_call(&mut session, &request, middle).await {
                Ok(outcome) => outcome.is_success(),
                // Below the intrinsic gas a transaction is not even valid.
                Err(BlockError::Invalid(_)) => false,
                Err(error) => return Err(error),
            };
            if succeeds {
                high = middle;
            } else {
                low = middle;
            }
        }
        Ok(EstimateOutcome::Gas(high))
    }

    async fn open_call<'a, R: StateReader>(
        &self,
        state: &'a R,
        block: &BlockInput,
        request: &CallRequest,
    ) -> Result<Session<'a, R>, BlockError> {
        let mut session = Session::open(self.config.clone(), state, block).await?;
        session.for_calls();
        session.assume(request);
        Ok(session)
    }

    async fn try_call<R: StateReader>(
        &self,
        session: &mut Session<'_, R>,
        request: &CallRequest,
        gas: u64,
    ) -> Result<CallOutcome, BlockError> {
        let mut transaction = request.transaction(self.config.chain_id, gas);
        self.help_call(session, request, &mut transaction).await?;
        match session.run(&transaction).await? {
            Ok(done) => Ok(done.result.into()),
            Err(refusal) => Err(BlockError::Invalid(refusal.reason)),
        }
    }
}

/// Whether a block of `block_gas`, which has used `used` outside of the lane, has room for a
/// transaction outside of it.
fn outside_fits(
    config: &Config,
    transaction: &Transaction,
    block_gas: u64,
    used: u64,
) -> Result<(), Refusal> {
    let share = config.fees.contract_gas(block_gas);
    let left = share.saturating_sub(used);
    if transaction.gas_limit() <= left {
        return Ok(());
    }
    let reason = format!(
        "its gas limit is {}, the block has {left} left for transactions that do not pay with points; \
         send it with a lower gas limit",
        transaction.gas_limit()
    );
    Err(if transaction.gas_limit() > share {
        Refusal::for_good(reason)
    } else {
        Refusal::for_now(reason)
    })
}

/// A block being filled.
struct Work<'a, R> {
    config: Arc<Config>,
    block: BlockInput,
    session: Session<'a, R>,
    gas_used: u64,
    /// Of it, by transactions that pay with points.
    lane_gas_used: u64,
    /// Of it, free of charge for its senders' stake.
    free_gas_used: u64,
    /// Coin that all transactions paid.
    fees: u128,
    /// Deliveries that were tried and admitted nothing.
    vain: usize,
    first_leaf: u64,
    /// What holds the events of the block's own work, if there are any.
    system: Option<Transaction>,
    receipts: Vec<TransactionOutcome>,
}

impl<'a, R: StateReader> Work<'a, R> {
    async fn open(
        executor: &Executor,
        state: &'a R,
        block: BlockInput,
    ) -> Result<Self, BlockError> {
        let config = executor.config.clone();
        let mut session = Session::open(config.clone(), state, &block).await?;
        let context = staking::Context::new(&config, block.height);
        session
            .work(|ledger| staking::block::begin(ledger, &context, &block))
            .await?;
        let told = rewards::block::begin(&mut session, &config.rewards, &block).await?;
        let first_leaf = outbox::size(&mut session).await?;
        let system = (!told.is_empty()).then(|| Transaction::system(config.chain_id, block.height));
        let receipts = system
            .iter()
            .map(|system| TransactionOutcome::of_system(system, &told));
        Ok(Self {
            receipts: receipts.collect(),
            system,
            config,
            block,
            session,
            gas_used: 0,
            lane_gas_used: 0,
            free_gas_used: 0,
            fees: 0,
            vain: 0,
            first_leaf,
        })
    }

    /// Those of a block's transactions that were sent: all, but for the system transaction that must
    /// stand before them.
    fn sent<'b>(&self, transactions: &'b [Transaction]) -> Result<&'b [Transaction], BlockError> {
        let Some(system) = &self.system else {
            return Ok(transactions);
        };
        match transactions.split_first() {
            Some((first, sent)) if first == system => Ok(sent),
            _ => Err(BlockError::Invalid(
                "the system transaction that holds the events of its own work is missing".into(),
            )),
        }
    }

    const fn gas_left(&self) -> u64 {
        self.block.gas_limit.saturating_sub(self.gas_used)
    }

    /// Runs one more transaction; a refused one leaves nothing behind.
    async fn include(
        &mut self,
        transaction: &Transaction,
    ) -> Result<Result<(), Refusal>, BlockError> {
        if transaction.is_system() {
            let reason = "a system transaction stands where none is due";
            return Ok(Err(Refusal::for_good(reason.into())));
        }
        if transaction.gas_limit() > self.gas_left() {
            let reason = format!(
                "its gas limit is {}, the block has {} left",
                transaction.gas_limit(),
                self.gas_left()
            );
            return Ok(Err(if transaction.gas_limit() > self.block.gas_limit {
                Refusal::for_good(reason)
            } else {
                Refusal::for_now(reason)
            }));
        }
        let lane = Lane::of(&self.config, transaction);
        if let Some(lane) = &lane {
            if let Err(refusal) = lane.fits(self.block.gas_limit, self.lane_gas_used) {
                return Ok(Err(refusal));
            }
            let (module, slot) = lane.purse();
            let held = self.session.load(module, slot).await?;
            if let Err(refusal) = lane.covers(held) {
                return Ok(Err(refusal));
            }
        }
        if lane.is_none() {
            let used = self.gas_used.saturating_sub(self.lane_gas_used);
            let fits = outside_fits(&self.config, transaction, self.block.gas_limit, used);
            if let Err(refusal) = fits {
                return Ok(Err(refusal));
            }
        }
        let delivers = lane.is_none() && price::terms(&self.config, transaction) == Terms::Delivery;
        if delivers && self.vain >= price::MAX_VAIN {
            let reason = "too many deliveries of this block admitted nothing";
            return Ok(Err(Refusal::for_now(reason.into())));
        }
        let bill = match self.bill(transaction, lane.is_some() || delivers).await? {
            Ok(bill) => bill,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let envelope = bill.envelope(transaction);
        let Executed {
            success,
            gas_used,
            mut logs,
            contract_address,
            effects,
        } = match self.transact(&bill, &envelope).await? {
            Ok(done) => done,
            Err(refusal) => return Ok(Err(refusal)),
        };
        if delivers && let Err(refusal) = price::is_of_use(success, gas_used, &logs) {
            self.vain = self.vain.saturating_add(1);
            return Ok(Err(refusal));
        }
        self.session.commit(effects);
        logs.extend(self.settle(&bill, transaction.sender(), gas_used).await?);
        // Never more than its limit, which fits.
        self.gas_used = self.gas_used.saturating_add(gas_used);
        if let Some(lane) = &lane {
            self.lane_gas_used = self.lane_gas_used.saturating_add(gas_used);
            let owed = lane.owed(success, gas_used, &logs);
            logs.extend(self.collect(lane, owed).await?);
        }
        self.receipts.push(TransactionOutcome {
            hash: transaction.hash(),
            sender: transaction.sender(),
            nonce: transaction.nonce(),
            to: transaction.envelope().to(),
            tx_type: transaction.envelope().ty(),
            success,
            gas_used,
            cumulative_gas_used: self.gas_used,
            contract_address,
            logs,
            effective_gas_price: bill.price,
        });
        Ok(Ok(()))
    }

    /// Who pays for a transaction that a block holds.
    async fn bill_of(&mut self, transaction: &Transaction) -> Result<Bill, BlockError> {
        let alone = Lane::of(&self.config, transaction).is_some()
            || price::terms(&self.config, transaction) == Terms::Delivery;
        self.bill(transaction, alone)
            .await?
            .map_err(|refusal| BlockError::Invalid(refusal.reason))
    }

    /// Who pays for a transaction, or why nobody does; `alone`: it is one that pays otherwise.
    async fn bill(
        &mut self,
        transaction: &Transaction,
        alone: bool,
    ) -> Result<Result<Bill, Refusal>, BlockError> {
        let ask = Ask::of(transaction);
        if alone || self.config.fees.base_price == 0 {
            return Ok(Ok(Bill::alone(&self.config, &ask)));
        }
        let (config, at) = (self.config.clone(), self.moment());
        let helpers = self
            .session
            .work(|ledger| Helpers::load(ledger, &config, at, &ask))
            .await?;
        let room = self.config.fees.free_gas(self.block.gas_limit);
        let left = room.saturating_sub(self.free_gas_used);
        Ok(Bill::draw(&self.config, &ask, &helpers, left))
    }

    const fn moment(&self) -> Moment {
        Moment {
            height: self.block.height,
            now: self.block.timestamp_ms / 1000,
        }
    }

    /// Runs a transaction as it meets the block's base fee. One that is refused leaves nothing behind;
    /// of one that is not, what it may cost others is set aside until [`settle`](Self::settle).
    async fn transact(
        &mut self,
        bill: &Bill,
        envelope: &TxEnv,
    ) -> Result<Result<Executed, Refusal>, BlockError> {
        self.session.set_base_fee(bill.base);
        if bill.covered > 0 {
            self.session.work(|ledger| bill.reserve(ledger)).await?;
        }
        Ok(match self.session.transact(envelope).await? {
            Ok(done) => Ok(done),
            Err(refusal) => {
                if bill.covered > 0 {
                    self.session.work(|ledger| bill.release(ledger)).await?;
                }
                Err(bill.refused(refusal))
            }
        })
    }

    /// The EVM burns the base fee; here the beneficiary has it, from whoever pays it.
    async fn settle(
        &mut self,
        bill: &Bill,
        sender: Address,
        gas_used: u64,
    ) -> Result<Option<Log>, BlockError> {
        let too_much = || BlockError::Fatal("more fees than there is coin".into());
        let fee = bill.fee(gas_used).ok_or_else(too_much)?;
        self.fees = self.fees.checked_add(fee).ok_or_else(too_much)?;
        let event = bill.event(sender, gas_used);
        if bill.base == 0 && event.is_none() {
            return Ok(None);
        }
        let (config, at) = (self.config.clone(), self.moment());
        let beneficiary = self.block.beneficiary;
        self.session
            .work(|ledger| bill.settle(ledger, &config, at, sender, gas_used, beneficiary))
            .await?;
        if bill.payer == Payer::Stake {
            self.free_gas_used = self.free_gas_used.saturating_add(gas_used);
        }
        Ok(event)
    }

    /// Takes what a transaction in the lane owes, or what its sender has left.
    async fn collect(&mut self, lane: &Lane, owed: U256) -> Result<Option<Log>, BlockError> {
        if owed.is_zero() {
            return Ok(None);
        }
        let ((module, purse), (_, till)) = (lane.purse(), lane.till());
        let held = self.session.load(module, purse).await?;
        let paid = owed.min(held);
        if paid.is_zero() {
            return Ok(None);
        }
        let there = self.session.load(module, till).await?;
        let (Some(rest), Some(sum)) = (held.checked_sub(paid), there.checked_add(paid)) else {
            return Err(BlockError::Fatal("more points than there are".into()));
        };
        self.session.cache.store(module, purse, rest);
        self.session.cache.store(module, till, sum);
        Ok(Some(lane.event(paid)))
    }

    /// What the staking module collected in this block.
    fn fees_for_staking(&self) -> u128 {
        if self.block.beneficiary == STAKING {
            self.fees
        } else {
            0
        }
    }

    /// Whoever paid, and whatever it cost: the accounts whose coin changed have no more together than
    /// they had before and the bridge brought. Less they may have, since a contract that destroys
    /// itself in its own favour loses its coin.
    fn check_coin(&self, moved: &[(Address, U256)]) -> Result<(), BlockError> {
        let cache = &self.session.cache;
        let supply = coin::SUPPLY;
        let (supply_before, supply_now) = cache.word_change(supply.module(), supply.key());
        let mut before = supply_now;
        let mut now = supply_before;
        for (address, had) in moved {
            let account = cache.known_account(*address).unwrap_or_default();
            before = before.saturating_add(*had);
            now = now.saturating_add(account.balance);
        }
        if now > before {
            return Err(BlockError::Fatal(
                "a block would make coin out of nothing".into(),
            ));
        }
        Ok(())
    }

    async fn close(mut self, transactions: &[Transaction]) -> Result<BlockOutput, BlockError> {
        let collected = self.fees_for_staking();
        let context = staking::Context::new(&self.config, self.block.height);
        let block = &self.block;
        self.session
            .work(|ledger| {
                rotation::end(ledger, &self.config, block)?;
                staking::block::end(ledger, &context, block, collected)
            })
            .await?;
        // Whatever changed an account's coin in this block, it is here.
        let moved = self.session.cache.moved();
        self.check_coin(&moved)?;
        self.session
            .work(|ledger| fees::charge::end(ledger))
            .await?;
        self.session
            .work(|ledger| rewards::block::end(ledger, &moved))
            .await?;
        let mut packets = sent_packets(self.first_leaf, &self.receipts);
        if let Some(new) = &self.block.new_key {
            packets.push(announce_key(&mut self.session, new).await?);
        }
        let frontier: Frontier = outbox::frontier(&mut self.session).await?;
        let (receipts_root, logs_bloom) = receipts_root(&self.receipts);
        Ok(BlockOutput {
            changes: self.session.cache.changes(),
            before: self.session.cache.before(),
            gas_used: self.gas_used,
            transactions_root: transactions_root(transactions),
            receipts_root,
            logs_bloom,
            outbox_root: frontier.root(),
            outbox_size: frontier.size(),
            outbox_tree: frontier.tree(),
            packets,
            receipts: self.receipts,
        })
    }
}
