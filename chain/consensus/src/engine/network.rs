//! The validators' TCP network: authenticated, encrypted, with known addresses.
//!
//! Who the peers are is decided epoch by epoch (`peers`). Only they may connect.
//!
//! Channel numbers are part of the protocol between validators. Each has a quota per peer and
//! second; a message above the quota is dropped by the receiver. The network reserves room for a
//! whole burst of every peer it may ever track, on every channel and twice: bursts are therefore
//! small, and the peers are those that the chain's seats allow ([`most_peers`]).

use super::{
    Channels, largest_message,
    limits::most_peers,
    peers::{Peers, SETS},
};
use crate::{block::PublicKey, rotation};
use commonware_cryptography::{ChaCha20Poly1305, ed25519};
use commonware_p2p::{
    Address,
    authenticated::lookup::{self, Network, Oracle},
};
use commonware_runtime::{
    Clock, Handle, Metrics, Network as RuntimeNetwork, Quota, Resolver, Spawner, Strategizer,
};
use commonware_stream::{
    cups::{self, Cups},
    sake::{self, Sake},
};
use commonware_utils::{NZU32, NZUsize};
use mileverse_primitives::limits::BlockLimits;
use rand::CryptoRng;
use std::{net::SocketAddr, num::NonZeroUsize, time::Duration};

/// Sets of peers to stay connected with: those of three epochs.
const TRACKED_SETS: NonZeroUsize = NZUsize!(6);
const _: () = assert!(TRACKED_SETS.get() as u64 == 3 * SETS);

/// How a connection is authenticated and encrypted.
pub type Handshake = Cups<ed25519::PrivateKey, ChaCha20Poly1305>;
type Sender<E> = lookup::Sender<PublicKey, E>;
type Receiver = lookup::Receiver<PublicKey>;

/// A network about to run.
pub struct Joined<E: Clock> {
    /// Consensus channels.
    pub channels: Channels<Sender<E>, Receiver>,
    /// Transactions.
    pub gossip: (Sender<E>, Receiver),
    /// Ceremonies for a new group key.
    pub rotation: (Sender<E>, Receiver),
    /// Each epoch's peers.
    pub peers: Peers<Oracle<PublicKey>>,
    /// The power to block a peer.
    pub blocker: Oracle<PublicKey>,
    /// Ends when the network does.
    pub network: Handle<()>,
}

/// Who joins which network.
pub struct Setup<'a, G> {
    /// The key that this peer is known by.
    pub identity: ed25519::PrivateKey,
    /// The chain's namespace: peers of another cannot connect.
    pub namespace: &'a [u8],
    /// Where peers are taken.
    pub listen: SocketAddr,
    /// Seats of the chain's committee.
    pub seats: u32,
    /// Limits of the chain's blocks.
    pub limits: BlockLimits,
    /// Whether members may have addresses that only a private network routes.
    pub private: bool,
    /// Peers of every epoch (see `peers`).
    pub guests: G,
}

/// Joins the network of a chain.
pub fn join<E, G>(context: &E, setup: Setup<'_, G>) -> Joined<E>
where
    E: CryptoRng + Spawner + Metrics + Clock + RuntimeNetwork + Resolver + Strategizer,
    G: IntoIterator<Item = (PublicKey, Address)>,
{
    let Setup {
        identity,
        namespace,
        listen,
        seats,
        limits,
        private,
        guests,
    } = setup;
    let most = most_peers(seats);
    let handshake = Cups::<_, ChaCha20Poly1305>::new(
        Sake {
            signer: identity,
            synchrony_bound: Duration::from_secs(5),
            max_handshake_age: Duration::from_secs(10),
            version: sake::Version::V1,
        },
        cups::Version::V1,
    );
    let config = if private {
        lookup::Config::local(
            handshake,
            namespace,
            listen,
            most,
            largest_message(limits),
            NZUsize!(1024),
        )
    } else {
        lookup::Config::recommended(
            handshake,
            namespace,
            listen,
            most,
            largest_message(limits),
            NZUsize!(1024),
        )
    };
    let config = lookup::Config {
        tracked_peer_sets: TRACKED_SETS,
        ..config
    };
    let (mut network, oracle) = Network::new(context.child("network"), config);
    let quota = |rate, burst| Quota::per_second(rate).allow_burst(burst);
    let channels = Channels {
        votes: network.register(0, quota(NZU32!(256), NZU32!(32))),
        certificates: network.register(1, quota(NZU32!(256), NZU32!(32))),
        resolver: network.register(2, quota(NZU32!(128), NZU32!(16))),
        backfill: network.register(3, quota(NZU32!(128), NZU32!(32))),
        broadcast: network.register(4, quota(NZU32!(64), NZU32!(16))),
        ceremony: network.register(6, quota(NZU32!(128), NZU32!(32))),
        attestations: network.register(7, quota(NZU32!(16), NZU32!(8))),
        headers: network.register(8, quota(NZU32!(64), NZU32!(16))),
        sync: network.register(9, quota(NZU32!(64), NZU32!(16))),
        floor: network.register(10, quota(NZU32!(16), NZU32!(8))),
    };
    let gossip = network.register(5, quota(NZU32!(1024), NZU32!(128)));
    // A ceremony's chain runs as fast as its players can; a few of its blocks a second suffice.
    let rotation = network.register(rotation::CHANNEL, quota(NZU32!(512), NZU32!(32)));
    Joined {
        channels,
        gossip,
        rotation,
        peers: Peers::new(oracle.clone(), guests),
        blocker: oracle,
        network: network.start(),
    }
}

/// Whether the whole internet can reach an address.
pub fn is_public(address: &SocketAddr) -> bool {
    match address {
        SocketAddr::V4(v4) => !v4.ip().is_loopback() && !v4.ip().is_private(),
        SocketAddr::V6(v6) => !v6.ip().is_loopback() && !v6.ip().is_unique_local(),
    }
}
