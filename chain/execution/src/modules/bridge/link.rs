//! A way over which packets go: to Ethereum, or to a peer. Each has its own sequences, receipts, sums,
//! limits and pauses, at the same places of a struct of its own, and its own voice for events. All
//! share the outbox.
//!
//! | | Ethereum | a peer |
//! |---|---|---|
//! | the struct stands at | the bridge module's slot 0 | the peers module's mapping of peers |
//! | events | `IBridge`, `IValves` of the bridge module | `IPeers` of the peers module |
//! | tokens | points, coin | points, the peer's points |
//! | points that left are held by | the bridge module | the account of the peer's points |

use super::{
    BRIDGE, OUTBOUND,
    token::{Kind, Token},
};
use crate::modules::{
    host::{Fault, Host},
    slot::Slot,
};
use alloy::primitives::{Address, B256, Bytes};
use mileverse_primitives::{
    abi::{IBridge, IPeers, IValves},
    address::{COIN, PEERS, POINTS, peer_points},
    packet,
};

/// The mapping of peers: their links' structs, by chain id.
const PEER_LINKS: Slot = Slot::at(PEERS, 0);

/// One way.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Link {
    /// To Ethereum and from there, by checkpoints.
    Ethereum,
    /// To the native chain with this id and from there, by certificates.
    Peer(u64),
}

/// What became of a packet, as events tell it.
#[derive(Clone, Copy, Debug)]
pub(super) enum Told {
    Received,
    Expired,
    Refunded,
    Acknowledged,
}

impl Link {
    /// The `index`-th word of its struct.
    pub(crate) fn slot(self, index: u64) -> Slot {
        match self {
            Self::Ethereum => Slot::at(BRIDGE, index),
            Self::Peer(chain_id) => PEER_LINKS.entry(chain_id).field(index),
        }
    }

    /// The chain at its other end.
    pub(super) const fn far_chain(self, host: &Host<'_>) -> u64 {
        match self {
            Self::Ethereum => host.config().ethereum.chain_id,
            Self::Peer(chain_id) => chain_id,
        }
    }

    /// Who holds the points that left over it.
    pub(super) fn holder(self) -> Address {
        match self {
            Self::Ethereum => BRIDGE,
            Self::Peer(chain_id) => peer_points(chain_id),
        }
    }

    /// The tokens that cross it.
    pub(crate) const fn tokens(self) -> [Token; 2] {
        let kinds = match self {
            Self::Ethereum => [Kind::Points, Kind::Coin],
            Self::Peer(_) => [Kind::Points, Kind::PeerPoints],
        };
        let [one, other] = kinds;
        [
            Token {
                link: self,
                kind: one,
            },
            Token {
                link: self,
                kind: other,
            },
        ]
    }

    /// The token with this address on this chain.
    pub(crate) fn token(self, address: Address) -> Result<Token, Fault> {
        let mut tokens = self.tokens().into_iter();
        tokens
            .find(|token| token.address() == address)
            .ok_or_else(|| {
                Fault::revert(match (self, address) {
                    (Self::Peer(_), COIN) => {
                        "MVC goes to another native chain over Ethereum, its home, only"
                    }
                    (Self::Peer(_), _) => {
                        "this token is not registered with this peer; points of here and of there are"
                    }
                    (Self::Ethereum, _) => "this token is not registered with the bridge",
                })
            })
    }

    /// The token that a packet names, if it is one that crosses here.
    pub(super) fn token_of_packet(self, host: &Host<'_>, named: packet::Token) -> Option<Token> {
        let mut tokens = self.tokens().into_iter();
        tokens.find(|token| token.at_home(host) == named)
    }

    /// Where an outbound packet's commitment stands.
    pub(super) fn outbound(self, sequence: u64) -> Slot {
        self.slot(OUTBOUND).entry(sequence)
    }

    /// Tells relayers a packet's bytes.
    pub(super) fn tell_sent(
        self,
        host: &mut Host<'_>,
        sequence: u64,
        commitment: B256,
        packet: Bytes,
    ) -> Result<(), Fault> {
        match self {
            Self::Ethereum => host.log(
                BRIDGE,
                &IBridge::PacketSent {
                    sequence,
                    commitment,
                    packet,
                },
            ),
            Self::Peer(peer) => host.log(
                PEERS,
                &IPeers::PacketSent {
                    peer,
                    sequence,
                    commitment,
                    packet,
                },
            ),
        }
    }

    /// Tells what became of a packet.
    pub(super) fn tell(
        self,
        host: &mut Host<'_>,
        told: Told,
        sequence: u64,
        commitment: B256,
    ) -> Result<(), Fault> {
        macro_rules! event {
            ($name:ident) => {
                match self {
                    Self::Ethereum => host.log(
                        BRIDGE,
                        &IBridge::$name {
                            sequence,
                            commitment,
                        },
                    ),
                    Self::Peer(peer) => host.log(
                        PEERS,
                        &IPeers::$name {
                            peer,
                            sequence,
                            commitment,
                        },
                    ),
                }
            };
        }
        match told {
            Told::Received => event!(PacketReceived),
            Told::Expired => event!(PacketExpired),
            Told::Refunded => event!(PacketRefunded),
            Told::Acknowledged => event!(PacketAcknowledged),
        }
    }

    /// Tells that a transfer waits.
    pub(super) fn tell_held(
        self,
        host: &mut Host<'_>,
        sequence: u64,
        commitment: B256,
        until: u64,
    ) -> Result<(), Fault> {
        match self {
            Self::Ethereum => host.log(
                BRIDGE,
                &IValves::PacketHeld {
                    sequence,
                    commitment,
                    until,
                },
            ),
            Self::Peer(peer) => host.log(
                PEERS,
                &IPeers::PacketHeld {
                    peer,
                    sequence,
                    commitment,
                    until,
                },
            ),
        }
    }
}

impl Token {
    /// MVP on the way to and from Ethereum.
    pub(super) const POINTS: Self = Self {
        link: Link::Ethereum,
        kind: Kind::Points,
    };
    /// MVC on the way to and from Ethereum.
    pub(super) const COIN: Self = Self {
        link: Link::Ethereum,
        kind: Kind::Coin,
    };

    /// Its address on this chain.
    pub(crate) fn address(self) -> Address {
        match (self.kind, self.link) {
            (Kind::Points, _) => POINTS,
            (Kind::PeerPoints, Link::Peer(chain_id)) => peer_points(chain_id),
            // Only a peer's link has points of a peer.
            (Kind::Coin | Kind::PeerPoints, _) => COIN,
        }
    }
}
