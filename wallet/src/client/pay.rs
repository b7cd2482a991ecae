//! Paying a shop points, out of points or out of coin.
//!
//! ```txt
//! out of points   a transfer with a memo; the points' own fee comes on top, no coin is needed
//! out of coin     one call of the pool: it swaps as much coin as that takes, and the shop sees a transfer of
//!                 exactly the points, with the memo; what is left of the coin comes back at once
//! ```
//!
//! Either way it is one transaction: the shop is paid, or nothing moved.

use super::{Client, ClientError, Quote, Sent, Step, Wish, send::sent};
use crate::{
    rpc::Chain,
    units::{Amount, Token},
};
use alloy::{
    primitives::{Address, B256, U256},
    sol_types::{SolCall, SolEvent},
};
use mileverse_primitives::{
    abi::IPoints,
    exchange::{POOL, Pool},
};

/// Longest memo, in bytes.
const MAX_MEMO: usize = 32;

/// A payment of points.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Payment {
    /// Who is paid.
    pub shop: Address,
    /// What the shop receives, exactly.
    pub points: Amount,
    /// By which the shop knows it: a bill's number, say.
    pub memo: B256,
    /// What it is paid with: points or coin.
    pub with: Token,
}

/// What a payment takes.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PaymentPlan {
    /// The one transaction.
    pub step: Step,
    /// Given at most, fee included.
    pub most: Amount,
    /// The points' own fee, where it is paid with points.
    pub fee: Amount,
    /// The pool's quote, where it is paid with coin.
    pub quote: Option<Quote>,
}

/// A payment that happened.
#[derive(Clone, Copy, Debug, Eq, PartialEq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Paid {
    /// The transaction.
    pub transaction: Sent,
    /// What the shop received.
    pub points: Amount,
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
    /// The one transaction of a payment by `account`, at the limit of a quote made now, good for `lifetime`
    /// seconds of the chain's time.
    pub async fn plan_payment(
        &self,
        account: Address,
        payment: &Payment,
        slippage_bp: u16,
        lifetime: u64,
    ) -> Result<PaymentPlan, ClientError> {
        if self.chain() != Chain::Native || payment.points.token() != Token::Mvp {
            return Err(ClientError::NoPool);
        }
        if payment.shop.is_zero() {
            return Err(ClientError::ZeroReceiver);
        }
        if payment.points.is_zero() {
            return Err(ClientError::ZeroAmount);
        }
        let points = payment.points.units();
        let (shop, memo) = (payment.shop, payment.memo);
        match payment.with {
            Token::Mvp => {
                let to = self.token_address(Token::Mvp)?;
                let asked = IPoints::transferFeeCall {
                    from: account,
                    to: shop,
                    amount: points,
                };
                let fee = self.endpoint.view(to, &asked).await?;
                let most = Amount::from_units(Token::Mvp, points.saturating_add(fee));
                self.check_balance(account, most).await?;
                let call = IPoints::transferWithMemoCall {
                    to: shop,
                    amount: points,
                    memo,
                };
                Ok(PaymentPlan {
                    step: pay(to, U256::ZERO, &call),
                    most,
                    fee: Amount::from_units(Token::Mvp, fee),
                    quote: None,
                })
            }
            Token::Mvc => {
                let quote = self
                    .quote(Wish::Receive(payment.points), slippage_bp)
                    .await?;
                self.check_balance(account, quote.most).await?;
                let most = quote.most.units();
                let call = Pool::payExactPointsCall {
                    shop,
                    points,
                    mostIn: most,
                    memo,
                    deadline: U256::from(self.second_in(lifetime).await?),
                };
                Ok(PaymentPlan {
                    step: pay(POOL, most, &call),
                    most: quote.most,
                    fee: Amount::from_units(Token::Mvp, U256::ZERO),
                    quote: Some(quote),
                })
            }
            token @ Token::Eth => Err(ClientError::NoSuchToken {
                token,
                chain: self.chain(),
            }),
        }
    }

    /// Pays: plans it, signs it, and waits until it is final.
    pub async fn pay(
        &self,
        payment: &Payment,
        slippage_bp: u16,
        lifetime: u64,
    ) -> Result<Paid, ClientError> {
        let account = self.signer()?.address();
        let plan = self
            .plan_payment(account, payment, slippage_bp, lifetime)
            .await?;
        let PaymentPlan { step, most, .. } = plan;
        let receipt = self.execute(step.to, step.value, step.input).await?;
        let gave = if payment.with == Token::Mvc {
            let swapped = receipt
                .logs()
                .iter()
                .filter(|log| log.address() == POOL)
                .find_map(|log| Pool::Swapped::decode_log(&log.inner).ok())
                .ok_or_else(|| self.endpoint.nonsense("a payment without its event"))?;
            Amount::from_units(Token::Mvc, swapped.amountIn)
        } else {
            most
        };
        Ok(Paid {
            transaction: sent(&receipt),
            points: payment.points,
            gave,
        })
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
