//! The bridge module's valves: limits, pauses, large transfers that wait, and who may turn them.

use super::{
    bridge::{check_books, deliver, receipt, send},
    ethereum::{Ethereum, Snapshot, coin_token, points_token},
    support::{CHAIN_ID, Chain, ETHEREUM_ID, ISSUER, Send, genesis},
};
use alloy::{
    primitives::{Address, B256, Bytes, U256, aliases::U96, keccak256},
    sol_types::{SolCall, SolEvent},
};
use mileverse_primitives::{
    abi::{
        IBridge,
        IValves::{self, Direction},
    },
    address::{BRIDGE, COIN, POINTS},
    bridge::{BridgeRules, Limits},
    packet::{Expiry, Packet, PacketId, Token},
};

pub const GUARDIAN: usize = 3;
pub const GOVERNOR: usize = 4;
const HOUR: u64 = 3_600;
pub const DAY: u64 = 24 * HOUR;
const FAR: u64 = 20 * DAY;

pub fn limits() -> Limits {
    Limits {
        send_per_hour: U96::from(100),
        send_per_day: U96::from(250),
        receive_per_hour: U96::from(1_000),
        receive_per_day: U96::from(2_500),
        large_from: U96::from(500),
        hold_seconds: 21_600,
    }
}

/// A chain whose points and coin have limits. It begins at the first second of a day.
pub fn chain() -> Chain {
    let users = Chain::some_users(5);
    let mut genesis = genesis(users[ISSUER].address());
    genesis.bridge = BridgeRules {
        guardian: users[GUARDIAN].address(),
        governor: users[GOVERNOR].address(),
        delay_seconds: 7_200,
        points: limits(),
        coin: limits(),
    };
    Chain::with(genesis, users)
}

pub fn receiver() -> Address {
    Address::repeat_byte(0x42)
}

fn leave(chain: &mut Chain, amount: u64) {
    let call = send(POINTS, receiver(), amount, chain.now + FAR);
    chain.send(Send::call(1, BRIDGE, &call));
}

fn leave_refused(chain: &mut Chain, amount: u64) -> String {
    let call = send(POINTS, receiver(), amount, chain.now + FAR);
    chain.refuse(Send::call(1, BRIDGE, &call))
}

pub fn room(chain: &Chain, token: Address) -> [U256; 4] {
    let room = chain.view(BRIDGE, IValves::roomCall { token });
    [
        room.sendInHour,
        room.sendInDay,
        room.receiveInHour,
        room.receiveInDay,
    ]
}

fn held(chain: &Chain, sequence: u64) -> (B256, u64) {
    let held = chain.view(BRIDGE, IValves::heldCall { sequence });
    (held.commitment, held.until)
}

fn waiting(chain: &Chain, from: u64, limit: u64) -> (u64, Vec<u64>) {
    let page = chain.view(
        BRIDGE,
        IValves::heldSequencesCall {
            from: U256::from(from),
            limit: U256::from(limit),
        },
    );
    (page.count.to(), page.sequences)
}

fn release(packet: &Packet) -> IValves::releaseCall {
    IValves::releaseCall {
        packet: packet.encode(),
    }
}

fn stop(packet: &Packet) -> IValves::stopCall {
    IValves::stopCall {
        packet: packet.encode(),
    }
}

/// The governor announces a call, waits, and makes it.
pub fn govern(chain: &mut Chain, call: &impl SolCall) {
    announce(chain, call);
    chain.now += 7_200;
    chain.send(Send::call(GOVERNOR, BRIDGE, call));
}

pub fn announce(chain: &mut Chain, call: &impl SolCall) -> B256 {
    announce_as(chain, GOVERNOR, call)
}

pub fn announce_as(chain: &mut Chain, governor: usize, call: &impl SolCall) -> B256 {
    let data: Bytes = call.abi_encode().into();
    let operation = keccak256(&data);
    let logs = chain.send(Send::call(
        governor,
        BRIDGE,
        &IValves::scheduleCall { data },
    ));
    let told = IValves::CallScheduled::decode_log_data(&logs[0].data).unwrap();
    assert_eq!(told.operation, operation);
    operation
}

/// The expiry that answers a transfer from Ethereum, as this chain's `sequence`-th packet.
fn answer(snapshot: &Snapshot, transfer: u64, sequence: u64) -> Packet {
    let Packet::Transfer(expired) = snapshot.packets[&transfer].clone() else {
        panic!()
    };
    Packet::Expiry(Expiry {
        id: PacketId {
            source: CHAIN_ID,
            destination: ETHEREUM_ID,
            sequence,
        },
        expired,
    })
}

#[test]
fn what_leaves_is_limited_by_the_hour_and_the_day() {
    let mut chain = chain();
    chain.issue(1, 1_000);
    let midnight = chain.now / DAY * DAY + DAY;
    chain.now = midnight + 10;
    assert_eq!(
        room(&chain, POINTS),
        [100, 250, 1_000, 2_500].map(U256::from)
    );
    leave(&mut chain, 60);
    assert!(leave_refused(&mut chain, 41).contains("40 units in this hour"));
    leave(&mut chain, 40);
    chain.now = midnight + HOUR - 1;
    leave_refused(&mut chain, 1);
    chain.now = midnight + HOUR;
    leave(&mut chain, 100);
    chain.now = midnight + 2 * HOUR;
    assert!(leave_refused(&mut chain, 51).contains("50 in this UTC day"));
    leave(&mut chain, 50);
    chain.now = midnight + DAY - 1;
    leave_refused(&mut chain, 1);
    chain.now = midnight + DAY;
    leave(&mut chain, 100);
    // The other token has limits of its own.
    assert_eq!(room(&chain, COIN)[0], U256::from(100));
    check_books(&chain);
}

#[test]
fn what_comes_above_a_limit_is_refunded_at_its_source() {
    let mut chain = chain();
    let mut ethereum = Ethereum::new();
    let b = chain.user(2);
    let amounts = [400, 601, 400, 100];
    let all = amounts.map(|amount| ethereum.send(coin_token(), b, amount, chain.now + FAR));
    let snapshot = ethereum.snapshot();
    let output = deliver(&mut chain, &snapshot, &all);
    // Above the hour's, and not in the way of what stands beside it.
    assert_eq!(all.map(|one| receipt(&chain, one)), [1, 2, 1, 1]);
    assert_eq!(output.packets.len(), 1);
    assert_eq!(
        output.packets[0].packet,
        answer(&snapshot, all[1], 1).encode()
    );
    assert_eq!(room(&chain, COIN)[2], U256::from(100), "rejected: not used");
    assert_eq!(chain.account(b).balance, U256::from(900));
    // For ever, even when there is room again.
    chain.now += DAY;
    chain.send(Send::call(2, BRIDGE, &snapshot.deliver(&all)).gas(20_000_000));
    assert_eq!(receipt(&chain, all[1]), 2);
    check_books(&chain);
}

#[test]
fn a_large_transfer_waits_and_anybody_releases_it() {
    let mut chain = chain();
    let mut ethereum = Ethereum::new();
    let b = chain.user(2);
    // Its deadline is over long before it is released: it was proven in time.
    let sequence = ethereum.send(coin_token(), b, 500, chain.now + 60);
    let other = ethereum.send(coin_token(), b, 500, chain.now + 60);
    let snapshot = ethereum.snapshot();
    let packet = snapshot.packets[&sequence].clone();
    let delivered = chain.now;
    let output = deliver(&mut chain, &snapshot, &[sequence, other]);
    let until = delivered + 21_600;
    let told = IValves::PacketHeld::decode_log_data(&output.receipts[0].logs[0].data).unwrap();
    let expected = IValves::PacketHeld {
        sequence,
        commitment: packet.commitment(),
        until,
    };
    assert_eq!(told, expected);
    assert_eq!(receipt(&chain, sequence), 0);
    assert_eq!(held(&chain, sequence), (packet.commitment(), until));
    assert_eq!(waiting(&chain, 0, 256), (2, vec![sequence, other]));
    assert_eq!(chain.account(b).balance, U256::ZERO);
    check_books(&chain);

    chain.now = until - 2;
    let early = chain.refuse(Send::call(2, BRIDGE, &release(&packet)));
    assert!(early.contains("waits until"), "{early}");
    let early = chain.refuse(Send::call(2, BRIDGE, &snapshot.deliver(&[sequence])));
    assert!(early.contains("waits until"), "{early}");
    chain.now = until;
    chain.send(Send::call(2, BRIDGE, &release(&packet)));
    assert_eq!(receipt(&chain, sequence), 1);
    assert_eq!(held(&chain, sequence), (B256::ZERO, 0));
    let again = chain.refuse(Send::call(2, BRIDGE, &release(&packet)));
    assert!(again.contains("no transfer with these bytes"), "{again}");
    // Delivering it once more is a release too, and twice is once.
    chain.send(Send::call(2, BRIDGE, &snapshot.deliver(&[other, sequence])));
    assert_eq!(receipt(&chain, other), 1);
    assert_eq!(chain.account(b).balance, U256::from(1_000));
    assert_eq!(waiting(&chain, 0, 256), (0, vec![]));
    check_books(&chain);
}

#[test]
fn a_guardian_stops_a_large_transfer_while_it_waits() {
    let mut chain = chain();
    let mut ethereum = Ethereum::new();
    let b = chain.user(2);
    let all = [500, 500].map(|amount| ethereum.send(coin_token(), b, amount, chain.now + FAR));
    let snapshot = ethereum.snapshot();
    deliver(&mut chain, &snapshot, &all);
    let [first, second] = all.map(|one| snapshot.packets[&one].clone());
    let nobody = chain.refuse(Send::call(GOVERNOR, BRIDGE, &stop(&first)));
    assert!(nobody.contains("guardian"), "{nobody}");
    let output = chain.block(&[Send::call(GUARDIAN, BRIDGE, &stop(&first))]);
    assert!(output.receipts[0].success);
    assert_eq!(receipt(&chain, all[0]), 2);
    assert_eq!(
        output.packets[0].packet,
        answer(&snapshot, all[0], 1).encode()
    );
    assert_eq!(waiting(&chain, 0, 256), (1, vec![all[1]]));
    let gone = chain.refuse(Send::call(GUARDIAN, BRIDGE, &stop(&first)));
    assert!(gone.contains("no transfer"), "{gone}");
    // Too late: only a release is left.
    chain.now += 21_600;
    let late = chain.refuse(Send::call(GUARDIAN, BRIDGE, &stop(&second)));
    assert!(late.contains("can only be released"), "{late}");
    chain.send(Send::call(1, BRIDGE, &release(&second)));
    chain.send(Send::call(1, BRIDGE, &snapshot.deliver(&all)));
    assert_eq!(all.map(|one| receipt(&chain, one)), [2, 1]);
    assert_eq!(chain.account(b).balance, U256::from(500));
    check_books(&chain);
}

#[test]
fn those_that_wait_are_listed_by_pages() {
    let mut chain = chain();
    let mut ethereum = Ethereum::new();
    let mut patient = IValves::Limits::from(limits());
    patient.largeFrom = U96::from(1);
    let set = IValves::setLimitsCall {
        token: COIN,
        limits: patient.clone(),
    };
    govern(&mut chain, &set);
    let b = chain.user(2);
    let all: [u64; 5] = std::array::from_fn(|_| ethereum.send(coin_token(), b, 1, chain.now + FAR));
    let snapshot = ethereum.snapshot();
    deliver(&mut chain, &snapshot, &all);
    assert_eq!(waiting(&chain, 0, 256), (5, vec![1, 2, 3, 4, 5]));
    assert_eq!(waiting(&chain, 3, 256), (5, vec![4, 5]));
    assert_eq!(waiting(&chain, 1, 2), (5, vec![2, 3]));
    assert_eq!(waiting(&chain, 9, 2), (5, vec![]));
    chain.send(Send::call(GUARDIAN, BRIDGE, &stop(&snapshot.packets[&2])));
    assert_eq!(waiting(&chain, 0, 256), (4, vec![1, 5, 3, 4]));
    chain.now += 21_600;
    for sequence in [5, 4, 1, 3] {
        chain.send(Send::call(
            1,
            BRIDGE,
            &release(&snapshot.packets[&sequence]),
        ));
    }
    assert_eq!(waiting(&chain, 0, 256), (0, vec![]));
    let long = IValves::heldSequencesCall {
        from: U256::ZERO,
        limit: U256::from(257),
    };
    let reason = chain.refuse(Send::call(1, BRIDGE, &long));
    assert!(reason.contains("at most 256"), "{reason}");
    assert_eq!(
        chain.view(BRIDGE, IValves::limitsCall { token: COIN }),
        patient
    );
    check_books(&chain);
}

/// Nothing is decided while something is paused, and nothing is lost.
#[test]
fn a_paused_direction_stops_that_direction() {
    let mut chain = chain();
    let mut ethereum = Ethereum::new();
    chain.issue(1, 1_000);
    let b = chain.user(2);
    let far = ethereum.send(coin_token(), b, 5, chain.now + FAR);
    let soon = ethereum.send(coin_token(), b, 7, chain.now + 60);
    let snapshot = ethereum.snapshot();
    chain.block_with(&[], Some(snapshot.checkpoint()));
    for direction in [Direction::Send, Direction::Receive] {
        let pause = IValves::pauseDirectionCall { direction };
        let nobody = chain.refuse(Send::call(1, BRIDGE, &pause));
        assert!(nobody.contains("only the bridge's guardian"), "{nobody}");
        chain.send(Send::call(GUARDIAN, BRIDGE, &pause));
        assert!(chain.view(BRIDGE, IValves::directionPausedCall { direction }));
    }
    assert!(leave_refused(&mut chain, 1).contains("paused sending"));
    let attempt = Send::call(1, BRIDGE, &snapshot.deliver(&[far]));
    assert!(chain.refuse(attempt).contains("paused receiving"));
    let packet = snapshot.packets[&far].clone();
    let attempt = Send::call(1, BRIDGE, &release(&packet));
    assert!(chain.refuse(attempt).contains("paused receiving"));
    // The guardian cannot open what it closed.
    let resume = IValves::resumeDirectionCall {
        direction: Direction::Send,
    };
    let reason = chain.refuse(Send::call(GUARDIAN, BRIDGE, &resume));
    assert!(reason.contains("only the bridge's governor"), "{reason}");
    govern(&mut chain, &resume);
    leave(&mut chain, 1);
    let attempt = Send::call(1, BRIDGE, &snapshot.deliver(&[far]));
    assert!(chain.refuse(attempt).contains("paused receiving"));
    let resume = IValves::resumeDirectionCall {
        direction: Direction::Receive,
    };
    govern(&mut chain, &resume);
    chain.send(Send::call(1, BRIDGE, &snapshot.deliver(&[far, soon])));
    assert_eq!((receipt(&chain, far), receipt(&chain, soon)), (1, 2));
    check_books(&chain);
}

#[test]
fn a_paused_token_stops_both_ways_and_in_refunds() {
    let mut chain = chain();
    let mut ethereum = Ethereum::new();
    chain.issue(1, 1_000);
    // Some points stay away, so that others can come.
    leave(&mut chain, 5);
    let output = {
        let call = send(POINTS, receiver(), 90, chain.now + 1);
        chain.block(&[Send::call(1, BRIDGE, &call)])
    };
    ethereum.now = chain.now + 100;
    ethereum.receive(&output.packets[0]);
    let news = *ethereum.packets.last_key_value().unwrap().0;
    let coins = ethereum.send(coin_token(), chain.user(2), 9, chain.now + FAR);
    let points = ethereum.send(points_token(), chain.user(2), 3, chain.now + FAR);
    let late = ethereum.send(points_token(), chain.user(2), 4, chain.now - 1);
    let snapshot = ethereum.snapshot();
    let pause = IValves::pauseTokenCall { token: POINTS };
    chain.block_with(
        &[Send::call(GUARDIAN, BRIDGE, &pause)],
        Some(snapshot.checkpoint()),
    );
    assert!(chain.view(BRIDGE, IValves::tokenPausedCall { token: POINTS }));
    assert!(!chain.view(BRIDGE, IValves::tokenPausedCall { token: COIN }));
    assert!(leave_refused(&mut chain, 1).contains("paused this token"));
    for sequence in [news, points] {
        let attempt = Send::call(1, BRIDGE, &snapshot.deliver(&[coins, sequence]));
        assert!(chain.refuse(attempt).contains("paused this token"));
    }
    chain.send(Send::call(1, BRIDGE, &snapshot.deliver(&[coins, late])));
    assert_eq!((receipt(&chain, coins), receipt(&chain, late)), (1, 2));
    // New limits leave the pause as it is, and the other way round.
    let mut more = IValves::Limits::from(limits());
    more.sendPerHour = U96::from(110);
    let set = IValves::setLimitsCall {
        token: POINTS,
        limits: more.clone(),
    };
    govern(&mut chain, &set);
    assert!(chain.view(BRIDGE, IValves::tokenPausedCall { token: POINTS }));
    govern(&mut chain, &IValves::resumeTokenCall { token: POINTS });
    assert_eq!(
        chain.view(BRIDGE, IValves::limitsCall { token: POINTS }),
        more
    );
    chain.send(Send::call(1, BRIDGE, &snapshot.deliver(&[news, points])));
    assert_eq!((receipt(&chain, news), receipt(&chain, points)), (1, 1));
    assert_eq!(chain.points(chain.user(1)), U256::from(995));
    assert_eq!(chain.points(chain.user(2)), U256::from(3));
    check_books(&chain);
}

/// A token that is not the bridge's goes home at once, like everything that cannot be received.
#[test]
fn an_unknown_token_is_refunded_at_its_source() {
    let mut chain = chain();
    let mut ethereum = Ethereum::new();
    let unknown = Token {
        home: ETHEREUM_ID,
        contract: Address::repeat_byte(0x77),
    };
    let b = chain.user(2);
    let odd = ethereum.send(unknown, b, 5, chain.now + FAR);
    // The right address on another chain is another token.
    let elsewhere = Token {
        home: ETHEREUM_ID + 1,
        ..coin_token()
    };
    let foreign = ethereum.send(elsewhere, b, 5, chain.now + FAR);
    let good = ethereum.send(coin_token(), b, 5, chain.now + FAR);
    let snapshot = ethereum.snapshot();
    let all = [odd, foreign, good];
    let output = deliver(&mut chain, &snapshot, &all);
    assert_eq!(all.map(|one| receipt(&chain, one)), [2, 2, 1]);
    assert_eq!(output.packets[0].packet, answer(&snapshot, odd, 1).encode());
    let unknown = chain.refuse(Send::call(
        1,
        BRIDGE,
        &IBridge::totalsCall {
            token: Address::repeat_byte(0x77),
        },
    ));
    assert!(unknown.contains("not registered"), "{unknown}");
    check_books(&chain);
}
