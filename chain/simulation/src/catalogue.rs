//! The troubles that every change is tried in, by name. What exactly happens follows from the seed.

use crate::quarter::QuarterEnd;
use crate::scenario::{Disk, Endpoints, Fault, Line, Malice, Scenario};
use commonware_utils::TestRng;
use rand::RngExt as _;
use std::{collections::BTreeSet, ops::Range, time::Duration};

/// A kind of trouble.
#[derive(Clone, Copy)]
pub struct Kind {
    /// Its name.
    pub name: &'static str,
    /// What happens, in a sentence.
    pub about: &'static str,
    /// Committees that it is tried with when the size is left open.
    pub sizes: &'static [usize],
    shape: fn(&mut Scenario, &mut TestRng),
}

const SMALL: &[usize] = &[4, 7];

/// All kinds.
pub const KINDS: &[Kind] = &[
    Kind {
        name: "calm",
        about: "nothing goes wrong",
        sizes: SMALL,
        shape: |_, _| {},
    },
    Kind {
        name: "crashes",
        about: "again and again, as many as a committee can spare stop at once and come back",
        sizes: SMALL,
        shape: crashes,
    },
    Kind {
        name: "partition",
        about: "the net falls into two parts, one or none of which can go on, and heals",
        sizes: SMALL,
        shape: partition,
    },
    Kind {
        name: "loss",
        about: "a quarter of all messages is lost for a while, the others are late",
        sizes: SMALL,
        shape: |scenario, _| loss(scenario, Duration::from_secs(12)),
    },
    Kind {
        name: "slow-disks",
        about: "disks take their time, and some validators stop while theirs still write",
        sizes: SMALL,
        shape: slow_disks,
    },
    Kind {
        name: "silent",
        about: "as many as a committee can spare never say a word",
        sizes: SMALL,
        shape: |scenario, rng| malice(scenario, rng, Malice::Silent),
    },
    Kind {
        name: "withholding",
        about: "as many as a committee can spare lead and vote, and show their blocks to nobody",
        sizes: SMALL,
        shape: |scenario, rng| malice(scenario, rng, Malice::Withholds),
    },
    Kind {
        name: "equivocation",
        about: "as many as a committee can spare run twice, with another block and vote for each half",
        sizes: SMALL,
        shape: |scenario, rng| malice(scenario, rng, Malice::Equivocates),
    },
    Kind {
        name: "liars",
        about: "as many Ethereum endpoints as a committee can spare offer and confirm lies",
        sizes: SMALL,
        shape: liars,
    },
    Kind {
        name: "endpoints-down",
        about: "more Ethereum endpoints are dead than a committee can spare; ceremonies succeed all the same",
        sizes: &[7],
        shape: |scenario, _| {
            replacement(scenario, 3);
            scenario.stride = 1;
            scenario.endpoints.dead = scenario.tolerated().saturating_add(1);
        },
    },
    Kind {
        name: "storm",
        about: "an equivocator, crashes, a partition and a quarter of all messages lost, one on top of the other",
        sizes: SMALL,
        shape: storm,
    },
    Kind {
        name: "replacement",
        about: "a third of the committee is replaced at each of ten epochs",
        sizes: &[6],
        shape: |scenario, _| {
            replacement(scenario, 10);
        },
    },
    Kind {
        name: "failed-ceremony",
        about: "three of seven neither acknowledge nor hear in the ceremony of epoch 1, which fails",
        sizes: &[7],
        shape: |scenario, _| {
            let deaf = scenario.tolerated().saturating_add(1);
            replacement(scenario, 4);
            scenario.stride = 1;
            for node in 0..deaf {
                scenario
                    .deaf
                    .insert(node.saturating_add(1), BTreeSet::from([1]));
            }
            scenario.failing.insert(1);
        },
    },
    Kind {
        name: "crashes-across-epochs",
        about: "validators stop and come back while ceremonies are held",
        sizes: SMALL,
        shape: |scenario, rng| {
            scenario.epoch_blocks = epoch_blocks(scenario);
            for round in 0..6 {
                let down = between(rng, 200..4000);
                crash_some(scenario, rng, seconds(2 + 5 * round), down);
            }
        },
    },
    Kind {
        name: "quarter",
        about: "a quarter ends and is paid while validators stop and come back",
        sizes: SMALL,
        shape: |scenario, rng| {
            scenario.quarter = Some(QuarterEnd {
                at: between(rng, 1000..4000),
                holders: 60,
                per_block: 2,
            });
            // Everybody must have been paid by the end.
            scenario.blocks = 40;
            crashes(scenario, rng);
        },
    },
    Kind {
        name: "thirty-one",
        about: "a committee of 31, ten of which stop at once and come back",
        sizes: &[31],
        shape: |scenario, rng| {
            scenario.blocks = 4;
            crash_some(scenario, rng, seconds(3), Duration::from_secs(3));
        },
    },
    Kind {
        name: "ninety-nine",
        about: "a committee of 99, with 32 that never say a word",
        sizes: &[99],
        shape: |scenario, rng| {
            scenario.blocks = 2;
            malice(scenario, rng, Malice::Silent);
        },
    },
];

/// The kind with this name.
pub fn find(name: &str) -> Option<&'static Kind> {
    KINDS.iter().find(|kind| kind.name == name)
}

impl Kind {
    /// The scenario of a seed; the size of the committee too follows from it, unless it is given.
    pub fn scenario(&self, seed: u64, validators: Option<usize>) -> Scenario {
        let mut rng = TestRng::new(seed);
        let drawn = self
            .sizes
            .get(rng.random_range(0..self.sizes.len().max(1)))
            .copied()
            .unwrap_or(4);
        let mut scenario = Scenario::calm(self.name, validators.unwrap_or(drawn), seed);
        (self.shape)(&mut scenario, &mut rng);
        scenario
    }
}

const fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

fn between(rng: &mut TestRng, range: Range<u64>) -> Duration {
    Duration::from_millis(rng.random_range(range))
}

/// So many validators, none of which breaks the rules already.
fn choose(scenario: &Scenario, rng: &mut TestRng, count: usize) -> BTreeSet<usize> {
    let mut left: Vec<usize> = (0..scenario.validators)
        .filter(|who| scenario.is_honest(*who))
        .collect();
    let mut chosen = BTreeSet::new();
    while chosen.len() < count && !left.is_empty() {
        chosen.insert(left.swap_remove(rng.random_range(0..left.len())));
    }
    chosen
}

/// Those that a committee can still spare besides those who break the rules.
fn spare(scenario: &Scenario) -> usize {
    scenario.tolerated().saturating_sub(scenario.malice.len())
}

/// Enough for every member to lead in an epoch's second half, even when turns are missed.
fn epoch_blocks(scenario: &Scenario) -> u64 {
    (scenario.validators as u64).saturating_mul(4).max(16)
}

/// A third of the committee makes room for others at each epoch.
fn replacement(scenario: &mut Scenario, epochs: u64) {
    scenario.newcomers = scenario.validators / 2;
    scenario.stride = scenario.validators / 3;
    scenario.epoch_blocks = epoch_blocks(scenario);
    scenario.epochs = epochs;
    scenario.blocks = 4;
}

fn crash_some(scenario: &mut Scenario, rng: &mut TestRng, at: Duration, down: Duration) {
    for validator in choose(scenario, rng, spare(scenario)) {
        let at = at.saturating_add(between(rng, 0..400));
        scenario.faults.push(Fault::Crash {
            validator,
            at,
            until: at.saturating_add(down),
        });
    }
}

fn crashes(scenario: &mut Scenario, rng: &mut TestRng) {
    for round in 0..4 {
        let down = between(rng, 50..2500);
        crash_some(scenario, rng, seconds(2 + 3 * round), down);
    }
}

fn partition(scenario: &mut Scenario, rng: &mut TestRng) {
    let size = rng.random_range(1..scenario.validators.max(2));
    let at = between(rng, 1000..4000);
    let until = at.saturating_add(between(rng, 3000..12_000));
    scenario.faults.push(Fault::Partition {
        island: choose(scenario, rng, size),
        at,
        until,
    });
}

fn loss(scenario: &mut Scenario, time: Duration) {
    let at = seconds(1);
    scenario.faults.push(Fault::Weather {
        line: Line {
            latency: Duration::from_millis(80),
            jitter: Duration::from_millis(60),
            loss_percent: 25,
        },
        at,
        until: at.saturating_add(time),
    });
}

fn slow_disks(scenario: &mut Scenario, rng: &mut TestRng) {
    scenario.disk = Disk {
        write: between(rng, 10..60),
        read: Duration::from_millis(1),
    };
    let down = between(rng, 200..2000);
    crash_some(scenario, rng, seconds(4), down);
}

fn malice(scenario: &mut Scenario, rng: &mut TestRng, malice: Malice) {
    for who in choose(scenario, rng, spare(scenario)) {
        scenario.malice.push((who, malice));
    }
}

fn liars(scenario: &mut Scenario, rng: &mut TestRng) {
    scenario.endpoints = Endpoints {
        liars: scenario.tolerated(),
        dead: 0,
    };
    // Long enough for some headers of Ethereum.
    scenario.blocks = 80;
    let down = between(rng, 200..2000);
    if let Some(validator) = scenario.validators.checked_sub(1) {
        scenario.faults.push(Fault::Crash {
            validator,
            at: seconds(3),
            until: seconds(3).saturating_add(down),
        });
    }
}

fn storm(scenario: &mut Scenario, rng: &mut TestRng) {
    for who in choose(scenario, rng, 1) {
        scenario.malice.push((who, Malice::Equivocates));
    }
    loss(scenario, seconds(9));
    partition(scenario, rng);
    for round in 0..3 {
        let down = between(rng, 500..2000);
        let at = seconds(2 + 4 * round);
        for validator in choose(scenario, rng, 1) {
            scenario.faults.push(Fault::Crash {
                validator,
                at,
                until: at.saturating_add(down),
            });
        }
    }
}
