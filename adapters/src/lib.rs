//! One plugin per partner protocol.
//!
//! An [`Adapter`] speaks to one partner on the gateway's behalf: it authenticates a member, reads
//! a balance, and debits, inquires and reverses under **our** reference. It keeps no state of its
//! own that matters: everything that must survive a crash is the gateway's.
//!
//! ```txt
//! adapter       the trait, and what a partner can do
//! outcome       what a call can have come to: done, refused, or unknown
//! miles         whole miles
//! airline/      JSON over HTTP with OAuth 2.0
//! card/         ISO 8583 over TCP
//! telecom/      TM Forum TMF658 over HTTP
//! template/     plain JSON APIs, by configuration alone
//! http/         what the adapters over HTTP share
//! settings      a partner's own configuration file
//! setup         why an adapter cannot be set up
//! reading       from an answer that was read to what the call came to
//! testkit       scenarios that every adapter is put through
//! ```

pub mod adapter;
pub mod airline;
pub mod card;
mod http;
pub mod miles;
pub mod outcome;
mod reading;
pub mod settings;
pub mod setup;
pub mod telecom;
pub mod template;
pub mod testkit;

pub use adapter::{Adapter, Capabilities, MemberId, Notice, Reference, Session};
pub use miles::Miles;
pub use outcome::{AskError, Debit, Inquiry, Known, Refusal, Reversal, Unknown};
pub use settings::{PartnerConfig, PartnerKind, SettingsError};
pub use setup::SetupError;
