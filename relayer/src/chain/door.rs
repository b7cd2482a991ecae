//! Where a chain takes packets in: its bridge, or for a peer's packets its peers module. Both have the
//! same questions; the peers module wants to know of which peer.
//!
//! A peer's *rotation* has no number on the route: its chain announced it to Ethereum. It stands here
//! under [`ROTATIONS`] + the number of its key, and its receipt is that this key, or a later one, is in
//! force.

use alloy::{primitives::U256, sol_types::SolCall as _};
use mileverse_primitives::{
    Address, B256, Bytes,
    abi::{IBridge, IPeers, IValves},
    address,
};
use mileverse_wallet::rpc::{Endpoint, RpcError};

/// Above every sequence of a packet, and within what the databases can hold.
pub const ROTATIONS: u64 = 1 << 62;

/// One of them.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Door {
    /// The bridge at this address: of Ethereum, or the native chain's for what comes from there.
    Bridge(Address),
    /// A native chain's peers module, for the peer with this chain id.
    Peers(u64),
}

impl Door {
    /// The contract or module.
    pub const fn address(self) -> Address {
        match self {
            Self::Bridge(address) => address,
            Self::Peers(_) => address::PEERS,
        }
    }

    /// Who holds the points that left through it.
    pub fn holder(self) -> Address {
        match self {
            Self::Bridge(address) => address,
            Self::Peers(peer) => address::peer_points(peer),
        }
    }

    /// The question for an inbound packet's receipt.
    pub(super) fn receipt(self, sequence: u64) -> Bytes {
        let asked = match self {
            Self::Bridge(_) => IBridge::receiptCall { sequence }.abi_encode(),
            Self::Peers(peer) if sequence >= ROTATIONS => {
                IPeers::keyInForceCall { peer }.abi_encode()
            }
            Self::Peers(peer) => IPeers::receiptCall { peer, sequence }.abi_encode(),
        };
        asked.into()
    }

    /// Its answer: 0 none, 1 received, 2 expired; `None` if it can be none.
    pub(super) fn read_receipt(self, sequence: u64, answer: &[u8]) -> Option<u8> {
        let outcome = match (self, sequence.checked_sub(ROTATIONS)) {
            (Self::Bridge(_), _) => IBridge::receiptCall::abi_decode_returns(answer).ok()?,
            (Self::Peers(_), None) => IPeers::receiptCall::abi_decode_returns(answer).ok()?,
            (Self::Peers(_), Some(version)) => {
                let key = IPeers::keyInForceCall::abi_decode_returns(answer).ok()?;
                u8::from(key.keyVersion >= version)
            }
        };
        (outcome <= 2).then_some(outcome)
    }

    /// From when on an inbound packet may be released that waits for its delay.
    pub(super) async fn held(
        self,
        endpoint: &Endpoint,
        sequence: u64,
    ) -> Result<Option<u64>, RpcError> {
        let (commitment, until) = match self {
            Self::Bridge(bridge) => {
                let held = endpoint
                    .view(bridge, &IValves::heldCall { sequence })
                    .await?;
                (held.commitment, held.until)
            }
            Self::Peers(peer) => {
                let call = IPeers::heldCall { peer, sequence };
                let held = endpoint.view(self.address(), &call).await?;
                (held.commitment, held.until)
            }
        };
        Ok((!commitment.is_zero()).then_some(until))
    }

    /// What is stored of a packet that was sent from here.
    pub(super) async fn outbound(
        self,
        endpoint: &Endpoint,
        sequence: u64,
    ) -> Result<B256, RpcError> {
        match self {
            Self::Bridge(bridge) => {
                endpoint
                    .view(bridge, &IBridge::outboundCall { sequence })
                    .await
            }
            Self::Peers(peer) => {
                let call = IPeers::outboundCall { peer, sequence };
                endpoint.view(self.address(), &call).await
            }
        }
    }

    /// The question for a token's totals.
    pub(crate) fn totals(self, token: Address) -> Bytes {
        let asked = match self {
            Self::Bridge(_) => IBridge::totalsCall { token }.abi_encode(),
            Self::Peers(peer) => IPeers::totalsCall { peer, token }.abi_encode(),
        };
        asked.into()
    }

    /// Its answer: sent, received, refunded.
    pub(crate) fn read_totals(self, answer: &[u8]) -> Option<[U256; 3]> {
        match self {
            Self::Bridge(_) => IBridge::totalsCall::abi_decode_returns(answer)
                .ok()
                .map(|totals| [totals.sent, totals.received, totals.refunded]),
            Self::Peers(_) => IPeers::totalsCall::abi_decode_returns(answer)
                .ok()
                .map(|totals| [totals.sent, totals.received, totals.refunded]),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_rotation_is_received_once_its_key_or_a_later_one_is_in_force() {
        let door = Door::Peers(7);
        let answer = IPeers::keyInForceCall::abi_encode_returns(&IPeers::keyInForceReturn {
            keyVersion: 2,
            firstEpoch: 9,
            groupKey: Bytes::from(vec![1; 256]),
        });
        for (version, received) in [(1, 1), (2, 1), (3, 0)] {
            let sequence = ROTATIONS + version;
            assert_eq!(door.read_receipt(sequence, &answer), Some(received));
            assert_eq!(
                door.receipt(sequence),
                Bytes::from(IPeers::keyInForceCall { peer: 7 }.abi_encode())
            );
        }
    }

    #[test]
    fn receipts_have_three_values() {
        for door in [Door::Bridge(Address::repeat_byte(3)), Door::Peers(7)] {
            for (outcome, read) in [(0, Some(0)), (1, Some(1)), (2, Some(2)), (3, None)] {
                let answer = IBridge::receiptCall::abi_encode_returns(&outcome);
                assert_eq!(door.read_receipt(5, &answer), read);
            }
            assert_eq!(door.read_receipt(5, &[]), None);
        }
    }
}
