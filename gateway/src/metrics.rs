//! Figures for Prometheus, at `GET /metrics`.
//!
//! | metric | type | labels |
//! |---|---|---|
//! | `gateway_requests_total` | counter | `route`, `status` |
//! | `gateway_request_seconds` | histogram | `route` |
//! | `gateway_slo_counted_total`, `gateway_slo_missed_total` | counter | `slo`: requests that an objective is about, and those that missed it |
//! | `gateway_slo_budget_ratio` | gauge | `slo`: the share that may be missed |
//! | `gateway_slo_burn` | gauge | `slo`, `window`: how fast the budget burns, at this replica (see `objectives`) |
//! | `gateway_conversion_moves_total` | counter | `to`: the state moved to, by this replica |
//! | `gateway_issue_entries` | histogram | none: conversions that one signed transaction issues for |
//! | `gateway_webhook_attempts_total` | counter | `outcome`: `delivered`, `failed` |
//! | `gateway_conversions` | gauge | `state`: conversions that are not at their end, at the scrape |
//! | `gateway_cases_open` | gauge | `kind`: of the case |
//! | `gateway_rewards_late` | gauge | `slot`: of a quarter's rewards; how many quarters' are late |
//! | `gateway_reward_transactions` | gauge | `outcome`: of transactions on Ethereum, ever |
//! | `gateway_trace_spans_exported_total`, `…_dropped_total`, `…_failed_total` | counter | none: spans that the collector has, that the queue had no room for, that the collector did not take |
//! | `gateway_jobs_waiting`, `gateway_jobs_overdue` | gauge | `kind`; overdue: due for over a minute |
//!
//! No label holds anything of a partner or a member.

use crate::conversion::state::State;
use crate::objectives::{Answered, Objective, Objectives, WINDOWS};
use crate::rewards::slot::Slot;
use crate::store::Store;
use mileverse_trace::Counts;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use std::sync::atomic::AtomicU64;

/// Seconds; the last two are for conversions that wait for the chain.
const BUCKETS: [f64; 12] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 20.0,
];
/// Conversions in one signed transaction.
const ENTRIES: [f64; 8] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0];
/// A job that has been due for so long is overdue.
const OVERDUE_MS: i64 = 60_000;

macro_rules! labels {
    ($($name:ident { $($field:ident),* })*) => {
        $(
            #[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
            struct $name { $($field: String,)* }
        )*
    };
}

labels! {
    RouteStatus { route, status }
    Route { route }
    To { to }
    Outcome { outcome }
    InState { state }
    OfKind { kind }
    InSlot { slot }
    Promised { slo }
    Burning { slo, window }
}

/// All of them.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    requests: Family<RouteStatus, Counter>,
    seconds: Family<Route, Histogram, fn() -> Histogram>,
    objectives: Objectives,
    counted: Family<Promised, Counter>,
    missed: Family<Promised, Counter>,
    budget: Family<Promised, Gauge<f64, AtomicU64>>,
    burn: Family<Burning, Gauge<f64, AtomicU64>>,
    moves: Family<To, Counter>,
    entries: Histogram,
    attempts: Family<Outcome, Counter>,
    conversions: Family<InState, Gauge>,
    waiting: Family<OfKind, Gauge>,
    overdue: Family<OfKind, Gauge>,
    cases: Family<OfKind, Gauge>,
    late: Family<InSlot, Gauge>,
    transactions: Family<Outcome, Gauge>,
}

impl Metrics {
    /// All at zero, beside what became of traces' spans.
    pub fn new(spans: &Counts) -> Self {
        let seconds: fn() -> Histogram = || Histogram::new(BUCKETS);
        let mut metrics = Self {
            registry: Registry::with_prefix("gateway"),
            requests: Family::default(),
            seconds: Family::new_with_constructor(seconds),
            objectives: Objectives::default(),
            counted: Family::default(),
            missed: Family::default(),
            budget: Family::default(),
            burn: Family::default(),
            moves: Family::default(),
            entries: Histogram::new(ENTRIES),
            attempts: Family::default(),
            conversions: Family::default(),
            waiting: Family::default(),
            overdue: Family::default(),
            cases: Family::default(),
            late: Family::default(),
            transactions: Family::default(),
        };
        let registry = &mut metrics.registry;
        registry.register("requests", "Answers given", metrics.requests.clone());
        registry.register(
            "request_seconds",
            "Time until the answer",
            metrics.seconds.clone(),
        );
        registry.register(
            "slo_counted",
            "Requests that an objective is about",
            metrics.counted.clone(),
        );
        registry.register(
            "slo_missed",
            "Requests that missed an objective",
            metrics.missed.clone(),
        );
        registry.register(
            "slo_budget_ratio",
            "The share that may be missed",
            metrics.budget.clone(),
        );
        registry.register(
            "slo_burn",
            "How fast the error budget burns; 1 is as fast as it may",
            metrics.burn.clone(),
        );
        for objective in Objective::ALL {
            let promised = promised(objective);
            let budget = f64::from(objective.budget_ppm()) / 1_000_000.0;
            metrics.budget.get_or_create(&promised).set(budget);
            // At zero from the start, so that the first one that is missed is a rise.
            metrics.counted.get_or_create(&promised).inc_by(0);
            metrics.missed.get_or_create(&promised).inc_by(0);
        }
        registry.register(
            "conversion_moves",
            "Moves to a state, by this replica",
            metrics.moves.clone(),
        );
        registry.register(
            "issue_entries",
            "Conversions that one signed transaction issues for",
            metrics.entries.clone(),
        );
        registry.register(
            "webhook_attempts",
            "Attempts to tell an endpoint",
            metrics.attempts.clone(),
        );
        registry.register(
            "conversions",
            "Conversions that are not at their end",
            metrics.conversions.clone(),
        );
        registry.register("jobs_waiting", "Jobs not done yet", metrics.waiting.clone());
        registry.register(
            "jobs_overdue",
            "Jobs due for over a minute",
            metrics.overdue.clone(),
        );
        registry.register(
            "cases_open",
            "Cases that wait for operators",
            metrics.cases.clone(),
        );
        registry.register(
            "rewards_late",
            "Quarters whose rewards are late",
            metrics.late.clone(),
        );
        registry.register(
            "reward_transactions",
            "Transactions for rewards on Ethereum",
            metrics.transactions.clone(),
        );
        registry.register(
            "trace_spans_exported",
            "Spans that the collector has",
            spans.exported.clone(),
        );
        registry.register(
            "trace_spans_dropped",
            "Spans that there was no room for",
            spans.dropped.clone(),
        );
        registry.register(
            "trace_spans_failed",
            "Spans that the collector did not take",
            spans.failed.clone(),
        );
        metrics
    }

    /// A request was answered.
    pub fn answered(&self, request: &Answered<'_>) {
        let route = request.route.to_owned();
        let labels = RouteStatus {
            route: route.clone(),
            status: request.status.to_string(),
        };
        self.requests.get_or_create(&labels).inc();
        self.seconds
            .get_or_create(&Route { route })
            .observe(request.took.as_secs_f64());
        for (objective, met) in self.objectives.count(request) {
            let promised = promised(objective);
            self.counted.get_or_create(&promised).inc();
            if !met {
                self.missed.get_or_create(&promised).inc();
            }
        }
    }

    /// A conversion moved.
    pub fn moved(&self, to: State) {
        let labels = To {
            to: to.name().to_owned(),
        };
        self.moves.get_or_create(&labels).inc();
    }

    /// A transaction was signed that issues for so many conversions.
    pub fn signed(&self, conversions: usize) {
        let conversions = u32::try_from(conversions).unwrap_or(u32::MAX);
        self.entries.observe(f64::from(conversions));
    }

    /// An endpoint was told, or not.
    pub fn attempted(&self, delivered: bool) {
        let outcome = if delivered { "delivered" } else { "failed" };
        let labels = Outcome {
            outcome: outcome.to_owned(),
        };
        self.attempts.get_or_create(&labels).inc();
    }

    /// All figures as text, those of the database as of now.
    pub async fn text(&self, store: &Store) -> Result<String, sqlx::Error> {
        let counts = store.open_counts().await?;
        for state in State::ALL.into_iter().filter(|state| !state.is_final()) {
            let many = counts
                .iter()
                .find(|(found, _)| *found == state)
                .map_or(0, |(_, many)| *many);
            let labels = InState {
                state: state.name().to_owned(),
            };
            let many = i64::try_from(many).unwrap_or(i64::MAX);
            self.conversions.get_or_create(&labels).set(many);
        }
        let overdue = store.now().saturating_sub(OVERDUE_MS);
        for (kind, waiting, late) in store.job_counts(overdue).await? {
            let labels = OfKind {
                kind: kind.name().to_owned(),
            };
            self.waiting.get_or_create(&labels).set(waiting);
            self.overdue.get_or_create(&labels).set(late);
        }
        // A kind of which none is open any more says so by not being there.
        self.cases.clear();
        for (kind, many) in store.open_cases().await? {
            self.cases.get_or_create(&OfKind { kind }).set(many);
        }
        let late = store.late_rewards(store.now()).await?;
        for slot in Slot::ALL {
            let many = late.iter().find(|(found, _)| found == slot.name());
            let many = many.map_or(0, |(_, many)| *many);
            let slot = slot.name().to_owned();
            self.late.get_or_create(&InSlot { slot }).set(many);
        }
        for (outcome, many) in store.reward_transactions().await? {
            let labels = Outcome { outcome };
            self.transactions.get_or_create(&labels).set(many);
        }
        for objective in Objective::ALL {
            for window in WINDOWS {
                let labels = Burning {
                    slo: objective.name().to_owned(),
                    window: window.name.to_owned(),
                };
                let burn = self.objectives.burn(objective, window);
                self.burn.get_or_create(&labels).set(burn);
            }
        }
        let mut text = String::new();
        encode(&mut text, &self.registry).map_err(|error| sqlx::Error::Encode(Box::new(error)))?;
        Ok(text)
    }
}

fn promised(objective: Objective) -> Promised {
    Promised {
        slo: objective.name().to_owned(),
    }
}
