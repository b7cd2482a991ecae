//! Fixed addresses of the system modules.
//!
//! A module is native code of the chain behind an address, called like a contract. The prefix
//! `0x4d56` ("MV") keeps them clear of Ethereum's own precompiles, which grow from `0x01`.

use alloy::primitives::{Address, address};

/// The points token, MVP.
pub const POINTS: Address = address!("4d56000000000000000000000000000000000001");
/// The ERC-20 face of the native coin, MVC.
pub const COIN: Address = address!("4d56000000000000000000000000000000000002");
/// The bridge: outbox, inbox, Ethereum checkpoints.
pub const BRIDGE: Address = address!("4d56000000000000000000000000000000000003");
/// Staking and election: candidates, votes, rewards, evidence.
pub const STAKING: Address = address!("4d56000000000000000000000000000000000004");
/// Rotation: requests for a new group key, and all keys there were.
pub const ROTATION: Address = address!("4d56000000000000000000000000000000000005");
/// Rewards: what holders of the coin are paid each quarter.
pub const REWARDS: Address = address!("4d56000000000000000000000000000000000006");
/// Fees: deposits that pay for the gas of others, and gas that stake has free.
pub const FEES: Address = address!("4d56000000000000000000000000000000000007");

/// Who a block's own work is shown as coming from: Ethereum's system address (EIP-4788). It has no key.
pub const SYSTEM: Address = address!("fffffffffffffffffffffffffffffffffffffffe");

/// Every module, in order.
pub const ALL: [Address; 7] = [POINTS, COIN, BRIDGE, STAKING, ROTATION, REWARDS, FEES];
