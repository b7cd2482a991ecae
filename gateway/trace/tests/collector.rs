//! Against collectors that take spans, refuse them, or never answer.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing
)]

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use mileverse_trace::{Config, Parent, SpanKind, Spec, Tracer, carried, here, note, span};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;
use std::future;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::net::TcpListener;

const PATIENCE: Duration = Duration::from_secs(60);

#[derive(Clone)]
enum Manner {
    Take(Arc<Mutex<Vec<Span>>>),
    Refuse,
    Hang,
}

async fn answer(State(manner): State<Manner>, body: Bytes) -> StatusCode {
    match manner {
        Manner::Take(spans) => {
            let request = ExportTraceServiceRequest::decode(body).unwrap();
            let scopes = request
                .resource_spans
                .into_iter()
                .flat_map(|one| one.scope_spans);
            spans
                .lock()
                .unwrap()
                .extend(scopes.flat_map(|scope| scope.spans));
            StatusCode::OK
        }
        Manner::Refuse => StatusCode::INTERNAL_SERVER_ERROR,
        Manner::Hang => future::pending().await,
    }
}

async fn tracer(manner: Manner) -> Tracer {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}/v1/traces", listener.local_addr().unwrap());
    let app = Router::new()
        .route("/v1/traces", post(answer))
        .with_state(manner);
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    let config = Config {
        endpoint: endpoint.parse().unwrap(),
        service_name: "test".to_owned(),
        sample_ratio: 1.0,
    };
    Tracer::start(&config, "1", "run_1").unwrap()
}

#[tokio::test]
async fn a_tree_reaches_the_collector_across_tasks() {
    let spans = Arc::<Mutex<Vec<Span>>>::default();
    let tracer = tracer(Manner::Take(Arc::clone(&spans))).await;
    let parent = Parent::parse("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
    let work = async {
        let inner = span(|| Spec::inside("inner").with("n", 1i64), async {
            here().unwrap()
        });
        let told = tokio::spawn(carried(inner)).await.unwrap();
        note("state", "done");
        told
    };
    let root = || Spec::new("root", SpanKind::Server);
    let told = tracer.tree(parent.as_ref(), root, work).await;
    assert_eq!(here(), None);
    tracer.finish(PATIENCE).await;
    let spans = spans.lock().unwrap().clone();
    let hex = |bytes: &[u8]| {
        bytes
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect::<String>()
    };
    let [inner, root] = &spans[..] else {
        panic!("{spans:?}");
    };
    assert_eq!((inner.name.as_str(), root.name.as_str()), ("inner", "root"));
    assert_eq!(hex(&root.trace_id), "0af7651916cd43dd8448eb211c80319c");
    assert_eq!(hex(&root.parent_span_id), "b7ad6b7169203331");
    assert_eq!(inner.parent_span_id, root.span_id);
    assert_eq!(
        told,
        format!("00-{}-{}-01", hex(&inner.trace_id), hex(&inner.span_id))
    );
    assert_eq!(root.attributes[0].key, "state");
    assert_eq!(tracer.counts().exported.get(), 2);
}

#[tokio::test]
async fn what_is_not_recorded_is_told_all_the_same() {
    let spans = Arc::<Mutex<Vec<Span>>>::default();
    let tracer = tracer(Manner::Take(Arc::clone(&spans))).await;
    let parent = Parent::parse("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00");
    let work = async {
        let inner = span(|| Spec::inside("inner"), async { here().unwrap() });
        tokio::spawn(carried(inner)).await.unwrap()
    };
    let told = tracer
        .tree(parent.as_ref(), || Spec::inside("root"), work)
        .await;
    assert!(
        told.starts_with("00-0af7651916cd43dd8448eb211c80319c-"),
        "{told}"
    );
    assert!(told.ends_with("-00"), "{told}");
    tracer.finish(PATIENCE).await;
    assert!(spans.lock().unwrap().is_empty());
}

#[tokio::test]
async fn what_is_refused_is_counted() {
    let tracer = tracer(Manner::Refuse).await;
    tracer.tree(None, || Spec::inside("lost"), async {}).await;
    tracer.finish(PATIENCE).await;
    let counts = tracer.counts();
    assert_eq!(
        (
            counts.failed.get(),
            counts.exported.get(),
            counts.dropped.get()
        ),
        (1, 0, 0)
    );
}

/// Would anybody wait, this would never end.
#[tokio::test]
async fn nobody_waits_for_a_collector_that_never_answers() {
    let tracer = tracer(Manner::Hang).await;
    for _ in 0..6_000 {
        tracer.tree(None, || Spec::inside("many"), async {}).await;
    }
    // At most a full queue and what is being sent can still arrive.
    assert!(tracer.counts().dropped.get() >= 6_000 - 4_096 - 512);
    tracer.finish(Duration::from_millis(10)).await;
    assert_eq!(tracer.counts().exported.get(), 0);
}

#[tokio::test]
async fn a_tracer_that_is_off_does_nothing_but_the_work() {
    let tracer = Tracer::default();
    let work = async {
        (
            here(),
            span(|| unreachable!("no span is made"), async { here() }).await,
        )
    };
    let told = tracer
        .tree(None, || unreachable!("no span is made"), work)
        .await;
    assert_eq!(told, (None, None));
    tracer.finish(PATIENCE).await;
    assert_eq!(tracer.counts().exported.get(), 0);
}
