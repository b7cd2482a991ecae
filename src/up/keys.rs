//! The sample accounts' keys: keystores in the data directory, made at the first start.

use super::{error::Error, files, layout::Layout};
use alloy::{primitives::hex, signers::local::PrivateKeySigner};
use mileverse_wallet::keystore;

/// Every account that the journey and the services use, opened.
#[derive(Clone, Debug)]
pub struct Keys {
    /// The member whose mile travels.
    pub member: PrivateKeySigner,
    /// A shop that the member pays.
    pub shop: PrivateKeySigner,
    /// The gateway's issuer of points.
    pub issuer: PrivateKeySigner,
    /// The relayer's, on both chains.
    pub relayer: PrivateKeySigner,
    /// The relayer's for hashed-timelock swaps, on both chains.
    pub swaps: PrivateKeySigner,
    /// The gateway's on Ethereum, which opens and claims quarterly rewards.
    pub rewards: PrivateKeySigner,
    /// Receives the fees of points, and may stop issuing.
    pub treasury: PrivateKeySigner,
    /// One for each validator: who owns its candidacy and its stake.
    pub owners: Vec<PrivateKeySigner>,
}

/// Keystore names.
pub const MEMBER: &str = "member";
/// See [`MEMBER`].
pub const SHOP: &str = "shop";
/// See [`MEMBER`].
pub const ISSUER: &str = "issuer";
/// See [`MEMBER`].
pub const RELAYER: &str = "relayer";
/// See [`MEMBER`].
pub const SWAPS: &str = "swaps";
/// See [`MEMBER`].
pub const REWARDS: &str = "rewards";
/// See [`MEMBER`].
pub const TREASURY: &str = "treasury";

impl Keys {
    /// Opens the keystores, and makes those that are not there yet.
    pub fn open_or_make(layout: &Layout, validators: usize) -> Result<Self, Error> {
        let password = password(layout)?;
        let key = |name: &str| key(layout, name, &password);
        Ok(Self {
            member: key(MEMBER)?,
            shop: key(SHOP)?,
            issuer: key(ISSUER)?,
            relayer: key(RELAYER)?,
            swaps: key(SWAPS)?,
            rewards: key(REWARDS)?,
            treasury: key(TREASURY)?,
            owners: (0..validators)
                .map(|index| key(&owner(index)))
                .collect::<Result<_, _>>()?,
        })
    }
}

/// Keystore name of the owner of a validator.
pub fn owner(index: usize) -> String {
    format!("delegate-{index}")
}

fn password(layout: &Layout) -> Result<String, Error> {
    let path = layout.password();
    if let Some(text) = files::read(&path)? {
        return Ok(text.trim().to_owned());
    }
    let password = random();
    files::write(&path, &format!("{password}\n"))?;
    Ok(password)
}

fn key(layout: &Layout, name: &str, password: &str) -> Result<PrivateKeySigner, Error> {
    let path = layout.keystore(name);
    let opened = if path.exists() {
        keystore::open(&path, password)
    } else {
        keystore::create(&path, password)
    };
    opened.map_err(|error| Error::Key {
        reason: error.to_string(),
        path,
    })
}

/// 32 random bytes in hex: passwords, client secrets, API keys.
pub fn random() -> String {
    hex::encode(rand::random::<[u8; 32]>())
}
