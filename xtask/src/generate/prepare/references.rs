//! Decodes references.

use percent_encoding::percent_decode_str;
use serde_json::Value;

/// Decodes the percent-encoding in each reference that points into the document. A reference is a
/// URI fragment, so it may contain `%20` for a space in the name of a schema.
pub(super) fn decode_references(value: &mut Value) {
    match value {
        Value::Object(object) => {
            for (key, value) in object {
                let decoded =
                    value.as_str().filter(|target| key == "$ref" && target.starts_with("#/") && target.contains('%'));
                match decoded.and_then(|target| Some(percent_decode_str(target).decode_utf8().ok()?.into_owned())) {
                    Some(decoded) => *value = decoded.into(),
                    None => decode_references(value),
                }
            }
        }
        Value::Array(array) => array.iter_mut().for_each(decode_references),
        _ => {}
    }
}
