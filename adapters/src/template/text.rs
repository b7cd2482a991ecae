//! Text with holes: `/spends/{reference}`.
//!
//! A hole is a name in braces. Which names there are depends on the call, and is checked at load. A
//! value never becomes part of a template: it fills a hole of a path, a header or a JSON string,
//! each of which is built by a library that knows its own quoting.

use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Number, Value};
use std::collections::BTreeMap;

/// Longest template, in bytes.
pub const MAX_TEMPLATE_BYTES: usize = 1024;
/// Most values in one body, and how deep they may be.
const MAX_VALUES: usize = 200;
const MAX_DEPTH: usize = 8;

/// What can fill a hole.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Hole {
    Login,
    Password,
    Member,
    Token,
    Reference,
    Miles,
}

impl Hole {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Login => "login",
            Self::Password => "password",
            Self::Member => "member",
            Self::Token => "token",
            Self::Reference => "reference",
            Self::Miles => "miles",
        }
    }

    /// Whether its values are letters, digits, '-', '_' and '.' only, and so safe in a path.
    pub const fn plain(self) -> bool {
        matches!(self, Self::Member | Self::Reference | Self::Miles)
    }
}

/// What fills the holes of one call.
#[derive(Default)]
pub struct Values<'a>(BTreeMap<Hole, &'a str>);

impl<'a> Values<'a> {
    pub fn with(mut self, hole: Hole, value: &'a str) -> Self {
        self.0.insert(hole, value);
        self
    }

    fn get(&self, hole: Hole) -> &str {
        self.0.get(&hole).copied().unwrap_or_default()
    }
}

#[derive(Clone, Debug)]
enum Part {
    Text(String),
    Hole(Hole),
    Secret(SecretString),
}

/// A template that was checked.
#[derive(Clone, Debug)]
pub struct Template(Vec<Part>);

impl Template {
    /// Reads a template whose holes may be these or secrets.
    pub fn parse(
        text: &str,
        holes: &[Hole],
        secrets: &BTreeMap<String, SecretString>,
    ) -> Result<Self, String> {
        if text.len() > MAX_TEMPLATE_BYTES {
            return Err(format!("is longer than {MAX_TEMPLATE_BYTES} bytes"));
        }
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('{') {
            let (name, after) = after
                .split_once('}')
                .ok_or_else(|| "has a '{' without its '}'".to_owned())?;
            literal(before, &mut parts)?;
            parts.push(part(name, holes, secrets)?);
            rest = after;
        }
        literal(rest, &mut parts)?;
        Ok(Self(parts))
    }

    /// With its holes filled.
    pub fn fill(&self, values: &Values<'_>) -> String {
        self.0.iter().fold(String::new(), |mut text, part| {
            match part {
                Part::Text(part) => text.push_str(part),
                Part::Hole(hole) => text.push_str(values.get(*hole)),
                Part::Secret(secret) => text.push_str(secret.expose_secret()),
            }
            text
        })
    }

    pub fn has(&self, hole: Hole) -> bool {
        self.0
            .iter()
            .any(|part| matches!(part, Part::Hole(found) if *found == hole))
    }
}

fn literal(text: &str, parts: &mut Vec<Part>) -> Result<(), String> {
    if text.contains('}') {
        return Err("has a '}' without its '{'".to_owned());
    }
    if !text.is_empty() {
        parts.push(Part::Text(text.to_owned()));
    }
    Ok(())
}

fn part(
    name: &str,
    holes: &[Hole],
    secrets: &BTreeMap<String, SecretString>,
) -> Result<Part, String> {
    if let Some(secret) = name
        .strip_prefix("secret.")
        .and_then(|name| secrets.get(name))
    {
        return Ok(Part::Secret(secret.clone()));
    }
    let hole = holes.iter().find(|hole| hole.name() == name);
    hole.map(|hole| Part::Hole(*hole)).ok_or_else(|| {
        let mut there: Vec<String> = holes.iter().map(|hole| hole.name().to_owned()).collect();
        there.extend(secrets.keys().map(|name| format!("secret.{name}")));
        format!(
            "has {{{name}}}, which cannot stand here; there are: {}",
            there.join(", ")
        )
    })
}

/// A JSON body with templates for its strings.
#[derive(Clone, Debug)]
pub enum Body {
    Fixed(Value),
    Text(Template),
    /// The miles, as a number.
    Miles,
    List(Vec<Body>),
    Table(Vec<(String, Body)>),
}

impl Body {
    /// Reads a body from its TOML.
    pub fn parse(value: &toml::Value, holes: &[Hole]) -> Result<Self, String> {
        let mut left = MAX_VALUES;
        Self::read(value, holes, MAX_DEPTH, &mut left)
    }

    fn read(
        value: &toml::Value,
        holes: &[Hole],
        depth: usize,
        left: &mut usize,
    ) -> Result<Self, String> {
        let depth = depth
            .checked_sub(1)
            .ok_or_else(|| format!("is deeper than {MAX_DEPTH}"))?;
        *left = left
            .checked_sub(1)
            .ok_or_else(|| format!("has more than {MAX_VALUES} values"))?;
        match value {
            toml::Value::String(text) if text == "{miles}" && holes.contains(&Hole::Miles) => {
                Ok(Self::Miles)
            }
            toml::Value::String(text) => {
                Template::parse(text, holes, &BTreeMap::new()).map(Self::Text)
            }
            toml::Value::Integer(number) => Ok(Self::Fixed(Value::from(*number))),
            toml::Value::Boolean(truth) => Ok(Self::Fixed(Value::from(*truth))),
            toml::Value::Array(items) => {
                let items = items
                    .iter()
                    .map(|item| Self::read(item, holes, depth, left));
                items.collect::<Result<_, _>>().map(Self::List)
            }
            toml::Value::Table(table) => {
                let items = table
                    .iter()
                    .map(|(key, item)| Ok((key.clone(), Self::read(item, holes, depth, left)?)));
                items.collect::<Result<_, String>>().map(Self::Table)
            }
            toml::Value::Float(_) | toml::Value::Datetime(_) => {
                Err("has a fraction or a date; write a string or a whole number".to_owned())
            }
        }
    }

    /// With its holes filled. Miles that are no number become null, which no partner takes.
    pub fn fill(&self, values: &Values<'_>) -> Value {
        match self {
            Self::Fixed(value) => value.clone(),
            Self::Text(template) => Value::String(template.fill(values)),
            Self::Miles => {
                let miles: Option<u64> = values.get(Hole::Miles).parse().ok();
                miles.map_or(Value::Null, |miles| Value::Number(Number::from(miles)))
            }
            Self::List(items) => Value::Array(items.iter().map(|item| item.fill(values)).collect()),
            Self::Table(items) => {
                let filled = items
                    .iter()
                    .map(|(key, item)| (key.clone(), item.fill(values)));
                Value::Object(filled.collect::<Map<_, _>>())
            }
        }
    }

    pub fn has(&self, hole: Hole) -> bool {
        match self {
            Self::Fixed(_) => false,
            Self::Text(template) => template.has(hole),
            Self::Miles => hole == Hole::Miles,
            Self::List(items) => items.iter().any(|item| item.has(hole)),
            Self::Table(items) => items.iter().any(|(_, item)| item.has(hole)),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    const ALL: [Hole; 6] = [
        Hole::Login,
        Hole::Password,
        Hole::Member,
        Hole::Token,
        Hole::Reference,
        Hole::Miles,
    ];

    #[test]
    fn holes_are_filled_and_others_refused() {
        let none = BTreeMap::new();
        let secrets = BTreeMap::from([("key".to_owned(), SecretString::from("s3"))]);
        let values = Values::default()
            .with(Hole::Reference, "r1")
            .with(Hole::Miles, "7");
        let filled = |text| Template::parse(text, &ALL, &secrets).unwrap().fill(&values);
        assert_eq!(filled("/a/{reference}?m={miles}"), "/a/r1?m=7");
        assert_eq!(filled("Key {secret.key}"), "Key s3");
        for bad in [
            "{",
            "}",
            "{reference",
            "reference}",
            "{}",
            "{other}",
            "{secret.other}",
            "{{reference}}",
        ] {
            assert!(Template::parse(bad, &ALL, &secrets).is_err(), "{bad}");
        }
        assert!(Template::parse("{login}", &[Hole::Miles], &none).is_err());
        assert!(Template::parse(&"x".repeat(1025), &[], &none).is_err());
    }

    #[test]
    fn miles_alone_are_a_number() {
        let body: toml::Value =
            toml::from_str("a = '{miles}'\nb = 'of {miles}'\nc = [1, true, '{reference}']")
                .unwrap();
        let body = Body::parse(&body, &ALL).unwrap();
        let values = Values::default()
            .with(Hole::Reference, "\"},{")
            .with(Hole::Miles, "7");
        let wanted = serde_json::json!({ "a": 7, "b": "of 7", "c": [1, true, "\"},{"] });
        assert_eq!(body.fill(&values), wanted);
        assert!(body.has(Hole::Miles) && body.has(Hole::Reference) && !body.has(Hole::Token));
        let float: toml::Value = toml::from_str("a = 1.5").unwrap();
        assert!(Body::parse(&float, &[]).is_err());
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]
        /// Whatever a member types stays within its JSON string.
        #[test]
        fn values_never_leave_their_place(login in "\\PC{0,40}", text in "\\PC{0,40}") {
            let body: toml::Value = toml::from_str("a = '{login}'").unwrap();
            let filled = Body::parse(&body, &ALL).unwrap().fill(&Values::default().with(Hole::Login, &login));
            let again: Value = serde_json::from_str(&filled.to_string()).unwrap();
            prop_assert_eq!(again, serde_json::json!({ "a": login }));
            let _ = Template::parse(&text, &ALL, &BTreeMap::new());
        }
    }
}
