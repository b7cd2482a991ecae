//! Puts the contracts on an Ethereum chain, in the one order that works.
//!
//! ```txt
//! LightClient(group key, native chain id)
//! Lockup(team), Lockup(advisor)              2 % a month from the start given
//! MileVerseCoin(allocation)                  adds up to the supply, exactly
//! Bridge(light client, coin)                 deploys WrappedPoints itself: each knows the other
//! ```
//!
//! Each step waits for its receipt. Nothing is resumed: a deployment that stopped halfway holds no
//! money, and the next one starts anew.

use alloy::{
    contract::Error as ContractError,
    primitives::{Address, Bytes, U256},
    providers::Provider,
};
use thiserror::Error;

use crate::{Bridge, LightClient, Lockup, MileVerseCoin};

/// Bytes of a group key: a G2 point, uncompressed, as EIP-2537 has it.
pub const GROUP_KEY_LENGTH: usize = 256;

/// One whole MVC in its smallest unit.
const COIN: u64 = 1_000_000_000_000_000_000;
/// One percent of the supply, in whole MVC.
const PERCENT: u64 = 30_000_000;

/// Why a deployment stopped.
#[derive(Debug, Error)]
pub enum DeployError {
    /// The key has another length.
    #[error(
        "a group key is {GROUP_KEY_LENGTH} bytes, this one is {0}; give the uncompressed G2 point from the genesis"
    )]
    KeyLength(usize),
    /// A tranche has no owner.
    #[error("the {0} tranche of MVC has no account; name one that is not zero")]
    ZeroAccount(&'static str),
    /// The chain refused a deployment, or could not be asked.
    #[error(
        "the {contract} contract could not be deployed; check that the Ethereum node answers, knows EIP-2537, and that the deployer has ether: {source}"
    )]
    Contract {
        /// Which contract.
        contract: &'static str,
        /// What the node said.
        source: Box<ContractError>,
    },
}

/// Who owns the six tranches of MVC at first. One account may own several.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Tranches {
    /// 30 %: 900,000,000 MVC.
    pub sale: Address,
    /// 15 %: 450,000,000 MVC, under lock-up.
    pub team: Address,
    /// 10 %: 300,000,000 MVC.
    pub partner: Address,
    /// 3 %: 90,000,000 MVC, under lock-up.
    pub advisor: Address,
    /// 10 %: 300,000,000 MVC.
    pub marketing: Address,
    /// 32 %: 960,000,000 MVC.
    pub reserved: Address,
    /// When the first month of the two lock-ups begins, in seconds since 1970.
    pub lockup_start: u64,
}

/// Where everything is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Deployment {
    /// Checks the native chain's certificates.
    pub light_client: Address,
    /// MVC.
    pub coin: Address,
    /// The bridge.
    pub bridge: Address,
    /// MVP on Ethereum.
    pub points: Address,
    /// Holds the team's tranche.
    pub team_lockup: Address,
    /// Holds the advisors' tranche.
    pub advisor_lockup: Address,
}

/// Deploys all contracts from the provider's own account, which must be able to sign and to pay.
pub async fn deploy<P: Provider>(
    provider: P,
    group_key: &[u8],
    native_chain_id: u64,
    tranches: &Tranches,
) -> Result<Deployment, DeployError> {
    if group_key.len() != GROUP_KEY_LENGTH {
        return Err(DeployError::KeyLength(group_key.len()));
    }
    check_accounts(tranches)?;
    let failed = |contract| {
        move |source| DeployError::Contract {
            contract,
            source: Box::new(source),
        }
    };

    let key = Bytes::copy_from_slice(group_key);
    let light_client = *LightClient::deploy(&provider, key, native_chain_id)
        .await
        .map_err(failed("LightClient"))?
        .address();
    let team_lockup = *Lockup::deploy(&provider, tranches.team, tranches.lockup_start)
        .await
        .map_err(failed("Lockup"))?
        .address();
    let advisor_lockup = *Lockup::deploy(&provider, tranches.advisor, tranches.lockup_start)
        .await
        .map_err(failed("Lockup"))?
        .address();
    let coin = *MileVerseCoin::deploy(&provider, allocation(tranches, team_lockup, advisor_lockup))
        .await
        .map_err(failed("MileVerseCoin"))?
        .address();
    let bridge = Bridge::deploy(&provider, light_client, coin)
        .await
        .map_err(failed("Bridge"))?;
    let points = bridge.points().call().await.map_err(failed("Bridge"))?;

    Ok(Deployment {
        light_client,
        coin,
        bridge: *bridge.address(),
        points,
        team_lockup,
        advisor_lockup,
    })
}

fn check_accounts(tranches: &Tranches) -> Result<(), DeployError> {
    let named = [
        ("sale", tranches.sale),
        ("team", tranches.team),
        ("partner", tranches.partner),
        ("advisor", tranches.advisor),
        ("marketing", tranches.marketing),
        ("reserved", tranches.reserved),
    ];
    match named.iter().find(|(_, account)| account.is_zero()) {
        Some((name, _)) => Err(DeployError::ZeroAccount(name)),
        None => Ok(()),
    }
}

fn allocation(
    tranches: &Tranches,
    team_lockup: Address,
    advisor_lockup: Address,
) -> Vec<MileVerseCoin::Share> {
    [
        (tranches.sale, 30),
        (team_lockup, 15),
        (tranches.partner, 10),
        (advisor_lockup, 3),
        (tranches.marketing, 10),
        (tranches.reserved, 32),
    ]
    .into_iter()
    .map(|(account, percent)| MileVerseCoin::Share {
        account,
        // At most 32 * 30 million * 10^18: far below 2^256.
        amount: U256::from(percent) * U256::from(PERCENT) * U256::from(COIN),
    })
    .collect()
}
