//! HTTPS instead of HTTP.

use serde::Deserialize;
use std::path::{Path, PathBuf};

/// What the gateway shows who connects: PEM files.
#[derive(Clone, Debug)]
pub struct TlsConfig {
    /// Its certificate, and those up to one that is trusted.
    pub certificate: PathBuf,
    /// The certificate's private key.
    pub key: PathBuf,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TlsFile {
    certificate_file: PathBuf,
    key_file: PathBuf,
}

impl TlsFile {
    pub(super) fn check(self, folder: &Path) -> TlsConfig {
        TlsConfig {
            certificate: folder.join(self.certificate_file),
            key: folder.join(self.key_file),
        }
    }
}
