//! A desk: where work of one kind meets that comes at once, so that it is done together.
//!
//! ```txt
//! comes ──▶ waiting ──┐  whoever has the turn takes all who wait, up to the most
//! comes ──▶ waiting ──┼─▶ [turn]  one transaction for all of them
//! comes ──▶ waiting ──┘     │     the turn is over, before the commit or after it ([`Turns`]):
//!                           ▼     the next takes who came meanwhile
//!                     everybody is told what became of its own
//! ```
//!
//! One alone waits for nobody. While a turn is under way those who come wait for the next, so the busier it
//! is the more share one transaction, and with it one wait for the disk.
//!
//! What several do together fails together. If one of them may be why, each is then done once more alone: so
//! one that cannot be done spoils no other, and is told why as if it had come alone.
//!
//! The desk is memory only and nothing depends on it: whatever is done is in the database.

use std::collections::VecDeque;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use thiserror::Error;
use tokio::sync::oneshot;

/// Most that are done together, so that nobody waits long for others.
const MOST: usize = 64;

/// What was done together with others broke off. Whether it was done is in the database.
#[derive(Clone, Copy, Debug, Error, Eq, PartialEq)]
#[error("it was being done together with others, and that broke off")]
pub struct BrokenOff;

impl From<BrokenOff> for sqlx::Error {
    fn from(error: BrokenOff) -> Self {
        Self::Io(std::io::Error::new(std::io::ErrorKind::Interrupted, error))
    }
}

/// Why work at a desk was not done.
pub trait Failure: From<BrokenOff> {
    /// Whether one of those that were done together may be why, and not what all of them need.
    fn is_of_one(&self) -> bool;
}

impl Failure for sqlx::Error {
    fn is_of_one(&self) -> bool {
        matches!(
            self,
            Self::Database(_)
                | Self::RowNotFound
                | Self::Encode(_)
                | Self::Decode(_)
                | Self::ColumnDecode { .. }
        )
    }
}

#[derive(Debug)]
struct Waiting<T, R, E> {
    item: Arc<T>,
    tell: oneshot::Sender<Result<R, E>>,
}

/// A desk for items `T`, each of which becomes an `R` or an `E`.
#[derive(Debug)]
pub struct Desk<T, R, E> {
    waiting: Mutex<VecDeque<Waiting<T, R, E>>>,
    turn: tokio::sync::Mutex<()>,
    turns: Turns,
    most: usize,
}

/// How long a turn is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Turns {
    /// Until all is done, and not until it lasts: writers of one file share their commits anyway, and none
    /// should wait for two.
    UntilDone,
    /// Until it lasts: to a server each transaction is a dozen messages, so fewer and larger ones are
    /// cheaper.
    UntilLasting,
}

/// A place in the queue. Whoever leaves takes what it wanted along, unless it is being done.
struct Place<'a, T, R, E> {
    desk: &'a Desk<T, R, E>,
    item: Arc<T>,
}

impl<T, R, E> Drop for Place<'_, T, R, E> {
    fn drop(&mut self) {
        let mut waiting = self.desk.waiting();
        waiting.retain(|one| !Arc::ptr_eq(&one.item, &self.item));
    }
}

impl<T, R, E> Desk<T, R, E> {
    /// A desk at which as many are done together as is good for all.
    pub fn new(turns: Turns) -> Self {
        Self::of_at_most(MOST, turns)
    }

    /// A desk at which at most so many are done together.
    pub fn of_at_most(most: usize, turns: Turns) -> Self {
        Self {
            waiting: Mutex::default(),
            turn: tokio::sync::Mutex::default(),
            turns,
            most: most.max(1),
        }
    }

    fn waiting(&self) -> MutexGuard<'_, VecDeque<Waiting<T, R, E>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether nobody waits.
    pub fn is_empty(&self) -> bool {
        self.waiting().is_empty()
    }

    fn take(&self) -> Vec<Waiting<T, R, E>> {
        let mut waiting = self.waiting();
        let many = self.most.min(waiting.len());
        waiting.drain(..many).collect()
    }
}

impl<T, R, E: Failure> Desk<T, R, E> {
    /// Lets an item be done, by whoever has the turn. `pass` is waited for before those who wait are taken,
    /// and what it gives is for `work`. `work` does all of several or nothing, and gives one result for each,
    /// in their order, with what makes them last.
    pub async fn join<G, A, B, C>(
        &self,
        item: T,
        pass: impl Fn() -> A,
        work: impl Fn(G, Vec<Arc<T>>) -> B,
    ) -> Result<R, E>
    where
        A: Future<Output = Result<G, E>>,
        B: Future<Output = Result<(Vec<R>, C), E>>,
        C: Future<Output = Result<(), E>>,
    {
        let (tell, mut answer) = oneshot::channel();
        let item = Arc::new(item);
        self.waiting().push_back(Waiting {
            item: Arc::clone(&item),
            tell,
        });
        let _place = Place { desk: self, item };
        loop {
            let turn = async {
                let turn = self.turn.lock().await;
                pass().await.map(|pass| (turn, pass))
            };
            let (turn, pass_of_turn) = tokio::select! {
                biased;
                told = &mut answer => return told.unwrap_or_else(|_| Err(BrokenOff.into())),
                turn = turn => turn?,
            };
            let all = self.take();
            if all.is_empty() {
                // Somebody who had the turn before took this one too, and tells.
                drop(turn);
                return answer.await.unwrap_or_else(|_| Err(BrokenOff.into()));
            }
            let items = all.iter().map(|one| Arc::clone(&one.item)).collect();
            let done = work(pass_of_turn, items).await;
            let turn = (self.turns == Turns::UntilLasting).then_some(turn);
            let done = match done {
                Ok((results, last)) => last.await.map(|()| results),
                Err(error) => Err(error),
            };
            drop(turn);
            match done {
                Ok(results) => {
                    for (one, result) in all.into_iter().zip(results) {
                        // Whoever is gone finds in the database what became of it.
                        let _ = one.tell.send(Ok(result));
                    }
                }
                Err(error) if all.len() > 1 && error.is_of_one() => {
                    for Waiting { item, tell } in all {
                        let alone = async {
                            let (mut results, last) = work(pass().await?, vec![item]).await?;
                            last.await?;
                            results.pop().ok_or_else(|| BrokenOff.into())
                        };
                        let _ = tell.send(alone.await);
                    }
                }
                Err(error) => {
                    let mut all = all.into_iter();
                    if let Some(first) = all.next() {
                        let _ = first.tell.send(Err(error));
                    }
                    for one in all {
                        let _ = one.tell.send(Err(BrokenOff.into()));
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use futures::future::join_all;
    use std::future::{Ready, ready};
    use std::sync::atomic::{AtomicUsize, Ordering};
    use tokio::sync::Semaphore;

    #[derive(Debug, Eq, PartialEq)]
    enum Why {
        Odd(u32),
        Gone,
        BrokenOff,
    }

    impl From<BrokenOff> for Why {
        fn from(_: BrokenOff) -> Self {
            Self::BrokenOff
        }
    }

    impl Failure for Why {
        fn is_of_one(&self) -> bool {
            matches!(self, Self::Odd(_))
        }
    }

    /// Work that refuses odd numbers and doubles the others, and notes what it was asked to do together.
    #[derive(Default)]
    struct Doubling {
        sets: Mutex<Vec<Vec<u32>>>,
        is_gone: bool,
    }

    impl Doubling {
        async fn work(
            &self,
            all: Vec<Arc<u32>>,
        ) -> Result<(Vec<u32>, Ready<Result<(), Why>>), Why> {
            tokio::task::yield_now().await;
            self.sets
                .lock()
                .unwrap()
                .push(all.iter().map(|one| **one).collect());
            if self.is_gone {
                return Err(Why::Gone);
            }
            match all.iter().find(|one| ***one % 2 == 1) {
                Some(odd) => Err(Why::Odd(**odd)),
                None => Ok((all.iter().map(|one| **one * 2).collect(), ready(Ok(())))),
            }
        }

        async fn all(&self, most: usize, items: Vec<u32>) -> Vec<Result<u32, Why>> {
            let desk = Desk::of_at_most(most, Turns::UntilLasting);
            let pass = || ready(Ok(()));
            let all = items
                .into_iter()
                .map(|item| desk.join(item, pass, |(), all| self.work(all)));
            join_all(all).await
        }

        fn sizes(&self) -> Vec<usize> {
            self.sets.lock().unwrap().iter().map(Vec::len).collect()
        }
    }

    #[tokio::test]
    async fn those_who_come_meanwhile_are_done_together_and_each_is_told_its_own() {
        let doubling = Doubling::default();
        let done = doubling.all(4, (0..10).map(|one| one * 2).collect()).await;
        let wanted: Vec<_> = (0..10).map(|one| Ok(one * 4)).collect();
        assert_eq!(done, wanted);
        // The first came alone, and the most is four.
        assert_eq!(doubling.sizes(), [1, 4, 4, 1]);
    }

    #[tokio::test]
    async fn one_that_cannot_be_done_spoils_no_other() {
        let doubling = Doubling::default();
        let done = doubling.all(8, vec![2, 4, 5, 6, 7]).await;
        let wanted = [Ok(4), Ok(8), Err(Why::Odd(5)), Ok(12), Err(Why::Odd(7))];
        assert_eq!(done, wanted);
        assert_eq!(doubling.sizes(), [1, 4, 1, 1, 1, 1]);
    }

    #[tokio::test]
    async fn what_all_of_them_lack_is_not_asked_for_again_by_each() {
        let doubling = Doubling {
            is_gone: true,
            ..Doubling::default()
        };
        let done = doubling.all(8, vec![2, 4, 6]).await;
        let wanted = [Err(Why::Gone), Err(Why::Gone), Err(Why::BrokenOff)];
        assert_eq!(done, wanted);
        assert_eq!(doubling.sizes(), [1, 2]);
    }

    #[tokio::test]
    async fn whoever_leaves_before_the_turn_leaves_nothing_to_be_done() {
        let doubling = Doubling::default();
        let desk = Desk::<u32, u32, Why>::new(Turns::UntilDone);
        let gate = Semaphore::new(0);
        let waits = AtomicUsize::new(0);
        let pass = || async {
            waits.fetch_add(1, Ordering::SeqCst);
            gate.acquire().await.map(|_| ()).map_err(|_| Why::Gone)
        };
        let leaves = desk.join(2, pass, |(), all| doubling.work(all));
        let stays = async {
            while waits.load(Ordering::SeqCst) == 0 {
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            _ = leaves => panic!("it has no pass"),
            () = stays => {}
        }
        assert!(desk.is_empty());
        gate.add_permits(1);
        let done = desk.join(4, pass, |(), all| doubling.work(all)).await;
        assert_eq!(done, Ok(8));
        assert_eq!(doubling.sizes(), [1]);
    }
}
