//! Fees: who else pays for gas. Operators of contracts deposit coin that pays a share of the base fee
//! of calls to them, and stake has some gas free. `IFees` at `0x4d56…0007`; `docs/fees.md` explains
//! the rules.
//!
//! ```txt
//! slot
//! 0    uint256                                   all deposits
//! 1    mapping(address => Operator)              contracts: operator | claimed << 160
//! 2    mapping(address => mapping(address => Sponsor))   deposits [contract][operator]:
//!                                                  +0  deposit | leaving << 128
//!                                                  +1  when leaving is ready; since when the next terms hold
//!                                                      (0: none are to come); share now, next
//!                                                  +2  most for a transaction | for a user in a day << 128
//!                                                  +3  the same of the next terms
//!                                                  +4  most in a day | of the next terms << 128
//!                                                  +5  Spent: day | amount << 128
//!                                                  +6  mapping(address => Spent), by user
//! 3    mapping(address => uint64 | uint64 << 64) free gas: window; used in it
//! ```
//!
//! Numbers side by side in a word begin with the lowest 64 bits, amounts are 128 bits.
//!
//! A deposit belongs to who made it, whoever is or becomes the operator: being the operator is nothing
//! but the right to pay. So a false operator could keep a contract's users from being paid for, and
//! could take nothing. Who it is:
//!
//! - the account that created the contract with CREATE claims it once, by the nonce that the address
//!   follows from;
//! - while it is not claimed, the contract's own call says it;
//! - the genesis file names it for a contract that it places;
//! - the operator hands over to another.
//!
//! Deposits are spent by the chain itself, around a transaction (`charge`): what it may cost at most is
//! taken before, and what it did not cost is put back after. Calls and charges meet in the same
//! words, so a call that withdraws within a transaction finds only what the transaction leaves.
//!
//! What holds after every block: `balance of the module >= all deposits`. A block after which this is
//! not so has no outcome.
//!
//! | file | idea |
//! |---|---|
//! | `operator` | who pays for calls to a contract |
//! | `sponsor` | a deposit, its terms, what it spent: storage |
//! | `deposit` | the operator's calls |
//! | `quota` | the free gas of stake |
//! | `charge` | what the executor asks and takes |
//! | `view` | what the module answers |
//!
//! Limits: [`MAX_INPUT`] bytes of calldata; every call touches a bounded number of words.

pub(crate) mod charge;
mod deposit;
mod operator;
pub(crate) mod quota;
mod refusal;
mod sponsor;
mod view;

use super::{
    decode,
    host::{Fault, Host},
    slot::Slot,
};
use alloy::{primitives::U256, sol_types::SolCall};
use mileverse_primitives::{
    abi::IFees::{self, IFeesCalls as Call},
    address::FEES,
};

/// Longest calldata: a contract and its terms.
pub(crate) const MAX_INPUT: usize = 4 + 5 * 32;

const DEPOSITS: Slot = Slot::at(FEES, 0);
const OPERATORS: Slot = Slot::at(FEES, 1);
const SPONSORS: Slot = Slot::at(FEES, 2);
const FREE_GAS: Slot = Slot::at(FEES, 3);

/// The books of the deposits contradict themselves: nothing may be built on this state.
fn broken() -> Fault {
    Fault::Fatal("the books of the deposits for gas do not balance".into())
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

pub(crate) use operator::genesis_storage;

pub(crate) fn call(host: &mut Host<'_>, data: &[u8]) -> Result<Vec<u8>, Fault> {
    let call = decode::<Call>(data)?;
    if !matches!(call, Call::deposit(_)) {
        host.not_payable()?;
    }
    Ok(match call {
        Call::rules(_) => IFees::rulesCall::abi_encode_returns(&view::rules(host)),
        Call::totalDeposits(_) => {
            IFees::totalDepositsCall::abi_encode_returns(&host.load(DEPOSITS)?)
        }
        Call::solvent(_) => IFees::solventCall::abi_encode_returns(&charge::is_solvent(host)?),
        Call::operatorOf(call) => {
            IFees::operatorOfCall::abi_encode_returns(&view::operator_of(host, call.callee)?)
        }
        Call::sponsor(call) => IFees::sponsorCall::abi_encode_returns(&view::sponsor(
            host,
            call.callee,
            call.operator,
        )?),
        Call::offer(call) => {
            IFees::offerCall::abi_encode_returns(&view::offer(host, call.callee, call.user)?)
        }
        Call::quota(call) => {
            IFees::quotaCall::abi_encode_returns(&view::quota(host, call.account)?)
        }
        Call::claim(call) => {
            host.may_change()?;
            operator::claim(host, call.callee, call.nonce)?;
            Vec::new()
        }
        Call::setOperator(call) => {
            host.may_change()?;
            operator::hand_over(host, call.callee, call.operator)?;
            Vec::new()
        }
        Call::deposit(call) => {
            host.may_change()?;
            deposit::deposit(host, call.callee)?;
            Vec::new()
        }
        Call::setTerms(call) => {
            host.may_change()?;
            deposit::set_terms(host, call.callee, &call.terms)?;
            Vec::new()
        }
        Call::announceWithdrawal(call) => {
            host.may_change()?;
            deposit::announce_withdrawal(host, call.callee, call.amount)?;
            Vec::new()
        }
        Call::withdraw(call) => {
            host.may_change()?;
            deposit::withdraw(host, call.callee)?;
            Vec::new()
        }
    })
}
