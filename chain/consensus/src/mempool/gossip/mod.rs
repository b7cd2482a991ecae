//! Carries transactions from the validator that received them to the others.
//!
//! One message is a list of transactions: `varint(count) ‖ each: varint(length) ‖ EIP-2718 bytes`.
//! Only the first receiver sends, and only to those whose turn comes ([`Course`]); all validators are
//! connected, so nothing is passed on. What arrives goes through the same admission as what comes by
//! JSON-RPC.

mod course;

pub use course::{AGAIN, Course, LEADERS};

use crate::block::PublicKey;
use bytes::Bytes;
use commonware_codec::{Decode as _, Encode as _, RangeCfg};
use commonware_p2p::{Receiver, Sender};
use mileverse_primitives::B256;
use std::future::Future;
use tokio::sync::mpsc;

/// Most transactions in one message.
pub const MAX_BATCH: usize = 256;
/// Most bytes of transactions in one message.
pub const MAX_BATCH_BYTES: usize = 512 * 1024;
/// Most bytes of one message.
pub const MAX_MESSAGE_BYTES: usize = MAX_BATCH_BYTES + 10 * (MAX_BATCH + 1);

/// Sends local transactions to those who can use them and hands what arrives to `admit`, until either
/// ends. `waiting` answers those of some transactions that are in no final block yet.
pub async fn run<S, R, F>(
    (mut sender, mut receiver): (S, R),
    mut local: mpsc::Receiver<(B256, Bytes)>,
    mut course: Course,
    waiting: impl Fn(&[B256]) -> Vec<(B256, Bytes)>,
    admit: impl Fn(Bytes) -> F,
) where
    S: Sender<PublicKey = PublicKey>,
    R: Receiver<PublicKey = PublicKey>,
    F: Future<Output = ()>,
{
    loop {
        tokio::select! {
            // What peers send is bounded by their quotas; and a simulation must do the same again.
            biased;
            message = receiver.recv() => {
                let Ok((peer, message)) = message else { return };
                let limits = (
                    RangeCfg::new(1..=MAX_BATCH),
                    RangeCfg::new(1..=mileverse_execution::MAX_TRANSACTION_LENGTH),
                );
                match Vec::<Bytes>::decode_cfg(message, &limits) {
                    Ok(batch) => for transaction in batch {
                        admit(transaction).await;
                    },
                    Err(error) => tracing::debug!(?peer, %error, "gossip that is no list of transactions"),
                }
            }
            first = local.recv() => {
                let Some(first) = first else { return };
                let mut batch = Batch::default();
                batch.add(first);
                while batch.has_room() {
                    let Ok(next) = local.try_recv() else { break };
                    batch.add(next);
                }
                batch.send(&mut sender, &mut course);
            }
            moved = course.moved() => {
                if moved.is_err() {
                    return;
                }
                let mut late = waiting(&course.due()).into_iter().peekable();
                while late.peek().is_some() {
                    let mut batch = Batch::default();
                    while batch.has_room() && let Some(next) = late.next() {
                        batch.add(next);
                    }
                    batch.send(&mut sender, &mut course);
                }
            }
        }
    }
}

/// Transactions of one message.
#[derive(Default)]
struct Batch {
    hashes: Vec<B256>,
    transactions: Vec<Bytes>,
    bytes: usize,
}

impl Batch {
    const fn has_room(&self) -> bool {
        self.transactions.len() < MAX_BATCH
            && self.bytes < MAX_BATCH_BYTES - mileverse_execution::MAX_TRANSACTION_LENGTH
    }

    fn add(&mut self, (hash, transaction): (B256, Bytes)) {
        self.bytes = self.bytes.saturating_add(transaction.len());
        self.hashes.push(hash);
        self.transactions.push(transaction);
    }

    fn send(self, sender: &mut impl Sender<PublicKey = PublicKey>, course: &mut Course) {
        for hash in self.hashes {
            course.note(hash);
        }
        let _ = sender.send(course.coming(), self.transactions.encode(), false);
    }
}
