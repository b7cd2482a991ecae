//! What `mileverse up` can be told.

use std::path::PathBuf;
use url::Url;

/// Start the whole system on this machine and play the journey of a mile.
#[derive(Clone, Debug, clap::Args)]
pub struct Command {
    /// Where all state lives; starting again with the same directory resumes.
    #[arg(long, value_name = "DIR", default_value = "./.mileverse")]
    pub data_dir: PathBuf,
    /// End after the journey: exit code 0 only if every step came true and every sum balances.
    #[arg(long)]
    pub once: bool,
    /// Print one JSON object with the same facts as the last line of stdout.
    #[arg(long)]
    pub json: bool,
    /// Use this Ethereum node instead of starting anvil.
    #[arg(long, value_name = "URL", requires = "deployer_key_file")]
    pub ethereum_rpc: Option<Url>,
    /// File with the hex private key that deploys the contracts and pays for the sample accounts.
    #[arg(long, value_name = "FILE", requires = "ethereum_rpc")]
    pub deployer_key_file: Option<PathBuf>,
    /// How many validators the native chain has: one can fail from four on.
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u8).range(4..=16))]
    pub validators: u8,
    /// Let gas outside of the points lane cost so much of the coin's smallest unit; chosen when the
    /// directory is made, free if left out.
    #[arg(long, value_name = "UNITS", value_parser = clap::value_parser!(u64).range(0..=1_000_000_000_000_000))]
    pub base_price: Option<u64>,
}
