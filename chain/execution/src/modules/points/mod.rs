//! Points (MVP): the token that people spend. `IPoints` at `0x4d56…0001`, 6 decimals.
//!
//! ```txt
//! slot
//! 0   mapping(address => uint256)                       balances
//! 1   mapping(address => mapping(address => uint256))   allowances [owner][spender]
//! 2   uint256                                           total supply
//! 3   uint256                                           total issued
//! 4   mapping(bytes32 => uint256)                       issued, by conversion id
//! 5   mapping(address => uint256)                       daily quota, by issuer
//! 6   mapping(address => uint256)                       UTC day of the issuer's last issue
//! 7   mapping(address => uint256)                       issued on that day
//! 8   mapping(address => uint256)                       nonces of permits, by owner
//! 9   mapping(address => mapping(bytes32 => uint256))   spent authorizations [payer][nonce]: 1
//! 10  uint256                                           total burned
//! 11  uint256                                           1 while issuing is stopped
//! 12  mapping(address => uint256)                       1 while the issuer is stopped
//! ```
//!
//! The supply is the sum of all balances, and of everything issued less everything burned. Points
//! that left for Ethereum are in the bridge module's balance. A plain transfer to the zero
//! address or to a module is refused, so that this balance is exactly what is locked.
//!
//! | file | idea |
//! |---|---|
//! | `ledger` | balances: transfers with and without a fee, burns |
//! | `fee` | what a transfer costs |
//! | `issue` | making points |
//! | `guardian` | stopping that |
//! | `batch` | many transfers in one call |
//! | `authorization` | transfers signed by the payer, sent by anybody |

mod authorization;
mod batch;
mod fee;
mod guardian;
mod issue;
pub(crate) mod ledger;
mod view;

pub(crate) use fee::Rules;

use super::{
    Config, decode, erc20,
    host::{Fault, Host},
    permit::{self, Permit, Places},
    slot::Slot,
    typed_data::{Domain, Signed},
};
use alloy::{
    primitives::{Address, U256},
    sol_types::SolCall,
};
use authorization::{Authorization, Kind};
use mileverse_primitives::{
    abi::IPoints::{self, IPointsCalls as Call, Issue},
    address::POINTS,
};

/// Longest calldata: a full batch, of three words for each entry.
pub(crate) const MAX_INPUT: usize = 4 + 2 * 32 + batch::MAX_ENTRIES * 3 * 32;

const BALANCES: Slot = Slot::at(POINTS, 0);
const ALLOWANCES: Slot = Slot::at(POINTS, 1);
const TOTAL_SUPPLY: Slot = Slot::at(POINTS, 2);
const TOTAL_ISSUED: Slot = Slot::at(POINTS, 3);
const ISSUED: Slot = Slot::at(POINTS, 4);
const QUOTA: Slot = Slot::at(POINTS, 5);
const ISSUE_DAY: Slot = Slot::at(POINTS, 6);
const ISSUED_ON_DAY: Slot = Slot::at(POINTS, 7);
const NONCES: Slot = Slot::at(POINTS, 8);
const AUTHORIZATIONS: Slot = Slot::at(POINTS, 9);
const TOTAL_BURNED: Slot = Slot::at(POINTS, 10);
const ISSUING_STOPPED: Slot = Slot::at(POINTS, 11);
const ISSUER_STOPPED: Slot = Slot::at(POINTS, 12);

const NAME: &str = "MileVerse Points";
const DECIMALS: u8 = 6;
const DOMAIN: Domain = Domain {
    name: NAME,
    module: POINTS,
};
const PERMITS: Places = Places {
    domain: DOMAIN,
    allowances: ALLOWANCES,
    nonces: NONCES,
};

pub(crate) fn genesis_storage(config: &Config) -> Vec<(Slot, U256)> {
    config
        .issuers
        .iter()
        .map(|issuer| (QUOTA.entry(issuer.address), issuer.daily_quota))
        .collect()
}

/// Both balances of a transfer, and what an issue writes.
pub(crate) fn expected_slots(
    config: &Config,
    caller: Address,
    data: &[u8],
) -> Vec<(Address, U256)> {
    let issuing = || {
        [
            TOTAL_SUPPLY,
            TOTAL_ISSUED,
            QUOTA.entry(caller),
            ISSUE_DAY.entry(caller),
            ISSUED_ON_DAY.entry(caller),
            ISSUING_STOPPED,
            ISSUER_STOPPED.entry(caller),
        ]
        .into_iter()
    };
    let issued = |issue: &Issue| [BALANCES.entry(issue.to), ISSUED.entry(issue.conversionId)];
    let receiver = config.points.receiver();
    let paying = || [BALANCES.entry(caller), BALANCES.entry(receiver)].into_iter();
    let slots: Vec<Slot> = if let Ok(call) = IPoints::transferCall::abi_decode(data) {
        paying().chain([BALANCES.entry(call.to)]).collect()
    } else if let Ok(call) = IPoints::issueCall::abi_decode(data) {
        issuing().chain(issued(&to_issue(&call))).collect()
    } else if let Ok(call) = IPoints::transferBatchCall::abi_decode(data) {
        let entries = call.moves.iter().take(batch::MAX_ENTRIES);
        paying()
            .chain(entries.map(|one| BALANCES.entry(one.to)))
            .collect()
    } else if let Ok(call) = IPoints::issueBatchCall::abi_decode(data) {
        let entries = call.issues.iter().take(batch::MAX_ENTRIES);
        issuing().chain(entries.flat_map(issued)).collect()
    } else {
        Vec::new()
    };
    slots
        .into_iter()
        .map(|slot| (slot.module(), slot.key()))
        .collect()
}

/// Where an account's points stand, in micro-points: the module, and the word of its storage. A word that is zero
/// stands nowhere.
pub fn balance_slot(account: Address) -> (Address, U256) {
    let slot = BALANCES.entry(account);
    (slot.module(), slot.key())
}

const fn to_issue(call: &IPoints::issueCall) -> Issue {
    Issue {
        to: call.to,
        amount: call.amount,
        conversionId: call.conversionId,
    }
}

pub(crate) fn call(host: &mut Host<'_>, data: &[u8]) -> Result<Vec<u8>, Fault> {
    host.not_payable()?;
    let call = decode::<Call>(data)?;
    match view::answer(host, &call)? {
        Some(answer) => Ok(answer),
        None => {
            host.may_change()?;
            change(host, call)
        }
    }
}

/// The calls that change something.
fn change(host: &mut Host<'_>, call: Call) -> Result<Vec<u8>, Fault> {
    let caller = host.caller();
    match call {
        Call::transfer(call) => {
            ledger::pay(host, caller, call.to, call.amount)?;
            return Ok(IPoints::transferCall::abi_encode_returns(&true));
        }
        Call::transferWithMemo(call) => {
            ledger::pay(host, caller, call.to, call.amount)?;
            ledger::remark(host, caller, call.to, call.memo, call.amount)?;
            return Ok(IPoints::transferWithMemoCall::abi_encode_returns(&true));
        }
        Call::transferFrom(call) => {
            erc20::spend_allowance(host, ALLOWANCES, call.from, call.amount)?;
            ledger::pay(host, call.from, call.to, call.amount)?;
            return Ok(IPoints::transferFromCall::abi_encode_returns(&true));
        }
        Call::transferFromWithMemo(call) => {
            erc20::spend_allowance(host, ALLOWANCES, call.from, call.amount)?;
            ledger::pay(host, call.from, call.to, call.amount)?;
            ledger::remark(host, call.from, call.to, call.memo, call.amount)?;
            return Ok(IPoints::transferFromWithMemoCall::abi_encode_returns(&true));
        }
        Call::transferBatch(call) => {
            let done = batch::transfer(host, &call.moves)?;
            return Ok(IPoints::transferBatchCall::abi_encode_returns(&U256::from(
                done,
            )));
        }
        Call::approve(call) => {
            erc20::approve(host, ALLOWANCES, caller, call.spender, call.amount)?;
            return Ok(IPoints::approveCall::abi_encode_returns(&true));
        }
        Call::issueBatch(call) => {
            let done = issue::issue_batch(host, &call.issues)?;
            return Ok(IPoints::issueBatchCall::abi_encode_returns(&U256::from(
                done,
            )));
        }
        Call::issue(call) => issue::issue(host, &to_issue(&call))?,
        Call::burn(call) => ledger::burn(host, caller, call.amount)?,
        Call::stopIssuing(_) => guardian::stop_all(host, true)?,
        Call::resumeIssuing(_) => guardian::stop_all(host, false)?,
        Call::stopIssuer(call) => guardian::stop_one(host, call.issuer, true)?,
        Call::resumeIssuer(call) => guardian::stop_one(host, call.issuer, false)?,
        other => signed(host, other)?,
    }
    Ok(Vec::new())
}

/// The calls that somebody else signed.
fn signed(host: &mut Host<'_>, call: Call) -> Result<(), Fault> {
    macro_rules! authorized {
        ($call:ident) => {
            Authorization {
                from: $call.from,
                to: $call.to,
                value: $call.value,
                valid_after: $call.validAfter,
                valid_before: $call.validBefore,
                nonce: $call.nonce,
            }
        };
    }
    macro_rules! permitted {
        ($call:ident) => {
            Permit {
                owner: $call.owner,
                spender: $call.spender,
                value: $call.value,
                deadline: $call.deadline,
            }
        };
    }
    match call {
        Call::permit_0(call) => {
            let signed = Signed::parts(call.v, call.r, call.s);
            permit::permit(host, PERMITS, permitted!(call), signed)
        }
        Call::permit_1(call) => {
            let signed = Signed::bytes(&call.signature);
            permit::permit(host, PERMITS, permitted!(call), signed)
        }
        Call::transferWithAuthorization_0(call) => {
            let signed = Signed::parts(call.v, call.r, call.s);
            authorization::transfer(host, Kind::Transfer, authorized!(call), signed)
        }
        Call::transferWithAuthorization_1(call) => {
            let signed = Signed::bytes(&call.signature);
            authorization::transfer(host, Kind::Transfer, authorized!(call), signed)
        }
        Call::receiveWithAuthorization_0(call) => {
            let signed = Signed::parts(call.v, call.r, call.s);
            authorization::transfer(host, Kind::Receive, authorized!(call), signed)
        }
        Call::receiveWithAuthorization_1(call) => {
            let signed = Signed::bytes(&call.signature);
            authorization::transfer(host, Kind::Receive, authorized!(call), signed)
        }
        Call::cancelAuthorization_0(call) => {
            let signed = Signed::parts(call.v, call.r, call.s);
            authorization::cancel(host, call.authorizer, call.nonce, signed)
        }
        Call::cancelAuthorization_1(call) => {
            let signed = Signed::bytes(&call.signature);
            authorization::cancel(host, call.authorizer, call.nonce, signed)
        }
        // Every other call was a view, or is in `change`.
        _ => Err(Fault::revert(
            "calldata is not a call that this module knows",
        )),
    }
}
