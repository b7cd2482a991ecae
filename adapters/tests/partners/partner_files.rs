//! Partners' files that are wrong: each is refused at load, with the field's name.

use mileverse_adapters::{PartnerConfig, PartnerKind};
use mileverse_fixtures::sandbox::card::TABLE_ASCII;

#[test]
fn what_is_wrong_in_a_card_issuers_file_is_named() {
    let good = "address = \"127.0.0.1:1\"\ninstitution = \"99001\"\ntable_file = \"table.toml\"\nmac = \"x9.19\"\nmac_key_file = \"mac\"\npin_key_file = \"pin\"\n";
    let directory = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(directory.path().join(name), text).unwrap();
    write("table.toml", TABLE_ASCII);
    write("short.toml", &TABLE_ASCII.replace("90 ", "91 "));
    write("mac", "0123456789ABCDEFFEDCBA9876543210");
    write("pin", "89ABCDEF01234567F1E0D3C2B5A49786\n");
    write("weak", &"01".repeat(16));
    let read = |text: &str| {
        write("card.toml", text);
        PartnerConfig::read(PartnerKind::Card, &directory.path().join("card.toml"))
            .map_err(|error| error.to_string())
    };
    read(good).unwrap();
    assert!(
        !format!("{:?}", read(good).unwrap()).contains("89ABCDEF"),
        "a key shows"
    );
    for (this, that, said) in [
        ("127.0.0.1:1", "127.0.0.1", "address"),
        ("99001", "x", "institution"),
        ("99001", "123456789012", "institution"),
        ("table.toml", "gone.toml", "gone.toml"),
        ("table.toml", "short.toml", "field 90"),
        ("x9.19", "x9.99", "x9.99"),
        ("x9.19", "none", "mac_key_file"),
        ("\"mac\"", "\"weak\"", "mac_key_file"),
        ("\"pin\"", "\"weak\"", "pin_key_file"),
        ("mac =", "extra = 1\nmac =", "extra"),
        ("mac =", "in_flight = 0\nmac =", "in_flight"),
        ("mac =", "repeats = 11\nmac =", "repeats"),
        (
            "mac =",
            "timeout_milliseconds = 0\nmac =",
            "timeout_milliseconds",
        ),
        ("mac =", "debit = \"0300\"\nmac =", "debit"),
        ("mac =", "unit = \"KRW\"\nmac =", "unit"),
        ("mac =", "terminal = \"MORE THAN EIGHT\"\nmac =", "terminal"),
    ] {
        assert!(good.contains(this));
        let error = read(&good.replacen(this, that, 1)).unwrap_err();
        assert!(
            error.contains(said) && !error.contains('\n'),
            "{said}: {error}"
        );
    }
    for (more, said) in [
        ("[codes]\ndone = [\"000\"]\n", "codes.done"),
        ("[codes]\nreversed = [\"00\"]\n", "codes.reversed"),
        ("[processing]\ndebit = \"1\"\n", "processing.debit"),
    ] {
        let error = read(&format!("{good}{more}")).unwrap_err();
        assert!(error.contains(said), "{said}: {error}");
    }
}

#[test]
fn what_is_wrong_in_a_telecoms_file_is_named() {
    let good = "base_url = \"https://telecom.example\"\nclient_id = \"id\"\nclient_secret_file = \"key\"\n";
    let directory = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(directory.path().join(name), text).unwrap();
    write("key", "k");
    let read = |text: &str| {
        write("telecom.toml", text);
        PartnerConfig::read(PartnerKind::Telecom, &directory.path().join("telecom.toml"))
            .map_err(|error| error.to_string())
    };
    read(good).unwrap();
    for (this, that, said) in [
        (
            "https://telecom.example",
            "ftp://telecom.example",
            "base_url",
        ),
        ("client_id = \"id\"\n", "", "client_id"),
        ("\"key\"", "\"gone\"", "gone"),
        (
            "client_id",
            "api_key_file = \"key\"\nclient_id",
            "client_id",
        ),
        ("client_id", "units = \"\"\nclient_id", "units"),
        ("client_id", "extra = 1\nclient_id", "extra"),
    ] {
        assert!(good.contains(this));
        let error = read(&good.replacen(this, that, 1)).unwrap_err();
        assert!(
            error.contains(said) && !error.contains('\n'),
            "{said}: {error}"
        );
    }
    let key = "base_url = \"https://telecom.example\"\napi_key_file = \"key\"\n";
    read(key).unwrap();
    let error = read(&format!("{key}api_key_header = \"a b\"\n")).unwrap_err();
    assert!(error.contains("api_key_header"), "{error}");
}
