//! Reads a client's configuration from environment variables or from a map, such as a section of a
//! file. Error messages never contain the value of a setting.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, Visitor};

use crate::secret::Secret;

/// The map key and the environment variable for a setting.
pub struct Field {
    pub key: &'static str,
    pub variable: &'static str,
}

/// The error returned if a setting is invalid. `name` is the name of the environment variable or
/// the key in the map.
pub struct InvalidSetting {
    pub name: &'static str,
    pub reason: &'static str,
}

impl fmt::Display for InvalidSetting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "invalid configuration: {} {}", self.name, self.reason)
    }
}

/// The values that the user has set, as text.
pub struct Values {
    texts: BTreeMap<&'static str, Secret>,
    fields: &'static [Field],
    origin: Origin,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Origin {
    Variables,
    Map,
}

impl Values {
    pub fn from_env(fields: &'static [Field]) -> Result<Self, InvalidSetting> {
        let mut texts = BTreeMap::new();
        for Field { key, variable } in fields {
            match std::env::var(variable) {
                Ok(text) => drop(texts.insert(*key, Secret::new(text))),
                Err(std::env::VarError::NotPresent) => {}
                Err(std::env::VarError::NotUnicode(_)) => {
                    return Err(InvalidSetting { name: variable, reason: "must be UTF-8" });
                }
            }
        }
        Ok(Self { texts, fields, origin: Origin::Variables })
    }

    /// Returns the fields of all supported settings.
    pub fn fields(&self) -> &'static [Field] {
        self.fields
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D, fields: &'static [Field]) -> Result<Self, D::Error> {
        // With `deserialize_map`, serde_json's error would quote a value of the wrong type.
        deserializer.deserialize_any(MapVisitor(fields))
    }

    /// Returns the value of a setting, or `None` if the setting is absent. Returns an error if the
    /// value is empty.
    pub fn optional(&self, key: &'static str) -> Result<Option<&str>, InvalidSetting> {
        match self.texts.get(key).map(Secret::expose_secret) {
            Some(text) if text.trim().is_empty() => Err(self.error(key, "must not be empty")),
            text => Ok(text),
        }
    }

    pub fn required(&self, key: &'static str) -> Result<&str, InvalidSetting> {
        self.optional(key)?.ok_or_else(|| self.error(key, "is not set"))
    }

    /// Returns the error for an invalid setting. The error contains the user-facing
    /// [name](Self::name) of the setting.
    pub fn error(&self, key: &'static str, reason: &'static str) -> InvalidSetting {
        InvalidSetting { name: self.name(key), reason }
    }

    pub fn seconds(&self, key: &'static str) -> Result<Option<Duration>, InvalidSetting> {
        let Some(text) = self.optional(key)? else { return Ok(None) };
        match text.parse() {
            Ok(seconds @ 1..) => Ok(Some(Duration::from_secs(seconds))),
            _ => Err(self.error(key, "must be a whole number of seconds, at least 1")),
        }
    }

    /// Reads the file whose path is the value of a setting.
    pub fn file(&self, key: &'static str) -> Result<Option<Secret>, InvalidSetting> {
        let Some(path) = self.optional(key)? else { return Ok(None) };
        match std::fs::read_to_string(path) {
            Ok(text) => Ok(Some(Secret::new(text))),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                Err(self.error(key, "names a file that does not exist"))
            }
            Err(_) => Err(self.error(key, "names a file that cannot be read as text")),
        }
    }

    /// Reads a client certificate and its private key from the files that `client_certificate` and
    /// `client_key` name. Returns an error if only one of these settings is set.
    pub fn client_certificate(&self) -> Result<Option<(Secret, Secret)>, InvalidSetting> {
        match (self.file("client_certificate")?, self.file("client_key")?) {
            (None, None) => Ok(None),
            (Some(certificate), Some(key)) => Ok(Some((certificate, key))),
            (Some(_), None) => Err(self.error("client_key", "must be set, because a client certificate is set")),
            (None, Some(_)) => Err(self.error("client_certificate", "must be set, because a client key is set")),
        }
    }

    /// Returns the user-facing name of a setting: its environment variable or its key in the map.
    pub fn name(&self, key: &'static str) -> &'static str {
        match self.fields.iter().find(|field| field.key == key) {
            Some(field) if self.origin == Origin::Variables => field.variable,
            _ => key,
        }
    }
}

/// Reads a map that may contain any of these fields.
struct MapVisitor(&'static [Field]);

impl<'de> Visitor<'de> for MapVisitor {
    type Value = Values;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map of configuration fields")
    }

    // serde's default messages would show the string or the number.
    fn visit_str<E: de::Error>(self, _: &str) -> Result<Values, E> {
        Err(E::invalid_type(de::Unexpected::Other("string"), &self))
    }

    fn visit_i64<E: de::Error>(self, _: i64) -> Result<Values, E> {
        Err(E::invalid_type(de::Unexpected::Other("number"), &self))
    }

    fn visit_u64<E: de::Error>(self, _: u64) -> Result<Values, E> {
        Err(E::invalid_type(de::Unexpected::Other("number"), &self))
    }

    fn visit_i128<E: de::Error>(self, _: i128) -> Result<Values, E> {
        Err(E::invalid_type(de::Unexpected::Other("number"), &self))
    }

    fn visit_u128<E: de::Error>(self, _: u128) -> Result<Values, E> {
        Err(E::invalid_type(de::Unexpected::Other("number"), &self))
    }

    fn visit_f64<E: de::Error>(self, _: f64) -> Result<Values, E> {
        Err(E::invalid_type(de::Unexpected::Other("number"), &self))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Values, A::Error> {
        let mut texts = BTreeMap::new();
        while let Some(name) = map.next_key::<String>()? {
            let Some(Field { key, .. }) = self.0.iter().find(|field| field.key == name) else {
                let known: Vec<String> = self.0.iter().map(|field| format!("`{}`", field.key)).collect();
                // Text that cannot be a field name may be a misplaced value, so the message does
                // not show it.
                let is_name = name.len() <= 40 && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
                let name = if is_name { format!(" `{name}`") } else { String::new() };
                return Err(de::Error::custom(format!("unknown field{name}, expected one of {}", known.join(", "))));
            };
            if texts.insert(*key, map.next_value_seed(ValueSeed(key))?).is_some() {
                return Err(de::Error::duplicate_field(key));
            }
        }
        Ok(Values { texts, fields: self.0, origin: Origin::Map })
    }
}

/// Returns whether the value of a setting is a number. All other values must be strings: a number
/// such as `7` is rejected, because the original text may have been different, for example `007`.
fn is_numeric(key: &str) -> bool {
    key.ends_with("_seconds") || matches!(key, "max_attempts" | "max_connections")
}

/// Reads a string, or a whole number if the setting is numeric. Explicitly rejects every other
/// type, because serde's default message would show the value.
struct ValueSeed(&'static str);

impl<'de> DeserializeSeed<'de> for ValueSeed {
    type Value = Secret;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Secret, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl ValueSeed {
    fn unexpected<E: de::Error>(&self) -> E {
        let expected = if is_numeric(self.0) { "a whole number" } else { "a string" };
        E::custom(format!("{} must be {expected}", self.0))
    }
}

impl<'de> Visitor<'de> for ValueSeed {
    type Value = Secret;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string or a whole number")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Secret, E> {
        Ok(Secret::new(text))
    }

    fn visit_string<E: de::Error>(self, text: String) -> Result<Secret, E> {
        Ok(Secret::new(text))
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Secret, E> {
        if is_numeric(self.0) { Ok(Secret::new(number.to_string())) } else { Err(self.unexpected()) }
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<Secret, E> {
        if is_numeric(self.0) { Ok(Secret::new(number.to_string())) } else { Err(self.unexpected()) }
    }

    fn visit_u128<E: de::Error>(self, _: u128) -> Result<Secret, E> {
        Err(self.unexpected())
    }

    fn visit_i128<E: de::Error>(self, _: i128) -> Result<Secret, E> {
        Err(self.unexpected())
    }

    fn visit_bool<E: de::Error>(self, _: bool) -> Result<Secret, E> {
        Err(self.unexpected())
    }

    fn visit_f64<E: de::Error>(self, _: f64) -> Result<Secret, E> {
        Err(self.unexpected())
    }

    fn visit_bytes<E: de::Error>(self, _: &[u8]) -> Result<Secret, E> {
        Err(self.unexpected())
    }

    fn visit_unit<E: de::Error>(self) -> Result<Secret, E> {
        Err(self.unexpected())
    }

    fn visit_none<E: de::Error>(self) -> Result<Secret, E> {
        Err(self.unexpected())
    }

    fn visit_seq<A: de::SeqAccess<'de>>(self, _: A) -> Result<Secret, A::Error> {
        Err(self.unexpected())
    }

    fn visit_map<A: MapAccess<'de>>(self, _: A) -> Result<Secret, A::Error> {
        Err(self.unexpected())
    }
}
