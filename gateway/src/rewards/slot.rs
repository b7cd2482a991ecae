//! What a quarter's rewards need, one slot for each thing.

use super::Rules;
use mileverse_primitives::quarter::Quarter;
use std::time::Duration;

macro_rules! slots {
    ($($variant:ident = $name:literal, $late:literal, $meaning:literal;)*) => {
        /// One thing that a quarter's rewards need.
        #[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
        pub enum Slot {
            $(#[doc = $meaning] $variant,)*
        }

        impl Slot {
            /// All of them, in the order in which they can be done.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// As stored and as shown.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }

            /// What operators read when it is late.
            pub const fn lateness(self) -> &'static str {
                match self {
                    $(Self::$variant => $late,)*
                }
            }
        }
    };
}

slots! {
    Close = "close", "the native chain has not closed it",
        "The native chain's first block of the next quarter.";
    Open = "open", "it is not open on Ethereum",
        "Ethereum's contract takes the pot and fixes who earns.";
    Forward = "forward", "the bridge's share of it has not come to the native chain",
        "The share of what the bridge has locked crosses to the native chain.";
    Claim = "claim", "custodial holders are not paid on Ethereum",
        "Custodial holders have what they earned on Ethereum.";
    Pay = "pay", "the native chain has not paid everybody",
        "The native chain has paid everybody.";
    Tell = "tell", "members were not told",
        "Members that were linked hear what they earned.";
}

impl Slot {
    /// The slot of this name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|slot| slot.name() == name)
    }

    /// The name of its job, and of the case that it opens when it is late: `2026Q4:open`.
    pub fn job(self, quarter: Quarter) -> String {
        format!("{quarter}:{}", self.name())
    }

    /// The slot of a job.
    pub fn of_job(name: &str) -> Option<(Quarter, Self)> {
        let (quarter, slot) = name.split_once(':')?;
        Some((quarter.parse().ok()?, Self::parse(slot)?))
    }

    /// How long after the quarter's end it is late.
    pub const fn patience(self, rules: &Rules) -> Duration {
        match self {
            Self::Close => rules.close,
            Self::Open => rules.open,
            Self::Forward => rules.forward,
            Self::Claim => rules.claim,
            Self::Pay | Self::Tell => rules.pay,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_names_its_slot() {
        for slot in Slot::ALL {
            let quarter = Quarter::new(8_107);
            assert_eq!(Slot::of_job(&slot.job(quarter)), Some((quarter, *slot)));
        }
        assert_eq!(Slot::Open.job(Quarter::new(8_107)), "2026Q4:open");
        for nonsense in ["", "2026Q4", "2026Q5:open", "2026Q4:", "2026Q4:close:x"] {
            assert_eq!(Slot::of_job(nonsense), None, "{nonsense}");
        }
    }
}
