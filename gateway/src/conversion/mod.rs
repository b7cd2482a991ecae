//! One conversion, from its first row to its last.
//!
//! ```txt
//! state      where it can stand
//! programme  what can be converted
//! ask        what a caller may ask for: quotes, and conversions to begin
//! machine    the context, and the loop that moves one conversion as far as it goes
//! debit      the partner's side: begin, inquire, reverse
//! issue      the chain's side: sign, broadcast, confirm
//! recall     cancelling and disputing
//! news       what partners are told
//! worker     finds what is due and moves it
//! ```

pub mod ask;
mod debit;
mod issue;
pub mod machine;
mod news;
pub mod programme;
pub mod recall;
pub mod state;
pub mod worker;

pub use machine::{Machine, StepError};
pub use programme::Programme;
