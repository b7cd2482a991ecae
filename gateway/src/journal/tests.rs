//! Whatever is tried, the stored journal balances and does not change.

#![allow(clippy::unwrap_used)]

use super::*;
use crate::clock::now_ms;
use crate::conversion::state::State;
use crate::store::conversions;
use crate::store::quotes::{self, Quote};
use crate::units::{MicroPoints, Rate};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use tempfile::TempDir;

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
        due_at: now,
        created_at: now,
        updated_at: now,
        id,
    }
}

async fn store() -> (TempDir, Store) {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(&directory.path().join("gateway.sqlite"))
        .await
        .unwrap();
    (directory, store)
}

async fn insert(store: &Store, conversion: &Conversion) {
    let quote = Quote {
        id: conversion.quote_id.clone(),
        partner: conversion.partner.clone(),
        programme: conversion.programme.clone(),
        member_id: conversion.member_id.clone(),
        miles: conversion.miles,
        rate: conversion.rate,
        points: conversion.points,
        created_at: 0,
        expires_at: 1,
        used_by: None,
    };
    let mut transaction = store.write().await.unwrap();
    quotes::insert(&mut transaction, &quote).await.unwrap();
    conversions::insert(&mut transaction, conversion)
        .await
        .unwrap();
    transaction.commit().await.unwrap();
}

async fn try_write(
    store: &Store,
    id: &str,
    kind: &str,
    entries: &[Entry],
) -> Result<(), sqlx::Error> {
    let mut transaction = store.write().await?;
    write(&mut transaction, id, kind, entries, 0).await?;
    transaction.commit().await
}

async fn try_sql(store: &Store, sql: &'static str) -> Result<(), sqlx::Error> {
    let mut transaction = store.write().await?;
    sqlx::query(sql).execute(&mut *transaction).await?;
    transaction.commit().await
}

#[test]
fn entries_are_stored_only_if_every_currency_balances() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (_directory, store) = runtime.block_on(store());
    let entry = (0..3u8, 0..2u8, -5i64..=5).prop_filter("not zero", |(_, _, amount)| *amount != 0);
    let mut runner = TestRunner::new(Config::with_cases(300));
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

#[test]
fn any_course_of_conversions_adds_up() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let mut runner = TestRunner::new(Config::with_cases(12));
    // For each conversion: its miles, and how far it goes (taken, issued, given back).
    let course = prop::collection::vec((1u64..1_000_000, 0..3u8), 0..12);
    let outcome = runner.run(&course, |course| {
        runtime.block_on(async {
            let (_directory, store) = store().await;
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
            Ok(())
        })
    });
    outcome.unwrap();
}

#[tokio::test]
async fn nothing_that_is_written_can_be_changed() {
    let (_directory, store) = store().await;
    let first = conversion(100);
    insert(&store, &first).await;
    let entries = entries(&first, Kind::Taken).unwrap();
    try_write(&store, &first.id, "taken", &entries)
        .await
        .unwrap();
    let before = store.books().await.unwrap();
    for sql in [
        "UPDATE journal_entries SET amount = amount * 2",
        "UPDATE journal_entries SET account = account",
        "DELETE FROM journal_entries",
        "UPDATE journal_transactions SET kind = 'issued'",
        "DELETE FROM journal_transactions",
        "UPDATE accounts SET currency = 'MVP'",
        "DELETE FROM accounts",
        "INSERT OR REPLACE INTO journal_entries SELECT id, transaction_id, account, currency, -amount FROM journal_entries",
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
        assert!(try_sql(&store, sql).await.is_err(), "{sql}");
    }
    assert_eq!(store.books().await.unwrap(), before);
}

/// The picture in `conversion::state` and the table in the database are one.
#[tokio::test]
async fn every_state_is_known_to_the_database_and_nothing_leaves_the_end() {
    let (_directory, store) = store().await;
    let rows = sqlx::query("SELECT state, settled FROM states")
        .fetch_all(store.read())
        .await
        .unwrap();
    assert_eq!(rows.len(), State::ALL.len());
    for row in rows {
        let state = State::parse(row.get("state")).unwrap();
        assert_eq!(row.get::<bool, _>("settled"), state.is_settled(), "{state}");
    }
    let rows = sqlx::query("SELECT from_state FROM transitions")
        .fetch_all(store.read())
        .await
        .unwrap();
    for row in rows {
        assert!(!State::parse(row.get("from_state")).unwrap().is_settled());
    }
}
