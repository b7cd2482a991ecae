//! Why `up` stops. Each message is one sentence that says what to do.

use std::{path::PathBuf, process::ExitStatus, time::Duration};
use thiserror::Error;

/// Why `up` stopped.
#[derive(Debug, Error)]
pub enum Error {
    /// A file or directory of the data directory cannot be used.
    #[error(
        "{path} could not be {action}: {source}; check that the data directory is yours to write"
    )]
    File {
        /// Which.
        path: PathBuf,
        /// What was tried.
        action: &'static str,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file of the data directory is not what `up` wrote.
    #[error("{path} is not readable ({reason}); start with another --data-dir, or delete this one")]
    Content {
        /// Which.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// Another `up` runs on the directory.
    #[error("{0} is in use by another `mileverse up`; stop that one, or give another --data-dir")]
    InUse(PathBuf),
    /// The directory belongs to a system of another shape.
    #[error(
        "{path} was made with {made}, not with {asked}; use the same again, or give another --data-dir"
    )]
    Mismatch {
        /// The data directory.
        path: PathBuf,
        /// What it was made with.
        made: String,
        /// What was asked for now.
        asked: String,
    },
    /// A remembered port is taken.
    #[error(
        "port {port}, which {path} uses for {owner}, is taken by another program; stop that program, or give another --data-dir"
    )]
    PortTaken {
        /// The port.
        port: u16,
        /// Who wants it.
        owner: String,
        /// The data directory.
        path: PathBuf,
    },
    /// No port, runtime, pipe or the like to be had.
    #[error("the system refused {what}: {source}; check its limits and try again")]
    System {
        /// What was asked for.
        what: &'static str,
        /// What it said.
        source: std::io::Error,
    },
    /// The contracts' folder is not there.
    #[error(
        "the folder contracts/ with its package-lock.json was not found; run `up` inside the project's checkout, or use --ethereum-rpc"
    )]
    NoContracts,
    /// Node.js is not there.
    #[error(
        "Node.js with npm is needed to install anvil and was not found on the PATH; install Node.js 20 or newer, or use --ethereum-rpc"
    )]
    NoNode,
    /// npm failed.
    #[error("`npm ci` in {path} failed ({reason}); run it there yourself to see why")]
    Npm {
        /// The contracts' folder.
        path: PathBuf,
        /// How it ended.
        reason: String,
    },
    /// Ethereum does not answer.
    #[error(
        "no Ethereum node answers at {url} ({reason}); start one there, or correct --ethereum-rpc"
    )]
    EthereumUnreachable {
        /// Where.
        url: String,
        /// What was seen.
        reason: String,
    },
    /// Ethereum answers, but is not the chain that was used before.
    #[error(
        "the Ethereum node at {url} does not know what this data directory deployed ({what}); give the node that was used before, or another --data-dir"
    )]
    OtherEthereum {
        /// Where.
        url: String,
        /// What is missing.
        what: String,
    },
    /// The deployer's key file.
    #[error(
        "{path} does not hold a private key of 32 bytes in hex; write one there for --deployer-key-file"
    )]
    DeployerKey {
        /// Which file.
        path: PathBuf,
    },
    /// Deployment failed.
    #[error("{0}")]
    Deploy(String),
    /// A key could not be made or read.
    #[error(
        "the key file {path} could not be used ({reason}); give another --data-dir, or restore the file"
    )]
    Key {
        /// Which.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// The genesis could not be made.
    #[error("the native chain's genesis could not be made: {0}")]
    Genesis(String),
    /// The genesis file belongs to another network.
    #[error(
        "{path} is of another network ({what} differs); put the right file back, or give another --data-dir"
    )]
    OtherGenesis {
        /// The file.
        path: PathBuf,
        /// What does not fit.
        what: &'static str,
    },
    /// A child did not start.
    #[error("{name} could not be started: {source}")]
    Spawn {
        /// Which.
        name: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// A child did not become ready.
    #[error("{name} was not ready after {} seconds; its log is {log}", limit.as_secs())]
    NotReady {
        /// Which.
        name: String,
        /// How long it was waited for.
        limit: Duration,
        /// Its log.
        log: PathBuf,
    },
    /// A child ended on its own.
    #[error("{name} ended by itself ({}); its log is {log} and ends with: {last}", ended(*status))]
    Died {
        /// Which.
        name: String,
        /// How.
        status: Option<ExitStatus>,
        /// Its log.
        log: PathBuf,
        /// Its own sentence, or else the log's last lines.
        last: String,
    },
    /// A condition did not come true in time.
    #[error("waited {} seconds for {awaited}, last saw {seen}; the logs are in {logs}", limit.as_secs())]
    Waited {
        /// What was awaited.
        awaited: String,
        /// What was seen instead.
        seen: String,
        /// How long.
        limit: Duration,
        /// Where to read on.
        logs: PathBuf,
    },
    /// Something that had to be so is not.
    #[error("{0}")]
    Broken(String),
    /// A part answered with an error.
    #[error("{what}: {reason}")]
    Refused {
        /// What was asked.
        what: String,
        /// What was answered.
        reason: String,
    },
    /// The journey did not come true.
    #[error("the step `{step}` failed: {source}")]
    Step {
        /// Which.
        step: &'static str,
        /// Why.
        source: Box<Error>,
    },
    /// Ctrl-C or SIGTERM before the end.
    #[error("interrupted before the journey ended; start again with the same --data-dir to resume")]
    Interrupted,
}

impl Error {
    /// What a part refused, in words.
    pub fn refused(what: impl Into<String>, reason: impl ToString) -> Self {
        Self::Refused {
            what: what.into(),
            reason: reason.to_string(),
        }
    }
}

fn ended(status: Option<ExitStatus>) -> String {
    status.map_or_else(|| "nobody knows how".into(), |status| status.to_string())
}
