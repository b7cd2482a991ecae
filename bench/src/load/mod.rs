//! Traffic into a net of real validators, over public JSON-RPC, and what becomes of it.
//!
//! ```txt
//! drive   hands signed transactions in, as fast as they become final or at a given rate
//! watch   follows final blocks; only a transaction with a good final receipt counts
//! ```

mod drive;
mod watch;

pub use self::{
    drive::start,
    watch::{Block, Watch},
};

use alloy::{
    consensus::{SignableTransaction as _, TxEip1559, TxEnvelope},
    eips::eip2718::Encodable2718 as _,
    primitives::B256,
    signers::{SignerSync as _, local::PrivateKeySigner},
};
use mileverse_primitives::{Bytes, keccak256};

use crate::{error::Error, net::CHAIN_ID};

/// A signed transaction.
pub struct Signed {
    /// Its hash.
    pub hash: B256,
    /// Its bytes.
    pub raw: Bytes,
}

/// Signed transactions, for each validator in the order in which it gets them.
pub type Lists = Vec<Vec<Signed>>;

/// Transactions of many senders as lists for `validators`: round by round, sender after sender, and
/// all of one sender to the same validator, so that none overtakes an earlier one.
pub fn lists(per_sender: Vec<Vec<Signed>>, validators: usize, most: usize) -> Lists {
    let mut lists: Lists = (0..validators).map(|_| Vec::new()).collect();
    let mut queues: Vec<_> = per_sender.into_iter().map(Vec::into_iter).collect();
    let mut left = most;
    loop {
        let mut found = false;
        for (sender, queue) in queues.iter_mut().enumerate() {
            let Some(target) = lists.get_mut(sender.checked_rem(validators).unwrap_or(0)) else {
                return lists;
            };
            if left == 0 {
                return lists;
            }
            if let Some(next) = queue.next() {
                target.push(next);
                left = left.saturating_sub(1);
                found = true;
            }
        }
        if !found {
            return lists;
        }
    }
}

/// What `make` signs for each of `senders`, on all processors.
pub fn sign_all(
    senders: usize,
    make: impl Fn(usize) -> Result<Vec<Signed>, Error> + Sync,
) -> Result<Vec<Vec<Signed>>, Error> {
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let make = &make;
    let signed: Vec<Result<Vec<Vec<Signed>>, Error>> = std::thread::scope(|scope| {
        let running: Vec<_> = (0..threads)
            .map(|thread| {
                scope.spawn(move || (thread..senders).step_by(threads).map(make).collect())
            })
            .collect();
        running
            .into_iter()
            .map(|thread| {
                thread
                    .join()
                    .unwrap_or_else(|_| Err(Error::Setup("a signing thread ended".into())))
            })
            .collect()
    });
    let mut parts: Vec<_> = signed
        .into_iter()
        .map(|list| list.map(Vec::into_iter))
        .collect::<Result<_, _>>()?;
    Ok((0..senders)
        .map(|sender| {
            let part = parts.get_mut(sender % threads);
            part.and_then(Iterator::next).unwrap_or_default()
        })
        .collect())
}

/// The key of a measured account.
pub fn signer(what: &str, number: u64) -> Result<PrivateKeySigner, Error> {
    let seed = [what.as_bytes(), &number.to_be_bytes()].concat();
    PrivateKeySigner::from_bytes(&keccak256(seed)).map_err(|error| Error::Setup(error.to_string()))
}

/// A transaction of the measured chain, signed and encoded.
pub fn sign(signer: &PrivateKeySigner, transaction: TxEip1559) -> Result<Signed, Error> {
    let transaction = TxEip1559 {
        chain_id: CHAIN_ID,
        ..transaction
    };
    let signature = signer
        .sign_hash_sync(&transaction.signature_hash())
        .map_err(|error| Error::Setup(error.to_string()))?;
    let envelope: TxEnvelope = transaction.into_signed(signature).into();
    Ok(Signed {
        hash: *envelope.tx_hash(),
        raw: envelope.encoded_2718().into(),
    })
}
