//! Every rule of staking that a call can break: refused by name, and nothing changes.

use super::support::*;
use crate::support::{Chain, Send, consensus_key};
use alloy::primitives::{Address, U256};
use mileverse_primitives::{
    abi::IStaking,
    address::STAKING,
    staking::{MAX_VOTES, StakingRules},
};

fn refuse<C: alloy::sol_types::SolCall>(chain: &mut Chain, user: usize, call: &C) -> String {
    chain.refuse(Send::call(user, STAKING, call))
}

#[test]
fn votes_without_stake_and_beyond_it() {
    let mut chain = net();
    let nothing = "the free stake is 0; stake more, or unvote first";
    let call = vote_for(&chain, 0, 1);
    assert_eq!(refuse(&mut chain, 5, &call), nothing);
    let call = split(&chain, &[(0, 1)]);
    assert_eq!(refuse(&mut chain, 5, &call), nothing);
    stake(&mut chain, 5, 10);
    let call = vote_for(&chain, 0, 11);
    assert_eq!(
        refuse(&mut chain, 5, &call),
        "the free stake is 10; stake more, or unvote first"
    );
    let call = split(&chain, &[(0, 6), (1, 5)]);
    assert_eq!(
        refuse(&mut chain, 5, &call),
        "the free stake is 4; stake more, or unvote first"
    );
    let zero = "the amount is zero";
    let call = split(&chain, &[(0, 5), (1, 0)]);
    assert_eq!(refuse(&mut chain, 5, &call), zero);
    let call = vote_for(&chain, 0, 0);
    assert_eq!(refuse(&mut chain, 5, &call), zero);
    assert_eq!(refuse(&mut chain, 5, &IStaking::stakeCall {}), zero);
    let call = split(&chain, &[(0, 5), (0, 5)]);
    assert_eq!(
        refuse(&mut chain, 5, &call),
        format!("candidate {} stands in the votes twice", chain.user(0))
    );
    let nobody = IStaking::voteForCall {
        candidate: Address::repeat_byte(0x99),
        amount: U256::ONE,
    };
    assert!(refuse(&mut chain, 5, &nobody).contains("is no candidate"));
    let huge = IStaking::voteForCall {
        candidate: chain.user(0),
        amount: U256::MAX,
    };
    assert_eq!(refuse(&mut chain, 5, &huge), "the sum is out of range");
    let call = unvote(&chain, 0, 1);
    assert!(refuse(&mut chain, 5, &call).contains("votes only 0 for this candidate"));
    let call = IStaking::moveCall {
        from: chain.user(0),
        to: chain.user(0),
        amount: U256::ONE,
    };
    assert_eq!(
        refuse(&mut chain, 5, &call),
        "from and to are the same candidate"
    );
}

#[test]
fn a_thirty_first_candidate() {
    let mut rules = rules();
    rules.max_candidates = 40;
    rules.seats = 4;
    rules.least_own_stake = U256::from(1);
    let mut genesis = net_genesis(rules);
    let users = Chain::some_users(40);
    genesis.allocations = users
        .iter()
        .map(|user| mileverse_primitives::staking::Allocation {
            address: user.address(),
            amount: U256::from(FUNDS),
        })
        .collect();
    let mut chain = Chain::with(genesis, users);
    for user in 4..33 {
        register(&mut chain, user, 1);
    }
    stake(&mut chain, 35, 100);
    let too_many = "a voter votes for at most 30 candidates at a time";
    let all: Vec<(usize, u64)> = (0..=MAX_VOTES).map(|candidate| (candidate, 1)).collect();
    let call = split(&chain, &all);
    assert_eq!(
        chain.refuse(Send::call(35, STAKING, &call).gas(20_000_000)),
        too_many
    );
    let call = split(&chain, &all[..MAX_VOTES]);
    chain.send(Send::call(35, STAKING, &call).gas(20_000_000));
    assert_eq!(account(&chain, 35).delegations, 30);
    let call = vote_for(&chain, 30, 1);
    assert_eq!(refuse(&mut chain, 35, &call), too_many);
    let call = IStaking::moveCall {
        from: chain.user(0),
        to: chain.user(30),
        amount: U256::ONE,
    };
    chain.send(Send::call(35, STAKING, &call));
    assert_eq!(account(&chain, 35).delegations, 30);
    check(&chain);
}

#[test]
fn registrations_with_foreign_or_bad_keys() {
    let mut chain = net();
    let own = U256::from(OWN);
    let mine = key(1);
    let theirs = member_keys().remove(0);
    let good = register_call(&chain, 6, &mine);
    let mut refuse = |edit: &dyn Fn(&mut IStaking::registerCall)| {
        let mut call = good.clone();
        edit(&mut call);
        chain.refuse(Send::call(6, STAKING, &call).value(own))
    };
    let possession_refusal =
        "the proof of possession is not a signature by the consensus key over the caller's address";
    // Somebody else's key, with one's own signature, and with the other's for the other's account.
    assert_eq!(
        refuse(&|call| call.consensusKey = consensus_key(&theirs)),
        possession_refusal
    );
    let other = Chain::some_users(USERS)[0].address();
    assert_eq!(
        refuse(&|call| {
            call.consensusKey = consensus_key(&theirs);
            call.possession = possession(&theirs, other);
        }),
        possession_refusal
    );
    assert_eq!(
        refuse(&|call| call.possession = vec![].into()),
        possession_refusal
    );
    assert_eq!(
        refuse(&|call| call.consensusKey = alloy::primitives::B256::repeat_byte(0x02)),
        "the consensus key is not a valid ed25519 key"
    );
    for address in ["", "10.0.0.1", "host:1", "10.0.0.1:0", "0.0.0.0:1"] {
        assert!(
            refuse(&|call| call.networkAddress = address.into())
                .starts_with("the network address must be ip:port")
        );
    }
    assert_eq!(
        refuse(&|call| call.commissionBp = 5_001),
        "the commission may be at most 5000 basis points"
    );
    assert_eq!(
        refuse(&|call| call.profile.name = "n".repeat(65)),
        "a name has 1 to 64 bytes and no control characters"
    );
    assert_eq!(
        refuse(&|call| call.profile.website = "w".repeat(129)),
        "a website has at most 128 bytes and no control characters"
    );
    assert_eq!(
        chain.refuse(Send::call(6, STAKING, &good).value(own - U256::ONE)),
        "a candidate's owner must vote at least 1000 for it"
    );
    chain.send(Send::call(6, STAKING, &good).value(own));
    assert_eq!(
        chain.refuse(Send::call(6, STAKING, &good).value(own)),
        "the caller is a candidate already; use update"
    );
    // The same key, proven by its holder, for a second account: a duplicate.
    let duplicate = register_call(&chain, 7, &mine);
    assert_eq!(
        chain.refuse(Send::call(7, STAKING, &duplicate).value(own)),
        format!(
            "the consensus key {} belongs to another candidate",
            consensus_key(&mine)
        )
    );
}

#[test]
fn commissions_that_rise_too_fast() {
    let mut chain = net();
    let one = candidate(&chain, 0);
    let update = |commission: u16| IStaking::updateCall {
        consensusKey: one.consensusKey,
        possession: vec![].into(),
        networkAddress: one.networkAddress.clone(),
        commissionBp: commission,
        profile: one.profile.clone(),
    };
    let refusal = |next: u64| {
        format!(
            "the commission may rise by at most 100 basis points every 2 epochs; the next rise is possible in epoch {next}"
        )
    };
    assert_eq!(refuse(&mut chain, 0, &update(1_101)), refusal(0));
    chain.send(Send::call(0, STAKING, &update(1_100)));
    assert_eq!(refuse(&mut chain, 0, &update(1_101)), refusal(2));
    chain.send(Send::call(0, STAKING, &update(900)));
    assert_eq!(refuse(&mut chain, 0, &update(901)), refusal(2));
    run_to(&mut chain, 2);
    chain.send(Send::call(0, STAKING, &update(1_000)));
    assert_eq!(
        refuse(&mut chain, 0, &update(5_001)),
        "the commission may be at most 5000 basis points"
    );
    let other = key(77);
    let call = IStaking::updateCall {
        consensusKey: consensus_key(&other),
        ..update(1_000)
    };
    assert_eq!(
        refuse(&mut chain, 0, &call),
        "the possession may be left out only if the key stays"
    );
    let taken = member_keys().remove(1);
    let call = IStaking::updateCall {
        consensusKey: consensus_key(&taken),
        possession: possession(&taken, chain.user(0)),
        ..update(1_000)
    };
    assert!(refuse(&mut chain, 0, &call).ends_with("belongs to another candidate"));
    assert!(refuse(&mut chain, 8, &update(0)).ends_with("is no candidate"));
}

#[test]
fn a_full_list() {
    let mut chain = net();
    for user in 4..8 {
        register(&mut chain, user, OWN);
    }
    let call = register_call(&chain, 8, &key(1));
    let call = Send::call(8, STAKING, &call).value(U256::from(OWN));
    assert_eq!(
        chain.refuse(call.clone()),
        "8 candidates are listed, no more fit"
    );
    let retire = IStaking::retireCall {
        candidate: chain.user(5),
    };
    assert_eq!(
        refuse(&mut chain, 8, &retire),
        "only its owner may retire a candidate that is in order"
    );
    // Anybody may take an under-bonded one off the list.
    let less = unvote(&chain, 5, 1);
    chain.send(Send::call(5, STAKING, &less));
    chain.send(Send::call(8, STAKING, &retire));
    assert!(refuse(&mut chain, 8, &retire).contains("is not listed any more"));
    let vote = vote_for(&chain, 5, 1);
    stake(&mut chain, 9, 1);
    assert!(refuse(&mut chain, 9, &vote).contains("it takes no votes"));
    chain.send(call);
    assert_eq!(chain.view(STAKING, IStaking::candidateCountCall {}), 8);
    check(&chain);
}

#[test]
fn unbondings_claimed_early_and_nothing_to_claim() {
    let mut chain = net();
    assert_eq!(
        refuse(&mut chain, 5, &IStaking::withdrawCall {}),
        "nothing is unbonding"
    );
    assert_eq!(
        refuse(&mut chain, 5, &IStaking::claimCall {}),
        "there are no rewards to claim"
    );
    stake(&mut chain, 5, 10);
    let unstake = |amount: u64| IStaking::unstakeCall {
        amount: U256::from(amount),
    };
    assert_eq!(refuse(&mut chain, 5, &unstake(0)), "the amount is zero");
    assert_eq!(
        refuse(&mut chain, 5, &unstake(11)),
        "the free stake is 10; stake more, or unvote first"
    );
    chain.send(Send::call(5, STAKING, &unstake(10)));
    let early = "nothing has unbonded yet; the first does in epoch 4";
    assert_eq!(refuse(&mut chain, 5, &IStaking::withdrawCall {}), early);
    run_to(&mut chain, 3);
    while !(chain.height + 2).is_multiple_of(EPOCH_BLOCKS) {
        chain.block(&[]);
    }
    assert_eq!(chain.epoch(), 3);
    let call = Send::call(5, STAKING, &IStaking::withdrawCall {});
    let tried = chain.try_call(&call);
    assert!(!tried.is_success());
    chain.block(&[]);
    chain.send(call);
    assert_eq!(
        refuse(&mut chain, 5, &IStaking::withdrawCall {}),
        "nothing is unbonding"
    );
}

#[test]
fn lists_of_an_account_are_short() {
    let mut chain = net_with(StakingRules {
        unbonding_epochs: 100,
        reward_per_epoch: U256::ZERO,
        ..rules()
    });
    stake(&mut chain, 5, 1_000);
    let unstake = IStaking::unstakeCall { amount: U256::ONE };
    let (out, back) = (unvote(&chain, 0, 1), vote_for(&chain, 0, 2));
    chain.send(Send::call(5, STAKING, &vote_for(&chain, 0, 500)));
    for epoch in 1..=32 {
        chain.send(Send::call(5, STAKING, &unstake));
        chain.send(Send::call(5, STAKING, &out));
        run_to(&mut chain, epoch);
    }
    assert_eq!(
        refuse(&mut chain, 5, &unstake),
        "too many unbondings are under way; withdraw, or wait for the first"
    );
    for epoch in 33..=64 {
        chain.send(Send::call(5, STAKING, &out));
        run_to(&mut chain, epoch);
    }
    assert_eq!(
        refuse(&mut chain, 5, &out),
        "too many votes were taken away lately; wait until the first of them is free"
    );
    // Voting again ends the youngest liabilities.
    chain.send(Send::call(5, STAKING, &back));
    chain.send(Send::call(5, STAKING, &out));
    check(&chain);
}

#[test]
fn calls_of_candidates_only() {
    let mut chain = net();
    assert!(refuse(&mut chain, 8, &IStaking::unjailCall {}).ends_with("is no candidate"));
    assert_eq!(
        refuse(&mut chain, 0, &IStaking::unjailCall {}),
        "the candidate is not jailed"
    );
}

#[test]
fn value_where_none_is_taken_and_pages_that_are_too_long() {
    let mut chain = net();
    let call = Send::call(5, STAKING, &IStaking::claimCall {}).value(U256::ONE);
    assert_eq!(chain.refuse(call), "this function takes no MVC");
    for limit in [0, 101] {
        let call = IStaking::candidatesCall { offset: 0, limit };
        assert_eq!(refuse(&mut chain, 5, &call), "a page has 1 to 100 entries");
    }
    for epoch in [3, 1_000] {
        let call = IStaking::recordsCall {
            epoch,
            offset: 0,
            limit: 1,
        };
        assert_eq!(
            refuse(&mut chain, 5, &call),
            format!("epoch {epoch} is not kept any more, or not known yet")
        );
    }
}
