//! An external signer over HTTP, by Web3Signer's eth1 protocol, so that no key need be on the box.
//!
//! ```txt
//! GET  /upcheck                           200 if it runs
//! GET  /api/v1/eth1/publicKeys            ["0x" + 64 bytes, …], uncompressed, without the 04
//! POST /api/v1/eth1/sign/{public key}     {"data": "0x…"}  ->  0x + r + s + v, of keccak256(data)
//! ```
//!
//! `data` is a transaction as it is hashed for signing, so that the signer, which may have rules of
//! its own, can read what it signs. The answer must recover to the account, or it is not used.
//!
//! Limits: an answer ends within [`TIMEOUT`] and has at most 64 KiB.

use super::{SignerError, is_of};
use alloy::hex;
use alloy::primitives::Signature;
use mileverse_primitives::{Address, keccak256};
use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};
use url::Url;

/// Longest time for one answer.
const TIMEOUT: Duration = Duration::from_secs(10);
const MAX_ANSWER: usize = 64 * 1024;

/// A signer elsewhere, and the account that it signs for.
#[derive(Clone, Debug)]
pub struct Web3Signer {
    url: Url,
    account: Address,
    client: reqwest::Client,
    /// The account's public key as the signer names it, once known.
    identifier: Arc<OnceLock<String>>,
}

impl Web3Signer {
    /// Prepares; nothing is sent yet.
    pub fn new(url: &str, account: Address) -> Result<Self, String> {
        let url: Url = url
            .parse()
            .map_err(|error| format!("{url:?} is not the URL of a signer ({error})"))?;
        if !matches!(url.scheme(), "http" | "https") || url.cannot_be_a_base() {
            return Err(format!("{url} is not an http or https URL"));
        }
        let client = reqwest::Client::builder()
            .timeout(TIMEOUT)
            .build()
            .map_err(|error| error.to_string())?;
        Ok(Self {
            url,
            account,
            client,
            identifier: Arc::default(),
        })
    }

    /// The account.
    pub const fn account(&self) -> Address {
        self.account
    }

    /// Finds the account's key among the signer's.
    pub async fn identify(&self) -> Result<String, SignerError> {
        if let Some(known) = self.identifier.get() {
            return Ok(known.clone());
        }
        let path = "api/v1/eth1/publicKeys";
        let text = self.ask(self.client.get(self.at(path))).await?;
        let keys: Vec<String> = serde_json::from_str(&text)
            .map_err(|_| self.failed("its list of public keys cannot be read"))?;
        let found = keys
            .into_iter()
            .find(|key| account_of(key) == Some(self.account))
            .ok_or_else(|| self.failed("it does not hold the account's key"))?;
        Ok(self.identifier.get_or_init(|| found).clone())
    }

    /// A signature over keccak256 of these bytes.
    pub async fn sign(&self, bytes: &[u8]) -> Result<Signature, SignerError> {
        let identifier = self.identify().await?;
        let body = serde_json::json!({ "data": hex::encode_prefixed(bytes) });
        let path = format!("api/v1/eth1/sign/{identifier}");
        let text = self
            .ask(self.client.post(self.at(&path)).json(&body))
            .await?;
        let text = text.trim().trim_matches('"');
        let signature = hex::decode(text)
            .ok()
            .and_then(|raw| Signature::from_raw(&raw).ok())
            .ok_or_else(|| self.failed("its answer is no signature"))?;
        // Ethereum takes the lower of the two values of s only.
        let signature = signature.normalized_s();
        if !is_of(self.account, bytes, &signature) {
            return Err(self.failed("its signature is another account's"));
        }
        Ok(signature)
    }

    fn at(&self, path: &str) -> Url {
        let mut url = self.url.clone();
        let base = url.path().trim_end_matches('/').to_owned();
        url.set_path(&format!("{base}/{path}"));
        url
    }

    async fn ask(&self, request: reqwest::RequestBuilder) -> Result<String, SignerError> {
        let mut answer = request
            .send()
            .await
            .map_err(|error| self.failed(&error.without_url().to_string()))?;
        let status = answer.status();
        let mut body = Vec::new();
        while let Some(chunk) = answer
            .chunk()
            .await
            .map_err(|error| self.failed(&error.without_url().to_string()))?
        {
            if body.len().saturating_add(chunk.len()) > MAX_ANSWER {
                return Err(self.failed("its answer is too long"));
            }
            body.extend_from_slice(&chunk);
        }
        if !status.is_success() {
            return Err(self.failed(&format!("it answers with status {status}")));
        }
        String::from_utf8(body).map_err(|_| self.failed("its answer is no text"))
    }

    fn failed(&self, reason: &str) -> SignerError {
        SignerError::Remote {
            url: self.url.to_string(),
            account: self.account,
            reason: reason.to_owned(),
        }
    }
}

/// The account of an uncompressed public key, with or without the leading 04.
fn account_of(key: &str) -> Option<Address> {
    let bytes = hex::decode(key).ok()?;
    let point = match bytes.len() {
        64 => bytes.as_slice(),
        65 => bytes.get(1..)?,
        _ => return None,
    };
    keccak256(point)
        .get(12..)
        .and_then(|tail| Address::try_from(tail).ok())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::Signer;
    use super::*;
    use alloy::{
        primitives::{Bytes, U256},
        signers::{SignerSync as _, local::PrivateKeySigner},
    };
    use mileverse_wallet::transaction::{Fees, Unsigned, sign};
    use wiremock::{
        Mock, MockServer, Request, ResponseTemplate,
        matchers::{method, path, path_regex},
    };

    /// A signer that lists this key and signs with that one.
    async fn server(listed: &PrivateKeySigner, signing: &PrivateKeySigner) -> MockServer {
        let server = MockServer::start().await;
        let keys = [PrivateKeySigner::random().public_key(), listed.public_key()];
        Mock::given(method("GET"))
            .and(path("/api/v1/eth1/publicKeys"))
            .respond_with(ResponseTemplate::new(200).set_body_json(keys))
            .mount(&server)
            .await;
        let signing = signing.clone();
        let own = format!("/api/v1/eth1/sign/{}", listed.public_key());
        Mock::given(method("POST"))
            .and(path_regex("^/api/v1/eth1/sign/0x[0-9a-f]{128}$"))
            .respond_with(move |request: &Request| {
                assert_eq!(request.url.path(), own);
                let body: serde_json::Value = request.body_json().unwrap();
                let data: Bytes = serde_json::from_value(body["data"].clone()).unwrap();
                let signature = signing.sign_hash_sync(&keccak256(&data)).unwrap();
                ResponseTemplate::new(200)
                    .set_body_string(hex::encode_prefixed(signature.as_bytes()))
            })
            .mount(&server)
            .await;
        server
    }

    fn transaction() -> Unsigned {
        Unsigned {
            chain_id: 7,
            nonce: 3,
            gas_limit: 50_000,
            fees: Fees::Dynamic { max: 30, tip: 2 },
            to: Address::repeat_byte(9),
            value: U256::ZERO,
            input: Bytes::from_static(b"data"),
        }
    }

    #[tokio::test]
    async fn it_signs_as_the_key_itself_would() {
        let key = PrivateKeySigner::random();
        let server = server(&key, &key).await;
        let remote = Web3Signer::new(&server.uri(), key.address()).unwrap();
        let signed = Signer::Remote(remote).sign(&transaction()).await.unwrap();
        assert_eq!(signed, sign(&key, &transaction()).unwrap());
    }

    #[tokio::test]
    async fn a_signature_of_anybody_else_is_not_used() {
        let (key, other) = (PrivateKeySigner::random(), PrivateKeySigner::random());
        let server = server(&key, &other).await;
        let remote = Web3Signer::new(&server.uri(), key.address()).unwrap();
        let error = remote.sign(b"transaction").await.unwrap_err();
        assert!(error.to_string().contains("another account's"), "{error}");
        let absent = Web3Signer::new(&server.uri(), other.address()).unwrap();
        let error = absent.sign(b"transaction").await.unwrap_err();
        assert!(error.to_string().contains("does not hold"), "{error}");
    }

    #[test]
    fn only_urls_are_taken() {
        for bad in ["", "localhost:9000", "ftp://x"] {
            assert!(Web3Signer::new(bad, Address::ZERO).is_err(), "{bad}");
        }
    }
}
