//! Step 1: the gateway quotes and converts a member's miles. The airline's balance falls, the
//! member's points rise, by exactly the rate.
//!
//! What was asked and answered is kept in `journey.json`, so that the next step can ask again, even
//! after a restart on which no miles are left. The member's password is not kept.

use super::{
    super::{
        error::Error, files, partner::Answer, report::Facts, services::PROGRAMME, system::System,
        wait::Look,
    },
    cross::balance,
    require,
};
use mileverse_fixtures::sandbox::airline::Member;
use mileverse_wallet::units::{Amount, Token};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// Miles that the journey converts.
const MILES: u64 = 10_000;
/// The journey's members, in the order in which their miles are used.
const MEMBERS: [&str; 2] = ["SKY-1001", "SKY-1002"];

/// The last conversion, as it was asked for and answered.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Asked {
    /// Its idempotency key.
    pub idempotency_key: String,
    /// The quote it uses.
    pub quote_id: String,
    /// Whose miles.
    pub member: String,
    /// HTTP status of the first answer.
    pub status: u16,
    /// Body of the first answer.
    pub body: String,
}

#[derive(Debug, Deserialize)]
struct Quote {
    id: String,
}

#[derive(Debug, Deserialize)]
struct Conversion {
    id: String,
    state: String,
    reason: Option<String>,
    issue: Option<Issue>,
}

#[derive(Debug, Deserialize)]
struct Issue {
    transaction_hash: String,
}

/// Plays the step.
pub async fn play(system: &System) -> Result<Facts, Error> {
    let mut facts = Facts::default();
    let Some((member, miles_before)) = choose(system).await? else {
        // Nothing to convert is not a failure: the points made earlier are still there.
        facts.add(
            "converted",
            "nothing: the sample members have no miles left",
        );
        return Ok(facts);
    };
    let miles = miles_before.min(MILES);
    let native = &system.chains.native;
    let before = balance(native, system, Token::Mvp).await?;

    let quote: Quote = system
        .gateway
        .post(
            "/v1/quotes",
            &super::super::keys::random(),
            &json!({
                "programme": PROGRAMME,
                "member": credentials(member),
                "miles": miles.to_string(),
            }),
        )
        .await?
        .json("the quote")?;
    let idempotency_key = super::super::keys::random();
    let answer = system
        .gateway
        .post(
            "/v1/conversions",
            &idempotency_key,
            &request(system, &quote.id, member),
        )
        .await?;
    let first: Conversion = answer.json("the conversion")?;
    keep(system, idempotency_key, &quote.id, member, &answer)?;

    let conversion = completed(system, first).await?;
    let points = points(miles)?;
    let wanted = before
        .checked_add(points)
        .ok_or_else(|| Error::Broken("more points than can be counted".into()))?;
    let after = balance(native, system, Token::Mvp).await?;
    require(after == wanted, || {
        format!("the wallet shows {after} after {points} were issued onto {before}")
    })?;
    let left = system.airline.account(&member.id).await?.miles;
    require(miles_before.checked_sub(miles) == Some(left), || {
        format!("the airline shows {left} miles after {miles} of {miles_before} were taken")
    })?;

    facts.add("member", &member.id);
    facts.add("miles", miles);
    facts.add("points", points);
    facts.add("milesLeft", left);
    facts.add("wallet", after);
    facts.add("conversion", &conversion.id);
    facts.add(
        "transaction",
        conversion.issue.map(|issue| issue.transaction_hash),
    );
    Ok(facts)
}

/// The request that converts, the same each time it is made.
pub fn request(system: &System, quote: &str, member: &Member) -> Value {
    json!({
        "quote_id": quote,
        "member": credentials(member),
        "receiver": system.keys.member.address(),
    })
}

/// The sample member of this id.
pub fn member<'a>(system: &'a System, id: &str) -> Result<&'a Member, Error> {
    system
        .members
        .iter()
        .find(|member| member.id == id)
        .ok_or_else(|| Error::Broken(format!("there is no sample member {id}")))
}

/// Miles times the rate, exactly.
pub fn points(miles: u64) -> Result<Amount, Error> {
    let rate = Amount::parse(Token::Mvp, super::super::services::POINTS_PER_MILE)
        .map_err(|error| Error::refused("the rate", error))?;
    rate.units()
        .checked_mul(alloy::primitives::U256::from(miles))
        .map(|units| Amount::from_units(Token::Mvp, units))
        .ok_or_else(|| Error::Broken("more points than can be counted".into()))
}

fn credentials(member: &Member) -> Value {
    json!({ "login": member.login, "password": member.password })
}

/// The first member with enough miles, else the first with any.
async fn choose(system: &System) -> Result<Option<(&Member, u64)>, Error> {
    let mut any = None;
    for id in MEMBERS {
        let member = member(system, id)?;
        let miles = system.airline.account(id).await?.miles;
        if miles >= MILES {
            return Ok(Some((member, miles)));
        }
        if miles > 0 && any.is_none() {
            any = Some((member, miles));
        }
    }
    Ok(any)
}

fn keep(
    system: &System,
    idempotency_key: String,
    quote: &str,
    member: &Member,
    answer: &Answer,
) -> Result<(), Error> {
    files::write_json(
        &system.layout.journey(),
        &Asked {
            idempotency_key,
            quote_id: quote.into(),
            member: member.id.clone(),
            status: answer.status,
            body: answer.body.clone(),
        },
    )
}

/// Waits for the conversion's end, which must be the good one.
async fn completed(system: &System, first: Conversion) -> Result<Conversion, Error> {
    let path = format!("/v1/conversions/{}", first.id);
    let ended = |state: &str| matches!(state, "completed" | "refused" | "reversed" | "attention");
    let conversion = if ended(&first.state) {
        first
    } else {
        system
            .patience
            .until("the conversion to be completed", async || {
                let now: Conversion = system.gateway.get(&path).await?.json("the conversion")?;
                Ok(if ended(&now.state) {
                    Look::Now(now)
                } else {
                    Look::Not(now.state)
                })
            })
            .await?
    };
    require(conversion.state == "completed", || {
        format!(
            "conversion {} ended as {}: {}",
            conversion.id,
            conversion.state,
            conversion.reason.as_deref().unwrap_or("no reason given")
        )
    })?;
    Ok(conversion)
}
