//! What `node follow` does beyond `node run`: it can start without keys.

use crate::{error::Error, keys::ValidatorKeys};
use commonware_cryptography::ed25519;
use commonware_math::algebra::Random as _;
use std::path::Path;

/// Makes an identity and writes it to `path`, unless there is a file already.
///
/// # Errors
///
/// When the file cannot be written.
pub(super) fn ensure_identity(path: &Path) -> Result<(), Error> {
    if path.exists() {
        return Ok(());
    }
    let keys = ValidatorKeys {
        identity: ed25519::PrivateKey::random(rand::rng()),
        share: None,
    };
    keys.write(path)?;
    tracing::info!(key = %keys.public_key(), path = %path.display(), "this node has a new identity");
    Ok(())
}
