//! HTTP or HTTPS, and what a connection may take before anybody knows whose it is.
//!
//! ```txt
//! TCP ──▶ [TLS 1.2 or 1.3, at most 10 s] ──▶ its first request, at most 10 s ──▶ api
//!                                                └─ each later one, at most 120 s after the answer before
//! ```
//!
//! Callers keep connections open between requests. One that they use again must not be closed under a request
//! that moves money, so the gateway waits longer than HTTP clients usually do (60 to 90 s): they close first.
//!
//! The certificate's files are read every minute, and a new certificate is taken up, so it is renewed
//! without a stop; one that cannot be used is reported and the one before stays. Limits of bodies and of
//! whole requests are the API's.

use crate::config::TlsConfig;
use axum::Router;
use axum_server::accept::NoDelayAcceptor;
use axum_server::tls_rustls::{RustlsAcceptor, RustlsConfig};
use axum_server::{Handle, Server};
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;
use thiserror::Error;
use tokio::task::JoinHandle;
use tokio::{fs, time};

/// Between two looks at the certificate.
const RENEWAL: Duration = Duration::from_secs(60);

/// How long a connection may take.
#[derive(Clone, Copy, Debug)]
struct Patience {
    /// For the TLS handshake, and then for the first request's headers.
    first: Duration,
    /// For each later request's headers, from the answer before on: also how long it may be idle.
    later: Duration,
}

const PATIENCE: Patience = Patience {
    first: Duration::from_secs(10),
    later: Duration::from_secs(120),
};

/// Why HTTPS cannot be offered.
#[derive(Debug, Error)]
#[error(
    "HTTPS cannot be offered with the certificate {certificate} and the key {key} ({source}); both must be PEM files that belong together"
)]
pub struct TlsError {
    certificate: String,
    key: String,
    source: io::Error,
}

/// Serves until it is told to stop.
#[derive(Debug)]
pub struct Listening {
    /// `http` or `https`.
    pub scheme: &'static str,
    handle: Handle<SocketAddr>,
    serving: JoinHandle<io::Result<()>>,
    renewing: Option<JoinHandle<()>>,
}

impl Listening {
    /// Serves `app` from now on.
    pub async fn start(
        listener: TcpListener,
        tls: Option<TlsConfig>,
        app: Router,
    ) -> Result<Self, TlsError> {
        let handle = Handle::new();
        let Some(files) = tls else {
            let serving = plain(listener, app, handle.clone(), PATIENCE);
            return Ok(Self {
                scheme: "http",
                serving: tokio::spawn(serving),
                handle,
                renewing: None,
            });
        };
        let certificate = Certificate::read(files).await?;
        let serving = secured(listener, certificate.config.clone(), app, handle.clone());
        Ok(Self {
            scheme: "https",
            serving: tokio::spawn(serving),
            handle,
            renewing: Some(tokio::spawn(certificate.keep())),
        })
    }

    /// Takes no new connections, and ends when those that are there are done.
    pub fn stop(&self) {
        self.handle.graceful_shutdown(None);
    }

    /// Waits for the end until a moment; then what is left is cut off.
    pub async fn ended(self, until: time::Instant) -> io::Result<()> {
        if let Some(renewing) = self.renewing {
            renewing.abort();
        }
        let mut serving = self.serving;
        let served = match time::timeout_at(until, &mut serving).await {
            Ok(served) => served,
            Err(_) => {
                self.handle.shutdown();
                serving.await
            }
        };
        served.map_err(io::Error::other)?
    }
}

async fn plain(
    listener: TcpListener,
    app: Router,
    handle: Handle<SocketAddr>,
    patience: Patience,
) -> io::Result<()> {
    // Answers are small, and whoever waits for one sends nothing meanwhile.
    let server = axum_server::from_tcp(listener)?.acceptor(NoDelayAcceptor::new());
    let app = app.into_make_service_with_connect_info::<SocketAddr>();
    patient(server, patience).handle(handle).serve(app).await
}

async fn secured(
    listener: TcpListener,
    config: RustlsConfig,
    app: Router,
    handle: Handle<SocketAddr>,
) -> io::Result<()> {
    let acceptor = RustlsAcceptor::new(config)
        .handshake_timeout(PATIENCE.first)
        .acceptor(NoDelayAcceptor::new());
    let server = axum_server::from_tcp(listener)?.acceptor(acceptor);
    let app = app.into_make_service_with_connect_info::<SocketAddr>();
    patient(server, PATIENCE).handle(handle).serve(app).await
}

fn patient<A>(mut server: Server<SocketAddr, A>, patience: Patience) -> Server<SocketAddr, A> {
    // hyper counts from the answer before, not from the first byte.
    server
        .http_builder()
        .http1()
        .header_read_timeout(Some(patience.later));
    server.first_request_timeout(patience.first)
}

/// What is shown to who connects, and the files that it came from.
struct Certificate {
    files: TlsConfig,
    config: RustlsConfig,
    /// What the files held.
    pems: [Vec<u8>; 2],
}

impl Certificate {
    async fn read(files: TlsConfig) -> Result<Self, TlsError> {
        let read = async {
            let pems = pems(&files).await?;
            let [certificate, key] = pems.clone();
            let config = RustlsConfig::from_pem(certificate, key).await?;
            Ok((pems, config))
        };
        match read.await {
            Ok((pems, config)) => Ok(Self {
                files,
                config,
                pems,
            }),
            Err(source) => Err(unusable(&files, source)),
        }
    }

    /// Looks whether the files hold another certificate, and takes it up; whether they did.
    async fn look(&mut self) -> Result<bool, TlsError> {
        let read = async {
            let pems = pems(&self.files).await?;
            if pems == self.pems {
                return Ok(None);
            }
            let [certificate, key] = pems.clone();
            self.config.reload_from_pem(certificate, key).await?;
            Ok(Some(pems))
        };
        let renewed = read.await.map_err(|source| unusable(&self.files, source))?;
        let is_new = renewed.is_some();
        if let Some(pems) = renewed {
            self.pems = pems;
        }
        Ok(is_new)
    }

    async fn keep(mut self) {
        loop {
            time::sleep(RENEWAL).await;
            match self.look().await {
                Ok(false) => {}
                Ok(true) => {
                    let certificate = self.files.certificate.display();
                    tracing::info!(%certificate, "the certificate is renewed");
                }
                // Half of a new pair, perhaps: the other file may follow.
                Err(error) => tracing::warn!(%error, "the certificate before stays in use"),
            }
        }
    }
}

async fn pems(files: &TlsConfig) -> io::Result<[Vec<u8>; 2]> {
    Ok([
        fs::read(&files.certificate).await?,
        fs::read(&files.key).await?,
    ])
}

fn unusable(files: &TlsConfig, source: io::Error) -> TlsError {
    TlsError {
        certificate: files.certificate.display().to_string(),
        key: files.key.display().to_string(),
        source,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use axum::routing::get;
    use reqwest::Client;
    use std::io::{Read as _, Write as _};
    use std::net::TcpStream;
    use tempfile::TempDir;

    /// Writes a certificate for the loopback where `files` says; gives it as who trusts it has it.
    fn certify(files: &TlsConfig) -> reqwest::Certificate {
        let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
        std::fs::write(&files.certificate, made.cert.pem()).unwrap();
        std::fs::write(&files.key, made.signing_key.serialize_pem()).unwrap();
        reqwest::Certificate::from_pem(made.cert.pem().as_bytes()).unwrap()
    }

    fn files(directory: &TempDir) -> TlsConfig {
        TlsConfig {
            certificate: directory.path().join("certificate.pem"),
            key: directory.path().join("key.pem"),
        }
    }

    fn app() -> Router {
        Router::new().route("/", get(async || "here"))
    }

    fn bind() -> (TcpListener, SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        (listener, address)
    }

    async fn ask(address: SocketAddr, trusted: &reqwest::Certificate) -> reqwest::Result<String> {
        let client = Client::builder().tls_certs_only([trusted.clone()]);
        let url = format!("https://{address}/");
        client.build()?.get(url).send().await?.text().await
    }

    #[tokio::test]
    async fn https_is_served_and_nothing_else() {
        let directory = tempfile::tempdir().unwrap();
        let files = files(&directory);
        let trusted = certify(&files);
        let (listener, address) = bind();
        let served = Listening::start(listener, Some(files), app()).await;
        let served = served.unwrap();
        assert_eq!(served.scheme, "https");
        assert_eq!(ask(address, &trusted).await.unwrap(), "here");
        let plain = reqwest::get(format!("http://{address}/")).await;
        assert!(plain.is_err(), "HTTP where HTTPS was promised");
        served.stop();
        let until = time::Instant::now() + PATIENCE.first;
        served.ended(until).await.unwrap();
        assert!(ask(address, &trusted).await.is_err(), "it goes on");
    }

    #[tokio::test]
    async fn a_renewed_certificate_is_taken_up_and_a_broken_one_is_not() {
        let directory = tempfile::tempdir().unwrap();
        let files = files(&directory);
        let first = certify(&files);
        let mut certificate = Certificate::read(files.clone()).await.unwrap();
        let (listener, address) = bind();
        let config = certificate.config.clone();
        let handle = Handle::new();
        let serving = tokio::spawn(secured(listener, config, app(), handle.clone()));
        assert!(!certificate.look().await.unwrap(), "nothing is new");
        std::fs::write(&files.key, "no key").unwrap();
        assert!(certificate.look().await.is_err());
        assert_eq!(ask(address, &first).await.unwrap(), "here");
        let second = certify(&files);
        assert!(certificate.look().await.unwrap());
        assert_eq!(ask(address, &second).await.unwrap(), "here");
        assert!(ask(address, &first).await.is_err(), "the old one is gone");
        handle.shutdown();
        serving.await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn a_pair_that_does_not_belong_together_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let (files, other) = (files(&directory), tempfile::tempdir().unwrap());
        let other = self::files(&other);
        certify(&files);
        certify(&other);
        std::fs::copy(&other.key, &files.key).unwrap();
        let (listener, _) = bind();
        let refused = Listening::start(listener, Some(files), app()).await;
        let said = refused.unwrap_err().to_string();
        assert!(said.contains("belong together"), "{said}");
    }

    /// A whole request on a connection that stays open, and its answer.
    fn converse(stream: &mut TcpStream) -> String {
        stream
            .write_all(b"GET / HTTP/1.1\r\nhost: here\r\n\r\n")
            .unwrap();
        let mut answer = [0u8; 1024];
        let length = stream.read(&mut answer).unwrap();
        String::from_utf8_lossy(&answer[..length]).into_owned()
    }

    #[test]
    fn who_sends_nothing_is_cut_off_and_a_connection_in_use_may_rest() {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let (listener, address) = bind();
        let patience = Patience {
            first: Duration::from_millis(300),
            later: Duration::from_secs(3),
        };
        let handle = Handle::new();
        let serving = runtime.spawn(plain(listener, app(), handle.clone(), patience));
        let connect = || {
            let stream = TcpStream::connect(address).unwrap();
            stream.set_read_timeout(Some(PATIENCE.later)).unwrap();
            stream
        };
        let (mut used, mut silent, mut slow) = (connect(), connect(), connect());
        assert!(converse(&mut used).starts_with("HTTP/1.1 200"));
        slow.write_all(b"GET / HTTP/1.1\r\nhost: here\r\n").unwrap();
        // Both end without an answer. By then the third has rested for longer than they were given.
        for stream in [&mut silent, &mut slow] {
            assert_eq!(stream.read_to_end(&mut Vec::new()).unwrap(), 0);
        }
        assert!(converse(&mut used).starts_with("HTTP/1.1 200"));
        // Not for ever.
        used.read_to_end(&mut Vec::new()).unwrap();
        handle.shutdown();
        runtime.block_on(serving).unwrap().unwrap();
    }
}
