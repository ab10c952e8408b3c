//! Reads the fields of JSON objects.

use serde_json::Value;

use super::wrong;
use crate::error::Error;

/// The fields of a JSON object of a file `place`.
pub struct Fields<'a> {
    pub json: &'a Value,
    pub place: &'a str,
}

impl Fields<'_> {
    /// A size.
    pub fn number(&self, key: &str) -> Result<usize, Error> {
        self.optional(key)?.ok_or_else(|| self.wrong(format!("{key} is missing")))
    }

    /// A size that may be missing.
    pub fn optional(&self, key: &str) -> Result<Option<usize>, Error> {
        match &self.json[key] {
            Value::Null => Ok(None),
            value => match value.as_u64().and_then(|number| usize::try_from(number).ok()) {
                Some(number) => Ok(Some(number)),
                None => Err(self.wrong(format!("{key} is {value}, not a size"))),
            },
        }
    }

    /// A number that may be missing.
    pub fn real(&self, key: &str, json: &Value) -> Result<Option<f32>, Error> {
        match &json[key] {
            Value::Null => Ok(None),
            value => match value.as_f64() {
                Some(number) => Ok(Some(number as f32)),
                None => Err(self.wrong(format!("{key} is {value}, not a number"))),
            },
        }
    }

    /// The error for a field with a value that it can't have.
    pub fn wrong(&self, what: impl std::fmt::Display) -> Error {
        wrong(self.place, what)
    }
}
