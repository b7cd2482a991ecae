//! Connections to a PostgreSQL server, on which what needs no answer is not waited for.
//!
//! sqlx waits for the answer to each statement before it sends the next. A set of conversions takes some thirty
//! statements, most of which only have to be done, and between a process and its server each wait costs as much as
//! the statement itself. Here they go out one behind the other, as the protocol allows ("pipelining",
//! PostgreSQL 15, section 55.2.4), and each answer is looked at before the commit:
//!
//! ```txt
//! gateway   BEGIN, move rows ─▶         ─▶ journal, events, answers ─▶     ─▶ COMMIT ─▶
//! server                        ▶ rows                              ▶ keys            ▶ on the disk
//! ```
//!
//! [`line`]: one connection. [`pipe`]: one transaction on it. [`tls`]: how the server is known. Here: where they
//! are kept. Migrations and what reads at length stay with sqlx's pool.

mod line;
mod pipe;
mod tls;

pub(super) use pipe::Pipe;

use super::found::Found;
use super::{ACQUIRE, CONNECTIONS, DOUBTFUL};
use line::Line;
use sqlx::{Any, Execute};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time;
use url::Url;

/// The connections.
pub(super) struct Lines {
    server: tls::Server,
    idle: Mutex<Vec<(Line, Instant)>>,
    /// One for each that may be open and in use.
    places: Arc<Semaphore>,
}

impl fmt::Debug for Lines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Lines")
    }
}

impl Lines {
    /// To the server of a URL.
    pub(super) fn to(url: &Url) -> Result<Arc<Self>, sqlx::Error> {
        Ok(Arc::new(Self {
            server: tls::Server::of(url)?,
            idle: Mutex::new(Vec::new()),
            places: Arc::new(Semaphore::new(CONNECTIONS as usize)),
        }))
    }

    /// Opens none any more.
    pub(super) fn close(&self) {
        self.places.close();
        self.idle().clear();
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<(Line, Instant)>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One of them.
    pub(super) async fn take(self: &Arc<Self>) -> Result<Taken, sqlx::Error> {
        time::timeout(ACQUIRE, self.find())
            .await
            .map_err(|_| sqlx::Error::PoolTimedOut)?
    }

    async fn find(self: &Arc<Self>) -> Result<Taken, sqlx::Error> {
        let place = Arc::clone(&self.places).acquire_owned().await;
        let place = place.map_err(|_| sqlx::Error::PoolClosed)?;
        loop {
            let found = self.idle().pop();
            let line = match found {
                None => Line::open(&self.server).await?,
                Some((line, since)) => {
                    let is_there =
                        !line.is_closed() && (since.elapsed() <= DOUBTFUL || line.answers().await);
                    if !is_there {
                        continue;
                    }
                    line
                }
            };
            return Ok(Taken {
                line: Some(line),
                lines: Arc::clone(self),
                _place: place,
            });
        }
    }

    /// Runs one statement as a transaction of its own.
    pub(super) async fn ask<'q>(
        self: &Arc<Self>,
        query: impl Execute<'q, Any>,
    ) -> Result<Vec<Found>, sqlx::Error> {
        let mut line = self.take().await?;
        let answer = line.get()?.send(query).await?;
        answer.await
    }
}

/// A connection that somebody uses; given back when it is dropped.
pub(super) struct Taken {
    /// There until it is dropped.
    line: Option<Line>,
    lines: Arc<Lines>,
    _place: OwnedSemaphorePermit,
}

impl fmt::Debug for Taken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Taken")
    }
}

impl Taken {
    fn get(&mut self) -> Result<&mut Line, sqlx::Error> {
        self.line.as_mut().ok_or(sqlx::Error::PoolClosed)
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        let line = self.line.take().filter(|line| !line.is_closed());
        if let Some(line) = line
            && !self.lines.places.is_closed()
        {
            self.lines.idle().push((line, Instant::now()));
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::{Location, Purpose, Store};
    use mileverse_fixtures::postgres::{Durability, Postgres};
    use sqlx::Row as _;

    const INSERT: &str = "INSERT INTO meta (name, value) VALUES ($1, $2)";

    async fn store() -> (Postgres, Store) {
        let server = Postgres::start(Durability::ProcessOnly).unwrap();
        let url = server.create("lines", None).unwrap();
        let location = Location::Postgres(url.parse().unwrap());
        let store = Store::open(&location, Purpose::Serve).await.unwrap();
        (server, store)
    }

    async fn stored(store: &Store) -> Vec<String> {
        sqlx::query_scalar("SELECT name FROM meta WHERE value = 'told' ORDER BY name")
            .fetch_all(store.read())
            .await
            .unwrap()
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn what_is_told_is_kept_whole_or_not_at_all() {
        let (_server, store) = store().await;
        let told = |name: &'static str| sqlx::query(INSERT).bind(name).bind("told");

        let mut write = store.write().await.unwrap();
        write.tell(told("a")).await.unwrap();
        write.tell(told("b")).await.unwrap();
        write.commit().await.unwrap();
        assert_eq!(stored(&store).await, ["a", "b"]);

        // The second is refused, which is heard at the commit: its neighbours are not stored.
        let mut write = store.write().await.unwrap();
        write.tell(told("c")).await.unwrap();
        write.tell(told("a")).await.unwrap();
        write.tell(told("d")).await.unwrap();
        let refused = write.commit().await.unwrap_err();
        let refused = refused.as_database_error().unwrap();
        assert!(refused.is_unique_violation(), "{refused}");
        assert_eq!(refused.constraint(), Some("meta_pkey"));
        assert_eq!(stored(&store).await, ["a", "b"]);

        // Or by whoever asks next: the first reason, not that the server does nothing more.
        let mut write = store.write().await.unwrap();
        write.tell(told("a")).await.unwrap();
        let asked = sqlx::query("SELECT 1").execute(&mut *write).await;
        let refused = asked.unwrap_err();
        assert!(
            refused.as_database_error().unwrap().is_unique_violation(),
            "{refused}"
        );
        // A statement that is new is prepared first; that fails too, and is not the reason.
        let mut again = store.write().await.unwrap();
        again.tell(told("a")).await.unwrap();
        let asked = sqlx::query("SELECT 2").execute(&mut *again).await;
        let refused = asked.unwrap_err();
        assert!(
            refused.as_database_error().unwrap().is_unique_violation(),
            "{refused}"
        );
        // Whoever goes on regardless is told that nothing is kept.
        assert!(write.commit().await.is_err());
        drop(again);

        // What is dropped is taken back, before anybody else has the connection.
        for _ in 0..40 {
            let mut write = store.write().await.unwrap();
            write.tell(told("e")).await.unwrap();
            drop(write);
        }
        assert_eq!(stored(&store).await, ["a", "b"]);
        let mut write = store.write().await.unwrap();
        write.tell(told("e")).await.unwrap();
        write.commit().await.unwrap();
        assert_eq!(stored(&store).await, ["a", "b", "e"]);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn values_go_and_come_as_they_are() {
        let (_server, store) = store().await;
        let row = sqlx::query("SELECT $1 AS a, $2 AS b, $3 AS c, $4 AS d, $5 AS e, $6 AS f")
            .bind("ü \u{0} is not text".replace('\u{0}', "nothing"))
            .bind(i64::MIN)
            .bind(vec![0_u8, 255])
            .bind(None::<String>)
            .bind(None::<i64>)
            .bind(true)
            .fetch_one(store.read())
            .await
            .unwrap();
        assert_eq!(row.get::<String, _>("a"), "ü nothing is not text");
        assert_eq!(row.get::<i64, _>("b"), i64::MIN);
        assert_eq!(row.get::<Vec<u8>, _>("c"), [0, 255]);
        assert_eq!(row.get::<Option<String>, _>("d"), None);
        assert_eq!(row.get::<Option<i64>, _>("e"), None);
        assert!(row.get::<bool, _>("f"));
        // The same text with values of other types is another statement.
        for _ in 0..2 {
            let number = sqlx::query_scalar("SELECT $1").bind(7_i64);
            let number: i64 = number.fetch_one(store.read()).await.unwrap();
            assert_eq!(number, 7);
            let text = sqlx::query_scalar("SELECT $1").bind("7");
            let text: String = text.fetch_one(store.read()).await.unwrap();
            assert_eq!(text, "7");
        }
        let zero = sqlx::query("SELECT $1").bind("\u{0}");
        assert!(zero.execute(store.read()).await.is_err());
        let unread = sqlx::query("SELECT 1.5::numeric");
        assert!(unread.execute(store.read()).await.is_err());
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn connections_that_the_server_ended_are_made_anew() {
        let (_server, store) = store().await;
        let all = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
             WHERE pid <> pg_backend_pid() AND datname = current_database()";
        // From outside of the connections that it ends, and of one that it leaves open.
        let mut one = store.snapshot().await.unwrap();
        sqlx::query(all).execute(&mut one).await.unwrap();
        drop(one);
        // The end of a connection is heard soon; until then whoever gets it is told that it ended.
        let mut tries = 0;
        while sqlx::query("SELECT 1").execute(store.read()).await.is_err() {
            tries += 1;
            assert!(tries <= super::CONNECTIONS, "it stays so");
        }
        let mut write = store.write().await.unwrap();
        let told = sqlx::query(INSERT).bind("a").bind("told");
        write.tell(told).await.unwrap();
        write.commit().await.unwrap();
        assert_eq!(stored(&store).await, ["a"]);
    }
}
