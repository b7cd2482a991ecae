//! Several numbers in one word of storage.

use crate::modules::host::Fault;
use alloy::primitives::U256;

/// Two halves: `low | high << 128`.
pub(crate) fn halves(low: u128, high: u128) -> U256 {
    U256::from(low) | (U256::from(high) << 128)
}

/// The halves of a word.
pub(crate) fn split(word: U256) -> (u128, u128) {
    let [a, b, c, d] = *word.as_limbs();
    (join(a, b), join(c, d))
}

/// Two 64-bit numbers and a half: `a | b << 64 | half << 128`.
pub(super) fn pack(a: u64, b: u64, half: u128) -> U256 {
    halves(join(a, b), half)
}

/// The parts of a packed word.
pub(super) fn unpack(word: U256) -> (u64, u64, u128) {
    let [a, b, c, d] = *word.as_limbs();
    (a, b, join(c, d))
}

/// Four 64-bit numbers, lowest first.
pub(crate) const fn limbs(numbers: [u64; 4]) -> U256 {
    U256::from_limbs(numbers)
}

fn join(low: u64, high: u64) -> u128 {
    u128::from(low) | u128::from(high) << 64
}

/// An amount of coin; all there is fits in 92 bits.
pub(crate) fn amount(word: U256) -> Result<u128, Fault> {
    word.try_into().map_err(|_| Fault::overflow())
}

/// Sum of amounts.
pub(super) fn plus(a: u128, b: u128) -> Result<u128, Fault> {
    a.checked_add(b).ok_or_else(broken)
}

/// Difference of amounts that the books say is not negative.
pub(super) fn minus(a: u128, b: u128) -> Result<u128, Fault> {
    a.checked_sub(b).ok_or_else(broken)
}

/// `amount x share / whole`, rounded down.
pub(super) fn part(amount: u128, share: u64, whole: u64) -> Result<u128, Fault> {
    U256::from(amount)
        .checked_mul(U256::from(share))
        .and_then(|product| product.checked_div(U256::from(whole)))
        .and_then(|part| part.try_into().ok())
        .ok_or_else(broken)
}

/// The books of staking contradict themselves: nothing may be built on this state.
pub(super) fn broken() -> Fault {
    Fault::Fatal("the books of staking do not balance".into())
}
