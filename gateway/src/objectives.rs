//! Service level objectives, and how fast their error budgets burn.
//!
//! | objective | of what | missed by | share that is met |
//! |---|---|---|---|
//! | `availability` | requests to `/v1`, but for those refused for their rate (429) | an answer of 5xx | 99.9 % |
//! | `latency` | what only looks something up: answered `GET` requests to `/v1` | taking more than 250 ms | 99 % |
//! | `conversion` | `POST /v1/conversions` that began one (201, 202) | not completed within 5 s | 99 % |
//!
//! *Burn* is the share that was missed, by the share that may be: at 1 a budget lasts exactly for the
//! time it is meant for, at 14.4 a budget of 30 days is gone in two. It is counted over sliding windows of
//! whole minutes, by each replica for itself; the counters beside it add up over replicas and over any
//! time. Windows and thresholds for alerts are those of Google's *Site Reliability Workbook*, chapter 5;
//! `docs/prometheus/gateway.yml` has them.

use axum::http::Method;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Longest time for what only looks something up.
const LOOK_UP: Duration = Duration::from_millis(250);
/// Longest time from a conversion's request until its points exist.
const CONVERSION: Duration = Duration::from_secs(5);
/// Minutes that are kept.
const MINUTES: usize = 360;

/// What is promised.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Objective {
    /// An answer.
    Availability,
    /// A quick answer.
    Latency,
    /// Points.
    Conversion,
}

impl Objective {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Availability, Self::Latency, Self::Conversion];

    /// As metrics call it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Availability => "availability",
            Self::Latency => "latency",
            Self::Conversion => "conversion",
        }
    }

    /// How many of a million may be missed.
    pub const fn budget_ppm(self) -> u32 {
        match self {
            Self::Availability => 1_000,
            Self::Latency | Self::Conversion => 10_000,
        }
    }

    /// Whether an answer met it; `None` if the objective is not about such a request.
    fn judge(self, request: &Answered<'_>) -> Option<bool> {
        let Answered {
            method,
            route,
            status,
            took,
        } = *request;
        if !route.starts_with("/v1/") || status == 429 {
            return None;
        }
        match self {
            Self::Availability => Some(status < 500),
            Self::Latency => (method == Method::GET && status < 500).then_some(took <= LOOK_UP),
            Self::Conversion => {
                let began = matches!(status, 201 | 202);
                (method == Method::POST && route == "/v1/conversions" && began)
                    .then_some(status == 201 && took <= CONVERSION)
            }
        }
    }
}

/// A request and its answer.
#[derive(Clone, Copy, Debug)]
pub struct Answered<'a> {
    /// Its method.
    pub method: &'a Method,
    /// Its route, parameters not filled in.
    pub route: &'a str,
    /// The answer's status.
    pub status: u16,
    /// Time until the answer.
    pub took: Duration,
}

/// Over how much time burn is told.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Window {
    /// As metrics call it.
    pub name: &'static str,
    minutes: u64,
}

/// All windows.
pub const WINDOWS: [Window; 4] = [
    Window {
        name: "5m",
        minutes: 5,
    },
    Window {
        name: "30m",
        minutes: 30,
    },
    Window {
        name: "1h",
        minutes: 60,
    },
    Window {
        name: "6h",
        minutes: 360,
    },
];

/// What became of one minute's requests.
#[derive(Clone, Copy, Debug, Default)]
struct Minute {
    number: u64,
    counted: u32,
    missed: u32,
}

/// A minute's place is its number, modulo how many are kept.
type Minutes = Box<[Minute; MINUTES]>;

/// The last six hours.
#[derive(Debug)]
pub struct Objectives {
    began: Instant,
    availability: Mutex<Minutes>,
    latency: Mutex<Minutes>,
    conversion: Mutex<Minutes>,
}

impl Default for Objectives {
    fn default() -> Self {
        let minutes = || Mutex::new(Box::new([Minute::default(); MINUTES]));
        Self {
            began: Instant::now(),
            availability: minutes(),
            latency: minutes(),
            conversion: minutes(),
        }
    }
}

impl Objectives {
    /// Counts an answer; gives the objectives it is about, and whether it met each.
    pub fn count(&self, request: &Answered<'_>) -> Vec<(Objective, bool)> {
        self.count_at(request, self.now())
    }

    /// How fast an objective's budget burned in the last while.
    pub fn burn(&self, objective: Objective, window: Window) -> f64 {
        self.burn_at(objective, window, self.now())
    }

    fn minutes(&self, objective: Objective) -> MutexGuard<'_, Minutes> {
        let minutes = match objective {
            Objective::Availability => &self.availability,
            Objective::Latency => &self.latency,
            Objective::Conversion => &self.conversion,
        };
        minutes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whole minutes since the start, from 1: 0 is the number of a minute that never was.
    fn now(&self) -> u64 {
        (self.began.elapsed().as_secs() / 60).saturating_add(1)
    }

    fn count_at(&self, request: &Answered<'_>, now: u64) -> Vec<(Objective, bool)> {
        let mut judged = Vec::new();
        for objective in Objective::ALL {
            let Some(met) = objective.judge(request) else {
                continue;
            };
            let mut minutes = self.minutes(objective);
            let place = usize::try_from(now).unwrap_or(usize::MAX) % MINUTES;
            if let Some(minute) = minutes.get_mut(place) {
                if minute.number != now {
                    *minute = Minute {
                        number: now,
                        ..Minute::default()
                    };
                }
                minute.counted = minute.counted.saturating_add(1);
                minute.missed = minute.missed.saturating_add(u32::from(!met));
            }
            judged.push((objective, met));
        }
        judged
    }

    fn burn_at(&self, objective: Objective, window: Window, now: u64) -> f64 {
        let minutes = self.minutes(objective);
        let since = now.saturating_sub(window.minutes);
        let of_window = |minute: &&Minute| minute.number > since && minute.number <= now;
        let (mut counted, mut missed) = (0u32, 0u32);
        for minute in minutes.iter().filter(of_window) {
            counted = counted.saturating_add(minute.counted);
            missed = missed.saturating_add(minute.missed);
        }
        if counted == 0 {
            return 0.0;
        }
        let share = f64::from(missed) / f64::from(counted);
        share * 1_000_000.0 / f64::from(objective.budget_ppm())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(method: &Method, route: &'static str, status: u16, took: u64) -> [Option<bool>; 3] {
        let request = Answered {
            method,
            route,
            status,
            took: Duration::from_millis(took),
        };
        Objective::ALL.map(|objective| objective.judge(&request))
    }

    #[test]
    fn each_objective_is_about_its_own_requests() {
        let (get, post) = (&Method::GET, &Method::POST);
        let (met, missed) = (Some(true), Some(false));
        for (request, expected) in [
            (answered(get, "/v1/quotes", 200, 250), [met, met, None]),
            (answered(get, "/v1/quotes", 200, 251), [met, missed, None]),
            (answered(get, "/v1/quotes", 404, 1), [met, met, None]),
            (answered(get, "/v1/quotes", 503, 1), [missed, None, None]),
            (answered(get, "/v1/quotes", 429, 1), [None, None, None]),
            (answered(get, "/ready", 503, 1), [None, None, None]),
            (answered(post, "/v1/quotes", 201, 9_000), [met, None, None]),
            (
                answered(post, "/v1/conversions", 201, 5_000),
                [met, None, met],
            ),
            (
                answered(post, "/v1/conversions", 201, 5_001),
                [met, None, missed],
            ),
            (
                answered(post, "/v1/conversions", 202, 1),
                [met, None, missed],
            ),
            (answered(post, "/v1/conversions", 422, 1), [met, None, None]),
            (
                answered(post, "/v1/conversions", 500, 1),
                [missed, None, None],
            ),
        ] {
            assert_eq!(request, expected);
        }
    }

    #[test]
    fn burn_is_what_was_missed_by_what_may_be_and_is_forgotten_in_time() {
        let objectives = Objectives::default();
        let request = |status| Answered {
            method: &Method::GET,
            route: "/v1/programmes",
            status,
            took: Duration::ZERO,
        };
        let [five, .., six_hours] = WINDOWS;
        let burn = |window, now| objectives.burn_at(Objective::Availability, window, now);
        assert_eq!(burn(five, 1), 0.0, "nothing was asked");
        for _ in 0..990 {
            objectives.count_at(&request(200), 10);
        }
        for _ in 0..10 {
            objectives.count_at(&request(500), 10);
        }
        // 1 % was missed where 0.1 % may be.
        assert!((burn(five, 10) - 10.0).abs() < 1e-9);
        assert!((burn(five, 14) - 10.0).abs() < 1e-9);
        assert_eq!(burn(five, 15), 0.0);
        assert!((burn(six_hours, 369) - 10.0).abs() < 1e-9);
        assert_eq!(burn(six_hours, 370), 0.0);
        // The minute's place is taken by a later one.
        objectives.count_at(&request(200), 370);
        assert_eq!(burn(six_hours, 370), 0.0);
        assert_eq!(objectives.burn_at(Objective::Latency, five, 370), 0.0);
    }
}
