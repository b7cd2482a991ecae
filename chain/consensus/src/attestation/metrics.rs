//! Counts for Prometheus, under the actor's own prefix.

use super::Offer;
use commonware_runtime::{
    Metrics as Registry,
    telemetry::metrics::{Counter, Gauge, MetricsExt as _},
};

/// What the pool and the actor count.
pub struct Metrics {
    /// Signed here, each height once.
    pub signed: Counter,
    /// Taken from peers, waiting ones included.
    pub received: Counter,
    /// From peers, and no use: late, early, known already, or of an epoch unknown here.
    pub dropped: Counter,
    /// From peers, as no honest node sends them.
    pub refused: Counter,
    /// Delegates' attestations that final blocks included.
    pub included: Counter,
    /// This node's own among those.
    pub included_own: Counter,
    /// Evidence found.
    pub evidence: Counter,
    /// Attestations ready to be included.
    pub pooled: Gauge,
    /// The newest height whose attestation by this node a final block included.
    pub own_height: Gauge,
}

impl Metrics {
    /// Registers everything with `context`.
    pub fn new<E: Registry>(context: &E) -> Self {
        Self {
            signed: context.counter("signed", "attestations signed here"),
            received: context.counter("received", "attestations taken from peers"),
            dropped: context.counter("dropped", "attestations of no use"),
            refused: context.counter("refused", "attestations that no honest node sends"),
            included: context.counter("included", "attestations in final blocks"),
            included_own: context.counter("included_own", "own attestations in final blocks"),
            evidence: context.counter("evidence", "false attestations found"),
            pooled: context.gauge("pooled", "attestations ready to be included"),
            own_height: context.gauge("own_height", "newest own height in a final block"),
        }
    }

    /// Counts what became of a peer's attestation.
    pub fn count(&self, offer: Offer) {
        match offer {
            Offer::Pooled | Offer::Waiting => self.received.inc(),
            Offer::Late | Offer::Early | Offer::Known | Offer::UnknownEpoch => self.dropped.inc(),
            Offer::Malformed | Offer::Stranger | Offer::Forged => self.refused.inc(),
            Offer::False => self.evidence.inc(),
        };
    }
}
