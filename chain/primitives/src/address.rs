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

/// Peers: other native chains, the packets to and from them, and their points here.
pub const PEERS: Address = address!("4d56000000000000000000000000000000000008");

/// Who a block's own work is shown as coming from: Ethereum's system address (EIP-4788). It has no key.
pub const SYSTEM: Address = address!("fffffffffffffffffffffffffffffffffffffffe");

/// Every module, in order.
pub const ALL: [Address; 8] = [
    POINTS, COIN, BRIDGE, STAKING, ROTATION, REWARDS, FEES, PEERS,
];

/// The modules' names, as `eth_config` (EIP-7910) has those of system contracts; in the order of [`ALL`].
pub const NAMES: [&str; ALL.len()] = [
    "POINTS_ADDRESS",
    "COIN_ADDRESS",
    "BRIDGE_ADDRESS",
    "STAKING_ADDRESS",
    "ROTATION_ADDRESS",
    "REWARDS_ADDRESS",
    "FEES_ADDRESS",
    "PEERS_ADDRESS",
];

/// How the addresses of peers' points begin: `0x4d57`, then zeros up to the chain id.
const PEER_POINTS_PREFIX: [u8; 12] = [0x4d, 0x57, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

/// Where the points of a native chain stand on every other: `0x4d57 ‖ 10 zero bytes ‖ chain id`.
///
/// There is a token once that chain is registered as a peer. The same account holds this chain's own
/// points that went there.
pub fn peer_points(chain_id: u64) -> Address {
    let mut bytes = [0; 20];
    let (prefix, number) = bytes.split_at_mut(PEER_POINTS_PREFIX.len());
    prefix.copy_from_slice(&PEER_POINTS_PREFIX);
    number.copy_from_slice(&chain_id.to_be_bytes());
    bytes.into()
}

/// Whose points stand at an address; `None` if it is no such address.
pub fn peer_of_points(address: Address) -> Option<u64> {
    let number = address.strip_prefix(&PEER_POINTS_PREFIX)?;
    let chain_id = u64::from_be_bytes(number.try_into().ok()?);
    (chain_id != 0).then_some(chain_id)
}

/// Whether native code of the chain answers at an address: a module, or a peer's points. Nobody has
/// its key.
pub fn is_native_code(address: Address) -> bool {
    ALL.contains(&address) || peer_of_points(address).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn peers_points_are_named_by_their_chain() {
        for chain_id in [1, 8217, u64::MAX] {
            let token = peer_points(chain_id);
            assert_eq!(peer_of_points(token), Some(chain_id));
            assert!(is_native_code(token));
        }
        assert_eq!(
            peer_points(8217),
            address!("4d57000000000000000000000000000000002019")
        );
        for other in ALL.into_iter().chain([
            Address::ZERO,
            address!("4d57000000000000000000000000000000000000"),
            address!("4d57000000000000000000010000000000002019"),
        ]) {
            assert_eq!(peer_of_points(other), None);
        }
    }
}
