//! A committee as processes of this machine, over TCP on the loopback, as its operators would run it:
//! own files, own process, public JSON-RPC.
//!
//! | file | what |
//! |---|---|
//! | `files` | keys, genesis, a directory for each validator |
//! | `process` | one validator |
//! | `clock` | a clock for them that is ahead of the machine's |
//! | `rpc` | its JSON-RPC |
//! | `ethereum` | the Ethereum that they look at |
//! | `proxy` | makes their lines slow |

mod clock;
mod ethereum;
mod files;
mod process;
mod proxy;
mod rpc;

pub use self::{
    clock::Clock,
    files::{CHAIN_ID, Pace, Plan},
    process::Process,
    rpc::Rpc,
};

use self::{
    ethereum::Ethereum,
    files::{Peer, Seat},
    proxy::Proxy,
};
use crate::{
    error::{Error, within},
    progress::Progress,
};
use mileverse_primitives::rpc::Status;
use std::{
    path::Path,
    time::{Duration, Instant},
};
use tokio::time::sleep;

/// How often a validator is asked how far it is.
const GLANCE: Duration = Duration::from_millis(250);
/// Longest time for one block.
const PATIENCE: Duration = Duration::from_secs(60);

/// Most validators that run as processes of one machine.
pub const MOST_PROCESSES: u64 = 16;

/// Refuses a number of validators that no net here has.
pub fn check_validators(validators: usize) -> Result<(), Error> {
    match validators {
        1 => Ok(()),
        _ => within(
            "validators",
            validators as u64,
            (4, MOST_PROCESSES),
            ", or 1",
        ),
    }
}

/// The processes and how to reach them.
pub struct Net {
    /// The validators.
    pub processes: Vec<Process>,
    /// Their JSON-RPC.
    pub clients: Vec<Rpc>,
    seats: Vec<Seat>,
    _proxies: Vec<Proxy>,
    _ethereum: Ethereum,
}

impl Net {
    /// Writes the files of a planned net below `root` and starts its validators; every message
    /// between two of them takes `delay`.
    pub async fn start(root: &Path, plan: Plan, delay: Duration) -> Result<Self, Error> {
        let seats = plan.lay_out(root)?;
        let ethereum = Ethereum::start().await?;
        let mut proxies = Vec::new();
        for (me, seat) in seats.iter().enumerate() {
            let mut peers = Vec::new();
            for other in seats.iter().enumerate().filter(|(at, _)| *at != me) {
                let mut address = other.1.listen;
                if !delay.is_zero() {
                    let proxy = Proxy::start(address, delay).await?;
                    address = proxy.address;
                    proxies.push(proxy);
                }
                peers.push(Peer {
                    public_key: other.1.key,
                    address,
                });
            }
            seat.configure(&ethereum.url, peers)?;
        }
        let mut net = Self {
            processes: Vec::new(),
            clients: Vec::new(),
            seats,
            _proxies: proxies,
            _ethereum: ethereum,
        };
        net.run(None).await?;
        Ok(net)
    }

    async fn run(&mut self, clock: Option<&Clock>) -> Result<(), Error> {
        for (number, seat) in self.seats.iter().enumerate() {
            let (process, url) = Process::start(number, seat, clock).await?;
            self.processes.push(process);
            self.clients.push(Rpc::new(url)?);
        }
        Ok(())
    }

    /// Stops all of them, and starts them again where they were, with another clock.
    pub async fn restart(&mut self, clock: &Clock) -> Result<(), Error> {
        self.clients.clear();
        for process in self.processes.drain(..) {
            process.stop().await;
        }
        self.run(Some(clock)).await
    }

    /// Stops all of them in order.
    pub async fn stop(self) {
        for process in self.processes {
            process.stop().await;
        }
    }

    /// Processor time of all validators so far, seconds.
    pub fn cpu_seconds(&self) -> Option<f64> {
        self.processes.iter().map(Process::cpu_seconds).sum()
    }

    /// Memory of the largest validator now, mebibytes.
    pub fn rss_mib(&self) -> Option<u64> {
        self.processes.iter().filter_map(Process::rss_mib).max()
    }

    /// What all validators keep on disk now, bytes.
    pub fn stored_bytes(&self) -> u64 {
        self.processes.iter().map(Process::stored_bytes).sum()
    }

    /// The first validator's JSON-RPC.
    pub fn first(&self) -> Result<&Rpc, Error> {
        self.clients
            .first()
            .ok_or_else(|| Error::Setup("there is no validator".into()))
    }

    /// An error if a validator has ended.
    pub fn check(&mut self) -> Result<(), Error> {
        self.processes.iter_mut().try_for_each(Process::check)
    }

    /// Waits until the first validator is at `height`.
    pub async fn reach(
        &mut self,
        height: u64,
        progress: &Progress,
        what: &str,
    ) -> Result<Status, Error> {
        let first = self.first()?.clone();
        let mut newest = 0;
        let mut since = Instant::now();
        loop {
            self.check()?;
            let status = first.status().await?;
            if status.height >= height {
                return Ok(status);
            }
            if status.height > newest {
                newest = status.height;
                since = Instant::now();
            }
            if since.elapsed() > PATIENCE {
                let silent = self.processes.first().map(|process| {
                    process.complaint(&format!(
                        "no block after {newest} for {} s",
                        PATIENCE.as_secs()
                    ))
                });
                return Err(silent.unwrap_or_else(|| Error::Setup("there is no validator".into())));
            }
            progress.say(format!("{what}: block {newest} of {height}"));
            sleep(GLANCE).await;
        }
    }
}
