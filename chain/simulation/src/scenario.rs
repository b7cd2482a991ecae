//! A net and its troubles, as data.
//!
//! Everything that happens in a run follows from a [`Scenario`]: the same one gives the same run,
//! to the last bit. Times are virtual, counted from the start.

use crate::quarter::QuarterEnd;
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

/// An epoch that no short run sees the end of.
const ENDLESS: u64 = 10_000;

/// How messages travel between two validators.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line {
    /// Mean time one way.
    pub latency: Duration,
    /// Standard deviation of that time.
    pub jitter: Duration,
    /// Messages lost, of a hundred.
    pub loss_percent: u8,
}

impl Line {
    /// Nothing is lost, and every message takes the same time.
    pub const fn even(latency: Duration) -> Self {
        Self {
            latency,
            jitter: Duration::ZERO,
            loss_percent: 0,
        }
    }
}

/// How fast disks are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Disk {
    /// Added to everything that waits for the disk to have written.
    pub write: Duration,
    /// Added to every read that no cache answers.
    pub read: Duration,
}

impl Disk {
    /// Takes no time.
    pub const FAST: Self = Self {
        write: Duration::ZERO,
        read: Duration::ZERO,
    };
}

/// How often blocks are made, as in a genesis file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// Least time between two blocks, milliseconds.
    pub block_time_ms: u64,
    /// Longest time without a block when there is nothing to put in it, milliseconds.
    pub idle_block_time_ms: u64,
}

/// How many validators' Ethereum endpoints lie or are dead; the others are honest. The first
/// validators' lie, the next ones' are dead.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Endpoints {
    /// Offer and confirm headers that do not exist.
    pub liars: usize,
    /// Never answer.
    pub dead: usize,
}

/// What a validator that breaks the rules does, from the start to the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Malice {
    /// Runs twice under one name: each half of the others hears another leader, another block and
    /// another vote.
    Equivocates,
    /// Says that it leads and votes, and shows its blocks to nobody.
    Withholds,
    /// Hears everything and never says a word.
    Silent,
}

/// One trouble.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// A validator stops at once, loses what its disk had not written, and comes back.
    Crash {
        /// Which.
        validator: usize,
        /// When it stops.
        at: Duration,
        /// When it is back.
        until: Duration,
    },
    /// No message passes between `island` and the others.
    Partition {
        /// One side.
        island: BTreeSet<usize>,
        /// When the sea rises.
        at: Duration,
        /// When it falls.
        until: Duration,
    },
    /// A validator hears everything and is heard by nobody.
    Mute {
        /// Which.
        validator: usize,
        /// From when.
        at: Duration,
        /// To when.
        until: Duration,
    },
    /// All lines are like this for a while.
    Weather {
        /// How they are.
        line: Line,
        /// From when.
        at: Duration,
        /// To when.
        until: Duration,
    },
}

impl Fault {
    /// When it is over.
    pub const fn until(&self) -> Duration {
        match self {
            Self::Crash { until, .. }
            | Self::Partition { until, .. }
            | Self::Mute { until, .. }
            | Self::Weather { until, .. } => *until,
        }
    }

    /// When it begins.
    pub const fn at(&self) -> Duration {
        match self {
            Self::Crash { at, .. }
            | Self::Partition { at, .. }
            | Self::Mute { at, .. }
            | Self::Weather { at, .. } => *at,
        }
    }
}

/// A net, its troubles, and how long it is watched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scenario {
    /// What it is called.
    pub name: String,
    /// Seats of the committee.
    pub validators: usize,
    /// Nodes that run besides the first committee and are elected later.
    pub newcomers: usize,
    /// Members that are replaced at each epoch.
    pub stride: usize,
    /// Blocks of an epoch.
    pub epoch_blocks: u64,
    /// Epochs that the net must have left behind at the end.
    pub epochs: u64,
    /// Nodes that hear nothing of some epochs' ceremonies.
    pub deaf: BTreeMap<usize, BTreeSet<u64>>,
    /// Epochs whose ceremony must fail; if anything is named here or `epochs` is not 0, all others
    /// must succeed.
    pub failing: BTreeSet<u64>,
    /// All chance comes from it.
    pub seed: u64,
    /// The lines in good weather.
    pub line: Line,
    /// Everybody's disk.
    pub disk: Disk,
    /// The pace of blocks.
    pub pace: Pace,
    /// Everybody's Ethereum.
    pub endpoints: Endpoints,
    /// Troubles that pass.
    pub faults: Vec<Fault>,
    /// Those who break the rules.
    pub malice: Vec<(usize, Malice)>,
    /// Final blocks that every honest validator must have made after the last trouble passed.
    pub blocks: u64,
    /// Transactions that wait at any time.
    pub load: u64,
    /// A quarter that ends meanwhile.
    pub quarter: Option<QuarterEnd>,
    /// What one turn of the scheduler takes of the virtual clock.
    pub tick: Duration,
}

impl Scenario {
    /// A net without troubles.
    pub fn calm(name: &str, validators: usize, seed: u64) -> Self {
        Self {
            name: name.to_owned(),
            validators,
            newcomers: 0,
            stride: 0,
            epoch_blocks: ENDLESS,
            epochs: 0,
            deaf: BTreeMap::new(),
            failing: BTreeSet::new(),
            seed,
            line: Line {
                latency: Duration::from_millis(40),
                jitter: Duration::from_millis(10),
                loss_percent: 0,
            },
            disk: Disk::FAST,
            pace: Pace {
                block_time_ms: 200,
                idle_block_time_ms: 1000,
            },
            endpoints: Endpoints::default(),
            faults: Vec::new(),
            malice: Vec::new(),
            blocks: 10,
            load: 8,
            quarter: None,
            tick: Duration::from_millis(1),
        }
    }

    /// All nodes: the first committee and the newcomers.
    pub const fn nodes(&self) -> usize {
        self.validators.saturating_add(self.newcomers)
    }

    /// How many of a committee may break the rules or be away while the others go on.
    pub const fn tolerated(&self) -> usize {
        self.validators.saturating_sub(1) / 3
    }

    /// When the last trouble has passed.
    pub fn good_from(&self) -> Duration {
        self.faults
            .iter()
            .map(Fault::until)
            .max()
            .unwrap_or_default()
    }

    /// The moment of its start, since 1970.
    pub fn begins(&self) -> Duration {
        self.quarter.map(QuarterEnd::begins).unwrap_or_default()
    }

    /// Whether a validator keeps the rules.
    pub fn is_honest(&self, validator: usize) -> bool {
        self.malice.iter().all(|(other, _)| *other != validator)
    }
}
