//! A receiver that loses the ceremony's messages of some epochs.

use commonware_codec::{ReadExt as _, varint::UInt};
use commonware_p2p::{Message, Receiver};
use std::{collections::BTreeSet, num::NonZeroUsize, sync::Arc};

/// Hears everything but the messages that begin with the number of one of these epochs.
#[derive(Debug)]
pub struct Deaf<R> {
    inner: R,
    epochs: Arc<BTreeSet<u64>>,
}

impl<R> Deaf<R> {
    /// Hears `inner` but for `epochs`.
    pub const fn new(inner: R, epochs: Arc<BTreeSet<u64>>) -> Self {
        Self { inner, epochs }
    }
}

impl<R: Receiver> Receiver for Deaf<R> {
    type Error = R::Error;
    type PublicKey = R::PublicKey;

    async fn recv(&mut self) -> Result<Message<R::PublicKey>, R::Error> {
        loop {
            let (from, message) = self.inner.recv().await?;
            let epoch = UInt::<u64>::read(&mut message.clone()).map(u64::from);
            if !epoch.is_ok_and(|epoch| self.epochs.contains(&epoch)) {
                return Ok((from, message));
            }
        }
    }

    fn capacity(&self) -> NonZeroUsize {
        self.inner.capacity()
    }
}
