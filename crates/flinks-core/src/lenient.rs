//! Reads optional fields leniently, so that an invalid value does not make the response unusable.

use std::borrow::Cow;

use serde::Deserialize as _;
use serde::de::{DeserializeOwned, Deserializer};
use serde_json::value::RawValue;

/// Reads an optional field that is not essential. An unreadable value is treated as absent, so the
/// token or the error code in the same body can still be used. A number may also be written as a
/// string, and a whole number may be written with a decimal point, as in `401.0`.
///
/// The JSON text of the value is borrowed instead of copied, because the text may contain a secret.
#[doc(hidden)]
pub fn lenient<'de, D: Deserializer<'de>, T: DeserializeOwned>(deserializer: D) -> Result<Option<T>, D::Error> {
    let json = <&RawValue>::deserialize(deserializer)?.get();
    if let Ok(value) = serde_json::from_str(json) {
        return Ok(value);
    }
    if let Ok(text) = serde_json::from_str::<Cow<'_, str>>(json) {
        return Ok(serde_json::from_str(text.trim()).ok());
    }
    let Ok(number) = serde_json::from_str::<f64>(json) else { return Ok(None) };
    if number.fract() != 0.0 {
        return Ok(None);
    }
    Ok(serde_json::from_str(&format!("{number:.0}")).ok())
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, PartialEq, Deserialize)]
    struct Lenient {
        #[serde(default, deserialize_with = "lenient")]
        status: Option<i64>,
        #[serde(default, deserialize_with = "lenient")]
        text: Option<String>,
    }

    #[test]
    fn t10_an_invalid_optional_field_counts_as_absent() {
        let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
        for (json, status, text) in [
            ("401", Some(401), None),
            ("\"401\"", Some(401), Some("401")),
            ("\" 401 \"", Some(401), Some(" 401 ")),
            ("401.0", Some(401), None),
            ("4.01e2", Some(401), None),
            ("-1", Some(-1), None),
            ("401.5", None, None),
            ("1e400", None, None),
            ("1e40", None, None),
            ("null", None, None),
            ("true", None, None),
            ("\"a\\u0041\"", None, Some("aA")),
            ("[401]", None, None),
            ("{\"a\":401}", None, None),
            (&deep, None, None),
        ] {
            let parsed: Lenient = serde_json::from_str(&format!("{{\"status\":{json},\"text\":{json}}}")).unwrap();
            assert_eq!(parsed, Lenient { status, text: text.map(str::to_owned) }, "{json:.60}");
        }
        assert_eq!(serde_json::from_str::<Lenient>("{}").unwrap(), Lenient { status: None, text: None });
        assert!(serde_json::from_str::<Lenient>("{\"status\":[}").is_err());
    }
}
