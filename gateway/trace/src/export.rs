//! From spans that ended to the collector. A span that ends is put into a queue, or dropped and counted
//! if there is no room: whoever ended it never waits.

use crate::SetupError;
use async_trait::async_trait;
use bytes::Bytes;
use http::{Request, Response};
use opentelemetry::Context;
use opentelemetry_http::{HttpClient, HttpError};
use opentelemetry_otlp::{SpanExporter as Otlp, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{Span, SpanData, SpanExporter, SpanProcessor};
use prometheus_client::metrics::counter::Counter;
use reqwest::redirect;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{self, Instant};
use url::Url;

/// Spans that wait.
const QUEUE: usize = 4096;
/// Spans that are sent at once.
const BATCH: usize = 512;
/// A span that waits for others to be sent with waits no longer than this.
const PAUSE: Duration = Duration::from_secs(1);
/// How long the collector has to take a batch.
const TIMEOUT: Duration = Duration::from_secs(10);
/// That spans are lost is said in the log so often.
const COMPLAIN: Duration = Duration::from_secs(60);

/// What became of spans.
#[derive(Clone, Debug, Default)]
pub struct Counts {
    /// The collector has them.
    pub exported: Counter,
    /// There was no room.
    pub dropped: Counter,
    /// The collector did not take them.
    pub failed: Counter,
}

#[derive(Debug)]
enum Item {
    Span(Box<SpanData>),
    Flush(oneshot::Sender<()>),
}

/// Where spans wait.
#[derive(Clone, Debug)]
pub(crate) struct Queue {
    items: mpsc::Sender<Item>,
    counts: Counts,
}

impl Queue {
    /// Has all sent that waits now.
    pub(crate) async fn flush(&self, patience: Duration) {
        let flushed = async {
            let (tell, told) = oneshot::channel();
            if self.items.send(Item::Flush(tell)).await.is_ok() {
                let _ = told.await;
            }
        };
        if time::timeout(patience, flushed).await.is_err() {
            tracing::warn!("not all spans could be sent in time; the others are lost");
        }
    }
}

impl SpanProcessor for Queue {
    fn on_start(&self, _: &mut Span, _: &Context) {}

    fn on_end(&self, span: SpanData) {
        if !span.span_context.is_sampled() {
            return;
        }
        if self.items.try_send(Item::Span(Box::new(span))).is_err() {
            self.counts.dropped.inc();
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}

/// The client that this program has anyway, for the exporter.
#[derive(Debug)]
struct Client(reqwest::Client);

#[async_trait]
impl HttpClient for Client {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let answer = self
            .0
            .execute(request.try_into()?)
            .await?
            .error_for_status()?;
        let mut response = Response::builder().status(answer.status());
        if let Some(headers) = response.headers_mut() {
            headers.clone_from(answer.headers());
        }
        Ok(response.body(answer.bytes().await?)?)
    }
}

/// Starts the task that sends; it ends with the last of the queue.
pub(crate) fn start(
    endpoint: &Url,
    resource: &Resource,
    counts: Counts,
) -> Result<Queue, SetupError> {
    let client = reqwest::Client::builder()
        .timeout(TIMEOUT)
        .connect_timeout(TIMEOUT)
        .redirect(redirect::Policy::none())
        .build()?;
    let mut exporter = Otlp::builder()
        .with_http()
        .with_http_client(Client(client))
        .with_endpoint(endpoint.as_str())
        .build()?;
    exporter.set_resource(resource);
    let (items, waiting) = mpsc::channel(QUEUE);
    tokio::spawn(send(waiting, exporter, counts.clone()));
    Ok(Queue { items, counts })
}

async fn send(mut waiting: mpsc::Receiver<Item>, exporter: Otlp, counts: Counts) {
    let mut complained: Option<Instant> = None;
    while let Some(first) = waiting.recv().await {
        let (batch, flushes) = gather(first, &mut waiting).await;
        let many = u64::try_from(batch.len()).unwrap_or(u64::MAX);
        if many > 0 {
            match time::timeout(TIMEOUT, exporter.export(batch)).await {
                Ok(Ok(())) => {
                    counts.exported.inc_by(many);
                }
                failed => {
                    counts.failed.inc_by(many);
                    if complained.is_none_or(|last| last.elapsed() >= COMPLAIN) {
                        complained = Some(Instant::now());
                        let why = failed.map_or_else(
                            |_| "it did not answer in time".to_owned(),
                            |failed| failed.err().map_or_else(String::new, |why| why.to_string()),
                        );
                        tracing::warn!(
                            spans = many,
                            why,
                            "the collector of traces did not take spans; they are lost"
                        );
                    }
                }
            }
        }
        for flush in flushes {
            let _ = flush.send(());
        }
    }
}

/// A batch: as many as fit, or as come in a while, or as there are before somebody wants them sent.
async fn gather(
    first: Item,
    waiting: &mut mpsc::Receiver<Item>,
) -> (Vec<SpanData>, Vec<oneshot::Sender<()>>) {
    let until = Instant::now() + PAUSE;
    let (mut batch, mut flushes) = (Vec::new(), Vec::new());
    let mut next = Some(first);
    while let Some(item) = next {
        match item {
            Item::Span(span) => batch.push(*span),
            Item::Flush(tell) => flushes.push(tell),
        }
        if batch.len() >= BATCH || !flushes.is_empty() {
            break;
        }
        next = time::timeout_at(until, waiting.recv()).await.ok().flatten();
    }
    (batch, flushes)
}
