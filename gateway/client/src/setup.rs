//! How a client is set up.

use crate::error::Error;
use crate::exchange::Retry;
use http::HeaderValue;
use mileverse_gateway_api::signature::SigningKey;
use reqwest::redirect::Policy;
use secrecy::{ExposeSecret, SecretString};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use url::{Host, Url};

/// How long an attempt may take: longer than the gateway lets a conversion wait for its end.
const TIMEOUT: Duration = Duration::from_secs(65);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// A client of one gateway with one API key. Cheap to clone; clones share their connections.
#[derive(Clone)]
pub struct Client(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) http: reqwest::Client,
    pub(crate) base: Url,
    pub(crate) authorization: HeaderValue,
    pub(crate) retry: Retry,
    pub(crate) signing_key: Option<SigningKey>,
}

impl fmt::Debug for Client {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Client")
            .field("base", &self.0.base.as_str())
            .field("retry", &self.0.retry)
            .field("signing_key", &self.0.signing_key)
            .finish_non_exhaustive()
    }
}

/// Sets a client up.
#[derive(Debug)]
pub struct Builder {
    base: String,
    key: SecretString,
    timeout: Duration,
    retry: Retry,
    signing_key: Option<SigningKey>,
    http_allowed: bool,
    proxy: bool,
}

impl Client {
    /// A client of the gateway at this URL with this API key, or an access token for one.
    pub fn builder(base: impl Into<String>, key: SecretString) -> Builder {
        Builder {
            base: base.into(),
            key,
            timeout: TIMEOUT,
            retry: Retry::default(),
            signing_key: None,
            http_allowed: false,
            proxy: true,
        }
    }
}

impl Builder {
    /// How long each attempt may take; 65 s if not said. The gateway answers a conversion at the
    /// latest after its own wait, 60 s at most.
    #[must_use]
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// How often and how long to try.
    #[must_use]
    pub const fn retry(mut self, retry: Retry) -> Self {
        self.retry = retry;
        self
    }

    /// Signs every request (RFC 9421). Register its public key with
    /// [`Client::register_signing_key`] first.
    #[must_use]
    pub fn signing_key(mut self, key: SigningKey) -> Self {
        self.signing_key = Some(key);
        self
    }

    /// Lets the API key travel unencrypted to other machines too: for a closed network.
    #[must_use]
    pub const fn allow_http(mut self) -> Self {
        self.http_allowed = true;
        self
    }

    /// Goes past the proxy that the environment may name.
    #[must_use]
    pub const fn without_proxy(mut self) -> Self {
        self.proxy = false;
        self
    }

    /// Checks everything; nothing is sent yet.
    pub fn build(self) -> Result<Client, Error> {
        let wrong = |why: &str| Error::Setup(format!("the gateway's URL {why}"));
        let mut base = Url::parse(&self.base).map_err(|_| wrong("is not a URL"))?;
        if !base.username().is_empty() || base.password().is_some() {
            return Err(wrong("holds a password; the API key is given beside it"));
        }
        let here = match base.host() {
            Some(Host::Domain(name)) => name == "localhost",
            Some(Host::Ipv4(address)) => address.is_loopback(),
            Some(Host::Ipv6(address)) => address.is_loopback(),
            None => return Err(wrong("names no host")),
        };
        match base.scheme() {
            "https" => {}
            "http" if here || self.http_allowed => {}
            "http" => {
                return Err(wrong(
                    "must begin with https://, so that the API key is not read on its way",
                ));
            }
            _ => return Err(wrong("must begin with https://")),
        }
        base.set_query(None);
        base.set_fragment(None);
        let mut authorization =
            HeaderValue::try_from(format!("Bearer {}", self.key.expose_secret().trim()))
                .map_err(|_| Error::Setup("the API key cannot be sent in a header".to_owned()))?;
        authorization.set_sensitive(true);
        let http = reqwest::Client::builder()
            .user_agent(concat!(
                "mileverse-gateway-client/",
                env!("CARGO_PKG_VERSION")
            ))
            .timeout(self.timeout)
            .connect_timeout(CONNECT_TIMEOUT.min(self.timeout))
            .redirect(Policy::none());
        let http = if self.proxy { http } else { http.no_proxy() };
        let http = http
            .build()
            .map_err(|error| Error::Setup(format!("HTTP cannot be set up: {error}")))?;
        Ok(Client(Arc::new(Inner {
            http,
            base,
            authorization,
            retry: self.retry,
            signing_key: self.signing_key,
        })))
    }
}
