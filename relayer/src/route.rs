//! One route, put together from its configuration: chains, keys, workers.

use crate::{
    Error,
    chain::{
        EthereumChain as _, Ledger as _, NativeChain as _, ethereum::Ethereum, native::Native,
    },
    clock::Clock,
    config::{self, Key},
    keys::{Signer, Web3Signer},
    metrics::Metrics,
    store::{Direction, Network, RouteStore},
    transaction::{Limits, Sender},
    worker::{Delivery, Orders, ToEthereum, ToNative},
};
use mileverse_wallet::{keystore, rpc::Chain};
use std::{path::Path, time::Duration};

/// A route's configuration, its chains and who signs on each.
#[derive(Clone)]
pub(crate) struct Route {
    pub(crate) name: String,
    pub(crate) config: config::Route,
    pub(crate) native: Native,
    pub(crate) ethereum: Ethereum,
    native_signers: Vec<Signer>,
    ethereum_signers: Vec<Signer>,
}

/// The two workers of a route.
pub(crate) type Workers = (ToEthereum<Native, Ethereum>, ToNative<Native, Ethereum>);

impl Route {
    /// Opens the keys; asks nobody anything yet.
    pub(crate) fn open(name: &str, config: &config::Route) -> Result<Self, Error> {
        Ok(Self {
            native_signers: signers(&config.native.keys)?,
            ethereum_signers: signers(&config.ethereum.keys)?,
            ..Self::look(name, config)?
        })
    }

    /// Without keys, to look only.
    pub(crate) fn look(name: &str, config: &config::Route) -> Result<Self, Error> {
        let (native, ethereum) = (&config.native, &config.ethereum);
        Ok(Self {
            name: name.to_owned(),
            native: Native::new(&native.rpc, native.quorum)?,
            ethereum: Ethereum::new(&ethereum.rpc, ethereum.quorum, ethereum.bridge)?,
            native_signers: Vec::new(),
            ethereum_signers: Vec::new(),
            config: config.clone(),
        })
    }

    /// Who signs deliveries on a chain.
    pub(crate) fn signers(&self, chain: Chain) -> &[Signer] {
        match chain {
            Chain::Native => &self.native_signers,
            Chain::Ethereum => &self.ethereum_signers,
        }
    }

    /// Makes sure that both ends know each other.
    pub(crate) async fn network(&self) -> Result<Network, Error> {
        let facts = self.native.facts().await?;
        let bridge = self.config.ethereum.bridge;
        if facts.ethereum.bridge != bridge {
            return Err(Error::bridge(bridge, facts.ethereum.bridge));
        }
        let signed_for = self.native.ledger().chain_id().await?;
        if signed_for != facts.chain_id {
            return Err(Error::Mismatch(format!(
                "the native node calls its chain {} and {signed_for}",
                facts.chain_id
            )));
        }
        let ethereum_chain = self.ethereum.ledger().chain_id().await?;
        if ethereum_chain != facts.ethereum.chain_id {
            return Err(Error::Mismatch(format!(
                "the Ethereum node is of chain {ethereum_chain}, the bridge ends on chain {}",
                facts.ethereum.chain_id
            )));
        }
        let peer = self.ethereum.peer_chain_id(bridge).await?;
        if peer != facts.chain_id {
            return Err(Error::Mismatch(format!(
                "the bridge at {bridge} belongs to native chain {peer}, the native node is of chain {}",
                facts.chain_id
            )));
        }
        Ok(Network {
            native_chain: facts.chain_id,
            native_genesis: facts.genesis_hash,
            ethereum_chain,
            ethereum_bridge: bridge,
        })
    }

    /// Its workers.
    pub(crate) fn workers(
        &self,
        network: &Network,
        store: &RouteStore,
        clock: &Clock,
        metrics: &Metrics,
    ) -> Workers {
        let (native, ethereum) = (&self.config.native, &self.config.ethereum);
        let delivery = |direction: Direction, chain_id, batch, limits: Limits| {
            let senders = self.signers(direction.destination()).iter().map(|signer| {
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
        let to_ethereum = Limits {
            max_gas: ethereum.max_gas,
            max_fee: ethereum.max_fee(),
            in_flight: ethereum.in_flight,
            rebroadcast: Duration::from_secs(10),
            replace: Duration::from_secs(ethereum.replace_after_s),
            profit: ethereum.profit.map(Into::into),
        };
        let to_native = Limits {
            max_gas: native.max_gas,
            max_fee: 0,
            in_flight: native.in_flight,
            rebroadcast: Duration::from_secs(2),
            replace: Duration::MAX,
            profit: None,
        };
        (
            ToEthereum::new(
                self.native.clone(),
                self.ethereum.clone(),
                delivery(
                    Direction::ToEthereum,
                    network.ethereum_chain,
                    ethereum.batch,
                    to_ethereum,
                ),
                network.native_chain,
                network.ethereum_chain,
            ),
            ToNative::new(
                self.native.clone(),
                self.ethereum.clone(),
                delivery(
                    Direction::ToNative,
                    network.native_chain,
                    native.batch,
                    to_native,
                ),
                (network.native_chain, network.ethereum_chain),
                ethereum.start_block,
                ethereum.log_range,
            ),
        )
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
