//! When an issue was signed, went out, and was seen in a final block: spans of every conversion that the
//! transaction issues for, each in its own trace, whoever sent it.

use crate::issuer::chain::Receipt;
use crate::store::issues::IssueTransaction;
use mileverse_trace::{SpanKind, Spec, Timer, Tracer};

/// Moments of one transaction; none, if nothing is traced.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Flight {
    begun: Timer,
    sent: Timer,
    seen: Timer,
}

impl Flight {
    /// It is about to be broadcast.
    pub(super) fn begin(tracer: &Tracer) -> Self {
        let begun = Timer::start(tracer);
        Self {
            begun,
            sent: begun,
            seen: begun,
        }
    }

    /// The node answered.
    pub(super) fn sent(&mut self) {
        self.sent = self.begun.lap();
        self.seen = self.sent;
    }

    /// It was looked for.
    pub(super) fn looked(&mut self) {
        self.seen = self.begun.lap();
    }

    /// Tells the trace that runs.
    pub(super) fn tell(&self, transaction: &IssueTransaction, receipt: Option<&Receipt>) {
        self.begun.span_to(self.sent, || {
            rpc("issue.broadcast", "eth_sendRawTransaction", transaction)
        });
        self.sent
            .span_to(self.seen, || confirmed(transaction, receipt));
    }
}

fn rpc(name: &'static str, method: &'static str, transaction: &IssueTransaction) -> Spec {
    Spec::new(name, SpanKind::Client)
        .with("rpc.system", "jsonrpc")
        .with("rpc.method", method)
        .with("mileverse.transaction.hash", transaction.hash.clone())
        .with("mileverse.transaction.batch", transaction.batch)
}

/// Looking for a transaction among the final ones.
pub(super) fn confirmed(transaction: &IssueTransaction, receipt: Option<&Receipt>) -> Spec {
    let spec = rpc("issue.confirm", "eth_getTransactionReceipt", transaction);
    match receipt {
        Some(receipt) => spec
            .with(
                "mileverse.outcome",
                if receipt.succeeded {
                    "final"
                } else {
                    "reverted"
                },
            )
            .with(
                "mileverse.block.number",
                i64::try_from(receipt.block).unwrap_or(i64::MAX),
            ),
        None => spec.with("mileverse.outcome", "not_seen"),
    }
}

/// Signing, and storing what was signed.
pub(super) fn signed(transaction: &IssueTransaction) -> Spec {
    Spec::inside("issue.sign")
        .with("mileverse.transaction.hash", transaction.hash.clone())
        .with("mileverse.transaction.batch", transaction.batch)
}
