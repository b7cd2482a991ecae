//! Secrets of hashed-timelock swaps at rest: one file for each lock, in a directory beside the keystore.
//!
//! ```txt
//! <keystore>.secrets/<lock>.json    mode 0600, the directory 0700; never replaced
//! ```
//!
//! A secret is written and synced before anything is signed that it could claim. Until its first claim, whoever
//! the first half is for could take that with it and give nothing; anybody else could only carry it there.
//! Afterwards everybody knows it. Losing it costs no tokens, only waiting for the refund. It is never shown,
//! logged or answered.

use crate::{
    keystore::{self, KeystoreError},
    rpc::Chain,
    timelock::lock_of,
    units::{Amount, Token},
};
use alloy::{
    primitives::{B256, U256},
    signers::k256::elliptic_curve::rand_core::{OsRng, RngCore as _},
};
use serde::{Deserialize, Serialize};
use std::{
    fmt,
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Write as _},
    path::{Path, PathBuf},
};
use thiserror::Error;

/// Longest file that is read.
const MAX_FILE_LENGTH: u64 = 4_096;
/// What a file says that it is.
const VERSION: u32 = 1;

/// What is wrong with a secret's file.
#[derive(Debug, Error)]
pub enum SecretError {
    /// Cannot be read.
    #[error(transparent)]
    Read(#[from] KeystoreError),
    /// Cannot be written.
    #[error(
        "the secret cannot be written to {path} ({source}); nothing was signed, choose another --keystore or make room"
    )]
    Write {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Never overwritten.
    #[error("the file {0} is there already; secrets are never overwritten, nothing was signed")]
    Exists(PathBuf),
    /// Not such a file.
    #[error("{0} does not hold a secret; it must be a file of this wallet, or 64 hex digits")]
    Format(PathBuf),
    /// The secret of something else.
    #[error(
        "the secret in {path} does not open the lock {lock}; name the file of that lock with --secret-file"
    )]
    OtherLock {
        /// Which file.
        path: PathBuf,
        /// The lock that was meant.
        lock: B256,
    },
    /// No randomness.
    #[error("the operating system gives no randomness ({0}); nothing was signed, try again later")]
    Random(String),
}

/// 32 bytes that nobody else knows.
#[derive(Clone, Copy, Deserialize, Serialize)]
#[serde(transparent)]
pub(crate) struct Secret(B256);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl Secret {
    /// A new one, of the operating system's randomness.
    pub(crate) fn random() -> Result<Self, SecretError> {
        let mut bytes = [0; 32];
        OsRng
            .try_fill_bytes(&mut bytes)
            .map_err(|error| SecretError::Random(error.to_string()))?;
        Ok(Self(bytes.into()))
    }

    /// Its lock.
    pub(crate) fn lock(&self) -> B256 {
        lock_of(self.0)
    }

    /// The bytes, for a claim.
    pub(crate) const fn expose(&self) -> B256 {
        self.0
    }
}

/// What is agreed to come for it.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Wanted {
    /// Where.
    chain: Chain,
    /// What.
    token: Token,
    /// How much, at least, in its smallest unit.
    units: U256,
}

impl Wanted {
    pub(crate) const fn new(chain: Chain, amount: Amount) -> Self {
        Self {
            chain,
            token: amount.token(),
            units: amount.units(),
        }
    }

    /// Where.
    pub(crate) const fn chain(&self) -> Chain {
        self.chain
    }

    /// How much, at least.
    pub(crate) const fn amount(&self) -> Amount {
        Amount::from_units(self.token, self.units)
    }
}

/// A file's content.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Kept {
    version: u32,
    lock: B256,
    secret: Secret,
    /// When it was made, seconds since 1970: no swap under its lock is older. None in a file of hex digits.
    #[serde(default)]
    pub(crate) made: Option<u64>,
    /// What it is to bring; none if that was not said.
    #[serde(default)]
    pub(crate) wanted: Option<Wanted>,
}

impl Kept {
    pub(crate) fn new(secret: Secret, made: u64, wanted: Option<Wanted>) -> Self {
        Self {
            version: VERSION,
            lock: secret.lock(),
            secret,
            made: Some(made),
            wanted,
        }
    }

    /// The secret.
    pub(crate) const fn secret(&self) -> Secret {
        self.secret
    }
}

/// The file of a lock, beside this keystore.
pub(crate) fn path(keystore: &Path, lock: B256) -> PathBuf {
    let mut directory = keystore.as_os_str().to_owned();
    directory.push(".secrets");
    PathBuf::from(directory).join(format!("{lock}.json"))
}

/// Keeps a secret, for good when it returns. A file that is there already is not touched.
pub(crate) fn store(keystore: &Path, kept: &Kept) -> Result<PathBuf, SecretError> {
    let path = path(keystore, kept.lock);
    let write = |source: io::Error| match source.kind() {
        io::ErrorKind::AlreadyExists => SecretError::Exists(path.clone()),
        _ => SecretError::Write {
            path: path.clone(),
            source,
        },
    };
    let directory = path.parent().unwrap_or(Path::new("."));
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(directory).map_err(write)?;
    let text = serde_json::to_string_pretty(kept).map_err(|error| write(error.into()))?;
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&path).map_err(write)?;
    writeln!(file, "{text}")
        .and_then(|()| file.sync_all())
        .and_then(|()| sync(directory))
        .map_err(|source| {
            // Half a file would be in the way of nothing, but would look like a secret.
            let _ = fs::remove_file(&path);
            write(source)
        })?;
    Ok(path)
}

/// A new name is on the disk once its directory is.
fn sync(directory: &Path) -> io::Result<()> {
    if cfg!(unix) {
        File::open(directory)?.sync_all()
    } else {
        Ok(())
    }
}

/// The secret of a lock, if it is kept beside this keystore.
pub(crate) fn find(keystore: &Path, lock: B256) -> Result<Option<Kept>, SecretError> {
    let path = path(keystore, lock);
    match path.try_exists() {
        Ok(false) => Ok(None),
        _ => read(&path, lock).map(Some),
    }
}

/// The secret of a lock out of a file: one of this wallet, or 64 hex digits.
pub(crate) fn read(path: &Path, lock: B256) -> Result<Kept, SecretError> {
    let text = keystore::read(path, MAX_FILE_LENGTH)?;
    let format = || SecretError::Format(path.to_owned());
    let kept = match serde_json::from_str::<Kept>(&text) {
        Ok(kept) if kept.version == VERSION => kept,
        Ok(_) => return Err(format()),
        Err(_) => {
            let secret = Secret(text.trim().parse().map_err(|_| format())?);
            Kept {
                version: VERSION,
                lock: secret.lock(),
                secret,
                made: None,
                wanted: None,
            }
        }
    };
    // What the file says of itself counts for nothing.
    if kept.secret.lock() != lock || kept.lock != lock {
        return Err(SecretError::OtherLock {
            path: path.to_owned(),
            lock,
        });
    }
    Ok(kept)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn made() -> (tempfile::TempDir, PathBuf, Kept) {
        let directory = tempfile::tempdir().unwrap();
        let keystore = directory.path().join("me.json");
        let amount = Amount::whole(Token::Mvc, 5).unwrap();
        let wanted = Some(Wanted::new(Chain::Ethereum, amount));
        let kept = Kept::new(Secret::random().unwrap(), 9, wanted);
        (directory, keystore, kept)
    }

    #[test]
    fn a_secret_comes_back_and_is_for_its_owner_alone() {
        let (_directory, keystore, kept) = made();
        let lock = kept.lock;
        assert!(find(&keystore, lock).unwrap().is_none());
        let path = store(&keystore, &kept).unwrap();
        assert!(path.ends_with(format!("me.json.secrets/{lock}.json")));
        let found = find(&keystore, lock).unwrap().unwrap();
        assert_eq!(found.secret().expose(), kept.secret().expose());
        assert_eq!((found.made, found.wanted), (Some(9), kept.wanted));
        assert_eq!(found.wanted.unwrap().amount().to_string(), "5 MVC");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
            assert_eq!(mode(&path), 0o600);
            assert_eq!(mode(path.parent().unwrap()), 0o700);
        }
    }

    #[test]
    fn a_secret_is_never_overwritten() {
        let (_directory, keystore, kept) = made();
        let path = store(&keystore, &kept).unwrap();
        let before = fs::read(&path).unwrap();
        let again = store(&keystore, &Kept { made: None, ..kept });
        assert!(matches!(again, Err(SecretError::Exists(at)) if at == path));
        assert_eq!(fs::read(&path).unwrap(), before);
    }

    #[test]
    fn a_secret_of_another_lock_is_refused() {
        let (_directory, keystore, kept) = made();
        let (_other_directory, _, other) = made();
        let file = store(&keystore, &kept).unwrap();
        assert!(matches!(
            read(&file, other.lock),
            Err(SecretError::OtherLock { .. })
        ));
        // Under the name of a lock that it does not open.
        let wrong = path(&keystore, other.lock);
        fs::copy(&file, &wrong).unwrap();
        assert!(matches!(
            find(&keystore, other.lock),
            Err(SecretError::OtherLock { .. })
        ));
        // And if it says that it were of it.
        let lie = Kept {
            lock: other.lock,
            ..kept
        };
        fs::write(&wrong, serde_json::to_string(&lie).unwrap()).unwrap();
        assert!(matches!(
            find(&keystore, other.lock),
            Err(SecretError::OtherLock { .. })
        ));
    }

    #[test]
    fn hex_digits_are_a_secret_and_nothing_else_is() {
        let (directory, _, kept) = made();
        let file = directory.path().join("plain");
        let secret = kept.secret().expose();
        for text in [secret.to_string(), format!(" {secret}\n")] {
            fs::write(&file, text).unwrap();
            let found = read(&file, kept.lock).unwrap();
            assert_eq!(found.secret().expose(), secret);
            assert_eq!((found.made, found.wanted), (None, None));
        }
        for text in ["", "0x12", "{}", "secret"] {
            fs::write(&file, text).unwrap();
            assert!(
                matches!(read(&file, kept.lock), Err(SecretError::Format(_))),
                "{text}"
            );
        }
        fs::write(&file, "0".repeat(5_000)).unwrap();
        assert!(matches!(read(&file, kept.lock), Err(SecretError::Read(_))));
    }

    #[test]
    fn secrets_differ_and_are_not_printed() {
        let (one, two) = (Secret::random().unwrap(), Secret::random().unwrap());
        assert_ne!(one.expose(), two.expose());
        let kept = Kept::new(one, 0, None);
        let hex = one.expose().to_string();
        let shown = format!("{one:?} {kept:?}");
        assert!(!shown.contains(&hex[2..]), "{shown}");
    }
}
