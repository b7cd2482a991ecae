//! Keeps evidence over restarts, in one JSON file.
//!
//! ```json
//! [ { "kind": "doubleProposal", "first": "0x… signed header", "second": "0x…", "recorded": false },
//!   { "kind": "falseAttestation", "attestation": "0x… 144 bytes", "recorded": false } ]
//! ```
//!
//! Bytes are those of `proposal` and `attestation::wire`. One entry for an offender and a kind:
//! the first one found is enough, since an offender is punished once. At most [`MAX_ENTRIES`];
//! an entry that the chain has recorded stays, so that the same thing is not collected again, and
//! is the first to make room. The file is replaced as a whole (write, sync, rename), and every
//! entry is verified when it is read.

use super::{Evidence, Kind};
use crate::{attestation::wire::Wire, proposal::SignedHeader};
use commonware_codec::{Codec, Copying, DecodeExt as _, Encode as _};
use mileverse_primitives::{B256, Bytes};
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    fs::File,
    io::{ErrorKind, Write as _},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use thiserror::Error;

/// Most entries.
pub const MAX_ENTRIES: usize = 256;

/// A file that holds no evidence of this chain.
#[derive(Debug, Error)]
pub enum StoreError {
    /// The file cannot be read.
    #[error("the evidence in {0} cannot be read: {1}; check its permissions")]
    Read(PathBuf, std::io::Error),
    /// The file is damaged, or of another chain.
    #[error("{0} holds no evidence of this chain ({1}); move it away to start without it")]
    Damaged(PathBuf, &'static str),
}

#[derive(Deserialize, Serialize)]
#[serde(tag = "kind", rename_all = "camelCase", deny_unknown_fields)]
enum Line {
    DoubleProposal {
        first: Bytes,
        second: Bytes,
        recorded: bool,
    },
    FalseAttestation {
        attestation: Bytes,
        recorded: bool,
    },
}

#[derive(Clone)]
struct Entry {
    evidence: Evidence,
    recorded: bool,
}

type Entries = BTreeMap<(B256, Kind), Entry>;

/// The evidence that this node found; clones share it.
#[derive(Clone)]
pub struct Store {
    chain_id: u64,
    path: Arc<PathBuf>,
    entries: Arc<Mutex<Entries>>,
}

impl Store {
    /// Opens the file at `path`, or begins one there with the first entry.
    pub fn open(path: &Path, chain_id: u64) -> Result<Self, StoreError> {
        let text = match std::fs::read(path) {
            Ok(text) => Some(text),
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(error) => return Err(StoreError::Read(path.into(), error)),
        };
        let mut entries = Entries::new();
        if let Some(text) = text {
            let damaged = |what| StoreError::Damaged(path.into(), what);
            let lines: Vec<Line> =
                serde_json::from_slice(&text).map_err(|_| damaged("not a list of evidence"))?;
            if lines.len() > MAX_ENTRIES {
                return Err(damaged("too many entries"));
            }
            for line in lines {
                let entry = line.read().ok_or_else(|| damaged("an entry is damaged"))?;
                if !entry.evidence.holds(chain_id) {
                    return Err(damaged("an entry proves nothing"));
                }
                entries.insert((entry.evidence.offender(), entry.evidence.kind()), entry);
            }
        }
        Ok(Self {
            chain_id,
            path: Arc::new(path.into()),
            entries: Arc::new(Mutex::new(entries)),
        })
    }

    fn lock(&self) -> MutexGuard<'_, Entries> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes evidence; says whether it is new here. What proves nothing is not taken.
    pub fn add(&self, evidence: Evidence) -> bool {
        let key = (evidence.offender(), evidence.kind());
        if self.lock().contains_key(&key) || !evidence.holds(self.chain_id) {
            return false;
        }
        let mut entries = self.lock();
        if entries.len() >= MAX_ENTRIES {
            let oldest = entries
                .iter()
                .filter(|(_, entry)| entry.recorded)
                .min_by_key(|(_, entry)| entry.evidence.epoch())
                .map(|(key, _)| *key);
            let Some(oldest) = oldest else {
                tracing::error!(offender = %key.0, "evidence was found and there is no room for it; submit what `mileverse_evidence` lists");
                return false;
            };
            entries.remove(&oldest);
        }
        tracing::error!(offender = %key.0, kind = ?key.1, epoch = evidence.epoch(), "evidence against a delegate; anybody may submit it, see `mileverse_evidence`");
        entries.insert(
            key,
            Entry {
                evidence,
                recorded: false,
            },
        );
        self.write(&entries);
        true
    }

    /// What the chain has not recorded yet.
    pub fn open_entries(&self) -> Vec<Evidence> {
        self.lock()
            .values()
            .filter(|entry| !entry.recorded)
            .map(|entry| entry.evidence.clone())
            .collect()
    }

    /// Whether there is evidence of this kind against `offender`, recorded by the chain or not.
    pub fn has(&self, offender: B256, kind: Kind) -> bool {
        self.lock().contains_key(&(offender, kind))
    }

    /// Notes that the chain has recorded it.
    pub fn recorded(&self, offender: B256, kind: Kind) {
        let mut entries = self.lock();
        match entries.get_mut(&(offender, kind)) {
            Some(entry) if !entry.recorded => entry.recorded = true,
            _ => return,
        }
        self.write(&entries);
    }

    /// Forgets what is not worth keeping any more.
    pub fn retain(&self, keep: impl Fn(&Evidence) -> bool) {
        let mut entries = self.lock();
        let before = entries.len();
        entries.retain(|_, entry| keep(&entry.evidence));
        if entries.len() != before {
            self.write(&entries);
        }
    }

    /// A disk that fails costs the evidence only after a restart, so the node goes on.
    fn write(&self, entries: &Entries) {
        if let Err(error) = self.replace(entries) {
            tracing::error!(%error, path = %self.path.display(), "evidence could not be written; submit it before this node restarts");
        }
    }

    fn replace(&self, entries: &Entries) -> std::io::Result<()> {
        let lines: Vec<Line> = entries.values().map(Line::from).collect();
        let text = serde_json::to_vec_pretty(&lines)?;
        let beside = self.path.with_extension("new");
        let mut file = File::create(&beside)?;
        file.write_all(&text)?;
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

impl From<&Entry> for Line {
    fn from(entry: &Entry) -> Self {
        let recorded = entry.recorded;
        match &entry.evidence {
            Evidence::DoubleProposal { first, second } => Self::DoubleProposal {
                first: first.encode().to_vec().into(),
                second: second.encode().to_vec().into(),
                recorded,
            },
            Evidence::FalseAttestation(attestation) => Self::FalseAttestation {
                attestation: Wire(*attestation).encode().to_vec().into(),
                recorded,
            },
        }
    }
}

impl Line {
    fn read(self) -> Option<Entry> {
        fn decode<T: Codec<Cfg = ()>>(bytes: &Bytes) -> Option<T> {
            T::decode(Copying(bytes.as_ref())).ok()
        }
        Some(match self {
            Self::DoubleProposal {
                first,
                second,
                recorded,
            } => Entry {
                evidence: Evidence::double(
                    decode::<SignedHeader>(&first)?,
                    decode::<SignedHeader>(&second)?,
                ),
                recorded,
            },
            Self::FalseAttestation {
                attestation,
                recorded,
            } => Entry {
                evidence: Evidence::FalseAttestation(decode::<Wire>(&attestation)?.0),
                recorded,
            },
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::signature::sign_attestation;
    use commonware_cryptography::{Signer as _, ed25519};

    const CHAIN: u64 = 7;

    fn lie(seed: u64, epoch: u64) -> Evidence {
        let key = ed25519::PrivateKey::from_seed(seed);
        let digest = B256::repeat_byte(1);
        Evidence::FalseAttestation(sign_attestation(&key, CHAIN, epoch, epoch * 32, digest))
    }

    #[test]
    fn evidence_outlives_a_restart_and_is_kept_once() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("evidence.json");
        let store = Store::open(&path, CHAIN).unwrap();
        assert!(store.add(lie(1, 5)));
        assert!(!store.add(lie(1, 6)), "one entry for an offender");
        assert!(store.add(lie(2, 6)));
        store.recorded(lie(2, 6).offender(), Kind::FalseAttestation);
        let again = Store::open(&path, CHAIN).unwrap();
        assert_eq!(again.open_entries(), vec![lie(1, 5)]);
        assert!(!again.add(lie(2, 6)), "the chain has it");
        again.retain(|evidence| evidence.epoch() >= 6);
        assert!(again.open_entries().is_empty());
        assert!(again.has(lie(2, 6).offender(), Kind::FalseAttestation));
        assert!(matches!(
            Store::open(&path, CHAIN + 1),
            Err(StoreError::Damaged(_, "an entry proves nothing"))
        ));
    }

    #[test]
    fn what_proves_nothing_is_not_taken() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("evidence.json");
        let store = Store::open(&path, CHAIN).unwrap();
        let Evidence::FalseAttestation(mut forged) = lie(1, 5) else {
            return;
        };
        forged.height += 1;
        assert!(!store.add(Evidence::FalseAttestation(forged)));
        assert!(!path.exists());
        std::fs::write(&path, b"[{}]").unwrap();
        assert!(Store::open(&path, CHAIN).is_err());
    }

    #[test]
    fn a_full_store_makes_room_only_where_the_chain_knows() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(&directory.path().join("evidence.json"), CHAIN).unwrap();
        for seed in 0..MAX_ENTRIES as u64 {
            assert!(store.add(lie(seed, 10 + seed)));
        }
        assert!(!store.add(lie(1000, 1)));
        store.recorded(lie(3, 13).offender(), Kind::FalseAttestation);
        assert!(store.add(lie(1000, 1)));
        assert!(!store.has(lie(3, 13).offender(), Kind::FalseAttestation));
        assert_eq!(store.open_entries().len(), MAX_ENTRIES);
    }
}
