//! What a node says of itself to whoever watches over it: Prometheus metrics, health, readiness.
//!
//! ```txt
//! newest block ─> [watch] ─> each final block ─> [observer] ─> [instruments] ─> GET /metrics
//!                                                     └──────> [verdict] ─────> GET /health, /ready
//! commonware's registry (consensus, network, storage, runtime) ───────────────> GET /metrics
//! ```
//!
//! | file | what |
//! |---|---|
//! | `instruments` | our metrics, their names and help |
//! | `observer` | what the final blocks say of the chain and of this node's part in it |
//! | `watch` | reads every final block, in order |
//! | `verdict` | whether the node is ready, and if not, why |
//! | `server` | HTTP |
//!
//! Metrics are derived from final blocks and never fed back: nothing that consensus does depends on
//! them. What each one means, and which to be woken up for, is in `docs/operations.md`. Limits:
//! [`server::MAX_CONNECTIONS`] scrapes at one time; a node that catches up reads
//! [`watch::MAX_BEHIND`] blocks at most and skips the rest.

pub mod instruments;
pub mod observer;
pub mod server;
pub mod verdict;
pub mod watch;

pub use instruments::Instruments;
pub use observer::{Observer, Opening, Seen};
pub use server::{Sources, serve};

/// Milliseconds since 1970.
pub fn now_ms() -> u64 {
    std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .ok()
        .and_then(|since| since.as_millis().try_into().ok())
        .unwrap_or_default()
}
