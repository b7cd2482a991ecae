//! Counts for Prometheus, under the actor's own prefix.

use commonware_runtime::{
    Metrics as Registry,
    telemetry::metrics::{Counter, Gauge, MetricsExt as _},
};

/// What the watch counts.
pub struct Metrics {
    /// Headers that this node verified and showed to its peers.
    pub shown: Counter,
    /// Headers from peers for views not heard of before.
    pub heard: Counter,
    /// Headers from peers out of the window, or of an epoch unknown here.
    pub dropped: Counter,
    /// Headers from peers as no honest node sends them.
    pub refused: Counter,
    /// Views with two headers.
    pub evidence: Counter,
    /// Headers remembered.
    pub remembered: Gauge,
}

impl Metrics {
    /// Registers everything with `context`.
    pub fn new<E: Registry>(context: &E) -> Self {
        Self {
            shown: context.counter("shown", "headers shown to peers"),
            heard: context.counter("heard", "headers first heard of from a peer"),
            dropped: context.counter("dropped", "headers of no use"),
            refused: context.counter("refused", "headers that no honest node sends"),
            evidence: context.counter("evidence", "views with two headers"),
            remembered: context.gauge("remembered", "headers remembered"),
        }
    }
}
