//! One route, put together from its configuration: chains, keys, workers.

use crate::{
    Error,
    chain::{Account, At, End, Ledger as _, Side as _, ethereum::Ethereum, native::Native},
    clock::Clock,
    config::{self, Key},
    keys::{Signer, Web3Signer},
    metrics::Metrics,
    store::{Direction, Lane, Mark, Network, RouteStore},
    swaps::{self, Swaps, Timelock},
    transaction::{Limits, Sender},
    worker::{Carries, Delivery, FromEthereum, FromOutbox, Orders, Worker},
};
use mileverse_primitives::{
    Address,
    address::{COIN, POINTS},
    exchange::HASHED_TIMELOCK,
    packet::PacketId,
};
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
    /// Who completes swaps on the native chain, and on Ethereum.
    swappers: [Vec<Signer>; 2],
}

/// The two ends where swaps are.
pub(crate) const SWAP_ENDS: [End; 2] = [End::Native, End::Ethereum];

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

impl Carries for Carrier {
    fn delivery(&mut self) -> &mut Delivery {
        each!(self, worker => worker.delivery())
    }
}

impl Worker for Carrier {
    fn lane(&self) -> Lane {
        each!(self, worker => worker.lane())
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
        let native_signers = signers(&config.native.keys)?;
        let far_signers = signers(far_keys)?;
        let swappers = match &config.swaps {
            None => Default::default(),
            Some(swaps) => [
                swappers("native", &swaps.native_keys, &native_signers)?,
                swappers("ethereum", &swaps.ethereum_keys, &far_signers)?,
            ],
        };
        Ok(Self {
            native_signers,
            far_signers,
            swappers,
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
            swappers: Default::default(),
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

    /// Its lanes: the two directions, and the swaps of both ends if they are completed.
    pub(crate) fn lanes(&self) -> Vec<Lane> {
        self.config.lanes()
    }

    /// The chain where a lane's transactions go.
    pub(crate) fn place(&self, lane: Lane) -> (End, &Account) {
        match lane {
            Lane::Packets(direction) => (direction.destination(), self.destination(direction)),
            Lane::Swaps(End::Ethereum) => (End::Ethereum, self.far.ledger()),
            Lane::Swaps(End::Native | End::Peer) => (End::Native, self.native.ledger()),
        }
    }

    /// Who signs a lane's transactions.
    pub(crate) fn signers_of(&self, lane: Lane) -> &[Signer] {
        let [native, ethereum] = &self.swappers;
        match lane {
            Lane::Packets(direction) => self.signers(direction),
            Lane::Swaps(End::Ethereum) => ethereum,
            Lane::Swaps(End::Native | End::Peer) => native,
        }
    }

    /// The contracts of swaps on both chains, if swaps are completed. Asks nobody anything.
    pub(crate) fn timelocks(&self, network: &Network) -> Option<[Timelock; 2]> {
        let given = self.config.swaps.as_ref()?;
        let native = self.native.ledger().pool().clone();
        let ethereum = self.far.ledger().pool().clone();
        Some([
            Timelock::new(native, network.native_chain, HASHED_TIMELOCK),
            Timelock::new(ethereum, network.far_chain, given.ethereum),
        ])
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

impl Route {
    /// The workers of its swaps, on the native chain and on Ethereum, if swaps are completed. Makes sure
    /// that the contracts are there and are the ones that the native chain names.
    pub(crate) async fn swaps(
        &self,
        network: &Network,
        store: &RouteStore,
        clock: &Clock,
        metrics: &Metrics,
    ) -> Result<Option<[Swaps<Timelock>; 2]>, Error> {
        let (Some(given), Far::Ethereum(_, ethereum)) = (&self.config.swaps, &self.far) else {
            return Ok(None);
        };
        let Some(timelocks) = self.timelocks(network) else {
            return Ok(None);
        };
        let tokens = self.swap_tokens().await?;
        let native = &self.config.native;
        let ends = [
            (native.in_flight, Duration::from_secs(2), 0),
            (
                ethereum.in_flight,
                Duration::from_secs(10),
                given.start_block,
            ),
        ];
        let mut workers = Vec::with_capacity(2);
        for (((end, chain), allowed), (in_flight, rebroadcast, start_block)) in
            SWAP_ENDS.into_iter().zip(timelocks).zip(tokens).zip(ends)
        {
            if !chain.is_there(At::Latest).await? {
                return Err(no_contract(end, given));
            }
            let limits = Limits {
                max_gas: given.max_gas,
                max_fee: ethereum.max_fee(),
                in_flight,
                rebroadcast,
                replace: Duration::from_secs(ethereum.replace_after_s),
                profit: None,
            };
            let chain_id = match end {
                End::Ethereum => network.far_chain,
                End::Native | End::Peer => network.native_chain,
            };
            let lane = Lane::Swaps(end);
            let senders = self.signers_of(lane).iter().map(|signer| {
                Sender::new(
                    store.clone(),
                    lane,
                    signer.clone(),
                    chain_id,
                    limits,
                    clock.clone(),
                    metrics.clone(),
                )
            });
            let mut rules = given.rules.clone();
            if rules.allow_tokens.is_empty() {
                rules.allow_tokens = allowed.to_vec();
            }
            workers.push(Swaps::new(
                chain,
                end,
                store.clone(),
                senders.collect(),
                swaps::Orders {
                    rules,
                    start_block,
                    log_range: ethereum.log_range,
                },
                clock.clone(),
                metrics.clone(),
            ));
        }
        Ok(workers.try_into().ok())
    }

    /// MVP and MVC by their contracts, on the native chain and on Ethereum. Others could run any code at the
    /// relayer's cost. Refuses a contract of swaps that is not the one that the native chain names.
    pub(crate) async fn swap_tokens(&self) -> Result<[[Address; 2]; 2], Error> {
        let facts = self.native.facts().await?.ethereum;
        if let (Some(given), Some(named)) = (&self.config.swaps, facts.hashed_timelock)
            && given.ethereum != named
        {
            return Err(Error::Mismatch(format!(
                "the native chain's hashed-timelock swaps on Ethereum are at {named}, swaps.ethereum says {}",
                given.ethereum
            )));
        }
        Ok([[POINTS, COIN], [facts.points, facts.coin]])
    }
}

/// There is no contract of swaps at an end.
pub(crate) fn no_contract(end: End, given: &config::Swaps) -> Error {
    Error::Mismatch(match end {
        End::Ethereum => format!(
            "there is no contract at {} on Ethereum, which swaps.ethereum names",
            given.ethereum
        ),
        End::Native | End::Peer => format!(
            "the native chain has no hashed-timelock swaps at {HASHED_TIMELOCK}; leave the table swaps out"
        ),
    })
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

/// Who completes swaps at an end: none of those that deliver there.
fn swappers(end: &str, keys: &[Key], others: &[Signer]) -> Result<Vec<Signer>, Error> {
    let swappers = signers(keys)?;
    for signer in &swappers {
        let account = signer.account();
        if others.iter().any(|other| other.account() == account) {
            return Err(Error::Mismatch(format!(
                "the account {account} stands in {end}.keys and in swaps.{end}_keys; each needs an account of its own, or they fight over its nonces"
            )));
        }
    }
    Ok(swappers)
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::config::ExternalSigner;

    fn key(byte: u8) -> Key {
        Key::Signer(ExternalSigner {
            signer: "http://127.0.0.1:1".into(),
            address: Address::repeat_byte(byte),
        })
    }

    #[test]
    fn swaps_have_accounts_of_their_own() {
        let deliver = signers(&[key(1), key(2)]).unwrap();
        assert_eq!(swappers("native", &[key(3)], &deliver).unwrap().len(), 1);
        for (keys, sentence) in [
            (
                [key(3), key(2)],
                "stands in native.keys and in swaps.native_keys",
            ),
            ([key(3), key(3)], "each account can stand there once"),
        ] {
            let error = swappers("native", &keys, &deliver).unwrap_err();
            assert!(error.to_string().contains(sentence), "{error}");
        }
    }
}
