//! A partner and a chain that answer at once, and count.

use alloy::consensus::{Transaction as _, TxEnvelope};
use alloy::eips::eip2718::Decodable2718 as _;
use alloy::primitives::{B256, Bytes, LogData, U256};
use alloy::sol_types::{SolCall as _, SolEvent as _};
use async_trait::async_trait;
use axum::{Json, Router, extract::State, http::StatusCode, routing::post};
use mileverse_adapters::{
    Adapter, AskError, Capabilities, Debit, Inquiry, MemberId, Miles, Reference, Reversal, Session,
};
use mileverse_primitives::{abi::IPoints, address::POINTS};
use secrecy::SecretString;
use serde_json::{Value, json};
use std::collections::{HashMap, hash_map::Entry};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

const CHAIN_ID: u64 = 9_473;

/// Whose every member has miles without end.
#[derive(Debug, Default)]
pub struct Partner {
    /// Miles that were taken.
    pub taken: AtomicU64,
}

#[async_trait]
impl Adapter for Partner {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            part_conversion: true,
            inquiry: true,
            reversal: false,
            visibility_window: Duration::from_secs(1),
            timeout: Duration::from_secs(1),
        }
    }

    async fn reachable(&self) -> Result<(), AskError> {
        Ok(())
    }

    async fn authenticate(&self, login: &str, _: &SecretString) -> Result<Session, AskError> {
        Ok(Session {
            member: MemberId::new(login).map_err(|_| AskError::MemberRefused)?,
            token: SecretString::from("token"),
        })
    }

    async fn balance(&self, _: &Session) -> Result<Miles, AskError> {
        Ok(Miles::new(u64::from(u32::MAX)))
    }

    async fn debit(&self, _: &Session, reference: &Reference, miles: Miles) -> Debit {
        self.taken.fetch_add(miles.get(), Ordering::Relaxed);
        Debit::Applied {
            partner_reference: format!("stub-{reference}"),
        }
    }

    async fn inquire(&self, _: &Reference) -> Inquiry {
        Inquiry::NotFound
    }

    async fn reverse(&self, _: &Reference) -> Reversal {
        Reversal::Refused("a stub gives nothing back".to_owned())
    }
}

/// What the chain's stub knows.
#[derive(Debug, Default)]
struct Ledger {
    /// By name, with the block.
    issued: HashMap<B256, U256>,
    receipts: HashMap<B256, (u64, Vec<LogData>)>,
    total: U256,
    next_nonce: u64,
}

/// A chain whose every transaction is final at once.
#[derive(Debug)]
pub struct Chain {
    /// Its JSON-RPC.
    pub url: String,
    ledger: Arc<Mutex<Ledger>>,
    server: JoinHandle<()>,
}

impl Drop for Chain {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Chain {
    /// Starts it.
    pub async fn start() -> std::io::Result<Self> {
        let ledger = Arc::new(Mutex::new(Ledger::default()));
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        let app = Router::new()
            .route("/", post(rpc))
            .with_state(Arc::clone(&ledger));
        let server = tokio::spawn(async move {
            let _ = axum::serve(listener, app).await;
        });
        Ok(Self {
            url,
            ledger,
            server,
        })
    }

    /// Micro-points ever issued.
    pub fn total(&self) -> U256 {
        let ledger = self.ledger.lock().unwrap_or_else(PoisonError::into_inner);
        ledger.total
    }
}

async fn rpc(
    State(ledger): State<Arc<Mutex<Ledger>>>,
    Json(request): Json<Value>,
) -> Result<Json<Value>, StatusCode> {
    let method = request.get("method").and_then(Value::as_str);
    let parameters = request.get("params").unwrap_or(&Value::Null);
    let mut ledger = ledger.lock().unwrap_or_else(PoisonError::into_inner);
    let result = answer(&mut ledger, method.unwrap_or_default(), parameters);
    let result = result.ok_or(StatusCode::BAD_REQUEST)?;
    let id = request.get("id");
    Ok(Json(
        json!({ "jsonrpc": "2.0", "id": id, "result": result }),
    ))
}

/// What a call is to issue, one or many.
fn issues(input: &[u8]) -> Option<Vec<IPoints::Issue>> {
    if let Ok(batch) = IPoints::issueBatchCall::abi_decode(input) {
        return Some(batch.issues);
    }
    let call = IPoints::issueCall::abi_decode(input).ok()?;
    Some(vec![IPoints::Issue {
        to: call.to,
        amount: call.amount,
        conversionId: call.conversionId,
    }])
}

fn answer(ledger: &mut Ledger, method: &str, parameters: &Value) -> Option<Value> {
    let first = || parameters.get(0);
    Some(match method {
        "eth_chainId" => json!(format!("{CHAIN_ID:#x}")),
        "mileverse_chain" => json!({
            "chainId": CHAIN_ID,
            "genesisHash": B256::ZERO,
            "namespace": "0x00",
            "groupKey": "0x00",
        }),
        "eth_getTransactionCount" => json!(format!("{:#x}", ledger.next_nonce)),
        "eth_sendRawTransaction" => {
            let raw: Bytes = first()?.as_str()?.parse().ok()?;
            let transaction = TxEnvelope::decode_2718(&mut raw.as_ref()).ok()?;
            let hash = *transaction.tx_hash();
            ledger.next_nonce = ledger.next_nonce.max(transaction.nonce().checked_add(1)?);
            let mut logs = Vec::new();
            for call in issues(transaction.input())? {
                // Once for a name, like the real one.
                if let Entry::Vacant(issue) = ledger.issued.entry(call.conversionId) {
                    issue.insert(call.amount);
                    ledger.total = ledger.total.checked_add(call.amount)?;
                    let event = IPoints::Issued {
                        conversionId: call.conversionId,
                        to: call.to,
                        amount: call.amount,
                    };
                    logs.push(event.encode_log_data());
                }
            }
            if !logs.is_empty() {
                let block = u64::try_from(ledger.receipts.len()).ok()?;
                ledger.receipts.insert(hash, (block, logs));
            }
            json!(hash)
        }
        "eth_getTransactionReceipt" => {
            let hash: B256 = first()?.as_str()?.parse().ok()?;
            ledger.receipts.get(&hash).map_or(Value::Null, |(block, logs)| {
                let log = |log: &LogData| {
                    json!({ "address": POINTS, "topics": log.topics(), "data": log.data })
                };
                json!({
                    "logs": logs.iter().map(log).collect::<Vec<_>>(),
                    "transactionHash": hash,
                    "blockNumber": format!("{block:#x}"),
                    "status": "0x1",
                })
            })
        }
        "eth_call" => {
            let data: Bytes = first()?.get("data")?.as_str()?.parse().ok()?;
            let value = match IPoints::issuedCall::abi_decode(&data) {
                Ok(call) => ledger
                    .issued
                    .get(&call.conversionId)
                    .copied()
                    .unwrap_or_default(),
                Err(_) => ledger.total,
            };
            json!(B256::from(value))
        }
        _ => return None,
    })
}
