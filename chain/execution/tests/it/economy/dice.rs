//! Chance, and what came of it.

/// What happened, in numbers.
#[derive(Clone, Copy, Debug, Default)]
pub struct Story {
    pub epochs: u64,
    pub done: u64,
    pub refused: u64,
    pub slashed: u64,
    pub jailed: u64,
    pub failed_ceremonies: u64,
    pub paid: u128,
}

impl Story {
    pub fn add(&mut self, other: &Self) {
        self.epochs += other.epochs;
        self.done += other.done;
        self.refused += other.refused;
        self.slashed += other.slashed;
        self.jailed += other.jailed;
        self.failed_ceremonies += other.failed_ceremonies;
        self.paid += other.paid;
    }
}

/// A small seeded stream of numbers.
pub struct Dice(pub u64);

impl Dice {
    pub fn next(&mut self) -> u64 {
        // splitmix64 (Steele, Lea, Flood 2014).
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % bound as u64).unwrap()
    }

    pub fn chance(&mut self, percent: u64) -> bool {
        self.next() % 100 < percent
    }

    /// Small, large, odd: amounts of every size up to `most`.
    pub fn amount(&mut self, most: u128) -> u128 {
        let bits = self.below(128 - most.leading_zeros() as usize + 1);
        let amount = u128::from(self.next()) & ((1u128 << bits) - 1);
        if self.chance(10) {
            most
        } else {
            amount.min(most.saturating_add(1))
        }
    }
}
