//! Reads bodies as types, and finds where one does not fit.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{self, DeserializeOwned, Deserializer, IgnoredAny, Visitor};
use serde::forward_to_deserialize_any;

use crate::body::without_bom;
use crate::error::InvalidResponse;

/// Reads `T` from JSON. An object type takes a JSON object only, though serde would take an array for it.
pub(crate) fn decode<T: DeserializeOwned>(body: &[u8]) -> Result<T, InvalidResponse> {
    let body = without_bom(body);
    let invalid = |reason, field, line, column| InvalidResponse {
        field,
        line,
        column,
        ..InvalidResponse::of_body(reason, body.len())
    };
    let fields = Fields::of::<T>();
    let first = body.iter().find(|byte| !byte.is_ascii_whitespace());
    if fields.is_object && first.is_some_and(|byte| *byte != b'{') {
        return Err(invalid("is not a JSON object", None, 0, 0));
    }
    // To know where it is costs as much as to read it, so that is found out only where something is wrong.
    if let Ok(value) = serde_json::from_slice(body) {
        return Ok(value);
    }
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    let value: T = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        let field = match error.path().iter().next() {
            Some(serde_path_to_error::Segment::Map { key }) => fields.known(key),
            _ => None,
        };
        let error = error.inner();
        let reason = match error.classify() {
            serde_json::error::Category::Data => "does not fit its schema",
            serde_json::error::Category::Eof => "is cut off",
            serde_json::error::Category::Syntax | serde_json::error::Category::Io => "is not JSON",
        };
        invalid(reason, field.or_else(|| fields.missing(error)), error.line(), error.column())
    })?;
    match deserializer.end() {
        Ok(()) => Ok(value),
        Err(error) => Err(invalid("goes on after its end", None, error.line(), error.column())),
    }
}

/// Reads an error body. All fields of one are optional, so that any object would fit: one that has none of them, such
/// as a firewall's, is something else.
pub(crate) fn decode_error<E: DeserializeOwned>(body: &[u8]) -> Result<E, InvalidResponse> {
    decode_error_without(body, &Fields { names: &[], is_object: true })
}

/// The same, by fields that another type does not have.
pub(crate) fn decode_error_without<E: DeserializeOwned>(body: &[u8], other: &Fields) -> Result<E, InvalidResponse> {
    let error = decode(body)?;
    let fields = Fields::of::<E>();
    let members: BTreeMap<String, IgnoredAny> = if fields.is_object { decode(body)? } else { return Ok(error) };
    match members.keys().any(|member| fields.known(member).is_some() && other.known(member).is_none()) {
        true => Ok(error),
        false => {
            let reason = "has none of the documented fields";
            Err(InvalidResponse::of_body(reason, body.len()))
        }
    }
}

/// Whether a body is JSON, of whatever form.
pub(crate) fn is_json(body: &[u8]) -> bool {
    serde_json::from_slice::<IgnoredAny>(without_bom(body)).is_ok()
}

/// The field names of a type, as static text: an error that names one of these cannot quote the server.
pub(crate) struct Fields {
    names: &'static [&'static str],
    is_object: bool,
}

impl Fields {
    pub(crate) fn of<T: DeserializeOwned>() -> Self {
        let mut fields = Self { names: &[], is_object: false };
        let _ = T::deserialize(Probe(&mut fields));
        fields
    }

    fn known(&self, name: &str) -> Option<&'static str> {
        self.names.iter().copied().find(|known| *known == name)
    }

    /// serde tells a missing field in its message only.
    fn missing(&self, error: &serde_json::Error) -> Option<&'static str> {
        let message = error.to_string();
        self.names.iter().copied().find(|name| message.starts_with(&format!("missing field `{name}`")))
    }
}

/// A deserializer that learns what a type asks for, and gives it nothing.
struct Probe<'a>(&'a mut Fields);

/// How a probe ends.
#[derive(Debug)]
struct Ended;

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a probe ends")
    }
}

impl std::error::Error for Ended {}

impl de::Error for Ended {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Self
    }
}

impl<'de> Deserializer<'de> for Probe<'_> {
    type Error = Ended;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Self::Error> {
        Err(Ended)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, Self::Error> {
        *self.0 = Fields { names: fields, is_object: true };
        Err(Ended)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit
        unit_struct newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;
    use crate::Secret;

    #[derive(Debug, Deserialize)]
    #[allow(dead_code)] // only whether it can be read matters
    struct Reply {
        #[serde(rename = "Token")]
        token: Secret,
        status: Option<i64>,
    }

    #[test]
    fn a6_a_body_that_does_not_fit_names_its_field_and_quotes_nothing() {
        let nested = "[".repeat(200_000);
        for (body, reason, field) in [
            ("", "is cut off", None),
            ("{\"Token\":\"canary", "is cut off", Some("Token")),
            ("{\"Token\":\"canary\"} canary", "goes on after its end", None),
            ("{\"Token\":NaN}", "is not JSON", Some("Token")),
            ("<html>canary</html>", "is not a JSON object", None),
            ("[\"canary\",200]", "is not a JSON object", None),
            ("null", "is not a JSON object", None),
            (&nested, "is not a JSON object", None),
            (&format!("{{\"x\":{nested}"), "is cut off", None),
            (&format!("{{\"status\":{nested}"), "does not fit its schema", Some("status")),
            ("{}", "does not fit its schema", Some("Token")),
            ("{\"token\":\"canary\"}", "does not fit its schema", Some("Token")),
            ("{\"Token\":71423}", "does not fit its schema", Some("Token")),
            ("{\"Token\":null}", "does not fit its schema", Some("Token")),
            ("{\"Token\":{\"canary\":\"canary\"}}", "does not fit its schema", Some("Token")),
            ("{\"Token\":\"a\",\"status\":\"canary\"}", "does not fit its schema", Some("status")),
            ("{\"Token\":\"a\",\"Token\":\"canary\"}", "does not fit its schema", None),
            ("{\"canary\":[1,2}", "is not JSON", None),
        ] {
            let error = decode::<Reply>(body.as_bytes()).unwrap_err();
            assert_eq!((error.reason, error.field), (reason, field), "{body:.60}");
            let text = format!("{error} {error:?} {error:#?}");
            assert!(!text.contains("canary") && !text.contains("71423"), "{text}");
        }
    }

    #[test]
    fn t13_unknown_members_are_ignored() {
        let members: String = (0..10_000).map(|i| format!(",\"m{i}\":{i}")).collect();
        let reply: Reply = decode(format!("{{\"Token\":\"a\"{members}}}").as_bytes()).unwrap();
        assert_eq!(reply.token.expose_secret(), "a");
    }

    #[test]
    fn a_byte_order_mark_is_skipped_once() {
        let reply: Reply = decode("\u{feff} {\"Token\":\"a\"}".as_bytes()).unwrap();
        assert_eq!(reply.token.expose_secret(), "a");
        assert!(decode::<Reply>("\u{feff}\u{feff}{\"Token\":\"a\"}".as_bytes()).is_err());
    }

    #[test]
    fn a_type_that_is_no_object_may_be_anything() {
        assert_eq!(decode::<Vec<u8>>(b"[1,2]").unwrap(), [1, 2]);
    }
}
