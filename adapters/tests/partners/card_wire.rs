//! The card adapter against issuers that answer late, twice, in another order, wrongly or never.

use mileverse_adapters::{
    Adapter, AskError, Debit, Inquiry, MemberId, Miles, PartnerConfig, PartnerKind, Reference,
    Refusal, Reversal, Session,
};
use mileverse_fixtures::sandbox::card::TABLE_ASCII;
use mileverse_iso8583::additional::{self, Additional};
use mileverse_iso8583::{Codec, MacKey, Message, Mti, Table, frame, number};
use secrecy::SecretString;
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;
use tokio::net::{TcpListener, TcpStream};

const KEY: &str = "0123456789ABCDEFFEDCBA9876543210";

/// An issuer that does what a test says, message by message.
struct Issuer {
    listener: TcpListener,
    codec: Codec,
    _directory: TempDir,
}

/// One connection to it.
struct Line {
    stream: TcpStream,
    codec: Codec,
}

async fn issuer(more: &str) -> (Issuer, Arc<dyn Adapter>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let directory = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(directory.path().join(name), text).unwrap();
    write("table.toml", TABLE_ASCII);
    write("mac", KEY);
    write("pin", "89ABCDEF01234567F1E0D3C2B5A49786");
    write(
        "card.toml",
        &format!(
            "address = \"{}\"\ninstitution = \"99001\"\ntable_file = \"table.toml\"\nmac = \"x9.19\"\nmac_key_file = \"mac\"\npin_key_file = \"pin\"\ntimeout_milliseconds = 800\nreconnect_first_milliseconds = 10\nreconnect_longest_milliseconds = 50\n{more}",
            listener.local_addr().unwrap(),
        ),
    );
    let adapter = PartnerConfig::read(PartnerKind::Card, &directory.path().join("card.toml"))
        .unwrap_or_else(|error| panic!("{error}"))
        .build()
        .unwrap();
    let codec = Codec::new(
        Table::parse(TABLE_ASCII).unwrap(),
        Some(MacKey::retail(KEY).unwrap()),
    );
    (
        Issuer {
            listener,
            codec,
            _directory: directory,
        },
        adapter,
    )
}

impl Issuer {
    async fn accept(&self) -> Line {
        let (stream, _) = self.listener.accept().await.unwrap();
        Line {
            stream,
            codec: self.codec.clone(),
        }
    }

    /// A connection that was let sign on.
    async fn signed_on(&self) -> Line {
        let mut line = self.accept().await;
        let request = line.read().await;
        assert_eq!(request.mti, Mti::NETWORK);
        assert_eq!(request.text(number::NETWORK), Some(number::SIGN_ON));
        assert_eq!(request.text(number::INSTITUTION), Some("99001"));
        line.write(&answer(&request, "00")).await;
        line
    }
}

impl Line {
    async fn read(&mut self) -> Message {
        let bytes = frame::read(&mut self.stream, self.codec.table().header)
            .await
            .unwrap();
        self.codec.decode(&bytes).unwrap()
    }

    async fn write(&mut self, message: &Message) {
        let bytes = self.codec.encode(message).unwrap();
        self.write_bytes(&bytes).await;
    }

    async fn write_bytes(&mut self, bytes: &[u8]) {
        let header = self.codec.table().header;
        frame::write(&mut self.stream, bytes, header).await.unwrap();
    }
}

fn answer(request: &Message, code: &str) -> Message {
    let mut answer = Message::new(request.mti.answer().unwrap()).with(number::RESPONSE, code);
    for field in [
        number::TRANSMITTED,
        number::TRACE,
        number::RETRIEVAL,
        number::NETWORK,
        number::ACCOUNT,
        number::AMOUNT,
    ] {
        if let Some(text) = request.text(field) {
            answer.set(field, text);
        }
    }
    answer
}

fn reference_of(request: &Message) -> String {
    let data = Additional::parse(request.text(number::ADDITIONAL).unwrap()).unwrap();
    data.get(additional::REFERENCE).unwrap().to_owned()
}

fn data(reference: &str, more: &[(&str, &str)]) -> String {
    let data = Additional::new().with(additional::REFERENCE, reference);
    more.iter()
        .fold(data, |data, (tag, value)| data.with(tag, value))
        .write()
}

/// A debit's answer as an honest issuer gives it.
fn applied(request: &Message) -> Message {
    let name = format!("P-{}", reference_of(request));
    answer(request, "00").with(
        number::ADDITIONAL,
        data(
            &reference_of(request),
            &[(additional::PARTNER_REFERENCE, &name)],
        ),
    )
}

fn session() -> Session {
    Session {
        member: MemberId::new("CARD-1").unwrap(),
        token: SecretString::from("t"),
    }
}

fn reference(name: &str) -> Reference {
    Reference::new(name).unwrap()
}

fn done(name: &str) -> Debit {
    Debit::Applied {
        partner_reference: format!("P-{name}"),
    }
}

async fn debit(adapter: &dyn Adapter, name: &str) -> Debit {
    adapter
        .debit(&session(), &reference(name), Miles::new(10))
        .await
}

/// Sixty requests on one connection, answered in the opposite order.
#[tokio::test]
async fn answers_in_any_order_find_their_requests() {
    let (issuer, adapter) = issuer("").await;
    let names: Vec<String> = (0..60).map(|at| format!("ref-{at}")).collect();
    let requests =
        futures::future::join_all(names.iter().map(|name| debit(adapter.as_ref(), name)));
    let answers = async {
        let mut line = issuer.signed_on().await;
        let mut requests = Vec::new();
        for _ in 0..names.len() {
            requests.push(line.read().await);
        }
        let mut traces: Vec<_> = requests
            .iter()
            .map(|request| request.text(number::TRACE))
            .collect();
        traces.sort_unstable();
        traces.dedup();
        assert_eq!(traces.len(), names.len(), "a STAN was used twice");
        for request in requests.iter().rev() {
            line.write(&applied(request)).await;
        }
        line
    };
    let (outcomes, _line) = tokio::join!(requests, answers);
    for (name, outcome) in names.iter().zip(outcomes) {
        assert_eq!(outcome, done(name));
    }
}

#[tokio::test]
async fn only_an_exact_answer_means_applied() {
    let (issuer, adapter) = issuer("").await;
    type Change = fn(&mut Message, &Message);
    let cases: [(&str, Change); 12] = [
        ("another STAN", |answer, _| {
            answer.set(number::TRACE, "000000")
        }),
        ("another RRN", |answer, _| {
            answer.set(number::RETRIEVAL, "AAAAAAAAAAAA")
        }),
        ("another type", |answer, _| {
            answer.mti = Mti::new(430).unwrap()
        }),
        ("other miles", |answer, _| {
            answer.set(number::AMOUNT, "000000000011")
        }),
        ("another member", |answer, _| {
            answer.set(number::ACCOUNT, "CARD-2")
        }),
        ("a member that is none", |answer, _| {
            answer.set(number::ACCOUNT, "../x")
        }),
        ("no miles", |answer, _| drop(answer.remove(number::AMOUNT))),
        ("an unknown code", |answer, _| {
            answer.set(number::RESPONSE, "ZZ")
        }),
        ("no code", |answer, _| drop(answer.remove(number::RESPONSE))),
        ("another reference", |answer, _| {
            answer.set(number::ADDITIONAL, data("ref-2", &[("PR", "P")]))
        }),
        ("no partner reference", |answer, request| {
            answer.set(number::ADDITIONAL, data(&reference_of(request), &[]))
        }),
        ("a refusal of something else", |answer, _| {
            answer.set(number::RESPONSE, "51");
            answer.set(number::ADDITIONAL, data("ref-2", &[]));
        }),
    ];
    let mut line = None;
    for (name, change) in cases {
        let answers = async {
            let mut line = match line.take() {
                Some(line) => line,
                None => issuer.signed_on().await,
            };
            let request = line.read().await;
            let mut answer = applied(&request);
            change(&mut answer, &request);
            line.write(&answer).await;
            line
        };
        let (outcome, kept) = tokio::join!(debit(adapter.as_ref(), "ref-1"), answers);
        line = Some(kept);
        assert!(matches!(outcome, Debit::Unknown(_)), "{name}: {outcome:?}");
    }
    let mut line = line.unwrap();
    let honest = async {
        let request = line.read().await;
        line.write(&applied(&request)).await;
    };
    let (outcome, ()) = tokio::join!(debit(adapter.as_ref(), "ref-1"), honest);
    assert_eq!(outcome, done("ref-1"));
}

#[tokio::test]
async fn what_has_no_right_mac_is_not_heard() {
    let (issuer, adapter) = issuer("").await;
    let answers = async {
        let mut line = issuer.signed_on().await;
        let request = line.read().await;
        let bare = Codec::new(Table::parse(TABLE_ASCII).unwrap(), None);
        let refused = answer(&request, "51").with(number::ADDITIONAL, data("ref-1", &[]));
        line.write_bytes(&bare.encode(&refused).unwrap()).await;
        let mut forged = line.codec.encode(&refused).unwrap();
        *forged.last_mut().unwrap() ^= 1;
        line.write_bytes(&forged).await;
        line.write_bytes(b"<html>").await;
        line.write(&applied(&request)).await;
        line
    };
    let (outcome, _line) = tokio::join!(debit(adapter.as_ref(), "ref-1"), answers);
    assert_eq!(outcome, done("ref-1"));
}

#[tokio::test]
async fn late_and_double_answers_belong_to_nobody() {
    let (issuer, adapter) = issuer("").await;
    let mut line = {
        let silent = async {
            let mut line = issuer.signed_on().await;
            let request = line.read().await;
            (line, request)
        };
        let (outcome, (mut line, request)) = tokio::join!(debit(adapter.as_ref(), "ref-1"), silent);
        assert!(matches!(outcome, Debit::Unknown(_)), "{outcome:?}");
        line.write(&applied(&request)).await;
        line
    };
    let answers = async {
        let request = line.read().await;
        line.write(&applied(&request)).await;
        line.write(&applied(&request)).await;
        let request = line.read().await;
        line.write(&applied(&request)).await;
    };
    let asks = async {
        assert_eq!(debit(adapter.as_ref(), "ref-2").await, done("ref-2"));
        assert_eq!(debit(adapter.as_ref(), "ref-3").await, done("ref-3"));
    };
    tokio::join!(asks, answers);
}

#[tokio::test]
async fn a_broken_connection_is_made_again_and_what_was_sent_is_unknown() {
    let (issuer, adapter) = issuer("").await;
    let breaks = async {
        let mut line = issuer.signed_on().await;
        line.read().await;
    };
    let (outcome, ()) = tokio::join!(debit(adapter.as_ref(), "ref-1"), breaks);
    assert!(matches!(outcome, Debit::Unknown(_)), "{outcome:?}");
    let answers = async {
        // Two that are gone before or while they sign on, then one that holds.
        drop(issuer.accept().await);
        issuer.accept().await.read().await;
        let mut line = issuer.signed_on().await;
        let request = line.read().await;
        line.write(&applied(&request)).await;
        line
    };
    let asks = async {
        for _ in 0..20 {
            let outcome = debit(adapter.as_ref(), "ref-1").await;
            if outcome == done("ref-1") {
                return;
            }
            assert!(matches!(outcome, Debit::Unknown(_)), "{outcome:?}");
        }
        panic!("never connected again");
    };
    tokio::join!(asks, answers);
}

#[tokio::test]
async fn a_reversal_is_said_again_until_it_is_heard() {
    let (issuer, adapter) = issuer("").await;
    let answers = async {
        let mut line = issuer.signed_on().await;
        let first = line.read().await;
        let second = line.read().await;
        assert_eq!((first.mti.get(), second.mti.get()), (420, 421));
        for field in [
            number::TRACE,
            number::RETRIEVAL,
            number::ADDITIONAL,
            number::ORIGINAL,
        ] {
            assert!(
                first.text(field).is_some() && first.text(field) == second.text(field),
                "field {field}"
            );
        }
        assert_eq!(first.text(number::ORIGINAL).unwrap().get(..4), Some("0200"));
        // The answer to the first, late, ends both.
        line.write(&answer(&first, "00").with(number::ADDITIONAL, data("ref-1", &[])))
            .await;
        line
    };
    let name = reference("ref-1");
    let (outcome, _line) = tokio::join!(adapter.reverse(&name), answers);
    assert_eq!(outcome, Reversal::Acknowledged);
}

#[tokio::test]
async fn a_reversal_counts_only_with_our_reference() {
    let (issuer, adapter) = issuer("repeats = 0\n").await;
    let name = reference("ref-1");
    let mut line = None;
    for (code, about, wanted) in [
        ("00", "ref-1", "acknowledged"),
        ("00", "ref-2", "unknown"),
        ("21", "ref-1", "refused"),
        ("25", "ref-1", "unknown"),
        ("96", "ref-1", "unknown"),
    ] {
        let answers = async {
            let mut line = match line.take() {
                Some(line) => line,
                None => issuer.signed_on().await,
            };
            let request = line.read().await;
            line.write(&answer(&request, code).with(number::ADDITIONAL, data(about, &[])))
                .await;
            line
        };
        let (outcome, kept) = tokio::join!(adapter.reverse(&name), answers);
        line = Some(kept);
        let got = match outcome {
            Reversal::Acknowledged => "acknowledged",
            Reversal::Refused(_) => "refused",
            Reversal::Unknown(_) => "unknown",
        };
        assert_eq!(got, wanted, "{code} about {about}");
    }
}

#[tokio::test]
async fn an_idle_line_is_tested_and_the_issuers_test_is_answered() {
    let (issuer, adapter) = issuer("echo_seconds = 1\n").await;
    let answers = async {
        let mut line = issuer.signed_on().await;
        let request = line.read().await;
        line.write(&answer(&request, "25").with(number::ADDITIONAL, data("ref-1", &[])))
            .await;
        // The issuer tests the line.
        let echo = Message::new(Mti::NETWORK)
            .with(number::TRANSMITTED, "0101000000")
            .with(number::TRACE, "000777")
            .with(number::NETWORK, number::ECHO);
        line.write(&echo).await;
        let answered = line.read().await;
        assert_eq!(
            (answered.mti.get(), answered.text(number::RESPONSE)),
            (810, Some("00"))
        );
        assert_eq!(answered.text(number::TRACE), Some("000777"));
        // The gateway tests it, and makes another when nobody answers.
        let echo = line.read().await;
        assert_eq!(echo.text(number::NETWORK), Some(number::ECHO));
        line.write(&answer(&echo, "00")).await;
        let echo = line.read().await;
        assert_eq!(echo.text(number::NETWORK), Some(number::ECHO));
        let _again = issuer.signed_on().await;
    };
    let name = reference("ref-1");
    let (outcome, ()) = tokio::join!(adapter.inquire(&name), answers);
    assert_eq!(outcome, Inquiry::NotFound);
}

#[tokio::test]
async fn a_dropped_adapter_signs_off() {
    let (issuer, adapter) = issuer("").await;
    let answers = async {
        let mut line = issuer.signed_on().await;
        let request = line.read().await;
        line.write(&applied(&request)).await;
        line
    };
    let (outcome, mut line) = tokio::join!(debit(adapter.as_ref(), "ref-1"), answers);
    assert_eq!(outcome, done("ref-1"));
    drop(adapter);
    assert_eq!(
        line.read().await.text(number::NETWORK),
        Some(number::SIGN_OFF)
    );
}

#[tokio::test]
async fn a_refused_sign_on_is_the_gateways_fault() {
    let (issuer, adapter) = issuer("").await;
    let answers = async {
        let mut line = issuer.accept().await;
        let request = line.read().await;
        line.write(&answer(&request, "58")).await;
        line
    };
    let secret = SecretString::from("1234");
    let (outcome, _line) = tokio::join!(adapter.authenticate("9410000000000013", &secret), answers);
    assert_eq!(outcome.unwrap_err(), AskError::GatewayRefused);
}

#[tokio::test]
async fn an_issuer_that_is_not_there_is_unavailable() {
    let (issuer, adapter) = issuer("").await;
    drop(issuer);
    let outcome = adapter
        .authenticate("9410000000000013", &SecretString::from("1234"))
        .await;
    assert!(
        matches!(outcome, Err(AskError::Unavailable(_))),
        "{outcome:?}"
    );
    let outcome = debit(adapter.as_ref(), "ref-1").await;
    assert!(matches!(outcome, Debit::Unknown(_)), "{outcome:?}");
}

#[tokio::test]
async fn refusals_need_a_known_code() {
    let (issuer, adapter) = issuer("[codes]\ninsufficient_miles = [\"51\", \"61\"]\n").await;
    let mut line = None;
    for (code, refusal) in [
        ("51", Refusal::InsufficientMiles),
        ("61", Refusal::InsufficientMiles),
        ("62", Refusal::AccountBlocked),
        ("R1", Refusal::Reversed),
    ] {
        let answers = async {
            let mut line = match line.take() {
                Some(line) => line,
                None => issuer.signed_on().await,
            };
            let request = line.read().await;
            line.write(&answer(&request, code).with(number::ADDITIONAL, data("ref-1", &[])))
                .await;
            line
        };
        let (outcome, kept) = tokio::join!(debit(adapter.as_ref(), "ref-1"), answers);
        line = Some(kept);
        assert_eq!(outcome, Debit::Refused(refusal));
    }
}

/// Bytes of any kind on the line: nothing panics, nothing is believed, the line goes on or is made
/// again. The seed is fixed; a failure is replayed by running the test.
#[tokio::test]
async fn noise_on_the_line_is_never_an_answer() {
    let (issuer, adapter) = issuer("").await;
    let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = move || {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed
    };
    let answers = async {
        let mut line = issuer.signed_on().await;
        let request = line.read().await;
        let good = line
            .codec
            .encode(&answer(&request, "51").with(number::ADDITIONAL, data("ref-1", &[])))
            .unwrap();
        for _ in 0..2000 {
            let mut bytes = good.clone();
            for _ in 0..=random() % 4 {
                let at = usize::try_from(random() % u64::try_from(bytes.len()).unwrap()).unwrap();
                bytes[at] ^= u8::try_from(1 + random() % 255).unwrap();
            }
            if bytes != good {
                line.write_bytes(&bytes).await;
            }
        }
        line.write(&applied(&request)).await;
        line
    };
    let (outcome, _line) = tokio::time::timeout(Duration::from_secs(60), async {
        tokio::join!(debit(adapter.as_ref(), "ref-1"), answers)
    })
    .await
    .unwrap();
    // Either the honest answer came in time, or none was believed.
    assert!(
        outcome == done("ref-1") || matches!(outcome, Debit::Unknown(_)),
        "{outcome:?}"
    );
}
