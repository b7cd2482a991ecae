//! The states of a conversion. The table `transitions` in `migrations/` is the rule; this is its
//! picture:
//!
//! ```txt
//! created ──> debiting ──┬──────────────────> debited ──> issuing ──> completed
//!    │            │      └─> debit_unknown ──>   │           │
//!    │            │           │    │    │        │           │ (the chain refused it for good)
//!    └──> refused <───────────┘    │    │        │           │
//!                                  └────│────────│───────────┴─> reversing ──> reversed
//!                                       └────────┴───> attention <───┘
//!
//! created ──> refused, debited ──> reversing          the caller cancelled it
//! completed ──> disputed ──> returned                 the partner disputed it in time
//!     └──────────── <─┘                               … and its own system refuses
//! attention ──> any but created and debiting          two operators decided ([`crate::operator`])
//! ```
//!
//! | state | what is known | who acts |
//! |---|---|---|
//! | created | nothing was sent | gateway |
//! | debiting | the debit may have been sent | the request that began it; after a crash, unknown |
//! | debit_unknown | the debit may or may not have happened | gateway asks the partner |
//! | debited | the miles are gone | gateway signs the issue |
//! | issuing | a signed issue is stored | gateway broadcasts it until it is final |
//! | completed | the points exist | nobody |
//! | refused | the miles were never taken | nobody |
//! | reversing | the miles go back, or a tombstone is set | gateway, until acknowledged |
//! | reversed | the miles are back | nobody |
//! | disputed | the partner disputes it; the points exist | gateway, until the partner acknowledges |
//! | returned | the miles are back, the points are a claim on the partner | nobody |
//! | attention | facts contradict each other, or the partner never answered | two operators |

use std::fmt;

/// Where a conversion stands.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum State {
    /// Agreed; nothing was sent.
    Created,
    /// The debit may have been sent.
    Debiting,
    /// Nobody knows whether the debit happened.
    DebitUnknown,
    /// The miles are gone.
    Debited,
    /// A signed issue is stored.
    Issuing,
    /// The points exist.
    Completed,
    /// The miles were never taken.
    Refused,
    /// The miles go back.
    Reversing,
    /// The miles are back.
    Reversed,
    /// The partner disputes it: the miles go back.
    Disputed,
    /// The miles are back; the points are a claim on the partner.
    Returned,
    /// An operator must look.
    Attention,
}

impl State {
    /// All of them.
    pub const ALL: [Self; 12] = [
        Self::Created,
        Self::Debiting,
        Self::DebitUnknown,
        Self::Debited,
        Self::Issuing,
        Self::Completed,
        Self::Refused,
        Self::Reversing,
        Self::Reversed,
        Self::Disputed,
        Self::Returned,
        Self::Attention,
    ];

    /// As stored and as shown.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Debiting => "debiting",
            Self::DebitUnknown => "debit_unknown",
            Self::Debited => "debited",
            Self::Issuing => "issuing",
            Self::Completed => "completed",
            Self::Refused => "refused",
            Self::Reversing => "reversing",
            Self::Reversed => "reversed",
            Self::Disputed => "disputed",
            Self::Returned => "returned",
            Self::Attention => "attention",
        }
    }

    /// The state of this name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }

    /// Whether this is the end. Only a dispute, in time, leads on from `completed`.
    pub const fn is_final(self) -> bool {
        matches!(
            self,
            Self::Completed | Self::Refused | Self::Reversed | Self::Returned
        )
    }

    /// Whether nothing more happens by itself.
    pub const fn is_settled(self) -> bool {
        self.is_final() || matches!(self, Self::Attention)
    }
}

impl fmt::Display for State {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}
