//! A gate that every effect of the gateway passes, its calls to the outside and its commits, to kill
//! the gateway at one of them: before it has its effect, or after it and before the answer.

use mileverse_gateway::store::Witness;
use std::future;
use std::pin::Pin;
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

#[derive(Debug, Default)]
struct Inner {
    calls: u32,
    kill: Option<Kill>,
}

#[derive(Debug)]
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

    /// Whether the gateway is to die after the effect that it has had just now.
    fn is_over(&self) -> bool {
        let inner = self.inner.lock().unwrap();
        matches!(inner.kill, Some(Kill::After(at)) if inner.calls >= at)
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

impl Witness for Gate {
    fn before_commit(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(async {
            self.arrive().await;
        })
    }

    fn after_commit(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(async {
            if self.is_over() {
                self.die().await;
            }
        })
    }
}
