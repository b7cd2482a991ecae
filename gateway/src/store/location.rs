//! Where the database is: a SQLite file, or a PostgreSQL server.
//!
//! ```txt
//! gateway.sqlite                              a file, made if missing
//! postgres://user@host:5432/database          a server; `?sslmode=verify-full` for TLS
//! ```
//!
//! A password in the URL is never shown. It is better kept in a file: `database_password_file`.

use secrecy::{ExposeSecret, SecretString};
use std::fmt;
use std::path::{Path, PathBuf};
use thiserror::Error;
use url::Url;

/// Where the database is.
#[derive(Clone)]
pub enum Location {
    /// One file, one gateway.
    Sqlite(PathBuf),
    /// A server that many gateways share.
    Postgres(Url),
}

/// Why a text does not name a database.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
pub enum LocationError {
    /// Not a URL of a PostgreSQL database.
    #[error("is not a URL such as postgres://user@host:5432/database")]
    Url,
    /// A password for a file.
    #[error("is a file, which has no password; remove database_password_file")]
    Password,
}

impl Location {
    /// Reads a URL, or a path that is relative to `folder`.
    pub fn parse(
        text: &str,
        folder: &Path,
        password: Option<&SecretString>,
    ) -> Result<Self, LocationError> {
        if !text.starts_with("postgres://") && !text.starts_with("postgresql://") {
            return match password {
                Some(_) => Err(LocationError::Password),
                None => Ok(Self::Sqlite(folder.join(text))),
            };
        }
        let mut url: Url = text.parse().map_err(|_| LocationError::Url)?;
        if url.path().trim_matches('/').is_empty() {
            return Err(LocationError::Url);
        }
        if let Some(password) = password {
            url.set_password(Some(password.expose_secret()))
                .map_err(|()| LocationError::Url)?;
        }
        Ok(Self::Postgres(url))
    }

    /// Whether several gateways can share it.
    pub const fn is_shared(&self) -> bool {
        matches!(self, Self::Postgres(_))
    }
}

impl fmt::Display for Location {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => path.display().fmt(formatter),
            Self::Postgres(url) => {
                let mut shown = url.clone();
                let _ = shown.set_password(None);
                shown.set_query(None);
                shown.fmt(formatter)
            }
        }
    }
}

impl fmt::Debug for Location {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{self}")
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn passwords_are_not_shown() {
        let folder = Path::new("/data");
        let url = "postgres://mv:hunter2@db.example/gateway?password=hunter2";
        let location = Location::parse(url, folder, None).unwrap();
        assert_eq!(location.to_string(), "postgres://mv@db.example/gateway");
        assert_eq!(format!("{location:?}"), location.to_string());
        let secret = SecretString::from("hunter2");
        let bare = Location::parse("postgres://mv@db.example/gateway", folder, Some(&secret));
        assert!(
            matches!(bare.unwrap(), Location::Postgres(url) if url.password() == Some("hunter2"))
        );
    }

    #[test]
    fn a_path_is_relative_to_its_configuration() {
        let location = Location::parse("a.sqlite", Path::new("/data"), None).unwrap();
        assert_eq!(location.to_string(), "/data/a.sqlite");
        let secret = SecretString::from("x");
        assert_eq!(
            Location::parse("a.sqlite", Path::new("/"), Some(&secret)).err(),
            Some(LocationError::Password)
        );
        assert_eq!(
            Location::parse("postgres://host/", Path::new("/"), None).err(),
            Some(LocationError::Url)
        );
    }
}
