//! How much a client may ask for.
//!
//! | limit | |
//! |---|---|
//! | [`MAX_REQUEST_BYTES`], [`response_bytes`], [`MAX_BATCH`] | one HTTP body or WebSocket message |
//! | [`MAX_CONNECTIONS`] | all clients together; `connections` of one client |
//! | [`MAX_SUBSCRIPTIONS`] | of one WebSocket connection |
//! | [`MAX_FILTERS`], [`MAX_FILTERS_PER_CLIENT`] | filters installed |
//! | [`MAX_LOG_BLOCKS`], [`MAX_LOGS`] | one question for logs; those of one block are always told |
//! | [`MAX_STORAGE_VALUES`] | one question for words of storage |
//! | [`MAX_CALL_GAS`], [`MAX_CALL_TIME`], calls at one time | one call, or one simulation |
//! | [`MAX_SIMULATED_BLOCKS`] | one simulation |
//! | `per_second`, `burst` | units of work of one client; see `methods` for what each method costs |
//!
//! A client is an IPv4 address, or the first 64 bits of an IPv6 address.

use mileverse_primitives::limits::{BlockLimits, MAX_TRANSACTION_LENGTH};
use serde::Deserialize;
use std::{
    net::{IpAddr, Ipv6Addr},
    num::NonZeroU32,
    time::Duration,
};

/// Longest request, bytes.
pub const MAX_REQUEST_BYTES: u32 = 2 * 1024 * 1024;
// A transaction is given in hex.
const _: () = assert!(MAX_REQUEST_BYTES as usize > 2 * MAX_TRANSACTION_LENGTH);
/// Longest answer on a chain with small blocks, bytes.
const LEAST_RESPONSE_BYTES: u32 = 16 * 1024 * 1024;
/// Gas of a block for each byte of its receipts as JSON. A transfer of points has about 2,300 bytes
/// for 40,000 gas, an entry of a batch 1,500 for 9,000.
const GAS_PER_RESPONSE_BYTE: u64 = 5;
/// Most requests in one batch.
pub const MAX_BATCH: u32 = 1000;
/// Most words of storage in one question (geth).
pub const MAX_STORAGE_VALUES: usize = 1024;
/// Most connections at one time.
pub const MAX_CONNECTIONS: usize = 512;
/// Most subscriptions of one connection.
pub const MAX_SUBSCRIPTIONS: u32 = 64;
/// Most filters at one time.
pub const MAX_FILTERS: usize = 1024;
/// Most filters of one client.
pub const MAX_FILTERS_PER_CLIENT: usize = 64;
/// How long a filter lives that nobody asks for.
pub const FILTER_LIFE: Duration = Duration::from_secs(300);
/// Most blocks that one question for logs spans.
pub const MAX_LOG_BLOCKS: u64 = 10_000;
/// Most logs in one answer.
pub const MAX_LOGS: usize = 10_000;
/// Most addresses, or topics at one position, in one question for logs.
pub const MAX_LOG_CHOICES: usize = 1000;
/// Most blocks that `eth_feeHistory` reports on.
pub const MAX_FEE_BLOCKS: u64 = 1024;
/// Most blocks of one simulation, with those between that hold no calls.
pub const MAX_SIMULATED_BLOCKS: u64 = 256;
/// Most gas of a call, or of all calls of a simulation.
pub const MAX_CALL_GAS: u64 = 50_000_000;
/// Longest time that a call or a simulation may read state.
pub const MAX_CALL_TIME: Duration = Duration::from_secs(5);
/// Longest time that a request waits for its turn to simulate.
pub const MAX_CALL_WAIT: Duration = Duration::from_secs(5);
/// Longest time that `eth_sendRawTransactionSync` waits.
pub const MAX_SYNC_WAIT: Duration = Duration::from_secs(60);
/// How long it waits if it is not told.
pub const SYNC_WAIT: Duration = Duration::from_secs(20);

/// Longest answer, bytes: as long as the receipts of a full block. A block that cannot be told would
/// be lost to every explorer.
pub fn response_bytes(limits: BlockLimits) -> u32 {
    let bytes = limits.gas() / GAS_PER_RESPONSE_BYTE;
    u32::try_from(bytes)
        .unwrap_or(u32::MAX)
        .max(LEAST_RESPONSE_BYTES)
}

/// What an operator may say about limits.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Units of work that a client may ask for each second.
    pub per_second: NonZeroU32,
    /// Units that it may ask for at once after a rest.
    pub burst: NonZeroU32,
    /// Connections of one client.
    pub connections: NonZeroU32,
    /// Whether clients on this machine are held to these limits too.
    pub limit_loopback: bool,
}

impl Default for Limits {
    fn default() -> Self {
        let most = |number: u32| NonZeroU32::new(number).unwrap_or(NonZeroU32::MAX);
        Self {
            per_second: most(500),
            burst: most(5000),
            connections: most(64),
            limit_loopback: false,
        }
    }
}

impl Limits {
    /// Whom an address counts as; `None` if it is not limited.
    pub(crate) fn client(&self, address: IpAddr) -> Option<IpAddr> {
        let address = address.to_canonical();
        if address.is_loopback() && !self.limit_loopback {
            return None;
        }
        Some(match address {
            IpAddr::V4(_) => address,
            IpAddr::V6(address) => {
                let [a, b, c, d, ..] = address.segments();
                Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
            }
        })
    }
}
