//! Deals the first committee's keys on one machine.
//!
//! One process knows the whole group key for a moment, so whoever runs it must be trusted by the
//! network it starts. A committee that deals to itself is the chain's own ceremony.

use crate::{block::PublicKey, bls, error::Error, keys::ValidatorKeys};
use commonware_codec::{Copying, Decode as _, DecodeExt as _, Encode as _};
use commonware_cryptography::{
    Signer as _,
    bls12381::{
        dkg::feldman_desmedt,
        primitives::{
            sharing::{Mode, ModeVersion, Sharing},
            variant::MinSig,
        },
    },
    ed25519,
};
use commonware_math::algebra::Random as _;
use commonware_utils::{N3f1, TryCollect as _, ordered::Set};
use mileverse_primitives::{
    B256, Bytes,
    genesis::{Committee, MAX_VALIDATORS},
};
use std::num::NonZeroU32;

/// A committee and its members' secrets.
pub struct Dealing {
    /// For the genesis file.
    pub committee: Committee,
    /// The group key as Ethereum takes it (EIP-2537, 256 bytes).
    pub group_key: Bytes,
    /// One per validator, in the committee's order.
    pub keys: Vec<ValidatorKeys>,
}

/// Makes fresh keys for `validators` members.
pub fn deal(validators: usize) -> Result<Dealing, Error> {
    if !(1..=MAX_VALIDATORS).contains(&validators) {
        return Err(Error::Committee(format!(
            "a committee has 1 to {MAX_VALIDATORS} validators, not {validators}"
        )));
    }
    let damaged = |error: &dyn std::fmt::Debug| Error::Committee(format!("{error:?}"));
    let mut rng = rand::rng();
    let mut identities: Vec<ed25519::PrivateKey> = (0..validators)
        .map(|_| ed25519::PrivateKey::random(&mut rng))
        .collect();
    identities.sort_by_key(|key| key.public_key());
    let names: Set<PublicKey> = identities
        .iter()
        .map(|key| key.public_key())
        .try_collect()
        .map_err(|error| damaged(&error))?;
    let (output, shares) =
        feldman_desmedt::deal::<MinSig, _, N3f1>(&mut rng, Mode::NonZeroCounter, names)
            .map_err(|error| damaged(&error))?;
    let keys = identities
        .into_iter()
        .map(|identity| {
            let share = shares
                .get_value(&identity.public_key())
                .cloned()
                .ok_or_else(|| Error::Committee("a member was dealt no share".into()))?;
            Ok(ValidatorKeys { identity, share })
        })
        .collect::<Result<Vec<_>, Error>>()?;
    Ok(Dealing {
        committee: Committee {
            validators: keys
                .iter()
                .map(|keys| B256::from_slice(&keys.public_key()))
                .collect(),
            sharing: output.public().encode().to_vec().into(),
        },
        group_key: bls::public_key(output.public().public()).map_err(|error| damaged(&error))?,
        keys,
    })
}

/// Reads a genesis file's committee: members in order, and the public polynomial.
pub fn read(committee: &Committee) -> Result<(Set<PublicKey>, Sharing<MinSig>), Error> {
    let members: Set<PublicKey> = committee
        .validators
        .iter()
        .map(|key| PublicKey::decode(Copying(key.as_slice())))
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| Error::Committee(format!("a validator's key: {error}")))?
        .into_iter()
        .try_collect()
        .map_err(|_| Error::Committee("a validator stands in it twice".into()))?;
    let total = u32::try_from(members.len())
        .ok()
        .and_then(NonZeroU32::new)
        .ok_or_else(|| Error::Committee("it is empty".into()))?;
    let sharing = Sharing::decode_cfg(
        Copying(committee.sharing.as_ref()),
        &(total, ModeVersion::v0()),
    )
    .map_err(|error| Error::Committee(format!("the sharing: {error}")))?;
    if sharing.total() != total {
        return Err(Error::Committee(format!(
            "the sharing is for {} members, the committee has {total}",
            sharing.total()
        )));
    }
    Ok((members, sharing))
}
