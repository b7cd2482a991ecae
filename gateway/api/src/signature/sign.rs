//! Signing: what a caller does.

use super::fields::{Bare, SignatureInput};
use super::{MAX_KEY_ID, MAX_NONCE, SignatureError, base};
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::request::Parts;
use http::{HeaderName, HeaderValue};
use sha2::{Digest, Sha256};
use std::fmt;

const DIGEST: HeaderName = HeaderName::from_static("content-digest");
const INPUT: HeaderName = HeaderName::from_static("signature-input");
const SIGNATURE: HeaderName = HeaderName::from_static("signature");
const LABEL: &str = "sig";

/// A private key and its name. Never printed.
pub struct SigningKey {
    name: String,
    pair: Ed25519KeyPair,
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("SigningKey")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl SigningKey {
    /// A key of 32 random bytes.
    pub fn from_seed(name: &str, seed: &[u8; 32]) -> Result<Self, SignatureError> {
        Self::named(name, Ed25519KeyPair::from_seed_unchecked(seed).ok())
    }

    /// A key in PEM, as `openssl genpkey -algorithm ed25519` makes it (PKCS #8, not encrypted).
    pub fn from_pem(name: &str, pem: &str) -> Result<Self, SignatureError> {
        const BEGIN: &str = "-----BEGIN PRIVATE KEY-----";
        const END: &str = "-----END PRIVATE KEY-----";
        let pair = pem
            .trim()
            .strip_prefix(BEGIN)
            .and_then(|rest| rest.strip_suffix(END))
            .map(|lines| lines.split_whitespace().collect::<String>())
            .and_then(|encoded| STANDARD.decode(encoded).ok())
            .and_then(|document| Ed25519KeyPair::from_pkcs8(&document).ok());
        Self::named(name, pair)
    }

    fn named(name: &str, pair: Option<Ed25519KeyPair>) -> Result<Self, SignatureError> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        if !(1..=MAX_KEY_ID).contains(&name.len()) || !name.bytes().all(plain) {
            return Err(SignatureError::Key(
                "its name must be 1 to 64 letters, digits, '-' or '_'",
            ));
        }
        let pair = pair.ok_or(SignatureError::Key("it is not an Ed25519 private key"))?;
        Ok(Self {
            name: name.to_owned(),
            pair,
        })
    }

    /// Its name: the `keyid` of its signatures.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The public key to register: 32 bytes in base64.
    pub fn public_key(&self) -> String {
        STANDARD.encode(self.pair.public_key())
    }

    /// Signs a request: method, path, query, Idempotency-Key, and its body by digest. The body must be
    /// the bytes that are sent, `now` in milliseconds since 1970, the nonce new.
    pub fn sign(
        &self,
        parts: &mut Parts,
        body: &[u8],
        now: i64,
        nonce: &str,
    ) -> Result<(), SignatureError> {
        if !(1..=MAX_NONCE).contains(&nonce.len()) || !nonce.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(SignatureError::Key(
                "a nonce has 1 to 128 printable ASCII characters",
            ));
        }
        let mut components = vec!["@method", "@path"];
        if parts.uri.query().is_some() {
            components.push("@query");
        }
        parts.headers.remove(DIGEST);
        if !body.is_empty() {
            let digest = format!("sha-256=:{}:", STANDARD.encode(Sha256::digest(body)));
            parts.headers.insert(DIGEST, value(&digest)?);
            components.push("content-digest");
        }
        if parts.headers.contains_key("idempotency-key") {
            components.push("idempotency-key");
        }
        let text = |text: &str| Bare::Text(text.to_owned());
        let input = SignatureInput {
            label: LABEL.to_owned(),
            components: components.into_iter().map(ToOwned::to_owned).collect(),
            parameters: vec![
                ("created".to_owned(), Bare::Number(now.div_euclid(1_000))),
                ("nonce".to_owned(), text(nonce)),
                ("keyid".to_owned(), text(&self.name)),
                ("alg".to_owned(), text("ed25519")),
            ],
        };
        let bases = base::bases(&input, parts)?;
        let base = bases
            .first()
            .ok_or(SignatureError::Key("there is nothing to sign"))?;
        let signature = STANDARD.encode(self.pair.sign(base.as_bytes()));
        let input = format!("{LABEL}={}", input.strict());
        parts.headers.insert(INPUT, value(&input)?);
        let signature = value(&format!("{LABEL}=:{signature}:"))?;
        parts.headers.insert(SIGNATURE, signature);
        Ok(())
    }
}

fn value(text: &str) -> Result<HeaderValue, SignatureError> {
    HeaderValue::from_str(text).map_err(|_| SignatureError::Key("a header cannot hold it"))
}
