//! Decodes response bodies and finds the field that does not match the schema.
//!
//! The field names in errors come from generated code, never from the body, so errors never contain
//! text from the server (A6).

use std::fmt;

use serde::de::{self, DeserializeOwned, Deserializer as _, IgnoredAny, MapAccess, Visitor};
use serde_json::error::Category;
use serde_path_to_error::Segment;

use crate::body::without_bom;
use crate::error::InvalidResponse;

/// The type of a response body. Generated code implements this trait.
#[doc(hidden)]
pub trait ReplyBody: DeserializeOwned {
    /// The fields of this type's JSON object, in declaration order. This is `None` if the type is
    /// not read from a JSON object or accepts fields with any name.
    const FIELDS: Fields = None;

    /// Returns whether this value is documented. Returns `false` if the schema lists alternatives
    /// and the value matches none of them.
    fn is_documented(&self) -> bool {
        true
    }
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
    /// Creates a required field. A body without this field does not match the schema.
    pub const fn required(name: &'static str) -> Self {
        Self { name, is_required: true }
    }

    /// Creates an optional field.
    pub const fn optional(name: &'static str) -> Self {
        Self { name, is_required: false }
    }
}

/// Reads `T` from JSON. A type with fields is read only from a JSON object, although serde would
/// also accept an array.
pub(crate) fn decode<T: ReplyBody>(body: &[u8]) -> Result<T, InvalidResponse> {
    let body = without_bom(body);
    let first = body.iter().find(|byte| !byte.is_ascii_whitespace());
    if T::FIELDS.is_some() && first.is_some_and(|byte| *byte != b'{') {
        return Err(InvalidResponse::of_body("is not a JSON object", body.len()));
    }
    // Tracking field paths costs as much as reading the body, so this function tracks them only
    // after a failure.
    // Checking the encoding of the whole body costs less than checking each string.
    let value = match std::str::from_utf8(body) {
        Ok(text) => serde_json::from_str(text),
        Err(_) => serde_json::from_slice(body),
    };
    if let Ok(value) = value {
        return Ok(value);
    }
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    let value = match serde_path_to_error::deserialize(&mut deserializer) {
        Ok(value) => value,
        Err(error) => return Err(invalid_body(body, T::FIELDS.unwrap_or_default(), &error)),
    };
    match deserializer.end() {
        Ok(()) => Ok(value),
        Err(error) => Err(with_position(&error, InvalidResponse::of_body("has data after the JSON value", body.len()))),
    }
}

/// Reads a documented error body.
///
/// All fields of an error body are optional, so any JSON object would match the schema. An object
/// is therefore accepted only if it has at least one error-body field that is not in
/// `success_fields`. Other objects may come from a firewall, for example.
pub(crate) fn decode_error<E: ReplyBody>(body: &[u8], success_fields: &[Field]) -> Result<E, InvalidResponse> {
    let error = decode(body)?;
    let Some(fields) = E::FIELDS else { return Ok(error) };
    let present = present_fields(body, fields).unwrap_or_default();
    if present.iter().any(|name| find_name(success_fields, name).is_none()) {
        return Ok(error);
    }
    Err(InvalidResponse::of_body("has none of the documented fields", body.len()))
}

/// Returns whether a body is valid JSON.
pub(crate) fn is_json(body: &[u8]) -> bool {
    serde_json::from_slice::<IgnoredAny>(without_bom(body)).is_ok()
}

/// Describes why a body cannot be read as a type with these fields.
fn invalid_body(
    body: &[u8],
    fields: &'static [Field],
    error: &serde_path_to_error::Error<serde_json::Error>,
) -> InvalidResponse {
    let category = error.inner().classify();
    let reason = match category {
        Category::Data => "does not match the schema",
        Category::Eof if body.is_empty() => "is empty",
        Category::Eof => "is truncated",
        Category::Syntax | Category::Io => "is not valid JSON",
    };
    let field = match error.path().iter().next() {
        Some(Segment::Map { key }) => find_name(fields, key),
        Some(_) => None,
        // The error has no path, so the object was read and lacks a required field.
        None if category == Category::Data => first_missing_field(body, fields),
        None => None,
    };
    with_position(error.inner(), InvalidResponse { field, ..InvalidResponse::of_body(reason, body.len()) })
}

/// Adds the line and column of `error` to `invalid`.
fn with_position(error: &serde_json::Error, invalid: InvalidResponse) -> InvalidResponse {
    InvalidResponse { line: error.line(), column: error.column(), ..invalid }
}

/// Returns the first required field that is missing from a JSON object.
fn first_missing_field(body: &[u8], fields: &'static [Field]) -> Option<&'static str> {
    let present = present_fields(body, fields)?;
    fields.iter().find(|field| field.is_required && !present.contains(&field.name)).map(|field| field.name)
}

/// Returns the names of the `fields` that are present in a JSON object. Returns `None` if the body
/// is not an object, or if one of the fields appears twice.
fn present_fields(body: &[u8], fields: &'static [Field]) -> Option<Vec<&'static str>> {
    serde_json::Deserializer::from_slice(without_bom(body)).deserialize_map(PresentFieldsVisitor(fields)).ok()
}

fn find_name(fields: &[Field], name: &str) -> Option<&'static str> {
    fields.iter().find(|field| field.name == name).map(|field| field.name)
}

/// Collects the known field names in an object and skips the values.
struct PresentFieldsVisitor(&'static [Field]);

impl<'de> Visitor<'de> for PresentFieldsVisitor {
    type Value = Vec<&'static str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
        let mut present = Vec::new();
        while let Some(member) = members.next_key::<String>()? {
            members.next_value::<IgnoredAny>()?;
            let Some(name) = find_name(self.0, &member) else { continue };
            if present.contains(&name) {
                return Err(de::Error::duplicate_field(name));
            }
            present.push(name);
        }
        Ok(present)
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;
    use crate::Secret;

    #[derive(Debug, Deserialize)]
    #[allow(dead_code)] // the tests check only whether it can be read
    struct TokenResponse {
        #[serde(rename = "Token")]
        token: Secret,
        status: Option<i64>,
    }

    impl ReplyBody for TokenResponse {
        const FIELDS: Fields = Some(&[Field::required("Token"), Field::optional("status")]);
    }

    #[test]
    fn a6_an_invalid_body_reports_its_field_and_quotes_nothing() {
        let nested = "[".repeat(200_000);
        for (body, reason, field) in [
            ("", "is empty", None),
            ("{\"Token\":\"canary", "is truncated", Some("Token")),
            ("{\"Token\":\"canary\"} canary", "has data after the JSON value", None),
            ("{\"Token\":NaN}", "is not valid JSON", Some("Token")),
            ("<html>canary</html>", "is not a JSON object", None),
            ("[\"canary\",200]", "is not a JSON object", None),
            ("null", "is not a JSON object", None),
            (&nested, "is not a JSON object", None),
            (&format!("{{\"x\":{nested}"), "is truncated", None),
            (&format!("{{\"status\":{nested}"), "does not match the schema", Some("status")),
            ("{}", "does not match the schema", Some("Token")),
            ("{\"token\":\"canary\"}", "does not match the schema", Some("Token")),
            ("{\"Token\":71423}", "does not match the schema", Some("Token")),
            ("{\"Token\":null}", "does not match the schema", Some("Token")),
            ("{\"Token\":{\"canary\":\"canary\"}}", "does not match the schema", Some("Token")),
            ("{\"Token\":\"a\",\"status\":\"canary\"}", "does not match the schema", Some("status")),
            ("{\"Token\":\"a\",\"Token\":\"canary\"}", "does not match the schema", None),
            ("{\"status\":1,\"status\":2}", "does not match the schema", None),
            ("{} canary", "does not match the schema", Some("Token")),
            ("\u{feff}{}", "does not match the schema", Some("Token")),
            ("{", "is truncated", None),
            ("{\"canary\":[1,2}", "is not valid JSON", None),
        ] {
            let error = decode::<TokenResponse>(body.as_bytes()).unwrap_err();
            assert_eq!(error.reason, reason, "{body:.60}");
            assert_eq!(error.field, field, "{body:.60}");
            let text = format!("{error} {error:?} {error:#?}");
            assert!(!text.contains("canary"), "{text}");
            assert!(!text.contains("71423"), "{text}");
        }
    }

    #[test]
    fn t13_unknown_fields_are_ignored() {
        let members: String = (0..10_000).map(|i| format!(",\"m{i}\":{i}")).collect();
        let response: TokenResponse = decode(format!("{{\"Token\":\"a\"{members}}}").as_bytes()).unwrap();
        assert_eq!(response.token.expose_secret(), "a");
    }

    #[test]
    fn a_single_byte_order_mark_is_skipped() {
        let response: TokenResponse = decode("\u{feff} {\"Token\":\"a\"}".as_bytes()).unwrap();
        assert_eq!(response.token.expose_secret(), "a");
        assert!(decode::<TokenResponse>("\u{feff}\u{feff}{\"Token\":\"a\"}".as_bytes()).is_err());
    }

    #[test]
    fn a_type_without_fields_accepts_any_json() {
        #[derive(Debug, PartialEq, Deserialize)]
        struct List(Vec<u8>);

        impl ReplyBody for List {}

        assert_eq!(decode::<List>(b"[1,2]").unwrap(), List(vec![1, 2]));
        assert_eq!(decode::<List>(b"{}").unwrap_err().field, None);
        assert_eq!(decode_error::<List>(b"[]", &[]).unwrap(), List(Vec::new()));
    }

    #[test]
    fn an_error_body_has_a_field_that_the_success_body_lacks() {
        #[derive(Debug, Deserialize)]
        #[allow(dead_code)] // the test checks only whether it can be read
        struct ErrorResponse {
            status: Option<i64>,
            code: Option<String>,
        }

        impl ReplyBody for ErrorResponse {
            const FIELDS: Fields = Some(&[Field::optional("status"), Field::optional("code")]);
        }

        let success_fields = TokenResponse::FIELDS.unwrap();
        for (body, is_error) in [
            (r#"{"code":"x"}"#, true),
            (r#"{"status":1,"code":null}"#, true),
            (r#"{"status":1,"Token":7}"#, false),
            (r#"{"message":"x"}"#, false),
            ("{}", false),
        ] {
            assert_eq!(decode_error::<ErrorResponse>(body.as_bytes(), success_fields).is_ok(), is_error, "{body}");
        }
        assert!(decode_error::<ErrorResponse>(br#"{"status":1}"#, &[]).is_ok());
    }
}
