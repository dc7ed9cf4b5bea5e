//! Reads the body of a reply as the type of that reply, and finds the field that does not fit.
//!
//! A field is named by static text from generated code, never by text from the body, so that no
//! error quotes the server (A6).

use std::fmt;

use serde::de::{self, DeserializeOwned, Deserializer as _, IgnoredAny, MapAccess, Visitor};
use serde_json::error::Category;
use serde_path_to_error::Segment;

use crate::body::without_bom;
use crate::error::InvalidResponse;

/// A type that is the body of a reply. Generated code implements it.
#[doc(hidden)]
pub trait ReplyBody: DeserializeOwned {
    /// The fields of the JSON object that this type is read from, in the order of their
    /// declaration. `None` if it is read from JSON of another form, or takes fields of any name.
    const FIELDS: Fields = None;
}

/// The fields of a [`ReplyBody`].
#[doc(hidden)]
pub type Fields = Option<&'static [Field]>;

/// A field of a [`ReplyBody`].
#[doc(hidden)]
#[derive(Clone, Copy, Debug)]
pub struct Field {
    name: &'static str,
    is_required: bool,
}

impl Field {
    /// A field without which a reply does not fit.
    pub const fn required(name: &'static str) -> Self {
        Self { name, is_required: true }
    }

    /// A field that a reply may leave out.
    pub const fn optional(name: &'static str) -> Self {
        Self { name, is_required: false }
    }
}

/// Reads `T` from JSON. A type with fields is read from a JSON object only, although serde would
/// also take an array for it.
pub(crate) fn decode<T: ReplyBody>(body: &[u8]) -> Result<T, InvalidResponse> {
    let body = without_bom(body);
    let first = body.iter().find(|byte| !byte.is_ascii_whitespace());
    if T::FIELDS.is_some() && first.is_some_and(|byte| *byte != b'{') {
        return Err(InvalidResponse::of_body("is not a JSON object", body.len()));
    }
    // Following the path costs as much as reading the body, so it waits until something is wrong.
    if let Ok(value) = serde_json::from_slice(body) {
        return Ok(value);
    }
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    let value = match serde_path_to_error::deserialize(&mut deserializer) {
        Ok(value) => value,
        Err(error) => return Err(misfit(body, T::FIELDS.unwrap_or_default(), &error)),
    };
    match deserializer.end() {
        Ok(()) => Ok(value),
        Err(error) => Err(at(&error, InvalidResponse::of_body("goes on after its end", body.len()))),
    }
}

/// Reads an error body. All its fields are optional, so that any object would fit: an object that
/// has none of them, such as a firewall's, is not this error. The fields in `other` do not count.
pub(crate) fn decode_error<E: ReplyBody>(body: &[u8], other: &[Field]) -> Result<E, InvalidResponse> {
    let error = decode(body)?;
    let Some(fields) = E::FIELDS else { return Ok(error) };
    let found = members(body, fields).unwrap_or_default();
    if found.iter().any(|name| named(other, name).is_none()) {
        return Ok(error);
    }
    Err(InvalidResponse::of_body("has none of the documented fields", body.len()))
}

/// Whether a body is JSON of any form.
pub(crate) fn is_json(body: &[u8]) -> bool {
    serde_json::from_slice::<IgnoredAny>(without_bom(body)).is_ok()
}

/// Describes why a body does not fit a type with these fields.
fn misfit(
    body: &[u8],
    fields: &'static [Field],
    error: &serde_path_to_error::Error<serde_json::Error>,
) -> InvalidResponse {
    let (category, path) = (error.inner().classify(), error.path());
    let reason = match category {
        Category::Data => "does not fit its schema",
        Category::Eof => "is cut off",
        Category::Syntax | Category::Io => "is not JSON",
    };
    let field = match path.iter().next() {
        Some(Segment::Map { key }) => named(fields, key),
        Some(_) => None,
        // The object as a whole was read, and is wrong.
        None if category == Category::Data => missing(body, fields),
        None => None,
    };
    at(error.inner(), InvalidResponse { field, ..InvalidResponse::of_body(reason, body.len()) })
}

/// Adds the place of `error` in the body.
fn at(error: &serde_json::Error, invalid: InvalidResponse) -> InvalidResponse {
    InvalidResponse { line: error.line(), column: error.column(), ..invalid }
}

/// Returns the first required field that a JSON object lacks.
fn missing(body: &[u8], fields: &'static [Field]) -> Option<&'static str> {
    let found = members(body, fields)?;
    fields.iter().find(|field| field.is_required && !found.contains(&field.name)).map(|field| field.name)
}

/// Returns those of `fields` that a JSON object has. `None` if the body is not an object, or has
/// one of them twice.
fn members(body: &[u8], fields: &'static [Field]) -> Option<Vec<&'static str>> {
    serde_json::Deserializer::from_slice(without_bom(body)).deserialize_map(Members(fields)).ok()
}

fn named(fields: &[Field], name: &str) -> Option<&'static str> {
    fields.iter().find(|field| field.name == name).map(|field| field.name)
}

/// Notes the known names of an object, and skips all values.
struct Members(&'static [Field]);

impl<'de> Visitor<'de> for Members {
    type Value = Vec<&'static str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
        let mut found = Vec::new();
        while let Some(member) = members.next_key::<String>()? {
            members.next_value::<IgnoredAny>()?;
            let Some(name) = named(self.0, &member) else { continue };
            if found.contains(&name) {
                return Err(de::Error::duplicate_field(name));
            }
            found.push(name);
        }
        Ok(found)
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

    impl ReplyBody for Reply {
        const FIELDS: Fields = Some(&[Field::required("Token"), Field::optional("status")]);
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
            ("{\"status\":1,\"status\":2}", "does not fit its schema", None),
            ("{} canary", "does not fit its schema", Some("Token")),
            ("\u{feff}{}", "does not fit its schema", Some("Token")),
            ("{", "is cut off", None),
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
        #[derive(Debug, PartialEq, Deserialize)]
        struct List(Vec<u8>);

        impl ReplyBody for List {}

        assert_eq!(decode::<List>(b"[1,2]").unwrap(), List(vec![1, 2]));
        assert_eq!(decode::<List>(b"{}").unwrap_err().field, None);
        assert_eq!(decode_error::<List>(b"[]", &[]).unwrap(), List(Vec::new()));
    }

    #[test]
    fn an_error_has_a_field_of_its_own() {
        #[derive(Debug, Deserialize)]
        #[allow(dead_code)] // only whether it can be read matters
        struct Refusal {
            status: Option<i64>,
            code: Option<String>,
        }

        impl ReplyBody for Refusal {
            const FIELDS: Fields = Some(&[Field::optional("status"), Field::optional("code")]);
        }

        let success = Reply::FIELDS.unwrap();
        for (body, is_error) in [
            (r#"{"code":"x"}"#, true),
            (r#"{"status":1,"code":null}"#, true),
            (r#"{"status":1,"Token":7}"#, false),
            (r#"{"message":"x"}"#, false),
            ("{}", false),
        ] {
            assert_eq!(decode_error::<Refusal>(body.as_bytes(), success).is_ok(), is_error, "{body}");
        }
        assert!(decode_error::<Refusal>(br#"{"status":1}"#, &[]).is_ok());
    }
}
