//! Evidence: what it costs whom, once, and never whom it does not concern.

use super::support::*;
use crate::support::{CHAIN_ID, Chain, Send, consensus_key};
use alloy::primitives::{B256, Bloom, Bytes, U256};
use commonware_cryptography::{Signer as _, ed25519};
use mileverse_primitives::{
    abi::IStaking,
    address::STAKING,
    header::{Header, StateCommitment, Turn},
    staking::StakingRules,
    vote,
};

/// Half of everything, so that sums are easy to read.
pub fn harsh() -> StakingRules {
    StakingRules {
        double_sign_slash_bp: 5_000,
        reporter_share_bp: 1_000,
        reward_per_epoch: U256::ZERO,
        unbonding_epochs: 6,
        ..rules()
    }
}

pub fn header(leader: B256, epoch: u64, view: u64, salt: u8) -> Header {
    Header {
        outbox_root: B256::repeat_byte(salt),
        parent: B256::repeat_byte(2),
        height: 1,
        timestamp_ms: 1,
        gas_limit: 1,
        gas_used: 0,
        transactions_root: B256::ZERO,
        receipts_root: B256::ZERO,
        system_root: B256::ZERO,
        logs_bloom: Bloom::ZERO,
        state: StateCommitment {
            root: B256::ZERO,
            operations_root: B256::ZERO,
            start: 0,
            end: 1,
        },
        turn: Turn {
            epoch,
            view,
            parent_view: view - 1,
            leader,
        },
        checkpoint: None,
    }
}

fn sign(key: &ed25519::PrivateKey, header: &Header) -> Bytes {
    let namespace = vote::proposal_namespace(CHAIN_ID);
    key.sign(&namespace, header.digest().as_slice())
        .to_vec()
        .into()
}

pub fn double(key: &ed25519::PrivateKey, epoch: u64) -> IStaking::submitDoubleProposalCall {
    let leader = consensus_key(key);
    let (a, b) = (header(leader, epoch, 7, 1), header(leader, epoch, 7, 2));
    IStaking::submitDoubleProposalCall {
        headerA: a.encode().into(),
        signatureA: sign(key, &a),
        headerB: b.encode().into(),
        signatureB: sign(key, &b),
    }
}

fn report(chain: &mut Chain, reporter: usize, key: &ed25519::PrivateKey, epoch: u64) {
    let call = double(key, epoch);
    chain.send(Send::call(reporter, STAKING, &call));
    check(chain);
}

fn collect(chain: &mut Chain, voter: usize) {
    let call = IStaking::collectCall {
        voter: chain.user(voter),
    };
    chain.send(Send::call(9, STAKING, &call));
    check(chain);
}

#[test]
fn a_double_proposal_costs_own_and_voters_stake_and_the_seat_for_good() {
    let mut chain = net_with(harsh());
    let key = register(&mut chain, 4, 2_000);
    back(&mut chain, 5, 4, 1_001);
    back(&mut chain, 6, 0, 1_000);
    let pool = totals(&chain).pool;
    report(&mut chain, 7, &key, 0);

    let one = candidate(&chain, 4);
    assert!(one.tombstoned && !one.listed && !one.eligible);
    assert_eq!(one.votes, U256::ZERO);
    // Half of 3,001 is gone at once, rounded down; a tenth of the owner's 1,000 is the reporter's.
    assert_eq!(totals(&chain).pool, pool + U256::from(1_500 - 100));
    assert_eq!(pending(&chain, 7), 100);
    // What is left is free stake again; a voter's rest is rounded down, the odd unit is the pool's.
    assert_eq!(account(&chain, 4).free, U256::from(1_000));
    assert_eq!(account(&chain, 5).free, U256::from(500));
    collect(&mut chain, 5);
    assert_eq!(account(&chain, 5).free, U256::from(500));
    assert_eq!(totals(&chain).pool, pool + U256::from(1_501 - 100));
    assert!(delegations(&chain, 5).is_empty());
    // Others are untouched.
    assert_eq!(account(&chain, 6).voted, U256::from(1_000));
    // It is out for good, under any key.
    let again = register_call(&chain, 4, &super::support::key(4_711));
    let reason = chain.refuse(Send::call(4, STAKING, &again).value(U256::from(OWN)));
    assert!(reason.contains("is out for good"), "{reason}");
    let call = vote_for(&chain, 4, 1);
    let reason = chain.refuse(Send::call(5, STAKING, &call));
    assert!(reason.contains("is out for good"), "{reason}");
    run_to(&mut chain, 1);
    assert!(!elected(&chain, 3).contains(&4));
}

#[test]
fn what_left_is_liable_wherever_it_went() {
    let mut chain = net_with(harsh());
    let key = register(&mut chain, 4, 2_000);
    let funds = |chain: &Chain, user: usize| chain.account(chain.user(user)).balance;
    // 5 moves to another candidate, 6 unbonds, 8 takes back only a part.
    back(&mut chain, 5, 4, 1_000);
    back(&mut chain, 6, 4, 1_000);
    back(&mut chain, 8, 4, 1_000);
    run_to(&mut chain, 1);
    let call = IStaking::moveCall {
        from: chain.user(4),
        to: chain.user(1),
        amount: U256::from(1_000),
    };
    chain.send(Send::call(5, STAKING, &call));
    let call = unvote(&chain, 4, 1_000);
    chain.send(Send::call(6, STAKING, &call));
    let unstake = IStaking::unstakeCall {
        amount: U256::from(1_000),
    };
    chain.send(Send::call(6, STAKING, &unstake));
    let call = unvote(&chain, 4, 400);
    chain.send(Send::call(8, STAKING, &call));
    run_to(&mut chain, 3);
    let pool = totals(&chain).pool;
    report(&mut chain, 7, &key, 1);
    // At once: half of what is still there, 2,000 + 600, less the reporter's 100.
    assert_eq!(totals(&chain).pool, pool + U256::from(1_300 - 100));
    for voter in [5, 6, 8] {
        collect(&mut chain, voter);
    }
    assert_eq!(totals(&chain).pool, pool + U256::from(1_300 - 100 + 1_200));
    assert_eq!(candidate(&chain, 1).votes, U256::from(OWN + 500));
    assert_eq!(account(&chain, 5).voted, U256::from(500));
    assert_eq!(account(&chain, 6).unbonding, U256::from(500));
    assert_eq!(account(&chain, 8).free, U256::from(500));
    // Nothing is taken twice.
    let before = totals(&chain);
    for voter in [4, 5, 6, 8] {
        collect(&mut chain, voter);
    }
    assert_eq!(totals(&chain).pool, before.pool);
    let balance = funds(&chain, 6);
    run_to(&mut chain, 7);
    chain.send(Send::call(6, STAKING, &IStaking::withdrawCall {}));
    assert_eq!(funds(&chain, 6), balance + U256::from(500));
    check(&chain);
}

#[test]
fn a_debt_is_taken_before_a_withdrawal() {
    let mut chain = net_with(harsh());
    let key = register(&mut chain, 4, 2_000);
    back(&mut chain, 6, 4, 1_000);
    let call = unvote(&chain, 4, 1_000);
    chain.send(Send::call(6, STAKING, &call));
    let unstake = IStaking::unstakeCall {
        amount: U256::from(1_000),
    };
    chain.send(Send::call(6, STAKING, &unstake));
    run_to(&mut chain, 2);
    report(&mut chain, 7, &key, 0);
    // Long after the liability itself would have ended.
    run_to(&mut chain, 12);
    let balance = chain.account(chain.user(6)).balance;
    chain.send(Send::call(6, STAKING, &IStaking::withdrawCall {}));
    assert_eq!(
        chain.account(chain.user(6)).balance,
        balance + U256::from(500)
    );
    check(&chain);
}

#[test]
fn who_left_long_before_is_not_concerned() {
    let mut chain = net_with(StakingRules {
        unbonding_epochs: 12,
        ..harsh()
    });
    let key = register(&mut chain, 4, 2_000);
    for voter in [5, 6] {
        back(&mut chain, voter, 4, 1_000);
    }
    // 5 leaves in epoch 1: its votes elected up to epoch 4. 6 leaves in epoch 2.
    run_to(&mut chain, 1);
    let call = unvote(&chain, 4, 1_000);
    chain.send(Send::call(5, STAKING, &call));
    run_to(&mut chain, 2);
    chain.send(Send::call(6, STAKING, &call));
    // The owner leaves too, in epoch 2, but it has the key.
    let call = unvote(&chain, 4, 2_000);
    chain.send(Send::call(4, STAKING, &call));
    run_to(&mut chain, 6);
    report(&mut chain, 7, &key, 5);
    assert_eq!(account(&chain, 5).free, U256::from(1_000));
    assert_eq!(account(&chain, 6).free, U256::from(500));
    assert_eq!(account(&chain, 4).free, U256::from(1_000));
    // The reporter's share of the owner's loss.
    assert_eq!(pending(&chain, 7), 100);
}

#[test]
fn votes_that_came_back_are_liable_once() {
    let mut chain = net_with(harsh());
    let key = register(&mut chain, 4, 2_000);
    back(&mut chain, 5, 4, 1_000);
    let (out, back) = (unvote(&chain, 4, 1_000), vote_for(&chain, 4, 1_000));
    for epoch in 1..4 {
        chain.send(Send::call(5, STAKING, &out));
        run_to(&mut chain, epoch);
        chain.send(Send::call(5, STAKING, &back));
    }
    chain.send(Send::call(5, STAKING, &out));
    report(&mut chain, 7, &key, 2);
    assert_eq!(account(&chain, 5).free, U256::from(500));
}

#[test]
fn reporting_oneself_never_pays() {
    let mut chain = net_with(harsh());
    let key = register(&mut chain, 4, OWN);
    back(&mut chain, 5, 4, 100 * OWN);
    report(&mut chain, 4, &key, 0);
    let account = account(&chain, 4);
    assert!(account.free + account.rewards < U256::from(OWN));
    assert_eq!(account.rewards, U256::from(50));
}

#[test]
fn bad_evidence_is_refused_by_name() {
    let mut chain = net_with(harsh());
    let key = register(&mut chain, 4, OWN);
    let good = double(&key, 0);
    let stranger = super::support::key(31_337);
    let mut refuse = |edit: &dyn Fn(&mut IStaking::submitDoubleProposalCall)| {
        let mut call = good.clone();
        edit(&mut call);
        chain.refuse(Send::call(7, STAKING, &call))
    };
    let leader = consensus_key(&key);
    let signed = |header: &Header| (Bytes::from(header.encode()), sign(&key, header));
    assert_eq!(
        refuse(&|call| call.headerA = vec![1, 2, 3].into()),
        "these bytes are not two block headers"
    );
    let not_double = "the evidence is not two different headers of one leader, epoch and view";
    assert_eq!(
        refuse(&|call| {
            call.headerB = call.headerA.clone();
            call.signatureB = call.signatureA.clone();
        }),
        not_double
    );
    for other in [
        header(leader, 0, 8, 2),
        header(leader, 1, 7, 2),
        header(consensus_key(&stranger), 0, 7, 2),
    ] {
        assert_eq!(
            refuse(&|call| (call.headerB, call.signatureB) = signed(&other)),
            not_double
        );
    }
    let bad = "the evidence's signature is not by the key it names";
    assert_eq!(
        refuse(&|call| call.signatureA = call.signatureB.clone()),
        bad
    );
    assert_eq!(refuse(&|call| call.signatureB = vec![0; 63].into()), bad);
    assert_eq!(
        refuse(&|call| {
            let other = header(leader, 0, 7, 2);
            call.signatureB = sign(&stranger, &other);
        }),
        bad
    );
    assert_eq!(
        refuse(&|call| *call = double(&stranger, 0)),
        "the evidence's key is no candidate's"
    );
    assert_eq!(
        refuse(&|call| *call = double(&key, 1)),
        "the evidence is of epoch 1; it is too old or from the future in epoch 0"
    );
    run_to(&mut chain, 6);
    assert_eq!(
        chain.refuse(Send::call(7, STAKING, &good)),
        "the evidence is of epoch 0; it is too old or from the future in epoch 6"
    );
    report(&mut chain, 7, &key, 1);
    let again = double(&key, 2);
    assert_eq!(
        chain.refuse(Send::call(7, STAKING, &again)),
        "the candidate was slashed already"
    );
}

pub fn false_result(
    key: &ed25519::PrivateKey,
    epoch: u64,
    height: u64,
    digest: B256,
) -> IStaking::submitFalseAttestationCall {
    let body = vote::attestation_body(epoch, height, digest);
    IStaking::submitFalseAttestationCall {
        epoch,
        height,
        digest,
        delegate: consensus_key(key),
        signature: key
            .sign(&vote::attestation_namespace(CHAIN_ID), &body)
            .to_vec()
            .into(),
    }
}

#[test]
fn a_false_result_stands_in_the_record_and_jails() {
    let mut chain = net();
    while chain.height < 8 {
        chain.block(&[]);
    }
    let digest = chain.parent;
    let member = &member_keys()[2];
    let lie = false_result(member, 0, 8, B256::repeat_byte(0xee));
    let send = |call: &IStaking::submitFalseAttestationCall| Send::call(7, STAKING, call);
    // Height 8 is known once block 9 named it.
    assert_eq!(
        chain.refuse(send(&false_result(member, 0, 16, digest))),
        "the chain does not know the final digest of this height any more, or not yet"
    );
    for (call, reason) in [
        (
            false_result(member, 0, 8, digest),
            "the attestation is of the final digest; it is right",
        ),
        (
            false_result(member, 1, 8, B256::repeat_byte(1)),
            "the chain does not know the final digest of this height any more, or not yet",
        ),
        (
            false_result(&key(5), 0, 8, B256::repeat_byte(1)),
            "the attestation's delegate was not in the committee of its epoch",
        ),
        (
            IStaking::submitFalseAttestationCall {
                digest: B256::repeat_byte(1),
                ..lie.clone()
            },
            "the evidence's signature is not by the key it names",
        ),
    ] {
        assert_eq!(chain.refuse(send(&call)), reason);
    }
    let epoch = chain.epoch();
    chain.send(send(&lie));
    assert_eq!(records(&chain, epoch)[2].invalidResults, 1);
    assert_eq!(
        chain.refuse(send(&lie)),
        "this false result was reported already"
    );
    let one = candidate(&chain, 2);
    assert!(one.jailed && !one.tombstoned);
    assert_eq!(one.votes, U256::from(OWN));
    run_to(&mut chain, epoch + 1);
    assert_eq!(records(&chain, epoch)[2].reward, U256::ZERO);
    check(&chain);
}
