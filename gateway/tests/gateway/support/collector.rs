//! A collector of traces: OTLP over HTTP, protobuf.

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode as Outcome;
use prost::Message;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// One span, as the collector got it.
#[derive(Clone, Debug)]
pub struct Span {
    pub trace: String,
    pub id: String,
    /// Empty for a first one.
    pub parent: String,
    pub name: String,
    pub kind: SpanKind,
    pub failed: bool,
    pub began: u64,
    pub ended: u64,
    pub attributes: BTreeMap<String, String>,
    /// Of the service that sent it.
    pub resource: BTreeMap<String, String>,
}

pub struct Collector {
    /// The endpoint for traces.
    pub url: String,
    spans: Arc<Mutex<Vec<Span>>>,
    server: JoinHandle<()>,
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Collector {
    pub async fn start() -> Self {
        let spans = Arc::<Mutex<Vec<Span>>>::default();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/v1/traces", listener.local_addr().unwrap());
        let app = Router::new()
            .route("/v1/traces", post(take))
            .with_state(Arc::clone(&spans));
        let server = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { url, spans, server }
    }

    /// What came of a trace, by when it began.
    pub fn trace(&self, id: &str) -> Vec<Span> {
        let mut spans = self.all();
        spans.retain(|span| span.trace == id);
        spans.sort_by_key(|span| (span.began, span.ended));
        spans
    }

    pub fn all(&self) -> Vec<Span> {
        self.spans.lock().unwrap().clone()
    }
}

/// A trace as text: names and kinds, indented by whose part they are, in the order of their begin.
pub fn drawn(spans: &[Span], below: &str) -> Vec<String> {
    let mut lines = Vec::new();
    for span in spans.iter().filter(|span| span.parent == below) {
        let kind = match span.kind {
            SpanKind::Server => " (server)",
            SpanKind::Client => " (client)",
            _ => "",
        };
        let failed = if span.failed { " failed" } else { "" };
        lines.push(format!("{}{kind}{failed}", span.name));
        let inside = drawn(spans, &span.id);
        lines.extend(inside.into_iter().map(|line| format!("  {line}")));
    }
    lines
}

async fn take(
    State(spans): State<Arc<Mutex<Vec<Span>>>>,
    headers: HeaderMap,
    body: Bytes,
) -> StatusCode {
    assert_eq!(headers["content-type"], "application/x-protobuf");
    let request = ExportTraceServiceRequest::decode(body).unwrap();
    let mut spans = spans.lock().unwrap();
    for sent in request.resource_spans {
        let resource = texts(&sent.resource.unwrap().attributes);
        for span in sent.scope_spans.into_iter().flat_map(|scope| scope.spans) {
            spans.push(Span {
                trace: hex(&span.trace_id),
                id: hex(&span.span_id),
                parent: hex(&span.parent_span_id),
                kind: span.kind(),
                failed: span
                    .status
                    .is_some_and(|status| status.code() == Outcome::Error),
                began: span.start_time_unix_nano,
                ended: span.end_time_unix_nano,
                attributes: texts(&span.attributes),
                name: span.name,
                resource: resource.clone(),
            });
        }
    }
    StatusCode::OK
}

fn hex(bytes: &[u8]) -> String {
    mileverse_gateway::keys::hex(bytes)
}

fn texts(attributes: &[KeyValue]) -> BTreeMap<String, String> {
    let text =
        |value: &Option<AnyValue>| match value.as_ref().and_then(|value| value.value.as_ref()) {
            Some(Value::StringValue(text)) => text.clone(),
            Some(Value::IntValue(number)) => number.to_string(),
            Some(Value::BoolValue(yes)) => yes.to_string(),
            other => format!("{other:?}"),
        };
    attributes
        .iter()
        .map(|pair| (pair.key.clone(), text(&pair.value)))
        .collect()
}
