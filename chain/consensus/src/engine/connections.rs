//! Live connections, from the network's own metrics.
//!
//! The network keeps one sample per connection:
//!
//! ```txt
//! network_tracker_directory_connected{peer="…"} 1795236221000
//! ```
//!
//! They are counted, at most once a second, because writing the whole registry out costs
//! milliseconds and `mileverse_status` is open to everybody.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

/// The text of commonware's registry, as it is now.
pub type Registry = Arc<dyn Fn() -> String + Send + Sync>;

const FRESH: Duration = Duration::from_secs(1);

/// Counts connections; clones share everything.
#[derive(Clone)]
pub struct Connections {
    registry: Registry,
    counted: Arc<Mutex<Option<(Instant, u64)>>>,
}

impl Connections {
    /// Counts in this registry.
    pub fn new(registry: Registry) -> Self {
        Self {
            registry,
            counted: Arc::default(),
        }
    }

    /// How many other nodes are connected, as of a second ago at most.
    pub fn count(&self) -> u64 {
        let mut counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((at, count)) = *counted
            && at.elapsed() < FRESH
        {
            return count;
        }
        let count = count(&(self.registry)());
        *counted = Some((Instant::now(), count));
        count
    }
}

/// Connections in a registry's text.
pub fn count(text: &str) -> u64 {
    samples(text, |name| {
        name.starts_with("network_") && name.ends_with("directory_connected")
    })
    .count() as u64
}

/// Values of the samples whose names fit.
pub fn samples<'a>(
    text: &'a str,
    fits: impl Fn(&str) -> bool + 'a,
) -> impl Iterator<Item = &'a str> {
    text.lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(move |line| {
            let name = line.split(['{', ' ']).next()?;
            fits(name).then(|| line.rsplit(' ').next())?
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU64, Ordering};

    #[test]
    fn one_sample_is_one_connection() {
        let text = "# HELP network_tracker_directory_connected Unix timestamp.\n\
                    # TYPE network_tracker_directory_connected gauge\n\
                    network_tracker_directory_connected{peer=\"a b\"} 1795236221000\n\
                    network_tracker_directory_connected{peer=\"c\"} 0\n\
                    network_tracker_directory_tracked 9\n\
                    other_directory_connected{peer=\"d\"} 1\n# EOF\n";
        assert_eq!(count(text), 2);
        assert_eq!(count(""), 0);
        let tracked: Vec<_> = samples(text, |name| name.ends_with("tracked")).collect();
        assert_eq!(tracked, ["9"]);
    }

    #[test]
    fn asking_often_encodes_once() {
        let asked = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&asked);
        let connections = Connections::new(Arc::new(move || {
            counter.fetch_add(1, Ordering::Relaxed);
            "network_tracker_directory_connected{peer=\"a\"} 1\n".into()
        }));
        let started = Instant::now();
        for _ in 0..1000 {
            assert_eq!(connections.count(), 1);
        }
        let most = started.elapsed().as_secs().saturating_add(2);
        assert!(asked.load(Ordering::Relaxed) <= most);
    }
}
