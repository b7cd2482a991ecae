//! Payments of points to a shop, out of points or out of coin.

use crate::{
    api::{Body, Money, Shared, Side, account},
    problem::{Problem, Refusals},
    trade::{DEFAULT_MINUTES, DEFAULT_SLIPPAGE_BP, MAX_MINUTES, Prepared, prepare_step, within},
};
use axum::Json;
use mileverse_wallet::{
    client::{Payment, parse_memo},
    units::{Amount, Token},
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A payment to be prepared.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct PaymentOrder {
    /// Who pays, and signs.
    account: String,
    /// Who is paid.
    shop: String,
    /// How many points the shop receives, as a decimal number.
    #[schema(example = "4500")]
    points: String,
    /// What it is paid with: points if nothing is said. Coin is swapped in the same transaction.
    with: Option<Side>,
    /// By which the shop knows it: at most 32 bytes of text, or 0x and 64 hex digits.
    memo: Option<String>,
    /// With coin: how much dearer than quoted it may be, in parts of 10,000: 50 if nothing is said, at
    /// most 5,000.
    slippage_bp: Option<u16>,
    /// With coin: minutes for which it may happen: 5 if nothing is said, at most 60.
    minutes: Option<u64>,
}

/// A payment ready to be signed: one transaction.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PaymentPlan {
    /// What the shop receives, exactly.
    points: Money,
    /// What it costs now, fee included.
    give: Money,
    /// What it costs at most. What is not needed of coin sent along comes back at once.
    most: Money,
    /// The points' own fee, or the pool's; part of what is given.
    fee: Money,
    /// With coin: points for one coin in this payment.
    rate: Option<Money>,
    /// What to sign.
    step: Prepared,
}

/// The transaction of a payment of points: typed, decoded, simulated. The shop sees a transfer of exactly the
/// points, with the memo, whatever it is paid with.
#[utoipa::path(post, path = "/payments", tag = "swap", request_body = PaymentOrder, responses((status = 200, body = PaymentPlan), Refusals))]
pub(crate) async fn prepare(
    app: Shared,
    Body(order): Body<PaymentOrder>,
) -> Result<Json<PaymentPlan>, Problem> {
    let from = account(&order.account)?;
    let memo = parse_memo(order.memo.as_deref().unwrap_or_default());
    let payment = Payment {
        shop: account(&order.shop)?,
        points: Amount::parse_positive(Token::Mvp, &order.points)?,
        memo: memo.map_err(|error| Problem::invalid(format!("{error}.")))?,
        with: order.with.unwrap_or(Side::Mvp).into(),
    };
    let minutes = within(order.minutes, DEFAULT_MINUTES, MAX_MINUTES, "A payment")?;
    let slippage = order.slippage_bp.unwrap_or(DEFAULT_SLIPPAGE_BP);
    let client = app.client().await?;
    let plan = client
        .plan_payment(from, &payment, slippage, minutes.saturating_mul(60))
        .await?;
    let quote = plan.quote.as_ref();
    Ok(Json(PaymentPlan {
        points: payment.points.into(),
        give: quote.map_or(plan.most, |quote| quote.give).into(),
        most: plan.most.into(),
        fee: quote.map_or(plan.fee, |quote| quote.fee).into(),
        rate: quote.map(|quote| quote.rate.into()),
        step: prepare_step(client, from, &plan.step, true).await?,
    }))
}
