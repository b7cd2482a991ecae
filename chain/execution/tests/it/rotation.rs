//! Asking for a new group key, when it is due, and which blocks may bring it.

use super::support::{Chain, Send, consensus_key, genesis};
use alloy::primitives::U256;
use alloy::signers::local::PrivateKeySigner;
use commonware_cryptography::{Signer as _, ed25519};
use futures::executor::block_on;
use mileverse_execution::{BlockError, NewKey};
use mileverse_primitives::{abi::IRotation, address::ROTATION, genesis::Member, packet::GroupKey};

const DELEGATES: u64 = 4;

/// A good key, as EIP-2537 has it: G2's generator.
const KEY: [u8; 256] = alloy::primitives::hex!(
    "00000000000000000000000000000000024aa2b2f08f0a91260805272dc51051c6e47ad4fa403b02b4510b647ae3d1770bac0326a805bbefd48056c8c121bdb8"
    "0000000000000000000000000000000013e02b6052719f607dacd3a088274f65596bd0d09920b61ab5da61bbdc7f5049334cf11213945d57e5ac7d055d042b7e"
    "000000000000000000000000000000000ce5d527727d6e118cc9cdc6da2e351aadfd9baa8cbdd3a76d429a695160d12c923ac9cc3baca289e193548608b82801"
    "000000000000000000000000000000000606c4a02ea734cc32acd2b02bc28b99cb3e287e85a763af267492ab572e99ab3f370d275cec1da1aaa9075ff05f79be"
);

/// A chain whose first four users own its delegates; the fifth owns none.
fn chain() -> Chain {
    let users = Chain::some_users(5);
    let mut genesis = genesis(users[0].address());
    let mut keys: Vec<_> = (1..=DELEGATES)
        .map(|seed| consensus_key(&ed25519::PrivateKey::from_seed(seed)))
        .collect();
    keys.sort();
    genesis.epoch_blocks = 16;
    genesis.committee.members = keys
        .into_iter()
        .zip(&users)
        .map(|(consensus_key, owner): (_, &PrivateKeySigner)| Member {
            consensus_key,
            owner: owner.address(),
            address: ([127, 0, 0, 1], 9000).into(),
            stake: U256::from(1_000_000),
            commission_bp: 0,
        })
        .collect();
    Chain::with(genesis, users)
}

fn request(user: usize) -> Send {
    Send::call(user, ROTATION, &IRotation::requestCall {})
}

fn withdraw(user: usize) -> Send {
    Send::call(user, ROTATION, &IRotation::withdrawCall {})
}

fn standing(chain: &Chain) -> (u64, u32, u32) {
    let standing = chain.view(ROTATION, IRotation::rotationCall {});
    (standing.since, standing.asked, standing.needed)
}

fn refused(chain: &Chain, new: NewKey) -> String {
    let mut input = chain.input(None);
    input.new_key = Some(new);
    match block_on(chain.executor.execute(&chain.state, input, &[])) {
        Err(BlockError::Invalid(reason)) => reason,
        other => panic!("not refused: {other:?}"),
    }
}

fn new_key(first_epoch: u64) -> NewKey {
    NewKey {
        first_epoch,
        key: GroupKey::new(KEY),
    }
}

#[test]
fn more_than_two_thirds_must_ask() {
    let mut chain = chain();
    chain.block(&[]);
    assert_eq!(standing(&chain), (0, 0, 3));
    let reason = chain.refuse(request(4));
    assert!(reason.contains("no delegate"), "{reason}");

    chain.send(request(0));
    let reason = chain.refuse(request(0));
    assert!(reason.contains("asked already"), "{reason}");
    chain.send(request(1));
    assert_eq!(standing(&chain), (0, 2, 3));
    chain.send(withdraw(1));
    assert_eq!(standing(&chain), (0, 1, 3));
    let reason = chain.refuse(withdraw(1));
    assert!(reason.contains("has not asked"), "{reason}");
    let reason = chain.refuse(withdraw(4));
    assert!(reason.contains("has not asked"), "{reason}");
    assert_eq!(
        block_on(chain.executor.rotations(&chain.state))
            .unwrap()
            .since,
        None
    );

    chain.send(request(2));
    chain.send(request(1));
    let since = chain.epoch() + 1;
    assert_eq!(standing(&chain), (since, 3, 3));
    assert_eq!(
        block_on(chain.executor.rotations(&chain.state))
            .unwrap()
            .since,
        Some(since)
    );
    let reason = chain.refuse(withdraw(0));
    assert!(reason.contains("due since"), "{reason}");
    // The last may still say so; nothing changes.
    chain.send(request(3));
    assert_eq!(standing(&chain), (since, 4, 3));
}

#[test]
fn a_key_takes_over_at_the_end_of_an_epoch_in_which_it_is_due() {
    let mut chain = chain();
    chain.block(&[]);
    // Nobody asked.
    chain.run_to_epochs_end();
    let reason = refused(&chain, new_key(chain.epoch() + 1));
    assert!(reason.contains("no rotation is due"), "{reason}");
    chain.block(&[]);

    for user in 0..3 {
        chain.send(request(user));
    }
    // Due from the next epoch on, not at this one's end.
    chain.run_to_epochs_end();
    let reason = refused(&chain, new_key(chain.epoch() + 1));
    assert!(reason.contains("no rotation is due"), "{reason}");
    chain.block(&[]);
    // In the epoch, but before its end.
    let reason = refused(&chain, new_key(chain.epoch() + 1));
    assert!(reason.contains("not at its epoch's end"), "{reason}");
    // At the end, an epoch too early and too late. An epoch without a new key changes nothing.
    for _ in 0..2 {
        chain.run_to_epochs_end();
        for first in [chain.epoch(), chain.epoch() + 2] {
            let reason = refused(&chain, new_key(first));
            assert!(reason.contains("another epoch"), "{reason}");
        }
        chain.block(&[]);
        assert_eq!(standing(&chain).1, 3);
    }

    let mut first_epochs = Vec::new();
    for number in 1..=2u64 {
        chain.run_to_epochs_end();
        let first = chain.epoch() + 1;
        chain.new_key = Some(new_key(first));
        let output = chain.block(&[]);
        assert_eq!(output.packets.len(), 1, "Ethereum hears of it");
        first_epochs.push(first);
        assert_eq!(chain.view(ROTATION, IRotation::keyCountCall {}), number);
        let key = chain.view(ROTATION, IRotation::keyCall { number });
        assert_eq!(key.firstEpoch, first);
        assert_eq!(key.groupKey.as_ref(), KEY);
        let known = block_on(chain.executor.rotations(&chain.state)).unwrap();
        assert_eq!(known.since, None);
        let epochs: Vec<u64> = known.keys.iter().map(|key| key.first_epoch).collect();
        assert_eq!(epochs, first_epochs);
        assert!(known.keys.iter().all(|key| key.key == GroupKey::new(KEY)));
        // The requests are spent.
        assert_eq!(standing(&chain), (0, 0, 3));
        for user in 0..3 {
            chain.send(request(user));
        }
        chain.run_to_epochs_end();
        chain.block(&[]);
    }
    let reason = chain.refuse(Send::call(0, ROTATION, &IRotation::keyCall { number: 3 }));
    assert!(reason.contains("no new key"), "{reason}");
}

#[test]
fn strangers_get_nothing_for_nothing() {
    let mut chain = chain();
    chain.block(&[]);
    let reason = chain.refuse(Send::data(0, ROTATION, vec![0; 65]));
    assert!(reason.contains("longer than"), "{reason}");
    let reason = chain.refuse(request(0).value(U256::ZERO).gas(30_000));
    assert!(!reason.is_empty());
    assert_eq!(standing(&chain), (0, 0, 3));
}
