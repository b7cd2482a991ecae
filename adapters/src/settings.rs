//! A partner's own configuration file: TOML, checked at load. Paths are relative to the file.
//!
//! What each kind of adapter reads is drawn in its own module. Whatever is wrong is said with the
//! file's and the field's name. Files are at most [`MAX_FILE_BYTES`].

use crate::card::{Card, CardConfig};
use crate::telecom::{self, Telecom, TelecomConfig};
use crate::template::{self, Template, TemplateConfig};
use crate::{Adapter, SetupError};
use secrecy::SecretString;
use serde::de::DeserializeOwned;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use thiserror::Error;
use url::Url;

/// Largest configuration, table or secret file, in bytes.
pub const MAX_FILE_BYTES: u64 = 256 * 1024;
/// Longest wait that can be configured.
const MAX_WAIT: Duration = Duration::from_secs(24 * 60 * 60);

/// Why a partner's file cannot be used.
#[derive(Debug, Error)]
pub enum SettingsError {
    /// A file.
    #[error("{path} cannot be read ({why}); give the path of a readable file", path = path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why not.
        why: String,
    },
    /// Not the TOML that is expected.
    #[error("{path} is not right: {why}", path = path.display())]
    Form {
        /// Which.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// A field.
    #[error("in {path}, {field} {why}", path = path.display())]
    Field {
        /// Which file.
        path: PathBuf,
        /// Which field.
        field: String,
        /// What is wrong with it.
        why: String,
    },
}

/// The kinds of adapters that have a file of their own.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum PartnerKind {
    /// ISO 8583 over TCP.
    Card,
    /// TM Forum TMF658.
    Telecom,
    /// A plain JSON API, by configuration alone.
    Template,
}

impl PartnerKind {
    /// The kind with this name.
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "card" => Some(Self::Card),
            "telecom" => Some(Self::Telecom),
            "template" => Some(Self::Template),
            _ => None,
        }
    }
}

/// What an adapter is built from.
#[derive(Clone, Debug)]
pub enum PartnerConfig {
    /// ISO 8583 over TCP.
    Card(Box<CardConfig>),
    /// TM Forum TMF658.
    Telecom(Box<TelecomConfig>),
    /// A plain JSON API.
    Template(Box<TemplateConfig>),
}

impl PartnerConfig {
    /// Reads a partner's file, and every file it names.
    pub fn read(kind: PartnerKind, path: &Path) -> Result<Self, SettingsError> {
        let file = SettingsFile::open(path)?;
        match kind {
            PartnerKind::Card => CardConfig::read(&file).map(|config| Self::Card(Box::new(config))),
            PartnerKind::Telecom => {
                telecom::read(&file).map(|config| Self::Telecom(Box::new(config)))
            }
            PartnerKind::Template => {
                template::read(&file).map(|config| Self::Template(Box::new(config)))
            }
        }
    }

    /// Sets the adapter up; nothing is sent yet.
    pub fn build(self) -> Result<Arc<dyn Adapter>, SetupError> {
        Ok(match self {
            Self::Card(config) => Arc::new(Card::new(*config)),
            Self::Telecom(config) => Arc::new(Telecom::new(*config)?),
            Self::Template(config) => Arc::new(Template::new(*config)?),
        })
    }
}

/// A file, and where it is.
#[derive(Debug)]
pub struct SettingsFile {
    path: PathBuf,
    text: String,
}

impl SettingsFile {
    /// Reads it.
    pub fn open(path: &Path) -> Result<Self, SettingsError> {
        Ok(Self {
            path: path.to_owned(),
            text: read_text(path)?,
        })
    }

    /// As TOML of a known shape.
    pub fn parse<T: DeserializeOwned>(&self) -> Result<T, SettingsError> {
        toml::from_str(&self.text).map_err(|error| {
            let words: Vec<String> = error
                .to_string()
                .split_whitespace()
                .map(ToOwned::to_owned)
                .collect();
            SettingsError::Form {
                path: self.path.clone(),
                why: words.join(" "),
            }
        })
    }

    /// Something wrong with a field.
    pub fn wrong(&self, field: impl Into<String>, why: impl Into<String>) -> SettingsError {
        SettingsError::Field {
            path: self.path.clone(),
            field: field.into(),
            why: why.into(),
        }
    }

    /// The text of a file it names.
    pub fn text_of(&self, path: &Path) -> Result<String, SettingsError> {
        read_text(&self.beside(path))
    }

    /// A secret file: its text without the newline editors add.
    pub fn secret(&self, path: &Path) -> Result<SecretString, SettingsError> {
        let text = self.text_of(path)?;
        Ok(SecretString::from(
            text.trim_end_matches(['\r', '\n']).to_owned(),
        ))
    }

    fn beside(&self, path: &Path) -> PathBuf {
        self.path.parent().unwrap_or(Path::new("")).join(path)
    }

    /// A wait in milliseconds.
    pub fn milliseconds(
        &self,
        field: &str,
        given: Option<u64>,
        default: Duration,
    ) -> Result<Duration, SettingsError> {
        let wait = given.map_or(default, Duration::from_millis);
        if wait.is_zero() || wait > MAX_WAIT {
            return Err(self.wrong(field, "must be between 1 millisecond and one day"));
        }
        Ok(wait)
    }

    /// A base URL.
    pub fn http_url(&self, field: &str, url: Url) -> Result<Url, SettingsError> {
        if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
            return Err(self.wrong(field, "must be an http or https URL"));
        }
        Ok(url)
    }
}

fn read_text(path: &Path) -> Result<String, SettingsError> {
    let unreadable = |why: String| SettingsError::Read {
        path: path.to_owned(),
        why,
    };
    let file = fs::File::open(path).map_err(|error| unreadable(error.to_string()))?;
    let mut text = String::new();
    file.take(MAX_FILE_BYTES.saturating_add(1))
        .read_to_string(&mut text)
        .map_err(|error| unreadable(error.to_string()))?;
    if u64::try_from(text.len()).is_ok_and(|length| length > MAX_FILE_BYTES) {
        return Err(unreadable(format!("larger than {MAX_FILE_BYTES} bytes")));
    }
    Ok(text)
}
