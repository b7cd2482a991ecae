//! The configuration file, and everything else a start can stumble over: one sentence each.

use crate::support::{Databases, World};
use mileverse_gateway::config::Config;
use mileverse_gateway::server::Server;
use mileverse_gateway::store::Location;
use std::fs;
use std::net::TcpListener;
use std::path::Path;

crate::on_both! {
    a_start_that_cannot_be_says_why,
    a_chain_that_is_not_there_is_said_by_its_url,
}

const GOOD: &str = r#"
listen = "127.0.0.1:0"
database = "gateway.sqlite"
[chain]
rpc_url = "http://127.0.0.1:8545"
issuer_keystore = "issuer.json"
issuer_password_file = "password"
[[programmes]]
name = "airline"
adapter = "airline"
base_url = "http://127.0.0.1:9001"
client_id = "mileverse-gateway"
client_secret_file = "secret"
points_per_mile = "12"
minimum_miles = 1
maximum_miles = 1000000
[[api_keys]]
name = "demo"
sha256 = "2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae"
scopes = ["conversions:write", "conversions:read", "books:read"]
"#;

fn read(directory: &Path, text: &str) -> Result<Config, String> {
    let path = directory.join("gateway.toml");
    fs::write(&path, text).unwrap();
    Config::read(&path).map_err(|error| error.to_string())
}

fn assert_sentence(text: &str) {
    assert!(!text.contains('\n'), "{text}");
    assert!(text.len() > 20, "{text}");
}

#[test]
fn a_good_configuration_is_read_and_paths_are_relative_to_it() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("password"), "secret\n").unwrap();
    fs::write(directory.path().join("secret"), "secret\n").unwrap();
    let config = read(directory.path(), GOOD).unwrap();
    let database = directory.path().join("gateway.sqlite");
    assert_eq!(config.database.to_string(), database.display().to_string());
    assert_eq!(config.programmes.len(), 1);
    assert_eq!(config.quote_lifetime.as_secs(), 300);
    // No secret shows when a configuration is logged.
    assert!(!format!("{config:?}").contains("\"secret\""));
}

const REWARDS: &str = r#"
[rewards]
ethereum_rpc_url = "http://127.0.0.1:8546"
ethereum_chain_id = 1
keystore = "rewards.json"
password_file = "password"
custodial = ["0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"]
custodial_file = "custodial.txt"
max_fee_gwei = 50
close_late_minutes = 5
"#;

#[test]
fn custodial_holders_are_listed_here_and_in_a_file_once() {
    let directory = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| fs::write(directory.path().join(name), text).unwrap();
    write("password", "secret\n");
    write("secret", "secret\n");
    let both = "0x5aaeb6053f3e94c9b9a09f33669435e7ef1beaed\n\n0x4242424242424242424242424242424242424242\n";
    write("custodial.txt", both);
    let text = GOOD.replacen("[[programmes]]", &format!("{REWARDS}[[programmes]]"), 1);
    let rewards = read(directory.path(), &text).unwrap().rewards.unwrap();
    assert_eq!(rewards.rules.custodial.len(), 2);
    assert_eq!(rewards.rules.max_fee, 50_000_000_000);
    assert_eq!(rewards.rules.close.as_secs(), 300);
    assert_eq!(rewards.rules.open.as_secs(), 7_200);
    for (this, that, said) in [
        ("BeAed\"", "BeAee\"", "checksum"),
        ("custodial.txt", "gone.txt", "gone.txt"),
        ("max_fee_gwei = 50", "max_fee_gwei = 0", "max_fee_gwei"),
        ("minutes = 5", "minutes = 0", "close_late_minutes"),
        ("http://127.0.0.1:8546", "ws://127.0.0.1", "rewards"),
        ("database =", "sandbox = true\ndatabase =", "sandbox"),
    ] {
        assert!(text.contains(this), "{this}");
        let error = read(directory.path(), &text.replacen(this, that, 1)).unwrap_err();
        assert_sentence(&error);
        assert!(error.contains(said), "{error}");
    }
}

#[test]
fn points_are_priced_by_what_is_recorded_or_by_the_pool() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("password"), "secret\n").unwrap();
    fs::write(directory.path().join("secret"), "secret\n").unwrap();
    let float = |price: &str| {
        let float = format!(
            "[float]\nethereum_rpc_url = \"http://127.0.0.1:8546\"\nethereum_chain_id = 1\n\
             pay_to = \"0x7777777777777777777777777777777777777777\"\n{price}[chain]"
        );
        read(directory.path(), &GOOD.replacen("[chain]", &float, 1))
            .map(|config| config.float.unwrap().pool.map(|url| url.to_string()))
    };
    assert_eq!(float(""), Ok(None));
    assert_eq!(float("price = \"recorded\"\n"), Ok(None));
    let pool = float("price = \"pool\"\n");
    assert_eq!(pool, Ok(Some("http://127.0.0.1:8545/".to_owned())));
    assert!(
        float("price = \"moon\"\n")
            .unwrap_err()
            .contains("float.price")
    );
}

#[test]
fn what_is_wrong_is_said_in_one_sentence() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("password"), "secret").unwrap();
    fs::write(directory.path().join("secret"), "secret").unwrap();
    for (this, that, said) in [
        ("listen = \"127.0.0.1:0\"", "listen = \"nowhere\"", "listen"),
        ("listen = \"127.0.0.1:0\"", "", "listen"),
        ("listen = ", "lisen = 1\nlisten = ", "lisen"),
        ("\"12\"", "\"0.0000001\"", "decimals"),
        ("\"12\"", "\"-1\"", "points_per_mile"),
        ("\"12\"", "\"0\"", "zero"),
        ("minimum_miles = 1", "minimum_miles = 0", "minimum_miles"),
        (
            "maximum_miles = 1000000",
            "maximum_miles = 9223372036854775807",
            "maximum_miles",
        ),
        ("adapter = \"airline\"", "adapter = \"ship\"", "\"ship\""),
        ("adapter = \"airline\"", "adapter = \"card\"", "base_url"),
        ("client_id = \"mileverse-gateway\"", "", "client_id"),
        (
            "client_id =",
            "partner_file = \"x\"\nclient_id =",
            "partner_file",
        ),
        ("http://127.0.0.1:9001", "ftp://127.0.0.1", "base_url"),
        ("http://127.0.0.1:8545", "8545", "rpc_url"),
        ("2c26b46b", "zz26b46b", "sha256"),
        ("2c26b46b", "", "sha256"),
        ("\"books:read\"", "\"everything\"", "everything"),
        (
            "client_secret_file = \"secret\"",
            "client_secret_file = \"gone\"",
            "gone",
        ),
        (
            "issuer_password_file = \"password\"",
            "issuer_password_file = \"gone\"",
            "gone",
        ),
        ("name = \"demo\"", "name = \"a:b\"", "name"),
        ("name = \"demo\"", "name = \"\"", "name"),
        ("[chain]", "[chain", "TOML"),
    ] {
        assert!(GOOD.contains(this), "{this}");
        let error = read(directory.path(), &GOOD.replacen(this, that, 1)).unwrap_err();
        assert_sentence(&error);
        assert!(error.contains(said), "{said}: {error}");
    }
    let gone = Config::read(&directory.path().join("gone.toml"))
        .unwrap_err()
        .to_string();
    assert_sentence(&gone);
    assert!(gone.contains("gone.toml"));
}

#[test]
fn a_master_key_comes_from_a_file_the_environment_or_a_command() {
    use secrecy::ExposeSecret;
    let directory = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| fs::write(directory.path().join(name), text).unwrap();
    write("password", "secret");
    write("secret", "secret");
    let key = "0123456789abcdef0123456789abcdef";
    write("master.key", &format!("{key}\n"));
    write("short.key", "short");
    let with = |lines: &str| read(directory.path(), &format!("{lines}\n{GOOD}"));
    // What the test runner has set is an environment as good as any.
    let variable = "CARGO_MANIFEST_DIR";
    let from_environment = std::env::var(variable).unwrap();
    for (lines, expected) in [
        ("master_key_file = \"master.key\"", key),
        ("master_key = { file = \"master.key\" }", key),
        ("master_key = { command = [\"cat\", \"master.key\"] }", key),
        (
            "master_key = { environment = \"CARGO_MANIFEST_DIR\" }",
            &from_environment,
        ),
    ] {
        match with(lines) {
            Ok(config) => {
                let got = config.master_key.unwrap();
                assert_eq!(got.expose_secret(), expected, "{lines}");
            }
            // Where the sources lie in a short path, it is too short for a key, and that is said.
            Err(said) => assert!(
                from_environment.len() < 32 && said.contains("fewer"),
                "{said}"
            ),
        }
    }
    let before = with(
        "previous_master_key_files = [\"master.key\"]\nprevious_master_keys = [{ command = [\"cat\", \"master.key\"] }]",
    );
    assert_eq!(before.unwrap().previous_master_keys.len(), 2);
    for (lines, said) in [
        ("master_key = { file = \"gone.key\" }", "gone.key"),
        ("master_key = { file = \"short.key\" }", "fewer"),
        (
            "master_key = { environment = \"MILEVERSE_NOT_SET\" }",
            "MILEVERSE_NOT_SET",
        ),
        ("master_key = { command = [] }", "no program"),
        (
            "master_key = { command = [\"mileverse-no-such-program\"] }",
            "cannot be run",
        ),
        ("master_key = { command = [\"false\"] }", "failed"),
        (
            "master_key = { command = [\"cat\", \"/dev/zero\"] }",
            "failed",
        ),
        ("master_key = { vault = \"x\" }", "vault"),
        (
            "master_key_file = \"master.key\"\nmaster_key = { file = \"master.key\" }",
            "one of the two",
        ),
    ] {
        let error = with(lines).unwrap_err();
        assert_sentence(&error);
        assert!(error.contains(said), "{said}: {error}");
        assert!(!error.contains(key), "{error}");
    }
}

#[test]
fn every_kind_of_partner_is_read_from_its_own_file() {
    use mileverse_fixtures::sandbox::{card, shop};
    let directory = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| fs::write(directory.path().join(name), text).unwrap();
    write("password", "secret");
    write("shop.key", "key");
    write("shop.toml", shop::TEMPLATE);
    write(
        "telecom.toml",
        "base_url = \"https://telecom.example\"\napi_key_file = \"shop.key\"\n",
    );
    write("table.toml", card::TABLE_ASCII);
    write("card.pin", "89ABCDEF01234567F1E0D3C2B5A49786");
    write(
        "card.toml",
        "address = \"issuer.example:9002\"\ninstitution = \"1\"\ntable_file = \"table.toml\"\nmac = \"none\"\npin_key_file = \"card.pin\"\n",
    );
    let airline = "base_url = \"http://127.0.0.1:9001\"\nclient_id = \"mileverse-gateway\"\nclient_secret_file = \"secret\"\n";
    assert!(GOOD.contains(airline));
    let with = |adapter: &str, file: &str| {
        GOOD.replacen(
            "\"airline\"\nbase_url",
            &format!("\"{adapter}\"\nbase_url"),
            1,
        )
        .replacen(airline, &format!("partner_file = \"{file}\"\n"), 1)
    };
    for (adapter, file) in [
        ("card", "card.toml"),
        ("telecom", "telecom.toml"),
        ("template", "shop.toml"),
    ] {
        let config = read(directory.path(), &with(adapter, file)).unwrap();
        assert_eq!(config.programmes.len(), 1, "{adapter}");
    }
    // The file of another kind is refused, with the file's name.
    let error = read(directory.path(), &with("card", "shop.toml")).unwrap_err();
    assert_sentence(&error);
    assert!(error.contains("shop.toml"), "{error}");
}

async fn a_start_that_cannot_be_says_why(on: &Databases) {
    let world = World::new(on).await;
    let start = async |change: &dyn Fn(&mut Config)| {
        let mut config = world.config();
        change(&mut config);
        let error = Server::start(config)
            .await
            .err()
            .map(|error| error.to_string());
        let error = error.expect("it must not start");
        assert_sentence(&error);
        error
    };

    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let error = start(&|config| config.listen = address).await;
    assert!(
        error.contains("cannot listen") && error.contains(&address.to_string()),
        "{error}"
    );

    let error = start(&|config| config.chain.issuers[0].password = "wrong".into()).await;
    assert!(error.contains("issuer.json"), "{error}");

    let gone = Location::Sqlite("/nowhere/at/all/gateway.sqlite".into());
    let error = start(&|config| config.database = gone.clone()).await;
    assert!(error.contains("/nowhere/at/all"), "{error}");

    let text = world.directory.path().join("text.sqlite");
    fs::write(
        &text,
        "this is not a database, however long it may be. ".repeat(100),
    )
    .unwrap();
    let error = start(&|config| config.database = Location::Sqlite(text.clone())).await;
    assert!(error.contains("text.sqlite"), "{error}");

    let nobody = "postgres://nobody@localhost/gone?host=%2Fnowhere";
    let nobody = Location::Postgres(nobody.parse().unwrap());
    let error = start(&|config| config.database = nobody.clone()).await;
    assert!(
        error.contains("postgres://nobody@localhost/gone"),
        "{error}"
    );

    let gateway = world.gateway().await;
    if !world.database.is_shared() {
        let error = start(&|_| {}).await;
        assert!(error.contains("another gateway"), "{error}");
    }
    gateway.stop().await;

    // The same database, another chain: nothing may be issued there.
    world.chain.ledger.lock().unwrap().genesis = 9;
    let error = start(&|_| {}).await;
    assert!(error.contains("another chain"), "{error}");
}

async fn a_chain_that_is_not_there_is_said_by_its_url(on: &Databases) {
    let world = World::new(on).await;
    let mut config = world.config();
    config.chain.rpc_url = "http://127.0.0.1:1".parse().unwrap();
    let error = Server::start(config)
        .await
        .err()
        .map(|error| error.to_string())
        .unwrap();
    assert_sentence(&error);
    assert!(error.contains("http://127.0.0.1:1"), "{error}");
}
