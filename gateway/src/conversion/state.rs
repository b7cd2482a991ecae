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
//! created ──> debiting, debiting ──> debited ──> issuing     each written to the row at once, if it is one commit
//! created ──> refused, debited ──> reversing          the caller cancelled it
//! completed ──> disputed ──> returned                 the partner disputed it in time
//!     └──────────── <─┘                               … and its own system refuses
//! attention ──> any but created and debiting          two operators decided ([`crate::operator`])
//! ```
//!
//! | state | what is known | who acts |
//! |---|---|---|
//! | created | nothing was sent; only events say so, and rows of earlier versions | gateway |
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

pub use mileverse_gateway_api::conversions::State;
