//! A clock of their own for validators: the machine's, moved ahead by libfaketime (a Debian package),
//! which is loaded before the program and answers for the system's clock.
//!
//! Nothing in a validator knows of it. Only the time of day is moved; what measures how long
//! something takes is left as it is.

use crate::error::Error;
use std::{
    path::{Path, PathBuf},
    time::Duration,
};

/// Where Debian keeps the library, by processor.
const PLACES: [&str; 3] = [
    "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1",
    "/usr/lib/aarch64-linux-gnu/faketime/libfaketime.so.1",
    "/usr/lib/faketime/libfaketime.so.1",
];

/// By how much the validators' clocks are ahead.
#[derive(Clone, Debug)]
pub struct Clock {
    library: PathBuf,
    ahead: Duration,
}

impl Clock {
    /// A clock that is ahead of the machine's; an error that says what to install if it cannot be had.
    pub fn ahead(ahead: Duration) -> Result<Self, Error> {
        let library = PLACES.iter().map(Path::new).find(|path| path.is_file());
        library.map_or_else(
            || {
                Err(Error::Setup(
                    "validators' clocks cannot be moved without libfaketime; on Debian: apt-get install faketime"
                        .into(),
                ))
            },
            |library| {
                Ok(Self {
                    library: library.to_owned(),
                    ahead,
                })
            },
        )
    }

    /// What a process needs in its environment to have this clock.
    pub fn environment(&self) -> [(&'static str, String); 3] {
        [
            ("LD_PRELOAD", self.library.display().to_string()),
            (
                "FAKETIME",
                format!(
                    "+{}.{:03}",
                    self.ahead.as_secs(),
                    self.ahead.subsec_millis()
                ),
            ),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
        ]
    }
}
