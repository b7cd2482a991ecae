//! What a data directory was made as: its shape and its ports, chosen once and kept.

use super::{command::Command, error::Error, files, layout::Layout};
use mileverse_fixtures::ports;
use serde::{Deserialize, Serialize};
use std::net::{Ipv4Addr, TcpListener};

/// The only format of this file.
const VERSION: u32 = 1;

/// Which Ethereum a directory belongs to.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum EthereumKind {
    /// Anvil, started by `up`.
    Anvil,
    /// A node of somebody else's.
    External,
}

impl EthereumKind {
    fn words(self) -> &'static str {
        match self {
            Self::Anvil => "its own Ethereum (no --ethereum-rpc)",
            Self::External => "an Ethereum node of yours (--ethereum-rpc)",
        }
    }
}

/// Ports on 127.0.0.1.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Ports {
    /// Anvil's JSON-RPC.
    pub ethereum: u16,
    /// The sandbox airline.
    pub airline: u16,
    /// The gateway.
    pub gateway: u16,
    /// One for each validator: consensus.
    pub consensus: Vec<u16>,
    /// One for each validator: JSON-RPC.
    pub rpc: Vec<u16>,
}

/// A data directory's shape.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Settings {
    version: u32,
    /// How many validators.
    pub validators: usize,
    /// Which Ethereum.
    pub ethereum: EthereumKind,
    /// What a gas costs outside of the points lane, in the coin's smallest unit.
    #[serde(default)]
    pub base_price: u64,
    /// The ports.
    pub ports: Ports,
}

impl Settings {
    /// The directory's own settings if it has any, else new ones that are kept from now on.
    /// Refuses a directory of another shape, and ports that somebody else took.
    pub fn resume_or_new(layout: &Layout, command: &Command) -> Result<Self, Error> {
        let validators = usize::from(command.validators);
        let ethereum = match command.ethereum_rpc {
            Some(_) => EthereumKind::External,
            None => EthereumKind::Anvil,
        };
        let Some(settings) = files::read_json::<Self>(&layout.settings())? else {
            let settings = Self {
                version: VERSION,
                validators,
                ethereum,
                base_price: command.base_price.unwrap_or_default(),
                ports: Ports::choose(validators)?,
            };
            files::write_json(&layout.settings(), &settings)?;
            return Ok(settings);
        };
        let mismatch = |made: String, asked: String| Error::Mismatch {
            path: layout.root().into(),
            made,
            asked,
        };
        if settings.version != VERSION {
            return Err(mismatch(
                format!("format {}", settings.version),
                format!("format {VERSION}"),
            ));
        }
        if settings.validators != validators {
            return Err(mismatch(
                format!("--validators {}", settings.validators),
                format!("--validators {validators}"),
            ));
        }
        if let Some(asked) = command
            .base_price
            .filter(|asked| *asked != settings.base_price)
        {
            return Err(mismatch(
                format!("--base-price {}", settings.base_price),
                format!("--base-price {asked}"),
            ));
        }
        if settings.ethereum != ethereum {
            return Err(mismatch(
                settings.ethereum.words().into(),
                ethereum.words().into(),
            ));
        }
        if settings.ports.consensus.len() != validators || settings.ports.rpc.len() != validators {
            return Err(Error::Content {
                path: layout.settings(),
                reason: "it needs two ports for each validator".into(),
            });
        }
        settings.check_ports(layout)?;
        ports::hold(settings.ports.all());
        Ok(settings)
    }

    fn check_ports(&self, layout: &Layout) -> Result<(), Error> {
        let ports = &self.ports;
        let mut owners = vec![
            (ports.airline, "the sandbox airline".to_owned()),
            (ports.gateway, "the gateway".to_owned()),
        ];
        if self.ethereum == EthereumKind::Anvil {
            owners.push((ports.ethereum, "anvil".to_owned()));
        }
        for (index, port) in ports.consensus.iter().enumerate() {
            owners.push((*port, format!("validator {index}'s consensus")));
        }
        for (index, port) in ports.rpc.iter().enumerate() {
            owners.push((*port, format!("validator {index}'s JSON-RPC")));
        }
        for (port, owner) in owners {
            if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_err() {
                return Err(Error::PortTaken {
                    port,
                    owner,
                    path: layout.root().into(),
                });
            }
        }
        Ok(())
    }
}

impl Ports {
    /// Free ones, all different.
    fn choose(validators: usize) -> Result<Self, Error> {
        let failed = |source| Error::System {
            what: "free ports",
            source,
        };
        let mut free = ports::free(3 + 2 * validators).map_err(failed)?;
        let rpc = free.split_off(3 + validators);
        let consensus = free.split_off(3);
        Ok(Self {
            ethereum: free[0],
            airline: free[1],
            gateway: free[2],
            consensus,
            rpc,
        })
    }

    fn all(&self) -> impl Iterator<Item = u16> {
        [self.ethereum, self.airline, self.gateway]
            .into_iter()
            .chain(self.consensus.iter().chain(&self.rpc).copied())
    }
}
