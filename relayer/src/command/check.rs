//! `mileverse relayer check`: is what the configuration says true of the live endpoints?
//!
//! Every check says what it found, and a failed one what to do. Nothing is sent; of the database only
//! its tables are made if they are missing.

use super::say;
use crate::{
    Error,
    chain::{
        Account, At, End, Inbox as _, KeyInForce, Ledger as _, NativeChain as _, Pool, Side as _,
        Verifier as _, ethereum::Ethereum, native::Native,
    },
    config::{self, Config},
    keys::Signer,
    route::{Far, Route, SWAP_ENDS, no_contract},
    store::{Lane, Mark, Network, Store},
};
use alloy::{eips::BlockNumberOrTag, providers::Provider as _};
use comfy_table::{Table, presets::UTF8_FULL_CONDENSED};
use mileverse_bindings::{Bridge, LightClient};
use mileverse_primitives::{
    Address, Bytes, U256,
    abi::{IPeers, IValves},
    address,
    rpc::{GroupKey, Status, SyncPhase},
};
use mileverse_wallet::rpc::RpcError;
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
    let far = route.config.far_end();
    for (end, account) in [
        (End::Native, route.native.ledger()),
        (far, route.far.ledger()),
    ] {
        endpoints(end, account.pool(), checks).await;
    }
    let network = match route.network().await {
        Ok(network) => network,
        Err(error) => return checks.note("both ends", Err(error.to_string())),
    };
    let (near, away) = (network.native_chain, network.far_chain);
    checks.note(
        "both ends",
        Ok(match network.far_mark {
            Mark::Bridge(_) => {
                format!("native chain {near} and chain {away} name each other's bridge")
            }
            Mark::Genesis(_) => format!("native chains {near} and {away} are peers"),
        }),
    );
    checks.note("native node", plain(native_node(&route.native).await));
    match &route.far {
        Far::Ethereum(ethereum, config) => {
            let native = &route.native;
            checks.note("finality", plain(finality(native, ethereum).await));
            checks.note(
                "light client's key",
                plain(group_key(native, ethereum).await),
            );
            checks.note("bridge is open", plain(open(ethereum).await));
            checks.note("start_block", plain(start_block(ethereum, config).await));
        }
        Far::Peer(peer, _) => {
            checks.note("peer node", plain(native_node(peer).await));
            for (end, here, there, chain) in [
                (End::Native, &route.native, peer, away),
                (End::Peer, peer, &route.native, near),
            ] {
                let at = end.word();
                let what = format!("key of chain {chain} at {at}");
                checks.note(what, plain(peer_key(here, there).await));
                let what = format!("{at} is open to chain {chain}");
                checks.note(what, plain(open_to_peer(here, chain).await));
            }
        }
    }
    swaps(route, &network, checks).await;
    let mut lanes = route.lanes();
    // The native chain first.
    lanes.sort_by_key(|lane| route.place(*lane).0);
    for lane in lanes {
        for signer in route.signers_of(lane) {
            let end = route.place(lane).0.word();
            let what = match lane {
                Lane::Packets(_) => format!("{end} account {}", signer.account()),
                Lane::Swaps(_) => format!("{end} account for swaps {}", signer.account()),
            };
            checks.note(what, plain(account(route, lane, signer).await));
        }
    }
}

/// Whether the contracts of swaps are there and are the ones that the native chain names. That their keys
/// are accounts of their own was seen when the keys were opened.
async fn swaps(route: &Route, network: &Network, checks: &mut Checks) {
    let (Some(given), Some(timelocks)) = (&route.config.swaps, route.timelocks(network)) else {
        return;
    };
    for (end, timelock) in SWAP_ENDS.into_iter().zip(timelocks) {
        let found = match timelock.is_there(At::Latest).await {
            Ok(true) => Ok("is there".to_owned()),
            Ok(false) => Err(no_contract(end, given).to_string()),
            Err(error) => Err(error.to_string()),
        };
        checks.note(format!("swaps' contract on {}", end.word()), found);
    }
    let named = match route.swap_tokens().await {
        Ok(_) => Ok("as the native chain names it, or it names none".to_owned()),
        Err(error) => Err(error.to_string()),
    };
    checks.note("swaps.ethereum", named);
}

/// A finding, or in its place a sentence of what is wrong.
type Finding = Result<Result<String, String>, RpcError>;

fn plain(finding: Finding) -> Result<String, String> {
    finding.map_err(|error| error.to_string())?
}

async fn endpoints(end: End, pool: &Pool, checks: &mut Checks) {
    pool.probe().await;
    for endpoint in pool.health() {
        let what = format!("{} endpoint {}", end.word(), endpoint.url);
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

async fn native_node(native: &Native) -> Finding {
    let endpoint = native.ledger().endpoint();
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

async fn finality(native: &Native, ethereum: &Ethereum) -> Finding {
    let endpoint = ethereum.ledger().endpoint();
    let newest = ethereum.ledger().height().await?;
    let finalized = endpoint
        .provider()
        .get_block_by_number(BlockNumberOrTag::Finalized)
        .await
        .map_err(|fault| endpoint.fault(fault))?;
    let checkpoint = native.latest_checkpoint().await?;
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
async fn group_key(native: &Native, ethereum: &Ethereum) -> Finding {
    let in_force = ethereum.key().await?;
    let endpoint = ethereum.ledger().endpoint();
    let bridge = ethereum.ledger().bridge();
    let client = endpoint.view(bridge, &Bridge::lightClientCall {}).await?;
    let shown = endpoint.view(client, &LightClient::groupKeyCall {}).await?;
    believed(native, in_force, &shown).await
}

/// So must a peer.
async fn peer_key(here: &Native, there: &Native) -> Finding {
    let in_force = here.key().await?;
    let shown = here.group_key().await?;
    believed(there, in_force, &shown).await
}

/// Whether a key that another chain believes is one of the native chain's.
async fn believed(native: &Native, in_force: KeyInForce, shown: &Bytes) -> Finding {
    let keys: Vec<GroupKey> = native
        .ledger()
        .endpoint()
        .method("mileverse_groupKeys", ())
        .await?;
    let Some(key) = keys.iter().find(|key| key.number == in_force.version) else {
        return Ok(Err(format!(
            "key {} is believed, of which the native chain itself knows nothing; it is another chain's",
            in_force.version
        )));
    };
    if key.key != *shown {
        return Ok(Err(format!(
            "key {} is not the native chain's own; do not relay, and ask the operators",
            in_force.version
        )));
    }
    let newest = keys.iter().map(|key| key.number).max().unwrap_or(0);
    Ok(Ok(if newest == in_force.version {
        format!("key {newest} on both chains")
    } else {
        format!(
            "key {} is the native chain's; key {newest} is announced and will be relayed",
            in_force.version
        )
    }))
}

/// Whether this chain takes what comes from a peer.
async fn open_to_peer(here: &Native, peer: u64) -> Finding {
    let endpoint = here.ledger().endpoint();
    let call = IPeers::frozenCall { peer };
    if endpoint.view(address::PEERS, &call).await? {
        return Ok(Err(
            "two certificates for one view were shown, and nothing comes from there any more"
                .into(),
        ));
    }
    let direction = IValves::Direction::Receive;
    let call = IPeers::directionPausedCall { peer, direction };
    Ok(if endpoint.view(address::PEERS, &call).await? {
        Err("receiving is paused; packets wait until the governor ends the pause".into())
    } else {
        Ok("not frozen, not paused".into())
    })
}

async fn open(ethereum: &Ethereum) -> Finding {
    let (endpoint, bridge) = (ethereum.ledger().endpoint(), ethereum.ledger().bridge());
    let frozen = endpoint.view(bridge, &Bridge::frozenCall {}).await?;
    Ok(if frozen {
        Err("two certificates for one view were shown, and the bridge has stopped for ever".into())
    } else {
        Ok("not frozen".into())
    })
}

async fn start_block(ethereum: &Ethereum, config: &config::Ethereum) -> Finding {
    let endpoint = ethereum.ledger().endpoint();
    let bridge = ethereum.ledger().bridge();
    let start = config.start_block;
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

async fn account(route: &Route, lane: Lane, signer: &Signer) -> Finding {
    if let Signer::Remote(remote) = signer
        && let Err(error) = remote.identify().await
    {
        return Ok(Err(error.to_string()));
    }
    let account = signer.account();
    let (end, ledger) = route.place(lane);
    match (&route.far, end, lane) {
        (Far::Ethereum(_, config), End::Ethereum, _) => ether(ledger, config, account).await,
        (_, _, Lane::Swaps(_)) => coin(route, ledger, account).await,
        _ => {
            let nonce = ledger.nonce(account, At::Latest).await?;
            Ok(Ok(format!(
                "has sent {nonce} transactions; gas is free there"
            )))
        }
    }
}

/// Whether an account can pay for a claim on the native chain, where gas may cost nothing.
async fn coin(route: &Route, ledger: &Account, account: Address) -> Finding {
    let endpoint = ledger.endpoint();
    let price = endpoint.provider().get_gas_price().await;
    let price = price.map_err(|fault| endpoint.fault(fault))?;
    let gas = route.config.swaps.as_ref().map_or(0, |swaps| swaps.max_gas);
    let needed = U256::from(price).saturating_mul(U256::from(gas));
    let balance = ledger.pool().balance(account).await?;
    Ok(if balance < needed {
        Err(format!(
            "has {balance} of the coin's smallest unit, and one claim may cost {needed} now; send it MVC"
        ))
    } else if needed.is_zero() {
        Ok("gas costs nothing there".to_owned())
    } else {
        Ok(format!("has {balance} of the coin's smallest unit"))
    })
}

/// Whether an account can pay for a delivery.
async fn ether(ledger: &Account, config: &config::Ethereum, account: Address) -> Finding {
    let balance = ledger.pool().balance(account).await?;
    let price = ledger.fees().await?.most().min(config.max_fee());
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
