//! A peer's points as an ERC-20.

use super::world::{A, B, HOUR, RELAYER, STRANGER, Side};
use crate::support::Send;
use alloy::{
    primitives::{Address, U256, keccak256},
    signers::SignerSync,
    sol_types::SolCall,
};
use mileverse_primitives::{
    abi::{ICoin, IPoints},
    address::{BRIDGE, PEERS, POINTS, peer_points},
};

/// The second chain, where the first user has a hundred of the first chain's points.
fn away() -> Side {
    let (mut a, mut b) = Side::two();
    a.send(1, B, POINTS, 100, HOUR);
    let call = a.delivery(&[0]);
    b.call(RELAYER, &call);
    b
}

#[test]
fn it_is_an_erc20() {
    let mut b = away();
    let token = peer_points(A);
    let (one, two) = (b.chain.user(1), b.chain.user(2));
    let view = |b: &Side, account| b.foreign(A, account).to::<u64>();
    assert_eq!(
        b.chain.view(token, ICoin::nameCall {}),
        "MileVerse Peer Points"
    );
    assert_eq!(b.chain.view(token, ICoin::symbolCall {}), "MVP.8217");
    assert_eq!(b.chain.view(token, ICoin::decimalsCall {}), 6);
    let pay = |to, amount: u64| ICoin::transferCall {
        to,
        amount: U256::from(amount),
    };
    b.chain.send(Send::call(1, token, &pay(two, 30)));
    assert_eq!((view(&b, one), view(&b, two)), (70, 30));
    for (to, amount, reason) in [
        (two, 71, "below this amount"),
        (Address::ZERO, 1, "receiver"),
        (PEERS, 1, "receiver"),
        (token, 1, "receiver"),
        (peer_points(STRANGER), 1, "receiver"),
    ] {
        let told = b.chain.refuse(Send::call(1, token, &pay(to, amount)));
        assert!(told.contains(reason), "{told}");
    }
    let approve = ICoin::approveCall {
        spender: two,
        amount: U256::from(40),
    };
    b.chain.send(Send::call(1, token, &approve));
    let take = |amount: u64| ICoin::transferFromCall {
        from: one,
        to: two,
        amount: U256::from(amount),
    };
    b.chain.send(Send::call(2, token, &take(25)));
    let told = b.chain.refuse(Send::call(2, token, &take(16)));
    assert!(told.contains("approval"), "{told}");
    assert_eq!((view(&b, one), view(&b, two)), (45, 55));
    let left = ICoin::allowanceCall {
        owner: one,
        spender: two,
    };
    assert_eq!(b.chain.view(token, left), U256::from(15));
    b.check_books(A);

    // Own points cannot be stranded at the account that holds what went to the peer.
    let own = IPoints::transferCall {
        to: token,
        amount: U256::ONE,
    };
    assert!(
        b.chain
            .refuse(Send::call(1, POINTS, &own))
            .contains("system module")
    );
    // Neither coin nor an unknown call, and nothing at all where no peer is.
    b.chain.fund(one, U256::from(9));
    let paid = Send::call(1, token, &pay(two, 1)).value(U256::ONE);
    assert!(b.chain.refuse(paid).contains("takes no MVC"));
    let nothing = Send::data(1, token, vec![1, 2, 3, 4]);
    assert!(b.chain.refuse(nothing).contains("not a call"));
    let nobody = Send::call(1, peer_points(STRANGER), &pay(two, 1));
    assert!(b.chain.refuse(nobody).contains("is no peer"));
    assert_eq!(b.chain.account(peer_points(A)), b.chain.account(BRIDGE));
}

#[test]
fn a_permit_is_bound_to_the_token() {
    let mut b = away();
    let token = peer_points(A);
    let (owner, spender) = (b.chain.user(1), b.chain.user(2));
    let deadline = U256::from(b.chain.now + HOUR);
    let separator = b.chain.view(token, ICoin::DOMAIN_SEPARATORCall {});
    let domain = b.chain.view(token, ICoin::eip712DomainCall {});
    assert_eq!(
        (domain.verifyingContract, domain.chainId),
        (token, U256::from(B))
    );
    let hash = keccak256(
        [
            b.chain.view(token, ICoin::PERMIT_TYPEHASHCall {}),
            owner.into_word(),
            spender.into_word(),
            U256::from(12).into(),
            U256::ZERO.into(),
            deadline.into(),
        ]
        .concat(),
    );
    let digest = keccak256([&[0x19, 0x01], &separator[..], &hash[..]].concat());
    let signature = b.chain.users[1].sign_hash_sync(&digest).unwrap();
    let permit = ICoin::permit_1Call {
        owner,
        spender,
        value: U256::from(12),
        deadline,
        signature: signature.as_bytes().into(),
    };
    let coin = mileverse_primitives::address::COIN;
    b.chain.refuse(Send::call(2, coin, &permit));
    b.chain.send(Send::call(2, token, &permit));
    let allowed = ICoin::allowanceCall { owner, spender };
    assert_eq!(b.chain.view(token, allowed), U256::from(12));
    b.chain.refuse(Send::call(2, token, &permit));
    assert_eq!(b.chain.view(token, ICoin::noncesCall { owner }), U256::ONE);
    assert!(permit.abi_encode().len() <= 4 + 9 * 32);
}
