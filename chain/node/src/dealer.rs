//! Deals the first committee's keys on one machine.
//!
//! One process knows the whole group key for a moment, so whoever runs it must be trusted by the
//! network it starts. Every later committee deals to itself: that is the chain's own ceremony, and
//! it changes all shares.

use crate::{error::Error, secrets::ValidatorKeys};
use commonware_codec::Encode as _;
use commonware_cryptography::{
    Signer as _,
    bls12381::{
        dkg::feldman_desmedt,
        primitives::{sharing::Mode, variant::MinSig},
    },
    ed25519,
};
use commonware_math::algebra::Random as _;
use commonware_utils::{N3f1, TryCollect as _, ordered::Set};
use mileverse_consensus::{
    block::{Output, PublicKey},
    bls,
};
use mileverse_primitives::{
    B256, Bytes,
    genesis::{Committee, LEAST_COMMITTEE, MAX_VALIDATORS, Seat},
};
use serde::{Deserialize, Serialize};

/// What a dealing gives.
pub struct Dealing {
    /// Its public outcome, for the genesis file.
    pub output: Bytes,
    /// The group key as Ethereum takes it (EIP-2537, 256 bytes).
    pub group_key: Bytes,
    /// One per validator, ascending by public key.
    pub keys: Vec<ValidatorKeys>,
}

/// `dealing.json`: what everybody may know of a dealing.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Public {
    /// The dealt keys, ascending.
    pub consensus_keys: Vec<B256>,
    /// The public outcome, for the genesis file.
    pub output: Bytes,
    /// The group key as Ethereum takes it (EIP-2537, 256 bytes).
    pub group_key: Bytes,
}

impl Public {
    /// Of a dealing.
    pub fn of(dealing: &Dealing) -> Self {
        Self {
            consensus_keys: dealing.public_keys(),
            output: dealing.output.clone(),
            group_key: dealing.group_key.clone(),
        }
    }
}

impl Dealing {
    /// The dealt keys, ascending.
    pub fn public_keys(&self) -> Vec<B256> {
        self.keys
            .iter()
            .map(|keys| B256::from_slice(&keys.public_key()))
            .collect()
    }

    /// The committee of a genesis file: the dealt keys, one seat each, in their order.
    pub fn committee(&self, seats: impl IntoIterator<Item = Seat>) -> Committee {
        Committee::seated(self.public_keys(), self.output.clone(), seats)
    }
}

/// Makes fresh keys for `validators` members.
///
/// # Errors
///
/// When no committee has so many members.
pub fn deal(validators: usize) -> Result<Dealing, Error> {
    if validators != 1 && !(LEAST_COMMITTEE..=MAX_VALIDATORS).contains(&validators) {
        return Err(Error::Deal(format!(
            "a committee has one validator (a development net) or {LEAST_COMMITTEE} to {MAX_VALIDATORS}, not {validators}"
        )));
    }
    let failed = |error: &dyn std::fmt::Debug| Error::Deal(format!("{error:?}"));
    let mut rng = rand::rng();
    let mut identities: Vec<ed25519::PrivateKey> = (0..validators)
        .map(|_| ed25519::PrivateKey::random(&mut rng))
        .collect();
    identities.sort_by_key(|key| key.public_key());
    let names: Set<PublicKey> = identities
        .iter()
        .map(|key| key.public_key())
        .try_collect()
        .map_err(|error| failed(&error))?;
    let (output, shares): (Output, _) =
        feldman_desmedt::deal::<MinSig, _, N3f1>(&mut rng, Mode::NonZeroCounter, names)
            .map_err(|error| failed(&error))?;
    let keys = identities
        .into_iter()
        .map(|identity| ValidatorKeys {
            share: shares.get_value(&identity.public_key()).cloned(),
            identity,
        })
        .collect();
    Ok(Dealing {
        output: output.encode().to_vec().into(),
        group_key: bls::public_key(output.public().public()).map_err(|error| failed(&error))?,
        keys,
    })
}
