//! Signed requests over HTTP: registered by the partner, required or not, refused when they are
//! changed, repeated or somebody else's.

use crate::support::{self, Databases, Gateway, World};
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use mileverse_gateway::clock::now_ms;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

crate::on_both! {
    a_partner_registers_keys_and_requires_signatures,
    a_signed_request_that_is_changed_or_repeated_is_refused,
    a_rotated_key_keeps_its_signing_keys,
}

const TOKEN: &str = "mvk_a-key-whose-requests-are-signed-0123";
const OTHER: &str = "mvk_another-key-of-the-same-partner-0123";

/// A request, and what of it is signed.
struct Call<'a> {
    token: &'a str,
    method: Method,
    path: &'a str,
    body: Option<Value>,
    idempotency_key: Option<&'a str>,
    nonce: String,
    name: &'a str,
}

impl<'a> Call<'a> {
    fn new(method: Method, path: &'a str) -> Self {
        Self {
            token: TOKEN,
            method,
            path,
            body: None,
            idempotency_key: None,
            nonce: uuid::Uuid::now_v7().to_string(),
            name: "till",
        }
    }

    fn body(self, body: Value) -> Self {
        Self {
            body: Some(body),
            ..self
        }
    }

    /// Sends it, signed with this key if there is one; `sent` may change the body on its way.
    async fn send(
        &self,
        world: &World,
        gateway: &Gateway,
        pair: Option<&Ed25519KeyPair>,
        sent: Option<&[u8]>,
    ) -> (StatusCode, Value) {
        let bytes = self.body.as_ref().map(|body| body.to_string().into_bytes());
        let url = format!("{}{}", gateway.url, self.path);
        let mut request = world.client.request(self.method.clone(), url);
        request = request.bearer_auth(self.token);
        if let Some(key) = self.idempotency_key {
            request = request.header("idempotency-key", key);
        }
        if let Some(pair) = pair {
            let (path, query) = self.path.split_once('?').unwrap_or((self.path, ""));
            let mut lines = vec![
                ("@method", self.method.to_string()),
                ("@path", path.to_owned()),
                ("@query", format!("?{query}")),
            ];
            if let Some(bytes) = &bytes {
                let digest = format!("sha-256=:{}:", STANDARD.encode(Sha256::digest(bytes)));
                request = request.header("content-digest", &digest);
                lines.push(("content-digest", digest));
            }
            if let Some(key) = self.idempotency_key {
                lines.push(("idempotency-key", key.to_owned()));
            }
            let names: Vec<_> = lines
                .iter()
                .map(|(name, _)| format!("\"{name}\""))
                .collect();
            let parameters = format!(
                "({});created={};nonce=\"{}\";keyid=\"{}\";alg=\"ed25519\"",
                names.join(" "),
                now_ms() / 1000,
                self.nonce,
                self.name
            );
            let mut base: String = lines
                .iter()
                .map(|(name, value)| format!("\"{name}\": {value}\n"))
                .collect();
            base.push_str(&format!("\"@signature-params\": {parameters}"));
            let signature = STANDARD.encode(pair.sign(base.as_bytes()));
            request = request
                .header("signature-input", format!("sig={parameters}"))
                .header("signature", format!("sig=:{signature}:"));
        }
        if let Some(bytes) = sent.map(<[u8]>::to_vec).or(bytes) {
            request = request
                .header("content-type", "application/json")
                .body(bytes);
        }
        let answer = request.send().await.unwrap();
        let status = answer.status();
        (status, answer.json().await.unwrap_or_default())
    }
}

fn pair(seed: u8) -> Ed25519KeyPair {
    Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap()
}

fn public(pair: &Ed25519KeyPair) -> Value {
    json!({ "public_key": STANDARD.encode(pair.public_key()) })
}

async fn keys(world: &World) -> [String; 2] {
    world.partner("shop", |_| {}).await;
    [
        world.full_key("shop", TOKEN).await,
        world.full_key("shop", OTHER).await,
    ]
}

fn problem(kind: &str) -> Value {
    json!(format!("urn:mileverse:problem:{kind}"))
}

/// Sends until the answer is this one: a changed rule is in force within a second.
async fn until(call: impl AsyncFn() -> (StatusCode, Value), status: StatusCode) -> Value {
    support::until("what a rule says", async || {
        let (got, body) = call().await;
        if got == status {
            Ok(body)
        } else {
            Err((got, body))
        }
    })
    .await
}

async fn a_partner_registers_keys_and_requires_signatures(on: &Databases) {
    let world = World::new(on).await;
    keys(&world).await;
    let gateway = world.gateway().await;
    let (mine, thief) = (pair(1), pair(2));
    let register = |name: &'static str, pair: &Ed25519KeyPair| {
        let path: &'static str = match name {
            "till" => "/v1/signing-keys/till",
            "spare" => "/v1/signing-keys/spare",
            _ => "/v1/signing-keys/not%20plain",
        };
        Call::new(Method::PUT, path).body(public(pair))
    };
    let rule = |required: bool| {
        Call::new(Method::PUT, "/v1/signature-rule").body(json!({ "required": required }))
    };
    // Nobody can require what they cannot do.
    let (status, body) = rule(true).send(&world, &gateway, None, None).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED, "{body}");
    assert_eq!(body["type"], problem("signature-required"));
    for (call, status) in [
        (register("till", &mine), StatusCode::CREATED),
        (register("till", &mine), StatusCode::OK),
        (register("till", &thief), StatusCode::CONFLICT),
        (
            register("not plain", &mine),
            StatusCode::UNPROCESSABLE_ENTITY,
        ),
        (
            register("spare", &mine).body(json!({ "public_key": "AAAA" })),
            StatusCode::UNPROCESSABLE_ENTITY,
        ),
    ] {
        let (got, body) = call.send(&world, &gateway, None, None).await;
        assert_eq!(got, status, "{body}");
    }
    let (status, body) = rule(true).send(&world, &gateway, Some(&mine), None).await;
    assert_eq!(
        (status, body),
        (StatusCode::OK, json!({ "required": true }))
    );

    // From now on the API key alone is good for nothing, not even for another signing key.
    let list = Call::new(Method::GET, "/v1/conversions?limit=1");
    let body = until(
        async || list.send(&world, &gateway, None, None).await,
        StatusCode::UNAUTHORIZED,
    )
    .await;
    assert_eq!(body["type"], problem("signature-required"));
    let (status, _) = register("spare", &thief)
        .send(&world, &gateway, None, None)
        .await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    let (status, _) = rule(false).send(&world, &gateway, None, None).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    // Nor with a signing key of another API key of the same partner.
    let foreign = Call {
        token: OTHER,
        ..register("spare", &thief)
    };
    let (status, _) = foreign.send(&world, &gateway, None, None).await;
    assert_eq!(status, StatusCode::CREATED);
    let stolen = Call {
        name: "spare",
        ..Call::new(Method::GET, "/v1/conversions")
    };
    let (status, body) = stolen.send(&world, &gateway, Some(&thief), None).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED, "{body}");
    assert_eq!(body["type"], problem("signature-invalid"));

    // Signed, everything goes on; the last key cannot be taken out.
    let signed = Call::new(Method::GET, "/v1/conversions?limit=1");
    let (status, body) = signed.send(&world, &gateway, Some(&mine), None).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    let remove = || Call::new(Method::DELETE, "/v1/signing-keys/till");
    let (status, body) = remove().send(&world, &gateway, Some(&mine), None).await;
    assert_eq!(status, StatusCode::CONFLICT, "{body}");
    let (status, _) = rule(false).send(&world, &gateway, Some(&mine), None).await;
    assert_eq!(status, StatusCode::OK);
    let (status, body) = remove().send(&world, &gateway, Some(&mine), None).await;
    assert_eq!(status, StatusCode::NO_CONTENT, "{body}");
    let again = Call::new(Method::GET, "/v1/conversions");
    let (status, _) = again.send(&world, &gateway, Some(&mine), None).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    gateway.stop().await;
}

async fn a_signed_request_that_is_changed_or_repeated_is_refused(on: &Databases) {
    let world = World::new(on).await;
    keys(&world).await;
    let gateway = world.gateway().await;
    let mine = pair(3);
    let register = Call::new(Method::PUT, "/v1/signing-keys/till").body(public(&mine));
    register.send(&world, &gateway, None, None).await;
    let quote = |key| Call {
        idempotency_key: Some(key),
        ..Call::new(Method::POST, "/v1/quotes").body(json!({
            "programme": "airline", "miles": "100",
            "member": { "login": "minji@sky.example", "password": "blue-heron-41" },
        }))
    };
    let first = quote("signed-1");
    let (status, body) = first.send(&world, &gateway, Some(&mine), None).await;
    assert_eq!(status, StatusCode::CREATED, "{body}");
    let (status, problem_) = first.send(&world, &gateway, Some(&mine), None).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED, "{problem_}");
    assert_eq!(problem_["type"], problem("signature-replayed"));
    // Sent again with a signature of its own it is the same request.
    let (status, same) = quote("signed-1")
        .send(&world, &gateway, Some(&mine), None)
        .await;
    assert_eq!((status, &same["id"]), (StatusCode::CREATED, &body["id"]));

    // On its way somebody asks for more.
    let changed = quote("signed-2");
    let text = changed.body.as_ref().unwrap().to_string();
    let text = text.replace("\"100\"", "\"900\"");
    let (status, body) = changed
        .send(&world, &gateway, Some(&mine), Some(text.as_bytes()))
        .await;
    assert_eq!(status, StatusCode::UNAUTHORIZED, "{body}");
    assert_eq!(body["type"], problem("signature-invalid"));
    // Somebody else signs.
    let (status, body) = quote("signed-3")
        .send(&world, &gateway, Some(&pair(4)), None)
        .await;
    assert_eq!(status, StatusCode::UNAUTHORIZED, "{body}");
    // A wrong signature is refused even where none is needed.
    let quotes: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM quotes")
        .fetch_one(world.store().await.read())
        .await
        .unwrap();
    assert_eq!(quotes, 1);
    gateway.stop().await;
}

async fn a_rotated_key_keeps_its_signing_keys(on: &Databases) {
    let world = World::new(on).await;
    let ids = keys(&world).await;
    let gateway = world.gateway().await;
    let mine = pair(5);
    let register = Call::new(Method::PUT, "/v1/signing-keys/till").body(public(&mine));
    register.send(&world, &gateway, None, None).await;
    let store = world.store().await;
    assert!(store.require_signatures(&ids[0], true).await.unwrap());
    let mut write = store.write().await.unwrap();
    let inherited = mileverse_gateway::store::signing::inherit(&mut write, &ids[0], &ids[1]);
    inherited.await.unwrap();
    write.commit().await.unwrap();
    assert!(store.key(&ids[1]).await.unwrap().unwrap().signed_only);
    store.close().await;
    let call = || Call {
        token: OTHER,
        ..Call::new(Method::GET, "/v1/conversions")
    };
    let seen = call();
    let (status, body) = seen.send(&world, &gateway, Some(&mine), None).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    // A request that was seen is not good for the other API key with the same pair either.
    let replayed = Call {
        token: TOKEN,
        nonce: seen.nonce.clone(),
        ..call()
    };
    let (status, body) = replayed.send(&world, &gateway, Some(&mine), None).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED, "{body}");
    assert_eq!(body["type"], problem("signature-replayed"));
    until(
        async || call().send(&world, &gateway, None, None).await,
        StatusCode::UNAUTHORIZED,
    )
    .await;
    gateway.stop().await;
}
