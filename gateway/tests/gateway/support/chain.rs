//! A chain that speaks just enough JSON-RPC, in memory: issues once per name, takes nonces in
//! order, and does what it is told to go wrong.

use super::gate::{Gate, Pass};
use alloy::consensus::{Transaction, TxEnvelope};
use alloy::eips::eip2718::Decodable2718;
use alloy::primitives::{Address, B256, Bytes, LogData, U256};
use alloy::sol_types::{SolCall, SolEvent, SolInterface as _};
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::{Json, Router, routing::post};
use mileverse_primitives::abi::{IPoints, IRewards};
use mileverse_primitives::address::{POINTS, REWARDS};
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

pub const CHAIN_ID: u64 = 9_473;

/// What goes wrong with the next broadcasts.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Trouble {
    /// Takes the transaction, answers an error.
    TakeButRefuse,
    /// Takes the transaction, answers 500.
    TakeButFail,
    /// Loses the transaction, answers its hash.
    Lose,
    /// Does not take it, answers an error.
    Refuse,
    /// Runs it and reverts.
    Revert,
}

/// What the rewards module answers.
#[derive(Clone, Default)]
pub struct NativeRewards {
    /// Under way.
    pub quarter: u64,
    /// The oldest that is not paid to everybody.
    pub paying: u64,
    pub source: Address,
    /// What the bridge held on Ethereum at a close whose share has come.
    pub locked: HashMap<u64, U256>,
    pub earned: HashMap<(Address, u64), U256>,
}

impl NativeRewards {
    fn answer(&self, data: &[u8]) -> Bytes {
        use IRewards::IRewardsCalls as Call;
        let zero = U256::ZERO;
        let answer = match Call::abi_decode(data).unwrap() {
            Call::standing(_) => IRewards::standingCall::abi_encode_returns(&IRewards::Standing {
                quarter: self.quarter,
                endsAtMs: 0,
                paying: self.paying,
                visited: 0,
                holders: 0,
                nextPot: zero,
                funded: true,
                awaitsShare: false,
            }),
            Call::rules(_) => IRewards::rulesCall::abi_encode_returns(&IRewards::Rules {
                pot: zero,
                leastPayment: zero,
                holdersPerBlock: 1,
                source: self.source,
            }),
            Call::report(call) => {
                assert!(call.quarter < self.quarter, "it is not closed");
                IRewards::reportCall::abi_encode_returns(&IRewards::Report {
                    quarter: call.quarter,
                    closedHeight: 1,
                    closedAtMs: 1,
                    paidHeight: u64::from(call.quarter < self.paying),
                    pot: zero,
                    eligible: zero,
                    paid: zero,
                    carried: zero,
                    released: zero,
                    remainder: zero,
                    holders: 0,
                    credited: 0,
                    waiting: 0,
                    nextFunded: true,
                    share: zero,
                    locked: self.locked.get(&call.quarter).copied().unwrap_or_default(),
                })
            }
            Call::earned(call) => {
                let earned = self.earned.get(&(call.account, call.quarter)).copied();
                IRewards::earnedCall::abi_encode_returns(&earned.unwrap_or_default())
            }
            _ => panic!("the fake chain does not know this view of the rewards"),
        };
        answer.into()
    }
}

#[derive(Default)]
pub struct Ledger {
    pub nonces: HashMap<Address, u64>,
    /// Waiting for an earlier nonce.
    pool: BTreeMap<(Address, u64), TxEnvelope>,
    receipts: HashMap<B256, (bool, u64)>,
    pub issued: HashMap<B256, U256>,
    pub balances: HashMap<Address, U256>,
    /// `Issued` events: block, transaction, name, receiver, amount.
    pub events: Vec<(u64, B256, B256, Address, U256)>,
    /// Issues asked for a second time.
    pub refused_repeats: u32,
    /// Different transactions seen per name.
    pub signatures: HashMap<B256, std::collections::HashSet<B256>>,
    pub broadcasts: u32,
    pub trouble: Vec<Trouble>,
    block: u64,
    pub genesis: u8,
    /// Its quarterly rewards, if it has any.
    pub rewards: Option<NativeRewards>,
    /// Answers nothing but who it is.
    pub down: bool,
    /// Takes transactions and makes no block.
    pub frozen: bool,
    /// Issues nothing to this one: a batch leaves it out, a single issue reverts.
    pub barred: Option<Address>,
    /// Transactions that were lost.
    pub lost: Vec<Bytes>,
    /// Becomes final when next a nonce is asked for, before the answer.
    pub late: Option<Bytes>,
    /// Every batch fails as a whole.
    pub no_batches: bool,
    /// Transfers between accounts that were carried out: by name, receiver and amount.
    pub transfers: Vec<(B256, Address, U256)>,
    /// How many entries each batch had that was carried out.
    pub batches: Vec<usize>,
    /// What receipts tell.
    logs: HashMap<B256, Vec<LogData>>,
}

/// What a transaction is to issue, and whether as a batch.
fn issues(transaction: &TxEnvelope) -> Option<(Vec<IPoints::Issue>, bool)> {
    let input = transaction.input();
    if let Ok(call) = IPoints::issueBatchCall::abi_decode(input) {
        return Some((call.issues, true));
    }
    let call = IPoints::issueCall::abi_decode(input).ok()?;
    let one = IPoints::Issue {
        to: call.to,
        amount: call.amount,
        conversionId: call.conversionId,
    };
    Some((vec![one], false))
}

/// What the points module takes for a transfer: 0.3 %, at most 300 points.
pub fn transfer_fee(amount: U256) -> U256 {
    (amount * U256::from(30) / U256::from(10_000)).min(U256::from(300_000_000))
}
/// What a transfer that pays with points costs at least.
const LEAST: u64 = 3_000;
/// Gas that a transfer uses, each at one micro-point.
const USED: u64 = 60_000;
/// Who is paid fees.
pub const TILL: Address = Address::repeat_byte(0xfe);

fn sender(transaction: &TxEnvelope) -> Result<Address, &'static str> {
    transaction
        .signature()
        .recover_address_from_prehash(&transaction.signature_hash())
        .map_err(|_| "bad signature")
}

impl Ledger {
    fn pay(&mut self, logs: &mut Vec<LogData>, from: Address, to: Address, value: U256) {
        if value.is_zero() {
            return;
        }
        *self.balances.entry(from).or_default() -= value;
        *self.balances.entry(to).or_default() += value;
        logs.push(IPoints::Transfer { from, to, value }.encode_log_data());
    }

    /// A transfer of points in the lane: whether it went well.
    fn run_transfer(
        &mut self,
        logs: &mut Vec<LogData>,
        from: Address,
        call: &IPoints::transferWithMemoCall,
        revert: bool,
    ) -> bool {
        let held = self.balances.get(&from).copied().unwrap_or_default();
        let fee = transfer_fee(call.amount);
        if revert || held < call.amount + fee {
            self.pay(logs, from, TILL, held.min(U256::from(USED)));
            return false;
        }
        self.pay(logs, from, call.to, call.amount);
        self.pay(logs, from, TILL, fee);
        let rest = U256::from(LEAST).saturating_sub(fee);
        let left = self.balances[&from];
        self.pay(logs, from, TILL, rest.min(left));
        self.transfers.push((call.memo, call.to, call.amount));
        true
    }

    fn run_pool(&mut self, revert: bool) {
        loop {
            let next = self.pool.iter().find_map(|((from, nonce), transaction)| {
                let due = self.nonces.get(from).copied().unwrap_or(0) == *nonce;
                due.then(|| (*from, *nonce, transaction.clone()))
            });
            let Some((from, nonce, transaction)) = next else {
                return;
            };
            self.pool.remove(&(from, nonce));
            self.nonces.insert(from, nonce + 1);
            self.block += 1;
            let hash = *transaction.tx_hash();
            if let Ok(call) = IPoints::transferWithMemoCall::abi_decode(transaction.input()) {
                let mut logs = Vec::new();
                let succeeded = self.run_transfer(&mut logs, from, &call, revert);
                self.receipts.insert(hash, (succeeded, self.block));
                self.logs.insert(hash, logs);
                continue;
            }
            let (issues, batch) = issues(&transaction).unwrap();
            let failed = revert || (batch && self.no_batches);
            let runs = !failed && transaction.to() == Some(POINTS);
            let mut logs = Vec::new();
            let mut done = 0;
            for (index, issue) in issues.iter().enumerate().take_while(|_| runs) {
                let outcome = self.run_one(hash, issue);
                if outcome == IPoints::Outcome::Done {
                    done += 1;
                    let event = IPoints::Issued {
                        conversionId: issue.conversionId,
                        to: issue.to,
                        amount: issue.amount,
                    };
                    logs.push(event.encode_log_data());
                }
                if batch {
                    let event = IPoints::EntryDone {
                        index: U256::from(index),
                        memo: issue.conversionId,
                        outcome,
                    };
                    logs.push(event.encode_log_data());
                }
            }
            if batch && runs {
                self.batches.push(issues.len());
            }
            let succeeded = runs && (batch || done == 1);
            self.receipts.insert(hash, (succeeded, self.block));
            self.logs.insert(hash, logs);
        }
    }

    fn run_one(&mut self, hash: B256, issue: &IPoints::Issue) -> IPoints::Outcome {
        if self.issued.contains_key(&issue.conversionId) {
            self.refused_repeats += 1;
            return IPoints::Outcome::AlreadyIssued;
        }
        if self.barred == Some(issue.to) {
            return IPoints::Outcome::BadReceiver;
        }
        self.issued.insert(issue.conversionId, issue.amount);
        *self.balances.entry(issue.to).or_default() += issue.amount;
        self.events
            .push((self.block, hash, issue.conversionId, issue.to, issue.amount));
        IPoints::Outcome::Done
    }

    /// Makes blocks again, and carries out what waits.
    pub fn thaw(&mut self) {
        self.frozen = false;
        self.run_pool(false);
    }

    fn take(&mut self, raw: &[u8], revert: bool) -> Result<B256, &'static str> {
        let transaction = TxEnvelope::decode_2718(&mut &*raw).map_err(|_| "undecodable")?;
        if transaction.chain_id() != Some(CHAIN_ID) {
            return Err("wrong chain id");
        }
        let from = sender(&transaction)?;
        let hash = *transaction.tx_hash();
        let names = match IPoints::transferWithMemoCall::abi_decode(transaction.input()) {
            Ok(call) => {
                let reserve = U256::from(transaction.gas_limit());
                let held = self.balances.get(&from).copied().unwrap_or_default();
                if transaction.max_fee_per_gas() > 0 || held < reserve {
                    return Err("it does not pay with points");
                }
                vec![call.memo]
            }
            Err(_) => {
                let (issues, _) = issues(&transaction).ok_or("not an issue")?;
                issues.iter().map(|issue| issue.conversionId).collect()
            }
        };
        for name in names {
            self.signatures.entry(name).or_default().insert(hash);
        }
        if self.receipts.contains_key(&hash) {
            return Err("already known");
        }
        if transaction.nonce() < self.nonces.get(&from).copied().unwrap_or(0) {
            return Err("nonce too low");
        }
        self.pool.insert((from, transaction.nonce()), transaction);
        if !self.frozen {
            self.run_pool(revert);
        }
        Ok(hash)
    }

    /// Somebody issues points whom the gateway does not know.
    pub fn issue_foreign(&mut self, name: B256, amount: U256) {
        self.block += 1;
        self.issued.insert(name, amount);
        self.events.push((
            self.block,
            B256::with_last_byte(1),
            name,
            Address::with_last_byte(1),
            amount,
        ));
    }

    pub fn total(&self) -> U256 {
        self.issued
            .values()
            .fold(U256::ZERO, |sum, amount| sum + amount)
    }
}

pub struct Chain {
    pub url: String,
    pub ledger: Arc<Mutex<Ledger>>,
    server: JoinHandle<()>,
}

impl Drop for Chain {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Chain {
    pub async fn start(gate: Arc<Gate>) -> Self {
        let ledger = Arc::new(Mutex::new(Ledger::default()));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let app = Router::new()
            .route("/", post(rpc))
            .with_state((Arc::clone(&ledger), gate));
        let server = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self {
            url,
            ledger,
            server,
        }
    }

    /// The most different transactions that were seen for one conversion.
    pub fn most_signatures(&self) -> usize {
        let ledger = self.ledger.lock().unwrap();
        ledger
            .signatures
            .values()
            .map(std::collections::HashSet::len)
            .max()
            .unwrap_or(0)
    }

    pub fn trouble(&self, trouble: impl IntoIterator<Item = Trouble>) {
        self.ledger.lock().unwrap().trouble.extend(trouble);
    }
}

async fn rpc(
    State((ledger, gate)): State<(Arc<Mutex<Ledger>>, Arc<Gate>)>,
    Json(request): Json<Value>,
) -> Response {
    let id = request["id"].clone();
    let method = request["method"].as_str().unwrap().to_owned();
    // Asking who the chain is belongs to starting, not to a conversion.
    let starting = matches!(method.as_str(), "mileverse_chain" | "eth_chainId");
    let pass = if starting {
        Pass::Go
    } else {
        gate.arrive().await
    };
    if !starting && ledger.lock().unwrap().down {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    let outcome = answer(&mut ledger.lock().unwrap(), &method, &request["params"]);
    if pass == Pass::DieAfter {
        gate.die().await;
    }
    match outcome {
        Ok(result) => Json(json!({ "jsonrpc": "2.0", "id": id, "result": result })).into_response(),
        Err(None) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        Err(Some(message)) => Json(json!({
            "jsonrpc": "2.0", "id": id, "error": { "code": -32000, "message": message },
        }))
        .into_response(),
    }
}

fn answer(
    ledger: &mut Ledger,
    method: &str,
    params: &Value,
) -> Result<Value, Option<&'static str>> {
    let text = |at: usize| params[at].as_str().unwrap().to_owned();
    Ok(match method {
        "eth_chainId" => json!(format!("{CHAIN_ID:#x}")),
        "mileverse_chain" => json!({
            "chainId": CHAIN_ID,
            "genesisHash": B256::repeat_byte(ledger.genesis),
            "namespace": "0x00",
            "groupKey": "0x00",
        }),
        "eth_getTransactionCount" => {
            let account: Address = text(0).parse().unwrap();
            if let Some(late) = ledger.late.take() {
                ledger.take(&late, false).map_err(Some)?;
            }
            json!(format!(
                "{:#x}",
                ledger.nonces.get(&account).copied().unwrap_or(0)
            ))
        }
        "eth_sendRawTransaction" => {
            ledger.broadcasts += 1;
            let raw: Bytes = text(0).parse().unwrap();
            let trouble = if ledger.trouble.is_empty() {
                None
            } else {
                Some(ledger.trouble.remove(0))
            };
            match trouble {
                None => json!(ledger.take(&raw, false).map_err(Some)?),
                Some(Trouble::Refuse) => return Err(Some("out of order")),
                Some(Trouble::Lose) => {
                    ledger.lost.push(raw.clone());
                    json!(
                        *TxEnvelope::decode_2718(&mut raw.as_ref())
                            .unwrap()
                            .tx_hash()
                    )
                }
                Some(Trouble::Revert) => json!(ledger.take(&raw, true).map_err(Some)?),
                Some(Trouble::TakeButRefuse) => {
                    ledger.take(&raw, false).map_err(Some)?;
                    return Err(Some("something odd"));
                }
                Some(Trouble::TakeButFail) => {
                    ledger.take(&raw, false).map_err(Some)?;
                    return Err(None);
                }
            }
        }
        "eth_blockNumber" => json!(format!("{:#x}", ledger.block)),
        "eth_getLogs" => {
            let number = |name: &str| {
                let text = params[0][name].as_str().unwrap();
                u64::from_str_radix(text.trim_start_matches("0x"), 16).unwrap()
            };
            let blocks = number("fromBlock")..=number("toBlock");
            assert_eq!(params[0]["address"], json!(POINTS));
            let found = ledger
                .events
                .iter()
                .filter(|(block, ..)| blocks.contains(block));
            let logs: Vec<_> = found
                .map(|(block, hash, name, to, amount)| {
                    let event = IPoints::Issued {
                        conversionId: *name,
                        to: *to,
                        amount: *amount,
                    };
                    let data = event.encode_log_data();
                    json!({
                        "address": POINTS,
                        "topics": data.topics(),
                        "data": data.data,
                        "blockNumber": format!("{block:#x}"),
                        "transactionHash": hash,
                    })
                })
                .collect();
            json!(logs)
        }
        "eth_getTransactionReceipt" => {
            let hash: B256 = text(0).parse().unwrap();
            match ledger.receipts.get(&hash) {
                None => Value::Null,
                Some((succeeded, block)) => json!({
                    "transactionHash": hash,
                    "blockNumber": format!("{block:#x}"),
                    "status": if *succeeded { "0x1" } else { "0x0" },
                    "logs": ledger.logs.get(&hash).into_iter().flatten().map(|log| json!({
                        "address": POINTS, "topics": log.topics(), "data": log.data,
                    })).collect::<Vec<_>>(),
                }),
            }
        }
        "eth_call" => {
            let data: Bytes = params[0]["data"].as_str().unwrap().parse().unwrap();
            if params[0]["to"] == json!(REWARDS) {
                return Ok(json!(ledger.rewards.as_ref().unwrap().answer(&data)));
            }
            let value = if let Ok(call) = IPoints::balanceOfCall::abi_decode(&data) {
                let held = ledger.balances.get(&call.account);
                held.copied().unwrap_or_default()
            } else if let Ok(call) = IPoints::transferFeeCall::abi_decode(&data) {
                transfer_fee(call.amount)
            } else if let Ok(call) = IPoints::issuedCall::abi_decode(&data) {
                ledger
                    .issued
                    .get(&call.conversionId)
                    .copied()
                    .unwrap_or_default()
            } else {
                ledger.total()
            };
            json!(B256::from(value))
        }
        other => panic!("the fake chain does not know {other}"),
    })
}
