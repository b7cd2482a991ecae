//! Runs a scenario from its first message to its verdict.

use crate::{
    error::Failure,
    ledger::Final,
    quarter::{self, Paid},
    scenario::{Fault, Line, Scenario},
    validator::{self, Net},
};
use commonware_p2p::simulated::{Config as NetworkConfig, Link, Network, Oracle};
use commonware_runtime::{
    Clock as _, Handle, Metrics as _, Runner as _, Spawner as _, Supervisor as _, deterministic,
};
use commonware_utils::{NZUsize, Probability, SystemTimeExt as _};
use mileverse_consensus::{block::PublicKey, engine};
use mileverse_primitives::B256;
use std::{
    collections::BTreeMap,
    num::NonZeroUsize,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::{Duration, UNIX_EPOCH},
};

/// How often the world looks at itself, in virtual time.
const LOOK: Duration = Duration::from_millis(20);
/// Epochs whose peers are kept at a time, as in a real node.
const PEER_SETS: NonZeroUsize = NZUsize!(4);
/// Ethereum finalizes a block this often.
const ETHEREUM_PACE: Duration = Duration::from_secs(12);
/// Longest virtual time for one block once the net is good.
const BLOCK_PATIENCE: Duration = Duration::from_secs(15);
/// Longest virtual time to find together again once the net is good.
const REUNION_PATIENCE: Duration = Duration::from_secs(90);

/// What a run came to.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Each honest validator's final blocks by height.
    pub finals: BTreeMap<usize, BTreeMap<u64, Final>>,
    /// Virtual time that went by.
    pub lasted: Duration,
    /// Hash over everything that happened in the runtime.
    pub audit: String,
    /// Crashes that were tried.
    pub crashes: u64,
    /// Views that went by, once the net was good, before a block made after that was final.
    pub views_to_recover: u64,
    /// Ceremonies that failed.
    pub failed_ceremonies: u64,
    /// How the quarter was paid, if one ended and everybody was.
    pub paid: Option<Paid>,
}

impl Outcome {
    /// Each validator's final blocks: height, digest, root of the state after it.
    fn chains(&self) -> Vec<(usize, u64, B256, B256)> {
        self.finals
            .iter()
            .flat_map(|(validator, finals)| {
                finals.iter().map(|(height, block)| {
                    (*validator, *height, block.digest, block.header.state.root)
                })
            })
            .collect()
    }

    /// Each validator's last final block, with the root of the state after it.
    pub fn last(&self) -> Vec<(u64, B256, B256)> {
        self.finals
            .values()
            .filter_map(|finals| finals.last_key_value())
            .map(|(height, block)| (*height, block.digest, block.header.state.root))
            .collect()
    }

    /// The highest final block.
    pub fn height(&self) -> u64 {
        let heights = self
            .finals
            .values()
            .filter_map(|finals| finals.keys().next_back());
        heights.max().copied().unwrap_or_default()
    }
}

/// Where a run stands, for those who watch.
#[derive(Clone, Copy, Debug)]
pub struct Sight {
    /// Virtual time.
    pub now: Duration,
    /// The highest final block.
    pub height: u64,
}

/// Most views that may go by once the net is good before a new block is final: each of those who
/// break the rules may waste a turn, two views may have begun with the trouble, and one more is
/// spent finding together.
pub const fn most_views(scenario: &Scenario) -> u64 {
    (scenario.tolerated() as u64).saturating_add(3)
}

/// Runs a scenario; `watch` is called now and then. A panic anywhere below is a failure too.
pub fn run(scenario: &Scenario, watch: &mut dyn FnMut(Sight)) -> Result<Outcome, Failure> {
    catch_unwind(AssertUnwindSafe(|| run_once(scenario, watch))).unwrap_or_else(|panic| {
        let words = panic
            .downcast_ref::<String>()
            .map(String::as_str)
            .or_else(|| panic.downcast_ref::<&str>().copied());
        Err(Failure::Panic(words.unwrap_or("without a word").to_owned()))
    })
}

/// Runs a scenario twice: every validator must have the same final blocks both times, each with the
/// same state after it, and everything must have happened in the same order.
pub fn run_twice(scenario: &Scenario) -> Result<Outcome, Failure> {
    let one = run(scenario, &mut |_| {})?;
    let other = run(scenario, &mut |_| {})?;
    let differ = |what: &str| Err(Failure::NotRepeatable(what.to_owned()));
    if one.chains() != other.chains() {
        return differ("the validators' final blocks are others");
    }
    if one.audit != other.audit {
        return differ("the blocks are the same, but not the order of all events");
    }
    Ok(one)
}

fn run_once(scenario: &Scenario, watch: &mut dyn FnMut(Sight)) -> Result<Outcome, Failure> {
    let config = deterministic::Config::new()
        .with_seed(scenario.seed)
        .with_cycle(scenario.tick)
        .with_start_time(UNIX_EPOCH + scenario.begins());
    let net = Arc::new(Net::new(scenario.clone())?);
    deterministic::Runner::new(config).start(|context| async move {
        let mut world = World::new(context, net).await?;
        let verdict = world.play(watch).await;
        // Nothing of a validator may outlive the runtime.
        world.alive.clear();
        verdict
    })
}

struct World {
    context: deterministic::Context,
    net: Arc<Net>,
    oracle: Oracle<PublicKey, deterministic::Context>,
    alive: BTreeMap<usize, Handle<()>>,
    starts: u64,
    crashes: u64,
    /// How each line is now; a missing one carries nothing.
    lines: BTreeMap<(usize, usize), Line>,
}

impl World {
    async fn new(context: deterministic::Context, net: Arc<Net>) -> Result<Self, Failure> {
        let nodes = net.scenario.nodes();
        let setup = |what: &str| Failure::Setup(what.to_owned());
        let (network, oracle) = Network::new(
            context.child("network"),
            NetworkConfig {
                max_size: engine::largest_message(net.committee.genesis.limits()),
                max_peers_per_set: NonZeroUsize::new(nodes)
                    .ok_or_else(|| setup("nobody is in it"))?,
                disconnect_on_block: true,
                tracked_peer_sets: PEER_SETS,
            },
        );
        network.start();
        Ok(Self {
            context,
            net,
            oracle,
            alive: BTreeMap::new(),
            starts: 0,
            crashes: 0,
            lines: BTreeMap::new(),
        })
    }

    fn now(&self) -> Duration {
        Duration::from_millis(self.context.current().epoch_millis())
            .saturating_sub(self.net.scenario.begins())
    }

    async fn play(&mut self, watch: &mut dyn FnMut(Sight)) -> Result<Outcome, Failure> {
        let net = Arc::clone(&self.net);
        let scenario = &net.scenario;
        let ethereum = net.ethereum.clone();
        self.context
            .child("ethereum")
            .spawn(move |context| async move {
                loop {
                    context.sleep(ETHEREUM_PACE).await;
                    ethereum.advance();
                }
            });
        self.draw_lines().await?;
        for validator in 0..scenario.nodes() {
            self.start(validator).await?;
        }
        let good = scenario.good_from();
        let blocks = scenario
            .epochs
            .saturating_mul(scenario.epoch_blocks)
            .saturating_add(scenario.blocks);
        let limit = good.saturating_add(REUNION_PATIENCE).saturating_add(
            BLOCK_PATIENCE.saturating_mul(u32::try_from(blocks).unwrap_or(u32::MAX)),
        );
        let mut marks: Vec<Duration> = scenario
            .faults
            .iter()
            .flat_map(|fault| [fault.at(), fault.until()])
            .collect();
        marks.sort_unstable();
        let mut marks = marks.into_iter().peekable();
        let mut good_since = None;
        loop {
            let now = self.now();
            let mut changed = false;
            while marks.next_if(|mark| *mark <= now).is_some() {
                changed = true;
            }
            if changed {
                self.arrange(now).await?;
            }
            if let Some(failure) = net.ledger.take_failure() {
                return Err(failure);
            }
            if now >= good && good_since.is_none() {
                good_since = Some((net.ledger.highest(), self.newest_view()));
            }
            if let Some((height, view)) = good_since {
                // Some blocks of the next epoch show that its committee signs.
                let epochs = scenario.epochs.saturating_mul(scenario.epoch_blocks);
                let wanted = height.max(epochs).saturating_add(scenario.blocks);
                let honest = (0..scenario.nodes()).filter(|who| scenario.is_honest(*who));
                if honest
                    .map(|who| net.ledger.height(who))
                    .all(|height| height >= wanted)
                {
                    let honest = (0..scenario.nodes()).find(|who| scenario.is_honest(*who));
                    let paid = quarter::judge(&net, honest.unwrap_or_default()).await?;
                    let outcome = self.verdict(good, view)?;
                    return Ok(Outcome { paid, ..outcome });
                }
            }
            if now > limit {
                return Err(Failure::Stalled {
                    good,
                    waited: now.saturating_sub(good),
                    blocks: scenario.blocks,
                    heights: (0..scenario.nodes())
                        .map(|who| net.ledger.height(who))
                        .collect(),
                });
            }
            watch(Sight {
                now,
                height: net.ledger.highest(),
            });
            self.context.sleep(LOOK).await;
        }
    }

    fn verdict(&self, good: Duration, at: (u64, u64)) -> Result<Outcome, Failure> {
        let finals = self.net.ledger.finals();
        let (epoch, view) = at;
        // Views begin anew with an epoch: the first new block of a later one says nothing here.
        let recovered = finals
            .values()
            .flat_map(BTreeMap::values)
            .filter(|block| block.proposed() >= good)
            .min_by_key(|block| block.header.height)
            .map(|block| block.header.turn)
            .filter(|turn| turn.epoch == epoch)
            .map_or(view, |turn| turn.view);
        let took = recovered.saturating_sub(view);
        let most = most_views(&self.net.scenario);
        if took > most {
            return Err(Failure::Slow { took, most });
        }
        let failed_ceremonies = self.judge_epochs()?;
        Ok(Outcome {
            finals,
            lasted: self.now(),
            audit: self.context.auditor().state(),
            crashes: self.crashes,
            views_to_recover: took,
            failed_ceremonies,
            paid: None,
        })
    }

    /// Holds the ceremonies against the plan, if the scenario has one; counts those that failed.
    fn judge_epochs(&self) -> Result<u64, Failure> {
        let scenario = &self.net.scenario;
        let mut failed = 0u64;
        let mut before = self.net.committee.rota.keys(0);
        for (epoch, next) in self.net.ledger.epochs() {
            let ceremony = epoch.saturating_sub(1);
            if !next.succeeded {
                failed = failed.saturating_add(1);
            }
            let wrong = |reason: String| Failure::Wrong {
                height: epoch.saturating_mul(scenario.epoch_blocks),
                reason,
            };
            let expected = if next.succeeded {
                self.net.committee.rota.keys(ceremony)
            } else {
                before
            };
            if next.committee != expected {
                return Err(wrong(format!("others than expected sign epoch {epoch}")));
            }
            if scenario.epochs > 0 && next.succeeded == scenario.failing.contains(&ceremony) {
                return Err(wrong(format!(
                    "the ceremony of epoch {ceremony}: succeeded = {}",
                    next.succeeded
                )));
            }
            before = next.committee;
        }
        Ok(failed)
    }

    /// The newest epoch and view that any engine is in, by the engines' own metrics.
    fn newest_view(&self) -> (u64, u64) {
        self.context
            .encode()
            .lines()
            .filter(|line| !line.starts_with('#') && line.contains("_current_view{"))
            .filter_map(|line| {
                let view = line.rsplit(' ').next()?.parse().ok()?;
                let (_, rest) = line.split_once("epoch=\"")?;
                let (epoch, _) = rest.split_once('"')?;
                Some((epoch.parse().ok()?, view))
            })
            .max()
            .unwrap_or_default()
    }

    async fn start(&mut self, validator: usize) -> Result<(), Failure> {
        self.starts = self.starts.saturating_add(1);
        let context = self
            .context
            .child("validator")
            .with_attribute("index", validator)
            .with_attribute("start", self.starts);
        let handle = validator::start(context, &self.net, &self.oracle, validator).await?;
        self.alive.insert(validator, handle);
        Ok(())
    }

    /// Makes lines and validators what the faults say they are at this time.
    async fn arrange(&mut self, now: Duration) -> Result<(), Failure> {
        self.draw_lines().await?;
        let net = Arc::clone(&self.net);
        for validator in 0..net.scenario.nodes() {
            let down = net.scenario.faults.iter().any(|fault| {
                matches!(fault, Fault::Crash { validator: who, at, until }
                    if *who == validator && *at <= now && now < *until)
            });
            match (down, self.alive.remove(&validator)) {
                (true, Some(handle)) => {
                    handle.abort();
                    self.crashes = self.crashes.saturating_add(1);
                }
                (false, None) => self.start(validator).await?,
                (_, Some(handle)) => {
                    self.alive.insert(validator, handle);
                }
                (true, None) => {}
            }
        }
        Ok(())
    }

    /// The line from one validator to another at this time, if messages pass at all.
    fn line(&self, from: usize, to: usize, now: Duration) -> Option<Line> {
        let mut line = self.net.scenario.line;
        for fault in &self.net.scenario.faults {
            if now < fault.at() || now >= fault.until() {
                continue;
            }
            match fault {
                Fault::Crash { .. } => {}
                Fault::Partition { island, .. } => {
                    if island.contains(&from) != island.contains(&to) {
                        return None;
                    }
                }
                Fault::Mute { validator, .. } => {
                    if *validator == from {
                        return None;
                    }
                }
                Fault::Weather { line: weather, .. } => line = *weather,
            }
        }
        Some(line)
    }

    async fn draw_lines(&mut self) -> Result<(), Failure> {
        let now = self.now();
        let members = self.net.committee.keys();
        for (from, sender) in members.iter().enumerate() {
            for (to, receiver) in members.iter().enumerate() {
                let wanted = (from != to).then(|| self.line(from, to, now)).flatten();
                let present = self.lines.get(&(from, to)).copied();
                if wanted == present {
                    continue;
                }
                let failed =
                    |error: commonware_p2p::simulated::Error| Failure::Setup(error.to_string());
                if present.is_some() {
                    self.oracle
                        .remove_link(sender.clone(), receiver.clone())
                        .await
                        .map_err(failed)?;
                    self.lines.remove(&(from, to));
                }
                if let Some(line) = wanted {
                    self.oracle
                        .add_link(sender.clone(), receiver.clone(), link(line)?)
                        .await
                        .map_err(failed)?;
                    self.lines.insert((from, to), line);
                }
            }
        }
        Ok(())
    }
}

fn link(line: Line) -> Result<Link, Failure> {
    let arrive = 100u64.saturating_sub(u64::from(line.loss_percent));
    Ok(Link {
        latency: line.latency,
        jitter: line.jitter,
        success_rate: Probability::new(arrive, 100)
            .ok_or_else(|| Failure::Setup("a share of lost messages above 100 %".into()))?,
    })
}
