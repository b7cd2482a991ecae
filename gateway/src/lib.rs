//! The gateway: it takes a partner's mileage through an adapter and issues points on the chain.
//!
//! Money is never guessed. A conversion is a row whose state changes only along one table; before
//! a call to anybody else its intent is committed, after it its answer; what is unknown stays
//! unknown until it is known.
//!
//! ```txt
//! command       the verb `mileverse gateway`
//! config        the TOML file
//! server        everything put together, started and stopped
//! api/          HTTP: quotes, conversions, floats, books, health; OpenAPI
//! conversion/   states, the machine that moves them, the worker that resumes them
//! issuer/       the chain's RPC and the issuer's key
//! journal/      double entry
//! float/        prepaid points: holding, buying, their price
//! custody/      wallets for members without an address, and moving points out of them
//! webhook/      telling partners what happened
//! reconcile/    partner, journal and chain beside each other
//! rewards/      quarterly rewards: claims on Ethereum, members told, alarms
//! operator/     who runs it, what waits for them, four eyes
//! telemetry     where traces are sent
//! store/        SQLite or PostgreSQL; the job table
//! vault         personal data at rest
//! metrics       figures for Prometheus
//! key_source   where a master key comes from
//! keys, secrets, problem, ids, units, clock
//! ```
//!
//! What it says to its callers, and what they say to it, is in `mileverse-gateway-api`.

pub mod api;
pub mod clock;
pub mod command;
pub mod config;
pub mod conversion;
pub mod custody;
pub mod desk;
pub mod float;
pub mod ids;
pub mod issuer;
pub mod journal;
pub mod key_source;
pub mod keys;
mod listen;
pub mod metrics;
pub mod objectives;
pub mod operator;
pub mod page_index;
pub mod problem;
pub mod reconcile;
pub mod rewards;
pub mod secrets;
pub mod server;
pub mod store;
mod telemetry;
pub mod units;
pub mod vault;
pub mod webhook;

pub use command::{Command, Error, run};
