//! Swapping points and coin on the native chain, by the pool that the genesis file placed there.
//!
//! A [`Quote`] is what the pool would do now; a swap is sent with a limit derived from it, so that
//! it happens at least as well or not at all. `docs/swap.md` explains the pool.

use super::{Client, ClientError, Sent, send::sent};
use crate::{
    permit::{self, Permit},
    rpc::{Chain, request},
    transaction::{SignError, gas_limit},
    units::{Amount, Token},
};
use alloy::{
    primitives::{Address, Bytes, Log, Signature, U256},
    providers::Provider as _,
    rpc::types::TransactionReceipt,
    sol_types::{SolCall, SolEvent},
};
use mileverse_primitives::{
    abi::{ICoin, IPoints},
    exchange::{POOL, Pool},
};
use serde::Serialize;

/// Parts of a whole.
const WHOLE_BP: u64 = 10_000;
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
    /// `allow`, `swap`, `pay`, `send`, `cross`, `deliver` or `refund`.
    pub kind: &'static str,
    /// Who is called.
    pub to: Address,
    /// Coin that goes along.
    pub value: U256,
    /// Call data.
    pub input: Bytes,
}

impl Step {
    /// Gas that suffices for it where it cannot be tried yet. A sponsor's limits are checked against it, so for
    /// a swap, which is mostly what is sponsored, it is no more than one with a permit is sent with.
    pub fn untried_gas(&self) -> u64 {
        match self.kind {
            "swap" | "pay" => 300_000,
            _ => 400_000,
        }
    }
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

    /// The transactions with which `account` swaps within a quote's limit, to the benefit of `receiver`, for at
    /// most `lifetime` seconds of the chain's time. The first lets the pool take the points, where it
    /// may not yet; the last is the swap.
    pub async fn plan_swap(
        &self,
        account: Address,
        receiver: Address,
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
        let deadline = U256::from(self.second_in(lifetime).await?);
        let input = if quote.is_receive_fixed {
            Pool::exactOutCall {
                tokenIn: token_in,
                amountOut: quote.receive.units(),
                mostIn: quote.most.units(),
                receiver,
                deadline,
            }
            .abi_encode()
        } else {
            Pool::exactInCall {
                tokenIn: token_in,
                amountIn: quote.give.units(),
                leastOut: quote.least.units(),
                receiver,
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

    /// The permit with which `account` swaps points in one transaction, until `deadline` (seconds since 1970):
    /// for the `most` of a quote. None where nothing is to be allowed: coin is given, or the pool may take the
    /// points already.
    pub async fn swap_permit(
        &self,
        account: Address,
        most: Amount,
        deadline: u64,
    ) -> Result<Option<Permit>, ClientError> {
        self.permit(account, POOL, most, deadline).await
    }

    /// The permit that lets `spender` take `give` until `deadline`. None where there is nothing to allow: it is
    /// not points, is not here, or may be taken already.
    pub(super) async fn permit(
        &self,
        owner: Address,
        spender: Address,
        give: Amount,
        deadline: u64,
    ) -> Result<Option<Permit>, ClientError> {
        if self.chain() != Chain::Native || give.token() != Token::Mvp {
            return Ok(None);
        }
        let points = self.token_address(Token::Mvp)?;
        let value = give.units();
        let allowance = ICoin::allowanceCall { owner, spender };
        if self.endpoint.view(points, &allowance).await? >= value {
            return Ok(None);
        }
        let nonce = IPoints::noncesCall { owner };
        Ok(Some(Permit {
            chain_id: self.chain_id,
            owner,
            spender,
            value,
            nonce: self.endpoint.view(points, &nonce).await?,
            deadline,
        }))
    }

    /// The one transaction of a swap with a signed permit. Where what is received is fixed, what the permit
    /// allows is what is given at most.
    pub async fn plan_swap_with_permit(
        &self,
        receiver: Address,
        quote: &Quote,
        permit: &Permit,
        signature: &Signature,
    ) -> Result<Step, ClientError> {
        if !permit.is_signed_by_owner(signature) {
            return Err(ClientError::Permit);
        }
        let allowed = Amount::from_units(Token::Mvp, permit.value);
        self.check_balance(permit.owner, allowed).await?;
        let (v, r, s) = permit::parts(signature);
        let token_in = self.token_address(Token::Mvp)?;
        let deadline = U256::from(permit.deadline);
        let input = if quote.is_receive_fixed {
            Pool::exactOutWithPermitCall {
                tokenIn: token_in,
                amountOut: quote.receive.units(),
                mostIn: permit.value,
                receiver,
                deadline,
                v,
                r,
                s,
            }
            .abi_encode()
        } else {
            Pool::exactInWithPermitCall {
                tokenIn: token_in,
                amountIn: permit.value,
                leastOut: quote.least.units(),
                receiver,
                deadline,
                v,
                r,
                s,
            }
            .abi_encode()
        };
        Ok(Step {
            kind: "swap",
            to: POOL,
            value: U256::ZERO,
            input: input.into(),
        })
    }

    /// The second of the chain's time that is so many ahead.
    pub async fn second_in(&self, seconds: u64) -> Result<u64, ClientError> {
        Ok(self.head().await?.timestamp.saturating_add(seconds))
    }

    /// The steps of a swap for whoever has the key here: points go with a permit, in one transaction.
    pub(super) async fn own_swap(
        &self,
        receiver: Address,
        quote: &Quote,
        lifetime: u64,
    ) -> Result<Vec<Step>, ClientError> {
        let signer = self.signer()?;
        let account = signer.address();
        let deadline = self.second_in(lifetime).await?;
        match self.swap_permit(account, quote.most, deadline).await? {
            Some(permit) => {
                // It lies in the transaction: whoever declines that has given nothing out of hand.
                let signature = permit.sign(signer).map_err(SignError::from)?;
                let step = self.plan_swap_with_permit(receiver, quote, &permit, &signature);
                Ok(vec![step.await?])
            }
            None => self.plan_swap(account, receiver, quote, lifetime).await,
        }
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
        Ok(gas_limit(estimate, u64::MAX).unwrap_or(estimate))
    }

    /// Swaps within a quote's limit: plans it, signs each step, and waits until it is final.
    pub async fn swap(&self, quote: &Quote, lifetime: u64) -> Result<Swapped, ClientError> {
        let account = self.signer()?.address();
        let steps = self.own_swap(account, quote, lifetime).await?;
        let receipt = self.execute_all(steps).await?;
        let event = self.swapped_in(&receipt)?;
        Ok(Swapped {
            transaction: sent(&receipt),
            gave: Amount::from_units(quote.give.token(), event.amountIn),
            received: Amount::from_units(quote.receive.token(), event.amountOut),
        })
    }

    /// The pool's event in a receipt that must have one.
    pub(super) fn swapped_in(
        &self,
        receipt: &TransactionReceipt,
    ) -> Result<Log<Pool::Swapped>, ClientError> {
        let swapped = receipt
            .logs()
            .iter()
            .filter(|log| log.address() == POOL)
            .find_map(|log| Pool::Swapped::decode_log(&log.inner).ok());
        Ok(swapped.ok_or_else(|| self.endpoint.nonsense("a swap without its event"))?)
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
