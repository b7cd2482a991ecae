//! What every handler sees: a client of each chain, connected at the first question.

use crate::{Network, Settings, index::Shelf, problem::Problem};
use mileverse_primitives::rpc;
use mileverse_wallet::{
    client::{Chains, Client, ClientError},
    rpc::Chain,
};
use std::sync::Arc;
use tokio::sync::{OnceCell, Semaphore};

/// Shared by all requests.
#[derive(Debug)]
pub(crate) struct App {
    settings: Settings,
    native: OnceCell<(Client, rpc::Chain)>,
    chains: OnceCell<Chains>,
    shelf: Option<Arc<dyn Shelf>>,
    pub(crate) streams: Arc<Semaphore>,
}

impl App {
    pub(crate) fn new(settings: Settings, shelf: Option<Arc<dyn Shelf>>) -> Self {
        Self {
            settings,
            native: OnceCell::new(),
            chains: OnceCell::new(),
            shelf,
            streams: Arc::new(Semaphore::new(crate::MAX_STREAMS)),
        }
    }

    async fn connected(&self) -> Result<&(Client, rpc::Chain), Problem> {
        let connected = self.native.get_or_try_init(|| async {
            let url = self.settings.native.rpc.as_str();
            Client::native(url, None).await
        });
        Ok(connected.await?)
    }

    /// The native chain, to look only. A chain that is away is asked again by the next request.
    pub(crate) async fn client(&self) -> Result<&Client, Problem> {
        Ok(&self.connected().await?.0)
    }

    /// What the native chain says of itself.
    pub(crate) async fn facts(&self) -> Result<&rpc::Chain, Problem> {
        Ok(&self.connected().await?.1)
    }

    /// Both chains; a problem if this server was given no Ethereum.
    pub(crate) async fn chains(&self) -> Result<&Chains, Problem> {
        let network = self.ethereum().ok_or_else(Problem::no_ethereum)?;
        let (native, facts) = self.connected().await?;
        let connected = self.chains.get_or_try_init(|| async {
            let source = native.rewards_source().await?;
            let ethereum = Client::ethereum(network.rpc.as_str(), facts, None).await?;
            let ethereum = ethereum.with_rewards(source);
            Ok::<_, ClientError>(Chains {
                facts: facts.clone(),
                native: native.clone(),
                ethereum,
            })
        });
        Ok(connected.await?)
    }

    /// The client of one chain.
    pub(crate) async fn on(&self, chain: Chain) -> Result<&Client, Problem> {
        match chain {
            Chain::Native => self.client().await,
            Chain::Ethereum => Ok(&self.chains().await?.ethereum),
        }
    }

    /// Where packets are kept by who sent them, if they are.
    pub(crate) fn shelf(&self) -> Option<&dyn Shelf> {
        self.shelf.as_deref()
    }

    pub(crate) const fn native(&self) -> &Network {
        &self.settings.native
    }

    pub(crate) const fn ethereum(&self) -> Option<&Network> {
        self.settings.ethereum.as_ref()
    }
}
