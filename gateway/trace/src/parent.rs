//! W3C trace context (<https://www.w3.org/TR/trace-context/>): the header `traceparent`.
//!
//! `tracestate` is neither read nor sent: what one party says of itself is none of another's business,
//! and it has no place in a row.

use http::HeaderMap;
use opentelemetry::Context;
use opentelemetry::propagation::{Extractor, Injector, TextMapPropagator};
use opentelemetry::trace::{SpanContext, TraceContextExt};
use opentelemetry_sdk::propagation::TraceContextPropagator;

/// The header.
pub const HEADER: &str = "traceparent";
/// Longest one that is looked at, in bytes: version 00 has 55.
const MAX_BYTES: usize = 128;

/// A span that somebody else began, or this program in an earlier life.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Parent(pub(crate) SpanContext);

struct One<'a>(&'a str);

impl Extractor for One<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        (key == HEADER).then_some(self.0)
    }

    fn keys(&self) -> Vec<&str> {
        vec![HEADER]
    }
}

struct Taken(Option<String>);

impl Injector for Taken {
    fn set(&mut self, key: &str, value: String) {
        if key == HEADER {
            self.0 = Some(value);
        }
    }
}

impl Parent {
    /// Reads a header's text, or what was stored of one.
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() > MAX_BYTES {
            return None;
        }
        let context =
            TraceContextPropagator::new().extract_with_context(&Context::new(), &One(text));
        let found = context.span().span_context().clone();
        found.is_valid().then_some(Self(found))
    }

    /// What a request's headers say; nothing, if they say it twice.
    pub fn of(headers: &HeaderMap) -> Option<Self> {
        let mut all = headers.get_all(HEADER).iter();
        let one = all.next().filter(|_| all.next().is_none())?;
        Self::parse(one.to_str().ok()?)
    }
}

/// The header for a call that is part of the span that runs, also to be stored for who goes on with it
/// later. `None` if none runs.
pub fn here() -> Option<String> {
    Context::map_current(|context| {
        if !context.has_active_span() {
            return None;
        }
        let mut taken = Taken(None);
        TraceContextPropagator::new().inject_context(context, &mut taken);
        taken.0
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use http::HeaderValue;

    const GOOD: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn only_a_trace_context_is_one() {
        let parent = Parent::parse(GOOD).unwrap();
        assert!(parent.0.is_remote() && parent.0.is_sampled());
        let id = parent.0.trace_id().to_string();
        assert_eq!(id, "0af7651916cd43dd8448eb211c80319c");
        let long = format!(
            "01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-{}",
            "a".repeat(200)
        );
        for bad in [
            "",
            "00",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more",
            "00-é-b7ad6b7169203331-01",
            &long,
        ] {
            assert_eq!(Parent::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn two_headers_are_none() {
        let mut headers = HeaderMap::new();
        assert_eq!(Parent::of(&headers), None);
        headers.append(HEADER, HeaderValue::from_static(GOOD));
        assert!(Parent::of(&headers).is_some());
        headers.append(HEADER, HeaderValue::from_static(GOOD));
        assert_eq!(Parent::of(&headers), None);
    }

    #[test]
    fn outside_of_a_span_there_is_nothing_to_send() {
        assert_eq!(here(), None);
    }
}
