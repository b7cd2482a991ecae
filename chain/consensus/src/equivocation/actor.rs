//! Shows what the watch has verified to all peers, and hears what they show.

use super::{Hearing, MAX_HEADERS, Watch};
use crate::{block::PublicKey, misbehaviour::Misbehaviour, proposal::SignedHeader};
use commonware_codec::{Decode as _, Encode as _, RangeCfg};
use commonware_p2p::{Blocker, Receiver, Recipients, Sender};
use commonware_runtime::{Handle, Spawner};

/// The actor, before it starts.
pub struct Actor<E, B> {
    context: E,
    watch: Watch,
    misbehaviour: Misbehaviour<B>,
}

impl<E: Spawner, B: Blocker<PublicKey = PublicKey>> Actor<E, B> {
    /// An actor for a watch; `blocker` blocks a peer that misbehaves.
    pub const fn new(context: E, watch: Watch, blocker: B) -> Self {
        Self {
            context,
            watch,
            misbehaviour: Misbehaviour::new(blocker),
        }
    }

    /// Starts on channel 8; ends when the network does.
    pub fn start<S, R>(self, channel: (S, R)) -> Handle<()>
    where
        S: Sender<PublicKey = PublicKey>,
        R: Receiver<PublicKey = PublicKey>,
    {
        let Self {
            context,
            watch,
            misbehaviour,
        } = self;
        context.spawn(move |_| run(watch, misbehaviour, channel))
    }
}

async fn run<B, S, R>(
    watch: Watch,
    mut misbehaviour: Misbehaviour<B>,
    (mut sender, mut receiver): (S, R),
) where
    B: Blocker<PublicKey = PublicKey>,
    S: Sender<PublicKey = PublicKey>,
    R: Receiver<PublicKey = PublicKey>,
{
    let Some(mut outgoing) = watch.outgoing() else {
        tracing::error!("two actors for one watch; the second one ends");
        return;
    };
    loop {
        tokio::select! {
            // Own words first; and a simulation must do the same again.
            biased;
            Some(headers) = outgoing.recv() => {
                let _ = sender.send(Recipients::All, headers.encode(), false);
            }
            message = receiver.recv() => {
                let Ok((peer, message)) = message else { return };
                if misbehaviour.is_blocked(&peer) {
                    continue;
                }
                let limits = (RangeCfg::new(1..=MAX_HEADERS), ());
                match Vec::<SignedHeader>::decode_cfg(message, &limits) {
                    Ok(headers) => hear(&watch, &mut misbehaviour, &peer, &headers),
                    Err(_) => misbehaviour.count(&peer, "bytes that are no signed headers"),
                }
            }
        }
    }
}

/// Hears what a peer shows; one bad item ends the list.
fn hear<B: Blocker<PublicKey = PublicKey>>(
    watch: &Watch,
    misbehaviour: &mut Misbehaviour<B>,
    peer: &PublicKey,
    headers: &[SignedHeader],
) {
    let metrics = watch.metrics();
    for header in headers {
        let hearing = watch.hear(header);
        match hearing {
            Hearing::First => metrics.heard.inc(),
            Hearing::Outside => metrics.dropped.inc(),
            Hearing::Stranger | Hearing::Forged => metrics.refused.inc(),
            Hearing::Known | Hearing::Proven => 0,
        };
        if let Some(what) = hearing.misbehaviour() {
            misbehaviour.count(peer, what);
            return;
        }
    }
}
