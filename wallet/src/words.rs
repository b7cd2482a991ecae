//! Seed words: BIP-39 English phrases, and the accounts that BIP-32 derives from them at BIP-44's
//! path of Ethereum, `m/44'/60'/0'/0/n`. The same words give the same addresses in other wallets.
//!
//! Words are secret. They are wiped from memory when they are dropped, and no error and no debug
//! text repeats any of them: a wrong word is named by its place.

use alloy::signers::{
    k256::elliptic_curve::rand_core::{OsRng, RngCore as _},
    local::{
        MnemonicBuilder, PrivateKeySigner,
        coins_bip39::{English, Entropy, Mnemonic, Wordlist as _},
    },
};
use secrecy::{ExposeSecret as _, SecretString, zeroize::Zeroizing};
use thiserror::Error;

/// How many words a phrase may have.
pub const LENGTHS: [usize; 5] = [12, 15, 18, 21, 24];
/// Longest text that is read as words: 24 words of at most 8 letters, and some white space.
pub const MAX_TEXT_LENGTH: usize = 1_024;
/// Highest number of an account.
pub const MAX_ACCOUNT: u32 = 999_999;

/// Why a text is no phrase. Repeats nothing of it.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
pub enum WordsError {
    /// Another number of words.
    #[error("a phrase has 12, 15, 18, 21 or 24 words, and these are {0}")]
    Count(usize),
    /// More text than any phrase.
    #[error("this is longer than any phrase of 24 words")]
    Length,
    /// Not in the list.
    #[error("word {0} is not in the English BIP-39 list; look for a slip of the pen")]
    Unknown(usize),
    /// Every word is known, together they are none.
    #[error(
        "the words do not fit together (their checksum is wrong); check their order, and each one"
    )]
    Checksum,
    /// An account's number.
    #[error("accounts are numbered 0 to {MAX_ACCOUNT}")]
    Account,
    /// The key that comes out is none. Nobody will ever see this.
    #[error("this account's key is not usable; take another account number")]
    Key,
}

/// A phrase whose checksum is right.
#[derive(Clone, Debug)]
pub struct Words(SecretString);

impl Words {
    /// New random words, 12 or 24, from the operating system's randomness.
    pub fn random(is_long: bool) -> Self {
        if is_long {
            let mut entropy = Zeroizing::new([0; 32]);
            OsRng.fill_bytes(entropy.as_mut());
            Self::of(Entropy::ThirtyTwo(*entropy))
        } else {
            let mut entropy = Zeroizing::new([0; 16]);
            OsRng.fill_bytes(entropy.as_mut());
            Self::of(Entropy::Sixteen(*entropy))
        }
    }

    /// Reads words as people write them: any white space between them, any case.
    pub fn parse(text: &str) -> Result<Self, WordsError> {
        if text.len() > MAX_TEXT_LENGTH {
            return Err(WordsError::Length);
        }
        let text = Zeroizing::new(text.to_lowercase());
        let words: Vec<&str> = text.split_whitespace().collect();
        if !LENGTHS.contains(&words.len()) {
            return Err(WordsError::Count(words.len()));
        }
        let unknown = words
            .iter()
            .position(|word| English::get_index(word).is_err());
        if let Some(index) = unknown {
            return Err(WordsError::Unknown(index.saturating_add(1)));
        }
        let phrase = Zeroizing::new(words.join(" "));
        Mnemonic::<English>::new_from_phrase(&phrase).map_err(|_| WordsError::Checksum)?;
        Ok(Self(phrase.as_str().into()))
    }

    /// The key of account `number`, at `m/44'/60'/0'/0/number`, with BIP-39's optional passphrase.
    pub fn key(
        &self,
        number: u32,
        passphrase: Option<&str>,
    ) -> Result<PrivateKeySigner, WordsError> {
        if number > MAX_ACCOUNT {
            return Err(WordsError::Account);
        }
        let mut builder = MnemonicBuilder::<English>::default()
            .phrase(self.0.expose_secret())
            .index(number)
            .map_err(|_| WordsError::Account)?;
        if let Some(passphrase) = passphrase {
            builder = builder.password(passphrase);
        }
        builder.build().map_err(|_| WordsError::Key)
    }

    /// The words themselves, to be shown once.
    pub fn expose(&self) -> Vec<&str> {
        self.0.expose_secret().split(' ').collect()
    }

    fn of(entropy: Entropy) -> Self {
        Self(
            Mnemonic::<English>::new_from_entropy(entropy)
                .to_phrase()
                .into(),
        )
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use alloy::primitives::hex;

    /// Entropy, phrase, seed with the passphrase "TREZOR": BIP-39's official vectors.
    /// Entropy, its words, and their seed with the passphrase "TREZOR", as the library ethers makes them.
    /// The first twelve entropies are BIP-39's own.
    fn vectors() -> Vec<[String; 3]> {
        let text = include_str!("../../fixtures/vectors/bip39.json");
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn words_and_seeds_are_those_of_other_wallets() {
        let vectors = vectors();
        assert_eq!(vectors.len(), 24);
        for [entropy, phrase, seed] in vectors {
            let entropy = Entropy::from_slice(hex::decode(entropy).unwrap()).unwrap();
            assert_eq!(Words::of(entropy).expose().join(" "), phrase);
            let words = Words::parse(&phrase).unwrap();
            let mnemonic = Mnemonic::<English>::new_from_phrase(words.0.expose_secret()).unwrap();
            let found = mnemonic.to_seed(Some("TREZOR")).unwrap();
            assert_eq!(hex::encode(found), seed);
        }
    }

    /// The phrase that development tools share, and the addresses that they all show for it.
    #[test]
    fn addresses_are_those_of_other_wallets() {
        let words =
            Words::parse("test test test test test test test test test test test junk").unwrap();
        for (number, address) in [
            (0, "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266"),
            (1, "0x70997970C51812dc3A010C7d01b50e0d17dc79C8"),
            (2, "0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC"),
            (9, "0xa0Ee7A142d267C1f36714E4a8F75612F20a79720"),
        ] {
            let key = words.key(number, None).unwrap();
            assert_eq!(key.address().to_string(), address);
        }
        assert_ne!(
            words.key(0, Some("more")).unwrap().address(),
            words.key(0, None).unwrap().address()
        );
        assert_eq!(words.key(MAX_ACCOUNT + 1, None), Err(WordsError::Account));
    }

    #[test]
    fn words_are_read_as_people_write_them() {
        let phrase = &vectors()[12][1];
        let messy = format!("  {}\n", phrase.to_uppercase().replace(' ', "\t \n"));
        assert_eq!(Words::parse(&messy).unwrap().expose().join(" "), *phrase);
    }

    #[test]
    fn what_is_wrong_is_said_without_repeating_it() {
        let phrase = "lava include region explain simple omit dog slot melt reflect copy reward";
        let mut swapped: Vec<&str> = phrase.split(' ').collect();
        swapped.swap(2, 3);
        let unknown = phrase.replacen("region", "legion", 1);
        for (text, expected) in [
            ("", WordsError::Count(0)),
            ("abandon", WordsError::Count(1)),
            (unknown.as_str(), WordsError::Unknown(3)),
            (&swapped.join(" "), WordsError::Checksum),
            (&"zoo ".repeat(400), WordsError::Length),
        ] {
            let error = Words::parse(text).unwrap_err();
            assert_eq!(error, expected);
            for word in ["legion", "lava", "zoo", "abandon"] {
                assert!(!error.to_string().contains(word));
            }
        }
        let words = Words::parse(phrase).unwrap();
        assert!(!format!("{words:?}").contains("lava"));
    }

    #[test]
    fn random_words_are_words_and_never_the_same() {
        let (short, long) = (Words::random(false), Words::random(true));
        assert_eq!((short.expose().len(), long.expose().len()), (12, 24));
        for words in [&short, &long, &Words::random(false)] {
            assert!(Words::parse(&words.expose().join(" ")).is_ok());
        }
        assert_ne!(short.expose(), Words::random(false).expose());
    }
}
