//! Finds error codes in the body of a successful reply.

use std::fmt;

use serde::de::{Deserializer as _, IgnoredAny, MapAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::body::without_bom;

/// Returns the first member of an object that is one of `names` and holds an error code. A body
/// that is not an object holds none.
pub(crate) fn error_code(body: &[u8], names: &[&'static str]) -> Option<&'static str> {
    if names.is_empty() {
        return None;
    }
    let mut deserializer = serde_json::Deserializer::from_slice(without_bom(body));
    deserializer.deserialize_map(ErrorCodes(names)).ok()?
}

/// Reads the members of an object that may hold an error code, and skips the others. A name may
/// come twice.
struct ErrorCodes<'a>(&'a [&'static str]);

impl<'de> Visitor<'de> for ErrorCodes<'_> {
    type Value = Option<&'static str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
        let mut found = None;
        while let Some(member) = members.next_key::<String>()? {
            match self.0.iter().find(|name| **name == member) {
                Some(name) if is_code(members.next_value::<&RawValue>()?.get()) => found = Some(*name),
                Some(_) => {}
                None => drop(members.next_value::<IgnoredAny>()?),
            }
        }
        Ok(found)
    }
}

/// Returns whether a JSON value means an error: `null`, `false`, 0, blank text, and an empty list
/// or object do not.
fn is_code(json: &str) -> bool {
    match serde_json::from_str(json) {
        Ok(Value::Null | Value::Bool(false)) => false,
        Ok(Value::String(text)) => !text.trim().is_empty(),
        Ok(Value::Array(values)) => !values.is_empty(),
        Ok(Value::Object(members)) => !members.is_empty(),
        Ok(Value::Number(number)) => number.as_f64() != Some(0.0),
        // Such as a number that is out of range.
        Ok(Value::Bool(true)) | Err(_) => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn c2_what_holds_an_error_code() {
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
