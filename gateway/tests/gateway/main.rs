//! The gateway end to end: real HTTP on loopback, the real sandbox airline, a fake chain, and
//! each database.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

/// Every scenario on SQLite as a test of its own, and all of them on one PostgreSQL server.
macro_rules! on_both {
    ($($scenario:ident,)*) => {
        mod on_sqlite {
            use crate::support::Databases;
            $(
                #[tokio::test(flavor = "multi_thread")]
                async fn $scenario() {
                    super::$scenario(&Databases::sqlite()).await;
                }
            )*
        }

        #[tokio::test(flavor = "multi_thread")]
        async fn on_postgres() {
            let on = crate::support::Databases::postgres();
            $(
                eprintln!("scenario {}", stringify!($scenario));
                $scenario(&on).await;
            )*
        }
    };
}
use on_both;

/// Where anvil is.
#[path = "../../../contracts/bindings/tests/kit/mod.rs"]
mod kit;

mod bad_input;
mod client;
mod configuration;
mod crash;
mod custody;
mod document;
mod faults;
mod float;
mod fuzz;
mod hints;
mod histories;
mod journey;
mod members;
mod operators;
mod page_index;
mod partners;
mod pool;
mod replicas;
mod rewards;
mod sandbox;
mod signatures;
mod statements;
mod support;
mod terms;
mod together;
mod traces;
mod verbs;
mod webhooks;
