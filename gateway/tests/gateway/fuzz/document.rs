//! The API's document: which operations there are, and whether an answer is one of those that it
//! promises. It knows the words that the document uses and fails at any other, so that nothing is
//! promised that is not checked.

use serde_json::Value;
use std::collections::BTreeSet;

pub const METHODS: [&str; 5] = ["get", "post", "put", "patch", "delete"];

#[derive(Clone, Debug)]
pub struct Operation {
    /// `POST /v1/quotes`
    pub name: String,
    pub method: String,
    pub path: String,
    /// `api_key` or `operator_key`, if a key is asked for.
    pub key: Option<String>,
    pub parameters: Vec<Value>,
    /// Media type and schema.
    pub body: Option<(String, Value)>,
    responses: Value,
}

pub struct Document(pub Value);

impl Document {
    pub fn operations(&self) -> Vec<Operation> {
        let mut all = Vec::new();
        for (path, methods) in self.0["paths"].as_object().unwrap() {
            for (method, operation) in methods.as_object().unwrap() {
                assert!(METHODS.contains(&method.as_str()), "{method} {path}");
                let body = operation["requestBody"]["content"].as_object();
                let body = body.and_then(|content| content.iter().next());
                let key = operation["security"][0].as_object();
                all.push(Operation {
                    name: format!("{} {path}", method.to_uppercase()),
                    method: method.to_uppercase(),
                    path: path.clone(),
                    key: key.and_then(|key| key.keys().next().cloned()),
                    parameters: operation["parameters"]
                        .as_array()
                        .cloned()
                        .unwrap_or_default(),
                    body: body.map(|(media, content)| (media.clone(), content["schema"].clone())),
                    responses: operation["responses"].clone(),
                });
            }
        }
        all
    }

    /// The methods that a path takes.
    pub fn methods(&self, path: &str) -> BTreeSet<String> {
        let methods = self.0["paths"][path].as_object().unwrap();
        methods.keys().map(|method| method.to_uppercase()).collect()
    }

    /// What a reference stands for.
    pub fn resolve<'a>(&'a self, value: &'a Value) -> &'a Value {
        match value["$ref"].as_str() {
            Some(reference) => {
                let pointer = reference.strip_prefix('#').unwrap();
                let found = self.0.pointer(pointer);
                self.resolve(found.unwrap_or_else(|| panic!("{reference} leads nowhere")))
            }
            None => value,
        }
    }

    /// Whether an operation may be answered so: the status, the media type, the body.
    pub fn allows(
        &self,
        operation: &Operation,
        status: u16,
        media: Option<&str>,
        body: &[u8],
    ) -> Result<(), String> {
        let promised = &operation.responses[status.to_string()];
        if promised.is_null() {
            return Err(format!("{status} is not documented"));
        }
        let promised = self.resolve(promised);
        let Some(content) = promised["content"].as_object() else {
            return match body.is_empty() {
                true => Ok(()),
                false => Err(format!("{status} is documented without a body")),
            };
        };
        let media = media.unwrap_or_default();
        let Some(content) = content.get(media) else {
            return Err(format!(
                "{status} with the media type {media:?} is not documented"
            ));
        };
        let value = match media.ends_with("json") {
            true => serde_json::from_slice(body).map_err(|error| error.to_string())?,
            false => Value::from(String::from_utf8_lossy(body)),
        };
        self.fits(&content["schema"], &value, true)
            .map_err(|why| format!("{status}: {why}"))
    }

    /// Whether a value is what a schema says. `closed`: an object has no members but those that are
    /// named, though the schema's own language would allow them.
    pub fn fits(&self, schema: &Value, value: &Value, closed: bool) -> Result<(), String> {
        let told = schema.as_object().ok_or("a schema that is no object")?;
        for (word, means) in told {
            let holds = match word.as_str() {
                "description" | "examples" | "title" | "default" => true,
                "$ref" => {
                    self.fits(self.resolve(schema), value, closed)?;
                    true
                }
                "type" => match means {
                    Value::Array(any) => any.iter().any(|one| is_a(one, value)),
                    one => is_a(one, value),
                },
                "enum" => means.as_array().is_some_and(|any| any.contains(value)),
                "format" => match means.as_str() {
                    Some("int32") => within(value, i128::from(i32::MIN), i128::from(i32::MAX)),
                    Some("int64") => within(value, i128::from(i64::MIN), i128::from(i64::MAX)),
                    Some("password") => true,
                    _ => return Err(format!("this test does not know the format {means}")),
                },
                "minimum" => number(value).is_none_or(|found| Some(found) >= number(means)),
                "maximum" => number(value).is_none_or(|found| Some(found) <= number(means)),
                "minLength" => length(value).is_none_or(|found| Some(found) >= means.as_u64()),
                "maxLength" => length(value).is_none_or(|found| Some(found) <= means.as_u64()),
                "required" => value.as_object().is_none_or(|members| {
                    let required = means.as_array().unwrap();
                    required
                        .iter()
                        .all(|name| members.contains_key(name.as_str().unwrap()))
                }),
                "properties" => {
                    for (name, member) in value.as_object().into_iter().flatten() {
                        let known = &means[name];
                        if !known.is_null() {
                            self.fits(known, member, closed)
                                .map_err(|why| format!("{name}: {why}"))?;
                        } else if closed && !told.contains_key("additionalProperties") {
                            return Err(format!("{name:?} is not documented"));
                        }
                    }
                    true
                }
                "additionalProperties" => {
                    let named = |name: &str| !schema["properties"][name].is_null();
                    for (name, member) in value.as_object().into_iter().flatten() {
                        match means {
                            Value::Bool(open) if !named(name) && !open => {
                                return Err(format!("{name:?} is not documented"));
                            }
                            Value::Object(_) if !named(name) => self.fits(means, member, closed)?,
                            _ => {}
                        }
                    }
                    true
                }
                "propertyNames" => {
                    for name in value
                        .as_object()
                        .into_iter()
                        .flatten()
                        .map(|(name, _)| name)
                    {
                        self.fits(means, &Value::from(name.as_str()), closed)?;
                    }
                    true
                }
                "items" => {
                    for (at, item) in value.as_array().into_iter().flatten().enumerate() {
                        self.fits(means, item, closed)
                            .map_err(|why| format!("{at}: {why}"))?;
                    }
                    true
                }
                "oneOf" => {
                    let any = means.as_array().unwrap().iter();
                    any.filter(|one| self.fits(one, value, closed).is_ok())
                        .count()
                        == 1
                }
                // What one part does not name another may.
                "allOf" => {
                    for part in means.as_array().unwrap() {
                        self.fits(part, value, false)?;
                    }
                    true
                }
                _ => return Err(format!("this test does not know the word {word:?}")),
            };
            if !holds {
                return Err(format!("{value} against {word:?} {means}"));
            }
        }
        Ok(())
    }
}

fn is_a(kind: &Value, value: &Value) -> bool {
    match kind.as_str().unwrap() {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => number(value).is_some(),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        other => panic!("this test does not know the type {other:?}"),
    }
}

fn number(value: &Value) -> Option<i128> {
    value
        .as_i64()
        .map(i128::from)
        .or_else(|| value.as_u64().map(i128::from))
}

fn within(value: &Value, least: i128, most: i128) -> bool {
    number(value).is_none_or(|found| (least..=most).contains(&found))
}

fn length(value: &Value) -> Option<u64> {
    value.as_str().map(|text| text.chars().count() as u64)
}

#[test]
fn an_answer_that_is_not_promised_is_found_out() {
    let document = Document(serde_json::json!({
        "paths": { "/a": { "get": { "responses": { "200": { "content": { "application/json": {
            "schema": { "$ref": "#/components/schemas/A" } } } }, "204": {} } } } },
        "components": { "schemas": {
            "A": {
                "type": "object",
                "required": ["n"],
                "properties": {
                    "n": { "type": ["integer", "null"], "format": "int32", "minimum": 0 },
                    "l": { "type": "array", "items": { "oneOf": [{ "type": "null" }, { "type": "string", "maxLength": 2 }] } },
                    "m": { "type": "object", "additionalProperties": { "type": "boolean" } },
                    "open": { "allOf": [{ "type": "object" }, { "type": "object", "properties": { "x": { "type": "string" } } }] },
                },
            },
        } },
    }));
    let operation = document.operations().remove(0);
    let json = Some("application/json");
    let try_it =
        |status, media, body: &str| document.allows(&operation, status, media, body.as_bytes());
    for good in [
        r#"{"n":1}"#,
        r#"{"n":null,"l":[null,"ab"],"m":{"z":true},"open":{"x":"","y":1}}"#,
    ] {
        assert_eq!(try_it(200, json, good), Ok(()), "{good}");
    }
    assert_eq!(try_it(204, None, ""), Ok(()));
    for (status, media, bad) in [
        (200, json, "{}"),
        (200, json, r#"{"n":"1"}"#),
        (200, json, r#"{"n":-1}"#),
        (200, json, r#"{"n":1.5}"#),
        (200, json, r#"{"n":2147483648}"#),
        (200, json, r#"{"n":1,"more":1}"#),
        (200, json, r#"{"n":1,"l":["abc"]}"#),
        (200, json, r#"{"n":1,"l":[1]}"#),
        (200, json, r#"{"n":1,"m":{"z":1}}"#),
        (200, json, r#"{"n":1,"open":{"x":1}}"#),
        (200, json, "{"),
        (200, Some("text/plain"), r#"{"n":1}"#),
        (200, None, r#"{"n":1}"#),
        (204, None, "x"),
        (201, json, r#"{"n":1}"#),
    ] {
        assert!(
            try_it(status, media, bad).is_err(),
            "{status} {media:?} {bad}"
        );
    }
}
