//! The verbs below `mileverse bench`.

use crate::{consensus, error::Error, gateway, relay, rewards, simulate, tps};
use clap::{Args, Subcommand};

/// Measure the chain, the relayer and the gateway, or try the chain in seeded simulations.
#[derive(Args, Debug)]
pub struct Command {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Blocks per second, finality and processor time of a committee.
    Consensus(consensus::Command),
    /// Transactions per second through public JSON-RPC.
    Tps(tps::Command),
    /// A quarter's close and its paying, in a net or on one node's execution and state database.
    Rewards(rewards::Command),
    /// Packets a minute and latency of the relayer, both ways.
    Relay(relay::Command),
    /// Conversions a second of the gateway, and the time it adds to each.
    Gateway(gateway::Command),
    /// Seeded simulations of whole nets in trouble.
    Simulate(simulate::Command),
}

/// Runs the verb.
pub fn run(command: Command) -> Result<(), Error> {
    match command.verb {
        Verb::Consensus(command) => consensus::run(&command),
        Verb::Tps(command) => tps::run(&command),
        Verb::Rewards(command) => rewards::run(&command),
        Verb::Relay(command) => relay::run(&command),
        Verb::Gateway(command) => gateway::run(&command),
        Verb::Simulate(command) => simulate::run(&command),
    }
}
