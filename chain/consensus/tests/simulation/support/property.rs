//! What must hold of every net at the end, whatever happened in it.

use super::{ISSUES, Net, Shape, Validator};
use commonware_consensus::Heightable as _;
use commonware_glue::simulate::{
    exit::ExitCondition, property::Property, tracker::ProgressTracker,
};
use mileverse_consensus::{
    block::{self, Block, PublicKey},
    evidence::Evidence,
};
use mileverse_primitives::{B256, schedule::Schedule};
use mileverse_simulation::truth;
use std::{collections::BTreeSet, future::Future, pin::Pin};

/// One chain, every issue in it once, no header that Ethereum never had, every turn as scheduled,
/// every committee as elected, and no node that stopped.
#[derive(Clone)]
pub struct OneChain {
    net: Net,
}

impl OneChain {
    /// For this net.
    pub const fn new(net: Net) -> Self {
        Self { net }
    }

    fn shape(&self) -> &Shape {
        &self.net.shape
    }

    fn judge(&self, states: &[&Validator]) -> Result<(), String> {
        let stopped = self.net.stopped.lock().unwrap().clone();
        if !stopped.is_empty() {
            return Err(format!("nodes stopped: {stopped:?}"));
        }
        let height = states
            .iter()
            .map(|state| state.tip.borrow().header.height)
            .min()
            .ok_or("nobody is left")?;
        let mut issued = 0u64;
        let mut checkpoints = 0u64;
        let mut committee = self.words(0);
        for at in 1..=height {
            let block = Self::same(states, at)?;
            self.turn(&block, &committee)?;
            if let Some(checkpoint) = block.header.checkpoint {
                checkpoints += 1;
                if checkpoint != truth(checkpoint.number) {
                    return Err(format!("a lie about Ethereum is final at height {at}"));
                }
            }
            if (at + 1) % self.shape().epoch_blocks == 0 {
                committee = self.next_committee(&block, &committee)?;
            }
            let results = states[0]
                .index
                .results(at)
                .unwrap()
                .ok_or("results are missing")?;
            issued += results
                .receipts
                .iter()
                .filter(|receipt| receipt.success)
                .count() as u64;
        }
        let shape = self.shape();
        let asked = shape.asking * (1 + usize::from(shape.asking_again.is_some()));
        let due = ISSUES + (shape.nodes - shape.seats + asked) as u64;
        // Those are counted by themselves.
        let issued = if shape.filling.is_some() { due } else { issued };
        if issued != due {
            return Err(format!("{issued} of {due} transactions are final"));
        }
        // A header needs the votes of a quorum of the committee.
        let dead = self.shape().endpoints.dead;
        let seats = self.shape().seats;
        let agree = seats - dead > 2 * seats / 3;
        if agree != (checkpoints > 0) {
            return Err(format!(
                "{checkpoints} checkpoints with {:?}",
                self.shape().endpoints
            ));
        }
        Ok(())
    }

    /// The final block of a height, which all nodes must share that executed it.
    fn same(states: &[&Validator], at: u64) -> Result<Block, String> {
        let executed = |state: &&&Validator| {
            let first = state.index.first().unwrap();
            first.is_some_and(|first| first <= at)
        };
        let mut blocks = states.iter().filter(executed).map(|state| {
            let block = state.index.block(at).unwrap().ok_or("a block is missing")?;
            assert_eq!(block.height().get(), at);
            Ok::<_, String>(block)
        });
        let first = blocks.next().ok_or("nobody is left")??;
        for other in blocks {
            if other?.header != first.header {
                return Err(format!("two final blocks at height {at}"));
            }
        }
        Ok(first)
    }

    fn words(&self, epoch: u64) -> Vec<B256> {
        let seated = self.net.rota.seated(epoch);
        seated.iter().map(|elected| elected.consensus_key).collect()
    }

    fn turn(&self, block: &Block, committee: &[B256]) -> Result<(), String> {
        let turn = block.header.turn;
        let schedule = Schedule::new(self.net.genesis_hash, turn.epoch, committee)
            .map_err(|error| error.to_string())?;
        if turn.leader != schedule.leader(turn.view)
            || turn.epoch != block.header.height / self.shape().epoch_blocks
        {
            return Err(format!("{turn:?} is not as scheduled"));
        }
        Ok(())
    }

    /// Who signs after an epoch's last block: whom its ceremony had as players, or the same as
    /// before if it failed.
    fn next_committee(&self, block: &Block, before: &[B256]) -> Result<Vec<B256>, String> {
        let info = block.opens().ok_or("an epoch's last block opens none")?;
        let epoch = info.epoch.get();
        let fails = self.shape().failing.contains(&(epoch - 1));
        let next = block::next_epoch(info);
        if next.succeeded == fails {
            return Err(format!(
                "the ceremony of epoch {}: succeeded = {}",
                epoch - 1,
                next.succeeded
            ));
        }
        let expected = if fails {
            before.to_vec()
        } else {
            self.words(epoch - 1)
        };
        if next.committee != expected {
            return Err(format!("others than the players sign epoch {epoch}"));
        }
        if block::keys(info.players.iter()) != self.words(epoch) {
            return Err(format!("others than the elected play in epoch {epoch}"));
        }
        Ok(next.committee)
    }
}

impl Property<PublicKey, Validator> for OneChain {
    fn name(&self) -> &str {
        "one chain"
    }

    fn check<'a>(
        &'a self,
        _tracker: &'a ProgressTracker<PublicKey>,
        states: &'a [&'a Validator],
    ) -> Pin<Box<dyn Future<Output = Result<(), String>> + Send + 'a>> {
        Box::pin(async move { self.judge(states) })
    }
}

/// One node skipped the past: it fetched a state and executed blocks from there on.
#[derive(Clone, Copy)]
pub struct OneSynced {
    /// The least height that it must have skipped to.
    pub least: u64,
    /// The greatest.
    pub most: u64,
    /// Whether it must have become a delegate that signs.
    pub signs: bool,
}

impl Property<PublicKey, Validator> for OneSynced {
    fn name(&self) -> &str {
        "one synced"
    }

    fn check<'a>(
        &'a self,
        _tracker: &'a ProgressTracker<PublicKey>,
        states: &'a [&'a Validator],
    ) -> Pin<Box<dyn Future<Output = Result<(), String>> + Send + 'a>> {
        let firsts: Vec<u64> = states
            .iter()
            .map(|state| state.index.first().unwrap().unwrap_or_default())
            .collect();
        let synced: Vec<_> = states
            .iter()
            .zip(&firsts)
            .filter(|(_, first)| (self.least..=self.most).contains(*first))
            .collect();
        let fetched = synced
            .iter()
            .all(|(state, _)| state.progress.now().operations > 0);
        let signs = synced
            .iter()
            .all(|(state, _)| state.schemes.signs(state.tip.borrow().header.turn.epoch));
        let verdict = if synced.len() != 1
            || firsts.iter().filter(|first| **first == 1).count() + 1 != states.len()
        {
            Err(format!("nodes execute from {firsts:?} on"))
        } else if !fetched {
            Err("it fetched no state".into())
        } else if self.signs && !signs {
            Err("it does not sign".into())
        } else {
            Ok(())
        };
        Box::pin(async move { verdict })
    }
}

/// Every node that sits in the newest epoch's committee has a share to sign it with.
#[derive(Clone, Copy)]
pub struct AllSign;

impl Property<PublicKey, Validator> for AllSign {
    fn name(&self) -> &str {
        "all sign"
    }

    fn check<'a>(
        &'a self,
        _tracker: &'a ProgressTracker<PublicKey>,
        states: &'a [&'a Validator],
    ) -> Pin<Box<dyn Future<Output = Result<(), String>> + Send + 'a>> {
        let without = states
            .iter()
            .filter(|state| !state.schemes.signs(state.tip.borrow().header.turn.epoch))
            .count();
        Box::pin(async move {
            match without {
                0 => Ok(()),
                count => Err(format!("{count} delegates have no share")),
            }
        })
    }
}

/// Delegates attested results and blocks took their words; whoever signed two headers for a view
/// is known to every other node, and nobody else is accused.
#[derive(Clone)]
pub struct Answered {
    net: Net,
}

impl Answered {
    /// For this net.
    pub const fn new(net: Net) -> Self {
        Self { net }
    }

    fn judge(&self, states: &[&Validator]) -> Result<(), String> {
        let key = |number: &usize| B256::from_slice(&self.net.key(*number));
        let twins: BTreeSet<B256> = self.net.shape.twins.iter().map(key).collect();
        let mut words = BTreeSet::new();
        for state in states {
            let me = state.duties.proposer.key();
            let accused: BTreeSet<B256> = state
                .duties
                .evidence
                .open_entries()
                .iter()
                .map(Evidence::offender)
                .collect();
            // Whether an offender hears of itself does not matter.
            let mut expected = twins.clone();
            if twins.contains(&me) {
                expected.retain(|twin| *twin != me || accused.contains(&me));
            }
            if accused != expected {
                return Err(format!("accused are {accused:?}, not {expected:?}"));
            }
            let tip = state.tip.borrow().header.height;
            for at in 1..=tip {
                let block = state.index.block(at).unwrap().ok_or("a block is missing")?;
                words.extend(
                    block
                        .system
                        .attestations
                        .iter()
                        .map(|one| (one.height, one.delegate)),
                );
            }
        }
        let delegates: BTreeSet<B256> = words.iter().map(|(_, delegate)| *delegate).collect();
        if delegates.len() < self.net.shape.seats {
            return Err(format!("{} delegates' words were taken", delegates.len()));
        }
        Ok(())
    }
}

impl Property<PublicKey, Validator> for Answered {
    fn name(&self) -> &str {
        "answered"
    }

    fn check<'a>(
        &'a self,
        _tracker: &'a ProgressTracker<PublicKey>,
        states: &'a [&'a Validator],
    ) -> Pin<Box<dyn Future<Output = Result<(), String>> + Send + 'a>> {
        Box::pin(async move { self.judge(states) })
    }
}

/// The corrupted nodes have stopped and said why; the others share one chain of this height.
#[derive(Clone)]
pub struct Stopped {
    /// The net.
    pub net: Net,
    /// Least height of the others.
    pub height: u64,
}

impl Stopped {
    fn reached(&self, states: &[&Validator]) -> bool {
        let ahead = states
            .iter()
            .filter(|state| state.tip.borrow().header.height >= self.height);
        ahead.count() + self.net.shape.corrupted.len() >= self.net.shape.nodes
            && self.net.stopped.lock().unwrap().len() >= self.net.shape.corrupted.len()
    }

    fn judge(&self, states: &[&Validator]) -> Result<(), String> {
        let stopped = self.net.stopped.lock().unwrap().clone();
        for number in &self.net.shape.corrupted {
            let said = stopped.iter().any(|reason| {
                reason.starts_with(&format!("{number}: block"))
                    && reason.contains("its result is another one here")
            });
            if !said {
                return Err(format!("node {number} said nothing: {stopped:?}"));
            }
        }
        if stopped.len() != self.net.shape.corrupted.len() {
            return Err(format!("others stopped too: {stopped:?}"));
        }
        let going: Vec<&Validator> = states
            .iter()
            .filter(|state| state.tip.borrow().header.height >= self.height)
            .copied()
            .collect();
        for at in 1..=self.height {
            OneChain::same(&going, at)?;
        }
        Ok(())
    }
}

impl ExitCondition<PublicKey, Validator> for Stopped {
    fn name(&self) -> &str {
        "the corrupted stopped and the others went on"
    }

    fn requires_polling(&self) -> bool {
        true
    }

    fn reached<'a>(
        &'a self,
        _tracker: &'a ProgressTracker<PublicKey>,
        states: &'a [&'a Validator],
        _target: usize,
    ) -> Pin<Box<dyn Future<Output = Result<bool, String>> + Send + 'a>> {
        Box::pin(async move { Ok(self.reached(states)) })
    }
}

impl Property<PublicKey, Validator> for Stopped {
    fn name(&self) -> &str {
        "stopped"
    }

    fn check<'a>(
        &'a self,
        _tracker: &'a ProgressTracker<PublicKey>,
        states: &'a [&'a Validator],
    ) -> Pin<Box<dyn Future<Output = Result<(), String>> + Send + 'a>> {
        Box::pin(async move { self.judge(states) })
    }
}
