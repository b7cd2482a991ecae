//! What every handler sees: one client of the chain, connected at the first question.

use crate::problem::Problem;
use mileverse_wallet::client::Client;
use std::sync::Arc;
use tokio::sync::{OnceCell, Semaphore};
use url::Url;

/// Shared by all requests.
#[derive(Debug)]
pub(crate) struct App {
    rpc: Url,
    client: OnceCell<Client>,
    pub(crate) streams: Arc<Semaphore>,
}

impl App {
    pub(crate) fn new(rpc: &Url) -> Self {
        Self {
            rpc: rpc.clone(),
            client: OnceCell::new(),
            streams: Arc::new(Semaphore::new(crate::MAX_STREAMS)),
        }
    }

    /// A client that only looks. A chain that is away is asked again by the next request.
    pub(crate) async fn client(&self) -> Result<&Client, Problem> {
        let connected = self.client.get_or_try_init(|| async {
            let (client, _) = Client::native(self.rpc.as_str(), None).await?;
            Ok::<_, Problem>(client)
        });
        connected.await
    }

    pub(crate) const fn rpc(&self) -> &Url {
        &self.rpc
    }
}
