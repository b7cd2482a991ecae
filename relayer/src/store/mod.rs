//! The relayer's memory: one SQLite file, written by this process alone.
//!
//! The tables stand in `migrations/`. What is here can be found again on the chains, with one
//! exception in spirit: a signed transaction is stored before it is broadcast ([`transactions`]),
//! so that after a crash the same bytes go out again instead of other ones.

mod health;
mod packets;
mod transactions;

pub use health::Health;
pub use packets::{Counts, NewPacket, Position, Row, RowState, SetAside};
pub use transactions::{Outcome, SignedRow};

use crate::Error;
use mileverse_primitives::{Address, B256};
use mileverse_wallet::rpc::Chain;
use sqlx::{
    Row as _, SqlitePool,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};
use std::{fmt, fs::File, fs::TryLockError, path::Path, sync::Arc, time::Duration};

/// Which way packets go.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Direction {
    /// From the native chain.
    ToEthereum,
    /// From Ethereum.
    ToNative,
}

impl Direction {
    /// Both.
    pub const ALL: [Self; 2] = [Self::ToEthereum, Self::ToNative];

    /// As the database has it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::ToEthereum => "to_ethereum",
            Self::ToNative => "to_native",
        }
    }

    /// Where its packets are delivered.
    pub const fn destination(self) -> Chain {
        match self {
            Self::ToEthereum => Chain::Ethereum,
            Self::ToNative => Chain::Native,
        }
    }
}

impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ToEthereum => "native to Ethereum",
            Self::ToNative => "Ethereum to native",
        })
    }
}

/// What makes a network this one and no other.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Network {
    /// Native chain id.
    pub native_chain: u64,
    /// Hash of the native chain's genesis.
    pub native_genesis: B256,
    /// Ethereum's chain id.
    pub ethereum_chain: u64,
    /// The bridge contract.
    pub ethereum_bridge: Address,
}

/// The database. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Store {
    pool: SqlitePool,
    /// Held as long as the store lives; a second relayer is refused.
    _lock: Option<Arc<File>>,
}

impl Store {
    /// Opens the file for the one relayer that writes it; creates it if it is missing.
    pub async fn open(path: &Path) -> Result<Self, Error> {
        let failed = |reason: String| Error::Database {
            path: path.to_owned(),
            reason,
        };
        if let Some(directory) = path.parent() {
            std::fs::create_dir_all(directory).map_err(|error| failed(error.to_string()))?;
        }
        let mut lock_path = path.as_os_str().to_owned();
        lock_path.push(".lock");
        let lock = File::create(&lock_path).map_err(|error| failed(error.to_string()))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(Error::Locked(path.to_owned())),
            Err(TryLockError::Error(error)) => return Err(failed(error.to_string())),
        }
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(Duration::from_secs(10));
        let pool = SqlitePoolOptions::new()
            .max_connections(1)
            .connect_with(options)
            .await
            .map_err(|error| failed(error.to_string()))?;
        sqlx::migrate!()
            .run(&pool)
            .await
            .map_err(|error| failed(error.to_string()))?;
        Ok(Self {
            pool,
            _lock: Some(Arc::new(lock)),
        })
    }

    /// Opens the file to look at, beside a running relayer or without one.
    pub async fn look(path: &Path) -> Result<Self, Error> {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .read_only(true)
            .busy_timeout(Duration::from_secs(10));
        let pool = SqlitePoolOptions::new()
            .max_connections(1)
            .connect_with(options)
            .await
            .map_err(|error| Error::Database {
                path: path.to_owned(),
                reason: error.to_string(),
            })?;
        Ok(Self { pool, _lock: None })
    }

    /// Closes the file.
    pub async fn close(&self) {
        self.pool.close().await;
    }

    /// Ties the file to this network, or refuses if it is tied to another.
    pub async fn bind(&self, network: &Network) -> Result<(), Error> {
        sqlx::query(
            "INSERT INTO network (id, native_chain, native_genesis, ethereum_chain, ethereum_bridge)
             VALUES (1, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING",
        )
        .bind(to_sql(network.native_chain)?)
        .bind(network.native_genesis.to_vec())
        .bind(to_sql(network.ethereum_chain)?)
        .bind(network.ethereum_bridge.to_vec())
        .execute(&self.pool)
        .await?;
        let row = sqlx::query(
            "SELECT native_chain, native_genesis, ethereum_chain, ethereum_bridge FROM network",
        )
        .fetch_one(&self.pool)
        .await?;
        let same = row.try_get::<i64, _>(0)? == to_sql(network.native_chain)?
            && row.try_get::<Vec<u8>, _>(1)? == network.native_genesis.as_slice()
            && row.try_get::<i64, _>(2)? == to_sql(network.ethereum_chain)?
            && row.try_get::<Vec<u8>, _>(3)? == network.ethereum_bridge.as_slice();
        if same {
            Ok(())
        } else {
            Err(Error::OtherNetwork)
        }
    }
}

/// A chain's number as SQLite can hold it.
fn to_sql(value: u64) -> Result<i64, Error> {
    i64::try_from(value).map_err(|_| Error::Damaged(format!("the number {value} is too large")))
}

/// And back.
fn from_sql(value: i64) -> Result<u64, Error> {
    u64::try_from(value).map_err(|_| Error::Damaged(format!("the number {value} is negative")))
}

fn hash_from_sql(bytes: &[u8]) -> Result<B256, Error> {
    B256::try_from(bytes).map_err(|_| Error::Damaged("a hash has another length".into()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn network() -> Network {
        Network {
            native_chain: 1,
            native_genesis: B256::repeat_byte(2),
            ethereum_chain: 3,
            ethereum_bridge: Address::repeat_byte(4),
        }
    }

    #[tokio::test]
    async fn a_database_has_one_relayer_and_one_network() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("deep/relayer.sqlite");
        let store = Store::open(&path).await.unwrap();
        assert!(matches!(Store::open(&path).await, Err(Error::Locked(_))));
        store.bind(&network()).await.unwrap();
        store.bind(&network()).await.unwrap();
        for other in [
            Network {
                native_chain: 9,
                ..network()
            },
            Network {
                native_genesis: B256::ZERO,
                ..network()
            },
            Network {
                ethereum_chain: 9,
                ..network()
            },
            Network {
                ethereum_bridge: Address::ZERO,
                ..network()
            },
        ] {
            assert!(matches!(store.bind(&other).await, Err(Error::OtherNetwork)));
        }
        let reader = Store::look(&path).await.unwrap();
        assert_eq!(
            reader.counts(Direction::ToNative).await.unwrap(),
            Counts::default()
        );
        reader.close().await;
        store.close().await;
        drop(store);
        Store::open(&path)
            .await
            .unwrap()
            .bind(&network())
            .await
            .unwrap();
    }

    #[tokio::test]
    async fn a_file_that_is_no_database_is_a_sentence() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("relayer.sqlite");
        std::fs::write(
            &path,
            "not a database, but long enough to be looked at closely",
        )
        .unwrap();
        let error = Store::open(&path).await.unwrap_err();
        assert!(matches!(error, Error::Database { .. }), "{error}");
        assert!(Store::look(&directory.path().join("none")).await.is_err());
    }
}
