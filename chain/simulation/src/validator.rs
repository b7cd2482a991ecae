//! One real validator in the simulated net: the node's own engine on a simulated network, a
//! simulated disk and a virtual clock.
//!
//! A validator is one task and everything below it. Aborting that task is a crash: nothing of it
//! runs on, and what its disk had not written is gone.

use crate::{
    committee::Committee,
    deaf::Deaf,
    engine::{CHANNELS, Launch, Line, launch},
    error::Failure,
    ethereum::{Clock as EthereumClock, Endpoint},
    ledger::Ledger,
    load::Load,
    scenario::{Malice, Scenario},
    voice::{Audience, Voice},
};
use commonware_cryptography::Signer as _;
use commonware_p2p::simulated::{Oracle, SplitTarget};
use commonware_runtime::{Clock as _, Handle, Quota, Spawner as _, Supervisor as _, deterministic};
use commonware_utils::{NZU32, SystemTimeExt as _};
use mileverse_consensus::watch;
use mileverse_consensus::{
    application::Tip,
    block::PublicKey,
    duties::{Duties, Setup},
    engine::{Start, schemes::Schemes},
    index::Index,
    mempool::{Mempool, Sender},
    sync::Progress,
};
use mileverse_execution::Executor;
use mileverse_primitives::certificate;
use std::{
    collections::{BTreeSet, VecDeque},
    num::NonZeroU32,
    sync::Arc,
    time::Duration,
};
use tempfile::TempDir;
use tokio::sync::mpsc;

/// Added to the idle block time before a silent leader loses its turn, as in a real node.
const LEADER_GRACE: Duration = Duration::from_millis(2000);
const BACKFILL: u64 = 3;
const BROADCAST: u64 = 4;
const CEREMONY: u64 = 6;
/// Messages to one peer at once. Receivers keep room for a burst of every peer, so this decides the
/// memory of a large committee.
const BURST: NonZeroU32 = NZU32!(64);
/// Messages to one peer per second, for each channel.
const QUOTA: Quota = Quota::per_second(NZU32!(4096)).allow_burst(BURST);

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
    /// Where validators note what they signed.
    pub directory: TempDir,
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
            directory: tempfile::tempdir().map_err(|error| setup(error.to_string()))?,
            committee,
            scenario,
            load,
            ethereum: EthereumClock::default(),
            ledger: Ledger::default(),
            indexes,
        })
    }

    /// Who hears a validator's engine, and who its second one, on a channel.
    fn audiences(&self, validator: usize, channel: u64) -> [Audience; 2] {
        let malice = self
            .scenario
            .malice
            .iter()
            .find(|(who, _)| *who == validator)
            .map(|(_, malice)| *malice);
        match malice {
            None => [Audience::All, Audience::All],
            Some(Malice::Withholds) if [BACKFILL, BROADCAST].contains(&channel) => {
                [Audience::nobody(), Audience::nobody()]
            }
            Some(Malice::Withholds) => [Audience::All, Audience::All],
            Some(Malice::Silent) => [Audience::nobody(), Audience::nobody()],
            Some(Malice::Equivocates) => [0, 1].map(|half| {
                let nodes = self.committee.keys().into_iter().enumerate();
                let half = nodes.filter(|(at, _)| *at != validator && at % 2 == half);
                Audience::Only(Arc::new(half.map(|(_, key)| key).collect()))
            }),
        }
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
        .map(|identity| identity.public_key())
        .ok_or_else(|| setup("there is no such validator"))?;
    let nothing = Arc::new(BTreeSet::new());
    let missed = net.scenario.deaf.get(&validator).cloned();
    let missed = missed.map_or_else(|| Arc::clone(&nothing), Arc::new);
    let control = oracle.control(name.clone());
    let mut primary = VecDeque::new();
    let mut secondary = VecDeque::new();
    for channel in CHANNELS {
        let deaf = if channel == CEREMONY {
            &missed
        } else {
            &nothing
        };
        let (sender, receiver) = control
            .register(channel, QUOTA)
            .await
            .map_err(|error| Failure::Setup(error.to_string()))?;
        let [one, other] = net.audiences(validator, channel);
        let hears = if net.equivocates(validator) {
            let (hears, too) = receiver.split_with(context.child("ears"), |_| SplitTarget::Both);
            let too = Deaf::new(too, Arc::clone(deaf));
            secondary.push_back((Voice::new(sender.clone(), other), too));
            hears
        } else {
            receiver
        };
        primary.push_back((Voice::new(sender, one), Deaf::new(hears, Arc::clone(deaf))));
    }
    let net = Arc::clone(net);
    let oracle = oracle.clone();
    Ok(context.spawn(move |context| async move {
        let second = (!secondary.is_empty()).then(|| {
            let seat = Seat {
                net: Arc::clone(&net),
                validator,
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
    twin: bool,
}

async fn run(
    context: deterministic::Context,
    seat: Seat,
    oracle: Oracle<PublicKey, deterministic::Context>,
    lines: VecDeque<Line>,
) {
    let honest = seat.net.scenario.is_honest(seat.validator);
    let (net, validator) = (Arc::clone(&seat.net), seat.validator);
    if let Err(reason) = engine(context, seat, oracle, lines).await
        && honest
    {
        net.ledger.fail(Failure::Stopped { validator, reason });
    }
}

async fn engine(
    context: deterministic::Context,
    seat: Seat,
    oracle: Oracle<PublicKey, deterministic::Context>,
    lines: VecDeque<Line>,
) -> Result<(), String> {
    let Seat {
        net,
        validator,
        twin,
    } = seat;
    let scenario = &net.scenario;
    let committee = &net.committee;
    let missing = |what: &str| format!("validator {validator} has no {what}");
    // An equivocator's second engine has an index, secrets and files of its own.
    let pick = usize::from(twin);
    let index = net
        .indexes
        .get(validator)
        .and_then(|both| both.get(pick))
        .cloned()
        .ok_or_else(|| missing("index"))?;
    let secrets = committee
        .secrets
        .get(validator)
        .and_then(|both| both.get(pick))
        .ok_or_else(|| missing("secrets"))?;
    let identity = committee
        .identities
        .get(validator)
        .cloned()
        .ok_or_else(|| missing("key"))?;
    let prefix = format!("validator-{validator}-{pick}");
    let directory = net.directory.path().join(&prefix);
    std::fs::create_dir_all(&directory).map_err(|error| error.to_string())?;

    let newest = index.newest().map_err(|error| error.to_string())?;
    let mempool = Mempool::new(committee.genesis.gas_limit);
    if newest.is_none() {
        for (registration, balance) in &committee.registrations {
            let sender = Sender {
                nonce: 0,
                balance: *balance,
                ..Sender::default()
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
    let duties = Duties::open(
        &context,
        Setup {
            genesis: &committee.genesis,
            genesis_hash: committee.genesis_hash,
            genesis_block: &committee.genesis_block,
            identity: identity.clone(),
            directory: &directory,
            index: &index,
        },
    )
    .map_err(|error| error.to_string())?;
    let client = Client {
        net: Arc::clone(&net),
        validator: (!twin && scenario.is_honest(validator)).then_some(validator),
        index: index.clone(),
        mempool: mempool.clone(),
        // An equivocator's second engine has other things to say than the first.
        load: if twin {
            scenario.load.div_ceil(2)
        } else {
            scenario.load
        },
    };
    let watching = context
        .child("client")
        .spawn(move |context| client.follow(context, tips));
    let launched = launch(Launch {
        disk: scenario.disk,
        lines,
        oracle,
        guests: committee.guests(validator),
        identity,
        prefix,
        genesis: committee.genesis.clone(),
        genesis_hash: committee.genesis_hash,
        genesis_block: committee.genesis_block.clone(),
        executor: net.executor.clone(),
        ethereum: Endpoint::of(validator, scenario.endpoints, net.ethereum.clone()),
        elections: committee.rota.clone(),
        secrets: secrets.resharing.clone(),
        rotation_secrets: secrets.rotation.clone(),
        rotates: true,
        duties,
        mempool,
        index,
        tip,
        schemes: Schemes::new(
            &certificate::namespace(committee.genesis.chain_id),
            *committee.first.output.public().public(),
        ),
        fatal,
        leader_timeout: Duration::from_millis(scenario.pace.idle_block_time_ms)
            .saturating_add(LEADER_GRACE),
        start: Start::Replay,
        progress: Progress::default(),
        context: context.child("node"),
    })
    .await?;
    tokio::select! {
        biased;
        reason = failed.recv() => Err(reason.unwrap_or_else(|| "the application ended".into())),
        ended = launched.engine => Err(format!("consensus ended: {ended:?}")),
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
                    let begins = self.net.scenario.begins();
                    let now = Duration::from_millis(context.current().epoch_millis());
                    let now = now.saturating_sub(begins);
                    self.net.ledger.enter(validator, &block, begins, now);
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
