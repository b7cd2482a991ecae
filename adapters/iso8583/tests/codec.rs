//! The codec against known bytes, and against all others.

#![allow(clippy::unwrap_used, clippy::panic)]

use mileverse_iso8583::field::{Kind, Length};
use mileverse_iso8583::{
    Codec, DecodeError, EncodeError, Header, MacKey, Message, Mti, Table, Value, frame,
};
use proptest::prelude::*;

const FIELDS: &str = r#"
[fields]
2 = { form = "n..19", name = "primary account number" }
3 = { form = "n6", name = "processing code" }
4 = { form = "n12", name = "amount" }
7 = { form = "n10", name = "transmission date and time" }
11 = { form = "n6", name = "systems trace audit number" }
23 = { form = "n3", name = "card sequence number" }
37 = { form = "an12", name = "retrieval reference number" }
39 = { form = "an2", name = "response code" }
41 = { form = "ans8", name = "terminal" }
48 = { form = "ans...999", name = "additional data" }
52 = { form = "b64", name = "PIN block" }
62 = { form = "b...255", name = "bytes" }
64 = { form = "b64", name = "MAC" }
70 = { form = "n3", name = "network management information code" }
90 = { form = "n42", name = "original data elements" }
102 = { form = "ans..28", name = "account" }
128 = { form = "b64", name = "MAC" }
"#;

fn table(
    header: &str,
    mti: &str,
    bitmap: &str,
    lengths: &str,
    numbers: &str,
    binary: &str,
) -> Table {
    let text = format!(
        "header = {header:?}\ntype = {mti:?}\nbitmap = {bitmap:?}\nlengths = {lengths:?}\nnumbers = {numbers:?}\nbinary = {binary:?}\n{FIELDS}"
    );
    Table::parse(&text).unwrap()
}

fn ascii() -> Table {
    table("binary-2", "ascii", "binary", "ascii", "ascii", "raw")
}

fn bcd() -> Table {
    table("ascii-4", "bcd", "binary", "bcd", "bcd", "raw")
}

fn tables() -> Vec<Table> {
    let mut tables = vec![ascii(), bcd()];
    for mti in ["ascii", "bcd"] {
        for bitmap in ["binary", "hex"] {
            for lengths in ["ascii", "bcd"] {
                for binary in ["raw", "hex"] {
                    let numbers = if mti == lengths { "bcd" } else { "ascii" };
                    tables.push(table("ascii-4", mti, bitmap, lengths, numbers, binary));
                }
            }
        }
    }
    tables
}

fn codecs() -> Vec<Codec> {
    let keys = [
        None,
        Some(MacKey::retail("0123456789ABCDEFFEDCBA9876543210").unwrap()),
        Some(MacKey::hmac(&"5c".repeat(32)).unwrap()),
    ];
    let tables = tables();
    tables
        .iter()
        .flat_map(|table| {
            keys.iter()
                .map(|key| Codec::new(table.clone(), key.clone()))
        })
        .collect()
}

fn mti(number: u16) -> Mti {
    Mti::new(number).unwrap()
}

/// A message written out by hand, so that reader and writer cannot be wrong in the same way.
#[test]
fn known_bytes_in_ascii() {
    let message = Message::new(mti(200))
        .with(2, "9410000000000011")
        .with(3, "000000")
        .with(4, "000000000700")
        .with(11, "000042")
        .with(39, "00");
    let mut bytes = b"0200".to_vec();
    bytes.extend([0x70, 0x20, 0, 0, 0x02, 0, 0, 0]);
    bytes.extend(b"16941000000000001100000000000000070000004200");
    let codec = Codec::new(ascii(), None);
    assert_eq!(codec.encode(&message).unwrap(), bytes);
    assert_eq!(codec.decode(&bytes).unwrap(), message);
}

#[test]
fn known_bytes_in_bcd() {
    // An odd length and an odd number of digits, a field above 64, bytes of variable length.
    let mut message = Message::new(mti(800))
        .with(2, "941000000000001")
        .with(23, "007")
        .with(70, "301");
    message.insert(62, Value::Bytes(vec![0xde, 0xad]));
    let mut bytes = vec![0x08, 0x00];
    bytes.extend([0xC0, 0, 0x02, 0, 0, 0, 0, 0x04, 0x04, 0, 0, 0, 0, 0, 0, 0]);
    bytes.extend([
        0x15, 0x09, 0x41, 0, 0, 0, 0, 0, 0x01, 0x00, 0x07, 0x00, 0x02, 0xde, 0xad, 0x03, 0x01,
    ]);
    let codec = Codec::new(bcd(), None);
    assert_eq!(codec.encode(&message).unwrap(), bytes);
    assert_eq!(codec.decode(&bytes).unwrap(), message);
}

#[test]
fn known_bytes_in_hex() {
    let codec = Codec::new(
        table("ascii-4", "ascii", "hex", "ascii", "ascii", "hex"),
        None,
    );
    let mut message = Message::new(mti(110)).with(39, "00");
    message.insert(52, Value::Bytes(vec![0, 1, 2, 3, 4, 5, 6, 0xff]));
    let wanted = b"01100000000002001000\
                   00\
                   00010203040506FF";
    assert_eq!(codec.encode(&message).unwrap(), wanted);
    assert_eq!(codec.decode(&wanted.to_ascii_lowercase()).unwrap(), message);
}

#[test]
fn what_is_not_a_message_is_refused() {
    let codec = Codec::new(ascii(), None);
    let good = codec
        .encode(
            &Message::new(mti(200))
                .with(3, "000000")
                .with(41, "TERM0001"),
        )
        .unwrap();
    let change = |at: usize, byte: u8| {
        let mut bytes = good.clone();
        bytes[at] = byte;
        codec.decode(&bytes).unwrap_err()
    };
    assert!(matches!(codec.decode(&[]), Err(DecodeError::Short(_))));
    assert!(matches!(
        codec.decode(&good[..good.len() - 1]),
        Err(DecodeError::Short(_))
    ));
    assert_eq!(
        codec.decode(&[good.clone(), b"x".to_vec()].concat()),
        Err(DecodeError::Trailing(1))
    );
    assert!(matches!(change(0, b'x'), DecodeError::Characters(_)));
    assert!(matches!(change(12, b'a'), DecodeError::Characters(_)));
    assert!(matches!(change(18, 0x07), DecodeError::Characters(_)));
    // Bit 5 is in no table.
    assert_eq!(change(4, 0x28), DecodeError::UnknownField(5));
    // Bit 65 says that there is a third bitmap: nobody has one.
    let mut third = b"0200".to_vec();
    third.extend([0x80, 0, 0, 0, 0, 0, 0, 0, 0x80, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!(codec.decode(&third), Err(DecodeError::UnknownField(65)));
    // Twenty digits of a card number.
    let mut long = b"0200".to_vec();
    long.extend([0x40, 0, 0, 0, 0, 0, 0, 0]);
    long.extend(b"2012345678901234567890");
    assert!(matches!(codec.decode(&long), Err(DecodeError::Long(_))));
    assert_eq!(codec.decode(&vec![b'0'; 9000]), Err(DecodeError::Size));
}

#[test]
fn what_has_not_its_form_is_not_written() {
    let codec = Codec::new(ascii(), None);
    let message = || Message::new(mti(200));
    for (number, text) in [
        (2, "12345678901234567890"),
        (3, "00000"),
        (3, "00000a"),
        (37, "has a space!"),
        (41, "short"),
        (48, "tab\t"),
        (48, "é"),
        (52, "text"),
    ] {
        let error = codec.encode(&message().with(number, text)).unwrap_err();
        assert_eq!(error, EncodeError::Form(number), "{text}");
    }
    assert_eq!(
        codec.encode(&message().with(5, "1")).unwrap_err(),
        EncodeError::UnknownField(5)
    );
}

#[test]
fn a_mac_covers_every_byte() {
    for codec in codecs() {
        let message = Message::new(mti(200))
            .with(4, "000000000700")
            .with(48, "RF004ref1");
        for message in [message.clone(), message.with(102, "CARD-1")] {
            let bytes = codec.encode(&message).unwrap();
            assert_eq!(codec.decode(&bytes).unwrap(), message);
        }
    }
    let key = MacKey::retail("0123456789ABCDEFFEDCBA9876543210").unwrap();
    let codec = Codec::new(ascii(), Some(key));
    let bytes = codec
        .encode(&Message::new(mti(200)).with(4, "000000000700"))
        .unwrap();
    for at in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[at] ^= 1;
        assert!(codec.decode(&changed).is_err(), "byte {at} may change");
    }
    let bare = Codec::new(ascii(), None)
        .encode(&Message::new(mti(200)).with(4, "000000000700"))
        .unwrap();
    assert_eq!(codec.decode(&bare), Err(DecodeError::Mac));
}

/// A value of a field's form.
fn value(kind: Kind, length: Length) -> BoxedStrategy<Value> {
    let lengths = match length {
        Length::Fixed(exact) => exact..=exact,
        Length::Variable { most, .. } => 0..=most,
    };
    let text = |alphabet: &'static str, lengths: std::ops::RangeInclusive<usize>| {
        let pattern = format!("[{alphabet}]{{{},{}}}", lengths.start(), lengths.end());
        proptest::string::string_regex(&pattern)
            .unwrap()
            .prop_map(Value::Text)
            .boxed()
    };
    match kind {
        Kind::Digits => text("0-9", lengths),
        Kind::Alphanumeric => text("0-9A-Za-z", lengths),
        Kind::Printable => text(" -~", lengths),
        Kind::Bytes => prop::collection::vec(any::<u8>(), lengths)
            .prop_map(Value::Bytes)
            .boxed(),
    }
}

/// A message that shows its values when a case fails.
#[derive(Clone)]
struct Shown(Message);

impl std::fmt::Debug for Shown {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}", self.0.mti)?;
        self.0.fields().try_for_each(|(number, value)| match value {
            Value::Text(text) => write!(formatter, " {number}={text:?}"),
            Value::Bytes(bytes) => write!(formatter, " {number}={bytes:02x?}"),
        })
    }
}

/// Any message the table allows, without a MAC.
fn message() -> impl Strategy<Value = Shown> {
    let table = ascii();
    let fields: Vec<_> = table
        .fields()
        .filter(|(number, _)| !matches!(number, 64 | 128))
        .map(|(number, field)| {
            prop::option::of(value(field.form.kind, field.form.length))
                .prop_map(move |value| (number, value))
        })
        .collect();
    (0u16..=9999, fields).prop_map(|(number, fields)| {
        let mut message = Message::new(mti(number));
        for (number, value) in fields {
            if let Some(value) = value {
                message.insert(number, value);
            }
        }
        Shown(message)
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_message_comes_back(Shown(message) in message()) {
        for codec in codecs() {
            let bytes = codec.encode(&message).unwrap();
            prop_assert_eq!(codec.decode(&bytes).unwrap(), message.clone());
        }
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        for codec in codecs() {
            if let Ok(message) = codec.decode(&bytes) {
                let again = codec.encode(&message).unwrap();
                prop_assert_eq!(codec.decode(&again).unwrap(), message);
            }
        }
    }

    /// Bytes near to good ones reach much further than random ones do.
    #[test]
    fn damaged_messages_are_read_or_refused(
        Shown(message) in message(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0u8..4), 1..6),
    ) {
        for codec in codecs() {
            let mut bytes = codec.encode(&message).unwrap();
            for (at, byte, how) in &damage {
                if bytes.is_empty() {
                    break;
                }
                let at = at.index(bytes.len());
                match how {
                    0 => bytes[at] = *byte,
                    1 => bytes[at] ^= 1 << (byte % 8),
                    2 => bytes.truncate(at),
                    _ => bytes.insert(at, *byte),
                }
            }
            if let Ok(message) = codec.decode(&bytes) {
                let again = codec.encode(&message).unwrap();
                prop_assert_eq!(codec.decode(&again).unwrap(), message);
            }
        }
    }
}

#[tokio::test]
async fn frames_on_a_stream() {
    for header in [Header::Binary2, Header::Ascii4] {
        let (mut near, mut far) = tokio::io::duplex(64);
        let sent = vec![b'1'; 500];
        let keep_alive: &[u8] = if header == Header::Binary2 {
            &[0, 0]
        } else {
            b"0000"
        };
        let writer = async {
            tokio::io::AsyncWriteExt::write_all(&mut near, keep_alive)
                .await
                .unwrap();
            frame::write(&mut near, &sent, header).await.unwrap();
            drop(near);
        };
        let reader = async {
            assert_eq!(frame::read(&mut far, header).await.unwrap(), sent);
            assert!(matches!(
                frame::read(&mut far, header).await,
                Err(frame::FrameError::Closed)
            ));
        };
        tokio::join!(writer, reader);
    }
    let read = async |bytes: &'static [u8], header| frame::read(&mut &*bytes, header).await;
    assert!(matches!(
        read(b"\xff\xff", Header::Binary2).await,
        Err(frame::FrameError::Length)
    ));
    assert!(matches!(
        read(b"00x1", Header::Ascii4).await,
        Err(frame::FrameError::Length)
    ));
    assert!(matches!(
        read(b"9999", Header::Ascii4).await,
        Err(frame::FrameError::Length)
    ));
    assert!(matches!(
        read(b"\x00", Header::Binary2).await,
        Err(frame::FrameError::Io(_))
    ));
    assert!(matches!(
        read(b"0005abc", Header::Ascii4).await,
        Err(frame::FrameError::Io(_))
    ));
    assert!(frame::wrap(&[], Header::Ascii4).is_err());
}
