//! Reads a configuration, from variables or from a map such as a section of a file. No error shows a value.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use flinks_core::{BaseUrl, Secret};
use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, Visitor};

use crate::error::Error;
use crate::hosts::check_host;
use crate::operation::Product;

/// A value of a configuration: its name in a map, and its variable.
pub struct Field {
    pub(crate) key: &'static str,
    pub(crate) variable: &'static str,
}

/// The fields of a product, and those of [`Settings`](crate::Settings).
macro_rules! fields {
    ($product:literal, $($key:literal => $variable:literal,)*) => {
        &[
            $($crate::config::Field { key: $key, variable: concat!("FLINKS_", $product, "_", $variable) },)*
            $crate::config::Field { key: "url", variable: concat!("FLINKS_", $product, "_URL") },
            $crate::config::Field { key: "timeout_seconds", variable: concat!("FLINKS_", $product, "_TIMEOUT_SECONDS") },
            $crate::config::Field {
                key: "connect_timeout_seconds",
                variable: concat!("FLINKS_", $product, "_CONNECT_TIMEOUT_SECONDS"),
            },
            $crate::config::Field { key: "max_attempts", variable: concat!("FLINKS_", $product, "_MAX_ATTEMPTS") },
            $crate::config::Field { key: "root_certificates", variable: "FLINKS_ROOT_CERTIFICATES" },
            $crate::config::Field { key: "client_certificate", variable: "FLINKS_CLIENT_CERTIFICATE" },
            $crate::config::Field { key: "client_key", variable: "FLINKS_CLIENT_KEY" },
            $crate::config::Field { key: "crypto_provider", variable: "FLINKS_CRYPTO_PROVIDER" },
            $crate::config::Field { key: "dangerous_plain_http_host", variable: "FLINKS_DANGEROUS_PLAIN_HTTP_HOST" },
        ]
    };
}
pub(crate) use fields;

/// The values that are set, as text.
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
    pub(crate) fn from_env(fields: &'static [Field]) -> Result<Self, Error> {
        let mut texts = BTreeMap::new();
        for Field { key, variable } in fields {
            match std::env::var(variable) {
                Ok(text) => drop(texts.insert(*key, Secret::new(text))),
                Err(std::env::VarError::NotPresent) => {}
                Err(std::env::VarError::NotUnicode(_)) => return Err(Error::configuration(variable, "is not UTF-8")),
            }
        }
        Ok(Self { texts, fields, origin: Origin::Variables })
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
        fields: &'static [Field],
    ) -> Result<Self, D::Error> {
        // Not `deserialize_map`, with which serde_json itself quotes a value of another type.
        deserializer.deserialize_any(Map(fields))
    }

    /// Returns a value that is not empty, if it is set.
    pub(crate) fn optional(&self, key: &'static str) -> Result<Option<&str>, Error> {
        match self.texts.get(key).map(Secret::expose_secret) {
            Some(text) if text.trim().is_empty() => Err(self.error(key, "is empty")),
            text => Ok(text),
        }
    }

    pub(crate) fn required(&self, key: &'static str) -> Result<&str, Error> {
        self.optional(key)?.ok_or_else(|| self.error(key, "is missing"))
    }

    /// Returns the error of a value, by the name under which it was set.
    pub(crate) fn error(&self, key: &'static str, reason: &'static str) -> Error {
        Error::configuration(self.name(key), reason)
    }

    pub(crate) fn parse<T: FromStr<Err = Error>>(&self, text: &str) -> Result<T, Error> {
        text.parse().map_err(|error| self.named(error))
    }

    /// Names the value of an error, such as `secret key`, as it was set.
    pub(crate) fn named(&self, error: Error) -> Error {
        let is_meant = |field: &&Field| error.field().is_some_and(|name| name.replace(' ', "_") == field.key);
        match self.fields.iter().find(is_meant) {
            Some(field) => error.with_field(self.name(field.key)),
            None => error,
        }
    }

    /// Parses the base URL of a product.
    pub(crate) fn base_url(&self, text: &str, product: Product) -> Result<BaseUrl, Error> {
        let mut options = BaseUrl::options();
        if let Some(host) = self.optional("dangerous_plain_http_host")? {
            options = options.dangerous_plain_http_host(host);
        }
        let base_url = options.parse(text).map_err(|error| self.error("url", error.reason()))?;
        check_host(&base_url, product).map_err(|error| error.with_field(self.name("url")))?;
        Ok(base_url)
    }

    pub(crate) fn seconds(&self, key: &'static str) -> Result<Option<Duration>, Error> {
        let Some(text) = self.optional(key)? else { return Ok(None) };
        match text.parse() {
            Ok(seconds @ 1..) => Ok(Some(Duration::from_secs(seconds))),
            _ => Err(self.error(key, "is not a whole number of seconds from 1")),
        }
    }

    /// Reads the file that a value names.
    #[cfg(any(feature = "native-tls", feature = "rustls-no-provider"))]
    pub(crate) fn file(&self, key: &'static str) -> Result<Option<Secret>, Error> {
        let Some(path) = self.optional(key)? else { return Ok(None) };
        match std::fs::read_to_string(path) {
            Ok(text) => Ok(Some(Secret::new(text))),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                Err(self.error(key, "names a file that does not exist"))
            }
            Err(_) => Err(self.error(key, "names a file that cannot be read as text")),
        }
    }

    fn name(&self, key: &'static str) -> &'static str {
        match self.fields.iter().find(|field| field.key == key) {
            Some(field) if self.origin == Origin::Variables => field.variable,
            _ => key,
        }
    }
}

/// Reads a map with some of these fields.
struct Map(&'static [Field]);

impl<'de> Visitor<'de> for Map {
    type Value = Values;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map with the configuration of a client")
    }

    // serde's own message would show the text or the number.
    fn visit_str<E: de::Error>(self, _: &str) -> Result<Values, E> {
        Err(E::invalid_type(de::Unexpected::Other("a text"), &self))
    }

    fn visit_i64<E: de::Error>(self, _: i64) -> Result<Values, E> {
        Err(E::invalid_type(de::Unexpected::Other("a number"), &self))
    }

    fn visit_u64<E: de::Error>(self, _: u64) -> Result<Values, E> {
        Err(E::invalid_type(de::Unexpected::Other("a number"), &self))
    }

    fn visit_f64<E: de::Error>(self, _: f64) -> Result<Values, E> {
        Err(E::invalid_type(de::Unexpected::Other("a number"), &self))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Values, A::Error> {
        let mut texts = BTreeMap::new();
        while let Some(name) = map.next_key::<String>()? {
            let Some(Field { key, .. }) = self.0.iter().find(|field| field.key == name) else {
                let known: Vec<&str> = self.0.iter().map(|field| field.key).collect();
                // A text that cannot be a name may be a value in the wrong place.
                let is_name = name.len() <= 40 && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
                let name = if is_name { name.as_str() } else { "" };
                return Err(de::Error::custom(format!("unknown field `{name}`; expected one of {}", known.join(", "))));
            };
            if texts.insert(*key, map.next_value_seed(Text(key))?).is_some() {
                return Err(de::Error::custom(format!("{key} is set twice")));
            }
        }
        Ok(Values { texts, fields: self.0, origin: Origin::Map })
    }
}

/// Reads a text or a whole number. serde's own message for another type would show the value.
struct Text(&'static str);

impl<'de> DeserializeSeed<'de> for Text {
    type Value = Secret;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Secret, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl Text {
    fn unexpected<E: de::Error>(&self) -> E {
        E::custom(format!("{} is neither a text nor a whole number", self.0))
    }
}

impl<'de> Visitor<'de> for Text {
    type Value = Secret;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text or a whole number")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Secret, E> {
        Ok(Secret::new(text))
    }

    fn visit_string<E: de::Error>(self, text: String) -> Result<Secret, E> {
        Ok(Secret::new(text))
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Secret, E> {
        Ok(Secret::new(number.to_string()))
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<Secret, E> {
        Ok(Secret::new(number.to_string()))
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
