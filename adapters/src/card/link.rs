//! The one connection to the issuer, and everybody's requests on it.
//!
//! ```txt
//!            asks                        ┌──────────── actor ────────────┐
//! callers ─────────▶ queue ─────────────▶│ down ──connect, sign on──▶ up │──▶ issuer
//!         ◀───────── oneshot ────────────│  ▲                        │   │◀── issuer
//!                                        │  └── back off ◀── broken ─┘   │
//!                                        └───────────────────────────────┘
//! ```
//!
//! A task of its own connects (at the first request), signs on (0800, 001), sends an echo (301)
//! when nothing was heard for a while, signs off (002) when the adapter is dropped, and connects
//! again with back-off when the connection breaks. Answers are matched by STAN and RRN, in any
//! order. What was sent and has no answer when the connection breaks has none: it is unknown. A
//! request whose caller has gone is not sent. An answer that comes late, twice, or for nobody is
//! logged and dropped; so is what has no right MAC, for it may be anybody's.
//!
//! A request with repeats is said again (0421 after 0420) until it is answered or its time is up.

use super::flight::{Ask, Flights};
use jiff::Timestamp;
use mileverse_iso8583::{Codec, FrameError, Message, Mti, frame, number};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use thiserror::Error;
use tokio::net::TcpStream;
use tokio::net::tcp::OwnedWriteHalf;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::{self, Instant};

/// Most requests that wait to be sent.
const MAX_QUEUE: usize = 1024;
/// Most messages read ahead.
const READ_AHEAD: usize = 64;

/// Where the issuer is and how it is spoken to.
#[derive(Clone, Debug)]
pub struct LinkConfig {
    pub address: String,
    pub codec: Codec,
    pub institution: String,
    pub timeout: Duration,
    pub echo: Duration,
    pub in_flight: usize,
    pub reconnect_first: Duration,
    pub reconnect_longest: Duration,
}

/// Why there is no answer.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum LinkError {
    /// Nothing was sent.
    #[error("nothing was sent: {0}")]
    NotSent(String),
    /// It was sent, or may have been.
    #[error("no answer: {0}")]
    NoAnswer(String),
    /// The issuer does not let the gateway sign on.
    #[error("the issuer refuses the sign-on with code {0}")]
    Refused(String),
}

/// The callers' side.
#[derive(Debug)]
pub struct Link {
    config: Arc<LinkConfig>,
    asks: Mutex<Option<mpsc::Sender<Ask>>>,
}

impl Link {
    pub fn new(config: LinkConfig) -> Self {
        Self {
            config: Arc::new(config),
            asks: Mutex::new(None),
        }
    }

    /// Sends a request and waits for its answer, saying it again so many times meanwhile.
    pub async fn ask(&self, message: Message, repeats: u32) -> Result<Message, LinkError> {
        let limit = self.config.timeout;
        let (answer, answered) = oneshot::channel();
        let now = Instant::now();
        let ask = Ask {
            message,
            answer,
            until: now.checked_add(limit).unwrap_or(now),
            repeats,
            every: limit / repeats.saturating_add(1),
        };
        let late = || LinkError::NoAnswer("not in time".to_owned());
        let work = async {
            if self.actor().send(ask).await.is_err() {
                return Err(LinkError::NotSent(
                    "the connection's task has ended".to_owned(),
                ));
            }
            answered.await.unwrap_or_else(|_| Err(late()))
        };
        time::timeout(limit, work)
            .await
            .unwrap_or_else(|_| Err(late()))
    }

    /// The way to the actor, which is started if it does not run.
    fn actor(&self) -> mpsc::Sender<Ask> {
        let mut asks = self.asks.lock().unwrap_or_else(PoisonError::into_inner);
        match asks.as_ref() {
            Some(sender) if !sender.is_closed() => sender.clone(),
            _ => {
                let (sender, queue) = mpsc::channel(MAX_QUEUE);
                tokio::spawn(run(Arc::clone(&self.config), queue));
                asks.insert(sender).clone()
            }
        }
    }
}

/// The actor: connects again and again until nobody can ask any more.
async fn run(config: Arc<LinkConfig>, mut queue: mpsc::Receiver<Ask>) {
    // The first request opens the connection.
    let Some(first) = queue.recv().await else {
        return;
    };
    let mut waiting = VecDeque::from([first]);
    let mut delay = config.reconnect_first;
    loop {
        let why = match Connection::open(&config).await {
            Ok(connection) => {
                tracing::info!(issuer = config.address, "signed on");
                let begun = Instant::now();
                match connection.serve(&mut queue, &mut waiting).await {
                    None => return,
                    Some(why) => {
                        // Only a connection that lasted is a success: one that breaks at once
                        // would else be opened again without a pause.
                        if begun.elapsed() > config.reconnect_longest {
                            delay = config.reconnect_first;
                        }
                        why
                    }
                }
            }
            Err(why) => {
                for ask in waiting.drain(..) {
                    ask.refuse(why.clone());
                }
                why
            }
        };
        tracing::warn!(issuer = config.address, %why, ?delay, "not connected; trying again");
        let next = Instant::now()
            .checked_add(delay)
            .unwrap_or_else(Instant::now);
        delay = delay.saturating_mul(2).min(config.reconnect_longest);
        loop {
            let ask = tokio::select! {
                () = time::sleep_until(next) => break,
                ask = queue.recv() => ask,
            };
            let Some(ask) = ask else {
                return;
            };
            if ask.until <= next || waiting.len() >= MAX_QUEUE {
                ask.refuse(why.clone());
            } else {
                waiting.push_back(ask);
            }
        }
    }
}

/// A connection that is signed on.
struct Connection<'a> {
    config: &'a LinkConfig,
    writer: OwnedWriteHalf,
    frames: mpsc::Receiver<Result<Vec<u8>, FrameError>>,
    reader: JoinHandle<()>,
    flights: Flights,
}

impl Drop for Connection<'_> {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

impl<'a> Connection<'a> {
    async fn open(config: &'a LinkConfig) -> Result<Self, LinkError> {
        let down = |why: String| LinkError::NotSent(format!("the issuer cannot be reached: {why}"));
        let stream = time::timeout(config.timeout, TcpStream::connect(&config.address))
            .await
            .map_err(|_| down("no connection in time".to_owned()))?
            .map_err(|error| down(error.to_string()))?;
        stream
            .set_nodelay(true)
            .map_err(|error| down(error.to_string()))?;
        let (mut half, writer) = stream.into_split();
        let header = config.codec.table().header;
        let (sender, frames) = mpsc::channel(READ_AHEAD);
        // Reading a frame cannot be interrupted without losing bytes, so a task does only that.
        let reader = tokio::spawn(async move {
            loop {
                let frame = frame::read(&mut half, header).await;
                let ended = frame.is_err();
                if sender.send(frame).await.is_err() || ended {
                    return;
                }
            }
        });
        let mut connection = Self {
            config,
            writer,
            frames,
            reader,
            flights: Flights::new(),
        };
        connection.sign_on().await?;
        Ok(connection)
    }

    async fn sign_on(&mut self) -> Result<(), LinkError> {
        let (ask, mut answered) = self.network(number::SIGN_ON);
        self.send(ask).await?;
        let until = Instant::now()
            .checked_add(self.config.timeout)
            .unwrap_or_else(Instant::now);
        let silent = || LinkError::NotSent("the sign-on has no answer".to_owned());
        loop {
            let frame = time::timeout_at(until, self.frames.recv()).await;
            let frame = frame.map_err(|_| silent())?.ok_or_else(silent)?;
            let bytes = frame
                .map_err(|error| LinkError::NotSent(format!("the sign-on failed: {error}")))?;
            self.hear(&bytes).await?;
            if let Ok(answer) = answered.try_recv() {
                return match answer?.text(number::RESPONSE) {
                    Some("00") => Ok(()),
                    code => Err(LinkError::Refused(code.unwrap_or("none").to_owned())),
                };
            }
        }
    }

    /// A network management request, and where its answer will be.
    fn network(&self, code: &str) -> (Ask, oneshot::Receiver<Result<Message, LinkError>>) {
        let (answer, answered) = oneshot::channel();
        let message = Message::new(Mti::NETWORK)
            .with(number::INSTITUTION, &self.config.institution)
            .with(number::NETWORK, code);
        let until = Instant::now()
            .checked_add(self.config.timeout)
            .unwrap_or_else(Instant::now);
        let every = self.config.timeout;
        (
            Ask {
                message,
                answer,
                until,
                repeats: 0,
                every,
            },
            answered,
        )
    }

    /// Carries requests and answers until the connection breaks, and says why; `None` when nobody
    /// can ask any more.
    async fn serve(
        mut self,
        queue: &mut mpsc::Receiver<Ask>,
        waiting: &mut VecDeque<Ask>,
    ) -> Option<LinkError> {
        let broken = self.carry(queue, waiting).await;
        if broken.is_none() {
            let (ask, _answered) = self.network(number::SIGN_OFF);
            let _ = self.send(ask).await;
        }
        let why = broken
            .clone()
            .unwrap_or_else(|| LinkError::NoAnswer("signed off".to_owned()));
        self.flights.fail(&LinkError::NoAnswer(why.to_string()));
        broken
    }

    async fn carry(
        &mut self,
        queue: &mut mpsc::Receiver<Ask>,
        waiting: &mut VecDeque<Ask>,
    ) -> Option<LinkError> {
        for ask in waiting.drain(..) {
            if let Err(why) = self.send(ask).await {
                return Some(why);
            }
        }
        let tick =
            (self.config.timeout / 20).clamp(Duration::from_millis(10), Duration::from_millis(250));
        let mut ticks = time::interval(tick);
        ticks.set_missed_tick_behavior(time::MissedTickBehavior::Delay);
        let mut heard = Instant::now();
        let mut echo: Option<oneshot::Receiver<Result<Message, LinkError>>> = None;
        loop {
            let room = self.flights.len() < self.config.in_flight;
            tokio::select! {
                frame = self.frames.recv() => {
                    let bytes = match frame {
                        Some(Ok(bytes)) => bytes,
                        Some(Err(error)) => return Some(LinkError::NotSent(error.to_string())),
                        None => return Some(LinkError::NotSent("the connection ended".to_owned())),
                    };
                    heard = Instant::now();
                    if let Err(why) = self.hear(&bytes).await {
                        return Some(why);
                    }
                }
                ask = queue.recv(), if room => {
                    let ask = ask?;
                    if let Err(why) = self.send(ask).await {
                        return Some(why);
                    }
                }
                _ = ticks.tick() => {
                    for message in self.flights.due(Instant::now()) {
                        if let Err(why) = self.write(&message).await {
                            return Some(why);
                        }
                    }
                    if let Some(answered) = &mut echo {
                        match answered.try_recv() {
                            Ok(Ok(_)) => echo = None,
                            Err(oneshot::error::TryRecvError::Empty) => {}
                            Ok(Err(_)) | Err(oneshot::error::TryRecvError::Closed) => {
                                return Some(LinkError::NotSent("an echo was not answered".to_owned()));
                            }
                        }
                    } else if heard.elapsed() >= self.config.echo {
                        let (ask, answered) = self.network(number::ECHO);
                        echo = Some(answered);
                        if let Err(why) = self.send(ask).await {
                            return Some(why);
                        }
                    }
                }
            }
        }
    }

    /// Gives a request its STAN, RRN and time, and sends it; one whose caller has gone is dropped.
    async fn send(&mut self, mut ask: Ask) -> Result<(), LinkError> {
        if ask.answer.is_closed() {
            return Ok(());
        }
        let trace = self.flights.next_trace();
        let now = Timestamp::now();
        ask.message
            .set(number::TRANSMITTED, now.strftime("%m%d%H%M%S").to_string());
        ask.message.set(number::TRACE, &trace);
        if ask.message.text(number::RETRIEVAL).is_none() {
            // Last digit of the year, day of the year, hour, STAN.
            let hour = now.strftime("%y%j%H").to_string();
            let retrieval = format!("{}{trace}", hour.get(1..).unwrap_or_default());
            ask.message.set(number::RETRIEVAL, retrieval);
        }
        match self.config.codec.encode(&ask.message) {
            Ok(bytes) => {
                self.flights.add(trace, ask);
                self.put(&bytes).await
            }
            Err(error) => {
                ask.refuse(LinkError::NotSent(error.to_string()));
                Ok(())
            }
        }
    }

    async fn write(&mut self, message: &Message) -> Result<(), LinkError> {
        match self.config.codec.encode(message) {
            Ok(bytes) => self.put(&bytes).await,
            Err(error) => {
                tracing::error!(%error, "a message to the issuer cannot be written");
                Ok(())
            }
        }
    }

    async fn put(&mut self, bytes: &[u8]) -> Result<(), LinkError> {
        let header = self.config.codec.table().header;
        match time::timeout(
            self.config.timeout,
            frame::write(&mut self.writer, bytes, header),
        )
        .await
        {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(LinkError::NotSent(error.to_string())),
            Err(_) => Err(LinkError::NotSent("the issuer does not read".to_owned())),
        }
    }

    /// What the issuer says: an answer to somebody, or a request of its own.
    async fn hear(&mut self, bytes: &[u8]) -> Result<(), LinkError> {
        let message = match self.config.codec.decode(bytes) {
            Ok(message) => message,
            Err(error) => {
                tracing::error!(issuer = self.config.address, %error, "the issuer sent something that is no message; it is dropped");
                return Ok(());
            }
        };
        if !message.mti.asks() {
            if let Err(message) = self.flights.land(message) {
                tracing::warn!(
                    ?message,
                    "an answer that nobody waits for (late, twice, or not ours)"
                );
            }
            return Ok(());
        }
        if message.mti != Mti::NETWORK {
            tracing::error!(
                ?message,
                "the issuer asks for something the gateway does not do"
            );
            return Ok(());
        }
        let Some(mti) = message.mti.answer() else {
            return Ok(());
        };
        let mut answer = Message::new(mti).with(number::RESPONSE, "00");
        for field in [
            number::TRANSMITTED,
            number::TRACE,
            number::INSTITUTION,
            number::RETRIEVAL,
            number::NETWORK,
        ] {
            if let Some(text) = message.text(field) {
                answer.set(field, text);
            }
        }
        self.write(&answer).await
    }
}
