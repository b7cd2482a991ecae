//! Several JSON-RPC endpoints of one chain as one.
//!
//! ```txt
//! a call  ->  the first endpoint that is well and not behind
//!               answers (an error of the node is an answer)      ->  that is it
//!               does not, or says that it is asked too much      ->  it rests; the next one is asked
//! a number that matters  ->  all endpoints; the greatest that `quorum` of them have reached
//! ```
//!
//! An endpoint that fails rests, each time twice as long, up to a minute, and by a random part less,
//! so that it is not asked by everybody at once when it comes back. If all rest, all are asked.
//! One that is more than [`MOST_BEHIND`] blocks behind the furthest comes after those that are not.
//!
//! Who is asked first is the first in the list, until it is caught at an answer that cannot be right
//! or that a chain refuses: then the next one is ([`Pool::doubt`]). With a `quorum` above one, no
//! single endpoint is trusted to show its lies: then the turn also passes every [`TURN_MS`], so that
//! one that only hides things holds up nothing for longer.
//!
//! Limits: a call ends within [`TIMEOUT`] at each endpoint; an answer has at most [`MAX_BODY`] bytes,
//! and more of it is not read.

use crate::clock::{Clock, back_off_ms};
use alloy::{
    providers::{DynProvider, Provider as _, ProviderBuilder},
    rpc::{
        client::RpcClient,
        json_rpc::{RequestPacket, ResponsePacket},
    },
    transports::{TransportError, TransportErrorKind, TransportFut},
};
use futures::future::join_all;
use mileverse_wallet::rpc::{Chain, Endpoint, RpcError, TIMEOUT};
use std::{
    future::Future,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
};
use tower::Service;
use url::Url;

/// Longest answer that is read.
pub const MAX_BODY: usize = 32 * 1024 * 1024;
/// Blocks that an endpoint may be behind the furthest.
pub const MOST_BEHIND: u64 = 10;
/// How long one endpoint is the first that is asked, where several must agree.
pub const TURN_MS: u64 = 5_000;
/// Most endpoints of one chain.
pub const MAX_ENDPOINTS: usize = 16;
const FIRST_REST_MS: u64 = 500;
const LONGEST_REST_MS: u64 = 60_000;
/// "Limit exceeded" (EIP-1474).
const LIMIT_EXCEEDED: i64 = -32_005;

/// One endpoint, and how it is.
struct Member {
    url: Url,
    client: reqwest::Client,
    condition: Mutex<Condition>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Condition {
    /// Failures since the last answer.
    failures: u32,
    /// Failures in all.
    failed: u64,
    rest_until_ms: u64,
    height: u64,
}

/// How one endpoint is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct EndpointHealth {
    /// Its URL, without what may be secret in it.
    pub url: String,
    /// Whether it answers and is not behind.
    pub up: bool,
    /// Its newest block, when it was last asked.
    pub height: u64,
    /// Calls that it did not answer as it should, so far.
    pub failed: u64,
}

/// The endpoints of one chain.
#[derive(Clone)]
pub struct Pool {
    chain: Chain,
    members: Arc<[Arc<Member>]>,
    all: Endpoint,
    each: Vec<Endpoint>,
    quorum: usize,
    doubts: Arc<AtomicUsize>,
    clock: Clock,
}

impl Pool {
    /// Prepares; nothing is sent yet. `quorum` is brought between 1 and the number of endpoints.
    pub fn new(chain: Chain, urls: &[String], quorum: usize) -> Result<Self, RpcError> {
        let clock = Clock::system();
        let mut members = Vec::with_capacity(urls.len());
        for url in urls {
            let bad = || RpcError::Url {
                chain,
                url: url.clone(),
            };
            let parsed: Url = url.parse().map_err(|_| bad())?;
            if !matches!(parsed.scheme(), "http" | "https") || parsed.host().is_none() {
                return Err(bad());
            }
            let client = reqwest::Client::builder()
                .timeout(TIMEOUT)
                .build()
                .map_err(|_| bad())?;
            members.push(Arc::new(Member {
                url: parsed,
                client,
                condition: Mutex::default(),
            }));
        }
        let members: Arc<[Arc<Member>]> = members.into();
        let first = members.first().ok_or_else(|| RpcError::Url {
            chain,
            url: String::new(),
        })?;
        let quorum = quorum.clamp(1, members.len());
        let doubts = Arc::new(AtomicUsize::new(0));
        let endpoint = |members: Arc<[Arc<Member>]>, url: String| {
            let line = Line {
                quorum,
                doubts: Arc::clone(&doubts),
                members,
                clock: clock.clone(),
            };
            Endpoint::over(chain, url, provider(line))
        };
        let each = members
            .iter()
            .map(|member| endpoint([Arc::clone(member)].into(), member.name()))
            .collect();
        Ok(Self {
            chain,
            all: endpoint(Arc::clone(&members), first.name()),
            each,
            quorum,
            doubts,
            members,
            clock,
        })
    }

    /// The chain that they serve.
    pub const fn chain(&self) -> Chain {
        self.chain
    }

    /// All of them as one.
    pub const fn endpoint(&self) -> &Endpoint {
        &self.all
    }

    /// An answer could not be right, or a chain refused what was built on it: another endpoint is
    /// asked first from now on.
    pub fn doubt(&self) {
        self.doubts.fetch_add(1, Ordering::Relaxed);
    }

    /// The greatest number that as many endpoints have reached as must agree.
    pub async fn reached<F>(&self, ask: impl Fn(Endpoint) -> F) -> Result<u64, RpcError>
    where
        F: Future<Output = Result<u64, RpcError>>,
    {
        if self.quorum == 1 {
            return ask(self.all.clone()).await;
        }
        let mut numbers = self.answers(ask).await?;
        numbers.sort_unstable_by(|a, b| b.cmp(a));
        let place = self.quorum.saturating_sub(1);
        Ok(numbers.get(place).copied().unwrap_or(0))
    }

    /// The answers to so many questions: to each the one on which as many endpoints agree as must;
    /// else `otherwise`.
    pub async fn agreed_each<T: PartialEq + Copy, F>(
        &self,
        questions: usize,
        otherwise: T,
        ask: impl Fn(Endpoint) -> F,
    ) -> Result<Vec<T>, RpcError>
    where
        F: Future<Output = Result<Vec<T>, RpcError>>,
    {
        if self.quorum == 1 {
            return ask(self.all.clone()).await;
        }
        let answers = self.answers(ask).await?;
        let agreed = (0..questions).map(|place| {
            let told: Vec<_> = answers.iter().filter_map(|all| all.get(place)).collect();
            told.iter()
                .find(|one| told.iter().filter(|other| other == one).count() >= self.quorum)
                .map_or(otherwise, |agreed| **agreed)
        });
        Ok(agreed.collect())
    }

    /// What all endpoints answer that answer; an error if too few do.
    async fn answers<T, F>(&self, ask: impl Fn(Endpoint) -> F) -> Result<Vec<T>, RpcError>
    where
        F: Future<Output = Result<T, RpcError>>,
    {
        let mut answers = Vec::with_capacity(self.each.len());
        let mut fault = None;
        for answer in join_all(self.each.iter().cloned().map(ask)).await {
            match answer {
                Ok(answer) => answers.push(answer),
                Err(error) => fault = Some(error),
            }
        }
        match fault {
            Some(error) if answers.len() < self.quorum => Err(error),
            _ => Ok(answers),
        }
    }

    /// Asks every endpoint for its newest block, also those that rest.
    pub async fn probe(&self) {
        let asked = self.each.iter().map(|endpoint| async {
            let height = endpoint.provider().get_block_number();
            tokio::time::timeout(TIMEOUT, height).await
        });
        for (member, answer) in self.members.iter().zip(join_all(asked).await) {
            if let Ok(Ok(height)) = answer {
                member.with(|condition| condition.height = height);
            }
        }
    }

    /// How each of them is.
    pub fn health(&self) -> Vec<EndpointHealth> {
        let now = self.clock.now_ms();
        let best = furthest(&self.members, self.quorum);
        self.members
            .iter()
            .map(|member| {
                let condition = member.with(|condition| *condition);
                EndpointHealth {
                    url: member.name(),
                    up: condition.failures == 0 && !condition.is_behind(now, best),
                    height: condition.height,
                    failed: condition.failed,
                }
            })
            .collect()
    }
}

impl std::fmt::Debug for Pool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pool")
            .field("chain", &self.chain)
            .field("endpoints", &self.health())
            .finish()
    }
}

/// The greatest height that as many of them have reached as must agree, so that one that boasts does
/// not make the others look behind.
fn furthest(members: &[Arc<Member>], quorum: usize) -> u64 {
    let mut heights: Vec<_> = members
        .iter()
        .map(|member| member.with(|condition| condition.height))
        .collect();
    heights.sort_unstable_by(|a, b| b.cmp(a));
    heights.get(quorum.saturating_sub(1)).copied().unwrap_or(0)
}

fn provider(line: Line) -> DynProvider {
    ProviderBuilder::new()
        .disable_recommended_fillers()
        .connect_client(RpcClient::new(line, false))
        .erased()
}

impl Condition {
    const fn is_behind(&self, now_ms: u64, best: u64) -> bool {
        self.rest_until_ms > now_ms || self.height.saturating_add(MOST_BEHIND) < best
    }
}

impl Member {
    fn with<T>(&self, work: impl FnOnce(&mut Condition) -> T) -> T {
        work(
            &mut self
                .condition
                .lock()
                .unwrap_or_else(PoisonError::into_inner),
        )
    }

    /// Scheme, host and port: a path or a user name may hold somebody's key.
    fn name(&self) -> String {
        self.url.origin().ascii_serialization()
    }

    fn succeeded(&self) {
        self.with(|condition| {
            condition.failures = 0;
            condition.rest_until_ms = 0;
        });
    }

    fn failed(&self, now_ms: u64) {
        self.with(|condition| {
            let rest = back_off_ms(
                condition.failures,
                FIRST_REST_MS,
                LONGEST_REST_MS,
                now_ms.wrapping_add(condition.failed),
            );
            condition.failures = condition.failures.saturating_add(1);
            condition.failed = condition.failed.saturating_add(1);
            condition.rest_until_ms = now_ms.saturating_add(rest);
        });
    }

    async fn ask(&self, request: &RequestPacket) -> Result<ResponsePacket, TransportError> {
        let mut answer = self
            .client
            .post(self.url.clone())
            .json(request)
            .send()
            .await
            .map_err(plain)?;
        let status = answer.status();
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(plain)? {
            if body.len().saturating_add(chunk.len()) > MAX_BODY {
                let what = format!("an answer of more than {MAX_BODY} bytes");
                return Err(TransportErrorKind::custom_str(&what));
            }
            body.extend_from_slice(&chunk);
        }
        // Some nodes send their errors with a status of failure; the error is what counts.
        serde_json::from_slice(&body).map_err(|_| {
            let what = if status.is_success() {
                "an answer that is no JSON-RPC".to_owned()
            } else {
                format!("status {status}")
            };
            TransportErrorKind::custom_str(&what)
        })
    }
}

/// Without the URL, which may hold somebody's key.
fn plain(error: reqwest::Error) -> TransportError {
    TransportErrorKind::custom(error.without_url())
}

/// Some endpoints as a transport.
#[derive(Clone)]
struct Line {
    members: Arc<[Arc<Member>]>,
    /// Above one, the turn passes by itself.
    quorum: usize,
    doubts: Arc<AtomicUsize>,
    clock: Clock,
}

impl Line {
    /// The best first.
    fn order(&self) -> Vec<Arc<Member>> {
        let now = self.clock.now_ms();
        let best = furthest(&self.members, self.quorum);
        let turn = if self.quorum > 1 { now / TURN_MS } else { 0 };
        let turn = usize::try_from(turn).unwrap_or(0);
        let first = turn.wrapping_add(self.doubts.load(Ordering::Relaxed));
        let mut order: Vec<_> = self.members.iter().cloned().collect();
        let places = order.len().max(1);
        order.rotate_left(first % places);
        order.sort_by_key(|member| member.with(|condition| condition.is_behind(now, best)));
        order
    }

    async fn ask(self, request: RequestPacket) -> Result<ResponsePacket, TransportError> {
        let mut last = TransportErrorKind::custom_str("no endpoint");
        for member in self.order() {
            match member.ask(&request).await {
                Ok(answer) if !is_too_much(&answer) => {
                    member.succeeded();
                    return Ok(answer);
                }
                Ok(_) => last = TransportErrorKind::custom_str("it is asked too much"),
                Err(error) => last = error,
            }
            member.failed(self.clock.now_ms());
        }
        Err(last)
    }
}

fn is_too_much(answer: &ResponsePacket) -> bool {
    answer
        .iter_errors()
        .any(|error| error.code == LIMIT_EXCEEDED)
}

impl Service<RequestPacket> for Line {
    type Response = ResponsePacket;
    type Error = TransportError;
    type Future = TransportFut<'static>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: RequestPacket) -> Self::Future {
        Box::pin(self.clone().ask(request))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use wiremock::{Mock, MockServer, Request, ResponseTemplate, matchers::any};

    /// A node that answers every call with this number.
    async fn node(number: u64) -> MockServer {
        let server = MockServer::start().await;
        Mock::given(any())
            .respond_with(move |request: &Request| {
                let asked: serde_json::Value = request.body_json().unwrap();
                ResponseTemplate::new(200).set_body_json(serde_json::json!({
                    "jsonrpc": "2.0", "id": asked["id"], "result": format!("{number:#x}"),
                }))
            })
            .mount(&server)
            .await;
        server
    }

    /// A node that is ill in this way.
    async fn ill(answer: ResponseTemplate) -> MockServer {
        let server = MockServer::start().await;
        Mock::given(any()).respond_with(answer).mount(&server).await;
        server
    }

    fn pool(quorum: usize, servers: &[&MockServer]) -> Pool {
        let urls: Vec<_> = servers.iter().map(|server| server.uri()).collect();
        Pool::new(Chain::Ethereum, &urls, quorum).unwrap()
    }

    async fn height(endpoint: Endpoint) -> Result<u64, RpcError> {
        let asked = endpoint.provider().get_block_number().await;
        asked.map_err(|fault| endpoint.fault(fault))
    }

    #[tokio::test]
    async fn who_is_ill_is_passed_by_and_rests() {
        let too_much = serde_json::json!({
            "jsonrpc": "2.0", "id": 0, "error": { "code": LIMIT_EXCEEDED, "message": "slow down" },
        });
        for answer in [
            ResponseTemplate::new(503),
            ResponseTemplate::new(200).set_body_string("<html>"),
            ResponseTemplate::new(200).set_body_json(too_much),
        ] {
            let (bad, good) = (ill(answer).await, node(7).await);
            let pool = pool(1, &[&bad, &good]);
            assert_eq!(height(pool.endpoint().clone()).await.unwrap(), 7);
            let health = pool.health();
            assert_eq!((health[0].up, health[0].failed), (false, 1));
            assert!(health[1].up);
        }
    }

    #[tokio::test]
    async fn a_node_that_refuses_has_answered() {
        let refusal = serde_json::json!({
            "jsonrpc": "2.0", "id": 0, "error": { "code": -32000, "message": "no" },
        });
        let (first, second) = (
            ill(ResponseTemplate::new(200).set_body_json(refusal)).await,
            node(7).await,
        );
        let pool = pool(1, &[&first, &second]);
        let error = height(pool.endpoint().clone()).await.unwrap_err();
        assert!(matches!(error, RpcError::Refused { .. }), "{error}");
        assert!(second.received_requests().await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn who_is_behind_is_asked_last() {
        let (behind, ahead) = (node(5).await, node(5 + MOST_BEHIND + 1).await);
        let pool = pool(1, &[&behind, &ahead]);
        pool.probe().await;
        assert_eq!(height(pool.endpoint().clone()).await.unwrap(), 16);
        assert!(!pool.health()[0].up);
    }

    #[tokio::test]
    async fn one_liar_or_one_dead_moves_no_number() {
        let (liar, honest, slow) = (node(1_000).await, node(20).await, node(18).await);
        let dead = ill(ResponseTemplate::new(500)).await;
        let reached = pool(2, &[&liar, &honest, &slow]).reached(height).await;
        assert_eq!(reached.unwrap(), 20, "two have reached it");
        let reached = pool(2, &[&dead, &honest, &slow]).reached(height).await;
        assert_eq!(reached.unwrap(), 18);
        let reached = pool(3, &[&dead, &honest, &slow]).reached(height).await;
        assert!(matches!(reached, Err(RpcError::Unreachable { .. })));
        let both = |endpoint: Endpoint| async move {
            let number = height(endpoint).await?;
            Ok(vec![number, number / 500])
        };
        let three = pool(2, &[&liar, &honest, &slow]);
        let agreed = three.agreed_each(2, 7, both).await;
        assert_eq!(agreed.unwrap(), [7, 0], "no two say the same of the first");
        let same = node(20).await;
        let three = pool(2, &[&liar, &honest, &same]);
        assert_eq!(three.agreed_each(2, 7, both).await.unwrap(), [20, 0]);
    }

    #[tokio::test]
    async fn who_boasts_does_not_make_the_others_look_behind() {
        let (liar, honest, same) = (node(1_000).await, node(20).await, node(20).await);
        let pool = pool(2, &[&liar, &honest, &same]);
        pool.probe().await;
        assert!(pool.health().iter().all(|endpoint| endpoint.up));
    }

    #[tokio::test]
    async fn who_is_doubted_is_asked_last() {
        let (first, second) = (node(1).await, node(2).await);
        let pool = pool(1, &[&first, &second]);
        let endpoint = pool.endpoint().clone();
        assert_eq!(height(endpoint.clone()).await.unwrap(), 1);
        pool.doubt();
        assert_eq!(height(endpoint.clone()).await.unwrap(), 2);
        pool.doubt();
        assert_eq!(height(endpoint).await.unwrap(), 1);
    }

    #[tokio::test]
    async fn an_endless_answer_is_not_read() {
        let body = vec![b' '; MAX_BODY + 1];
        let (long, good) = (
            ill(ResponseTemplate::new(200).set_body_bytes(body)).await,
            node(3).await,
        );
        let pool = pool(1, &[&long, &good]);
        assert_eq!(height(pool.endpoint().clone()).await.unwrap(), 3);
        assert_eq!(pool.health()[0].failed, 1);
    }
}
