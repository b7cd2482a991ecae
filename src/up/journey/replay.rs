//! Step 2: the conversion's request is sent again with the same idempotency key. The answer is the
//! same to the byte, and nothing moves: no mile, no point, no new issue.

use super::{
    super::{error::Error, files, partner::Account, report::Facts, system::System},
    convert::{Asked, member, request},
    cross::balance,
    require,
};
use alloy::primitives::U256;
use mileverse_primitives::{abi::IPoints, address::POINTS};
use mileverse_wallet::units::{Amount, Token};

/// Everything that must not move.
#[derive(Debug, Eq, PartialEq)]
struct Picture {
    airline: Account,
    wallet: Amount,
    issued: U256,
}

/// Plays the step.
pub async fn play(system: &System) -> Result<Facts, Error> {
    let asked: Asked = files::read_json(&system.layout.journey())?
        .ok_or_else(|| Error::Broken("no conversion was kept to be sent again".into()))?;
    let member = member(system, &asked.member)?;
    let before = picture(system, &asked).await?;
    let answer = system
        .gateway
        .post(
            "/v1/conversions",
            &asked.idempotency_key,
            &request(system, &asked.quote_id, member),
        )
        .await?;
    let after = picture(system, &asked).await?;

    require(
        answer.status == asked.status && answer.body == asked.body,
        || {
            format!(
                "the first answer was {} {}, the second {} {}",
                asked.status, asked.body, answer.status, answer.body
            )
        },
    )?;
    require(answer.replayed, || {
        "the second answer does not say that it is a replay".into()
    })?;
    require(after == before, || {
        format!("something moved: {before:?} became {after:?}")
    })?;

    let mut facts = Facts::default();
    facts.add("idempotencyKey", &asked.idempotency_key);
    facts.add("status", answer.status);
    facts.add("sameAnswer", true);
    facts.add("milesLeft", after.airline.miles);
    facts.add("wallet", after.wallet);
    Ok(facts)
}

async fn picture(system: &System, asked: &Asked) -> Result<Picture, Error> {
    let native = &system.chains.native;
    Ok(Picture {
        airline: system.airline.account(&asked.member).await?,
        wallet: balance(native, system, Token::Mvp).await?,
        issued: native
            .endpoint()
            .view(POINTS, &IPoints::totalIssuedCall {})
            .await
            .map_err(|error| Error::refused("the points issued", error))?,
    })
}
