//! Names of things: a readable prefix and a UUIDv7, so that they sort by when they were made.

use uuid::Uuid;

/// Longest id that is looked up, in bytes.
pub const MAX_ID_BYTES: usize = 64;

/// `quote_…`
pub fn quote() -> String {
    new("quote")
}

/// `conv_…`
pub fn conversion() -> String {
    new("conv")
}

/// `req_…`
pub fn request() -> String {
    new("req")
}

/// `run_…`: one run of the gateway.
pub fn run() -> String {
    new("run")
}

/// `jrn_…`
pub fn journal() -> String {
    new("jrn")
}

fn new(prefix: &str) -> String {
    format!("{prefix}_{}", Uuid::now_v7().simple())
}

/// The lower bound of ids with this prefix that were made at a moment (milliseconds since 1970) or later: a
/// UUIDv7 begins with its moment (RFC 9562, section 5.7).
pub fn since(prefix: &str, at_ms: i64) -> String {
    format!("{prefix}_{:012x}", at_ms.max(0))
}

/// Whether a string could be an id with this prefix; says nothing about whether it exists.
pub fn plausible(text: &str, prefix: &str) -> bool {
    text.len() <= MAX_ID_BYTES
        && text
            .strip_prefix(prefix)
            .and_then(|rest| rest.strip_prefix('_'))
            .is_some_and(|rest| rest.len() == 32 && rest.bytes().all(|b| b.is_ascii_hexdigit()))
}

/// What an API key begins with, so that one that leaks is recognised.
pub const KEY_PREFIX: &str = "mvk_";
/// What an API key of a sandbox begins with.
pub const TEST_KEY_PREFIX: &str = "mvk_test_";
/// What an access token begins with.
pub const TOKEN_PREFIX: &str = "mvt_";

/// `key_…`: the id of an API key.
pub fn key() -> String {
    new("key")
}

/// `top_…`: a top-up of a float.
pub fn top_up() -> String {
    new("top")
}

/// `evt_…`: something that a partner is told.
pub fn event() -> String {
    new("evt")
}

/// `whk_…`: where a partner is told.
pub fn webhook() -> String {
    new("whk")
}

/// `case_…`: something that waits for an operator.
pub fn case() -> String {
    new("case")
}

/// `act_…`: what an operator proposes.
pub fn action() -> String {
    new("act")
}

/// `stm_…`: a partner's statement.
pub fn statement() -> String {
    new("stm")
}

/// `rec_…`: a reconciliation.
pub fn reconciliation() -> String {
    new("rec")
}

/// `wdr_…`: a withdrawal from a wallet that the gateway keeps.
pub fn withdrawal() -> String {
    new("wdr")
}

/// `mem_…`: a linked member.
pub fn member() -> String {
    new("mem")
}
