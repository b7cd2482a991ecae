//! The data directory: one place that knows where everything lies.
//!
//! ```txt
//! .mileverse/
//!   lock                 held while `up` runs
//!   settings.json        shape, ports: written first, never changed
//!   passphrase           seals the validators' keys and their ceremonies' secrets
//!   dealing.json         public outcome of the dealing
//!   genesis.json         the native chain's genesis
//!   journey.json         what the last conversion was, to replay it
//!   keys/                keystores (V3) of member, shop, issuer, relayer, swaps, rewards, treasury, delegate-N;
//!                        one password file
//!   ethereum/            anvil's state, addresses of the contracts
//!   validators/0 ...     node.toml, keys.json, data/
//!   airline/             the sandbox airline
//!   gateway/             gateway.toml, secrets, database
//!   relayer/             relayer.toml, database
//!   logs/                one file for each process
//! ```

use super::{error::Error, files};
use std::{
    fs::{File, OpenOptions, TryLockError},
    path::{Path, PathBuf},
};

/// Paths under one data directory, absolute.
#[derive(Clone, Debug)]
pub struct Layout {
    root: PathBuf,
}

impl Layout {
    /// Makes the directory if need be.
    pub fn new(root: &Path) -> Result<Self, Error> {
        files::directory(root)?;
        let root = root.canonicalize().map_err(|source| Error::File {
            path: root.into(),
            action: "found",
            source,
        })?;
        let layout = Self { root };
        files::directory(&layout.logs())?;
        files::directory(&layout.keys())?;
        Ok(layout)
    }

    /// Holds the directory until the handle is dropped.
    pub fn lock(&self) -> Result<File, Error> {
        let path = self.root.join("lock");
        let failed = |source| Error::File {
            path: path.clone(),
            action: "locked",
            source,
        };
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(failed)?;
        match file.try_lock() {
            Ok(()) => Ok(file),
            Err(TryLockError::WouldBlock) => Err(Error::InUse(self.root.clone())),
            Err(TryLockError::Error(error)) => Err(failed(error)),
        }
    }

    /// The data directory itself.
    pub fn root(&self) -> &Path {
        &self.root
    }
    /// See the drawing above.
    pub fn settings(&self) -> PathBuf {
        self.root.join("settings.json")
    }
    /// The passphrase of the validators' sealed files.
    pub fn passphrase(&self) -> PathBuf {
        self.root.join("passphrase")
    }

    /// See the drawing above.
    pub fn dealing(&self) -> PathBuf {
        self.root.join("dealing.json")
    }
    /// See the drawing above.
    pub fn genesis(&self) -> PathBuf {
        self.root.join("genesis.json")
    }
    /// See the drawing above.
    pub fn journey(&self) -> PathBuf {
        self.root.join("journey.json")
    }
    /// See the drawing above.
    pub fn keys(&self) -> PathBuf {
        self.root.join("keys")
    }
    /// See the drawing above.
    pub fn password(&self) -> PathBuf {
        self.keys().join("password")
    }
    /// The keystore of `name`.
    pub fn keystore(&self, name: &str) -> PathBuf {
        self.keys().join(format!("{name}.json"))
    }
    /// Anvil's state.
    pub fn anvil_state(&self) -> PathBuf {
        self.root.join("ethereum").join("state.json")
    }
    /// Addresses of the contracts.
    pub fn deployment(&self) -> PathBuf {
        self.root.join("ethereum").join("deployment.json")
    }
    /// One validator's directory.
    pub fn validator(&self, index: usize) -> PathBuf {
        self.root.join("validators").join(index.to_string())
    }
    /// The sandbox airline's directory.
    pub fn airline(&self) -> PathBuf {
        self.root.join("airline")
    }
    /// The gateway's directory.
    pub fn gateway(&self) -> PathBuf {
        self.root.join("gateway")
    }
    /// The relayer's directory.
    pub fn relayer(&self) -> PathBuf {
        self.root.join("relayer")
    }
    /// Where the logs are.
    pub fn logs(&self) -> PathBuf {
        self.root.join("logs")
    }
    /// One process's log.
    pub fn log(&self, name: &str) -> PathBuf {
        self.logs().join(format!("{name}.log"))
    }
}
