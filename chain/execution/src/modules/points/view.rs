//! The calls that change nothing.

use super::{
    ALLOWANCES, DECIMALS, DOMAIN, ISSUED, NAME, NONCES, QUOTA, TOTAL_BURNED, TOTAL_ISSUED,
    TOTAL_SUPPLY,
    authorization::{self, Kind},
    guardian, issue, ledger,
};
use crate::modules::{
    host::{Fault, Host},
    permit,
    typed_data::{DOMAIN_FIELDS, VERSION},
};
use alloy::{
    primitives::{B256, U256},
    sol_types::SolCall,
};
use mileverse_primitives::{
    abi::IPoints::{self, IPointsCalls as Call},
    address::POINTS,
};

/// The answer, if the call is a view.
pub(super) fn answer(host: &mut Host<'_>, call: &Call) -> Result<Option<Vec<u8>>, Fault> {
    Ok(Some(match call {
        Call::name(_) => IPoints::nameCall::abi_encode_returns(&NAME.to_owned()),
        Call::symbol(_) => IPoints::symbolCall::abi_encode_returns(&"MVP".to_owned()),
        Call::decimals(_) => IPoints::decimalsCall::abi_encode_returns(&DECIMALS),
        Call::totalSupply(_) => {
            IPoints::totalSupplyCall::abi_encode_returns(&host.load(TOTAL_SUPPLY)?)
        }
        Call::totalIssued(_) => {
            IPoints::totalIssuedCall::abi_encode_returns(&host.load(TOTAL_ISSUED)?)
        }
        Call::totalBurned(_) => {
            IPoints::totalBurnedCall::abi_encode_returns(&host.load(TOTAL_BURNED)?)
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
        Call::dailyQuota(call) => {
            let quota = host.load(QUOTA.entry(call.issuer))?;
            IPoints::dailyQuotaCall::abi_encode_returns(&quota)
        }
        Call::quotaLeft(call) => {
            let left = issue::quota_left(host, call.issuer)?;
            IPoints::quotaLeftCall::abi_encode_returns(&left)
        }
        Call::transferFee(call) => {
            let fee = host.config().points.fee(call.from, call.to, call.amount);
            IPoints::transferFeeCall::abi_encode_returns(&fee)
        }
        Call::feeReceiver(_) => {
            IPoints::feeReceiverCall::abi_encode_returns(&host.config().points.receiver())
        }
        Call::guardian(_) => {
            IPoints::guardianCall::abi_encode_returns(&host.config().points.given.guardian)
        }
        Call::issuingStopped(_) => {
            IPoints::issuingStoppedCall::abi_encode_returns(&guardian::is_stopped(host)?)
        }
        Call::issuerStopped(call) => {
            let stopped = guardian::is_issuer_stopped(host, call.issuer)?;
            IPoints::issuerStoppedCall::abi_encode_returns(&stopped)
        }
        other => return signing(host, other),
    }))
}

/// Views for those who sign.
fn signing(host: &mut Host<'_>, call: &Call) -> Result<Option<Vec<u8>>, Fault> {
    let chain_id = host.config().chain_id;
    Ok(Some(match call {
        Call::nonces(call) => {
            IPoints::noncesCall::abi_encode_returns(&host.load(NONCES.entry(call.owner))?)
        }
        Call::authorizationState(call) => {
            let spent = authorization::is_spent(host, call.authorizer, call.nonce)?;
            IPoints::authorizationStateCall::abi_encode_returns(&spent)
        }
        Call::DOMAIN_SEPARATOR(_) => {
            IPoints::DOMAIN_SEPARATORCall::abi_encode_returns(&DOMAIN.separator(chain_id))
        }
        Call::PERMIT_TYPEHASH(_) => {
            IPoints::PERMIT_TYPEHASHCall::abi_encode_returns(&permit::type_hash())
        }
        Call::TRANSFER_WITH_AUTHORIZATION_TYPEHASH(_) => {
            IPoints::TRANSFER_WITH_AUTHORIZATION_TYPEHASHCall::abi_encode_returns(
                &Kind::Transfer.type_hash(),
            )
        }
        Call::RECEIVE_WITH_AUTHORIZATION_TYPEHASH(_) => {
            IPoints::RECEIVE_WITH_AUTHORIZATION_TYPEHASHCall::abi_encode_returns(
                &Kind::Receive.type_hash(),
            )
        }
        Call::CANCEL_AUTHORIZATION_TYPEHASH(_) => {
            IPoints::CANCEL_AUTHORIZATION_TYPEHASHCall::abi_encode_returns(
                &authorization::cancel_type_hash(),
            )
        }
        Call::eip712Domain(_) => {
            IPoints::eip712DomainCall::abi_encode_returns(&IPoints::eip712DomainReturn {
                fields: [DOMAIN_FIELDS].into(),
                name: NAME.to_owned(),
                version: VERSION.to_owned(),
                chainId: U256::from(chain_id),
                verifyingContract: POINTS,
                salt: B256::ZERO,
                extensions: Vec::new(),
            })
        }
        _ => return Ok(None),
    }))
}
