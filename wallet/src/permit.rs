//! EIP-2612: a signature that lets somebody take points, so that one transaction is enough where two
//! were needed. `docs/swap.md` says which calls take one.
//!
//! A permit names its owner, who may take, how much, the owner's next nonce and the last second at which it is
//! good. It is used once. What it says and what the call says that carries it must be the same, so a
//! permit is only ever good for that call.

use alloy::{
    primitives::{Address, B256, Signature, U256},
    signers::{SignerSync as _, local::PrivateKeySigner},
    sol,
    sol_types::{Eip712Domain, SolStruct as _, eip712_domain},
};
use mileverse_primitives::address::POINTS;
use serde_json::{Value, json};

/// The name in the domain of points (EIP-712).
const NAME: &str = "MileVerse Points";
/// Its version.
const VERSION: &str = "1";

mod signed {
    #![allow(missing_docs, reason = "sol! expands to undocumented items")]

    super::sol! {
        #[derive(Debug)]
        struct Permit {
            address owner;
            address spender;
            uint256 value;
            uint256 nonce;
            uint256 deadline;
        }
    }
}

/// What an owner of points is to sign.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Permit {
    /// EIP-155 id of the native chain.
    pub chain_id: u64,
    /// Whose points.
    pub owner: Address,
    /// Who may take them.
    pub spender: Address,
    /// How many, in micro-points.
    pub value: U256,
    /// The owner's next nonce of permits.
    pub nonce: U256,
    /// The last second at which it is good, since 1970.
    pub deadline: u64,
}

impl Permit {
    fn domain(&self) -> Eip712Domain {
        eip712_domain! {
            name: NAME,
            version: VERSION,
            chain_id: self.chain_id,
            verifying_contract: POINTS,
        }
    }

    /// What is signed.
    pub fn digest(&self) -> B256 {
        let permit = signed::Permit {
            owner: self.owner,
            spender: self.spender,
            value: self.value,
            nonce: self.nonce,
            deadline: U256::from(self.deadline),
        };
        permit.eip712_signing_hash(&self.domain())
    }

    /// Signs it.
    pub fn sign(&self, signer: &PrivateKeySigner) -> Result<Signature, alloy::signers::Error> {
        signer.sign_hash_sync(&self.digest())
    }

    /// Whether a signature is its owner's.
    pub fn is_signed_by_owner(&self, signature: &Signature) -> bool {
        signature
            .recover_address_from_prehash(&self.digest())
            .is_ok_and(|signer| signer == self.owner)
    }

    /// The same as `eth_signTypedData_v4` takes it.
    pub fn typed_data(&self) -> Value {
        let field = |name: &str, kind: &str| json!({ "name": name, "type": kind });
        json!({
            "types": {
                "EIP712Domain": [
                    field("name", "string"),
                    field("version", "string"),
                    field("chainId", "uint256"),
                    field("verifyingContract", "address"),
                ],
                "Permit": [
                    field("owner", "address"),
                    field("spender", "address"),
                    field("value", "uint256"),
                    field("nonce", "uint256"),
                    field("deadline", "uint256"),
                ],
            },
            "primaryType": "Permit",
            "domain": {
                "name": NAME,
                "version": VERSION,
                "chainId": self.chain_id,
                "verifyingContract": POINTS,
            },
            "message": {
                "owner": self.owner,
                "spender": self.spender,
                "value": self.value.to_string(),
                "nonce": self.nonce.to_string(),
                "deadline": self.deadline.to_string(),
            },
        })
    }
}

/// A signature as the calls take it: `v` is 27 or 28.
pub fn parts(signature: &Signature) -> (u8, B256, B256) {
    let v = if signature.v() { 28 } else { 27 };
    (v, signature.r().into(), signature.s().into())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn only_the_owner_can_sign_exactly_this() {
        let owner = PrivateKeySigner::random();
        let permit = Permit {
            chain_id: 7,
            owner: owner.address(),
            spender: Address::repeat_byte(2),
            value: U256::from(5),
            nonce: U256::ZERO,
            deadline: 9,
        };
        let signature = permit.sign(&owner).unwrap();
        assert!(permit.is_signed_by_owner(&signature));
        let stranger = permit.sign(&PrivateKeySigner::random()).unwrap();
        assert!(!permit.is_signed_by_owner(&stranger));
        for other in [
            Permit {
                chain_id: 8,
                ..permit
            },
            Permit {
                spender: Address::repeat_byte(3),
                ..permit
            },
            Permit {
                value: U256::from(6),
                ..permit
            },
            Permit {
                nonce: U256::from(1),
                ..permit
            },
            Permit {
                deadline: 10,
                ..permit
            },
        ] {
            assert!(!other.is_signed_by_owner(&signature), "{other:?}");
        }
        let (v, r, s) = parts(&signature);
        assert_eq!(Signature::from_scalars_and_parity(r, s, v == 28), signature);
        let data = permit.typed_data();
        assert_eq!(data["message"]["value"], "5");
        assert_eq!(data["domain"]["verifyingContract"], json!(POINTS));
    }
}
