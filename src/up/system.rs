//! Everything running, and how the journey reaches it.

use super::{
    command::Command,
    error::Error,
    ethereum::{Contracts, Ethereum, Source, local},
    fleet::Fleet,
    keys::Keys,
    layout::Layout,
    network,
    partner::{Airline, Gateway},
    progress::Progress,
    services,
    settings::{EthereumKind, Settings},
    wait::{Look, Patience},
};
use mileverse_fixtures::sandbox::airline::{Member, sample};
use mileverse_wallet::{
    client::Chains,
    rpc::{Chain, Endpoint},
};
use serde::Serialize;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use url::Url;

/// Longest wait for one condition when Ethereum is anvil.
const LIMIT_ANVIL: Duration = Duration::from_secs(120);
/// And when it is a real network, where a block is final after a quarter of an hour.
const LIMIT_EXTERNAL: Duration = Duration::from_secs(2400);

/// Where a person finds things.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Urls {
    /// The gateway's API.
    pub gateway: Url,
    /// Its documentation.
    pub gateway_docs: Url,
    /// JSON-RPC of the validators.
    pub native: Vec<Url>,
    /// JSON-RPC of Ethereum.
    pub ethereum: Url,
    /// The sandbox airline.
    pub airline: Url,
}

/// The running system.
#[derive(Debug)]
pub struct System {
    /// Where its state is.
    pub layout: Layout,
    /// The sample accounts.
    pub keys: Keys,
    /// The contracts on Ethereum.
    pub contracts: Contracts,
    /// Both chains, with the member's key.
    pub chains: Chains,
    /// Each validator's own JSON-RPC.
    pub validators: Vec<Endpoint>,
    /// The gateway.
    pub gateway: Gateway,
    /// The airline's operator view.
    pub airline: Airline,
    /// The airline's sample members.
    pub members: Vec<Member>,
    /// Where things are.
    pub urls: Urls,
    /// What a gas costs outside of the points lane, in the coin's smallest unit.
    pub base_price: u64,
    /// How long to wait for anything.
    pub patience: Patience,
}

/// What a validator's process is called.
pub fn validator_name(index: usize) -> String {
    format!("validator-{index}")
}

impl System {
    /// Starts everything, in the order in which one part needs another.
    pub async fn start(
        layout: Layout,
        command: &Command,
        fleet: &mut Fleet,
        progress: &Progress,
    ) -> Result<Self, Error> {
        let source = Source::find(&layout, command, progress).await?;
        let settings = Settings::resume_or_new(&layout, command)?;
        let keys = Keys::open_or_make(&layout, settings.validators)?;
        let dealt = network::dealing(&layout, &settings)?;

        let task = progress.begin("starting Ethereum");
        let ethereum = Ethereum::start(&layout, source, &settings, fleet).await?;
        task.done("Ethereum answers");

        let task = progress.begin("contracts and sample accounts on Ethereum");
        let now_ms = now_ms();
        let contracts = ethereum
            .contracts(
                &layout,
                &dealt.group_key,
                network::numbers()?.chain_id,
                now_ms / 1000,
                network::genesis_coins(&settings, &dealt, &keys)?,
            )
            .await?;
        ethereum.fund(&keys, &contracts).await?;
        task.done("contracts are on Ethereum, sample accounts have what they need");

        network::genesis(&layout, &settings, &dealt, &contracts, &keys, now_ms)?;
        let patience = Patience {
            limit: match settings.ethereum {
                EthereumKind::Anvil => LIMIT_ANVIL,
                EthereumKind::External => LIMIT_EXTERNAL,
            },
            logs: layout.logs(),
        };
        let urls = urls(&settings, &ethereum)?;

        let task = progress.begin("starting the validators");
        let recipes = network::validators(&layout, &settings, &ethereum.url)?;
        fleet.launch(recipes).await?;
        let validators = endpoints(&urls)?;
        blocks_come(&validators, &patience, fleet).await?;
        task.done(&format!("{} validators make blocks", validators.len()));

        let task = progress.begin("starting airline, gateway and relayer");
        let native = urls
            .native
            .first()
            .ok_or_else(|| Error::Broken("there is no validator".into()))?;
        let members = sample().map_err(|error| Error::refused("the sample members", error))?;
        let sides = services::Sides {
            native,
            ethereum: &ethereum.url,
            contracts: &contracts,
            keys: &keys,
        };
        let (gateway, api_key) = services::gateway(&layout, &settings, sides, &members)?;
        // One after another: the gateway asks the airline.
        fleet
            .launch(vec![services::airline(&layout, &settings)?])
            .await?;
        let relayer = services::relayer(&layout, native, &ethereum.url, &contracts)?;
        fleet.launch(vec![gateway, relayer]).await?;
        task.done("airline, gateway and relayer are ready");

        let chains = Chains::connect(
            native.as_str(),
            ethereum.url.as_str(),
            Some(keys.member.clone()),
        )
        .await
        .map_err(|error| Error::refused("connecting the member's wallet", error))?;
        Ok(Self {
            gateway: Gateway::new(urls.gateway.clone(), api_key)?,
            airline: Airline::new(urls.airline.clone())?,
            members: members.members,
            layout,
            keys,
            contracts,
            chains,
            validators,
            urls,
            base_price: settings.base_price,
            patience,
        })
    }
}

fn urls(settings: &Settings, ethereum: &Ethereum) -> Result<Urls, Error> {
    let gateway = local(settings.ports.gateway)?;
    Ok(Urls {
        gateway_docs: gateway
            .join("/docs")
            .map_err(|error| Error::refused("a local URL", error))?,
        gateway,
        native: settings
            .ports
            .rpc
            .iter()
            .map(|port| local(*port))
            .collect::<Result<_, _>>()?,
        ethereum: ethereum.url.clone(),
        airline: local(settings.ports.airline)?,
    })
}

fn endpoints(urls: &Urls) -> Result<Vec<Endpoint>, Error> {
    urls.native
        .iter()
        .map(|url| {
            Endpoint::new(Chain::Native, url.as_str())
                .map_err(|error| Error::refused("a validator's URL", error))
        })
        .collect()
}

/// The chain lives when every validator sees new final blocks.
async fn blocks_come(
    validators: &[Endpoint],
    patience: &Patience,
    fleet: &Fleet,
) -> Result<(), Error> {
    let watcher = fleet.watcher();
    let wait = async {
        let mut first = Vec::new();
        for validator in validators {
            first.push(
                patience
                    .until("a validator to answer", async || {
                        Ok(Look::Now(height(validator).await?))
                    })
                    .await?,
            );
        }
        for (validator, first) in validators.iter().zip(first) {
            patience
                .until("a new block", async || {
                    let now = height(validator).await?;
                    Ok(Look::when(now > first, || format!("height {now}")))
                })
                .await?;
        }
        Ok(())
    };
    tokio::select! {
        outcome = wait => outcome,
        error = watcher.death() => Err(error),
    }
}

/// A validator's newest final block.
pub async fn height(validator: &Endpoint) -> Result<u64, Error> {
    status(validator).await.map(|status| status.height)
}

/// Where a validator is.
pub async fn status(validator: &Endpoint) -> Result<mileverse_primitives::rpc::Status, Error> {
    validator
        .method("mileverse_status", ())
        .await
        .map_err(|error| Error::refused(format!("asking {} where it is", validator.url()), error))
}

/// Milliseconds since 1970, by this machine.
pub fn now_ms() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .ok()
        .and_then(|elapsed| u64::try_from(elapsed.as_millis()).ok())
        .unwrap_or_default()
}
