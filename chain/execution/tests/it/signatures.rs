//! Calls that one signs and another sends: EIP-2612 on both tokens, EIP-3009 on points. What is
//! signed is hashed here by alloy's EIP-712, not by the module's own code.

use super::{
    contracts::{deploy, forward, forwarder},
    support::{CHAIN_ID, Chain, START_SECONDS, Send, TREASURY},
};
use alloy::{
    primitives::{Address, B256, Signature, U256},
    signers::SignerSync,
    sol,
    sol_types::{Eip712Domain, SolCall, SolEvent, SolStruct, eip712_domain},
};
use mileverse_primitives::{
    abi::{ICoin, IPoints},
    address::{COIN, POINTS},
    points::MICRO,
};

sol! {
    #[derive(Copy)]
    struct Permit { address owner; address spender; uint256 value; uint256 nonce; uint256 deadline; }
    #[derive(Copy)]
    struct TransferWithAuthorization { address from; address to; uint256 value; uint256 validAfter; uint256 validBefore; bytes32 nonce; }
    #[derive(Copy)]
    struct ReceiveWithAuthorization { address from; address to; uint256 value; uint256 validAfter; uint256 validBefore; bytes32 nonce; }
    struct CancelAuthorization { address authorizer; bytes32 nonce; }
}

/// Order of secp256k1.
const ORDER: U256 = U256::from_be_slice(&alloy::primitives::hex!(
    "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141"
));

fn domain(token: Address) -> Eip712Domain {
    let name = if token == COIN {
        "MileVerse Coin"
    } else {
        "MileVerse Points"
    };
    eip712_domain! {
        name: name,
        version: "1",
        chain_id: CHAIN_ID,
        verifying_contract: token,
    }
}

fn sign(chain: &Chain, user: usize, token: Address, what: &impl SolStruct) -> Signature {
    let hash = what.eip712_signing_hash(&domain(token));
    chain.users[user].sign_hash_sync(&hash).unwrap()
}

fn parts(signature: &Signature) -> (u8, B256, B256) {
    let v = 27 + u8::from(signature.v());
    (v, signature.r().into(), signature.s().into())
}

/// The same signature with the other half's `s`.
fn twin(signature: &Signature) -> Signature {
    Signature::new(signature.r(), ORDER - signature.s(), !signature.v())
}

fn permit_of(chain: &Chain, nonce: u64) -> Permit {
    Permit {
        owner: chain.user(1),
        spender: chain.user(2),
        value: U256::from(50),
        nonce: U256::from(nonce),
        deadline: U256::from(START_SECONDS + 10_000),
    }
}

fn permit_call(permit: Permit, signature: &Signature) -> IPoints::permit_0Call {
    let (v, r, s) = parts(signature);
    IPoints::permit_0Call {
        owner: permit.owner,
        spender: permit.spender,
        value: permit.value,
        deadline: permit.deadline,
        v,
        r,
        s,
    }
}

fn allowance(chain: &Chain, token: Address) -> U256 {
    let (owner, spender) = (chain.user(1), chain.user(2));
    chain.view(token, IPoints::allowanceCall { owner, spender })
}

#[test]
fn a_permit_works_once_on_both_tokens_and_in_both_forms() {
    for token in [POINTS, COIN] {
        let mut chain = Chain::charging();
        let owner = chain.user(1);
        let permit = permit_of(&chain, 0);
        let signature = sign(&chain, 1, token, &permit);
        let call = permit_call(permit, &signature);
        // User 3 brings it; the coin's call is the same bytes.
        let logs = chain.send(Send::call(3, token, &call));
        assert_eq!(
            IPoints::Approval::decode_log_data(&logs[0].data).unwrap(),
            IPoints::Approval {
                owner,
                spender: chain.user(2),
                value: U256::from(50)
            }
        );
        assert_eq!(logs[0].address, token);
        assert_eq!(allowance(&chain, token), U256::from(50));
        let again = chain.refuse(Send::call(3, token, &call));
        assert!(again.contains("signature"), "{again}");
        let nonce = chain.view(token, IPoints::noncesCall { owner });
        assert_eq!(nonce, U256::ONE);
        let permit = Permit {
            value: U256::from(7),
            ..permit_of(&chain, 1)
        };
        let signature = sign(&chain, 1, token, &permit);
        let call = IPoints::permit_1Call {
            owner,
            spender: permit.spender,
            value: permit.value,
            deadline: permit.deadline,
            signature: signature.as_bytes().into(),
        };
        chain.send(Send::call(3, token, &call));
        assert_eq!(allowance(&chain, token), U256::from(7));
    }
}

#[test]
fn a_permit_that_is_not_the_owners_is_refused() {
    let mut chain = Chain::charging();
    let permit = permit_of(&chain, 0);
    let good = sign(&chain, 1, POINTS, &permit);
    let mut refuse = |call: Vec<u8>| chain.refuse(Send::data(3, POINTS, call));
    // Another value, another spender, another deadline, an owner that is nobody.
    for bad in [
        Permit {
            value: U256::MAX,
            ..permit
        },
        Permit {
            spender: Address::repeat_byte(9),
            ..permit
        },
        Permit {
            deadline: permit.deadline + U256::ONE,
            ..permit
        },
        Permit {
            owner: Address::ZERO,
            ..permit
        },
    ] {
        let reason = refuse(permit_call(bad, &good).abi_encode());
        assert!(reason.contains("signature"), "{reason}");
    }
    // The malleable twin, a strange v, nothing at all.
    let (v, r, s) = parts(&good);
    for (v, r, s) in [
        (
            v ^ 1 ^ 27 ^ 28,
            parts(&twin(&good)).1,
            parts(&twin(&good)).2,
        ),
        (v - 27, r, s),
        (29, r, s),
        (v, B256::ZERO, s),
        (v, r, B256::ZERO),
        (0, B256::ZERO, B256::ZERO),
    ] {
        let call = IPoints::permit_0Call {
            v,
            r,
            s,
            ..permit_call(permit, &good)
        };
        let reason = refuse(call.abi_encode());
        assert!(reason.contains("signature"), "{reason}");
    }
    let reason = refuse(permit_call(permit, &twin(&good)).abi_encode());
    assert!(reason.contains("signature"), "{reason}");
    for length in [0, 64, 66] {
        let mut bytes = good.as_bytes().to_vec();
        bytes.resize(length, 0);
        let call = IPoints::permit_1Call {
            owner: permit.owner,
            spender: permit.spender,
            value: permit.value,
            deadline: permit.deadline,
            signature: bytes.into(),
        };
        assert!(refuse(call.abi_encode()).contains("signature"));
    }
    // Signed for the other token, or by somebody else.
    let coin = sign(&chain, 1, COIN, &permit);
    let other = sign(&chain, 2, POINTS, &permit);
    for signature in [coin, other] {
        let reason = chain.refuse(Send::call(3, POINTS, &permit_call(permit, &signature)));
        assert!(reason.contains("signature"), "{reason}");
    }
    // At its deadline it is good, after it not.
    chain.now = START_SECONDS + 10_001;
    let late = chain.refuse(Send::call(3, POINTS, &permit_call(permit, &good)));
    assert!(late.contains("deadline"), "{late}");
    chain.now = START_SECONDS + 10_000;
    chain.send(Send::call(3, POINTS, &permit_call(permit, &good)));
}

fn authorization(chain: &Chain, nonce: u8) -> TransferWithAuthorization {
    TransferWithAuthorization {
        from: chain.user(1),
        to: chain.user(2),
        value: U256::from(MICRO),
        validAfter: U256::from(START_SECONDS - 1),
        validBefore: U256::from(START_SECONDS + 1_000),
        nonce: B256::repeat_byte(nonce),
    }
}

fn transfer_call(
    what: TransferWithAuthorization,
    signature: &Signature,
) -> IPoints::transferWithAuthorization_0Call {
    let (v, r, s) = parts(signature);
    IPoints::transferWithAuthorization_0Call {
        from: what.from,
        to: what.to,
        value: what.value,
        validAfter: what.validAfter,
        validBefore: what.validBefore,
        nonce: what.nonce,
        v,
        r,
        s,
    }
}

fn is_spent(chain: &Chain, nonce: u8) -> bool {
    let call = IPoints::authorizationStateCall {
        authorizer: chain.user(1),
        nonce: B256::repeat_byte(nonce),
    };
    chain.view(POINTS, call)
}

#[test]
fn an_authorized_transfer_is_sent_by_anybody_once_and_its_payer_pays_the_fee() {
    let mut chain = Chain::charging();
    let [a, b] = [1, 2].map(|user| chain.user(user));
    chain.issue(1, 10 * MICRO);
    let what = authorization(&chain, 1);
    let signature = sign(&chain, 1, POINTS, &what);
    assert!(!is_spent(&chain, 1));
    let logs = chain.send(Send::call(3, POINTS, &transfer_call(what, &signature)));
    let used = IPoints::AuthorizationUsed {
        authorizer: a,
        nonce: B256::repeat_byte(1),
    };
    assert_eq!(
        IPoints::AuthorizationUsed::decode_log_data(&logs[0].data).unwrap(),
        used
    );
    assert_eq!(chain.points(b), U256::from(MICRO));
    assert_eq!(chain.points(TREASURY), U256::from(3_000));
    assert_eq!(chain.points(a), U256::from(9 * MICRO - 3_000));
    assert!(is_spent(&chain, 1));
    let again = chain.refuse(Send::call(3, POINTS, &transfer_call(what, &signature)));
    assert!(again.contains("used or cancelled"), "{again}");
    let what = authorization(&chain, 2);
    let call = IPoints::transferWithAuthorization_1Call {
        from: what.from,
        to: what.to,
        value: what.value,
        validAfter: what.validAfter,
        validBefore: what.validBefore,
        nonce: what.nonce,
        signature: sign(&chain, 1, POINTS, &what).as_bytes().into(),
    };
    chain.send(Send::call(3, POINTS, &call));
    assert_eq!(chain.points(b), U256::from(2 * MICRO));
    // The times, both excluded.
    let what = TransferWithAuthorization {
        validAfter: U256::from(START_SECONDS + 100),
        ..authorization(&chain, 3)
    };
    let call = transfer_call(what, &sign(&chain, 1, POINTS, &what));
    chain.now = START_SECONDS + 100;
    assert!(
        chain
            .refuse(Send::call(3, POINTS, &call))
            .contains("not valid yet")
    );
    chain.now = START_SECONDS + 1_000;
    assert!(
        chain
            .refuse(Send::call(3, POINTS, &call))
            .contains("expired")
    );
    chain.now = START_SECONDS + 999;
    chain.send(Send::call(3, POINTS, &call));
    // Changed by whoever brings it.
    chain.now = START_SECONDS + 10;
    let what = authorization(&chain, 4);
    let signature = sign(&chain, 1, POINTS, &what);
    for bad in [
        TransferWithAuthorization {
            value: U256::from(2 * MICRO),
            ..what
        },
        TransferWithAuthorization {
            to: chain.user(3),
            ..what
        },
        TransferWithAuthorization {
            from: chain.user(2),
            ..what
        },
        TransferWithAuthorization {
            nonce: B256::repeat_byte(5),
            ..what
        },
    ] {
        let reason = chain.refuse(Send::call(3, POINTS, &transfer_call(bad, &signature)));
        assert!(reason.contains("signature"), "{reason}");
    }
    // Not as a receipt either: the types differ.
    let (v, r, s) = parts(&signature);
    let receive = IPoints::receiveWithAuthorization_0Call {
        from: what.from,
        to: what.to,
        value: what.value,
        validAfter: what.validAfter,
        validBefore: what.validBefore,
        nonce: what.nonce,
        v,
        r,
        s,
    };
    let reason = chain.refuse(Send::call(2, POINTS, &receive));
    assert!(reason.contains("signature"), "{reason}");
}

#[test]
fn only_the_receiver_sends_what_is_to_be_received() {
    let mut chain = Chain::charging();
    chain.issue(1, 10 * MICRO);
    let t = authorization(&chain, 1);
    let receive = |chain: &Chain, to: Address, nonce: u8| {
        let what = ReceiveWithAuthorization {
            from: t.from,
            to,
            value: t.value,
            validAfter: t.validAfter,
            validBefore: t.validBefore,
            nonce: B256::repeat_byte(nonce),
        };
        IPoints::receiveWithAuthorization_1Call {
            from: what.from,
            to: what.to,
            value: what.value,
            validAfter: what.validAfter,
            validBefore: what.validBefore,
            nonce: what.nonce,
            signature: sign(chain, 1, POINTS, &what).as_bytes().into(),
        }
    };
    let call = receive(&chain, chain.user(2), 1);
    let reason = chain.refuse(Send::call(3, POINTS, &call));
    assert!(reason.contains("only the receiver"), "{reason}");
    chain.send(Send::call(2, POINTS, &call));
    assert_eq!(chain.points(chain.user(2)), U256::from(MICRO));
    // A contract receives within its own call.
    let till = deploy(&mut chain, &forwarder());
    let call = receive(&chain, till, 2);
    chain.send(Send::data(3, till, forward(POINTS, &call.abi_encode())));
    assert_eq!(chain.points(till), U256::from(MICRO));
}

#[test]
fn a_cancelled_authorization_is_void() {
    let mut chain = Chain::charging();
    chain.issue(1, 10 * MICRO);
    let what = authorization(&chain, 1);
    let signature = sign(&chain, 1, POINTS, &what);
    let cancel = |chain: &Chain, signer: usize, nonce: u8| {
        let what = CancelAuthorization {
            authorizer: chain.user(1),
            nonce: B256::repeat_byte(nonce),
        };
        sign(chain, signer, POINTS, &what)
    };
    let call = |chain: &Chain, signer, nonce: u8| {
        let (v, r, s) = parts(&cancel(chain, signer, nonce));
        IPoints::cancelAuthorization_0Call {
            authorizer: chain.user(1),
            nonce: B256::repeat_byte(nonce),
            v,
            r,
            s,
        }
    };
    let foreign = call(&chain, 2, 1);
    let reason = chain.refuse(Send::call(3, POINTS, &foreign));
    assert!(reason.contains("signature"), "{reason}");
    let good = call(&chain, 1, 1);
    let logs = chain.send(Send::call(3, POINTS, &good));
    assert_eq!(
        logs[0].data.topics()[0],
        IPoints::AuthorizationCanceled::SIGNATURE_HASH
    );
    assert!(is_spent(&chain, 1));
    for data in [
        transfer_call(what, &signature).abi_encode(),
        good.abi_encode(),
    ] {
        let reason = chain.refuse(Send::data(3, POINTS, data));
        assert!(reason.contains("used or cancelled"), "{reason}");
    }
    let bytes = IPoints::cancelAuthorization_1Call {
        authorizer: chain.user(1),
        nonce: B256::repeat_byte(2),
        signature: cancel(&chain, 1, 2).as_bytes().into(),
    };
    chain.send(Send::call(3, POINTS, &bytes));
    assert!(is_spent(&chain, 2));
}

#[test]
fn the_domains_are_what_wallets_compute() {
    let chain = Chain::charging();
    for token in [POINTS, COIN] {
        let separator = chain.view(token, IPoints::DOMAIN_SEPARATORCall {});
        assert_eq!(separator, domain(token).separator());
        let said = chain.view(token, ICoin::eip712DomainCall {});
        assert_eq!(said.fields.0, [0x0f]);
        assert_eq!(Some(said.name.into()), domain(token).name);
        assert_eq!(said.version, "1");
        assert_eq!(said.chainId, U256::from(CHAIN_ID));
        assert_eq!(said.verifyingContract, token);
        let permit = chain.view(token, ICoin::PERMIT_TYPEHASHCall {});
        assert_eq!(permit, permit_of(&chain, 0).eip712_type_hash());
    }
    let what = authorization(&chain, 0);
    let said = chain.view(POINTS, IPoints::TRANSFER_WITH_AUTHORIZATION_TYPEHASHCall {});
    assert_eq!(said, what.eip712_type_hash());
    // As EIP-3009 and USDC have them.
    let said = chain.view(POINTS, IPoints::RECEIVE_WITH_AUTHORIZATION_TYPEHASHCall {});
    assert_eq!(
        said,
        alloy::primitives::b256!(
            "d099cc98ef71107a616c4f0f941f04c322d8e254fe26b3c6668db87aae413de8"
        )
    );
    let said = chain.view(POINTS, IPoints::CANCEL_AUTHORIZATION_TYPEHASHCall {});
    assert_eq!(
        said,
        alloy::primitives::b256!(
            "158b0a9edf7a828aad02f63cd515c68ef2f50ba807396f6d12842833a1597429"
        )
    );
}
