//! JSON-RPC: Ethereum's methods as wallets and tools expect them, and the chain's own. What each
//! method promises stands in `docs/rpc.md`.
//!
//! | file | what |
//! |---|---|
//! | `server`, `guard`, `limits` | listens, and holds each client to its share |
//! | `methods` | all methods, and what each costs a client |
//! | `register`, `arguments` | how a method is added and reads its parameters |
//! | `context` | what the methods answer from |
//! | `find` | which block a request means |
//! | `eth` | `eth_` |
//! | `debug`, `net`, `txpool` | `debug_`; `net_` and `web3_`; `txpool_` |
//! | `own` | `mileverse_`: certificates, outbox packets and paths, status |
//! | `reads` | the state after a block; admission of transactions |
//! | `waiting` | what a node answers that has no state yet |
//! | `convert` | from the index to Ethereum's JSON shapes |
//! | `failure` | error codes and words |

mod arguments;
mod context;
mod convert;
mod debug;
mod eth;
mod failure;
mod find;
mod guard;
mod limits;
mod methods;
mod net;
mod own;
mod reads;
mod register;
mod server;
mod txpool;
mod waiting;

pub use context::Context;
pub use eth::filters::Filters;
pub use limits::Limits;
pub use methods::METHODS;
pub use reads::{Admission, Blocking, Reads, StateAt};
pub use server::{ServeError, serve, serve_waiting};
pub use waiting::Waiting;
