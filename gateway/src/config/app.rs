//! What the page at `/app` is told.

use super::ConfigError;
use super::read::{http_url, wrong};
use serde::Deserialize;
use url::Url;

/// What the page at `/app` is told beside the chain.
#[derive(Clone, Debug, Default)]
pub struct AppConfig {
    /// What people's wallets are told; the chain's own endpoint if there is none.
    pub native_public_rpc: Option<Url>,
    /// A block explorer of the chain.
    pub native_explorer: Option<Url>,
    /// Ethereum; without it the page has no bridge.
    pub ethereum: Option<mileverse_app::Network>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AppFile {
    native_public_rpc_url: Option<Url>,
    native_explorer_url: Option<Url>,
    ethereum_rpc_url: Option<Url>,
    ethereum_public_rpc_url: Option<Url>,
    ethereum_explorer_url: Option<Url>,
}

impl AppFile {
    pub(super) fn check(self) -> Result<AppConfig, ConfigError> {
        let http = |name: &str, url: Option<Url>| {
            url.map(|url| http_url(format!("app.{name}"), url))
                .transpose()
        };
        let rpc = http("ethereum_rpc_url", self.ethereum_rpc_url)?;
        let public_rpc = http("ethereum_public_rpc_url", self.ethereum_public_rpc_url)?;
        let explorer = http("ethereum_explorer_url", self.ethereum_explorer_url)?;
        if rpc.is_none() && (public_rpc.is_some() || explorer.is_some()) {
            let why = "is needed beside the other URLs of Ethereum";
            return Err(wrong("app.ethereum_rpc_url", why));
        }
        Ok(AppConfig {
            native_public_rpc: http("native_public_rpc_url", self.native_public_rpc_url)?,
            native_explorer: http("native_explorer_url", self.native_explorer_url)?,
            ethereum: rpc.map(|rpc| mileverse_app::Network {
                rpc,
                public_rpc,
                explorer,
            }),
        })
    }
}
