//! Ethereum on this machine: anvil as a child, or a node given by its URL; the contracts on it; and
//! money for the sample accounts.
//!
//! Anvil makes a block a second and calls a block final two blocks later. It saves its state when it
//! is stopped and every half minute, and resumes from it.

use super::{
    command::Command,
    error::Error,
    files,
    fleet::Fleet,
    keys::Keys,
    layout::Layout,
    network::this_program,
    process::Recipe,
    progress::Progress,
    settings::{EthereumKind, Settings},
    tools,
    wait::{Look, Patience},
};
use alloy::{
    primitives::{Address, B256, U256, b256},
    providers::{DynProvider, Provider, ProviderBuilder},
    rpc::types::TransactionRequest,
    signers::local::PrivateKeySigner,
};
use mileverse_bindings::{
    MileVerseCoin,
    deploy::{Deployment, Tranches, Valves, deploy},
};
use mileverse_wallet::{
    keystore,
    rpc::{Chain, Endpoint, RpcError},
};
use serde::{Deserialize, Serialize};
use std::{path::PathBuf, time::Duration};
use url::Url;

/// Chain id of anvil.
const ANVIL_CHAIN_ID: u64 = 31_337;
/// Key of anvil's first development account. Public knowledge, worth nothing elsewhere.
const ANVIL_DEPLOYER: B256 =
    b256!("ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80");
/// Longest wait for anvil's first answer.
const START: Duration = Duration::from_secs(60);
/// Longest wait for one transaction of ours.
const CONFIRM: Duration = Duration::from_secs(300);
/// What an account should have at least, and gets, in MVC: 1,000.
const COIN_GIFT: u128 = 1_000 * 10u128.pow(18);

/// The contracts' addresses, as the data directory remembers them.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Contracts {
    /// Chain id they are on.
    pub chain_id: u64,
    /// Checks certificates of the native chain.
    pub light_client: Address,
    /// MVC.
    pub coin: Address,
    /// Wrapped MVP.
    pub points: Address,
    /// The bridge.
    pub bridge: Address,
    /// Who may stop and limit the bridge.
    pub authority: Address,
    /// Holds the reserved tranche of MVC.
    pub reserve: Address,
    /// Pays the quarterly rewards there.
    pub rewards: Address,
    /// Holds what two people trade without the bridge.
    pub hashed_timelock: Address,
    /// No packet was sent before this block.
    pub start_block: u64,
}

/// An Ethereum that answers.
#[derive(Debug)]
pub struct Ethereum {
    /// Where.
    pub url: Url,
    /// Its chain id.
    pub chain_id: u64,
    endpoint: Endpoint,
    kind: EthereumKind,
    deployer: PrivateKeySigner,
}

/// Where Ethereum is to come from: found before anything is written.
#[derive(Debug)]
pub enum Source {
    /// The anvil program.
    Anvil(PathBuf),
    /// A node that answered.
    Node {
        /// Where.
        url: Url,
        /// Its chain id.
        chain_id: u64,
        /// Who deploys and pays there.
        deployer: Box<PrivateKeySigner>,
    },
}

impl Source {
    /// Asks the node that was given, or finds (and if need be installs) anvil.
    pub async fn find(
        layout: &Layout,
        command: &Command,
        progress: &Progress,
    ) -> Result<Self, Error> {
        let (Some(url), Some(key)) = (&command.ethereum_rpc, &command.deployer_key_file) else {
            return tools::anvil(layout, progress).map(Self::Anvil);
        };
        let deployer = keystore::read_private_key(key)
            .map_err(|_| Error::DeployerKey { path: key.clone() })?;
        Ok(Self::Node {
            url: url.clone(),
            chain_id: chain_id(&endpoint(url)?).await?,
            deployer: Box::new(deployer),
        })
    }
}

impl Ethereum {
    /// Starts anvil, or takes the node.
    pub async fn start(
        layout: &Layout,
        source: Source,
        settings: &Settings,
        fleet: &mut Fleet,
    ) -> Result<Self, Error> {
        let program = match source {
            Source::Anvil(program) => program,
            Source::Node {
                url,
                chain_id,
                deployer,
            } => {
                return Ok(Self {
                    endpoint: endpoint(&url)?,
                    url,
                    chain_id,
                    kind: EthereumKind::External,
                    deployer: *deployer,
                });
            }
        };
        let url = local(settings.ports.ethereum)?;
        let endpoint = endpoint(&url)?;
        fleet.launch_silent(recipe(layout, settings, program)?)?;
        let patience = Patience {
            limit: START,
            logs: layout.logs(),
        };
        let watcher = fleet.watcher();
        let chain_id = tokio::select! {
            answer = patience.until("anvil to answer", async || {
                chain_id(&endpoint).await.map(Look::Now)
            }) => answer?,
            error = watcher.death() => return Err(error),
        };
        let deployer = PrivateKeySigner::from_bytes(&ANVIL_DEPLOYER)
            .map_err(|error| Error::refused("anvil's development key", error))?;
        Ok(Self {
            url,
            chain_id,
            endpoint,
            kind: EthereumKind::Anvil,
            deployer,
        })
    }

    /// The contracts: those that this directory deployed, or new ones for `group_key`, with the
    /// coin of the native chain's genesis locked in the bridge.
    pub async fn contracts(
        &self,
        layout: &Layout,
        group_key: &[u8],
        native_chain_id: u64,
        lockup_start: u64,
        genesis_coins: U256,
    ) -> Result<Contracts, Error> {
        if let Some(contracts) = files::read_json::<Contracts>(&layout.deployment())? {
            self.check(&contracts).await?;
            return Ok(contracts);
        }
        let start_block = self
            .endpoint
            .provider()
            .get_block_number()
            .await
            .map_err(|error| self.unreachable(error))?;
        let owner = self.deployer.address();
        let tranches = Tranches {
            sale: owner,
            team: owner,
            partner: owner,
            advisor: owner,
            marketing: owner,
            lockup_start,
        };
        let deployment: Deployment = deploy(
            self.signing(),
            group_key,
            native_chain_id,
            &tranches,
            genesis_coins,
            &Valves::standard(owner, owner),
        )
        .await
        .map_err(|error| Error::Deploy(error.to_string()))?;
        let contracts = Contracts {
            chain_id: self.chain_id,
            light_client: deployment.light_client,
            coin: deployment.coin,
            points: deployment.points,
            bridge: deployment.bridge,
            authority: deployment.authority,
            reserve: deployment.reserve,
            rewards: deployment.rewards,
            hashed_timelock: deployment.hashed_timelock,
            start_block,
        };
        files::write_json(&layout.deployment(), &contracts)?;
        Ok(contracts)
    }

    /// Sees to it that the sample accounts can act: ether for gas, and MVC for the member.
    pub async fn fund(&self, keys: &Keys, contracts: &Contracts) -> Result<(), Error> {
        for key in [&keys.member, &keys.relayer, &keys.swaps, &keys.rewards] {
            self.give_ether(key.address()).await?;
        }
        self.give_coin(keys.member.address(), contracts.coin).await
    }

    async fn check(&self, contracts: &Contracts) -> Result<(), Error> {
        let other = |what: String| Error::OtherEthereum {
            url: self.url.to_string(),
            what,
        };
        if contracts.chain_id != self.chain_id {
            return Err(other(format!(
                "chain id {}, it has {}",
                contracts.chain_id, self.chain_id
            )));
        }
        for (name, address) in [
            ("the bridge", contracts.bridge),
            ("MVC", contracts.coin),
            ("the quarterly rewards", contracts.rewards),
        ] {
            let code = self
                .endpoint
                .provider()
                .get_code_at(address)
                .await
                .map_err(|error| self.unreachable(error))?;
            if code.is_empty() {
                return Err(other(format!("{name} at {address}")));
            }
        }
        Ok(())
    }

    async fn give_ether(&self, account: Address) -> Result<(), Error> {
        let balance = self
            .endpoint
            .provider()
            .get_balance(account)
            .await
            .map_err(|error| self.unreachable(error))?;
        // 10 ether are free on anvil; elsewhere a twentieth must do.
        let gift = U256::from(match self.kind {
            EthereumKind::Anvil => 10u128.pow(19),
            EthereumKind::External => 5 * 10u128.pow(16),
        });
        if balance >= gift / U256::from(2) {
            return Ok(());
        }
        let request = TransactionRequest::default().to(account).value(gift);
        let pending = self
            .signing()
            .send_transaction(request)
            .await
            .map_err(|error| Error::refused("sending ether to a sample account failed", error))?;
        confirmed(pending).await
    }

    async fn give_coin(&self, account: Address, coin: Address) -> Result<(), Error> {
        let failed = |error| Error::refused("sending MVC to the member failed", error);
        let coin = MileVerseCoin::new(coin, self.signing());
        let gift = U256::from(COIN_GIFT);
        let balance = coin.balanceOf(account).call().await.map_err(failed)?;
        if balance >= gift / U256::from(2) {
            return Ok(());
        }
        let pending = coin.transfer(account, gift).send().await.map_err(failed)?;
        confirmed(pending).await
    }

    fn signing(&self) -> DynProvider {
        ProviderBuilder::new()
            .with_simple_nonce_management()
            .wallet(self.deployer.clone())
            .connect_http(self.url.clone())
            .erased()
    }

    fn unreachable(&self, error: impl ToString) -> Error {
        Error::EthereumUnreachable {
            url: self.url.to_string(),
            reason: error.to_string(),
        }
    }
}

async fn confirmed(
    pending: alloy::providers::PendingTransactionBuilder<alloy::network::Ethereum>,
) -> Result<(), Error> {
    let hash = *pending.tx_hash();
    let receipt = pending
        .with_timeout(Some(CONFIRM))
        .get_receipt()
        .await
        .map_err(|error| Error::refused(format!("Ethereum did not confirm {hash}"), error))?;
    if receipt.status() {
        Ok(())
    } else {
        Err(Error::refused(
            format!("Ethereum ran {hash}"),
            "it reverted",
        ))
    }
}

fn endpoint(url: &Url) -> Result<Endpoint, Error> {
    Endpoint::new(Chain::Ethereum, url.as_str())
        .map_err(|error| Error::refused("the Ethereum URL", error))
}

async fn chain_id(endpoint: &Endpoint) -> Result<u64, Error> {
    endpoint
        .provider()
        .get_chain_id()
        .await
        .map_err(|error| Error::EthereumUnreachable {
            url: endpoint.url().into(),
            reason: match endpoint.fault(error) {
                RpcError::Unreachable { reason, .. } => reason,
                other => other.to_string(),
            },
        })
}

/// A URL on this machine.
pub fn local(port: u16) -> Result<Url, Error> {
    format!("http://127.0.0.1:{port}")
        .parse()
        .map_err(|error| Error::refused("a local URL", error))
}

fn recipe(layout: &Layout, settings: &Settings, program: PathBuf) -> Result<Recipe, Error> {
    let state = layout.anvil_state();
    if let Some(parent) = state.parent() {
        files::directory(parent)?;
    }
    let mut arguments: Vec<std::ffi::OsString> =
        ["--exit-with-stdin", "guard", "--"].map(Into::into).into();
    arguments.push(program.into());
    for (flag, value) in [
        ("--host", "127.0.0.1".to_owned()),
        ("--port", settings.ports.ethereum.to_string()),
        ("--chain-id", ANVIL_CHAIN_ID.to_string()),
        ("--hardfork", "prague".to_owned()),
        ("--block-time", "1".to_owned()),
        ("--slots-in-an-epoch", "1".to_owned()),
        ("--state-interval", "30".to_owned()),
    ] {
        arguments.push(flag.into());
        arguments.push(value.into());
    }
    arguments.push("--state".into());
    arguments.push(state.into());
    Ok(Recipe {
        name: "anvil".into(),
        program: this_program()?,
        arguments,
        directory: layout.root().into(),
        log: layout.log("anvil"),
    })
}
