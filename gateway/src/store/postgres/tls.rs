//! Which server, and how it is known. sqlx reads the URL and the environment (`PGHOST`, `PGSSLMODE` …); what it does
//! not tell again, the password and the certificates, is read here by the same names.
//!
//! | `sslmode` | |
//! |---|---|
//! | `disable`, `allow` | no TLS |
//! | `prefer` (if nothing is said) | TLS if the server offers it, whoever it is |
//! | `require` | TLS, whoever it is |
//! | `verify-ca` | TLS, the server has a certificate of an authority |
//! | `verify-full` | TLS, the server has a certificate of an authority, for its name |

use super::line::fault;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error as TlsError, RootCertStore,
    SignatureScheme,
};
use sqlx::postgres::{PgConnectOptions, PgSslMode};
use std::env;
use std::fs;
use std::sync::Arc;
use tokio_postgres::config::SslMode;
use tokio_postgres::{Client, Config};
use tokio_postgres_rustls::MakeRustlsConnect;
use url::Url;

/// A server, and how to connect to it.
pub(super) struct Server {
    config: Config,
    tls: MakeRustlsConnect,
}

/// What a URL or the environment says of something.
fn said(url: &Url, names: &[&str], variable: Option<&str>) -> Option<String> {
    let mut pairs = url.query_pairs();
    let named = pairs.find(|(name, _)| names.contains(&name.as_ref()));
    let named = named.map(|(_, value)| value.into_owned());
    named.or_else(|| env::var(variable?).ok())
}

fn wrong(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> sqlx::Error {
    sqlx::Error::Configuration(error.into())
}

/// PEM, or the path of a file of it.
fn pem(text: String) -> Result<Vec<u8>, sqlx::Error> {
    if text.trim_start().starts_with("-----BEGIN") {
        return Ok(text.into_bytes());
    }
    fs::read(&text).map_err(|error| wrong(format!("{text}: {error}")))
}

impl Server {
    /// The server of a URL.
    pub(super) fn of(url: &Url) -> Result<Self, sqlx::Error> {
        let options: PgConnectOptions = url.as_str().parse()?;
        let mode = options.get_ssl_mode();
        let mut config = Config::new();
        config.port(options.get_port()).user(options.get_username());
        match options.get_socket() {
            Some(socket) => config.host_path(socket),
            None => config.host(options.get_host()),
        };
        if let Some(database) = options.get_database() {
            config.dbname(database);
        }
        if let Some(name) = options.get_application_name() {
            config.application_name(name);
        }
        if let Some(settings) = options.get_options() {
            config.options(settings);
        }
        let password = url.password().map(|password| {
            let encoded = percent_encoding::percent_decode_str(password);
            encoded.collect::<Vec<u8>>()
        });
        let named = || said(url, &["password"], Some("PGPASSWORD")).map(String::into_bytes);
        if let Some(password) = password.or_else(named) {
            config.password(password);
        }
        config.ssl_mode(match mode {
            PgSslMode::Disable | PgSslMode::Allow => SslMode::Disable,
            PgSslMode::Prefer => SslMode::Prefer,
            PgSslMode::Require | PgSslMode::VerifyCa | PgSslMode::VerifyFull => SslMode::Require,
        });
        Ok(Self {
            config,
            tls: MakeRustlsConnect::new(known(url, mode)?),
        })
    }

    /// Connects.
    pub(super) async fn connect(&self) -> Result<Client, sqlx::Error> {
        let (client, connection) = self.config.connect(self.tls.clone()).await.map_err(fault)?;
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::warn!(%error, "a connection to the database ended");
            }
        });
        Ok(client)
    }
}

/// How the server is known, and the gateway to it.
fn known(url: &Url, mode: PgSslMode) -> Result<ClientConfig, sqlx::Error> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(wrong)?;
    let mut authorities = RootCertStore::empty();
    authorities.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    let names = ["sslrootcert", "ssl-root-cert", "ssl-ca"];
    if let Some(given) = said(url, &names, Some("PGSSLROOTCERT")) {
        for certificate in CertificateDer::pem_slice_iter(&pem(given)?) {
            authorities
                .add(certificate.map_err(|error| wrong(error.to_string()))?)
                .map_err(wrong)?;
        }
    }
    let config = match mode {
        PgSslMode::VerifyFull => config.with_root_certificates(authorities),
        PgSslMode::VerifyCa => {
            let verifier = WebPkiServerVerifier::builder_with_provider(
                Arc::new(authorities),
                Arc::clone(&provider),
            );
            let verifier = Some(verifier.build().map_err(wrong)?);
            let known = Known { verifier, provider };
            config
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(known))
        }
        _ => {
            let verifier = None;
            let known = Known { verifier, provider };
            config
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(known))
        }
    };
    let certificate = said(url, &["sslcert", "ssl-cert"], Some("PGSSLCERT"));
    let key = said(url, &["sslkey", "ssl-key"], Some("PGSSLKEY"));
    match (certificate, key) {
        (None, None) => Ok(config.with_no_client_auth()),
        (Some(certificate), Some(key)) => {
            let chain = CertificateDer::pem_slice_iter(&pem(certificate)?)
                .collect::<Result<Vec<_>, _>>()
                .map_err(|error| wrong(error.to_string()))?;
            let key = PrivateKeyDer::from_pem_slice(&pem(key)?)
                .map_err(|error| wrong(error.to_string()))?;
            config.with_client_auth_cert(chain, key).map_err(wrong)
        }
        _ => Err(wrong("sslcert and sslkey belong together")),
    }
}

/// Knows a server by less than its name: by an authority, or not at all.
#[derive(Debug)]
struct Known {
    verifier: Option<Arc<WebPkiServerVerifier>>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Known {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, TlsError> {
        let Some(verifier) = &self.verifier else {
            return Ok(ServerCertVerified::assertion());
        };
        let verified =
            verifier.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now);
        match verified {
            // The name is looked at last.
            Err(TlsError::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) => Ok(ServerCertVerified::assertion()),
            other => other,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, cert, dss, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, cert, dss, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use mileverse_fixtures::postgres::{Identity, Postgres};
    use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};

    fn authority() -> CertifiedIssuer<'static, KeyPair> {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_server_is_known_as_strictly_as_was_asked() {
        let folder = tempfile::tempdir().unwrap();
        let (ours, theirs) = (authority(), authority());
        let key = KeyPair::generate().unwrap();
        let names = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        let certificate = names.signed_by(&key, &ours).unwrap();
        let server = Postgres::start_with_tls(Identity {
            certificate: &certificate.pem(),
            key: &key.serialize_pem(),
        });
        let server = server.unwrap();
        let file = |name: &str, pem: String| {
            let path = folder.path().join(name);
            fs::write(&path, pem).unwrap();
            path.display().to_string()
        };
        let ours = file("ours.pem", ours.pem());
        let theirs = file("theirs.pem", theirs.pem());
        // Host, mode, authority: whether it is taken, and whether TLS is spoken then.
        let cases = [
            ("localhost", "disable", None, Some(false)),
            ("localhost", "prefer", None, Some(true)),
            ("127.0.0.1", "require", None, Some(true)),
            ("localhost", "verify-ca", None, None),
            ("localhost", "verify-ca", Some(&theirs), None),
            ("127.0.0.1", "verify-ca", Some(&ours), Some(true)),
            ("127.0.0.1", "verify-full", Some(&ours), None),
            ("localhost", "verify-full", Some(&theirs), None),
            ("localhost", "verify-full", Some(&ours), Some(true)),
        ];
        for (host, mode, authority, taken) in cases {
            let mut url: Url = server.tcp_url(host, "postgres").unwrap().parse().unwrap();
            url.query_pairs_mut().append_pair("sslmode", mode);
            if let Some(authority) = authority {
                url.query_pairs_mut().append_pair("sslrootcert", authority);
            }
            let connected = Server::of(&url).unwrap().connect().await;
            assert_eq!(connected.is_ok(), taken.is_some(), "{url}: {connected:?}");
            let Ok(client) = connected else { continue };
            let asked = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
            let row = client.query_one(asked, &[]).await.unwrap();
            assert_eq!(Some(row.get::<_, bool>(0)), taken, "{url}");
        }
    }

    #[test]
    fn what_is_wrong_with_certificates_is_told() {
        for wrong in [
            "sslmode=verify-full&sslrootcert=/nowhere.pem",
            "sslmode=require&sslcert=/nowhere.pem",
            "sslmode=sometimes",
        ] {
            let url = format!("postgres://localhost/gateway?{wrong}");
            assert!(Server::of(&url.parse().unwrap()).is_err(), "{wrong}");
        }
    }
}
