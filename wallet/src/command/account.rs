//! Keys and their accounts.

use super::{Answer, Error, Options, screen};
use crate::{
    keystore,
    words::{MAX_TEXT_LENGTH, Words},
};
use alloy::signers::local::PrivateKeySigner;
use clap::Args;
use qrcode::{QrCode, render::unicode::Dense1x2};
use secrecy::zeroize::Zeroizing;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

#[derive(Args, Debug)]
pub(super) struct New {
    /// 24 words instead of 12.
    #[arg(long)]
    long: bool,
    /// Which account of the words: the n of m/44'/60'/0'/0/n.
    #[arg(long, default_value_t = 0, value_name = "N")]
    account: u32,
    /// A key that no words lead to, for machines: the keystore file is its only copy.
    #[arg(long, conflicts_with_all = ["long", "account"])]
    without_words: bool,
}

#[derive(Args, Debug)]
pub(super) struct Restore {
    /// File that holds the words; without it they are asked for, unseen.
    #[arg(long, value_name = "FILE")]
    words_file: Option<PathBuf>,
    /// File that holds BIP-39's passphrase, if the words have one.
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
    /// Which account of the words: the n of m/44'/60'/0'/0/n.
    #[arg(long, default_value_t = 0, value_name = "N")]
    account: u32,
}

pub(super) fn create(options: &Options, arguments: &New) -> Result<Answer, Error> {
    let password = options.key.password()?;
    keystore::check_free(&options.key.keystore)?;
    if arguments.without_words {
        keystore::create_directory(&options.key.keystore)?;
        let signer = keystore::create(&options.key.keystore, &password)?;
        return Ok(answer(options, &signer, None));
    }
    screen::check(
        "seed words are shown to a person at a terminal only; use --without-words for a machine's key",
    )?;
    let words = Words::random(arguments.long);
    let signer = words.key(arguments.account, None)?;
    screen::hand_over(&words)?;
    keystore::create_directory(&options.key.keystore)?;
    keystore::store(&options.key.keystore, &password, &signer)?;
    Ok(answer(options, &signer, Some(arguments.account)))
}

pub(super) fn restore(options: &Options, arguments: &Restore) -> Result<Answer, Error> {
    let password = options.key.password()?;
    let limit = u64::try_from(MAX_TEXT_LENGTH).unwrap_or(u64::MAX);
    let text = Zeroizing::new(match &arguments.words_file {
        Some(path) => keystore::read(path, limit)?,
        None => {
            screen::check("no words were given; use --words-file, or type them at a terminal")?;
            rpassword::prompt_password("Seed words (not shown): ").map_err(Error::Screen)?
        }
    });
    let words = Words::parse(&text)?;
    let passphrase = arguments
        .passphrase_file
        .as_deref()
        .map(|path| keystore::password(Some(path)))
        .transpose()?
        .map(Zeroizing::new);
    let signer = words.key(
        arguments.account,
        passphrase.as_ref().map(|text| text.as_str()),
    )?;
    keystore::create_directory(&options.key.keystore)?;
    keystore::store(&options.key.keystore, &password, &signer)?;
    Ok(answer(options, &signer, Some(arguments.account)))
}

pub(super) fn import(options: &Options, private_key: &Path) -> Result<Answer, Error> {
    let password = options.key.password()?;
    let signer = keystore::read_private_key(private_key)?;
    keystore::create_directory(&options.key.keystore)?;
    keystore::store(&options.key.keystore, &password, &signer)?;
    Ok(answer(options, &signer, None))
}

pub(super) fn show(options: &Options, is_qr: bool) -> Result<Answer, Error> {
    let signer = options.key.signer()?;
    let answer = answer(options, &signer, None);
    Ok(if is_qr {
        answer.below(qr(&signer.address().to_string()))
    } else {
        answer
    })
}

fn answer(options: &Options, signer: &PrivateKeySigner, number: Option<u32>) -> Answer {
    let address = signer.address();
    let keystore = options.key.keystore.display().to_string();
    let path = number.map(|number| format!("m/44'/60'/0'/0/{number}"));
    let mut json = json!({ "address": address, "keystore": keystore });
    let mut facts = vec![("address", address.to_string()), ("keystore", keystore)];
    if let Some(path) = path {
        if let Value::Object(fields) = &mut json {
            fields.insert("path".to_owned(), json!(path));
        }
        facts.push(("path", path));
    }
    Answer::facts(facts, json)
}

/// A QR code of half blocks, light on dark as terminals mostly are.
fn qr(text: &str) -> String {
    QrCode::new(text).map_or_else(
        // 42 characters always fit.
        |_| String::new(),
        |code| {
            code.render::<Dense1x2>()
                .dark_color(Dense1x2::Light)
                .light_color(Dense1x2::Dark)
                .build()
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_qr_code_is_a_square_with_a_quiet_zone() {
        let text = qr("0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266");
        let lines: Vec<_> = text.lines().collect();
        // Version 3 has 29 modules, and 4 on each side are quiet; two rows a line.
        assert_eq!(lines.len(), 19);
        assert!(lines.iter().all(|line| line.chars().count() == 37));
        assert!(
            lines
                .iter()
                .take(2)
                .all(|line| line.chars().all(|c| c == '█'))
        );
    }
}
