//! A JSON value that matches no documented alternative, and the choice between alternatives.

use std::fmt;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

/// A JSON value that matches none of the documented alternatives. The value is kept so that the
/// data in a new alternative is not lost.
#[derive(Clone, PartialEq)]
pub struct RawJson(Value);

impl RawJson {
    /// Reads the value as `T`.
    ///
    /// # Errors
    ///
    /// Returns an error if the value does not match `T`. The error does not contain the value.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, InvalidJson> {
        // Some types can only be read from text.
        serde_json::from_str(&self.to_text()).map_err(|_| InvalidJson)
    }

    /// Returns the value as JSON text, which may contain a secret.
    pub fn to_text(&self) -> String {
        self.0.to_string()
    }

    /// Returns whether the value is a JSON object. serde would also read a struct from an array.
    #[doc(hidden)]
    pub fn is_object(&self) -> bool {
        self.0.is_object()
    }

    /// Returns the indexes of the alternatives that the value can match, in the order in which they
    /// must be tried. `alternatives` contains the fields of each alternative, or `None` for an
    /// alternative that is not a struct.
    ///
    /// The alternative that has the most fields in common with the value comes first. Otherwise, an
    /// alternative whose fields are all optional could match any object first, and the fields that
    /// belong to another alternative would be lost.
    #[doc(hidden)]
    pub fn by_fields(&self, alternatives: &[Option<&[&str]>]) -> Vec<usize> {
        let count = |fields: &Option<&[&str]>| {
            let fields = fields.unwrap_or_default();
            fields.iter().filter(|field| self.0.get(field).is_some()).count()
        };
        let possible = alternatives.iter().enumerate().filter(|(_, fields)| fields.is_none() || self.is_object());
        let mut counted: Vec<(usize, usize)> = possible.map(|(index, fields)| (index, count(fields))).collect();
        counted.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        counted.into_iter().map(|(index, _)| index).collect()
    }

    /// Returns the value of the property that identifies the alternative.
    #[doc(hidden)]
    pub fn tag(&self, property: &str) -> Option<&str> {
        self.0.get(property)?.as_str()
    }
}

/// Omits the value.
impl fmt::Debug for RawJson {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RawJson([redacted])")
    }
}

impl<'de> Deserialize<'de> for RawJson {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Value::deserialize(deserializer).map(Self)
    }
}

impl Serialize for RawJson {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

/// The error returned if a [`RawJson`] does not match a type. The error does not contain the value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidJson;

impl fmt::Display for InvalidJson {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the JSON value does not match the requested type")
    }
}

impl std::error::Error for InvalidJson {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_output_does_not_contain_the_value() {
        let raw: RawJson = serde_json::from_str(r#"{"kind":"new","token":"canary"}"#).unwrap();
        assert_eq!(raw.tag("kind"), Some("new"));
        assert!(!format!("{raw:?}").contains("canary"));
        assert!(raw.read::<Vec<u8>>().is_err());
        assert!(raw.to_text().contains("canary"));
    }

    #[test]
    fn the_alternative_with_the_most_fields_is_tried_first() {
        let person: Option<&[&str]> = Some(&["name", "born"]);
        let company: Option<&[&str]> = Some(&["name", "number"]);
        for (value, order) in [
            (r#"{"name":"n"}"#, vec![0, 1, 2]),
            (r#"{"name":"n","number":"7"}"#, vec![1, 0, 2]),
            ("{}", vec![0, 1, 2]),
            (r#"["a","b"]"#, vec![2]),
            ("null", vec![2]),
        ] {
            let raw: RawJson = serde_json::from_str(value).unwrap();
            assert_eq!(raw.by_fields(&[person, company, None]), order, "{value}");
        }
    }
}
