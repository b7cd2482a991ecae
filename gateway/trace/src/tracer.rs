//! Where trees begin.

use crate::export::{self, Counts, Queue};
use crate::parent::Parent;
use crate::sampler::Share;
use crate::span::{Spec, Traced};
use opentelemetry::trace::{TraceContextExt, TracerProvider};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider};
use std::sync::Arc;
use std::time::Duration;
use thiserror::Error;
use url::Url;

/// Where traces go, and how many.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// The collector's OTLP endpoint for traces over HTTP, such as `http://127.0.0.1:4318/v1/traces`.
    pub endpoint: Url,
    /// What this service is called: `service.name`.
    pub service_name: String,
    /// How large a share of all traces is recorded, from 0 to 1.
    pub sample_ratio: f64,
}

/// Why nothing can be traced.
#[derive(Debug, Error)]
pub enum SetupError {
    /// The client for the collector.
    #[error("the client for the collector of traces cannot be set up: {0}")]
    Client(#[from] reqwest::Error),
    /// The exporter.
    #[error("traces cannot be sent: {0}")]
    Exporter(#[from] opentelemetry_otlp::ExporterBuildError),
}

/// What a tree is recorded with; in its [`Context`].
#[derive(Clone)]
pub(crate) struct Running(pub(crate) SdkTracer);

#[derive(Debug)]
struct On {
    tracer: SdkTracer,
    queue: Queue,
}

/// Begins trees of spans. Made by `default`, it is off.
#[derive(Clone, Debug, Default)]
pub struct Tracer {
    on: Option<Arc<On>>,
    counts: Counts,
}

impl Tracer {
    /// Starts to send what is recorded. `instance` is this run's own name: `service.instance.id`.
    /// Needs a runtime.
    pub fn start(
        config: &Config,
        version: &'static str,
        instance: &str,
    ) -> Result<Self, SetupError> {
        let counts = Counts::default();
        let resource = Resource::builder()
            .with_service_name(config.service_name.clone())
            .with_attribute(KeyValue::new("service.version", version))
            .with_attribute(KeyValue::new("service.instance.id", instance.to_owned()))
            .build();
        let queue = export::start(&config.endpoint, &resource, counts.clone())?;
        let provider = SdkTracerProvider::builder()
            .with_resource(resource)
            .with_sampler(Share::new(config.sample_ratio))
            .with_span_processor(queue.clone())
            .build();
        let tracer = provider.tracer("mileverse");
        Ok(Self {
            on: Some(Arc::new(On { tracer, queue })),
            counts,
        })
    }

    /// Whether anything is recorded.
    pub const fn is_on(&self) -> bool {
        self.on.is_some()
    }

    /// What became of spans.
    pub const fn counts(&self) -> &Counts {
        &self.counts
    }

    /// Does work in the first span of a tree, or in one that goes on below a span begun elsewhere.
    pub fn tree<F: Future>(
        &self,
        parent: Option<&Parent>,
        spec: impl FnOnce() -> Spec,
        work: F,
    ) -> Traced<F> {
        let context = self.on.as_ref().map(|on| {
            let running = Running(on.tracer.clone());
            let mut context = Context::new().with_value(running.clone());
            if let Some(Parent(above)) = parent {
                context = context.with_remote_span_context(above.clone());
            }
            spec().start(&running, &context)
        });
        Traced::new(work, context, true)
    }

    /// Sends what waits, for so long at most.
    pub async fn finish(&self, patience: Duration) {
        if let Some(on) = &self.on {
            on.queue.flush(patience).await;
        }
    }
}
