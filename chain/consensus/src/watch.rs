//! The newest value of something, for any number of tasks that want to know when it changed.
//!
//! It is used as `tokio::sync::watch` is and promises the same, and one thing more: waiting tasks
//! wake in the order in which they began to wait. Tokio's spreads them over eight lists at random,
//! so that two simulations of one seed ran their tasks in different orders, and at times ended in
//! different blocks.
//!
//! A receiver sees the newest value only; what was replaced before it looked is skipped.

use std::{
    fmt,
    ops::Deref,
    sync::{
        Arc, PoisonError, RwLock, RwLockReadGuard,
        atomic::{AtomicBool, Ordering},
    },
};
use thiserror::Error;
use tokio::sync::Notify;

/// The sender is gone: no other value will come.
#[derive(Clone, Copy, Debug, Error, Eq, PartialEq)]
#[error("nobody sends any more")]
pub struct Closed;

struct Versioned<T> {
    /// Grows with each change.
    version: u64,
    value: T,
}

struct Shared<T> {
    current: RwLock<Versioned<T>>,
    closed: AtomicBool,
    changed: Notify,
}

impl<T> Shared<T> {
    fn read(&self) -> RwLockReadGuard<'_, Versioned<T>> {
        self.current.read().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Replaces the value; there is one for each channel.
pub struct Sender<T>(Arc<Shared<T>>);

/// Reads the value and waits for others; clones wait on their own.
pub struct Receiver<T> {
    shared: Arc<Shared<T>>,
    seen: u64,
}

/// The value, which cannot change while this is held. Never held while waiting.
pub struct Ref<'a, T>(RwLockReadGuard<'a, Versioned<T>>);

/// A channel with its first value, which its receivers have seen.
pub fn channel<T>(first: T) -> (Sender<T>, Receiver<T>) {
    let sender = Sender(Arc::new(Shared {
        current: RwLock::new(Versioned {
            version: 0,
            value: first,
        }),
        closed: AtomicBool::new(false),
        changed: Notify::new(),
    }));
    let receiver = sender.subscribe();
    (sender, receiver)
}

impl<T> Sender<T> {
    /// The value as it is.
    pub fn borrow(&self) -> Ref<'_, T> {
        Ref(self.0.read())
    }

    /// Puts `value` in the place of the present one, which it returns, and wakes all who wait.
    pub fn send_replace(&self, value: T) -> T {
        let mut old = value;
        self.send_if_modified(|current| {
            std::mem::swap(current, &mut old);
            true
        });
        old
    }

    /// Lets `modify` change the value, and wakes all who wait if it says that it did.
    pub fn send_if_modified(&self, modify: impl FnOnce(&mut T) -> bool) -> bool {
        {
            let current = self.0.current.write();
            let mut current = current.unwrap_or_else(PoisonError::into_inner);
            if !modify(&mut current.value) {
                return false;
            }
            current.version = current.version.wrapping_add(1);
        }
        self.0.changed.notify_waiters();
        true
    }

    /// One more receiver, which has seen the value as it is.
    pub fn subscribe(&self) -> Receiver<T> {
        Receiver {
            seen: self.0.read().version,
            shared: Arc::clone(&self.0),
        }
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        self.0.closed.store(true, Ordering::Release);
        self.0.changed.notify_waiters();
    }
}

impl<T> Receiver<T> {
    /// The value as it is; [`Self::changed`] may still report it.
    pub fn borrow(&self) -> Ref<'_, T> {
        Ref(self.shared.read())
    }

    /// The value as it is, which counts as seen.
    pub fn borrow_and_update(&mut self) -> Ref<'_, T> {
        let current = self.shared.read();
        self.seen = current.version;
        Ref(current)
    }

    /// Waits for a value that was not seen, which then counts as seen. Cancelling loses nothing.
    ///
    /// # Errors
    ///
    /// [`Closed`] once all values were seen and the sender is gone.
    pub async fn changed(&mut self) -> Result<(), Closed> {
        loop {
            // Made before the look, so that no change between the two is missed.
            let changed = self.shared.changed.notified();
            let closed = self.shared.closed.load(Ordering::Acquire);
            let version = self.shared.read().version;
            if version != self.seen {
                self.seen = version;
                return Ok(());
            }
            if closed {
                return Err(Closed);
            }
            changed.await;
        }
    }

    /// Waits until the value fits and answers it; it then counts as seen.
    ///
    /// # Errors
    ///
    /// [`Closed`] if the last value does not fit and the sender is gone.
    pub async fn wait_for(&mut self, mut fits: impl FnMut(&T) -> bool) -> Result<T, Closed>
    where
        T: Clone,
    {
        loop {
            {
                let current = self.borrow_and_update();
                if fits(&current) {
                    return Ok(current.clone());
                }
            }
            self.changed().await?;
        }
    }
}

impl<T> Clone for Receiver<T> {
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
            seen: self.seen,
        }
    }
}

impl<T> Deref for Ref<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0.value
    }
}

impl<T: fmt::Debug> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Sender").field(&*self.borrow()).finish()
    }
}

impl<T: fmt::Debug> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Receiver").field(&*self.borrow()).finish()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use futures::FutureExt as _;
    use std::{
        pin::pin,
        sync::Mutex,
        task::{Context, Wake, Waker},
    };

    /// Writes its number down when it is woken.
    struct Numbered(usize, Arc<Mutex<Vec<usize>>>);

    impl Wake for Numbered {
        fn wake(self: Arc<Self>) {
            self.1.lock().unwrap().push(self.0);
        }
    }

    #[test]
    fn tasks_wake_in_the_order_in_which_they_began_to_wait() {
        for _ in 0..32 {
            let (sender, receiver) = channel(0);
            let woken = Arc::new(Mutex::new(Vec::new()));
            let mut receivers = vec![receiver; 50];
            let mut waits: Vec<_> = receivers
                .iter_mut()
                .map(|receiver| Box::pin(receiver.changed()))
                .collect();
            for (number, wait) in waits.iter_mut().enumerate() {
                let waker = Waker::from(Arc::new(Numbered(number, Arc::clone(&woken))));
                assert!(
                    wait.poll_unpin(&mut Context::from_waker(&waker))
                        .is_pending()
                );
            }
            sender.send_replace(1);
            assert_eq!(*woken.lock().unwrap(), (0..50).collect::<Vec<_>>());
        }
    }

    #[test]
    fn a_change_is_told_once_to_each() {
        let (sender, mut one) = channel(1);
        let mut other = one.clone();
        assert_eq!(one.changed().now_or_never(), None);
        assert_eq!(sender.send_replace(2), 1);
        assert_eq!(one.changed().now_or_never(), Some(Ok(())));
        assert_eq!(one.changed().now_or_never(), None);
        assert_eq!(*other.borrow_and_update(), 2);
        assert_eq!(other.changed().now_or_never(), None);
        assert!(!sender.send_if_modified(|_| false));
        assert_eq!(one.changed().now_or_never(), None);
        assert_eq!(sender.subscribe().changed().now_or_never(), None);
    }

    #[test]
    fn a_change_between_the_look_and_the_wait_is_not_missed() {
        let (sender, mut receiver) = channel(1);
        let mut wait = pin!(receiver.changed());
        let mut context = Context::from_waker(Waker::noop());
        assert!(wait.as_mut().poll_unpin(&mut context).is_pending());
        sender.send_replace(2);
        assert!(wait.as_mut().poll_unpin(&mut context).is_ready());
    }

    #[test]
    fn the_last_value_is_told_before_the_end() {
        let (sender, mut receiver) = channel(1);
        sender.send_replace(2);
        drop(sender);
        assert_eq!(receiver.changed().now_or_never(), Some(Ok(())));
        assert_eq!(receiver.changed().now_or_never(), Some(Err(Closed)));
        let mut late = receiver.clone();
        assert_eq!(
            late.wait_for(|value| *value == 2).now_or_never(),
            Some(Ok(2))
        );
        assert_eq!(
            late.wait_for(|value| *value == 3).now_or_never(),
            Some(Err(Closed))
        );
    }
}
