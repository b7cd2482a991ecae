//! Ten thousand miles become points. `GATEWAY` says where the gateway is, `KEY` holds an API key with
//! `conversions:write` and `conversions:read`.

use mileverse_gateway_client::conversions::{ConversionRequest, QuoteRequest, State};
use mileverse_gateway_client::members::MemberInput;
use mileverse_gateway_client::problem::Kind;
use mileverse_gateway_client::{Client, Error, IdempotencyKey};
use std::env;
use std::time::Duration;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let client = Client::builder(env::var("GATEWAY")?, env::var("KEY")?.into()).build()?;
    let password = "blue-heron-41".to_owned();
    let member = MemberInput::login("minji@sky.example", password.into());

    let quote = QuoteRequest {
        programme: "airline".into(),
        member: member.clone(),
        miles: "10000".into(),
    };
    let quote = client.quote(&IdempotencyKey::random(), &quote).await?;

    // Keep this before it is sent: with it, you can send again whatever happens in between.
    let key = IdempotencyKey::random();
    let request = ConversionRequest {
        quote_id: quote.id,
        member,
        receiver: "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed".into(),
        reference: Some("order-4711".into()),
    };
    let conversion = match client.convert(&key, &request).await {
        Ok(begun) => client.settled(&begun.id, Duration::from_secs(120)).await?,
        Err(Error::Problem(problem)) if problem.kind == Some(Kind::FloatShort) => {
            return Err("top the float up first; nothing has moved".into());
        }
        Err(error) if error.may_have_happened() => {
            return Err(format!("unknown; send it again with the key {key}: {error}").into());
        }
        Err(error) => return Err(error.into()),
    };
    assert_eq!(conversion.state(), Some(State::Completed));
    Ok(())
}
