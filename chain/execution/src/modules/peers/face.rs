//! A peer's points on this chain: an ERC-20 with permits (`ICoin`), at `0x4d57 ‖ 0… ‖ chain id`.
//!
//! ```txt
//! slot, in the token's own account
//! 0   mapping(address => uint256)                       balances
//! 1   mapping(address => mapping(address => uint256))   allowances [owner][spender]
//! 2   uint256                                           total supply
//! 3   mapping(address => uint256)                       nonces of permits, by owner
//! ```
//!
//! Only packets make and destroy them. They have 6 decimals, as at home; a transfer of them costs
//! nothing but gas. The name is the same for all peers' points, and the symbol bears the chain id; a
//! permit is bound to the token by its address.

use crate::modules::{
    decode, erc20,
    host::{Fault, Host},
    permit::{self, Permit, Places},
    slot::Slot,
    typed_data::{DOMAIN_FIELDS, Domain, Signed, VERSION},
};
use alloy::{
    primitives::{Address, B256, U256},
    sol_types::SolCall,
};
use mileverse_primitives::{
    abi::ICoin::{self, ICoinCalls as Call},
    address::peer_of_points,
};

/// Longest calldata: a permit whose signature is bytes.
pub(crate) const MAX_INPUT: usize = 4 + 9 * 32;

const NAME: &str = "MileVerse Peer Points";
const DECIMALS: u8 = 6;

const BALANCES: u64 = 0;
const ALLOWANCES: u64 = 1;
const SUPPLY: u64 = 2;
const NONCES: u64 = 3;

const fn balances(token: Address) -> Slot {
    Slot::at(token, BALANCES)
}

const fn allowances(token: Address) -> Slot {
    Slot::at(token, ALLOWANCES)
}

const fn places(token: Address) -> Places {
    Places {
        domain: Domain {
            name: NAME,
            module: token,
        },
        allowances: allowances(token),
        nonces: Slot::at(token, NONCES),
    }
}

pub(crate) fn supply(host: &mut Host<'_>, token: Address) -> Result<U256, Fault> {
    host.load(Slot::at(token, SUPPLY))
}

pub(crate) fn balance(
    host: &mut Host<'_>,
    token: Address,
    account: Address,
) -> Result<U256, Fault> {
    host.load(balances(token).entry(account))
}

/// Makes points that were locked at home.
pub(crate) fn mint(
    host: &mut Host<'_>,
    token: Address,
    to: Address,
    amount: U256,
) -> Result<(), Fault> {
    host.add(Slot::at(token, SUPPLY), amount)?;
    host.add(balances(token).entry(to), amount)?;
    erc20::announce(host, token, Address::ZERO, to, amount)
}

/// Destroys points that go home.
pub(crate) fn burn(
    host: &mut Host<'_>,
    token: Address,
    from: Address,
    amount: U256,
) -> Result<(), Fault> {
    host.subtract(balances(token).entry(from), amount, TOO_FEW)?;
    host.subtract(
        Slot::at(token, SUPPLY),
        amount,
        "more points would be destroyed than exist",
    )?;
    erc20::announce(host, token, from, Address::ZERO, amount)
}

const TOO_FEW: &str = "the balance of the peer's points is below this amount";

fn transfer(
    host: &mut Host<'_>,
    token: Address,
    from: Address,
    to: Address,
    amount: U256,
) -> Result<(), Fault> {
    host.subtract(balances(token).entry(from), amount, TOO_FEW)?;
    host.add(balances(token).entry(to), amount)?;
    erc20::announce(host, token, from, to, amount)
}

pub(crate) fn call(host: &mut Host<'_>, data: &[u8]) -> Result<Vec<u8>, Fault> {
    host.not_payable()?;
    let token = host.callee();
    let peer = peer_of_points(token).unwrap_or_default();
    super::registry::link(host, peer)?;
    let call = decode::<Call>(data)?;
    if let Some(answer) = view(host, token, peer, &call)? {
        return Ok(answer);
    }
    host.may_change()?;
    change(host, token, call)
}

/// What the views answer; `None` for a call that changes something.
fn view(
    host: &mut Host<'_>,
    token: Address,
    peer: u64,
    call: &Call,
) -> Result<Option<Vec<u8>>, Fault> {
    Ok(Some(match call {
        Call::name(_) => ICoin::nameCall::abi_encode_returns(&NAME.to_owned()),
        Call::symbol(_) => ICoin::symbolCall::abi_encode_returns(&format!("MVP.{peer}")),
        Call::decimals(_) => ICoin::decimalsCall::abi_encode_returns(&DECIMALS),
        Call::totalSupply(_) => ICoin::totalSupplyCall::abi_encode_returns(&supply(host, token)?),
        Call::balanceOf(call) => {
            ICoin::balanceOfCall::abi_encode_returns(&balance(host, token, call.account)?)
        }
        Call::allowance(call) => {
            let slot = allowances(token).entry(call.owner).entry(call.spender);
            ICoin::allowanceCall::abi_encode_returns(&host.load(slot)?)
        }
        Call::nonces(call) => {
            let slot = places(token).nonces.entry(call.owner);
            ICoin::noncesCall::abi_encode_returns(&host.load(slot)?)
        }
        Call::DOMAIN_SEPARATOR(_) => {
            let separator = places(token).domain.separator(host.config().chain_id);
            ICoin::DOMAIN_SEPARATORCall::abi_encode_returns(&separator)
        }
        Call::PERMIT_TYPEHASH(_) => {
            ICoin::PERMIT_TYPEHASHCall::abi_encode_returns(&permit::type_hash())
        }
        Call::eip712Domain(_) => {
            ICoin::eip712DomainCall::abi_encode_returns(&ICoin::eip712DomainReturn {
                fields: [DOMAIN_FIELDS].into(),
                name: NAME.to_owned(),
                version: VERSION.to_owned(),
                chainId: U256::from(host.config().chain_id),
                verifyingContract: token,
                salt: B256::ZERO,
                extensions: Vec::new(),
            })
        }
        _ => return Ok(None),
    }))
}

fn change(host: &mut Host<'_>, token: Address, call: Call) -> Result<Vec<u8>, Fault> {
    let caller = host.caller();
    match call {
        Call::transfer(call) => {
            erc20::check_receiver(call.to)?;
            transfer(host, token, caller, call.to, call.amount)?;
            Ok(ICoin::transferCall::abi_encode_returns(&true))
        }
        Call::transferFrom(call) => {
            erc20::check_receiver(call.to)?;
            erc20::spend_allowance(host, allowances(token), call.from, call.amount)?;
            transfer(host, token, call.from, call.to, call.amount)?;
            Ok(ICoin::transferFromCall::abi_encode_returns(&true))
        }
        Call::approve(call) => {
            erc20::approve(host, allowances(token), caller, call.spender, call.amount)?;
            Ok(ICoin::approveCall::abi_encode_returns(&true))
        }
        Call::permit_0(call) => {
            let permit = Permit {
                owner: call.owner,
                spender: call.spender,
                value: call.value,
                deadline: call.deadline,
            };
            let signed = Signed::parts(call.v, call.r, call.s);
            permit::permit(host, places(token), permit, signed)?;
            Ok(Vec::new())
        }
        Call::permit_1(call) => {
            let permit = Permit {
                owner: call.owner,
                spender: call.spender,
                value: call.value,
                deadline: call.deadline,
            };
            let signed = Signed::bytes(&call.signature);
            permit::permit(host, places(token), permit, signed)?;
            Ok(Vec::new())
        }
        // Every other call is a view.
        _ => Err(Fault::revert(
            "calldata is not a call that this module knows",
        )),
    }
}
