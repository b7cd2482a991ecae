//! Says this node's attestations to all peers, and hears theirs.

use super::{MAX_LIST, Pool, wire::Wire};
use crate::{block::PublicKey, committees::word, misbehaviour::Misbehaviour};
use commonware_codec::{Decode as _, Encode as _, RangeCfg};
use commonware_p2p::{Blocker, Receiver, Recipients, Sender};
use commonware_runtime::{Handle, Spawner};

/// What the actor works with.
pub struct Config<B> {
    /// The pool.
    pub pool: Pool,
    /// Blocks a peer that misbehaves.
    pub blocker: B,
}

/// The actor, before it starts.
pub struct Actor<E, B> {
    context: E,
    pool: Pool,
    misbehaviour: Misbehaviour<B>,
}

impl<E: Spawner, B: Blocker<PublicKey = PublicKey>> Actor<E, B> {
    /// An actor over its parts.
    pub fn new(context: E, config: Config<B>) -> Self {
        Self {
            context,
            pool: config.pool,
            misbehaviour: Misbehaviour::new(config.blocker),
        }
    }

    /// Starts on channel 7; ends when the network does.
    pub fn start<S, R>(self, channel: (S, R)) -> Handle<()>
    where
        S: Sender<PublicKey = PublicKey>,
        R: Receiver<PublicKey = PublicKey>,
    {
        let Self {
            context,
            pool,
            misbehaviour,
        } = self;
        context.spawn(move |_| run(pool, misbehaviour, channel))
    }
}

async fn run<B, S, R>(
    pool: Pool,
    mut misbehaviour: Misbehaviour<B>,
    (mut sender, mut receiver): (S, R),
) where
    B: Blocker<PublicKey = PublicKey>,
    S: Sender<PublicKey = PublicKey>,
    R: Receiver<PublicKey = PublicKey>,
{
    loop {
        tokio::select! {
            // Own words first; and a simulation must do the same again.
            biased;
            () = pool.news() => {
                let own = pool.own();
                for list in own.chunks(MAX_LIST) {
                    let list: Vec<Wire> = list.iter().copied().map(Wire).collect();
                    let _ = sender.send(Recipients::All, list.encode(), false);
                }
            }
            message = receiver.recv() => {
                let Ok((peer, message)) = message else { return };
                if misbehaviour.is_blocked(&peer) {
                    continue;
                }
                match Vec::<Wire>::decode_cfg(message, &(RangeCfg::new(1..=MAX_LIST), ())) {
                    Ok(list) => hear(&pool, &mut misbehaviour, &peer, list),
                    Err(_) => misbehaviour.count(&peer, "bytes that are no attestations"),
                }
            }
        }
    }
}

/// Offers a peer's own attestations to the pool; one bad item ends the list.
fn hear<B: Blocker<PublicKey = PublicKey>>(
    pool: &Pool,
    misbehaviour: &mut Misbehaviour<B>,
    peer: &PublicKey,
    list: Vec<Wire>,
) {
    for Wire(attestation) in list {
        if attestation.delegate != word(peer) {
            misbehaviour.count(peer, "an attestation in another's name");
            return;
        }
        let offer = pool.offer(attestation);
        pool.metrics().count(offer);
        if let Some(what) = offer.misbehaviour() {
            misbehaviour.count(peer, what);
            return;
        }
    }
}
