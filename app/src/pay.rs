//! Payments of points or coin to a shop, out of either.

use crate::{
    api::{Body, Money, Shared, Side, account},
    problem::{Problem, Refusals},
    trade::{
        DEFAULT_MINUTES, DEFAULT_SLIPPAGE_BP, MAX_MINUTES, PermitAsked, Prepared, SignedPermit,
        prepare_steps, within,
    },
};
use axum::Json;
use mileverse_wallet::{
    client::{Payment, parse_memo},
    units::{Amount, Token},
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A payment to be prepared: `points` or `coin`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct PaymentOrder {
    /// Who pays, and signs.
    account: String,
    /// Who is paid.
    shop: String,
    /// How many points the shop receives, as a decimal number.
    #[schema(example = "4500")]
    points: Option<String>,
    /// How much coin the shop receives, as a decimal number.
    #[schema(example = "45")]
    coin: Option<String>,
    /// What it is paid with: points if nothing is said. The other token is swapped in the same transaction.
    with: Option<Side>,
    /// By which the shop knows a payment of points: at most 32 bytes of text, or 0x and 64 hex digits.
    memo: Option<String>,
    /// If it is swapped: how much dearer than quoted it may be, in parts of 10,000: 50 if nothing is said, at
    /// most 5,000.
    slippage_bp: Option<u16>,
    /// If it is swapped: minutes for which it may happen: 5 if nothing is said, at most 60.
    minutes: Option<u64>,
    /// Coin out of points: the signed `permit` of an earlier answer. Then one transaction is enough, good until
    /// the permit's deadline and for what it allows, whatever `minutes` and `slippageBp` say.
    permit: Option<SignedPermit>,
}

/// A payment ready to be signed.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PaymentPlan {
    /// What the shop receives, exactly.
    receive: Money,
    /// What it costs now, fee included.
    give: Money,
    /// What it costs at most. What is not needed of coin sent along comes back at once; of points no more is taken.
    most: Money,
    /// The points' own fee, or the pool's; part of what is given.
    fee: Money,
    /// If it is swapped: points for one coin in this payment.
    rate: Option<Money>,
    /// What to sign: one transaction, or, where the pool may not take the points yet, two.
    steps: Vec<Prepared>,
    /// Two steps: sign this instead of the first, and prepare again with the signature.
    #[serde(skip_serializing_if = "Option::is_none")]
    permit: Option<PermitAsked>,
}

/// The transactions of a payment: typed, decoded, simulated. The shop sees a transfer of exactly what it
/// is paid, points with the memo, whatever it is paid with.
#[utoipa::path(post, path = "/payments", tag = "swap", request_body = PaymentOrder, responses((status = 200, body = PaymentPlan), Refusals))]
pub(crate) async fn prepare(
    app: Shared,
    Body(order): Body<PaymentOrder>,
) -> Result<Json<PaymentPlan>, Problem> {
    let from = account(&order.account)?;
    let memo = parse_memo(order.memo.as_deref().unwrap_or_default());
    let amount = match (&order.points, &order.coin) {
        (Some(points), None) => Amount::parse_positive(Token::Mvp, points)?,
        (None, Some(coin)) => Amount::parse_positive(Token::Mvc, coin)?,
        _ => return Err(Problem::invalid("A shop is paid points or coin; give one.")),
    };
    let payment = Payment {
        shop: account(&order.shop)?,
        amount,
        memo: memo.map_err(|error| Problem::invalid(format!("{error}.")))?,
        with: order.with.unwrap_or(Side::Mvp).into(),
    };
    let minutes = within(order.minutes, DEFAULT_MINUTES, MAX_MINUTES, "A payment")?;
    let slippage = order.slippage_bp.unwrap_or(DEFAULT_SLIPPAGE_BP);
    let client = app.client().await?;
    let lifetime = minutes.saturating_mul(60);
    let plan = match &order.permit {
        Some(_) if (amount.token(), payment.with) != (Token::Mvc, Token::Mvp) => {
            return Err(Problem::invalid(
                "Only a payment of coin out of points takes a permit.",
            ));
        }
        Some(signed) => {
            let (signature, deadline) = signed.read(client).await?;
            let most = signed.most()?;
            match client.swap_permit(from, most, deadline).await? {
                Some(permit) => {
                    let plan = client.plan_payment_with_permit(&payment, &permit, &signature);
                    plan.await?
                }
                // Somebody used it already, and the pool may take the points.
                None => {
                    let plan = client.plan_payment(from, &payment, slippage, lifetime);
                    plan.await?
                }
            }
        }
        None => {
            let plan = client.plan_payment(from, &payment, slippage, lifetime);
            plan.await?
        }
    };
    let quote = plan.quote.as_ref();
    Ok(Json(PaymentPlan {
        receive: payment.amount.into(),
        give: quote.map_or(plan.most, |quote| quote.give).into(),
        most: plan.most.into(),
        fee: quote.map_or(plan.fee, |quote| quote.fee).into(),
        rate: quote.map(|quote| quote.rate.into()),
        steps: prepare_steps(client, from, &plan.steps).await?,
        permit: plan.permit.map(|permit| PermitAsked::new(client, &permit)),
    }))
}
