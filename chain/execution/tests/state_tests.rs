//! Ethereum's own state tests, run through this chain's executor.
//!
//! The files are not part of this repository. Fetch <https://github.com/ethereum/tests> and say where its
//! `GeneralStateTests` are:
//!
//! ```sh
//! MILEVERSE_STATE_TESTS=…/GeneralStateTests \
//!     cargo test --release -p mileverse-execution --test state_tests -- --ignored --nocapture
//! ```
//!
//! Each case is a state, a transaction, and what both must come to: the root of the state after it and a
//! hash of its logs. The case's block is executed as any block of this chain is, under the rules of the
//! case's fork; its root is computed from what the executor changed. Two things differ from Ethereum, and
//! are put right before comparing: the base fee goes to the beneficiary and is not burned, and the modules'
//! accounts are no part of the root.
//!
//! Left out, and counted:
//!
//! | left out | because |
//! |---|---|
//! | forks before Cancun | storage of destroyed contracts cannot be deleted here, which only they ask for |
//! | blobs | the chain has none |
//! | transactions with no good signature, or more than 128 KiB | they are refused before they are executed |
//! | states with empty accounts | they cannot come to be (EIP-161) and are not stored |
//! | contracts made where storage was left | storage without code cannot come to be, so nobody looks for it (EIP-7610) |

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "it/support.rs"]
#[allow(dead_code)]
mod support;

use alloy::{
    consensus::{
        SignableTransaction, TxEip1559, TxEip2930, TxEip7702, TxEnvelope, TxLegacy,
        TypedTransaction,
    },
    eips::{Encodable2718 as _, eip7702},
    primitives::{Address, B256, Log, TxKind, U256, keccak256},
    signers::{SignerSync as _, local::PrivateKeySigner},
};
use alloy_rpc_types_trace::geth::{
    GethDebugBuiltInTracerType, GethDebugTracerConfig, GethDebugTracingOptions, GethTrace,
};
use alloy_trie::{
    TrieAccount,
    root::{state_root_unhashed, storage_root_unhashed},
};
use commonware_cryptography::{Signer as _, ed25519};
use futures::executor::block_on;
use mileverse_execution::{
    BlockError, BlockInput, BlockOutput, Executor, MAX_TRANSACTION_LENGTH, Transaction,
    TransactionError, state,
};
use mileverse_primitives::header::Turn;
use revm::primitives::hardfork::SpecId;
use revm_statetest_types::{SpecName, Test, TestSuite, TestUnit};
use serde_json::json;
use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};
use support::MemoryState;

/// Chain that the cases are for.
const CHAIN_ID: u64 = 1;
/// Cases in which a contract is made where storage was left. Nothing else may fail.
const OVER_STORAGE: [&str; 5] = [
    "InitCollisionParis",
    "RevertInCreateInInitCreate2Paris",
    "RevertInCreateInInit_Paris",
    "create2collisionStorageParis",
    "dynamicAccountOverwriteEmpty_Paris",
];

/// Why a case is not run.
type Left = &'static str;

/// An account of a case: what it has, and its words.
#[derive(Clone, Debug, Default)]
struct Known {
    words: BTreeSet<U256>,
}

#[derive(Debug, Default)]
struct Tally {
    passed: usize,
    left: BTreeMap<Left, usize>,
    failed: Vec<String>,
}

impl Tally {
    fn add(&mut self, other: Self) {
        self.passed += other.passed;
        for (why, count) in other.left {
            *self.left.entry(why).or_default() += count;
        }
        self.failed.extend(other.failed);
    }
}

#[test]
#[ignore = "needs Ethereum's state tests; MILEVERSE_STATE_TESTS says where they are"]
fn ethereums_state_tests_pass() {
    let root = std::env::var("MILEVERSE_STATE_TESTS").expect("MILEVERSE_STATE_TESTS is not set");
    let mut files = Vec::new();
    find(Path::new(&root), &mut files);
    files.sort();
    assert!(!files.is_empty(), "no .json below {root}");
    let (next, tally) = (AtomicUsize::new(0), Mutex::new(Tally::default()));
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some(file) = files.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let found = run_file(file);
                    tally.lock().unwrap().add(found);
                }
            });
        }
    });
    let tally = tally.into_inner().unwrap();
    eprintln!("{} files, {} cases passed", files.len(), tally.passed);
    for (why, count) in &tally.left {
        eprintln!("{count} left out: {why}");
    }
    for failure in &tally.failed {
        eprintln!("FAILED {failure}");
    }
    assert!(tally.failed.is_empty(), "{} failed", tally.failed.len());
    assert!(tally.passed > 0, "nothing was run");
}

fn find(directory: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            find(&path, files);
        } else if path.extension().is_some_and(|kind| kind == "json") {
            files.push(path);
        }
    }
}

fn run_file(file: &Path) -> Tally {
    let mut tally = Tally::default();
    let text = std::fs::read_to_string(file).unwrap();
    let suite = match serde_json::from_str::<TestSuite>(&text) {
        Ok(suite) => suite,
        Err(error) => {
            eprintln!("{}: {error}", file.display());
            *tally.left.entry("files that cannot be read").or_default() += 1;
            return tally;
        }
    };
    for (name, unit) in &suite.0 {
        for (fork, cases) in &unit.post {
            for case in cases {
                let outcome = match fork {
                    SpecName::Cancun | SpecName::Prague | SpecName::Osaka => {
                        run(unit, case, fork.to_spec_id())
                    }
                    _ => Ok(Err("forks before Cancun")),
                };
                match outcome {
                    Ok(Ok(())) => tally.passed += 1,
                    Ok(Err(why)) => *tally.left.entry(why).or_default() += 1,
                    Err(_) if OVER_STORAGE.contains(&name.as_str()) => {
                        let why = "contracts made where storage was left";
                        *tally.left.entry(why).or_default() += 1;
                    }
                    Err(reason) => {
                        let at = &case.indexes;
                        tally.failed.push(format!(
                            "{} {name} {fork:?} data {} gas {} value {}: {reason}",
                            file.display(),
                            at.data,
                            at.gas,
                            at.value
                        ));
                    }
                }
            }
        }
    }
    tally
}

/// Runs one case: `Ok(Err(…))` if it is left out, `Err(…)` if it fails.
fn run(unit: &TestUnit, case: &Test, spec: SpecId) -> Result<Result<(), Left>, String> {
    let before = match before(unit) {
        Ok(before) => before,
        Err(why) => return Ok(Err(why)),
    };
    let transaction = match transaction(unit, case) {
        Ok(transaction) => transaction,
        Err(why) => return Ok(Err(why)),
    };
    let Some((executor, input)) = block(unit, spec) else {
        return Ok(Err("numbers of more than 64 bits"));
    };
    let mut state = MemoryState::default();
    state.apply(&executor.genesis_changes());
    fill(&mut state, unit);
    let transactions = [transaction];
    let outcome = block_on(executor.execute(&state, input.clone(), &transactions));
    let output = match outcome {
        Ok(output) => output,
        Err(BlockError::Invalid(reason)) => {
            let root = root(&state, &before, None);
            return if case.expect_exception.is_some() && root == case.hash {
                Ok(Ok(()))
            } else {
                Err(format!("refused: {reason}"))
            };
        }
        Err(error) => return Err(error.to_string()),
    };
    if let Some(expected) = &case.expect_exception {
        return Err(format!("taken, and should be refused: {expected}"));
    }
    let touched = touched(&executor, &state, &input, &transactions)?;
    state.apply(&output.changes);
    let mut known = before;
    for (address, one) in touched {
        known.entry(address).or_default().words.extend(one.words);
    }
    known.entry(unit.env.current_coinbase).or_default();
    let burned = burned(unit, &output);
    let found = root(&state, &known, Some((unit.env.current_coinbase, burned)));
    let logs: Vec<Log> = output
        .receipts
        .into_iter()
        .flat_map(|one| one.logs)
        .collect();
    let logs = keccak256(alloy::rlp::encode(&logs));
    if logs != case.logs {
        return Err("other logs".into());
    }
    if found != case.hash {
        return Err(format!(
            "another state (root {found}, {} expected)",
            case.hash
        ));
    }
    Ok(Ok(()))
}

/// The accounts that a case begins with.
fn before(unit: &TestUnit) -> Result<BTreeMap<Address, Known>, Left> {
    let mut known = BTreeMap::new();
    for (address, account) in &unit.pre {
        if account.nonce == 0 && account.code.is_empty() && account.balance.is_zero() {
            return Err("empty accounts");
        }
        let words = account.storage.keys().copied().collect();
        known.insert(*address, Known { words });
    }
    Ok(known)
}

fn fill(state: &mut MemoryState, unit: &TestUnit) {
    for (address, account) in &unit.pre {
        let code_hash = keccak256(&account.code);
        let stored = mileverse_execution::Account {
            nonce: account.nonce,
            balance: account.balance,
            code_hash,
        };
        state
            .values
            .insert(state::account_key(*address), stored.encode());
        if !account.code.is_empty() {
            state
                .values
                .insert(state::code_key(code_hash), account.code.to_vec());
        }
        for (slot, word) in &account.storage {
            if !word.is_zero() {
                state.values.insert(
                    state::storage_key(*address, *slot),
                    word.to_be_bytes::<32>().to_vec(),
                );
            }
        }
    }
}

/// The case's transaction, signed.
fn transaction(unit: &TestUnit, case: &Test) -> Result<Transaction, Left> {
    let parts = &unit.transaction;
    let key = parts.secret_key.ok_or("transactions without a key")?;
    let signer = PrivateKeySigner::from_bytes(&key).map_err(|_| "transactions without a key")?;
    if parts.max_fee_per_blob_gas.is_some() || !parts.blob_versioned_hashes.is_empty() {
        return Err("blobs");
    }
    let wide = "numbers of more than 64 bits";
    let number = |value: U256| u64::try_from(value).map_err(|_| wide);
    let price = |value: Option<U256>| u128::try_from(value.unwrap_or_default()).map_err(|_| wide);
    let (nonce, gas_limit) = (
        number(parts.nonce)?,
        number(parts.gas_limit[case.indexes.gas])?,
    );
    let to = parts.to.map_or(TxKind::Create, TxKind::Call);
    let value = parts.value[case.indexes.value];
    let input = parts.data[case.indexes.data].clone();
    let access_list = parts.access_lists.get(case.indexes.data).cloned().flatten();
    let (chain_id, dynamic) = (CHAIN_ID, parts.max_fee_per_gas.is_some());
    let (max_fee_per_gas, max_priority_fee_per_gas) = (
        price(parts.max_fee_per_gas)?,
        price(parts.max_priority_fee_per_gas)?,
    );
    let gas_price = price(parts.gas_price)?;
    let typed = if let Some(list) = &parts.authorization_list {
        TypedTransaction::Eip7702(TxEip7702 {
            chain_id,
            nonce,
            gas_limit,
            max_fee_per_gas,
            max_priority_fee_per_gas,
            to: parts.to.ok_or("delegations that create")?,
            value,
            access_list: access_list.unwrap_or_default(),
            authorization_list: list
                .iter()
                .map(|one| eip7702::SignedAuthorization::from(one.clone()))
                .collect(),
            input,
        })
    } else if dynamic {
        TypedTransaction::Eip1559(TxEip1559 {
            chain_id,
            nonce,
            gas_limit,
            max_fee_per_gas,
            max_priority_fee_per_gas,
            to,
            value,
            access_list: access_list.unwrap_or_default(),
            input,
        })
    } else if let Some(access_list) = access_list {
        TypedTransaction::Eip2930(TxEip2930 {
            chain_id,
            nonce,
            gas_price,
            gas_limit,
            to,
            value,
            access_list,
            input,
        })
    } else {
        TypedTransaction::Legacy(TxLegacy {
            chain_id: Some(chain_id),
            nonce,
            gas_price,
            gas_limit,
            to,
            value,
            input,
        })
    };
    let signature = signer
        .sign_hash_sync(&typed.signature_hash())
        .map_err(|_| "transactions without a key")?;
    let envelope: TxEnvelope = typed.into_signed(signature).into();
    match Transaction::decode(&envelope.encoded_2718(), CHAIN_ID) {
        Ok(transaction) => Ok(transaction),
        Err(TransactionError::TooLong(length)) => {
            assert!(length > MAX_TRANSACTION_LENGTH);
            Err("transactions of more than 128 KiB")
        }
        Err(error) => panic!("a transaction of a case cannot be read: {error}"),
    }
}

/// The case's block, on a chain that begins with it.
fn block(unit: &TestUnit, spec: SpecId) -> Option<(Executor, BlockInput)> {
    let env = &unit.env;
    let timestamp_ms = u64::try_from(env.current_timestamp)
        .ok()?
        .checked_mul(1000)?;
    let mut genesis = support::genesis(Address::repeat_byte(0x11));
    genesis.chain_id = CHAIN_ID;
    genesis.timestamp_ms = timestamp_ms;
    genesis.gas_limit = env.current_gas_limit.saturating_to();
    // All heights of the cases are in the first epoch.
    genesis.epoch_blocks = u64::from(u32::MAX);
    genesis.fees.base_price = u64::try_from(env.current_base_fee.unwrap_or_default()).ok()?;
    let input = BlockInput {
        height: u64::try_from(env.current_number).ok()?,
        timestamp_ms,
        gas_limit: genesis.gas_limit,
        parent: env.current_random.unwrap_or_default(),
        beneficiary: env.current_coinbase,
        checkpoint: None,
        turn: Turn {
            epoch: 0,
            view: 1,
            parent_view: 0,
            leader: support::consensus_key(&ed25519::PrivateKey::from_seed(1)),
        },
        attestations: Vec::new(),
        next_epoch: None,
        new_key: None,
    };
    Some((Executor::new(&genesis).under(spec), input))
}

/// The accounts and words that the transaction changed.
fn touched(
    executor: &Executor,
    state: &MemoryState,
    input: &BlockInput,
    transactions: &[Transaction],
) -> Result<BTreeMap<Address, Known>, String> {
    let options = GethDebugTracingOptions::new_tracer(GethDebugBuiltInTracerType::PreStateTracer)
        .with_config(GethDebugTracerConfig(json!({ "diffMode": true })));
    let traces = block_on(executor.trace_block(
        state,
        input.clone(),
        B256::ZERO,
        transactions,
        0..1,
        &options,
    ))
    .map_err(|error| error.to_string())?;
    let mut known: BTreeMap<Address, Known> = BTreeMap::new();
    for trace in traces {
        let GethTrace::PreStateTracer(frame) = trace else {
            return Err("the tracer answered something else".into());
        };
        let diff = frame.as_diff().ok_or("the tracer made no difference")?;
        for (address, account) in diff.pre.iter().chain(&diff.post) {
            let words = account
                .storage
                .keys()
                .map(|slot| U256::from_be_bytes(slot.0));
            known.entry(*address).or_default().words.extend(words);
        }
    }
    Ok(known)
}

/// What Ethereum would have burned of this block's fees.
fn burned(unit: &TestUnit, output: &BlockOutput) -> U256 {
    unit.env
        .current_base_fee
        .unwrap_or_default()
        .saturating_mul(U256::from(output.gas_used))
}

/// The root of Ethereum's state trie over these accounts; one of them has some coin less.
fn root(
    state: &MemoryState,
    known: &BTreeMap<Address, Known>,
    less: Option<(Address, U256)>,
) -> B256 {
    let accounts = known.iter().filter_map(|(address, one)| {
        let mut account = block_on(state::account(state, *address)).unwrap()?;
        if let Some((_, burned)) = less.filter(|(whose, _)| whose == address) {
            account.balance = account.balance.checked_sub(burned).expect("fees it has");
        }
        if account.is_empty() {
            return None;
        }
        let words = one.words.iter().filter_map(|slot| {
            let word = block_on(state::storage(state, *address, *slot)).unwrap();
            (!word.is_zero()).then(|| (B256::from(*slot), word))
        });
        let account = TrieAccount {
            nonce: account.nonce,
            balance: account.balance,
            storage_root: storage_root_unhashed(words.collect::<Vec<_>>()),
            code_hash: account.code_hash,
        };
        Some((*address, account))
    });
    state_root_unhashed(accounts.collect::<Vec<_>>())
}
