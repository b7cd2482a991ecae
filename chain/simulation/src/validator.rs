//! One real validator in the simulated net: the node's own engine on a simulated network, a
//! simulated disk and a virtual clock.
//!
//! A validator is one task and everything below it. Aborting that task is a crash: nothing of it
//! runs on, and what its disk had not written is gone.

use crate::{
    committee::Committee,
    deaf::Deaf,
    disk::SlowDisk,
    error::Failure,
    ethereum::{Clock as EthereumClock, Endpoint},
    ledger::Ledger,
    load::Load,
    scenario::{Malice, Scenario},
};
use commonware_p2p::{
    Recipients,
    simulated::{Oracle, Receiver, SplitOrigin, SplitSender, SplitTarget},
};
use commonware_runtime::{
    Clock as _, Handle, IoBuf, Quota, Spawner as _, Supervisor as _, deterministic,
};
use commonware_utils::{NZU32, SystemTimeExt as _};
use mileverse_execution::Executor;
use mileverse_node::{
    application::{Application, Parts, Tip},
    block::PublicKey,
    consensus::{self, Channels, peers::Peers, schemes::Schemes},
    index::Index,
    mempool::{Mempool, Sender},
};
use mileverse_primitives::certificate;
use std::{
    collections::{BTreeSet, VecDeque},
    sync::Arc,
    time::Duration,
};
use tokio::sync::{mpsc, watch};

/// Added to the idle block time before a silent leader loses its turn, as in a real node.
const LEADER_GRACE: Duration = Duration::from_millis(2000);
/// The channels' numbers, in the order of [`Channels`].
const CHANNELS: [u64; 6] = [0, 1, 2, 3, 4, 6];
/// Messages to one peer per second, for each channel.
const QUOTA: Quota = Quota::per_second(NZU32!(4096));

/// Whom the messages of one engine reach.
#[derive(Clone)]
struct Audience {
    /// Only these, if set.
    primary: Option<Arc<BTreeSet<PublicKey>>>,
    /// Only these hear the second engine of the same name.
    secondary: Option<Arc<BTreeSet<PublicKey>>>,
}

impl Audience {
    fn nobody() -> Self {
        Self {
            primary: Some(Arc::default()),
            secondary: Some(Arc::default()),
        }
    }

    fn of(
        &self,
        origin: SplitOrigin,
        recipients: &Recipients<PublicKey>,
    ) -> Option<Recipients<PublicKey>> {
        let limit = match origin {
            SplitOrigin::Primary => &self.primary,
            SplitOrigin::Secondary => &self.secondary,
        };
        let Some(limit) = limit else {
            return Some(recipients.clone());
        };
        let kept: Vec<PublicKey> = match recipients {
            Recipients::All => limit.iter().cloned().collect(),
            Recipients::Some(named) => named
                .iter()
                .filter(|name| limit.contains(name))
                .cloned()
                .collect(),
            Recipients::One(name) => limit.get(name).cloned().into_iter().collect(),
        };
        (!kept.is_empty()).then_some(Recipients::Some(kept))
    }
}

/// What all validators of a net share.
pub struct Net {
    /// Its description.
    pub scenario: Scenario,
    /// Keys and genesis.
    pub committee: Committee,
    /// State transitions.
    pub executor: Executor,
    /// What is to be confirmed.
    pub load: Load,
    /// Ethereum.
    pub ethereum: EthereumClock,
    /// What became final.
    pub ledger: Ledger,
    /// Each validator's index, which outlives its crashes as a file does; a second one for the
    /// second engine of an equivocator.
    pub indexes: Vec<[Index; 2]>,
}

impl Net {
    /// Deals keys and opens indexes.
    pub fn new(scenario: Scenario) -> Result<Self, Failure> {
        let load = Load::new(crate::committee::CHAIN_ID)?;
        let committee = Committee::deal(&scenario, &load)?;
        let setup = |error: String| Failure::Setup(error);
        let open =
            || Index::in_memory(committee.genesis_hash).map_err(|error| setup(error.to_string()));
        let indexes = (0..scenario.nodes())
            .map(|_| Ok([open()?, open()?]))
            .collect::<Result<_, Failure>>()?;
        Ok(Self {
            executor: Executor::new(&committee.genesis),
            committee,
            scenario,
            load,
            ethereum: EthereumClock::default(),
            ledger: Ledger::default(),
            indexes,
        })
    }

    fn audiences(&self, validator: usize) -> [Audience; 6] {
        let malice = self
            .scenario
            .malice
            .iter()
            .find(|(who, _)| *who == validator)
            .map(|(_, malice)| *malice);
        let everybody = Audience {
            primary: None,
            secondary: None,
        };
        let mut audiences = [(); 6].map(|()| everybody.clone());
        match malice {
            None => {}
            Some(Malice::Withholds) => {
                let [_, _, _, backfill, broadcast, _] = &mut audiences;
                *backfill = Audience::nobody();
                *broadcast = Audience::nobody();
            }
            Some(Malice::Silent) => audiences = audiences.map(|_| Audience::nobody()),
            Some(Malice::Equivocates) => {
                let half = |odd: usize| -> Arc<BTreeSet<PublicKey>> {
                    let nodes = self.committee.keys().into_iter().enumerate();
                    let half = nodes.filter(|(at, _)| *at != validator && at % 2 == odd);
                    Arc::new(half.map(|(_, key)| key).collect())
                };
                let halves = Audience {
                    primary: Some(half(0)),
                    secondary: Some(half(1)),
                };
                audiences = audiences.map(|_| halves.clone());
            }
        }
        audiences
    }

    fn equivocates(&self, validator: usize) -> bool {
        self.scenario
            .malice
            .contains(&(validator, Malice::Equivocates))
    }
}

/// Starts a validator; the handle's end is its crash.
pub async fn start(
    context: deterministic::Context,
    net: &Arc<Net>,
    oracle: &Oracle<PublicKey, deterministic::Context>,
    validator: usize,
) -> Result<Handle<()>, Failure> {
    let setup = |what: &str| Failure::Setup(what.to_owned());
    let name = net
        .committee
        .identities
        .get(validator)
        .map(commonware_cryptography::Signer::public_key)
        .ok_or_else(|| setup("there is no such validator"))?;
    let nothing = Arc::new(BTreeSet::new());
    let missed = net.scenario.deaf.get(&validator).cloned();
    let missed = missed.map_or_else(|| Arc::clone(&nothing), Arc::new);
    let control = oracle.control(name.clone());
    let mut primary = VecDeque::new();
    let mut secondary = VecDeque::new();
    for (channel, audience) in CHANNELS.into_iter().zip(net.audiences(validator)) {
        let deaf = if channel == 6 { &missed } else { &nothing };
        let (sender, receiver) = control
            .register(channel, QUOTA)
            .await
            .map_err(|error| Failure::Setup(error.to_string()))?;
        let (one, other) = sender.split_with(
            move |origin: SplitOrigin, recipients: &Recipients<PublicKey>, _: &IoBuf| {
                audience.of(origin, recipients)
            },
        );
        if net.equivocates(validator) {
            let (hears, too) = receiver.split_with(context.child("ears"), |_| SplitTarget::Both);
            primary.push_back((one, Deaf::new(hears, Arc::clone(deaf))));
            secondary.push_back((other, Deaf::new(too, Arc::clone(deaf))));
        } else {
            primary.push_back((one, Deaf::new(receiver, Arc::clone(deaf))));
        }
    }
    let net = Arc::clone(net);
    let oracle = oracle.clone();
    Ok(context.spawn(move |context| async move {
        let second = (!secondary.is_empty()).then(|| {
            let seat = Seat {
                net: Arc::clone(&net),
                validator,
                name: name.clone(),
                twin: true,
            };
            let oracle = oracle.clone();
            context
                .child("twin")
                .spawn(move |context| run(context, seat, oracle, secondary))
        });
        let seat = Seat {
            net,
            validator,
            name,
            twin: false,
        };
        run(context.child("engine"), seat, oracle, primary).await;
        drop(second);
    }))
}

/// One engine's place in the net.
struct Seat {
    net: Arc<Net>,
    validator: usize,
    name: PublicKey,
    twin: bool,
}

type Line<F> = (
    SplitSender<PublicKey, deterministic::Context, F>,
    Deaf<Receiver<PublicKey>>,
);

async fn run<F>(
    context: deterministic::Context,
    seat: Seat,
    oracle: Oracle<PublicKey, deterministic::Context>,
    lines: VecDeque<Line<F>>,
) where
    F: commonware_p2p::simulated::SplitForwarder<PublicKey>,
{
    let honest = seat.net.scenario.is_honest(seat.validator);
    let (net, validator) = (Arc::clone(&seat.net), seat.validator);
    if let Err(reason) = Box::pin(engine(context, seat, oracle, lines)).await
        && honest
    {
        net.ledger.fail(Failure::Stopped { validator, reason });
    }
}

async fn engine<F>(
    context: deterministic::Context,
    seat: Seat,
    oracle: Oracle<PublicKey, deterministic::Context>,
    mut lines: VecDeque<Line<F>>,
) -> Result<(), String>
where
    F: commonware_p2p::simulated::SplitForwarder<PublicKey>,
{
    let Seat {
        net,
        validator,
        name,
        twin,
    } = seat;
    let scenario = &net.scenario;
    let mut line = || lines.pop_front().ok_or("a channel is missing");
    let channels = Channels {
        votes: line()?,
        certificates: line()?,
        resolver: line()?,
        backfill: line()?,
        broadcast: line()?,
        ceremony: line()?,
    };
    let index = net
        .indexes
        .get(validator)
        .map(|[one, other]| if twin { other } else { one }.clone())
        .ok_or("an index is missing")?;
    let committee = &net.committee;
    let identity = committee
        .identities
        .get(validator)
        .cloned()
        .ok_or("a key is missing")?;
    let secrets = committee
        .secrets
        .get(validator)
        .map(|[one, other]| if twin { other } else { one }.clone())
        .ok_or("a store of secrets is missing")?;
    let newest = index.newest().map_err(|error| error.to_string())?;
    let mempool = Mempool::new(committee.genesis.gas_limit);
    if newest.is_none() {
        for (registration, balance) in &committee.registrations {
            let sender = Sender {
                nonce: 0,
                balance: *balance,
            };
            mempool
                .add(registration.clone(), sender)
                .map_err(|error| error.to_string())?;
        }
    }
    let newest = newest.unwrap_or_else(|| committee.genesis_block.clone());
    let (tip, tips) = watch::channel(Tip {
        digest: newest.header.digest(),
        header: newest.header,
    });
    let (fatal, mut failed) = mpsc::unbounded_channel();
    // The second engine of an equivocator has other things to say than the first.
    let load = if twin {
        scenario.load.div_ceil(2)
    } else {
        scenario.load
    };
    let client = Client {
        net: Arc::clone(&net),
        validator: (!twin && scenario.is_honest(validator)).then_some(validator),
        index: index.clone(),
        mempool: mempool.clone(),
        load,
    };
    let ethereum = Endpoint::of(validator, scenario.endpoints, net.ethereum.clone());
    let watching = context.child("client").spawn({
        let tips = tips.clone();
        move |context| client.follow(context, tips)
    });
    let running = Box::pin(consensus::start(
        SlowDisk::new(context.child("node"), scenario.disk),
        consensus::Config {
            peers: Peers::new(oracle.socket_manager(), committee.guests(validator)),
            blocker: oracle.control(name),
            prefix: format!("validator-{validator}{}", if twin { "-twin" } else { "" }),
            genesis: committee.genesis.clone(),
            genesis_hash: committee.genesis_hash,
            genesis_block: committee.genesis_block.clone(),
            application: Application::new(Parts {
                identity: identity.clone(),
                executor: net.executor.clone(),
                genesis: committee.genesis.clone(),
                genesis_block: committee.genesis_block.clone(),
                ethereum: ethereum.clone(),
                mempool,
                index,
                tip,
                fatal,
            }),
            identity,
            ethereum,
            elections: committee.rota.clone(),
            secrets,
            tip: tips,
            schemes: Schemes::new(
                &certificate::namespace(committee.genesis.chain_id),
                *committee.first.output.public().public(),
            ),
            leader_timeout: Duration::from_millis(scenario.pace.idle_block_time_ms)
                .saturating_add(LEADER_GRACE),
        },
        channels,
    ))
    .await?;
    tokio::select! {
        reason = failed.recv() => Err(reason.unwrap_or_else(|| "the application ended".into())),
        ended = running.engine => Err(format!("consensus ended: {ended:?}")),
        ended = watching => ended.map_err(|error| error.to_string())?,
    }
}

/// Reports a validator's final blocks and keeps its mempool filled.
struct Client {
    net: Arc<Net>,
    /// Whose blocks these are; none for those who break the rules.
    validator: Option<usize>,
    index: Index,
    mempool: Mempool,
    load: u64,
}

impl Client {
    /// Issues in a final block.
    fn issues(&self, height: u64) -> Result<u64, String> {
        let results = self.index.results(height);
        let results = results
            .map_err(|error| error.to_string())?
            .ok_or_else(|| format!("block {height} has no results"))?;
        let issuer = self.net.load.issuer();
        let own = results
            .receipts
            .iter()
            .filter(|receipt| receipt.sender == issuer);
        Ok(own.count() as u64)
    }

    async fn follow(
        self,
        context: deterministic::Context,
        mut tips: watch::Receiver<Tip>,
    ) -> Result<(), String> {
        let mut reported = 0u64;
        let mut issued = 0u64;
        loop {
            let tip = tips.borrow_and_update().header.height;
            for height in reported.saturating_add(1)..=tip {
                let block = self
                    .index
                    .block(height)
                    .map_err(|error| error.to_string())?
                    .ok_or_else(|| format!("block {height} is final and not in the index"))?;
                issued = issued.saturating_add(self.issues(height)?);
                if let Some(validator) = self.validator {
                    let now = Duration::from_millis(context.current().epoch_millis());
                    self.net.ledger.enter(validator, &block, now);
                }
            }
            reported = tip;
            self.net
                .load
                .fill(&self.mempool, issued, self.load)
                .map_err(|error| error.to_string())?;
            if tips.changed().await.is_err() {
                return Err("the application ended".into());
            }
        }
    }
}
