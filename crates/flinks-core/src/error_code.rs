//! Finds error codes in the bodies of success responses.

use std::fmt;

use serde::de::{Deserializer as _, IgnoredAny, MapAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::body::without_bom;

/// Returns the name of a field that is listed in `names` and contains an error code. Returns `None`
/// if there is no such field, or if the body is not a JSON object.
pub(crate) fn error_code(body: &[u8], names: &[&'static str]) -> Option<&'static str> {
    if !may_contain(body, names) {
        return None;
    }
    let mut deserializer = serde_json::Deserializer::from_slice(without_bom(body));
    deserializer.deserialize_map(ErrorCodeVisitor(names)).ok()?
}

/// Returns whether a field in a JSON body might have one of these names. This check is cheaper than
/// parsing the body, and it rules out almost every success body.
///
/// In JSON, a field name follows a quotation mark and appears verbatim unless it contains an escape
/// sequence. The loops have no early exit, so that the compiler can vectorize them.
fn may_contain(body: &[u8], names: &[&'static str]) -> bool {
    let from = |index| body.get(index..).unwrap_or_default().iter();
    let may_start = |name: &&str| {
        let mut start = name.bytes().chain([b'"', b'"']);
        let (Some(first), Some(second)) = (start.next(), start.next()) else { return true };
        from(0)
            .zip(from(1))
            .zip(from(2))
            .fold(false, |found, ((quote, a), b)| found | ((*quote == b'"') & (*a == first) & (*b == second)))
    };
    let has_escape = || from(0).fold(false, |found, byte| found | (*byte == b'\\'));
    !names.is_empty() && (has_escape() || names.iter().any(may_start))
}

/// Reads the fields that may contain an error code, and skips all others. The same field may appear
/// more than once.
struct ErrorCodeVisitor<'a>(&'a [&'static str]);

impl<'de> Visitor<'de> for ErrorCodeVisitor<'_> {
    type Value = Option<&'static str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
        let mut found = None;
        while let Some(member) = members.next_key::<String>()? {
            match self.0.iter().find(|name| **name == member) {
                Some(name) if is_error_code(members.next_value::<&RawValue>()?.get()) => found = Some(*name),
                Some(_) => {}
                None => drop(members.next_value::<IgnoredAny>()?),
            }
        }
        Ok(found)
    }
}

/// Returns whether the JSON value of a field counts as an error code. Every value does, except
/// `null`, `false`, 0, a blank string, an empty array and an empty object.
fn is_error_code(json: &str) -> bool {
    match serde_json::from_str(json) {
        Ok(Value::Null | Value::Bool(false)) => false,
        Ok(Value::String(text)) => !text.trim().is_empty(),
        Ok(Value::Array(values)) => !values.is_empty(),
        Ok(Value::Object(members)) => !members.is_empty(),
        Ok(Value::Number(number)) => number.as_f64() != Some(0.0),
        // `Err` means that serde_json cannot read the value, for example because a number is out of
        // range.
        Ok(Value::Bool(true)) | Err(_) => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn c2_a_field_contains_an_error_code_unless_its_value_is_empty() {
        let code = |body: &str| error_code(body.as_bytes(), &["error", "code"]);
        for body in [
            r#"{"a":1,"error":"x"}"#,
            r#"{"error":" x "}"#,
            r#"{"error":{"a":1}}"#,
            r#"{"error":["x"]}"#,
            r#"{"error":1}"#,
            r#"{"error":1e400}"#,
            r#"{"error":true}"#,
            r#"{"error":null,"error":"x"}"#,
            r#"{"error":"x","error":null}"#,
            r#"{"\u0065rror":"x"}"#,
        ] {
            assert_eq!(code(body), Some("error"), "{body}");
        }
        assert_eq!(code(r#"{"error":"","code":"x"}"#), Some("code"));
        let nested = format!(r#"{{"a":{}}}"#, "[".repeat(60_000));
        for body in [
            r#"{"error":null}"#,
            r#"{"error":""}"#,
            r#"{"error":" \t"}"#,
            r#"{"error":false}"#,
            r#"{"error":0}"#,
            r#"{"error":0.0}"#,
            r#"{"error":[ ]}"#,
            r#"{"error":{}}"#,
            r#"{"a":{"error":"x"}}"#,
            r#"{"Error":"x"}"#,
            r#"["error"]"#,
            "",
            &nested,
        ] {
            assert_eq!(code(body), None, "{body:.60}");
        }
        assert_eq!(error_code(br#"{"error":"x"}"#, &[]), None);
        assert_eq!(code("\u{feff}{\"error\":\"x\"}"), Some("error"));
    }
}
