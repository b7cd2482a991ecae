//! A chain where gas costs coin: who has none is carried by an operator's deposit or by its stake, through
//! the pool, in blocks, in receipts, by `cast`, alloy and `mileverse fees`.

use super::{
    asking::{refusal, result},
    node::{ANSWER, Node, balance, free, issue},
    wallet::send,
};
use alloy::{
    network::{EthereumWallet, TransactionBuilder as _},
    primitives::{Address, U256, hex},
    providers::{DynProvider, Provider as _, ProviderBuilder},
    rpc::types::TransactionRequest,
    signers::local::PrivateKeySigner,
    sol_types::SolCall as _,
};
use mileverse_primitives::{
    abi::{IBridge, IPoints, IStaking},
    address::{BRIDGE, POINTS, STAKING},
    fees::FeeRules,
    rpc::{GasPayer, GasQuote},
    staking::coins,
};
use serde_json::{Value, json};
use std::{
    fs,
    process::{Command, Stdio},
};

/// A gas costs a billionth of a coin.
pub const BASE: u64 = 1_000_000_000;

pub fn rules() -> FeeRules {
    FeeRules {
        base_price: BASE,
        notice_seconds: 1,
        free_gas_per_coin: 100_000,
        free_gas_epochs: 2_000,
        ..FeeRules::default()
    }
}

/// `mileverse fees` with the issuer's keystore.
pub struct Operator {
    directory: tempfile::TempDir,
    url: String,
}

impl Operator {
    pub fn new(node: &Node) -> Self {
        let operator = Self {
            directory: tempfile::tempdir().unwrap(),
            url: node.url.clone(),
        };
        let key = operator.directory.path().join("key");
        fs::write(&key, hex::encode(node.issuer.to_bytes())).unwrap();
        operator.run(&[
            "wallet",
            "import",
            "--private-key-file",
            key.to_str().unwrap(),
        ]);
        operator
    }

    pub fn run(&self, arguments: &[&str]) -> Value {
        let output = Command::new(env!("CARGO_BIN_EXE_mileverse"))
            .args(arguments)
            .args(["--json", "--native-rpc", &self.url, "--keystore"])
            .arg(self.directory.path().join("key.json"))
            .env_remove("MILEVERSE_ETHEREUM_RPC")
            .env("MILEVERSE_PASSWORD", "secret")
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {said}");
        let text = String::from_utf8_lossy(&output.stdout);
        serde_json::from_str(text.lines().last().unwrap()).unwrap()
    }
}

pub fn user(node: &Node) -> (DynProvider, Address, String) {
    let key = PrivateKeySigner::random();
    let (address, hex) = (key.address(), hex::encode_prefixed(key.to_bytes()));
    let provider = ProviderBuilder::new()
        .wallet(EthereumWallet::from(key))
        .connect_http(node.url.parse().unwrap())
        .erased();
    (provider, address, hex)
}

async fn quote(node: &Node, from: Address, to: Address, gas: u64, price: u64) -> GasQuote {
    let asked = json!([{
        "from": from, "to": to, "gas": format!("{gas:#x}"), "gasPrice": format!("{price:#x}"),
    }]);
    serde_json::from_value(result(node, "mileverse_gasQuote", asked).await).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_no_coin_is_carried_where_gas_costs_something() {
    let node = Node::charging(rules()).await;
    let rich = node.provider();
    // A contract, deployed as everybody deploys: its gas is paid.
    let create = TransactionRequest::default().with_deploy_code(ANSWER.to_vec());
    let receipt = rich.send_transaction(create).await.unwrap();
    let receipt = receipt.get_receipt().await.unwrap();
    assert!(receipt.effective_gas_price >= u128::from(BASE));
    let contract = receipt.contract_address.unwrap();
    let named = contract.to_string();

    let (poor, me, key) = user(&node);
    // Named, since alloy counts a transaction that was refused.
    let call = |nonce| {
        TransactionRequest::default()
            .with_nonce(nonce)
            .with_from(me)
            .with_to(contract)
            .with_gas_price(BASE.into())
    };
    let lonely = poor.send_transaction(call(0).with_gas_limit(50_000)).await;
    let said = lonely.unwrap_err().to_string();
    assert!(said.contains("insufficient funds"), "{said}");

    // Its operator claims it, deposits, and says what it pays.
    let operator = Operator::new(&node);
    let claimed = operator.run(&["fees", "claim", "--contract", &named]);
    assert_eq!(claimed["operator"], json!(node.issuer.address()));
    operator.run(&["fees", "deposit", "--contract", &named, "--amount", "0.5"]);
    let share = [
        "fees",
        "share",
        "--contract",
        &named,
        "--basis-points",
        "10000",
    ];
    let limits = ["--per-user-day", "0.01", "--per-day", "0.1"];
    operator.run(&[&share[..], &limits[..]].concat());

    let found = quote(&node, me, contract, 50_000, BASE).await;
    assert_eq!(found.payer, GasPayer::Operator);
    assert_eq!(
        (found.sender_price, found.operator_price),
        (U256::ZERO, U256::from(BASE))
    );

    // Alloy estimates, fills in its fees and sends; the sender pays nothing.
    let sent = poor.send_transaction(call(0)).await.unwrap();
    let receipt = sent.get_receipt().await.unwrap();
    assert!(receipt.status());
    assert_eq!(receipt.effective_gas_price, 0);
    // So does cast, by itself and without a price.
    node.cast(&["estimate", "--from", &me.to_string(), &named]);
    let priced = node.cast(&["send", "--legacy", "--json", "--private-key", &key, &named]);
    let priced: Value = serde_json::from_str(&priced).unwrap();
    assert_eq!(priced["effectiveGasPrice"], "0x0");
    poor.send_transaction(call(2).with_gas_price(0))
        .await
        .unwrap()
        .get_receipt()
        .await
        .unwrap();
    assert_eq!(poor.get_balance(me).await.unwrap(), U256::ZERO);
    let shown = operator.run(&[
        "fees",
        "show",
        "--contract",
        &named,
        "--account",
        &me.to_string(),
    ]);
    let spent = shown["contract"]["spentToday"]["units"].as_str().unwrap();
    assert_ne!(spent, "0");
    assert_eq!(shown["contract"]["terms"]["shareBp"], 10_000);

    // What it does not pay for is refused in one sentence.
    let elsewhere = quote(&node, me, Address::repeat_byte(9), 50_000, 0).await;
    assert_eq!(elsewhere.payer, GasPayer::Nobody);
    let other = TransactionRequest::default()
        .with_nonce(3)
        .with_to(Address::repeat_byte(9))
        .with_gas_limit(50_000)
        .with_gas_price(0);
    let said = poor.send_transaction(other).await.unwrap_err().to_string();
    assert!(said.contains("transaction underpriced"), "{said}");
    let (_, said) = refusal(&node, "mileverse_gasQuote", json!([{ "to": contract }])).await;
    assert!(said.contains("gas limit"), "{said}");

    // It leaves after the notice.
    operator.run(&["fees", "withdraw", "--contract", &named, "--amount", "0.4"]);
    let before = rich.get_balance(node.issuer.address()).await.unwrap();
    let mut paid = json!(null);
    for _ in 0..100 {
        let found = operator.run(&["fees", "show", "--contract", &named]);
        let ready = found["contract"]["leavingReady"].as_u64().unwrap();
        let block = rich.get_block_number().await.unwrap();
        let newest = rich
            .get_block_by_number(block.into())
            .await
            .unwrap()
            .unwrap();
        if newest.header.timestamp >= ready {
            paid = operator.run(&["fees", "withdraw", "--contract", &named]);
            break;
        }
        node.reaches(block + 1).await;
    }
    assert!(!paid["withdrawn"].is_null());
    assert!(rich.get_balance(node.issuer.address()).await.unwrap() > before);
}

#[tokio::test(flavor = "multi_thread")]
async fn stake_points_and_deliveries_need_no_coin_either() {
    let node = Node::charging(rules()).await;
    let rich = node.provider();
    // Who stakes has gas free: in a wallet, too.
    let stake = TransactionRequest::default()
        .with_to(STAKING)
        .with_value(coins(9))
        .with_input(IStaking::stakeCall {}.abi_encode());
    send(&rich, stake).await;
    let me = node.issuer.address();
    let found = quote(&node, me, Address::repeat_byte(9), 21_000, BASE).await;
    assert_eq!((found.payer, found.free_gas), (GasPayer::Stake, 900_000));
    let before = rich.get_balance(me).await.unwrap();
    let all = TransactionRequest::default()
        .with_to(Address::repeat_byte(9))
        .with_gas_limit(21_000)
        .with_gas_price(0)
        .with_value(before);
    let receipt = rich.send_transaction(all).await.unwrap();
    let receipt = receipt.get_receipt().await.unwrap();
    assert_eq!(receipt.effective_gas_price, 0);
    assert_eq!(rich.get_balance(me).await.unwrap(), U256::ZERO);
    let found = quote(&node, me, Address::repeat_byte(9), 21_000, BASE).await;
    assert_eq!(found.free_gas_left, 900_000 - 21_000);

    // Who holds only points goes on.
    let (member, account, _) = user(&node);
    send(&rich, issue(account, 1_000, "points")).await;
    let transfer = IPoints::transferCall {
        to: me,
        amount: U256::from(400),
    };
    let request = TransactionRequest::default()
        .with_to(POINTS)
        .with_input(transfer.abi_encode());
    send(&member, free(request)).await;
    assert_eq!(balance(&rich, account).await, U256::from(600));
    // A delivery that is of no use is refused for that, and not for its price.
    let vain = TransactionRequest::default()
        .with_to(BRIDGE)
        .with_input(IBridge::deliverCall::SELECTOR.to_vec());
    let said = member
        .send_transaction(free(vain))
        .await
        .unwrap_err()
        .to_string();
    assert!(said.contains("admits no packet"), "{said}");
}
