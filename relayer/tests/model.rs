//! A model of the protocol, every reachable state of it looked at.
//!
//! ```txt
//! native chain            final at once; clock; packets sent, receipts
//! Ethereum                the same, at its newest block and at its finalized one; may lose all
//!                         that is not final (a reorganisation)
//! relayers                find by counting, submit, note receipts for ever; may lose their memory
//! network                 deliveries under way, in any order, repeated, lost
//! ```
//!
//! Transfers to the native chain may carry a swap: it is received if it is in time and its price
//! stands, and expires otherwise. The price moves at any moment, once. Senders may want an
//! acknowledgement: what is received then sends one home, where it shuts the refund out.
//!
//! **Bounds.** Each test names its transfers each way, whether those to the native chain are swaps, whether
//! senders want acknowledgements, and its relayers; a clock has three values, of
//! which the deadline allows the first two. One message may be lost, one relayer may lose its
//! memory, Ethereum may be reorganised once. Within these bounds the search is exhaustive.
//!
//! **Properties.** No packet is both received and refunded, none both acknowledged and refunded, and none
//! acknowledged that was not received. What is held at home is what was made
//! away and what is in flight. And from every state, without any more trouble, the relayers that
//! are left bring every packet to its end: none is lost. [`Fault`]s are planted to see that the
//! search would find them.

#![allow(
    clippy::unwrap_used,
    clippy::missing_docs_in_private_items,
    missing_docs
)]

use stateright::{Checker, HasDiscoveries, Model, Property};
use std::collections::BTreeSet;

/// The last moment of a clock; the deadline is one before.
const END: u8 = 2;
const DEADLINE: u8 = 1;

/// What is built wrongly on purpose.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Fault {
    None,
    /// A relayer takes a receipt for final that may be taken back.
    DoneBeforeFinal,
    /// A relayer that misses a packet goes on with the next.
    SkipsGaps,
    /// The source refunds by its own clock, without a proof of the expiry.
    RefundsByItself,
    /// The destination keeps no receipt of what expired there.
    ForgetsExpiry,
    /// A delivery that comes twice takes effect twice.
    TakesTwice,
    /// A swap that fails sends its expiry home and keeps what it was given.
    KeepsFailedSwap,
    /// A swap is decided anew by every delivery, as long as its price has moved.
    SwapsAgain,
    /// The destination acknowledges what expired there, beside its expiry.
    AcknowledgesExpired,
    /// The same, and the source takes one piece of news after the other.
    TakesBothNews,
}

#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
enum Way {
    ToEthereum,
    ToNative,
}

const WAYS: [Way; 2] = [Way::ToEthereum, Way::ToNative];

impl Way {
    const fn index(self) -> usize {
        match self {
            Self::ToEthereum => 0,
            Self::ToNative => 1,
        }
    }

    const fn back(self) -> Self {
        match self {
            Self::ToEthereum => Self::ToNative,
            Self::ToNative => Self::ToEthereum,
        }
    }
}

#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
enum Kind {
    Transfer,
    /// A transfer that is swapped where it arrives.
    Swap,
    /// Of the transfer of this number that went the other way.
    Expiry(usize),
    /// Of the same, which was received.
    Acknowledgement(usize),
}

impl Kind {
    const fn is_transfer(self) -> bool {
        matches!(self, Self::Transfer | Self::Swap)
    }
}

#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
enum Receipt {
    Received,
    Expired,
}

/// One side of the bridge. One token, at home on the native chain, one unit a transfer.
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
struct Side {
    time: u8,
    sent: Vec<Kind>,
    refunded: BTreeSet<usize>,
    acknowledged: BTreeSet<usize>,
    receipts: Vec<Option<Receipt>>,
    /// Held here (native chain) or made here (Ethereum).
    stock: i8,
}

#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
struct Relayer {
    /// Packets counted so far, each way.
    next: [usize; 2],
    /// Those that are known.
    found: [BTreeSet<usize>; 2],
    /// Those that are done for ever.
    done: [BTreeSet<usize>; 2],
}

#[derive(Clone, Debug, Eq, Hash, PartialEq)]
struct World {
    native: Side,
    ethereum: Side,
    finalized: Side,
    relayers: Vec<Relayer>,
    network: BTreeSet<(usize, usize)>,
    losses: u8,
    crashes: u8,
    reorganisations: u8,
    /// Transfers that members may still send, each way.
    left: [u8; 2],
    /// Whether the price has moved below what swaps ask for.
    moved: bool,
}

#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
enum Step {
    Send(Way),
    TimeOnNative,
    TimeOnEthereum,
    PriceMoves,
    Find(usize, Way),
    /// The endpoint hides the next packet.
    Hide(usize, Way),
    Submit(usize, Way, usize),
    /// A delivery reaches its chain; it may come again.
    Arrive(Way, usize, bool),
    Lose(Way, usize),
    Note(usize, Way, usize),
    Crash(usize),
    Finalize,
    Reorganise,
    RefundByClock(Way, usize),
}

struct Protocol {
    transfers: [u8; 2],
    /// Whether those to the native chain are swaps.
    swaps: bool,
    /// Whether senders want acknowledgements.
    asks: bool,
    relayers: usize,
    fault: Fault,
}

impl World {
    const fn source(&self, way: Way) -> &Side {
        match way {
            Way::ToEthereum => &self.native,
            Way::ToNative => &self.ethereum,
        }
    }

    const fn destination(&self, way: Way) -> &Side {
        self.source(way.back())
    }

    const fn side(&mut self, way: Way) -> &mut Side {
        match way {
            Way::ToEthereum => &mut self.native,
            Way::ToNative => &mut self.ethereum,
        }
    }

    /// What of the source can be proven to the destination.
    const fn provable(&self, way: Way) -> &Side {
        match way {
            Way::ToEthereum => &self.native,
            Way::ToNative => &self.finalized,
        }
    }

    /// Where a receipt is for ever.
    const fn forever(&self, way: Way) -> &Side {
        match way {
            Way::ToEthereum => &self.finalized,
            Way::ToNative => &self.native,
        }
    }

    /// A unit comes in: held at home, and made away; or goes out again.
    const fn stock_for_sending(way: Way) -> i8 {
        match way {
            Way::ToEthereum => 1,
            Way::ToNative => -1,
        }
    }
}

impl Side {
    fn receipt(&self, packet: usize) -> Option<Receipt> {
        self.receipts.get(packet).copied().flatten()
    }

    /// News goes home, once.
    fn tell(&mut self, news: Kind) {
        if !self.sent.contains(&news) {
            self.sent.push(news);
        }
    }

    fn keep(&mut self, packet: usize, receipt: Receipt) {
        if self.receipts.len() <= packet {
            self.receipts.resize(packet + 1, None);
        }
        self.receipts[packet] = Some(receipt);
    }
}

impl Protocol {
    /// The outcome of a proven packet, in the protocol's order.
    fn settle(&self, world: &mut World, way: Way, packet: usize) {
        let Some(kind) = world.provable(way).sent.get(packet).copied() else {
            return;
        };
        let fault = self.fault;
        let moved = world.moved;
        let side = world.side(way.back());
        let again = match fault {
            Fault::TakesTwice => true,
            Fault::SwapsAgain => kind == Kind::Swap && moved,
            _ => false,
        };
        if side.receipt(packet).is_some() && !again {
            return;
        }
        let leaving = World::stock_for_sending(way.back());
        match kind {
            Kind::Transfer if side.time <= DEADLINE => {
                side.keep(packet, Receipt::Received);
                side.stock -= leaving;
                if self.asks {
                    side.tell(Kind::Acknowledgement(packet));
                }
            }
            Kind::Swap if side.time <= DEADLINE && !moved => {
                side.keep(packet, Receipt::Received);
                side.stock -= leaving;
                if self.asks {
                    side.tell(Kind::Acknowledgement(packet));
                }
            }
            Kind::Transfer | Kind::Swap => {
                if fault == Fault::KeepsFailedSwap && side.time <= DEADLINE {
                    side.stock -= leaving;
                }
                if fault != Fault::ForgetsExpiry {
                    side.keep(packet, Receipt::Expired);
                }
                if matches!(fault, Fault::AcknowledgesExpired | Fault::TakesBothNews) {
                    side.tell(Kind::Acknowledgement(packet));
                }
                side.tell(Kind::Expiry(packet));
            }
            // One piece of news for each packet: what contradicts it is refused.
            Kind::Expiry(transfer)
                if side.acknowledged.contains(&transfer) && fault != Fault::TakesBothNews => {}
            Kind::Acknowledgement(transfer)
                if side.refunded.contains(&transfer) && fault != Fault::TakesBothNews => {}
            Kind::Expiry(transfer) => {
                side.keep(packet, Receipt::Received);
                if side.refunded.insert(transfer) {
                    side.stock -= leaving;
                }
            }
            Kind::Acknowledgement(transfer) => {
                side.keep(packet, Receipt::Received);
                side.acknowledged.insert(transfer);
            }
        }
    }

    /// No more trouble: who is left does what there is to do, until nothing changes.
    fn calm(&self, world: &World) -> World {
        let mut world = world.clone();
        loop {
            let before = world.clone();
            (world.native.time, world.ethereum.time) = (END, END);
            world.finalized = world.ethereum.clone();
            for number in 0..self.relayers {
                for way in WAYS {
                    let mut steps = Vec::new();
                    while self.can_find(&world, number, way) {
                        world = self.apply(&world, Step::Find(number, way));
                    }
                    let known: Vec<_> = world.relayers[number].found[way.index()]
                        .iter()
                        .copied()
                        .collect();
                    for packet in known {
                        if self.can_submit(&world, number, way, packet) {
                            steps.push(Step::Submit(number, way, packet));
                            steps.push(Step::Arrive(way, packet, false));
                        }
                        steps.push(Step::Finalize);
                        steps.push(Step::Note(number, way, packet));
                    }
                    for step in steps {
                        world = self.apply(&world, step);
                    }
                }
            }
            if world == before {
                return world;
            }
        }
    }

    fn can_find(&self, world: &World, relayer: usize, way: Way) -> bool {
        world.relayers[relayer].next[way.index()] < world.provable(way).sent.len()
    }

    fn can_submit(&self, world: &World, relayer: usize, way: Way, packet: usize) -> bool {
        let relayer = &world.relayers[relayer];
        relayer.found[way.index()].contains(&packet)
            && !relayer.done[way.index()].contains(&packet)
            && (world.destination(way).receipt(packet).is_none() || self.fault == Fault::TakesTwice)
    }

    fn can_note(&self, world: &World, relayer: usize, way: Way, packet: usize) -> bool {
        let seen = match self.fault {
            Fault::DoneBeforeFinal => world.destination(way),
            _ => world.forever(way),
        };
        let relayer = &world.relayers[relayer];
        relayer.found[way.index()].contains(&packet)
            && !relayer.done[way.index()].contains(&packet)
            && seen.receipt(packet).is_some()
    }

    fn apply(&self, world: &World, step: Step) -> World {
        let mut world = world.clone();
        match step {
            Step::Send(way) => {
                world.left[way.index()] -= 1;
                let swaps = self.swaps && way == Way::ToNative;
                let side = world.side(way);
                side.sent
                    .push(if swaps { Kind::Swap } else { Kind::Transfer });
                side.stock += World::stock_for_sending(way);
            }
            Step::TimeOnNative => world.native.time += 1,
            Step::TimeOnEthereum => world.ethereum.time += 1,
            Step::PriceMoves => world.moved = true,
            Step::Find(relayer, way) => {
                let relayer = &mut world.relayers[relayer];
                relayer.found[way.index()].insert(relayer.next[way.index()]);
                relayer.next[way.index()] += 1;
            }
            Step::Hide(relayer, way) => {
                // A relayer that counts sees the gap and stays where it is.
                if self.fault == Fault::SkipsGaps {
                    world.relayers[relayer].next[way.index()] += 1;
                }
            }
            Step::Submit(_, way, packet) => {
                world.network.insert((way.index(), packet));
            }
            Step::Arrive(way, packet, again) => {
                self.settle(&mut world, way, packet);
                if !again {
                    world.network.remove(&(way.index(), packet));
                }
            }
            Step::Lose(way, packet) => {
                world.losses += 1;
                world.network.remove(&(way.index(), packet));
            }
            Step::Note(relayer, way, packet) => {
                if self.can_note(&world, relayer, way, packet) {
                    world.relayers[relayer].done[way.index()].insert(packet);
                }
            }
            Step::Crash(relayer) => {
                world.crashes += 1;
                world.relayers[relayer] = Relayer::default();
            }
            Step::Finalize => world.finalized = world.ethereum.clone(),
            Step::Reorganise => {
                world.reorganisations += 1;
                // Time does not go back with the blocks; members' transfers that are lost with
                // them were never final and are gone, tokens and all.
                let time = world.ethereum.time;
                world.ethereum = world.finalized.clone();
                world.ethereum.time = time;
            }
            Step::RefundByClock(way, packet) => {
                let side = world.side(way);
                side.refunded.insert(packet);
                side.stock -= World::stock_for_sending(way);
            }
        }
        world
    }
}

impl Model for Protocol {
    type State = World;
    type Action = Step;

    fn init_states(&self) -> Vec<World> {
        // Members on Ethereum have what they are about to send home.
        let away = i8::try_from(self.transfers[1]).unwrap();
        let side = Side {
            stock: away,
            ..Side::default()
        };
        vec![World {
            native: side.clone(),
            ethereum: side.clone(),
            finalized: side,
            relayers: vec![Relayer::default(); self.relayers],
            network: BTreeSet::new(),
            losses: 0,
            crashes: 0,
            reorganisations: 0,
            left: self.transfers,
            moved: false,
        }]
    }

    fn actions(&self, world: &World, steps: &mut Vec<Step>) {
        for way in WAYS {
            if world.left[way.index()] > 0 && world.source(way).time == 0 {
                steps.push(Step::Send(way));
            }
            for packet in 0..world.source(way).sent.len() {
                if world.network.contains(&(way.index(), packet)) {
                    steps.push(Step::Arrive(way, packet, false));
                    steps.push(Step::Arrive(way, packet, true));
                    if world.losses == 0 {
                        steps.push(Step::Lose(way, packet));
                    }
                }
                let source = world.source(way);
                if self.fault == Fault::RefundsByItself
                    && source.time > DEADLINE
                    && source.sent[packet].is_transfer()
                    && !source.refunded.contains(&packet)
                {
                    steps.push(Step::RefundByClock(way, packet));
                }
            }
            for relayer in 0..self.relayers {
                if self.can_find(world, relayer, way) {
                    steps.push(Step::Find(relayer, way));
                    if self.fault == Fault::SkipsGaps {
                        steps.push(Step::Hide(relayer, way));
                    }
                }
                for packet in 0..world.source(way).sent.len() {
                    if self.can_submit(world, relayer, way, packet)
                        && !world.network.contains(&(way.index(), packet))
                    {
                        steps.push(Step::Submit(relayer, way, packet));
                    }
                    if self.can_note(world, relayer, way, packet) {
                        steps.push(Step::Note(relayer, way, packet));
                    }
                }
            }
        }
        if world.native.time < END {
            steps.push(Step::TimeOnNative);
        }
        if world.ethereum.time < END {
            steps.push(Step::TimeOnEthereum);
        }
        if self.swaps && !world.moved {
            steps.push(Step::PriceMoves);
        }
        if world.crashes == 0 {
            steps.extend((0..self.relayers).map(Step::Crash));
        }
        if world.finalized != world.ethereum {
            steps.push(Step::Finalize);
            if world.reorganisations == 0 {
                steps.push(Step::Reorganise);
            }
        }
    }

    fn next_state(&self, world: &World, step: Step) -> Option<World> {
        let next = self.apply(world, step);
        (next != *world).then_some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("not both received and refunded", |_, world: &World| {
                WAYS.iter().all(|way| {
                    world.source(*way).refunded.iter().all(|packet| {
                        world.destination(*way).receipt(*packet) != Some(Receipt::Received)
                    })
                })
            }),
            Property::always("not both acknowledged and refunded", |_, world: &World| {
                WAYS.iter().all(|way| {
                    let source = world.source(*way);
                    source.acknowledged.is_disjoint(&source.refunded)
                })
            }),
            Property::always("acknowledged is received for ever", |_, world: &World| {
                WAYS.iter().all(|way| {
                    world.source(*way).acknowledged.iter().all(|packet| {
                        world.forever(*way).receipt(*packet) == Some(Receipt::Received)
                    })
                })
            }),
            Property::always("held == made + in flight", |_, world: &World| {
                let in_flight: usize = WAYS
                    .iter()
                    .map(|way| {
                        let source = world.source(*way);
                        (0..source.sent.len())
                            .filter(|packet| {
                                source.sent[*packet].is_transfer()
                                    && !source.refunded.contains(packet)
                                    && world.destination(*way).receipt(*packet)
                                        != Some(Receipt::Received)
                            })
                            .count()
                    })
                    .sum();
                i64::from(world.native.stock)
                    == i64::from(world.ethereum.stock) + i64::try_from(in_flight).unwrap()
            }),
            Property::always("none is lost", |protocol: &Self, world: &World| {
                let calm = protocol.calm(world);
                WAYS.iter().all(|way| {
                    let (source, destination) = (calm.source(*way), calm.destination(*way));
                    (0..source.sent.len()).all(|packet| {
                        match (source.sent[packet], destination.receipt(packet)) {
                            (Kind::Transfer | Kind::Swap, Some(Receipt::Received)) => {
                                !protocol.asks || source.acknowledged.contains(&packet)
                            }
                            (_, Some(Receipt::Received)) => true,
                            (Kind::Transfer | Kind::Swap, Some(Receipt::Expired)) => {
                                source.refunded.contains(&packet)
                            }
                            _ => false,
                        }
                    })
                })
            }),
            Property::sometimes("a transfer is received", |_, world: &World| {
                WAYS.iter()
                    .any(|way| world.forever(*way).receipt(0) == Some(Receipt::Received))
            }),
            Property::sometimes("a transfer is refunded", |_, world: &World| {
                WAYS.iter()
                    .any(|way| world.source(*way).refunded.contains(&0))
            }),
            Property::sometimes("who asks is told", |protocol: &Self, world: &World| {
                !protocol.asks
                    || WAYS
                        .iter()
                        .any(|way| world.source(*way).acknowledged.contains(&0))
            }),
        ]
    }
}

/// Looks at every state; answers how many there are.
fn exhaust(transfers: [u8; 2], swaps: bool, asks: bool, relayers: usize) -> usize {
    let protocol = Protocol {
        transfers,
        swaps,
        asks,
        relayers,
        fault: Fault::None,
    };
    let checker = protocol.checker().threads(2).spawn_bfs().join();
    checker.assert_properties();
    assert!(checker.is_done(), "not every state was looked at");
    checker.unique_state_count()
}

/// Which property a fault breaks.
fn found(fault: Fault, property: &'static str) {
    // Each fault shows with the smallest of these that has what it needs.
    for (transfers, swaps, asks) in [
        ([1, 0], false, false),
        ([0, 1], false, false),
        ([0, 1], true, false),
        ([1, 0], false, true),
    ] {
        let protocol = Protocol {
            transfers,
            swaps,
            asks,
            relayers: 1,
            fault,
        };
        let checker = protocol
            .checker()
            .threads(2)
            .finish_when(HasDiscoveries::AnyOf([property].into()))
            .spawn_bfs()
            .join();
        if let Some(path) = checker.discovery(property) {
            let steps = path.into_actions();
            assert!(!steps.is_empty());
            return;
        }
    }
    unreachable!("{fault:?} is not found by {property:?}");
}

#[test]
fn two_relayers_bring_a_transfer_to_ethereum_to_its_end() {
    assert!(exhaust([1, 0], false, false, 2) > 10_000);
}

#[test]
fn two_relayers_bring_a_transfer_to_the_native_chain_to_its_end() {
    assert!(exhaust([0, 1], false, false, 2) > 20_000);
}

#[test]
fn two_transfers_one_way_end_each_for_itself() {
    assert!(exhaust([2, 0], false, false, 1) > 100_000);
}

#[test]
fn transfers_both_ways_end_each_for_itself() {
    assert!(exhaust([1, 1], false, false, 1) > 50_000);
}

#[test]
fn a_swap_is_received_or_refunded_whatever_its_price_does() {
    assert!(exhaust([0, 1], true, false, 2) > 40_000);
}

#[test]
fn who_asks_about_a_transfer_to_ethereum_is_told() {
    assert!(exhaust([1, 0], false, true, 2) > 20_000);
}

#[test]
fn who_asks_about_a_swap_is_told_or_refunded() {
    assert!(exhaust([0, 1], true, true, 2) > 40_000);
}

#[test]
fn planted_faults_are_found() {
    found(
        Fault::AcknowledgesExpired,
        "acknowledged is received for ever",
    );
    found(Fault::TakesBothNews, "not both acknowledged and refunded");
    found(Fault::DoneBeforeFinal, "none is lost");
    found(Fault::SkipsGaps, "none is lost");
    found(Fault::RefundsByItself, "not both received and refunded");
    found(Fault::ForgetsExpiry, "none is lost");
    found(Fault::TakesTwice, "held == made + in flight");
    found(Fault::KeepsFailedSwap, "held == made + in flight");
    found(Fault::SwapsAgain, "held == made + in flight");
}
