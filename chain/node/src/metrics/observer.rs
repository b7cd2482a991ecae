//! What the final blocks say of the chain and of this node's part in it.
//!
//! A delegate shows that it signs by two things that others cannot make for it and that stand in
//! final blocks: a turn it led, and an attestation of it. When [`patience`] views have passed and
//! neither came, the node is *not signing*: its share, its clock, its disk or its network is broken,
//! and it loses rewards and then its seat. The count starts anew when it joins a committee or
//! starts up.

use super::instruments::{Instruments, signed};
use mileverse_execution::RewardsStanding;
use mileverse_primitives::{B256, U256, header::Turn, schedule::Schedule};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Fewest views without a sign of life that count.
const LEAST_PATIENCE: u64 = 32;
/// Rounds of turns without a sign of life that count.
const ROUNDS: u64 = 3;
/// Most skipped views of one block that are looked through for own turns.
const MAX_SKIPPED: usize = 1000;

/// Views that a delegate among `members` may be silent for: three rounds, at least 32.
pub const fn patience(members: u64) -> u64 {
    let rounds = members.saturating_mul(ROUNDS);
    if rounds > LEAST_PATIENCE {
        rounds
    } else {
        LEAST_PATIENCE
    }
}

/// Who signs an epoch, and how that came about.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Opening {
    /// The epoch.
    pub epoch: u64,
    /// Its delegates' keys, ascending.
    pub members: Vec<B256>,
    /// Whether the ceremony before it succeeded.
    pub succeeded: bool,
}

/// A final block, as far as it is looked at.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Its height.
    pub height: u64,
    /// Its time.
    pub timestamp_ms: u64,
    /// Where in consensus it stands.
    pub turn: Turn,
    /// Whose attestations it holds.
    pub attesters: Vec<B256>,
    /// Time of the Ethereum header that it brings, if it brings one.
    pub checkpoint_ms: Option<u64>,
    /// What it says of the next epoch, if it is its epoch's last.
    pub opens: Option<Opening>,
}

/// This node's part, as it stands now.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Part {
    /// Newest final block.
    pub height: u64,
    /// Its time; the node's start if there was none yet.
    pub timestamp_ms: u64,
    /// Its epoch.
    pub epoch: u64,
    /// Whether this node is a delegate.
    pub in_committee: bool,
    /// Views since a block last showed that this node signs.
    pub silent_views: u64,
    /// Whether that is too long for a delegate.
    pub not_signing: bool,
    /// Time of the newest Ethereum header seen; the node's start if none came yet.
    pub checkpoint_ms: u64,
}

struct State {
    committee: Option<Opening>,
    next: Option<Opening>,
    schedule: Option<Schedule>,
    views: u64,
    signed_at: u64,
    part: Part,
}

/// Watches the chain for one node; clones share everything.
#[derive(Clone)]
pub struct Observer {
    genesis: B256,
    me: B256,
    started_ms: u64,
    instruments: Instruments,
    state: Arc<Mutex<State>>,
}

impl Observer {
    /// For the node `me` on the chain with genesis hash `genesis`, started at `started_ms`.
    pub fn new(genesis: B256, me: B256, started_ms: u64, instruments: Instruments) -> Self {
        let state = State {
            committee: None,
            next: None,
            schedule: None,
            views: 0,
            signed_at: 0,
            part: Part {
                height: 0,
                timestamp_ms: started_ms,
                epoch: 0,
                in_committee: false,
                silent_views: 0,
                not_signing: false,
                checkpoint_ms: started_ms,
            },
        };
        Self {
            genesis,
            me,
            started_ms,
            instruments,
            state: Arc::new(Mutex::new(state)),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// This node's part, as it stands now.
    pub fn part(&self) -> Part {
        self.lock().part
    }

    /// Whether a block of `epoch` can be judged: its committee is known.
    pub fn knows(&self, epoch: u64) -> bool {
        let state = self.lock();
        [&state.committee, &state.next]
            .into_iter()
            .flatten()
            .any(|opening| opening.epoch == epoch)
    }

    /// Tells who signs an epoch, when no block that was seen said so.
    pub fn tell(&self, opening: Opening) {
        self.instruments
            .ceremony_succeeded
            .set(opening.succeeded.into());
        self.lock().next = Some(opening);
    }

    /// Takes in the next final block, at `now_ms`.
    pub fn observe(&self, seen: &Seen, now_ms: u64) {
        let turn = seen.turn;
        let passed = turn.view.saturating_sub(turn.parent_view);
        let mut state = self.lock();
        if state.committee.as_ref().map(|opening| opening.epoch) != Some(turn.epoch) {
            self.enter(&mut state, turn.epoch);
        }
        state.views = state.views.saturating_add(passed);

        let kept = turn.leader == self.me;
        let own = seen.attesters.iter().filter(|key| **key == self.me).count() as u64;
        if kept || own > 0 {
            state.signed_at = state.views;
        }
        let missed = state.schedule.as_ref().map_or(0, |schedule| {
            (turn.parent_view.saturating_add(1)..turn.view)
                .take(MAX_SKIPPED)
                .filter(|view| schedule.leader(*view) == self.me)
                .count() as u64
        });
        let members = state
            .committee
            .as_ref()
            .map_or(0, |opening| opening.members.len() as u64);
        let silent_views = state.views.saturating_sub(state.signed_at);
        let in_committee = state.part.in_committee;
        state.part = Part {
            height: seen.height,
            timestamp_ms: seen.timestamp_ms,
            epoch: turn.epoch,
            in_committee,
            silent_views,
            not_signing: in_committee && silent_views > patience(members),
            checkpoint_ms: seen.checkpoint_ms.unwrap_or(state.part.checkpoint_ms),
        };
        if let Some(opening) = &seen.opens {
            self.instruments.count_ceremony(opening.succeeded);
            state.next = Some(opening.clone());
        }
        let part = state.part;
        drop(state);

        let instruments = &self.instruments;
        instruments.height.set(signed(part.height));
        instruments.epoch.set(signed(part.epoch));
        instruments.committee.set(signed(members));
        instruments.in_committee.set(in_committee.into());
        instruments.not_signing.set(part.not_signing.into());
        instruments.views.inc_by(passed);
        instruments.views_skipped.inc_by(passed.saturating_sub(1));
        instruments.count_turns(kept.into(), missed);
        instruments.count_votes(seen.attesters.len() as u64, own);
        // Blocks from before the start are caught up with; their age says nothing of finality.
        if seen.timestamp_ms >= self.started_ms {
            instruments
                .finality
                .observe(seconds_between(seen.timestamp_ms, now_ms));
        }
    }

    /// Takes in where the quarterly rewards stand, at `now_ms`.
    pub fn observe_rewards(&self, standing: &RewardsStanding, now_ms: u64) {
        self.instruments.show_rewards(standing, now_ms);
    }

    /// Takes in what operators have deposited for gas, in the coin's smallest unit.
    pub fn observe_gas_deposits(&self, deposits: U256) {
        self.instruments.show_gas_deposits(deposits);
    }

    fn enter(&self, state: &mut State, epoch: u64) {
        state.committee = state.next.take().filter(|opening| opening.epoch == epoch);
        let members = state
            .committee
            .as_ref()
            .map_or(&[][..], |opening| opening.members.as_slice());
        state.schedule = Schedule::new(self.genesis, epoch, members).ok();
        let member = members.contains(&self.me);
        if member && !state.part.in_committee {
            state.signed_at = state.views;
        }
        state.part.in_committee = member;
    }
}

/// From one time to another in seconds; 0 if the clocks say that it went backwards.
pub(super) fn seconds_between(from_ms: u64, to_ms: u64) -> f64 {
    std::time::Duration::from_millis(to_ms.saturating_sub(from_ms)).as_secs_f64()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const GENESIS: B256 = B256::repeat_byte(9);

    fn members() -> Vec<B256> {
        (1..=4).map(B256::repeat_byte).collect()
    }

    fn opening(epoch: u64, members: Vec<B256>) -> Opening {
        Opening {
            epoch,
            members,
            succeeded: true,
        }
    }

    /// A chain whose leaders are those of the schedule, seen by `me`.
    struct Chain {
        observer: Observer,
        instruments: Instruments,
        height: u64,
        epoch: u64,
        view: u64,
        members: Vec<B256>,
    }

    impl Chain {
        fn new(me: B256) -> Self {
            let instruments = Instruments::default();
            let observer = Observer::new(GENESIS, me, 1_000, instruments.clone());
            observer.tell(opening(0, members()));
            Self {
                observer,
                instruments,
                height: 0,
                epoch: 0,
                view: 0,
                members: members(),
            }
        }

        fn leader(&self, view: u64) -> B256 {
            Schedule::new(GENESIS, self.epoch, &self.members)
                .unwrap()
                .leader(view)
        }

        /// The next block whose leader is not among `silent`.
        fn block(&mut self, silent: &[B256], attesters: Vec<B256>, opens: Option<Opening>) {
            let parent_view = self.view;
            self.view += 1;
            while silent.contains(&self.leader(self.view)) {
                self.view += 1;
            }
            self.height += 1;
            let leader = self.leader(self.view);
            self.observer.observe(
                &Seen {
                    height: self.height,
                    timestamp_ms: 1_000 + self.height * 100,
                    turn: Turn {
                        epoch: self.epoch,
                        view: self.view,
                        parent_view,
                        leader,
                    },
                    attesters,
                    checkpoint_ms: None,
                    opens,
                },
                1_250 + self.height * 100,
            );
        }

        fn next_epoch(&mut self, members: Vec<B256>, silent: &[B256]) {
            let next = opening(self.epoch + 1, members.clone());
            self.block(silent, Vec::new(), Some(next));
            self.epoch += 1;
            self.view = 0;
            self.members = members;
        }
    }

    #[test]
    fn a_delegate_that_keeps_its_turns_signs() {
        let me = members()[0];
        let mut chain = Chain::new(me);
        for _ in 0..100 {
            chain.block(&[], Vec::new(), None);
        }
        let part = chain.observer.part();
        assert!(part.in_committee && !part.not_signing);
        assert!(part.silent_views < 8);
        let text = chain.instruments.encode("").unwrap();
        for line in [
            "mileverse_height 100",
            "mileverse_turns_total{result=\"kept\"} 25",
            "mileverse_turns_total{result=\"missed\"} 0",
            "mileverse_views_total 100",
            "mileverse_views_skipped_total 0",
            "mileverse_finality_seconds_count 100",
            "mileverse_finality_seconds_sum 25.0",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
    }

    #[test]
    fn a_silent_delegate_is_told_of_and_one_attestation_ends_it() {
        let me = members()[2];
        let mut chain = Chain::new(me);
        let mut blocks = 0;
        while !chain.observer.part().not_signing {
            chain.block(&[me], Vec::new(), None);
            blocks += 1;
            assert!(blocks < 100, "never noticed");
        }
        let part = chain.observer.part();
        assert!(part.silent_views > patience(4) && part.silent_views < patience(4) + 3);
        let text = chain.instruments.encode("").unwrap();
        assert!(text.contains("mileverse_not_signing 1"));
        assert!(!text.contains("mileverse_views_skipped_total 0"));
        chain.block(&[me], vec![members()[0], me], None);
        assert!(!chain.observer.part().not_signing);
        let text = chain.instruments.encode("").unwrap();
        assert!(text.contains("mileverse_not_signing 0"));
        assert!(text.contains("mileverse_votes_total{by=\"all\"} 2"));
        assert!(text.contains("mileverse_votes_total{by=\"own\"} 1"));
    }

    #[test]
    fn who_is_not_elected_is_not_missed() {
        let me = B256::repeat_byte(5);
        let mut chain = Chain::new(me);
        for _ in 0..100 {
            chain.block(&[], Vec::new(), None);
        }
        assert!(!chain.observer.part().in_committee);
        assert!(!chain.observer.part().not_signing);
        // Elected: the patience starts with the epoch.
        let mut next = members();
        next.push(me);
        chain.next_epoch(next, &[]);
        chain.block(&[me], Vec::new(), None);
        assert!(chain.observer.part().in_committee);
        assert!(!chain.observer.part().not_signing);
        assert!(chain.observer.part().silent_views <= 2);
        for _ in 0..60 {
            chain.block(&[me], Vec::new(), None);
        }
        assert!(chain.observer.part().not_signing);
        // Voted out again.
        chain.next_epoch(members(), &[me]);
        chain.block(&[], Vec::new(), None);
        assert!(!chain.observer.part().in_committee);
        assert!(!chain.observer.part().not_signing);
    }

    #[test]
    fn blocks_from_before_the_start_say_nothing_of_finality() {
        let instruments = Instruments::default();
        let observer = Observer::new(GENESIS, B256::ZERO, 10_000, instruments.clone());
        assert!(!observer.knows(0));
        let mut seen = Seen {
            height: 1,
            timestamp_ms: 9_999,
            turn: Turn {
                epoch: 0,
                view: 1,
                parent_view: 0,
                leader: B256::repeat_byte(1),
            },
            attesters: Vec::new(),
            checkpoint_ms: Some(5),
            opens: None,
        };
        observer.observe(&seen, 20_000);
        assert_eq!(observer.part().checkpoint_ms, 5);
        let text = instruments.encode("").unwrap();
        assert!(text.contains("mileverse_finality_seconds_count 0"));
        seen.timestamp_ms = 10_000;
        observer.observe(&seen, 20_000);
        let text = instruments.encode("").unwrap();
        assert!(text.contains("mileverse_finality_seconds_count 1"));
    }
}
