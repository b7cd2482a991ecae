//! Asks peers until the floor is certain: rounds of questions, and what comes back.
//!
//! A round begins every [`RETRY`] and asks everybody who is connected for its newest final block.
//! Openings are asked for as soon as they are wanted, each of at most [`ASKED`] peers a round, of
//! others in the next. An answer that nobody was asked for is not even decoded: one claim a peer
//! and round, and one opening for each question. A question that cannot be read, or an answer that
//! is proven false, blocks its sender; silence, or an old block, does not.

use super::{
    Floor,
    search::{Lie, Search},
    wire::{self, Message},
};
use crate::block::{Directory, EpochInfo, PublicKey};
use commonware_codec::Error as CodecError;
use commonware_glue::dkg::network::Manager;
use commonware_p2p::{Blocker, Receiver, Recipients, Sender, TrackedPeers};
use commonware_runtime::{Clock, IoBuf};
use commonware_utils::ordered::Set;
use rand::CryptoRng;
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

/// How long peers may take to answer before they, or others, are asked again.
const RETRY: Duration = Duration::from_secs(1);
/// Peers that are asked for an opening at once.
const ASKED: usize = 3;
/// Most openings that a peer can owe; older questions count as forgotten.
const MAX_OWED: usize = 4;

/// Who may be asked.
pub(super) struct Circle<'a, M, B> {
    /// Activates peers.
    pub(super) peers: M,
    /// Blocks liars.
    pub(super) blocker: B,
    /// Who takes part in epoch 0.
    pub(super) first: &'a EpochInfo,
    /// Whom the operator named. They are called like the first committee, which may be gone.
    pub(super) named: &'a Set<PublicKey>,
}

struct Discovery<'a, M, B> {
    circle: Circle<'a, M, B>,
    search: Search,
    /// The newest epoch whose peers are activated.
    activated: u64,
    round: usize,
    /// The newest key that was known when it began.
    known: u64,
    /// Who has not answered this round's question yet.
    awaited: BTreeSet<PublicKey>,
    /// Openings that were asked for in this round.
    asked: BTreeSet<u64>,
    /// Openings that peers were asked for and have not sent.
    owed: BTreeMap<PublicKey, usize>,
}

/// Asks until the floor is found.
///
/// # Errors
///
/// A sentence, when the network ends, or when what is proven contradicts itself.
pub(super) async fn run<E, M, B, S, R>(
    context: &mut E,
    circle: Circle<'_, M, B>,
    search: Search,
    sender: &mut S,
    receiver: &mut R,
) -> Result<Floor, String>
where
    E: Clock + CryptoRng,
    M: Manager<PublicKey = PublicKey, Directory = Directory>,
    B: Blocker<PublicKey = PublicKey>,
    S: Sender<PublicKey = PublicKey>,
    R: Receiver<PublicKey = PublicKey>,
{
    let mut discovery = Discovery {
        activated: circle.first.epoch.get(),
        circle,
        search,
        round: 0,
        known: 0,
        awaited: BTreeSet::new(),
        asked: BTreeSet::new(),
        owed: BTreeMap::new(),
    };
    discovery.call_the_first()?;
    loop {
        discovery.begin_round(sender);
        let deadline = context
            .current()
            .checked_add(RETRY)
            .ok_or_else(|| "the clock is at its end".to_owned())?;
        loop {
            discovery.ask_for_openings(sender);
            let alarm = context.sleep_until(deadline);
            let heard = tokio::select! {
                biased;
                () = alarm => break,
                heard = receiver.recv() => heard,
            };
            let (peer, message) = heard.map_err(|_| {
                "the network ended while a final block to start from was searched".to_owned()
            })?;
            discovery.hear(context, peer, message)?;
            if let Some(floor) = discovery.search.found() {
                return Ok(floor);
            }
        }
    }
}

impl<M, B> Discovery<'_, M, B>
where
    M: Manager<PublicKey = PublicKey, Directory = Directory>,
    B: Blocker<PublicKey = PublicKey>,
{
    fn activate(&mut self, info: &EpochInfo, peers: TrackedPeers<PublicKey>) -> Result<(), String> {
        self.circle
            .peers
            .track(info.epoch, peers, &info.directory)
            .map_err(|error| format!("the peers of epoch {} are not reached: {error}", info.epoch))
    }

    fn call_the_first(&mut self) -> Result<(), String> {
        let first = self.circle.first;
        let peers = first.participants().tracked_peers();
        let named = self.circle.named.iter();
        let primary = Set::from_iter_dedup(peers.primary.iter().chain(named).cloned());
        self.activate(first, TrackedPeers::new(primary, peers.secondary))
    }

    /// Calls the committee of the best claim's epoch too, once it is proven. The node starts in
    /// that epoch or a later one, so no newer peers are activated than it will enter itself.
    fn call_the_newest(&mut self) -> Result<(), String> {
        let newest = self.search.committee().cloned();
        if let Some(info) = newest.filter(|info| info.epoch.get() > self.activated) {
            self.activated = info.epoch.get();
            let peers = info.participants().tracked_peers();
            self.activate(&info, peers)?;
        }
        Ok(())
    }

    fn begin_round(&mut self, sender: &mut impl Sender<PublicKey = PublicKey>) {
        self.round = self.round.wrapping_add(1);
        self.asked.clear();
        self.known = self.search.known();
        let question = wire::ask_latest(self.known);
        self.awaited = sender
            .send(Recipients::All, question, false)
            .into_iter()
            .collect();
    }

    fn ask_for_openings(&mut self, sender: &mut impl Sender<PublicKey = PublicKey>) {
        for (epoch, peers) in self.search.wanted() {
            if !self.asked.insert(epoch) {
                continue;
            }
            // Others in every round.
            let first = self.round.wrapping_mul(ASKED) % peers.len().max(1);
            let chosen = peers
                .iter()
                .cycle()
                .skip(first)
                .take(ASKED.min(peers.len()));
            let chosen: Vec<PublicKey> = chosen.cloned().collect();
            let question = wire::ask_opening(epoch);
            for peer in sender.send(Recipients::Some(chosen), question, false) {
                let owed = self.owed.entry(peer).or_default();
                *owed = owed.saturating_add(1).min(MAX_OWED);
            }
        }
    }

    fn hear(
        &mut self,
        rng: &mut impl CryptoRng,
        peer: PublicKey,
        message: IoBuf,
    ) -> Result<(), String> {
        match self.read(rng, &peer, message) {
            Ok(Ok(lies)) => {
                for (liar, lie) in lies {
                    self.block(liar, &lie.to_string());
                }
                self.call_the_newest()
            }
            Ok(Err(torn)) => Err(torn.to_string()),
            Err(error) => {
                self.block(peer, &error.to_string());
                Ok(())
            }
        }
    }

    fn read(
        &mut self,
        rng: &mut impl CryptoRng,
        peer: &PublicKey,
        message: IoBuf,
    ) -> Result<Result<Vec<(PublicKey, Lie)>, super::search::Torn>, CodecError> {
        match Message::read(message)? {
            // Nothing to serve yet.
            Message::AskLatest { .. } | Message::AskOpening { .. } => Ok(Ok(Vec::new())),
            Message::Latest { body } => {
                if !self.awaited.remove(peer) {
                    return Ok(Ok(Vec::new()));
                }
                let latest = wire::latest(body)?;
                Ok(Ok(self.search.told(rng, peer.clone(), self.known, latest)))
            }
            Message::Opening { body } => {
                let Some(owed) = self.owed.get_mut(peer).filter(|owed| **owed > 0) else {
                    return Ok(Ok(Vec::new()));
                };
                *owed = owed.saturating_sub(1);
                let opening = wire::opening(body)?;
                Ok(self.search.opened(rng, peer, opening))
            }
        }
    }

    fn block(&mut self, peer: PublicKey, reason: &str) {
        tracing::warn!(?peer, reason, "the search for a floor blocks a peer");
        let _ = self.circle.blocker.block(peer);
    }
}
