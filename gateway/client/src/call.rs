//! What is sent, and what comes back.

use crate::error::Error;
use http::Method;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::fmt;
use uuid::Uuid;

/// Longest Idempotency-Key, in bytes.
const MAX_KEY_BYTES: usize = 255;

/// The name of one effect: the same key is sent whenever the same request is sent again.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct IdempotencyKey(String);

impl IdempotencyKey {
    /// A new one, unlike all others.
    pub fn random() -> Self {
        Self(Uuid::now_v7().to_string())
    }

    /// One of your own: 1 to 255 printable ASCII characters without spaces.
    pub fn new(key: impl Into<String>) -> Result<Self, Error> {
        let key = key.into();
        let fits = (1..=MAX_KEY_BYTES).contains(&key.len());
        if !fits || !key.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(Error::Setup(format!(
                "an Idempotency-Key has 1 to {MAX_KEY_BYTES} printable ASCII characters without spaces"
            )));
        }
        Ok(Self(key))
    }

    /// As it is sent.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for IdempotencyKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// Whether a call may be sent again when nobody knows what became of it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Repeat {
    /// It may: said twice it means the same.
    Safe,
    /// It may not: it would happen again.
    Never,
}

/// One request, for what this crate has no method for.
#[derive(Clone, Debug)]
pub struct Call<'a> {
    pub(crate) method: Method,
    pub(crate) path: Vec<&'a str>,
    pub(crate) query: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    pub(crate) key: Option<&'a IdempotencyKey>,
    pub(crate) repeat: Repeat,
}

impl<'a> Call<'a> {
    /// To this path, segment by segment: `["v1", "conversions", id]`.
    pub fn new(method: Method, path: &[&'a str]) -> Self {
        let safe = matches!(method, Method::GET | Method::PUT | Method::DELETE);
        Self {
            method,
            path: path.to_vec(),
            query: Vec::new(),
            body: Vec::new(),
            key: None,
            repeat: if safe { Repeat::Safe } else { Repeat::Never },
        }
    }

    /// A read.
    pub fn get(path: &[&'a str]) -> Self {
        Self::new(Method::GET, path)
    }

    /// Something that is done.
    pub fn post(path: &[&'a str]) -> Self {
        Self::new(Method::POST, path)
    }

    /// With these parameters; fields that are null are left out.
    pub fn query(mut self, query: &impl Serialize) -> Result<Self, Error> {
        let fields = match serde_json::to_value(query).map_err(|error| unwritable(&error))? {
            Value::Object(fields) => fields,
            _ => return Err(Error::Setup("a query has named parameters".to_owned())),
        };
        self.query = fields
            .into_iter()
            .filter_map(|(name, value)| match value {
                Value::Null => None,
                Value::String(text) => Some((name, text)),
                other => Some((name, other.to_string())),
            })
            .collect();
        Ok(self)
    }

    /// With this body.
    pub fn body(mut self, body: &impl Serialize) -> Result<Self, Error> {
        self.body = serde_json::to_vec(body).map_err(|error| unwritable(&error))?;
        Ok(self)
    }

    /// Under this key, so that it may be sent again.
    #[must_use]
    pub const fn key(mut self, key: &'a IdempotencyKey) -> Self {
        self.key = Some(key);
        self.repeat = Repeat::Safe;
        self
    }

    /// Said twice it means the same.
    #[must_use]
    pub const fn repeatable(mut self) -> Self {
        self.repeat = Repeat::Safe;
        self
    }
}

fn unwritable(error: &serde_json::Error) -> Error {
    Error::Setup(format!("the request cannot be written as JSON: {error}"))
}

/// An answer of success, byte for byte.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Whether the gateway gave this answer before, to the same Idempotency-Key.
    pub replayed: bool,
    /// The body.
    pub body: Vec<u8>,
}

impl Answer {
    /// Reads the body.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, Error> {
        serde_json::from_slice(&self.body).map_err(|error| Error::NotUnderstood {
            status: self.status,
            why: error.to_string(),
        })
    }
}
