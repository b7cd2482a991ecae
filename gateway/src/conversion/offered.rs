//! Quotes that this gateway made and that nobody used yet. Most are used soon, by whoever asked for them and at the
//! same gateway: it need not ask the database for the terms again.
//!
//! What a quote says never changes. Whether it was used and whether it still holds is decided by the database, in
//! the statement that claims it; here it is only forgotten when it is taken, when it has expired, and when there
//! are more than [`MOST`].

use crate::store::quotes::Quote;
use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Quotes that are remembered: some megabytes.
const MOST: usize = 10_000;

/// Quotes by their id.
#[derive(Debug, Default)]
pub(super) struct Offered {
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    quotes: HashMap<String, Quote>,
    /// In the order in which they were made, also those that were taken since.
    made: VecDeque<(i64, String)>,
}

impl Known {
    fn forget_first(&mut self) {
        if let Some((_, id)) = self.made.pop_front() {
            self.quotes.remove(&id);
        }
    }
}

impl Offered {
    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Remembers a quote that is stored.
    pub(super) fn remember(&self, quote: Quote, now: i64) {
        let mut known = self.known();
        while known.made.len() >= MOST || known.made.front().is_some_and(|(until, _)| *until <= now)
        {
            known.forget_first();
        }
        known.made.push_back((quote.expires_at, quote.id.clone()));
        known.quotes.insert(quote.id.clone(), quote);
    }

    /// A partner's own quote. Whoever asks again asks the database.
    pub(super) fn take(&self, partner: &str, id: &str) -> Option<Quote> {
        let mut known = self.known();
        if known.quotes.get(id)?.partner != partner {
            return None;
        }
        known.quotes.remove(id)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::units::{Fee, MicroPoints, Rate};

    fn quote(id: impl ToString, expires_at: i64) -> Quote {
        Quote {
            id: id.to_string(),
            partner: "demo".to_owned(),
            programme: "airline".to_owned(),
            member_id: "SKY-1".to_owned(),
            miles: 1,
            rate: Rate(1),
            points: MicroPoints(1),
            fee: Fee::default(),
            created_at: 0,
            expires_at,
            used_by: None,
        }
    }

    #[test]
    fn a_quote_is_known_once_and_to_its_partner() {
        let offered = Offered::default();
        offered.remember(quote("a", 10), 0);
        assert!(offered.take("other", "a").is_none());
        assert!(offered.take("demo", "b").is_none());
        assert_eq!(offered.take("demo", "a").unwrap().id, "a");
        assert!(offered.take("demo", "a").is_none());
    }

    #[test]
    fn what_expired_or_is_too_much_is_forgotten() {
        let offered = Offered::default();
        offered.remember(quote("a", 10), 0);
        offered.remember(quote("b", 20), 10);
        assert!(offered.take("demo", "a").is_none());
        for number in 0..MOST {
            offered.remember(quote(number, 20), 10);
        }
        assert!(offered.take("demo", "b").is_none());
        assert!(offered.take("demo", "0").is_some());
        offered.remember(quote("c", 30), 20);
        let known = offered.known();
        assert_eq!((known.quotes.len(), known.made.len()), (1, 1));
    }
}
