//! Writing. PostgreSQL runs writers beside each other; SQLite has one writer, so writers that come
//! at once share one commit, and with it one wait for the disk:
//!
//! ```txt
//! BEGIN IMMEDIATE; SAVEPOINT part …    first writer, waits
//! RELEASE part; SAVEPOINT part …       second writer, waits
//! COMMIT                               nobody else is queued: now both are told
//! ```
//!
//! A part that has ended is released by whoever begins the next one, or by the commit, and not by itself.
//!
//! A part that may be forgotten if the machine goes down is left in the batch and not waited for:
//! whatever lasts comes after it, in the same batch or a later one.
//!
//! A part that fails or is dropped is rolled back alone. If the commit fails, everybody who waits
//! for it is told so, and nothing of it is stored. A deferred constraint is checked at the commit,
//! so a part that breaks one fails the parts that share it; they are tried again like after any
//! failure of the database.

use super::connection::{Connection, Way};
use super::postgres::Pipe;
use super::sqlite::Sqlite;
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::{Mutex, OwnedMutexGuard, watch};
use tokio::time;

/// Parts that share one commit, at most.
const MOST_PARTS: u32 = 64;
/// How long a part waits for somebody else to commit before it looks for itself.
const PATIENCE: Duration = Duration::from_millis(2);

/// A commit that is to be waited for.
pub type Commit<E> = Pin<Box<dyn Future<Output = Result<(), E>> + Send>>;

type Outcome = Option<Result<(), Arc<str>>>;

/// Sees every commit: for tests that end the gateway between two of its effects, of which a commit
/// is one and a call to somebody else is the other.
pub trait Witness: fmt::Debug + Send + Sync {
    /// A commit is about to be made. If this does not return, neither is the commit.
    fn before_commit(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>>;

    /// A commit is on the disk, and whoever made it does not know yet.
    fn after_commit(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>>;
}

/// One transaction that writes. Dropped without [`commit`](Self::commit), it leaves nothing.
#[derive(Debug)]
pub struct Write {
    inner: Inner,
    witness: Option<Arc<dyn Witness>>,
}

#[derive(Debug)]
enum Inner {
    Postgres(Connection),
    Sqlite(Part),
}

impl Write {
    pub(super) const fn postgres(pipe: Pipe) -> Self {
        Self {
            inner: Inner::Postgres(Connection(Way::Pipe(pipe))),
            witness: None,
        }
    }

    pub(super) const fn sqlite(part: Part) -> Self {
        Self {
            inner: Inner::Sqlite(part),
            witness: None,
        }
    }

    pub(super) fn watched(self, witness: Option<Arc<dyn Witness>>) -> Self {
        Self { witness, ..self }
    }

    /// Makes it be seen by all later writers, and last no later than the next thing that lasts. For
    /// what may be forgotten if the machine goes down: it is not waited for the disk.
    pub async fn commit_lazily(mut self) -> Result<(), sqlx::Error> {
        if let Some(witness) = &self.witness {
            witness.before_commit().await;
        }
        if let Inner::Postgres(connection) = &mut self.inner {
            let lazily = sqlx::query("SET LOCAL synchronous_commit = off");
            connection.tell(lazily).await?;
        }
        match self.inner {
            Inner::Postgres(connection) => connection.commit().await?,
            Inner::Sqlite(part) => part.leave()?,
        }
        if let Some(witness) = &self.witness {
            witness.after_commit().await;
        }
        Ok(())
    }

    /// What makes it last, to be waited for later.
    pub fn last<E: From<sqlx::Error>>(self) -> Commit<E> {
        Box::pin(async { self.commit().await.map_err(E::from) })
    }

    /// Makes it last: returns once it is on the disk.
    pub async fn commit(self) -> Result<(), sqlx::Error> {
        if let Some(witness) = &self.witness {
            witness.before_commit().await;
        }
        match self.inner {
            Inner::Postgres(connection) => connection.commit().await?,
            Inner::Sqlite(part) => part.commit().await?,
        }
        if let Some(witness) = &self.witness {
            witness.after_commit().await;
        }
        Ok(())
    }
}

impl Deref for Write {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        match &self.inner {
            Inner::Postgres(connection) => connection,
            Inner::Sqlite(part) => &part.state.connection,
        }
    }
}

impl DerefMut for Write {
    fn deref_mut(&mut self) -> &mut Connection {
        match &mut self.inner {
            Inner::Postgres(connection) => connection,
            Inner::Sqlite(part) => &mut part.state.connection,
        }
    }
}

/// SQLite's one writer.
#[derive(Debug)]
pub(super) struct Writer {
    state: Arc<Mutex<State>>,
    /// Those who queue for it.
    queued: AtomicUsize,
}

#[derive(Debug)]
struct State {
    connection: Connection,
    batch: Option<Batch>,
    /// A part was begun and has not ended.
    open: bool,
    /// A part has ended, and its savepoint is still there: nothing may be rolled back to it.
    ended: bool,
    /// Nothing is written any more.
    closed: bool,
}

#[derive(Debug)]
struct Batch {
    parts: u32,
    outcome: watch::Sender<Outcome>,
}

/// One writer's part of a batch.
#[derive(Debug)]
pub(super) struct Part {
    state: OwnedMutexGuard<State>,
    writer: Arc<Writer>,
}

/// Counts one who queues, also if it is dropped while it does.
struct Queued<'a>(&'a AtomicUsize);

impl<'a> Queued<'a> {
    fn join(queued: &'a AtomicUsize) -> Self {
        queued.fetch_add(1, Ordering::SeqCst);
        Self(queued)
    }
}

impl Drop for Queued<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Writer {
    pub(super) fn new(sqlite: Sqlite) -> Self {
        Self {
            state: Arc::new(Mutex::new(State {
                connection: Connection(Way::Call(sqlite)),
                batch: None,
                open: false,
                ended: false,
                closed: false,
            })),
            queued: AtomicUsize::new(0),
        }
    }

    pub(super) async fn begin(self: &Arc<Self>) -> Result<Part, sqlx::Error> {
        let queued = Queued::join(&self.queued);
        let mut state = Arc::clone(&self.state).lock_owned().await;
        drop(queued);
        if state.closed {
            return Err(sqlx::Error::PoolClosed);
        }
        state.begin()?;
        Ok(Part {
            state,
            writer: Arc::clone(self),
        })
    }

    pub(super) async fn close(&self) {
        let mut state = self.state.lock().await;
        state.finish();
        state.closed = true;
    }
}

fn gone() -> sqlx::Error {
    sqlx::Error::Protocol("the batch of this write is gone".into())
}

impl State {
    fn sqlite(&self) -> Result<&Sqlite, sqlx::Error> {
        match &self.connection.0 {
            Way::Call(sqlite) => Ok(sqlite),
            Way::Pipe(_) | Way::Message(_) => Err(gone()),
        }
    }

    /// Begins a part, and a batch if there is none.
    fn begin(&mut self) -> Result<(), sqlx::Error> {
        let framed = self.sqlite().and_then(|sqlite| {
            match (&self.batch, self.ended) {
                // Another process may be writing.
                (None, _) => sqlite.waited("BEGIN IMMEDIATE; SAVEPOINT part"),
                (Some(_), true) => sqlite.script("RELEASE part; SAVEPOINT part"),
                (Some(_), false) => sqlite.script("SAVEPOINT part"),
            }
        });
        if let Err(error) = framed {
            // Half of it may have been done.
            self.fail(&error.to_string());
            return Err(error);
        }
        self.batch.get_or_insert_with(|| Batch {
            parts: 0,
            outcome: watch::Sender::new(None),
        });
        (self.open, self.ended) = (true, false);
        Ok(())
    }

    /// Takes back a part that was dropped.
    fn take_back(&mut self) {
        let back = self.sqlite();
        let back = back.and_then(|sqlite| sqlite.script("ROLLBACK TO part; RELEASE part"));
        self.open = false;
        if let Err(error) = back {
            // SQLite gave the whole batch up, as it does when the disk is full.
            self.fail(&error.to_string());
        }
    }

    fn fail(&mut self, why: &str) {
        let _ = self.sqlite().and_then(|sqlite| sqlite.script("ROLLBACK"));
        (self.open, self.ended) = (false, false);
        if let Some(batch) = self.batch.take() {
            batch.outcome.send_replace(Some(Err(why.into())));
        }
    }

    /// Commits the batch, if there is one, and tells everybody.
    fn finish(&mut self) {
        if self.batch.is_none() {
            return;
        }
        match self.sqlite().and_then(|sqlite| sqlite.waited("COMMIT")) {
            Ok(()) => {
                self.ended = false;
                if let Some(batch) = self.batch.take() {
                    batch.outcome.send_replace(Some(Ok(())));
                }
            }
            Err(error) => self.fail(&error.to_string()),
        }
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        if !self.state.open {
            return;
        }
        self.state.take_back();
        // Nobody may come after it, and the file stays locked until the batch ends. Whoever has a part in it
        // waits and ends it.
        let alone = self.state.batch.as_ref();
        if alone.is_some_and(|batch| batch.parts == 0) {
            self.state.finish();
        }
    }
}

impl Part {
    /// Ends the part; its batch goes on. Gives where the batch's outcome will be, and whether the
    /// batch is full.
    fn end(&mut self) -> Result<(watch::Receiver<Outcome>, bool), sqlx::Error> {
        let state = &mut *self.state;
        let batch = state.batch.as_mut().ok_or_else(gone)?;
        (state.open, state.ended) = (false, true);
        batch.parts = batch.parts.saturating_add(1);
        Ok((batch.outcome.subscribe(), batch.parts >= MOST_PARTS))
    }

    /// Leaves the part to whoever commits the batch next; if nobody comes, it is committed soon.
    fn leave(mut self) -> Result<(), sqlx::Error> {
        let (outcome, full) = self.end()?;
        if full {
            self.state.finish();
            return Ok(());
        }
        let writer = Arc::clone(&self.writer);
        drop(self);
        tokio::spawn(async move {
            time::sleep(PATIENCE).await;
            if outcome.borrow().is_none() {
                let mut state = writer.state.lock().await;
                if outcome.borrow().is_none() {
                    state.finish();
                }
            }
        });
        Ok(())
    }

    async fn commit(mut self) -> Result<(), sqlx::Error> {
        let (mut outcome, full) = self.end()?;
        if full || self.writer.queued.load(Ordering::SeqCst) == 0 {
            self.state.finish();
        }
        let writer = Arc::clone(&self.writer);
        drop(self);
        loop {
            if let Some(result) = &*outcome.borrow_and_update() {
                return result
                    .clone()
                    .map_err(|why| sqlx::Error::Protocol(why.to_string()));
            }
            match time::timeout(PATIENCE, outcome.changed()).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) => return Err(gone()),
                // Whoever was to commit is gone: a part that was dropped, a writer that gave up.
                Err(_) => {
                    let mut state = writer.state.lock().await;
                    if outcome.borrow().is_none() {
                        state.finish();
                    }
                }
            }
        }
    }
}
