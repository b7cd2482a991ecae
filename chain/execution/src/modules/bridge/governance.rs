//! Who may turn the valves, and when: a guardian who can only stop, and a governor whose every call
//! is announced and then waits.
//!
//! ```txt
//! slot
//! 14   address                      guardian; zero is nobody
//! 15   address                      governor; zero is nobody
//! 16   mapping(bytes32 => Call)     announced calls, by keccak256 of their calldata: from when on
//!                                   they may be made (64 bits, zero if not announced)
//!                                   | changes a role (1 bit) << 64
//! ```
//!
//! A call may be made once, from the delay of the genesis file after its announcement on, for
//! [`GRACE_SECONDS`]. The guardian may cancel an announced call, but not one that replaces the holder
//! of a role: a guardian that stops for ever must not be able to stay. What is the governor's at the
//! rewards module and at the peers module is announced here, too.

use super::{BRIDGE, deliver, link::Link, valves};
use crate::modules::{
    Config, decode,
    host::{Fault, Host},
    peers, rewards,
    slot::Slot,
};
use alloy::{
    primitives::{Address, B256, U256, keccak256},
    sol_types::SolCall,
};
use mileverse_primitives::abi::IValves::{self, IValvesCalls as Call};

/// How long an announced call may be made: one week.
const GRACE_SECONDS: u64 = 7 * 24 * 3_600;

const GUARDIAN: Slot = Slot::at(BRIDGE, 14);
const GOVERNOR: Slot = Slot::at(BRIDGE, 15);
const SCHEDULED: Slot = Slot::at(BRIDGE, 16);

pub(super) fn genesis_storage(config: &Config) -> Vec<(Slot, U256)> {
    let word = |address: Address| address.into_word().into();
    vec![
        (GUARDIAN, word(config.bridge.guardian)),
        (GOVERNOR, word(config.bridge.governor)),
    ]
}

pub(super) fn call(host: &mut Host<'_>, data: &[u8]) -> Result<Vec<u8>, Fault> {
    let call = decode::<Call>(data)?;
    host.not_payable()?;
    if let Some(answer) = view(host, &call)? {
        return Ok(answer);
    }
    host.may_change()?;
    if let Call::schedule(call) = &call {
        let operation = schedule(host, &call.data)?;
        return Ok(IValves::scheduleCall::abi_encode_returns(&operation));
    }
    act(host, &call, data)?;
    Ok(Vec::new())
}

/// What the views answer; `None` for a call that changes something.
fn view(host: &mut Host<'_>, call: &Call) -> Result<Option<Vec<u8>>, Fault> {
    Ok(Some(match call {
        Call::directionPaused(call) => {
            let paused = valves::is_direction_paused(host, Link::Ethereum, call.direction)?;
            IValves::directionPausedCall::abi_encode_returns(&paused)
        }
        Call::tokenPaused(call) => {
            let paused = valves::is_token_paused(host, Link::Ethereum.token(call.token)?)?;
            IValves::tokenPausedCall::abi_encode_returns(&paused)
        }
        Call::limits(call) => {
            let limits = valves::limits(host, Link::Ethereum.token(call.token)?)?;
            IValves::limitsCall::abi_encode_returns(&limits)
        }
        Call::room(call) => {
            let room = valves::room(host, Link::Ethereum.token(call.token)?)?;
            IValves::roomCall::abi_encode_returns(&room)
        }
        Call::held(call) => {
            let (commitment, until) = valves::held(host, Link::Ethereum, call.sequence)?;
            IValves::heldCall::abi_encode_returns(&IValves::heldReturn { commitment, until })
        }
        Call::heldSequences(call) => {
            let (count, sequences) =
                valves::held_sequences(host, Link::Ethereum, call.from, call.limit)?;
            IValves::heldSequencesCall::abi_encode_returns(&IValves::heldSequencesReturn {
                count,
                sequences,
            })
        }
        Call::guardian(_) => IValves::guardianCall::abi_encode_returns(&role(host, GUARDIAN)?),
        Call::governor(_) => IValves::governorCall::abi_encode_returns(&role(host, GOVERNOR)?),
        Call::delaySeconds(_) => {
            IValves::delaySecondsCall::abi_encode_returns(&host.config().bridge.delay_seconds)
        }
        Call::scheduled(call) => {
            let (from, _) = announced(host, call.operation)?;
            IValves::scheduledCall::abi_encode_returns(&from)
        }
        _ => return Ok(None),
    }))
}

fn act(host: &mut Host<'_>, call: &Call, data: &[u8]) -> Result<(), Fault> {
    match call {
        Call::release(call) => deliver::release(host, Link::Ethereum, &call.packet),
        Call::pauseDirection(call) => {
            require_guardian(host)?;
            let direction = call.direction;
            valves::set_direction_paused(host, Link::Ethereum, direction, true)?;
            host.log(BRIDGE, &IValves::DirectionPaused { direction })
        }
        Call::pauseToken(call) => {
            require_guardian(host)?;
            let token = call.token;
            valves::set_token_paused(host, Link::Ethereum.token(token)?, true)?;
            host.log(BRIDGE, &IValves::TokenPaused { token })
        }
        Call::stop(call) => {
            require_guardian(host)?;
            deliver::stop(host, Link::Ethereum, &call.packet)
        }
        Call::cancel(call) => cancel(host, call.operation),
        Call::resumeDirection(call) => {
            take_turn(host, data)?;
            let direction = call.direction;
            valves::set_direction_paused(host, Link::Ethereum, direction, false)?;
            host.log(BRIDGE, &IValves::DirectionResumed { direction })
        }
        Call::resumeToken(call) => {
            take_turn(host, data)?;
            let token = call.token;
            valves::set_token_paused(host, Link::Ethereum.token(token)?, false)?;
            host.log(BRIDGE, &IValves::TokenResumed { token })
        }
        Call::setLimits(call) => {
            take_turn(host, data)?;
            let IValves::setLimitsCall { token, limits } = call.clone();
            valves::set_limits(host, Link::Ethereum.token(token)?, &limits)?;
            host.log(BRIDGE, &IValves::LimitsSet { token, limits })
        }
        Call::setGuardian(call) => {
            take_turn(host, data)?;
            let account = call.account;
            host.store(GUARDIAN, account.into_word().into())?;
            host.log(BRIDGE, &IValves::GuardianSet { account })
        }
        Call::setGovernor(call) => {
            take_turn(host, data)?;
            let account = call.account;
            host.store(GOVERNOR, account.into_word().into())?;
            host.log(BRIDGE, &IValves::GovernorSet { account })
        }
        _ => Err(Fault::revert("this function only answers")),
    }
}

fn role(host: &mut Host<'_>, slot: Slot) -> Result<Address, Fault> {
    Ok(Address::from_word(host.load(slot)?.into()))
}

fn is_role(host: &mut Host<'_>, slot: Slot) -> Result<bool, Fault> {
    let account = role(host, slot)?;
    Ok(!account.is_zero() && account == host.caller())
}

/// Refuses everybody but the guardian.
pub(crate) fn require_guardian(host: &mut Host<'_>) -> Result<(), Fault> {
    require_role(host, GUARDIAN)
}

fn require_role(host: &mut Host<'_>, slot: Slot) -> Result<(), Fault> {
    if is_role(host, slot)? {
        return Ok(());
    }
    Err(Fault::revert(if slot == GUARDIAN {
        "only the bridge's guardian may do this"
    } else {
        "only the bridge's governor may do this"
    }))
}

/// When an announced call may be made, zero if it was not announced; and whether it changes a role.
fn announced(host: &mut Host<'_>, operation: B256) -> Result<(u64, bool), Fault> {
    let word = host.load(SCHEDULED.entry(operation))?;
    let [from, changes_role, ..] = *word.as_limbs();
    Ok((from, changes_role != 0))
}

fn schedule(host: &mut Host<'_>, data: &[u8]) -> Result<B256, Fault> {
    require_role(host, GOVERNOR)?;
    let changes_role = if rewards::is_governed(data) || peers::is_governed(data) {
        false
    } else {
        match decode::<Call>(data)? {
            Call::setGuardian(_) | Call::setGovernor(_) => true,
            Call::resumeDirection(_) | Call::resumeToken(_) | Call::setLimits(_) => false,
            _ => return Err(Fault::revert("only the governor's own calls are announced")),
        }
    };
    let operation = keccak256(data);
    let (from, _) = announced(host, operation)?;
    if from != 0 && host.now() < from.saturating_add(GRACE_SECONDS) {
        return Err(Fault::revert("this call is announced already"));
    }
    let delay = u64::from(host.config().bridge.delay_seconds);
    let from = host.now().saturating_add(delay);
    let word = U256::from_limbs([from, changes_role.into(), 0, 0]);
    host.store(SCHEDULED.entry(operation), word)?;
    host.log(BRIDGE, &IValves::CallScheduled { operation, from })?;
    Ok(operation)
}

fn cancel(host: &mut Host<'_>, operation: B256) -> Result<(), Fault> {
    let (from, changes_role) = announced(host, operation)?;
    if changes_role || !is_role(host, GUARDIAN)? {
        require_role(host, GOVERNOR)?;
    }
    if from == 0 {
        return Err(Fault::revert("this call is not announced"));
    }
    host.store(SCHEDULED.entry(operation), U256::ZERO)?;
    host.log(BRIDGE, &IValves::CallCancelled { operation })
}

/// Lets the governor make a call whose time has come, once.
pub(crate) fn take_turn(host: &mut Host<'_>, data: &[u8]) -> Result<(), Fault> {
    require_role(host, GOVERNOR)?;
    let operation = keccak256(data);
    let (from, _) = announced(host, operation)?;
    let now = host.now();
    if from == 0 {
        return Err(Fault::revert(
            "announce this call first, with schedule, and wait for the delay",
        ));
    }
    if now < from {
        return Err(Fault::revert(format!(
            "this call may be made from block time {from} on, {} seconds from now",
            from.saturating_sub(now)
        )));
    }
    if now >= from.saturating_add(GRACE_SECONDS) {
        return Err(Fault::revert(
            "this call was announced too long ago; announce it again",
        ));
    }
    host.store(SCHEDULED.entry(operation), U256::ZERO)
}
