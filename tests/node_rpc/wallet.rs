//! `mileverse wallet` as a person uses it, against a real node: seed words, swaps, history.

use super::node::{Node, free, issue};
use alloy::{
    network::TransactionBuilder as _,
    primitives::{Address, U256, address},
    providers::{DynProvider, Provider as _},
    rpc::types::TransactionRequest,
    sol_types::SolCall,
};
use mileverse_primitives::{
    abi::IPoints,
    address::POINTS,
    exchange::{POOL, Pool::provideCall},
    staking::coins,
};
use serde_json::Value;
use std::{
    fs,
    path::PathBuf,
    process::{Command, Output, Stdio},
};
use tempfile::TempDir;

/// The words that development tools share; account 1 of them.
const WORDS: &str = "test test test test test test test test test test test junk";
const ACCOUNT: Address = address!("70997970C51812dc3A010C7d01b50e0d17dc79C8");

struct Wallet {
    directory: TempDir,
    url: String,
}

impl Wallet {
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mileverse"));
        command
            .args(["wallet", "--json", "--native-rpc", &self.url])
            .args(arguments)
            .arg("--keystore")
            .arg(self.path("key.json"))
            .env_remove("MILEVERSE_ETHEREUM_RPC")
            .env("MILEVERSE_PASSWORD", "secret")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn run(&self, arguments: &[&str]) -> Value {
        answer(&self.command(arguments).output().unwrap())
    }

    fn refused(&self, arguments: &[&str]) -> String {
        let output = self.command(arguments).output().unwrap();
        assert!(!output.status.success(), "{arguments:?} should be refused");
        assert!(output.stdout.is_empty());
        String::from_utf8(output.stderr).unwrap()
    }
}

/// The last line of stdout, and nothing secret on stderr.
fn answer(output: &Output) -> Value {
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert!(!said.contains("junk"));
    let text = String::from_utf8_lossy(&output.stdout);
    serde_json::from_str(text.lines().last().unwrap()).unwrap()
}

pub async fn send(provider: &DynProvider, request: TransactionRequest) {
    let pending = provider.send_transaction(request).await.unwrap();
    assert!(pending.get_receipt().await.unwrap().status());
}

async fn call(provider: &DynProvider, to: Address, value: U256, price: u64, call: &impl SolCall) {
    let request = TransactionRequest::default()
        .with_to(to)
        .with_value(value)
        .with_input(call.abi_encode());
    send(provider, free(request).with_gas_price(price.into())).await;
}

/// 0.5 MVP and 5 MVC in the pool: a tenth of a point for a coin.
pub async fn open_pool(node: &Node, provider: &DynProvider) {
    open_pool_at(node, provider, 0).await;
}

/// The same where a gas costs so much.
pub async fn open_pool_at(node: &Node, provider: &DynProvider, price: u64) {
    send(provider, issue(node.issuer.address(), 500_000, "pool")).await;
    let approve = IPoints::approveCall {
        spender: POOL,
        amount: U256::MAX,
    };
    call(provider, POINTS, U256::ZERO, 0, &approve).await;
    let provide = provideCall {
        most0: U256::from(500_000),
        most1: coins(5),
        leastShares: U256::ONE,
        receiver: node.issuer.address(),
        deadline: U256::MAX,
    };
    call(provider, POOL, coins(5), price, &provide).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wallet_from_words_swaps_and_remembers() {
    let node = Node::start().await;
    let provider = node.provider();
    let wallet = Wallet {
        directory: tempfile::tempdir().unwrap(),
        url: node.url.clone(),
    };

    // Words need a person; nothing is left behind.
    let said = wallet.refused(&["new"]);
    assert!(said.contains("terminal"), "{said}");
    assert!(!wallet.path("key.json").exists());
    let words = wallet.path("words");
    let words_file = words.to_str().unwrap();
    fs::write(&words, WORDS.replace("junk", "test")).unwrap();
    let said = wallet.refused(&["restore", "--words-file", words_file]);
    assert!(
        said.contains("checksum") && !said.contains("test test"),
        "{said}"
    );
    fs::write(&words, WORDS).unwrap();
    let restored = wallet.run(&["restore", "--words-file", words_file, "--account", "1"]);
    assert_eq!(restored["address"], ACCOUNT.to_string().to_lowercase());
    assert_eq!(restored["path"], "m/44'/60'/0'/0/1");
    let said = wallet.refused(&["restore", "--words-file", words_file]);
    assert!(said.contains("never overwritten"), "{said}");
    assert!(
        !fs::read_to_string(wallet.path("key.json"))
            .unwrap()
            .contains("junk")
    );

    // A pool that nobody has provided for says so.
    let said = wallet.refused(&["swap", "--give", "mvp", "--amount", "0.1", "--quote"]);
    assert!(said.contains("PoolEmpty"), "{said}");
    open_pool(&node, &provider).await;
    send(&provider, issue(ACCOUNT, 200_000, "member")).await;
    let gift = TransactionRequest::default()
        .with_to(ACCOUNT)
        .with_value(coins(1));
    send(&provider, free(gift)).await;

    let balances = wallet.run(&["balance"]);
    let list = balances["balances"].as_array().unwrap();
    assert_eq!(list.len(), 2, "only the chain that was named: {balances}");
    assert_eq!(list[0]["balance"]["amount"], "0.2");

    let quote = wallet.run(&["swap", "--give", "mvp", "--amount", "0.1", "--quote"]);
    assert_eq!(quote["price"]["amount"], "0.1");
    // 0.0997 / 0.5997 of five coins.
    assert_eq!(quote["receive"]["amount"], "0.831248957812239453");
    // Without a terminal nobody can be asked, so nothing is signed.
    let said = wallet.refused(&["swap", "--give", "mvp", "--amount", "0.1"]);
    assert!(said.contains("--yes"), "{said}");
    let swapped = wallet.run(&["swap", "--give", "mvp", "--amount", "0.1", "--yes"]);
    assert_eq!(swapped["swapped"]["received"], quote["receive"]);
    assert_eq!(swapped["swapped"]["gave"]["amount"], "0.1");
    let balances = wallet.run(&["balance"]);
    assert_eq!(balances["balances"][0]["balance"]["amount"], "0.1");
    assert_eq!(
        balances["balances"][1]["balance"]["amount"],
        "1.831248957812239453"
    );

    // The other way, exactly so much; whoever watches sees it happen.
    let watching = wallet
        .command(&["watch", "--seconds", "4"])
        .spawn()
        .unwrap();
    let swapped = wallet.run(&["swap", "--receive", "mvp", "--amount", "0.05", "--yes"]);
    assert_eq!(swapped["swapped"]["received"]["amount"], "0.05");
    let shop = Address::repeat_byte(0x55).to_string();
    for (token, amount) in [("mvp", "0.01"), ("mvc", "0.25")] {
        wallet.run(&[
            "send", "--token", token, "--amount", amount, "--to", &shop, "--yes",
        ]);
    }
    let said = wallet.refused(&["send", "--token", "mvp", "--amount", "0.01", "--to", &shop]);
    assert!(said.contains("--yes"), "{said}");

    let history = wallet.run(&["history"]);
    let entries = history["history"]["entries"].as_array().unwrap();
    let kinds: Vec<_> = entries
        .iter()
        .map(|entry| entry["kind"].as_str().unwrap())
        .collect();
    assert_eq!(
        kinds,
        ["sent", "sent", "swapped", "swapped", "made"],
        "{history}"
    );
    assert_eq!(entries[0]["out"][0]["amount"], "0.25");
    assert_eq!(entries[2]["in"][0]["amount"], "0.05");
    assert_eq!(
        entries[2]["transaction"],
        swapped["swapped"]["transaction"]["hash"]
    );
    assert_eq!(
        wallet.run(&["history", "--limit", "2"])["history"]["entries"]
            .as_array()
            .unwrap()
            .len(),
        2
    );

    // Points are paid out of coin in one transaction: exactly so many arrive.
    let paid = wallet.run(&[
        "pay", "--to", &shop, "--points", "0.02", "--with", "mvc", "--memo", "bill 7", "--yes",
    ]);
    assert_eq!(paid["paid"]["amount"]["amount"], "0.02");
    assert_eq!(paid["paid"]["gave"]["token"], "MVC");
    let shop_has = super::node::balance(&provider, shop.parse().unwrap()).await;
    assert_eq!(shop_has, U256::from(30_000));
    let paid = wallet.run(&["pay", "--to", &shop, "--points", "0.01", "--yes"]);
    assert_eq!(paid["paid"]["gave"]["amount"], "0.01");
    // And coin out of points: one transaction, with a permit in it.
    let sent = provider.get_transaction_count(ACCOUNT).await.unwrap();
    let paid = wallet.run(&[
        "pay", "--to", &shop, "--coin", "0.125", "--with", "mvp", "--yes",
    ]);
    assert_eq!(paid["paid"]["amount"]["amount"], "0.125");
    assert_eq!(paid["paid"]["gave"]["token"], "MVP");
    assert_eq!(
        provider.get_transaction_count(ACCOUNT).await.unwrap(),
        sent + 1
    );
    assert_eq!(
        provider.get_balance(shop.parse().unwrap()).await.unwrap(),
        U256::from(375_000_000_000_000_000_u64)
    );
    // Exactly so much coin for oneself, too.
    let swapped = wallet.run(&["swap", "--receive", "mvc", "--amount", "0.05", "--yes"]);
    assert_eq!(swapped["swapped"]["received"]["amount"], "0.05");
    assert_eq!(
        provider.get_transaction_count(ACCOUNT).await.unwrap(),
        sent + 2
    );
    let said = wallet.refused(&["pay", "--to", &shop, "--points", "9", "--yes"]);
    assert!(said.contains("less than"), "{said}");

    let watched = watching.wait_with_output().unwrap();
    let text = String::from_utf8_lossy(&watched.stdout);
    assert!(
        text.lines().count() >= 2 && text.contains("swapped"),
        "{text}"
    );
    assert!(answer(&watched)["entries"].as_u64().unwrap() >= 1);
}
