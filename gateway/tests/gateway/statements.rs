//! Statements on SQLite: asked on the thread that runs, they are answered as by sqlx's own connection, which
//! has a thread for them.

use futures::TryStreamExt as _;
use mileverse_gateway::store::{Location, Purpose, Store};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use sqlx::any::{AnyQueryResult, AnyRow, install_default_drivers};
use sqlx::error::ErrorKind;
use sqlx::{
    Any, AnyConnection, AssertSqlSafe, Column as _, Connection as _, Either, Executor, Row as _,
    ValueRef,
};

const STEPS: usize = 400;
const TABLES: &str = "PRAGMA foreign_keys = ON;
    CREATE TABLE parents (id INTEGER PRIMARY KEY) STRICT;
    INSERT INTO parents VALUES (1), (2), (3);
    CREATE TABLE things (
        id     INTEGER PRIMARY KEY,
        name   TEXT NOT NULL UNIQUE,
        amount INTEGER CHECK (amount <> 7),
        weight REAL,
        bytes  BLOB,
        parent INTEGER REFERENCES parents (id)
    ) STRICT;";

#[derive(Clone, Debug)]
enum Value {
    Null,
    Integer(i64),
    Real(f64),
    Text(String),
    Bytes(Vec<u8>),
}

/// What a statement brought, in words; how many rows it changed only if it may change any.
fn told(found: Result<Vec<Either<AnyQueryResult, AnyRow>>, sqlx::Error>, changes: bool) -> String {
    let found = match found {
        Ok(found) => found,
        Err(sqlx::Error::Database(error)) => {
            let kind = match error.kind() {
                ErrorKind::UniqueViolation => "unique",
                ErrorKind::ForeignKeyViolation => "foreign key",
                ErrorKind::NotNullViolation => "not null",
                ErrorKind::CheckViolation => "check",
                _ => "other",
            };
            return format!("{kind}: {} {:?}", error.message(), error.code());
        }
        Err(other) => panic!("{other}"),
    };
    let mut words = Vec::new();
    for one in found {
        match one {
            Either::Left(done) if changes => {
                words.push(format!("{} changed", done.rows_affected()))
            }
            Either::Left(_) => words.push("done".to_owned()),
            Either::Right(row) => {
                for column in row.columns() {
                    let value = row.try_get_raw(column.ordinal()).unwrap();
                    let value = match value.is_null() {
                        true => "NULL".to_owned(),
                        false => format!("{:?}", ValueRef::to_owned(&value)),
                    };
                    words.push(format!("{}={value}", column.name()));
                }
            }
        }
    }
    words.join(" ")
}

/// All that a statement brings, or its first row only.
async fn ask<'c>(
    connection: impl Executor<'c, Database = Any>,
    text: &'static str,
    values: &[Value],
    first: bool,
) -> String {
    let mut query = sqlx::query(text);
    for value in values {
        query = match value.clone() {
            Value::Null => query.bind(Option::<i64>::None),
            Value::Integer(value) => query.bind(value),
            Value::Real(value) => query.bind(value),
            Value::Text(value) => query.bind(value),
            Value::Bytes(value) => query.bind(value),
        };
    }
    let changes = !text.starts_with("SELECT");
    if first {
        let found = query.fetch_optional(connection).await;
        return told(
            found.map(|row| row.into_iter().map(Either::Right).collect()),
            changes,
        );
    }
    #[expect(deprecated, reason = "it shows how many rows each statement changed")]
    let found = query.fetch_many(connection);
    told(found.try_collect().await, changes)
}

fn value(random: &mut StdRng) -> Value {
    match random.random_range(0..6) {
        0 => Value::Null,
        1 => Value::Integer([0, 7, -1, i64::MIN, i64::MAX][random.random_range(0..5)]),
        2 => Value::Integer(random.random_range(-5..5)),
        3 => Value::Real(f64::from(random.random_range(-1000..1000)) / 8.0),
        4 => Value::Text(
            ["", "a", "b", "naïve 마일", "a\0b", "'; --"][random.random_range(0..6)].to_owned(),
        ),
        _ => Value::Bytes(
            (0..random.random_range(0..5))
                .map(|_| random.random())
                .collect(),
        ),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn are_answered_as_by_sqlx() {
    // Each with its number of values.
    const STATEMENTS: [(&str, usize); 14] = [
        (
            "INSERT INTO things (name, amount, weight, bytes, parent) VALUES ($1, $2, $3, $4, $5)",
            5,
        ),
        (
            "INSERT INTO things (name, amount) VALUES ($2, $1) ON CONFLICT (name) DO NOTHING",
            2,
        ),
        (
            "INSERT INTO things (name, amount) VALUES ($1, $2)
          ON CONFLICT (name) DO UPDATE SET amount = $2 RETURNING id, name AS called, amount",
            2,
        ),
        ("UPDATE things SET weight = weight + 1 WHERE name = $1", 1),
        (
            "UPDATE things SET amount = $1 WHERE amount = $2 RETURNING id, amount",
            2,
        ),
        ("DELETE FROM things WHERE name = $1", 1),
        (
            "DELETE FROM things WHERE amount = $1 OR ($1 IS NULL AND amount IS NULL)",
            1,
        ),
        ("SELECT * FROM things ORDER BY id", 0),
        ("SELECT id, amount, bytes FROM things WHERE name = $1", 1),
        ("SELECT $2 AS second, $1 AS first, $1 AS again", 2),
        (
            "SELECT COUNT(*) AS many, SUM(weight) AS heavy FROM things",
            0,
        ),
        (
            "SELECT name FROM things WHERE amount IS NOT NULL ORDER BY name DESC LIMIT $1",
            1,
        ),
        (
            "SELECT p.id, t.name FROM parents p LEFT JOIN things t ON t.parent = p.id ORDER BY p.id, t.id",
            0,
        ),
        ("UPDATE parents SET id = id WHERE id = $1", 1),
    ];
    install_default_drivers();
    let seed = std::env::var("SEED")
        .ok()
        .and_then(|seed| seed.parse().ok());
    let seed: u64 = seed.unwrap_or_else(|| rand::rng().random());
    eprintln!("SEED={seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let folder = tempfile::tempdir().unwrap();
    let location = Location::Sqlite(folder.path().join("ours"));
    let ours = Store::open(&location, Purpose::Serve).await.unwrap();
    let theirs = format!(
        "sqlite://{}?mode=rwc",
        folder.path().join("theirs").display()
    );
    let mut theirs = AnyConnection::connect(&theirs).await.unwrap();
    let mut write = ours.write().await.unwrap();
    (&mut *write).execute(TABLES).await.unwrap();
    write.commit().await.unwrap();
    theirs.execute(TABLES).await.unwrap();
    for step in 0..STEPS {
        let (text, count) = STATEMENTS[random.random_range(0..STATEMENTS.len())];
        let mut values: Vec<_> = (0..count).map(|_| value(&mut random)).collect();
        if text.contains("name") && random.random_bool(0.7) && count > 0 {
            values[0] = Value::Text(["a", "b", "c", "d"][random.random_range(0..4)].to_owned());
        }
        let first = random.random_bool(0.3);
        let expected = ask(&mut theirs, text, &values, first).await;
        let mut write = ours.write().await.unwrap();
        let found = ask(&mut *write, text, &values, first).await;
        write.commit().await.unwrap();
        assert_eq!(
            found, expected,
            "step {step}: {text} with {values:?} (SEED={seed})"
        );
        if text.starts_with("SELECT") {
            let read = ask(ours.read(), text, &values, first).await;
            assert_eq!(
                read, expected,
                "step {step}, read: {text} with {values:?} (SEED={seed})"
            );
        }
    }
    ours.close().await;
    theirs.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn are_one_each_and_have_all_their_values() {
    let folder = tempfile::tempdir().unwrap();
    let location = Location::Sqlite(folder.path().join("db"));
    let store = Store::open(&location, Purpose::Serve).await.unwrap();
    let mut write = store.write().await.unwrap();
    (&mut *write).execute(TABLES).await.unwrap();
    // A second statement would be left out silently.
    let two = sqlx::query("DELETE FROM things WHERE id = $1; DELETE FROM parents").bind(1);
    assert!(two.execute(&mut *write).await.is_err());
    let short = sqlx::query("DELETE FROM parents WHERE id = $1 OR id = $2").bind(1);
    assert!(short.execute(&mut *write).await.is_err());
    let wrong = sqlx::query(AssertSqlSafe("DELETE FROM nothing".to_owned()));
    assert!(wrong.execute(&mut *write).await.is_err());
    let many: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM parents")
        .fetch_one(&mut *write)
        .await
        .unwrap();
    assert_eq!(many, 3);
    // What is dropped leaves nothing, what came before it in its batch stays.
    write.commit().await.unwrap();
    let mut write = store.write().await.unwrap();
    sqlx::query("INSERT INTO parents VALUES (4)")
        .execute(&mut *write)
        .await
        .unwrap();
    write.commit_lazily().await.unwrap();
    let mut write = store.write().await.unwrap();
    sqlx::query("INSERT INTO parents VALUES (5)")
        .execute(&mut *write)
        .await
        .unwrap();
    drop(write);
    let write = store.write().await.unwrap();
    write.commit().await.unwrap();
    let last: i64 = sqlx::query_scalar("SELECT MAX(id) FROM parents")
        .fetch_one(store.read())
        .await
        .unwrap();
    assert_eq!(last, 4);
    store.close().await;
    assert!(sqlx::query("SELECT 1").execute(store.read()).await.is_err());
    assert!(store.write().await.is_err());
}
