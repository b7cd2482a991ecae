//! Swapping points and coin on the native chain, by the pool that the genesis file placed there.
//!
//! A [`Quote`] is what the pool would do now; a swap is sent with a limit derived from it, so that
//! it happens at least as well or not at all. `docs/swap.md` explains the pool.

use super::{Client, ClientError, Sent, send::sent};
use crate::{
    rpc::{Chain, request},
    transaction::gas_limit,
    units::{Amount, Token},
};
use alloy::{
    primitives::{Address, Bytes, U256},
    providers::Provider as _,
    sol_types::{SolCall, SolEvent},
};
use mileverse_primitives::exchange::{POOL, Pool, ROUTER};
use serde::Serialize;

/// Parts of a whole.
const WHOLE_BP: u64 = 10_000;
/// Gas of noting a price, and more: `contracts/exchange.json` has 74,000 between the two.
const NOTE_GAS: u64 = 120_000;
/// The widest limit that a swap may have.
pub const MAX_SLIPPAGE_BP: u16 = 5_000;

/// What is fixed: what is given, or what is received.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Wish {
    /// Give exactly so much of one token.
    Give(Amount),
    /// Receive exactly so much of one token.
    Receive(Amount),
}

/// What the pool would do now.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Quote {
    /// What goes in.
    pub give: Amount,
    /// What comes out.
    pub receive: Amount,
    /// The providers' part of what goes in.
    pub fee: Amount,
    /// MVP for one MVC by the reserves, before this swap, rounded down.
    pub price: Amount,
    /// MVP for one MVC in this swap, fee included, rounded down.
    pub rate: Amount,
    /// Given at most: more than `give` only if what is received is fixed.
    pub most: Amount,
    /// Received at least: less than `receive` only if what is given is fixed.
    pub least: Amount,
    /// Whether what is received is fixed.
    pub is_receive_fixed: bool,
}

/// One transaction of a plan.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Step {
    /// `allow`, `swap`, `send`, `cross`, `deliver` or `refund`.
    pub kind: &'static str,
    /// Who is called.
    pub to: Address,
    /// Coin that goes along.
    pub value: U256,
    /// Call data.
    pub input: Bytes,
}

impl Step {
    /// Gas that suffices for any step, where it cannot be tried yet.
    pub const GAS: u64 = 400_000;
}

/// A swap that happened.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Swapped {
    /// The transaction.
    pub transaction: Sent,
    /// What went in.
    pub gave: Amount,
    /// What came out.
    pub received: Amount,
}

impl Client {
    /// What the pool would do now, with a limit `slippage_bp` parts of 10,000 worse than that.
    pub async fn quote(&self, wish: Wish, slippage_bp: u16) -> Result<Quote, ClientError> {
        if self.chain() != Chain::Native {
            return Err(ClientError::NoPool);
        }
        if slippage_bp > MAX_SLIPPAGE_BP {
            return Err(ClientError::Slippage(slippage_bp));
        }
        let (Wish::Give(fixed) | Wish::Receive(fixed)) = wish;
        if fixed.is_zero() {
            return Err(ClientError::ZeroAmount);
        }
        let other = match fixed.token() {
            Token::Mvp => Token::Mvc,
            Token::Mvc => Token::Mvp,
            token @ Token::Eth => {
                let chain = self.chain();
                return Err(ClientError::NoSuchToken { token, chain });
            }
        };
        let reserves = self.endpoint.view(POOL, &Pool::reservesCall {}).await?;
        let slippage = U256::from(slippage_bp);
        let (give, receive, fee, most, least) = match wish {
            Wish::Give(give) => {
                let call = Pool::quoteExactInCall {
                    tokenIn: self.token_address(give.token())?,
                    amountIn: give.units(),
                };
                let quote = self.endpoint.view(POOL, &call).await?;
                let receive = Amount::from_units(other, quote.amountOut);
                let least = Amount::from_units(other, shortened(quote.amountOut, slippage));
                (give, receive, quote.fee, give, least)
            }
            Wish::Receive(receive) => {
                let call = Pool::quoteExactOutCall {
                    tokenIn: self.token_address(other)?,
                    amountOut: receive.units(),
                };
                let quote = self.endpoint.view(POOL, &call).await?;
                let give = Amount::from_units(other, quote.amountIn);
                let most = Amount::from_units(other, lengthened(quote.amountIn, slippage));
                (give, receive, quote.fee, most, receive)
            }
        };
        let (points, coins) = if give.token() == Token::Mvp {
            (give, receive)
        } else {
            (receive, give)
        };
        Ok(Quote {
            give,
            receive,
            fee: Amount::from_units(give.token(), fee),
            price: rate(reserves.reserve0, reserves.reserve1),
            rate: rate(points.units(), coins.units()),
            most,
            least,
            is_receive_fixed: matches!(wish, Wish::Receive(_)),
        })
    }

    /// The transactions with which `account` swaps within a quote's limit, to its own benefit, for at
    /// most `lifetime` seconds of the chain's time. The first lets the pool take the points, where it
    /// may not yet; the last is the swap.
    pub async fn plan_swap(
        &self,
        account: Address,
        quote: &Quote,
        lifetime: u64,
    ) -> Result<Vec<Step>, ClientError> {
        self.check_balance(account, quote.most).await?;
        let token = quote.give.token();
        let token_in = self.token_address(token)?;
        let mut steps = Vec::new();
        let mut value = quote.most.units();
        if token == Token::Mvp {
            value = U256::ZERO;
            steps.extend(
                self.allowance(account, token_in, POOL, quote.most.units())
                    .await?,
            );
        }
        let now = self.head().await?.timestamp;
        let deadline = U256::from(now.saturating_add(lifetime));
        let input = if quote.is_receive_fixed {
            Pool::exactOutCall {
                tokenIn: token_in,
                amountOut: quote.receive.units(),
                mostIn: quote.most.units(),
                receiver: account,
                deadline,
            }
            .abi_encode()
        } else {
            Pool::exactInCall {
                tokenIn: token_in,
                amountIn: quote.give.units(),
                leastOut: quote.least.units(),
                receiver: account,
                deadline,
            }
            .abi_encode()
        };
        steps.push(Step {
            kind: "swap",
            to: POOL,
            value,
            input: input.into(),
        });
        Ok(steps)
    }

    /// Tries a step at the newest block; the gas that it may use, with some room. An error says why it
    /// would fail.
    pub async fn estimate(&self, account: Address, step: &Step) -> Result<u64, ClientError> {
        let request = request(account, step.to, step.value, step.input.clone());
        let estimate = self
            .endpoint
            .provider()
            .estimate_gas(request)
            .latest()
            .await
            .map_err(|fault| self.endpoint.fault(fault))?;
        let limit = gas_limit(estimate, u64::MAX).unwrap_or(estimate);
        Ok(limit.saturating_add(room(step.to)))
    }

    /// Swaps within a quote's limit: plans it, signs each step, and waits until it is final.
    pub async fn swap(&self, quote: &Quote, lifetime: u64) -> Result<Swapped, ClientError> {
        let account = self.signer()?.address();
        let steps = self.plan_swap(account, quote, lifetime).await?;
        let mut swapped = None;
        for step in steps {
            let receipt = self.execute(step.to, step.value, step.input).await?;
            swapped = receipt
                .logs()
                .iter()
                .filter(|log| log.address() == POOL)
                .find_map(|log| Pool::Swapped::decode_log(&log.inner).ok())
                .map(|event| (sent(&receipt), event));
        }
        let (transaction, event) =
            swapped.ok_or_else(|| self.endpoint.nonsense("a swap without its event"))?;
        Ok(Swapped {
            transaction,
            gave: Amount::from_units(quote.give.token(), event.amountIn),
            received: Amount::from_units(quote.receive.token(), event.amountOut),
        })
    }
}

/// Gas that a call may need beyond its estimate. The first change of the pool's reserves in a second
/// notes the price, and an estimate in the second of an earlier change does not know of that.
pub(super) fn room(to: Address) -> u64 {
    if to == POOL || to == ROUTER {
        NOTE_GAS
    } else {
        0
    }
}

/// MVP for one MVC, rounded down; nothing if there is no coin, or too many points to tell.
fn rate(points: U256, coins: U256) -> Amount {
    let one = Amount::whole(Token::Mvc, 1).map_or(U256::ZERO, Amount::units);
    let units = points
        .checked_mul(one)
        .and_then(|product| product.checked_div(coins))
        .unwrap_or_default();
    Amount::from_units(Token::Mvp, units)
}

/// Less by so many parts of 10,000, rounded up: never below what was allowed for.
fn shortened(units: U256, slippage: U256) -> U256 {
    let kept = U256::from(WHOLE_BP).saturating_sub(slippage);
    parts(units, kept)
}

/// More by so many parts of 10,000, rounded down.
fn lengthened(units: U256, slippage: U256) -> U256 {
    let more = units
        .saturating_mul(slippage)
        .checked_div(U256::from(WHOLE_BP))
        .unwrap_or_default();
    units.saturating_add(more)
}

fn parts(units: U256, kept: U256) -> U256 {
    let whole = U256::from(WHOLE_BP);
    units.saturating_mul(kept).div_ceil(whole)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn rates_are_points_for_a_coin() {
        let coin = U256::from(1_000_000_000_000_000_000_u64);
        assert_eq!(rate(U256::from(100_500_000), coin).decimal(), "100.5");
        assert_eq!(rate(U256::from(1), U256::ZERO).decimal(), "0");
    }

    proptest! {
        #[test]
        fn limits_are_never_wider_than_allowed(units in 1u128..u128::MAX, slippage in 0u16..=MAX_SLIPPAGE_BP) {
            let (units, slippage) = (U256::from(units), U256::from(slippage));
            let whole = U256::from(WHOLE_BP);
            let (least, most) = (shortened(units, slippage), lengthened(units, slippage));
            prop_assert!(least <= units && most >= units && !least.is_zero());
            prop_assert!((units - least) * whole <= units * slippage);
            prop_assert!((most - units) * whole <= units * slippage);
        }
    }
}
