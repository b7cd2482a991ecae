//! Quarterly rewards: everyone who holds MVC is paid, by the chain itself. `IRewards` at
//! `0x4d56…0006`; `docs/rewards.md` explains the rules.
//!
//! ```txt
//! slot
//! 0    Clock                                 quarter under way; height of the last close;
//!                                            oldest quarter that is closed and not paid to everybody;
//!                                            number of the holder that is visited next
//! 1    uint64 | uint64 << 64                 holders numbered so far; at the last close
//! 2    uint128 | uint128 << 128              coin reserved for quarters being paid; carried for holders
//! 3    mapping(uint64 => address)            holders by number, from 1, in the order in which they came
//! 4    mapping(address => Holder):
//!                                              +0  number; height of the close for which the balance, and
//!                                                  for which the stake was written down last;
//!                                                  flags (1 staked once, 2 carries, 4 was on the list)
//!                                              +1  carried
//!                                              +2  mapping(height => Written): balance at a close
//!                                              +3  mapping(height => Written): stake at a close
//!                                                  amount | height written before << 128 | 1 << 255
//!                                              +4  mapping(quarter % 8 => quarter | amount earned << 128)
//! 5    mapping(uint64 => Record): quarters:
//!                                              +0  close: height, time; height when paid; holders
//!                                              +1  pot | eligible << 128
//!                                              +2  paid | carried << 128
//!                                              +3  released | credited << 128 | waiting << 192
//!                                                  | pool had the next pot << 255
//!                                              +4  share from Ethereum | coin locked there << 128
//! 6    uint64                                accounts on the list
//! 7    mapping(uint64 => address)            the list, by index from 0
//! 8    mapping(address => Exclusion)         height since which; until which; 1 excluded, 2 readmitted
//! ```
//!
//! Numbers side by side in a word begin with the lowest 64 bits, amounts are 128 bits.
//!
//! The course of it:
//!
//! ```txt
//! block's begin   the quarter is over? close it: pot, eligible coin, number of holders   (`close`)
//!                 some quarter is closed and unpaid? visit the next holders, pay them    (`pay`)
//! transactions    an account's stake is about to change: write down what it was        (`remember`)
//! block's end     for each account whose coin the block changed: write down what it had
//!                 before the block, and number it if it is new                         (`remember`)
//! ```
//!
//! Something is written down only while it is needed: once for each account and close, when the
//! account first changes after the close and was not paid for it yet. What an account had at a close
//! is the oldest value written down for that close or a later one, or else what it has.
//!
//! With `source` in the genesis file a quarter's pot is fixed, and paid, when its share has come from
//! Ethereum (`share`); otherwise it comes out of the pool at the close.
//!
//! What holds after every block: `balance of the module >= reserved + carried`; for each quarter
//! `paid + carried <= pot`. A block after which this is not so has no outcome.
//!
//! Limits: [`MAX_INPUT`] bytes of calldata; `holdersPerBlock` holders visited by a block, each with a
//! bounded number of words (three if it never staked and did not move); [`close::MAX_CLOSES`] quarters
//! closed by a block; [`MAX_EXCLUDED`](mileverse_primitives::rewards::MAX_EXCLUDED) accounts on the
//! list, each read at a close.

mod ahead;
pub(crate) mod block;
mod clock;
mod close;
mod exclusion;
pub(crate) mod genesis;
pub(crate) mod holder;
mod holding;
mod pay;
mod pool;
pub(crate) mod read;
mod record;
mod refusal;
pub(crate) mod remember;
pub(crate) mod share;
mod view;

use super::{
    bridge::governance,
    decode,
    host::{Fault, Host},
    slot::Slot,
};
use alloy::{
    primitives::{Address, U256},
    sol_types::SolCall,
};
use mileverse_primitives::{
    abi::IRewards::{self, IRewardsCalls as Call},
    address::REWARDS,
};
use refusal::Refusal;

/// Longest calldata: two words.
pub(crate) const MAX_INPUT: usize = 4 + 2 * 32;

const CLOCK: Slot = Slot::at(REWARDS, 0);
const NUMBERS: Slot = Slot::at(REWARDS, 1);
const OWED: Slot = Slot::at(REWARDS, 2);
const NUMBERED: Slot = Slot::at(REWARDS, 3);
const HOLDERS: Slot = Slot::at(REWARDS, 4);
const RECORDS: Slot = Slot::at(REWARDS, 5);
const LIST_LENGTH: Slot = Slot::at(REWARDS, 6);
const LIST: Slot = Slot::at(REWARDS, 7);
const EXCLUSIONS: Slot = Slot::at(REWARDS, 8);

/// The books of the rewards contradict themselves: nothing may be built on this state.
fn broken() -> Fault {
    Fault::Fatal("the books of the rewards do not balance".into())
}

/// Sum of amounts.
fn plus(a: u128, b: u128) -> Result<u128, Fault> {
    a.checked_add(b).ok_or_else(broken)
}

/// Difference of amounts that the books say is not negative.
fn minus(a: u128, b: u128) -> Result<u128, Fault> {
    a.checked_sub(b).ok_or_else(broken)
}

/// An amount of coin; all there is fits in 92 bits.
fn amount(word: U256) -> Result<u128, Fault> {
    word.try_into().map_err(|_| broken())
}

/// What a call to the staking module is sure to touch here.
pub(crate) fn expected_slots(caller: Address) -> Vec<(Address, U256)> {
    [CLOCK, HOLDERS.entry(caller)]
        .map(|slot| (slot.module(), slot.key()))
        .into()
}

/// Whether calldata is a call to this module that is the governor's, who announces it at the bridge.
pub(crate) fn is_governed(data: &[u8]) -> bool {
    matches!(
        decode::<Call>(data),
        Ok(Call::exclude(_) | Call::readmit(_))
    )
}

pub(crate) fn call(host: &mut Host<'_>, data: &[u8]) -> Result<Vec<u8>, Fault> {
    let call = decode::<Call>(data)?;
    if !matches!(call, Call::fund(_)) {
        host.not_payable()?;
    }
    Ok(match call {
        Call::rules(_) => IRewards::rulesCall::abi_encode_returns(&view::rules(host)),
        Call::pool(_) => IRewards::poolCall::abi_encode_returns(&view::pool(host)?),
        Call::solvent(_) => IRewards::solventCall::abi_encode_returns(&view::is_solvent(host)?),
        Call::standing(_) => IRewards::standingCall::abi_encode_returns(&view::standing(host)?),
        Call::report(call) => {
            IRewards::reportCall::abi_encode_returns(&view::report(host, call.quarter)?)
        }
        Call::holder(call) => {
            IRewards::holderCall::abi_encode_returns(&view::holder(host, call.account)?)
        }
        Call::earned(call) => {
            let amount = holder::earned(host, call.account, call.quarter)?;
            IRewards::earnedCall::abi_encode_returns(&U256::from(amount))
        }
        Call::preview(call) => {
            IRewards::previewCall::abi_encode_returns(&view::preview(host, call.account)?)
        }
        Call::excluded(_) => IRewards::excludedCall::abi_encode_returns(&exclusion::list(host)?),
        Call::fund(_) => {
            host.may_change()?;
            fund(host)?;
            Vec::new()
        }
        Call::exclude(call) => {
            host.may_change()?;
            governance::take_turn(host, data)?;
            let (account, height) = (call.account, host.height());
            exclusion::exclude(host, account, height)?;
            host.log(REWARDS, &IRewards::Excluded { account })?;
            Vec::new()
        }
        Call::readmit(call) => {
            host.may_change()?;
            governance::take_turn(host, data)?;
            let (account, height) = (call.account, host.height());
            exclusion::readmit(host, account, height)?;
            host.log(REWARDS, &IRewards::Readmitted { account })?;
            Vec::new()
        }
    })
}

/// The value stands in this module's account by now, and whatever is not owed there is the pool.
fn fund(host: &mut Host<'_>) -> Result<(), Fault> {
    let amount = host.value();
    if amount.is_zero() {
        return Err(Refusal::NothingGiven.into());
    }
    let from = host.caller();
    host.log(REWARDS, &IRewards::Funded { from, amount })
}
