//! One transaction. Its beginning and what needs no answer are sent and not waited for; their answers are looked at
//! before the next that is waited for is, and at the latest before the commit is said to be done. Once one is
//! refused the server refuses all that comes after it, the commit too, and whoever waits is told the first reason.

use super::super::found::Found;
use super::Taken;
use super::line::Answer;
use sqlx::{Any, Execute};
use std::collections::VecDeque;
use std::fmt;
use std::mem;

/// A transaction; dropped without [`commit`](Self::commit), it leaves nothing.
pub(crate) struct Pipe {
    line: Taken,
    /// What was sent and is not waited for yet, in order.
    sent: VecDeque<Answer>,
    /// Every answer that came, and was waited for to its end, was a good one.
    is_whole: bool,
    /// The server was not told yet how it ends.
    is_open: bool,
}

impl fmt::Debug for Pipe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pipe")
    }
}

impl Pipe {
    pub(in super::super) async fn begin(mut line: Taken) -> Result<Self, sqlx::Error> {
        let begun = line.get()?.send_script("BEGIN").await;
        Ok(Self {
            line,
            sent: VecDeque::from([begun]),
            is_whole: true,
            is_open: true,
        })
    }

    /// Sends a statement whose answer nobody needs.
    pub(in super::super) async fn tell<'q>(
        &mut self,
        query: impl Execute<'q, Any>,
    ) -> Result<(), sqlx::Error> {
        let answer = self.send(query).await?;
        self.sent.push_back(answer);
        Ok(())
    }

    /// Sends a statement and waits for its answer.
    pub(in super::super) async fn ask<'q>(
        &mut self,
        query: impl Execute<'q, Any>,
    ) -> Result<Vec<Found>, sqlx::Error> {
        let answer = self.send(query).await?;
        self.settle().await?;
        self.wait(answer).await
    }

    /// Keeps what was written.
    pub(in super::super) async fn commit(mut self) -> Result<(), sqlx::Error> {
        if !self.is_whole {
            // The server would roll it back, and not say so.
            let why = "a transaction of which a part failed is not kept";
            return Err(sqlx::Error::Protocol(why.into()));
        }
        let committed = self.line.get()?.send_script("COMMIT").await;
        self.is_open = false;
        self.settle().await?;
        committed.await.map(|_| ())
    }

    async fn send<'q>(&mut self, query: impl Execute<'q, Any>) -> Result<Answer, sqlx::Error> {
        match self.line.get()?.send(query).await {
            Ok(answer) => Ok(answer),
            Err(error) => {
                self.is_whole = false;
                // What was sent before it may be why.
                Err(self.settle().await.err().unwrap_or(error))
            }
        }
    }

    /// Waits for what was sent.
    async fn settle(&mut self) -> Result<(), sqlx::Error> {
        while let Some(answer) = self.sent.pop_front() {
            self.wait(answer).await?;
        }
        Ok(())
    }

    /// Waits for an answer. Whoever gives up waiting does not know what it was.
    async fn wait(&mut self, answer: Answer) -> Result<Vec<Found>, sqlx::Error> {
        let was_whole = mem::replace(&mut self.is_whole, false);
        let found = answer.await?;
        self.is_whole = was_whole;
        Ok(found)
    }
}

impl Drop for Pipe {
    fn drop(&mut self) {
        if self.is_open
            && let Ok(line) = self.line.get()
        {
            line.roll_back();
        }
    }
}
