//! The verbs `operators`, `cases` and `reconcile`, each as a process of its own: this very test
//! program, told to be the command line.

use crate::operators::{mismatch, strict};
use crate::support::{Databases, World};
use clap::Parser;
use mileverse_gateway::clock::rfc3339;
use serde_json::{Value, json};
use std::io::Write as _;
use std::path::Path;
use std::process::Output;
use tokio::process;

crate::on_both! {
    operators_are_added_suspended_and_audited,
    a_case_is_found_proposed_and_approved,
    a_day_is_reconciled_and_shown,
}

const ARGUMENTS: &str = "MILEVERSE_TEST_ARGUMENTS";

#[derive(Parser)]
struct CommandLine {
    #[command(flatten)]
    command: mileverse_gateway::Command,
}

/// Does nothing unless it was started by [`run`].
#[test]
fn be_the_command_line() {
    let Ok(arguments) = std::env::var(ARGUMENTS) else {
        return;
    };
    let arguments: Vec<String> = serde_json::from_str(&arguments).unwrap();
    let line = CommandLine::parse_from([vec!["gateway".to_owned()], arguments].concat());
    let code = match mileverse_gateway::run(line.command) {
        Ok(()) => 0,
        Err(error) => {
            eprintln!("error: {error}");
            1
        }
    };
    std::io::stdout().flush().unwrap();
    std::process::exit(code);
}

async fn run(arguments: &[&str]) -> Output {
    let program = std::env::current_exe().unwrap();
    process::Command::new(program)
        .args(["--exact", "--nocapture", "verbs::be_the_command_line"])
        .env(ARGUMENTS, json!(arguments).to_string())
        .output()
        .await
        .unwrap()
}

/// What a verb prints with `--json`.
async fn said(arguments: &[&str]) -> Value {
    let arguments = [arguments, &["--json"]].concat();
    let output = run(&arguments).await;
    let text = String::from_utf8(output.stdout).unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {text} {errors}");
    // The test program says a little before.
    let begin = text.find(['{', '[']).unwrap_or_else(|| panic!("{text}"));
    let mut values = serde_json::Deserializer::from_str(&text[begin..]).into_iter();
    values.next().unwrap().unwrap()
}

/// The sentence that a verb fails with.
async fn refused(arguments: &[&str]) -> String {
    let output = run(arguments).await;
    let errors = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success(), "{arguments:?} {errors}");
    let line = errors.lines().find(|line| line.starts_with("error: "));
    line.unwrap_or_else(|| panic!("{errors}")).to_owned()
}

/// What a verb shows to people.
async fn shown(arguments: &[&str]) -> String {
    let output = run(arguments).await;
    assert!(output.status.success(), "{arguments:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// A configuration file of this world. Gives its path.
fn configuration(world: &World) -> String {
    let directory = world.directory.path();
    std::fs::write(directory.join("password"), "secret").unwrap();
    std::fs::write(directory.join("airline.secret"), "secret").unwrap();
    let database = match &world.database {
        mileverse_gateway::store::Location::Sqlite(path) => path.display().to_string(),
        mileverse_gateway::store::Location::Postgres(url) => url.to_string(),
    };
    let text = format!(
        r#"
listen = "127.0.0.1:0"
database = {database:?}
[chain]
rpc_url = "{}"
issuer_keystore = "issuer.json"
issuer_password_file = "password"
[[programmes]]
name = "airline"
adapter = "airline"
base_url = "{}"
client_id = "mileverse-gateway"
client_secret_file = "airline.secret"
points_per_mile = "12"
minimum_miles = 1
maximum_miles = 1000000
[[api_keys]]
name = "demo"
sha256 = "2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae"
scopes = ["conversions:read"]
"#,
        world.chain.url, world.proxy.url
    );
    let path = directory.join("gateway.toml");
    std::fs::write(&path, text).unwrap();
    path.display().to_string()
}

/// Adds an operator and writes the key to a file. Gives the file's path.
async fn operator(world: &World, config: &str, name: &str, role: &str) -> String {
    let made = said(&[
        "operators",
        "add",
        "--config",
        config,
        "--name",
        name,
        "--role",
        role,
    ])
    .await;
    let file = world.directory.path().join(format!("{name}.key"));
    std::fs::write(&file, made["key"].as_str().unwrap()).unwrap();
    file.display().to_string()
}

async fn operators_are_added_suspended_and_audited(on: &Databases) {
    let world = World::new(on).await;
    let config = configuration(&world);
    let verb = |verb: &'static str, more: &[&'static str]| {
        let start = ["operators", verb, "--config", &config];
        [&start[..], more].concat()
    };
    let call = async |verb: Vec<&str>| said(&verb).await;
    let fails = async |verb: Vec<&str>| refused(&verb).await;
    let made = call(verb("add", &["--name", "adam", "--role", "admin"])).await;
    assert_eq!(
        (&made["name"], &made["role"]),
        (&json!("adam"), &json!("admin"))
    );
    let twice = fails(verb("add", &["--name", "adam", "--role", "viewer"])).await;
    assert!(twice.contains("adam"), "{twice}");
    let king = fails(verb("add", &["--name", "eve", "--role", "king"])).await;
    assert!(king.contains("--role"), "{king}");
    let nobody = fails(verb("suspend", &["--name", "eve"])).await;
    assert!(nobody.contains("operators list"), "{nobody}");
    let suspended = call(verb("suspend", &["--name", "adam"])).await;
    assert_eq!(suspended["active"], false);
    let resumed = call(verb("resume", &["--name", "adam"])).await;
    assert_eq!(resumed["active"], true);
    let replaced = call(verb("new-key", &["--name", "adam"])).await;
    assert_ne!(replaced["key"], made["key"]);
    let all = call(verb("list", &[])).await;
    assert_eq!(all.as_array().unwrap().len(), 1, "{all}");
    assert_eq!(all[0]["role"], "admin");
    assert!(!all.to_string().contains(replaced["key"].as_str().unwrap()));
    let log = call(verb("audit", &[])).await;
    let log = log.as_array().unwrap().clone();
    assert_eq!(log.len(), 4, "{log:?}");
    assert!(
        log.iter().all(|row| row["actor"] == "command line"),
        "{log:?}"
    );
    let proof = call(verb("audit", &["--verify"])).await;
    assert_eq!(
        (&proof["rows"], &proof["broken_at"]),
        (&json!(4), &Value::Null)
    );
    let table = shown(&["operators", "list", "--config", &config]).await;
    assert!(
        table.contains("adam") && table.contains("last used at"),
        "{table}"
    );
}

async fn a_case_is_found_proposed_and_approved(on: &Databases) {
    let world = World::new(on).await;
    let config = configuration(&world);
    let gateway = world.gateway().await;
    let olaf = operator(&world, &config, "olaf", "operator").await;
    let anna = operator(&world, &config, "anna", "approver").await;
    let id = mismatch(&world, &gateway).await;
    let url = gateway.url.as_str();
    let at = |key: &str| ["--url", url, "--key-file", key].map(ToOwned::to_owned);
    let all = async |key: &str, verb: &[&str]| {
        let at = at(key);
        let at: Vec<&str> = at.iter().map(String::as_str).collect();
        said(&[verb, &at].concat()).await
    };
    let waiting = all(&olaf, &["cases", "list"]).await;
    let case = waiting[0]["id"].as_str().unwrap().to_owned();
    assert_eq!(
        (&waiting[0]["kind"], &waiting[0]["subject"]),
        (&json!("attention"), &json!(id))
    );
    let none = all(&olaf, &["cases", "list", "--kind", "supply_differs"]).await;
    assert_eq!(none, json!([]));
    let propose = [
        "cases",
        "propose",
        "--id",
        &case,
        "--action",
        "resolve_succeeded",
        "--evidence",
        "Sky, ticket 7",
        "--partner-reference",
        "SKY-7",
    ];
    let action = all(&olaf, &propose).await;
    let action = action["id"].as_str().unwrap().to_owned();
    let approve = ["cases", "approve", "--id", &action, "--note", "seen"];
    let own = at(&olaf);
    let own: Vec<&str> = own.iter().map(String::as_str).collect();
    let own = refused(&[&approve[..], &own].concat()).await;
    assert!(own.contains("403"), "{own}");
    let done = all(&anna, &approve).await;
    assert_eq!(done["state"], "approved", "{done}");
    world.until(&gateway, &id, &["completed"]).await;
    let case = all(&anna, &["cases", "show", "--id", &case]).await;
    assert_eq!(case["resolution"], "resolve_succeeded", "{case}");
    assert_eq!(case["actions"][0]["proposed_by"], "olaf", "{case}");
    let stranger = world.directory.path().join("stranger.key");
    std::fs::write(&stranger, "mvo_nobody").unwrap();
    let stranger = stranger.display().to_string();
    let unknown = refused(&["cases", "list", "--url", url, "--key-file", &stranger]).await;
    assert!(unknown.contains("does not know this key"), "{unknown}");
    let missing = refused(&["cases", "list", "--url", url, "--key-file", "/nowhere"]).await;
    assert!(missing.contains("cannot be read"), "{missing}");
    gateway.stop().await;
}

async fn a_day_is_reconciled_and_shown(on: &Databases) {
    let world = World::with(on, strict()).await;
    let config = configuration(&world);
    let gateway = world.gateway().await;
    let olaf = operator(&world, &config, "olaf", "operator").await;
    let url = gateway.url.as_str();
    let all =
        async |verb: &[&str]| said(&[verb, &["--url", url, "--key-file", &olaf]].concat()).await;
    let body = world
        .quoted(&gateway, "minji@sky.example", "blue-heron-41", "100")
        .await;
    let made = world.post(&gateway, "/v1/conversions", "day", &body);
    let made: Value = made.send().await.unwrap().json().await.unwrap();
    assert_eq!(made["state"], "completed", "{made}");
    let id = made["id"].as_str().unwrap();
    let store = world.store().await;
    let row = store.conversion(id).await.unwrap().unwrap();
    store.close().await;
    let sent = rfc3339(row.debit_sent_at.unwrap());
    let day = &sent[..10];
    let report = all(&["reconcile", "run", "--day", day]).await;
    assert_eq!(
        (&report["state"], &report["agrees"]),
        (&json!("done"), &json!(false)),
        "{report}"
    );
    assert_eq!(
        report["differences"][0]["kind"], "statement_missing",
        "{report}"
    );
    let file = world.directory.path().join("statement.csv");
    let text = format!(
        "reference,partner_reference,kind,member,miles,at\n{id},SKY-1,debit,SKY-1001,100,{sent}\n"
    );
    std::fs::write(&file, text).unwrap();
    let file = path(&file);
    let hand_in = [
        "reconcile",
        "statement",
        "--programme",
        "airline",
        "--day",
        day,
        "--file",
        &file,
    ];
    let report = all(&hand_in).await;
    assert_eq!(report["agrees"], true, "{report}");
    let statements = all(&["reconcile", "statements"]).await;
    assert_eq!(statements[0]["lines"], 1, "{statements}");
    let listed = all(&["reconcile", "list"]).await;
    let known = listed.as_array().unwrap().iter();
    assert!(
        known.clone().any(|one| one["id"] == report["id"]),
        "{listed}"
    );
    let shown_again = all(&["reconcile", "show", "--id", report["id"].as_str().unwrap()]).await;
    assert_eq!(shown_again, report);
    let table = shown(&["reconcile", "list", "--url", url, "--key-file", &olaf]).await;
    assert!(
        table.contains(day) && table.contains("difference count"),
        "{table}"
    );
    let never = refused(&[
        "reconcile",
        "run",
        "--day",
        "2999-01-01",
        "--url",
        url,
        "--key-file",
        &olaf,
    ])
    .await;
    assert!(never.contains("not in the future"), "{never}");
    gateway.stop().await;
}

fn path(path: &Path) -> String {
    path.display().to_string()
}
