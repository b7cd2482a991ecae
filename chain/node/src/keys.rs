//! A validator's secret keys, in one file that only its owner may read.
//!
//! ```json
//! { "identity": "0x… ed25519 private key", "share": "0x… threshold share" }
//! ```
//!
//! The share is that of the genesis dealing; a node that joins later has none in its file.

use crate::{block::PublicKey, error::Error};
use commonware_codec::{Copying, DecodeExt as _, Encode as _};
use commonware_cryptography::{Signer as _, bls12381::primitives::group::Share, ed25519};
use mileverse_primitives::Bytes;
use serde::{Deserialize, Serialize};
use std::{io::Write as _, os::unix::fs::OpenOptionsExt as _, path::Path};

/// Identity and share of one validator.
#[derive(Clone)]
pub struct ValidatorKeys {
    /// Signs network traffic and proposals; its public half names the validator.
    pub identity: ed25519::PrivateKey,
    /// Signs votes in the first epoch, as one part of the committee's group key.
    pub share: Option<Share>,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct File {
    identity: Bytes,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    share: Option<Bytes>,
}

impl ValidatorKeys {
    /// The validator's name in the committee.
    pub fn public_key(&self) -> PublicKey {
        self.identity.public_key()
    }

    /// Reads a key file.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let text = std::fs::read_to_string(path).map_err(|source| Error::File {
            path: path.into(),
            source,
        })?;
        let invalid = |message: &str| Error::Keys {
            path: path.into(),
            message: message.into(),
        };
        // Parser errors may quote the text, so they are not passed on.
        let file: File = serde_json::from_str(&text).map_err(|_| invalid("not a key file"))?;
        Ok(Self {
            identity: ed25519::PrivateKey::decode(Copying(file.identity.as_ref()))
                .map_err(|_| invalid("the identity key is damaged"))?,
            share: file
                .share
                .map(|share| {
                    Share::decode(Copying(share.as_ref()))
                        .map_err(|_| invalid("the share is damaged"))
                })
                .transpose()?,
        })
    }

    /// Writes a key file with mode 0600; refuses to replace one.
    pub fn write(&self, path: &Path) -> Result<(), Error> {
        let failed = |source| Error::File {
            path: path.into(),
            source,
        };
        let file = File {
            identity: self.identity.encode().to_vec().into(),
            share: self
                .share
                .as_ref()
                .map(|share| share.encode().to_vec().into()),
        };
        let text = serde_json::to_string_pretty(&file)
            .map_err(|error| failed(std::io::Error::other(error)))?;
        std::fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path)
            .and_then(|mut out| out.write_all(text.as_bytes()).and_then(|()| out.sync_all()))
            .map_err(failed)
    }
}
