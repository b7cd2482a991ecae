//! `keys.json`: who a node is. Sealed as the parent module draws.
//!
//! ```txt
//! plaintext = ed25519 private key (32) ‖ dealt share: none = 0x00, or 0x01 ‖ index (varint) ‖ scalar (32)
//! ```
//!
//! Only a member of the genesis committee has a dealt share. It goes into the node's `secrets.json`
//! at the first start; the shares of later epochs come from the chain's own ceremonies.

use super::{
    Cost, Passphrase, SecretError,
    envelope::{Kind, Label, Sealer},
    file,
};
use commonware_codec::{Copying, DecodeExt as _, EncodeSize as _, Write as _};
use commonware_cryptography::{Signer as _, bls12381::primitives::group::Share, ed25519};
use commonware_math::algebra::Random as _;
use mileverse_consensus::block::PublicKey;
use mileverse_primitives::B256;
use std::path::Path;
use zeroize::Zeroizing;

const IDENTITY_BYTES: usize = 32;

/// Identity of a node, and the share that a genesis dealing gave it.
#[derive(Clone)]
pub struct ValidatorKeys {
    /// Signs network traffic, headers and attestations; its public half names the node.
    pub identity: ed25519::PrivateKey,
    /// Its part of the group key in epoch 0.
    pub share: Option<Share>,
}

impl ValidatorKeys {
    /// A fresh identity without a share.
    pub fn random() -> Self {
        Self {
            identity: ed25519::PrivateKey::random(rand::rng()),
            share: None,
        }
    }

    /// The node's name.
    pub fn public_key(&self) -> PublicKey {
        self.identity.public_key()
    }

    /// The node's name as 32 bytes.
    pub fn consensus_key(&self) -> B256 {
        B256::from_slice(&self.public_key())
    }

    /// Opens a key file. Comes with the cost that it was sealed at, which the node's other files
    /// then have too.
    pub fn read(path: &Path, passphrase: &Passphrase) -> Result<(Self, Cost), SecretError> {
        let text = file::read(path)?;
        let (sealer, plaintext) = Sealer::open(path, &text, Kind::Keys, passphrase)?;
        let keys = decode(&plaintext).ok_or_else(|| SecretError::Damaged(path.into()))?;
        let found = sealer.label().identity;
        let expected = keys.consensus_key();
        if found != expected {
            return Err(SecretError::OtherIdentity {
                path: path.into(),
                found,
                expected,
            });
        }
        Ok((keys, sealer.cost()))
    }

    /// Writes a new key file; refuses to replace one.
    pub fn write(
        &self,
        path: &Path,
        passphrase: &Passphrase,
        cost: Cost,
    ) -> Result<(), SecretError> {
        let label = Label {
            kind: Kind::Keys,
            identity: self.consensus_key(),
            chain: B256::ZERO,
        };
        let sealer = Sealer::new(path, label, passphrase, cost)?;
        file::create(path, &sealer.seal(&self.encode())?)
    }

    fn encode(&self) -> Zeroizing<Vec<u8>> {
        let share = self.share.as_ref().map_or(0, Share::encode_size);
        let mut out = Zeroizing::new(Vec::with_capacity(
            IDENTITY_BYTES.saturating_add(1).saturating_add(share),
        ));
        self.identity.write(&mut *out);
        out.push(u8::from(self.share.is_some()));
        if let Some(share) = &self.share {
            share.write(&mut *out);
        }
        out
    }
}

fn decode(plaintext: &[u8]) -> Option<ValidatorKeys> {
    let (identity, rest) = plaintext.split_at_checked(IDENTITY_BYTES)?;
    let identity = ed25519::PrivateKey::decode(Copying(identity)).ok()?;
    let share = match rest.split_first()? {
        (0, []) => None,
        (1, share) => Some(Share::decode(Copying(share)).ok()?),
        _ => return None,
    };
    Some(ValidatorKeys { identity, share })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use commonware_cryptography::bls12381::primitives::group::{Private, Scalar};
    use commonware_utils::Participant;
    use std::fs;

    fn passphrase() -> Passphrase {
        Passphrase::new("correct horse").unwrap()
    }

    #[test]
    fn keys_come_back_with_and_without_a_share() {
        let directory = tempfile::tempdir().unwrap();
        let share = Share::new(
            Participant::new(300),
            Private::new(Scalar::random(rand::rng())),
        );
        for (name, share) in [("with", Some(share)), ("without", None)] {
            let path = directory.path().join(name);
            let keys = ValidatorKeys {
                share,
                ..ValidatorKeys::random()
            };
            keys.write(&path, &passphrase(), Cost::LIGHT).unwrap();
            let (read, cost) = ValidatorKeys::read(&path, &passphrase()).unwrap();
            assert_eq!(cost, Cost::LIGHT);
            assert_eq!(read.public_key(), keys.public_key());
            assert_eq!(read.share, keys.share);
            assert!(matches!(
                keys.write(&path, &passphrase(), Cost::LIGHT),
                Err(SecretError::Exists(_))
            ));
            // The private key stands nowhere in the file.
            let text = fs::read_to_string(&path).unwrap();
            assert!(!text.contains(&alloy::hex::encode(&keys.encode()[..IDENTITY_BYTES])));
        }
    }

    #[test]
    fn another_passphrase_takes_the_place_of_the_old_one() {
        use super::super::{Sealed, reseal};
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("keys.json");
        let keys = ValidatorKeys::random();
        keys.write(&path, &passphrase(), Cost::LIGHT).unwrap();
        let next = Passphrase::new("battery staple").unwrap();
        let cost = Cost::new(11).unwrap();
        assert!(reseal(&path, Sealed::Keys, &passphrase(), &next, cost).unwrap());
        assert!(!reseal(&path, Sealed::Keys, &passphrase(), &next, cost).unwrap());
        assert!(matches!(
            ValidatorKeys::read(&path, &passphrase()),
            Err(SecretError::WrongPassphrase(_))
        ));
        let (read, sealed_at) = ValidatorKeys::read(&path, &next).unwrap();
        assert_eq!(read.public_key(), keys.public_key());
        assert_eq!(sealed_at, cost);
        let third = Passphrase::new("third").unwrap();
        assert!(reseal(&path, Sealed::Keys, &third, &third, cost).is_err());
    }

    #[test]
    fn plaintexts_of_another_shape_are_damage() {
        let keys = ValidatorKeys::random();
        let good = keys.encode();
        assert!(decode(&good).is_some());
        let mut longer = good.to_vec();
        longer.push(0);
        let mut flagged = good.to_vec();
        *flagged.last_mut().unwrap() = 2;
        let mut promised = good.to_vec();
        *promised.last_mut().unwrap() = 1;
        for bad in [
            &[][..],
            &good[..31],
            &good[..32],
            &longer,
            &flagged,
            &promised,
        ] {
            assert!(decode(bad).is_none());
        }
    }
}
