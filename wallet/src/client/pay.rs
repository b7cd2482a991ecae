//! Paying a shop exactly so much, out of what it is paid in or out of the other token.
//!
//! ```txt
//! points with points   a transfer of points with a memo; their own fee on top
//! points with coin     the pool swaps as much coin as it needs, within a limit, and transfers
//!                      exactly the points, with the memo; what is left of the coin comes back at once
//! coin with points     the pool takes as many points as it needs, within a limit, and transfers exactly
//!                      the coin; a permit in the transaction lets it
//! coin with coin       a transfer of coin
//! ```
//!
//! Each is one transaction: the shop is paid, or nothing moved. Coin carries no memo.

use super::{Client, ClientError, Quote, Sent, Step, Wish, send::sent};
use crate::{
    permit::Permit,
    rpc::Chain,
    transaction::SignError,
    units::{Amount, Token},
};
use alloy::{
    primitives::{Address, B256, Signature, U256},
    sol_types::SolCall,
};
use mileverse_primitives::{
    abi::{ICoin, IPoints},
    exchange::{POOL, Pool},
};

/// Longest memo, in bytes.
const MAX_MEMO: usize = 32;

/// A payment of points or of coin.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Payment {
    /// Who is paid.
    pub shop: Address,
    /// What the shop receives, exactly.
    pub amount: Amount,
    /// By which the shop knows it: a bill's number, say. Zero for coin.
    pub memo: B256,
    /// What it is paid with: points or coin.
    pub with: Token,
}

/// What a payment takes.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PaymentPlan {
    /// What to sign: one transaction, or, where the pool may not take the points yet, two.
    pub steps: Vec<Step>,
    /// What to sign instead of the first of two: [`Client::plan_payment_with_permit`] makes one of both.
    pub permit: Option<Permit>,
    /// Given at most, fee included.
    pub most: Amount,
    /// The points' own fee, where it is paid with points.
    pub fee: Amount,
    /// The pool's quote, where it is paid with the other token.
    pub quote: Option<Quote>,
}

/// A payment that happened.
#[derive(Clone, Copy, Debug, Eq, PartialEq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Paid {
    /// The transaction.
    pub transaction: Sent,
    /// What the shop received.
    pub amount: Amount,
    /// What was given for it, the points' or the pool's fee included.
    pub gave: Amount,
}

/// A memo that is none.
#[derive(Clone, Copy, Debug, Eq, thiserror::Error, PartialEq)]
#[error("a memo is at most {MAX_MEMO} bytes of text, or 0x and 64 hex digits")]
pub struct MemoError;

/// A memo from text, with zeros behind it, or from 64 hex digits as they are.
pub fn parse_memo(text: &str) -> Result<B256, MemoError> {
    if let Some(digits) = text.strip_prefix("0x")
        && digits.len() == 64
    {
        return text.parse().map_err(|_| MemoError);
    }
    if text.len() > MAX_MEMO {
        return Err(MemoError);
    }
    Ok(B256::right_padding_from(text.as_bytes()))
}

impl Client {
    /// What a payment by `account` takes, at the limit of a quote made now, good for `lifetime` seconds of the
    /// chain's time.
    pub async fn plan_payment(
        &self,
        account: Address,
        payment: &Payment,
        slippage_bp: u16,
        lifetime: u64,
    ) -> Result<PaymentPlan, ClientError> {
        self.check_payment(payment)?;
        let Payment {
            shop, amount, memo, ..
        } = *payment;
        let nothing = Amount::from_units(Token::Mvp, U256::ZERO);
        match (amount.token(), payment.with) {
            (Token::Mvp, Token::Mvp) => {
                let to = self.token_address(Token::Mvp)?;
                let units = amount.units();
                let asked = IPoints::transferFeeCall {
                    from: account,
                    to: shop,
                    amount: units,
                };
                let fee = self.endpoint.view(to, &asked).await?;
                let most = Amount::from_units(Token::Mvp, units.saturating_add(fee));
                self.check_balance(account, most).await?;
                let call = IPoints::transferWithMemoCall {
                    to: shop,
                    amount: units,
                    memo,
                };
                Ok(PaymentPlan {
                    steps: vec![pay(to, U256::ZERO, &call)],
                    permit: None,
                    most,
                    fee: Amount::from_units(Token::Mvp, fee),
                    quote: None,
                })
            }
            (Token::Mvp, _) => {
                let quote = self.quote(Wish::Receive(amount), slippage_bp).await?;
                self.check_balance(account, quote.most).await?;
                let most = quote.most.units();
                let call = Pool::payExactPointsCall {
                    shop,
                    points: amount.units(),
                    mostIn: most,
                    memo,
                    deadline: U256::from(self.second_in(lifetime).await?),
                };
                Ok(PaymentPlan {
                    steps: vec![pay(POOL, most, &call)],
                    permit: None,
                    most: quote.most,
                    fee: nothing,
                    quote: Some(quote),
                })
            }
            (_, Token::Mvp) => {
                let quote = self.quote(Wish::Receive(amount), slippage_bp).await?;
                let steps = self.plan_swap(account, shop, &quote, lifetime).await?;
                let deadline = self.second_in(lifetime).await?;
                Ok(PaymentPlan {
                    steps: steps.into_iter().map(paying).collect(),
                    permit: self.swap_permit(account, quote.most, deadline).await?,
                    most: quote.most,
                    fee: nothing,
                    quote: Some(quote),
                })
            }
            (_, _) => {
                self.check_balance(account, amount).await?;
                // By its ERC-20 face: that leaves an event, which plain value does not.
                let call = ICoin::transferCall {
                    to: shop,
                    amount: amount.units(),
                };
                let to = self.token_address(amount.token())?;
                Ok(PaymentPlan {
                    steps: vec![pay(to, U256::ZERO, &call)],
                    permit: None,
                    most: amount,
                    fee: nothing,
                    quote: None,
                })
            }
        }
    }

    /// A payment of coin out of points, in one transaction: with the signed permit of its plan. What the permit
    /// allows is what is given at most.
    pub async fn plan_payment_with_permit(
        &self,
        payment: &Payment,
        permit: &Permit,
        signature: &Signature,
    ) -> Result<PaymentPlan, ClientError> {
        self.check_payment(payment)?;
        let quote = self.quote(Wish::Receive(payment.amount), 0).await?;
        let most = Amount::from_units(Token::Mvp, permit.value);
        if payment.with != Token::Mvp || quote.give.token() != Token::Mvp {
            return Err(ClientError::Permit);
        }
        let quote = Quote { most, ..quote };
        let step = self
            .plan_swap_with_permit(payment.shop, &quote, permit, signature)
            .await?;
        Ok(PaymentPlan {
            steps: vec![paying(step)],
            permit: None,
            most,
            fee: Amount::from_units(Token::Mvp, U256::ZERO),
            quote: Some(quote),
        })
    }

    fn check_payment(&self, payment: &Payment) -> Result<(), ClientError> {
        let chain = self.chain();
        if chain != Chain::Native {
            return Err(ClientError::NoPool);
        }
        for token in [payment.amount.token(), payment.with] {
            if token == Token::Eth {
                return Err(ClientError::NoSuchToken { token, chain });
            }
        }
        if payment.shop.is_zero() {
            return Err(ClientError::ZeroReceiver);
        }
        if payment.amount.is_zero() {
            return Err(ClientError::ZeroAmount);
        }
        if payment.amount.token() == Token::Mvc && !payment.memo.is_zero() {
            return Err(ClientError::CoinMemo);
        }
        Ok(())
    }

    /// Pays: plans it, signs it, and waits until it is final.
    pub async fn pay(
        &self,
        payment: &Payment,
        slippage_bp: u16,
        lifetime: u64,
    ) -> Result<Paid, ClientError> {
        let signer = self.signer()?;
        let account = signer.address();
        let mut plan = self
            .plan_payment(account, payment, slippage_bp, lifetime)
            .await?;
        if let Some(permit) = plan.permit {
            let signature = permit.sign(signer).map_err(SignError::from)?;
            plan = self
                .plan_payment_with_permit(payment, &permit, &signature)
                .await?;
        }
        let receipt = self.execute_all(plan.steps).await?;
        let gave = match plan.quote {
            Some(quote) => {
                let swapped = self.swapped_in(&receipt)?;
                Amount::from_units(quote.give.token(), swapped.amountIn)
            }
            None => plan.most,
        };
        Ok(Paid {
            transaction: sent(&receipt),
            amount: payment.amount,
            gave,
        })
    }
}

/// The same, as what it is to whoever signs it.
fn paying(step: Step) -> Step {
    match step.kind {
        "swap" => Step {
            kind: "pay",
            ..step
        },
        _ => step,
    }
}

fn pay(to: Address, value: U256, call: &impl SolCall) -> Step {
    Step {
        kind: "pay",
        to,
        value,
        input: call.abi_encode().into(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_memo_is_short_text_or_a_whole_word() {
        let bill = parse_memo("bill 7").unwrap();
        assert_eq!(&bill[..7], b"bill 7\0");
        assert_eq!(parse_memo("").unwrap(), B256::ZERO);
        let word = B256::repeat_byte(0xab);
        assert_eq!(parse_memo(&word.to_string()), Ok(word));
        for bad in ["x".repeat(33), format!("0x{}", "g".repeat(64))] {
            assert_eq!(parse_memo(&bad), Err(MemoError), "{bad}");
        }
        // Letters of three bytes each.
        assert!(parse_memo(&"가".repeat(10)).is_ok());
        assert_eq!(parse_memo(&"가".repeat(11)), Err(MemoError));
    }
}
