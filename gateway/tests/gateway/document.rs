//! The committed OpenAPI document is the one the code makes.

#[test]
fn the_committed_document_is_up_to_date() {
    let made = mileverse_gateway::command::openapi().unwrap();
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/openapi.json");
    if std::env::var_os("WRITE_OPENAPI").is_some() {
        std::fs::write(path, &made).unwrap();
    }
    let committed = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        made == committed,
        "run WRITE_OPENAPI=1 cargo test --release -p mileverse-gateway document",
    );
}
