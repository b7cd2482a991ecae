//! Reconciliation: the partner's statement, our journal and the chain, set beside each other.
//!
//! ```txt
//! statement   the partner's file of one UTC day: CSV, documented there
//! compare     one debit: what the partner says against what the journal says
//! chain       what the chain issued, read from its events
//! supply      all that the journal has against all that the chain has
//! run         one run: a day's report, and the cases that follow from it
//! ```
//!
//! | difference | what it means |
//! |---|---|
//! | `missing_at_partner` | the journal has miles taken, the statements do not |
//! | `missing_here` | a statement has miles taken, the journal does not |
//! | `amount_differs` | both have it, not the same miles |
//! | `member_differs` | both have it, from another member |
//! | `taken_twice` | the partner took the miles more than once under one reference |
//! | `reversal_missing` | here the miles are back, at the partner they are not |
//! | `late` | both agree, but further apart in time than the cut-off; or it is undecided here |
//! | `statement_missing` | there is no statement for a day on which miles moved |
//! | `row_without_mint` | the journal has points issued, the chain does not |
//! | `minted_without_row` | the chain issued points under a name that none of our transactions has |
//! | `mint_not_recorded` | the chain issued points for a conversion that does not know of it |
//! | `mint_amount_differs` | both have it, not the same points |
//! | `supply_differs` | all that the chain issued is not all that the journal has |
//! | `journal_differs` | the journal does not balance, or a float or a rate does not hold |
//! | `chain_unread` | the chain could not be read, so nothing is known of it |
//!
//! **Days.** The partner books a debit before we hear of it, perhaps before midnight. So a run for
//! a day judges what the journal posted from one cut-off before the day to one cut-off before its
//! end, all that the day's statement has, and whatever an open case is about; and it looks for a
//! debit in all statements there are, by reference, added up.
//!
//! **Cases.** Each difference opens a case ([`crate::operator`]), unless it has one. A case that a
//! later run finds to agree is closed by the gateway. A difference that two operators have closed
//! is not raised again, until it is another one.
//!
//! Limits: a statement of 8 MiB and 100,000 lines; 10,000 differences of a run are kept, more are
//! counted.

pub mod chain;
pub mod compare;
pub mod run;
pub mod statement;
pub mod supply;

macro_rules! kinds {
    ($($variant:ident = $name:literal, $meaning:literal;)*) => {
        /// How two sides can differ.
        #[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
        pub enum Kind {
            $(#[doc = $meaning] $variant,)*
        }

        impl Kind {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// As stored and as shown.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }
        }
    };
}

kinds! {
    MissingAtPartner = "missing_at_partner", "The journal has miles taken, the statements do not.";
    MissingHere = "missing_here", "A statement has miles taken, the journal does not.";
    AmountDiffers = "amount_differs", "Not the same miles.";
    MemberDiffers = "member_differs", "Not the same member.";
    TakenTwice = "taken_twice", "Taken more than once under one reference.";
    ReversalMissing = "reversal_missing", "Here the miles are back, at the partner they are not.";
    Late = "late", "Both agree, but far apart in time; or it is undecided here.";
    StatementMissing = "statement_missing", "No statement for a day on which miles moved.";
    RowWithoutMint = "row_without_mint", "The journal has points issued, the chain does not.";
    MintedWithoutRow = "minted_without_row", "The chain issued under a name that is not ours.";
    MintNotRecorded = "mint_not_recorded", "The chain issued, the conversion does not know of it.";
    MintAmountDiffers = "mint_amount_differs", "Not the same points.";
    SupplyDiffers = "supply_differs", "The chain's total is not the journal's.";
    JournalDiffers = "journal_differs", "The journal does not hold in itself.";
    ChainUnread = "chain_unread", "The chain could not be read.";
}

impl Kind {
    /// The kind of this name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.name() == name)
    }
}

/// One difference.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Difference {
    /// What differs.
    pub kind: Kind,
    /// In which programme, if in one.
    pub programme: Option<String>,
    /// The reference of the debit, the name on the chain, or the day.
    pub subject: String,
    /// What each side says, in a sentence. The same facts are the same sentence.
    pub facts: String,
}
