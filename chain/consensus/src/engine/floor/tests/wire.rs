//! Messages: what is written is read back, and nothing that is read does harm.

use super::Chain;
use crate::{
    committee::MAX_PARTICIPANTS,
    engine::floor::{
        Opening,
        wire::{self, Latest, MAX_KEYS, Message},
    },
};
use bytes::Bytes;
use commonware_codec::{Encode as _, Error as CodecError};
use commonware_utils::TestRng;
use proptest::prelude::*;
use std::sync::LazyLock;

/// One of each kind.
static MESSAGES: LazyLock<[Bytes; 4]> = LazyLock::new(|| {
    let chain = Chain::rotating(&mut TestRng::new(1), &[2, 300]);
    [
        wire::ask_latest(u64::MAX),
        wire::ask_opening(300),
        wire::answer_latest(&chain.latest(400, 7, 0)),
        wire::answer_opening(&chain.opening(300)),
    ]
});

/// What a message says.
#[derive(Debug, PartialEq)]
enum Said {
    AskLatest(u64),
    AskOpening(u64),
    Latest(Box<Latest>),
    Opening(Box<Opening>),
}

fn read(bytes: &Bytes) -> Result<Said, CodecError> {
    Ok(match Message::read(bytes.clone())? {
        Message::AskLatest { after } => Said::AskLatest(after),
        Message::AskOpening { epoch } => Said::AskOpening(epoch),
        Message::Latest { body } => Said::Latest(Box::new(wire::latest(body)?)),
        Message::Opening { body } => Said::Opening(Box::new(wire::opening(body)?)),
    })
}

fn write(said: &Said) -> Bytes {
    match said {
        Said::AskLatest(after) => wire::ask_latest(*after),
        Said::AskOpening(epoch) => wire::ask_opening(*epoch),
        Said::Latest(latest) => wire::answer_latest(latest),
        Said::Opening(opening) => wire::answer_opening(opening),
    }
}

#[test]
fn messages_are_read_as_written_and_within_their_limit() {
    let limit = wire::max_payload_size(MAX_PARTICIPANTS.get());
    for bytes in MESSAGES.iter() {
        let said = read(bytes).unwrap();
        assert_eq!(write(&said), bytes);
        assert!(bytes.len() <= limit);
        // Every byte counts, and none may follow.
        assert!(read(&bytes.slice(..bytes.len() - 1)).is_err());
        assert!(read(&Bytes::from([bytes.as_ref(), &[0]].concat())).is_err());
    }
}

#[test]
fn lists_of_keys_have_limits() {
    let chain = Chain::rotating(&mut TestRng::new(1), &[]);
    let with = |keys: Vec<u64>| {
        let latest = Latest {
            keys,
            ..chain.latest(1000, 7, 0)
        };
        read(&wire::answer_latest(&latest)).is_ok()
    };
    let most = u64::try_from(MAX_KEYS).unwrap();
    assert!(with((1..=most).collect()));
    assert!(!with((1..=most + 1).collect()));
    assert!(with(vec![1, 1000]));
    assert!(!with(vec![0]), "the genesis key is known");
    assert!(!with(vec![3, 3]));
    assert!(!with(vec![4, 3]));
    assert!(!with(vec![1001]), "later than the block");
}

proptest! {
    #[test]
    fn random_bytes_do_no_harm(bytes in proptest::collection::vec(any::<u8>(), 0..2000)) {
        let bytes = Bytes::from(bytes);
        if let Ok(said) = read(&bytes) {
            prop_assert_eq!(write(&said), bytes);
        }
    }

    /// Bent messages are refused, or are what they say in the only form that says it.
    #[test]
    fn bent_messages_do_no_harm(
        which in 0usize..4,
        at in any::<proptest::sample::Index>(),
        flip in 1u8..,
        cut in any::<proptest::sample::Index>(),
        cuts in any::<bool>(),
    ) {
        let mut bytes = MESSAGES[which].to_vec();
        let at = at.index(bytes.len());
        bytes[at] ^= flip;
        if cuts {
            bytes.truncate(cut.index(bytes.len() + 1));
        }
        let bytes = Bytes::from(bytes);
        if let Ok(said) = read(&bytes) {
            prop_assert_eq!(write(&said), bytes);
        }
    }
}

#[test]
fn an_opening_is_far_smaller_than_a_block() {
    let chain = Chain::rotating(&mut TestRng::new(1), &[2]);
    assert!(chain.opening(2).encode().len() < 4096);
    assert!(wire::max_payload_size(MAX_PARTICIPANTS.get()) < 256 * 1024);
}
