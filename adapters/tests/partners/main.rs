//! The adapters: against the sandbox partners through one test-kit, and against answers that no
//! honest partner gives.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod airline_wire;
mod card_wire;
mod partner_files;
mod sandbox;
mod telecom_wire;
mod template_wire;
