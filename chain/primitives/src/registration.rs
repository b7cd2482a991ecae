//! `registration.json`: what a node tells its owner, who registers it as a candidate.
//!
//! Public data only. `mileverse node init` writes it beside the node's keys, on the machine that
//! signs; `mileverse delegate register` reads it, on the machine that holds the owner's coin.

use alloy::primitives::{Address, B256, Bytes};
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;

/// A node that asks to be registered.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Registration {
    /// The chain that the proof is for.
    pub chain_id: u64,
    /// The node's ed25519 public key.
    pub consensus_key: B256,
    /// The account that will own the candidacy.
    pub owner: Address,
    /// The node's signature over the owner's address: proof that it has the key (`vote.rs`).
    pub possession: Bytes,
    /// Where other validators reach it.
    pub address: SocketAddr,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_registration_round_trips_and_knows_its_fields() {
        let registration = Registration {
            chain_id: 8217,
            consensus_key: B256::repeat_byte(1),
            owner: Address::repeat_byte(2),
            possession: Bytes::from(vec![3; 64]),
            address: "203.0.113.5:9000".parse().unwrap(),
        };
        let text = serde_json::to_string(&registration).unwrap();
        assert_eq!(
            serde_json::from_str::<Registration>(&text).unwrap(),
            registration
        );
        let more = text.replace("\"owner\"", "\"other\":1,\"owner\"");
        assert!(serde_json::from_str::<Registration>(&more).is_err());
    }
}
