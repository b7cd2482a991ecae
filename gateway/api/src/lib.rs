//! What the gateway and its callers say to each other. The gateway answers with these types and
//! `mileverse-gateway-client` reads them, so the two
//! cannot come to differ; the OpenAPI document is made from them too.
//!
//! ```txt
//! amount          points in millionths, decimal strings
//! books, conversions, float, members, programmes, sandbox, signing, statement, wallets, webhooks
//!                 the bodies of /v1, a module for each kind of thing
//! problem         every error (RFC 9457)
//! signature/      signed requests (RFC 9421): made by callers, checked by the gateway
//! message         webhook messages (Standard Webhooks): signed by the gateway, checked by callers
//! ```
//!
//! Amounts travel as decimal strings, because JSON's numbers are not exact. Moments travel as RFC
//! 3339. Requests with unknown fields are refused; answers may get more fields, and callers must
//! not mind.

pub mod amount;
pub mod books;
pub mod conversions;
pub mod float;
pub mod members;
pub mod message;
pub mod problem;
pub mod programmes;
pub mod sandbox;
pub mod signature;
pub mod signing;
pub mod statement;
pub mod wallets;
pub mod webhooks;
