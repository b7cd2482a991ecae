//! The signature base (RFC 9421, section 2.5): one line for each covered component, and the
//! parameters last.
//!
//! ```txt
//! "@method": POST
//! "@path": /v1/conversions
//! "content-digest": sha-256=:…:
//! "@signature-params": ("@method" "@path" "content-digest");created=…
//! ```

use super::SignatureError;
use super::fields::SignatureInput;
use http::header;
use http::request::Parts;

/// The bases that the signature may be of: one, or one for each scheme if `@target-uri` is covered.
pub(super) fn bases(input: &SignatureInput, parts: &Parts) -> Result<Vec<String>, SignatureError> {
    let schemes: &[&str] = match input.components.iter().any(|name| name == "@target-uri") {
        true => &["https", "http"],
        false => &["https"],
    };
    schemes
        .iter()
        .map(|scheme| base(input, parts, scheme))
        .collect()
}

fn base(input: &SignatureInput, parts: &Parts, scheme: &str) -> Result<String, SignatureError> {
    let mut text = String::new();
    for (at, name) in input.components.iter().enumerate() {
        let earlier = input.components.iter().take(at);
        if earlier.into_iter().any(|other| other == name) {
            return Err(SignatureError::Coverage(format!(
                "{name:?} is covered twice"
            )));
        }
        let value = component(parts, name, scheme)?;
        text.push_str(&format!("\"{name}\": {value}\n"));
    }
    text.push_str(&format!("\"@signature-params\": {}", input.strict()));
    Ok(text)
}

fn component(parts: &Parts, name: &str, scheme: &str) -> Result<String, SignatureError> {
    let uri = &parts.uri;
    let missing = || {
        SignatureError::Coverage(format!(
            "{name:?} is covered and the request has none of it"
        ))
    };
    let authority = || {
        let host = parts.headers.get(header::HOST);
        let host = host.and_then(|host| host.to_str().ok());
        host.or_else(|| uri.authority().map(|authority| authority.as_str()))
            .map(str::to_ascii_lowercase)
    };
    let target = uri.path_and_query().map_or("/", |target| target.as_str());
    Ok(match name {
        "@method" => parts.method.as_str().to_owned(),
        "@path" => uri.path().to_owned(),
        "@query" => format!("?{}", uri.query().unwrap_or_default()),
        "@request-target" => target.to_owned(),
        "@authority" => authority().ok_or_else(missing)?,
        "@target-uri" => format!("{scheme}://{}{target}", authority().ok_or_else(missing)?),
        other if other.starts_with('@') => {
            return Err(SignatureError::Coverage(format!(
                "{other:?} cannot be covered here; use @method, @target-uri, @authority, @request-target, @path and @query"
            )));
        }
        field if field.bytes().any(|byte| byte.is_ascii_uppercase()) => {
            return Err(SignatureError::Coverage(format!(
                "{field:?} must be in small letters"
            )));
        }
        field => {
            let values: Vec<_> = parts
                .headers
                .get_all(field)
                .iter()
                .map(|value| value.to_str().map(str::trim))
                .collect::<Result<_, _>>()
                .map_err(|_| missing())?;
            if values.is_empty() {
                return Err(missing());
            }
            values.join(", ")
        }
    })
}
