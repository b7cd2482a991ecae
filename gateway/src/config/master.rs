//! The master key, and those before it.

use super::ConfigError;
use super::read::wrong;
use crate::key_source::KeySource;
use secrecy::{ExposeSecret, SecretString};
use std::path::{Path, PathBuf};

const MAX_MASTER_KEYS: usize = 16;
const MIN_MASTER_KEY_BYTES: usize = 32;

/// Where they are, as the file says it.
pub(super) struct MasterKeys {
    pub(super) master_key_file: Option<PathBuf>,
    pub(super) master_key: Option<KeySource>,
    pub(super) previous_master_keys: Vec<KeySource>,
    pub(super) previous_master_key_files: Vec<PathBuf>,
}

impl MasterKeys {
    /// The key, if there is one, and the earlier ones.
    pub(super) fn read(
        self,
        folder: &Path,
    ) -> Result<(Option<SecretString>, Vec<SecretString>), ConfigError> {
        let read_key = |what: &str, source: KeySource| {
            let key = source.read(folder).map_err(|why| wrong(what, why))?;
            if key.expose_secret().len() < MIN_MASTER_KEY_BYTES {
                let why = format!(
                    "gives a key of fewer than {MIN_MASTER_KEY_BYTES} bytes; make one with: openssl rand -hex 32"
                );
                return Err(wrong(what, why));
            }
            Ok(key)
        };
        let master_key = match (self.master_key_file, self.master_key) {
            (Some(_), Some(_)) => {
                let why = "stands beside master_key; one of the two is enough".to_owned();
                return Err(wrong("master_key_file", why));
            }
            (Some(file), None) => Some(read_key("master_key_file", KeySource::File(file))?),
            (None, Some(source)) => Some(read_key("master_key", source)?),
            (None, None) => None,
        };
        let files = self.previous_master_key_files.into_iter();
        let files = files.map(|file| ("previous_master_key_files", KeySource::File(file)));
        let others = self.previous_master_keys.into_iter();
        let previous: Vec<_> = files
            .chain(others.map(|source| ("previous_master_keys", source)))
            .collect();
        if previous.len() > MAX_MASTER_KEYS {
            let why = format!("has too many keys; {MAX_MASTER_KEYS} are enough");
            return Err(wrong("previous_master_key_files", why));
        }
        let previous_master_keys = previous
            .into_iter()
            .map(|(what, source)| read_key(what, source))
            .collect::<Result<_, _>>()?;
        Ok((master_key, previous_master_keys))
    }
}
