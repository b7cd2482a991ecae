//! The sandbox airline, the gateway and the relayer: their configuration files, written at each
//! start, and how to run them.

use super::{
    error::Error,
    ethereum::{Contracts, local},
    files,
    keys::{ISSUER, Keys, RELAYER, REWARDS, SWAPS, random},
    layout::Layout,
    network::{this_program, write_toml},
    process::Recipe,
    settings::Settings,
};
use alloy::primitives::{Address, hex};
use mileverse_fixtures::sandbox::airline::Members;
use serde::Serialize;
use sha2::{Digest, Sha256};
use std::{ffi::OsString, path::PathBuf};
use url::Url;

/// Points for one mile.
pub const POINTS_PER_MILE: &str = "12";
/// The airline's programme, as the gateway names it.
pub const PROGRAMME: &str = "airline";
/// Most miles of one conversion.
const MAXIMUM_MILES: u64 = 1_000_000;

#[derive(Serialize)]
struct GatewayConfig {
    listen: String,
    database: &'static str,
    chain: GatewayChain,
    app: GatewayApp,
    rewards: GatewayRewards,
    programmes: [Programme; 1],
    api_keys: [ApiKey; 1],
}

#[derive(Serialize)]
struct GatewayChain {
    rpc_url: Url,
    issuer_keystore: PathBuf,
    issuer_password_file: PathBuf,
}

#[derive(Serialize)]
struct GatewayApp {
    ethereum_rpc_url: Url,
    ethereum_public_rpc_url: Url,
}

#[derive(Serialize)]
struct GatewayRewards {
    ethereum_rpc_url: Url,
    ethereum_chain_id: u64,
    keystore: PathBuf,
    password_file: PathBuf,
    custodial: [Address; 1],
}

#[derive(Serialize)]
struct Programme {
    name: &'static str,
    adapter: &'static str,
    base_url: Url,
    client_id: String,
    client_secret_file: &'static str,
    points_per_mile: &'static str,
    minimum_miles: u64,
    maximum_miles: u64,
}

#[derive(Serialize)]
struct ApiKey {
    name: &'static str,
    sha256: String,
    scopes: [&'static str; 3],
}

#[derive(Serialize)]
struct RelayerConfig {
    database: &'static str,
    poll_interval_ms: u64,
    listen: &'static str,
    route: RelayerRoutes,
}

#[derive(Serialize)]
struct RelayerRoutes {
    main: RelayerRoute,
}

#[derive(Serialize)]
struct RelayerRoute {
    native: RelayerNative,
    ethereum: RelayerEthereum,
    swaps: RelayerSwaps,
}

#[derive(Serialize)]
struct RelayerNative {
    rpc: Url,
    keys: [RelayerKey; 1],
}

#[derive(Serialize)]
struct RelayerEthereum {
    rpc: Url,
    bridge: Address,
    keys: [RelayerKey; 1],
    start_block: u64,
}

#[derive(Serialize)]
struct RelayerSwaps {
    ethereum: Address,
    native_keys: [RelayerKey; 1],
    ethereum_keys: [RelayerKey; 1],
    start_block: u64,
}

#[derive(Clone, Serialize)]
struct RelayerKey {
    keystore: PathBuf,
    password_file: PathBuf,
}

/// The sandbox airline.
pub fn airline(layout: &Layout, settings: &Settings) -> Result<Recipe, Error> {
    files::directory(&layout.airline())?;
    recipe(
        layout,
        "airline",
        layout.airline(),
        [
            "sandbox".into(),
            "airline".into(),
            "--listen".into(),
            format!("127.0.0.1:{}", settings.ports.airline).into(),
            "--data-dir".into(),
            layout.airline().into(),
        ],
    )
}

/// The chains that the gateway is connected to, and whose keys it has.
#[derive(Clone, Copy, Debug)]
pub struct Sides<'a> {
    /// A validator.
    pub native: &'a Url,
    /// Ethereum.
    pub ethereum: &'a Url,
    /// What is there.
    pub contracts: &'a Contracts,
    /// The sample accounts.
    pub keys: &'a Keys,
}

/// The gateway, and the key that may call it.
pub fn gateway(
    layout: &Layout,
    settings: &Settings,
    sides: Sides<'_>,
    members: &Members,
) -> Result<(Recipe, String), Error> {
    let Sides {
        native,
        ethereum,
        contracts,
        keys,
    } = sides;
    let directory = layout.gateway();
    let secret = "airline.secret";
    files::write(&directory.join(secret), &members.client_secret)?;
    let api_key = api_key(layout)?;
    let config = GatewayConfig {
        listen: format!("127.0.0.1:{}", settings.ports.gateway),
        database: "gateway.sqlite",
        chain: GatewayChain {
            rpc_url: native.clone(),
            issuer_keystore: layout.keystore(ISSUER),
            issuer_password_file: layout.password(),
        },
        app: GatewayApp {
            ethereum_rpc_url: ethereum.clone(),
            ethereum_public_rpc_url: ethereum.clone(),
        },
        rewards: GatewayRewards {
            ethereum_rpc_url: ethereum.clone(),
            ethereum_chain_id: contracts.chain_id,
            keystore: layout.keystore(REWARDS),
            password_file: layout.password(),
            // Paid there without asking, as whoever keeps coin for others would have it.
            custodial: [keys.member.address()],
        },
        programmes: [Programme {
            name: PROGRAMME,
            adapter: "airline",
            base_url: local(settings.ports.airline)?,
            client_id: members.client_id.clone(),
            client_secret_file: secret,
            points_per_mile: POINTS_PER_MILE,
            minimum_miles: 1,
            maximum_miles: MAXIMUM_MILES,
        }],
        api_keys: [ApiKey {
            name: "sample-app",
            sha256: hex::encode(Sha256::digest(api_key.as_bytes())),
            scopes: ["conversions:write", "conversions:read", "books:read"],
        }],
    };
    let path = directory.join("gateway.toml");
    write_toml(&path, &config)?;
    let recipe = recipe(
        layout,
        "gateway",
        directory,
        [
            "gateway".into(),
            "run".into(),
            "--config".into(),
            path.into(),
        ],
    )?;
    Ok((recipe, api_key))
}

/// The relayer.
pub fn relayer(
    layout: &Layout,
    native: &Url,
    ethereum: &Url,
    contracts: &Contracts,
) -> Result<Recipe, Error> {
    let directory = layout.relayer();
    let key = |name| RelayerKey {
        keystore: layout.keystore(name),
        password_file: layout.password(),
    };
    let config = RelayerConfig {
        database: "relayer.sqlite",
        poll_interval_ms: 300,
        // Any free port; the relayer's log says which.
        listen: "127.0.0.1:0",
        route: RelayerRoutes {
            main: RelayerRoute {
                native: RelayerNative {
                    rpc: native.clone(),
                    keys: [key(RELAYER)],
                },
                ethereum: RelayerEthereum {
                    rpc: ethereum.clone(),
                    bridge: contracts.bridge,
                    keys: [key(RELAYER)],
                    start_block: contracts.start_block,
                },
                // Keys of their own: an account's numbers belong to one sender.
                swaps: RelayerSwaps {
                    ethereum: contracts.hashed_timelock,
                    native_keys: [key(SWAPS)],
                    ethereum_keys: [key(SWAPS)],
                    start_block: contracts.start_block,
                },
            },
        },
    };
    let path = directory.join("relayer.toml");
    write_toml(&path, &config)?;
    recipe(
        layout,
        "relayer",
        directory,
        [
            "relayer".into(),
            "run".into(),
            "--config".into(),
            path.into(),
        ],
    )
}

/// Where the sample application's key lies, so that a person can call the gateway too.
pub fn api_key_file(layout: &Layout) -> PathBuf {
    layout.gateway().join("api.key")
}

fn api_key(layout: &Layout) -> Result<String, Error> {
    let path = api_key_file(layout);
    if let Some(key) = files::read(&path)? {
        return Ok(key.trim().to_owned());
    }
    let key = random();
    files::write(&path, &format!("{key}\n"))?;
    Ok(key)
}

fn recipe<const N: usize>(
    layout: &Layout,
    name: &str,
    directory: PathBuf,
    arguments: [OsString; N],
) -> Result<Recipe, Error> {
    let mut all = vec!["--exit-with-stdin".into()];
    all.extend(arguments);
    Ok(Recipe {
        name: name.into(),
        program: this_program()?,
        arguments: all,
        directory,
        log: layout.log(name),
    })
}
