//! A net with four delegates and some voters, and words for what they do.

use crate::support::{CHAIN_ID, Chain, Send, consensus_key, genesis};
use alloy::primitives::{Address, B256, Bytes, U256};
use commonware_cryptography::{Signer as _, ed25519};
use mileverse_primitives::{
    abi::IStaking::{self, Profile, Vote},
    address::STAKING,
    genesis::{Genesis, Member},
    staking::{Allocation, StakingRules},
    vote,
};

/// Genesis members; users 0 to 3 own them.
pub const MEMBERS: usize = 4;
/// Users, the owners among them.
pub const USERS: u8 = 12;
pub const EPOCH_BLOCKS: u64 = 16;
pub const OWN: u64 = 1_000;
pub const FUNDS: u64 = 1_000_000;
pub const POOL: u64 = 1_000_000;
pub const PER_EPOCH: u64 = 10_000;

pub fn key(seed: u64) -> ed25519::PrivateKey {
    ed25519::PrivateKey::from_seed(seed)
}

/// Keys of the genesis members, ascending by public key.
pub fn member_keys() -> Vec<ed25519::PrivateKey> {
    let mut keys: Vec<_> = (0..MEMBERS as u64).map(|n| key(100 + n)).collect();
    keys.sort_by_key(consensus_key);
    keys
}

pub fn rules() -> StakingRules {
    StakingRules {
        seats: 5,
        max_candidates: 8,
        least_own_stake: U256::from(OWN),
        unbonding_epochs: 4,
        jail_epochs: 2,
        reward_pool: U256::from(POOL),
        reward_per_epoch: U256::from(PER_EPOCH),
        commission_rise_epochs: 2,
        ..StakingRules::default()
    }
}

pub fn net_genesis(rules: StakingRules) -> Genesis {
    let users = Chain::some_users(USERS);
    let mut genesis = genesis(users[0].address());
    genesis.epoch_blocks = EPOCH_BLOCKS;
    genesis.staking = rules;
    genesis.committee.members = (0u16..)
        .zip(member_keys())
        .zip(&users)
        .map(|((number, key), user)| Member {
            consensus_key: consensus_key(&key),
            owner: user.address(),
            address: ([127, 0, 0, 1], 9_000 + number).into(),
            stake: U256::from(OWN),
            commission_bp: 1_000,
        })
        .collect();
    genesis.allocations = users
        .iter()
        .map(|user| Allocation {
            address: user.address(),
            amount: U256::from(FUNDS),
        })
        .collect();
    genesis.check().unwrap();
    genesis
}

pub fn net_with(rules: StakingRules) -> Chain {
    let mut chain = Chain::with(net_genesis(rules), Chain::some_users(USERS));
    chain.beneficiary = STAKING;
    chain
}

pub fn net() -> Chain {
    net_with(rules())
}

pub fn possession(key: &ed25519::PrivateKey, owner: Address) -> Bytes {
    let namespace = vote::possession_namespace(CHAIN_ID);
    key.sign(&namespace, owner.as_slice()).to_vec().into()
}

pub fn profile(name: &str) -> Profile {
    Profile {
        name: name.into(),
        website: "https://example.org".into(),
    }
}

pub fn register_call(
    chain: &Chain,
    user: usize,
    key: &ed25519::PrivateKey,
) -> IStaking::registerCall {
    IStaking::registerCall {
        consensusKey: consensus_key(key),
        possession: possession(key, chain.user(user)),
        networkAddress: format!("10.0.0.{}:9000", user + 1),
        commissionBp: 500,
        profile: profile("A candidate"),
    }
}

/// Makes a user a candidate with `own` votes.
pub fn register(chain: &mut Chain, user: usize, own: u64) -> ed25519::PrivateKey {
    let key = key(200 + user as u64);
    let call = register_call(chain, user, &key);
    chain.send(Send::call(user, STAKING, &call).value(U256::from(own)));
    key
}

pub fn stake(chain: &mut Chain, user: usize, amount: u64) {
    let call = Send::call(user, STAKING, &IStaking::stakeCall {}).value(U256::from(amount));
    chain.send(call);
}

pub fn vote_for(chain: &Chain, candidate: usize, amount: u64) -> IStaking::voteForCall {
    IStaking::voteForCall {
        candidate: chain.user(candidate),
        amount: U256::from(amount),
    }
}

/// Stakes and votes.
pub fn back(chain: &mut Chain, user: usize, candidate: usize, amount: u64) {
    stake(chain, user, amount);
    let call = vote_for(chain, candidate, amount);
    chain.send(Send::call(user, STAKING, &call));
}

pub fn unvote(chain: &Chain, candidate: usize, amount: u64) -> IStaking::unvoteCall {
    IStaking::unvoteCall {
        candidate: chain.user(candidate),
        amount: U256::from(amount),
    }
}

pub fn split(chain: &Chain, votes: &[(usize, u64)]) -> IStaking::voteCall {
    IStaking::voteCall {
        votes: votes
            .iter()
            .map(|(candidate, amount)| Vote {
                candidate: chain.user(*candidate),
                amount: U256::from(*amount),
            })
            .collect(),
    }
}

pub fn totals(chain: &Chain) -> IStaking::Totals {
    chain.view(STAKING, IStaking::totalsCall {})
}

pub fn candidate(chain: &Chain, user: usize) -> IStaking::Candidate {
    let owner = chain.user(user);
    chain.view(STAKING, IStaking::candidateCall { owner })
}

pub fn account(chain: &Chain, user: usize) -> IStaking::Account {
    let voter = chain.user(user);
    chain.view(STAKING, IStaking::accountCall { voter })
}

pub fn delegations(chain: &Chain, user: usize) -> Vec<IStaking::Delegation> {
    let voter = chain.user(user);
    chain.view(
        STAKING,
        IStaking::delegationsCall {
            voter,
            offset: 0,
            limit: 100,
        },
    )
}

pub fn pending(chain: &Chain, user: usize) -> u64 {
    let voter = chain.user(user);
    chain
        .view(STAKING, IStaking::pendingRewardsCall { voter })
        .to()
}

pub fn records(chain: &Chain, epoch: u64) -> Vec<IStaking::Record> {
    chain.view(
        STAKING,
        IStaking::recordsCall {
            epoch,
            offset: 0,
            limit: 100,
        },
    )
}

/// Owners of those elected, as users.
pub fn elected(chain: &Chain, epoch: u64) -> Vec<usize> {
    let seats = chain.view(
        STAKING,
        IStaking::electedCall {
            epoch,
            offset: 0,
            limit: 100,
        },
    );
    let mut users: Vec<usize> = seats
        .iter()
        .map(|seat| user_of(chain, seat.candidate))
        .collect();
    users.sort_unstable();
    users
}

pub fn user_of(chain: &Chain, address: Address) -> usize {
    chain
        .users
        .iter()
        .position(|user| user.address() == address)
        .unwrap()
}

/// Owner of a consensus key, as a user.
pub fn user_of_key(chain: &Chain, consensus_key: B256) -> usize {
    let call = IStaking::candidateOfCall {
        consensusKey: consensus_key,
    };
    user_of(chain, chain.view(STAKING, call))
}

/// Empty blocks until the next block is the first of `epoch`.
pub fn run_to(chain: &mut Chain, epoch: u64) {
    while chain.epoch() < epoch {
        chain.block(&[]);
    }
    check(chain);
}

/// The books balance, to the unit.
pub fn check(chain: &Chain) {
    let totals = totals(chain);
    let owed = totals.staked + totals.unbonding + totals.unpaidRewards + totals.pool + totals.fees;
    assert_eq!(owed, totals.balance);
    assert_eq!(totals.balance, chain.account(STAKING).balance);
    assert!(chain.view(STAKING, IStaking::solventCall {}));
}
