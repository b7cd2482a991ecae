//! Puts the contracts on an Ethereum chain, in the one order that works.
//!
//! ```txt
//! HashedTimelock                             trades across the chains without the bridge
//! Lockup(team), Lockup(advisor)              2 % a month from the start given
//! Reserve(where coin and rewards will be)    holds the reserved tranche; gives a pot a quarter
//! MileVerseCoin(allocation)                  adds up to the supply, exactly
//! Authority(where bridge and rewards will be) the guardian's and the governor's roles, and the delay
//! coin.approve(where the bridge will be)     the coin of the native chain's genesis
//! Bridge(group key, native chain id, coin, genesis coin, authority, limits)
//!                                            takes the genesis coin in; makes WrappedPoints and the
//!                                            light client itself: each knows the other
//! QuarterlyRewards(coin, reserve, bridge, authority, list)
//!                                            the list: the two lock-ups, the hashed-timelock swaps, and
//!                                            the treasuries, which are the owners of the sale, partner
//!                                            and marketing tranches
//! ```
//!
//! The genesis coin comes out of the sale tranche: the deployer holds it for the one moment between the
//! coin's deployment and the bridge's, which takes exactly that much or is not made. Four contracts are
//! told where others will be before those are there; each address is checked once its contract is made.
//!
//! Each step waits for its receipt. Nothing is resumed: a deployment that stopped halfway holds no
//! money, and the next one starts anew.

use alloy::{
    contract::{Error as ContractError, RawCallBuilder},
    primitives::{Address, Bytes, U256, aliases::U96},
    providers::Provider,
};
use thiserror::Error;

use crate::{
    Authority, Bridge, HashedTimelock, IValves, Lockup, MileVerseCoin, QuarterlyRewards, Reserve,
};

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
const SALE_PERCENT: u64 = 30;

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
        "the native chain's genesis has {0} units of MVC, more than the sale tranche's 900,000,000 MVC; make its stakes, allocations or reward pool smaller"
    )]
    GenesisCoins(U256),
    /// Somebody else used the deployer's account meanwhile.
    #[error(
        "the {contract} contract is at {found}, not at {expected} where the others expect it; deploy again, from an account that sends nothing else meanwhile"
    )]
    Moved {
        /// Which contract.
        contract: &'static str,
        /// Where it is.
        found: Address,
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

/// Who owns the tranches of MVC at first; the reserved one, 32 % or 960,000,000 MVC, is nobody's and in
/// the [`Reserve`]. One account may own several. The owners of the sale, partner and marketing tranches
/// are treasuries and earn no quarterly rewards.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Tranches {
    /// 30 %: 900,000,000 MVC, less what the native chain begins with.
    pub sale: Address,
    /// 15 %: 450,000,000 MVC, under lock-up.
    pub team: Address,
    /// 10 %: 300,000,000 MVC.
    pub partner: Address,
    /// 3 %: 90,000,000 MVC, under lock-up.
    pub advisor: Address,
    /// 10 %: 300,000,000 MVC.
    pub marketing: Address,
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
    /// Holds the reserved tranche.
    pub reserve: Address,
    /// Pays the quarterly rewards.
    pub rewards: Address,
    /// Holds what two people trade without the bridge.
    pub hashed_timelock: Address,
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
    let sale = share(SALE_PERCENT)
        .checked_sub(genesis_coins)
        .ok_or(DeployError::GenesisCoins(genesis_coins))?;

    let swaps = HashedTimelock::deploy_builder(&provider);
    let (hashed_timelock, _) = put("HashedTimelock", swaps).await?;
    let lockup = |owner| Lockup::deploy_builder(&provider, owner, tranches.lockup_start);
    let (team_lockup, deployer) = put("Lockup", lockup(tranches.team)).await?;
    let (advisor_lockup, _) = put("Lockup", lockup(tranches.advisor)).await?;
    let ahead = Ahead::of(&provider, deployer, !genesis_coins.is_zero()).await?;
    let (reserve, _) = put(
        "Reserve",
        Reserve::deploy_builder(&provider, ahead.coin, ahead.rewards),
    )
    .await?;
    let mut shares = vec![
        (tranches.sale, sale),
        (team_lockup, share(15)),
        (tranches.partner, share(10)),
        (advisor_lockup, share(3)),
        (tranches.marketing, share(10)),
        (reserve, share(32)),
    ];
    if !genesis_coins.is_zero() {
        shares.push((deployer, genesis_coins));
    }
    let allocation = shares
        .into_iter()
        .map(|(account, amount)| MileVerseCoin::Share { account, amount })
        .collect();
    let coin = put_at(
        "MileVerseCoin",
        MileVerseCoin::deploy_builder(&provider, allocation),
        ahead.coin,
    )
    .await?;
    let (authority, _) = put(
        "Authority",
        Authority::deploy_builder(
            &provider,
            ahead.bridge,
            ahead.rewards,
            valves.governor,
            valves.guardian,
            valves.delay_seconds,
        ),
    )
    .await?;
    if !genesis_coins.is_zero() {
        allow(&provider, coin, ahead.bridge, genesis_coins).await?;
    }
    let key = Bytes::copy_from_slice(group_key);
    let bridge = put_at(
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
        ahead.bridge,
    )
    .await?;
    let mut list = vec![
        team_lockup,
        advisor_lockup,
        hashed_timelock,
        tranches.sale,
        tranches.partner,
        tranches.marketing,
    ];
    list.sort_unstable();
    list.dedup();
    let rewards = put_at(
        "QuarterlyRewards",
        QuarterlyRewards::deploy_builder(&provider, coin, reserve, bridge, authority, list),
        ahead.rewards,
    )
    .await?;
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
        reserve,
        rewards,
        hashed_timelock,
    })
}

/// Where contracts will be that others are told of before.
struct Ahead {
    coin: Address,
    bridge: Address,
    rewards: Address,
}

impl Ahead {
    /// Of a deployer whose next transactions are the reserve, the coin, the authority, perhaps the
    /// allowance, the bridge, the rewards.
    async fn of<P: Provider>(
        provider: P,
        deployer: Address,
        has_genesis: bool,
    ) -> Result<Self, DeployError> {
        let next = provider
            .get_transaction_count(deployer)
            .await
            .map_err(|error| failed("Reserve")(error.into()))?;
        let bridge = if has_genesis { 4 } else { 3 };
        let after = |others| deployer.create(next.saturating_add(others));
        Ok(Self {
            coin: after(1),
            bridge: after(bridge),
            rewards: after(bridge.saturating_add(1)),
        })
    }
}

fn check_accounts(tranches: &Tranches, valves: &Valves) -> Result<(), DeployError> {
    let named = [
        ("sale tranche of MVC", tranches.sale),
        ("team tranche of MVC", tranches.team),
        ("partner tranche of MVC", tranches.partner),
        ("advisor tranche of MVC", tranches.advisor),
        ("marketing tranche of MVC", tranches.marketing),
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

/// Sends a deployment whose address others were told of.
async fn put_at<P: Provider>(
    contract: &'static str,
    deployment: RawCallBuilder<P>,
    expected: Address,
) -> Result<Address, DeployError> {
    let (found, _) = put(contract, deployment).await?;
    if found == expected {
        Ok(found)
    } else {
        Err(DeployError::Moved {
            contract,
            found,
            expected,
        })
    }
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
