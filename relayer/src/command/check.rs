//! `mileverse relayer check`: is what the configuration says true of the live endpoints?
//!
//! Every check says what it found, and a failed one what to do. Nothing is sent; of the database only
//! its tables are made if they are missing.

use super::say;
use crate::{
    Error,
    chain::{At, EthereumChain as _, Ledger as _, NativeChain as _, Pool},
    config::Config,
    keys::Signer,
    route::Route,
    store::Store,
};
use alloy::{eips::BlockNumberOrTag, providers::Provider as _};
use comfy_table::{Table, presets::UTF8_FULL_CONDENSED};
use mileverse_bindings::{Bridge, LightClient};
use mileverse_primitives::{
    U256,
    rpc::{GroupKey, Status, SyncPhase},
};
use mileverse_wallet::rpc::{Chain, RpcError};
use serde::Serialize;

/// Gas of one delivery, more or less, to tell an account that is nearly empty.
const ONE_DELIVERY_GAS: u64 = 500_000;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Report {
    good: bool,
    checks: Vec<Check>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Check {
    route: String,
    what: String,
    good: bool,
    /// What was found, or what to do.
    said: String,
}

/// Checks of one route.
struct Checks {
    route: String,
    done: Vec<Check>,
}

impl Checks {
    fn note(&mut self, what: impl Into<String>, outcome: Result<String, String>) {
        let good = outcome.is_ok();
        let (Ok(said) | Err(said)) = outcome;
        self.done.push(Check {
            route: self.route.clone(),
            what: what.into(),
            good,
            said,
        });
    }
}

pub(super) async fn check(config: &Config, json: bool) -> Result<(), Error> {
    let mut checks = Vec::new();
    checks.push(database(config).await);
    for (name, route) in &config.routes {
        let mut of_route = Checks {
            route: name.clone(),
            done: Vec::new(),
        };
        match Route::open(name, route) {
            Ok(route) => check_route(&route, &mut of_route).await,
            Err(error) => of_route.note("keys", Err(error.to_string())),
        }
        checks.append(&mut of_route.done);
    }
    let bad = checks.iter().filter(|check| !check.good).count();
    let report = Report {
        good: bad == 0,
        checks,
    };
    say(json, &report, || table(&report))?;
    if bad > 0 {
        return Err(Error::Checks(bad));
    }
    Ok(())
}

async fn database(config: &Config) -> Check {
    let outcome = match Store::open(&config.database).await {
        Ok(store) => {
            store.close().await;
            Ok("opens, and nobody else writes it".to_owned())
        }
        Err(Error::Locked(_)) => Ok("a relayer is running on it".to_owned()),
        Err(error) => Err(error.to_string()),
    };
    let good = outcome.is_ok();
    let (Ok(said) | Err(said)) = outcome;
    Check {
        route: String::new(),
        what: format!("database {}", config.database),
        good,
        said,
    }
}

async fn check_route(route: &Route, checks: &mut Checks) {
    for pool in [route.native.ledger().pool(), route.ethereum.ledger().pool()] {
        endpoints(pool, checks).await;
    }
    let network = route.network().await;
    let known = network.is_ok();
    checks.note(
        "both ends",
        network
            .map(|network| {
                format!(
                    "native chain {} and chain {} name each other's bridge",
                    network.native_chain, network.ethereum_chain
                )
            })
            .map_err(|error| error.to_string()),
    );
    if !known {
        return;
    }
    checks.note("native node", plain(native_node(route).await));
    checks.note("finality", plain(finality(route).await));
    checks.note("light client's key", plain(group_key(route).await));
    checks.note("bridge is open", plain(open(route).await));
    checks.note("start_block", plain(start_block(route).await));
    for chain in [Chain::Native, Chain::Ethereum] {
        for signer in route.signers(chain) {
            let what = format!("{} account {}", chain.word(), signer.account());
            checks.note(what, plain(account(route, chain, signer).await));
        }
    }
}

/// A finding, or in its place a sentence of what is wrong.
type Finding = Result<Result<String, String>, RpcError>;

fn plain(finding: Finding) -> Result<String, String> {
    finding.map_err(|error| error.to_string())?
}

async fn endpoints(pool: &Pool, checks: &mut Checks) {
    pool.probe().await;
    for endpoint in pool.health() {
        let what = format!("{} endpoint {}", pool.chain().word(), endpoint.url);
        checks.note(
            what,
            if endpoint.up {
                Ok(format!("answers, at block {}", endpoint.height))
            } else {
                Err("does not answer, or is behind the others; check that its node runs".into())
            },
        );
    }
}

async fn native_node(route: &Route) -> Finding {
    let endpoint = route.native.ledger().endpoint();
    let status: Status = endpoint.method("mileverse_status", ()).await?;
    Ok(if status.sync.phase != SyncPhase::Following {
        Err("it still fetches its state; wait until it follows the chain".into())
    } else if status.first_height.is_some_and(|first| first > 1) {
        Err(format!(
            "it shows blocks from {} on only; use a node that has executed the chain from its start",
            status.first_height.unwrap_or_default()
        ))
    } else {
        Ok(format!("follows the chain, at block {}", status.height))
    })
}

async fn finality(route: &Route) -> Finding {
    let endpoint = route.ethereum.ledger().endpoint();
    let newest = route.ethereum.ledger().height().await?;
    let finalized = endpoint
        .provider()
        .get_block_by_number(BlockNumberOrTag::Finalized)
        .await
        .map_err(|fault| endpoint.fault(fault))?;
    let checkpoint = route.native.latest_checkpoint().await?;
    Ok(match finalized {
        None => Err(
            "Ethereum's endpoint knows no finalized block; use one that follows finality".into(),
        ),
        Some(block) if checkpoint > block.header.number.saturating_add(64) => Err(format!(
            "the native chain knows Ethereum's block {checkpoint} and this endpoint has finalized {} only; it is behind",
            block.header.number
        )),
        Some(block) => Ok(format!(
            "Ethereum is at block {newest}, has finalized {}, and the native chain knows {checkpoint}",
            block.header.number
        )),
    })
}

/// Ethereum must believe a key that the native chain had, and relayers can only prove what its
/// newest key signs once that key is announced.
async fn group_key(route: &Route) -> Finding {
    let native = route.native.ledger().endpoint();
    let keys: Vec<GroupKey> = native.method("mileverse_groupKeys", ()).await?;
    let in_force = route.ethereum.key().await?;
    let ethereum = route.ethereum.ledger().endpoint();
    let bridge = route.ethereum.ledger().bridge();
    let client = ethereum.view(bridge, &Bridge::lightClientCall {}).await?;
    let shown = ethereum.view(client, &LightClient::groupKeyCall {}).await?;
    let Some(key) = keys.iter().find(|key| key.number == in_force.version) else {
        return Ok(Err(format!(
            "Ethereum believes key {}, of which the native chain knows nothing; the bridge is another chain's",
            in_force.version
        )));
    };
    if key.key != shown {
        return Ok(Err(format!(
            "Ethereum's key {} is not the native chain's; do not relay, and ask the operators",
            in_force.version
        )));
    }
    let newest = keys.iter().map(|key| key.number).max().unwrap_or(0);
    Ok(Ok(if newest == in_force.version {
        format!("key {newest} on both chains")
    } else {
        format!(
            "key {} on Ethereum is the native chain's; key {newest} is announced and will be relayed",
            in_force.version
        )
    }))
}

async fn open(route: &Route) -> Finding {
    let ethereum = route.ethereum.ledger().endpoint();
    let bridge = route.ethereum.ledger().bridge();
    let frozen = ethereum.view(bridge, &Bridge::frozenCall {}).await?;
    Ok(if frozen {
        Err("two certificates for one view were shown, and the bridge has stopped for ever".into())
    } else {
        Ok("not frozen".into())
    })
}

async fn start_block(route: &Route) -> Finding {
    let endpoint = route.ethereum.ledger().endpoint();
    let bridge = route.ethereum.ledger().bridge();
    let start = route.config.ethereum.start_block;
    let Some(before) = start.checked_sub(1) else {
        return Ok(Ok("searches from Ethereum's first block".into()));
    };
    let asked = endpoint.provider().get_code_at(bridge).number(before).await;
    Ok(match asked.map_err(|fault| endpoint.fault(fault)) {
        Ok(code) if code.is_empty() => Ok(format!("the bridge was not there before block {start}")),
        Ok(_) => Err(format!(
            "the bridge was there before block {start}, so packets may be older; lower ethereum.start_block"
        )),
        // Nodes without old states cannot tell.
        Err(RpcError::Refused { message, .. }) => Ok(format!("cannot be checked here ({message})")),
        Err(error) => return Err(error),
    })
}

async fn account(route: &Route, chain: Chain, signer: &Signer) -> Finding {
    if let Signer::Remote(remote) = signer
        && let Err(error) = remote.identify().await
    {
        return Ok(Err(error.to_string()));
    }
    let account = signer.account();
    if chain == Chain::Native {
        let nonce = route.native.ledger().nonce(account, At::Latest).await?;
        return Ok(Ok(format!(
            "has sent {nonce} transactions; gas is free there"
        )));
    }
    let ledger = route.ethereum.ledger();
    let balance = ledger.balance(account).await?;
    let price = ledger
        .fees()
        .await?
        .most()
        .min(route.config.ethereum.max_fee());
    let needed = U256::from(price).saturating_mul(U256::from(ONE_DELIVERY_GAS));
    Ok(if balance < needed {
        Err(format!(
            "has {balance} wei, and one delivery may cost {needed} now; send it ether"
        ))
    } else {
        Ok(format!("has {balance} wei"))
    })
}

fn table(report: &Report) -> String {
    let mut table = Table::new();
    table.load_preset(UTF8_FULL_CONDENSED);
    table.set_header(["", "route", "what", "found"]);
    for check in &report.checks {
        let mark = if check.good { "✓" } else { "✗" };
        table.add_row([mark, &check.route, &check.what, &check.said]);
    }
    table.to_string()
}
