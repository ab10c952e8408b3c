//! Typed access to a configuration in JSON.

use serde_json::Value;

use super::wrong;
use crate::error::Error;

/// The fields of a JSON object of a file `place`.
pub struct Fields<'a> {
    pub json: &'a Value,
    pub place: &'a str,
}

impl Fields<'_> {
    /// A size that must be there.
    pub fn number(&self, key: &str) -> Result<usize, Error> {
        self.optional(key)?.ok_or_else(|| self.wrong(format!("{key} is missing")))
    }

    /// A size.
    pub fn optional(&self, key: &str) -> Result<Option<usize>, Error> {
        match &self.json[key] {
            Value::Null => Ok(None),
            value => match value.as_u64().and_then(|number| usize::try_from(number).ok()) {
                Some(number) => Ok(Some(number)),
                None => Err(self.wrong(format!("{key} is {value}, not a size"))),
            },
        }
    }

    /// A number of the object `json`, which may be a part of this one.
    pub fn real(&self, key: &str, json: &Value) -> Result<Option<f32>, Error> {
        match &json[key] {
            Value::Null => Ok(None),
            value => match value.as_f64() {
                Some(number) => Ok(Some(number as f32)),
                None => Err(self.wrong(format!("{key} is {value}, not a number"))),
            },
        }
    }

    /// The context: at most the window that some layers see, unless `use_sliding_window` is false. So no token of the context
    /// is ever outside of that window.
    pub fn context(&self) -> Result<usize, Error> {
        let positions = self.optional("max_position_embeddings")?.unwrap_or(2048);
        let window = self.optional("sliding_window")?.filter(|_| self.json["use_sliding_window"] != false);
        Ok(window.map_or(positions, |window| positions.min(window)))
    }

    /// An error of this file.
    pub fn wrong(&self, what: impl std::fmt::Display) -> Error {
        wrong(self.place, what)
    }
}
