//! How a node that nobody knows yet gets in: it asks other nodes, over their JSON-RPC.
//!
//! Only peers that a node knows may connect to it. The chain names delegates and those to come;
//! everybody else visits: it signs the address it connects from, and each node asked lets it in as a
//! guest (`consensus::peers`). The visit is repeated, for nodes that restarted or let newer visitors
//! take the place.

use crate::signature;
use alloy::{
    providers::{DynProvider, Provider as _, ProviderBuilder},
    transports::http::reqwest::Url,
};
use commonware_cryptography::{Signer as _, ed25519};
use mileverse_primitives::{
    B256,
    rpc::{Visit, Welcome},
};
use std::{
    net::SocketAddr,
    time::{Duration, SystemTime},
};

/// Most nodes that are asked.
pub const MAX_HOSTS: usize = 16;
/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// After a failure.
const RETRY: Duration = Duration::from_secs(2);
/// After a success: so long a node is deaf whose hosts all restarted, and forgot it.
const REPEAT: Duration = Duration::from_secs(10);

/// Who visits.
pub struct Visitor {
    /// Its key.
    pub identity: ed25519::PrivateKey,
    /// The chain.
    pub chain_id: u64,
    /// Where it connects from.
    pub address: SocketAddr,
}

/// Visits every host again and again, until dropped.
pub async fn run(visitor: Visitor, hosts: Vec<Url>) {
    let hosts = hosts.into_iter().take(MAX_HOSTS).map(|url| {
        let visitor = &visitor;
        async move {
            let host = ProviderBuilder::new().connect_http(url.clone()).erased();
            let mut last = None;
            loop {
                let answer = ask(visitor, &host).await;
                let pause = if answer.is_ok() { REPEAT } else { RETRY };
                // Said once, not at every attempt.
                if last.as_ref() != Some(&answer) {
                    match &answer {
                        Ok(welcome) => {
                            tracing::info!(host = %url, ?welcome, "this node was let in")
                        }
                        Err(reason) => {
                            tracing::warn!(host = %url, reason, "this node was not let in")
                        }
                    }
                    last = Some(answer);
                }
                tokio::time::sleep(pause).await;
            }
        }
    });
    futures::future::join_all(hosts).await;
}

async fn ask(visitor: &Visitor, host: &DynProvider) -> Result<Welcome, String> {
    let seconds = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs();
    let signature = signature::sign_visit(
        &visitor.identity,
        visitor.chain_id,
        seconds,
        visitor.address,
    );
    let visit = Visit {
        public_key: B256::from_slice(&visitor.identity.public_key()),
        address: visitor.address,
        seconds,
        signature: signature.to_vec().into(),
    };
    let asked = host.client().request("mileverse_visit", (visit,));
    match tokio::time::timeout(PATIENCE, asked).await {
        Ok(answer) => answer.map_err(|error| error.to_string()),
        Err(_) => Err("it does not answer".into()),
    }
}
