//! The telecom adapter against answers that no honest telecom gives.

use mileverse_adapters::telecom::{Telecom, notice};
use mileverse_adapters::{
    Adapter, AskError, Debit, Inquiry, Known, MemberId, Miles, PartnerConfig, PartnerKind,
    Reference, Refusal, Reversal, Session,
};
use mileverse_fixtures::sandbox;
use secrecy::SecretString;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use wiremock::matchers::{body_json, header, method, path, query_param};
use wiremock::{Mock, MockServer, ResponseTemplate};

/// The adapter for a server, known to it by an API key.
fn adapter(url: &str) -> Arc<dyn Adapter> {
    config(url).build().unwrap()
}

fn config(url: &str) -> PartnerConfig {
    let directory = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(directory.path().join(name), text).unwrap();
    write("key", "the-key\n");
    write(
        "telecom.toml",
        &format!("base_url = \"{url}\"\napi_key_file = \"key\"\ntimeout_milliseconds = 500\n"),
    );
    PartnerConfig::read(PartnerKind::Telecom, &directory.path().join("telecom.toml"))
        .unwrap_or_else(|error| panic!("{error}"))
}

async fn server() -> (MockServer, Arc<dyn Adapter>) {
    let server = MockServer::start().await;
    let adapter = adapter(&server.uri());
    (server, adapter)
}

fn session() -> Session {
    Session {
        member: MemberId::new("TEL-1").unwrap(),
        token: SecretString::from("acct-1\nm"),
    }
}

fn reference() -> Reference {
    Reference::new("ref-1").unwrap()
}

fn completed() -> Value {
    json!({
        "id": "ref-1",
        "href": "/loyaltyBurn/ref-1",
        "status": "completed",
        "loyaltyProgramMember": { "id": "TEL-1" },
        "account": { "id": "acct-1" },
        "quantity": { "amount": 10, "units": "miles" },
    })
}

fn with(place: &str, value: Value) -> Value {
    let mut body = completed();
    *body.pointer_mut(place).unwrap() = value;
    body
}

fn done() -> Debit {
    Debit::Applied {
        partner_reference: "/loyaltyBurn/ref-1".to_owned(),
    }
}

async fn debit_answered(answer: ResponseTemplate) -> Debit {
    let (server, telecom) = server().await;
    Mock::given(method("POST"))
        .and(path("/loyaltyBurn"))
        .respond_with(answer)
        .mount(&server)
        .await;
    telecom
        .debit(&session(), &reference(), Miles::new(10))
        .await
}

fn created(body: Value) -> ResponseTemplate {
    ResponseTemplate::new(201).set_body_json(body)
}

#[tokio::test]
async fn a_burn_says_what_the_standard_wants() {
    let (server, telecom) = server().await;
    let body = json!({
        "id": "ref-1",
        "description": "conversion into points",
        "account": { "id": "acct-1" },
        "loyaltyProgramMember": { "id": "TEL-1" },
        "loyaltyProgramProduct": { "id": "points-exchange" },
        "paymentMethod": { "name": "points" },
        "quantity": { "amount": 10, "units": "miles" },
    });
    Mock::given(method("POST"))
        .and(path("/loyaltyBurn"))
        .and(header("x-api-key", "the-key"))
        .and(header("x-member-token", "m"))
        .and(body_json(body))
        .respond_with(created(completed()))
        .expect(1)
        .mount(&server)
        .await;
    assert_eq!(
        telecom
            .debit(&session(), &reference(), Miles::new(10))
            .await,
        done()
    );
}

#[tokio::test]
async fn only_an_exact_answer_means_applied() {
    assert_eq!(debit_answered(created(completed())).await, done());
    let long = "x".repeat(100_000);
    for (name, answer) in [
        ("another burn", created(with("/id", json!("ref-2")))),
        (
            "another member",
            created(with("/loyaltyProgramMember/id", json!("TEL-2"))),
        ),
        ("other miles", created(with("/quantity/amount", json!(11)))),
        (
            "negative miles",
            created(with("/quantity/amount", json!(-10))),
        ),
        ("a fraction", created(with("/quantity/amount", json!(10.5)))),
        (
            "other units",
            created(with("/quantity/units", json!("minutes"))),
        ),
        ("no href", created(with("/href", Value::Null))),
        ("a long href", created(with("/href", json!(long)))),
        ("unknown status", created(with("/status", json!("parked")))),
        (
            "rejected for no known reason",
            created(with("/status", json!("rejected"))),
        ),
        ("empty", ResponseTemplate::new(201)),
        (
            "a maintenance page",
            ResponseTemplate::new(200).set_body_string("<html>"),
        ),
        (
            "accepted only",
            ResponseTemplate::new(202).set_body_json(completed()),
        ),
        (
            "200 for a creation",
            ResponseTemplate::new(200).set_body_json(completed()),
        ),
        ("400", ResponseTemplate::new(400)),
        ("401", ResponseTemplate::new(401)),
        ("404", ResponseTemplate::new(404)),
        ("409 and no burn", ResponseTemplate::new(409)),
        ("429", ResponseTemplate::new(429)),
        (
            "500 that looks right",
            ResponseTemplate::new(500).set_body_json(completed()),
        ),
        ("503", ResponseTemplate::new(503)),
        (
            "too late",
            created(completed()).set_delay(Duration::from_secs(5)),
        ),
    ] {
        let outcome = debit_answered(answer).await;
        assert!(matches!(outcome, Debit::Unknown(_)), "{name}: {outcome:?}");
    }
}

#[tokio::test]
async fn a_repeat_is_read_and_must_be_ours() {
    let mut rejected = with("/status", json!("rejected"));
    rejected["statusReason"] = json!("insufficientBalance");
    for (burn, wanted) in [
        (completed(), done()),
        (
            with("/status", json!("cancelled")),
            Debit::Refused(Refusal::Reversed),
        ),
        (rejected, Debit::Refused(Refusal::InsufficientMiles)),
    ] {
        assert_eq!(repeat(burn).await, wanted);
    }
    for burn in [
        with("/quantity/amount", json!(11)),
        with("/loyaltyProgramMember/id", json!("TEL-2")),
        with("/id", json!("ref-2")),
    ] {
        let outcome = repeat(burn).await;
        assert!(matches!(outcome, Debit::Unknown(_)), "{outcome:?}");
    }
}

/// A burn answered with 409, and what is read then.
async fn repeat(burn: Value) -> Debit {
    let (server, telecom) = server().await;
    let exists = ResponseTemplate::new(409).set_body_json(json!({ "code": "burnExists" }));
    Mock::given(method("POST"))
        .respond_with(exists)
        .mount(&server)
        .await;
    let read = Mock::given(method("GET")).and(path("/loyaltyBurn/ref-1"));
    read.respond_with(ResponseTemplate::new(200).set_body_json(burn))
        .mount(&server)
        .await;
    telecom
        .debit(&session(), &reference(), Miles::new(10))
        .await
}

#[tokio::test]
async fn a_bare_404_is_not_the_telecoms_word() {
    let word = |status: u16, code: &str| {
        ResponseTemplate::new(status).set_body_json(json!({ "code": code }))
    };
    for (answer, wanted) in [
        (word(404, "burnNotFound"), true),
        (ResponseTemplate::new(404), false),
        (word(404, "routeNotFound"), false),
        (word(410, "burnNotFound"), false),
        (
            ResponseTemplate::new(200).set_body_string("<html>maintenance"),
            false,
        ),
    ] {
        let (server, telecom) = server().await;
        Mock::given(method("GET"))
            .respond_with(answer)
            .mount(&server)
            .await;
        let outcome = telecom.inquire(&reference()).await;
        assert_eq!(outcome == Inquiry::NotFound, wanted, "{outcome:?}");
        assert_eq!(
            matches!(outcome, Inquiry::Unknown(_)),
            !wanted,
            "{outcome:?}"
        );
    }
}

#[tokio::test]
async fn a_cancelling_counts_only_when_the_burn_shows_it() {
    let mut rejected = with("/status", json!("rejected"));
    rejected["statusReason"] = json!("accountBlocked");
    let refused = ResponseTemplate::new(422).set_body_json(json!({ "code": "notReversible" }));
    let ok = |body: Value| ResponseTemplate::new(200).set_body_json(body);
    for (answer, wanted) in [
        (ok(with("/status", json!("cancelled"))), "acknowledged"),
        (ok(rejected), "acknowledged"),
        (ok(completed()), "unknown"),
        (
            ok(json!({ "id": "ref-2", "status": "cancelled" })),
            "unknown",
        ),
        (ResponseTemplate::new(204), "unknown"),
        (ResponseTemplate::new(404), "unknown"),
        (ResponseTemplate::new(500), "unknown"),
        (refused, "refused"),
        (ResponseTemplate::new(422), "unknown"),
    ] {
        let (server, telecom) = server().await;
        Mock::given(method("PATCH"))
            .and(path("/loyaltyBurn/ref-1"))
            .and(header("content-type", "application/merge-patch+json"))
            .and(body_json(json!({ "status": "cancelled" })))
            .respond_with(answer)
            .mount(&server)
            .await;
        let got = match telecom.reverse(&reference()).await {
            Reversal::Acknowledged => "acknowledged",
            Reversal::Refused(_) => "refused",
            Reversal::Unknown(_) => "unknown",
        };
        assert_eq!(got, wanted);
    }
}

/// A list of one item, as page `offset` of so many.
async fn list(server: &MockServer, at: &str, offset: &str, total: usize, items: Value) {
    let status = if total > 1 { 206 } else { 200 };
    let answer =
        ResponseTemplate::new(status).insert_header("x-total-count", total.to_string().as_str());
    Mock::given(method("GET"))
        .and(path(at))
        .and(query_param("offset", offset))
        .respond_with(answer.set_body_json(items))
        .mount(server)
        .await;
}

async fn with_token(server: &MockServer) {
    let token = ResponseTemplate::new(200)
        .set_body_json(json!({ "access_token": "m", "token_type": "Bearer" }));
    Mock::given(method("POST"))
        .and(path("/oauth/member-token"))
        .respond_with(token)
        .mount(server)
        .await;
}

fn account(id: &str, units: &str) -> Value {
    json!({
        "id": id,
        "loyaltyProgramMember": { "id": "TEL-1" },
        "loyaltyBalance": [{ "quantity": { "amount": 5, "units": units } }],
    })
}

#[tokio::test]
async fn lists_are_read_page_by_page() {
    let (server, telecom) = server().await;
    with_token(&server).await;
    list(
        &server,
        "/loyaltyProgramMember",
        "0",
        1,
        json!([{ "id": "TEL-1" }]),
    )
    .await;
    // Three accounts in three pages; the one with our units is in the last.
    list(
        &server,
        "/loyaltyAccount",
        "0",
        3,
        json!([account("a", "minutes")]),
    )
    .await;
    list(
        &server,
        "/loyaltyAccount",
        "1",
        3,
        json!([account("b", "texts")]),
    )
    .await;
    list(
        &server,
        "/loyaltyAccount",
        "2",
        3,
        json!([account("c", "miles")]),
    )
    .await;
    let read = Mock::given(method("GET")).and(path("/loyaltyAccount/c"));
    read.respond_with(ResponseTemplate::new(200).set_body_json(account("c", "miles")))
        .mount(&server)
        .await;
    let session = telecom
        .authenticate("a", &SecretString::from("b"))
        .await
        .unwrap();
    assert_eq!(session.member.as_str(), "TEL-1");
    assert_eq!(telecom.balance(&session).await, Ok(Miles::new(5)));
}

#[tokio::test]
async fn lists_that_make_no_sense_are_not_believed() {
    let member = json!([{ "id": "TEL-1" }]);
    let ours = json!([account("a", "miles")]);
    for (name, members, accounts) in [
        (
            "two members",
            (2, json!([{ "id": "TEL-1" }, { "id": "TEL-2" }])),
            (1, ours.clone()),
        ),
        ("no member", (0, json!([])), (1, ours.clone())),
        (
            "a member that is none",
            (1, json!([{ "id": "../x" }])),
            (1, ours.clone()),
        ),
        (
            "more than the total",
            (1, json!([{ "id": "TEL-1" }, { "id": "TEL-1" }])),
            (1, ours.clone()),
        ),
        (
            "fewer than the total",
            (5, member.clone()),
            (1, ours.clone()),
        ),
        ("far too many", (100_000, member.clone()), (1, ours.clone())),
        (
            "two accounts",
            (1, member.clone()),
            (2, json!([account("a", "miles"), account("b", "miles")])),
        ),
        (
            "no account",
            (1, member.clone()),
            (1, json!([account("a", "texts")])),
        ),
        (
            "an account that is none",
            (1, member.clone()),
            (1, json!([account("a/b", "miles")])),
        ),
    ] {
        let (server, telecom) = server().await;
        with_token(&server).await;
        list(&server, "/loyaltyProgramMember", "0", members.0, members.1).await;
        list(&server, "/loyaltyAccount", "0", accounts.0, accounts.1).await;
        let outcome = telecom.authenticate("a", &SecretString::from("b")).await;
        assert!(
            matches!(outcome, Err(AskError::Unavailable(_))),
            "{name}: {outcome:?}"
        );
    }
}

#[tokio::test]
async fn who_is_refused_is_told_apart() {
    for (answer, wanted) in [
        (
            ResponseTemplate::new(400).set_body_json(json!({ "error": "invalid_grant" })),
            AskError::MemberRefused,
        ),
        (
            ResponseTemplate::new(403).set_body_json(json!({ "code": "accountBlocked" })),
            AskError::MemberBlocked,
        ),
        (ResponseTemplate::new(401), AskError::GatewayRefused),
    ] {
        let (server, telecom) = server().await;
        Mock::given(method("POST"))
            .respond_with(answer)
            .mount(&server)
            .await;
        let outcome = telecom.authenticate("a", &SecretString::from("b")).await;
        assert_eq!(outcome.unwrap_err(), wanted);
    }
}

/// A pause that fits the call is waited for; the second try is the same request.
#[tokio::test]
async fn a_short_pause_is_waited_for() {
    let (server, telecom) = server().await;
    let busy = ResponseTemplate::new(429).insert_header("retry-after", "0");
    Mock::given(method("POST"))
        .respond_with(busy)
        .up_to_n_times(1)
        .expect(1)
        .mount(&server)
        .await;
    Mock::given(method("POST"))
        .respond_with(created(completed()))
        .expect(1)
        .mount(&server)
        .await;
    assert_eq!(
        telecom
            .debit(&session(), &reference(), Miles::new(10))
            .await,
        done()
    );
}

/// One that does not is obeyed: nothing is sent while it lasts.
#[tokio::test]
async fn during_a_long_pause_nothing_is_sent() {
    let (server, telecom) = server().await;
    let busy = ResponseTemplate::new(503).insert_header("retry-after", "120");
    Mock::given(method("GET"))
        .respond_with(busy)
        .expect(1)
        .mount(&server)
        .await;
    Mock::given(method("POST"))
        .respond_with(created(completed()))
        .expect(0)
        .mount(&server)
        .await;
    for _ in 0..3 {
        assert!(matches!(
            telecom.inquire(&reference()).await,
            Inquiry::Unknown(_)
        ));
    }
    let outcome = telecom
        .debit(&session(), &reference(), Miles::new(10))
        .await;
    assert!(matches!(outcome, Debit::Unknown(_)), "{outcome:?}");
}

#[tokio::test]
async fn the_hub_tells_of_burns() {
    let listener = MockServer::start().await;
    Mock::given(method("POST"))
        .and(path("/burns"))
        .respond_with(ResponseTemplate::new(204))
        .mount(&listener)
        .await;
    let directory = tempfile::tempdir().unwrap();
    let partner = sandbox::telecom::Telecom::start(sandbox::PartnerConfig {
        listen: "127.0.0.1:0".parse().unwrap(),
        data_dir: directory.path().to_owned(),
        members: None,
    })
    .await
    .unwrap();
    let secret = sandbox::telecom::sample().unwrap().client_secret;
    std::fs::write(directory.path().join("secret"), secret).unwrap();
    let file = format!(
        "base_url = \"{}\"\nclient_id = \"mileverse-gateway\"\nclient_secret_file = \"secret\"\n",
        partner.url()
    );
    std::fs::write(directory.path().join("telecom.toml"), file).unwrap();
    let config =
        PartnerConfig::read(PartnerKind::Telecom, &directory.path().join("telecom.toml")).unwrap();
    let PartnerConfig::Telecom(config) = config else {
        panic!("{config:?}");
    };
    let telecom = Telecom::new(*config).unwrap();
    let callback = format!("{}/burns", listener.uri()).parse().unwrap();
    telecom.subscribe(&callback).await.unwrap();
    telecom.subscribe(&callback).await.unwrap();
    let session = telecom
        .authenticate("minji@tel.example", &SecretString::from("blue-heron-41"))
        .await
        .unwrap();
    let reference = Reference::new("told-1").unwrap();
    telecom.debit(&session, &reference, Miles::new(3)).await;
    let until = std::time::Instant::now() + Duration::from_secs(30);
    let told = loop {
        let told = listener.received_requests().await.unwrap();
        if let Some(told) = told.first() {
            break told.body.clone();
        }
        assert!(std::time::Instant::now() < until, "nobody was told");
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    let named = notice::reference(&told).unwrap().unwrap();
    assert_eq!(named, reference);
    let inquiry = telecom.inquire(&named).await;
    assert!(
        matches!(inquiry, Inquiry::Found(Known::Applied { .. })),
        "{inquiry:?}"
    );
    partner.stop().await.unwrap();
}
