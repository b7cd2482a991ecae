//! A request's parameters, read one after another, with geth's words for what is wrong.

use crate::failure;
use jsonrpsee::types::{ErrorObjectOwned, Params};
use serde::de::DeserializeOwned;
use serde_json::Value;

/// Parameters not read yet.
pub struct Arguments {
    values: std::vec::IntoIter<Value>,
    at: usize,
}

impl Arguments {
    /// The parameters of a request: an array, or none at all.
    pub fn of(params: &Params<'_>) -> Result<Self, ErrorObjectOwned> {
        let values = match params.as_str() {
            None => Vec::new(),
            Some(text) => match serde_json::from_str(text) {
                Ok(Value::Array(values)) => values,
                Ok(Value::Null) => Vec::new(),
                _ => return Err(failure::invalid("non-array args")),
            },
        };
        Ok(Self {
            values: values.into_iter(),
            at: 0,
        })
    }

    /// The next one, which must be there.
    pub fn next<T: DeserializeOwned>(&mut self) -> Result<T, ErrorObjectOwned> {
        let at = self.at;
        self.optional()?
            .ok_or_else(|| failure::invalid(format!("missing value for required argument {at}")))
    }

    /// The next one, if it is there and not null.
    pub fn optional<T: DeserializeOwned>(&mut self) -> Result<Option<T>, ErrorObjectOwned> {
        let at = self.at;
        self.at = at.saturating_add(1);
        match self.values.next() {
            None | Some(Value::Null) => Ok(None),
            Some(value) => serde_json::from_value(value)
                .map(Some)
                .map_err(|error| failure::invalid(format!("invalid argument {at}: {error}"))),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use mileverse_primitives::Address;

    fn arguments(text: &'static str) -> Result<Arguments, ErrorObjectOwned> {
        Arguments::of(&Params::new(Some(text)))
    }

    #[test]
    fn refusals_are_geths() {
        let mut given = arguments(r#"["0x12", null, 7]"#).unwrap();
        let wrong = given.next::<Address>().unwrap_err();
        assert_eq!(wrong.code(), -32602);
        assert!(wrong.message().starts_with("invalid argument 0: "));
        assert_eq!(given.optional::<u64>().unwrap(), None);
        assert_eq!(given.next::<u64>().unwrap(), 7);
        let missing = given.next::<u64>().unwrap_err();
        assert_eq!(missing.message(), "missing value for required argument 3");
        assert_eq!(
            arguments(r#"{"a":1}"#).err().unwrap().message(),
            "non-array args"
        );
        assert!(Arguments::of(&Params::new(None)).is_ok());
    }
}
