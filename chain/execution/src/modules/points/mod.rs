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
//! ```
//!
//! The supply is the sum of all balances, and of everything issued: points are never destroyed.
//! Those that left for Ethereum are in the bridge module's balance. A plain transfer to the zero
//! address or to a module is refused, so that this balance is exactly what is locked.

mod issue;
pub(crate) mod ledger;

use super::{
    Config, decode, erc20,
    host::{Fault, Host},
    slot::Slot,
};
use alloy::{
    primitives::{Address, U256},
    sol_types::SolCall,
};
use mileverse_primitives::{
    abi::IPoints::{self, IPointsCalls as Call},
    address::POINTS,
};

/// Longest calldata: three words.
pub(crate) const MAX_INPUT: usize = 4 + 3 * 32;

const BALANCES: Slot = Slot::at(POINTS, 0);
const ALLOWANCES: Slot = Slot::at(POINTS, 1);
const TOTAL_SUPPLY: Slot = Slot::at(POINTS, 2);
const TOTAL_ISSUED: Slot = Slot::at(POINTS, 3);
const ISSUED: Slot = Slot::at(POINTS, 4);
const QUOTA: Slot = Slot::at(POINTS, 5);
const ISSUE_DAY: Slot = Slot::at(POINTS, 6);
const ISSUED_ON_DAY: Slot = Slot::at(POINTS, 7);

const DECIMALS: u8 = 6;

pub(crate) fn genesis_storage(config: &Config) -> Vec<(Slot, U256)> {
    config
        .issuers
        .iter()
        .map(|issuer| (QUOTA.entry(issuer.address), issuer.daily_quota))
        .collect()
}

/// Both balances of a transfer, and what an issue writes.
pub(crate) fn expected_slots(caller: Address, data: &[u8]) -> Vec<(Address, U256)> {
    let slots = if let Ok(call) = IPoints::transferCall::abi_decode(data) {
        vec![BALANCES.entry(caller), BALANCES.entry(call.to)]
    } else if let Ok(call) = IPoints::issueCall::abi_decode(data) {
        vec![
            BALANCES.entry(call.to),
            TOTAL_SUPPLY,
            TOTAL_ISSUED,
            ISSUED.entry(call.conversionId),
            QUOTA.entry(caller),
            ISSUE_DAY.entry(caller),
            ISSUED_ON_DAY.entry(caller),
        ]
    } else {
        Vec::new()
    };
    slots
        .into_iter()
        .map(|slot| (slot.module(), slot.key()))
        .collect()
}

/// Where an account's points stand.
pub(crate) fn balance_slot(account: Address) -> (Address, U256) {
    let slot = BALANCES.entry(account);
    (slot.module(), slot.key())
}

pub(crate) fn call(host: &mut Host<'_>, data: &[u8]) -> Result<Vec<u8>, Fault> {
    host.not_payable()?;
    Ok(match decode::<Call>(data)? {
        Call::name(_) => IPoints::nameCall::abi_encode_returns(&"MileVerse Points".to_owned()),
        Call::symbol(_) => IPoints::symbolCall::abi_encode_returns(&"MVP".to_owned()),
        Call::decimals(_) => IPoints::decimalsCall::abi_encode_returns(&DECIMALS),
        Call::totalSupply(_) => {
            IPoints::totalSupplyCall::abi_encode_returns(&host.load(TOTAL_SUPPLY)?)
        }
        Call::totalIssued(_) => {
            IPoints::totalIssuedCall::abi_encode_returns(&host.load(TOTAL_ISSUED)?)
        }
        Call::balanceOf(call) => {
            let balance = ledger::balance(host, call.account)?;
            IPoints::balanceOfCall::abi_encode_returns(&balance)
        }
        Call::allowance(call) => {
            let allowance = host.load(ALLOWANCES.entry(call.owner).entry(call.spender))?;
            IPoints::allowanceCall::abi_encode_returns(&allowance)
        }
        Call::issued(call) => {
            let amount = host.load(ISSUED.entry(call.conversionId))?;
            IPoints::issuedCall::abi_encode_returns(&amount)
        }
        Call::quotaLeft(call) => {
            let left = issue::quota_left(host, call.issuer)?;
            IPoints::quotaLeftCall::abi_encode_returns(&left)
        }
        Call::transfer(call) => {
            host.may_change()?;
            erc20::check_receiver(call.to)?;
            ledger::transfer(host, host.caller(), call.to, call.amount)?;
            IPoints::transferCall::abi_encode_returns(&true)
        }
        Call::transferFrom(call) => {
            host.may_change()?;
            erc20::check_receiver(call.to)?;
            erc20::spend_allowance(host, ALLOWANCES, call.from, call.amount)?;
            ledger::transfer(host, call.from, call.to, call.amount)?;
            IPoints::transferFromCall::abi_encode_returns(&true)
        }
        Call::approve(call) => {
            host.may_change()?;
            erc20::approve(host, ALLOWANCES, call.spender, call.amount)?;
            IPoints::approveCall::abi_encode_returns(&true)
        }
        Call::issue(call) => {
            host.may_change()?;
            issue::issue(host, call.to, call.amount, call.conversionId)?;
            Vec::new()
        }
    })
}
