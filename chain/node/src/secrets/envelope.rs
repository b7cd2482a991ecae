//! How every sealed file looks, and the key that opens it. Drawn in the parent module.

use super::{Passphrase, SecretError};
use aws_lc_rs::{
    aead::{AES_256_GCM_SIV, Aad, Nonce, RandomizedNonceKey},
    constant_time,
};
use mileverse_primitives::{B256, Bytes};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

const VERSION: u32 = 1;
const DOMAIN: &[u8] = b"mileverse/sealed";
const KEY_BYTES: usize = 32;
const CHECK_BYTES: usize = 16;
const TAG_BYTES: usize = 16;
const SCRYPT_R: u32 = 8;
const SCRYPT_P: u32 = 1;

/// How hard a passphrase is to try: scrypt's N is two to this power.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Cost(u8);

impl Cost {
    /// 128 MiB and about half a second for each try.
    pub const STRONG: Self = Self(17);
    /// 1 MiB and a few milliseconds: for tests, and development nets with random passphrases.
    pub const LIGHT: Self = Self(Self::LEAST);
    /// The least exponent.
    pub const LEAST: u8 = 10;
    /// The largest exponent: a gigabyte for each try.
    pub const MOST: u8 = 20;

    /// Checks an exponent.
    pub fn new(log_n: u8) -> Result<Self, SecretError> {
        if !(Self::LEAST..=Self::MOST).contains(&log_n) {
            return Err(SecretError::Cost(log_n));
        }
        Ok(Self(log_n))
    }
}

/// What a file holds.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Kind {
    Keys,
    Secrets,
}

impl Kind {
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Keys => "mileverse/keys",
            Self::Secrets => "mileverse/secrets",
        }
    }
}

/// Whose file it is. The chain is zero where a file belongs to none.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Label {
    pub(super) kind: Kind,
    pub(super) identity: B256,
    pub(super) chain: B256,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct File {
    kind: String,
    version: u32,
    identity: B256,
    chain: B256,
    scrypt_log_n: u8,
    salt: B256,
    check: Bytes,
    nonce: Bytes,
    sealed: Bytes,
}

/// An opened file: seals its next versions without deriving the key again.
pub(super) struct Sealer {
    path: PathBuf,
    label: Label,
    cost: Cost,
    salt: B256,
    check: [u8; CHECK_BYTES],
    key: RandomizedNonceKey,
}

impl Sealer {
    /// For a new file.
    pub(super) fn new(
        path: &Path,
        label: Label,
        passphrase: &Passphrase,
        cost: Cost,
    ) -> Result<Self, SecretError> {
        let mut salt = B256::ZERO;
        aws_lc_rs::rand::fill(salt.as_mut_slice()).map_err(|_| SecretError::Seal(path.into()))?;
        Self::derive(path, label, passphrase, cost, salt)
    }

    fn derive(
        path: &Path,
        label: Label,
        passphrase: &Passphrase,
        cost: Cost,
        salt: B256,
    ) -> Result<Self, SecretError> {
        let failed = || SecretError::Seal(path.into());
        let mut derived = Zeroizing::new([0u8; KEY_BYTES + CHECK_BYTES]);
        let parameters = scrypt::Params::new(cost.0, SCRYPT_R, SCRYPT_P)
            .map_err(|_| SecretError::Cost(cost.0))?;
        scrypt::scrypt(
            passphrase.expose(),
            salt.as_slice(),
            &parameters,
            derived.as_mut_slice(),
        )
        .map_err(|_| failed())?;
        let (key, rest) = derived.split_at(KEY_BYTES);
        Ok(Self {
            path: path.into(),
            label,
            cost,
            salt,
            check: rest.try_into().map_err(|_| failed())?,
            key: RandomizedNonceKey::new(&AES_256_GCM_SIV, key).map_err(|_| failed())?,
        })
    }

    /// Opens a file's text. Whose it is must be checked by the caller: [`Self::label`].
    pub(super) fn open(
        path: &Path,
        text: &str,
        kind: Kind,
        passphrase: &Passphrase,
    ) -> Result<(Self, Zeroizing<Vec<u8>>), SecretError> {
        let refuse = |reason: &str| SecretError::Format {
            path: path.into(),
            kind: kind.word(),
            reason: reason.into(),
        };
        let file = parse(path, text, kind)?;
        let label = Label {
            kind,
            identity: file.identity,
            chain: file.chain,
        };
        let cost = Cost::new(file.scrypt_log_n)?;
        let nonce = Nonce::try_assume_unique_for_key(&file.nonce)
            .map_err(|_| refuse("its nonce is not 12 bytes long"))?;
        if file.sealed.len() < TAG_BYTES {
            return Err(refuse("nothing is sealed in it"));
        }
        let sealer = Self::derive(path, label, passphrase, cost, file.salt)?;
        if constant_time::verify_slices_are_equal(&sealer.check, &file.check).is_err() {
            return Err(SecretError::WrongPassphrase(path.into()));
        }
        let mut text = Zeroizing::new(file.sealed.to_vec());
        let length = sealer
            .key
            .open_in_place(nonce, Aad::from(sealer.associated()), &mut text)
            .map_err(|_| SecretError::Damaged(path.into()))?
            .len();
        text.truncate(length);
        Ok((sealer, text))
    }

    /// The text of the file's next version.
    pub(super) fn seal(&self, plaintext: &[u8]) -> Result<String, SecretError> {
        let failed = || SecretError::Seal(self.path.clone());
        // Room for the tag, so that the plaintext is never left behind by a reallocation.
        let mut sealed = Zeroizing::new(Vec::with_capacity(
            plaintext.len().saturating_add(TAG_BYTES),
        ));
        sealed.extend_from_slice(plaintext);
        let nonce = self
            .key
            .seal_in_place_append_tag(Aad::from(self.associated()), &mut *sealed)
            .map_err(|_| failed())?;
        serde_json::to_string_pretty(&File {
            kind: self.label.kind.word().into(),
            version: VERSION,
            identity: self.label.identity,
            chain: self.label.chain,
            scrypt_log_n: self.cost.0,
            salt: self.salt,
            check: self.check.to_vec().into(),
            nonce: nonce.as_ref().to_vec().into(),
            sealed: std::mem::take(&mut *sealed).into(),
        })
        .map_err(|_| failed())
    }

    /// Whose file it is.
    pub(super) const fn label(&self) -> Label {
        self.label
    }

    /// What its passphrase costs to try.
    pub(super) const fn cost(&self) -> Cost {
        self.cost
    }

    /// What the ciphertext is bound to.
    fn associated(&self) -> Vec<u8> {
        let kind = self.label.kind.word().as_bytes();
        let mut out = DOMAIN.to_vec();
        out.push(kind.len().try_into().unwrap_or(u8::MAX));
        out.extend_from_slice(kind);
        out.extend_from_slice(&VERSION.to_be_bytes());
        out.extend_from_slice(self.label.identity.as_slice());
        out.extend_from_slice(self.label.chain.as_slice());
        out.push(self.cost.0);
        out.extend_from_slice(self.salt.as_slice());
        out.extend_from_slice(&self.check);
        out
    }
}

fn parse(path: &Path, text: &str, kind: Kind) -> Result<File, SecretError> {
    let refuse = |reason: String| SecretError::Format {
        path: path.into(),
        kind: kind.word(),
        reason,
    };
    // Parser errors may quote the text, so only their place is passed on.
    let file: File = serde_json::from_str(text).map_err(|error| {
        refuse(format!(
            "line {}, column {} is not as expected",
            error.line(),
            error.column()
        ))
    })?;
    if file.kind != kind.word() {
        return Err(refuse(format!("it is a {:.40} file", file.kind)));
    }
    if file.version != VERSION {
        return Err(refuse(format!(
            "its version is {}, this program knows {VERSION}",
            file.version
        )));
    }
    Ok(file)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use serde_json::{Value, json};

    const LABEL: Label = Label {
        kind: Kind::Secrets,
        identity: B256::repeat_byte(1),
        chain: B256::repeat_byte(2),
    };

    fn path() -> &'static Path {
        Path::new("secrets.json")
    }

    fn passphrase() -> Passphrase {
        Passphrase::new("correct horse").unwrap()
    }

    fn sealed() -> String {
        Sealer::new(path(), LABEL, &passphrase(), Cost::LIGHT)
            .unwrap()
            .seal(b"a secret")
            .unwrap()
    }

    fn refusal(text: &str, passphrase: &Passphrase) -> SecretError {
        Sealer::open(path(), text, Kind::Secrets, passphrase)
            .err()
            .unwrap()
    }

    #[test]
    fn what_was_sealed_comes_back_and_no_two_writes_are_alike() {
        let text = sealed();
        let (sealer, plaintext) =
            Sealer::open(path(), &text, Kind::Secrets, &passphrase()).unwrap();
        assert_eq!(plaintext.as_slice(), b"a secret");
        assert_eq!(sealer.label(), LABEL);
        let (one, two) = (sealer.seal(b"x").unwrap(), sealer.seal(b"x").unwrap());
        assert_ne!(one, two);
        for text in [one, two] {
            let (_, plaintext) = Sealer::open(path(), &text, Kind::Secrets, &passphrase()).unwrap();
            assert_eq!(plaintext.as_slice(), b"x");
        }
        assert!(!text.contains("a secret") && !text.contains(&alloy::hex::encode("a secret")));
    }

    #[test]
    fn a_wrong_passphrase_is_not_called_damage() {
        let other = Passphrase::new("battery staple").unwrap();
        assert!(matches!(
            refusal(&sealed(), &other),
            SecretError::WrongPassphrase(_)
        ));
    }

    #[test]
    fn nothing_in_a_file_can_be_changed() {
        let good: Value = serde_json::from_str(&sealed()).unwrap();
        let damaged = [
            ("identity", json!(B256::repeat_byte(9))),
            ("chain", json!(B256::repeat_byte(9))),
            ("nonce", json!("0x000000000000000000000000")),
            ("sealed", json!(format!("0x{}", "00".repeat(24)))),
        ];
        for (field, value) in damaged {
            let mut bad = good.clone();
            bad[field] = value;
            let error = refusal(&bad.to_string(), &passphrase());
            assert!(matches!(error, SecretError::Damaged(_)), "{field}: {error}");
        }
        // These change the key itself, so they look like another passphrase.
        for (field, value) in [
            ("salt", json!(B256::repeat_byte(9))),
            ("scryptLogN", json!(11)),
            ("check", json!("0x00")),
        ] {
            let mut bad = good.clone();
            bad[field] = value;
            let error = refusal(&bad.to_string(), &passphrase());
            assert!(
                matches!(error, SecretError::WrongPassphrase(_)),
                "{field}: {error}"
            );
        }
    }

    #[test]
    fn what_is_no_such_file_is_said_without_quoting_it() {
        let good: Value = serde_json::from_str(&sealed()).unwrap();
        for (field, value) in [
            ("kind", json!("mileverse/keys")),
            ("version", json!(2)),
            ("nonce", json!("0x00")),
            ("sealed", json!("0x00")),
            ("extra", json!(1)),
        ] {
            let mut bad = good.clone();
            bad[field] = value;
            let error = refusal(&bad.to_string(), &passphrase());
            assert!(
                matches!(error, SecretError::Format { .. }),
                "{field}: {error}"
            );
        }
        for cost in [0, 9, 21, 63, 255] {
            let mut bad = good.clone();
            bad["scryptLogN"] = json!(cost);
            assert!(matches!(
                refusal(&bad.to_string(), &passphrase()),
                SecretError::Cost(_)
            ));
        }
        let error = refusal("{\"identity\": \"hunter2\"}", &passphrase()).to_string();
        assert!(
            !error.contains("hunter2") && !error.contains('\n'),
            "{error}"
        );
    }
}
