//! Requests made from the document: good ones, from what a name usually means and from ids that
//! earlier answers gave, and wrong ones.

use super::document::{Document, Operation};
use crate::support::RECEIVER;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, VecDeque};

/// Ids of one kind that are remembered.
const REMEMBERED: usize = 32;
/// The day of the statements, and its file.
pub const DAY: &str = "2026-01-05";
const STATEMENT: &str = "reference,partner_reference,kind,member,miles,at\n\
    someone-elses,SKY-1,debit,SKY-1001,10,2026-01-05T10:00:00Z\n";
/// Members whose debits work, and one whose are refused.
const MEMBERS: [(&str, &str); 3] = [
    ("daniel@sky.example", "quiet-pine-07"),
    ("minji@sky.example", "blue-heron-41"),
    ("refuse@sky.example", "fault"),
];

/// What is sent.
#[derive(Clone, Debug)]
pub struct Sent {
    pub method: String,
    /// With the query.
    pub path: String,
    pub headers: Vec<(&'static str, Vec<u8>)>,
    pub body: Option<Vec<u8>>,
}

/// How wrong a request may be.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Care {
    /// Nothing is wrong, and nothing is there that need not be.
    Good,
    /// Anything may be.
    Any,
}

pub struct Maker {
    pub rng: StdRng,
    name: String,
    made: u32,
    /// Which member was quoted last.
    quoted: usize,
    ids: BTreeMap<String, VecDeque<String>>,
    /// Secrets of endpoints, by id.
    secrets: BTreeMap<String, String>,
    /// Where webhooks go.
    pub sink: String,
    /// Id and value of a key that tokens can be had for.
    pub client: (String, String),
}

impl Maker {
    pub fn new(seed: u64, name: &str, sink: String, client: (String, String)) -> Self {
        Self {
            rng: StdRng::seed_from_u64(seed),
            name: name.to_owned(),
            made: 0,
            quoted: 0,
            ids: BTreeMap::new(),
            secrets: BTreeMap::new(),
            sink,
            client,
        }
    }

    pub fn chance(&mut self, part: f64) -> bool {
        self.rng.random_bool(part)
    }

    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        from.choose(&mut self.rng).unwrap()
    }

    /// A text that nobody else makes.
    pub fn fresh(&mut self) -> String {
        self.made += 1;
        format!("{}-{}", self.name, self.made)
    }

    /// Remembers what an answer names.
    pub fn learn(&mut self, path: &str, answer: &Value) {
        if let (Some(id), Some(secret)) = (part(path, "/v1/webhooks/"), answer["secret"].as_str()) {
            self.secrets.insert(id, secret.to_owned());
        }
        self.learn_ids(answer);
    }

    fn learn_ids(&mut self, value: &Value) {
        match value {
            Value::String(text) => {
                let Some((kind, rest)) = text.split_once('_') else {
                    return;
                };
                if rest.len() == 32 && rest.bytes().all(|byte| byte.is_ascii_hexdigit()) {
                    let known = self.ids.entry(kind.to_owned()).or_default();
                    if !known.contains(text) {
                        known.push_back(text.clone());
                    }
                    if known.len() > REMEMBERED {
                        known.pop_front();
                    }
                }
            }
            Value::Array(items) => items.iter().for_each(|item| self.learn_ids(item)),
            Value::Object(members) => members.values().for_each(|member| self.learn_ids(member)),
            _ => {}
        }
    }

    /// An id of a kind: one that was seen, mostly a new one.
    fn id(&mut self, kind: &str) -> String {
        let nobody = format!("{kind}_0190b2e8d6f07c3a8f3e5d1c2b4a6978");
        let Some(known) = self.ids.get(kind).filter(|known| !known.is_empty()) else {
            return nobody;
        };
        let last = known.len() - 1;
        let at = match self.rng.random_bool(0.5) {
            true => last,
            false => self.rng.random_range(0..=last),
        };
        known[at].clone()
    }

    pub fn request(&mut self, document: &Document, operation: &Operation, care: Care) -> Sent {
        let mut path = operation.path.clone();
        let mut query = Vec::new();
        let mut headers = Vec::new();
        for parameter in &operation.parameters {
            let name = parameter["name"].as_str().unwrap();
            let place = parameter["in"].as_str().unwrap();
            let required = parameter["required"] == true;
            let sent = match (required, care) {
                (true, Care::Good) => true,
                (false, Care::Good) => false,
                (true, Care::Any) => place == "path" || self.chance(0.95),
                (false, Care::Any) => self.chance(0.4),
            };
            if !sent {
                continue;
            }
            let schema = document.resolve(&parameter["schema"]);
            let value = match care {
                Care::Good => self.good(document, operation, name, schema, &path, care),
                Care::Any => self.value(document, operation, name, schema, &path),
            };
            let text = match value {
                Value::String(text) => text,
                other => other.to_string(),
            };
            match place {
                // An empty part, or one of dots, would be another path.
                "path" if text.bytes().all(|byte| b"./ ".contains(&byte)) => {
                    path = path.replace(&format!("{{{name}}}"), "x");
                }
                "path" => path = path.replace(&format!("{{{name}}}"), &encoded(&text)),
                "query" => query.push(format!("{name}={}", encoded(&text))),
                "header" => {
                    assert_eq!(name, "Idempotency-Key");
                    headers.push(("idempotency-key", text.into_bytes()));
                }
                other => panic!("a parameter in the {other}"),
            }
        }
        if care == Care::Any {
            if self.chance(0.03) {
                let odd = [
                    "other=1",
                    "limit=1&limit=2",
                    "=",
                    "&&",
                    "a[]=1",
                    "limit=%ff",
                    "cursor=%00",
                ];
                query.push((*self.pick(&odd)).to_owned());
            }
            if self.chance(0.02) && operation.path.contains('{') {
                // Not "%2e%2e": to a URL that is "..", and so another path.
                let odd = ["%ff", "%00", "%2e%2e%2e", "a%2fb", "%F0%9F%98%80"];
                let odd = *self.pick(&odd);
                path = operation.path.replace("{id}", odd).replace("{name}", odd);
                path = path.replace("{programme}", "airline").replace("{day}", odd);
                path = path.replace("{decision}", "approve");
            }
            if self.chance(0.02) {
                let name = *self.pick(&["signature", "signature-input", "content-digest"]);
                let odd = [
                    "",
                    "sig=:x:",
                    "sig1=(\"@method\");created=1;nonce=\"n\";keyid=\"k\"",
                    "(((",
                    "sig=:AAAA:",
                ];
                headers.push((name, self.pick(&odd).as_bytes().to_vec()));
            }
            if self.chance(0.02) {
                headers.push(("idempotency-key", b"a second one".to_vec()));
            }
        }
        if !query.is_empty() {
            path = format!("{path}?{}", query.join("&"));
        }
        let mut body = None;
        if let Some((media, schema)) = &operation.body {
            body = Some(self.body(document, operation, media, schema, &path, care));
            let broken = care == Care::Any && self.chance(0.03);
            let media = match broken {
                true => *self.pick(&[
                    "text/plain",
                    "application/json;charset=utf-8",
                    "application",
                    "\u{1}",
                ]),
                false => media.as_str(),
            };
            headers.push(("content-type", media.as_bytes().to_vec()));
        }
        Sent {
            method: operation.method.clone(),
            path,
            headers,
            body,
        }
    }

    fn body(
        &mut self,
        document: &Document,
        operation: &Operation,
        media: &str,
        schema: &Value,
        path: &str,
        care: Care,
    ) -> Vec<u8> {
        if care == Care::Any && self.chance(0.05) {
            return match self.rng.random_range(0..9) {
                0 => Vec::new(),
                1 => b"{".to_vec(),
                2 => b"[]".to_vec(),
                3 => b"null".to_vec(),
                4 => vec![b'['; 12_000],
                5 => vec![b'x'; 20_000],
                6 => b"{\"a\":\"\xff\"}".to_vec(),
                7 => b"{\"why\":\"\\ud800\"}".to_vec(),
                _ => b"{\"why\":1,\"why\":2}".to_vec(),
            };
        }
        if media == "text/csv" {
            let mut text = STATEMENT.to_owned();
            if care == Care::Any && self.chance(0.5) {
                let odd = [
                    "\0",
                    ",,,,,\n",
                    "\"",
                    "conv-x,SKY\0,debit,SKY-1001,10,2026-01-05T10:00:00Z\n",
                    "reference\n",
                    "airline,a,refund,b,1,2026-01-05T10:00:00Z\n",
                ];
                let odd = *self.pick(&odd);
                text.push_str(odd);
            }
            return text.into_bytes();
        }
        let schema = document.resolve(schema);
        let made = self.object(document, operation, schema, path, care);
        if media == "application/x-www-form-urlencoded" {
            let pairs = made.iter().map(|(name, value)| {
                let text = value
                    .as_str()
                    .map_or_else(|| value.to_string(), ToOwned::to_owned);
                format!("{name}={}", encoded(&text))
            });
            return pairs.collect::<Vec<_>>().join("&").into_bytes();
        }
        serde_json::to_vec(&made).unwrap()
    }

    fn object(
        &mut self,
        document: &Document,
        operation: &Operation,
        schema: &Value,
        path: &str,
        care: Care,
    ) -> Map<String, Value> {
        let mut made = Map::new();
        let required = schema["required"].as_array().cloned().unwrap_or_default();
        // The schema of these cannot say which of their members are needed.
        let all = operation.path == "/v1/oauth/token";
        for (name, member) in schema["properties"].as_object().into_iter().flatten() {
            let needed = all || required.iter().any(|one| one == name);
            let sent = match care {
                Care::Good => needed,
                Care::Any => self.chance(if needed { 0.96 } else { 0.4 }),
            };
            if !sent {
                continue;
            }
            let value = match care {
                Care::Good => self.good(document, operation, name, member, path, care),
                Care::Any => self.value(document, operation, name, member, path),
            };
            made.insert(name.clone(), value);
        }
        if care == Care::Any && self.chance(0.03) {
            made.insert(self.pick(&["extra", "", "__proto__"]).to_string(), json!(1));
        }
        made
    }

    fn value(
        &mut self,
        document: &Document,
        operation: &Operation,
        name: &str,
        schema: &Value,
        path: &str,
    ) -> Value {
        match self.chance(0.12) {
            true => self.noise(),
            false => self.good(document, operation, name, schema, path, Care::Any),
        }
    }

    fn noise(&mut self) -> Value {
        let texts = [
            "",
            " ",
            "0",
            "-1",
            "1e9",
            "NaN",
            "null",
            "0x",
            "../..",
            "%2e%2e",
            "😀",
            "\0",
            "a\0b",
            "\u{7f}",
            "\u{feff}",
            "<script>",
            "'; DROP TABLE jobs; --",
            "18446744073709551616",
            "9223372036854775808",
            "0.0000001",
            "0x0000000000000000000000000000000000000000",
            "9999-99-99",
            "+275760-09-13T00:00:00Z",
            "-0001-01-01",
            "http://[",
            "ftp://a",
            "https://user:pw@localhost:1/",
        ];
        match self.rng.random_range(0..12) {
            0 => Value::Null,
            1 => json!(-1),
            2 => json!(0),
            3 => json!(1.5),
            4 => json!(u64::MAX),
            5 => json!([]),
            6 => json!({}),
            7 => json!("a".repeat(300)),
            8 => json!(true),
            _ => json!(self.pick(&texts)),
        }
    }

    /// What a name usually means there.
    fn good(
        &mut self,
        document: &Document,
        operation: &Operation,
        name: &str,
        schema: &Value,
        path: &str,
        care: Care,
    ) -> Value {
        let number: u32 = self.rng.random_range(1..=4);
        let kind = kind_at(&operation.path);
        match name {
            "Idempotency-Key" => json!(self.fresh()),
            "id" if kind.is_some() => json!(self.id(kind.unwrap_or_default())),
            "cursor" if kind.is_some() => json!(self.id(kind.unwrap_or_default())),
            "programme" => json!("airline"),
            "member" => self.member(operation, care),
            "miles" => json!(number.to_string()),
            "quote_id" => {
                // Each is good once.
                let newest = self.ids.get_mut("quote").and_then(VecDeque::pop_back);
                json!(newest.unwrap_or_else(|| self.id("quote")))
            }
            "receiver" => json!(RECEIVER),
            "reference" => json!(self.fresh()),
            "consent" => json!("terms-2026-11"),
            "why" | "evidence" | "note" | "description" => json!("because"),
            "transaction_hash" => json!(payment(&part(path, "/v1/top-ups/").unwrap_or_default())),
            "basis" => json!(self.pick(&["market", "average"])),
            "points" => json!(self.pick(&["100", "0.5", "12.345678"])),
            "since" | "created_from" => json!("2026-01-01T00:00:00Z"),
            "created_to" => json!("2040-01-01T00:00:00Z"),
            "from" => json!("2026-11-01"),
            "to" => json!("2026-11-30"),
            "webhook_id" => json!(self.id("whk")),
            "secret" if operation.path.starts_with("/v1/listeners") => json!("a-guess"),
            "secret" => {
                let id = part(path, "/v1/webhooks/").unwrap_or_default();
                json!(self.secrets.get(&id).cloned().unwrap_or_default())
            }
            "overlap_hours" => json!(number),
            "url" => json!(self.sink),
            "event_types" => json!(self.pick(&[
                vec![],
                vec!["conversion.completed"],
                vec!["webhook.test", "top_up.paid"]
            ])),
            "public_key" => json!(STANDARD.encode(Sha256::digest(last(path)))),
            "required" => json!(false),
            "action" => json!("close"),
            "entries" => json!([]),
            "role" => json!("viewer"),
            "name" if operation.path.contains("/signing-keys") => json!(format!("till-{number}")),
            // Of the others one was made; those who do the work keep their keys.
            "name" if operation.method == "POST" && operation.path.ends_with("/operators") => {
                json!(self.fresh())
            }
            "name" => json!(format!("{}-made", self.name)),
            "day" => json!(DAY),
            "decision" => json!(self.pick(&["approve", "reject"])),
            "advance_seconds" => json!(number),
            "grant_type" => json!("client_credentials"),
            "client_id" => json!(self.client.0),
            "client_secret" => json!(self.client.1),
            "scope" => json!("conversions:read"),
            "before" | "limit" => json!(number),
            _ => self.any(document, operation, schema, path, care),
        }
    }

    /// By the schema alone.
    fn any(
        &mut self,
        document: &Document,
        operation: &Operation,
        schema: &Value,
        path: &str,
        care: Care,
    ) -> Value {
        let schema = document.resolve(schema);
        if let Some(one) = schema["enum"].as_array() {
            return self.pick(one).clone();
        }
        let kinds = match &schema["type"] {
            Value::Array(kinds) => kinds.clone(),
            one => vec![one.clone()],
        };
        match self.pick(&kinds).as_str().unwrap_or_default() {
            "null" => Value::Null,
            "boolean" => json!(self.rng.random_bool(0.5)),
            "integer" => json!(self.pick(&[0, 1, 20, 100, 101, i64::from(i32::MAX), i64::MAX])),
            "array" => json!([]),
            "object" => Value::Object(self.object(document, operation, schema, path, care)),
            _ => match schema["examples"].as_array() {
                Some(examples) if !examples.is_empty() => self.pick(examples).clone(),
                _ => json!("text"),
            },
        }
    }

    fn member(&mut self, operation: &Operation, care: Care) -> Value {
        // Links are made with a login.
        if care == Care::Any && operation.path != "/v1/members" && self.chance(0.3) {
            return json!({ "id": self.id("mem") });
        }
        // The newest quote is for who was quoted last.
        if operation.path == "/v1/quotes" || care == Care::Any && self.chance(0.2) {
            let at = [0, 0, 0, 1, 2];
            self.quoted = *self.pick(&at);
        }
        let (login, password) = match operation.path.as_str() {
            "/v1/members" => MEMBERS[0],
            _ => MEMBERS[self.quoted],
        };
        json!({ "login": login, "password": password })
    }
}

/// The hash of the transaction that pays a top-up.
pub fn payment(top_up: &str) -> String {
    format!(
        "0x{}",
        mileverse_gateway::keys::hex(&Sha256::digest(top_up))
    )
}

/// What ids at a path begin with.
fn kind_at(path: &str) -> Option<&'static str> {
    [
        ("/v1/conversions", "conv"),
        ("/v1/members", "mem"),
        ("/v1/withdrawals", "wdr"),
        ("/v1/webhooks/{id}/deliveries", "whk"),
        ("/v1/webhooks", "whk"),
        ("/v1/events", "evt"),
        ("/v1/top-ups", "top"),
        ("/v1/operator/cases", "case"),
        ("/v1/operator/actions", "act"),
        ("/v1/operator/reconciliations", "rec"),
    ]
    .into_iter()
    .find_map(|(start, kind)| path.starts_with(start).then_some(kind))
}

/// The part of a path right after this.
fn part(path: &str, start: &str) -> Option<String> {
    let rest = path.split('?').next()?.strip_prefix(start)?;
    rest.split('/').next().map(ToOwned::to_owned)
}

fn last(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or_default()
}

fn encoded(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
    text.bytes()
        .map(|byte| match plain(byte) {
            true => char::from(byte).to_string(),
            false => format!("%{byte:02X}"),
        })
        .collect()
}
