//! An Ethereum that speaks just enough JSON-RPC: transactions that a test puts in, and the last
//! finalized block.

use alloy::primitives::{Address, B256};
use axum::extract::State;
use axum::{Json, Router, routing::post};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

pub const CHAIN_ID: u64 = 31_337;

#[derive(Clone)]
pub struct Payment {
    pub to: Address,
    pub wei: u128,
    pub block: u64,
    pub succeeded: bool,
}

#[derive(Default)]
pub struct Ledger {
    pub payments: HashMap<B256, Payment>,
    pub finalized: u64,
    /// Seconds since 1970, of every block.
    pub time: i64,
}

pub struct Ethereum {
    pub url: String,
    pub ledger: Arc<Mutex<Ledger>>,
    server: JoinHandle<()>,
}

impl Drop for Ethereum {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Ethereum {
    pub async fn start() -> Self {
        let ledger = Arc::new(Mutex::new(Ledger::default()));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let app = Router::new()
            .route("/", post(rpc))
            .with_state(Arc::clone(&ledger));
        let server = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self {
            url,
            ledger,
            server,
        }
    }
}

async fn rpc(State(ledger): State<Arc<Mutex<Ledger>>>, Json(request): Json<Value>) -> Json<Value> {
    let ledger = ledger.lock().unwrap();
    let params = &request["params"];
    let payment = || {
        let hash: B256 = params[0].as_str().unwrap().parse().unwrap();
        ledger.payments.get(&hash).cloned()
    };
    let result = match request["method"].as_str().unwrap() {
        "eth_chainId" => json!(format!("{CHAIN_ID:#x}")),
        "eth_getTransactionByHash" => payment().map_or(Value::Null, |payment| {
            json!({
                "to": payment.to,
                "value": format!("{:#x}", payment.wei),
                "blockNumber": format!("{:#x}", payment.block),
            })
        }),
        "eth_getTransactionReceipt" => payment().map_or(Value::Null, |payment| {
            json!({
                "status": if payment.succeeded { "0x1" } else { "0x0" },
                "blockNumber": format!("{:#x}", payment.block),
            })
        }),
        "eth_getBlockByNumber" => {
            let number = match params[0].as_str().unwrap() {
                "finalized" => format!("{:#x}", ledger.finalized),
                number => number.to_owned(),
            };
            json!({ "number": number, "timestamp": format!("{:#x}", ledger.time) })
        }
        other => panic!("the fake Ethereum does not know {other}"),
    };
    Json(json!({ "jsonrpc": "2.0", "id": request["id"], "result": result }))
}
