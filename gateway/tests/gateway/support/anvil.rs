//! A chain with the real pool and the real oracle at their addresses, on anvil: two ERC-20s in the place of
//! points and coin, and a clock that a test moves.

use alloy::network::{EthereumWallet, TransactionBuilder as _};
use alloy::primitives::{Address, B256, Bytes, U256, address, hex};
use alloy::providers::{DynProvider, Provider as _, ProviderBuilder};
use alloy::rpc::types::TransactionRequest;
use alloy::signers::local::PrivateKeySigner;
use alloy::sol_types::{SolCall, SolValue};
use mileverse_bindings::MileVerseCoin;
use mileverse_primitives::exchange::{ORACLE, Oracle, POOL, Pool};
use serde_json::{Value, json};
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// Anvil's first account, and its key.
pub const TRADER: Address = address!("f39Fd6e51aad88F6F4ce6aB8827279cffFb92266");
const KEY: [u8; 32] = hex!("ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80");

/// The chain; it is stopped when dropped.
pub struct Anvil {
    child: Child,
    pub url: String,
    pub provider: DynProvider,
    /// In the pool's order.
    pub tokens: [Address; 2],
}

impl Drop for Anvil {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn program() -> std::path::PathBuf {
    let packages =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../contracts/node_modules/@foundry-rs");
    fs::read_dir(&packages)
        .expect("run `npm ci` in contracts/ first")
        .map(|entry| entry.unwrap().path())
        .map(|path| path.join("bin/anvil"))
        .find(|path| path.exists() && !path.to_string_lossy().contains("foundry-rs/anvil/"))
        .expect("anvil for this platform")
}

impl Anvil {
    /// A chain that begins at this second, with a pool in which there is nothing.
    pub async fn start(begin: u64) -> Self {
        let mut child = Command::new(program())
            .args([
                "--port",
                "0",
                "--timestamp",
                &begin.to_string(),
                "--no-mining",
            ])
            .args(["--gas-limit", "30000000", "--order", "fifo"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let url = loop {
            let line = lines.next().expect("anvil listens").unwrap();
            if let Some((_, address)) = line.split_once("Listening on ") {
                break format!("http://{}", address.trim());
            }
        };
        // What it says further is of no use, and must not stop it.
        std::thread::spawn(move || lines.for_each(drop));
        let key = PrivateKeySigner::from_bytes(&B256::from(KEY)).unwrap();
        let provider = ProviderBuilder::new()
            .wallet(EthereumWallet::from(key))
            .connect_http(url.parse().unwrap())
            .erased();
        let mut anvil = Self {
            child,
            url,
            provider,
            tokens: [Address::ZERO; 2],
        };
        for (place, code) in [
            (POOL, &Pool::DEPLOYED_BYTECODE),
            (ORACLE, &Oracle::DEPLOYED_BYTECODE),
        ] {
            anvil.ask("anvil_setCode", json!([place, code])).await;
        }
        let supply = U256::from(3_000_000_000u64) * U256::from(10).pow(U256::from(18));
        let shares = vec![MileVerseCoin::Share {
            account: TRADER,
            amount: supply,
        }];
        let create: Bytes = [&MileVerseCoin::BYTECODE[..], &(shares,).abi_encode_params()]
            .concat()
            .into();
        let mut tokens = Vec::new();
        for second in 1..=2 {
            let request = TransactionRequest::default()
                .with_deploy_code(create.clone())
                .gas_limit(10_000_000);
            tokens.push(anvil.send(request, begin + second).await.unwrap());
        }
        tokens.sort();
        anvil.tokens = [tokens[0], tokens[1]];
        for (slot, token) in [5u64, 6].into_iter().zip(anvil.tokens) {
            let slot = B256::from(U256::from(slot));
            anvil
                .ask("anvil_setStorageAt", json!([POOL, slot, token.into_word()]))
                .await;
        }
        for (second, token) in (3u64..).zip(anvil.tokens) {
            let approve = MileVerseCoin::approveCall {
                spender: POOL,
                value: U256::MAX,
            };
            anvil.call(token, &approve, begin + second).await;
        }
        anvil
    }

    pub async fn ask(&self, method: &'static str, parameters: Value) -> Value {
        self.provider
            .raw_request(method.into(), parameters)
            .await
            .unwrap()
    }

    /// A transaction in a block of its own at this second; what it created.
    async fn send(&self, request: TransactionRequest, second: u64) -> Option<Address> {
        let pending = self.provider.send_transaction(request).await.unwrap();
        let hash = *pending.tx_hash();
        self.mine(second).await;
        let receipt = self.provider.get_transaction_receipt(hash).await.unwrap();
        let receipt = receipt.expect("it is in the block");
        assert!(receipt.status(), "the call at second {second} failed");
        receipt.contract_address
    }

    /// A call in a block of its own at this second.
    pub async fn call(&self, to: Address, call: &impl SolCall, second: u64) {
        let request = TransactionRequest::default()
            .to(to)
            .input(Bytes::from(call.abi_encode()).into())
            .gas_limit(1_000_000);
        self.send(request, second).await;
    }

    /// A block at this second.
    pub async fn mine(&self, second: u64) {
        self.ask("evm_setNextBlockTimestamp", json!([second])).await;
        self.ask("evm_mine", json!([])).await;
    }

    /// The pool's reserves.
    pub async fn reserves(&self) -> [U256; 2] {
        let request = TransactionRequest::default()
            .to(POOL)
            .input(Bytes::from(Pool::reservesCall {}.abi_encode()).into());
        let output = self.provider.call(request).await.unwrap();
        let found = Pool::reservesCall::abi_decode_returns(&output).unwrap();
        [found.reserve0, found.reserve1]
    }
}
