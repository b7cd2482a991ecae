//! The guardian stops issuing and moves nothing.

use super::support::{Chain, GUARDIAN, ISSUER, Send};
use alloy::{
    primitives::{Address, B256, U256},
    sol_types::{SolCall, SolEvent},
};
use mileverse_primitives::{abi::IPoints, address::POINTS};

fn issue(to: Address, id: u8) -> IPoints::issueCall {
    IPoints::issueCall {
        to,
        amount: U256::from(5),
        conversionId: B256::repeat_byte(id),
    }
}

#[test]
fn issuing_stops_for_all_and_goes_on() {
    let mut chain = Chain::charging();
    let to = chain.user(1);
    chain.send(Send::call(ISSUER, POINTS, &issue(to, 1)));
    let logs = chain.send(Send::call(GUARDIAN, POINTS, &IPoints::stopIssuingCall {}));
    assert_eq!(
        logs[0].data.topics(),
        [IPoints::IssuingStopped::SIGNATURE_HASH]
    );
    assert!(chain.view(POINTS, IPoints::issuingStoppedCall {}));
    let stopped = chain.refuse(Send::call(ISSUER, POINTS, &issue(to, 2)));
    assert!(stopped.contains("guardian"), "{stopped}");
    let batch = IPoints::issueBatchCall {
        issues: vec![IPoints::Issue {
            to,
            amount: U256::from(5),
            conversionId: B256::repeat_byte(3),
        }],
    };
    assert!(
        chain
            .refuse(Send::call(ISSUER, POINTS, &batch))
            .contains("guardian")
    );
    let issuer = chain.user(ISSUER);
    let left = |chain: &Chain| chain.view(POINTS, IPoints::quotaLeftCall { issuer });
    assert_eq!(left(&chain), U256::ZERO);
    // Everybody else goes on.
    let transfer = IPoints::transferCall {
        to: chain.user(2),
        amount: U256::from(1),
    };
    chain.send(Send::call(1, POINTS, &transfer));
    // Stopping twice is stopping once.
    assert!(
        chain
            .send(Send::call(GUARDIAN, POINTS, &IPoints::stopIssuingCall {}))
            .is_empty()
    );
    chain.send(Send::call(GUARDIAN, POINTS, &IPoints::resumeIssuingCall {}));
    assert!(left(&chain) > U256::ZERO);
    chain.send(Send::call(ISSUER, POINTS, &issue(to, 2)));
}

#[test]
fn one_issuer_is_stopped_alone() {
    let users = Chain::some_users(5);
    let mut chain = {
        let mut genesis = super::support::genesis(users[ISSUER].address());
        genesis.points.guardian = users[GUARDIAN].address();
        genesis.issuers.push(mileverse_primitives::genesis::Issuer {
            address: users[3].address(),
            daily_quota: U256::from(100),
        });
        Chain::with(genesis, users)
    };
    let (to, issuer) = (chain.user(1), chain.user(ISSUER));
    let stop = IPoints::stopIssuerCall { issuer };
    chain.send(Send::call(GUARDIAN, POINTS, &stop));
    assert!(chain.view(POINTS, IPoints::issuerStoppedCall { issuer }));
    let refused = chain.refuse(Send::call(ISSUER, POINTS, &issue(to, 1)));
    assert!(refused.contains("this issuer"), "{refused}");
    chain.send(Send::call(3, POINTS, &issue(to, 1)));
    chain.send(Send::call(
        GUARDIAN,
        POINTS,
        &IPoints::resumeIssuerCall { issuer },
    ));
    chain.send(Send::call(ISSUER, POINTS, &issue(to, 2)));
    let nobody = IPoints::stopIssuerCall {
        issuer: chain.user(2),
    };
    assert!(
        chain
            .refuse(Send::call(GUARDIAN, POINTS, &nobody))
            .contains("no issuer")
    );
}

#[test]
fn nobody_else_stops_and_the_guardian_does_nothing_else() {
    let mut chain = Chain::charging();
    let issuer = chain.user(ISSUER);
    let calls = [
        IPoints::stopIssuingCall {}.abi_encode(),
        IPoints::resumeIssuingCall {}.abi_encode(),
        IPoints::stopIssuerCall { issuer }.abi_encode(),
        IPoints::resumeIssuerCall { issuer }.abi_encode(),
    ];
    for call in calls {
        for user in [ISSUER, 1] {
            let reason = chain.refuse(Send::data(user, POINTS, call.clone()));
            assert!(reason.contains("only the guardian"), "{reason}");
        }
    }
    chain.issue(1, 100);
    let mut refuse = |data: Vec<u8>| chain.refuse(Send::data(GUARDIAN, POINTS, data));
    let to = Address::repeat_byte(5);
    assert!(refuse(issue(to, 9).abi_encode()).contains("only an issuer"));
    let amount = U256::ONE;
    let from = chain.user(1);
    let steal = IPoints::transferFromCall { from, to, amount };
    assert!(
        chain
            .refuse(Send::call(GUARDIAN, POINTS, &steal))
            .contains("approval")
    );
    // Without a guardian nobody is it, not even the zero address.
    let mut chain = Chain::with_points(|rules| {
        rules.guardian = Address::ZERO;
    });
    let reason = chain.refuse(Send::call(GUARDIAN, POINTS, &IPoints::stopIssuingCall {}));
    assert!(reason.contains("only the guardian"));
}
