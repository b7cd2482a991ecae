//! The command line without a chain: help, and every bad input that `up` refuses before it starts
//! anything. Each refusal is one sentence on stderr and exit code 1; usage errors are 2.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use mileverse_fixtures::ports;
use std::{
    fs::{self, File},
    io::{BufRead, BufReader},
    net::TcpListener,
    path::Path,
    process::{Child, Command, Output, Stdio},
};
use tempfile::TempDir;

const CODE_REFUSED: i32 = 1;
const CODE_USAGE: i32 = 2;

fn mileverse() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mileverse"));
    command.stdin(Stdio::null()).env_remove("RUST_LOG");
    command
}

fn run(arguments: &[&str]) -> Output {
    mileverse().args(arguments).output().unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// One sentence on stderr, nothing on stdout, exit code 1.
fn refused(output: &Output, words: &[&str]) {
    let said = stderr(output);
    assert_eq!(output.status.code(), Some(CODE_REFUSED), "{said}");
    assert!(output.stdout.is_empty());
    let sentences: Vec<_> = said
        .lines()
        .filter(|line| line.starts_with("error: "))
        .collect();
    assert_eq!(sentences.len(), 1, "{said}");
    for word in words {
        assert!(sentences[0].contains(word), "no {word:?} in {said}");
    }
}

fn path(directory: &TempDir, name: &str) -> String {
    directory.path().join(name).to_str().unwrap().to_owned()
}

/// What `up` keeps of a directory's shape; all ports are free ones unless given.
fn settings(data: &Path, validators: usize, gateway: Option<u16>) {
    let free = |count| ports::free(count).unwrap();
    let [ethereum, airline, any] = free(3).try_into().unwrap();
    let text = serde_json::json!({
        "version": 1,
        "validators": validators,
        "ethereum": "anvil",
        "ports": {
            "ethereum": ethereum,
            "airline": airline,
            "gateway": gateway.unwrap_or(any),
            "consensus": free(validators),
            "rpc": free(validators),
        },
    });
    fs::create_dir_all(data).unwrap();
    fs::write(data.join("settings.json"), text.to_string()).unwrap();
}

/// A folder that looks like the checkout with its tools installed.
fn checkout_with_tools(place: &Path) {
    checkout_without_tools(place);
    let anvil = place.join("contracts/node_modules/@foundry-rs/anvil");
    let program = place.join("contracts/node_modules/@foundry-rs/anvil-here/bin");
    fs::create_dir_all(&anvil).unwrap();
    fs::create_dir_all(&program).unwrap();
    fs::write(anvil.join("package.json"), r#"{"version":"9.9.9"}"#).unwrap();
    fs::write(program.join("anvil"), "").unwrap();
}

/// The same, freshly cloned.
fn checkout_without_tools(place: &Path) {
    let contracts = place.join("contracts");
    fs::create_dir_all(&contracts).unwrap();
    let lockfile = r#"{"packages":{"node_modules/@foundry-rs/anvil":{"version":"9.9.9"}}}"#;
    fs::write(contracts.join("package-lock.json"), lockfile).unwrap();
}

#[test]
fn every_verb_explains_itself() {
    let output = run(&["--help"]);
    assert!(output.status.success());
    let help = String::from_utf8(output.stdout).unwrap();
    for verb in ["up", "node", "relayer", "gateway", "sandbox", "wallet"] {
        assert!(help.contains(&format!("  {verb} ")), "{verb} in {help}");
        let output = run(&[verb, "--help"]);
        assert!(output.status.success(), "{verb}");
        assert!(String::from_utf8_lossy(&output.stdout).contains("Usage:"));
    }
    assert!(!help.contains("guard"), "guard is for `up` alone");
}

#[test]
fn wrong_usage_is_code_2() {
    for arguments in [
        &["fly"][..],
        &[],
        &["up", "--validators", "3"],
        &["up", "--validators", "many"],
        &["up", "--ethereum-rpc", "http://127.0.0.1:1"],
        &[
            "up",
            "--ethereum-rpc",
            "nowhere",
            "--deployer-key-file",
            "x",
        ],
        &["node", "run"],
        &["gateway", "run"],
        &["relayer", "run"],
    ] {
        assert_eq!(
            run(arguments).status.code(),
            Some(CODE_USAGE),
            "{arguments:?}"
        );
    }
}

#[test]
fn a_missing_configuration_is_one_sentence() {
    for verb in ["node", "relayer", "gateway"] {
        let output = run(&[verb, "run", "--config", "/nonexistent/config.toml"]);
        refused(&output, &["/nonexistent/config.toml"]);
    }
}

#[test]
fn a_data_directory_that_is_a_file_is_refused() {
    let place = TempDir::new().unwrap();
    let file = path(&place, "file");
    fs::write(&file, "").unwrap();
    refused(&run(&["up", "--once", "--data-dir", &file]), &[&file]);
}

#[test]
fn a_data_directory_in_use_is_refused() {
    let place = TempDir::new().unwrap();
    let data = path(&place, "data");
    fs::create_dir(&data).unwrap();
    let lock = File::create(Path::new(&data).join("lock")).unwrap();
    lock.lock().unwrap();
    refused(
        &run(&["up", "--once", "--data-dir", &data]),
        &["in use", "--data-dir"],
    );
}

#[test]
fn without_node_the_tools_cannot_be_installed() {
    let place = TempDir::new().unwrap();
    checkout_without_tools(place.path());
    let data = path(&place, "data");
    let output = mileverse()
        .args(["up", "--once", "--data-dir", &data])
        .current_dir(place.path())
        .env("PATH", "")
        .output()
        .unwrap();
    refused(&output, &["Node.js", "install"]);
    assert!(!Path::new(&data).join("settings.json").exists());
}

#[test]
fn a_port_in_use_is_named() {
    let place = TempDir::new().unwrap();
    checkout_with_tools(place.path());
    let data = place.path().join("data");
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    settings(&data, 4, Some(port));
    let output = mileverse()
        .args(["up", "--once", "--data-dir", "data"])
        .current_dir(place.path())
        .output()
        .unwrap();
    refused(&output, &[&port.to_string(), "the gateway", "--data-dir"]);
}

#[test]
fn a_directory_of_another_shape_is_refused() {
    let place = TempDir::new().unwrap();
    checkout_with_tools(place.path());
    settings(&place.path().join("data"), 5, None);
    let output = mileverse()
        .args(["up", "--once", "--data-dir", "data"])
        .current_dir(place.path())
        .output()
        .unwrap();
    refused(&output, &["--validators 5", "--validators 4"]);
    fs::write(place.path().join("data/settings.json"), "{").unwrap();
    let output = mileverse()
        .args(["up", "--once", "--data-dir", "data"])
        .current_dir(place.path())
        .output()
        .unwrap();
    refused(&output, &["settings.json", "not readable"]);
}

#[test]
fn an_unreachable_ethereum_is_named_and_nothing_is_kept() {
    let place = TempDir::new().unwrap();
    let port = ports::free(1).unwrap()[0];
    let url = format!("http://127.0.0.1:{port}/");
    let (data, key) = (path(&place, "data"), path(&place, "key"));
    let up = || {
        run(&[
            "up",
            "--once",
            "--data-dir",
            &data,
            "--ethereum-rpc",
            &url,
            "--deployer-key-file",
            &key,
        ])
    };
    refused(&up(), &["private key", &key]);
    fs::write(&key, "11".repeat(32)).unwrap();
    refused(&up(), &[&url, "--ethereum-rpc"]);
    assert!(!Path::new(&data).join("settings.json").exists());
}

/// A program that says what happened to it: `ready`, then `stopped` on SIGTERM.
fn guarded() -> Child {
    let script = "trap 'echo stopped; exit 0' TERM; echo ready; while :; do sleep 0.05; done";
    mileverse()
        .args(["--exit-with-stdin", "guard", "--", "sh", "-c", script])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

#[test]
fn what_is_guarded_stops_in_order_when_stdin_ends() {
    let mut child = guarded();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert_eq!(lines.next().unwrap().unwrap(), "ready");
    drop(child.stdin.take());
    assert_eq!(lines.next().unwrap().unwrap(), "stopped");
    assert!(child.wait().unwrap().success());
}

#[test]
fn a_guarded_program_that_fails_fails_the_guard() {
    refused(
        &run(&["guard", "--", "sh", "-c", "exit 7"]),
        &["exit status: 7"],
    );
}
