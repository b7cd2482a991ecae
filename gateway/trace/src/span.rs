//! Pieces of work.

use crate::tracer::Running;
use opentelemetry::trace::{Span, SpanBuilder, SpanKind, Status, TraceContextExt, Tracer};
use opentelemetry::{Context, KeyValue, Value};
use pin_project_lite::pin_project;
use std::borrow::Cow;
use std::future::Future;
use std::pin::Pin;
use std::task::{self, Poll};
use std::time::SystemTime;

/// What a span is to say from its begin on.
#[derive(Debug)]
pub struct Spec(SpanBuilder);

impl Spec {
    /// A span's name has nothing in it that is another each time.
    pub fn new(name: impl Into<Cow<'static, str>>, kind: SpanKind) -> Self {
        Self(SpanBuilder::from_name(name).with_kind(kind))
    }

    /// Work of this program alone.
    pub fn inside(name: impl Into<Cow<'static, str>>) -> Self {
        Self::new(name, SpanKind::Internal)
    }

    /// Adds an attribute. None holds a secret or anything of a person.
    #[must_use]
    pub fn with(mut self, key: &'static str, value: impl Into<Value>) -> Self {
        let all = self.0.attributes.get_or_insert_default();
        all.push(KeyValue::new(key, value));
        self
    }

    pub(crate) fn start(self, running: &Running, parent: &Context) -> Context {
        let span = running.0.build_with_context(self.0, parent);
        parent.with_span(span)
    }
}

pin_project! {
    /// A future in its span; just the future, if nothing is traced.
    #[must_use = "futures do nothing unless polled"]
    pub struct Traced<F> {
        #[pin]
        future: F,
        context: Option<Context>,
        ends: bool,
    }
}

impl<F> Traced<F> {
    pub(crate) const fn new(future: F, context: Option<Context>, ends: bool) -> Self {
        Self {
            future,
            context,
            ends,
        }
    }
}

impl<F: Future> Future for Traced<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, waker: &mut task::Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        let Some(context) = this.context else {
            return this.future.poll(waker);
        };
        let _guard = context.clone().attach();
        let polled = this.future.poll(waker);
        if *this.ends && polled.is_ready() {
            context.span().end();
        }
        polled
    }
}

/// The tree that runs.
fn tree() -> Option<(Running, Context)> {
    Context::map_current(|context| {
        let running = context.get::<Running>()?;
        Some((running.clone(), context.clone()))
    })
}

/// The tree that runs, if it is recorded.
fn running() -> Option<(Running, Context)> {
    tree().filter(|(_, context)| context.span().span_context().is_sampled())
}

/// Does work in a span of its own, part of the one that runs. If none does, just does it.
pub fn span<F: Future>(spec: impl FnOnce() -> Spec, work: F) -> Traced<F> {
    match running() {
        Some((running, parent)) => Traced::new(work, Some(spec().start(&running, &parent)), true),
        // What is not recorded has to be told to others all the same.
        None => carried(work),
    }
}

/// Work for a task of its own, still part of the span that runs.
pub fn carried<F: Future>(work: F) -> Traced<F> {
    let context = tree().map(|(_, context)| context);
    Traced::new(work, context, false)
}

/// Says something of the span that runs.
pub fn note(key: &'static str, value: impl Into<Value>) {
    Context::map_current(|context| {
        if context.has_active_span() {
            context.span().set_attribute(KeyValue::new(key, value));
        }
    });
}

/// The span that runs failed, for a reason of few words that are always the same: `error.type`.
pub fn failed(kind: impl Into<Cow<'static, str>>) {
    Context::map_current(|context| {
        if context.has_active_span() {
            let kind: Cow<'static, str> = kind.into();
            let span = context.span();
            span.set_attribute(KeyValue::new("error.type", kind));
            span.set_status(Status::error(""));
        }
    });
}

/// Times work whose span is known only when it is over.
#[derive(Clone, Copy, Debug)]
pub struct Timer(Option<SystemTime>);

impl Timer {
    /// From now on; nothing, if the tracer is off.
    pub fn start(tracer: &crate::Tracer) -> Self {
        Self(tracer.is_on().then(SystemTime::now))
    }

    /// The next piece begins where this one ends.
    #[must_use]
    pub fn lap(&self) -> Self {
        Self(self.0.map(|_| SystemTime::now()))
    }

    /// A span from this moment to another, part of the one that runs: not always the one in which
    /// the time was taken.
    pub fn span_to(&self, end: Self, spec: impl FnOnce() -> Spec) {
        let times = self.0.zip(end.0);
        if let (Some((began, ended)), Some((running, parent))) = (times, running()) {
            let builder = spec().0.with_start_time(began);
            let mut span = running.0.build_with_context(builder, &parent);
            span.end_with_timestamp(ended);
        }
    }
}
