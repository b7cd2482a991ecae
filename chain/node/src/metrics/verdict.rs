//! Whether the node is ready: it has the newest block, and if it is a delegate, it signs.
//!
//! A load balancer sends nobody to a node that is not ready; an operator reads why.

use super::observer::{Part, seconds_between};
use serde::Serialize;
use std::time::Duration;

/// Least age of the newest block that counts as falling behind.
const LEAST_BOUND: Duration = Duration::from_secs(15);
/// Idle block times without a block that count as falling behind.
const IDLE_TIMES: u32 = 10;

/// How old the newest block of a ready node may be, on a chain that makes one at least every
/// `idle` even when there is nothing to put in it.
pub fn bound(idle: Duration) -> Duration {
    idle.saturating_mul(IDLE_TIMES).max(LEAST_BOUND)
}

/// The answer to `/ready`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Verdict {
    /// The answer.
    pub ready: bool,
    /// Why not; empty if it is.
    pub reasons: Vec<String>,
    /// Newest final block.
    pub height: u64,
    /// Its age.
    pub head_age_seconds: f64,
    /// Its epoch.
    pub epoch: u64,
    /// Whether this node is a delegate of that epoch.
    pub in_committee: bool,
    /// Whether it is one that does not sign.
    pub not_signing: bool,
    /// Live connections.
    pub peers: u64,
}

/// Judges a node's part at `now_ms`.
pub fn judge(part: Part, peers: u64, bound: Duration, now_ms: u64) -> Verdict {
    let head_age_seconds = seconds_between(part.timestamp_ms, now_ms);
    let mut reasons = Vec::new();
    if head_age_seconds > bound.as_secs_f64() {
        reasons.push(format!(
            "the newest final block is {head_age_seconds:.0} seconds old; it should not be older than {}",
            bound.as_secs()
        ));
    }
    if part.not_signing {
        reasons.push(format!(
            "this node is a delegate, but for {} views no final block showed a turn or an attestation of it",
            part.silent_views
        ));
    }
    Verdict {
        ready: reasons.is_empty(),
        reasons,
        height: part.height,
        head_age_seconds,
        epoch: part.epoch,
        in_committee: part.in_committee,
        not_signing: part.not_signing,
        peers,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PART: Part = Part {
        height: 7,
        timestamp_ms: 1_000_000,
        epoch: 1,
        in_committee: true,
        silent_views: 3,
        not_signing: false,
        checkpoint_ms: 0,
    };

    #[test]
    fn the_bound_follows_the_chain_and_has_a_floor() {
        assert_eq!(bound(Duration::from_millis(500)), LEAST_BOUND);
        assert_eq!(bound(Duration::from_secs(60)), Duration::from_secs(600));
    }

    #[test]
    fn a_node_is_ready_if_it_is_near_and_signs() {
        let bound = Duration::from_secs(15);
        let good = judge(PART, 3, bound, 1_015_000);
        assert!(good.ready && good.reasons.is_empty());
        let behind = judge(PART, 3, bound, 1_015_001);
        assert!(!behind.ready);
        let silent = Part {
            not_signing: true,
            ..PART
        };
        let both = judge(silent, 3, bound, 1_100_000);
        assert_eq!(both.reasons.len(), 2);
        assert!(both.reasons.iter().all(|reason| !reason.contains('\n')));
        // A clock that runs behind the chain's is no reason.
        assert!(judge(PART, 0, bound, 0).ready);
    }
}
