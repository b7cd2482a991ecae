//! Where gas costs coin: the treasury pays for swaps, on the chain and on to Ethereum, within limits. Somebody
//! who has points and no coin gets coin for some, on either chain, each time by one signature of a permit and
//! one transaction.

use super::{
    super::{error::Error, report::Facts, system::System, wait::Look},
    cross::{RECEIVED, asked, receipt, whole},
    require,
};
use alloy::{
    primitives::{Address, U256},
    signers::local::PrivateKeySigner,
    sol_types::SolCall as _,
};
use mileverse_primitives::{
    abi::{ICoin, IFees},
    address::{FEES, POINTS},
    exchange::{POOL, Pool, ROUTER},
    genesis::BASIS_POINTS,
};
use mileverse_wallet::{
    client::{Chains, Client, ClientError, Wish},
    rpc::Chain,
    units::{Amount, Token},
};

/// What the treasury is given for each contract, and deposits.
const FUNDS: u64 = 12;
const DEPOSIT: u64 = 10;
/// What the pool begins with: 100 MVP for 1 MVC.
const POOL_POINTS: u64 = 2_000;
const POOL_COINS: u64 = 20;
/// What the newcomer has, and gives.
const POINTS_HELD: u64 = 100;
const POINTS_GIVEN: u64 = 50;
/// What it gives for coin on Ethereum.
const POINTS_SENT_ON: u64 = 25;
/// Gas of one transaction, of a user's day and of everybody's day that the treasury pays for at most: of the
/// pool, and of the router, whose packets cost relayers something on Ethereum as well.
const OF_POOL: [u64; 3] = [1_000_000, 5_000_000, 1_000_000_000];
const OF_ROUTER: [u64; 3] = [1_000_000, 2_000_000, 100_000_000];
/// Parts of 10,000 that the swap may be worse than quoted.
const SLIPPAGE_BP: u16 = 50;
/// Seconds for which it may happen.
const LIFETIME: u64 = 120;
/// Minutes in which it must arrive on Ethereum.
const DEADLINE_MINUTES: u64 = 60;

/// Plays the step.
pub async fn play(system: &System) -> Result<Facts, Error> {
    let mut facts = Facts::default();
    let member = &system.chains.native;
    let treasury = member.with_signer(Some(system.keys.treasury.clone()));
    let operator = system.keys.treasury.address();
    let named = IFees::operatorOfCall { callee: POOL };
    let named = member.endpoint().view(FEES, &named).await;
    if named
        .map_err(|error| asked("the pool's operator")(error.into()))?
        .operator
        != operator
    {
        facts.add(
            "skipped",
            "the directory was made when the pool had no operator",
        );
        return Ok(facts);
    }
    for (callee, gas) in [(POOL, OF_POOL), (ROUTER, OF_ROUTER)] {
        sponsor(system, &treasury, operator, callee, gas)
            .await
            .map_err(asked("paying for swaps"))?;
    }
    open(system, member).await.map_err(asked("the pool"))?;

    let newcomer = PrivateKeySigner::random();
    let account = newcomer.address();
    let held = whole(Token::Mvp, POINTS_HELD)?;
    member
        .transfer(account, held)
        .await
        .map_err(asked("sending points"))?;
    let client = member.with_signer(Some(newcomer));
    let give = whole(Token::Mvp, POINTS_GIVEN)?;
    let quote = client.quote(Wish::Give(give), SLIPPAGE_BP).await;
    let quote = quote.map_err(asked("a quote"))?;
    let swapped = client
        .swap(&quote, LIFETIME)
        .await
        .map_err(asked("a swap without coin"))?;
    let coin = client
        .balance(account, Token::Mvc)
        .await
        .map_err(asked("the newcomer's coin"))?;
    // Gas cost the newcomer nothing, or there would be less.
    require(coin == swapped.received, || {
        format!("the newcomer received {} and has {coin}", swapped.received)
    })?;
    let points = client
        .balance(account, Token::Mvp)
        .await
        .map_err(asked("the newcomer's points"))?;
    require(held.checked_sub(give) == Some(points), || {
        format!("the newcomer gave {give} of {held} and has {points}")
    })?;
    let (arrived, packet) = send_on(system, &client, account).await?;
    let kept = client
        .balance(account, Token::Mvc)
        .await
        .map_err(asked("the newcomer's coin"))?;
    require(kept == coin, || {
        format!("the newcomer had {coin}, sent points on, and has {kept}")
    })?;
    facts.add("newcomer", account);
    facts.add("gave", swapped.gave);
    facts.add("received", swapped.received);
    facts.add("gasPaidBy", operator);
    facts.add("transaction", swapped.transaction.hash);
    facts.add("onEthereum", arrived);
    facts.add("packet", format!("{}:{packet}", Chain::Native.word()));
    Ok(facts)
}

/// Points become coin on Ethereum, in one action: what arrived there, and the packet's number.
async fn send_on(
    system: &System,
    client: &Client,
    account: Address,
) -> Result<(Amount, u64), Error> {
    let chains = Chains {
        native: client.clone(),
        ..system.chains.clone()
    };
    let give = whole(Token::Mvp, POINTS_SENT_ON)?;
    let quote = chains.quote_across(give, SLIPPAGE_BP).await;
    let quote = quote.map_err(asked("a quote"))?;
    let deadline = chains.deadline(DEADLINE_MINUTES).await;
    let deadline = deadline.map_err(asked("the clocks"))?;
    let sent = chains
        .swap_across(Chain::Native, account, &quote, deadline, LIFETIME)
        .await
        .map_err(asked("a swap on to Ethereum without coin"))?;
    let sequence = sent.id.sequence;
    let awaited = format!("the newcomer's packet {sequence} to be received on Ethereum");
    system
        .patience
        .until(&awaited, async || {
            let receipt = receipt(&chains.ethereum, sequence).await?;
            Ok(Look::when(receipt == RECEIVED, || {
                format!("receipt {receipt}")
            }))
        })
        .await?;
    let arrived = chains
        .ethereum
        .balance(account, Token::Mvc)
        .await
        .map_err(asked("the newcomer's coin on Ethereum"))?;
    require(arrived.units() >= quote.least.units(), || {
        format!("{arrived} arrived on Ethereum, less than {}", quote.least)
    })?;
    Ok((arrived, sequence))
}

/// The treasury deposits and says what it pays for one contract, once.
async fn sponsor(
    system: &System,
    treasury: &Client,
    operator: Address,
    callee: Address,
    gas: [u64; 3],
) -> Result<(), ClientError> {
    let asked = IFees::sponsorCall { callee, operator };
    let found = treasury.endpoint().view(FEES, &asked).await?;
    if !found.deposit.is_zero() {
        return Ok(());
    }
    let coins = |count| Amount::whole(Token::Mvc, count).ok_or(ClientError::ZeroAmount);
    system
        .chains
        .native
        .transfer(operator, coins(FUNDS)?)
        .await?;
    let price = treasury.endpoint().view(FEES, &IFees::rulesCall {}).await?;
    let limits = gas.map(|gas| {
        let most = price.basePrice.saturating_mul(U256::from(gas));
        u128::try_from(most).unwrap_or(u128::MAX)
    });
    let terms = IFees::setTermsCall {
        callee,
        terms: IFees::Terms {
            shareBp: BASIS_POINTS,
            perTransaction: limits[0],
            perUserDay: limits[1],
            perDay: limits[2],
        },
    };
    treasury
        .execute(FEES, U256::ZERO, terms.abi_encode().into())
        .await?;
    let deposit = IFees::depositCall { callee };
    let value = coins(DEPOSIT)?.units();
    treasury
        .execute(FEES, value, deposit.abi_encode().into())
        .await?;
    Ok(())
}

/// The member provides for the pool, if nobody has.
async fn open(system: &System, member: &Client) -> Result<(), ClientError> {
    let reserves = member.endpoint().view(POOL, &Pool::reservesCall {}).await?;
    if !reserves.reserve0.is_zero() {
        return Ok(());
    }
    let amount = |token, count| Amount::whole(token, count).ok_or(ClientError::ZeroAmount);
    let points = amount(Token::Mvp, POOL_POINTS)?.units();
    let coins = amount(Token::Mvc, POOL_COINS)?.units();
    let allow = ICoin::approveCall {
        spender: POOL,
        amount: points,
    };
    member
        .execute(POINTS, U256::ZERO, allow.abi_encode().into())
        .await?;
    let provide = Pool::provideCall {
        most0: points,
        most1: coins,
        leastShares: U256::ONE,
        receiver: system.keys.member.address(),
        deadline: U256::MAX,
    };
    member
        .execute(POOL, coins, provide.abi_encode().into())
        .await?;
    Ok(())
}
