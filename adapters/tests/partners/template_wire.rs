//! The adapter that is configuration alone: files that are wrong, and answers that are.

use mileverse_adapters::{
    Adapter, AskError, Debit, Inquiry, MemberId, Miles, PartnerConfig, PartnerKind, Reference,
    Refusal, Reversal, Session,
};
use mileverse_fixtures::sandbox::shop::TEMPLATE;
use secrecy::SecretString;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use wiremock::matchers::{body_json, header, method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

fn read(text: &str) -> Result<PartnerConfig, String> {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("shop.key"), "the-key").unwrap();
    let file = directory.path().join("shop.toml");
    std::fs::write(&file, text).unwrap();
    PartnerConfig::read(PartnerKind::Template, &file).map_err(|error| error.to_string())
}

async fn server() -> (MockServer, Arc<dyn Adapter>) {
    let server = MockServer::start().await;
    let text = TEMPLATE.replace("http://127.0.0.1:9004", &server.uri());
    let text = format!("timeout_milliseconds = 500\n{text}");
    let adapter = read(&text)
        .unwrap_or_else(|error| panic!("{error}"))
        .build()
        .unwrap();
    (server, adapter)
}

fn session() -> Session {
    Session {
        member: MemberId::new("SHOP-1").unwrap(),
        token: SecretString::from("s"),
    }
}

fn reference() -> Reference {
    Reference::new("ref-1").unwrap()
}

fn spent() -> Value {
    json!({ "id": "ref-1", "customer": "SHOP-1", "points": 10, "receipt": "R1", "state": "done", "why": null })
}

fn with(field: &str, value: Value) -> ResponseTemplate {
    let mut body = spent();
    body[field] = value;
    ResponseTemplate::new(200).set_body_json(body)
}

async fn debit_answered(answer: ResponseTemplate) -> Debit {
    let (server, shop) = server().await;
    Mock::given(method("POST"))
        .and(path("/api/spends"))
        .and(header("x-api-key", "the-key"))
        .and(header("x-session", "s"))
        .and(body_json(
            json!({ "id": "ref-1", "customer": "SHOP-1", "points": 10 }),
        ))
        .respond_with(answer)
        .expect(1)
        .mount(&server)
        .await;
    shop.debit(&session(), &reference(), Miles::new(10)).await
}

#[tokio::test]
async fn only_an_exact_answer_means_applied() {
    let done = Debit::Applied {
        partner_reference: "R1".to_owned(),
    };
    assert_eq!(debit_answered(with("points", json!(10))).await, done);
    assert_eq!(debit_answered(with("points", json!("10"))).await, done);
    for (name, answer) in [
        ("another reference", with("id", json!("ref-2"))),
        ("no reference", with("id", Value::Null)),
        ("another member", with("customer", json!("SHOP-2"))),
        ("a member that is none", with("customer", json!("../x"))),
        ("other miles", with("points", json!(11))),
        ("negative miles", with("points", json!(-10))),
        ("a fraction", with("points", json!(10.5))),
        ("signed text", with("points", json!("+10"))),
        ("no receipt", with("receipt", Value::Null)),
        ("an empty receipt", with("receipt", json!(""))),
        ("unknown state", with("state", json!("parked"))),
        (
            "refused for no known reason",
            with("state", json!("refused")),
        ),
        ("empty", ResponseTemplate::new(200)),
        (
            "a maintenance page",
            ResponseTemplate::new(200).set_body_string("<html>"),
        ),
        (
            "another status",
            ResponseTemplate::new(201).set_body_json(spent()),
        ),
        (
            "500 that looks right",
            ResponseTemplate::new(500).set_body_json(spent()),
        ),
        ("401", ResponseTemplate::new(401)),
        ("404", ResponseTemplate::new(404)),
        (
            "409",
            ResponseTemplate::new(409).set_body_json(json!({ "error": "spend_exists" })),
        ),
        ("429", ResponseTemplate::new(429)),
        (
            "redirect",
            ResponseTemplate::new(307).insert_header("location", "/api/spends/ref-1"),
        ),
        (
            "too late",
            with("points", json!(10)).set_delay(Duration::from_secs(5)),
        ),
        ("too long", with("receipt", json!("x".repeat(100_000)))),
    ] {
        let outcome = debit_answered(answer).await;
        assert!(matches!(outcome, Debit::Unknown(_)), "{name}: {outcome:?}");
    }
}

#[tokio::test]
async fn refusals_are_what_the_rules_say_and_about_our_reference() {
    let refused = |id: &str, why: &str| {
        ResponseTemplate::new(200)
            .set_body_json(json!({ "id": id, "state": "refused", "why": why }))
    };
    for (why, refusal) in [
        ("not_enough_points", Refusal::InsufficientMiles),
        ("customer_blocked", Refusal::AccountBlocked),
        ("cancelled", Refusal::Reversed),
    ] {
        assert_eq!(
            debit_answered(refused("ref-1", why)).await,
            Debit::Refused(refusal)
        );
        let outcome = debit_answered(refused("ref-2", why)).await;
        assert!(matches!(outcome, Debit::Unknown(_)), "{outcome:?}");
    }
}

#[tokio::test]
async fn inquiries_and_reversals_need_the_partners_own_word() {
    let error = |status: u16, code: &str| {
        ResponseTemplate::new(status).set_body_json(json!({ "error": code }))
    };
    for (answer, wanted) in [
        (error(404, "no_such_spend"), true),
        (error(404, "no_such_route"), false),
        (error(410, "no_such_spend"), false),
        (ResponseTemplate::new(404), false),
    ] {
        let (server, shop) = server().await;
        Mock::given(method("GET"))
            .respond_with(answer)
            .mount(&server)
            .await;
        let outcome = shop.inquire(&reference()).await;
        assert_eq!(outcome == Inquiry::NotFound, wanted, "{outcome:?}");
        assert_eq!(shop.reachable().await.is_ok(), wanted);
    }
    for (answer, wanted) in [
        (with("state", json!("cancelled")), "acknowledged"),
        (with("state", json!("refused")), "acknowledged"),
        (with("state", json!("done")), "unknown"),
        (
            ResponseTemplate::new(200).set_body_json(json!({ "state": "cancelled" })),
            "unknown",
        ),
        (
            ResponseTemplate::new(200)
                .set_body_json(json!({ "id": "ref-2", "state": "cancelled" })),
            "unknown",
        ),
        (error(409, "spend_is_final"), "refused"),
        (ResponseTemplate::new(409), "unknown"),
        (ResponseTemplate::new(204), "unknown"),
    ] {
        let (server, shop) = server().await;
        Mock::given(method("DELETE"))
            .and(path("/api/spends/ref-1"))
            .respond_with(answer)
            .mount(&server)
            .await;
        let got = match shop.reverse(&reference()).await {
            Reversal::Acknowledged => "acknowledged",
            Reversal::Refused(_) => "refused",
            Reversal::Unknown(_) => "unknown",
        };
        assert_eq!(got, wanted);
    }
}

#[tokio::test]
async fn what_members_type_stays_in_its_place() {
    let (server, shop) = server().await;
    let login = "\"}, {\"x\": \"{token}{reference}";
    let body = json!({ "email": login, "password": "\\\"\n" });
    let refused = ResponseTemplate::new(403).set_body_json(json!({ "error": "bad_credentials" }));
    Mock::given(method("POST"))
        .and(body_json(body))
        .respond_with(refused)
        .expect(1)
        .mount(&server)
        .await;
    let outcome = shop
        .authenticate(login, &SecretString::from("\\\"\n"))
        .await;
    assert_eq!(outcome.unwrap_err(), AskError::MemberRefused);
    // A token that no header can carry is not sent.
    let session = Session {
        member: MemberId::new("SHOP-1").unwrap(),
        token: SecretString::from("a\r\nb"),
    };
    let outcome = shop.debit(&session, &reference(), Miles::new(10)).await;
    assert!(matches!(outcome, Debit::Unknown(_)), "{outcome:?}");
}

#[test]
fn a_partner_may_lack_inquiry_and_reversal() {
    let end = TEMPLATE.find("[inquire]").unwrap();
    let adapter = read(&TEMPLATE[..end]).unwrap().build().unwrap();
    let capabilities = adapter.capabilities();
    assert!(!capabilities.inquiry && !capabilities.reversal && capabilities.part_conversion);
}

#[test]
fn what_is_wrong_in_the_file_is_named() {
    read(TEMPLATE).unwrap();
    assert!(
        !format!("{:?}", read(TEMPLATE).unwrap()).contains("the-key"),
        "a secret shows"
    );
    for (this, that, said) in [
        ("http://127.0.0.1:9004", "file:///etc", "base_url"),
        ("\"shop.key\"", "\"gone.key\"", "gone.key"),
        ("{secret.api_key}", "{secret.other}", "headers.x-api-key"),
        ("{secret.api_key}", "{token}", "headers.x-api-key"),
        ("x-api-key =", "\"x api\" =", "headers.x api"),
        ("{login}", "{token}", "authenticate.body"),
        ("email = \"{login}\", ", "", "{login}"),
        ("{login}", "{login", "authenticate.body"),
        (
            "member = \"/customer/id\", ",
            "",
            "authenticate.read.member",
        ),
        (
            "\"/customer/id\"",
            "\"customer.id\"",
            "authenticate.read.member",
        ),
        (
            "token = \"/session\"",
            "token = \"/session\", more = \"/x\"",
            "authenticate.read",
        ),
        (
            "means = \"accepted\"",
            "means = \"applied\"",
            "authenticate.answers[0].means",
        ),
        ("means = \"accepted\"", "means = \"perhaps\"", "perhaps"),
        (
            "status = 200\nmeans = \"accepted\"",
            "status = 404\nmeans = \"accepted\"",
            "authenticate.answers[0].status",
        ),
        (
            "status = 200\nmeans = \"accepted\"",
            "status = 20\nmeans = \"accepted\"",
            "authenticate.answers[0].status",
        ),
        (
            "points\"\nheaders",
            "points?key={secret.api_key}\"\nheaders",
            "balance.path",
        ),
        ("{member}/points", "{token}/points", "balance.path"),
        (
            "\"api/spends\"",
            "\"https://elsewhere.example/spends\"",
            "debit.path",
        ),
        ("\"api/spends\"", "\"../spends\"", "debit.path"),
        ("\"api/spends\"", "\"\"", "debit.path"),
        ("points = \"{miles}\"", "points = 1.5", "debit.body"),
        (", points = \"{miles}\"", "", "{miles}"),
        ("id = \"{reference}\", ", "", "{reference}"),
        (
            "method = \"POST\"\npath = \"api/spends\"",
            "method = \"TRACE\"\npath = \"api/spends\"",
            "debit.method",
        ),
        (
            "when = { \"/state\" = \"refused\", \"/why\" = \"not_enough_points\" }\n",
            "",
            "debit.answers[1].when",
        ),
        (
            "when = { \"/error\" = \"no_such_spend\" }\n",
            "",
            "inquire.answers[4].when",
        ),
        (
            "when = { \"/error\" = \"spend_is_final\" }\n",
            "",
            "reverse.answers[2].when",
        ),
        (
            "when = { \"/state\" = \"done\" }",
            "when = { \"state\" = \"done\" }",
            "debit.answers[0].when",
        ),
        (
            "when = { \"/state\" = \"done\" }",
            "when = { \"/state\" = [1] }",
            "debit.answers[0].when",
        ),
        ("api/spends/{reference}", "api/spends/all", "{reference}"),
        ("[debit]", "[debit]\nretries = 3", "retries"),
        ("[debit]", "[debts]", "debit"),
    ] {
        assert!(TEMPLATE.contains(this), "{this}");
        let error = read(&TEMPLATE.replacen(this, that, 1))
            .err()
            .unwrap_or_else(|| panic!("{this} -> {that} was taken"));
        assert!(
            error.contains(said) && !error.contains('\n'),
            "{said}: {error}"
        );
        assert!(!error.contains("the-key"), "{error}");
    }
}
