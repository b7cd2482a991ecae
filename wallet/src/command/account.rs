//! Keys and their accounts.

use super::{Answer, Error, Options};
use crate::keystore;
use alloy::signers::local::PrivateKeySigner;
use serde_json::json;
use std::path::Path;

pub(super) fn create(options: &Options) -> Result<Answer, Error> {
    let password = options.password()?;
    keystore::create_directory(&options.keystore)?;
    let signer = keystore::create(&options.keystore, &password)?;
    Ok(answer(options, &signer))
}

pub(super) fn import(options: &Options, private_key: &Path) -> Result<Answer, Error> {
    let password = options.password()?;
    let signer = keystore::read_private_key(private_key)?;
    keystore::create_directory(&options.keystore)?;
    keystore::store(&options.keystore, &password, &signer)?;
    Ok(answer(options, &signer))
}

pub(super) fn show(options: &Options) -> Result<Answer, Error> {
    let signer = options.key()?;
    Ok(answer(options, &signer))
}

fn answer(options: &Options, signer: &PrivateKeySigner) -> Answer {
    let address = signer.address();
    let keystore = options.keystore.display().to_string();
    let json = json!({ "address": address, "keystore": keystore });
    Answer::facts(
        vec![("address", address.to_string()), ("keystore", keystore)],
        json,
    )
}
