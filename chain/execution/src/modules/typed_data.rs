//! EIP-712 signatures over calls that somebody else sends: a token's domain, and who signed.
//!
//! ```txt
//! domain separator = keccak256(type hash ‖ keccak256(name) ‖ keccak256("1") ‖ chain id ‖ module)
//! digest           = keccak256(0x19 ‖ 0x01 ‖ domain separator ‖ struct hash)
//! signature        = r (32) ‖ s (32) ‖ v (1), v is 27 or 28, s is in the lower half (EIP-2)
//! ```
//!
//! One signature has one form: the compact form of EIP-2098 is refused. Contracts cannot sign
//! (EIP-1271): a module calls no contract.

use super::host::{Fault, HASH_WORD_GAS, Host};
use alloy::{
    consensus::crypto::secp256k1::recover_signer,
    primitives::{Address, B256, Keccak256, Signature, U256, keccak256},
};

/// Recovering a signer, as Ethereum's own precompile charges.
const RECOVERY_GAS: u64 = 3_000;
/// Words hashed for a domain separator and a digest.
const DOMAIN_WORDS: usize = 8;

const DOMAIN: &str =
    "EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)";
/// EIP-5267: name, version, chain id and verifying contract are there.
pub(crate) const DOMAIN_FIELDS: u8 = 0x0f;
/// The version of both tokens' domains.
pub(crate) const VERSION: &str = "1";

/// Whose calls are signed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Domain {
    pub(crate) name: &'static str,
    pub(crate) module: Address,
}

impl Domain {
    /// The domain separator on a chain.
    pub(crate) fn separator(self, chain_id: u64) -> B256 {
        hash(&[
            keccak256(DOMAIN),
            keccak256(self.name),
            keccak256(VERSION),
            U256::from(chain_id).into(),
            self.module.into_word(),
        ])
    }
}

/// A signature as a call brings it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Signed<'a>(Form<'a>);

#[derive(Clone, Copy, Debug)]
enum Form<'a> {
    Parts(u8, B256, B256),
    Bytes(&'a [u8]),
}

impl<'a> Signed<'a> {
    pub(crate) const fn parts(v: u8, r: B256, s: B256) -> Self {
        Self(Form::Parts(v, r, s))
    }

    pub(crate) const fn bytes(bytes: &'a [u8]) -> Self {
        Self(Form::Bytes(bytes))
    }

    /// Checks that `signer` signed the struct with this hash.
    pub(crate) fn check(
        self,
        host: &mut Host<'_>,
        domain: Domain,
        struct_hash: B256,
        signer: Address,
    ) -> Result<(), Fault> {
        host.charge(RECOVERY_GAS)?;
        host.charge_words(HASH_WORD_GAS, DOMAIN_WORDS * 32)?;
        let mut hasher = Keccak256::new();
        hasher.update([0x19, 0x01]);
        hasher.update(domain.separator(host.config().chain_id));
        hasher.update(struct_hash);
        let recovered = self
            .read()
            .and_then(|signature| recover_signer(&signature, hasher.finalize()).ok());
        if recovered == Some(signer) && !signer.is_zero() {
            Ok(())
        } else {
            Err(Fault::revert("the signature is not the account's"))
        }
    }

    fn read(self) -> Option<Signature> {
        let (v, r, s) = match self.0 {
            Form::Parts(v, r, s) => (v, r, s),
            Form::Bytes(bytes) => {
                let (r, rest) = bytes.split_first_chunk::<32>()?;
                let (s, rest) = rest.split_first_chunk::<32>()?;
                let [v] = rest else { return None };
                (*v, B256::from(*r), B256::from(*s))
            }
        };
        let odd = match v {
            27 => false,
            28 => true,
            _ => return None,
        };
        Some(Signature::new(r.into(), s.into(), odd))
    }
}

/// The hash of words one after the other.
pub(crate) fn hash(words: &[B256]) -> B256 {
    let mut hasher = Keccak256::new();
    for word in words {
        hasher.update(word);
    }
    hasher.finalize()
}
