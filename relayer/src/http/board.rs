//! What is shown: the database as it is now, and what the last look at the chains found.

use crate::{
    Error,
    chain::{End, EndpointHealth},
    clock::Clock,
    config::Config,
    metrics::Metrics,
    route::SWAP_ENDS,
    store::{Counts, Direction, Health, Lane, RouteStore, SetAside, Store, SwapAside, SwapCounts},
};
use mileverse_primitives::Address;
use serde::Serialize;
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// Most refused packets that are listed.
const MAX_SET_ASIDE: usize = 20;

/// What the last look at a route's chains found.
#[derive(Clone, Debug, Default)]
pub(crate) struct RouteView {
    /// By chain.
    pub(crate) endpoints: Vec<(&'static str, EndpointHealth)>,
    pub(crate) accounts: Vec<AccountView>,
    pub(crate) tokens: Vec<TokenView>,
    trouble: Option<String>,
}

impl RouteView {
    /// Something could not be looked at.
    pub(crate) fn note(&mut self, error: &Error) {
        self.trouble = Some(error.to_string());
    }
}

/// A signing account.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AccountView {
    pub(crate) chain: &'static str,
    pub(crate) account: Address,
    pub(crate) balance_wei: String,
    pub(crate) nonce: u64,
    pub(crate) open_nonces: Vec<u64>,
}

/// A token's numbers, in its smallest unit.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct TokenView {
    pub(crate) token: String,
    pub(crate) held: String,
    pub(crate) away: String,
    pub(crate) in_flight: String,
    pub(crate) imbalance: String,
}

/// A route, shown.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RouteShown {
    pub(crate) route: String,
    /// Why the route stands still, if it does.
    pub(crate) trouble: Option<String>,
    pub(crate) directions: Vec<DirectionView>,
    /// Hashed-timelock swaps by chain, if they are completed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) swaps: Vec<SwapsView>,
    pub(crate) endpoints: Vec<EndpointShown>,
    pub(crate) accounts: Vec<AccountView>,
    pub(crate) tokens: Vec<TokenView>,
}

/// One direction of it.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct DirectionView {
    pub(crate) direction: Direction,
    pub(crate) counts: Counts,
    pub(crate) health: Health,
    /// When the oldest packet was found whose time has come.
    pub(crate) oldest_due_ms: Option<u64>,
    /// When a packet last landed; 0 = never.
    pub(crate) newest_landed_ms: u64,
    pub(crate) set_aside: Vec<SetAside>,
}

/// The swaps on one chain.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SwapsView {
    pub(crate) chain: &'static str,
    #[serde(skip)]
    pub(crate) lane: Lane,
    pub(crate) counts: SwapCounts,
    pub(crate) health: Health,
    /// Since when the swap has been due that is due for longest, and whose time has come.
    pub(crate) oldest_due_ms: Option<u64>,
    /// When a swap last ended; 0 = never.
    pub(crate) newest_settled_ms: u64,
    pub(crate) set_aside: Vec<SwapAside>,
}

/// One endpoint.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct EndpointShown {
    pub(crate) chain: &'static str,
    pub(crate) url: String,
    pub(crate) up: bool,
    pub(crate) height: u64,
    pub(crate) failed: u64,
}

/// Everything shown. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Board(Arc<Inner>);

struct Inner {
    store: Store,
    metrics: Metrics,
    clock: Clock,
    routes: Mutex<BTreeMap<String, Shown>>,
}

/// What is known of a route beside its rows.
#[derive(Clone)]
struct Shown {
    directions: [Direction; 2],
    /// Whether its swaps are completed.
    swaps: bool,
    /// Why it stands still, if it does.
    trouble: Option<String>,
    view: RouteView,
}

impl Board {
    /// Of these routes, none of which is at work yet.
    pub(crate) fn new(config: &Config, store: Store, metrics: Metrics) -> Self {
        let routes = config.routes.iter();
        let routes: Vec<_> = routes
            .map(|(name, route)| (name.as_str(), route.directions(), route.swaps.is_some()))
            .collect();
        Self::of(&routes, store, metrics)
    }

    pub(super) fn of(
        routes: &[(&str, [Direction; 2], bool)],
        store: Store,
        metrics: Metrics,
    ) -> Self {
        let routes = routes.iter().map(|(name, directions, swaps)| {
            let route = Shown {
                directions: *directions,
                swaps: *swaps,
                trouble: None,
                view: RouteView::default(),
            };
            ((*name).to_owned(), route)
        });
        Self(Arc::new(Inner {
            store,
            metrics,
            clock: Clock::system(),
            routes: Mutex::new(routes.collect()),
        }))
    }

    pub(crate) fn metrics(&self) -> &Metrics {
        &self.0.metrics
    }

    pub(crate) fn now_ms(&self) -> u64 {
        self.0.clock.now_ms()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Shown>> {
        self.0.routes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A route stands still for this, or goes again.
    pub(crate) fn trouble(&self, route: &str, trouble: Option<String>) {
        if let Some(known) = self.lock().get_mut(route) {
            known.trouble = trouble;
        }
    }

    /// What the last look at a route found.
    pub(crate) fn show(&self, route: &str, view: RouteView) {
        if let Some(known) = self.lock().get_mut(route) {
            known.view = view;
        }
    }

    /// How often an endpoint had failed at the look before.
    pub(crate) fn failures(&self, route: &str, chain: &str, url: &str) -> u64 {
        let routes = self.lock();
        let endpoints = routes
            .get(route)
            .map(|known| known.view.endpoints.as_slice());
        endpoints
            .unwrap_or_default()
            .iter()
            .find(|(known, endpoint)| *known == chain && endpoint.url == url)
            .map_or(0, |(_, endpoint)| endpoint.failed)
    }

    /// A route's rows, once it is tied to its network; none for a name that is not configured.
    pub(crate) async fn rows(&self, route: &str) -> Result<Option<RouteStore>, Error> {
        if !self.lock().contains_key(route) {
            return Ok(None);
        }
        self.0.store.route(route).await
    }

    /// All routes as they are now.
    pub(super) async fn routes(&self) -> Result<Vec<RouteShown>, Error> {
        let views = self.lock().clone();
        let mut shown = Vec::with_capacity(views.len());
        for (route, known) in views {
            let rows = self.rows(&route).await?;
            let (trouble, view) = (known.trouble, known.view);
            let mut directions = Vec::new();
            for direction in known.directions {
                directions.push(match &rows {
                    Some(rows) => self.direction(rows, direction).await?,
                    None => DirectionView::nothing(direction),
                });
            }
            let mut swaps = Vec::new();
            for end in SWAP_ENDS.into_iter().filter(|_| known.swaps) {
                swaps.push(match &rows {
                    Some(rows) => self.swaps(rows, end).await?,
                    None => SwapsView::nothing(end),
                });
            }
            shown.push(RouteShown {
                route,
                swaps,
                trouble: trouble.or(view.trouble),
                directions,
                endpoints: view
                    .endpoints
                    .into_iter()
                    .map(|(chain, endpoint)| EndpointShown {
                        chain,
                        url: endpoint.url,
                        up: endpoint.up,
                        height: endpoint.height,
                        failed: endpoint.failed,
                    })
                    .collect(),
                accounts: view.accounts,
                tokens: view.tokens,
            });
        }
        Ok(shown)
    }

    async fn direction(
        &self,
        rows: &RouteStore,
        direction: Direction,
    ) -> Result<DirectionView, Error> {
        Ok(DirectionView {
            direction,
            counts: rows.counts(direction).await?,
            health: rows.health(direction).await?,
            oldest_due_ms: rows.oldest_due_ms(direction, self.now_ms()).await?,
            newest_landed_ms: rows.newest_landed_ms(direction).await?,
            set_aside: rows.set_asides(direction, MAX_SET_ASIDE).await?,
        })
    }
}

impl Board {
    async fn swaps(&self, rows: &RouteStore, end: End) -> Result<SwapsView, Error> {
        let now = self.now_ms();
        Ok(SwapsView {
            counts: rows.swap_counts(end, now).await?,
            health: rows.health(Lane::Swaps(end)).await?,
            oldest_due_ms: rows.oldest_due_swap_ms(end, now).await?,
            newest_settled_ms: rows.newest_settled_swap_ms(end).await?,
            set_aside: rows.swap_asides(end, MAX_SET_ASIDE).await?,
            ..SwapsView::nothing(end)
        })
    }
}

impl SwapsView {
    fn nothing(end: End) -> Self {
        Self {
            chain: end.word(),
            lane: Lane::Swaps(end),
            counts: SwapCounts::default(),
            health: Health::default(),
            oldest_due_ms: None,
            newest_settled_ms: 0,
            set_aside: Vec::new(),
        }
    }
}

impl DirectionView {
    fn nothing(direction: Direction) -> Self {
        Self {
            direction,
            counts: Counts::default(),
            health: Health::default(),
            oldest_due_ms: None,
            newest_landed_ms: 0,
            set_aside: Vec::new(),
        }
    }
}
