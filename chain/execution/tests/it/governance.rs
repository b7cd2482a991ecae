//! Who may turn the bridge's valves, and when.

use super::{
    bridge::send,
    support::{Chain, Send},
    valves::{DAY, GOVERNOR, GUARDIAN, announce, chain, govern, limits, receiver, room},
};
use alloy::{
    primitives::{Address, Bytes, U256, aliases::U96},
    sol_types::SolCall,
};
use mileverse_primitives::{
    abi::IValves::{self, Direction},
    address::{BRIDGE, COIN, POINTS},
};

#[test]
fn the_governor_waits_and_the_guardian_may_cancel() {
    let mut chain = chain();
    let resume = IValves::resumeDirectionCall {
        direction: Direction::Send,
    };
    let reason = chain.refuse(Send::call(GOVERNOR, BRIDGE, &resume));
    assert!(reason.contains("announce this call first"), "{reason}");
    let data: Bytes = resume.abi_encode().into();
    let schedule = IValves::scheduleCall { data };
    for user in [1, GUARDIAN] {
        let reason = chain.refuse(Send::call(user, BRIDGE, &schedule));
        assert!(reason.contains("only the bridge's governor"), "{reason}");
    }
    let announced = chain.now;
    let operation = announce(&mut chain, &resume);
    let from = chain.view(BRIDGE, IValves::scheduledCall { operation });
    assert_eq!(from, announced + 7_200);
    let twice = chain.refuse(Send::call(GOVERNOR, BRIDGE, &schedule));
    assert!(twice.contains("announced already"), "{twice}");
    chain.now = from - 1;
    let reason = chain.refuse(Send::call(GOVERNOR, BRIDGE, &resume));
    assert!(reason.contains("1 seconds from now"), "{reason}");
    chain.now = from;
    chain.send(Send::call(GOVERNOR, BRIDGE, &resume));
    let once = chain.refuse(Send::call(GOVERNOR, BRIDGE, &resume));
    assert!(once.contains("announce this call first"), "{once}");

    // What is not done within a week is forgotten, and may be announced again.
    announce(&mut chain, &resume);
    chain.now += 7_200 + 7 * DAY;
    let reason = chain.refuse(Send::call(GOVERNOR, BRIDGE, &resume));
    assert!(reason.contains("too long ago"), "{reason}");
    let operation = announce(&mut chain, &resume);
    let cancel = IValves::cancelCall { operation };
    let reason = chain.refuse(Send::call(1, BRIDGE, &cancel));
    assert!(reason.contains("governor"), "{reason}");
    chain.send(Send::call(GUARDIAN, BRIDGE, &cancel));
    let reason = chain.refuse(Send::call(GUARDIAN, BRIDGE, &cancel));
    assert!(reason.contains("not announced"), "{reason}");
    chain.now += 7_200;
    let reason = chain.refuse(Send::call(GOVERNOR, BRIDGE, &resume));
    assert!(reason.contains("announce this call first"), "{reason}");
    // Only the governor's own calls.
    let data = send(POINTS, receiver(), 1, 1).abi_encode().into();
    let reason = chain.refuse(Send::call(
        GOVERNOR,
        BRIDGE,
        &IValves::scheduleCall { data },
    ));
    assert!(
        reason.contains("not a call that this module knows"),
        "{reason}"
    );
    let data = IValves::guardianCall {}.abi_encode().into();
    let reason = chain.refuse(Send::call(
        GOVERNOR,
        BRIDGE,
        &IValves::scheduleCall { data },
    ));
    assert!(reason.contains("own calls"), "{reason}");
}

/// A guardian that stops for ever is replaced, and cannot cancel that.
#[test]
fn the_roles_change_hands_behind_the_delay() {
    let mut chain = chain();
    let account = chain.user(2);
    let replace = IValves::setGuardianCall { account };
    let operation = announce(&mut chain, &replace);
    let cancel = IValves::cancelCall { operation };
    let reason = chain.refuse(Send::call(GUARDIAN, BRIDGE, &cancel));
    assert!(reason.contains("only the bridge's governor"), "{reason}");
    chain.now += 7_200;
    chain.send(Send::call(GOVERNOR, BRIDGE, &replace));
    assert_eq!(chain.view(BRIDGE, IValves::guardianCall {}), account);
    let pause = IValves::pauseTokenCall { token: COIN };
    chain.refuse(Send::call(GUARDIAN, BRIDGE, &pause));
    chain.send(Send::call(2, BRIDGE, &pause));

    govern(&mut chain, &IValves::setGovernorCall { account });
    assert_eq!(chain.view(BRIDGE, IValves::governorCall {}), account);
    let data = pause.abi_encode().into();
    let reason = chain.refuse(Send::call(
        GOVERNOR,
        BRIDGE,
        &IValves::scheduleCall { data },
    ));
    assert!(reason.contains("only the bridge's governor"), "{reason}");
    assert_eq!(chain.view(BRIDGE, IValves::delaySecondsCall {}), 7_200);
}

#[test]
fn limits_out_of_range_and_unknown_tokens_are_refused() {
    let mut chain = chain();
    let mut long = IValves::Limits::from(limits());
    long.holdSeconds = 604_801;
    let set = IValves::setLimitsCall {
        token: COIN,
        limits: long,
    };
    announce(&mut chain, &set);
    chain.now += 7_200;
    let reason = chain.refuse(Send::call(GOVERNOR, BRIDGE, &set));
    assert!(reason.contains("604,800"), "{reason}");
    let token = Address::repeat_byte(9);
    let reason = chain.refuse(Send::call(
        GUARDIAN,
        BRIDGE,
        &IValves::pauseTokenCall { token },
    ));
    assert!(reason.contains("not registered"), "{reason}");
}

/// Without a guardian and limits in the genesis file there are none.
#[test]
fn a_net_without_roles_has_none() {
    let mut chain = Chain::new();
    assert_eq!(chain.view(BRIDGE, IValves::guardianCall {}), Address::ZERO);
    let none = U256::from(U96::MAX);
    assert_eq!(room(&chain, COIN), [none; 4]);
    for user in 0..5 {
        let pause = IValves::pauseTokenCall { token: COIN };
        chain.refuse(Send::call(user, BRIDGE, &pause));
    }
}
