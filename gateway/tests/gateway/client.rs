//! The client for partners, against a real gateway over a real socket.

use crate::support::{Databases, Gateway, KEY, READER, RECEIVER, World, until};
use crate::webhooks::{self, Endpoint};
use futures::TryStreamExt;
use mileverse_gateway::clock::now_ms;
use mileverse_gateway_client::conversions::{ConversionRequest, PageQuery, QuoteRequest, State};
use mileverse_gateway_client::members::{LinkRequest, MemberInput};
use mileverse_gateway_client::message::{self, Secret};
use mileverse_gateway_client::problem::Kind;
use mileverse_gateway_client::signature::SigningKey;
use mileverse_gateway_client::webhooks::WebhookRequest;
use mileverse_gateway_client::{Client, IdempotencyKey, Retry};
use secrecy::ExposeSecret;
use std::collections::BTreeSet;
use std::time::Duration;

crate::on_both! {
    miles_become_points_through_the_client,
    a_client_that_signs_is_let_in_and_one_that_does_not_is_not,
    a_message_is_verified_by_the_client,
}

const TOKEN: &str = "mvk_a-key-of-a-client-that-signs-0123";
const PATIENCE: Duration = Duration::from_secs(60);

pub fn client(gateway: &Gateway, key: &str) -> Client {
    let client = Client::builder(&gateway.url, key.to_owned().into());
    client.without_proxy().build().unwrap()
}

pub fn minji() -> MemberInput {
    MemberInput::login("minji@sky.example", "blue-heron-41".to_owned().into())
}

pub fn quote(member: MemberInput, miles: &str) -> QuoteRequest {
    QuoteRequest {
        programme: "airline".into(),
        member,
        miles: miles.into(),
    }
}

pub async fn convert(client: &Client, member: MemberInput, miles: &str, reference: &str) -> String {
    let quote = quote(member.clone(), miles);
    let key = IdempotencyKey::random();
    let quote = client.quote(&key, &quote).await.unwrap();
    let request = ConversionRequest {
        quote_id: quote.id,
        member,
        receiver: RECEIVER.into(),
        reference: Some(reference.into()),
    };
    let key = IdempotencyKey::random();
    let made = client.convert(&key, &request).await.unwrap();
    // Sent again it is the same conversion.
    assert_eq!(client.convert(&key, &request).await.unwrap().id, made.id);
    made.id
}

async fn miles_become_points_through_the_client(on: &Databases) {
    let world = World::new(on).await;
    let gateway = world.gateway().await;
    let client = client(&gateway, KEY);
    let terms = client.programmes().await.unwrap();
    assert_eq!((terms.len(), terms[0].name.as_str()), (1, "airline"));
    assert_eq!(terms[0].rate.to_string(), "12");

    let asked = quote(minji(), "10000");
    let key = IdempotencyKey::random();
    let quoted = client.quote(&key, &asked).await.unwrap();
    assert_eq!((quoted.miles, quoted.balance), (10_000, 12_345));
    assert_eq!(quoted.points_micro, 120_000_000_000);
    assert_eq!(quoted.points.0, quoted.points_micro);
    let id = convert(&client, minji(), "10000", "order-1").await;
    let conversion = client.settled(&id, PATIENCE).await.unwrap();
    assert_eq!(conversion.state(), Some(State::Completed));
    assert!(conversion.issue.transaction_hash.is_some());
    let found = client.conversion_by_reference("order-1").await.unwrap();
    assert_eq!(found.as_ref(), Some(&conversion));
    let none = client.conversion_by_reference("order-2").await.unwrap();
    assert_eq!(none, None);
    assert_eq!(world.miles("SKY-1001").await, 2_345);

    // Linked, the member needs no password any more.
    let link = LinkRequest {
        programme: "airline".into(),
        member: minji(),
        consent: "terms-1".into(),
    };
    let key = IdempotencyKey::random();
    let linked = client.link(&key, &link).await.unwrap().id;
    assert_eq!(client.balance(&linked).await.unwrap(), 2_345);
    for at in 2..=5 {
        let member = MemberInput::linked(&linked);
        convert(&client, member, "10", &format!("order-{at}")).await;
    }
    // Pages of two, one after another.
    let query = PageQuery {
        limit: Some(2),
        programme: Some("airline".into()),
        ..PageQuery::default()
    };
    let all: Vec<_> = client.conversions(query).try_collect().await.unwrap();
    let references: BTreeSet<_> = all.iter().filter_map(|one| one.reference.clone()).collect();
    assert_eq!((all.len(), references.len()), (5, 5));
    assert_eq!(all.last(), Some(&conversion));

    // Each problem by its kind, and with what it carries.
    let much = quote(minji(), "999999");
    let refused = client.quote(&IdempotencyKey::random(), &much).await;
    let refused = refused.unwrap_err();
    assert_eq!(refused.kind(), Some(Kind::AmountAboveMaximum), "{refused}");
    assert!(!refused.may_have_happened());
    let late = client.cancel(&id).await.unwrap_err();
    assert_eq!(late.kind(), Some(Kind::NotCancellable), "{late}");
    let reader = self::client(&gateway, READER);
    let refused = reader.quote(&IdempotencyKey::random(), &asked).await;
    assert_eq!(refused.unwrap_err().kind(), Some(Kind::Forbidden));
    let gone = client.conversion("conv_none").await.unwrap_err();
    assert_eq!(gone.kind(), Some(Kind::NotFound), "{gone}");
    let disputed = client.dispute(&id, "the account was taken over").await;
    let returned = client.settled(&disputed.unwrap().id, PATIENCE).await;
    assert!(returned.unwrap().is_final);

    client.erase(&linked).await.unwrap();
    assert_eq!(client.member(&linked).await.unwrap().status, "left");
    assert!(client.books().await.unwrap().journal.balanced);
    gateway.stop().await;
}

async fn a_client_that_signs_is_let_in_and_one_that_does_not_is_not(on: &Databases) {
    let world = World::new(on).await;
    world.partner("shop", |_| {}).await;
    world.full_key("shop", TOKEN).await;
    let gateway = world.gateway().await;
    let plain = client(&gateway, TOKEN);
    let key = |seed| SigningKey::from_seed("till-7", &[seed; 32]).unwrap();
    plain.register_signing_key(&key(1)).await.unwrap();
    let signing = |seed| {
        let client = Client::builder(&gateway.url, TOKEN.to_owned().into());
        let client = client.signing_key(key(seed)).retry(Retry::NEVER);
        client.without_proxy().build().unwrap()
    };
    let signed = signing(1);
    assert!(signed.require_signatures(true).await.unwrap().required);
    until("unsigned requests are let in", async || {
        match plain.programmes().await {
            Ok(_) => Err(()),
            Err(_) => Ok(()),
        }
    })
    .await;
    let refused = plain.programmes().await.unwrap_err();
    assert_eq!(refused.kind(), Some(Kind::SignatureRequired), "{refused}");
    let forged = signing(2).programmes().await.unwrap_err();
    assert_eq!(forged.kind(), Some(Kind::SignatureInvalid), "{forged}");
    // With and without a body, a query, an Idempotency-Key.
    let id = convert(&signed, minji(), "100", "order-1").await;
    let found = signed.conversion_by_reference("order-1").await.unwrap();
    assert_eq!(found.unwrap().id, id);
    let listed = signed.signing_keys().await.unwrap();
    assert_eq!((listed.required, listed.items.len()), (true, 1));
    assert_eq!(listed.items[0].public_key, key(1).public_key());
    gateway.stop().await;
}

async fn a_message_is_verified_by_the_client(on: &Databases) {
    let world = webhooks::world(on, webhooks::LONG).await;
    let gateway = world.gateway().await;
    let client = client(&gateway, KEY);
    let endpoint = Endpoint::start().await;
    let request = WebhookRequest {
        url: endpoint.url.clone(),
        event_types: vec!["conversion.completed".into()],
        description: String::new(),
    };
    let key = IdempotencyKey::random();
    let hook = client.add_webhook(&key, &request).await.unwrap();
    let secret = client.webhook_secret(&hook.id).await.unwrap();
    let secret = Secret::parse(secret.secret.expose_secret()).unwrap();
    let id = convert(&client, minji(), "100", "order-1").await;
    let messages = endpoint.messages(1).await;
    let (headers, body) = &messages[0];
    let now = now_ms() / 1000;
    let told = message::verify(std::slice::from_ref(&secret), headers, body, now).unwrap();
    assert_eq!(told.kind, "conversion.completed");
    assert_eq!(told.data["id"], id);
    let event = client.event(&told.id).await.unwrap();
    assert_eq!((event.kind, event.subject), (told.kind, id));
    let other = [Secret::new(&[1; 32])];
    assert!(message::verify(&other, headers, body, now).is_err());
    gateway.stop().await;
}
