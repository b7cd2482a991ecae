//! Signed requests: HTTP Message Signatures (RFC 9421) with Ed25519.
//!
//! An API key may have signing keys, each a public key under a name that the partner chose. A
//! request may be signed with one of them; if the API key says so, every request must be. Then an
//! API key that leaks is good for nothing without the private key, which never leaves the partner.
//!
//! ```txt
//! Content-Digest: sha-256=:…:                                        RFC 9530, if there is a body
//! Signature-Input: sig=("@method" "@path" "@query" "content-digest" "idempotency-key");
//!                  created=1700000000;nonce="…";keyid="…";alg="ed25519"
//! Signature: sig=:…:
//! ```
//!
//! | what | must hold |
//! |---|---|
//! | `@method`; `@target-uri`, or `@path` and `@query` | covered; `@query` may be left out if there is none |
//! | `content-digest` | covered if there is a body, and right |
//! | `idempotency-key` | covered if it is sent |
//! | `created` | at most [`MAX_AGE_MS`] ago and [`MAX_SKEW_MS`] ahead |
//! | `expires` | if given, not over |
//! | `nonce` | 1 to 128 characters; every request of a key pair has another |
//! | `keyid` | the name of a signing key of the API key that is sent |
//! | `alg` | if given, `ed25519` |
//!
//! ```txt
//! fields   the little of structured fields (RFC 9651) that signatures need
//! base     what is signed
//! sign     how a caller signs it
//! ```
//!
//! Limits: one signature, 32 components, 8 KiB of each header. A request that is sent again is
//! signed again, with a nonce of its own; its Idempotency-Key says that it is the same. A nonce is
//! remembered as long as its `created` could be accepted, without waiting for the disk: if the
//! machine goes down just then, the covered Idempotency-Key still keeps it from happening twice.

mod base;
mod fields;
mod sign;

pub use sign::SigningKey;

use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
use fields::{Bare, SignatureInput};
use http::request::Parts;
use sha2::{Digest, Sha256, Sha512};
use thiserror::Error;

/// A signature is good for so long.
pub const MAX_AGE_MS: i64 = 300_000;
/// Clocks may differ by so much.
pub const MAX_SKEW_MS: i64 = 30_000;
/// Bytes of a public key.
pub const PUBLIC_KEY_BYTES: usize = 32;
const MAX_NONCE: usize = 128;
const MAX_KEY_ID: usize = 64;

/// Why a signature is not accepted: sentences that say what to do.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum SignatureError {
    /// A header is missing, twice, too long, or cannot be read.
    #[error("{0}")]
    Malformed(String),
    /// Something that must be covered is not, or cannot be.
    #[error("{0}")]
    Coverage(String),
    /// The body is not what its digest says.
    #[error("Content-Digest does not fit the body; digest the bytes that are sent")]
    Digest,
    /// Its time is over or has not come.
    #[error("{0}")]
    Time(String),
    /// The private key or the nonce cannot be used to sign.
    #[error("the signing key cannot be used: {0}")]
    Key(&'static str),
    /// The signing key is unknown or the signature is not its.
    #[error(
        "the signature does not verify; sign the signature base of RFC 9421 with the private key of keyid"
    )]
    Wrong,
}

/// A signature as a request presents it: everything that can be checked without the public key
/// holds.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Presented {
    /// The name of the signing key.
    pub key_id: String,
    /// Used once.
    pub nonce: String,
    /// Milliseconds since 1970.
    pub created: i64,
    /// What is signed, in the forms that it may have: a gateway behind a proxy cannot know the
    /// scheme of `@target-uri`.
    bases: Vec<String>,
    signature: Vec<u8>,
}

impl Presented {
    /// Reads and checks a request's signature as of a moment. `None` if there is none.
    pub fn of(parts: &Parts, body: &[u8], now: i64) -> Result<Option<Self>, SignatureError> {
        let (input, signature) = match (
            fields::single(&parts.headers, "signature-input")?,
            fields::single(&parts.headers, "signature")?,
        ) {
            (None, None) => return Ok(None),
            (Some(input), Some(signature)) => (input, signature),
            _ => {
                return Err(SignatureError::Malformed(
                    "send Signature-Input and Signature together".to_owned(),
                ));
            }
        };
        let input = fields::signature_input(input)?;
        let signature = fields::byte_sequences(signature)?
            .into_iter()
            .find(|(label, _)| *label == input.label)
            .map(|(_, bytes)| bytes)
            .ok_or_else(|| {
                SignatureError::Malformed(format!(
                    "Signature has no member {:?}, which Signature-Input has",
                    input.label
                ))
            })?;
        let created = created(&input, now)?;
        let nonce = text(&input, "nonce", MAX_NONCE)?;
        let key_id = text(&input, "keyid", MAX_KEY_ID)?;
        match input.parameter("alg") {
            None => {}
            Some(Bare::Text(name)) if name == "ed25519" => {}
            Some(_) => {
                return Err(SignatureError::Malformed(
                    "alg must be \"ed25519\"".to_owned(),
                ));
            }
        }
        covered(&input, parts, body)?;
        let bases = base::bases(&input, parts)?;
        Ok(Some(Self {
            key_id,
            nonce,
            created,
            bases,
            signature,
        }))
    }

    /// Whether it was made with the private key of this public key.
    pub fn verify(&self, public_key: &[u8; PUBLIC_KEY_BYTES]) -> Result<(), SignatureError> {
        let key = UnparsedPublicKey::new(&ED25519, public_key);
        self.bases
            .iter()
            .any(|base| key.verify(base.as_bytes(), &self.signature).is_ok())
            .then_some(())
            .ok_or(SignatureError::Wrong)
    }

    /// From then on it would be too old in any case, so its nonce can be forgotten.
    pub const fn ends(&self) -> i64 {
        self.created
            .saturating_add(MAX_AGE_MS)
            .saturating_add(MAX_SKEW_MS)
    }
}

fn seconds(input: &SignatureInput, name: &str) -> Result<Option<i64>, SignatureError> {
    match input.parameter(name) {
        None => Ok(None),
        Some(Bare::Number(seconds)) => Ok(Some(seconds.saturating_mul(1_000))),
        Some(Bare::Text(_)) => Err(SignatureError::Malformed(format!(
            "{name} must be a whole number of seconds since 1970"
        ))),
    }
}

fn created(input: &SignatureInput, now: i64) -> Result<i64, SignatureError> {
    let created = seconds(input, "created")?
        .ok_or_else(|| SignatureError::Malformed("Signature-Input needs created".to_owned()))?;
    let expires = seconds(input, "expires")?;
    let says = |why: &str| Err(SignatureError::Time(why.to_owned()));
    if created > now.saturating_add(MAX_SKEW_MS) {
        return says("created is in the future; set the clock of the machine that signs");
    }
    if created.saturating_add(MAX_AGE_MS) < now {
        return says("the signature is older than five minutes; sign the request again");
    }
    if expires.is_some_and(|expires| expires < now) {
        return says("the signature has expired; sign the request again");
    }
    Ok(created)
}

fn text(input: &SignatureInput, name: &str, most: usize) -> Result<String, SignatureError> {
    match input.parameter(name) {
        Some(Bare::Text(text)) if (1..=most).contains(&text.len()) => Ok(text.clone()),
        _ => Err(SignatureError::Malformed(format!(
            "Signature-Input needs {name}, a string of 1 to {most} characters"
        ))),
    }
}

/// What must be covered is, and the body is what its digest says.
fn covered(input: &SignatureInput, parts: &Parts, body: &[u8]) -> Result<(), SignatureError> {
    let has = |name: &str| input.components.iter().any(|component| component == name);
    let needs = |what: &str| {
        Err(SignatureError::Coverage(format!(
            "the signature must cover {what}"
        )))
    };
    if !has("@method") {
        return needs("\"@method\"");
    }
    let query = parts.uri.query().is_some();
    if !has("@target-uri") && !(has("@path") && (has("@query") || !query)) {
        return needs("\"@target-uri\", or \"@path\" and \"@query\"");
    }
    if parts.headers.contains_key("idempotency-key") && !has("idempotency-key") {
        return needs("\"idempotency-key\"");
    }
    if !body.is_empty() && !has("content-digest") {
        return needs("\"content-digest\" (RFC 9530), since the request has a body");
    }
    if has("content-digest") {
        check_digest(parts, body)?;
    }
    Ok(())
}

/// Every digest of an algorithm that is known here is right, and there is one.
fn check_digest(parts: &Parts, body: &[u8]) -> Result<(), SignatureError> {
    let field = fields::single(&parts.headers, "content-digest")?;
    let digests = fields::byte_sequences(field.unwrap_or_default())?;
    let mut known = false;
    for (algorithm, digest) in digests {
        let right = match algorithm.as_str() {
            "sha-256" => Sha256::digest(body).as_slice() == digest,
            "sha-512" => Sha512::digest(body).as_slice() == digest,
            _ => continue,
        };
        known = true;
        if !right {
            return Err(SignatureError::Digest);
        }
    }
    match known {
        true => Ok(()),
        false => Err(SignatureError::Malformed(
            "Content-Digest needs sha-256 or sha-512".to_owned(),
        )),
    }
}

#[cfg(test)]
mod tests;
