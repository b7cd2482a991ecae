//! Stands between the gateway and the sandbox airline, so that calls pass the gate and can be
//! answered wrongly.

use super::gate::{Gate, Pass};
use axum::Router;
use axum::body::{Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use std::sync::{Arc, Mutex};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// What goes wrong with calls whose path starts with `path` and whose method is `method`.
struct Fault {
    method: &'static str,
    path: &'static str,
    times: u32,
    what: Wrong,
}

#[derive(Clone, Debug)]
pub enum Wrong {
    /// Answer this without asking the airline.
    Instead(u16, &'static str),
    /// Ask the airline, then answer this.
    After(u16, &'static str),
    /// Ask the airline, then replace this by that in its answer.
    Replace(&'static str, &'static str),
}

struct Shared {
    upstream: String,
    client: reqwest::Client,
    gate: Arc<Gate>,
    faults: Arc<Mutex<Vec<Fault>>>,
    seen: Arc<Mutex<Vec<String>>>,
    parents: Arc<Mutex<Vec<(String, String)>>>,
}

pub struct Proxy {
    pub url: String,
    faults: Arc<Mutex<Vec<Fault>>>,
    seen: Arc<Mutex<Vec<String>>>,
    parents: Arc<Mutex<Vec<(String, String)>>>,
    server: JoinHandle<()>,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Proxy {
    pub async fn start(upstream: String, gate: Arc<Gate>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (faults, seen, parents) = (Arc::default(), Arc::default(), Arc::default());
        let shared = Arc::new(Shared {
            upstream,
            client: reqwest::Client::new(),
            gate,
            faults: Arc::clone(&faults),
            seen: Arc::clone(&seen),
            parents: Arc::clone(&parents),
        });
        let app = Router::new().fallback(forward).with_state(shared);
        let server = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self {
            url,
            faults,
            seen,
            parents,
            server,
        }
    }

    pub fn fault(&self, method: &'static str, path: &'static str, times: u32, what: Wrong) {
        self.faults.lock().unwrap().push(Fault {
            method,
            path,
            times,
            what,
        });
    }

    /// Nothing goes wrong any more.
    pub fn forgive(&self) {
        self.faults.lock().unwrap().clear();
    }

    /// The `traceparent` of each call that starts so, empty if it had none.
    pub fn parents(&self, start: &str) -> Vec<String> {
        let parents = self.parents.lock().unwrap();
        let found = parents.iter().filter(|(call, _)| call.starts_with(start));
        found.map(|(_, parent)| parent.clone()).collect()
    }

    pub fn count(&self, start: &str) -> usize {
        self.seen
            .lock()
            .unwrap()
            .iter()
            .filter(|call| call.starts_with(start))
            .count()
    }
}

async fn forward(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let path = parts.uri.path().to_owned();
    let method = parts.method.as_str().to_owned();
    let call = format!("{method} {path}");
    let parent = parts.headers.get("traceparent");
    let parent = parent.map_or("", |parent| parent.to_str().unwrap());
    let noted = (call.clone(), parent.to_owned());
    shared.parents.lock().unwrap().push(noted);
    shared.seen.lock().unwrap().push(call);
    let fault = {
        let mut faults = shared.faults.lock().unwrap();
        let found = faults.iter_mut().find(|fault| {
            fault.times > 0 && fault.method == method && path.starts_with(fault.path)
        });
        found.map(|fault| {
            fault.times -= 1;
            fault.what.clone()
        })
    };
    let pass = shared.gate.arrive().await;
    let say = |status: u16, body: &'static str| {
        (StatusCode::from_u16(status).unwrap(), body).into_response()
    };
    if let Some(Wrong::Instead(status, body)) = fault {
        return say(status, body);
    }
    let body: Bytes = to_bytes(body, 1 << 20).await.unwrap();
    let mut headers = parts.headers;
    headers.remove("host");
    let answer = shared
        .client
        .request(parts.method, format!("{}{path}", shared.upstream))
        .headers(headers)
        .body(body)
        .send()
        .await;
    if pass == Pass::DieAfter {
        shared.gate.die().await;
    }
    if let Some(Wrong::After(status, body)) = fault {
        return say(status, body);
    }
    match answer {
        Ok(answer) => {
            let status = answer.status();
            let mut body = answer.text().await.unwrap();
            if let Some(Wrong::Replace(this, that)) = fault {
                body = body.replace(this, that);
            }
            (status, [("content-type", "application/json")], body).into_response()
        }
        Err(_) => StatusCode::BAD_GATEWAY.into_response(),
    }
}
