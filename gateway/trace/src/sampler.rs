//! Which trees are recorded: a share of them, chosen by the trace's id, so that everybody who takes the
//! same share chooses the same ones. What a caller does not record is not recorded here; that a caller
//! does record does not make the share larger.

use opentelemetry::trace::{Link, SpanKind, TraceContextExt, TraceId};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::trace::{Sampler, SamplingDecision, SamplingResult, ShouldSample};

/// So large a share.
#[derive(Clone, Debug)]
pub(crate) struct Share(Sampler);

impl Share {
    pub(crate) fn new(ratio: f64) -> Self {
        Self(Sampler::TraceIdRatioBased(ratio))
    }
}

impl ShouldSample for Share {
    fn should_sample(
        &self,
        parent: Option<&Context>,
        trace_id: TraceId,
        name: &str,
        kind: &SpanKind,
        attributes: &[KeyValue],
        links: &[Link],
    ) -> SamplingResult {
        let mut chosen = self
            .0
            .should_sample(None, trace_id, name, kind, attributes, links);
        let above = parent.map(|context| context.span().span_context().clone());
        if let Some(above) = above.filter(opentelemetry::trace::SpanContext::is_valid) {
            if !above.is_sampled() {
                chosen.decision = SamplingDecision::Drop;
            } else if !above.is_remote() {
                chosen.decision = SamplingDecision::RecordAndSample;
            }
        }
        chosen
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use opentelemetry::trace::{SpanContext, SpanId, TraceFlags, TraceState};

    fn decided(ratio: f64, above: Option<(bool, bool)>) -> bool {
        let trace = TraceId::from_bytes([9; 16]);
        let context = above.map(|(sampled, remote)| {
            let flags = TraceFlags::default().with_sampled(sampled);
            let span = SpanId::from_bytes([7; 8]);
            let span = SpanContext::new(trace, span, flags, remote, TraceState::default());
            Context::new().with_remote_span_context(span)
        });
        let context = context.as_ref();
        let kind = &SpanKind::Internal;
        let result = Share::new(ratio).should_sample(context, trace, "", kind, &[], &[]);
        result.decision == SamplingDecision::RecordAndSample
    }

    #[test]
    fn a_caller_can_leave_out_and_not_put_in() {
        assert!(decided(1.0, None));
        assert!(!decided(0.0, None));
        assert!(decided(1.0, Some((true, true))));
        assert!(!decided(1.0, Some((false, true))));
        assert!(!decided(0.0, Some((true, true))));
        // Below a span of our own all is decided.
        assert!(decided(0.0, Some((true, false))));
        assert!(!decided(1.0, Some((false, false))));
    }
}
