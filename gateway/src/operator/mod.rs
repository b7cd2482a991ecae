//! People who run the gateway: what they may do, what waits for them, and what they do about it.
//!
//! | role | may |
//! |---|---|
//! | viewer | read cases, reports, the audit log |
//! | operator | also hand in statements, ask for reconciliations, propose actions |
//! | approver | read, and approve or reject what an operator proposed |
//! | admin | read, and add, suspend and give keys to operators |
//!
//! Nobody has two roles, and a role does not change. So whatever moves anything was proposed by one
//! person and approved by another; the database refuses anything else.
//!
//! | case | what it is | actions |
//! |---|---|---|
//! | `attention` | a conversion whose facts contradict each other, or whose partner never answered | all but close |
//! | `reversal_unacknowledged` | a disputed conversion whose partner does not acknowledge | all but close |
//! | `reward_late` | a quarter's reward is late ([`crate::rewards`]); the gateway closes it when it is done after all | close |
//! | a difference ([`crate::reconcile::Kind`]) | partner, journal and chain do not agree | counter_entry, close |
//!
//! | action | what it does, once approved |
//! |---|---|
//! | `resolve_failed` | `attention`: the miles were not taken or are back; the conversion ends as `refused` or `reversed`, its float and limits are free. `reversal_unacknowledged`: the partner refuses; it is `completed` again |
//! | `resolve_succeeded` | `attention`: the miles are taken; the points are issued, or, if the chain has them, the conversion is `completed`. `reversal_unacknowledged`: the miles are back; it is `returned` |
//! | `repeat` | the gateway asks the partner, or the chain, again |
//! | `counter_entry` | posts a balanced correction to the journal; closes a difference |
//! | `close` | closes a difference, or a reward that is late, as it is |
//!
//! Each is carried out in the transaction that records its approval, and is in the audit log
//! ([`crate::store::audit`]) with both names.

pub mod act;
pub mod entry;

macro_rules! names {
    ($(#[$doc:meta])* $type:ident { $($(#[$variant_doc:meta])* $variant:ident = $name:literal),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
        pub enum $type {
            $($(#[$variant_doc])* $variant,)*
        }

        impl $type {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// As stored and as shown.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }

            /// The one of this name.
            pub fn parse(name: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|one| one.name() == name)
            }
        }
    };
}

names! {
    /// What an operator may do.
    Role {
        /// Read.
        Viewer = "viewer",
        /// Propose.
        Operator = "operator",
        /// Approve.
        Approver = "approver",
        /// Manage operators.
        Admin = "admin",
    }
}

names! {
    /// What can be done about a case.
    Verb {
        /// The miles were not taken, or are back.
        ResolveFailed = "resolve_failed",
        /// The miles are taken, or are back if it was disputed.
        ResolveSucceeded = "resolve_succeeded",
        /// Ask again.
        Repeat = "repeat",
        /// Correct the journal.
        CounterEntry = "counter_entry",
        /// Leave it as it is.
        Close = "close",
    }
}

names! {
    /// What becomes of a proposal.
    Decision {
        /// It is carried out.
        Approved = "approved",
        /// It is not.
        Rejected = "rejected",
        /// Who proposed it takes it back.
        Withdrawn = "withdrawn",
    }
}

names! {
    /// Cases that are no difference.
    CaseKind {
        /// A conversion in `attention`.
        Attention = "attention",
        /// A disputed conversion whose partner does not acknowledge.
        ReversalUnacknowledged = "reversal_unacknowledged",
        /// A slot of a quarter's rewards that is late.
        RewardLate = "reward_late",
    }
}

/// What a new key of an operator begins with, so that one that leaks is recognised.
pub const KEY_PREFIX: &str = "mvo_";
