//! The airline adapter against answers that no honest airline gives.

use mileverse_adapters::airline::{Airline, AirlineConfig};
use mileverse_adapters::{
    Adapter, AskError, Debit, Inquiry, Known, MemberId, Miles, Reference, Refusal, Reversal,
    Session,
};
use secrecy::SecretString;
use serde_json::{Value, json};
use std::time::Duration;
use wiremock::matchers::{header, method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

async fn server() -> (MockServer, Airline) {
    let server = MockServer::start().await;
    let airline = Airline::new(AirlineConfig {
        base_url: server.uri().parse().unwrap(),
        client_id: "id".to_owned(),
        client_secret: SecretString::from("secret"),
        timeout: Duration::from_millis(500),
        visibility_window: Duration::ZERO,
    })
    .unwrap();
    (server, airline)
}

fn token(value: &str, expires_in: u64) -> ResponseTemplate {
    let body = json!({ "access_token": value, "token_type": "Bearer", "expires_in": expires_in });
    ResponseTemplate::new(200).set_body_json(body)
}

async fn with_token(server: &MockServer) {
    let mock = Mock::given(method("POST")).and(path("/oauth/token"));
    mock.respond_with(token("t", 600)).mount(server).await;
}

fn session() -> Session {
    Session {
        member: MemberId::new("SKY-1").unwrap(),
        token: SecretString::from("m"),
    }
}

fn reference() -> Reference {
    Reference::new("ref-1").unwrap()
}

fn applied() -> Value {
    json!({ "reference": "ref-1", "status": "applied", "member_id": "SKY-1", "miles": 10, "partner_reference": "P1" })
}

async fn debit_answered(answer: ResponseTemplate) -> Debit {
    let (server, airline) = server().await;
    with_token(&server).await;
    Mock::given(method("POST"))
        .and(path("/v1/debits"))
        .respond_with(answer)
        .mount(&server)
        .await;
    airline
        .debit(&session(), &reference(), Miles::new(10))
        .await
}

fn with(field: &str, value: Value) -> ResponseTemplate {
    let mut body = applied();
    body[field] = value;
    ResponseTemplate::new(200).set_body_json(body)
}

#[tokio::test]
async fn only_an_exact_answer_means_applied() {
    let good = debit_answered(ResponseTemplate::new(201).set_body_json(applied())).await;
    assert_eq!(
        good,
        Debit::Applied {
            partner_reference: "P1".to_owned()
        }
    );
    let long = "x".repeat(100_000);
    for (name, answer) in [
        ("another reference", with("reference", json!("ref-2"))),
        ("another member", with("member_id", json!("SKY-2"))),
        ("other miles", with("miles", json!(11))),
        ("negative miles", with("miles", json!(-10))),
        ("miles as text", with("miles", json!("10"))),
        (
            "no partner reference",
            with("partner_reference", Value::Null),
        ),
        (
            "empty partner reference",
            with("partner_reference", json!("")),
        ),
        ("unknown status", with("status", json!("parked"))),
        (
            "refused for no known reason",
            with("status", json!("refused")),
        ),
        ("empty", ResponseTemplate::new(200)),
        (
            "nonsense",
            ResponseTemplate::new(200).set_body_string("<html>"),
        ),
        ("too long", with("partner_reference", json!(long))),
        (
            "accepted only",
            ResponseTemplate::new(202).set_body_json(applied()),
        ),
        ("400", ResponseTemplate::new(400)),
        ("404", ResponseTemplate::new(404)),
        (
            "409",
            ResponseTemplate::new(409).set_body_json(json!({ "error": "reference_conflict" })),
        ),
        ("429", ResponseTemplate::new(429)),
        (
            "500 that looks right",
            ResponseTemplate::new(500).set_body_json(applied()),
        ),
        ("503", ResponseTemplate::new(503)),
        (
            "redirect",
            ResponseTemplate::new(307).insert_header("location", "/v1/members/login"),
        ),
        (
            "too late",
            ResponseTemplate::new(200)
                .set_body_json(applied())
                .set_delay(Duration::from_secs(5)),
        ),
    ] {
        let outcome = debit_answered(answer).await;
        assert!(matches!(outcome, Debit::Unknown(_)), "{name}: {outcome:?}");
    }
}

#[tokio::test]
async fn refusals_need_a_known_reason() {
    for (reason, refusal) in [
        ("insufficient_miles", Refusal::InsufficientMiles),
        ("account_blocked", Refusal::AccountBlocked),
        ("reversed", Refusal::Reversed),
    ] {
        let body = json!({ "reference": "ref-1", "status": "refused", "reason": reason });
        let outcome = debit_answered(ResponseTemplate::new(200).set_body_json(body)).await;
        assert_eq!(outcome, Debit::Refused(refusal));
    }
}

#[tokio::test]
async fn a_bare_404_is_not_the_airlines_word() {
    for (answer, wanted) in [
        (
            ResponseTemplate::new(404).set_body_json(json!({ "error": "debit_not_found" })),
            true,
        ),
        (ResponseTemplate::new(404), false),
        (
            ResponseTemplate::new(404).set_body_json(json!({ "error": "route_not_found" })),
            false,
        ),
        (
            ResponseTemplate::new(410).set_body_json(json!({ "error": "debit_not_found" })),
            false,
        ),
    ] {
        let (server, airline) = server().await;
        with_token(&server).await;
        Mock::given(method("GET"))
            .respond_with(answer)
            .mount(&server)
            .await;
        let outcome = airline.inquire(&reference()).await;
        assert_eq!(outcome == Inquiry::NotFound, wanted, "{outcome:?}");
        assert_eq!(
            matches!(outcome, Inquiry::Unknown(_)),
            !wanted,
            "{outcome:?}"
        );
    }
}

#[tokio::test]
async fn a_reversal_counts_only_when_the_debit_shows_it() {
    let refused =
        json!({ "reference": "ref-1", "status": "refused", "reason": "insufficient_miles" });
    let mut reversed = applied();
    reversed["status"] = json!("reversed");
    for (answer, wanted) in [
        (
            ResponseTemplate::new(200).set_body_json(&reversed),
            "acknowledged",
        ),
        (
            ResponseTemplate::new(200).set_body_json(&refused),
            "acknowledged",
        ),
        (
            ResponseTemplate::new(200).set_body_json(applied()),
            "unknown",
        ),
        (ResponseTemplate::new(200), "unknown"),
        (ResponseTemplate::new(404), "unknown"),
        (ResponseTemplate::new(500), "unknown"),
        (
            ResponseTemplate::new(422).set_body_json(json!({ "error": "not_reversible" })),
            "refused",
        ),
        (ResponseTemplate::new(422), "unknown"),
    ] {
        let (server, airline) = server().await;
        with_token(&server).await;
        let mock = Mock::given(method("POST")).and(path("/v1/debits/ref-1/reversal"));
        mock.respond_with(answer).mount(&server).await;
        let outcome = airline.reverse(&reference()).await;
        let got = match outcome {
            Reversal::Acknowledged => "acknowledged",
            Reversal::Refused(_) => "refused",
            Reversal::Unknown(_) => "unknown",
        };
        assert_eq!(got, wanted);
    }
}

#[tokio::test]
async fn a_refused_token_is_fetched_anew_once() {
    let (server, airline) = server().await;
    let endpoint = || Mock::given(method("POST")).and(path("/oauth/token"));
    endpoint()
        .respond_with(token("old", 600))
        .up_to_n_times(1)
        .mount(&server)
        .await;
    endpoint()
        .respond_with(token("new", 600))
        .expect(1)
        .mount(&server)
        .await;
    let debits = |token: &str| {
        Mock::given(method("GET"))
            .and(path("/v1/debits/ref-1"))
            .and(header("authorization", format!("Bearer {token}")))
    };
    debits("old")
        .respond_with(ResponseTemplate::new(401))
        .expect(1)
        .mount(&server)
        .await;
    let good = ResponseTemplate::new(200).set_body_json(applied());
    debits("new")
        .respond_with(good)
        .expect(2)
        .mount(&server)
        .await;
    for _ in 0..2 {
        let outcome = airline.inquire(&reference()).await;
        assert!(
            matches!(outcome, Inquiry::Found(Known::Applied { .. })),
            "{outcome:?}"
        );
    }
}

#[tokio::test]
async fn tokens_refused_for_ever_do_not_loop() {
    let (server, airline) = server().await;
    with_token(&server).await;
    Mock::given(method("GET"))
        .respond_with(ResponseTemplate::new(401))
        .expect(2)
        .mount(&server)
        .await;
    assert!(matches!(
        airline.inquire(&reference()).await,
        Inquiry::Unknown(_)
    ));
}

#[tokio::test]
async fn what_the_airline_says_of_members_is_checked() {
    let (server, airline) = server().await;
    with_token(&server).await;
    let bad = json!({ "member_id": "../../admin", "member_token": "m" });
    let mock = Mock::given(method("POST")).and(path("/v1/members/login"));
    mock.respond_with(ResponseTemplate::new(200).set_body_json(bad))
        .mount(&server)
        .await;
    let outcome = airline.authenticate("a", &SecretString::from("b")).await;
    assert!(
        matches!(outcome, Err(AskError::Unavailable(_))),
        "{outcome:?}"
    );
    let other = json!({ "member_id": "SKY-2", "miles": 5 });
    let mock = Mock::given(method("GET")).and(path("/v1/members/SKY-1/balance"));
    mock.respond_with(ResponseTemplate::new(200).set_body_json(other))
        .mount(&server)
        .await;
    let outcome = airline.balance(&session()).await;
    assert!(
        matches!(outcome, Err(AskError::Unavailable(_))),
        "{outcome:?}"
    );
}

#[tokio::test]
async fn an_airline_that_is_not_there_is_unavailable() {
    let airline = Airline::new(AirlineConfig {
        base_url: "http://127.0.0.1:1".parse().unwrap(),
        client_id: "id".to_owned(),
        client_secret: SecretString::from("secret"),
        timeout: Duration::from_millis(500),
        visibility_window: Duration::ZERO,
    })
    .unwrap();
    let outcome = airline.authenticate("a", &SecretString::from("b")).await;
    assert!(
        matches!(outcome, Err(AskError::Unavailable(_))),
        "{outcome:?}"
    );
    assert!(
        Airline::new(AirlineConfig {
            base_url: "ftp://airline.example".parse().unwrap(),
            client_id: String::new(),
            client_secret: SecretString::from(""),
            timeout: Duration::from_secs(1),
            visibility_window: Duration::ZERO,
        })
        .is_err()
    );
}
