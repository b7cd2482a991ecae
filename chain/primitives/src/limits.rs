//! What one block may hold. Everything follows from one number of the genesis file: `gasLimit`.
//!
//! | of a block | is | because |
//! |---|---|---|
//! | gas | `gasLimit` | it bounds the work of executing the block, and is what fees count |
//! | transactions | gas / [`LEAST_GAS`] | none uses less |
//! | transactions in its body | one more | its own work may have a system transaction |
//! | bytes of transactions | gas / [`GAS_PER_BYTE`], and at least one longest transaction | ordinary transactions use 90 to 240 gas for a byte, so most blocks are full by gas; calldata costs 10 to 40 gas a byte, so data is full by bytes |
//!
//! Whatever carries a block is derived from these: the codec, the network's largest message, the
//! archive, JSON-RPC's longest answer, the pool of waiting transactions. Two limits that were chosen
//! apart can disagree, and then a block that one part makes is one that another part cannot carry.

/// Least gas that a transaction uses.
pub const LEAST_GAS: u64 = 21_000;
/// Gas of a block for each byte of transactions that it may hold.
pub const GAS_PER_BYTE: u64 = 100;
/// Longest encoded transaction: 128 KiB, as Ethereum's pools have it.
pub const MAX_TRANSACTION_LENGTH: usize = 128 * 1024;
/// Longest system transaction, which a block may hold beside those that were sent: a legacy one without
/// data, signed by nobody.
pub const SYSTEM_TRANSACTION_LENGTH: usize = 64;
/// Least and most gas of a block.
pub const BLOCK_GAS: std::ops::RangeInclusive<u64> = 1_000_000..=1_000_000_000;

/// The limits of one block.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct BlockLimits {
    gas: u64,
}

impl BlockLimits {
    /// Those of the largest block that any genesis file allows.
    pub const MOST: Self = Self::of(*BLOCK_GAS.end());

    /// Those of a chain whose blocks have so much gas.
    pub const fn of(gas_limit: u64) -> Self {
        Self { gas: gas_limit }
    }

    /// Gas.
    pub const fn gas(self) -> u64 {
        self.gas
    }

    /// Transactions that were sent.
    pub fn transactions(self) -> usize {
        whole(self.gas / LEAST_GAS)
    }

    /// Bytes of all of these together.
    pub fn bytes(self) -> usize {
        whole(self.gas / GAS_PER_BYTE).max(MAX_TRANSACTION_LENGTH)
    }

    /// Transactions of a body, the system transaction included.
    pub fn body_transactions(self) -> usize {
        self.transactions().saturating_add(1)
    }

    /// Bytes of them.
    pub fn body_bytes(self) -> usize {
        self.bytes().saturating_add(SYSTEM_TRANSACTION_LENGTH)
    }
}

/// A number of things in memory.
fn whole(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_block_can_be_carried() {
        let most = BlockLimits::MOST;
        assert_eq!(most.transactions(), 47_619);
        assert_eq!(most.bytes(), 10_000_000);
        let least = BlockLimits::of(*BLOCK_GAS.start());
        assert_eq!(least.transactions(), 47);
        assert_eq!(least.bytes(), MAX_TRANSACTION_LENGTH);
    }
}
