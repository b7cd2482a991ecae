//! The verbs that change or show a few rows, beside a running gateway or without one. Each prints
//! one JSON object a line.

use super::Error;
use crate::clock::{now_ms, rfc3339};
use crate::config::{Config, plain_name};
use crate::custody;
use crate::float::price::{Basis, Price, PriceError};
use crate::ids;
use crate::issuer::signer::Issuer;
use crate::keys::{self, Scope, parse_networks, parse_scopes};
use crate::server::{self, ServerError, vault};
use crate::store::jobs::Kind;
use crate::store::partners::{self, Funding, KeyRow, Partner};
use crate::store::signing;
use crate::store::{Purpose, Store};
use crate::units::{MicroPoints, parse_points};
use clap::Subcommand;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// Jobs that are listed at most.
const MAX_JOBS: u32 = 1_000;
/// Members that are read at once.
const REWRAPPED_AT_ONCE: u32 = 100;
const HOUR_MS: i64 = 60 * 60 * 1000;

#[derive(Debug, Subcommand)]
pub enum Partners {
    /// Make a partner, or change one.
    Set {
        #[arg(long)]
        config: PathBuf,
        /// Its name: 1 to 64 letters, digits, '-' or '_'.
        #[arg(long)]
        name: String,
        /// prepaid or postpaid.
        #[arg(long, default_value = "prepaid")]
        funding: String,
        /// Refuse every request of it.
        #[arg(long)]
        suspended: bool,
        /// A network that may call, such as 203.0.113.0/24; repeat for more. None given: all may.
        #[arg(long = "network")]
        networks: Vec<String>,
        /// Requests a second that each of its keys may send, to each replica.
        #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=10_000))]
        requests_per_second: u32,
    },
    /// Say when a partner's float is topped up by itself.
    AutomaticTopUp {
        #[arg(long)]
        config: PathBuf,
        #[arg(long)]
        name: String,
        /// MVP below which a top-up is begun.
        #[arg(long)]
        threshold: String,
        /// MVP that it buys.
        #[arg(long)]
        points: String,
        /// market or average.
        #[arg(long, default_value = "average")]
        basis: String,
    },
    /// Show all partners.
    List {
        #[arg(long)]
        config: PathBuf,
    },
}

#[derive(Debug, Subcommand)]
pub enum Keys {
    /// Make a key. It is shown once and kept nowhere.
    Create {
        #[arg(long)]
        config: PathBuf,
        #[arg(long)]
        partner: String,
        /// conversions:write, conversions:read, books:read, float:read, float:write, webhooks:read,
        /// webhooks:write, wallets:write, keys:write or sandbox:write; repeat for more.
        #[arg(long = "scope", required = true)]
        scopes: Vec<String>,
    },
    /// Make a key with the scopes of another, which ends after an overlap.
    Rotate {
        #[arg(long)]
        config: PathBuf,
        /// The key to replace.
        #[arg(long)]
        id: String,
        /// Hours that both are good for.
        #[arg(long, default_value_t = 24, value_parser = clap::value_parser!(u32).range(0..=8760))]
        overlap_hours: u32,
    },
    /// Say whether every request with a key must be signed, also for a partner that has lost its
    /// signing keys.
    Signatures {
        #[arg(long)]
        config: PathBuf,
        #[arg(long)]
        id: String,
        /// true or false.
        #[arg(long, action = clap::ArgAction::Set)]
        required: bool,
    },
    /// End a key now.
    Revoke {
        #[arg(long)]
        config: PathBuf,
        #[arg(long)]
        id: String,
    },
    /// Show keys, when they end and when they were last used.
    List {
        #[arg(long)]
        config: PathBuf,
        /// Only of this partner.
        #[arg(long)]
        partner: Option<String>,
    },
}

#[derive(Debug, Subcommand)]
pub enum Members {
    /// Wrap every member's key under the master key of now, so that earlier ones can be forgotten.
    Rewrap {
        #[arg(long)]
        config: PathBuf,
    },
}

#[derive(Debug, Subcommand)]
pub enum Prices {
    /// Record what a point costs from now on; or a coin, where the pool says what that is worth in points.
    #[command(group = clap::ArgGroup::new("price").required(true).args(["wei_per_point", "wei_per_coin"]))]
    Add {
        #[arg(long)]
        config: PathBuf,
        /// Wei for one MVP.
        #[arg(long, value_parser = clap::value_parser!(u64).range(1..=9_223_372_036_854_775_807))]
        wei_per_point: Option<u64>,
        /// Wei for one MVC.
        #[arg(long, value_parser = clap::value_parser!(u64).range(1..=9_223_372_036_854_775_807))]
        wei_per_coin: Option<u64>,
        /// Where the price is from.
        #[arg(long)]
        source: String,
        /// RFC 3339, not in the future; now if not given.
        #[arg(long)]
        at: Option<jiff::Timestamp>,
    },
    /// Show the market price and the three-month average.
    Show {
        #[arg(long)]
        config: PathBuf,
    },
}

#[derive(Debug, Subcommand)]
pub enum Jobs {
    /// Show what waits to be done, by when it is due.
    List {
        #[arg(long)]
        config: PathBuf,
    },
    /// Make a job due now.
    Hasten {
        #[arg(long)]
        config: PathBuf,
        /// conversion, top_up, webhook or reconciliation.
        #[arg(long)]
        kind: String,
        /// Of which.
        #[arg(long)]
        name: String,
    },
}

fn wrong(sentence: impl Into<String>) -> Error {
    Error::Argument(sentence.into())
}

pub(super) async fn open(config: &Path) -> Result<(Config, Store), Error> {
    let config = Config::read(config)?;
    let store = Store::open(&config.database, Purpose::Administer)
        .await
        .map_err(crate::server::ServerError::from)?;
    Ok((config, store))
}

/// Brings the tables up to date.
pub async fn migrate(config: PathBuf) -> Result<Vec<Value>, Error> {
    let (config, store) = open(&config).await?;
    store.close().await;
    Ok(vec![json!({ "migrated": config.database.to_string() })])
}

pub async fn partners(verb: Partners) -> Result<Vec<Value>, Error> {
    match verb {
        Partners::Set {
            config,
            name,
            funding,
            suspended,
            networks,
            requests_per_second,
        } => {
            if !plain_name(&name) {
                return Err(wrong("--name must be 1 to 64 letters, digits, '-' or '_'"));
            }
            let networks = networks.join(",");
            parse_networks(&networks).map_err(|network| {
                wrong(format!(
                    "--network {network} is none; give one such as 203.0.113.0/24"
                ))
            })?;
            let partner = Partner {
                name,
                funding: Funding::parse(&funding)
                    .ok_or_else(|| wrong("--funding must be prepaid or postpaid"))?,
                active: !suspended,
                networks,
                requests_per_second,
            };
            let (_, store) = open(&config).await?;
            store.put_partner(&partner, now_ms()).await?;
            let shown = show_partner(&store, &partner).await?;
            store.close().await;
            Ok(vec![shown])
        }
        Partners::AutomaticTopUp {
            config,
            name,
            threshold,
            points,
            basis,
        } => {
            let amount = |option: &str, text: &str| {
                if text == "0" {
                    return Ok(MicroPoints(0));
                }
                parse_points(text).ok_or_else(|| {
                    wrong(format!(
                        "--{option} must be MVP with at most six decimals, such as 1000"
                    ))
                })
            };
            let (threshold, points) =
                (amount("threshold", &threshold)?, amount("points", &points)?);
            let basis =
                Basis::parse(&basis).ok_or_else(|| wrong("--basis must be market or average"))?;
            let (_, store) = open(&config).await?;
            let set = store
                .set_automatic_top_up(&name, threshold, points, basis)
                .await?;
            let partner = store.partner(&name).await?;
            let (true, Some(partner)) = (set, partner) else {
                return Err(wrong(format!(
                    "there is no partner {name:?}; make it with 'partners set'"
                )));
            };
            let shown = show_partner(&store, &partner).await?;
            store.close().await;
            Ok(vec![shown])
        }
        Partners::List { config } => {
            let (_, store) = open(&config).await?;
            let mut shown = Vec::new();
            for partner in store.partners().await? {
                shown.push(show_partner(&store, &partner).await?);
            }
            store.close().await;
            Ok(shown)
        }
    }
}

async fn show_partner(store: &Store, partner: &Partner) -> Result<Value, Error> {
    let float = store.float(&partner.name).await?.map(|float| {
        json!({
            "available": float.available.to_string(),
            "held": float.held.to_string(),
            "threshold": float.threshold.to_string(),
            "automaticTopUp": float.top_up.to_string(),
            "basis": float.basis.name(),
        })
    });
    Ok(json!({
        "name": partner.name,
        "funding": partner.funding.name(),
        "active": partner.active,
        "networks": partner.networks,
        "requestsPerSecond": partner.requests_per_second,
        "float": float,
    }))
}

pub async fn keys(verb: Keys) -> Result<Vec<Value>, Error> {
    match verb {
        Keys::Create {
            config,
            partner,
            scopes,
        } => {
            let scopes = scopes.join(" ");
            if parse_scopes(&scopes).is_none_or(|scopes| scopes.is_empty()) {
                let all: Vec<_> = Scope::ALL.iter().map(|scope| scope.name()).collect();
                return Err(wrong(format!("--scope must be one of {}", all.join(", "))));
            }
            let (settings, store) = open(&config).await?;
            if store.partner(&partner).await?.is_none() {
                return Err(wrong(format!(
                    "there is no partner {partner:?}; make it with 'partners set'"
                )));
            }
            let made = make_key(&store, prefix(&settings), partner, scopes, None).await?;
            store.close().await;
            Ok(vec![made])
        }
        Keys::Rotate {
            config,
            id,
            overlap_hours,
        } => {
            let (settings, store) = open(&config).await?;
            let old = store.key(&id).await?.ok_or_else(|| unknown_key(&id))?;
            let overlap = i64::from(overlap_hours).saturating_mul(HOUR_MS);
            let ends = now_ms().saturating_add(overlap);
            let made = make_key(
                &store,
                prefix(&settings),
                old.partner,
                old.scopes,
                Some((&id, ends)),
            )
            .await?;
            store.close().await;
            Ok(vec![made])
        }
        Keys::Signatures {
            config,
            id,
            required,
        } => {
            let (_, store) = open(&config).await?;
            let found = store.require_signatures(&id, required).await?;
            let row = store.key(&id).await?.filter(|_| found);
            store.close().await;
            Ok(vec![show_key(&row.ok_or_else(|| unknown_key(&id))?)])
        }
        Keys::Revoke { config, id } => {
            let (_, store) = open(&config).await?;
            let now = now_ms();
            let mut write = store.write().await?;
            let ended = partners::end_key(&mut write, &id, now, now).await?;
            write.commit().await?;
            store.close().await;
            if !ended {
                return Err(unknown_key(&id));
            }
            Ok(vec![json!({ "revoked": id })])
        }
        Keys::List { config, partner } => {
            let (_, store) = open(&config).await?;
            let keys = store.keys(partner.as_deref()).await?;
            store.close().await;
            Ok(keys.iter().map(show_key).collect())
        }
    }
}

fn unknown_key(id: &str) -> Error {
    wrong(format!(
        "there is no key {id:?} that could still be used; 'keys list' shows all"
    ))
}

/// What keys begin with: one for a sandbox is told from one that moves real miles.
const fn prefix(config: &Config) -> &'static str {
    match config.sandbox {
        true => ids::TEST_KEY_PREFIX,
        false => ids::KEY_PREFIX,
    }
}

/// Makes a key; in the same transaction the key that it replaces gets its end.
async fn make_key(
    store: &Store,
    prefix: &str,
    partner: String,
    scopes: String,
    replaces: Option<(&str, i64)>,
) -> Result<Value, Error> {
    let key = keys::random_key(prefix);
    let now = now_ms();
    let row = KeyRow {
        id: ids::key(),
        partner,
        scopes,
        created_at: now,
        expires_at: None,
        last_used_at: None,
        signed_only: false,
    };
    let mut write = store.write().await?;
    if let Some((id, ends)) = replaces
        && !partners::end_key(&mut write, id, ends, now).await?
    {
        return Err(unknown_key(id));
    }
    partners::insert_key(&mut write, &row, &keys::hex(&keys::digest(&key))).await?;
    if let Some((id, _)) = replaces {
        signing::inherit(&mut write, id, &row.id).await?;
    }
    write.commit().await?;
    let row = store.key(&row.id).await?.unwrap_or(row);
    let mut shown = show_key(&row);
    if let Some(shown) = shown.as_object_mut() {
        shown.insert("key".to_owned(), key.into());
    }
    Ok(shown)
}

fn show_key(key: &KeyRow) -> Value {
    json!({
        "id": key.id,
        "partner": key.partner,
        "scopes": key.scopes,
        "createdAt": rfc3339(key.created_at),
        "endsAt": key.expires_at.map(rfc3339),
        "lastUsedAt": key.last_used_at.map(rfc3339),
        "signatures": if key.signed_only { "required" } else { "optional" },
    })
}

pub async fn members(verb: Members) -> Result<Vec<Value>, Error> {
    let Members::Rewrap { config } = verb;
    let (config, store) = open(&config).await?;
    let key = config.chain.issuers.first().ok_or(ServerError::NoIssuer)?;
    let issuer = Issuer::open(&key.keystore, &key.password).map_err(ServerError::from)?;
    let vault = vault(&config, &issuer)?;
    let mut rewrapped = 0u64;
    loop {
        let rows = store
            .members_under_other_keys(vault.key_id(), REWRAPPED_AT_ONCE)
            .await?;
        if rows.is_empty() {
            break;
        }
        for row in rows {
            let Some(sealed) = row.sealed else {
                continue;
            };
            let new = vault.rewrap(&row.id, &sealed).map_err(ServerError::from)?;
            // If not, its member linked again just now: it is under the new key, or comes again.
            if store.rewrap_member(&row.id, &sealed, &new).await? {
                rewrapped = rewrapped.saturating_add(1);
            }
        }
    }
    let mut wallets = 0u64;
    loop {
        let rows = store
            .wallets_under_other_keys(vault.key_id(), REWRAPPED_AT_ONCE)
            .await?;
        if rows.is_empty() {
            break;
        }
        for wallet in rows {
            let (member, Some(sealed)) = (wallet.member_id, wallet.sealed) else {
                continue;
            };
            let new = vault.rewrap(&custody::sealed_for(&member), &sealed);
            let new = new.map_err(ServerError::from)?;
            if store.rewrap_wallet(&member, &sealed, &new).await? {
                wallets = wallets.saturating_add(1);
            }
        }
    }
    store.close().await;
    Ok(vec![
        json!({ "rewrapped": rewrapped, "wallets": wallets, "key": vault.key_id() }),
    ])
}

pub async fn prices(verb: Prices) -> Result<Vec<Value>, Error> {
    match verb {
        Prices::Add {
            config,
            wei_per_point,
            wei_per_coin,
            source,
            at,
        } => {
            let (_, store) = open(&config).await?;
            let now = store.now();
            let at = at.map_or(now, jiff::Timestamp::as_millisecond);
            if at > now {
                return Err(wrong("--at must not be in the future"));
            }
            // Exactly one of them is given.
            let (new, recorded) = match (wei_per_point, wei_per_coin) {
                (Some(wei), _) => (
                    store.record_price(Price { at, wei }, &source).await?,
                    json!({ "at": rfc3339(at), "weiPerPoint": wei.to_string() }),
                ),
                (None, coin) => {
                    let wei = coin.ok_or_else(|| wrong("--wei-per-coin is missing"))?;
                    (
                        store.record_coin_price(Price { at, wei }, &source).await?,
                        json!({ "at": rfc3339(at), "weiPerCoin": wei.to_string() }),
                    )
                }
            };
            store.close().await;
            if !new {
                return Err(wrong(
                    "there is a price of that very moment; prices do not change",
                ));
            }
            Ok(vec![recorded])
        }
        Prices::Show { config } => {
            let (config, store) = open(&config).await?;
            let float = config.float.ok_or_else(|| {
                wrong("the configuration has no [float], so points are not sold here")
            })?;
            let seller = server::seller(float)?;
            let now = store.now();
            let (market, market_refused) = known(seller.price(&store, Basis::Market, now).await)?;
            let (average, average_refused) =
                known(seller.price(&store, Basis::Average, now).await)?;
            store.close().await;
            Ok(vec![json!({
                "source": seller.source(),
                "market": market.map(|price| price.wei.to_string()),
                "marketRefused": market_refused,
                "average": average.map(|average| average.wei.to_string()),
                "averageRefused": average_refused,
                "averageSince": average.map(|average| rfc3339(average.since)),
            })])
        }
    }
}

/// A price that there is not is an answer; a database that fails is not.
fn known<T>(price: Result<T, PriceError>) -> Result<(Option<T>, Option<String>), Error> {
    match price {
        Ok(price) => Ok((Some(price), None)),
        Err(PriceError::Store(error)) => Err(Error::Store(error)),
        Err(error) => Ok((None, Some(error.to_string()))),
    }
}

pub async fn jobs(verb: Jobs) -> Result<Vec<Value>, Error> {
    match verb {
        Jobs::List { config } => {
            let (_, store) = open(&config).await?;
            let jobs = store.waiting_jobs(MAX_JOBS).await?;
            store.close().await;
            let shown = jobs.into_iter().map(|job| {
                json!({
                    "kind": job.kind,
                    "name": job.name,
                    "dueAt": rfc3339(job.due_at),
                    "attempts": job.attempts,
                    "owner": job.owner,
                    "lastError": job.last_error,
                })
            });
            Ok(shown.collect())
        }
        Jobs::Hasten { config, kind, name } => {
            let kind = Kind::parse(&kind).ok_or_else(|| {
                let kinds = Kind::ALL.map(Kind::name).join(", ");
                wrong(format!("--kind must be one of {kinds}"))
            })?;
            let (_, store) = open(&config).await?;
            let hastened = store.hasten_job(kind, &name, store.now()).await?;
            store.close().await;
            if !hastened {
                return Err(wrong(format!(
                    "there is no such job {name:?}; 'jobs list' shows all"
                )));
            }
            Ok(vec![json!({ "hastened": name })])
        }
    }
}
