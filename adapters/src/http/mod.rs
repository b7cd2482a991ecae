//! What the adapters over HTTP share: calls with credentials, bounded answers, pauses.
//!
//! ```txt
//! caller     one call: credentials, a second try where nothing can have happened, one limit of time
//! answer     status and body, at most 64 KiB
//! token      OAuth 2.0 client credentials, kept and fetched anew
//! pause      Retry-After and RateLimit-*: when the partner wants to be called again
//! ```

pub mod answer;
pub mod caller;
pub mod pause;
pub mod token;

pub use answer::Answer;
pub use caller::{Caller, Credentials};
