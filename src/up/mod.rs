//! `mileverse up`: the whole system on one machine, and the journey of a mile through it.
//!
//! ```txt
//! command   what it can be told             layout, files   the data directory
//! settings  shape and ports, kept           keys, network, services, ethereum, tools
//! process   one child    fleet  all         wait, progress, partner
//! system    everything running              journey/        one file for each step
//! books     what must balance               report          table and JSON
//! ```
//!
//! Order: Ethereum, contracts, validators, airline, gateway, relayer. They stop in reverse. Children
//! never outlive `up`: they watch the pipe that `up` holds (see [`crate::stdin`]).

mod books;
mod command;
mod error;
mod ethereum;
mod files;
mod fleet;
mod journey;
mod keys;
mod layout;
mod network;
mod partner;
mod process;
mod progress;
mod report;
mod services;
mod settings;
mod system;
mod tools;
mod wait;

pub use command::Command;
pub use error::Error;

use fleet::Fleet;
use layout::Layout;
use progress::Progress;
use system::System;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Starts everything, plays the journey, and stays until it is told to stop.
pub fn run(command: Command) -> Result<(), Error> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|source| Error::System {
            what: "an async runtime",
            source,
        })?;
    let layout = Layout::new(&command.data_dir)?;
    let _lock = layout.lock()?;
    runtime.block_on(async {
        let mut interrupted = Interrupted::new()?;
        let progress = Progress::new();
        let mut fleet = Fleet::new();
        let outcome = tokio::select! {
            outcome = play_and_stay(layout, &command, &mut fleet, &progress) => outcome,
            () = interrupted.wait() => Err(Error::Interrupted),
        };
        let outcome = match outcome {
            Ok(()) if !command.once => {
                let watcher = fleet.watcher();
                tokio::select! {
                    () = interrupted.wait() => Ok(()),
                    error = watcher.death() => Err(error),
                }
            }
            other => other,
        };
        if !fleet.is_empty() {
            progress.say("stopping every process");
        }
        for name in fleet.stop_all().await {
            progress.say(&format!("{name} did not stop in time and was killed"));
        }
        outcome
    })
}

async fn play_and_stay(
    layout: Layout,
    command: &Command,
    fleet: &mut Fleet,
    progress: &Progress,
) -> Result<(), Error> {
    let mut system = System::start(layout, command, fleet, progress).await?;
    let (report, outcome) = journey::play(&mut system, fleet, progress).await;
    report.print(command.json)?;
    outcome?;
    if !command.once {
        invite(&system, progress)?;
    }
    Ok(())
}

/// Where a person can go on from here.
fn invite(system: &System, progress: &Progress) -> Result<(), Error> {
    let urls = &system.urls;
    let layout = &system.layout;
    let key = layout.keystore(keys::MEMBER);
    let mut lines = vec![
        ("gateway".to_owned(), urls.gateway_docs.to_string()),
        (
            "its API key".to_owned(),
            services::api_key_file(layout).display().to_string(),
        ),
    ];
    for (index, url) in urls.native.iter().enumerate() {
        lines.push((format!("validator {index}"), url.to_string()));
    }
    lines.push(("Ethereum".to_owned(), urls.ethereum.to_string()));
    lines.push(("airline".to_owned(), urls.airline.to_string()));
    lines.push(("logs".to_owned(), layout.logs().display().to_string()));
    progress.say("");
    for (what, place) in lines {
        progress.say(&format!("{what:<13} {place}"));
    }
    if let Some(native) = urls.native.first() {
        progress.say("\nThe member's wallet:\n");
        progress.say(&format!(
            "{} wallet --keystore {} --password-file {} --native-rpc {native} --ethereum-rpc {} balance",
            network::this_program()?.display(),
            key.display(),
            layout.password().display(),
            urls.ethereum,
        ));
    }
    progress.say("\nCtrl-C stops every process; starting again with the same --data-dir resumes.");
    Ok(())
}

/// SIGINT and SIGTERM.
struct Interrupted {
    interrupt: Signal,
    terminate: Signal,
}

impl Interrupted {
    fn new() -> Result<Self, Error> {
        let listen = |kind| {
            signal(kind).map_err(|source| Error::System {
                what: "a signal handler",
                source,
            })
        };
        Ok(Self {
            interrupt: listen(SignalKind::interrupt())?,
            terminate: listen(SignalKind::terminate())?,
        })
    }

    async fn wait(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}
