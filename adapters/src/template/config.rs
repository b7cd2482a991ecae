//! The configuration file of a partner with a plain JSON API.
//!
//! ```toml
//! base_url = "https://shop.example"
//! part_conversion = true                 # optional
//! timeout_milliseconds = 5000            # optional: one call
//! visibility_milliseconds = 30000        # optional: how long "not found" proves nothing
//!
//! [secrets]                              # optional: names, and the files that hold them
//! api_key = "shop.key"
//!
//! [oauth]                                # optional: a bearer token with every call
//! path = "oauth/token"
//! client_id = "mileverse-gateway"
//! client_secret_file = "shop.secret"
//!
//! [headers]                              # optional: with every call
//! x-api-key = "{secret.api_key}"
//!
//! [debit]                                # and so [authenticate], [balance], [inquire], [reverse]
//! method = "POST"
//! path = "api/spends"                    # under the base URL
//! headers = { x-session = "{token}" }    # optional
//! body = { id = "{reference}", customer = "{member}", points = "{miles}" }   # optional
//! read = { reference = "/id", member = "/customer", miles = "/points", partner_reference = "/receipt" }
//!
//! [[debit.answers]]                      # tried in order; what fits none is unknown
//! status = 200
//! when = { "/state" = "done" }           # optional: JSON pointers and what must stand there
//! means = "applied"
//! ```
//!
//! | call | holes | read | meanings |
//! |---|---|---|---|
//! | `authenticate` | login, password | member, token | **accepted**, member_refused, member_blocked, gateway_refused |
//! | `balance` | member, token | miles, member (optional) | **balance**, member_refused, gateway_refused |
//! | `debit` | member, token, reference, miles | reference, member, miles, partner_reference | **applied**, insufficient_miles, account_blocked, reversed |
//! | `inquire` | reference | the same | **applied**, insufficient_miles, account_blocked, reversed, not_found |
//! | `reverse` | reference | reference | **acknowledged**, not_reversible |
//!
//! The meanings in bold are needed, with a status from 200 to 299. Refusals, `not_found` and
//! `not_reversible` need a condition: a bare status may come from anything on the way. `login` and
//! `password` fill holes of bodies only; paths take `member`, `reference` and `miles`. `[inquire]`
//! and `[reverse]` may be left out if the partner cannot do it.

use super::answers::{Duties, Meaning, RuleFile, Rules, pointer};
use super::text::{Body, Hole, Template};
use crate::http::Credentials;
use crate::settings::{SettingsError, SettingsFile};
use reqwest::Method;
use reqwest::header::HeaderName;
use secrecy::SecretString;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;
use url::Url;

/// Most headers of one call, and most secrets.
const MAX_HEADERS: usize = 16;

/// Everything the adapter runs on.
#[derive(Clone, Debug)]
pub struct TemplateConfig {
    pub(super) base_url: Url,
    pub(super) credentials: Credentials,
    pub(super) part_conversion: bool,
    pub(super) timeout: Duration,
    pub(super) visibility_window: Duration,
    pub(super) authenticate: Call,
    pub(super) balance: Call,
    pub(super) debit: Call,
    pub(super) inquire: Option<Call>,
    pub(super) reverse: Option<Call>,
}

/// One call.
#[derive(Clone, Debug)]
pub(super) struct Call {
    pub method: Method,
    pub path: Template,
    pub headers: Vec<(HeaderName, Template)>,
    pub body: Option<Body>,
    pub read: BTreeMap<String, String>,
    pub rules: Rules,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TemplateFile {
    base_url: Url,
    part_conversion: Option<bool>,
    timeout_milliseconds: Option<u64>,
    visibility_milliseconds: Option<u64>,
    #[serde(default)]
    secrets: BTreeMap<String, PathBuf>,
    oauth: Option<OAuthFile>,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    authenticate: CallFile,
    balance: CallFile,
    debit: CallFile,
    inquire: Option<CallFile>,
    reverse: Option<CallFile>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OAuthFile {
    path: String,
    client_id: String,
    client_secret_file: PathBuf,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CallFile {
    method: String,
    path: String,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    body: Option<toml::Value>,
    read: BTreeMap<String, String>,
    answers: Vec<RuleFile>,
}

/// What a call may and must have.
struct Shape {
    name: &'static str,
    holes: &'static [Hole],
    needed: &'static [Hole],
    reads: &'static [&'static str],
    may_read: &'static [&'static str],
    duties: Duties,
}

const DEBIT_REASONS: &[Meaning] = &[
    Meaning::InsufficientMiles,
    Meaning::AccountBlocked,
    Meaning::Reversed,
];
const INQUIRY_REASONS: &[Meaning] = &[
    Meaning::InsufficientMiles,
    Meaning::AccountBlocked,
    Meaning::Reversed,
    Meaning::NotFound,
];
const DEBIT_READS: &[&str] = &["reference", "member", "miles", "partner_reference"];

const AUTHENTICATE: Shape = Shape {
    name: "authenticate",
    holes: &[Hole::Login, Hole::Password],
    needed: &[Hole::Login, Hole::Password],
    reads: &["member", "token"],
    may_read: &[],
    duties: Duties {
        success: &[Meaning::Accepted],
        others: &[
            Meaning::MemberRefused,
            Meaning::MemberBlocked,
            Meaning::GatewayRefused,
        ],
        conditioned: &[],
    },
};
const BALANCE: Shape = Shape {
    name: "balance",
    holes: &[Hole::Member, Hole::Token],
    needed: &[Hole::Token],
    reads: &["miles"],
    may_read: &["member"],
    duties: Duties {
        success: &[Meaning::Balance],
        others: &[Meaning::MemberRefused, Meaning::GatewayRefused],
        conditioned: &[],
    },
};
const DEBIT: Shape = Shape {
    name: "debit",
    holes: &[Hole::Member, Hole::Token, Hole::Reference, Hole::Miles],
    needed: &[Hole::Token, Hole::Reference, Hole::Miles],
    reads: DEBIT_READS,
    may_read: &[],
    duties: Duties {
        success: &[Meaning::Applied],
        others: &[],
        conditioned: DEBIT_REASONS,
    },
};
const INQUIRE: Shape = Shape {
    name: "inquire",
    holes: &[Hole::Reference],
    needed: &[Hole::Reference],
    reads: DEBIT_READS,
    may_read: &[],
    duties: Duties {
        success: &[Meaning::Applied],
        others: &[],
        conditioned: INQUIRY_REASONS,
    },
};
const REVERSE: Shape = Shape {
    name: "reverse",
    holes: &[Hole::Reference],
    needed: &[Hole::Reference],
    reads: &["reference"],
    may_read: &[],
    duties: Duties {
        success: &[Meaning::Acknowledged],
        others: &[],
        conditioned: &[Meaning::NotReversible],
    },
};

/// Reads the file.
pub fn read(file: &SettingsFile) -> Result<TemplateConfig, SettingsError> {
    let template: TemplateFile = file.parse()?;
    if template.secrets.len() > MAX_HEADERS {
        return Err(file.wrong("secrets", format!("has more than {MAX_HEADERS}")));
    }
    let mut secrets = BTreeMap::new();
    for (name, path) in &template.secrets {
        secrets.insert(name.clone(), file.secret(path)?);
    }
    let credentials = match template.oauth {
        Some(oauth) => Credentials::OAuth {
            path: oauth.path.trim_start_matches('/').to_owned(),
            client_id: oauth.client_id,
            client_secret: file.secret(&oauth.client_secret_file)?,
        },
        None => Credentials::Own,
    };
    let common = headers(file, "headers", &template.headers, &[], &secrets)?;
    let call = |shape: &Shape, call: CallFile| check(file, shape, call, &common, &secrets);
    Ok(TemplateConfig {
        base_url: file.http_url("base_url", template.base_url)?,
        credentials,
        part_conversion: template.part_conversion.unwrap_or(true),
        timeout: file.milliseconds(
            "timeout_milliseconds",
            template.timeout_milliseconds,
            Duration::from_secs(5),
        )?,
        visibility_window: file.milliseconds(
            "visibility_milliseconds",
            template.visibility_milliseconds,
            Duration::from_secs(30),
        )?,
        authenticate: call(&AUTHENTICATE, template.authenticate)?,
        balance: call(&BALANCE, template.balance)?,
        debit: call(&DEBIT, template.debit)?,
        inquire: template
            .inquire
            .map(|inquire| call(&INQUIRE, inquire))
            .transpose()?,
        reverse: template
            .reverse
            .map(|reverse| call(&REVERSE, reverse))
            .transpose()?,
    })
}

fn headers(
    file: &SettingsFile,
    field: &str,
    headers: &BTreeMap<String, String>,
    holes: &[Hole],
    secrets: &BTreeMap<String, SecretString>,
) -> Result<Vec<(HeaderName, Template)>, SettingsError> {
    if headers.len() > MAX_HEADERS {
        return Err(file.wrong(field, format!("has more than {MAX_HEADERS}")));
    }
    let mut checked = Vec::new();
    for (name, value) in headers {
        let field = format!("{field}.{name}");
        let name: HeaderName = name
            .parse()
            .map_err(|_| file.wrong(field.as_str(), "is not a header's name"))?;
        let value = Template::parse(value, holes, secrets).map_err(|why| file.wrong(field, why))?;
        checked.push((name, value));
    }
    Ok(checked)
}

fn check(
    file: &SettingsFile,
    shape: &Shape,
    call: CallFile,
    common: &[(HeaderName, Template)],
    secrets: &BTreeMap<String, SecretString>,
) -> Result<Call, SettingsError> {
    let field = |name: &str| format!("{}.{name}", shape.name);
    let method = match call.method.as_str() {
        "GET" => Method::GET,
        "POST" => Method::POST,
        "PUT" => Method::PUT,
        "PATCH" => Method::PATCH,
        "DELETE" => Method::DELETE,
        _ => return Err(file.wrong(field("method"), "must be GET, POST, PUT, PATCH or DELETE")),
    };
    let plain: Vec<Hole> = shape
        .holes
        .iter()
        .copied()
        .filter(|hole| hole.plain())
        .collect();
    let not_secret: Vec<Hole> = shape
        .holes
        .iter()
        .copied()
        .filter(|hole| !matches!(hole, Hole::Login | Hole::Password))
        .collect();
    let path = call.path.trim_start_matches('/');
    // A path with a scheme or a host would lead away from the partner.
    if path.is_empty()
        || path.contains([':', '\\', '#'])
        || path.contains("//")
        || path.split(['/', '?']).any(|part| part == "..")
    {
        return Err(file.wrong(field("path"), "must be a path under the base URL"));
    }
    let path = Template::parse(path, &plain, &BTreeMap::new())
        .map_err(|why| file.wrong(field("path"), why))?;
    let mut all = common.to_vec();
    all.extend(headers(
        file,
        &field("headers"),
        &call.headers,
        &not_secret,
        secrets,
    )?);
    let body = call
        .body
        .map(|body| Body::parse(&body, shape.holes))
        .transpose();
    let body = body.map_err(|why| file.wrong(field("body"), why))?;
    if body.is_some() && method == Method::GET {
        return Err(file.wrong(field("body"), "cannot go with GET"));
    }
    for needed in shape.needed {
        let there = path.has(*needed)
            || all.iter().any(|(_, value)| value.has(*needed))
            || body.as_ref().is_some_and(|body| body.has(*needed));
        if !there {
            let why = format!(
                "has {{{}}} neither in its path nor in its headers nor in its body",
                needed.name()
            );
            return Err(file.wrong(shape.name, why));
        }
    }
    let mut read = BTreeMap::new();
    for (name, place) in call.read {
        if !shape.reads.contains(&name.as_str()) && !shape.may_read.contains(&name.as_str()) {
            let why = format!("reads {name:?}, which this call does not need");
            return Err(file.wrong(field("read"), why));
        }
        let place = pointer(file, &field(&format!("read.{name}")), place)?;
        read.insert(name, place);
    }
    for needed in shape.reads {
        if !read.contains_key(*needed) {
            return Err(file.wrong(field(&format!("read.{needed}")), "is missing"));
        }
    }
    Ok(Call {
        method,
        path,
        headers: all,
        body,
        read,
        rules: Rules::check(file, shape.name, call.answers, &shape.duties)?,
    })
}
