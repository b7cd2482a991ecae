//! The coin (MVC) as an ERC-20: the native balances, seen by wallets and contracts that know only
//! tokens. `ICoin` at `0x4d56…0002`, 18 decimals.
//!
//! ```txt
//! slot
//! 0   mapping(address => mapping(address => uint256))   allowances [owner][spender]
//! 1   uint256                                           total supply
//! 2   mapping(address => uint256)                       nonces of permits, by owner
//! ```
//!
//! Balances are the accounts' own. Only the bridge makes and destroys coins, and only then does
//! the supply change: it is what was brought over from Ethereum and not sent back, with the coin
//! of the genesis as the first that was brought. Plain transfers
//! of value move coins without an event, as on Ethereum. A contract that destroys itself in
//! favour of itself loses its coins; they stay in the supply, and stay locked on Ethereum.

pub(crate) mod ledger;

use super::{
    Config, decode, erc20,
    host::{Fault, Host},
    permit::{self, Permit, Places},
    slot::Slot,
    typed_data::{DOMAIN_FIELDS, Domain, Signed, VERSION},
};
use alloy::{
    primitives::{B256, U256},
    sol_types::SolCall,
};
use mileverse_primitives::{
    abi::ICoin::{self, ICoinCalls as Call},
    address::COIN,
};

/// Longest calldata: a permit whose signature is bytes.
pub(crate) const MAX_INPUT: usize = 4 + 9 * 32;

const ALLOWANCES: Slot = Slot::at(COIN, 0);
const TOTAL_SUPPLY: Slot = Slot::at(COIN, 1);
/// Where the supply stands.
pub(crate) const SUPPLY: Slot = TOTAL_SUPPLY;

const NONCES: Slot = Slot::at(COIN, 2);

const NAME: &str = "MileVerse Coin";
const DECIMALS: u8 = 18;
const PERMITS: Places = Places {
    domain: Domain {
        name: NAME,
        module: COIN,
    },
    allowances: ALLOWANCES,
    nonces: NONCES,
};

/// The coin that exists from the start.
pub(crate) fn genesis_storage(config: &Config) -> Vec<(Slot, U256)> {
    vec![(TOTAL_SUPPLY, config.coins)]
}

pub(crate) fn call(host: &mut Host<'_>, data: &[u8]) -> Result<Vec<u8>, Fault> {
    host.not_payable()?;
    Ok(match decode::<Call>(data)? {
        Call::name(_) => ICoin::nameCall::abi_encode_returns(&NAME.to_owned()),
        Call::symbol(_) => ICoin::symbolCall::abi_encode_returns(&"MVC".to_owned()),
        Call::decimals(_) => ICoin::decimalsCall::abi_encode_returns(&DECIMALS),
        Call::totalSupply(_) => ICoin::totalSupplyCall::abi_encode_returns(&ledger::supply(host)?),
        Call::balanceOf(call) => {
            let balance = host.balance(call.account)?;
            ICoin::balanceOfCall::abi_encode_returns(&balance)
        }
        Call::allowance(call) => {
            let allowance = host.load(ALLOWANCES.entry(call.owner).entry(call.spender))?;
            ICoin::allowanceCall::abi_encode_returns(&allowance)
        }
        Call::transfer(call) => {
            host.may_change()?;
            erc20::check_receiver(call.to)?;
            ledger::transfer(host, host.caller(), call.to, call.amount)?;
            ICoin::transferCall::abi_encode_returns(&true)
        }
        Call::transferFrom(call) => {
            host.may_change()?;
            erc20::check_receiver(call.to)?;
            erc20::spend_allowance(host, ALLOWANCES, call.from, call.amount)?;
            ledger::transfer(host, call.from, call.to, call.amount)?;
            ICoin::transferFromCall::abi_encode_returns(&true)
        }
        Call::approve(call) => {
            host.may_change()?;
            erc20::approve(host, ALLOWANCES, host.caller(), call.spender, call.amount)?;
            ICoin::approveCall::abi_encode_returns(&true)
        }
        Call::permit_0(call) => {
            host.may_change()?;
            let permit = Permit {
                owner: call.owner,
                spender: call.spender,
                value: call.value,
                deadline: call.deadline,
            };
            permit::permit(host, PERMITS, permit, Signed::parts(call.v, call.r, call.s))?;
            Vec::new()
        }
        Call::permit_1(call) => {
            host.may_change()?;
            let permit = Permit {
                owner: call.owner,
                spender: call.spender,
                value: call.value,
                deadline: call.deadline,
            };
            permit::permit(host, PERMITS, permit, Signed::bytes(&call.signature))?;
            Vec::new()
        }
        Call::nonces(call) => {
            ICoin::noncesCall::abi_encode_returns(&host.load(NONCES.entry(call.owner))?)
        }
        Call::DOMAIN_SEPARATOR(_) => {
            let separator = PERMITS.domain.separator(host.config().chain_id);
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
                verifyingContract: COIN,
                salt: B256::ZERO,
                extensions: Vec::new(),
            })
        }
    })
}
