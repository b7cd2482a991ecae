//! Requests as they go over the wire, and the forms that answers have.

use super::node::{Node, issue};
use alloy::{primitives::Address, providers::Provider as _};
use serde_json::{Value, json};

/// The answer to a request.
pub async fn ask(node: &Node, method: &str, params: Value) -> Value {
    let body = json!({ "jsonrpc": "2.0", "id": 7, "method": method, "params": params });
    let answer = reqwest::Client::new().post(&node.url).json(&body).send();
    let answer: Value = answer.await.unwrap().json().await.unwrap();
    assert_eq!(
        (&answer["jsonrpc"], &answer["id"]),
        (&json!("2.0"), &json!(7))
    );
    answer
}

/// The result of a request that must succeed.
pub async fn result(node: &Node, method: &str, params: Value) -> Value {
    let mut answer = ask(node, method, params.clone()).await;
    assert!(answer.get("error").is_none(), "{method} {params}: {answer}");
    answer["result"].take()
}

/// Code and message of a request that must be refused.
pub async fn refusal(node: &Node, method: &str, params: Value) -> (i64, String) {
    let answer = ask(node, method, params.clone()).await;
    let error = &answer["error"];
    assert!(error.is_object(), "{method} {params}: {answer}");
    let message = error["message"].as_str().unwrap().to_owned();
    (error["code"].as_i64().unwrap(), message)
}

/// The fields that the specification requires, each of its form.
pub fn has(object: &Value, form: &str, fields: &[&str]) {
    for field in fields {
        let value = object
            .get(field)
            .unwrap_or_else(|| panic!("{field} is missing in {object}"));
        assert!(is(value, form), "{field} is no {form}: {value}");
    }
}

/// Forms of the specification's base types.
pub fn is(value: &Value, form: &str) -> bool {
    let Some(text) = value.as_str().and_then(|text| text.strip_prefix("0x")) else {
        return form == "null" && value.is_null();
    };
    let lower = text
        .bytes()
        .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    lower
        && match form {
            "quantity" => text == "0" || (!text.is_empty() && !text.starts_with('0')),
            "hash" => text.len() == 64,
            "address" => text.len() == 40,
            "bloom" => text.len() == 512,
            "bytes" => text.len() % 2 == 0,
            _ => false,
        }
}

/// Issues once and answers the receipt.
pub async fn issued(node: &Node, name: &str) -> Value {
    let provider = node.provider();
    let sent = provider
        .send_transaction(issue(Address::repeat_byte(0x11), 5, name))
        .await
        .unwrap();
    let hash = *sent.tx_hash();
    sent.get_receipt().await.unwrap();
    result(node, "eth_getTransactionReceipt", json!([hash])).await
}
