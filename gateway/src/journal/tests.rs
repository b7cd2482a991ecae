//! Whatever is tried, the stored journal balances and does not change.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use super::*;
use crate::clock::now_ms;
use crate::conversion::state::State;
use crate::store::conversions::{self, New};
use crate::store::quotes::{self, Quote};
use crate::store::{Location, Purpose};
use crate::units::{Fee, MicroPoints, Rate};
use mileverse_fixtures::postgres::{Durability, Postgres};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use tempfile::TempDir;
use tokio::task::JoinSet;

const RATE: Rate = Rate(12_000_000);

fn conversion(miles: u64) -> Conversion {
    let (id, now) = (ids::conversion(), now_ms());
    Conversion {
        quote_id: ids::quote(),
        partner: "demo".to_owned(),
        programme: "airline".to_owned(),
        member_id: "SKY-1".to_owned(),
        receiver: "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed".to_owned(),
        miles,
        rate: RATE,
        points: RATE.points(miles).unwrap(),
        fee: Fee::default(),
        reference: None,
        held: MicroPoints(0),
        state: State::Created,
        debit_reference: id.clone(),
        debit_sent_at: None,
        partner_reference: None,
        absent_reads: 0,
        issue_hash: None,
        issue_block: None,
        reason_code: None,
        reason: None,
        attempts: 0,
        created_at: now,
        updated_at: now,
        id,
    }
}

/// Where the journal is tried: each test runs on both databases.
struct Bed {
    directory: TempDir,
    server: Option<Postgres>,
    made: AtomicU32,
}

impl Bed {
    fn sqlite() -> Self {
        Self {
            directory: tempfile::tempdir().unwrap(),
            server: None,
            made: AtomicU32::new(0),
        }
    }

    fn postgres() -> Self {
        let server = Postgres::start(Durability::ProcessOnly).map_err(|why| why.to_string());
        Self {
            server: Some(server.unwrap()),
            ..Self::sqlite()
        }
    }

    async fn store(&self) -> Store {
        let name = format!("journal_{}", self.made.fetch_add(1, Ordering::Relaxed));
        let location = match &self.server {
            Some(server) => {
                Location::Postgres(server.create(&name, None).unwrap().parse().unwrap())
            }
            None => Location::Sqlite(self.directory.path().join(name)),
        };
        Store::open(&location, Purpose::Serve).await.unwrap()
    }
}

macro_rules! on_both {
    ($($scenario:ident,)*) => {
        mod sqlite {
            $(
                #[test]
                fn $scenario() {
                    super::$scenario(&super::Bed::sqlite());
                }
            )*
        }

        #[test]
        fn on_postgres() {
            let bed = Bed::postgres();
            $($scenario(&bed);)*
        }
    };
}

on_both! {
    entries_are_stored_only_if_every_currency_balances,
    any_course_of_conversions_adds_up,
    nothing_that_is_written_can_be_changed,
    every_state_is_known_to_the_database_and_nothing_leaves_the_end,
    a_conversion_begins_before_its_debit_or_with_the_intent_of_it,
    writers_that_come_at_once_share_commits_and_not_their_failures,
    accounts_are_opened_by_whoever_comes_first,
}

fn run<T>(scenario: impl Future<Output = T>) -> T {
    tokio::runtime::Runtime::new().unwrap().block_on(scenario)
}

async fn insert(store: &Store, conversion: &Conversion) {
    try_insert(store, conversion).await.unwrap();
}

async fn try_insert(store: &Store, conversion: &Conversion) -> Result<(), sqlx::Error> {
    let quote = Quote {
        id: conversion.quote_id.clone(),
        partner: conversion.partner.clone(),
        programme: conversion.programme.clone(),
        member_id: conversion.member_id.clone(),
        miles: conversion.miles,
        rate: conversion.rate,
        points: conversion.points,
        fee: Fee::default(),
        created_at: 0,
        expires_at: 1,
        used_by: None,
    };
    let new = New {
        conversion,
        trace: None,
    };
    let mut transaction = store.write().await.unwrap();
    quotes::insert(&mut transaction, &[&quote]).await.unwrap();
    conversions::insert(&mut transaction, &[new], "run", 0).await?;
    transaction.commit().await
}

async fn try_write(
    store: &Store,
    id: &str,
    kind: &'static str,
    entries: &[Entry],
) -> Result<(), sqlx::Error> {
    let mut transaction = store.write().await?;
    let posting = Posting {
        subject: id,
        kind,
        by: "test",
        note: None,
        entries: entries.to_vec(),
    };
    write(&mut transaction, &[posting], 0).await?;
    transaction.commit().await
}

async fn try_sql(store: &Store, sql: &'static str) -> Result<(), sqlx::Error> {
    let mut transaction = store.write().await?;
    sqlx::query(sql).execute(&mut *transaction).await?;
    transaction.commit().await
}

fn entries_are_stored_only_if_every_currency_balances(bed: &Bed) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let store = runtime.block_on(bed.store());
    let entry = (0..3u8, 0..2u8, -5i64..=5).prop_filter("not zero", |(_, _, amount)| *amount != 0);
    let mut runner = TestRunner::new(Config::with_cases(if bed.server.is_some() {
        60
    } else {
        300
    }));
    let outcome = runner.run(&prop::collection::vec(entry, 0..5), |drawn| {
        let entries: Vec<Entry> = drawn
            .iter()
            .map(|(account, currency, amount)| Entry {
                account: format!("account-{account}-{currency}"),
                currency: format!("currency-{currency}"),
                amount: *amount,
            })
            .collect();
        let sum = |currency: u8| {
            drawn
                .iter()
                .filter(|(_, c, _)| *c == currency)
                .map(|(_, _, a)| a)
                .sum::<i64>()
        };
        let balanced = !drawn.is_empty() && sum(0) == 0 && sum(1) == 0;
        runtime.block_on(async {
            let conversion = conversion(1);
            insert(&store, &conversion).await;
            let stored = try_write(&store, &conversion.id, "taken", &entries).await;
            prop_assert_eq!(stored.is_ok(), balanced, "{:?}: {:?}", entries, stored);
            prop_assert!(store.books().await.unwrap().balanced);
            Ok(())
        })
    });
    outcome.unwrap();
}

fn any_course_of_conversions_adds_up(bed: &Bed) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let mut runner = TestRunner::new(Config::with_cases(if bed.server.is_some() {
        3
    } else {
        12
    }));
    // For each conversion: its miles, and how far it goes (taken, issued, given back).
    let course = prop::collection::vec((1u64..1_000_000, 0..3u8), 0..12);
    let outcome = runner.run(&course, |course| {
        runtime.block_on(async {
            let store = bed.store().await;
            let (mut taken, mut converted) = (0u64, 0u64);
            for (miles, end) in course {
                let conversion = conversion(miles);
                insert(&store, &conversion).await;
                let last = match end {
                    0 => None,
                    1 => Some(Kind::Issued),
                    _ => Some(Kind::GivenBack),
                };
                for kind in [Some(Kind::Taken), last].into_iter().flatten() {
                    for repeat in 0..2 {
                        let entries = entries(&conversion, kind).unwrap();
                        let stored = try_write(&store, &conversion.id, kind.name(), &entries).await;
                        prop_assert_eq!(stored.is_ok(), repeat == 0, "{:?}", stored);
                    }
                }
                if end != 2 {
                    taken += miles;
                }
                if end == 1 {
                    converted += miles;
                }
            }
            let books = store.books().await.unwrap();
            prop_assert!(books.balanced);
            prop_assert_eq!(
                Some(MicroPoints(books.micro_points_issued)),
                RATE.points(converted)
            );
            if let Some(programme) = books.programmes.first() {
                prop_assert_eq!(programme.miles_taken, taken);
                prop_assert_eq!(programme.miles_converted, converted);
                prop_assert_eq!(programme.micro_points_issued, books.micro_points_issued);
            }
            store.close().await;
            Ok(())
        })
    });
    outcome.unwrap();
}

fn nothing_that_is_written_can_be_changed(bed: &Bed) {
    run(async { unchangeable(&bed.store().await).await });
}

async fn unchangeable(store: &Store) {
    let first = conversion(100);
    insert(store, &first).await;
    let entries = entries(&first, Kind::Taken).unwrap();
    try_write(store, &first.id, "taken", &entries)
        .await
        .unwrap();
    let before = store.books().await.unwrap();
    let own = store.dialect(
        "INSERT OR REPLACE INTO journal_entries SELECT id, transaction_id, account, currency, -amount FROM journal_entries",
        "TRUNCATE journal_entries CASCADE",
    );
    for sql in [
        own,
        "UPDATE journal_entries SET amount = amount * 2",
        "UPDATE journal_entries SET account = account",
        "DELETE FROM journal_entries",
        "UPDATE journal_transactions SET kind = 'issued'",
        "DELETE FROM journal_transactions",
        "UPDATE accounts SET currency = 'MVP'",
        "DELETE FROM accounts",
        "INSERT INTO journal_entries (transaction_id, account, currency, amount) SELECT id, 'airline:miles_taken', 'MILES:airline', 5 FROM journal_transactions",
        "INSERT INTO journal_entries (transaction_id, account, currency, amount) VALUES ('unsealed', 'airline:miles_taken', 'MILES:airline', 5)",
        "DELETE FROM conversions",
        "UPDATE conversions SET miles = 1, micro_points = micro_points_per_mile",
        "UPDATE conversions SET receiver = '0x0'",
        "UPDATE conversions SET state = 'completed'",
        "UPDATE conversions SET state = 'paid'",
        "DELETE FROM conversion_events",
        "UPDATE conversion_events SET note = 'x'",
    ] {
        assert!(try_sql(store, sql).await.is_err(), "{sql}");
    }
    assert_eq!(store.books().await.unwrap(), before);
}

/// The picture in `conversion::state` and the table in the database are one.
fn every_state_is_known_to_the_database_and_nothing_leaves_the_end(bed: &Bed) {
    run(async { states(&bed.store().await).await });
}

async fn states(store: &Store) {
    let rows = sqlx::query("SELECT state, settled FROM states")
        .fetch_all(store.read())
        .await
        .unwrap();
    assert_eq!(rows.len(), State::ALL.len());
    for row in rows {
        let state = State::parse(&row.get::<String, _>("state")).unwrap();
        assert_eq!(
            row.get::<i64, _>("settled") == 1,
            state.is_settled(),
            "{state}"
        );
    }
    let rows = sqlx::query("SELECT from_state, to_state FROM transitions")
        .fetch_all(store.read())
        .await
        .unwrap();
    for row in rows {
        let state = |column: &str| State::parse(&row.get::<String, _>(column)).unwrap();
        let (from, to) = (state("from_state"), state("to_state"));
        // Only a dispute goes on from an end, and operators lead on from where they are needed.
        let disputed = (from, to) == (State::Completed, State::Disputed);
        let decided = from == State::Attention;
        assert!(!from.is_settled() || disputed || decided, "{from} {to}");
    }
}

fn a_conversion_begins_before_its_debit_or_with_the_intent_of_it(bed: &Bed) {
    run(async {
        let store = bed.store().await;
        for state in State::ALL {
            for debit_sent_at in [None, Some(1)] {
                let new = Conversion {
                    state,
                    debit_sent_at,
                    ..conversion(100)
                };
                let begins = match state {
                    State::Created => true,
                    State::Debiting => debit_sent_at.is_some(),
                    _ => false,
                };
                let stored = try_insert(&store, &new).await;
                assert_eq!(
                    stored.is_ok(),
                    begins,
                    "{state} {debit_sent_at:?}: {stored:?}"
                );
            }
        }
    });
}

/// Half of many writers fail or are dropped half way; the others lose nothing by it.
fn writers_that_come_at_once_share_commits_and_not_their_failures(bed: &Bed) {
    run(async {
        let store = Arc::new(bed.store().await);
        let mut writers = JoinSet::new();
        for at in 0..200u64 {
            let store = Arc::clone(&store);
            writers.spawn(async move {
                let conversion = conversion(at + 1);
                match at % 4 {
                    // Dropped before its commit.
                    0 => {
                        let mut write = store.write().await.unwrap();
                        sqlx::query("INSERT INTO meta (name, value) VALUES ($1, 'x')")
                            .bind(conversion.id)
                            .execute(&mut *write)
                            .await
                            .unwrap();
                        0
                    }
                    // Refused by the database.
                    1 => {
                        let uneven = Entry {
                            account: "a".to_owned(),
                            currency: "c".to_owned(),
                            amount: 5,
                        };
                        let refused = try_write(&store, &conversion.id, "taken", &[uneven]).await;
                        assert!(refused.is_err());
                        0
                    }
                    _ => {
                        insert(&store, &conversion).await;
                        let entries = entries(&conversion, Kind::Taken).unwrap();
                        try_write(&store, &conversion.id, "taken", &entries)
                            .await
                            .unwrap();
                        conversion.miles
                    }
                }
            });
        }
        let mut taken = 0;
        while let Some(miles) = writers.join_next().await {
            taken += miles.unwrap();
        }
        let books = store.books().await.unwrap();
        assert!(books.balanced);
        assert_eq!(books.programmes[0].miles_taken, taken);
        let dropped: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM meta WHERE value = 'x'")
            .fetch_one(store.read())
            .await
            .unwrap();
        assert_eq!(dropped, 0);
    });
}

/// Many first postings to the same new accounts at once: each is stored.
fn accounts_are_opened_by_whoever_comes_first(bed: &Bed) {
    run(async {
        let store = Arc::new(bed.store().await);
        for account in 0..60 {
            let mut writers = JoinSet::new();
            for writer in 0..8 {
                let store = Arc::clone(&store);
                writers.spawn(async move {
                    let entry = |side: &str, amount| Entry {
                        account: format!("{account}:{side}"),
                        currency: format!("MILES:{account}"),
                        amount,
                    };
                    let entries = [entry("taken", 7), entry("to_convert", -7)];
                    let subject = format!("{account}/{writer}");
                    try_write(&store, &subject, "taken", &entries).await
                });
            }
            while let Some(written) = writers.join_next().await {
                written.unwrap().unwrap();
            }
        }
        let many: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM accounts")
            .fetch_one(store.read())
            .await
            .unwrap();
        assert_eq!(many, 120);
        assert!(store.books().await.unwrap().balanced);
    });
}
