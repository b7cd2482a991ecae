//! HTTP or HTTPS, and what a connection may take before anybody knows whose it is.
//!
//! ```txt
//! TCP ──▶ [TLS 1.2 or 1.3, at most 10 s] ──▶ its first request, at most 10 s ──▶ api
//!                                                └─ each later one's headers, at most 10 s
//! ```
//!
//! The certificate is looked at every minute and read again when it has changed, so it is renewed
//! without a stop; one that cannot be read is reported and the one before stays. Limits of bodies and
//! of whole requests are the API's.

use crate::config::TlsConfig;
use axum::Router;
use axum_server::accept::NoDelayAcceptor;
use axum_server::tls_rustls::{RustlsAcceptor, RustlsConfig};
use axum_server::{Handle, Server};
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::time::{Duration, SystemTime};
use thiserror::Error;
use tokio::task::JoinHandle;
use tokio::{fs, time};

/// Longest wait for a TLS handshake, and for the headers of a request.
const PATIENCE: Duration = Duration::from_secs(10);
/// Between two looks at the certificate.
const RENEWAL: Duration = Duration::from_secs(60);

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
            return Ok(Self {
                scheme: "http",
                serving: tokio::spawn(plain(listener, app, handle.clone())),
                handle,
                renewing: None,
            });
        };
        let config = read(&files).await?;
        Ok(Self {
            scheme: "https",
            serving: tokio::spawn(secured(listener, config.clone(), app, handle.clone())),
            handle,
            renewing: Some(tokio::spawn(renew(files, config, RENEWAL))),
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

async fn plain(listener: TcpListener, app: Router, handle: Handle<SocketAddr>) -> io::Result<()> {
    // Answers are small, and whoever waits for one sends nothing meanwhile.
    let server = axum_server::from_tcp(listener)?.acceptor(NoDelayAcceptor::new());
    let app = app.into_make_service_with_connect_info::<SocketAddr>();
    patient(server).handle(handle).serve(app).await
}

async fn secured(
    listener: TcpListener,
    config: RustlsConfig,
    app: Router,
    handle: Handle<SocketAddr>,
) -> io::Result<()> {
    let acceptor = RustlsAcceptor::new(config)
        .handshake_timeout(PATIENCE)
        .acceptor(NoDelayAcceptor::new());
    let server = axum_server::from_tcp(listener)?.acceptor(acceptor);
    let app = app.into_make_service_with_connect_info::<SocketAddr>();
    patient(server).handle(handle).serve(app).await
}

fn patient<A>(mut server: Server<SocketAddr, A>) -> Server<SocketAddr, A> {
    server
        .http_builder()
        .http1()
        .header_read_timeout(Some(PATIENCE));
    server.first_request_timeout(PATIENCE)
}

async fn read(files: &TlsConfig) -> Result<RustlsConfig, TlsError> {
    let read = RustlsConfig::from_pem_file(&files.certificate, &files.key).await;
    read.map_err(|source| TlsError {
        certificate: files.certificate.display().to_string(),
        key: files.key.display().to_string(),
        source,
    })
}

/// When the two files were last written.
async fn written(files: &TlsConfig) -> io::Result<[SystemTime; 2]> {
    Ok([
        fs::metadata(&files.certificate).await?.modified()?,
        fs::metadata(&files.key).await?.modified()?,
    ])
}

/// Reads the files again whenever they were written.
async fn renew(files: TlsConfig, config: RustlsConfig, every: Duration) {
    let mut known = written(&files).await.ok();
    loop {
        time::sleep(every).await;
        let now = written(&files).await.ok();
        if now == known || now.is_none() {
            continue;
        }
        match read(&files).await {
            Ok(renewed) => {
                config.reload_from_config(renewed.get_inner());
                tracing::info!(certificate = %files.certificate.display(), "the certificate is renewed");
                known = now;
            }
            // Half of a new pair, perhaps: the other file may follow.
            Err(error) => tracing::warn!(%error, "the certificate before stays in use"),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use axum::routing::get;
    use reqwest::{Certificate, Client};
    use std::io::{Read as _, Write as _};
    use std::net::TcpStream;
    use tempfile::TempDir;

    /// A certificate for the loopback, written where `files` says; gives it back.
    fn certify(files: &TlsConfig) -> Certificate {
        let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
        std::fs::write(&files.certificate, made.cert.pem()).unwrap();
        std::fs::write(&files.key, made.signing_key.serialize_pem()).unwrap();
        Certificate::from_pem(made.cert.pem().as_bytes()).unwrap()
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

    async fn ask(address: SocketAddr, trusted: &Certificate) -> reqwest::Result<String> {
        let client = Client::builder().tls_certs_only([trusted.clone()]);
        let url = format!("https://{address}/");
        client.build()?.get(url).send().await?.text().await
    }

    #[tokio::test]
    async fn https_is_served_and_a_renewed_certificate_is_taken_up() {
        let directory = tempfile::tempdir().unwrap();
        let files = files(&directory);
        let first = certify(&files);
        let (listener, address) = bind();
        let served = Listening::start(listener, Some(files.clone()), app()).await;
        let served = served.unwrap();
        assert_eq!(served.scheme, "https");
        assert_eq!(ask(address, &first).await.unwrap(), "here");
        let plain = reqwest::get(format!("http://{address}/")).await;
        assert!(plain.is_err(), "HTTP where HTTPS was promised");
        served.stop();
        served.ended(time::Instant::now() + PATIENCE).await.unwrap();

        // The same with a shorter pause between looks.
        let (listener, address) = bind();
        let config = read(&files).await.unwrap();
        let handle = Handle::new();
        let serving = tokio::spawn(secured(listener, config.clone(), app(), handle.clone()));
        let renewing = tokio::spawn(renew(files.clone(), config, Duration::from_millis(20)));
        assert_eq!(ask(address, &first).await.unwrap(), "here");
        // What cannot be read changes nothing.
        std::fs::write(&files.key, "no key").unwrap();
        time::sleep(Duration::from_millis(100)).await;
        assert_eq!(ask(address, &first).await.unwrap(), "here");
        let second = certify(&files);
        while ask(address, &second).await.is_err() {
            time::sleep(Duration::from_millis(20)).await;
        }
        assert!(ask(address, &first).await.is_err(), "the old one is gone");
        renewing.abort();
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

    #[test]
    fn who_sends_nothing_is_cut_off() {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let (listener, address) = bind();
        let served = runtime.block_on(Listening::start(listener, None, app()));
        let served = served.unwrap();
        let mut silent = TcpStream::connect(address).unwrap();
        let mut slow = TcpStream::connect(address).unwrap();
        slow.write_all(b"GET / HTTP/1.1\r\nhost: here\r\n").unwrap();
        let mut read = Vec::new();
        // Both end without an answer; a read that goes on for ever fails the test by its time limit.
        for stream in [&mut silent, &mut slow] {
            stream.set_read_timeout(Some(PATIENCE * 3)).unwrap();
            let ended = stream.read_to_end(&mut read);
            assert!(ended.is_ok(), "{ended:?}");
        }
        served.stop();
        let ended = served.ended(time::Instant::now() + PATIENCE);
        runtime.block_on(ended).unwrap();
    }
}
