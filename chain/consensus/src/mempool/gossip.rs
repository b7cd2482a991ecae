//! Carries transactions from the validator that received them to the others.
//!
//! One message is a list of transactions: `varint(count) ‖ each: varint(length) ‖ EIP-2718 bytes`.
//! Only the first receiver sends; all validators are connected, so nothing is passed on. What
//! arrives goes through the same admission as what comes by JSON-RPC.

use crate::block::PublicKey;
use bytes::Bytes;
use commonware_codec::{Decode as _, Encode as _, RangeCfg};
use commonware_p2p::{Receiver, Recipients, Sender};
use std::future::Future;
use tokio::sync::mpsc;

/// Most transactions in one message.
pub const MAX_BATCH: usize = 256;
/// Most bytes of transactions in one message.
pub const MAX_BATCH_BYTES: usize = 512 * 1024;
/// Most bytes of one message.
pub const MAX_MESSAGE_BYTES: usize = MAX_BATCH_BYTES + 10 * (MAX_BATCH + 1);

/// Sends local transactions to everybody and hands what arrives to `admit`, until either ends.
pub async fn run<S, R, F>(
    (mut sender, mut receiver): (S, R),
    mut local: mpsc::Receiver<Bytes>,
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
                let mut bytes = first.len();
                let mut batch = vec![first];
                while batch.len() < MAX_BATCH && bytes < MAX_BATCH_BYTES - mileverse_execution::MAX_TRANSACTION_LENGTH {
                    let Ok(next) = local.try_recv() else { break };
                    bytes += next.len();
                    batch.push(next);
                }
                let _ = sender.send(Recipients::All, batch.encode(), false);
            }
        }
    }
}
