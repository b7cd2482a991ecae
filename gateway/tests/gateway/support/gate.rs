//! A gate that every call of the gateway to the outside passes, to kill the gateway at one of
//! them: before the call has its effect, or after it and before the answer.

use std::future;
use std::sync::Mutex;
use tokio::sync::watch;

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Pass {
    Go,
    /// Have the effect, then [`Gate::die`].
    DieAfter,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kill {
    Before(u32),
    After(u32),
}

#[derive(Default)]
struct Inner {
    calls: u32,
    kill: Option<Kill>,
}

pub struct Gate {
    inner: Mutex<Inner>,
    tripped: watch::Sender<bool>,
}

impl Default for Gate {
    fn default() -> Self {
        Self {
            inner: Mutex::default(),
            tripped: watch::Sender::new(false),
        }
    }
}

impl Gate {
    /// Counts from now on, and kills at this call.
    pub fn arm(&self, kill: Kill) {
        *self.inner.lock().unwrap() = Inner {
            calls: 0,
            kill: Some(kill),
        };
        self.tripped.send_replace(false);
    }

    pub fn disarm(&self) {
        self.inner.lock().unwrap().kill = None;
    }

    pub async fn arrive(&self) -> Pass {
        let (call, kill) = {
            let mut inner = self.inner.lock().unwrap();
            inner.calls += 1;
            (inner.calls, inner.kill)
        };
        match kill {
            Some(Kill::Before(at)) if call >= at => self.die().await,
            Some(Kill::After(at)) if call == at => return Pass::DieAfter,
            Some(Kill::After(at)) if call > at => self.die().await,
            _ => {}
        }
        Pass::Go
    }

    /// Says that the moment has come, and never answers.
    pub async fn die(&self) {
        self.tripped.send_replace(true);
        future::pending().await
    }

    /// Waits for the moment.
    pub async fn tripped(&self) {
        self.tripped
            .subscribe()
            .wait_for(|tripped| *tripped)
            .await
            .unwrap();
    }
}
