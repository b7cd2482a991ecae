//! The committed OpenAPI document is the one the code makes.

#[test]
fn the_committed_document_is_up_to_date() {
    let made = mileverse_gateway::command::openapi().unwrap();
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/openapi.json");
    let committed = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        made == committed,
        "run `cargo run --release -- gateway openapi > gateway/openapi.json`",
    );
}
