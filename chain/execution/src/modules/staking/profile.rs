//! What a candidate tells about itself, and how its texts are checked.
//!
//! ```txt
//! word 16 of a candidate   length of name | length of website << 64
//! words 17 to 22           name ‖ website, padded with zeros
//! ```

use super::{
    candidate::place,
    refusal::Refusal,
    word::{broken, limbs},
};
use crate::modules::{host::Fault, ledger::Ledger};
use alloy::primitives::U256;
use std::net::SocketAddr;

/// Longest name, in bytes.
pub(super) const MAX_NAME: usize = 64;
/// Longest website, in bytes.
pub(super) const MAX_WEBSITE: usize = 128;
/// Longest network address: an IPv6 address in brackets, a colon, a port.
const MAX_ADDRESS: usize = 47;

const LENGTHS: u64 = 16;
const TEXT: u64 = 17;
const WORDS: usize = (MAX_NAME + MAX_WEBSITE) / 32;

fn is_clean(text: &str, max: usize) -> bool {
    text.len() <= max && !text.chars().any(char::is_control)
}

/// Refuses texts that are too long or hold control characters.
pub(super) fn check(name: &str, website: &str) -> Result<(), Refusal> {
    if name.is_empty() || !is_clean(name, MAX_NAME) {
        return Err(Refusal::Name(MAX_NAME));
    }
    if !is_clean(website, MAX_WEBSITE) {
        return Err(Refusal::Website(MAX_WEBSITE));
    }
    Ok(())
}

/// Reads `ip:port` in its one canonical form.
pub(super) fn network_address(text: &str) -> Result<SocketAddr, Refusal> {
    let refuse = || Refusal::NetworkAddress;
    if text.len() > MAX_ADDRESS {
        return Err(refuse());
    }
    let address: SocketAddr = text.parse().map_err(|_| refuse())?;
    let mapped = matches!(address, SocketAddr::V6(v6) if v6.ip().to_ipv4_mapped().is_some());
    let good = address.port() != 0
        && !address.ip().is_unspecified()
        && !address.ip().is_multicast()
        && !mapped
        && address.to_string() == text;
    good.then_some(address).ok_or_else(refuse)
}

pub(super) fn store(
    ledger: &mut impl Ledger,
    id: u64,
    name: &str,
    website: &str,
) -> Result<(), Fault> {
    ledger.store(
        place(id).field(LENGTHS),
        limbs([name.len() as u64, website.len() as u64, 0, 0]),
    )?;
    let mut bytes = [name.as_bytes(), website.as_bytes()].concat();
    bytes.resize(WORDS * 32, 0);
    for (index, word) in (0..).zip(bytes.chunks(32)) {
        ledger.store(
            place(id).field(TEXT).field(index),
            U256::from_be_slice(word),
        )?;
    }
    Ok(())
}

/// Name and website.
pub(super) fn load(ledger: &mut impl Ledger, id: u64) -> Result<(String, String), Fault> {
    let [name, website, ..] = *ledger.load(place(id).field(LENGTHS))?.as_limbs();
    let length = |length: u64| usize::try_from(length).map_err(|_| broken());
    let (name, website) = (length(name)?, length(website)?);
    let words = name.saturating_add(website).min(WORDS * 32).div_ceil(32) as u64;
    let mut bytes = Vec::new();
    for index in 0..words {
        let word = ledger.load(place(id).field(TEXT).field(index))?;
        bytes.extend_from_slice(&word.to_be_bytes::<32>());
    }
    let text = |from: usize, to: usize| {
        bytes
            .get(from..to)
            .map(|bytes| String::from_utf8_lossy(bytes).into_owned())
            .ok_or_else(broken)
    };
    Ok((text(0, name)?, text(name, name.saturating_add(website))?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_canonical_reachable_addresses_are_taken() {
        for good in ["203.0.113.7:9000", "127.0.0.1:1", "[2001:db8::7]:65535"] {
            assert!(network_address(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "example.org:9000",
            "203.0.113.7",
            "203.0.113.7:0",
            "203.0.113.7:65536",
            "203.0.113.7:09000",
            "0.0.0.0:9000",
            "[::]:9000",
            "224.0.0.1:9000",
            "[2001:DB8::7]:9000",
            "[::ffff:203.0.113.7]:9000",
            " 203.0.113.7:9000",
        ] {
            assert_eq!(network_address(bad), Err(Refusal::NetworkAddress), "{bad}");
        }
    }

    #[test]
    fn texts_have_limits() {
        assert_eq!(
            check(&"n".repeat(MAX_NAME), &"w".repeat(MAX_WEBSITE)),
            Ok(())
        );
        assert_eq!(check("서울 노드", ""), Ok(()));
        for name in ["", "two\nlines", &"n".repeat(MAX_NAME + 1)] {
            assert_eq!(check(name, ""), Err(Refusal::Name(MAX_NAME)));
        }
        assert_eq!(
            check("n", &"w".repeat(MAX_WEBSITE + 1)),
            Err(Refusal::Website(MAX_WEBSITE))
        );
    }
}
