//! Waiting for conditions: with a limit, saying what was awaited and what was seen.

use super::error::Error;
use std::{
    path::PathBuf,
    time::{Duration, Instant},
};
use tokio::time::sleep;

/// Time between two looks.
const PAUSE: Duration = Duration::from_millis(150);

/// One look at a condition.
#[derive(Debug)]
pub enum Look<T> {
    /// It is true.
    Now(T),
    /// Not yet; this is what is there instead.
    Not(String),
}

impl Look<()> {
    /// True, or what is there instead.
    pub fn when(condition: bool, seen: impl FnOnce() -> String) -> Self {
        if condition {
            Self::Now(())
        } else {
            Self::Not(seen())
        }
    }
}

/// How long to wait, and where the logs are.
#[derive(Clone, Debug)]
pub struct Patience {
    /// Longest wait for one condition.
    pub limit: Duration,
    /// Named when it was too long.
    pub logs: PathBuf,
}

impl Patience {
    /// Looks until the condition is true. An error of the look counts as "not yet": the part asked
    /// may be starting.
    pub async fn until<T, F>(&self, awaited: &str, mut look: F) -> Result<T, Error>
    where
        F: AsyncFnMut() -> Result<Look<T>, Error>,
    {
        let start = Instant::now();
        loop {
            let seen = match look().await {
                Ok(Look::Now(value)) => return Ok(value),
                Ok(Look::Not(seen)) => seen,
                Err(error) => error.to_string(),
            };
            if start.elapsed() >= self.limit {
                return Err(Error::Waited {
                    awaited: awaited.into(),
                    seen,
                    limit: self.limit,
                    logs: self.logs.clone(),
                });
            }
            sleep(PAUSE).await;
        }
    }
}
