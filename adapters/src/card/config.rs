//! The card issuer's configuration file.
//!
//! ```toml
//! address = "issuer.example:9002"        # host and port
//! institution = "99001"                  # field 32: who the gateway is, up to 11 digits
//! terminal = "MILEVRS1"                  # field 41, up to 8 characters; optional
//! acceptor = "MILEVERSE"                 # field 42, up to 15 characters; optional
//! unit = "999"                           # field 49: what the amounts count; optional
//! table_file = "iso8583-ascii.toml"      # the field table
//! mac = "x9.19"                          # or "hmac-sha-256", or "none"
//! mac_key_file = "card.mac"              # hex; not with "none"
//! pin_key_file = "card.pin"              # 32 hex digits
//! timeout_milliseconds = 5000            # optional: one call
//! visibility_milliseconds = 30000        # optional: how long "not found" proves nothing
//! echo_seconds = 30                      # optional: idle time before an echo
//! in_flight = 256                        # optional: most requests without an answer, 1 to 4096
//! reconnect_first_milliseconds = 100     # optional: doubled after each try …
//! reconnect_longest_milliseconds = 30000 # … up to this
//! debit = "0200"                         # optional: or "0100"
//! reversal = "advice"                    # optional: 0420, or "request", 0400
//! repeats = 2                            # optional: times a reversal is said again in one call, 0 to 10
//!
//! [processing]                           # optional, as is each of its fields: field 3
//! authenticate = "380000"
//! balance = "310000"
//! debit = "000000"
//! inquire = "920000"
//!
//! [codes]                                # optional, as is each of its fields: field 39
//! done = ["00"]
//! insufficient_miles = ["51"]
//! account_blocked = ["04", "36", "41", "43", "62"]
//! reversed = ["R1"]
//! member_refused = ["14", "55", "75"]
//! not_found = ["25"]
//! not_reversible = ["21"]
//! gateway_refused = ["58", "63"]
//! ```
//!
//! A response code in none of the lists is unknown, and stays so.

use super::link::LinkConfig;
use crate::Refusal;
use crate::settings::{SettingsError, SettingsFile};
use mileverse_iso8583::{Codec, MacKey, Mti, PinKey, Table, number};
use secrecy::ExposeSecret;
use serde::Deserialize;
use std::collections::HashMap;
use std::path::PathBuf;
use std::time::Duration;

/// Everything the card adapter runs on.
#[derive(Clone, Debug)]
pub struct CardConfig {
    /// The connection.
    pub(super) link: LinkConfig,
    /// What each request says.
    pub(super) terms: Terms,
    /// For PIN blocks.
    pub(super) pin_key: PinKey,
    /// How long one call may take.
    pub(super) timeout: Duration,
    /// How long "not found" proves nothing.
    pub(super) visibility_window: Duration,
}

/// What requests say, and what answers mean.
#[derive(Clone, Debug)]
pub(super) struct Terms {
    pub terminal: String,
    pub acceptor: String,
    pub unit: String,
    pub institution: String,
    pub debit: Mti,
    pub reversal: Mti,
    pub repeats: u32,
    pub processing: Processing,
    pub codes: HashMap<String, Code>,
}

/// What a response code means.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Code {
    Done,
    InsufficientMiles,
    AccountBlocked,
    Reversed,
    MemberRefused,
    NotFound,
    NotReversible,
    GatewayRefused,
}

impl Code {
    /// Why a debit with this code was refused, if it was.
    pub const fn refusal(self) -> Option<Refusal> {
        match self {
            Self::InsufficientMiles => Some(Refusal::InsufficientMiles),
            Self::AccountBlocked => Some(Refusal::AccountBlocked),
            Self::Reversed => Some(Refusal::Reversed),
            _ => None,
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CardFile {
    address: String,
    institution: String,
    terminal: Option<String>,
    acceptor: Option<String>,
    unit: Option<String>,
    table_file: PathBuf,
    mac: MacName,
    mac_key_file: Option<PathBuf>,
    pin_key_file: PathBuf,
    timeout_milliseconds: Option<u64>,
    visibility_milliseconds: Option<u64>,
    echo_seconds: Option<u64>,
    in_flight: Option<usize>,
    reconnect_first_milliseconds: Option<u64>,
    reconnect_longest_milliseconds: Option<u64>,
    debit: Option<String>,
    reversal: Option<ReversalName>,
    repeats: Option<u32>,
    #[serde(default)]
    processing: Processing,
    #[serde(default)]
    codes: CodesFile,
}

#[derive(Deserialize)]
enum MacName {
    #[serde(rename = "none")]
    None,
    #[serde(rename = "x9.19")]
    Retail,
    #[serde(rename = "hmac-sha-256")]
    Hmac,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum ReversalName {
    Advice,
    Request,
}

/// Processing codes, field 3.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Processing {
    pub authenticate: String,
    pub balance: String,
    pub debit: String,
    pub inquire: String,
}

impl Default for Processing {
    fn default() -> Self {
        Self {
            authenticate: "380000".to_owned(),
            balance: "310000".to_owned(),
            debit: "000000".to_owned(),
            inquire: "920000".to_owned(),
        }
    }
}

#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
struct CodesFile {
    done: Vec<String>,
    insufficient_miles: Vec<String>,
    account_blocked: Vec<String>,
    reversed: Vec<String>,
    member_refused: Vec<String>,
    not_found: Vec<String>,
    not_reversible: Vec<String>,
    gateway_refused: Vec<String>,
}

impl Default for CodesFile {
    fn default() -> Self {
        let list = |codes: &[&str]| codes.iter().map(|code| (*code).to_owned()).collect();
        Self {
            done: list(&["00"]),
            insufficient_miles: list(&["51"]),
            account_blocked: list(&["04", "36", "41", "43", "62"]),
            reversed: list(&["R1"]),
            member_refused: list(&["14", "55", "75"]),
            not_found: list(&["25"]),
            not_reversible: list(&["21"]),
            gateway_refused: list(&["58", "63"]),
        }
    }
}

impl CodesFile {
    fn check(self, file: &SettingsFile) -> Result<HashMap<String, Code>, SettingsError> {
        let lists = [
            ("codes.done", self.done, Code::Done),
            (
                "codes.insufficient_miles",
                self.insufficient_miles,
                Code::InsufficientMiles,
            ),
            (
                "codes.account_blocked",
                self.account_blocked,
                Code::AccountBlocked,
            ),
            ("codes.reversed", self.reversed, Code::Reversed),
            (
                "codes.member_refused",
                self.member_refused,
                Code::MemberRefused,
            ),
            ("codes.not_found", self.not_found, Code::NotFound),
            (
                "codes.not_reversible",
                self.not_reversible,
                Code::NotReversible,
            ),
            (
                "codes.gateway_refused",
                self.gateway_refused,
                Code::GatewayRefused,
            ),
        ];
        let mut codes = HashMap::new();
        for (field, list, meaning) in lists {
            for code in list {
                let plain =
                    code.len() == 2 && code.bytes().all(|byte| byte.is_ascii_alphanumeric());
                if !plain {
                    return Err(file.wrong(
                        field,
                        format!("has {code:?}; a code is two letters or digits"),
                    ));
                }
                if codes.insert(code.clone(), meaning).is_some() {
                    return Err(file.wrong(field, format!("has {code:?}, which stands twice")));
                }
            }
        }
        Ok(codes)
    }
}

/// The fields that requests and answers need, and so the table must have.
const NEEDED: [u8; 17] = [
    number::CARD,
    number::PROCESSING,
    number::AMOUNT,
    number::TRANSMITTED,
    number::TRACE,
    number::INSTITUTION,
    number::RETRIEVAL,
    number::RESPONSE,
    number::TERMINAL,
    number::ACCEPTOR,
    number::ADDITIONAL,
    number::UNIT,
    number::PIN,
    number::BALANCES,
    number::NETWORK,
    number::ORIGINAL,
    number::ACCOUNT,
];

impl CardConfig {
    pub(crate) fn read(file: &SettingsFile) -> Result<Self, SettingsError> {
        let card: CardFile = file.parse()?;
        let text = |field: &str, text: String, most: usize, digits: bool| {
            let good = |byte: u8| {
                if digits {
                    byte.is_ascii_digit()
                } else {
                    matches!(byte, 0x20..=0x7e)
                }
            };
            if text.is_empty() || text.len() > most || !text.bytes().all(good) {
                let what = if digits {
                    "digits"
                } else {
                    "printable ASCII characters"
                };
                return Err(file.wrong(field, format!("must be 1 to {most} {what}")));
            }
            Ok(text)
        };
        let table = Table::parse(&file.text_of(&card.table_file)?)
            .map_err(|error| file.wrong("table_file", format!("cannot be used: {error}")))?;
        let key = |field: &str, path: Option<&PathBuf>| {
            let path = path.ok_or_else(|| file.wrong(field, "is missing"))?;
            file.secret(path)
        };
        let mac = match card.mac {
            MacName::None if card.mac_key_file.is_some() => {
                return Err(file.wrong("mac_key_file", "is given, but mac is \"none\""));
            }
            MacName::None => None,
            MacName::Retail => Some(MacKey::retail(
                key("mac_key_file", card.mac_key_file.as_ref())?.expose_secret(),
            )),
            MacName::Hmac => Some(MacKey::hmac(
                key("mac_key_file", card.mac_key_file.as_ref())?.expose_secret(),
            )),
        };
        let bad_key = |field: &'static str| {
            move |error: mileverse_iso8583::KeyError| {
                file.wrong(field, format!("cannot be used: {error}"))
            }
        };
        let mac = mac.transpose().map_err(bad_key("mac_key_file"))?;
        for needed in NEEDED.iter().chain(mac.iter().flat_map(|_| &[64, 128])) {
            if table.field(*needed).is_none() {
                return Err(file.wrong(
                    "table_file",
                    format!("has no field {needed}, which is needed"),
                ));
            }
        }
        let pin_key = PinKey::new(file.secret(&card.pin_key_file)?.expose_secret())
            .map_err(bad_key("pin_key_file"))?;
        let timeout = file.milliseconds(
            "timeout_milliseconds",
            card.timeout_milliseconds,
            Duration::from_secs(5),
        )?;
        let in_flight = card.in_flight.unwrap_or(256);
        if !(1..=4096).contains(&in_flight) {
            return Err(file.wrong("in_flight", "must be between 1 and 4096"));
        }
        let repeats = card.repeats.unwrap_or(2);
        if repeats > 10 {
            return Err(file.wrong("repeats", "must be 10 at most"));
        }
        let debit = match card.debit.as_deref() {
            None | Some("0200") => Mti::FINANCIAL,
            Some("0100") => Mti::AUTHORIZATION,
            Some(_) => return Err(file.wrong("debit", "must be \"0200\" or \"0100\"")),
        };
        let processing = card.processing;
        for (field, code) in [
            ("processing.authenticate", &processing.authenticate),
            ("processing.balance", &processing.balance),
            ("processing.debit", &processing.debit),
            ("processing.inquire", &processing.inquire),
        ] {
            if code.len() != 6 || !code.bytes().all(|byte| byte.is_ascii_digit()) {
                return Err(file.wrong(field, "must be six digits"));
            }
        }
        if !card.address.contains(':') {
            return Err(file.wrong(
                "address",
                "must be a host and a port, such as issuer.example:9002",
            ));
        }
        let institution = text("institution", card.institution, 11, true)?;
        let unit = text(
            "unit",
            card.unit.unwrap_or_else(|| "999".to_owned()),
            3,
            true,
        )?;
        if unit.len() != 3 {
            return Err(file.wrong("unit", "must be three digits"));
        }
        let terminal = text(
            "terminal",
            card.terminal.unwrap_or_else(|| "MILEVRS1".to_owned()),
            8,
            false,
        )?;
        let acceptor = text(
            "acceptor",
            card.acceptor.unwrap_or_else(|| "MILEVERSE".to_owned()),
            15,
            false,
        )?;
        let first = file.milliseconds(
            "reconnect_first_milliseconds",
            card.reconnect_first_milliseconds,
            Duration::from_millis(100),
        )?;
        let longest = file.milliseconds(
            "reconnect_longest_milliseconds",
            card.reconnect_longest_milliseconds,
            Duration::from_secs(30),
        )?;
        let echo = card
            .echo_seconds
            .map(|seconds| seconds.saturating_mul(1000));
        Ok(Self {
            link: LinkConfig {
                address: card.address,
                codec: Codec::new(table, mac),
                institution: institution.clone(),
                timeout,
                echo: file.milliseconds("echo_seconds", echo, Duration::from_secs(30))?,
                in_flight,
                reconnect_first: first.min(longest),
                reconnect_longest: longest,
            },
            terms: Terms {
                terminal: format!("{terminal:<8}"),
                acceptor: format!("{acceptor:<15}"),
                unit,
                institution,
                debit,
                reversal: match card.reversal {
                    None | Some(ReversalName::Advice) => Mti::REVERSAL_ADVICE,
                    Some(ReversalName::Request) => Mti::REVERSAL,
                },
                repeats,
                processing,
                codes: card.codes.check(file)?,
            },
            pin_key,
            timeout,
            visibility_window: file.milliseconds(
                "visibility_milliseconds",
                card.visibility_milliseconds,
                Duration::from_secs(30),
            )?,
        })
    }
}
