//! Puts the contracts on an Ethereum chain, in the one order that works.
//!
//! ```txt
//! Lockup(team), Lockup(advisor)              2 % a month from the start given
//! MileVerseCoin(allocation)                  adds up to the supply, exactly
//! Authority(where the bridge will be)        the guardian's and the governor's roles, and the delay
//! coin.approve(where the bridge will be)     the coin of the native chain's genesis
//! Bridge(group key, native chain id, coin, genesis coin, authority, limits)
//!                                            takes the genesis coin in; makes WrappedPoints and the
//!                                            light client itself: each knows the other
//! ```
//!
//! The genesis coin comes out of the reserved tranche: the deployer holds it for the one moment
//! between the coin's deployment and the bridge's, which takes exactly that much or is not made.
//!
//! Each step waits for its receipt. Nothing is resumed: a deployment that stopped halfway holds no
//! money, and the next one starts anew.

use alloy::{
    contract::{Error as ContractError, RawCallBuilder},
    primitives::{Address, Bytes, U256, aliases::U96},
    providers::Provider,
};
use thiserror::Error;

use crate::{Authority, Bridge, IValves, Lockup, MileVerseCoin};

/// Bytes of a group key: a G2 point, uncompressed, as EIP-2537 has it.
pub const GROUP_KEY_LENGTH: usize = 256;

/// The governor's delay, in seconds: one hour to thirty days.
pub const DELAY_SECONDS: std::ops::RangeInclusive<u32> = 3_600..=30 * 24 * 3_600;

/// One whole MVC in its smallest unit.
const COIN: u64 = 1_000_000_000_000_000_000;
/// One whole MVP in its smallest unit.
const POINT: u64 = 1_000_000;
/// One percent of the supply, in whole MVC.
const PERCENT: u64 = 30_000_000;
/// The tranche that the genesis coin comes out of.
const RESERVED_PERCENT: u64 = 32;

/// Why a deployment stopped.
#[derive(Debug, Error)]
pub enum DeployError {
    /// The key has another length.
    #[error(
        "a group key is {GROUP_KEY_LENGTH} bytes, this one is {0}; give the uncompressed G2 point from the genesis"
    )]
    KeyLength(usize),
    /// A tranche or a role has no owner.
    #[error("the {0} has no account; name one that is not zero")]
    ZeroAccount(&'static str),
    /// A delay that protects nobody, or one that nobody could live with.
    #[error(
        "the governor's delay is {0} seconds; give one hour (3,600) to thirty days (2,592,000)"
    )]
    Delay(u32),
    /// More coin at genesis than the tranche that it comes from.
    #[error(
        "the native chain's genesis has {0} units of MVC, more than the reserved tranche's 960,000,000 MVC; make its stakes, allocations or reward pool smaller"
    )]
    GenesisCoins(U256),
    /// Somebody else used the deployer's account meanwhile.
    #[error(
        "the bridge is at {bridge}, not at {expected} where its authority expects it; deploy again, from an account that sends nothing else meanwhile"
    )]
    Moved {
        /// Where it is.
        bridge: Address,
        /// Where it should be.
        expected: Address,
    },
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
    /// 32 %: 960,000,000 MVC, less what the native chain begins with.
    pub reserved: Address,
    /// When the first month of the two lock-ups begins, in seconds since 1970.
    pub lockup_start: u64,
}

/// Who may turn the bridge's valves, and how far they are open at first.
#[derive(Clone, Debug)]
pub struct Valves {
    /// Opens what was stopped and sets limits, after the delay; grants the roles, after the delay.
    pub governor: Address,
    /// Stops, at once; can do nothing else.
    pub guardian: Address,
    /// Seconds between announcing and doing: [`DELAY_SECONDS`].
    pub delay_seconds: u32,
    /// MVC's first limits.
    pub coin: IValves::Limits,
    /// MVP's first limits.
    pub points: IValves::Limits,
}

impl Valves {
    /// Two days of delay. Limits as `docs/bridge.md` has them: 1 % of MVC's supply in an hour and
    /// 5 % in a day, ten billion MVP and fifty billion; a tenth of an hour's limit waits six hours.
    pub fn standard(governor: Address, guardian: Address) -> Self {
        let whole = |amount: u64, unit: u64| U96::from(amount) * U96::from(unit);
        let limits = |hour: u64, unit: u64| IValves::Limits {
            sendPerHour: whole(hour, unit),
            sendPerDay: whole(hour, unit) * U96::from(5),
            receivePerHour: whole(hour, unit),
            receivePerDay: whole(hour, unit) * U96::from(5),
            largeFrom: whole(hour / 10, unit),
            holdSeconds: 6 * 3_600,
        };
        Self {
            governor,
            guardian,
            delay_seconds: 2 * 24 * 3_600,
            coin: limits(PERCENT, COIN),
            points: limits(10_000_000_000, POINT),
        }
    }
}

/// Where everything is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Deployment {
    /// Checks the native chain's certificates under its first group key.
    pub light_client: Address,
    /// MVC.
    pub coin: Address,
    /// The bridge.
    pub bridge: Address,
    /// MVP on Ethereum.
    pub points: Address,
    /// The guardian's and the governor's roles.
    pub authority: Address,
    /// Holds the team's tranche.
    pub team_lockup: Address,
    /// Holds the advisors' tranche.
    pub advisor_lockup: Address,
}

/// Deploys all contracts from the provider's own account, which must be able to sign and to pay, and
/// must send nothing else meanwhile. `genesis_coins` is what the native chain mints in its block 0.
pub async fn deploy<P: Provider>(
    provider: P,
    group_key: &[u8],
    native_chain_id: u64,
    tranches: &Tranches,
    genesis_coins: U256,
    valves: &Valves,
) -> Result<Deployment, DeployError> {
    if group_key.len() != GROUP_KEY_LENGTH {
        return Err(DeployError::KeyLength(group_key.len()));
    }
    check_accounts(tranches, valves)?;
    if !DELAY_SECONDS.contains(&valves.delay_seconds) {
        return Err(DeployError::Delay(valves.delay_seconds));
    }
    let reserved = share(RESERVED_PERCENT)
        .checked_sub(genesis_coins)
        .ok_or(DeployError::GenesisCoins(genesis_coins))?;

    let lockup = |owner| Lockup::deploy_builder(&provider, owner, tranches.lockup_start);
    let (team_lockup, deployer) = put("Lockup", lockup(tranches.team)).await?;
    let (advisor_lockup, _) = put("Lockup", lockup(tranches.advisor)).await?;
    let mut shares = vec![
        (tranches.sale, share(30)),
        (team_lockup, share(15)),
        (tranches.partner, share(10)),
        (advisor_lockup, share(3)),
        (tranches.marketing, share(10)),
        (tranches.reserved, reserved),
    ];
    if !genesis_coins.is_zero() {
        shares.push((deployer, genesis_coins));
    }
    let allocation = shares
        .into_iter()
        .map(|(account, amount)| MileVerseCoin::Share { account, amount })
        .collect();
    let (coin, _) = put(
        "MileVerseCoin",
        MileVerseCoin::deploy_builder(&provider, allocation),
    )
    .await?;
    let is_genesis_empty = genesis_coins.is_zero();
    // The authority, then perhaps the allowance, then the bridge.
    let between = if is_genesis_empty { 1 } else { 2 };
    let expected = next_contract(&provider, deployer, between).await?;
    let (authority, _) = put(
        "Authority",
        Authority::deploy_builder(
            &provider,
            expected,
            valves.governor,
            valves.guardian,
            valves.delay_seconds,
        ),
    )
    .await?;
    if !is_genesis_empty {
        allow(&provider, coin, expected, genesis_coins).await?;
    }
    let key = Bytes::copy_from_slice(group_key);
    let (bridge, _) = put(
        "Bridge",
        Bridge::deploy_builder(
            &provider,
            key,
            native_chain_id,
            coin,
            genesis_coins,
            authority,
            valves.coin.clone(),
            valves.points.clone(),
        ),
    )
    .await?;
    if bridge != expected {
        return Err(DeployError::Moved { bridge, expected });
    }
    let views = Bridge::new(bridge, &provider);
    let points = views.points().call().await.map_err(failed("Bridge"))?;
    let light_client = views.lightClient().call().await.map_err(failed("Bridge"))?;

    Ok(Deployment {
        light_client,
        coin,
        bridge,
        points,
        authority,
        team_lockup,
        advisor_lockup,
    })
}

fn check_accounts(tranches: &Tranches, valves: &Valves) -> Result<(), DeployError> {
    let named = [
        ("sale tranche of MVC", tranches.sale),
        ("team tranche of MVC", tranches.team),
        ("partner tranche of MVC", tranches.partner),
        ("advisor tranche of MVC", tranches.advisor),
        ("marketing tranche of MVC", tranches.marketing),
        ("reserved tranche of MVC", tranches.reserved),
        ("bridge's governor", valves.governor),
        ("bridge's guardian", valves.guardian),
    ];
    match named.iter().find(|(_, account)| account.is_zero()) {
        Some((name, _)) => Err(DeployError::ZeroAccount(name)),
        None => Ok(()),
    }
}

/// Sends a deployment and waits for it; answers the contract and who deployed it.
async fn put<P: Provider>(
    contract: &'static str,
    deployment: RawCallBuilder<P>,
) -> Result<(Address, Address), DeployError> {
    let failed = failed(contract);
    let pending = deployment.send().await.map_err(&failed)?;
    let receipt = pending
        .get_receipt()
        .await
        .map_err(|error| failed(error.into()))?;
    let address = receipt
        .contract_address
        .filter(|_| receipt.status())
        .ok_or_else(|| failed(ContractError::ContractNotDeployed))?;
    Ok((address, receipt.from))
}

/// Where the contract will be that the deployer makes after `between` other transactions.
async fn next_contract<P: Provider>(
    provider: P,
    deployer: Address,
    between: u64,
) -> Result<Address, DeployError> {
    let next = provider
        .get_transaction_count(deployer)
        .await
        .map_err(|error| failed("Authority")(error.into()))?;
    Ok(deployer.create(next.saturating_add(between)))
}

/// Lets the bridge, which is not there yet, take its genesis coin.
async fn allow<P: Provider>(
    provider: P,
    coin: Address,
    bridge: Address,
    amount: U256,
) -> Result<(), DeployError> {
    let failed = failed("MileVerseCoin");
    let receipt = MileVerseCoin::new(coin, &provider)
        .approve(bridge, amount)
        .send()
        .await
        .map_err(&failed)?
        .get_receipt()
        .await
        .map_err(|error| failed(error.into()))?;
    if receipt.status() {
        Ok(())
    } else {
        Err(failed(ContractError::ContractNotDeployed))
    }
}

fn failed(contract: &'static str) -> impl Fn(ContractError) -> DeployError {
    move |source| DeployError::Contract {
        contract,
        source: Box::new(source),
    }
}

/// So many percent of the supply. At most 32 * 30 million * 10^18: far below 2^256.
fn share(percent: u64) -> U256 {
    U256::from(percent) * U256::from(PERCENT) * U256::from(COIN)
}
