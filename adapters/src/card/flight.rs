//! Requests that have been sent and not been answered, by STAN.
//!
//! An answer lands if its type answers the request's, and its STAN and RRN are the request's. A
//! repeat has the STAN and RRN of what it repeats, so the answer to either ends both.

use super::link::LinkError;
use jiff::Timestamp;
use mileverse_iso8583::{Message, number};
use std::collections::HashMap;
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::Instant;

/// STANs are six digits, and 000000 is none.
const TRACES: u32 = 999_999;

/// A request on its way to the issuer.
#[derive(Debug)]
pub struct Ask {
    pub message: Message,
    pub answer: oneshot::Sender<Result<Message, LinkError>>,
    pub until: Instant,
    pub repeats: u32,
    pub every: Duration,
}

impl Ask {
    /// Tells the caller that there will be no answer.
    pub fn refuse(self, why: LinkError) {
        let _ = self.answer.send(Err(why));
    }
}

/// All requests in flight.
#[derive(Debug)]
pub struct Flights {
    flights: HashMap<String, Flight>,
    last: u32,
}

#[derive(Debug)]
struct Flight {
    ask: Ask,
    repeat_at: Option<Instant>,
}

impl Flights {
    /// None yet. STANs go on from the time of day, so that two runs seldom meet.
    pub fn new() -> Self {
        let seconds = Timestamp::now().as_second().rem_euclid(i64::from(TRACES));
        Self {
            flights: HashMap::new(),
            last: u32::try_from(seconds).unwrap_or(0),
        }
    }

    pub fn len(&self) -> usize {
        self.flights.len()
    }

    /// A STAN that no request in flight has.
    pub fn next_trace(&mut self) -> String {
        loop {
            self.last = self.last % TRACES + 1;
            let trace = format!("{:06}", self.last);
            if !self.flights.contains_key(&trace) {
                return trace;
            }
        }
    }

    pub fn add(&mut self, trace: String, ask: Ask) {
        let repeat_at = repeat_at(&ask, Instant::now());
        self.flights.insert(trace, Flight { ask, repeat_at });
    }

    /// Hands an answer to whom it belongs; gives it back if that is nobody.
    pub fn land(&mut self, answer: Message) -> Result<(), Message> {
        let fits = |flight: &Flight| {
            let asked = &flight.ask.message;
            asked.mti.answer() == Some(answer.mti)
                && asked.text(number::RETRIEVAL) == answer.text(number::RETRIEVAL)
        };
        let trace = answer.text(number::TRACE).unwrap_or_default();
        if !self.flights.get(trace).is_some_and(fits) {
            return Err(answer);
        }
        match self.flights.remove(trace) {
            Some(flight) => flight
                .ask
                .answer
                .send(Ok(answer))
                .map_err(|answer| match answer {
                    Ok(answer) => answer,
                    Err(_) => Message::new(flight.ask.message.mti),
                }),
            None => Err(answer),
        }
    }

    /// Forgets those whose time is up or whose caller has gone, and gives the repeats that are due.
    pub fn due(&mut self, now: Instant) -> Vec<Message> {
        self.flights
            .retain(|_, flight| flight.ask.until > now && !flight.ask.answer.is_closed());
        let due = self
            .flights
            .values_mut()
            .filter(|flight| flight.repeat_at.is_some_and(|at| at <= now));
        due.map(|flight| {
            flight.ask.message.mti = flight.ask.message.mti.repeat();
            flight.ask.repeats = flight.ask.repeats.saturating_sub(1);
            flight.repeat_at = repeat_at(&flight.ask, now);
            flight.ask.message.clone()
        })
        .collect()
    }

    /// Tells every caller that there will be no answer.
    pub fn fail(&mut self, why: &LinkError) {
        for (_, flight) in self.flights.drain() {
            flight.ask.refuse(why.clone());
        }
    }
}

fn repeat_at(ask: &Ask, now: Instant) -> Option<Instant> {
    (ask.repeats > 0)
        .then(|| now.checked_add(ask.every))
        .flatten()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use mileverse_iso8583::Mti;

    fn ask(repeats: u32) -> (Ask, oneshot::Receiver<Result<Message, LinkError>>) {
        let (answer, answered) = oneshot::channel();
        let message = Message::new(Mti::REVERSAL_ADVICE).with(number::RETRIEVAL, "R00000000001");
        let until = Instant::now() + Duration::from_secs(60);
        let every = Duration::from_secs(1);
        (
            Ask {
                message,
                answer,
                until,
                repeats,
                every,
            },
            answered,
        )
    }

    fn answer(mti: u16, trace: &str, retrieval: &str) -> Message {
        Message::new(Mti::new(mti).unwrap())
            .with(number::TRACE, trace)
            .with(number::RETRIEVAL, retrieval)
    }

    #[tokio::test]
    async fn only_the_right_answer_lands_and_once() {
        let mut flights = Flights::new();
        let (asked, answered) = ask(0);
        let trace = flights.next_trace();
        flights.add(trace.clone(), asked);
        for wrong in [
            answer(430, "000000", "R00000000001"),
            answer(430, &trace, "R00000000002"),
            answer(410, &trace, "R00000000001"),
            answer(420, &trace, "R00000000001"),
        ] {
            assert!(flights.land(wrong).is_err());
        }
        let right = answer(430, &trace, "R00000000001");
        assert!(flights.land(right.clone()).is_ok());
        assert_eq!(answered.await.unwrap().unwrap(), right);
        assert!(flights.land(right).is_err());
    }

    #[tokio::test]
    async fn repeats_come_when_due_and_end() {
        let mut flights = Flights::new();
        let (asked, _answered) = ask(2);
        let trace = flights.next_trace();
        flights.add(trace, asked);
        let now = Instant::now();
        let after = |seconds: u64| now + Duration::from_millis(seconds * 1000 + 100);
        assert!(flights.due(now).is_empty());
        for seconds in [1, 2] {
            let due = flights.due(after(seconds));
            assert_eq!(due.first().map(|message| message.mti.get()), Some(421));
        }
        assert!(flights.due(after(30)).is_empty());
        assert_eq!(flights.len(), 1);
        flights.due(after(61));
        assert_eq!(flights.len(), 0);
    }

    #[tokio::test]
    async fn who_has_gone_is_forgotten_and_stans_wrap() {
        let mut flights = Flights::new();
        flights.last = TRACES - 1;
        let (asked, answered) = ask(2);
        let trace = flights.next_trace();
        assert_eq!(trace, "999999");
        flights.add(trace, asked);
        flights.last = 0;
        assert_eq!(flights.next_trace(), "000001");
        flights.last = TRACES - 1;
        assert_eq!(flights.next_trace(), "000001");
        drop(answered);
        flights.due(Instant::now());
        assert_eq!(flights.len(), 0);
    }
}
