//! One route, put together from its configuration: chains, keys, workers.

use crate::{
    Error,
    chain::{Account, Ledger as _, Side as _, ethereum::Ethereum, native::Native},
    clock::Clock,
    config::{self, Key},
    keys::{Signer, Web3Signer},
    metrics::Metrics,
    store::{Direction, Mark, Network, RouteStore},
    transaction::{Limits, Sender},
    worker::{Delivery, FromEthereum, FromOutbox, Orders, Worker},
};
use mileverse_primitives::packet::PacketId;
use mileverse_wallet::{
    client::{PacketName, PacketReference},
    keystore,
    rpc::Chain,
};
use std::{path::Path, time::Duration};

/// A route's configuration, its chains and who signs on each.
#[derive(Clone)]
pub(crate) struct Route {
    pub(crate) name: String,
    pub(crate) config: config::Route,
    pub(crate) native: Native,
    pub(crate) far: Far,
    native_signers: Vec<Signer>,
    far_signers: Vec<Signer>,
}

/// The chain at the other end, and what its configuration says.
#[derive(Clone)]
pub(crate) enum Far {
    Ethereum(Ethereum, Box<config::Ethereum>),
    Peer(Native, config::Native),
}

impl Far {
    /// What every chain offers.
    pub(crate) fn ledger(&self) -> &Account {
        match self {
            Self::Ethereum(ethereum, _) => ethereum.ledger(),
            Self::Peer(peer, _) => peer.ledger(),
        }
    }
}

/// The worker of one direction.
pub(crate) enum Carrier {
    /// Proven by certificates, to Ethereum.
    ToEthereum(FromOutbox<Native, Ethereum>),
    /// Proven by certificates, from one native chain to another.
    BetweenNatives(FromOutbox<Native, Native>),
    /// Proven by Ethereum's storage.
    FromEthereum(FromEthereum<Native, Ethereum>),
}

macro_rules! each {
    ($carrier:ident, $worker:ident => $what:expr) => {
        match $carrier {
            Carrier::ToEthereum($worker) => $what,
            Carrier::BetweenNatives($worker) => $what,
            Carrier::FromEthereum($worker) => $what,
        }
    };
}

impl Worker for Carrier {
    fn direction(&self) -> Direction {
        each!(self, worker => worker.direction())
    }

    fn delivery(&mut self) -> &mut Delivery {
        each!(self, worker => worker.delivery())
    }

    fn doubt(&self, chain: Chain) {
        each!(self, worker => worker.doubt(chain));
    }

    async fn tick(&mut self) -> Result<bool, Error> {
        each!(self, worker => worker.tick().await)
    }
}

impl Route {
    /// Opens the keys; asks nobody anything yet.
    pub(crate) fn open(name: &str, config: &config::Route) -> Result<Self, Error> {
        let far_keys = match &config.far {
            config::Far::Ethereum(ethereum) => &ethereum.keys,
            config::Far::Peer(peer) => &peer.keys,
        };
        Ok(Self {
            native_signers: signers(&config.native.keys)?,
            far_signers: signers(far_keys)?,
            ..Self::look(name, config)?
        })
    }

    /// Without keys, to look only.
    pub(crate) fn look(name: &str, config: &config::Route) -> Result<Self, Error> {
        let native = |native: &config::Native, peer| Native::new(&native.rpc, native.quorum, peer);
        let (near, far) = match &config.far {
            config::Far::Ethereum(ethereum) => (
                native(&config.native, None)?,
                Far::Ethereum(
                    Ethereum::new(&ethereum.rpc, ethereum.quorum, ethereum.bridge)?,
                    ethereum.clone(),
                ),
            ),
            // Each is the other's peer.
            config::Far::Peer(peer) => (
                native(&config.native, peer.chain_id)?,
                Far::Peer(native(peer, config.native.chain_id)?, peer.clone()),
            ),
        };
        Ok(Self {
            name: name.to_owned(),
            native: near,
            far,
            native_signers: Vec::new(),
            far_signers: Vec::new(),
            config: config.clone(),
        })
    }

    /// Its two directions.
    pub(crate) const fn directions(&self) -> [Direction; 2] {
        self.config.directions()
    }

    /// The chain where a direction's packets arrive.
    pub(crate) fn destination(&self, direction: Direction) -> &Account {
        match direction {
            Direction::ToNative => self.native.ledger(),
            Direction::ToEthereum | Direction::ToPeer => self.far.ledger(),
        }
    }

    /// The chain that its packets come from.
    pub(crate) fn source(&self, direction: Direction) -> &Account {
        match direction {
            Direction::ToNative => self.far.ledger(),
            Direction::ToEthereum | Direction::ToPeer => self.native.ledger(),
        }
    }

    /// The direction against this one.
    pub(crate) const fn back(&self, direction: Direction) -> Direction {
        let [there, back] = self.directions();
        match direction {
            Direction::ToNative => there,
            Direction::ToEthereum | Direction::ToPeer => back,
        }
    }

    /// Who signs a direction's deliveries.
    pub(crate) fn signers(&self, direction: Direction) -> &[Signer] {
        match direction {
            Direction::ToNative => &self.native_signers,
            Direction::ToEthereum | Direction::ToPeer => &self.far_signers,
        }
    }

    /// Which way a packet goes, if it is one of this route.
    pub(crate) fn way_of(&self, packet: PacketName) -> Result<(Direction, u64), Error> {
        let [there, back] = self.directions();
        let way = match (&self.config.far, packet) {
            (config::Far::Ethereum(_), PacketName::Bridge(packet)) => Some((
                match packet.chain {
                    Chain::Native => there,
                    Chain::Ethereum => back,
                },
                packet.sequence,
            )),
            (config::Far::Peer(peer), PacketName::Peers(id)) => {
                let chains = (Some(id.source), Some(id.destination));
                if chains == (self.config.native.chain_id, peer.chain_id) {
                    Some((there, id.sequence))
                } else if chains == (peer.chain_id, self.config.native.chain_id) {
                    Some((back, id.sequence))
                } else {
                    None
                }
            }
            _ => None,
        };
        way.ok_or_else(|| {
            let (there, back) = (self.packet(there, 1), self.packet(back, 1));
            Error::Unfinished(format!(
                "the route {} has no packet {packet}; its packets are called like {there} and {back}",
                self.name
            ))
        })
    }

    /// What a packet of this route is called.
    pub(crate) fn packet(&self, direction: Direction, sequence: u64) -> PacketName {
        let near = self.config.native.chain_id.unwrap_or_default();
        match (&self.config.far, direction) {
            (config::Far::Ethereum(_), direction) => PacketName::Bridge(PacketReference {
                chain: match direction {
                    Direction::ToNative => Chain::Ethereum,
                    Direction::ToEthereum | Direction::ToPeer => Chain::Native,
                },
                sequence,
            }),
            (config::Far::Peer(peer), direction) => {
                let far = peer.chain_id.unwrap_or_default();
                let (source, destination) = match direction {
                    Direction::ToNative => (far, near),
                    Direction::ToEthereum | Direction::ToPeer => (near, far),
                };
                PacketName::Peers(PacketId {
                    source,
                    destination,
                    sequence,
                })
            }
        }
    }

    /// Makes sure that both ends know each other.
    pub(crate) async fn network(&self) -> Result<Network, Error> {
        let facts = self.native.facts().await?;
        let native_chain = named("native", &self.native, facts.chain_id).await?;
        configured("native", self.config.native.chain_id, native_chain)?;
        let (far_chain, far_mark) = match &self.far {
            Far::Ethereum(ethereum, given) => {
                let bridge = given.bridge;
                if facts.ethereum.bridge != bridge {
                    return Err(Error::bridge(bridge, facts.ethereum.bridge));
                }
                let chain = ethereum.ledger().chain_id().await?;
                if chain != facts.ethereum.chain_id {
                    return Err(Error::Mismatch(format!(
                        "the Ethereum node is of chain {chain}, the bridge ends on chain {}",
                        facts.ethereum.chain_id
                    )));
                }
                let peer = ethereum.peer_chain_id(bridge).await?;
                if peer != native_chain {
                    return Err(Error::Mismatch(format!(
                        "the bridge at {bridge} belongs to native chain {peer}, the native node is of chain {native_chain}"
                    )));
                }
                (chain, Mark::Bridge(bridge))
            }
            Far::Peer(peer, given) => {
                let facts = peer.facts().await?;
                let chain = named("peer", peer, facts.chain_id).await?;
                configured("peer", given.chain_id, chain)?;
                for (here, other) in [(&self.native, chain), (peer, native_chain)] {
                    if !here.peers().await?.contains(&other) {
                        let url = here.ledger().endpoint().url();
                        return Err(Error::Mismatch(format!(
                            "the chain at {url} does not know chain {other} as a peer; its governor registers peers (docs/bridge.md)"
                        )));
                    }
                }
                (chain, Mark::Genesis(facts.genesis_hash))
            }
        };
        Ok(Network {
            native_chain,
            native_genesis: facts.genesis_hash,
            far_chain,
            far_mark,
        })
    }

    /// Its workers: there, and back.
    pub(crate) fn workers(
        &self,
        network: &Network,
        store: &RouteStore,
        clock: &Clock,
        metrics: &Metrics,
    ) -> [Carrier; 2] {
        let delivery = |direction: Direction, chain_id, batch, limits: Limits| {
            let senders = self.signers(direction).iter().map(|signer| {
                Sender::new(
                    store.clone(),
                    direction,
                    signer.clone(),
                    chain_id,
                    limits,
                    clock.clone(),
                    metrics.clone(),
                )
            });
            Delivery::new(
                store.clone(),
                senders.collect(),
                direction,
                Orders {
                    batch,
                    rules: self.config.rules.clone(),
                    only: None,
                },
                clock.clone(),
                metrics.clone(),
            )
        };
        let to_native = |direction, chain_id, native: &config::Native| {
            let limits = Limits {
                max_gas: native.max_gas,
                max_fee: 0,
                in_flight: native.in_flight,
                rebroadcast: Duration::from_secs(2),
                replace: Duration::MAX,
                profit: None,
            };
            delivery(direction, chain_id, native.batch, limits)
        };
        let (near, far) = (network.native_chain, network.far_chain);
        let home = to_native(Direction::ToNative, near, &self.config.native);
        match &self.far {
            Far::Ethereum(chain, ethereum) => {
                let limits = Limits {
                    max_gas: ethereum.max_gas,
                    max_fee: ethereum.max_fee(),
                    in_flight: ethereum.in_flight,
                    rebroadcast: Duration::from_secs(10),
                    replace: Duration::from_secs(ethereum.replace_after_s),
                    profit: ethereum.profit.map(Into::into),
                };
                let away = delivery(Direction::ToEthereum, far, ethereum.batch, limits);
                [
                    Carrier::ToEthereum(FromOutbox::new(
                        self.native.clone(),
                        chain.clone(),
                        away,
                        near,
                        far,
                    )),
                    Carrier::FromEthereum(FromEthereum::new(
                        self.native.clone(),
                        chain.clone(),
                        home,
                        (near, far),
                        ethereum.start_block,
                        ethereum.log_range,
                    )),
                ]
            }
            Far::Peer(chain, peer) => [
                Carrier::BetweenNatives(FromOutbox::new(
                    self.native.clone(),
                    chain.clone(),
                    to_native(Direction::ToPeer, far, peer),
                    near,
                    far,
                )),
                Carrier::BetweenNatives(FromOutbox::new(
                    chain.clone(),
                    self.native.clone(),
                    home,
                    far,
                    near,
                )),
            ],
        }
    }
}

/// What a native node calls its chain, in both of its ways to say so.
async fn named(end: &str, native: &Native, says: u64) -> Result<u64, Error> {
    let signed_for = native.ledger().chain_id().await?;
    if signed_for != says {
        return Err(Error::Mismatch(format!(
            "the {end} node calls its chain {says} and {signed_for}"
        )));
    }
    Ok(says)
}

/// Whether it is the chain that the configuration means.
fn configured(end: &str, expected: Option<u64>, actual: u64) -> Result<(), Error> {
    match expected {
        Some(expected) if expected != actual => Err(Error::Mismatch(format!(
            "the {end} node is of chain {actual}, {end}.chain_id says {expected}"
        ))),
        _ => Ok(()),
    }
}

fn signers(keys: &[Key]) -> Result<Vec<Signer>, Error> {
    let mut signers: Vec<Signer> = Vec::with_capacity(keys.len());
    for key in keys {
        let signer = signer(key)?;
        if signers
            .iter()
            .any(|known| known.account() == signer.account())
        {
            return Err(Error::Mismatch(format!(
                "two keys of one chain are of the account {}; each account can stand there once",
                signer.account()
            )));
        }
        signers.push(signer);
    }
    Ok(signers)
}

fn signer(key: &Key) -> Result<Signer, Error> {
    match key {
        Key::Keystore(key) => {
            let password = keystore::password(Some(&key.password_file))?;
            Ok(Signer::Local(keystore::open(
                Path::new(&key.keystore),
                &password,
            )?))
        }
        Key::Signer(key) => Web3Signer::new(&key.signer, key.address)
            .map(Signer::Remote)
            .map_err(Error::Mismatch),
    }
}
