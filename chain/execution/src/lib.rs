//! The native chain's state transition: Ethereum transactions and the system modules.
//!
//! ```txt
//! transactions ─┐
//! block input  ─┼─► Executor ─► changes of the state, receipts, roots, outbox packets
//! StateReader  ─┘
//! ```
//!
//! Everything here is a pure function of the block before and the block's input: no I/O of its
//! own, no clock, no threads, no randomness. State is read through [`StateReader`], which the
//! node provides; what comes out is a map of changes, which the node commits.
//!
//! | file | idea |
//! |---|---|
//! | `bls` | points of BLS12-381, in Ethereum's shapes and in consensus' |
//! | `state` | keys and encodings of the state, and how it is read |
//! | `transaction` | a signed transaction: decoded, checked, its sender recovered |
//! | `executor` | what a node calls: execute, build, call, estimate, simulate, trace |
//! | `lane` | gas paid with points |
//! | `refusal` | why a block cannot take a transaction |
//! | `price`, `payer` | gas paid with coin: what it costs, and whose coin it is |
//! | `overlay` | a state of which something else is assumed |
//! | `session` | one block under way, and the reading of what it lacks |
//! | `direct` | calls straight to the points module |
//! | `cache` | the state as the EVM sees it during one block |
//! | `outcome` | receipts and roots |
//! | `words` | refusals in geth's words |
//! | `modules` | system modules: points, coin, bridge, staking, rotation, rewards, fees, peers |

pub mod bls;
mod cache;
mod call;
mod direct;
mod error;
mod executor;
mod lane;
mod modules;
mod outcome;
mod overlay;
mod payer;
mod price;
mod refusal;
mod session;
pub mod state;
mod transaction;
mod words;

pub use call::{CallOutcome, CallRequest, EstimateOutcome};
pub use error::BlockError;
pub use executor::{
    BlockInput, BlockOutput, Draw, Elected, Executor, Fare, Help, NextEpoch, PaidBy, Quote,
    Simulated, SimulatedCall, SimulatedLog, SimulationRules, Source, Sponsorship, Unfit,
};
pub use modules::{
    bridge::announce::NewKey, points::balance_slot as points_slot,
    rewards::holder::genesis_keys as holder_keys, rewards::read::RewardsStanding,
    rotation::Rotations,
};
pub use outcome::{SentPacket, TransactionOutcome};
pub use overlay::{MAX_OVERRIDES, Overridden, OverrideError};
pub use payer::sender_price;
pub use refusal::Cause;
pub use state::{Account, Changes, Key, ReadError, StateReader, Value, account, code, storage};
pub use transaction::{MAX_TRANSACTION_LENGTH, Transaction, TransactionError};
