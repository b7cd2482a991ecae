//! Signs this node's own headers, at most one for a view, over crashes too.
//!
//! Consensus may relay a leader's block before it has written its vote to disk, so a leader killed
//! at that moment would make another block for the same view when it comes back. Two signed
//! headers are proof of fraud, and honest nodes must never make it. So the view is written down
//! *before* the signature is given out, and no view at or below it is signed again, except the
//! very same header.
//!
//! ```txt
//! file, 80 bytes:  epoch (8, big endian) ‖ view (8) ‖ digest (32) ‖ keccak256 of these 48 (32)
//! ```
//!
//! Replaced as a whole: write, sync, rename, sync the directory. It belongs to the key: whoever
//! moves the key to another machine moves this file too, and never runs both.

use crate::signature::sign_proposal;
use commonware_cryptography::{Signer as _, ed25519};
use mileverse_primitives::{B256, header::Turn, keccak256, vote::SIGNATURE_LENGTH};
use std::{
    fs::File,
    io::{ErrorKind, Write as _},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};
use thiserror::Error;

const LENGTH: usize = 80;

/// Why a header is not signed.
#[derive(Debug, Error)]
pub enum SigningError {
    /// The file cannot be read or written.
    #[error(
        "{0}, which remembers the last view signed, cannot be used: {1}; check the disk and permissions"
    )]
    File(PathBuf, std::io::Error),
    /// The file is damaged.
    #[error(
        "{0}, which remembers the last view signed, is damaged; restore it, or remove it when this key has signed nothing for an epoch"
    )]
    Damaged(PathBuf),
    /// The view was signed, or is behind one that was.
    #[error(
        "epoch {epoch}, view {view} is not signed: this key signed epoch {last_epoch}, view {last_view} before"
    )]
    Past {
        /// Epoch asked for.
        epoch: u64,
        /// View asked for.
        view: u64,
        /// Epoch of the last signature.
        last_epoch: u64,
        /// View of the last signature.
        last_view: u64,
    },
    /// The turn is another leader's.
    #[error("the header names another leader")]
    NotOurs,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Last {
    epoch: u64,
    view: u64,
    digest: B256,
}

/// Signs headers with one key; clones share its memory.
#[derive(Clone)]
pub struct Proposer {
    chain_id: u64,
    key: ed25519::PrivateKey,
    path: Arc<PathBuf>,
    last: Arc<Mutex<Option<Last>>>,
}

impl Proposer {
    /// Reads the file at `path`; a key that never signed has none.
    pub fn open(
        path: &Path,
        chain_id: u64,
        key: ed25519::PrivateKey,
    ) -> Result<Self, SigningError> {
        let last = match std::fs::read(path) {
            Ok(bytes) => {
                Some(Last::decode(&bytes).ok_or_else(|| SigningError::Damaged(path.into()))?)
            }
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(error) => return Err(SigningError::File(path.into(), error)),
        };
        Ok(Self {
            chain_id,
            key,
            path: Arc::new(path.into()),
            last: Arc::new(Mutex::new(last)),
        })
    }

    /// The key's public half.
    pub fn key(&self) -> B256 {
        B256::from_slice(&self.key.public_key())
    }

    /// Signs the header `digest` for `turn`, once that is safely written down.
    pub fn sign(&self, turn: &Turn, digest: B256) -> Result<[u8; SIGNATURE_LENGTH], SigningError> {
        if turn.leader != B256::from_slice(&self.key.public_key()) {
            return Err(SigningError::NotOurs);
        }
        let next = Last {
            epoch: turn.epoch,
            view: turn.view,
            digest,
        };
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        match *last {
            Some(last) if last == next => {}
            Some(last) if (last.epoch, last.view) >= (next.epoch, next.view) => {
                return Err(SigningError::Past {
                    epoch: next.epoch,
                    view: next.view,
                    last_epoch: last.epoch,
                    last_view: last.view,
                });
            }
            _ => {
                self.write(&next)
                    .map_err(|error| SigningError::File(self.path.as_path().into(), error))?;
                *last = Some(next);
            }
        }
        drop(last);
        Ok(sign_proposal(&self.key, self.chain_id, digest))
    }

    fn write(&self, last: &Last) -> std::io::Result<()> {
        let beside = self.path.with_extension("new");
        let mut file = File::create(&beside)?;
        file.write_all(&last.encode())?;
        file.sync_all()?;
        std::fs::rename(&beside, self.path.as_path())?;
        match self.path.parent() {
            Some(directory) if !directory.as_os_str().is_empty() => {
                File::open(directory)?.sync_all()
            }
            _ => Ok(()),
        }
    }
}

impl Last {
    fn encode(&self) -> [u8; LENGTH] {
        let mut out = [0; LENGTH];
        out[..8].copy_from_slice(&self.epoch.to_be_bytes());
        out[8..16].copy_from_slice(&self.view.to_be_bytes());
        out[16..48].copy_from_slice(self.digest.as_slice());
        let check = keccak256(&out[..48]);
        out[48..].copy_from_slice(check.as_slice());
        out
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let (epoch, rest) = bytes.split_first_chunk::<8>()?;
        let (view, rest) = rest.split_first_chunk::<8>()?;
        let (digest, _) = rest.split_first_chunk::<32>()?;
        let last = Self {
            epoch: u64::from_be_bytes(*epoch),
            view: u64::from_be_bytes(*view),
            digest: B256::new(*digest),
        };
        (last.encode() == bytes).then_some(last)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;

    fn key() -> ed25519::PrivateKey {
        ed25519::PrivateKey::from_seed(1)
    }

    fn turn(epoch: u64, view: u64) -> Turn {
        Turn {
            epoch,
            view,
            parent_view: 0,
            leader: B256::from_slice(&key().public_key()),
        }
    }

    #[test]
    fn one_header_a_view_over_a_restart() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("proposed");
        let (one, other) = (B256::repeat_byte(1), B256::repeat_byte(2));
        let signer = Proposer::open(&path, 7, key()).unwrap();
        let signature = signer.sign(&turn(3, 9), one).unwrap();
        assert_eq!(signature, sign_proposal(&key(), 7, one));
        for signer in [signer, Proposer::open(&path, 7, key()).unwrap()] {
            assert_eq!(signer.sign(&turn(3, 9), one).unwrap(), signature);
            for (epoch, view) in [(3, 9), (3, 8), (2, 50)] {
                let refused = signer.sign(&turn(epoch, view), other);
                assert!(matches!(refused, Err(SigningError::Past { .. })));
            }
        }
        let signer = Proposer::open(&path, 7, key()).unwrap();
        signer.sign(&turn(3, 10), other).unwrap();
        signer.sign(&turn(4, 1), other).unwrap();
        assert!(signer.sign(&turn(3, 11), other).is_err());
    }

    #[test]
    fn another_leaders_turn_and_a_damaged_file_are_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("proposed");
        let signer = Proposer::open(&path, 7, key()).unwrap();
        let mut foreign = turn(1, 1);
        foreign.leader = B256::repeat_byte(5);
        let refused = signer.sign(&foreign, B256::ZERO);
        assert!(matches!(refused, Err(SigningError::NotOurs)));
        assert!(!path.exists());
        signer.sign(&turn(1, 1), B256::ZERO).unwrap();
        let mut bytes = std::fs::read(&path).unwrap();
        for at in 0..LENGTH {
            bytes[at] ^= 1;
            std::fs::write(&path, &bytes).unwrap();
            let refused = Proposer::open(&path, 7, key());
            assert!(matches!(refused, Err(SigningError::Damaged(_))), "{at}");
            bytes[at] ^= 1;
        }
        std::fs::write(&path, &bytes[..LENGTH - 1]).unwrap();
        assert!(Proposer::open(&path, 7, key()).is_err());
    }

    #[test]
    fn nothing_is_signed_that_could_not_be_written_down() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("missing").join("proposed");
        let signer = Proposer::open(&path, 7, key()).unwrap();
        let refused = signer.sign(&turn(1, 1), B256::ZERO);
        assert!(matches!(refused, Err(SigningError::File(..))));
    }
}
