//! The genesis file's peers: other native chains with which this one exchanges points from its first
//! block on. The governor of the bridge registers further ones later. `docs/protocol.md` has the rules.
//!
//! A peer is known by its chain id and its group key. Its certificates bind both and nothing else of
//! its genesis, so two chains can name each other in their files before either has begun.

use crate::{
    bridge::{Limits, MAX_HOLD_SECONDS},
    genesis::GenesisError,
    packet::GroupKey,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Most peers of one chain.
pub const MAX_PEERS: usize = 64;

/// A peer.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Peer {
    /// Its chain id.
    pub chain_id: u64,
    /// Its group key: 256 bytes, G2, uncompressed (EIP-2537), as its `mileverse_groupKeys` says.
    pub group_key: GroupKey,
    /// The number of that key; a chain begins with number 0.
    #[serde(default)]
    pub key_version: u64,
    /// The first epoch that the key signs.
    #[serde(default)]
    pub first_epoch: u64,
    /// What may cross of this chain's points, in micro-MVP.
    #[serde(default)]
    pub points: Limits,
    /// What may cross of the peer's points, in their smallest unit.
    #[serde(default)]
    pub peer_points: Limits,
}

/// The rules that a file's peers must keep. Whether a key is a point of the group, who executes
/// blocks checks.
pub(crate) fn check(peers: &[Peer], chain_id: u64, ethereum: u64) -> Result<(), GenesisError> {
    if peers.len() > MAX_PEERS {
        return Err(GenesisError::Range("peers (at most 64)"));
    }
    let mut seen = BTreeSet::from([0, chain_id, ethereum]);
    for peer in peers {
        if !seen.insert(peer.chain_id) || peer.group_key.is_zero() {
            return Err(GenesisError::Peer(peer.chain_id));
        }
        for limits in [peer.points, peer.peer_points] {
            if limits.hold_seconds > MAX_HOLD_SECONDS {
                return Err(GenesisError::Range(
                    "peers holdSeconds (at most 604,800 for each token)",
                ));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn peer(chain_id: u64) -> Peer {
        Peer {
            chain_id,
            group_key: GroupKey::repeat_byte(1),
            key_version: 0,
            first_epoch: 0,
            points: Limits::default(),
            peer_points: Limits::default(),
        }
    }

    #[test]
    fn peers_are_other_chains_each_once_with_a_key() {
        assert_eq!(check(&[peer(3), peer(4)], 1, 2), Ok(()));
        for wrong in [0, 1, 2, 3] {
            let both = [peer(3), peer(wrong)];
            assert_eq!(check(&both, 1, 2), Err(GenesisError::Peer(wrong)));
        }
        let keyless = Peer {
            group_key: GroupKey::ZERO,
            ..peer(3)
        };
        assert_eq!(check(&[keyless], 1, 2), Err(GenesisError::Peer(3)));
        let mut slow = peer(3);
        slow.points.hold_seconds = MAX_HOLD_SECONDS + 1;
        assert!(check(&[slow], 1, 2).is_err());
        let many: Vec<Peer> = (10..75).map(peer).collect();
        assert!(check(&many, 1, 2).is_err());
        assert_eq!(check(&many[1..], 1, 2), Ok(()));
    }

    #[test]
    fn peers_are_read_by_their_names() {
        let key = GroupKey::repeat_byte(7);
        let text = format!(r#"{{"chainId":5,"groupKey":"{key}"}}"#);
        let read: Peer = serde_json::from_str(&text).unwrap();
        let expected = Peer {
            group_key: key,
            ..peer(5)
        };
        assert_eq!(read, expected);
        let written = serde_json::to_string(&read).unwrap();
        assert_eq!(serde_json::from_str::<Peer>(&written).unwrap(), read);
        assert!(serde_json::from_str::<Peer>(&text.replace("chainId", "chain")).is_err());
    }
}
