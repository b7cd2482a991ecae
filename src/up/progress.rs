//! What a person sees on stderr while the system starts and the journey is played: a spinner on a
//! terminal, plain lines anywhere else.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::{
    io::{IsTerminal, stderr},
    time::{Duration, Instant},
};

/// Tells how far things are.
#[derive(Debug)]
pub struct Progress {
    terminal: bool,
}

/// One thing that takes a while.
#[derive(Debug)]
pub struct Task {
    bar: Option<ProgressBar>,
    start: Instant,
}

impl Progress {
    /// Looks whether stderr is a terminal.
    pub fn new() -> Self {
        Self {
            terminal: stderr().is_terminal(),
        }
    }

    /// Something begins.
    pub fn begin(&self, what: &str) -> Task {
        let bar = if self.terminal {
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
            if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} ({elapsed})") {
                bar.set_style(style);
            }
            bar.set_message(what.to_owned());
            bar.enable_steady_tick(Duration::from_millis(100));
            Some(bar)
        } else {
            eprintln!("… {what}");
            None
        };
        Task {
            bar,
            start: Instant::now(),
        }
    }

    /// One line.
    pub fn say(&self, line: &str) {
        eprintln!("{line}");
    }
}

impl Task {
    /// It went well.
    pub fn done(self, what: &str) {
        self.end("✓", what);
    }

    /// It failed.
    pub fn failed(self, what: &str) {
        self.end("✗", what);
    }

    /// Milliseconds since it began.
    pub fn milliseconds(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn end(self, sign: &str, what: &str) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
        eprintln!(
            "{sign} {what} ({:.1} s)",
            self.start.elapsed().as_secs_f64()
        );
    }
}
