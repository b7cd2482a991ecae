//! The loop: asks peers for what the sync engine wants, serves what peers want.

use super::{
    Progress, Request, Response,
    mailbox::{Mailbox, Order, Reply},
    peers::Peers,
    progress,
    server::{Served, Server},
    wire::{self, Message},
};
use crate::block::PublicKey;
use commonware_p2p::{Blocker, Provider, Receiver, Recipients, Sender};
use commonware_runtime::{Clock, ContextCell, Handle, IoBuf, Metrics, Spawner, spawn_cell};
use commonware_storage::Context as StorageContext;
use commonware_utils::{
    channel::{mpsc, oneshot},
    futures::Pool,
};
use futures::future::pending;
use rand::CryptoRng;
use std::{
    collections::{BTreeMap, VecDeque},
    time::{Duration, SystemTime},
};

/// Orders that wait for the actor; the engine asks no more than it may have outstanding.
const ORDERS: usize = 64;
/// How long a peer may take to answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// What the actor is made of.
pub struct Config<P, B> {
    /// This node.
    pub me: PublicKey,
    /// Who may be asked.
    pub peers: P,
    /// Blocks a peer that lies.
    pub blocker: B,
    /// Told how far the sync is.
    pub progress: Progress,
}

/// Something to be fetched.
struct Fetch {
    request: Request,
    reply: Reply,
    /// Who failed to answer it last.
    failed: Option<PublicKey>,
}

/// A question that a peer has.
struct Asked {
    fetch: Fetch,
    peer: PublicKey,
    deadline: SystemTime,
}

/// An answer that the engine has judged; `None` if it no longer cared.
struct Judged {
    fetch: Fetch,
    peer: PublicKey,
    operations: u64,
    holds: Option<bool>,
}

/// Asks and serves; see the folder's `mod.rs`.
pub struct Actor<E: StorageContext + Spawner, P, B> {
    context: ContextCell<E>,
    orders: mpsc::Receiver<Order<E>>,
    provider: P,
    blocker: B,
    progress: Progress,
    peers: Peers,
    server: Server<E>,
    waiting: VecDeque<Fetch>,
    asked: BTreeMap<u64, Asked>,
    next_id: u64,
    verdicts: Pool<'static, Judged>,
}

impl<E, P, B> Actor<E, P, B>
where
    E: StorageContext + Spawner + Clock + Metrics + CryptoRng,
    P: Provider<PublicKey = PublicKey>,
    B: Blocker<PublicKey = PublicKey>,
{
    /// An actor and the way to it.
    pub fn new(context: E, config: Config<P, B>) -> (Self, Mailbox<E>) {
        let (sender, orders) = mpsc::channel(ORDERS);
        let actor = Self {
            context: ContextCell::new(context),
            orders,
            provider: config.peers,
            blocker: config.blocker,
            progress: config.progress,
            peers: Peers::new(config.me),
            server: Server::new(),
            waiting: VecDeque::new(),
            asked: BTreeMap::new(),
            next_id: 0,
            verdicts: Pool::default(),
        };
        (actor, Mailbox::new(sender))
    }

    /// Starts it on its channel.
    pub fn start(
        mut self,
        channel: (
            impl Sender<PublicKey = PublicKey>,
            impl Receiver<PublicKey = PublicKey>,
        ),
    ) -> Handle<()> {
        spawn_cell!(self.context, self.run(channel))
    }

    async fn run(
        mut self,
        (mut sender, mut receiver): (
            impl Sender<PublicKey = PublicKey>,
            impl Receiver<PublicKey = PublicKey>,
        ),
    ) {
        let mut updates = self.provider.subscribe().await;
        let mut blocked = self.blocker.blocked();
        let mut orderly = true;
        loop {
            self.dispatch(&mut sender);
            let alarm = self.alarm();
            let alarm = async {
                match alarm {
                    Some(at) => self.context.sleep_until(at).await,
                    None => pending().await,
                }
            };
            tokio::select! {
                biased;
                update = updates.recv() => match update {
                    Some(update) => self.peers.update(update.latest),
                    None => return,
                },
                newest = blocked.recv() => match newest {
                    Some(newest) => self.peers.block(newest),
                    None => return,
                },
                judged = self.verdicts.next_completed() => self.conclude(judged),
                order = self.orders.recv(), if orderly => match order {
                    Some(Order::Serve(database)) => self.server.attach(database),
                    Some(Order::Fetch { request, reply }) => {
                        self.progress.asked(&request);
                        self.waiting.push_back(Fetch { request, reply, failed: None });
                    }
                    // Nobody here wants anything any more; peers still may.
                    None => orderly = false,
                },
                Served { peer, message } = self.server.next() => {
                    let _ = sender.send(Recipients::One(peer), message, false);
                }
                message = receiver.recv() => match message {
                    Ok((peer, message)) => self.heard(&mut sender, peer, message),
                    Err(_) => return,
                },
                () = alarm => self.expire(),
            }
        }
    }

    /// When something happens without anybody's doing.
    fn alarm(&self) -> Option<SystemTime> {
        let deadline = self.asked.values().map(|asked| asked.deadline).min();
        let wake = (!self.waiting.is_empty())
            .then(|| self.peers.wakes(self.context.current()))
            .flatten();
        deadline.into_iter().chain(wake).min()
    }

    /// Sends every waiting question for which a peer is ready.
    fn dispatch(&mut self, sender: &mut impl Sender<PublicKey = PublicKey>) {
        let now = self.context.current();
        self.waiting.retain(|fetch| !fetch.reply.is_closed());
        while let Some(fetch) = self.waiting.pop_front() {
            let peer = self
                .peers
                .pick(now, fetch.failed.as_ref(), self.context.as_present_mut());
            let Some(peer) = peer else {
                self.waiting.push_front(fetch);
                return;
            };
            let id = self.next_id;
            self.next_id = self.next_id.wrapping_add(1);
            let question = wire::question(id, &fetch.request);
            if sender
                .send(Recipients::One(peer.clone()), question, false)
                .is_empty()
            {
                // Over its quota or not reachable now.
                self.peers.rest(&peer, now);
                self.waiting.push_front(fetch);
                continue;
            }
            self.peers.asked(&peer);
            let deadline = now.checked_add(PATIENCE).unwrap_or(now);
            self.asked.insert(
                id,
                Asked {
                    fetch,
                    peer,
                    deadline,
                },
            );
        }
    }

    /// Gives up questions that were not answered in time.
    fn expire(&mut self) {
        let now = self.context.current();
        let late: Vec<u64> = self
            .asked
            .iter()
            .filter(|(_, asked)| asked.deadline <= now)
            .map(|(id, _)| *id)
            .collect();
        for id in late {
            if let Some(asked) = self.asked.remove(&id) {
                self.failed(asked);
            }
        }
    }

    /// A question without an answer: its peer rests, another one is asked.
    fn failed(&mut self, Asked { fetch, peer, .. }: Asked) {
        self.peers.closed(&peer);
        self.peers.rest(&peer, self.context.current());
        self.waiting.push_front(Fetch {
            failed: Some(peer),
            ..fetch
        });
    }

    fn block(&mut self, peer: PublicKey, reason: &str) {
        tracing::warn!(?peer, reason, "state sync blocks a peer");
        // The network tells of the block a moment later; it is not asked meanwhile.
        self.peers.rest(&peer, self.context.current());
        let _ = self.blocker.block(peer);
    }

    fn heard(
        &mut self,
        sender: &mut impl Sender<PublicKey = PublicKey>,
        peer: PublicKey,
        message: IoBuf,
    ) {
        match Message::read(message) {
            Ok(Message::Question { id, request }) => {
                if let Some(refusal) = self.server.take(&peer, id, request) {
                    let _ = sender.send(Recipients::One(peer), refusal, false);
                }
            }
            Ok(Message::Answer { id, body }) => {
                if let Some(asked) = self.take(id, &peer) {
                    self.answered(asked, body);
                }
            }
            Ok(Message::Refusal { id }) => {
                if let Some(asked) = self.take(id, &peer) {
                    self.failed(asked);
                }
            }
            Err(error) => self.block(peer, &error.to_string()),
        }
    }

    /// The open question with this id, if it is this peer's to answer. One that is not may be an
    /// answer that came too late.
    fn take(&mut self, id: u64, peer: &PublicKey) -> Option<Asked> {
        self.asked.get(&id).filter(|asked| asked.peer == *peer)?;
        self.asked.remove(&id)
    }

    fn answered(&mut self, asked: Asked, body: IoBuf) {
        let Asked { fetch, peer, .. } = asked;
        self.peers.closed(&peer);
        let response: Response = match wire::response(&fetch.request, body) {
            Ok(response) => response,
            Err(error) => {
                self.block(peer.clone(), &error.to_string());
                self.again(fetch, peer);
                return;
            }
        };
        let operations = progress::operations(&response);
        let (verdict, holds) = oneshot::channel();
        // Each fetch has one candidate at a time, so there is room unless nobody listens.
        if fetch.reply.try_send((response, verdict)).is_err() {
            return;
        }
        self.verdicts.push(async move {
            Judged {
                holds: holds.await.ok(),
                fetch,
                peer,
                operations,
            }
        });
    }

    fn again(&mut self, fetch: Fetch, failed: PublicKey) {
        self.waiting.push_front(Fetch {
            failed: Some(failed),
            ..fetch
        });
    }

    /// The engine has checked an answer's proof.
    fn conclude(&mut self, judged: Judged) {
        let Judged {
            fetch,
            peer,
            operations,
            holds,
        } = judged;
        match holds {
            Some(true) => {
                self.peers.praise(&peer);
                self.progress.proven(operations);
            }
            Some(false) => {
                self.block(peer.clone(), "the proof of its answer fails");
                self.again(fetch, peer);
            }
            None => {}
        }
    }
}
