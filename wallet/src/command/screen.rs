//! What only a person at a terminal may see or say: seed words, and what is about to be signed.
//!
//! All of it goes to stderr, so that an answer on stdout can be kept without it.

use super::Error;
use crate::{
    review::{Consent, Review},
    words::Words,
};
use alloy::signers::k256::elliptic_curve::rand_core::{OsRng, RngCore as _};
use comfy_table::{Table, presets::UTF8_FULL_CONDENSED};
use std::io::{self, BufRead, IsTerminal as _, Write};

/// Longest line that is read.
const MAX_LINE: u64 = 256;
/// Words that a person repeats.
const REPEATED: usize = 3;
/// Forgets the screen and what scrolled off it.
const CLEAR: &str = "\x1b[2J\x1b[3J\x1b[H";

/// Refuses with this sentence if no person is there.
pub(super) fn check(otherwise: &'static str) -> Result<(), Error> {
    if io::stdin().is_terminal() && io::stderr().is_terminal() {
        Ok(())
    } else {
        Err(Error::Terminal(otherwise))
    }
}

/// Asks before each signature.
#[derive(Debug)]
pub(super) struct Screen;

impl Consent for Screen {
    fn agrees(&self, review: &Review<'_>) -> bool {
        ask(review, &mut io::stdin().lock(), &mut io::stderr().lock()).unwrap_or(false)
    }
}

fn ask(review: &Review<'_>, from: &mut impl BufRead, to: &mut impl Write) -> io::Result<bool> {
    writeln!(to, "\nAbout to be signed:\n{}", table(review.lines()))?;
    write!(to, "Type yes to sign it: ")?;
    to.flush()?;
    Ok(line(from)? == "yes")
}

/// Names and values.
pub(super) fn table(lines: Vec<(&'static str, String)>) -> Table {
    let mut table = Table::new();
    table.load_preset(UTF8_FULL_CONDENSED);
    table.add_rows(
        lines
            .into_iter()
            .map(|(name, value)| [name.to_owned(), value]),
    );
    table
}

/// Shows the words once, and has three of them repeated from paper.
pub(super) fn hand_over(words: &Words) -> Result<(), Error> {
    let places = places(words.expose().len());
    let good = show(
        words,
        &places,
        &mut io::stdin().lock(),
        &mut io::stderr().lock(),
    )
    .map_err(Error::Screen)?;
    if good {
        Ok(())
    } else {
        Err(Error::NotRepeated)
    }
}

fn show(
    words: &Words,
    places: &[usize],
    from: &mut impl BufRead,
    to: &mut impl Write,
) -> io::Result<bool> {
    let words = words.expose();
    writeln!(
        to,
        "\nWrite these {} words on paper, in their order. They are shown this once. Whoever has\n\
         them has everything in this wallet; nobody who needs them for you will ever ask for them.\n",
        words.len()
    )?;
    for (index, word) in words.iter().enumerate() {
        let end = if index % 4 == 3 { "\n" } else { "" };
        write!(to, "{:>4}. {word:<10}{end}", index.saturating_add(1))?;
    }
    write!(
        to,
        "\nPress Enter when they are on paper; then the screen is cleared. "
    )?;
    to.flush()?;
    line(from)?;
    write!(to, "{CLEAR}")?;
    for place in places {
        write!(to, "Word {}: ", place.saturating_add(1))?;
        to.flush()?;
        let said = line(from)?.to_lowercase();
        if words.get(*place) != Some(&said.as_str()) {
            return Ok(false);
        }
    }
    write!(to, "{CLEAR}")?;
    to.flush()?;
    Ok(true)
}

/// Three different places out of `length`, ascending.
fn places(length: usize) -> Vec<usize> {
    let mut places = std::collections::BTreeSet::new();
    while places.len() < REPEATED.min(length) {
        let random = usize::try_from(OsRng.next_u32()).unwrap_or_default();
        places.insert(random.checked_rem(length).unwrap_or_default());
    }
    places.into_iter().collect()
}

fn line(from: &mut impl BufRead) -> io::Result<String> {
    let mut text = String::new();
    io::Read::take(from, MAX_LINE).read_line(&mut text)?;
    Ok(text.trim().to_owned())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::{
        review::Places,
        rpc::Chain,
        transaction::{Fees, Unsigned},
    };
    use alloy::primitives::{Address, U256};

    #[test]
    fn three_words_must_be_repeated() {
        let words = Words::parse(
            "lava include region explain simple omit dog slot melt reflect copy reward",
        )
        .unwrap();
        let try_it = |typed: &str| {
            let mut screen = Vec::new();
            let good = show(&words, &[0, 5, 11], &mut typed.as_bytes(), &mut screen).unwrap();
            (good, String::from_utf8(screen).unwrap())
        };
        let (good, screen) = try_it("\nlava\n Omit \nreward\n");
        assert!(good);
        assert!(screen.contains("12. reward"));
        assert!(screen.ends_with(CLEAR));
        // After the screen was cleared, nothing shows them again.
        assert!(!screen.split(CLEAR).nth(1).unwrap().contains("lava"));
        for typed in [
            "",
            "\n",
            "\nlava\nomit\n",
            "\nlava\nomit\ncopy\n",
            "\n\n\n\n",
        ] {
            assert!(!try_it(typed).0, "{typed:?}");
        }
    }

    #[test]
    fn places_are_three_and_different() {
        for _ in 0..100 {
            let places = places(12);
            assert_eq!(places.len(), 3);
            assert!(places.is_sorted() && places.iter().all(|place| *place < 12));
        }
    }

    #[test]
    fn only_yes_is_yes() {
        let transaction = Unsigned {
            chain_id: 1,
            nonce: 0,
            gas_limit: 21_000,
            fees: Fees::Legacy { price: 0 },
            to: Address::repeat_byte(5),
            value: U256::from(1),
            input: Default::default(),
        };
        let address = Address::repeat_byte(1);
        let review = Review {
            places: Places {
                chain: Chain::Native,
                points: address,
                coin: address,
                bridge: address,
                timelock: None,
            },
            account: address,
            transaction: &transaction,
        };
        for (typed, expected) in [
            ("yes\n", true),
            ("", false),
            ("\n", false),
            ("y\n", false),
            ("YES\n", false),
            ("no\nyes\n", false),
        ] {
            let mut screen = Vec::new();
            let said = ask(&review, &mut typed.as_bytes(), &mut screen).unwrap();
            assert_eq!(said, expected, "{typed:?}");
            assert!(
                String::from_utf8(screen)
                    .unwrap()
                    .contains("send 0.000000000000000001 MVC")
            );
        }
    }
}
