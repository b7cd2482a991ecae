//! Hashed-timelock swaps, the secrets that were shown, and how far each chain was searched.
//!
//! A swap has a *number* here, by which signed transactions name it. It is never used again, also not for
//! the same swap found a second time.
//!
//! Limits: what is done is dropped after [`KEPT_MS`], a secret after [`SECRET_KEPT_MS`] if no open swap
//! has its lock: no swap that was opened before it was shown can be open for longer. What was dropped
//! still counts ([`SwapCounts`]).

use super::{RouteStore, from_sql, hash_from_sql, limit_to_sql, to_sql};
use crate::{Error, chain::End};
use mileverse_primitives::{Address, B256, U256};
use mileverse_wallet::timelock::Terms;
use serde::Serialize;
use sqlx::{Row as _, any::AnyRow};
use std::collections::HashSet;

/// How long a swap that is done is kept, milliseconds: 30 days.
pub const KEPT_MS: u64 = 30 * 24 * 3_600 * 1_000;
/// How long a secret is kept that no open swap waits for, milliseconds: 31 days.
pub const SECRET_KEPT_MS: u64 = 31 * 24 * 3_600 * 1_000;
/// Names that one question holds.
const TOGETHER: usize = 64;

/// How far a chain was searched.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Searched {
    /// First block that was not read when it was final.
    pub next: u64,
    /// First block that was not read once more in this round.
    pub sweep: u64,
}

/// A swap that was open when it was found.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct NewSwap {
    /// Its name on its chain.
    pub id: B256,
    /// What was agreed on.
    pub terms: Terms,
    /// The block that tells of it.
    pub block: u64,
}

/// What a search brought.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Found {
    /// Swaps.
    pub opened: Vec<NewSwap>,
    /// Secrets, each with its lock, which it was checked against.
    pub secrets: Vec<(B256, B256)>,
    /// Names of swaps that are said to have ended: their state is asked soon.
    pub ended: Vec<B256>,
}

/// How a swap ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum SwapEnd {
    /// The claimer was paid.
    Claimed,
    /// The opener was paid back.
    Refunded,
}

impl SwapEnd {
    /// As the database and the metrics have it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Claimed => "claimed",
            Self::Refunded => "refunded",
        }
    }
}

/// A swap that is not done.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct SwapRow {
    /// What the relayer calls it.
    pub number: u64,
    /// Its name on its chain.
    pub id: B256,
    /// What was agreed on.
    pub terms: Terms,
    /// The block that told of it.
    pub block: u64,
    /// How often an attempt to end it was refused.
    pub attempts: u32,
    /// When it was found, milliseconds since 1970.
    pub found_ms: u64,
    /// Its secret, if it was shown.
    pub secret: Option<B256>,
}

/// How many swaps a chain has, by what they wait for.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SwapCounts {
    /// Open.
    pub open: u64,
    /// Of those: in time, and the secret was not shown.
    pub waiting: u64,
    /// Of those: to be claimed or refunded now.
    pub due: u64,
    /// Of those: an attempt was refused; tried again later.
    pub set_aside: u64,
    /// Ended in a block that is not final yet.
    pub settling: u64,
    /// Claimed for ever.
    pub claimed: u64,
    /// Refunded for ever.
    pub refunded: u64,
}

/// A swap whose claim or refund was refused and is tried again.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SwapAside {
    /// Its name on its chain.
    pub id: B256,
    /// How often it was refused.
    pub attempts: u64,
    /// When it is tried again, milliseconds since 1970.
    pub not_before_ms: u64,
    /// Why it was refused.
    pub reason: String,
}

/// `s` is the swap, `k` its secret.
const ROW: &str = "s.number, s.id, s.token, s.amount, s.opener, s.claimer, s.lock, s.deadline, s.block, \
                   s.attempts, s.found_ms, k.secret";
const FROM: &str = "FROM swap s LEFT JOIN swap_secret k ON k.route = s.route AND k.lock = s.lock";

/// `($2, $3, …)` for so many names after `before` other values.
fn places(before: usize, names: usize) -> String {
    let places = (1..=names).map(|at| format!("${}", before.saturating_add(at)));
    format!("({})", places.collect::<Vec<_>>().join(", "))
}

impl RouteStore {
    /// How far a chain was searched; `first` if it never was.
    pub async fn searched(&self, end: End, first: Searched) -> Result<Searched, Error> {
        let row =
            sqlx::query("SELECT next, sweep FROM swap_position WHERE route = $1 AND chain = $2")
                .bind(self.id)
                .bind(end.word())
                .fetch_optional(self.pool())
                .await?;
        let Some(row) = row else { return Ok(first) };
        Ok(Searched {
            next: from_sql(row.try_get(0)?)?,
            sweep: from_sql(row.try_get(1)?)?,
        })
    }

    /// Stores what was found and how far it was searched, all or nothing. Answers how many swaps are new.
    pub async fn note_found(
        &self,
        end: End,
        searched: Searched,
        found: &Found,
        now_ms: u64,
    ) -> Result<usize, Error> {
        let mut news = 0usize;
        let mut transaction = self.pool().begin().await?;
        for swap in &found.opened {
            let stored = sqlx::query(
                "INSERT INTO swap (route, chain, id, token, amount, opener, claimer, lock, deadline,
                     block, found_ms)
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
                 ON CONFLICT (route, chain, id) DO NOTHING",
            )
            .bind(self.id)
            .bind(end.word())
            .bind(swap.id.to_vec())
            .bind(swap.terms.token.to_vec())
            .bind(swap.terms.amount.to_be_bytes_vec())
            .bind(swap.terms.opener.to_vec())
            .bind(swap.terms.claimer.to_vec())
            .bind(swap.terms.lock.to_vec())
            .bind(to_sql(swap.terms.deadline)?)
            .bind(to_sql(swap.block)?)
            .bind(to_sql(now_ms)?)
            .execute(&mut *transaction)
            .await?;
            news = news.saturating_add(usize::from(stored.rows_affected() > 0));
        }
        for (lock, secret) in &found.secrets {
            sqlx::query(
                "INSERT INTO swap_secret (route, lock, secret, found_ms) VALUES ($1, $2, $3, $4)
                 ON CONFLICT (route, lock) DO NOTHING",
            )
            .bind(self.id)
            .bind(lock.to_vec())
            .bind(secret.to_vec())
            .bind(to_sql(now_ms)?)
            .execute(&mut *transaction)
            .await?;
        }
        for id in &found.ended {
            sqlx::query(
                "UPDATE swap SET look_ms = 0
                 WHERE route = $1 AND chain = $2 AND id = $3 AND state = 'open'",
            )
            .bind(self.id)
            .bind(end.word())
            .bind(id.to_vec())
            .execute(&mut *transaction)
            .await?;
        }
        sqlx::query(
            "INSERT INTO swap_position (route, chain, next, sweep) VALUES ($1, $2, $3, $4)
             ON CONFLICT (route, chain) DO UPDATE SET next = excluded.next, sweep = excluded.sweep",
        )
        .bind(self.id)
        .bind(end.word())
        .bind(to_sql(searched.next)?)
        .bind(to_sql(searched.sweep)?)
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok(news)
    }

    /// Blocks from this one on are read again: an answer left something out.
    pub async fn search_again(&self, end: End, from: u64) -> Result<(), Error> {
        sqlx::query(
            "UPDATE swap_position SET next = $1 WHERE route = $2 AND chain = $3 AND next > $1",
        )
        .bind(to_sql(from)?)
        .bind(self.id)
        .bind(end.word())
        .execute(self.pool())
        .await?;
        Ok(())
    }

    /// Those of these swaps that are known, done ones too.
    pub async fn known_swaps(&self, end: End, ids: &[B256]) -> Result<HashSet<B256>, Error> {
        let mut known = HashSet::new();
        for part in ids.chunks(TOGETHER) {
            let query = format!(
                "SELECT id FROM swap WHERE route = $1 AND chain = $2 AND id IN {}",
                places(2, part.len())
            );
            let mut query = sqlx::query(sqlx::AssertSqlSafe(query))
                .bind(self.id)
                .bind(end.word());
            for id in part {
                query = query.bind(id.to_vec());
            }
            for row in query.fetch_all(self.pool()).await? {
                known.insert(hash_from_sql(row.try_get(0)?)?);
            }
        }
        Ok(known)
    }

    /// Those of these locks that an open swap on either chain has.
    pub async fn wanted_locks(&self, locks: &[B256]) -> Result<HashSet<B256>, Error> {
        let mut wanted = HashSet::new();
        for part in locks.chunks(TOGETHER) {
            let query = format!(
                "SELECT DISTINCT lock FROM swap WHERE route = $1 AND state = 'open' AND state != 'done'
                     AND lock IN {}",
                places(1, part.len())
            );
            let mut query = sqlx::query(sqlx::AssertSqlSafe(query)).bind(self.id);
            for lock in part {
                query = query.bind(lock.to_vec());
            }
            for row in query.fetch_all(self.pool()).await? {
                wanted.insert(hash_from_sql(row.try_get(0)?)?);
            }
        }
        Ok(wanted)
    }

    /// Whether a swap other than this one is open under a lock.
    pub async fn others_wait(&self, lock: B256, number: u64) -> Result<bool, Error> {
        let row = sqlx::query(
            "SELECT number FROM swap WHERE route = $1 AND lock = $2 AND number != $3
                 AND state = 'open' AND state != 'done' LIMIT 1",
        )
        .bind(self.id)
        .bind(lock.to_vec())
        .bind(to_sql(number)?)
        .fetch_optional(self.pool())
        .await?;
        Ok(row.is_some())
    }

    /// Open swaps whose secret was shown and that can be claimed at this second or later, if their time
    /// has come. The nearest deadline first.
    pub async fn claimable(
        &self,
        end: End,
        second: u64,
        now_ms: u64,
        limit: usize,
    ) -> Result<Vec<SwapRow>, Error> {
        self.due(
            end,
            "s.deadline >= $4 AND k.secret IS NOT NULL",
            second,
            now_ms,
            limit,
        )
        .await
    }

    /// Open swaps whose deadline is before this second, if their time has come. The earliest first.
    pub async fn refundable(
        &self,
        end: End,
        second: u64,
        now_ms: u64,
        limit: usize,
    ) -> Result<Vec<SwapRow>, Error> {
        self.due(end, "s.deadline < $4", second, now_ms, limit)
            .await
    }

    async fn due(
        &self,
        end: End,
        which: &'static str,
        second: u64,
        now_ms: u64,
        limit: usize,
    ) -> Result<Vec<SwapRow>, Error> {
        let query = format!(
            "SELECT {ROW} {FROM}
             WHERE s.route = $1 AND s.chain = $2 AND s.state = 'open' AND s.state != 'done'
                 AND s.not_before_ms <= $3 AND {which}
             ORDER BY s.deadline, s.number LIMIT $5"
        );
        let rows = sqlx::query(sqlx::AssertSqlSafe(query))
            .bind(self.id)
            .bind(end.word())
            .bind(to_sql(now_ms)?)
            .bind(i64::try_from(second).unwrap_or(i64::MAX))
            .bind(limit_to_sql(limit))
            .fetch_all(self.pool())
            .await?;
        rows.iter().map(swap_row).collect()
    }

    /// Open swaps whose state is to be asked now, whatever they wait for.
    pub async fn swaps_to_look_at(
        &self,
        end: End,
        now_ms: u64,
        limit: usize,
    ) -> Result<Vec<SwapRow>, Error> {
        let query = format!(
            "SELECT {ROW} {FROM}
             WHERE s.route = $1 AND s.chain = $2 AND s.state = 'open' AND s.state != 'done'
                 AND s.look_ms <= $3
             ORDER BY s.look_ms, s.number LIMIT $4"
        );
        let rows = sqlx::query(sqlx::AssertSqlSafe(query))
            .bind(self.id)
            .bind(end.word())
            .bind(to_sql(now_ms)?)
            .bind(limit_to_sql(limit))
            .fetch_all(self.pool())
            .await?;
        rows.iter().map(swap_row).collect()
    }

    /// When the state of these is asked next.
    pub async fn look_at_swaps(&self, numbers: &[u64], at_ms: u64) -> Result<(), Error> {
        let mut transaction = self.pool().begin().await?;
        for number in numbers {
            sqlx::query("UPDATE swap SET look_ms = $1 WHERE route = $2 AND number = $3")
                .bind(to_sql(at_ms)?)
                .bind(self.id)
                .bind(to_sql(*number)?)
                .execute(&mut *transaction)
                .await?;
        }
        transaction.commit().await?;
        Ok(())
    }

    /// The state of a swap is asked next at `look_ms`, and nothing is tried before `not_before_ms`.
    pub async fn leave_swap(
        &self,
        number: u64,
        look_ms: u64,
        not_before_ms: u64,
    ) -> Result<(), Error> {
        sqlx::query(
            "UPDATE swap SET look_ms = $1, not_before_ms = $2
             WHERE route = $3 AND number = $4 AND state = 'open'",
        )
        .bind(to_sql(look_ms)?)
        .bind(to_sql(not_before_ms)?)
        .bind(self.id)
        .bind(to_sql(number)?)
        .execute(self.pool())
        .await?;
        Ok(())
    }

    /// Puts a swap aside whose claim or refund was refused. Its state is asked at the next look.
    pub async fn set_swap_aside(
        &self,
        number: u64,
        not_before_ms: u64,
        reason: &str,
    ) -> Result<(), Error> {
        sqlx::query(
            "UPDATE swap SET attempts = attempts + 1, not_before_ms = $1, reason = $2, look_ms = 0
             WHERE route = $3 AND number = $4 AND state = 'open'",
        )
        .bind(to_sql(not_before_ms)?)
        .bind(reason)
        .bind(self.id)
        .bind(to_sql(number)?)
        .execute(self.pool())
        .await?;
        Ok(())
    }

    /// A swap, if it is open.
    pub async fn open_swap(&self, number: u64) -> Result<Option<SwapRow>, Error> {
        let query = format!(
            "SELECT {ROW} {FROM} WHERE s.route = $1 AND s.number = $2 AND s.state = 'open'"
        );
        let row = sqlx::query(sqlx::AssertSqlSafe(query))
            .bind(self.id)
            .bind(to_sql(number)?)
            .fetch_optional(self.pool())
            .await?;
        row.as_ref().map(swap_row).transpose()
    }

    /// Swaps ended, in a block no younger than this one.
    pub async fn note_settling(
        &self,
        ended: &[(u64, SwapEnd)],
        block: u64,
        now_ms: u64,
    ) -> Result<(), Error> {
        let mut transaction = self.pool().begin().await?;
        for (number, outcome) in ended {
            sqlx::query(
                "UPDATE swap SET state = 'settling', outcome = $1, reason = NULL, settled_block = $2,
                     settled_ms = CASE settled_ms WHEN 0 THEN $3 ELSE settled_ms END
                 WHERE route = $4 AND number = $5 AND state != 'done'",
            )
            .bind(outcome.word())
            .bind(to_sql(block)?)
            .bind(to_sql(now_ms)?)
            .bind(self.id)
            .bind(to_sql(*number)?)
            .execute(&mut *transaction)
            .await?;
        }
        transaction.commit().await?;
        Ok(())
    }

    /// Swaps that ended no later than in this block, and not for ever as far as is known.
    pub async fn settling(
        &self,
        end: End,
        block: u64,
        limit: usize,
    ) -> Result<Vec<SwapRow>, Error> {
        let query = format!(
            "SELECT {ROW} {FROM}
             WHERE s.route = $1 AND s.chain = $2 AND s.state = 'settling' AND s.state != 'done'
                 AND s.settled_block <= $3
             ORDER BY s.number LIMIT $4"
        );
        let rows = sqlx::query(sqlx::AssertSqlSafe(query))
            .bind(self.id)
            .bind(end.word())
            .bind(i64::try_from(block).unwrap_or(i64::MAX))
            .bind(limit_to_sql(limit))
            .fetch_all(self.pool())
            .await?;
        rows.iter().map(swap_row).collect()
    }

    /// What ended a swap is in no block any more: it is open again, and looked at at once.
    pub async fn swap_taken_back(&self, number: u64) -> Result<(), Error> {
        sqlx::query(
            "UPDATE swap SET state = 'open', outcome = NULL, settled_block = 0, settled_ms = 0,
                 look_ms = 0, not_before_ms = 0
             WHERE route = $1 AND number = $2 AND state = 'settling'",
        )
        .bind(self.id)
        .bind(to_sql(number)?)
        .execute(self.pool())
        .await?;
        Ok(())
    }

    /// Swaps ended for ever. Answers how each of those ended to which this is news.
    pub async fn note_ended(
        &self,
        end: End,
        ended: &[(u64, SwapEnd)],
        now_ms: u64,
    ) -> Result<Vec<SwapEnd>, Error> {
        let mut news = Vec::with_capacity(ended.len());
        let mut transaction = self.pool().begin().await?;
        for (number, outcome) in ended {
            let changed = sqlx::query(
                "UPDATE swap SET state = 'done', outcome = $1, reason = NULL, done_ms = $2,
                     settled_ms = CASE settled_ms WHEN 0 THEN $2 ELSE settled_ms END
                 WHERE route = $3 AND chain = $4 AND number = $5 AND state != 'done'",
            )
            .bind(outcome.word())
            .bind(to_sql(now_ms)?)
            .bind(self.id)
            .bind(end.word())
            .bind(to_sql(*number)?)
            .execute(&mut *transaction)
            .await?;
            if changed.rows_affected() > 0 {
                news.push(*outcome);
            }
        }
        let refunded = news.iter().filter(|one| **one == SwapEnd::Refunded).count();
        let claimed = news.len().saturating_sub(refunded);
        sqlx::query(
            "INSERT INTO swap_tally (route, chain, claimed, refunded) VALUES ($1, $2, $3, $4)
             ON CONFLICT (route, chain) DO UPDATE SET
                 claimed = swap_tally.claimed + excluded.claimed,
                 refunded = swap_tally.refunded + excluded.refunded",
        )
        .bind(self.id)
        .bind(end.word())
        .bind(limit_to_sql(claimed))
        .bind(limit_to_sql(refunded))
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok(news)
    }

    /// Forgets a swap that no block holds.
    pub async fn forget_swap(&self, number: u64) -> Result<(), Error> {
        sqlx::query("DELETE FROM swap WHERE route = $1 AND number = $2 AND state != 'done'")
            .bind(self.id)
            .bind(to_sql(number)?)
            .execute(self.pool())
            .await?;
        Ok(())
    }

    /// Drops what is kept long enough.
    pub async fn prune_swaps(&self, now_ms: u64) -> Result<(), Error> {
        sqlx::query("DELETE FROM swap WHERE route = $1 AND state = 'done' AND done_ms < $2")
            .bind(self.id)
            .bind(to_sql(now_ms.saturating_sub(KEPT_MS))?)
            .execute(self.pool())
            .await?;
        sqlx::query(
            "DELETE FROM swap_secret WHERE route = $1 AND found_ms < $2 AND NOT EXISTS
                 (SELECT 1 FROM swap s WHERE s.route = swap_secret.route
                      AND s.lock = swap_secret.lock AND s.state != 'done')",
        )
        .bind(self.id)
        .bind(to_sql(now_ms.saturating_sub(SECRET_KEPT_MS))?)
        .execute(self.pool())
        .await?;
        Ok(())
    }

    /// Swaps by what they wait for. Whether a deadline has passed is told by the relayer's clock here.
    pub async fn swap_counts(&self, end: End, now_ms: u64) -> Result<SwapCounts, Error> {
        let query = format!(
            "SELECT COUNT(CASE s.state WHEN 'open' THEN 1 END),
                 COUNT(CASE WHEN s.state = 'open' AND s.deadline >= $3 AND k.secret IS NULL THEN 1 END),
                 COUNT(CASE WHEN s.state = 'open' AND s.reason IS NOT NULL THEN 1 END),
                 COUNT(CASE s.state WHEN 'settling' THEN 1 END)
             {FROM} WHERE s.route = $1 AND s.chain = $2 AND s.state != 'done'"
        );
        let row = sqlx::query(sqlx::AssertSqlSafe(query))
            .bind(self.id)
            .bind(end.word())
            .bind(to_sql(now_ms / 1_000)?)
            .fetch_one(self.pool())
            .await?;
        let (open, waiting) = (from_sql(row.try_get(0)?)?, from_sql(row.try_get(1)?)?);
        let mut counts = SwapCounts {
            open,
            waiting,
            due: open.saturating_sub(waiting),
            set_aside: from_sql(row.try_get(2)?)?,
            settling: from_sql(row.try_get(3)?)?,
            ..SwapCounts::default()
        };
        let tally =
            sqlx::query("SELECT claimed, refunded FROM swap_tally WHERE route = $1 AND chain = $2")
                .bind(self.id)
                .bind(end.word())
                .fetch_optional(self.pool())
                .await?;
        if let Some(row) = tally {
            counts.claimed = from_sql(row.try_get(0)?)?;
            counts.refunded = from_sql(row.try_get(1)?)?;
        }
        Ok(counts)
    }

    /// Since when the swap has been due that is due for longest and whose time has come, milliseconds
    /// since 1970.
    pub async fn oldest_due_swap_ms(&self, end: End, now_ms: u64) -> Result<Option<u64>, Error> {
        // Due since both were known, the swap and that it can be ended.
        let since = "CASE WHEN s.deadline < $4 THEN s.deadline * 1000 ELSE k.found_ms END";
        let query = format!(
            "SELECT CASE WHEN s.found_ms > {since} THEN s.found_ms ELSE {since} END AS since {FROM}
             WHERE s.route = $1 AND s.chain = $2 AND s.state = 'open' AND s.state != 'done'
                 AND s.not_before_ms <= $3 AND (s.deadline < $4 OR k.secret IS NOT NULL)
             ORDER BY since LIMIT 1"
        );
        let row = sqlx::query(sqlx::AssertSqlSafe(query))
            .bind(self.id)
            .bind(end.word())
            .bind(to_sql(now_ms)?)
            .bind(to_sql(now_ms / 1_000)?)
            .fetch_optional(self.pool())
            .await?;
        row.map(|row| from_sql(row.try_get(0)?)).transpose()
    }

    /// When a swap last ended, milliseconds since 1970; 0 if none ever did, as far as is kept.
    pub async fn newest_settled_swap_ms(&self, end: End) -> Result<u64, Error> {
        let row = sqlx::query(
            "SELECT COALESCE(MAX(settled_ms), 0) FROM swap WHERE route = $1 AND chain = $2",
        )
        .bind(self.id)
        .bind(end.word())
        .fetch_one(self.pool())
        .await?;
        from_sql(row.try_get(0)?)
    }

    /// Swaps whose claim or refund was refused, the nearest deadline first.
    pub async fn swap_asides(&self, end: End, limit: usize) -> Result<Vec<SwapAside>, Error> {
        let rows = sqlx::query(
            "SELECT id, attempts, not_before_ms, reason FROM swap
             WHERE route = $1 AND chain = $2 AND state = 'open' AND state != 'done'
                 AND reason IS NOT NULL
             ORDER BY deadline, number LIMIT $3",
        )
        .bind(self.id)
        .bind(end.word())
        .bind(limit_to_sql(limit))
        .fetch_all(self.pool())
        .await?;
        rows.iter()
            .map(|row| {
                Ok(SwapAside {
                    id: hash_from_sql(row.try_get(0)?)?,
                    attempts: from_sql(row.try_get(1)?)?,
                    not_before_ms: from_sql(row.try_get(2)?)?,
                    reason: row.try_get(3)?,
                })
            })
            .collect()
    }
}

fn swap_row(row: &AnyRow) -> Result<SwapRow, Error> {
    let damaged = |what: &str| Error::Damaged(format!("a swap's {what} cannot be read"));
    let address = |column: usize| -> Result<Address, Error> {
        Address::try_from(row.try_get::<&[u8], _>(column)?).map_err(|_| damaged("address"))
    };
    let secret: Option<Vec<u8>> = row.try_get(11)?;
    Ok(SwapRow {
        number: from_sql(row.try_get(0)?)?,
        id: hash_from_sql(row.try_get(1)?)?,
        terms: Terms {
            token: address(2)?,
            amount: U256::try_from_be_slice(row.try_get(3)?).ok_or_else(|| damaged("amount"))?,
            opener: address(4)?,
            claimer: address(5)?,
            lock: hash_from_sql(row.try_get(6)?)?,
            deadline: from_sql(row.try_get(7)?)?,
        },
        block: from_sql(row.try_get(8)?)?,
        attempts: u32::try_from(row.try_get::<i64, _>(9)?).unwrap_or(u32::MAX),
        found_ms: from_sql(row.try_get(10)?)?,
        secret: secret.map(|secret| hash_from_sql(&secret)).transpose()?,
    })
}
