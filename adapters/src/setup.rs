//! Why an adapter cannot be set up.

use thiserror::Error;
use url::Url;

/// Why an adapter cannot be set up.
#[derive(Debug, Error)]
pub enum SetupError {
    /// The URL cannot carry paths.
    #[error(
        "the partner's base URL {0} is not an http or https URL; write one such as https://partner.example"
    )]
    BaseUrl(Url),
    /// The HTTP client did not start.
    #[error("the HTTP client cannot be set up: {0}")]
    Client(#[from] reqwest::Error),
    /// A key that no header can carry.
    #[error("the key for header {0} has characters a header cannot carry; check its file")]
    Key(String),
}
