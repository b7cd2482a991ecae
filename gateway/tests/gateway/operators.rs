//! Operators: what waits for them, four eyes, reconciliation of partner, journal and chain.

use crate::support::chain::Trouble;
use crate::support::proxy::Wrong;
use crate::support::{self, Databases, Gateway, KEY, Settings, World};
use alloy::primitives::{B256, U256};
use mileverse_gateway::clock::{now_ms, rfc3339};
use mileverse_gateway::conversion::state::State;
use mileverse_gateway::keys::{digest, hex};
use mileverse_gateway::operator::{CaseKind, Role};
use mileverse_gateway::reconcile::run::{Rules, date};
use mileverse_gateway::store::cases::{self, Opening};
use mileverse_gateway::store::conversions::{self, Change, Transition};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::Duration;

crate::on_both! {
    a_day_is_reconciled_and_every_difference_has_its_name,
    a_conversion_that_waits_is_ended_by_two_people,
    an_issue_that_becomes_final_between_two_looks_is_not_ended_as_failed,
    a_reversal_that_waits_is_asked_for_again_or_ended,
    a_dispute_that_nobody_acknowledges_waits_for_operators,
    roles_hold_and_keys_end,
    the_database_refuses_two_eyes_and_another_past,
    a_day_has_one_run_of_its_own,
    a_run_reads_what_was_handed_in_before_it_was_asked_for,
}

const MINJI: (&str, &str) = ("minji@sky.example", "blue-heron-41");
const DANIEL: (&str, &str) = ("daniel@sky.example", "quiet-pine-07");

/// One operator of each role; the name is the key.
async fn people(world: &World) {
    let store = world.store().await;
    for (name, role) in [
        ("vera", Role::Viewer),
        ("olaf", Role::Operator),
        ("anna", Role::Approver),
        ("adam", Role::Admin),
    ] {
        let digest = hex(&digest(name));
        assert!(
            store
                .add_operator(name, role, &digest, "command line", now_ms())
                .await
                .unwrap()
        );
    }
    store.close().await;
}

async fn ask(
    world: &World,
    gateway: &Gateway,
    who: &str,
    method: Method,
    path: &str,
    body: Option<&Value>,
) -> (StatusCode, Value) {
    let url = format!("{}/v1/operator{path}", gateway.url);
    let mut request = world.client.request(method, url).bearer_auth(who);
    if let Some(body) = body {
        request = request.json(body);
    }
    let answer = request.send().await.unwrap();
    let status = answer.status();
    (status, answer.json().await.unwrap_or(Value::Null))
}

async fn get(world: &World, gateway: &Gateway, path: &str) -> Value {
    let (status, body) = ask(world, gateway, "vera", Method::GET, path, None).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    body
}

async fn convert(world: &World, gateway: &Gateway, member: (&str, &str), miles: &str) -> Value {
    let body = world.quoted(gateway, member.0, member.1, miles).await;
    let key = format!("convert-{}", uuid::Uuid::now_v7());
    let answer = world.post(gateway, "/v1/conversions", &key, &body);
    answer.send().await.unwrap().json().await.unwrap()
}

fn text(value: &Value, name: &str) -> String {
    value[name].as_str().unwrap_or_default().to_owned()
}

/// The open case about a subject, once there is one.
async fn case(world: &World, gateway: &Gateway, subject: &str) -> Value {
    let path = format!("/cases?state=open&subject={subject}");
    support::until(&format!("a case about {subject}"), async || {
        let page = get(world, gateway, &path).await;
        page["items"][0].as_object().cloned().ok_or(page)
    })
    .await
    .into()
}

/// Olaf proposes, and gets this answer.
async fn propose(world: &World, gateway: &Gateway, case: &str, body: Value) -> (StatusCode, Value) {
    let path = format!("/cases/{case}/actions");
    ask(world, gateway, "olaf", Method::POST, &path, Some(&body)).await
}

/// Olaf proposes, Anna approves.
async fn both(world: &World, gateway: &Gateway, case: &str, body: Value) -> Value {
    let (status, action) = propose(world, gateway, case, body).await;
    assert_eq!(status, StatusCode::CREATED, "{action}");
    let path = format!("/actions/{}/approve", text(&action, "id"));
    let note = json!({ "note": "seen" });
    let (status, action) = ask(world, gateway, "anna", Method::POST, &path, Some(&note)).await;
    assert_eq!(status, StatusCode::OK, "{action}");
    assert_eq!(action["state"], "approved");
    action
}

async fn report(world: &World, gateway: &Gateway, id: &str) -> Value {
    let path = format!("/reconciliations/{id}");
    support::until("a report", async || {
        let report = get(world, gateway, &path).await;
        let is_done = report["state"] == "done";
        if is_done { Ok(report) } else { Err(report) }
    })
    .await
}

/// Hands a statement in and gives the report of its day.
async fn hand_in(world: &World, gateway: &Gateway, day: &str, lines: &[String]) -> Value {
    let text_of = format!(
        "reference,partner_reference,kind,member,miles,at\n{}\n",
        lines.join("\n")
    );
    let url = format!("{}/v1/operator/statements/airline/{day}", gateway.url);
    let request = world.client.put(url).bearer_auth("olaf").body(text_of);
    let answer = request.send().await.unwrap();
    let status = answer.status();
    let body: Value = answer.json().await.unwrap();
    assert_eq!(status, StatusCode::OK, "{body}");
    report(world, gateway, &text(&body, "reconciliation_id")).await
}

fn found(report: &Value) -> BTreeSet<(String, String)> {
    let differences = report["differences"].as_array().unwrap();
    differences
        .iter()
        .map(|found| (text(found, "kind"), text(found, "subject")))
        .collect()
}

/// A day is reconciled up to this very moment.
pub fn strict() -> Settings {
    Settings {
        reconciliation: Rules {
            after: Duration::ZERO,
            cut_off: Duration::ZERO,
        },
        ..Settings::default()
    }
}

async fn audit_holds(world: &World, gateway: &Gateway) -> i64 {
    let proof = get(world, gateway, "/audit/proof").await;
    assert_eq!(proof["broken_at"], Value::Null, "{proof}");
    proof["rows"].as_i64().unwrap()
}

async fn a_day_is_reconciled_and_every_difference_has_its_name(on: &Databases) {
    let world = World::with(on, strict()).await;
    people(&world).await;
    let gateway = world.gateway().await;
    let mut made = Vec::new();
    for _ in 0..5 {
        let view = convert(&world, &gateway, MINJI, "10").await;
        assert_eq!(view["state"], "completed", "{view}");
        made.push(text(&view, "id"));
    }
    let store = world.store().await;
    let mut lines = Vec::new();
    let mut sent = 0;
    for id in &made {
        let row = store.conversion(id).await.unwrap().unwrap();
        sent = row.debit_sent_at.unwrap();
        lines.push(format!("{id},SKY,debit,SKY-1001,10,{}", rfc3339(sent)));
    }
    store.close().await;
    let day = date(mileverse_gateway::clock::day(sent));
    // No statement yet: that is what is said, once, and nothing of single debits.
    let body = json!({ "day": day });
    let path = "/reconciliations";
    let (status, asked) = ask(&world, &gateway, "olaf", Method::POST, path, Some(&body)).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{asked}");
    let none = report(&world, &gateway, &text(&asked, "id")).await;
    let missing = ("statement_missing".to_owned(), format!("airline:{day}"));
    assert_eq!(found(&none), BTreeSet::from([missing.clone()]), "{none}");

    let whole = hand_in(&world, &gateway, &day, &lines).await;
    assert_eq!(whole["agrees"], json!(true), "{whole}");
    assert_eq!(whole["totals"]["programmes"][0]["miles_here"], "50");
    assert_eq!(whole["totals"]["chain"]["issues"], 5);
    let open = get(&world, &gateway, "/cases?state=open").await;
    assert!(open["items"].as_array().unwrap().is_empty(), "{open}");

    // A corrected statement takes its place, and is wrong in every way.
    let mut wrong = lines.clone();
    wrong[0] = wrong[0].replace(",10,", ",11,");
    wrong[1] = wrong[1].replace("SKY-1001", "SKY-1002");
    let again = wrong[3].clone();
    wrong.push(again);
    wrong.push(format!("conv_x,SKY,debit,SKY-9,7,{}", rfc3339(sent)));
    let early = format!("{}T00:00:00Z", day);
    wrong[2] = format!("{},SKY,debit,SKY-1001,10,{early}", made[2]);
    wrong.remove(4);
    let name = B256::repeat_byte(9);
    let foreign = U256::from(5);
    world
        .chain
        .ledger
        .lock()
        .unwrap()
        .issue_foreign(name, foreign);
    let odd = hand_in(&world, &gateway, &day, &wrong).await;
    let one = |kind: &str, subject: &str| (kind.to_owned(), subject.to_owned());
    let expected = BTreeSet::from([
        one("amount_differs", &made[0]),
        one("member_differs", &made[1]),
        one("late", &made[2]),
        one("taken_twice", &made[3]),
        one("missing_at_partner", &made[4]),
        one("missing_here", "conv_x"),
        one("minted_without_row", &name.to_string()),
        one("supply_differs", "all"),
    ]);
    assert_eq!(found(&odd), expected, "{odd}");
    assert_eq!(odd["difference_count"], 8);
    let open = get(&world, &gateway, "/cases?state=open").await;
    assert_eq!(open["items"].as_array().unwrap().len(), 8);

    // Two operators say what the foreign points are, and the supply agrees again.
    let case = case(&world, &gateway, &name.to_string()).await;
    let entry = json!({ "debit": "chain:suspense", "credit": "points_in_circulation",
        "currency": "MVP", "amount": "5" });
    let body = json!({ "action": "counter_entry", "evidence": "ticket 1", "entries": [entry] });
    both(&world, &gateway, &text(&case, "id"), body).await;
    let right = hand_in(&world, &gateway, &day, &lines).await;
    assert_eq!(right["agrees"], json!(true), "{right}");
    let open = get(&world, &gateway, "/cases?state=open").await;
    assert!(open["items"].as_array().unwrap().is_empty(), "{open}");

    // A difference that two operators leave as it is, is not raised again.
    let short = hand_in(&world, &gateway, &day, &lines[1..]).await;
    assert_eq!(
        found(&short),
        BTreeSet::from([one("missing_at_partner", &made[0])])
    );
    let case = self::case(&world, &gateway, &made[0]).await;
    let body = json!({ "action": "close", "evidence": "settled by invoice" });
    both(&world, &gateway, &text(&case, "id"), body).await;
    let (_, asked) = ask(
        &world,
        &gateway,
        "olaf",
        Method::POST,
        path,
        Some(&json!({ "day": day })),
    )
    .await;
    report(&world, &gateway, &text(&asked, "id")).await;
    let open = get(&world, &gateway, "/cases?state=open").await;
    assert!(open["items"].as_array().unwrap().is_empty(), "{open}");

    // A file that is wrong is refused with its line, and nothing of it is taken.
    let url = format!("{}/v1/operator/statements/airline/{day}", gateway.url);
    let request = world
        .client
        .put(url)
        .bearer_auth("olaf")
        .body("no,csv\n1,2\n");
    assert_eq!(
        request.send().await.unwrap().status(),
        StatusCode::UNPROCESSABLE_ENTITY
    );
    audit_holds(&world, &gateway).await;
    gateway.stop().await;
}

pub async fn mismatch(world: &World, gateway: &Gateway) -> String {
    world.proxy.fault(
        "GET",
        "/v1/debits/",
        1,
        Wrong::Replace("\"miles\":100", "\"miles\":90"),
    );
    let view = convert(world, gateway, ("500@sky.example", "fault"), "100").await;
    assert_eq!(view["state"], "attention", "{view}");
    text(&view, "id")
}

async fn a_conversion_that_waits_is_ended_by_two_people(on: &Databases) {
    let world = World::new(on).await;
    people(&world).await;
    let gateway = world.gateway().await;
    let id = mismatch(&world, &gateway).await;
    let waiting = case(&world, &gateway, &id).await;
    assert_eq!(waiting["kind"], "attention");
    assert!(text(&waiting, "facts").starts_with("debit_mismatch"));
    let case_id = text(&waiting, "id");

    let succeeded = json!({ "action": "resolve_succeeded", "evidence": "Sky, ticket 7" });
    for (body, status) in [
        (succeeded.clone(), StatusCode::UNPROCESSABLE_ENTITY),
        (
            json!({ "action": "close", "evidence": "x" }),
            StatusCode::UNPROCESSABLE_ENTITY,
        ),
        (
            json!({ "action": "repeat", "evidence": "  " }),
            StatusCode::UNPROCESSABLE_ENTITY,
        ),
        (
            json!({ "action": "burn", "evidence": "x" }),
            StatusCode::UNPROCESSABLE_ENTITY,
        ),
        (
            json!({ "action": "counter_entry", "evidence": "x", "entries": [{
                "debit": "airline:nothing", "credit": "a:suspense", "currency": "MVP", "amount": "1" }] }),
            StatusCode::UNPROCESSABLE_ENTITY,
        ),
    ] {
        let (got, answer) = propose(&world, &gateway, &case_id, body).await;
        assert_eq!(got, status, "{answer}");
    }
    let mut named = succeeded.clone();
    named["partner_reference"] = "SKY-4711".into();
    let (status, action) = propose(&world, &gateway, &case_id, named.clone()).await;
    assert_eq!(status, StatusCode::CREATED, "{action}");
    let (status, _) = propose(&world, &gateway, &case_id, named.clone()).await;
    assert_eq!(status, StatusCode::CONFLICT, "a second proposal");
    assert_eq!(
        world.get(&gateway, &format!("/v1/conversions/{id}")).await["state"],
        "attention"
    );

    let path = format!("/actions/{}", text(&action, "id"));
    for who in ["olaf", "vera", "adam"] {
        let path = format!("{path}/approve");
        let (status, answer) =
            ask(&world, &gateway, who, Method::POST, &path, Some(&json!({}))).await;
        assert_eq!(status, StatusCode::FORBIDDEN, "{who}: {answer}");
    }
    // Rejected, proposed again, withdrawn, proposed again, approved: twice is once.
    let reject = format!("{path}/reject");
    let (status, _) = ask(
        &world,
        &gateway,
        "anna",
        Method::POST,
        &reject,
        Some(&json!({ "note": "show me" })),
    )
    .await;
    assert_eq!(status, StatusCode::OK);
    let approve = format!("{path}/approve");
    let (status, _) = ask(
        &world,
        &gateway,
        "anna",
        Method::POST,
        &approve,
        Some(&json!({})),
    )
    .await;
    assert_eq!(status, StatusCode::CONFLICT, "decided already");
    let (_, action) = propose(&world, &gateway, &case_id, named.clone()).await;
    let withdraw = format!("/actions/{}/withdraw", text(&action, "id"));
    let (status, _) = ask(
        &world,
        &gateway,
        "olaf",
        Method::POST,
        &withdraw,
        Some(&json!({})),
    )
    .await;
    assert_eq!(status, StatusCode::OK);
    let action = both(&world, &gateway, &case_id, named).await;
    let approve = format!("/actions/{}/approve", text(&action, "id"));
    let (status, again) = ask(
        &world,
        &gateway,
        "anna",
        Method::POST,
        &approve,
        Some(&json!({})),
    )
    .await;
    assert_eq!((status, &again), (StatusCode::OK, &action));

    let view = world.until(&gateway, &id, &["completed"]).await;
    assert_eq!(view["debit"]["partner_reference"], "SKY-4711");
    world.assert_books(&gateway).await;
    let closed = get(&world, &gateway, &format!("/cases/{case_id}")).await;
    assert_eq!(closed["resolution"], "resolve_succeeded");
    assert_eq!(closed["closed_by"], "olaf and anna");
    assert_eq!(closed["actions"].as_array().unwrap().len(), 3);
    let store = world.store().await;
    let by: String = sqlx::query_scalar(
        "SELECT posted_by FROM journal_transactions WHERE subject = $1 AND kind = 'taken'",
    )
    .bind(&id)
    .fetch_one(store.read())
    .await
    .unwrap();
    assert_eq!(by, "olaf and anna");
    store.close().await;
    // opened, and proposed and decided three times; people are four more.
    assert_eq!(audit_holds(&world, &gateway).await, 4 + 1 + 6);
    gateway.stop().await;
}

/// First no receipt is seen, then the nonce is seen gone: it went to this very issue, which became
/// final between the two.
async fn an_issue_that_becomes_final_between_two_looks_is_not_ended_as_failed(on: &Databases) {
    let settings = Settings {
        wait: Duration::from_millis(200),
        ..Settings::default()
    };
    let world = World::with(on, settings).await;
    people(&world).await;
    let gateway = world.gateway().await;
    let lost = std::iter::repeat_n(Trouble::Lose, 1_000);
    world.chain.trouble(lost);
    let view = convert(&world, &gateway, MINJI, "100").await;
    let id = text(&view, "id");
    world.until(&gateway, &id, &["issuing"]).await;
    // It waits for operators while its issue is still good.
    let store = world.store().await;
    let mut write = store.write().await.unwrap();
    let change = Change {
        reason: Some(("nonce_taken", "as if".to_owned())),
        ..Change::default()
    };
    let step = Transition {
        id: &id,
        from: State::Issuing,
        via: None,
        to: State::Attention,
        change: &change,
    };
    let moved = conversions::transition(&mut write, &[step], now_ms()).await;
    assert_eq!(moved.unwrap().len(), 1);
    let opening = Opening {
        kind: CaseKind::Attention.name(),
        programme: Some("airline"),
        subject: &id,
        facts: "nonce_taken: as if",
    };
    cases::open(&mut write, &opening, "gateway", now_ms())
        .await
        .unwrap();
    write.commit().await.unwrap();
    store.close().await;
    let case_id = text(&case(&world, &gateway, &id).await, "id");
    {
        let mut ledger = world.chain.ledger.lock().unwrap();
        ledger.late = ledger.lost.last().cloned();
        assert!(ledger.late.is_some() && ledger.issued.is_empty());
    }
    let failed = json!({ "action": "resolve_failed", "evidence": "it looks dead" });
    let (status, refused) = propose(&world, &gateway, &case_id, failed).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{refused}");
    let why = text(&refused, "detail").to_lowercase();
    assert!(why.contains("may still be carried out"), "{refused}");
    {
        let ledger = world.chain.ledger.lock().unwrap();
        assert!(ledger.late.is_none(), "nobody asked for the nonce");
        assert_eq!(ledger.issued.len(), 1);
    }
    let succeeded = json!({ "action": "resolve_succeeded", "evidence": "the chain has it" });
    both(&world, &gateway, &case_id, succeeded).await;
    world.until(&gateway, &id, &["completed"]).await;
    world.assert_books(&gateway).await;
    gateway.stop().await;
}

async fn a_reversal_that_waits_is_asked_for_again_or_ended(on: &Databases) {
    let world = World::new(on).await;
    people(&world).await;
    let gateway = world.gateway().await;
    let mut waiting = Vec::new();
    for _ in 0..2 {
        // The debit is lost, and the partner answers neither inquiries nor reversals.
        let retry = &world.settings.retry;
        let (inquiries, reversals) = (retry.inquiries, retry.reversals);
        let lost = "/v1/debits/";
        world
            .proxy
            .fault("GET", lost, inquiries, Wrong::Instead(500, ""));
        world
            .proxy
            .fault("POST", lost, reversals, Wrong::Instead(500, ""));
        let view = convert(&world, &gateway, ("lost@sky.example", "fault"), "100").await;
        let id = text(&view, "id");
        world.until(&gateway, &id, &["attention"]).await;
        waiting.push(id);
    }
    let again = case(&world, &gateway, &waiting[0]).await;
    let repeat = json!({ "action": "repeat", "evidence": "they say they are back" });
    both(&world, &gateway, &text(&again, "id"), repeat).await;
    world.until(&gateway, &waiting[0], &["reversed"]).await;

    let other = case(&world, &gateway, &waiting[1]).await;
    let failed = json!({ "action": "resolve_failed", "evidence": "their list of bookings" });
    both(&world, &gateway, &text(&other, "id"), failed).await;
    let view = world.until(&gateway, &waiting[1], &["refused"]).await;
    assert_eq!(view["reason"]["code"], "operator_failed");
    assert_eq!(world.miles("SKY-LOST").await, 50_000);
    world.assert_books(&gateway).await;
    audit_holds(&world, &gateway).await;
    gateway.stop().await;
}

async fn a_dispute_that_nobody_acknowledges_waits_for_operators(on: &Databases) {
    let world = World::new(on).await;
    people(&world).await;
    let gateway = world.gateway().await;
    let mut disputed = Vec::new();
    for member in [MINJI, DANIEL] {
        let view = convert(&world, &gateway, member, "10").await;
        let id = text(&view, "id");
        world
            .proxy
            .fault("POST", "/v1/debits/", 1_000, Wrong::Instead(500, ""));
        let url = format!("{}/v1/conversions/{id}/dispute", gateway.url);
        let body = json!({ "why": "it was a fraud" });
        let answer = world.client.post(url).bearer_auth(KEY).json(&body);
        let answer = answer.send().await.unwrap();
        assert!(answer.status().is_success(), "{}", answer.status());
        let waiting = case(&world, &gateway, &id).await;
        assert_eq!(waiting["kind"], "reversal_unacknowledged");
        disputed.push((id, text(&waiting, "id")));
        if member == MINJI {
            // It went on asking, and the partner is back.
            world.proxy.forgive();
            world.until(&gateway, &disputed[0].0, &["returned"]).await;
        }
    }
    // What came to its end by itself cannot be ended by anybody.
    let body = json!({ "action": "resolve_failed", "evidence": "late" });
    let (status, answer) = propose(&world, &gateway, &disputed[0].1, body).await;
    assert_eq!(status, StatusCode::CONFLICT, "{answer}");
    let body = json!({ "action": "resolve_failed", "evidence": "they keep the miles" });
    both(&world, &gateway, &disputed[1].1, body).await;
    let view = world.until(&gateway, &disputed[1].0, &["completed"]).await;
    assert_eq!(view["reason"]["code"], "dispute_refused");
    let books = world.get(&gateway, "/v1/books").await;
    assert_eq!(books["agrees"], json!(true), "{books}");
    gateway.stop().await;
}

async fn roles_hold_and_keys_end(on: &Databases) {
    let world = World::new(on).await;
    people(&world).await;
    let gateway = world.gateway().await;
    // A partner's key is no operator's, and an operator's is no partner's.
    let (status, _) = ask(&world, &gateway, KEY, Method::GET, "/cases", None).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    let url = format!("{}/v1/books", gateway.url);
    let answer = world.client.get(url).bearer_auth("adam").send().await;
    assert_eq!(answer.unwrap().status(), StatusCode::UNAUTHORIZED);

    let nina = json!({ "name": "nina", "role": "approver" });
    for (who, status) in [
        ("vera", StatusCode::FORBIDDEN),
        ("olaf", StatusCode::FORBIDDEN),
        ("anna", StatusCode::FORBIDDEN),
        ("adam", StatusCode::CREATED),
        ("adam", StatusCode::CONFLICT),
    ] {
        let (got, answer) = ask(
            &world,
            &gateway,
            who,
            Method::POST,
            "/operators",
            Some(&nina),
        )
        .await;
        assert_eq!(got, status, "{who}: {answer}");
    }
    let path = "/operators/nina/key";
    let (status, made) = ask(&world, &gateway, "adam", Method::POST, path, None).await;
    assert_eq!(status, StatusCode::OK, "{made}");
    let first = text(&made, "key");
    let (status, _) = ask(&world, &gateway, &first, Method::GET, "/cases", None).await;
    assert_eq!(status, StatusCode::OK);
    let (_, made) = ask(&world, &gateway, "adam", Method::POST, path, None).await;
    let (status, _) = ask(&world, &gateway, &first, Method::GET, "/cases", None).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED, "the old key");
    let second = text(&made, "key");
    let suspend = json!({ "active": false });
    let path = "/operators/nina";
    let (status, nina) = ask(
        &world,
        &gateway,
        "adam",
        Method::PATCH,
        path,
        Some(&suspend),
    )
    .await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(nina["active"], json!(false));
    let (status, _) = ask(&world, &gateway, &second, Method::GET, "/cases", None).await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    let path = "/operators/nobody/key";
    let (status, _) = ask(&world, &gateway, "adam", Method::POST, path, None).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    let all = get(&world, &gateway, "/operators").await;
    assert!(!all.to_string().contains("mvo_"), "{all}");
    let log = get(&world, &gateway, "/audit?limit=2").await;
    assert_eq!(log["items"][0]["verb"], "operator.suspended");
    assert_eq!(log["items"][0]["actor"], "adam");
    audit_holds(&world, &gateway).await;
    gateway.stop().await;
}

async fn the_database_refuses_two_eyes_and_another_past(on: &Databases) {
    let world = World::new(on).await;
    people(&world).await;
    let gateway = world.gateway().await;
    let id = mismatch(&world, &gateway).await;
    let case_id = text(&case(&world, &gateway, &id).await, "id");
    let body = json!({ "action": "repeat", "evidence": "x" });
    propose(&world, &gateway, &case_id, body).await;
    let store = world.store().await;
    for refused in [
        "UPDATE actions SET state = 'approved', decided_by = proposed_by, decided_at = 1",
        "UPDATE actions SET evidence = 'other'",
        "DELETE FROM actions",
        "UPDATE operators SET role = 'approver' WHERE name = 'olaf'",
        "DELETE FROM operators",
        "UPDATE audit_log SET actor = 'nobody'",
        "DELETE FROM audit_log WHERE seq = 1",
        "UPDATE audit_head SET seq = 0",
        "INSERT INTO audit_log (seq, at, actor, verb, subject, detail, previous_hash, hash)
         VALUES (99, 0, 'a', 'b', 'c', 'd', 'e', 'f')",
        "UPDATE cases SET facts = 'nothing happened'",
        "DELETE FROM cases",
    ] {
        let mut write = store.write().await.unwrap();
        let done = sqlx::query(refused).execute(&mut *write).await;
        assert!(done.is_err(), "{refused}");
    }
    audit_holds(&world, &gateway).await;
    // Past the triggers, as who owns the server could: the chain of hashes shows it.
    let (off, on_again): (&[&'static str], &[&'static str]) = match store.is_shared() {
        true => (
            &["ALTER TABLE audit_log DISABLE TRIGGER USER"],
            &["ALTER TABLE audit_log ENABLE TRIGGER USER"],
        ),
        false => (&["DROP TRIGGER audit_log_fixed"], &[]),
    };
    let mut write = store.write().await.unwrap();
    for statement in off
        .iter()
        .chain(&["UPDATE audit_log SET actor = 'nobody' WHERE seq = 2"])
        .chain(on_again)
    {
        sqlx::query(*statement).execute(&mut *write).await.unwrap();
    }
    write.commit().await.unwrap();
    let proof = get(&world, &gateway, "/audit/proof").await;
    assert_eq!(proof["broken_at"], 2, "{proof}");
    store.close().await;
    gateway.stop().await;
}

async fn a_day_has_one_run_of_its_own(on: &Databases) {
    const DAY: i64 = 24 * 3600 * 1000;
    let world = World::with(on, strict()).await;
    people(&world).await;
    let gateway = world.gateway().await;
    let view = convert(&world, &gateway, MINJI, "10").await;
    assert_eq!(view["state"], "completed");
    let machine = gateway.machine();
    // The calendar goes off again and again, also late: two days are over by then.
    let later = now_ms() + 2 * DAY;
    let mut new = 0;
    for _ in 0..3 {
        new += machine.schedule_reconciliations(later).await.unwrap();
    }
    assert_eq!(new, 2);
    let all = get(&world, &gateway, "/reconciliations").await;
    let daily: Vec<_> = all.as_array().unwrap().iter().collect();
    assert_eq!(daily.len(), 2);
    // They are due at the end of their days; an operator does not want to wait.
    let store = world.store().await;
    for run in &daily {
        assert_eq!(run["state"], "waiting");
        let id = text(run, "id");
        let kind = mileverse_gateway::store::jobs::Kind::Reconciliation;
        assert!(store.hasten_job(kind, &id, now_ms()).await.unwrap());
        let done = report(&world, &gateway, &id).await;
        assert_eq!(done["daily"], json!(true));
    }
    assert!(store.waiting_jobs(10).await.unwrap().is_empty());
    assert_eq!(machine.schedule_reconciliations(later).await.unwrap(), 0);
    store.close().await;
    gateway.stop().await;
}

/// Runs are asked for while others are taken up and end, and two hand in statements of one day at once:
/// nobody is let down, and whoever hands something in gets a run that has read it.
async fn a_run_reads_what_was_handed_in_before_it_was_asked_for(on: &Databases) {
    const TIMES: u32 = 30;
    let world = World::with(on, strict()).await;
    people(&world).await;
    let gateway = world.gateway().await;
    let today = mileverse_gateway::clock::day(now_ms());
    let (day, other_day) = (date(today - 1), date(today - 2));
    let hand_in = async |day: &str, number: u32| {
        let line = format!("conv_x,SKY,debit,SKY-9,{number},{day}T00:00:00Z");
        let columns = "reference,partner_reference,kind,member,miles,at";
        let url = format!("{}/v1/operator/statements/airline/{day}", gateway.url);
        let request = world.client.put(url).bearer_auth("olaf");
        let answer = request.body(format!("{columns}\n{line}\n"));
        let answer = answer.send().await.unwrap();
        let status = answer.status();
        let body: Value = answer.json().await.unwrap();
        assert_eq!(status, StatusCode::OK, "{body}");
        body
    };
    let reads = async {
        for number in 1..=TIMES {
            let statement = hand_in(&day, number).await;
            let run = text(&statement, "reconciliation_id");
            let report = report(&world, &gateway, &run).await;
            let read = &report["totals"]["programmes"][0]["statement"];
            assert_eq!(*read, statement["id"], "{report}");
        }
    };
    let asks = async {
        let body = json!({ "day": day });
        let path = "/reconciliations";
        for _ in 0..TIMES * 10 {
            let answer = ask(&world, &gateway, "olaf", Method::POST, path, Some(&body)).await;
            assert_eq!(answer.0, StatusCode::ACCEPTED, "{}", answer.1);
        }
    };
    let hands_in = async |from: u32| {
        for number in from..from + TIMES {
            hand_in(&other_day, number).await;
        }
    };
    futures::join!(reads, asks, hands_in(1), hands_in(1_000));
    let store = world.store().await;
    support::until("runs to be done", async || {
        let waiting = store.waiting_jobs(1).await.unwrap();
        if waiting.is_empty() {
            Ok(())
        } else {
            Err(waiting)
        }
    })
    .await;
    audit_holds(&world, &gateway).await;
    store.close().await;
    gateway.stop().await;
}
