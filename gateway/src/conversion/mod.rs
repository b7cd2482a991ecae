//! One conversion, from its first row to its last.
//!
//! ```txt
//! state      where it can stand
//! programme  what can be converted
//! ask        what a caller may ask for: quotes, and conversions to begin
//! offered    quotes that were made here and not used yet
//! link       members that are linked once
//! machine    the context, and the loop that moves one conversion as far as it goes
//! moves      what is written with a move, for all that move at once
//! waiter     whoever waits for the end
//! debit      the partner's side: begin, inquire, reverse
//! together   the chain's side: sign, together with others when it is busy
//! flight     what traces say of the chain's side
//! issue      the chain's side: broadcast, confirm, sign again
//! recall     cancelling and disputing
//! hint       what partners tell
//! news       what partners are told
//! watched    adapters whose calls are spans
//! worker     finds what is due and moves it
//! ```

pub mod ask;
mod debit;
mod flight;
pub mod hint;
pub(crate) mod issue;
pub mod link;
pub mod machine;
pub mod moves;
mod news;
mod offered;
pub mod programme;
pub mod recall;
pub mod state;
mod together;
pub mod waiter;
mod watched;
pub mod worker;

pub use machine::{Machine, StepError};
pub use programme::Programme;
