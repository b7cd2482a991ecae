#![allow(clippy::unwrap_used, clippy::panic)]

use super::*;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::Request;
use proptest::prelude::*;

/// RFC 9421, appendix B.1.4: `test-key-ed25519`, without the 12 bytes that say what it is.
const RFC_KEY: &str = "JrQLj5P/89iXES9+vFgrIy29clF9CC/oPPsw3c5D0bs=";
/// Of both: RFC 9421, B.2, and RFC 9530.
const BODY: &[u8] = br#"{"hello": "world"}"#;
const SHA_512: &str = "sha-512=:WZDPaVn/7XgHaAy8pmojAkGWoRx2UFChF41A2svX+TaPm+AbwAgBWnrIiYllu7BNNyealdVLvRwEmTHWXvJwew==:";
const SHA_256: &str = "sha-256=:X48E9qOokqqrvdts8nOJRJN3OWDUoyWxBf7kbu9DBPE=:";
const NOW: i64 = 1_700_000_000_000;

fn rfc_key() -> [u8; 32] {
    STANDARD.decode(RFC_KEY).unwrap().try_into().unwrap()
}

fn parts(request: http::request::Builder) -> Parts {
    request.body(()).unwrap().into_parts().0
}

/// Appendix B.2.6, "Signing a Request Using ed25519": the base and the signature are the RFC's.
#[test]
fn the_rfc_s_own_example_verifies() {
    let parts = parts(
        Request::post("https://example.com/foo?param=Value&Pet=dog")
            .header("host", "example.com")
            .header("date", "Tue, 20 Apr 2021 02:07:55 GMT")
            .header("content-type", "application/json")
            .header("content-digest", SHA_512)
            .header("content-length", "18"),
    );
    let input = fields::signature_input(
        r#"sig-b26=("date" "@method" "@path" "@authority" "content-type" "content-length");created=1618884473;keyid="test-key-ed25519""#,
    )
    .unwrap();
    let bases = base::bases(&input, &parts).unwrap();
    let expected = concat!(
        "\"date\": Tue, 20 Apr 2021 02:07:55 GMT\n",
        "\"@method\": POST\n",
        "\"@path\": /foo\n",
        "\"@authority\": example.com\n",
        "\"content-type\": application/json\n",
        "\"content-length\": 18\n",
        "\"@signature-params\": (\"date\" \"@method\" \"@path\" \"@authority\" \"content-type\" \"content-length\");created=1618884473;keyid=\"test-key-ed25519\"",
    );
    assert_eq!(bases, [expected]);
    let signatures = fields::byte_sequences(
        "sig-b26=:wqcAqbmYJ2ji2glfAMaRy4gruYYnx2nEFN2HN6jrnDnQCK1u02Gb04v9EDgwUPiu4A0w6vuQv5lIp5WPpBKRCw==:",
    )
    .unwrap();
    let mut presented = Presented {
        key_id: String::new(),
        nonce: String::new(),
        created: 0,
        bases,
        signature: signatures[0].1.clone(),
    };
    assert_eq!(presented.verify(&rfc_key()), Ok(()));
    presented.bases[0].push(' ');
    assert_eq!(presented.verify(&rfc_key()), Err(SignatureError::Wrong));
}

#[test]
fn digests_are_those_of_the_rfc() {
    for digest in [
        SHA_256.to_owned(),
        SHA_512.to_owned(),
        format!("{SHA_256}, {SHA_512}"),
        format!("md5=:AAAA:, {SHA_256}"),
    ] {
        let parts = parts(Request::post("/").header("content-digest", &digest));
        assert_eq!(check_digest(&parts, BODY), Ok(()), "{digest}");
        assert_eq!(check_digest(&parts, b"{}"), Err(SignatureError::Digest));
    }
    for wrong in ["", "md5=:AAAA:", "sha-256=X48E9q", "sha-256=:%:"] {
        let parts = parts(Request::post("/").header("content-digest", wrong));
        let got = check_digest(&parts, BODY);
        assert!(matches!(got, Err(SignatureError::Malformed(_))), "{wrong}");
    }
}

/// What a partner sends, and how it can be changed.
struct Sent {
    components: &'static str,
    parameters: String,
    idempotency_key: &'static str,
    uri: &'static str,
    digest: &'static str,
}

impl Default for Sent {
    fn default() -> Self {
        Self {
            components: r#""@method" "@path" "@query" "content-digest" "idempotency-key""#,
            parameters: format!(r#"created={};nonce="n1";keyid="till""#, NOW / 1000),
            idempotency_key: "k1",
            uri: "/v1/quotes?a=b",
            digest: SHA_256,
        }
    }
}

impl Sent {
    fn with(parameters: impl Into<String>) -> Self {
        Self {
            parameters: parameters.into(),
            ..Self::default()
        }
    }

    fn covering(components: &'static str) -> Self {
        Self {
            components,
            ..Self::default()
        }
    }

    /// Signs, and reads as the gateway does.
    fn read(&self, pair: &Ed25519KeyPair) -> Result<Presented, SignatureError> {
        let input = format!("s=({});{}", self.components, self.parameters);
        let request = |signature: &str| {
            parts(
                Request::post(self.uri)
                    .header("host", "Gateway.Example")
                    .header("content-digest", self.digest)
                    .header("idempotency-key", self.idempotency_key)
                    .header("signature-input", &input)
                    .header("signature", format!("s=:{signature}:")),
            )
        };
        let unsigned = Presented::of(&request("AAAA"), BODY, NOW)?.unwrap();
        let signature = STANDARD.encode(pair.sign(unsigned.bases[0].as_bytes()));
        Presented::of(&request(&signature), BODY, NOW).map(Option::unwrap)
    }
}

fn pair() -> Ed25519KeyPair {
    Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap()
}

fn public(pair: &Ed25519KeyPair) -> [u8; 32] {
    pair.public_key().as_ref().try_into().unwrap()
}

#[test]
fn what_is_covered_and_in_time_verifies() {
    let pair = pair();
    let seconds = NOW / 1000;
    for sent in [
        Sent::default(),
        Sent::covering(r#""@method" "@target-uri" "content-digest" "idempotency-key""#),
        Sent::covering(
            r#""@authority" "@method" "@request-target" "@path" "@query" "content-digest" "idempotency-key" "host""#,
        ),
        Sent::with(format!(
            r#"keyid="till";alg="ed25519";nonce="n";created={};expires={}"#,
            seconds - 299,
            seconds + 1
        )),
        Sent::with(format!(
            r#"created={};nonce="a\"b\\c";keyid="till";tag="mileverse""#,
            seconds + 29
        )),
        Sent {
            components: r#""@method" "@path" "content-digest" "idempotency-key""#,
            uri: "/v1/quotes",
            ..Sent::default()
        },
    ] {
        let presented = sent
            .read(&pair)
            .unwrap_or_else(|why| panic!("{}: {why}", sent.components));
        assert_eq!(
            presented.verify(&public(&pair)),
            Ok(()),
            "{}",
            sent.components
        );
        assert_eq!(presented.verify(&rfc_key()), Err(SignatureError::Wrong));
        assert_eq!(presented.key_id, "till");
    }
}

#[test]
fn what_is_not_covered_or_not_in_time_is_refused() {
    let pair = pair();
    let seconds = NOW / 1000;
    let time = |parameters| Sent::with(parameters).read(&pair).unwrap_err();
    for parameters in [
        format!(r#"created={};nonce="n";keyid="till""#, seconds - 301),
        format!(r#"created={};nonce="n";keyid="till""#, seconds + 31),
        format!(
            r#"created={seconds};expires={};nonce="n";keyid="till""#,
            seconds - 1
        ),
    ] {
        let why = time(parameters.clone());
        assert!(
            matches!(why, SignatureError::Time(_)),
            "{parameters}: {why}"
        );
    }
    for parameters in [
        r#"nonce="n";keyid="till""#.to_owned(),
        format!(r#"created={seconds};keyid="till""#),
        format!(r#"created={seconds};nonce="n""#),
        format!(r#"created={seconds};nonce="";keyid="till""#),
        format!(r#"created="{seconds}";nonce="n";keyid="till""#),
        format!(r#"created={seconds};created={seconds};nonce="n";keyid="till""#),
        format!(r#"created={seconds};nonce="n";keyid="till";alg="hmac-sha256""#),
        format!(r#"created={seconds};nonce="n";keyid="till", t=()"#),
    ] {
        let why = time(parameters.clone());
        assert!(
            matches!(why, SignatureError::Malformed(_)),
            "{parameters}: {why}"
        );
    }
    for components in [
        r#""@path" "@query" "content-digest" "idempotency-key""#,
        r#""@method" "@path" "content-digest" "idempotency-key""#,
        r#""@method" "@path" "@query" "idempotency-key""#,
        r#""@method" "@path" "@query" "content-digest""#,
        r#""@method" "@method" "@path" "@query" "content-digest" "idempotency-key""#,
        r#""@method" "@path" "@query" "content-digest" "idempotency-key" "@status""#,
        r#""@method" "@path" "@query" "content-digest" "idempotency-key" "x-none""#,
        r#""@method" "@path" "@query" "content-digest" "idempotency-key" "Host""#,
    ] {
        let why = Sent::covering(components).read(&pair).unwrap_err();
        assert!(
            matches!(why, SignatureError::Coverage(_)),
            "{components}: {why}"
        );
    }
}

#[test]
fn no_signature_is_none_and_half_of_one_is_wrong() {
    let none = parts(Request::get("/"));
    assert_eq!(Presented::of(&none, b"", NOW), Ok(None));
    for name in ["signature", "signature-input"] {
        let half = parts(Request::get("/").header(name, "s=:AAAA:"));
        assert!(Presented::of(&half, b"", NOW).is_err());
    }
}

proptest! {
    /// Whatever is sent is read or refused, and what was signed differently never verifies.
    #[test]
    fn nothing_that_is_sent_breaks_it(input in "\\PC{0,80}", signature in "\\PC{0,40}") {
        let request = Request::post("/x?y")
            .header("signature-input", input.as_bytes())
            .header("signature", signature.as_bytes());
        if let Ok(request) = request.body(()) {
            let parts = request.into_parts().0;
            if let Ok(Some(presented)) = Presented::of(&parts, BODY, NOW) {
                prop_assert!(presented.verify(&rfc_key()).is_err());
            }
        }
    }

    /// The strict form of what was read reads the same.
    #[test]
    fn the_strict_form_reads_back(
        components in prop::collection::vec("[ -~]{1,12}", 0..6),
        nonce in "[ -~]{0,20}",
        created in -999_999_999_999_999i64..=999_999_999_999_999,
    ) {
        let input = SignatureInput {
            label: "sig".to_owned(),
            components,
            parameters: vec![
                ("created".to_owned(), Bare::Number(created)),
                ("nonce".to_owned(), Bare::Text(nonce)),
            ],
        };
        prop_assert_eq!(fields::signature_input(&format!("sig={}", input.strict())), Ok(input));
    }
}
