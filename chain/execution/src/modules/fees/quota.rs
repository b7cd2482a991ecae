//! The free gas of stake (the virtual step).
//!
//! A window is `freeGasEpochs` epochs. In each an account has `freeGasPerCoin` gas for every whole
//! coin of stake, voted or not; what unbonds does not count. What was used is stored with its
//! window, so another window finds it unused. Stake takes at least a window to be free, so the same
//! coin never counts for two accounts in one window.

use super::FREE_GAS;
use crate::modules::{
    Config,
    host::Fault,
    ledger::Ledger,
    staking::{counted, word::limbs},
};
use alloy::primitives::Address;

/// What an account has free in the window under way.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Quota {
    /// All of it.
    pub(crate) gas: u64,
    /// What is used.
    pub(crate) used: u64,
}

impl Quota {
    /// The quota of an account in a block at `height`.
    pub(crate) fn load(
        ledger: &mut impl Ledger,
        config: &Config,
        account: Address,
        height: u64,
    ) -> Result<Self, Fault> {
        if !config.fees.has_free_gas() {
            return Ok(Self::default());
        }
        let stake = counted::staked(ledger, account, height)?;
        let used = used(ledger, account, window(config, height))?;
        Ok(Self {
            gas: config.fees.quota(stake),
            used,
        })
    }

    /// What is left; nothing if stake was slashed or taken out below what is used.
    pub(crate) const fn left(self) -> u64 {
        self.gas.saturating_sub(self.used)
    }
}

/// The window that a height lies in.
pub(super) const fn window(config: &Config, height: u64) -> u64 {
    height / blocks(config)
}

/// Blocks of a window.
pub(super) const fn blocks(config: &Config) -> u64 {
    let blocks = config
        .epoch_blocks
        .saturating_mul(config.fees.free_gas_epochs);
    if blocks == 0 { 1 } else { blocks }
}

fn used(ledger: &mut impl Ledger, account: Address, window: u64) -> Result<u64, Fault> {
    let [stored, used, ..] = *ledger.load(FREE_GAS.entry(account))?.as_limbs();
    Ok(if stored == window { used } else { 0 })
}

/// Notes gas that was used.
pub(crate) fn take(
    ledger: &mut impl Ledger,
    config: &Config,
    account: Address,
    height: u64,
    gas: u64,
) -> Result<(), Fault> {
    let window = window(config, height);
    let sum = used(ledger, account, window)?.saturating_add(gas);
    ledger.store(FREE_GAS.entry(account), limbs([window, sum, 0, 0]))
}
