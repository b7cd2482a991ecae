//! Compares signed headers, wherever they come from.

use super::{Memory, Metrics, Note};
use crate::{
    committees::Committees,
    evidence::{Evidence, Store},
    proposal::SignedHeader,
};
use commonware_runtime::telemetry::metrics::GaugeExt as _;
use mileverse_primitives::header::Turn;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::mpsc;

/// Messages that wait to be sent; more are dropped, since others say the same.
const QUEUE: usize = 256;

/// What the watch is made of.
pub struct Config {
    /// The chain.
    pub chain_id: u64,
    /// Who leads which view.
    pub committees: Committees,
    /// Where proofs go.
    pub evidence: Store,
    /// What is counted.
    pub metrics: Metrics,
    /// Where this node stands when it starts: the turn of its newest final block.
    pub start: Turn,
}

struct Shared {
    chain_id: u64,
    committees: Committees,
    evidence: Store,
    metrics: Metrics,
    memory: Mutex<Memory>,
    outgoing: mpsc::Sender<Vec<SignedHeader>>,
    queue: Mutex<Option<Outgoing>>,
}

/// The watch; clones share it.
#[derive(Clone)]
pub struct Watch {
    shared: Arc<Shared>,
}

/// Headers on their way to the peers.
pub(super) type Outgoing = mpsc::Receiver<Vec<SignedHeader>>;

/// What became of a header.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Hearing {
    /// The first of its view.
    First,
    /// Nothing new.
    Known,
    /// Out of the window, or of an epoch unknown here.
    Outside,
    /// The leader signed two for this view.
    Proven,
    /// Not by the scheduled leader.
    Stranger,
    /// Not signed by the leader that it names.
    Forged,
}

impl Hearing {
    /// Why no honest node sends this, if so.
    pub const fn misbehaviour(self) -> Option<&'static str> {
        match self {
            Self::Stranger => Some("a header by somebody whose turn it was not"),
            Self::Forged => Some("a header with a bad signature"),
            _ => None,
        }
    }
}

impl Watch {
    /// A watch that has seen nothing.
    pub fn new(config: Config) -> Self {
        let (outgoing, queue) = mpsc::channel(QUEUE);
        let mut memory = Memory::default();
        memory.advance(config.start.epoch, config.start.view);
        Self {
            shared: Arc::new(Shared {
                chain_id: config.chain_id,
                committees: config.committees,
                evidence: config.evidence,
                metrics: config.metrics,
                memory: Mutex::new(memory),
                outgoing,
                queue: Mutex::new(Some(queue)),
            }),
        }
    }

    /// What is to be sent, for the one actor that sends it.
    pub(super) fn outgoing(&self) -> Option<Outgoing> {
        self.shared
            .queue
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
    }

    fn memory<T>(&self, with: impl FnOnce(&mut Memory) -> T) -> T {
        let mut memory = self
            .shared
            .memory
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        with(&mut memory)
    }

    /// What is counted.
    pub fn metrics(&self) -> &Metrics {
        &self.shared.metrics
    }

    /// A proposal that consensus of this node is about to vote on. It is shown to all peers.
    pub fn on_proposal(&self, header: &SignedHeader) -> Hearing {
        let turn = header.header.turn;
        self.memory(|memory| memory.advance(turn.epoch, turn.view));
        let hearing = self.hear(header);
        if hearing == Hearing::First || hearing == Hearing::Known {
            self.shared.metrics.shown.inc();
            self.show(vec![header.clone()]);
        }
        hearing
    }

    /// The header of a final block.
    pub fn on_final(&self, header: &SignedHeader) -> Hearing {
        let turn = header.header.turn;
        self.memory(|memory| memory.advance(turn.epoch, turn.view));
        self.hear(header)
    }

    /// A header from anywhere; cheap checks come first.
    pub fn hear(&self, header: &SignedHeader) -> Hearing {
        let shared = &self.shared;
        let turn = &header.header.turn;
        match self.memory(|memory| memory.peek(header)) {
            Note::Outside => return Hearing::Outside,
            Note::Known => return Hearing::Known,
            Note::First | Note::Second(_) => {}
        }
        let Some(committee) = shared.committees.get(turn.epoch) else {
            return Hearing::Outside;
        };
        if committee.leader(turn.view) != turn.leader {
            return Hearing::Stranger;
        }
        // Not under the lock: curve arithmetic takes its time.
        if !header.verify(shared.chain_id) {
            return Hearing::Forged;
        }
        let (note, length) = self.memory(|memory| (memory.note(header), memory.len()));
        let _ = shared.metrics.remembered.try_set(length);
        match note {
            Note::First => Hearing::First,
            Note::Known => Hearing::Known,
            Note::Outside => Hearing::Outside,
            Note::Second(first) => {
                shared.metrics.evidence.inc();
                // Once for an offender: its other views add nothing.
                if shared
                    .evidence
                    .add(Evidence::double((*first).clone(), header.clone()))
                {
                    self.show(vec![*first, header.clone()]);
                }
                Hearing::Proven
            }
        }
    }

    fn show(&self, headers: Vec<SignedHeader>) {
        if self.shared.outgoing.try_send(headers).is_err() {
            tracing::debug!("a header was not shown: too many wait, or the network has ended");
        }
    }
}
