//! Shares of the pots on Ethereum, on a chain whose rewards have a source there.
//!
//! ```txt
//! Ethereum       pot -> share = pot x locked / eligible there           `QuarterlyRewards.forward`
//!   packet       sender: the source; receiver: the quarter's account, which also says `locked`
//! here           pot = share x eligible here / locked                   `came`
//! ```
//!
//! `locked` is the coin that the bridge held on Ethereum at the close: all coin here, and what was on
//! its way. So a coin earns the same on both sides. What of a share falls to coin that does not earn
//! here, or was on its way, stays in the pool; nobody else gets it.
//!
//! No coin counts on both sides. Coin that comes here after the close was sent from Ethereum long
//! before it arrives, so what left there after its close arrives after ours. The other way takes only
//! a moment, and the clocks of two chains differ by seconds: so for [`QUIET_SECONDS`] after a quarter's
//! end no coin leaves.
//!
//! A transfer to a quarter's account is refused, and refunded at home, unless the source sent it, and
//! the quarter is closed and has no share yet.

use super::{
    close, pay, plus,
    pool::{self, Owed},
    record::Record,
    refusal::Refusal,
};
use crate::modules::host::{Fault, Host};
use alloy::primitives::{Address, U256};
use mileverse_primitives::{
    abi::IRewards, address::REWARDS, quarter::Quarter, rewards::QuarterAccount,
};

/// How long after a quarter's end no coin leaves, in seconds of block time. A block of Ethereum with a
/// time before the end is seen by everybody, or never, a slot of twelve seconds later.
const QUIET_SECONDS: u64 = 60;

/// Whether a transfer of coin by `sender` to this account is the share that its quarter waits for.
pub(crate) fn is_due(
    host: &mut Host<'_>,
    sender: Address,
    account: QuarterAccount,
) -> Result<bool, Fault> {
    if host.config().rewards.source != Some(sender) || account.locked == 0 {
        return Ok(false);
    }
    let record = Record::load(host, account.quarter.number())?;
    Ok(record.closed > 0 && record.locked == 0)
}

/// A quarter's share, which [`is_due`], stands in the module's account by now.
pub(crate) fn came(
    host: &mut Host<'_>,
    account: QuarterAccount,
    amount: U256,
) -> Result<(), Fault> {
    let quarter = account.quarter.number();
    let mut record = close::record(host, quarter)?;
    record.share = super::amount(amount)?;
    record.locked = account.locked;
    // More earns here than was locked there only on a chain whose coin nobody locked.
    record.pot = pay::share(
        record.share,
        record.eligible.min(record.locked),
        record.locked,
    )?;
    record.save(host, quarter)?;
    let mut owed = Owed::load(host)?;
    owed.reserved = plus(owed.reserved, record.pot)?;
    let balance = pool::balance(host)?;
    owed.available(balance)?;
    owed.save(host)?;
    let (share, pot) = (amount, U256::from(record.pot));
    host.log(
        REWARDS,
        &IRewards::ShareCame {
            quarter,
            share,
            pot,
        },
    )
}

/// Refuses coin that would leave right after a quarter's end, on a chain with a source.
pub(crate) fn may_leave(host: &Host<'_>) -> Result<(), Fault> {
    if host.config().rewards.source.is_none() {
        return Ok(());
    }
    let now_ms = host.now().saturating_mul(1_000);
    let begun = Quarter::containing(now_ms).and_then(Quarter::begins_ms);
    let quiet_until = begun.map_or(0, |begun| (begun / 1_000).saturating_add(QUIET_SECONDS));
    if host.now() < quiet_until {
        return Err(Refusal::QuarterJustEnded(quiet_until).into());
    }
    Ok(())
}
